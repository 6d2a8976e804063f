# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb of image_sync: images of many repositories brought to their mirrors, and what is too much there removed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..model.errors import Cancelled, InvalidInput, OciError
from ..model.location import Location
from ..transports import table
from ..transports.base import ImageDestination
from ..transports.places import Places
from . import sync_prune
from .concurrently import each
from .perform import COPIED, FAILED, SKIPPED, How, Outcome, copy_images
from .sharding import check_shard
from .sync_mapping import Mapping
from .sync_names import DIRECTORY
from .sync_prune import Surplus
from .sync_survey import Mirror, survey
from .transfers import MOUNT

PRUNED = "pruned"
#: What an image that did not move has cost.
NOTHING: dict[str, Any] = {"bytes": 0, "mounts": 0, "requests": 0, "seconds": 0.0}
#: Files that are open besides.
_FILES = 1024
STATES = (COPIED, "unchanged", PRUNED, SKIPPED, FAILED)


@dataclass(frozen=True)
class Options:
    """What concerns a mirror as a whole."""

    #: How many tags may be pruned; None: any number.
    max_delete: int | None = None
    #: Prune by way of a placeholder where a registry cannot remove a tag.
    untag: bool = False
    #: This worker's number and how many there are.
    shard: tuple[int, int] = (0, 1)
    #: What a new archive can leave out: earlier archives, layouts, index files.
    since: tuple[str, ...] = ()
    index_file: str = ""


def sync(
    mappings: Sequence[Mapping], options: Options, places: Places, how: How, warn: Callable[[str], None]
) -> dict[str, Any]:
    """Bring every image of ``mappings`` to its destinations; the result of the module.

    Nothing is written before all lists are read, all destinations told apart and everything that goes counted. Raises
    OciError, with the outcome as facts, when any image failed or anything could not be listed.
    """
    check_shard(*options.shard)
    mirror = survey(mappings, options.shard, places, how)
    for text in mirror.warnings:
        warn(text)
    stopped = how.stop_on_error and bool(mirror.errors)
    gone = [] if stopped else _surplus(mirror, places, how, warn)
    sync_prune.check_count(gone, options.max_delete)
    known = _presume(mirror, options, places)
    _make_room(mirror)
    destinations = places.open_destinations()
    done = False
    try:
        outcome = Outcome() if stopped else copy_images(mirror.items, how)
        run = _Run(mirror, outcome, gone, options, how)
        run.settle()
        done = True
    finally:
        if not done:
            for destination in destinations:
                destination.abort()
    result = run.result()
    if known is not None:
        from . import earlier

        replaced = (how.check and outcome.changed) or earlier.write_index_file(options.index_file, known, places, how.check)
        result.update(index_file=options.index_file, changed=result["changed"] or replaced)
    run.raise_failures(result)
    return result


def _surplus(mirror: Mirror, places: Places, how: How, warn: Callable[[str], None]) -> list[Surplus]:
    """What goes, of every place that is to be pruned and of which all that is wanted is known."""
    asked = [wanted for wanted in mirror.wanted.values() if wanted.prune]
    sure = [wanted for wanted in asked if not wanted.unsure]
    for wanted in asked:
        if wanted.unsure:
            warn(f"{wanted.repository or wanted.dest.shown} is not pruned: {wanted.unsure}")

    def find(wanted: sync_prune.Wanted) -> Surplus | OciError:
        try:
            return sync_prune.surplus(wanted, places, max(1, how.parallel // 4))
        except Cancelled:
            raise
        except OciError as exc:
            return exc

    found: list[Surplus] = []
    for wanted, answer in zip(sure, each(find, sure, how.parallel, how.stop)):
        if isinstance(answer, OciError):
            name = wanted.repository or wanted.dest.shown
            mirror.fail(name, [name], answer)
        else:
            found.append(answer)
    return found


def _presume(mirror: Mirror, options: Options, places: Places) -> Location | None:
    """Tell an archive what it can leave out. The place whose index is to be written, None for none."""
    if not options.since and not options.index_file:
        return None
    from . import earlier

    own = list(mirror.wanted.values())
    if not own:
        # Nothing falls to this worker, or nothing could be listed.
        return None
    if len(own) != 1 or own[0].dest.transport == DIRECTORY or own[0].repository:
        raise InvalidInput("since and index_file go with one destination, which is an archive or, for index_file, a layout")
    place = own[0].dest.location
    text = own[0].dest.text
    if options.index_file:
        earlier.check_index_file(options.index_file, text, options.since, _place)
    known = earlier.read_earlier(options.since, text, _place, places)
    own[0].destination.presume(known, replace=own[0].prune)
    return place if options.index_file else None


def _make_room(mirror: Mirror) -> None:
    """Allow as many open files as there are directories to write: each is locked until all is done."""
    count = sum(wanted.dest.transport == DIRECTORY for wanted in mirror.wanted.values())
    if count:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = count + _FILES
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _place(text: str) -> Location:
    return table.parse(text) if ":" in text and not os.path.exists(text) else Location("oci-archive", text)


class _Run:
    """What became of a mirror, and what is left to do once its images are there."""

    def __init__(self, mirror: Mirror, outcome: Outcome, gone: Sequence[Surplus], options: Options, how: How) -> None:
        self._mirror = mirror
        self._outcome = outcome
        self._gone = {one.wanted.destination: one for one in gone}
        self._options = options
        self._how = how
        self._error: BaseException | None = mirror.errors[0] if mirror.errors else outcome.error
        #: Destinations of which an image failed.
        self._broken = {
            item.destination for item, image in zip(mirror.items, outcome.images) if image["state"] in (FAILED, SKIPPED)
        }
        self._broken |= {wanted.destination for wanted in mirror.wanted.values() if wanted.unsure}
        self._entries = [_entry(image) for image in outcome.images]

    def settle(self) -> None:
        """Make visible what is written to files, and prune."""
        pruned = [one for destination, one in self._gone.items() if self._is_whole(destination)]
        for one, error in zip(pruned, each(self._prune, pruned, self._how.parallel, self._how.stop)):
            self._enter(one, error)
        for destination, wanted in self._mirror.wanted.items():
            if wanted.repository:
                continue
            found = self._gone.get(destination)
            if self._is_whole(destination):
                if not self._how.check:
                    destination.commit(found.kept if found is not None else None)
            else:
                destination.abort()
                if wanted.dest.is_archive:
                    self._take_back(destination)

    def result(self) -> dict[str, Any]:
        """The result of the module."""
        images = [*self._entries, *({**one, **NOTHING} for one in self._mirror.failed)]
        diff = self._outcome.diff()
        for image in images:
            if image["state"] == PRUNED:
                diff["before"][image["dest"]] = image["digest_before"]
                diff["after"][image["dest"]] = None
            elif image["state"] == SKIPPED:
                diff["before"].pop(image["dest"], None)
                diff["after"].pop(image["dest"], None)
        return {
            "changed": any(image["changed"] for image in images),
            "images": images,
            "counts": {state: sum(image["state"] == state for image in images) for state in STATES},
            "bytes_transferred": self._outcome.bytes_transferred,
            "blobs": self._outcome.blobs,
            "diff": diff,
        }

    def raise_failures(self, result: dict[str, Any]) -> None:
        """Raise the first error, if there was one, with ``result`` as its facts."""
        error = self._error
        if error is None:
            return
        if not isinstance(error, OciError):
            raise error
        failed, all_of_them = result["counts"][FAILED], len(result["images"])
        if all_of_them > 1:
            error.message = f"{failed} of {all_of_them} images failed, the first with: {error.message}"
        error.facts = {**error.facts, **result}
        raise error

    def _is_whole(self, destination: ImageDestination) -> bool:
        if self._how.stop_on_error and self._error is not None:
            return False
        return destination not in self._broken

    def _prune(self, found: Surplus) -> OciError | None:
        if not self._how.check:
            try:
                sync_prune.remove(found, self._options.untag)
            except Cancelled:
                raise
            except OciError as exc:
                return exc.about(found.wanted.repository)
        return None

    def _enter(self, found: Surplus, error: OciError | None) -> None:
        self._error = self._error or error
        refused = set(error.facts.get("refused", found.names)) if error is not None else set()
        for name, digest in found.names.items():
            state = FAILED if name in refused else PRUNED
            entry = {
                "src": None,
                "dest": found.shown(name),
                "state": state,
                "changed": state == PRUNED,
                "digest": None,
                "digest_before": str(digest),
                **NOTHING,
            }
            if error is not None and state == FAILED:
                entry["error"] = error.message
            self._entries.append(entry)

    def _take_back(self, destination: ImageDestination) -> None:
        for item, entry in zip(self._mirror.items, self._entries):
            if item.destination is destination and entry["state"] == COPIED:
                entry.update(
                    state=SKIPPED, changed=False, error="not kept, because not all images of the archive could be had"
                )


def _entry(image: dict[str, Any]) -> dict[str, Any]:
    entry = dict(image)
    entry["bytes"] = entry.pop("bytes_transferred")
    entry["mounts"] = entry.pop("blobs")[MOUNT]
    return entry
