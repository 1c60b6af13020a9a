/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints the answers of commands. */

#include <stdarg.h>

#include "host-agent/ctl/ctl.h"
#include "host-agent/ctl/wrap.h"

CtlExit ctl_out_of_memory(const Ctl *c)
{
    return client_fail(&c->client, CLIENT_ERROR_FAILED, NULL, "out of memory");
}

CtlExit ctl_print_json(const Ctl *c, json_object *o)
{
    return json_print(o) < 0 ? ctl_out_of_memory(c) : CTL_EXIT_OK;
}

CtlExit ctl_show(Ctl *c, json_object *o, int (*view)(const Screen *, json_object *))
{
    if (c->client.json)
        return ctl_print_json(c, o);
    return view(&c->screen, o) < 0 ? ctl_out_of_memory(c) : CTL_EXIT_OK;
}

static int print_message(const Screen *screen, json_object *answer)
{
    _cleanup_free_ char *clean = text_clean(json_text(answer, "message") ?: "done");

    return clean ? wrap_put(screen, STYLE_PLAIN, 0, clean) : -ENOMEM;
}

CtlExit ctl_show_done(Ctl *c, json_object *answer)
{
    return ctl_show(c, answer, print_message);
}

CtlExit ctl_say(Ctl *c, const char *text, const char *key, const char *value, ...)
{
    _cleanup_(json_putp) json_object *o = NULL;
    _cleanup_free_ char *clean = NULL;
    va_list ap;

    if (!c->client.json) {
        clean = text_clean(text);
        if (!clean)
            return ctl_out_of_memory(c);
        return wrap_put(&c->screen, STYLE_PLAIN, 0, clean) < 0 ? ctl_out_of_memory(c) : CTL_EXIT_OK;
    }
    o = json_object_new_object();
    va_start(ap, value);
    while (o && key) {
        if (json_object_object_add(o, key, value ? json_object_new_string(value) : NULL) < 0)
            break;
        key = va_arg(ap, const char *);
        value = key ? va_arg(ap, const char *) : NULL;
    }
    va_end(ap);
    return o && !key ? ctl_print_json(c, o) : ctl_out_of_memory(c);
}
