# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of the Distribution API against distribution 2.8, and what each verb costs it in requests."""

from __future__ import annotations

import contextlib
import io
import pathlib
import random
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest, VerifyingReader
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    AccessDenied,
    BlobUnknown,
    DigestMismatch,
    NetworkError,
    NotFound,
    RegistryError,
    TagDeleteUnsupported,
)
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import Index, parse_manifest
from ansible_collections.longshore.oci.plugins.module_utils.registry.blobs import Download
from ansible_collections.longshore.oci.plugins.module_utils.registry.client import RegistryClient
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter
from ansible_collections.longshore.oci.plugins.module_utils.registry.pool import Registries
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import Settings
from ansible_collections.longshore.oci.tests.interop.accounts import PASSWORD, READER, READER_PASSWORD, USER
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.registry import Registry
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo
from ansible_collections.longshore.oci.tests.servers.tokens import TokenServer

DATA = random.Random(7).randbytes(3_000_000)
BLOB = Descriptor("application/octet-stream", Digest.of(DATA), len(DATA))


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    empty = tmp_path / "auth.json"
    empty.write_text("{}", encoding="utf-8")
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(empty))


@contextlib.contextmanager
def connected(host: str, push: bool = True, **settings: object) -> Iterator[RegistryClient]:
    registries = Registries(Settings(plain_http="ca_path" not in settings, **settings), Meter(), push=push)  # type: ignore[arg-type]
    try:
        yield registries.client(host)
    finally:
        registries.close()


@pytest.fixture
def client(registry: Registry) -> Iterator[RegistryClient]:
    with connected(registry.host) as made:
        yield made


def source(data: bytes) -> object:
    return lambda: io.BytesIO(data)


def send(client: RegistryClient, repository: str, content: images.Pushable, tags: list[str]) -> None:
    """Push an image as the engine does: blobs, children by digest, the top by its tags."""
    for blob in content.blobs():
        descriptor = Descriptor.parse(blob.descriptor, "blob")
        assert client.upload_blob(repository, descriptor, source(blob.data)) == "uploaded"
    for manifest in content.manifests():
        parsed = parse_manifest(manifest.data, manifest.media_type)
        for tag in tags if manifest is content.top else [None]:
            client.put_manifest(repository, parsed, tag)


class Costs:
    """Counts what the registry was asked for in a ``with`` block."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __enter__(self) -> Costs:
        self._mark = self._registry.mark()
        return self

    def __exit__(self, *unused: object) -> None:
        self.requests = self._registry.requests_since(self._mark)
        self.methods = [one.method for one in self.requests]


@pytest.mark.parametrize("kind", [images.OCI, images.DOCKER])
def test_push_and_pull(registry: Registry, client: RegistryClient, repository: str, skopeo: Skopeo, kind: str) -> None:
    content = images.sample(["linux/amd64", "linux/arm64/v8"], kind=kind)
    with Costs(registry) as costs:
        send(client, repository, content, ["1", "2"])
    # Three layers and two configs, two children, the index twice; nothing is read back.
    assert costs.methods == ["POST", "PUT"] * 5 + ["PUT"] * 4
    assert skopeo.digest(f"docker://{registry.host}/{repository}:2") == content.digest
    index = client.get_manifest(repository, "1")
    assert isinstance(index, Index) and index.raw == content.top.data
    for child in index.manifests:
        manifest = client.get_manifest(repository, child.digest)
        for blob in manifest.blobs():  # type: ignore[union-attr]
            assert client.head_blob(repository, blob.digest) == blob.size
            assert Digest.of(client.get_blob(repository, blob, 1 << 20)) == blob.digest


def test_head_is_one_request(registry: Registry, client: RegistryClient, repository: str) -> None:
    content = images.sample()
    images.push(registry, repository, content, ["1"])
    for target in ("1", content.digest):
        with Costs(registry) as costs:
            found = client.head_manifest(repository, target)
        assert found is not None
        assert (str(found.digest), found.size, found.media_type) == (
            content.digest, len(content.top.data), content.top.media_type,
        )  # fmt: skip
        assert costs.methods == ["HEAD"]
    with Costs(registry) as costs:
        assert client.head_manifest(repository, "none") is None
        assert client.head_blob(repository, BLOB.digest) is None
    assert costs.methods == ["HEAD", "HEAD"]
    with pytest.raises(NotFound, match=f"{registry.host}/{repository}:none: manifest unknown"):
        client.get_manifest(repository, "none")


def test_unknown_repositories(registry: Registry, client: RegistryClient, repository: str) -> None:
    with Costs(registry) as costs:
        assert client.is_unknown(repository)
        assert client.is_unknown(repository)
    assert costs.methods == ["GET"]
    with pytest.raises(NotFound):
        client.tags(repository)
    images.push(registry, f"{repository}/x", images.sample(), ["1"])
    assert not client.is_unknown(f"{repository}/x")
    client.upload_blob(repository, BLOB, source(DATA))
    assert not client.is_unknown(repository)


def test_tags_and_catalogue(registry: Registry, client: RegistryClient, repository: str) -> None:
    content = images.sample(["linux/amd64"])
    tags = [f"v{number}" for number in range(30)]
    images.push(registry, repository, content, tags)
    with Costs(registry) as costs:
        assert sorted(client.tags(repository)) == sorted(tags)
    assert costs.methods == ["GET"]
    assert repository in client.catalog()


def test_a_thousand_tags_without_pages(registry: Registry, client: RegistryClient, repository: str) -> None:
    """R1.48: distribution 2.8 gives all of them at once, whatever is asked for, and as many again after the last."""
    content = images.sample(["linux/amd64"])
    images.push(registry, repository, content, ["v0"])
    folder = registry.storage / "docker/registry/v2/repositories" / repository / "_manifests/tags"
    for number in range(1, 1000):
        link = folder / f"v{number}/current/link"
        link.parent.mkdir(parents=True)
        link.write_text(content.digest, encoding="utf-8")
    with Costs(registry) as costs:
        tags = client.tags(repository)
    assert len(tags) == len(set(tags)) == 1000
    assert costs.methods == ["GET", "GET"]
    assert not client.session.meter.warnings


def test_blobs(registry: Registry, client: RegistryClient, repository: str) -> None:
    with Costs(registry) as costs:
        client.upload_blob(repository, BLOB, source(DATA))
    assert costs.methods == ["POST", "PUT"]
    with Costs(registry) as costs:
        stream = client.open_blob(repository, BLOB)
        assert b"".join(VerifyingReader(stream, BLOB.digest, BLOB.size)) == DATA
        stream.close()
    assert costs.methods == ["GET"]
    stream = client.open_blob(repository, BLOB, 2_000_000)
    parts = []
    while data := stream.read(1 << 20):
        parts.append(data)
    assert b"".join(parts) == DATA[2_000_000:]
    empty = Descriptor("text/plain", Digest.of(b""), 0)
    client.upload_blob(repository, empty, source(b""))
    assert client.head_blob(repository, empty.digest) == 0
    assert client.get_blob(repository, empty, 0) == b""


def test_a_wrong_source_leaves_nothing(registry: Registry, client: RegistryClient, repository: str) -> None:
    mark = registry.mark()
    with pytest.raises(DigestMismatch):
        client.upload_blob(repository, BLOB, source(bytes(len(DATA))))
    # The registry logs the request that broke off when it has noticed, which may take it a moment.
    deadline = time.monotonic() + 5
    while len(registry.requests_since(mark)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    # distribution 2.8 cannot be told to forget an upload that broke off (404); its own purging does that in time.
    assert sorted(one.method for one in registry.requests_since(mark)) == ["DELETE", "POST", "PUT"]
    assert client.head_blob(repository, BLOB.digest) is None


def test_mounts(registry: Registry, client: RegistryClient, repository: str) -> None:
    client.upload_blob(f"{repository}/from", BLOB, source(DATA))
    with Costs(registry) as costs:
        assert client.upload_blob(repository, BLOB, source(b""), f"{repository}/from") == "mounted"
    assert costs.methods == ["POST"]
    assert client.head_blob(repository, BLOB.digest) == len(DATA)
    with Costs(registry) as costs:
        assert client.upload_blob(f"{repository}/to", BLOB, source(DATA), f"{repository}/none") == "uploaded"
    assert costs.methods == ["POST", "PUT"]
    assert client.mount_blob(f"{repository}/other", BLOB, f"{repository}/from") is True
    with Costs(registry) as costs:
        assert client.mount_blob(f"{repository}/another", BLOB, f"{repository}/none") is False
    assert [(one.method, one.status) for one in costs.requests] == [("POST", 202), ("DELETE", 204)]


def test_missing_blobs(client: RegistryClient, repository: str) -> None:
    """R1.27"""
    content = images.sample()
    for manifest in (content.manifests()[0], content.top):  # type: ignore[index]
        with pytest.raises(BlobUnknown):
            client.put_manifest(repository, parse_manifest(manifest.data, manifest.media_type), "1")


def attached(subject: images.Image, number: int) -> images.Image:
    return images.image(
        "linux/amd64",
        [images.noise_layer(100, number)],
        subject=subject.manifest,
        artifact_type="application/vnd.example",
        annotations={"number": str(number)},
    )


def test_referrers(registry: Registry, client: RegistryClient, repository: str) -> None:
    """R1.58: in the fallback tag, also when many are pushed at once"""
    subject = images.sample(["linux/amd64"])
    assert isinstance(subject, images.Image)
    digest = Digest.parse(subject.digest)
    send(client, repository, subject, ["1"])
    assert client.referrers(repository, digest) == []
    artifacts = [attached(subject, number) for number in range(6)]
    threads = [threading.Thread(target=send, args=(client, repository, one, [])) for one in artifacts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in artifacts:
        client.put_manifest(repository, parse_manifest(one.manifest.data, one.manifest.media_type))
    with Costs(registry) as costs:
        found = client.referrers(repository, digest)
    # That there is no API is known by now.
    assert costs.methods == ["GET"]
    assert {str(one.digest) for one in found} == {one.digest for one in artifacts}
    assert {one.artifact_type for one in found} == {"application/vnd.example"}
    assert sorted(one.annotations["number"] for one in found) == ["0", "1", "2", "3", "4", "5"]
    assert client.referrers(repository, digest, "other") == []
    assert client.delete_manifest(repository, Digest.parse(artifacts[0].digest)) is True
    assert len(client.referrers(repository, digest)) == 5


def test_deletion(registry: Registry, client: RegistryClient, repository: str) -> None:
    content = images.sample(["linux/amd64"])
    digest = Digest.parse(content.digest)
    send(client, repository, content, ["1", "2", "3"])
    with Costs(registry) as costs, pytest.raises(TagDeleteUnsupported):
        client.delete_tag(repository, "1")
    assert costs.methods == ["DELETE", "HEAD"]
    assert client.delete_tag(repository, "none") is False
    with Costs(registry) as costs:
        assert client.untag(repository, "1") is True
    assert costs.methods == ["GET", "DELETE"] + ["HEAD", "POST", "PUT"] * 2 + ["PUT", "DELETE", "HEAD"]
    assert client.untag(repository, "1") is False
    assert sorted(client.tags(repository)) == ["2", "3"]
    assert client.head_manifest(repository, digest) is not None
    with Costs(registry) as costs:
        assert client.delete_manifest(repository, digest) is True
    assert costs.methods == ["GET", "DELETE", "HEAD"]
    assert client.delete_manifest(repository, digest) is False
    assert client.tags(repository) == []
    layer = next(iter(content.blobs()))
    assert client.delete_blob(repository, Digest.parse(layer.digest)) is True
    assert client.delete_blob(repository, Digest.parse(layer.digest)) is False
    assert not client.session.meter.warnings


def test_where_deletes_are_disabled(repository: str) -> None:
    content = images.sample(["linux/amd64"])
    with Registry(delete=False) as registry, connected(registry.host) as client:
        send(client, repository, content, ["1"])
        with pytest.raises(RegistryError, match="deletes are disabled .registry setting delete.enabled"):
            client.delete_manifest(repository, Digest.parse(content.digest))
        with pytest.raises(TagDeleteUnsupported):
            client.delete_tag(repository, "1")
        mark = registry.mark()
        with pytest.raises(RegistryError, match="delete.enabled"):
            client.untag(repository, "1")
        assert {one.method for one in registry.writes_since(mark)} == {"DELETE"}
        assert client.tags(repository) == ["1"]


def test_where_nothing_may_be_written(registry: Registry, repository: str) -> None:
    content = images.sample(["linux/amd64"])
    images.push(registry, repository, content, ["1"])
    with Registry(readonly=True, storage=registry.storage) as frozen, connected(frozen.host) as client:
        assert client.tags(repository) == ["1"]
        with pytest.raises(RegistryError, match="read-only"):
            client.delete_manifest(repository, Digest.parse(content.digest))
        with pytest.raises(RegistryError, match="read-only"):
            client.delete_tag(repository, "1")
        with pytest.raises(RegistryError, match="read-only"):
            client.upload_blob(repository, BLOB, source(DATA))


def test_relative_locations(repository: str) -> None:
    with Registry(relative_urls=True) as registry, connected(registry.host) as client:
        assert client.upload_blob(repository, BLOB, source(DATA)) == "uploaded"
        assert client.head_blob(repository, BLOB.digest) == len(DATA)


def test_over_tls_with_a_password(registry_tls: Registry, repository: str) -> None:
    content = images.sample()
    ca = str(registry_tls.ca)
    with connected(registry_tls.host, ca_path=ca, username=USER, password=PASSWORD) as client:
        send(client, repository, content, ["1"])
        assert client.get_manifest(repository, "1").raw == content.top.data
    with connected(registry_tls.host, ca_path=ca) as client, pytest.raises(AccessDenied, match="username and password"):
        client.get_manifest(repository, "1")


def test_with_tokens(registry_token: Registry, token_server: TokenServer, repository: str) -> None:
    content = images.sample()
    with connected(registry_token.host, username=USER, password=PASSWORD) as client:
        assert client.head_manifest(repository, "1") is None
        send(client, repository, content, ["1", "2"])
        assert client.mount_blob(f"{repository}/to", Descriptor.parse(next(iter(content.blobs())).descriptor, "blob"), repository)
        assert client.untag(repository, "1") is True
        assert client.delete_manifest(repository, Digest.parse(content.digest)) is True
    with connected(registry_token.host, push=False, username=READER, password=READER_PASSWORD) as client:
        assert client.tags(repository) == []
        with pytest.raises(AccessDenied):
            client.upload_blob(repository, BLOB, source(DATA))


class Cutter:
    """Sits in front of a registry and cuts the first ``times`` connections on which an answer has more bytes than
    ``after``, or an answer comes to a request that begins with ``before_answer_to``."""

    def __init__(self, port: int, after: int = 0, times: int = 1, before_answer_to: bytes = b"") -> None:
        self._port = port
        self._after = after
        self._before = before_answer_to
        self.left = times
        self._lock = threading.Lock()

    def __enter__(self) -> Cutter:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near = self._server.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        count, asked = 0, b""
        with near, socket.create_connection(("127.0.0.1", self._port)) as far:
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is near:
                        asked = data if count or not asked else asked + data[: max(0, 100 - len(asked))]
                        count = 0
                        far.sendall(data)
                        continue
                    if self._before and asked.startswith(self._before) and self._takes():
                        return
                    count += len(data)
                    if self._after and count > self._after and self._takes():
                        near.sendall(data[: len(data) // 2])
                        return
                    near.sendall(data)

    def _takes(self) -> bool:
        with self._lock:
            self.left -= 1
            return self.left >= 0


def test_a_broken_download_goes_on(registry: Registry, client: RegistryClient, repository: str) -> None:
    """R1.23"""
    client.upload_blob(repository, BLOB, source(DATA))
    with Cutter(registry.port, after=1_000_000, times=2) as cutter, connected(cutter.host) as flaky:
        with Costs(registry) as costs:
            stream = flaky.open_blob(repository, BLOB)
            assert isinstance(stream, Download)
            assert b"".join(VerifyingReader(stream, BLOB.digest, BLOB.size)) == DATA
            stream.close()
        assert stream.resumed
        assert costs.methods == ["GET"] * 3
        assert {one.status for one in costs.requests} == {200, 206}


def test_a_download_that_breaks_for_ever(registry: Registry, client: RegistryClient, repository: str) -> None:
    client.upload_blob(repository, BLOB, source(DATA))
    with Cutter(registry.port, after=1000, times=1000) as cutter, connected(cutter.host, retries=2) as flaky:
        with pytest.raises(NetworkError):
            flaky.get_blob(repository, BLOB, len(DATA))


def test_a_lost_answer_to_a_put_is_looked_for(registry: Registry, repository: str) -> None:
    """R1.34: the blob is there, and not sent again"""
    with Registry(relative_urls=True) as inner:
        with Cutter(inner.port, before_answer_to=b"PUT ") as cutter, connected(cutter.host) as flaky:
            with Costs(inner) as costs:
                assert flaky.upload_blob(repository, BLOB, source(DATA)) == "uploaded"
        assert cutter.left == 0
        assert costs.methods == ["POST", "PUT", "HEAD"]


def test_a_lost_answer_to_a_manifest_is_asked_for_again(registry: Registry, repository: str) -> None:
    """R1.43"""
    content = images.sample(["linux/amd64"])
    images.push(registry, repository, content, [])
    manifest = parse_manifest(content.top.data, content.top.media_type)
    with Cutter(registry.port, before_answer_to=b"PUT ") as cutter, connected(cutter.host) as flaky:
        with Costs(registry) as costs:
            flaky.put_manifest(repository, manifest, "1")
    assert costs.methods == ["PUT", "PUT"]
    assert [one.status for one in costs.requests] == [201, 201]
