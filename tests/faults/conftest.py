# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry that plays faults, a real one, and modules in this process.

Waits between tries are a twentieth of what they are for users, so that what is proved about them takes no time; what a
registry asks to wait is waited for in full.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.registry import retry
from ansible_collections.longshore.oci.tests.faults.places import Copies, Played, Real
from ansible_collections.longshore.oci.tests.faults.running import InProcess
from ansible_collections.longshore.oci.tests.faults.secure import Secure
from ansible_collections.longshore.oci.tests.faults.server import FaultRegistry
from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner
from ansible_collections.longshore.oci.tests.servers.registry import Registry

_FOREIGN = ("ANSIBLE_", "LONGSHORE_", "DOCKER_", "XDG_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(scope="session")
def faulty() -> Iterator[FaultRegistry]:
    """The registry that plays faults, over plain HTTP; its TLS origins are there, too."""
    with FaultRegistry() as running:
        yield running


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """A real registry, open, over plain HTTP."""
    with Registry() as running:
        yield running


@pytest.fixture
def played(faulty: FaultRegistry) -> Played:
    """The fault registry as a place of images."""
    return Played(faulty)


@pytest.fixture
def real(registry: Registry) -> Real:
    """The real registry as a place of images."""
    return Real(registry)


@pytest.fixture(params=["played", "real"])
def copies(request: pytest.FixtureRequest, module: InProcess, faulty: FaultRegistry, real: Real) -> Copies:
    """Copies where the fault is played, and the same ones without it in the real registry."""
    return Copies(module, Played(faulty) if request.param == "played" else real, real)


@pytest.fixture
def faults(module: InProcess, played: Played, real: Real) -> Copies:
    """Copies where the fault is played only: what a real registry does without it is in another test."""
    return Copies(module, played, real)


@pytest.fixture
def module() -> InProcess:
    """Runs a module in this process."""
    return InProcess()


@pytest.fixture
def secure(module: InProcess, faulty: FaultRegistry) -> Secure:
    """The fault registry over TLS."""
    return Secure(module, faulty)


@pytest.fixture
def process(tmp_path: pathlib.Path) -> ModuleRunner:
    """Runs a module in a process of its own."""
    return ModuleRunner(tmp_path)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits between tries; they still grow and are still random."""
    monkeypatch.setattr(retry.Backoff.__init__, "__defaults__", (retry.BASE / 20, retry.CAP / 20))


@pytest.fixture(autouse=True)
def nobodys(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """No settings and credentials but those of the test."""
    from ansible import module_utils

    for name in list(os.environ):
        if name.upper().startswith(_FOREIGN) or name == "REGISTRY_AUTH_FILE":
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    internal = getattr(module_utils, "_internal", None)
    if internal is not None:
        # As on a target: no test before may have imported a plugin of the controller.
        monkeypatch.setattr(internal, "is_controller", False, raising=False)
