# SPDX-License-Identifier: LGPL-2.1-or-later
"""host-agent/libvirt on a real libvirtd with real QEMUs (without a system in them: a BIOS is guest enough here).

    test-virt.py BUILD"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lab'))
import lab
from lab import Lab, Unavailable, alive, build_file
from waiting import HANG, wait

MIB = 1 << 20
XML = '''<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <controller type='usb' model='none'/>
    <memballoon model='virtio'/>
    <channel type='unix'><target type='virtio' name='org.ballast.guest.0'/></channel>
  </devices>
</domain>
'''


class Session(Lab):
    """A lab without kernel, image and bus: libvirtd is enough."""

    def _start(self):
        for tool, package in lab.TOOLS.items():
            if not lab.shutil.which(tool, path=lab.PATH):
                raise Unavailable(f'{tool} is not installed (package {package})')
        self._make()
        self.start_libvirtd()

    def environment(self):
        # A client of the session driver would start a libvirtd of its own when there is none.
        return super().environment() | {'LIBVIRT_AUTOSTART': '0'}


class Domain:
    """A running QEMU."""

    def __init__(self, session, name, paused=False, the_uuid=None, persistent=False):
        self.session, self.name, self.uuid = session, name, the_uuid or str(uuid.uuid4())
        path = session.path('run', name + '.xml')
        with open(path, 'w') as f:
            f.write(XML.format(name=name, uuid=self.uuid))
        session.give(path)
        if persistent:
            session.virsh('define', path)
            session.virsh('start', name, *(['--paused'] if paused else []))
        else:
            session.virsh('create', path, *(['--paused'] if paused else []))
        self.created = time.monotonic()

    @property
    def pid(self):
        with open(self.session.path('run', 'libvirt', 'qemu', 'run', self.name + '.pid')) as f:
            return int(f.read())

    def stop(self):
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)

    def metadata(self, *options):
        return self.session.virsh('metadata', self.name, '--uri', 'urn:ballast:guest:1', *options)

    def destroy(self):
        self.session.virsh('destroy', self.name)

    def kill(self):
        """Like destroy, but without the second that libvirt waits."""
        os.kill(self.pid, signal.SIGKILL)


class Event:
    def __init__(self, line):
        usec, self.kind, self.uuid, error, size, *text = line.split(' ', 5)
        self.time, self.error, self.bytes = int(usec) / 1e6, int(error), int(size)
        self.text = text[0] if text else ''

    def __repr__(self):
        return f'{self.time:.3f} {self.kind} {self.uuid[:8]} {self.error} {self.bytes} {self.text}'


class Watch:
    """virt-watch, and all that it has printed."""

    def __init__(self, session, program):
        self.events, self.changed = [], threading.Condition()
        self.process = subprocess.Popen([program, 'qemu:///session'], text=True, **(
            session._as_user() | {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE}))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.events.append(Event(line.rstrip('\n')))
                self.changed.notify_all()

    @property
    def now(self):
        return len(self.events)

    def do(self, *words):
        """Gives a command. Returns the place after which its outcome appears."""
        since = self.now
        self.process.stdin.write(' '.join(map(str, words)) + '\n')
        self.process.stdin.flush()
        return since

    def expect(self, kind, domain=None, since=0, seconds=HANG, text=None):
        """The first such event since that place. It must contain text; an empty text must be all of it."""
        def fits(e):
            return (e.kind == kind and (domain is None or e.uuid == domain.uuid) and
                    (text is None or (text in e.text if text else not e.text)))
        end = time.monotonic() + seconds
        with self.changed:
            while True:
                found = next((e for e in self.events[since:] if fits(e)), None)
                if found:
                    return found
                if not self.changed.wait(end - time.monotonic()) and time.monotonic() > end:
                    tail = '\n'.join(map(repr, self.events[-30:]))
                    raise AssertionError(f'no "{kind}" {text or ""} of {domain.name if domain else "-"} '
                                         f'within {seconds} s; the last:\n{tail}')

    def counters(self):
        text = self.expect('counters', since=self.do('counters')).text
        return {k: int(v) for k, v in (word.split('=') for word in text.split())}

    def fds(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    def threads(self):
        return len(os.listdir(f'/proc/{self.process.pid}/task'))

    def quit(self, seconds=HANG):
        self.do('quit')
        status = self.process.wait(seconds)
        assert status == 0, f'virt-watch ended with {status}'


def say(text):
    print(text, flush=True)


def test_comes_and_goes(s, program):
    w = Watch(s, program)
    w.expect('connected')
    a = Domain(s, 'comes')
    added = w.expect('added', a)
    assert added.bytes == 64 * MIB and 'channel=1' in added.text and 'persistent=0' in added.text, added
    say(f'  reported {1e3 * (added.time - a.created):+.0f} ms after virsh create returned')
    since = w.now
    s.virsh('suspend', a.name)
    w.expect('busy', a, since, text='paused')
    since = w.now
    s.virsh('resume', a.name)
    w.expect('busy', a, since, text='')
    since = w.now
    s.virsh('reset', a.name)
    w.expect('rebooted', a, since)
    since = w.now
    a.metadata('--key', 'ballast', '--set', "<guest shares='9'/>", '--live')
    w.expect('changed', a, since)
    # Other programs' metadata isn't reported, however often they write it.
    time.sleep(1.2)
    since = w.now
    s.virsh('metadata', a.name, '--uri', 'urn:other', '--key', 'o', '--set', '<x/>', '--live')
    time.sleep(1.2)
    assert not [e for e in w.events[since:] if e.kind == 'changed'], w.events[since:]
    since = w.now
    a.destroy()
    gone = w.expect('gone', a, since)
    assert gone.text == 'destroyed', gone
    w.do('stats', a.uuid)
    assert w.expect('refused', a).error == -2
    # The same UUID again is a new domain.
    since = w.now
    a = Domain(s, 'comes', paused=True, the_uuid=a.uuid)
    added = w.expect('added', a, since)
    assert w.expect('busy', a, since, text='paused').time >= added.time
    a.destroy()
    w.expect('gone', a, since)
    w.quit()


def test_stats_and_memory(s, program):
    a = Domain(s, 'memory')
    w = Watch(s, program)
    added = w.expect('added', a)
    assert w.expect('listed').time >= added.time, w.events
    since = w.do('stats', a.uuid, 5)
    e = w.expect('stats', a, since)
    assert e.error == 0 and e.bytes == 64 * MIB, e
    times = []
    for _ in range(50):
        began = time.monotonic()
        times.append(w.expect('stats', a, w.do('stats', a.uuid, 5)).time - began)
    say(f'  stats are there in {1e3 * sorted(times)[25]:.1f} ms (median), {1e3 * max(times):.1f} ms (most)')
    assert "<stats period='5'/>" in s.virsh('dumpxml', a.name), 'the stats period was not set'
    times = []
    for i in range(20):
        since, began = w.now, time.monotonic()
        w.do('set', a.uuid, (40 + i) * MIB, 64 * MIB)
        e = w.expect('set', a, since)
        assert e.error == 0 and e.bytes == (40 + i) * MIB, e
        times.append(e.time - began)
    say(f'  a set is done in {1e3 * sorted(times)[10]:.1f} ms (median), {1e3 * max(times):.1f} ms (most)')
    # Two of a kind at once: the second is refused, and the first still gets its answer.
    since = w.do('set', a.uuid, 50 * MIB, 64 * MIB)
    w.do('set', a.uuid, 51 * MIB, 64 * MIB)
    e = w.expect('set', a, since)
    assert e.error == 0 and e.bytes in (50 * MIB, 51 * MIB), e
    # The size that was sent is stored with the domain, and storing it isn't reported.
    time.sleep(1.5)
    mine = [e for e in w.events if e.kind == 'changed' and e.time > added.time + 0.5]
    assert len(mine) <= 2, f'our own metadata is reported as changes: {mine}'
    # libvirt refuses more than the domain has, and the stored size stays.
    e = w.expect('set', a, w.do('set', a.uuid, 65 * MIB, 64 * MIB))
    assert e.error < 0 and e.text, e
    w.quit()
    w = Watch(s, program)
    assert any(f'sent={n * MIB}' in w.expect('added', a).text for n in (50, 51)), w.events
    w.quit()
    a.kill()


def test_channel(s, program):
    a = Domain(s, 'channel', paused=True)
    w, other = Watch(s, program), Watch(s, program)
    w.expect('added', a)
    other.expect('added', a)
    w.expect('opened', a, w.do('open', a.uuid))
    e = other.expect('closed', a, other.do('open', a.uuid))
    assert e.error < 0 and 'exists' in e.text, e
    since = w.do('close', a.uuid)
    w.expect('opened', a, w.do('open', a.uuid))
    assert not [e for e in w.events[since:] if e.kind == 'closed'], 'a channel that was closed by request was reported'
    # Nothing in the guest reads. Unread data mustn't fill libvirtd's requests: the channel is opened again.
    b = Domain(s, 'reads-not-either', paused=True)
    w.expect('added', b)
    w.expect('opened', b, w.do('open', b.uuid))
    for size in (60, 1000, 4000):
        since = w.now
        for i in range(80):
            w.do('send', a.uuid, size)
            time.sleep(0.002)
        e = w.expect('closed', a, since)
        assert e.error == 0, e
        w.expect('opened', a, w.do('open', a.uuid))
    w.do('close', b.uuid)
    w.expect('opened', b, w.do('open', b.uuid))
    # QEMU goes away: the channel ends, and so does the domain.
    since = w.now
    os.kill(b.pid, signal.SIGKILL)
    w.expect('gone', b, since)
    other.quit()
    w.quit()
    a.kill()


def ask_all(w, domains, seconds, heard):
    """Asks for the stats of all every 0.1 s, for that long and until each of heard has answered. Returns the longest
    time that each waited for an answer."""
    asked, waited, answered, seen = {}, {d.uuid: 0.0 for d in domains}, set(), w.now
    began = time.monotonic()
    while time.monotonic() < began + seconds or not {d.uuid for d in heard} <= answered:
        assert time.monotonic() < began + HANG, f'no answer of {[d.name for d in heard if d.uuid not in answered]}'
        for d in domains:
            if d.uuid not in asked:
                asked[d.uuid] = time.monotonic()
                w.do('stats', d.uuid)
        time.sleep(0.1)
        upto = w.now
        for e in w.events[seen:upto]:
            if e.kind == 'stats' and e.uuid in asked:
                waited[e.uuid] = max(waited[e.uuid], e.time - asked.pop(e.uuid))
                answered.add(e.uuid)
        seen = upto
    for u, since in asked.items():
        waited[u] = max(waited[u], time.monotonic() - since)
    return waited


def stop_some(s, w, domains, n):
    held, others = domains[:n], domains[n:]
    waited = ask_all(w, domains, 1, domains)
    say(f'  none stopped: all waited {1e3 * max(waited.values()):.0f} ms at most')
    calm = w.threads(), w.fds()
    since = w.now
    for d in held:
        d.stop()
    began = time.monotonic()
    # The others must answer while those are stopped; how soon is only printed.
    waited = ask_all(w, domains, 1.9, others)
    say(f'  {n} of {len(domains)} stopped: the others waited {1e3 * max(waited[d.uuid] for d in others):.0f} ms at most')
    for d in held:
        e = w.expect('busy', d, since, text='no answer')
        assert 1.8 < e.time - began, f'{d.name} was reported as stuck after {e.time - began:.2f} s'
    took = []
    for d in others:
        asked, at = time.monotonic(), w.do('set', d.uuid, 60 * MIB, 64 * MIB)
        e = w.expect('set', d, at)
        assert e.error == 0, e
        took.append(e.time - asked)
    say(f'  a set of the others was done in {1e3 * max(took):.0f} ms at most')
    assert not [e for e in w.events[since:] if e.kind == 'busy' and e.uuid in {d.uuid for d in others}]
    c = w.counters()
    assert c['stuck'] == n, c
    say(f'  with {n} stuck: {w.threads()} threads, {w.fds()} fds, {c["connections"]} connections '
        f'(calm: {calm[0]} threads, {calm[1]} fds)')
    for d in held:
        at = w.now
        d.go_on()
        w.expect('busy', d, at, text='paused')
    waited = ask_all(w, domains, 1, domains)
    say(f'  none stopped any more: all waited {1e3 * max(waited.values()):.0f} ms at most')
    wait('the additional connections are closed', lambda: w.counters()['connections'] == 7)


def test_stopped(s, program):
    domains = [Domain(s, f'stopped-{i}', paused=True) for i in range(11)]
    w = Watch(s, program)
    for d in domains:
        w.expect('busy', d, text='paused')
    stop_some(s, w, domains, 3)
    stop_some(s, w, domains, 7)
    # A domain that is still stopped doesn't keep the daemon from ending.
    domains[0].stop()
    w.do('stats', domains[0].uuid)
    time.sleep(0.5)
    began = time.monotonic()
    w.quit()
    say(f'  with one held it ended within {time.monotonic() - began:.1f} s')
    domains[0].go_on()
    for d in domains:
        d.kill()


def test_libvirtd_killed(s, program):
    stays, goes = Domain(s, 'stays', paused=True), Domain(s, 'goes', paused=True)
    w = Watch(s, program)
    for d in (stays, goes):
        w.expect('added', d)
    w.expect('opened', stays, w.do('open', stays.uuid))
    stays.stop()
    w.do('stats', stays.uuid)
    time.sleep(0.3)
    since = w.now
    s.kill_libvirtd()
    lost = w.expect('disconnected', since=since)
    closed = w.expect('closed', stays, since)
    assert closed.error < 0 and closed.time <= lost.time, closed
    assert w.expect('stats', stays, since).error < 0
    w.expect('refused', goes, w.do('stats', goes.uuid))
    stays.go_on()
    pid = goes.pid
    os.kill(pid, signal.SIGKILL)
    wait('the QEMU is gone', lambda: not alive(pid))
    time.sleep(3)
    assert len([e for e in w.events[since:] if e.kind == 'disconnected']) == 1, 'reported more than once'
    s.start_libvirtd()
    began, since = time.monotonic(), since + 1
    again = w.expect('connected', since=since)
    say(f'  connected again {again.time - began:.1f} s after libvirtd answered (4 s of back-off at most here)')
    w.expect('added', stays, since)
    w.expect('gone', goes, since)
    e = w.expect('stats', stays, w.do('stats', stays.uuid))
    assert e.error == 0, e
    w.expect('opened', stays, w.do('open', stays.uuid))
    assert w.counters()['reconnects'] == 1
    # A libvirtd that hangs counts as lost.
    since = w.now
    os.kill(s.libvirtd.pid, signal.SIGSTOP)
    w.expect('disconnected', since=since)
    os.kill(s.libvirtd.pid, signal.SIGCONT)
    w.expect('connected', since=since)
    w.expect('added', stays, since)
    w.quit()
    stays.kill()


def test_job(s, program):
    """A dump into a pipe lasts until the pipe is read."""
    a = Domain(s, 'dumped', paused=True)
    w = Watch(s, program)
    w.expect('busy', a, text='paused')
    pipe = s.path('run', 'pipe')
    os.mkfifo(pipe, 0o600)
    s.give(pipe)
    dump = s.spawn(['virsh', '-q', '-c', 'qemu:///session', 'dump', a.name, pipe], stdout=subprocess.DEVNULL)
    since = w.now
    with open(pipe, 'rb') as f:

        def dump_reported():
            w.do('stats', a.uuid)
            return any(e.kind == 'busy' and e.text == 'saving' for e in w.events[since:])
        wait('the dump is reported', dump_reported, step=0.2)
        e = w.expect('stats', a, w.do('stats', a.uuid))
        assert e.error == 0, e
        e = w.expect('set', a, w.do('set', a.uuid, 40 * MIB, 64 * MIB))
        assert e.error == -16, e
        since = w.now
        while f.read(1 << 20):
            pass
    assert dump.wait(HANG) == 0
    w.expect('busy', a, since, text='paused')
    e = w.expect('set', a, w.do('set', a.uuid, 40 * MIB, 64 * MIB))
    assert e.error == 0, e
    w.quit()
    a.kill()


def prompt(w, domain, since, asked, text):
    """How long it took until a change was reported."""
    return w.expect('changed', domain, since, text=text).time - asked


def test_entitlement(s, program):
    a, b = Domain(s, 'entitled', paused=True, persistent=True), Domain(s, 'transient', paused=True)
    w = Watch(s, program)
    e = w.expect('added', a)
    assert 'granted=<guest/> problem=' in e.text and e.text.endswith('problem='), e
    w.expect('added', b)

    def set_by_virsh(xml, *where):
        since, asked = w.now, time.monotonic()
        a.metadata('--key', 'ballast', '--set', xml, *where)
        return since, asked
    took = []
    for n in range(17, 25):
        took.append(prompt(w, a, *set_by_virsh(f"<guest min='{n}MiB' shares='2000' mode='off'/>", '--live'),
                           f"granted=<guest min='{n}MiB' shares='2000' mode='off'/> problem="))
    say(f'  a change by virsh is reported within {max(took):.2f} s')
    # A definition for the next start changes nothing now.
    prompt(w, a, *set_by_virsh("<guest shares='5'/>", '--config'), "granted=<guest min='24MiB'")
    # Mistakes are reported.
    e = w.expect('changed', a, set_by_virsh("<guest min='lots' max='65MiB' shares='3'/>", '--live')[0],
                 text="granted=<guest shares='3'/>")
    assert 'problem=min=lots is not valid' in e.text and "max=65MiB is more than the domain's maximum memory, 64MiB" in e.text, e

    # Set through us: live, and in the definition if the domain has one.
    since, asked = w.do('entitle', a.uuid, 32 * MIB, 700), time.monotonic()
    done = w.expect('entitled', a, since)
    assert done.error == 0, done
    prompt(w, a, since, asked, "granted=<guest min='32MiB' shares='700'/> problem=")
    say(f'  written in {1e3 * (done.time - asked):.0f} ms')
    for where in ('--live', '--config'):
        assert "<guest min='32MiB' shares='700'/>" in a.metadata(where).replace('"', "'"), a.metadata(where)
    since = w.do('entitle', b.uuid, 0, 42)
    assert w.expect('entitled', b, since).error == 0
    w.expect('changed', b, since, text="granted=<guest shares='42'/>")
    # Each may be reported once more, for libvirt's own event, which comes within a second; then nothing is reported,
    # not even for a move.
    time.sleep(2.2)
    changed = [e.uuid for e in w.events[since:] if e.kind == 'changed']
    assert changed.count(a.uuid) <= 1 and changed.count(b.uuid) <= 2, changed
    since = w.now
    assert w.expect('set', a, w.do('set', a.uuid, 40 * MIB, 64 * MIB)).error == 0
    time.sleep(2.2)
    changed = [e for e in w.events[since:] if e.kind == 'changed']
    assert not changed, changed
    # A restarted daemon finds it again, and so does one after a restart of the domain.
    other = Watch(s, program)
    assert "granted=<guest min='32MiB' shares='700'/>" in other.expect('added', a).text
    other.quit()
    since = w.now
    a.destroy()
    w.expect('gone', a, since)
    s.virsh('start', a.name)
    assert "granted=<guest min='32MiB' shares='700'/>" in w.expect('added', a, since).text
    # Two at once: one is refused, or both run one after the other; each is answered.
    since = w.now
    w.do('entitle', a.uuid, 20 * MIB, 1)
    w.do('entitle', a.uuid, 21 * MIB, 1)
    w.expect('entitled', a, since)
    w.expect('changed', a, since, text='granted=<guest min=')
    # Cleared: nothing is left of it.
    time.sleep(0.5)
    since = w.do('entitle', a.uuid, 0, 0)
    assert w.expect('entitled', a, since).error == 0
    w.expect('changed', a, since, text='granted=<guest/>')
    for where in ('', '--config'):
        assert 'urn:ballast:guest' not in s.virsh('dumpxml', a.name, *(['--inactive'] if where else []))
    # A domain that doesn't answer, or doesn't exist.
    since = w.do('entitle', str(uuid.uuid4()), 0, 1)
    assert w.expect('refused', since=since).error == -2
    a.destroy()
    s.virsh('undefine', a.name)
    b.kill()
    w.quit()


def test_many_lives(s, program):
    w = Watch(s, program)
    w.expect('connected')
    fds = threads = None
    for i in range(4):
        since = w.now
        domains = [Domain(s, f'life-{i}-{k}', paused=True) for k in range(8)]
        for d in domains:
            w.expect('added', d, since)
            w.expect('opened', d, w.do('open', d.uuid))
            w.do('stats', d.uuid, 1)
        domains[0].kill()
        ends = [s.spawn(['virsh', '-q', '-c', 'qemu:///session', 'destroy', d.name], stdout=subprocess.DEVNULL)
                for d in domains[1:]]
        assert not any(p.wait(HANG) for p in ends)
        for d in domains:
            w.expect('gone', d, since)
        if i == 0:
            time.sleep(1)
            fds, threads = w.fds(), w.threads()
    wait(f'as many fds as before ({fds}, {threads} threads)',
         lambda: w.fds() <= fds and w.threads() <= threads, dump=lambda: f'{w.fds()} fds, {w.threads()} threads')
    say(f'  after 32 lives: {w.fds()} fds, {w.threads()} threads')
    w.quit()


def main():
    build = sys.argv[1]
    program_built = build_file(build, 'tests', 'integration', 'virt-watch')
    with contextlib.ExitStack() as stack:
        try:
            s = stack.enter_context(Session(build))
        except Unavailable as e:
            print(f'SKIP: {e}', file=sys.stderr)
            return lab.SKIP
        program = s.copy('bin', program_built)
        for test in (test_comes_and_goes, test_stats_and_memory, test_channel, test_stopped, test_job,
                     test_entitlement, test_many_lives, test_libvirtd_killed):
            if len(sys.argv) > 2 and test.__name__ not in sys.argv[2:]:
                continue
            began = time.monotonic()
            say(test.__name__)
            test(s, program)
            say(f'  passed in {time.monotonic() - began:.1f} s')
    return 0


if __name__ == '__main__':
    sys.exit(main())
