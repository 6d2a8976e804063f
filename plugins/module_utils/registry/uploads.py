# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blobs of a registry, written: mounted from a neighbour, or POST and then one PUT; begun anew where that fails
(R1.27-R1.38)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..model.descriptor import Descriptor
from ..model.digest import CHUNK, VerifyingReader
from ..model.errors import AccessDenied, NetworkError, OciError, RateLimited, RegistryError
from ..model.streams import BlobStream, OpenBlob
from . import scopes
from .answers import content_digest
from .blobs import Blobs
from .redirects import resolve
from .retry import TRANSIENT, Backoff

if TYPE_CHECKING:
    from .response import Response
    from .session import Session

MOUNTED, UPLOADED = "mounted", "uploaded"
#: Upload sessions for one blob before we give up (R1.34).
SESSIONS = 3

# R1.28: what registries answer to a mount they will not do, though they would take the blob.
_MOUNT_REFUSED = frozenset((400, 401, 403, 404, 405, 415, 500))
# The session of an upload is lost or its state is not what we think: a new one may work (R1.34).
_LOST = frozenset((404, 416))
_LOST_CODES = frozenset(("BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "RANGE_INVALID"))
# What it got is not what we sent, though that was verified: once more, then it is final.
_GARBLED_CODES = frozenset(("DIGEST_INVALID", "SIZE_INVALID"))
_PAUSE = 2.0


class Uploads:
    """Writes blobs to one registry. Thread-safe."""

    def __init__(self, session: Session, blobs: Blobs) -> None:
        self._session = session
        self._blobs = blobs
        self._first: set[str] = set()

    def upload(
        self, repository: str, descriptor: Descriptor, open_blob: OpenBlob, mount_from: str | None = None
    ) -> str:
        """Store a blob: ``mounted`` from the repository ``mount_from`` of the same registry, else ``uploaded``.

        ``open_blob`` gives its bytes from the first one, and is called anew for every try; what it gives is verified
        before the last byte goes out, so that a wrong blob can never be completed. What it raises comes out as it is.
        Raises RegistryError and NetworkError after `SESSIONS` upload sessions, or at once where none can help.
        """
        location: str | None = None
        if mount_from is not None:
            mounted, location = self._ask_mount(repository, descriptor, mount_from)
            if mounted:
                return MOUNTED
        source = _Source(self._name(repository, descriptor), descriptor, open_blob)
        backoff = Backoff(cap=_PAUSE)
        count = 0
        while True:
            count += 1
            if location is None:
                location = self._begin(repository, descriptor)
                if location is None:
                    return UPLOADED
            try:
                self._send(repository, descriptor, location, source)
                return UPLOADED
            except OciError as exc:
                if source.failure is not None or not _may_help(exc, count):
                    self._cancel(repository, location)
                    raise source.failure or exc from None
                # R1.34: the answer of a PUT that was carried out may be lost, or be a 404 from a second try on the way.
                if self._is_there(repository, descriptor):
                    return UPLOADED
                self._cancel(repository, location)
                if count == SESSIONS:
                    raise
            except BaseException:
                self._cancel(repository, location)
                raise
            location = None
            time.sleep(backoff.next())

    def mount(self, repository: str, descriptor: Descriptor, from_repository: str) -> bool:
        """Mount a blob from another repository of this registry. False, and nothing left behind, where that is not done."""
        mounted, location = self._ask_mount(repository, descriptor, from_repository)
        if location is not None:
            self._cancel(repository, location)
        return mounted

    def _ask_mount(self, repository: str, descriptor: Descriptor, origin: str) -> tuple[bool, str | None]:
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
            return False, self._location(repository, descriptor, response)
        return response.status == 201, None

    def _begin(self, repository: str, descriptor: Descriptor) -> str | None:
        # The Location of a new upload session; None if the registry says that it has the blob (R1.29).
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
        return self._location(repository, descriptor, response)

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

    def _location(self, repository: str, descriptor: Descriptor, response: Response) -> str:
        location = response.headers.get("location")
        if not location:
            raise RegistryError(
                f"{self._name(repository, descriptor)}: the registry began an upload (HTTP {response.status})"
                " but did not say where it goes (no Location)",
                status_code=response.status,
            )
        return resolve(response.url, location)

    def _send(self, repository: str, descriptor: Descriptor, location: str, source: _Source) -> None:
        # R1.30: the query of a Location is not ours to rewrite.
        joint = "?" if "?" not in location else "" if location.endswith(("?", "&")) else "&"
        if descriptor.size == 0:
            source.check_empty()
        response = self._session.request(
            "PUT",
            f"{location}{joint}digest={quote(str(descriptor.digest), safe='')}",
            scopes=[scopes.writing(repository)],
            headers={"Content-Type": "application/octet-stream"},
            body=source if descriptor.size else b"",
            accept_status=(200, 201, 202, 204),
            what=self._name(repository, descriptor),
            # The same Location never takes a second PUT (R1.34).
            idempotent=False,
        )
        if source.failure is not None:
            raise source.failure
        returned = content_digest(response)
        wrong = returned is not None and returned.algorithm == descriptor.digest.algorithm and returned != descriptor.digest
        if wrong or (response.status != 201 and not self._is_there(repository, descriptor)):
            instead = f"stored it as {returned}" if wrong else "does not have it"
            raise RegistryError(
                f"{self._name(repository, descriptor)}: the registry accepted the blob (HTTP {response.status}), but {instead}",
                status_code=response.status,
            )

    def _is_there(self, repository: str, descriptor: Descriptor) -> bool:
        try:
            return self._blobs.head(repository, descriptor.digest) == descriptor.size
        except OciError:
            # Not to be learnt: as good as not there. What made us ask is what is reported.
            return False

    def _cancel(self, repository: str, location: str) -> None:
        # R1.35: a courtesy, whose failure is nobody's business.
        try:
            self._session.request(
                "DELETE",
                location,
                scopes=[scopes.writing(repository)],
                accept_status=range(200, 600),
                what=f"upload to {self._session.host}/{repository}",
                idempotent=False,
            )
        except OciError:
            return

    def _name(self, repository: str, descriptor: Descriptor) -> str:
        return f"upload of blob {descriptor.digest} to {self._session.host}/{repository}"


def _may_help(exc: OciError, count: int) -> bool:
    """Whether after ``exc``, in upload session ``count``, another session may do better (R1.34)."""
    if isinstance(exc, NetworkError):
        return exc.transient
    if not isinstance(exc, RegistryError):
        return False
    if isinstance(exc, RateLimited):
        return "retry_after" not in exc.facts
    code = (exc.error_code or "").upper()
    if code in _GARBLED_CODES:
        return count == 1
    # A success that was none counts as lost, too.
    return code in _LOST_CODES or exc.status_code in _LOST or exc.status_code in TRANSIENT or exc.status_code < 300


class _Source:
    """The body of a PUT: the blob, verified as it passes, opened anew for every try."""

    def __init__(self, name: str, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        self._name = name
        self._descriptor = descriptor
        self._open_blob = open_blob
        self.length = descriptor.size
        #: What went wrong with the blob itself, as opposed to the registry it goes to.
        self.failure: Exception | None = None

    def open(self) -> _Verified:
        """The stream from its first byte."""
        try:
            return _Verified(self, self._open_blob(), self._descriptor)
        except Exception as exc:
            self.failure = exc
            raise

    def check_empty(self) -> None:
        """Raise unless the blob is empty and that is what its digest names: no body goes out of which that would be seen."""
        stream = self.open()
        try:
            stream.read(1)
        finally:
            stream.close()


class _Verified:
    def __init__(self, source: _Source, stream: BlobStream, descriptor: Descriptor) -> None:
        self._source = source
        self._stream = stream
        self._reader = VerifyingReader(stream, descriptor.digest, descriptor.size)

    def read(self, size: int = CHUNK) -> bytes:
        try:
            return self._reader.read(size)
        except Exception as exc:
            # Whoever sends this cannot tell a broken source from a broken connection to the registry; the cause can.
            self._source.failure = exc
            raise

    def close(self) -> None:
        self._stream.close()
