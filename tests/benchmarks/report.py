# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From samples to figures: medians, ratios, the goals, a table in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .bench import Sample
from .cases import CASES

# How many times quicker than skopeo, by case, delay in milliseconds, and side.
RATIOS = {
    ("a", 0, "module"): 2.0,
    ("b", 0, "module"): 2.2,
    ("b", 20, "module"): 15.0,
    ("c", 0, "module"): 10.0,
    ("c", 20, "module"): 40.0,
    ("d", 0, "module"): 4.0,
    ("d", 20, "module"): 4.0,
    ("b", 0, "playbook"): 1.8,
    ("b", 20, "playbook"): 10.0,
    ("h", 0, "module"): 1.7,
    ("h", 20, "module"): 20.0,
    ("i", 0, "module"): 1.2,
    ("i", 20, "module"): 50.0,
}
#: How many times as long as the floor.
FLOORS = {"b": 1.25, "h": 1.2}
#: Of a mirror of 1,000 images with nothing to do: requests, and seconds.
REQUESTS = {"k-1000": 2_100}
SECONDS = {("k-1000", 20): 10.0}
#: How many times as long as `curl -T` of a file of the same size saving to a URL may take.
CURL = 1.3
PEAK = 80_000_000
NAMES = {
    "skopeo": "skopeo",
    "skopeo-oci": "skopeo (oci-archive)",
    "module": "longshore.oci, the module",
    "playbook": "longshore.oci, ansible-playbook",
    "floor": "the floor",
    "floor-read": "the floor, reading the source too",
    "curl": "curl -T",
}


@dataclass(frozen=True)
class Figure:
    """The medians of one side in one case. ``ratio``: skopeo's median over this one; ``goals``: pairs of words and
    whether they are met.
    """

    case: str
    delay: float
    side: str
    runs: int
    seconds: float
    ratio: float | None
    floor_ratio: float | None
    cpu_seconds: float
    peak_bytes: float | None
    requests: float
    writes: float
    received: float
    stored: float
    goals: tuple[tuple[str, bool], ...]


def figures(samples: Sequence[Sample], full: bool) -> list[Figure]:
    """The medians of all samples. ``full``: at full size, where alone the goals for time mean something."""
    found = []
    groups: dict[tuple[str, float, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.case, sample.delay, sample.side), []).append(sample)
    order = {"skopeo": 0, "skopeo-oci": 1, "module": 2, "playbook": 3, "floor": 4, "floor-read": 5, "curl": 0}
    for (case, delay, side), group in sorted(
        groups.items(), key=lambda item: (item[0][0], item[0][1], order[item[0][2]])
    ):
        seconds = statistics.median(sample.seconds for sample in group)
        skopeo, floor = (groups.get((case, delay, other)) for other in ("skopeo", "floor"))
        ratio = statistics.median(sample.seconds for sample in skopeo) / seconds if skopeo else None
        floor_ratio = (
            seconds / statistics.median(sample.seconds for sample in floor) if floor and side != "floor" else None
        )
        reading = groups.get((case, delay, "floor-read"))
        read_ratio = seconds / statistics.median(sample.seconds for sample in reading) if reading else None
        curl = groups.get((case, delay, "curl"))
        curl_ratio = seconds / statistics.median(sample.seconds for sample in curl) if curl else None
        peaks = [sample.peak_bytes for sample in group if sample.peak_bytes is not None]
        found.append(
            Figure(
                case=case,
                delay=delay,
                side=side,
                runs=len(group),
                seconds=seconds,
                ratio=ratio,
                floor_ratio=floor_ratio,
                cpu_seconds=statistics.median(sample.cpu_seconds for sample in group),
                peak_bytes=max(peaks) if peaks else None,
                requests=statistics.median(sample.requests for sample in group),
                writes=statistics.median(sample.writes for sample in group),
                received=statistics.median(sample.received for sample in group),
                stored=statistics.median(sample.stored for sample in group),
                goals=(
                    *_goals(
                        case,
                        delay,
                        side,
                        ratio if full else None,
                        floor_ratio if full else None,
                        read_ratio,
                        curl_ratio if full else None,
                        max(peaks) if peaks else None,
                    ),
                    *(_absolute(case, delay, side, group, seconds) if full else ()),
                ),
            )
        )
    return found


def _goals(
    case: str,
    delay: float,
    side: str,
    ratio: float | None,
    floor: float | None,
    reading: float | None,
    curl: float | None,
    peak: int | None,
) -> list[tuple[str, bool]]:
    goals = []
    wanted = RATIOS.get((case, int(delay), side))
    if wanted is not None and ratio is not None:
        goals.append((f"{wanted:g}x", ratio >= wanted))
    if side == "module" and floor is not None:
        also = f" ({reading:.2f}x of the one that reads)" if reading is not None else ""
        goals.append((f"within {FLOORS[case]:g}x of the floor{also}", floor <= FLOORS[case]))
    if side == "module" and curl is not None:
        goals.append((f"within {CURL:g}x of curl ({curl:.2f}x)", curl <= CURL))
    if side == "module" and peak is not None:
        goals.append((f"under {PEAK // 1_000_000} MB", peak < PEAK))
    return goals


def _absolute(case: str, delay: float, side: str, group: Sequence[Sample], seconds: float) -> list[tuple[str, bool]]:
    goals = []
    if side == "module" and case in REQUESTS:
        most = max(sample.requests for sample in group)
        goals.append((f"under {REQUESTS[case]:,} requests", most < REQUESTS[case]))
    limit = SECONDS.get((case, int(delay)))
    if side == "module" and limit is not None:
        goals.append((f"under {limit:g} s", seconds < limit))
    return goals


def missed(found: Sequence[Figure]) -> list[str]:
    return [
        f"({each.case}) at {each.delay:g} ms, {each.side}: {words}"
        for each in found
        for words, met in each.goals
        if not met
    ]


def _mb(number: float | None) -> str:
    return "" if number is None else f"{number / 1e6:,.0f}" if number >= 1e7 else f"{number / 1e6:,.1f}"


def markdown(found: Sequence[Figure], facts: dict[str, Any], errors: Sequence[str]) -> str:
    """The table, what it was measured on, and what failed."""
    titles = {case.key: case.title for case in CASES}
    lines = [
        "| case | away | side | seconds | vs skopeo | vs floor | CPU s | peak MB | requests | of them writes "
        "| MB received | MB stored | goal |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for each in found:
        goals = "; ".join(f"{words}: {'met' if met else '**not met**'}" for words, met in each.goals)
        lines.append(
            "| "
            + " | ".join(
                (
                    f"({each.case}) {titles[each.case]}",
                    f"{each.delay:g} ms",
                    NAMES[each.side],
                    f"{each.seconds:.2f}",
                    "" if each.ratio is None or each.side == "skopeo" else f"{each.ratio:.1f}x",
                    "" if each.floor_ratio is None else f"{each.floor_ratio:.2f}x",
                    f"{each.cpu_seconds:.2f}",
                    _mb(each.peak_bytes),
                    f"{each.requests:,.0f}",
                    f"{each.writes:,.0f}",
                    _mb(each.received),
                    _mb(each.stored),
                    goals,
                )
            )
            + " |"
        )
    lines += [
        "",
        "Medians; peak memory is the highest of all runs. "
        f"Runs: {', '.join(sorted({str(each.runs) for each in found})) or 'none'}.",
        "",
    ]
    lines += [f"- {name}: {value}" for name, value in facts.items() if not isinstance(value, dict)]
    for delay, proxy in facts.get("delay proxy", {}).items():
        lines.append(
            f"- the proxy at {delay} ms: round trip {proxy['round_trip_ms']} ms, first answer on a new connection "
            f"{proxy['first_answer_on_a_new_connection_ms']} ms, {proxy['throughput_mb_s']:,.0f} MB/s "
            f"(without it: {proxy['direct_round_trip_ms']} ms, {proxy['direct_throughput_mb_s']:,.0f} MB/s)"
        )
    lines += [f"- FAILED {error}" for error in errors]
    return "\n".join(lines) + "\n"
