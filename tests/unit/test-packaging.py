#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is installed, and what the unit files and the packages' control files say.

Usage: test-packaging.py SOURCE BUILD"""

import json
import os
import re
import sys
import unittest

SOURCE, BUILD = sys.argv[1:]


def read(path):
    with open(os.path.join(SOURCE, path)) as f:
        return f.read()


def unit(name):
    """A unit's settings: {(section, key): [values]}."""
    settings, section = {}, None
    for line in read(f"packaging/systemd/{name}.service.in").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, value = line.split("=", 1)
            settings.setdefault((section, key), []).append(value)
    return settings


class Packaging(unittest.TestCase):
    def test_a4_nothing_is_installed_that_starts_ballastd_on_request(self):
        with open(f"{BUILD}/meson-info/intro-installed.json") as f:
            installed = json.load(f).values()
        self.assertTrue([p for p in installed if p.endswith("/dbus-1/system.d/org.ballast1.conf")], "looks in a wrong place")
        self.assertEqual([p for p in installed if "/dbus-1/system-services/" in p or "/dbus-1/services/" in p], [])
        self.assertNotIn(("Install", "Alias"), unit("ballastd"), "systemd starts dbus-NAME.service when a name is asked for")

    def test_a11_the_memory_of_ballastd_is_locked_and_not_only_asked_for(self):
        """MemoryMin= has no effect below a slice that has none; any limit on locked memory ends in failed allocations."""
        self.assertNotIn(("Service", "MemoryMin"), unit("ballastd"))
        self.assertEqual(unit("ballastd")["Service", "LimitMEMLOCK"], ["infinity"])

    def test_a18_a_daemon_that_always_fails_is_given_up(self):
        for name in "ballastd", "ballast-guestd":
            with self.subTest(unit=name):
                u = unit(name)
                burst, wait = int(u["Unit", "StartLimitBurst"][0]), u["Service", "RestartSec"][0]
                self.assertEqual(u["Unit", "StartLimitIntervalSec"], ["1min"])
                # The limit must be met by a daemon that also takes a second or two to fail.
                self.assertLess(burst * (int(wait.removesuffix("s")) + 5), 60)
                self.assertEqual(u["Service", "RestartPreventExitStatus"], ["2"], "EXIT STATUS of its manual")

    def test_c15_one_tool_makes_the_users(self):
        folder = f"{SOURCE}/packaging/debian"
        for name in os.listdir(folder):
            if os.path.isfile(f"{folder}/{name}"):
                self.assertNotRegex(read(f"packaging/debian/{name}"), r"\b(adduser|addgroup|useradd|usermod)\b", name)
        self.assertIn("dh-sequence-installsysusers", read("packaging/debian/control"))
        for name, file in ("ballast", "ballast.conf"), ("ballast-guest", "ballast-guest.conf"):
            self.assertRegex(read(f"packaging/sysusers/{file}"), rf"(?m)^u {name} ")

    def test_c15_the_service_has_access_to_libvirt_whichever_package_comes_first(self):
        self.assertRegex(read("packaging/sysusers/ballast.conf"), r"(?m)^m ballast libvirt$")

    def test_c15_the_readme_enables_only_what_no_package_enables(self):
        before, after = read("README.md").split("Without packages,")
        self.assertNotIn("systemctl enable", before)
        self.assertIn("systemctl enable --now ballastd", after)
        self.assertRegex(read("packaging/debian/rules"), r"(?m)^\tdh_installsystemd -p ballast-host ballastd\.service$")

    def test_c18_no_warning_is_an_error_unless_asked_for(self):
        """Packagers choose their own flags; tests/check.sh asks for -Dwerror=true."""
        with open(f"{BUILD}/compile_commands.json") as f:
            commands = [c["command"] for c in json.load(f)]
        self.assertGreater(len(commands), 100)
        self.assertEqual(sorted({w for c in commands for w in re.findall(r"-Werror=\S+", c)}), [])
        self.assertIn("-Dwerror=true", read("tests/check.sh"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
