/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ballastd.conf: which settings are accepted, and what is reported of the others. */

#include <string.h>
#include <syslog.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/config/config-doc.h"
#include "host-agent/config/config-load.h"
#include "tests/entitlement-equal.h"
#include "tests/unit/run.h"

#define FOUND_MAX 65536

/* What was reported, as lines: "E:3: …" for errors, "W:3: …" for warnings. */
typedef struct Found {
    char text[FOUND_MAX];
    size_t length;
    const char *path;
} Found;

static void on_found(void *userdata, int level, const char *path, unsigned line, const char *text)
{
    Found *f = userdata;

    ck_assert_str_eq(path, f->path);
    f->length += (size_t) snprintf(f->text + f->length, sizeof(f->text) - f->length, "%c:%u: %s\n",
                                   level == LOG_ERR       ? 'E'
                                   : level == LOG_WARNING ? 'W'
                                                          : '?',
                                   line, text);
    ck_assert_uint_lt(f->length, sizeof(f->text));
}

/* Loads a file with this text. */
static int load_bytes(const void *bytes, size_t length, Found *ret_found, Config **ret)
{
    char folder[TEMP_FOLDER_MAX], path[TEMP_FOLDER_MAX + 8];
    int fd, r;

    run_make_folder(folder);
    snprintf(path, sizeof(path), "%s/config", folder);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, length), (ssize_t) length);
    close(fd);
    *ret_found = (Found){.path = path};
    *ret = NULL;
    r = config_load(path, on_found, ret_found, ret);
    ck_assert((r == 0) == !!*ret);
    if (*ret)
        ck_assert_str_eq((*ret)->path, path);
    unlink(path);
    rmdir(folder);
    return r;
}

static int load(const char *text, Found *ret_found, Config **ret)
{
    return load_bytes(text, strlen(text), ret_found, ret);
}

/* A file that is accepted without a message. */
static Config *load_good(const char *text)
{
    Found found;
    Config *c;
    int r = load(text, &found, &c);

    ck_assert_msg(r == 0 && found.length == 0, "%s\n%s", text, found.text);
    return c;
}

static void assert_defaults(const Config *c)
{
    const GuardConfig guard = GUARD_CONFIG_DEFAULT;

    ck_assert_int_eq(c->mode, GUEST_MODE_OBSERVE);
    ck_assert_str_eq(c->connect, "");
    ck_assert_uint_eq(c->interval_usec, USEC_PER_SEC);
    ck_assert_int_eq(c->log_level, LOG_INFO);
    ck_assert_str_eq(c->scope, "system");
    ck_assert_uint_eq(c->reserve.bytes, 0);
    ck_assert_double_eq(c->reserve.ratio, 0);
    ck_assert_str_eq(c->policy_files, "balloon.policy");
    ck_assert_int_eq(c->on_stop, ON_STOP_KEEP);
    ck_assert_uint_eq(c->stats_period_usec, 2 * USEC_PER_SEC);
    for (size_t i = 0; i < c->n_guests; i++)
        ck_assert(entitlement_is_none(&c->guests[i].entitlement));
    ck_assert_double_eq(c->guest_rules.floor_ratio, 0.25);
    ck_assert_double_eq_tol(c->guest_rules.strain.stall_ratio, 0.075, 1e-12);
    ck_assert_double_eq(c->guest_rules.strain.swap_in_rate, 1.0 * MIB);
    ck_assert_double_eq(c->guest_rules.strain.refault_rate, 16.0 * MIB);
    ck_assert_double_eq(c->guest_rules.strain.alloc_stall_rate, 10);
    ck_assert_double_eq_tol(c->guest_rules.strain.hurt_ratio, 0.25, 1e-12);
    ck_assert_uint_eq(c->guest_rules.distress_hold_usec, 10 * USEC_PER_SEC);

    /* The table has the guard's defaults. */
    ck_assert_uint_eq(c->guard.stale_usec, guard.stale_usec);
    ck_assert_uint_eq(c->guard.grace_usec, guard.grace_usec);
    ck_assert_uint_eq(c->guard.step_usec, guard.step_usec);
    ck_assert_double_eq(c->guard.step_rate_default, guard.step_rate_default);
    ck_assert_double_eq_tol(c->guard.dead_band_ratio, guard.dead_band_ratio, 1e-12);
    ck_assert_uint_eq(c->guard.dead_band_bytes, guard.dead_band_bytes);
    ck_assert_double_eq(c->guard.swapless_ratio, guard.swapless_ratio);
    ck_assert_double_eq_tol(c->guard.critical_ratio, guard.critical_ratio, 1e-12);
    ck_assert_uint_eq(c->guard.critical_max_bytes, guard.critical_max_bytes);
    ck_assert_double_eq_tol(c->guard.keep_ratio, guard.keep_ratio, 1e-12);
    ck_assert_double_eq_tol(c->guard.donor_cache_ratio, guard.donor_cache_ratio, 1e-12);
    ck_assert_double_eq_tol(c->guard.agentless_ratio, guard.agentless_ratio, 1e-12);
}

START_TEST(test_defaults)
{
    static const char *const files[] = {"", "\n\n", "# nothing\n; at all", "[Guard]\n",
                                        "\xEF\xBB\xBF# a byte order mark\n"};
    Config *c;

    ck_assert_int_eq(config_new(&c), 0);
    assert_defaults(c);
    config_free(c);
    for (size_t i = 0; i < ELEMENTSOF(files); i++) {
        c = load_good(files[i]);
        assert_defaults(c);
        config_free(c);
    }
    ck_assert_ptr_null(config_free(NULL));
}
END_TEST

START_TEST(test_every_setting)
{
    Config *c = load_good("[Daemon]\n"
                          "Mode=auto\n"
                          "Connect = qemu+ssh://virt@host/system?no_tty=1\n"
                          "  Interval=250ms\r\n"
                          "LogLevel=debug   ; with every detail\n"
                          "[Host]\n"
                          "Scope=machine.slice\n"
                          "Reserve=1.5GiB\n"
                          "[Policy]\n"
                          "Files=/etc/ballast/my.policy  ksm.policy\n"
                          "[Balloon]\n"
                          "OnStop=release\n"
                          "StatsPeriod=5s\n"
                          "[Guest web-*]\n"
                          "Min=512MiB\n"
                          "Full=2GiB\n"
                          "Max=4GiB\n"
                          "Shares=2000\n"
                          "Mode=observe\n"
                          "[Guard]\n"
                          "Floor=40%\n"
                          "Grace=2min\n"
                          "Stale=20s\n"
                          "Step=1.5s\n"
                          "DeadBand=1%\n"
                          "Critical=7.5%\n"
                          "Keep=30%\n"
                          "DonorCache=5%\n"
                          "Agentless=0%\n"
                          "[Distress]\n"
                          "Stall=12.5%\n"
                          "SwapIn=512KiB\n"
                          "Refaults=0\n"
                          "AllocStalls=20\n"
                          "Hurt=50%\n"
                          "Hold=1min\n");

    ck_assert_int_eq(c->mode, GUEST_MODE_AUTO);
    ck_assert_str_eq(c->connect, "qemu+ssh://virt@host/system?no_tty=1");
    ck_assert_uint_eq(c->interval_usec, 250 * USEC_PER_MSEC);
    ck_assert_int_eq(c->log_level, LOG_DEBUG);
    ck_assert_str_eq(c->scope, "machine.slice");
    ck_assert_uint_eq(c->reserve.bytes, 3 * GIB / 2);
    ck_assert_str_eq(c->policy_files, "/etc/ballast/my.policy  ksm.policy");
    ck_assert_int_eq(c->on_stop, ON_STOP_RELEASE);
    ck_assert_uint_eq(c->stats_period_usec, 5 * USEC_PER_SEC);
    ck_assert_uint_eq(c->n_guests, 1);
    ck_assert_str_eq(c->guests[0].pattern, "web-*");
    ck_assert(entitlement_equal(&c->guests[0].entitlement,
                                &(Entitlement){512 * MIB, 2 * GIB, 4 * GIB, 2000, GUEST_MODE_OBSERVE}));
    ck_assert_double_eq_tol(c->guest_rules.floor_ratio, 0.4, 1e-12);
    ck_assert_uint_eq(c->guard.grace_usec, 120 * USEC_PER_SEC);
    ck_assert_uint_eq(c->guard.stale_usec, 20 * USEC_PER_SEC);
    ck_assert_uint_eq(c->guard.step_usec, 1500 * USEC_PER_MSEC);
    ck_assert_double_eq_tol(c->guard.dead_band_ratio, 0.01, 1e-12);
    ck_assert_double_eq_tol(c->guard.critical_ratio, 0.075, 1e-12);
    ck_assert_double_eq_tol(c->guard.keep_ratio, 0.3, 1e-12);
    ck_assert_double_eq_tol(c->guard.donor_cache_ratio, 0.05, 1e-12);
    ck_assert_double_eq(c->guard.agentless_ratio, 0);
    ck_assert_double_eq_tol(c->guest_rules.strain.stall_ratio, 0.125, 1e-12);
    ck_assert_double_eq(c->guest_rules.strain.swap_in_rate, 512.0 * KIB);
    ck_assert_double_eq(c->guest_rules.strain.refault_rate, 0);
    ck_assert_double_eq(c->guest_rules.strain.alloc_stall_rate, 20);
    ck_assert_double_eq_tol(c->guest_rules.strain.hurt_ratio, 0.5, 1e-12);
    ck_assert_uint_eq(c->guest_rules.distress_hold_usec, 60 * USEC_PER_SEC);
    config_free(c);
}
END_TEST

START_TEST(test_reserve)
{
    static const struct {
        const char *text;
        uint64_t total, reserve;
    } rows[] = {
        {"", 100 * GIB, 0},
        {"[Host]\nReserve=10%\n", 100 * GIB, 10 * GIB},
        {"[Host]\nReserve=100%\n", GIB, GIB},
        {"[Host]\nReserve=4GiB\n", 100 * GIB, 4 * GIB},
        {"[Host]\nReserve=4GiB\n", GIB, 4 * GIB},
        {"[Host]\nReserve=1048576B\n", GIB, MIB},
        {"[Host]\nReserve=0\n", 100 * GIB, 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Config *c = load_good(rows[i].text);

        ck_assert_uint_eq(bytes_of_total(c->reserve, rows[i].total), rows[i].reserve);
        config_free(c);
    }
}
END_TEST

/* Whose memory counts: names of cgroups, and texts that are none. */
START_TEST(test_scope)
{
    static const struct {
        const char *value;
        bool good;
    } rows[] = {
        {"system", true},
        {"machine.slice", true},
        {"machine.slice/machine-qemu\\x2d1.scope", true},
        {"/sys/fs/cgroup/memory/machine", true},
        {"/sys/fs/cgroup//machine.slice/", true},
        {"..slice", true},
        {"a..b/...", true},
        {"", false},
        {"..", false},
        {"../machine.slice", false},
        {"machine.slice/..", false},
        {"/sys/fs/cgroup/../../../etc", false},
        {"machine//../x", false},
        {"machine\x1b[2J", false},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        char text[128];
        Config *c = NULL;
        Found found;
        int r;

        snprintf(text, sizeof(text), "[Host]\nScope=%s\n", rows[i].value);
        r = load(text, &found, &c);
        ck_assert_msg(r == (rows[i].good ? 0 : -EINVAL), "%s", rows[i].value);
        if (rows[i].good)
            ck_assert_str_eq(c->scope, rows[i].value);
        else
            ck_assert_ptr_nonnull(strstr(found.text, "it takes 'system', or the path of a memory cgroup"));
        config_free(c);
    }
}
END_TEST

START_TEST(test_guests)
{
    Config *c = load_good("[Guest *]\n"
                          "Shares=500\n"
                          "Mode=\n" /* as if it weren't set */
                          "[Guest db*]\n"
                          "Mode=off\n"
                          "Min=2GiB\n"
                          "[Guard]\n"
                          "Grace=1min\n"
                          "[Guest db-test]\n"
                          "Mode=auto\n"
                          "Full=1GiB\n"
                          "[Guest web-[ab0-9]]   ; those in front\n"
                          "Shares=2000\n"
                          "[Guest \t my machine ]\n"
                          "Max=8GiB\n"
                          "[Guest web-*]\n"
                          "[Guest db*]\n"
                          "Shares=700\n");
    static const struct {
        const char *name;
        Entitlement granted;
    } rows[] = {
        {"", {.shares = 500, .mode = GUEST_MODE_INVALID}},
        {"any", {.shares = 500, .mode = GUEST_MODE_INVALID}},
        {"db1", {.min_bytes = 2 * GIB, .shares = 700, .mode = GUEST_MODE_OFF}},
        {"adb", {.shares = 500, .mode = GUEST_MODE_INVALID}},
        /* the later one's full size wins, and the minimum above it goes */
        {"db-test", {.full_bytes = GIB, .shares = 700, .mode = GUEST_MODE_AUTO}},
        {"web-a", {.shares = 2000, .mode = GUEST_MODE_INVALID}},
        {"web-7", {.shares = 2000, .mode = GUEST_MODE_INVALID}},
        {"web-c", {.shares = 500, .mode = GUEST_MODE_INVALID}},
        {"my machine", {.growth_bytes = 8 * GIB, .shares = 500, .mode = GUEST_MODE_INVALID}},
    };
    Entitlement e;

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        e = config_entitlement(c, rows[i].name);
        ck_assert_msg(entitlement_equal(&e, &rows[i].granted), "%s", rows[i].name);
    }
    ck_assert_uint_eq(c->guard.grace_usec, 60 * USEC_PER_SEC);
    config_free(c);
    ck_assert_int_eq(config_new(&c), 0);
    e = config_entitlement(c, "any");
    ck_assert(entitlement_is_none(&e));
    config_free(c);
}
END_TEST

/* Files that are refused as a whole, and the messages. */
START_TEST(test_errors)
{
    static const struct {
        const char *text, *messages;
    } rows[] = {
        {"[Daemon]\nMode=off\n", "E:2: Mode=off is not valid: it takes observe or auto\n"},
        {"[Daemon]\nMode=\n", "E:2: Mode= is not valid: it takes observe or auto\n"},
        {"[Daemon]\n\n# a comment\nInterval=99ms\n",
         "E:4: Interval=99ms is not valid: it takes a time from 100ms to 60s, such as 1s\n"},
        {"[Daemon]\nInterval=61s\n",
         "E:2: Interval=61s is not valid: it takes a time from 100ms to 60s, such as 1s\n"},
        {"[Daemon]\nInterval=often\n",
         "E:2: Interval=often is not valid: it takes a time from 100ms to 60s, such as 1s\n"},
        {"[Daemon]\nInterval=infinity\n",
         "E:2: Interval=infinity is not valid: it takes a time from 100ms to 60s, such as 1s\n"},
        {"[Daemon]\nLogLevel=chatty\n",
         "E:2: LogLevel=chatty is not valid: it takes error, warning, notice, info or debug\n"},
        {"[Daemon]\nConnect=a\001b\n", "E:2: Connect=a?b is not valid: it takes text\n"},
        {"[Host]\nReserve=110%\n",
         "E:2: Reserve=110% is not valid: it takes a size such as 4GiB or a share such as 10%\n"},
        {"[Host]\nReserve=-1\n",
         "E:2: Reserve=-1 is not valid: it takes a size such as 4GiB or a share such as 10%\n"},
        {"[Policy]\nFiles=my/balloon.policy\n",
         "E:2: Files=my/balloon.policy is not valid: it takes absolute "
         "paths, or names of installed policies, separated by "
         "blanks\n"},
        {"[Policy]\nFiles=\n", "E:2: Files= is not valid: it takes absolute paths, or names of installed "
                               "policies, separated by blanks\n"},
        {"[Balloon]\nOnStop=give\n", "E:2: OnStop=give is not valid: it takes keep or release\n"},
        {"[Balloon]\nStatsPeriod=1500ms\n",
         "E:2: StatsPeriod=1500ms is not valid: it takes a time in whole seconds from 1s to 60s, such as 2s\n"},
        {"[Guard]\nFloor=101%\n",
         "E:2: Floor=101% is not valid: it takes a share from 0% to 100%, such as 25%\n"},
        {"[Guard]\nStale=999ms\n",
         "E:2: Stale=999ms is not valid: it takes a time from 1s to 10min, such as 10s\n"},
        {"[Guard]\nGrace=0\n", "E:2: Grace=0 is not valid: it takes a time from 1s to 1h, such as 45s\n"},
        {"[Guard]\nCritical=0%\n",
         "E:2: Critical=0% is not valid: it takes a share from 1% to 50%, such as 5%\n"},
        {"[Guard]\nDeadBand=11%\n",
         "E:2: DeadBand=11% is not valid: it takes a share from 0% to 10%, such as 0.5%\n"},
        {"[Guest a]\nMin=lots\n",
         "E:2: Min=lots is not valid: it takes a size from 16MiB to 4096TiB, such as "
         "1GiB\n"},
        {"[Guest a]\nMax=2MiB\n",
         "E:2: Max=2MiB is out of range: it takes a size from 16MiB to 4096TiB, such as 1GiB\n"},
        {"[Guest a]\nMode=on\nShares=0\n",
         "E:2: Mode=on is not valid: it takes auto, observe or off\n"
         "E:3: Shares=0 is out of range: it takes a whole number from 1 to 1000000; others have 1000\n"},
        {"[Guest a]\nMin=2GiB\n\nFull=1GiB\n[Daemon]\nMode=auto\n",
         "E:1: the sizes are not valid: min=2GiB is more than full=1GiB\n"},
        {"[Guest a]\nMin=2GiB\n[Guest b]\nFull=2GiB\nMax=1GiB",
         "E:3: the sizes are not valid: full=2GiB is more than max=1GiB\n"},
        {"[Guest]\nMode=off\n",
         "E:1: a section for guests needs a pattern of their names, as in [Guest web-*]\n"},
        {"[Guest \t ]\nMode=off\n",
         "E:1: a section for guests needs a pattern of their names, as in [Guest web-*]\n"},
        {"[Guest web\nMode=off\n", "E:1: a section without its closing ]\n"},
        {"[Guest web] x\nMode=off\n", "E:1: a section without its closing ]\n"},
        {"[Guard]\nKeep=4%\n", "E:2: Keep=4% is not valid: it takes a share from 5% to 100%, such as 20%\n"},
        {"[Distress]\nStall=75ms\n",
         "E:2: Stall=75ms is not valid: it takes a share from 0% to 100%, such as 7.5%\n"},
        {"[Distress]\nHurt=0%\n",
         "E:2: Hurt=0% is not valid: it takes a share from 1% to 100%, such as 25%\n"},
        {"[Distress]\nSwapIn=2TiB\n",
         "E:2: SwapIn=2TiB is not valid: it takes a size from 0 to 1TiB, such as 1MiB\n"},
        {"[Distress]\nRefaults=16MiB/s\n",
         "E:2: Refaults=16MiB/s is not valid: it takes a size from 0 to 1TiB, such as 16MiB\n"},
        {"[Distress]\nAllocStalls=2.5\n",
         "E:2: AllocStalls=2.5 is not valid: it takes a whole number from 0 to 1000000, such as 10\n"},
        {"[Distress]\nAllocStalls=1MiB\n",
         "E:2: AllocStalls=1MiB is not valid: it takes a whole number from 0 to 1000000, such as 10\n"},
        {"[Distress]\nAllocStalls=1000001\n",
         "E:2: AllocStalls=1000001 is not valid: it takes a whole number from 0 to 1000000, such as 10\n"},
        /* all errors are reported, and warnings, too */
        {"[Daemon]\nMode=off\nMood=auto\nInterval=0\n[Guard]\nFloor=x\n",
         "E:2: Mode=off is not valid: it takes observe or auto\n"
         "W:3: no setting is called Mood=, ignored; did you mean Mode= in [Daemon]?\n"
         "E:4: Interval=0 is not valid: it takes a time from 100ms to 60s, such as 1s\n"
         "E:6: Floor=x is not valid: it takes a share from 0% to 100%, such as 25%\n"},
        /* no settings at all */
        {"[Daemon]\nMode auto\nMode=auto\njunk",
         "E:2: neither a setting (Key=value) nor a section ([Name])\n"
         "E:4: neither a setting (Key=value) nor a section ([Name])\n"},
        {"[Daemon\nMode=auto\n", "E:1: a section without its closing ]\n"
                                 "W:2: Mode= belongs in [Daemon], ignored here\n"},
        {"[Daemon ;]\n", "E:1: a section without its closing ]\n"},
        {"[Guard] x\nGrace=1min\n", "E:1: more than a comment after the ] of a section\n"},
        {"[Guard]]\n", "E:1: more than a comment after the ] of a section\n"},
        /* an indented line is a line like any other */
        {"[Daemon]\nConnect=qemu:///system\n   Mode=of\n",
         "E:3: Mode=of is not valid: it takes observe or auto\n"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Found found;
        Config *c;

        ck_assert_int_eq(load(rows[i].text, &found, &c), -EINVAL);
        ck_assert_str_eq(found.text, rows[i].messages);
    }
}
END_TEST

#define OPEN_BRACKET(pattern)                                                               \
    "the pattern " pattern                                                                  \
    " has a [ without its ]: leave it out, as in [Guest web-*], or write \\[ for a [ in a " \
    "guest's name\n"
#define ONE_CHARACTER(pattern)                                                                               \
    "the pattern " pattern " matches only names of one character: write it without brackets of its own, as " \
    "in [Guest web-*]\n"

START_TEST(test_c7_a_size_needs_a_unit)
{
    static const struct {
        const char *text, *messages;
    } rows[] = {
        {"[Host]\nReserve=10\n", "E:2: Reserve=10 has no unit: 10GiB, 10MiB or 10%?\n"},
        {"[Host]\nReserve=1048576\n", "E:2: Reserve=1048576 has no unit: 1048576KiB or 1048576B?\n"},
        {"[Host]\nReserve=0.2\n", "E:2: Reserve=0.2 has no unit: 20%, 0.2GiB, 0.2MiB or 0.2%?\n"},
        {"[Distress]\nSwapIn=4\nRefaults=16\n", "E:2: SwapIn=4 has no unit: 4GiB, 4MiB or 4B?\n"
                                                "E:3: Refaults=16 has no unit: 16GiB, 16MiB or 16B?\n"},
        {"[Guest a]\nMin=2\nFull=4194304\n", "E:2: Min=2 has no unit: 2GiB, 2MiB or 2B?\n"
                                             "E:3: Full=4194304 has no unit: 4194304KiB or 4194304B?\n"},
        {"[Guard]\nFloor=0.25\nKeep=25\nCritical=1\n", "E:2: Floor=0.25 has no unit: 25% or 0.25%?\n"
                                                       "E:3: Keep=25 has no unit: 25%?\n"
                                                       "E:4: Critical=1 has no unit: 1%?\n"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Found found;
        Config *c;

        ck_assert_int_eq(load(rows[i].text, &found, &c), -EINVAL);
        ck_assert_str_eq(found.text, rows[i].messages);
    }
    /* 0 needs none, and a count and a time have none or one of their own. */
    config_free(load_good("[Host]\nReserve=0\n[Distress]\nSwapIn=0\nAllocStalls=20\nStall=0\n[Daemon]\n"
                          "Interval=2\n"));
}
END_TEST

/* Brackets in the patterns of guests' names. */
START_TEST(test_c7_brackets_of_a_pattern)
{
    static const char *const good[] = {"web[0-9]", "[!a]x", "[]a]x",   "[[:alpha:]]*",
                                       "\\[web",   "a]b",   "[a\\]]x", "[ab][cd]"};
    static const struct {
        const char *section, *messages;
        int r;
    } rows[] = {
        {"[Guest [web]", "E:1: " OPEN_BRACKET("[web"), -EINVAL},
        {"[Guest web-[ab]", "E:1: " OPEN_BRACKET("web-[ab"), -EINVAL},
        {"[Guest []]", "E:1: " OPEN_BRACKET("[]"), -EINVAL},
        {"[Guest a[[:alpha:]]", "E:1: " OPEN_BRACKET("a[[:alpha:]"), -EINVAL},
        {"[Guest [web]]", "W:1: " ONE_CHARACTER("[web]"), 0},
        {"[Guest [!w]] ; x", "W:1: " ONE_CHARACTER("[!w]"), 0},
    };
    char text[256];
    Config *c;

    for (size_t i = 0; i < ELEMENTSOF(good); i++) {
        snprintf(text, sizeof(text), "[Guest %s]\nMode=off\n", good[i]);
        c = load_good(text);
        ck_assert_str_eq(c->guests[0].pattern, good[i]);
        config_free(c);
    }
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Found found;

        snprintf(text, sizeof(text), "%s\nMode=off\n", rows[i].section);
        ck_assert_int_eq(load(text, &found, &c), rows[i].r);
        ck_assert_str_eq(found.text, rows[i].messages);
        config_free(c);
    }
}
END_TEST

/* Where a setting stands, for messages about it. */
START_TEST(test_lines)
{
    Config *c = load_good("[Host]\n\nReserve=1GiB\n[Guest a]\nMode=off\n\n[Guest b]\nMode=off\n");

    ck_assert_uint_eq(config_line(c, &c->reserve), 3);
    ck_assert_uint_eq(config_line(c, &c->scope), 0);
    ck_assert_uint_eq(c->guests[0].line, 4);
    ck_assert_uint_eq(c->guests[1].line, 7);
    config_free(c);
}
END_TEST

/* Unknown settings are ignored, and reported. */
START_TEST(test_warnings)
{
    static const struct {
        const char *text, *messages;
    } rows[] = {
        {"[Deamon]\nMode=auto\nInterval=x\n\n[Daemon]\n",
         "W:1: no section is called [Deamon], ignored with what is in it; did you mean [Daemon]?\n"},
        {"[Daemon]\n[Something else]\nMode=auto\n",
         "W:2: no section is called [Something else], ignored with what is in it\n"},
        {"[X]\nA=1\n[X]\nB=1\n", "W:1: no section is called [X], ignored with what is in it\n"
                                 "W:3: no section is called [X], ignored with what is in it\n"},
        {"[Host]\nReserved=1GiB\n",
         "W:2: no setting is called Reserved=, ignored; did you mean Reserve= in [Host]?\n"},
        {"[Daemon]\nloglevel=info\n",
         "W:2: no setting is called loglevel=, ignored; did you mean LogLevel= in [Daemon]?\n"},
        {"[Daemon]\nFlor=10%\n",
         "W:2: no setting is called Flor=, ignored; did you mean Floor= in [Guard]?\n"},
        {"[Daemon]\nFloor=10%\n", "W:2: Floor= belongs in [Guard], ignored here\n"},
        {"[Guest a]\nMim=1GiB\n",
         "W:2: no setting is called Mim=, ignored; did you mean Min= in [Guest PATTERN]?\n"},
        {"[Guest a]\nmode=off\n",
         "W:2: no setting is called mode=, ignored; did you mean Mode= in [Guest PATTERN]?\n"},
        {"[Guest a]\nColour=blue\n", "W:2: no setting of [Guest PATTERN] is called Colour=, ignored\n"},
        {"[Guest a]\nFloor=10%\n", "W:2: Floor= belongs in [Guard], ignored here\n"},
        {"[Guard]\nShares=10\n", "W:2: Shares= belongs in [Guest PATTERN], ignored here\n"},
        {"[Guests]\nOff=db*\n", "W:1: no section is called [Guests], ignored with what is in it; did you "
                                "mean [Guest PATTERN]?\n"},
        {"[guest web]\nMode=off\n", "W:1: no section is called [guest web], ignored with what is in it; did "
                                    "you mean [Guest PATTERN]?\n"},
        /* an empty section, too */
        {"[guard]\n[Daemon]\n",
         "W:1: no section is called [guard], ignored with what is in it; did you mean [Guard]?\n"},
        {"[ Guard ]\n",
         "W:1: no section is called [ Guard ], ignored with what is in it; did you mean [Guard]?\n"},
        /* twice */
        {"[Host]\nReserve=10%\n\nReserve=2GiB\n",
         "W:4: Reserve= is set here and in line 2; the last one counts\n"},
        {"[Host]\nReserve=10%\n[Daemon]\n[Host]\nReserve=2GiB\nReserve=0\n",
         "W:5: Reserve= is set here and in line 2; the last one counts\n"
         "W:6: Reserve= is set here and in line 5; the last one counts\n"},
        {"[Guest a]\nMin=1GiB\nMin=\n[Guest a]\nMin=2GiB\n",
         "W:3: Min= is set here and in line 2; the last one counts\n"},
        {"Floor=10%\n", "W:1: Floor= belongs in [Guard], ignored here\n"},
        {"Colour=blue\n", "W:1: Colour= stands outside of any section, ignored\n"},
        {"[Daemon]\nColour=blue\n", "W:2: no setting of [Daemon] is called Colour=, ignored\n"},
        {"[Guard]\nStale=2s\n", "W:0: Stale=2s isn't longer than the time between two stats (2s): guests "
                                "will often count as stale\n"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Found found;
        Config *c;

        ck_assert_int_eq(load(rows[i].text, &found, &c), 0);
        ck_assert_str_eq(found.text, rows[i].messages);
        ck_assert_int_eq(c->mode, GUEST_MODE_OBSERVE);
        config_free(c);
    }
}
END_TEST

START_TEST(test_limits)
{
    static char text[CONFIG_FILE_MAX + 2];
    char line[1024];
    Found found;
    Config *c;
    size_t n;

    /* size */
    memset(text, '\n', CONFIG_FILE_MAX);
    config_free(load_good(text));
    text[CONFIG_FILE_MAX] = '\n';
    ck_assert_int_eq(load(text, &found, &c), -EINVAL);
    ck_assert_str_eq(found.text, "E:0: larger than 65536 bytes\n");

    /* a long line: reported with its number, and the numbers of those after it are right */
    memset(line, 'x', sizeof(line));
    memcpy(line, "[Daemon]\nConnect=", 17);
    strcpy(line + sizeof(line) - 12, "\nMode=off\n");
    ck_assert_int_eq(load(line, &found, &c), -EINVAL);
    ck_assert_ptr_nonnull(strstr(found.text, "E:2: longer than "));
    ck_assert_ptr_nonnull(strstr(found.text, "E:3: Mode=off is not valid"));

    /* no text */
    ck_assert_int_eq(load_bytes("[Daemon]\nMode=auto\0\n", 20, &found, &c), -EINVAL);
    ck_assert_str_eq(found.text, "E:0: not a text file\n");

    /* guests */
    n = 0;
    for (unsigned i = 0; i < CONFIG_PATTERNS_MAX; i++)
        n += (size_t) sprintf(text + n, "[Guest %u]\nMode=off\n", i);
    config_free(load_good(text));
    sprintf(text + n, "[Guest one-more]\nMode=off\n[Daemon]\nMode=auto\n");
    ck_assert_int_eq(load(text, &found, &c), -EINVAL);
    ck_assert_str_eq(found.text, "E:129: more than 64 sections [Guest PATTERN]\n");
}
END_TEST

START_TEST(test_not_there)
{
    Config *c = NULL;

    ck_assert_int_eq(config_load("/nonexistent/ballastd.conf", NULL, NULL, &c), -ENOENT);
    ck_assert_int_eq(config_load("/", NULL, NULL, &c), -EISDIR);
    ck_assert_int_eq(config_load("/dev/zero", NULL, NULL, &c), -EINVAL);
    ck_assert_ptr_null(c);
}
END_TEST

/* The sample shows the default of each setting: it changes nothing as shipped, nor with every leading #
 * removed. */
START_TEST(test_sample)
{
    _cleanup_free_ char *sample = NULL;
    size_t size;
    FILE *f = open_memstream(&sample, &size);
    unsigned settings = 0;
    Config *c;

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(config_write_sample(f), 0);
    fclose(f);
    c = load_good(sample);
    assert_defaults(c);
    config_free(c);

    for (char *line = sample; *line; line = strchr(line, '\n') + 1) {
        ck_assert_uint_le(strcspn(line, "\n"), 100);
        if (line[0] == '#' && line[1] != ' ') {
            line[0] = ' ';
            settings++;
        }
    }
    c = load_good(sample);
    assert_defaults(c);
    config_free(c);
    settings--; /* [Guest *] */
#define SETTING(...)       settings--;
#define GUEST_SETTING(...) settings--;
#include "host-agent/config/config.def"
#undef GUEST_SETTING
#undef SETTING
    ck_assert_uint_eq(settings, 0);
}
END_TEST

START_TEST(test_man)
{
    _cleanup_free_ char *man = NULL;
    size_t size;
    FILE *f = open_memstream(&man, &size);

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(config_write_man(f), 0);
    fclose(f);
#define SETTING(section, key, ...)                           \
    ck_assert_ptr_nonnull(strstr(man, ".It Li " key "=\n")); \
    ck_assert_ptr_nonnull(strstr(man, ".Ss [" section "]\\&\n"));
#define GUEST_SETTING(key, ...) \
    ck_assert_ptr_nonnull(strstr(strstr(man, ".Ss [Guest PATTERN]\\&\n"), ".It Li " key "=\n"));
#include "host-agent/config/config.def"
#undef GUEST_SETTING
#undef SETTING
}
END_TEST

START_TEST(test_write_fails)
{
    FILE *f = fopen("/dev/full", "we");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(config_write_sample(f), -EIO);
    fclose(f);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("config");

    tcase_add_test(t, test_defaults);
    tcase_add_test(t, test_every_setting);
    tcase_add_test(t, test_reserve);
    tcase_add_test(t, test_scope);
    tcase_add_test(t, test_guests);
    tcase_add_test(t, test_errors);
    tcase_add_test(t, test_c7_a_size_needs_a_unit);
    tcase_add_test(t, test_c7_brackets_of_a_pattern);
    tcase_add_test(t, test_lines);
    tcase_add_test(t, test_warnings);
    tcase_add_test(t, test_limits);
    tcase_add_test(t, test_not_there);
    tcase_add_test(t, test_sample);
    tcase_add_test(t, test_man);
    tcase_add_test(t, test_write_fails);
    return run_tests(t);
}
