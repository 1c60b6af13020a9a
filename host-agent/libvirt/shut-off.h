/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Requests about domains that are shut off: persistent ones that don't run. ballastd keeps no record of these;
 * a worker asks libvirt each time. */

#include "host-agent/libvirt/domain-info.h"

/* Requests that wait at once, the one under way included. */
#define SHUT_OFF_WAITING_MAX    16U
/* The most domains that one answer describes: to read a definition takes about a millisecond. */
#define SHUT_OFF_FOUND_MAX      1024U
/* Of domains that begin with a pattern, no more are described than a message names. */
#define SHUT_OFF_CANDIDATES_MAX 5U

typedef struct ShutOff ShutOff;
struct ShutOff {
    ShutOff *next;
    unsigned number; /* of the request */

    /* The request: to find domains, or to change an entitlement. */
    char *pattern;            /* to find: a name, a UUID, or the beginning of one; NULL: all */
    char uuid[37];            /* to change: of the domain; else empty */
    EntitlementChange change; /* to the entitlement in its definition */

    /* The answer. */
    int error;  /* 0 or -errno */
    char *text; /* libvirt's message, or NULL */
    DomainInfo *found;
    size_t n_found, n_matches; /* of all that match, no more are in found than the limits above allow */
    bool
        exact; /* the pattern is the whole name or UUID of the one found; or if none is, of one that runs or can't be read */
    char nearest[DOMAIN_NAME_MAX + 1]; /* nothing matches: the name nearest to the pattern, or empty */
};

ShutOff *shut_off_free(ShutOff *s);
DEFINE_CLEANUP_FUNC(ShutOff, shut_off_free);
