/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host with room on which guests are staged, and what is reported of them. */

#include <check.h>
#include <string.h>

#include "base/units.h"
#include "host-agent/config/config-load.h"
#include "host-agent/guest/guest.h"

#define SEC  USEC_PER_SEC
#define MSEC USEC_PER_MSEC

#define STAGE_NOTICES_MAX 64U

typedef struct Stage {
    GuestHost host;
    Audience audience;
    HostFields fields;
    Config *config;
    unsigned wakes;
    Notice heard[STAGE_NOTICES_MAX];
    size_t n_heard;
} Stage;

static inline void stage_on_wake(void *userdata)
{
    ((Stage *) userdata)->wakes++;
}

static inline void stage_hear(void *userdata, const Notice *n)
{
    Stage *t = userdata;

    ck_assert_uint_lt(t->n_heard, STAGE_NOTICES_MAX);
    t->heard[t->n_heard++] = *n;
}

/* 22 of 100 GiB are available: between the usual thresholds. */
static inline void stage_init(Stage *t)
{
    *t = (Stage){};
    ck_assert_int_eq(config_new(&t->config), 0);
    audience_add(&t->audience, stage_hear, t);
    t->host = (GuestHost){.mode = GUEST_MODE_AUTO,
                          .guard = &t->config->guard,
                          .rules = &t->config->guest_rules,
                          .fields = &t->fields,
                          .audience = &t->audience,
                          .wake = stage_on_wake,
                          .userdata = t};
    host_fields_set(&t->fields, HOST_FIELD_TOTAL, (double) (100 * GIB));
    host_fields_set(&t->fields, HOST_FIELD_AVAILABLE, (double) (22 * GIB));
}

static inline void stage_done(Stage *t)
{
    config_free(t->config);
}

/* What was heard of that kind, or how often. */
static inline const Notice *stage_last(const Stage *t, NoticeKind kind)
{
    for (size_t i = t->n_heard; i > 0; i--)
        if (t->heard[i - 1].kind == kind)
            return &t->heard[i - 1];
    ck_abort_msg("no notice of kind %d", kind);
    return NULL;
}

static inline unsigned stage_count(const Stage *t, NoticeKind kind)
{
    unsigned n = 0;

    for (size_t i = 0; i < t->n_heard; i++)
        n += t->heard[i].kind == kind;
    return n;
}

/* The i-th domain, guest0 …, in the order of their UUIDs, with all of its memory. */
static inline DomainInfo stage_domain(unsigned i, uint64_t bytes)
{
    DomainInfo info = {.id = (int) i + 1,
                       .persistent = true,
                       .has_balloon = true,
                       .has_channel = true,
                       .maximum_bytes = bytes,
                       .current_bytes = bytes,
                       .configured_current_bytes = bytes,
                       .entitlement = ENTITLEMENT_NONE};

    (void) snprintf(info.uuid, sizeof(info.uuid), "%08x-0000-4000-8000-000000000000", i);
    (void) snprintf(info.name, sizeof(info.name), "guest%u", i);
    return info;
}

static inline Entitlement stage_entitlement(void)
{
    return (Entitlement){.mode = GUEST_MODE_INVALID};
}
