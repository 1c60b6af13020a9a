# SPDX-License-Identifier: LGPL-2.1-or-later
"""One guest of the lab: its definition, and commands run inside it over a channel of the lab's own."""

import os
import re
import select
import socket
import time

from waiting import HANG, note, wait

CHANNEL = 'org.ballast.guest.0'
MIB = 1 << 20

XML = '''<domain type='{type}'>
  <name>{name}</name>
  <memory unit='MiB'>{memory}</memory>
  <currentMemory unit='MiB'>{current}</currentMemory>
{sharing}  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
{boot}  </os>
  <features><acpi/></features>
  <cpu mode='maximum'/>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <controller type='usb' model='none'/>
    <serial type='file'><source path='{console}' append='on'/><target port='0'/></serial>
{disks}    <channel type='unix'><source mode='bind' path='{command}'/><target type='virtio' name='org.ballast.lab.0'/></channel>
{channel}    <memballoon model='virtio'{balloon}>{stats}</memballoon>
  </devices>
</domain>
'''
# KSM's work in one lab mustn't slow down the others.
SHARING = '  <memoryBacking><nosharepages/></memoryBacking>\n'
BOOT = '''    <kernel>{kernel}</kernel>
    <initrd>{initramfs}</initrd>
    <cmdline>{cmdline}</cmdline>
'''
DISK = '''    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='{cache}'/>
      <source file='{path}'/><target dev='{dev}' bus='virtio'/>{flags}
    </disk>
'''


class Guest:
    """memory, current (default: memory) and swap in MiB. agent: 'yes', 'no' (a channel, but nothing that speaks on
    it), 'hostile:MODE', or None (no channel either). load: done before the guest counts as ready, for example
    'free:200,cache:100,hold:50' (see load.c). stats: the balloon's stats period in seconds, 0 for none. kernel: False
    for one that runs and never gets beyond its BIOS. mergeable: KSM may merge its pages. direct: its disks are read
    and written past the host's page cache."""

    def __init__(self, lab, name, memory=512, current=None, swap=0, agent='yes', load='', stats=0,
                 free_page_reporting=False, autodeflate=False, persistent=True, kernel=True,
                 mergeable=False, direct=False):
        self.lab = lab
        self.short = name
        self.name = f'ballast-lab-{os.getpid()}-{name}'
        self.memory, self.current, self.swap = memory, current or memory, swap
        self.agent, self.load, self.stats = agent, load, stats
        self.free_page_reporting, self.autodeflate = free_page_reporting, autodeflate
        self.persistent, self.kernel, self.mergeable = persistent, kernel, mergeable
        self.disk_cache = 'none' if direct else 'unsafe'
        self.console = lab.path('guests', name + '.log')
        self.command = lab.path('guests', name + '.sock')
        self.socket = None
        self.boots = 0
        self.loaded = 0  # bytes resident when its load was done
        self._id = 0

    def xml(self):
        lab = self.lab
        disks = DISK.format(path=lab.path('guests', 'cache.img'), dev='vda', flags='<readonly/><shareable/>',
                            cache=self.disk_cache)
        words = ['console=ttyS0', 'quiet', 'panic=1', 'mitigations=off', 'nokaslr', 'random.trust_cpu=on', 'no_timer_check',
                 'cryptomgr.notests',
                 'clearcpuid=erms,fsrm',  # which make clearing and copying a page slow under TCG
                 f'ballast.agent={self.agent or "no"}']
        if self.swap:
            path = lab.path('guests', self.short + '.swap')
            disks += DISK.format(path=lab.make_disk(path, self.swap), dev='vdb', flags='', cache=self.disk_cache)
            words.append('ballast.swap=vdb')
        if self.load:
            words.append('ballast.load=' + self.load)
        channel = f"    <channel type='unix'><target type='virtio' name='{CHANNEL}'/></channel>\n"
        balloon = (" freePageReporting='on'" if self.free_page_reporting else '') + \
                  (" autodeflate='on'" if self.autodeflate else '')
        boot = BOOT.format(kernel=lab.kernel_image, initramfs=lab.initramfs, cmdline=' '.join(words))
        return XML.format(type='kvm' if lab.kvm else 'qemu', name=self.name, memory=self.memory,
                          sharing='' if self.mergeable else SHARING,
                          current=self.current, boot=boot if self.kernel else '', console=self.console,
                          command=self.command, disks=disks,
                          channel=channel if self.agent else '', balloon=balloon,
                          stats=f"<stats period='{self.stats}'/>" if self.stats else '')

    # Life

    def start(self, paused=False):
        path = self.lab.path('guests', self.short + '.xml')
        with open(path, 'w') as f:
            f.write(self.xml())
        self.lab.give(path)
        self.boots = self._ready_count()
        how = ['--paused'] if paused else []
        if self.persistent:
            self.lab.virsh('define', path)
            self.lab.virsh('start', self.name, *how)
        else:
            self.lab.virsh('create', path, *how)

    def wait_ready(self):
        """Waits until it has booted (again): its load is done and its agent started."""
        wait(f'{self.short} is ready', lambda: self._ready_count() > self.boots,
             dump=lambda: f'its console:\n{self._console()[-2000:]}')
        self.boots = self._ready_count()
        # While the other end is closed its shell looks for commands ten times a second: 7 % of a core under TCG.
        self._connect()

    def _console(self):
        try:
            with open(self.console, errors='replace') as f:
                text = f.read()
            note(f'console of {self.short}', len(text))
            return text
        except FileNotFoundError:
            return ''

    def _ready_count(self):
        return self._console().count('ballast-lab: ready')

    def pid(self):
        """Of its QEMU."""
        with open(self.lab.path('run', 'libvirt', 'qemu', 'run', self.name + '.pid')) as f:
            return int(f.read())

    def migration(self, peer):
        """The command that moves it to another host, alive."""
        xml = self.lab.virsh('dumpxml', '--migratable', self.name)
        # Both QEMUs run here: each needs its own files.
        for path in (self.command, self.console):
            xml = xml.replace(path, path + '.moved')
        path = self.lab.path('guests', self.short + '.moved.xml')
        with open(path, 'w') as f:
            f.write(xml)
        self.lab.give(path)
        return ['virsh', '-q', '-c', 'qemu:///session', 'migrate', '--live', self.name, peer.uri(),
                '--migrateuri', 'unix://' + peer.path('run', 'migration'), '--xml', path]

    def migrated(self, peer):
        self.disconnect()
        self.lab.guests.remove(self)
        peer.guests.append(self)
        self.lab = peer
        self.command += '.moved'
        self.console += '.moved'

    def resident(self):
        """Bytes of its QEMU."""
        with open(f'/proc/{self.pid()}/statm') as f:
            size = int(f.read().split()[1]) * 4096
        note(f'resident MiB of {self.short}', size // MIB)
        return size

    # Commands inside

    def disconnect(self):
        if self.socket:
            self.socket.close()
            self.socket = None

    def _connect(self):
        if not self.socket:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(self.command)

    def run(self, command, seconds=HANG, check=True):
        """Runs a shell command in the guest and returns what it printed. A guest that is short of memory may take long
        to do so."""
        self._connect()
        self._id += 1
        mark = re.compile(rb'\x1e%d (\d+)\r?\n' % self._id)
        self.socket.sendall(f'\n{self._id} {command}\n'.encode())
        got, end = b'', time.monotonic() + seconds
        while True:
            m = mark.search(got)
            if m:
                break
            if not select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]:
                self.disconnect()
                raise AssertionError(f'{self.short}: no answer to "{command}" within {seconds:g} s; got {got!r}')
            data = self.socket.recv(65536)
            if not data:
                self.disconnect()
                raise AssertionError(f'{self.short}: ended during "{command}"')
            got += data
        text = got[:m.start()].decode(errors='replace').strip('\n').rstrip()
        if check and m.group(1) != b'0':
            raise AssertionError(f'{self.short}: "{command}": exit {m.group(1).decode()}: {text}')
        return text

    def load_now(self, *args):
        """Runs load (see load.c) with these arguments: load_now('hold', 100). Returns its pid, or ''."""
        return self.run('load ' + ' '.join(str(a) for a in args))

    def stop_load(self):
        self.run('for f in /run/load/*; do [ ! -e "$f" ] || { kill -9 "${f##*/}"; rm "$f"; }; done')

    def pages_touched(self):
        """By all loads in the background, since they began."""
        return sum(int(n) for n in self.run('cat /run/load/* 2>/dev/null; true').split())

    def meminfo(self):
        info = {m.group(1): int(m.group(2)) << 10
                for m in re.finditer(r'(\w+): +(\d+) kB', self.run('cat /proc/meminfo'))}
        note(f'swap MiB of {self.short}', (info['SwapTotal'] - info['SwapFree']) // MIB)
        return info

    # The balloon, as libvirt sees it

    def memstat(self):
        """virsh dommemstat, in bytes (counts of faults and last_update as they are)."""
        counts = ('major_fault', 'minor_fault', 'last_update', 'hugetlb_pgalloc', 'hugetlb_pgfail')
        return {key: int(value) if key in counts else int(value) << 10
                for key, value in (line.split() for line in
                                   self.lab.virsh('dommemstat', self.name).splitlines())}

    def actual(self):
        size = self.memstat()['actual']
        note(f'balloon of {self.short}', size)
        return size

    def setmem(self, mib):
        """Sets its size by hand, as an administrator does."""
        self.lab.virsh('setmem', self.name, f'{mib}M', '--live')
