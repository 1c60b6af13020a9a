# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's cloud kernel for the lab's guests, taken out of its package and kept in a cache.

Nothing is installed: the package is downloaded with apt's own lists and keys, and the few files that a guest
needs are unpacked from it. Once they are in the cache, neither apt nor the network is needed."""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile

META_PACKAGE = 'linux-image-cloud-amd64'

# In the order of loading: each needs those before it.
MODULES = ['virtio_ring', 'virtio', 'virtio_pci_modern_dev', 'virtio_pci_legacy_dev', 'virtio_pci',
           'virtio_balloon', 'virtio_console', 'virtio_blk']
# The same, loaded by the test that needs them.
ON_DEMAND = ['lzo-rle', 'zsmalloc', 'zram']


class Unavailable(Exception):
    """Something that the lab needs is missing; the text says what, and what to do."""


class Kernel:
    def __init__(self, folder):
        self.image = os.path.join(folder, 'vmlinuz')
        self.modules = [os.path.join(folder, m + '.ko') for m in MODULES + ON_DEMAND]
        self.version = os.path.basename(folder)

    def complete(self):
        return all(os.path.exists(f) for f in [self.image] + self.modules)


def cache_folder(build):
    """BALLAST_LAB_CACHE, else the user's cache, else (no home) the build folder."""
    if os.environ.get('BALLAST_LAB_CACHE'):
        return os.environ['BALLAST_LAB_CACHE']
    base = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
    try:
        folder = os.path.join(base, 'ballast-lab')
        os.makedirs(folder, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return os.path.join(build, 'lab-cache')


def _run(argv, **kwargs):
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, **kwargs)
    except FileNotFoundError:
        raise Unavailable(f'{argv[0]} is not installed (the lab takes its kernel from a Debian package)')


def _package():
    """The package with the kernel of today: what the meta package depends on."""
    r = _run(['apt-cache', 'depends', '--important', META_PACKAGE], env={**os.environ, 'LC_ALL': 'C'})
    m = re.search(r'Depends: (linux-image-\S+)', r.stdout)
    if not m:
        raise Unavailable(f'apt knows no {META_PACKAGE}: run "apt-get update" on Debian amd64, or put a kernel '
                          'into the cache (BALLAST_LAB_CACHE)')
    return m.group(1)


def _unpack(deb, folder):
    wanted = {m + '.ko' for m in MODULES + ON_DEMAND}
    with subprocess.Popen(['dpkg-deb', '--fsys-tarfile', deb], stdout=subprocess.PIPE) as p:
        with tarfile.open(fileobj=p.stdout, mode='r|') as tar:
            for member in tar:
                name = os.path.basename(member.name)
                if name.startswith('vmlinuz-'):
                    name = 'vmlinuz'
                elif name not in wanted:
                    continue
                if member.isfile():
                    with tar.extractfile(member) as src, open(os.path.join(folder, name), 'wb') as dst:
                        shutil.copyfileobj(src, dst)
            while p.stdout.read(1 << 16):  # to the end, or dpkg-deb dies of a broken pipe
                pass


def _cached(cache):
    try:
        names = sorted(os.listdir(cache), key=lambda n: [int(x) if x.isdigit() else x for x in re.split(r'(\d+)', n)])
    except FileNotFoundError:
        return None
    for name in reversed(names):
        kernel = Kernel(os.path.join(cache, name))
        if name.startswith('linux-image-') and kernel.complete():
            return kernel
    return None


def get(build, say=lambda text: None):
    """The kernel, from the cache or else from its package. Raises Unavailable."""
    cache = cache_folder(build)
    kernel = _cached(cache)
    if kernel:
        return kernel

    package = _package()
    say(f'downloading {package} (26 MB, once; kept in {cache})')
    os.makedirs(cache, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.download-', dir=cache) as work:
        # As root apt would download as a user who can't write here.
        r = _run(['apt-get', '-q', '-o', 'APT::Sandbox::User=root', 'download', package], cwd=work)
        debs = [f for f in os.listdir(work) if f.endswith('.deb')]
        if r.returncode or not debs:
            raise Unavailable(f'apt-get download {package} failed: {r.stderr.strip()}')
        new = os.path.join(work, 'new')
        os.mkdir(new, 0o755)
        _unpack(os.path.join(work, debs[0]), new)
        if not Kernel(new).complete():
            raise Unavailable(f'{debs[0]} lacks a kernel or one of the modules '
                              f'{", ".join(MODULES + ON_DEMAND)}')
        final = os.path.join(cache, package)
        try:
            os.rename(new, final)
        except OSError:  # another lab was quicker; or an older one, which needed fewer modules, left it
            if not Kernel(final).complete():
                os.rename(final, os.path.join(work, 'old'))
                os.rename(new, final)
    return Kernel(final)
