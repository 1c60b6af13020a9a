# SPDX-License-Identifier: LGPL-2.1-or-later
"""A memory cgroup with a limit, and a swap file: a small host within this one, which can be put under real pressure
while the machine itself has none. Needs root."""

import os
import subprocess

from kernel import Unavailable

SWAP_MIB = 512
MIB = 1 << 20


def _hierarchy():
    """Where groups with a memory limit can be made, and the names of their files: (folder, limit)."""
    with open('/proc/mounts') as f:
        mounts = [line.split()[1:4] for line in f]
    for folder, kind, options in mounts:
        if kind == 'cgroup' and 'memory' in options.split(','):
            return folder, 'memory.limit_in_bytes'
    for folder, kind, _ in mounts:
        path = os.path.join(folder, 'cgroup.subtree_control')
        if kind == 'cgroup2' and os.path.exists(path):
            with open(path) as f:
                if 'memory' in f.read().split():
                    return folder, 'memory.max'
    raise Unavailable('no cgroup hierarchy here limits memory')


def swap_off(folder):
    """Ends swapping to files in that folder."""
    with open('/proc/swaps') as f:
        files = [line.split()[0] for line in f]
    for path in files:
        if path.startswith(folder + '/'):
            subprocess.run(['swapoff', path], check=True)


def remove(folder):
    """What a lab in that folder left behind; its processes have ended."""
    if os.geteuid() != 0:
        return
    swap_off(folder)
    try:
        os.rmdir(os.path.join(_hierarchy()[0], os.path.basename(folder)))
    except (FileNotFoundError, Unavailable):
        pass


class SmallHost:
    def __init__(self, lab, mib):
        """As large as that. The lab takes it away at its end."""
        if os.geteuid() != 0:
            raise Unavailable('a memory cgroup and a swap file take root')
        mount, limit = _hierarchy()
        self._make_swap(lab)
        self.folder = os.path.join(mount, os.path.basename(lab.folder))
        try:
            os.mkdir(self.folder)
            self._write(limit, mib * MIB)
        except OSError as e:
            raise Unavailable(f'no memory cgroup can be made in {mount}: {e.strerror}')

    def _make_swap(self, lab):
        path = lab.path('swap')
        with open(path, 'wb') as f:
            os.fchmod(f.fileno(), 0o600)
            os.posix_fallocate(f.fileno(), 0, SWAP_MIB * MIB)
        for command in ('mkswap', 'swapon'):
            r = subprocess.run([command, path], capture_output=True, text=True)
            if r.returncode:
                raise Unavailable(f'{command} {path}: {r.stderr.strip()}')

    def _write(self, name, value):
        with open(os.path.join(self.folder, name), 'w') as f:
            f.write(f'{value}\n')

    def add(self, pid):
        """Memory that the process takes from now on counts."""
        self._write('cgroup.procs', pid)


def faults_and_swapped(pid):
    """What a process read back from swap (its major faults), and bytes of it that are in swap now."""
    with open(f'/proc/{pid}/stat') as f:
        major = int(f.read().rpartition(')')[2].split()[9])
    with open(f'/proc/{pid}/status') as f:
        swapped = next(int(line.split()[1]) << 10 for line in f if line.startswith('VmSwap:'))
    return major, swapped
