# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials, and the auth files of podman and docker that hold them (containers-auth.json(5); R1.5, R1.68, R1.69)."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..model.errors import InvalidInput, MissingRequirement
from ..model.text import sanitise
from . import credential_helpers

#: Docker Hub's names, and the key under which docker files it (R1.5).
_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_HUB = "docker.io"
_HUB_KEY = "https://index.docker.io/v1/"
_LARGEST = 16 * 1024 * 1024
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Credentials:
    """Who we are to a registry. ``source`` says where they were found, for messages."""

    username: str
    password: str = field(repr=False)
    identity_token: str | None = field(default=None, repr=False)
    source: str = ""


def check_credentials(credentials: Credentials) -> None:
    """Raise InvalidInput for a username with a colon or control characters, a password with NUL, and what is not Unicode
    (R1.68)."""
    if ":" in credentials.username or _CONTROL.search(credentials.username):
        raise InvalidInput(f"the username ({credentials.source}) has a colon or control characters in it")
    # Line ends are in the JSON keys that Google's registries take for a password; base64 carries them.
    if "\x00" in credentials.password:
        raise InvalidInput(f"the password ({credentials.source}) has a NUL character in it")
    try:
        f"{credentials.username}{credentials.password}{credentials.identity_token}".encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"the credentials ({credentials.source}) are not valid Unicode") from None


def basic_authorization(credentials: Credentials) -> str:
    """The Basic header, in UTF-8 (R1.68). An identity token goes where docker puts it: in the password."""
    username = credentials.username or ("<token>" if credentials.identity_token else "")
    pair = f"{username}:{credentials.identity_token or credentials.password}"
    return "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")


@dataclass(frozen=True)
class _File:
    # One auth file, its keys normalised; each value keeps the key as it is written, for helpers want that one.
    path: str
    auths: dict[str, tuple[str, Any]]
    helpers: dict[str, tuple[str, str]]
    store: str


def usual_paths(environ: Mapping[str, str], home: str) -> list[str]:
    """The files that are searched where the user names none: podman's two, then docker's."""
    runtime = environ.get("XDG_RUNTIME_DIR")
    folder = os.path.join(runtime, "containers") if runtime else f"/run/containers/{os.getuid()}"
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    docker = environ.get("DOCKER_CONFIG") or os.path.join(home, ".docker")
    return [
        os.path.join(folder, "auth.json"),
        os.path.join(config, "containers/auth.json"),
        os.path.join(docker, "config.json"),
    ]


class CredentialStore:
    """Looks credentials up in ``auth_file``, or in podman's files and then docker's. Reads each file once. Thread-safe.

    Without ``auth_file``: the file of ``REGISTRY_AUTH_FILE`` if that is set, else ``containers/auth.json`` below
    ``$XDG_RUNTIME_DIR`` (``/run/containers/<uid>/auth.json`` without it) and ``$XDG_CONFIG_HOME``, then
    ``config.json`` below ``$DOCKER_CONFIG`` (``~/.docker`` without it).
    """

    def __init__(
        self, auth_file: str | None = None, *, environ: Mapping[str, str] | None = None, home: str | None = None
    ) -> None:
        self._environ = environ = os.environ if environ is None else environ
        self._home = home if home is not None else environ.get("HOME") or os.path.expanduser("~")
        self._auth_file = auth_file
        self._lock = threading.RLock()
        self._files: list[_File] | None = None
        self._asked: dict[tuple[str, str], Credentials | None] = {}
        self._notes: list[str] = []

    def find(self, host: str, repository: str = "") -> Credentials | None:
        """The credentials for ``repository`` at ``host``: of the first file that has some, those with the longest
        matching prefix. None if there are none.

        Raises InvalidInput for a file or an entry that cannot be read, MissingRequirement when they are kept by a
        credential helper and the ``docker`` package is not there to call it, OciError when the helper fails.
        """
        wanted = _names(host, repository)
        with self._lock:
            if self._files is None:
                self._files = list(self._read_all())
            for file in self._files:
                found = self._search(file, wanted)
                if found:
                    return found
        return None

    def searched(self) -> str:
        """What was looked at, in brackets, for a message that nothing was found."""
        with self._lock:
            paths = [file.path for file in self._files or []]
            looked = f"looked at {', '.join(paths)}" if paths else "there is none in the usual places"
            return f" ({'; '.join([looked, *self._notes])})"

    def _paths(self) -> Iterator[tuple[str, str]]:
        # Path, and what the user calls it if it must be there.
        if self._auth_file:
            yield os.path.expanduser(self._auth_file), "auth_file"
            return
        if self._environ.get("REGISTRY_AUTH_FILE"):
            yield self._environ["REGISTRY_AUTH_FILE"], "REGISTRY_AUTH_FILE"
            return
        for path in usual_paths(self._environ, self._home):
            yield path, ""

    def _read_all(self) -> Iterator[_File]:
        for path, name in self._paths():
            try:
                with open(path, "rb") as stream:
                    raw = stream.read(_LARGEST + 1)
            except (FileNotFoundError, NotADirectoryError):
                if name:
                    raise InvalidInput(f"{name} names {path}, which does not exist") from None
                continue
            except OSError as exc:
                if name:
                    raise InvalidInput(f"{name} {path} cannot be read: {exc.strerror}") from None
                self._notes.append(f"{path} cannot be read: {exc.strerror}")
                continue
            yield _parse(path, raw)

    def _search(self, file: _File, wanted: list[str]) -> Credentials | None:
        for name in wanted:
            if name in file.helpers:
                key, helper = file.helpers[name]
                found = self._ask(file, helper, key)
                if found:
                    return found
            if name in file.auths:
                key, entry = file.auths[name]
                found = read_entry(file.path, key, entry)
                if found is None and file.store:
                    found = self._ask(file, file.store, key)
                if found:
                    return found
        host = wanted[-1]
        if not file.store or host in file.auths or host in file.helpers:
            return None
        try:
            return self._ask(file, file.store, filed_key(host))
        except MissingRequirement as exc:
            # docker names each host it has stored: one that it does not name is most likely public.
            note = f"{file.path}: {exc.message}"
            if note not in self._notes:
                self._notes.append(note)
            return None

    def _ask(self, file: _File, helper: str, server: str) -> Credentials | None:
        if (helper, server) not in self._asked:
            source = f"the credential helper {sanitise(helper, 60)} of {file.path}"
            answer = credential_helpers.ask(helper, server, source)
            self._asked[helper, server] = _from_helper(answer, source) if answer else None
        return self._asked[helper, server]


def _from_helper(answer: tuple[str, str], source: str) -> Credentials:
    username, secret = answer
    # The user name by which helpers mark an identity token.
    return Credentials("", "", secret, source) if username == "<token>" else Credentials(username, secret, None, source)


def _names(host: str, repository: str) -> list[str]:
    # ``host/a/b``, ``host/a``, ``host``.
    host = host.lower()
    host = _HUB if host in _HUB_NAMES else host
    parts = [part for part in repository.split("/") if part]
    return ["/".join([host, *parts[:count]]) for count in range(len(parts), -1, -1)]


def normal_key(key: str) -> str:
    """``host`` or ``host/path``, however a key of an auth file spells it; '' for those under which docker keeps other things."""
    if key.rstrip("/").endswith(("/access-token", "/refresh-token")):
        return ""
    bare = _SCHEME.sub("", key, count=1)
    host, unused, path = bare.partition("/")
    host = host.lower()
    host = _HUB if host in _HUB_NAMES else host
    path = path.strip("/")
    # An address has only its host in common with a prefix; v1 and v2 are versions of the API, not repositories.
    return host if bare != key or not path or path in ("v1", "v2") else f"{host}/{path}"


def filed_key(name: str) -> str:
    """The key under which docker and podman file what `normal_key` calls ``name`` (R1.5)."""
    return _HUB_KEY if name == _HUB else name


def _parse(path: str, raw: bytes) -> _File:
    try:
        if len(raw) > _LARGEST:
            raise ValueError(f"more than {_LARGEST} bytes")
        document = json.loads(raw.decode("utf-8")) if raw.strip() else {}
    except (ValueError, RecursionError) as exc:
        raise InvalidInput(f"{path} is not valid JSON: {sanitise(exc, 120)}") from None
    if not isinstance(document, dict):
        raise InvalidInput(f"{path} is not an auth file: its JSON is not an object")
    auths, helpers = (_field(document, key, {}, path) for key in ("auths", "credHelpers"))
    return _File(path, _keyed(auths), _keyed(helpers), _field(document, "credsStore", "", path))


def _field(document: dict[str, Any], key: str, default: Any, what: str) -> Any:
    # The value of ``key``, of the type of ``default``; null counts as absent.
    value = document.get(key)
    if value is None:
        return default
    if not isinstance(value, type(default)):
        raise InvalidInput(f"{what} is not valid: its {key} is of a wrong type")
    return value


def _keyed(section: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    found: dict[str, tuple[str, Any]] = {}
    for key, value in section.items():
        name = normal_key(key)
        # A key that is written as we would write it comes before one that only means the same.
        if name and (name not in found or name == key):
            found[name] = (key, value)
    return found


def read_entry(path: str, key: str, entry: Any) -> Credentials | None:
    """The credentials in ``entry``, which has ``key`` in the file ``path``; None if it holds none, as with a helper.

    Raises InvalidInput. Only the entry that is asked for is looked at: a broken one of another registry harms nobody
    (R1.69).
    """
    source = f"'{sanitise(key, 120)}' in {path}"
    if not isinstance(entry, dict):
        raise InvalidInput(f"the entry {source} is not an object")
    names = ("auth", "username", "password", "identitytoken")
    auth, username, password, identity_token = (_field(entry, name, "", f"the entry {source}") for name in names)
    if auth:
        try:
            pair = base64.b64decode("".join(auth.split()), validate=True).decode("utf-8")
        except (ValueError, binascii.Error):
            raise InvalidInput(f"the entry {source} has an auth that is not base64") from None
        username, colon, password = pair.partition(":")
        if not colon:
            raise InvalidInput(f"the entry {source} has an auth without a colon in it")
        password = password.rstrip("\x00")
    if identity_token:
        return Credentials("" if username == "<token>" else username, "", identity_token, source)
    return Credentials(username, password, None, source) if username or password else None
