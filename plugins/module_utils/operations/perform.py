# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies many images from anywhere to anywhere: plan from reads alone, then act."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..model.errors import OciError
from ..transports.base import ImageDestination
from ..transports.places import Places
from .engine import carry_out_all
from .plan import ImagePlan, Item, Skipped, plan_image
from .progress import Progress
from .scheduler import Group, Scheduler
from .transfers import COPY, EXISTING, MOUNT, Ledger, Transfer

if TYPE_CHECKING:
    from .delta import Missing
    from .recompress import Recompressor

#: Images that are planned together. Three such windows are held at once, so that memory does not grow with their number.
WINDOW = 256
FIRST_WINDOW = 16

COPIED, UNCHANGED, FAILED, SKIPPED = "copied", "unchanged", "failed", "skipped"
#: What a diff shows for a digest that check mode cannot know.
UNKNOWN = "known when its layers are compressed"


@dataclass
class Outcome:
    """What became, or in check mode would become, of a task's images."""

    images: list[dict[str, Any]] = field(default_factory=list)
    bytes_transferred: int = 0
    blobs: dict[str, int] = field(default_factory=lambda: {COPY: 0, MOUNT: 0, EXISTING: 0})
    #: The first error, for the message.
    error: BaseException | None = None
    #: Names that an archive no longer holds afterwards, with the digests they stood for.
    dropped: dict[str, str] = field(default_factory=dict)
    #: Names at the destination that belong to images of the task, such as those of their signatures.
    companions: set[str] = field(default_factory=set)

    @property
    def changed(self) -> bool:
        """Whether the plan was not empty."""
        return bool(self.dropped) or any(image["changed"] for image in self.images)

    def diff(self) -> dict[str, dict[str, str | None]]:
        """Names at the destination and the digests they stand for, before and after; only those that change."""
        moved = {image["dest"]: image for image in self.images if image["changed"]}
        before = {name: image["digest_before"] for name, image in moved.items()}
        after = {name: image["digest"] or UNKNOWN for name, image in moved.items()}
        return {"before": {**before, **self.dropped}, "after": {**after, **dict.fromkeys(self.dropped)}}

    def facts(self) -> dict[str, Any]:
        """The fields of a module's result."""
        return {
            "changed": self.changed,
            "images": self.images,
            "bytes_transferred": self.bytes_transferred,
            "blobs": self.blobs,
        }


@dataclass(frozen=True)
class How:
    """How a task goes about it."""

    #: Requests at once, to each host.
    parallel: int
    #: Set from outside to end the task early.
    stop: threading.Event
    #: Only find out what would be done.
    check: bool = False
    #: Begin nothing more once an image has failed.
    stop_on_error: bool = False
    #: Tell of each image what it cost: ``requests`` and ``seconds``.
    costs: bool = False
    #: Learns how far it is.
    progress: Progress = field(default_factory=Progress)


def copy_images(items: Sequence[Item], how: How) -> Outcome:
    """Bring every item to its destination, without committing it.

    An image that fails leaves the others alone and ends up in the outcome as ``failed``. In check mode nothing is
    written and the outcome is what would have been. Raises Cancelled when the task is stopped.
    """
    outcome = Outcome()
    ledger = Ledger(how.progress)
    how.progress.begin(len(items))
    scheduler = Scheduler(how.parallel, how.stop)
    recompressor = _recompressor(items, how)
    halt = threading.Event() if how.stop_on_error else None
    try:
        under_way: _Window | None = None
        missing: Missing | None = None
        if len(items) > WINDOW and _are_of_a_delta(items):
            missing = _missing()
            _rehearse(items, scheduler, missing)
        windows = _windows(items)
        ahead = _asked(next(windows, None), scheduler, halt)
        while ahead is not None:
            # Asked for while the images of the window before are on their way, and the one after it as well: no worker is
            # idle because the last answer of a window is late.
            window, ahead = ahead, _asked(next(windows, None), scheduler, halt)
            scheduler.wait(window.asking)
            if halt is not None:
                _halted(window.plans, halt)
            if missing is not None or any(plan.lacking or plan.item.source.is_delta for plan in window.plans):
                missing = missing or _missing()
                missing.note(window.plans)
                missing.refuse()
            window.new = [ledger.assign(plan) if plan.error is None and not plan.is_empty else [] for plan in window.plans]
            _tell(window, how)
            if how.check:
                for transfer in _all(window.new):
                    transfer.done = transfer.how
            else:
                _expect(window.new)
                carry_out_all(window.plans, ledger, scheduler, window.doing, recompressor, halt)
            if under_way is not None:
                _finish(under_way, scheduler, ledger, outcome, how)
            under_way = window
        if under_way is not None:
            _finish(under_way, scheduler, ledger, outcome, how)
    finally:
        scheduler.close()
    return outcome


def perform(items: Sequence[Item], places: Places, how: How, keep: Collection[str] | None = None) -> Outcome:
    """Copy ``items`` and commit their destinations: ``keep`` are the names an archive keeps beside them, None for all.

    After any failure of an image what one file would hold is not made visible. Raises the first error, with the
    outcome so far as its facts.
    """
    destinations = places.open_destinations()
    # A destination knows what was written to it; an image that it held already, unchanged, stays too.
    kept = None if keep is None else {*keep, *(name for item in items for name in item.names)}
    committed = False
    try:
        outcome = copy_images(items, how)
        if outcome.error is None:
            if kept is not None:
                kept |= outcome.companions
                outcome.dropped = {
                    name: str(digest)
                    for destination in destinations
                    for name, digest in destination.held().items()
                    if name not in kept
                }
            if not how.check:
                for destination in destinations:
                    destination.commit(kept)
            committed = True
    finally:
        if not committed:
            for destination in destinations:
                destination.abort()
    _raise_failures(outcome)
    return outcome


def _raise_failures(outcome: Outcome) -> None:
    error = outcome.error
    if error is None:
        return
    if not isinstance(error, OciError):
        raise error
    failed = sum(image["state"] == FAILED for image in outcome.images)
    if len(outcome.images) > 1:
        error.message = f"{failed} of {len(outcome.images)} images failed, the first with: {error.message}"
    error.facts = {**error.facts, **outcome.facts()}
    raise error


@dataclass
class _Window:
    """Images whose manifests are held at the same time."""

    plans: list[ImagePlan]
    new: list[list[Transfer]] = field(default_factory=list)
    asking: Group = field(default_factory=lambda: Group(asks=True))
    doing: Group = field(default_factory=Group)


def _asked(chosen: Sequence[Item] | None, scheduler: Scheduler, halt: threading.Event | None) -> _Window | None:
    """Begin to plan what is ``chosen`` next, if anything is."""
    if chosen is None:
        return None
    window = _Window([])
    if halt is not None and halt.is_set():
        window.plans = [_left_alone(item) for item in chosen]
    else:
        window.plans = [_planned(item, scheduler, window.asking) for item in chosen]
    return window


def _tell(window: _Window, how: How) -> None:
    size = 0 if how.check else sum(one.descriptor.size for one in _all(window.new) if one.how == COPY)
    how.progress.plan(len(window.plans), size)
    over = [plan for plan in window.plans if how.check or plan.error is not None or plan.is_empty]
    failed = sum(plan.error is not None and not isinstance(plan.error, Skipped) for plan in over)
    how.progress.end(len(over), failed=failed)


def _finish(window: _Window, scheduler: Scheduler, ledger: Ledger, outcome: Outcome, how: How) -> None:
    scheduler.wait(window.doing)
    ledger.order.forget_finished()
    for plan, transfers in zip(window.plans, window.new):
        _account(outcome, plan, transfers, how)
        ledger.release(transfers)


def _left_alone(item: Item) -> ImagePlan:
    plan = ImagePlan(item)
    plan.error = Skipped("left alone, because another image failed (on_error: stop)")
    return plan


def _halted(plans: list[ImagePlan], halt: threading.Event) -> None:
    """Where an image cannot be planned, or one before it failed, those that have not begun are left alone."""
    if any(plan.error is not None for plan in plans):
        halt.set()
    if halt.is_set():
        for plan in plans:
            if plan.error is None and not plan.is_empty:
                plan.error = Skipped("left alone, because another image failed (on_error: stop)")


def _windows(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    # Few at first, so that transfers begin at once; but what goes into one file has to fit the disk as a whole.
    # And what a delta leaves out is known to be there before the first image moves.
    at_once = all(item.destination.mount_host for item in items) and not _are_of_a_delta(items)
    size = FIRST_WINDOW if at_once else WINDOW
    start = 0
    while start < len(items):
        yield items[start : start + size]
        start += size
        size = min(size * 2, WINDOW)


def _planned(item: Item, scheduler: Scheduler, group: Group) -> ImagePlan:
    if not item.wish.form:
        return plan_image(item, scheduler, group)
    from .plan_conversion import plan_converted

    return plan_converted(item, scheduler, group)


def _missing() -> Missing:
    # Imported where something is missing: few tasks are about deltas.
    from .delta import Missing

    return Missing()


def _recompressor(items: Sequence[Item], how: How) -> Recompressor | None:
    # Imported where a task converts: the others need not wait for its libraries.
    if not any(item.wish.form.compression for item in items):
        return None
    from .recompress import Recompressor

    return Recompressor(how.stop)


def _are_of_a_delta(items: Sequence[Item]) -> bool:
    return any(item.source.is_delta for item in items)


def _rehearse(items: Sequence[Item], scheduler: Scheduler, missing: Missing) -> None:
    # More images than a window has: all are asked for once before, a window's worth held at a time.
    for start in range(0, len(items), WINDOW):
        asking = Group(asks=True)
        plans = [plan_image(item, scheduler, asking) for item in items[start : start + WINDOW]]
        scheduler.wait(asking)
        missing.note(plans)
    missing.refuse()


def _all(new: list[list[Transfer]]) -> list[Transfer]:
    return [transfer for transfers in new for transfer in transfers]


def _expect(new: list[list[Transfer]]) -> None:
    # A full disk is known before the first byte.
    sizes: dict[ImageDestination, int] = {}
    for transfer in _all(new):
        if transfer.how == COPY:
            sizes[transfer.destination] = sizes.get(transfer.destination, 0) + transfer.descriptor.size
    for destination, size in sizes.items():
        destination.expect(size)


def _account(outcome: Outcome, plan: ImagePlan, transfers: list[Transfer], how: How) -> None:
    """Enter one image into the outcome. A blob counts for the image that asked for it first."""
    counts = {COPY: 0, MOUNT: 0, EXISTING: 0}
    moved = 0
    for transfer in transfers:
        done = transfer.done or (EXISTING if transfer.how == EXISTING else "")
        if done:
            counts[done] += 1
            outcome.blobs[done] += 1
        if done == COPY:
            moved += transfer.size
    outcome.bytes_transferred += moved
    skipped = isinstance(plan.error, Skipped)
    state = SKIPPED if skipped else FAILED if plan.error is not None else UNCHANGED if plan.is_empty else COPIED
    before = plan.before.get(plan.item.names[0])
    entry: dict[str, Any] = {
        "src": plan.item.src,
        "dest": plan.item.dest,
        "state": state,
        "changed": state == COPIED,
        "digest": str(plan.digest) if plan.digest else None,
        "digest_before": str(before) if before else None,
        "bytes_transferred": moved,
        "blobs": counts,
    }
    if len(plan.item.names) > 1:
        entry["names"] = {name: str(digest) if digest else None for name, digest in plan.before.items()}
    if plan.item.wish.referrers:
        entry["referrers"] = len(plan.referrers) + len(plan.companions)
        outcome.companions |= plan.companion_names
    if plan.left_out:
        entry["left_out"] = [str(digest) for digest in plan.left_out]
    if plan.error is not None:
        entry["error"] = getattr(plan.error, "message", None) or f"unexpected {type(plan.error).__name__}"
        outcome.error = outcome.error or (None if skipped else plan.error)
    if how.costs:
        entry["requests"] = plan.tally.requests
        entry["seconds"] = round(plan.tally.seconds, 3)
    outcome.images.append(entry)
    # What a window held is not needed any more.
    plan.root = None
    plan.referrers = []
    plan.companions = []
