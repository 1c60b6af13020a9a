/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The running policy, as a dictionary. */

#include <string.h>

#include "host-agent/show/describe.h"

/* "balloon.policy:41:5: web1: …". The plan knows guests only by their places, which are valid until guests
 * come or go. */
static void put_message(Dict *d, const Manager *m, unsigned file, const char *place, size_t guest,
                        const char *text)
{
    bool named = !m->guests.changed && guest < m->guests.n;
    char line[DICT_TEXT_MAX];

    snprintf(line, sizeof(line), "%s:%s: %s%s%s", policy_file(m->policy.policy, file).name, place,
             named ? m->guests.entries[guest].guest->info.name : "", named ? ": " : "", text);
    dict_item(d, line);
}

static void describe_notes(Dict *d, const Manager *m)
{
    char place[32];

    dict_list_open(d, "notes", "as");
    for (size_t i = 0; i < m->cycle.plan.n_notes; i++) {
        const PolicyNote *n = &m->cycle.plan.notes[i];

        snprintf(place, sizeof(place), "%u:%u", n->line, n->column);
        put_message(d, m, n->file, place, n->guest, n->text);
    }
    dict_list_close(d);
    dict_count(d, "notes_total", m->cycle.plan.notes_total);
}

static void describe_logs(Dict *d, const Manager *m)
{
    char place[32];

    dict_list_open(d, "logs", "as");
    for (size_t i = 0; i < m->cycle.plan.n_logs; i++) {
        const PolicyLog *l = &m->cycle.plan.logs[i];

        snprintf(place, sizeof(place), "%u", l->line);
        put_message(d, m, l->file, place, l->guest, l->text);
    }
    dict_list_close(d);
    dict_count(d, "logs_total", m->cycle.plan.logs_total);
}

static void describe_origin(Dict *d, const Manager *m)
{
    char text[DICT_TEXT_MAX] = "";

    for (size_t i = 0; i < policy_n_files(m->policy.policy); i++) {
        size_t fill = strlen(text);

        snprintf(text + fill, sizeof(text) - fill, "%s%s", i > 0 ? ", " : "",
                 policy_file(m->policy.policy, i).origin);
    }
    dict_text(d, "file", text);
    dict_text(d, "origin", m->policy.origin);
    if (m->cycle.plan.policy_error < 0)
        dict_text(d, "error",
                  m->cycle.plan.policy_error == -ECANCELED ? "none of its files could be evaluated"
                                                           : strerror(-m->cycle.plan.policy_error));
}

/* Of the files that were read; a policy that was loaded over D-Bus has none. */
static bool any_changed(const FileMarks *marks)
{
    for (size_t i = 0; i < POLICY_FILES_MAX; i++)
        if (file_mark_changed(&marks->policies[i]))
            return true;
    return false;
}

void describe_policy(Dict *d, const Manager *m)
{
    describe_origin(d, m);
    dict_bool(d, "changed", any_changed(&m->marks));
    describe_notes(d, m);
}

/* "g.target", "host.ksm_run" */
static void describe_controls(Dict *d, const PolicyFile *file)
{
    char name[DESCRIBE_KEY_MAX];

    dict_list_open(d, "controls", "as");
    FOREACH_FIELD(f, &file->guest_controls) {
        snprintf(name, sizeof(name), "g.%s", guest_field_info((GuestField) f)->name);
        dict_item(d, name);
    }
    FOREACH_FIELD(f, &file->host_controls) {
        snprintf(name, sizeof(name), "host.%s", host_field_info((HostField) f)->name);
        dict_item(d, name);
    }
    dict_list_close(d);
}

void describe_policy_files(Dict *d, const Manager *m, usec_t now_usec)
{
    describe_origin(d, m);
    dict_age(d, "age_usec", m->policy.usec, now_usec);
    dict_list_open(d, "files", "aa{sv}");
    for (size_t i = 0; i < policy_n_files(m->policy.policy); i++) {
        PolicyFile file = policy_file(m->policy.policy, i);

        dict_begin(d);
        dict_text(d, "name", file.name);
        dict_text(d, "file", file.origin);
        describe_controls(d, &file);
        dict_long_text(d, "text", file.text);
        dict_end(d);
    }
    dict_list_close(d);
    describe_notes(d, m);
    describe_logs(d, m);
}
