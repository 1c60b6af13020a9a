/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the multi-gen LRU's file says of page cache, and the commands that are written to it. */

#include <string.h>

#include "guest-agent/mglru.h"
#include "tests/unit/run.h"

/* As Linux 6.1 writes it. */
static const char two_cgroups[] = "memcg     1 /\n"
                                  " node     0\n"
                                  "          2      74616        870      20512 \n"
                                  "          3      64616        808        100 \n"
                                  "          4      12292          5         30 \n"
                                  "          5         40          0          7 \n"
                                  "memcg    23 /system.slice/a unit.service\n"
                                  " node     0\n"
                                  "          0       3096          0          0 \n"
                                  "          1       3096          0          9 \n"
                                  "          2       3096        873          0 \n"
                                  "          3       3096        733          0 \n"
                                  " node     1\n"
                                  "          8       1000          0          0 \n"
                                  "          9          0          1          2 \n";

START_TEST(every_list_is_read)
{
    const char *at = two_cgroups;
    uint64_t memcg = 0;
    MglruList l;

    ck_assert_int_eq(mglru_next(&at, &memcg, &l), 1);
    ck_assert_uint_eq(l.memcg, 1);
    ck_assert_uint_eq(l.node, 0);
    ck_assert_uint_eq(l.n, 4);
    ck_assert_uint_eq(l.generation[0].number, 2);
    ck_assert_uint_eq(l.generation[0].age_usec, 74616 * USEC_PER_MSEC);
    ck_assert_uint_eq(l.generation[0].file_pages, 20512);
    ck_assert_uint_eq(l.generation[3].file_pages, 7);
    ck_assert_int_eq(mglru_next(&at, &memcg, &l), 1);
    ck_assert_uint_eq(l.memcg, 23);
    ck_assert_uint_eq(l.node, 0);
    ck_assert_int_eq(mglru_next(&at, &memcg, &l), 1);
    ck_assert_uint_eq(l.memcg, 23);
    ck_assert_uint_eq(l.node, 1);
    ck_assert_uint_eq(l.n, 2);
    ck_assert_int_eq(mglru_next(&at, &memcg, &l), 0);
    ck_assert_int_eq(mglru_next(&at, &memcg, &l), 0);
}
END_TEST

/* What stayed behind at the birth of the youngest generation was unused since its own birth. */
START_TEST(cold_is_what_aging_left_behind)
{
    const char *at = two_cgroups;
    uint64_t memcg = 0;
    MglruList l;

    ck_assert_int_eq(mglru_next(&at, &memcg, &l), 1);
    ck_assert_uint_eq(mglru_cold_pages(&l, 10 * USEC_PER_SEC), 20512 + 100 + 30);
    ck_assert_uint_eq(mglru_cold_pages(&l, 60 * USEC_PER_SEC), 20512 + 100);
    ck_assert_uint_eq(mglru_cold_pages(&l, 70 * USEC_PER_SEC), 20512);
    ck_assert_uint_eq(mglru_cold_pages(&l, 600 * USEC_PER_SEC), 0);
    /* Never aged: nothing is known. */
    ck_assert_int_eq(mglru_next(&at, &memcg, &l), 1);
    ck_assert_uint_eq(mglru_cold_pages(&l, 1), 0);
}
END_TEST

START_TEST(the_two_youngest_generations_are_spared)
{
    const char *at = two_cgroups;
    char command[MGLRU_COMMAND_MAX];
    uint64_t memcg = 0;
    MglruList l;

    ck_assert_int_eq(mglru_next(&at, &memcg, &l), 1);
    ck_assert(mglru_may_evict(&l, 0));
    ck_assert(mglru_may_evict(&l, 1));
    ck_assert(!mglru_may_evict(&l, 2));
    ck_assert(!mglru_may_evict(&l, 3));
    ck_assert_str_eq(mglru_evict_command(command, &l, 1, 1024), "- 1 0 3 0 1024\n");
    ck_assert_str_eq(mglru_age_command(command, &l), "+ 1 0 5\n");
    ck_assert_int_eq(mglru_next(&at, &memcg, &l), 1);
    ck_assert(!mglru_may_evict(&l, 0)); /* it has no page cache */
    ck_assert(mglru_may_evict(&l, 1));
    ck_assert_int_eq(mglru_next(&at, &memcg, &l), 1);
    ck_assert(!mglru_may_evict(&l, 0)); /* there are but two */
}
END_TEST

static const char *const broken[] = {
    "1 2 3 4\n",
    " node 0\n 1 2 3\n",
    " node 0\n 1 2 3 x\n",
    " node 0\n 1 18446744073709551615 0 0\n",
    " node 0\n 1 -2 0 0\n",
    " node 0\nhello\n",
    " node 0\n 1 1 1 1\n 2 1 1 1\n 3 1 1 1\n 4 1 1 1\n 5 1 1 1\n 6 1 1 1\n 7 1 1 1\n 8 1 1 1\n 9 1 1 1\n",
};

START_TEST(broken_text_is_refused)
{
    const char *at = broken[_i];
    uint64_t memcg = 0;
    MglruList l;

    ck_assert_int_eq(mglru_next(&at, &memcg, &l), -EBADMSG);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("mglru");

    tcase_add_test(tc, every_list_is_read);
    tcase_add_test(tc, cold_is_what_aging_left_behind);
    tcase_add_test(tc, the_two_youngest_generations_are_spared);
    tcase_add_loop_test(tc, broken_text_is_refused, 0, (int) ELEMENTSOF(broken));
    return run_tests(tc);
}
