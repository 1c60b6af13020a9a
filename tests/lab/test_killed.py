# SPDX-License-Identifier: LGPL-2.1-or-later
"""A lab that is killed in any way leaves nothing behind: no process, no folder."""

import argparse
import os
import signal
import subprocess
import sys
import time
import unittest

import lab
from daemon import Daemon, Host
from waiting import HANG, wait

BUILD = None


def run_a_lab():
    """The lab that is killed, with a guest and a daemon. It prints its folder, and waits."""
    with lab.lab_or_skip(BUILD) as here:
        here.guest('one', memory=64, agent=None, persistent=False, kernel=False).start()
        Daemon(here, Host(here)).start()
        print(here.folder, here._keeper.pid, flush=True)
        while True:
            time.sleep(60)


def names(folder):
    """The names of the processes that run in the folder."""
    found = set()
    for pid in lab.processes_of(folder):
        try:
            with open(f'/proc/{pid}/comm') as f:
                found.add(f.read().strip())
        except FileNotFoundError:
            pass
    return found


class Killed(unittest.TestCase):
    def start(self, by_meson=False):
        """Starts a lab below a shell, as a runner would, in a process group of its own."""
        environ = {k: v for k, v in os.environ.items() if k != 'MESON_TEST_ITERATION'}
        if by_meson:
            environ['MESON_TEST_ITERATION'] = '1'
        # The shell prints the pid of the lab's owner, and waits for it.
        argv = [sys.executable, '-B', os.path.abspath(__file__), '--build', BUILD, '--hold']
        self.shell = subprocess.Popen(['sh', '-c', '"$@" & echo $!; wait $!', 'sh', *argv], env=environ, text=True,
                                      stdout=subprocess.PIPE, start_new_session=True)
        self.addCleanup(self.end)
        self.owner = int(self.shell.stdout.readline())
        line = self.shell.stdout.readline().split()
        if not line:
            raise unittest.SkipTest('there is no lab on this machine')
        self.folder, self.keeper = line[0], int(line[1])
        self.assertLessEqual({'libvirtd', 'dbus-daemon', 'ballastd', 'qemu-system-x86'}, names(self.folder))

    def end(self):
        for pid in (self.owner, self.shell.pid):
            if lab.alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.shell.stdout.close()
        self.shell.wait(HANG)

    def cleared(self, how):
        began = time.monotonic()
        wait('nothing of it runs any more', lambda: not lab.processes_of(self.folder),
             dump=lambda: f'{self.folder}: {names(self.folder)}')
        took = time.monotonic() - began
        wait('its folder is removed', lambda: not os.path.exists(self.folder), dump=lambda: self.folder)
        print(f'\nFIGURE {how}: nothing of the lab runs {took:.1f} s later')

    def test_owner_is_killed(self):
        self.start()
        os.kill(self.owner, signal.SIGKILL)
        self.cleared('the lab\'s owner was killed')

    def test_process_group_is_killed(self):
        self.start()
        os.killpg(self.shell.pid, signal.SIGKILL)
        self.cleared('the process group of its runner was killed')

    def test_runner_is_killed(self):
        self.start(by_meson=True)
        os.kill(self.shell.pid, signal.SIGKILL)
        self.cleared('its runner was killed')
        wait('its owner ended', lambda: not lab.alive(self.owner))

    def test_keeper_is_killed_too(self):
        self.start()
        # A lab that runs isn't swept by another.
        lab.sweep()
        before = names(self.folder)
        self.assertIn('qemu-system-x86', before)
        os.kill(self.keeper, signal.SIGKILL)
        os.killpg(self.shell.pid, signal.SIGKILL)
        wait('its owner ended', lambda: not lab.alive(self.owner))
        time.sleep(1)
        self.assertIn('qemu-system-x86', names(self.folder), 'no process is left to remove it')
        lab.sweep()
        self.cleared('its keeper was killed, too, and the next lab began')


def main():
    global BUILD
    parser = argparse.ArgumentParser(description='Kills labs.')
    parser.add_argument('--build', required=True, help='the build folder')
    parser.add_argument('--hold', action='store_true', help='run a lab until it is killed')
    parser.add_argument('-k', action='append', dest='patterns', help='only tests whose name contains this')
    args = parser.parse_args()
    BUILD = args.build
    if args.hold:
        return run_a_lab()
    loader = unittest.TestLoader()
    if args.patterns:
        loader.testNamePatterns = [f'*{p}*' for p in args.patterns]
    result = unittest.TextTestRunner(verbosity=2).run(loader.loadTestsFromModule(sys.modules['__main__']))
    if result.skipped and len(result.skipped) == result.testsRun:
        return lab.SKIP
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == '__main__':
    raise SystemExit(main())
