# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a manifest names."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-zA-Z=_-]{32,}")


class References(NamedTuple):
    """Digests in a manifest: of blobs, of child manifests, and of the subject, if it has one. ``sizes`` of them all."""

    blobs: tuple[str, ...]
    children: tuple[str, ...]
    subject: str | None
    sizes: dict[str, int]


def parse(data: bytes) -> References:
    """Parse a manifest or index; `ValueError` if it is neither."""
    document = json.loads(data)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    blobs = _descriptors(document, "config") + _descriptors(document, "layers") + _descriptors(document, "blobs")
    children = _descriptors(document, "manifests")
    # Schema 1 has neither; its layers have no sizes.
    old = [{"digest": one.get("blobSum")} for one in document.get("fsLayers") or () if isinstance(one, dict)]
    subject = _descriptors(document, "subject")
    every = [*blobs, *old, *children]
    return References(
        tuple(dict.fromkeys(_digest(one) for one in (*blobs, *old))),
        tuple(dict.fromkeys(_digest(one) for one in children)),
        _digest(subject[0]) if subject else None,
        {_digest(one): one["size"] for one in every if isinstance(one.get("size"), int)},
    )


def _descriptors(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = document.get(name)
    if found is None:
        return []
    rows = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in rows):
        raise ValueError(f"{name} holds something else than descriptors")
    return rows


def _digest(descriptor: dict[str, Any]) -> str:
    digest = descriptor.get("digest")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is no digest")
    return digest
