# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which files write the members of which struct, from clang's syntax trees. Only the file that owns a struct should.

A write is an assignment, ++ or -- through a pointer. Filling a local struct doesn't count. A function that gets a
member's address and writes there isn't seen. Takes 20 s or more for a hundred files: a figure, not a test."""

import collections
import concurrent.futures
import json
import os
import re
import shlex
import subprocess

from rooms import figures, graphs

MEMBERS_LEAST = 11

NODE = re.compile(r'^[|` -]*')
PLACE = re.compile(r'([^\s<>,:]+\.[ch]):\d+:\d+')
FIELD = re.compile(r'FieldDecl (0x[0-9a-f]+) .*?(?:col|line)(?::\d+)+ (?:referenced )?(\w+) ')
RECORD = re.compile(r'RecordDecl 0x.* (?:struct|union) (\w+) definition$')
MEMBER = re.compile(r"(->|\.)(\w*) (0x[0-9a-f]+)$")
WRITE = re.compile(r"BinaryOperator 0x.* '='$|CompoundAssignOperator |UnaryOperator 0x.* (pre|post)fix '(\+\+|--)'")
WHOLE = re.compile(r"UnaryOperator 0x.*> '(?:struct )?(\w+)'(?::'[^']*')? lvalue prefix '\*'")


def tree(build, entry):
    """clang's tree of a file, as (depth, text) lines."""
    flags = [a for a in shlex.split(entry['command']) if re.match(r'-[DI]|-std=', a)]
    command = ['clang', *flags, '-w', '-fsyntax-only', '-fno-color-diagnostics', '-Xclang', '-ast-dump', entry['file']]
    result = subprocess.run(command, cwd=build, check=True, capture_output=True, text=True)
    for line in result.stdout.splitlines():
        depth = NODE.match(line).end()
        yield depth // 2, line[depth:]


def fields_of(lines, of_sources):
    """field's id → (struct, member), and struct's name → struct. A member of an anonymous struct is the outer one's.

    A struct is (name, path), for two files may each have one of a name."""
    fields, records, record, at, place = {}, {}, None, 0, ''
    for depth, text in lines:
        places = PLACE.findall(text)
        if record and depth <= at:
            record = None
        if not record and (match := RECORD.match(text)):
            record, at = (match.group(1), of_sources((places or [place])[0])), depth
            records[match.group(1)] = record
        elif record and (match := FIELD.match(text)):
            fields[match.group(1)] = (record, match.group(2))
        place = places[-1] if places else place
    return fields, records


def written(lines, at, fields, records):
    """(struct, member) of each member that the expression at a line reaches into without loading a pointer."""
    found = []
    while True:
        text = lines[at][1]
        if text.startswith('MemberExpr') and (match := MEMBER.search(text)):
            found.append(fields.get(match.group(3)))
            if match.group(1) == '->':
                return [f for f in found if f]
        elif match := WHOLE.match(text):
            return [f for f in found if f] + [(records.get(match.group(1)), '*')]
        elif not re.match(r'ArraySubscriptExpr|ParenExpr|ImplicitCastExpr .*<(ArrayToPointerDecay|NoOp)>', text):
            return []
        at += 1


def writes_of(build, entry):
    """(struct, member) of each write in a file itself, its headers' functions aside."""
    lines = list(tree(build.folder, entry))
    fields, records = fields_of(lines, lambda file: build.of_sources(entry['directory'], file))
    found, place, own = set(), '', False
    for i, (depth, text) in enumerate(lines):
        places = PLACE.findall(text)
        if depth == 1:
            own = (places or [place])[0] == entry['file']
        place = places[-1] if places else place
        if own and WRITE.match(text):
            found.update(written(lines, i + 1, fields, records))
    return found


def run(root, folder):
    build = graphs.Build(root, folder)
    entries = json.loads((folder / 'compile_commands.json').read_text(encoding='utf-8'))
    chosen = {}
    for entry in entries:
        path = build.source.get(entry['output'])
        if path and (root / path).is_file():
            chosen.setdefault(path, entry)
    writers = collections.defaultdict(lambda: collections.defaultdict(set))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, found in zip(chosen, pool.map(lambda e: writes_of(build, e), chosen.values())):
            for struct, member in found:
                writers[struct][path].add(member)
    kept = total = 0
    for count, name, path in figures.structs(root):
        by_file = writers.get((name, path), {})
        if count < MEMBERS_LEAST or not by_file:
            continue
        total += 1
        kept += len(by_file) == 1
        print(f'{name}, {count} members, {path}')
        for writer, members in sorted(by_file.items(), key=lambda w: (-len(w[1]), w[0])):
            print(f'    {len(members):2} {writer}: {", ".join(sorted(members))}')
    print(f'{total} structs with more than {MEMBERS_LEAST - 1} members that are written through a pointer, '
          f'{kept} of them by one file only')
    return 0
