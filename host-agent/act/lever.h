/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Has guests hand memory back while they keep their size; no other file does. guest/lever.h says how, and when. */

#include "host-agent/decide/plan.h"
#include "host-agent/guest/guest.h"

/* The way to one guest. Each call returns at once, with 0 or -errno. Its agent's answer goes to guest_reclaimed(); a
 * squeeze is over when the balloon is seen to have arrived. */
typedef struct LeverChannel {
    int (*compact)(void *userdata, uint32_t id);
    int (*reclaim)(void *userdata, uint32_t id, uint64_t bytes, bool anon);
    int (*squeeze)(void *userdata, uint64_t target_bytes); /* sets the balloon */
    void (*forget)(void *userdata);                        /* no answer is waited for any longer */
    void *userdata;
} LeverChannel;

/* How many guests are asked at a time. Each works on pages that the host may have swapped out, and competes with
 * the others for CPU and disk: one after the other, the host has the first memory much sooner. A guest that reclaims
 * mostly waits, to see what came of its last step; one that compacts or is squeezed counts for two. A guest that takes
 * long doesn't count (levers_is_working()). */
#define LEVERS_AT_ONCE 6U

typedef struct LeverGuest {
    Guest *guest; /* borrowed */
    LeverChannel channel;
} LeverGuest;

/* In each cycle: judges what the host got, gives up answers that don't come, and carries out what the plan wants guests
 * to hand back while they keep their size, those first of which the host gets most. guests: those of the snapshot, in its
 * order. */
void lever_run(const LeverGuest *guests, const Snapshot *s, const Plan *plan);
/* Before the daemon ends: gives the guest its size back, if it is squeezed. */
void lever_stop(const LeverGuest *guest, usec_t now_usec);
