# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""References, locations and platforms: what is understood is written back as itself."""

from __future__ import annotations

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.location import DOCKER
from ansible_collections.longshore.oci.plugins.module_utils.model.platform import Platform
from ansible_collections.longshore.oci.plugins.module_utils.model.reference import Reference, looks_like_host
from ansible_collections.longshore.oci.plugins.module_utils.transports import archive_names, docker_manifest, table
from ansible_collections.longshore.oci.tests.fuzz.oracle import expect, tried

_LOCAL = Platform.of("linux", "arm", "v7")


def check(data: bytes) -> None:
    """``data`` as everything that a user writes as a name."""
    text = data.decode("utf-8", "surrogateescape")
    _reference(text)
    _location(text)
    _platform(text)
    tried(archive_names.canonical, "oci-archive", text)
    tried(archive_names.canonical, "docker-archive", text)
    name = docker_manifest.full_name(text)
    expect(not name or docker_manifest.full_name(name) == name, f"{name!r} is a whole reference")


def _reference(text: str) -> None:
    looks_like_host(text)
    found = tried(Reference.parse, text)
    if found is None:
        return
    expect(text.isascii(), f"{text!r} is in the grammar")
    for one in (found, found.with_default_tag()):
        expect(Reference.parse(str(one)) == one, f"{str(one)!r} is the text of what {text!r} means")
        expect(Reference.parse(one.familiar) == one, f"{one.familiar!r} is short for {str(one)!r}")
        expect(one.is_same_image(one), f"{str(one)!r} is itself")
    expect(not {"..", ""} & set(found.repository.split("/")), f"{found.repository!r} leads nowhere else")
    expect(found.digest is None or Digest.parse(str(found.digest)) == found.digest, "a digest is the text of itself")


def _location(text: str) -> None:
    found = tried(table.parse, text)
    if found is None:
        return
    if not found.is_url:
        # The query of a URL is not shown.
        expect(table.parse(str(found)) == found, f"{str(found)!r} is the text of what {text!r} means")
    tried(found.reference)
    if found.transport == DOCKER:
        return
    parts = tried(found.path_and_rest)
    if parts is not None:
        path, name, number = parts
        rest = name if number is None else f"@{number}"
        expect(bool(path), "a location has a path")
        again = table.parse(("" if found.is_url else f"{found.transport}:") + path + (found.joint + rest if rest else ""))
        expect(again.path_and_rest() == parts, f"{text!r} is read the same in its own words")


def _platform(text: str) -> None:
    found = tried(Platform.parse, text)
    if found is None or text == "local":
        return
    expect(Platform.parse(str(found)) == found, f"{str(found)!r} is the text of what {text!r} means")
    expect(found.accepts(found), f"{str(found)!r} accepts itself")
    expect(found.best([found]) == 0, f"{str(found)!r} is the best for itself")
    expect(Platform.from_json(found.to_json()) == found, f"{str(found)!r} comes back out of JSON")
    _LOCAL.best([found])
