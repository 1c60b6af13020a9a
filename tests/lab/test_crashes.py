# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whichever process dies, and whenever: the state is found again, and no balloon keeps a wrong size.

BALLAST_KILLS: how often the daemon is killed. BALLAST_SEED: the seed of the random times."""

import os
import random
import time

import case
from case import TOLERANCE, LabTest, figure
from guest import MIB
from waiting import wait

KILLS = int(os.environ.get('BALLAST_KILLS', 20))
SEED = int(os.environ.get('BALLAST_SEED', random.randrange(1 << 32)))


class Crashes(LabTest):
    GUESTS = {
        'big': {'memory': 1024, 'load': 'free:700'},  # its balloon moves for about a second
        'one': {'memory': 320, 'load': 'free:180'},
        'two': {'memory': 320, 'load': 'free:180'},
        'busy': {'memory': 320, 'load': 'free:60,hold:120', 'swap': 256},
    }

    def change_pressure(self, chance):
        """Pressure: most of the time more than the guests can give, so that balloons are moving."""
        what = chance.choice(('severe', 'severe', 'moderate', 'calm'))
        if what == 'moderate':
            self.host.moderate(chance.randrange(50, 500))
        else:
            getattr(self.host, what)()

    def check_floors(self, floors, daemon):
        sizes = self.lab.sizes()
        for name, floor in floors.items():
            size = sizes[name]
            self.assertGreaterEqual(size + TOLERANCE, floor, f'{name} is below its floor\n{daemon.describe()}')
            self.assertLessEqual(size, self.full(name), f'{name} has more than its full size\n{daemon.describe()}')

    def test_daemon_is_killed_at_random_points(self):
        chance = random.Random(SEED)
        daemon = self.daemon()
        floors = {name: row['floor_bytes'] for name, row in daemon.list().items()}
        moves, moving, began = daemon.mark(), 0, time.monotonic()
        for _ in range(KILLS):
            # It watches the guests that it finds for two seconds before it moves anything.
            end = time.monotonic() + chance.uniform(0, 5)
            while time.monotonic() < end:
                self.change_pressure(chance)
                time.sleep(chance.uniform(0, max(0, end - time.monotonic())))
            sizes = self.lab.sizes()
            daemon.kill()
            moving += self.lab.sizes() != sizes
            self.check_floors(floors, daemon)
            # Also before it has logged that it is ready.
            daemon.start(ready=chance.random() < 0.8)
        seconds = time.monotonic() - began
        if daemon.ended():
            self.fail(f'it ended after its last start\n{daemon.tail()}')
        self.check_floors(floors, daemon)
        sent = daemon.moves(moves)
        figure(f'daemon killed {KILLS} times in {seconds:.0f} s (seed {SEED}), {moving} times while a balloon was '
               f'on its way, {len(sent)} moves')
        # Otherwise the test proves nothing.
        self.assertGreater(len(sent), KILLS, daemon.tail())
        for move in sent:
            self.assertGreaterEqual(move.to_bytes, floors[move.guest], move)

        self.host.calm()
        over = time.monotonic()
        wait('it answers', lambda: daemon.ctl('status', check=False).returncode == 0)
        self.wait_full(daemon)
        figure(f'pressure over → all have their full size {time.monotonic() - over:.1f} s later')
        self.assertEqual({n: r['full_bytes'] for n, r in daemon.list().items()},
                         {n: self.full(n) for n in self.guests})
        self.assertEqual(daemon.find_lines('below its floor|[Aa]ssert'), [])

    def in_the_middle_of_a_move(self, daemon):
        since = daemon.mark()
        self.host.severe()
        wait('big is sent a target', lambda: self.sent(daemon, 'big', since), step=0.005, dump=daemon.describe)
        wait('its balloon moves', lambda: self.actual('big') < self.full('big') - 8 * MIB, step=0,
             dump=daemon.describe)

    def test_libvirtd_is_killed_in_the_middle_of_moves(self):
        daemon = self.daemon()
        floors = {name: row['floor_bytes'] for name, row in daemon.list().items()}
        for _ in range(2):
            self.in_the_middle_of_a_move(daemon)
            self.lab.kill_libvirtd()
            self.host.calm()
            self.lab.start_libvirtd()
            wait('it is connected again', lambda: daemon.status()['libvirt']['connected'], dump=daemon.describe)
            self.check_floors(floors, daemon)
            self.assertEqual({n: r['full_bytes'] for n, r in daemon.list().items()},
                             {n: self.full(n) for n in self.guests}, daemon.describe())
            self.wait_full(daemon)
            daemon.wait_source('agent', *self.guests)

    def test_agent_is_killed_in_the_middle_of_a_move(self):
        daemon, big = self.daemon(), self.guests['big']
        self.addCleanup(big.run, 'agent start')
        self.in_the_middle_of_a_move(daemon)
        big.run('agent kill')
        daemon.wait_source('libvirt', 'big')
        daemon.wait('its move ended', lambda rows: not rows['big']['moving'])
        row = daemon.list()['big']
        self.assertGreaterEqual(row['current_bytes'], row['floor_bytes'])
        self.host.calm()
        self.wait_full(daemon)
        big.run('agent start')
        daemon.wait_source('agent', 'big')


if __name__ == '__main__':
    raise SystemExit(case.main())
