# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb of image_index: an index made out of images that exist, or one that exists with other entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import InvalidDigest, InvalidInput, NotFound, OciError
from ..model.image_config import CONFIG_LIMIT, ImageConfig
from ..model.location import DOCKER, Location
from ..model.manifest import AnyManifest, Index, Manifest, attests, descriptor_of
from ..model.platform import Platform
from ..transports import table
from ..transports.base import ImageSource
from ..transports.places import Places
from . import index_entries, selection
from .blobs import read_blob
from .composed import Composed
from .concurrently import each
from .index_entries import Which
from .perform import How, perform
from .plan import Item


@dataclass(frozen=True)
class Member:
    """One image, or the children of one index, that shall be in the index."""

    #: A location, or a digest of what is in the place of the index already.
    src: str
    #: Stands instead of what the image's config says.
    platform: Platform | None = None
    #: Of an index, the ones to take; empty for all.
    platforms: tuple[Platform, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wish:
    """What the index shall be."""

    members: Sequence[Member] = ()
    #: Keep the entries that are there; without it the index has those of ``members`` and no other.
    append: bool = False
    remove: Sequence[Which] = ()
    #: Of the index itself; None for a value removes one. With ``append`` others stay.
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    #: ``oci``, ``docker``, or None for what suits the entries.
    format: str | None = None

    @property
    def keeps(self) -> bool:
        """Whether what is there is the beginning of what shall be."""
        return self.append or not self.members


@dataclass(frozen=True)
class _Found:
    """A manifest, where it is read, and the entries that it makes."""

    source: ImageSource
    entries: Sequence[Descriptor]


def make_index(name: str, wish: Wish, places: Places, near: Places, how: How) -> dict[str, Any]:
    """Make ``name`` the index that ``wish`` describes, and bring what it lists to the same place before.

    ``near`` reads, as a source, what is at the registry of ``name``, with the rights that one may write there with.
    Returns the result of the module. Raises OciError; ``name`` is as it was then.
    """
    location = _location(name)
    destination, stored = table.open_destination(location, places)
    if not destination.capabilities.indexes:
        raise InvalidInput(f"{location.transport}: takes no index: put it into a registry, an oci: layout or an archive")
    here = table.open_source(location, near)
    digest = destination.resolve(stored)
    before = here.manifest(digest) if digest is not None else None
    if wish.keeps and before is None and not wish.members:
        raise NotFound(f"{name} does not exist: list in manifests what the index is to be made of", 404)
    if isinstance(before, Manifest) and not wish.members:
        raise InvalidInput(f"{name} is an image and no index: there are no entries in it to change")

    found = each(lambda one: _read(one, location, here, places, near), wish.members, how.parallel, how.stop)
    new = index_entries.joined([(member.src, one.entries) for member, one in zip(wish.members, found)])
    owners = {entry.digest: one.source for one in found for entry in one.entries}
    base = before if wish.keeps and isinstance(before, Index) else None
    entries: Sequence[Descriptor] = new
    if wish.keeps and before is not None:
        kept = before.manifests if isinstance(before, Index) else _image(before, here, Member(name))
        entries = index_entries.replaced(index_entries.removed(kept, wish.remove), new)
        owners = {**{entry.digest: here for entry in kept}, **owners}
    if not entries:
        raise InvalidInput(f"nothing would be left in {name}: registry_delete deletes it as a whole")
    now = before if isinstance(before, Index) else None
    root = index_entries.written(entries, wish.annotations, wish.format, base, now)

    item = Item(Composed(name, root, owners, destination.mount_host), destination, [stored], name, name)
    outcome = perform([item], places, how)
    return {
        "changed": outcome.changed,
        "name": str(location.reference().with_default_tag()) if location.transport == DOCKER else name,
        "digest": str(root.digest),
        "digest_before": outcome.images[0]["digest_before"],
        "media_type": root.media_type,
        "annotations": root.annotations,
        "manifests": [_told(entry) for entry in root.manifests],
        "bytes_transferred": outcome.bytes_transferred,
        "blobs": outcome.blobs,
        "diff": {"before": _shown(name, before), "after": _shown(name, root)},
    }


def _location(name: str) -> Location:
    location = table.parse(name)
    if location.transport == DOCKER and location.reference().digest is not None:
        raise InvalidInput(f"{name} has a digest, which only what is there already can have: give a tag alone")
    return location


def _read(member: Member, place: Location, here: ImageSource, places: Places, near: Places) -> _Found:
    """What ``member`` is, from reads alone. Raises OciError that names it."""
    try:
        source, root = _open(member.src, place, here, places, near)
        if isinstance(root, Index):
            return _Found(source, _children(root, member))
        return _Found(source, _image(root, source, member))
    except OciError as exc:
        raise exc.about(member.src) from None


def _open(src: str, place: Location, here: ImageSource, places: Places, near: Places) -> tuple[ImageSource, AnyManifest]:
    try:
        digest = Digest.parse(src)
    except InvalidDigest:
        pass
    else:
        return here, here.manifest(digest)
    location = table.parse(src)
    source = table.open_source(location, near if _neighbours(location, place) else places)
    return source, source.manifest()


def _neighbours(one: Location, other: Location) -> bool:
    # At one registry, where whoever may write the index is known as the same to both repositories.
    if one.transport != DOCKER or other.transport != DOCKER:
        return False
    return one.reference().api_host.lower() == other.reference().api_host.lower()


def _image(image: Manifest, source: ImageSource, member: Member) -> list[Descriptor]:
    """The entry for one image. Raises InvalidInput when neither the user nor its config says what it runs on."""
    named = member.platform.to_json() if member.platform is not None else None
    platform: dict[str, Any] | None = dict(named) if named is not None else None
    if image.is_image and (platform is None or member.platforms):
        config = ImageConfig.parse(read_blob(source, image.config, CONFIG_LIMIT))
        if config.platform is not None:
            if member.platforms and not any(one.accepts(config.platform) for one in member.platforms):
                wanted = ", ".join(map(str, member.platforms))
                raise InvalidInput(f"is an image for {config.platform} alone, not for {wanted}")
            platform = platform or _platform(config)
    if platform is None:
        raise InvalidInput("does not say what platform it is for: give platform with it, such as linux/amd64")
    entry = descriptor_of(image, artifact_type=image.artifact_type)
    return [index_entries.described(entry, platform, member.annotations)]


def _platform(config: ImageConfig) -> dict[str, Any] | None:
    if config.platform is None:
        return None
    found: dict[str, Any] = dict(config.platform.to_json())
    features = config.document.get("os.features")
    if isinstance(features, list) and features and all(isinstance(one, str) for one in features):
        found["os.features"] = features
    return found


def _children(index: Index, member: Member) -> list[Descriptor]:
    """The entries of ``index`` that are wanted, as they are; what the user says of them goes to images alone."""
    chosen = selection.choose(index, member.platforms) if member.platforms else index.manifests
    images = [entry for entry in chosen if not attests(entry)]
    if member.platform is not None and len(images) != 1:
        raise InvalidInput(f"is an index of {len(images)} images, so that platform cannot be said of it: name one by its digest")
    platform = member.platform.to_json() if member.platform is not None else None
    if platform is None and not member.annotations:
        return list(chosen)
    return [entry if attests(entry) else index_entries.described(entry, platform, member.annotations) for entry in chosen]


def _told(entry: Descriptor) -> dict[str, Any]:
    return {
        "digest": str(entry.digest),
        "media_type": entry.media_type,
        "size": entry.size,
        "platform": str(entry.platform) if entry.platform is not None else None,
        "annotations": entry.annotations,
    }


def _shown(name: str, manifest: AnyManifest | None) -> dict[str, Any]:
    """One side of a diff."""
    lines: list[str] = []
    if isinstance(manifest, Index):
        lines = [f"{entry.platform or 'no platform'} {entry.digest}" for entry in manifest.manifests]
    return {
        "name": name,
        "digest": str(manifest.digest) if manifest is not None else None,
        "media_type": manifest.media_type if manifest is not None else None,
        "annotations": manifest.annotations if manifest is not None else {},
        "manifests": lines,
    }
