# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest's entitlement counts at once; and the less is known of a guest, the less is taken from it."""

import time

import case
from case import TOLERANCE, LabTest, figure
from guest import MIB

URI = 'urn:ballast:guest:1'


class Entitlements(LabTest):
    GUESTS = {
        'one': {'memory': 512, 'load': 'free:300'},  # the tests set sizes of 300 and 400 MiB
        'two': {'memory': 384, 'load': 'free:200'},
    }

    def grant(self, name, xml, where='--live'):
        self.lab.virsh('metadata', self.guests[name].name, URI, where, *(
            ['--key', 'ballast', '--set', xml] if xml else ['--remove']))

    def granted(self, daemon, name, xml, what, condition):
        """Sets it by virsh, and waits until it counts."""
        began = time.monotonic()
        self.grant(name, xml)
        said = time.monotonic()
        daemon.wait(what, lambda rows: condition(rows[name]), step=0.02)
        seconds = time.monotonic() - said
        figure(f'virsh metadata (which took {said - began:.2f} s) → {what}: {seconds:.2f} s')

    def test_metadata_counts_at_once(self):
        daemon = self.daemon()
        one = self.guests['one']
        self.addCleanup(self.lab.virsh, 'metadata', one.name, URI, '--live', '--remove', check=False)
        floor = daemon.list()['one']['floor_bytes']
        self.assertLess(floor, 300 * MIB)
        self.granted(daemon, 'one', "<guest min='300MiB' mode='off'/>", 'its mode is off',
                     lambda row: row['mode'] == 'off' and row['floor_bytes'] == 300 * MIB)
        since = daemon.mark()
        self.host.severe()
        self.shrunk(daemon, 'two', mib=64)
        daemon.wait_rest()
        self.assertEqual(self.sent(daemon, 'one', since), [], daemon.describe())

        # With its minimum alone it gives, and not below that.
        time.sleep(1)  # libvirt's events are read once a second
        self.granted(daemon, 'one', "<guest min='300MiB'/>", 'its mode is auto', lambda row: row['mode'] == 'auto')
        daemon.wait('it gives down to its minimum', lambda rows: rows['one']['current_bytes'] < 304 * MIB)
        daemon.wait_rest()
        self.assertGreaterEqual(self.actual('one'), 300 * MIB)
        self.assertGreaterEqual(min(m.to_bytes for m in self.sent(daemon, 'one', since)), 300 * MIB)

        time.sleep(1)
        self.granted(daemon, 'one', None, 'its floor is the default again', lambda row: row['floor_bytes'] == floor)
        daemon.wait('it gives more', lambda rows: rows['one']['current_bytes'] < 290 * MIB)

    def test_a_bad_value_is_logged_and_the_rest_counts(self):
        daemon = self.daemon()
        one = self.guests['one']
        self.addCleanup(self.lab.virsh, 'metadata', one.name, URI, '--live', '--remove', check=False)
        since = daemon.mark()
        self.granted(daemon, 'one', "<guest min='12 parsecs' mode='observe'/>", 'its mode is observe',
                     lambda row: row['mode'] == 'observe')
        daemon.wait_line('one: .*min.*parsecs', since)
        self.assertLess(daemon.list()['one']['floor_bytes'], 300 * MIB)
        self.host.severe()
        self.shrunk(daemon, 'two', mib=64)
        self.assertEqual(self.sent(daemon, 'one', since), [], daemon.describe())

    def test_entitled_full_size(self):
        daemon = self.daemon()
        one = self.guests['one']
        self.addCleanup(self.lab.virsh, 'metadata', one.name, URI, '--live', '--remove', check=False)
        self.granted(daemon, 'one', "<guest full='400MiB'/>", 'its full size is 400 MiB',
                     lambda row: row['full_bytes'] == 400 * MIB)
        # The guest has more than its full size and gives that back, although the host has plenty.
        daemon.wait('it comes down to it', lambda rows: rows['one']['current_bytes'] <= 400 * MIB + TOLERANCE)
        daemon.wait_rest()
        self.assertGreaterEqual(self.actual('one'), 400 * MIB - TOLERANCE)
        time.sleep(1)
        self.granted(daemon, 'one', None, 'its full size is the definition\'s again',
                     lambda row: row['full_bytes'] == self.full('one'))
        self.wait_full(daemon, 'one')

    def test_set_by_ballastctl_holds_for_the_next_start_too(self):
        daemon = self.daemon()
        one = self.guests['one']
        for where in ('--live', '--config'):
            self.addCleanup(self.lab.virsh, 'metadata', one.name, URI, where, '--remove', check=False)
        daemon.ctl('set', one.name, '--min', '300MiB')
        asked = time.monotonic()
        daemon.wait('it counts', lambda rows: rows['one']['floor_bytes'] == 300 * MIB, step=0.02)
        figure(f'ballastctl set → it counts: {time.monotonic() - asked:.2f} s')
        for where in ('--live', '--config'):
            self.assertIn('300MiB', self.lab.virsh('metadata', one.name, URI, where), where)
        self.host.severe()
        daemon.wait('it gives', lambda rows: rows['one']['current_bytes'] < self.full('one') - 64 * MIB)
        daemon.wait_rest()
        self.assertGreaterEqual(self.actual('one'), 300 * MIB)
        # An impossible value is refused, and nothing changes.
        r = daemon.ctl('set', one.name, '--min', '2GiB', check=False)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn('one', r.stdout + r.stderr)
        self.assertEqual(daemon.list()['one']['floor_bytes'], 300 * MIB)


class Sources(LabTest):
    GUESTS = {
        'reporting': {'memory': 384, 'load': 'free:200'},
        # Neither a channel nor an agent: the balloon driver's stats are used.
        'agentless': {'memory': 384, 'load': 'free:200', 'agent': None},
        # Without those, too.
        'silent': {'memory': 320, 'agent': None, 'load': 'free:100'},
    }

    def test_the_less_is_known_the_less_is_taken(self):
        self.guests['silent'].run('rmmod virtio_balloon')
        self.addCleanup(self.guests['silent'].run, 'insmod /lib/modules/virtio_balloon.ko')
        daemon = self.daemon()
        daemon.wait_source('libvirt', 'agentless')
        daemon.wait('it has fresh stats', lambda rows: rows['agentless']['age_usec'] < 3000000)
        # The stats of silent from before its driver was removed are stale by now.
        daemon.wait('nothing is known of silent', lambda rows: (rows['silent'].get('age_usec') or 1 << 62) > 10500000)
        available = daemon.list()['agentless']['available_bytes']
        since = daemon.mark()
        self.host.severe()
        self.shrunk(daemon, 'reporting', 'agentless', mib=64)
        daemon.wait_rest()
        given = {n: self.full(n) - self.actual(n) for n in self.guests}
        figure('severe pressure: ' + ', '.join(f'{n} gave {given[n] >> 20} MiB' for n in given) +
               f'; the agentless one had {available >> 20} MiB available')
        self.assertGreater(given['agentless'], 0)
        self.assertLessEqual(given['agentless'], available / 2 + 2 * MIB, daemon.describe())
        self.assertGreater(given['reporting'], given['agentless'], daemon.describe())
        self.assertEqual(self.sent(daemon, 'silent', since), [])
        self.assertEqual(given['silent'], 0)
        # Nor in several more rounds of its stats.
        time.sleep(8)
        rows = daemon.list()
        self.assertLessEqual(self.full('agentless') - self.actual('agentless'), available / 2 + 2 * MIB, daemon.describe())
        self.assertIn(rows['silent']['rule'], ('agentless', 'stale'), daemon.describe())


if __name__ == '__main__':
    raise SystemExit(case.main())
