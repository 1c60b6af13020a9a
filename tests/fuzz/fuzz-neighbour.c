/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What /proc says of a process that may be another memory manager: its name, its arguments and its status, with a byte
 * 0xff between them. Anyone can choose the first two. */

#include "base/macro.h"
#include "base/process.h"
#include "host-agent/sense/neighbour-scan.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/fuzz.h"

enum { OWN_UID = 60000, SYSTEM_UID_END = 1000 };

/* The text up to the next 0xff, and where the next one begins. */
static size_t cut(const uint8_t **data, size_t *size, const uint8_t **ret)
{
    const uint8_t *end = memchr(*data, 0xff, *size);
    size_t length = end ? (size_t) (end - *data) : *size, taken = length + !!end;

    *ret = *data;
    *data += taken;
    *size -= taken;
    return length;
}

/* Only a system user's process counts, or one of ballastd's own user. */
static bool may_count(const uint8_t *status, size_t length)
{
    _cleanup_free_ char *text = strndup((const char *) status, length);
    uid_t uids[3];

    if (!text || process_uids_parse(text, uids) < 0)
        return false;
    for (size_t i = 0; i < ELEMENTSOF(uids); i++)
        if (uids[i] >= SYSTEM_UID_END && uids[i] != OWN_UID)
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *comm, *command, *status;
    size_t comm_length, command_length, status_length;
    pid_t pids[NEIGHBOUR_MAX];
    int r;

    if (size == 0)
        return 0;
    (void) fuzz_folder_init();
    comm_length = cut(&data, &size, &comm);
    command_length = cut(&data, &size, &command);
    status_length = cut(&data, &size, &status);
    fuzz_write("7/comm", comm, comm_length);
    fuzz_write("7/cmdline", command, command_length);
    fuzz_write("7/status", status, status_length);

    r = neighbour_scan(fuzz_folder, OWN_UID, pids);
    assert(r == 0);
    for (Neighbour n = 0; n < NEIGHBOUR_MAX; n++) {
        const char *name = neighbour_to_string(n);

        assert(pids[n] == 0 || pids[n] == 7);
        if (pids[n] == 0)
            continue;
        assert(n != NEIGHBOUR_BALLASTD && may_count(status, status_length));
        assert(memmem(comm, comm_length, name, strlen(name)) ||
               memmem(command, command_length, name, strlen(name)));
    }
    return 0;
}
