#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ballastctl set on a real libvirtd with real QEMUs (without a system in them): what it writes, what virsh writes, and that
it is answered whatever happens meanwhile. Without it: test-ctl.py.

    test-set.py BUILD"""

import contextlib
import importlib.util
import json
import os
import re
import sys
import time

spec = importlib.util.spec_from_file_location('virt', os.path.join(os.path.dirname(os.path.abspath(__file__)), 'test-virt.py'))
virt = importlib.util.module_from_spec(spec)
spec.loader.exec_module(virt)

from lab import SKIP, Unavailable, build_file
from waiting import HANG, wait

MIB = 1 << 20
URI = 'urn:ballast:guest:1'


class Daemon:
    def __init__(self, session):
        self.session = session
        self.ctl_path = session.copy('bin', build_file(session.build, 'host-agent', 'ctl', 'ballastctl'))
        config = session.path('run', 'ballastd.conf')
        with open(config, 'w') as f:
            f.write('[Daemon]\nInterval=200ms\n[Guest off-*]\nMode=off\n')
        self.log_path = session.path('run', 'ballastd.log')
        with open(self.log_path, 'w') as log:
            self.process = session.spawn([session.copy('bin', build_file(session.build, 'host-agent', 'ballastd')), '--session',
                                          '--connect', 'qemu:///session', '--config', session.give(config), '--policy',
                                          session.copy('bin', os.path.join(os.path.dirname(virt.lab.__file__), '..', '..',
                                                                           'policy', 'balloon.policy'))],
                                         stdout=log, stderr=log)
        session.at_end(self.stop)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(HANG)
        if status != 0:
            with open(self.log_path) as f:
                raise AssertionError(f'ballastd ended with {status}:\n{f.read()}')

    def ctl(self, *words):
        return self.session.run([self.ctl_path, '--session', *words], check=False)

    def start(self, *words):
        """The same, not waited for."""
        return self.session.spawn([self.ctl_path, '--session', *words], stdout=-1, stderr=-1, text=True)

    def guest(self, domain):
        r = self.ctl('stats', domain.name, '--json')
        return json.loads(r.stdout) if r.returncode == 0 else None

    def entitlement(self, domain):
        return json.loads(self.ctl('set', domain.name, '--json').stdout)

    def domain(self, name, **kwargs):
        d = virt.Domain(self.session, name, **kwargs)
        wait(f'{name} is known', lambda: self.guest(d) and not self.guest(d)['busy'])
        return d


def set_(daemon, domain, *words, want=0):
    r = daemon.ctl('set', domain.name, *words)
    assert r.returncode == want, f'set {words}: exit {r.returncode}: {r.stdout}{r.stderr}'
    return r.stdout + r.stderr


def refused(process, why):
    """It is answered, with an error that says why. Returns how long that took."""
    began = time.monotonic()
    out, err = process.communicate(timeout=HANG)
    assert process.returncode == 1 and re.search(why, err), f'exit {process.returncode}: {out}{err}'
    return time.monotonic() - began


def test_live_and_persistent(daemon):
    d = daemon.domain('both', persistent=True)
    said = set_(daemon, d, '--min', '32MiB', '--shares', '2000')
    assert 'in the running domain and in its definition' in said, said
    for where in ('--live', '--config'):
        xml = d.session.virsh('metadata', d.name, '--uri', URI, where)
        assert 'min="32MiB"' in xml and 'shares="2000"' in xml and 'mode' not in xml, xml
    wait('it counts', lambda: daemon.guest(d)['floor_bytes'] == 32 * MIB)

    set_(daemon, d, '--clear')
    for where in ('--live', '--config'):
        r = d.session.run(['virsh', '-q', '-c', 'qemu:///session', 'metadata', d.name, '--uri', URI, where], check=False)
        assert r.returncode != 0, f'still there: {r.stdout}'
    wait('it counts no longer', lambda: daemon.entitlement(d)['min_origin'] == 'default')
    d.destroy()
    d.session.virsh('undefine', d.name)

    transient = daemon.domain('transient')
    assert 'which has no definition to keep it' in set_(daemon, transient, '--mode', 'off')
    wait('it counts', lambda: daemon.guest(transient)['mode'] == 'off')
    transient.destroy()


def test_by_virsh(daemon):
    d = daemon.domain('virsh')

    def write(xml):
        d.session.virsh('metadata', d.name, '--uri', URI, '--key', 'ballast', '--set', xml, '--live')
    write("<guest min='40MiB'/>")
    wait('it counts', lambda: daemon.guest(d)['floor_bytes'] == 40 * MIB)
    assert daemon.entitlement(d)['min_origin'] == 'domain'

    write("<guest min='many' shares='5'/>")
    wait('the problem is reported', lambda: daemon.entitlement(d)['problem'])
    e = daemon.entitlement(d)
    assert 'min=many' in e['problem'] and e['shares'] == 5 and e['min_set_bytes'] is None, e
    assert 'Problem: ' in set_(daemon, d)
    # Nothing of what counts changes, and the metadata is put right.
    assert 'written again' in set_(daemon, d, '--shares', '5')
    wait('it is put right', lambda: daemon.entitlement(d)['problem'] is None)

    # What was written a moment ago, and isn't read yet, isn't taken back by a change of something else.
    for n in range(40, 44):
        write(f"<guest min='{n}MiB'/>")
    set_(daemon, d, '--shares', '7')
    assert 'min="43MiB"' in d.metadata('--live') and 'shares="7"' in d.metadata('--live'), d.metadata('--live')
    wait('both count', lambda: daemon.guest(d)['floor_bytes'] == 43 * MIB)
    for n in range(40, 44):
        write(f"<guest min='{n}MiB'/>")
    assert 'min=43MiB is more than full=42MiB' in set_(daemon, d, '--full', '42MiB', want=1)
    d.destroy()


def test_asked_at_once(daemon):
    """Who was answered finds what was set, in the running domain and in its definition."""
    d = daemon.domain('once', persistent=True)
    for n in range(30, 40):
        set_(daemon, d, '--min', f'{n}MiB')
        e = daemon.entitlement(d)
        assert (e['min_set_bytes'], e['min_bytes']) == (n * MIB, n * MIB), e
    # The definition lacks the entitlement of the running domain.
    d.session.virsh('metadata', d.name, '--uri', URI, '--remove', '--config')
    assert 'as before, written again; in the running domain and in its definition' in set_(daemon, d, '--min', '39MiB')
    assert 'min="39MiB"' in d.metadata('--config')
    d.destroy()
    d.session.virsh('undefine', d.name)


def test_a17_what_observe_changes(daemon):
    """The daemon is in mode observe. What it changes of a guest: ballastd(8)."""
    def cycles():
        return json.loads(daemon.ctl('status', '--json').stdout)['cycle']['count']
    seen, off = daemon.domain('seen'), daemon.domain('off-1')
    assert daemon.guest(off)['mode'] == 'off' and daemon.guest(seen)['mode'] == 'observe'
    wait('the channel is open', lambda: daemon.guest(seen)['channel']['open'])
    wait('stats are asked for', lambda: '<stats period=' in seen.session.virsh('dumpxml', seen.name))
    began = cycles()
    wait('it decides', lambda: cycles() >= began + 10)
    assert not daemon.guest(off)['channel']['open']
    assert '<stats period=' not in off.session.virsh('dumpxml', off.name)
    assert daemon.guest(off)['current_bytes'] == 64 * MIB, daemon.guest(off)
    for d in (seen, off):
        assert 'urn:ballast' not in d.session.virsh('dumpxml', d.name)
    # It is managed from now on, and left alone again.
    set_(daemon, off, '--mode', 'observe')
    wait('the channel is open', lambda: daemon.guest(off)['channel']['open'])
    set_(daemon, off, '--mode', 'off')
    wait('the channel is closed', lambda: not daemon.guest(off)['channel']['open'])
    for d in (seen, off):
        d.destroy()


def test_shut_off(daemon):
    """What is set for a domain that doesn't run comes into force when it starts."""
    d = daemon.domain('off', persistent=True)
    d.destroy()
    wait('it is no guest any more', lambda: not daemon.guest(d) and not daemon.entitlement(d)['min_set_bytes'])
    rows = {g['name']: g for g in json.loads(daemon.ctl('list', '--all', '--json').stdout)}
    assert rows['off']['shut_off'] and rows['off']['full_bytes'] == rows['off']['maximum_bytes'], rows['off']
    said = set_(daemon, d, '--min', '32MiB', '--mode', 'off')
    assert said == ('off: min default → 32.0 MiB, mode default → off; in its definition; it is shut off, and this comes into force '
                    'when it starts\n'), said
    assert 'min="32MiB"' in d.metadata('--config'), d.metadata('--config')
    e = daemon.entitlement(d)
    assert (e['shut_off'], e['min_set_bytes'], e['min_origin'], e['mode_set']) == (True, 32 * MIB, 'domain', 'off'), e
    # What virsh wrote meanwhile stays, and a contradiction with it is refused.
    d.session.virsh('metadata', d.name, '--uri', URI, '--key', 'ballast', '--set', "<guest max='40MiB'/>", '--config')
    assert 'min=48MiB is more than max=40MiB' in set_(daemon, d, '--min', '48MiB', want=1)
    set_(daemon, d, '--min', '24MiB', '--full', '40MiB')
    assert all(w in d.metadata('--config') for w in ('min="24MiB"', 'full="40MiB"', 'max="40MiB"')), d.metadata('--config')
    assert daemon.ctl('stats', d.name).returncode == 1 and daemon.ctl('release', d.name).returncode == 1
    d.session.virsh('start', d.name)
    wait('it is in force', lambda: (daemon.guest(d) or {}).get('floor_bytes') == 24 * MIB)
    e = daemon.entitlement(d)
    assert (e['shut_off'], e['full_bytes'], e['min_origin']) == (False, 40 * MIB, 'domain'), e
    d.destroy()
    set_(daemon, d, '--clear')
    d.session.virsh('undefine', d.name)
    wait('it is unknown', lambda: daemon.ctl('set', d.name).returncode == 3)


def test_gone_meanwhile(daemon):
    d = daemon.domain('gone')
    d.stop()
    wait('it hangs', lambda: daemon.guest(d)['busy'] == 'no answer')
    waiting = daemon.start('set', d.name, '--min', '32MiB')
    time.sleep(2)
    assert 'the last change is still being written' in set_(daemon, d, '--min', '16MiB', want=1)
    d.kill()
    took = refused(waiting, 'it is no longer running')
    virt.say(f'  refused {took:.1f} s after the QEMU was killed')


def test_stopped(daemon):
    d = daemon.domain('stopped')
    d.stop()
    wait('it hangs', lambda: daemon.guest(d)['busy'] == 'no answer')
    took = refused(daemon.start('set', d.name, '--min', '32MiB'), "libvirt hasn't answered yet")
    assert took > 9, took
    d.go_on()
    wait('it is done after all', lambda: daemon.entitlement(d)['min_set_bytes'] == 32 * MIB)
    set_(daemon, d, '--clear')
    d.destroy()


def test_libvirtd_killed(daemon):
    d = daemon.domain('lost')
    d.stop()
    wait('it hangs', lambda: daemon.guest(d)['busy'] == 'no answer')
    waiting = daemon.start('set', d.name, '--min', '32MiB')
    time.sleep(2)
    daemon.session.kill_libvirtd()
    refused(waiting, 'libvirt (is away|was lost)')
    assert 'libvirt is away' in set_(daemon, d, '--min', '32MiB', want=1)
    r = daemon.ctl('set', d.name[:-1], '--min', '32MiB')
    assert r.returncode == 1 and 'If you mean lost, give the whole name' in r.stderr, r.stderr
    assert daemon.ctl('stats', d.name[:-1]).returncode == 0
    d.go_on()
    daemon.session.start_libvirtd()
    wait('libvirt is back', lambda: not daemon.guest(d)['busy'])
    set_(daemon, d, '--min', '32MiB')
    wait('it counts', lambda: daemon.guest(d)['floor_bytes'] == 32 * MIB)
    d.destroy()


def main():
    with contextlib.ExitStack() as stack:
        try:
            s = virt.Session(sys.argv[1])
            stack.enter_context(s)
            s._start_bus()
        except Unavailable as e:
            print(f'SKIP: {e}', file=sys.stderr)
            return SKIP
        daemon = Daemon(s)
        for test in (test_live_and_persistent, test_by_virsh, test_asked_at_once, test_a17_what_observe_changes,
                     test_shut_off, test_gone_meanwhile, test_stopped, test_libvirtd_killed):
            if len(sys.argv) > 2 and test.__name__ not in sys.argv[2:]:
                continue
            began = time.monotonic()
            virt.say(test.__name__)
            test(daemon)
            virt.say(f'  passed in {time.monotonic() - began:.1f} s')
    return 0


if __name__ == '__main__':
    sys.exit(main())
