/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the state of KSM. */

#include "host-agent/sense/ksm.h"

#include <limits.h>

#include "base/macro.h"
#include "base/proc-table.h"
#include "base/procfs.h"

static const struct {
    const char *file;
    HostField field;
    enum { AS_IS, PAGES, MILLISECS, IS_ONE } what;
} values[KSM_VALUE_MAX] = {
    [KSM_RUN] = {"run", HOST_FIELD_KSM_RUN, IS_ONE},
    [KSM_PAGES_TO_SCAN] = {"pages_to_scan", HOST_FIELD_KSM_PAGES_TO_SCAN, AS_IS},
    [KSM_SLEEP_MILLISECS] = {"sleep_millisecs", HOST_FIELD_KSM_SLEEP, MILLISECS},
    [KSM_MERGE_ACROSS_NODES] = {"merge_across_nodes", HOST_FIELD_KSM_MERGE_ACROSS_NODES, IS_ONE},
    [KSM_PAGES_SHARED] = {"pages_shared", HOST_FIELD_KSM_SHARED, PAGES},
    [KSM_PAGES_SHARING] = {"pages_sharing", HOST_FIELD_KSM_SHARING, PAGES},
    [KSM_PAGES_UNSHARED] = {"pages_unshared", HOST_FIELD_KSM_UNSHARED, PAGES},
    [KSM_PAGES_VOLATILE] = {"pages_volatile", HOST_FIELD_KSM_VOLATILE, PAGES},
    [KSM_PAGES_SCANNED] = {"pages_scanned", HOST_FIELD_KSM_SCANNED, PAGES},
    [KSM_FULL_SCANS] = {"full_scans", HOST_FIELD_KSM_FULL_SCANS, AS_IS},
    [KSM_GENERAL_PROFIT] = {"general_profit", HOST_FIELD_KSM_PROFIT, AS_IS},
};

static int parse(const char *text, int64_t *ret)
{
    bool negative = *text == '-';
    uint64_t n;
    int r = proc_parse_value(text + negative, "", 1, &n);

    if (r < 0)
        return r;
    if (n > INT64_MAX)
        return -EBADMSG;
    *ret = negative ? -(int64_t) n : (int64_t) n;
    return 0;
}

static int read_value(const char *folder, const char *name, int64_t *ret)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    int r = proc_file_slurp(&f, folder, name);

    return r < 0 ? r : parse(f.buf, ret);
}

int ksm_read(const char *root, KsmState *ret)
{
    KsmState s = {};
    char folder[PATH_MAX];

    if ((size_t) snprintf(folder, sizeof(folder), "%s/kernel/mm/ksm", root) >= sizeof(folder))
        return -ENAMETOOLONG;
    for (KsmValue v = 0; v < KSM_VALUE_MAX; v++) {
        int r = read_value(folder, values[v].file, &s.value[v]);

        /* Every kernel that has KSM has "run", which comes first. */
        if (r == -ENOENT && v != KSM_RUN)
            continue;
        if (r < 0)
            return r;
        s.has |= UINT32_C(1) << v;
    }
    *ret = s;
    return 0;
}

void ksm_fields(const KsmState *s, HostFields *h)
{
    double page = (double) sysconf(_SC_PAGESIZE);

    for (KsmValue v = 0; v < KSM_VALUE_MAX; v++) {
        double value = (double) s->value[v];

        if (!(s->has & UINT32_C(1) << v))
            continue;
        switch (values[v].what) {
        case AS_IS:
            break;
        case PAGES:
            value *= page;
            break;
        case MILLISECS:
            value *= (double) USEC_PER_MSEC;
            break;
        case IS_ONE:
            value = value == 1;
            break;
        }
        host_fields_set(h, values[v].field, value);
    }
}
