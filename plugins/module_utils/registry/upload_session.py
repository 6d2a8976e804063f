# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One upload session of a registry: its requests, where it goes next, and how many bytes are known to be there
(distribution-spec, "Pushing blobs"; R1.29-R1.33, R1.35)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..model.digest import Digest
from ..model.errors import NetworkError, OciError, RefusedTarget, RegistryError
from . import scopes
from .redirects import resolve

if TYPE_CHECKING:
    from .response import Response
    from .route import Body
    from .session import Session
    from .upload_source import Part

_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,19})", re.ASCII)
_NUMBER = re.compile(r"\d{1,15}", re.ASCII)
_BYTES = {"Content-Type": "application/octet-stream"}


class UploadSession:
    """Begun by ``response``, which says where it goes. ``name`` begins every message. Not thread-safe."""

    def __init__(self, session: Session, repository: str, name: str, response: Response) -> None:
        self._session = session
        self._repository = repository
        self._name = name
        if not response.headers.get("location"):
            raise RegistryError(
                f"{name}: the registry began an upload (HTTP {response.status}) but did not say where it goes (no Location)",
                status_code=response.status,
            )
        self._location = ""
        self._follow(response)
        minimum = (response.headers.get("oci-chunk-min-length") or "").strip()
        #: Bytes that a part has to have at least, the last one excepted.
        self.minimum = int(minimum) if _NUMBER.fullmatch(minimum) else 0
        #: Bytes that are there, as far as we know.
        self.offset = 0

    def append(self, part: Part) -> None:
        """Send the next bytes (PATCH). Raises whatever a request raises; then `offset` is what it was."""
        response = self._session.request(
            "PATCH",
            self._location,
            scopes=[scopes.writing(self._repository)],
            headers={
                **_BYTES,
                # R1.33: both ends are meant, and there is no unit.
                "Content-Range": f"{part.start}-{part.start + part.length - 1}",
                # Where something on the way limits what one connection may carry, or how long, a part has its own.
                "Connection": "close",
            },
            body=part,
            # ECR says 201. What a Range header says is of no use: Gitea sends none, ECR an old one, others each part's.
            accept_status=(200, 201, 202, 204),
            what=self._name,
            idempotent=False,
        )
        self._follow(response)
        self.offset = part.start + part.length

    def complete(self, digest: Digest, body: Body | bytes) -> Response:
        """Send the last bytes, or the only ones, or none, and say what blob it is (PUT)."""
        # R1.30: the query of a Location is not ours to rewrite.
        joint = "?" if "?" not in self._location else "" if self._location.endswith(("?", "&")) else "&"
        return self._session.request(
            "PUT",
            f"{self._location}{joint}digest={quote(str(digest), safe='')}",
            scopes=[scopes.writing(self._repository)],
            headers=_BYTES,
            body=body,
            accept_status=(200, 201, 202, 204),
            what=self._name,
            # The same Location never takes a second PUT (R1.34).
            idempotent=False,
        )

    def ask(self, sent: int) -> bool:
        """Ask how far it has got, after a failure (R1.34 (2)): whether it can go on from `offset`, which is then right.

        ``sent``: how far we have got. False where the session is lost, nothing has arrived, or the answer cannot be true.
        """
        try:
            response = self._session.request(
                "GET",
                self._location,
                scopes=[scopes.writing(self._repository)],
                accept_status=(204,),
                what=self._name,
            )
            self._follow(response)
        except (NetworkError, RegistryError, RefusedTarget):
            # Not to be learnt: as good as lost. What made us ask is what is reported.
            return False
        match = _RANGE.fullmatch((response.headers.get("range") or "").strip())
        # 0-0 may mean none or one (distribution-spec issue 577); neither is worth going on with.
        if match is None or not 0 < int(match.group(1)) < sent:
            return False
        self.offset = int(match.group(1)) + 1
        return True

    def cancel(self) -> None:
        """Give it up (R1.35): a courtesy, whose failure is nobody's business."""
        try:
            self._session.request(
                "DELETE",
                self._location,
                scopes=[scopes.writing(self._repository)],
                accept_status=range(200, 600),
                what=self._name,
                idempotent=False,
            )
        except OciError:
            return

    def _follow(self, response: Response) -> None:
        # R1.31: always the newest one; registries write their state into it.
        location = response.headers.get("location")
        if location:
            try:
                self._location = resolve(response.url, location)
            except RefusedTarget as exc:
                raise exc.about(f"{self._name}: the registry sends the upload to a place that is not allowed") from None
