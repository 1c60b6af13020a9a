# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tables of ballast-json(5), and what in an answer is not as they say."""

import re

TYPES = {
    "text": lambda v: isinstance(v, str),
    "count": lambda v: type(v) is int and v >= 0,
    "integer": lambda v: type(v) is int,
    "real": lambda v: type(v) in (int, float),
    "flag": lambda v: isinstance(v, bool),
    "any": lambda v: isinstance(v, (str, int, float)),
}


class Node:
    """A value: of a type, or an object with keys, or a list with an item. An object is optional if a row says so, or if
    nothing in it is required."""

    def __init__(self):
        self.type = self.table = self.item = None
        self.optional, self.keys = False, {}

    def at(self, path):
        node = self
        for key in re.findall(r"[^.\[\]]+|\[\]", path):
            if key == "[]":
                node.item = node.item or Node()
                node = node.item
            else:
                node = node.keys.setdefault(key, Node())
        return node

    def is_optional(self):
        return self.optional or (not self.item and bool(self.keys) and all(n.is_optional() for n in self.keys.values()))


class Tables:
    def __init__(self, source):
        with open(f"{source}/packaging/man/ballast-json.5") as f:
            page = f.read().split("\n.Sh ")
        parts = [p for s in page if s.startswith("DESCRIPTION") for p in s.split("\n.Ss ")[1:]]
        self.rows, self.lists, self.root = {}, set(), {}
        for part in parts:
            name, text = part.split("\n", 1)
            before, table = text.split(".Bd -literal\n")
            of = re.search(r"The keys of a guest in\n\.Sx (\w+) ,", before)
            self.rows[name] = list(self.rows[of[1]]) if of else []
            for line in table.split(".Ed")[0].splitlines():
                path, type_, meaning = re.fullmatch(r"(\S+) +((?:as )?\S+) *(.*)", line).groups()
                self.rows[name].append((path, type_, meaning))
            if "A list of these" in before:
                self.lists.add(name)
            self.root[name] = self.tree(self.rows[name])

    def tree(self, rows):
        root = Node()
        for path, type_, _ in rows:
            node = root.at(path)
            node.optional = type_.endswith("?")
            if type_.startswith("as "):
                node.table = type_[3:]
            elif type_ not in ("object", "object?"):
                node.type = type_.rstrip("?")
                assert node.type in TYPES, f"{path}: {type_} is no type"
        return root

    def faults(self, name, answer):
        """A line for each key that is missing, unknown or of another type."""
        if name not in self.lists:
            return list(self.check(self.root[name], answer, name))
        if not isinstance(answer, list):
            return [f"{name} is no list"]
        return [f for i, a in enumerate(answer) for f in self.check(self.root[name], a, f"{name}[{i}]")]

    def check(self, node, value, path):
        if node.table:
            yield from self.check(self.root[node.table], value, path)
        elif node.item:
            if not isinstance(value, list):
                yield f"{path} is {value!r}, not a list"
            else:
                for i, item in enumerate(value):
                    yield from self.check(node.item, item, f"{path}[{i}]")
        elif node.type:
            if not TYPES[node.type](value):
                yield f"{path} is {value!r}, not {node.type}"
        elif not isinstance(value, dict):
            yield f"{path} is {value!r}, not an object"
        else:
            yield from self.check_object(node, value, path)

    def check_object(self, node, value, path):
        if not node.keys:
            return  # another page has them
        for key, n in node.keys.items():
            if key != "*" and value.get(key) is None and not n.is_optional():
                yield f"{path}.{key} is missing"
        for key, v in value.items():
            n = node.keys.get(key) or node.keys.get("*")
            if not n:
                yield f"{path}.{key} is not in ballast-json(5)"
            elif v is not None or not n.is_optional():
                yield from self.check(n, v, f"{path}.{key}")
