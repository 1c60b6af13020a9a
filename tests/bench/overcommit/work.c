/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The load of one guest in the overcommit bench. Runs inside it, statically linked.
 *
 *   work KIND MIB PACE PERIOD FROM TO LENGTH [before]
 *   work fragments MIB         frees MIB in pieces of up to 63 pages, and keeps the page between two of them
 *
 * Works for LENGTH seconds from SIGUSR1 on, in each PERIOD from second FROM to second TO. It asks for PACE
 * pages per second, in requests of 256 pages, each at a random place of MIB. "before": it works like that
 * before the signal, too, and this does not count.
 *
 *   fresh    memory that it takes when it begins to work and frees when it rests
 *   kept     memory that it took at its start
 *   reread   the first MIB of the lab's disk, through the page cache
 *   churn    takes memory, touches all of it in order, frees it, and so on
 *
 * Prints its pid when all is ready, and continues in the background. When it ends the result is in /run/work:
 * a line of JSON with the pages of each second, and how many requests took how long. A late request holds up
 * those after it: each of these counts as late by what is left of that, as if it had been sent on time. */

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE     4096UL
#define MIB      (1024UL * 1024UL)
#define REQUEST  256UL /* pages */
#define DISK     "/dev/vda"
#define RESULT   "/run/work"
#define SECONDS  2048
/* Of latencies: the n-th holds those up to 2^(n/4) microseconds. */
#define BUCKETS  128
/* A guest that was held up may catch up with this many requests; the others are lost. */
#define CATCH_UP 10

typedef enum Kind { FRESH, KEPT, REREAD, CHURN } Kind;

typedef struct Work {
    Kind kind;
    unsigned long mib;
    double pace, period, from, to, length;
    bool before;
    unsigned char *memory; /* NULL: none is held now */
    int disk;
    unsigned long at; /* churn: the next MiB */
    uint64_t random;
} Work;

typedef struct Result {
    uint64_t pages[SECONDS];
    uint64_t late[BUCKETS];
} Result;

static volatile sig_atomic_t go;

static void on_go(int signal)
{
    (void) signal;
    go = 1;
}

static int fail(const char *what)
{
    fprintf(stderr, "work: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

/* A signal may end it early. */
static void rest(double for_seconds)
{
    if (for_seconds <= 0)
        return;
    struct timespec t = {.tv_sec = (time_t) for_seconds,
                         .tv_nsec = (long) ((for_seconds - (double) (time_t) for_seconds) * 1e9)};
    nanosleep(&t, NULL);
}

static unsigned long below(Work *w, unsigned long limit)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (unsigned long) (w->random % limit);
}

static unsigned char *take(unsigned long mib)
{
    unsigned char *p =
        mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        fail("mmap");
    return p;
}

static void touch(unsigned char *p, unsigned long pages, uint64_t seed)
{
    /* No page equals another, so that nothing merges them. */
    for (unsigned long i = 0; i < pages; i++)
        *(volatile uint64_t *) (p + i * PAGE) += (i + 1) * UINT64_C(0x9E3779B97F4A7C15) + seed;
}

static void begin(Work *w)
{
    if (w->kind == FRESH || w->kind == CHURN)
        w->memory = take(w->mib);
    w->at = 0;
}

static void end(Work *w)
{
    if (w->kind == FRESH || w->kind == CHURN) {
        munmap(w->memory, w->mib * MIB);
        w->memory = NULL;
    }
}

static void request(Work *w)
{
    static char buffer[REQUEST * PAGE];

    switch (w->kind) {
    case REREAD:
        if (pread(w->disk, buffer, sizeof(buffer), (off_t) (below(w, w->mib) * MIB)) !=
            (ssize_t) sizeof(buffer))
            fail(DISK);
        break;
    case CHURN:
        touch(w->memory + w->at * MIB, REQUEST, w->random);
        if (++w->at == w->mib) {
            end(w);
            begin(w);
        }
        break;
    case FRESH:
    case KEPT:
        touch(w->memory + below(w, w->mib) * MIB, REQUEST, w->random);
        break;
    }
}

static void count_late(Result *r, double took, double interval)
{
    for (; took > 0; took -= interval) {
        double n = ceil(4 * log2(fmax(1, took * 1e6)));
        r->late[n < BUCKETS ? (int) n : BUCKETS - 1]++;
    }
}

/* One spell of work: from now on until this end, in seconds since zero. */
static void work(Work *w, Result *r, double zero, double until)
{
    const double interval = (double) REQUEST / w->pace;
    double due = seconds() - zero;

    begin(w);
    for (;;) {
        double now = seconds() - zero;
        if (now < due)
            rest(due - now);
        double sent = fmax(now, due);
        if (sent >= until || (!r && go))
            break;
        request(w);
        double done = seconds() - zero;
        if (r) {
            count_late(r, fmin(done, until) - sent, interval);
            if (done < until && done < SECONDS)
                r->pages[(int) done] += REQUEST;
        }
        due = fmax(due + interval, done - CATCH_UP * interval);
    }
    end(w);
}

static void run(Work *w, Result *r, double zero)
{
    for (;;) {
        double now = seconds() - zero, period = floor(now / w->period) * w->period;
        if (r ? now >= w->length : go)
            return;
        double from = period + w->from, to = period + w->to;
        if (now < from)
            rest(r ? fmin(from, w->length) - now : fmin(from - now, 0.1));
        else if (now < to)
            work(w, r, zero, r ? fmin(to, w->length) : to);
        else
            rest(r ? fmin(period + w->period, w->length) - now : fmin(period + w->period - now, 0.1));
    }
}

static void print(const Work *w, const Result *r)
{
    FILE *f = fopen(RESULT ".new", "w");

    if (!f)
        fail(RESULT);
    fprintf(f, "{\"pages\": [");
    for (int i = 0; i < (int) ceil(w->length) && i < SECONDS; i++)
        fprintf(f, "%s%llu", i ? ", " : "", (unsigned long long) r->pages[i]);
    fprintf(f, "], \"late\": {");
    const char *comma = "";
    for (int i = 0; i < BUCKETS; i++)
        if (r->late[i]) {
            fprintf(f, "%s\"%.0f\": %llu", comma, exp2(i / 4.0), (unsigned long long) r->late[i]);
            comma = ", ";
        }
    fprintf(f, "}}\n");
    if (fclose(f) != 0 || rename(RESULT ".new", RESULT) < 0)
        fail(RESULT);
}

/* The parent exits when the child is ready. */
static void detach(void (*prepare)(void *), void *userdata)
{
    int ready[2];
    char c;

    if (pipe(ready) < 0)
        fail("pipe");
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid > 0) {
        close(ready[1]);
        if (read(ready[0], &c, 1) != 1)
            exit(1);
        printf("%d\n", (int) pid);
        exit(0);
    }
    setsid();
    prepare(userdata);
    if (write(ready[1], "r", 1) != 1)
        exit(1);
    close(ready[1]);
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 2; fd++)
        dup2(null, fd);
}

static void prepare_work(void *userdata)
{
    Work *w = userdata;
    static char buffer[REQUEST * PAGE];

    if (w->kind == KEPT) {
        w->memory = take(w->mib);
        touch(w->memory, w->mib * MIB / PAGE, 1);
    }
    if (w->kind == REREAD) {
        w->disk = open(DISK, O_RDONLY | O_CLOEXEC);
        if (w->disk < 0)
            fail(DISK);
        /* Twice, or the kernel doesn't count it as in use. */
        for (int i = 0; i < 2; i++)
            for (unsigned long at = 0; at < w->mib; at++)
                if (pread(w->disk, buffer, sizeof(buffer), (off_t) (at * MIB)) != (ssize_t) sizeof(buffer))
                    fail(DISK);
    }
}

static void prepare_fragments(void *userdata)
{
    const unsigned long *mib = userdata, step = 64 * PAGE;
    unsigned char *p = take(*mib);

    /* A huge page would be freed as a whole. */
    if (madvise(p, *mib * MIB, MADV_NOHUGEPAGE) < 0)
        fail("madvise");
    touch(p, *mib * MIB / PAGE, 1);
    for (unsigned long at = 0; at < *mib * MIB; at += step)
        if (madvise(p + at + PAGE, step - PAGE, MADV_DONTNEED) < 0)
            fail("madvise");
}

static double number(const char *s)
{
    char *rest_of_it;
    double v = strtod(s, &rest_of_it);

    if (rest_of_it == s || *rest_of_it || !(v >= 0) || v > 1e9) {
        fprintf(stderr, "work: not a number: %s\n", s);
        exit(2);
    }
    return v;
}

static Kind kind_of(const char *s)
{
    static const char *const names[] = {"fresh", "kept", "reread", "churn"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(s, names[i]) == 0)
            return (Kind) i;
    fprintf(stderr, "work: not a kind of work: %s\n", s);
    exit(2);
}

int main(int argc, char *argv[])
{
    static Result result;

    if (argc == 3 && strcmp(argv[1], "fragments") == 0) {
        unsigned long mib = (unsigned long) number(argv[2]);
        detach(prepare_fragments, &mib);
        for (;;)
            pause();
    }
    if (argc < 8) {
        fprintf(stderr, "usage: work KIND MIB PACE PERIOD FROM TO LENGTH [before]\n");
        return 2;
    }
    Work w = {.kind = kind_of(argv[1]),
              .mib = (unsigned long) number(argv[2]),
              .pace = number(argv[3]),
              .period = number(argv[4]),
              .from = number(argv[5]),
              .to = number(argv[6]),
              .length = number(argv[7]),
              .before = argc > 8 && strcmp(argv[8], "before") == 0,
              .disk = -1,
              .random = UINT64_C(88172645463325252)};

    signal(SIGUSR1, on_go);
    detach(prepare_work, &w);
    double zero = seconds();
    while (!go)
        if (w.before)
            run(&w, NULL, zero);
        else
            rest(0.1);
    run(&w, &result, seconds());
    print(&w, &result);
    for (;; pause())
        ; /* what it keeps stays */
}
