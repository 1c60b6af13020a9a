# SPDX-License-Identifier: LGPL-2.1-or-later
"""make bench-overcommit: real guests on a host that is too small for them, with and without Ballast."""

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), 'lab'))

import cgroup  # noqa: E402
import results  # noqa: E402
import rivals  # noqa: E402
import scenarios  # noqa: E402
from guest import MIB  # noqa: E402
from kernel import Unavailable  # noqa: E402
from lab import SKIP, cpu_seconds, lab_or_skip  # noqa: E402
from scenarios import GUESTS, SIZE_MIB, SWAP_MIB  # noqa: E402
from waiting import wait  # noqa: E402

SETTLE = 20
SOURCES = [os.path.join(HERE, name) for name in ('work.c', 'rival.c')]
HOST_SWAP_MIB = 3072
DISK_MIB = 512
NEEDS_MIB = GUESTS * (SIZE_MIB + 128) + 1024
NEEDS_DISK_MIB = HOST_SWAP_MIB + GUESTS * SWAP_MIB + DISK_MIB + 1024

EXAMPLES = '''examples:
  make bench-overcommit                                    everything, three times: most of a day
  make bench-overcommit ARGS="--scenario stale,fragments --rival fpr,ballast --repeat 1"
  make bench-overcommit ARGS=--list                        the scenarios and the rivals
  make bench-overcommit ARGS=--report                      table and plot of all results so far
'''


def page_ins():
    with open('/proc/vmstat') as f:
        return int(re.search(r'^pswpin (\d+)', f.read(), re.M).group(1))


def each(guests, what):
    """what(guest) for all of them at once; their results."""
    with concurrent.futures.ThreadPoolExecutor(len(guests)) as pool:
        return list(pool.map(what, guests))


class Run:
    """One rival in one scenario."""

    def __init__(self, lab, small, scenario, rival, iops, length, limits, say):
        self.lab, self.small, self.scenario, self.rival = lab, small, scenario, rival
        self.iops, self.limits, self.say = iops, limits, say
        self.length = length or scenario.length
        self.kept_mib = scenario.fragments // 8
        self.works = [None if rival.working and n not in rival.working else scenario.work(n) for n in range(GUESTS)]
        self.guests = []

    def keep_log(self, name, daemon):
        folder = os.environ.get('BALLAST_BENCH_LOGS')
        if folder:
            os.makedirs(folder, exist_ok=True)
            path = os.path.join(folder, f'{self.scenario.name}-{self.rival.name}-{name}')
            with open(path, 'w') as f:
                f.writelines(f'{line.at - self.zero:+.3f} {line.text}\n' for line in daemon.lines)

    def boot(self):
        agent = 'yes' if self.rival.agent else None
        self.guests = [self.lab.guest(f'g{n}', memory=SIZE_MIB, swap=SWAP_MIB, agent=agent,
                                      free_page_reporting=self.rival.fpr, load=self.scenario.prime, direct=True)
                       for n in range(GUESTS)]
        for guest in self.guests:
            guest.start(paused=True)
            self.small.add(guest.pid())
            self.lab.virsh('resume', guest.name)
        for guest in self.guests:
            guest.wait_ready()

    def prime(self):
        def prime(number):
            guest, work = self.guests[number], self.works[number]
            if self.scenario.fragments:
                guest.run(f'work fragments {self.scenario.fragments}')
            if work:
                guest.run(f'{work.command(self.length)} >/run/work.pid')
        each(range(GUESTS), prime)

    def limit_mib(self):
        s = self.scenario
        if not self.rival.limited:
            return None
        if s.limit_mib:
            return s.limit_mib
        # The same for all rivals.
        key = s.name, self.rival.fpr
        if key not in self.limits:
            self.limits[key] = int(self.small.usage() / (1 - s.available)) >> 20
        return self.limits[key]

    def cpu(self):
        own = cpu_seconds(self.rival.pid()) if hasattr(self.rival, 'pid') else 0
        return sum(cpu_seconds(g.pid()) for g in self.guests), own

    def agents_cpu(self):
        """Seconds that the agents took in their guests."""
        if not self.rival.agent:
            return 0
        text = '\n'.join(each(self.guests, lambda g: g.run('cat /proc/[0-9]*/stat | grep ballast-guestd')))
        return sum((int(f[11]) + int(f[12])) / 100 for f in (line.rpartition(')')[2].split()
                                                           for line in text.splitlines()))

    def measure(self):
        self.say('boots')
        self.boot()
        self.say('primes')
        self.prime()
        time.sleep(3)
        limit = self.limit_mib()
        self.say(f'settles; host of {limit or "any number of"} MiB')
        if limit:
            self.small.limit(limit)
        self.zero = time.monotonic() + SETTLE
        self.rival.start(self)
        agents = self.agents_cpu()
        time.sleep(max(0, self.zero - time.monotonic()))
        each([g for g, w in zip(self.guests, self.works) if w], lambda g: g.run('kill -USR1 $(cat /run/work.pid)'))
        self.zero = time.monotonic()
        self.rival.go(self)
        self.small.throttle_reads(self.iops)
        began, swapped = self.cpu(), page_ins()
        self.say(f'measures for {self.length} s')
        time.sleep(self.length)
        ended, swapped = self.cpu(), page_ins() - swapped
        self.small.throttle_reads(None)
        self.small.limit(None)
        figures = self.rival.stop(self)
        agents = self.agents_cpu() - agents
        return {**self.collect(), **figures, 'limit_mib': limit, 'guests_cpu': ended[0] - began[0],
                'daemon_cpu': ended[1] - began[1], 'agents_cpu': agents, 'swap_in_mib': swapped * 4096 / MIB}

    def collect(self):
        workers = [n for n in range(GUESTS) if self.works[n]]

        def result(number):
            return json.loads(wait(f'guest {number} has its result',
                                   lambda: self.guests[number].run('cat /run/work 2>/dev/null', check=False), step=1))
        found = dict(zip(workers, each(workers, result)))
        return results.of_run(self, found)

    def end(self):
        self.small.throttle_reads(None)
        self.small.limit(None)
        if self.guests:
            self.lab.destroy(*self.guests)
        for guest in self.guests:
            for path in (guest.console, self.lab.path('guests', guest.short + '.swap')):
                if os.path.exists(path):
                    os.unlink(path)


def check_machine(folder):
    with open('/proc/meminfo') as f:
        available = int(re.search(r'MemAvailable: +(\d+)', f.read()).group(1)) >> 10
    if available < NEEDS_MIB:
        raise Unavailable(f'{available} MiB of memory are available, and {GUESTS} guests need {NEEDS_MIB}')
    free = shutil.disk_usage(folder).free // MIB
    if free < NEEDS_DISK_MIB:
        raise Unavailable(f'{folder} has {free} MiB free, and swap and the guests\' disks need {NEEDS_DISK_MIB}')


def fill(path):
    """Real blocks: what a guest reads has to come from the disk."""
    with open(path, 'r+b') as f:
        for _ in range(DISK_MIB):
            f.write(b'\x5a' * MIB)
        f.truncate(DISK_MIB * MIB)
        os.fsync(f.fileno())


def version(source):
    try:
        r = subprocess.run(['git', '-C', source, 'describe', '--always', '--dirty'], capture_output=True, text=True)
    except FileNotFoundError:
        return ''
    return r.stdout.strip()


class Bench:
    def __init__(self, args):
        self.args = args
        self.began = time.monotonic()
        self.version = version(HERE)
        self.runs = [(n, s, r) for n in range(args.repeat) for s in args.scenarios for r in self._turn(args.rivals, n)
                     if not r.only or s.name in r.only]
        self.limits = {}

    @staticmethod
    def _turn(those, n):
        """Another one begins each time, for what comes later may find the machine in another state."""
        n %= len(those)
        return those[n:] + those[:n]

    def say(self, text):
        print(f'[{time.monotonic() - self.began:5.0f} s] {text}', flush=True)

    def run(self):
        check_machine('/tmp')
        with lab_or_skip(self.args.build, lambda text: self.say('lab: ' + text), SOURCES) as lab:
            self.say('lab: writes the guests\' disk and the host\'s swap')
            fill(lab.path('guests', 'cache.img'))
            small = cgroup.SmallHost(lab, swap_mib=HOST_SWAP_MIB)
            small.throttle_reads(None)
            seconds = sum(75 + (self.args.seconds or s.length) for _, s, _ in self.runs)
            self.say(f'{len(self.runs)} runs, about {seconds // 60 + 1} min')
            failed = 0
            for i, (n, scenario, rival) in enumerate(self.runs, 1):
                failed += not self.one(lab, small, scenario, rival, f'{i}/{len(self.runs)} {scenario.name}, {rival.name}: ')
            return failed

    def one(self, lab, small, scenario, rival, mark):
        run = Run(lab, small, scenario, rival, self.args.iops, self.args.seconds, self.limits,
                  lambda text: self.say(mark + text))
        try:
            figures = run.measure()
        except (AssertionError, Unavailable, OSError, ValueError) as e:
            self.say(f'{mark}FAILED: {e}')
            return False
        finally:
            run.end()
        row = {'scenario': scenario.name, 'rival': rival.name, 'version': self.version, 'at': int(time.time()),
               'iops': self.args.iops, 'kvm': lab.kvm, 'cores': os.cpu_count(), **figures}
        results.append(self.args.results, row)
        self.say(mark + results.line(row))
        return True


def names(known):
    def parse(text):
        for name in text.split(','):
            if name not in known:
                raise argparse.ArgumentTypeError(f'{name} is not known: one of {", ".join(known)}')
        return [known[name] for name in text.split(',')]
    return parse


def arguments():
    parser = argparse.ArgumentParser(
        prog='make bench-overcommit', usage='make bench-overcommit ARGS="[OPTIONS]"', epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f'{GUESTS} real guests of {SIZE_MIB} MiB on a host that is a memory cgroup with swap. Needs root.')
    parser.add_argument('--build', required=True, help=argparse.SUPPRESS)
    parser.add_argument('--scenario', dest='scenarios', type=names(scenarios.BY_NAME), default=scenarios.ALL,
                        metavar='NAME,…', help='only these')
    parser.add_argument('--rival', dest='rivals', type=names(rivals.BY_NAME), metavar='NAME,…',
                        default=[rivals.BY_NAME[n] for n in rivals.DEFAULT], help='only these')
    parser.add_argument('--repeat', type=int, default=3, metavar='N', help='how often each runs (3)')
    parser.add_argument('--iops', type=int, default=1000, metavar='N', help='reads per second from the disk (1000)')
    parser.add_argument('--seconds', type=int, metavar='N', help='measure for N seconds, whatever the scenario says')
    parser.add_argument('--results', default='build/overcommit.jsonl', metavar='FILE',
                        help='results are appended to it (build/overcommit.jsonl)')
    parser.add_argument('--list', action='store_true', help='list scenarios and rivals')
    parser.add_argument('--report', metavar='FOLDER', nargs='?', const='-',
                        help='print a table of the results; with FOLDER, write overcommit.md and overcommit.svg there')
    return parser.parse_args()


def main():
    args = arguments()
    if args.list:
        for title, those in ('Scenarios', scenarios.ALL), ('Rivals', rivals.ALL):
            print(f'{title}:')
            for it in those:
                print(f'  {it.name:20} {it.title}')
        return 0
    if args.report:
        return results.report(args.results, args.report)
    try:
        failed = Bench(args).run()
    except Unavailable as e:
        print(f'SKIP: {e}', file=sys.stderr)
        return SKIP
    results.report(args.results, '-')
    return 1 if failed else 0


if __name__ == '__main__':
    raise SystemExit(main())
