/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A list of what is wrong with the configuration and the policy. */

#include "host-agent/daemon/findings.h"

#include <stdarg.h>
#include <string.h>

#include "base/log.h"

#define MORE_MAX 64U /* of the last line */

void findings_done(Findings *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->list[i].text);
        free(f->list[i].file);
    }
    free(f->list);
    *f = (Findings){};
}

/* Takes over the texts of the finding. */
static int add(Findings *f, const Finding *finding)
{
    Finding *grown = f->n < FINDINGS_MAX ? reallocarray(f->list, f->n + 1, sizeof(*grown)) : NULL;

    if (!grown)
        return -ENOMEM;
    f->list = grown;
    f->list[f->n++] = *finding;
    return 0;
}

void findings_add(Findings *f, int level, const char *path, unsigned line, const char *format, ...)
{
    _cleanup_free_ char *what = NULL, *text = NULL, *file = path ? strdup(path) : NULL;
    va_list ap;
    int r;

    va_start(ap, format);
    r = vasprintf(&what, format, ap);
    va_end(ap);
    if (r < 0)
        what = NULL;
    else if (path && line > 0)
        r = asprintf(&text, "%s:%u: %s", path, line, what);
    else
        r = asprintf(&text, "%s%s%s", path ? path : "", path ? ": " : "", what);
    if (r < 0)
        text = NULL;
    if (text && (file || !path) &&
        add(f, &(Finding){.level = level,
                          .text = text,
                          .file = file,
                          .line = path ? line : 0,
                          .message = text + strlen(text) - strlen(what)}) >= 0)
        text = file = NULL;
    else
        f->left_out++;
}

void findings_log(const Findings *f)
{
    for (size_t i = 0; i < f->n; i++)
        log_full(f->list[i].level, "%s", f->list[i].text);
    if (f->left_out > 0)
        log_warning("%zu more lines are left out", f->left_out);
}

const char *findings_first(const Findings *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->list[i].level == LOG_ERR)
            return f->list[i].text;
    return f->n > 0 ? f->list[0].text : NULL;
}

void findings_text(const Findings *f, char *buf, size_t size)
{
    size_t fill = 0, shown = 0;

    buf[0] = '\0';
    for (int errors = 1; errors >= 0; errors--)
        for (size_t i = 0; i < f->n; i++) {
            bool last = shown + 1 == f->n && f->left_out == 0;

            /* The first line is cut off rather than left out. */
            if ((f->list[i].level == LOG_ERR) != errors ||
                (fill > 0 && fill + strlen(f->list[i].text) + 1 + (last ? 0 : MORE_MAX) >= size))
                continue;
            fill += (size_t) snprintf(buf + fill, size - fill, "%s%s", fill > 0 ? "\n" : "", f->list[i].text);
            fill = MIN(fill, size - 1);
            shown++;
        }
    if (shown < f->n || f->left_out > 0)
        snprintf(buf + fill, size - fill, "\n%zu more in ballastd's log", f->n - shown + f->left_out);
}
