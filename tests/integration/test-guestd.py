#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ballast-guestd as its host sees it: the real program, on a terminal in place of the virtio port.

A terminal in raw mode carries bytes both ways, can be opened by a path, and hangs up when its other side is closed. It
differs from a virtio port in that it never comes back from that: the agent has to open the port again, and finds here
another terminal under the same name. What the agent does on a virtio port that hangs up and comes back is seen in
tests/unit/test-guest-link.c and, on real guests, in tests/lab.

Usage: test-guestd.py PATH-OF-BALLAST-GUESTD [unittest options]"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tty
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from guestlink import Reader, compact, configure, fields, frame, pack, reclaim, varint, welcome  # noqa: E402

GUESTD = ""
BOOT_ID = open("/proc/sys/kernel/random/boot_id").read().strip()

# Fields of proto/guest.proto
AT, MEM_TOTAL, MEM_FREE, MEM_AVAILABLE, LOW_WATERMARK, SWAP_IN, OOM_KILLS = 1, 2, 3, 4, 13, 18, 26
DETAILS = 35  # its sizes are in units of 64 KiB
FREE_BLOCKS, LISTS = 1, (2, 3, 4, 5)
FAILED = 6  # why of Reclaimed
CAUSE, REPORT = 1, 2
CAUSE_PSI, CAUSE_SWAP_IN, CAUSE_STALL, CAUSE_OOM = 1, 2, 3, 4


# A limit for hangs: far above what anything here takes on an idle machine.
HANG = 60


class Port:
    """The host's side of the port; path is the guest's."""

    def __init__(self, path):
        self.master, self.slave = os.openpty()
        # Our end is kept open: a terminal forgets that it is raw once all its ends are closed.
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        os.set_blocking(self.slave, False)
        self.reader = Reader()
        self.queue = []
        temporary = path + ".new"
        os.symlink(os.ttyname(self.slave), temporary)
        os.rename(temporary, path)

    def hang_up(self):
        os.close(self.master)
        os.close(self.slave)
        self.master = -1

    def close(self):
        if self.master >= 0:
            self.hang_up()

    def fill(self):
        """Writes zeros from the guest's side until there is no more room, and none comes while the kernel moves
        them on. Returns how many."""
        filled, last = 0, time.monotonic()
        while time.monotonic() < last + 0.25:
            try:
                filled += os.write(self.slave, b"\0" * 64)
                last = time.monotonic()
            except BlockingIOError:
                time.sleep(0.005)
        return filled

    def send(self, data):
        while data:
            select.select([], [self.master], [], 5)
            data = data[os.write(self.master, data):]

    def read_some(self, timeout, size=4096):
        """Returns whether bytes came."""
        if not select.select([self.master], [], [], max(timeout, 0))[0]:
            return False
        try:
            data = os.read(self.master, size)
        except (BlockingIOError, OSError):
            return False
        self.queue += self.reader.feed(data)
        return True

    def next(self, timeout=HANG):
        """The next message, or None."""
        end = time.monotonic() + timeout
        while not self.queue and time.monotonic() < end:
            self.read_some(end - time.monotonic())
        return self.queue.pop(0) if self.queue else None

    def collect(self, seconds):
        """All messages within so long a time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read_some(end - time.monotonic())
        out, self.queue = self.queue, []
        return out

    def expect(self, kind, timeout=HANG):
        """The next message of this kind; what comes before it is dropped."""
        end = time.monotonic() + timeout
        while True:
            m = self.next(end - time.monotonic())
            if m is None:
                raise AssertionError(f"no {kind} within {timeout} s")
            if m.kind == kind:
                return m

    def welcome(self, nonce=0x1234):
        hello = self.expect("hello")
        self.send(welcome(nonce))
        return hello


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        parts = f.read().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


class Fixture:
    """A procfs with values that the test sets. Files are rewritten in place because the agent keeps them open."""

    VMSTAT = {"pswpin": 5000, "pswpout": 6000, "pgfault": 7000, "pgmajfault": 800, "allocstall_normal": 10,
              "oom_kill": 1000}

    def __init__(self, path, psi):
        self.path, self.psi = path, psi
        self.vmstat = dict(self.VMSTAT)
        self.stalled_usec = 1000000
        os.makedirs(path + "/sys/kernel/random")
        os.makedirs(path + "/pressure")
        self.write("sys/kernel/random/boot_id", BOOT_ID + "\n")
        self.write("meminfo", "MemTotal: 524288 kB\nMemFree: 100000 kB\nMemAvailable: 300000 kB\nBuffers: 1 kB\n"
                   "Cached: 200000 kB\nSwapCached: 0 kB\nAnonPages: 9 kB\nDirty: 0 kB\nShmem: 4 kB\n"
                   "SReclaimable: 7 kB\nMlocked: 0 kB\nSwapTotal: 1000 kB\nSwapFree: 900 kB\n")
        self.update()

    def write(self, name, text):
        fd = os.open(f"{self.path}/{name}", os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(fd, text.encode(), 0)
        os.close(fd)

    def update(self, **counters):
        """Adds to counters. Each is written with the same number of digits, so a file never shrinks."""
        for name, more in counters.items():
            if name == "stalled_usec":
                self.stalled_usec += more
            else:
                self.vmstat[name] += more
        self.write("vmstat", "".join(f"{name} {value:012}\n" for name, value in self.vmstat.items()))
        if self.psi:
            self.write("pressure/memory", "".join(
                f"{level} avg10=0.00 avg60=0.00 avg300=0.00 total={self.stalled_usec:012}\n"
                for level in ("some", "full")))


class GuestdTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="ballast-guestd-")
        self.addCleanup(self.folder.cleanup)
        self.path = self.folder.name + "/port"
        self.process = None
        self.addCleanup(self.stop)

    def new_port(self):
        port = Port(self.path)
        self.addCleanup(port.close)
        return port

    def start(self, *arguments, environment=None):
        self.process = subprocess.Popen(
            [GUESTD, "--port", self.path, "--run", self.folder.name, "--interval", "100ms", *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"} | (environment or {}))

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(HANG), 0)

    # -- the talk

    def test_hello_until_welcomed_and_nothing_else(self):
        port = self.new_port()
        self.start()
        first = port.next()
        self.assertEqual(first.kind, "hello")
        self.assertIsNone(first.nonce)
        self.assertEqual(first.body[1], 1)
        self.assertEqual(first.body[3].decode(), BOOT_ID)
        self.assertAlmostEqual(first.body[4] / 1e6, time.clock_gettime(time.CLOCK_BOOTTIME), delta=2)
        self.assertEqual(first.body[6].decode(), os.uname().release[:64])
        more = port.collect(4.5)
        self.assertEqual([m.kind for m in more], ["hello", "hello"])

        port.send(welcome(7))
        self.assertEqual(port.next().kind, "report")
        self.assertEqual({m.kind for m in port.collect(2.5)}, {"report"}, "no more hello after the welcome")
        self.assertEqual(port.reader.rubbish, b"")

    def test_nonce_is_echoed_and_the_newest_counts(self):
        port = self.new_port()
        self.start()
        port.welcome(0xDEADBEEF)
        for _ in range(3):
            self.assertEqual(port.expect("report").nonce, 0xDEADBEEF)
        port.send(welcome(0))
        port.collect(0.1)
        self.assertEqual(port.expect("report").nonce, 0)

    def test_report_is_what_the_kernel_says(self):
        port = self.new_port()
        self.start()
        port.welcome()
        with open("/proc/meminfo") as f:
            meminfo = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in f}
        m = port.expect("report")
        self.assertEqual(m.body[MEM_TOTAL], meminfo["MemTotal"])
        self.assertAlmostEqual(m.body[MEM_AVAILABLE], meminfo["MemAvailable"], delta=512 << 20)
        self.assertAlmostEqual(m.body[AT] / 1e6, time.clock_gettime(time.CLOCK_BOOTTIME), delta=2)
        self.assertGreater(m.body[LOW_WATERMARK], 0)
        details = fields(m.body[DETAILS])
        self.assertLessEqual(details[FREE_BLOCKS] << 16, m.body[MEM_FREE])
        lists = [details[number] << 16 for number in LISTS]
        self.assertLessEqual(m.body[MEM_FREE] + sum(lists), m.body[MEM_TOTAL])
        self.assertAlmostEqual(lists[0], meminfo["Active(file)"], delta=512 << 20)
        self.assertLessEqual(m.size, 320)

    def test_configure(self):
        port = self.new_port()
        self.start("--interval", "60s")
        port.expect("hello")
        port.send(configure(100000))  # too early: before Welcome
        port.send(welcome(1))
        port.expect("report")
        self.assertEqual(port.collect(0.6), [], "a configure before the welcome has no effect")
        port.send(configure(200000, 1))
        at = [port.expect("report").body[AT] for _ in range(12)]
        gaps = sorted(after - before for before, after in zip(at, at[1:]))
        self.assertAlmostEqual(gaps[len(gaps) // 2], 200000, delta=30000, msg=gaps)
        port.send(configure(60000000, 1))
        port.collect(0.5)
        self.assertEqual(port.collect(1.0), [])
        port.send(configure(1, 1))  # below what the protocol allows
        self.assertEqual(port.collect(0.5), [])

    def test_asked_for_what_it_cannot(self):
        port = self.new_port()
        self.start()
        port.send(compact(6))  # too early: before Welcome
        port.welcome(3)
        for id_, message in ((7, reclaim(7, 1 << 20)), (8, compact(8))):
            port.send(message)
            m = port.expect("reclaimed")
            self.assertEqual((m.nonce, m.body[1]), (3, id_))
            self.assertEqual(m.body[2], 0, "bytes got")
            self.assertEqual(m.body[6], FAILED)
        port.send(frame(b"\x5a\x02\x08\x01"))  # a message of a later version: 11
        port.expect("report")

    def test_interval_does_not_drift(self):
        port = self.new_port()
        self.start()
        port.welcome()
        port.expect("report")  # at once, before the first beat
        # How far each report is off a beat of 100 ms that began with the first. A busy machine makes some late, never one
        # early. If the beat drifts, none comes back to where the first ones were.
        began, late = port.expect("report").body[AT], [0]
        end = time.monotonic() + HANG
        while len(late) <= 40 or late[-1] > min(late[:10]) + 2000:
            self.assertLess(time.monotonic(), end, f"no report comes back to the beat: {late}")
            at = port.expect("report").body[AT]
            late.append(at - began - len(late) * 100000)
            if late[-1] >= min(late) + 90000:  # a beat was left out, and the agent counts from here on
                began, late = at, [0]

    def test_bad_bytes_of_the_host_are_passed_over(self):
        port = self.new_port()
        self.start()
        port.expect("hello")
        good = welcome(99)
        port.send(os.urandom(3000))
        port.send(b"BLST\xff\xff\x01\x00")
        port.send(good[:-3])                      # cut off
        port.send(good[:-1] + bytes([good[-1] ^ 1]))  # checksum wrong
        port.send(frame(b"\xff" * 50))            # no Envelope
        port.send(pack("hello", b"\x08\x01"))     # not for a guest
        port.send(pack("welcome", b"\x08\x02", 5))  # another protocol
        port.send(pack("welcome", b"\x08\x01"))   # without a nonce
        self.assertEqual({m.kind for m in port.collect(0.5)} - {"hello"}, set())
        port.send(good)
        self.assertEqual(port.expect("report").nonce, 99)
        port.send(os.urandom(5000))
        port.send(configure(500000, 99))
        port.collect(0.3)
        self.assertLessEqual(len(port.collect(2.0)), 5)
        self.assertIsNone(self.process.poll())

    # -- hosts that come, go, or don't listen

    def test_host_that_does_not_read(self):
        port = self.new_port()
        self.start()
        port.welcome()
        port.expect("report")
        # Fill the terminal, so that the agent finds it full, and then free it in small pieces.
        filler = port.fill()
        before = cpu_seconds(self.process.pid)
        time.sleep(1.5)
        self.assertLessEqual(cpu_seconds(self.process.pid) - before, 0.05, "a deaf host costs the guest")
        resumed = time.clock_gettime(time.CLOCK_BOOTTIME) * 1e6
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            port.read_some(0.05, 61)
        # Frames and filler, nothing else: the filler is the only rubbish, and all of it.
        self.assertEqual(bytes(port.reader.rubbish), b"\0" * filler)
        self.assertEqual({m.kind for m in port.queue}, {"report"})
        at = [m.body[AT] for m in port.queue]
        self.assertEqual(at, sorted(at))
        # Those that the terminal still took, then none for most of the pause, then at once the newest of it.
        longest, end = max((after - before, after) for before, after in zip(at, at[1:]))
        self.assertGreater(longest, 700000, at)
        self.assertGreater(end, resumed - 200000, at)
        self.assertGreater(len(at), 5)

    def test_host_away_and_back(self):
        port = self.new_port()
        self.start()
        port.welcome(1)
        port.expect("report")
        port.hang_up()
        os.unlink(self.path)
        time.sleep(0.2)
        port = self.new_port()
        m = port.next()
        self.assertEqual((m.kind, m.nonce), ("hello", None))
        self.assertEqual({m.kind for m in port.collect(1)} - {"hello"}, set(), "the old welcome is forgotten")
        port.send(welcome(2))
        self.assertEqual(port.expect("report").nonce, 2)

    def test_no_spinning_while_hung_up(self):
        port = self.new_port()
        self.start()
        port.welcome()
        port.expect("report")
        port.hang_up()  # and its path stays, pointing nowhere
        time.sleep(0.1)
        before = cpu_seconds(self.process.pid)
        time.sleep(2)
        self.assertLessEqual(cpu_seconds(self.process.pid) - before, 0.02)
        self.assertIsNone(self.process.poll())

    def test_port_not_there_yet(self):
        self.start()
        time.sleep(0.5)
        self.assertIsNone(self.process.poll())
        port = self.new_port()
        self.assertEqual(port.next().kind, "hello")

    # -- the end

    def test_goodbye(self):
        port = self.new_port()
        self.start()
        port.welcome(5)
        port.expect("report")
        self.process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        self.assertIsNone(self.process.poll(), "SIGHUP is ignored")
        self.terminate()
        last = port.collect(0.3)[-1]
        self.assertEqual((last.kind, last.nonce), ("goodbye", 5))

    def test_goodbye_does_not_wait_for_a_deaf_host(self):
        port = self.new_port()
        self.start()
        port.welcome()
        port.expect("report")
        port.fill()
        self.terminate()

    def test_no_goodbye_to_a_stranger(self):
        port = self.new_port()
        self.start()
        port.expect("hello")
        self.terminate()
        self.assertEqual([m.kind for m in port.collect(0.3)], [])

    # -- distress

    def distress_after(self, psi, patience=HANG, **counters):
        fixture = Fixture(self.folder.name + "/proc", psi)
        port = self.new_port()
        self.start("--proc", fixture.path, "--interval", "60s")
        hello = port.welcome(3)
        self.assertEqual(hello.body.get(5, 0) & 3, 1 if psi else 0, "PSI as expected, and no trigger")
        port.expect("report")
        self.assertEqual(port.collect(1.3), [], "calm, and the next report is a minute off")
        fixture.update(**counters)
        m = port.next(patience)
        self.assertIsNotNone(m, "no word")
        self.assertEqual((m.kind, m.nonce), ("distress", 3))
        self.assertEqual(port.collect(1.3), [], "distress that ended is reported once")
        return m

    def test_distress_swap_in(self):
        m = self.distress_after(False, pswpin=600)
        self.assertEqual(m.body[CAUSE], CAUSE_SWAP_IN)

    def test_distress_stall(self):
        m = self.distress_after(False, allocstall_normal=25)
        self.assertEqual(m.body[CAUSE], CAUSE_STALL)

    def test_distress_oom(self):
        m = self.distress_after(True, oom_kill=1)
        self.assertEqual(m.body[CAUSE], CAUSE_OOM)

    def test_distress_psi_without_a_trigger(self):
        m = self.distress_after(True, stalled_usec=200000, pswpin=0)
        self.assertEqual(m.body[CAUSE], CAUSE_PSI)

    def test_psi_knows_better_than_swap_in(self):
        with self.assertRaisesRegex(AssertionError, "no word"):
            self.distress_after(True, patience=1.5, pswpin=100000)

    # -- the service manager

    def test_needs_no_privilege_to_run(self):
        port = self.new_port()
        self.start()
        port.expect("hello")
        with open(f"/proc/{self.process.pid}/status") as f:
            status = {name: value.strip() for name, _, value in (line.partition(":") for line in f)}
        for name in ("CapEff", "CapPrm", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual(status["Threads"], "1")

    def test_notify(self):
        for address in (self.folder.name + "/notify", f"\0ballast-test-{os.getpid()}"):
            with self.subTest(address=address), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.bind(address)
                s.settimeout(HANG)
                port = self.new_port()
                self.start(environment={"NOTIFY_SOCKET": address.replace("\0", "@"), "WATCHDOG_USEC": "400000"})
                self.assertIn(b"READY=1", s.recv(4096).split(b"\n"))
                port.welcome()
                received = [s.recv(4096) for _ in range(4)]
                self.assertIn(b"STATUS=Reporting to the host", b"\n".join(received).split(b"\n"))
                self.assertGreaterEqual(received.count(b"WATCHDOG=1"), 2)
                self.process.send_signal(signal.SIGTERM)
                while b"STOPPING=1" not in s.recv(4096).split(b"\n"):
                    pass
                self.assertEqual(self.process.wait(HANG), 0)


class CommandTest(unittest.TestCase):
    """What is typed, and what comes out."""

    def run_guestd(self, *arguments):
        return subprocess.run([GUESTD, *arguments], capture_output=True, text=True, timeout=HANG)

    def test_once(self):
        p = self.run_guestd("--once", "--port", "/nonexistent")
        self.assertEqual((p.returncode, p.stderr), (0, ""))
        lines = {line.split()[0]: line for line in p.stdout.splitlines()}
        self.assertEqual(len(lines), 49)
        self.assertRegex(lines["mem_total"], r"^mem_total +\d+(\.\d+)? [KMGT]iB  MemTotal$")
        self.assertRegex(lines["psi_memory_some_avg10"], r"\d+\.\d\d%|-")
        self.assertRegex(lines["reporting"], r"^reporting +(yes|no|-)  ")
        self.assertEqual(len({line.index("  ", 37) for line in p.stdout.splitlines()}), 1, "aligned")

    def test_once_json(self):
        p = self.run_guestd("--once", "--json")
        self.assertEqual((p.returncode, p.stderr), (0, ""))
        report = json.loads(p.stdout)
        self.assertEqual(report["mem_total_bytes"], os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        self.assertLess(report["mem_free_bytes"], report["mem_total_bytes"])
        self.assertIn("oom_kills", report)
        self.assertLessEqual(report["free_blocks_bytes"], report["mem_free_bytes"])
        self.assertLess(report["active_file_bytes"] + report["inactive_file_bytes"], report["mem_total_bytes"])
        if os.path.exists("/proc/pressure/memory"):
            self.assertIsInstance(report["psi_memory_some_avg10_ratio"], float)
            self.assertIsInstance(report["psi_memory_some_total_usec"], int)

    def test_once_without_psi_and_vmstat(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/meminfo", "w") as f:
                f.write("MemTotal: 1000 kB\nMemFree: 900 kB\nMemAvailable: 950 kB\nBuffers: 0 kB\nCached: 0 kB\n"
                        "SwapCached: 0 kB\nAnonPages: 0 kB\nDirty: 0 kB\nShmem: 0 kB\nSReclaimable: 0 kB\n"
                        "Mlocked: 0 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n")
            report = json.loads(self.run_guestd("--once", "--json", "--proc", folder).stdout)
            self.assertEqual(report["mem_available_bytes"], 950 * 1024)
            self.assertNotIn("swap_in_bytes", report)
            self.assertNotIn("psi_memory_some_total_usec", report)
            text = self.run_guestd("--once", "--proc", folder)
            self.assertRegex(text.stdout, r"(?m)^swap_in +-  pswpin$")

    def test_once_with_a_balloon(self):
        with tempfile.TemporaryDirectory() as folder:
            driver = folder + "/bus/virtio/drivers/virtio_balloon/virtio2"
            os.makedirs(driver)
            for bit, reporting in (("1", True), ("0", False)):
                with open(driver + "/features", "w") as f:
                    f.write("01100" + bit + "0" * 58 + "\n")
                report = json.loads(self.run_guestd("--once", "--json", "--sys", folder).stdout)
                self.assertIs(report["reporting"], reporting)
            self.assertNotIn("reporting", json.loads(self.run_guestd("--once", "--json", "--sys", "/nonexistent").stdout))

    def test_unreadable_proc(self):
        p = self.run_guestd("--once", "--proc", "/nonexistent")
        self.assertEqual((p.returncode, p.stdout), (1, ""))
        self.assertIn("/nonexistent/meminfo", p.stderr)

    def test_usage(self):
        for arguments, hint in ((["--prot", "x"], "--port"), (["--onse"], "--once"), (["--json"], "--once"),
                                (["--interval", "50ms"], "100ms"), (["--interval", "soon"], "soon"),
                                (["--port"], "--port"), (["now"], "now"), (["-x"], "-x")):
            with self.subTest(arguments=arguments):
                p = self.run_guestd(*arguments)
                self.assertEqual((p.returncode, p.stdout), (2, ""))
                self.assertIn(hint, p.stderr)
                self.assertIn("--help", p.stderr)

    def test_help_and_version(self):
        p = self.run_guestd("--help")
        self.assertEqual((p.returncode, p.stderr), (0, ""))
        for option in ("--port", "--interval", "--once", "--json", "--proc", "--sys", "--version", "Examples:"):
            self.assertIn(option, p.stdout)
        self.assertRegex(self.run_guestd("--version").stdout, r"^ballast-guestd \d+\.\d+")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    GUESTD = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
