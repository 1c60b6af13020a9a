/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How sequences of targets sent and sizes seen are understood. */

#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/guest/balloon.h"
#include "tests/unit/run.h"

typedef enum Act {
    END,
    SENT,
    REFUSED,
    SEEN,
    RESTS, /* seen each second since BALLOON_REST_USEC ago; event: of the last look, the others have none */
    RESET,
    ADOPT,
    EXPECT, /* mib is the low end, the high end is 512 */
    DEFLATES,
    DISTURBED,
} Act;

typedef struct Step {
    Act act;
    unsigned mib;
    unsigned at_ms;
    BalloonEvent event;    /* of SEEN */
    unsigned standing_mib; /* afterwards */
    unsigned stalled_sec;  /* afterwards: seconds that it is still left alone; 0: isn't stalled */
} Step;

#define NONE     BALLOON_EVENT_NONE
#define PROGRESS BALLOON_EVENT_PROGRESS
#define SETTLED  BALLOON_EVENT_SETTLED
#define STALLED  BALLOON_EVENT_STALLED
#define FOREIGN  BALLOON_EVENT_FOREIGN

static const struct {
    const char *what;
    Step steps[20];
} sequences[] = {
    {"the first size seen isn't a decision",
     {{SEEN, 1024, 1000, NONE, 1024}, {SEEN, 1024, 9000, NONE, 1024}}},
    {"a shrink is on its way until it gets there",
     {{SEEN, 2048, 1000, NONE, 2048},
      {SENT, 1024, 1100, NONE, 1024},
      {SEEN, 2048, 1200, NONE, 1024},
      {SEEN, 1800, 1300, PROGRESS, 1024},
      {SEEN, 1400, 1800, PROGRESS, 1024},
      {SEEN, 1025, 2300, SETTLED, 1025},
      {SEEN, 1024, 3300, NONE, 1024}}},
    {"so is a growth",
     {{SEEN, 1024, 1000, NONE, 1024},
      {SENT, 2048, 1100, NONE, 2048},
      {SEEN, 1500, 1300, PROGRESS, 2048},
      {SEEN, 2048, 1400, SETTLED, 2048}}},
    {"a move to where it is settles at the next look",
     {{SEEN, 1024, 1000, NONE, 1024}, {SENT, 1024, 1100, NONE, 1024}, {SEEN, 1024, 1200, SETTLED, 1024}}},
    {"a move sent before any size was seen, as after a restart of the daemon",
     {{SENT, 1024, 1000, NONE, 1024},
      {SEEN, 1500, 1100, NONE, 1024},
      {SEEN, 1200, 1500, PROGRESS, 1024},
      {SEEN, 1024, 2000, SETTLED, 1024}}},
    {"the last daemon's move goes on after a restart",
     {{SEEN, 1500, 1000, NONE, 1500},
      {ADOPT, 1024, 1000, NONE, 1500},
      {SEEN, 1200, 1500, PROGRESS, 1200},
      {SEEN, 1024, 2000, SETTLED, 1024},
      {SEEN, 1024, 9000, NONE, 1024}}},
    {"the last daemon's move was undone meanwhile: nothing is waited for",
     {{SEEN, 2048, 1000, NONE, 2048},
      {ADOPT, 1024, 1000, NONE, 2048},
      {SEEN, 2048, 9000, NONE, 2048},
      {SENT, 1500, 9000, NONE, 1500},
      {SEEN, 1500, 9500, SETTLED, 1500}}},
    {"less than 1 MiB in 5 s is no progress: stalled, and what was reached stands",
     {{SEEN, 2048, 1000, NONE, 2048},
      {SENT, 1024, 1000, NONE, 1024},
      {SEEN, 1500, 2000, PROGRESS, 1024},
      {SEEN, 1500, 6900, NONE, 1024},
      {SEEN, 1500, 7000, STALLED, 1500, 60},
      {SEEN, 1500, 60000, NONE, 1500, 7},
      {SEEN, 1500, 67000, NONE, 1500, 0}}},
    {"stopped on its way, it goes a little too far and comes back: not a decision of others",
     {{SEEN, 512, 1000, NONE, 512},
      {SENT, 224, 1000, NONE, 224},
      {SEEN, 434, 1200, PROGRESS, 224},
      {SENT, 434, 1200, NONE, 434},
      {SEEN, 434, 1300, SETTLED, 434},
      {SEEN, 430, 1500, NONE, 434},
      {SEEN, 430, 3500, NONE, 434},
      {SEEN, 434, 6500, NONE, 434},
      {SEEN, 434, 9500, NONE, 434},
      {RESTS, 500, 15000, FOREIGN, 500}}},
    {"a target moved further each second doesn't hide that nothing moves",
     {{SEEN, 1024, 1000, NONE, 1024},
      {SENT, 1200, 1000, NONE, 1200},
      {SEEN, 1024, 2000, NONE, 1200},
      {SENT, 1400, 2500, NONE, 1400},
      {SEEN, 1024, 3500, NONE, 1400},
      {SENT, 1600, 4500, NONE, 1600},
      {SEEN, 1024, 6000, STALLED, 1024, 60}}},
    {"the wait doubles each time, up to an hour",
     {{SEEN, 2048, 0, NONE, 2048},
      {SENT, 1024, 0, NONE, 1024},
      {SEEN, 2048, 5000, STALLED, 2048, 60},
      {SENT, 1024, 70000, NONE, 1024},
      {SEEN, 2048, 75000, STALLED, 2048, 120},
      {SENT, 1024, 200000, NONE, 1024},
      {SEEN, 2048, 205000, STALLED, 2048, 240},
      {SENT, 1024, 500000, NONE, 1024},
      {SEEN, 2048, 505000, STALLED, 2048, 480},
      {SENT, 1024, 1000000, NONE, 1024},
      {SEEN, 2048, 1005000, STALLED, 2048, 960},
      {SENT, 1024, 2000000, NONE, 1024},
      {SEEN, 2048, 2005000, STALLED, 2048, 1920},
      {SENT, 1024, 4000000, NONE, 1024},
      {SEEN, 2048, 4005000, STALLED, 2048, 3600},
      {SENT, 1024, 8000000, NONE, 1024},
      {SEEN, 2048, 8005000, STALLED, 2048, 3600}}},
    {"a success ends the doubling",
     {{SEEN, 2048, 0, NONE, 2048},
      {SENT, 1024, 0, NONE, 1024},
      {SEEN, 2048, 5000, STALLED, 2048, 60},
      {SENT, 1024, 70000, NONE, 1024},
      {SEEN, 1024, 71000, SETTLED, 1024},
      {SENT, 512, 80000, NONE, 512},
      {SEEN, 1024, 85000, STALLED, 1024, 60}}},
    {"one that can't take still gives back, and isn't asked to take any earlier for that",
     {{SEEN, 2048, 0, NONE, 2048},
      {SENT, 1024, 0, NONE, 1024},
      {SEEN, 1500, 1000, PROGRESS, 1024},
      {SEEN, 1500, 6000, STALLED, 1500, 60},
      {SENT, 1800, 7000, NONE, 1800, 59},
      {SEEN, 1800, 8000, SETTLED, 1800, 58},
      {SENT, 1024, 70000, NONE, 1024},
      {SEEN, 1800, 75000, STALLED, 1800, 120}}},
    {"one that stalled growing has recovered when it grows",
     {{SEEN, 1024, 0, NONE, 1024},
      {SENT, 2048, 0, NONE, 2048},
      {SEEN, 1024, 5000, STALLED, 1024, 60},
      {SENT, 2048, 6000, NONE, 2048},
      {SEEN, 2048, 7000, SETTLED, 2048},
      {SENT, 3072, 8000, NONE, 3072},
      {SEEN, 2048, 13000, STALLED, 2048, 60}}},
    {"a balloon that gets there late has settled",
     {{SEEN, 2048, 0, NONE, 2048},
      {SENT, 1024, 0, NONE, 1024},
      {SEEN, 2048, 5000, STALLED, 2048, 60},
      {SEEN, 1600, 9000, PROGRESS, 1600, 56},
      {SEEN, 1600, 12000, NONE, 1600, 53},
      {SEEN, 1024, 15000, SETTLED, 1024},
      {SEEN, 1024, 16000, NONE, 1024}}},
    {"what lies between the ends of a stalled move is ours, what lies outside isn't",
     {{SEEN, 2048, 0, NONE, 2048},
      {SENT, 1024, 0, NONE, 1024},
      {SEEN, 1500, 5000, PROGRESS, 1024},
      {SEEN, 1500, 10000, STALLED, 1500, 60},
      {SEEN, 1900, 12000, NONE, 1900, 58},
      {SEEN, 1900, 20000, NONE, 1900, 50},
      {SEEN, 3000, 21000, NONE, 2048, 49},
      {RESTS, 3000, 26000, FOREIGN, 3000}}},
    {"libvirt refuses: as a stall",
     {{SEEN, 2048, 0, NONE, 2048},
      {REFUSED, 0, 1000, NONE, 2048, 60},
      {REFUSED, 0, 62000, NONE, 2048, 120},
      {SENT, 1024, 190000, NONE, 1024},
      {SEEN, 1024, 191000, SETTLED, 1024},
      {REFUSED, 0, 200000, NONE, 1024, 60}}},
    {"refused while the last one is on its way: that one still gets there",
     {{SEEN, 2048, 0, NONE, 2048},
      {SENT, 1024, 0, NONE, 1024},
      {SEEN, 1500, 1000, PROGRESS, 1024},
      {REFUSED, 0, 1100, NONE, 1500, 60},
      {SEEN, 1024, 3000, SETTLED, 1024}}},
    {"somebody else's size counts once the balloon rests there",
     {{SEEN, 2048, 0, NONE, 2048},
      {SEEN, 1024, 1000, NONE, 2048},
      {SEEN, 1024, 2000, NONE, 2048},
      {SEEN, 1024, 3000, NONE, 2048},
      {SEEN, 1024, 5000, NONE, 2048},
      {SEEN, 1024, 5900, NONE, 2048},
      {SEEN, 1024, 6000, FOREIGN, 1024},
      {SEEN, 1024, 7000, NONE, 1024}}},
    {"two looks don't show that a balloon rests, however far apart",
     {{SEEN, 2048, 0, NONE, 2048},
      {SEEN, 1024, 1000, NONE, 2048},
      {SEEN, 1024, 31000, NONE, 2048},
      {SEEN, 1024, 32000, NONE, 2048},
      {SEEN, 1024, 33000, NONE, 2048},
      {SEEN, 1024, 34000, FOREIGN, 1024}}},
    {"a balloon that creeps doesn't rest, also within the tolerance",
     {{SEEN, 2048, 0, NONE, 2048},
      {SEEN, 1025, 1000, NONE, 2048},
      {SEEN, 1025, 2000, NONE, 2048},
      {SEEN, 1025, 3000, NONE, 2048},
      {SEEN, 1025, 5500, NONE, 2048},
      {SEEN, 1024, 6000, NONE, 2048},
      {SEEN, 1024, 7000, NONE, 2048},
      {RESTS, 1024, 11000, FOREIGN, 1024}}},
    {"the sizes on the way of a move that somebody else makes slowly are no decisions, its end is",
     {{SEEN, 512, 0, NONE, 512},
      {SEEN, 354, 1000, NONE, 512},
      {SEEN, 354, 2200, NONE, 512},
      {SEEN, 350, 3000, NONE, 512},
      {SEEN, 350, 4800, NONE, 512},
      {SEEN, 320, 6000, NONE, 512},
      {RESTS, 320, 11000, FOREIGN, 320}}},
    {"nor is any on the way to the definition's size, even if the balloon rests there",
     {{EXPECT, 320, 0, NONE, 320},
      {SEEN, 400, 0, NONE, 400},
      {RESTS, 354, 7000, NONE, 354},
      {RESTS, 350, 13000, NONE, 350},
      {RESTS, 320, 19000, NONE, 320},
      {RESTS, 400, 26000, FOREIGN, 400}}},
    {"a size below the definition's is somebody's decision also at the first look, once the balloon rests",
     {{EXPECT, 320, 0, NONE, 320}, {SEEN, 200, 0, NONE, 320}, {RESTS, 200, 5000, FOREIGN, 200}}},
    {"a guest that stands still has no balloon at rest",
     {{SEEN, 2048, 0, NONE, 2048},
      {SEEN, 1024, 1000, NONE, 2048},
      {SEEN, 1024, 2000, NONE, 2048},
      {SEEN, 1024, 3000, NONE, 2048},
      {SEEN, 1024, 4000, NONE, 2048},
      {DISTURBED, 0, 5000, NONE, 2048},
      {SEEN, 1024, 6000, NONE, 2048},
      {RESTS, 1024, 10000, FOREIGN, 1024}}},
    {"memory that a guest takes back by itself is noticed before it rests",
     {{DEFLATES, 0, 0, NONE, 0},
      {SEEN, 2048, 0, NONE, 2048},
      {SENT, 1024, 0, NONE, 1024},
      {SEEN, 1024, 1000, SETTLED, 1024},
      {SEEN, 1100, 2000, NONE, 1024},
      {SEEN, 1101, 3000, FOREIGN, 1101},
      {SEEN, 512, 4000, NONE, 1101},
      {SEEN, 512, 6000, NONE, 1101},
      {RESTS, 512, 9000, FOREIGN, 512}}},
    {"a size that it passes isn't a decision; the one where it ends is",
     {{SEEN, 2048, 0, NONE, 2048},
      {SENT, 1536, 0, NONE, 1536},
      {SEEN, 1536, 1000, SETTLED, 1536},
      {SEEN, 1700, 2000, NONE, 1536},
      {SEEN, 1900, 4000, NONE, 1536},
      {RESTS, 2048, 11000, FOREIGN, 2048}}},
    {"a size that was odd once, and is back",
     {{SEEN, 2048, 0, NONE, 2048},
      {SEEN, 1024, 1000, NONE, 2048},
      {SEEN, 2048, 2000, NONE, 2048},
      {SEEN, 1024, 3000, NONE, 2048},
      {SEEN, 2048, 4000, NONE, 2048}}},
    {"small differences aren't decisions",
     {{SEEN, 2048, 0, NONE, 2048},
      {SENT, 1024, 0, NONE, 1024},
      {SEEN, 1024, 1000, SETTLED, 1024},
      {SEEN, 1025, 2000, NONE, 1025},
      {SEEN, 1023, 9000, NONE, 1023},
      {RESTS, 1026, 15000, FOREIGN, 1026}}},
    {"against the direction of ours: somebody else's",
     {{SEEN, 2048, 0, NONE, 2048},
      {SENT, 1024, 0, NONE, 1024},
      {SEEN, 1500, 500, PROGRESS, 1024},
      {SEEN, 1800, 1000, NONE, 1024},
      {SEEN, 2048, 1500, NONE, 1024},
      {RESTS, 2048, 6500, FOREIGN, 2048},
      {SEEN, 2048, 13000, NONE, 2048}}},
    {"likewise back to where the move before it had ended",
     {{SEEN, 2048, 0, NONE, 2048},
      {SENT, 1536, 0, NONE, 1536},
      {SEEN, 1536, 500, SETTLED, 1536},
      {SENT, 1024, 1000, NONE, 1024},
      {SEEN, 1200, 1500, PROGRESS, 1024},
      {SEEN, 1536, 2000, NONE, 1024},
      {RESTS, 1536, 7000, FOREIGN, 1536}}},
    {"beyond the target of ours: somebody else's, and no stall meanwhile",
     {{SEEN, 2048, 0, NONE, 2048},
      {SENT, 1500, 0, NONE, 1500},
      {SEEN, 1600, 500, PROGRESS, 1500},
      {SEEN, 1100, 5000, NONE, 1500},
      {SEEN, 600, 10000, NONE, 1500},
      {SEEN, 512, 11000, NONE, 1500},
      {RESTS, 512, 16000, FOREIGN, 512}}},
    {"turned round on its way, and still seen running the old way",
     {{SEEN, 2048, 0, NONE, 2048},
      {SENT, 1024, 0, NONE, 1024},
      {SEEN, 1500, 500, PROGRESS, 1024},
      {SENT, 2048, 600, NONE, 2048},
      {SEEN, 1400, 650, NONE, 2048},
      {SEEN, 1400, 1700, NONE, 2048},
      {SEEN, 1600, 1800, PROGRESS, 2048},
      {SEEN, 2048, 2000, SETTLED, 2048}}},
    {"turned round and stuck: stalled, not foreign",
     {{SEEN, 2048, 0, NONE, 2048},
      {SENT, 1024, 0, NONE, 1024},
      {SEEN, 1500, 500, PROGRESS, 1024},
      {SENT, 2048, 600, NONE, 2048},
      {SEEN, 1400, 700, NONE, 2048},
      {SEEN, 1400, 3000, NONE, 2048},
      {SEEN, 1400, 5600, STALLED, 1400, 60}}},
    {"the same way, further",
     {{SEEN, 2048, 0, NONE, 2048},
      {SENT, 1500, 0, NONE, 1500},
      {SEEN, 1800, 500, PROGRESS, 1500},
      {SENT, 1024, 600, NONE, 1024},
      {SEEN, 1500, 900, PROGRESS, 1024},
      {SEEN, 1024, 1200, SETTLED, 1024}}},
    {"after a reboot the balloon is empty and fills again: not a decision",
     {{SEEN, 4096, 0, NONE, 4096},
      {SENT, 1024, 0, NONE, 1024},
      {SEEN, 1024, 1000, SETTLED, 1024},
      {RESET, 0, 2000, NONE, 1024},
      {SEEN, 4096, 3000, NONE, 4096},
      {SEEN, 4096, 9000, NONE, 4096},
      {SEEN, 2000, 10000, NONE, 2000},
      {SEEN, 1024, 11000, SETTLED, 1024},
      {RESTS, 4096, 17000, FOREIGN, 4096}}},
    {"likewise where the size is the administrator's",
     {{SEEN, 2048, 0, NONE, 2048},
      {RESET, 0, 2000, NONE, 2048},
      {SEEN, 4096, 3000, NONE, 4096},
      {SEEN, 4096, 9000, NONE, 4096},
      {SEEN, 2048, 11000, NONE, 2048},
      {RESTS, 4096, 17000, FOREIGN, 4096}}},
    {"smaller after a reboot than anything that stood is somebody else's",
     {{SEEN, 2048, 0, NONE, 2048},
      {RESET, 0, 2000, NONE, 2048},
      {SEEN, 4096, 3000, NONE, 4096},
      {RESTS, 1024, 10000, FOREIGN, 1024}}},
    {"a reboot ends a stall",
     {{SEEN, 2048, 0, NONE, 2048},
      {SENT, 1024, 0, NONE, 1024},
      {SEEN, 2048, 5000, STALLED, 2048, 60},
      {RESET, 0, 6000, NONE, 2048},
      {SENT, 1500, 7000, NONE, 1500},
      {SEEN, 1500, 8000, SETTLED, 1500}}},
};

/* Seen at this size until it is at rest. Returns the event. */
static BalloonEvent rests(Balloon *b, uint64_t bytes, usec_t since)
{
    for (usec_t at = since; at < since + BALLOON_REST_USEC; at += USEC_PER_SEC)
        ck_assert_int_eq(balloon_seen(b, bytes, at), BALLOON_EVENT_NONE);
    return balloon_seen(b, bytes, since + BALLOON_REST_USEC);
}

static void play(Balloon *b, const Step *s, const char *what, unsigned number)
{
    usec_t now = s->at_ms * USEC_PER_MSEC;
    BalloonEvent event = BALLOON_EVENT_NONE;

    switch (s->act) {
    case SENT:
        balloon_sent(b, s->mib * MIB, now);
        break;
    case REFUSED:
        balloon_refused(b, now);
        break;
    case RESTS:
        event = rests(b, s->mib * MIB, now - BALLOON_REST_USEC);
        break;
    case SEEN:
        event = balloon_seen(b, s->mib * MIB, now);
        break;
    case RESET:
        balloon_reset(b);
        break;
    case ADOPT:
        balloon_adopt(b, s->mib * MIB);
        break;
    case EXPECT:
        balloon_expect(b, s->mib * MIB, 512 * MIB);
        break;
    case DEFLATES:
        b->autodeflate = true;
        break;
    case DISTURBED:
        balloon_disturbed(b, now);
        break;
    case END:
        break;
    }
    if (event == FOREIGN)
        balloon_accept(b);

    ck_assert_msg(event == s->event, "%s: step %u: event %d instead of %d", what, number, event, s->event);
    ck_assert_msg(balloon_standing(b) == s->standing_mib * MIB, "%s: step %u: standing %" PRIu64 " MiB", what,
                  number, balloon_standing(b) / MIB);
    if (s->stalled_sec == 0)
        ck_assert_msg(!balloon_is_stalled(b, now), "%s: step %u: is stalled", what, number);
    else {
        ck_assert_msg(balloon_is_stalled(b, now + s->stalled_sec * USEC_PER_SEC - 1),
                      "%s: step %u: left alone for too short", what, number);
        ck_assert_msg(!balloon_is_stalled(b, now + s->stalled_sec * USEC_PER_SEC),
                      "%s: step %u: left alone for too long", what, number);
    }
}

START_TEST(test_sequences)
{
    Balloon b = {.full_bytes = UINT64_MAX};

    for (unsigned i = 0; sequences[_i].steps[i].act != END; i++)
        play(&b, sequences[_i].steps + i, sequences[_i].what, i + 1);
}
END_TEST

START_TEST(test_rates)
{
    Balloon b = {};

    balloon_seen(&b, 2048 * MIB, 1000000);
    ck_assert(b.rate.shrink == 0 && b.rate.grow == 0);

    /* From the first progress to the end: 600 MiB in 1 s. The 3 s before it began don't count. */
    balloon_sent(&b, 1024 * MIB, 1000000);
    balloon_seen(&b, 1624 * MIB, 4000000);
    balloon_seen(&b, 1324 * MIB, 4500000);
    balloon_seen(&b, 1024 * MIB, 5000000);
    ck_assert_double_eq_tol(b.rate.shrink, 600.0 * MIB, 1);
    ck_assert(b.rate.grow == 0);

    /* Smoothed: a slow one moves it some of the way. */
    balloon_sent(&b, 512 * MIB, 10000000);
    balloon_seen(&b, 912 * MIB, 11000000);
    balloon_seen(&b, 512 * MIB, 13000000);
    ck_assert(b.rate.shrink < 600.0 * MIB && b.rate.shrink > 200.0 * MIB);

    /* Over at the first look: at least 1,000 MiB/s, which is better than no rate … */
    balloon_sent(&b, 1512 * MIB, 20000000);
    balloon_seen(&b, 1512 * MIB, 21000000);
    ck_assert_double_eq_tol(b.rate.grow, 1000.0 * MIB, 1);
    /* … but is ignored if it is below the known rate. */
    balloon_sent(&b, 1612 * MIB, 22000000);
    balloon_seen(&b, 1612 * MIB, 25000000);
    ck_assert_double_eq_tol(b.rate.grow, 1000.0 * MIB, 1);

    /* A short way yields no rate. */
    balloon_sent(&b, 1616 * MIB, 30000000);
    balloon_seen(&b, 1616 * MIB, 30000001);
    ck_assert_double_eq_tol(b.rate.grow, 1000.0 * MIB, 1);

    balloon_reset(&b);
    ck_assert(b.rate.shrink == 0 && b.rate.grow == 0);
}
END_TEST

/* After a foreign size the caller needs the size before it. */
START_TEST(test_foreign_from)
{
    Balloon b = {};

    balloon_seen(&b, 2048 * MIB, 0);
    balloon_sent(&b, 1024 * MIB, 0);
    balloon_seen(&b, 1024 * MIB, 1000000);
    ck_assert_int_eq(rests(&b, 1300 * MIB, 2000000), BALLOON_EVENT_FOREIGN);
    balloon_accept(&b);
    ck_assert_uint_eq(b.from_bytes, 1024 * MIB);
    ck_assert_uint_eq(b.target_bytes, 0);

    balloon_sent(&b, 1024 * MIB, 14000000);
    balloon_seen(&b, 1200 * MIB, 15000000);
    ck_assert_int_eq(rests(&b, 1700 * MIB, 16000000), BALLOON_EVENT_FOREIGN);
    balloon_accept(&b);
    ck_assert_uint_eq(b.from_bytes, 1200 * MIB);
}
END_TEST

/* A size that nobody is known to have set is returned again at each look, and what the host asked for stands. */
START_TEST(test_a3_a_size_is_foreign_until_it_is_accepted)
{
    Balloon b = {.full_bytes = 2048 * MIB};

    balloon_seen(&b, 2048 * MIB, 0);
    ck_assert_int_eq(rests(&b, 3072 * MIB, 1000000), BALLOON_EVENT_FOREIGN);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(balloon_seen(&b, 3072 * MIB, (100 + i) * USEC_PER_SEC), BALLOON_EVENT_FOREIGN);
        ck_assert_uint_eq(balloon_standing(&b), 2048 * MIB);
    }
    balloon_sent(&b, 1024 * MIB, 200 * USEC_PER_SEC);
    ck_assert_uint_eq(b.from_bytes, 2048 * MIB);
    balloon_seen(&b, 1024 * MIB, 201 * USEC_PER_SEC);
    ck_assert_int_eq(rests(&b, 1500 * MIB, 202 * USEC_PER_SEC), BALLOON_EVENT_FOREIGN);
    balloon_accept(&b);
    ck_assert(!balloon_is_foreign(&b));
    ck_assert_uint_eq(balloon_standing(&b), 1500 * MIB);
    ck_assert_int_eq(balloon_seen(&b, 1500 * MIB, 208 * USEC_PER_SEC), BALLOON_EVENT_NONE);
}
END_TEST

/* What a guest says of its balloon counts within the ends of our move, and before the first move and after a reset up
 * to its full size. */
START_TEST(test_a1_a_size_is_believed_as_far_as_we_asked_for_it)
{
    static const struct {
        unsigned from, target, seen, believed; /* MiB; target 0: no move */
        bool reset;
    } rows[] = {
        {2048, 1024, 1500, 1500, false}, {2048, 1024, 4096, 2048, false}, {2048, 1024, 1, 1024, false},
        {1024, 2048, 1500, 1500, false}, {1024, 2048, 1, 1024, false},    {1024, 2048, 8192, 2048, false},
        {2048, 0, 1, 2048, false},       {2048, 0, 8192, 2048, false},    {1024, 0, 3000, 3000, true},
        {1024, 0, 8192, 4096, true},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Balloon b = {.full_bytes = 4096 * MIB};

        balloon_seen(&b, rows[i].from * MIB, 1000000);
        if (rows[i].reset)
            balloon_reset(&b);
        if (rows[i].target > 0)
            balloon_sent(&b, rows[i].target * MIB, 1000000);
        balloon_seen(&b, rows[i].seen * MIB, 1100000);
        ck_assert_msg(balloon_believed(&b) == rows[i].believed * MIB, "row %zu: %" PRIu64 " MiB", i,
                      balloon_believed(&b) / MIB);
    }
}
END_TEST

/* A guest that shows another size at each look isn't left alone for ever, and its move stalls. */
START_TEST(test_a1_no_balloon_is_suspect_for_ever)
{
    Balloon b = {.full_bytes = 2048 * MIB};
    BalloonEvent event = BALLOON_EVENT_NONE;
    usec_t at;

    balloon_seen(&b, 2048 * MIB, 0);
    if (_i == 1)
        balloon_sent(&b, 1500 * MIB, USEC_PER_SEC);
    for (at = USEC_PER_SEC; at < 3600 * USEC_PER_SEC && event == BALLOON_EVENT_NONE; at += USEC_PER_SEC) {
        event = balloon_seen(&b, (at / USEC_PER_SEC % 2 ? 512 : 256) * MIB, at);
        ck_assert(balloon_is_foreign(&b) || event == BALLOON_EVENT_STALLED);
        ck_assert(balloon_is_suspect(&b) == (at < USEC_PER_SEC + BALLOON_SUSPECT_USEC));
    }
    ck_assert_int_eq(event, _i == 1 ? BALLOON_EVENT_STALLED : BALLOON_EVENT_NONE);
    /* After a while without such sizes, one is waited for again. */
    for (unsigned i = 0; i <= 30; i++, at += USEC_PER_SEC)
        balloon_seen(&b, 2048 * MIB, at);
    balloon_seen(&b, 512 * MIB, at);
    ck_assert(balloon_is_suspect(&b));
}
END_TEST

/* Libvirt refuses moves of a domain that is being saved; that isn't held against its balloon. */
START_TEST(test_withdrawn)
{
    Balloon b = {};

    balloon_seen(&b, 2048 * MIB, 0);
    balloon_sent(&b, 1024 * MIB, 0);
    balloon_withdrawn(&b);
    ck_assert(!b.moving);
    ck_assert(!balloon_is_stalled(&b, 0));
    ck_assert_uint_eq(balloon_standing(&b), 2048 * MIB);
    ck_assert_int_eq(balloon_seen(&b, 2048 * MIB, 6000000), BALLOON_EVENT_NONE);
    ck_assert(!balloon_is_suspect(&b));
    ck_assert_uint_eq(b.stalls, 0);
}
END_TEST

START_TEST(test_counters)
{
    Balloon b = {};

    balloon_seen(&b, 2048 * MIB, 0);
    balloon_sent(&b, 1024 * MIB, 0);
    balloon_seen(&b, 2048 * MIB, 5000000);
    balloon_refused(&b, 70000000);
    balloon_sent(&b, 1024 * MIB, 300000000);
    balloon_reset(&b);
    ck_assert_uint_eq(b.moves, 2);
    ck_assert_uint_eq(b.stalls, 2);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("balloon");

    tcase_add_loop_test(t, test_sequences, 0, (int) ELEMENTSOF(sequences));
    tcase_add_test(t, test_rates);
    tcase_add_test(t, test_foreign_from);
    tcase_add_test(t, test_a3_a_size_is_foreign_until_it_is_accepted);
    tcase_add_test(t, test_a1_a_size_is_believed_as_far_as_we_asked_for_it);
    tcase_add_loop_test(t, test_a1_no_balloon_is_suspect_for_ever, 0, 2);
    tcase_add_test(t, test_withdrawn);
    tcase_add_test(t, test_counters);
    return run_tests(t);
}
