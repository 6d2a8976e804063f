# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real registry, and modules in processes that are measured."""

from __future__ import annotations

import itertools
import pathlib
import tempfile
from collections.abc import Iterator

import pytest

from ansible_collections.longshore.oci.tests.load.measured import Measured
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner
from ansible_collections.longshore.oci.tests.servers.registry import Registry
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """An open registry over plain HTTP, in memory: what is measured is not the disk."""
    with tempfile.TemporaryDirectory(prefix="longshore-load-", dir="/dev/shm") as directory:
        with Registry(directory) as running:
            yield running


@pytest.fixture(scope="session")
def skopeo() -> Skopeo:
    """The reference client."""
    return Skopeo()


@pytest.fixture
def repository() -> str:
    """A repository name that no other test uses."""
    return f"load/{next(_numbers)}"


@pytest.fixture
def module(tmp_path: pathlib.Path) -> ModuleRunner:
    """Runs a module of the collection."""
    return ModuleRunner(tmp_path)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Measured:
    """A copy of next to nothing: what every other one is held against."""
    directory = tmp_path_factory.mktemp("small")
    images.push(registry, "load/small", images.sample(), ["1"])
    source, target = f"{registry.host}/load/small:1", f"{registry.host}/load/copied:1"
    options = {"src_plain_http": True, "dest_plain_http": True}
    return Measured.run(ModuleRunner(directory), "image_copy", src=source, dest=target, **options)
