# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of ``script/bench``."""

from __future__ import annotations

import argparse
import dataclasses
import fcntl
import json
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from . import machine, proxycheck, report
from .bench import Bench, Plan, as_json, say
from .cases import CASES
from .data import Sizes

ROOT = Path(__file__).resolve().parents[2]
SIDES = ("skopeo", "curl", "module", "playbook", "floor")
SMOKE = Sizes(
    layer_bytes=1 << 20,
    images=5,
    bases=2,
    base_bytes=1_000_000,
    own_bytes=100_000,
    tags=200,
    points=10,
    text_bytes=1 << 20,
    many=40,
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/bench",
        description="Measure this collection beside skopeo on two registries of the benchmark's own, in one run.",
    )
    parser.add_argument(
        "--case",
        default="a,b,c,d,e,f,g,h,i,j,k,l",
        metavar="LIST",
        help="of a to l (e is e-list and e-tag, j, k and l are several); default: all",
    )
    parser.add_argument(
        "--delay",
        default="0,20",
        metavar="LIST",
        help="how far away both registries are, in ms of round trip; default: 0,20",
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of each side in each case; default: 3")
    parser.add_argument("--only", default=",".join(SIDES), metavar="LIST", help="sides: " + ", ".join(SIDES))
    parser.add_argument("--only-ours", action="store_true", help="the same as --only module,playbook,floor")
    parser.add_argument(
        "--scale", type=float, default=1.0, metavar="F", help="shrink sizes and numbers; the goals hold for 1 alone"
    )
    parser.add_argument(
        "--parallel",
        type=int,
        default=0,
        metavar="N",
        help="the modules' option parallel; default: the modules' default",
    )
    parser.add_argument(
        "--limit", type=float, default=1800, metavar="S", help="seconds after which a side is stopped; default: 1800"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and every sample here too")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write bench.md and bench.json here; default: .work/bench/results"
    )
    parser.add_argument("--keep", action="store_true", help="keep the data (3 GB in .work/bench/data) for the next run")
    parser.add_argument("--smoke", action="store_true", help="a few megabytes, one run, everything read back by skopeo")
    parser.add_argument("--assert", dest="strict", action="store_true", help="exit with 1 if a goal is not met")
    return parser.parse_args()


def _parts(name: str, known: set[str]) -> list[str]:
    """The cases that ``name`` stands for: e is all that begin with ``e-``."""
    return sorted(key for key in known if key.startswith(f"{name}-")) or [name]


def plan(options: argparse.Namespace) -> Plan:
    known = {case.key for case in CASES}
    cases = [key for name in options.case.split(",") for key in _parts(name, known)]
    if options.smoke:
        # Of growth the smallest number says that it works.
        cases = [key for key in cases if not key.endswith("00")]
    sides = ["module", "playbook", "floor"] if options.only_ours else options.only.split(",")
    for given, allowed in ((cases, known), (sides, set(SIDES))):
        if set(given) - allowed:
            unknown = ", ".join(sorted(set(given) - allowed))
            raise SystemExit(f"script/bench: unknown: {unknown}; there is {', '.join(sorted(allowed))}")
    return Plan(
        cases=cases,
        delays=[float(each) for each in options.delay.split(",")],
        sides=sides,
        runs=1 if options.smoke else options.runs,
        sizes=SMOKE if options.smoke else Sizes().scaled(options.scale),
        parallel=options.parallel,
        limit=min(options.limit, 60) if options.smoke else options.limit,
        thorough=options.smoke,
        keep=options.keep and not options.smoke,
    )


def main() -> int:
    options = arguments()
    wanted = plan(options)

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)  # so that registries are stopped and files removed on the way out

    signal.signal(signal.SIGTERM, stop)
    work = ROOT / ".work" / "bench"
    work.mkdir(parents=True, exist_ok=True)
    with open(work / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another benchmark to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        return measure(options, wanted, work)


def measure(options: argparse.Namespace, wanted: Plan, work: Path) -> int:
    found = machine.prepare(
        ROOT,
        work,
        skopeo="skopeo" in wanted.sides or wanted.thorough,
        ours=bool({"module", "playbook"} & set(wanted.sides)),
    )
    facts = machine.facts(found)
    facts["date"] = time.strftime("%Y-%m-%d", time.gmtime())
    facts["sizes"] = dataclasses.asdict(wanted.sizes)
    facts["parallel"] = wanted.parallel or "the modules' default"
    facts["delay proxy"] = {f"{delay:g}": proxycheck.measure(delay) for delay in wanted.delays if delay}
    scratch = work / "run"
    shutil.rmtree(scratch, ignore_errors=True)
    bench = Bench(found, wanted, scratch)
    try:
        bench.run()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        figures = report.figures(bench.samples, wanted.sizes == Sizes())
        text = report.markdown(figures, facts, bench.errors)
        document = json.dumps(
            {
                "facts": facts,
                "figures": [dataclasses.asdict(each) for each in figures],
                "samples": as_json(bench.samples),
                "errors": bench.errors,
            },
            indent=1,
        )
        out = options.out or work / "results"
        out.mkdir(parents=True, exist_ok=True)
        (out / "bench.md").write_text(text, encoding="utf-8")
        (out / "bench.json").write_text(document + "\n", encoding="utf-8")
        if options.json:
            options.json.write_text(document + "\n", encoding="utf-8")
        print(text)
    if bench.errors:
        return 1
    return 1 if options.strict and report.missed(figures) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (machine.SetUpError, machine.CommandError) as error:
        sys.exit(f"script/bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
