/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who asked for what, as it is logged. */

#include <sys/socket.h>

#include "base/log.h"
#include "host-agent/show/api.h"
#include "host-agent/show/callers.h"
#include "host-agent/show/journal.h"
#include "tests/unit/caught-log.h"
#include "tests/unit/clock.h"
#include "tests/unit/run.h"

#define SEC USEC_PER_SEC

typedef struct Scene {
    sd_event *event;
    Audience audience;
    Callers callers;
    int log;
} Scene;

static void scene_init(Scene *x)
{
    *x = (Scene){};
    clock_usec = 1000 * SEC;
    log_open(LOG_INFO);
    x->log = stderr_pipe();
    ck_assert_int_ge(sd_event_new(&x->event), 0);
    audience_add(&x->audience, journal_hear, NULL);
    callers_init(&x->callers, x->event, &x->audience);
}

static void scene_done(Scene *x)
{
    callers_done(&x->callers);
    sd_event_unref(x->event);
}

static void changed(const Scene *x, Actor by, const char *name, int error, const char *expected)
{
    Notice n = notice_of_change(&by, "min", "default", "1.00 GiB");

    snprintf(n.name, sizeof(n.name), "%s", name);
    n.error = error;
    audience_tell(&x->audience, &n);
    ck_assert_uint_eq(caught_lines(x->log, expected), 1);
}

START_TEST(test_c2_who_changed_what)
{
    Actor nobody = ACTOR_UNKNOWN;
    Scene x;

    scene_init(&x);
    changed(&x, (Actor){.uid = 0, .login_uid = 1000, .pid = 77}, "web1", 0,
            "web1: min default → 1.00 GiB, asked by root (process 77, logged in as user 1000)");
    changed(&x, (Actor){.uid = 64, .login_uid = (uid_t) -1, .pid = 78}, "", 0,
            "min default → 1.00 GiB, asked by user 64 (process 78)");
    changed(&x, (Actor){.uid = 1000, .login_uid = 1000}, "", 0, "min default → 1.00 GiB, asked by user 1000");
    changed(&x, nobody, "web1", -ETIMEDOUT,
            "web1: min default → 1.00 GiB failed: Connection timed out; asked by an unknown user");
    scene_done(&x);
}
END_TEST

static void refuse(Scene *x, uid_t uid, unsigned times)
{
    Actor by = ACTOR_UNKNOWN;

    by.uid = uid;
    for (unsigned i = 0; i < times; i++)
        callers_refuse(&x->callers, &by, "SetMode", clock_usec);
}

START_TEST(test_a13_a_user_cannot_flood_the_log)
{
    Scene x;

    scene_init(&x);
    refuse(&x, 1000, LOG_LIMIT_LINES + 41);
    ck_assert_uint_eq(caught_lines(x.log, "SetMode refused: asked by user 1000; only root"), LOG_LIMIT_LINES);
    ck_assert_ptr_nonnull(x.callers.timer);
    /* That doesn't hide what another does. */
    refuse(&x, 1001, 1);
    ck_assert_uint_eq(caught_lines(x.log, "SetMode refused: asked by user 1001"), 1);
    clock_usec += LOG_LIMIT_USEC;
    callers_tend(&x.callers, clock_usec);
    ck_assert_uint_eq(
        caught_lines(x.log, "41 more refused requests of user 1000 left out of the log in the last minute"),
        1);
    callers_tend(&x.callers, clock_usec);
    ck_assert_uint_eq(caught_lines(x.log, ""), 0);

    /* Nor do many users: those that aren't counted by themselves share one limit. */
    clock_usec += LOG_LIMIT_USEC;
    for (uid_t uid = 0; uid < 1000; uid++)
        refuse(&x, 100000 + uid, 1);
    ck_assert_uint_eq(caught_lines(x.log, "refused"), CALLERS_USERS_MAX + LOG_LIMIT_LINES);
    clock_usec += LOG_LIMIT_USEC;
    refuse(&x, 1000, 1);
    ck_assert_uint_eq(caught_lines(x.log, "979 more refused requests of other users"), 1);
    scene_done(&x);
}
END_TEST

/* A connection to a bus that never answers. */
static sd_bus *silent_bus(int *ret_other)
{
    sd_bus *bus;
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    ck_assert_int_ge(sd_bus_new(&bus), 0);
    ck_assert_int_ge(sd_bus_set_fd(bus, fds[0], fds[0]), 0);
    ck_assert_int_ge(sd_bus_start(bus), 0);
    *ret_other = fds[1];
    return bus;
}

static int on_run(sd_bus_message *message, void *userdata, const Actor *by, sd_bus_error *error)
{
    ck_abort_msg("nobody knows who sent it");
    return 0;
}

static int ask(Scene *x, sd_bus *bus, unsigned sender, const char *text)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    static uint64_t cookie;
    char name[32];
    int r;

    snprintf(name, sizeof(name), ":1.%u", sender);
    ck_assert_int_ge(sd_bus_message_new_method_call(bus, &m, BUS_NAME, BUS_PATH, BUS_MANAGER_IFC, "SetMode"),
                     0);
    ck_assert_int_ge(sd_bus_message_append(m, "s", text), 0);
    ck_assert_int_ge(sd_bus_message_set_sender(m, name), 0);
    ck_assert_int_ge(sd_bus_message_seal(m, ++cookie, 0), 0);
    r = callers_ask(&x->callers, m, on_run, NULL, &error);
    ck_assert_int_eq(r < 0, sd_bus_error_has_name(&error, BUS_ERROR_REFUSED));
    return r;
}

/* However many ask: none holds up the loop, and what they hold is bounded. */
START_TEST(test_a10_requests_wait_for_the_bus_and_are_bounded)
{
    static char large[CALLERS_BYTES_MAX];
    unsigned sender = 0;
    sd_bus *bus;
    int other;
    Scene x;

    scene_init(&x);
    bus = silent_bus(&other);
    for (unsigned all = 0; all < CALLERS_WAITING_MAX; sender++) {
        for (unsigned i = 0; i < CALLERS_OF_SENDER_MAX; i++, all++)
            ck_assert_int_eq(ask(&x, bus, sender, "auto"), 1);
        ck_assert_int_lt(ask(&x, bus, sender, "auto"), 0);
    }
    ck_assert_int_lt(ask(&x, bus, sender, "auto"), 0);

    /* The connection ends. */
    callers_drop(&x.callers);
    memset(large, 'x', sizeof(large) - 1);
    ck_assert_int_lt(ask(&x, bus, 1, large), 0);
    large[sizeof(large) / 2] = '\0';
    ck_assert_int_eq(ask(&x, bus, 1, large), 1);
    ck_assert_int_lt(ask(&x, bus, 2, large), 0);
    ck_assert_int_eq(ask(&x, bus, 2, "auto"), 1);
    scene_done(&x);
    sd_bus_close_unref(bus);
    close(other);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("callers");

    tcase_add_test(tc, test_c2_who_changed_what);
    tcase_add_test(tc, test_a13_a_user_cannot_flood_the_log);
    tcase_add_test(tc, test_a10_requests_wait_for_the_bus_and_are_bounded);
    return run_tests(tc);
}
