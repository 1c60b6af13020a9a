/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lowers vm.swappiness for a moment, and puts it back. */

#include "guest-agent/swappiness.h"

#include <fcntl.h>
#include <inttypes.h>

#include "base/fileio.h"
#include "base/macro.h"
#include "base/proc-table.h"

#define SWAPPINESS_MAX 200U

int swappiness_init(Swappiness *s, const char *proc_root, const char *run_folder)
{
    *s = (Swappiness){};
    if (asprintf(&s->path, "%s/sys/vm/swappiness", proc_root) < 0) {
        s->path = NULL;
        return -ENOMEM;
    }
    if (asprintf(&s->note, "%s/swappiness", run_folder) < 0) {
        s->note = NULL;
        return -ENOMEM;
    }
    return 0;
}

void swappiness_done(Swappiness *s)
{
    free(s->path);
    free(s->note);
    *s = (Swappiness){};
}

/* How a file is read: fileio_read_regular() or fileio_read_saved(). */
typedef int (*Read)(const char *path, size_t max, char **ret, size_t *ret_length);

static int read_number(Read read_file, const char *path, uint64_t *ret)
{
    _cleanup_free_ char *text = NULL;
    size_t length;
    uint64_t v;
    int r;

    r = read_file(path, 64, &text, &length);
    if (r >= 0)
        r = proc_parse_value(text, "", 1, &v);
    if (r < 0)
        return r;
    if (v > SWAPPINESS_MAX)
        return -EBADMSG;
    *ret = v;
    return 0;
}

/* write_file: fileio_write() or fileio_save(). */
static int write_number(int (*write_file)(const char *path, const char *text), const char *path, uint64_t v)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64 "\n", v);
    return write_file(path, text);
}

int swappiness_probe(const Swappiness *s)
{
    _cleanup_close_ int fd = open(s->path, O_RDWR | O_CLOEXEC);

    return fd < 0 ? -errno : 0;
}

int swappiness_lower(const Swappiness *s)
{
    uint64_t v;
    int r;

    r = read_number(fileio_read_regular, s->path, &v);
    if (r < 0 || v == 0)
        return r;
    r = write_number(fileio_save, s->note, v);
    if (r < 0)
        return r;
    r = write_number(fileio_write, s->path, 0);
    if (r < 0)
        (void) unlink(s->note);
    return r;
}

int swappiness_restore(const Swappiness *s)
{
    uint64_t before, v;
    int r, restored = 0;

    r = read_number(fileio_read_saved, s->note, &before);
    if (r == -ENOENT)
        return 0;
    if (r >= 0)
        r = read_number(fileio_read_regular, s->path, &v);
    if (r >= 0 && v == 0) {
        r = write_number(fileio_write, s->path, before);
        restored = 1;
    }
    /* A note that can't be used is of no use to the next one, either. */
    if ((r >= 0 || r == -EBADMSG) && unlink(s->note) < 0 && r >= 0)
        r = -errno;
    return r < 0 ? r : restored;
}
