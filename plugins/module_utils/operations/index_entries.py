# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of an index: put beside each other, replaced, removed, and written down (image-spec image-index.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union

from ..model import media_types, strict_json
from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import InvalidInput
from ..model.manifest import ATTESTS, Index, parse_index, serialise
from ..model.platform import Platform

#: What an entry to be removed is told by.
Which = Union[Platform, Digest]
FORMATS = {"oci": media_types.OCI_INDEX, "docker": media_types.DOCKER_LIST}


def same_platform(one: Descriptor, other: Descriptor) -> bool:
    """Whether both entries are for one platform, so that an engine would never come to the second of them."""
    if one.platform is None or other.platform is None or one.platform.is_unknown:
        return False
    return one.platform.accepts(other.platform) and other.platform.accepts(one.platform)


def described(entry: Descriptor, platform: Mapping[str, Any] | None, annotations: Mapping[str, str]) -> Descriptor:
    """``entry`` with another ``platform`` object (None keeps its own) and more annotations."""
    raw = dict(entry.to_json())
    if platform is not None:
        raw["platform"] = dict(platform)
    if annotations:
        raw["annotations"] = {**entry.annotations, **annotations}
    return Descriptor.parse(raw, f"entry {entry.digest}")


def joined(members: Sequence[tuple[str, Sequence[Descriptor]]]) -> list[Descriptor]:
    """The entries of all ``members`` (what each is called, and its entries), one after the other.

    The same image for the same platform counts once. Raises InvalidInput for two images for one platform.
    """
    found: list[tuple[str, Descriptor]] = []
    for name, entries in members:
        new: list[tuple[str, Descriptor]] = []
        for entry in entries:
            twin = next((one for one, (unused, other) in enumerate(found) if _collide(entry, other)), None)
            if twin is None:
                new.append((name, entry))
            elif found[twin][1].digest != entry.digest:
                raise InvalidInput(
                    f"{found[twin][0]} and {name} are both for {entry.platform}: leave one out, or say in its platform"
                    " what it is for"
                )
        # Only now: an index may well list one platform twice, compressed in two ways for example.
        found += new
    return [entry for unused, entry in found]


def _collide(one: Descriptor, other: Descriptor) -> bool:
    if one.digest == other.digest and one.platform == other.platform:
        return True
    return same_platform(one, other)


def replaced(kept: Sequence[Descriptor], new: Sequence[Descriptor]) -> list[Descriptor]:
    """``kept`` with ``new`` in it: each in the place of an entry for the same image or the same platform, else at the end.

    The attestations of an image that went go as well. Doing it again changes nothing.
    """
    slots: list[list[Descriptor]] = [[one] for one in kept]
    for number, old in enumerate(kept):
        if any(old.digest == one.digest or same_platform(old, one) for one in new):
            slots[number] = []
    end: list[Descriptor] = []
    for one in new:
        place = next((at for at, old in enumerate(kept) if old.digest == one.digest or same_platform(old, one)), None)
        (end if place is None else slots[place]).append(one)
    return _without_orphans(kept, [entry for slot in [*slots, end] for entry in slot])


def removed(entries: Sequence[Descriptor], which: Iterable[Which]) -> list[Descriptor]:
    """``entries`` without those that ``which`` means, and without the attestations of these."""
    wanted = list(which)
    return _without_orphans(entries, [entry for entry in entries if not any(_meant(entry, one) for one in wanted)])


def _meant(entry: Descriptor, which: Which) -> bool:
    if isinstance(which, Digest):
        return entry.digest == which
    return entry.platform is not None and which.accepts(entry.platform)


def _without_orphans(before: Sequence[Descriptor], after: Sequence[Descriptor]) -> list[Descriptor]:
    left = {entry.digest for entry in after}
    gone = {str(entry.digest) for entry in before if entry.digest not in left}
    return [entry for entry in after if entry.annotations.get(ATTESTS) not in gone]


def written(
    entries: Sequence[Descriptor],
    annotations: Mapping[str, str | None],
    wanted: str | None,
    base: Index | None,
    now: Index | None,
) -> Index:
    """The index of ``entries``, in the format ``wanted`` (``oci``, ``docker``, or None for what suits).

    ``base``: the index whose other fields it keeps, and whose annotations ``annotations`` change (None removes one).
    ``now``: the index that is there; when it says the same it is what comes back, byte for byte.
    Raises InvalidInput for what Docker's manifest list cannot hold.
    """
    document: dict[str, Any] = strict_json.load_object(base.raw) if base is not None else {"schemaVersion": 2}
    notes = {**(base.annotations if base is not None else {}), **annotations}
    kept = {key: value for key, value in notes.items() if value is not None}
    media_type = _media_type(wanted, base, entries, kept)
    if base is None or media_type != base.media_type:
        document["mediaType"] = media_type
    document["manifests"] = [entry.to_json() for entry in entries]
    document.pop("annotations", None)
    if kept:
        document["annotations"] = {key: kept[key] for key in sorted(kept)}
    if now is not None and strict_json.load_object(now.raw) == document:
        return now
    return parse_index(serialise(document), media_type)


def _media_type(wanted: str | None, base: Index | None, entries: Sequence[Descriptor], notes: Mapping[str, Any]) -> str:
    # Docker's manifest list has no annotations and lists Docker's images; an OCI index lists either.
    obstacle = next((f"{one.digest} is {one.media_type}" for one in entries if one.media_type != media_types.DOCKER_MANIFEST), "")
    if not obstacle and (notes or any(one.annotations for one in entries)):
        obstacle = "it has no annotations"
    if wanted == "docker" and obstacle:
        raise InvalidInput(
            f"a Docker manifest list takes images of Docker's media types alone, without annotations: {obstacle}; use format oci"
        )
    if wanted is not None:
        return FORMATS[wanted]
    if base is not None and base.media_type == media_types.OCI_INDEX:
        return media_types.OCI_INDEX
    return media_types.OCI_INDEX if obstacle else media_types.DOCKER_LIST
