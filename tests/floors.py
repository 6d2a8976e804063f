# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that the floors of the house hold.

Usage: python tests/floors.py [REPOSITORY]

``plugins/module_utils`` has five floors: model, registry, transports, operations, support. A file imports from its own
floor or from a lower one, never from a higher one; no files import each other in a circle; nothing below support
imports Ansible; and nothing there imports a module, an action or another plugin. Prints each breach with its file and
line and exits 1, or prints ``floors hold``.
"""

from __future__ import annotations

import ast
import pathlib
import sys
from collections.abc import Iterator
from typing import NamedTuple

FLOORS = ("model", "registry", "transports", "operations", "support")
COLLECTION = ("ansible_collections", "longshore", "oci")
UTILS = (*COLLECTION, "plugins", "module_utils")


class Import(NamedTuple):
    """One imported name, made absolute: ``from ..model.digest import Digest`` ends in "model", "digest", "Digest"."""

    line: int
    name: tuple[str, ...]


def imports(path: pathlib.Path, package: tuple[str, ...]) -> Iterator[Import]:
    """Every import anywhere in a file, those inside functions and ``if TYPE_CHECKING`` too.

    ``package`` is the dotted place of the file's folder.
    """
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, tuple(alias.name.split(".")))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            if node.module:
                base += tuple(node.module.split("."))
            for alias in node.names:
                yield Import(node.lineno, (*base, alias.name))


def room(name: tuple[str, ...]) -> int | None:
    """The floor that a dotted name is on, counted from below; ``None`` for what is not in module_utils."""
    if name[: len(UTILS)] != UTILS or len(name) <= len(UTILS) or name[len(UTILS)] not in FLOORS:
        return None
    return FLOORS.index(name[len(UTILS)])


def circles(edges: dict[tuple[str, ...], set[tuple[str, ...]]]) -> Iterator[list[tuple[str, ...]]]:
    """Circles among the edges of a graph: at least one of each knot."""
    finished: set[tuple[str, ...]] = set()
    trail: list[tuple[str, ...]] = []

    def walk(node: tuple[str, ...]) -> Iterator[list[tuple[str, ...]]]:
        if node in trail:
            yield [*trail[trail.index(node) :], node]
        elif node not in finished:
            trail.append(node)
            for other in sorted(edges.get(node, ())):
                yield from walk(other)
            trail.pop()
            finished.add(node)

    for start in sorted(edges):
        yield from walk(start)


def check(repository: pathlib.Path) -> list[str]:
    """The breaches in a repository, one line each."""
    plugins = repository / "plugins"
    files = {
        (*COLLECTION, *path.relative_to(repository).with_suffix("").parts): path
        for path in sorted(plugins.rglob("*.py"))
    }
    breaches = []
    edges: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for name, path in files.items():
        place = path.relative_to(repository)
        floor = room(name)
        in_utils = name[: len(UTILS)] == UTILS
        if in_utils and floor is None:
            breaches.append(f"{place}: module_utils has the floors {', '.join(FLOORS)} and nothing else")
        edges[name] = set()
        for line, imported in imports(path, name[:-1]):
            # `from .x import y` names x's y or the file x/y: whichever is there.
            target = imported if imported in files else imported[:-1]
            if target in files:
                edges[name].add(target)
            other = room(imported)
            if floor is None:
                continue
            if other is not None and other > floor:
                breaches.append(f"{place}:{line}: {FLOORS[floor]}/ imports {FLOORS[other]}/, a higher floor")
            if imported[: len(COLLECTION)] == COLLECTION and other is None:
                breaches.append(f"{place}:{line}: module_utils imports {'.'.join(imported[len(COLLECTION) :])}")
            if imported[0] == "ansible" and FLOORS[floor] != "support":
                breaches.append(f"{place}:{line}: {FLOORS[floor]}/ imports Ansible")
    short = len(COLLECTION) + 1
    breaches += ["circle: " + " -> ".join("/".join(name[short:]) for name in circle) for circle in circles(edges)]
    if not any(room(name) is not None for name in files):
        breaches.append(f"{plugins}: nothing to check")
    return breaches


def main() -> int:
    breaches = check(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    print("\n".join(breaches) or "floors hold")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
