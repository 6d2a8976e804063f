# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a case is, and what a measurement of it has at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .data import Image, Sizes
from .machine import Machine
from .registry import Registry


@dataclass(frozen=True)
class Context:
    """One measurement about to be made. ``source`` and ``destination`` are the addresses the side is given, delayed
    or not; ``origin`` and ``target`` are the registries behind them.
    """

    machine: Machine
    sizes: Sizes
    images: list[Image]
    source: str
    destination: str
    origin: Registry
    target: Registry
    scratch: Path
    parallel: int
    #: The address of the object storage of (f), delayed or not.
    sink: str = ""

    @property
    def archive(self) -> Path:
        return self.scratch / "image.tar"

    @property
    def points(self) -> list[str]:
        return [f"p{number:03d}" for number in range(self.sizes.points)]

    def pairs(self) -> list[tuple[str, str]]:
        return [(f"{self.source}/{image.name}", f"{self.destination}/{image.name}") for image in self.images]


@dataclass(frozen=True)
class Case:
    """``part``: which data it needs. ``destination``: what the second registry holds before each run: nothing,
    everything, one image, or ``unused``. ``changes``: whether a run of ours has anything to do.
    """

    key: str
    title: str
    part: str
    destination: str
    sides: tuple[str, ...]
    changes: bool
    module: str
    arguments: Callable[[Context], dict[str, Any]]
    skopeo: Callable[[Context, str], str]
    #: How many of the images of its part it is about; None for all.
    count: int | None = None
