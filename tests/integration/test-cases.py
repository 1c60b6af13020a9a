#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hosts on which a decision was wrong once, decided by the policies that Ballast ships. tests/fixtures/cases has their
snapshots; twins differ in the one thing that the case is about.

Usage: test-cases.py BALLASTCTL SOURCE [unittest options]"""

import json
import subprocess
import sys
import tempfile
import unittest

BALLASTCTL, SOURCE = sys.argv[1:3]
POLICIES = ("balloon", "conservative", "dense", "shares")
MIB = 1 << 20
GIB = 1 << 30
CYCLES = 200  # far more than a host takes to come to rest


def case(name):
    with open(f"{SOURCE}/tests/fixtures/cases/{name}.json") as f:
        return json.load(f)


class Cases(unittest.TestCase):
    def decide(self, snapshot, policy="balloon"):
        """Each guest's decision, by its name."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump(snapshot, f)
            f.flush()
            r = subprocess.run([BALLASTCTL, "policy", "run", f"{SOURCE}/policy/{policy}.policy", f"--snapshot={f.name}",
                                "--json"], capture_output=True, text=True, timeout=600)
        self.assertEqual(r.returncode, 0, r.stderr)
        return {d["name"]: d for d in json.loads(r.stdout)["guests"]}

    def targets(self, snapshot, policy="balloon"):
        return {name: d["target_bytes"] for name, d in self.decide(snapshot, policy).items()}

    def settle(self, snapshot, policy, cycles=CYCLES):
        """Decides again and again on a host that stays as short, and has the guests give what was decided: first free
        memory, then page cache."""
        for _ in range(cycles):
            targets = self.targets(snapshot, policy)
            rests = all(targets[g["name"]] == g.get("current_bytes") for g in snapshot["guests"])
            for g in snapshot["guests"]:
                current = g.get("current_bytes", g["full_bytes"])
                taken = current - targets[g["name"]]
                free = min(taken, g["free_bytes"])
                g["current_bytes"] = targets[g["name"]]
                g["free_bytes"] -= free
                g["cache_bytes"] = max(0, g["cache_bytes"] - (taken - free))
                g["available_bytes"] = max(0, g["available_bytes"] - taken)
            if rests:
                break  # the next decision is about the same snapshot, and so the same
        return snapshot

    def test_a1_a_guest_cannot_lie_about_its_balloon(self):
        for honest, lies in (("pend-honest-moving", ("pend-lie", "pend-max64")), ("donor-honest", ("donor-lie",))):
            for policy in POLICIES:
                want = self.decide(case(honest), policy)
                for lie in lies:
                    got = self.decide(case(lie), policy)
                    for name in ("shrunk", "idle"):
                        self.assertEqual(got[name]["target_bytes"], want[name]["target_bytes"], f"{lie}, {policy}: {name}")

    def test_b_a_container_at_its_limit_does_not_make_its_guest_keep_free_memory(self):
        full = {g["name"]: g["full_bytes"] for g in case("A-container-psi")["guests"]}
        for policy in POLICIES:
            got, want = self.targets(case("A-container-psi"), policy), self.targets(case("A2-same-without-distress"), policy)
            self.assertEqual(got, want, policy)
        self.assertLess(self.targets(case("A-container-psi"))["k8s-node"], full["k8s-node"])

    def test_b_c_guests_bound_to_a_full_node_give(self):
        for policy in POLICIES:
            got, want = self.decide(case("C-numa"), policy), self.decide(case("C2-numa-not-bound"), policy)
            for name in ("bound1", "bound2"):
                self.assertLess(got[name]["target_bytes"], 16 * GIB, f"{policy}: {got[name]}")
                self.assertTrue(got[name]["reason"].startswith("node 0: "), got[name])
            for name in ("free1", "free2"):
                self.assertEqual(got[name], want[name], policy)
        self.assertEqual({t for t in self.targets(case("C2-numa-not-bound")).values()}, {16 * GIB})

    def test_b_zram_is_no_swap(self):
        for policy in POLICIES:
            zram, without = case("E-zram"), case("E-zram")
            del without["guests"][0]["swap_memory_bytes"]
            self.assertEqual(self.settle(zram, policy)["guests"][0]["current_bytes"],
                             self.settle(without, policy)["guests"][0]["current_bytes"], policy)

    def test_b_swap_counts_by_what_is_left(self):
        for name in ("F2-swap-full-mark", "F4-tiny-swap"):
            for policy in POLICIES:
                self.assertEqual(self.targets(case(name), policy), self.targets(case("F3-no-swap"), policy), f"{name}, {policy}")

    def test_g_a_guest_with_little_swap_left_is_one_without(self):
        for policy in POLICIES:
            guest = self.settle(case("G2-earlyoom-little-swap"), policy)["guests"][0]
            self.assertGreater(guest["available_bytes"] / guest["current_bytes"], 0.10, policy)

    def test_g_zfs_is_nothing_to_a_killer(self):
        for policy in POLICIES:
            snapshot = case("G-earlyoom")
            snapshot["guests"][0].update(arc_bytes=GIB, free_bytes=GIB // 2, cache_bytes=5 * GIB // 2)
            guest = self.settle(snapshot, policy)["guests"][0]
            self.assertGreater((guest["available_bytes"] - GIB) / guest["current_bytes"], 0.10, policy)
            self.assertLess(guest["current_bytes"], guest["full_bytes"], policy)

    def test_c_a_host_that_suffers_gets_what_costs_guests_nothing(self):
        got = self.decide(case("C-host-suffers"))
        self.assertLess(got["idle"]["target_bytes"], 16 * GIB)
        self.assertGreaterEqual(got["idle"]["target_bytes"], 15 * GIB)
        self.assertIn("tasks of the host wait for memory", got["idle"]["reason"])
        self.assertEqual(got["busy"]["target_bytes"], 16 * GIB)

    def test_c_one_sign_alone_moves_nothing(self):
        calm, once, short = case("C-host-suffers"), case("C-host-suffers"), case("C-host-suffers")
        calm["host"].update(psi_memory_full=0.05)
        once["host"]["state"]["balloon.policy:wait_since"] = 86395000000  # for 5 s
        for snapshot in (calm, once, case("C2-container-stalls")):
            self.assertEqual(self.targets(snapshot), {"idle": 16 * GIB, "busy": 16 * GIB})
        # Below the pressure threshold it decides nothing.
        short["host"]["available_bytes"] = 20 * GIB
        without = case("C2-container-stalls")
        without["host"]["available_bytes"] = 20 * GIB
        self.assertEqual(self.decide(short), self.decide(without))

    def test_b_a_guest_without_swap_stays_above_the_marks_of_its_own_killer(self):
        for policy in POLICIES:
            guest = self.settle(case("G-earlyoom"), policy)["guests"][0]
            self.assertGreater(guest["available_bytes"] / guest["current_bytes"], 0.10, policy)

    def test_b_windows_that_reads_files_is_not_in_distress(self):
        for name in ("K-windows", "K3-windows-donor"):
            honest = case(name)
            del honest["guests"][0]["distress"]
            for policy in POLICIES:
                self.assertEqual(self.targets(case(name), policy), self.targets(honest, policy), f"{name}, {policy}")
        self.assertEqual(self.targets(case("K-windows")), self.targets(case("K2-windows-no-distress")))

    def test_b_strict_overcommit_keeps_what_is_committed(self):
        for policy in POLICIES:
            snapshot = case("N-overcommit2")
            guest = snapshot["guests"][0]
            # A limit of the guest's whole memory (vm.overcommit_ratio=100).
            guest.update(committed_bytes=12 * GIB, commit_limit_bytes=16 * GIB, total_bytes=16 * GIB)
            for _ in range(CYCLES):
                guest["commit_limit_bytes"] = guest["total_bytes"] = guest.get("current_bytes", 16 * GIB)
                self.settle(snapshot, policy, 1)
            self.assertGreater(guest["current_bytes"], 12 * GIB * 1.05, policy)
            self.assertLess(guest["current_bytes"], 15 * GIB, policy)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
