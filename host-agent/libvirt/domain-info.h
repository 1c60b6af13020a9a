/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a domain's XML says, as far as it matters here. Parsed with libxml2, no network, no entities, size
 * bounded. */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"
#include "host-agent/decide/entitlement.h"

#define DOMAIN_NAME_MAX 255U

/* What ballastd itself remembers with the domain, in its live metadata (urn:ballast:state:1), so that it goes
 * where the domain goes and ends with it. All 0 where there is nothing. */
typedef struct DomainState {
    uint64_t full_bytes;    /* the full size in force */
    uint64_t defined_bytes; /* the full size that the definition gave then */
    uint64_t from_bytes;    /* where the last move began … */
    uint64_t sent_bytes;    /* … and its target */
} DomainState;

typedef struct DomainInfo {
    char uuid[37];
    char name[DOMAIN_NAME_MAX + 1]; /* cut off where longer; control characters replaced by '?' */
    int id;                         /* -1: not running */
    bool persistent;
    uint64_t maximum_bytes;            /* <memory>: what the guest was started with */
    uint64_t current_bytes;            /* <currentMemory> of the live definition */
    uint64_t configured_current_bytes; /* <currentMemory> of the persistent definition; 0: transient */
    bool has_balloon;                  /* a memballoon whose model isn't none */
    bool autodeflate, free_page_reporting;
    unsigned stats_period_sec; /* as the definition says; 0: none */
    bool has_channel;          /* CHANNEL_NAME as a virtio channel */
    /* Why a balloon frees nothing: hostdev (a PCI or mdev device keeps all memory unmovable), hugepages, locked
     * memory, launch security; a static string, or NULL. "no balloon device" where has_balloon is false. */
    const char *unmovable;
    DomainState remembered;
    /* From the live metadata; ENTITLEMENT_NONE where there is none. (What the inactive definition has counts
     * from the next start on.) A value that can't be is left out; where the sizes don't agree with each other
     * or with maximum_bytes, all three are. entitlement_problem says so, printable; "": nothing wrong. */
    Entitlement entitlement;
    char entitlement_problem[ENTITLEMENT_WHY_MAX];
} DomainInfo;

#define STATE_URI "urn:ballast:state:1"
#define STATE_KEY "ballast-state"

/* Parses the live XML of a domain (virDomainGetXMLDesc), and where it is persistent its inactive one (may be
 * NULL). 0, -EBADMSG (not a domain, or no uuid, name or memory), -ENOMEM. */
int domain_info_parse(const char *live_xml, const char *inactive_xml, DomainInfo *ret);

/* What the metadata element of ENTITLEMENT_URI grants, alone as virDomainGetMetadata() gives it, by the same
 * rules. 0 or -EBADMSG. */
int domain_granted_parse(const char *xml, uint64_t maximum_bytes, Entitlement *ret);

/* The metadata element that holds the state; the caller frees it. NULL on no memory. */
char *domain_state_xml(const DomainState *state);

static inline bool domain_state_equal(const DomainState *a, const DomainState *b)
{
    return a->full_bytes == b->full_bytes && a->defined_bytes == b->defined_bytes &&
           a->from_bytes == b->from_bytes && a->sent_bytes == b->sent_bytes;
}
