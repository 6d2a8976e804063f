# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tar archives read where they lie: the members are listed once, and nothing is ever extracted (S13, S14)."""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple

from ..model.errors import ArchiveError, NotFound, StorageError
from ..model.streams import BlobStream
from ..model.text import sanitise
from . import tar_headers
from .readers import FileReader, Reader
from .tar_headers import BLOCK, ZERO, Header

#: More members than this are refused: a list of as many takes some 120 MiB.
MEMBERS = 500_000
#: Largest extended header, in bytes.
_EXTENSION = 1024 * 1024
# Headers of small members lie close together: they are read many at once.
_WINDOW = 128 * 1024
_REGULAR = frozenset({tar_headers.REGULAR, tar_headers.OLD_REGULAR, tar_headers.CONTIGUOUS})
_WITHOUT_DATA = frozenset({tar_headers.HARD_LINK, tar_headers.SYMBOLIC_LINK, tar_headers.DIRECTORY})
_REFUSED = {b"3": "a device", b"4": "a device", b"6": "a named pipe", b"S": "a sparse file"}
# Names that an image archive can refer to. Everything else is passed over.
_WANTED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+=-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.:@+=-]*){0,7}")
#: Longest of these, in characters: names are kept in memory.
_LONGEST = 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Member(NamedTuple):
    """Where the bytes of a file lie in the archive."""

    offset: int
    size: int


class Tar:
    """The members of an open archive by name. Thread-safe; ``archive``, a descriptor or a `Reader`, is its own now."""

    def __init__(self, archive: int | Reader, what: str) -> None:
        """List the members. ``what`` names the archive in errors. Raises ArchiveError, StorageError."""
        self.what = what
        self._reader: Reader = FileReader(archive, what) if isinstance(archive, int) else archive
        self.size = self._reader.size
        self._members: dict[str, Member] = {}
        self._links: dict[str, str] = {}
        self._twice: set[str] = set()
        try:
            _Walker(self, self._members, self._links, self._twice).walk()
        except ArchiveError as exc:
            self.close()
            raise ArchiveError(f"{what} cannot be read: {exc.message}") from None
        except BaseException:
            self.close()
            raise

    def __contains__(self, name: str) -> bool:
        return name in self._members or name in self._links

    def member(self, name: str) -> Member:
        """The file ``name``, one symbolic link inside the archive followed. Raises NotFound, ArchiveError (S13)."""
        if name in self._twice:
            raise ArchiveError(f"{self.what} holds {sanitise(name, 140)} twice")
        found = self._members.get(name)
        if found is not None:
            return found
        target = self._links.get(name)
        if target is None:
            raise NotFound(f"{self.what} holds no {sanitise(name, 140)}")
        found = self._members.get(target)
        if found is None or target in self._twice:
            raise ArchiveError(f"{self.what}: {sanitise(name, 140)} is a link to what is no file of the archive")
        return found

    def own_member(self, name: str) -> Member:
        """`member`, for what may not be a link."""
        if name in self._links:
            raise ArchiveError(f"{self.what}: {sanitise(name, 140)} is a link and not a file")
        return self.member(name)

    def read(self, name: str, limit: int) -> bytes:
        """The whole of the small file ``name``. Raises as `own_member`, and ArchiveError beyond ``limit`` bytes."""
        return self.content(self.own_member(name), limit, name)

    def content(self, member: Member, limit: int, name: str) -> bytes:
        """The bytes of ``member``, at most ``limit``. Raises ArchiveError, StorageError."""
        if member.size > limit:
            shown = sanitise(name, 140)
            raise ArchiveError(f"{self.what}: {shown} has {member.size} bytes, more than the {limit} allowed")
        data = self.pread(member.size, member.offset)
        if len(data) != member.size:
            raise ArchiveError(f"{self.what} became shorter while it was read")
        return data

    def stream(self, member: Member, offset: int = 0) -> BlobStream:
        """The bytes of ``member`` from ``offset``."""
        return self._reader.stream(member.offset + offset, max(0, member.size - offset))

    def pread(self, size: int, offset: int) -> bytes:
        """``size`` bytes from ``offset``, fewer at the end of the archive alone. Raises OciError."""
        return self._reader.pread(size, offset)

    @property
    def handle(self) -> int:
        """The descriptor of an archive that is a file. Raises StorageError when it is closed, or none."""
        if not isinstance(self._reader, FileReader):
            raise StorageError(f"{self.what} is no file")
        return self._reader.handle

    def close(self) -> None:
        """Close the archive. May be called twice."""
        self._reader.close()


class _Walker:
    """One pass over the headers. Every step goes forward by a block at least, so that it ends (S14)."""

    def __init__(self, tar: Tar, members: dict[str, Member], links: dict[str, str], twice: set[str]) -> None:
        self._tar = tar
        self._members = members
        self._links = links
        self._twice = twice
        self._window = b""
        self._start = 0
        # What the extended headers in front of a member say of it.
        self._name: str | None = None
        self._link: str | None = None
        self._pax: dict[str, str] | None = None

    def walk(self) -> None:
        offset = count = step = 0
        end = self._tar.size
        while offset < end:
            block = self._block(offset, step)
            if block == ZERO:
                following = self._block(offset + BLOCK, 0) if offset + BLOCK < end else ZERO
                if following != ZERO:
                    raise ArchiveError("something follows the end of the tar archive")
                break
            if offset == 0:
                try:
                    header = tar_headers.decode(block)
                except ArchiveError:
                    raise ArchiveError("it is no tar archive") from None
            else:
                header = tar_headers.decode(block)
            count += 1
            if count > MEMBERS:
                raise ArchiveError(f"it has more than {MEMBERS} members")
            size = self._take(header, offset + BLOCK)
            step = BLOCK + tar_headers.padded(size)
            # The padding of the last member may be missing, its bytes may not.
            if offset + BLOCK + size > end:
                raise ArchiveError("it is cut short: the last file in it is not whole")
            offset += step
        if self._name is not None or self._link is not None or self._pax is not None:
            raise ArchiveError("it is cut short after an extended header")

    def _block(self, offset: int, step: int) -> bytes:
        at = offset - self._start
        block = self._window[at : at + BLOCK] if at >= 0 else b""
        if len(block) < BLOCK:
            # After a large member the next one is likely to be large as well.
            self._window = self._tar.pread(BLOCK if step > _WINDOW else _WINDOW, offset)
            self._start = offset
            block = self._window[:BLOCK]
            if len(block) < BLOCK:
                raise ArchiveError("it is cut short in the middle of a header")
        return block

    def _take(self, header: Header, offset: int) -> int:
        """Note the member; returns the size of its data."""
        kind = header.kind
        if kind in (tar_headers.PAX, tar_headers.PAX_GLOBAL, tar_headers.LONG_NAME, tar_headers.LONG_LINK):
            self._extend(header, offset)
            return header.size
        if self._pax is None and self._name is None and self._link is None:
            name, size, link = _decoded(header.name), header.size, header.link
        else:
            name, size, link = self._extended(header)
        if kind in _REGULAR and not name.endswith("/"):
            kept = _checked(name)
            if kept:
                self._add(kept, Member(offset, size))
            return size
        if kind not in _WITHOUT_DATA and kind not in _REGULAR:
            word = _REFUSED.get(kind, "of an unknown kind")
            raise ArchiveError(f"{sanitise(name, 140)} is {word}, which no image archive holds")
        if size:
            raise ArchiveError(f"{sanitise(name, 140)} is a directory or link with data")
        kept = _checked(name.rstrip("/"))
        if kept and kind == tar_headers.SYMBOLIC_LINK:
            self._add_link(kept, _decoded(link))
        elif kept and kind == tar_headers.HARD_LINK:
            target = self._members.get(_checked(_decoded(link)))
            if target is None:
                raise ArchiveError(f"{sanitise(name, 140)} is a hard link to what is no earlier file of the archive")
            self._add(kept, target)
        return 0

    def _add(self, name: str, member: Member) -> None:
        if name not in self._members and name not in self._links:
            self._members[name] = member
        elif not name.startswith("blobs/"):
            # Of blobs any will do, their digest decides. Of others, two readers could take two different ones.
            self._twice.add(name)

    def _add_link(self, name: str, target: str) -> None:
        if name in self._members or name in self._links:
            self._twice.add(name)
        # Where it leads is looked at when someone wants to follow it; out of the archive is nowhere.
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        self._links[name] = target if _is_wanted(target) else ""

    def _extend(self, header: Header, offset: int) -> None:
        if header.size > _EXTENSION:
            raise ArchiveError(f"an extended header has {header.size} bytes, more than the {_EXTENSION} allowed")
        data = self._tar.pread(header.size, offset)
        if header.kind in (tar_headers.PAX, tar_headers.PAX_GLOBAL):
            records = tar_headers.records(data)
            if any(key.startswith("GNU.sparse.") for key in records):
                raise ArchiveError("it holds a sparse file")
            if header.kind == tar_headers.PAX_GLOBAL:
                # Readers disagree about what these change, so they may change nothing that matters.
                if records.keys() & {"path", "linkpath", "size"}:
                    raise ArchiveError("it has a global header for names or sizes")
                return
            if self._pax is not None:
                raise ArchiveError("it has two extended headers for one file")
            self._pax = records
            return
        text = _decoded(data.partition(b"\0")[0])
        if header.kind == tar_headers.LONG_NAME:
            if self._name is not None:
                raise ArchiveError("it has two names for one file")
            self._name = text
        else:
            if self._link is not None:
                raise ArchiveError("it has two targets for one link")
            self._link = text

    def _extended(self, header: Header) -> tuple[str, int, bytes]:
        pax = self._pax or {}
        if (self._name is not None and "path" in pax) or (self._link is not None and "linkpath" in pax):
            raise ArchiveError("it has two names for one file")
        name = pax.get("path", self._name)
        link = pax.get("linkpath", self._link)
        size = header.size
        if "size" in pax:
            if not (pax["size"].isascii() and pax["size"].isdigit() and len(pax["size"]) < 20):
                raise ArchiveError(f"a member has the impossible size {sanitise(pax['size'], 40)}")
            size = tar_headers.checked_size(int(pax["size"]))
        self._name = self._link = self._pax = None
        return (
            _decoded(header.name) if name is None else name,
            size,
            header.link if link is None else link.encode("utf-8", "surrogateescape"),
        )


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _checked(name: str) -> str:
    """``name`` as it is looked up, '' if nobody will. Raises ArchiveError for a name that leads out of the archive."""
    if _is_wanted(name):
        return name
    if _CONTROL.search(name) or name.startswith("/") or ".." in name.split("/"):
        raise ArchiveError(f"it holds a file with the forbidden name '{sanitise(name, 140)}'")
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    return name if _is_wanted(name) else ""


def _is_wanted(name: str) -> bool:
    return len(name) <= _LONGEST and _WANTED.fullmatch(name) is not None
