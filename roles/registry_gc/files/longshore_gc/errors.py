# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, and the exit code that says it."""

from __future__ import annotations

OK = 0
FAILED = 1
USAGE = 2
REFUSED = 3
RAIL = 4
NOT_READ_ONLY = 5
BROKEN = 6
NOT_RESTORED = 7
INTERRUPTED = 8
BUSY = 75


class CollectError(Exception):
    """A sentence for the user that says what to do; `code` is the exit code."""

    code = FAILED


class UsageError(CollectError):
    """The settings or the instance's record are wrong."""

    code = USAGE


class Refused(CollectError):
    """The storage or the instance is in a state in which collecting is not safe; nothing was changed."""

    code = REFUSED


class Empty(CollectError):
    """There is nothing that could be collected from: no error for the user."""


class RailHit(CollectError):
    """More would go than the guard rails allow; nothing was deleted."""

    code = RAIL


class NotReadOnly(CollectError):
    """An instance could not be proved read-only; nothing was deleted."""

    code = NOT_READ_ONLY


class Broken(CollectError):
    """After the collection a tag lacks something that it had before."""

    code = BROKEN


class NotRestored(CollectError):
    """An instance could not be brought back read-write. The state file stays, and repair tries again."""

    code = NOT_RESTORED


class Busy(CollectError):
    """Somebody else holds the lock of the storage."""

    code = BUSY


class Interrupted(BaseException):
    """A signal asked to stop. Not an `Exception`, so that no handler of a single step takes it for one of its own."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number
