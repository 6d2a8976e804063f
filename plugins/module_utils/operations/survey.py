# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repository holds, asked for only as far as it is needed and each thing once."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import InvalidManifest, NotFound
from ..model.image_config import CONFIG_LIMIT, ImageConfig
from ..model.manifest import Index, attests
from ..model.reference import Reference
from .concurrently import each

if TYPE_CHECKING:
    from ..registry.client import RegistryClient
    from ..registry.pool import Registries

_DATE = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|z|[+-]\d\d:\d\d)")
#: Reproducible builds date their images 1970, and Go's zero time is year 1: no age can be told from such a date.
_EARLIEST = datetime(1990, 1, 1, tzinfo=timezone.utc)
#: Tags that belong to a manifest: the referrers fallback tag (R1.57) and those of cosign.
_ATTACHED = re.compile(r"(sha256|sha384|sha512)-([0-9a-f]{64,128})(?:\.(?:sig|att|sbom))?")
_DEPTH = 8


def attached_to(tag: str) -> Digest | None:
    """The digest that a tag such as ``sha256-...`` or ``sha256-....sig`` belongs to; None for every other tag."""
    match = _ATTACHED.fullmatch(tag)
    return Digest(match.group(1), match.group(2)) if match else None


def parse_date(text: str) -> datetime | None:
    """The RFC 3339 date of an image config; None for none, or one that says nothing (1970)."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    date, time, fraction, zone = match.groups()
    offset = "+00:00" if zone in "Zz" else zone
    try:
        moment = datetime.fromisoformat(f"{date}T{time}.{(fraction or '0')[:6]:0<6}{offset}")
        return moment if moment >= _EARLIEST else None
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class Contents:
    """What counts of a manifest: small, because there may be many thousands of them."""

    digest: Digest
    media_type: str
    size: int
    #: What an index lists; nothing else has children.
    children: tuple[Digest, ...] = ()
    #: Those of the children that are no attestations.
    images: tuple[Digest, ...] = ()
    #: Digest and size of each blob, the config first.
    blobs: tuple[tuple[Digest, int], ...] = ()
    #: The config of what is an image.
    config: Descriptor | None = None
    #: What an index says it is for.
    platforms: tuple[str, ...] = ()


class Survey:
    """One repository. Everything it tells was read once, and concurrently where there is much of it."""

    def __init__(
        self,
        client: RegistryClient,
        repository: str,
        parallel: int = 1,
        stop: threading.Event | None = None,
        name: str | None = None,
    ) -> None:
        self.client = client
        self.repository = repository
        self.parallel = parallel
        self.stop = stop
        #: How messages name it.
        self.name = name or f"{client.host}/{repository}"
        self._tags: list[str] | None = None
        self._heads: dict[str, Descriptor | None] = {}
        self._manifests: dict[Digest, Contents | None] = {}
        self._blobs: dict[Digest, tuple[Digest, int]] = {}
        self._dates: dict[Digest, datetime | None] = {}
        #: Of configs.
        self._platforms: dict[Digest, str] = {}
        self._referrers: dict[Digest, list[Descriptor]] = {}

    def tags(self) -> list[str]:
        """Every tag, in the registry's order; none for a repository that does not exist."""
        if self._tags is None:
            try:
                self._tags = self.client.tags(self.repository)
            except NotFound:
                self._tags = []
        return self._tags

    def heads(self, targets: Iterable[str]) -> dict[str, Descriptor]:
        """What each of ``targets`` (tags or digests) stands for now; those that do not exist are left out."""
        targets = list(dict.fromkeys(targets))
        asked = [one for one in targets if one not in self._heads]
        answers = each(self._head, asked, self.parallel, self.stop)
        self._heads.update(zip(asked, answers))
        found = ((target, self._heads[target]) for target in targets)
        return {target: head for target, head in found if head is not None}

    def manifests(self, digests: Iterable[Digest]) -> dict[Digest, Contents]:
        """What the manifests with ``digests`` hold; those that are not there are left out."""
        digests = list(dict.fromkeys(digests))
        asked = [one for one in digests if one not in self._manifests]
        self._manifests.update(zip(asked, each(self._contents, asked, self.parallel, self.stop)))
        found = ((digest, self._manifests[digest]) for digest in digests)
        return {digest: contents for digest, contents in found if contents is not None}

    def closure(self, digests: Iterable[Digest]) -> dict[Digest, Contents]:
        """`manifests`, and with each index all that it lists, to the last level."""
        found: dict[Digest, Contents] = {}
        level = list(digests)
        for unused in range(_DEPTH):
            new = self.manifests(digest for digest in level if digest not in found)
            found.update(new)
            level = [child for one in new.values() for child in one.children]
            if not level:
                return found
        raise InvalidManifest(f"an index of {self.name} holds indexes of more than {_DEPTH} levels")

    def created(self, digests: Iterable[Digest]) -> dict[Digest, datetime | None]:
        """When each manifest was made: its config's date, an index's newest image's; None if that is unknown."""
        digests = list(dict.fromkeys(digests))
        closure = self.closure(digests)
        asked = {one.digest: one.config for one in closure.values() if one.config and one.digest not in self._dates}
        dates = each(self._date, asked.values(), self.parallel, self.stop)
        self._dates.update(zip(asked, dates))
        return {digest: self._newest(digest, closure) for digest in digests}

    def platforms(self, digests: Iterable[Digest]) -> dict[Digest, list[str]]:
        """The platforms of each manifest: those that an index lists, or the one of an image's config."""
        digests = list(dict.fromkeys(digests))
        # What tells the date tells the platform.
        self.created(digests)
        found: dict[Digest, list[str]] = {}
        for digest, one in self.manifests(digests).items():
            own = self._platforms.get(one.config.digest, "") if one.config else ""
            found[digest] = [own] if own else list(one.platforms)
        return found

    def referrers(self, digests: Iterable[Digest]) -> dict[Digest, list[Descriptor]]:
        """What refers to each manifest by its ``subject``."""
        digests = list(dict.fromkeys(digests))
        asked = [one for one in digests if one not in self._referrers]
        answers = each(lambda digest: self.client.referrers(self.repository, digest), asked, self.parallel, self.stop)
        self._referrers.update(zip(asked, answers))
        return {digest: self._referrers[digest] for digest in digests}

    def _head(self, target: str) -> Descriptor | None:
        return self.client.head_manifest(self.repository, target)

    def _contents(self, digest: Digest) -> Contents | None:
        try:
            manifest = self.client.get_manifest(self.repository, str(digest))
        except NotFound:
            return None
        if isinstance(manifest, Index):
            children = tuple(one.digest for one in manifest.manifests)
            images = tuple(one.digest for one in manifest.manifests if not attests(one))
            named = [one.platform for one in manifest.manifests if one.platform and not one.platform.is_unknown]
            platforms = tuple(dict.fromkeys(sys.intern(str(platform)) for platform in named))
            return Contents(digest, manifest.media_type, manifest.size, children, images, platforms=platforms)
        # Images share most of their layers: one pair for each blob, however many manifests name it.
        blobs = tuple(self._blobs.setdefault(one.digest, (one.digest, one.size)) for one in manifest.blobs())
        config = manifest.config if manifest.is_image else None
        return Contents(digest, manifest.media_type, manifest.size, blobs=blobs, config=config)

    def _date(self, config: Descriptor) -> datetime | None:
        try:
            raw = self.client.get_blob(self.repository, config, CONFIG_LIMIT)
        except NotFound:
            return None
        parsed = ImageConfig.parse(raw, f"config {config.digest} of {self.name}")
        self._platforms[config.digest] = sys.intern(str(parsed.platform or ""))
        return parse_date(parsed.created)

    def _newest(self, digest: Digest, closure: dict[Digest, Contents], depth: int = 0) -> datetime | None:
        contents = closure.get(digest)
        if contents is None or depth > _DEPTH:
            return None
        if not contents.images:
            return self._dates.get(digest)
        dates = [self._newest(child, closure, depth + 1) for child in contents.images]
        return max((date for date in dates if date is not None), default=None)


def open_survey(
    registries: Registries, repository: Reference, parallel: int, stop: threading.Event | None = None
) -> Survey:
    """The survey of the repository that ``repository`` names. Nothing is read yet."""
    return Survey(registries.client(repository.host), repository.repository, parallel, stop, repository.name)
