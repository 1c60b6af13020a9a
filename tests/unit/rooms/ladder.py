# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ladder: a row for each room of the house, top to bottom, and who may include which library.

A room may include from, and call, itself and the rungs below it. Rooms of one rung keep apart. `only` names the few
rooms below that a room may use; `by` names the few rooms above that may use it.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Room:
    name: str
    where: str  # what the paths of its files begin with; the longest that fits counts
    only: tuple | None = None
    by: tuple | None = None


LADDER = [
    # What the three programs begin with. ballastctl and ballast-guestd are separate programs and use few of the rooms.
    [
        Room('main', 'host-agent/main.'),
        Room('ctl', 'host-agent/ctl/', only=('keep', 'api', 'decide', 'policy', 'base')),
        Room('guest-agent', 'guest-agent/', only=('proto', 'base')),
    ],
    [Room('show', 'host-agent/show/'), Room('keep', 'host-agent/keep/')],
    [Room('daemon', 'host-agent/daemon/')],
    [Room('sense', 'host-agent/sense/'), Room('act', 'host-agent/act/'), Room('config', 'host-agent/config/')],
    [Room('guest', 'host-agent/guest/')],
    [
        Room('libvirt', 'host-agent/libvirt/'),
        # What happened, as plain values. Guests and the rooms above them send and receive notices.
        Room('notice', 'host-agent/notice.'),
        # The names in the D-Bus interface: the daemon and ballastctl must agree on them.
        Room('api', 'host-agent/show/api.h', only=(), by=('show', 'ctl')),
    ],
    [Room('decide', 'host-agent/decide/', only=('policy', 'base'))],
    [Room('policy', 'policy/'), Room('proto', 'proto/')],
    [Room('base', 'base/')],
]

# What the names of libraries' headers begin with, and the rooms that may include them. The first row that fits counts.
# Any room may include a header that has no row, such as the C library's.
LIBRARIES = [
    ('libvirt/', ('libvirt',)),
    ('libxml/', ('libvirt',)),
    ('systemd/sd-bus', ('show', 'ctl')),
    ('systemd/', ('main', 'ctl', 'show', 'keep', 'daemon', 'sense', 'act', 'libvirt')),
    ('json-c/', ('ctl', 'show', 'keep')),
    ('libsmartcols.h', ('ctl',)),
    ('ini.h', ('config',)),
    ('protobuf-c/', ('proto',)),
]

# What protoc-c writes into the build folder, and the room that may include it.
GENERATED = {'guest.pb-c.h': 'proto'}

# Where sources are.
FOLDERS = ('base', 'proto', 'policy', 'guest-agent', 'host-agent')

# The only circles of calls that are allowed: the policy language itself is recursive there. An expression may be a call,
# and a call's arguments are expressions. The machine runs a loop, and a loop runs the machine on its body once a guest.
RECURSIONS = [
    {'policy/check-call', 'policy/check-expr'},
    {'policy/eval', 'policy/turn'},
]


class Ladder:
    """Answers which room may use which."""

    def __init__(self, rungs=None):
        self.rungs = LADDER if rungs is None else rungs
        self.rooms = {room.name: room for rung in self.rungs for room in rung}
        self.rung = {room.name: i for i, rung in enumerate(self.rungs) for room in rung}

    def room_of(self, path):
        """The room of a path from the root of the sources, or None."""
        fits = [r for r in self.rooms.values() if path.startswith(r.where)]
        return max(fits, key=lambda r: len(r.where)).name if fits else None

    def why_not(self, user, used):
        """Why the one room may not use the other, or None where it may."""
        if user == used:
            return None
        if self.rung[used] < self.rung[user]:
            return f'{used} stands above {user}'
        if self.rung[used] == self.rung[user]:
            return f'{used} and {user} stand on one rung'
        only, by = self.rooms[user].only, self.rooms[used].by
        if only is not None and used not in only:
            return f'{user} may use {", ".join(only) or "nothing"} only'
        if by is not None and user not in by:
            return f'{used} is for {", ".join(by)} only'
        return None
