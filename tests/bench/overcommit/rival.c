/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's kernel can do without its host: the rivals of the overcommit bench that run in the guest.
 * Statically linked; needs root.
 *
 *   rival compact            compacts each 5 s
 *   rival reclaim            each second 16 MiB of page cache through the root cgroup's memory.reclaim, with
 *                            vm.swappiness=0. More than 64 refaults of file pages in a second double a wait
 *                            that starts at 5 s and ends at 60
 *   rival idle SECONDS       after that long without work: compacts, then drops the page cache, once until it
 *                            works again (the rule of WSL2, which waits two minutes)
 *   rival ages SECONDS       ages the page cache each period (MGLRU), evicts what was not used for three of
 *                            them, then compacts; no eviction while memory stalls for more than 1 % of the
 *                            time (the rule of Kata's mem-agent, whose period is ten minutes)
 *
 * Prints "ready" when it can do that, else says why not and exits with 1. Runs until it is killed. */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CGROUP  "/run/cgroup"
#define DEBUGFS "/run/debug"
#define AGES    DEBUGFS "/lru_gen"
#define PAGE    4096L

/* Less than this of a CPU is no work. */
static const double IDLE_CPU = 0.05;

static int fail(const char *what)
{
    printf("rival: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void rest(long seconds)
{
    nanosleep(&(struct timespec){.tv_sec = seconds}, NULL);
}

static int put(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int put(const char *path, const char *format, ...)
{
    char text[128];
    va_list ap;

    va_start(ap, format);
    int n = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = write(fd, text, (size_t) n) < 0 ? -errno : 0;
    close(fd);
    return r;
}

static void must_put(const char *path, const char *text)
{
    int r = put(path, "%s", text);

    if (r < 0) {
        errno = -r;
        fail(path);
    }
}

static void get(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t n = 0;

    if (fd < 0)
        fail(path);
    for (ssize_t got; n < size - 1 && (got = read(fd, buffer + n, size - 1 - n)) > 0;)
        n += (size_t) got;
    buffer[n] = '\0';
    close(fd);
}

static uint64_t vmstat(const char *name)
{
    char text[16384], key[64];

    get("/proc/vmstat", text, sizeof(text));
    snprintf(key, sizeof(key), "\n%s ", name);
    const char *at = strstr(text, key);
    return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* The share of one CPU that works: user, nice, system. Since the last call. */
static double cpu_used(void)
{
    static uint64_t before_busy, before_all;
    char text[4096];
    unsigned long long v[8] = {};

    get("/proc/stat", text, sizeof(text));
    sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6,
           v + 7);
    uint64_t busy = v[0] + v[1] + v[2], all = 0;
    for (int i = 0; i < 8; i++)
        all += v[i];
    double used = all > before_all ? (double) (busy - before_busy) / (double) (all - before_all) : 0;
    before_busy = busy;
    before_all = all;
    return used;
}

static double psi_some_avg10(void)
{
    char text[512];
    double v = 0;

    get("/proc/pressure/memory", text, sizeof(text));
    sscanf(text, "some avg10=%lf", &v);
    return v;
}

static void compact(void)
{
    must_put("/proc/sys/vm/compact_memory", "1");
}

static void mount_at(const char *folder, const char *kind, const char *needed)
{
    mkdir(folder, 0700);
    if (access(needed, W_OK) < 0 && mount("none", folder, kind, 0, NULL) < 0)
        fail(kind);
    if (access(needed, W_OK) < 0)
        fail(needed);
}

static void ready(void)
{
    printf("ready\n");
    fflush(stdout);
}

static void compact_loop(void)
{
    for (ready();; rest(5))
        compact();
}

static void reclaim_loop(void)
{
    long wait = 5;

    mount_at(CGROUP, "cgroup2", CGROUP "/memory.reclaim");
    must_put("/proc/sys/vm/swappiness", "0");
    ready();
    for (;;) {
        uint64_t before = vmstat("workingset_refault_file");
        put(CGROUP "/memory.reclaim", "16M"); /* EAGAIN: it got less */
        rest(1);
        if (vmstat("workingset_refault_file") - before > 64) {
            rest(wait);
            wait = wait * 2 < 60 ? wait * 2 : 60;
        }
    }
}

static void idle_loop(long idle_seconds)
{
    long quiet = 0;

    cpu_used();
    ready();
    for (;; rest(1)) {
        if (cpu_used() > IDLE_CPU) {
            quiet = 0;
            continue;
        }
        if (++quiet == idle_seconds) {
            compact();
            must_put("/proc/sys/vm/drop_caches", "1");
            quiet++;
        }
    }
}

/* The pages of one memory cgroup on one node, as MGLRU lists them. */
typedef struct Ages {
    unsigned long cgroup, node, oldest, newest; /* the last two: numbers of generations */
    unsigned long long file;                    /* file pages in the oldest */
    bool any;
} Ages;

/* What was not used for three agings. */
static bool evict_old(const Ages *a)
{
    return a->newest - a->oldest >= 3 && a->file > 0 &&
           put(AGES, "- %lu %lu %lu 0 %llu", a->cgroup, a->node, a->oldest, a->file) == 0;
}

static bool age(const Ages *a)
{
    return put(AGES, "+ %lu %lu %lu", a->cgroup, a->node, a->newest) == 0;
}

/* Whether act() did something on any of them. */
static bool for_all_ages(bool (*act)(const Ages *))
{
    char text[16384], *save;
    unsigned long generation;
    unsigned long long msec, anon, file;
    Ages a = {};
    bool acted = false;

    get(AGES, text, sizeof(text));
    for (char *line = strtok_r(text, "\n", &save);; line = strtok_r(NULL, "\n", &save)) {
        bool generations = line && sscanf(line, "%lu %llu %llu %llu", &generation, &msec, &anon, &file) == 4;
        if (a.any && !generations) {
            acted = act(&a) || acted;
            a.any = false;
        }
        if (!line)
            return acted;
        if (generations) {
            if (!a.any) {
                a.oldest = generation;
                a.file = file;
            }
            a.newest = generation;
            a.any = true;
        } else if (sscanf(line, "memcg %lu", &a.cgroup) != 1)
            (void) sscanf(line, " node %lu", &a.node);
    }
}

static void age_loop(long period)
{
    mount_at(DEBUGFS, "debugfs", AGES);
    must_put("/sys/kernel/mm/lru_gen/enabled", "y");
    ready();
    for (;;) {
        rest(period);
        if (psi_some_avg10() > 1)
            continue;
        bool evicted = for_all_ages(evict_old);
        for_all_ages(age);
        if (evicted)
            compact();
    }
}

int main(int argc, char *argv[])
{
    const char *what = argc > 1 ? argv[1] : "";
    long seconds = argc > 2 ? strtol(argv[2], NULL, 10) : 0;

    if (strcmp(what, "compact") == 0)
        compact_loop();
    if (strcmp(what, "reclaim") == 0)
        reclaim_loop();
    if (strcmp(what, "idle") == 0 && seconds > 0)
        idle_loop(seconds);
    if (strcmp(what, "ages") == 0 && seconds > 0)
        age_loop(seconds);
    fprintf(stderr, "usage: rival compact|reclaim|idle SECONDS|ages SECONDS\n");
    return 2;
}
