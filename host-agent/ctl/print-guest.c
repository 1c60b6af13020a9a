/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints what counts of one guest, on one screen. */

#include <inttypes.h>
#include <string.h>

#include "host-agent/ctl/print.h"
#include "host-agent/decide/text.h"

#define TEXT_MAX 640U

#define SIZE_OF(guest, path) TEXT_SIZE(json_count(guest, path))
#define TIME_OF(guest, path) format_duration((char[UNITS_FORMAT_MAX]){}, json_count(guest, path))

static int put_name(const Screen *screen, json_object *guest)
{
    char buf[TEXT_MAX];
    Text t = text_init(buf, sizeof(buf));

    text_addf(&t, "%s (%s)", json_text(guest, "name") ?: "-", json_text(guest, "uuid") ?: "-");
    if (json_find(guest, "times.uptime_usec"))
        text_addf(&t, ", booted %s ago", TIME_OF(guest, "times.uptime_usec"));
    return print_line(screen, "Guest", STYLE_BOLD, buf);
}

/* The worst state comes first, and gives the style. */
static void next_state(Text *t, Style *style, Style its, const char *text)
{
    if (t->length == 0)
        *style = its;
    text_addf(t, "%s%s", t->length > 0 ? "; " : "", text);
}

static void add_distress(Text *t, json_object *guest)
{
    const char *cause = json_text(guest, "strain.cause"), *refused = json_text(guest, "grant.refused");

    if (cause)
        text_addf(t, " (%s, %s ago)", cause, TIME_OF(guest, "strain.last_distress_age_usec"));
    if (refused)
        text_addf(t, ", gets nothing of other guests: %s", refused);
}

static int put_state(const Screen *screen, json_object *guest)
{
    const char *busy = json_text(guest, "busy"), *unmovable = json_text(guest, "unmovable");
    Style style = STYLE_PLAIN;
    char buf[TEXT_MAX];
    Text t = text_init(buf, sizeof(buf));

    if (json_flag(guest, "stalled")) {
        next_state(&t, &style, STYLE_RED, "stalled: its balloon stopped before its target");
        if (json_find(guest, "balloon.retry_in_usec"))
            text_addf(&t, "; tried again in %s", TIME_OF(guest, "balloon.retry_in_usec"));
    }
    if (json_flag(guest, "distress")) {
        next_state(&t, &style, STYLE_YELLOW, "in distress");
        add_distress(&t, guest);
    }
    if (json_flag(guest, "hurting")) {
        next_state(&t, &style, STYLE_YELLOW, "hurting after a shrink");
        text_addf(&t, ", goes back to %s", SIZE_OF(guest, "strain.restore_bytes"));
    }
    if (json_flag(guest, "moving"))
        next_state(&t, &style, STYLE_CYAN, "moving");
    if (busy)
        next_state(&t, &style, STYLE_YELLOW, busy);
    if (unmovable) {
        next_state(&t, &style, STYLE_DIM, "unmovable: ");
        text_add(&t, unmovable);
    }
    if (json_flag(guest, "protected")) {
        next_state(&t, &style, STYLE_DIM, "protected, as a shrink hurt it");
        if (json_find(guest, "need.protected_for_usec"))
            text_addf(&t, ", for %s", TIME_OF(guest, "need.protected_for_usec"));
    }
    if (t.length == 0)
        text_add(&t, "steady");
    text_addf(&t, "; mode %s", json_text(guest, "mode") ?: "not known");
    return print_line(screen, "State", style, buf);
}

static int put_reason(const Screen *screen, json_object *guest)
{
    const char *reason = json_text(guest, "reason") ?: "not decided yet",
               *back = json_text(guest, "decision.reclaim.reason");
    int r;

    r = print_line(screen, "Reason", STYLE_PLAIN, reason);
    if (r >= 0 && back && json_count(guest, "reclaim_bytes") > 0 && !strstr(reason, back))
        r = print_line(screen, "Hands back", STYLE_PLAIN, back);
    return r;
}

static int put_sizes(const Screen *screen, json_object *guest)
{
    const char *why = json_text(guest, "definition.full_why");
    char buf[TEXT_MAX];
    Text t = text_init(buf, sizeof(buf));
    int r;

    text_addf(&t, "%s now, target %s, always at least %s", SIZE_OF(guest, "current_bytes"),
              SIZE_OF(guest, "target_bytes"), SIZE_OF(guest, "floor_bytes"));
    r = print_line(screen, "Size", STYLE_PLAIN, buf);
    t = text_init(buf, sizeof(buf));
    text_addf(&t, "%s%s%s", SIZE_OF(guest, "full_bytes"), why ? ": " : "", why ?: "");
    return r < 0 ? r : print_line(screen, "Full size", STYLE_PLAIN, buf);
}

/* What the host holds for it. */
static int put_held(const Screen *screen, json_object *guest)
{
    char buf[TEXT_MAX];
    Text t = text_init(buf, sizeof(buf));

    if (!json_find(guest, "resident_bytes"))
        return print_line(screen, "Resident", STYLE_PLAIN, "not known");
    text_addf(&t, "%s of the host's memory", SIZE_OF(guest, "resident_bytes"));
    if (json_find(guest, "idle_bytes"))
        text_addf(&t, ", %s of it idle", SIZE_OF(guest, "idle_bytes"));
    if (json_text(guest, "nodes"))
        text_addf(&t, ", bound to NUMA node%s %s", strpbrk(json_text(guest, "nodes"), ",-") ? "s" : "",
                  json_text(guest, "nodes"));
    if (json_count(guest, "held.swapped_bytes") > 0)
        text_addf(&t, ", %s of it swapped out by the host", SIZE_OF(guest, "held.swapped_bytes"));
    return print_line(screen, "Resident", STYLE_PLAIN, buf);
}

/* What the guest says of its own memory. */
static int put_memory(const Screen *screen, json_object *guest)
{
    char buf[TEXT_MAX];
    Text t = text_init(buf, sizeof(buf));

    if (!json_find(guest, "available_bytes"))
        return 0;
    text_addf(&t, "%s available", SIZE_OF(guest, "available_bytes"));
    if (json_find(guest, "free_bytes"))
        text_addf(&t, ", %s free", SIZE_OF(guest, "free_bytes"));
    if (json_find(guest, "cache_bytes"))
        text_addf(&t, ", %s page cache", SIZE_OF(guest, "cache_bytes"));
    if (json_find(guest, "cold_bytes"))
        text_addf(&t, " (%s cold)", SIZE_OF(guest, "cold_bytes"));
    return print_line(screen, "Memory", STYLE_PLAIN, buf);
}

static int put_swap(const Screen *screen, json_object *guest)
{
    json_object *total = json_find(guest, "stats.swap_total_bytes");
    char buf[TEXT_MAX];
    Text t = text_init(buf, sizeof(buf));

    bool in_memory = json_count(guest, "stats.swap_memory_bytes") > 0,
         none = total && json_object_get_uint64(total) == 0;

    if (none)
        text_add(&t, "none");
    else if (total)
        text_addf(&t, "%s, %s used", SIZE_OF(guest, "stats.swap_total_bytes"),
                  SIZE_OF(guest, "stats.swap_used_bytes"));
    if (in_memory)
        text_addf(&t, "%s on disks, and %s in its memory (zram)", none ? "" : ",",
                  SIZE_OF(guest, "stats.swap_memory_bytes"));
    if (json_find(guest, "rates.swap_in_bytes_per_sec") && (!none || in_memory))
        text_addf(&t, "%sin %s/s, out %s/s over the last 10 s", t.length > 0 ? "; " : "",
                  SIZE_OF(guest, "rates.swap_in_bytes_per_sec"),
                  SIZE_OF(guest, "rates.swap_out_bytes_per_sec"));
    return t.length > 0 ? print_line(screen, "Swap", STYLE_PLAIN, buf) : 0;
}

static int put_psi(const Screen *screen, json_object *guest)
{
    char buf[TEXT_MAX];
    Text t = text_init(buf, sizeof(buf));

    if (!json_find(guest, "stats.psi_memory_some"))
        return 0;
    text_addf(&t, "tasks waited for memory in %s of the last 10 s",
              TEXT_RATIO(json_real(guest, "stats.psi_memory_some")));
    if (json_find(guest, "stats.psi_io_some"))
        text_addf(&t, ", for I/O in %s", TEXT_RATIO(json_real(guest, "stats.psi_io_some")));
    return print_line(screen, "PSI", STYLE_PLAIN, buf);
}

/* Where the stats come from; and why not from an agent. */
static int put_source(const Screen *screen, json_object *guest)
{
    const char *source = json_text(guest, "source") ?: "none", *version = json_text(guest, "agent_version");
    bool agent = strcmp(source, "agent") == 0, none = strcmp(source, "none") == 0;
    char buf[TEXT_MAX];
    Text t = text_init(buf, sizeof(buf));

    text_add(&t, agent ? "from its agent" : none ? "none" : "from libvirt (its balloon driver)");
    if (agent && version)
        text_addf(&t, ", ballast-guestd %s", version);
    if (json_find(guest, "age_usec"))
        text_addf(&t, ", %s old", TIME_OF(guest, "age_usec"));
    if (!agent)
        text_addf(&t, "; %s",
                  !json_flag(guest, "definition.channel") ? "its definition has no channel for an agent"
                  : !json_flag(guest, "channel.open")     ? "its agent's channel is not open"
                  : !json_flag(guest, "channel.welcomed") ? "no agent answers on its channel"
                                                          : "its agent sends no reports");
    return print_line(screen, "Stats", agent ? STYLE_PLAIN : STYLE_YELLOW, buf);
}

/* "Reclaim: 4 times, 49.9 MiB in all, 191.4ms of its CPU, 0.0% read back; last 13.1ms ago: done" */
static int put_lever(const Screen *screen, json_object *guest, const char *name, const char *label)
{
    char buf[TEXT_MAX], path[32];
    json_object *lever;
    Text t = text_init(buf, sizeof(buf));
    uint64_t times;

    snprintf(path, sizeof(path), "levers.%s", name);
    lever = json_find(guest, path);
    times = json_count(lever, "times");
    if (!json_flag(lever, "asking") && times == 0)
        return 0;
    if (times > 0)
        text_addf(&t, "%" PRIu64 " time%s, %s in all", times, times == 1 ? "" : "s",
                  SIZE_OF(lever, "got_bytes"));
    if (json_count(lever, "cpu_usec") > 0)
        text_addf(&t, ", %s of its CPU", TIME_OF(lever, "cpu_usec"));
    if (times > 0 && json_find(lever, "read_back_share"))
        text_addf(&t, ", %s read back", TEXT_RATIO(json_real(lever, "read_back_share")));
    if (json_flag(lever, "asking")) {
        text_addf(&t, "%sat work for %s", t.length > 0 ? "; " : "", TIME_OF(lever, "asked_age_usec"));
        if (json_find(lever, "asked_bytes"))
            text_addf(&t, ", for %s", SIZE_OF(lever, "asked_bytes"));
    } else if (json_find(lever, "answered_age_usec")) {
        text_addf(&t, "; last %s ago", TIME_OF(lever, "answered_age_usec"));
        if (json_text(lever, "end"))
            text_addf(&t, ": %s", json_text(lever, "error") ?: json_text(lever, "end"));
    }
    if (json_find(lever, "retry_in_usec"))
        text_addf(&t, "; again in %s at the earliest", TIME_OF(lever, "retry_in_usec"));
    return print_line(screen, label, json_flag(lever, "asking") ? STYLE_CYAN : STYLE_PLAIN, buf);
}

/* How the host gets memory back, and what each way did last. */
static int put_levers(const Screen *screen, json_object *guest)
{
    static const struct {
        const char *name, *label;
    } levers[] = {{"compact", "Compact"}, {"reclaim", "Reclaim"}, {"squeeze", "Squeeze"}};
    const char *missing = json_text(guest, "channel.levers_missing"),
               *waiting = json_text(guest, "levers.waiting");
    char buf[TEXT_MAX];
    Text t = text_init(buf, sizeof(buf));
    int r;

    text_add(&t, json_text(guest, "lever") ?: "none");
    if (missing)
        text_addf(&t, "; what its agent lacks: %s", missing);
    if (waiting)
        text_addf(&t, "; waits: %s", waiting);
    r = print_line(screen, "Lever", STYLE_PLAIN, buf);
    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(levers); i++)
        r = put_lever(screen, guest, levers[i].name, levers[i].label);
    return r;
}

static int put_balloon(const Screen *screen, json_object *guest)
{
    uint64_t moves = json_count(guest, "balloon.moves"), stalls = json_count(guest, "balloon.stalls");
    char buf[TEXT_MAX];
    Text t = text_init(buf, sizeof(buf));

    if (moves == 0)
        return 0;
    text_addf(&t, "%" PRIu64 " move%s", moves, moves == 1 ? "" : "s");
    if (stalls > 0)
        text_addf(&t, ", %" PRIu64 " stalled", stalls);
    if (json_find(guest, "balloon.sent_age_usec"))
        text_addf(&t, "; the last began %s ago", TIME_OF(guest, "balloon.sent_age_usec"));
    if (json_find(guest, "balloon.from_bytes"))
        text_addf(&t, " at %s", SIZE_OF(guest, "balloon.from_bytes"));
    return print_line(screen, "Balloon", STYLE_PLAIN, buf);
}

/* What was set for it. Its sizes that are in force are above. */
static int put_entitlement(const Screen *screen, json_object *guest)
{
    static const char *const names[] = {"min", "full", "max", "shares", "mode"};
    const char *problem = json_text(guest, "entitlement.problem");
    char buf[TEXT_MAX], path[64];
    Text t = text_init(buf, sizeof(buf));
    int r = 0;

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        const char *origin;

        snprintf(path, sizeof(path), "entitlement.%s_origin", names[i]);
        origin = json_text(guest, path);
        if (!origin || strcmp(origin, "default") == 0)
            continue;
        text_addf(&t, "%s%s", t.length > 0 ? ", " : "", names[i]);
        if (strcmp(names[i], "max") == 0)
            text_addf(&t, " %s", SIZE_OF(guest, "entitlement.max_set_bytes"));
        else if (strcmp(names[i], "shares") == 0)
            text_addf(&t, " %" PRIu64, json_count(guest, "entitlement.shares_set"));
        text_addf(&t, " (%s)", origin);
    }
    if (t.length > 0)
        r = print_line(screen, "Set", STYLE_PLAIN, buf);
    if (r >= 0 && problem)
        r = print_line(screen, "Problem", STYLE_RED, problem);
    return r;
}

int print_guest(const Screen *screen, json_object *guest)
{
    static int (*const parts[])(const Screen *, json_object *) = {
        put_name, put_state, put_reason, put_sizes,  put_held,    put_memory,
        put_swap, put_psi,   put_source, put_levers, put_balloon, put_entitlement,
    };
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(parts); i++)
        r = parts[i](screen, guest);
    return r;
}
