/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A domain's definitions: the live one, and behind a NUL byte the inactive one. Or the entitlement alone, as libvirt
 * gives it from the metadata. */

#include <inttypes.h>
#include <string.h>

#include "base/units.h"
#include "host-agent/libvirt/domain-info.h"
#include "proto/limits.h"
#include "tests/entitlement-equal.h"
#include "tests/fuzz/fuzz.h"

/* An accepted entitlement is consistent, can be written as XML and reads back the same; a refused one is
 * reported in a printable text. */
static void check_granted(const DomainInfo *info)
{
    const Entitlement *e = &info->entitlement;
    _cleanup_free_ char *element = entitlement_xml(e), *xml = NULL;
    char why[ENTITLEMENT_WHY_MAX];
    DomainInfo again;

    assert(entitlement_check(e, info->maximum_bytes, why) == 0);
    assert(e->shares == 0 || (e->shares >= ENTITLEMENT_SHARES_MIN && e->shares <= ENTITLEMENT_SHARES_MAX));
    assert(e->mode == GUEST_MODE_INVALID || guest_mode_to_string(e->mode));
    assert(strlen(info->entitlement_problem) < ENTITLEMENT_WHY_MAX);
    for (const char *s = info->entitlement_problem; *s; s++)
        assert(*s >= 0x20 && *s < 0x7f);
    if (!element ||
        asprintf(&xml,
                 "<domain><name>a</name><uuid>%s</uuid><memory unit='b'>%" PRIu64
                 "</memory><metadata><b:guest xmlns:b='" ENTITLEMENT_URI "'%s</metadata></domain>",
                 info->uuid, info->maximum_bytes, element + strlen("<guest")) < 0)
        return;
    assert(domain_info_parse(xml, NULL, &again) == 0);
    assert(entitlement_equal(&again.entitlement, e) && !again.entitlement_problem[0]);
}

static void check_info(const DomainInfo *info)
{
    assert(strlen(info->uuid) == 36);
    assert(info->name[0] && strlen(info->name) <= DOMAIN_NAME_MAX);
    for (const char *s = info->name; *s; s++)
        assert((unsigned char) *s >= 0x20 && *s != 0x7f);
    assert(info->id >= -1);
    assert(info->maximum_bytes > 0 && info->maximum_bytes <= GUEST_MEMORY_MAX_BYTES);
    assert(info->current_bytes <= info->maximum_bytes);
    assert(info->configured_current_bytes <= GUEST_MEMORY_MAX_BYTES);
    assert(info->persistent || info->configured_current_bytes == 0);
    assert(info->has_balloon || info->unmovable);
    assert(info->remembered.full_bytes <= GUEST_MEMORY_MAX_BYTES);
    assert(info->remembered.defined_bytes <= GUEST_MEMORY_MAX_BYTES);
    assert(info->remembered.from_bytes <= GUEST_MEMORY_MAX_BYTES);
    assert(info->remembered.sent_bytes <= GUEST_MEMORY_MAX_BYTES);
    check_granted(info);
}

/* Whatever is wrong with it, what is taken is consistent. */
static void check_granted_alone(const char *xml)
{
    char why[ENTITLEMENT_WHY_MAX];
    Entitlement e;
    int r = domain_granted_parse(xml, GIB, &e);

    assert(r == 0 || r == -EBADMSG);
    if (r < 0)
        return;
    assert(entitlement_check(&e, GIB, why) == 0);
    assert(e.shares == 0 || (e.shares >= ENTITLEMENT_SHARES_MIN && e.shares <= ENTITLEMENT_SHARES_MAX));
    assert(e.mode == GUEST_MODE_INVALID || guest_mode_to_string(e.mode));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *live = malloc(size + 1);
    const char *inactive;
    DomainInfo info;
    int r;

    if (!live)
        return 0;
    memcpy(live, data, size);
    live[size] = '\0';
    inactive = strlen(live) < size ? live + strlen(live) + 1 : NULL;
    check_granted_alone(live);
    r = domain_info_parse(live, inactive, &info);
    assert(r == 0 || r == -EBADMSG);
    if (r == 0) {
        assert(info.persistent == !!inactive);
        check_info(&info);
    }
    return 0;
}
