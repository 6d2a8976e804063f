# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delete tags and manifests so that nothing else goes with them: what was asked for, and the deed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..model.digest import Digest
from ..model.errors import InvalidInput, OciError, RegistryError
from ..model.location import DOCKER
from ..model.reference import Reference
from ..transports import table
from .concurrently import each
from .deletion_plan import Options, Plan, Refused, Removal, named
from .untag import remove_tags


def targets_of(names: Iterable[str]) -> dict[Reference, dict[str, Digest | None]]:
    """The targets (see `plan_deletion`) in each repository that ``names`` are in. Raises InvalidInput.

    Nothing is taken for granted here: a name without tag and digest is an error, not ``latest``.
    """
    found: dict[Reference, dict[str, Digest | None]] = {}
    for name in names:
        location = table.parse(name)
        if location.transport != DOCKER:
            raise InvalidInput(f"{location} is not in a registry: only images in registries can be deleted")
        reference = location.reference()
        targets = found.setdefault(Reference(reference.host, reference.repository), {})
        if reference.tag:
            targets[reference.tag] = reference.digest
        elif reference.digest:
            targets[str(reference.digest)] = None
        else:
            raise InvalidInput(f"{name} names neither a tag nor a digest: say which image is to be deleted")
    return found


def carry_out(plan: Plan, options: Options) -> None:
    """Do what the plan says. Raises OciError with ``deleted`` (what has gone by then) among its facts."""
    done: list[dict[str, Any]] = []
    survey = plan.survey

    def delete(removal: Removal) -> None:
        survey.client.delete_manifest(survey.repository, removal.digest)
        done.append(plan.entry(removal.what, removal.digest, removal.tags))

    try:
        refused = remove_tags(survey, plan.tags_alone, options.untag)
        done += [plan.entry("tag", plan.tags_alone[tag][0], [tag]) for tag in plan.tags_alone if tag not in refused]
        for stage in plan.stages():
            each(delete, stage, survey.parallel, survey.stop)
        if refused:
            tag, first = next(iter(refused.items()))
            raise RegistryError(
                f"{first.message}, and the manifest has to stay: {plan.tags_alone[tag][1]}."
                " Set untag to true to remove the tag by way of a placeholder manifest",
                first.status_code,
                first.error_code,
                refused=list(refused),
            )
    except OciError as exc:
        exc.facts.update(deleted=done, changed=bool(done))
        raise


def carry_out_all(plans: Sequence[Plan], options: Options) -> None:
    """Carry out the plans one after the other. Raises OciError with all that has gone by then among its facts."""
    done: list[dict[str, Any]] = []
    for plan in plans:
        try:
            carry_out(plan, options)
        except OciError as exc:
            done += exc.facts["deleted"]
            exc.facts.update(deleted=done, changed=bool(done))
            raise
        done += plan.deleted()


def check_count(plans: Sequence[Plan], limit: int | None) -> None:
    """Raise Refused if the plans delete more than ``limit`` tags and digests."""
    count = sum(plan.count for plan in plans)
    if limit is not None and count > limit:
        raise Refused(
            f"{count} tags and digests would be deleted, more than max_delete allows ({limit}): nothing has been deleted",
            would_delete=count,
        )


def summary(plans: Sequence[Plan]) -> dict[str, Any]:
    """The plans as the result of a module."""
    counted = [plan.bytes_held for plan in plans if not plan.is_empty]
    result: dict[str, Any] = {
        "changed": any(not plan.is_empty for plan in plans),
        "deleted": [entry for plan in plans for entry in plan.deleted()],
        "kept": [entry for plan in plans for entry in plan.kept],
        "missing": [name for plan in plans for name in plan.missing],
    }
    result["diff"] = {"before": {"images": _names(result["deleted"])}, "after": {"images": []}}
    result["bytes"] = sum(size for size in counted if size is not None)
    return result


def _names(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    return [named(one["repository"], name) for one in entries for name in (one["tags"] or [one["digest"]])]
