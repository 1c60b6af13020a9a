#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real ballastd among processes of other users and of containers that want to hold it up, as in test-ctl.py but with the
machine's own /proc. Needs root.

Usage: test-strangers.py BALLASTD BALLASTCTL SOURCE [unittest options]"""

import contextlib
import ctypes
import importlib.util
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import unittest

spec = importlib.util.spec_from_file_location("ctl", os.path.join(os.path.dirname(os.path.abspath(__file__)), "test-ctl.py"))
ctl = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ctl)

STRANGER = 65533  # no system user

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]

# sched.h, sys/mount.h, sys/prctl.h, sys/mman.h
CLONE_NEWNS = 0x20000
MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE = 2, 4, 1 << 14, 1 << 18
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
PROT_READ, MAP_PRIVATE = 1, 2
# linux/fuse.h
FORGET, GETATTR, OPEN, READ, INIT, INTERRUPT, BATCH_FORGET = 2, 3, 14, 15, 26, 36, 42
FOPEN_DIRECT_IO = 1
MODE, SIZE = 0o100644, 65536


def call(r):
    if r != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def answer(fuse, unique, data=b"", error=0):
    os.write(fuse, struct.pack("=IiQ", 16 + len(data), -error, unique) + data)


def serve(fuse, on_read):
    """A file system that is one file. Its first opening has it cached, the others haven't, and reading it waits for ever."""
    opened = 0
    while True:
        _, opcode, unique = struct.unpack_from("=IIQ", os.read(fuse, 1 << 17))
        if opcode == INIT:
            answer(fuse, unique, struct.pack("=4I2H2I2H8I", 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, *[0] * 8))
        elif opcode == GETATTR:
            answer(fuse, unique, struct.pack("=QII6Q10I", 3600, 0, 0, 1, SIZE, SIZE // 512, 0, 0, 0, 0, 0, 0, MODE, 1, 0, 0, 0,
                                             4096, 0))
        elif opcode == OPEN:
            answer(fuse, unique, struct.pack("=QII", 0, FOPEN_DIRECT_IO if opened else 0, 0))
            opened += 1
        elif opcode == READ:
            on_read()
        elif opcode not in (FORGET, BATCH_FORGET, INTERRUPT):
            answer(fuse, unique, error=38)  # ENOSYS


def hang(path, go):
    """One thread reads the file, which locks its first page in the cache. This one maps the file, and waits for that page with
    its address space locked: whoever reads the process's arguments, for which the kernel takes that lock, waits with it."""
    cached, direct = os.open(path, os.O_RDONLY), os.open(path, os.O_RDONLY)
    threading.Thread(target=os.read, args=(cached, 1), daemon=True).start()
    os.read(go, 1)
    libc.mmap(None, 4096, PROT_READ, MAP_PRIVATE, direct, 0)


def stranger(path, uid, name):
    """Serves a file, and starts a process that hangs on it. That ends with this one, and this one with its parent."""
    call(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
    call(libc.unshare(CLONE_NEWNS))
    call(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    call(libc.mount(b"stranger", path.encode(), b"fuse", MS_NOSUID | MS_NODEV,
                    f"fd={fuse},rootmode={MODE:o},user_id={uid},group_id={uid},allow_other".encode()))
    go = os.pipe()
    pid = os.fork()
    if pid == 0:
        # Had this one the descriptor, too, it would hold the file system open that it waits for, and nothing ended it.
        os.close(fuse)
        os.close(go[1])
        ctl.become(uid, uid)()
        call(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        call(libc.prctl(PR_SET_NAME, name.encode()))
        hang(path, go[0])
        os._exit(1)
    print(pid, flush=True)
    serve(fuse, lambda: os.write(go[1], b"x"))


def has_arguments(pid):
    """False: reading them has no end."""
    with subprocess.Popen(["cat", f"/proc/{pid}/cmdline"], stdout=subprocess.DEVNULL) as cat:
        try:
            return cat.wait(3) == 0
        except subprocess.TimeoutExpired:
            cat.kill()
            return False


class Strangers(ctl.World):
    def setUp(self):
        self.bus = ctl.Bus(self.folder, f"bus-{self._testMethodName}", ctl.OPEN)
        self.addCleanup(self.bus.stop)
        self.env = {**type(self).env, "DBUS_SESSION_BUS_ADDRESS": self.bus.address}
        self.write_config("[Daemon]\nMode=auto\n")

    def start(self, name):
        """On a node of its own: otherwise the daemons find each other by their lock."""
        node = f"{self.folder}/{self._testMethodName}.xml"
        if not os.path.exists(node):
            shutil.copy(f"{self.folder}/node.xml", node)
        daemon = ctl.Daemon(self.folder, name, self.env, "--session", "--connect", f"test://{node}", "--config",
                            f"{self.folder}/ballastd.conf", "--policy", f"{self.folder}/policy")
        self.addCleanup(self.stop_daemon, daemon)
        ctl.wait_for("guests", lambda: daemon.log().count(": found, full size") == len(ctl.UUIDS))
        return daemon

    def hang(self, uid, name):
        """Starts a process whose arguments can't be read. Returns its number, and what ends it."""
        path = f"{self.folder}/file"
        with open(path, "w"):
            pass
        server = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--stranger", path, str(uid), name],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def end():
            server.kill()
            server.communicate()
        self.addCleanup(end)
        line = server.stdout.readline()
        if not line:
            raise unittest.SkipTest(f"no FUSE here: {server.communicate()[1].splitlines()[-1]}")
        pid = int(line)
        for _ in range(50):
            if not has_arguments(pid):
                break
            time.sleep(0.1)
        else:
            raise unittest.SkipTest("on this kernel the arguments of a process don't wait for it")
        # What the daemon reads of processes on its loop. (That these don't hang is up to the kernel.)
        for name in ("comm", "status", "stat", "cgroup", "ksm_merging_pages"):
            with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/{name}") as f:
                f.read()
        return pid, end

    def status(self):
        return self.json("--session", "status")

    def test_a2_a_stranger_whose_arguments_never_come(self):
        for name in ("sh", "qemu-system-x86"):
            _, end = self.hang(STRANGER, name)
            daemon = self.start(f"beside-{name}")
            self.assertEqual(self.status()["mode"], "auto")
            self.ctl("--session", "reload")
            self.assertEqual(daemon.stop(), 0)
            self.assertNotIn("has kept its arguments", daemon.log())
            end()

    def test_a2_a_guest_that_has_broken_out(self):
        """Its process has the user of the guests' QEMUs, so its arguments are read; the daemon goes on and can be stopped."""
        # A thread that waits for arguments ends with the process. The leak check wants to stop it before that, and waits for ever.
        self.env["ASAN_OPTIONS"] = f"{self.env.get('ASAN_OPTIONS', '')}:detect_leaks=0"
        node = f"{self.folder}/{self._testMethodName}.xml"
        label = f"<seclabel type='static' model='dac' relabel='no'><label>+{STRANGER}:+{STRANGER}</label></seclabel>"
        with open(f"{self.folder}/node.xml") as f, open(node, "w") as g:
            g.write(f.read().replace("</devices>", f"</devices>{label}"))
        pid, end = self.hang(STRANGER, "qemu-system-x86")
        for name in ("stopped", "goes-on"):
            daemon = self.start(name)
            ctl.wait_for("seen", lambda: f"Process {pid} has kept its arguments from being read" in daemon.log())
            count = self.status()["cycle"]["count"]
            ctl.wait_for("cycles", lambda: self.status()["cycle"]["count"] > count)
            if name == "stopped":
                self.assertEqual(daemon.stop(), 0)
        end()
        ctl.wait_for("over", lambda: "ballastd can search for QEMU processes again" in daemon.log())
        self.assertEqual(daemon.log().count("has kept its arguments"), 1, "logged once")

    def test_a_guests_process_is_found(self):
        self.start("finds")
        qemu = subprocess.Popen(["sh", "-c", "read line", "-uuid", ctl.UUIDS[ctl.WEB1]], stdin=subprocess.PIPE)
        self.addCleanup(qemu.communicate)
        ctl.wait_for("found", lambda: self.json("--session", "stats", ctl.WEB1)["held"]["source"] == "process")

    def test_a5_momd_in_a_container(self):
        momd = f"{self.folder}/momd"
        with open(momd, "w") as f:
            f.write("#!/bin/sh\necho\nread line\n")
        os.chmod(momd, 0o755)

        def start_momd(*command, **options):
            p = subprocess.Popen([*command, momd], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
            self.addCleanup(p.communicate)
            if not p.stdout.readline():
                raise unittest.SkipTest("no PID namespaces here")
        start_momd("unshare", "--pid", "--fork")
        daemon = self.start("container")
        self.ctl("--session", "reload")
        self.assertEqual((self.status()["mode"], self.status()["neighbours"]), ("auto", ""))
        self.assertNotIn("manages memory", daemon.log())
        # The host's own, with more groups than fit where only the first lines of its status are read.
        start_momd(preexec_fn=lambda: os.setgroups(range(100000, 110000)))
        self.ctl("--session", "reload")
        self.assertEqual(self.status()["mode"], "observe")
        self.assertRegex(self.status()["neighbours"], r"^momd \(process \d+\)$")


if __name__ == "__main__":
    if sys.argv[1] == "--stranger":
        stranger(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    if os.getuid() != 0:
        print("skipped: processes of other users need root")
        sys.exit(77)
    ctl.BALLASTD, ctl.BALLASTCTL, ctl.SOURCE = map(os.path.abspath, sys.argv[1:4])
    for program in ("dbus-daemon", "unshare"):
        if not shutil.which(program):
            print(f"skipped: there is no {program}")
            sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
