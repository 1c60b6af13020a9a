/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Parses the multi-gen LRU's file in debugfs, and words its commands. */

#include "guest-agent/mglru.h"

#include <inttypes.h>
#include <string.h>

#include "base/proc-table.h"

/* The kernel refuses to evict the two youngest generations. */
#define SPARED 2U

static const char *next_line(const char *p)
{
    p = strchrnul(p, '\n');
    return *p ? p + 1 : p;
}

/* "memcg     1 /some/path" or " node     0". Returns the text after the number, or NULL for another line. */
static const char *parse_head(const char *p, const char *word, uint64_t *ret)
{
    size_t n = strlen(word);

    p = proc_skip_blanks(p);
    return strncmp(p, word, n) == 0 ? proc_parse_number(proc_skip_blanks(p + n), ret) : NULL;
}

/* "  3  2292  5  0": number, age in ms, anonymous and file pages. */
static int parse_generation(const char *p, MglruGeneration *ret)
{
    uint64_t age, anon;
    MglruGeneration g;

    p = proc_parse_number(proc_skip_blanks(p), &g.number);
    p = p ? proc_parse_number(proc_skip_blanks(p), &age) : NULL;
    p = p ? proc_parse_number(proc_skip_blanks(p), &anon) : NULL;
    p = p ? proc_parse_number(proc_skip_blanks(p), &g.file_pages) : NULL;
    if (!p || __builtin_mul_overflow(age, USEC_PER_MSEC, &g.age_usec))
        return -EBADMSG;
    *ret = g;
    return 0;
}

int mglru_next(const char **at, uint64_t *memcg, MglruList *ret)
{
    const char *p = *at;
    MglruList l = {};
    bool found = false;
    uint64_t number;
    int r;

    for (; *p; p = next_line(p)) {
        if (parse_head(p, "memcg ", &number)) {
            if (found)
                break;
            *memcg = number;
        } else if (parse_head(p, "node ", &number)) {
            if (found)
                break;
            l.memcg = *memcg;
            l.node = number;
            found = true;
        } else {
            if (!found || l.n >= MGLRU_GENERATIONS_MAX)
                return -EBADMSG;
            r = parse_generation(p, &l.generation[l.n++]);
            if (r < 0)
                return r;
        }
    }
    *at = p;
    if (!found)
        return 0;
    *ret = l;
    return 1;
}

bool mglru_may_evict(const MglruList *l, unsigned i)
{
    return i + SPARED < l->n && l->generation[i].file_pages > 0;
}

uint64_t mglru_cold_pages(const MglruList *l, usec_t age_usec)
{
    uint64_t pages = 0;

    for (unsigned i = 0; i + 1 < l->n; i++)
        if (usec_since(l->generation[l->n - 1].age_usec, l->generation[i].age_usec) >= age_usec)
            pages += l->generation[i].file_pages;
    return pages;
}

char *mglru_age_command(char *buf, const MglruList *l)
{
    snprintf(buf, MGLRU_COMMAND_MAX, "+ %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", l->memcg, l->node,
             l->n > 0 ? l->generation[l->n - 1].number : 0);
    return buf;
}

char *mglru_evict_command(char *buf, const MglruList *l, unsigned i, uint64_t pages)
{
    snprintf(buf, MGLRU_COMMAND_MAX, "- %" PRIu64 " %" PRIu64 " %" PRIu64 " 0 %" PRIu64 "\n", l->memcg,
             l->node, l->generation[i].number, pages);
    return buf;
}
