# SPDX-License-Identifier: LGPL-2.1-or-later
"""A malicious guest harms only itself."""

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


if __name__ == '__main__':
    raise SystemExit(case.main())
