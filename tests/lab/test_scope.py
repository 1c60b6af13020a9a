# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that share a memory cgroup with real swap behind it: Ballast keeps it out of swap."""

import time

import case
import cgroup
from case import LabTest, figure
from guest import MIB
from kernel import Unavailable

LIMIT_MIB = 1024
# More than the limit leaves when an idle guest holds all that it once touched.
STEPS, STEP_MIB = 7, 75


class Scope(LabTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            cls.small = cgroup.SmallHost(cls.lab, LIMIT_MIB)
        except Unavailable as e:
            case.skip(cls, str(e))

    def setUp(self):
        self.guests = {}
        super().setUp()

    def boot(self):
        self.guests = {
            'idle': self.lab.guest('idle', memory=512, load='free:420'),
            'grower': self.lab.guest('grower', memory=768, swap=256),
        }
        for guest in self.guests.values():
            guest.start(paused=True)
            self.small.add(guest.pid())
            self.lab.virsh('resume', guest.name)
        for guest in self.guests.values():
            guest.wait_ready()

    def grow(self):
        """The grower takes more and more memory and keeps using it. Returns the pages that it touched meanwhile, the
        major faults of both QEMUs, and the most that they had in swap."""
        pids = [guest.pid() for guest in self.guests.values()]
        before = sum(cgroup.faults_and_swapped(pid)[0] for pid in pids)
        grower, most = self.guests['grower'], 0
        for _ in range(STEPS):
            grower.load_now('hold', STEP_MIB, 16)
            time.sleep(1.5)
            most = max(most, sum(cgroup.faults_and_swapped(pid)[1] for pid in pids))
        time.sleep(3)
        now = [cgroup.faults_and_swapped(pid) for pid in pids]
        return grower.pages_touched(), sum(major for major, _ in now) - before, max(most, sum(s for _, s in now))

    def tearDown(self):
        # No memory is given back in a cgroup that is to stay under pressure.
        self.end()

    def end(self):
        for daemon in self.daemons:
            daemon.stop()
        self.daemons.clear()
        self.lab.destroy(*self.guests.values())
        self.guests = {}

    def test_an_idle_guest_gives_to_a_growing_one_before_the_cgroup_swaps(self):
        result = {}
        for managed in (False, True):
            self.boot()
            if managed:
                daemon = self.daemon(host=None, config={'Host.Scope': self.small.folder})
                host = daemon.status()['host']
                self.assertEqual(host['total_bytes'], LIMIT_MIB * MIB)
                self.assertGreater(host['swap_total_bytes'], 0)
                daemon.wait_rest()
                self.assertEqual(daemon.moves(), [], daemon.describe())
            result[managed] = self.grow()
            touched, faults, swapped = result[managed]
            figure(f'cgroup of {LIMIT_MIB} MiB, a guest grows by {STEPS * STEP_MIB} alongside an idle one, '
                   f'{"with" if managed else "without"} Ballast: {swapped >> 20} MiB in swap at the most, '
                   f'{faults} major faults of QEMU, {touched} pages touched')
            if managed:
                given = self.full('idle') - self.actual('idle')
                self.assertGreater(given, 100 * MIB, daemon.describe())
                # It may have given memory that was free before it grew, but it doesn't swap now.
                info = self.guests['grower'].meminfo()
                own = info['SwapTotal'] - info['SwapFree']
                figure(f'the guest that grew has {own >> 20} MiB in its own swap')
                self.assertLess(own, STEP_MIB * MIB, daemon.describe())
                said = daemon.describe()
            self.end()
        self.assertGreater(result[False][2], 32 * MIB, 'the load is too small to show anything')
        self.assertLess(result[True][2], result[False][2] / 4, said)
        self.assertLessEqual(result[True][1], result[False][1], said)


if __name__ == '__main__':
    raise SystemExit(case.main())
