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
import tempfile
from collections.abc import Sequence

from . import images
from .debian import download
from .process import run

GREETING = "hello from longshore"
_APPLETS = ("cat", "echo", "ls", "sh", "sleep", "uname")


def busybox(architecture: str, cache: str | os.PathLike[str]) -> bytes:
    """The static busybox of a Debian architecture (``amd64``, ``arm64``); fetched once into ``cache``."""
    kept = pathlib.Path(cache).resolve() / f"busybox-{architecture}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix="busybox-") as name:
            folder = pathlib.Path(name)
            package = download("busybox-static", folder, architecture=architecture)
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
