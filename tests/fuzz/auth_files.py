# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Auth files: read as podman and docker read them, edited so that all else stays, and never shown."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import OciError
from ansible_collections.longshore.oci.plugins.module_utils.registry.auth_file import AuthFile
from ansible_collections.longshore.oci.plugins.module_utils.registry.credentials import (
    Credentials,
    CredentialStore,
    basic_authorization,
    check_credentials,
    normal_key,
)
from ansible_collections.longshore.oci.tests.fuzz.oracle import check_message, expect, tried

_NAME, _USER, _PASSWORD = "registry.example", "user", "pass:word"
_SECRETS = ("auth", "password", "identitytoken")
# Shorter ones are in a message by chance.
_TELLING = 8


def check(data: bytes) -> None:
    """``data`` is the file."""
    secrets = _secrets_in(data)
    for host, repository in (("docker.io", "library/a"), (_NAME, "a/b"), *_hosts_in(data)):
        _no_secret(secrets, _find, data, host, repository)
    _no_secret(secrets, _edit, data)


def _find(data: bytes, host: str, repository: str) -> None:
    found = _lookup(data, host, repository)
    if found is not None:
        _sent(found)


def _lookup(data: bytes, host: str, repository: str) -> Credentials | None:
    handle = os.memfd_create("auth")
    try:
        os.write(handle, data)
        store = CredentialStore(f"/proc/self/fd/{handle}", environ={"PATH": "/nonexistent"}, home="/nonexistent")
        return store.find(host, repository)
    finally:
        os.close(handle)


def _sent(found: Credentials) -> None:
    expect(found.password not in repr(found) or len(found.password) < _TELLING, "no password is in a representation")
    check_credentials(found)
    header = basic_authorization(found)
    expect(header.isascii() and "\n" not in header, "credentials make one header line")


def _edit(data: bytes) -> None:
    file = AuthFile("file", data)
    expect(AuthFile("file", file.raw) == file, "a file is written as it is read")
    helper = file.helper(_NAME)
    changed = file.with_login(_NAME, _USER, _PASSWORD)
    held = changed.credentials(_NAME)
    expect([(one.username, one.password) for one in held if one] == [(_USER, _PASSWORD)], "one entry has the new credentials")
    others = [key for key in file.registries() if normal_key(key) != _NAME]
    expect([key for key in changed.registries() if normal_key(key) != _NAME] == others, "the other entries stay, in order")
    before, after = json.loads(data.strip() or b"{}"), json.loads(changed.raw)
    before, after = ({key: value for key, value in one.items() if key != "auths"} for one in (before, after))
    expect(before == after, "all that is not an entry stays")
    if helper is None:
        found = _lookup(changed.raw, _NAME, "a/b")
        expect(found is not None, "what is written is found")
    expect(not changed.without(_NAME).keys(_NAME), "what is taken out is gone")
    expect(changed.without(_NAME).registries() == others, "what is taken out takes nothing along")


def _no_secret(secrets: list[str], call: Any, *arguments: Any) -> None:
    try:
        call(*arguments)
    except OciError as exc:
        check_message(exc.message)
        for secret in secrets:
            expect(secret not in exc.message, f"no secret is in a message: {exc.message!r}")


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _entries(data: bytes) -> dict[str, Any]:
    auths = _document(data).get("auths")
    return auths if isinstance(auths, dict) else {}


def _hosts_in(data: bytes) -> list[tuple[str, str]]:
    return [(host, path) for host, unused, path in (normal_key(key).partition("/") for key in list(_entries(data))[:4])]


def _secrets_in(data: bytes) -> list[str]:
    entries = _entries(data)
    names = "".join(entries)
    held = [entry.get(name) for entry in entries.values() if isinstance(entry, dict) for name in _SECRETS]
    # A text that is a registry's name, or a part of what every message says, tells nothing.
    said = json.dumps(sorted(_document(data))) + names
    texts = [one for one in held if isinstance(one, str) and len(one) >= _TELLING and not one.isspace()]
    return [one for one in texts if one not in said and not tried(_is_ours, one)]


def _is_ours(text: str) -> bool:
    return text in "the entry is not an object has an auth that is not base64 without a colon in it of a wrong type"
