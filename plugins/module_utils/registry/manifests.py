# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests of a registry: asked for by tag or digest, verified, and pushed until the registry provably has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import BlobUnknown, DigestMismatch, NotFound, RegistryError
from ..model.manifest import MANIFEST_LIMIT, AnyManifest, parse_manifest
from ..model.media_types import ACCEPT_MANIFESTS, MANIFESTS, OPAQUE, SCHEMA1
from ..model.reference import check_tag
from ..model.text import size_words
from . import scopes
from .answers import content_digest, content_length, content_type

if TYPE_CHECKING:
    from .response import Response
    from .session import Session

#: What distribution and others take at most, in bytes (R1.42).
PUSH_LIMIT = 4 * 1024 * 1024

# R1.17: a registry that cannot answer HEAD, or whose reason only a body can tell. 404 stays what it is.
_HEAD_REFUSED = frozenset((400, 403, 405, 406, 501))
_BLOB_UNKNOWN = frozenset(("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"))
# The same in other words. Distribution says both "digest did not match" and the second while a child of the index that
# it looks at gets another tag: it writes the child's link anew, and finds it empty.
_LACKS = ("failed to copy blob", "blob unknown to registry")


class Fetched(NamedTuple):
    """A manifest and the ETag it came with, '' without one."""

    manifest: AnyManifest
    etag: str


class Manifests:
    """The manifests of one registry. ``push``: it is the destination of a task. Thread-safe."""

    def __init__(self, session: Session, push: bool = False) -> None:
        self._session = session
        self._push = push

    def name(self, repository: str, target: str | Digest) -> str:
        """How messages name the manifest: ``host/repository:tag`` or ``host/repository@digest``."""
        joint = "@" if ":" in str(target) else ":"
        return f"{self._session.host}/{repository}{joint}{target}"

    def head(self, repository: str, target: str | Digest) -> Descriptor | None:
        """What ``target`` (a tag or a digest) names now; None if the registry answers 404.

        One HEAD. A GET only where the answer does not hold digest, size and type, or HEAD is refused (R1.17).
        """
        text, wanted = _target(target)
        try:
            response = self._session.request(
                "HEAD",
                f"/v2/{repository}/manifests/{text}",
                scopes=[scopes.reading(repository, self._push)],
                headers={"Accept": ACCEPT_MANIFESTS},
                accept_status=(200, 404),
                what=self.name(repository, text),
            )
        except RegistryError as exc:
            if exc.status_code not in _HEAD_REFUSED:
                raise
            return self._head_by_get(repository, text, wanted)
        if response.status == 404:
            return None
        size = content_length(response)
        media_type = content_type(response)
        digest = content_digest(response) or wanted
        if wanted is not None and digest is not None and digest.algorithm != wanted.algorithm:
            # The registry files it under a digest of its own besides; which of the two is meant is known.
            digest = wanted
        if digest is None or size is None or media_type in OPAQUE or wanted not in (None, digest):
            return self._head_by_get(repository, text, wanted)
        return Descriptor(media_type, digest, size)

    def get(self, repository: str, target: str | Digest) -> AnyManifest:
        """The manifest or index that ``target`` names, verified (R1.16). Raises NotFound, InvalidManifest, DigestMismatch."""
        return self.fetch(repository, target).manifest

    def fetch(self, repository: str, target: str | Digest) -> Fetched:
        """`get`, with the ETag."""
        text, wanted = _target(target)
        response = self._get(repository, text)
        declared = response.headers.get("content-type") or ""
        digest = wanted or content_digest(response)
        manifest = parse_manifest(response.body, declared, digest, self.name(repository, text))
        return Fetched(manifest, response.headers.get("etag") or "")

    def put(self, repository: str, manifest: AnyManifest, target: str | Digest | None, if_match: str = "") -> bool:
        """Push ``manifest`` to a tag, or by its digest alone (None or the digest). Its exact bytes and type (R1.40).

        Returns whether the registry says that it lists the manifest with the referrers of its subject (OCI-Subject).
        Raises BlobUnknown when the registry lacks something that the manifest names (R1.27), RegistryError when it
        refuses, or when it does not have the manifest although it accepted it (R1.41). ``if_match``: an ETag.
        """
        text, wanted = _target(target or manifest.digest)
        name = self.name(repository, text)
        if wanted is not None and wanted != manifest.digest:
            raise DigestMismatch(f"{name}: the manifest to be pushed there has the digest {manifest.digest}")
        if manifest.size > PUSH_LIMIT:
            self._session.meter.warn(f"{name}: a manifest of {size_words(manifest.size)}, which many registries refuse")
        headers = {"Content-Type": manifest.media_type}
        if if_match:
            headers["If-Match"] = if_match
        try:
            response = self._session.request(
                "PUT",
                f"/v2/{repository}/manifests/{text}",
                scopes=[scopes.writing(repository)],
                headers=headers,
                body=manifest.raw,
                accept_status=(200, 201, 202, 204),
                what=name,
                # A second PUT of the same bytes changes nothing: a lost answer may be asked for again (R1.43).
                idempotent=True,
            )
        except RegistryError as exc:
            if (exc.error_code or "").upper() in _BLOB_UNKNOWN or any(one in exc.message.lower() for one in _LACKS):
                raise BlobUnknown(exc.message, **exc.facts) from None
            raise
        returned = content_digest(response)
        if response.status != 201 or returned is None or not _names(returned, manifest):
            self._check_arrival(repository, text, manifest, response.status)
        return "oci-subject" in response.headers

    def _check_arrival(self, repository: str, target: str, manifest: AnyManifest, status: int) -> None:
        # Anything that answers 200 to everything may be at the other end: what counts is what can be read back (R1.41).
        found = self.head(repository, target)
        if found is not None and _names(found.digest, manifest):
            return
        instead = f"has {found.digest} there" if found is not None else "does not have it"
        raise RegistryError(
            f"{self.name(repository, target)}: the registry accepted the manifest {manifest.digest} (HTTP {status}), but {instead}",
            status_code=status,
        )

    def _head_by_get(self, repository: str, target: str, wanted: Digest | None) -> Descriptor | None:
        try:
            response = self._get(repository, target)
        except NotFound:
            return None
        name = self.name(repository, target)
        digest = wanted or content_digest(response) or Digest.of(response.body)
        media_type = content_type(response)
        if media_type in MANIFESTS or media_type in SCHEMA1:
            # What is there may be broken, and yet be what a push replaces: its digest is all that is wanted here.
            digest.verify(response.body, name)
        else:
            media_type = parse_manifest(response.body, media_type, digest, name).media_type
        return Descriptor(media_type, digest, len(response.body))

    def _get(self, repository: str, target: str) -> Response:
        response = self._read(repository, target, ACCEPT_MANIFESTS, (200, 406))
        if response.status == 406:
            # Old Artifactory knows no other type for anything (R1.10).
            response = self._read(repository, target, "application/json", (200,))
        return response

    def _read(self, repository: str, target: str, accept: str, statuses: tuple[int, ...]) -> Response:
        return self._session.request(
            "GET",
            f"/v2/{repository}/manifests/{target}",
            scopes=[scopes.reading(repository, self._push)],
            headers={"Accept": accept},
            accept_status=statuses,
            what=self.name(repository, target),
            max_body=MANIFEST_LIMIT,
        )


def _target(target: str | Digest) -> tuple[str, Digest | None]:
    """What stands in the URL, and the digest if it is one. Raises InvalidReference: nothing else comes into a URL (R1.9)."""
    if isinstance(target, Digest):
        return str(target), target
    if ":" in target:
        return target, Digest.parse(target)
    return check_tag(target), None


def _names(digest: Digest, manifest: AnyManifest) -> bool:
    # A registry may count in another algorithm than the digest that the manifest goes by.
    return digest == manifest.digest or (
        digest.algorithm != manifest.digest.algorithm and Digest.of(manifest.raw, digest.algorithm) == digest
    )
