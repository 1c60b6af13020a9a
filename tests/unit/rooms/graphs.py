# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which file includes which, from the sources, and which calls which, from the object files of a build folder."""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys

from rooms.ladder import FOLDERS

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(["<])([^">]+)[">]', re.MULTILINE)


def sources(root, ends=('.c', '.h', '.def')):
    """Paths, from the root, of the files in the folders that have sources."""
    return sorted(p.relative_to(root).as_posix() for folder in FOLDERS for p in (root / folder).rglob('*')
                  if p.suffix in ends)


def includes(root, path):
    """(line, '"' or '<', what is included) of each include of a file."""
    text = (root / path).read_text(encoding='utf-8')
    for match in INCLUDE.finditer(text):
        yield text.count('\n', 0, match.start()) + 1, match.group(1), match.group(2)


def pair(path):
    """A .c file and the header of its name are one object."""
    return os.path.splitext(path)[0]


def include_graph(root, node=lambda path: path):
    """node → node → an include that leads there, as text."""
    graph = {}
    for path in sources(root):
        edges = graph.setdefault(node(path), {})
        for line, quote, included in includes(root, path):
            if quote == '"' and node(included) != node(path) and (root / included).is_file():
                edges.setdefault(node(included), f'{path}:{line}')
    return graph


class Build:
    """The object files that a build folder's programs and libraries are made of, those of the tests aside."""

    def __init__(self, root, folder):
        self.root, self.folder = root.resolve(), folder.resolve()
        self.source = {}  # object → the file that it was made from
        self.defines, self.needs = {}, {}  # object → names of symbols
        self.readable = True  # objects for link-time optimization are not
        self.links = {}  # program or library → objects and libraries that it is linked from
        self._read_objects()
        self._read_links()
        self._read_symbols()

    def option(self, name):
        """A build option of meson's."""
        options = json.loads((self.folder / 'meson-info/intro-buildoptions.json').read_text(encoding='utf-8'))
        return next((o['value'] for o in options if o['name'] == name), None)

    def of_sources(self, directory, file):
        """A path from the root of the sources. A generated file counts as one of the folder that it is made from."""
        path = pathlib.Path(os.path.normpath(pathlib.Path(directory) / file))
        for top in (self.folder, self.root):
            if path.is_relative_to(top):
                return path.relative_to(top).as_posix()
        return None

    def _read_objects(self):
        for entry in json.loads((self.folder / 'compile_commands.json').read_text(encoding='utf-8')):
            path = self.of_sources(entry['directory'], entry['file'])
            if path and entry['output'].split('/')[0] in FOLDERS:
                self.source[entry['output']] = path

    def _read_links(self):
        text = (self.folder / 'build.ninja').read_text(encoding='utf-8').replace('$\n', '')
        for match in re.finditer(r'^build (\S+): \w*LINKER(?:_RSP)? (.*)$', text, re.MULTILINE):
            output, inputs = match.groups()
            if output.split('/')[0] in FOLDERS:
                self.links[output] = [i for i in inputs.split() if i in self.source or i.endswith('.a')]

    def _read_symbols(self):
        objects = sorted(self.source)
        missing = [o for o in objects if not (self.folder / o).is_file()]
        if missing:  # they have no symbols to check
            sys.exit(f'{len(missing)} objects are not built, such as {missing[0]}: run ninja -C {self.folder}')
        if self.option('b_lto') or not objects:
            self.readable = not objects
            return
        result = subprocess.run(['nm', '-P', '-A', *objects], cwd=self.folder, capture_output=True, text=True)
        self.readable = '__gnu_lto_slim' not in result.stdout and 'not recognized' not in result.stderr
        if result.returncode and self.readable:
            sys.exit(f'nm failed: {result.stderr}')
        for o in objects:
            self.defines[o], self.needs[o] = set(), set()
        for line in result.stdout.splitlines():
            name, symbol, kind = line.split()[:3]
            where = name.removesuffix(':')
            if symbol.startswith('__'):  # of the compiler or of a sanitizer
                continue
            if kind in 'Uvw':
                self.needs[where].add(symbol)
            elif kind.isupper() or kind in 'iu':
                self.defines[where].add(symbol)

    def libraries(self):
        """library → the objects in it"""
        return {out: [i for i in inputs if i in self.source] for out, inputs in self.links.items() if out.endswith('.a')}

    def _objects_of(self, output):
        """The objects that a program is linked from, those in its libraries included."""
        seen, todo = set(), [output]
        while todo:
            one = todo.pop()
            if one not in seen:
                seen.add(one)
                todo += self.links.get(one, [])
        return seen & self.source.keys()

    def calls(self):
        """(caller, called, symbol) of each call from one object to another, or use of a variable, as paths of sources.

        A name is looked up in the programs that the caller is linked into, because two programs may each have a function of
        that name. An object that is in no program yet is checked against all objects."""
        programs = [self._objects_of(out) for out in self.links if not out.endswith('.a')]
        unused = set(self.source) - set().union(*programs)
        found = set()
        for callers, objects in [(p, p) for p in programs] + [(unused, set(self.source))]:
            definers = collections.defaultdict(list)
            for o in objects:
                for symbol in self.defines[o]:
                    definers[symbol].append(o)
            for caller in callers:
                for symbol in self.needs[caller]:
                    for called in definers.get(symbol, ()):
                        found.add((self.source[caller], self.source[called], symbol))
        return sorted(found)


def call_graph(calls):
    """object (pair of files) → object → a symbol that is used there, as text"""
    graph = {}
    for caller, called, symbol in calls:
        edges = graph.setdefault(pair(caller), {})
        graph.setdefault(pair(called), {})
        if pair(caller) != pair(called):
            edges.setdefault(pair(called), f'{symbol}()')
    return graph


def circles(graph):
    """Sets of nodes that all lead to each other (Tarjan's strongly connected components), largest first."""
    index, low, stack, found = {}, {}, [], []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in graph.get(v, ()):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            at = stack.index(v)
            found.append(set(stack[at:]))
            del stack[at:]

    for v in sorted(graph):
        if v not in index:
            visit(v)
    return sorted((c for c in found if len(c) > 1), key=lambda c: (-len(c), sorted(c)))


def way_round(graph, circle):
    """The shortest way round in a circle, as text."""
    best = None
    for start in sorted(circle):
        came, todo = {start: None}, collections.deque([start])
        while todo:
            v = todo.popleft()
            if start in graph[v]:
                way = [start]
                while v is not None:
                    way.append(v)
                    v = came[v]
                way.reverse()
                best = way if best is None or len(way) < len(best) else best
                break
            for w in sorted(circle & graph[v].keys() - came.keys()):
                came[w] = v
                todo.append(w)
    return best[0] + ''.join(f' → {w} ({graph[v][w]})' for v, w in zip(best, best[1:]))
