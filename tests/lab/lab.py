# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real guests on this machine, in a folder, with a libvirtd and a session bus of their own.

    with Lab(build) as lab:
        idle = lab.guest('idle', memory=512, load='free:250')
        lab.boot(idle)
        print(idle.run('free -m'))

Nothing needs root. As root, libvirt, QEMU and the daemon under test run as "nobody", for libvirt's session driver
is for unprivileged users (and as root libvirt probes QEMU again at each call if KVM can't be used).

What belongs to a lab is known by its folder: every process that it starts has HOME or XDG_RUNTIME_DIR in there, and
is ended by pid. A lab whose owner was killed is cleared away by its keeper (keeper.py), and if that was killed, too, by
the next lab."""

import contextlib
import ctypes
import glob
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid

import cgroup
import image
import kernel
import ksm
from guest import Guest
from kernel import Unavailable
from waiting import HANG, wait

SKIP = 77
# Not $TMPDIR: a channel's socket lies deep below it, and a socket's path has 107 characters at the most.
TEMP = '/tmp'
PREFIX = 'ballast-lab-'
TOOLS = {'libvirtd': 'libvirt-daemon', 'virsh': 'libvirt-clients', 'qemu-system-x86_64': 'qemu-system-x86',
         'dbus-daemon': 'dbus'}
PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

BUS_CONFIG = '''<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
'''


class Failed(Exception):
    """The lab itself didn't work, rather than what it tests."""


def build_file(build, *parts):
    path = os.path.join(build, *parts)
    if not os.path.exists(path):
        raise Unavailable(f'{path} is not built: run "ninja -C {build}" first')
    return path


def alive(pid):
    """Whether the process runs (a zombie doesn't)."""
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rpartition(')')[2].split()[0] not in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return False


def _started(pid):
    """Distinguishes a process from a later one with the same number; None: no such process."""
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rpartition(')')[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


def cpu_seconds(pid):
    with open(f'/proc/{pid}/stat') as f:
        fields = f.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def processes_of(folder):
    """The pids of all processes whose HOME or XDG_RUNTIME_DIR is inside the folder."""
    marks = [f'{var}={folder}/'.encode() for var in ('HOME', 'XDG_RUNTIME_DIR')]
    pids = []
    for entry in os.listdir('/proc'):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f'/proc/{entry}/environ', 'rb') as f:
                environ = f.read().split(b'\0')
        except OSError:  # ended meanwhile, or somebody else's
            continue
        if any(word.startswith(mark) for word in environ for mark in marks) and alive(int(entry)):
            pids.append(int(entry))
    return pids


def clear_away(folder, patience=2.0):
    """Ends what runs in the folder and removes it."""
    for sig, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 30.0)):
        limit, signalled = time.monotonic() + seconds, set()
        while time.monotonic() < limit and (pids := processes_of(folder)):
            for pid in set(pids) - signalled:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sig)
            signalled.update(pids)
            time.sleep(0.05)
    ksm.restore(folder)
    cgroup.remove(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _end_with_parent():
    """Ends a lab whose test runner was killed. (Not one that was started by hand: its shell may end before it.)"""
    if 'MESON_TEST_ITERATION' in os.environ:
        parent = os.getppid()
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            raise SystemExit(128 + signal.SIGTERM)


def sweep():
    """Removes the folders of labs whose owner has ended."""
    for folder in glob.glob(os.path.join(TEMP, PREFIX + '*')):
        try:
            st = os.lstat(folder)
            with open(os.path.join(folder, 'owner')) as f:
                pid, started = f.read().split()
        except (OSError, ValueError):
            continue  # being made just now, or not ours
        if os.path.islink(folder) or st.st_uid != os.geteuid():
            continue
        if alive(int(pid)) and _started(int(pid)) == started:
            continue
        clear_away(folder)


class Lab:
    def __init__(self, build, say=None, programs=()):
        """programs: C sources of more programs for the guests."""
        self.build = os.path.abspath(build)
        self.programs = programs
        self.say = say or (lambda text: None)
        self.guests = []
        self.peers = []
        self.libvirtd = None
        self.bus = None
        self.folder = None
        self.kvm = False
        self.cpu = 0.0  # CPU time of destroyed guests, in seconds
        # As root: the user that everything runs as.
        self.user = pwd.getpwnam('nobody') if os.geteuid() == 0 else None
        self._keeper = None
        self._signals = {}
        self._closers = []

    # Start and end

    def __enter__(self):
        self._catch_signals()
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exc):
        self._end()

    def _catch_signals(self):
        def stop(number, _frame):
            raise SystemExit(128 + number)
        for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._signals[s] = signal.signal(s, stop)
        _end_with_parent()

    def _end(self):
        for s in self._signals:
            signal.signal(s, signal.SIG_IGN)  # a second Ctrl-C mustn't leave half of the lab behind
        try:
            for close in reversed(self._closers):
                close()
            for guest in self.guests:
                guest.disconnect()
            if self.folder:
                keep = os.environ.get('BALLAST_LAB_KEEP')
                if keep:
                    shutil.copytree(self.folder, os.path.join(keep, os.path.basename(self.folder)),
                                    ignore=lambda d, names: [n for n in names if not n.endswith(('.log', '.conf'))],
                                    dirs_exist_ok=True)
                clear_away(self.folder)
            if self._keeper:
                self._keeper.communicate()
            for lab in (self, *self.peers):
                for p in (lab.libvirtd, lab.bus):
                    if p:
                        p.wait()
        finally:
            for s, handler in self._signals.items():
                signal.signal(s, handler)

    def at_end(self, close):
        """close() is called before the lab is removed; the last one registered first."""
        self._closers.append(close)

    def _start(self):
        for tool, package in TOOLS.items():
            if not shutil.which(tool, path=PATH):
                raise Unavailable(f'{tool} is not installed (package {package})')
        self.kernel = kernel.get(self.build, self.say)
        self._make()
        self.make_folder('guests')
        self.initramfs = self.path('guests', 'initramfs')
        image.build(self.initramfs, self.kernel, {
            'ballast-guestd': build_file(self.build, 'guest-agent', 'ballast-guestd'),
            'load': self._program('load'), 'hostile': self._program('hostile'), 'lever': self._program('lever'),
            **{os.path.basename(source)[:-2]: self._compile(source) for source in self.programs}})
        self.kernel_image = self.copy('guests', self.kernel.image)
        self.make_disk(self.path('guests', 'cache.img'), 1024)
        self.kvm = self._probe_kvm()
        self.say('guests run under ' + ('KVM' if self.kvm else 'TCG (KVM can\'t be used here)'))
        self._start_bus()
        self.start_libvirtd()

    def _make(self):
        """Makes its folder, and starts the keeper of that."""
        sweep()
        self.folder = tempfile.mkdtemp(prefix=PREFIX, dir=TEMP)
        with open(self.path('owner'), 'w') as f:
            f.write(f'{os.getpid()} {_started(os.getpid())}\n')
        keeper = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'keeper.py')
        self._keeper = subprocess.Popen([sys.executable, '-B', keeper, self.folder], stdin=subprocess.PIPE,
                                        start_new_session=True)
        os.chmod(self.folder, 0o755)
        os.mkdir(self.path('bin'), 0o755)
        for name in ('run', 'home', 'libvirt'):
            self.make_folder(name)

    def _program(self, name):
        """A program that runs inside guests; compiled here if the build has no tests (as the demo's hasn't)."""
        built = os.path.join(self.build, 'tests', 'lab', name)
        return built if os.path.exists(built) else self._compile(os.path.join(image.SOURCE, name + '.c'))

    def _compile(self, source):
        target = self.path('bin', os.path.basename(source)[:-2])
        argv = ['cc', '-std=gnu17', '-D_GNU_SOURCE', '-O2', '-static', '-o', target, source, '-lm']
        try:
            subprocess.run(argv, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise Unavailable('no C compiler (package gcc)')
        except subprocess.CalledProcessError as e:
            raise Failed(f'{source}: {e.stderr}')
        return target

    # Files and processes

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def give(self, path):
        """Makes a file the lab user's own."""
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        return path

    def make_folder(self, name):
        os.mkdir(self.path(name), 0o700)
        return self.give(self.path(name))

    def make_disk(self, path, mib):
        with open(path, 'wb') as f:
            f.truncate(mib << 20)
        return self.give(path)

    def copy(self, folder, source):
        """A copy which the lab user can read wherever the original lies."""
        target = self.path(folder, os.path.basename(source))
        shutil.copyfile(source, target + '.new')
        os.chmod(target + '.new', 0o755)
        os.rename(target + '.new', target)  # the old one may be running
        return target

    def environment(self):
        return {'PATH': PATH, 'LANG': 'C.UTF-8', 'HOME': self.path('home'), 'XDG_RUNTIME_DIR': self.path('run'),
                'XDG_CONFIG_HOME': self.folder, 'XDG_CACHE_HOME': self.path('home', '.cache'),
                'DBUS_SESSION_BUS_ADDRESS': 'unix:path=' + self.path('run', 'bus'),
                'LIBVIRT_AUTOSTART': '0',  # or the first client starts another libvirtd when ours was killed
                'TSAN_OPTIONS': os.environ.get('TSAN_OPTIONS', '')}

    def _as_user(self, kvm=None):
        kwargs = {'env': self.environment(), 'cwd': self.folder, 'stdin': subprocess.DEVNULL,
                  'start_new_session': True}  # Ctrl-C in a terminal is for this process only
        if self.user:
            # Root may lend its guests /dev/kvm's group, unless that is root's own.
            gid = os.stat('/dev/kvm').st_gid if (self.kvm if kvm is None else kvm) else 0
            kwargs.update(user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[gid] if gid else [])
        return kwargs

    def spawn(self, argv, **kwargs):
        """Starts a process of the lab."""
        return subprocess.Popen(argv, **self._as_user(), **kwargs)

    def run(self, argv, timeout=HANG, check=True):
        r = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, **self._as_user())
        if check and r.returncode:
            raise Failed(f'{" ".join(argv)}: exit {r.returncode}: {r.stderr.strip()}')
        return r

    def virsh(self, *args, timeout=HANG, check=True):
        return self.run(['virsh', '-q', '-c', 'qemu:///session', *args], timeout=timeout, check=check).stdout.strip()

    def spawn_virsh(self):
        """One that reads its commands from standard input."""
        return subprocess.Popen(['virsh', '-q', '-c', 'qemu:///session'], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, **{**self._as_user(), 'stdin': subprocess.PIPE})

    # The session

    def _probe_kvm(self):
        """/dev/kvm may exist, and even create a VM, and yet not run one: only a guest of the lab that boots shows that it
        works."""
        if not os.path.exists('/dev/kvm') or not os.access('/dev/kvm', os.R_OK | os.W_OK):
            return False
        argv = ['qemu-system-x86_64', '-accel', 'kvm', '-cpu', 'max', '-m', '256', '-nodefaults', '-display', 'none',
                '-no-reboot', '-serial', 'stdio', '-kernel', self.kernel_image, '-initrd', self.initramfs,
                '-append', 'console=ttyS0 quiet panic=-1 ballast.probe=yes']
        try:
            r = subprocess.run(argv, capture_output=True, timeout=60, **self._as_user(kvm=True))
        except subprocess.TimeoutExpired:
            return False
        return b'ballast-lab: probed' in r.stdout

    def _start_bus(self):
        with open(self.path('bus.conf'), 'w') as f:
            f.write(BUS_CONFIG.format(path=self.path('run', 'bus')))
        with open(self.path('bus.log'), 'wb') as log:
            self.bus = self.spawn(['dbus-daemon', '--config-file', self.path('bus.conf'), '--nofork', '--nopidfile',
                                   '--nosyslog'], stdout=log, stderr=log)
        wait('the session bus is up', lambda: os.path.exists(self.path('run', 'bus')))

    def start_libvirtd(self):
        with open(self.path('libvirt', 'qemu.conf'), 'w') as f:
            # No virtlogd alongside; no security driver.
            f.write('stdio_handler = "file"\nsecurity_driver = "none"\n')
        with open(self.path('libvirtd.log'), 'ab') as log:
            self.libvirtd = self.spawn(['libvirtd'], stdout=log, stderr=log)

        def answers():
            if self.libvirtd.poll() is not None:
                with open(self.path('libvirtd.log')) as f:
                    raise Failed(f'libvirtd ended at once: {f.read()[-2000:]}')
            return self.run(['virsh', '-c', 'qemu:///session', 'uri'], check=False).returncode == 0
        wait('libvirtd answers', answers, step=0.2)

    def kill_libvirtd(self):
        """SIGKILL, as in a crash. The guests keep running."""
        self.libvirtd.kill()
        self.libvirtd.wait()

    def peer(self):
        """Another host on this machine, the target of a migration."""
        peer = Peer(self)
        self.peers.append(peer)
        peer.start()
        return peer

    # Guests

    def guest(self, name, **kwargs):
        """Describes a guest (see Guest); boot() starts it."""
        guest = Guest(self, name, **kwargs)
        self.guests.append(guest)
        return guest

    def sizes(self):
        """{short name: the balloon's size} of all guests that run, in one call."""
        sizes, names = {}, {g.name: g.short for g in self.guests}
        for line in self.virsh('domstats', '--balloon', '--list-running').splitlines():
            if line.startswith('Domain: '):
                short = names.get(line[8:].strip().strip("'"))
            elif short and line.strip().startswith('balloon.current='):
                sizes[short] = int(line.split('=')[1]) << 10
        return sizes

    def boot(self, *guests):
        """Starts the guests together and waits until all are ready."""
        for guest in guests:
            guest.start()
        for guest in guests:
            guest.wait_ready()

    def destroy(self, *guests):
        """Ends them all at once: libvirt takes a second for each."""
        virsh = ['virsh', '-q', '-c', 'qemu:///session']
        for guest in guests:
            with contextlib.suppress(OSError, ValueError):  # it doesn't run
                self.cpu += cpu_seconds(guest.pid())
        for step in ('destroy', 'undefine'):
            those = [g for g in guests if step == 'destroy' or g.persistent]
            running = [self.spawn([*virsh, step, g.name], stdout=subprocess.DEVNULL) for g in those]
            for guest, p in zip(those, running):
                if p.wait(HANG):
                    raise Failed(f'virsh {step} {guest.name}: exit {p.returncode}')
        for guest in guests:
            guest.disconnect()
            if guest in self.guests:
                self.guests.remove(guest)


class Peer(Lab):
    """A separate libvirtd and session bus inside a lab's folder, which are removed with it."""

    def __init__(self, lab):
        super().__init__(lab.build, lab.say)
        # Short: the path of a guest's channel begins with it.
        self.folder = lab.path('p')
        self.user, self.kvm = lab.user, lab.kvm

    def start(self):
        os.mkdir(self.folder, 0o755)
        os.mkdir(self.path('bin'), 0o755)
        for name in ('run', 'home', 'libvirt'):
            self.make_folder(name)
        with open(self.path('libvirt', 'libvirtd.conf'), 'w') as f:
            # libvirt migrates nothing to the same host.
            f.write(f'host_uuid = "{uuid.uuid4()}"\n')
        self._start_bus()
        self.start_libvirtd()

    def uri(self):
        return f'qemu+unix:///session?socket={self.path("run", "libvirt", "libvirt-sock")}'


@contextlib.contextmanager
def lab_or_skip(build, say=None, programs=()):
    """A lab, or the end of the program with exit status 77 and the reason."""
    with contextlib.ExitStack() as stack:
        try:
            lab = stack.enter_context(Lab(build, say, programs))
        except Unavailable as e:
            print(f'SKIP: {e}', file=sys.stderr)
            raise SystemExit(SKIP)
        yield lab
