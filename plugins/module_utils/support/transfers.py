# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the parameters of the modules that move images to the verbs that do it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..model.errors import InvalidInput
from ..model.platform import Platform
from ..operations.copy import Entry, copy
from ..operations.perform import How
from ..operations.plan import Wish
from ..operations.save_load import load, save
from ..transports.places import Places
from .clients import Task


def copy_verb(task: Task) -> dict[str, Any]:
    """What image_copy does."""
    params = task.params
    images = params["images"]
    if images is None:
        images = [{"src": params["src"], "dest": params["dest"], "additional_tags": params["additional_tags"]}]
    elif params["additional_tags"]:
        raise InvalidInput("additional_tags goes with src and dest; with images each entry has its own")
    if not images:
        raise InvalidInput("images is an empty list: there is nothing to copy")
    entries = [
        Entry(
            image["src"],
            image["dest"],
            tuple(image.get("additional_tags") or ()),
            Wish(platforms_of(image.get("platforms") or params["platforms"]), params["index"], params["referrers"]),
        )
        for image in images
    ]
    places = Places(task.registries("src"), task.registries("dest", push=True))
    try:
        return copy(entries, places, _how(task))
    finally:
        places.close()


def save_load_verb(task: Task) -> dict[str, Any]:
    """What image_save_load does."""
    params = task.params
    wish = Wish(platforms_of(params["platforms"]), "strip", params["referrers"])
    path = _expanded(params["path"])
    saving = params["state"] == "saved"
    if saving and not params["images"]:
        raise InvalidInput("images is an empty list: there is nothing to save")
    registries = task.registries(push=not saving)
    places = Places(registries, None) if saving else Places(None, registries)
    try:
        if saving:
            return save(params["images"], path, wish, params["append"], places, _how(task))
        return load(path, params["images"], params["dest"], wish, places, _how(task))
    finally:
        places.close()


def platforms_of(texts: Sequence[str]) -> tuple[Platform, ...]:
    """The platforms in an option; () for ``all``. Raises InvalidInput."""
    if list(texts) == ["all"]:
        return ()
    if "all" in texts or not texts:
        raise InvalidInput("platforms is either 'all' or a list of platforms such as linux/amd64")
    return tuple(dict.fromkeys(Platform.parse(text) for text in texts))


def _how(task: Task) -> How:
    return How(task.parallel, task.stop, task.check_mode)


def _expanded(path: str) -> str:
    transport, colon, rest = path.partition(":")
    return f"{transport}:{os.path.expanduser(rest)}" if colon else os.path.expanduser(path)
