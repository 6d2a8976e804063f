# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers, engines and a way to run modules, for tests against the real thing.

The servers live as long as the session, so a test takes a repository name of its own (`repository`) and a `mark` of the
access log before it acts.
"""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterator

import pytest

from ansible_collections.longshore.oci.tests.interop.accounts import PASSWORD, READER, READER_PASSWORD, USER
from ansible_collections.longshore.oci.tests.servers.engines import Dockerd, Podman
from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner
from ansible_collections.longshore.oci.tests.servers.registry import Registry
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo
from ansible_collections.longshore.oci.tests.servers.storage import Moto
from ansible_collections.longshore.oci.tests.servers.tokens import TokenServer

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """An open registry over plain HTTP."""
    with Registry() as running:
        yield running


@pytest.fixture(scope="session")
def second_registry() -> Iterator[Registry]:
    """Another one, to copy to."""
    with Registry() as running:
        yield running


@pytest.fixture(scope="session")
def registry_tls() -> Iterator[Registry]:
    """A registry over HTTPS (authority: ``registry_tls.ca``) that asks for `USER` and `PASSWORD`."""
    with Registry(tls=True, users={USER: PASSWORD}) as running:
        yield running


@pytest.fixture(scope="session")
def token_server() -> Iterator[TokenServer]:
    """The token server of `registry_token`: `USER` may do everything, `READER` may pull, nobody else anything."""
    grants = {READER: {"*": ["pull"]}}
    with TokenServer(users={USER: PASSWORD, READER: READER_PASSWORD}, grants=grants) as running:
        yield running


@pytest.fixture(scope="session")
def registry_token(token_server: TokenServer) -> Iterator[Registry]:
    """A registry over plain HTTP that sends its clients to `token_server`."""
    with Registry(token=token_server) as running:
        yield running


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Dockerd]:
    """A Docker daemon of its own."""
    with Dockerd() as running:
        yield running


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """A podman storage of its own."""
    with Podman() as running:
        yield running


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    """moto's S3."""
    with Moto() as running:
        yield running


@pytest.fixture(scope="session")
def skopeo() -> Skopeo:
    """The reference client."""
    return Skopeo()


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    """A repository name that no other test uses."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name.lower()).strip("-")
    return f"test/{next(_numbers)}-{'-'.join(filter(None, name.split('-')))[:60].strip('-')}"


@pytest.fixture
def module(tmp_path: pathlib.Path) -> ModuleRunner:
    """Runs a module of the collection; see `ModuleRunner`."""
    return ModuleRunner(tmp_path)
