# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the parameters of image_sync to its verb."""

from __future__ import annotations

import os
from collections.abc import Mapping as Dictionary
from typing import TYPE_CHECKING, Any

from ..model.errors import InvalidInput
from ..operations.perform import How
from ..operations.sync import Options, sync
from ..operations.sync_mapping import Mapping, TagChoice, either, globs
from ..operations.sync_names import Naming, check_name
from ..operations.tag_filter import TagFilter, patterns
from ..transports.places import Places
from .clients import Task
from .transfers import wish_of

if TYPE_CHECKING:
    from datetime import timedelta

#: What an entry of ``mappings`` inherits from the options of the task.
_INHERITED = ("dest", "scoped", "suffix", "platforms", "index", "referrers", "prune", "keep")
#: What says which of the tags in the list are wanted.
_CHOOSING = ("glob", "include", "exclude", "semver", "newest", "newer_than", "older_than")


def sync_verb(task: Task) -> dict[str, Any]:
    """What image_sync does."""
    params = task.params
    places = Places(task.registries("src"), task.registries("dest", push=True))
    opened = [places]
    try:
        if params["mappings"] is not None:
            mappings = [mapping_of(one, params) for one in params["mappings"]]
            if not mappings:
                raise InvalidInput("mappings is an empty list: there is nothing to mirror")
        else:
            from .skopeo import mappings_of

            mappings = mappings_of(task, opened)
        how = How(task.parallel, task.stop, task.check_mode, params["on_error"] == "stop", costs=True)
        return sync(mappings, _options(params), places, how, task.warn)
    finally:
        for one in opened:
            one.close()


def mapping_of(entry: Dictionary[str, Any], params: Dictionary[str, Any]) -> Mapping:
    """An entry of ``mappings``; what it does not say is said by the task's options. Raises InvalidInput."""
    given = {key: value for key, value in entry.items() if value not in (None, "")}
    merged = {**{key: params[key] for key in _INHERITED}, **given}
    src = _expanded(merged["src"])
    if not merged.get("dest"):
        raise InvalidInput(f"{src} has no dest, and there is none for all mappings")
    repositories = merged.get("repositories") or {}
    return Mapping(
        src,
        tuple(dict.fromkeys(_expanded(text) for text in merged["dest"])),
        _choice(merged.get("tags") or {}),
        Naming(merged.get("rename") or "", bool(merged["scoped"]), merged["suffix"] or ""),
        wish_of(merged),
        TagFilter.of(repositories.get("include"), repositories.get("exclude")),
        bool(merged["prune"]),
        patterns("keep", merged["keep"]),
    )


def _age(text: str | None) -> timedelta | None:
    if not text:
        return None
    # Late: few mirrors ask how old an image is.
    from ..operations.retention import parse_age

    return parse_age(text)


def _choice(tags: Dictionary[str, Any]) -> TagChoice:
    given = {key: value for key, value in tags.items() if value not in (None, "", [])}
    names = tuple(check_name(str(name)) for name in given.get("names", ()))
    newest = given.get("newest")
    if newest is not None and newest < 1:
        raise InvalidInput(f"tags: newest is how many tags to take, 1 or more, not {newest}")
    shell = globs(given.get("glob"))
    wanted = TagFilter.of(given.get("include"), given.get("exclude"), given.get("semver"), bool(tags.get("prereleases")))
    lists = not names or any(key in given for key in _CHOOSING)
    return TagChoice(
        names,
        either(shell, wanted) if lists else None,
        newest,
        tags.get("newest_by") or "version",
        _age(given.get("newer_than")),
        _age(given.get("older_than")),
        immutable=bool(tags.get("immutable")),
    )


def _options(params: Dictionary[str, Any]) -> Options:
    if params["max_delete"] is not None and params["max_delete"] < 0:
        raise InvalidInput(f"max_delete must not be negative: {params['max_delete']}")
    return Options(
        params["max_delete"],
        params["untag"],
        (params["shard_index"], params["shard_count"]),
        tuple(_expanded(text) for text in params["since"]),
        os.path.expanduser(params["index_file"]) if params["index_file"] else "",
    )


def _expanded(path: str) -> str:
    transport, colon, rest = path.partition(":")
    return f"{transport}:{os.path.expanduser(rest)}" if colon else os.path.expanduser(path)
