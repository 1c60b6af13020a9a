/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's channel: opens it, feeds it, and asks the agent for a pace. */

#include "host-agent/sense/guest-channel.h"

#include "base/log.h"
#include "host-agent/guest/guest-events.h"
#include "host-agent/guest/guest-levers.h"
#include "host-agent/guest/guest-log.h"

/* An agent's Hello is logged at most once in this time. */
#define GREETING_USEC    (60 * USEC_PER_SEC)
/* How long an agent may send messages that are refused before its channel is closed and opened again. */
#define UNWELCOME_USEC   (5 * USEC_PER_SEC)
/* A closed channel is opened again after this time, which doubles up to the maximum. */
#define BACKOFF_MIN_USEC (USEC_PER_SEC)
#define BACKOFF_MAX_USEC (30 * USEC_PER_SEC)
/* Intervals of reports: while a balloon moves (and how long after that), and while all is calm. */
#define PACE_MOVING_USEC (250 * USEC_PER_MSEC)
#define PACE_FAST_USEC   (10 * USEC_PER_SEC)
#define PACE_CALM_USEC   (2 * USEC_PER_SEC)

static const char *name_of(const GuestChannel *c)
{
    return c->guest->info.name;
}

static void on_hello(void *userdata, const Message *m, bool restarted)
{
    GuestChannel *c = userdata;
    usec_t now = now_usec(CLOCK_MONOTONIC);

    /* An agent may say Hello twenty times a second. */
    log_full(c->greeted_usec == 0 || usec_since(c->greeted_usec, now) > GREETING_USEC ? LOG_INFO : LOG_DEBUG,
             "%s: agent %s connected (kernel %s)", name_of(c),
             m->version[0] ? m->version : "of unknown version", m->text[0] ? m->text : "unknown");
    c->greeted_usec = now;
    guest_hello(c->guest, m, LESS_BY(now, m->boot_usec < now ? m->boot_usec : 0), restarted);
}

static void on_report(void *userdata, const Report *r)
{
    GuestChannel *c = userdata;

    guest_report(c->guest, r, now_usec(CLOCK_MONOTONIC));
}

static void on_distress(void *userdata, DistressCause cause, const Report *r)
{
    GuestChannel *c = userdata;

    guest_distress(c->guest, cause, r, now_usec(CLOCK_MONOTONIC));
}

static void on_goodbye(void *userdata, const char *reason)
{
    GuestChannel *c = userdata;
    usec_t now = now_usec(CLOCK_MONOTONIC);

    /* An agent may say Goodbye twenty times a second, too. */
    log_full(guest_goodbye(c->guest, now) ? guest_log_level(c->guest, GUEST_LINE_CHANNEL, LOG_INFO, now)
                                          : LOG_DEBUG,
             "%s: agent disconnected%s%s", name_of(c), reason[0] ? ": " : "", reason);
}

static void on_reclaimed(void *userdata, const Message *m)
{
    GuestChannel *c = userdata;

    guest_reclaimed(c->guest, m, now_usec(CLOCK_MONOTONIC));
}

static void on_read(void *userdata)
{
    GuestChannel *c = userdata;

    c->transport->was_read(c->transport->userdata, c->guest->info.uuid);
}

static void on_send(void *userdata, const uint8_t *data, size_t length)
{
    GuestChannel *c = userdata;
    int r;

    r = c->transport->send(c->transport->userdata, c->guest->info.uuid, data, length);
    if (r < 0)
        log_debug_errno(-r, "%s: dropped a message of %zu bytes to the agent: %m", name_of(c), length);
}

static const LinkHandlers link_handlers = {
    .hello = on_hello,
    .report = on_report,
    .distress = on_distress,
    .goodbye = on_goodbye,
    .reclaimed = on_reclaimed,
    .read = on_read,
    .send = on_send,
};

int guest_channel_new(Guest *guest, const Transport *transport, GuestChannel **ret)
{
    _cleanup_(guest_channel_freep) GuestChannel *c = calloc(1, sizeof(GuestChannel));
    int r;

    if (!c)
        return -ENOMEM;
    c->guest = guest;
    c->transport = transport;
    r = link_new(&link_handlers, c, &c->link);
    if (r < 0)
        return r;
    guest_channel_update(c);
    *ret = TAKE_PTR(c);
    return 0;
}

GuestChannel *guest_channel_free(GuestChannel *c)
{
    if (!c)
        return NULL;
    link_free(c->link);
    free(c);
    return NULL;
}

void guest_channel_update(GuestChannel *c)
{
    link_set_maximum(c->link, c->guest->info.maximum_bytes);
}

static void close_channel(GuestChannel *c)
{
    link_closed(c->link);
    c->transport->close(c->transport->userdata, c->guest->info.uuid);
    c->open = false;
}

/* When the channel is closed and opened again quickly, a guest's kernel may notice neither. Then its agent
 * goes on with a nonce that this daemon doesn't know, and would say Hello only after a minute and a half of
 * silence. It does notice a channel that is closed for a moment longer. */
static void tend_unwelcome(GuestChannel *c, usec_t now_usec)
{
    if (link_welcomed(c->link) || usec_since(c->opened_usec, now_usec) < UNWELCOME_USEC ||
        link_stats(c->link)->refused == c->refused)
        return;
    log_debug("%s: its agent hasn't noticed that ballastd started again; closing and opening the channel",
              name_of(c));
    close_channel(c);
    c->retry_usec = now_usec + BACKOFF_MIN_USEC;
}

void guest_channel_tend(GuestChannel *c, usec_t now_usec)
{
    bool off = guest_mode(c->guest) == GUEST_MODE_OFF;

    if (c->open && off) {
        log_info("%s: is in mode off now: closing the channel to its agent", name_of(c));
        close_channel(c);
    }
    if (c->open)
        tend_unwelcome(c, now_usec);
    if (!c->guest->info.has_channel || c->open || c->wanted || off)
        return;
    if (now_usec < c->retry_usec || now_usec < link_retry_usec(c->link))
        return;
    c->backoff_usec = CLAMP(2 * c->backoff_usec, BACKOFF_MIN_USEC, BACKOFF_MAX_USEC);
    c->retry_usec = now_usec + c->backoff_usec;
    c->wanted = c->transport->open(c->transport->userdata, c->guest->info.uuid) >= 0;
}

void guest_channel_pace(GuestChannel *c, bool calm, usec_t stale_usec, usec_t now_usec)
{
    usec_t interval = REPORT_INTERVAL_DEFAULT_USEC;

    /* More moves mostly follow: changing the pace twice for each would cost more than it saves. */
    if (guest_is_moving(c->guest, now_usec))
        c->fast_usec = now_usec + PACE_FAST_USEC;
    if (now_usec < c->fast_usec)
        interval = PACE_MOVING_USEC;
    else if (calm)
        interval = PACE_CALM_USEC;
    interval = MIN(interval, MAX(stale_usec / 3, PACE_MOVING_USEC));
    guest_set_interval(c->guest, interval);
    link_configure(c->link, interval);
}

int guest_channel_reclaim(GuestChannel *c, uint32_t id, uint64_t bytes, bool anon)
{
    return link_reclaim(c->link, id, bytes, anon);
}

int guest_channel_compact(GuestChannel *c, uint32_t id)
{
    return link_compact(c->link, id);
}

void guest_channel_forget_lever(GuestChannel *c)
{
    link_forget_lever(c->link);
}

void guest_channel_opened(GuestChannel *c, usec_t now_usec)
{
    c->wanted = false;
    c->open = true;
    c->opened_usec = now_usec;
    c->refused = link_stats(c->link)->refused;
    link_opened(c->link, now_usec);
}

static void tell_dropped(const GuestChannel *c, const char *why, usec_t now_usec)
{
    Notice n = guest_notice(c->guest, NOTICE_AGENT_DROPPED);

    notice_set_text(&n, why ? why : "it broke the rules of the channel");
    n.wait_usec = usec_since(now_usec, link_retry_usec(c->link));
    n.further = guest_log_level(c->guest, GUEST_LINE_CHANNEL, LOG_WARNING, now_usec) == LOG_DEBUG;
    guest_tell(c->guest, &n);
}

void guest_channel_data(GuestChannel *c, const uint8_t *data, size_t length, usec_t now_usec)
{
    const char *why = NULL;

    if (!c->open)
        return;
    c->backoff_usec = 0;
    if (link_feed(c->link, data, length, now_usec, &why) >= 0)
        return;
    tell_dropped(c, why, now_usec);
    close_channel(c);
}

void guest_channel_closed(GuestChannel *c, const char *text)
{
    const char *colon = text ? ": " : "";
    usec_t now = now_usec(CLOCK_MONOTONIC);

    if (c->open) {
        log_full(guest_log_level(c->guest, GUEST_LINE_CHANNEL, LOG_INFO, now),
                 "%s: the agent's channel was closed%s%s", name_of(c), colon, text ? text : "");
        link_closed(c->link);
    } else if (c->backoff_usec <= 2 * USEC_PER_SEC)
        log_full(guest_log_level(c->guest, GUEST_LINE_CHANNEL, LOG_INFO, now),
                 "%s: cannot open the agent's channel%s%s", name_of(c), colon, text ? text : "");
    c->open = c->wanted = false;
}

void guest_channel_lost(GuestChannel *c)
{
    if (c->open)
        link_closed(c->link);
    c->open = c->wanted = false;
    c->backoff_usec = c->retry_usec = 0;
}
