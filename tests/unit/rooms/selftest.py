# SPDX-License-Identifier: LGPL-2.1-or-later
"""Plants violations of each kind. Each must be found, and nothing else may be."""

import os
import pathlib
import shutil
import subprocess
import tempfile

from rooms import check, graphs
from rooms.ladder import RECURSIONS, Ladder

# Includes: file, what it says, whether that is a violation.
INCLUDES = [
    ('base/a.h', '#include <stdint.h>\n', False),
    ('base/b.c', '#include "base/a.h"\n', False),
    ('base/c.c', '#include "proto/a.h"\n', True),
    ('base/d.c', '#include "a.h"\n', True),
    ('base/e.c', '#include <systemd/sd-bus.h>\n', True),
    ('base/f.c', '// #include "proto/a.h"\n/* "proto/a.h" */\n', False),
    ('proto/a.h', '#include "base/a.h"\n#include "proto/guest.pb-c.h"\n#include <protobuf-c/protobuf-c.h>\n', False),
    ('proto/b.h', '#include "policy/a.h"\n', True),
    ('policy/a.h', '#include "base/a.h"\n#include "policy/a.def"\n', False),
    ('policy/a.def', '', False),
    ('policy/b.c', '#include "host-agent/decide/a.h"\n', True),
    ('policy/c.c', '  #  include "proto/a.h"\n', True),
    ('policy/d.def', '#include "host-agent/decide/a.h"\n', True),
    ('policy/e.c', '#include <systemd/sd-bus.h>\n', True),
    ('policy/f.c', '#include <protobuf-c/protobuf-c.h>\n', True),
    ('guest-agent/a.c', '#include "proto/a.h"\n#include "base/a.h"\n', False),
    ('guest-agent/b.c', '#include "policy/a.h"\n', True),
    ('guest-agent/c.c', '#include "proto/guest.pb-c.h"\n', True),
    ('guest-agent/d.c', '#include <systemd/sd-event.h>\n', True),
    ('host-agent/decide/a.h', '#include "policy/a.h"\n#include <math.h>\n', False),
    ('host-agent/decide/b.c', '#include "host-agent/act/a.h"\n', True),
    ('host-agent/decide/c.c', '#include "host-agent/daemon/a.h"\n', True),
    ('host-agent/decide/d.c', '#include <libvirt/libvirt.h>\n', True),
    ('host-agent/decide/e.c', '#include "host-agent/decide/../act/a.h"\n', True),
    ('host-agent/decide/f.c', '#include <systemd/sd-event.h>\n', True),
    ('host-agent/decide/g.c', '#include "proto/a.h"\n', True),
    ('host-agent/decide/h.c', '#include "host-agent/notice.h"\n', True),
    ('host-agent/notice.h', '#include "host-agent/decide/a.h"\n', False),
    ('host-agent/notice.c', '#include "host-agent/libvirt/a.h"\n', True),
    ('host-agent/libvirt/a.h', '#include "host-agent/decide/a.h"\n#include "proto/a.h"\n', False),
    ('host-agent/libvirt/b.c', '#include <libvirt/libvirt.h>\n#include <libxml/parser.h>\n', False),
    ('host-agent/libvirt/c.c', '#include "host-agent/notice.h"\n', True),
    ('host-agent/guest/a.h', '#include "host-agent/libvirt/a.h"\n#include "host-agent/notice.h"\n', False),
    ('host-agent/guest/b.c', '#include "host-agent/sense/a.h"\n', True),
    ('host-agent/guest/c.c', '#include <systemd/sd-bus.h>\n', True),
    ('host-agent/guest/d.c', '#include <libvirt/libvirt.h>\n', True),
    ('host-agent/sense/a.h', '#include "host-agent/guest/a.h"\n#include <systemd/sd-event.h>\n', False),
    ('host-agent/sense/b.c', '#include "host-agent/act/a.h"\n', True),
    ('host-agent/act/a.h', '#include "base/a.h"\n', False),
    ('host-agent/act/b.c', '#include <libvirt/libvirt.h>\n', True),
    ('host-agent/act/c.c', '#include "host-agent/config/a.h"\n', True),
    ('host-agent/config/a.h', '#include <ini.h>\n', False),
    ('host-agent/daemon/a.h', '#include "host-agent/act/a.h"\n#include "host-agent/config/a.h"\n', False),
    ('host-agent/daemon/b.c', '#include "host-agent/show/a.h"\n', True),
    ('host-agent/daemon/c.c', '#include <systemd/sd-bus.h>\n', True),
    ('host-agent/daemon/d.c', '#include "host-agent/show/api.h"\n', True),
    ('host-agent/keep/a.c', '#include "host-agent/show/a.h"\n', True),
    ('host-agent/show/a.h', '#include "host-agent/daemon/a.h"\n#include <systemd/sd-bus.h>\n', False),
    ('host-agent/show/api.h', '', False),
    ('host-agent/show/b.c', '#include "host-agent/show/api.h"\n', False),
    ('host-agent/ctl/a.c', '#include "host-agent/show/api.h"\n#include "host-agent/decide/a.h"\n', False),
    ('host-agent/ctl/b.c', '#include "host-agent/show/a.h"\n', True),
    ('host-agent/ctl/c.c', '#include "host-agent/daemon/a.h"\n', True),
    ('host-agent/ctl/d.c', '#include "host-agent/notice.h"\n', True),
    ('host-agent/main.c', '#include "host-agent/show/a.h"\n#include "host-agent/daemon/a.h"\n', False),
    ('host-agent/manager.c', '', True),  # in no room
    # Two objects may know each other's types. Headers that include each other are a circle.
    ('host-agent/daemon/twin.h', '', False),
    ('host-agent/daemon/twin.c', '#include "host-agent/daemon/other.h"\n', False),
    ('host-agent/daemon/other.h', '#include "host-agent/daemon/twin.h"\n', False),
    ('host-agent/show/ring1.h', '#include "host-agent/show/ring2.h"\n', False),
    ('host-agent/show/ring2.h', '#include "host-agent/show/ring3.h"\n', False),
    ('host-agent/show/ring3.h', '#include "host-agent/show/ring1.h"\n', False),
]
INCLUDE_CIRCLES = ['3 files in a circle of includes: host-agent/show/ring1.h, ']


def function(name, *calls):
    """A .c file's text: a function that calls others."""
    return ''.join(f'int {c}(void);\n' for c in calls) + \
        f'int {name}(void);\nint {name}(void) {{\n    return {" + ".join(c + "()" for c in calls) or "1"};\n}}\n'


# Calls: a project that is built. CALL_VIOLATIONS has the beginning of each line that the check must print.
CALLS = {
    'meson.build': "project('planted', 'c')\n" + ''.join(f"subdir('{d}')\n" for d in (
        'base', 'policy', 'proto', 'guest-agent', 'host-agent/decide', 'host-agent/guest', 'host-agent/sense',
        'host-agent/daemon', 'host-agent/keep', 'host-agent')),
    'base/meson.build': "base = static_library('base', 'a.c', 'own.c', 'up.c', 'table.c')\n",
    'base/a.c': function('base_a'),
    # A static function isn't the global one of the same name.
    'base/own.c': 'static int (*volatile p)(void);\nstatic int daemon_a(void) {\n    return 2;\n}\n'
                  'int base_own(void);\nint base_own(void) {\n    p = daemon_a;\n    return p();\n}\n',
    'base/up.c': function('base_up', 'base_a', 'policy_a'),
    'base/table.c': 'extern int policy_table[2];\nint base_table(void);\n'
                    'int base_table(void) {\n    return policy_table[1];\n}\n',
    'policy/meson.build': "policy = static_library('policy', 'a.c', 'check-call.c', 'check-expr.c', 'eval.c', 'turn.c',\n"
                          "  'ring1.c', 'ring2.c', 'ring3.c', link_with: base)\n",
    'policy/a.c': 'int policy_table[2] = {1, 2};\n' + function('policy_a', 'base_a'),
    'policy/check-call.c': function('check_call', 'check_expr'),
    'policy/check-expr.c': function('check_expr', 'check_call'),
    'policy/eval.c': function('eval', 'turn'),
    'policy/turn.c': function('turn', 'eval'),
    'policy/ring1.c': function('ring1', 'ring2'),
    'policy/ring2.c': function('ring2', 'ring3'),
    'policy/ring3.c': function('ring3', 'ring1'),
    'proto/meson.build': "proto = static_library('proto', 'a.c')\n",
    'proto/a.c': function('proto_a', 'policy_a'),
    # Both agents have a link_new(). Each program calls its own.
    'guest-agent/meson.build': "agent = static_library('agent', 'link.c')\n"
                               "executable('agentd', 'main.c', link_with: [agent, proto, policy, base])\n",
    'guest-agent/link.c': function('link_new', 'proto_a'),
    'guest-agent/main.c': function('main', 'link_new'),
    'host-agent/decide/meson.build': "decide = static_library('decide', 'a.c', '../daemon/late.c')\n",
    'host-agent/decide/a.c': function('decide_a', 'policy_a'),
    'host-agent/guest/meson.build': "guest = static_library('guest', 'a.c', '../notice.c', link_with: decide)\n",
    'host-agent/guest/a.c': function('guest_a', 'notice_a', 'decide_a'),
    'host-agent/notice.c': function('notice_a'),
    'host-agent/sense/meson.build': "sense = static_library('sense', 'link.c', link_with: guest)\n",
    'host-agent/sense/link.c': function('link_new', 'guest_a', 'daemon_a'),
    'host-agent/daemon/meson.build': "daemon = static_library('daemon', 'a.c', 'b.c', link_with: sense)\n",
    'host-agent/daemon/a.c': function('daemon_a', 'daemon_b', 'link_new'),
    'host-agent/daemon/b.c': function('daemon_b', 'guest_a'),
    'host-agent/daemon/late.c': function('late'),
    # No program is linked with this library. Its calls are checked all the same.
    'host-agent/keep/meson.build': "static_library('keep', 'a.c')\n",
    'host-agent/keep/a.c': function('keep_a', 'main_a', 'guest_a'),
    # The folder is no room, so this library belongs to the lowest room in it, guest.
    'host-agent/meson.build': "static_library('loose', 'guest/a.c', 'daemon/b.c')\n"
                              "executable('agent', 'main.c', link_with: [daemon, sense, guest, decide, policy, base])\n",
    'host-agent/main.c': function('main_a') + function('main', 'daemon_a', 'base_up', 'base_table', 'check_call', 'ring1'),
}
CALL_VIOLATIONS = [
    'base/up.c: calls policy_a() of policy/a.c: ',
    'base/table.c: calls policy_table() of policy/a.c: ',
    'proto/a.c: calls policy_a() of policy/a.c: policy and proto stand on one rung',
    'host-agent/sense/link.c: calls daemon_a() of host-agent/daemon/a.c: daemon stands above sense',
    'host-agent/keep/a.c: calls main_a() of host-agent/main.c: ',
    'host-agent/decide/libdecide.a: has late of host-agent/daemon/late.c: daemon stands above decide',
    'host-agent/libloose.a: has daemon_b of host-agent/daemon/b.c: daemon stands above guest',
    '3 files in a circle of calls: policy/ring1, policy/ring2, policy/ring3: policy/ring1 → policy/ring2 (ring2()) → ',
    '2 files in a circle of calls: host-agent/daemon/a, host-agent/sense/link: ',
    'base/a and base/up are no circle of calls: ',
]


def plant(root, files):
    for path, text in files:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding='utf-8')


def differences(found, expected):
    """Lines that were found and not expected, and lines that were expected and not found."""
    yield from (f'refused: {line}' for line in found if not any(line.startswith(e) for e in expected))
    yield from (f'not refused: {e}' for e in expected if not any(line.startswith(e) for line in found))


def test_includes():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        plant(root, [(path, text) for path, text, _ in INCLUDES])
        found = [*check.check_includes(Ladder(), root),
                 *check.check_circles('includes', graphs.include_graph(root), [])]
    yield from differences(found, [path + ':' for path, _, violation in INCLUDES if violation] + INCLUDE_CIRCLES)


def test_calls(compiler, *options):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        plant(root, CALLS.items())
        env = os.environ | {'CC': compiler, 'CFLAGS': '', 'LDFLAGS': ''}
        for command in (['meson', 'setup', 'build', *options], ['meson', 'compile', '-C', 'build']):
            done = subprocess.run(command, cwd=root, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode:
                yield f'{" ".join(command)} with CC={compiler} failed:\n{done.stdout}'
                return
        found = check.violations(root, graphs.Build(root, root / 'build'), Ladder(), [*RECURSIONS, {'base/a', 'base/up'}])
    yield from differences(found, CALL_VIOLATIONS)


def test_grown_recursion():
    """Two files may call each other. A third in their circle is refused."""
    graph = {'a': {'b': 'b()'}, 'b': {'a': 'a()', 'c': 'c()'}, 'c': {'a': 'a()'}}
    found = list(check.check_circles('calls', graph, [{'a', 'b'}]))
    yield from differences(found, ['3 files in a circle of calls: a, b, c: a → b (b()) → a (a())'])


def run():
    wrong = [*test_includes(), *test_grown_recursion(), *test_calls(os.environ.get('CC', 'cc'))]
    if shutil.which('clang'):
        wrong += test_calls('clang', '-Db_sanitize=address', '-Db_lundef=false')
    for line in wrong:
        print(f'self-test: {line}')
    return 1 if wrong else 0
