/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A folder for what a fuzz target's subject reads from files. It is removed when the program ends. */

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FUZZ_PATH_MAX 96U

static char fuzz_folder[32];

static inline int fuzz_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static inline void fuzz_folder_done(void)
{
    (void) nftw(fuzz_folder, fuzz_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* Makes the folder, in memory if possible: on a disk each write takes a hundred times as long. Returns false if that was
 * done before. */
static inline bool fuzz_folder_init(void)
{
    static const char *const where[] = {"/dev/shm", "/tmp"};
    bool made = false;

    if (fuzz_folder[0])
        return false;
    for (size_t i = 0; i < 2 && !made; i++) {
        (void) snprintf(fuzz_folder, sizeof(fuzz_folder), "%s/ballast-fuzz-XXXXXX", where[i]);
        made = mkdtemp(fuzz_folder) != NULL;
    }
    if (!made || atexit(fuzz_folder_done) != 0)
        abort();
    return true;
}

/* The path of a file in the folder. Returns buf. */
static inline char *fuzz_path(char buf[static FUZZ_PATH_MAX], const char *name)
{
    (void) snprintf(buf, FUZZ_PATH_MAX, "%s/%s", fuzz_folder, name);
    return buf;
}

/* Writes a file, and the folders that its name has. */
static inline void fuzz_write(const char *name, const void *data, size_t length)
{
    char path[FUZZ_PATH_MAX];
    int fd;

    (void) fuzz_path(path, name);
    for (char *at = path + strlen(fuzz_folder) + 1; (at = strchr(at, '/')); *at++ = '/') {
        *at = '\0';
        (void) mkdir(path, 0755);
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, data, length) != (ssize_t) length)
        abort();
    (void) close(fd);
}

static inline void fuzz_write_text(const char *name, const char *text)
{
    fuzz_write(name, text, strlen(text));
}

/* The number that a file holds. */
static inline long long fuzz_read_number(const char *name)
{
    char path[FUZZ_PATH_MAX], text[32] = "";
    int fd = open(fuzz_path(path, name), O_RDONLY | O_CLOEXEC);

    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
        abort();
    (void) close(fd);
    return atoll(text);
}
