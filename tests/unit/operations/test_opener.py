# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a transfer hands to the destination: a blob that opens at any byte, and a second try where the joint may be wrong."""

from __future__ import annotations

import io
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import DigestMismatch
from ansible_collections.longshore.oci.plugins.module_utils.model.streams import OpensAt
from ansible_collections.longshore.oci.plugins.module_utils.operations.progress import Progress
from ansible_collections.longshore.oci.plugins.module_utils.operations.transfers import COPY, Transfer, carry_out

DATA = b"0123456789"
BLOB = Descriptor("x/y", Digest.of(DATA), len(DATA))


class Source:
    """As much of an image as a transfer needs; knows from where the blob was opened."""

    def __init__(self) -> None:
        self.offsets: list[int] = []

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> io.BytesIO:
        self.offsets.append(offset)
        return io.BytesIO(DATA[offset:])


class Destination:
    """Opens the blob at these bytes, then finds it wrong, except on the last call."""

    def __init__(self, *calls: list[int]) -> None:
        self.calls = list(calls)
        self.read: list[bytes] = []

    def write_blob(self, descriptor: Descriptor, open_blob: Any) -> None:
        assert isinstance(open_blob, OpensAt)
        for offset in self.calls.pop(0):
            stream = open_blob.at(offset) if offset else open_blob()
            self.read.append(stream.read(len(DATA)))
            stream.close()
        if self.calls:
            raise DigestMismatch("wrong")


def test_a_blob_opens_at_any_byte() -> None:
    source, destination = Source(), Destination([0, 7])
    transfer = Transfer(BLOB, destination, COPY, [source])
    carry_out(transfer, Progress())
    assert source.offsets == [0, 7] and destination.read == [DATA, DATA[7:]]
    assert transfer.done == COPY


def test_what_was_joined_and_is_wrong_is_asked_for_once_more() -> None:
    """R1.25"""
    source = Source()
    carry_out(Transfer(BLOB, Destination([0, 7], [0]), COPY, [source]), Progress())
    assert source.offsets == [0, 7, 0]


def test_what_came_in_one_piece_and_is_wrong_is_final() -> None:
    source = Source()
    with pytest.raises(DigestMismatch):
        carry_out(Transfer(BLOB, Destination([0, 7, 0], [0]), COPY, [source]), Progress())
    assert source.offsets == [0, 7, 0]
