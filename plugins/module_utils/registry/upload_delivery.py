# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One blob on its way up: in one request, in parts where that does not get through, from where it broke off where the
registry can, and else anew (R1.33, R1.34)."""

from __future__ import annotations

from collections.abc import Callable

from ..model.descriptor import Descriptor
from ..model.errors import NetworkError, OciError, RateLimited, RegistryError
from ..model.text import size_words
from .answers import content_digest
from .retry import TRANSIENT, Backoff
from .upload_parts import PartSizes
from .upload_session import UploadSession
from .upload_source import UploadSource

#: Upload sessions for one blob before we give up (R1.34).
SESSIONS = 3
#: Bytes that make an upload count as getting on, so that its tries begin anew; what is less is not worth going on with.
PROGRESS = 1024 * 1024
#: The longest pause in seconds before the next try.
PAUSE = 2.0

# The session of an upload is lost or its state is not what we think: a new one may work (R1.34).
_LOST = frozenset((404, 416))
_LOST_CODES = frozenset(("BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "RANGE_INVALID"))
# What it got is not what we sent, though that was verified: once more, in one piece, then it is final.
_GARBLED_CODES = frozenset(("DIGEST_INVALID", "SIZE_INVALID"))
# What registries say to a first part that take no parts.
_NO_PARTS = frozenset((400, 404, 405, 411, 415, 416, 501))
_TOO_LARGE = 413


class Delivery:
    """Brings ``source`` to a registry. ``begin`` opens an upload session, or gives None if the blob is there already;
    ``is_there`` tells whether it is, now. ``retries``: how often an upload goes on without getting on. ``pause`` waits.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        source: UploadSource,
        sizes: PartSizes,
        name: str,
        *,
        begin: Callable[[], UploadSession | None],
        is_there: Callable[[], bool],
        retries: int,
        pause: Callable[[float], None],
    ) -> None:
        self._descriptor = descriptor
        self._source = source
        self._sizes = sizes
        self._name = name
        self._begin = begin
        self._is_there = is_there
        self._retries = retries
        self._pause = pause
        self._backoff = Backoff(cap=PAUSE)
        self._sessions = 0
        #: Length of the parts, 0 for one request; and of the request that was sent last.
        self._parts = 0
        self._length = 0
        # How far this session had got when its tries were counted from 0, and how many of them there were since.
        self._mark = 0
        self._failures = 0
        self._garbled = False
        self._too_large: RegistryError | None = None

    def run(self, upload: UploadSession | None) -> None:
        """Deliver, in ``upload`` if that is open already. Raises what the last try raised; no session stays behind."""
        try:
            while True:
                upload = upload or self._begin()
                if upload is None:
                    return
                self._sessions += 1
                self._parts = self._parts or self._sizes.first(self._descriptor.size, upload.minimum)
                self._mark = self._failures = 0
                if self._use(upload):
                    return
                upload.cancel()
                upload = None
                self._pause(self._backoff.next())
        except BaseException:
            self._source.close()
            if upload is not None:
                upload.cancel()
            raise
        finally:
            self._source.close()

    def _use(self, upload: UploadSession) -> bool:
        # Whether the blob is there. False where another session may do better.
        while True:
            try:
                self._send(upload)
                return True
            except OciError as exc:
                self._source.close()
                if self._source.failure is not None:
                    raise self._source.failure from None
                if self._try_shorter(upload, exc):
                    continue
                if not self._may_help(upload, exc):
                    raise
                # R1.34: the answer of a PUT that was carried out may be lost, or be a 404 from a second try on the way.
                if self._is_there():
                    return True
                if self._goes_on(upload):
                    continue
                if self._sessions == SESSIONS:
                    raise
                self._choose(upload, exc)
                return False

    def _send(self, upload: UploadSession) -> None:
        size = self._descriptor.size
        if size == 0:
            self._source.check_empty()
        if not self._parts and size:
            self._length = size
            response = upload.complete(self._descriptor.digest, self._source.part(0, size))
        else:
            while upload.offset < size:
                part = self._source.part(upload.offset, min(self._parts, size - upload.offset))
                self._length = part.length
                upload.append(part)
            self._length = 0
            response = upload.complete(self._descriptor.digest, b"")
        if self._source.failure is not None:
            raise self._source.failure
        digest = self._descriptor.digest
        returned = content_digest(response)
        wrong = returned is not None and returned.algorithm == digest.algorithm and returned != digest
        if wrong or (response.status != 201 and not self._is_there()):
            instead = f"stored it as {returned}" if wrong else "does not have it"
            raise RegistryError(
                f"{self._name}: the registry accepted the blob (HTTP {response.status}), but {instead}",
                status_code=response.status,
            )

    def _try_shorter(self, upload: UploadSession, exc: OciError) -> bool:
        # A proxy in front of the registry limits the size of requests, and the registry knows nothing of this one.
        if not isinstance(exc, RegistryError) or exc.status_code != _TOO_LARGE:
            return False
        shorter = self._sizes.refused(self._length, upload.minimum)
        if shorter:
            self._parts, self._too_large = shorter, exc
        elif self._parts:
            exc.message = f"{exc.message} (even parts of {size_words(self._length)} are refused)"
            exc.args = (exc.message,)
        return bool(shorter)

    def _goes_on(self, upload: UploadSession) -> bool:
        # R1.34 (2): whether the registry knows how far it has got. What it had of a garbled blob is of no use.
        if self._garbled or not self._sizes.tells or self._source.reached < PROGRESS:
            return False
        self._pause(self._backoff.next())
        if not upload.ask(self._source.reached):
            return False
        if upload.offset - self._mark >= PROGRESS:
            self._mark, self._failures, self._backoff = upload.offset, 0, Backoff(cap=PAUSE)
        else:
            self._failures += 1
        self._parts = self._sizes.broken(self._source.passed, self._parts, upload.minimum) or self._sizes.rest(upload.minimum)
        return self._failures <= self._retries

    def _choose(self, upload: UploadSession, exc: OciError) -> None:
        # Parts or one request, for the next session.
        if self._no_parts(upload, exc) or self._garbled:
            if self._too_large is None:
                self._parts = 0
        elif isinstance(exc, NetworkError) or (isinstance(exc, RegistryError) and exc.status_code in TRANSIENT):
            self._parts = self._sizes.broken(self._source.passed, self._parts, upload.minimum)

    def _no_parts(self, upload: UploadSession, exc: OciError) -> bool:
        refused = isinstance(exc, RegistryError) and exc.status_code in _NO_PARTS
        return refused and self._parts > 0 and upload.offset == 0

    def _may_help(self, upload: UploadSession, exc: OciError) -> bool:
        """Whether after ``exc`` the same or another session may do better (R1.34)."""
        if isinstance(exc, NetworkError):
            return exc.transient
        if not isinstance(exc, RegistryError):
            return False
        if isinstance(exc, RateLimited):
            return "retry_after" not in exc.facts
        code = (exc.error_code or "").upper()
        if code in _GARBLED_CODES:
            before, self._garbled = self._garbled, True
            return not before
        if self._no_parts(upload, exc) and self._too_large is None:
            return True
        # A success that was none counts as lost, too.
        return code in _LOST_CODES or exc.status_code in _LOST or exc.status_code in TRANSIENT or exc.status_code < 300
