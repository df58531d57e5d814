#!/usr/bin/env bash
# Installs the Debian packages that Eyrie needs and this machine lacks. Asks once; EYRIE_YES=1 (CI) does not ask.
set -euo pipefail

packages=(
    libsqlite3-dev libyaml-dev zlib1g-dev            # the store
    libjemalloc-dev           # memory
    containerd runc           # containers
    nftables iproute2         # networks
    util-linux procps         # nsenter, sysctl
    e2fsprogs                 # volumes with a size
    haproxy                   # Ingresses; without it all else works, and their events name it
    docker-registry skopeo    # the fixture registry, where the internet's cannot be reached
    curl python3-venv ca-certificates
)
# The fixture image has a small program of our own, linked statically.
{ command -v cc || command -v clang; } >/dev/null && compgen -G "/usr/lib/*/libc.a" >/dev/null && compgen -G "/usr/lib/gcc/*/*/libgcc.a" >/dev/null || packages+=(gcc libc6-dev)
# What the tests need beside that: an image's shell, CNI plug-ins of others, a second opinion on certificates.
[ "${1:-}" = tests ] && packages+=(busybox-static containernetworking-plugins openssl)
# libFuzzer, which comes with Swift, is C++.
[ "${1:-}" = fuzz ] && ! compgen -G "/usr/lib/gcc/*/*/libstdc++.so" >/dev/null && packages+=(g++)
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "Eyrie needs these packages, which this user may not install here: ${missing[*]}" >&2
    echo "Fix   sudo apt-get install ${missing[*]}" >&2
    exit 1
fi
if [ "${EYRIE_YES:-}" != 1 ]; then
    if [ ! -t 0 ]; then
        echo "Eyrie needs these packages: ${missing[*]}" >&2
        echo "Fix   EYRIE_YES=1 make deps     or     apt-get install ${missing[*]}" >&2
        exit 1
    fi
    read -r -p "Install ${missing[*]}? [Y/n] " answer
    case $answer in "" | [yY]*) ;; *) exit 1 ;; esac
fi
export DEBIAN_FRONTEND=noninteractive
# A package's service must not be started by its installation: Eyrie runs containerd itself, one for each node.
policy=/usr/sbin/policy-rc.d
[ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; trap 'rm -f "$policy"' EXIT; }
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "Installed ${missing[*]}"
