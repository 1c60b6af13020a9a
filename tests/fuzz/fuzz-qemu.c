/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What /proc says of a process: its arguments, which anyone can choose, its status, its times and its cgroup. */

#include <string.h>

#include "base/process.h"
#include "host-agent/sense/qemu.h"
#include "tests/fuzz/fuzz.h"

static void check_cgroup(const char *path, size_t length)
{
    size_t n = qemu_cgroup_length(path, length);

    assert(n <= length);
    assert(n == 0 || n == length || path[n] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = malloc(size + 1);
    char uuid[QEMU_UUID_MAX];
    ProcessStatus status;
    ProcessStat stat;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';

    if (qemu_uuid(text, size + 1, uuid) >= 0)
        assert(strlen(uuid) == QEMU_UUID_MAX - 1 && strspn(uuid, "0123456789abcdef-") == QEMU_UUID_MAX - 1);
    (void) qemu_uuid(text, size, uuid);
    if (process_status_parse(text, &status) >= 0)
        assert(strstr(text, "VmRSS:") && status.rss_bytes % 1024 == 0);
    assert(process_namespaces_parse(text) <= size / 2);
    if (process_stat_parse(text, &stat) >= 0)
        assert(strchr(text, ')'));
    check_cgroup(text, strlen(text));
    return 0;
}
