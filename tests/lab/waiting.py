# SPDX-License-Identifier: LGPL-2.1-or-later
"""Waiting without assumptions about the speed of the machine.

A wait ends when its condition holds. It fails when the lab stands still: nothing that was seen of guests and daemon
changed for QUIET seconds. How long it takes altogether doesn't matter, as long as something still moves: a balloon of
a busy machine may do 8 MiB/s. What doesn't come to an end at all fails after CAP seconds.
These, and HANG, are limits for hangs, far above what anything takes on an idle machine.

What counts as moving is whatever is noted: sizes of balloons and of QEMUs, the state of a guest's row, the kind of a
line in a log. What changes all the time, such as a guest's free memory or the age of a report, isn't noted."""

import re
import time

QUIET = 90
CAP = 900
# One call that takes a moment on an idle machine.
HANG = 300


class Progress:
    """The last state seen, and when any part of it changed."""

    def __init__(self):
        self.at = time.monotonic()
        self.what = 'nothing was seen yet'
        self._seen = {}

    def note(self, key, value):
        if key in self._seen and self._seen[key] == value:
            return
        self._seen[key] = value
        self.at, self.what = time.monotonic(), f'{key}: {value}'

    def note_line(self, text):
        """A line of a log: new if no line before it had its words. Its numbers don't count."""
        self.note('log, ' + re.sub(r'[\d.]+', '#', text), True)


PROGRESS = Progress()
note, note_line = PROGRESS.note, PROGRESS.note_line


def wait(what, condition, quiet=QUIET, step=0.05, dump=None):
    """Waits until condition() is true and returns what it returned."""
    began = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        now = time.monotonic()
        still = now - max(began, PROGRESS.at)
        if still > quiet or now - began > CAP:
            more = f'\n{dump()}' if dump else ''
            raise AssertionError(f'waited {now - began:.0f} s for: {what}; nothing moved for {still:.0f} s (last seen: '
                                 f'{PROGRESS.what}){more}')
        time.sleep(step)
