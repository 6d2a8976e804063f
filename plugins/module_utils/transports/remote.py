# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One object in a storage that is reached over the network: fetched in ranges, stored in one go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from ..model.errors import RegistryError, StorageError
from ..model.streams import BlobStream
from ..registry.route import Body

__all__ = ("Answer", "Body", "Remote", "changed")

#: Statuses by which a storage says of a URL that it may only be written: what is signed for PUT is so.
WRITE_ONLY = frozenset((401, 403, 405))


@dataclass
class Answer:
    """What came back when a range was asked for."""

    stream: BlobStream
    #: Whether the stream is that range; otherwise it is the whole object, from its first byte.
    ranged: bool
    #: Bytes of the whole object; None if the storage does not tell.
    total: int | None
    #: Tells one content of the object from another; '' if the storage does not tell.
    version: str


class Remote(ABC):
    """The object. Thread-safe. Every method raises OciError alone."""

    #: How messages name it: its URL, without what may be secret.
    name: str
    #: How often a transfer that breaks off is taken up again without getting on.
    retries: int

    @abstractmethod
    def fetch(self, start: int, end: int, version: str = "") -> Answer | None:
        """The bytes from ``start`` to before ``end``, or to the end of the object; None if there is no object, or
        nothing in it. ``version``: only of this content of the object. Raises StorageError if it has another one."""

    @abstractmethod
    def store(self, body: Body) -> None:
        """Put ``body`` in the place of the object: all of it, or the object stays as it was."""

    @abstractmethod
    def warn(self, text: str) -> None:
        """Tell the user, with the result."""


def changed(name: str) -> StorageError:
    """The error for an object that is not the one that was begun with."""
    return StorageError(f"{name} was changed while it was read: run the task again")


def is_write_only(error: RegistryError) -> bool:
    """Whether ``error``, raised by `Remote.fetch`, says that the object may not be read."""
    return error.status_code in WRITE_ONLY
