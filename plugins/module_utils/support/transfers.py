# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the parameters of the modules that move images to the verbs that do it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..model.errors import InvalidInput, OciError
from ..model.form import Form
from ..model.platform import Platform
from ..operations.copy import Entry, copy
from ..operations.perform import How
from ..operations.plan import Wish
from ..transports.places import Places
from .clients import Task

if TYPE_CHECKING:
    from ..model.new_image import NewImage


def copy_verb(task: Task) -> dict[str, Any]:
    """What image_copy does."""
    params = task.params
    images = params["images"]
    if images is None:
        images = [{key: params[key] for key in ("src", "dest", "additional_tags", "config")}]
    elif params["additional_tags"]:
        raise InvalidInput("additional_tags goes with src and dest; with images each entry has its own")
    elif params["config"] is not None:
        raise InvalidInput("config goes with src and dest; with images each entry has its own")
    if not images:
        raise InvalidInput("images is an empty list: there is nothing to copy")
    form = _form_of(params)
    entries = [
        Entry(
            image["src"],
            image["dest"],
            tuple(image.get("additional_tags") or ()),
            Wish(platforms_of(image.get("platforms") or params["platforms"]), params["index"], params["referrers"], form),
            _config_of(image),
        )
        for image in images
    ]
    places = Places(task.registries("src"), task.registries("dest", push=True))
    places.source_engine, places.destination_engine = task.engine("src"), task.engine("dest")
    try:
        return _told(task, copy(entries, places, _how(task)))
    finally:
        places.close()


def save_load_verb(task: Task) -> dict[str, Any]:
    """What image_save_load does."""
    # Here, so that image_copy need not wait for it.
    from ..operations.save_load import load, save

    params = task.params
    wish = Wish(platforms_of(params["platforms"]), "strip", params["referrers"], _form_of(params))
    path = _expanded(params["path"])
    saving = params["state"] == "saved"
    since = [_expanded(text) for text in params["since"]]
    index_file = os.path.expanduser(params["index_file"]) if params["index_file"] else None
    if not saving and (since or index_file):
        raise InvalidInput("since and index_file go with state=saved: a delta knows by itself what it was made against")
    if not saving and wish.form:
        raise InvalidInput("format and compression go with state=saved: image_copy converts on the way into a registry")
    if saving and not params["images"]:
        raise InvalidInput("images is an empty list: there is nothing to save")
    registries = task.registries(push=not saving)
    # What a delta leaves out may have to be read from another repository of the destination.
    places = Places(registries, None) if saving else Places(registries, registries)
    places.source_engine = places.destination_engine = task.engine()
    try:
        if saving:
            result = save(params["images"], path, wish, params["append"], places, _how(task), since, index_file)
            return _told(task, result)
        return load(path, params["images"], params["dest"], wish, places, _how(task))
    finally:
        places.close()


def _form_of(params: Mapping[str, Any]) -> Form:
    return Form(params["format"] or "", params["compression"] or "", params["compression_level"])


def _told(task: Task, result: dict[str, Any]) -> dict[str, Any]:
    """``result``, after a warning for each image of which a conversion left something out."""
    for image in result["images"]:
        if image["changed"] and image.get("left_out"):
            task.warn(
                f"{image['src']}: {len(image['left_out'])} attestations were left out, which Docker's format cannot hold"
            )
    return result


def _config_of(image: Mapping[str, Any]) -> NewImage | None:
    if image.get("config") is None:
        return None
    from ..model.new_image import NewImage

    try:
        return NewImage.of(image["config"])
    except OciError as exc:
        raise exc.about(f"{image['src']} to {image['dest']}") from None


def wish_of(options: Mapping[str, Any]) -> Wish:
    """Which parts of each image are wanted, as they are at the source."""
    return Wish(platforms_of(options["platforms"]), options["index"], bool(options["referrers"]))


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
