/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* PSI triggers: what is asked of the kernel, and that it grants it where it has PSI. */

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "base/macro.h"
#include "base/psi-trigger.h"
#include "tests/unit/run.h"

START_TEST(what_is_written)
{
    char folder[TEMP_FOLDER_MAX], path[96], text[64] = "";
    _cleanup_close_ int fd = -EBADF, file = -EBADF;
    usec_t window;

    run_make_folder(folder);
    snprintf(path, sizeof(path), "%s/memory.pressure", folder);

    ck_assert_int_eq(psi_trigger_open(path, "some", 150000, 2000000, &window), -ENOENT);

    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(file, 0);
    fd = psi_trigger_open(path, "some", 150000, 1000000, &window);
    ck_assert_int_ge(fd, 0);
    ck_assert_uint_eq(window, 1000000);
    ck_assert_int_gt(pread(file, text, sizeof(text) - 1, 0), 0);
    ck_assert_str_eq(text, "some 150000 1000000");
    ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);

    unlink(path);
    rmdir(folder);
}
END_TEST

START_TEST(what_no_kernel_takes)
{
    static const struct {
        usec_t stall, window;
    } cases[] = {{1000, 499999}, {1000, 10000001}, {0, 2000000}, {2000001, 2000000}, {1, USEC_INFINITY}};

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        ck_assert_int_eq(psi_trigger_open("/nowhere", "some", cases[i].stall, cases[i].window, NULL),
                         -EINVAL);
}
END_TEST

START_TEST(of_this_kernel)
{
    _cleanup_close_ int fd = -EBADF;
    struct pollfd p;
    usec_t window = 0;

    fd = psi_trigger_open("/proc/pressure/memory", "some", 300 * USEC_PER_MSEC, USEC_PER_SEC, &window);
    if (fd == -ENOENT || fd == -EOPNOTSUPP || fd == -EPERM || fd == -EACCES) {
        printf("skipped: this kernel gives no PSI trigger to this user: %s\n", strerror(-fd));
        return;
    }
    ck_assert_msg(fd >= 0, "%s", strerror(-fd));
    ck_assert_msg(window == USEC_PER_SEC || window == 2 * USEC_PER_SEC, "window %" PRIu64, window);

    /* It is a trigger: waiting for it is no error, and it has not fired for no reason. */
    p = (struct pollfd){.fd = fd, .events = POLLPRI};
    ck_assert_int_ge(poll(&p, 1, 0), 0);
    ck_assert(!(p.revents & (POLLERR | POLLNVAL)));

    ck_assert_int_lt(psi_trigger_open("/proc/pressure/memory", "somewhat", 1000, 2 * USEC_PER_SEC, NULL), 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("psi-trigger");

    tcase_add_test(tc, what_is_written);
    tcase_add_test(tc, what_no_kernel_takes);
    tcase_add_test(tc, of_this_kernel);
    return run_tests(tc);
}
