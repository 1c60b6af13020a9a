/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The texts of an evaluation: why a turn was undone, the lines of log(), the values that an assignment
 * read. */

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/units.h"
#include "base/utf8.h"
#include "policy/machine.h"

/* ---- notes ---- */

/* A text is a number: first the program's own texts, then those of the guests. */
const char *tell_text(const Machine *m, double value)
{
    uint64_t number = (uint64_t) value;

    if (number < m->program->texts.n)
        return m->program->texts.list[number];
    number -= m->program->texts.n;
    return m->input->guests[number / GUEST_TEXTS_MAX].fields->text[number % GUEST_TEXTS_MAX];
}

static const char *field_label(const Instruction *i)
{
    bool host = i->op == OP_HOST || i->op == OP_HOST_CONTROL || i->op == OP_ASSIGN_HOST;

    return host ? host_field_info((HostField) i->field)->name : guest_field_info((GuestField) i->field)->name;
}

static void describe_missing(const Program *p, const Instruction *i, char *ret)
{
    static const char *const windows[] = {
        [SERIES_AVG] = "avg", [SERIES_MIN] = "min", [SERIES_MAX] = "max", [SERIES_RATE] = "rate"};
    const Window *w;
    char buf[UNITS_FORMAT_MAX];

    switch ((Operation) i->op) {
    case OP_AGGREGATE:
        (void) snprintf(ret, POLICY_NOTE_MAX, "there are no guests to compare");
        return;
    case OP_WINDOW:
        w = &p->windows.list[i->arg];
        (void) snprintf(ret, POLICY_NOTE_MAX, "%s(%s.%s, %s) is missing", windows[w->function],
                        w->host ? "host" : "g",
                        w->host ? host_field_info((HostField) w->field)->name
                                : guest_field_info((GuestField) w->field)->name,
                        format_duration(buf, (usec_t) w->usec));
        return;
    case OP_HOST:
    case OP_HOST_CONTROL:
        (void) snprintf(ret, POLICY_NOTE_MAX, "host.%s is missing", field_label(i));
        return;
    default:
        (void) snprintf(ret, POLICY_NOTE_MAX, "g.%s is missing", field_label(i));
        return;
    }
}

void tell_describe(const Machine *m, size_t guest, PolicyNote *ret)
{
    const Program *p = m->program;
    const Instruction *i = &p->code[m->failed];
    Position at = p->sites[m->failed].at;

    *ret = (PolicyNote){.guest = guest, .file = p->file, .line = at.line, .column = at.column};
    switch (m->failure) {
    case FAILURE_MISSING:
        describe_missing(p, i, ret->text);
        return;
    case FAILURE_ZERO:
        (void) snprintf(ret->text, sizeof(ret->text), "division by zero");
        return;
    case FAILURE_STEP:
        (void) snprintf(ret->text, sizeof(ret->text), "the step of round() is not above 0");
        return;
    case FAILURE_RANGE:
        (void) snprintf(ret->text, sizeof(ret->text), "the result is too large");
        return;
    case FAILURE_NEGATIVE:
        if (i->op == OP_ASSIGN_GUEST)
            (void) snprintf(ret->text, sizeof(ret->text), "a %s below 0", field_label(i));
        else
            (void) snprintf(ret->text, sizeof(ret->text), "host.%s below 0", field_label(i));
        return;
    case FAILURE_LARGE:
        if (i->op == OP_ASSIGN_GUEST)
            (void) snprintf(ret->text, sizeof(ret->text), "a %s above 8 PiB", field_label(i));
        else
            (void) snprintf(ret->text, sizeof(ret->text), "host.%s is too large", field_label(i));
        return;
    case FAILURE_NONE:
        break;
    }
    assert(false);
}

/* A failed file always gets a note, in place of one about a guest's turn if the notes are full: there are no
 * more files than notes. */
void tell_note(Machine *m, size_t guest)
{
    PolicyOutput *o = m->output;
    size_t i = o->n_notes;

    o->notes_total++;
    if (i < POLICY_NOTES_MAX)
        o->n_notes++;
    else if (guest != SIZE_MAX)
        return;
    else
        while (o->notes[--i].guest == SIZE_MAX)
            assert(i > 0);
    tell_describe(m, guest, &o->notes[i]);
}

_Static_assert(POLICY_FILES_MAX <= POLICY_NOTES_MAX, "each file that fails is told");

/* ---- logs ---- */

/* Bytes of the printable character at the start of s; 0: none. */
static size_t printable(const char *s)
{
    unsigned char c = (unsigned char) s[0], next = c ? (unsigned char) s[1] : 0;

    return c < 0x20 || c == 0x7f || (c == 0xc2 && next < 0xa0) ? 0 : utf8_length(s);
}

/* A line under construction; text that does not fit is cut off between two characters. */
typedef struct Line {
    char *text;
    size_t length;
    bool full;
} Line;

static void append(Line *l, const char *text)
{
    while (*text && !l->full) {
        size_t n = printable(text);

        if (l->length + MAX(n, 1U) >= POLICY_LOG_MAX) {
            l->full = true;
            return;
        }
        if (n > 0)
            memcpy(l->text + l->length, text, n);
        else
            l->text[l->length] = '?';
        l->length += MAX(n, 1U);
        text += MAX(n, 1U);
    }
}

static void append_value(Line *l, const Machine *m, FieldUnit unit, double v)
{
    char number[UNITS_FORMAT_MAX], buf[UNITS_FORMAT_MAX + 8];
    double outside = value_to_unit(v, unit), size = round(fabs(outside));
    const char *sign = outside < 0 && size > 0 ? "-" : "";

    switch (unit) {
    case FIELD_UNIT_TEXT:
        append(l, tell_text(m, v));
        return;
    case FIELD_UNIT_BOOLEAN:
        append(l, v != 0 ? "true" : "false");
        return;
    case FIELD_UNIT_BYTES:
    case FIELD_UNIT_RATE:
        if (size < 0x1p63)
            (void) format_size(number, (uint64_t) size);
        else
            (void) snprintf(number, sizeof(number), "%g B", size);
        (void) snprintf(buf, sizeof(buf), "%s%s%s", sign, number, unit == FIELD_UNIT_RATE ? "/s" : "");
        append(l, buf);
        return;
    case FIELD_UNIT_DURATION:
        if (size < 0x1p63)
            (void) format_duration(number, (usec_t) size);
        else
            (void) snprintf(number, sizeof(number), "%gs", size / USEC_PER_SEC);
        (void) snprintf(buf, sizeof(buf), "%s%s", sign, number);
        append(l, buf);
        return;
    case FIELD_UNIT_NUMBER:
        (void) snprintf(buf, sizeof(buf), "%g", v == 0 ? 0 : v); /* no "-0" */
        append(l, buf);
        return;
    case FIELD_UNIT_MAX:
    case FIELD_UNIT_INVALID:
        break;
    }
    assert(false);
}

void tell_log(Machine *m, const LogLine *l, unsigned line, const double *values, unsigned n)
{
    PolicyOutput *o = m->output;
    PolicyLog *log;
    Line text;

    o->logs_total++;
    if (o->n_logs >= POLICY_LOGS_MAX)
        return;
    log = &o->logs[o->n_logs++];
    *log = (PolicyLog){.guest = m->in_turn ? m->guest : SIZE_MAX, .file = m->program->file, .line = line};
    text = (Line){.text = log->text};
    append(&text, m->program->texts.list[l->text]);
    for (unsigned i = 0; i < n; i++) {
        append(&text, " ");
        append_value(&text, m, l->units[i], values[i]);
    }
}
