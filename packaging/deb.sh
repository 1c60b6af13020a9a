#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds the Debian packages into dist/. With --test also installs them, with dpkg, onto a throw-away overlay of this
# system's root, runs what they hold there, and removes and purges them again.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD
version=$(sed -n "s/^  version: '\(.*\)',$/\1/p" meson.build)
work=$top/build/deb

build() {
    echo "deb: building ballast-host and ballast-guest $version (log: build/deb.log)"
    rm -rf "$work" dist
    mkdir -p "$work/ballast-$version" dist
    tar -c --exclude=./build --exclude=./dist --exclude=./.git --exclude=__pycache__ . | tar -x -C "$work/ballast-$version"
    cp -r packaging/debian "$work/ballast-$version/debian"
    (cd "$work/ballast-$version" && dpkg-buildpackage -us -uc -b) >build/deb.log 2>&1 || {
        tail -n 40 build/deb.log >&2
        exit 1
    }
    mv "$work"/*.deb dist/
    rm -rf "$work"
    ls dist/*.deb
}

# Runs in a mount namespace of its own with a private overlay over the root: nothing of it reaches the system.
inside() {
    local t
    t=$top/build/overlay
    mkdir -p "$t"
    mount -t tmpfs tmpfs "$t"
    mkdir "$t/upper" "$t/work" "$t/root"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$t/upper,workdir=$t/work" "$t/root"
    mount -t proc proc "$t/root/proc"
    mount --bind /dev "$t/root/dev"
    mkdir -p "$t/root/dist"
    cp "$top"/dist/ballast-*_"$version"_*.deb "$t/root/dist/"
    chroot "$t/root" /bin/bash -euo pipefail -c '
        export DEBIAN_FRONTEND=noninteractive
        # No service is started in here.
        printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d
        fail() { echo "deb: $*" >&2; exit 1; }
        installs() { dpkg -i /dist/ballast-guest_*.deb /dist/ballast-host_*.deb || fail "dpkg -i failed"; }
        # First before the package that makes the group libvirt.
        ! getent group libvirt >/dev/null || groupdel libvirt
        installs
        id -nG ballast | grep -qw libvirt || fail "C15: ballast is no member of libvirt, which did not exist"
        getent passwd ballast-guest >/dev/null || fail "C15: there is no user ballast-guest"
        test -L /etc/systemd/system/multi-user.target.wants/ballastd.service || fail "C15: ballastd is not enabled"
        ! find /etc/systemd/system -name "ballast-guestd*" | grep . || fail "C15: the agent, which udev starts, is enabled"
        ! find /usr/share/dbus-1 /etc/systemd/system -name "*org.ballast1.service" | grep . || fail "A4: D-Bus starts ballastd"
        test -f /usr/share/dbus-1/system.d/org.ballast1.conf
        dpkg -s ballast-host ballast-guest | grep -c "^Status: install ok installed" | grep -qx 2
        /usr/sbin/ballast-guestd --once --json >/dev/null
        /usr/sbin/ballastd --check
        getent passwd ballast >/dev/null
        ballastctl --version
        test -f /lib/systemd/system/ballastd.service -a -f /lib/systemd/system/ballast-guestd.service
        test -f /lib/systemd/system/ballast-guestd-levers.socket -a -f /lib/systemd/system/ballast-guestd-levers.service
        test -f /usr/lib/tmpfiles.d/ballast-guest.conf
        test -f /lib/udev/rules.d/60-ballast-guestd.rules
        test -f /usr/lib/tmpfiles.d/ballast.conf -a -f /usr/share/ballast/policy/ksm.policy
        ! command -v systemd-analyze >/dev/null || systemd-analyze verify /lib/systemd/system/ballastd.service \
            /lib/systemd/system/ballast-guestd.service /lib/systemd/system/ballast-guestd-levers.s*
        ldd /usr/sbin/ballast-guestd | grep -vE "linux-vdso|ld-linux|libc\.so|libprotobuf-c\.so" && exit 1
        man -w ballastd ballastd.conf ballast-policy ballastctl ballast-guestd >/dev/null
        echo "# mine" >>/etc/ballast/ballastd.conf
        dpkg --remove ballast-host ballast-guest
        grep -q "# mine" /etc/ballast/ballastd.conf
        dpkg --purge ballast-host ballast-guest
        test ! -e /etc/ballast/ballastd.conf -a ! -e /usr/sbin/ballastd -a ! -e /usr/sbin/ballast-guestd
        # And after it: its group stays as it is.
        userdel ballast
        groupdel libvirt
        groupadd --system --gid 64999 libvirt
        installs
        id -nG ballast | grep -qw libvirt || fail "C15: ballast is no member of libvirt, which existed"
        getent group libvirt | grep -q ":64999:ballast$" || fail "C15: the group libvirt was changed"
    '
    echo "deb: installed, run, removed and purged"
}

case "${1:-}" in
"") build ;;
--test)
    build
    if [ "$(id -u)" = 0 ]; then
        unshare --mount --pid --fork --kill-child --propagation private "$top/packaging/deb.sh" --inside >build/deb-test.log 2>&1
    elif ! command -v newuidmap >/dev/null || ! grep -q "^$(id -un):" /etc/subuid; then
        echo "deb: built, and not tried: that needs root, or the package uidmap and a line for $(id -un) in /etc/subuid"
        exit 77
    else
        unshare --user --map-root-user --map-auto --mount --pid --fork --kill-child "$top/packaging/deb.sh" --inside >build/deb-test.log 2>&1
    fi || {
        cat build/deb-test.log >&2
        exit 1
    }
    tail -n 1 build/deb-test.log
    ;;
--inside) inside ;;
*)
    echo "Usage: packaging/deb.sh [--test]" >&2
    exit 2
    ;;
esac
