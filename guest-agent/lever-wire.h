/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the agent and its lever helper say to each other: one request, one answer, each a packet of fixed size
 * on a SOCK_SEQPACKET socket. Both are of one version: they are the same program. */

#include <stdint.h>

/* Where the helper's socket, its notes and the history are. */
#define LEVER_RUN_FOLDER  "/run/ballast-guestd"
#define LEVER_SOCKET_NAME "levers"

/* The most that one request may take. */
#define LEVER_RECLAIM_MAX_BYTES (UINT64_C(32) * 1024 * 1024)

typedef enum LeverVerb {
    LEVER_PROBE = 1,    /* says which levers the kernel has; changes nothing */
    LEVER_COMPACT,      /* moves memory so that free memory lies in large blocks */
    LEVER_RECLAIM_FILE, /* takes page cache, never anonymous memory */
    LEVER_RECLAIM_ANON, /* takes page cache and anonymous memory, as the kernel chooses */
    LEVER_AGES,         /* says how much page cache the kernel counts as unused, and for how long */
    LEVER_VERB_MAX,
} LeverVerb;

/* Bits of LeverAnswer.levers; those that Hello has, too, have the same value there. */
enum {
    LEVER_CAN_COMPACT = 8,
    LEVER_CAN_RECLAIM_FILE = 16,
    LEVER_CAN_RECLAIM_ANON = 32,
    LEVER_HAS_AGES = 1024
};

typedef struct LeverRequest {
    uint32_t verb; /* LeverVerb */
    uint32_t pad;
    uint64_t bytes; /* LEVER_RECLAIM_ only */
} LeverRequest;

/* The ages of page cache that are reported: 10 s, 60 s, 600 s. */
enum { LEVER_AGE_10S, LEVER_AGE_60S, LEVER_AGE_600S, LEVER_AGE_MAX };

#define LEVER_MISSING_MAX 64

typedef struct LeverAnswer {
    int32_t error;                      /* 0 or a negative errno: the request wasn't carried out */
    uint32_t levers;                    /* LEVER_CAN_ and LEVER_HAS_ bits */
    uint64_t got_bytes;                 /* reclaimed; may be less or a little more than what was asked for */
    uint64_t cpu_usec;                  /* that the request took */
    uint64_t cold_bytes[LEVER_AGE_MAX]; /* LEVER_AGES: cache unused for at least so long */
    char missing[LEVER_MISSING_MAX];    /* why the other levers are missing, or "" */
} LeverAnswer;
