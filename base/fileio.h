/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads a whole file into memory; writes to the kernel's files, and files of our own. */

#include "base/macro.h"

/* Reads fd to its end, from where it is, or from its beginning (then the place in it doesn't move). *buf has
 * *size bytes (NULL, 0 at first) and grows to what is needed; it is the caller's to free, also on failure, and
 * may be used again. What is read is NUL-terminated. Its length, or -errno; -EFBIG where it is more than
 * max. */
ssize_t fileio_read(int fd, bool from_start, size_t max, char **buf, size_t *size);

/* The text of a regular file, NUL-terminated; the caller frees it. -errno; -EFBIG where it is more than max
 * bytes; -EISDIR; -EMEDIUMTYPE where it isn't a regular file otherwise. Never waits for a writer, as opening a
 * pipe would. */
int fileio_read_regular(const char *path, size_t max, char **ret, size_t *ret_length);
/* The same for a file that fileio_save() wrote. A link in its place isn't followed: -EMEDIUMTYPE. */
int fileio_read_saved(const char *path, size_t max, char **ret, size_t *ret_length);
/* What strerror() says, and of -EMEDIUMTYPE "not a regular file". r is -errno. */
const char *fileio_strerror(int r);

/* Writes text to an existing file by one write, as the kernel's files need it. Returns 0 or -errno, of opening
 * it or of the write; -EIO if only a part was taken. */
int fileio_write(const char *path, const char *text);
/* Replaces the file, or whatever is in its place, by a new one with the text: all of it, or nothing changes. It is
 * written under the name "<path>.new" first. Neither that name nor the path is followed if it is a link. 0 or -errno. */
int fileio_save(const char *path, const char *text);
