# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes: each blob once, whatever shares it, and what cannot be read is said and not guessed."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    AccessDenied,
    InvalidManifest,
    NetworkError,
)
from ansible_collections.longshore.oci.plugins.module_utils.operations import registry_sizes
from ansible_collections.longshore.oci.plugins.module_utils.operations.registry_sizes import measure
from ansible_collections.longshore.oci.tests.unit.operations.repository import Client


class Many:
    """Several repositories behind one client."""

    host = "registry.example"

    def __init__(self, **clients):
        self.clients = clients

    def tags(self, repository):
        return self.clients[repository].tags(repository)

    def head_manifest(self, repository, target):
        return self.clients[repository].head_manifest(repository, target)

    def get_manifest(self, repository, target):
        return self.clients[repository].get_manifest(repository, str(target))

    @property
    def log(self):
        return [entry for client in self.clients.values() for entry in client.log]


def stored(*clients):
    """Bytes of everything that these hold, each once."""
    blobs = {}
    for client in clients:
        blobs.update((digest, len(data)) for digest, data in client.blobs.items())
        blobs.update((digest, manifest.size) for digest, manifest in client.manifests.items())
    return sum(blobs.values())


@pytest.fixture
def two():
    one, other = Client(), Client()
    arm = one.image(layers=(b"base", b"arm"), architecture="arm64")
    amd = one.image("amd", layers=(b"base", b"amd"))
    one.index(arm, amd, tags=("1.0", "latest"))
    other.image("1", "2", layers=(b"base", b"other"))
    return one, other


@pytest.mark.parametrize("parallel", [1, 8])
@pytest.mark.parametrize("batch", [1, 2, 512])
def test_what_is_shared_counts_once(two, parallel, batch, monkeypatch):
    monkeypatch.setattr(registry_sizes, "_BATCH", batch)
    one, other = two
    client = Many(one=one, other=other)
    sizes = measure(client, ["one", "other"], parallel)
    assert [row.result for row in sizes.repositories] == [
        {"repository": "one", "tags": 3, "manifests": 3, "size": stored(one), "complete": True},
        {"repository": "other", "tags": 2, "manifests": 1, "size": stored(other), "complete": True},
    ]
    assert sizes.total == stored(one, other) < stored(one) + stored(other)
    gets = [target for verb, target in client.log if verb == "get"]
    assert len(gets) == len(set(gets)) == 4, "no manifest is read twice"
    assert {verb for verb, unused in client.log} == {"tags", "head", "get"}


def test_groups_of_repositories(two, monkeypatch):
    monkeypatch.setattr(registry_sizes, "_GROUP", 1)
    one, other = two
    sizes = measure(Many(a=one, b=other, c=one), ["a", "b", "c"], 4)
    assert [row.name for row in sizes.repositories] == ["a", "b", "c"]
    assert sizes.repositories[0].size == sizes.repositories[2].size
    assert sizes.total == stored(one, other)


def test_what_is_not_there(two):
    one, empty = two[0], Client()
    digest = one.names["amd"]
    sparse = one.manifests.pop(digest)
    one.names["gone"] = digest
    sizes = measure(Many(one=one, empty=empty), ["one", "empty"], 4)
    assert sizes.missing == ["empty"]
    (row,) = sizes.repositories
    assert (row.manifests, row.complete) == (2, True)
    assert row.size == stored(one) - sum(blob.size for blob in sparse.layers[1:]) - sparse.config.size


def test_what_cannot_be_read_is_said(two, monkeypatch):
    one, other = two
    broken = one.names["amd"]
    true_get = one.get_manifest

    def get(repository, target):
        if target == str(broken):
            raise InvalidManifest("it is in Docker's schema 1")
        return true_get(repository, target)

    def denied(repository):
        raise AccessDenied("not yours", 403)

    monkeypatch.setattr(one, "get_manifest", get)
    monkeypatch.setattr(other, "tags", denied)
    warnings = []
    sizes = measure(Many(one=one, other=other), ["one", "other"], 4, warn=warnings.append)
    assert sorted(warnings) == ["not counted: it is in Docker's schema 1", "not counted: not yours"]
    assert [row.complete for row in sizes.repositories] == [False, False]
    assert sizes.repositories[0].manifests == 2


def test_indexes_without_end(monkeypatch):
    monkeypatch.setattr(registry_sizes, "_DEPTH", 2)
    client = Client()
    manifest = client.image()
    for level in range(4):
        manifest = client.index(manifest, tags=("top",) if level == 3 else ())
    warnings = []
    (row,) = measure(Many(deep=client), ["deep"], 2, warn=warnings.append).repositories
    assert (row.complete, row.manifests) == (False, 3)
    assert "more than 2 levels" in warnings[0]


def test_a_lost_connection_is_no_size(two, monkeypatch):
    def lost(repository, target):
        raise NetworkError("the line is dead")

    monkeypatch.setattr(two[0], "head_manifest", lost)
    with pytest.raises(NetworkError):
        measure(Many(one=two[0]), ["one"], 4)
