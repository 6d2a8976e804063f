# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is fuzzed, one row a target."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ansible_collections.longshore.oci.tests.fuzz import archives, auth_files, documents, headers, mirrors, names, seeds


class Target(NamedTuple):
    """Something that reads what strangers wrote."""

    #: Raises for an input with which a promise is broken.
    check: Callable[[bytes], None]
    #: The first inputs.
    seeds: Callable[[], Iterable[bytes]]
    #: Inputs of a run whose number of inputs is fixed.
    runs: int
    #: Longest input, in bytes.
    longest: int = 4096


TARGETS = {
    "reference": Target(names.check, seeds.names, 60_000, 512),
    "manifest": Target(documents.check, seeds.manifests, 20_000),
    "challenge": Target(headers.check, seeds.challenges, 60_000, 1024),
    "auth-file": Target(auth_files.check, seeds.auth_files, 20_000),
    "tar": Target(archives.tar, seeds.tars, 20_000, 16384),
    "archive": Target(archives.images, seeds.archive_parts, 15_000, 8192),
    "skopeo-yaml": Target(mirrors.check, seeds.mirrors, 15_000, 1024),
    "packed": Target(archives.packed, seeds.packed, 20_000, 8192),
}
