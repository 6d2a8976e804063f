# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image that starts: Debian's static busybox, for amd64 and arm64.

The packages come from Debian's archive by apt, arm64's through a package state of its own, so that the machine's list
of architectures stays as it is. They are kept in the directory that the caller names.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
from collections.abc import Sequence

from . import images
from .process import ServerFailed, run

GREETING = "hello from longshore"
_APPLETS = ("cat", "echo", "ls", "sh", "sleep", "uname")
_SOURCES = pathlib.Path("/etc/apt/sources.list.d/debian.sources")
_SOURCE_LIST = pathlib.Path("/etc/apt/sources.list")


def busybox(architecture: str, cache: str | os.PathLike[str]) -> bytes:
    """The static busybox of a Debian architecture (``amd64``, ``arm64``); fetched once into ``cache``."""
    kept = pathlib.Path(cache).resolve() / f"busybox-{architecture}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix="busybox-") as name:
            folder = pathlib.Path(name)
            package = _download("busybox-static", architecture, folder)
            run(["dpkg-deb", "--extract", str(package), str(folder / "content")])
            found = folder / "content" / "bin" / "busybox"
            if not found.exists():
                found = folder / "content" / "usr" / "bin" / "busybox"
            os.replace(found, kept)
    return kept.read_bytes()


def runnable(
    cache: str | os.PathLike[str],
    architectures: Sequence[str] = ("amd64", "arm64"),
    *,
    kind: str = images.OCI,
    greeting: str = GREETING,
) -> images.Pushable:
    """An image that prints ``greeting`` when it is started: an index if there are several architectures.

    It has two layers: busybox with a few of its names, and a file with the greeting.
    """
    built = []
    for architecture in architectures:
        tools = images.layer(
            {"bin/busybox": busybox(architecture, cache)}, links={f"bin/{name}": "busybox" for name in _APPLETS}
        )
        text = images.layer({"etc/greeting": f"{greeting}\n".encode()}, mode=0o644)
        config = {"Cmd": ["/bin/cat", "/etc/greeting"], "Env": ["PATH=/bin"]}
        platform = f"linux/{architecture}/v8" if architecture == "arm64" else f"linux/{architecture}"
        built.append(images.image(platform, [tools, text], kind=kind, config=config))
    return built[0] if len(built) == 1 else images.index(built, kind=kind)


def _download(package: str, architecture: str, folder: pathlib.Path) -> pathlib.Path:
    """Fetch a package of any architecture, verified by apt as every package is."""
    state, cache, parts = folder / "state", folder / "cache", folder / "parts"
    for directory in (state / "lists" / "partial", cache / "archives" / "partial", parts):
        directory.mkdir(parents=True)
    (folder / "status").touch()
    # Debian's own archive alone: others need not have the architecture.
    if _SOURCES.exists():
        shutil.copy(_SOURCES, parts)
    elif _SOURCE_LIST.exists():
        shutil.copy(_SOURCE_LIST, parts / "debian.list")
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
