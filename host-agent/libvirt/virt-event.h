/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What comes of libvirt's threads, as the daemon's loop gets it. */

#include "base/time-util.h"
#include "host-agent/libvirt/domain-info.h"

typedef enum VirtEventType {
    VIRT_CONNECTED,    /* text: the URI as libvirt gives it */
    VIRT_DISCONNECTED, /* text: why; once for each loss, and once at start while nothing answers */
    /* info: a running domain, new, or again after reconnection; busy only if the next event says so */
    VIRT_DOMAIN_ADDED,
    /* info: its definition (also the persistent one), entitlement or devices changed */
    VIRT_DOMAIN_CHANGED,
    /* text: shut off, crashed, destroyed or migrated away. What was asked is forgotten */
    VIRT_DOMAIN_GONE,
    VIRT_DOMAIN_REBOOTED,
    /* text: "paused", "migrating", "saving", "shutting down", "no answer"; NULL: no longer */
    VIRT_DOMAIN_BUSY,
    VIRT_BALLOON,      /* bytes: the balloon's size, from an event */
    VIRT_STATS,        /* stats, or error */
    VIRT_SET_DONE,     /* error: 0 or -errno; bytes: what was asked; text: libvirt's message */
    VIRT_ENTITLE_DONE, /* error: 0 or -errno; text: libvirt's message */
    VIRT_CHANNEL_OPENED,
    VIRT_CHANNEL_DATA, /* data, length */
    /* text: why; error: 0 where the stream ended or is to be opened again (see virt_channel_send()), -ENOBUFS
     * where the guest sent more than can be taken. Not after virt_channel_close() */
    VIRT_CHANNEL_CLOSED,
    VIRT_EVENT_TYPE_MAX,
} VirtEventType;

/* virDomainMemoryStats, made bytes. A field is valid where has_ says so. */
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
    uint64_t last_update_sec;                  /* wall clock when the guest last answered; 0: never */
} VirtStats;

typedef struct VirtEvent {
    VirtEventType type;
    const char *uuid; /* of the domain; NULL for the connection's own events */
    int error;        /* 0 or -errno */
    const char *text; /* or NULL */
    uint64_t bytes;
    const DomainInfo *info;
    const VirtStats *stats;
    const uint8_t *data;
    size_t length;
} VirtEvent;

/* Called from the loop's own thread. What the event points to is valid during the call. It may call virt_
 * functions. */
typedef void (*VirtHandler)(void *userdata, const VirtEvent *event);
