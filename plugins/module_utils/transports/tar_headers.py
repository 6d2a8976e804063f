# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The headers of tar members: written in one fixed form, read strictly (POSIX pax, "ustar Interchange Format")."""

from __future__ import annotations

import zlib
from typing import NamedTuple

from ..model.errors import ArchiveError
from ..model.text import sanitise

BLOCK = 512
ZERO = bytes(BLOCK)
#: What an archive ends with.
END = ZERO * 2

REGULAR = b"0"
OLD_REGULAR = b"\0"
CONTIGUOUS = b"7"
HARD_LINK = b"1"
SYMBOLIC_LINK = b"2"
DIRECTORY = b"5"
PAX = b"x"
PAX_GLOBAL = b"g"
LONG_NAME = b"L"
LONG_LINK = b"K"

_LARGEST_OCTAL = 8**11 - 1
_LARGEST = 2**63 - 1
_NAME, _PREFIX = 100, 155
_SPACES = b" " * 8
# The modulus of the sum that zlib keeps: it adds up bytes much faster than Python.
_MODULUS = 65521


class Header(NamedTuple):
    """What one header says. ``size`` is that of the data behind it, in bytes."""

    name: bytes
    kind: bytes
    size: int
    link: bytes


def padded(size: int) -> int:
    """The bytes that ``size`` bytes of data take in an archive."""
    return (size + BLOCK - 1) // BLOCK * BLOCK


def encode(name: str, size: int) -> bytes:
    """All that goes in front of the data of a regular file: one header, or three where ustar cannot say it.

    The bytes depend on ``name`` (ASCII) and ``size`` alone: mode 0444, owner 0, time 0. Beyond 8 GiB - 1 and for names
    that do not fit, a pax extended header says what is cut short in the plain one.
    """
    prefix, short = _split(name)
    records = {}
    if short is None:
        records["path"] = name
        prefix, short = "", name[:_NAME]
    if size > _LARGEST_OCTAL:
        records["size"] = str(size)
    plain = _header(short, prefix, size if size <= _LARGEST_OCTAL else 0, REGULAR)
    if not records:
        return plain
    body = b"".join(_record(key, value) for key, value in sorted(records.items()))
    return _header("PaxHeaders/" + short[-80:], "", len(body), PAX) + body.ljust(padded(len(body)), b"\0") + plain


def _split(name: str) -> tuple[str, str | None]:
    if len(name) <= _NAME:
        return "", name
    cut = name.rfind("/", 0, _PREFIX + 1)
    if cut <= 0 or len(name) - cut - 1 > _NAME:
        return "", None
    return name[:cut], name[cut + 1 :]


def _record(key: str, value: str) -> bytes:
    # A record begins with its own length, the digits of the length included.
    rest = f" {key}={value}\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return f"{length}{rest}".encode()


def _header(name: str, prefix: str, size: int, kind: bytes) -> bytes:
    fields = b"".join(
        (
            name.encode("ascii").ljust(_NAME, b"\0"),
            b"0000444\0",
            b"0000000\0" * 2,
            b"%011o\0" % size,
            b"%011o\0" % 0,
            _SPACES,
            kind,
            bytes(100),
            b"ustar\x0000",
            bytes(64),
            b"0000000\0" * 2,
            prefix.encode("ascii").ljust(_PREFIX, b"\0"),
            bytes(12),
        )
    )
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def decode(block: bytes) -> Header:
    """The header in ``block`` of 512 bytes. Raises ArchiveError when it is none, or has a size that no file has."""
    checksum = _octal(block[148:156], "checksum")
    found = zlib.adler32(block[156:], zlib.adler32(_SPACES, zlib.adler32(block[:148]))) & 0xFFFF
    if found != (checksum + 1) % _MODULUS and checksum != _signed_sum(block):
        raise ArchiveError("a header of the tar archive has a wrong checksum")
    name = _text(block[:100])
    magic = block[257:265]
    if magic.startswith(b"ustar\0"):
        prefix = _text(block[345:500])
        if prefix:
            name = prefix + b"/" + name
    return Header(name, block[156:157], _size(block[124:136]), _text(block[157:257]))


def _signed_sum(block: bytes) -> int:
    # What some old systems wrote.
    fields = block[:148] + _SPACES + block[156:]
    return sum(byte - 256 if byte > 127 else byte for byte in fields)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _size(field: bytes) -> int:
    if field[0] & 0x80:
        # GNU's base 256, in two's complement.
        negative = field[0] == 0xFF
        size = int.from_bytes(field, "big", signed=negative) - (0 if negative else 0x80 << 88)
    else:
        size = _octal(field, "size")
        if size and field.lstrip(b" ").startswith(b"\0"):
            # To some readers this is 0, and so the next file begins elsewhere.
            raise ArchiveError("a member of the tar archive has a size with a NUL in front of it")
    return checked_size(size)


def checked_size(size: int) -> int:
    """``size`` if a file can have it. Raises ArchiveError."""
    if not 0 <= size <= _LARGEST:
        raise ArchiveError(f"a member of the tar archive has the impossible size {size}")
    return size


def _octal(field: bytes, what: str) -> int:
    digits = field.strip(b" \0").partition(b"\0")[0]
    if not digits:
        return 0
    try:
        # int() alone would accept signs, underscores and 0o.
        if digits.isdigit():
            return int(digits, 8)
    except ValueError:
        pass
    raise ArchiveError(f"a header of the tar archive has no number as its {what}: '{sanitise(digits, 20)}'")


def records(data: bytes) -> dict[str, str]:
    """The records of a pax extended header. Raises ArchiveError."""
    found: dict[str, str] = {}
    start, end = 0, len(data.rstrip(b"\0"))
    while start < end:
        digits, space, unused = data[start : start + 20].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = data[start + len(digits) + 1 : start + length]
        key, equals, value = record[:-1].partition(b"=")
        if length < len(digits) + 3 or start + length > len(data) or not record.endswith(b"\n") or not equals or not key:
            raise ArchiveError("the tar archive has a broken pax header")
        try:
            found[key.decode("utf-8")] = value.decode("utf-8", "surrogateescape")
        except UnicodeDecodeError:
            raise ArchiveError("the tar archive has a broken pax header") from None
        start += length
    return found
