/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A guest on a stage with the time, its reports and its balloon in the test's hands. */

#include <check.h>
#include <stdlib.h>

#include "base/units.h"
#include "host-agent/guest/guest-events.h"
#include "host-agent/guest/guest-held.h"
#include "host-agent/guest/guest-snapshot.h"
#include "tests/unit/guest-stage.h"

typedef struct Rig {
    Stage stage;
    Guest *guest;
    usec_t now;
    bool refaults;       /* its reports contain refaults … */
    double refault_rate; /* … of so many bytes per second */
    uint64_t left_bytes; /* available */
    uint64_t free_bytes;
} Rig;

/* Sends a target, and libvirt takes it. */
static inline void send(Rig *t, uint64_t target_bytes)
{
    guest_sent(t->guest, target_bytes, t->now);
    guest_set_done(t->guest, 0, t->now);
}

/* A guest that has run for a while with 4 of its 8 GiB; the host is between its thresholds. */
static inline Rig *rig_new(uint64_t growth_bytes)
{
    Rig *t = calloc(1, sizeof *t);
    Entitlement nothing = stage_entitlement();
    DomainInfo info = {.remembered.overhead_bytes = 48 * MIB,
                       .persistent = true,
                       .has_balloon = true,
                       .maximum_bytes = 8 * GIB,
                       .current_bytes = 4 * GIB,
                       .configured_current_bytes = 4 * GIB,
                       .entitlement = ENTITLEMENT_NONE};

    ck_assert_ptr_nonnull(t);
    t->now = 1000 * SEC;
    t->left_bytes = GIB;
    t->free_bytes = 128 * MIB;
    stage_init(&t->stage);
    strcpy(info.uuid, "00000000-0000-4000-8000-000000000000");
    strcpy(info.name, "guest");
    info.entitlement.growth_bytes = growth_bytes;
    ck_assert_int_eq(guest_new(&t->stage.host, &info, &nothing, t->now, &t->guest), 0);
    guest_balloon_seen(t->guest, 4 * GIB, t->now);
    t->now += 100 * SEC;
    return t;
}

static inline void rig_free(Rig *t)
{
    guest_free(t->guest);
    stage_done(&t->stage);
    free(t);
}

/* Time passes, and a report comes: the guest stalled for this share of that time. */
static inline void report(Rig *t, usec_t after, double stall)
{
    const Sample *last = history_get(&t->guest->sources.history, 0);
    uint64_t total = last ? last->report.value[REPORT_PSI_MEMORY_SOME_TOTAL] : 0;
    Report r = {.at_usec = t->now + after};

    t->now += after;
    report_set(&r, REPORT_MEM_TOTAL, guest_current(t->guest));
    report_set(&r, REPORT_MEM_FREE, t->free_bytes);
    report_set(&r, REPORT_MEM_AVAILABLE, t->left_bytes);
    report_set(&r, REPORT_PSI_MEMORY_SOME_TOTAL, total + (uint64_t) (stall * (double) after));
    if (t->refaults)
        report_set(&r, REPORT_REFAULT_FILE,
                   last ? last->report.value[REPORT_REFAULT_FILE] +
                              (uint64_t) (t->refault_rate * (double) after / (double) SEC)
                        : 0);
    guest_report(t->guest, &r, t->now);
}

static inline void reports(Rig *t, unsigned n, double stall)
{
    for (unsigned i = 0; i < n; i++)
        report(t, 250 * MSEC, stall);
}

/* Its balloon reaches the target at once. */
static inline void move(Rig *t, uint64_t target_bytes)
{
    send(t, target_bytes);
    t->now += 200 * MSEC;
    guest_balloon_seen(t->guest, target_bytes, t->now);
}

static inline void rss(Rig *t, uint64_t bytes)
{
    guest_process(t->guest, &(ProcessLook){.rss_bytes = bytes}, t->now);
}

static inline SnapshotGuest seen(const Rig *t)
{
    SnapshotGuest s;

    guest_snapshot(t->guest, t->now, &s);
    return s;
}

#define AT_EASE 0.001
#define HURTS   0.03
#define SUFFERS 0.2
