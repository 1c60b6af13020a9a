/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A guest hands memory back and keeps its size (lever.h): what was sent, what came of it, and when a squeeze is over. */

#include "host-agent/guest/guest.h"

/* The guest's kernel was asked for memory (act/lever.h), or wasn't, for this reason ("": nothing is wanted); the agent
 * answered; and whether the answer is given up now, because none came for too long. */
void guest_lever_waits(Guest *g, const char *why);
void guest_lever_asked(Guest *g, const LeverCall *call, const LeverNeed *need, usec_t now_usec);
void guest_reclaimed(Guest *g, const Message *m, usec_t now_usec);
bool guest_lever_expired(Guest *g, usec_t now_usec);
/* Judges what the host got of it. fragmented_bytes: of its idle memory. */
void guest_look_at_levers(Guest *g, uint64_t fragmented_bytes, usec_t now_usec);

/* Its balloon is sent to take memory and let go of it: to be called before guest_sent_for_a_moment(). */
void guest_squeezes(Guest *g, const LeverCall *call, const LeverNeed *need, usec_t now_usec);
/* An earlier daemon squeezed it, and ended before it got its size of returns_bytes back. */
void guest_squeeze_adopt(Guest *g, uint64_t returns_bytes, usec_t now_usec);
/* Whether its balloon takes memory only to let go of it, or gives its size back just now. */
bool guest_is_squeezed(const Guest *g);
/* Whether it needs its memory: it uses noticeably more than when its squeeze began, is in distress, or hurts. False for
 * a guest that isn't squeezed. */
bool guest_squeeze_hurts(const Guest *g, usec_t now_usec);
/* Why its squeeze is over now; 0: it goes on, or there is none. */
LeverEnd guest_squeeze_end(Guest *g, usec_t now_usec);
/* It is over: from now on the guest gets its size back. */
void guest_squeezed(Guest *g, LeverEnd why, usec_t now_usec);
/* Whether squeeze.returns_bytes has to be sent now: its squeeze is over, and no such move is on its way. */
bool guest_squeeze_returns(const Guest *g, usec_t now_usec);
/* Its balloon was seen: perhaps it has its size back. */
void guest_squeeze_seen(Guest *g);
/* Somebody else set its size, which stands. */
void guest_squeeze_forget(Guest *g);
