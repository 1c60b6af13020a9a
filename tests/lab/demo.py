# SPDX-License-Identifier: LGPL-2.1-or-later
"""make demo: three real guests under changing pressure, and what Ballast does about it."""

import argparse
import os
import shutil
import sys
import time

from daemon import RELAX, Daemon
from guest import MIB
from lab import SKIP, Failed, lab_or_skip

GUESTS = {
    'busy': ('works on 350 MiB, over and over', {'load': 'hold:350', 'swap': 256}),
    'idle': ('did its work and let go of it: free, but the host still holds it', {'load': 'free:380'}),
    'cache': ('has read 300 MiB of files once: page cache, and little that is free', {'load': 'free:380,cache:300'}),
}
SIZE = 512
BAR = 32
REST = 2.5  # a phase is over when nothing has moved for this long


def mib(n):
    return f'{n / MIB:.0f}'


def is_back(row):
    """At its full size, or so near to it that a move isn't worth it."""
    return row['current_bytes'] >= row['full_bytes'] - MIB


def meminfo():
    with open('/proc/meminfo') as f:
        return {key: int(rest.split()[0]) << 10 for key, rest in (line.split(':') for line in f)}


class Screen:
    """A table that is redrawn in place on a terminal; elsewhere a line each time that something changed."""

    def __init__(self):
        self.terminal = sys.stdout.isatty() and os.environ.get('TERM', 'dumb') != 'dumb'
        self.began = time.monotonic()
        self.height = 0
        self.last = None

    def say(self, text=''):
        """Text below the table, which then stays as it is."""
        self.height = 0
        self.last = None
        print(text, flush=True)

    def headline(self, text):
        mark = ('\033[1m', '\033[0m') if self.terminal else ('', '')
        self.say(f'\n{mark[0]}[{time.monotonic() - self.began:4.0f} s] {text}{mark[1]}')

    def draw(self, status, rows):
        if self.terminal:
            lines = table(status, rows)
            up = f'\033[{self.height}A' if self.height else ''
            print(up + '\n'.join(f'\033[2K{line}' for line in lines), flush=True)
            self.height = len(lines)
            return
        line = one_line(status, rows)
        if line != self.last:
            print(f'  {time.monotonic() - self.began:4.0f} s  {line}', flush=True)
            self.last = line


def bar(row):
    """# used, c cache, . free, and blank what the balloon holds."""
    scale = BAR / row['full_bytes']
    have = row['current_bytes']
    free = row.get('free_bytes', 0)
    cache = row.get('cache_bytes', 0)
    used = max(0, have - free - cache)
    cells = ''
    for mark, end in (('#', used), ('c', used + cache), ('.', have)):
        cells += mark * (round(end * scale) - len(cells))
    return f'[{cells:{BAR}}]'


def host_line(status):
    host = status['host']
    total = host['total_bytes']
    return (f'host: {mib(host["available_bytes"])} MiB of its budget available, {100 * host["available_bytes"] / total:.1f} % '
            f'(guests give below {100 * host["pressure_threshold_bytes"] / total:.0f} %, get back above '
            f'{100 * host["relax_threshold_bytes"] / total:.0f} %); pressure: {host["pressure"]}')


def table(status, rows):
    width = shutil.get_terminal_size().columns
    lines = [host_line(status), f'guest  {"# used  c cache  . free":{BAR + 2}}   MiB  target   free  cache  why']
    for name, row in rows.items():
        lines.append(f'{name:5}  {bar(row)} {mib(row["current_bytes"]):>5} {mib(row["target_bytes"]):>7} '
                     f'{mib(row.get("free_bytes", 0)):>6} {mib(row.get("cache_bytes", 0)):>6}  {row["reason"]}')
    return [line[:width - 1] for line in lines]


def one_line(status, rows):
    host = status['host']
    guests = '  '.join(f'{name} {mib(r["current_bytes"]):>3}' +
                       (f'→{mib(r["target_bytes"])}' if mib(r['target_bytes']) != mib(r['current_bytes']) else '    ')
                       for name, r in rows.items())
    share = 100 * host['available_bytes'] / host['total_bytes']
    return f'host {share:4.1f} % available, pressure {host["pressure"]:8}  MiB: {guests}'


class Demo:
    def __init__(self, lab, screen):
        self.lab, self.screen = lab, screen
        self.guests = {}
        self.daemon = None

    def boot(self):
        for name, (_, load) in GUESTS.items():
            self.guests[name] = self.lab.guest(name, memory=SIZE, **load)
        self.lab.boot(*self.guests.values())

    def rows(self):
        found = self.daemon.list()
        return {name: found[name] for name in GUESTS if name in found}

    def phase(self, least, most, until=lambda rows: True):
        """Shows the table until the condition holds and nothing has moved for a while."""
        began = moved = time.monotonic()
        sizes = None
        while True:
            status, rows = self.daemon.status(), self.rows()
            self.screen.draw(status, rows)
            now = time.monotonic()
            if sizes != (sizes := {n: (r['current_bytes'], r['target_bytes']) for n, r in rows.items()}):
                moved = now
            if now - began > most or (now - began > least and now - moved > REST and until(rows)):
                return rows
            time.sleep(0.3)

    def squeeze(self, below_mib):
        self.daemon.write_config(Host_Reserve=self.daemon.reserve_for(below_mib))
        self.daemon.reload()

    def run(self):
        say, headline = self.screen.say, self.screen.headline
        info = meminfo()
        # A host without swap is twice as cautious.
        caution = 1 if info['SwapTotal'] else 2
        needed = caution * min(RELAX * info['MemTotal'], 40 << 30) + (len(GUESTS) + 1) * SIZE * MIB
        if info['MemAvailable'] < needed:
            say(f'SKIP: this machine has {mib(info["MemAvailable"])} MiB available, and the demo needs {mib(needed)}.')
            return SKIP
        say('Ballast keeps a KVM host out of swap: it takes memory from guests that can spare it, and gives it back.')
        say(f'Three real guests of {SIZE} MiB:')
        for name, (text, _) in GUESTS.items():
            say(f'  {name:6} {text}')

        headline('Booting them, and filling their memory')
        self.boot()
        say('  booted; in each runs ballast-guestd, which reports once a second over a virtio-serial channel')

        headline('ballastd starts, mode auto. The host has plenty: nothing is to move')
        self.daemon = Daemon(self.lab, host=None, log_level='info', config={
            'Daemon.Interval': '1s', 'Guard.Grace': '2s', 'Guard.Step': '2s'}).start()
        self.daemon.wait_source('agent', *GUESTS)
        self.phase(3, 10)
        before = {name: guest.memstat()['rss'] for name, guest in self.guests.items()}

        first = self.daemon.mark()
        headline('The budget shrinks to 200 MiB below what the policy wants available ([Host] Reserve=, SIGHUP)')
        self.squeeze(200)
        self.phase(3, 15)

        headline('It shrinks further')
        self.squeeze(300)
        squeezed = self.phase(3, 15, lambda rows: rows['cache']['current_bytes'] < SIZE * MIB)
        held = {name: guest.memstat()['rss'] for name, guest in self.guests.items()}

        headline('The budget is eased: all is to come back')
        eased = self.daemon.mark()
        self.daemon.write_config(Host_Reserve='0')
        self.daemon.reload()
        rows = self.phase(3, 30, lambda rows: all(is_back(r) for r in rows.values()))
        return self.sum_up(first, eased, before, held, squeezed, rows)

    @staticmethod
    def runs(moves):
        """Moves of one guest that follow each other with the same reason, as one: [first, last, how many]"""
        found, last = [], {}
        for move in moves:
            run = last.get(move.guest)
            if run and run[1].reason == move.reason:
                run[1], run[2] = move, run[2] + 1
            else:
                run = last[move.guest] = [move, move, 1]
                found.append(run)
        return found

    def sum_up(self, first, eased, before, held, squeezed, rows):
        say, headline = self.screen.say, self.screen.headline
        taken, given = self.daemon.moves(first, eased), self.daemon.moves(eased)
        headline('What happened, and why (from the log of ballastd)')
        began = self.daemon.lines[first].at
        for start, end, n in self.runs(taken + given):
            steps = f' in {n} steps until +{end.at - began:.1f} s' if n > 1 else ''
            say(f'  +{start.at - began:4.1f} s  {start.guest:6} {mib(start.from_bytes):>4} → {mib(end.to_bytes):>4} MiB'
                f'{steps}: {end.reason}')

        # Within a cycle all are asked at once: the guest that gives most comes first.
        order = list(dict.fromkeys(move.guest for move in sorted(
            taken, key=lambda m: (round(m.at - taken[0].at), m.to_bytes - m.from_bytes))))
        say()
        if order:
            say(f'  Asked to give, in this order: {", then ".join(order)}.')
        for name in GUESTS:
            freed = before[name] - held[name]
            if name in order:
                say(f'  {name} gave {mib(max(0, freed))} MiB: its QEMU process held {mib(before[name])} MiB of the '
                    f'host before, {mib(held[name])} MiB under pressure.')
            else:
                row = squeezed[name]
                say(f'  {name} was left alone: only {mib(row["available_bytes"])} of its {mib(row["current_bytes"])} MiB '
                    'were available to it, and each guest keeps a fifth.')
        back = [name for name, row in rows.items() if is_back(row)]
        say(f'  Back at full size: {", ".join(back) or "none"}.')
        good = order[:1] == ['idle'] and 'busy' not in order and len(back) == len(GUESTS)
        say(f'\n{"That is as it should be." if good else "That is NOT as it should be: please report it."}'
            f' {time.monotonic() - self.screen.began:.0f} s in all.')
        return 0 if good else 1


def main():
    parser = argparse.ArgumentParser(description='Three real guests under changing pressure.')
    parser.add_argument('--build', required=True, help='the build folder')
    args = parser.parse_args()
    screen = Screen()
    with lab_or_skip(args.build, lambda text: screen.say('  ' + text)) as lab:
        demo = Demo(lab, screen)
        try:
            status = demo.run()
        except (AssertionError, Failed) as e:
            screen.say(f'\nThe demo failed: {e}')
            status = 1
        finally:
            if demo.daemon:
                demo.daemon.stop()
    return status


if __name__ == '__main__':
    raise SystemExit(main())
