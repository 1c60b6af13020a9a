/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host's end of a guest's channel: what a guest in order gets, and what becomes of one that isn't. */

#include <string.h>

#include "base/units.h"
#include "host-agent/sense/link.h"
#include "tests/unit/agent-messages.h"
#include "tests/unit/run.h"

/* A link with what it handed up and sent, and the guest's side of the conversation. */
typedef struct Rig {
    Link *link;
    usec_t now;
    unsigned hellos, reboots, reports, distresses, goodbyes, welcomes, configures, reads;
    uint32_t nonce; /* of the last Welcome */
    usec_t interval;
    Report report;
    DistressCause cause;
    unsigned reclaimed;
    Message lever; /* the last Reclaimed handed up, or Reclaim or Compact sent */
    char reason[GUEST_TEXT_MAX + 1];
    const char *why;
    bool close_on_report;
    usec_t configure_on_hello;
} Rig;

static void on_hello(void *userdata, const Message *m, bool rebooted)
{
    Rig *r = userdata;

    ck_assert(link_welcomed(r->link));
    r->hellos++;
    r->reboots += rebooted;
    if (r->configure_on_hello)
        link_configure(r->link, r->configure_on_hello);
}

static void on_report(void *userdata, const Report *report)
{
    Rig *r = userdata;

    r->reports++;
    r->report = *report;
    if (r->close_on_report)
        link_closed(r->link);
}

static void on_distress(void *userdata, DistressCause cause, const Report *report)
{
    Rig *r = userdata;

    r->distresses++;
    r->cause = cause;
    r->report = *report;
}

static void on_goodbye(void *userdata, const char *reason)
{
    Rig *r = userdata;

    r->goodbyes++;
    snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

static void on_reclaimed(void *userdata, const Message *m)
{
    Rig *r = userdata;

    r->reclaimed++;
    r->lever = *m;
}

static void on_read(void *userdata)
{
    Rig *r = userdata;

    r->reads++;
}

static void on_send(void *userdata, const uint8_t *data, size_t length)
{
    Rig *r = userdata;
    Message m = agent_read(data, length);

    if (m.type == MESSAGE_WELCOME) {
        ck_assert(m.has_nonce);
        ck_assert_uint_eq(m.protocol, PROTOCOL_VERSION);
        r->nonce = m.nonce;
        r->welcomes++;
    } else {
        ck_assert_int_eq(m.type, MESSAGE_CONFIGURE);
        r->interval = m.interval_usec;
        r->configures++;
    }
}

static void rig_init(Rig *r)
{
    static const LinkHandlers handlers = {on_hello,     on_report, on_distress, on_goodbye,
                                          on_reclaimed, on_read,   on_send};

    *r = (Rig){.now = 1000 * USEC_PER_SEC};
    ck_assert_int_eq(link_new(&handlers, r, &r->link), 0);
    link_opened(r->link, r->now);
}

static int feed(Rig *r, const uint8_t *data, size_t length)
{
    r->why = NULL;
    return link_feed(r->link, data, length, r->now, &r->why);
}

static int send_message(Rig *r, const Message *m)
{
    uint8_t buf[FRAME_MAX];

    return feed(r, buf, agent_pack(m, buf));
}

/* A payload as it is, in a frame that is in order. */
static int send_payload(Rig *r, const void *payload, size_t length)
{
    uint8_t buf[FRAME_MAX];

    memcpy(buf + FRAME_HEADER_SIZE, payload, length);
    return feed(r, buf, (size_t) frame_finish(buf, length));
}

/* Sends a message with something in it that message_pack() wouldn't pack: packs it in order, then exchanges
 * the bytes of one varint for those of another of the same length. */
static int send_forged(Rig *r, const Message *m, const uint8_t *from, const uint8_t *to, size_t length)
{
    uint8_t buf[FRAME_MAX], *at;
    size_t n = agent_pack(m, buf) - FRAME_HEADER_SIZE;

    at = memmem(buf + FRAME_HEADER_SIZE, n, from, length);
    ck_assert_ptr_nonnull(at);
    memcpy(at, to, length);
    return feed(r, buf, (size_t) frame_finish(buf, n));
}

static int say_hello(Rig *r, const char *boot_id)
{
    Message m = agent_hello(boot_id);

    return send_message(r, &m);
}

static Message report(const Rig *r)
{
    return agent_report(r->nonce, r->now);
}

static int send_report(Rig *r)
{
    Message m = report(r);

    return send_message(r, &m);
}

/* A report that can't be: more memory than an x86 can address. */
static int send_lie(Rig *r)
{
    Message m = report(r);

    link_set_maximum(r->link, GIB - 1);
    return send_message(r, &m);
}

static void rig_welcome(Rig *r)
{
    rig_init(r);
    ck_assert_int_eq(say_hello(r, BOOT_A), 0);
    ck_assert(link_welcomed(r->link));
}

START_TEST(test_handshake)
{
    Rig r;

    rig_init(&r);
    ck_assert(!link_welcomed(r.link));
    ck_assert_str_eq(link_agent_version(r.link), "");
    ck_assert_str_eq(link_boot_id(r.link), "");
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_uint_eq(r.welcomes, 1);
    ck_assert_uint_eq(r.configures, 1);
    ck_assert_uint_eq(r.interval, REPORT_INTERVAL_DEFAULT_USEC);
    ck_assert_uint_eq(r.hellos, 1);
    ck_assert_uint_eq(r.reboots, 0);
    ck_assert_str_eq(link_agent_version(r.link), "0.1.0");
    ck_assert_str_eq(link_boot_id(r.link), BOOT_A);

    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reports, 1);
    ck_assert_uint_eq(report_get(&r.report, REPORT_MEM_FREE), 300 * MIB);
    ck_assert_uint_eq(link_stats(r.link)->messages, 2);
    ck_assert_uint_eq(link_stats(r.link)->hellos, 1);
    ck_assert_uint_eq(link_stats(r.link)->refused, 0);
    link_free(r.link);
}
END_TEST

START_TEST(test_distress_and_goodbye)
{
    Rig r;
    Message m;

    rig_welcome(&r);
    m = report(&r);
    m.type = MESSAGE_DISTRESS;
    m.cause = DISTRESS_OOM;
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.distresses, 1);
    ck_assert_int_eq(r.cause, DISTRESS_OOM);
    ck_assert_uint_eq(r.reports, 0);

    m = (Message){.type = MESSAGE_GOODBYE, .has_nonce = true, .nonce = r.nonce, .text = "stopped"};
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.goodbyes, 1);
    ck_assert_str_eq(r.reason, "stopped");
    ck_assert(!link_welcomed(r.link));

    /* Who said goodbye isn't heard until the next Hello. */
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reports, 0);
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reports, 1);
    link_free(r.link);
}
END_TEST

START_TEST(test_nonce)
{
    Rig r;
    Message m;
    uint32_t first;

    /* Before Hello, without a nonce, and with another: dropped, counted, and no lie. */
    rig_init(&r);
    for (unsigned i = 0; i < 30; i++) {
        ck_assert_int_eq(send_report(&r), 0);
        r.now += USEC_PER_SEC;
    }
    ck_assert_uint_eq(r.reports, 0);
    ck_assert_uint_eq(link_stats(r.link)->refused, 30);

    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    first = r.nonce;
    m = report(&r);
    m.nonce++;
    ck_assert_int_eq(send_message(&r, &m), 0);
    m.has_nonce = false;
    ck_assert_int_eq(send_message(&r, &m), 0);
    m = (Message){.type = MESSAGE_GOODBYE, .has_nonce = true, .nonce = first + 1};
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.reports, 0);
    ck_assert_uint_eq(r.goodbyes, 0);
    ck_assert(link_welcomed(r.link));
    ck_assert_uint_eq(link_stats(r.link)->refused, 33);

    /* The agent restarted: another nonce, and the old one no longer counts. */
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_uint_ne(r.nonce, first);
    ck_assert_uint_eq(r.hellos, 2);
    ck_assert_uint_eq(r.reboots, 0);
    m = report(&r);
    m.nonce = first;
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.reports, 0);
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reports, 1);
    link_free(r.link);
}
END_TEST

START_TEST(test_reboot)
{
    Rig r;
    Message m;

    rig_welcome(&r);
    ck_assert_int_eq(send_report(&r), 0);

    /* A restarted agent goes on with the kernel's counters; a rebooted guest begins at nothing. */
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    m = report(&r);
    report_set(&m.report, REPORT_SWAP_IN, 0);
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.reports, 1);
    ck_assert_uint_eq(link_stats(r.link)->refused, 1);

    ck_assert_int_eq(say_hello(&r, BOOT_B), 0);
    ck_assert_uint_eq(r.reboots, 1);
    ck_assert_str_eq(link_boot_id(r.link), BOOT_B);
    m.nonce = r.nonce;
    m.report.at_usec = 1;
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.reports, 2);

    /* The boot id outlives the channel: a reboot while it was closed is seen. */
    link_closed(r.link);
    link_opened(r.link, r.now);
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_uint_eq(r.reboots, 2);
    link_free(r.link);
}
END_TEST

START_TEST(test_configure)
{
    Rig r;

    rig_init(&r);
    link_configure(r.link, 5 * USEC_PER_SEC);
    ck_assert_uint_eq(r.configures, 0); /* nobody there yet */
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_uint_eq(r.configures, 1);
    ck_assert_uint_eq(r.interval, 5 * USEC_PER_SEC);
    link_configure(r.link, 5 * USEC_PER_SEC);
    ck_assert_uint_eq(r.configures, 1);
    link_configure(r.link, 200 * USEC_PER_MSEC);
    ck_assert_uint_eq(r.configures, 2);
    ck_assert_uint_eq(r.interval, 200 * USEC_PER_MSEC);
    link_configure(r.link, 1);
    ck_assert_uint_eq(r.interval, REPORT_INTERVAL_MIN_USEC);
    link_configure(r.link, USEC_INFINITY);
    ck_assert_uint_eq(r.interval, REPORT_INTERVAL_MAX_USEC);

    /* After each Welcome once, also where the handler of Hello asks for another. */
    r.configures = 0;
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_uint_eq(r.configures, 1);
    r.configure_on_hello = 3 * USEC_PER_SEC;
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_uint_eq(r.configures, 2);
    ck_assert_uint_eq(r.interval, 3 * USEC_PER_SEC);
    link_free(r.link);
}
END_TEST

START_TEST(test_keepalive)
{
    Rig r;

    rig_welcome(&r);
    r.configures = 0;
    for (unsigned i = 0; i < 100; i++) {
        r.now += USEC_PER_SEC;
        ck_assert_int_eq(send_report(&r), 0);
    }
    ck_assert_uint_eq(r.configures, 3);
    ck_assert_uint_eq(r.reports, 100);
    link_free(r.link);
}
END_TEST

/* A guest shows that it reads by coming back with its nonce. What was sent meanwhile it may not have read: it
 * gets another. */
START_TEST(test_shows_that_it_reads)
{
    uint32_t first;
    Rig r;

    rig_welcome(&r);
    ck_assert_uint_eq(r.reads, 0);
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reads, 1);
    first = r.nonce;

    for (unsigned i = 0; i < LINK_UNPROVEN_MAX; i++) {
        ck_assert_uint_eq(r.welcomes, 1);
        link_configure(r.link, (i + 2) * USEC_PER_SEC);
    }
    r.now += USEC_PER_SEC;
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.welcomes, 2);
    ck_assert_uint_ne(r.nonce, first);

    /* What was on its way with the old nonce is heard, and shows nothing; no third one is sent. */
    for (unsigned i = 0; i < 2 * LINK_UNPROVEN_MAX; i++) {
        Message m = report(&r);

        m.nonce = first;
        r.now += USEC_PER_SEC;
        m.report.at_usec = r.now;
        link_configure(r.link, (i + 1) * USEC_PER_SEC);
        ck_assert_int_eq(send_message(&r, &m), 0);
    }
    ck_assert_uint_eq(r.reports, 3 + 2 * LINK_UNPROVEN_MAX);
    ck_assert_uint_eq(r.welcomes, 2);
    ck_assert_uint_eq(r.reads, 1);

    r.now += USEC_PER_SEC;
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reads, 2);
    ck_assert_uint_eq(r.reports, 4 + 2 * LINK_UNPROVEN_MAX);

    /* The old one is over. */
    {
        Message m = report(&r);

        m.nonce = first;
        ck_assert_int_eq(send_message(&r, &m), 0);
    }
    ck_assert_uint_eq(r.reports, 4 + 2 * LINK_UNPROVEN_MAX);
    link_free(r.link);
}
END_TEST

START_TEST(test_frame_split_over_feeds)
{
    Rig r;
    Message m;
    uint8_t buf[FRAME_MAX];
    ssize_t n;

    rig_welcome(&r);
    m = report(&r);
    n = message_pack(&m, buf);
    ck_assert_int_gt(n, 0);
    for (ssize_t i = 0; i < n; i++) {
        ck_assert_uint_eq(r.reports, 0);
        ck_assert_int_eq(feed(&r, buf + i, 1), 0);
    }
    ck_assert_uint_eq(r.reports, 1);
    ck_assert_int_eq(feed(&r, buf, 0), 0);

    /* Half a frame before the channel was closed is no part of what comes after. */
    ck_assert_int_eq(feed(&r, buf, (size_t) n / 2), 0);
    link_closed(r.link);
    link_opened(r.link, r.now);
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert(link_welcomed(r.link));
    ck_assert_uint_eq(link_stats(r.link)->rubbish_bytes, 0);
    link_free(r.link);
}
END_TEST

START_TEST(test_closed)
{
    Rig r;

    rig_welcome(&r);
    link_closed(r.link);
    ck_assert(!link_welcomed(r.link));
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    ck_assert_uint_eq(r.reports, 0);
    ck_assert_uint_eq(r.hellos, 1);

    /* Opened anew: the nonce of before no longer counts. */
    link_opened(r.link, r.now);
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reports, 0);
    link_free(r.link);
}
END_TEST

START_TEST(test_closed_by_handler)
{
    Rig r;
    Message m;
    uint8_t buf[2 * FRAME_MAX];
    ssize_t n;

    rig_welcome(&r);
    r.close_on_report = true;
    m = report(&r);
    n = message_pack(&m, buf);
    ck_assert_int_gt(n, 0);
    ck_assert_int_eq(message_pack(&m, buf + n), n);
    ck_assert_int_eq(feed(&r, buf, 2 * (size_t) n), 0);
    ck_assert_uint_eq(r.reports, 1);
    ck_assert_uint_eq(link_stats(r.link)->messages, 2); /* Hello and the first report */
    ck_assert(!link_welcomed(r.link));
    link_free(r.link);
}
END_TEST

START_TEST(test_too_many_messages)
{
    Rig r;
    int error = 0;
    unsigned sent;

    /* As fast as may be asked, and twice that: heard for as long as it likes. */
    rig_welcome(&r);
    for (unsigned i = 0; i < 1000; i++) {
        r.now += USEC_PER_SEC / LINK_MESSAGES_PER_SEC;
        ck_assert_int_eq(send_report(&r), 0);
    }
    /* At once: what the bucket holds, and no more. */
    r.now += 10 * USEC_PER_SEC;
    for (sent = 0; error == 0 && sent < 1000; sent++)
        error = send_report(&r);
    ck_assert_int_eq(error, -ENOBUFS);
    ck_assert_uint_eq(sent, LINK_MESSAGES_BURST + 1);
    ck_assert_ptr_nonnull(strstr(r.why, "messages a second"));
    ck_assert_uint_eq(r.reports, 1000 + LINK_MESSAGES_BURST);
    ck_assert_uint_eq(link_retry_usec(r.link), r.now + LINK_BACKOFF_MIN_USEC);
    ck_assert_uint_eq(link_stats(r.link)->drops, 1);
    ck_assert(!link_welcomed(r.link));
    link_free(r.link);

    /* Hello is a message like any other. */
    rig_init(&r);
    error = 0;
    for (sent = 0; error == 0 && sent < 1000; sent++)
        error = say_hello(&r, BOOT_A);
    ck_assert_int_eq(error, -ENOBUFS);
    ck_assert_uint_eq(r.welcomes, LINK_MESSAGES_BURST);
    link_free(r.link);
}
END_TEST

START_TEST(test_too_many_bytes)
{
    static const uint8_t noise[4096];
    Rig r;
    Message m;
    uint8_t buf[FRAME_MAX];
    ssize_t n;
    int error = 0;
    unsigned fed;

    rig_welcome(&r);
    for (fed = 0; error == 0 && fed < 1000; fed++) {
        /* A good frame between, so that it isn't the rubbish that is too much. */
        m = report(&r);
        n = message_pack(&m, buf);
        ck_assert_int_gt(n, 0);
        error = feed(&r, noise, sizeof(noise));
        if (error == 0)
            error = feed(&r, buf, (size_t) n);
    }
    ck_assert_int_eq(error, -ENOBUFS);
    ck_assert_ptr_nonnull(strstr(r.why, "bytes a second"));
    ck_assert_uint_le(fed, LINK_BYTES_BURST / sizeof(noise) + 1);
    link_free(r.link);
}
END_TEST

START_TEST(test_rubbish)
{
    static const uint8_t noise[1024] = "BLST is what a frame begins with, but this isn't one";
    Rig r;
    int error = 0;
    unsigned fed = 0;

    /* A boot loader's words before Hello do no harm, and those of a reboot before the next neither. */
    rig_init(&r);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned j = 0; j < 15; j++)
            ck_assert_int_eq(feed(&r, noise, sizeof(noise)), 0);
        ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
        ck_assert_uint_eq(r.hellos, i + 1);
        r.now += 10 * USEC_PER_SEC;
    }
    ck_assert_uint_eq(link_stats(r.link)->rubbish_bytes, 3 * 15 * sizeof(noise));
    ck_assert_uint_gt(link_stats(r.link)->bad_frames, 0);

    /* However slowly it comes, a guest with nothing else to say is dropped. */
    while (error == 0 && fed < 100) {
        error = feed(&r, noise, sizeof(noise));
        r.now += USEC_PER_SEC;
        fed++;
    }
    ck_assert_int_eq(error, -EPROTO);
    ck_assert_ptr_nonnull(strstr(r.why, "aren't a message"));
    ck_assert_uint_ge(fed * sizeof(noise), LINK_RUBBISH_MAX);
    ck_assert_uint_le(fed * sizeof(noise), LINK_RUBBISH_MAX + 2 * sizeof(noise));
    link_free(r.link);
}
END_TEST

START_TEST(test_one_bad_message_is_not_fatal)
{
    Rig r;

    rig_welcome(&r);
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_int_eq(send_payload(&r, "\xff\xff\xff", 3), 0);
        ck_assert_int_eq(send_report(&r), 0);
        ck_assert_uint_eq(r.reports, i + 1);
        r.now += USEC_PER_SEC;
    }
    ck_assert_uint_eq(link_stats(r.link)->refused, 20);

    /* At once it is too much: each costs ten of forty. */
    r.now += 10 * USEC_PER_SEC;
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(send_payload(&r, "\xff\xff\xff", 3), 0);
    ck_assert_int_eq(send_payload(&r, "\xff\xff\xff", 3), -EPROTO);
    ck_assert_ptr_nonnull(strstr(r.why, "bad messages"));
    link_free(r.link);
}
END_TEST

START_TEST(test_liar_is_dropped_however_slow)
{
    Rig r;
    int error = 0;
    unsigned sent;

    rig_welcome(&r);
    for (sent = 0; error == 0 && sent < 100; sent++) {
        r.now += 10 * USEC_PER_SEC;
        error = send_lie(&r);
    }
    ck_assert_int_eq(error, -EPROTO);
    ck_assert_uint_le(sent, 10);
    ck_assert_uint_eq(r.reports, 0);
    ck_assert_str_eq(r.why, "5 bad messages in a row; the last: mem_total is impossible");
    link_free(r.link);
}
END_TEST

/* Each counter that goes back within a boot, and time, is refused; each gauge may do so. */
START_TEST(test_counters_never_go_back)
{
    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++) {
        bool counter = report_field_kind(f) == REPORT_KIND_COUNTER;
        uint64_t value = f == REPORT_REPORTING ? 1 : 5000;
        Rig r;
        Message m;

        if (f == REPORT_SWAP_TOTAL || f == REPORT_MEM_TOTAL || f == REPORT_MEM_FREE)
            continue;
        rig_welcome(&r);
        m = report(&r);
        report_set(&m.report, REPORT_SWAP_TOTAL, 10000);
        report_set(&m.report, f, value);
        ck_assert_int_eq(send_message(&r, &m), 0);
        ck_assert_uint_eq(r.reports, 1);
        m.report.at_usec++;
        report_set(&m.report, f, value - 1);
        ck_assert_int_eq(send_message(&r, &m), 0);
        ck_assert_uint_eq(r.reports, counter ? 1 : 2);
        ck_assert_uint_eq(link_stats(r.link)->refused, counter ? 1 : 0);
        link_free(r.link);
    }
}
END_TEST

START_TEST(test_time_never_goes_back)
{
    Rig r;
    Message m;

    rig_welcome(&r);
    ck_assert_int_eq(send_report(&r), 0);
    m = report(&r);
    m.report.at_usec -= 1;
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.reports, 1);
    ck_assert_uint_eq(link_stats(r.link)->refused, 1);

    /* In distress neither. */
    m.type = MESSAGE_DISTRESS;
    m.cause = DISTRESS_PSI;
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.distresses, 0);
    ck_assert_uint_eq(link_stats(r.link)->refused, 2);
    link_free(r.link);
}
END_TEST

/* A guest that was put back to a snapshot tells of counters that went back, in good faith, for ever. */
START_TEST(test_snapshot_reverted)
{
    Rig r;
    Message m;
    int error = 0;

    rig_welcome(&r);
    ck_assert_int_eq(send_report(&r), 0);
    m = report(&r);
    report_set(&m.report, REPORT_SWAP_IN, MIB);
    for (unsigned i = 0; error == 0 && i < 100; i++) {
        r.now += USEC_PER_SEC;
        m.report.at_usec = r.now;
        error = send_message(&r, &m);
    }
    ck_assert_int_eq(error, -EPROTO);
    ck_assert_ptr_nonnull(strstr(r.why, "swap_in went back within one boot"));

    r.now = link_retry_usec(r.link);
    link_opened(r.link, r.now);
    ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
    m.nonce = r.nonce;
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(r.reports, 2);
    link_free(r.link);
}
END_TEST

START_TEST(test_more_memory_than_there_is)
{
    Rig r;

    rig_welcome(&r);
    link_set_maximum(r.link, GIB);
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reports, 1);
    link_set_maximum(r.link, GIB - 1);
    ck_assert_int_eq(send_report(&r), 0);
    ck_assert_uint_eq(r.reports, 1);
    ck_assert_uint_eq(link_stats(r.link)->refused, 1);
    link_free(r.link);
}
END_TEST

/* Lies that show in the message itself. 0x80 0x80 0x04 is 64 KiB as a varint. */
START_TEST(test_impossible_values)
{
    static const ReportField fields[] = {
        REPORT_MEM_FREE, REPORT_MEM_AVAILABLE, REPORT_CACHED, REPORT_BUFFERS, REPORT_SRECLAIMABLE,
        REPORT_SHMEM,    REPORT_ANON_PAGES,    REPORT_DIRTY,  REPORT_MLOCKED, REPORT_LOW_WATERMARK};

    for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
        static const uint8_t from[] = {0x83, 0x86, 0x04}, to[] = {0x83, 0x86, 0x7f};
        Rig r;
        Message m;

        rig_welcome(&r);
        m = report(&r);
        report_set(&m.report, REPORT_MEM_TOTAL, MIB);
        report_set(&m.report, REPORT_MEM_FREE, 0);
        report_set(&m.report, fields[i], 3 + (6 << 7) + (4 << 14));
        ck_assert_int_eq(send_message(&r, &m), 0);
        ck_assert_uint_eq(r.reports, 1);
        ck_assert_int_eq(send_forged(&r, &m, from, to, sizeof(from)), 0);
        ck_assert_uint_eq(r.reports, 1);
        ck_assert_uint_eq(link_stats(r.link)->refused, 1);
        link_free(r.link);
    }
}
END_TEST

/* A guest that says what is a host's to say. */
START_TEST(test_host_messages_from_guest)
{
    Rig r;
    Message m;

    rig_welcome(&r);
    m = (Message){.type = MESSAGE_WELCOME, .has_nonce = true, .nonce = r.nonce, .protocol = PROTOCOL_VERSION};
    ck_assert_int_eq(send_message(&r, &m), 0);
    m = (Message){
        .type = MESSAGE_CONFIGURE, .has_nonce = true, .nonce = r.nonce, .interval_usec = USEC_PER_SEC};
    ck_assert_int_eq(send_message(&r, &m), 0);
    ck_assert_uint_eq(link_stats(r.link)->refused, 2);
    ck_assert(link_welcomed(r.link));
    link_free(r.link);
}
END_TEST

static usec_t drop(Rig *r)
{
    int error = 0;

    link_opened(r->link, r->now);
    for (unsigned i = 0; error == 0 && i < 1000; i++)
        error = say_hello(r, BOOT_A);
    ck_assert_int_eq(error, -ENOBUFS);
    return link_retry_usec(r->link) - r->now;
}

START_TEST(test_backoff)
{
    static const usec_t waits[] = {5, 10, 20, 40, 80, 160, 320, 600, 600};
    Rig r;
    unsigned hellos;

    rig_init(&r);
    ck_assert_uint_eq(link_retry_usec(r.link), 0);
    for (size_t i = 0; i < ELEMENTSOF(waits); i++) {
        ck_assert_uint_eq(drop(&r), waits[i] * USEC_PER_SEC);

        /* Not heard before its time, also where the channel is opened. */
        hellos = r.hellos;
        r.now = link_retry_usec(r.link) - 1;
        link_opened(r.link, r.now);
        ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
        ck_assert_uint_eq(r.hellos, hellos);
        r.now++;
        ck_assert_int_eq(say_hello(&r, BOOT_A), 0);
        ck_assert_uint_eq(r.hellos, hellos + 1);
    }
    ck_assert_uint_eq(link_stats(r.link)->drops, ELEMENTSOF(waits));

    /* Good for nearly as long as the last wait: not forgotten. For as long: forgotten. */
    r.now += 599 * USEC_PER_SEC;
    ck_assert_uint_eq(drop(&r), 600 * USEC_PER_SEC);
    r.now = link_retry_usec(r.link) + 600 * USEC_PER_SEC;
    ck_assert_uint_eq(drop(&r), 5 * USEC_PER_SEC);
    link_free(r.link);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("link");

    tcase_add_test(t, test_handshake);
    tcase_add_test(t, test_distress_and_goodbye);
    tcase_add_test(t, test_nonce);
    tcase_add_test(t, test_reboot);
    tcase_add_test(t, test_configure);
    tcase_add_test(t, test_keepalive);
    tcase_add_test(t, test_shows_that_it_reads);
    tcase_add_test(t, test_frame_split_over_feeds);
    tcase_add_test(t, test_closed);
    tcase_add_test(t, test_closed_by_handler);
    tcase_add_test(t, test_too_many_messages);
    tcase_add_test(t, test_too_many_bytes);
    tcase_add_test(t, test_rubbish);
    tcase_add_test(t, test_one_bad_message_is_not_fatal);
    tcase_add_test(t, test_liar_is_dropped_however_slow);
    tcase_add_test(t, test_counters_never_go_back);
    tcase_add_test(t, test_time_never_goes_back);
    tcase_add_test(t, test_snapshot_reverted);
    tcase_add_test(t, test_more_memory_than_there_is);
    tcase_add_test(t, test_impossible_values);
    tcase_add_test(t, test_host_messages_from_guest);
    tcase_add_test(t, test_backoff);
    return run_tests(t);
}
