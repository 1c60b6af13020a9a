/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hands notices to the listeners. */

#include "host-agent/notice.h"

#include <assert.h>
#include <stdio.h>

Notice notice_of_host(NoticeKind kind, const HostFields *fields)
{
    return (Notice){.kind = kind,
                    .host_available_bytes = fields ? host_fields_get(fields, HOST_FIELD_AVAILABLE) : 0,
                    .host_total_bytes = fields ? host_fields_get(fields, HOST_FIELD_TOTAL) : 0};
}

Notice notice_of_change(const Actor *by, const char *what, const char *from, const char *to)
{
    Notice n = {.kind = NOTICE_CHANGED, .change.by = *by};

    (void) snprintf(n.change.what, sizeof(n.change.what), "%s", what);
    (void) snprintf(n.change.from, sizeof(n.change.from), "%s", from ? from : "");
    (void) snprintf(n.change.to, sizeof(n.change.to), "%s", to ? to : "");
    return n;
}

void notice_set_text(Notice *n, const char *text)
{
    (void) snprintf(n->text, sizeof(n->text), "%s", text ? text : "");
}

void audience_add(Audience *a, void (*hear)(void *userdata, const Notice *n), void *userdata)
{
    assert(a->n < AUDIENCE_MAX);
    a->listeners[a->n].hear = hear;
    a->listeners[a->n].userdata = userdata;
    a->n++;
}

void audience_remove(Audience *a, const void *userdata)
{
    size_t kept = 0;

    for (size_t i = 0; i < a->n; i++)
        if (a->listeners[i].userdata != userdata)
            a->listeners[kept++] = a->listeners[i];
    a->n = kept;
}

void audience_tell(const Audience *a, const Notice *n)
{
    for (size_t i = 0; i < a->n; i++)
        a->listeners[i].hear(a->listeners[i].userdata, n);
}
