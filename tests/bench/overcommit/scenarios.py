# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the guests of the overcommit bench do, and how small their host is."""

import dataclasses

GUESTS = 8
SIZE_MIB = 512
SWAP_MIB = 512
# What a guest asks for while it works.
PACE = 100_000
HOT_MIB = 256
REREAD_MIB = 150
# Guests work two at a time, each for a slot in each period.
SLOT, PERIOD = 5, 20
# A guest's kernel and its agent: what the policy that knows the schedule leaves a guest at rest.
BASE_MIB = 144


@dataclasses.dataclass
class Work:
    """See work.c. before: it works like that while the manager settles, too."""
    kind: str
    mib: int
    pace: int = PACE
    period: int = PERIOD
    start: int = 0
    end: int = SLOT
    before: bool = False

    def works(self, t):
        return self.start <= t % self.period < self.end

    def command(self, length):
        words = ['work', self.kind, self.mib, self.pace, self.period, self.start, self.end, length]
        return ' '.join(str(w) for w in words) + (' before' if self.before else '')


def slot(number, kind, mib, **kwargs):
    """Works in that guest's slot."""
    return Work(kind, mib, start=number // 2 % (PERIOD // SLOT) * SLOT, end=number // 2 % (PERIOD // SLOT) * SLOT + SLOT,
                **kwargs)


def always(kind, mib, **kwargs):
    return Work(kind, mib, period=10_000, end=10_000, **kwargs)


def _hot(number):
    return slot(number, 'fresh', HOT_MIB)


@dataclasses.dataclass
class Scenario:
    """prime: what a guest did before (see load.c), such as 'dirty:380'. fragments: MiB that are then free in pieces.
    work(number): what guest number does, or None. limit_mib: of the host; or available: the share of the host that is
    available once all are primed. keep_mib: cache or other memory that a guest at rest still needs, as the policy
    knows that knows the schedule. first: a guest whose first 5 s of work are what counts. favoured: guests with ten
    times the shares."""
    name: str
    title: str
    prime: str
    work: callable
    limit_mib: int = None
    available: float = None
    fragments: int = 0
    keep_mib: int = 0
    length: int = 40
    first: int = None
    favoured: tuple = ()
    ease: bool = False


def _waking(number):
    if number == 0:
        return Work('kept', HOT_MIB, period=10_000, start=60, end=10_000)
    return slot(number, 'fresh', HOT_MIB)


def _churn(number):
    return always('churn', 200) if number < 2 else None


def _ease(number):
    return slot(number, 'fresh' if number % 2 else 'reread', REREAD_MIB, before=True)


def _reread(name, title, available, before):
    return Scenario(name, title, f'dirty:300,cache:{REREAD_MIB}', lambda n: slot(n, 'reread', REREAD_MIB, before=before),
                    available=available, keep_mib=REREAD_MIB)


ALL = [
    Scenario('freed', 'freed in blocks', 'dirty:380', _hot, limit_mib=2048),
    Scenario('stale', 'stale cache', 'cache:300', _hot, limit_mib=2048),
    Scenario('filled', 'stale cache that fills the guest', 'cache:460', _hot, limit_mib=2048),
    Scenario('fragments', 'fragments', '', _hot, limit_mib=2048, fragments=320),
    _reread('reread-4', 're-read cache, host 4 % available', 0.04, True),
    _reread('reread-25', 're-read cache, host 25 % available', 0.25, True),
    _reread('rest-4', 'cache re-read after a rest, host 4 % available', 0.04, False),
    _reread('rest-25', 'cache re-read after a rest, host 25 % available', 0.25, False),
    Scenario('busy', 'all busy, two with ten times the shares', 'dirty:300',
             lambda n: always('fresh', 180, pace=20_000), limit_mib=2048, favoured=(0, 1)),
    Scenario('churn', 'two allocate and free all the time', 'dirty:300', _churn, available=0.04),
    Scenario('waking', 'a guest that slept wakes, first 5 s', 'dirty:200', _waking, limit_mib=2048, length=75, first=0),
    Scenario('ease', 'a host at ease', 'dirty:200', _ease, limit_mib=6144, length=600, ease=True),
]
BY_NAME = {s.name: s for s in ALL}
