#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lever helper (ballast-guestd --lever-helper) as the agent sees it: its socket, its requests, its end. A folder has
the kernel's files. What it does to a real kernel is in tests/lab/test_levers.py.

Usage: test-levers.py PATH-OF-BALLAST-GUESTD [unittest options]"""

import collections
import importlib.util
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, FOLDER)
from guestlink import compact, reclaim  # noqa: E402

spec = importlib.util.spec_from_file_location("test_guestd", FOLDER + "/test-guestd.py")
test_guestd = importlib.util.module_from_spec(spec)
spec.loader.exec_module(test_guestd)

GUESTD = ""
HANG = 60  # far above what anything here takes on an idle machine
IDLE = 60  # after so long without a request it ends, if the service manager can start it again

PROBE, COMPACT, RECLAIM_FILE, RECLAIM_ANON, AGES = range(1, 6)
CAN_COMPACT, CAN_RECLAIM_FILE, CAN_RECLAIM_ANON, HAS_AGES = 8, 16, 32, 1024
EINVAL = 22

REQUEST = struct.Struct("=IIQ")
ANSWER = struct.Struct("=iIQQ3Q64s")
Answer = collections.namedtuple("Answer", "error levers got cpu cold missing")


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self.socket.connect(path)  # waits while the queue of clients is full
        except OSError:
            self.socket.close()
            raise
        self.socket.settimeout(HANG)

    def send(self, verb, size=0):
        self.socket.send(REQUEST.pack(verb, 0, size))

    def receive(self):
        data = self.socket.recv(4096)
        if not data:
            return None
        error, levers, got, cpu, *cold, missing = ANSWER.unpack(data)
        return Answer(error, levers, got, cpu, cold, missing.rstrip(b"\0").decode())

    def ask(self, verb, size=0):
        self.send(verb, size)
        return self.receive()

    def close(self):
        self.socket.close()


class Fixture:
    """A kernel that does whatever it is asked, and a run folder."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="ballast-levers-")
        self.run = self.path + "/run"
        self.socket = self.run + "/levers"
        for folder in ("proc/sys/vm", "proc/sys/kernel/random", "sys", "cgroup", "run"):
            os.makedirs(f"{self.path}/{folder}")
        self.write("proc/sys/kernel/random/boot_id", test_guestd.BOOT_ID + "\n")
        self.write("proc/meminfo", "MemTotal: 524288 kB\nMemFree: 100000 kB\nMemAvailable: 300000 kB\n"
                   "Buffers: 1 kB\nCached: 200000 kB\n"
                   "SwapTotal: 1000 kB\nSwapFree: 900 kB\n")
        self.write("proc/vmstat", "pgfault 1\npgmajfault 1\npgsteal_anon 5\npgsteal_file 7\n")
        self.write("proc/mounts", f"cgroup2 {self.path}/cgroup cgroup2 rw 0 0\n")
        self.write("proc/sys/vm/compact_memory", "")
        self.write("proc/sys/vm/swappiness", "60\n")
        self.write("cgroup/memory.reclaim", "")

    def write(self, name, text):
        with open(f"{self.path}/{name}", "w") as f:
            f.write(text)

    def read(self, name):
        with open(f"{self.path}/{name}") as f:
            return f.read()

    def arguments(self):
        return [GUESTD, "--lever-helper", "--proc", self.path + "/proc", "--sys", self.path + "/sys", "--run", self.run]

    def start(self):
        return subprocess.Popen(self.arguments(), stderr=subprocess.PIPE, text=True)

    def activate(self):
        """As systemd does: it gets a listening socket as descriptor 3. Returns it and the process."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listening.bind(self.socket)
        listening.listen(4)
        command = f'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&{listening.fileno()}'
        return listening, subprocess.Popen(["sh", "-c", command, "sh", *self.arguments()], text=True,
                                           stderr=subprocess.PIPE, pass_fds=[listening.fileno()])

    def remove(self):
        shutil.rmtree(self.path)


class HelperTest(unittest.TestCase):
    def setUp(self):
        self.fixture = Fixture()
        self.addCleanup(self.fixture.remove)
        self.helper = None

    def tearDown(self):
        if self.helper:
            self.end(self.helper)

    def end(self, helper, how=signal.SIGKILL):
        """Ends it, and returns its log."""
        if helper.poll() is None:
            helper.send_signal(how)
        log = helper.communicate(timeout=HANG)[1]
        self.assertNotIn("ERROR:", log)  # of a sanitizer
        return log

    def start(self):
        self.helper = self.fixture.start()
        end = time.monotonic() + HANG
        while True:
            try:
                return self.client()
            except (FileNotFoundError, ConnectionRefusedError, PermissionError):
                self.assertIsNone(self.helper.poll(), self.helper.stderr.read() if self.helper.poll() else "")
                self.assertLess(time.monotonic(), end, "the helper doesn't listen")
                time.sleep(0.01)

    def client(self):
        client = Client(self.fixture.socket)
        self.addCleanup(client.close)
        return client


class Requests(HelperTest):
    def test_are_answered(self):
        client = self.start()
        answer = client.ask(PROBE)
        self.assertEqual((answer.error, answer.levers, answer.missing),
                         (0, CAN_COMPACT | CAN_RECLAIM_FILE | CAN_RECLAIM_ANON, ""))
        self.assertEqual(client.ask(COMPACT).error, 0)
        self.assertEqual(self.fixture.read("proc/sys/vm/compact_memory"), "1")
        self.assertEqual(client.ask(RECLAIM_FILE, 4 << 20).error, 0)
        self.assertEqual(self.fixture.read("cgroup/memory.reclaim"), "4194304 swappiness=0")
        self.assertEqual(client.ask(RECLAIM_ANON, 4 << 20).error, 0)
        self.assertEqual(self.fixture.read("cgroup/memory.reclaim"), "4194304")

    def test_that_are_wrong_change_nothing(self):
        client = self.start()
        for verb, size in ((0, 0), (6, 0), (2 ** 32 - 1, 0), (RECLAIM_FILE, 0), (RECLAIM_FILE, (32 << 20) + 1),
                           (RECLAIM_ANON, 2 ** 64 - 1)):
            with self.subTest(verb=verb, size=size):
                self.assertEqual(client.ask(verb, size).error, -EINVAL)
        self.assertEqual(self.fixture.read("cgroup/memory.reclaim"), "0 swappiness=0")
        self.assertEqual(self.fixture.read("proc/sys/vm/compact_memory"), "")

    def test_of_another_size_end_the_connection(self):
        self.start()
        for data in (b"", b"x", REQUEST.pack(PROBE, 0, 0) + b"x", b"x" * 60000):
            client = self.client()
            client.socket.send(data)
            self.assertIsNone(client.receive())
        self.assertEqual(self.client().ask(PROBE).error, 0)

    def test_of_several_clients_take_turns(self):
        clients = [self.start()] + [self.client() for _ in range(3)]
        for client in clients:
            for _ in range(3):
                client.send(PROBE)
        for _ in range(3):
            for client in clients:
                self.assertEqual(client.receive().error, 0)
        # One too many.
        self.assertIsNone(self.client().receive())
        clients[0].close()
        self.assertEqual(clients[1].ask(PROBE).error, 0)

    def test_of_a_client_that_has_gone_are_dropped(self):
        client = self.start()
        for _ in range(100):
            client.send(PROBE)
            client.close()
            client = self.client()
        self.assertEqual(client.ask(PROBE).error, 0)

    def test_that_fail_are_logged_once(self):
        client = self.start()
        os.unlink(self.fixture.path + "/proc/vmstat")
        for _ in range(5):
            self.assertLess(client.ask(RECLAIM_FILE, 4 << 20).error, 0)
        log = self.end(self.helper, signal.SIGTERM)
        self.assertEqual(log.count("failed"), 1, log)


class Life(HelperTest):
    def test_ends_by_a_signal_and_leaves_nothing(self):
        self.start()
        self.assertEqual(stat.S_IMODE(os.stat(self.fixture.socket).st_mode) & 0o117, 0)
        log = self.end(self.helper, signal.SIGTERM)
        self.assertEqual(self.helper.returncode, 0, log)
        self.assertEqual(os.listdir(self.fixture.run), [])

    def test_a_second_one_is_refused(self):
        client = self.start()
        second = self.fixture.start()
        log = self.end(second, 0)
        self.assertEqual(second.returncode, 1, log)
        self.assertIn("Address already in use", log)
        self.assertEqual(client.ask(PROBE).error, 0)
        self.assertEqual(self.client().ask(PROBE).error, 0)

    def test_follows_one_that_was_killed(self):
        self.start()
        self.end(self.helper)
        self.assertEqual(os.listdir(self.fixture.run), ["levers"])
        self.fixture.write("run/swappiness", "60\n")
        self.fixture.write("proc/sys/vm/swappiness", "0\n")
        self.assertEqual(self.start().ask(PROBE).error, 0)
        self.assertEqual(self.fixture.read("proc/sys/vm/swappiness"), "60\n")
        self.assertEqual(os.listdir(self.fixture.run), ["levers"])
        self.assertIn("Restored vm.swappiness", self.end(self.helper, signal.SIGTERM))

    def test_refuses_a_folder_that_others_may_change(self):
        os.chmod(self.fixture.run, 0o777)
        helper = self.fixture.start()
        log = self.end(helper, 0)
        self.assertEqual(helper.returncode, 1)
        self.assertIn("only root can change", log)

    def test_its_command_line(self):
        r = subprocess.run([GUESTD, "--lever-helper", "--once"], capture_output=True, text=True)
        self.assertEqual(r.returncode, 2)
        self.assertIn("exclude each other", r.stderr)


class Agent(HelperTest):
    """The agent and its helper together; the test is the host."""
    FEATURES, MISSING = 5, 7  # of Hello
    GOT, WHY = 2, 6  # of Reclaimed
    DONE, NO_MORE, FAILED = 1, 4, 6

    def start_agent(self, *arguments):
        port = test_guestd.Port(self.fixture.path + "/port")
        self.addCleanup(port.close)
        # It reads the fixture's kernel: this machine's refaults would end what the host asks for.
        agent = subprocess.Popen([GUESTD, "--port", self.fixture.path + "/port", "--proc", self.fixture.path + "/proc",
                                  "--sys", self.fixture.path + "/sys", "--run", self.fixture.run, *arguments],
                                 stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, agent)
        return port

    def ask(self, port, request):
        port.send(request)
        return port.expect("reclaimed").body

    def test_the_first_hello_says_what_it_can_do(self):
        self.start()
        hello = self.start_agent().welcome().body
        self.assertEqual(hello[self.FEATURES] & 56, CAN_COMPACT | CAN_RECLAIM_FILE | CAN_RECLAIM_ANON)
        self.assertNotIn(self.MISSING, hello)

    def test_what_the_host_asks_is_done_and_written_down(self):
        self.start()
        port = self.start_agent()
        port.welcome()
        body = self.ask(port, reclaim(7, 64 << 20))
        # The fixture's kernel never says that it reclaimed anything.
        self.assertEqual((body[1], body[self.GOT], body[self.WHY]), (7, 0, self.NO_MORE))
        self.assertEqual(self.fixture.read("cgroup/memory.reclaim"), "4194304 swappiness=0")
        body = self.ask(port, compact(8))
        self.assertEqual((body[1], body[self.WHY]), (8, self.DONE))
        lines = self.fixture.read("run/history").splitlines()
        self.assertEqual(len(lines), 2, lines)
        self.assertIn("Page cache reclaimed for the hypervisor: 0 B of 64.0 MiB asked for", lines[0])
        self.assertIn("there was no more", lines[0])
        self.assertIn("Memory compacted for the hypervisor", lines[1])

    def test_switched_off(self):
        self.start()
        port = self.start_agent("--no-levers")
        hello = port.welcome().body
        self.assertEqual((hello[self.FEATURES] & 56, hello[self.MISSING]), (0, b"switched off in the guest"))
        self.assertEqual(self.ask(port, compact(3))[self.WHY], self.FAILED)
        self.assertEqual(self.fixture.read("proc/sys/vm/compact_memory"), "")

    def test_without_a_helper(self):
        port = self.start_agent()
        hello = port.welcome().body
        self.assertEqual((hello[self.FEATURES] & 56, hello[self.MISSING]), (0, b"no lever helper"))
        self.assertEqual(self.ask(port, compact(3))[self.WHY], self.FAILED)


class Activated(HelperTest):
    def test_serves_who_came_before_it_and_ends_when_idle(self):
        """The socket stays: the service manager made it."""
        listening, self.helper = self.fixture.activate()
        self.addCleanup(listening.close)
        client = self.client()
        self.assertEqual(client.ask(PROBE).error, 0)
        began = time.monotonic()
        self.assertEqual(self.helper.wait(IDLE + HANG), 0)
        self.assertGreater(time.monotonic() - began, IDLE - 2)
        self.assertIsNone(client.receive())
        self.assertTrue(os.path.exists(self.fixture.socket))


if __name__ == "__main__":
    GUESTD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
