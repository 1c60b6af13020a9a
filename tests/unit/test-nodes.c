/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NUMA nodes: their sets as text, and their memory as the kernel reports it. */

#include "base/log.h"
#include "host-agent/sense/host-watch.h"
#include "tests/unit/caught-log.h"
#include "tests/unit/run.h"
#include "tests/unit/temp-folder.h"

#define NODES "devices/system/node"

START_TEST(test_a_set_of_nodes_as_text)
{
    static const struct {
        const char *text, *same; /* same: as it is written; NULL: refused */
        uint64_t nodes;
        int error;
    } cases[] = {
        {"0", "0", 1},
        {"0-1\n", "0-1", 3},
        {" 3,0-1", "0-1,3", 11},
        {"63", "63", UINT64_C(1) << 63},
        {"0-63", "0-63", UINT64_MAX},
        {"1,1,1-1", "1", 2},
        {"64", NULL, 0, -ERANGE},
        {"0-64", NULL, 0, -ERANGE},
        {"18446744073709551616", NULL, 0, -ERANGE},
        {"", NULL, 0, -EINVAL},
        {"\n", NULL, 0, -EINVAL},
        {"1-0", NULL, 0, -EINVAL},
        {"0,", NULL, 0, -EINVAL},
        {"0-", NULL, 0, -EINVAL},
        {"-1", NULL, 0, -EINVAL},
        {"0-3,^2", NULL, 0, -EINVAL},
        {"0 1", NULL, 0, -EINVAL},
        {"0x1", NULL, 0, -EINVAL},
    };
    char buf[NODE_SET_TEXT_MAX];

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        uint64_t nodes = 77;
        int r = node_set_parse(cases[i].text, &nodes);

        ck_assert_msg(r == cases[i].error, "\"%s\": %d", cases[i].text, r);
        ck_assert_uint_eq(nodes, r < 0 ? 77 : cases[i].nodes);
        if (r >= 0)
            ck_assert_str_eq(node_set_format(buf, nodes), cases[i].same);
    }
    ck_assert_str_eq(node_set_format(buf, 0), "");
    /* The longest text fits. */
    (void) node_set_format(buf, UINT64_C(0x5555555555555555));
    ck_assert_uint_lt(strlen(buf), sizeof(buf) - 1);
    ck_assert_str_eq(buf + strlen(buf) - 3, ",62");
}
END_TEST

static HostFields host(uint64_t available_bytes)
{
    HostFields h = {};

    host_fields_set(&h, HOST_FIELD_AVAILABLE, (double) available_bytes);
    return h;
}

START_TEST(test_what_a_node_has_available)
{
    char folder[TEMP_FOLDER_MAX];
    HostFields h = host(27 * GIB);
    Nodes n = {};

    temp_folder_init(folder);
    temp_file(folder, NODES "/online", "0-1,5\n");
    temp_node(folder, 0, 64 * GIB, 2 * GIB, 4 * GIB);
    temp_node(folder, 1, 64 * GIB, 20 * GIB, 10 * GIB);
    temp_node(folder, 5, 0, 0, 0);
    ck_assert_int_eq(nodes_read(&n, folder, &h), 0);
    ck_assert_ptr_nonnull(nodes_known(&n));
    ck_assert_uint_eq(n.n_memory, 2);
    ck_assert_uint_eq(n.nodes[0].total_bytes, 64 * GIB);
    ck_assert_uint_eq(n.nodes[0].free_bytes, 2 * GIB);
    /* 36 GiB are free or cache, and the kernel says that 27 of them are available. */
    ck_assert_uint_eq(n.nodes[0].available_bytes, 9 * GIB / 2);
    ck_assert_uint_eq(n.nodes[1].available_bytes, 45 * GIB / 2);
    ck_assert_uint_eq(n.nodes[5].total_bytes, 0);

    /* ZFS's cache, which is in no list. */
    h = host(44 * GIB);
    ck_assert_int_eq(nodes_read(&n, folder, &h), 0);
    ck_assert_uint_eq(n.nodes[0].available_bytes, 10 * GIB);
    ck_assert_uint_eq(n.nodes[1].available_bytes, 34 * GIB);

    /* Huge pages belong to nobody who could use less. */
    temp_file(folder, NODES "/node0/hugepages/hugepages-2048kB/nr_hugepages", "1024\n");
    temp_file(folder, NODES "/node0/hugepages/hugepages-1048576kB/nr_hugepages", "30\n");
    ck_assert_int_eq(nodes_read(&n, folder, &h), 0);
    ck_assert_uint_eq(n.nodes[0].total_bytes, 32 * GIB);

    /* A node goes. */
    temp_file(folder, NODES "/node1/meminfo", NULL);
    ck_assert_int_eq(nodes_read(&n, folder, &h), -ENOENT);
    ck_assert_ptr_null(nodes_known(&n));
    temp_file(folder, NODES "/online", "0\n");
    ck_assert_int_eq(nodes_read(&n, folder, &h), 0);
    ck_assert_ptr_null(nodes_known(&n));
    temp_folder_done(folder);
}
END_TEST

START_TEST(test_wrong_files)
{
    static const struct {
        const char *online, *meminfo;
        int error;
    } cases[] = {
        {"", "", -EBADMSG},
        {"0-99", "", -ERANGE},
        {"0-1", "", -EBADMSG},
        {"0-1", "Node 0 MemTotal: 5 kB\n", -EBADMSG},
        {"0-1", "Node 1 MemTotal: 5 kB\nNode 1 MemFree: 5 kB\nNode 1 Active(file): 5 kB\n", -EBADMSG},
    };
    HostFields h = host(GIB);

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char folder[TEMP_FOLDER_MAX];
        Nodes n = {};

        temp_folder_init(folder);
        temp_file(folder, NODES "/online", cases[i].online);
        temp_file(folder, NODES "/node0/meminfo", cases[i].meminfo);
        ck_assert_int_eq(nodes_read(&n, folder, &h), cases[i].error);
        ck_assert_ptr_null(nodes_known(&n));
        temp_folder_done(folder);
    }
}
END_TEST

/* A host with one node, or a kernel without NUMA, is looked at once; then the scope is set again. */
START_TEST(test_the_host_is_watched_with_its_nodes)
{
    static const SizeOrRatio nothing;
    char folder[TEMP_FOLDER_MAX];
    int log = stderr_pipe();
    sd_event *event;
    HostWatch w;

    log_open(LOG_INFO);
    temp_folder_init(folder);
    temp_meminfo(folder, 128 * GIB, 36 * GIB, 0, 0);
    ck_assert_int_ge(sd_event_new(&event), 0);
    host_watch_init(&w, event, folder, folder, NULL, NULL);
    ck_assert_int_eq(host_watch_read(&w, nothing, 1), 0);
    ck_assert_ptr_null(nodes_known(&w.nodes));
    temp_file(folder, NODES "/online", "0-1\n");
    temp_node(folder, 0, 64 * GIB, 2 * GIB, 4 * GIB);
    temp_node(folder, 1, 64 * GIB, 20 * GIB, 10 * GIB);
    ck_assert_int_eq(host_watch_read(&w, nothing, 1), 0);
    ck_assert_ptr_null(nodes_known(&w.nodes));
    host_watch_set_scope(&w, NULL);
    ck_assert_int_eq(host_watch_read(&w, (SizeOrRatio){.bytes = 18 * GIB}, 2), 0);
    ck_assert_ptr_nonnull(nodes_known(&w.nodes));
    ck_assert_uint_eq(w.nodes.nodes[0].available_bytes, 3 * GIB);
    ck_assert_uint_eq(caught_lines(log, "NUMA"), 0);
    temp_file(folder, NODES "/node0/meminfo", "rubbish");
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(host_watch_read(&w, nothing, 3 + i), 0);
    ck_assert_ptr_null(nodes_known(&w.nodes));
    ck_assert_uint_eq(caught_lines(log, "Cannot read the memory of the NUMA nodes"), 1);
    temp_file(folder, NODES "/online", "0\n");
    ck_assert_int_eq(host_watch_read(&w, nothing, 9), 0);
    ck_assert_uint_eq(caught_lines(log, "can be read again"), 1);
    temp_file(folder, NODES "/online", "0-1\n");
    ck_assert_int_eq(host_watch_read(&w, nothing, 10), 0);
    ck_assert_ptr_null(nodes_known(&w.nodes));
    host_watch_done(&w);
    sd_event_unref(event);
    temp_folder_done(folder);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("nodes");

    tcase_add_test(tc, test_a_set_of_nodes_as_text);
    tcase_add_test(tc, test_what_a_node_has_available);
    tcase_add_test(tc, test_wrong_files);
    tcase_add_test(tc, test_the_host_is_watched_with_its_nodes);
    return run_tests(tc);
}
