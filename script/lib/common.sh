# shellcheck shell=bash
# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What script/test, script/demo and script/bench share: Debian packages, interpreters, virtual environments and
# exported copies of the tree. Everything that they make is under .work/.
set -euo pipefail
shopt -s inherit_errexit

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
WORK=${LONGSHORE_WORK:-$ROOT/.work}
export ROOT WORK

# Where only C.UTF-8 is installed any other locale makes every ansible command die.
export LC_ALL=C.UTF-8 LANG=C.UTF-8 PYTHONUTF8=1
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1
# Settings of the person who runs this must not reach the checks.
unset ANSIBLE_CONFIG ANSIBLE_COLLECTIONS_PATH ANSIBLE_COLLECTIONS_PATHS PYTHONPATH PYTHONHOME PYENV_VERSION VIRTUAL_ENV
export ANSIBLE_NOCOLOR=1 PY_COLORS=0

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# Everything that script/test, script/demo and script/bench need from Debian.
# shellcheck disable=SC2034  # read by the scripts that source this
DEBIAN_PACKAGES=(
    apache2-utils ca-certificates docker-registry docker.io git iproute2 iptables mmdebstrap openssh-client openssh-server
    openssl podman procps python3-venv redis-server runc shellcheck skopeo
)

# need_packages PACKAGE...: install those Debian packages that are missing, with one `apt-get update`.
# Their services are kept from starting: the checks start their own, on free ports.
need_packages() {
    local package missing=() policy=/usr/sbin/policy-rc.d made_policy=no status=0
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "these Debian packages are missing and only root can install them: ${missing[*]}"
    say "installing Debian packages: ${missing[*]}"
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made_policy=yes
    fi
    mkdir -p "$WORK/logs"
    {
        apt-get update -q &&
            DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
    } >"$WORK/logs/apt.log" 2>&1 || status=$?
    if [ "$made_policy" = yes ]; then rm -f "$policy"; fi
    if [ "$status" != 0 ]; then
        tail -n 30 "$WORK/logs/apt.log" >&2
        die "apt-get could not install: ${missing[*]}"
    fi
}

# find_python X.Y: print the path of a working CPython X.Y. Fails when this machine has none.
find_python() {
    local version=$1 candidate
    local -a places=("$HOME/.pyenv/versions/$version".*/bin "${PYENV_ROOT:-/nowhere}/versions/$version".*/bin)
    local -a path
    IFS=: read -r -a path <<<"$PATH"
    for candidate in "${path[@]/%//python$version}" "${places[@]/%//python$version}" /opt/python*/bin/python"$version" \
        "$(uv python find --no-python-downloads "$version" 2>/dev/null || true)"; do
        # Version managers put shims on PATH that exist for a Python but do not run it: ask it who it is.
        if [ -x "$candidate" ] && [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$version" ]; then
            # The interpreter itself, not the shim or link.
            "$candidate" -c 'import os, sys; print(os.path.realpath(sys.executable))'
            return 0
        fi
    done
    return 1
}

# need_python X.Y: find_python, or a message that says what to install.
need_python() {
    find_python "$1" || die "Python $1 was not found on PATH, under ~/.pyenv/versions, /opt/python* or by uv." \
        "Install it (for example 'pyenv install $1' or 'uv python install $1') and run this again."
}

# need_venv NAME X.Y ARG...: print the path of a virtual environment made once for these arguments, which are pip
# install's. It is made anew when they, or a requirements file among them, change.
need_venv() {
    local name=$1 version=$2 python wanted argument venv
    shift 2
    venv=$WORK/venvs/$name
    python=$(need_python "$version")
    wanted=$(
        printf '%s\n' "$python" "$@"
        for argument in "$@"; do if [ -f "$argument" ]; then cat "$argument"; fi; done
    )
    mkdir -p "$WORK/venvs"
    (
        # Parts run side by side and share environments: one makes it, the others wait.
        flock 9
        if [ ! -f "$venv/.made-for" ] || [ "$(cat "$venv/.made-for")" != "$wanted" ]; then
            say "making the Python $version environment $name"
            rm -rf "$venv"
            "$python" -m venv "$venv"
            "$venv/bin/python" -m pip install -qq "$@" >&2
            "$venv/bin/python" -m pip check >&2
            printf '%s' "$wanted" >"$venv/.made-for"
        fi
    ) 9>"$WORK/venvs/.$name.lock"
    printf '%s\n' "$venv"
}

# export_tree NAME: copy the working tree, without what git ignores, to the place where ansible wants a collection.
# Prints that place: .work/trees/NAME/ansible_collections/longshore/oci.
export_tree() {
    local tree=$WORK/trees/$1/ansible_collections/longshore/oci
    rm -rf "$tree"
    mkdir -p "$tree"
    # Deleted and not yet committed files are still in git's list: leave out what is not there.
    (cd "$ROOT" && git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
        if [ -e "$file" ] || [ -L "$file" ]; then printf '%s\0' "$file"; fi
    done | tar -c --null -T - -f -) | tar -x -C "$tree" -f -
    # ansible-test, ansible-lint and ruff look at what git lists. To the repository around .work/ all of this is
    # ignored, and they would pass because they saw nothing: it needs a repository of its own.
    git -C "$tree" init -q
    git -C "$tree" add -A
    printf '%s\n' "$tree"
}

# collections_path NAME: print the directory to give ansible as ANSIBLE_COLLECTIONS_PATH for `export_tree NAME`.
collections_path() { printf '%s\n' "$WORK/trees/$1"; }
