#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual pages format without a warning and are mdoc, ballast(7) explains the words of the output, and the documents
are in plain English.

Usage: test-manuals.py SOURCE BUILD"""

import glob
import os
import re
import shutil
import subprocess
import sys

# Habits that make a sentence hard to read, and what to write instead.
HABITS = [
    (r"\b(?:is|are|was|were|be|been) told\b", "logged, reported, shown"),
    (r"\banew\b", "again"),
    (r"\bserves?\b", "is used"),
    (r"\bit is looked\b|\bis looked whether\b", "ballastd checks whether"),
    (r"\bone's own\b", "your own"),
]
# They depend on which manuals are installed here.
LINT_IGNORED = re.compile(r"referenced manual not found|outdated mandoc\.db")

source, build = sys.argv[1:]
failed = 0


def fail(text):
    global failed
    failed += 1
    print(text)


def read(path):
    with open(os.path.join(source, path)) as f:
        return f.read()


def check_format(page):
    # At a fixed width: a terminal's decides whether a line can be adjusted.
    r = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"})
    if r.returncode != 0 or r.stderr or len(r.stdout) < 1000:
        fail(f"{page}: man: exit {r.returncode}, {len(r.stdout)} bytes\n{r.stderr}")
    if not shutil.which("mandoc"):
        return
    r = subprocess.run(["mandoc", "-T", "lint", page], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in r.stdout.splitlines():
        if not LINT_IGNORED.search(line):
            fail(line)


def check_mdoc(path):
    text = read(path)
    for macro in (".Dd ", ".Dt ", ".Os", ".Sh NAME", ".Nm ", ".Nd ", ".Sh DESCRIPTION", ".Sh SEE ALSO"):
        if not re.search("^" + re.escape(macro), text, re.M):
            fail(f"{path}: has no '{macro.strip()}': the pages are mdoc(7)")
    if re.search(r"^\.(TH|SH|SS|TP|PP|B|I|BR|IR) ", text, re.M):
        fail(f"{path}: has macros of man(7): the pages are mdoc(7)")


def check_glossary():
    glossary = read("packaging/man/ballast.7").split(".Sh GLOSSARY\n")[1].split("\n.Sh ")[0]
    words = {w for entry in re.findall(r"(?m)^\.It (.*)$", glossary) for w in entry.split(" , ")}
    rules = re.findall(r'\[GUARD_RULE_\w+\] = \{"([a-z-]+)"', read("host-agent/decide/guard.c"))
    listing = f"{source}/host-agent/ctl/print-list.c"
    table = read(listing).split("} states[] = {")[-1].split("\n};\n")[0]
    states = re.findall(r'\{"([a-z]+)", STYLE_', table) + ["steady", "shut off"]
    if len(rules) < 15 or len(states) < 5:
        fail(f"found {len(rules)} rules in guard.c and {len(states)} states in {listing}: this test looks in a wrong place")
    for what, names in (("rule", rules), ("state", states)):
        for name in names:
            if name != "none" and name not in words:
                fail(f"packaging/man/ballast.7: the {what} '{name}' has no entry in GLOSSARY")
    for a, b in zip(entries := re.findall(r"(?m)^\.It (.*)$", glossary), entries[1:]):
        if a.lower() > b.lower():
            fail(f"packaging/man/ballast.7: '{b}' comes after '{a}', and the glossary is in alphabetical order")


# Words of Ballast's own that were once in its output, some with another meaning than in English. Each needs an entry in
# the glossary where it is output, and none elsewhere.
COINED = {"spared", "pinned", "barren", "claim", "yield", "promised", "lacking", "comfort"}
# Words in JSON's keys and in log lines that everybody knows: of Linux, libvirt and D-Bus, units, and plain English.
PLAIN = """
    actual age alloc allocs allowed an anon answered asked asking autodeflate bad ballastctl ballastd because before boot
    calls cause changed code column config configured connected connections count cpu current definition diagnostics disk
    end ends error failed failures faults file files findings for found frames from given good got grow help hint host
    hugetlb id in interval kill kills kind known last learned left libvirt line logs lost major maximum merged message messages
    minor missing mode moves name need new newest none object old oldest oom open out peak per period persistent previous
    problem progress proven queue read reads reconnects refused retry rss samples sec seen send sent set severity share
    shared shrink shrinks shrunk state status stuck summary swap swapped text times took total trigger uncertainty unit
    update uptime uri usable usec uuid value version waiting waits warnings why
""".split()


def glossary_words():
    glossary = read("packaging/man/ballast.7").split(".Sh GLOSSARY\n")[1].split("\n.Sh ")[0]
    return {w.lower() for entry in re.findall(r"(?m)^\.It (.*)$", glossary) for w in re.findall(r"[\w-]+", entry)}


def check_words():
    """Each word of JSON's keys is in the glossary, if it isn't plain; and no coined word is output without an entry."""
    known = glossary_words()

    def is_known(word):
        return word in known or any(word in (w + "s", w + "ed", w + "d") for w in known)
    keys = {w for row in re.findall(r"(?m)^([a-z_.\[\]*]+) {1,32}(?:as |object|text|count|integer|real|flag|any)",
                                    read("packaging/man/ballast-json.5")) for w in re.findall(r"[a-z]+", row)}
    if len(keys) < 150:
        fail(f"found only {len(keys)} words in the keys of ballast-json(5): this test looks in a wrong place")
    for word in sorted(w for w in keys if not is_known(w) and w not in PLAIN):
        fail(f"packaging/man/ballast-json.5: '{word}' of a key has no entry in ballast(7)'s GLOSSARY, and isn't plain")
    for path in sorted(p for folder in ("host-agent", "guest-agent", "policy", "base", "proto")
                       for p in glob.glob(f"{source}/{folder}/**/*.*", recursive=True) if re.search(r"\.(c|h|def|policy)$", p)):
        text = re.sub(r"(?sm)/\*.*?\*/|^ *#[^\n]*$", "", read(path))
        for word in set(re.findall(r"[a-z]+", " ".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', text)).lower())) & COINED:
            if word not in known:
                fail(f"{os.path.relpath(path, source)}: '{word}' is output, and has no entry in ballast(7)'s GLOSSARY")


def check_english(path):
    text = read(path)
    if "/man/" in path:
        text = re.sub(r"(?m)^\.(?!It|Nd).*$", "", re.sub(r"(?ms)^\.Bd .*?^\.Ed$", "", text))
    for habit, instead in HABITS:
        for found in re.finditer(habit.replace(" ", r"\s+"), text, re.I):
            around = " ".join(text[max(0, found.start() - 40):found.end() + 40].split())
            fail(f"{path}: '{found[0]}' in \"…{around}…\": write {instead}")


if not shutil.which("man"):
    print("skipped: there is no man")
    sys.exit(77)
pages = [os.path.relpath(p, source) for p in sorted(glob.glob(f"{source}/packaging/man/*.[0-9]*"))]
built = [f"{build}/policy/ballast-policy.7", f"{build}/host-agent/config/ballastd.conf.5"]
if len(pages) < 8:
    fail(f"only {len(pages)} pages in packaging/man")
for page in [os.path.join(source, p) for p in pages if not p.endswith(".in")] + [p for p in built if os.path.exists(p)]:
    check_format(page)
for page in pages:
    check_mdoc(page)
check_glossary()
check_words()
for document in pages + ["README.md", "NEWS", "HACKING.md", "tests/lab/README.md"]:
    check_english(document)
print(f"{len(pages)} pages, {failed} faults")
sys.exit(1 if failed else 0)
