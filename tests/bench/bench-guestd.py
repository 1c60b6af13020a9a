#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What ballast-guestd costs its guest. Prints lines "metric value unit", and fails where a figure is beyond its target.

The agent runs as it does in a guest, once a second, on a terminal in place of the virtio port; at the same pace
another process reads the same files and does nothing with them, which is what the agent's time is compared with: both
find their caches as cold as one second's pause leaves them.

Usage: bench-guestd.py PATH-OF-BALLAST-GUESTD [SECONDS]"""

import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE + "/../integration")
import importlib.util  # noqa: E402

from guestlink import fields, welcome  # noqa: E402

# The pieces of the integration test: its terminal for a port.
_spec = importlib.util.spec_from_file_location("test_guestd", HERE + "/../integration/test-guestd.py")
test_guestd = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(test_guestd)

FILES = ("meminfo", "vmstat", "zoneinfo", "buddyinfo", "pressure/memory", "pressure/io")
# The targets of ballast-guestd: share of one core at one report a second, private memory, bytes of a report.
MAX_SHARE_PERCENT, MAX_PRIVATE_KIB, MAX_REPORT_BYTES = 0.03, 400, 320


def cpu_usec(pid):
    with open(f"/proc/{pid}/schedstat") as f:
        return int(f.read().split()[0]) / 1000


def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith(("Private_Clean:", "Private_Dirty:")))


def open_files():
    return [os.open("/proc/" + name, os.O_RDONLY) for name in FILES if os.path.exists("/proc/" + name)]


def read_plainly(files):
    """CPU time in µs."""
    begin = time.thread_time_ns()
    for fd in files:
        at = 0
        while data := os.pread(fd, 65536, at):
            at += len(data)
    return (time.thread_time_ns() - begin) / 1000


def median(values):
    return sorted(values)[len(values) // 2]


def run(guestd, seconds):
    with tempfile.TemporaryDirectory(prefix="ballast-bench-") as folder:
        port = test_guestd.Port(folder + "/port")
        agent = subprocess.Popen([guestd, "--port", folder + "/port", "--run", folder], stderr=subprocess.DEVNULL)
        try:
            port.welcome()
            port.expect("report")
            port.expect("report")
            files, plain, costs, sizes = open_files(), [], [], []
            begin, cpu_begin = time.monotonic(), cpu_usec(agent.pid)
            cpu = cpu_begin
            for _ in range(seconds):
                sizes.append(port.expect("report").size)
                time.sleep(0.3)  # it has gone back to sleep, and so has the machine
                now = cpu_usec(agent.pid)
                costs.append(now - cpu)
                cpu = now
                plain.append(read_plainly(files))
            elapsed = time.monotonic() - begin
            return {
                "share": (cpu - cpu_begin) / 1e6 / elapsed * 100,
                "report": median(costs),
                "plain": median(plain),
                "private": private_kib(agent.pid),
                "size": max(sizes),
            }
        finally:
            agent.kill()
            agent.wait()
            port.close()


def large_report_bytes(guestd):
    """A report of a guest with 64 GiB, months of uptime, a hard life, strict overcommit, ZFS, zram and free page reporting."""
    with tempfile.TemporaryDirectory(prefix="ballast-bench-") as folder:
        fixture = test_guestd.Fixture(folder + "/proc", True)
        gib = 1 << 20
        names = ("MemFree", "MemAvailable", "Cached", "AnonPages", "SReclaimable", "Shmem", "SwapFree", "Buffers",
                 "Dirty", "Mlocked", "Active(file)", "Inactive(file)", "Active(anon)", "Inactive(anon)", "CommitLimit",
                 "Committed_AS")
        fixture.write("meminfo", f"MemTotal: {64 * gib} kB\nSwapTotal: {16 * gib} kB\nSwapCached: 0 kB\n"
                      + "".join(f"{name}: {9 * gib} kB\n" for name in names))
        fixture.write("vmstat", "".join(f"{name} {value}\n" for name, value in {
            "pswpin": 10**8, "pswpout": 10**8, "pgfault": 10**11, "pgmajfault": 10**8, "allocstall_normal": 10**6,
            "oom_kill": 10, "workingset_refault_anon": 10**8, "workingset_refault_file": 10**9,
            "pgscan_kswapd": 10**10, "pgsteal_kswapd": 10**10, "pgscan_direct": 10**9,
            "pgsteal_direct": 10**9}.items()))
        for name in ("memory", "io"):
            fixture.write("pressure/" + name, "".join(
                f"{level} avg10=25.00 avg60=25.00 avg300=25.00 total={10**11}\n" for level in ("some", "full")))
        fixture.write("zoneinfo", "Node 0, zone Normal\n  pages free 1\n        min 30000\n        low 50000\n"
                      "        high 60000\n")
        os.makedirs(fixture.path + "/sys/vm")
        os.makedirs(fixture.path + "/spl/kstat/zfs")
        fixture.write("buddyinfo", "Node 0, zone Normal " + "1000 " * 11 + "\n")
        fixture.write("swaps", f"Filename Type Size Used Priority\n/dev/zram0 partition {9 * gib} 0 100\n")
        fixture.write("sys/vm/overcommit_memory", "2\n")
        fixture.write("spl/kstat/zfs/arcstats", f"size 4 {9 << 30}\nc_min 4 {2 << 30}\n")
        driver = folder + "/sys/bus/virtio/drivers/virtio_balloon/virtio0"
        os.makedirs(driver)
        with open(driver + "/features", "w") as f:
            f.write("011001\n")
        port = test_guestd.Port(folder + "/port")
        agent = subprocess.Popen([guestd, "--port", folder + "/port", "--proc", fixture.path, "--sys", folder + "/sys"],
                                 stderr=subprocess.DEVNULL)
        try:
            port.expect("hello")
            port.send(welcome(0xFFFFFFFF))
            report = port.expect("report")
            assert len(report.body) == 34 + 1 and len(fields(report.body[35])) == 11, "a field is missing"
            return report.size
        finally:
            agent.kill()
            agent.wait()
            port.close()


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    guestd, seconds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 15
    r = run(guestd, seconds)
    large = large_report_bytes(guestd)
    print(f"guestd_cpu_share_1hz {r['share']:.4f} percent")
    print(f"guestd_cpu_per_report {r['report']:.0f} us")
    print(f"guestd_plain_read {r['plain']:.0f} us")
    print(f"guestd_cpu_per_report_to_plain_read {r['report'] / r['plain']:.2f} ratio")
    print(f"guestd_private_memory {r['private']} KiB")
    print(f"guestd_report_wire {r['size']} bytes")
    print(f"guestd_report_wire_large_guest {large} bytes")
    beyond = [what for what, is_beyond in (("CPU", r["share"] > MAX_SHARE_PERCENT),
                                           ("memory", r["private"] > MAX_PRIVATE_KIB),
                                           ("report", max(r["size"], large) > MAX_REPORT_BYTES)) if is_beyond]
    if beyond:
        sys.exit("beyond the target: " + ", ".join(beyond))


if __name__ == "__main__":
    main()
