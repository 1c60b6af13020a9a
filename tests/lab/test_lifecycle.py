# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reboots, pauses, dumps, migrations: a guest is left alone meanwhile, and has the right size afterwards."""

import os
import threading
import time

import case
from case import TOLERANCE, LabTest, figure
from daemon import Daemon, Host, holding
from guest import MIB
from waiting import HANG, wait

# How far a guest's /proc/meminfo and its reports may differ: the command that reads it takes memory itself.
ACCOUNTING = 6 * MIB


def idle(**kwargs):
    return {'memory': 320, 'load': 'free:180', **kwargs}


class SlowFile:
    """A pipe that a job of libvirt writes to. The job waits until go_on() is called."""

    def __init__(self, lab, name):
        self.path = lab.path('home', name)
        os.mkfifo(self.path)
        lab.give(self.path)
        self.fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self._thread = None

    def begun(self):
        try:
            return bool(os.read(self.fd, 1))
        except BlockingIOError:
            return False

    def _drain(self):
        os.set_blocking(self.fd, True)
        while os.read(self.fd, 1 << 20):
            pass

    def go_on(self):
        if not self._thread:
            self._thread = threading.Thread(target=self._drain, daemon=True)
            self._thread.start()

    def close(self):
        self.go_on()
        self._thread.join(HANG)
        os.close(self.fd)


class Lifecycle(LabTest):
    GUESTS = {
        'big': {'memory': 1024, 'load': 'free:700'},  # its balloon moves for about a second
        'one': idle(),
        'two': idle(),
        'deflate': idle(autodeflate=True),
        'report': idle(free_page_reporting=True),
    }
    HOST_MIB = 6144

    def test_rebooted_guest_gets_its_full_size_first(self):
        daemon = self.daemon()
        for _ in range(2):
            self.host.moderate(600)
            daemon.wait_rest()
        daemon.stop()
        # A grace much longer than a boot: until it is over only moves for the reboot are made.
        daemon = self.daemon(config={'Guard.Grace': '90s'})
        # They gave, and the host still has room for both full sizes.
        for name in ('one', 'two'):
            self.assertLess(self.actual(name), self.full(name) - 64 * MIB, daemon.describe())
        one, two = self.guests['one'], self.guests['two']
        since = daemon.mark()
        self.lab.virsh('reset', one.name)
        two.run('(sleep 0.2; reboot -f) >/dev/null 2>&1 &')
        rebooted = {}
        for guest in (one, two):
            rebooted[guest] = daemon.wait_line(f'{guest.short}: rebooted', since).at
            guest.disconnect()
        for guest in (one, two):
            guest.wait_ready()
            # 42 MiB of 320 are the kernel's own.
            self.assertGreaterEqual(guest.meminfo()['MemTotal'], self.full(guest.short) - 48 * MIB)
            # To within 1 MiB: QEMU doesn't know it before its driver has moved once.
            self.wait_full(daemon, guest.short)
            # (What one gets another may have been asked for before it rebooted.)
            first = next(m for m in self.sent(daemon, guest.short, since) if m.at >= rebooted[guest])
            self.assertEqual(first.to_bytes, self.full(guest.short), daemon.describe())
            self.assertEqual(daemon.list()[guest.short]['full_bytes'], self.full(guest.short))
            daemon.wait_source('agent', guest.short)

    def resume(self, daemon, guest, since):
        """A paused guest was left alone since then, and gets its shortfall when it is resumed."""
        self.assertEqual(self.sent(daemon, guest.short, since), [], daemon.describe())
        self.lab.virsh('resume', guest.name)
        began = time.monotonic()
        self.wait_full(daemon, guest.short)
        self.assertEqual(daemon.find_lines(f'{guest.short}: .*stuck'), [], daemon.tail())
        return time.monotonic() - began

    def pause(self, daemon, guest):
        self.lab.virsh('suspend', guest.name)
        daemon.wait('it is seen to be paused', lambda rows: rows[guest.short].get('busy') == 'paused', step=0.02)
        return daemon.mark()

    def test_paused_guest_is_left_alone(self):
        daemon, big = self.daemon(), self.guests['big']
        self.host.moderate(300)
        self.shrunk(daemon, 'big', mib=64)
        daemon.wait_rest()
        self.host.steady()
        size = big.actual()
        since = self.pause(daemon, big)
        self.host.severe()
        self.shrunk(daemon, 'one', 'two')
        self.host.calm()
        self.wait_full(daemon, 'one', 'two')
        self.assertEqual(big.actual(), size)
        seconds = self.resume(daemon, big, since)
        figure(f'paused while shrunken by {(self.full("big") - size) >> 20} MiB: full again {seconds:.1f} s after it '
               'was resumed')

    def test_guest_paused_while_its_balloon_moves(self):
        daemon, big = self.daemon(), self.guests['big']
        since = daemon.mark()
        self.host.severe()
        move = wait('big is sent a target', lambda: self.sent(daemon, 'big', since), step=0.01)[0]
        since = self.pause(daemon, big)
        size = big.actual()
        # Longer than a balloon may go without progress until it counts as stuck.
        time.sleep(6)
        self.assertEqual(big.actual(), size)
        self.host.calm()
        self.wait_full(daemon, 'one', 'two')
        seconds = self.resume(daemon, big, since)
        figure(f'paused at {size >> 20} MiB on the way from {move.from_bytes >> 20} to {move.to_bytes >> 20} MiB: '
               f'full again {seconds:.1f} s after it was resumed')

    def test_managed_save_and_restore(self):
        daemon, one = self.daemon(), self.guests['one']
        self.host.severe()
        self.shrunk(daemon, 'one', mib=64)
        for away in (False, True):
            with self.subTest(daemon='away' if away else 'there'):
                daemon.wait_rest()
                size = one.actual()
                if away:
                    daemon.stop()
                since = daemon.mark()
                self.lab.virsh('managedsave', one.name)
                one.disconnect()
                if not away:
                    daemon.wait_line('one: no longer running: saved', since)
                self.lab.virsh('start', one.name)
                began = time.monotonic()
                self.assertAlmostEqual(one.actual(), size, delta=TOLERANCE)
                if away:
                    daemon = self.daemon()
                daemon.wait_source('agent', 'one')
                if not away:
                    figure(f'restored → its agent is heard again: {time.monotonic() - began:.1f} s')
                row = daemon.list()['one']
                self.assertEqual(row['full_bytes'], self.full('one'), daemon.describe())
                self.assertGreaterEqual(row['current_bytes'], row['floor_bytes'])
        self.host.calm()
        self.wait_full(daemon)

    def test_guest_that_may_be_shutting_down_is_left_alone(self):
        daemon, one = self.daemon(config={'Guard.Grace': '8s'}), self.guests['one']
        self.addCleanup(one.run, 'agent start')
        one.run('agent stop')
        goodbye = daemon.wait_line('one: agent disconnected').at
        since = daemon.mark()
        self.host.severe()
        self.shrunk(daemon, 'two')
        # It didn't shut down.
        self.shrunk(daemon, 'one')
        # (The line that says goodbye may be read late on a busy machine.)
        self.assertGreaterEqual(self.sent(daemon, 'one', since)[0].at - goodbye, 7, daemon.describe())

    def test_dumped_guest_is_left_alone(self):
        daemon, big = self.daemon(), self.guests['big']
        daemon.wait_rest()
        file = SlowFile(self.lab, 'core')
        self.addCleanup(file.close)
        since = daemon.mark()
        job = self.lab.spawn(['virsh', '-q', '-c', 'qemu:///session', 'dump', '--live', big.name, file.path])
        wait('the dump has begun', file.begun, step=0.01)
        self.host.severe()
        self.shrunk(daemon, 'one', 'two')
        daemon.wait('it is seen to be saved', lambda rows: rows['big'].get('busy') == 'saving')
        time.sleep(2)
        self.assertEqual(big.actual(), self.full('big'), daemon.describe())
        # A target that was sent before the job was noticed was refused; that isn't held against the balloon.
        file.go_on()
        self.assertEqual(job.wait(HANG), 0)
        began = time.monotonic()
        self.shrunk(daemon, 'big')
        figure(f'a dump was over → the guest gives: {time.monotonic() - began:.1f} s')
        self.assertEqual(daemon.find_lines('big: .*stuck', since), [], daemon.tail())

    def test_snapshot_of_a_shrunken_guest(self):
        # With its memory in a file: internal snapshots need all disks in qcow2.
        daemon, big = self.daemon(), self.guests['big']
        self.host.moderate(300)
        self.shrunk(daemon, 'big', mib=64)
        daemon.wait_rest()
        self.host.steady()
        size = big.actual()
        self.lab.virsh('snapshot-create-as', big.name, 'shrunken', '--diskspec', 'vda,snapshot=no', '--memspec',
                       f'{self.lab.path("home", "shrunken")},snapshot=external')
        self.addCleanup(self.lab.virsh, 'snapshot-delete', big.name, 'shrunken', '--metadata')
        daemon.wait('it is resumed', lambda rows: not rows['big'].get('busy'))
        daemon.wait_source('agent', 'big')
        self.assertAlmostEqual(big.actual(), size, delta=TOLERANCE)
        self.assertEqual(daemon.list()['big']['full_bytes'], self.full('big'))
        self.host.calm()
        self.wait_full(daemon)

    def test_memory_is_accounted_right_whatever_the_balloon_does(self):
        # A guest with free page reporting gives by balloon on a critical host that can't swap.
        self.host.set_swap(0)
        self.addCleanup(self.host.set_swap, self.host.swap_mib)
        daemon = self.daemon()
        self.host.severe()
        self.shrunk(daemon, *self.guests, mib=64)
        daemon.wait_rest()
        for name, guest in self.guests.items():
            with self.subTest(name):
                def right():
                    info, stats = guest.meminfo(), daemon.stats(name)['stats']
                    # With deflate-on-oom the guest's kernel counts the balloon as memory that it has.
                    inflated = self.full(name) - guest.actual()
                    self.off = {
                        'available': stats['available_bytes'] - info['MemAvailable'],
                        'free': stats['free_bytes'] - info['MemFree'],
                        'used': stats['used_bytes'] - (guest.actual() - info['MemAvailable']),
                        'total': stats['total_bytes'] - info['MemTotal'] + (inflated if guest.autodeflate else 0)}
                    return all(abs(v) <= ACCOUNTING for v in self.off.values())
                # A report may be a second old.
                wait('its reports agree with the guest', right, step=0.3,
                     dump=lambda: f'{name}: off by {self.off}\n{daemon.describe()}')


class Migration(LabTest):
    GUESTS = {'one': {'memory': 384, 'load': 'free:200', 'persistent': False}}

    def test_migrated_guest_is_left_alone_and_found_on_its_new_host(self):
        daemon, one = self.daemon(), self.guests['one']
        self.host.moderate(150)
        self.shrunk(daemon, 'one', mib=64)
        daemon.wait_rest()
        self.host.steady()
        size = one.actual()
        peer = self.lab.peer()
        command = one.migration(peer)
        # ballastd asks libvirt about a guest whose agent reports each 5 s: the migration takes longer than that.
        self.lab.virsh('migrate-setspeed', one.name, '10')
        job = self.lab.spawn(command)
        daemon.wait('it is seen to migrate', lambda rows: rows.get('one', {}).get('busy') == 'migrating',
                    step=0.02)
        since = daemon.mark()
        self.host.severe()
        self.assertEqual(job.wait(HANG), 0, daemon.describe())
        daemon.wait_line('one: no longer running', since)
        self.assertEqual(self.sent(daemon, 'one', since), [], daemon.describe())
        self.host.calm()

        one.migrated(peer)
        del self.guests['one']
        self.addCleanup(peer.destroy, one)
        # On a loaded machine without KVM a guest has hung for good after this, without any ballastd on its new host.
        try:
            one.run('true', 60)
        except AssertionError as e:
            case.skip(type(self), f'QEMU lost the guest in its migration: {e}')
        self.assertAlmostEqual(one.actual(), size, delta=TOLERANCE)
        began = time.monotonic()
        there = Daemon(peer, host := Host(peer), policy=holding(peer))
        self.daemons.append(there)
        self.addCleanup(host.close)
        host.moderate(10)
        there.start()
        there.wait_source('agent', 'one')
        figure(f'migrated: its agent is heard on the other host {time.monotonic() - began:.1f} s after ballastd began')
        self.assertEqual(there.list()['one']['full_bytes'], one.memory * MIB, there.describe())
        host.calm()
        there.wait('it has its full size', lambda rows: rows['one']['current_bytes'] >= one.memory * MIB - TOLERANCE)


if __name__ == '__main__':
    raise SystemExit(case.main())
