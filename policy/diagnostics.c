/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collects what is found wrong with a policy, and prints it. */

#include "policy/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_SHOWN_MAX 110U /* bytes shown of a line with an error: the part around it */

bool diagnostics_full(const Diagnostics *d)
{
    return d->n >= POLICY_DIAGNOSTICS_MAX;
}

void diagnostics_add(Diagnostics *d, Position at, const char *hint, const char *format, ...)
{
    Diagnostic *e;
    va_list ap;

    if (diagnostics_full(d))
        return;
    for (unsigned i = 0; i < d->n; i++)
        if (d->list[i].at.line == at.line && d->list[i].at.column == at.column)
            return;

    e = &d->list[d->n++];
    *e = (Diagnostic){.at = at};
    va_start(ap, format);
    (void) vsnprintf(e->message, sizeof(e->message), format, ap);
    va_end(ap);
    if (hint)
        (void) snprintf(e->hint, sizeof(e->hint), "%s", hint);
}

static int diagnostic_compare(const void *a, const void *b)
{
    const Diagnostic *x = a, *y = b;

    if (x->at.line != y->at.line)
        return x->at.line < y->at.line ? -1 : 1;
    return x->at.column < y->at.column ? -1 : x->at.column > y->at.column;
}

/* Prints the line with the error, and a caret below it. Characters that a terminal could misread are
 * replaced. */
static void render_line(FILE *f, const Source *source, Position at)
{
    const char *line = source->text, *end = source->text + source->length, *eol;
    size_t first = 0, length, caret = at.column - 1;

    for (uint32_t n = 1; n < at.line; n++) {
        const char *nl = memchr(line, '\n', (size_t) (end - line));

        if (!nl)
            return;
        line = nl + 1;
    }
    eol = memchr(line, '\n', (size_t) (end - line));
    length = (size_t) ((eol ? eol : end) - line);
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (length > LINE_SHOWN_MAX && caret > LINE_SHOWN_MAX / 2)
        first = caret - LINE_SHOWN_MAX / 2;

    fputs("    ", f);
    for (size_t i = first; i < length && i < first + LINE_SHOWN_MAX; i++) {
        unsigned char c = (unsigned char) line[i];

        fputc(c == '\t' ? ' ' : c < ' ' || c == 0x7f ? '?' : c, f);
    }
    fprintf(f, "\n    %*s^\n", (int) (caret - first), "");
}

int diagnostics_render(Diagnostics *d, PolicyDiagnostics *ret)
{
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);
    bool failed;

    if (!f)
        return -ENOMEM;
    qsort(d->list, d->n, sizeof(d->list[0]), diagnostic_compare);
    if (ret->text)
        fputs(ret->text, f);
    for (unsigned i = 0; i < d->n; i++) {
        const Diagnostic *e = &d->list[i];

        fprintf(f, "%s:%u:%u: error: %s\n", d->source->origin, e->at.line, e->at.column, e->message);
        render_line(f, d->source, e->at);
        if (e->hint[0])
            fprintf(f, "    %s\n", e->hint);
    }
    if (diagnostics_full(d))
        fprintf(f, "%s: stopped after %u errors\n", d->source->origin, d->n);
    failed = ferror(f);
    failed = fclose(f) != 0 || failed; /* text is complete only now */
    if (failed) {
        free(text);
        return -ENOMEM;
    }

    free(ret->text);
    ret->text = text;
    ret->length = length;
    ret->count += d->n;
    return 0;
}

void policy_diagnostics_done(PolicyDiagnostics *d)
{
    free(d->text);
    *d = (PolicyDiagnostics){};
}
