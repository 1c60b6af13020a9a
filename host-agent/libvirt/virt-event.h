/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The events that the daemon's loop receives from libvirt's threads. */

#include "base/time-util.h"
#include "host-agent/libvirt/domain-info.h"

typedef enum VirtEventType {
    VIRT_CONNECTED,    /* text: the URI as libvirt reports it */
    VIRT_DISCONNECTED, /* text: why; once per loss, and once at the start if the first attempt fails */
    /* info: a running domain that is new, or known from before a reconnection; it is busy only if a
     * VIRT_DOMAIN_BUSY follows */
    VIRT_DOMAIN_ADDED,
    /* once after each VIRT_CONNECTED: all domains that ran then have been reported, unless they can't be read */
    VIRT_LISTED,
    /* info: its live or persistent definition, its entitlement or its devices changed */
    VIRT_DOMAIN_CHANGED,
    /* text: why it stopped (shut down, crashed, migrated away …). Its queued calls are dropped, and no
     * further event reports them */
    VIRT_DOMAIN_GONE,
    VIRT_DOMAIN_REBOOTED,
    /* text: "paused", "migrating", "saving", "shutting down", "no answer"; NULL: no longer */
    VIRT_DOMAIN_BUSY,
    VIRT_BALLOON,      /* bytes: the balloon's size, from an event */
    VIRT_STATS,        /* stats, or error */
    VIRT_SET_DONE,     /* error: 0 or -errno; bytes: the requested size; text: libvirt's message */
    VIRT_ENTITLE_DONE, /* error: 0 or -errno; text: libvirt's message */
    VIRT_SHUT_OFF,     /* a request about domains that are shut off was answered: virt_take_shut_off() */
    VIRT_CHANNEL_OPENED,
    VIRT_CHANNEL_DATA, /* data, length */
    /* text: why; error: 0 if the stream ended or was closed so that it can be opened again (see
     * virt_channel_send()), -ENOBUFS if the guest sent more than the daemon can process, else another -errno.
     * Not sent after virt_channel_close() */
    VIRT_CHANNEL_CLOSED,
    VIRT_EVENT_TYPE_MAX,
} VirtEventType;

/* The result of virDomainMemoryStats(), sizes in bytes. A field is valid only if its has_ flag is set. */
typedef struct VirtStats {
    bool has_actual, has_rss, has_swap_in, has_swap_out, has_major_faults, has_minor_faults, has_unused,
        has_available, has_usable, has_disk_caches, has_hugetlb_allocs, has_hugetlb_failures, has_last_update;
    uint64_t actual_bytes;                                              /* the balloon's size */
    uint64_t rss_bytes;                                                 /* of QEMU */
    uint64_t swap_in_bytes, swap_out_bytes, major_faults, minor_faults; /* cumulative */
    uint64_t unused_bytes;                                              /* MemFree */
    uint64_t available_bytes;                                           /* MemTotal (libvirt's name for it) */
    uint64_t usable_bytes;                                              /* MemAvailable */
    uint64_t disk_caches_bytes;
    uint64_t hugetlb_allocs, hugetlb_failures; /* huge pages, cumulative */
    uint64_t last_update_sec;                  /* wall clock time of the guest's last answer; 0: never */
} VirtStats;

typedef struct VirtEvent {
    VirtEventType type;
    const char *uuid; /* of the domain; NULL for events of the connection */
    int error;        /* 0 or -errno */
    const char *text; /* or NULL */
    uint64_t bytes;
    const DomainInfo *info;
    const VirtStats *stats;
    const uint8_t *data;
    size_t length;
} VirtEvent;

/* Called in the thread of the daemon's loop. The event's pointers are valid only during the call. The handler
 * may call virt_ functions. */
typedef void (*VirtHandler)(void *userdata, const VirtEvent *event);
