#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ballastctl and D-Bus, with the real ballastd on buses of its own and libvirt's test driver, whose domains run in the
daemon itself: no QEMU, nothing of the machine's own buses.

Usage: test-ctl.py BALLASTD BALLASTCTL SOURCE [unittest options]"""

import fcntl
import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest
import xml.sax.saxutils

import answers

BALLASTD = BALLASTCTL = SOURCE = ""
TABLES = None
MIB = 1 << 20

# Names that shells, terminals and prefix matches may get wrong.
WEB1, WEB2, DB, NASTY = "web1", "web2", "db with spaces", "$(touch pwned)"
UUIDS = {
    WEB1: "6695eb01-f6a4-8304-79aa-97f2502e193f",
    WEB2: "6695eb02-f6a4-8304-79aa-97f2502e193f",
    DB: "aa95eb03-f6a4-8304-79aa-97f2502e193f",
    NASTY: "bb95eb04-f6a4-8304-79aa-97f2502e193f",
}
DOMAIN = """<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>4096</memory>
<currentMemory unit='MiB'>2048</currentMemory><vcpu>1</vcpu><os><type>hvm</type></os>
<devices><memballoon model='virtio'/></devices></domain>"""
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>{type}</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>{policy}</busconfig>"""
# Every user may connect, and call every other.
OPEN = """<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/></policy>"""
# As in Debian's system.conf.
CLOSED = """<policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/>
<allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
<allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/>
<allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
<allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/></policy>"""

# A policy that assigns nothing. One that could not even log would be a warning.
NO_OP = "let nothing = host.total\nif nothing == 0B { log(\"no memory\") }\n"
THRESHOLDS = {"host.pressure_threshold_bytes", "host.critical_threshold_bytes", "host.relax_threshold_bytes"}


def stats_of(whose):
    """The API's names of what a policy sees of the host or of guests."""
    suffix = {"BYTES": "_bytes", "RATE": "_bytes_per_sec", "DURATION": "_usec"}
    with open(f"{SOURCE}/policy/fields.def") as f:
        return {m[1] + suffix.get(m[2], "") for m in re.finditer(rf"^{whose}\(\w+, (\w+), (\w+),", f.read(), re.M)}


CAP_IPC_LOCK = 14  # linux/capability.h
# A limit for hangs: far above what anything here takes on an idle machine.
HANG = 200


def wait_for(what, condition, seconds=HANG):
    """Waits until condition() is true. Returns its last value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def become(uid, gid):
    def change():
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    return change


class Bus:
    def __init__(self, folder, name, policy, type_="session"):
        self.path = f"{folder}/{name}"
        self.address = f"unix:path={self.path}"
        self.config = f"{folder}/{name}.conf"
        self.process = None
        with open(self.config, "w") as f:
            f.write(BUS.format(type=type_, path=self.path, policy=policy))
        self.start()

    def start(self):
        self.process = subprocess.Popen(["dbus-daemon", "--nofork", "--nopidfile", "--nosyslog", "--print-address",
                                         f"--config-file={self.config}"], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        # It prints the address once it listens. The socket's file appears earlier, and refuses connections until then.
        with self.process.stdout as out:
            if not out.readline():
                raise AssertionError(f"dbus-daemon ended with {self.process.wait()}; see {self.config}")

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
            os.unlink(self.path)


class Daemon:
    def __init__(self, folder, name, env, *arguments, user=None):
        self.log_path = f"{folder}/{name}.log"
        # The log is the test's own, opened before the daemon becomes another user.
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen([BALLASTD, *arguments], env=env, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=user)

    def log(self):
        with open(self.log_path) as f:
            return f.read()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(15)


def complete(test, script, function, *words):
    """The completions that bash would offer for the last word."""
    program = (f'source "{SOURCE}/packaging/completion/{script}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
               f'{function}; printf "%s\\n" "${{COMPREPLY[@]}}"')
    r = subprocess.run(["bash", "-uc", program, "bash", *words], env=test.env, cwd=test.folder, capture_output=True, text=True,
                       timeout=HANG)
    test.assertEqual((r.returncode, r.stderr), (0, ""))
    return set(r.stdout.split("\n")) - {""}


class World(unittest.TestCase):
    """A folder with a host's /proc, a libvirt node and a bus; and a daemon if the class wants one."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="ballast-ctl-")
        # Removes the folder once the other end of its input is closed, also when this program is killed.
        sweeper = subprocess.Popen(["sh", "-c", 'cat >/dev/null; rm -rf "$0"', cls.folder], stdin=subprocess.PIPE,
                                   start_new_session=True)
        cls.addClassCleanup(sweeper.communicate)
        os.chmod(cls.folder, 0o755)
        os.mkdir(f"{cls.folder}/proc")
        with open(f"{cls.folder}/proc/meminfo", "w") as f:
            f.write("MemTotal: 16777216 kB\nMemFree: 1048576 kB\nMemAvailable: 8388608 kB\nBuffers: 0 kB\n"
                    "Cached: 1048576 kB\nSwapCached: 0 kB\nSReclaimable: 0 kB\nShmem: 0 kB\nAnonPages: 65536 kB\n"
                    "Dirty: 0 kB\nMlocked: 0 kB\nSwapTotal: 1048576 kB\nSwapFree: 524288 kB\nHugetlb: 0 kB\n")
        with open(f"{cls.folder}/node.xml", "w") as f:
            f.write("<node>" + "".join(DOMAIN.format(name=xml.sax.saxutils.escape(n), uuid=u)
                                       for n, u in UUIDS.items()) + "</node>")
        with open(f"{cls.folder}/policy", "w") as f:
            f.write(NO_OP)
        cls.write_config("[Host]\nReserve=1GiB\n")
        cls.env = {k: v for k, v in os.environ.items()
                   if k not in ("NO_COLOR", "COLUMNS", "TERM", "XDG_RUNTIME_DIR") and not k.startswith("DBUS_")}
        cls.env.update(DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={cls.folder}/none", HOME=cls.folder,
                       DBUS_SESSION_BUS_ADDRESS=f"unix:path={cls.folder}/none", LC_ALL="C",
                       RUNTIME_DIRECTORY=f"{cls.folder}/run")
        # Daemons of several users keep their lock there.
        os.mkdir(f"{cls.folder}/run")
        os.chmod(f"{cls.folder}/run", 0o777)

    @classmethod
    def write_config(cls, text):
        with open(f"{cls.folder}/ballastd.conf", "w") as f:
            f.write(text)

    @classmethod
    def start_bus(cls, *arguments):
        bus = Bus(cls.folder, *arguments)
        cls.addClassCleanup(bus.stop)
        return bus

    @classmethod
    def start_daemon(cls, name, *arguments, user=None):
        daemon = Daemon(cls.folder, name, cls.env, "--connect", f"test://{cls.folder}/node.xml", "--config",
                        f"{cls.folder}/ballastd.conf", "--proc", f"{cls.folder}/proc", "--policy",
                        f"{cls.folder}/policy", *arguments, user=user)
        cls.addClassCleanup(cls.stop_daemon, daemon)
        return daemon

    @classmethod
    def stop_daemon(cls, daemon):
        """A daemon that still runs ends with success; a sanitizer's findings would show here."""
        if daemon.process.poll() is None and daemon.stop() != 0:
            raise AssertionError(f"exit status {daemon.process.returncode}:\n{daemon.log()}")

    @classmethod
    def wait_ready(cls, *arguments):
        """Until all guests are found and decided on, and their balloons known."""
        def ready():
            r = subprocess.run([BALLASTCTL, *arguments, "list", "--json"], env=cls.env, capture_output=True, text=True)
            guests = json.loads(r.stdout) if r.returncode == 0 else []
            return len(guests) == len(UUIDS) and all(g["reason"] != "not decided yet" and not g["busy"] for g in guests)
        wait_for("guests", ready)

    def ctl(self, *arguments, want=0, user=None, env=None, warns=False):
        """Its standard output; standard error is in self.err. warns: it has something there though it succeeds."""
        r = subprocess.run([BALLASTCTL, *arguments], env={**self.env, **(env or {})}, capture_output=True, text=True,
                           timeout=HANG, preexec_fn=user)
        self.out, self.err = r.stdout, r.stderr
        self.assertEqual(r.returncode, want, f"ballastctl {arguments}: {r.stdout}{r.stderr}")
        self.assertEqual((want == 0 or "--json" in arguments) and not warns, r.stderr == "",
                         f"ballastctl {arguments}: {r.stdout}{r.stderr}")
        return r.stdout

    def json(self, *arguments):
        return json.loads(self.ctl(*arguments, "--json"))

    def busctl(self, *arguments, want=0, user=None, address=None):
        r = subprocess.run(["busctl", f"--address={address or self.bus.address}", "--no-pager", *arguments],
                           env=self.env, capture_output=True, text=True, timeout=HANG, preexec_fn=user)
        self.err = r.stderr
        self.assertEqual(r.returncode == 0, want == 0, f"busctl {arguments}: {r.stdout}{r.stderr}")
        return r.stdout

    def assert_documented(self, table, answer):
        """The answer has the keys of that table in ballast-json(5)."""
        self.assertEqual(TABLES.faults(table, answer), [], "packaging/man/ballast-json.5 and this answer differ")


class Session(World):
    """One daemon on a session bus on which every user may talk."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bus = cls.start_bus("bus", OPEN)
        cls.env["DBUS_SESSION_BUS_ADDRESS"] = cls.bus.address
        cls.monitor_log = open(f"{cls.folder}/monitor.log", "w+")
        cls.addClassCleanup(cls.monitor_log.close)
        monitor = subprocess.Popen(["dbus-monitor", "--address", cls.bus.address, "type='signal',path='/org/ballast1'"],
                                   stdout=cls.monitor_log, env=cls.env)
        cls.addClassCleanup(monitor.wait)
        cls.addClassCleanup(monitor.terminate)
        wait_for("monitor", lambda: os.path.getsize(f"{cls.folder}/monitor.log"))
        cls.daemon = cls.start_daemon("daemon", "--session")
        cls.wait_ready("--session")

    def setUp(self):
        self.assertIsNone(self.daemon.process.poll(), self.daemon.log())
        self.ctl("--session", "mode", "observe")

    def seen(self, *texts):
        self.monitor_log.seek(0)
        log = self.monitor_log.read()
        return all(t in log for t in texts)

    def test_status(self):
        s = self.json("--session", "status")
        self.assert_documented("status", s)
        self.assertEqual((s["mode"], s["guests"], s["host"]["pressure"]), ("observe", 4, "none"))
        self.assertEqual(s["host"]["total_bytes"], 16384 * MIB)
        self.assertEqual(s["host"]["reserve_bytes"], 1024 * MIB)
        self.assertEqual(s["host"]["available_bytes"], 7168 * MIB)
        self.assertEqual(s["guests_agent"] + s["guests_libvirt"] + s["guests_none"], 4)
        self.assertIsNone(s["host"]["psi_memory_some"])  # this host has none
        self.assertLessEqual(stats_of("HOST"), set(s["host"]))
        self.assertGreater(s["host"]["uptime_usec"], 0)
        self.assertEqual(s["host"]["swap_used_bytes"], 512 * MIB)
        text = self.ctl("--session", "status")
        for t in ("Mode: observe", "ballastctl mode auto", "16.0 GiB, 7.00 GiB available (43.8%)", "reserve of 1.00 GiB",
                  "swap 1.00 GiB, 512 MiB free", "Guests: 4", f"test://{self.folder}/node.xml, connected",
                  f"Policy: {self.folder}/policy", s["why"]):
            self.assertIn(t, text)

    def test_c4_only_the_policys_own_thresholds_are_shown(self):
        s, text = self.json("--session", "status"), self.ctl("--session", "status")
        self.assertEqual([s["host"][k.split(".")[1]] for k in sorted(THRESHOLDS)], [None] * 3)
        self.assertNotIn("Thresholds", text)
        self.assertRegex(s["why"], r"^host has 43\.8% available; nothing moves: ")
        with open(f"{self.folder}/thresholds.policy", "w") as f:
            f.write("let pressure_threshold = 3GiB\nlet relax_threshold = 4GiB\n" + NO_OP)
        snapshot = f"{self.folder}/snapshot.json"
        with open(snapshot, "w") as f:
            f.write(self.ctl("--session", "dump", "--json"))
        for name, want in (("thresholds.policy", {3072 * MIB, 4096 * MIB}), ("policy", set())):
            plan = self.json("policy", "run", f"{self.folder}/{name}", "--snapshot", snapshot)
            self.assertEqual({v for k, v in plan.items() if k.endswith("_threshold_bytes")}, want)
        try:
            self.ctl("--session", "policy", "load", f"{self.folder}/thresholds.policy")
            wait_for("thresholds", lambda: "above the 25.0% threshold" in self.json("--session", "status")["why"])
            self.assertIn("Thresholds: not short of memory; guests give below 3.00 GiB available, get back above "
                          "4.00 GiB\n", self.ctl("--session", "status"))
        finally:
            self.ctl("--session", "reload")

    def test_list(self):
        guests = self.json("--session", "list")
        self.assertEqual({g["name"]: g["uuid"] for g in guests}, UUIDS)
        self.assert_documented("list", guests)
        for g in guests:
            self.assertIsNotNone(g["current_bytes"])
            self.assertIn(g["lever"], ("none", "balloon"))  # this host's guests have no other
            self.assertEqual(g["full_bytes"], 2048 * MIB)
            self.assertEqual(g["maximum_bytes"], 4096 * MIB)
            self.assertIn(g["source"], ("libvirt", "none"))
            self.assertEqual(g["age_usec"] is None, g["source"] == "none")
        lines = self.ctl("--session", "list").splitlines()
        lever = ["LEVER"] if any(g["lever"] != "none" for g in guests) else []
        self.assertEqual(lines[0].split(), ["NAME", "STATE", "FULL", "CURRENT", "RESIDENT", "AVAIL", *lever, "REASON"])
        names = max(map(len, UUIDS))
        self.assertEqual([l[:names].strip() for l in lines[1:]], sorted(UUIDS))
        at = lines[0].index("FULL") + len("FULL")
        for line in lines[1:]:
            self.assertTrue(line[:at].endswith(" 2.00G"), f"FULL isn't aligned to its right: {line}")
            self.assertTrue(any(line.endswith(" " + g["reason"]) for g in guests), "cut, though it is no terminal")

    def test_stats(self):
        guest = self.json("--session", "stats", WEB1)
        self.assert_documented("stats", guest)
        self.assertLessEqual(set(guest["stats"]), stats_of("GUEST") | {"source", "age_usec"})
        self.assertEqual(guest["definition"]["full_bytes"], 2048 * MIB)
        self.assertEqual(guest["definition"]["full_why"], "currentMemory of its definition")
        self.assertTrue(guest["balloon"]["known"])
        self.assertFalse(guest["channel"]["open"])
        self.assertGreater(guest["times"]["seen_age_usec"], 0)
        for pattern, name in ((WEB1, WEB1), (UUIDS[WEB1], WEB1), (UUIDS[WEB2].upper(), WEB2), ("db", DB), ("aa95", DB),
                              (NASTY, NASTY)):
            self.assertEqual(self.json("--session", "stats", pattern)["name"], name)
        text = self.ctl("--session", "stats", WEB1, "--all")
        for t in ("name", WEB1, "\ndefinition\n", "\nballoon\n", "\ndecision\n", "\nchannel\n", "2.00 GiB"):
            self.assertIn(t, text)

    def test_c9_what_counts_fits_a_screen(self):
        for name in UUIDS:
            lines = self.terminal("--session", "stats", name, "--color=never", width=80).splitlines()
            self.assertLessEqual(len(lines), 24)
            self.assertLessEqual(max(map(len, lines)), 80)
            labels = [line[:10].strip() for line in lines if line[10:11] == ":"]
            self.assertEqual(len(labels), len(set(labels)), "no label twice")
            self.assertEqual(labels[:5], ["Guest", "State", "Reason", "Size", "Full size"])
            self.assertIn(f"{name} ({UUIDS[name]})", lines[0])
        self.assertIn(" Full size: 2.00 GiB: currentMemory of its definition\n", self.ctl("--session", "stats", WEB1))
        self.assertEqual(self.json("--session", "stats", WEB1).keys(),
                         self.json("--session", "stats", WEB1, "--all").keys())

    def test_c16_an_unknown_uptime_is_left_out(self):
        """This host's guests have no agent, which would say when they booted."""
        self.assertNotIn("uptime_usec", self.json("--session", "stats", WEB1)["times"])

    def test_no_such_guest(self):
        for verb in ("stats", "release"):
            for pattern in ("nobody", "x" * 255, "x" * 300, "6695eb01-f6a4-8304-79aa-97f2502e193e"):
                self.ctl("--session", verb, pattern, want=3)
            self.assertIn("6695eb01-f6a4-8304-79aa-97f2502e193e", self.err)
            self.ctl("--session", verb, "web", want=3)
            self.assertRegex(self.err, r"'web' matches 2 guests \(web1, web2\)")
            self.ctl("--session", verb, "6695", want=3)
            self.ctl("--session", verb, "no\033[2Jbody", want=3)
            self.assertIn("no?[2Jbody", self.err)
        self.ctl("--session", "stats", "", want=3)

    def test_mode(self):
        self.assertEqual(self.ctl("--session", "mode"), "observe\n")
        self.assertIn("observe → auto", self.ctl("--session", "mode", "auto"))
        self.assertEqual(self.json("--session", "mode"), {"mode": "auto"})
        self.assertEqual({g["mode"] for g in self.json("--session", "list")}, {"auto"})
        self.assertIn("Mode: auto: moves balloons", self.ctl("--session", "status"))
        self.assertIn("as before", self.ctl("--session", "mode", "auto"))
        answer = self.json("--session", "mode", "observe")
        self.assertEqual((answer["mode"], answer["previous"]), ("observe", "auto"))
        self.assertRegex(answer["message"], "^Mode: auto → observe")
        self.assertEqual(self.busctl("get-property", "org.ballast1", "/org/ballast1", "org.ballast1.Manager", "Mode"),
                         's "observe"\n')
        wait_for("signal", lambda: self.seen("member=PropertiesChanged", 'string "Mode"', 'string "auto"'))
        self.busctl("call", "org.ballast1", "/org/ballast1", "org.ballast1.Manager", "SetMode", "s", "off", want=1)
        self.assertIn("auto or observe", self.err)

    def test_release(self):
        self.assertRegex(self.ctl("--session", "release", WEB1), "^web1 already has its full size, 2.00 GiB")
        self.assertRegex(self.ctl("--session", "release", "--all"), "^4 guests already have their full size")
        self.assertIn("web2", self.json("--session", "release", WEB2)["message"])
        self.assertGreater(self.json("--session", "stats", WEB2)["times"]["released_age_usec"], 0)
        for arguments in (["release"], ["release", WEB1, "--all"], ["release", WEB1, WEB2]):
            self.ctl("--session", *arguments, want=2)

    def test_reload(self):
        self.ctl("--session", "reload")
        try:
            self.write_config("[Host]\nReserve=2GiB\n")
            self.assertIn("message", self.json("--session", "reload"))
            wait_for("new reserve", lambda: self.json("--session", "status")["host"]["reserve_bytes"] == 2048 * MIB)
            self.write_config("\n[Host]\nReserve=many\n")
            self.ctl("--session", "reload", want=1)
            self.assertIn("ballastd refused the reload, and keeps what it runs with:\n", self.err)
            self.assertIn(f"{self.folder}/ballastd.conf:3: Reserve=many is not valid", self.err)
            self.assertIn("ballastd.conf:3", self.daemon.log())
            self.assertEqual(self.json("--session", "dump")["config"]["Host.Reserve"], "2.00 GiB")
        finally:
            self.write_config("[Host]\nReserve=1GiB\n")
            self.ctl("--session", "reload")
            wait_for("old reserve", lambda: self.json("--session", "status")["host"]["reserve_bytes"] == 1024 * MIB)

    def test_dump(self):
        dump = self.json("--session", "dump")
        self.assertEqual(set(dump["status"]) - {"uptime_usec"}, set(self.json("--session", "status")) - {"uptime_usec"})
        self.assertEqual(dump["config"]["Daemon.Mode"], "observe")
        self.assertEqual(dump["config"]["file"], f"{self.folder}/ballastd.conf")
        with open(f"{SOURCE}/host-agent/config/config.def") as f:
            settings = re.findall(r'^SETTING\("(\w+)", "(\w+)"', f.read(), re.M)
        self.assertGreater(len(settings), 10)
        self.assertEqual({f"{s}.{k}" for s, k in settings} | {"file", "guests"}, set(dump["config"]))
        self.assertEqual(dump["config"]["guests"], [])
        self.assertGreater(dump["libvirt"]["calls"], 0)
        self.assertEqual(len(dump["guests"]), 4)
        self.assert_documented("dump", dump)
        text = self.ctl("--session", "dump")
        for t in ("status\n", "config\n", "Guard.Step", f"  {DB}\n", "    definition\n"):
            self.assertIn(t, text)

    def test_version_and_help(self):
        version = self.json("--session", "version")
        self.assertEqual(version["ballastctl"], version["ballastd"])
        self.assertEqual(self.ctl("--version"), f"ballastctl {version['ballastctl']}\n")
        self.assertEqual(self.ctl("--help"), self.ctl("help"))
        for verb in ("status", "list", "stats", "mode", "release", "set", "policy", "reload", "dump", "version", "help"):
            self.assertIn(f"  {verb} ", self.ctl("--help"))
            text = self.ctl(verb, "--help")
            self.assertEqual(text, self.ctl("help", verb))
            self.assertIn(f"  ballastctl {verb}", text.replace("sudo ", ""), "an example")

    def test_usage(self):
        for arguments in ([], ["lst"], ["status", "x"], ["stats"], ["stats", "a", "b"], ["mode", "off"],
                          ["mode", "auto", "x"], ["--nonsense"], ["--color=mauve", "list"], ["status", "--all"],
                          ["help", "x"], ["set"], ["set", WEB1, WEB2], ["set", WEB1, "--min"], ["set", WEB1, "--all"],
                          ["list", "--min", "1GiB"], ["status", "--wide"], ["stats", WEB1, "--watch"], ["release", WEB1, "--clear"], ["mode", "--mode", "auto"]):
            self.ctl("--session", *arguments, want=2)
        self.ctl("lst", want=2)
        self.assertIn("'list'", self.err)

    def error(self, want, *arguments, user=None):
        """The error of a command in JSON. As text it has the same exit status, and says the same."""
        answer = json.loads(self.ctl("--json", *arguments, want=want, user=user))
        self.assertEqual(list(answer), ["error"])
        error = answer["error"]
        self.assertEqual(list(error), ["code", "message", "hint"])
        self.assertEqual(self.ctl(*arguments, want=want, user=user), "", "only on standard error")
        self.assertIn(error["message"], self.err)
        self.assertIn(error["hint"] or "", self.err)
        return error

    def test_c10d_errors_have_codes_and_one_exit_status_each(self):
        def write(name, text):
            with open(f"{self.folder}/{name}", "w") as f:
                f.write(text)
            return f"{self.folder}/{name}"
        good, bad, broken = write("good.policy", NO_OP), write("bad.policy", "let x =\n"), write("s.json", "{")
        cases = {
            "usage": ([], ["stats"], ["stats", "a", "b"], ["status", "--all"], ["set", WEB1, "--min"],
                      ["list", "--session=5"], ["release"], ["release", WEB1, "--all"], ["policy"], ["policy", "load"],
                      ["policy", "run", good], ["policy", "check", "--together", *[good] * 17]),
            "unknown-command": (["lst"], ["policy", "chek"], ["help", "x"], ["help", "list", "x"]),
            "unknown-option": (["list", "--nonsense"], ["-x", "list"], ["list", "--s"]),
            "bad-value": (["mode", "off"], ["list", "--color=mauve"], ["list", "--columns=x"], ["list", "--sort="], ["set", WEB1, "--min", "potato"],
                          ["set", WEB1, "--shares", "0"], ["set", WEB1, "--mode", "of"]),
            "no-such-guest": [[verb, name] for verb in ("stats", "release", "set") for name in ("nobody", "")]
                             + [["set", "nobody", "--min", "1GiB"], ["list", "nobody"], ["list", "web*", ""]],
            "ambiguous": [[verb, "web"] for verb in ("stats", "release", "set")],
            "no-such-field": (["policy", "fields", "availble"], ["policy", "fields", "free", "zzz"]),
            "bad-policy": [["policy", "load", path] for path in (bad, "nowhere.policy")]
                          + [["policy", "run", path, "--snapshot", broken] for path in (bad, "nowhere.policy")],
            "bad-snapshot": [["policy", "run", good, "--snapshot", path] for path in (broken, "nowhere.json")],
            "bad-files": (["reload"],),
            "refused": (["set", WEB1, "--min", "3GiB", "--full", "1GiB"],),
        }
        self.addCleanup(self.ctl, "--session", "reload")
        self.addCleanup(self.write_config, "[Host]\nReserve=1GiB\n")
        self.write_config("[Host]\nReserve=1\n")
        with open(f"{SOURCE}/packaging/man/ballastctl.1") as f:
            table = f.read().split(".Sh EXIT STATUS")[1].split(".Sh")[0]
        documented = {code: int(n) for n, text in re.findall(r"(?s)\.It (\d)\n(.*?)(?=\.It \d|$)", table)
                      for code in re.findall(r"^\.It Li ([a-z-]+)$", text, re.M)}
        with open(f"{SOURCE}/host-agent/ctl/client.c") as f:
            codes = re.findall(r'\[CLIENT_ERROR_\w+\] = \{"([a-z-]+)"', f.read())
        self.assertEqual(set(documented), set(codes), "ballastctl(1), EXIT STATUS, and client.c")
        # Others provoke them: ShutOff, Silent and BusRefuses.
        self.assertEqual(set(codes) - set(cases), {"shut-off", "failed", "denied", "unreachable", "no-answer"})
        for code, commands in cases.items():
            for arguments in commands:
                with self.subTest(arguments=arguments):
                    self.assertEqual(self.error(documented[code], "--session", *arguments)["code"], code)
        for arguments in (["status"], ["list"], ["stats", WEB1], ["mode"], ["mode", "auto"], ["release", WEB1],
                          ["set", WEB1], ["set", WEB1, "--min", "1GiB"], ["reload"], ["dump"], ["policy", "show"],
                          ["policy", "load", good]):
            with self.subTest(arguments=arguments):
                self.assertEqual(self.error(documented["unreachable"], *arguments)["code"], "unreachable")
        if os.getuid() == 0:
            self.assertEqual(self.error(documented["denied"], "--session", "reload", user=become(65534, 65534))["code"],
                             "denied")

    def test_c10d_json_counts_wherever_it_stands(self):
        for arguments in (["--nonsense", "--json", "list"], ["--json", "--nonsense", "list"], ["list", "--nonsense", "-j"]):
            r = subprocess.run([BALLASTCTL, *arguments], env=self.env, capture_output=True, text=True, timeout=HANG)
            self.assertEqual((r.returncode, r.stderr, json.loads(r.stdout)["error"]["code"]), (2, "", "unknown-option"))
        r = subprocess.run([BALLASTCTL, b"\xff\x1b[2J", "--json"], env=self.env, capture_output=True, timeout=HANG)
        self.assertEqual(json.loads(r.stdout)["error"]["message"], "unknown command '?\033[2J'")

    def test_c13_unknown_options(self):
        for arguments, want in (
                (["--nonsense"], "unknown option '--nonsense'; ballastctl --help lists the options"),
                (["stats", WEB1, "--nonsense=5"],
                 "unknown option '--nonsense=5'; ballastctl stats --help lists the options"),
                (["policy", "run", "--nonsense"],
                 "unknown option '--nonsense'; ballastctl policy run --help lists the options"),
                (["list", "--jsno"], "unknown option '--jsno'; did you mean '--json'?"),
                (["policy", "run", "x", "--snapshoot=y"], "unknown option '--snapshoot=y'; did you mean '--snapshot'?"),
                (["list", "-x"], "unknown option '-x'; ballastctl list --help lists the options"),
                (["list", "--se", "--s"], "option '--s' can mean several: write it in full"),
                (["set", WEB1, "--min"], "option '--min' needs a value"),
                (["list", "--json=5"], "option '--json' takes no value")):
            self.ctl(*arguments, want=2)
            self.assertEqual(self.err, f"ballastctl: {want}\n")

    def test_c13_help_is_80_columns_wide(self):
        verbs = re.findall(r"^  ([a-z]+) ", self.ctl("--help").split("Options:")[0], re.M)
        policy = re.findall(r"^  ([a-z]+) ", self.ctl("policy", "--help").split("Commands:")[1].split("\n\n")[0], re.M)
        self.assertEqual((len(verbs), len(policy)), (11, 5))
        for command in ([], *[[v] for v in verbs], *[["policy", v] for v in policy]):
            for line in self.ctl(*command, "--help").splitlines():
                self.assertLessEqual(len(line), 80, f"{command}: {line}")
        narrow = self.terminal("stats", "--help", width=50).splitlines()
        self.assertLessEqual(max(map(len, narrow)), 50)
        self.assertEqual(" ".join(" ".join(narrow).split()), " ".join(self.ctl("stats", "--help").split()))

    def test_c13_errors_and_status_wrap_on_a_terminal(self):
        lines = self.terminal("--session", "status", "--color=never", width=60).splitlines()
        self.assertLessEqual(max(len(line) for line in lines if " /" not in line), 60)
        self.assertGreater(len(lines), len(self.ctl("--session", "status").splitlines()))

    def terminal(self, *arguments, width=120, **env):
        """What ballastctl prints on a terminal."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        p = subprocess.Popen([BALLASTCTL, *arguments], stdout=slave, env={**self.env, "TERM": "xterm", **env})
        os.close(slave)
        out = b""
        while select.select([master], [], [], 20)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:
                break  # the other side is closed
            out += data
        os.close(master)
        self.assertEqual(p.wait(20), 0)
        return out.decode().replace("\r\n", "\n")

    def test_colours(self):
        for verb in (["status"], ["list"], ["stats", WEB1], ["dump"]):
            self.assertNotIn("\033", self.ctl("--session", *verb))
            self.assertNotIn("\033", self.ctl("--session", *verb, "--json", "--color=always"))
            self.assertIn("\033[1m", self.ctl("--session", *verb, "--color=always"))
            self.assertIn("\033[1m", self.terminal("--session", *verb))
            self.assertNotIn("\033", self.terminal("--session", *verb, NO_COLOR="1"))
            self.assertNotIn("\033", self.terminal("--session", *verb, TERM="dumb"))
            self.assertNotIn("\033", self.terminal("--session", *verb, "--no-colour"))

    def test_c3_list_fits_the_terminal(self):
        whole = self.ctl("--session", "list").splitlines()
        for width in (400, 120, 80):
            lines = self.terminal("--session", "list", "--color=never", width=width).splitlines()
            self.assertEqual(len(lines), len(whole))
            for line, text in zip(lines, whole):
                self.assertLessEqual(len(line), width)
                self.assertTrue(line == text or line.endswith("…") and text.startswith(line[:-1] + " "), line)
        self.assertGreater(max(map(len, whole)), 80, "there is something to cut")
        wide = self.terminal("--session", "list", "--wide", "--color=never", width=80)
        self.assertNotIn("…", wide)

    def titles(self):
        """All columns, as the error for an unknown one lists them."""
        self.ctl("--session", "list", "--columns=zzz", want=2)
        return self.err.split("it has ")[1].split(", ")

    def test_c3_columns(self):
        titles = [t.strip() for t in self.titles()]
        self.assertGreater(len(titles), 30)
        self.assertEqual(self.ctl("--session", "list", "--wide").splitlines()[0].split(), titles)
        for title in titles:
            self.assertEqual(self.ctl("--session", "list", "--columns", title.lower()).splitlines()[0].strip(), title)
        text = self.ctl("--session", "list", "--columns=uuid,Name,FULL", "--sort=-name", WEB1, WEB2)
        self.assertEqual(text, f"{'UUID':36} NAME  FULL\n{UUIDS[WEB2]} web2 2.00G\n{UUIDS[WEB1]} web1 2.00G\n")
        self.assertEqual(self.ctl("--session", "list", "--columns=name", "--no-legend", "web*"), "web1\nweb2\n")
        for arguments, why in ((["--columns=residnt"], "no column 'residnt'; it has NAME, STATE, "),
                               (["--columns=residnt"], "REASON; did you mean RESIDENT?"),
                               (["--columns="], "no column ''"), (["--columns=name,"], "no column ''"),
                               (["--columns=name,full,NAME"], "--columns has NAME twice"),
                               (["--sort=full,name"], "no column 'full,name'"), (["--sort=--name"], "no column '-name'"),
                               (["--columns=a\033[2J"], "no column 'a?[2J'")):
            self.ctl("--session", "list", *arguments, want=2)
            self.assertIn(why, " ".join(self.err.split()))
        for path in ("man/ballastctl.1", "completion/ballastctl.bash", "completion/_ballastctl"):
            with open(f"{SOURCE}/packaging/{path}") as f:
                text = f.read()
            for title in titles:
                self.assertRegex(text, rf"(?<![\w-]){title}(?![\w-])", path)

    def test_c3_list_chooses_and_sorts(self):
        def names(*arguments):
            return [g["name"] for g in self.json("--session", "list", *arguments)]
        self.assertEqual(names(), sorted(UUIDS))
        self.assertEqual(names("--sort=-NAME"), sorted(UUIDS, reverse=True))
        self.assertEqual(names("--sort=uuid"), sorted(UUIDS, key=UUIDS.get))
        self.assertEqual(names("web*", "*spaces"), [DB, WEB1, WEB2])
        self.assertEqual(names(UUIDS[DB].upper(), "$(*"), [NASTY, DB])
        for patterns, wrong in ((["web"], "web"), (["web*", "mail?"], "mail?"), ([UUIDS[DB][:8]], UUIDS[DB][:8])):
            self.assertEqual(self.ctl("--session", "list", *patterns, want=3), "")
            self.assertIn(f"no running guest matches '{wrong}'", self.err)

    def watch(self, *arguments, stdout=subprocess.PIPE, **env):
        p = subprocess.Popen([BALLASTCTL, "--session", "list", *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True,
                             env={**self.env, **env})
        self.addCleanup(p.communicate)
        self.addCleanup(p.kill)
        return p

    def interrupt(self, p):
        p.send_signal(signal.SIGINT)
        self.assertEqual((p.wait(HANG), p.stderr.read()), (0, ""))

    def test_c3_watch_prints_again(self):
        p = self.watch("--watch=0.1", "--columns=name", "web*")
        for _ in range(3):
            self.assertEqual([p.stdout.readline() for _ in range(4)], ["NAME\n", "web1\n", "web2\n", "\n"])
        self.interrupt(p)
        p = self.watch("--watch=100ms", "--json", "--sort=-name")
        for _ in range(3):
            self.assertEqual([g["name"] for g in json.loads(p.stdout.readline())], sorted(UUIDS, reverse=True))
        self.interrupt(p)
        for value in ("0", "0.05", "3601", "-1", "x", "", "infinity"):
            self.ctl("--session", "list", f"--watch={value}", want=2)
            self.assertIn("--watch takes a number of seconds from 0.1 to 3600", self.err)
        self.ctl("--session", "list", "--watch", "nobody", want=3)
        with open("/dev/full", "w") as full:
            p = self.watch("--watch=0.1", stdout=full)
            self.assertEqual(p.wait(HANG), 1)
            self.assertIn("cannot write", p.stderr.read())

    def test_c3_watch_on_a_terminal(self):
        for height, cut in ((24, False), (5, True)):
            master, slave = pty.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, 80, 0, 0))
            p = self.watch("--watch=0.1", "--color=never", stdout=slave, TERM="xterm")
            os.close(slave)
            with open(master, "rb", buffering=0) as terminal:
                out = b""
                while out.count(b"\033[H\033[2J") < 3:
                    out += terminal.read(65536)
                self.interrupt(p)
            screens = out.decode().replace("\r\n", "\n").split("\033[H\033[2J")
            self.assertEqual(screens[0], "")
            for screen in screens[1:-1]:
                lines = screen.split("\n")
                self.assertRegex(lines[0], rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d  {re.escape(os.uname().nodename)}  every 100ms")
                self.assertLessEqual(len(lines), height, "the first line would leave the screen")
                self.assertLessEqual(max(map(len, lines)), 80)
                self.assertEqual(lines[1].split()[:2], ["NAME", "STATE"])
                self.assertEqual(lines[-2].startswith("… and 3 more"), cut, screen)
                self.assertEqual(len(lines), 5 if cut else 3 + len(UUIDS))

    def test_writing_fails(self):
        with open("/dev/full", "w") as full:
            r = subprocess.run([BALLASTCTL, "--session", "dump"], env=self.env, stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(r.returncode, 1)
        self.assertIn(b"cannot write", r.stderr)

    def test_objects(self):
        tree = self.busctl("tree", "--list", "org.ballast1").split()
        paths = {name: "/org/ballast1/guest/" + uuid.replace("-", "_") for name, uuid in UUIDS.items()}
        self.assertLessEqual({"/org/ballast1", *paths.values()}, set(tree))
        manager = self.busctl("introspect", "org.ballast1", "/org/ballast1", "org.ballast1.Manager")
        for member in ("GetStatus", "ListGuests", "GetGuest", "SetMode", "Release", "Reload", "Dump", "Mode", "Version",
                       "GuestAdded", "GuestRemoved"):
            self.assertRegex(manager, rf"(?m)^\.{member} ")
        guest = self.busctl("introspect", "org.ballast1", paths[DB], "org.ballast1.Guest")
        self.assertRegex(guest, rf'\.Name +property +s +"{DB}"')
        self.assertRegex(guest, rf'\.Uuid +property +s +"{UUIDS[DB]}"')
        self.assertRegex(guest, r'\.Mode +property +s +"observe"')
        self.assertIn(f'"name" s "{DB}"', self.busctl("call", "org.ballast1", paths[DB], "org.ballast1.Guest", "GetStats"))
        self.assertIn("full size", self.busctl("call", "org.ballast1", paths[DB], "org.ballast1.Guest", "Release"))
        for path in ("/org/ballast1/guest", "/org/ballast1/guest/x", paths[DB][:-1], paths[DB] + "0", paths[DB] + "/x",
                     "/org/ballast1/guest/" + "_" * 36):
            self.busctl("call", "org.ballast1", path, "org.ballast1.Guest", "GetStats", want=1)
        self.assertTrue(self.seen("member=GuestAdded", f'object path "{paths[WEB1]}"', f'string "{WEB1}"'))

    def test_bad_calls(self):
        call = ["call", "org.ballast1", "/org/ballast1", "org.ballast1.Manager"]
        self.busctl(*call, "GetGuest", "s", "x" * 100000, want=1)
        self.busctl(*call, "GetGuest", want=1)
        self.busctl(*call, "GetGuest", "u", "1", want=1)
        self.busctl(*call, "Nothing", want=1)
        self.busctl("set-property", "org.ballast1", "/org/ballast1", "org.ballast1.Manager", "Mode", "s", "auto", want=1)
        self.assertEqual(self.ctl("--session", "mode"), "observe\n")

    @unittest.skipIf(os.getuid() != 0, "becoming another user needs root")
    def test_others_may_read_and_change_nothing(self):
        nobody = become(65534, 65534)
        self.assertEqual(len(json.loads(self.ctl("--session", "list", "--json", user=nobody))), 4)
        for verb in (["status"], ["stats", WEB1], ["dump"], ["mode"]):
            self.ctl("--session", *verb, user=nobody)
        for verb in (["mode", "auto"], ["release", WEB1], ["release", "--all"], ["reload"]):
            self.ctl("--session", *verb, user=nobody, want=1)
            self.assertIn("Only root and the user that ballastd runs as", self.err)
        path = "/org/ballast1/guest/" + UUIDS[WEB1].replace("-", "_")
        self.busctl("call", "org.ballast1", path, "org.ballast1.Guest", "Release", user=nobody, want=1)
        self.assertEqual(self.ctl("--session", "mode"), "observe\n")

    def asked(self, what, by=r"root|user \d+"):
        """The log says once more who asked for what."""
        return len(re.findall(rf"(?m)^{what}(: asked by|, asked by) ({by}) \(process \d+", self.daemon.log()))

    def test_c2_who_changed_what(self):
        path = f"{self.folder}/other.policy"
        with open(path, "w") as f:
            f.write(NO_OP)
        for arguments, what in ((["mode", "auto"], "mode observe → auto"),
                                (["mode", "observe"], "mode auto → observe"),
                                (["release", WEB1], r"web1: release 2\.00 GiB → 2\.00 GiB"),
                                (["release", "--all"], "release of all → 4 guests, 0 B more"),
                                (["set", WEB2, "--min", "1GiB", "--shares", "50"], r"web2: min default → 1\.00 GiB"),
                                (["set", WEB1, "--clear"], "web1: entitlement as before, written again"),
                                (["policy", "load", path], "policy .* → other.policy"),
                                (["reload"], "reload: policy other.policy → .*")):
            before = self.asked(what)
            self.ctl("--session", *arguments)
            wait_for(what, lambda: self.asked(what) == before + 1)
        before = self.daemon.log().count("reload: policy")
        self.daemon.process.send_signal(signal.SIGHUP)
        wait_for("SIGHUP is logged", lambda: self.daemon.log().count("reload: policy") > before)
        self.assertIn(f"asked by {'root' if os.getuid() == 0 else f'user {os.getuid()}'} (process {os.getpid()}", self.daemon.log())

    @unittest.skipIf(os.getuid() != 0, "becoming another user needs root")
    def test_c2_who_was_refused(self):
        for _ in range(10):
            self.ctl("--session", "mode", "auto", user=become(1, 1), want=1)
        self.assertEqual(self.asked("SetMode refused", by="user 1"), 5, "the rest is only counted")

    def test_second_daemon_refuses(self):
        second = self.start_daemon("second", "--session")
        self.assertNotEqual(second.process.wait(20), 0)
        self.assertIn("Another ballastd has the name org.ballast1", second.log())
        self.ctl("--session", "status")

    def test_completion(self):
        def ctl(*words):
            return complete(self, "ballastctl.bash", "_ballastctl", BALLASTCTL, *words)
        self.assertEqual(ctl("st"), {"status", "stats"})
        self.assertEqual(ctl("--session", "re"), {"release", "reload"})
        self.assertEqual(ctl("mode", ""), {"auto", "observe"})
        self.assertEqual(ctl("help", "d"), {"dump"})
        self.assertEqual(ctl("--session", "stats", "web"), {WEB1, WEB2})
        self.assertEqual(ctl("--session", "release", "db"), {"db\\ with\\ spaces"})
        self.assertEqual(ctl("--session", "set", "web"), {WEB1, WEB2})
        self.assertEqual(ctl("--session", "set", "--min", "1GiB", "db"), {"db\\ with\\ spaces"})
        self.assertEqual(ctl("--session", "set", "--min", "=", "status", "web"), {WEB1, WEB2})
        self.assertEqual(ctl("set", WEB1, "--m"), {"--min=", "--max=", "--mode="})
        self.assertEqual(ctl("stats", WEB1, "--m"), set(), "options of another command")
        self.assertEqual(ctl("set", WEB1, "--mode", "o"), {"observe", "off"})
        self.assertEqual(ctl("set", WEB1, "--mode", "=", ""), {"auto", "observe", "off", "default"})
        self.assertEqual(ctl("set", WEB1, "--mode="), {"auto", "observe", "off", "default"})
        self.assertEqual(ctl("set", WEB1, "--shares", ""), {"default"})
        self.assertEqual(ctl("release", "--a"), {"--all"})
        self.assertEqual(ctl("--session", "list", "db1", "--wide", "web"), {WEB1, WEB2})
        self.assertEqual(ctl("list", "--w"), {"--wide", "--watch"})
        self.assertEqual(ctl("list", "--columns", "=", "NAME,RES"), {"NAME,RESIDENT"})
        self.assertEqual(ctl("list", "--sort=-LEVER"), {"-LEVER", "-LEVER-AGE"})
        self.assertEqual(len(ctl("--session", "stats", "")), 4)
        self.assertFalse(os.path.exists(f"{self.folder}/pwned"), "a guest's name was run")
        self.assertEqual(ctl("stats", ""), set(), "no daemon on the system bus")
        self.assertEqual(ctl("--color", "=", "al"), {"always"})
        self.assertEqual(ctl("status", "x", ""), set())
        self.assertEqual(complete(self, "ballastd.bash", "_ballastd", "ballastd", "--mode", "a"), {"auto"})
        self.assertEqual(complete(self, "ballast-guestd.bash", "_ballast_guestd", "ballast-guestd", "--on"), {"--once"})

    def test_completion_and_manual_know_all(self):
        """The options and commands in --help are in the completions and the manual, too."""
        def read(path):
            with open(f"{SOURCE}/packaging/{path}") as f:
                return f.read().replace("\\-", "-").replace("Fl -", "--")
        usage = self.ctl("--help")
        verbs = re.findall(r"^  ([a-z]+) ", usage.split("Options:")[0], re.M)
        options = set(re.findall(r"(--[a-z-]+)", usage.split("Examples:")[0]))
        self.assertEqual(len(verbs), 11)
        for path in ("completion/ballastctl.bash", "completion/_ballastctl", "man/ballastctl.1"):
            text = read(path)
            for word in [*verbs, *options]:
                self.assertIn(word, text, path)
        daemon = subprocess.run([BALLASTD, "--help"], capture_output=True, text=True, check=True).stdout
        options = set(re.findall(r"^ .*?(--[a-z-]+)", daemon.split("Examples:")[0], re.M))
        self.assertGreater(len(options), 5)
        for path in ("completion/ballastd.bash", "completion/_ballastd", "man/ballastd.8"):
            for option in options:
                self.assertIn(option, read(path), path)

    @unittest.skipUnless(shutil.which("zsh"), "zsh isn't installed")
    def test_zsh_completion_parses(self):
        for name in ("_ballastctl", "_ballastd"):
            subprocess.run(["zsh", "-n", f"{SOURCE}/packaging/completion/{name}"], check=True)

    def test_rules_are_documented(self):
        with open(f"{SOURCE}/host-agent/decide/guard.c") as f:
            rules = re.findall(r'\[GUARD_RULE_\w+\] = (?:\{)?"([a-z-]+)"', f.read())
        self.assertGreater(len(rules), 15)
        with open(f"{SOURCE}/packaging/man/ballastd.8") as f:
            listed = set(re.findall(r"[a-z-]+", " ".join(re.findall(r"(?m)^\.It ([a-z-]+(?: , [a-z-]+)*)$", f.read()))))
        self.assertLessEqual(set(rules) - {"none"}, listed)

    def test_keys_are_documented(self):
        """A key is explained in org.ballast1(5), or in its row in ballast-json(5)."""
        with open(f"{SOURCE}/packaging/man/org.ballast1.5") as f:
            words = set(re.findall(r"\w+", f.read()))
        for table in ("status", "list", "stats", "lever", "mode", "release", "set", "entitlement", "reload", "dump", "policy show"):
            for path, _, meaning in TABLES.rows[table]:
                for key in re.findall(r"\w+", path.split(".")[-1]):
                    self.assertTrue(meaning or {key, key.removesuffix("_usec")} & words, f"{table}: {path}")

    def test_c10a_answers_are_as_documented(self):
        def write(name, text):
            with open(f"{self.folder}/{name}", "w") as f:
                f.write(text)
            return f"{self.folder}/{name}"
        path, bad = write("answers.policy", "# nothing\n"), write("answers-bad.policy", "let x = \n")
        state = write("answers-state.policy", "state runs = 0\nlet pressure_threshold = 12GiB\nruns = runs + 1\nhost.ksm_sleep = 20ms\n"
                      "for g in guests { g.target = g.full - 64MiB; log(\"less\"); g.reclaim = g.fragmented }\n")
        snapshot = write("answers.json", self.ctl("--session", "dump", "--json"))
        used = set()
        for table, arguments in (
                ("status", ["status"]), ("list", ["list"]), ("list", ["list", "--all"]), ("stats", ["stats", WEB1]),
                ("mode", ["mode"]), ("mode", ["mode", "auto"]), ("mode", ["mode", "observe"]), ("release", ["release", WEB1]),
                ("release", ["release", "--all"]), ("set", ["set", WEB1, "--min", "1GiB", "--shares=5", "--mode=auto"]),
                ("set", ["set", WEB1, "--clear"]), ("entitlement", ["set", WEB1]), ("reload", ["reload"]), ("dump", ["dump"]),
                ("version", ["version"]), ("policy check", ["policy", "check", path, state]),
                ("policy check", ["policy", "check", path, state, "--together"]), ("policy fields", ["policy", "fields"]),
                ("policy show", ["policy", "show"]), ("policy show", ["policy", "show", "--text"]),
                ("policy load", ["policy", "load", state]), ("status", ["status"]), ("policy show", ["policy", "show"]),
                ("policy run", ["policy", "run", path, "--snapshot", snapshot]),
                ("policy run", ["policy", "run", state, "--snapshot", snapshot])):
            with self.subTest(arguments=arguments):
                used.add(table)
                self.ctl("--session", *arguments, "--json", warns=path in arguments and arguments[1] != "check")
                answer = json.loads(self.out)
                self.assert_documented(table, answer)
        self.ctl("--session", "reload")
        answer = json.loads(self.ctl("policy", "check", bad, "nowhere", "--json", want=1))
        self.assert_documented("policy check", answer)
        self.assertEqual(len(answer[0]["diagnostics"]), 1)
        used |= {"diagnostic", "lever"}  # parts of others
        self.assert_documented("error", {"error": self.error(3, "--session", "stats", "nobody")})
        self.assertEqual(used | {"error"}, set(TABLES.rows))

    def test_c10a_actions_say_what_they_did(self):
        answer = self.json("--session", "release", WEB1)
        self.assertEqual(answer["released"], [{"name": WEB1, "uuid": UUIDS[WEB1], "before_bytes": 2048 * MIB,
                                               "target_bytes": 2048 * MIB, "full_bytes": 2048 * MIB}])
        self.assertEqual((answer["refused"], answer["message"].split(",")[0]), ([], "web1 already has its full size"))
        self.assertEqual({g["name"] for g in self.json("--session", "release", "--all")["released"]}, set(UUIDS))
        answer = self.json("--session", "set", WEB2, "--min", "1GiB", "--mode", "auto")
        self.assertEqual((answer["name"], answer["uuid"], answer["shut_off"], answer["persistent"]),
                         (WEB2, UUIDS[WEB2], False, True))
        # On the test driver a value may stay from another test, on the connection that wrote it.
        self.assertEqual(answer["changed"]["min_bytes"]["new"], 1024 * MIB)
        self.assertEqual(len(answer["warnings"]), 1)
        self.assertRegex(answer["warnings"][0], "^ballastd itself is in mode observe, so nothing moves")
        self.assertIn(answer["warnings"][0], answer["message"])
        self.ctl("--session", "set", WEB2, "--clear")


class ShutOff(World):
    """Domains that are defined and don't run. (What the test driver writes is seen only on the connection that wrote it: with
    a real libvirtd, test-set.py looks at it.)"""
    OFF = {"web": "cc95eb05-f6a4-8304-79aa-97f2502e193f", "mail1": "cc95eb06-f6a4-8304-79aa-97f2502e193f",
           "mail2": "cc95eb07-f6a4-8304-79aa-97f2502e193f"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        off = DOMAIN.replace("<domain type='test'>", "<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/"
                             "test/1.0'><metadata><b:guest xmlns:b='urn:ballast:guest:1' shares='700'/></metadata>")
        off = off.replace("</domain>", "<test:runstate>5</test:runstate></domain>")
        with open(f"{cls.folder}/node.xml", "w") as f:
            f.write("<node>" + "".join(DOMAIN.format(name=xml.sax.saxutils.escape(n), uuid=u) for n, u in UUIDS.items())
                    + "".join(off.format(name=n, uuid=u) for n, u in cls.OFF.items()) + "</node>")
        cls.write_config("[Guest mail*]\nMin=512MiB\n")
        cls.bus = cls.start_bus("off", OPEN)
        cls.env["DBUS_SESSION_BUS_ADDRESS"] = cls.bus.address
        cls.daemon = cls.start_daemon("off-daemon", "--session", "--mode", "auto")
        cls.wait_ready("--session")

    def test_c11_list_all(self):
        self.assertEqual({g["name"] for g in self.json("--session", "list")}, set(UUIDS))
        rows = self.json("--session", "list", "--all", "--sort=state")
        self.assert_documented("list", rows)
        self.assertEqual({g["name"] for g in rows if g["shut_off"]}, set(self.OFF))
        self.assertEqual([g["shut_off"] for g in rows], [False] * 4 + [True] * 3, "they come last")
        mail = next(g for g in rows if g["name"] == "mail1")
        self.assertEqual({k: v for k, v in mail.items() if v is not None},
                         {"name": "mail1", "uuid": self.OFF["mail1"], "shut_off": True, "mode": "auto",
                          "maximum_bytes": 4096 * MIB, "full_bytes": 2048 * MIB, "floor_bytes": 512 * MIB})
        text = self.ctl("--session", "list", "--all", "--columns=name,state,full,current,floor", "mail*")
        self.assertEqual(text.splitlines()[1].split(), ["mail1", "shut", "off", "2.00G", "-", "512M"])
        self.assertEqual(self.ctl("--session", "list", "mail*", want=3), "")
        self.assertIn("ballastctl list --all shows all", " ".join(self.err.split()))
        self.ctl("--session", "list", "--all", "nobody", want=3)
        self.assertIn("no guest, running or shut off, matches 'nobody'", self.err)

    def test_c11_what_is_set(self):
        e = self.json("--session", "set", "mail1")
        self.assert_documented("entitlement", e)
        self.assertEqual((e["name"], e["shut_off"], e["shares_set"], e["shares_origin"], e["min_set_bytes"], e["min_origin"]),
                         ("mail1", True, 700, "domain", 512 * MIB, "configuration"))
        self.assertIn("State: shut off; these values come into force when it starts", self.ctl("--session", "set", "mail1"))

    def test_c11_set(self):
        self.assertEqual(self.ctl("--session", "set", "mail2", "--min", "1GiB", "--full", "3GiB"),
                         "mail2: min default → 1.00 GiB, full default → 3.00 GiB; in its definition; it is shut off, and this "
                         "comes into force when it starts\n")
        answer = self.json("--session", "set", self.OFF["mail2"].upper(), "--shares", "800")
        self.assert_documented("set", answer)
        self.assertEqual((answer["name"], answer["shut_off"], answer["changed"]),
                         ("mail2", True, {"shares": {"old": 700, "new": 800}}))
        self.assertRegex(self.daemon.log(), "mail2: shares 700 → 800, asked by ")

    def test_c11_set_is_checked_against_the_definition(self):
        for why, arguments in (
                ("mail1: min=3.00 GiB is more than its full size, 2.00 GiB (the definition's currentMemory); also give --full, "
                 "at most 4.00 GiB. Nothing was changed", ["--min", "3GiB"]),
                ("mail1: max=5GiB is more than the domain's maximum memory, 4GiB. Nothing was changed", ["--max", "5GiB"])):
            self.ctl("--session", "set", "mail1", *arguments, want=1)
            self.assertEqual(self.err, f"ballastctl: {why}\n")
        self.ctl("--session", "set", "mail1", "--min", "potato", want=2)
        self.assertIn("min=potato is not valid", self.err)

    def test_c11_a_whole_name_counts_before_the_beginning_of_another(self):
        """web is shut off, and web1 runs: what is for the one must not reach the other."""
        self.assertRegex(self.ctl("--session", "set", "web", "--shares", "5"), "^web: shares 700 → 5; in its definition; ")
        self.assertEqual(self.json("--session", "set", WEB1)["shares"], 1000)
        self.ctl("--session", "release", "web", want=1)
        self.assertEqual(self.err, "ballastctl: web is shut off, so it has no balloon; it gets its full size when it starts\n")
        self.ctl("--session", "stats", "web", want=1)
        self.assertEqual(self.err, "ballastctl: web is shut off, so it has no stats; ballastctl set 'web' shows what it is "
                                   "granted, and virsh start 'web' starts it\n")
        for verb in ("stats", "release"):
            self.assertEqual(json.loads(self.ctl("--session", verb, "web", "--json", want=1))["error"]["code"], "shut-off")
        self.assertEqual(self.json("--session", "stats", "db")["name"], DB, "the beginning of a running one's")
        self.assertEqual(self.json("--session", "stats", "web1")["name"], WEB1)

    def test_c11_unknown_and_ambiguous_names(self):
        for verb in ("stats", "release", "set"):
            self.ctl("--session", verb, "mial1", want=3)
            self.assertEqual(" ".join(self.err.split()), "ballastctl: No guest, running or shut off, has the name, UUID or prefix "
                                                         "'mial1'; did you mean 'mail1'?")
            self.ctl("--session", verb, "nobody", want=3)
            self.assertIn("ballastctl list --all shows all", " ".join(self.err.split()))
            self.ctl("--session", verb, "mail", want=3)
            self.assertRegex(self.err, r"'mail' matches 2 domains that are shut off \(mail[12], mail[12]\); give the whole name")

    def test_c11_bus(self):
        call = ["call", "org.ballast1", "/org/ballast1", "org.ballast1.Manager"]
        self.assertIn('"guests_left_out" t 0', self.busctl(*call, "ListDomains"))
        self.assertIn('"shut_off" b true', self.busctl(*call, "GetGuest", "s", "mail1"))
        self.busctl(*call, "Release", "s", "mail1", want=1)
        self.assertIn("mail1 is shut off", self.err)

    def test_c11_completion(self):
        self.assertEqual(complete(self, "ballastctl.bash", "_ballastctl", BALLASTCTL, "--session", "set", "ma"), {"mail1", "mail2"})
        self.assertEqual(complete(self, "ballastctl.bash", "_ballastctl", BALLASTCTL, "--session", "stats", "ma"), set())
        self.assertEqual(complete(self, "ballastctl.bash", "_ballastctl", BALLASTCTL, "--session", "list", "--all", "ma"),
                         {"mail1", "mail2"})


class Files(World):
    """The configuration and the policy as files: what is wrong with them, and whether they are those that run."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bus = cls.start_bus("files", OPEN)
        cls.env["DBUS_SESSION_BUS_ADDRESS"] = cls.bus.address

    def start(self, name):
        daemon = self.start_daemon(name, "--session")
        self.addCleanup(daemon.stop)
        return daemon

    def path(self):
        return f"{self.folder}/ballastd.conf"

    def check(self, config, *arguments, want, policy=True):
        """The last line of --check, and all that it says before."""
        self.write_config(config)
        policy = ["--policy", f"{self.folder}/policy"] if policy else []
        r = subprocess.run([BALLASTD, "--check", "--config", self.path(), "--proc", f"{self.folder}/proc", *policy,
                            *arguments], env=self.env, capture_output=True, text=True, timeout=HANG)
        self.assertEqual(r.returncode, want, r.stdout + r.stderr)
        return r.stdout.splitlines()[-1], r.stderr

    def test_c7_check_finds_what_is_not_done_as_written(self):
        last, said = self.check("[Host]\nReserve=1GiB\n[Guest web*]\nMin=1GiB\n", want=0)
        self.assertEqual((last, said), ("policy policy: good", ""))
        for config, line in (("[guard]\n", "1: no section is called [guard], ignored"),
                             ("Floor=10%\n", "1: Floor= belongs in [Guard], ignored here"),
                             ("[Guard]\nFlor=10%\n", "2: no setting is called Flor=, ignored"),
                             ("[Guest [web]]\nMode=off\n", "1: the pattern [web] matches only names of one character"),
                             ("[Host]\nReserve=1GiB\nReserve=2GiB\n", "3: Reserve= is set here and in line 2"),
                             ("[Policy]\nFiles=ksm.policy\n", "2: Files= is ignored, because the command line has")):
            with self.subTest(config=config):
                last, said = self.check(config, want=1)
                self.assertIn(f"{self.path()}:{line}", said)
                self.assertRegex(last, "^not as written: ballastd runs with this")
        for config, line in (("[Guard]\nFloor=0.25\n", "2: Floor=0.25 has no unit: 25% or 0.25%?"),
                             ("[Host]\nReserve=10\n", "2: Reserve=10 has no unit: 10GiB, 10MiB or 10%?"),
                             ("[Guest [web]\nMode=off\n", "1: the pattern [web has a [ without its ]")):
            with self.subTest(config=config):
                last, said = self.check(config, want=1)
                self.assertIn(f"{self.path()}:{line}", said)
                self.assertRegex(last, "^not valid: ballastd does not start")

    def test_c7_c12_a_policy_that_is_not_found(self):
        said = self.check("[Policy]\n\nFiles=balloon\n", want=1, policy=False)[1]
        self.assertRegex(said, re.escape(self.path()) + ":3: Files=balloon: cannot load the policy /.*/balloon: No such file "
                               "or directory; (did you mean balloon.policy|no policy is installed in /.*: install Ballast, "
                               "or name a file with --policy FILE)")

    def test_a6_a_reserve_above_the_host(self):
        for reserve in ("16GiB", "1TiB", "100%", "99%"):
            said = self.check(f"[Host]\nReserve={reserve}\n", want=1)[1]
            self.assertIn(f"{self.path()}:2: Reserve=: this leaves guests nothing: the host has 16.0 GiB", said)
        daemon = self.start("reserve")
        self.assertEqual(daemon.process.wait(HANG), 1)
        self.assertIn("Reserve=: this leaves guests nothing", daemon.log())
        self.write_config("[Host]\nReserve=1GiB\n")
        self.start("reserve-again")
        self.wait_ready("--session")
        self.write_config("[Host]\nReserve=16GiB\n")
        self.ctl("--session", "reload", want=1)
        self.assertIn(f"{self.path()}:2: Reserve=: this leaves guests nothing", self.err)
        self.assertEqual(self.json("--session", "status")["host"]["reserve_bytes"], 1024 * MIB)

    def test_c5_status_says_what_is_on_disk(self):
        self.write_config("")
        self.start("changed")
        self.wait_ready("--session")

        def files():
            s = self.json("--session", "status")
            return s["config"]["changed"], s["policy"]["changed"], s["config"].get("refused")
        self.assertEqual(files(), (False, False, None))
        self.assertNotIn("Files:", self.ctl("--session", "status"))
        self.write_config("[Host]\nReserve=2\n")
        self.assertEqual(files(), (True, False, None))
        self.assertIn("Files: the configuration changed on disk after ballastd read it; run ballastctl reload",
                      self.ctl("--session", "status"))
        self.ctl("--session", "reload", want=1)
        why = f"{self.path()}:2: Reserve=2 has no unit: 2GiB, 2MiB or 2%?"
        self.assertIn(why, self.err)
        self.assertEqual(files(), (True, False, why))
        self.assertRegex(self.ctl("--session", "status"), r"Files: the last reload was refused .* ago; what ran before still "
                                                          r"runs: .*:2: Reserve=2 has no unit")

        # A reload that succeeds says what it doesn't do.
        self.write_config("[Host]\nReserv=2GiB\n")
        self.ctl("--session", "reload", warns=True)
        self.assertIn(f"{self.path()}:2: no setting is called Reserv=, ignored", self.err)
        self.assertEqual(files(), (False, False, None))
        findings = self.json("--session", "reload")["findings"]
        self.assertEqual([(f["file"], f["line"], f["severity"], f["message"].split(",")[0]) for f in findings],
                         [(self.path(), 2, "warning", "no setting is called Reserv=")])
        self.write_config("")
        self.assertEqual(self.json("--session", "reload")["findings"], [])
        with open(f"{self.folder}/policy", "a") as f:
            f.write("# more\n")
        self.assertEqual(files(), (False, True, None))
        self.ctl("--session", "policy", "load", f"{self.folder}/policy")
        self.assertEqual(files(), (False, False, None), "it isn't the file that runs")

    def test_c7_a_pattern_that_matches_no_guest(self):
        self.write_config("[Guest web*]\nMode=off\n[Guest wbe1]\nMode=off\n[Guest mail-*]\nMode=off\n")
        daemon = self.start("patterns")
        self.wait_ready("--session")
        near = f"{self.path()}:3: [Guest wbe1] matches no running guest; did you mean the guest web1?"
        other = f"{self.path()}:5: [Guest mail-*] matches no running guest; it is for guests that start later"
        wait_for("logged", lambda: near in daemon.log() and other in daemon.log())
        self.assertLess(daemon.log().rindex(": found, full size"), daemon.log().index(near))
        cycles = self.json("--session", "status")["cycle"]["count"]
        wait_for("cycles", lambda: self.json("--session", "status")["cycle"]["count"] > cycles + 1)
        self.assertEqual((daemon.log().count(near), daemon.log().count("[Guest web*]")), (1, 0))
        self.ctl("--session", "reload", warns=True)
        self.assertIn(near, self.err)
        self.assertIn(other, self.err)
        self.assertEqual(daemon.log().count(near), 2)


class Entitlements(World):
    """On libvirt's own test domain, which all connections of the daemon share, so that it can read what it wrote."""
    TEST = "test"
    CONFIG = "[Daemon]\nInterval=200ms\n[Guest te*]\nShares=300\nMin=128MiB\n[Guest web*]\nShares=700\n"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.write_config(cls.CONFIG)
        cls.bus = cls.start_bus("set", OPEN)
        cls.env["DBUS_SESSION_BUS_ADDRESS"] = cls.bus.address
        cls.daemon = cls.start_daemon("set-daemon", "--session", "--mode", "auto", "--connect", "test:///default")

    def setUp(self):
        wait_for("guest", lambda: not [g for g in self.list_if_there() if g["busy"]] and self.list_if_there())
        # Another ballastd on libvirt's test domain would be a neighbour; this accepts it.
        self.ctl("--session", "mode", "auto")
        self.set("--clear")
        self.wait_for_row("taken back", floor_bytes=128 * MIB, full_bytes=2048 * MIB, mode="auto")

    def list_if_there(self):
        r = subprocess.run([BALLASTCTL, "--session", "list", "--json"], env=self.env, capture_output=True, text=True)
        return json.loads(r.stdout) if r.returncode == 0 else []

    def set(self, *arguments, want=0):
        return self.ctl("--session", "set", self.TEST, *arguments, want=want)

    def shown(self):
        return self.json("--session", "set", self.TEST)

    def wait_for_row(self, what, **want):
        """This takes a cycle or two of 200 ms, longer on a busy machine."""
        def there():
            row = self.json("--session", "list")[0]
            return {k: row[k] for k in want} == want
        wait_for(what, there)

    def test_nothing_is_set(self):
        e = self.shown()
        self.assert_documented("entitlement", e)
        self.assertEqual([e[f"{k}_origin"] for k in ("min", "full", "max", "shares", "mode")],
                         ["configuration", "default", "default", "configuration", "default"])
        self.assertEqual((e["shares"], e["shares_set"], e["min_bytes"], e["full_set_bytes"], e["problem"]),
                         (300, 300, 128 * MIB, None, None))
        self.assertEqual(self.set().split("\n")[:3], ["VALUE       SET  FROM           IN FORCE",
                                                      "min     128 MiB  configuration  128 MiB",
                                                      "full          -  default        2.00 GiB"])
        self.assertEqual(self.json("--session", "dump")["config"]["guests"],
                         [{"name": "te*", "min_bytes": 128 * MIB, "shares": 300}, {"name": "web*", "shares": 700}])

    def test_it_counts_within_a_cycle(self):
        said = self.set("--min", "1GiB", "--full=3GiB", "--max", "4GiB", "--shares", "2000", "--mode", "observe")
        self.assertEqual(said, "test: min default → 1.00 GiB, full default → 3.00 GiB, max default → 4.00 GiB, "
                               "shares default → 2000, mode default → observe; in the running domain and in its "
                               "definition\n")
        self.wait_for_row("in force", floor_bytes=1024 * MIB, full_bytes=3072 * MIB, mode="observe")
        e = self.shown()
        self.assertEqual((e["max_bytes"], e["shares"], e["mode_set"]), (4096 * MIB, 2000, "observe"))
        self.assertEqual({e[f"{k}_origin"] for k in ("min", "full", "max", "shares", "mode")}, {"domain"})
        stats = self.json("--session", "stats", self.TEST)
        self.assertEqual(stats["definition"]["full_why"], "its entitlement")
        self.assertEqual(stats["entitlement"], {k: v for k, v in e.items()
                                                if v is not None and k not in ("name", "uuid", "shut_off")})

        self.assertEqual(self.set("--min", "1024MiB"), "test: as before, written again; in the running domain and in "
                                                          "its definition\n")
        self.assertRegex(self.set("--shares", ""), "^test: shares 2000 → default; ")
        self.assertRegex(self.set("--mode=default", "--full", "2GiB"), "^test: full 3.00 GiB → 2.00 GiB, mode observe → default; ")
        self.wait_for_row("some taken back", floor_bytes=1024 * MIB, full_bytes=2048 * MIB, mode="auto")
        self.assertEqual(self.shown()["shares"], 300)
        self.assertRegex(self.set("--clear", "--min", "1GiB"), "^test: full 2.00 GiB → default, max 4.00 GiB → default; ")
        self.wait_for_row("cleared", floor_bytes=1024 * MIB)
        answer = self.json("--session", "set", self.TEST, "--clear")
        self.assertEqual(answer["message"], "test: min 1.00 GiB → default; in the running domain and in its definition")
        self.assertEqual(answer["changed"], {"min_bytes": {"old": 1024 * MIB, "new": None}})

    def test_invalid_sizes_in_the_configuration(self):
        try:
            self.write_config(self.CONFIG.replace("128MiB", "9GiB"))
            self.ctl("--session", "reload", warns=True)
            self.assertIn("[Guest web*] matches no running guest", self.err)
            e = self.shown()
            self.assertEqual((e["min_origin"], e["shares"]), ("default", 300))
            self.assertEqual(e["problem"], "its sizes in the configuration are ignored: min=9GiB is more than "
                                           "the domain's maximum memory, 8GiB")
            self.assertIn("Problem: its sizes in the configuration are ignored", self.set())
        finally:
            self.write_config(self.CONFIG)
            self.ctl("--session", "reload", warns=True)
        self.assertIsNone(self.shown()["problem"])

    def test_c6_a_contradiction_in_the_configuration_is_shown(self):
        why = "min=3.00 GiB is more than its full size, 2.00 GiB (the definition's currentMemory)"
        try:
            self.write_config(self.CONFIG.replace("128MiB", "3GiB"))
            for _ in range(2):
                self.ctl("--session", "reload", warns=True)  # no guest is called web*
            self.assertIn(why, self.shown()["problem"])
            self.assertEqual(self.daemon.log().count("test: its entitlement can't come into force: " + why), 1)
        finally:
            self.write_config(self.CONFIG)
            self.ctl("--session", "reload", warns=True)
        self.assertIsNone(self.shown()["problem"])

    def test_off_and_a_stricter_daemon(self):
        self.set("--mode", "off")
        self.wait_for_row("off", mode="off", rule="off")
        try:
            self.ctl("--session", "mode", "observe")
            self.assertRegex(self.set("--mode", "auto"), "ballastd itself is in mode observe, so nothing moves")
            self.wait_for_row("the stricter", mode="observe")
            self.assertRegex(self.set(), r"(?m)^mode +auto +domain +observe$")
        finally:
            self.ctl("--session", "mode", "auto")

    def test_bad_values(self):
        self.set("--min", "1GiB")
        self.wait_for_row("set", floor_bytes=1024 * MIB)
        for want, why, arguments in (
                (2, "min=potato is not valid: it takes a size", ("--min", "potato")),
                (2, "full=1 has no unit: 1GiB, 1MiB or 1B?", ("--full", "1")),
                (2, "full=1MiB is out of range", ("--full", "1MiB")),
                (2, "shares=1e3 is not valid: it takes a whole number", ("--shares", "1e3")),
                (2, "shares=0 is out of range", ("--shares", "0")),
                (2, "mode=of is not valid: it takes auto, observe or off", ("--mode", "of")),
                (2, "mode=of", ("--clear", "--shares", "5", "--mode", "of")),
                (1, "min=1GiB is more than full=512MiB", ("--full", "512MiB")),
                (1, "full=2GiB is more than max=1536MiB", ("--full", "2GiB", "--max", "1536MiB")),
                (1, "max=9GiB is more than the domain's maximum memory, 8GiB", ("--max", "9GiB", "--shares", "9"))):
            with self.subTest(arguments=arguments):
                self.set(*arguments, want=want)
                self.assertIn(why, self.err)
                self.assertIn("Nothing was changed", self.err)
        e = self.shown()
        self.assertEqual((e["min_set_bytes"], e["shares"], e["full_origin"], e["max_origin"]),
                         (1024 * MIB, 300, "default", "default"))
        self.ctl("--session", "set", "nobody", "--min", "1GiB", want=3)

    def test_c6_a_size_that_cannot_come_into_force(self):
        for why, arguments in (
                ("min=3.00 GiB is more than its full size, 2.00 GiB (the definition's currentMemory); "
                 "also give --full, at most 8.00 GiB", ("--min", "3GiB")),
                ("max=1.00 GiB is less than its full size, 2.00 GiB (the definition's currentMemory); "
                 "also give --full, at most 1.00 GiB", ("--max", "1GiB"))):
            self.set(*arguments, want=1)
            self.assertIn(why, self.err)
            self.assertIn("Nothing was changed", self.err)
        self.assertEqual((self.shown()["min_origin"], self.shown()["max_origin"]), ("configuration", "default"))
        self.set("--min", "3GiB", "--full", "4GiB")

    def call(self, *values, path="/org/ballast1", method="SetGuest", want=0, user=None):
        head = ["sa{ss}", self.TEST] if method == "SetGuest" else ["a{ss}"]
        interface = "org.ballast1.Manager" if method == "SetGuest" else "org.ballast1.Guest"
        return self.busctl("call", "org.ballast1", path, interface, method, *head, str(len(values) // 2), *values,
                           want=want, user=user)

    def test_bus(self):
        path = "/org/ballast1/guest/" + UUIDS[WEB1].replace("-", "_")
        self.assertRegex(self.call("min", "1GiB", "shares", "50"), '"message" s "test: min default .* 1.00 GiB, shares')
        self.wait_for_row("set", floor_bytes=1024 * MIB)
        self.assertRegex(self.call("min", "", path=path, method="Set"), '"message" s "test: min 1.00 GiB .* default')
        self.call("sharse", "1", want=1)
        self.assertIn("did you mean 'shares'", self.err)
        self.call("potato", "1", want=1)
        self.assertIn("it has min, full, max, shares and mode", self.err)
        self.call(want=1)
        self.assertIn("No value was given", self.err)
        self.call("min", "x" * 100000, path=path, method="Set", want=1)
        self.assertLess(len(self.err), 400)

    @unittest.skipIf(os.getuid() != 0, "becoming another user needs root")
    def test_who_may(self):
        nobody = become(65534, 65534)
        path = "/org/ballast1/guest/" + UUIDS[WEB1].replace("-", "_")
        self.ctl("--session", "set", self.TEST, user=nobody)
        self.ctl("--session", "set", self.TEST, "--min", "1GiB", user=nobody, want=1)
        self.assertIn("try sudo", self.err)
        self.call("min", "1GiB", path=path, method="Set", user=nobody, want=1)
        self.assertIsNone(self.shown()["full_set_bytes"])

    def test_many_at_once(self):
        """Each call is answered, and the last one that was accepted counts."""
        calls = [subprocess.Popen([BALLASTCTL, "--session", "set", self.TEST, "--shares", str(1000 + i)], env=self.env,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for i in range(12)]
        taken = []
        for i, p in enumerate(calls):
            out, err = p.communicate(timeout=HANG)
            self.assertIn(p.returncode, (0, 1), err)
            if p.returncode == 0:
                taken.append(1000 + i)
            else:
                self.assertIn("the last change is still being written; try again", err)
        self.assertTrue(taken)
        wait_for("one of them", lambda: self.shown()["shares"] in taken)


class ModeOfTheCommandLine(World):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bus = cls.start_bus("mode", OPEN)
        cls.env["DBUS_SESSION_BUS_ADDRESS"] = cls.bus.address

    def test_a_reload_doesnt_change_it(self):
        self.write_config("[Daemon]\nMode=observe\n")
        daemon = self.start_daemon("mode-daemon", "--session", "--mode", "observe")
        wait_for("guests", lambda: ": found" in daemon.log())
        self.write_config("[Daemon]\nMode=auto\n")
        self.ctl("--session", "reload", warns=True)
        self.assertIn("ballastd.conf:2: Mode= is ignored, because the command line has --mode", self.err)
        self.assertEqual(self.json("--session", "status")["mode"], "observe")
        self.assertNotIn("Mode auto", daemon.log())


class OneGuest(World):
    def test_c13_one_guest_is_not_guests(self):
        bus = self.start_bus("one", OPEN)
        self.env["DBUS_SESSION_BUS_ADDRESS"] = bus.address
        with open(f"{self.folder}/node.xml", "w") as f:
            f.write("<node>" + DOMAIN.format(name=WEB1, uuid=UUIDS[WEB1]) + "</node>")
        daemon = self.start_daemon("one-daemon", "--session")
        wait_for("guest", lambda: "web1: found" in daemon.log())
        wait_for("its balloon is known", lambda: all(g["reason"] != "not decided yet" and not g["busy"]
                                                     for g in self.json("--session", "list")))
        self.assertRegex(self.ctl("--session", "release", "--all"), "^1 guest already has its full size; it isn't shrunk for ")


class Moves(World):
    """A guest that the last daemon left shrunk, on a host with room: it gets memory back. (The test driver takes the
    new size, but shows it only on the connection that set it: to the daemon the balloon is stuck.)"""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        metadata = (f"<metadata><b:state xmlns:b='urn:ballast:state:1' full='{2048 * MIB}' defined='{1024 * MIB}' "
                    f"from='{2048 * MIB}' sent='{1024 * MIB}'/>"
                    "</metadata><memory ")
        with open(f"{cls.folder}/node.xml", "w") as f:
            f.write("<node>" + DOMAIN.format(name="shrunk", uuid=UUIDS[WEB1]).replace("2048", "1024")
                    .replace("<memory ", metadata) + "</node>")
        shutil.copy(f"{SOURCE}/policy/balloon.policy", f"{cls.folder}/policy")
        cls.write_config("[Daemon]\nInterval=100ms\n[Host]\nReserve=1GiB\n")
        cls.bus = cls.start_bus("moves", OPEN)
        cls.env["DBUS_SESSION_BUS_ADDRESS"] = cls.bus.address

    def test_moves_are_logged(self):
        def guest():
            return self.json("--session", "list")[0]
        daemon = self.start_daemon("moves-daemon", "--session")
        wait_for("decided", lambda: "would be" in daemon.log())
        self.assertRegex(daemon.log(), r"(?m)^shrunk: would be 1\.00 GiB → 2\.00 GiB: would .*; host available 43\.8%$")
        g = guest()
        self.assertEqual((g["current_bytes"], g["full_bytes"]), (1024 * MIB, 2048 * MIB))
        self.assertGreater(g["target_bytes"], 1024 * MIB)
        time.sleep(1)
        self.assertEqual(guest()["current_bytes"], 1024 * MIB, "observed only")
        self.assertEqual(daemon.log().count("would be"), 1, "logged once")

        self.ctl("--session", "mode", "auto")
        move = r"(?m)^shrunk: 1\.00 GiB → 2\.00 GiB: .*policy:\d+.*; host available 43\.8%$"
        wait_for("moved", lambda: re.search(move, daemon.log()))
        stats = self.json("--session", "stats", "shrunk")
        self.assertGreater(stats["balloon"]["moves"], 0)
        self.assertTrue(stats["moving"])
        self.assertEqual(stats["definition"]["full_why"], "set live by an administrator")
        self.assertIn(" moving ", self.ctl("--session", "list"))
        self.assertIn("Guests: 1; 1 by libvirt's stats; 1 with stale stats; 1 moving", self.ctl("--session", "status"))

        wait_for("stall", lambda: guest()["stalled"])
        self.assertRegex(daemon.log(), r"(?m)^shrunk: its balloon is stuck at 1\.00 GiB on the way from .* to .* GiB; "
                                       r"not tried again for 1min\.")
        self.assertIn(" stalled ", self.ctl("--session", "list"))


class Neighbours(World):
    """Others that manage memory: they are logged, and nothing moves until the administrator sets mode auto."""

    def setUp(self):
        self.bus = Bus(self.folder, f"bus-{self._testMethodName}", OPEN)
        self.addCleanup(self.bus.stop)
        self.env = {**type(self).env, "DBUS_SESSION_BUS_ADDRESS": self.bus.address}
        self.proc = f"{self.folder}/proc-{self._testMethodName}"
        shutil.copytree(f"{self.folder}/proc", self.proc)
        self.write_config("[Daemon]\nMode=auto\n")

    def status(self):
        return self.json("--session", "status")

    def start(self, name, *arguments, env=None):
        daemon = Daemon(self.folder, name, env or self.env, "--session", "--connect", f"test://{self.folder}/node.xml",
                        "--config", f"{self.folder}/ballastd.conf", "--policy", f"{self.folder}/policy", "--proc", self.proc,
                        *arguments)
        self.addCleanup(self.stop_daemon, daemon)
        return daemon

    def wait_connected(self, daemon):
        wait_for("guests", lambda: daemon.log().count(": found, full size") == len(UUIDS))

    def add_process(self, pid, comm, *argv, uid=0):
        os.mkdir(f"{self.proc}/{pid}")
        for name, data in (("comm", comm + "\n"), ("cmdline", "".join(a + "\0" for a in argv)),
                           ("status", f"Name:\t{comm}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nNSpid:\t{pid}\n")):
            with open(f"{self.proc}/{pid}/{name}", "w") as f:
                f.write(data)

    def test_another_ballastd(self):
        other_bus = Bus(self.folder, "other-bus", OPEN)
        self.addCleanup(other_bus.stop)
        first = self.start("first", env={**self.env, "DBUS_SESSION_BUS_ADDRESS": other_bus.address})
        self.wait_connected(first)
        second = self.start("second", "--mode", "auto")
        self.wait_connected(second)
        known = f"another ballastd (process {first.process.pid})"
        status = self.status()
        self.assertEqual((status["mode"], status["neighbours"]), ("observe", known))
        self.assertIn("ballastctl mode auto", status["why"])
        self.assertIn(known, status["why"])
        self.assertIn(known, second.log())
        self.assertIn(f"Neighbours: {known}", self.ctl("--session", "status"))
        self.assertNotIn("another ballastd", first.log(), "the first daemon continues")

        # The administrator sets the mode.
        self.ctl("--session", "mode", "auto")
        status = self.status()
        self.assertEqual((status["mode"], status["neighbours"]), ("auto", known))
        self.assertNotIn(known, status["why"])

        # Its end is noticed at once, and its lock is taken.
        self.assertEqual(first.stop(), 0, first.log())
        wait_for("its end is logged", lambda: f"{known} has ended" in second.log())
        self.assertEqual(self.status()["neighbours"], "")
        self.assertEqual(self.status()["mode"], "auto")
        third = self.start("third", env={**self.env, "DBUS_SESSION_BUS_ADDRESS": other_bus.address})
        self.wait_connected(third)
        wait_for("logged", lambda: f"another ballastd (process {second.process.pid})" in third.log())

    def test_killed_ballastd_leaves_no_lock(self):
        first = self.start("killed")
        self.wait_connected(first)
        first.process.kill()
        first.process.wait()
        self.addCleanup(setattr, first.process, "returncode", 0)
        second = self.start("after-killed")
        self.wait_connected(second)
        self.assertEqual(self.status()["mode"], "auto")

    def test_momd(self):
        self.add_process(77, "python3", "python3", "/usr/sbin/momd", "-c", "/etc/mom.conf")
        daemon = self.start("with-momd", "--mode", "auto")
        self.wait_connected(daemon)
        status = self.status()
        self.assertEqual((status["mode"], status["neighbours"]), ("observe", "momd (process 77)"))
        self.assertLess(daemon.log().index("momd (process 77)"), daemon.log().index("Connected to libvirt"))

        # A reload notices and logs its end; the mode stays until it is set.
        shutil.rmtree(f"{self.proc}/77")
        self.ctl("--session", "reload")
        self.assertIn("momd (process 77) has ended", daemon.log())
        self.assertEqual(self.status()["mode"], "observe")
        self.assertIn("has ended", self.status()["why"])
        self.ctl("--session", "mode", "auto")
        self.assertEqual(self.status()["mode"], "auto")
        self.assertNotIn("has ended", self.status()["why"])

    def test_ksmtuned_comes_later(self):
        daemon = self.start("with-ksmtuned")
        self.wait_connected(daemon)
        self.assertEqual(self.status()["mode"], "auto")
        self.add_process(78, "ksmtuned", "/bin/bash", "/usr/sbin/ksmtuned")
        self.ctl("--session", "reload")
        self.assertEqual(self.status()["mode"], "observe")
        # Mode=auto in the file doesn't accept a neighbour.
        for mode in ("observe", "auto"):
            self.write_config(f"[Daemon]\nMode={mode}\n")
            self.ctl("--session", "reload", warns=mode == "auto")
        self.assertIn("Mode=auto is ignored: ksmtuned (process 78)", self.err)
        self.assertEqual(self.status()["mode"], "observe")
        self.assertIn("Mode=auto is ignored: ksmtuned (process 78)", daemon.log())
        self.ctl("--session", "mode", "auto")
        self.ctl("--session", "reload")
        self.assertEqual(self.status()["mode"], "auto")
        self.assertEqual(daemon.log().count("ksmtuned (process 78) manages memory on this host, too, and"), 1, "logged once")

    @unittest.skipIf(os.getuid() != 0, "processes of other users need root")
    def test_an_ordinary_users_momd_is_ignored(self):
        self.add_process(79, "momd", "momd", uid=65533)
        daemon = self.start("with-a-users-momd")
        self.wait_connected(daemon)
        self.assertEqual(self.status()["mode"], "auto")
        self.assertNotIn("momd", daemon.log())


class Scope(World):
    """Guests that share a memory cgroup (one of v2, as files)."""

    def setUp(self):
        shutil.copytree(f"{SOURCE}/tests/fixtures/cgroup/v2", f"{self.folder}/cgroup")
        self.addCleanup(shutil.rmtree, f"{self.folder}/cgroup")
        with open(f"{self.folder}/proc/mounts", "w") as f:
            f.write(f"cgroup2 {self.folder}/cgroup cgroup2 rw 0 0\n")
        self.bus = Bus(self.folder, "scope", OPEN)
        self.addCleanup(self.bus.stop)
        self.env = type(self).env = {**type(self).env, "DBUS_SESSION_BUS_ADDRESS": self.bus.address}

    def host(self):
        return self.json("--session", "status")["host"]

    def test_scope(self):
        self.write_config("[Daemon]\nInterval=100ms\n[Host]\nScope=nowhere.slice\n")
        daemon = self.start_daemon("nowhere", "--session")
        self.assertNotEqual(daemon.process.wait(20), 0)
        self.assertRegex(daemon.log(), "Scope=nowhere.slice: there is no such cgroup; .* or set Scope=system")

        self.write_config("[Daemon]\nInterval=100ms\n[Host]\nScope=machine.slice\n")
        daemon = self.start_daemon("scoped", "--session")
        self.wait_ready("--session")
        host = self.host()
        self.assertEqual(host["scope"], f"{self.folder}/cgroup/machine.slice")
        self.assertEqual((host["total_bytes"], host["available_bytes"]), (8192 * MIB, (1024 + 784) * MIB))
        self.assertEqual((host["swap_total_bytes"], host["swap_free_bytes"]), (1024 * MIB, 512 * MIB))  # the host's
        self.assertIn(f"Scope: {self.folder}/cgroup/machine.slice\n", self.ctl("--session", "status"))

        # The cgroup is removed, and made again.
        os.rename(f"{self.folder}/cgroup/machine.slice", f"{self.folder}/cgroup/away")
        wait_for("noticed", lambda: self.host().get("total_bytes") is None)
        self.assertIn(f"{self.folder}/cgroup/machine.slice", self.json("--session", "status")["why"])
        time.sleep(0.5)
        self.assertEqual(daemon.log().count("Cannot read the host's memory from"), 1, "logged once")
        os.rename(f"{self.folder}/cgroup/away", f"{self.folder}/cgroup/machine.slice")
        wait_for("back", lambda: self.host().get("total_bytes") == 8192 * MIB)

        # A reload changes the scope, or is refused.
        self.write_config("[Daemon]\nInterval=100ms\n[Host]\nScope=system.slice\n")
        self.ctl("--session", "reload", want=1)
        self.assertIn("Scope=system.slice: this cgroup's memory can't be limited", daemon.log())
        self.assertEqual(self.host()["total_bytes"], 8192 * MIB)
        for scope, total in ((f"{self.folder}/cgroup/wide.slice/narrow.slice", 4096 * MIB), ("system", 16384 * MIB)):
            self.write_config(f"[Daemon]\nInterval=100ms\n[Host]\nScope={scope}\n")
            self.ctl("--session", "reload")
            wait_for(scope, lambda t=total: self.host()["total_bytes"] == t)
            self.assertEqual(self.host()["scope"], scope)


class Ksm(World):
    """KSM's controls, as files in a folder that looks like the kernel's."""

    BEFORE = {"run": 0, "pages_to_scan": 100, "sleep_millisecs": 20, "merge_across_nodes": 1, "pages_shared": 10,
              "pages_sharing": 70, "pages_unshared": 5, "pages_volatile": 3, "full_scans": 7}
    SET = "host.ksm_run = true because \"it is a test\"\nhost.ksm_pages_to_scan = 1000000\nhost.ksm_sleep = 5ms\n"

    def setUp(self):
        self.ksm = f"{self.folder}/sys/kernel/mm/ksm"
        os.makedirs(self.ksm)
        self.addCleanup(shutil.rmtree, f"{self.folder}/sys")
        for name, value in self.BEFORE.items():
            self.put(name, value)
        self.runtime = f"{self.folder}/runtime"
        os.mkdir(self.runtime)
        self.addCleanup(shutil.rmtree, self.runtime)
        self.bus = Bus(self.folder, "ksm", OPEN)
        self.addCleanup(self.bus.stop)
        type(self).env = self.env = {**type(self).env, "DBUS_SESSION_BUS_ADDRESS": self.bus.address,
                                     "XDG_RUNTIME_DIR": self.runtime, "RUNTIME_DIRECTORY": f"{self.runtime}/ballast"}
        self.write_config("[Daemon]\nInterval=100ms\nMode=auto\n")
        self.policy(self.SET)

    def put(self, name, value):
        with open(f"{self.ksm}/{name}", "w") as f:
            f.write(f"{value}\n")

    def policy(self, text):
        with open(f"{self.folder}/policy", "w") as f:
            f.write(text)

    def values(self):
        values = {}
        for name in self.BEFORE:
            with open(f"{self.ksm}/{name}") as f:
                values[name] = int(f.read() or -1)
        return values

    def wait_values(self, **changed):
        wait_for(f"{changed}", lambda: self.values() == {**self.BEFORE, **changed})

    def wait_set(self):
        self.wait_values(run=1, pages_to_scan=10000, sleep_millisecs=20)

    def start(self, name, *arguments):
        daemon = self.start_daemon(name, "--session", "--sys", f"{self.folder}/sys", *arguments)
        self.addCleanup(self.stop_daemon, daemon)
        return daemon

    def is_remembered(self):
        return os.path.exists(f"{self.runtime}/ballast/ksm")

    def test_set_logged_and_put_back(self):
        daemon = self.start("ksm")
        wait_for("guests", lambda: ": found" in daemon.log())
        self.wait_set()
        self.assertIn("KSM: run false → true: it is a test (policy:1); host available 50.0%", daemon.log())
        self.assertIn("KSM: pages_to_scan 100 → 10000: set by the policy (policy:2), clipped to 10000 (bounds); ",
                      daemon.log())
        # 10,000 pages need 20 ms of sleep, which is set already.
        self.assertNotIn("KSM: sleep", daemon.log())
        self.assertTrue(self.is_remembered())
        wait_for("seen", lambda: self.json("--session", "status")["host"].get("ksm_run"))
        status = self.json("--session", "status")
        self.assertEqual(status["host"]["ksm_sharing_bytes"], 70 * os.sysconf("SC_PAGESIZE"))
        self.assertIsNone(status["host"].get("ksm_profit_bytes"))
        self.assertEqual((status["ksm"]["changed"], status["ksm"]["refused"]), (["ksm_run", "ksm_pages_to_scan"], []))
        decision = next(d for d in status["ksm"]["decisions"] if d["control"] == "ksm_pages_to_scan")
        self.assertEqual((decision["wanted"], decision["value"], decision["line"], decision["file"]),
                         (1e6, 1e4, 2, "policy"))
        self.assertIn("KSM: on, 10000 pages every 20ms; saves 280 KiB; set by the policy: ksm_run, ksm_pages_to_scan\n",
                      self.ctl("--session", "status"))

        # A policy that sets only one of them, and one that sets none.
        self.policy("host.ksm_run = true\n")
        self.ctl("--session", "reload")
        self.wait_values(run=1)
        self.policy(NO_OP)
        self.ctl("--session", "reload")
        self.wait_values()
        self.assertFalse(self.is_remembered())
        self.policy(self.SET)
        self.ctl("--session", "reload")
        self.wait_set()

        # Mode observe, and auto again.
        self.ctl("--session", "mode", "observe")
        self.wait_values()
        wait_for("logged", lambda: "KSM: would set run false → true: it is a test (policy:1) (observe)" in daemon.log())
        self.ctl("--session", "mode", "auto")
        self.wait_set()

        # A value that somebody else set meanwhile is kept.
        self.policy("state done = false\nif not done { host.ksm_pages_to_scan = 300 }\ndone = true\n")
        self.ctl("--session", "reload")
        self.wait_values(pages_to_scan=300)
        self.put("pages_to_scan", 250)
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(self.values(), {**self.BEFORE, "pages_to_scan": 250})
        self.assertIn("KSM: pages_to_scan is 250, which somebody else set; it is kept (before Ballast it was 100)",
                      daemon.log())
        self.assertFalse(self.is_remembered())

    def test_killed(self):
        daemon = self.start("killed")
        self.wait_set()
        daemon.process.kill()
        daemon.process.wait()
        self.wait_set()
        daemon = self.start("after")
        wait_for("guests", lambda: ": found" in daemon.log())
        self.wait_set()
        self.assertEqual(daemon.stop(), 0)
        self.wait_values()
        self.assertFalse(self.is_remembered())

    def test_killed_and_then_a_policy_without_ksm(self):
        daemon = self.start("killed-too")
        self.wait_set()
        daemon.process.kill()
        daemon.process.wait()
        self.policy(NO_OP)
        self.start("after-that")
        self.wait_values()

    def test_a_second_daemon_leaves_it_to_the_first(self):
        """As when an administrator starts one by hand, to have a look."""
        first = self.start("has-it")
        wait_for("guests", lambda: ": found" in first.log())
        self.wait_set()
        other_bus = Bus(self.folder, "other-ksm", OPEN)
        self.addCleanup(other_bus.stop)
        type(self).env = self.env = {**self.env, "DBUS_SESSION_BUS_ADDRESS": other_bus.address}
        for name in ("looks-and-ends", "looks"):
            second = self.start(name, "--mode=observe")
            wait_for("known", lambda: "another ballastd" in second.log())
            cycles = self.json("--session", "status")["cycle"]["count"]
            wait_for("cycles", lambda: self.json("--session", "status")["cycle"]["count"] > cycles + 2)
            if name != "looks":
                self.assertEqual(second.stop(), 0)
            self.assertEqual((first.log().count("KSM: run false → true"), self.is_remembered()), (1, True))
            self.assertNotIn("restored", second.log())

        # When the first is killed, the second restores the controls from their last values.
        self.policy("host.ksm_pages_to_scan = 400\n")
        self.env["DBUS_SESSION_BUS_ADDRESS"] = self.bus.address
        self.ctl("--session", "reload")
        self.wait_values(pages_to_scan=400)
        first.process.kill()
        first.process.wait()
        self.wait_values()
        wait_for("logged", lambda: "KSM: pages_to_scan 400 → 100: restored" in second.log())

    def test_without_ksm(self):
        shutil.rmtree(self.ksm)
        daemon = self.start("without")
        wait_for("guests", lambda: ": found" in daemon.log())
        wait_for("the reason in its decision", lambda: any(
            "run is not changed: this kernel has no KSM (policy:1)" in d["reason"]
            for d in self.json("--session", "status").get("ksm", {}).get("decisions", [])))
        self.assertNotIn("KSM", daemon.log())
        self.assertNotIn("KSM: ", self.ctl("--session", "status"))


class Nodes(World):
    """A host with two NUMA nodes; web1 is bound to the first, which is full."""

    def setUp(self):
        for node, free in ((0, 262144), (1, 8126464)):
            folder = f"{self.folder}/sys/devices/system/node/node{node}"
            os.makedirs(folder)
            with open(f"{folder}/meminfo", "w") as f:
                f.write("".join(f"Node {node} {key}: {kib} kB\n" for key, kib in (
                    ("MemTotal", 8388608), ("MemFree", free), ("Active(file)", 0), ("Inactive(file)", 0), ("SReclaimable", 0))))
        with open(f"{self.folder}/sys/devices/system/node/online", "w") as f:
            f.write("0-1\n")
        with open(f"{self.folder}/node.xml") as f:
            text = f.read()
        with open(f"{self.folder}/node.xml", "w") as f:
            f.write(text.replace(f"<name>{WEB1}</name>", f"<name>{WEB1}</name><numatune><memory mode='strict' nodeset='0'/></numatune>"))
        bus = Bus(self.folder, "nodes", OPEN)
        self.addCleanup(bus.stop)
        type(self).env = self.env = {**type(self).env, "DBUS_SESSION_BUS_ADDRESS": bus.address}
        self.write_config("[Daemon]\nInterval=100ms\n")
        with open(f"{self.folder}/policy", "w") as f:
            f.write("let pressure_threshold = 20% * host.total\nlet critical_threshold = 5% * host.total\n"
                    "for g in guests where host.available < pressure_threshold { g.target = g.current - 64MiB because \"it gives\" }\n")

    def test_b_c_bound_guests_are_shown_with_their_nodes(self):
        daemon = self.start_daemon("nodes", "--session", "--sys", f"{self.folder}/sys")
        self.addCleanup(self.stop_daemon, daemon)
        self.wait_ready("--session")
        status = self.json("--session", "status")
        self.assert_documented("status", status)
        nodes = status["host"]["nodes"]
        self.assertEqual([n["node"] for n in nodes], [0, 1])
        self.assertEqual(nodes[0], {"node": 0, "total_bytes": 8 << 30, "free_bytes": 256 << 20, "available_bytes": 256 << 20})
        status = self.ctl("--session", "status")
        self.assertIn("Nodes: node 0: 8.00 GiB, 256 MiB available (3.1%)\n", status)
        self.assertIn("node 1: 8.00 GiB, 7.75 GiB available (96.9%)\n", status)
        self.assertIn("node 0: ", next(line for line in status.splitlines() if " Now: " in line))
        rows = self.ctl("--session", "list", "--columns=name,nodes").split("\n")
        self.assertIn("web1 0", [" ".join(r.split()) for r in rows])
        self.assertIn("web2 -", [" ".join(r.split()) for r in rows])
        self.assertIn("bound to NUMA node 0\n", self.ctl("--session", "stats", WEB1))
        self.assertNotIn("NUMA", self.ctl("--session", "stats", WEB2))
        wait_for("line", lambda: "Node 0 is critical: 256 MiB available (3.1%)" in daemon.log())
        self.assertNotIn("The host is critical", daemon.log())

        guests = {g["name"]: g for g in self.json("--session", "dump")["snapshot"]["guests"]}
        self.assertEqual(guests[WEB1]["nodes"], "0")
        self.assertNotIn("nodes", guests[WEB2])
        with open(f"{self.folder}/nodes.json", "w") as f:
            f.write(self.ctl("--session", "dump", "--json"))
        plan = {g["name"]: g for g in json.loads(self.ctl("policy", "run", f"{self.folder}/policy", f"--snapshot={self.folder}/nodes.json",
                                                          "--json"))["guests"]}
        self.assertTrue(plan[WEB1]["reason"].startswith("node 0: "), plan[WEB1])
        for g in self.json("--session", "list"):
            self.assertEqual(plan[g["name"]]["reason"].startswith("node"), g["reason"].startswith("node"), g)


class Locked(World):
    """Whether the daemon's memory is locked: where root runs it, and where another user with a limit does."""

    def start(self, name, user=None):
        bus = self.start_bus(name, OPEN)
        self.env["DBUS_SESSION_BUS_ADDRESS"] = bus.address
        daemon = self.start_daemon(f"{name}-daemon", "--session", user=user)
        self.wait_ready("--session")
        with open(f"/proc/{daemon.process.pid}/status") as f:
            return daemon, int(re.search(r"VmLck:\s*(\d+) kB", f.read())[1])

    def test_a11_memory_is_locked_where_that_is_allowed(self):
        with open("/proc/self/status") as f:
            if not int(re.search(r"CapEff:\s*(\w+)", f.read())[1], 16) & 1 << CAP_IPC_LOCK:
                self.skipTest("this user may not lock memory without a limit")
        with open(BALLASTD, "rb") as f:
            if re.search(b"__[at]san_init", f.read()):
                self.skipTest("the address and the thread sanitizer turn mlockall() off")
        daemon, locked = self.start("unlimited")
        self.assertGreater(locked, 1024, daemon.log())
        self.assertNotIn("Cannot keep ballastd in memory", daemon.log())

    def test_a11_a_limit_is_logged_once_and_nothing_is_locked(self):
        """A limit that is above what the daemon maps now would refuse it memory later."""
        limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        if limit[0] == resource.RLIM_INFINITY:
            limit = (4 << 30, 4 << 30)
        user = become(65534, 65534) if os.getuid() == 0 else lambda: None

        def limited():
            resource.setrlimit(resource.RLIMIT_MEMLOCK, limit)
            user()
        daemon, locked = self.start("limited", limited)
        self.assertEqual(locked, 0, daemon.log())
        self.assertEqual(daemon.log().count("Cannot keep ballastd in memory"), 1, daemon.log())
        self.assertIn("LimitMEMLOCK=infinity", daemon.log())


class NoDaemon(World):
    def setUp(self):
        self.env = dict(self.env)

    def test_nothing_there(self):
        self.ctl("status", want=4)
        self.assertRegex(self.err, "cannot reach ballastd on the system bus: .*systemctl start ballastd.*--session")
        self.ctl("--session", "list", want=4)
        self.assertIn("ballastd --session", self.err)
        self.assertEqual(json.loads(self.ctl("version", "--json"))["ballastd"], None)
        self.assertIn("not reachable", self.ctl("version"))

    def test_bus_without_daemon(self):
        bus = self.start_bus("empty", OPEN)
        self.ctl("--session", "list", want=4, env={"DBUS_SESSION_BUS_ADDRESS": bus.address})
        self.assertIn("no program has the name org.ballast1", self.err)

    def test_daemon_on_the_other_bus(self):
        bus = self.start_bus("other", OPEN)
        before = type(self).env
        self.addCleanup(setattr, type(self), "env", before)
        type(self).env = self.env = {**before, "DBUS_SESSION_BUS_ADDRESS": bus.address}
        self.start_daemon("other-daemon", "--session")
        self.wait_ready("--session")
        self.ctl("list", want=4)
        self.assertIn("one runs on your session bus: add --session", self.err)


def own_the_name(bus):
    """A connection that has the daemon's name and never answers."""
    def call(serial, member, signature="", body=b""):
        fields = b""
        for code, kind, value in ((1, "o", "/org/freedesktop/DBus"), (2, "s", "org.freedesktop.DBus"), (3, "s", member),
                                  (6, "s", "org.freedesktop.DBus"), (8, "g", signature)):
            length = struct.pack("<B" if kind == "g" else "<I", len(value))
            fields += b"\0" * (-len(fields) % 8) + bytes([code, 1]) + f"{kind}\0".encode() + length + f"{value}\0".encode()
        head = struct.pack("<cBBBIII", b"l", 1, 0, 1, len(body), serial, len(fields)) + fields
        return head + b"\0" * (-len(head) % 8) + body
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(HANG)
    s.connect(bus.path)
    s.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
    s.recv(4096)
    s.sendall(b"BEGIN\r\n" + call(1, "Hello"))
    s.sendall(call(2, "RequestName", "su", struct.pack("<I13s3xI", 12, b"org.ballast1", 0)))
    return s


class Silent(World):
    """A daemon, or a bus, that doesn't answer."""

    def setUp(self):
        self.bus = Bus(self.folder, self._testMethodName, OPEN)
        self.addCleanup(self.bus.stop)
        self.env = type(self).env = {**type(self).env, "DBUS_SESSION_BUS_ADDRESS": self.bus.address}

    def pause(self, process):
        process.send_signal(signal.SIGSTOP)
        self.addCleanup(process.send_signal, signal.SIGCONT)

    def test_c8_a_stopped_daemon_is_named(self):
        daemon = self.start_daemon("silent-daemon", "--session")
        self.wait_ready("--session")
        self.pause(daemon.process)
        pid = daemon.process.pid
        begin = time.monotonic()
        self.ctl("--session", "status", want=4)
        # A change waits for 15 s.
        self.assertLess(time.monotonic() - begin, 12)
        self.assertEqual(self.err, f"ballastctl: ballastd does not answer: its process, {pid}, is stopped (by a signal or a "
                                   f"debugger); to let it go on: kill -CONT {pid}\n")
        error = json.loads(self.ctl("--session", "list", "--json", want=4))["error"]
        self.assertEqual((error["code"], error["hint"]), ("no-answer", f"to let it go on: kill -CONT {pid}"))
        self.assertIn("not reachable", self.ctl("--session", "version"))

        # On a terminal, the wait is shown.
        master, slave = pty.openpty()
        with open(master, "rb", buffering=0) as terminal:
            p = subprocess.Popen([BALLASTCTL, "--session", "status"], stdout=subprocess.DEVNULL, stderr=slave, env=self.env)
            os.close(slave)
            self.assertEqual(p.wait(HANG), 4)
            self.assertIn(b"ballastctl: waiting for ballastd to answer\r\n", terminal.read(65536))

        daemon.process.send_signal(signal.SIGCONT)
        self.ctl("--session", "status")

    def test_c8_a_daemon_that_hangs_is_named(self):
        with own_the_name(self.bus):
            wait_for("its name", lambda: "org.ballast1" in subprocess.run(
                ["busctl", f"--address={self.bus.address}", "list"], capture_output=True, text=True).stdout)
            self.ctl("--session", "stats", WEB1, want=4)
            self.assertEqual(self.err, f"ballastctl: ballastd has not answered for 3 s, although its process, {os.getpid()}, "
                                       "runs; see its log, or end it and start it again\n")

    def test_c8_a_stopped_bus_is_named(self):
        self.pause(self.bus.process)
        self.ctl("--session", "status", want=4)
        self.assertEqual(self.err, "ballastctl: the session bus has not answered for 3 s; see whether its "
                                   "dbus-daemon is stopped\n")


class BusRefuses(World):
    def test_c10d_what_has_no_code_of_its_own(self):
        """A bus that lets nobody wait for an answer."""
        bus = self.start_bus("refuses", OPEN + "<limit name='max_replies_per_connection'>0</limit>")
        self.env["DBUS_SESSION_BUS_ADDRESS"] = bus.address
        daemon = self.start_daemon("refuses-daemon", "--session")
        wait_for("guests", lambda: ": found" in daemon.log())
        error = json.loads(self.ctl("--session", "status", "--json", want=1))["error"]
        self.assertEqual(error["code"], "failed")
        self.assertIn("maximum", error["message"])


class BusLost(World):
    def test_bus_goes_and_comes(self):
        bus = self.start_bus("lost", OPEN)
        self.env["DBUS_SESSION_BUS_ADDRESS"] = bus.address
        daemon = self.start_daemon("lost-daemon", "--session")
        self.wait_ready("--session")
        for _ in range(2):
            cycles = self.json("--session", "status")["cycle"]["count"]
            bus.stop()
            self.ctl("--session", "status", want=4)
            time.sleep(2)
            self.assertIsNone(daemon.process.poll(), daemon.log())
            bus.start()
            self.wait_ready("--session")
            self.assertGreater(self.json("--session", "status")["cycle"]["count"], cycles, "it went on meanwhile")
        self.assertIn("Lost the connection to the session bus", daemon.log())
        self.assertEqual(daemon.stop(), 0, daemon.log())

    def test_c3_watch_waits_for_the_daemon(self):
        bus = self.start_bus("watched", OPEN)
        self.env["DBUS_SESSION_BUS_ADDRESS"] = bus.address
        daemon = self.start_daemon("watched-daemon", "--session")
        self.wait_ready("--session")
        p = subprocess.Popen([BALLASTCTL, "--session", "list", "--watch=0.1", "--columns=name", "--no-legend", "web*"],
                             env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(p.communicate)
        self.addCleanup(p.kill)
        tables = p.stdout.fileno()

        def wait_for_table():
            out = b""
            while b"web1\nweb2\n" not in out:
                self.assertTrue(select.select([tables], [], [], HANG)[0], "no table")
                out += os.read(tables, 65536)

        wait_for_table()
        for stop, start in ((daemon.stop, lambda: self.start_daemon("watched-again", "--session")), (bus.stop, bus.start)):
            stop()
            self.assertEqual(p.stderr.readline(), "ballastctl: ballastd cannot be reached; waiting for it\n")
            while select.select([tables], [], [], 0)[0]:
                os.read(tables, 65536)  # from before
            start()
            wait_for_table()
        p.send_signal(signal.SIGINT)
        self.assertEqual((p.wait(HANG), p.stderr.read()), (0, ""))

    def test_bus_comes_late(self):
        self.env["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={self.folder}/late"
        daemon = self.start_daemon("late-daemon", "--session")
        wait_for("logged", lambda: "Cannot connect to the session bus" in daemon.log())
        self.start_bus("late", OPEN)
        self.wait_ready("--session")

    def test_stops_while_the_bus_is_away(self):
        self.env["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={self.folder}/never"
        daemon = self.start_daemon("never-daemon", "--session")
        wait_for("logged", lambda: "Cannot connect to the session bus" in daemon.log())
        self.assertEqual(daemon.stop(), 0, daemon.log())


@unittest.skipIf(os.getuid() != 0, "becoming other users needs root")
class SystemBus(World):
    """The installed D-Bus policy, on a bus as closed as the system's. Every Debian has its user and group."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(f"{SOURCE}/packaging/dbus/org.ballast1.conf") as f:
            policy = f.read()
        policy = policy.replace('user="ballast"', 'user="bin"').replace('group="ballast"', 'group="daemon"')
        with open(f"{cls.folder}/org.ballast1.conf", "w") as f:
            f.write(policy)
        cls.bus = cls.start_bus("system", CLOSED + f"<include>{cls.folder}/org.ballast1.conf</include>", "system")
        cls.env["DBUS_SYSTEM_BUS_ADDRESS"] = cls.bus.address

    def test_who_may_what(self):
        users = {"root": None, "bin": become(2, 2), "daemon": become(1, 1), "nobody": become(65534, 65534)}
        daemon = self.start_daemon("bin-daemon", "--system", user=users["bin"])
        self.addCleanup(daemon.stop)
        self.wait_ready()
        for name, read, change in (("root", 0, 0), ("bin", 0, 0), ("daemon", 0, 1), ("nobody", 1, 1)):
            with self.subTest(user=name):
                self.ctl("list", want=read, user=users[name])
                if read:
                    self.assertIn("members of the group ballast", self.err)
                self.ctl("mode", "auto", want=change, user=users[name])
                self.assertEqual(self.ctl("mode"), "observe\n" if change else "auto\n")
                self.ctl("mode", "observe")

    def test_ksm_is_for_the_daemons_user(self):
        """Members of the group may only read."""
        with open(f"{SOURCE}/packaging/tmpfiles/ballast.conf") as f:
            lines = [line.split()[1:5] for line in f if line.startswith("z")]
        names = ("run", "pages_to_scan", "sleep_millisecs", "merge_across_nodes")
        self.assertEqual(lines, [[f"/sys/kernel/mm/ksm/{n}", "0644", "ballast", "root"] for n in names])

    def test_owning_the_name(self):
        daemon = self.start_daemon("nobody-daemon", "--system", user=become(65534, 65534))
        self.assertNotEqual(daemon.process.wait(20), 0)
        self.assertIn("doesn't let this user have the name", daemon.log())

    def test_names_are_not_sent_to_all(self):
        log = open(f"{self.folder}/eavesdrop", "w+")
        self.addCleanup(log.close)
        listener = subprocess.Popen(["dbus-monitor", "--address", self.bus.address, "type='signal'"], stdout=log,
                                    stderr=log, env=self.env, preexec_fn=become(65534, 65534))
        self.addCleanup(listener.wait)
        self.addCleanup(listener.terminate)
        wait_for("listener", lambda: os.path.getsize(log.name))
        daemon = self.start_daemon("root-daemon", "--system")
        self.addCleanup(daemon.stop)
        self.wait_ready()
        time.sleep(0.5)
        with open(log.name) as f:
            text = f.read()
        self.assertIn("NameOwnerChanged", text)  # it does hear the bus
        self.assertNotIn("GuestAdded", text)


if __name__ == "__main__":
    BALLASTD, BALLASTCTL, SOURCE = map(os.path.abspath, sys.argv[1:4])
    TABLES = answers.Tables(SOURCE)
    for program in ("dbus-daemon", "dbus-monitor", "busctl"):
        if not shutil.which(program):
            print(f"skipped: there is no {program}")
            sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
