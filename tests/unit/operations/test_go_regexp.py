# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Go's regular expressions as Python's: what they find, and what is refused."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.longshore.oci.plugins.module_utils.operations.go_regexp import compiled


@pytest.mark.parametrize(
    ("pattern", "finds", "misses"),
    [
        (r"^1\.13\.[12]-alpine-perl$", ["1.13.1-alpine-perl"], ["1.13.3-alpine-perl", "x1.13.1-alpine-perl"]),
        ("alpine", ["3-alpine", "alpine", "alpine-3"], ["Alpine"]),
        (r"\Av[[:digit:]]+\z", ["v1", "v22"], ["v1.2", "xv1"]),
        ("[^[:alnum:]._-]", [], ["a_1.B-2"]),
        ("[]a]+x", ["ax"], ["bx"]),
        (r"[a\-c]x", ["-x", "cx"], ["bx"]),
        (r"[&~|[]", [], ["a-z"]),
        ("a(?i)b|c$", ["aB", "ab", "C"], ["Ab"]),
        ("(a(?i)b|c)d", ["aBd", "Cd"], ["aBD", "cD"]),
        ("(?i:rc)1", ["RC1", "rc1"], []),
        ("(?i)a(?-i)b", ["Ab", "ab"], ["aB"]),
        ("(?U)a+$", ["aaa"], ["b"]),
        ("(?m)^a$", ["a"], ["ab"]),
        ("(?P<name>a)b", ["ab"], ["b"]),
        ("(?<name>a)b", ["ab"], ["b"]),
        (r"\Qa.b\E$", ["xa.b"], ["axb"]),
        (r"\Q1.+", ["1.+"], ["11"]),
        ("x{,2}", [], ["xx"]),
        ("^x{2}$", ["xx"], ["x"]),
        (r"\x31\x{2e}", ["1.0"], ["10"]),
        (r"\061", ["1"], ["0"]),
        ("1.10", ["1.10", "1x10"], ["1.1"]),
        ("", ["anything"], []),
    ],
)
def test_finds_what_go_finds(pattern, finds, misses):
    search = compiled(pattern).search
    assert [tag for tag in finds if search(tag)] == finds
    assert not [tag for tag in misses if search(tag)]


@pytest.mark.parametrize(
    "pattern",
    [
        "[[:^digit:]a]",
        "(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", r"(a)\1", "a++", "a**", "(?>a)", "(?#c)a", r"\pL", r"\Z", r"\C", "(", ")", "[a",
        "*a", "a\\", "(?x)a", "a{2}{3}", "[[:foo:]]", "(?P<n>a)(?P<n>b)", "[b-a]", r"\y", "(?P=n)", r"\x{110000}", r"[\x{11FFFF}]",
    ],
)
def test_refuses_what_go_refuses_or_python_cannot_say(pattern):
    with pytest.raises(InvalidInput, match="no regular expression of Go"):
        compiled(pattern)
