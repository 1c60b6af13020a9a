/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The multi-gen LRU's file in debugfs. */

#include <string.h>

#include "guest-agent/mglru.h"
#include "tests/fuzz/fuzz.h"

static void check_list(const MglruList *l)
{
    char command[MGLRU_COMMAND_MAX];

    assert(l->n <= MGLRU_GENERATIONS_MAX);
    assert(strlen(mglru_age_command(command, l)) < MGLRU_COMMAND_MAX - 1);
    assert(mglru_cold_pages(l, 0) == 0 || l->n > 1);
    for (unsigned i = 0; i < l->n; i++) {
        assert(!mglru_may_evict(l, i) || l->generation[i].file_pages > 0);
        assert(command[strlen(mglru_evict_command(command, l, i, UINT64_MAX)) - 1] == '\n');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = malloc(size + 1);
    uint64_t memcg = 0;
    const char *at = text;
    MglruList list;
    int r;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    while ((r = mglru_next(&at, &memcg, &list)) > 0) {
        assert(at > text && at <= text + strlen(text));
        check_list(&list);
    }
    assert(r == 0 || r == -EBADMSG);
    return 0;
}
