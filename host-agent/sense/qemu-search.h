/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A search for the guests' QEMU processes, in a thread of its own, which may never end.
 *
 * It reads the arguments of processes, and those of a hostile process may never come (base/process.h). qemu_find() reads
 * only what belongs to the users that run guests; but a guest that has broken out of its QEMU is such a user. The
 * thread can't be ended then. It ends when that process does. */

#include "host-agent/sense/qemu.h"

typedef struct QemuSearch QemuSearch;

/* Starts one. wanted (n) is as for qemu_find(), and copied. 0 or -errno. */
int qemu_search_start(const char *proc_root, const QemuWanted *wanted, size_t n, QemuSearch **ret);
/* The result of qemu_find(), and what it was given; -EAGAIN: the search goes on. */
int qemu_search_result(const QemuSearch *s, const QemuWanted **ret, size_t *ret_n);
/* The process that it looks at. */
pid_t qemu_search_process(const QemuSearch *s);
/* Also before it has ended. */
QemuSearch *qemu_search_free(QemuSearch *s);
