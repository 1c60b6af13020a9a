/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collects what is found wrong with a policy, and prints it. */

#include "policy/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_SHOWN_MAX 110U /* bytes shown of a line with an error: the part around it */

bool diagnostics_full(const Diagnostics *d)
{
    return d->n_errors >= POLICY_DIAGNOSTICS_MAX;
}

_printf_(5, 0) static void add(Diagnostics *d, bool warning, Position at, const char *hint,
                               const char *format, va_list ap)
{
    Diagnostic *e;

    if ((warning ? d->n - d->n_errors : d->n_errors) >= POLICY_DIAGNOSTICS_MAX)
        return;
    for (unsigned i = 0; i < d->n; i++)
        if (d->list[i].warning == warning && d->list[i].at.line == at.line &&
            d->list[i].at.column == at.column)
            return;

    e = &d->list[d->n++];
    d->n_errors += !warning;
    *e = (Diagnostic){.at = at, .warning = warning};
    (void) vsnprintf(e->message, sizeof(e->message), format, ap);
    if (hint)
        (void) snprintf(e->hint, sizeof(e->hint), "%s", hint);
}

void diagnostics_add(Diagnostics *d, Position at, const char *hint, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    add(d, false, at, hint, format, ap);
    va_end(ap);
}

void diagnostics_warn(Diagnostics *d, Position at, const char *hint, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    add(d, true, at, hint, format, ap);
    va_end(ap);
}

static int diagnostic_compare(const void *a, const void *b)
{
    const Diagnostic *x = a, *y = b;

    if (x->at.line != y->at.line)
        return x->at.line < y->at.line ? -1 : 1;
    return x->at.column < y->at.column ? -1 : x->at.column > y->at.column;
}

/* The line with the error, or the part of it around the error, which begins at *ret_first. Characters that a
 * terminal could misread are replaced. The caller frees it; NULL: out of memory. */
static char *copy_line(const Source *source, Position at, size_t *ret_first)
{
    char *copy;
    const char *line = source->text, *end = source->text + source->length, *eol;
    size_t first = 0, length, caret = at.column - 1;

    for (uint32_t n = 1; n < at.line; n++) {
        const char *nl = memchr(line, '\n', (size_t) (end - line));

        if (!nl)
            break;
        line = nl + 1;
    }
    eol = memchr(line, '\n', (size_t) (end - line));
    length = (size_t) ((eol ? eol : end) - line);
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (length > LINE_SHOWN_MAX && caret > LINE_SHOWN_MAX / 2)
        first = caret - LINE_SHOWN_MAX / 2;

    length = first < length ? MIN(length - first, LINE_SHOWN_MAX) : 0;
    copy = malloc(length + 1);
    if (!copy)
        return NULL;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char) line[first + i];

        copy[i] = c == '\t' ? ' ' : c < ' ' || c == 0x7f ? '?' : (char) c;
    }
    copy[length] = 0;
    *ret_first = first;
    return copy;
}

static void policy_diagnostic_done(PolicyDiagnostic *d)
{
    free(d->file);
    free(d->message);
    free(d->hint);
    free(d->source);
}

/* Adds it to the list, and prints it. */
static int render(FILE *f, const Source *source, const Diagnostic *e, PolicyDiagnostics *ret)
{
    PolicyDiagnostic *list = reallocarray(ret->list, ret->count + 1, sizeof(*list)), new;
    size_t first = 0;

    if (!list)
        return -ENOMEM;
    ret->list = list;
    new = (PolicyDiagnostic){.file = strdup(source->origin),
                             .line = e->at.line,
                             .column = e->at.column,
                             .warning = e->warning,
                             .message = strdup(e->message),
                             .hint = e->hint[0] ? strdup(e->hint) : NULL,
                             .source = copy_line(source, e->at, &first)};
    if (!new.file || !new.message || !new.source || (e->hint[0] && !new.hint)) {
        policy_diagnostic_done(&new);
        return -ENOMEM;
    }
    list[ret->count++] = new;
    fprintf(f, "%s:%u:%u: %s: %s\n    %s\n    %*s^\n", new.file, new.line, new.column,
            new.warning ? "warning" : "error", new.message, new.source, (int) (new.column - 1 - first), "");
    if (new.hint)
        fprintf(f, "    %s\n", new.hint);
    return 0;
}

int diagnostics_render(Diagnostics *d, PolicyDiagnostics *ret)
{
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);
    bool failed;
    int r = 0;

    if (!f)
        return -ENOMEM;
    qsort(d->list, d->n, sizeof(d->list[0]), diagnostic_compare);
    if (ret->text)
        fputs(ret->text, f);
    for (unsigned i = 0; i < d->n && r >= 0; i++)
        r = render(f, d->source, &d->list[i], ret);
    if (diagnostics_full(d))
        fprintf(f, "%s: stopped after %u errors\n", d->source->origin, d->n_errors);
    failed = r < 0 || ferror(f);
    failed = fclose(f) != 0 || failed; /* text is complete only now */
    if (failed) {
        free(text);
        return -ENOMEM;
    }

    free(ret->text);
    ret->text = text;
    ret->length = length;
    return 0;
}

void policy_diagnostics_done(PolicyDiagnostics *d)
{
    for (unsigned i = 0; i < d->count; i++)
        policy_diagnostic_done(&d->list[i]);
    free(d->list);
    free(d->text);
    *d = (PolicyDiagnostics){};
}
