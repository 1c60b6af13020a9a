# SPDX-License-Identifier: LGPL-2.1-or-later
"""ballastd on a lab's guests, the host that it sees, and its output."""

import collections
import json
import os
import re
import signal
import subprocess
import threading
import time

from guest import MIB
from lab import Failed, alive, build_file
from waiting import HANG, note, note_line, wait

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
POLICY = os.path.join(SOURCE, 'policy', 'balloon.policy')

# The shipped policy's thresholds (policy/balloon.policy).
PRESSURE, CRITICAL, RELAX = 0.20, 0.05, 0.25

# The keys of a guest's row that stay the same while nothing happens to the guest.
OF_A_ROW = ('current_bytes', 'target_bytes', 'full_bytes', 'floor_bytes', 'mode', 'source', 'busy', 'rule', 'moving',
            'distress', 'hurting', 'stalled')

Line = collections.namedtuple('Line', 'at text')
Squeeze = collections.namedtuple('Squeeze', 'at guest bytes reason')
Move = collections.namedtuple('Move', 'at guest from_bytes to_bytes reason')

UNITS = {'B': 1, 'KiB': 1 << 10, 'MiB': 1 << 20, 'GiB': 1 << 30, 'TiB': 1 << 40}
SQUEEZE = re.compile(r'^(?P<guest>\S+): asked to squeeze (?P<size>[\d.]+ \w+): (?P<reason>.*); host available')
MOVE = re.compile(r'^(?P<guest>\S+): (?P<would>would be )?(?P<from>[\d.]+ \w+) → (?P<to>[\d.]+ \w+): '
                  r'(?P<reason>.*); host available')


def parse_size(text):
    number, unit = text.split()
    return int(float(number) * UNITS[unit])


def policy_with(lab, **constants):
    """A copy of the shipped policy with other constants."""
    with open(POLICY) as f:
        text = f.read()
    for name, value in constants.items():
        text, n = re.subn(rf'^const {name} = .*$', f'const {name} = {value}', text, flags=re.M)
        if n != 1:
            raise Failed(f'{POLICY} has no "const {name}"')
    path = lab.path('policy', 'balloon.policy')
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
        f.write(text)
    return path


def holding(lab):
    """The shipped policy, but that balloons hold what they take."""
    return policy_with(lab, squeeze='false')


class Host:
    """A small host for the daemon: a folder with a meminfo in which MemTotal is a budget, and MemAvailable what the
    guests' QEMU processes and "other" really leave of it. The tests mean the same on every machine, whatever else
    runs there, and never put it under pressure. Without swap (0) the daemon's thresholds are twice as high."""

    def __init__(self, lab, total_mib=4096, swap_mib=2048, folder='proc'):
        self.lab = lab
        self.total = total_mib * MIB
        self.swap_mib = swap_mib
        self.swap = swap_mib * MIB
        self.other = 0
        self.folder = lab.path(folder)
        os.makedirs(self.folder, exist_ok=True)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.write()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        lab.at_end(self.close)

    def close(self):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(0.1):
            self.write()

    def guests_resident(self):
        total = 0
        for guest in self.lab.guests:
            try:
                total += guest.resident()
            except (OSError, ValueError):  # not running
                pass
        return total

    def available(self):
        return max(0, self.total - self.other - self.guests_resident())

    def write(self):
        with self._lock:
            self.written = self.available()
            available = self.written >> 10
            path = os.path.join(self.folder, 'meminfo')
            with open(path + '.new', 'w') as f:
                f.write(f'MemTotal: {self.total >> 10} kB\nMemFree: {available} kB\nMemAvailable: {available} kB\n'
                        'Buffers: 0 kB\nCached: 0 kB\nSReclaimable: 0 kB\nShmem: 0 kB\nAnonPages: 0 kB\nDirty: 0 kB\n'
                        f'Mlocked: 0 kB\nSwapTotal: {self.swap >> 10} kB\nSwapFree: {self.swap >> 10} kB\n'
                        'Hugetlb: 0 kB\n')
            os.rename(path + '.new', path)

    def set_available(self, bytes_):
        """Other use of the host's memory changes until this much is available now."""
        self.other = self.total - self.guests_resident() - int(bytes_)
        self.write()

    def set_swap(self, mib):
        self.swap = mib * MIB
        self.write()

    def moderate(self, mib):
        """mib below the pressure threshold (but above the critical one)."""
        assert mib * MIB < (PRESSURE - CRITICAL) * self.total
        self.set_available(PRESSURE * self.total - mib * MIB)

    def steady(self):
        """Between the thresholds, where nothing is taken or given back. A host that is just above the pressure
        threshold, as after moderate(), falls below it again when QEMUs grow by a few MiB, and then guests give
        those."""
        self.set_available((PRESSURE + RELAX) / 2 * self.total)

    def severe(self):
        """Below the critical threshold, and no amount that the guests give is enough."""
        self.set_available(-2 * self.total)

    def calm(self):
        self.other = 0
        self.write()


class Daemon:
    """config: {'Section.Key': value}. host: a Host, or None for the machine's own /proc. policy: a file, or a list."""

    DEFAULTS = {'Daemon.Interval': '500ms', 'Guard.Grace': '1s', 'Guard.Step': '10s', 'Balloon.StatsPeriod': '1s'}

    def __init__(self, lab, host=None, mode='auto', config=None, policy=POLICY, log_level='debug'):
        self.lab, self.host, self.mode, self.log_level = lab, host, mode, log_level
        self.config = {**self.DEFAULTS, **(config or {})}
        self.binary = lab.copy('bin', build_file(lab.build, 'host-agent', 'ballastd'))
        self.ctl_binary = lab.copy('bin', build_file(lab.build, 'host-agent', 'ctl', 'ballastctl'))
        self.policy_paths = [lab.copy('bin', path) for path in ([policy] if isinstance(policy, str) else policy)]
        self.config_path = lab.path('bin', 'ballastd.conf')
        self.process = None
        self.lines = []
        self._changed = threading.Condition()
        self._reader = None

    # Life

    def write_config(self, **changes):
        """Keys as Section_Key=value; None takes one away."""
        for key, value in changes.items():
            self.config[key.replace('_', '.', 1)] = value
        sections = {}
        for key, value in self.config.items():
            if value is not None:
                section, name = key.split('.', 1)
                sections.setdefault(section, []).append(f'{name}={value}\n')
        with open(self.config_path + '.new', 'w') as f:
            for section, lines in sections.items():
                f.write(f'[{section}]\n{"".join(lines)}')
        os.rename(self.config_path + '.new', self.config_path)

    def start(self, ready=True):
        self.write_config()
        argv = [self.binary, '--session', '--connect', 'qemu:///session', '--config', self.config_path,
                '--mode', self.mode, '--log-level', self.log_level]
        for path in self.policy_paths:
            argv += ['--policy', path]
        if self.host:
            argv += ['--proc', self.host.folder]
        self.process = self.lab.spawn(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        if not ready:
            return self
        wait('ballastctl answers', lambda: self.ended() or self.ctl('status', check=False).returncode == 0)
        if self.ended():
            self._reader.join()
            raise AssertionError(f'ballastd ended at once:\n{self.tail()}')
        return self

    def _read(self, pipe):
        with open(self.lab.path('ballastd.log'), 'a') as log, pipe:
            for raw in pipe:
                line = Line(time.monotonic(), raw.decode(errors='replace').rstrip('\n'))
                log.write(f'{line.at:.3f} {line.text}\n')
                log.flush()
                with self._changed:
                    self.lines.append(line)
                    self._changed.notify_all()
                note_line(line.text)

    def ended(self):
        return self.process.poll() is not None

    def stop(self, seconds=HANG):
        """Cleanly; its exit status must be 0."""
        if not self.process:
            return
        ended = self.ended()
        if not ended:
            self.process.terminate()
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f'ballastd did not stop within {seconds} s of SIGTERM\n{self.tail()}')
        finally:
            self._reader.join()
            self.process = None
        if ended or status:
            raise AssertionError(f'ballastd ended {"by itself " if ended else ""}with status {status}\n{self.tail()}')

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process = None

    def reload(self):
        """SIGHUP. Returns the line with its result."""
        since = self.mark()
        self.process.send_signal(signal.SIGHUP)
        return self.wait_line(r'^Reload(ed| refused)', since)

    def rss(self):
        with open(f'/proc/{self.process.pid}/status') as f:
            return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1)) << 10

    def fds(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    # Its output

    def mark(self):
        """A place in the log: give it as since."""
        return len(self.lines)

    def tail(self, n=25):
        return '\n'.join(f'{line.at:.3f} {line.text}' for line in self.lines[-n:])

    def find_lines(self, pattern, since=0):
        return [line for line in self.lines[since:] if re.search(pattern, line.text)]

    def wait_line(self, pattern, since=0):
        return wait(f'the log says "{pattern}"', lambda: self.find_lines(pattern, since), step=0.01,
                    dump=self.tail)[0]

    def moves(self, since=0, until=None, would=False):
        """The moves that it sent, or in mode observe would have sent, oldest first."""
        found = []
        for line in self.lines[since:until]:
            m = MOVE.match(line.text)
            if m and bool(m['would']) == would:
                found.append(Move(line.at, self._short(m['guest']), parse_size(m['from']), parse_size(m['to']),
                                  m['reason']))
        return found

    def squeezes(self, since=0, until=None):
        """The balloons that were asked to take memory and let go of it, oldest first."""
        found = []
        for line in self.lines[since:until]:
            m = SQUEEZE.match(line.text)
            if m:
                found.append(Squeeze(line.at, self._short(m['guest']), parse_size(m['size']), m['reason']))
        return found

    def _short(self, name):
        return next((g.short for g in self.lab.guests if g.name == name), name)

    def ctl(self, *args, check=True):
        return self.lab.run([self.ctl_binary, '--session', *args], check=check)

    def status(self):
        status = json.loads(self.ctl('status', '--json').stdout)
        note('status', (status['cycle']['count'], status['mode'], status['libvirt']['connected']))
        return status

    def reserve_for(self, below_mib):
        """The reserve with which the host is that much below its pressure threshold, whatever the machine has, as the
        configuration takes it."""
        host = self.status()['host']
        return f"{max(0, int(host['available_bytes'] + host['reserve_bytes'] - host['pressure_threshold_bytes'] + below_mib * MIB))}B"

    def list(self):
        """{short name of the guest: its row}"""
        rows = {self._short(row['name']): row for row in json.loads(self.ctl('list', '--json').stdout)}
        for name, row in rows.items():
            note(f'row of {name}', {key: row.get(key) for key in OF_A_ROW})
        note('rows', sorted(rows))
        return rows

    def stats(self, short):
        name = next(g.name for g in self.lab.guests if g.short == short)
        return json.loads(self.ctl('stats', name, '--json').stdout)

    def dump(self):
        return json.loads(self.ctl('dump', '--json').stdout)

    def describe(self):
        """For a test that fails."""
        try:
            table = self.ctl('list').stdout + self.ctl('status').stdout
        except Exception as e:
            table = f'ballastctl: {e}\n'
        return f'{table}{self.tail()}'

    def wait(self, what, condition, step=0.1):
        """Waits for condition(rows of list)."""
        def look():
            if self.ended():
                raise AssertionError(f'ballastd ended while waiting for: {what}\n{self.tail()}')
            return condition(self.list())
        return wait(what, look, step=step, dump=self.describe)

    def wait_source(self, source, *names):
        """Nothing is heard of the agent of a guest in mode off."""
        self.wait(f'stats of {", ".join(names)} come from {source}',
                  lambda rows: all(n in rows and (rows[n]['source'] == source or rows[n]['mode'] == 'off') for n in names))

    def wait_rest(self, cycles=6):
        """Waits until it has decided that many times in a row without a move."""
        def rest():
            start, since = self.status()['cycle']['count'], self.mark()
            wait('more cycles run', lambda: self.status()['cycle']['count'] >= start + cycles, step=0.2,
                 dump=self.describe)
            return not self.moves(since) and not any(r['moving'] for r in self.list().values())
        wait('nothing moves any more', rest, step=0, dump=self.describe)


def process_stopped(pid):
    with open(f'/proc/{pid}/stat') as f:
        return f.read().rpartition(')')[2].split()[0] == 'T'


__all__ = ['Daemon', 'Host', 'POLICY', 'PRESSURE', 'CRITICAL', 'RELAX', 'alive', 'holding', 'policy_with',
           'process_stopped']
