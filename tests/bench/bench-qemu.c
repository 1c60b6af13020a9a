/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What it costs to look at the guests' QEMU processes: with 10, 100 and 1,000 of them, to find all of them, and to look
 * at each once: at those whose resident memory has changed, and at those where it has not. One line for each figure, "metric value unit". The processes are this program's own, with a UUID among
 * their arguments, and as many threads as a QEMU with two CPUs; the kernel adds up the times of all of them. */

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host-agent/sense/qemu.h"

#define PROCESSES_MAX 1000U
#define THREADS       5U
#define STACK_BYTES   (64U * 1024)
#define TURNS         21 /* the median of these counts */

typedef struct World {
    QemuReader reader;
    QemuProcess processes[PROCESSES_MAX];
    QemuWanted wanted[PROCESSES_MAX];
    pid_t pids[PROCESSES_MAX];
    unsigned n;
} World;

/* This program's own time, in the kernel, too. */
static double now_exact_usec(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}

static void *wait_for_ever(void *userdata)
{
    for (;;)
        (void) pause();
    return NULL;
}

/* A process that is looked at. It ends with this program. */
static int stand_in(void)
{
    pthread_attr_t attributes;
    pthread_t thread;

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void) pthread_attr_init(&attributes);
    (void) pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (unsigned i = 1; i < THREADS; i++)
        (void) pthread_create(&thread, &attributes, wait_for_ever, NULL);
    (void) wait_for_ever(NULL);
    return EXIT_SUCCESS;
}

static int start(World *w, unsigned n)
{
    for (; w->n < n; w->n++) {
        char *uuid = w->wanted[w->n].uuid;
        pid_t pid;

        (void) snprintf(uuid, QEMU_UUID_MAX, "00000000-0000-4000-8000-%012u", w->n);
        w->wanted[w->n].user = getuid();
        pid = fork();
        if (pid == 0) {
            execl("/proc/self/exe", "qemu-system-x86_64", "-name", "guest=stand-in,debug-threads=on", "-uuid",
                  uuid, NULL);
            _exit(EXIT_FAILURE);
        }
        if (pid < 0)
            return -errno;
        w->pids[w->n] = pid;
    }
    return 0;
}

static void stop(World *w)
{
    for (unsigned i = 0; i < w->n; i++) {
        qemu_process_done(&w->processes[i]);
        (void) kill(w->pids[i], SIGKILL);
        (void) waitpid(w->pids[i], NULL, 0);
    }
    qemu_reader_done(&w->reader);
}

static double time_find(World *w)
{
    _Atomic pid_t at;
    double begin, end;

    for (unsigned i = 0; i < w->n; i++)
        w->wanted[i].pid = 0;
    begin = now_exact_usec();
    if (qemu_find("/proc", w->wanted, w->n, &at) != (int) w->n)
        return NAN;
    end = now_exact_usec();
    for (unsigned i = 0; i < w->n; i++) {
        qemu_process_done(&w->processes[i]);
        w->processes[i] = (QemuProcess){.pid = w->wanted[i].pid, .start_ticks = w->wanted[i].start_ticks};
    }
    return end - begin;
}

/* changed: the resident memory of all of them has changed since the last look. */
static double time_looks(World *w, bool changed)
{
    double begin;
    ProcessLook l;

    for (unsigned i = 0; changed && i < w->n; i++)
        w->processes[i].known = (ProcessLook){};
    begin = now_exact_usec();
    for (unsigned i = 0; i < w->n; i++)
        if (qemu_look(&w->reader, &w->processes[i], false, &l) < 0)
            return NAN;
    return now_exact_usec() - begin;
}

/* All of them have begun, and have their arguments. */
static bool wait_for_all(World *w)
{
    const struct timespec moment = {.tv_nsec = 50 * 1000 * 1000};

    for (unsigned i = 0; i < 600; i++) {
        if (!isnan(time_find(w)))
            return true;
        (void) nanosleep(&moment, NULL);
    }
    return false;
}

static bool measure(World *w, unsigned n)
{
    double finds[TURNS], looks[TURNS], changed[TURNS];

    if (start(w, n) < 0 || !wait_for_all(w)) {
        fprintf(stderr, "Cannot start %u processes: %s\n", n, strerror(errno));
        return false;
    }
    for (unsigned i = 0; i < TURNS; i++) {
        finds[i] = time_find(w);
        changed[i] = time_looks(w, true);
        looks[i] = time_looks(w, false);
    }
    qsort(finds, TURNS, sizeof(finds[0]), compare_doubles);
    qsort(looks, TURNS, sizeof(looks[0]), compare_doubles);
    qsort(changed, TURNS, sizeof(changed[0]), compare_doubles);
    printf("qemu_find_%u %.0f us\n", n, finds[TURNS / 2]);
    printf("qemu_look_%u %.1f us\n", n, looks[TURNS / 2] / n);
    printf("qemu_look_at_changed_%u %.1f us\n", n, changed[TURNS / 2] / n);
    printf("qemu_looks_%u_each_second %.2f %%\n", n, looks[TURNS / 2] / 1e4);
    printf("qemu_looks_%u_each_5_seconds %.2f %%\n", n, looks[TURNS / 2] / 5e4);
    return true;
}

int main(int argc, char **argv)
{
    static const unsigned counts[] = {10, 100, PROCESSES_MAX};
    static World w;
    bool good = true;

    if (argc > 1 && strcmp(argv[1], "-name") == 0)
        return stand_in();
    qemu_reader_init(&w.reader, "/proc");
    for (size_t i = 0; i < ELEMENTSOF(counts) && good; i++)
        good = measure(&w, counts[i]);
    stop(&w);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
