/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a guest may do on its channel: the input is a sequence of steps, each what is done (1 byte), the time
 * since the last (2 bytes, ms), a length (2 bytes), and as many bytes. */

#include <string.h>

#include "base/macro.h"
#include "host-agent/sense/link.h"
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

typedef enum Step {
    STEP_BYTES,         /* as they are */
    STEP_PAYLOAD,       /* in a frame in order */
    STEP_NONCE_PAYLOAD, /* likewise, with the nonce that the guest was given behind it */
    STEP_REOPEN,
    STEP_CONFIGURE,
    STEP_MAXIMUM,
    STEP_LEVER, /* the length says which lever, and the id */
    STEP_MAX,
} Step;

typedef struct Rig {
    Link *link;
    usec_t start, now;
    uint32_t nonce;
    uint64_t heard; /* messages handed up */
    uint64_t sent, asked;
    uint64_t maximum;
    uint32_t lever_id; /* of the request that waits for its answer; 0: none */
    Report last;
    bool has_last;
} Rig;

static void on_hello(void *userdata, const Message *m, bool rebooted)
{
    Rig *r = userdata;

    assert(link_welcomed(r->link));
    assert(m->type == MESSAGE_HELLO && m->protocol == PROTOCOL_VERSION);
    assert(strlen(m->version) <= GUEST_TEXT_MAX && strlen(m->text) <= GUEST_TEXT_MAX);
    assert(strlen(m->levers_missing) <= GUEST_TEXT_MAX);
    r->lever_id = 0;
    assert(strcmp(link_boot_id(r->link), m->boot_id) == 0 && strlen(m->boot_id) == 36);
    if (rebooted)
        r->has_last = false;
    r->heard++;
}

/* message_pack() refuses what message_unpack() would refuse. */
static void check_report(Rig *r, Message m, const Report *report)
{
    uint8_t buf[FRAME_MAX];

    assert(link_welcomed(r->link));
    m.report = *report;
    assert(message_pack(&m, buf) > 0);
    assert(r->maximum == 0 || report_get(report, REPORT_MEM_TOTAL) <= r->maximum);
    assert(!r->has_last || report_follows(&r->last, report, NULL) == 0);
    r->last = *report;
    r->has_last = true;
    r->heard++;
}

static void on_report(void *userdata, const Report *report)
{
    check_report(userdata, (Message){.type = MESSAGE_REPORT, .has_nonce = true}, report);
}

static void on_distress(void *userdata, DistressCause cause, const Report *report)
{
    check_report(userdata, (Message){.type = MESSAGE_DISTRESS, .has_nonce = true, .cause = cause}, report);
}

static void on_goodbye(void *userdata, const char *reason)
{
    Rig *r = userdata;

    assert(!link_welcomed(r->link));
    assert(strlen(reason) <= GUEST_TEXT_MAX);
    r->heard++;
}

/* Only what was asked for, and once. */
static void on_reclaimed(void *userdata, const Message *m)
{
    Rig *r = userdata;
    uint8_t buf[FRAME_MAX];

    assert(link_welcomed(r->link));
    assert(m->id != 0 && m->id == r->lever_id);
    assert(r->maximum == 0 || m->bytes <= r->maximum);
    assert(lever_end_to_string(m->why));
    assert(message_pack(m, buf) > 0);
    r->lever_id = 0;
    r->heard++;
}

static void on_send(void *userdata, const uint8_t *data, size_t length)
{
    Rig *r = userdata;
    Message m;

    r->sent++;
    assert(length > FRAME_HEADER_SIZE && length <= FRAME_MAX);
    assert(message_unpack(data + FRAME_HEADER_SIZE, length - FRAME_HEADER_SIZE, &m, NULL) == 0);
    assert(m.type == MESSAGE_WELCOME || m.type == MESSAGE_CONFIGURE || m.type == MESSAGE_RECLAIM ||
           m.type == MESSAGE_COMPACT);
    if (m.type == MESSAGE_WELCOME)
        r->nonce = m.nonce;
}

/* However it goes about it, a guest isn't heard more than its bucket allows, and answered no more than three
 * times for each message (Welcome, Configure, and Configure once more). */
static void check_budget(const Rig *r)
{
    const LinkStats *s = link_stats(r->link);
    double seconds = (double) (r->now - r->start) / (double) USEC_PER_SEC;

    assert((double) r->heard <= LINK_MESSAGES_BURST + LINK_MESSAGES_PER_SEC * seconds + 1);
    assert(r->sent <= 3 * s->messages + r->asked);
    assert(r->heard + s->refused <= s->messages);
    assert(s->invalid_bytes <= s->bytes);
}

static void feed(Rig *r, const uint8_t *data, size_t length)
{
    const char *why = NULL;
    uint64_t heard = r->heard, drops = link_stats(r->link)->drops;
    usec_t retry = link_retry_usec(r->link);
    int error = link_feed(r->link, data, length, r->now, &why);

    assert(r->now >= retry || (error == 0 && r->heard == heard));
    assert(link_stats(r->link)->drops == drops + (error < 0));
    if (error == 0)
        return;
    assert(error == -EPROTO || error == -ENOBUFS);
    assert(why && *why);
    assert(!link_welcomed(r->link));
    retry = link_retry_usec(r->link);
    assert(retry >= r->now + LINK_BACKOFF_MIN_USEC && retry <= r->now + LINK_BACKOFF_MAX_USEC);
    r->has_last = false;
    r->lever_id = 0;
}

static void feed_payload(Rig *r, bool nonce, const uint8_t *data, size_t length)
{
    static const uint8_t tag = 1 << 3 | 5; /* field 1, fixed32; the last of a field counts */
    uint8_t buf[FRAME_MAX], *p = buf + FRAME_HEADER_SIZE;
    ssize_t n;

    length = MIN(length, FRAME_PAYLOAD_MAX - 5);
    memcpy(p, data, length);
    if (nonce) {
        p[length++] = tag;
        for (unsigned i = 0; i < 4; i++)
            p[length++] = (uint8_t) (r->nonce >> (8 * i));
    }
    n = frame_finish(buf, length);
    if (n > 0)
        feed(r, buf, (size_t) n);
}

static void ask(Rig *r, size_t length)
{
    uint32_t id = (uint32_t) length / 3 + 1;
    int error = length % 3 == 0 ? link_compact(r->link, id) : link_reclaim(r->link, id, id, length % 3 == 1);

    assert(link_welcomed(r->link) || error == -ENOTCONN);
    assert(r->lever_id == 0 || error == -EBUSY || error == -ENOTCONN || error == -EOPNOTSUPP);
    if (error == 0)
        r->lever_id = id;
    r->asked++;
}

static void step(Rig *r, Step what, const uint8_t *data, size_t length)
{
    switch (what) {
    case STEP_BYTES:
        feed(r, data, length);
        break;
    case STEP_PAYLOAD:
    case STEP_NONCE_PAYLOAD:
        feed_payload(r, what == STEP_NONCE_PAYLOAD, data, length);
        break;
    case STEP_REOPEN:
        link_closed(r->link);
        assert(!link_welcomed(r->link));
        link_opened(r->link, r->now);
        r->has_last = false;
        r->lever_id = 0;
        break;
    case STEP_CONFIGURE:
        r->asked++;
        link_configure(r->link, length * USEC_PER_MSEC);
        break;
    case STEP_MAXIMUM:
        r->maximum = (uint64_t) length << 20;
        link_set_maximum(r->link, r->maximum);
        break;
    case STEP_LEVER:
        ask(r, length);
        break;
    case STEP_MAX:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const LinkHandlers handlers = {.hello = on_hello,
                                          .report = on_report,
                                          .distress = on_distress,
                                          .goodbye = on_goodbye,
                                          .reclaimed = on_reclaimed,
                                          .send = on_send};
    Rig r = {.start = USEC_PER_SEC, .now = USEC_PER_SEC};

    if (link_new(&handlers, &r, &r.link) < 0)
        return 0;
    link_opened(r.link, r.now);
    while (size >= 5) {
        size_t length = MIN((size_t) data[3] | (size_t) data[4] << 8, size - 5);

        r.now += ((usec_t) data[1] | (usec_t) data[2] << 8) * USEC_PER_MSEC;
        step(&r, data[0] % STEP_MAX, data + 5, length);
        check_budget(&r);
        data += 5 + length;
        size -= 5 + length;
    }
    link_free(r.link);
    return 0;
}
