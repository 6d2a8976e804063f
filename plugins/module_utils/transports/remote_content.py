# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives in a storage, opened: read where they lie, or, where that is not possible, from a nameless copy on the disk."""

from __future__ import annotations

import os
from typing import Any

from ..model.digest import CHUNK
from ..model.errors import NetworkError, StorageError
from ..model.streams import Readable
from . import compressed, files, spool
from .archive_content import Content, content_in, content_of
from .archive_source import SharedArchive
from .remote import Answer, Remote
from .remote_reader import WINDOW, RemoteReader, RemoteStream, read_all
from .tar_reader import Tar


class NotInPlace(StorageError):
    """The archive cannot be read where it lies, and nobody asked for a copy."""


class RemoteArchive(SharedArchive):
    """A `SharedArchive` over ``remote``. ``temporary`` is where a copy goes if one is needed, None for the system's."""

    joint = "#"

    def __init__(self, remote: Remote, temporary: str | None = None) -> None:
        super().__init__(remote.name, remote.name, temporary)
        self._remote = remote
        self._directory = spool.directory(temporary)

    def _open(self) -> Content | None:
        return open_remote(self._remote, self._directory)


def open_remote(remote: Remote, directory: str | None) -> Content | None:
    """The archive at ``remote``; None if there is nothing.

    One that is compressed as a whole, or whose server knows no ranges, is copied to a nameless file in ``directory``;
    if that is None NotInPlace is raised instead. Raises what `archive_content.content_of` and `Remote.fetch` raise.
    """
    answer = remote.fetch(0, WINDOW)
    if answer is None or answer.total == 0:
        return None
    if not answer.ranged:
        if directory is None:
            answer.stream.close()
            raise NotInPlace(f"{remote.name} cannot be read in parts")
        return _copied(remote, answer, directory)
    if answer.total is None:
        answer.stream.close()
        raise StorageError(f"the server does not tell how large {remote.name} is")
    head = read_all(RemoteStream(remote, 0, min(WINDOW, answer.total), answer.version, answer))
    packing = compressed.kind(head)
    if packing is None:
        return content_of(Tar(RemoteReader(remote, answer.total, answer.version, head), remote.name))
    if directory is None:
        raise NotInPlace(f"{remote.name} is compressed")
    stream = RemoteStream(remote, 0, answer.total, answer.version)
    try:
        # The decompressors read, and ask how far they are.
        source: Any = _Counted(stream)
        return content_of(Tar(_copy(compressed.Unpacked(source, packing, remote.name), directory), remote.name))
    finally:
        stream.close()


def _copied(remote: Remote, answer: Answer, directory: str) -> Content | None:
    """From a server without ranges: if the transfer breaks off, all of it once more."""
    tries = 0
    while True:
        tries += 1
        try:
            handle = _copy(answer.stream, directory, answer.total or 0)
            break
        except NetworkError as exc:
            if not exc.transient or tries > remote.retries:
                raise exc.about(remote.name) from None
        finally:
            answer.stream.close()
        again = remote.fetch(0, WINDOW)
        if again is None:
            return None
        answer = again
    return content_in(handle, remote.name, directory)


def _copy(stream: Readable, directory: str, size: int = 0) -> int:
    # The descriptor of a file without a name: nothing is left, however we end.
    target = spool.nameless(directory, size)
    try:
        while True:
            data = stream.read(CHUNK)
            with files.explained("write", directory):
                if not data:
                    target.flush()
                    os.lseek(target.fileno(), 0, os.SEEK_SET)
                    return os.dup(target.fileno())
                target.write(data)
    finally:
        target.close()


class _Counted:
    """A stream that knows how far it is."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._count = 0

    def read(self, size: int = CHUNK, /) -> bytes:
        data = self._stream.read(size if size > 0 else CHUNK)
        self._count += len(data)
        return data

    def tell(self) -> int:
        return self._count
