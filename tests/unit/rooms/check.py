# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ladder's three rules: includes point down, calls point down, nothing goes round in a circle."""

import os

from rooms import graphs
from rooms.ladder import GENERATED, LIBRARIES, RECURSIONS, Ladder

SKIP = 77


def why_not_quoted(ladder, root, room, included):
    maker = GENERATED.get(included.split('/')[-1])
    if maker:
        return None if room == maker else f'only {maker} includes what is generated'
    if '..' in included.split('/') or not (root / included).is_file():
        return 'not a path from the root of the sources'
    used = ladder.room_of(included)
    return ladder.why_not(room, used) if used else 'is in no room'


def why_not_library(room, included):
    for library, users in LIBRARIES:
        if included.startswith(library):
            return None if room in users else f'<{library}…> is for {", ".join(users)} only'
    return None


def check_includes(ladder, root):
    """A line for each file without a room, and each include that the ladder or a library's row forbids."""
    for path in graphs.sources(root):
        room = ladder.room_of(path)
        if not room:
            yield f'{path}: is in no room: move it into one, or add a row to ladder.py'
            continue
        for line, quote, included in graphs.includes(root, path):
            why = why_not_quoted(ladder, root, room, included) if quote == '"' else why_not_library(room, included)
            if why:
                yield f'{path}:{line}: includes {included}: {why}'


def check_calls(ladder, calls):
    """A line for each symbol that is used against the ladder."""
    for caller, called, symbol in calls:
        rooms = ladder.room_of(caller), ladder.room_of(called)
        why = ladder.why_not(*rooms) if all(rooms) else None
        if why:
            yield f'{caller}: calls {symbol}() of {called}: {why}'


def check_libraries(ladder, build):
    """A line for each static library with code of a room that the library's own may not use."""
    for library, objects in sorted(build.libraries().items()):
        paths = sorted({build.source[o] for o in objects if ladder.room_of(build.source[o])})
        rooms = {ladder.room_of(p) for p in paths}
        # A library in a folder that is no room belongs to the lowest room that it has code of.
        own = ladder.room_of(os.path.dirname(library) + '/') or max(rooms, key=lambda r: ladder.rung[r], default=None)
        for path in paths:
            why = ladder.why_not(own, ladder.room_of(path))
            if why:
                symbols = sorted(s for o in objects if build.source[o] == path for s in build.defines[o])
                yield f'{library}: has {", ".join(symbols[:3])} of {path}: {why}'


def check_circles(what, graph, allowed):
    for circle in graphs.circles(graph):
        if circle not in allowed:
            files = ', '.join(sorted(circle))
            yield f'{len(circle)} files in a circle of {what}: {files}: {graphs.way_round(graph, circle)}'
    for one in allowed:
        a, b = sorted(one)
        if b not in graph.get(a, ()) or a not in graph.get(b, ()):
            yield f'{a} and {b} are no circle of {what}: take them from RECURSIONS in ladder.py'


def violations(root, build, ladder, recursions):
    """All of them, as lines."""
    calls = build.calls()
    found = list(check_includes(ladder, root))
    found += check_calls(ladder, calls)
    found += check_libraries(ladder, build)
    found += check_circles('includes', graphs.include_graph(root), [])
    found += check_circles('calls', graphs.call_graph(calls), recursions)
    return found


def run(root, folder):
    build = graphs.Build(root, folder)
    if not build.readable:
        print('skipped: objects for link-time optimization have no symbols to read; another build is checked')
        return SKIP
    found = violations(root, build, Ladder(), RECURSIONS)
    for line in found:
        print(line)
    files = len(graphs.sources(root))
    print(f'{files} files, {len(build.source)} objects, {len(found)} violations of the ladder (tests/unit/rooms/ladder.py)')
    # Without sources or objects the arguments are wrong: that is no success.
    return 1 if found or not files or not build.source else 0
