# SPDX-License-Identifier: LGPL-2.1-or-later
"""The figures of the overcommit bench, from what its guests print."""

import json
import os
import sys
import tempfile
import types
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, 'bench', 'overcommit'), os.path.join(TESTS, 'lab')]

import results  # noqa: E402
import rivals  # noqa: E402
import scenarios  # noqa: E402


def run(name, length):
    s = scenarios.BY_NAME[name]
    return types.SimpleNamespace(scenario=s, length=length, works=[s.work(n) for n in range(scenarios.GUESTS)])


class Overcommit(unittest.TestCase):
    def test_each_guest_works_a_quarter_of_the_time_and_two_at_a_time(self):
        for name in 'freed', 'stale', 'filled', 'fragments', 'reread-4', 'rest-25':
            works = run(name, 40).works
            for t in range(40):
                self.assertEqual(sum(w.works(t) for w in works), 2, name)
            for w in works:
                self.assertEqual(sum(w.works(t) for t in range(40)), 10, name)

    def test_sum_and_worst_guest_are_per_second(self):
        found = {n: {'pages': [100 * (n + 1)] * 40, 'late': {'1000': 95, '4000': 5}} for n in range(8)}
        figures = results.of_run(run('freed', 40), found)
        self.assertEqual(figures['pages_per_s'], 3600)
        # The first has 100 pages in each of 40 s, and worked 10 of them.
        self.assertEqual(figures['worst'], 400)
        self.assertEqual(figures['p95_ms'], 1)

    def test_of_the_waking_guest_the_first_five_seconds_count(self):
        found = {n: {'pages': [7] * 75, 'late': {'1000': 1}} for n in range(8)}
        found[0] = {'pages': [0] * 60 + [10, 20, 30, 40, 50] + [999] * 10, 'late': {'2000': 1}}
        figures = results.of_run(run('waking', 75), found)
        self.assertEqual(figures['first'], 30)
        self.assertEqual(figures['p95_ms'], 2)

    def test_the_table_has_medians_spread_and_ratio_in_the_rivals_order(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'results.jsonl')
            for rival, pages in ('ballast', 90e3), ('fpr', 120e3), ('fpr', 100e3), ('fpr', 90e3):
                results.append(path, {'scenario': 'freed', 'rival': rival, 'version': 'v', 'iops': 1000, 'kvm': False,
                                      'cores': 2, 'pages_per_s': pages, 'worst': 1e3, 'p95_ms': 2, 'guests_cpu': 3,
                                      'daemon_cpu': 0.25, 'agents_cpu': 0.5, 'swap_in_mib': 4})
            lines = [line for line in results.table(results._load(path)).splitlines() if 'report' in line or 'Ballast' in line]
        self.assertEqual(len(lines), 2)
        self.assertIn('| 100.0 (90.0–120.0) | 1.00 |', lines[0])
        self.assertIn('| 90.0 (90.0–90.0) | 0.90 |', lines[1])
        self.assertIn('| 0.75 |', lines[1])

    def test_names_are_unique_and_every_rival_of_a_scenario_is_known(self):
        for those in scenarios.ALL, rivals.ALL:
            self.assertEqual(len({it.name for it in those}), len(those))
        for rival in rivals.ALL:
            for name in rival.only or ():
                self.assertIn(name, scenarios.BY_NAME)


if __name__ == '__main__':
    unittest.main()
