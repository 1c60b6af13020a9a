/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Judges whether the guest is in distress: by a PSI trigger, or by comparing two reports. */

#include "guest-agent/trigger.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include "base/macro.h"
#include "base/psi-trigger.h"
#include "base/units.h"

/* 75 ms of stalls within one second. Below about 5 % this would include kswapd's ordinary work in a guest
 * full of page cache; much above 10 % people notice before Ballast does. With a window of 1 s the kernel
 * checks every 100 ms, so a guest that stands still is reported within 0.2 s (75 ms of stalls and at most 100
 * ms to the next check), and again every second while it lasts. For an unprivileged process it becomes 150 ms
 * within 2 s. */
#define STALL_USEC  (75 * USEC_PER_MSEC)
#define WINDOW_USEC USEC_PER_SEC

/* The equivalent of these 75 ms for kernels without PSI. A page swapped in on demand costs about 0.3 ms
 * on a fast virtual disk: 256 pages of 4 KiB. A direct reclaim (an allocation stall) costs about 7 ms. */
#define SWAP_IN_BYTES MIB
#define STALLS        10U

/* In a shorter time a single stall would look like a trend. */
#define LOOK_MIN_USEC (DISTRESS_LOOK_USEC / 2)

int trigger_open(Trigger *t, const char *root)
{
    _cleanup_free_ char *path = NULL;
    struct statfs fs;
    usec_t window;
    int fd;

    *t = TRIGGER_INIT;
    /* Registering a trigger writes to a file: only do that to the kernel's own. */
    if (statfs(root, &fs) < 0)
        return -errno;
    if (fs.f_type != PROC_SUPER_MAGIC)
        return -EOPNOTSUPP;

    if (asprintf(&path, "%s/pressure/memory", root) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    fd = psi_trigger_open(path, "some", STALL_USEC, WINDOW_USEC, &window);
    if (fd < 0)
        return fd;

    t->fd = fd;
    t->prompt = window == WINDOW_USEC;
    return 0;
}

void trigger_done(Trigger *t)
{
    closep(&t->fd);
    *t = TRIGGER_INIT;
}

/* How much a counter grew; 0 if one of the two reports lacks it. */
static uint64_t growth(const Report *previous, const Report *next, ReportField f)
{
    if (!report_has(previous, f) || !report_has(next, f))
        return 0;
    return LESS_BY(next->value[f], previous->value[f]);
}

int distress_judge(const Report *previous, const Report *next, bool prompt)
{
    usec_t elapsed = usec_since(previous->at_usec, next->at_usec);
    double seconds = (double) elapsed / USEC_PER_SEC;

    if (elapsed < LOOK_MIN_USEC)
        return -EAGAIN;

    if (growth(previous, next, REPORT_OOM_KILLS) > 0)
        return DISTRESS_OOM;
    if (prompt)
        return 0;

    /* If the kernel reports stalls, their causes do not matter: swap-in from compressed memory, for example,
     * can be fast and hurt nobody. */
    if (report_has(next, REPORT_PSI_MEMORY_SOME_TOTAL))
        return growth(previous, next, REPORT_PSI_MEMORY_SOME_TOTAL) >= STALL_USEC * seconds ? DISTRESS_PSI
                                                                                            : 0;

    if (growth(previous, next, REPORT_SWAP_IN) >= SWAP_IN_BYTES * seconds)
        return DISTRESS_SWAP_IN;
    if (growth(previous, next, REPORT_ALLOC_STALLS) >= STALLS * seconds)
        return DISTRESS_STALL;
    return 0;
}
