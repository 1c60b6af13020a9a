/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Load for a lab guest. Runs inside it, statically linked.
 *
 *   load hold MIB [MIB_PER_SEC]   takes MIB, writes to each page, and keeps rewriting them at that pace
 *   load cache MIB [again]        reads MIB of the lab's disk into page cache; "again": for ever
 *   load equal MIB                takes MIB of pages that differ from each other but not from guest to guest
 *   load free MIB                 takes MIB and lets go of it: free in the guest, resident on the host, but zero: a
 *                                 host's kernel may let go of such memory without swapping it
 *   load dirty MIB                the same, with content in each page, as programs leave it
 *   load fragments MIB            takes MIB and frees 63 of 64 pages, which free page reporting doesn't reach
 *
 * hold, equal, fragments and "cache … again" return when everything was touched once, print the pid of what
 * goes on in the background, and count the pages touched since in /run/load/PID. */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE      4096UL
#define MIB       (1024UL * 1024UL)
#define CHUNK     (256UL * 1024UL)
#define DISK      "/dev/vda"
#define PACE_MIBS 32UL

static int fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    return 1;
}

static unsigned long number(const char *s)
{
    char *end;
    unsigned long v = strtoul(s, &end, 10);

    if (end == s || *end != '\0' || v == 0 || v > 1024UL * 1024UL) {
        fprintf(stderr, "load: not a number of MiB: %s\n", s);
        exit(2);
    }
    return v;
}

/* Detaches. The parent waits until the child says that it is ready, prints its pid and exits. */
static int background(void)
{
    int ready[2];
    char c;

    if (pipe2(ready, O_CLOEXEC) < 0)
        exit(fail("pipe"));
    pid_t pid = fork();
    if (pid < 0)
        exit(fail("fork"));
    if (pid > 0) {
        close(ready[1]);
        if (read(ready[0], &c, 1) != 1) {
            fprintf(stderr, "load: %d ended before it was ready\n", (int) pid);
            exit(1);
        }
        printf("%d\n", (int) pid);
        exit(0);
    }
    setsid();
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
    return ready[1];
}

static int counter_open(void)
{
    char path[64];

    mkdir("/run/load", 0755);
    snprintf(path, sizeof(path), "/run/load/%d", (int) getpid());
    return open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
}

static void count(int fd, uint64_t pages)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%20llu\n", (unsigned long long) pages);

    if (pwrite(fd, text, (size_t) n, 0) < 0)
        exit(1);
}

static void pause_msec(long msec)
{
    nanosleep(&(struct timespec){.tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000}, NULL);
}

/* The content differs from page to page, so that nothing merges them; and with another seed, from one who
 * takes to the next. */
static unsigned char *take(unsigned long mib, uint64_t seed)
{
    unsigned char *p =
        mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        exit(fail("mmap"));
    for (unsigned long i = 0; i < mib * MIB / PAGE; i++)
        *(volatile uint64_t *) (p + i * PAGE) = i * UINT64_C(0x9E3779B97F4A7C15) + seed;
    return p;
}

static int hold(unsigned long mib, unsigned long pace)
{
    const unsigned long pages = mib * MIB / PAGE, per_tick = pace * MIB / PAGE / 10 + 1;
    uint64_t done = 0;
    int ready = background();
    unsigned char *p = take(mib, (uint64_t) getpid());
    int counter = counter_open();

    if (write(ready, "r", 1) != 1)
        return 1;
    close(ready);
    for (;;) {
        for (unsigned long i = 0; i < per_tick; i++, done++)
            (*(volatile uint64_t *) (p + done % pages * PAGE))++;
        count(counter, done);
        pause_msec(100);
    }
}

static int equal(unsigned long mib)
{
    int ready = background();

    (void) take(mib, 1);
    count(counter_open(), mib * MIB / PAGE);
    if (write(ready, "r", 1) != 1)
        return 1;
    close(ready);
    for (;;)
        pause();
}

static int fragments(unsigned long mib)
{
    const unsigned long step = 64 * PAGE;
    int ready = background();
    unsigned char *p =
        mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    /* A huge page would be freed as a whole. */
    if (p == MAP_FAILED || madvise(p, mib * MIB, MADV_NOHUGEPAGE) < 0)
        return fail("mmap");
    for (unsigned long at = 0; at < mib * MIB; at += PAGE)
        *(volatile uint64_t *) (p + at) = at + (uint64_t) getpid();
    for (unsigned long at = 0; at < mib * MIB; at += step)
        if (madvise(p + at + PAGE, step - PAGE, MADV_DONTNEED) < 0)
            return fail("madvise");
    count(counter_open(), mib * MIB / PAGE);
    if (write(ready, "r", 1) != 1)
        return 1;
    close(ready);
    for (;;)
        pause();
}

static int touch_and_free(unsigned long mib, bool dirty)
{
    /* A fault for each page would cost seconds under TCG. */
    unsigned char *p =
        mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (p == MAP_FAILED)
        return fail("mmap");
    for (unsigned long at = 0; dirty && at < mib * MIB; at += PAGE)
        *(volatile uint64_t *) (p + at) = at + (uint64_t) getpid();
    return 0;
}

/* Into page cache alone. */
static int fetch_once(int fd, unsigned long mib)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    off_t at = 0;

    if (null < 0)
        return -errno;
    while (at < (off_t) (mib * MIB)) {
        (void) readahead(fd, at, 2 * MIB);
        ssize_t n = sendfile(null, fd, &at, 2 * MIB);
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
    }
    close(null);
    return 0;
}

static int read_once(int fd, char *buf, unsigned long mib)
{
    for (unsigned long at = 0; at < mib * MIB; at += CHUNK) {
        ssize_t n = pread(fd, buf, CHUNK, (off_t) at);
        if (n < 0)
            return -errno;
        if (n == 0)
            return -ENOSPC;
    }
    return 0;
}

static int cache(unsigned long mib, bool again)
{
    static char buf[CHUNK];
    uint64_t done = 0;
    int fd = open(DISK, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return fail(DISK);
    int ready = again ? background() : -1;
    int r = again ? read_once(fd, buf, mib) : fetch_once(fd, mib);
    if (r < 0) {
        errno = -r;
        return fail(DISK);
    }
    if (!again)
        return 0;
    int counter = counter_open();
    if (write(ready, "r", 1) != 1)
        return 1;
    close(ready);
    while (read_once(fd, buf, mib) == 0) {
        done += mib * MIB / PAGE;
        count(counter, done);
        pause_msec(100);
    }
    return 1;
}

int main(int argc, char *argv[])
{
    if (argc >= 3 && strcmp(argv[1], "hold") == 0)
        return hold(number(argv[2]), argc > 3 ? number(argv[3]) : PACE_MIBS);
    if (argc >= 3 && strcmp(argv[1], "cache") == 0)
        return cache(number(argv[2]), argc > 3 && strcmp(argv[3], "again") == 0);
    if (argc >= 3 && strcmp(argv[1], "equal") == 0)
        return equal(number(argv[2]));
    if (argc >= 3 && strcmp(argv[1], "free") == 0)
        return touch_and_free(number(argv[2]), false);
    if (argc >= 3 && strcmp(argv[1], "dirty") == 0)
        return touch_and_free(number(argv[2]), true);
    if (argc >= 3 && strcmp(argv[1], "fragments") == 0)
        return fragments(number(argv[2]));
    fprintf(stderr, "usage: load hold|cache|equal|free|dirty|fragments MIB …\n");
    return 2;
}
