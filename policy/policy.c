/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/policy.h"

#include <fcntl.h>
#include <string.h>

#include "policy/check.h"
#include "policy/compile.h"
#include "policy/parser.h"

Policy *policy_free(Policy *p)
{
    if (!p)
        return NULL;
    for (uint32_t i = 0; i < p->n_texts; i++)
        free(p->texts[i]);
    free(p->texts);
    free(p->origin);
    free(p->code);
    free(p->positions);
    free(p->constants);
    free(p->loops);
    free(p->saved_slots);
    free(p->slots);
    free(p);
    return NULL;
}

const char *policy_origin(const Policy *p)
{
    return p->origin;
}

/* Reads, checks and compiles. -EINVAL where there are diagnostics. */
static int build(Unit *u, Policy *p)
{
    PolicyNote failed;
    int r = policy_parse(u);

    if (r < 0)
        return r;
    r = policy_check(u);
    if (r < 0)
        return r;
    if (u->diagnostics->n > 0)
        return -EINVAL;
    r = policy_compile(u, p);
    if (r < 0)
        return r;
    r = policy_init_constants(p, &failed);
    if (r == -EINVAL)
        diagnostics_add(u->diagnostics, (Position){failed.line, failed.column}, NULL, "%s", failed.text);
    return r;
}

int policy_load(const char *text, size_t length, const char *origin, PolicyDiagnostics *diagnostics,
                Policy **ret)
{
    Source source = {.text = text, .length = length, .origin = origin};
    _cleanup_free_ Diagnostics *found = NULL;
    _cleanup_(policy_freep) Policy *p = NULL;
    Unit unit;
    int r;

    if (length > POLICY_SIZE_MAX)
        return -EFBIG;
    found = calloc(1, sizeof(*found));
    p = calloc(1, sizeof(*p));
    if (!found || !p)
        return -ENOMEM;
    p->origin = strdup(origin);
    if (!p->origin)
        return -ENOMEM;

    found->source = &source;
    unit = (Unit){.source = &source, .diagnostics = found};
    r = build(&unit, p);
    unit_done(&unit);
    if (r == -EINVAL && diagnostics && diagnostics_render(found, diagnostics) < 0)
        return -ENOMEM;
    if (r < 0)
        return r;
    *ret = TAKE_PTR(p);
    return 0;
}

int policy_load_file(const char *path, PolicyDiagnostics *diagnostics, Policy **ret)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    _cleanup_free_ char *text = NULL;
    size_t length = 0;

    if (fd < 0)
        return -errno;
    text = malloc(POLICY_SIZE_MAX + 1);
    if (!text)
        return -ENOMEM;
    while (length <= POLICY_SIZE_MAX) {
        ssize_t n = read(fd, text + length, POLICY_SIZE_MAX + 1 - length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        length += (size_t) n;
    }
    return policy_load(text, length, path, diagnostics, ret);
}
