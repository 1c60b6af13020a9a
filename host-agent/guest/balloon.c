/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One balloon as it moves: where it is, whether it gets there, and who moved it. */

#include "host-agent/guest/balloon.h"

#include "base/macro.h"

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

static bool is_near(uint64_t a, uint64_t b)
{
    return distance(a, b) <= BALLOON_TOLERANCE_BYTES;
}

/* Whether bytes lies between a and b, give or take the tolerance. */
static bool is_between(uint64_t bytes, uint64_t a, uint64_t b)
{
    uint64_t low = MIN(a, b), high = MAX(a, b);

    return bytes >= LESS_BY(low, BALLOON_TOLERANCE_BYTES) &&
           (bytes <= high || bytes - high <= BALLOON_TOLERANCE_BYTES);
}

static bool is_growing(const Balloon *b)
{
    return b->target_bytes > b->from_bytes;
}

static void rest_at(Balloon *b, uint64_t low_bytes, uint64_t high_bytes)
{
    b->low_bytes = low_bytes;
    b->high_bytes = high_bytes;
}

static void forget_stall(Balloon *b)
{
    b->stalled = false;
    b->retry_usec = b->backoff_usec = 0;
}

static void begin_at(Balloon *b, uint64_t from_bytes)
{
    b->from_bytes = b->progress_bytes = from_bytes;
}

static void turn(Balloon *b, usec_t now_usec)
{
    bool open = now_usec < b->former.until_usec;
    uint64_t low = MIN(b->actual_bytes, b->target_bytes), high = MAX(b->actual_bytes, b->target_bytes);

    b->former.low_bytes = open ? MIN(low, b->former.low_bytes) : low;
    b->former.high_bytes = open ? MAX(high, b->former.high_bytes) : high;
    b->former.until_usec = now_usec + BALLOON_TURN_USEC;
}

static bool is_turning(const Balloon *b, usec_t now_usec)
{
    return now_usec < b->former.until_usec &&
           is_between(b->actual_bytes, b->former.low_bytes, b->former.high_bytes);
}

/* The largest size that is ours while nothing is on its way. */
static uint64_t high_end(const Balloon *b)
{
    bool asked = b->target_bytes > 0 && b->high_bytes < UINT64_MAX;

    return asked ? b->high_bytes : MIN(b->high_bytes, MAX(b->low_bytes, b->full_bytes));
}

uint64_t balloon_believed(const Balloon *b)
{
    uint64_t low = b->moving ? MIN(b->from_bytes, b->target_bytes) : b->low_bytes,
             high = b->moving ? MAX(b->from_bytes, b->target_bytes) : high_end(b);

    return is_between(b->actual_bytes, low, high) ? b->actual_bytes : CLAMP(b->actual_bytes, low, high);
}

void balloon_expect(Balloon *b, uint64_t low_bytes, uint64_t high_bytes)
{
    rest_at(b, low_bytes, high_bytes);
}

static void look(Balloon *b, uint64_t actual_bytes, usec_t now_usec)
{
    if (b->known && b->actual_bytes == actual_bytes) {
        b->still.looks++;
        return;
    }
    b->actual_bytes = actual_bytes;
    balloon_disturbed(b, now_usec);
}

void balloon_set_autodeflate(Balloon *b, bool autodeflate)
{
    b->autodeflate = autodeflate;
}

void balloon_set_full(Balloon *b, uint64_t full_bytes)
{
    b->full_bytes = full_bytes;
}

void balloon_excused(Balloon *b, usec_t now_usec)
{
    b->progress_usec = now_usec;
}

void balloon_disturbed(Balloon *b, usec_t now_usec)
{
    b->still.usec = now_usec;
    b->still.looks = 0;
}

static bool is_at_rest(const Balloon *b, usec_t now_usec)
{
    return b->still.looks >= BALLOON_REST_LOOKS && usec_since(b->still.usec, now_usec) >= BALLOON_REST_USEC;
}

void balloon_sent(Balloon *b, uint64_t target_bytes, usec_t now_usec)
{
    /* The same direction and at least as far: the move goes on, and the time for showing progress isn't
     * extended. */
    bool further =
        b->moving && (is_growing(b) ? target_bytes >= b->target_bytes : target_bytes <= b->target_bytes);
    uint64_t from = balloon_believed(b);

    if (b->moving && !further)
        turn(b, now_usec);
    if (!further) {
        b->previous_bytes = b->target_bytes;
        b->from_bytes = from;
        b->progress_bytes = b->actual_bytes;
        b->sent_usec = b->progress_usec = now_usec;
        move_rate_begin(&b->rate);
    }
    b->target_bytes = target_bytes;
    b->moving = true;
    b->moves++;
    b->foreign.bytes = 0;
    /* The stalled move is tried again. A move in the other direction leaves the wait as it is. */
    if (b->stalled && b->stalled_growing == is_growing(b))
        b->stalled = false;
}

void balloon_adopt(Balloon *b, uint64_t target_bytes)
{
    b->target_bytes = target_bytes;
    begin_at(b, b->actual_bytes);
    rest_at(b, MIN(target_bytes, b->actual_bytes), MAX(target_bytes, b->actual_bytes));
}

static void back_off(Balloon *b, bool growing, usec_t now_usec)
{
    b->moving = false;
    b->stalled = true;
    b->stalled_growing = growing;
    b->stalls++;
    b->backoff_usec =
        b->backoff_usec == 0 ? BALLOON_RETRY_MIN_USEC : MIN(2 * b->backoff_usec, BALLOON_RETRY_MAX_USEC);
    b->retry_usec = now_usec + b->backoff_usec;
}

/* Gives up the move on its way: the sizes between its ends are still ours. */
static void give_up(Balloon *b)
{
    rest_at(b, MIN(b->from_bytes, b->target_bytes), MAX(b->from_bytes, b->target_bytes));
}

void balloon_refused(Balloon *b, usec_t now_usec)
{
    bool growing = is_growing(b);

    if (b->moving)
        give_up(b);
    back_off(b, growing, now_usec);
}

void balloon_withdrawn(Balloon *b)
{
    if (b->moving)
        give_up(b);
    b->moving = false;
}

void balloon_reset(Balloon *b)
{
    /* The size to which QEMU holds the balloon: our last target, else the size at which it rested. */
    uint64_t held = b->target_bytes > 0 ? b->target_bytes : b->low_bytes;

    b->moving = false;
    forget_stall(b);
    move_rate_reset(&b->rate);
    b->foreign.bytes = b->previous_bytes = 0;
    if (b->known) {
        begin_at(b, held);
        rest_at(b, held, UINT64_MAX);
    }
}

static BalloonEvent settle(Balloon *b, usec_t now_usec)
{
    if (b->moving)
        move_rate_arrive(&b->rate, b->from_bytes, b->sent_usec, b->actual_bytes, is_growing(b), now_usec);
    /* A growth clears only a stalled growth; a shrink clears either. */
    if (b->stalled_growing || !is_growing(b))
        forget_stall(b);
    b->moving = false;
    b->settled_usec = now_usec;
    b->foreign.bytes = b->previous_bytes = 0;
    rest_at(b, b->target_bytes, b->target_bytes);
    return BALLOON_EVENT_SETTLED;
}

/* A size was seen that isn't ours. */
static BalloonEvent suspect(Balloon *b, usec_t now_usec)
{
    BalloonForeign *f = &b->foreign;
    bool deflated;

    f->from_bytes = b->moving                         ? b->progress_bytes
                    : b->actual_bytes > b->high_bytes ? b->high_bytes
                                                      : b->low_bytes;
    deflated = b->autodeflate && b->actual_bytes > f->from_bytes;
    if (f->last_usec == 0 || usec_since(f->last_usec, now_usec) >= BALLOON_CALM_USEC)
        f->since_usec = now_usec;
    f->last_usec = now_usec;

    if (f->bytes == 0 || !is_near(f->bytes, b->actual_bytes)) {
        f->bytes = b->actual_bytes;
        f->usec = now_usec;
        return BALLOON_EVENT_NONE;
    }
    if (deflated ? usec_since(f->usec, now_usec) < BALLOON_FOREIGN_USEC : !is_at_rest(b, now_usec))
        return BALLOON_EVENT_NONE;
    return BALLOON_EVENT_FOREIGN;
}

void balloon_accept(Balloon *b)
{
    b->from_bytes = b->foreign.from_bytes;
    b->moving = false;
    forget_stall(b);
    b->target_bytes = b->foreign.bytes = b->previous_bytes = 0;
    rest_at(b, b->actual_bytes, b->actual_bytes);
}

static bool is_progress(const Balloon *b)
{
    uint64_t actual = b->actual_bytes, target = b->target_bytes, last = b->progress_bytes;

    /* Between the last progress and the target, and far enough from the last progress. */
    return distance(actual, last) >= BALLOON_PROGRESS_MIN_BYTES &&
           (last <= target ? actual > last && actual <= target : actual < last && actual >= target);
}

static BalloonEvent seen_moving(Balloon *b, usec_t now_usec)
{
    if (is_near(b->actual_bytes, b->target_bytes))
        return settle(b, now_usec);

    if (is_progress(b)) {
        move_rate_progress(&b->rate, b->actual_bytes, now_usec);
        b->progress_bytes = b->actual_bytes;
        b->progress_usec = now_usec;
        b->previous_bytes = b->foreign.bytes = 0;
        return BALLOON_EVENT_PROGRESS;
    }

    /* A balloon that hasn't turned round yet may still be seen on the way to its former target. */
    if (b->previous_bytes > 0 && is_between(b->actual_bytes, b->from_bytes, b->previous_bytes)) {
        begin_at(b, b->actual_bytes);
        b->foreign.bytes = 0;
    } else if (!is_near(b->actual_bytes, b->progress_bytes) && !is_turning(b, now_usec)) {
        BalloonEvent event = suspect(b, now_usec);

        if (balloon_is_suspect(b))
            return event;
    } else
        b->foreign.bytes = 0;

    if (usec_since(b->progress_usec, now_usec) < BALLOON_STALL_USEC)
        return BALLOON_EVENT_NONE;
    give_up(b);
    back_off(b, is_growing(b), now_usec);
    return BALLOON_EVENT_STALLED;
}

static BalloonEvent seen_resting(Balloon *b, usec_t now_usec)
{
    if (!is_between(b->actual_bytes, b->low_bytes, b->high_bytes) && !is_turning(b, now_usec))
        return suspect(b, now_usec);

    b->foreign.bytes = 0;
    if (b->low_bytes == b->high_bytes)
        return BALLOON_EVENT_NONE;
    /* After a stall, or while the guest's driver inflates the balloon again after a reset. */
    if (b->target_bytes == 0) {
        if (is_near(b->actual_bytes, b->low_bytes))
            rest_at(b, b->low_bytes, b->low_bytes);
        return BALLOON_EVENT_NONE;
    }
    if (is_near(b->actual_bytes, b->target_bytes))
        return settle(b, now_usec);
    if (!is_progress(b))
        return BALLOON_EVENT_NONE;
    b->progress_bytes = b->actual_bytes;
    return BALLOON_EVENT_PROGRESS;
}

BalloonEvent balloon_seen(Balloon *b, uint64_t actual_bytes, usec_t now_usec)
{
    look(b, actual_bytes, now_usec);
    if (!b->known) {
        b->known = true;
        if (b->high_bytes == 0)
            rest_at(b, actual_bytes, actual_bytes);
        begin_at(b, actual_bytes);
    }
    return b->moving ? seen_moving(b, now_usec) : seen_resting(b, now_usec);
}

uint64_t balloon_standing(const Balloon *b)
{
    return b->moving ? b->target_bytes : balloon_believed(b);
}

bool balloon_is_foreign(const Balloon *b)
{
    return b->foreign.bytes > 0;
}

bool balloon_is_suspect(const Balloon *b)
{
    return balloon_is_foreign(b) &&
           usec_since(b->foreign.since_usec, b->foreign.last_usec) < BALLOON_SUSPECT_USEC;
}

bool balloon_is_stalled(const Balloon *b, usec_t now_usec)
{
    return b->stalled && now_usec < b->retry_usec;
}

bool balloon_is_stalled_growing(const Balloon *b, usec_t now_usec)
{
    return balloon_is_stalled(b, now_usec) && b->stalled_growing;
}
