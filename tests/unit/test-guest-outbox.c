/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A host that doesn't read gets the newest report once it does, never a torn frame, and costs nothing
 * meanwhile. */

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/macro.h"
#include "base/units.h"
#include "guest-agent/outbox.h"
#include "proto/frame.h"
#include "tests/unit/run.h"

static int pair[2];
static Outbox box;
static FrameReader reader;
static Message heard[64];
static size_t n_heard;

static void setup(void)
{
    int size = 1; /* the kernel makes it its smallest */

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    ck_assert_int_eq(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    memset(&box, 0, sizeof(box));
    frame_reader_init(&reader);
    n_heard = 0;
}

static void teardown(void)
{
    close(pair[0]);
    close(pair[1]);
}

/* The host reads up to so many bytes. */
static size_t host_reads(size_t most)
{
    uint8_t buf[4096];
    ssize_t n = read(pair[1], buf, MIN(most, sizeof(buf)));

    for (size_t done = 0; n > 0 && done < (size_t) n;) {
        const uint8_t *payload;
        size_t taken, length;

        if (frame_reader_feed(&reader, buf + done, (size_t) n - done, &taken, &payload, &length) > 0) {
            ck_assert_uint_lt(n_heard, ELEMENTSOF(heard));
            ck_assert_int_eq(message_unpack(payload, length, &heard[n_heard++], NULL), 0);
        }
        done += taken;
    }
    return n > 0 ? (size_t) n : 0;
}

static void host_reads_all(void)
{
    while (host_reads(SIZE_MAX) > 0)
        ck_assert_int_eq(outbox_write(&box, pair[0], 1, NULL), 0);
}

/* Fills the port until it takes nothing more. Returns how many bytes it took. */
static size_t fill_port(void)
{
    static const uint8_t zeros[64];
    size_t filled = 0;
    ssize_t n;

    while ((n = write(pair[0], zeros, sizeof(zeros))) > 0)
        filled += (size_t) n;
    return filled;
}

static Message message(MessageType type, uint64_t at_sec)
{
    Message m = {.type = type, .protocol = PROTOCOL_VERSION, .cause = DISTRESS_OOM};

    strcpy(m.boot_id, "5f0c5ee2-7a1d-4b58-9f0e-2d6c1b6a3e47");
    m.report.at_usec = at_sec * USEC_PER_SEC;
    report_set(&m.report, REPORT_MEM_TOTAL, GIB);
    report_set(&m.report, REPORT_MEM_FREE, MIB);
    return m;
}

static void put(MessageType type, uint64_t at_sec)
{
    Message m = message(type, at_sec);

    outbox_put(&box, &m);
}

START_TEST(sent_at_once_with_the_nonce)
{
    put(MESSAGE_REPORT, 1);
    ck_assert(!outbox_empty(&box));
    ck_assert_int_eq(outbox_write(&box, pair[0], 0xCAFE, NULL), 0);
    ck_assert(outbox_empty(&box));
    put(MESSAGE_HELLO, 0);
    ck_assert_int_eq(outbox_write(&box, pair[0], 0xCAFE, NULL), 0);
    host_reads(SIZE_MAX);
    ck_assert_uint_eq(n_heard, 2);
    ck_assert_int_eq(heard[0].type, MESSAGE_REPORT);
    ck_assert(heard[0].has_nonce);
    ck_assert_uint_eq(heard[0].nonce, 0xCAFE);
    ck_assert_int_eq(heard[1].type, MESSAGE_HELLO);
    ck_assert(!heard[1].has_nonce);
}
END_TEST

START_TEST(newest_report_replaces_the_older)
{
    size_t filled = fill_port();

    for (uint64_t i = 1; i <= 1000; i++) {
        put(MESSAGE_REPORT, i);
        ck_assert_int_eq(outbox_write(&box, pair[0], (uint32_t) i, NULL), 0);
    }
    put(MESSAGE_DISTRESS, 1001);
    host_reads_all();
    ck_assert(outbox_empty(&box));
    ck_assert_uint_eq(reader.rubbish_bytes, filled);

    /* The first report's turn had come when the port was full, so its frame is finished first. Then come the
     * distress, and the last report. */
    ck_assert_uint_eq(n_heard, 3);
    ck_assert_uint_eq(heard[0].report.at_usec, 1 * USEC_PER_SEC);
    ck_assert_int_eq(heard[1].type, MESSAGE_DISTRESS);
    ck_assert_int_eq(heard[1].cause, DISTRESS_OOM);
    ck_assert_int_eq(heard[2].type, MESSAGE_REPORT);
    ck_assert_uint_eq(heard[2].report.at_usec, 1000 * USEC_PER_SEC);
}
END_TEST

START_TEST(a_frame_begun_is_finished)
{
    uint8_t frame[FRAME_MAX];
    Message m = message(MESSAGE_REPORT, 1);
    ssize_t length;

    m.has_nonce = true;
    m.nonce = 1;
    length = message_pack(&m, frame);
    ck_assert_int_gt(length, 20);

    /* As if the port had taken so much of it. */
    for (size_t cut = 1; cut < (size_t) length; cut++) {
        memset(&box, 0, sizeof(box));
        frame_reader_init(&reader);
        n_heard = 0;
        memcpy(box.frame, frame, (size_t) length);
        box.length = (size_t) length;
        box.sent = cut;
        ck_assert_int_eq(write(pair[0], frame, cut), (ssize_t) cut);

        put(MESSAGE_DISTRESS, 2);
        outbox_clear(&box);
        put(MESSAGE_GOODBYE, 0);
        ck_assert_int_eq(outbox_write(&box, pair[0], 1, NULL), 0);
        while (host_reads(7) > 0)
            ;
        ck_assert_uint_eq(reader.rubbish_bytes, 0);
        ck_assert_uint_eq(n_heard, 2);
        ck_assert_int_eq(heard[0].type, MESSAGE_REPORT);
        ck_assert_int_eq(heard[1].type, MESSAGE_GOODBYE);
    }
}
END_TEST

START_TEST(an_invalid_message_is_dropped_and_reported)
{
    Message m = message(MESSAGE_REPORT, 1);
    int dropped = 0;

    report_set(&m.report, REPORT_MEM_FREE, 2 * GIB);
    outbox_put(&box, &m);
    put(MESSAGE_DISTRESS, 2);
    ck_assert_int_eq(outbox_write(&box, pair[0], 1, &dropped), 0);
    ck_assert_int_eq(dropped, -EINVAL);
    ck_assert(outbox_empty(&box));
    host_reads(SIZE_MAX);
    ck_assert_uint_eq(n_heard, 1);
    ck_assert_int_eq(heard[0].type, MESSAGE_DISTRESS);
}
END_TEST

START_TEST(a_broken_port_is_reported)
{
    close(pair[1]);
    pair[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
    signal(SIGPIPE, SIG_IGN);
    put(MESSAGE_REPORT, 1);
    ck_assert_int_eq(outbox_write(&box, pair[0], 1, NULL), -EPIPE);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("outbox");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, sent_at_once_with_the_nonce);
    tcase_add_test(c, newest_report_replaces_the_older);
    tcase_add_test(c, a_frame_begun_is_finished);
    tcase_add_test(c, an_invalid_message_is_dropped_and_reported);
    tcase_add_test(c, a_broken_port_is_reported);
    return run_tests(c);
}
