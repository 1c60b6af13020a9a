/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads and writes sets of NUMA nodes. */

#include "base/node-set.h"

#include <ctype.h>
#include <string.h>

/* Reads a node's number, and moves *text past it. */
static int parse_node(const char **text, unsigned *ret)
{
    unsigned node = 0;

    if (!isdigit((unsigned char) **text))
        return -EINVAL;
    for (; isdigit((unsigned char) **text); (*text)++)
        node = MIN(node * 10 + (unsigned) (**text - '0'), NODE_SET_MAX);
    *ret = node;
    return node < NODE_SET_MAX ? 0 : -ERANGE;
}

int node_set_parse(const char *text, uint64_t *ret)
{
    uint64_t nodes = 0;

    for (text += strspn(text, " \t\n");; text++) {
        unsigned first, last;
        int r = parse_node(&text, &first);

        last = first;
        if (r >= 0 && *text == '-') {
            text++;
            r = parse_node(&text, &last);
        }
        if (r < 0)
            return r;
        if (last < first)
            return -EINVAL;
        for (unsigned node = first; node <= last; node++)
            nodes |= UINT64_C(1) << node;
        if (*text != ',')
            break;
    }
    if (text[strspn(text, " \t\n")] != '\0')
        return -EINVAL;
    *ret = nodes;
    return 0;
}

const char *node_set_format(char buf[static NODE_SET_TEXT_MAX], uint64_t nodes)
{
    size_t fill = 0;

    buf[0] = '\0';
    for (unsigned first = 0, last; first < NODE_SET_MAX; first = last + 1) {
        last = first;
        if (!node_set_has(nodes, first))
            continue;
        while (last + 1 < NODE_SET_MAX && node_set_has(nodes, last + 1))
            last++;
        fill += (size_t) snprintf(buf + fill, NODE_SET_TEXT_MAX - fill, "%s%u", fill > 0 ? "," : "", first);
        if (last > first)
            fill += (size_t) snprintf(buf + fill, NODE_SET_TEXT_MAX - fill, "-%u", last);
    }
    return buf;
}
