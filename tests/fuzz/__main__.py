# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fuzz one target with atheris: ``python -m ansible_collections.longshore.oci.tests.fuzz TARGET [--seconds N]``.

Without ``--seconds`` a fixed number of inputs from a fixed seed is tried, the same each time. With it, others each time,
for so long. An input that breaks a promise is written to the directory ``--findings``, as are those that take more than
ten seconds or too much memory, and the program ends with a status other than 0.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile

import atheris

# Comparisons of texts guide the mutations as well.
atheris.enabled_hooks.add("str")
# Everything that is imported from here on is watched, so that inputs that reach new code are kept and mutated.
with atheris.instrument_imports(include=["ansible_collections.longshore.oci.plugins.module_utils", "json.decoder"]):
    from ansible_collections.longshore.oci.tests.fuzz.oracle import bounded_memory
    from ansible_collections.longshore.oci.tests.fuzz.targets import TARGETS

#: Most memory of the whole process, and the longest time for one input.
MEMORY_MIB, TIMEOUT = 768, 10


def main() -> None:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS, nargs="?")
    parser.add_argument("--list", action="store_true", help="show the names of the targets")
    parser.add_argument("--seconds", type=int, default=0, help="how long; 0 for the fixed number of inputs")
    parser.add_argument("--corpus", type=pathlib.Path, help="where inputs that reach new code are kept for the next run")
    parser.add_argument("--findings", type=pathlib.Path, default=pathlib.Path("."), help="where what breaks is written")
    chosen = parser.parse_args()
    if chosen.list or not chosen.target:
        print("\n".join(TARGETS))
        return
    target = TARGETS[chosen.target]

    def one(data: bytes) -> None:
        with bounded_memory():
            target.check(data)

    with tempfile.TemporaryDirectory(prefix="longshore-fuzz-") as temporary:
        first = pathlib.Path(temporary, "seeds")
        first.mkdir()
        for number, seed in enumerate(target.seeds()):
            first.joinpath(f"{number:04d}").write_bytes(seed[: target.longest])
        corpus = chosen.corpus or pathlib.Path(temporary, "corpus")
        corpus.mkdir(parents=True, exist_ok=True)
        chosen.findings.mkdir(parents=True, exist_ok=True)
        arguments = [
            sys.argv[0],
            f"-max_len={target.longest}",
            f"-rss_limit_mb={MEMORY_MIB}",
            f"-timeout={TIMEOUT}",
            f"-artifact_prefix={chosen.findings}/{chosen.target}-",
            "-print_final_stats=1",
            *([f"-max_total_time={chosen.seconds}"] if chosen.seconds else [f"-runs={target.runs}", "-seed=1"]),
            str(corpus),
            str(first),
        ]
        atheris.Setup(arguments, one)
        # Ends the process.
        atheris.Fuzz()


main()
