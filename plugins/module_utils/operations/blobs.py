# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small blobs read whole and verified."""

from __future__ import annotations

from ..model.descriptor import Descriptor
from ..model.digest import VerifyingReader
from ..model.errors import SizeMismatch
from ..model.text import size_words
from ..transports.base import ImageSource


def read_blob(source: ImageSource, descriptor: Descriptor, limit: int) -> bytes:
    """The bytes of a blob of at most ``limit`` bytes, verified. Raises SizeMismatch beyond it, DigestMismatch."""
    if descriptor.data is not None:
        return descriptor.data
    if descriptor.size > limit:
        raise SizeMismatch(
            f"{descriptor.digest} has {size_words(descriptor.size)}, more than the {size_words(limit)} read at once"
        )
    stream = source.open_blob(descriptor)
    try:
        return b"".join(VerifyingReader(stream, descriptor.digest, descriptor.size))
    finally:
        stream.close()
