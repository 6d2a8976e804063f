# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Referrers: what names a manifest as its subject, from the API or from the tag that stands in for it (R1.56-R1.59)."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import InvalidManifest, NotFound, RegistryError
from ..model.manifest import MANIFEST_LIMIT, AnyManifest, Index, Manifest, descriptor_of, parse_index, serialise
from ..model.media_types import OCI_INDEX, OPAQUE
from . import scopes
from .answers import content_type
from .http_errors import parse
from .links import Pages
from .manifests import Manifests

if TYPE_CHECKING:
    from .response import Response
    from .session import Session

_NOT_IN_A_TAG = re.compile(r"[^A-Za-z0-9_.-]")
# R1.56: a registry without the API. A 500 is one, too (Nexus), but only after the session's tries: it may be a passing one.
_NO_API = frozenset((400, 404, 405, 406, 501))
# A 404 with such a code comes from a registry that knows the API and misses the repository or the subject.
_NOT_HERE = frozenset(("NAME_UNKNOWN", "MANIFEST_UNKNOWN", "NOT_FOUND"))
#: How often a lost update of the tag is repeated (R1.58).
UPDATES = 5


def fallback_tag(digest: Digest | str) -> str:
    """The tag under which the referrers of ``digest`` are listed where there is no API (R1.57)."""
    algorithm, unused, encoded = str(digest).partition(":")
    return _NOT_IN_A_TAG.sub("-", f"{algorithm[:32]}-{encoded[:64]}")


class Referrers:
    """The referrers of manifests in one registry. ``push``: it is the destination of a task. Thread-safe."""

    def __init__(self, session: Session, manifests: Manifests, push: bool = False) -> None:
        self._session = session
        self._manifests = manifests
        self._push = push
        #: Whether the registry has the API; None while that is not known.
        self.supported: bool | None = None
        self._lock = threading.Lock()
        self._updating: dict[tuple[str, str], threading.Lock] = {}

    def of(self, repository: str, digest: Digest, artifact_type: str = "") -> list[Descriptor]:
        """Descriptors of the manifests whose subject is ``digest``, each once; with ``artifact_type`` only those of it.

        From the API, else from the fallback tag. One request where the registry has the API, or is known not to.
        """
        found: Sequence[Descriptor] | None = None
        if self.supported is not False:
            found = self._from_api(repository, digest, artifact_type)
        if found is None:
            index, unused = self._fallback(repository, fallback_tag(digest))
            found = index.manifests if index is not None else ()
            if artifact_type:
                found = [one for one in found if one.artifact_type == artifact_type]
        return list({one.digest: one for one in found}.values())

    def attach(self, repository: str, manifest: AnyManifest) -> None:
        """List ``manifest`` with the referrers of its subject, in the fallback tag (R1.58).

        For a manifest whose push was not answered with OCI-Subject. Raises InvalidManifest, and overwrites nothing, where
        something else than an index has the tag.
        """
        if manifest.subject is None:
            return
        entry = _entry(manifest)

        def add(listed: Sequence[Descriptor]) -> Sequence[Descriptor]:
            return listed if any(one.digest == entry.digest for one in listed) else [*listed, entry]

        self._update(repository, fallback_tag(manifest.subject.digest), add)

    def detach(self, repository: str, digest: Digest, subject: Digest) -> None:
        """Take the manifest ``digest``, which is gone, out of the fallback tag of its ``subject`` (R1.53)."""

        def remove(listed: Sequence[Descriptor]) -> Sequence[Descriptor]:
            return [one for one in listed if one.digest != digest]

        self._update(repository, fallback_tag(subject), remove)

    def _from_api(self, repository: str, digest: Digest, artifact_type: str) -> list[Descriptor] | None:
        what = f"referrers of {self._manifests.name(repository, digest)}"
        query = f"artifactType={quote(artifact_type, safe='')}" if artifact_type else ""
        pages = Pages(f"/v2/{repository}/referrers/{digest}", query, what)
        found: dict[Digest, Descriptor] = {}
        while True:
            response = self._ask(repository, pages.target, what)
            index = self._page(response, what) if response is not None else None
            if index is None:
                return None
            before = len(found)
            found.update((one.digest, one) for one in index.manifests)
            filtered = "artifacttype" in (response.headers.get("oci-filters-applied") or "").lower() if response else False
            if artifact_type and not filtered:
                for one in index.manifests:
                    if one.artifact_type != artifact_type:
                        del found[one.digest]
            if response is None or not pages.follow(response, len(found) > before or bool(index.manifests)):
                break
        if pages.circular:
            self._session.meter.warn(f"{what}: the pages go in a circle; {len(found)} were read")
        return list(found.values())

    def _ask(self, repository: str, target: str, what: str) -> Response | None:
        try:
            response = self._session.request(
                "GET",
                target,
                scopes=[scopes.reading(repository, self._push)],
                headers={"Accept": OCI_INDEX},
                accept_status=(200, *_NO_API),
                what=what,
                max_body=MANIFEST_LIMIT,
            )
        except RegistryError as exc:
            if exc.status_code != 500 or self.supported:
                raise
            self.supported = False
            return None
        if response.status == 200:
            return response
        code, unused = parse(response.body, response.headers.get("content-type"))
        if self.supported is None and (code or "").upper() not in _NOT_HERE:
            self.supported = False
        return None

    def _page(self, response: Response, what: str) -> Index | None:
        media_type = content_type(response)
        if media_type != OCI_INDEX and media_type not in OPAQUE:
            # A web page, most likely: something in front of the registry answers what it does not know.
            self.supported = False
            return None
        try:
            index = parse_index(response.body, media_type, what=what)
        except InvalidManifest:
            if media_type == OCI_INDEX or self.supported:
                raise
            self.supported = False
            return None
        self.supported = True
        return index

    def _fallback(self, repository: str, tag: str) -> tuple[Index | None, str]:
        # The index that the tag holds and its ETag; None if there is no such tag.
        try:
            manifest, etag = self._manifests.fetch(repository, tag)
        except NotFound:
            return None, ""
        if not isinstance(manifest, Index):
            raise InvalidManifest(
                f"{self._manifests.name(repository, tag)} is no index, so that the referrers it should list cannot be told;"
                " if nobody needs that tag, remove it"
            )
        return manifest, etag

    def _update(self, repository: str, tag: str, change: Callable[[Sequence[Descriptor]], Sequence[Descriptor]]) -> None:
        with self._lock:
            lock = self._updating.setdefault((repository, tag), threading.Lock())
        with lock:
            for unused in range(UPDATES + 1):
                index, etag = self._fallback(repository, tag)
                listed: Sequence[Descriptor] = index.manifests if index is not None else ()
                changed = change(listed)
                # Also how we see that a write of ours has come to stay, and was not lost to another's (R1.58).
                if len(changed) == len(listed):
                    return
                try:
                    self._manifests.put(repository, _index(index, changed), tag, etag)
                except RegistryError as exc:
                    if exc.status_code != 412:
                        raise
        raise RegistryError(
            f"{self._manifests.name(repository, tag)}: somebody else keeps changing this list of referrers; "
            f"given up after {UPDATES + 1} updates"
        )


def _entry(manifest: AnyManifest) -> Descriptor:
    artifact_type = manifest.artifact_type
    if not artifact_type and isinstance(manifest, Manifest):
        artifact_type = manifest.config.media_type
    return descriptor_of(manifest, artifact_type=artifact_type, annotations=manifest.annotations)


def _index(old: Index | None, manifests: Sequence[Descriptor]) -> Index:
    if old is not None:
        return old.only(manifests)
    listed = [one.to_json() for one in manifests]
    return parse_index(serialise({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}), OCI_INDEX)
