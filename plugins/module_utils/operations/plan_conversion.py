# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done for one image that is converted, found out from reads alone.

Where no layer has to be compressed anew the converted manifests are known at once. Otherwise what the destination has
is compared with what an earlier conversion of the same image must have written: every byte but the digests and sizes
of the layers, and the config with its diff_ids among them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ..model.conversion import check, convert, convert_index
from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import ContentError, InvalidInput, InvalidManifest
from ..model.form import DOCKER, Blob, Change, Form
from ..model.image_config import CONFIG_LIMIT, ImageConfig
from ..model.manifest import AnyManifest, Index, Manifest, attests
from .blobs import read_blob
from .plan import NESTING, ImagePlan, Item, Node, Planner, Results
from .scheduler import Group, Scheduler


def plan_converted(item: Item, scheduler: Scheduler, group: Group) -> ImagePlan:
    """`plan_image` for an item whose wish has a form."""
    plan = ImagePlan(item)
    _ConvertingPlanner(plan, scheduler, group).begin()
    return plan


@dataclass(eq=False)
class _Part:
    """One manifest of the source and what it becomes."""

    source: AnyManifest
    #: None as long as its layers, or those of a child, have to be compressed first.
    result: AnyManifest | None = None
    #: Whether the destination has the result, with all it names.
    is_there: bool = False
    #: The layers that change, by position.
    changes: dict[int, tuple[Descriptor, Change]] = field(default_factory=dict)
    #: The children by the digests they have at the source; None for one that is left out.
    children: dict[Digest, _Part | None] = field(default_factory=dict)


class _ConvertingPlanner(Planner):
    """As its base, with the source's manifests read in any case: their digests say nothing of the converted ones."""

    def __init__(self, plan: ImagePlan, scheduler: Scheduler, group: Group) -> None:
        super().__init__(plan, scheduler, group)
        self._form = plan.item.wish.form
        self._candidates: list[AnyManifest] | None = None
        self._candidates_lock = threading.Lock()

    def _resolve(self) -> None:
        plan, destination = self._plan, self._destination
        if not destination.capabilities.indexes:
            raise InvalidInput(f"{destination.name} keeps images in a form of its own: leave format and compression out")
        plan.before = {name: destination.resolve(name) for name in plan.item.names}
        if self._is_there_already():
            return
        root, unused = self._selected(self._source.manifest())
        if isinstance(root, Manifest):
            self._decide(self._leaf(root, self._earlier(None)))
            return
        top = _Part(root)
        steps = []
        for position, entry in enumerate(self._entries(top, root)):
            # Each child is asked for by a job of its own.
            steps.append(self._later(partial(self._child_part, top, entry, position)))
        self._later(partial(self._decide_index, top), steps)

    def _is_as_wanted(self, manifest: Manifest) -> bool:
        return not self._form.positions(manifest) and convert(manifest, self._form, {}) is manifest

    def _entries(self, part: _Part, index: Index) -> list[Descriptor]:
        """The entries of ``index`` that are converted, each digest once; others are noted as left out."""
        kept = []
        for entry in index.manifests:
            if entry.digest in part.children:
                continue
            part.children[entry.digest] = None
            if self._form.format == DOCKER and attests(entry):
                # Attestations are artifacts, of which Docker's format knows nothing.
                self._plan.left_out.append(entry.digest)
            else:
                kept.append(entry)
        return kept

    def _child_part(self, parent: _Part, entry: Descriptor, position: int) -> None:
        manifest = self._source.manifest(entry.digest)
        if isinstance(manifest, Index):
            parent.children[entry.digest] = self._nested(manifest, 1)
        else:
            parent.children[entry.digest] = self._leaf(manifest, self._earlier(position))

    def _nested(self, index: Index, depth: int) -> _Part:
        if depth >= NESTING:
            raise InvalidManifest(f"{index.digest} nests indexes more than {NESTING} deep")
        part = _Part(index)
        for entry in self._entries(part, index):
            manifest = self._source.manifest(entry.digest)
            child = self._nested(manifest, depth + 1) if isinstance(manifest, Index) else self._leaf(manifest, _Earlier())
            part.children[entry.digest] = child
        self._conclude(part)
        return part

    def _leaf(self, manifest: Manifest, earlier: _Earlier) -> _Part:
        form = self._form
        positions = form.positions(manifest)
        if not positions:
            return _Part(manifest, convert(manifest, form, {}))
        check(manifest, form)
        for candidate in earlier.manifests():
            result = recognised(manifest, form, positions, candidate)
            if result is not None:
                return _Part(manifest, result, is_there=True)
        config = ImageConfig.parse(read_blob(self._source, manifest.config, CONFIG_LIMIT))
        if len(config.diff_ids) != len(manifest.layers):
            raise InvalidInput(
                f"{manifest.digest} has {len(manifest.layers)} layers, and its config {len(config.diff_ids)} diff_ids: what "
                "its layers hold cannot be verified, so that they are not compressed anew"
            )
        layers = {number: (manifest.layers[number], form.change(config.diff_ids[number])) for number in positions}
        return _Part(manifest, changes=layers)

    def _earlier(self, position: int | None) -> _Earlier:
        return _Earlier(self, position)

    def candidates(self) -> list[AnyManifest]:
        """What the names stand for at the destination now, asked for once."""
        with self._candidates_lock:
            if self._candidates is None:
                digests = dict.fromkeys(digest for digest in self._plan.before.values() if digest is not None)
                found = [self.held(digest) for digest in digests]
                self._candidates = [one for one in found if one is not None]
            return self._candidates

    def held(self, digest: Digest) -> AnyManifest | None:
        """A manifest of the destination; None if it is not there or no manifest, so that it is replaced."""
        try:
            return self._destination.manifest(digest)
        except ContentError:
            return None

    def _conclude(self, part: _Part) -> None:
        """The result of an index, if those of all its children are known."""
        results = {digest: child.result if child else None for digest, child in part.children.items()}
        pending = any(child is not None and child.result is None for child in part.children.values())
        if isinstance(part.source, Index) and not pending:
            part.result = convert_index(part.source, self._form, results)

    def _decide_index(self, top: _Part) -> None:
        self._conclude(top)
        self._decide(top)

    def _decide(self, top: _Part) -> None:
        plan = self._plan
        if top.result is not None:
            self._settle(top.result.digest)
            if not plan.names_to_set:
                return
        elif plan.item.expected is not None:
            raise InvalidInput(
                f"{plan.item.dest} asks for a digest, and what is compressed anew gets one that is not known before: "
                "give a tag alone"
            )
        self._fresh = not any(plan.before.values()) and self._destination.is_empty()
        plan.root = self._node(top)

    def _node(self, part: _Part) -> Node:
        """What is to be written for ``part``; its children and blobs are asked for by further jobs."""
        if part.result is not None:
            node = Node(part.result, missing=not part.is_there and not self._has(part.result.digest))
            if not node.missing:
                return node
        else:
            node = Node(part.source)
        if isinstance(node.manifest, Manifest):
            self._ask_for_blobs(node, part)
            return node
        if part.result is None and isinstance(part.source, Index):
            node.finish = partial(_finish_index, part.source, self._form, part.children)
        for child in part.children.values():
            if child is not None:
                self._later(partial(self._child_node, node, child))
        return node

    def _child_node(self, parent: Node, part: _Part) -> None:
        node = self._node(part)
        if node.missing:
            parent.children.append(node)

    def _ask_for_blobs(self, node: Node, part: _Part) -> None:
        source = part.source
        if not part.changes or not isinstance(source, Manifest):
            self._expand(node)
            return
        node.finish = partial(_finish, source, self._form, part.changes)
        node.changes = list(dict.fromkeys(part.changes.values()))
        # Out of what is not there nothing can be made.
        self._plan.lacking += [layer for layer, unused in node.changes if self._source.lacks(layer)]
        kept = {layer.digest for number, layer in enumerate(source.layers) if number not in part.changes}
        kept.add(source.config.digest)
        self._ask(node, [blob for blob in source.blobs() if blob.digest in kept])


class _Earlier:
    """What may be the result of an earlier conversion: the destination's manifests at one place. Read when asked for."""

    def __init__(self, planner: _ConvertingPlanner | None = None, position: int | None = None) -> None:
        self._planner = planner
        self._position = position

    def manifests(self) -> list[Manifest]:
        """The image manifests under the names themselves, or at ``position`` of the indexes there."""
        if self._planner is None:
            return []
        found: list[AnyManifest | None] = list(self._planner.candidates())
        if self._position is not None:
            indexes = [one for one in found if isinstance(one, Index) and self._position < len(one.manifests)]
            found = [self._planner.held(one.manifests[self._position].digest) for one in indexes]
        return [one for one in found if isinstance(one, Manifest)]


def recognised(manifest: Manifest, form: Form, positions: Sequence[int], candidate: Manifest) -> Manifest | None:
    """``candidate`` if it is what a conversion of ``manifest`` gives, whatever its layers were compressed to."""
    if len(candidate.layers) != len(manifest.layers):
        return None
    layers = candidate.layers
    blobs = {position: Blob(layers[position].digest, layers[position].size) for position in positions}
    return candidate if convert(manifest, form, blobs).raw == candidate.raw else None


def _finish(manifest: Manifest, form: Form, changes: Mapping[int, tuple[Descriptor, Change]], results: Results) -> AnyManifest:
    return convert(manifest, form, {position: results.blob(*changed) for position, changed in changes.items()})


def _finish_index(index: Index, form: Form, children: Mapping[Digest, _Part | None], results: Results) -> AnyManifest:
    found = {digest: None if child is None else child.result or results.manifest(digest) for digest, child in children.items()}
    return convert_index(index, form, found)
