# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images whose manifest is not what a tool would have written."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ansible_collections.longshore.oci.tests.servers import images


def with_manifest(image: images.Image, data: bytes, media_type: str = "") -> images.Image:
    """``image`` with these bytes for its manifest."""
    return image._replace(manifest=images.Blob(media_type or image.manifest.media_type, data))


def bent(image: images.Image, change: Callable[[dict[str, Any]], object], media_type: str = "") -> images.Image:
    """``image`` with a manifest that ``change`` has altered."""
    document = image.manifest.json
    change(document)
    return with_manifest(image, json.dumps(document).encode(), media_type)


def layer_field(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Sets a field of the first layer's descriptor."""

    def change(document: dict[str, Any]) -> None:
        document["layers"][0][name] = value

    return change
