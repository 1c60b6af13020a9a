/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Texts of /proc, through every reader. */

#include <string.h>

#include "base/procfs.h"
#include "tests/fuzz/fuzz.h"

static void check_line(const PsiLine *l)
{
    assert(l->avg10 >= 0 && l->avg10 <= 1);
    assert(l->avg60 >= 0 && l->avg60 <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = malloc(size + 1);
    uint64_t low;
    Meminfo m;
    Vmstat v;
    Psi psi;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';

    if (meminfo_parse(text, &m) >= 0) {
        assert(m.has_available || m.available == 0);
        assert(m.total % 1024 == 0 && m.hugetlb % 1024 == 0);
    }
    if (vmstat_parse(text, &v) >= 0)
        assert(strstr(text, "pgfault "));
    if (zoneinfo_parse_low(text, &low) >= 0)
        assert(strstr(text, "low "));
    if (psi_parse(text, &psi) >= 0) {
        check_line(&psi.some);
        check_line(&psi.full);
    }

    return 0;
}
