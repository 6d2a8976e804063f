# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The published matrix and the tests that it names are the same."""

from __future__ import annotations

import ast
import functools
import pathlib
import re

from ansible_collections.longshore.oci.tests.faults.server.scenarios import SCENARIOS

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs" / "docsite" / "rst" / "faults.rst"
_NAMED = re.compile(r"``(tests/[\w/]+\.py)::(test_\w+)``")
_ROW = re.compile(r"^   \* - ([FS]\d\d)$", re.MULTILINE)
_OF_A_ROW = re.compile(r"test_(?:f4_2_|(?=s\d\d_))(s?\d\d)_")
#: Rows of section 4.2 and 3.1 of the rules.
ROWS = [*(f"F{number:02}" for number in range(1, 47)), *(f"S{number:02}" for number in range(1, 24))]


def rows():
    """The page's rows: their names, and the tests (file, name) that each has."""
    parts = _ROW.split(PAGE.read_text(encoding="utf-8"))[1:]
    return {name: _NAMED.findall(text) for name, text in zip(parts[::2], parts[1::2])}


@functools.cache
def functions(path):
    """The tests in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_the_page_has_every_row_and_each_of_them_a_test():
    found = rows()
    assert list(found) == ROWS
    assert [name for name, tests in found.items() if not tests] == []


def test_every_test_on_the_page_is_there():
    named = {test for tests in rows().values() for test in tests}
    missing = [f"{path}::{name}" for path, name in sorted(named) if name not in functions(ROOT / path)]
    assert missing == []


def test_every_test_of_a_row_is_on_the_page_in_its_row():
    found = rows()
    there = {
        (f"tests/faults/{path.name}", name) for path in (ROOT / "tests" / "faults").glob("test_*.py") for name in functions(path)
    }
    expected = {}
    for path, name in there:
        match = _OF_A_ROW.match(name)
        if match is not None:
            row = match[1].upper() if match[1].startswith("s") else f"F{match[1]}"
            expected.setdefault(row, set()).add((path, name))
    assert len(expected) >= 67
    left_out = {row: tests - set(found[row]) for row, tests in expected.items() if tests - set(found[row])}
    assert left_out == {}


def test_every_scenario_is_played_by_a_test():
    """What nobody plays any more is not kept."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py") if path.parent.name != "scenarios")
    # Those of a family that a parametrised test puts together have a number or a name at their end.
    unused = [name for name in SCENARIOS if f'"{name}"' not in text and f'f"{re.split("[0-9-]", name)[0]}' not in text]
    assert unused == []
