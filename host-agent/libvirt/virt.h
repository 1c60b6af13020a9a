/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The only place that calls libvirt. Its event loop runs in a thread of its own, calls that can block run in
 * workers, and all that comes of them reaches the daemon as VirtEvents in its own sd-event loop, through a
 * queue with an eventfd. Why: see virt.c.
 *
 * Connections: one for events, one for channels, three for stats and definitions, two for setting memory;
 * each has one call at a time, and a domain at most one over all of them. A domain that hasn't answered for 2
 * s is "stuck": it gets no call until it answers. What it holds is left behind (earlier where others would
 * have to wait for it): its connection is replaced by a fresh one for the others, and closed when the call on
 * it returns.
 *
 * Lost connections are opened again with back-off (0.5 s, 1 s … 30 s). Domains are kept through that: after
 * reconnection each comes again as VIRT_DOMAIN_ADDED (as after start), and those that went meanwhile by
 * VIRT_DOMAIN_GONE. */

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "host-agent/libvirt/virt-event.h"

typedef struct Virt Virt;

/* Starts the threads and the first attempt to connect; returns at once. uri is copied. One at a time in a
 * process. */
int virt_new(sd_event *event, const char *uri, VirtHandler handler, void *userdata, Virt **ret);
/* Stops: no handler is called any more. Waits up to 2 s for calls that are outstanding; workers held by a
 * stopped QEMU are left behind (the process is about to end). */
Virt *virt_free(Virt *v);
DEFINE_CLEANUP_FUNC(Virt, virt_free);

/* Each queues a call and returns 0, -EBUSY where one of the same kind is already waiting or outstanding for
 * that domain, -ENOENT for a domain that isn't known, -ENOTCONN. The outcome comes as an event. Within a
 * domain, setting memory goes before stats. */

/* memoryStats → VIRT_STATS. Where the domain has no stats period and period_sec isn't 0, sets it first (live
 * only, once). */
int virt_request_stats(Virt *v, const char *uuid, unsigned period_sec);
/* Writes the state metadata (domain-info.h), then virDomainSetMemoryFlags(live) to state->sent_bytes →
 * VIRT_SET_DONE. */
int virt_set_memory(Virt *v, const char *uuid, const DomainState *state);
/* Changes the entitlement in the domain's metadata from what it is there and then, which may be newer than
 * what was reported last. Writes it (ENTITLEMENT_NONE: removes it) live and, where the domain is persistent, in
 * its definition, too → VIRT_ENTITLE_DONE, -EINVAL where the outcome's sizes don't agree; then
 * VIRT_DOMAIN_CHANGED. */
int virt_entitle(Virt *v, const char *uuid, const EntitlementChange *change);
/* Opens the channel as a stream → VIRT_CHANNEL_OPENED or VIRT_CHANNEL_CLOSED. */
int virt_channel_open(Virt *v, const char *uuid);
/* Queues bytes. -ENOBUFS: dropped, since 16 KiB wait to be sent; or since so much was sent on this stream
 * (some 60 small messages) that libvirtd would choke on it if the guest had read none of it: then
 * VIRT_CHANNEL_CLOSED follows and the channel is to be opened afresh. -ENOTCONN: it isn't open. */
int virt_channel_send(Virt *v, const char *uuid, const uint8_t *data, size_t length);
/* The guest was seen to have read what was sent to it: that counts no longer. */
void virt_channel_was_read(Virt *v, const char *uuid);
void virt_channel_close(Virt *v, const char *uuid);

/* Counters for dump: calls made, outstanding, stuck; connections; events queued at most at once. */
typedef struct VirtCounters {
    uint64_t calls, failures, reconnects;
    unsigned outstanding, stuck, connections, queue_peak;
} VirtCounters;
void virt_counters(const Virt *v, VirtCounters *ret);
