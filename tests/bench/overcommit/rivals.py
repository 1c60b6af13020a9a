# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who manages the memory in a run of the overcommit bench. Each has start(run), called before the settling, and
stop(run); go(run) at second 0."""

import os
import threading
import time

from daemon import POLICY, Daemon
from guest import MIB
from kernel import Unavailable
from scenarios import BASE_MIB, SIZE_MIB

# The periods of WSL2 (two minutes) and of Kata's agent (ten minutes) are longer than a run.
IDLE_SECONDS, AGE_SECONDS = 10, 5


class Nothing:
    """fpr: with free page reporting. agent: Ballast's, in the guests. only: the scenarios that it is for. limited:
    False for one that gets a host without a limit. working: only these guests work; None: all."""
    only = None
    limited = True
    agent = False
    working = None

    def __init__(self, name, title, fpr):
        self.name, self.title, self.fpr = name, title, fpr

    def start(self, run):
        pass

    def go(self, run):
        pass

    def stop(self, run):
        """Its figures: {name: figure}."""
        return {}


class Ample(Nothing):
    """What a guest does that nobody ever touched."""
    limited = False
    only = ('waking',)


class Alone(Nothing):
    """What the favoured guests do when the others rest."""
    only = ('busy',)
    working = (0, 1)


class InGuest(Nothing):
    """A program in each guest (rival.c)."""

    def __init__(self, name, title, command):
        super().__init__(name, title, True)
        self.command = command

    def start(self, run):
        for guest in run.guests:
            guest.run(f'rival {self.command} >/run/rival.log 2>&1 & echo $! >/run/rival.pid')
        for guest in run.guests:
            said = guest.run('for i in $(seq 100); do [ -s /run/rival.log ] && break; usleep 100000; done; '
                             'cat /run/rival.log')
            if said != 'ready':
                raise Unavailable(f'{self.name} can\'t run in the guests: {said or "it says nothing"}')

    def stop(self, run):
        for guest in run.guests:
            if guest.run('kill -0 $(cat /run/rival.pid) && cat /run/rival.log', check=False) != 'ready':
                raise Unavailable(f'{self.name} ended in {guest.short}: {guest.run("cat /run/rival.log", check=False)}')
        return {}


class Schedule(Nothing):
    """Knows what each guest will do, and uses the balloon: full size from LEAD seconds before a guest works until it
    has done, else what it needs at rest."""
    LEAD = 1.5

    def start(self, run):
        self.sizes = {}
        self.moves = self.moved = 0
        self.ended = threading.Event()
        self.virsh = run.lab.spawn_virsh()
        self.rest_mib = min(SIZE_MIB, BASE_MIB + run.scenario.keep_mib + run.kept_mib)
        self.zero = None
        self.thread = threading.Thread(target=self._loop, args=(run,), daemon=True)
        self.thread.start()

    def _wanted(self, run, number):
        work = run.works[number]
        if not work:
            return self.rest_mib
        if work.kind == 'kept':
            # It holds its memory while it sleeps.
            return SIZE_MIB
        if self.zero is None:
            return SIZE_MIB if work.before or work.works(0) else self.rest_mib
        t = time.monotonic() - self.zero
        return SIZE_MIB if work.works(t) or work.works(t + self.LEAD) else self.rest_mib

    def _loop(self, run):
        while not self.ended.wait(0.1):
            for number, guest in enumerate(run.guests):
                mib = self._wanted(run, number)
                old = self.sizes.get(number, SIZE_MIB)
                if mib != old:
                    self.sizes[number] = mib
                    self.moves += 1
                    self.moved += abs(mib - old)
                    self.virsh.stdin.write(f'setmem {guest.name} {mib}M --live\n'.encode())
                    self.virsh.stdin.flush()

    def go(self, run):
        self.zero = time.monotonic()

    def stop(self, run):
        self.ended.set()
        self.thread.join()
        self.virsh.stdin.close()
        self.virsh.wait()
        return {'moves': self.moves, 'moved_mib': self.moved}


class Ballast(Nothing):
    def __init__(self, name, title, fpr, agent=True, policy=POLICY):
        super().__init__(name, title, fpr)
        self.agent, self.policy = agent, policy

    def start(self, run):
        # All as shipped, but that a guest that has just booted isn't left alone.
        self.daemon = Daemon(run.lab, None, policy=self.policy, log_level='info',
                             config={'Host.Scope': run.small.folder, 'Guard.Grace': '1s', 'Daemon.Interval': None,
                                     'Guard.Step': None, 'Balloon.StatsPeriod': None})
        self.daemon.start()
        for number in run.scenario.favoured:
            self.daemon.ctl('set', run.guests[number].name, '--shares', '10000')
        if self.agent:
            self.daemon.wait_source('agent', *(g.short for g in run.guests))

    def pid(self):
        return self.daemon.process.pid

    def stop(self, run):
        moves = self.daemon.moves()
        figures = {'moves': len(moves), 'moved_mib': sum(abs(m.to_bytes - m.from_bytes) for m in moves) / MIB}
        run.keep_log('ballastd.log', self.daemon)
        self.daemon.stop()
        return figures


def _ballast():
    for suffix, fpr in (('', True), ('-off', False)):
        reporting = 'FPR + ' if fpr else ''
        yield Ballast('ballast' + suffix, f'{reporting}Ballast', fpr)
        yield Ballast('ballast-noagent' + suffix, f'{reporting}Ballast without agents', fpr, agent=False)
        for policy in 'conservative', 'dense', 'shares':
            yield Ballast(f'{policy}{suffix}', f'{reporting}Ballast, {policy}.policy', fpr,
                          policy=os.path.join(os.path.dirname(POLICY), policy + '.policy'))


ALL = [
    Nothing('nothing', 'nothing', False),
    Nothing('fpr', 'free page reporting (FPR)', True),
    InGuest('compact', 'FPR + compaction each 5 s', 'compact'),
    InGuest('reclaim', 'FPR + a loop in the guest that reclaims file pages', 'reclaim'),
    InGuest('idle', f'FPR + compact and drop caches after {IDLE_SECONDS} s idle (as WSL2)', f'idle {IDLE_SECONDS}'),
    InGuest('ages', f'FPR + evict after three periods of {AGE_SECONDS} s, compact (as Kata)', f'ages {AGE_SECONDS}'),
    Schedule('schedule', 'FPR + balloons by a policy that knows the schedule', True),
    Schedule('schedule-off', 'balloons by a policy that knows the schedule', False),
    Ample('ample', 'FPR, a host large enough', True),
    Ample('ample-off', 'a host large enough', False),
    Alone('alone', 'FPR, the favoured two alone', True),
    *_ballast(),
]
BY_NAME = {r.name: r for r in ALL}
DEFAULT = [r.name for r in ALL if not r.name.startswith(('conservative', 'dense', 'shares'))]
