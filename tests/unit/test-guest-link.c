/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How the guest talks to a host that connects, disconnects, answers or doesn't. The port is a socket; the
 * test calls the handlers of a virtio port's events itself. */

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/macro.h"
#include "base/units.h"
#include "guest-agent/link.h"
#include "tests/unit/run.h"

#define T0 (1000 * USEC_PER_SEC)

static Link l;
static int host;
static FrameReader reader;
static Report report;

static void setup(void)
{
    Message hello = {.protocol = PROTOCOL_VERSION};
    int pair[2];

    signal(SIGPIPE, SIG_IGN);
    strcpy(hello.boot_id, "5f0c5ee2-7a1d-4b58-9f0e-2d6c1b6a3e47");
    report = (Report){.at_usec = T0};
    report_set(&report, REPORT_MEM_TOTAL, GIB);
    report_set(&report, REPORT_MEM_FREE, MIB);

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    frame_reader_init(&reader);
    host = pair[1];
    link_init(&l, &hello);
    ck_assert_int_eq(link_attach(&l, pair[0], T0), 0);
}

static void teardown(void)
{
    link_detach(&l);
    closep(&host);
}

/* What the guest has said since the last call: "h" hello, "r" report, "R" reclaimed, "d" distress, "g" goodbye; the last
 * in *ret_last. */
static const char *said(Message *ret_last)
{
    static char letters[64];
    uint8_t buf[4096];
    size_t n_said = 0;
    ssize_t n;
    Message m;

    memset(letters, 0, sizeof(letters));
    while ((n = read(host, buf, sizeof(buf))) > 0)
        for (size_t done = 0; done < (size_t) n;) {
            const uint8_t *payload;
            size_t taken, length;

            if (frame_reader_feed(&reader, buf + done, (size_t) n - done, &taken, &payload, &length) > 0) {
                ck_assert_int_eq(message_unpack(payload, length, &m, NULL), 0);
                ck_assert_uint_lt(n_said, sizeof(letters) - 1);
                letters[n_said++] = m.type == MESSAGE_RECLAIMED ? 'R' : message_type_to_string(m.type)[0];
                if (ret_last)
                    *ret_last = m;
            }
            done += taken;
        }
    return letters;
}

/* The host sends a message, and the guest reads it at this time. Returns what the guest noticed. */
static int host_says(Message m, usec_t now)
{
    uint8_t frame[FRAME_MAX];
    ssize_t n = message_pack(&m, frame);

    ck_assert_int_gt(n, 0);
    ck_assert_int_eq(write(host, frame, (size_t) n), n);
    return link_io(&l, EPOLLIN, now);
}

static int welcome(uint32_t nonce, usec_t now)
{
    return host_says(
        (Message){.type = MESSAGE_WELCOME, .has_nonce = true, .nonce = nonce, .protocol = PROTOCOL_VERSION},
        now);
}

static int configure(usec_t interval, usec_t now)
{
    return host_says((Message){.type = MESSAGE_CONFIGURE, .interval_usec = interval}, now);
}

START_TEST(hello_until_welcomed)
{
    Message m;

    ck_assert_str_eq(said(&m), "h");
    ck_assert_uint_eq(m.boot_usec, T0);
    for (usec_t now = T0; now < T0 + 10 * USEC_PER_SEC; now += USEC_PER_SEC / 10)
        ck_assert_int_eq(link_tick(&l, now), 0);
    ck_assert_str_eq(said(NULL), "hhhh");
    ck_assert_uint_eq(link_due_usec(&l), T0 + 5 * HELLO_INTERVAL_USEC);

    ck_assert_int_eq(welcome(7, T0), LINK_WELCOMED);
    for (usec_t now = T0; now < T0 + 60 * USEC_PER_SEC; now += USEC_PER_SEC)
        ck_assert_int_eq(link_tick(&l, now), 0);
    ck_assert_str_eq(said(NULL), "");
}
END_TEST

START_TEST(nothing_else_before)
{
    said(NULL);
    ck_assert(!link_ready(&l));
    ck_assert_int_eq(link_report(&l, &report), 0);
    ck_assert_int_eq(link_distress(&l, DISTRESS_PSI, &report), 0);
    ck_assert_int_eq(link_goodbye(&l, "stopped", 0), 0);
    ck_assert_int_eq(configure(REPORT_INTERVAL_MIN_USEC, T0), 0);
    ck_assert_uint_eq(l.interval_usec, 0);
    ck_assert_str_eq(said(NULL), "");
}
END_TEST

START_TEST(talks_with_the_newest_nonce)
{
    Message m;

    said(NULL);
    ck_assert_int_eq(welcome(7, T0), LINK_WELCOMED);
    ck_assert(link_ready(&l));
    ck_assert_int_eq(configure(REPORT_INTERVAL_MIN_USEC, T0), LINK_CONFIGURED);
    ck_assert_uint_eq(l.interval_usec, REPORT_INTERVAL_MIN_USEC);
    ck_assert_int_eq(link_report(&l, &report), 0);
    ck_assert_str_eq(said(&m), "r");
    ck_assert_uint_eq(m.nonce, 7);
    /* No second Hello: the host checks that the guest reads. */
    ck_assert_int_eq(welcome(8, T0), LINK_CONFIGURED);
    ck_assert_int_eq(link_distress(&l, DISTRESS_STALL, &report), 0);
    ck_assert_int_eq(link_goodbye(&l, "stopped", 0), 0);
    ck_assert_str_eq(said(&m), "dg");
    ck_assert_uint_eq(m.nonce, 8);
    ck_assert_str_eq(m.text, "stopped");
}
END_TEST

/* The host closes its side of a virtio port, and opens it again. */
START_TEST(host_away_and_back)
{
    Message m;

    welcome(7, T0);
    said(NULL);
    ck_assert_int_eq(link_io(&l, EPOLLIN | EPOLLHUP, T0), 0);
    ck_assert(!link_ready(&l));
    ck_assert_uint_eq(link_due_usec(&l), USEC_INFINITY);
    ck_assert_uint_ne(link_events(&l) & EPOLLOUT, 0);
    link_report(&l, &report);
    link_tick(&l, T0 + 3600 * USEC_PER_SEC);
    ck_assert_str_eq(said(NULL), "");

    ck_assert_int_eq(link_io(&l, EPOLLOUT, T0 + 5 * USEC_PER_SEC), 0);
    ck_assert_str_eq(said(&m), "h");
    ck_assert_uint_eq(m.boot_usec, T0 + 5 * USEC_PER_SEC);
    ck_assert(!link_ready(&l));
    ck_assert_int_eq(welcome(9, T0 + 5 * USEC_PER_SEC), LINK_WELCOMED);
    link_report(&l, &report);
    ck_assert_str_eq(said(&m), "r");
    ck_assert_uint_eq(m.nonce, 9);
}
END_TEST

/* A message of the last host doesn't count as the new host's. */
START_TEST(a_late_welcome_of_the_last_host)
{
    uint8_t frame[FRAME_MAX];
    Message m = {.type = MESSAGE_WELCOME, .has_nonce = true, .nonce = 7, .protocol = PROTOCOL_VERSION};
    ssize_t n = message_pack(&m, frame);

    said(NULL);
    link_io(&l, EPOLLIN | EPOLLHUP, T0);
    ck_assert_int_eq(write(host, frame, (size_t) n), n);
    ck_assert_int_eq(link_io(&l, EPOLLIN | EPOLLOUT, T0), 0);
    ck_assert(!link_ready(&l));
    ck_assert_str_eq(said(NULL), "h");
}
END_TEST

/* A host that was replaced unnoticed drops what the guest sends, and doesn't answer. */
START_TEST(silent_host_is_greeted_again)
{
    usec_t now = T0 + 60 * USEC_PER_SEC;
    Message m;

    welcome(7, T0);
    said(NULL);
    configure(USEC_PER_SEC, now);
    link_tick(&l, now + LINK_SILENCE_USEC - 1);
    ck_assert_str_eq(said(NULL), "");
    ck_assert_uint_eq(link_due_usec(&l), now + LINK_SILENCE_USEC);

    now += LINK_SILENCE_USEC;
    link_tick(&l, now);
    link_tick(&l, now + HELLO_INTERVAL_USEC - 1);
    ck_assert_str_eq(said(NULL), "h");
    link_tick(&l, now + HELLO_INTERVAL_USEC);
    ck_assert_str_eq(said(NULL), "h");
    link_report(&l, &report);
    ck_assert_str_eq(said(&m), "r");
    ck_assert_uint_eq(m.nonce, 7);

    ck_assert_int_eq(welcome(8, now), LINK_WELCOMED);
    link_tick(&l, now + 2 * HELLO_INTERVAL_USEC);
    ck_assert_str_eq(said(NULL), "");
}
END_TEST

static int compact(uint32_t id)
{
    return host_says((Message){.type = MESSAGE_COMPACT, .id = id}, T0);
}

static int reclaimed(uint32_t id)
{
    return link_reclaimed(&l, &(Message){.type = MESSAGE_RECLAIMED, .id = id, .why = LEVER_END_DONE});
}

START_TEST(a_request_is_answered_once)
{
    Message m;

    ck_assert_int_eq(compact(1), 0); /* before Welcome the host is not believed */
    welcome(7, T0);
    said(NULL);
    ck_assert_int_eq(host_says((Message){.type = MESSAGE_RECLAIM, .id = 9, .bytes = MIB, .anon = true}, T0),
                     LINK_LEVER);
    ck_assert_int_eq(link_lever(&l)->type, MESSAGE_RECLAIM);
    ck_assert_uint_eq(link_lever(&l)->id, 9);
    ck_assert_uint_eq(link_lever(&l)->bytes, MIB);
    ck_assert(link_lever(&l)->anon);
    ck_assert_str_eq(said(NULL), "");

    ck_assert_int_eq(reclaimed(8), 0); /* an earlier one, which the host has forgotten */
    ck_assert_str_eq(said(NULL), "");
    ck_assert_int_eq(reclaimed(9), 0);
    ck_assert_str_eq(said(&m), "R");
    ck_assert_uint_eq(m.id, 9);
    ck_assert_uint_eq(m.nonce, 7);
    ck_assert_int_eq(reclaimed(9), 0);
    ck_assert_str_eq(said(NULL), "");

    ck_assert_int_eq(compact(10), LINK_LEVER);
    ck_assert_int_eq(link_lever(&l)->type, MESSAGE_COMPACT);
    ck_assert_int_eq(reclaimed(10), 0);
    ck_assert_str_eq(said(NULL), "R");
}
END_TEST

START_TEST(a_request_too_early_finds_the_guest_busy)
{
    Message m;

    welcome(7, T0);
    said(NULL);
    ck_assert_int_eq(compact(1), LINK_LEVER);
    ck_assert_int_eq(compact(2), 0);
    ck_assert_str_eq(said(&m), "R");
    ck_assert_uint_eq(m.id, 2);
    ck_assert_int_eq(m.why, LEVER_END_BUSY);
    ck_assert_uint_eq(link_lever(&l)->id, 1);
    ck_assert_int_eq(reclaimed(1), 0);
    ck_assert_str_eq(said(&m), "R");
    ck_assert_uint_eq(m.id, 1);
}
END_TEST

/* A host forgets its requests when the guest says Hello, and would take an answer for a lie. */
START_TEST(an_answer_to_nobody_is_kept_back)
{
    welcome(7, T0);
    ck_assert_int_eq(compact(1), LINK_LEVER);
    ck_assert_int_eq(welcome(8, T0), LINK_CONFIGURED); /* this one only checks that the guest reads */
    said(NULL);
    ck_assert_int_eq(reclaimed(1), 0);
    ck_assert_str_eq(said(NULL), "R");

    ck_assert_int_eq(compact(2), LINK_LEVER);
    link_tick(&l, T0 + LINK_SILENCE_USEC);
    ck_assert_int_eq(welcome(9, T0 + LINK_SILENCE_USEC), LINK_WELCOMED);
    said(NULL);
    ck_assert_int_eq(reclaimed(2), 0);
    ck_assert_str_eq(said(NULL), "");

    ck_assert_int_eq(compact(3), LINK_LEVER);
    link_io(&l, EPOLLIN | EPOLLHUP, T0);
    ck_assert_int_eq(reclaimed(3), 0);
    link_io(&l, EPOLLIN | EPOLLOUT, T0);
    welcome(10, T0);
    ck_assert_int_eq(reclaimed(3), 0);
    ck_assert_str_eq(said(NULL), "h");
}
END_TEST

START_TEST(other_levers_are_told_by_another_hello)
{
    Message m;

    link_set_levers(&l, HELLO_FEATURE_COMPACT, "no memory.reclaim", T0); /* before the first Welcome */
    said(NULL);
    welcome(7, T0);
    link_tick(&l, T0);
    ck_assert_str_eq(said(&m), "");

    link_set_levers(&l, HELLO_FEATURE_COMPACT, "no memory.reclaim", T0); /* no news */
    link_tick(&l, T0);
    ck_assert_str_eq(said(NULL), "");
    l.hello.features |= HELLO_FEATURE_PSI;
    link_set_levers(
        &l, 0, "the helper\tis masked and so this is a reason that is longer than what a text may be", T0);
    ck_assert_uint_eq(link_due_usec(&l), T0);
    link_tick(&l, T0);
    ck_assert_str_eq(said(&m), "h");
    ck_assert_uint_eq(m.features, HELLO_FEATURE_PSI);
    ck_assert_uint_eq(strlen(m.levers_missing), GUEST_TEXT_MAX);
    ck_assert_int_eq(strncmp(m.levers_missing, "the helper?is masked", 20), 0);
    ck_assert(link_ready(&l)); /* meanwhile its reports count */
    ck_assert_int_eq(welcome(8, T0), LINK_WELCOMED);
}
END_TEST

/* A host of a later version says something that this agent has no word for. */
START_TEST(what_it_does_not_understand_is_passed_over)
{
    const uint8_t later[] = {11 << 3 | 2, 2, 1 << 3, 1}; /* Envelope 11 */
    uint8_t frame[FRAME_MAX];
    ssize_t n;

    welcome(7, T0);
    said(NULL);
    memcpy(frame + FRAME_HEADER_SIZE, later, sizeof(later));
    n = frame_finish(frame, sizeof(later));
    ck_assert_int_eq(write(host, frame, (size_t) n), n);
    ck_assert_int_eq(link_io(&l, EPOLLIN, T0), 0);
    ck_assert_int_eq(compact(1), LINK_LEVER);
    ck_assert_str_eq(said(NULL), "");
}
END_TEST

START_TEST(rubbish_is_passed_over)
{
    uint8_t rubbish[5000];

    said(NULL);
    for (size_t i = 0; i < sizeof(rubbish); i++)
        rubbish[i] = (uint8_t) (i * 37 + i / 7);
    ck_assert_int_eq(write(host, rubbish, sizeof(rubbish)), sizeof(rubbish));
    ck_assert_int_eq(link_io(&l, EPOLLIN, T0), 0);
    ck_assert_int_eq(host_says((Message){.type = MESSAGE_GOODBYE, .has_nonce = true, .nonce = 1}, T0), 0);
    ck_assert_int_eq(welcome(7, T0), LINK_WELCOMED);
}
END_TEST

START_TEST(a_broken_port_is_reported)
{
    ck_assert_int_eq(link_io(&l, EPOLLIN | EPOLLHUP | EPOLLERR, T0), -EIO);
    welcome(7, T0);
    closep(&host);
    host = -EBADF;
    ck_assert_int_eq(link_report(&l, &report), -EPIPE);
    link_detach(&l);
    ck_assert_int_lt(l.fd, 0);
    ck_assert(!link_ready(&l));
    ck_assert_uint_eq(link_due_usec(&l), USEC_INFINITY);
    ck_assert_int_eq(link_io(&l, EPOLLIN, T0), 0);
}
END_TEST

/* A socket without a peer reports a hang-up all the time, as does a virtio port without a host. */
START_TEST(a_hang_up_does_not_spin)
{
    _cleanup_close_ int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = link_events(&l)};
    int wakes = 0;

    said(NULL); /* unread data would be an error to the socket */
    ck_assert_int_eq(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, l.fd, &e), 0);
    closep(&host);
    host = -EBADF;
    for (int i = 0; i < 100; i++) {
        uint32_t armed = link_events(&l);

        if (epoll_wait(epoll_fd, &e, 1, 0) == 0)
            break;
        wakes++;
        ck_assert_uint_ne(e.events & EPOLLHUP, 0);
        ck_assert_int_eq(link_io(&l, e.events, T0), 0);
        if (link_events(&l) != armed) {
            e.events = link_events(&l);
            ck_assert_int_eq(epoll_ctl(epoll_fd, EPOLL_CTL_MOD, l.fd, &e), 0);
        }
    }
    ck_assert_int_ge(wakes, 1);
    ck_assert_int_le(wakes, 2);
}
END_TEST

START_TEST(waits_to_write_only_when_it_must)
{
    static const uint8_t zeros[4096];

    welcome(7, T0);
    ck_assert_uint_eq(link_events(&l), EPOLLIN | EPOLLET);
    while (write(l.fd, zeros, sizeof(zeros)) > 0)
        ;
    ck_assert_int_eq(link_report(&l, &report), 0);
    ck_assert_uint_eq(link_events(&l), EPOLLIN | EPOLLOUT | EPOLLET);
    said(NULL);
    ck_assert_int_eq(link_io(&l, EPOLLOUT, T0), 0);
    ck_assert_uint_eq(link_events(&l), EPOLLIN | EPOLLET);
    ck_assert_str_eq(said(NULL), "r");
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("link");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, hello_until_welcomed);
    tcase_add_test(c, nothing_else_before);
    tcase_add_test(c, talks_with_the_newest_nonce);
    tcase_add_test(c, host_away_and_back);
    tcase_add_test(c, a_late_welcome_of_the_last_host);
    tcase_add_test(c, silent_host_is_greeted_again);
    tcase_add_test(c, a_request_is_answered_once);
    tcase_add_test(c, a_request_too_early_finds_the_guest_busy);
    tcase_add_test(c, an_answer_to_nobody_is_kept_back);
    tcase_add_test(c, other_levers_are_told_by_another_hello);
    tcase_add_test(c, what_it_does_not_understand_is_passed_over);
    tcase_add_test(c, rubbish_is_passed_over);
    tcase_add_test(c, a_broken_port_is_reported);
    tcase_add_test(c, a_hang_up_does_not_spin);
    tcase_add_test(c, waits_to_write_only_when_it_must);
    return run_tests(c);
}
