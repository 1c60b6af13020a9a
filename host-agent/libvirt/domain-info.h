/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What Ballast needs from a domain's XML. Parsed with libxml2: no network access, no entities, limited
 * size. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/node-set.h"
#include "host-agent/decide/entitlement.h"

#define DOMAIN_NAME_MAX 255U

/* ballastd's own state of a domain. It is stored in the domain's live metadata (urn:ballast:state:1), so it
 * migrates with the domain and ends with it. All 0 if the domain has none. */
typedef struct DomainState {
    uint64_t full_bytes;     /* the full size in force */
    uint64_t defined_bytes;  /* the full size in the definition at that time */
    uint64_t from_bytes;     /* the size from which the last move started */
    uint64_t sent_bytes;     /* the target of the last move; 0: none */
    uint64_t overhead_bytes; /* QEMU's own memory, as learned; 0: not yet */
    uint64_t returns_bytes;  /* the size that a squeezed guest gets back; 0: the last move was none */
} DomainState;

/* A domain whose XML doesn't say as which user its QEMU runs. */
#define DOMAIN_USER_UNKNOWN ((uid_t) -1)

typedef struct DomainInfo {
    char uuid[37];
    char name[DOMAIN_NAME_MAX + 1]; /* longer names are cut off; control characters replaced by '?' */
    int id;                         /* -1: not running */
    uid_t user;                     /* as which its QEMU runs, by its DAC label; DOMAIN_USER_UNKNOWN */
    bool persistent;
    uint64_t maximum_bytes;            /* <memory>: the memory that the guest was started with */
    uint64_t current_bytes;            /* <currentMemory> of the live definition */
    uint64_t configured_current_bytes; /* <currentMemory> of the persistent definition; 0: transient */
    bool has_balloon;                  /* a memballoon with a model other than none */
    bool autodeflate, free_page_reporting;
    unsigned stats_period_sec; /* from the definition; 0: none */
    bool has_channel;          /* a virtio channel named CHANNEL_NAME */
    /* Why the balloon would free nothing: "hostdev" (a PCI or mdev device pins all guest memory),
     * "hugepages", "locked memory", "launch security", or "no balloon device" if has_balloon is false. A
     * static string; NULL if the balloon works. */
    const char *unmovable;
    /* The NUMA nodes that all its memory is bound to: by <numatune>, for the domain or for each of its cells, mode
     * strict or restrictive. 0: not bound, or not only to nodes below NODE_SET_MAX; also where numad chose the nodes
     * (placement auto), as libvirt doesn't show which. */
    uint64_t nodes;
    DomainState remembered;
    /* From the live metadata; ENTITLEMENT_NONE if it has no entitlement. (The inactive definition's
     * entitlement applies from the next start on.) An invalid value is ignored; if the sizes don't agree with
     * each other or with maximum_bytes, all three are ignored. entitlement_problem then says what is wrong,
     * in printable text; "" if nothing is. */
    Entitlement entitlement;
    char entitlement_problem[ENTITLEMENT_WHY_MAX];
} DomainInfo;

#define STATE_URI "urn:ballast:state:1"
#define STATE_KEY "ballast-state"

/* Parses a domain's live XML (virDomainGetXMLDesc()) and, for a persistent domain, its inactive XML (NULL for
 * a transient one). 0, -EBADMSG (not a domain, or no valid uuid, name or memory) or -ENOMEM. */
int domain_info_parse(const char *live_xml, const char *inactive_xml, DomainInfo *ret);

/* Parses the entitlement from its metadata element alone, as virDomainGetMetadata() returns it for
 * ENTITLEMENT_URI, by the same rules. 0 or -EBADMSG. */
int domain_granted_parse(const char *xml, uint64_t maximum_bytes, Entitlement *ret);

/* Returns the metadata element that stores the state; the caller frees it. NULL if out of memory. */
char *domain_state_xml(const DomainState *state);

static inline bool domain_state_equal(const DomainState *a, const DomainState *b)
{
    return a->full_bytes == b->full_bytes && a->defined_bytes == b->defined_bytes &&
           a->from_bytes == b->from_bytes && a->sent_bytes == b->sent_bytes &&
           a->overhead_bytes == b->overhead_bytes && a->returns_bytes == b->returns_bytes;
}
