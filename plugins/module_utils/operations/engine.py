# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out the plans of many images at once: blobs, then manifests, then names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import BlobUnknown, ContentError, OciError
from ..model.form import Blob, Change
from ..model.manifest import AnyManifest, Index
from ..transports.base import ImageDestination, ImageSource
from .plan import ImagePlan, Node, Skipped
from .scheduler import Group, Job, Scheduler
from .transfers import COPY, EXISTING, MOUNT, Ledger, Transfer, carry_out

if TYPE_CHECKING:
    from .recompress import Recompressor


def carry_out_all(
    plans: Sequence[ImagePlan],
    ledger: Ledger,
    scheduler: Scheduler,
    group: Group,
    recompressor: Recompressor | None = None,
    halt: Event | None = None,
) -> None:
    """Begin to do everything in ``plans``, whose transfers ``ledger`` has assigned; done when the jobs of ``group`` are.

    ``recompressor``: for plans with layers that change. ``halt``: set by the first image that fails; what has not begun
    when it is set fails with `Skipped`.

    An image that fails keeps its error in its plan and leaves the others alone; no name of it has moved then."""
    for plan in plans:
        if plan.error is None and not plan.is_empty:
            _ImageWork(plan, ledger, scheduler, group, recompressor, halt).begin()


class _ImageWork:
    """The jobs of one image."""

    def __init__(
        self,
        plan: ImagePlan,
        ledger: Ledger,
        scheduler: Scheduler,
        group: Group,
        recompressor: Recompressor | None,
        halt: Event | None,
    ) -> None:
        self._plan = plan
        self._recompressor = recompressor
        self._ledger = ledger
        self._scheduler = scheduler
        self._group = group
        self._halt = halt
        self._source = plan.item.source
        self._destination = plan.item.destination
        self._nodes: dict[Digest, Job] = {}
        self._finished: dict[Digest, AnyManifest] = {}

    def begin(self) -> None:
        plan = self._plan
        last: list[Job] = []
        if plan.root is not None:
            last.append(self._tops(plan.root, plan.names_to_set))
        # A referrer names its subject, which is there by now: the fallback tag of the referrers schema points at it.
        for node in plan.referrers:
            last.append(self._node(node, None, list(last[:1])))
        for node, name in plan.companions:
            last.append(self._node(node, name, list(last[:1])))
        self._scheduler.add(Job(partial(self._end, last), last, tolerant=True, group=self._group))

    def _end(self, last: list[Job]) -> None:
        error = next((job.error for job in last if job.error is not None), None)
        if isinstance(error, OciError):
            # A copy: the images that share a blob share the error of its transfer too.
            error = copy(error).about(self._plan.item.src)
        self._plan.error = error
        if error is not None and self._halt is not None:
            self._halt.set()

    def _job(self, step: Callable[[], None], needs: list[Job], size: int = 0, tolerant: bool = False) -> Job:
        """A job that is done for this image."""

        def run() -> None:
            if self._halt is not None and self._halt.is_set():
                raise Skipped("left alone, because another image failed (on_error: stop)")
            step()

        return self._scheduler.add(Job(partial(self._plan.tally.run, run), needs, size, tolerant))

    def _tops(self, root: Node, names: list[str]) -> Job:
        """The root with its first name, which is written last of all; further names after it."""
        first = self._node(root, names[0], [])
        if len(names) == 1:
            return first
        further = [self._written(root, partial(self._name, root, name), [first]) for name in names[1:]]
        return self._scheduler.add(Job(_nothing, further))

    def _node(self, node: Node, name: str | None, needs: list[Job]) -> Job:
        for child in node.children:
            # Looked up first: a job that has been added may be over, and its manifest another one, at once.
            digest = child.manifest.digest
            if digest not in self._nodes:
                self._nodes[digest] = self._node(child, None, [])
            needs.append(self._nodes[digest])
        for blob in node.blobs:
            job = self._transfer(self._ledger.transfer(self._destination, blob.digest))
            if job is not None:
                needs.append(job)
        for layer, change in node.changes:
            job = self._transfer(self._ledger.changed(self._destination, layer, change))
            if job is not None:
                needs.append(job)
        return self._written(node, partial(self._write, node, name), needs)

    def _written(self, node: Node, step: Callable[[], None], needs: list[Job]) -> Job:
        """A job that writes ``node``, in its turn among all that write it, or what it lists, for other images."""
        order, manifest = self._ledger.order, node.manifest
        listed = [entry.digest for entry in manifest.manifests] if isinstance(manifest, Index) else []
        others = [job for job in order.before(self._destination, manifest.digest, listed) if job not in needs]
        if others:
            # Their turn has to be over, whether they succeeded or not.
            needs = [*needs, self._scheduler.add(Job(_nothing, others, tolerant=True))]
        job = self._job(step, needs)
        order.note(self._destination, manifest.digest, listed, job)
        return job

    def _transfer(self, transfer: Transfer) -> Job | None:
        if transfer.how == EXISTING:
            return None
        if transfer.job is None:
            needs = []
            if transfer.leader is not None:
                leader = self._transfer(transfer.leader)
                if leader is not None:
                    needs.append(leader)
            # Tolerant: where the leader failed, this image may still get the blob from its own source.
            size = transfer.descriptor.size if transfer.how == COPY else 0
            run = partial(carry_out, transfer) if transfer.change is None else partial(self._change, transfer)
            transfer.job = self._job(run, needs, size, tolerant=True)
        return transfer.job

    def _change(self, transfer: Transfer, again: bool = False) -> None:
        # Imported here: few tasks have layers that change.
        from .changes import carry_out_change
        from .recompress import Recompressor

        carry_out_change(transfer, self._source, self._recompressor or Recompressor(), again)

    def _write(self, node: Node, name: str | None) -> None:
        order, plain = self._ledger.order, node.finish is None
        if plain and name is None and order.has_arrived(self._destination, node.manifest.digest):
            return
        if node.finish is not None:
            digest = node.manifest.digest
            node.manifest = node.finish(self)
            node.finish = None
            self._finished[digest] = node.manifest
            if node is self._plan.root:
                self._plan.digest = node.manifest.digest
        try:
            self._destination.write_manifest(node.manifest, name)
        except BlobUnknown:
            # The registry said of a blob that it has it, and now that it has not (R1.27): all once more, then for good.
            send_again(node, self._source, self._destination, self._ledger)
            for layer, change in node.changes:
                transfer = self._ledger.changed(self._destination, layer, change)
                if transfer.done in (EXISTING, MOUNT):
                    self._change(transfer, again=True)
            self._destination.write_manifest(node.manifest, name)
        if plain:
            order.arrived(self._destination, node.manifest.digest)

    def _name(self, root: Node, name: str) -> None:
        self._destination.write_manifest(root.manifest, name)

    def manifest(self, digest: Digest) -> AnyManifest:
        """As `Results` says."""
        return self._finished[digest]

    def blob(self, layer: Descriptor, change: Change) -> Blob:
        """As `Results` says."""
        result = self._ledger.changed(self._destination, layer, change).result
        if result is None:
            raise ContentError(f"layer {layer.digest} was not compressed anew")
        return result


def send_again(node: Node, source: ImageSource, destination: ImageDestination, ledger: Ledger) -> None:
    """Copy every blob of ``node`` that was found or mounted, not sent."""
    for blob in node.blobs:
        transfer = ledger.transfer(destination, blob.digest)
        if (transfer.done or transfer.how) in (EXISTING, MOUNT):
            destination.write_blob(blob, partial(source.open_blob, blob))
            transfer.done = COPY


def _nothing() -> None:
    return
