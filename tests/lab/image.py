# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab's initramfs: busybox, the virtio modules, the guest agent with its libraries, and the load programs.
Written as a newc archive directly, so that neither root (device nodes) nor cpio is needed."""

import os
import re
import shutil
import stat
import subprocess

from kernel import MODULES, ON_DEMAND, Unavailable

SOURCE = os.path.dirname(os.path.abspath(__file__))


class Archive:
    def __init__(self, f):
        self.f = f
        self.inode = 0

    def _entry(self, name, mode, data=b'', rdev=(0, 0)):
        self.inode += 1
        name = name.encode() + b'\0'
        fields = [self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(name), 0]
        head = b'070701' + b''.join(b'%08X' % v for v in fields) + name
        self.f.write(head + b'\0' * (-len(head) % 4) + data + b'\0' * (-len(data) % 4))

    def folder(self, name):
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, path, mode=0o755):
        with open(path, 'rb') as f:
            self._entry(name, stat.S_IFREG | mode, f.read())

    def text(self, name, text):
        self._entry(name, stat.S_IFREG | 0o644, text.encode())

    def link(self, name, target):
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def console(self, name):
        self._entry(name, stat.S_IFCHR | 0o600, rdev=(5, 1))

    def end(self):
        self._entry('TRAILER!!!', 0)


def busybox():
    path = shutil.which('busybox')
    if not path:
        raise Unavailable('busybox is not installed (package busybox-static)')
    r = subprocess.run([path, '--list'], capture_output=True, text=True, check=True)
    if libraries(path):
        raise Unavailable(f'{path} is not static (package busybox-static)')
    return path, r.stdout.split()


def libraries(program):
    """Paths of the shared libraries that a program needs, its loader first or last; empty: it is static."""
    r = subprocess.run(['ldd', program], capture_output=True, text=True, env={**os.environ, 'LC_ALL': 'C'})
    if 'not found' in r.stdout:
        raise Unavailable(f'{program} lacks a library: {r.stdout.strip()}')
    return re.findall(r'(/\S+) \(0x', r.stdout)


def build(path, kernel, programs):
    """Writes the initramfs to path. programs: {name in /bin: path}."""
    box, applets = busybox()
    shared = {}
    for program in programs.values():
        for library in libraries(program):
            shared[library] = library
    with open(path + '.new', 'wb') as f:
        a = Archive(f)
        for folder in ['dev', 'proc', 'sys', 'bin', 'run', 'tmp', 'lib', 'lib64', 'lib/modules']:
            a.folder(folder)
        a.console('dev/console')
        a.file('init', os.path.join(SOURCE, 'init'))
        a.file('bin/agent', os.path.join(SOURCE, 'agent'))
        a.file('bin/busybox', box)
        for applet in applets:
            if applet not in programs and applet != 'busybox':
                a.link('bin/' + applet, 'busybox')
        for name, program in programs.items():
            a.file('bin/' + name, program)
        for library in shared:
            # The loader's path is fixed in each program; the rest is found through LD_LIBRARY_PATH.
            name = os.path.basename(library)
            a.file(('lib64/' if name.startswith('ld-') else 'lib/') + name, library)
        for name, module in zip(MODULES + ON_DEMAND, kernel.modules):
            a.file(f'lib/modules/{name}.ko', module, 0o644)
        a.text('lib/modules/order', ''.join(name + '\n' for name in MODULES))
        a.end()
    os.rename(path + '.new', path)
