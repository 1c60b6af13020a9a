# SPDX-License-Identifier: LGPL-2.1-or-later
"""A memory cgroup with a limit, and a swap file: a small host within this one, which can be put under real pressure
without pressure on the machine. Needs root."""

import errno
import os
import subprocess

from kernel import Unavailable
from waiting import note, wait

MIB = 1 << 20


def _hierarchy(v1, v2):
    """A folder for groups that this controller limits (its name in cgroup v1 and v2), and whether it is of v2."""
    with open('/proc/mounts') as f:
        mounts = [line.split()[1:4] for line in f]
    for folder, kind, options in mounts:
        if kind == 'cgroup' and v1 in options.split(','):
            return folder, False
    for folder, kind, _ in mounts:
        path = os.path.join(folder, 'cgroup.subtree_control')
        if kind == 'cgroup2' and os.path.exists(path):
            with open(path) as f:
                if v2 in f.read().split():
                    return folder, True
    raise Unavailable(f'no cgroup hierarchy here has the controller {v2} (v1: {v1})')


def _memory():
    return _hierarchy('memory', 'memory')


def _reads():
    return _hierarchy('blkio', 'io')


def _disk_of(path):
    """The number of the disk that a file is on, not of its partition."""
    st = os.stat(path).st_dev
    number = f'{os.major(st)}:{os.minor(st)}'
    folder = os.path.realpath(f'/sys/dev/block/{number}')
    if not os.path.exists(folder):
        raise Unavailable(f'{path} is not on a disk (device {number})')
    if os.path.exists(os.path.join(folder, 'partition')):
        folder = os.path.dirname(folder)
    with open(os.path.join(folder, 'dev')) as f:
        return f.read().strip()


def swap_off(folder):
    """Ends swapping to files in that folder."""
    with open('/proc/swaps') as f:
        files = [line.split()[0] for line in f]
    for path in files:
        if path.startswith(folder + '/'):
            subprocess.run(['swapoff', path], check=True)


def remove(folder):
    """Removes what a lab in that folder left behind; its processes have ended."""
    if os.geteuid() != 0:
        return
    swap_off(folder)
    for hierarchy in (_memory, _reads):
        try:
            os.rmdir(os.path.join(hierarchy()[0], os.path.basename(folder)))
        except (FileNotFoundError, Unavailable):
            pass


class SmallHost:
    def __init__(self, lab, mib=None, swap_mib=512):
        """With this limit (None: no limit yet). The lab removes it at its end."""
        if os.geteuid() != 0:
            raise Unavailable('a memory cgroup and a swap file take root')
        self.lab = lab
        self._make_swap(swap_mib)
        mount, self._v2 = _memory()
        self.folder = self._make(mount)
        self._reads = None
        if mib:
            self.limit(mib)

    def _make_swap(self, mib):
        path = self.lab.path('swap')
        with open(path, 'wb') as f:
            os.fchmod(f.fileno(), 0o600)
            os.posix_fallocate(f.fileno(), 0, mib * MIB)
        for command in ('mkswap', 'swapon'):
            r = subprocess.run([command, path], capture_output=True, text=True)
            if r.returncode:
                raise Unavailable(f'{command} {path}: {r.stderr.strip()}')

    def _make(self, mount):
        folder = os.path.join(mount, os.path.basename(self.lab.folder))
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as e:
            raise Unavailable(f'no cgroup can be made in {mount}: {e.strerror}')
        return folder

    def limit(self, mib):
        """None: none. Takes as long as the kernel takes to swap out what is above the limit."""
        value, none = mib and mib * MIB, 'max' if self._v2 else -1
        path = os.path.join(self.folder, 'memory.max' if self._v2 else 'memory.limit_in_bytes')

        def written():
            try:
                _write(path, value or none)
            except OSError as e:
                # Of v1, on a machine whose disk is busy: it gives up, and goes on when it is asked again.
                if e.errno != errno.EBUSY:
                    raise
                note('usage of the small host', self.usage())
                return False
            return True
        wait(f'the small host has a limit of {mib} MiB', written)

    def usage(self):
        """Bytes."""
        with open(os.path.join(self.folder, 'memory.current' if self._v2 else 'memory.usage_in_bytes')) as f:
            return int(f.read())

    def throttle_reads(self, iops):
        """Reads per second from the lab's disk, swap included, of the processes added after the first call; None: as
        many as they like."""
        mount, v2 = _reads()
        self._reads = self._make(mount)
        disk = _disk_of(self.lab.folder)
        if v2:
            _write(os.path.join(self._reads, 'io.max'), f'{disk} riops={iops or "max"}')
        else:
            _write(os.path.join(self._reads, 'blkio.throttle.read_iops_device'), f'{disk} {iops or 0}')

    def add(self, pid):
        """Memory that the process takes from now on counts."""
        for folder in filter(None, (self.folder, self._reads)):
            _write(os.path.join(folder, 'cgroup.procs'), pid)


def _write(path, value):
    with open(path, 'w') as f:
        f.write(f'{value}\n')


def faults_and_swapped(pid):
    """What a process read back from swap (its major faults), and bytes of it that are in swap now."""
    with open(f'/proc/{pid}/stat') as f:
        major = int(f.read().rpartition(')')[2].split()[9])
    with open(f'/proc/{pid}/status') as f:
        swapped = next(int(line.split()[1]) << 10 for line in f if line.startswith('VmSwap:'))
    return major, swapped
