/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs calls that can block in threads, one at a time per caller and per place. */
#include "host-agent/libvirt/workers.h"

#include <assert.h>
#include <string.h>

#include "host-agent/libvirt/thread.h"

/* Idle threads kept waiting for work; further ones end. */
#define IDLE_MAX    3U
/* Enough for the most calls that can be under way, and as many again for jobs. */
#define THREADS_MAX (2 * (CALLS_LEFT_BEHIND_MAX + LANES_MAX * LANE_PLACES_MAX))

typedef struct CallerList {
    Caller *head, *tail;
} CallerList;

typedef struct Lane {
    CallerList queue;
    unsigned outstanding; /* calls under way, without those left behind */
    unsigned places;
} Lane;

struct Workers {
    pthread_mutex_t *lock;
    pthread_cond_t work;  /* something can begin, or workers should stop */
    pthread_cond_t ended; /* a worker ended */
    const WorkersOps *ops;
    void *userdata;
    Lane lanes[LANES_MAX];
    unsigned turn; /* the lane to look at first */
    CallerList running;
    Job *jobs, **jobs_end;
    unsigned threads, idle, outstanding, stuck, left_behind;
    uint64_t calls;
    usec_t held_usec; /* CALL_HELD_USEC, or more while everything is slow */
    bool stopping, abandoned;
};

static void list_append(CallerList *l, Caller *c)
{
    c->next = NULL;
    c->prev = l->tail;
    *(l->tail ? &l->tail->next : &l->head) = c;
    l->tail = c;
}

static void list_remove(CallerList *l, Caller *c)
{
    *(c->prev ? &c->prev->next : &l->head) = c->next;
    *(c->next ? &c->next->prev : &l->tail) = c->prev;
    c->prev = c->next = NULL;
}

int workers_new(pthread_mutex_t *lock, const WorkersOps *ops, void *userdata, Workers **ret)
{
    pthread_condattr_t attr;
    Workers *w;

    w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->lock = lock;
    w->ops = ops;
    w->userdata = userdata;
    w->jobs_end = &w->jobs;
    w->held_usec = CALL_HELD_USEC;
    pthread_cond_init(&w->work, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->ended, &attr);
    pthread_condattr_destroy(&attr);
    *ret = w;
    return 0;
}

Workers *workers_free(Workers *w)
{
    if (!w)
        return NULL;
    assert(w->threads == 0);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->ended);
    free(w);
    return NULL;
}

void caller_init(Caller *c)
{
    *c = (Caller){.kind = -1};
}

bool caller_has(const Caller *c, unsigned kind)
{
    return c->kind == (int) kind || (c->waiting & (1U << kind));
}

bool caller_waits(const Caller *c, unsigned kind)
{
    return (c->kind == (int) kind && !c->running) || (c->waiting & (1U << kind));
}

static Lane *lane_of(Workers *w, unsigned kind)
{
    return &w->lanes[w->ops->lane_of(kind)];
}

static bool lane_can_begin(const Lane *lane)
{
    return lane->queue.head && lane->outstanding < lane->places;
}

static bool can_begin(const Workers *w)
{
    if (w->jobs)
        return true;
    if (w->stopping)
        return false;
    for (size_t i = 0; i < LANES_MAX; i++)
        if (lane_can_begin(&w->lanes[i]))
            return true;
    return false;
}

/* Queues the most urgent waiting call of a caller that has no call queued or under way. */
static void caller_enqueue(Workers *w, Caller *c)
{
    uint32_t ready = c->waiting & ~c->blocked_kinds;

    if (c->running || c->kind >= 0 || ready == 0)
        return;
    c->kind = __builtin_ctz(ready);
    c->waiting &= ~(1U << c->kind);
    list_append(&lane_of(w, (unsigned) c->kind)->queue, c);
}

static void caller_dequeue(Workers *w, Caller *c)
{
    if (c->running || c->kind < 0)
        return;
    list_remove(&lane_of(w, (unsigned) c->kind)->queue, c);
    c->waiting |= 1U << c->kind;
    c->kind = -1;
}

static Caller *next_caller(Workers *w)
{
    for (size_t i = 0; i < LANES_MAX; i++) {
        Lane *lane = &w->lanes[(w->turn + i) % LANES_MAX];
        Caller *c = lane->queue.head;

        if (!lane_can_begin(lane))
            continue;
        list_remove(&lane->queue, c);
        lane->outstanding++;
        w->turn = (w->turn + (unsigned) i + 1) % LANES_MAX;
        return c;
    }
    return NULL;
}

static void start_worker(Workers *w);

/* A worker that begins something first calls another worker if more can begin. So nothing waits behind a call
 * that blocks. */
static void call_for_worker(Workers *w)
{
    if (!can_begin(w))
        return;
    if (w->idle > 0)
        pthread_cond_signal(&w->work);
    else if (w->threads < THREADS_MAX)
        start_worker(w);
}

static void work_job(Workers *w)
{
    Job *job = w->jobs;

    w->jobs = job->next;
    if (!w->jobs)
        w->jobs_end = &w->jobs;
    call_for_worker(w);
    pthread_mutex_unlock(w->lock);
    job->run(job);
    pthread_mutex_lock(w->lock);
    job->done(job);
}

static void learn_patience(Workers *w, const Caller *c)
{
    if (c->left_behind && !c->stuck)
        w->held_usec = MIN(2 * w->held_usec, CALL_STUCK_USEC);
    else if (!c->left_behind)
        w->held_usec = MAX(w->held_usec - w->held_usec / 16, CALL_HELD_USEC);
}

static void work_call(Workers *w, Caller *c)
{
    unsigned kind = (unsigned) c->kind;

    c->running = true;
    c->started_usec = now_usec(CLOCK_MONOTONIC);
    list_append(&w->running, c);
    w->outstanding++;
    w->calls++;
    w->ops->begin(w->userdata, c, kind);
    call_for_worker(w);

    pthread_mutex_unlock(w->lock);
    w->ops->run(w->userdata, c, kind);
    pthread_mutex_lock(w->lock);

    list_remove(&w->running, c);
    w->outstanding--;
    learn_patience(w, c);
    if (c->left_behind)
        w->left_behind--;
    else
        lane_of(w, kind)->outstanding--;
    c->left_behind = c->running = false;
    c->kind = -1;
    if (c->stuck) {
        c->stuck = false;
        w->stuck--;
        w->ops->stuck(w->userdata, c, false);
    }
    caller_enqueue(w, c);
    w->ops->done(w->userdata, c, kind);
}

static void *worker(void *userdata)
{
    Workers *w = userdata;
    const WorkersOps *ops = w->ops;
    void *ops_userdata = w->userdata;
    bool last;

    pthread_setname_np(pthread_self(), "virt-call");
    pthread_mutex_lock(w->lock);
    for (;;) {
        Caller *c;

        if (w->jobs)
            work_job(w);
        else if (w->stopping)
            break;
        else if ((c = next_caller(w)))
            work_call(w, c);
        else {
            if (w->idle >= IDLE_MAX)
                break;
            w->idle++;
            pthread_cond_wait(&w->work, w->lock);
            w->idle--;
        }
    }
    w->threads--;
    last = w->stopping && w->abandoned && w->threads == 0;
    pthread_cond_signal(&w->ended);
    pthread_mutex_unlock(w->lock);
    if (last)
        ops->ended(ops_userdata);
    return NULL;
}

static void start_worker(Workers *w)
{
    /* On failure the next tick tries again, or the next worker that becomes free takes the work. */
    if (thread_start(worker, w, NULL) >= 0)
        w->threads++;
}

bool workers_stop(Workers *w, usec_t until_usec)
{
    struct timespec until = {.tv_sec = (time_t) (until_usec / USEC_PER_SEC),
                             .tv_nsec = (long) (until_usec % USEC_PER_SEC * NSEC_PER_USEC)};

    w->stopping = true;
    call_for_worker(w);
    pthread_cond_broadcast(&w->work);
    while (w->threads > 0)
        if (pthread_cond_timedwait(&w->ended, w->lock, &until) != 0)
            break;
    w->abandoned = w->threads > 0;
    return !w->abandoned;
}

int workers_ask(Workers *w, Caller *c, unsigned kind)
{
    if (caller_has(c, kind))
        return -EBUSY;
    c->waiting |= 1U << kind;
    /* A queued call gives way to a more urgent one. */
    if (!c->running && c->kind > (int) kind)
        caller_dequeue(w, c);
    caller_enqueue(w, c);
    call_for_worker(w);
    return 0;
}

void workers_block(Workers *w, Caller *c, uint32_t kinds)
{
    c->blocked_kinds = kinds;
    if (c->kind >= 0 && (kinds & (1U << c->kind)))
        caller_dequeue(w, c);
    caller_enqueue(w, c);
    call_for_worker(w);
}

uint32_t workers_cancel(Workers *w, Caller *c, uint32_t kinds)
{
    uint32_t dropped;

    caller_dequeue(w, c);
    dropped = c->waiting & kinds;
    c->waiting &= ~kinds;
    caller_enqueue(w, c);
    return dropped;
}

void workers_set_places(Workers *w, unsigned lane, unsigned places)
{
    assert(places <= LANE_PLACES_MAX);
    w->lanes[lane].places = places;
    call_for_worker(w);
}

void workers_add_job(Workers *w, Job *job)
{
    job->next = NULL;
    *w->jobs_end = job;
    w->jobs_end = &job->next;
    call_for_worker(w);
}

static void leave_behind(Workers *w, Caller *c)
{
    unsigned lane = w->ops->lane_of((unsigned) c->kind);

    if (c->left_behind || w->left_behind >= CALLS_LEFT_BEHIND_MAX)
        return;
    c->left_behind = true;
    w->left_behind++;
    w->lanes[lane].outstanding--;
    w->ops->left_behind(w->userdata, c, lane);
}

/* Returns true if callers wait for the lane and slow calls hold all its places. */
static bool lane_is_held(const Workers *w, unsigned lane, usec_t now_usec)
{
    const Lane *l = &w->lanes[lane];
    unsigned slow = 0;

    if (!l->queue.head || l->outstanding < l->places)
        return false;
    for (const Caller *c = w->running.head; c; c = c->next)
        if (!c->left_behind && w->ops->lane_of((unsigned) c->kind) == lane &&
            usec_since(c->started_usec, now_usec) >= w->held_usec)
            slow++;
    return slow == l->outstanding;
}

void workers_tick(Workers *w, usec_t now_usec)
{
    bool held[LANES_MAX];

    for (unsigned i = 0; i < LANES_MAX; i++)
        held[i] = lane_is_held(w, i, now_usec);
    for (Caller *c = w->running.head; c; c = c->next) {
        bool too_long = usec_since(c->started_usec, now_usec) >= CALL_STUCK_USEC;

        if (too_long || held[w->ops->lane_of((unsigned) c->kind)])
            leave_behind(w, c);
        if (too_long && !c->stuck) {
            c->stuck = true;
            w->stuck++;
            w->ops->stuck(w->userdata, c, true);
        }
    }
    call_for_worker(w);
}

bool workers_busy(const Workers *w)
{
    return w->outstanding > 0 || can_begin(w);
}

void workers_counters(const Workers *w, WorkersCounters *ret)
{
    *ret = (WorkersCounters){
        .calls = w->calls,
        .outstanding = w->outstanding,
        .stuck = w->stuck,
        .left_behind = w->left_behind,
        .threads = w->threads,
    };
}
