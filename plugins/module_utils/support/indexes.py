# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the parameters of image_index to its verb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..model.digest import Digest
from ..model.errors import InvalidDigest, InvalidInput
from ..model.platform import Platform
from ..operations.image_index import Member, Wish, make_index
from ..operations.index_entries import Which
from ..operations.perform import How
from ..transports.places import Places
from .clients import Task
from .transfers import platforms_of


def image_index_verb(task: Task) -> dict[str, Any]:
    """What image_index does."""
    params = task.params
    if params["manifests"] is not None and not params["manifests"]:
        raise InvalidInput("manifests is an empty list: leave it out to keep the entries of the index")
    members = [_member(one) for one in params["manifests"] or ()]
    if params["remove"] and members and not params["append"]:
        raise InvalidInput("remove is about entries that the index has: without append it has those of manifests alone")
    wish = Wish(
        members,
        params["append"],
        _which(params["remove"] or ()),
        _annotations(params["annotations"], "annotations"),
        params["format"],
    )
    sources, destinations = task.registries("src"), task.registries("dest", push=True)
    places, near = Places(sources, destinations), Places(destinations, None)
    places.source_engine, places.destination_engine = task.engine("src"), task.engine("dest")
    try:
        return make_index(params["name"], wish, places, near, How(task.parallel, task.stop, task.check_mode))
    finally:
        near.close()
        places.close()


def _member(options: Mapping[str, Any]) -> Member:
    what = f"annotations of {options['src']}"
    annotations = {key: value for key, value in _annotations(options["annotations"], what).items() if value is not None}
    platform = Platform.parse(options["platform"]) if options["platform"] else None
    return Member(options["src"], platform, platforms_of(options["platforms"] or ["all"]), annotations)


def _which(texts: Sequence[str]) -> list[Which]:
    found: list[Which] = []
    for text in texts:
        try:
            found.append(Digest.parse(text))
        except InvalidDigest:
            found.append(Platform.parse(text))
    return found


def _annotations(given: Mapping[str, Any] | None, what: str) -> dict[str, str | None]:
    """The annotations in an option. Raises InvalidInput for a value that YAML took for something else than text."""
    found: dict[str, str | None] = {}
    for key, value in (given or {}).items():
        if value is not None and not isinstance(value, str):
            raise InvalidInput(f"{what}: the value of {key} is no text: put it in quotation marks")
        found[str(key)] = value
    return found
