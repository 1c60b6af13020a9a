/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks at the guests' QEMU processes. */

#include "host-agent/daemon/looks.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "host-agent/guest/guest-held.h"

#define OFTEN_USEC        (USEC_PER_SEC)
#define SELDOM_USEC       (5 * USEC_PER_SEC)
/* A timer may come a little early. */
#define EARLY_USEC        (50 * USEC_PER_MSEC)
/* A search costs some 20 µs for each process of the host. While it finds nothing it comes less and less often. */
#define SEARCH_MIN_USEC   (USEC_PER_SEC)
#define SEARCH_MAX_USEC   (60 * USEC_PER_SEC)
/* Ten times what a search takes on a host with 100,000 processes. */
#define SEARCH_HANGS_USEC (20 * USEC_PER_SEC)
/* A guest that was found just now may have a QEMU that is just beginning, and one that ends may be gone first. */
#define MISSING_USEC      (30 * USEC_PER_SEC)

void looks_init(Looks *l, const char *proc_root)
{
    *l = (Looks){.faults = NAN};
    qemu_reader_init(&l->reader, proc_root);
}

void looks_done(Looks *l)
{
    qemu_search_free(l->search);
    qemu_reader_done(&l->reader);
}

/* Whether the guest's memory changes, or somebody waits to see whether it does. */
static bool is_watched(const Guest *g, usec_t now_usec)
{
    return guest_is_moving(g, now_usec) || guest_in_distress(g, now_usec) || g->judgement.grant.open ||
           g->judgement.gain.open || balloon_is_suspect(&g->balloon);
}

static bool lacks_process(const GuestEntry *e)
{
    return e->qemu.pid == 0 && !e->guest->lost;
}

static void look(Looks *l, GuestEntry *e, bool merged, usec_t now_usec)
{
    ProcessLook seen;

    e->looked_usec = now_usec;
    if (qemu_look(&l->reader, &e->qemu, merged, &seen) >= 0)
        guest_process(e->guest, &seen, now_usec);
    else
        qemu_process_done(&e->qemu);
}

/* ---- The search ---- */

static bool is_search_due(const Looks *l, const Guests *guests, usec_t now_usec)
{
    bool due = usec_since(l->search_usec, now_usec) >= l->wait_usec;

    for (size_t i = 0; i < guests->n; i++)
        if (lacks_process(&guests->entries[i]) &&
            (due || guests->entries[i].guest->seen_usec >= l->search_usec))
            return true;
    return false;
}

/* Logs once that processes aren't found. */
static void log_missing(Looks *l, const Guests *guests, int error, usec_t now_usec)
{
    const Guest *first = NULL;
    size_t n = 0;

    for (size_t i = 0; i < guests->n; i++) {
        const Guest *g = guests->entries[i].guest;

        if (!lacks_process(&guests->entries[i]) || usec_since(g->seen_usec, now_usec) < MISSING_USEC)
            continue;
        first = first ?: g;
        n++;
    }
    if (n > 0 && !l->missing)
        log_info(
            "%s%s: cannot find the QEMU process in %s (%s); using its resident size as libvirt reports it, without what the host swapped out",
            first->info.name, n > 1 ? " and others" : "", l->reader.proc_root,
            error < 0 ? strerror(-error) : "other users' processes may be hidden");
    l->missing = n > 0;
}

/* r: how many processes it has found, or -errno. */
static void search_ended(Looks *l, const Guests *guests, int r, usec_t now_usec)
{
    char lasted[UNITS_FORMAT_MAX];

    l->search = qemu_search_free(l->search);
    l->wait_usec = r > 0 ? SEARCH_MIN_USEC : CLAMP(2 * l->wait_usec, SEARCH_MIN_USEC, SEARCH_MAX_USEC);
    if (outage_over(&l->hangs, now_usec, lasted))
        log_notice("ballastd can search for QEMU processes again, after %s", lasted);
    log_missing(l, guests, r, now_usec);
}

static void begin_search(Looks *l, const Guests *guests, usec_t now_usec)
{
    _cleanup_free_ QemuWanted *wanted = calloc(guests->n, sizeof(*wanted));
    size_t n = 0;
    int r;

    if (!wanted)
        return;
    for (size_t i = 0; i < guests->n; i++) {
        const GuestEntry *e = &guests->entries[i];
        QemuWanted *w = &wanted[n];

        if (e->qemu.pid == 0 && e->guest->lost)
            continue;
        *w = (QemuWanted){.user = e->guest->info.user, .pid = e->qemu.pid};
        (void) snprintf(w->uuid, sizeof(w->uuid), "%s", e->guest->info.uuid);
        n++;
    }
    l->search_usec = now_usec;
    r = qemu_search_start(l->reader.proc_root, wanted, n, &l->search);
    if (r < 0)
        search_ended(l, guests, r, now_usec);
}

/* Logs once that the search doesn't come to its end. */
static void log_hanging(Looks *l, usec_t now_usec)
{
    usec_t lasts_usec = usec_since(l->search_usec, now_usec);
    int pid = (int) qemu_search_process(l->search);
    char lasts[UNITS_FORMAT_MAX];

    if (lasts_usec >= SEARCH_HANGS_USEC && outage_failed(&l->hangs, now_usec))
        log_warning(
            "Process %d has kept its arguments from being read for %s, as one can with a FUSE file system: until it ends, ballastd finds no other QEMU process, and for guests whose process it doesn't know uses the resident size that libvirt reports; see /proc/%d/status for whose process it is",
            pid, format_duration(lasts, lasts_usec), pid);
}

/* Takes over what the search has found. */
static void follow_search(Looks *l, Guests *guests, bool merged, usec_t now_usec)
{
    const QemuWanted *wanted;
    size_t n;
    int r = qemu_search_result(l->search, &wanted, &n);

    if (r == -EAGAIN) {
        log_hanging(l, now_usec);
        return;
    }
    for (size_t i = 0; r > 0 && i < n; i++) {
        GuestEntry *e = guests_by_uuid(guests, wanted[i].uuid);

        if (wanted[i].pid == 0 || !e || !lacks_process(e))
            continue;
        e->qemu = (QemuProcess){.pid = wanted[i].pid, .start_ticks = wanted[i].start_ticks};
        look(l, e, merged, now_usec);
    }
    search_ended(l, guests, r, now_usec);
}

/* ---- All of it ---- */

static double faults_of_all(const Guests *guests, usec_t now_usec)
{
    double sum = NAN;

    for (size_t i = 0; i < guests->n; i++) {
        double swapping = held_swapping(&guests->entries[i].guest->held, now_usec);

        if (!isnan(swapping))
            sum = (isnan(sum) ? 0 : sum) + swapping;
    }
    return sum;
}

void looks_run(Looks *l, Guests *guests, bool often, bool merged, usec_t now_usec)
{
    for (size_t i = 0; i < guests->n; i++) {
        GuestEntry *e = &guests->entries[i];
        usec_t every = often || is_watched(e->guest, now_usec) ? OFTEN_USEC : SELDOM_USEC;

        if (e->qemu.pid > 0 && !e->guest->lost && usec_since(e->looked_usec, now_usec) + EARLY_USEC >= every)
            look(l, e, merged, now_usec);
    }
    if (l->search)
        follow_search(l, guests, merged, now_usec);
    else if (is_search_due(l, guests, now_usec))
        begin_search(l, guests, now_usec);
    l->faults = faults_of_all(guests, now_usec);
}
