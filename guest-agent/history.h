/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the hypervisor did to this guest, for the guest's own administrator: the last lines in a file, and a
 * message in the journal, at most one each minute. */

#include "base/time-util.h"
#include "proto/codec.h"

#define HISTORY_FILE_NAME "history"
#define HISTORY_LINES     20U
#define HISTORY_LINE_MAX  224U

typedef enum HistoryKind { HISTORY_NONE, HISTORY_RECLAIM, HISTORY_COMPACT, HISTORY_BALLOON } HistoryKind;

/* What one line says. Requests of one kind within a minute share a line. */
typedef struct HistoryEntry {
    HistoryKind kind;
    usec_t began_usec;
    time_t at; /* the same, as the time of day */
    unsigned requests;
    bool anon;
    uint64_t wanted_bytes, got_bytes, refaulted_bytes;
    LeverEnd why; /* of the last request */
    int error;
} HistoryEntry;

typedef struct History {
    const char *run_folder; /* borrowed */
    bool opened;            /* that was tried: with the first line */
    int fd;                 /* of the file; -EBADF: none */
    char line[HISTORY_LINES][HISTORY_LINE_MAX];
    unsigned n;
    HistoryEntry last;  /* what the last line says; kind HISTORY_NONE: it is from an agent before this one */
    usec_t logged_usec; /* the last message in the journal; USEC_INFINITY: none yet */
    unsigned unlogged;  /* requests since then */
    uint64_t size_bytes, seen_bytes; /* MemTotal as last written, and as last seen; 0: not yet */
} History;

#define HISTORY_INIT ((History){.fd = -EBADF, .logged_usec = USEC_INFINITY})

/* With the first line the file in the run folder is opened, and created if that is allowed. Without a file
 * there is only the journal. */
void history_init(History *h, const char *run_folder);
void history_done(History *h);

/* A request has ended. request: Reclaim or Compact; result: the Reclaimed. */
void history_add_request(History *h, const Message *request, const Message *result, usec_t now_usec);
/* The guest's MemTotal at a report. When it has changed much and has settled, that is the balloon's work. */
void history_see_size(History *h, uint64_t mem_total_bytes, usec_t now_usec);
