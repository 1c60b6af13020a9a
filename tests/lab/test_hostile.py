# SPDX-License-Identifier: LGPL-2.1-or-later
"""A malicious guest harms only itself."""

import collections
import re
import time

import case
from case import LabTest, figure
from guest import MIB
from waiting import wait

# The policy lets each guest keep this share of its memory available.
KEEP = 0.20


class Hostile(LabTest):
    GUESTS = {
        'good': {'memory': 320, 'load': 'free:180'},
        'rubbish': {'memory': 224, 'agent': 'hostile:rubbish'},
        'flood': {'memory': 224, 'agent': 'hostile:flood'},
        'lie': {'memory': 224, 'agent': 'hostile:lie'},
    }

    def test_dropped_with_back_off_and_others_unharmed(self):
        daemon = self.daemon(start=False)
        daemon.start()
        bad = ('rubbish', 'flood', 'lie')
        for name in bad:
            daemon.wait_line(rf'{name}: ignoring its agent for')
        daemon.wait_source('agent', 'good')
        self.assertFalse(daemon.find_lines(r'good: ignoring its agent'), daemon.tail())

        # The back-off: dropped again no sooner than 5 s after, then 10 s. (A line may be read late on a busy machine.)
        def drops(name):
            return [line.at for line in daemon.find_lines(rf'{name}: ignoring its agent for')]
        wait('all were heard again, and dropped again', lambda: all(len(drops(n)) >= 2 for n in bad),
             dump=daemon.describe)
        for name in bad:
            at = drops(name)
            self.assertGreaterEqual(at[1] - at[0], 4, name)
            if len(at) > 2:
                self.assertGreaterEqual(at[2] - at[1], 9, name)

        # The good one gives as if it were alone. And no report of a liar moves its own balloon.
        rows = daemon.list()
        self.assertEqual(rows['good']['source'], 'agent')
        daemon.wait('good reports', lambda rows: rows['good']['age_usec'] < 5000000)
        for name in bad:
            self.assertNotEqual(rows[name]['source'], 'agent', name)
        since = daemon.mark()
        self.host.moderate(100)
        asked = time.monotonic()
        daemon.wait('good gives', lambda rows: rows['good']['current_bytes'] < self.full('good') - 16 * MIB)
        sent = next(m.at for m in daemon.moves(since) if m.guest == 'good') - asked
        figure(f'among three hostile guests: pressure → setMemory {sent:.2f} s; daemon {daemon.rss() >> 20} MiB RSS')
        self.assertLess(daemon.rss(), 64 * MIB)


class Boast(LabTest):
    FULL, GRANTED = 320 * MIB, 448 * MIB
    GUESTS = {
        'boast': {'memory': 512, 'current': 320, 'agent': 'hostile:boast'},
        'spare': {'load': 'free:250'},
        # It has less available than a guest keeps, so it has nothing to spare.
        'kept': {'load': 'hold:350', 'swap': 256},
    }

    def watch(self, daemon, seconds, most):
        """The largest size that the boaster had meanwhile."""
        end, seen = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            rows = daemon.list()
            seen = max(seen, rows['boast']['current_bytes'])
            self.assertLessEqual(max(seen, rows['boast']['target_bytes']), most, daemon.describe())
            # What the others keep, less a margin for a report's age.
            spare = rows['spare']
            if not spare['moving']:
                self.assertGreaterEqual(spare['available_bytes'], KEEP * spare['current_bytes'] - 16 * MIB,
                                        daemon.describe())
            self.assertEqual(rows['kept']['target_bytes'], self.full('kept'), daemon.describe())
            time.sleep(0.1)
        return seen

    def test_a_guest_that_reports_the_utmost_gets_no_more_than_its_entitlement(self):
        daemon, boast = self.daemon(), self.guests['boast']
        daemon.wait_source('agent', 'boast')
        self.assertEqual(daemon.list()['boast']['full_bytes'], self.FULL)
        since = daemon.mark()
        self.host.moderate(100)
        daemon.wait('it counts as in distress', lambda rows: rows['boast']['distress'])
        self.assertLessEqual(self.watch(daemon, 6, self.FULL), self.FULL)
        self.assertFalse(daemon.find_lines('boast: ignoring its agent', since), daemon.tail())

        # With a larger maximum it may have more, but nothing that the others keep.
        self.lab.virsh('metadata', boast.name, 'urn:ballast:guest:1', '--live', '--key', 'ballast', '--set',
                       f"<guest max='{self.GRANTED >> 20}MiB'/>")
        seen = self.watch(daemon, 10, self.GRANTED)
        figure(f'a guest that is always in distress, by its own word, had at most {seen >> 20} MiB of '
               f'{self.GRANTED >> 20} granted; another gave {(self.full("spare") - self.actual("spare")) >> 20} MiB')
        boast.run('kill $(pidof hostile)')
        daemon.wait('its distress is over', lambda rows: not rows['boast']['distress'])
        self.host.calm()
        daemon.wait('it is brought back to its full size', lambda rows: not rows['boast']['moving'] and
                    max(rows['boast']['current_bytes'], rows['boast']['target_bytes']) <= self.FULL)
        self.lab.virsh('metadata', boast.name, 'urn:ballast:guest:1', '--live', '--remove')


class Attacks(LabTest):
    """One attack after the other by the same guest, on a host that takes all that it may. Each leaves the honest guest
    the size that it had before, its reports are served as before, and the log doesn't fill."""
    GUESTS = {
        'honest': {'memory': 320, 'load': 'free:180'},
        'attacker': {'memory': 224, 'agent': 'no'},
    }
    PORT = '/dev/virtio-ports/org.ballast.guest.0'
    SAMPLES = 12
    # The agent's at this host. What a report's age is at most, but for its way to the daemon.
    INTERVAL = 1000000
    # A size that differs by less is the same: the guard makes no smaller moves.
    SAME = 5 * MIB
    # Of one kind, within a minute (base/log-limit.h).
    LINES = 5

    def watch(self, daemon, what, shown):
        """Rows of both guests, until shown(rows of the attacker)."""
        honest, attacker = [], []

        def look():
            rows = daemon.list()
            honest.append(rows['honest'])
            attacker.append(rows['attacker'])
            return len(honest) >= self.SAMPLES and shown(attacker)
        wait(f'{what} shows', look, step=0.4, dump=daemon.describe)
        return honest

    def attack(self, daemon, mode, shown, alone):
        attacker, since = self.guests['attacker'], daemon.mark()
        attacker.run(f'hostile {mode} {self.PORT} </dev/null >/run/hostile.log 2>&1 & echo $! >/run/hostile.pid')
        try:
            honest = self.watch(daemon, mode, lambda rows: shown(rows, since))
        finally:
            attacker.run('p=$(cat /run/hostile.pid); kill $p; while kill -0 $p; do usleep 20000; done', check=False)
        ages = [row['age_usec'] for row in honest]
        off = max(abs(row['target_bytes'] - alone) for row in honest)
        lines = [line.text for line in daemon.find_lines(r'attacker: ', since)]
        figure(f'{mode}: the honest guest\'s newest report was at most {max(ages) / 1e6:.2f} s old in {len(ages)} '
               f'looks, its target {off / MIB:.1f} MiB off at most; {len(lines)} lines in the log')
        self.assertLess(max(ages), 10 * self.INTERVAL, daemon.describe())
        self.assertTrue(all(row['source'] == 'agent' for row in honest), daemon.describe())
        self.assertLessEqual(off, self.SAME, daemon.describe())
        kinds = collections.Counter(re.sub(r'[\d.]+', '#', text) for text in lines)
        self.assertLessEqual(max(kinds.values(), default=0), self.LINES, daemon.tail(60))

    def test_a_no_attack_reaches_another_guest(self):
        # What it has at least bounds what it does to itself by its lies, so that it lives to tell the next.
        daemon = self.daemon(config={'Guest *-attacker.Min': '160MiB'}, log_level='info')
        self.host.severe()
        self.shrunk(daemon, 'honest', 'attacker')
        daemon.wait_rest()
        alone = self.watch(daemon, 'nothing', lambda rows: True)
        ages = [row['age_usec'] for row in alone]
        figure(f'no attack: the honest guest\'s newest report was at most {max(ages) / 1e6:.2f} s old')
        alone = alone[-1]['target_bytes']

        def link():
            return daemon.stats('attacker')['channel']

        def dropped(rows, since):
            return daemon.find_lines('attacker: ignoring its agent for', since)
        # What makes the daemon ignore the agent comes last, as it is ignored for longer each time.
        self.attack(daemon, 'hello', lambda rows, since: link()['hellos'] > 0, alone)
        self.attack(daemon, 'reopen', lambda rows, since: link()['hellos'] > self.LINES + 3, alone)
        self.attack(daemon, 'flip', lambda rows, since: {row['available_bytes'] > 100 * MIB for row in rows} ==
                    {False, True}, alone)
        self.attack(daemon, 'distress', lambda rows, since: rows[-1]['distress'], alone)
        self.attack(daemon, 'balloon', lambda rows, since: {96 * MIB, 224 * MIB} <=
                    {row['current_bytes'] for row in rows}, alone)
        self.attack(daemon, 'replay', dropped, alone)
        self.attack(daemon, 'flood', dropped, alone)


if __name__ == '__main__':
    raise SystemExit(case.main())
