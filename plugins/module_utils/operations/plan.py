# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done for one image, found out from reads alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import InvalidInput, InvalidManifest, OciError
from ..model.form import Blob, Change, Form
from ..model.image_config import CONFIG_LIMIT, ImageConfig
from ..model.manifest import AnyManifest, Index, Manifest, attests
from ..model.platform import Platform
from ..registry.meter import Tally
from ..transports.base import ImageDestination, ImageSource
from . import selection
from .blobs import read_blob
from .scheduler import Group, Job, Scheduler


class Skipped(OciError):
    """Left alone, because another image failed and the task was to stop then."""


NESTING = 3
#: What cosign appends to the tag ``sha256-<hex>`` of what it signs, attests or describes.
_COSIGN = (".sig", ".att", ".sbom")


@dataclass(frozen=True)
class Wish:
    """Which parts of an image are wanted."""

    #: Empty for all: the image as it is, byte for byte.
    platforms: tuple[Platform, ...] = ()
    #: What becomes of an index of which a part is copied: ``strip`` writes a new one, ``sparse`` keeps it whole.
    index: str = "strip"
    referrers: bool = False
    #: What all of it is to be converted to; an empty one leaves it as it is.
    form: Form = Form()

    def __post_init__(self) -> None:
        if self.form and self.referrers:
            raise InvalidInput(
                "referrers go with an image as it is: what signs or describes an image names its digest, which format and "
                "compression change"
            )
        if self.form and self.platforms and self.index == "sparse":
            raise InvalidInput("index sparse keeps an index as it is, which format and compression cannot: use strip")


@dataclass(eq=False)
class Item:
    """One image to copy: from ``source`` to ``destination``, where ``names`` (tags) shall point at it."""

    source: ImageSource
    destination: ImageDestination
    names: list[str]
    #: As the user wrote them, for results and messages.
    src: str
    dest: str
    wish: Wish = Wish()
    #: The digest that the user wrote behind the destination: nothing else may be written there.
    expected: Digest | None = None
    #: Names that exist stay as they are, whatever they stand for.
    immutable: bool = False
    #: The image goes to several places: each blob is read once from the source, and from the first place after that.
    relayed: bool = False


class Results(Protocol):
    """What became of the parts of an image."""

    def blob(self, layer: Descriptor, change: Change) -> Blob:
        """What a layer became."""

    def manifest(self, digest: Digest) -> AnyManifest:
        """What a child became that has ``digest`` at the source, and that had to be finished."""


@dataclass(eq=False)
class Node:
    """One manifest to write, after its children and blobs."""

    #: Until `finish` was called, what the source has.
    manifest: AnyManifest
    #: False if the destination has it and only names are to be set.
    missing: bool = True
    children: list[Node] = field(default_factory=list)
    blobs: list[Descriptor] = field(default_factory=list)
    #: Layers whose bytes are to change on their way.
    changes: list[tuple[Descriptor, Change]] = field(default_factory=list)
    #: Makes the manifest to write, where that is known only when layers have changed or children are finished.
    finish: Callable[[Results], AnyManifest] | None = None


class ImagePlan:
    """The plan for one image. Filled by jobs of `plan_image`; complete when there are no more of them."""

    def __init__(self, item: Item) -> None:
        self.item = item
        #: Of what the destination has afterwards; None as long as that has to be compressed first.
        self.digest: Digest | None = None
        self.before: dict[str, Digest | None] = {}
        self.root: Node | None = None
        self.referrers: list[Node] = []
        #: Manifests under tags of their own that belong to the image, such as cosign's signatures, which are to be set,
        #: and the names of all of them.
        self.companions: list[tuple[Node, str]] = []
        self.companion_names: set[str] = set()
        #: Digests of the blobs that the destination has.
        self.present: set[Digest] = set()
        #: Those that neither the source nor, so far as can be told, the destination has.
        self.lacking: list[Descriptor] = []
        #: Entries of indexes that have no place in the format wanted.
        self.left_out: list[Digest] = []
        self.error: BaseException | None = None
        self.tally = Tally()

    @property
    def names_to_set(self) -> list[str]:
        """The names that do not point at the image yet."""
        if self.digest is None and self.root is not None:
            return list(self.item.names)
        return [name for name in self.item.names if self.before.get(name) != self.digest]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return self.error is None and not (self.names_to_set or self.referrers or self.companions)

    def nodes(self) -> list[Node]:
        """Every node, children before their parents."""
        found: list[Node] = []

        def visit(node: Node) -> None:
            for child in node.children:
                visit(child)
            found.append(node)

        for top in [*([self.root] if self.root else []), *self.referrers, *(node for node, unused in self.companions)]:
            visit(top)
        return found


def plan_image(item: Item, scheduler: Scheduler, group: Group) -> ImagePlan:
    """Begin to plan ``item``; the plan is complete once the jobs of ``group`` are. Errors end up in it."""
    plan = ImagePlan(item)
    Planner(plan, scheduler, group).begin()
    return plan


class Planner:
    """Asks both ends about one image. Every step is a job, so that images, platforms and blobs are asked at once."""

    def __init__(self, plan: ImagePlan, scheduler: Scheduler, group: Group) -> None:
        self._plan = plan
        self._wish = plan.item.wish
        self._scheduler = scheduler
        self._group = group
        self._source = plan.item.source
        self._destination = plan.item.destination
        self._fresh = False
        self._seen: set[Digest] = set()
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Add the first job."""
        self._later(self._resolve)

    def _later(self, step: Callable[[], None], needs: Iterable[Job] = ()) -> Job:
        def run() -> None:
            if self._plan.error is not None:
                return
            try:
                step()
            except OciError as exc:
                self._plan.error = self._plan.error or exc.about(self._plan.item.src)
            except BaseException as exc:
                self._plan.error = self._plan.error or exc

        return self._scheduler.add(Job(partial(self._plan.tally.run, run), needs, group=self._group))

    def _resolve(self) -> None:
        plan, wish = self._plan, self._wish
        plan.before = {name: self._destination.resolve(name) for name in plan.item.names}
        if plan.item.immutable and all(plan.before.values()):
            plan.digest = plan.before[plan.item.names[0]]
            return
        if not self._destination.capabilities.indexes:
            self._resolve_one()
            return
        if self._is_there_already():
            return
        # Where nothing can be as wanted yet the manifest is fetched at once: its digest comes with it.
        root = None if any(plan.before.values()) else self._source.manifest()
        digest = root.digest if root else self._source.resolve()
        if not wish.platforms:
            self._settle(digest)
            if not plan.names_to_set and not wish.referrers:
                return
        if wish.platforms or plan.names_to_set or wish.referrers:
            whole = root or self._source.manifest(digest)
            root, kept = self._selected(whole)
            self._settle(root.digest)
            if plan.names_to_set:
                self._fresh = not any(plan.before.values()) and self._destination.is_empty()
                plan.root = Node(root, missing=not self._has(root.digest))
                if plan.root.missing:
                    self._expand(plan.root, kept)
            if wish.referrers:
                # Those of the image as the source has it: what signs a whole index does not sign a stripped one.
                self._about(whole, kept)

    def _resolve_one(self) -> None:
        """`_resolve` for a place that holds one platform of an image."""
        plan, place = self._plan, self._destination
        if self._wish.referrers:
            raise InvalidInput(f"{place.name} holds images alone and not what refers to them: leave referrers out")
        manifest = self._one_platform(self._source.manifest())
        digest = manifest.config.digest if place.capabilities.image_ids else manifest.digest
        # Some engines know an image by its manifest after all.
        self._settle(manifest.digest if manifest.digest in plan.before.values() else digest)
        if plan.names_to_set:
            # Where the image is there under another name it is not loaded again.
            plan.root = Node(manifest, missing=not self._has(digest))
            if plan.root.missing:
                self._expand(plan.root)

    def _is_there_already(self) -> bool:
        """Whether the names stand for the very image of a source that knows its ID alone: one that would have to be
        exported to tell its manifest is not, for that."""
        plan, wish = self._plan, self._wish
        before = set(plan.before.values())
        if wish.platforms or wish.referrers or len(before) != 1:
            return False
        digest = before.pop()
        image_id = self._source.image_id() if digest is not None else None
        held = self._destination.manifest(digest) if digest is not None and image_id is not None else None
        if not isinstance(held, Manifest) or held.config.digest != image_id or not self._is_as_wanted(held):
            return False
        self._settle(held.digest)
        return True

    def _is_as_wanted(self, manifest: Manifest) -> bool:
        return True

    def _one_platform(self, root: AnyManifest) -> Manifest:
        wanted = self._wish.platforms
        if isinstance(root, Index):
            if len(wanted) > 1:
                raise InvalidInput(f"{self._destination.name} holds one platform of an image: name one")
            root = self._source.manifest(selection.for_one(root, wanted[0] if wanted else self._destination.platform()).digest)
            if isinstance(root, Index):
                raise InvalidManifest(f"{root.digest} is an index within an index: it has no image to choose")
            return root
        self._selected(root)
        return root

    def _about(self, root: AnyManifest, kept: tuple[Descriptor, ...] | None) -> None:
        """Ask for what refers to ``root`` and to each image that its index lists."""
        entries = root.manifests if isinstance(root, Index) and kept is None else kept or ()
        images = [entry.digest for entry in entries if not attests(entry)]
        for digest in dict.fromkeys([root.digest, *images]):
            self._later(partial(self._referrers, digest, 0))
            for suffix in _COSIGN:
                self._later(partial(self._companion, f"{digest.algorithm}-{digest.hex}{suffix}"))

    def _settle(self, digest: Digest) -> None:
        item = self._plan.item
        if item.expected not in (None, digest):
            raise InvalidInput(f"{item.src} is {digest}, and not {item.expected} as the destination {item.dest} says")
        self._plan.digest = digest

    def _selected(self, root: AnyManifest) -> tuple[AnyManifest, tuple[Descriptor, ...] | None]:
        if not self._wish.platforms:
            return root, None
        if isinstance(root, Manifest):
            if root.is_image:
                config = ImageConfig.parse(read_blob(self._source, root.config, CONFIG_LIMIT))
                if config.platform and not any(one.accepts(config.platform) for one in self._wish.platforms):
                    wanted = ", ".join(map(str, self._wish.platforms))
                    raise InvalidInput(f"is an image for {config.platform} alone, not for {wanted}")
            return root, None
        kept = selection.choose(root, self._wish.platforms)
        if self._wish.index == "strip" and len(kept) < len(root.manifests):
            root = root.only(kept)
        return root, kept

    def _has(self, digest: Digest) -> bool:
        # A registry takes no manifest whose parts it lacks; if it has lost one since, writing says so (R1.27).
        return not self._fresh and self._destination.has_manifest(digest)

    def _is_new(self, digest: Digest) -> bool:
        with self._lock:
            new = digest not in self._seen
            self._seen.add(digest)
        return new

    def _expand(self, node: Node, kept: tuple[Descriptor, ...] | None = None, depth: int = 0) -> Node:
        """Ask for what ``node`` is made of; ``kept`` are the wanted entries of an index, None for all."""
        manifest = node.manifest
        self._is_new(manifest.digest)
        if isinstance(manifest, Manifest):
            self._ask(node, manifest.blobs())
            return node
        if depth >= NESTING:
            raise InvalidManifest(f"{manifest.digest} nests indexes more than {NESTING} deep")
        for child in manifest.manifests if kept is None else kept:
            if self._is_new(child.digest):
                self._later(partial(self._child, node, child, depth + 1))
        return node

    def _ask(self, node: Node, blobs: list[Descriptor]) -> None:
        """Ask which of ``blobs``, those of ``node`` that stay what they are, the destination has."""
        node.blobs = blobs
        for blob in blobs:
            if (not self._fresh or self._source.lacks(blob)) and self._is_new(blob.digest):
                self._later(partial(self._blob, blob))

    def _child(self, parent: Node, child: Descriptor, depth: int) -> None:
        if not self._has(child.digest):
            parent.children.append(self._expand(Node(self._source.manifest(child.digest)), None, depth))

    def _blob(self, blob: Descriptor) -> None:
        if not self._fresh and self._destination.has_blob(blob):
            self._plan.present.add(blob.digest)
        elif self._source.lacks(blob) and not self._source.mount_from(blob)[0]:
            self._plan.lacking.append(blob)

    def _referrers(self, digest: Digest, depth: int) -> None:
        for descriptor in self._source.referrers(digest):
            if not self._is_new(descriptor.digest) or depth >= NESTING:
                continue
            if not self._has(descriptor.digest):
                self._plan.referrers.append(self._expand(Node(self._source.manifest(descriptor.digest))))
            self._later(partial(self._referrers, descriptor.digest, depth + 1))

    def _companion(self, tag: str) -> None:
        name = self._destination.sibling(self._plan.item.names[0], tag)
        digest = self._source.sibling(tag) if name is not None else None
        if name is None or digest is None:
            return
        self._plan.companion_names.add(name)
        if self._destination.resolve(name) != digest:
            node = Node(self._source.manifest(digest), missing=not self._has(digest))
            self._plan.companions.append((self._expand(node) if node.missing else node, name))
