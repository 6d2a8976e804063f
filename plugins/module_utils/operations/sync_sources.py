# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repositories of a source: one that is named, those of a namespace or a registry, those of a layout, an archive or a
directory."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ..model.digest import Digest
from ..model.errors import InvalidInput, InvalidReference, NotFound, RegistryError
from ..model.image_config import CONFIG_LIMIT, ImageConfig
from ..model.location import DOCKER, Location
from ..model.manifest import Index, attests
from ..model.reference import Reference, is_tag
from ..model.text import redact, sanitise
from ..transports import table
from ..transports.base import ImageSource
from .blobs import read_blob
from .concurrently import each
from .survey import Survey, parse_date
from .sync_names import ARCHIVES, DIRECTORY, LAYOUT, From, tag_and_digest
from .sync_once import Manifests, Once

if TYPE_CHECKING:
    from ..registry.client import RegistryClient
    from ..registry.pool import Registries
    from ..transports.places import Places
    from .sync_mapping import Mapping

_MANIFEST = "manifest.json"


class Repository(ABC):
    """Images of one name, told apart by tags. ``shown`` is how results call it, ``named`` what the user said of one image
    that it is to be, '' where he did not."""

    def __init__(self, shown: str, source: From, named: str = "") -> None:
        self.shown = shown
        self.source = source
        self.named = named

    @abstractmethod
    def tags(self) -> list[str]:
        """Every tag. Raises NotFound where there is no such repository."""

    @abstractmethod
    def text(self, name: str) -> str:
        """How results call the image ``name``: a tag, a digest, or both."""

    @abstractmethod
    def open(self, name: str) -> ImageSource:
        """The image ``name``."""

    @abstractmethod
    def created(self, tags: Sequence[str]) -> dict[str, datetime | None]:
        """When the image of each tag was made, None where that is unknown."""


class OfRegistry(Repository):
    """A repository of a registry."""

    def __init__(
        self,
        client: RegistryClient,
        reference: Reference,
        source: From,
        manifests: Manifests,
        parallel: int,
        stop: threading.Event | None,
    ) -> None:
        super().__init__(reference.name, source, _name_in(reference))
        self._client = client
        self._reference = Reference(reference.host, reference.repository)
        self._manifests = manifests
        self._parallel = parallel
        self._stop = stop

    def tags(self) -> list[str]:
        return self._client.tags(self._reference.repository)

    def text(self, name: str) -> str:
        return f"{self.shown}{'@' if ':' in name and '@' not in name else ':'}{name}"

    def open(self, name: str) -> ImageSource:
        from ..transports.registry import RegistrySource

        tag, digest = tag_and_digest(name)
        own = self._reference
        reference = Reference(own.host, own.repository, tag or None, Digest.parse(digest) if digest else None)
        return Once(RegistrySource(self._client, reference), self._manifests)

    def created(self, tags: Sequence[str]) -> dict[str, datetime | None]:
        # Late, as few mirrors ask how old an image is.
        from .tags import created

        survey = Survey(self._client, self._reference.repository, self._parallel, self._stop, self.shown)
        return created(survey, tags)


class OfPlace(Repository):
    """Images of a layout, an archive or a directory: ``images`` are their places by tag or digest."""

    def __init__(
        self, shown: str, source: From, images: dict[str, Location], places: Places, parallel: int, named: str = ""
    ) -> None:
        super().__init__(shown, source, named)
        self._images = images
        self._places = places
        self._parallel = parallel

    def tags(self) -> list[str]:
        return list(self._images)

    def text(self, name: str) -> str:
        return redact(str(self._location(name)))

    def open(self, name: str) -> ImageSource:
        return table.open_source(self._location(name), self._places)

    def created(self, tags: Sequence[str]) -> dict[str, datetime | None]:
        return dict(zip(tags, each(lambda tag: _made(self.open(tag)), tags, self._parallel)))

    def _location(self, name: str) -> Location:
        tag, at, digest = name.partition("@")
        found = self._images.get(tag)
        if found is None:
            raise NotFound(f"{self.shown} has no image {name}", 404)
        if at and str(table.open_source(found, self._places).resolve()) != digest:
            raise NotFound(f"{self.shown}:{tag} is not {digest}", 404)
        return found


class Finder:
    """Finds the repositories of sources. ``places``: where those are read that have none of their own. Each catalogue is
    read once."""

    def __init__(self, places: Places, parallel: int, stop: threading.Event | None = None) -> None:
        self._places = places
        self._parallel = parallel
        self._stop = stop
        self._manifests = Manifests()
        self._lock = threading.Lock()
        self._catalogs: dict[int, list[str]] = {}

    def find(self, mapping: Mapping) -> list[Repository]:
        """The repositories of ``mapping.src`` that it wants. Raises OciError when that cannot be told."""
        places = mapping.places or self._places
        src = mapping.src
        if src.endswith("/") and not _is_path(src):
            return self._of_namespace(mapping, src, _registries(places))
        location = table.parse(src)
        if location.transport == DOCKER:
            reference = location.reference()
            source = From(reference.host, reference.repository, reference.repository.rpartition("/")[2], True)
            return [self._of_registry(_registries(places), reference, source)]
        if location.transport == DIRECTORY:
            found = _of_directories(location, places, self._parallel)
        elif location.transport in (LAYOUT, *ARCHIVES):
            found = _of_place(location, places, self._parallel)
        else:
            raise InvalidInput(f"{redact(sanitise(src))} is no place of many images; image_copy copies from there")
        return [one for one in found if one.source.single or mapping.repositories.matches(one.source.below)]

    def _of_namespace(self, mapping: Mapping, src: str, registries: Registries) -> list[Repository]:
        # As a repository there would be read.
        example = Reference.parse(f"{src[len('docker://') :] if src.startswith('docker://') else src}x")
        prefix = example.repository[:-1]
        found: list[Repository] = []
        for path in self._catalog(registries, example.host):
            below = path[len(prefix) :]
            if path.startswith(prefix) and mapping.repositories.matches(below):
                source = From(example.host, path, below, False)
                found.append(self._of_registry(registries, Reference(example.host, path), source))
        if not found:
            raise NotFound(f"{src}: the catalogue of {example.host} has no repository there that is wanted", 404)
        return found

    def _of_registry(self, registries: Registries, reference: Reference, source: From) -> Repository:
        client = registries.client(reference.host)
        return OfRegistry(client, reference, source, self._manifests, max(1, self._parallel // 4), self._stop)

    def _catalog(self, registries: Registries, host: str) -> list[str]:
        client = registries.client(host)
        with self._lock:
            if id(client) not in self._catalogs:
                try:
                    self._catalogs[id(client)] = sorted(client.catalog())
                except RegistryError as exc:
                    raise exc.about(f"{host}: the repositories cannot be listed; name them one by one") from None
            return self._catalogs[id(client)]


def _registries(places: Places) -> Registries:
    if places.sources is None:
        raise InvalidInput("a registry is no source here")
    return places.sources


def _is_path(src: str) -> bool:
    transport = src.partition(":")[0]
    return src.startswith(f"{transport}:") and transport in (DIRECTORY, LAYOUT, *ARCHIVES)


def _name_in(reference: Reference) -> str:
    if reference.digest is None:
        return reference.tag or ""
    return f"{reference.tag}@{reference.digest}" if reference.tag else str(reference.digest)


def _of_place(location: Location, places: Places, parallel: int) -> list[Repository]:
    unused, name, number = location.path_and_rest()
    shown = redact(str(location))
    if name or number is not None:
        source, tag = _read(name)
        single = From(source.host, source.path, source.path.rpartition("/")[2], True)
        if not tag:
            raise InvalidInput(f"{shown} has no tag in its name: image_copy says where it goes")
        return [OfPlace(shown, single, {tag: location}, places, parallel, tag)]
    groups: dict[From, dict[str, Location]] = {}
    for held in table.open_source(location, places).tags():
        try:
            source, tag = _read(held)
        except InvalidReference as exc:
            raise InvalidInput(f"{shown}: the image name '{sanitise(held, 140)}' is no reference: {exc.message}") from None
        if not tag:
            raise InvalidInput(f"{shown} has an image without a tag in its name, {held}: image_copy says where it goes")
        groups.setdefault(source, {})[tag] = location.named(held)
    if not groups:
        raise NotFound(f"{shown} holds no image", 404)
    return [
        OfPlace(f"{shown}{location.joint}{source.path}" if source.path else shown, source, images, places, parallel)
        for source, images in groups.items()
    ]


def _read(name: str) -> tuple[From, str]:
    """Repository and tag (or digest) of an image that is called ``name`` in an archive."""
    if not name or name.startswith("@"):
        return From("", "", "", False), ""
    if is_tag(name):
        return From("", "", "", False), name
    reference = Reference.parse(name)
    source = From(reference.host, reference.repository, reference.repository, False)
    return source, reference.tag or str(reference.digest or "") or "latest"


def _of_directories(location: Location, places: Places, parallel: int) -> list[Repository]:
    root = location.details.rstrip("/") or "/"
    shown = str(location)
    if os.path.isfile(os.path.join(root, _MANIFEST)):
        path, tag = _cut(os.path.basename(os.path.realpath(root)))
        source = From("", path, path, True)
        return [OfPlace(shown, source, {tag: Location(DIRECTORY, root)}, places, parallel, tag)]
    if not os.path.isdir(root):
        raise NotFound(f"{shown} does not exist", 404)
    groups: dict[From, dict[str, Location]] = {}
    for directory, below, files in os.walk(root):
        below.sort()
        if _MANIFEST not in files:
            continue
        below.clear()
        path, tag = _cut(os.path.relpath(directory, root))
        host, slash, rest = path.partition("/")
        if not (slash and ("." in host or ":" in host or host == "localhost")):
            host, rest = "", path
        groups.setdefault(From(host, rest, rest, False), {})[tag] = Location(DIRECTORY, directory)
    if not groups:
        raise NotFound(f"{shown} holds no image: directories with {_MANIFEST} were looked for", 404)
    return [OfPlace(f"{shown}/{source.path}", source, images, places, parallel) for source, images in groups.items()]


def _cut(path: str) -> tuple[str, str]:
    """Repository and tag or digest of a directory that is called ``repository:tag`` or ``repository@digest``."""
    head, slash, last = path.rpartition("/")
    name, at, digest = last.partition("@")
    tag = digest
    if not at:
        name, unused, tag = last.partition(":")
    return f"{head}{slash}{name}", tag or "latest"


def _made(image: ImageSource) -> datetime | None:
    """When an image was made, an index when its newest image was."""
    found: list[datetime | None] = []
    queue = [image.manifest()]
    while queue:
        manifest = queue.pop()
        if isinstance(manifest, Index):
            queue += [image.manifest(entry.digest) for entry in manifest.manifests if not attests(entry)]
        elif manifest.is_image:
            found.append(parse_date(ImageConfig.parse(read_blob(image, manifest.config, CONFIG_LIMIT)).created))
    return max((date for date in found if date is not None), default=None)
