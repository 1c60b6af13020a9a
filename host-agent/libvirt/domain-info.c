/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads what Ballast needs from a domain's XML. */
#include "host-agent/libvirt/domain-info.h"

#include <ctype.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <string.h>

#include "base/units.h"
#include "host-agent/decide/text.h"
#include "proto/limits.h"

/* libvirt's own protocol can't carry a longer string. */
#define DOMAIN_XML_MAX (4U << 20)
#define KEY_SHOWN_MAX  40U /* bytes of an unknown attribute's name shown in a message */

static void doc_freep(xmlDoc **doc)
{
    xmlFreeDoc(*doc);
}

static void parser_freep(xmlParserCtxt **parser)
{
    xmlFreeParserCtxt(*parser);
}

static void xml_freep(xmlChar **s)
{
    xmlFree(*s);
}

/* libvirt never writes a document type. Without one no entities can be defined. */
static void refuse_document_type(void *parser, const xmlChar *name, const xmlChar *public_id,
                                 const xmlChar *system_id)
{
    xmlStopParser(parser);
}

static xmlDoc *document_parse(const char *xml)
{
    _cleanup_(parser_freep) xmlParserCtxt *parser = NULL;
    xmlDoc *doc;
    size_t length;

    length = strnlen(xml, DOMAIN_XML_MAX + 1);
    if (length == 0 || length > DOMAIN_XML_MAX)
        return NULL;
    parser = xmlNewParserCtxt();
    if (!parser)
        return NULL;
    parser->sax->internalSubset = refuse_document_type;
    parser->sax->externalSubset = refuse_document_type;
    doc = xmlCtxtReadMemory(parser, xml, (int) length, NULL, NULL,
                            XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOBLANKS |
                                XML_PARSE_NOCDATA);
    if (doc && (!parser->wellFormed || doc->intSubset || doc->extSubset)) {
        xmlFreeDoc(doc);
        return NULL;
    }
    return doc;
}

static bool is_named(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && !strcmp((const char *) node->name, name);
}

/* Returns the first child element of that name without a namespace: libvirt's own elements have none. */
static xmlNode *child(const xmlNode *node, const char *name)
{
    for (xmlNode *n = node ? node->children : NULL; n; n = n->next)
        if (!n->ns && is_named(n, name))
            return n;
    return NULL;
}

static bool attribute_is(xmlNode *node, const char *name, const char *value)
{
    _cleanup_(xml_freep) xmlChar *found = xmlGetNoNsProp(node, (const xmlChar *) name);

    return found && !strcmp((const char *) found, value);
}

static int parse_u64(const char *s, uint64_t *ret)
{
    unsigned long long value;
    char *end;

    while (isspace((unsigned char) *s))
        s++;
    if (!isdigit((unsigned char) *s))
        return -EBADMSG;
    errno = 0;
    value = strtoull(s, &end, 10);
    if (errno)
        return -EBADMSG;
    while (isspace((unsigned char) *end))
        end++;
    if (*end)
        return -EBADMSG;
    *ret = value;
    return 0;
}

static int attribute_u64(xmlNode *node, const char *name, uint64_t *ret)
{
    _cleanup_(xml_freep) xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *) name);

    return value ? parse_u64((const char *) value, ret) : -ENOENT;
}

/* The units that libvirt accepts in <memory unit=''>; libvirt itself writes KiB. */
static int unit_bytes(const char *unit, uint64_t *ret)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        {"b", 1},   {"bytes", 1}, {"KB", 1000},       {"k", KIB}, {"KiB", KIB}, {"MB", 1000000},
        {"M", MIB}, {"MiB", MIB}, {"GB", 1000000000}, {"G", GIB}, {"GiB", GIB}, {"TB", 1000000000000},
        {"T", TIB}, {"TiB", TIB},
    };

    for (size_t i = 0; i < ELEMENTSOF(units); i++)
        if (!strcasecmp(unit, units[i].name)) {
            *ret = units[i].bytes;
            return 0;
        }
    return -EBADMSG;
}

static int size_of(xmlNode *node, uint64_t *ret_bytes)
{
    _cleanup_(xml_freep) xmlChar *text = NULL, *unit = NULL;
    uint64_t number, multiplier = KIB;
    int r;

    text = xmlNodeGetContent(node);
    if (!text)
        return -ENOMEM;
    r = parse_u64((const char *) text, &number);
    if (r < 0)
        return r;
    unit = xmlGetNoNsProp(node, (const xmlChar *) "unit");
    if (unit) {
        r = unit_bytes((const char *) unit, &multiplier);
        if (r < 0)
            return r;
    }
    if (number > GUEST_MEMORY_MAX_BYTES / multiplier)
        return -EBADMSG;
    *ret_bytes = number * multiplier;
    return 0;
}

static int parse_uuid(xmlNode *node, char ret[static 37])
{
    _cleanup_(xml_freep) xmlChar *text = xmlNodeGetContent(node);
    size_t n = 0;

    if (!text)
        return -ENOMEM;
    for (const char *s = (const char *) text; *s; s++) {
        bool dash = n == 8 || n == 13 || n == 18 || n == 23;

        if (isspace((unsigned char) *s) && (n == 0 || n == 36))
            continue;
        if (n == 36 || (dash ? *s != '-' : !isxdigit((unsigned char) *s)))
            return -EBADMSG;
        ret[n++] = (char) tolower((unsigned char) *s);
    }
    if (n != 36)
        return -EBADMSG;
    ret[n] = '\0';
    return 0;
}

static int parse_name(xmlNode *node, char ret[static DOMAIN_NAME_MAX + 1])
{
    _cleanup_(xml_freep) xmlChar *text = xmlNodeGetContent(node);
    size_t n = 0;

    if (!text)
        return -ENOMEM;
    for (const xmlChar *s = text; *s && n < DOMAIN_NAME_MAX; s++)
        ret[n++] = (char) (*s < 0x20 || *s == 0x7f ? '?' : *s);
    /* Don't cut a multi-byte character in half: drop all of it. */
    if (text[n])
        while (n > 0 && (text[n] & 0xc0) == 0x80)
            n--;
    if (n == 0)
        return -EBADMSG;
    ret[n] = '\0';
    return 0;
}

/* VFIO pins all memory of the guest, so the host doesn't get back the pages in the balloon. Devices behind
 * vfio-ap and vfio-ccw (s390) pin only the pages that they use. USB and SCSI devices pin nothing. */
static bool hostdev_pins(xmlNode *device)
{
    if (is_named(device, "hostdev"))
        return attribute_is(device, "type", "pci") ||
               (attribute_is(device, "type", "mdev") && !attribute_is(device, "model", "vfio-ap") &&
                !attribute_is(device, "model", "vfio-ccw"));
    if (is_named(device, "interface"))
        return attribute_is(device, "type", "hostdev") || attribute_is(device, "type", "vdpa");
    if (is_named(device, "disk"))
        return attribute_is(device, "type", "nvme") || attribute_is(device, "type", "vhostvdpa");
    return false;
}

static bool is_channel(xmlNode *device)
{
    xmlNode *target = child(device, "target");

    return is_named(device, "channel") && target && attribute_is(target, "type", "virtio") &&
           attribute_is(target, "name", CHANNEL_NAME);
}

static void parse_balloon(xmlNode *balloon, DomainInfo *info)
{
    xmlNode *stats;
    uint64_t period = 0;

    if (attribute_is(balloon, "model", "none"))
        return;
    info->has_balloon = true;
    info->autodeflate = attribute_is(balloon, "autodeflate", "on");
    info->free_page_reporting = attribute_is(balloon, "freePageReporting", "on");
    stats = child(balloon, "stats");
    if (stats && attribute_u64(stats, "period", &period) == 0)
        info->stats_period_sec = (unsigned) MIN(period, (uint64_t) UINT32_MAX);
}

static const char *parse_devices(xmlNode *devices, DomainInfo *info)
{
    const char *unmovable = NULL;

    for (xmlNode *n = devices ? devices->children : NULL; n; n = n->next) {
        if (n->type != XML_ELEMENT_NODE || n->ns)
            continue;
        if (is_named(n, "memballoon"))
            parse_balloon(n, info);
        else if (is_channel(n))
            info->has_channel = true;
        else if (hostdev_pins(n))
            unmovable = "hostdev";
    }
    return unmovable;
}

static const char *find_unmovable(xmlNode *domain, DomainInfo *info)
{
    const char *unmovable = parse_devices(child(domain, "devices"), info);
    xmlNode *backing = child(domain, "memoryBacking");

    if (!info->has_balloon)
        return "no balloon device";
    if (unmovable)
        return unmovable;
    if (child(backing, "hugepages"))
        return "hugepages";
    if (child(backing, "locked"))
        return "locked memory";
    if (child(domain, "launchSecurity"))
        return "launch security";
    return NULL;
}

/* The nodes of <memory> or <memnode>; 0: the memory may also come from others. */
static uint64_t nodes_of(xmlNode *memory)
{
    _cleanup_(xml_freep) xmlChar *set = xmlGetNoNsProp(memory, (const xmlChar *) "nodeset");
    bool strict = attribute_is(memory, "mode", "strict") || attribute_is(memory, "mode", "restrictive");
    uint64_t nodes;

    return strict && set && node_set_parse((const char *) set, &nodes) >= 0 ? nodes : 0;
}

static uint64_t find_nodes(xmlNode *domain)
{
    xmlNode *tune = child(domain, "numatune"), *memory = child(tune, "memory"),
            *numa = child(child(domain, "cpu"), "numa");
    uint64_t nodes = memory ? nodes_of(memory) : 0, own;
    size_t cells = 0;

    for (xmlNode *n = numa ? numa->children : NULL; n; n = n->next)
        cells += !n->ns && is_named(n, "cell");
    if (memory && nodes == 0)
        return 0;
    for (xmlNode *n = tune ? tune->children : NULL; n; n = n->next) {
        if (n->ns || !is_named(n, "memnode"))
            continue;
        own = nodes_of(n);
        if (own == 0)
            return 0;
        nodes |= own;
        cells = LESS_BY(cells, (size_t) 1);
    }
    /* Without <memory>, a cell without its own nodes may use all. */
    return memory || cells == 0 ? nodes : 0;
}

/* An attribute that an earlier version didn't write; 0: it isn't there, or can't be. */
static uint64_t optional_size(xmlNode *n, const char *name)
{
    uint64_t bytes;

    return attribute_u64(n, name, &bytes) == 0 && bytes <= GUEST_MEMORY_MAX_BYTES ? bytes : 0;
}

static void parse_state(xmlNode *domain, DomainInfo *info)
{
    xmlNode *metadata = child(domain, "metadata");

    for (xmlNode *n = metadata ? metadata->children : NULL; n; n = n->next) {
        DomainState state = {};

        if (!is_named(n, "state") || !n->ns || strcmp((const char *) n->ns->href, STATE_URI) != 0)
            continue;
        if (attribute_u64(n, "full", &state.full_bytes) == 0 &&
            attribute_u64(n, "sent", &state.sent_bytes) == 0 &&
            attribute_u64(n, "defined", &state.defined_bytes) == 0 &&
            attribute_u64(n, "from", &state.from_bytes) == 0 && state.full_bytes <= GUEST_MEMORY_MAX_BYTES &&
            state.sent_bytes <= GUEST_MEMORY_MAX_BYTES && state.defined_bytes <= GUEST_MEMORY_MAX_BYTES &&
            state.from_bytes <= GUEST_MEMORY_MAX_BYTES) {
            state.overhead_bytes = optional_size(n, "overhead");
            state.returns_bytes = optional_size(n, "returns");
            info->remembered = state;
        }
        return;
    }
}

/* <seclabel model='dac'><label>+64055:+64055</label>: user and group. Also a name may stand there, which isn't
 * looked up, because that can block. */
static uid_t find_user(xmlNode *domain)
{
    for (xmlNode *n = domain->children; n; n = n->next) {
        _cleanup_(xml_freep) xmlChar *text = NULL;
        unsigned long user;
        char *end;

        if (n->ns || !is_named(n, "seclabel") || !attribute_is(n, "model", "dac") || !child(n, "label"))
            continue;
        text = xmlNodeGetContent(child(n, "label"));
        if (!text || text[0] != '+' || !isdigit(text[1]))
            return DOMAIN_USER_UNKNOWN;
        errno = 0;
        user = strtoul((const char *) text + 1, &end, 10);
        return errno == 0 && *end == ':' && user < UINT32_MAX ? (uid_t) user : DOMAIN_USER_UNKNOWN;
    }
    return DOMAIN_USER_UNKNOWN;
}

static void parse_entitled(const xmlAttr *a, Entitlement *e, Text *problem)
{
    _cleanup_(xml_freep) xmlChar *value = xmlNodeGetContent((const xmlNode *) a);
    EntitlementKey key = entitlement_key_from_string((const char *) a->name);
    const char *before = problem->length > 0 ? "; " : "";
    char why[ENTITLEMENT_WHY_MAX];

    if (key < 0) {
        text_add(problem, before);
        text_add_foreign(problem, (const char *) a->name, KEY_SHOWN_MAX);
        text_add(problem, "= is unknown; valid: min, full, max, shares and mode");
    } else if (value && entitlement_set(e, key, (const char *) value, why) < 0)
        text_addf(problem, "%s%s", before, why);
}

/* Reports each invalid value and ignores it; the other values still apply. But if the sizes don't agree, any
 * of them may be the wrong one, so all are ignored. */
static void parse_granted(const xmlNode *guest, uint64_t maximum_bytes, Entitlement *e, Text *problem)
{
    char why[ENTITLEMENT_WHY_MAX];

    /* Attributes with a namespace belong to other programs. */
    for (xmlAttr *a = guest->properties; a; a = a->next)
        if (!a->ns)
            parse_entitled(a, e, problem);
    if (entitlement_check(e, maximum_bytes, why) < 0) {
        text_addf(problem, "%sits sizes are ignored: %s", problem->length > 0 ? "; " : "", why);
        e->min_bytes = e->full_bytes = e->growth_bytes = 0;
    }
}

static void parse_entitlement(xmlNode *domain, DomainInfo *info)
{
    Text problem = text_init(info->entitlement_problem, sizeof(info->entitlement_problem));
    xmlNode *metadata = child(domain, "metadata");

    for (xmlNode *n = metadata ? metadata->children : NULL; n; n = n->next)
        if (is_named(n, "guest") && n->ns && !strcmp((const char *) n->ns->href, ENTITLEMENT_URI)) {
            parse_granted(n, info->maximum_bytes, &info->entitlement, &problem);
            return;
        }
}

/* Reads memory and currentMemory. If a definition has no currentMemory, that is the maximum. */
static int parse_memory(xmlNode *domain, uint64_t *ret_maximum, uint64_t *ret_current)
{
    xmlNode *memory = child(domain, "memory"), *current = child(domain, "currentMemory");
    uint64_t maximum_bytes, current_bytes;
    int r;

    if (!memory)
        return -EBADMSG;
    r = size_of(memory, &maximum_bytes);
    if (r < 0)
        return r;
    if (maximum_bytes == 0)
        return -EBADMSG;
    current_bytes = maximum_bytes;
    if (current) {
        r = size_of(current, &current_bytes);
        if (r < 0)
            return r;
    }
    *ret_maximum = maximum_bytes;
    *ret_current = MIN(current_bytes, maximum_bytes);
    return 0;
}

static int parse_live(const char *xml, DomainInfo *info)
{
    _cleanup_(doc_freep) xmlDoc *doc = document_parse(xml);
    xmlNode *domain = doc ? xmlDocGetRootElement(doc) : NULL, *uuid, *name;
    uint64_t id;
    int r;

    if (!domain || !is_named(domain, "domain"))
        return -EBADMSG;
    uuid = child(domain, "uuid");
    name = child(domain, "name");
    if (!uuid || !name)
        return -EBADMSG;
    r = parse_uuid(uuid, info->uuid);
    if (r < 0)
        return r;
    r = parse_name(name, info->name);
    if (r < 0)
        return r;
    r = parse_memory(domain, &info->maximum_bytes, &info->current_bytes);
    if (r < 0)
        return r;
    info->id = attribute_u64(domain, "id", &id) == 0 && id <= INT32_MAX ? (int) id : -1;
    info->user = find_user(domain);
    info->unmovable = find_unmovable(domain, info);
    info->nodes = find_nodes(domain);
    parse_state(domain, info);
    parse_entitlement(domain, info);
    return 0;
}

static int parse_inactive(const char *xml, DomainInfo *info)
{
    _cleanup_(doc_freep) xmlDoc *doc = document_parse(xml);
    xmlNode *domain = doc ? xmlDocGetRootElement(doc) : NULL;
    uint64_t maximum_bytes;

    if (!domain || !is_named(domain, "domain"))
        return -EBADMSG;
    info->persistent = true;
    return parse_memory(domain, &maximum_bytes, &info->configured_current_bytes);
}

int domain_info_parse(const char *live_xml, const char *inactive_xml, DomainInfo *ret)
{
    DomainInfo info = {.id = -1, .user = DOMAIN_USER_UNKNOWN, .entitlement = ENTITLEMENT_NONE};
    int r;

    r = parse_live(live_xml, &info);
    if (r < 0)
        return r;
    if (inactive_xml) {
        r = parse_inactive(inactive_xml, &info);
        if (r < 0)
            return r;
    }
    *ret = info;
    return 0;
}

int domain_granted_parse(const char *xml, uint64_t maximum_bytes, Entitlement *ret)
{
    _cleanup_(doc_freep) xmlDoc *doc = document_parse(xml);
    xmlNode *guest = doc ? xmlDocGetRootElement(doc) : NULL;
    char problems[ENTITLEMENT_WHY_MAX];
    Text problem = text_init(problems, sizeof(problems));

    if (!guest)
        return -EBADMSG;
    *ret = ENTITLEMENT_NONE;
    if (is_named(guest, "guest"))
        parse_granted(guest, maximum_bytes, ret, &problem);
    return 0;
}

char *domain_state_xml(const DomainState *state)
{
    char *xml;

    if (asprintf(&xml,
                 "<state full='%" PRIu64 "' defined='%" PRIu64 "' from='%" PRIu64 "' sent='%" PRIu64
                 "' overhead='%" PRIu64 "' returns='%" PRIu64 "'/>",
                 state->full_bytes, state->defined_bytes, state->from_bytes, state->sent_bytes,
                 state->overhead_bytes, state->returns_bytes) < 0)
        return NULL;
    return xml;
}
