/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The workers that call libvirt: one call at a time, and none that holds up others. */

#include <pthread.h>
#include <string.h>

#include "host-agent/libvirt/workers.h"
#include "tests/unit/run.h"

/* Kinds 0 and 1 go on lane 0, kinds 2 and 3 on lane 1. */
#define KINDS   4
#define CALLERS 32

/* A domain that answers after some time, or when the test lets it. */
typedef struct Dummy {
    Caller caller;
    unsigned index;
    usec_t takes_usec;
    bool stopped;
    unsigned begun[KINDS], done[KINDS];
    usec_t done_usec;
    bool stuck;
    unsigned under_way; /* without the lock: at most one */
} Dummy;

static pthread_mutex_t lock;
static pthread_cond_t changed;
static Workers *w;
static Dummy dummies[CALLERS];
static unsigned under_way[2], most_under_way[2], left_behind, order[64], n_order, ended;
static bool replace; /* give a lane another place for each one lost */
static unsigned places[2];

static unsigned lane_of(unsigned kind)
{
    return kind / 2;
}

static void on_begin(void *userdata, Caller *c, unsigned kind)
{
    Dummy *d = (Dummy *) c;

    d->begun[kind]++;
    under_way[lane_of(kind)]++;
    most_under_way[lane_of(kind)] = MAX(most_under_way[lane_of(kind)], under_way[lane_of(kind)]);
    if (n_order < ELEMENTSOF(order))
        order[n_order++] = d->index * 10 + kind;
}

static void on_run(void *userdata, Caller *c, unsigned kind)
{
    Dummy *d = (Dummy *) c;

    d->under_way++;
    ck_assert_uint_eq(d->under_way, 1);
    if (d->takes_usec > 0)
        usleep((useconds_t) d->takes_usec);
    pthread_mutex_lock(&lock);
    while (d->stopped)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    d->under_way--;
}

static void on_done(void *userdata, Caller *c, unsigned kind)
{
    Dummy *d = (Dummy *) c;

    under_way[lane_of(kind)]--;
    d->done[kind]++;
    d->done_usec = now_usec(CLOCK_MONOTONIC);
    pthread_cond_broadcast(&changed);
}

static void on_stuck(void *userdata, Caller *c, bool stuck)
{
    Dummy *d = (Dummy *) c;

    ck_assert(d->stuck != stuck);
    d->stuck = stuck;
}

static void on_left_behind(void *userdata, Caller *c, unsigned lane)
{
    left_behind++;
    if (!replace)
        workers_set_places(w, lane, --places[lane]);
}

static void on_ended(void *userdata)
{
    pthread_mutex_lock(&lock);
    ended++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static const WorkersOps ops = {
    .lane_of = lane_of,
    .begin = on_begin,
    .run = on_run,
    .done = on_done,
    .stuck = on_stuck,
    .left_behind = on_left_behind,
    .ended = on_ended,
};

static void set_places(unsigned lane0, unsigned lane1)
{
    places[0] = lane0;
    places[1] = lane1;
    workers_set_places(w, 0, lane0);
    workers_set_places(w, 1, lane1);
}

static void setup(void)
{
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&changed, NULL);
    ck_assert_int_eq(workers_new(&lock, &ops, NULL, &w), 0);
    for (unsigned i = 0; i < CALLERS; i++) {
        caller_init(&dummies[i].caller);
        dummies[i].index = i;
    }
    pthread_mutex_lock(&lock);
}

static void teardown(void)
{
    ck_assert(workers_stop(w, now_usec(CLOCK_MONOTONIC) + 5 * USEC_PER_SEC));
    pthread_mutex_unlock(&lock);
    w = workers_free(w);
}

static void ask(unsigned i, unsigned kind)
{
    ck_assert_int_eq(workers_ask(w, &dummies[i].caller, kind), 0);
}

/* Lets time pass, with the clock looked at as the owner does. */
static void pass(usec_t usec)
{
    usec_t end = now_usec(CLOCK_MONOTONIC) + usec;

    while (now_usec(CLOCK_MONOTONIC) < end) {
        pthread_mutex_unlock(&lock);
        usleep(10000);
        pthread_mutex_lock(&lock);
        workers_tick(w, now_usec(CLOCK_MONOTONIC));
    }
}

static void wait_done(unsigned i, unsigned kind, unsigned n)
{
    for (int tries = 0; dummies[i].done[kind] < n; tries++) {
        ck_assert_msg(tries < 500, "caller %u has no answer", i);
        pass(10 * USEC_PER_MSEC);
    }
}

static void go_on(unsigned i)
{
    dummies[i].stopped = false;
    pthread_cond_broadcast(&changed);
}

START_TEST(calls_are_made)
{
    ask(0, 0);
    ck_assert_uint_eq(dummies[0].begun[0], 0);
    set_places(2, 3);
    wait_done(0, 0, 1);
    ask(0, 2);
    wait_done(0, 2, 1);
    ck_assert(!workers_busy(w));
}
END_TEST

START_TEST(one_call_of_a_kind_and_one_under_way)
{
    set_places(2, 3);
    dummies[0].stopped = true;
    ask(0, 2);
    pass(20 * USEC_PER_MSEC);
    ck_assert_int_eq(workers_ask(w, &dummies[0].caller, 2), -EBUSY);
    ask(0, 0);
    ask(0, 3);
    ck_assert_int_eq(workers_ask(w, &dummies[0].caller, 0), -EBUSY);
    pass(20 * USEC_PER_MSEC);
    ck_assert_uint_eq(dummies[0].begun[0], 0);
    go_on(0);
    wait_done(0, 3, 1);
    ck_assert_uint_eq(dummies[0].done[0], 1);
    ck_assert(n_order == 3 && order[0] == 2 && order[1] == 0 && order[2] == 3);
}
END_TEST

START_TEST(more_urgent_calls_of_a_caller_go_first)
{
    ask(0, 1);
    ask(1, 1);
    ask(0, 0);
    set_places(1, 0);
    wait_done(0, 1, 1);
    wait_done(1, 1, 1);
    ck_assert(n_order == 3);
    ck_assert_uint_eq(order[0], 11); /* the other one keeps its turn */
    ck_assert_uint_eq(order[1], 0);
    ck_assert_uint_eq(order[2], 1);
}
END_TEST

START_TEST(lanes_have_as_many_calls_as_places)
{
    set_places(2, 3);
    for (unsigned i = 0; i < CALLERS; i++) {
        dummies[i].takes_usec = 3000;
        ask(i, i % KINDS);
    }
    for (unsigned i = 0; i < CALLERS; i++)
        wait_done(i, i % KINDS, 1);
    ck_assert_uint_eq(most_under_way[0], 2);
    ck_assert_uint_eq(most_under_way[1], 3);
    ck_assert_uint_eq(left_behind, 0);
}
END_TEST

START_TEST(stopped_ones_hold_nobody_up)
{
    usec_t began;

    replace = true;
    set_places(2, 3);
    for (unsigned i = 0; i < 7; i++) {
        dummies[i].stopped = true;
        ask(i, 2);
    }
    for (unsigned i = 7; i < CALLERS; i++)
        ask(i, 2);
    began = now_usec(CLOCK_MONOTONIC);
    for (unsigned i = 7; i < CALLERS; i++)
        wait_done(i, 2, 1);
    ck_assert_uint_lt(now_usec(CLOCK_MONOTONIC) - began, USEC_PER_SEC);
    for (unsigned i = 0; i < CALLERS; i++)
        ck_assert(!dummies[i].stuck);
    pass(CALL_STUCK_USEC);
    for (unsigned i = 0; i < CALLERS; i++)
        ck_assert(dummies[i].stuck == (i < 7));
    ck_assert_uint_eq(left_behind, 7);
    for (unsigned i = 0; i < 7; i++)
        go_on(i);
    for (unsigned i = 0; i < 7; i++) {
        wait_done(i, 2, 1);
        ck_assert(!dummies[i].stuck);
    }
}
END_TEST

START_TEST(not_more_than_so_many_are_left_behind)
{
    WorkersCounters counters;

    replace = true;
    set_places(2, 3);
    for (unsigned i = 0; i < 20; i++) {
        dummies[i].stopped = true;
        ask(i, 2);
    }
    for (unsigned i = 20; i < CALLERS; i++)
        ask(i, 0);
    pass(CALL_STUCK_USEC + USEC_PER_SEC);
    workers_counters(w, &counters);
    ck_assert_uint_eq(left_behind, CALLS_LEFT_BEHIND_MAX);
    ck_assert_uint_eq(counters.outstanding, CALLS_LEFT_BEHIND_MAX + 3);
    /* The other lane continues. */
    for (unsigned i = 20; i < CALLERS; i++)
        ck_assert_uint_eq(dummies[i].done[0], 1);
    for (unsigned i = 0; i < 20; i++)
        go_on(i);
    for (unsigned i = 0; i < 20; i++)
        wait_done(i, 2, 1);
    workers_counters(w, &counters);
    ck_assert_uint_eq(counters.outstanding + counters.left_behind + counters.stuck, 0);
}
END_TEST

START_TEST(lanes_without_replacement_wait)
{
    set_places(0, 1);
    dummies[0].stopped = true;
    ask(0, 2);
    ask(1, 2);
    pass(CALL_HELD_USEC + 100 * USEC_PER_MSEC);
    ck_assert_uint_eq(left_behind, 1);
    ck_assert_uint_eq(dummies[1].begun[2], 0);
    set_places(0, 1);
    wait_done(1, 2, 1);
    go_on(0);
    wait_done(0, 2, 1);
}
END_TEST

/* When all domains are slow none hangs: after a few false alarms the limit is raised. */
START_TEST(slowness_isnt_taken_for_a_hang)
{
    replace = true;
    set_places(0, 3);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 12; i++) {
            dummies[i].takes_usec = CALL_HELD_USEC + 100 * USEC_PER_MSEC;
            ask(i, 2);
        }
        for (unsigned i = 0; i < 12; i++)
            wait_done(i, 2, round + 1);
        if (round == 0)
            left_behind = 0;
    }
    ck_assert_uint_le(left_behind, 6);
}
END_TEST

START_TEST(cancelled_and_blocked_calls_arent_made)
{
    ask(0, 0);
    ask(0, 3);
    ck_assert_uint_eq(workers_cancel(w, &dummies[0].caller, 0xf), (1U << 0) | (1U << 3));
    ask(1, 1);
    ask(1, 2);
    workers_block(w, &dummies[1].caller, 1U << 1);
    set_places(2, 3);
    wait_done(1, 2, 1);
    pass(20 * USEC_PER_MSEC);
    ck_assert_uint_eq(dummies[0].begun[0] + dummies[0].begun[3] + dummies[1].begun[1], 0);
    workers_block(w, &dummies[1].caller, 0);
    wait_done(1, 1, 1);
}
END_TEST

typedef struct TestJob {
    Job job;
    bool ran, done;
} TestJob;

static void job_run(Job *job)
{
    ((TestJob *) job)->ran = true;
}

static void job_done(Job *job)
{
    ((TestJob *) job)->done = true;
}

START_TEST(jobs_are_done_also_while_stopping)
{
    TestJob jobs[10] = {0};

    for (size_t i = 0; i < ELEMENTSOF(jobs); i++) {
        jobs[i].job = (Job){.run = job_run, .done = job_done};
        workers_add_job(w, &jobs[i].job);
    }
    ck_assert(workers_stop(w, now_usec(CLOCK_MONOTONIC) + 5 * USEC_PER_SEC));
    for (size_t i = 0; i < ELEMENTSOF(jobs); i++)
        ck_assert(jobs[i].ran && jobs[i].done);
}
END_TEST

START_TEST(a_hung_call_doesnt_hold_the_end)
{
    usec_t began = now_usec(CLOCK_MONOTONIC);

    set_places(2, 3);
    dummies[0].stopped = true;
    ask(0, 2);
    ask(1, 2);
    wait_done(1, 2, 1);
    ck_assert(!workers_stop(w, now_usec(CLOCK_MONOTONIC) + 200 * USEC_PER_MSEC));
    ck_assert_uint_lt(now_usec(CLOCK_MONOTONIC) - began, USEC_PER_SEC);
    ck_assert_uint_eq(ended, 0);
    go_on(0);
    while (ended == 0)
        pthread_cond_wait(&changed, &lock);
    ck_assert_uint_eq(dummies[0].done[2], 1);
}
END_TEST

START_TEST(many_calls_of_many_callers)
{
    unsigned asked[CALLERS][KINDS] = {0};
    uint64_t calls = 0;
    WorkersCounters counters;

    set_places(2, 3);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned i = (round * 7) % CALLERS, kind = (round * 5) % KINDS;

        if (workers_ask(w, &dummies[i].caller, kind) >= 0) {
            asked[i][kind]++;
            calls++;
        }
        if (round % 50 == 0) {
            pthread_mutex_unlock(&lock);
            usleep(100);
            pthread_mutex_lock(&lock);
        }
    }
    for (unsigned i = 0; i < CALLERS; i++)
        for (unsigned kind = 0; kind < KINDS; kind++)
            wait_done(i, kind, asked[i][kind]);
    workers_counters(w, &counters);
    ck_assert_uint_eq(counters.calls, calls);
    ck_assert_uint_le(most_under_way[0], 2);
    ck_assert_uint_le(most_under_way[1], 3);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virt-workers");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, calls_are_made);
    tcase_add_test(tc, one_call_of_a_kind_and_one_under_way);
    tcase_add_test(tc, more_urgent_calls_of_a_caller_go_first);
    tcase_add_test(tc, lanes_have_as_many_calls_as_places);
    tcase_add_test(tc, stopped_ones_hold_nobody_up);
    tcase_add_test(tc, not_more_than_so_many_are_left_behind);
    tcase_add_test(tc, lanes_without_replacement_wait);
    tcase_add_test(tc, slowness_isnt_taken_for_a_hang);
    tcase_add_test(tc, cancelled_and_blocked_calls_arent_made);
    tcase_add_test(tc, jobs_are_done_also_while_stopping);
    tcase_add_test(tc, a_hung_call_doesnt_hold_the_end);
    tcase_add_test(tc, many_calls_of_many_callers);

    return run_tests(tc);
}
