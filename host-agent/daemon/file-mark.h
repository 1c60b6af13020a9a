/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a file looked when it was read, so that a later change is seen. */

#include <sys/stat.h>

#include "base/macro.h"

typedef struct FileMark {
    char *path; /* NULL: no file is marked */
    int error;  /* 0, or -errno: it couldn't be found */
    struct stat st;
} FileMark;

/* Marks the file; call it before the file is read. 0 or -ENOMEM. */
int file_mark_set(FileMark *m, const char *path);
void file_mark_done(FileMark *m);
/* Whether the path has another file now, or one that was written since. */
bool file_mark_changed(const FileMark *m);
