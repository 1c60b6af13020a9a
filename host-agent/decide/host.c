/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decides about the host's own controls: KSM. */

#include "host-agent/decide/host.h"

#include <math.h>
#include <string.h>

#include "base/units.h"
#include "host-agent/decide/reason.h"

/* The bounds of what a policy may ask of ksmd. ksmd is one kernel thread of low priority (nice 5), so it
 * could use one core at most; these bounds keep it well below that, and from standing still. A page takes it
 * 2 to 4 µs: a checksum of 4 KiB and a walk down a tree (3.7 µs were measured on a small virtual machine).
 *
 * With 0 pages in a turn it would wake for nothing. 10,000 pages keep a core busy for 20 to 40 ms before ksmd
 * sleeps again. (ksmtuned and MOM stop at 1,250, the kernel's own advisor at 30,000.) */
#define PAGES_TO_SCAN_MIN   1.0
#define PAGES_TO_SCAN_MAX   10000.0
/* With 0 it would never sleep, and 1 ms is the least that the kernel takes. With 10 s a thousand pages are
 * 400 KiB/s: a policy that wants less should set ksm_run = false. */
#define SLEEP_MIN_USEC      ((double) USEC_PER_MSEC)
#define SLEEP_MAX_USEC      ((double) (10 * USEC_PER_SEC))
/* ksmd sleeps at least half as long as a turn takes, so it never uses more than two thirds of a core,
 * whatever the two controls are. */
#define SLEEP_PER_PAGE_USEC 2.0

static const HostField controls[] = {
    HOST_FIELD_KSM_RUN,
    HOST_FIELD_KSM_PAGES_TO_SCAN,
    HOST_FIELD_KSM_SLEEP,
    HOST_FIELD_KSM_MERGE_ACROSS_NODES,
};

_Static_assert(ELEMENTSOF(controls) <= PLAN_HOST_MAX, "a decision for each control");

/* v clipped to least … most, in whole steps of the kernel's unit. */
static double bound(double v, double least, double most, double step)
{
    return ceil(fmin(fmax(round(v / step) * step, least), most) / step) * step;
}

/* pages: how many ksmd will scan in a turn. */
static double bounded(HostField control, double wanted, double pages)
{
    if (host_field_info(control)->unit == FIELD_UNIT_BOOLEAN)
        return wanted != 0;
    if (control == HOST_FIELD_KSM_SLEEP)
        return bound(wanted, fmax(SLEEP_MIN_USEC, pages * SLEEP_PER_PAGE_USEC), SLEEP_MAX_USEC,
                     (double) USEC_PER_MSEC);
    return bound(wanted, PAGES_TO_SCAN_MIN, PAGES_TO_SCAN_MAX, 1);
}

static double pages_in_force(const HostFields *host, const PolicyOutput *output)
{
    const PolicyAssignment *a = output->host + HOST_FIELD_KSM_PAGES_TO_SCAN;

    if (a->line > 0 && !isnan(a->value))
        return bounded(HOST_FIELD_KSM_PAGES_TO_SCAN, a->value, 0);
    return fmin(host_fields_get(host, HOST_FIELD_KSM_PAGES_TO_SCAN), PAGES_TO_SCAN_MAX);
}

static void add_value(Text *t, HostField control, double value)
{
    char buf[UNITS_FORMAT_MAX];

    switch (host_field_info(control)->unit) {
    case FIELD_UNIT_BOOLEAN:
        text_add(t, value != 0 ? "true" : "false");
        break;
    case FIELD_UNIT_DURATION:
        text_add(t, format_duration(buf, (usec_t) value));
        break;
    case FIELD_UNIT_NUMBER:
    case FIELD_UNIT_BYTES:
    case FIELD_UNIT_RATE:
    case FIELD_UNIT_TEXT:
    case FIELD_UNIT_MAX:
    case FIELD_UNIT_INVALID:
        text_addf(t, "%.0f", value);
        break;
    }
}

/* "pages_to_scan": messages always name KSM as well. */
static const char *short_name(HostField control)
{
    const char *name = host_field_info(control)->name;

    return strncmp(name, "ksm_", 4) == 0 ? name + 4 : name;
}

static void add_why_not(Text *t, const HostFields *host, const HostDecision *d)
{
    text_addf(t, "%s is not changed: ", short_name(d->control));
    if (!host_fields_has(host, HOST_FIELD_KSM_RUN))
        text_add(t, "this kernel has no KSM");
    else if (!host_fields_has(host, d->control))
        text_add(t, "this kernel does not have this setting");
    else
        text_add(t, "the policy's value is not a number");
    reason_add_line(t, d->file, d->line);
}

static void add_reason(const HostFields *host, bool clipped, HostDecision *d)
{
    Text t = text_init(d->reason, sizeof d->reason);
    double stands = host_fields_get(host, d->control);

    if (!host_fields_has(host, d->control) || isnan(d->wanted)) {
        add_why_not(&t, host, d);
        return;
    }
    if (d->value == stands) {
        text_addf(&t, "%s stays at ", short_name(d->control));
        add_value(&t, d->control, stands);
    } else {
        text_addf(&t, "%s%s ", d->send ? "" : "would set ", short_name(d->control));
        add_value(&t, d->control, stands);
        text_add(&t, " → ");
        add_value(&t, d->control, d->value);
        text_add(&t, ": ");
        text_add_some(&t, d->because ?: "set by the policy", REASON_WORDS_MAX);
    }
    reason_add_line(&t, d->file, d->line);
    if (clipped) {
        text_add(&t, ", clipped to ");
        add_value(&t, d->control, d->value);
        text_add(&t, " (bounds)");
    }
    if (d->value != stands && !d->send)
        text_add(&t, " (observe)");
}

static void decide(const HostFields *host, double pages, GuestMode mode, HostDecision *d)
{
    HostField control = d->control;
    bool clipped = false;

    if (!host_fields_has(host, control) || isnan(d->wanted))
        d->value = host_fields_get(host, control);
    else {
        d->value = bounded(control, d->wanted, pages);
        /* A value that only the kernel's whole steps changed is not clipped. */
        clipped =
            fabs(d->value - d->wanted) >= (control == HOST_FIELD_KSM_SLEEP ? (double) USEC_PER_MSEC : 1.0);
        d->send = d->value != host_fields_get(host, control) && mode == GUEST_MODE_AUTO;
    }
    add_reason(host, clipped, d);
}

size_t host_decide(const HostFields *host, const PolicyOutput *output, const char *const *files,
                   GuestMode mode, HostDecision *ret)
{
    double pages = pages_in_force(host, output);
    size_t n = 0;

    for (size_t i = 0; i < ELEMENTSOF(controls); i++) {
        const PolicyAssignment *a = output->host + controls[i];

        if (a->line == 0)
            continue;
        ret[n] = (HostDecision){.control = controls[i],
                                .wanted = a->value,
                                .line = a->line,
                                .file = files ? files[a->file] : NULL,
                                .because = a->because};
        decide(host, pages, mode, &ret[n++]);
    }
    return n;
}
