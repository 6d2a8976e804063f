# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the storage: at the running registry, and once more when nothing writes."""

from __future__ import annotations

import time

from . import plan, preflight, private, seen, verify
from .errors import CollectError, Empty, RailHit, Refused
from .files import Files
from .plan import Plan
from .record import Instance
from .report import Report
from .settings import Settings
from .verify import Tag

_LOOKS = 3
_PAUSE_SECONDS = 1.0


def live(instance: Instance, settings: Settings, lock: int | None, report: Report, announce: private.Announce) -> Plan:
    """What would go, seen while the registry takes pushes.

    What is wrong for a moment only, since somebody pushes or deletes, is right at the next look; what stays wrong is raised.
    """
    for dummy in range(_LOOKS - 1):
        try:
            return _once(instance, settings, lock, report, announce)
        except (RailHit, Empty):
            raise
        except CollectError:
            time.sleep(_PAUSE_SECONDS)
    return _once(instance, settings, lock, report, announce)


def closely(
    instance: Instance, settings: Settings, lock: int, report: Report, announce: private.Announce
) -> tuple[Plan, dict[Tag, bool]]:
    """With nothing writing: what goes, if the storage and the guard rails allow it, and which tags are complete."""
    if instance.root is not None:
        checked = preflight.check(instance, Files(instance.root))
        if checked.problems:
            raise Refused(checked.sentence)
        preflight.make_missing(instance, checked.missing_layers)
    with plan.looking(instance, settings, lock, announce) as (catalogue, collection):
        found = plan.make(catalogue, collection, instance, settings, live=False)
        report.promise(found)
        plan.respect_rails(found, settings)
        tags = verify.completeness(catalogue, found.repositories, verify.choose(found.repositories, settings.verify_tags))
    report.tags_incomplete_before = [f"{repository}:{tag}" for (repository, tag), whole in tags.items() if not whole]
    return found, tags


def _once(instance: Instance, settings: Settings, lock: int | None, report: Report, announce: private.Announce) -> Plan:
    if instance.root is not None:
        checked = preflight.check(instance, Files(instance.root))
        missing = [f"{one} has to be made first, which a collection does" for one in checked.missing_layers]
        report.warn(*checked.warnings, *missing)
        if checked.problems:
            raise Refused(checked.sentence)
    with plan.looking(instance, settings, lock, announce) as (catalogue, collection):
        found = plan.make(catalogue, collection, instance, settings, live=True)
        if lock is not None and settings.untagged and instance.root is None:
            seen.update(settings, instance, catalogue)
    report.promise(found)
    plan.respect_rails(found, settings)
    return found
