/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The decisions about KSM, as a dictionary. */

#include "host-agent/show/describe.h"

static void describe_decision(Dict *d, const HostDecision *decision)
{
    FieldInfo wanted = *host_field_info(decision->control), value = wanted;

    wanted.name = "wanted";
    value.name = "value";
    dict_begin(d);
    dict_text(d, "control", host_field_info(decision->control)->name);
    describe_field(d, &wanted, decision->wanted);
    describe_field(d, &value, decision->value);
    dict_bool(d, "send", decision->send);
    dict_text(d, "file", decision->file);
    dict_count(d, "line", decision->line);
    dict_text(d, "because", decision->because);
    describe_reads(d, decision->reads, decision->n_reads);
    dict_text(d, "reason", decision->reason);
    dict_end(d);
}

void describe_ksm(Dict *d, const Manager *m)
{
    int64_t before;

    dict_list_open(d, "changed", "as");
    for (HostField f = 0; f < HOST_FIELD_MAX; f++)
        if (ksm_changed(m->ksm.ksm, f, &before))
            dict_item(d, host_field_info(f)->name);
    dict_list_close(d);
    dict_list_open(d, "refused", "as");
    for (HostField f = 0; f < HOST_FIELD_MAX; f++)
        if (ksm_refused(m->ksm.ksm, f) > 0)
            dict_item(d, host_field_info(f)->name);
    dict_list_close(d);
    dict_list_open(d, "decisions", "aa{sv}");
    for (size_t i = 0; i < m->cycle.plan.n_host; i++)
        describe_decision(d, &m->cycle.plan.host[i]);
    dict_list_close(d);
}
