#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a cycle takes while the daemon's own host swaps: ballastd shares a memory cgroup that has swap with a process that
uses more than the cgroup's limit; with its pages locked in memory, and without. Needs root. One line for each figure,
"metric value unit"; exits with 77 if something is missing here.

usage: bench-swap.py BUILD"""

import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'lab'))

import cgroup  # noqa: E402
from daemon import Daemon, Host, process_stopped  # noqa: E402
from kernel import Unavailable  # noqa: E402
from lab import SKIP, lab_or_skip  # noqa: E402
from waiting import wait  # noqa: E402

GUESTS, LIMIT_MIB, USED_MIB, SWAP_MIB = 8, 64, 160, 512
# Reads per second of all that is in the cgroup, as of a busy disk.
READS = 200
CYCLES = 60
# Writes to each of its pages, again and again.
FILL = f'b = bytearray({USED_MIB} << 20)\nwhile True: b[::4096] = bytes(len(b) // 4096)'


class Swapped(Daemon):
    """A daemon in the cgroup. It has the right to lock its pages, or may lock none."""

    def __init__(self, lab, small, locked, **kwargs):
        super().__init__(lab, **kwargs)
        self.small, self.locked = small, locked

    def start(self, ready=True):
        spawn, self.lab.spawn = self.lab.spawn, self.spawn
        try:
            return super().start(ready)
        finally:
            self.lab.spawn = spawn

    def spawn(self, argv, **kwargs):
        user = self.lab.user
        right = ['--inh-caps=+ipc_lock', '--ambient-caps=+ipc_lock'] if self.locked else []
        # It is moved before it takes any memory: what it has by then stays with the cgroup that it came from.
        process = subprocess.Popen(
            ['setpriv', f'--reuid={user.pw_uid}', f'--regid={user.pw_gid}', '--clear-groups', *right, 'sh', '-c',
             'ulimit -l 0; kill -STOP $$; exec "$@"', 'sh', *argv],
            env=self.lab.environment(), cwd=self.lab.folder, stdin=subprocess.DEVNULL, start_new_session=True, **kwargs)
        wait('it waits to be moved', lambda: process_stopped(process.pid))
        self.small.add(process.pid)
        process.send_signal(signal.SIGCONT)
        return process


def cycles(daemon):
    """What each of some cycles took, in ms."""
    took, last = [], 0
    while len(took) < CYCLES:
        cycle = daemon.status()['cycle']
        if cycle['count'] != last:
            took.append(cycle['took_usec'] / 1000)
        last = cycle['count']
        time.sleep(0.1)
    return took


def say(what, daemon, took):
    faults, swapped = cgroup.faults_and_swapped(daemon.process.pid)
    print(f'swap.{what}.cycle_median {statistics.median(took):.2f} ms')
    print(f'swap.{what}.cycle_most {max(took):.2f} ms')
    print(f'swap.{what}.swapped {swapped >> 10} KiB')
    print(f'swap.{what}.major_faults {faults} faults', flush=True)


def measure(lab, small, host, locked):
    name = 'locked' if locked else 'unlocked'
    daemon = Swapped(lab, small, locked, host=host, mode='observe', log_level='info')
    daemon.start()
    filler = None
    try:
        if locked and daemon.find_lines('Cannot keep ballastd in memory'):
            raise Unavailable('ballastd may not lock its pages here (CAP_IPC_LOCK)')
        wait('all guests are listed', lambda: len(daemon.list()) == GUESTS)
        say(name + '.idle', daemon, cycles(daemon))
        filler = subprocess.Popen(['sh', '-c', 'kill -STOP $$; exec "$@"', 'sh', sys.executable, '-c', FILL],
                                  stdin=subprocess.DEVNULL)
        wait('it waits to be moved', lambda: process_stopped(filler.pid))
        small.add(filler.pid)
        filler.send_signal(signal.SIGCONT)
        wait('the cgroup swaps', lambda: cgroup.faults_and_swapped(filler.pid)[1] > (USED_MIB - LIMIT_MIB) / 2 * (1 << 20))
        say(name + '.swapping', daemon, cycles(daemon))
    finally:
        if filler:
            filler.kill()
            filler.wait()
        daemon.stop()


def main():
    with lab_or_skip(sys.argv[1], lambda text: print('lab: ' + text, file=sys.stderr)) as lab:
        try:
            small = cgroup.SmallHost(lab, LIMIT_MIB, SWAP_MIB)
            small.throttle_reads(READS)
            host = Host(lab)
            guests = [lab.guest(f'g{i}', memory=64, agent=None, kernel=False) for i in range(GUESTS)]
            for guest in guests:
                guest.start()
            for locked in (True, False):
                measure(lab, small, host, locked)
            lab.destroy(*guests)
        except Unavailable as e:
            print(f'SKIP: {e}', file=sys.stderr)
            return SKIP
    return 0


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.umask(0o22)
    sys.exit(main())
