# SPDX-License-Identifier: LGPL-2.1-or-later
"""make demo: four real guests of both kinds on a host that runs short of memory, and what Ballast does about it."""

import argparse
import os
import re
import shutil
import sys
import time

from daemon import PRESSURE, Daemon, Host, policy_with
from guest import MIB
from lab import SKIP, Failed, lab_or_skip
from waiting import wait

SIZE = 512
BUDGET = 4096
OLD = 10  # seconds that a guest must have rested before its old page cache is taken; the shipped policy's minute is long
FRAGMENTS = 180 * MIB
LEAST_CACHE = 32 * MIB
LEAST_IDLE = 128 * MIB
BAR = 32
REST = 2.5  # a phase is over when nothing has moved for this long
GUESTS = {
    'busy': ('works on 350 MiB, over and over', {'load': 'hold:350', 'swap': 256}),
    'idle': ('did its work and let go of it: free, but the host still holds it', {'load': 'free:380'}),
    'cache': ('has read 300 MiB of files once: page cache, and little that is free', {'load': 'free:380,cache:300'}),
    'fpr': ('has read 160 MiB of files once, and 180 MiB of its free memory lie in fragments',
            {'load': f'free:380,cache:160,fragments:{FRAGMENTS // MIB}', 'free_page_reporting': True}),
}


def mib(n):
    return f'{n / MIB:.0f}'


def is_back(row):
    """At its full size, or so near to it that a move isn't worth it."""
    return row['current_bytes'] >= row['full_bytes'] - MIB


def available_memory():
    with open('/proc/meminfo') as f:
        return int(re.search(r'MemAvailable: +(\d+)', f.read()).group(1)) << 10


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

    def leave(self, status, rows):
        """A phase is over: elsewhere, too, the table shows where it ended."""
        if not self.terminal:
            print('\n'.join('  ' + line for line in table(status, rows)), flush=True)


def bar(row):
    """# used, c cache, i idle, . free without the host's memory behind it, and blank what the balloon holds."""
    scale = BAR / row['full_bytes']
    have = row['current_bytes']
    free = row.get('free_bytes') or 0
    cache = row.get('cache_bytes') or 0
    idle = min(free, row.get('idle_bytes') or 0)
    used = max(0, have - free - cache)
    cells = ''
    for mark, end in (('#', used), ('c', used + cache), ('i', used + cache + idle), ('.', have)):
        cells += mark * (round(end * scale) - len(cells))
    return f'[{cells:{BAR}}]'


def host_line(status):
    host = status['host']
    percent = {key: 100 * host[key + '_bytes'] / host['total_bytes'] for key in
               ('available', 'pressure_threshold', 'relax_threshold')}
    return (f'host: {mib(host["available_bytes"])} of {mib(host["total_bytes"])} MiB available, {percent["available"]:.1f} % '
            f'(guests give below {percent["pressure_threshold"]:.0f} %, get back above {percent["relax_threshold"]:.0f} %); '
            f'pressure: {host["pressure"]}')


def table(status, rows):
    width = shutil.get_terminal_size((160, 24)).columns
    lines = [host_line(status), f'guest  {"# used c cache i idle . free":{BAR + 2}}   MiB  target  resident  idle  cache  '
                                'lever     why']
    for name, row in rows.items():
        lines.append(f'{name:5}  {bar(row)} {mib(row["current_bytes"]):>5} {mib(row["target_bytes"]):>7} '
                     f'{mib(row.get("resident_bytes") or 0):>9} {mib(row.get("idle_bytes") or 0):>5} '
                     f'{mib(row.get("cache_bytes") or 0):>6}  {row["lever"]:8}  {row["reason"]}')
    return [line[:width - 1] for line in lines]


def one_line(status, rows):
    host = status['host']
    guests = '  '.join(f'{name} {mib(r["current_bytes"]):>3}' +
                       (f'→{mib(r["target_bytes"])}' if mib(r['target_bytes']) != mib(r['current_bytes']) else '    ')
                       for name, r in rows.items())
    share = 100 * host['available_bytes'] / host['total_bytes']
    held = ''.join(f'({mib(r.get("resident_bytes") or 0)} resident, {r["lever"]})' for r in (rows.get('fpr'),) if r)
    return f'host {share:4.1f} % available, pressure {host["pressure"]:8}  MiB: {guests.rstrip()} {held}'


class Demo:
    def __init__(self, lab, screen):
        self.lab, self.screen = lab, screen
        self.guests = {}
        self.host = self.daemon = None
        self.sizes = set()  # that fpr was seen at

    def boot(self):
        for name, (_, load) in GUESTS.items():
            self.guests[name] = self.lab.guest(name, memory=SIZE, **load)
        self.lab.boot(*self.guests.values())

    def rows(self):
        found = self.daemon.list()
        rows = {name: found[name] for name in GUESTS if name in found}
        if 'fpr' in rows:
            self.sizes |= {rows['fpr']['current_bytes'], rows['fpr']['target_bytes']}
        return rows

    def resident(self):
        return {name: guest.resident() for name, guest in self.guests.items()}

    def stat(self, name):
        """One of fpr's."""
        return self.daemon.stats('fpr')['stats'].get(name) or 0

    def got(self, lever):
        """Bytes that a lever of fpr brought."""
        return self.daemon.stats('fpr')['levers'][lever].get('got_bytes') or 0

    def press(self):
        self.host.set_available(PRESSURE / 2 * BUDGET * MIB - 120 * MIB)

    def phase(self, what, until, rest=REST, again=None):
        """Shows the table until the condition holds and nothing has moved for a while, and returns its rows. A busy machine
        may take its time; if nothing moves any more, the demo fails. again: called when nothing moves before the
        condition holds. (A guest that was not at rest when the host was short was not asked.)"""
        seen = {'moved': time.monotonic(), 'state': None}

        def look():
            status, rows = self.daemon.status(), self.rows()
            self.screen.draw(status, rows)
            state = {name: [row[key] for key in ('current_bytes', 'target_bytes', 'lever')] + [row['lever_age_usec'] == 0]
                     for name, row in rows.items()}
            if state != seen['state']:
                seen.update(state=state, moved=time.monotonic())
            still = time.monotonic() - seen['moved']
            if until(rows):
                return still >= rest and (status, rows)
            if again and still > 10 * REST:
                seen['moved'] = time.monotonic()
                again()
            return None
        status, rows = wait(what, look, step=0.3, dump=self.daemon.describe)
        self.screen.leave(status, rows)
        return rows

    def run(self):
        say, headline = self.screen.say, self.screen.headline
        needed = (len(GUESTS) + 1) * SIZE * MIB
        if available_memory() < needed:
            say(f'SKIP: this machine has {mib(available_memory())} MiB available, and the demo needs {mib(needed)}.')
            return SKIP
        say('Ballast keeps a KVM host out of swap: it gets memory from guests that can spare it, and gives it back.')
        say(f'Four real guests of {SIZE} MiB:')
        for name, (text, _) in GUESTS.items():
            say(f'  {name:6} {text}')
        say('The first three have no free page reporting, as is libvirt\'s default: only a balloon gets at their memory. It takes\n'
            'what they don\'t use, and lets go of it at once. fpr has it (<memballoon freePageReporting=\'on\'>): its own kernel\n'
            'hands memory back. All of them keep their size.')

        headline('Booting them, and filling their memory')
        self.boot()
        say('  booted; in each runs ballast-guestd, which reports once a second over a virtio-serial channel')

        headline(f'ballastd starts, mode auto. The host, a budget of {BUDGET} MiB, has plenty: nothing is to move')
        say('  Look at fpr: what is free in blocks is reported by its kernel, without a word from the host (. for i).\n'
            '  Its fragments stay idle: free in the guest, held by the host.')
        self.host = Host(self.lab, total_mib=BUDGET)
        self.daemon = Daemon(self.lab, host=self.host, log_level='info', policy=policy_with(self.lab, old=f'{OLD}s'), config={
            'Daemon.Interval': '1s', 'Guard.Grace': '2s', 'Guard.Step': '2s'}).start()
        self.daemon.wait_source('agent', *GUESTS)
        calm = self.phase('fpr is known to have fragments, and rests', lambda rows:
                          self.stat('fragmented_bytes') > FRAGMENTS / 2 and self.stat('rested_usec') >= OLD * 1e6)
        before = self.resident()

        first = self.daemon.mark()
        headline('Other programs take memory: 350 MiB are missing')
        say('  Look at the order: most free memory first. fpr compacts its fragments, and its resident memory falls.')
        self.host.moderate(350)
        self.phase('idle gives, fpr compacts, and then rests', lambda rows:
                   before['idle'] - self.guests['idle'].resident() > LEAST_IDLE
                   and before['fpr'] - self.guests['fpr'].resident() > FRAGMENTS / 3
                   and self.stat('rested_usec') >= OLD * 1e6, again=lambda: self.host.moderate(100))

        headline('They take more: less than half of what the policy wants is available')
        say('  Look at cache and fpr: one gives page cache by its balloon, the other by its own kernel.')
        self.press()
        self.phase('cache gives, and fpr reclaims', lambda rows:
                   calm['cache']['cache_bytes'] - rows['cache']['cache_bytes'] >= LEAST_CACHE
                   and self.got('reclaim') >= LEAST_CACHE, rest=0, again=self.press)
        held = self.resident()
        self.show_ctl()

        headline('They let go of it: nothing is to be given back, for all guests have their size')
        self.host.calm()
        rows = self.phase('all have their size', lambda rows: all(is_back(r) for r in rows.values()))
        return self.sum_up(first, before, held, rows)

    def show_ctl(self):
        """What an administrator sees of it."""
        prefix = self.guests['fpr'].name.removesuffix('fpr')
        self.screen.say('\n  ballastctl list:')
        for line in self.daemon.ctl('list').stdout.splitlines():
            line = line.replace(prefix, '', 1) if prefix in line else line.replace(' ' * len(prefix), '', 1)
            self.screen.say('    ' + line)
        self.screen.say('\n  ballastctl stats fpr:')
        for line in self.daemon.ctl('stats', self.guests['fpr'].name).stdout.splitlines():
            self.screen.say('    ' + line.replace(prefix, ''))

    def log(self, first):
        """What the daemon logged of balloons."""
        began = self.daemon.lines[first].at
        for s in self.daemon.squeezes(first):
            self.screen.say(f'  +{s.at - began:4.1f} s  {s.guest:6} squeezed by {mib(s.bytes)} MiB: {s.reason}')
        for m in self.daemon.moves(first):
            self.screen.say(f'  +{m.at - began:4.1f} s  {m.guest:6} {mib(m.from_bytes)} → {mib(m.to_bytes)} MiB: {m.reason}')

    def sum_up(self, first, before, held, rows):
        say = self.screen.say
        self.screen.headline('What happened, and why (from the log of ballastd)')
        self.log(first)
        order = list(dict.fromkeys(s.guest for s in self.daemon.squeezes(first)))
        say()
        say(f'  Squeezed, in this order: {", then ".join(order) or "none"}.')
        for name in order:
            say(f'  {name} gave {mib(max(0, before[name] - held[name]))} MiB: its QEMU process held {mib(before[name])} MiB '
                f'of the host before, {mib(held[name])} MiB under pressure.')
        if 'busy' not in order:
            say('  busy was left alone: less than a fifth of its memory is available.')
        levers = self.daemon.stats('fpr')['levers']
        for kind, what in (('compact', 'free memory by compaction'), ('reclaim', 'page cache by reclaim')):
            times = levers[kind]['times']
            say(f'  fpr handed back {mib(self.got(kind))} MiB of {what}, in {times} request{"" if times == 1 else "s"} and '
                f'{levers[kind].get("cpu_usec", 0) / 1e6:.1f} s of its CPU.')
        say(f'  Its QEMU process held {mib(before["fpr"])} MiB before, {mib(held["fpr"])} MiB under pressure; its size was '
            f'{" and ".join(mib(n) for n in sorted(self.sizes))} MiB all the time.')
        say(f'  At full size: {", ".join(name for name, row in rows.items() if is_back(row))}.')
        wrong = [text for text, is_so in (
            ('something was asked for while the host had plenty',
             not self.daemon.moves(0, first) + self.daemon.squeezes(0, first)),
            ('idle, which has most free memory, was not the first to give', order[:1] == ['idle']),
            ('busy had to give', 'busy' not in order),
            ('cache did not give', 'cache' in order),
            ('the host got nothing from idle', before['idle'] - held['idle'] > LEAST_IDLE),
            ('a balloon held what it took', not self.daemon.moves(first)),
            ('fpr did not keep its size', self.sizes == {SIZE * MIB} and 'fpr' not in order),
            ('fpr did not compact', levers['compact']['times'] > 0),
            ('fpr did not reclaim', self.got('reclaim') >= LEAST_CACHE),
            ('the host got nothing from fpr', before['fpr'] - held['fpr'] > FRAGMENTS / 3),
            ('not all have their full size', all(is_back(row) for row in rows.values())),
        ) if not is_so]
        for text in wrong:
            say(f'  WRONG: {text}')
        say(f'\n{"That is NOT as it should be: please report it." if wrong else "That is as it should be."}'
            f' {time.monotonic() - self.screen.began:.0f} s in all.')
        return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description='Four real guests on a host that runs short of memory.')
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
