/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every listener hears a notice, in their order, and may keep a copy. */

#include "host-agent/daemon/guests.h"
#include "tests/unit/asked-transport.h"
#include "tests/unit/clock.h"
#include "tests/unit/guest-stage.h"
#include "tests/unit/run.h"

static char order[32];

typedef struct Listener {
    char letter;
    Notice last;
    unsigned n;
} Listener;

static void hear(void *userdata, const Notice *n)
{
    Listener *l = userdata;

    ck_assert_uint_lt(strlen(order) + 1, sizeof(order));
    strncat(order, &l->letter, 1);
    l->last = *n;
    l->n++;
}

static void send(const Audience *a, const char *expected)
{
    Notice n = notice_of_host(NOTICE_MODE, NULL);

    order[0] = '\0';
    audience_tell(a, &n);
    ck_assert_str_eq(order, expected);
}

/* The journal is added before the bus: its line stands before the signal. */
START_TEST(test_order)
{
    Listener journal = {.letter = 'j'}, bus = {.letter = 'b'}, third = {.letter = 't'};
    Audience a = {};

    send(&a, "");
    audience_add(&a, hear, &journal);
    send(&a, "j");
    audience_add(&a, hear, &bus);
    audience_add(&a, hear, &third);
    send(&a, "jbt");
    send(&a, "jbt");
    ck_assert_uint_eq(journal.n, 3);

    audience_remove(&a, &bus);
    send(&a, "jt");
    ck_assert_uint_eq(bus.n, 2);
    audience_remove(&a, &bus); /* it wasn't there */
    send(&a, "jt");
    audience_add(&a, hear, &bus);
    audience_add(&a, hear, &journal);
    send(&a, "jtbj");
    audience_remove(&a, &journal);
    send(&a, "tb");
}
END_TEST

START_TEST(test_all_places)
{
    Listener l = {.letter = 'x'};
    Audience a = {};

    for (unsigned i = 0; i < AUDIENCE_MAX; i++)
        audience_add(&a, hear, &l);
    send(&a, "xxxxxxxx");
    audience_remove(&a, &l);
    send(&a, "");
}
END_TEST

START_TEST(test_of_the_host)
{
    HostFields fields = {};
    Notice n;

    n = notice_of_host(NOTICE_LIBVIRT_LOST, NULL);
    ck_assert_int_eq(n.kind, NOTICE_LIBVIRT_LOST);
    ck_assert_double_eq(n.host_available_bytes, 0);
    ck_assert_str_eq(n.uuid, "");
    ck_assert_str_eq(n.text, "");
    host_fields_set(&fields, HOST_FIELD_AVAILABLE, 3.0 * GIB);
    host_fields_set(&fields, HOST_FIELD_TOTAL, 64.0 * GIB);
    n = notice_of_host(NOTICE_MODE, &fields);
    ck_assert_double_eq(n.host_available_bytes, 3.0 * GIB);
    ck_assert_double_eq(n.host_total_bytes, 64.0 * GIB);
}
END_TEST

/* Cut where they are longer, and never written past. */
START_TEST(test_texts)
{
    char text[2 * NOTICE_TEXT_MAX];
    struct {
        Notice n;
        char after[8];
    } guarded = {.after = "intact"};

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    notice_set_text(&guarded.n, text);
    ck_assert_uint_eq(strlen(guarded.n.text), NOTICE_TEXT_MAX - 1);
    ck_assert_str_eq(guarded.after, "intact");
    text[NOTICE_TEXT_MAX - 1] = '\0';
    notice_set_text(&guarded.n, text);
    ck_assert_str_eq(guarded.n.text, text);
    notice_set_text(&guarded.n, "100%s");
    ck_assert_str_eq(guarded.n.text, "100%s");
    notice_set_text(&guarded.n, NULL);
    ck_assert_str_eq(guarded.n.text, "");
}
END_TEST

/* A copy holds the longest name in full, and outlives its guest. */
START_TEST(test_kept_after_its_guest)
{
    Entitlement nothing = stage_entitlement();
    DomainInfo info = stage_domain(1, 4 * GIB);
    Listener first = {.letter = '1'}, second = {.letter = '2'};
    AskedTransport transport;
    Notice copy;
    Guests guests;
    Stage t;

    clock_usec = 1000 * SEC;
    stage_init(&t);
    asked_transport_init(&transport);
    audience_add(&t.audience, hear, &first);
    audience_add(&t.audience, hear, &second);
    memset(info.name, 'n', DOMAIN_NAME_MAX);
    guests_init(&guests, &t.host, &transport.t);
    order[0] = '\0';
    guests_add(&guests, &info, &nothing);
    ck_assert_str_eq(order, "12");
    ck_assert_int_eq(first.last.kind, NOTICE_GUEST_ADDED);
    copy = first.last;
    guests_remove(&guests, info.uuid);
    ck_assert_str_eq(order, "1212");
    ck_assert_uint_eq(guests.n, 0);
    ck_assert_int_eq(first.last.kind, NOTICE_GUEST_REMOVED);
    ck_assert_int_eq(second.last.kind, NOTICE_GUEST_REMOVED);

    ck_assert_str_eq(copy.uuid, "00000001-0000-4000-8000-000000000000");
    ck_assert_str_eq(first.last.uuid, copy.uuid);
    ck_assert_uint_eq(strlen(copy.name), DOMAIN_NAME_MAX);
    ck_assert_int_eq(copy.name[0], 'n');
    ck_assert_uint_eq(copy.full_bytes, 4 * GIB);
    ck_assert_uint_eq(copy.current_bytes, 4 * GIB);
    ck_assert_double_eq(copy.host_available_bytes, (double) (22 * GIB));

    /* It isn't there: nothing to report. */
    guests_remove(&guests, info.uuid);
    ck_assert_str_eq(order, "1212");
    guests_done(&guests);
    stage_done(&t);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("notice");

    tcase_add_test(tc, test_order);
    tcase_add_test(tc, test_all_places);
    tcase_add_test(tc, test_of_the_host);
    tcase_add_test(tc, test_texts);
    tcase_add_test(tc, test_kept_after_its_guest);
    return run_tests(tc);
}
