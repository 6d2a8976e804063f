# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at images without their layers: what the manifest, the index and the config say."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model import strict_json
from ..model.errors import InvalidInput, NotFound, RegistryError
from ..model.image_config import CONFIG_LIMIT, ImageConfig
from ..model.location import DOCKER, Location
from ..model.manifest import ATTESTS, AnyManifest, Index, Manifest, attests
from ..model.platform import Platform
from ..model.text import redact
from ..transports import table
from ..transports.base import ImageSource
from ..transports.places import Places
from .blobs import read_blob
from .concurrently import each
from .selection import for_one

_ATTESTATION = "vnd.docker.reference.type"


@dataclass(frozen=True)
class Wish:
    """What is wanted beyond what the manifest and the config say."""

    #: None: this machine's if the image has it, else the first that it has.
    platform: Platform | None = None
    raw: bool = False
    config: bool = False
    list_tags: bool = False
    #: Read the manifest of every platform, to know how large each is.
    platform_sizes: bool = False


@dataclass
class Found:
    """``images``: an entry for each name that exists; ``missing``: the names that do not, both in the order asked."""

    images: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def inspect(
    names: Sequence[str], places: Places, wish: Wish, parallel: int = 1, stop: threading.Event | None = None
) -> Found:
    """Look at every one of ``names`` (locations), ``parallel`` of them at once. Raises OciError naming the image."""
    # All of them parsed before the first is asked for: a typing error costs no request.
    locations = [table.parse(name) for name in names]
    for location in locations:
        if location.transport == DOCKER:
            location.reference()
    found = Found()

    def look(location: Location) -> dict[str, Any] | None:
        source = table.open_source(location, places)
        try:
            top = source.manifest()
        except NotFound:
            return None
        return _entry(source, top, wish, parallel, stop, found.warnings.append)

    for name, location, entry in zip(names, locations, each(look, locations, parallel, stop)):
        if entry is None:
            found.missing.append(redact(name))
        else:
            found.images.append({"name": redact(name), **_names(location), **entry})
    return found


def _names(location: Location) -> dict[str, Any]:
    if location.transport != DOCKER:
        return {"location": str(location)}
    reference = location.reference().with_default_tag()
    return {"location": str(reference), "repository": reference.name, "tag": reference.tag}


def _entry(
    source: ImageSource,
    top: AnyManifest,
    wish: Wish,
    parallel: int,
    stop: threading.Event | None,
    warn: Callable[[str], None],
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "digest": str(top.digest),
        "media_type": top.media_type,
        "is_index": isinstance(top, Index),
        "artifact_type": top.artifact_type,
        "annotations": dict(top.annotations),
        "subject": str(top.subject.digest) if top.subject else None,
    }
    if wish.raw:
        entry["raw"] = top.raw
    image: Manifest | None
    if isinstance(top, Index):
        image = _chosen(source, top, wish.platform)
        entry["platforms"], entry["attestations"] = _platforms(source, top, image, wish, parallel, stop)
    else:
        image = top
    if image is not None:
        config = _config(source, image, wish)
        entry.update(_image_fields(image, config))
        if wish.config:
            entry["config"] = config.document if config else _any_config(source, image)
        if not isinstance(top, Index):
            platform = config.platform if config else None
            _check_platform(source, wish.platform, platform)
            variant = _text(config.document.get("variant")) if config else ""
            entry["platforms"] = [_platform_entry(platform, variant, image, _size(image))] if platform else []
            entry["attestations"] = []
    if wish.list_tags:
        entry["tags"] = _tags(source, warn)
    return entry


def _chosen(source: ImageSource, index: Index, wanted: Platform | None) -> Manifest | None:
    """The image within ``index`` that the fields speak of; None for an index without images."""
    if wanted is not None:
        try:
            child = for_one(index, wanted)
        except InvalidInput as exc:
            raise exc.about(source.name) from None
    else:
        runnable = [one for one in index.manifests if one.platform is None or not one.platform.is_unknown]
        best = Platform.local().best([one.platform for one in runnable])
        if not runnable:
            return None
        child = runnable[best or 0]
    manifest = _child(source, child.digest)
    # An index within an index has no fields of its own to show.
    return manifest if isinstance(manifest, Manifest) else None


def _child(source: ImageSource, digest: Any) -> AnyManifest:
    try:
        return source.manifest(digest)
    except NotFound as exc:
        # Not "missing": the index is there and promises it.
        raise RegistryError(
            f"{source.name}: its index lists {digest}, which is not there: {exc.message}",
            exc.status_code,
            exc.error_code,
        ) from None


def _platforms(
    source: ImageSource, index: Index, image: Manifest | None, wish: Wish, parallel: int, stop: threading.Event | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    images = [one for one in index.manifests if not attests(one)]
    sizes: dict[Any, int | None] = {image.digest: _size(image)} if image else {}
    if wish.platform_sizes:
        unknown = [one.digest for one in images if one.digest not in sizes]
        manifests = each(lambda digest: _child(source, digest), unknown, parallel, stop)
        sizes.update((one.digest, _size(one) if isinstance(one, Manifest) else None) for one in manifests)
    platforms = [
        _platform_entry(one.platform, _text(one.raw.get("platform", {}).get("variant")), one, sizes.get(one.digest))
        for one in images
        if one.platform
    ]
    attestations = [
        {"digest": str(one.digest), "attests": one.annotations[ATTESTS], "type": one.annotations.get(_ATTESTATION, "")}
        for one in index.manifests
        if attests(one)
    ]
    return platforms, attestations


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _platform_entry(platform: Platform, variant: str, manifest: Any, size: int | None) -> dict[str, Any]:
    # `platform` is normalised, so that it can be compared; `variant` is what the image says (arm64 and v8).
    return {
        "platform": str(platform),
        "os": platform.os,
        "architecture": platform.architecture,
        "variant": variant,
        "os_version": platform.os_version,
        "digest": str(manifest.digest),
        "media_type": manifest.media_type,
        "size": size,
    }


def _size(image: Manifest) -> int:
    """Bytes that a pull of this platform moves at most: the config and each layer once."""
    return sum(blob.size for blob in {blob.digest: blob for blob in (image.config, *image.layers)}.values())


def _config(source: ImageSource, image: Manifest, wish: Wish) -> ImageConfig | None:
    if not image.is_image:
        return None
    what = f"config {image.config.digest} of {source.name}"
    return ImageConfig.parse(read_blob(source, image.config, CONFIG_LIMIT), what)


def _any_config(source: ImageSource, image: Manifest) -> Any:
    if not image.config.media_type.endswith("json"):
        return None
    return strict_json.load_object(read_blob(source, image.config, CONFIG_LIMIT), f"config of {source.name}")


def _check_platform(source: ImageSource, wanted: Platform | None, found: Platform | None) -> None:
    if wanted is not None and found is not None and wanted.best([found]) is None:
        raise InvalidInput(f"{source.name} is no image for {wanted}; it is for {found} alone")


def _image_fields(image: Manifest, config: ImageConfig | None) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "manifest_digest": str(image.digest),
        "artifact_type": image.artifact_type or ("" if image.is_image else image.config.media_type),
        "config_digest": str(image.config.digest),
        "size": _size(image),
        "layers": [
            {
                "digest": str(one.digest),
                "size": one.size,
                "media_type": one.media_type,
                "annotations": dict(one.annotations),
            }
            for one in image.layers
        ],
        "image_annotations": dict(image.annotations),
    }
    if config is None:
        return fields
    platform = config.platform
    fields.update(
        platform=str(platform) if platform else None,
        os=platform.os if platform else None,
        architecture=platform.architecture if platform else None,
        variant=_text(config.document.get("variant")),
        created=config.created,
        author=config.author,
        docker_version=config.docker_version,
        labels=dict(config.labels),
        env=list(config.env),
        history=list(config.history),
        diff_ids=[str(one) for one in config.diff_ids],
    )
    return fields


def _tags(source: ImageSource, warn: Callable[[str], None]) -> list[str] | None:
    try:
        return source.tags()
    except RegistryError as exc:
        # Some registries let everyone read an image and nobody list (ECR Public, rows of the quirk table).
        warn(f"the tags of {source.name} cannot be listed: {exc.message}")
        return None
