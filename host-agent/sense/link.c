/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's end of one guest's channel: checks what the guest sends, and limits it. */

#include "host-agent/sense/link.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>

#include "proto/frame.h"

/* The tokens that a bad message costs. */
#define COST_REFUSED         10.0
/* After this many refused messages in a row, however slowly they come, the guest is dropped: its messages are
 * of no use, and only opening its channel again can help. */
#define REFUSED_IN_A_ROW_MAX 5U
#define WHY_MAX              192

typedef struct Bucket {
    double tokens, per_sec, burst;
} Bucket;

/* Each message of a guest carries the nonce of the last Welcome that it read. */
typedef struct LinkNonce {
    uint32_t current; /* the guest's, while it is welcomed */
    uint32_t next;
    bool seen;         /* a message with current came */
    bool renewing;     /* next was sent, and no message with it came yet */
    unsigned unproven; /* messages that were sent since the guest last proved that it reads */
} LinkNonce;

/* What a guest may send, and the penalty if it sends more. */
typedef struct LinkLimits {
    Bucket messages, bytes;
    uint64_t invalid_run; /* invalid bytes since the last frame */
    unsigned refused_run; /* refused messages since the last good one */
    usec_t backoff_usec;  /* the last wait; 0: none, or forgotten */
    usec_t retry_usec;
    char why[WHY_MAX];
} LinkLimits;

struct Link {
    LinkHandlers handlers;
    void *userdata;
    LinkStats stats;
    FrameReader reader;

    bool open, welcomed;
    LinkNonce nonce;
    char agent_version[GUEST_TEXT_MAX + 1];
    char boot_id[37];
    uint32_t features;     /* of the last Hello */
    uint32_t lever_id;     /* of the Reclaim or Compact that isn't answered; 0: none */
    uint32_t forgotten_id; /* of the last one whose answer is no longer waited for; 0: none */

    Report last; /* the last accepted one since the channel was opened and the guest booted */
    bool has_last;
    uint64_t maximum_bytes; /* 0: not known */

    usec_t interval_usec, interval_sent_usec; /* wanted; last sent since Welcome (0: not yet) */
    usec_t sent_usec;                         /* when anything was last sent */
    usec_t now_usec;                          /* as last passed in */

    LinkLimits limits;
};

static bool bucket_take(Bucket *b, double tokens)
{
    if (b->tokens < tokens) {
        b->tokens = 0;
        return false;
    }
    b->tokens -= tokens;
    return true;
}

static void bucket_fill(Bucket *b, usec_t usec)
{
    b->tokens = MIN(b->burst, b->tokens + b->per_sec * (double) usec / (double) USEC_PER_SEC);
}

/* Advances to the caller's time; the buckets fill meanwhile. */
static void advance(Link *l, usec_t now_usec)
{
    usec_t elapsed = usec_since(l->now_usec, now_usec);

    bucket_fill(&l->limits.messages, elapsed);
    bucket_fill(&l->limits.bytes, elapsed);
    l->now_usec = MAX(l->now_usec, now_usec);
}

int link_new(const LinkHandlers *handlers, void *userdata, Link **ret)
{
    Link *l = calloc(1, sizeof(*l));

    if (!l)
        return -ENOMEM;
    l->handlers = *handlers;
    l->userdata = userdata;
    l->interval_usec = REPORT_INTERVAL_DEFAULT_USEC;
    l->limits.messages = (Bucket){LINK_MESSAGES_BURST, LINK_MESSAGES_PER_SEC, LINK_MESSAGES_BURST};
    l->limits.bytes = (Bucket){LINK_BYTES_BURST, LINK_BYTES_PER_SEC, LINK_BYTES_BURST};
    frame_reader_init(&l->reader);
    *ret = l;
    return 0;
}

Link *link_free(Link *l)
{
    free(l);
    return NULL;
}

/* Counts what the reader has dropped since the last call. */
static void count_invalid(Link *l)
{
    l->stats.invalid_bytes += l->reader.rubbish_bytes;
    l->stats.bad_frames += l->reader.bad_frames;
    l->limits.invalid_run += l->reader.rubbish_bytes;
    l->reader.rubbish_bytes = 0;
    l->reader.bad_frames = 0;
}

static void forget_conversation(Link *l)
{
    frame_reader_init(&l->reader);
    l->welcomed = l->nonce.renewing = false;
    l->nonce.unproven = 0;
    l->lever_id = 0;
    l->has_last = false;
    l->limits.invalid_run = 0;
    l->limits.refused_run = 0;
}

void link_opened(Link *l, usec_t now_usec)
{
    advance(l, now_usec);
    forget_conversation(l);
    l->open = true;
}

void link_closed(Link *l)
{
    forget_conversation(l);
    l->open = false;
}

void link_set_maximum(Link *l, uint64_t maximum_bytes)
{
    l->maximum_bytes = maximum_bytes;
}

static int send_message(Link *l, const Message *m)
{
    uint8_t buf[FRAME_MAX];
    ssize_t n = message_pack(m, buf);

    if (n < 0)
        return (int) n;
    l->sent_usec = l->now_usec;
    l->nonce.unproven++;
    l->handlers.send(l->userdata, buf, (size_t) n);
    return 0;
}

static void send_configure(Link *l)
{
    Message m = {.type = MESSAGE_CONFIGURE, .interval_usec = l->interval_usec};

    if (send_message(l, &m) >= 0)
        l->interval_sent_usec = l->interval_usec;
}

void link_configure(Link *l, usec_t interval_usec)
{
    l->interval_usec = CLAMP(interval_usec, REPORT_INTERVAL_MIN_USEC, REPORT_INTERVAL_MAX_USEC);
    if (l->welcomed && l->interval_usec != l->interval_sent_usec)
        send_configure(l);
}

/* feature: of the agent that can do it. */
static int ask(Link *l, const Message *m, uint32_t feature)
{
    int r;

    if (!l->welcomed)
        return -ENOTCONN;
    if (!(l->features & feature))
        return -EOPNOTSUPP;
    if (l->lever_id != 0)
        return -EBUSY;
    l->lever_id = m->id;
    r = send_message(l, m);
    if (r < 0)
        l->lever_id = 0;
    return r;
}

int link_reclaim(Link *l, uint32_t id, uint64_t bytes, bool anon)
{
    Message m = {.type = MESSAGE_RECLAIM, .id = id, .bytes = bytes, .anon = anon};

    return ask(l, &m, anon ? HELLO_FEATURE_RECLAIM_ANON : HELLO_FEATURE_RECLAIM_FILE);
}

int link_compact(Link *l, uint32_t id)
{
    return ask(l, &(Message){.type = MESSAGE_COMPACT, .id = id}, HELLO_FEATURE_COMPACT);
}

void link_forget_lever(Link *l)
{
    l->forgotten_id = l->lever_id;
    l->lever_id = 0;
}

/* Drops the guest: it isn't heard for a while, longer each time. The last wait is forgotten if the guest has
 * behaved for as long as that after its end. */
_printf_(3, 4) static int drop(Link *l, int error, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(l->limits.why, sizeof(l->limits.why), format, ap);
    va_end(ap);

    if (l->limits.backoff_usec && l->now_usec >= l->limits.retry_usec + l->limits.backoff_usec)
        l->limits.backoff_usec = 0;
    l->limits.backoff_usec = CLAMP(l->limits.backoff_usec * 2, LINK_BACKOFF_MIN_USEC, LINK_BACKOFF_MAX_USEC);
    l->limits.retry_usec = l->now_usec + l->limits.backoff_usec;
    l->stats.drops++;
    link_closed(l);
    return error;
}

/* Refuses a message that a correct agent never sends. */
static int refuse(Link *l, const char *what, int error)
{
    const char *why = error == -ENODATA           ? "is missing"
                      : error == -EPROTONOSUPPORT ? "is of another version"
                      : error == -ERANGE          ? "is impossible"
                      : error == -ENAMETOOLONG    ? "is too long"
                      : error == -EILSEQ          ? "has a wrong value"
                      : error == -ESTALE          ? "went back within one boot"
                      : error == -ENOMSG          ? "wasn't asked for"
                      : error == -EPERM           ? "is a message that only the host may send"
                                                  : "can't be understood";

    l->stats.refused++;
    l->limits.refused_run++;
    if (!bucket_take(&l->limits.messages, COST_REFUSED))
        return drop(l, -EPROTO, "too many bad messages; the last: %s %s", what, why);
    if (l->limits.refused_run >= REFUSED_IN_A_ROW_MAX)
        return drop(l, -EPROTO, "%u bad messages in a row; the last: %s %s", l->limits.refused_run, what,
                    why);
    return 0;
}

/* Sends a Welcome with a fresh nonce. False: no random number was available, or the channel was closed. */
static bool send_welcome(Link *l, uint32_t *ret_nonce)
{
    Message welcome = {.type = MESSAGE_WELCOME, .has_nonce = true, .protocol = PROTOCOL_VERSION};

    if (getrandom(&welcome.nonce, sizeof(welcome.nonce), 0) != sizeof(welcome.nonce))
        return false;
    if (welcome.nonce == l->nonce.current)
        welcome.nonce++;
    snprintf(welcome.version, sizeof(welcome.version), "%s", BALLAST_VERSION);
    if (send_message(l, &welcome) < 0 || !l->open)
        return false;
    *ret_nonce = welcome.nonce;
    return true;
}

/* Whether m comes from the guest that was welcomed. The first message with a nonce proves that the guest has
 * read the Welcome, and so everything that was sent before it. */
static bool is_known(Link *l, const Message *m)
{
    if (!l->welcomed || !m->has_nonce)
        return false;
    if (l->nonce.renewing && m->nonce == l->nonce.next) {
        l->nonce.current = l->nonce.next;
        l->nonce.renewing = l->nonce.seen = false;
    }
    if (m->nonce != l->nonce.current)
        return false;
    if (!l->nonce.seen) {
        l->nonce.seen = true;
        l->nonce.unproven = 0;
        if (l->handlers.read)
            l->handlers.read(l->userdata);
    }
    return true;
}

static void renew(Link *l)
{
    if (!l->nonce.renewing && l->nonce.unproven >= LINK_UNPROVEN_MAX)
        l->nonce.renewing = send_welcome(l, &l->nonce.next);
}

static int on_hello(Link *l, const Message *m)
{
    uint32_t nonce;
    bool rebooted = l->boot_id[0] && strcmp(l->boot_id, m->boot_id) != 0;

    l->stats.hellos++;
    /* The guest is welcomed only once it has a nonce; otherwise it says Hello again. */
    l->welcomed = l->nonce.renewing = false;
    if (!send_welcome(l, &nonce))
        return 0;

    l->nonce.current = nonce;
    l->nonce.seen = false;
    l->welcomed = true;
    l->interval_sent_usec = 0;
    l->features = m->features;
    l->lever_id = 0;
    if (rebooted)
        l->has_last = false;
    memcpy(l->boot_id, m->boot_id, sizeof(l->boot_id));
    memcpy(l->agent_version, m->version, sizeof(l->agent_version));
    l->handlers.hello(l->userdata, m, rebooted);
    /* If the handler asked for another interval, it was sent already. */
    if (l->welcomed && l->interval_sent_usec == 0)
        send_configure(l);
    return 0;
}

static int on_report(Link *l, const Message *m)
{
    const char *what = NULL;
    int r;

    if (m->type == MESSAGE_DISTRESS && m->report.present == 0) {
        l->handlers.distress(l->userdata, m->cause, &m->report);
        return 0;
    }
    if (l->maximum_bytes && report_get(&m->report, REPORT_MEM_TOTAL) > l->maximum_bytes)
        return refuse(l, report_field_name(REPORT_MEM_TOTAL), -ERANGE);
    if (l->has_last) {
        r = report_follows(&l->last, &m->report, &what);
        if (r < 0)
            return refuse(l, what, r);
    }
    l->last = m->report;
    l->has_last = true;
    l->limits.refused_run = 0;

    if (usec_since(l->sent_usec, l->now_usec) >= LINK_KEEPALIVE_USEC)
        send_configure(l);
    renew(l);
    if (!l->welcomed)
        return 0;
    if (m->type == MESSAGE_DISTRESS)
        l->handlers.distress(l->userdata, m->cause, &m->report);
    else
        l->handlers.report(l->userdata, &m->report);
    return 0;
}

static int on_reclaimed(Link *l, const Message *m)
{
    /* A slow guest's answer that comes too late isn't bad. */
    if (l->forgotten_id != 0 && m->id == l->forgotten_id) {
        l->forgotten_id = 0;
        l->stats.refused++;
        return 0;
    }
    if (l->lever_id == 0 || m->id != l->lever_id)
        return refuse(l, message_type_to_string(m->type), -ENOMSG);
    if (l->maximum_bytes && m->bytes > l->maximum_bytes)
        return refuse(l, "got", -ERANGE);
    l->lever_id = 0;
    l->limits.refused_run = 0;
    l->handlers.reclaimed(l->userdata, m);
    return 0;
}

static int on_frame(Link *l, const uint8_t *payload, size_t length)
{
    const char *what = NULL;
    Message m;
    int r;

    l->stats.messages++;
    l->limits.invalid_run = 0;
    if (!bucket_take(&l->limits.messages, 1))
        return drop(l, -ENOBUFS, "more than %u messages a second", LINK_MESSAGES_PER_SEC);
    r = message_unpack(payload, length, &m, &what);
    if (r < 0)
        return r == -ENOMEM ? 0 : refuse(l, what ?: "a message", r);

    if (m.type == MESSAGE_HELLO)
        return on_hello(l, &m);
    if (m.type == MESSAGE_WELCOME || m.type == MESSAGE_CONFIGURE || m.type == MESSAGE_RECLAIM ||
        m.type == MESSAGE_COMPACT)
        return refuse(l, message_type_to_string(m.type), -EPERM);
    if (!is_known(l, &m)) {
        l->stats.refused++;
        return 0;
    }
    if (m.type == MESSAGE_GOODBYE) {
        l->welcomed = false;
        l->handlers.goodbye(l->userdata, m.text);
        return 0;
    }
    if (m.type == MESSAGE_RECLAIMED)
        return on_reclaimed(l, &m);
    return on_report(l, &m);
}

static int feed(Link *l, const uint8_t *data, size_t length)
{
    int got, r = 0;

    l->stats.bytes += length;
    if (!bucket_take(&l->limits.bytes, (double) length))
        return drop(l, -ENOBUFS, "more than %u bytes a second", LINK_BYTES_PER_SEC);
    do {
        const uint8_t *payload;
        size_t taken, n;

        got = frame_reader_feed(&l->reader, data, length, &taken, &payload, &n);
        data += taken;
        length -= taken;
        count_invalid(l);
        if (l->limits.invalid_run > LINK_RUBBISH_MAX)
            return drop(l, -EPROTO, "more than %u bytes that aren't a message", LINK_RUBBISH_MAX);
        if (got > 0)
            r = on_frame(l, payload, n);
        /* A handler may have closed the channel: the rest is no longer wanted. */
    } while (got > 0 && r >= 0 && l->open);
    return r;
}

int link_feed(Link *l, const uint8_t *data, size_t length, usec_t now_usec, const char **ret_why)
{
    int r;

    advance(l, now_usec);
    if (!l->open || l->now_usec < l->limits.retry_usec)
        return 0;
    r = feed(l, data, length);
    if (r < 0 && ret_why)
        *ret_why = l->limits.why;
    return r;
}

usec_t link_retry_usec(const Link *l)
{
    return l->limits.retry_usec;
}

bool link_welcomed(const Link *l)
{
    return l->welcomed;
}

const char *link_agent_version(const Link *l)
{
    return l->agent_version;
}

const char *link_boot_id(const Link *l)
{
    return l->boot_id;
}

const LinkStats *link_stats(const Link *l)
{
    return &l->stats;
}
