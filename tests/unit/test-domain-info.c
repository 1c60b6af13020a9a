/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is read from a domain's XML. */

#include <string.h>

#include "base/units.h"
#include "host-agent/libvirt/domain-info.h"
#include "tests/entitlement-equal.h"
#include "tests/unit/run.h"

#define UUID    "11111111-2222-3333-4444-5555555555aa"
#define BALLOON "<memballoon model='virtio'/>"

static char *read_fixture(const char *name)
{
    const char *source = getenv("BALLAST_SOURCE");
    _cleanup_fclose_ FILE *f = NULL;
    char path[4096], *text = calloc(1, 65536);

    ck_assert_ptr_nonnull(source);
    snprintf(path, sizeof(path), "%s/tests/fixtures/%s", source, name);
    f = fopen(path, "re");
    ck_assert_msg(f && text, "%s can't be read", path);
    ck_assert_uint_gt(fread(text, 1, 65535, f), 0);
    return text;
}

/* A domain with something in it, and something in its devices. */
static char *domain_with(const char *inside, const char *devices)
{
    char *xml;

    ck_assert_int_gt(asprintf(&xml,
                              "<domain type='kvm' id='7'><name>vm</name><uuid>" UUID "</uuid>"
                              "<memory unit='KiB'>4194304</memory>%s<devices>%s</devices></domain>",
                              inside, devices),
                     0);
    return xml;
}

static DomainInfo parsed(const char *live, const char *inactive)
{
    DomainInfo info;

    ck_assert_int_eq(domain_info_parse(live, inactive, &info), 0);
    return info;
}

START_TEST(what_libvirt_writes)
{
    _cleanup_free_ char *live = read_fixture("domain-small.xml");
    _cleanup_free_ char *inactive = read_fixture("domain-small-inactive.xml");
    DomainInfo info = parsed(live, inactive);

    ck_assert_str_eq(info.uuid, UUID);
    ck_assert_str_eq(info.name, "small");
    ck_assert_int_eq(info.id, 1);
    ck_assert(info.persistent && info.has_balloon && info.autodeflate && info.free_page_reporting);
    ck_assert_uint_eq(info.maximum_bytes, 64 * MIB);
    ck_assert_uint_eq(info.current_bytes, 64 * MIB);
    ck_assert_uint_eq(info.configured_current_bytes, 48 * MIB);
    ck_assert_uint_eq(info.stats_period_sec, 5);
    ck_assert(info.has_channel);
    ck_assert_ptr_null(info.unmovable);
    ck_assert_uint_eq(info.remembered.full_bytes, 48 * MIB);
    ck_assert_uint_eq(info.remembered.sent_bytes, 40 * MIB);
}
END_TEST

START_TEST(a_transient_domain_has_no_configured_size)
{
    _cleanup_free_ char *live = read_fixture("domain-small.xml");
    DomainInfo info = parsed(live, NULL);

    ck_assert(!info.persistent);
    ck_assert_uint_eq(info.configured_current_bytes, 0);
}
END_TEST

START_TEST(a_definition_that_isnt_running)
{
    _cleanup_free_ char *inactive = read_fixture("domain-small-inactive.xml");

    ck_assert_int_eq(parsed(inactive, inactive).id, -1);
}
END_TEST

START_TEST(pinned_memory)
{
    static const struct {
        const char *what, *inside, *devices, *unmovable;
    } cases[] = {
        {"nothing", "", BALLOON, NULL},
        {"no balloon at all", "", "", "no balloon device"},
        {"balloon none", "", "<memballoon model='none'/>", "no balloon device"},
        {"PCI device", "", BALLOON "<hostdev mode='subsystem' type='pci'/>", "hostdev"},
        {"mediated device", "", BALLOON "<hostdev mode='subsystem' type='mdev' model='vfio-pci'/>",
         "hostdev"},
        {"crypto adapter", "", BALLOON "<hostdev mode='subsystem' type='mdev' model='vfio-ap'/>", NULL},
        {"USB device", "", BALLOON "<hostdev mode='subsystem' type='usb'/>", NULL},
        {"interface passed through", "", BALLOON "<interface type='hostdev'/>", "hostdev"},
        {"vDPA interface", "", "<interface type='vdpa'/>" BALLOON, "hostdev"},
        {"bridged interface", "", BALLOON "<interface type='bridge'/>", NULL},
        {"NVMe disk", "", BALLOON "<disk type='nvme' device='disk'/>", "hostdev"},
        {"file disk", "", BALLOON "<disk type='file' device='disk'/>", NULL},
        {"huge pages", "<memoryBacking><hugepages/></memoryBacking>", BALLOON, "hugepages"},
        {"locked", "<memoryBacking><nosharepages/><locked/></memoryBacking>", BALLOON, "locked memory"},
        {"shared only", "<memoryBacking><access mode='shared'/></memoryBacking>", BALLOON, NULL},
        {"SEV", "<launchSecurity type='sev'><policy>0x3</policy></launchSecurity>", BALLOON,
         "launch security"},
        {"TDX", "<launchSecurity type='tdx'/>", BALLOON, "launch security"},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_free_ char *xml = domain_with(cases[i].inside, cases[i].devices);
        const char *unmovable = parsed(xml, NULL).unmovable;

        ck_assert_msg(!unmovable == !cases[i].unmovable &&
                          (!unmovable || !strcmp(unmovable, cases[i].unmovable)),
                      "%s: %s", cases[i].what, unmovable ? unmovable : "not unmovable");
    }
}
END_TEST

START_TEST(balloon_and_channel)
{
    _cleanup_free_ char *plain = domain_with("", "<memballoon model='virtio-non-transitional'/>");
    _cleanup_free_ char *other = domain_with(
        "", BALLOON "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
                    "<channel type='unix'><target type='guestfwd' name='org.ballast.guest.0'/></channel>");
    DomainInfo info = parsed(plain, NULL);

    ck_assert(info.has_balloon && !info.autodeflate && !info.free_page_reporting && !info.has_channel);
    ck_assert_uint_eq(info.stats_period_sec, 0);
    ck_assert(!parsed(other, NULL).has_channel);
}
END_TEST

START_TEST(the_user_of_its_process)
{
    static const struct {
        const char *inside;
        uid_t user;
    } cases[] = {
        {"", DOMAIN_USER_UNKNOWN},
        {"<seclabel type='dynamic' model='apparmor'><label>+1:+1</label></seclabel>"
         "<seclabel type='dynamic' model='dac'><label>+64055:+108</label></seclabel>",
         64055},
        {"<seclabel type='static' model='dac'><label>+0:+0</label></seclabel>", 0},
        {"<seclabel type='dynamic' model='dac'/>", DOMAIN_USER_UNKNOWN},
        {"<seclabel type='none' model='dac'/>", DOMAIN_USER_UNKNOWN},
        {"<seclabel model='dac'><label>qemu:qemu</label></seclabel>", DOMAIN_USER_UNKNOWN},
        {"<seclabel model='dac'><label>+107</label></seclabel>", DOMAIN_USER_UNKNOWN},
        {"<seclabel model='dac'><label>+-1:+1</label></seclabel>", DOMAIN_USER_UNKNOWN},
        {"<seclabel model='dac'><label>+4294967295:+1</label></seclabel>", DOMAIN_USER_UNKNOWN},
        {"<seclabel model='dac'><label>+99999999999999999999:+1</label></seclabel>", DOMAIN_USER_UNKNOWN},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_free_ char *xml = domain_with(cases[i].inside, BALLOON);

        ck_assert_msg(parsed(xml, NULL).user == cases[i].user, "%s: %u", cases[i].inside,
                      parsed(xml, NULL).user);
    }
}
END_TEST

/* Only memory that can come from no other node is bound. */
START_TEST(test_b_c_the_nodes_that_it_is_bound_to)
{
#define CELLS        "<cpu><numa><cell id='0' memory='1'/><cell id='1' memory='1'/></numa></cpu>"
#define TUNE(inside) "<numatune>" inside "</numatune>"
    static const struct {
        const char *xml;
        uint64_t nodes;
    } cases[] = {
        {"", 0},
        {TUNE("<memory mode='strict' nodeset='0'/>"), 1},
        {TUNE("<memory mode='restrictive' nodeset='1,3-4'/>"), 26},
        {TUNE("<memory mode='preferred' nodeset='0'/>"), 0},
        {TUNE("<memory mode='interleave' nodeset='0-1'/>"), 0},
        {TUNE("<memory nodeset='0'/>"), 0},
        /* numad chose them, and libvirt doesn't show which. */
        {"<vcpu placement='auto'>2</vcpu>" TUNE("<memory mode='strict' placement='auto'/>"), 0},
        {TUNE("<memory mode='strict' nodeset='64'/>"), 0},
        {TUNE("<memory mode='strict' nodeset='0,x'/>"), 0},
        {TUNE("<memory mode='strict' nodeset=''/>"), 0},
        {TUNE("<memory mode='strict' nodeset='99999999999999999999999'/>"), 0},
        {TUNE(""), 0},
        {CELLS TUNE("<memory mode='strict' nodeset='0'/><memnode cellid='1' mode='strict' nodeset='2'/>"), 5},
        {CELLS TUNE("<memory mode='strict' nodeset='0'/><memnode cellid='1' mode='preferred' nodeset='2'/>"),
         0},
        {CELLS TUNE("<memory mode='preferred' nodeset='0'/><memnode cellid='1' mode='strict' nodeset='2'/>"),
         0},
        {CELLS TUNE(
             "<memnode cellid='0' mode='strict' nodeset='0'/><memnode cellid='1' mode='strict' nodeset='1'/>"),
         3},
        {CELLS TUNE("<memnode cellid='0' mode='strict' nodeset='0'/>"), 0},
        {TUNE("<memory xmlns='urn:other' mode='strict' nodeset='0'/>"), 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_free_ char *xml = domain_with(cases[i].xml, BALLOON);
        uint64_t nodes = parsed(xml, NULL).nodes;

        ck_assert_msg(nodes == cases[i].nodes, "%s: %lx", cases[i].xml, (unsigned long) nodes);
    }
#undef CELLS
#undef TUNE
}
END_TEST

START_TEST(units_of_memory)
{
    static const struct {
        const char *memory;
        uint64_t bytes; /* 0: refused */
    } cases[] = {
        {"<memory>1024</memory>", MIB},
        {"<memory unit='KiB'> 1024\n</memory>", MIB},
        {"<memory unit='GiB'>2</memory>", 2 * GIB},
        {"<memory unit='G'>2</memory>", 2 * GIB},
        {"<memory unit='GB'>2</memory>", 2000000000},
        {"<memory unit='bytes'>4096</memory>", 4096},
        {"<memory unit='TiB'>1</memory>", TIB},
        {"<memory unit='PiB'>1</memory>", 0},
        {"<memory unit='KiB'>0</memory>", 0},
        {"<memory unit='KiB'>-1</memory>", 0},
        {"<memory unit='KiB'>1x</memory>", 0},
        {"<memory unit='KiB'/>", 0},
        {"<memory unit='TiB'>99999999</memory>", 0},
        {"<memory unit='KiB'>99999999999999999999999</memory>", 0},
        {"", 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_free_ char *xml = NULL;
        DomainInfo info;
        int r;

        ck_assert_int_gt(
            asprintf(&xml, "<domain><name>vm</name><uuid>" UUID "</uuid>%s</domain>", cases[i].memory), 0);
        r = domain_info_parse(xml, NULL, &info);
        ck_assert_msg(r == (cases[i].bytes ? 0 : -EBADMSG), "%s: %d", cases[i].memory, r);
        if (r == 0) {
            ck_assert_uint_eq(info.maximum_bytes, cases[i].bytes);
            ck_assert_uint_eq(info.current_bytes, cases[i].bytes);
        }
    }
}
END_TEST

START_TEST(current_memory)
{
    _cleanup_free_ char *less = domain_with("<currentMemory unit='GiB'>1</currentMemory>", BALLOON);
    _cleanup_free_ char *more = domain_with("<currentMemory unit='GiB'>9</currentMemory>", BALLOON);

    ck_assert_uint_eq(parsed(less, NULL).current_bytes, GIB);
    ck_assert_uint_eq(parsed(more, NULL).current_bytes, 4 * GIB);
}
END_TEST

START_TEST(odd_names)
{
    static const struct {
        const char *name, *result; /* NULL: refused */
    } cases[] = {
        {"a b", "a b"},           {"tab&#9;line&#10;", "tab?line?"},
        {"&lt;&amp;&gt;", "<&>"}, {"na\xc3\xafve", "na\xc3\xafve"},
        {"bad\xff", NULL},        {"", NULL},
        {"&nbsp;", NULL},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_free_ char *xml = NULL;
        DomainInfo info;
        int r;

        ck_assert_int_gt(
            asprintf(&xml, "<domain><name>%s</name><uuid>" UUID "</uuid><memory>1024</memory></domain>",
                     cases[i].name),
            0);
        r = domain_info_parse(xml, NULL, &info);
        ck_assert_msg(r == (cases[i].result ? 0 : -EBADMSG), "%s: %d", cases[i].name, r);
        if (r == 0)
            ck_assert_str_eq(info.name, cases[i].result);
    }
}
END_TEST

START_TEST(long_names_are_cut_between_characters)
{
    char name[DOMAIN_NAME_MAX + 10] = "";
    _cleanup_free_ char *xml = NULL;
    DomainInfo info;

    memset(name, 'x', DOMAIN_NAME_MAX - 1);
    strcat(name, "\xc3\xaf"
                 "end");
    ck_assert_int_gt(
        asprintf(&xml, "<domain><name>%s</name><uuid>" UUID "</uuid><memory>1024</memory></domain>", name),
        0);
    info = parsed(xml, NULL);
    ck_assert_uint_eq(strlen(info.name), DOMAIN_NAME_MAX - 1);
}
END_TEST

START_TEST(what_is_no_domain)
{
    static const char *const cases[] = {
        "",
        "no XML",
        "<domain>",
        "<network><name>n</name></network>",
        "<domain><name>vm</name><memory>1024</memory></domain>",
        "<domain><uuid>" UUID "</uuid><memory>1024</memory></domain>",
        "<domain><name>vm</name><uuid>short</uuid><memory>1024</memory></domain>",
        "<domain><name>vm</name><uuid>" UUID "0</uuid><memory>1024</memory></domain>",
        "<domain><name>v</name><uuid>1111111-22222-3333-4444-5555555555aa</uuid><memory>1</memory></domain>",
    };
    DomainInfo info;

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        ck_assert_msg(domain_info_parse(cases[i], NULL, &info) == -EBADMSG, "taken: %s", cases[i]);
}
END_TEST

START_TEST(uuids_are_lower_case)
{
    DomainInfo info = parsed("<domain><name>v</name><uuid>ABCDEF01-2345-6789-ABCD-EF0123456789</uuid>"
                             "<memory>1024</memory></domain>",
                             NULL);

    ck_assert_str_eq(info.uuid, "abcdef01-2345-6789-abcd-ef0123456789");
}
END_TEST

START_TEST(a_broken_inactive_definition_is_refused)
{
    _cleanup_free_ char *live = domain_with("", BALLOON);
    DomainInfo info;

    ck_assert_int_eq(domain_info_parse(live, "<domain/>", &info), -EBADMSG);
    ck_assert_int_eq(domain_info_parse(live, "", &info), -EBADMSG);
}
END_TEST

/* A megabyte from a few bytes, were entities expanded. */
#define BOMB                                                                                   \
    "<!DOCTYPE domain [<!ENTITY a 'x'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>"            \
    "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'><!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;'>" \
    "<!ENTITY e '&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;'><!ENTITY f '&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;'>]>"

START_TEST(document_types_and_entities_are_refused)
{
    static const char *const types[] = {
        "<!DOCTYPE domain>",
        "<!DOCTYPE domain SYSTEM 'file:///etc/passwd'>",
        BOMB,
    };
    _cleanup_free_ char *plain = domain_with("<title>&f;</title>", BALLOON);

    for (size_t i = 0; i < ELEMENTSOF(types); i++) {
        _cleanup_free_ char *xml = NULL;
        DomainInfo info;

        ck_assert_int_gt(asprintf(&xml, "%s%s", types[i], plain), 0);
        ck_assert_int_eq(domain_info_parse(xml, NULL, &info), -EBADMSG);
    }
}
END_TEST

START_TEST(too_large_or_too_deep_is_refused)
{
    size_t size = 5U << 20;
    _cleanup_free_ char *padding = malloc(size + 1), *large = NULL, *deep = malloc(3 * 10000 + 1),
                        *nested = NULL;
    DomainInfo info;

    ck_assert(padding && deep);
    memset(padding, ' ', size);
    padding[size] = '\0';
    large = domain_with(padding, BALLOON);
    ck_assert_int_eq(domain_info_parse(large, NULL, &info), -EBADMSG);
    for (size_t i = 0; i < 10000; i++)
        memcpy(deep + 3 * i, "<a>", 3);
    deep[30000] = '\0';
    nested = domain_with(deep, BALLOON);
    ck_assert_int_eq(domain_info_parse(nested, NULL, &info), -EBADMSG);
}
END_TEST

START_TEST(state_that_cant_be_is_forgotten)
{
    static const struct {
        const char *state;
        uint64_t full, sent;
    } cases[] = {
        {"<s:state xmlns:s='" STATE_URI "' full='2' defined='2' from='2' sent='1'/>", 2, 1},
        {"<state xmlns='" STATE_URI "' full='2' defined='2' from='2' sent='1'/>", 2, 1},
        {"<x:other xmlns:x='urn:x' full='9'/><s:state xmlns:s='" STATE_URI
         "' full='2' defined='2' from='2' sent='1'/>",
         2, 1},
        {"<s:state xmlns:s='urn:other' full='2' defined='2' from='2' sent='1'/>", 0, 0},
        {"<state full='2' defined='2' from='2' sent='1'/>", 0, 0},
        {"<s:state xmlns:s='" STATE_URI "' full='2'/>", 0, 0},
        {"<s:state xmlns:s='" STATE_URI "' full='-2' sent='1'/>", 0, 0},
        {"<s:state xmlns:s='" STATE_URI "' full='2' defined='2' from='2' sent='18446744073709551616'/>", 0,
         0},
        {"<s:state xmlns:s='" STATE_URI "' full='2' defined='2' from='2' sent='9000000000000000000'/>", 0, 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_free_ char *metadata = NULL, *xml = NULL;
        DomainInfo info;

        ck_assert_int_gt(asprintf(&metadata, "<metadata>%s</metadata>", cases[i].state), 0);
        xml = domain_with(metadata, BALLOON);
        info = parsed(xml, NULL);
        ck_assert_msg(info.remembered.full_bytes == cases[i].full &&
                          info.remembered.sent_bytes == cases[i].sent,
                      "%s", cases[i].state);
    }
}
END_TEST

START_TEST(what_is_remembered_can_be_read)
{
    _cleanup_free_ char *state = domain_state_xml(
                            &(DomainState){8 * GIB, 7 * GIB, 6 * GIB, 3 * GIB + 4096, 74 * MIB, 5 * GIB}),
                        *metadata = NULL, *xml = NULL;
    DomainInfo info;

    ck_assert_ptr_nonnull(state);
    /* libvirt puts the namespace in. */
    ck_assert_int_gt(asprintf(&metadata, "<metadata><b:state xmlns:b='" STATE_URI "' %s</metadata>",
                              state + strlen("<state ")),
                     0);
    xml = domain_with(metadata, BALLOON);
    info = parsed(xml, NULL);
    ck_assert_uint_eq(info.remembered.full_bytes, 8 * GIB);
    ck_assert_uint_eq(info.remembered.defined_bytes, 7 * GIB);
    ck_assert_uint_eq(info.remembered.from_bytes, 6 * GIB);
    ck_assert_uint_eq(info.remembered.sent_bytes, 3 * GIB + 4096);
    ck_assert_uint_eq(info.remembered.overhead_bytes, 74 * MIB);
    ck_assert_uint_eq(info.remembered.returns_bytes, 5 * GIB);
}
END_TEST

/* Earlier versions didn't store them, and what can't be is forgotten without the rest. */
START_TEST(overhead_and_returns_may_be_missing)
{
    static const struct {
        const char *optional;
        uint64_t overhead, returns;
    } cases[] = {
        {"", 0, 0},
        {"overhead='5'", 5, 0},
        {"overhead='-5'", 0, 0},
        {"overhead='9000000000000000000'", 0, 0},
        {"returns='7'", 0, 7},
        {"returns='0'", 0, 0},
        {"returns=''", 0, 0},
        {"returns='-7'", 0, 0},
        {"returns='7 MiB'", 0, 0},
        {"returns='all'", 0, 0},
        {"returns='9000000000000000000'", 0, 0},
        {"returns='18446744073709551616'", 0, 0},
        {"overhead='5' returns='7'", 5, 7},
        {"overhead='x' returns='7'", 0, 7},
        {"overhead='5' returns='x'", 5, 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_free_ char *metadata = NULL, *xml = NULL;
        DomainInfo info;

        ck_assert_int_gt(asprintf(&metadata,
                                  "<metadata><state xmlns='" STATE_URI
                                  "' full='2' defined='2' from='2' sent='1' %s/></metadata>",
                                  cases[i].optional),
                         0);
        xml = domain_with(metadata, BALLOON);
        info = parsed(xml, NULL);
        ck_assert_msg(info.remembered.full_bytes == 2 && info.remembered.sent_bytes == 1 &&
                          info.remembered.overhead_bytes == cases[i].overhead &&
                          info.remembered.returns_bytes == cases[i].returns,
                      "%s", cases[i].optional);
    }
}
END_TEST

/* A state that differs in nothing but that is written again. */
START_TEST(the_size_that_returns_is_a_part_of_the_state)
{
    DomainState a = {8 * GIB, 7 * GIB, 6 * GIB, 3 * GIB, 74 * MIB, 5 * GIB}, b = a;

    ck_assert(domain_state_equal(&a, &b));
    b.returns_bytes = 0;
    ck_assert(!domain_state_equal(&a, &b));
}
END_TEST

/* A domain of 4 GiB with that in its metadata. */
static DomainInfo granted(const char *element)
{
    _cleanup_free_ char *metadata = NULL, *xml = NULL;

    ck_assert_int_gt(asprintf(&metadata, "<metadata>%s</metadata>", element), 0);
    xml = domain_with(metadata, BALLOON);
    return parsed(xml, NULL);
}

#define UNSAID      .mode = GUEST_MODE_INVALID
#define GUEST(says) "<b:guest xmlns:b='" ENTITLEMENT_URI "' " says "/>"
#define SIZE        "it takes a size from 16MiB to 4096TiB, such as 1GiB"

START_TEST(what_the_guest_is_granted)
{
    static const struct {
        const char *element;
        Entitlement granted;
        const char *problem;
    } cases[] = {
        {"", {UNSAID}, ""},
        {GUEST(""), {UNSAID}, ""},
        {GUEST("min='1GiB' full='2GiB' max='4GiB' shares='2000' mode='auto'"),
         {GIB, 2 * GIB, 4 * GIB, 2000, GUEST_MODE_AUTO},
         ""},
        {GUEST("min='1073741824B' mode='off'"), {.min_bytes = GIB, .mode = GUEST_MODE_OFF}, ""},
        {GUEST("min='1048576' mode='off'"),
         {.mode = GUEST_MODE_OFF},
         "min=1048576 has no unit: 1048576KiB or 1048576B?"},
        {GUEST("min='' shares='&#49;0'"), {.shares = 10, UNSAID}, ""},
        {"<guest xmlns='" ENTITLEMENT_URI "' shares='7'/>", {.shares = 7, UNSAID}, ""},
        {"<x:other xmlns:x='urn:x' shares='9'/><b:guest xmlns:b='" ENTITLEMENT_URI
         "' shares='7'><b:guest shares='8'/></b:guest>",
         {.shares = 7, UNSAID},
         ""},
        /* others' */
        {"<guest shares='7'/>", {UNSAID}, ""},
        {"<b:guest xmlns:b='urn:ballast:guest:2' shares='7'/>", {UNSAID}, ""},
        {"<b:state xmlns:b='" ENTITLEMENT_URI "' shares='7'/>", {UNSAID}, ""},
        {"<b:guest xmlns:b='" ENTITLEMENT_URI "' xmlns:x='urn:x' x:min='lots' shares='7'/>",
         {.shares = 7, UNSAID},
         ""},
        /* what can't be is left out, and the rest counts */
        {GUEST("min='lots' max='4GiB' shares='5'"),
         {.growth_bytes = 4 * GIB, .shares = 5, UNSAID},
         "min=lots is not valid: " SIZE},
        {GUEST("shares='0' mode='on' min='1GiB'"),
         {.min_bytes = GIB, UNSAID},
         "shares=0 is out of range: it takes a whole number from 1 to 1000000; others have 1000; "
         "mode=on is not valid: it takes auto, observe or off"},
        {GUEST("maximum='4GiB' mode='observe'"),
         {.mode = GUEST_MODE_OBSERVE},
         "maximum= is unknown; valid: min, full, max, shares and mode"},
        {GUEST("min='&lt;&#10;\xc3\xa4' shares='5'"), {.shares = 5, UNSAID}, "min=<??? is not valid: " SIZE},
        /* sizes that don't agree */
        {GUEST("min='3GiB' full='2GiB' shares='5' mode='off'"),
         {.shares = 5, .mode = GUEST_MODE_OFF},
         "its sizes are ignored: min=3GiB is more than full=2GiB"},
        {GUEST("min='1GiB' max='5GiB'"),
         {UNSAID},
         "its sizes are ignored: max=5GiB is more than the domain's maximum memory, 4GiB"},
        {GUEST("mode='on' full='8GiB'"),
         {UNSAID},
         "mode=on is not valid: it takes auto, observe or off; its sizes are ignored: full=8GiB is more than the "
         "domain's maximum memory, 4GiB"},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        DomainInfo info = granted(cases[i].element);

        ck_assert_str_eq(info.entitlement_problem, cases[i].problem);
        ck_assert_msg(entitlement_equal(&info.entitlement, &cases[i].granted), "%s", cases[i].element);
    }
}
END_TEST

START_TEST(what_is_written_is_granted)
{
    const Entitlement e = {GIB + 1, 2 * GIB, 4 * GIB, 123456, GUEST_MODE_OBSERVE};
    _cleanup_free_ char *xml = entitlement_xml(&e), *element = NULL;
    DomainInfo info;

    ck_assert_ptr_nonnull(xml);
    ck_assert_int_gt(asprintf(&element, "<b:guest xmlns:b='" ENTITLEMENT_URI "' %s", xml + strlen("<guest ")),
                     0);
    info = granted(element);
    ck_assert(entitlement_equal(&info.entitlement, &e));
    ck_assert_str_eq(info.entitlement_problem, "");
}
END_TEST

/* However much is wrong, the problem is a text of its size, and what is right still counts. */
START_TEST(a_thousand_mistakes)
{
    _cleanup_free_ char *element = malloc(64 * 1024);
    DomainInfo info;
    size_t n;

    ck_assert_ptr_nonnull(element);
    n = (size_t) sprintf(element, "<b:guest xmlns:b='" ENTITLEMENT_URI "'");
    for (unsigned i = 0; i < 1000; i++)
        n += (size_t) sprintf(element + n, " wrong\xc3\xa4%u='a'", i);
    n += (size_t) sprintf(element + n, " shares='3' mode='");
    memset(element + n, 'x', 20000);
    strcpy(element + n + 20000, "'/>");
    info = granted(element);
    ck_assert_uint_eq(strlen(info.entitlement_problem), ENTITLEMENT_WHY_MAX - 1);
    ck_assert_ptr_nonnull(strstr(info.entitlement_problem, "wrong??0= is unknown"));
    ck_assert(entitlement_equal(&info.entitlement, &(Entitlement){.shares = 3, UNSAID}));
}
END_TEST

/* A definition for the next start counts from then on. */
START_TEST(the_running_definition_counts)
{
    _cleanup_free_ char *live = domain_with("<metadata>" GUEST("shares='3'") "</metadata>", BALLOON);
    _cleanup_free_ char *inactive =
        domain_with("<metadata>" GUEST("shares='4' min='no'") "</metadata>", BALLOON);
    DomainInfo info = parsed(live, inactive);

    ck_assert(entitlement_equal(&info.entitlement, &(Entitlement){.shares = 3, UNSAID}));
    ck_assert_str_eq(info.entitlement_problem, "");
}
END_TEST

/* The element alone, as virDomainGetMetadata() gives it. */
START_TEST(the_element_alone)
{
    static const struct {
        const char *xml;
        int r;
        Entitlement e;
    } rows[] = {
        {"<guest min='1GiB' shares='7'/>", 0, {.min_bytes = GIB, .shares = 7, UNSAID}},
        {"<guest/>", 0, {UNSAID}},
        {"<other min='1GiB'/>", 0, {UNSAID}},
        {"<guest min='lots' shares='7' x='1'/>", 0, {.shares = 7, UNSAID}},
        {"<guest min='2GiB' full='1GiB' mode='off'/>", 0, {.mode = GUEST_MODE_OFF}},
        {"<guest min='9GiB' shares='3'/>", 0, {.shares = 3, UNSAID}}, /* more than the maximum */
        {"<guest", -EBADMSG, {UNSAID}},
        {"", -EBADMSG, {UNSAID}},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Entitlement e = ENTITLEMENT_NONE;

        ck_assert_int_eq(domain_granted_parse(rows[i].xml, 8 * GIB, &e), rows[i].r);
        ck_assert_msg(entitlement_equal(&e, &rows[i].e), "%s", rows[i].xml);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("domain-info");

    tcase_add_test(tc, what_libvirt_writes);
    tcase_add_test(tc, a_transient_domain_has_no_configured_size);
    tcase_add_test(tc, a_definition_that_isnt_running);
    tcase_add_test(tc, pinned_memory);
    tcase_add_test(tc, balloon_and_channel);
    tcase_add_test(tc, the_user_of_its_process);
    tcase_add_test(tc, test_b_c_the_nodes_that_it_is_bound_to);
    tcase_add_test(tc, units_of_memory);
    tcase_add_test(tc, current_memory);
    tcase_add_test(tc, odd_names);
    tcase_add_test(tc, long_names_are_cut_between_characters);
    tcase_add_test(tc, what_is_no_domain);
    tcase_add_test(tc, uuids_are_lower_case);
    tcase_add_test(tc, a_broken_inactive_definition_is_refused);
    tcase_add_test(tc, document_types_and_entities_are_refused);
    tcase_add_test(tc, too_large_or_too_deep_is_refused);
    tcase_add_test(tc, state_that_cant_be_is_forgotten);
    tcase_add_test(tc, what_is_remembered_can_be_read);
    tcase_add_test(tc, overhead_and_returns_may_be_missing);
    tcase_add_test(tc, the_size_that_returns_is_a_part_of_the_state);
    tcase_add_test(tc, what_the_guest_is_granted);
    tcase_add_test(tc, what_is_written_is_granted);
    tcase_add_test(tc, a_thousand_mistakes);
    tcase_add_test(tc, the_running_definition_counts);
    tcase_add_test(tc, the_element_alone);

    return run_tests(tc);
}
