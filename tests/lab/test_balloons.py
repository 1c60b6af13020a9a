# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an operator may expect of balloons: who gives first, who is protected, and that all memory comes back."""

import time

import case
from case import TOLERANCE, LabTest, figure
from daemon import POLICY, PRESSURE
from guest import MIB
from waiting import wait

# The policy lets each guest keep this share of its memory available.
KEEP = 0.20


class Balloons(LabTest):
    GUESTS = {
        'idle': {'load': 'free:350'},
        'cache': {'load': 'free:300,cache:300'},
        # Less than KEEP of it is available.
        'busy': {'load': 'hold:350', 'swap': 512},
        'swapless': {'memory': 384, 'load': 'free:150,hold:150'},
        'capped': {'memory': 512, 'current': 320, 'load': 'free:200'},
    }

    def watch(self, daemon, seconds, look):
        """Calls look(rows) again and again for that long; it asserts what must hold all the time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            look(daemon.list())
            time.sleep(0.1)

    def test_idle_gives_first_and_only_what_is_needed(self):
        daemon = self.daemon()
        daemon.wait_rest()
        since = daemon.mark()
        self.host.moderate(200)
        asked = time.monotonic()
        daemon.wait('the host has its share again',
                    lambda rows: self.host.available() >= PRESSURE * self.host.total)
        daemon.wait_rest()
        moves = daemon.moves(since)
        figure(f'pressure (noticed by the 0.5 s cycle) → first setMemory: {moves[0].at - asked:.2f} s')
        self.assertEqual(moves[0].guest, 'idle', daemon.describe())
        # It gives free memory, so the host gets about as much as it needed. Once it has no more free memory than
        # another guest, the last few MiB may come from that one.
        given = {name: self.full(name) - self.actual(name) for name in self.guests}
        self.assertGreaterEqual(given['idle'], 150 * MIB, daemon.describe())
        self.assertLessEqual(sum(given.values()), 260 * MIB, daemon.describe())
        self.assertLessEqual(sum(given.values()) - given['idle'], 32 * MIB, daemon.describe())
        self.assertEqual(given['busy'], 0, daemon.describe())

    def test_free_memory_before_page_cache_and_none_from_busy(self):
        daemon = self.daemon()
        since = daemon.mark()
        # No more than is free in all guests together.
        self.host.moderate(450)
        daemon.wait('the host has its share again',
                    lambda rows: self.host.available() >= PRESSURE * self.host.total)
        daemon.wait_rest()
        moves = daemon.moves(since)
        # All moves of a cycle are sent within milliseconds.
        self.assertIn('idle', {m.guest for m in moves if m.at < moves[0].at + 0.1}, daemon.describe())
        self.assertGreaterEqual(daemon.list()['cache']['cache_bytes'], 290 * MIB, daemon.describe())

        # More pressure: now they give page cache, too.
        self.host.moderate(400)
        daemon.wait('cache gives page cache', lambda rows: rows['cache']['cache_bytes'] < 280 * MIB)
        daemon.wait_rest()
        moves = daemon.moves(since)
        self.assertNotIn('busy', {m.guest for m in moves}, daemon.describe())
        self.assertEqual(self.actual('busy'), self.full('busy'))
        for name, row in daemon.list().items():
            if name != 'busy':
                self.assertGreaterEqual(row['available_bytes'], KEEP * row['current_bytes'] - 16 * MIB,
                                        f'{name} keeps its share\n{daemon.describe()}')

    def test_severe_pressure_squeezes_all_then_all_is_returned_and_at_rest(self):
        daemon = self.daemon()
        swapped = self.guests['busy'].meminfo()['SwapFree']
        self.host.severe()
        daemon.wait('busy is squeezed too', lambda rows: rows['busy']['current_bytes'] < self.full('busy') - 32 * MIB)

        def bounds(rows):
            for name, row in rows.items():
                self.assertGreaterEqual(row['current_bytes'], row['floor_bytes'], f'{name} is below its floor')
                self.assertGreaterEqual(row['target_bytes'], row['floor_bytes'], f'{name} is sent below its floor')
        self.watch(daemon, 3, bounds)
        wait('busy swaps, so that the host needn\'t',
             lambda: self.guests['busy'].meminfo()['SwapFree'] < swapped, dump=daemon.describe)
        self.assertEqual(daemon.status()['host']['pressure'], 'severe')

        self.host.calm()
        began = time.monotonic()
        self.wait_full(daemon)
        figure(f'five guests squeezed under severe pressure, all back at full {time.monotonic() - began:.1f} s '
               'after it was over')
        daemon.wait_rest()
        since = daemon.mark()
        self.watch(daemon, 5, lambda rows: None)
        self.assertEqual(daemon.moves(since), [], daemon.describe())

    def test_under_pressure_only_a_guest_in_distress_gets_memory_back(self):
        daemon = self.daemon()
        since = daemon.mark()
        self.host.severe()
        daemon.wait('busy gives', lambda rows: rows['busy']['current_bytes'] < self.full('busy') - 32 * MIB)
        daemon.wait_line('busy: in distress', since)
        # Still under pressure: the policy gives no memory, but the host has room above its critical threshold.
        squeezed = daemon.mark()
        self.host.moderate(100)
        daemon.wait('busy has its full size',
                    lambda rows: rows['busy']['current_bytes'] >= self.full('busy') - MIB and not rows['busy']['moving'])
        moves = daemon.moves(squeezed)
        back = [m for m in moves if m.guest == 'busy' and m.to_bytes > m.from_bytes]
        self.assertTrue(back, daemon.describe())
        self.assertIn('it is in distress', back[0].reason)
        # (On a slow machine another guest may be in distress, too.)
        for move in moves:
            if move.to_bytes > move.from_bytes:
                self.assertIn('it is in distress', move.reason, daemon.describe())

    def test_swapless_guest_keeps_what_it_uses_and_a_tenth(self):
        daemon = self.daemon()
        guest = self.guests['swapless']

        def check(rows):
            info = guest.meminfo()
            used = info['MemTotal'] - info['MemAvailable']
            self.assertGreaterEqual(rows['swapless']['target_bytes'], used, daemon.describe())
        self.host.severe()
        daemon.wait('swapless gives', lambda rows: rows['swapless']['current_bytes'] < self.full('swapless'))
        self.watch(daemon, 5, check)
        daemon.wait_rest()
        info = guest.meminfo()
        used = info['MemTotal'] - info['MemAvailable']
        # A tenth above what it uses, less a margin for the reports' age and rounding.
        self.assertGreaterEqual(info['MemTotal'], used * 1.1 - 8 * MIB, daemon.describe())
        self.assertEqual(guest.run('grep -w oom_kill /proc/vmstat'), 'oom_kill 0')

    def test_current_memory_below_the_maximum_is_the_full_size(self):
        daemon = self.daemon()
        self.assertEqual(daemon.list()['capped']['full_bytes'], 320 * MIB)
        self.host.severe()
        daemon.wait('capped gives', lambda rows: rows['capped']['current_bytes'] < 320 * MIB)
        since = daemon.mark()
        self.host.calm()
        self.wait_full(daemon, 'capped')
        daemon.wait_rest()
        self.assertLessEqual(self.actual('capped'), 320 * MIB)
        self.assertLessEqual(max(m.to_bytes for m in daemon.moves(since) if m.guest == 'capped'), 320 * MIB)

    def test_a_host_without_swap_is_twice_as_cautious(self):
        self.host.set_swap(0)
        self.addCleanup(self.host.set_swap, self.host.swap_mib)
        daemon = self.daemon()
        threshold = 2 * PRESSURE * self.host.total
        self.assertAlmostEqual(daemon.status()['host']['pressure_threshold_bytes'], threshold, delta=MIB)
        since = daemon.mark()
        self.host.set_available(threshold + 50 * MIB)
        daemon.wait_rest()
        self.assertEqual(daemon.moves(since), [], daemon.describe())
        self.host.set_available(threshold - 150 * MIB)
        daemon.wait('the host has its share again', lambda rows: self.host.available() >= threshold)
        self.assertEqual(daemon.moves(since)[0].guest, 'idle', daemon.describe())
        # With swap the host would have plenty.
        self.host.set_swap(self.host.swap_mib)
        wait('it is calm', lambda: daemon.status()['host']['pressure'] == 'none', dump=daemon.describe)
        self.wait_full(daemon)

    def test_observe_decides_logs_and_moves_nothing(self):
        daemon = self.daemon(mode='observe')
        self.host.severe()
        wait('it logs what it would do', lambda: daemon.moves(would=True), dump=daemon.describe)
        self.watch(daemon, 4, lambda rows: None)
        self.assertEqual(daemon.moves(), [])
        for name in self.guests:
            self.assertEqual(self.actual(name), self.full(name), name)
        self.assertEqual(daemon.status()['mode'], 'observe')

        # In mode auto it moves.
        daemon.ctl('mode', 'auto')
        daemon.wait('idle gives', lambda rows: rows['idle']['current_bytes'] < self.full('idle'))

    def test_live_setmem_by_the_administrator_is_the_new_full_size(self):
        daemon = self.daemon()
        guest = self.guests['idle']
        self.sets_memory = True
        guest.setmem(400)
        daemon.wait('full is what was set', lambda rows: rows['idle']['full_bytes'] == 400 * MIB)
        daemon.wait_rest()
        self.assertEqual(guest.actual(), 400 * MIB)
        self.host.moderate(100)
        daemon.wait('idle gives', lambda rows: rows['idle']['current_bytes'] < 400 * MIB)
        self.host.calm()
        daemon.wait('idle has what was set',
                    lambda rows: rows['idle']['current_bytes'] >= 400 * MIB - TOLERANCE and not rows['idle']['moving'])
        daemon.wait_rest()
        self.assertGreaterEqual(guest.actual(), 400 * MIB - TOLERANCE)
        self.assertLessEqual(guest.actual(), 400 * MIB)
        # Until it is released.
        daemon.ctl('release', guest.name)
        daemon.wait('full is the definition\'s again', lambda rows: rows['idle']['full_bytes'] == self.full('idle'))
        self.wait_full(daemon, 'idle')

    def test_a3_live_setmem_above_the_full_size_leaves_that(self):
        daemon = self.daemon()
        guest = self.guests['capped']
        self.sets_memory = True
        self.addCleanup(self.lab.virsh, 'setmem', guest.name, '320M', '--config', '--live')
        guest.setmem(400)
        daemon.wait_line('capped: says that it has 400 MiB; its full size stays 320 MiB')
        row = daemon.list()['capped']
        self.assertEqual((row['full_bytes'], row['current_bytes']), (320 * MIB, 400 * MIB))
        daemon.wait_rest()
        self.assertEqual(guest.actual(), 400 * MIB)
        # libvirt sends no event when the definition changes.
        self.lab.virsh('setmem', guest.name, '400M', '--config', '--live')
        daemon.wait('the definition counts', lambda rows: rows['capped']['full_bytes'] == 400 * MIB)
        self.lab.virsh('setmem', guest.name, '320M', '--config', '--live')
        daemon.wait('and it counts again', lambda rows: rows['capped']['full_bytes'] == 320 * MIB)
        daemon.wait_rest()
        self.assertEqual(guest.actual(), 320 * MIB)

    def test_memory_given_back_by_hand_while_the_daemon_is_away_is_noticed(self):
        daemon = self.daemon()
        self.host.moderate(200)
        daemon.wait('idle gives', lambda rows: rows['idle']['current_bytes'] < self.full('idle') - 64 * MIB)
        daemon.wait_rest()
        daemon.stop()
        self.host.calm()
        # To its full size, so this sets no new one.
        self.guests['idle'].setmem(self.guests['idle'].current)
        wait('idle is full again', lambda: self.is_full('idle', self.actual('idle')))
        self.load_again(self.guests['idle'])

        daemon = self.daemon()
        since = daemon.mark()
        self.host.moderate(100)
        asked = time.monotonic()
        daemon.wait('idle gives', lambda rows: rows['idle']['current_bytes'] < self.full('idle') - 16 * MIB)
        figure(f'pressure after memory was given back by hand → first setMemory: {daemon.moves(since)[0].at - asked:.2f} s')
        self.assertEqual(daemon.list()['idle']['full_bytes'], self.full('idle'))
        self.assertEqual(daemon.find_lines('stuck'), [])

    def test_daemon_restarted_over_shrunk_guests_knows_their_full_size(self):
        daemon = self.daemon()
        self.host.moderate(300)
        daemon.wait('idle gives', lambda rows: rows['idle']['current_bytes'] < self.full('idle') - 64 * MIB)
        for how in ('killed', 'stopped'):
            with self.subTest(how):
                daemon.wait_rest()
                self.host.steady()
                before = self.actual('idle')
                self.assertLess(before, self.full('idle'))
                if how == 'killed':
                    daemon.kill()
                    self.daemons.remove(daemon)
                else:
                    daemon.stop()
                self.assertEqual(self.actual('idle'), before, 'balloons stay as they are')
                daemon = self.daemon()
                self.assertEqual(daemon.list()['idle']['full_bytes'], self.full('idle'), daemon.describe())
        self.host.calm()
        self.wait_full(daemon)

    def test_release_at_stop_gives_all_back(self):
        daemon = self.daemon(config={'Balloon.OnStop': 'release'})
        self.host.moderate(300)
        daemon.wait('idle gives', lambda rows: rows['idle']['current_bytes'] < self.full('idle') - 64 * MIB)
        daemon.wait_rest()
        self.host.calm()
        daemon.stop()
        wait('idle is full again', lambda: self.is_full('idle', self.actual('idle')))

    # The shipped policy: what balloons take they let go of at once.

    def squeezed(self, daemon):
        """Waits until idle is squeezed, and returns what its QEMU held before."""
        daemon.wait('all have rested', lambda rows: all((daemon.stats(n)['stats'].get('rested_usec') or 0) >= 2e6
                                                        for n in ('idle', 'cache')))
        before = self.guests['idle'].resident()
        since = daemon.mark()
        self.host.moderate(300)
        wait('idle is squeezed', lambda: [s for s in daemon.squeezes(since) if s.guest == 'idle'], step=0.01,
             dump=daemon.describe)
        self.assertEqual(daemon.squeezes(since)[0].guest, 'idle', daemon.describe())
        return before

    def test_what_is_idle_is_squeezed_and_guests_keep_their_size(self):
        daemon = self.daemon(policy=POLICY)
        since = daemon.mark()
        before = self.squeezed(daemon)
        wait('the host has it, and idle its size', lambda: self.is_full('idle', self.actual('idle')) and
             self.guests['idle'].resident() < before - 200 * MIB, dump=daemon.describe)
        figure(f'squeezed: idle held {before / MIB:.0f} MiB of the host, then {self.guests["idle"].resident() / MIB:.0f} MiB')
        daemon.wait('that is known', lambda rows: (daemon.stats('idle')['levers']['squeeze'].get('got_bytes') or 0) > 150 * MIB)
        self.assertEqual(daemon.list()['idle']['lever'], 'squeeze', daemon.describe())
        self.assertEqual([m for m in daemon.moves(since) if m.guest == 'idle'], [], daemon.describe())
        self.assertEqual([s for s in daemon.squeezes(since) if s.guest == 'busy'], [], daemon.describe())

    def test_a_squeezed_guest_gets_its_size_back_whatever_ends_the_daemon(self):
        for how in ('killed', 'stopped'):
            with self.subTest(how):
                daemon = self.daemon(policy=POLICY)
                self.squeezed(daemon)
                if how == 'killed':
                    daemon.kill()
                    self.daemons.remove(daemon)
                    self.daemon(policy=POLICY)
                else:
                    daemon.stop()
                wait('idle has its size', lambda: self.is_full('idle', self.actual('idle')))
                if how == 'killed':
                    self.daemons[-1].stop()
                self.host.calm()
                self.load_again(self.guests['idle'])

    # On the machine's own /proc/meminfo, with the budget made small by [Host] Reserve=, as in the demo.

    def test_reserve_takes_effect_at_sighup_and_a_bad_file_is_refused(self):
        daemon = self.daemon(host=None, config={'Daemon.Interval': '1s'})  # so that the next cycle isn't what notices it
        daemon.wait_rest(cycles=3)
        # Far below the threshold and far above the critical one: other processes' memory makes no difference.
        daemon.write_config(Host_Reserve=daemon.reserve_for(250))
        since = daemon.mark()
        asked = time.monotonic()
        daemon.reload()
        wait('idle is asked to give', lambda: daemon.moves(since), step=0.01, dump=daemon.describe)
        figure(f'SIGHUP with less memory → first setMemory: {1000 * (daemon.moves(since)[0].at - asked):.0f} ms')
        self.assertEqual(daemon.status()['host']['pressure'], 'moderate')
        reserve = daemon.status()['host']['reserve_bytes']

        for bad, complaint in (({'Host_Reserve': '12 parsecs'}, r'ballastd\.conf:\d+'),
                               ({'Daemon_Interval': 'soon'}, r'ballastd\.conf:\d+')):
            good = dict(daemon.config)
            daemon.write_config(**bad)
            since = daemon.mark()
            self.assertIn('refused', daemon.reload().text)
            self.assertTrue(daemon.find_lines(complaint, since), daemon.tail())
            self.assertEqual(daemon.status()['host']['reserve_bytes'], reserve)
            daemon.config = good
            daemon.write_config()

        with open(daemon.policy_paths[0]) as f:
            policy = f.read()
        with open(daemon.policy_paths[0], 'w') as f:
            f.write(policy + '\nlet x = no_such_thing + 1\n')
        since = daemon.mark()
        self.assertIn('refused', daemon.reload().text)
        self.assertTrue(daemon.find_lines(r'balloon\.policy:\d+:\d+', since), daemon.tail())

        # The old settings stay in force, and a valid file is accepted again.
        with open(daemon.policy_paths[0], 'w') as f:
            f.write(policy)
        daemon.write_config(Host_Reserve=None)
        daemon.reload()
        self.wait_full(daemon)
        self.assertEqual(daemon.status()['host']['reserve_bytes'], 0)


if __name__ == '__main__':
    raise SystemExit(case.main())
