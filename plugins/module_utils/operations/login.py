# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb of registry_login: credentials checked with the registry, and kept where docker and podman look for them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ..model.errors import AccessDenied, InvalidInput, InvalidReference, NotFound, OciError, StorageError
from ..model.reference import Reference
from ..model.text import sanitise
from ..registry import credential_helpers
from ..registry.auth_file import AuthFile, Helper
from ..registry.credentials import filed_key, normal_key, usual_paths
from ..transports import files

if TYPE_CHECKING:
    from ..registry.pool import Registries

_LARGEST = 16 * 1024 * 1024
_HTTPS = "https://"
#: Path of an address that names the API, not repositories.
_VERSIONS = ("", "v1", "v2")


@dataclass(frozen=True)
class Target:
    """What credentials are for: a registry, or the repositories below a path of it."""

    host: str
    #: ``host`` or ``host/path``, as `normal_key` gives it.
    name: str


@dataclass(frozen=True)
class Change:
    """What is to be done, or what was done."""

    before: AuthFile
    after: AuthFile
    #: Who the registry was told we are, before and after; None for nobody.
    user_before: str | None = None
    user_after: str | None = None
    #: The program that keeps the credentials; None where the file does.
    helper: Helper | None = None
    calls: list[Callable[[], None]] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.calls) or self.before != self.after


def target_of(text: str) -> Target:
    """The registry in ``text``: ``host[:port][/path]``, or the address that docker has for Docker Hub.

    Raises InvalidInput.
    """
    bare = text[len(_HTTPS) :] if text.lower().startswith(_HTTPS) else text
    host, unused, path = bare.partition("/")
    path = path.strip("/")
    if bare != text and path not in _VERSIONS:
        raise InvalidInput(f"invalid registry '{sanitise(text, 200)}': leave out https://")
    name = normal_key(host if path in _VERSIONS else f"{host}/{path}")
    host, slash, path = name.partition("/")
    try:
        found = Reference.parse(f"{host}/{path or 'any/thing'}")
    except InvalidReference as exc:
        raise InvalidInput(f"invalid registry '{sanitise(text, 200)}': {exc.message}") from None
    if found.host != host or found.tag or found.digest:
        raise InvalidInput(
            f"invalid registry '{sanitise(text, 200)}': expected host[:port] with a path of repositories if need be, and a"
            " host has a dot in it, a port, or is localhost"
        )
    return Target(host, name)


def default_path(environ: Mapping[str, str], home: str) -> str:
    """The file to write where the user names none: that of ``REGISTRY_AUTH_FILE``, else docker's, which all tools read."""
    return environ.get("REGISTRY_AUTH_FILE") or usual_paths(environ, home)[-1]


def verify(target: Target, registries: Registries) -> None:
    """Show the credentials to the registry. Raises AccessDenied when it refuses them, and as a session does."""
    session = registries.client(target.host).session
    try:
        session.request("GET", "/v2/", what=f"registry {target.host}")
    except AccessDenied as exc:
        # What follows speaks of a repository, and none was asked for.
        words = exc.message.partition("; ")[0]
        raise AccessDenied(
            f"{target.host} does not accept this username and password, so nothing was written: {words}", **exc.facts
        ) from None


def log_in(target: Target, username: str, password: str, path: str, check: bool) -> Change:
    """See that the auth file at ``path``, or the helper it names, has these credentials for ``target``.

    With ``check`` only find out what would change. Raises InvalidInput for a broken file, StorageError, OciError from a
    helper, MissingRequirement.
    """
    return _edit(path, partial(_plan_login, target.name, username, password), check)


def log_out(target: Target, path: str, check: bool) -> Change:
    """See that neither the auth file at ``path`` nor the helper it names has credentials for ``target``. As `log_in`."""
    return _edit(path, partial(_plan_logout, target.name), check)


def hiding(target: Target, environ: Mapping[str, str], home: str) -> str | None:
    """The file that podman reads before docker's and that has an entry for ``target``; None if there is none."""
    for path in usual_paths(environ, home)[:-1]:
        try:
            held = AuthFile(path, _read(os.path.realpath(path)) or b"")
        except OciError:
            # Nobody gets credentials out of this one.
            continue
        if held.keys(target.name):
            return path
    return None


def _plan_login(name: str, username: str, password: str, file: AuthFile) -> Change:
    wanted = (username, password)
    helper = file.helper(name)
    if helper is None:
        held = file.credentials(name)
        before = next((one.username for one in held if one is not None), None)
        # docker finds Docker Hub under one key alone, and other registries however they are spelled.
        found = filed_key(name) in file.keys(name) or (bool(held) and filed_key(name) == name)
        same = found and all(
            one is not None and (one.username, one.password) == wanted and one.identity_token is None for one in held
        )
        return Change(file, file if same else file.with_login(name, username, password), before, username)
    kept = credential_helpers.ask(helper.program, helper.server, _source(helper, file))
    calls: list[Callable[[], None]] = []
    if kept != wanted:
        source = _source(helper, file)
        calls.append(partial(credential_helpers.keep, helper.program, helper.server, username, password, source))
    # What the file itself has of this registry would be an old secret. docker lists what its store keeps.
    if not helper.is_store:
        after = file.without(name)
    elif file.keys(name) == [filed_key(name)] and file.credentials(name) == [None]:
        after = file
    else:
        after = file.with_mark(name)
    return Change(file, after if after != file else file, kept[0] if kept else None, username, helper, calls)


def _plan_logout(name: str, file: AuthFile) -> Change:
    after = file.without(name) if file.keys(name) else file
    before = next((one.username for one in file.credentials(name) if one is not None), None)
    helper = file.helper(name)
    if helper is None:
        return Change(file, after, before)
    calls: list[Callable[[], None]] = []
    source = _source(helper, file)
    servers = [helper.server, *file.keys(name)] if helper.is_store else [helper.server]
    for server in dict.fromkeys(servers):
        kept = credential_helpers.ask(helper.program, server, source)
        if kept:
            before = before or kept[0]
            calls.append(partial(credential_helpers.forget, helper.program, server, source))
    return Change(file, after, before, None, helper, calls)


def _source(helper: Helper, file: AuthFile) -> str:
    return f"the credential helper {sanitise(helper.program, 60)} of {file.path}"


def _edit(path: str, plan: Callable[[AuthFile], Change], check: bool) -> Change:
    """Carry out what ``plan`` makes of the file at ``path``, under a lock; nothing is written where nothing changes."""
    real = _followed(path)
    change = plan(AuthFile(path, _read(real) or b""))
    if check or not change.changed:
        return change
    with files.explained("create the directory", os.path.dirname(real)):
        os.makedirs(os.path.dirname(real), 0o700, exist_ok=True)
    with _locked(real):
        # Another task may have been at it since.
        change = plan(AuthFile(path, _read(real) or b""))
        for call in change.calls:
            call()
        if change.before != change.after:
            _write(real, change.after.raw)
    return change


def _followed(path: str) -> str:
    """The file behind ``path``: a link is followed and stays, unless somebody set it who may not write there."""
    path = os.path.abspath(os.path.expanduser(path))
    if not os.path.islink(path):
        return path
    target = os.path.realpath(path)
    with files.explained("read", path):
        setter = os.lstat(path).st_uid
        owner = os.stat(target if os.path.exists(target) else os.path.dirname(target)).st_uid
    if setter not in (0, os.geteuid(), owner):
        raise StorageError(
            f"{sanitise(path, 300)} is a link of another user to {sanitise(target, 300)}, which is not followed: name the file"
        )
    return target


def _read(path: str) -> bytes | None:
    try:
        return files.read_file(path, _LARGEST, "the auth file")
    except NotFound:
        return None


@contextmanager
def _locked(path: str) -> Iterator[None]:
    # Beside the file, and gone afterwards: the directory is somebody's home.
    folder, name = os.path.split(path)
    lock = os.path.join(folder, f"{files.PREFIX}{name}.lock")
    with files.locked(lock):
        try:
            files.remove_stale(folder)
            yield
        finally:
            files.remove(lock)


def _write(path: str, data: bytes) -> None:
    """Replace the file, with the owner that it has and no more rights than it has; a new one is its owner's alone."""
    mode, owner = 0o600, None
    if os.path.exists(path):
        with files.explained("read", path):
            status = os.stat(path)
        mode &= stat.S_IMODE(status.st_mode)
        owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else None
    with files.NewFile(path) as file:
        file.write(data)
        file.keep(mode=mode, owner=owner)
    files.sync_directory(os.path.dirname(path))
