/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The QEMU processes of the guests: finds them, and reads what each holds of the host's memory.
 *
 * libvirt doesn't say which process a domain's QEMU is. Its arguments do: libvirt writes "-uuid UUID", and where
 * the domain has its own SMBIOS values also "-smbios type=1,…,uuid=UUID". Since anyone can start a process with
 * such arguments, only a process of the domain's user counts: the user of its DAC label. Where libvirt reports
 * none, root, a system user and our own user count. The arguments of others aren't read: they may never come
 * (base/process.h).
 *
 * /proc may hide the processes of other users (hidepid), and the hypervisor may be another machine: then no
 * process is found, and the caller makes do with what libvirt reports. */

#include <stdatomic.h>
#include <sys/types.h>

#include "base/cgroupfs.h"
#include "host-agent/guest/held.h"
#include "host-agent/libvirt/domain-info.h"

#define QEMU_UUID_MAX      37U     /* with its NUL */
#define QEMU_PROCESSES_MAX 100000U /* that are looked through */

typedef struct QemuReader {
    const char *proc_root;
    int proc_fd;
    CgroupMounts *mounts; /* NULL: not read yet */
} QemuReader;

/* proc_root must outlive it. */
void qemu_reader_init(QemuReader *r, const char *proc_root);
void qemu_reader_done(QemuReader *r);

typedef struct QemuProcess {
    pid_t pid;            /* 0: not known */
    uint64_t start_ticks; /* together with pid, this names one process for ever */
    ProcessLook known;    /* the last look that read all … */
    unsigned since;       /* … and how many looks ago that was */
    char *cgroup; /* the folder of the memory cgroup that it has to itself; ""; NULL: not looked for yet */
    bool cgroup_v2;
} QemuProcess;

void qemu_process_done(QemuProcess *p);

/* A domain whose process is looked for. */
typedef struct QemuWanted {
    char uuid[QEMU_UUID_MAX]; /* of the domain, in lower case */
    uid_t user;               /* its DAC label's; DOMAIN_USER_UNKNOWN: not known */
    pid_t pid;                /* 0: not known yet */
    uint64_t start_ticks;
} QemuWanted;

/* Goes once through all processes and fills in those that aren't known (of n, sorted by UUID), the first one of each.
 * Those that are known are passed over. *at is the process that is looked at. Takes some 20 µs for each process of the
 * host, or for ever: see qemu-search.h. Returns how many were found, or -errno. */
int qemu_find(const char *proc_root, QemuWanted *wanted, size_t n, _Atomic pid_t *at);

/* Reads a process. merged: KSM runs, so look how much of it was merged. 0; -ESRCH: it has ended (the number may
 * be another process's now), and qemu_process_done() makes it be looked for again; or another -errno. */
int qemu_look(QemuReader *r, QemuProcess *p, bool merged, ProcessLook *ret);

/* The UUID among the arguments of a process (/proc/<pid>/cmdline, each argument with a NUL), in lower case.
 * -ENOENT: there is none. */
int qemu_uuid(const char *arguments, size_t length, char ret[static QEMU_UUID_MAX]);
/* The folder of the cgroup that libvirt made for one domain, from a path in /proc/<pid>/cgroup: the process is
 * in a part of it, such as ".scope/libvirt/emulator". Returns the folder's length in path; 0: it is in a cgroup
 * that it may share with others. */
size_t qemu_cgroup_length(const char *path, size_t length);
