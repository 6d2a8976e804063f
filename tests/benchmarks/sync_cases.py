# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cases of image_sync, beside ``skopeo sync``."""

from __future__ import annotations

import functools
import json
import shlex
from typing import Any

from .case import Case, Context
from .data import TAGS_EACH, Image

PLAIN = ("skopeo", "module")
#: Of how many images growth is shown.
GROWTH = (10, 100, 1000)
#: Patterns that choose so many of the tags of part ``tags``, whatever its size.
CHOSEN = {10: "v0000[0-9]", 100: "v000[0-9][0-9]"}


def _repositories(images: list[Image]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for image in images:
        found.setdefault(image.repository, []).append(image.tag)
    return found


def _fleet_arguments(context: Context) -> dict[str, Any]:
    names = {"names": ["1"]}
    return {
        "mappings": [{"src": f"{context.source}/{name}", "tags": names} for name in _repositories(context.images)],
        "dest": [f"{context.destination}/bench/"],
        "src_plain_http": True,
        "dest_plain_http": True,
    }


def _fleet_skopeo(context: Context, side: str) -> str:
    return _skopeo_sync(context, {"images": _repositories(context.images)})


def _skopeo_sync(context: Context, wanted: dict[str, Any]) -> str:
    file = context.scratch / "sync.yml"
    # JSON is YAML.
    file.write_text(json.dumps({context.source: {"tls-verify": False, **wanted}}), encoding="utf-8")
    return (
        f"{shlex.quote(context.machine.skopeo)} sync --all --src yaml --dest docker --dest-tls-verify=false"
        f" {shlex.quote(str(file))} {context.destination}/bench\n"
    )


def _many_arguments(context: Context) -> dict[str, Any]:
    mappings: list[dict[str, Any]] = []
    for name, tags in _repositories(context.images).items():
        # Whole repositories are listed, as a mirror does it.
        wanted = {} if len(tags) == TAGS_EACH else {"tags": {"names": tags}}
        mappings.append({"src": f"{context.source}/{name}", **wanted})
    return {**_fleet_arguments(context), "mappings": mappings}


def _chosen_arguments(number: int, context: Context) -> dict[str, Any]:
    mapping = {"src": f"{context.source}/bench/tags", "tags": {"include": [CHOSEN[number]]}}
    return {**_fleet_arguments(context), "mappings": [mapping]}


def _chosen_skopeo(number: int, context: Context, side: str) -> str:
    return _skopeo_sync(context, {"images-by-tag-regex": {"bench/tags": f"^{CHOSEN[number]}$"}})


SYNC_CASES = (
    Case(
        "h",
        "mirroring many images over shared bases, cold",
        "fleet",
        "nothing",
        (*PLAIN, "floor", "floor-read"),
        True,
        "image_sync",
        _fleet_arguments,
        _fleet_skopeo,
    ),
    Case(
        "i",
        "the same mirror again, nothing to do",
        "fleet",
        "everything",
        PLAIN,
        False,
        "image_sync",
        _fleet_arguments,
        _fleet_skopeo,
    ),
    *(
        Case(
            f"j-{count}",
            f"a mirror of {count:,} small images, cold",
            "many",
            "nothing",
            ("module",),
            True,
            "image_sync",
            _many_arguments,
            _fleet_skopeo,
            count,
        )
        for count in GROWTH
    ),
    *(
        Case(
            f"k-{count}",
            f"a mirror of {count:,} small images, nothing to do",
            "many",
            "everything",
            ("module",),
            False,
            "image_sync",
            _many_arguments,
            _fleet_skopeo,
            count,
        )
        for count in GROWTH
    ),
    *(
        Case(
            f"l-{count}",
            f"{count} of the tags of a large repository, nothing to do",
            "tags",
            "everything",
            ("skopeo", "module"),
            False,
            "image_sync",
            functools.partial(_chosen_arguments, count),
            functools.partial(_chosen_skopeo, count),
        )
        for count in CHOSEN
    ),
)
