#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What local users can do to ballastd over its bus and its lock, with the real daemon as in test-ctl.py: a bus that is
stopped, a client that never reads, and others at the lock.

Usage: test-bus.py BALLASTD BALLASTCTL SOURCE [unittest options]"""

import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import unittest

spec = importlib.util.spec_from_file_location("ctl", os.path.join(os.path.dirname(os.path.abspath(__file__)), "test-ctl.py"))
ctl = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ctl)

# Ten times what it takes an idle machine to run ten cycles, or to answer.
SOON = 20
# A line of the log for each cycle.
COUNTS = 'state cycles = 0\ncycles = cycles + 1\nlog("cycle", cycles)\n'
# The bus itself would refuse calls of a client that waits for many answers.
MANY = "<limit name='max_replies_per_connection'>10000</limit>"
CALL, RETURN, ERROR = 1, 2, 3  # types of messages


class Client:
    """A connection to a bus that sends calls, and reads only when it is told to."""

    TYPES = {1: "o", 2: "s", 3: "s", 4: "s", 5: "u", 6: "s", 7: "s", 8: "g", 9: "u"}  # of the header's fields

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(ctl.HANG)
        self.socket.connect(path)
        self.input = self.socket.makefile("rb")
        self.serial = 0
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        assert self.input.readline().startswith(b"OK ")
        self.socket.sendall(b"BEGIN\r\n")
        self.ask_bus("Hello")

    def close(self):
        self.input.close()
        self.socket.close()

    def send(self, member, text=None, destination="org.ballast1", path="/org/ballast1", interface="org.ballast1.Manager"):
        """Returns the serial number of the call."""
        def string(s):
            return struct.pack("<I", len(s)) + s.encode() + b"\0"

        def padded(b):
            return b + b"\0" * (-len(b) % 8)
        self.serial += 1
        body = b"" if text is None else string(text)
        fields = [(1, "o", string(path)), (2, "s", string(interface)), (3, "s", string(member)), (6, "s", string(destination))]
        if text is not None:
            fields.append((8, "g", b"\1s\0"))
        array = b""
        for code, type_, value in fields:
            array = padded(array) + bytes([code, 1]) + type_.encode() + b"\0" + value
        self.socket.sendall(padded(struct.pack("<cBBBIII", b"l", CALL, 0, 1, len(body), self.serial, len(array)) + array) + body)
        return self.serial

    def read(self):
        """(type, serial number of the call, name of the error) of the next answer."""
        while True:
            head = self.input.read(16)
            type_, (size, _, length) = head[1], struct.unpack("<III", head[4:])
            rest = self.input.read(length + -length % 8 + size)
            at, fields = 0, {}
            while at < length:
                code, at = rest[at], at + 4
                if self.TYPES[code] == "u":
                    value, at = struct.unpack_from("<I", rest, at)[0], at + 4
                else:
                    wide = self.TYPES[code] != "g"
                    n, at = (struct.unpack_from("<I", rest, at)[0], at + 4) if wide else (rest[at], at + 1)
                    value, at = rest[at:at + n].decode(), at + n + 1
                fields[code] = value
                at += -at % 8
            if type_ in (RETURN, ERROR):
                return type_, fields[5], fields.get(4)

    def ask_bus(self, member):
        serial = self.send(member, None, *("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"))
        answer = self.read()
        assert answer[:2] == (RETURN, serial), answer

    def answers(self, n):
        """{serial number: name of the error, or None} of the next n answers."""
        return {serial: error for _, serial, error in (self.read() for _ in range(n))}


class OnBus(ctl.World):
    def start(self, name, limits=""):
        """A bus of the test's own, and a daemon on it that logs each of its cycles."""
        self.bus = ctl.Bus(self.folder, name, ctl.OPEN + limits)
        self.addCleanup(self.bus.stop)
        type(self).env = {**self.env, "DBUS_SESSION_BUS_ADDRESS": self.bus.address}
        with open(f"{self.folder}/policy", "w") as f:
            f.write(COUNTS)
        self.write_config("[Daemon]\nInterval=200ms\n[Host]\nReserve=1GiB\n")
        self.daemon = self.start_daemon(name + "-daemon", "--session")
        # Before the bus ends.
        self.addCleanup(self.stop_daemon, self.daemon)
        self.wait_ready("--session")

    def client(self):
        c = Client(self.bus.path)
        self.addCleanup(c.close)
        return c

    def cycles(self):
        return self.daemon.log().count(": cycle ")

    def wait_answered(self):
        """Until somebody else is answered."""
        def answered():
            r = subprocess.run([ctl.BALLASTCTL, "--session", "status"], env=self.env, capture_output=True, text=True)
            return r.returncode == 0
        ctl.wait_for("another client is answered", answered, SOON)

    def test_a10_cycles_go_on_while_the_bus_is_stopped(self):
        self.start("stopped")
        clients = [self.client() for _ in range(2)]
        # The bus has passed on the calls, and then hangs before ballastd reads them.
        self.daemon.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.daemon.process.send_signal, signal.SIGCONT)
        for c in clients:
            for _ in range(4):
                c.send("SetMode", "observe")
            for _ in range(2):
                serial = c.send("GetId", None, "org.freedesktop.DBus", "/", "org.freedesktop.DBus")
                self.assertEqual(c.read()[1], serial)
        self.bus.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.bus.process.send_signal, signal.SIGCONT)
        before = self.cycles()
        self.daemon.process.send_signal(signal.SIGCONT)
        ctl.wait_for("ten cycles", lambda: self.cycles() >= before + 10, SOON)
        # The requests end, although the bus doesn't say who sent them.
        ctl.wait_for("refused", lambda: "SetMode refused: asked by an unknown user" in self.daemon.log())
        self.bus.process.send_signal(signal.SIGCONT)
        for c in clients:
            errors = c.answers(4)
            self.assertEqual(set(errors.values()), {"org.freedesktop.DBus.Error.AccessDenied"}, errors)
        self.ctl("--session", "mode", "auto")

    def test_a_client_that_never_reads_holds_up_nobody(self):
        self.start("unread", MANY)
        c = self.client()
        first = c.send("GetStatus")
        for _ in range(999):
            c.send("GetStatus")
        self.wait_answered()
        errors = c.answers(1000)
        self.assertEqual(set(errors), set(range(first, first + 1000)), "each call has its answer")
        self.assertLessEqual(set(errors.values()), {None, "org.ballast1.Error.Refused"})

    def test_answers_that_wait_are_bounded(self):
        """The bus itself takes no more of ballastd's answers until a client reads them."""
        self.start("bounded", MANY + "<limit name='max_incoming_bytes'>100000</limit>")
        c = self.client()
        for _ in range(1000):
            c.send("Dump")
        ctl.wait_for("refused", lambda: "further requests are refused" in self.daemon.log())
        before = self.cycles()
        ctl.wait_for("cycles go on", lambda: self.cycles() > before + 2, SOON)
        errors = list(c.answers(1000).values())
        self.assertIn("org.ballast1.Error.Refused", errors)
        self.wait_answered()


class Lock(ctl.World):
    setUp, status, start = ctl.Neighbours.setUp, ctl.Neighbours.status, ctl.Neighbours.start
    wait_connected = ctl.Neighbours.wait_connected

    def test_a9_nobody_hides_a_daemon_from_the_second(self):
        other_bus = ctl.Bus(self.folder, "first-bus", ctl.OPEN)
        self.addCleanup(other_bus.stop)
        first = self.start("hidden", env={**self.env, "DBUS_SESSION_BUS_ADDRESS": other_bus.address})
        self.wait_connected(first)
        with open("/proc/net/unix") as f:
            sockets = [line.split()[-1] for line in f if "@org.ballast1:" in line]
        for name in sockets:
            for _ in range(65):
                s = socket.socket(socket.AF_UNIX)
                self.addCleanup(s.close)
                s.setblocking(False)
                try:
                    s.connect("\0" + name[1:])
                except BlockingIOError:
                    break
        path = f"{self.folder}/run/lock"
        for _ in range(65):
            f = open(path, "rb")
            self.addCleanup(f.close)
        fcntl.flock(f, fcntl.LOCK_EX)
        if os.getuid() == 0:
            r = subprocess.run(["cat", path], capture_output=True, text=True, preexec_fn=ctl.become(65534, 65534))
            self.assertIn("Permission denied", r.stderr)

        second = self.start("finds-it", "--mode", "auto")
        self.wait_connected(second)
        status = self.status()
        self.assertEqual((status["mode"], status["neighbours"]), ("observe", f"another ballastd (process {first.process.pid})"))
        # A stopped daemon keeps the lock; when it ends, the second one takes it.
        self.assertEqual(first.stop(), 0, first.log())
        ctl.wait_for("its end is logged", lambda: "has ended" in second.log())

    def test_a9_a_lock_that_cannot_be_opened_holds_the_mode(self):
        daemon = self.start("cannot-check", "--mode", "auto", env={**self.env, "RUNTIME_DIRECTORY": "/nowhere/at-all"})
        self.wait_connected(daemon)
        status = self.status()
        self.assertEqual(status["mode"], "observe")
        self.assertIn("can't check whether another one manages the same guests", status["why"])
        self.assertIn("/nowhere/at-all/lock: No such file or directory", daemon.log())
        self.ctl("--session", "mode", "auto")
        self.assertEqual(self.status()["mode"], "auto")


if __name__ == "__main__":
    ctl.BALLASTD, ctl.BALLASTCTL, ctl.SOURCE = map(os.path.abspath, sys.argv[1:4])
    for program in ("dbus-daemon", "busctl"):
        if not shutil.which(program):
            print(f"skipped: there is no {program}")
            sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
