/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells the beginning and the end of something that fails for a while. */

#include "base/outage.h"

bool outage_failed(Outage *o, usec_t now_usec)
{
    bool first = !o->open;

    if (first)
        *o = (Outage){.open = true, .since_usec = now_usec};
    return first;
}

bool outage_over(Outage *o, usec_t now_usec, char lasted[static UNITS_FORMAT_MAX])
{
    bool was = o->open;

    if (was)
        format_duration(lasted, usec_since(o->since_usec, now_usec));
    o->open = false;
    return was;
}
