# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index file ``images.json`` of an archive: its images, its blobs, and for a delta those that are elsewhere.

It lies in every archive we write, and may be kept beside one: it is small and tells what a next one can leave out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..model import strict_json
from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import ContentError, InvalidDigest, InvalidManifest, SizeMismatch
from ..model.text import sanitise

FILE = "images.json"
MEDIA_TYPE = "application/vnd.longshore.oci.images.v1+json"
#: Largest one we read, in bytes: some 300,000 blobs.
LIMIT = 32 * 1024 * 1024
_LARGEST = 2**53


@dataclass(frozen=True)
class ListedPlatform:
    """One platform of an image: its manifest, and the bytes of its blobs, each once."""

    platform: str
    digest: Digest
    size: int


@dataclass(frozen=True)
class NamedImage:
    """What an image is, and what it is called."""

    digest: Digest
    names: tuple[str, ...]


@dataclass(frozen=True)
class ListedImage(NamedImage):
    """An image of an archive. ``size`` is of the blobs of all platforms in bytes, each once."""

    media_type: str = ""
    size: int = 0
    platforms: tuple[ListedPlatform, ...] = ()


@dataclass(frozen=True)
class ListedBlob:
    """A blob that is no manifest; ``images`` are the numbers, from 0, of the images that it is part of."""

    digest: Digest
    size: int
    images: tuple[int, ...]


@dataclass(frozen=True)
class Earlier:
    """What earlier archives hold, and a new one therefore can leave out."""

    images: tuple[NamedImage, ...]
    blobs: Mapping[Digest, ListedBlob]

    def has(self, descriptor: Descriptor) -> bool:
        """Whether the blob is there. Raises SizeMismatch if there it has another size."""
        blob = self.blobs.get(descriptor.digest)
        if blob is not None and blob.size != descriptor.size:
            raise SizeMismatch(
                f"{descriptor.digest} has {blob.size} bytes in an earlier archive, its descriptor says {descriptor.size}"
            )
        return blob is not None

    def names(self, digest: Digest) -> list[str]:
        """The names of the images that the blob ``digest`` is part of."""
        blob = self.blobs.get(digest)
        return [name for number in (blob.images if blob else ()) for name in self.images[number].names]


@dataclass(frozen=True)
class ImageList:
    """All of an index file. ``since``: what a delta was made against, with the blobs alone that its images need of it."""

    images: tuple[ListedImage, ...]
    blobs: Mapping[Digest, ListedBlob] = field(default_factory=dict)
    since: Earlier | None = None


def is_against(since: Earlier | None, earlier: Earlier | None) -> bool:
    """Whether what was made against ``since`` would be the same made against ``earlier``; None is nothing."""
    if since is None or earlier is None:
        return since is earlier
    return since.images == earlier.images and all(earlier.blobs.get(digest) == one for digest, one in since.blobs.items())


def together(lists: Sequence[ImageList]) -> Earlier:
    """What archives with these index files hold, and, where they are deltas, what they were made against.

    Raises ContentError when two of them tell different sizes of one blob.
    """
    images: dict[NamedImage, int] = {}
    blobs: dict[Digest, tuple[int, dict[int, None]]] = {}
    for one in lists:
        parts: list[tuple[Sequence[NamedImage], Mapping[Digest, ListedBlob]]] = [(one.images, one.blobs)]
        if one.since is not None:
            parts.append((one.since.images, one.since.blobs))
        for named, held in parts:
            plain = (NamedImage(image.digest, image.names) for image in named)
            numbers = [images.setdefault(image, len(images)) for image in plain]
            for blob in held.values():
                size, holders = blobs.setdefault(blob.digest, (blob.size, {}))
                if size != blob.size:
                    raise ContentError(f"earlier archives say that {blob.digest} has {size} bytes, and {blob.size}")
                holders.update(dict.fromkeys(numbers[number] for number in blob.images))
    return Earlier(
        tuple(images), {digest: ListedBlob(digest, size, tuple(sorted(those))) for digest, (size, those) in blobs.items()}
    )


def serialise(listed: ImageList) -> bytes:
    """The bytes of the file: the same list gives the same bytes, one image or blob a line."""
    document = [
        ("mediaType", json.dumps(MEDIA_TYPE)),
        ("images", _array(map(_image_json, listed.images), " ")),
        ("blobs", _array(_blobs_json(listed.blobs), " ")),
    ]
    if listed.since is not None:
        since = [
            ("images", _array(({"names": list(one.names), "digest": str(one.digest)} for one in listed.since.images), "  ")),
            ("blobs", _array(_blobs_json(listed.since.blobs), "  ")),
        ]
        document.append(("since", _object(since, "  ")))
    return (_object(document, " ") + "\n").encode("utf-8")


def file_of(listed: ImageList, what: str) -> bytes | None:
    """`serialise`; None for what is larger than anyone would read. Raises ContentError if ``what`` cannot do without."""
    raw = serialise(listed)
    if len(raw) <= LIMIT:
        return raw
    if listed.since is not None:
        raise ContentError(f"{what} was not written: a delta of so many blobs has an index of more than {LIMIT} bytes")
    return None


def _image_json(image: ListedImage) -> dict[str, Any]:
    return {
        "names": list(image.names),
        "digest": str(image.digest),
        "mediaType": image.media_type,
        "size": image.size,
        "platforms": [
            {"platform": one.platform, "digest": str(one.digest), "size": one.size} for one in image.platforms
        ],
    }


def _blobs_json(blobs: Mapping[Digest, ListedBlob]) -> Iterable[dict[str, Any]]:
    for blob in sorted(blobs.values(), key=lambda one: str(one.digest)):
        yield {"digest": str(blob.digest), "size": blob.size, "images": list(blob.images)}


def _array(rows: Iterable[dict[str, Any]], indent: str) -> str:
    lines = [f"\n{indent} {json.dumps(row, ensure_ascii=False)}" for row in rows]
    return f"[{','.join(lines)}\n{indent}]" if lines else "[]"


def _object(fields: Sequence[tuple[str, str]], indent: str) -> str:
    lines = [f"\n{indent}{json.dumps(key)}: {text}" for key, text in fields]
    return f"{{{','.join(lines)}\n{indent[:-1]}}}"


def parse(raw: bytes, what: str) -> ImageList | None:
    """The list in ``raw``; None for a JSON object of another kind. Raises InvalidManifest."""
    document = strict_json.load_object(raw, what)
    if document.get("mediaType") != MEDIA_TYPE:
        return None
    with _understood(what):
        images = tuple(_listed_image(value) for value in _list(document, "images"))
        return ImageList(images, _listed_blobs(document, len(images)), _since(document))


def parse_since(raw: bytes, what: str) -> Earlier | None:
    """`parse`, for `ImageList.since` alone, which takes a fraction of the time."""
    document = strict_json.load_object(raw, what)
    with _understood(what):
        return _since(document) if document.get("mediaType") == MEDIA_TYPE else None


@contextmanager
def _understood(what: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, InvalidDigest) as exc:
        raise InvalidManifest(f"{what} is no valid index file: {sanitise(exc, 120)}") from None


def _since(document: dict[str, Any]) -> Earlier | None:
    since = document.get("since")
    if since is None:
        return None
    named = tuple(_named_image(value) for value in _list(since, "images"))
    return Earlier(named, _listed_blobs(since, len(named)))


def _list(value: Any, key: str) -> list[Any]:
    found = value[key]
    if not isinstance(found, list):
        raise ValueError(f"{key} is no list")
    return found


def _text(value: Any, key: str) -> str:
    found = value[key]
    if not isinstance(found, str):
        raise ValueError(f"{key} is no text")
    return found


def _size(value: Any) -> int:
    found = value["size"]
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= _LARGEST:
        raise ValueError("a size that is none")
    return found


def _named_image(value: Any) -> NamedImage:
    names = _list(value, "names")
    if not all(isinstance(name, str) for name in names):
        raise ValueError("a name that is no text")
    return NamedImage(Digest.parse(value["digest"]), tuple(names))


def _listed_image(value: Any) -> ListedImage:
    named = _named_image(value)
    platforms = tuple(
        ListedPlatform(_text(one, "platform"), Digest.parse(one["digest"]), _size(one))
        for one in _list(value, "platforms")
    )
    return ListedImage(named.digest, named.names, _text(value, "mediaType"), _size(value), platforms)


def _listed_blobs(value: Any, images: int) -> dict[Digest, ListedBlob]:
    found: dict[Digest, ListedBlob] = {}
    for one in _list(value, "blobs"):
        numbers = _list(one, "images")
        if not all(isinstance(number, int) and not isinstance(number, bool) and 0 <= number < images for number in numbers):
            raise ValueError("a blob of an image that is not listed")
        digest = Digest.parse(one["digest"])
        if digest in found:
            raise ValueError(f"{digest} is listed twice")
        found[digest] = ListedBlob(digest, _size(one), tuple(numbers))
    return found
