# shellcheck shell=bash
# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# ansible-test of a given ansible-core, in a home directory of its own under .work/.
set -euo pipefail
shopt -s inherit_errexit

# The newest patch release of each core that is tested. The floor of meta/runtime.yml is the first of them.
declare -A CORES=([2.16]=2.16.19 [2.18]=2.18.19 [2.20]=2.20.10 [2.21]=2.21.5)
# The Python that runs each on the controller.
declare -A CORE_PYTHON=([2.16]=3.11 [2.18]=3.11 [2.20]=3.12 [2.21]=3.12)
# Every Python that a managed host may have and this collection supports, as far as the tested cores know them.
TARGET_PYTHONS=(3.9 3.10 3.11 3.12 3.13)

# core_venv X.Y: print the environment that has this ansible-core.
core_venv() { need_venv "core-$1" "${CORE_PYTHON[$1]}" "ansible-core==${CORES[$1]}"; }

# ansible_test X.Y TREE ARG...: run ansible-test of core X.Y inside TREE.
ansible_test() {
    local core=$1 tree=$2 venv home version python
    shift 2
    venv=$(core_venv "$core")
    home=$WORK/home/core-$core
    mkdir -p "$home/bin" "$home/.cache" "$WORK/cache/pip"
    ln -sfn "$WORK/cache/pip" "$home/.cache/pip"
    # ansible-test looks for pythonX.Y on PATH, cannot use a version manager's shims, and passes over a Python that it
    # does not find with no more than a warning. So each is found here, or this part fails.
    for version in "${TARGET_PYTHONS[@]}"; do
        python=$(need_python "$version")
        ln -sfn "$python" "$home/bin/python$version"
    done
    "$venv/bin/python" "$ROOT/script/lib/ansible_test_pip.py" "$home"
    (
        cd "$tree"
        HOME=$home PATH=$venv/bin:$home/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            ansible-test "$@"
    )
}
