/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest that means harm, run in a lab guest in the agent's place: hostile MODE PORT
 *
 *   rubbish  bytes that are no frame, as many as go through
 *   flood    says Hello, is welcomed, and sends true reports without a pause
 *   lie      says Hello, is welcomed, and sends well-formed reports that can't be true
 *   boast    says Hello, is welcomed, and reports the utmost that may be true in all fields, and distress
 *   hello    says Hello, and then neither reads nor sends anything
 *   flip     reports that nearly all of its memory is free, a second later that none is, and so on
 *   distress reports that nothing is free, always as distress
 *   replay   sends its first report again between others
 *   reopen   opens its port, says Hello, reports, says Goodbye and closes it, again and again
 *   balloon  says as its balloon's driver that the balloon is empty, larger than the guest, and 128 MiB
 *
 * SIGTERM ends it; the balloon's true size is back then. Speaks the protocol from its description (proto/frame.h, guest.proto) with code of its own, so that a
 * mistake in the project's codec isn't made twice. For ever; a port that the host closed is waited for. */

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#define HEADER 12U

/* Field numbers of guest.proto. */
enum {
    ENVELOPE_NONCE = 1,
    ENVELOPE_HELLO = 2,
    ENVELOPE_REPORT = 5,
    ENVELOPE_DISTRESS = 6,
    ENVELOPE_GOODBYE = 7
};
enum { HELLO_PROTOCOL = 1, HELLO_VERSION = 2, HELLO_BOOT_ID = 3, HELLO_BOOT_USEC = 4 };
enum {
    REPORT_AT = 1,
    REPORT_TOTAL = 2,
    REPORT_FREE = 3,
    REPORT_AVAILABLE = 4,
    REPORT_SWAP_TOTAL = 7,
    REPORT_SWAP_FREE = 8,
    REPORT_FAULTS = 9,
    REPORT_SCAN_KSWAPD = 14,
    REPORT_STEAL_KSWAPD = 15,
    REPORT_SWAP_IN = 18,
    REPORT_OOM_KILLS = 26,
    REPORT_PSI_FIRST = 27, /* averages and totals by turns */
    REPORT_LAST = 34
};
enum { DISTRESS_CAUSE = 1, DISTRESS_REPORT = 2, CAUSE_PSI = 1, CAUSE_OOM = 4 };

typedef struct Buffer {
    uint8_t data[1024];
    size_t fill;
} Buffer;

typedef struct Port {
    int fd;
    uint8_t seen[4096]; /* the last that the host sent */
    size_t n_seen;
    bool welcomed;
    uint32_t nonce;
} Port;

static void put_varint(Buffer *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        b->data[b->fill++] = (uint8_t) (v | 0x80);
    b->data[b->fill++] = (uint8_t) v;
}

static void put_number(Buffer *b, unsigned field, uint64_t v)
{
    put_varint(b, field << 3);
    put_varint(b, v);
}

static void put_bytes(Buffer *b, unsigned field, const void *data, size_t n)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, n);
    memcpy(b->data + b->fill, data, n);
    b->fill += n;
}

static uint32_t crc32c(uint32_t crc, const uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82F63B78) : 0);
    }
    return crc;
}

static uint64_t boot_usec(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

static void pause_msec(long msec)
{
    nanosleep(&(struct timespec){.tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000}, NULL);
}

static void port_write(const Port *p, const void *data, size_t n)
{
    const uint8_t *at = data;

    while (n > 0) {
        ssize_t r = write(p->fd, at, n);
        if (r < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != EPIPE)
                fprintf(stderr, "hostile: write: %s\n", strerror(errno));
            pause_msec(100);
            return;
        }
        at += r;
        n -= (size_t) r;
    }
}

static void send_frame(const Port *p, const Buffer *payload)
{
    uint8_t frame[HEADER + sizeof(payload->data)] = {'B', 'L', 'S', 'T'};
    uint32_t crc;

    frame[4] = (uint8_t) payload->fill;
    frame[5] = (uint8_t) (payload->fill >> 8);
    frame[6] = 1;
    crc = crc32c(UINT32_MAX, frame + 4, 2);
    crc = ~crc32c(crc, payload->data, payload->fill);
    for (int i = 0; i < 4; i++)
        frame[8 + i] = (uint8_t) (crc >> 8 * i);
    memcpy(frame + HEADER, payload->data, payload->fill);
    port_write(p, frame, HEADER + payload->fill);
}

static void read_boot_id(char id[static 37])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    memset(id, 0, 37);
    if (fd < 0 || read(fd, id, 36) != 36)
        exit(1);
    close(fd);
}

static void hello(const Port *p)
{
    Buffer inner = {}, outer = {};
    char id[37];

    read_boot_id(id);
    put_number(&inner, HELLO_PROTOCOL, 1);
    put_bytes(&inner, HELLO_VERSION, "0.0.0", 5);
    put_bytes(&inner, HELLO_BOOT_ID, id, 36);
    put_number(&inner, HELLO_BOOT_USEC, boot_usec());
    put_bytes(&outer, ENVELOPE_HELLO, inner.data, inner.fill);
    send_frame(p, &outer);
}

static Buffer figures(uint64_t total, uint64_t free_, uint64_t available, uint64_t counter)
{
    Buffer b = {};

    put_number(&b, REPORT_AT, boot_usec());
    put_number(&b, REPORT_TOTAL, total);
    put_number(&b, REPORT_FREE, free_);
    put_number(&b, REPORT_AVAILABLE, available);
    put_number(&b, REPORT_FAULTS, counter);
    put_number(&b, REPORT_SWAP_IN, counter);
    return b;
}

/* The beginning of each message. */
static Buffer envelope(const Port *p)
{
    Buffer b = {};

    put_varint(&b, ENVELOPE_NONCE << 3 | 5);
    for (int i = 0; i < 4; i++)
        b.data[b.fill++] = (uint8_t) (p->nonce >> 8 * i);
    return b;
}

/* The message with these figures; cause: of its distress, 0 for a mere report. */
static Buffer message(const Port *p, const Buffer *report, unsigned cause)
{
    Buffer distress = {}, b = envelope(p);

    if (cause == 0) {
        put_bytes(&b, ENVELOPE_REPORT, report->data, report->fill);
        return b;
    }
    put_number(&distress, DISTRESS_CAUSE, cause);
    put_bytes(&distress, DISTRESS_REPORT, report->data, report->fill);
    put_bytes(&b, ENVELOPE_DISTRESS, distress.data, distress.fill);
    return b;
}

static void report(const Port *p, uint64_t total, uint64_t free_, uint64_t available, uint64_t counter)
{
    Buffer inner = figures(total, free_, available, counter), b = message(p, &inner, 0);

    send_frame(p, &b);
}

static bool is_counter(unsigned field)
{
    return field == REPORT_FAULTS || field == REPORT_SCAN_KSWAPD || field == REPORT_STEAL_KSWAPD ||
           (field >= REPORT_SWAP_IN && field <= REPORT_OOM_KILLS) ||
           (field > REPORT_PSI_FIRST && (field - REPORT_PSI_FIRST) % 2 == 1);
}

/* All that a report can say, as large as it is still believed; or as small, of what it has. */
static Buffer utmost(unsigned round)
{
    const uint64_t total = UINT64_C(512) << 20, most = UINT64_C(1) << 52;
    bool large = round % 2 == 0;
    Buffer b = {};

    put_number(&b, REPORT_AT, boot_usec());
    put_number(&b, REPORT_TOTAL, total);
    for (unsigned field = REPORT_FREE; field <= REPORT_LAST; field++) {
        if (is_counter(field))
            put_number(&b, field, ((uint64_t) INT64_MAX >> 1) + ((uint64_t) round << 40));
        else if (field >= REPORT_PSI_FIRST)
            put_number(&b, field, 10000);
        else if (field == REPORT_SWAP_TOTAL || field == REPORT_SWAP_FREE)
            put_number(&b, field, large ? most : 0);
        else
            put_number(&b, field, large ? total : 0);
    }
    return b;
}

static void boast(const Port *p, unsigned round)
{
    Buffer inner = utmost(round), b = message(p, &inner, round % 3 == 0 ? CAUSE_OOM : 0);

    send_frame(p, &b);
    pause_msec(200);
}

/* Looks for a frame whose payload begins with a nonce; any of the host's does from Welcome on. */
static void port_read(Port *p, int timeout_msec)
{
    struct pollfd pfd = {.fd = p->fd, .events = POLLIN};

    if (poll(&pfd, 1, timeout_msec) <= 0 || !(pfd.revents & POLLIN))
        return;
    if (p->n_seen == sizeof(p->seen))
        p->n_seen = 0;
    ssize_t n = read(p->fd, p->seen + p->n_seen, sizeof(p->seen) - p->n_seen);
    if (n <= 0)
        return;
    p->n_seen += (size_t) n;
    for (size_t i = 0; i + HEADER + 5 <= p->n_seen; i++) {
        const uint8_t *f = p->seen + i;
        if (memcmp(f, "BLST", 4) != 0 || f[HEADER] != (ENVELOPE_NONCE << 3 | 5))
            continue;
        p->nonce = 0;
        for (int b = 0; b < 4; b++)
            p->nonce |= (uint32_t) f[HEADER + 1 + b] << 8 * b;
        p->welcomed = true;
    }
}

/* Says Hello until welcomed, then once in a while, since the host may have closed and opened the port. */
static void keep_welcome(Port *p, unsigned round)
{
    if (p->welcomed && round % 500 != 0) {
        port_read(p, 0);
        return;
    }
    p->welcomed = false;
    do {
        hello(p);
        port_read(p, 500);
        if (!p->welcomed)
            pause_msec(500);
    } while (!p->welcomed);
}

static void rubbish(Port *p, const char *path)
{
    uint8_t noise[4096];

    (void) path;
    for (;;) {
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (uint8_t) random();
        port_write(p, noise, sizeof(noise));
    }
}

static void lie(const Port *p, unsigned round)
{
    static const uint64_t mib = 1024 * 1024;

    switch (round % 4) {
    case 0: /* more available than there is */
        report(p, 256 * mib, 100 * mib, 10000 * mib, round);
        break;
    case 1: /* more free than there is */
        report(p, 256 * mib, 300 * mib, 200 * mib, round);
        break;
    case 2: /* a memory that no machine has */
        report(p, UINT64_C(1) << 60, 1 << 20, 1 << 20, round);
        break;
    case 3: /* counters that go back */
        report(p, 256 * mib, 100 * mib, 200 * mib, UINT64_MAX / 2 - round);
        break;
    }
    pause_msec(20);
}

static void flood(const Port *p, unsigned round)
{
    report(p, UINT64_C(256) << 20, UINT64_C(100) << 20, UINT64_C(200) << 20, round);
}

static uint64_t total_bytes(void)
{
    struct sysinfo info;

    return sysinfo(&info) == 0 ? (uint64_t) info.totalram * info.mem_unit : UINT64_C(64) << 20;
}

/* Five reports a second, which each second say something else. */
static void flip(const Port *p, unsigned round)
{
    uint64_t total = total_bytes(), has = round / 5 % 2 == 0 ? total - (UINT64_C(8) << 20) : 0;

    report(p, total, has, has, 1);
    pause_msec(200);
}

static void distress(const Port *p, unsigned round)
{
    Buffer inner = figures(total_bytes(), 0, 0, round), b = message(p, &inner, CAUSE_PSI);

    send_frame(p, &b);
    pause_msec(500);
}

static void replay(const Port *p, unsigned round)
{
    static Buffer first;
    Buffer inner = figures(total_bytes(), UINT64_C(64) << 20, UINT64_C(64) << 20, round),
           b = message(p, &inner, 0);

    if (first.fill == 0)
        first = b;
    send_frame(p, round % 2 == 0 ? &b : &first);
    pause_msec(100);
}

static int port_open(const char *path)
{
    int fd;

    while ((fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
        pause_msec(200);
    return fd;
}

static void say_hello(Port *p, const char *path)
{
    (void) path;
    hello(p);
    for (;;)
        pause();
}

static void reopen(Port *p, const char *path)
{
    for (;;) {
        p->welcomed = false;
        hello(p);
        port_read(p, 1000);
        if (p->welcomed) {
            Buffer b = envelope(p);

            report(p, total_bytes(), 0, 0, 1);
            put_bytes(&b, ENVELOPE_GOODBYE, "", 0);
            send_frame(p, &b);
        }
        close(p->fd);
        pause_msec(200);
        p->fd = port_open(path);
    }
}

static volatile sig_atomic_t ends;

static void on_term(int number)
{
    (void) number;
    ends = 1;
}

/* The device's first BAR: the legacy interface of virtio over PCI. */
static int balloon_open(void)
{
    glob_t found = {};
    int fd = -1;

    if (glob("/sys/bus/pci/devices/*", 0, NULL, &found) != 0)
        return -1;
    for (size_t i = 0; i < found.gl_pathc && fd < 0; i++) {
        char path[256], id[16] = "";
        FILE *f;

        snprintf(path, sizeof(path), "%s/device", found.gl_pathv[i]);
        f = fopen(path, "re");
        if (f && fgets(id, sizeof(id), f) && strcmp(id, "0x1002\n") == 0) {
            snprintf(path, sizeof(path), "%s/resource0", found.gl_pathv[i]);
            fd = open(path, O_RDWR | O_CLOEXEC);
        }
        if (f)
            fclose(f);
    }
    globfree(&found);
    return fd;
}

/* Where the driver writes how many pages its balloon holds (without MSI-X, which this device doesn't have). */
#define BALLOON_ACTUAL 24

static void balloon(Port *p, const char *path)
{
    static const uint32_t lies[] = {0, UINT32_MAX, UINT32_C(1) << 15}; /* pages */
    int fd = balloon_open();
    uint32_t truth;

    (void) p;
    (void) path;
    if (fd < 0 || pread(fd, &truth, sizeof(truth), BALLOON_ACTUAL) != sizeof(truth)) {
        fprintf(stderr, "hostile: the balloon's registers: %s\n", strerror(errno));
        exit(1);
    }
    signal(SIGTERM, on_term);
    for (unsigned round = 0; !ends; round++) {
        const uint32_t *lie = &lies[round % (sizeof(lies) / sizeof(lies[0]))];

        if (pwrite(fd, lie, sizeof(*lie), BALLOON_ACTUAL) != sizeof(*lie))
            fprintf(stderr, "hostile: the balloon's registers: %s\n", strerror(errno));
        pause_msec(700);
    }
    (void) !pwrite(fd, &truth, sizeof(truth), BALLOON_ACTUAL);
    exit(0);
}

static const struct {
    const char *mode;
    void (*round)(const Port *p, unsigned round); /* again and again, once welcomed; or */
    void (*ever)(Port *p, const char *path);      /* once, and it doesn't return */
} modes[] = {
    {"flood", .round = flood},    {"lie", .round = lie},           {"boast", .round = boast},
    {"flip", .round = flip},      {"distress", .round = distress}, {"replay", .round = replay},
    {"rubbish", .ever = rubbish}, {"hello", .ever = say_hello},    {"reopen", .ever = reopen},
    {"balloon", .ever = balloon},
};

int main(int argc, char *argv[])
{
    size_t m = 0, n = sizeof(modes) / sizeof(modes[0]);
    Port port;

    while (argc == 3 && m < n && strcmp(modes[m].mode, argv[1]) != 0)
        m++;
    if (argc != 3 || m == n) {
        fprintf(stderr, "usage: hostile MODE PORT\n");
        return 2;
    }
    port = (Port){.fd = port_open(argv[2])};
    if (modes[m].ever)
        modes[m].ever(&port, argv[2]);
    for (unsigned round = 0;; round++) {
        keep_welcome(&port, round);
        modes[m].round(&port, round);
    }
}
