# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An auth file as a document that is edited: one registry's entry changes, all else stays (containers-auth.json(5))."""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

from ..model import strict_json
from ..model.errors import InvalidInput, InvalidManifest
from .credentials import Credentials, filed_key, normal_key, read_entry

#: What an entry holds of who we are. Other fields of it are somebody else's.
_SECRETS = frozenset({"auth", "username", "password", "identitytoken", "registrytoken", "serveraddress"})


class Helper(NamedTuple):
    """A credential helper, and the name by which it keeps the credentials."""

    program: str
    server: str
    #: Whether it keeps those of every registry (``credsStore``), which are then listed in the file without secrets.
    is_store: bool


class AuthFile:
    """The document in ``raw``; ``path`` is for messages. Immutable: an edit gives another one.

    ``name`` below is what `normal_key` makes of a registry: ``host``, or ``host/path`` for the images below it.
    Raises InvalidInput for what is no auth file, or could be read in two ways.
    """

    def __init__(self, path: str, raw: bytes = b"") -> None:
        self.path = path
        self._document: dict[str, Any] = {}
        if raw.strip():
            try:
                self._document = strict_json.load_object(raw, path)
            except InvalidManifest as exc:
                raise InvalidInput(f"{exc.message}; it is left as it is: mend it or remove it") from None
        self._auths: dict[str, Any] = self._section("auths", dict)
        self._helpers: dict[str, Any] = self._section("credHelpers", dict)
        self._store: str = self._section("credsStore", str)

    def _section(self, key: str, kind: type) -> Any:
        value = self._document.get(key)
        if value is None:
            return kind()
        if not isinstance(value, kind):
            raise InvalidInput(f"{self.path} is no auth file: its {key} is of a wrong type; it is left as it is")
        return value

    @property
    def raw(self) -> bytes:
        """The document as docker and podman write it."""
        return json.dumps(self._document, indent="\t").encode("ascii")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AuthFile):
            return NotImplemented
        return self._document == other._document and list(self._auths) == list(other._auths)

    def __hash__(self) -> int:
        return hash(self.path)

    def registries(self) -> list[str]:
        """The keys that have an entry, in their order."""
        return list(self._auths)

    def keys(self, name: str) -> list[str]:
        """The keys of ``name``, however they are spelled."""
        return [key for key in self._auths if normal_key(key) == name]

    def credentials(self, name: str) -> list[Credentials | None]:
        """What each of the `keys` holds; None for nothing, or for what cannot be read."""
        return [self._readable(key) for key in self.keys(name)]

    def _readable(self, key: str) -> Credentials | None:
        try:
            return read_entry(self.path, key, self._auths[key])
        except InvalidInput:
            # To be replaced or removed anyhow.
            return None

    def helper(self, name: str) -> Helper | None:
        """The helper that keeps the credentials of ``name``; None if the file does."""
        for key, program in self._helpers.items():
            if normal_key(key) == name:
                return Helper(program, key, False)
        return Helper(self._store, filed_key(name), True) if self._store else None

    def with_login(self, name: str, username: str, password: str) -> AuthFile:
        """With these credentials for ``name``, in the place of those that it has."""
        pair = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
        return self._with(name, {"auth": pair})

    def with_mark(self, name: str) -> AuthFile:
        """With an entry without secrets for ``name``, as docker lists what a helper keeps."""
        return self._with(name, {})

    def without(self, name: str) -> AuthFile:
        """With no entry for ``name``, under any spelling."""
        return self._with(name, None)

    def _with(self, name: str, entry: dict[str, Any] | None) -> AuthFile:
        filed, auths = filed_key(name), {}
        if entry is not None:
            old = self._auths.get(filed)
            kept = {key: value for key, value in old.items() if key not in _SECRETS} if isinstance(old, dict) else {}
            entry = {**kept, **entry}
        for key, value in self._auths.items():
            if normal_key(key) != name:
                auths[key] = value
            elif entry is not None:
                auths[filed] = entry
        if entry is not None:
            auths[filed] = entry
        changed = AuthFile(self.path)
        changed._document = {**self._document, "auths": auths}
        changed._auths, changed._helpers, changed._store = auths, self._helpers, self._store
        return changed
