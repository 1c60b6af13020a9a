/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints the answers of commands. */

#include <stdarg.h>

#include "host-agent/ctl/ctl.h"

CtlExit ctl_out_of_memory(void)
{
    client_error("out of memory");
    return CTL_EXIT_FAILED;
}

CtlExit ctl_print_json(json_object *o)
{
    const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                             JSON_C_TO_STRING_NOSLASHESCAPE);

    if (!text)
        return ctl_out_of_memory();
    puts(text);
    return CTL_EXIT_OK;
}

CtlExit ctl_show(Ctl *c, json_object *o, int (*view)(const Screen *, json_object *))
{
    if (c->json)
        return ctl_print_json(o);
    return view(&c->screen, o) < 0 ? ctl_out_of_memory() : CTL_EXIT_OK;
}

CtlExit ctl_say(Ctl *c, const char *text, const char *key, const char *value, ...)
{
    _cleanup_(json_putp) json_object *o = NULL;
    _cleanup_free_ char *clean = NULL;
    va_list ap;

    if (!c->json) {
        clean = text_clean(text);
        if (!clean)
            return ctl_out_of_memory();
        puts(clean);
        return CTL_EXIT_OK;
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
    return o && !key ? ctl_print_json(o) : ctl_out_of_memory();
}
