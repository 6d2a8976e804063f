# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of images in archives: how ``oci-archive:`` and ``docker-archive:`` write them, and which entry has which."""

from __future__ import annotations

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
    return entry.annotations.get(FULL_NAME) or full_name(entry.annotations.get(REF_NAME, ""))


def name_of(scheme: str, entry: Descriptor) -> str:
    """The name of ``entry`` as `canonical` would give it, '' if it has none."""
    short = entry.annotations.get(REF_NAME, "")
    if scheme != DOCKER_ARCHIVE and full_name(short):
        return short
    return whole(entry) or short


def has_name(entry: Descriptor, name: str) -> bool:
    """Whether ``name`` stands for ``entry``: the same reference in whatever form, else the same text."""
    full = full_name(name)
    return whole(entry) == full if full else entry.annotations.get(REF_NAME) == name
