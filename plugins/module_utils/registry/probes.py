# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registry can do, asked with requests that leave it as it is (distribution-spec; R1.51-R1.56)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..model import strict_json
from ..model.digest import Digest
from ..model.errors import ContentError, OciError, RegistryError
from ..model.media_types import ACCEPT_MANIFESTS, OCI_INDEX
from . import scopes
from .answers import content_type
from .http_errors import parse
from .redirects import resolve
from .retry import TRANSIENT

if TYPE_CHECKING:
    from .response import Response
    from .session import Session

_DELETED = frozenset((200, 202, 204))
# Every final answer. What may be another a moment later is asked for again by the session, and then is its error.
_ANSWERS = frozenset((*range(200, 500), 501)) - TRANSIENT
_NO_REFERRERS = frozenset((400, 404, 405, 406, 501))
_NOT_HERE = frozenset(("NAME_UNKNOWN", "MANIFEST_UNKNOWN", "NOT_FOUND"))
_DOCUMENT = 256 * 1024


class Finding(NamedTuple):
    """``value`` is None where the registry does not tell; ``why`` says so then."""

    value: bool | None
    why: str = ""


class Upload(NamedTuple):
    """What came of beginning an upload: whether that can be done, whether nobody at all can, and whether nothing is left."""

    possible: Finding
    read_only: Finding
    clean: bool = True


class Probes:
    """Questions to one registry. Each sends what its description says, and nothing else but what a login needs.

    Raises NetworkError and Cancelled. What the registry answers, whatever it is, becomes a `Finding`.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def repository(self) -> tuple[Finding, str | None]:
        """Whether the catalogue is shown, and the first repository in it: ``GET /v2/_catalog?n=1``."""
        response, failure = self._ask("GET", "/v2/_catalog?n=1", scopes.CATALOG, {"Accept": "application/json"})
        if response is None:
            return Finding(None, _why(failure)), None
        if response.status != 200:
            return Finding(False, _words(response)), None
        names = (_document(response) or {}).get("repositories")
        if names is not None and not isinstance(names, list):
            return Finding(None, "the answer has no list of repositories"), None
        return Finding(True), next((name for name in names or () if isinstance(name, str)), None)

    def referrers(self, repository: str) -> Finding:
        """Whether there is a referrers API: ``GET /v2/<repository>/referrers/<digest of nothing>`` (R1.56)."""
        target = f"/v2/{repository}/referrers/{Digest.of(b'')}"
        response, failure = self._ask("GET", target, scopes.reading(repository), {"Accept": OCI_INDEX})
        if response is None:
            if isinstance(failure, RegistryError) and failure.status_code == 500:
                # As Nexus says that it has none; it has said so at every try.
                return Finding(False)
            return Finding(None, _why(failure))
        if response.status == 200:
            document = _document(response)
            return Finding(content_type(response) == OCI_INDEX or (document is not None and "manifests" in document))
        if response.status in _NO_REFERRERS and not (response.status == 404 and _code(response) in _NOT_HERE):
            return Finding(False)
        return Finding(None, _words(response))

    def read_only(self, repository: str) -> Finding:
        """Whether manifests can be read but not written: ``OPTIONS /v2/<repository>/manifests/latest``.

        From the ``Allow`` in the answer, which distribution sends; a pull-through cache of it allows PUT and then refuses.
        """
        response, failure = self._ask("OPTIONS", f"/v2/{repository}/manifests/latest", scopes.reading(repository))
        if response is None:
            return Finding(None, _why(failure))
        allowed = {method.strip().upper() for method in (response.headers.get("allow") or "").split(",")}
        if "GET" not in allowed:
            return Finding(None, _words(response) if response.status >= 400 else "it does not say what it allows")
        return Finding("PUT" not in allowed)

    def deletes_manifests(self, repository: str) -> Finding:
        """Whether manifests can be deleted: ``DELETE /v2/<repository>/manifests/<random digest>``, which cannot exist."""
        return self._deletes(repository, str(Digest("sha256", os.urandom(32).hex())))

    def deletes_tags(self, repository: str) -> Finding:
        """Whether tags can be deleted: ``DELETE /v2/<repository>/manifests/<random tag>``, which cannot exist."""
        return self._deletes(repository, f"longshore-probe-{os.urandom(16).hex()}")

    def uploads(self, repository: str) -> Upload:
        """Whether an upload can begin: ``POST /v2/<repository>/blobs/uploads/``, then ``DELETE`` of what that opened.

        This is the one question that a registry acts on.
        """
        response, failure = self._ask("POST", f"/v2/{repository}/blobs/uploads/", scopes.writing(repository), body=b"")
        if response is None:
            return Upload(Finding(None, _why(failure)), Finding(None))
        if response.status == 202:
            return Upload(Finding(True), Finding(False), self._cancel(repository, response))
        if response.status in (401, 403, 405):
            # A read-only registry and a pull-through cache refuse everybody by 405.
            return Upload(Finding(False, _words(response)), Finding(True if response.status == 405 else None))
        return Upload(Finding(None, _words(response)), Finding(None))

    def document(self, target: str) -> dict[str, Any] | None:
        """The JSON object at ``target``: one ``GET``. None where there is none."""
        response, unused = self._ask("GET", target, headers={"Accept": "application/json"})
        return _document(response) if response is not None and response.status == 200 else None

    def _deletes(self, repository: str, target: str) -> Finding:
        path = f"/v2/{repository}/manifests/{target}"
        response, failure = self._ask("DELETE", path, scopes.deleting(repository), {"Accept": ACCEPT_MANIFESTS})
        if response is None:
            return Finding(None, _why(failure))
        if response.status in _DELETED or (response.status == 404 and _code(response)):
            return Finding(True)
        if response.status in (400, 405):
            return Finding(False, _words(response))
        return Finding(None, _words(response))

    def _cancel(self, repository: str, opened: Response) -> bool:
        location = opened.headers.get("location")
        if not location:
            return False
        response, unused = self._ask("DELETE", resolve(opened.url, location), scopes.writing(repository))
        return response is not None and response.status in _DELETED

    def _ask(
        self,
        method: str,
        target: str,
        scope: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> tuple[Response | None, OciError | None]:
        # The answer, or why there is none: no token for this, an error that lasts, or an answer that makes no sense.
        try:
            response = self._session.request(
                method,
                target,
                scopes=[scope] if scope else [],
                headers=headers,
                body=body,
                accept_status=_ANSWERS,
                what=f"registry {self._session.host}",
                max_body=_DOCUMENT,
            )
        except (RegistryError, ContentError) as exc:
            return None, exc
        return response, None


def _document(response: Response) -> dict[str, Any] | None:
    try:
        return strict_json.load_object(response.body)
    except ContentError:
        # A web page that something in front of the registry shows to everybody.
        return None


def _why(failure: OciError | None) -> str:
    return failure.message if failure is not None else ""


def _code(response: Response) -> str:
    return (parse(response.body, response.headers.get("content-type"))[0] or "").upper()


def _words(response: Response) -> str:
    words = parse(response.body, response.headers.get("content-type"))[1]
    return f"{words} (HTTP {response.status})" if words else f"HTTP {response.status}"
