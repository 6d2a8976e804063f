# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The destination repository of an entry of a list, by which workers share the list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.errors import InvalidInput, OciError
from ..model.location import DOCKER
from ..model.text import sanitise
from ..transports import table
from .sync_names import Dest, From, Naming


def repository_of(entry: Any) -> str:
    """The name that `sharding.shard_of` takes: of an image or a repository as text, or of a mapping with ``src`` and ``dest``
    as image_copy and image_sync take them. Where there is no ``dest``, ``src`` decides; of several the first one.

    A source with many repositories, a namespace or an archive, is one entry: all of it belongs to one worker. Raises
    InvalidInput for what is neither.
    """
    if isinstance(entry, str):
        return _name(entry)
    if not isinstance(entry, Mapping):
        raise InvalidInput(f"an entry is text or a mapping with src and dest, not {type(entry).__name__}")
    src, dest = entry.get("src"), entry.get("dest")
    if isinstance(dest, (list, tuple)):
        dest = dest[0] if dest else None
    for value in (src, dest):
        if value is not None and not isinstance(value, str):
            raise InvalidInput(f"src and dest are text, not {type(value).__name__}")
    if not dest:
        if not src:
            raise InvalidInput("an entry has neither src nor dest")
        return _name(src)
    naming = Naming(str(entry.get("rename") or ""), bool(entry.get("scoped")))
    single = _single(src) if src else None
    if single is not None and (dest.endswith("/") or naming.rename or naming.scoped):
        return Dest(dest).repository(single, naming)
    return _name(dest)


def _single(src: str) -> From | None:
    """``src`` as the one repository that it is; None for what may be many."""
    if src.endswith("/"):
        return None
    try:
        location = table.parse(src)
        if location.transport != DOCKER:
            return None
        reference = location.reference()
    except OciError as exc:
        raise InvalidInput(f"src {sanitise(src, 200)}: {exc.message}") from None
    return From(reference.host, reference.repository, reference.repository.rpartition("/")[2], True)


def _name(text: str) -> str:
    """A repository with its host and without a tag; of other places their text, without the name of an image."""
    try:
        location = Dest(text).location if text.endswith("/") else table.parse(text)
        if text.endswith("/") and location.transport == DOCKER:
            return location.details
        if location.transport == DOCKER:
            return location.reference().name
        return f"{location.transport}:{location.path_and_rest()[0]}"
    except OciError as exc:
        raise InvalidInput(f"{sanitise(text, 200)}: {exc.message}") from None
