# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blobs of a registry, written: mounted from a neighbour, or uploaded (R1.27-R1.38)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from ..model.descriptor import Descriptor
from ..model.errors import AccessDenied, OciError
from ..model.streams import OpenBlob
from . import scopes
from .blobs import Blobs
from .upload_delivery import Delivery
from .upload_parts import PartSizes
from .upload_session import UploadSession
from .upload_source import UploadSource

if TYPE_CHECKING:
    from .response import Response
    from .session import Session

MOUNTED, UPLOADED = "mounted", "uploaded"

# R1.28: what registries answer to a mount they will not do, though they would take the blob.
_MOUNT_REFUSED = frozenset((400, 401, 403, 404, 405, 415, 500))


class Uploads:
    """Writes blobs to one registry. Thread-safe."""

    def __init__(self, session: Session, blobs: Blobs) -> None:
        self._session = session
        self._blobs = blobs
        self._sizes = PartSizes(session.host)
        self._first: set[str] = set()

    def upload(
        self, repository: str, descriptor: Descriptor, open_blob: OpenBlob, mount_from: str | None = None
    ) -> str:
        """Store a blob: ``mounted`` from the repository ``mount_from`` of the same registry, else ``uploaded``.

        ``open_blob`` gives its bytes from the first one, and is called anew for every try; where it can open the blob
        `at` an offset, that is used to go on from there. What it gives is verified before the last byte goes out, so
        that a wrong blob can never be completed. What it raises comes out as it is. Raises RegistryError and
        NetworkError after several upload sessions, or at once where none can help.
        """
        opened: UploadSession | None = None
        if mount_from is not None:
            mounted, opened = self._ask_mount(repository, descriptor, mount_from)
            if mounted:
                return MOUNTED
        delivery = Delivery(
            descriptor,
            UploadSource(descriptor, open_blob),
            self._sizes,
            self._name(repository, descriptor),
            begin=lambda: self._begin(repository, descriptor),
            is_there=lambda: self._is_there(repository, descriptor),
            retries=self._session.settings.retries,
            pause=self._session.pause,
        )
        delivery.run(opened)
        return UPLOADED

    def mount(self, repository: str, descriptor: Descriptor, from_repository: str) -> bool:
        """Mount a blob from another repository of this registry. False, and nothing left behind, where that is not done."""
        mounted, opened = self._ask_mount(repository, descriptor, from_repository)
        if opened is not None:
            opened.cancel()
        return mounted

    def _ask_mount(self, repository: str, descriptor: Descriptor, origin: str) -> tuple[bool, UploadSession | None]:
        # Whether it is mounted; if not, the upload session that was opened in its place, if one was (R1.28).
        query = f"mount={quote(str(descriptor.digest), safe='')}&from={quote(origin, safe='')}"
        try:
            response = self._session.request(
                "POST",
                f"/v2/{repository}/blobs/uploads/?{query}",
                scopes=[scopes.writing(repository), scopes.reading(origin)],
                body=b"",
                accept_status=(201, 202, *_MOUNT_REFUSED),
                what=f"mount of {descriptor.digest} from {origin} into {self._session.host}/{repository}",
                idempotent=True,
            )
        except AccessDenied:
            # Not allowed for the other repository, or for this one: the plain POST that follows tells.
            return False, None
        if response.status == 202:
            return False, self._opened(repository, descriptor, response)
        return response.status == 201, None

    def _begin(self, repository: str, descriptor: Descriptor) -> UploadSession | None:
        # A new upload session; None if the registry says that it has the blob (R1.29).
        try:
            response = self._post(repository, descriptor)
        except AccessDenied as exc:
            # Quay and GitLab may refuse the very first push to a repository, and then have made it.
            if exc.status_code != 401 or repository in self._first:
                raise
            self._first.add(repository)
            response = self._post(repository, descriptor)
        self._first.add(repository)
        if response.status == 201 and self._is_there(repository, descriptor):
            return None
        return self._opened(repository, descriptor, response)

    def _opened(self, repository: str, descriptor: Descriptor, response: Response) -> UploadSession:
        return UploadSession(self._session, repository, self._name(repository, descriptor), response)

    def _post(self, repository: str, descriptor: Descriptor) -> Response:
        return self._session.request(
            "POST",
            f"/v2/{repository}/blobs/uploads/",
            scopes=[scopes.writing(repository)],
            body=b"",
            accept_status=(200, 201, 202, 204),
            what=self._name(repository, descriptor),
            # A session too many is not a blob too many.
            idempotent=True,
        )

    def _is_there(self, repository: str, descriptor: Descriptor) -> bool:
        try:
            return self._blobs.head(repository, descriptor.digest) == descriptor.size
        except OciError:
            # Not to be learnt: as good as not there. What made us ask is what is reported.
            return False

    def _name(self, repository: str, descriptor: Descriptor) -> str:
        return f"upload of blob {descriptor.digest} to {self._session.host}/{repository}"
