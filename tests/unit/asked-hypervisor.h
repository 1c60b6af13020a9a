/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A hypervisor that writes down what it is asked for, and carries nothing out. */

#include <check.h>
#include <string.h>

#include "base/macro.h"
#include "host-agent/act/hypervisor.h"

#define ASKED_MAX 256U

typedef struct Asked {
    char uuid[37];
    DomainState state;   /* of a move */
    unsigned period_sec; /* of stats */
} Asked;

typedef struct AskedHypervisor {
    Hypervisor h;
    Asked moves[ASKED_MAX], stats[ASKED_MAX];
    uint64_t remembered_bytes;
    size_t n_moves, n_stats, n_remembered, n_definitions;
    int error; /* what it returns for moves; then nothing is written down */
} AskedHypervisor;

static inline int asked_set_memory(void *userdata, const char *uuid, const DomainState *state)
{
    AskedHypervisor *a = userdata;

    if (a->error < 0)
        return a->error;
    ck_assert_uint_lt(a->n_moves, ASKED_MAX);
    a->moves[a->n_moves].state = *state;
    strcpy(a->moves[a->n_moves++].uuid, uuid);
    return 0;
}

static inline int asked_request_stats(void *userdata, const char *uuid, unsigned period_sec)
{
    AskedHypervisor *a = userdata;

    ck_assert_uint_lt(a->n_stats, ASKED_MAX);
    a->stats[a->n_stats].period_sec = period_sec;
    strcpy(a->stats[a->n_stats++].uuid, uuid);
    return 0;
}

static inline int asked_remember(void *userdata, const char *uuid, uint64_t overhead_bytes)
{
    AskedHypervisor *a = userdata;

    a->remembered_bytes = overhead_bytes;
    a->n_remembered++;
    return 0;
}

static inline int asked_read_definition(void *userdata, const char *uuid)
{
    ((AskedHypervisor *) userdata)->n_definitions++;
    return 0;
}

static inline void asked_init(AskedHypervisor *a)
{
    *a = (AskedHypervisor){.h = {.set_memory = asked_set_memory,
                                 .request_stats = asked_request_stats,
                                 .remember = asked_remember,
                                 .read_definition = asked_read_definition,
                                 .userdata = a}};
}
