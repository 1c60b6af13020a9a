/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads from sysfs whether free page reporting is on, and which blocks it reports. */

#include "guest-agent/reporting.h"

#include <dirent.h>
#include <string.h>

#include "base/macro.h"
#include "base/proc-table.h"
#include "base/procfs.h"

#define DRIVER            "bus/virtio/drivers/virtio_balloon"
/* VIRTIO_BALLOON_F_REPORTING: its place in the device's features, a string of 0s and 1s. */
#define FEATURE_REPORTING 5
/* The kernel has no larger blocks; a larger parameter means that it isn't set yet. */
#define ORDER_MAX         20

/* Of the bound devices, the driver's folder has links called "virtio3" or so. There is rarely more than one. */
static int find_device(const char *root, char *path, size_t size)
{
    struct dirent *e;
    DIR *dir;

    snprintf(path, size, "%s/" DRIVER, root);
    dir = opendir(path);
    if (!dir)
        return -errno;
    do
        e = readdir(dir);
    while (e && strncmp(e->d_name, "virtio", 6) != 0);
    if (e)
        snprintf(path, size, DRIVER "/%s/features", e->d_name);
    closedir(dir);
    return e ? 0 : -ENOENT;
}

int reporting_read(const char *root, bool *ret_on)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    char path[PATH_MAX];
    int r;

    r = find_device(root, path, sizeof(path));
    if (r < 0)
        return r;
    r = proc_file_slurp(&f, root, path);
    if (r < 0)
        return r;
    if (strspn(f.buf, "01") <= FEATURE_REPORTING)
        return -EBADMSG;
    *ret_on = f.buf[FEATURE_REPORTING] == '1';
    return 0;
}

/* A number by itself in a file. */
static bool read_number(const char *root, const char *name, uint64_t *ret)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;

    return proc_file_slurp(&f, root, name) >= 0 && proc_parse_value(f.buf, "", 1, ret) >= 0;
}

int reporting_read_order(const char *root)
{
    uint64_t order, bytes, page = (uint64_t) sysconf(_SC_PAGESIZE);

    if (read_number(root, "module/page_reporting/parameters/page_reporting_order", &order) &&
        order <= ORDER_MAX)
        return (int) order;
    if (read_number(root, "kernel/mm/transparent_hugepage/hpage_pmd_size", &bytes) && bytes >= page &&
        bytes / page <= UINT64_C(1) << ORDER_MAX)
        return __builtin_ctzll(bytes / page);
    return -ENODATA;
}
