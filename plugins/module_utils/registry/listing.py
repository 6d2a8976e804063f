# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists a registry offers: the tags of a repository, and its repositories (R1.47-R1.50)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from ..model import strict_json
from ..model.digest import CHUNK
from ..model.errors import ContentError, InvalidReference, RegistryError
from ..model.reference import check_repository, is_tag
from ..model.text import sanitise
from . import scopes
from .links import MAX_PAGE, Pages

if TYPE_CHECKING:
    from .session import Session

#: Entries asked for at once: ECR's and distribution's largest (R1.49).
PAGE = 1000
MAX_ENTRIES = 1_000_000

# Never the manifests' types: Artifactory answers 406 to them (R1.10).
_HEADERS = {"Accept": "application/json"}
_NO_CATALOG = frozenset((401, 403, 404, 405, 501))
_SMALL = 64 * 1024


class Listing:
    """Lists of one registry. ``push``: it is the destination of a task."""

    def __init__(self, session: Session, push: bool = False) -> None:
        self._session = session
        self._push = push
        self._lock = threading.Lock()
        self._unknown: dict[str, bool] = {}

    def tags(self, repository: str) -> list[str]:
        """Every tag, each once, in the registry's order. Raises NotFound for a repository that the registry does not know.

        What cannot be a tag is left out with a warning (R1.50).
        """
        path = f"/v2/{repository}/tags/list"
        what = f"tags of {self._session.host}/{repository}"
        return self._all(path, "tags", [scopes.reading(repository, self._push)], is_tag, what)

    def catalog(self) -> list[str]:
        """Every repository the registry tells us of, each once, in its order. Raises RegistryError where there is no catalogue."""
        what = f"catalogue of {self._session.host}"
        try:
            return self._all("/v2/_catalog", "repositories", [scopes.CATALOG], _is_repository, what)
        except RegistryError as exc:
            if exc.status_code in _NO_CATALOG:
                exc.message += "; many registries have no catalogue, or show it to administrators only"
                exc.args = (exc.message,)
            raise

    def is_unknown(self, repository: str) -> bool:
        """Whether the registry says that there is no such repository. Asks once.

        True is no promise: distribution says so too of a repository that has blobs but never had a tag. It is good for
        leaving out questions whose answer could only have saved work.
        """
        with self._lock:
            known = self._unknown.get(repository)
        if known is not None:
            return known
        unknown = self._ask(repository)
        with self._lock:
            return self._unknown.setdefault(repository, unknown)

    def written(self, repository: str) -> None:
        """Something was stored in ``repository``: it is known from now on."""
        self._unknown[repository] = False

    def _ask(self, repository: str) -> bool:
        # Manifests of an unknown repository are MANIFEST_UNKNOWN to distribution: only the list of tags tells.
        try:
            response = self._session.request(
                "GET",
                f"/v2/{repository}/tags/list?n=1",
                scopes=[scopes.reading(repository, self._push)],
                headers=_HEADERS,
                what=f"tags of {self._session.host}/{repository}",
                stream=True,
            )
        except RegistryError as exc:
            return exc.error_code == "NAME_UNKNOWN"
        try:
            # A connection is worth reading a short list for; distribution 2.8 ignores n, and sends all there is.
            left = _SMALL
            while left > 0:
                data = response.read(min(left, CHUNK))
                if not data:
                    break
                left -= len(data)
        finally:
            response.close()
        return False

    def _all(self, path: str, key: str, wanted: Collection[str], is_valid: Callable[[object], bool], what: str) -> list[str]:
        found: dict[str, None] = {}
        invalid: dict[str, None] = {}
        pages = Pages(path, f"n={PAGE}", what)
        while True:
            response = self._session.request(
                "GET", pages.target, scopes=tuple(wanted), headers=_HEADERS, what=what, max_body=MAX_PAGE
            )
            entries = _entries(response.body, key, what)
            before = len(found) + len(invalid)
            for entry in entries:
                if is_valid(entry):
                    found[entry] = None
                else:
                    invalid[sanitise(entry, 60)] = None
            brought_new = len(found) + len(invalid) > before
            if len(found) > MAX_ENTRIES:
                raise ContentError(f"{what}: more than {MAX_ENTRIES} entries")
            if pages.follow(response, brought_new):
                continue
            if pages.circular:
                self._session.meter.warn(f"{what}: the pages go in a circle; {len(found)} entries were read")
                break
            # A full page without a link may be the registry's whole list or a registry that does not speak of pages.
            last = entries[-1] if len(entries) == PAGE else None
            if not (brought_new and isinstance(last, str) and is_valid(last) and pages.after(PAGE, last)):
                break
        if invalid:
            names = ", ".join(f"'{name}'" for name in list(invalid)[:5])
            self._session.meter.warn(f"{what}: {len(invalid)} invalid names were left out: {names}")
        return list(found)


def _is_repository(entry: object) -> bool:
    if not isinstance(entry, str):
        return False
    try:
        check_repository(entry)
    except InvalidReference:
        return False
    return True


def _entries(body: bytes, key: str, what: str) -> list[Any]:
    document = strict_json.load_object(body, what)
    entries = document.get(key)
    if entries is None:
        # Go writes an empty list as null (R1.50).
        return []
    if not isinstance(entries, list):
        raise ContentError(f"{what}: the answer has no list of {key}")
    return entries
