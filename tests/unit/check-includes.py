#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks that includes point one way, as the layers of the project do.

usage: check-includes.py ROOT          every .c and .h below the layers' folders; 1 and a line for each violation
       check-includes.py --self-test   plants violations and sees that each is found, and that what is right isn't
"""

import pathlib
import re
import sys
import tempfile

# A file belongs to the first of these that its path begins with, and may include from what stands beside it.
LAYERS = [
    ("base/", ["base/"]),
    ("proto/", ["base/", "proto/"]),
    ("policy/", ["base/", "policy/"]),
    ("guest-agent/", ["base/", "proto/", "guest-agent/"]),
    ("host-agent/decide/", ["base/", "policy/", "host-agent/decide/"]),
    ("host-agent/", ["base/", "proto/", "policy/", "host-agent/"]),
]

# Headers of libraries, and the folders that may include them; all others may not.
LIBRARIES = [
    ("libvirt/", ["host-agent/libvirt/"]),
    ("systemd/", ["host-agent/"]),
    ("json-c/", ["host-agent/"]),
    ("libxml/", ["host-agent/"]),
    ("protobuf-c/", ["proto/"]),
]
NOT_IN_DECIDE = ["libvirt/", "systemd/", "json-c/", "libxml/", "protobuf-c/"]

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(["<])([^">]+)[">]', re.MULTILINE)
GENERATED = re.compile(r"(^|/)guest\.pb-c\.h$")  # protoc-c writes it into the build folder


def begins(path, prefixes):
    return any(path.startswith(p) for p in prefixes)


def check_quoted(root, path, included, allowed):
    if GENERATED.search(included):
        return None if path.startswith("proto/") else "only proto/ includes what is generated"
    if ".." in included.split("/") or not (root / included).is_file():
        return "not a path from the root of the sources"
    if not begins(included, allowed):
        return "may include from " + ", ".join(allowed) + " only"
    return None


def check_system(path, included):
    if path.startswith("host-agent/decide/") and begins(included, NOT_IN_DECIDE):
        return "decide/ is pure: no I/O, no library"
    for library, users in LIBRARIES:
        if included.startswith(library) and not begins(path, users):
            return f"only {', '.join(users)} may include <{library}…>"
    return None


def check_file(root, path):
    """Yields a line for each include of the file at root/path that breaks the rule."""
    allowed = next(may for layer, may in LAYERS if path.startswith(layer))
    text = (root / path).read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        quote, included = match.groups()
        why = check_quoted(root, path, included, allowed) if quote == '"' else check_system(path, included)
        if why:
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {included}: {why}"


def files_of(root):
    for layer in sorted({layer.split("/")[0] for layer, _ in LAYERS}):
        for path in sorted((root / layer).rglob("*.[ch]")):
            yield path.relative_to(root).as_posix()


def check_tree(root):
    files = list(files_of(root))
    return len(files), [problem for path in files for problem in check_file(root, path)]


# A small tree: file, what it says, whether that is a violation.
PLANTED = [
    ("base/a.h", "#include <stdint.h>\n", False),
    ("base/b.c", '#include "base/a.h"\n', False),
    ("base/c.c", '#include "proto/a.h"\n', True),
    ("base/d.c", '#include "a.h"\n', True),
    ("base/e.c", "#include <systemd/sd-bus.h>\n", True),
    ("base/f.c", '// #include "proto/a.h"\n/* "proto/a.h" */\n', False),
    ("proto/a.h", '#include "base/a.h"\n#include "proto/guest.pb-c.h"\n', False),
    ("proto/b.h", '#include "policy/a.h"\n', True),
    ("policy/a.h", '#include "base/a.h"\n', False),
    ("policy/b.c", '#include "host-agent/decide/a.h"\n', True),
    ("policy/c.c", '  #  include "proto/a.h"\n', True),
    ("guest-agent/a.c", '#include "proto/a.h"\n', False),
    ("guest-agent/b.c", '#include "policy/a.h"\n', True),
    ("guest-agent/c.c", '#include "proto/guest.pb-c.h"\n', True),
    ("host-agent/decide/a.h", '#include "policy/a.h"\n#include <math.h>\n', False),
    ("host-agent/decide/b.c", '#include "host-agent/act/a.h"\n', True),
    ("host-agent/decide/c.c", '#include "host-agent/manager.h"\n', True),
    ("host-agent/decide/d.c", "#include <libvirt/libvirt.h>\n", True),
    ("host-agent/decide/e.c", '#include "host-agent/decide/../act/a.h"\n', True),
    ("host-agent/decide/f.c", "#include <systemd/sd-event.h>\n", True),
    ("host-agent/decide/g.c", '#include "proto/a.h"\n', True),
    ("host-agent/act/a.h", '#include "base/a.h"\n', False),
    ("host-agent/act/b.c", "#include <libvirt/libvirt.h>\n", True),
    ("host-agent/libvirt/a.c", "#include <libvirt/libvirt.h>\n", False),
    ("host-agent/manager.h", '#include "host-agent/act/a.h"\n#include <systemd/sd-bus.h>\n', False),
    ("host-agent/main.c", '#include "guest-agent/a.c"\n', True),
]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text, _ in PLANTED:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        count, problems = check_tree(root)
    found = {problem.split(":")[0] for problem in problems}
    wrong = [path for path, _, violation in PLANTED if violation != (path in found)]
    for path in wrong:
        print(f"self-test: {path}: {'not refused' if path not in found else 'refused'}")
    return 1 if wrong or count != len(PLANTED) else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    count, problems = check_tree(pathlib.Path(sys.argv[1]))
    for problem in problems:
        print(problem)
    print(f"{count} files, {len(problems)} includes against the layers' rule")
    # A tree without sources is a wrong ROOT, not one that keeps the rule.
    return 1 if problems or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
