# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nameless files for what has to lie on the disk for a while: gone when they are closed, whatever happens."""

from __future__ import annotations

import os
import tempfile
from typing import IO

from . import files

_LASTING = "/var/tmp"


def directory(given: str | None = None) -> str:
    """Where large things go: ``given``, else TMPDIR, else /var/tmp, because /tmp is often memory."""
    if given or os.environ.get("TMPDIR"):
        return given or tempfile.gettempdir()
    return _LASTING if os.access(_LASTING, os.W_OK | os.X_OK) else tempfile.gettempdir()


def nameless(given: str | None = None, size: int = 0) -> IO[bytes]:
    """A new file in `directory`, where ``size`` bytes have to fit. Raises StorageError."""
    place = directory(given)
    files.need(place, size)
    with files.explained("write", place):
        return tempfile.TemporaryFile(prefix=files.PREFIX, dir=place)
