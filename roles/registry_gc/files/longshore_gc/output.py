# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``garbage-collect`` of distribution 2.8 and 3.x prints."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from .errors import CollectError

_SUMMARY = re.compile(r"(\d+) blobs marked, (\d+) blobs and (\d+) manifests eligible for deletion")
_MANIFEST = re.compile(r"(\S+): marking manifest (\S+)")
_BLOB = re.compile(r"blob eligible for deletion: (\S+)")
_LINK = re.compile(r"(\S+): layer link eligible for deletion: (\S+)")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*")


class Collection(NamedTuple):
    """What the collector marked and would delete, or has deleted.

    ``revisions`` are each repository's manifests as the collector enumerated them; ``links`` counts layer links, which
    only 3.x removes.
    """

    marked: int
    blobs: frozenset[str]
    revisions: dict[str, list[str]]
    links: int


def parse(lines: Iterable[str]) -> Collection:
    """Read the collector's standard output; `CollectError` if it does not add up.

    Manifests are only eligible with ``--delete-untagged``, which nobody here gives: a count of them is an error.
    """
    summary = None
    blobs: set[str] = set()
    revisions: dict[str, list[str]] = {}
    links = 0
    for raw in lines:
        line = raw.strip()
        if match := _MANIFEST.fullmatch(line):
            revisions.setdefault(match.group(1), []).append(match.group(2))
        elif match := _BLOB.fullmatch(line):
            blobs.add(match.group(1))
        elif match := _SUMMARY.fullmatch(line):
            summary = tuple(int(one) for one in match.groups())
        elif _LINK.fullmatch(line):
            links += 1
        elif _REPOSITORY.fullmatch(line):
            revisions.setdefault(line, [])
    if summary is None:
        raise CollectError("the collector ended without its summary ('... blobs marked, ... eligible for deletion')")
    marked, eligible, manifests = summary
    if eligible != len(blobs):
        raise CollectError(f"the collector speaks of {eligible} blobs to delete, but names {len(blobs)}")
    if manifests:
        raise CollectError(f"the collector would delete {manifests} manifests without being asked to")
    return Collection(marked, frozenset(blobs), revisions, links)
