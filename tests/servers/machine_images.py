# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole systems of Debian and Ubuntu with systemd, as tarballs that become containers; made by mmdebstrap.

A tarball is made once a day for what it is made of and kept, since making one takes half a minute. It holds apt's lists, so
that nothing needs an update before it installs.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import tempfile
import time
from collections.abc import Iterator

from . import debian
from .process import ServerFailed, run

DEBIAN = ("bookworm", "trixie")
UBUNTU = ("noble",)
RELEASES = (*DEBIAN, *UBUNTU)

_PACKAGES = (
    "apt", "sudo", "systemd", "systemd-sysv", "dbus", "python3", "python3-apt", "ca-certificates", "openssl", "iproute2", "procps",
)  # fmt: skip
# Of no use to a container, or at work behind a test's back.
_MASKED = ("systemd-modules-load.service", "apt-daily.timer", "apt-daily-upgrade.timer", "fstrim.timer", "e2scrub_all.timer")
_APT = (
    'Acquire::Languages "none"',
    'APT::Install-Recommends "false"',
    'APT::Keep-Downloaded-Packages "true"',
    'DPkg::Lock::Timeout "300"',
)
_DPKG = ("force-unsafe-io", "path-exclude=/usr/share/man/*", "path-exclude=/usr/share/locale/*", "path-exclude=/usr/share/doc/*")
# After this the packages that the lists in a tarball name may have left the archive.
_FRESH_SECONDS = 24 * 3600
_BUILD_SECONDS = 1200
# The Debian release whose package of Ubuntu's keys is new enough; Debian 12 has none.
_KEYRING_RELEASE = "trixie"


def tarball(release: str, cache: pathlib.Path) -> pathlib.Path:
    """The system of ``release`` (one of `RELEASES`), made in ``cache`` if it is not there or is older than a day."""
    if release not in RELEASES:
        raise ServerFailed(f"{release} is none of {', '.join(RELEASES)}")
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / f"{release}-{_made_of(release)}.tar"
    with _locked(cache / f"{release}.lock"):
        if not kept.exists() or time.time() - kept.stat().st_mtime > _FRESH_SECONDS:
            for old in cache.glob(f"{release}-*.tar"):
                old.unlink()
            with tempfile.TemporaryDirectory(dir=cache, prefix=f".{release}-") as name:
                made = pathlib.Path(name) / "system.tar"
                _build(release, made)
                os.replace(made, kept)
    return kept


def _made_of(release: str) -> str:
    """Short name of everything that goes into a tarball but the day's packages."""
    parts = [release, _PACKAGES, _MASKED, _APT, _DPKG, debian.archive()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _build(release: str, made: pathlib.Path) -> None:
    command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}"]
    command += [f"--aptopt={option}" for option in _APT] + [f"--dpkgopt={option}" for option in _DPKG]
    command += ["--skip=cleanup/apt/lists", f"--customize-hook=chroot \"$1\" systemctl mask {' '.join(_MASKED)}"]
    if release in DEBIAN:
        run([*command, release, str(made), *debian.archive().lines(release)], timeout=_BUILD_SECONDS)
        return
    with tempfile.TemporaryDirectory(prefix="longshore-keys-") as name:
        # apt's own user reads them.
        os.chmod(name, 0o755)
        keys = _ubuntu_keys(pathlib.Path(name))
        # mmdebstrap knows where Ubuntu is, and the system gets a copy of the keys by a package of its own.
        run([*command, f"--keyring={keys}", "--components=main,universe", release, str(made)], timeout=_BUILD_SECONDS)


def _ubuntu_keys(folder: pathlib.Path) -> pathlib.Path:
    """The keys of Ubuntu's archive, from Debian's package of them, which apt verifies."""
    architecture = run(["dpkg", "--print-architecture"]).decode().strip()
    package = debian.download("ubuntu-keyring", folder, architecture=architecture, release=_KEYRING_RELEASE)
    run(["dpkg-deb", "--extract", str(package), str(folder / "content")])
    return folder / "content" / "usr" / "share" / "keyrings" / "ubuntu-archive-keyring.gpg"


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    """Hold a lock that one process at a time gets."""
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
