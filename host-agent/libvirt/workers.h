/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Threads that make calls that can block.
 *
 * A call belongs to a caller (a domain), and its kind puts it in a lane (the connections for one purpose). A
 * caller has at most one call under way, in all lanes together; its other calls wait, and the lowest kind
 * goes first. A lane has a number of places, and each call under way takes one. Callers get a place in the
 * order in which they asked.
 *
 * A call may never return. A call that takes longer than CALL_STUCK_USEC makes its caller "stuck" and is left
 * behind: it gives up its place in the lane. If callers wait for a lane and every call under way in it has
 * taken longer than CALL_HELD_USEC, all these calls are left behind, stuck or not, so that the waiting
 * callers don't lose the full two seconds. (If such a call then returns before it is stuck, nothing hung:
 * everything is slow. So the limit CALL_HELD_USEC is doubled each time, up to CALL_STUCK_USEC, and quick
 * calls bring it down again.) No more than CALLS_LEFT_BEHIND_MAX calls are left behind at once; further ones
 * keep their place.
 *
 * Jobs are work that belongs to no lane. There are never many of them at once, so their number has no limit.
 *
 * The owner's lock guards everything: every function and operation below is called with it held, unless its
 * comment says otherwise. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"
#include "base/time-util.h"

#define LANES_MAX             4U
#define LANE_PLACES_MAX       3U
#define CALL_HELD_USEC        (200 * USEC_PER_MSEC)
#define CALL_STUCK_USEC       (2 * USEC_PER_SEC)
/* libvirtd has 20 threads for calls that can block (max_workers), and each call left behind holds one. If
 * calls left behind held all of them, nobody could use libvirtd any more, administrators included. */
#define CALLS_LEFT_BEHIND_MAX 12U
#define WORKERS_TICK_USEC     (50 * USEC_PER_MSEC)

typedef struct Workers Workers;

/* The part of a domain that workers.c needs and writes. Embedded in the domain; caller_init() sets it up. */
typedef struct Caller {
    uint32_t waiting; /* kinds asked for and not queued yet */
    int kind;         /* of the call queued or under way; -1: none */
    bool running, stuck, left_behind;
    uint32_t blocked_kinds; /* see workers_block() */
    usec_t started_usec;
    struct Caller *prev, *next; /* in its lane's queue, or in the list of those under way */
} Caller;

typedef struct Job Job;
struct Job {
    void (*run)(Job *job);  /* without the lock */
    void (*done)(Job *job); /* with the lock; frees the job */
    Job *next;
};

typedef struct WorkersOps {
    unsigned (*lane_of)(unsigned kind);
    /* The call is about to be made. */
    void (*begin)(void *userdata, Caller *c, unsigned kind);
    /* Makes the call. Without the lock. */
    void (*run)(void *userdata, Caller *c, unsigned kind);
    /* The call returned, and the caller is free for another one. May free the caller. */
    void (*done)(void *userdata, Caller *c, unsigned kind);
    /* The call under way became stuck; or (stuck is false; called before done) a stuck call returned. */
    void (*stuck)(void *userdata, Caller *c, bool stuck);
    /* The call under way gave up its place but still holds its connection. The owner sets the lane's places
     * accordingly (workers_set_places()). */
    void (*left_behind)(void *userdata, Caller *c, unsigned lane);
    /* workers_stop() gave up waiting, and now the last worker has ended. It won't touch the lock or Workers
     * again. Without the lock. */
    void (*ended)(void *userdata);
} WorkersOps;

/* lock and ops must stay valid until all workers have ended. */
int workers_new(pthread_mutex_t *lock, const WorkersOps *ops, void *userdata, Workers **ret);
/* Only after all workers have ended (workers_stop() returned true, or ops->ended was called). */
Workers *workers_free(Workers *w);
DEFINE_CLEANUP_FUNC(Workers, workers_free);
/* Begins no more calls, but still runs jobs. Waits for calls and jobs under way until until_usec
 * (CLOCK_MONOTONIC). Returns true if all workers have ended; if not, ops->ended is called when they have. */
bool workers_stop(Workers *w, usec_t until_usec);

void caller_init(Caller *c);
/* Asks for a call. 0, or -EBUSY if a call of that kind is waiting or under way. */
int workers_ask(Workers *w, Caller *c, unsigned kind);
/* Returns true if a call of that kind is waiting or under way. */
bool caller_has(const Caller *c, unsigned kind);
/* Returns true if a call of that kind is waiting and hasn't begun. */
bool caller_waits(const Caller *c, unsigned kind);
/* Sets the kinds of calls that this caller must not begin until the next workers_block() (0: none). */
void workers_block(Workers *w, Caller *c, uint32_t kinds);
/* Drops the waiting calls of these kinds and returns their kinds. A call under way goes on. */
uint32_t workers_cancel(Workers *w, Caller *c, uint32_t kinds);
/* Sets how many calls of the lane may be under way; at first none. */
void workers_set_places(Workers *w, unsigned lane, unsigned places);
void workers_add_job(Workers *w, Job *job);
/* Looks for calls that take too long. Call it every WORKERS_TICK_USEC while workers_busy() returns true. */
void workers_tick(Workers *w, usec_t now_usec);
bool workers_busy(const Workers *w);

typedef struct WorkersCounters {
    uint64_t calls;                           /* begun since the start */
    unsigned outstanding, stuck, left_behind; /* under way; of these: stuck, left behind */
    unsigned threads;
} WorkersCounters;
void workers_counters(const Workers *w, WorkersCounters *ret);
