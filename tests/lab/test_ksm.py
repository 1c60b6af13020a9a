# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel's KSM on real guests that hold equal pages, set by the shipped policies, and restored."""

import os
import re
import time

import case
from case import LabTest, figure
from daemon import POLICY, holding
from guest import MIB
from ksm import CONTROLS, KSM, Machine, read, values, write
from lab import cpu_seconds
from waiting import note, wait

KSM_POLICY = os.path.join(os.path.dirname(POLICY), 'ksm.policy')
EQUAL_MIB = 160
PAGE = os.sysconf('SC_PAGESIZE')


def why_not(lab):
    if not os.path.exists(f'{KSM}/run'):
        return 'this kernel has no KSM'
    if os.geteuid() != 0 or not lab.user:
        return 'only root can lend KSM\'s controls to the daemon'
    if read('run') != '0':
        return 'KSM is in use on this machine'
    try:
        write('run', read('run'))
    except OSError as e:
        return f'{KSM}/run can\'t be written: {e.strerror}'
    return None


def ksmd():
    """The pid of the kernel's thread."""
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                with open(f'/proc/{entry}/stat') as f:
                    if '(ksmd)' in f.read():
                        return int(entry)
            except OSError:  # ended
                pass
    raise AssertionError('there is no ksmd')


def proportional(guest):
    """Bytes of the guest's QEMU (its PSS: shared pages count in parts)."""
    with open(f'/proc/{guest.pid()}/smaps_rollup') as f:
        return int(re.search(r'^Pss: +(\d+) kB', f.read(), re.MULTILINE).group(1)) << 10


class Ksm(LabTest):
    HOST_MIB = 1536  # of which more than half is outstanding to guests
    GUESTS = {name: {'memory': 288, 'load': f'equal:{EQUAL_MIB}', 'mergeable': True} for name in ('one', 'two', 'three')}

    @classmethod
    def setUpClass(cls):
        why = why_not(case.LAB)
        if why:
            case.skip(cls, why)
        super().setUpClass()
        cls.machine = Machine(cls.lab)

    @classmethod
    def tearDownClass(cls):
        cls.machine.close()
        super().tearDownClass()

    def setUp(self):
        self.machine.prepare()
        super().setUp()

    def both(self, **kwargs):
        """A daemon on a host that is as short of memory as can be."""
        self.host.severe()
        kwargs.setdefault('policy', [POLICY, KSM_POLICY])
        # Balloons stay alone in tests that aren't about them.
        kwargs.setdefault('config', {'Guest *.Mode': 'off'})
        return self.daemon(**kwargs)

    def remembered(self):
        return os.path.exists(self.lab.path('run', 'ballast', 'ksm'))

    def policy(self, name, text):
        path = self.lab.path(name)
        with open(path, 'w') as f:
            f.write(text)
        return path

    def set_up_by_policy(self, daemon):
        daemon.wait_line(r'^KSM: run false → true: ')
        # On 1.5 GiB: ksmd sleeps as long as on any small host.
        wait('KSM is as the policy wants it',
             lambda: values() == {'run': 1, 'pages_to_scan': 1250, 'sleep_millisecs': 100}, dump=daemon.describe)
        self.assertTrue(self.remembered())

    def test_1_equal_pages_are_merged_and_restored_after_a_killed_daemon(self):
        thread = ksmd()
        before = sum(proportional(g) for g in self.guests.values())
        resident = sum(g.resident() for g in self.guests.values())
        cpu, began = cpu_seconds(thread), time.monotonic()
        daemon = self.both()
        self.set_up_by_policy(daemon)
        # All copies but one.
        expected = (len(self.guests) - 1) * EQUAL_MIB * MIB

        def merged():
            saved = before - sum(proportional(g) for g in self.guests.values())
            note('MiB merged', min(saved, int(read('pages_sharing')) * PAGE) // MIB)
            return min(saved, int(read('pages_sharing')) * PAGE) > 0.9 * expected
        wait('equal pages are merged', merged, step=1,
             dump=lambda: f'{values()}, sharing {read("pages_sharing")}\n{daemon.describe()}')
        took, cpu = time.monotonic() - began, cpu_seconds(thread) - cpu
        after = sum(proportional(g) for g in self.guests.values())
        sharing, shared = int(read('pages_sharing')) * PAGE, int(read('pages_shared')) * PAGE
        figure(f'KSM, {len(self.guests)} guests with {EQUAL_MIB} MiB of equal pages: PSS of their QEMUs '
               f'{before >> 20} → {after >> 20} MiB ({(before - after) >> 20} MiB saved; RSS was {resident >> 20} MiB) '
               f'in {took:.0f} s; the kernel says {sharing >> 20} MiB saved, {shared >> 20} MiB kept once')
        figure(f'ksmd took {cpu:.2f} s of CPU meanwhile: {100 * cpu / took:.1f}% of a core')
        self.assertLess(cpu / took, 0.7)
        host = daemon.status()['host']
        self.assertTrue(host['ksm_run'])
        self.assertGreater(host['ksm_sharing_bytes'], 0.8 * expected)
        self.assertRegex(daemon.ctl('status').stdout,
                         r'KSM: on, 1250 pages every 100ms; saves \S+ MiB; set by the policy')

        # merge_across_nodes can't be changed now; the log says what can be done about it.
        if os.path.exists(f'{KSM}/merge_across_nodes'):
            self.machine.allow('merge_across_nodes')
            other = 'false' if read('merge_across_nodes') == '1' else 'true'
            daemon.kill()
            daemon = self.both(policy=[self.policy('nodes.policy', f'host.ksm_merge_across_nodes = {other}\n')])
            daemon.wait_line(r'KSM: cannot set merge_across_nodes: Device or resource busy; .*echo 2')
            # Controls that the killed daemon changed, and that this policy doesn't set, are restored.
            daemon.wait_line(r'KSM: run 1 → 0: restored')
            self.assertEqual(values(), CONTROLS)
            daemon.stop()
            self.machine.allow('merge_across_nodes', False)
            daemon = self.both()
            self.set_up_by_policy(daemon)

        daemon.kill()
        self.assertEqual(values()['run'], 1)
        self.assertTrue(self.remembered())
        self.host.calm()
        daemon = self.both(start=False, policy=POLICY)
        daemon.start()
        daemon.wait_line(r'KSM: run 1 → 0: restored')
        daemon.stop()
        self.assertEqual(values(), CONTROLS)
        self.assertFalse(self.remembered())

    def test_a_clean_stop_puts_back(self):
        daemon = self.both()
        self.set_up_by_policy(daemon)
        daemon.stop()
        self.assertEqual(values(), CONTROLS)
        self.assertFalse(self.remembered())

    def test_killed_started_and_stopped(self):
        daemon = self.both()
        self.set_up_by_policy(daemon)
        daemon.kill()
        daemon = self.both()
        self.assertEqual(values()['run'], 1)
        daemon.stop()
        self.assertEqual(values(), CONTROLS)
        self.assertFalse(self.remembered())

    def test_mode_observe_puts_back(self):
        daemon = self.both()
        self.set_up_by_policy(daemon)
        daemon.ctl('mode', 'observe')
        wait('all is put back', lambda: values() == CONTROLS, dump=daemon.describe)
        daemon.wait_line(r'KSM: would set run false → true: .* \(observe\)')
        daemon.ctl('mode', 'auto')
        self.set_up_by_policy(daemon)

    def test_eased_while_balloons_move(self):
        daemon = self.both(config={}, policy=[holding(self.lab), KSM_POLICY])
        daemon.wait_line(r'^KSM: sleep 100ms → 400ms: ')
        self.assertEqual(values()['sleep_millisecs'], 400)

    def test_a_refusal_by_the_kernel_is_logged_once(self):
        self.machine.allow('pages_to_scan', False)
        daemon = self.both()
        daemon.wait_line(r'KSM: cannot set pages_to_scan: Permission denied; .*systemd-tmpfiles')
        wait('the others are set', lambda: values() == {'run': 1, 'pages_to_scan': 100, 'sleep_millisecs': 100})
        self.assertRegex(daemon.ctl('status').stdout, r'refused by the kernel \(see the log\): ksm_pages_to_scan')
        self.wait_cycles(daemon)
        self.assertEqual(len(daemon.find_lines('cannot set pages_to_scan')), 1, daemon.tail())

        # The kernel's own advisor controls it: once the file may be written, this is logged.
        if os.path.exists(f'{KSM}/advisor_mode'):
            write('advisor_mode', 'scan-time')
            self.machine.allow('pages_to_scan')
            daemon.wait_line(r'KSM: cannot set pages_to_scan: Invalid argument; .*advisor_mode')
            self.wait_cycles(daemon)
            self.assertEqual(len(daemon.find_lines('cannot set pages_to_scan')), 2, daemon.tail())
            write('advisor_mode', 'none')
        self.machine.allow('pages_to_scan')
        daemon.wait_line(r'^KSM: pages_to_scan \d+ → 1250: ')

    def wait_cycles(self, daemon, n=4):
        start = daemon.status()['cycle']['count']
        wait('more cycles run', lambda: daemon.status()['cycle']['count'] >= start + n, dump=daemon.describe)


if __name__ == '__main__':
    raise SystemExit(case.main())
