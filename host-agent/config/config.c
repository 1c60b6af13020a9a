/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The settings in memory. */

#include "host-agent/config/config.h"

#include <fnmatch.h>
#include <stdlib.h>

static void config_done(Config *c)
{
    free(c->connect);
    free(c->policy_files);
    free(c->scope);
    for (size_t i = 0; i < c->n_guests; i++)
        free(c->guests[i].pattern);
    free(c->guests);
    free(c->path);
}

Config *config_free(Config *c)
{
    if (!c)
        return NULL;
    config_done(c);
    free(c);
    return NULL;
}

void config_replace(Config *c, Config *other)
{
    config_done(c);
    *c = *other;
    free(other);
}

bool config_guests_match(const ConfigGuests *g, const char *name)
{
    return fnmatch(g->pattern, name, 0) == 0;
}

Entitlement config_entitlement(const Config *c, const char *name)
{
    Entitlement e = ENTITLEMENT_NONE;

    for (size_t i = 0; i < c->n_guests; i++)
        if (config_guests_match(&c->guests[i], name))
            e = entitlement_over(&c->guests[i].entitlement, &e);
    return e;
}
