#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ballastctl policy …, without a daemon, and with the real one as in test-ctl.py.

Usage: test-policy.py BALLASTD BALLASTCTL SOURCE [unittest options]"""

import glob
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import unittest

spec = importlib.util.spec_from_file_location("ctl", os.path.join(os.path.dirname(os.path.abspath(__file__)), "test-ctl.py"))
ctl = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ctl)

MIB = 1 << 20
GOOD = "for g in guests { g.target = g.current }\n"
BAD = "let spare = host.availble - 1GiB\nlet x = 5s + 1\n"
VERBS = ("check", "fields", "show", "load", "run")


def fields_def():
    """(object, name, unit, kind, help) of each."""
    with open(f"{ctl.SOURCE}/policy/fields.def") as f:
        found = re.findall(r'^(HOST|GUEST)\(\w+, (\w+), (\w+), (\w+), "(.*)"\)$', f.read(), re.M)
    units = {"RATE": "bytes per second"}
    return [(o.lower(), n, units.get(u, u.lower()), k.lower(), h) for o, n, u, k, h in found]


def manual(name):
    with open(f"{ctl.SOURCE}/packaging/man/{name}") as f:
        return f.read()


class Files(ctl.World):
    """Without a daemon, a bus and libvirt."""

    def setUp(self):
        self.env = dict(self.env)

    def write(self, name, text):
        path = f"{self.folder}/{name}"
        with open(path, "wb" if isinstance(text, bytes) else "w") as f:
            f.write(text)
        return path

    def fails(self, *arguments, want=1):
        """Standard output of what fails; standard error is in self.err."""
        r = subprocess.run([ctl.BALLASTCTL, *arguments], env=self.env, capture_output=True, text=True, timeout=ctl.HANG)
        self.err = r.stderr
        self.assertEqual(r.returncode, want, f"{arguments}: {r.stdout}{r.stderr}")
        return r.stdout

    def run_policy(self, policy, snapshot, *arguments, want=0):
        r = subprocess.run([ctl.BALLASTCTL, "policy", "run", policy, "--snapshot=-", *arguments], env=self.env, text=True,
                           capture_output=True, timeout=ctl.HANG,
                           input=snapshot if isinstance(snapshot, str) else json.dumps(snapshot))
        self.err = r.stderr
        self.assertEqual(r.returncode, want, r.stdout + r.stderr)
        return json.loads(r.stdout) if "--json" in arguments else r.stdout

    def host(self, **more):
        return {"total_bytes": 16384 * MIB, "available_bytes": 8192 * MIB, **more}

    def guest(self, name, **more):
        return {"name": name, "full_bytes": 4096 * MIB, "free_bytes": 1024 * MIB, "swap_total_bytes": 4096 * MIB, **more}

    # ---- check ----

    def test_good(self):
        a, b = self.write("a.policy", GOOD), self.write("b.policy", "host.ksm_run = true\n")
        self.assertEqual(self.ctl("policy", "check", a, b), f"{a}: good\n{b}: good\n")
        self.assertEqual(self.ctl("policy", "check", "--together", a, b), f"{a}: good\n{b}: good\n")
        self.assertEqual(self.json("policy", "check", a),
                         [{"files": [a], "good": True, "problem": None, "diagnostics": []}])

    def test_shipped_are_good(self):
        shipped = glob.glob(f"{ctl.SOURCE}/policy/*.policy")
        self.assertGreater(len(shipped), 1)
        self.ctl("policy", "check", *shipped)
        with_ksm = [f"{ctl.SOURCE}/policy/{n}.policy" for n in ("balloon", "ksm")]
        self.ctl("policy", "check", "--together", *with_ksm)

    def test_bad(self):
        good, bad = self.write("a.policy", GOOD), self.write("bad.policy", BAD)
        self.assertEqual(self.fails("policy", "check", bad, good), f"{good}: good\n", "the other file is still reported")
        self.assertIn(f"{bad}:1:18: error: ", self.err)
        self.assertIn("    let spare = host.availble - 1GiB\n                     ^\n", self.err)
        self.assertIn("did you mean 'available'?", self.err)
        self.assertIn(f"{bad}:2:12: error: ", self.err, "all mistakes, not only the first")
        self.assertNotIn("\033", self.err)
        self.fails("policy", "check", bad, "--color=always")
        self.assertIn("\033[1m" + bad, self.err)
        said = json.loads(self.fails("policy", "check", bad, good, "--json"))
        self.assertEqual(self.err, "")
        self.assertEqual([c["good"] for c in said], [False, True])
        self.assertIsNone(said[0]["problem"])

    def test_c10_diagnostics_are_objects(self):
        bad = self.write("bad.policy", BAD + "let y = 1 ä\n")
        said = json.loads(self.fails("policy", "check", bad, "--json"))[0]["diagnostics"]
        self.assertEqual(said[0], {"file": bad, "line": 1, "column": 18, "severity": "error",
                                   "message": "the host has no stat 'availble'", "hint": "did you mean 'available'?",
                                   "source": "let spare = host.availble - 1GiB"})
        self.assertEqual([(d["line"], d["hint"] is None) for d in said[1:]], [(2, False), (3, True)])

    def test_c14_what_assigns_nothing_is_a_warning(self):
        nothing = self.write("nothing.policy", "# only a comment\n")
        r = subprocess.run([ctl.BALLASTCTL, "policy", "check", nothing], env=self.env, capture_output=True, text=True,
                           timeout=ctl.HANG)
        self.assertEqual((r.returncode, r.stdout), (0, f"{nothing}: can be used, but see the warning\n"))
        self.assertIn(f"{nothing}:1:1: warning: this policy assigns nothing, so nothing happens\n", r.stderr)
        said = self.json("policy", "check", nothing)[0]
        self.assertTrue(said["good"])
        self.assertEqual([d["severity"] for d in said["diagnostics"]], ["warning"])
        r = subprocess.run([ctl.BALLASTD, "--check", "--policy", nothing], env=self.env, capture_output=True, text=True,
                           timeout=ctl.HANG)
        self.assertEqual(r.returncode, 1, r.stderr)
        self.assertIn(f"{nothing}:1:1: warning: this policy assigns nothing", r.stderr)

    def test_c13_standard_input(self):
        def check(text, *arguments, want=0):
            r = subprocess.run([ctl.BALLASTCTL, "policy", *arguments], env=self.env, input=text, capture_output=True,
                               text=True, timeout=ctl.HANG)
            self.assertEqual(r.returncode, want, r.stdout + r.stderr)
            return r.stdout + r.stderr
        self.assertEqual(check(GOOD, "check", "-"), "standard input: good\n")
        self.assertIn("standard input:1:18: error: ", check(BAD, "check", "-", want=1))
        self.assertIn("at most 256 KiB", check("#" * (256 << 10) + "\n", "check", "-", want=1))
        self.assertIn("standard input:1:18: error: ", check(BAD, "load", "-", want=1))
        snapshot = self.write("s.json", json.dumps({"host": self.host(), "guests": [self.guest("a")]}))
        self.assertIn("standard input:1", check(GOOD.replace("g.current", "g.full because \"x\""), "run", "-",
                                                "--snapshot", snapshot))
        self.assertIn("not both", check(GOOD, "run", "-", "--snapshot=-", want=2))

    def test_together_they_clash(self):
        a, b = self.write("a.policy", GOOD), self.write("b.policy", GOOD)
        self.ctl("policy", "check", a, b)
        self.assertEqual(self.fails("policy", "check", a, b, "--together"), "")
        self.assertRegex(self.err, rf"{b}:1:19: error: 'target' is also assigned in {a}")
        said = json.loads(self.fails("policy", "check", a, b, "--together", "--json"))
        self.assertEqual([(c["files"], c["good"]) for c in said], [([a, b], False)])
        self.fails("policy", "check", "--together", *[a] * 17, want=2)
        self.assertIn("at most 16 files", self.err)

    def test_unreadable(self):
        large = self.write("large.policy", "# " + "x" * (256 << 10))
        for path, why in (("nowhere.policy", "No such file or directory"), (self.folder, "Is a directory"),
                          (large, "at most 256 KiB")):
            self.assertEqual(self.fails("policy", "check", path), "")
            self.assertIn(f"{path}: ", self.err)
            self.assertIn(why, self.err)
        said = json.loads(self.fails("policy", "check", "nowhere.policy", "--json"))
        self.assertIn("No such file", said[0]["problem"])
        self.fails("policy", "check", self.write("esc.policy", "let \033[2J = 1\n"))
        self.assertNotIn("\033", self.err)
        self.fails("policy", "check", want=2)

    # ---- fields ----

    def test_fields(self):
        fields = self.json("policy", "fields")
        self.assertEqual([tuple(f.values()) for f in fields], fields_def())
        self.assertEqual(list(fields[0]), ["object", "name", "unit", "kind", "help"])
        lines = self.ctl("policy", "fields").splitlines()
        self.assertEqual(lines[0].split(), ["OBJECT", "NAME", "UNIT", "KIND", "HELP"])
        self.assertEqual(len(lines), len(fields) + 1)
        self.assertTrue(all(f["help"] in line for f, line in zip(fields, lines[1:])))

    def test_fields_by_name(self):
        def names(*patterns):
            return [f"{f['object']}.{f['name']}" for f in self.json("policy", "fields", *patterns)]
        known = [f"{f[0]}.{f[1]}" for f in fields_def()]
        self.assertEqual(names("free"), ["host.free", "guest.free"])
        self.assertEqual(names("g.free"), ["guest.free"])
        self.assertEqual(names("guest.free", "free"), ["guest.free", "host.free"], "each once")
        self.assertEqual(names("host.ksm"), [n for n in known if n.startswith("host.ksm")])
        self.assertEqual(names("host"), [n for n in known if n.startswith("host.")])
        self.assertEqual(names("swap_f"), ["host.swap_free", "guest.swap_free"])
        self.fails("policy", "fields", "fre", "availble", want=3)
        self.assertIn("no stat or control has the name 'availble'; did you mean 'available'?", self.err)

    # ---- run ----

    def examples(self):
        return [e for e in re.findall(r"\.Bd -literal.*?\n(.*?)\.Ed", manual("ballast-snapshot.5"), re.S) if e[0] == "{"]

    def test_the_manuals_example(self):
        policy = f"{ctl.SOURCE}/policy/balloon.policy"
        first, second = self.examples()
        text = self.run_policy(policy, first)
        shown = re.search(r"\.Bd -literal.*?\n(GUEST.*?)\.Ed", manual("ballast-snapshot.5"), re.S)[1].splitlines()
        with open(policy) as f:
            line = f.read().split("gives free memory\"")[0].count("\n") + 1
        self.assertEqual(text.splitlines()[0], shown[0])
        self.assertEqual(text.splitlines()[1], re.sub(r":\d+\)", f":{line})", shown[1]))
        self.assertRegex(text, r"(?m)^busy +4.00 GiB +4.00 GiB +- ")
        self.assertIn("Plan: 1 guest gives 256 MiB", text)

        mine = self.write("my.policy", 'state waited = 0s\nfor g in guests { log("after", waited, rate(g.swap_in, 10s)) }\n')
        plan = self.run_policy(mine, second, "--json")
        self.assertRegex(plan["logs"][0]["text"], r"^after 1h .*(819|838)")
        self.assertEqual(plan["state"], {"my.policy:waited": 3600000000})

    def test_plan(self):
        policy = self.write("p.policy", "state turns = 0\nturns = turns + 1\nlet part = 256MiB\nfor g in guests {\n"
                            "    let give = g.free / 4\n    log(\"looks at\", g.name, g.free)\n"
                            "    g.target = g.current - min(give, part) because \"tries\"\n}\n"
                            "host.ksm_run = true because \"saves\"\n")
        snapshot = {"host": self.host(ksm_run=False), "guests": [self.guest("a"), self.guest("b", free_bytes=64 * MIB),
                                                                 {"name": "c", "full_bytes": 1024 * MIB}]}
        plan = self.run_policy(policy, snapshot, "--json")
        a, b, c = plan["guests"]
        self.assertEqual((a["standing_bytes"], a["target_bytes"], a["send"]), (4096 * MIB, 3840 * MIB, True))
        self.assertEqual((a["file"], a["line"], a["because"]), ("p.policy", 7, "tries"))
        self.assertEqual((a["reads"]["give_bytes"], a["reads"]["part_bytes"], a["reads"]["g.free_bytes"]),
                         (256 * MIB, 256 * MIB, 1024 * MIB))
        self.assertEqual(a["reason"], "tries (p.policy:7)")
        self.assertEqual((b["target_bytes"], b["rule"], b["wanted_bytes"]), (4096 * MIB, "dead-band", 4080 * MIB))
        self.assertNotIn("line", c)
        self.assertEqual([(n["guest"], n["file"], n["line"]) for n in plan["notes"]], [("c", "p.policy", 5)])
        self.assertIn("g.free is missing", plan["notes"][0]["text"])
        self.assertEqual([l["text"] for l in plan["logs"]], ["looks at a 1.00 GiB", "looks at b 64.0 MiB"])
        self.assertEqual([(h["control"], h["standing"], h["value"], h["send"]) for h in plan["host"]],
                         [("ksm_run", False, True, True)])
        self.assertEqual((plan["state"], plan["failed"], plan["policy"]), ({"p.policy:turns": 1}, False, "p.policy"))
        text = self.run_policy(policy, snapshot)
        for want in (r"^GUEST +BEFORE +TARGET +CHANGE +RULE +REASON$",
                     r"^a +4.00 GiB +3.75 GiB +-256 MiB +- +tries \(p.policy:7\)$", r"^b .* dead-band ",
                     r"^host.ksm_run +false +true +.*saves", r"^ +Undone: p.policy:5: c: g.free is missing$",
                     r"^ +Log: p.policy:6: a: looks at a 1.00 GiB$", r"^ +Plan: "):
            self.assertRegex(text, re.compile(want, re.M))

    def test_plan_of_reclaims(self):
        policy = self.write("p.policy", "let part = 256MiB\nfor g in guests {\n"
                            "    if g.name == \"b\" { g.target = g.current - part because \"shrinks\" }\n"
                            "    g.reclaim = min(part, g.reclaimable / 2) because \"cache\"\n}\n")
        guests = [self.guest("a", cache_bytes=1024 * MIB), self.guest("b", cache_bytes=1024 * MIB),
                  self.guest("c", cache_bytes=1024 * MIB, mode="observe"), self.guest("d", protected=True)]
        snapshot = {"host": self.host(), "guests": guests}
        plan = self.run_policy(policy, snapshot, "--json")
        a, b, c, d = (g["reclaim"] for g in plan["guests"])
        for r in (a, b, c):
            self.assertEqual((r["wanted_bytes"], r["reclaim_bytes"], r["anon"]), (256 * MIB, 256 * MIB, False))
            self.assertEqual((r["file"], r["line"], r["because"]), ("p.policy", 4, "cache"))
            self.assertEqual(r["reads"]["part_bytes"], 256 * MIB)
            self.assertEqual(r["reads"]["g.reclaimable_bytes"], r["reclaimable_bytes"])
        self.assertEqual([(r["send"], r["rule"]) for r in (a, b, c)], [(True, "none"), (True, "none"), (False, "observe")])
        self.assertEqual(a["reason"], "hands back 256 MiB: cache (p.policy:4)")
        self.assertEqual(c["reason"], "would hand back 256 MiB: cache (p.policy:4) (observe)")
        self.assertEqual((d["reclaimable_bytes"], d["reclaim_bytes"], d["send"]), (0, 0, False))
        self.assertEqual([g["target_bytes"] // MIB for g in plan["guests"]], [4096, 3840, 4096, 4096])
        self.assertEqual(plan["guests"][0]["reason"], "keeps its size and " + a["reason"])
        text = self.run_policy(policy, snapshot)
        for want in (r"^GUEST +BEFORE +TARGET +CHANGE +RECLAIM +RULE +REASON$",
                     r"^a +4.00 GiB +4.00 GiB +- +256 MiB +- +keeps its size and hands back 256 MiB: cache",
                     r"^b +4.00 GiB +3.75 GiB +-256 MiB +256 MiB +- +shrinks \(p.policy:3\); hands back 256 MiB: cache",
                     r"^c .* 256 MiB +- +keeps its size and would hand back 256 MiB", r"^d .* - +- +- +keeps its size and",
                     r"^ +Plan: 1 guest gives 256 MiB, 2 guests hand back 512 MiB; 1 reclaim decided for guests in mode "):
            self.assertRegex(text, re.compile(want, re.M))

        # A policy that says nothing of it gives what it gave before.
        plan = self.run_policy(self.write("q.policy", GOOD), snapshot, "--json")
        self.assertNotIn("reclaim", plan["guests"][0])
        self.assertRegex(self.run_policy(f"{self.folder}/q.policy", snapshot), r"^GUEST +BEFORE +TARGET +CHANGE +RULE ")

    def test_run_fails(self):
        good, bad = self.write("a.policy", GOOD), self.write("bad.policy", BAD)
        snapshot = self.write("s.json", json.dumps({"host": self.host(), "guests": [self.guest("a")]}))
        self.fails("policy", "run", good, want=2)
        self.assertIn("--snapshot=FILE", self.err)
        self.assertEqual(self.fails("policy", "run", bad, "--snapshot", snapshot), "")
        self.assertIn(f"{bad}:1:18: error", self.err)
        self.fails("policy", "run", good, "--snapshot", "nowhere.json")
        self.assertIn("nowhere.json: cannot be read: No such file", self.err)
        self.run_policy(good, '{"host": ', want=1)
        self.assertIn("standard input: line 1, column 10: not JSON: it ends too early", self.err)
        self.run_policy(good, {"host": self.host(), "guests": [self.guest("a", fre_bytes=1)]}, want=1)
        self.assertIn('guests[0]: unknown key "fre_bytes"; did you mean "free_bytes"?', self.err)
        self.run_policy(good, {"host": self.host(), "guests": [self.guest("a", busy="\033[2J")]}, "--json")
        plan = self.run_policy(self.write("zero.policy", "let zero = host.free / 0B\n" + GOOD),
                               {"host": self.host(free_bytes=1), "guests": [self.guest("a")]}, "--json", want=1)
        self.assertTrue(plan["failed"])
        self.assertIn("division by zero", plan["notes"][0]["text"])
        text = self.run_policy(self.write("zero.policy", "let zero = host.free / 0B\n" + GOOD),
                               {"host": self.host(free_bytes=1), "guests": [self.guest("a")]}, want=1)
        self.assertIn("Failed: ", text)

    def test_snapshot_is_bounded(self):
        good, huge = self.write("a.policy", GOOD), f"{self.folder}/huge.json"
        with open(huge, "wb") as f:
            f.truncate((64 << 20) + 1)
        self.addCleanup(os.unlink, huge)
        self.fails("policy", "run", good, "--snapshot", huge)
        self.assertIn("at most 64 MiB", self.err)
        many = {"host": self.host(), "guests": [{"name": "x", "full_bytes": 1}] * 10001}
        self.run_policy(good, many, want=1)
        self.assertIn("guests: must be at most 10000", self.err)

    def test_what_is_left_out_is_reported(self):
        good = self.write("a.policy", "state x = 1\n" + GOOD)
        self.run_policy(good, {"host": self.host(state={"a.policy:y": 1}), "guests": [], "guests_left_out": 5})
        self.assertIn("5 guests were left out", self.err)
        self.assertIn('no state variable "a.policy:y" (did you mean "a.policy:x"?)', self.err)

    # ---- Manuals, help, completion ----

    def test_snapshots_keys_are_documented(self):
        words = set(re.findall(r"\w+", manual("ballast-snapshot.5")))
        with open(f"{ctl.SOURCE}/host-agent/decide/snapshot.def") as f:
            keys = set(re.findall(r'^SNAPSHOT_\w+\("(\w+)"', f.read(), re.M))
        self.assertGreater(len(keys), 30)
        self.assertLessEqual(keys | {"host", "guests", "guard", "history", "state", "uuid", "guests_left_out"}, words)

    def test_help(self):
        for verb in VERBS:
            text = self.ctl("policy", verb, "--help")
            self.assertEqual(text, self.ctl("help", "policy", verb))
            self.assertTrue(text.startswith(f"Usage: ballastctl [OPTION…] policy {verb} "), text)
            self.assertIn(f"ballastctl policy {verb}", text.split("\n\n", 1)[1], "an example")
            self.assertIn(f"  {verb} ", self.ctl("policy", "--help"))
            self.assertIn(f"Cm policy {verb}", manual("ballastctl.1"))
        self.assertEqual(self.ctl("policy", "--help"), self.ctl("help", "policy"))

    def test_usage(self):
        for arguments in (["policy"], ["policy", "chek"], ["policy", "show", "x"], ["policy", "check", "--text", "x"],
                          ["policy", "fields", "--together"], ["policy", "load"], ["policy", "run", "--snapshot", "x"],
                          ["list", "--together"], ["policy", "check", "x", "--snapshot", "y"], ["policy", "list", "x"],
                          ["help", "policy", "x"], ["help", "list", "x"], ["policy", "check", "x", "--all"]):
            self.fails(*arguments, want=2)
        self.fails("policy", "chek", want=2)
        self.assertIn("'policy chek'; did you mean 'policy check'?", self.err)

    def complete(self, *words):
        program = (f'source "{ctl.SOURCE}/packaging/completion/ballastctl.bash"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                   '_ballastctl; printf "%s\\n" "${COMPREPLY[@]}"')
        r = subprocess.run(["bash", "-uc", program, "bash", ctl.BALLASTCTL, *words], env=self.env, cwd=self.folder,
                           capture_output=True, text=True, timeout=ctl.HANG)
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        return set(r.stdout.split("\n")) - {""}

    def test_completion(self):
        self.write("one.policy", GOOD)
        self.write("one two.policy", GOOD)
        self.write("one.json", "{}")
        os.mkdir(f"{self.folder}/one.d")
        self.assertEqual(self.complete("pol"), {"policy"})
        self.assertEqual(self.complete("policy", ""), set(VERBS))
        self.assertEqual(self.complete("help", "policy", "r"), {"run"})
        self.assertEqual(self.complete("help", "list", "r"), set())
        for verb in ("check", "load", "run"):
            self.assertEqual(self.complete("policy", verb, "one"), {"one.policy", "one two.policy", "one.d"})
        self.assertEqual(self.complete("policy", "check", "one.policy", "one t"), {"one two.policy"})
        self.assertEqual(self.complete("policy", "run", "one.policy", "--snapshot", "=", "one"), {"one.json", "one.d"})
        self.assertEqual(self.complete("policy", "run", "--snapshot=one"), {"one.json", "one.d"})
        self.assertEqual(self.complete("policy", "run", "--sn"), {"--snapshot="})
        self.assertEqual(self.complete("policy", "check", "--t"), {"--together"})
        self.assertEqual(self.complete("policy", "show", "--t"), {"--text"})
        self.assertEqual(self.complete("policy", "load", "--t"), set())
        self.assertEqual(self.complete("policy", "fields", "guest.swap_f"), {"guest.swap_free"})
        self.assertEqual(self.complete("policy", "show", ""), set())


class Loaded(ctl.World):
    """What a daemon runs. The host is short of memory, so that its policy has something to do."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        shutil.copy(f"{ctl.SOURCE}/policy/balloon.policy", f"{cls.folder}/policy")
        with open(f"{cls.folder}/proc/meminfo") as f:
            text = f.read().replace("MemAvailable: 8388608", "MemAvailable: 2097152")
        with open(f"{cls.folder}/proc/meminfo", "w") as f:
            f.write(text)
        cls.write_config("[Daemon]\nInterval=100ms\n[Host]\nReserve=1GiB\n[Guard]\nGrace=1s\n")
        cls.bus = cls.start_bus("bus", ctl.OPEN)
        cls.env["DBUS_SESSION_BUS_ADDRESS"] = cls.bus.address
        cls.daemon = cls.start_daemon("daemon", "--session")
        cls.wait_ready("--session")

    def setUp(self):
        self.ctl("--session", "reload")
        ctl.wait_for("grace", lambda: "grace" not in {g["rule"] for g in self.json("--session", "list")})

    def write(self, name, text):
        path = f"{self.folder}/{name}"
        with open(path, "wb" if isinstance(text, bytes) else "w") as f:
            f.write(text)
        return path

    def show(self, *arguments):
        return self.json("--session", "policy", "show", *arguments)

    def wait_cycles(self, n):
        """Until n more cycles ended."""
        at = self.json("--session", "status")["cycle"]["count"]
        ctl.wait_for("cycles", lambda: self.json("--session", "status")["cycle"]["count"] > at + n)

    def test_show_configured(self):
        shown = self.show()
        self.assertEqual([f["file"] for f in shown["files"]], [f"{self.folder}/policy"])
        self.assertEqual(shown["files"][0]["controls"], ["g.target", "g.reclaim"])
        self.assertEqual(shown["origin"], "the command line")
        self.assertNotIn("text", shown["files"][0])
        self.assertLess(shown["age_usec"], 60_000_000)
        with open(f"{self.folder}/policy") as f:
            text = f.read()
        self.assertEqual(self.show("--text")["files"][0]["text"], text)
        self.assertEqual(self.ctl("--session", "policy", "show", "--text"), text, "a policy that can be kept")
        printed = self.ctl("--session", "policy", "show")
        self.assertIn(f"File: {self.folder}/policy, assigns to g.target, g.reclaim\n", printed)
        self.assertIn("From: the command line, ", printed)

    def test_load_and_back(self):
        a = self.write("a.policy", "log(\"so much\", host.available)\nfor g in guests { let x = g.stall; g.target = g.current }\n")
        b = self.write("b.policy", "host.ksm_run = true\n")
        said = self.ctl("--session", "policy", "load", a, b)
        for want in ("ballastd is restarted or reloaded", "ballastctl reload", "Files= under [Policy]"):
            self.assertIn(want, said)
        self.wait_cycles(2)
        shown = self.show()
        self.assertEqual([(f["name"], f["file"], f["controls"]) for f in shown["files"]],
                         [("a.policy", a, ["g.target"]), ("b.policy", b, ["host.ksm_run"])])
        self.assertRegex(shown["origin"], r"^loaded by (root|user \d+) over D-Bus$")
        self.assertEqual(shown["logs"], ["a.policy:1: so much 1.00 GiB"])
        self.assertEqual((shown["notes_total"], len(shown["notes"])), (4, 4))
        self.assertRegex(shown["notes"][0], r"^a.policy:2:29: .*: g.stall is missing$")
        printed = self.ctl("--session", "policy", "show")
        for want in (f"File: {b}, assigns to host.ksm_run\n", "Log: a.policy:1: so much 1.00 GiB\n", "Undone: a.policy:2:29: "):
            self.assertIn(want, printed)
        self.assertRegex(self.daemon.log(), r"Policy a.policy, b.policy from now on, loaded by ")
        with open(a) as first, open(b) as second:
            self.assertEqual(self.ctl("--session", "policy", "show", "--text"),
                             f"# ---- {a} ----\n{first.read()}# ---- {b} ----\n{second.read()}")
        self.ctl("--session", "reload")
        self.assertEqual([f["file"] for f in self.show()["files"]], [f"{self.folder}/policy"])

    def test_a_failing_file_is_logged(self):
        """Also with as many messages about guests as before."""
        failing = self.write("failing.policy", """state n = 0
n = n + 1
for g in guests where g.name == "web1" { let x = g.stall }
let x = 1 / (3 - n)
""" + GOOD)
        self.ctl("--session", "policy", "load", failing)
        self.wait_cycles(4)
        self.assertRegex(self.daemon.log(), rf"{failing}:3:52: web1 left out in this cycle: g.stall is missing")
        self.assertEqual(len(re.findall(rf"{failing}:4:11: this file has no effect in this cycle: division by zero",
                                        self.daemon.log())), 1)
        self.ctl("--session", "reload")

    def test_undone_turns_are_logged_for_each_policy(self):
        for name in ("one.policy", "two.policy"):
            path = self.write(name, "for g in guests { let x = g.stall; g.target = g.current }\n")
            self.ctl("--session", "policy", "load", path)
            self.wait_cycles(3)
            left_out = re.findall(rf"{path}:1:\d+: (.*) left out in this cycle: g.stall is missing", self.daemon.log())
            self.assertEqual(sorted(left_out), sorted(ctl.UUIDS), "each guest once")

    def test_one_that_fails_whole(self):
        self.ctl("--session", "policy", "load", self.write("zero.policy", "let x = 1 / (host.total / host.total - 1)\n" + GOOD))
        self.wait_cycles(1)
        self.assertRegex(self.ctl("--session", "policy", "show"),
                         r"Failed: none of its files could be evaluated\n +Undone: zero.policy:1:11: division by zero\n")

    def test_the_log_is_not_flooded(self):
        """Ten cycles a second."""
        self.ctl("--session", "policy", "load", self.write("talk.policy", 'log("so", host.total)\n' * 20))
        begin = time.monotonic()
        self.wait_cycles(25)
        self.assertEqual((len(self.show()["logs"]), self.show()["logs_total"]), (16, 20))
        seconds = time.monotonic() - begin
        lines = self.daemon.log().count("/talk.policy:")
        self.assertGreater(lines, 16)
        self.assertLessEqual(lines, 16 * (seconds + 2))
        self.assertRegex(self.daemon.log(), r"(?m)\d{2,} more lines of the policy's log\(\) were left out$")

    def test_a_bad_one_changes_nothing(self):
        before = self.show("--text")
        good, bad = self.write("a.policy", GOOD), self.write("bad.policy", BAD)
        self.ctl("--session", "policy", "load", good, bad, want=1)
        self.assertIn(f"{bad}:1:18: error: ", self.err)
        self.ctl("--session", "policy", "load", "nowhere.policy", want=1)
        self.assertIn("nowhere.policy: cannot be read: No such file", self.err)
        for name, text in (("nul.policy", b"# \0\n"), ("latin.policy", "# ä\n".encode("latin-1"))):
            self.ctl("--session", "policy", "load", self.write(name, text), want=1)
            self.assertIn(f"{name}: cannot be sent to ballastd: its name and its content must be UTF-8 text", self.err)
        self.assertEqual({**self.show("--text"), "age_usec": 0}, {**before, "age_usec": 0})

    def call(self, method, *arguments, want=0):
        return self.busctl("call", "org.ballast1", "/org/ballast1", "org.ballast1.Manager", method, *arguments, want=want)

    def test_what_the_bus_may_bring(self):
        """The daemon checks what others than ballastctl send."""
        self.call("LoadPolicy", "a(ss)", "1", "x.policy", BAD, want=1)
        self.assertIn("x.policy:1:18: error: ", self.err)
        for arguments, why in ((["0"], "at least one file"), (["1", "", GOOD], "1 to 1024 bytes"),
                               (["1", "n" * 1025, GOOD], "1 to 1024 bytes"), (["17", *["x", ""] * 17], "At most 16 files"),
                               (["2", "x", GOOD, "x", "let a = 1"], "error: ")):
            self.call("LoadPolicy", "a(ss)", *arguments, want=1)
            self.assertIn(why, self.err)
        self.call("LoadPolicy", "s", "x", want=1)
        self.assertEqual([f["file"] for f in self.show()["files"]], [f"{self.folder}/policy"])

    @unittest.skipIf(os.getuid() != 0, "becoming another user needs root")
    def test_others_may_look(self):
        nobody = ctl.become(65534, 65534)
        self.ctl("--session", "policy", "show", user=nobody)
        self.ctl("--session", "policy", "load", self.write("a.policy", GOOD), user=nobody, want=1)
        self.assertIn("Only root and the user that ballastd runs as", self.err)

    def assert_dump_decides_the_same(self, policy):
        dump = self.json("--session", "dump")
        path = self.write("dump.json", json.dumps(dump))
        plan = self.json("policy", "run", policy, "--snapshot", path)
        bare = self.write("bare.json", json.dumps(dump["snapshot"]))
        self.assertEqual(plan, self.json("policy", "run", policy, "--snapshot", bare))

        def decided(guests):
            # Stats grow older between the cycle and the dump.
            return [(g["name"], g["target_bytes"], g["rule"], re.sub(r"are [\w ]+ old", "are old", g["reason"])) for g in guests]
        self.assertEqual(decided(plan["guests"]), decided(dump["guests"]))
        self.assertEqual([(g["wanted_bytes"], g["least_bytes"], g["most_bytes"], g["send"]) for g in plan["guests"]],
                         [tuple(g["decision"][k] for k in ("wanted_bytes", "least_bytes", "most_bytes", "send"))
                          for g in dump["guests"]])
        for key in ("pressure", "pending_bytes", "shortfall_bytes", "pressure_threshold_bytes", "critical_threshold_bytes"):
            self.assertEqual(plan.get(key), dump["status"]["host"].get(key))
        return plan, dump

    def test_a_dump_decides_as_the_daemon_does(self):
        plan, dump = self.assert_dump_decides_the_same(f"{self.folder}/policy")
        self.assertEqual(len(plan["guests"]), 4)
        self.assertEqual(dump["snapshot"]["mode"], "observe")
        # 6% available, and half of its swap, which is less than the 5% of a host with enough.
        self.assertEqual(plan["pressure"], "severe")

    def test_with_what_a_policy_keeps(self):
        path = self.write("keeps.policy",
                          "state cycles = 0\nstate guest.seen = false\ncycles = min(cycles + 1, 5)\n"
                          "let mean = avg(host.available, 10s) ?? 0B\n"
                          "for g in guests {\n    g.seen = true\n"
                          "    if cycles == 5 and g.seen { g.target = g.current - mean / 16 because \"kept\" }\n}\n")
        self.ctl("--session", "policy", "load", path)
        self.wait_cycles(7)
        plan, dump = self.assert_dump_decides_the_same(path)
        self.assertEqual(dump["snapshot"]["host"]["state"], {"keeps.policy:cycles": 5})
        self.assertEqual(dump["snapshot"]["guests"][0]["state"], {"keeps.policy:seen": True})
        self.assertGreater(len(dump["snapshot"]["host"]["history"]["available_bytes"]), 2)
        self.assertEqual({g["wanted_bytes"] for g in plan["guests"]}, {(2048 - 64) * MIB})
        # Without it, it would have to begin again.
        del dump["snapshot"]["host"]["state"]
        fresh = self.json("policy", "run", path, "--snapshot", self.write("fresh.json", json.dumps(dump)))
        self.assertEqual({g["wanted_bytes"] for g in fresh["guests"]}, {2048 * MIB})
        self.assertEqual(fresh["state"], {"keeps.policy:cycles": 1})

    def test_state_outlives_a_load(self):
        path = self.write("count.policy", "state cycles = 0\ncycles = cycles + 1\n" + GOOD)
        self.ctl("--session", "policy", "load", path)
        self.wait_cycles(5)
        before = self.json("--session", "dump")["snapshot"]["host"]["state"]["count.policy:cycles"]
        self.assertGreaterEqual(before, 5)
        self.ctl("--session", "policy", "load", path)
        self.assertGreaterEqual(self.json("--session", "dump")["snapshot"]["host"]["state"]["count.policy:cycles"], before)

    def test_keys_are_documented(self):
        words = set(re.findall(r"\w+", manual("org.ballast1.5")))
        shown = self.show("--text")
        self.assertLessEqual(set(shown) | set(shown["files"][0]) | {"snapshot", "LoadPolicy", "GetPolicy", "BadPolicy"}, words)

    def test_nothing_there(self):
        self.ctl("policy", "show", want=4)
        self.ctl("policy", "load", self.write("a.policy", GOOD), want=4)


if __name__ == "__main__":
    ctl.BALLASTD, ctl.BALLASTCTL, ctl.SOURCE = map(os.path.abspath, sys.argv[1:4])
    for program in ("dbus-daemon", "dbus-monitor", "busctl"):
        if not shutil.which(program):
            print(f"skipped: there is no {program}")
            sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
