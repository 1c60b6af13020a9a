/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From what the daemon writes into a message to what people and programs read of it. */

#include <math.h>
#include <string.h>

#include "host-agent/ctl/json.h"
#include "host-agent/ctl/print-list.h"
#include "host-agent/ctl/print.h"
#include "host-agent/ctl/table.h"
#include "tests/unit/run.h"
#include "tests/unit/wire.h"

static void assert_json(json_object *o, const char *path, const char *want)
{
    const char *is = json_object_to_json_string_ext(json_find(o, path), JSON_C_TO_STRING_PLAIN);

    ck_assert_msg(strcmp(is, want) == 0, "%s is %s, not %s", path, is, want);
}

START_TEST(values_survive_the_way)
{
    json_object *o;
    Wire w;

    wire_open(&w);
    dict_begin(&w.dict);
    dict_text(&w.dict, "text", "web1 → \"x\"");
    dict_text(&w.dict, "no_text", NULL);
    dict_count(&w.dict, "largest", UINT64_MAX);
    dict_real(&w.dict, "ratio", 0.1);
    dict_real(&w.dict, "nan", NAN);
    dict_real(&w.dict, "infinite", INFINITY);
    dict_bool(&w.dict, "yes", true);
    dict_bytes(&w.dict, "rounded_bytes", 1023.6);
    dict_bytes(&w.dict, "below_bytes", -5);
    dict_bytes(&w.dict, "huge_bytes", 1e30);
    dict_bytes(&w.dict, "nan_bytes", NAN);
    dict_signed(&w.dict, "pending_bytes", -1048576.4);
    dict_open(&w.dict, "part");
    dict_count(&w.dict, "inner", 7);
    dict_open(&w.dict, "deeper");
    dict_close(&w.dict);
    dict_close(&w.dict);
    dict_list_open(&w.dict, "notes", "as");
    dict_item(&w.dict, "one");
    dict_item(&w.dict, "two");
    dict_list_close(&w.dict);
    dict_list_open(&w.dict, "guests", "aa{sv}");
    dict_begin(&w.dict);
    dict_text(&w.dict, "name", "a");
    dict_end(&w.dict);
    dict_begin(&w.dict);
    dict_end(&w.dict);
    dict_list_close(&w.dict);
    dict_end(&w.dict);
    o = wire_read(&w);

    assert_json(o, "text", "\"web1 → \\\"x\\\"\"");
    assert_json(o, "largest", "18446744073709551615");
    assert_json(o, "ratio", "0.1");
    assert_json(o, "yes", "true");
    assert_json(o, "rounded_bytes", "1024");
    assert_json(o, "below_bytes", "0");
    assert_json(o, "huge_bytes", "18446744073709551615");
    assert_json(o, "pending_bytes", "-1048576");
    assert_json(o, "part", "{\"inner\":7,\"deeper\":{}}");
    assert_json(o, "part.inner", "7");
    assert_json(o, "notes", "[\"one\",\"two\"]");
    assert_json(o, "guests", "[{\"name\":\"a\"},{}]");
    ck_assert(!json_object_object_get_ex(o, "no_text", NULL));
    ck_assert(!json_object_object_get_ex(o, "nan", NULL));
    ck_assert(!json_object_object_get_ex(o, "infinite", NULL));
    ck_assert(!json_object_object_get_ex(o, "nan_bytes", NULL));
    ck_assert_ptr_null(json_find(o, "part.inner.more"));
    ck_assert_ptr_null(json_text(o, "part"));
    ck_assert_uint_eq(json_count(o, "missing"), 0);
    json_object_put(o);
}
END_TEST

/* A guest's name can be cut in the middle of a character, and a policy may hold anything: neither may spoil
 * the answer about all the others. */
static const struct {
    const char *text, *want;
} utf8[] = {
    {"", ""},
    {"plain", "plain"},
    {"\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80", "\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80"},
    {"cut \xE2\x82", "cut ??"},
    {"\xFF\xFE", "??"},
    {"\xC0\xAF", "??"},           /* overlong */
    {"\xE0\x80\xAF", "???"},      /* overlong */
    {"\xED\xA0\x80", "???"},      /* surrogate */
    {"\xF4\x90\x80\x80", "????"}, /* above the last */
    {"a\x80z", "a?z"},
};

START_TEST(only_utf8_goes_out)
{
    char buf[64], key[] = "k";
    json_object *o;
    Wire w;

    text_make_utf8(buf, sizeof(buf), utf8[_i].text);
    ck_assert_str_eq(buf, utf8[_i].want);

    wire_open(&w);
    dict_begin(&w.dict);
    dict_text(&w.dict, key, utf8[_i].text);
    dict_end(&w.dict);
    o = wire_read(&w);
    ck_assert_str_eq(json_text(o, key), utf8[_i].want);
    json_object_put(o);
}
END_TEST

START_TEST(utf8_is_cut_between_characters)
{
    char buf[6];

    ck_assert_str_eq(text_make_utf8(buf, sizeof(buf), "abc€x"),
                     "abc"); /* 3 + 3 bytes and the NUL don't fit */
    ck_assert_str_eq(text_make_utf8(buf, sizeof(buf), "ab€xyz"), "ab€");
    ck_assert_str_eq(text_make_utf8(buf, 1, "abc"), "");
}
END_TEST

START_TEST(the_first_failure_sticks)
{
    Wire w;

    wire_open(&w);
    dict_begin(&w.dict);
    dict_end(&w.dict);
    dict_end(&w.dict); /* nothing is open */
    ck_assert_int_lt(w.dict.error, 0);
    dict_count(&w.dict, "late", 1);
    ck_assert_int_lt(w.dict.error, 0);
    sd_bus_message_unref(w.message);
    sd_bus_close_unref(w.bus);
    close(w.other);
}
END_TEST

START_TEST(what_is_not_known_is_null)
{
    json_object *o = json_tokener_parse("{\"reason\": \"r\", \"extra\": 1, \"name\": \"web1\"}"), *status;
    const char *text;

    ck_assert_int_eq(json_complete_guest(&o), 0);
    text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
    ck_assert_msg(strncmp(text, "{\"name\":\"web1\",\"uuid\":null,", 27) == 0, "%s", text);
    assert_json(o, "reason", "\"r\"");
    assert_json(o, "extra", "1");
    ck_assert(json_object_object_get_ex(o, "age_usec", NULL));
    ck_assert_ptr_null(json_find(o, "age_usec"));
    ck_assert_int_eq(json_object_object_length(o), 35);
    json_object_put(o);

    status = json_tokener_parse("{\"mode\": \"auto\", \"host\": {\"total_bytes\": 5}, \"policy\": {}}");
    ck_assert_int_eq(json_complete_status(status), 0);
    assert_json(status, "host.total_bytes", "5");
    ck_assert(json_object_object_get_ex(json_find(status, "host"), "available_bytes", NULL));
    ck_assert(json_object_object_get_ex(json_find(status, "policy"), "file", NULL));
    json_object_put(status);
}
END_TEST

/* A guest's name must not move the cursor, colour the screen, ring the bell, or turn the line round. */
static const struct {
    const char *text, *want;
    size_t width;
} texts[] = {
    {"web1", "web1", 4},
    {"a\033[31mb", "a?[31mb", 7},
    {"a\nb\tc\rd\x7f", "a?b?c?d?", 8},
    {"a\xC2\x9B"
     "31mb",
     "a?31mb", 6},                /* CSI as one C1 character */
    {"x\xE2\x80\xAEy", "x?y", 3}, /* right-to-left override */
    {"\xFFz", "?z", 2},
    {"1.5 GiB → 2 GiB", "1.5 GiB → 2 GiB", 15},
    {"e\xCC\x81", "e\xCC\x81", 1}, /* combining */
    {"日本", "日本", 4},           /* wide */
};

START_TEST(texts_are_harmless_and_measured)
{
    char *clean;

    text_set_locale();
    clean = text_clean(texts[_i].text);
    ck_assert_str_eq(clean, texts[_i].want);
    ck_assert_uint_eq(text_width(clean), texts[_i].width);
    free(clean);
}
END_TEST

static const struct {
    const char *text;
    size_t columns;
    const char *want;
} cuts[] = {
    {"nothing to do", 13, "nothing to do"},
    {"nothing to do", 12, "nothing to…"},
    {"nothing to do", 8, "nothing…"},
    {"nothing to do", 9, "nothing…"}, /* no space before the ellipsis */
    {"日本語", 5, "日本…"},
    {"日本語", 4, "日…"},                     /* half a character doesn't fit */
    {"gives free memory", 16, "gives free…"}, /* no half words */
    {"gives free memory", 11, "gives free…"}, /* the blank is where it must end */
    {"gives free memory", 10, "gives…"},
    {"gives free memory", 5, "give…"}, /* a word can't be avoided */
    {"日本 語", 6, "日本…"},
    {"  indented", 6, "  ind…"}, /* blanks alone say nothing */
    {"abc", 1, "…"},
};

START_TEST(long_texts_are_cut)
{
    char *s;

    text_set_locale();
    s = text_cut(strdup(cuts[_i].text), cuts[_i].columns);
    ck_assert_str_eq(s, cuts[_i].want);
    ck_assert_uint_le(text_width(s), cuts[_i].columns);
    free(s);
}
END_TEST

typedef int (*View)(const Screen *, json_object *);

static char *printed(View view, json_object *o, bool colour, unsigned width)
{
    Screen screen = {.colour = colour, .width = width};
    char *text = NULL;
    size_t size;

    text_set_locale();
    screen.file = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(screen.file);
    ck_assert_int_eq(view(&screen, o), 0);
    fclose(screen.file);
    return text;
}

START_TEST(tables_are_aligned)
{
    static const TableColumn columns[] = {{"NAME", false}, {"SIZE", true}, {"WHY", false, .cut = true}};
    /* 4 + 2 + 5 + 2 leave 10 of 23, and no column has less than 12. */
    static const char *const want = "NAME   SIZE  WHY\n"
                                    "über  1 GiB  a reason\n"
                                    "x         -  another…\n";
    Screen screen = {.width = 23};
    char *text = NULL;
    size_t size;
    Table *t;

    text_set_locale();
    screen.file = open_memstream(&text, &size);
    ck_assert_int_eq(table_new(columns, ELEMENTSOF(columns), 0, &t), 0);
    table_add(t, STYLE_PLAIN, "über");
    table_add(t, STYLE_PLAIN, "1 GiB");
    table_add(t, STYLE_PLAIN, "a reason");
    table_add(t, STYLE_RED, "x");
    table_add(t, STYLE_PLAIN, NULL);
    table_add(t, STYLE_PLAIN, "another reason");
    ck_assert_int_eq(table_print(t, &screen), 0);
    fclose(screen.file);
    table_free(t);
    ck_assert_str_eq(text, want);
    free(text);
}
END_TEST

/* A column that may be missing is, where it has nothing to say. */
START_TEST(empty_columns_are_left_out)
{
    static const TableColumn columns[] = {
        {"NAME", false}, {"SIZE", true, .optional = true}, {"WHY", false, .cut = true}};
    static const struct {
        const char *size, *want;
    } table[] = {
        {NULL, "NAME  WHY\nx     a reason\ny     another reason\n"},
        {"1 GiB", "NAME   SIZE  WHY\nx     1 GiB  a reason\ny         -  another…\n"},
    };

    text_set_locale();
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        Screen screen = {.width = i == 0 ? 20 : 23};
        char *text = NULL;
        size_t size;
        Table *t;

        screen.file = open_memstream(&text, &size);
        ck_assert_int_eq(table_new(columns, ELEMENTSOF(columns), 0, &t), 0);
        table_add(t, STYLE_PLAIN, "x");
        table_add(t, STYLE_PLAIN, table[i].size);
        table_add(t, STYLE_PLAIN, "a reason");
        table_add(t, STYLE_PLAIN, "y");
        table_add(t, STYLE_PLAIN, NULL);
        table_add(t, STYLE_PLAIN, "another reason");
        ck_assert_int_eq(table_print(t, &screen), 0);
        fclose(screen.file);
        table_free(t);
        ck_assert_str_eq(text, table[i].want);
        free(text);
    }
}
END_TEST

static json_object *some_guests(void)
{
    json_object *o = json_tokener_parse(
        "[{\"name\": \"zoo\", \"mode\": \"auto\", \"source\": \"agent\", \"age_usec\": 1500000,"
        "  \"full_bytes\": 4294967296, \"current_bytes\": 2147483648, \"target_bytes\": 1073741824,"
        "  \"free_bytes\": 536870912, \"available_bytes\": 1073741824, \"cache_bytes\": 268435456,"
        "  \"moving\": true, \"stalled\": false, \"distress\": false,"
        "  \"reason\": \"gives free memory (balloon.policy:41)\"},"
        " {\"name\": \"ape\\u001b[2J\", \"mode\": \"observe\", \"source\": \"none\", \"age_usec\": null,"
        "  \"full_bytes\": 1048576, \"moving\": true, \"stalled\": true, \"reason\": null}]");

    ck_assert_ptr_nonnull(o);
    return o;
}

static ListView usual_view(bool wide)
{
    ListView v = {.wide = wide, .chosen = wide};

    list_choose(&v);
    return v;
}

static int print_usual(const Screen *screen, json_object *guests)
{
    ListView v = usual_view(false);

    return print_list(screen, guests, &v);
}

static int print_wide(const Screen *screen, json_object *guests)
{
    ListView v = usual_view(true);

    return print_list(screen, guests, &v);
}

/* The worst first. */
static const struct {
    const char *json, *state;
} states[] = {
    {"{\"stalled\": true, \"distress\": true, \"hurting\": true}", "stalled"},
    {"{\"distress\": true, \"hurting\": true, \"moving\": true}", "distress"},
    {"{\"hurting\": true, \"protected\": true, \"moving\": true}", "hurting"},
    {"{\"moving\": true, \"protected\": true}", "moving"},
    {"{\"busy\": \"paused\", \"unmovable\": \"hostdev\"}", "paused"},
    {"{\"unmovable\": \"hostdev\", \"protected\": true}", "unmovable"},
    {"{\"protected\": true}", "protected"},
    {"{}", "steady"},
    {"{\"shut_off\": false}", "steady"},
    {"{\"shut_off\": true, \"unmovable\": \"hostdev\"}", "shut off"},
};

START_TEST(one_state_is_shown)
{
    json_object *o = json_object_new_array();
    char *text, want[64];

    ck_assert_int_eq(json_object_array_add(o, json_tokener_parse(states[_i].json)), 0);
    text = printed(print_wide, o, false, 0);
    snprintf(want, sizeof(want), "\n-    %s ", states[_i].state); /* and no name */
    ck_assert_msg(strstr(text, want), "'%s' isn't in:\n%s", want, text);
    free(text);
    json_object_put(o);
}
END_TEST

START_TEST(test_c10a_a_change_has_both_values)
{
    json_object *o = json_tokener_parse(
                    "{\"changed\": {\"shares\": {\"new\": 5}, \"mode\": {\"old\": \"off\"}}}"),
                *none = json_object_new_string("of another version");

    ck_assert_int_eq(json_complete_change(o), 0);
    assert_json(o, "changed.shares", "{\"new\":5,\"old\":null}");
    assert_json(o, "changed.mode", "{\"old\":\"off\",\"new\":null}");
    ck_assert_int_eq(json_complete_change(none), 0);
    json_object_put(o);
    json_object_put(none);
}
END_TEST

START_TEST(test_c11_what_is_set_for_a_domain_that_is_shut_off)
{
    json_object *guest = json_tokener_parse("{\"name\": \"web1\", \"shut_off\": true, \"entitlement\": {}}"),
                *o = NULL;
    char *text;

    ck_assert_int_eq(json_entitlement(guest, &o), 0);
    assert_json(o, "shut_off", "true");
    text = printed(print_entitlement, o, false, 0);
    ck_assert_msg(strstr(text, "     State: shut off; these values come into force when it starts\n"), "%s",
                  text);
    free(text);
    json_object_put(o);
    json_object_put(guest);
}
END_TEST

START_TEST(an_entitlement_tells_set_and_in_force)
{
    json_object *guest = json_tokener_parse(
        "{\"name\": \"web1\", \"mode\": \"observe\", \"entitlement\": {"
        " \"min_bytes\": 1073741824, \"min_set_bytes\": 1073741824, \"min_origin\": \"domain\","
        " \"full_bytes\": 2147483648, \"full_origin\": \"default\","
        " \"max_bytes\": 2147483648, \"max_origin\": \"default\","
        " \"shares\": 2000, \"shares_set\": 2000, \"shares_origin\": \"configuration\","
        " \"mode\": \"observe\", \"mode_set\": \"auto\", \"mode_origin\": \"domain\","
        " \"problem\": \"max=many\\u001b can't be\"}}");
    json_object *o = NULL;
    char *text;

    ck_assert_int_eq(json_entitlement(guest, &o), 0);
    assert_json(o, "name", "\"web1\"");
    assert_json(o, "shares_set", "2000");
    ck_assert(json_object_object_get_ex(o, "full_set_bytes", NULL)); /* known, and null */
    ck_assert_ptr_null(json_find(o, "full_set_bytes"));

    text = printed(print_entitlement, o, false, 0);
    ck_assert_str_eq(text, "VALUE        SET  FROM           IN FORCE\n"
                           "min     1.00 GiB  domain         1.00 GiB\n"
                           "full           -  default        2.00 GiB\n"
                           "max            -  default        2.00 GiB\n"
                           "shares      2000  configuration  2000\n"
                           "mode        auto  domain         observe\n"
                           "   Problem: max=many? can't be\n");
    free(text);
    json_object_put(o);
    json_object_put(guest);
}
END_TEST

START_TEST(a_list_tells_what_matters)
{
    json_object *o = some_guests();
    char *text = printed(print_usual, o, false, 0);

    ck_assert_str_eq(text,
                     "NAME    STATE    FULL CURRENT RESIDENT AVAIL REASON\n"
                     "zoo     moving  4.00G   2.00G        - 1.00G gives free memory (balloon.policy:41)\n"
                     "ape?[2J stalled 1.00M       -        -     - -\n");
    free(text);

    text = printed(print_usual, o, true, 0);
    ck_assert_ptr_nonnull(strstr(text, "\033[1;31mstalled\033[0m"));
    ck_assert_ptr_null(strstr(text, "\033[2J"));
    free(text);

    text = printed(print_wide, o, false, 0);
    for (unsigned i = 0; list_title(i); i++)
        ck_assert_msg(strstr(text, list_title(i)), "%s isn't in:\n%s", list_title(i), text);
    ck_assert_msg(strstr(text, "zoo     moving  auto    agent  1.5s "), "%s", text);
    free(text);
    json_object_put(o);
}
END_TEST

START_TEST(a_lever_is_shown_where_one_is_used)
{
    json_object *o = json_tokener_parse(
        "[{\"name\": \"a\", \"reclaim_bytes\": 314572800, \"lever\": \"reclaim\", \"lever_age_usec\": 0},"
        " {\"name\": \"b\", \"reclaim_bytes\": 0, \"lever\": \"balloon\", \"lever_age_usec\": 5000000},"
        " {\"name\": \"c\", \"lever\": \"none\"}]");
    char *text = printed(print_usual, o, false, 0);

    ck_assert_str_eq(text, "NAME STATE  FULL CURRENT RESIDENT AVAIL LEVER   REASON\n"
                           "a    steady    -       -        -     - reclaim -\n"
                           "b    steady    -       -        -     - balloon -\n"
                           "c    steady    -       -        -     - -       -\n");
    free(text);

    text = printed(print_wide, o, false, 0);
    ck_assert_msg(strstr(text, " RECLAIM LEVER   LEVER-AGE ") &&
                      strstr(text, "    300M reclaim        0s ") &&
                      strstr(text, "       - balloon        5s "),
                  "%s", text);
    free(text);

    /* A lever at work has a colour. */
    text = printed(print_usual, o, true, 0);
    ck_assert_msg(strstr(text, "\033[36mreclaim\033[0m") && !strstr(text, "mballoon"), "%s", text);
    free(text);
    json_object_put(o);
}
END_TEST

#define LONGEST_REASON \
    "keeps its size and hands back 32.1 MiB: hands back page cache (balloon.policy:261), clipped to what its balloon may take (floor)"

/* n guests with every cell as wide as it can be. */
static json_object *wide_guests(const char *name, size_t n, bool lever)
{
    json_object *guests = json_object_new_array();
    char text[1024];

    for (size_t i = 0; i < n; i++) {
        snprintf(
            text, sizeof(text),
            "{\"name\": \"%s\", \"unmovable\": \"a hostdev\", \"full_bytes\": 1072693248,"
            " \"current_bytes\": 1072693248, \"resident_bytes\": 1072693248, \"available_bytes\": 1072693248,"
            " \"lever\": \"%s\", \"reason\": \"" LONGEST_REASON "\"}",
            name, lever ? "reported" : "none");
        ck_assert_int_eq(json_object_array_add(guests, json_tokener_parse(text)), 0);
    }
    return guests;
}

/* A terminal, and what a list of the widest cells begins with. */
static const struct {
    const char *name;
    size_t n;
    bool lever;
    unsigned width;
    const char *want;
} fits[] = {
    {"web1", 1, true, 80, "web1 unmovable 1023M   1023M    1023M 1023M reported keeps its size and hands…\n"},
    {"web1", 1, false, 80,
     "web1 unmovable 1023M   1023M    1023M 1023M keeps its size and hands back 32.1…\n"},
    {"sixteen-letters1", 200, true, 80,
     "sixteen-letters1 unmovable 1023M   1023M    1023M 1023M reported keeps its size…\n"},
    {"日本語日本語日本", 1, true, 80,
     "日本語日本語日本 unmovable 1023M   1023M    1023M 1023M reported keeps its size…\n"},
    {"日本語日本語日本語日本語", 200, true, 80,
     "日本語日本語日本語… unmovable 1023M   1023M    1023M 1023M reported keeps its…\n"},
    {"a-name-of-thirty-two-characters!", 1, false, 80,
     "a-name-of-thirty-two-charac… unmovable 1023M   1023M    1023M 1023M keeps its…\n"},
    {"a-name-of-thirty-two-characters!", 200, true, 120,
     "a-name-of-thirty-two-characters! unmovable 1023M   1023M    1023M 1023M reported keeps its size and hands back 32.1…\n"},
    {"web1", 200, true, 200, "web1 unmovable 1023M   1023M    1023M 1023M reported " LONGEST_REASON "\n"},
    {"a-name-of-thirty-two-characters!", 1, true, 0,
     "a-name-of-thirty-two-characters! unmovable 1023M   1023M    1023M 1023M reported " LONGEST_REASON "\n"},
};

START_TEST(test_c3_a_list_fits_the_terminal)
{
    json_object *guests = wide_guests(fits[_i].name, fits[_i].n, fits[_i].lever);
    char *text = printed(print_usual, guests, false, fits[_i].width), *rest = text, *line;
    size_t n = 0, width;

    ck_assert_msg(strstr(text, fits[_i].want), "no '%s' in:\n%.400s", fits[_i].want, text);
    while ((line = strsep(&rest, "\n")) && line[0]) {
        width = text_width(line);
        ck_assert_msg(fits[_i].width == 0 || width <= fits[_i].width, "%zu columns: %s", width, line);
        n++;
    }
    ck_assert_uint_eq(n, fits[_i].n + 1);
    free(text);

    /* --wide cuts nothing. */
    text = printed(print_wide, guests, false, fits[_i].width);
    ck_assert(strstr(text, fits[_i].name) && strstr(text, LONGEST_REASON));
    free(text);
    json_object_put(guests);
}
END_TEST

START_TEST(test_c3_every_key_of_a_guest_has_a_column)
{
    json_object *keys = json_object_new_object(), *guests = json_object_new_array(), *guest;
    char *nothing, *text;

    ck_assert_int_eq(json_complete_guest(&keys), 0);
    ck_assert_int_eq(json_object_array_add(guests, json_object_new_object()), 0);
    nothing = printed(print_wide, guests, false, 0);
    json_object_object_foreach(keys, key, unused)
    {
        (void) unused;
        guest = json_object_new_object();
        (void) json_add(guest, key,
                        strstr(key, "_bytes") || strstr(key, "_usec") ? json_object_new_int(7)
                                                                      : json_object_new_string("x"));
        ck_assert_int_eq(json_object_array_put_idx(guests, 0, guest), 0);
        text = printed(print_wide, guests, false, 0);
        ck_assert_msg(strcmp(text, nothing) != 0, "no column for %s: host-agent/ctl/print-list.c", key);
        free(text);
    }
    free(nothing);
    json_object_put(guests);
    json_object_put(keys);
}
END_TEST

/* c has no value. */
static const struct {
    const char *sort;
    bool descending;
    const char *names;
} sorts[] = {
    {"NAME", false, "abcde"},  {"NAME", true, "edcba"},
    {"FULL", false, "baedc"}, /* 9, 10, 100 as numbers */
    {"FULL", true, "daebc"},   {"MODE", false, "bdaec"},
    {"STATE", false, "dacbe"}, {"RECLAIM", false, "dabce"},
    {"MOVING", true, "abdec"},
};

START_TEST(test_c3_a_list_is_sorted_by_any_column)
{
    json_object *o = json_tokener_parse(
        "[{\"name\": \"e\", \"full_bytes\": 10, \"mode\": \"observe\", \"moving\": false, \"reclaim_bytes\": 0},"
        " {\"name\": \"c\", \"protected\": true},"
        " {\"name\": \"a\", \"full_bytes\": 10, \"mode\": \"observe\", \"moving\": true, \"reclaim_bytes\": 7},"
        " {\"name\": \"d\", \"full_bytes\": 100, \"mode\": \"auto\", \"moving\": false, \"stalled\": true,"
        "  \"reclaim_bytes\": 5},"
        " {\"name\": \"b\", \"full_bytes\": 9, \"mode\": \"auto\", \"moving\": false, \"reclaim_bytes\": 0}]");
    ListView v = usual_view(false);
    const char *unmatched;
    char names[8] = "";

    v.descending = sorts[_i].descending;
    while (strcmp(list_title(v.sort), sorts[_i].sort) != 0)
        v.sort++;
    ck_assert_int_eq(list_select(&o, &v, NULL, 0, &unmatched), 0);
    for (size_t i = 0; i < json_object_array_length(o); i++)
        names[i] = json_text(json_object_array_get_idx(o, i), "name")[0];
    ck_assert_str_eq(names, sorts[_i].names);
    json_object_put(o);
}
END_TEST

static const struct {
    const char *patterns[3];
    const char *names, *unmatched;
} selections[] = {
    {{}, "db1 web1 web2 ", NULL},
    {{"web*"}, "web1 web2 ", NULL},
    {{"*1", "web1"}, "db1 web1 ", NULL},
    {{"web?", "d[ab]*"}, "db1 web1 web2 ", NULL},
    {{"AA95eb03-f6a4-8304-79aa-97f2502e193f"}, "db1 ", NULL},
    {{"web"}, "", "web"},
    {{"aa95"}, "", "aa95"},
    {{"web*", "mail*", "x"}, "web1 web2 ", "mail*"},
    {{""}, "", ""},
};

START_TEST(test_c3_patterns_choose_guests)
{
    json_object *o = json_tokener_parse(
        "[{\"name\": \"web2\"}, {\"name\": \"db1\", \"uuid\": \"aa95eb03-f6a4-8304-79aa-97f2502e193f\"},"
        " {\"name\": \"web1\"}]");
    char *const *patterns = (char *const *) selections[_i].patterns;
    ListView v = usual_view(false);
    const char *unmatched;
    char names[64] = "";
    int n = 0;

    while (n < 3 && patterns[n])
        n++;
    ck_assert_int_eq(list_select(&o, &v, patterns, n, &unmatched), 0);
    for (size_t i = 0; i < json_object_array_length(o); i++)
        strcat(strcat(names, json_text(json_object_array_get_idx(o, i), "name")), " ");
    ck_assert_str_eq(names, selections[_i].names);
    ck_assert_pstr_eq(unmatched, selections[_i].unmatched);
    json_object_put(o);
}
END_TEST

/* A guest that has used each lever but its balloon, with what ballast-guestd reports. */
static const char some_guest[] =
    "{\"name\": \"fpr\", \"uuid\": \"6695eb01-f6a4-8304-79aa-97f2502e193f\", \"mode\": \"auto\", \"source\": \"agent\","
    " \"age_usec\": 404500, \"maximum_bytes\": 1073741824, \"full_bytes\": 536870912, \"current_bytes\": 528482304,"
    " \"target_bytes\": 520093696, \"floor_bytes\": 134217728, \"reclaim_bytes\": 93428122,"
    " \"available_bytes\": 448790528, \"free_bytes\": 233832448, \"cache_bytes\": 177209344, \"resident_bytes\": 416284672,"
    " \"idle_bytes\": 76650906, \"cold_bytes\": 141557760, \"lever\": \"reclaim\", \"lever_age_usec\": 0,"
    " \"agent_version\": \"0.1.0\", \"busy\": null, \"unmovable\": null, \"distress\": false, \"hurting\": false,"
    " \"protected\": false, \"moving\": false, \"stalled\": false, \"rule\": \"none\","
    " \"reason\": \"keeps its size and hands back 89.1 MiB: hands back page cache (balloon.policy:261)\","
    " \"definition\": {\"full_bytes\": 536870912, \"full_why\": \"currentMemory of its definition\", \"channel\": true},"
    " \"entitlement\": {\"min_bytes\": 134217728, \"min_set_bytes\": 134217728, \"min_origin\": \"domain\","
    "   \"full_origin\": \"default\", \"max_origin\": \"default\", \"shares\": 2000, \"shares_set\": 2000,"
    "   \"shares_origin\": \"configuration\", \"mode_origin\": \"default\"},"
    " \"balloon\": {\"moves\": 2, \"stalls\": 0, \"from_bytes\": 402653184, \"target_bytes\": 520093696,"
    "   \"sent_age_usec\": 300000000},"
    " \"decision\": {\"target_bytes\": 520093696, \"reclaim\": {\"reclaim_bytes\": 93428122,"
    "   \"reason\": \"hands back 89.1 MiB: hands back page cache (balloon.policy:261)\"}},"
    " \"levers\": {\"compact\": {\"times\": 1, \"asking\": false, \"got_bytes\": 130023424, \"last_got_bytes\": 130023424,"
    "     \"cpu_usec\": 450900, \"answered_age_usec\": 32400000, \"end\": \"done\"},"
    "   \"reclaim\": {\"times\": 4, \"asking\": true, \"asked_age_usec\": 8000, \"asked_bytes\": 16777216,"
    "     \"got_bytes\": 52323942, \"last_got_bytes\": 17511219, \"cpu_usec\": 191400, \"read_back_share\": 0.0,"
    "     \"answered_age_usec\": 13100, \"end\": \"done\"},"
    "   \"squeeze\": {\"times\": 0, \"asking\": false}, \"ineffective\": false},"
    " \"stats\": {\"available_bytes\": 448790528, \"swap_total_bytes\": 1073741824, \"swap_used_bytes\": 12582912,"
    "   \"psi_memory_some\": 0.001, \"psi_io_some\": 0.02},"
    " \"rates\": {\"swap_in_bytes_per_sec\": 4096.0, \"swap_out_bytes_per_sec\": 0.0},"
    " \"channel\": {\"open\": true, \"welcomed\": true, \"agent_version\": \"0.1.0\"},"
    " \"times\": {\"seen_age_usec\": 60000000, \"uptime_usec\": 93600000000}}";

START_TEST(test_c9_a_guest_fits_one_screen)
{
    json_object *o = json_tokener_parse(some_guest);
    char *text = printed(print_guest, o, false, 80), *line;
    unsigned lines = 0;

    ck_assert_str_eq(text,
                     "     Guest: fpr (6695eb01-f6a4-8304-79aa-97f2502e193f), booted 1d 2h ago\n"
                     "     State: steady; mode auto\n"
                     "    Reason: keeps its size and hands back 89.1 MiB: hands back page cache\n"
                     "            (balloon.policy:261)\n"
                     "      Size: 504 MiB now, target 496 MiB, always at least 128 MiB\n"
                     " Full size: 512 MiB: currentMemory of its definition\n"
                     "  Resident: 397 MiB of the host's memory, 73.1 MiB of it idle\n"
                     "    Memory: 428 MiB available, 223 MiB free, 169 MiB page cache (135 MiB cold)\n"
                     "      Swap: 1.00 GiB, 12.0 MiB used; in 4.00 KiB/s, out 0 B/s over the last 10 s\n"
                     "       PSI: tasks waited for memory in 0.1% of the last 10 s, for I/O in 2.0%\n"
                     "     Stats: from its agent, ballast-guestd 0.1.0, 404.5ms old\n"
                     "     Lever: reclaim\n"
                     "   Compact: 1 time, 124 MiB in all, 450.9ms of its CPU; last 32.4s ago: done\n"
                     "   Reclaim: 4 times, 49.9 MiB in all, 191.4ms of its CPU, 0.0% read back; at\n"
                     "            work for 8ms, for 16.0 MiB\n"
                     "   Balloon: 2 moves; the last began 5min ago at 384 MiB\n"
                     "       Set: min (domain), shares 2000 (configuration)\n");
    for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        ck_assert_msg(text_width(line) <= 80, "%zu columns: %s", text_width(line), line);
        lines++;
    }
    ck_assert_uint_le(lines, 24);
    free(text);

    /* The sizes of its definition are said once. */
    text = printed(print_guest, o, false, 0);
    for (size_t i = 0; i < 4; i++) {
        static const char *const sizes[] = {"512 MiB", "504 MiB", "496 MiB", "128 MiB"};
        char *first = strstr(text, sizes[i]);

        ck_assert_msg(first && !strstr(first + 1, sizes[i]), "%s: once in\n%s", sizes[i], text);
    }
    free(text);
    json_object_put(o);
}
END_TEST

/* What changes in the lines about a guest, if this is merged into it. */
static const struct {
    const char *json, *want;
} guest_lines[] = {
    {"{\"stalled\": true, \"moving\": true, \"balloon\": {\"retry_in_usec\": 30000000}}",
     "State: stalled: its balloon stopped before its target; tried again in 30s; moving; mode auto\n"},
    {"{\"distress\": true, \"strain\": {\"cause\": \"swap-in\", \"last_distress_age_usec\": 3000000}}",
     "State: in distress (swap-in, 3s ago); mode auto\n"},
    {"{\"distress\": true, \"grant\": {\"refused\": \"it used little of what it was given before\"}}",
     "State: in distress, gets nothing of other guests: it used little of what it was given before; mode auto\n"},
    {"{\"hurting\": true, \"strain\": {\"restore_bytes\": 524288000}}",
     "State: hurting after a shrink, goes back to 500 MiB; mode auto\n"},
    {"{\"busy\": \"paused\", \"protected\": true, \"need\": {\"protected_for_usec\": 25000000}}",
     "State: paused; protected, as a shrink hurt it, for 25s; mode auto\n"},
    {"{\"unmovable\": \"it has a host\\u001bdev\", \"mode\": \"observe\"}",
     "State: unmovable: it has a host?dev; mode observe\n"},
    {"{\"times\": {}}", "Guest: fpr (6695eb01-f6a4-8304-79aa-97f2502e193f)\n"},
    {"{\"reason\": \"gives free memory\"}",
     "Hands back: hands back 89.1 MiB: hands back page cache (balloon.policy:261)\n"},
    {"{\"resident_bytes\": null}", "Resident: not known\n"},
    {"{\"held\": {\"swapped_bytes\": 1048576}}",
     "73.1 MiB of it idle, 1.00 MiB of it swapped out by the host\n"},
    {"{\"stats\": {\"swap_total_bytes\": 0}}", "Swap: none\n"},
    {"{\"stats\": {\"swap_total_bytes\": 0, \"swap_memory_bytes\": 1073741824}, \"rates\": {}}",
     "Swap: none on disks, and 1.00 GiB in its memory (zram)"},
    {"{\"source\": \"libvirt\", \"definition\": {\"channel\": false}}",
     "Stats: from libvirt (its balloon driver), 404.5ms old; its definition has no channel for an agent\n"},
    {"{\"source\": \"none\", \"age_usec\": null, \"channel\": {\"open\": true}}",
     "Stats: none; no agent answers on its channel\n"},
    {"{\"channel\": {\"levers_missing\": \"no cgroup\"}, \"levers\": {\"waiting\": \"it moves\"}}",
     "Lever: reclaim; what its agent lacks: no cgroup; waits: it moves\n"},
    {"{\"levers\": {\"squeeze\": {\"times\": 2, \"got_bytes\": 1048576, \"answered_age_usec\": 1000000, \"end\": \"failed\","
     " \"error\": \"No such device\", \"retry_in_usec\": 5000000}}}",
     "Squeeze: 2 times, 1.00 MiB in all; last 1s ago: No such device; again in 5s at the earliest\n"},
    {"{\"entitlement\": {\"max_origin\": \"domain\", \"max_set_bytes\": 2147483648, \"problem\": \"bad\"}}",
     "Set: max 2.00 GiB (domain)\n   Problem: bad\n"},
};

START_TEST(test_c9_what_counts_of_a_guest)
{
    json_object *o = json_tokener_parse(some_guest), *change = json_tokener_parse(guest_lines[_i].json);
    char *text;

    ck_assert_ptr_nonnull(change);
    json_object_object_foreach(change, key, value)
    {
        ck_assert_int_eq(json_add(o, key, json_object_get(value)), 0);
    }
    text = printed(print_guest, o, false, 0);
    ck_assert_msg(strstr(text, guest_lines[_i].want), "'%s' isn't in:\n%s", guest_lines[_i].want, text);
    free(text);
    json_object_put(change);
    json_object_put(o);
}
END_TEST

/* Long lines go on below their text, at blanks. */
START_TEST(test_c13_lines_wrap_at_blanks)
{
    json_object *o =
        json_tokener_parse("{\"why\": \"one two three four five six seven eight\", \"label\": 1}");
    char *text = printed(print_status, o, false, 36), *tree = printed(print_tree, o, false, 30);

    ck_assert_msg(strstr(text, "       Now: one two three four five\n            six seven eight\n"), "%s",
                  text);
    ck_assert_str_eq(tree, "why    one two three four five\n       six seven eight\nlabel  1\n");
    free(tree);
    free(text);

    /* A word that doesn't fit is left whole; so is all text that isn't for a terminal. */
    tree = printed(print_tree, o, false, 1);
    ck_assert_str_eq(tree, "why    one two three four\n       five six seven eight\nlabel  1\n");
    free(tree);
    tree = printed(print_tree, o, false, 0);
    ck_assert_str_eq(tree, "why    one two three four five six seven eight\nlabel  1\n");
    free(tree);
    json_object_put(o);
}
END_TEST

/* A line of a tree: its label, whatever spaces, its value. */
static const struct {
    const char *json, *label, *value;
} entries[] = {
    {"{\"free_bytes\": 1572864}", "free", "1.50 MiB"},
    {"{\"pending_bytes\": -1572864}", "pending", "-1.50 MiB"},
    {"{\"huge_bytes\": 18446744073709551615}", "huge", "16.0 EiB"},
    {"{\"took_usec\": 1500}", "took", "1.5ms"},
    {"{\"sent_age_usec\": 2000000}", "sent", "2s ago"},
    {"{\"age_usec\": 2000000}", "age", "2s"},
    {"{\"swap_in_bytes_per_sec\": 1048576.0}", "swap in", "1.00 MiB/s"},
    {"{\"major_faults_per_sec\": 2.25}", "major faults", "2.2/s"},
    {"{\"psi_memory_some\": 0.125}", "psi memory some", "12.5%"},
    {"{\"psi_io_full_total_share\": 0.5}", "psi io full total", "50.0%"},
    {"{\"welcomed\": true}", "welcomed", "yes"},
    {"{\"busy\": null}", "busy", "-"},
    {"{\"count\": 18446744073709551615}", "count", "18446744073709551615"},
    {"{\"reason\": \"a\\u001bb\"}", "reason", "a?b"},
    {"{\"Guard.Step\": \"2s\"}", "Guard.Step", "2s"},
};

START_TEST(a_tree_is_for_people)
{
    json_object *o = json_tokener_parse(entries[_i].json);
    char *text = printed(print_tree, o, false, 0), want[128];

    snprintf(want, sizeof(want), "%s  %s\n", entries[_i].label, entries[_i].value);
    ck_assert_str_eq(text, want);
    free(text);
    json_object_put(o);
}
END_TEST

START_TEST(a_tree_has_headings)
{
    json_object *o =
        json_tokener_parse("{\"part\": {\"b\": 1, \"list\": [\"x\", \"y\"]}, \"empty\": {}, \"a\": true,"
                           " \"guests\": [{\"name\": \"web1\", \"n\": 2}], \"none\": []}");
    char *text = printed(print_tree, o, false, 0);

    ck_assert_str_eq(text, "a  yes\n"
                           "\npart\n"
                           "  b  1\n"
                           "  list\n"
                           "    -  x\n"
                           "    -  y\n"
                           "\nguests\n"
                           "  web1\n"
                           "    name  web1\n"
                           "    n     2\n");
    free(text);
    json_object_put(o);
}
END_TEST

START_TEST(a_status_says_why)
{
    json_object *o = json_tokener_parse(
        "{\"version\": \"0.1.0\", \"mode\": \"observe\", \"why\": \"nothing moves: mode observe\", "
        "\"guests\": 3,"
        " \"guests_agent\": 2, \"guests_none\": 1, \"uptime_usec\": 60000000,"
        " \"neighbours\": \"momd (process 12)\","
        " \"host\": {\"scope\": \"/sys/fs/cgroup/machine.slice\", \"total_bytes\": 8589934592, "
        "\"available_bytes\": 2147483648, \"reserve_bytes\": "
        "1073741824,"
        "  \"pressure\": \"moderate\", \"pressure_threshold_bytes\": 3221225472, \"critical_threshold_bytes\": "
        "1073741824,"
        "  \"relax_threshold_bytes\": 4294967296, \"psi_memory_some\": 0.032, \"pending_bytes\": -1048576, \"shortfall_bytes\": 1048576, "
        "\"swap_total_bytes\": 0, \"ksm_run\": true, \"ksm_pages_to_scan\": 400.0, \"ksm_sleep_usec\": "
        "10000, "
        "\"ksm_sharing_bytes\": 314572800},"
        " \"ksm\": {\"changed\": [\"ksm_run\", \"ksm_sleep\"], \"refused\": [\"ksm_pages_to_scan\"]},"
        " \"policy\": {\"file\": \"/p/balloon.policy\", \"notes\": [\"4:2: web1: g.psi is missing\"]},"
        " \"libvirt\": {\"uri\": \"qemu:///system\", \"connected\": false, \"why\": \"no such socket\"},"
        " \"cycle\": {\"count\": 7, \"age_usec\": 100000, \"took_usec\": 250, \"interval_usec\": 1000000}}");
    static const char *const wants[] = {
        "Mode: observe",
        "Now: nothing moves: mode observe\n",
        "Neighbours: momd (process 12)\n",
        "Scope: /sys/fs/cgroup/machine.slice\n",
        "8.00 GiB, 2.00 GiB available (25.0%)",
        "reserve of 1.00 GiB; no swap\n",
        "Thresholds: short of memory; guests give below 3.00 GiB",
        "\n       PSI: tasks waited for memory in 3.2% of the last 10 s\n",
        "guests may soon use 1.00 MiB more",
        "Shortfall: guests in distress want 1.00 MiB more",
        "KSM: on, 400 pages every 10ms; saves 300 MiB; set by the policy: ksm_run, ksm_sleep; refused by ",
        "; refused by the kernel (see the log): ksm_pages_to_scan\n",
        "Guests: 3; 2 by agent; 1 without stats\n",
        "qemu:///system, not connected: no such socket\n",
        "/p/balloon.policy\n",
        "4:2: web1: g.psi is missing\n",
        "7 so far, the last 100ms ago, took 250us; every 1s\n",
    };
    char *text = printed(print_status, o, false, 0);

    for (size_t i = 0; i < ELEMENTSOF(wants); i++)
        ck_assert_msg(strstr(text, wants[i]), "'%s' isn't in:\n%s", wants[i], text);
    ck_assert_ptr_null(strstr(text, "Pressure"));
    free(text);
    json_object_put(o);

    /* A daemon that has read nothing yet. */
    o = json_tokener_parse(
        "{\"mode\": \"auto\", \"host\": {}, \"policy\": {}, \"libvirt\": {}, \"cycle\": {}}");
    text = printed(print_status, o, false, 0);
    ck_assert_ptr_nonnull(strstr(text, "Host: its memory can't be read"));
    ck_assert_ptr_null(strstr(text, "KSM"));
    free(text);
    json_object_put(o);
}
END_TEST

/* The thresholds that the policy has. */
static const struct {
    const char *host, *want; /* NULL: no line */
} thresholds[] = {
    {"{\"total_bytes\": 1, \"pressure\": \"moderate\", \"pressure_threshold_bytes\": null}", NULL},
    {"{\"pressure\": \"none\", \"pressure_threshold_bytes\": 3221225472, \"critical_threshold_bytes\": 1073741824,"
     " \"relax_threshold_bytes\": 4294967296}",
     "Thresholds: not short of memory; guests give below 3.00 GiB available, give harder below 1.00 GiB, get back above "
     "4.00 GiB\n"},
    {"{\"pressure\": \"severe\", \"relax_threshold_bytes\": 4294967296}",
     "Thresholds: critically short of memory; guests get back above 4.00 GiB available\n"},
};

START_TEST(test_c4_a_status_has_only_the_policys_thresholds)
{
    json_object *o = json_object_new_object();
    char *text;

    ck_assert_int_eq(json_add(o, "host", json_tokener_parse(thresholds[_i].host)), 0);
    text = printed(print_status, o, false, 0);
    if (thresholds[_i].want)
        ck_assert_msg(strstr(text, thresholds[_i].want), "'%s' isn't in:\n%s", thresholds[_i].want, text);
    else
        ck_assert_msg(!strstr(text, "Thresholds") && !strstr(text, "hort of memory"), "%s", text);
    free(text);
    json_object_put(o);
}
END_TEST

/* Said only where it isn't what one would expect. */
static const struct {
    const char *scope, *trigger, *want;
} triggers[] = {
    {"system", "host", "of the last 10 s\n"},
    {"system", "none", "of the last 10 s; noticed only once a cycle"},
    {"/sys/fs/cgroup/a", "scope", "of the last 10 s\n"},
    {"/sys/fs/cgroup/a", "host", "of the last 10 s; the trigger is set on the whole host's"},
    {"/sys/fs/cgroup/a", "none", "of the last 10 s; noticed only once a cycle"},
};

/* What the host suffers, and its swap. */
static const struct {
    const char *host, *want;
} sufferings[] = {
    {"\"psi_memory_some\": 0.5, \"psi_memory_full\": 0.25",
     "PSI: tasks waited for memory in 50.0% of the last 10 s, all of them in 25.0%"},
    {"\"psi_memory_some\": 0.5, \"psi_memory_full\": 0", "in 50.0% of the last 10 s"},
    {"\"oom_kills_seen\": 1, \"oom_kill_age_usec\": 180000000",
     "OOM: the kernel killed 1 process because memory ran out, last 3min ago (see the log)\n"},
    {"\"oom_kills_seen\": 2, \"oom_kill_age_usec\": 1000000",
     "killed 2 processes because memory ran out, last 1s ago"},
    {"\"swap_total_bytes\": 0, \"swap_memory_bytes\": 1073741824",
     "; no swap on disks, and 1.00 GiB in memory (zram), which is no room\n"},
    {"\"swap_total_bytes\": 2147483648, \"swap_free_bytes\": 1073741824, \"swap_memory_bytes\": 0",
     "; swap 2.00 GiB, 1.00 GiB free\n"},
};

START_TEST(test_c_a_status_says_what_the_host_suffers)
{
    char json[512], *text;
    json_object *o;

    snprintf(json, sizeof(json),
             "{\"host\": {\"total_bytes\": 8589934592, %s}, \"policy\": {}, \"libvirt\": {}, \"cycle\": {}}",
             sufferings[_i].host);
    o = json_tokener_parse(json);
    text = printed(print_status, o, false, 0);
    ck_assert_msg(strstr(text, sufferings[_i].want), "'%s' isn't in:\n%s", sufferings[_i].want, text);
    free(text);
    json_object_put(o);
}
END_TEST

START_TEST(a12_a_status_says_whose_pressure_has_the_trigger)
{
    char json[512], *text;
    json_object *o;

    snprintf(json, sizeof(json),
             "{\"host\": {\"total_bytes\": 8589934592, \"scope\": \"%s\", \"psi_trigger\": \"%s\", "
             "\"psi_memory_some\": 0.5}, \"policy\": {}, \"libvirt\": {}, \"cycle\": {}}",
             triggers[_i].scope, triggers[_i].trigger);
    o = json_tokener_parse(json);
    text = printed(print_status, o, false, 0);
    ck_assert_msg(strstr(text, triggers[_i].want), "'%s' isn't in:\n%s", triggers[_i].want, text);
    free(text);
    json_object_put(o);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("ctl");

    tcase_add_test(t, values_survive_the_way);
    tcase_add_loop_test(t, only_utf8_goes_out, 0, ELEMENTSOF(utf8));
    tcase_add_test(t, utf8_is_cut_between_characters);
    tcase_add_test(t, the_first_failure_sticks);
    tcase_add_test(t, what_is_not_known_is_null);
    tcase_add_loop_test(t, texts_are_harmless_and_measured, 0, ELEMENTSOF(texts));
    tcase_add_loop_test(t, long_texts_are_cut, 0, ELEMENTSOF(cuts));
    tcase_add_test(t, tables_are_aligned);
    tcase_add_test(t, empty_columns_are_left_out);
    tcase_add_loop_test(t, one_state_is_shown, 0, ELEMENTSOF(states));
    tcase_add_test(t, an_entitlement_tells_set_and_in_force);
    tcase_add_test(t, test_c10a_a_change_has_both_values);
    tcase_add_test(t, test_c11_what_is_set_for_a_domain_that_is_shut_off);
    tcase_add_test(t, a_list_tells_what_matters);
    tcase_add_test(t, test_c9_a_guest_fits_one_screen);
    tcase_add_loop_test(t, test_c9_what_counts_of_a_guest, 0, ELEMENTSOF(guest_lines));
    tcase_add_test(t, test_c13_lines_wrap_at_blanks);
    tcase_add_test(t, a_lever_is_shown_where_one_is_used);
    tcase_add_loop_test(t, test_c3_a_list_fits_the_terminal, 0, ELEMENTSOF(fits));
    tcase_add_test(t, test_c3_every_key_of_a_guest_has_a_column);
    tcase_add_loop_test(t, test_c3_a_list_is_sorted_by_any_column, 0, ELEMENTSOF(sorts));
    tcase_add_loop_test(t, test_c3_patterns_choose_guests, 0, ELEMENTSOF(selections));
    tcase_add_loop_test(t, a_tree_is_for_people, 0, ELEMENTSOF(entries));
    tcase_add_test(t, a_tree_has_headings);
    tcase_add_test(t, a_status_says_why);
    tcase_add_loop_test(t, test_c4_a_status_has_only_the_policys_thresholds, 0, ELEMENTSOF(thresholds));
    tcase_add_loop_test(t, a12_a_status_says_whose_pressure_has_the_trigger, 0, ELEMENTSOF(triggers));
    tcase_add_loop_test(t, test_c_a_status_says_what_the_host_suffers, 0, ELEMENTSOF(sufferings));
    return run_tests(t);
}
