# SPDX-License-Identifier: LGPL-2.1-or-later
"""The house in figures: rooms, files, the longest function, the largest structs and circles. Rooms are folders here, so
that trees before and after a move compare."""

import collections
import os
import re

from rooms import graphs

LARGEST = 5

COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*', re.DOTALL)
TEXT = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'')
PREPROCESSOR = re.compile(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.MULTILINE)
STRUCT = re.compile(r'\b(?:typedef\s+)?struct\s+(\w+)?\s*\{')


def blank(text, *patterns):
    """Text without what the patterns match, with as many lines."""
    for pattern in patterns:
        text = pattern.sub(lambda m: '\n' * m.group().count('\n'), text)
    return text


def body_end(text, at):
    """Where the brace that opens just before `at` closes."""
    depth = 1
    while depth:
        depth += {'{': 1, '}': -1}.get(text[at], 0)
        at += 1
    return at - 1


def members(body):
    """How many members a struct's body declares. Of a struct or union within it, the members count."""
    count, start, at = 0, 0, 0
    while at < len(body):
        if body[at] == '{':
            end = body_end(body, at + 1)
            head = body[start:at].split()
            if head and head[0] in ('struct', 'union'):
                count += members(body[at + 1:end])
                at = body.find(';', end)
                start = at + 1
            else:  # an enum's
                at = end
        elif body[at] == ';':
            # A comma within brackets is a parameter's.
            declaration = re.sub(r'\([^()]*\)|\[[^\]]*\]', '', re.sub(r'\([^()]*\)', '', body[start:at]))
            count += declaration.count(',') + 1 if declaration.strip() else 0
            start = at + 1
        at += 1
    return count


def structs(root):
    """(members, name, path) of each struct with a name, largest first."""
    found = []
    for path in graphs.sources(root, ('.c', '.h')):
        text = blank((root / path).read_text(encoding='utf-8'), TEXT, COMMENT, PREPROCESSOR)
        for match in STRUCT.finditer(text):
            end = body_end(text, match.end())
            # A typedef has its name at the end; an anonymous struct within another none of its own.
            name = match.group(1) or (match.group().startswith('typedef') and text[end + 1:].split(';')[0].strip())
            if name:
                found.append((members(text[match.end():end]), name, path))
    return sorted(found, key=lambda f: (-f[0], f[1]))


def functions(root, path):
    """(lines, name) of each function of a .c file, as clang-format lays them out."""
    lines = (root / path).read_text(encoding='utf-8').splitlines()
    begun = None
    for i, line in enumerate(lines):
        if line == '}' and begun is not None:
            name = re.search(r'(\w+)\(', ' '.join(lines[begun:i]))
            if name:
                yield i - begun + 1, name.group(1)
            begun = None
        elif re.match(r'[A-Za-z_]', line):
            begun = None if line.endswith(';') or re.match(r'(typedef|struct|enum|union)\b[^(]*\{', line) else i


def print_table(rows):
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print('  '.join(str(c).rjust(w) if isinstance(c, int) else str(c).ljust(w) for c, w in zip(row, widths)).rstrip())
    print()


def print_rooms(root):
    rows, totals = [('room', '.c', '.h', 'lines', 'longest file', '', 'longest function', '')], collections.Counter()
    rooms = collections.defaultdict(list)
    for path in graphs.sources(root, ('.c', '.h')):
        rooms[os.path.dirname(path) + '/'].append(path)
    for room, paths in sorted(rooms.items()):
        length = {p: len((root / p).read_text(encoding='utf-8').splitlines()) for p in paths}
        longest = max(paths, key=length.get)
        in_room = [f for p in paths if p.endswith('.c') for f in functions(root, p)]
        c = sum(p.endswith('.c') for p in paths)
        most = max(in_room, default=(0, '-'))
        rows.append((room, c, len(paths) - c, sum(length.values()), os.path.basename(longest), length[longest],
                     most[1], most[0]))
        totals.update({'.c': c, '.h': len(paths) - c, 'lines': sum(length.values()), 'functions': len(in_room),
                       '600': sum(n > 600 for n in length.values()), '60': sum(n > 60 for n, _ in in_room)})
    print_table(rows)
    print(f'{len(rooms)} rooms, {totals[".c"]} .c, {totals[".h"]} .h, {totals["lines"]} lines, '
          f'{totals["functions"]} functions; {totals["600"]} files above 600 lines, '
          f'{totals["60"]} functions above 60 lines\n')


def print_circles(what, graph):
    found = graphs.circles(graph)
    print(f'circles {what}: {len(found)}, of {", ".join(str(len(c)) for c in found) or "no"} files')
    for circle in found:
        print('   ', ' '.join(sorted(circle)))


def run(root, folder):
    print_rooms(root)
    found = structs(root)
    print_table([('largest structs', 'members', 'file'), *[(name, n, path) for n, name, path in found[:LARGEST]]])
    large = [f'{name} {n}' for n, name, _ in found if n > 25]
    print(f'{len(large)} structs above 25 members: {", ".join(large) or "none"}\n')
    build = graphs.Build(root, folder)
    print_circles('of calls (a file is a .c and its .h)', graphs.call_graph(build.calls()))
    print_circles('of includes (each file by itself)', graphs.include_graph(root))
    print_circles('of includes (a file is a .c and its .h: who knows whose types)', graphs.include_graph(root, graphs.pair))
    return 0
