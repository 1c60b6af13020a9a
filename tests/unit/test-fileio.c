/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading whole files: base/fileio. */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fileio.h"
#include "tests/unit/run.h"

/* A file in memory with n letters, and its path. */
static int make_file(size_t n, char path[static 64])
{
    int fd = memfd_create("fileio", MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(write(fd, &(char){(char) ('a' + i % 26)}, 1), 1);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

START_TEST(test_limit)
{
    static const size_t sizes[] = {0, 1, 4094, 4095, 4096, 4097, 9000};

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t n = sizes[i], length;
        char path[64];

        fd = make_file(n, path);
        ck_assert_int_eq(fileio_read_regular(path, n, &text, &length), 0);
        ck_assert_uint_eq(length, n);
        ck_assert_uint_eq(strlen(text), n);
        ck_assert(n == 0 || text[n - 1] == (char) ('a' + (n - 1) % 26));
        if (n > 0) {
            char *unset = NULL;

            ck_assert_int_eq(fileio_read_regular(path, n - 1, &unset, &length), -EFBIG);
            ck_assert_ptr_null(unset);
        }
    }
}
END_TEST

START_TEST(test_again)
{
    _cleanup_free_ char *buf = NULL;
    _cleanup_close_ int fd = -EBADF;
    size_t size = 0, size_before;
    char path[64];

    fd = make_file(5000, path);
    ck_assert_int_eq(fileio_read(fd, true, 8000, &buf, &size), 5000);
    size_before = size;
    ck_assert_int_eq(fileio_read(fd, true, 8000, &buf, &size), 5000);
    ck_assert_uint_eq(size, size_before);
    ck_assert_int_eq(lseek(fd, 4990, SEEK_SET), 4990);
    ck_assert_int_eq(fileio_read(fd, false, 8000, &buf, &size), 10);
    ck_assert_int_eq(fileio_read(fd, false, 8000, &buf, &size), 0);
    ck_assert_str_eq(buf, "");
}
END_TEST

/* None of these may be waited for. */
START_TEST(test_not_regular)
{
    char folder[TEMP_FOLDER_MAX], path[64];
    char *text = NULL;
    size_t length;

    run_make_folder(folder);
    snprintf(path, sizeof(path), "%s/pipe", folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(fileio_read_regular(path, 10, &text, &length), -EMEDIUMTYPE);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(fileio_read_regular(path, 10, &text, &length), -ENOENT);
    ck_assert_int_eq(fileio_read_regular(folder, 10, &text, &length), -EISDIR);
    ck_assert_int_eq(rmdir(folder), 0);
    ck_assert_int_eq(fileio_read_regular("/dev/zero", 10, &text, &length), -EMEDIUMTYPE);
    ck_assert_ptr_null(text);
    ck_assert_str_eq(fileio_strerror(-EMEDIUMTYPE), "not a regular file");
    ck_assert_str_eq(fileio_strerror(-ENOENT), strerror(ENOENT));
}
END_TEST

/* A file of our own, and what somebody may put in the place of it, or of the name under which it is written first. */
START_TEST(test_a16_save)
{
    char folder[TEMP_FOLDER_MAX], path[64], temporary[68], other[64], *text = NULL;
    size_t length;

    run_make_folder(folder);
    snprintf(path, sizeof(path), "%s/saved", folder);
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    snprintf(other, sizeof(other), "%s/other", folder);
    ck_assert_int_eq(fileio_read_saved(path, 100, &text, &length), -ENOENT);
    ck_assert_int_eq(fileio_save(other, "another's"), 0);
    for (unsigned i = 0; i < 4; i++) {
        const char *place = i % 2 ? path : temporary;

        ck_assert_int_eq(i < 2 ? symlink(other, place) : mkfifo(place, 0600), 0);
        if (place == path)
            ck_assert_int_eq(fileio_read_saved(path, 100, &text, &length), -EMEDIUMTYPE);
        ck_assert_int_eq(fileio_save(path, "ours"), 0);
        ck_assert_int_eq(fileio_read_saved(path, 100, &text, &length), 0);
        ck_assert_str_eq(text, "ours");
        free(text);
        ck_assert_int_eq(access(temporary, F_OK), -1);
        ck_assert_int_eq(fileio_read_saved(other, 100, &text, &length), 0);
        ck_assert_str_eq(text, "another's");
        free(text);
        ck_assert_int_eq(unlink(path), 0);
    }
    ck_assert_int_eq(unlink(other), 0);
    /* What can't be replaced stays, and nothing is left of what was written first. */
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(fileio_save(path, "ours"), -EISDIR);
    ck_assert_int_eq(access(temporary, F_OK), -1);
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(fileio_save("/proc/nowhere/saved", "ours"), -ENOENT);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("fileio");

    tcase_add_test(tc, test_limit);
    tcase_add_test(tc, test_again);
    tcase_add_test(tc, test_not_regular);
    tcase_add_test(tc, test_a16_save);
    return run_tests(tc);
}
