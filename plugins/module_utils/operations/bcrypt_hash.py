# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bcrypt, the only kind of password hash that registries take: made, recognised and compared."""

from __future__ import annotations

import re
from typing import Any

from ..model.errors import InvalidInput, MissingRequirement

#: The costs that are taken: below 4 bcrypt has none, and above 16 each request costs a registry seconds.
COSTS = range(4, 17)
#: Bytes of a password that bcrypt looks at. More would be ignored by the registry and is refused by the library.
LONGEST = 72

_HASH = re.compile(r"\$2[abxy]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_hash(text: str) -> bool:
    """Whether ``text`` is a bcrypt hash as distribution takes it: ``$2a$``, ``$2b$``, ``$2x$`` or ``$2y$``."""
    return _HASH.fullmatch(text) is not None


def cost_of(text: str) -> int:
    """The cost (a power of two) in a hash."""
    return int(text[4:6])


def check_password(password: str, whose: str) -> None:
    """Raise InvalidInput for a password that is empty or that nobody could log in with; ``whose`` begins the message."""
    if not password:
        raise InvalidInput(f"{whose}: the password is empty")
    if _CONTROL.search(password):
        # RFC 7617, section 2. Most often the line end of a file that the password was read from.
        raise InvalidInput(f"{whose}: the password has a line break or another control character in it")
    try:
        size = len(password.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidInput(f"{whose}: the password is not valid Unicode") from None
    if size > LONGEST:
        raise InvalidInput(
            f"{whose}: the password has {size} bytes, of which bcrypt takes only {LONGEST}: choose a shorter one"
        )


def make(password: str, cost: int) -> str:
    """A new hash of a password that `check_password` let pass. Raises MissingRequirement without the bcrypt package."""
    bcrypt = _library()
    made: bytes = bcrypt.hashpw(password.encode("utf-8"), bcrypt.gensalt(cost))
    # The library writes $2b$. $2y$ is the same algorithm, and older Apaches that share the file know no other.
    return "$2y$" + made.decode("ascii")[4:]


def matches(password: str, text: str) -> bool:
    """Whether ``text`` is a hash of ``password``. Raises MissingRequirement without the bcrypt package."""
    bcrypt = _library()
    if not is_hash(text):
        return False
    # A registry does not look at the letter, which stands for faults of implementations long gone.
    return bool(bcrypt.checkpw(password.encode("utf-8"), b"$2b$" + text[4:].encode("ascii")))


def _library() -> Any:
    try:
        import bcrypt
    except ImportError:
        raise MissingRequirement(
            "passwords can only be hashed with the Python package bcrypt", library="bcrypt", reason="to hash passwords"
        ) from None
    return bcrypt
