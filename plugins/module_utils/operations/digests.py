# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What names stand for now: the digest of each, and names that are pinned to it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from ..model.digest import Digest
from ..model.errors import InvalidInput, InvalidManifest, OciError
from ..model.image_config import CONFIG_LIMIT, ImageConfig
from ..model.location import DOCKER, Location
from ..model.manifest import Index
from ..model.platform import Platform
from ..transports import table
from ..transports.base import ImageSource
from ..transports.places import Places
from .blobs import read_blob
from .concurrently import each
from .selection import for_one


def digests(
    names: Sequence[str],
    places: Places,
    platform: Platform | None = None,
    pinned: bool = False,
    parallel: int = 1,
    stop: threading.Event | None = None,
) -> list[str]:
    """The digest of each of ``names`` (locations), in their order, ``parallel`` of them at once.

    ``platform``: that of the image for it within an index, instead of the index's own. ``pinned``: the name as well,
    as ``host/repository:tag@digest``. Without a platform one HEAD does for each name. Raises OciError naming the image.
    """
    # All of them parsed before the first is asked for: a typing error costs no request.
    locations = [table.parse(name) for name in names]
    for location in locations:
        if location.transport == DOCKER:
            location.reference()
        elif pinned:
            raise InvalidInput(f"{location} cannot be pinned: only images in a registry have a name with a digest")

    def ask(location: Location) -> str:
        try:
            source = table.open_source(location, places)
            digest = source.resolve() if platform is None else _of_platform(source, platform)
        except OciError as exc:
            raise exc.about(location.details if location.transport == DOCKER else str(location)) from None
        if not pinned:
            return str(digest)
        return str(replace(location.reference().with_default_tag(), digest=digest))

    return each(ask, locations, parallel, stop)


def _of_platform(source: ImageSource, platform: Platform) -> Digest:
    top = source.manifest()
    if isinstance(top, Index):
        return for_one(top, platform).digest
    if not top.is_image:
        raise InvalidManifest("it is an artifact, which is for no platform")
    config = ImageConfig.parse(read_blob(source, top.config, CONFIG_LIMIT), f"config {top.config.digest}")
    if config.platform is not None and platform.best([config.platform]) is None:
        raise InvalidInput(f"it is no image for {platform}; it is for {config.platform} alone")
    return top.digest
