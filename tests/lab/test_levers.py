# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest's own kernel hands back at the host's word: the lever helper on a real kernel, and what it leaves as it
was. The guest's kernel has no swappiness= of memory.reclaim; it has the multi-gen LRU, which is off at first."""

import os
import re
import socket
import sys
import time
import xml.etree.ElementTree

import case
from case import LabTest, figure
from guest import CHANNEL, MIB
from waiting import HANG, wait

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'integration'))
from guestlink import Reader, compact, configure, reclaim, welcome  # noqa: E402

CAN_COMPACT, CAN_RECLAIM_FILE, CAN_RECLAIM_ANON, HAS_AGES = 8, 16, 32, 1024
LEVERS = CAN_COMPACT | CAN_RECLAIM_FILE | CAN_RECLAIM_ANON
# Why a request ended (guest.proto).
DONE, REFAULTS, STALLS, NO_MORE, BUSY, FAILED, STOPPED = range(1, 8)
SWAPPINESS = '/proc/sys/vm/swappiness'
AGES = '/sys/kernel/debug/lru_gen'
MGLRU = '/sys/kernel/mm/lru_gen/enabled'


class Answer:
    """A line of what lever.c prints."""

    def __init__(self, line):
        m = re.fullmatch(r'error=(\S+) levers=(\d+) got=(\d+) cpu=(\d+) cold=(\S+) missing=(.*)', line)
        assert m, f'not an answer of the helper: {line!r}'
        self.error, self.levers, self.got, self.cpu_usec = (int(m.group(i)) for i in range(1, 5))
        self.cold = [int(n) for n in m.group(5).split(',')]
        self.missing = m.group(6)


class Helper(LabTest):
    GUESTS = {'one': {'memory': 256, 'swap': 64, 'agent': 'no', 'free_page_reporting': True}}

    def setUp(self):
        super().setUp()
        self.one = self.guests['one']
        self.one.run('agent start helper')
        self.one.run(f'until lever probe >/dev/null 2>&1; do usleep 20000; done; echo 60 >{SWAPPINESS}; '
                     'echo 1 >/proc/sys/vm/drop_caches')
        self.addCleanup(self.one.stop_load)

    def lever(self, *args):
        return [Answer(line) for line in self.one.run('lever ' + ' '.join(str(a) for a in args)).splitlines()]

    def vmstat(self):
        return {key: int(value) for key, value in
                (line.split() for line in self.one.run('cat /proc/vmstat').splitlines())}

    def test_says_what_the_kernel_can_do(self):
        answer, = self.lever('probe')
        self.assertEqual((answer.error, answer.levers, answer.missing),
                         (0, CAN_COMPACT | CAN_RECLAIM_FILE | CAN_RECLAIM_ANON, ''))
        self.assertIn('with vm.swappiness at 0 for each write', self.one.run('cat /run/helper.log'))
        self.one.run('swapoff /dev/vdb')
        self.addCleanup(self.one.run, 'swapon /dev/vdb')
        answer, = self.lever('probe')
        self.assertEqual((answer.levers, answer.missing), (CAN_COMPACT | CAN_RECLAIM_FILE, 'anon: no swap'))
        self.assertIn('as the guest has no swap', self.one.run('cat /run/helper.log'))

    def test_compaction_gains(self):
        """Memory that is free in fragments is the host's again after compaction, by free page reporting."""
        self.one.load_now('fragments', 128)
        time.sleep(5)  # free page reporting takes what it reaches
        before = self.one.resident()
        answer, = self.lever('compact')
        self.assertEqual(answer.error, 0)
        # More than compaction alone brings: that leaves single pages in the kernel's per-CPU lists.
        wait('the host gets the fragments', lambda: before - self.one.resident() > 96 * MIB)
        figure(f'compaction of 128 MiB in fragments took {answer.cpu_usec / 1000:.0f} ms of CPU; the host gained '
               f'{(before - self.one.resident()) / MIB:.0f} MiB')

    def test_takes_cold_cache_and_keeps_hot_cache(self):
        self.one.load_now('cache', 160)
        self.one.load_now('cache', 80, 'again')
        self.one.load_now('free', 8)
        wait('the cache is in use', lambda: self.one.pages_touched() > 3 * 80 * MIB // 4096)
        before, info = self.vmstat(), self.one.meminfo()
        answers = self.lever('file', 4, 12)
        after, now = self.vmstat(), self.one.meminfo()
        got = sum(a.got for a in answers)
        refaults = after['workingset_refault_file'] - before['workingset_refault_file']
        figure(f'80 MiB of cold cache, 80 MiB hot, 48 MiB asked for: got {got / MIB:.0f} MiB in '
               f'{sum(a.cpu_usec for a in answers) / 1000:.0f} ms of CPU, {refaults * 4096 / MIB:.1f} MiB refaulted')
        self.assertGreaterEqual(got, 40 * MIB)
        self.assertLess(refaults * 4096, 4 * MIB)
        self.assertEqual(after['pswpout'], before['pswpout'], 'anonymous memory was taken')
        self.assertGreater(now['MemFree'], info['MemFree'] + 32 * MIB)
        self.assertEqual(self.one.run(f'cat {SWAPPINESS}'), '60')
        self.assertEqual(self.one.run('ls /run/ballast-guestd'), 'levers')

    def test_takes_anonymous_memory_only_when_asked_for_it(self):
        self.one.load_now('equal', 60)  # nobody touches it again
        before = self.vmstat()
        self.lever('file', 8, 4)
        self.assertEqual(self.vmstat()['pswpout'], before['pswpout'])
        got = sum(a.got for a in self.lever('anon', 8, 4))
        swapped = self.vmstat()['pswpout'] - before['pswpout']
        self.assertGreater(swapped * 4096, 4 * MIB)
        self.assertGreater(got, 16 * MIB)

    def test_refuses_what_it_must_not_do(self):
        for request in (('file', 33), ('file', 0), ('anon', 33)):
            with self.subTest(request):
                text = self.one.run('lever ' + ' '.join(str(a) for a in request), check=False)
                self.assertEqual(Answer(text).error, -22)

    def test_takes_what_there_is(self):
        """Less than was asked for, which the kernel says by EAGAIN."""
        self.one.load_now('cache', 8)
        answer, = self.lever('file', 32)
        self.assertEqual(answer.error, 0)
        self.assertGreater(answer.got, 4 * MIB)
        self.assertLess(answer.got, 30 * MIB)

    def test_puts_swappiness_back_when_killed(self):
        """Killed while it has vm.swappiness at 0; the next helper finds its note."""
        for _ in range(50):
            self.one.load_now('cache', 120)
            self.one.run('lever file 32 4 >/dev/null 2>&1 & '
                         f'n=0; until [ "$(cat {SWAPPINESS})" = 0 ] || [ $((n += 1)) -gt 200 ]; do :; done; '
                         'agent kill helper; wait')
            if self.one.run(f'cat {SWAPPINESS}') == '0':
                break
            self.one.run('agent start helper; until lever probe >/dev/null 2>&1; do usleep 20000; done')
        else:
            self.fail('the helper was never killed while vm.swappiness was 0')
        self.assertEqual(self.one.run('cat /run/ballast-guestd/swappiness'), '60')
        self.one.run('agent start helper; until lever probe >/dev/null 2>&1; do usleep 20000; done')
        self.assertEqual(self.one.run(f'cat {SWAPPINESS}'), '60')
        self.assertEqual(self.one.run('ls /run/ballast-guestd'), 'levers')
        self.assertIn('Restored vm.swappiness', self.one.run('cat /run/helper.log'))

    def test_ends_cleanly_with_swappiness_put_back(self):
        self.one.load_now('cache', 120)
        self.one.run('lever file 32 4 >/dev/null 2>&1 & '
                     f'n=0; until [ "$(cat {SWAPPINESS})" = 0 ] || [ $((n += 1)) -gt 200 ]; do :; done; '
                     'agent stop helper; wait; while kill -0 $(cat /run/helper.pid) 2>/dev/null; do usleep 20000; done')
        self.assertEqual(self.one.run(f'cat {SWAPPINESS}; ls /run/ballast-guestd'), '60')

    def test_uses_the_ages_where_the_kernel_has_them(self):
        self.one.run(f'echo y >{MGLRU}')
        self.addCleanup(self.one.run, f'echo n >{MGLRU}')
        answer, = self.lever('probe')
        self.assertEqual(answer.levers, CAN_COMPACT | CAN_RECLAIM_FILE | CAN_RECLAIM_ANON | HAS_AGES)
        self.one.load_now('cache', 120)
        before = self.vmstat()
        got = sum(a.got for a in self.lever('file', 8, 4))
        self.assertGreaterEqual(got, 24 * MIB)
        self.assertEqual(self.vmstat()['pswpout'], before['pswpout'])
        self.assertIn('eviction', self.one.run('cat /run/helper.log'))
        # So that some is known to have been unused for 10 s. The helper itself ages only once a minute.
        time.sleep(11)
        self.one.run(f"""awk '/memcg/ {{ m = $2 }} /node/ {{ n = $2 }} NF == 4 {{ g = $1 }} END {{ print "+", m, n, g }}' \
                     {AGES} >/run/command; cat /run/command >{AGES}""".replace('\\\n', ' '))
        answer, = self.lever('ages')
        self.assertEqual(answer.error, 0)
        figure(f'ages of {(self.one.meminfo()["Buffers"]) / MIB:.0f} MiB of cache: unused for 10, 60, 600 s: '
               f'{", ".join(f"{b / MIB:.0f} MiB" for b in answer.cold)}; took {answer.cpu_usec / 1000:.1f} ms of CPU')
        self.assertGreater(answer.cold[0], 0)
        self.assertEqual(answer.cold, sorted(answer.cold, reverse=True))


class Channel:
    """The host's end of the agent's channel, in place of the daemon."""

    def __init__(self, guest):
        tree = xml.etree.ElementTree.fromstring(guest.lab.virsh('dumpxml', guest.name))
        path, = (c.find('source').get('path') for c in tree.iter('channel')
                 if c.find('target').get('name') == CHANNEL)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(HANG)
        self.socket.connect(path)
        self.reader, self.queue, self.id = Reader(), [], 0
        self.last = None  # the last report
        self.hello = self.expect('hello')
        self.socket.sendall(welcome(1234) + configure(250000))

    def close(self):
        self.socket.close()

    def next(self):
        while not self.queue:
            data = self.socket.recv(65536)
            assert data, 'the channel has closed'
            self.queue += self.reader.feed(data)
        message = self.queue.pop(0)
        if message.kind == 'report':
            self.last = message.body
        return message

    def expect(self, kind):
        while True:
            message = self.next()
            if message.kind == kind:
                return message.body

    def ask(self, what, *args):
        """Returns the answer to a reclaim or a compact: got, refaulted, cpu_usec, why."""
        self.id += 1
        self.socket.sendall(what(self.id, *args))
        body = self.expect('reclaimed')
        assert body[1] == self.id, f'answers {body[1]}, not {self.id}'
        return body.get(2, 0), body.get(3, 0), body.get(5, 0), body[6]


class Agent(LabTest):
    """The host asks over the channel, as the daemon does."""
    GUESTS = {'one': {'memory': 256, 'swap': 64, 'free_page_reporting': True}}

    def setUp(self):
        super().setUp()
        self.one = self.guests['one']
        self.one.run('agent start; echo 1 >/proc/sys/vm/drop_caches')
        self.addCleanup(self.one.stop_load)
        self.channel = self.connect()

    def connect(self):
        channel = Channel(self.one)
        self.addCleanup(channel.close)
        return channel

    def test_says_what_it_can_do(self):
        self.assertEqual(self.channel.hello[5] & LEVERS, LEVERS)
        self.assertNotIn(7, self.channel.hello)

    def test_reclaims_cold_cache_and_stops_at_hot_cache(self):
        """All of the cold cache is taken, in as many requests as it takes; what is read all the time stays."""
        self.one.load_now('cache', 160)
        self.one.load_now('cache', 80, 'again')
        wait('the cache is in use', lambda: self.one.pages_touched() > 3 * 80 * MIB // 4096)
        touched, began = self.one.pages_touched(), time.monotonic()
        time.sleep(2)
        before = (self.one.pages_touched() - touched) / (time.monotonic() - began)
        answers = []
        # On a busy machine a step may look like a stall.
        while not answers or (answers[-1][3] in (DONE, STALLS) and len(answers) < 50):
            answers.append(self.channel.ask(reclaim, 16 * MIB))
        got, refaulted, cpu_usec = (sum(a[i] for a in answers) for i in range(3))
        touched, began = self.one.pages_touched(), time.monotonic()
        time.sleep(2)
        after = (self.one.pages_touched() - touched) / (time.monotonic() - began)
        figure(f'80 MiB of cold and 80 MiB of hot cache: {got / MIB:.0f} MiB taken in {len(answers)} requests until '
               f'{refaulted / MIB:.1f} MiB were read again; {cpu_usec / 1000:.0f} ms of CPU; hot pages/s before '
               f'{before:.0f}, after {after:.0f}')
        self.assertEqual(answers[-1][3], REFAULTS)
        self.assertGreater(got, 56 * MIB)
        # Each request is paced by itself, so that what is missed is a few steps' worth.
        self.assertLess(refaulted, 16 * MIB)
        self.assertIn('stopped, as it was read again', self.one.run('cat /run/ballast-guestd/history'))

    def test_says_when_there_is_no_more(self):
        self.one.load_now('cache', 20)
        got, _, _, why = self.channel.ask(reclaim, 128 * MIB)
        self.assertEqual(why, NO_MORE)
        self.assertGreater(got, 12 * MIB)

    def test_compacts(self):
        self.one.load_now('fragments', 128)
        time.sleep(5)  # free page reporting takes what it reaches
        before = self.one.resident()
        got, _, cpu_usec, why = self.channel.ask(compact)
        self.assertEqual(why, DONE)
        self.assertGreater(got, 96 * MIB)
        wait('the host gets the fragments', lambda: before - self.one.resident() > 96 * MIB)
        figure(f'compaction of 128 MiB in fragments: the agent says {got / MIB:.0f} MiB in {cpu_usec / 1000:.0f} ms of '
               f'CPU, the host gained {(before - self.one.resident()) / MIB:.0f} MiB')
        again, _, cpu_usec, _ = self.channel.ask(compact)
        figure(f'compaction when there is nothing to compact: {again / MIB:.0f} MiB, {cpu_usec / 1000:.0f} ms of CPU')

    def test_goes_on_without_its_helper(self):
        """It says so to the host, and says again when the helper is back."""
        self.one.run('agent kill helper')
        self.assertEqual(self.channel.ask(compact)[3], FAILED)
        hello = self.channel.expect('hello')
        self.assertEqual((hello[5] & LEVERS, hello[7]), (0, b'no lever helper'))
        self.channel.socket.sendall(welcome(5678))
        self.channel.expect('report')
        self.one.run('agent start helper')
        hello = self.channel.expect('hello')  # after half a minute
        self.assertEqual(hello[5] & LEVERS, LEVERS)
        self.channel.socket.sendall(welcome(91011))
        self.channel.expect('report')
        self.assertEqual(self.channel.ask(compact)[3], DONE)

    def test_stays_small(self):
        """400 KiB are its own, with the levers at work."""
        self.one.load_now('cache', 60)
        for _ in range(10):
            self.channel.ask(reclaim, 4 * MIB)
            self.channel.ask(compact)
        kib = {}
        for name in ('agent', 'helper'):
            rollup = self.one.run(f'cat /proc/$(cat /run/{name}.pid)/smaps_rollup')
            kib[name] = sum(int(n) for n in re.findall(r'Private_(?:Clean|Dirty): +(\d+) kB', rollup))
        figure(f'private memory with the levers at work: agent {kib["agent"]} KiB, helper {kib["helper"]} KiB')
        self.assertLessEqual(kib['agent'], 400)


if __name__ == '__main__':
    raise SystemExit(case.main())
