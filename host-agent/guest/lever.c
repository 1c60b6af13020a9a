/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a guest hands memory back and keeps its size. */

#include "host-agent/guest/lever.h"

#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"

#define LIES_MAX  3U
#define LIE_PART  8U
#define GAIN_PART 4U

static const char *const kind_names[] = {
    [LEVER_COMPACT] = "compact", [LEVER_RECLAIM] = "reclaim", [LEVER_SQUEEZE] = "squeeze"};

static const uint32_t kind_features[] = {[LEVER_COMPACT] = HELLO_FEATURE_COMPACT,
                                         [LEVER_RECLAIM] = HELLO_FEATURE_RECLAIM_FILE,
                                         [LEVER_SQUEEZE] = 0};

const char *lever_kind_to_string(LeverKind k)
{
    return k >= 0 && k < LEVER_KIND_MAX ? kind_names[k] : NULL;
}

void levers_hello(Levers *l, const Message *hello)
{
    l->features = hello->features & HELLO_FEATURE_LEVERS;
    memcpy(l->missing, hello->levers_missing, sizeof l->missing);
    /* The agent has no part in a squeeze. */
    if (l->kind != LEVER_SQUEEZE)
        l->outstanding = false;
}

void levers_reset(Levers *l)
{
    Levers fresh = {.features = l->features, .id = l->id, .lies = l->lies, .lie_usec = l->lie_usec};

    memcpy(fresh.missing, l->missing, sizeof fresh.missing);
    *l = fresh;
}

bool levers_lie(const Levers *l, usec_t now_usec)
{
    return l->lie_usec > 0 && usec_since(l->lie_usec, now_usec) < LEVER_LIE_USEC;
}

bool levers_can(const Levers *l, usec_t now_usec)
{
    return (l->features & (HELLO_FEATURE_COMPACT | HELLO_FEATURE_RECLAIM_FILE)) && !levers_lie(l, now_usec);
}

bool levers_is_working(const Levers *l, usec_t now_usec)
{
    return l->outstanding && usec_since(l->asked_usec, now_usec) < LEVER_SLOW_USEC;
}

bool levers_can_squeeze(const Levers *l, usec_t now_usec)
{
    const Lever *v = &l->lever[LEVER_SQUEEZE];

    return v->wait_usec < LEVER_SQUEEZE_VAIN_USEC || now_usec >= v->retry_usec;
}

static bool is_ready(const Levers *l, LeverKind k, usec_t now_usec, char why[static LEVER_WHY_MAX])
{
    const Lever *v = &l->lever[k];

    if (kind_features[k] && !(l->features & kind_features[k])) {
        snprintf(why, LEVER_WHY_MAX, "its agent cannot %s%s%s", kind_names[k], l->missing[0] ? ": " : "",
                 l->missing);
        return false;
    }
    if (now_usec < v->retry_usec) {
        char wait[UNITS_FORMAT_MAX];

        snprintf(why, LEVER_WHY_MAX, "%s again in %s", kind_names[k],
                 format_duration(wait, usec_since(now_usec, v->retry_usec)));
        return false;
    }
    return true;
}

/* Fragments that a compaction could not remove are no reason for the next one, but those that came since are. */
static bool should_compact(const Levers *l, const LeverNeed *need, usec_t now_usec,
                           char why[static LEVER_WHY_MAX])
{
    uint64_t worth = MAX(need->full_bytes / LEVER_COMPACT_PART, LEVER_COMPACT_BYTES);
    const Lever *c = &l->lever[LEVER_COMPACT];

    if (MIN(need->fragmented_bytes, need->wanted_bytes) < worth)
        return false;
    if (is_ready(l, LEVER_COMPACT, now_usec, why))
        return true;
    return c->why == LEVER_END_DONE && LESS_BY(need->fragmented_bytes, l->left_bytes) >= worth &&
           usec_since(c->answered_usec, now_usec) >= LEVER_WAIT_MIN_USEC;
}

static bool next_squeeze(const Levers *l, const LeverNeed *need, usec_t now_usec, LeverCall *ret,
                         char why[static LEVER_WHY_MAX])
{
    uint64_t worth = MAX(need->full_bytes / LEVER_SQUEEZE_PART, LEVER_SQUEEZE_BYTES);

    *ret = (LeverCall){.kind = LEVER_SQUEEZE, .id = l->id, .bytes = need->wanted_bytes + need->way_bytes};
    if (l->squeeze.returns_bytes > 0)
        return false;
    if (need->wanted_bytes < MAX(worth, ret->bytes / LEVER_SQUEEZE_GAIN_PART)) {
        snprintf(why, LEVER_WHY_MAX, "too little for a squeeze");
        return false;
    }
    return is_ready(l, LEVER_SQUEEZE, now_usec, why);
}

bool levers_next(const Levers *l, const LeverNeed *need, usec_t now_usec, LeverCall *ret,
                 char why[static LEVER_WHY_MAX])
{
    uint64_t cache = LESS_BY(need->wanted_bytes, need->idle_bytes);
    uint64_t step = MAX(need->full_bytes / LEVER_STEP_PART, LEVER_STEP_BYTES);

    why[0] = '\0';
    if (need->wanted_bytes == 0 || l->outstanding)
        return false;
    if (!need->reporting)
        return next_squeeze(l, need, now_usec, ret, why);
    if (levers_lie(l, now_usec)) {
        snprintf(why, LEVER_WHY_MAX, "the host got nothing of what the guest said that it handed back");
        return false;
    }
    *ret = (LeverCall){.kind = LEVER_COMPACT, .id = l->id + 1 != 0 ? l->id + 1 : 1};
    if (should_compact(l, need, now_usec, why)) {
        why[0] = '\0';
        return true;
    }
    if (cache == 0 || !is_ready(l, LEVER_RECLAIM, now_usec, why))
        return false;
    why[0] = '\0';
    ret->kind = LEVER_RECLAIM;
    ret->bytes = MIN(cache, step);
    ret->anon = need->anon && (l->features & HELLO_FEATURE_RECLAIM_ANON);
    return true;
}

bool levers_is_further(const Levers *l, LeverKind k, usec_t now_usec)
{
    usec_t answered = l->lever[k].answered_usec;

    return answered > 0 && usec_since(answered, now_usec) < LEVER_SPELL_USEC;
}

void levers_wait(Levers *l, const char *why)
{
    snprintf(l->waiting, sizeof l->waiting, "%s", why);
}

void levers_asked(Levers *l, const LeverCall *call, const LeverNeed *need, usec_t now_usec)
{
    l->id = call->id;
    l->outstanding = true;
    l->kind = call->kind;
    l->asked_usec = now_usec;
    l->asked_bytes = call->bytes;
    l->waiting[0] = '\0';
    if (call->kind == LEVER_COMPACT)
        l->fragmented_bytes = need->fragmented_bytes;
    l->lever[call->kind].times++;
}

static void set_wait(Levers *l, LeverKind k, usec_t now_usec)
{
    Lever *v = &l->lever[k];
    usec_t most = k == LEVER_COMPACT   ? LEVER_COMPACT_WAIT_MAX_USEC
                  : k == LEVER_SQUEEZE ? LEVER_SQUEEZE_WAIT_MAX_USEC
                                       : LEVER_RECLAIM_WAIT_MAX_USEC;

    v->wait_usec = CLAMP(2 * v->wait_usec, LEVER_WAIT_MIN_USEC, most);
    v->retry_usec = now_usec + v->wait_usec;
}

/* A compaction and a squeeze are judged some time later, by levers_look(). */
static void did_its_work(Levers *l, usec_t now_usec)
{
    Lever *v = &l->lever[l->kind];

    if (l->kind == LEVER_RECLAIM)
        v->wait_usec = v->retry_usec = 0;
    else
        v->retry_usec = now_usec + MAX(v->wait_usec, LEVER_WAIT_MIN_USEC);
}

static void claim(Levers *l, uint64_t bytes, usec_t now_usec)
{
    l->claimed_bytes += bytes;
    if (l->due_usec > 0 || l->claimed_bytes < LEVER_CLAIM_BYTES)
        return;
    l->due_bytes = l->claimed_bytes;
    l->due_usec = now_usec + LEVER_REPORTING_USEC;
}

static void ended(Levers *l, LeverEnd why, int error, uint64_t bytes, usec_t now_usec)
{
    Lever *v = &l->lever[l->kind];

    l->outstanding = false;
    v->answered_usec = now_usec;
    v->why = why;
    v->error = error;
    v->last_bytes = bytes;
}

void levers_answered(Levers *l, const Message *m, usec_t now_usec)
{
    Lever *v = &l->lever[l->kind];
    bool poor = l->kind == LEVER_RECLAIM && m->bytes < l->asked_bytes / GAIN_PART;

    ended(l, m->why, m->error, m->bytes, now_usec);
    v->got_bytes += m->bytes;
    v->cpu_usec += m->cpu_usec;
    if (l->kind == LEVER_RECLAIM)
        claim(l, m->bytes, now_usec);
    else
        l->left_bytes = UINT64_MAX;

    if (m->why == LEVER_END_BUSY)
        v->retry_usec = now_usec + LEVER_BUSY_USEC;
    else if (m->why == LEVER_END_DONE && !poor)
        did_its_work(l, now_usec);
    else
        set_wait(l, l->kind, now_usec);
}

void levers_squeezes(Levers *l, const LeverCall *call, const LeverNeed *need, const Squeeze *begin,
                     usec_t now_usec)
{
    levers_asked(l, call, need, now_usec);
    l->squeeze = *begin;
}

void levers_squeezed(Levers *l, LeverEnd why, uint64_t took_bytes, usec_t cpu_usec, usec_t now_usec)
{
    Lever *v = &l->lever[LEVER_SQUEEZE];

    ended(l, why, 0, took_bytes, now_usec);
    v->cpu_usec += LESS_BY(cpu_usec, l->squeeze.cpu_usec);
    if (why == LEVER_END_DONE)
        did_its_work(l, now_usec);
    else
        set_wait(l, LEVER_SQUEEZE, now_usec);
}

void levers_returned(Levers *l)
{
    if (l->kind == LEVER_SQUEEZE)
        l->outstanding = false;
    l->squeeze.returns_bytes = 0;
}

bool levers_expire(Levers *l, usec_t now_usec)
{
    if (l->kind == LEVER_SQUEEZE || !l->outstanding ||
        usec_since(l->asked_usec, now_usec) < LEVER_ANSWER_USEC)
        return false;
    ended(l, LEVER_END_FAILED, ETIMEDOUT, 0, now_usec);
    set_wait(l, l->kind, now_usec);
    return true;
}

void levers_missed(Levers *l, double cost, usec_t now_usec)
{
    if (cost > LEVER_COST_MAX && now_usec >= l->lever[LEVER_RECLAIM].retry_usec)
        set_wait(l, LEVER_RECLAIM, now_usec);
}

static bool judge_claims(Levers *l, const LeverLook *look, usec_t now_usec)
{
    const LeverLook *before = &l->before;
    uint64_t fell =
        LESS_BY(before->resident_bytes, look->resident_bytes) + LESS_BY(look->used_bytes, before->used_bytes);
    uint64_t due = LESS_BY(l->due_bytes, LESS_BY(look->fragmented_bytes, before->fragmented_bytes));

    if (look->resident_bytes == 0)
        return false;
    if (before->resident_bytes == 0 || l->claimed_bytes == 0) {
        l->before = *look;
        l->claimed_bytes = l->due_usec = 0;
        return false;
    }
    if (l->due_usec == 0 || now_usec < l->due_usec)
        return false;
    l->lies = fell * LIE_PART < due ? l->lies + 1 : 0;
    l->claimed_bytes = l->due_usec = 0;
    l->before = *look;
    if (l->lies < LIES_MAX)
        return false;
    l->lies = 0;
    l->lie_usec = now_usec;
    return true;
}

static void judge_compaction(Levers *l, const LeverLook *look, usec_t now_usec)
{
    Lever *c = &l->lever[LEVER_COMPACT];

    if (!(l->outstanding && l->kind == LEVER_COMPACT))
        l->left_bytes = MIN(l->left_bytes, look->fragmented_bytes);
    if (l->fragmented_bytes == 0 || l->outstanding || c->why != LEVER_END_DONE ||
        usec_since(c->answered_usec, now_usec) < LEVER_WAIT_MIN_USEC)
        return;
    if (LESS_BY(l->fragmented_bytes, l->left_bytes) * GAIN_PART < l->fragmented_bytes)
        set_wait(l, LEVER_COMPACT, now_usec);
    else
        c->wait_usec = 0;
    l->fragmented_bytes = 0;
}

static void judge_squeeze(Levers *l, const LeverLook *look, usec_t now_usec)
{
    LeverLook *before = &l->squeeze.look;
    Lever *v = &l->lever[LEVER_SQUEEZE];
    uint64_t got;

    if (before->resident_bytes == 0 || look->resident_bytes == 0 || l->squeeze.returns_bytes > 0 ||
        usec_since(v->answered_usec, now_usec) < LEVER_SQUEEZE_LOOK_USEC)
        return;
    got =
        LESS_BY(before->resident_bytes, look->resident_bytes) + LESS_BY(look->used_bytes, before->used_bytes);
    before->resident_bytes = 0;
    v->got_bytes += got;
    if (v->why != LEVER_END_DONE)
        return;
    if (got * GAIN_PART < v->last_bytes)
        set_wait(l, LEVER_SQUEEZE, now_usec);
    else
        v->wait_usec = 0;
}

bool levers_look(Levers *l, const LeverLook *look, usec_t now_usec)
{
    judge_squeeze(l, look, now_usec);
    judge_compaction(l, look, now_usec);
    return judge_claims(l, look, now_usec);
}
