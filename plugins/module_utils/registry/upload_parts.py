# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large the requests of an upload may be at one registry: what is known of it, and what it has taught us (R1.33)."""

from __future__ import annotations

import threading

from ..model.reference import api_host

MIB = 1024 * 1024
#: The bounds of a part, in bytes. Web servers allow bodies of 1 MiB, content delivery networks of 100 MB, if nobody
#: has told them otherwise.
SMALLEST = MIB
LARGEST = 64 * MIB
#: So much has to have passed in one request before its end is blamed on its length or duration.
GOOD_WAY = 8 * MIB

_GHCR_LARGEST = 4 * MIB
_ECR_SMALLEST = 5 * MIB


class PartSizes:
    """The lengths for one registry. Thread-safe: what one upload learns, the next one knows."""

    def __init__(self, host: str) -> None:
        name = api_host(host).lower().partition(":")[0]
        #: Whether the registry takes blobs in parts at all. Google's do not.
        self.allowed = not (name == "gcr.io" or name.endswith((".gcr.io", ".pkg.dev")))
        ecr = name == "public.ecr.aws" or ".dkr.ecr." in name or ".dkr-ecr." in name
        #: Whether what it says of an upload's state may be believed. ECR's answer stays at the first part.
        self.tells = self.allowed and not ecr
        self._smallest = _ECR_SMALLEST if ecr else SMALLEST
        self._largest = _GHCR_LARGEST if name == "ghcr.io" else LARGEST
        self._lock = threading.Lock()
        self._limit: int | None = None

    def first(self, size: int, minimum: int = 0) -> int:
        """The length of the parts in which a blob of ``size`` bytes begins; 0 for one request. ``minimum`` is what the
        registry wants at least (``OCI-Chunk-Min-Length``)."""
        limit = self._limit
        return self._fit(limit, minimum) if limit is not None and size > limit and self.allowed else 0

    def rest(self, minimum: int = 0) -> int:
        """The length of the parts in which an upload goes on that broke off in one request."""
        return self._fit(self._limit or LARGEST, minimum)

    def refused(self, length: int, minimum: int = 0) -> int:
        """A body of ``length`` bytes was too large (413): the length to try instead; 0 where there is none."""
        shorter = min(_below(length), self._largest)
        with self._lock:
            if not self.allowed or shorter < max(self._smallest, minimum):
                # It was not the length, then.
                self._limit = None
                return 0
            self._limit = shorter if self._limit is None else min(self._limit, shorter)
            return self._limit

    def broken(self, passed: int, before: int, minimum: int = 0) -> int:
        """A request ended after ``passed`` bytes without success, where parts had the length ``before`` (0: no parts):
        the length for the next session, of which more may get through."""
        if passed < GOOD_WAY or not self.allowed:
            return before
        length = self._fit(max(_below(passed) // 2, GOOD_WAY // 2), minimum)
        return min(length, before) if before else length

    def _fit(self, length: int, minimum: int) -> int:
        return max(min(length, self._largest), self._smallest, minimum)


def _below(length: int) -> int:
    """The largest power of two below ``length``."""
    return int(1 << max(length - 1, 1).bit_length() - 1)
