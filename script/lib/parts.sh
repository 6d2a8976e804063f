# shellcheck shell=bash
# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The checks. PARTS lists them in the order in which they start: what fails fast first, then the longest.
# `part NAME` carries one out: it prints what it finds and fails if anything is wrong.
set -euo pipefail
shopt -s inherit_errexit

# shellcheck disable=SC2034  # read by the scripts that source this
PARTS=(
    floors lint types changelog
    registry machines roles faults registry-old sanity-2.21 sanity-2.16 units-2.21 integration-low integration-new
    sanity-2.20 sanity-2.18
    load unit unit-old units-2.16 units-2.18 units-2.20 fuzz
    docs ansible-lint importer demo bench-smoke
)

# shellcheck disable=SC2034  # read by the scripts that source this
declare -A ABOUT=(
    [floors]="imports in plugins/ look down only, in no circle; nothing below support/ imports Ansible"
    [lint]="ruff over all Python, shellcheck over all scripts"
    [types]="mypy --strict over module_utils, the actions, the programs of the roles, the test servers and the registry that plays faults"
    [changelog]="antsibull-changelog lint"
    [registry]="tests/interop: the collection against real registries, skopeo, dockerd and podman"
    [roles]="tests/roles: the programs of the roles against real registries, the examples of their documentation"
    [machines]="tests/machines: the roles on systemd machines of Debian 12, Debian 13 and Ubuntu 24.04"
    [faults]="tests/faults: the modules against registries that break, stall, lie and mean harm"
    [registry-old]="tests/faults and each verb of tests/interop, Python 3.9, requests 2.25.1, urllib3 1.26.5, modules of core 2.16"
    [sanity-2.16]="ansible-test sanity, core 2.16, no ignores"
    [sanity-2.18]="ansible-test sanity, core 2.18, no ignores"
    [sanity-2.20]="ansible-test sanity, core 2.20, no ignores"
    [sanity-2.21]="ansible-test sanity, core 2.21, no ignores, every supported Python"
    [integration-low]="ansible-test integration, the oldest supported core"
    [integration-new]="ansible-test integration, the newest core"
    [unit]="tests/unit, Python 3.11, newest libraries"
    [unit-old]="tests/unit, Python 3.9, requests 2.25.1 and urllib3 1.26.5"
    [load]="tests/load: much at once, memory and threads; LONGSHORE_LOAD_GIB=20 for the large layer in full"
    [fuzz]="tests/fuzz: parsers and archive readers, a fixed number of inputs; LONGSHORE_FUZZ_SECONDS for others, so long each"
    [units-2.16]="ansible-test units, core 2.16, Python 3.10"
    [units-2.18]="ansible-test units, core 2.18, Python 3.11"
    [units-2.20]="ansible-test units, core 2.20, Python 3.12"
    [units-2.21]="ansible-test units, core 2.21, Python 3.13"
    [docs]="antsibull-docs lint of every plugin's documentation, references validated"
    [ansible-lint]="ansible-lint, production profile, offline"
    [importer]="galaxy-importer on the built tarball, required tags checked"
    [demo]="script/demo"
    [bench-smoke]="script/bench --smoke"
)

REQUIREMENTS=$ROOT/tests/requirements
# What of tests/interop runs with the oldest Python and libraries. All of tests/faults does, where every verb is.
OLD_STACK=(
    tests/interop/test_copy.py
    tests/interop/test_registry_login.py
    tests/interop/test_sync.py::test_several_destinations_take_one_pull
    tests/interop/test_sync.py::test_archives_grow_by_what_is_new_and_go_on_into_a_registry
)
NEWEST=2.21
OLDEST=2.16

part() {
    local name=$1
    case $name in
    sanity-* | units-*) "part_${name%%-*}" "$name" "${name#*-}" ;;
    integration-low) part_integration "$name" "$OLDEST" ;;
    integration-new) part_integration "$name" "$NEWEST" ;;
    machines) part_roles "$name" ;;
    unit) part_unit "$name" 3.11 unit.txt ;;
    unit-old) part_unit "$name" 3.9 unit-old.txt ;;
    *) "part_${name//-/_}" "$name" ;;
    esac
}

part_floors() { python3 "$ROOT/tests/floors.py" "$ROOT"; }

part_lint() {
    local venv scripts status=0
    venv=$(need_venv tools 3.11 -r "$REQUIREMENTS/tools.txt")
    cd "$ROOT"
    mapfile -t scripts < <(find .ci script tests -type f -not -path 'tests/output/*' -not -name '*.py' -print0 |
        xargs -0 grep -lE -m1 '^(#!.*\b(ba)?sh$|# shellcheck shell=)' | sort)
    [ ${#scripts[@]} -gt 0 ] || die "no shell script found"
    "$venv/bin/ruff" check --no-cache --output-format concise . || status=1
    shellcheck --external-sources "${scripts[@]}" || status=1
    say "looked at ${#scripts[@]} shell scripts"
    return "$status"
}

part_types() {
    local venv tree
    venv=$(need_venv tools 3.11 -r "$REQUIREMENTS/tools.txt")
    tree=$(export_tree "$1")
    cd "$tree/../../.."
    "$venv/bin/mypy" --config-file "$tree/pyproject.toml" --cache-dir "$WORK/cache/mypy" \
        -p ansible_collections.longshore.oci.plugins.module_utils -p ansible_collections.longshore.oci.plugins.plugin_utils \
        -p ansible_collections.longshore.oci.plugins.action -p ansible_collections.longshore.oci.tests.servers \
        -p ansible_collections.longshore.oci.tests.faults.server \
        -p ansible_collections.longshore.oci.roles.registry_gc.files.longshore_gc \
        -p ansible_collections.longshore.oci.roles.registry_migrate.files.registry_migrate_read
    # Run by its directory, it imports itself by its own name.
    MYPYPATH=$tree/roles/registry_backup/files "$venv/bin/mypy" --config-file "$tree/pyproject.toml" \
        --cache-dir "$WORK/cache/mypy-backup" -p longshore_backup
}

part_changelog() {
    local venv tree
    venv=$(need_venv tools 3.11 -r "$REQUIREMENTS/tools.txt")
    tree=$(export_tree "$1")
    cd "$tree"
    "$venv/bin/antsibull-changelog" lint
    "$venv/bin/antsibull-changelog" lint-changelog-yaml changelogs/changelog.yaml
    say "changelog: $(find changelogs/fragments -name '*.y*ml' | wc -l) fragments clean"
}

# run_pytest VENV TREE DIRECTORY ARG...: a test that is skipped fails the part, for everything it needs is here.
run_pytest() {
    local venv=$1 tree=$2 directory=$3 report=$2/.pytest-output
    shift 3
    cd "$tree"
    # Thousands of processes import the same files: they are compiled once, outside the tree. And what runs in the background
    # ignores ^C, which tests press.
    env --default-signal=INT,QUIT --unset PYTHONDONTWRITEBYTECODE PYTHONPATH="$tree/../../.." PATH="$venv/bin:$PATH" \
        PYTHONPYCACHEPREFIX="$WORK/cache/bytecode" "$venv/bin/python" -m pytest -q -p no:cacheprovider "$@" "$directory" 2>&1 | tee "$report"
    if tail -n 1 "$report" | grep -Eq '[0-9]+ (skipped|xfailed|deselected)'; then
        die "tests were skipped: see above. What they need has to be installed, not passed over."
    fi
}

part_unit() {
    local venv tree
    venv=$(need_venv "$1" "$2" -r "$REQUIREMENTS/$3")
    tree=$(export_tree "$1")
    say "Python $("$venv/bin/python" -V), requests and urllib3:" \
        "$("$venv/bin/python" -c 'import requests, urllib3; print(requests.__version__, urllib3.__version__)')"
    run_pytest "$venv" "$tree" tests/unit
}

# A finding is kept in .work/fuzz/findings; what reaches new code in .work/fuzz/corpus, for those who fuzz for longer.
part_fuzz() {
    local venv tree targets target options status=0 program=ansible_collections.longshore.oci.tests.fuzz
    venv=$(need_venv fuzz 3.13 -r "$REQUIREMENTS/fuzz.txt")
    tree=$(export_tree "$1")
    cd "$tree/../../.."
    export PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
    targets=$("$venv/bin/python" -m "$program" --list)
    for target in $targets; do
        options=("$target" --findings "$WORK/fuzz/findings")
        if [ -n "${LONGSHORE_FUZZ_SECONDS:-}" ]; then
            options+=(--seconds "$LONGSHORE_FUZZ_SECONDS" --corpus "$WORK/fuzz/corpus/$target")
        fi
        say "fuzz: $target"
        # New inputs that reach more code are of no interest to a reader.
        "$venv/bin/python" -m "$program" "${options[@]}" 2>&1 | grep -aEv '^#[0-9]+[[:space:]]+(NEW|REDUCE|pulse)' || status=1
    done
    [ "$status" = 0 ] || die "a promise is broken: the inputs are in $WORK/fuzz/findings"
}

# The newest of everything: Python, libraries, core.
interop_venv() {
    need_venv interop 3.13 "ansible-core==${CORES[$NEWEST]}" -r "$REQUIREMENTS/interop.txt"
}

part_load() {
    local venv tree
    venv=$(interop_venv)
    tree=$(export_tree "$1")
    run_pytest "$venv" "$tree" tests/load -s --durations=0 --durations-min=1
}

part_registry() {
    local venv tree
    venv=$(interop_venv)
    tree=$(export_tree "$1")
    # Where secrets may show differs from core to core: test_secrets.py goes through the lowest and the newest.
    LONGSHORE_ANSIBLE=$(core_venv 2.16)/bin:$(core_venv 2.21)/bin
    export LONGSHORE_ANSIBLE
    run_pytest "$venv" "$tree" tests/interop
}

part_roles() {
    local venv tree
    venv=$(need_venv roles "${CORE_PYTHON[$NEWEST]}" "ansible-core==${CORES[$NEWEST]}" -r "$REQUIREMENTS/roles.txt")
    tree=$(export_tree "$1")
    # The images of the machines are kept there.
    export LONGSHORE_WORK=$WORK
    run_pytest "$venv" "$tree" "tests/$1"
}

# The same with the oldest of everything that a managed host may have. ansible-core 2.16 does not run on Python 3.9 and
# sends its modules there: they get what it sends (LONGSHORE_CORE).
part_registry_old() {
    local venv tree
    venv=$(need_venv unit-old 3.9 -r "$REQUIREMENTS/unit-old.txt")
    tree=$(export_tree "$1")
    LONGSHORE_CORE=$(core_venv "$OLDEST")/bin
    export LONGSHORE_CORE
    say "Python $("$venv/bin/python" -V), requests and urllib3:" \
        "$("$venv/bin/python" -c 'import requests, urllib3; print(requests.__version__, urllib3.__version__)')"
    run_pytest "$venv" "$tree" tests/faults "${OLD_STACK[@]}"
}

part_faults() {
    local venv tree
    venv=$(interop_venv)
    tree=$(export_tree "$1")
    run_pytest "$venv" "$tree" tests/faults
}

# One Python a core: Ansible's controller code is what differs between cores. unit-old has the oldest Python.
part_units() {
    local tree version pythons
    case $2 in
    2.16) pythons=(3.10) ;;
    2.18) pythons=(3.11) ;;
    2.20) pythons=(3.12) ;;
    2.21) pythons=(3.13) ;;
    *) die "no Pythons are chosen for core $2" ;;
    esac
    tree=$(export_tree "$1")
    for version in "${pythons[@]}"; do
        ansible_test "$2" "$tree" units --venv --python "$version" --color no --num-workers 1 2>&1 |
            tee "$tree/../units.log"
        if grep -E '^=+ .*[0-9]+ (skipped|xfailed)' "$tree/../units.log"; then
            die "tests were skipped: what they need has to be installed, not passed over"
        fi
    done
}

# import and compile run on every supported Python with every core: they are cheap. What makes a core's run dear is
# its own environments, which are made once.
part_sanity() {
    local tree
    tree=$(export_tree "$1")
    if [ -n "$(find "$tree/tests/sanity" -name 'ignore*.txt' -print -quit 2>/dev/null)" ]; then
        die "tests/sanity has an ignore file: mend what it hides"
    fi
    ansible_test "$2" "$tree" sanity --venv --color no 2>&1 | tee "$tree/../sanity.log"
    # ansible-test only warns when it passes something over.
    if grep -E 'Skipping .* on Python (3\.9|3\.1[0-3]) |All targets skipped' "$tree/../sanity.log"; then
        die "something was passed over"
    fi
}

part_integration() {
    local tree
    tree=$(export_tree "$1")
    ansible_test "$2" "$tree" integration --venv --python "${CORE_PYTHON[$2]}" --color no --allow-destructive
}

part_docs() {
    local venv tree
    venv=$(need_venv docs "${CORE_PYTHON[$NEWEST]}" "ansible-core==${CORES[$NEWEST]}" -r "$REQUIREMENTS/docs.txt")
    tree=$(export_tree "$1")
    cd "$tree"
    # It puts the name of a temporary directory of its own into the pages. If that ends in '_', one in 37, RST takes it for
    # a link that leads nowhere: then, and only then, once more with another name.
    if ! lint_docs "$1" "$venv" "$tree/.docs-output" && ! grep -Eq '"antsibull-docs-[a-z0-9_]+"' "$tree/.docs-output"; then
        return 1
    fi
    if grep -Eq '"antsibull-docs-[a-z0-9_]+"' "$tree/.docs-output"; then
        lint_docs "$1" "$venv" "$tree/.docs-output" || return 1
    fi
    say "docs: clean"
}

# lint_docs PART VENV OUTPUT
lint_docs() {
    PATH=$2/bin:$PATH ANSIBLE_COLLECTIONS_PATH=$(collections_path "$1") \
        "$2/bin/antsibull-docs" lint-collection-docs --plugin-docs --validate-collection-refs=all --check-extra-docs-refs . \
        2>&1 | tee "$3"
}

part_ansible_lint() {
    local venv tree
    venv=$(need_venv ansible-lint "${CORE_PYTHON[$NEWEST]}" "ansible-core==${CORES[$NEWEST]}" \
        -r "$REQUIREMENTS/ansible-lint.txt")
    tree=$(export_tree "$1")
    cd "$tree"
    HOME=$WORK/home/ansible-lint PATH=$venv/bin:$PATH ANSIBLE_COLLECTIONS_PATH=$(collections_path "$1") \
        "$venv/bin/ansible-lint" --profile production --offline --strict --nocolor 2>&1 | tee ../ansible-lint.log
    if grep -E '(in|on) 0 files' ../ansible-lint.log; then
        die "ansible-lint found nothing to lint"
    fi
}

part_importer() {
    local venv tree tarball log
    venv=$(need_venv importer "${CORE_PYTHON[$NEWEST]}" "ansible-core==${CORES[$NEWEST]}" \
        -r "$REQUIREMENTS/importer.txt")
    tree=$(export_tree "$1")
    log=$tree/../importer.log
    cd "$tree/.."
    PATH=$venv/bin:$PATH "$venv/bin/ansible-galaxy" collection build --force --output-path . "$tree"
    tarball=$(ls "$PWD"/longshore-oci-*.tar.gz)
    printf '[galaxy-importer]\nCHECK_REQUIRED_TAGS = True\nRUN_ANSIBLE_DOC = True\nRUN_ANSIBLE_LINT = False\n' \
        >galaxy-importer.cfg
    GALAXY_IMPORTER_CONFIG=$PWD/galaxy-importer.cfg HOME=$WORK/home/importer PATH=$venv/bin:$PATH \
        "$venv/bin/python" -m galaxy_importer.main "$tarball" 2>&1 | tee "$log"
    grep -q 'Importer processing completed successfully' "$log" || die "the importer did not finish"
    if grep -E '^(WARNING|ERROR|CRITICAL)' "$log"; then die "the importer has complaints"; fi
}

part_demo() {
    [ -x "$ROOT/script/demo" ] || die "script/demo is not there"
    "$ROOT/script/demo"
}

part_bench_smoke() {
    [ -x "$ROOT/script/bench" ] || die "script/bench is not there"
    "$ROOT/script/bench" --smoke
}
