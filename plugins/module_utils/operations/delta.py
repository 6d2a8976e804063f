# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of a delta archive, completed with the blobs that their destination has, and refused before any of them moves
if it has not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import AccessDenied, ContentError, NotFound
from ..model.text import sanitise, size_words
from ..transports.base import BlobStream, ImageDestination, ImageSource
from ..transports.image_list import Earlier
from .around import Around
from .plan import ImagePlan

#: Repositories that are asked for one blob.
_ASKED = 16
_SHOWN = 2
_FACTS = 100


@dataclass(frozen=True)
class Neighbour:
    """A repository at the destination that may have a blob: what asks it, and what reads from it."""

    destination: ImageDestination
    source: ImageSource


class Elsewhere:
    """Where at the destination the blobs are that a delta leaves out. Thread-safe.

    ``find`` gives the repository that an image of the ``earlier`` archives was loaded into, None if it can be none.
    """

    def __init__(self, earlier: Earlier, find: Callable[[str], Neighbour | None]) -> None:
        self.earlier = earlier
        self._find = find
        self._lock = threading.Lock()
        self._found: dict[Digest, Neighbour | None] = {}

    def holder(self, descriptor: Descriptor) -> Neighbour | None:
        """A repository that has the blob, found out from reads alone and once."""
        with self._lock:
            if descriptor.digest in self._found:
                return self._found[descriptor.digest]
        found = next((one for one in self._neighbours(descriptor.digest) if _has(one, descriptor)), None)
        with self._lock:
            return self._found.setdefault(descriptor.digest, found)

    def _neighbours(self, digest: Digest) -> list[Neighbour]:
        found: dict[int, Neighbour] = {}
        for name in self.earlier.names(digest):
            neighbour = self._find(name)
            if neighbour is not None and len(found) < _ASKED:
                found.setdefault(id(neighbour.destination), neighbour)
        return list(found.values())


def _has(neighbour: Neighbour, descriptor: Descriptor) -> bool:
    try:
        return neighbour.destination.has_blob(descriptor)
    except (AccessDenied, NotFound):
        # Only a place to look: one that we may not see, or that is not there, has nothing for us.
        return False


class Completed(Around):
    """An image of a delta ``archive``; what that leaves out comes from ``elsewhere``."""

    is_delta = True

    def __init__(self, image: ImageSource, elsewhere: Elsewhere, archive: str) -> None:
        super().__init__(image)
        self.name = archive
        self.elsewhere = elsewhere

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> BlobStream:
        if self._image.lacks(descriptor):
            holder = self.elsewhere.holder(descriptor)
            if holder is not None:
                return holder.source.open_blob(descriptor, offset)
        return self._image.open_blob(descriptor, offset)

    def earlier(self) -> Earlier | None:
        return self.elsewhere.earlier

    def mount_from(self, descriptor: Descriptor) -> tuple[str, str]:
        holder = self.elsewhere.holder(descriptor) if self._image.lacks(descriptor) else None
        return (holder.destination.mount_host, holder.destination.mount_repository) if holder else ("", "")


class Missing:
    """The blobs that images need and that are nowhere, collected over the plans of a task."""

    def __init__(self) -> None:
        #: Within which place, and what: images of one registry mount from each other.
        self._brought: set[tuple[Hashable, Digest]] = set()
        #: The archive of each image of a delta that lacks something.
        self._images: dict[str, ImageSource] = {}
        self._blobs: dict[Digest, tuple[Descriptor, list[str]]] = {}
        #: Whether the destination is one, as a container engine, that does not tell which blobs it has.
        self._asks_in_vain = False

    def note(self, plans: Sequence[ImagePlan]) -> None:
        """Take in the ``plans``, which are complete, in the order in which their blobs are assigned: what one brings along
        those after it can mount. An image that is not of a delta, and lacks something, fails by itself."""
        for plan in plans:
            reach = _reach(plan)
            lost = [blob for blob in plan.lacking if (reach, blob.digest) not in self._brought]
            lacking = {blob.digest for blob in lost}
            held = (blob.digest for node in plan.nodes() for blob in node.blobs if blob.digest not in lacking)
            self._brought.update((reach, digest) for digest in held)
            if lost and plan.item.source.is_delta:
                # The archive is named once, in front of all.
                image = plan.item.src.replace(plan.item.source.name, "", 1).lstrip(":#")
                self._images[image] = plan.item.source
                self._asks_in_vain |= not plan.item.destination.capabilities.mounts
                for blob in lost:
                    self._blobs.setdefault(blob.digest, (blob, []))[1].append(image)
            elif lost and plan.error is None:
                what = f"the blob {lost[0].digest}" if len(lost) == 1 else f"{len(lost)} blobs, such as {lost[0].digest},"
                plan.error = NotFound(
                    f"{plan.item.src}: {what} can be found neither there nor at {plan.item.dest}: the archive is not complete"
                )

    def refuse(self) -> None:
        """Raise ContentError, naming blobs, images and what has to be loaded first, if one of a delta misses anything."""
        if not self._blobs:
            return
        source = next(iter(self._images.values()))
        rows = list(self._blobs.values())
        size = size_words(sum(blob.size for blob, unused in rows))
        count = f"a blob ({size})" if len(rows) == 1 else f"{len(rows)} blobs ({size})"
        shown = ", ".join(f"{blob.digest} of {sanitise(images[0], 80)}" for blob, images in rows[:_SHOWN])
        remedy = f"Load that archive first{_told(source.earlier())}"
        if self._asks_in_vain:
            remedy = "A delta is loaded into a registry: an engine does not tell which blobs it has"
        raise ContentError(
            f"nothing was loaded: {sanitise(source.name, 100)} is a delta, and {count}"
            f" that {len(self._images)} of its images need of an earlier archive cannot be found at the destination:"
            f" {shown}{_more(len(rows) - _SHOWN)}. {remedy}",
            missing_blobs=[
                {"digest": str(blob.digest), "size": blob.size, "images": images} for blob, images in rows[:_FACTS]
            ],
        )


def _reach(plan: ImagePlan) -> Hashable:
    destination = plan.item.destination
    return (destination.mount_host if destination.capabilities.mounts else "") or id(destination)


def _told(earlier: Earlier | None) -> str:
    names = [name for image in (earlier.images if earlier else ()) for name in image.names[:1]]
    return f", the one with {sanitise(names[0], 80)}{_more(len(names) - 1)}" if names else ""


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""
