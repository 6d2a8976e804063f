# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold whatever the input is: the errors of model/errors.py come out and no other, and they can be shown."""

from __future__ import annotations

import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import OciError

Found = TypeVar("Found")

#: Most that one input, of at most 64 KiB, may add to the memory of the process, in KiB.
GROWTH = 128 * 1024
# What a terminal would act upon (S18).
_UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST = 4000


class Broken(Exception):
    """A promise that was not kept."""


def expect(holds: bool, promise: str) -> None:
    """Raise `Broken` unless ``holds``."""
    if not holds:
        raise Broken(promise)


def tried(call: Callable[..., Found], *arguments: Any, **options: Any) -> Found | None:
    """What ``call`` gives; None if it raises one of our errors, whose message is looked at. Other errors come through."""
    try:
        return call(*arguments, **options)
    except OciError as exc:
        check_message(exc.message)
        return None


def check_message(message: str) -> None:
    """Raise `Broken` for a message that cannot be shown as it is, or says nothing."""
    expect(bool(message.strip()), "an error has a message")
    expect(len(message) <= _LONGEST, f"a message has at most {_LONGEST} characters: this one has {len(message)}")
    expect(_UNSHOWABLE.search(message) is None, f"a message can be shown: {message!r}")


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Raise `Broken` if the process grows by more than `GROWTH`."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    expect(grown <= GROWTH, f"one input takes at most {GROWTH} KiB: this one took {grown}")
