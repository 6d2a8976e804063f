# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedure: lock, look, read-only, look again, delete, bring back, prove."""

from __future__ import annotations

import errno
import time

from . import cache, lock, look, plan, private, record, repair, signals, untagged, uploads, verify
from .control import Controls
from .errors import Broken, CollectError, Empty, RailHit, Refused, UsageError
from .files import Files
from .log import say
from .plan import Plan
from .probe import REPOSITORY
from .record import Instance
from .report import Report
from .settings import Settings
from .state import Progress, StateFile
from .switch import Switch, bring_back, prove_back
from .verify import Tag


def collect(settings: Settings, report: Report) -> None:
    """Collect the garbage of the instance of ``settings``; what came of it is in ``report``, also when this raises.

    If a look at the running registry finds nothing, nothing is switched or restarted.
    """
    instance = record.load(settings.record)
    with lock.held(instance.lock, settings.lock_wait_seconds) as handle:
        file = StateFile(settings.pending, instance)
        if file.read() is not None:
            say("the last run did not end: repairing what it left")
            repair.undo(settings, file)
            report.repaired = report.changed = True
        if _nothing_stored(instance, report):
            return
        progress = Progress(file)
        family = [instance, *record.siblings(instance)]
        cache.check(family)
        try:
            found = look.live(instance, settings, handle, report, progress.container)
        except Empty as error:
            report.msg = str(error)
            return
        except (Refused, RailHit, UsageError):
            raise
        except CollectError as error:
            say(f"the running registry cannot be looked at, so that is done read-only: {error}")
        else:
            if found.empty:
                report.msg = "nothing to collect"
                return
        finally:
            progress.end()
        _Collection(instance, family, settings, progress, handle, report).run()


def rehearse(settings: Settings, report: Report) -> None:
    """Say what `collect` would delete, from reads alone, on the registry as it runs."""
    instance = record.load(settings.record)
    with lock.respected(instance.lock):
        if StateFile(settings.pending, instance).read() is not None:
            report.warn("the last run did not end; the next one repairs what it left first")
        if _nothing_stored(instance, report):
            return
        controls = Controls(settings)
        for one in (instance, *record.siblings(instance)):
            controls.of(one)
        try:
            found = look.live(instance, settings, None, report, _announce_nothing)
        except Empty as error:
            report.msg = str(error)
            return
    report.changed = not found.empty
    report.warn("looked at while the registry takes pushes: the collection itself may find less, or more")
    report.msg = "something would go" if report.changed else "nothing to collect"


class _Collection:
    """A collection with every writer read-only."""

    def __init__(
        self,
        instance: Instance,
        family: list[Instance],
        settings: Settings,
        progress: Progress,
        lock: int,
        report: Report,
    ) -> None:
        self._instance, self._settings, self._progress = instance, settings, progress
        self._lock, self._report = lock, report
        self._controls = Controls(settings)
        self._twins = [one for one in family if one.readonly]
        self._switch = Switch([one for one in family if not one.readonly], settings, self._controls, progress.container)
        self._deleted = False
        self._uploads = 0
        self._upload_bytes = 0

    def run(self) -> None:
        """Everything from the first change to the last proof."""
        self._begin()
        began = time.monotonic()
        try:
            self._progress.step("read-only")
            self._switch.enter(self._twins)
            self._report.read_only_proofs = self._switch.proofs
            self._progress.step("look")
            found, tags = look.closely(self._instance, self._settings, self._lock, self._report, self._progress.container)
            # What is promised has not gone yet, but for uploads on a full disk.
            self._report.nothing_gone(self._uploads, self._upload_bytes)
            if not found.empty:
                self._delete(found)
                self._progress.step("verify")
                self._verify(found, tags)
        finally:
            signals.ignore()
            self._back(began)
        names = [one.name for one in found.repositories]
        for one in self._switch.switched:
            self._report.back_proofs[one.instance.name] = prove_back(self._switch, one, names[0] if names else REPOSITORY)
        report = self._report
        gone = report.bytes_freed + report.upload_bytes
        report.msg = f"{report.blobs} blobs, {report.manifests} manifests and {report.uploads} uploads went, {gone} bytes"

    def _begin(self) -> None:
        touched = tuple(one.touched for one in self._switch.switched)
        try:
            self._progress.begin(touched)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or self._instance.root is None:
                raise
            # A disk that abandoned uploads have filled: removing them is safe while it runs, and the only way on.
            self._remove_uploads(uploads.abandoned(Files(self._instance.root), self._settings.uploads_age_hours))
            self._progress.begin(touched)

    def _delete(self, found: Plan) -> None:
        self._deleted = self._report.changed = True
        if found.untagged:
            self._progress.step("untagged")
            say(f"removing {len(found.untagged)} manifests that nothing reaches")
            with self._private(delete=True) as endpoint:
                untagged.remove(endpoint, found.untagged)
            self._report.manifests = len(found.untagged)
            more = plan.dry_run(self._instance, self._lock).blobs - found.blobs
            if more:
                some = f"{len(more)} blobs that were not planned, such as {min(more)}"
                raise Refused(f"the collector would take {some}; no blob was deleted")
        if found.blobs:
            self._progress.step("sweep")
            say(f"deleting {len(found.blobs)} blobs, {found.promised} bytes")
            swept = plan.sweep(self._instance, self._lock)
            self._report.blobs, self._report.layer_links = len(swept.blobs), swept.links
        if found.uploads:
            self._progress.step("uploads")
            self._remove_uploads(found.uploads)

    def _verify(self, found: Plan, tags: dict[Tag, bool]) -> None:
        revisions = {one.name: list(one.revisions) for one in found.repositories}
        with plan.reading(self._instance, self._settings, self._progress.container, revisions) as catalogue:
            after = verify.completeness(catalogue, catalogue.repositories(), list(tags))
            left = catalogue.total_bytes()
        self._report.tags_verified = len(after)
        self._report.bytes_freed = found.promised if left is None or found.total_bytes is None else found.total_bytes - left
        lost = verify.lost(tags, after)
        if lost:
            some = ", ".join(lost[:20])
            raise Broken(f"{len(lost)} tags lack something that they had before: {some}. Push them again, and report this")

    def _back(self, began: float) -> None:
        """Whatever happened: every instance as it was found."""
        try:
            self._progress.step("bring back")
        except OSError as error:
            say(f"the state cannot be written, which matters only if this is killed now: {error}")
        settings, controls, deleted = self._settings, self._controls, self._deleted
        twins = [one for one in self._twins if deleted and one.cache.get("kind") != "none" and controls.active(one)]
        switched = [(one.instance, one.touched) for one in self._switch.switched]
        self._report.cache_keys = bring_back(switched, controls, settings.start_timeout_seconds, deleted, twins)
        self._report.read_only_seconds = round(time.monotonic() - began, 3)
        self._progress.end()
        self._switch.close()
        say(f"as before again after {self._report.read_only_seconds} s")

    def _remove_uploads(self, old: list[uploads.Upload]) -> None:
        say(f"removing {len(old)} abandoned uploads")
        self._upload_bytes += uploads.remove(old)
        self._uploads += len(old)
        self._report.uploads, self._report.upload_bytes = self._uploads, self._upload_bytes
        self._report.changed = self._report.changed or bool(old)

    def _private(self, *, delete: bool) -> private.Serving:
        seconds = self._settings.start_timeout_seconds
        return private.serving(self._instance, self._progress.container, delete=delete, seconds=seconds)


def _nothing_stored(instance: Instance, report: Report) -> bool:
    """Whether the registry is empty; `Refused` if its storage is not mounted."""
    if instance.root is None:
        report.warn(
            "the storage is not in the file system: empty links, repositories without _layers and invalid names cannot be looked "
            "for, and abandoned uploads are left to the registry's own upload purging"
        )
        return False
    if instance.sentinel is not None and not instance.sentinel.exists():
        raise Refused(f"{instance.sentinel} does not exist: mount the storage, or run the role longshore.oci.registry again")
    repositories = Files(instance.root).base / "repositories"
    if repositories.is_dir() and any(repositories.iterdir()):
        return False
    report.msg = "the registry is empty"
    return True


def _announce_nothing(removal: tuple[str, ...]) -> None:
    """A look writes no state; the container of a private registry is made with ``--rm``."""
