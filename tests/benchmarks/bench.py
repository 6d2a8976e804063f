# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carry the measurements out: data, registries, delay, one command after the other with the sides taking turns."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import data, verify
from .cases import CASES, Case, Context, command
from .data import Image, Sizes
from .machine import CommandError, Machine
from .registry import Delay, Registry, RegistryError, Sink

PARTS: dict[str, Callable[[str, Sizes], list[Image]]] = {
    "large": data.make_large,
    "text": data.make_text,
    "fleet": data.make_fleet,
    "tags": data.make_tags,
    "many": data.make_many,
}
SETTLE = 0.3


@dataclass(frozen=True)
class Sample:
    """One run of one side. ``received``: body bytes the registries sent; ``stored``: bytes the destination (or the
    archive) grew by.
    """

    case: str
    delay: float
    side: str
    run: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int | None
    requests: int
    writes: int
    received: int
    stored: int
    methods: dict[str, int]


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    cases: list[str]
    delays: list[float]
    sides: list[str]
    runs: int
    sizes: Sizes
    parallel: int
    limit: float
    thorough: bool
    keep: bool


@dataclass
class Bench:
    """``errors`` collects what went wrong, in words; a side that fails is not measured, the others go on."""

    machine: Machine
    plan: Plan
    scratch: Path
    samples: list[Sample] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def run(self) -> None:
        wanted = [case for case in CASES if case.key in self.plan.cases]
        for part in dict.fromkeys(case.part for case in wanted):
            directory = self.machine.work / "data" if self.plan.keep else self.scratch
            origin = Registry(self.machine.registry, directory / f"source-{part}")
            target = Registry(self.machine.registry, self.scratch / "destination")
            try:
                images = self._data(part, origin)
                for delay in self.plan.delays:
                    for case in wanted:
                        if case.part == part:
                            self._case(case, delay, images, origin, target)
            finally:
                origin.stop()
                target.stop()
                shutil.rmtree(target.directory, ignore_errors=True)
                if not self.plan.keep:
                    shutil.rmtree(origin.directory, ignore_errors=True)

    def _data(self, part: str, origin: Registry) -> list[Image]:
        record = origin.directory / "images.json"
        images = data.load(record, self.plan.sizes)
        if not images:
            say(f"making the data of part {part}")
            shutil.rmtree(origin.directory, ignore_errors=True)
        origin.start()
        if not images:
            images = PARTS[part](origin.address, self.plan.sizes)
            data.save(record, self.plan.sizes, images)
        origin.warm()
        return images

    def _case(self, case: Case, delay: float, images: list[Image], origin: Registry, target: Registry) -> None:
        sides = [side for side in case.sides if side.split("-")[0] in self.plan.sides]
        for number in range(self.plan.runs):
            # Turned round every other time, so that no side always follows the same one.
            for side in sides if number % 2 == 0 else sides[::-1]:
                if not any(error.startswith(label(case.key, delay, side)) for error in self.errors):
                    self._once(case, delay, side, number, images, origin, target)

    def _once(
        self, case: Case, delay: float, side: str, number: int, images: list[Image], origin: Registry, target: Registry
    ) -> None:
        if case.destination != "unused" or target.process is None:
            target.renew(like=origin if case.destination == "everything" else None)
        images = images[: case.count]
        if case.destination == "one image":
            images = [data.make_small(target.address, "bench/point")]
        scratch = self.scratch / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        sinks = [Sink(scratch / "image.tar")] if case.key == "f" else []
        ends = (origin, target, *sinks)
        proxies = [Delay(each.address, delay) for each in ends] if delay else []
        source, destination, *storages = (each.address for each in proxies or ends)
        context = Context(
            self.machine, self.plan.sizes, images, source, destination, origin, target, scratch, self.plan.parallel,
            "".join(storages),
        )  # fmt: skip
        try:
            sample = self._measure(case, delay, side, number, context)
            say(f"{label(case.key, delay, side)} run {number + 1}: {sample.seconds:.2f} s, {sample.requests} requests")
            self.samples.append(sample)
        except (verify.Mismatch, RegistryError, CommandError) as error:
            self.errors.append(f"{label(case.key, delay, side)}: {error}")
            say(self.errors[-1])
        finally:
            for server in (*proxies, *sinks):
                server.stop()
            shutil.rmtree(scratch, ignore_errors=True)

    def _measure(self, case: Case, delay: float, side: str, number: int, context: Context) -> Sample:
        line, environment = command(case, side, context)
        result, out, err = (context.scratch / name for name in ("measured.json", "stdout", "stderr"))
        stored = context.target.stored_bytes()
        os.sync()
        time.sleep(SETTLE)
        registries = (context.origin, context.target)
        marks = [registry.mark() for registry in registries]
        runner = [sys.executable, "-I", "-S", str(Path(__file__).with_name("measure.py"))]
        process = subprocess.Popen(
            [*runner, str(result), str(out), str(err), str(self.plan.limit), *line],
            env={**environment, "TMPDIR": str(context.scratch)},
            cwd=context.scratch,
            stdin=subprocess.DEVNULL,
        )
        try:
            process.wait()
        except BaseException:
            process.terminate()  # it takes what it measures with it
            process.wait()
            raise
        measured = json.loads(result.read_text(encoding="utf-8"))
        output = out.read_text(encoding="utf-8", errors="replace")
        if measured["returncode"]:
            why = (
                f"stopped after {self.plan.limit:.0f} s"
                if measured["timed_out"]
                else f"exit status {measured['returncode']}"
            )
            messages = (output[-1500:] + err.read_text(encoding="utf-8", errors="replace")[-1500:]).strip()
            raise verify.Mismatch(f"{why}: {messages}")
        traffic = [registry.traffic(mark) for registry, mark in zip(registries, marks)]
        if side.startswith("floor"):
            measured.update(json.loads((context.scratch / "floor.json").read_text(encoding="utf-8")), peak_bytes=None)
        grown = context.archive.stat().st_size if context.archive.exists() else context.target.stored_bytes() - stored
        writes = sum(each.writes for each in traffic)
        verify.check(case, side, context, output, writes, self.plan.thorough)
        methods: dict[str, int] = {}
        for each in traffic:
            for method, count in each.methods.items():
                methods[method] = methods.get(method, 0) + count
        return Sample(
            case=case.key,
            delay=delay,
            side=side,
            run=number,
            seconds=measured["seconds"],
            cpu_seconds=measured["cpu_seconds"],
            peak_bytes=measured["peak_bytes"],
            requests=sum(each.requests for each in traffic),
            writes=writes,
            received=sum(each.bytes_out for each in traffic),
            stored=grown,
            methods=methods,
        )


def label(case: str, delay: float, side: str) -> str:
    return f"({case}) at {delay:g} ms, {side}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def as_json(samples: list[Sample]) -> list[dict[str, object]]:
    return [asdict(sample) for sample in samples]
