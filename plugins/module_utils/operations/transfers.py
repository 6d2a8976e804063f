# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which blob comes to each destination how: copied once, mounted by the rest, or there already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import AccessDenied, ContentError, NotFound
from ..model.form import Blob, Change
from ..transports.base import BlobStream, ImageDestination, ImageSource
from .order import Order
from .plan import ImagePlan
from .scheduler import Job

COPY, MOUNT, EXISTING = "copied", "mounted", "existing"


@dataclass(eq=False)
class Transfer:
    """One blob at one destination."""

    descriptor: Descriptor
    destination: ImageDestination
    how: str
    #: Where it can be read, each an image that holds it: the next is tried when one fails.
    sources: list[ImageSource] = field(default_factory=list)
    #: For a mount: the repository, and the transfer that brings the blob there (None if it is there already).
    repository: str = ""
    leader: Transfer | None = None
    job: Job | None = None
    #: What it came to; `how` is what was planned.
    done: str = ""
    #: How the bytes change on their way and what they became; the transfer to another repository that changes the same.
    change: Change | None = None
    result: Blob | None = None
    shares: Transfer | None = None

    @property
    def size(self) -> int:
        """Bytes that move to the destination; before they have changed, those of the source."""
        return self.descriptor.size if self.result is None else self.result.size

    @property
    def failed(self) -> bool:
        """Whether it was tried in vain."""
        return self.job is not None and self.job.finished and not self.done


class Ledger:
    """Every blob of one task and where it is or will be. Holds a few hundred bytes a blob, however large it is."""

    def __init__(self) -> None:
        self._transfers: dict[tuple[int, Digest], Transfer] = {}
        self._holders: dict[tuple[str, Digest], Transfer] = {}
        self._changed: dict[tuple[int, Digest, Change], Transfer] = {}
        self._changers: dict[tuple[str, Digest, Change], Transfer] = {}
        #: Of blobs of images that go to several places: the transfer to the first place that they can be read from.
        self._first: dict[Digest, Transfer] = {}
        self.order = Order()

    def assign(self, plan: ImagePlan) -> list[Transfer]:
        """The transfers for ``plan`` that no image before it has asked for already, in a fixed order."""
        new: list[Transfer] = []
        for node in plan.nodes():
            for descriptor in node.blobs:
                key = (id(plan.item.destination), descriptor.digest)
                transfer = self._transfers.get(key)
                if transfer is None or transfer.failed:
                    transfer = self._decide(plan, descriptor, descriptor.digest in plan.present)
                    self._transfers[key] = transfer
                    new.append(transfer)
                elif not transfer.done and plan.item.source not in transfer.sources:
                    transfer.sources.append(plan.item.source)
            for layer, change in node.changes:
                changed = self._changed.get((id(plan.item.destination), layer.digest, change))
                if changed is None or changed.failed:
                    new.append(self._change(plan, layer, change))
                elif not changed.done and plan.item.source not in changed.sources:
                    changed.sources.append(plan.item.source)
        return new

    def transfer(self, destination: ImageDestination, digest: Digest) -> Transfer:
        """What `assign` has decided for a blob."""
        return self._transfers[(id(destination), digest)]

    def changed(self, destination: ImageDestination, layer: Descriptor, change: Change) -> Transfer:
        """What `assign` has decided for a layer that changes."""
        return self._changed[(id(destination), layer.digest, change)]

    @staticmethod
    def release(transfers: Iterable[Transfer]) -> None:
        """Let go of what these transfers held, which are over; that they were made stays known."""
        for transfer in transfers:
            transfer.sources.clear()
            transfer.leader = None
            transfer.shares = None

    def _decide(self, plan: ImagePlan, descriptor: Descriptor, present: bool) -> Transfer:
        source, destination = plan.item.source, plan.item.destination
        transfer = Transfer(descriptor, destination, EXISTING if present else COPY, [source])
        self._mount(transfer, source, present)
        if plan.item.relayed:
            self._relay(transfer)
        return transfer

    def _mount(self, transfer: Transfer, source: ImageSource, present: bool) -> None:
        """Let ``transfer`` be a mount if another repository of the host has the blob, or will have it."""
        descriptor, destination = transfer.descriptor, transfer.destination
        host = destination.mount_host
        if not host or not destination.capabilities.mounts:
            return
        holder = self._holders.setdefault((host, descriptor.digest), transfer)
        if holder.failed:
            holder = self._holders[(host, descriptor.digest)] = transfer
        if present:
            return
        if holder is not transfer:
            transfer.how, transfer.repository = MOUNT, holder.destination.mount_repository
            transfer.leader = holder if holder.how != EXISTING and not holder.done else None
            return
        origin, repository = source.mount_from(descriptor)
        if origin == host and repository != destination.mount_repository:
            transfer.how, transfer.repository = MOUNT, repository

    def _relay(self, transfer: Transfer) -> None:
        """Let ``transfer`` read the blob from the first place that has it, or will have it, and not from the source again."""
        reader = transfer.destination.reader()
        first = self._first.get(transfer.descriptor.digest)
        if (first is None or first.failed) and reader is not None:
            first = self._first[transfer.descriptor.digest] = transfer
        if first is None or first is transfer or transfer.how != COPY:
            return
        reader = first.destination.reader()
        if reader is not None:
            transfer.sources.insert(0, reader)
            transfer.leader = None if first.how == EXISTING or first.done else first

    def _change(self, plan: ImagePlan, layer: Descriptor, change: Change) -> Transfer:
        """A layer changes once for each host; other repositories of the host mount what it became."""
        destination = plan.item.destination
        transfer = Transfer(layer, destination, COPY, [plan.item.source], change=change)
        self._changed[(id(destination), layer.digest, change)] = transfer
        host = destination.mount_host
        if host and destination.capabilities.mounts:
            holder = self._changers.setdefault((host, layer.digest, change), transfer)
            if holder.failed:
                holder = self._changers[(host, layer.digest, change)] = transfer
            if holder is not transfer:
                transfer.how, transfer.repository = MOUNT, holder.destination.mount_repository
                transfer.shares = holder
                transfer.leader = None if holder.done else holder
        return transfer


def carry_out(transfer: Transfer) -> None:
    """Do one transfer: mount if planned and possible, else copy. Raises OciError.

    Content that is wrong or missing is asked for once more: from another image that holds the blob, or, where the
    download was put together from parts, from the same one (R1.25).
    """
    if transfer.how == COPY and transfer.leader is not None and transfer.leader.failed:
        # The place that it was to be read from did not get it.
        del transfer.sources[0]
    opener = _Opener(transfer.sources[0], transfer.descriptor)
    try:
        if transfer.how == MOUNT:
            mounted = transfer.destination.mount_blob(transfer.descriptor, transfer.repository, opener)
            transfer.done = MOUNT if mounted else COPY
            return
        transfer.destination.write_blob(transfer.descriptor, opener)
    except (AccessDenied, ContentError, NotFound):
        if len(transfer.sources) > 1:
            opener = _Opener(transfer.sources[1], transfer.descriptor)
        elif not opener.resumed:
            raise
        transfer.destination.write_blob(transfer.descriptor, opener)
    transfer.done = COPY


class _Opener:
    """Opens one blob of one source, as often as it takes, and knows whether the last download was interrupted."""

    def __init__(self, source: ImageSource, descriptor: Descriptor) -> None:
        self._source = source
        self._descriptor = descriptor
        self._stream: BlobStream | None = None
        self._joined = False

    def __call__(self) -> BlobStream:
        self._stream, self._joined = self._source.open_blob(self._descriptor), False
        return self._stream

    def at(self, offset: int) -> BlobStream:
        """The blob from byte ``offset`` on, where an interrupted upload goes on."""
        self._stream, self._joined = self._source.open_blob(self._descriptor, offset), offset > 0
        return self._stream

    @property
    def resumed(self) -> bool:
        return self._joined or bool(getattr(self._stream, "resumed", False))
