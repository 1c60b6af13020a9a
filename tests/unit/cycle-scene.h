/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host whose /proc a test writes, with guests and a policy, on which cycles run. */

#include "host-agent/daemon/cycle.h"
#include "host-agent/guest/guest-events.h"
#include "tests/unit/asked-hypervisor.h"
#include "tests/unit/asked-transport.h"
#include "tests/unit/clock.h"
#include "tests/unit/guest-stage.h"
#include "tests/unit/temp-folder.h"

#define INTERVAL SEC

#define GIVES "for g in guests {\n  g.target = 3968MiB because \"it gives\"\n}\n"

typedef struct Scene {
    char folder[TEMP_FOLDER_MAX];
    sd_event *event;
    Stage stage;
    AskedHypervisor asked;
    AskedTransport transport;
    HostWatch watch;
    Guests guests;
    Looks looks;
    RunningPolicy policy;
    HostKsm ksm;
    Neighbours neighbours;
    bool connected;
    Cycle cycle;
} Scene;

static inline void on_wake(void *userdata)
{
    Scene *x = userdata;

    x->stage.wakes++;
    cycle_wake(&x->cycle);
}

static inline void on_found(void *userdata)
{
}

static inline void host_has(const Scene *x, uint64_t available_bytes)
{
    temp_meminfo(x->folder, 100 * GIB, available_bytes, 8 * GIB, 8 * GIB);
}

/* other: a second file; or NULL. */
static inline void run_policies(Scene *x, const char *text, const char *other)
{
    PolicySource sources[] = {{.text = text, .length = strlen(text), .origin = "my.policy"},
                              {.text = other, .length = other ? strlen(other) : 0, .origin = "other.policy"}};
    char *origin = strdup("the test");
    PolicyDiagnostics d = {};
    Policy *p = NULL;

    ck_assert_msg(policy_load_sources(sources, other ? 2 : 1, &d, &p) == 0, "%s", d.text);
    cycle_forget_words(&x->cycle);
    ck_assert_int_eq(running_policy_replace(&x->policy, &x->guests, &p, &origin), 0);
    x->stage.host.policy = x->policy.policy;
}

static inline void run_policy(Scene *x, const char *text)
{
    run_policies(x, text, NULL);
}

/* A host with 22 of 100 GiB available, between the usual thresholds, and no guest. */
static inline void scene_init(Scene *x, usec_t now)
{
    CycleParts parts = {.config = NULL};

    *x = (Scene){.connected = true};
    clock_usec = now;
    temp_folder_init(x->folder);
    ck_assert_int_eq(setenv("RUNTIME_DIRECTORY", x->folder, 1), 0);
    host_has(x, 22 * GIB);
    ck_assert_int_ge(sd_event_new(&x->event), 0);
    stage_init(&x->stage);
    x->stage.host.fields = &x->watch.fields;
    x->stage.host.wake = on_wake;
    x->stage.host.userdata = x;
    x->stage.config->interval_usec = INTERVAL;
    asked_init(&x->asked);
    asked_transport_init(&x->transport);
    host_watch_init(&x->watch, x->event, x->folder, x->folder, NULL, NULL);
    guests_init(&x->guests, &x->stage.host, &x->transport.t);
    looks_init(&x->looks, x->folder);
    ck_assert_int_eq(host_ksm_init(&x->ksm, x->folder, false, &x->watch.fields, &x->stage.audience), 0);
    neighbours_init(&x->neighbours, x->event, x->folder, on_found, NULL);
    parts = (CycleParts){.event = x->event,
                         .config = x->stage.config,
                         .watch = &x->watch,
                         .guests = &x->guests,
                         .looks = &x->looks,
                         .guest_host = &x->stage.host,
                         .policy = &x->policy,
                         .hypervisor = &x->asked.h,
                         .ksm = &x->ksm,
                         .neighbours = &x->neighbours,
                         .connected = &x->connected};
    ck_assert_int_ge(cycle_init(&x->cycle, &parts), 0);
    run_policy(x, "for g in guests {\n}\n");
}

static inline void scene_done(Scene *x)
{
    cycle_done(&x->cycle);
    neighbours_done(&x->neighbours);
    host_ksm_done(&x->ksm);
    running_policy_done(&x->policy);
    guests_done(&x->guests);
    looks_done(&x->looks);
    host_watch_done(&x->watch);
    stage_done(&x->stage);
    sd_event_unref(x->event);
    temp_folder_done(x->folder);
}

static inline Guest *guest(const Scene *x, unsigned i)
{
    DomainInfo info = stage_domain(i, GIB);
    GuestEntry *e = guests_by_uuid(&x->guests, info.uuid);

    ck_assert_ptr_nonnull(e);
    return e->guest;
}

/* A guest of 4 GiB that has as much. */
static inline Guest *add_guest(Scene *x, unsigned i, uint64_t current_bytes)
{
    Entitlement nothing = stage_entitlement();
    DomainInfo info = stage_domain(i, 4 * GIB);

    guests_add(&x->guests, &info, &nothing);
    guest_balloon_seen(guest(x, i), 4 * GIB, clock_usec);
    if (current_bytes < 4 * GIB) {
        guest_sent(guest(x, i), current_bytes, clock_usec);
        guest_set_done(guest(x, i), 0, clock_usec);
        guest_balloon_seen(guest(x, i), current_bytes, clock_usec);
    }
    return guest(x, i);
}

/* Its agent reports that it has so much available, half of that free. */
static inline void report(Guest *g, uint64_t available_bytes)
{
    Report r = {.at_usec = clock_usec};

    report_set(&r, REPORT_MEM_TOTAL, guest_current(g));
    report_set(&r, REPORT_MEM_FREE, available_bytes / 2);
    report_set(&r, REPORT_MEM_AVAILABLE, available_bytes);
    report_set(&r, REPORT_CACHED, available_bytes / 2);
    report_set(&r, REPORT_SWAP_TOTAL, 4 * GIB);
    report_set(&r, REPORT_SWAP_FREE, 4 * GIB);
    guest_report(g, &r, clock_usec);
}

static inline void report_all(const Scene *x)
{
    for (size_t i = 0; i < x->guests.n; i++)
        report(x->guests.entries[i].guest, 3 * GIB);
}

/* libvirt took all targets, and the balloons are there. */
static inline void arrive_all(const Scene *x)
{
    for (size_t i = 0; i < x->guests.n; i++) {
        Guest *g = x->guests.entries[i].guest;

        guest_set_done(g, 0, clock_usec);
        guest_balloon_seen(g, balloon_standing(&g->balloon), clock_usec);
    }
}

static inline void three_guests(Scene *x)
{
    scene_init(x, 1000 * SEC);
    add_guest(x, 2, 4 * GIB);
    add_guest(x, 0, 4 * GIB);
    add_guest(x, 1, 4 * GIB);
    clock_usec += 5000 * SEC;
    report_all(x);
}

static inline void next_cycle(Scene *x)
{
    clock_usec += INTERVAL;
    report_all(x);
    cycle_run(&x->cycle);
}
