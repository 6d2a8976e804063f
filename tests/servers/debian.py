# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's archive as this machine's apt reaches it, and packages of it that are not for this machine."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

from .process import ServerFailed, run

KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SOURCES = pathlib.Path("/etc/apt/sources.list.d/debian.sources")
_SOURCE_LIST = pathlib.Path("/etc/apt/sources.list")


class Archive(NamedTuple):
    """Where Debian's releases are, and where their security updates are."""

    releases: str
    security: str

    def lines(self, release: str) -> list[str]:
        """The lines of an apt source list for a release with its updates."""
        option = f"[signed-by={KEYRING}]"
        return [
            f"deb {option} {self.releases} {release} main",
            f"deb {option} {self.releases} {release}-updates main",
            f"deb {option} {self.security} {release}-security main",
        ]


def archive() -> Archive:
    """Where this machine gets Debian from; `ServerFailed` when its sources do not say."""
    releases = security = ""
    for uri, suites in _sources():
        if any(suite.endswith("-security") for suite in suites):
            security = security or uri
        else:
            releases = releases or uri
    if not releases or not security:
        raise ServerFailed(f"neither {_SOURCES} nor {_SOURCE_LIST} says where Debian's archive and its security updates are")
    return Archive(releases, security)


def download(package: str, folder: pathlib.Path, *, architecture: str, release: str | None = None) -> pathlib.Path:
    """Fetch a package of any architecture into ``folder``, verified by apt as every package is.

    ``release`` is the Debian release to take it from; this machine's own if not given.
    """
    state, cache, parts = folder / "state", folder / "cache", folder / "parts"
    for directory in (state / "lists" / "partial", cache / "archives" / "partial", parts):
        directory.mkdir(parents=True)
    (folder / "status").touch()
    # Debian's own archive alone: others need not have the architecture.
    if release is not None:
        (parts / "debian.list").write_text("\n".join(archive().lines(release)) + "\n", encoding="utf-8")
    elif _SOURCES.exists():
        (parts / _SOURCES.name).write_bytes(_SOURCES.read_bytes())
    elif _SOURCE_LIST.exists():
        (parts / "debian.list").write_bytes(_SOURCE_LIST.read_bytes())
    else:
        raise ServerFailed(f"neither {_SOURCES} nor {_SOURCE_LIST} says where Debian's archive is")
    options = {
        "Dir::State": state,
        "Dir::State::status": folder / "status",
        "Dir::Cache": cache,
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": parts,
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    config = folder / "apt.conf"
    config.write_text("".join(f'{key} "{value}";\n' for key, value in options.items()), encoding="utf-8")
    run(["apt-get", "--config-file", str(config), "-q", "update"], timeout=300)
    run(["env", "-C", str(folder), "apt-get", "--config-file", str(config), "-q", "download", package], timeout=300)
    return next(folder.glob(f"{package}_*.deb"))


def _sources() -> list[tuple[str, list[str]]]:
    """Each address in this machine's sources of Debian, with its suites."""
    found = []
    if _SOURCES.exists():
        for stanza in _SOURCES.read_text(encoding="utf-8").split("\n\n"):
            lines = [line for line in stanza.splitlines() if not line.startswith("#")]
            fields = {key.lower(): value.split() for key, dummy, value in (line.partition(":") for line in lines)}
            found += [(uri.rstrip("/"), fields.get("suites", [])) for uri in fields.get("uris", [])]
    elif _SOURCE_LIST.exists():
        for line in _SOURCE_LIST.read_text(encoding="utf-8").splitlines():
            words = line.partition("#")[0].split()
            if words[:1] == ["deb"]:
                place = next(number for number, word in enumerate(words) if "://" in word)
                found.append((words[place].rstrip("/"), [words[place + 1]]))
    return found
