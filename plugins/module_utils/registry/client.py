# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Distribution API of one registry (distribution-spec v1.1), put together from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.manifest import AnyManifest
from .blobs import Blobs
from .deletion import Deletion
from .listing import Listing
from .manifests import Manifests
from .referrers import Referrers
from .uploads import Uploads

if TYPE_CHECKING:
    import io

    from ..model.streams import OpenBlob
    from .blobs import Download
    from .session import Session


class RegistryClient:
    """One registry, as one end of a task speaks to it. Thread-safe.

    ``push``: this end is a destination, so that reads ask for the same token as the writes to come. Repositories are
    paths without a host, already validated; a ``target`` is a tag or a digest. Everything raises RegistryError (NotFound,
    AccessDenied, RateLimited, ...), NetworkError, ContentError for what is not what it should be, and Cancelled.
    """

    def __init__(self, session: Session, push: bool = False) -> None:
        self.session = session
        self.host = session.host
        self._manifests = Manifests(session, push)
        self._blobs = Blobs(session, push)
        self._uploads = Uploads(session, self._blobs)
        self._listing = Listing(session, push)
        self._referrers = Referrers(session, self._manifests, push)
        self._deletion = Deletion(session, self._manifests, self._referrers, self._blobs, self._uploads)

    @property
    def is_metered(self) -> bool:
        """Whether the registry is known to count the manifests that are read, so that HEAD comes before GET."""
        return self.session.quota.is_metered

    def head_manifest(self, repository: str, target: str | Digest) -> Descriptor | None:
        """Type, digest and size of what ``target`` names now; None if it is not there. One HEAD (R1.17)."""
        return self._manifests.head(repository, target)

    def get_manifest(self, repository: str, target: str | Digest) -> AnyManifest:
        """The manifest or index, verified. Raises NotFound."""
        return self._manifests.get(repository, target)

    def put_manifest(self, repository: str, manifest: AnyManifest, tag: str | Digest | None = None) -> None:
        """Push a manifest by its digest, or to ``tag``; with a subject, see that it is listed with its referrers (R1.58).

        Raises BlobUnknown where the registry lacks a blob or child that it may have claimed to have (R1.27).
        """
        listed = self._manifests.put(repository, manifest, tag)
        self._listing.written(repository)
        if manifest.subject is not None and not listed:
            self._referrers.attach(repository, manifest)

    def head_blob(self, repository: str, digest: Digest) -> int | None:
        """The size of a blob in bytes; None if it is not there."""
        return self._blobs.head(repository, digest)

    def open_blob(self, repository: str, descriptor: Descriptor, offset: int = 0) -> Download | io.BytesIO:
        """The bytes of a blob from ``offset``, unverified; a Download's ``resumed`` tells whether they came in one piece."""
        return self._blobs.open(repository, descriptor, offset)

    def get_blob(self, repository: str, descriptor: Descriptor, limit: int) -> bytes:
        """A blob of at most ``limit`` bytes, whole and verified."""
        return self._blobs.read(repository, descriptor, limit)

    def upload_blob(
        self, repository: str, descriptor: Descriptor, open_blob: OpenBlob, mount_from: str | None = None
    ) -> str:
        """Store a blob: ``mounted`` from the repository ``mount_from``, else ``uploaded`` from what ``open_blob`` gives."""
        how = self._uploads.upload(repository, descriptor, open_blob, mount_from)
        self._listing.written(repository)
        return how

    def mount_blob(self, repository: str, descriptor: Descriptor, from_repository: str) -> bool:
        """Whether the blob could be mounted from another repository of this registry."""
        mounted = self._uploads.mount(repository, descriptor, from_repository)
        if mounted:
            self._listing.written(repository)
        return mounted

    def tags(self, repository: str) -> list[str]:
        """Every tag, each once, in the registry's order. Raises NotFound for an unknown repository."""
        return self._listing.tags(repository)

    def catalog(self) -> list[str]:
        """Every repository the registry tells us of."""
        return self._listing.catalog()

    def is_unknown(self, repository: str) -> bool:
        """Whether the registry does not know the repository at all, as far as it tells; asked once."""
        return self._listing.is_unknown(repository)

    def referrers(self, repository: str, digest: Digest, artifact_type: str = "") -> list[Descriptor]:
        """Descriptors of the manifests whose subject is ``digest``."""
        return self._referrers.of(repository, digest, artifact_type)

    def delete_tag(self, repository: str, tag: str) -> bool:
        """Remove a tag alone; False if there is none. Raises TagDeleteUnsupported where only digests can be deleted (R1.52)."""
        return self._deletion.tag(repository, tag)

    def delete_manifest(self, repository: str, digest: Digest) -> bool:
        """Delete a manifest with all its tags; False if it is not there."""
        return self._deletion.manifest(repository, digest)

    def delete_blob(self, repository: str, digest: Digest) -> bool:
        """Delete a blob; False if it is not there. Only for a user who asked for just that (R1.55)."""
        return self._deletion.blob(repository, digest)

    def untag(self, repository: str, tag: str) -> bool:
        """Remove a tag by way of a placeholder manifest; False if there is none. Only when asked for (R1.52)."""
        return self._deletion.untag(repository, tag)

    def close(self) -> None:
        """Let go of the connections."""
        self.session.close()
