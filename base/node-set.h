/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A set of NUMA nodes as a bit mask, and its text as the kernel and libvirt write it: "0-1,4". */

#include "base/macro.h"

/* Nodes 0 … 63. The kernel knows up to 1024; a set with a higher one is refused. */
#define NODE_SET_MAX      64U
#define NODE_SET_TEXT_MAX 176U /* each second node: "0,2,4,…,62", with the NUL */

/* 0, -EINVAL (not such a text, or empty) or -ERANGE (a higher node). White space around it is skipped. */
int node_set_parse(const char *text, uint64_t *ret);
/* In buf, which it returns; "" of the empty set. */
const char *node_set_format(char buf[static NODE_SET_TEXT_MAX], uint64_t nodes);

static inline bool node_set_has(uint64_t nodes, unsigned node)
{
    return nodes >> node & 1;
}
