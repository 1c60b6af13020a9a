/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The only part of the daemon that calls libvirt. libvirt's event loop has a thread of its own, and workers
 * make the calls that can block. Both report through a queue with an eventfd, so the daemon receives
 * VirtEvents in its own sd-event loop. virt.c explains why.
 *
 * Connections: one for events, one for channels, three for stats and definitions, two for setting memory.
 * Each connection carries one call at a time, and a domain has at most one call under way on all of them
 * together. A domain that hasn't answered for 2 s is "stuck": it gets no further call until it answers. Its
 * call is left behind (earlier, if others would have to wait for it): a new connection takes the place of the
 * one that the call is on, and the old one is closed when the call returns.
 *
 * A lost connection is opened again with back-off (0.5 s to 1 s, then 1 s, 2 s … 30 s). The known domains are
 * kept meanwhile. After the reconnection each running domain is reported again by VIRT_DOMAIN_ADDED (as after
 * the start), and each one that stopped in between by VIRT_DOMAIN_GONE. */

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "host-agent/libvirt/shut-off.h"
#include "host-agent/libvirt/virt-event.h"

typedef struct Virt Virt;

/* Starts the threads and the first attempt to connect, and returns at once. Copies uri. A process can have
 * only one Virt at a time. */
int virt_new(sd_event *event, const char *uri, VirtHandler handler, void *userdata, Virt **ret);
/* Stops: the handler is not called again. Waits up to 2 s for calls under way. Workers that a stopped QEMU
 * holds up are abandoned, since the process is about to end. */
Virt *virt_free(Virt *v);
DEFINE_CLEANUP_FUNC(Virt, virt_free);

/* Each of these queues a call and returns 0, -EBUSY (a call of the same kind is already queued or under way
 * for the domain), -ENOENT (unknown domain) or -ENOTCONN. An event reports the outcome. For one domain,
 * setting memory goes before stats. */

/* virDomainMemoryStats() → VIRT_STATS. If the domain has no stats period and period_sec isn't 0, sets the
 * period first (live only, once). */
int virt_request_stats(Virt *v, const char *uuid, unsigned period_sec);
/* Writes the state metadata (domain-info.h), then calls virDomainSetMemoryFlags() (live) with
 * state->sent_bytes → VIRT_SET_DONE. */
int virt_set_memory(Virt *v, const char *uuid, const DomainState *state);
/* Writes QEMU's own memory into the state metadata, and leaves the rest of it as it is. No event follows. */
int virt_remember(Virt *v, const char *uuid, uint64_t overhead_bytes);
/* Reads the domain's definition again → VIRT_DOMAIN_CHANGED. libvirt sends no event when virsh setmem --config changes
 * it. Several requests within 0.9 s are one. */
int virt_read_definition(Virt *v, const char *uuid);
/* Changes the entitlement in the domain's metadata. The change applies to the entitlement that the metadata
 * holds when the call is made, which may be newer than the last one reported. Writes the result (removes the
 * element if the result is ENTITLEMENT_NONE) live and, for a persistent domain, in its definition too →
 * VIRT_ENTITLE_DONE (-EINVAL if the resulting sizes don't agree), then VIRT_DOMAIN_CHANGED. */
int virt_entitle(Virt *v, const char *uuid, const EntitlementChange *change);
/* Two requests about domains that are shut off → VIRT_SHUT_OFF. Each returns 0, -EBUSY (too many wait), -ENOTCONN or
 * -ENOMEM. To find: those that match a pattern (NULL: all); *ret_number is the request's. To change: the entitlement in
 * the definition, as virt_entitle() does. A domain that runs by then gets it live, too. */
int virt_find_shut_off(Virt *v, const char *pattern, unsigned *ret_number);
int virt_entitle_shut_off(Virt *v, const char *uuid, const EntitlementChange *change);
/* The next answer, which the caller frees; NULL: none. */
ShutOff *virt_take_shut_off(Virt *v);
/* Opens the agent's channel as a stream → VIRT_CHANNEL_OPENED or VIRT_CHANNEL_CLOSED. */
int virt_channel_open(Virt *v, const char *uuid);
/* Queues bytes to send. -ENOTCONN: the channel isn't open. -ENOBUFS: the bytes were dropped, for one of two
 * reasons. Either they don't fit into the 16 KiB that may wait to be sent; or so much was sent on this stream
 * (some 60 small messages) that libvirtd might block if the guest has read none of it. In the second case
 * VIRT_CHANNEL_CLOSED follows, and the caller should open the channel again. */
int virt_channel_send(Virt *v, const char *uuid, const uint8_t *data, size_t length);
/* The guest has read everything that was sent to it: the count of possibly unread bytes starts again at 0. */
void virt_channel_was_read(Virt *v, const char *uuid);
void virt_channel_close(Virt *v, const char *uuid);

/* Counters for dump. */
typedef struct VirtCounters {
    uint64_t calls, failures, reconnects; /* since the start; calls: begun, failures: those that failed */
    unsigned outstanding, stuck;          /* calls under way; those of stuck domains */
    unsigned connections;                 /* not closed yet */
    unsigned queue_peak;                  /* the most events ever queued at once */
} VirtCounters;
void virt_counters(const Virt *v, VirtCounters *ret);
