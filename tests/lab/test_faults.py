# SPDX-License-Identifier: LGPL-2.1-or-later
"""Failures around the daemon bring down neither it nor the guests that have no part in them."""

import os
import signal
import time

import case
from case import LabTest, figure
from daemon import process_stopped
from guest import MIB, Guest
from waiting import wait

# Domains created and destroyed: first some until the daemon's memory has settled, then those that are measured.
WARM_UP, ROUNDS = 8, 24


def idle(memory=320):
    return {'memory': memory, 'load': 'free:180'}


class Faults(LabTest):
    HOST_MIB = 8192
    GUESTS = {'one': idle(), 'two': idle(), 'three': idle(), 'four': idle(), 'five': idle()}

    def mend(self, guest):
        guest.run('agent start; lsmod | grep -q virtio_balloon || insmod /lib/modules/virtio_balloon.ko')

    def test_agent_dies_and_comes_back(self):
        daemon = self.daemon(config={'Guard.Stale': '3s'})
        guest = self.guests['one']
        self.addCleanup(self.mend, guest)
        guest.run('agent kill')
        daemon.wait_source('libvirt', 'one')
        daemon.wait('libvirt\'s stats are fresh', lambda rows: rows['one']['age_usec'] < 3000000)

        # Neither agent nor stats: all that is known is stale, and isn't acted on.
        guest.run('rmmod virtio_balloon')
        # Long enough that none is still on its way: on a busy machine stats come late.
        daemon.wait('the stats are stale', lambda rows: rows['one']['age_usec'] > 8000000)
        since = daemon.mark()
        self.host.severe()
        self.shrunk(daemon, 'two', 'three', 'four', 'five')
        daemon.wait_rest()
        self.assertEqual([m for m in daemon.moves(since) if m.guest == 'one'], [])
        self.assertEqual(guest.actual(), self.full('one'))
        self.assertEqual(daemon.list()['one']['rule'], 'stale', daemon.describe())

        self.mend(guest)
        daemon.wait_source('agent', 'one')
        self.shrunk(daemon, 'one')

    def test_agent_stops_cleanly(self):
        daemon = self.daemon()
        self.addCleanup(self.mend, self.guests['one'])
        since = daemon.mark()
        self.guests['one'].run('agent stop')
        daemon.wait_line(r'one: agent disconnected', since)
        daemon.wait_source('libvirt', 'one')
        self.guests['one'].run('agent start')
        daemon.wait_source('agent', 'one')

    def test_libvirtd_is_killed_and_comes_back(self):
        daemon = self.daemon()
        self.host.moderate(300)
        daemon.wait_rest()
        shrunk = {n: self.actual(n) for n in self.guests}
        self.assertLess(sum(shrunk.values()), sum(self.full(n) for n in self.guests))

        since = daemon.mark()
        self.lab.kill_libvirtd()
        try:
            wait('the loss is noticed', lambda: not daemon.status()['libvirt']['connected'], dump=daemon.describe)
            self.assertEqual(set(daemon.list()), set(self.guests), 'what is known is kept')
            self.host.calm()
            time.sleep(2)
            self.assertEqual(daemon.moves(since), [])
        finally:
            self.lab.start_libvirtd()
        began = time.monotonic()
        wait('it is connected again', lambda: daemon.status()['libvirt']['connected'], dump=daemon.describe)
        daemon.wait_source('agent', *self.guests)
        figure(f'libvirtd back → all agents heard again: {time.monotonic() - began:.1f} s')
        self.assertEqual({n: r['full_bytes'] for n, r in daemon.list().items()},
                         {n: self.full(n) for n in self.guests})
        self.wait_full(daemon)

    def test_stopped_guests_dont_hold_up_the_others(self):
        daemon = self.daemon()
        daemon.wait_rest()
        stopped = [self.guests[n].pid() for n in ('one', 'two', 'three')]
        try:
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            wait('they are stopped', lambda: all(process_stopped(p) for p in stopped))
            time.sleep(1)  # some calls to them are on their way
            since = daemon.mark()
            self.host.severe()
            asked = time.monotonic()
            self.shrunk(daemon, 'four', 'five')
            sent = {}
            for move in daemon.moves(since):
                sent.setdefault(move.guest, move.at - asked)
            figure('three of five QEMUs stopped: pressure → setMemory of the others: '
                   f'{sent["four"]:.2f} s and {sent["five"]:.2f} s')
            # Meanwhile ballastctl answers, and shows which are stopped.
            daemon.wait('the stopped ones are shown as such',
                        lambda rows: all('no answer' in (rows[n]['busy'] or '') for n in ('one', 'two', 'three')))
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        self.shrunk(daemon, 'one', 'two', 'three')
        self.host.calm()
        self.wait_full(daemon)

    def test_a_guest_destroyed_while_stopped_or_moving(self):
        daemon = self.daemon()
        victim = self.lab.guest('victim', persistent=False, **idle())
        self.lab.boot(victim)
        daemon.wait_source('agent', 'victim')
        self.host.severe()
        daemon.wait('it moves', lambda rows: rows['victim']['target_bytes'] < 320 * MIB, step=0.01)
        os.kill(victim.pid(), signal.SIGKILL)
        daemon.wait('it is no longer listed', lambda rows: victim.name not in rows and 'victim' not in rows)
        victim.disconnect()
        self.lab.guests.remove(victim)
        self.shrunk(daemon, *self.guests)
        self.host.calm()
        self.wait_full(daemon)

    def test_no_leak_over_domains_that_come_and_go(self):
        daemon = self.daemon(log_level='info')

        def churn(n):
            for first in range(0, n, 8):
                batch = [Guest(self.lab, f'churn{i}', memory=192, persistent=False, kernel=False,
                               agent='yes' if i % 3 else None)
                         for i in range(first, first + 8)]
                for guest in batch:
                    guest.start()
                if first % 16:
                    daemon.wait('all are seen', lambda rows: all(g.name in rows for g in batch), step=0.02)
                self.lab.destroy(*batch)
            daemon.wait('only those that stay are listed', lambda rows: set(rows) == set(self.guests))

        def settled():
            """Descriptors and memory, once they no longer change."""
            counts = []

            def still():
                counts.append(daemon.fds())
                return len(counts) > 10 and len(set(counts[-10:])) == 1
            wait('its descriptors settle', still, step=0.1)
            # A connection to libvirt, opened when it is first needed and again when a call held it up, has two.
            return daemon.fds() - 2 * daemon.dump()['libvirt']['connections'], daemon.rss()

        churn(WARM_UP)
        fds, rss = settled()
        churn(ROUNDS)
        fds_after, rss_after = settled()
        figure(f'{ROUNDS} domains created and destroyed: descriptors besides connections {fds} → {fds_after}, '
               f'RSS {rss >> 10} → {rss_after >> 10} KiB')
        self.assertLessEqual(fds_after, fds, os.listdir(f'/proc/{daemon.process.pid}/fd'))
        # The heap settles by some 15 KiB a domain at first, less and less. A Guest that is never freed is 25 KiB more.
        self.assertLess(rss_after - rss, ROUNDS * 32 * 1024, daemon.tail())
        daemon.wait_source('agent', *self.guests)
        self.host.moderate(100)
        daemon.wait('the others move', lambda rows: any(r['moving'] for r in rows.values()), step=0.02)


if __name__ == '__main__':
    raise SystemExit(case.main())
