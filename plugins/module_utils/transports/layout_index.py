# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index.json of an OCI image layout: its names and how they change (image-spec image-layout.md)."""

from __future__ import annotations

import json
from collections.abc import Collection

from ..model import media_types
from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import InvalidDigest, InvalidInput, InvalidReference, NotFound
from ..model.manifest import Index, parse_index, serialise
from ..model.reference import Reference
from ..model.text import sanitise

#: The name of an entry: usually a tag, with some tools a whole reference.
REF_NAME = "org.opencontainers.image.ref.name"
#: The whole reference of an entry, beside a REF_NAME that is only its tag (containerd, docker, regclient).
FULL_NAME = "io.containerd.image.name"
#: Marks an entry that is about another one and no image itself (docker's build attestations).
REFERENCE_TYPE = "vnd.docker.reference.type"

OCI_LAYOUT_FILE = "oci-layout"
INDEX_FILE = "index.json"
BLOBS = "blobs"
#: What the file `oci-layout` holds.
OCI_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
#: The index.json of a layout that holds nothing yet.
EMPTY_INDEX = serialise({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": []})

_SHOWN_NAMES = 20


def parse(raw: bytes, what: str) -> Index:
    """The index.json in ``raw``; ``what`` names it in errors. ``"manifests": null`` is an empty list.

    Raises InvalidManifest.
    """
    return parse_index(raw, what=what)


def name_of(entry: Descriptor) -> str | None:
    """The name that tells ``entry`` from others: its whole reference if it has one, else its REF_NAME, else None."""
    return entry.annotations.get(FULL_NAME) or entry.annotations.get(REF_NAME) or None


def names(index: Index) -> list[tuple[str | None, Descriptor]]:
    """Every entry with its name, in the order of the index."""
    return [(name_of(entry), entry) for entry in index.manifests]


def tags(index: Index) -> list[str]:
    """Every name once, in the order of the index; ``@N`` for an image that has none, N being its number for `find`."""
    named = {entry.digest for name, entry in names(index) if name is not None}
    found: dict[str, None] = {}
    for number, (name, entry) in enumerate(names(index)):
        if name is not None:
            found.setdefault(name)
        elif is_image(entry) and entry.digest not in named:
            found.setdefault(f"@{number}")
    return list(found)


def is_image(entry: Descriptor) -> bool:
    """Whether ``entry`` counts when an image is asked for without a name: attestations and other artifacts do not."""
    if REFERENCE_TYPE in entry.annotations or (entry.platform is not None and entry.platform.is_unknown):
        return False
    return not entry.artifact_type


def find(index: Index, name: str, number: int | None, what: str) -> Descriptor:
    """The entry that ``name`` or, counted from 0 in the order of the index, ``number`` stands for.

    In this order: a digest; an exact name; the same reference written in another way; a tag that one entry's
    reference ends in. Without name and number: the only image. ``what`` names the place.
    Raises NotFound, which lists the names there are, and InvalidInput when several images could be meant.
    """
    if number is not None:
        if number >= len(index.manifests):
            raise NotFound(f"{what} has no image number {number}: it holds {len(index.manifests)}, counted from 0")
        return index.manifests[number]
    if not name:
        return _only_image(index, what)
    for matches in (_by_digest, _exactly, _by_ref_name, _as_reference, _as_tag):
        found = [entry for entry in index.manifests if matches(entry, name)]
        if len({entry.digest for entry in found}) > 1:
            holders = ", ".join(f"{sanitise(name_of(entry), 100)} ({entry.digest})" for entry in found[:_SHOWN_NAMES])
            raise InvalidInput(f"the name '{sanitise(name, 140)}' stands for more than one image in {what}: {holders}")
        if found:
            return found[0]
    raise NotFound(f"{what} holds no image named '{sanitise(name, 140)}': {_listed(index)}")


def sibling_name(name: str, tag: str) -> str:
    """The name that ``tag`` has beside ``name``: in the same repository if that is a reference, else the tag alone."""
    base = "" if as_digest(name) is not None else name.partition("@")[0]
    repository, colon, last = base.rpartition(":")
    if colon and "/" not in last:
        return f"{repository}:{tag}"
    return f"{base}:{tag}" if "/" in base else tag


def sibling(index: Index, name: str, number: int | None, tag: str, what: str) -> Descriptor | None:
    """The entry for another ``tag`` of the repository of the image that `find` finds; None if there is none."""
    try:
        image = find(index, name, number, what)
        return find(index, sibling_name(name_of(image) or name, tag), None, what)
    except NotFound:
        return None


def exists(index: Index, name: str, what: str) -> Descriptor | None:
    """`find` for a destination: the entry that carries exactly ``name`` (or is that digest), None if there is none."""
    for matches in (_by_digest, _exactly, _by_ref_name):
        found = [entry for entry in index.manifests if matches(entry, name)]
        if found:
            # Of two holders of one name the first is what most readers take.
            return found[0]
    return None


def unnamed(index: Index, what: str) -> Descriptor | None:
    """For a destination without a name: the one image the empty name stands for, None if there is none yet.

    Raises InvalidInput where images with names or several without one are held: which one is meant cannot be told.
    """
    images = [entry for entry in index.manifests if is_image(entry)]
    if any(name_of(entry) is not None for entry in images) or len({entry.digest for entry in images}) > 1:
        raise InvalidInput(f"{what} holds {len(images)} images: give the new one a name, as in {what}:name")
    return images[0] if images else None


def with_unnamed(index: Index, descriptor: Descriptor, what: str) -> bytes:
    """The index.json in which ``descriptor`` takes the place of `unnamed`."""
    before = unnamed(index, what)
    if before is not None and before.digest == descriptor.digest:
        return index.raw
    kept = [entry for entry in index.manifests if before is None or entry.digest != before.digest]
    return with_entry(parse(_with_manifests(index, kept), what), descriptor, "")


def with_entry(index: Index, descriptor: Descriptor, name: str, full_name: str = "") -> bytes:
    """The index.json in which ``name`` stands for ``descriptor``, and ``full_name``, a whole reference, if given.

    The entry that held the name loses it; it is left out when nothing else names it. Entries that never had a name
    stay, except one of the same digest, which is the one that gets the name. With neither name the descriptor is
    added without one unless its digest is listed already. The bytes of ``index`` when nothing changes.
    """
    names_of_it = {REF_NAME: name or None, FULL_NAME: full_name or None}
    entry = descriptor.annotated(names_of_it)
    if not name and not full_name:
        if any(entry.digest == old.digest for old in index.manifests):
            return index.raw
        return _with_manifests(index, [*index.manifests, entry])
    kept: list[Descriptor] = []
    placed = False
    for old in index.manifests:
        left = _without_name(old, name, full_name)
        same = old.digest == entry.digest and not placed
        if left is old and not (same and name_of(old) is None):
            kept.append(old)
            continue
        if same:
            # In its place, and with what else was said of it (a platform, say).
            entry = old.annotated(names_of_it if full_name or name_of(old) is None else {REF_NAME: name})
            kept.append(entry)
            placed = True
        elif left is not None and left is not old:
            kept.append(left)
    if not placed:
        kept.append(entry)
    if [one.to_json() for one in kept] == [one.to_json() for one in index.manifests]:
        return index.raw
    return _with_manifests(index, kept)


def with_only(index: Index, kept: Collection[str]) -> bytes:
    """The index.json without the entries whose name is not in ``kept``; those without a name stay."""
    left = [
        entry
        for name, entry in names(index)
        if name is None or name in kept or entry.annotations.get(REF_NAME) in kept
    ]
    return index.raw if len(left) == len(index.manifests) else _with_manifests(index, left)


def _without_name(entry: Descriptor, name: str, full_name: str) -> Descriptor | None:
    # The entry itself if it does not hold the name, None if it holds no other.
    held, held_full = entry.annotations.get(REF_NAME), entry.annotations.get(FULL_NAME)
    if full_name:
        # Many repositories may have the same tag: the whole reference decides.
        holds = held_full == full_name or (held_full is None and held in (full_name, name))
        return None if holds else entry
    if name == held_full:
        return None
    if name != held:
        return entry
    return entry.annotated({REF_NAME: None}) if held_full else None


def _with_manifests(index: Index, entries: Collection[Descriptor]) -> bytes:
    # Parsed strictly when the index was; a second time would double the cost of a layout of many names.
    document = json.loads(index.raw)
    document["manifests"] = [entry.to_json() for entry in entries]
    return serialise(document)


def _only_image(index: Index, what: str) -> Descriptor:
    images = [entry for entry in index.manifests if is_image(entry)] or list(index.manifests)
    named = [entry for entry in images if name_of(entry) is not None]
    for some in (images, named):
        if len({entry.digest for entry in some}) == 1:
            return some[0]
    if not images:
        raise NotFound(f"{what} holds no image")
    raise InvalidInput(f"{what} holds {len(images)} images: say which one: {_listed(index)}")


def _by_digest(entry: Descriptor, name: str) -> bool:
    return ":" in name and str(entry.digest) == name


def _exactly(entry: Descriptor, name: str) -> bool:
    return name_of(entry) == name


def _by_ref_name(entry: Descriptor, name: str) -> bool:
    return entry.annotations.get(REF_NAME) == name


def _as_reference(entry: Descriptor, name: str) -> bool:
    wanted, held = _reference(name), _reference(name_of(entry) or "")
    return wanted is not None and wanted == held


def _as_tag(entry: Descriptor, name: str) -> bool:
    held = _reference(name_of(entry) or "")
    return held is not None and held.tag == name


def _reference(name: str) -> Reference | None:
    # A name without separators is a tag and not a repository of Docker Hub.
    if "/" not in name and ":" not in name:
        return None
    try:
        return Reference.parse(name).with_default_tag()
    except InvalidReference:
        return None


def _listed(index: Index) -> str:
    held = list(dict.fromkeys(name for name, unused in names(index) if name is not None))
    if not held:
        return f"its {len(index.manifests)} images have no names, ask by number (@0) or digest"
    more = f" and {len(held) - _SHOWN_NAMES} more" if len(held) > _SHOWN_NAMES else ""
    return "it holds " + ", ".join(sanitise(one, 140) for one in held[:_SHOWN_NAMES]) + more


def blob_name(digest: Digest) -> str:
    """The path of a blob inside the layout: made of a checked digest alone (S13, S19)."""
    return f"{BLOBS}/{digest.algorithm}/{digest.hex}"


def as_digest(text: str) -> Digest | None:
    """``text`` as a digest, None if it is something else."""
    try:
        return Digest.parse(text)
    except InvalidDigest:
        return None
