/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a file looked when it was read. */

#include "host-agent/daemon/file-mark.h"

#include <string.h>

static int look(const char *path, struct stat *ret)
{
    return stat(path, ret) < 0 ? -errno : 0;
}

int file_mark_set(FileMark *m, const char *path)
{
    char *copy = strdup(path);

    if (!copy)
        return -ENOMEM;
    free(m->path);
    *m = (FileMark){.path = copy};
    m->error = look(path, &m->st);
    return 0;
}

void file_mark_done(FileMark *m)
{
    free(m->path);
    *m = (FileMark){};
}

bool file_mark_changed(const FileMark *m)
{
    struct stat now = {};
    int r;

    if (!m->path)
        return false;
    r = look(m->path, &now);
    if (r < 0 || m->error < 0)
        return r != m->error;
    return now.st_dev != m->st.st_dev || now.st_ino != m->st.st_ino || now.st_size != m->st.st_size ||
           now.st_mtim.tv_sec != m->st.st_mtim.tv_sec || now.st_mtim.tv_nsec != m->st.st_mtim.tv_nsec;
}
