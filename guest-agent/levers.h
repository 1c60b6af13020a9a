/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The levers that the host has in this guest: what is asked of the lever helper, and in which steps.
 *
 * The agent connects to the helper for each task: at its start it asks what the kernel can do (a probe), then
 * it carries out what the host asks. Without a helper it tries again every half minute. Nothing here blocks:
 * the agent's loop watches the connection (in epoll under the number that it gave), and calls levers_io() and
 * levers_tick(). */

#include "guest-agent/collect.h"
#include "guest-agent/lever-wire.h"
#include "guest-agent/pace.h"

typedef enum LeversState {
    LEVERS_IDLE,
    LEVERS_ASKED,   /* the helper works */
    LEVERS_WAITING, /* for a look at what the last step did */
} LeversState;

typedef struct Levers {
    const char *socket_path; /* NULL: the levers are switched off */
    Collector *collector;    /* borrowed; gets the ages of page cache */
    int epoll_fd;            /* borrowed */
    uint32_t source;         /* how epoll names the connection */

    LeversState state;
    int fd;            /* the connection to the helper, while state isn't IDLE */
    uint32_t asked;    /* LeverVerb */
    usec_t due_usec;   /* LEVERS_ASKED: when the helper counts as hanging; LEVERS_WAITING: when to look */
    usec_t probe_usec; /* when to ask for what the kernel can do */
    usec_t ages_usec;  /* when to ask for the ages */

    uint32_t can; /* LEVER_CAN_ and LEVER_HAS_ bits */
    char missing[LEVER_MISSING_MAX];
    bool probed; /* whether the first probe has ended */

    Message request; /* the host's; type MESSAGE_TYPE_INVALID: none */
    Message result;  /* for levers_take_result(); type MESSAGE_TYPE_INVALID: none */
    bool stopping;   /* end the request as soon as the helper has answered */
    Pace pace;
    uint64_t free_blocks; /* before a compaction */

    usec_t cold_usec; /* when the collector got ages; USEC_INFINITY: it has none */
} Levers;

/* socket_path: of the helper; NULL switches the levers off. Asks for what the kernel can do. */
void levers_init(Levers *l, const char *socket_path, Collector *collector, int epoll_fd, uint32_t source,
                 usec_t now_usec);
void levers_done(Levers *l);

/* Begins a Reclaim or a Compact of the host. Returns 0 (then levers_take_result() has the answer, later or at
 * once), or -EBUSY if another one runs. */
int levers_begin(Levers *l, const Message *request, usec_t now_usec);
/* The guest is in distress, or the host that asked has gone: ends what runs, after its current step. */
void levers_stop(Levers *l);
/* Whether a request of the host has ended: fills in what it was, and the Reclaimed. */
bool levers_take_result(Levers *l, Message *ret_request, Message *ret_result);

/* The connection is readable. */
void levers_io(Levers *l, usec_t now_usec);
/* Does what is due. reporting: a host takes reports, so ages are wanted. */
void levers_tick(Levers *l, bool reporting, usec_t now_usec);
/* When to call levers_tick() next; USEC_INFINITY: never. */
usec_t levers_due_usec(const Levers *l, bool reporting);

/* The bits of Hello. */
uint32_t levers_features(const Levers *l);
