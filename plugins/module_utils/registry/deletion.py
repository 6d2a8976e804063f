# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletion, as far as registries allow it: a tag, a manifest, a blob, each alone (R1.51-R1.55)."""

from __future__ import annotations

import functools
import gzip
import io
import os
from typing import TYPE_CHECKING

from ..model import media_types
from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import Cancelled, ContentError, NotFound, OciError, RegistryError, TagDeleteUnsupported
from ..model.manifest import AnyManifest, parse_manifest, serialise
from . import scopes
from .http_errors import error_for, parse
from .manifests import Manifests
from .referrers import Referrers

if TYPE_CHECKING:
    from .blobs import Blobs
    from .response import Response
    from .session import Session
    from .uploads import Uploads

_DELETED = frozenset((200, 202, 204))
_ANSWERS = frozenset((*_DELETED, 400, 404, 405))
# A 404 with such a code says that the thing is not there, not that it cannot be deleted.
_ABSENT = frozenset(("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND", "TAG_UNKNOWN"))
# distribution 2.8 takes the tag for a digest that it cannot read.
_NO_TAGS = frozenset(("DIGEST_INVALID", "UNSUPPORTED"))

# R1.54: nothing that the registry's API has helps there.
_VENDORS = {
    "docker.io": "Docker Hub has no deletion in its registry API: use its own API or hub.docker.com",
    "ghcr.io": "GitHub's registry has no deletion in its registry API: use GitHub's API for packages",
}
_HUB_NAMES = frozenset(("index.docker.io", "registry-1.docker.io"))
_DISABLED = "deletes are disabled (registry setting delete.enabled), or the registry does not offer them"
_READ_ONLY = "the registry is read-only, or does not offer deletes"
_DANGLING = "tags still point at it: delete those first"


class Deletion:
    """Deletes things of one registry. Thread-safe."""

    def __init__(self, session: Session, manifests: Manifests, referrers: Referrers, blobs: Blobs, uploads: Uploads) -> None:
        self._session = session
        self._manifests = manifests
        self._referrers = referrers
        self._blobs = blobs
        self._uploads = uploads
        self._vendor = _VENDORS.get("docker.io" if session.host in _HUB_NAMES else session.host, "")
        #: Whether the token server cannot read ``delete`` in a scope (R1.51).
        self._wildcard = False

    def tag(self, repository: str, tag: str) -> bool:
        """Remove a tag and nothing else. False if there is none.

        Raises TagDeleteUnsupported where the registry deletes by digest only: never the digest in its place, for all of
        its tags would go (R1.52). Raises RegistryError where it deletes nothing at all.
        """
        name = self._manifests.name(repository, tag)
        response = self._delete(repository, f"/v2/{repository}/manifests/{tag}", name)
        if response.status in _DELETED:
            return True
        code = _code(response)
        if response.status == 404 and code in _ABSENT:
            return response.attempts > 1
        if code in _NO_TAGS or response.status == 404:
            if self._manifests.head(repository, tag) is None:
                return False
            why = "the registry cannot remove a tag alone, it deletes manifests by digest only"
            if response.status == 405:
                why = f"the registry cannot remove a tag alone, or {_DISABLED}"
            refusal = error_for(response, name, response.body, self._vendor or why)
            raise TagDeleteUnsupported(refusal.message, **refusal.facts)
        raise self._refusal(response, name)

    def manifest(self, repository: str, digest: Digest) -> bool:
        """Delete a manifest, and with it every tag that points at it. False if it is not there (R1.53).

        Where the registry has no referrers API, the manifest is taken out of the fallback tag of its subject.
        """
        name = self._manifests.name(repository, digest)
        subject = None
        if self._referrers.supported is not True:
            try:
                subject = self._manifests.get(repository, digest).subject
            except NotFound:
                return False
            except ContentError:
                # What cannot be read can still be deleted; nobody can have listed it.
                subject = None
        response = self._delete(repository, f"/v2/{repository}/manifests/{digest}", name)
        if response.status == 404:
            return response.attempts > 1
        if response.status not in _DELETED:
            raise self._refusal(response, name)
        if self._manifests.head(repository, digest) is not None:
            self._session.meter.warn(f"{name}: the registry accepted the deletion but still has the manifest")
        if subject is not None:
            self._referrers.detach(repository, digest, subject.digest)
        return True

    def blob(self, repository: str, digest: Digest) -> bool:
        """Delete a blob. False if it is not there. Nothing checks whether a manifest needs it (R1.55)."""
        name = f"blob {digest} of {self._session.host}/{repository}"
        response = self._delete(repository, f"/v2/{repository}/blobs/{digest}", name)
        if response.status == 404:
            return response.attempts > 1
        if response.status not in _DELETED:
            raise self._refusal(response, name)
        return True

    def untag(self, repository: str, tag: str) -> bool:
        """Remove a tag where the registry deletes by digest only, by way of a placeholder (R1.52). False if there is none.

        The tag is pointed at a manifest made for this alone, which is then deleted by its digest. Nothing is written
        before the registry has shown that it deletes. If that fails in the end, the tag is set back to what it was,
        and the error says whether that succeeded. Two small blobs stay until the registry collects its garbage.
        """
        name = self._manifests.name(repository, tag)
        try:
            original = self._manifests.get(repository, tag)
        except NotFound:
            return False
        self._probe(repository, name)
        placeholder = self._placeholder(repository, original)
        try:
            self._manifests.put(repository, placeholder, tag)
            response = self._delete(repository, f"/v2/{repository}/manifests/{placeholder.digest}", name)
            if response.status not in _DELETED:
                raise self._refusal(response, name)
            left = self._manifests.head(repository, tag)
            if left is not None and left.digest == placeholder.digest:
                raise RegistryError(f"{name}: the registry accepted the deletion of the placeholder but still has it")
        except Cancelled:
            # A session that was told to stop lets nothing but deletions through: finishing is what can still be done.
            self._discard(repository, placeholder.digest, name)
            raise
        except BaseException as exc:
            self._put_back(repository, tag, original, placeholder.digest, exc)
            raise
        return True

    def _probe(self, repository: str, name: str) -> None:
        # Whether deletion by digest is allowed at all, asked of a manifest that cannot exist.
        nothing = Digest("sha256", os.urandom(32).hex())
        response = self._delete(repository, f"/v2/{repository}/manifests/{nothing}", name)
        if response.status in (400, 405):
            raise self._refusal(response, name)

    def _placeholder(self, repository: str, original: AnyManifest) -> AnyManifest:
        # An image with one empty layer, in the family of what it stands in for; its label makes it like no other.
        docker = original.media_type in (media_types.DOCKER_LIST, media_types.DOCKER_MANIFEST)
        tar = bytes(1024)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"longshore.oci.placeholder": os.urandom(16).hex()}},
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(tar))]},
            "history": [{"created_by": "longshore.oci: stands in for a tag that is being removed"}],
        }
        types = (
            (media_types.DOCKER_MANIFEST, media_types.DOCKER_CONFIG, media_types.DOCKER_LAYER_GZIP)
            if docker
            else (media_types.OCI_MANIFEST, media_types.OCI_CONFIG, media_types.OCI_LAYER_GZIP)
        )
        parts = []
        for media_type, data in ((types[1], serialise(config)), (types[2], gzip.compress(tar, mtime=0))):
            descriptor = Descriptor(media_type, Digest.of(data), len(data))
            if self._blobs.head(repository, descriptor.digest) != descriptor.size:
                self._uploads.upload(repository, descriptor, functools.partial(io.BytesIO, data))
            parts.append(descriptor.to_json())
        document = {"schemaVersion": 2, "mediaType": types[0], "config": parts[0], "layers": parts[1:]}
        return parse_manifest(serialise(document), types[0])

    def _discard(self, repository: str, placeholder: Digest, name: str) -> None:
        try:
            self._delete(repository, f"/v2/{repository}/manifests/{placeholder}", name)
        except OciError as exc:
            self._session.meter.warn(f"{name} may point at a placeholder now, which could not be deleted: {exc.message}")

    def _put_back(self, repository: str, tag: str, original: AnyManifest, placeholder: Digest, exc: BaseException) -> None:
        # Only what is ours: where somebody else has set the tag meanwhile, theirs is the last word.
        try:
            now = self._manifests.head(repository, tag)
            if now is not None and now.digest not in (placeholder, original.digest):
                return
            self._manifests.put(repository, original, tag)
            words = "the tag points at its image again"
        except OciError as failure:
            words = f"and the tag could not be pointed at {original.digest} again: {failure.message}"
        if isinstance(exc, OciError):
            exc.message += f"; {words}"
            exc.args = (exc.message,)

    def _delete(self, repository: str, path: str, what: str) -> Response:
        if not self._wildcard:
            try:
                return self._ask(path, scopes.deleting(repository), what)
            except RegistryError as exc:
                # A 400 here is the token server's, for the registry's own is an answer.
                if exc.status_code not in (400, 401):
                    raise self._with_vendor(exc) from None
        try:
            response = self._ask(path, scopes.everything(repository), what)
        except RegistryError as exc:
            raise self._with_vendor(exc) from None
        self._wildcard = True
        return response

    def _ask(self, path: str, scope: str, what: str) -> Response:
        return self._session.request(
            "DELETE",
            path,
            scopes=[scope],
            headers={"Accept": media_types.ACCEPT_MANIFESTS},
            accept_status=_ANSWERS,
            what=what,
            idempotent=True,
        )

    def _refusal(self, response: Response, name: str) -> RegistryError:
        code = _code(response)
        why = self._vendor
        if not why and response.status == 405:
            why = _DISABLED if code else _READ_ONLY
        if code == "GOOGLE_MANIFEST_DANGLING_TAG":
            why = _DANGLING
        return error_for(response, name, response.body, why)

    def _with_vendor(self, exc: RegistryError) -> RegistryError:
        if self._vendor and self._vendor not in exc.message:
            exc.message += f"; {self._vendor}"
            exc.args = (exc.message,)
        return exc


def _code(response: Response) -> str:
    return (parse(response.body, response.headers.get("content-type"))[0] or "").upper()


__all__ = ["Deletion", "TagDeleteUnsupported"]
