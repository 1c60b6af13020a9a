#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs what a task needs and isn't there yet, through apt. Usage: packaging/setup.sh build|check|analyze|demo|bench|deb
# When everything is there it does nothing, and needs neither root nor the network.
set -eu

build="gcc meson ninja-build pkg-config libc6-dev libvirt-dev libprotobuf-c-dev protobuf-c-compiler libsystemd-dev
       libinih-dev libjson-c-dev libxml2-dev libsmartcols-dev"
lab="python3 qemu-system-x86 seabios libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients busybox-static
     dbus-daemon dbus-bin"
deb="build-essential debhelper dpkg-dev fakeroot"

case "${1:-}" in
build) want="$build" ;;
demo) want="$build $lab" ;;
bench) want="$build $lab gnuplot-nox" ;;
analyze) want="$build check clang-tidy" ;;
deb) want="$build check python3 $deb" ;;
check) want="$build check $lab $deb clang clang-format libclang-rt-14-dev man-db mandoc systemd zsh" ;;
*)
    echo "Usage: packaging/setup.sh build|check|analyze|demo|bench|deb" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is no Debian; please see to it that these are there:" $want >&2
    exit 0
fi

missing=
for p in $want; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null; then
    sudo=sudo
else
    echo "setup: not root, and no sudo. As root: apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
echo "setup: installing with ${sudo:+$sudo }apt-get:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() {
    $sudo "$@" >"$log" 2>&1 || {
        cat "$log" >&2
        echo "setup: '$*' failed" >&2
        exit 1
    }
}
# A mirror that stutters, or another apt at work, is no reason to give up.
options="-o Acquire::Retries=5 -o DPkg::Lock::Timeout=600"
run apt-get -q $options update
run env DEBIAN_FRONTEND=noninteractive apt-get -q $options install -y --no-install-recommends $missing
echo "setup: done"
