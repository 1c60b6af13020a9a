/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls that can block, made by threads of their own.
 *
 * A call belongs to a caller (a domain), and by its kind to a lane (connections of one purpose). Of a caller
 * at most one call is under way, over all lanes; what else is asked of it waits, the lowest kind first. Of a
 * lane as many are under way as it has places; callers get theirs in the order in which they asked.
 *
 * A call can take for ever. One that takes longer than CALL_STUCK_USEC makes its caller "stuck" and is left
 * behind: it doesn't hold its lane's place any more. Where others wait and all calls of the lane take longer
 * than CALL_HELD_USEC, all of them are left behind, stuck or not, so that the others needn't wait for the two
 * seconds. (If such a call returns before it is stuck, nobody hangs and everything is slow: then the patience
 * is doubled, and comes down again with calls that are quick.) At most CALLS_LEFT_BEHIND_MAX are left behind:
 * beyond that a call keeps its place.
 *
 * Besides there are jobs: bound to no lane, and of a small number by what they are.
 *
 * One lock, the owner's, guards it all: every function and every operation below is called with it held,
 * except where it says otherwise. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"
#include "base/time-util.h"

#define LANES_MAX             4U
#define LANE_PLACES_MAX       3U
#define CALL_HELD_USEC        (200 * USEC_PER_MSEC)
#define CALL_STUCK_USEC       (2 * USEC_PER_SEC)
/* libvirtd has 20 threads for calls that can block (max_workers), and each call that is left behind holds
 * one: if there were more, nobody could call it any more, an administrator included. */
#define CALLS_LEFT_BEHIND_MAX 12U
#define WORKERS_TICK_USEC     (50 * USEC_PER_MSEC)

typedef struct Workers Workers;

/* A domain as seen from here; part of it. Zero at first but for caller_init(). */
typedef struct Caller {
    uint32_t waiting; /* kinds asked for */
    int kind;         /* queued or under way; -1: none */
    bool running, stuck, left_behind;
    uint32_t blocked_kinds; /* not begun for now */
    usec_t started_usec;
    struct Caller *prev, *next; /* in its lane's queue, or among those under way */
} Caller;

typedef struct Job Job;
struct Job {
    void (*run)(Job *job);  /* without the lock */
    void (*done)(Job *job); /* with it; frees the job */
    Job *next;
};

typedef struct WorkersOps {
    unsigned (*lane_of)(unsigned kind);
    /* The call is to be made now. */
    void (*begin)(void *userdata, Caller *c, unsigned kind);
    /* Makes it, without the lock. */
    void (*run)(void *userdata, Caller *c, unsigned kind);
    /* It returned, and the caller isn't busy with it any more. May free the caller. */
    void (*done)(void *userdata, Caller *c, unsigned kind);
    /* The call under way became stuck, or (stuck is false, called before done) a stuck one returned. */
    void (*stuck)(void *userdata, Caller *c, bool stuck);
    /* The call under way doesn't hold a place any more, which is the lane's to lose: the owner sets its
     * places. */
    void (*left_behind)(void *userdata, Caller *c, unsigned lane);
    /* The last worker ended after workers_stop(), and will touch neither the lock nor the workers again.
     * Called without the lock. */
    void (*ended)(void *userdata);
} WorkersOps;

/* lock and ops must live until all workers have ended. */
int workers_new(pthread_mutex_t *lock, const WorkersOps *ops, void *userdata, Workers **ret);
/* Only when no worker is left (workers_stop() returned true, or in ops->ended). */
Workers *workers_free(Workers *w);
DEFINE_CLEANUP_FUNC(Workers, workers_free);
/* No call is begun any more; jobs are. Waits for all that is under way until then (CLOCK_MONOTONIC). Returns
 * whether all workers have ended; if not, ops->ended is called when they do. */
bool workers_stop(Workers *w, usec_t until_usec);

void caller_init(Caller *c);
/* 0; -EBUSY where a call of that kind waits or is under way. */
int workers_ask(Workers *w, Caller *c, unsigned kind);
/* Whether a call of that kind waits or is under way. */
bool caller_has(const Caller *c, unsigned kind);
/* Whether one waits that hasn't begun. */
bool caller_waits(const Caller *c, unsigned kind);
/* Sets the kinds that aren't begun for this caller for now (0: none). */
void workers_block(Workers *w, Caller *c, uint32_t kinds);
/* What waits of these kinds is dropped and returned. What is under way goes on. */
uint32_t workers_cancel(Workers *w, Caller *c, uint32_t kinds);
/* How many calls of the lane may be under way; at first none. */
void workers_set_places(Workers *w, unsigned lane, unsigned places);
void workers_add_job(Workers *w, Job *job);
/* Looks for calls that take too long. To be called every WORKERS_TICK_USEC while workers_busy(). */
void workers_tick(Workers *w, usec_t now_usec);
bool workers_busy(const Workers *w);

typedef struct WorkersCounters {
    uint64_t calls;
    unsigned outstanding, stuck, left_behind, threads;
} WorkersCounters;
void workers_counters(const Workers *w, WorkersCounters *ret);
