/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest that means harm, run in a lab guest in the agent's place: hostile MODE PORT
 *
 *   rubbish  bytes that are no frame, as many as go through
 *   flood    says Hello, is welcomed, and sends true reports without a pause
 *   lie      says Hello, is welcomed, and sends well-formed reports that can't be true
 *   boast    says Hello, is welcomed, and reports the utmost that may be true in all fields, and distress
 *
 * Speaks the protocol from its description (proto/frame.h, guest.proto) with code of its own, so that a
 * mistake in the project's codec isn't made twice. For ever; a port that the host closed is waited for. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HEADER 12U

/* Field numbers of guest.proto. */
enum { ENVELOPE_NONCE = 1, ENVELOPE_HELLO = 2, ENVELOPE_REPORT = 5, ENVELOPE_DISTRESS = 6 };
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
enum { DISTRESS_CAUSE = 1, DISTRESS_REPORT = 2, CAUSE_OOM = 4 };

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

static void report(const Port *p, uint64_t total, uint64_t free_, uint64_t available, uint64_t counter)
{
    Buffer inner = {}, outer = {};

    put_number(&inner, REPORT_AT, boot_usec());
    put_number(&inner, REPORT_TOTAL, total);
    put_number(&inner, REPORT_FREE, free_);
    put_number(&inner, REPORT_AVAILABLE, available);
    put_number(&inner, REPORT_FAULTS, counter);
    put_number(&inner, REPORT_SWAP_IN, counter);
    put_varint(&outer, ENVELOPE_NONCE << 3 | 5);
    for (int i = 0; i < 4; i++)
        outer.data[outer.fill++] = (uint8_t) (p->nonce >> 8 * i);
    put_bytes(&outer, ENVELOPE_REPORT, inner.data, inner.fill);
    send_frame(p, &outer);
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
    Buffer inner = utmost(round), distress = {}, outer = {};
    bool cry = round % 3 == 0;

    if (cry) {
        put_number(&distress, DISTRESS_CAUSE, CAUSE_OOM);
        put_bytes(&distress, DISTRESS_REPORT, inner.data, inner.fill);
    }
    put_varint(&outer, ENVELOPE_NONCE << 3 | 5);
    for (int i = 0; i < 4; i++)
        outer.data[outer.fill++] = (uint8_t) (p->nonce >> 8 * i);
    put_bytes(&outer, cry ? ENVELOPE_DISTRESS : ENVELOPE_REPORT, cry ? distress.data : inner.data,
              cry ? distress.fill : inner.fill);
    send_frame(p, &outer);
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

static void rubbish(const Port *p)
{
    uint8_t noise[4096];

    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (uint8_t) random();
    port_write(p, noise, sizeof(noise));
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

int main(int argc, char *argv[])
{
    Port port = {.fd = -1};

    if (argc != 3) {
        fprintf(stderr, "usage: hostile rubbish|flood|lie PORT\n");
        return 2;
    }
    while ((port.fd = open(argv[2], O_RDWR | O_CLOEXEC)) < 0)
        pause_msec(200);
    for (unsigned round = 0;; round++) {
        if (strcmp(argv[1], "rubbish") == 0) {
            rubbish(&port);
            continue;
        }
        keep_welcome(&port, round);
        if (strcmp(argv[1], "flood") == 0)
            report(&port, UINT64_C(256) << 20, UINT64_C(100) << 20, UINT64_C(200) << 20, round);
        else if (strcmp(argv[1], "boast") == 0)
            boast(&port, round);
        else
            lie(&port, round);
    }
}
