# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the lab's tests have in common: one lab per program, guests booted once per class, and for each test a fresh
daemon on guests that have their full size."""

import argparse
import concurrent.futures
import sys
import time
import unittest

from daemon import Daemon, Host, holding
from guest import MIB
from lab import SKIP, lab_or_skip

LAB = None
FIGURES = []
SKIPPED = []
# A balloon that is this near to its full size has it (host-agent/guest/balloon.h).
TOLERANCE = MIB


def figure(text):
    """A measured figure, printed at the end."""
    FIGURES.append(text)


def skip(test, why):
    """Skips a test that can't run on this machine."""
    SKIPPED.append(f'{test.__name__}: {why}')
    raise unittest.SkipTest(why)


class LabTest(unittest.TestCase):
    GUESTS = {}    # name: arguments of Guest
    HOST_MIB = 4096
    guests = None

    @classmethod
    def setUpClass(cls):
        cls.lab = LAB
        cls.host = Host(LAB, cls.HOST_MIB)
        cls.guests = {name: LAB.guest(name, **kwargs) for name, kwargs in cls.GUESTS.items()}
        began = time.monotonic()
        LAB.boot(*cls.guests.values())
        for guest in cls.guests.values():
            guest.loaded = guest.resident()
        if cls.guests:
            print(f'{cls.__name__}: {len(cls.guests)} guests booted in {time.monotonic() - began:.1f} s',
                  file=sys.stderr)

    @classmethod
    def tearDownClass(cls):
        LAB.destroy(*cls.guests.values())
        cls.host.close()

    def setUp(self):
        self.began = time.monotonic()
        self.daemons = []
        self.sets_memory = False
        self.host.calm()
        # The host no longer backs memory that balloons took, and cache was dropped: load it again.
        with concurrent.futures.ThreadPoolExecutor(max(1, len(self.guests))) as pool:
            list(pool.map(self.load_again, self.guests.values()))

    def load_again(self, guest):
        """Unless all of it is still resident: only its balloon makes its QEMU smaller."""
        if guest.resident() >= guest.loaded - 8 * MIB:
            return
        for item in guest.load.split(','):
            if item.startswith(('free:', 'cache:')):
                guest.load_now(*item.split(':'))
        guest.loaded = guest.resident()

    def tearDown(self):
        """The daemon gives back what it took, so that the next one finds no balloon moving."""
        self.host.calm()
        daemon = next((d for d in self.daemons if d.process and not d.ended()), None)
        try:
            if daemon or any(not self.is_full(n, g.actual()) for n, g in self.guests.items()):
                daemon = daemon or self.daemon()
                daemon.wait('all have their size again and rest', lambda rows: self.give_back(daemon, rows))
        finally:
            for daemon in self.daemons:
                daemon.stop()
        for daemon in self.daemons:
            if not self.sets_memory:
                self.assertEqual(daemon.find_lines('somebody else set its memory'), [], daemon.tail())
        print(f'    {time.monotonic() - self.began:.1f} s', file=sys.stderr)

    def give_back(self, daemon, rows):
        if all(self.is_full(n, rows[n]['current_bytes']) and self.is_full(n, rows[n]['target_bytes']) and
               not rows[n]['moving'] for n in self.guests):
            return True
        daemon.ctl('release', '--all', check=False)
        return False

    def daemon(self, start=True, **kwargs):
        """ballastd, started, with stats of all guests of the class, each past its grace. Its balloons hold what they take,
        unless the test gives it another policy."""
        kwargs.setdefault('policy', holding(self.lab))
        daemon = Daemon(self.lab, kwargs.pop('host', self.host), **kwargs)
        self.daemons.append(daemon)
        if start:
            daemon.start()
            agents = [n for n, g in self.guests.items() if g.agent == 'yes']
            if agents:
                daemon.wait_source('agent', *agents)
            # It watches a balloon that it sees for the first time before it moves it.
            daemon.wait('all have been looked at',
                        lambda rows: all(row['busy'] != 'just found' for row in rows.values()))
        return daemon

    def shrunk(self, daemon, *names, mib=16):
        """Waits until all of them gave something."""
        daemon.wait(f'{", ".join(names)} give', lambda rows: all(
            rows[n]['current_bytes'] < self.full(n) - mib * MIB for n in names))

    def sent(self, daemon, name, since=0):
        """The moves that were sent to it."""
        return [m for m in daemon.moves(since) if m.guest == name]

    def actual(self, name):
        return self.guests[name].actual()

    def full(self, name):
        return self.guests[name].current * MIB

    def is_full(self, name, size):
        """Never more than its full size, and hardly less."""
        return self.full(name) - TOLERANCE <= size <= self.full(name)

    def wait_full(self, daemon, *names):
        names = names or list(self.guests)
        daemon.wait(f'{", ".join(names)} have their full size',
                    lambda rows: all(self.is_full(n, rows[n]['current_bytes']) for n in names))


class Result(unittest.TextTestResult):
    """Shows with each failure the last lines of the daemons' logs."""

    def _say(self, test):
        for daemon in getattr(test, 'daemons', []):
            self.stream.writeln(f'--- ballastd\'s log of {test.id()}:\n{daemon.tail(60)}\n---')

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._say(test)

    def addError(self, test, err):
        super().addError(test, err)
        self._say(test)


def main():
    global LAB
    parser = argparse.ArgumentParser(description='Tests on real guests.')
    parser.add_argument('--build', required=True, help='the build folder')
    parser.add_argument('-k', action='append', dest='patterns', help='only tests whose name contains this')
    parser.add_argument('-f', '--failfast', action='store_true')
    args = parser.parse_args()
    loader = unittest.TestLoader()
    if args.patterns:
        loader.testNamePatterns = [f'*{p}*' for p in args.patterns]
    suite = loader.loadTestsFromModule(sys.modules['__main__'])
    began = time.monotonic()
    with lab_or_skip(args.build, lambda text: print('lab: ' + text, file=sys.stderr)) as LAB:
        result = unittest.TextTestRunner(verbosity=2, failfast=args.failfast, resultclass=Result).run(suite)
    for text in FIGURES:
        print('FIGURE ' + text)
    print(f'{result.testsRun} tests on real guests, {time.monotonic() - began:.0f} s in all, and {LAB.cpu:.0f} s of CPU by guests')
    for text in SKIPPED:
        print('SKIP: ' + text)
    if SKIPPED and not result.testsRun and result.wasSuccessful():
        return SKIP
    # Without any test it isn't a success.
    return 0 if result.wasSuccessful() and result.testsRun else 1
