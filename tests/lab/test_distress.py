# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that needs memory gets it at once, from one that doesn't; one that is hurt by the balloon gets it back, and
isn't asked again soon."""

import re
import threading
import time

import case
from case import LabTest, figure
from daemon import CRITICAL, PRESSURE
from guest import MIB
from waiting import wait

GIB = 1 << 30


class Watch:
    """Watches the host all the time: the least that was available, and by how much at most that was less than the
    daemon read. The daemon's meminfo is written ten times a second, on a busy machine less often."""

    def __init__(self, host):
        self.host = host
        self.least, self.misled = host.available(), 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(0.05):
            written, available = self.host.written, self.host.available()
            self.least = min(self.least, available)
            self.misled = max(self.misled, written - available)

    def stop(self):
        self._stop.set()
        self._thread.join()
        return self.least


class Starved(LabTest):
    HOST_MIB = 8192
    GUESTS = {
        'idle': {'memory': 1792, 'load': 'free:1550'},
        'starved': {'memory': 1536, 'swap': 1024},
    }

    def squeeze(self):
        """A daemon that leaves idle alone shrinks starved to its floor."""
        daemon = self.daemon(config={'Guest *-idle.Mode': 'off'})
        self.host.severe()
        daemon.wait('starved is at its floor', lambda rows:
                    rows['starved']['current_bytes'] <= rows['starved']['floor_bytes'] + 16 * MIB and
                    not rows['starved']['moving'])
        daemon.stop()
        self.daemons.remove(daemon)
        # It touches all that it has: what the host loses from now on was given to it.
        self.guests['starved'].load_now('free', 180)
        time.sleep(3)  # that may have made it wait for memory

    def hold(self, mib):
        """starved begins to use that much. Returns at once."""
        loading = threading.Thread(target=self.guests['starved'].load_now, args=('hold', mib, 64))
        loading.start()
        return loading

    def raw(self):
        """How long the balloons take to move 1 GiB from idle to a starved guest when both are set at once."""
        idle, starved = self.guests['idle'], self.guests['starved']
        self.addCleanup(starved.stop_load)
        starved.setmem(384)
        wait('starved is small', lambda: starved.actual() <= 385 * MIB)
        loading = self.hold(1000)
        time.sleep(2)
        began = time.monotonic()
        idle.setmem(idle.memory - 1024)
        starved.setmem(384 + 1024)
        wait('1 GiB was moved', lambda: idle.actual() <= (idle.memory - 1023) * MIB and
             starved.actual() >= (384 + 1023) * MIB, step=0.02)
        took = time.monotonic() - began
        loading.join()
        starved.stop_load()
        for guest in idle, starved:
            guest.setmem(guest.memory)
            wait('it has all back', lambda g=guest: self.is_full(g.short, g.actual()))
        self.load_again(idle)
        return took

    def feed(self, daemon, what, begins='starved: in distress'):
        """begins: the line of the log from which on it is fed."""
        starved, full = self.guests['starved'], self.full('starved')
        self.addCleanup(starved.stop_load)
        before = self.actual('starved')
        self.assertLess(before + GIB, full)
        since, watch = daemon.mark(), Watch(self.host)
        loading = self.hold(1000)
        distress = daemon.wait_line(begins, since)
        daemon.wait('1 GiB was moved', lambda rows: rows['starved']['current_bytes'] >= before + GIB)
        took = time.monotonic() - distress.at
        loading.join()
        moves = [m for m in daemon.moves(since) if m.at >= distress.at - 0.02]
        first = moves[0].at - distress.at
        figure(f'{what}: distress → first setMemory {1000 * max(first, 0):.0f} ms; 1 GiB from idle to starved '
               f'{took:.2f} s; the host had {watch.stop() // MIB} MiB available at the least '
               f'(critical {CRITICAL * self.host.total / MIB:.0f} MiB; up to {watch.misled // MIB} MiB less than the '
               'daemon read)')
        self.assertGreaterEqual(watch.least + watch.misled, CRITICAL * self.host.total, daemon.describe())
        self.assertGreaterEqual(self.actual('idle'), daemon.list()['idle']['floor_bytes'])
        return moves

    def test_idle_feeds_starved_while_the_host_is_full(self):
        raw = self.raw()
        self.squeeze()
        # A policy that does nothing: all moves are the guard's, and idle has its full size.
        path = self.lab.path('none.policy')
        with open(path, 'w') as f:
            f.write('# Nothing is decided here.\n')
        self.host.set_available(CRITICAL * self.host.total * 1.2)
        daemon = self.daemon(policy=path)
        moves = self.feed(daemon, 'no room at all')
        figure(f'balloons set by hand take {raw:.2f} s for that 1 GiB')
        self.assertIn('(donor)', next(m.reason for m in moves if m.guest == 'idle'))
        # The two are printed next to each other (1.5 × and 1 s more is the aim), not compared: a guest that thrashes
        # deflates as fast as the machine lets it run.

    def test_the_shipped_policy_feeds_it_too(self):
        self.squeeze()
        self.host.set_available(PRESSURE * self.host.total - 64 * MIB)
        daemon = self.daemon()
        # Where the host has some room, it may get memory before it is in distress.
        self.feed(daemon, 'moderate pressure', 'starved: (in distress|.* begins to use its memory)')


class Hurt(LabTest):
    HOST_MIB = 4096
    GUESTS = {
        'idle': {'memory': 640, 'load': 'free:100,cache:380'},
        'reader': {'memory': 640, 'load': 'free:100'},
    }

    def pace(self, guest, seconds=8):
        """Pages read in a second, and the share of them that were in page cache. (The first depends on what else the
        machine does.)"""
        def count():
            sectors = int(guest.run('cat /sys/block/vda/stat').split()[2])
            return guest.pages_touched(), sectors * 512 // 4096
        (touched, missed), began = count(), time.monotonic()
        time.sleep(seconds)
        took, (touched_then, missed_then) = time.monotonic() - began, count()
        return (touched_then - touched) / took, 1 - (missed_then - missed) / (touched_then - touched)

    def test_a_guest_that_rereads_its_files_keeps_its_cache(self):
        daemon = self.daemon()
        reader = self.guests['reader']
        self.addCleanup(reader.stop_load)
        reader.load_now('cache', 300, 'again')
        before, hits_before = self.pace(reader)
        # More than is free in all guests: they give page cache, too.
        self.host.moderate(400)
        daemon.wait('idle gives page cache', lambda rows: rows['idle']['cache_bytes'] < 300 * MIB)
        time.sleep(5)
        after, hits = self.pace(reader)
        figure(f're-reading 300 MiB alongside an idle guest under pressure: {before:.0f} → {after:.0f} pages/s '
               f'({after / before:.2f} ×), of which {100 * hits_before:.1f} → {100 * hits:.1f} % were in its page cache')
        # A miss costs far more than a hit: a guest that misses one page in twenty has lost its cache.
        self.assertGreaterEqual(hits, 0.99 * hits_before, daemon.describe())

    def test_a_shrink_that_hurts_is_rolled_back_and_remembered(self):
        daemon = self.daemon(config={'Guest *-idle.Mode': 'off'})
        reader = self.guests['reader']
        self.addCleanup(reader.stop_load)
        reader.load_now('cache', 420, 'again')
        since = daemon.mark()
        self.host.moderate(400)
        hurt = daemon.wait_line('reader: hurt', since)
        daemon.wait('reader has back what was taken last', lambda rows: not rows['reader']['hurting'] and
                    not rows['reader']['moving'])
        back = [m for m in daemon.moves(since) if m.guest == 'reader' and m.to_bytes > m.from_bytes]
        self.assertTrue(back, daemon.describe())
        figure(f'cache that is missed: noticed → setMemory of what was taken {1000 * (back[0].at - hurt.at):.0f} ms')
        # And it is left alone for a while, although the host is still under pressure.
        rolled = daemon.mark()
        daemon.wait('it is protected', lambda rows: rows['reader']['rule'] in ('protected', 'needed'))
        time.sleep(8)
        self.assertEqual([m for m in daemon.moves(rolled) if m.guest == 'reader' and m.to_bytes < m.from_bytes], [],
                         daemon.describe())


class Pressed(LabTest):
    """Guests whose stalls, or whose swap, aren't what they seem, on a host that is critical."""
    GUESTS = {
        'node': {'memory': 448, 'load': 'free:250'},
        'squashed': {'memory': 448, 'load': 'free:200'},
    }

    def contain(self):
        """node starts a container that stalls at its own limit: it reads 60 MiB again and again, and may keep 16."""
        node, pod = self.guests['node'], '/sys/fs/cgroup/pod'
        node.run('cd /sys/fs/cgroup && echo +memory >cgroup.subtree_control && mkdir pod && echo 16M >pod/memory.max')
        self.addCleanup(node.run, f'while ! rmdir {pod}; do usleep 20000; done 2>/dev/null')
        self.addCleanup(node.stop_load)
        node.run(f'echo $$ >{pod}/cgroup.procs; exec load cache 60 again')

    def squash(self):
        """squashed uses 180 MiB that can't be compressed, and its only swap is zram. Returns what it uses in all."""
        squashed = self.guests['squashed']
        squashed.run('for m in lzo-rle zsmalloc zram; do insmod /lib/modules/$m.ko || exit 1; done; '
                     'echo 512M >/sys/block/zram0/disksize; mkswap /dev/zram0 >/dev/null && swapon /dev/zram0; '
                     'mount -t tmpfs tmpfs /tmp; dd if=/dev/urandom of=/tmp/page bs=1M count=1 2>/dev/null; '
                     'for i in $(seq 180); do cat /tmp/page; done >/tmp/pages')
        info = squashed.meminfo()
        return info['MemTotal'] - info['MemAvailable']

    def pressure(self):
        """Of its tasks' time in which some waited for memory lately, as a percentage."""
        return float(re.search(r'some avg10=([\d.]+)', self.guests['node'].run('cat /proc/pressure/memory')).group(1))

    def test_b_a_critical_host_believes_neither_a_containers_stalls_nor_zram(self):
        used = self.squash()
        self.contain()
        wait('the container stalls', lambda: self.pressure() > 10, dump=lambda: f'{self.pressure()} %')
        daemon = self.daemon()
        self.host.severe()
        rows = []

        def given(now):
            rows.append(now['node'])
            return now['node']['current_bytes'] <= self.full('node') - 128 * MIB
        daemon.wait('node gives what is free', given)
        self.assertFalse(any(row['distress'] for row in rows), daemon.describe())
        stalls = self.pressure()

        # The other gives no more than what is free, and none of what it would have to compress.
        self.shrunk(daemon, 'squashed')
        daemon.wait_rest()
        squashed, size = self.guests['squashed'], self.actual('squashed')
        info = squashed.meminfo()
        swapped = info['SwapTotal'] - info['SwapFree']
        figure(f'on a critical host: a guest whose container stalls ({stalls:.0f} % of the time) gives '
               f'{(self.full("node") - self.actual("node")) // MIB} MiB of its free memory; one with zram that uses '
               f'{used // MIB} MiB keeps {size // MIB}, {swapped / MIB:.1f} of them compressed')
        self.assertGreaterEqual(size, used)
        self.assertLess(swapped, 2 * MIB, daemon.describe())
        self.assertEqual(squashed.run("grep '^oom_kill ' /proc/vmstat"), 'oom_kill 0')


class Stalled(LabTest):
    GUESTS = {
        'idle': {'memory': 384, 'load': 'free:200'},
        'stuck': {'memory': 384, 'load': 'free:230'},
    }

    def test_a_stuck_balloon_is_left_alone_and_others_give(self):
        daemon = self.daemon(log_level='info')
        stuck = self.guests['stuck']
        self.addCleanup(stuck.run, 'lsmod | grep -q virtio_balloon || insmod /lib/modules/virtio_balloon.ko')
        stuck.run('rmmod virtio_balloon')
        since = daemon.mark()
        self.host.moderate(200)
        daemon.wait_line('stuck: .*is stuck', since)
        daemon.wait('idle gives what stuck doesn\'t', lambda rows: rows['idle']['current_bytes'] <
                    self.full('idle') - 120 * MIB)
        daemon.wait('it is known to be stuck', lambda rows: rows['stuck']['rule'] == 'stalled')
        time.sleep(6)
        self.assertEqual(len(daemon.find_lines('stuck: .*is stuck', since)), 1, daemon.tail())
        self.assertEqual(len([m for m in daemon.moves(since) if m.guest == 'stuck']), 1, daemon.tail())


if __name__ == '__main__':
    raise SystemExit(case.main())
