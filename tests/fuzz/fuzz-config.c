/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ballastd.conf may hold anything: it is taken with all values in their limits, or refused with a word on
 * why. */

#include <ctype.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/config/config-load.h"
#include "tests/fuzz/fuzz.h"

static void on_found(void *userdata, int level, const char *path, unsigned line, const char *text)
{
    unsigned *errors = userdata;

    assert(level == LOG_ERR || level == LOG_WARNING);
    assert(*text);
    for (const char *p = text; *p; p++)
        assert(!iscntrl((unsigned char) *p));
    *errors += level == LOG_ERR;
}

static void check_guests(const Config *c)
{
    char why[ENTITLEMENT_WHY_MAX];
    Entitlement e;

    assert(c->n_guests <= CONFIG_PATTERNS_MAX);
    for (size_t i = 0; i < c->n_guests; i++) {
        const char *pattern = c->guests[i].pattern;

        assert(*pattern && !isspace((unsigned char) pattern[0]));
        assert(!isspace((unsigned char) pattern[strlen(pattern) - 1]) && !strchr(pattern, '\n'));
        assert(entitlement_check(&c->guests[i].entitlement, 0, why) == 0);
    }
    e = config_entitlement(c, "web-1");
    assert(entitlement_check(&e, 0, why) == 0);
}

static void check_config(const Config *c)
{
    assert(c->mode == GUEST_MODE_AUTO || c->mode == GUEST_MODE_OBSERVE);
    assert(c->interval_usec >= 100 * USEC_PER_MSEC && c->interval_usec <= 60 * USEC_PER_SEC);
    assert(c->log_level >= LOG_ERR && c->log_level <= LOG_DEBUG);
    assert(c->on_stop >= 0 && c->on_stop < ON_STOP_MAX);
    assert(c->reserve.ratio >= 0 && c->reserve.ratio <= 1);
    assert(c->reserve.ratio == 0 || c->reserve.bytes == 0);
    assert(bytes_of_total(c->reserve, UINT64_C(1) << 40) <= MAX(c->reserve.bytes, UINT64_C(1) << 40));
    assert(c->policy_files[strspn(c->policy_files, " \t")]);
    assert(c->connect);
    assert(c->scope[0] && !strstr(c->scope, "/../"));
    assert(c->stats_period_usec >= USEC_PER_SEC && c->stats_period_usec % USEC_PER_SEC == 0);
    assert(c->guest_rules.floor_ratio >= 0 && c->guest_rules.floor_ratio <= 1);
    assert(c->guest_rules.distress_hold_usec >= USEC_PER_SEC &&
           c->guest_rules.distress_hold_usec <= 3600 * USEC_PER_SEC);
    assert(c->guard.stale_usec >= USEC_PER_SEC && c->guard.stale_usec <= 600 * USEC_PER_SEC);
    assert(c->guard.grace_usec >= USEC_PER_SEC && c->guard.grace_usec <= 3600 * USEC_PER_SEC);
    assert(c->guard.step_usec >= 100 * USEC_PER_MSEC && c->guard.step_usec <= 60 * USEC_PER_SEC);
    assert(c->guard.dead_band_ratio >= 0 && c->guard.dead_band_ratio <= 0.1);
    assert(c->guard.critical_ratio >= 0.01 && c->guard.critical_ratio <= 0.5);
    assert(c->guard.keep_ratio >= 0.05 && c->guard.keep_ratio <= 1);
    assert(c->guard.donor_cache_ratio >= 0 && c->guard.donor_cache_ratio <= 1);
    assert(c->guard.agentless_ratio >= 0 && c->guard.agentless_ratio <= 1);
    assert(c->guest_rules.strain.stall_ratio >= 0 && c->guest_rules.strain.stall_ratio <= 1);
    assert(c->guest_rules.strain.swap_in_rate >= 0 && c->guest_rules.strain.swap_in_rate <= (double) TIB);
    assert(c->guest_rules.strain.refault_rate >= 0 && c->guest_rules.strain.refault_rate <= (double) TIB);
    assert(c->guest_rules.strain.alloc_stall_rate >= 0 && c->guest_rules.strain.alloc_stall_rate <= 1e6);
    assert(c->guest_rules.strain.hurt_ratio >= 0.01 && c->guest_rules.strain.hurt_ratio <= 1);
    check_guests(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create("ballastd.conf", MFD_CLOEXEC);
    _cleanup_(config_freep) Config *c = NULL;
    unsigned errors = 0;
    char path[32];
    int r;

    if (fd < 0 || write(fd, data, size) != (ssize_t) size)
        return 0;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    r = config_load(path, on_found, &errors, &c);
    assert(r == 0 || r == -EINVAL);
    assert((r == 0) == (errors == 0) && (r == 0) == !!c);
    if (c)
        check_config(c);
    return 0;
}
