/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A text as a snapshot: refused with a reason, or accepted; then its plan keeps to the bounds, and can be
 * printed. */

#include <math.h>
#include <string.h>

#include "base/macro.h"
#include "host-agent/ctl/print-plan.h"
#include "host-agent/ctl/snapshot.h"
#include "host-agent/decide/evaluate.h"
#include "tests/fuzz/fuzz.h"
#include "tests/policy-load.h"

/* Looks at what few snapshots have. */
static const char policy_text[] =
    "state cycles = 0\n"
    "state guest.taken = 0B\n"
    "state guest.calm = true\n"
    "cycles = cycles + 1\n"
    "for g in guests by g.available ?? 0B desc {\n"
    "    let mean = avg(g.free, 30s) ?? 1MiB\n"
    "    let fast = rate(g.swap_in, 10s) ?? (0B / 1s)\n"
    "    g.calm = fast * 1s < mean\n"
    "    if g.calm { g.target = g.current - mean / 4 }\n"
    "    g.reclaim = mean + (g.cold ?? g.cache ?? 0B)\n"
    "    g.taken = g.taken + mean\n"
    "    log(\"took\", g.taken, \"of\", g.name)\n"
    "}\n"
    "if (max(host.available, 60s) ?? 0B) < 20% * host.total { host.ksm_run = true }\n";

static void check_reclaim(const SnapshotGuest *g, const Decision *d)
{
    const Reclaim *r = &d->reclaim;

    assert((r->line > 0) == (r->reason[0] != '\0'));
    assert(r->bytes <= r->wanted_bytes && r->bytes <= d->bounds.reclaim_bytes);
    assert(!r->send || (r->bytes > 0 && g->mode == GUEST_MODE_AUTO));
    assert(!r->anon || r->bytes > 0);
    assert(r->bytes == 0 || (d->target_bytes <= g->sizes.standing_bytes && !g->busy && !g->unmovable));
}

static void check_plan(const SnapshotFile *f, const Policy *policy)
{
    _cleanup_(json_putp) json_object *o = NULL;
    _cleanup_(plan_done) Plan p = {};
    int r;

    r = plan_make(&f->snapshot, policy, &f->guard, &p);
    assert(r == 0);
    assert(p.n_decisions == f->snapshot.n_guests);
    for (size_t i = 0; i < p.n_decisions; i++) {
        const SnapshotGuest *g = &f->snapshot.guests[i];

        assert(g->name[0] && g->uuid[0]);
        assert(g->mode >= 0 && g->mode < GUEST_MODE_MAX && g->source >= 0 && g->source < GUEST_SOURCE_MAX);
        assert(!p.decisions[i].send || g->mode == GUEST_MODE_AUTO);
        assert(p.decisions[i].reason[0]);
        check_reclaim(g, &p.decisions[i]);
    }
    r = plan_to_json(&p, &f->snapshot, policy, &o);
    assert(r == 0);
    assert(json_object_to_json_string(o));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(policy_freep) Policy *policy = NULL;
    char error[JSON_ERROR_MAX] = "";
    SnapshotFile f = {};
    int r;

    r = policy_load(policy_text, strlen(policy_text), "a.policy", NULL, &policy);
    assert(r == 0);
    r = snapshot_parse((const char *) data, size, policy, &f, error);
    assert(r == 0 || r == -EINVAL);
    assert((r == 0) == (error[0] == '\0'));
    assert(memchr(error, '\0', sizeof(error)));
    if (r < 0)
        return 0;
    assert(isfinite(host_fields_get(&f.snapshot.host, HOST_FIELD_TOTAL)));
    check_plan(&f, policy);
    snapshot_file_done(&f);
    return 0;
}
