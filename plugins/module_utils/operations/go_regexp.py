# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Regular expressions of Go (RE2's syntax) as Python's: what both write alike stays, the rest is rewritten or refused, so
that none means something else here than it does there."""

from __future__ import annotations

import re
import sys

from ..model.errors import InvalidInput
from ..model.text import sanitise

_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_POSIX = re.compile(r"\[:([a-z]+):\]")
_FLAGS = re.compile(r"\(\?([imsU]*)(?:-([imsU]+))?(\)|:)")
_NAMED = re.compile(r"\(\?P?<([A-Za-z_][A-Za-z0-9_]*)>")
_HEX = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
_OCTAL = re.compile(r"\\[0-7]{1,3}")
_COUNT = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")
_ESCAPES = frozenset("afnrtvbBdDsSwW")


def compiled(text: str) -> re.Pattern[str]:
    """The pattern that finds what Go's regexp ``text`` finds in a tag. Raises InvalidInput for what is none."""
    try:
        return re.compile(_Translation(text).result(), re.ASCII)
    except (re.error, OverflowError, _Foreign) as exc:
        raise InvalidInput(f"'{sanitise(text, 120)}' is no regular expression of Go: {sanitise(exc, 120)}") from None


class _Foreign(Exception):
    """Something that Go does not know, or that Python cannot say."""


class _Translation:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._out: list[str] = []
        #: For each open group the flags that were set within it, as groups of Python that end where it does.
        self._open: list[list[str]] = [[]]

    def result(self) -> str:
        """The whole pattern for Python."""
        while self._position < len(self._text):
            self._one()
        if len(self._open) != 1:
            raise _Foreign("a group is not closed")
        return "".join(self._out) + ")" * len(self._open[0])

    def _one(self) -> None:
        text, position = self._text, self._position
        letter = text[position]
        if letter == "\\":
            self._escape(within=False)
        elif letter == "[":
            self._class()
        elif letter == "(":
            self._group()
        elif letter == ")":
            if len(self._open) == 1:
                raise _Foreign("a ) too many")
            self._put(")" * (len(self._open.pop()) + 1), 1)
        elif letter == "$":
            # Go's $ is the end of the text, not a place before a last line break. (A tag has no lines: (?m) is nothing.)
            self._put(r"\Z", 1)
        elif letter == "|":
            # Flags hold to the end of the group, past the bars in it: each alternative sets them again.
            flags = self._open[-1]
            self._put(f"{')' * len(flags)}|{''.join(flags)}", 1)
        elif letter in "*+?":
            self._repeat(letter, 1)
        elif letter == "{":
            count = _COUNT.match(text, position)
            if count is None:
                self._put(r"\{", 1)
            else:
                self._repeat(count.group(), len(count.group()))
        else:
            self._put(letter, 1)

    def _repeat(self, sign: str, length: int) -> None:
        following = self._text[self._position + length : self._position + length + 1]
        if following == "?":
            sign, length = sign + "?", length + 1
            following = self._text[self._position + length : self._position + length + 1]
        if following and following in "*+?":
            raise _Foreign(f"invalid nested repetition operator {sign}{following}")
        self._put(sign, length)

    def _put(self, text: str, length: int) -> None:
        self._out.append(text)
        self._position += length

    def _group(self) -> None:
        text, position = self._text, self._position
        flags = _FLAGS.match(text, position)
        named = _NAMED.match(text, position)
        if flags is not None and (flags.group(1) or flags.group(2) or flags.group(3) == ":"):
            python = self._flags(flags)
            self._put(python, len(flags.group()))
            if flags.group(3) == ":":
                self._open.append([])
            else:
                self._open[-1].append(python)
        elif named is not None:
            self._put(f"(?P<{named.group(1)}>", len(named.group()))
            self._open.append([])
        elif text.startswith("(?", position):
            raise _Foreign(f"invalid or unsupported {text[position : position + 4]}")
        else:
            self._put("(", 1)
            self._open.append([])

    @staticmethod
    def _flags(match: re.Match[str]) -> str:
        # U, which makes repetitions lazy, changes what is found, and not whether anything is.
        on = "".join(sorted(set(match.group(1)) & {"i", "s"}))
        off = "".join(sorted(set(match.group(2) or "") & {"i", "s"}))
        return f"(?{on}{'-' + off if off else ''}:"

    def _class(self) -> None:
        text = self._text
        self._put("[", 1)
        if text.startswith("^", self._position):
            self._put("^", 1)
        first = True
        while True:
            if self._position >= len(text):
                raise _Foreign("a [ is not closed")
            letter = text[self._position]
            posix = _POSIX.match(text, self._position)
            if letter == "]" and not first:
                self._put("]", 1)
                return
            first = False
            if posix is not None:
                if posix.group(1) not in _CLASSES:
                    raise _Foreign(f"there is no class {posix.group()}")
                self._put(_CLASSES[posix.group(1)], len(posix.group()))
            elif text.startswith("[:^", self._position):
                raise _Foreign("a negated class within [] cannot be said here")
            elif letter == "\\":
                self._escape(within=True)
            else:
                # Python warns of what may become set operations one day.
                self._put("\\" + letter if letter in "[]&~|" else letter, 1)

    def _escape(self, within: bool) -> None:
        text, position = self._text, self._position
        letter = text[position + 1 : position + 2]
        code = _HEX.match(text, position)
        octal = _OCTAL.match(text, position)
        if not letter:
            raise _Foreign("it ends in a backslash")
        if letter == "Q" and not within:
            end = text.find("\\E", position)
            literal = text[position + 2 : end] if end >= 0 else text[position + 2 :]
            self._put(re.escape(literal), len(literal) + (4 if end >= 0 else 2))
        elif code is not None:
            number = int(code.group(1), 16)
            if number > sys.maxunicode:
                raise _Foreign(f"there is no character {code.group()}")
            self._put(re.escape(chr(number)), len(code.group()))
        elif letter == "x" and re.match(r"[0-9A-Fa-f]{2}", text[position + 2 :]):
            self._put(text[position : position + 4], 4)
        elif octal is not None and (letter == "0" or len(octal.group()) > 2):
            self._put(re.escape(chr(int(octal.group()[1:], 8))), len(octal.group()))
        elif letter == "A" and not within:
            self._put(r"\A", 2)
        elif letter == "z" and not within:
            self._put(r"\Z", 2)
        elif (letter in _ESCAPES and not (within and letter in "bB")) or not (letter.isalnum() or ord(letter) > 127):
            self._put(text[position : position + 2], 2)
        else:
            raise _Foreign(f"invalid or unsupported escape \\{letter}")
