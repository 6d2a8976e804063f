# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of images in archives: how ``oci-archive:`` and ``docker-archive:`` write them, and which entry has which."""

from __future__ import annotations

from collections.abc import Iterable

from ..model.descriptor import Descriptor
from ..model.errors import InvalidInput
from ..model.reference import Reference
from ..model.text import sanitise
from .docker_manifest import full_name
from .layout import check_name
from .layout_index import FULL_NAME, REF_NAME

#: The scheme whose names are references: whole, with ``latest`` for a missing tag. Others are kept as they are written.
DOCKER_ARCHIVE = "docker-archive"


def canonical(scheme: str, name: str) -> str:
    """``name``, as written behind the path, in the form that a destination of ``scheme`` uses. '' stays ''.

    Raises InvalidInput.
    """
    if not name:
        return ""
    if scheme != DOCKER_ARCHIVE:
        return check_name(name)
    reference = Reference.parse(name)
    if reference.digest is not None:
        raise InvalidInput(f"'{sanitise(name, 200)}': a name in a docker-archive has a tag and no digest")
    return str(reference.with_default_tag())


def as_annotations(name: str) -> dict[str, str | None]:
    """The annotations of the entry that has ``name``."""
    return {REF_NAME: name or None, FULL_NAME: full_name(name) or None}


def whole(entry: Descriptor) -> str:
    """The whole reference of ``entry``, '' if its name is none."""
    return _full(entry) or full_name(_short(entry))


def name_of(scheme: str, entry: Descriptor) -> str:
    """The name of ``entry`` as `canonical` would give it, '' if it has none."""
    short = _short(entry)
    if scheme != DOCKER_ARCHIVE and full_name(short):
        return short
    return whole(entry) or short


def table(entries: Iterable[Descriptor]) -> dict[str, Descriptor]:
    """The entries by all that names them: whole reference, text of the name, digest. Of two the first counts."""
    found: dict[str, Descriptor] = {}
    listed = list(entries)
    for key in (_full, whole, _short, lambda entry: str(entry.digest)):
        for entry in listed:
            found.setdefault(key(entry), entry)
    found.pop("", None)
    return found


def look_up(entries: dict[str, Descriptor], name: str) -> Descriptor | None:
    """The entry of `table` that ``name`` stands for, the same text or the same reference in whatever form."""
    return entries.get(name) or entries.get(full_name(name))


def _full(entry: Descriptor) -> str:
    return entry.annotations.get(FULL_NAME, "")


def _short(entry: Descriptor) -> str:
    return entry.annotations.get(REF_NAME, "")
