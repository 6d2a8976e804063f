# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docker-daemon: and containers-storage: with a real dockerd and a real podman, into them and out of them."""

from __future__ import annotations

import gzip
import os
import pathlib
import re
import signal
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from ansible_collections.longshore.oci.tests.servers import images, process, results
from ansible_collections.longshore.oci.tests.servers.engines import Dockerd, Podman
from ansible_collections.longshore.oci.tests.servers.images import DOCKER, OCI, Image, Index, Pushable
from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner
from ansible_collections.longshore.oci.tests.servers.registry import Registry, describe
from ansible_collections.longshore.oci.tests.servers.results import Result, ok
from ansible_collections.longshore.oci.tests.servers.runnable import runnable
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo

ABSENT = "sha256:" + "0" * 64
sentence = partial(results.sentence, longest=600)


def facts(result: Result) -> Result:
    """What check mode has to foretell."""
    return {key: value for key, value in ok(result).items() if key not in ("invocation", "requests")}


def amd64(content: Pushable) -> Image:
    return content.images[0] if isinstance(content, Index) else content


def diff_ids(image: Image) -> list[str]:
    found: list[str] = image.config.json["rootfs"]["diff_ids"]
    return found


class Engine:
    """One engine as the tests see it: how modules reach it, what it holds, and what it was asked."""

    def __init__(self, transport: str, host: str | None, tool: Dockerd | Podman, log: pathlib.Path | None) -> None:
        self.transport = transport
        self.tool = tool
        self._host = host
        self._log = log

    def at(self, end: str = "") -> dict[str, str]:
        """The options that lead to it."""
        return {f"{end}daemon_host": self._host} if self._host else {}

    def environment(self) -> dict[str, str]:
        return self.tool.environment if isinstance(self.tool, Podman) else {}

    def location(self, name: str) -> str:
        return f"{self.transport}:{name}"

    def id_of(self, name: str) -> str | None:
        try:
            found = str(self.tool.inspect(name)["Id"])
        except process.ServerFailed:
            return None
        return found if found.startswith("sha256:") else f"sha256:{found}"

    def run(self, name: str) -> str:
        return self.tool.run_container(name)

    @property
    def is_unheard(self) -> bool:
        """Whether nobody writes down what it is asked."""
        return self._log is None

    def mark(self) -> int:
        return self._log.stat().st_size if self._log else 0

    def writes(self, mark: int) -> list[str]:
        """The requests since ``mark`` that change something, where the engine writes down what it is asked."""
        return [one for one in self._asked(mark) if not one.startswith(("GET ", "HEAD "))]

    def exports(self, mark: int) -> list[str]:
        """The requests since ``mark`` for whole images."""
        return [one for one in self._asked(mark) if re.search(r"/images/(?:.*/)?get", one)]

    def _asked(self, mark: int) -> list[str]:
        if self._log is None:
            return []
        text = self._log.read_bytes()[mark:].decode(errors="replace")
        return re.findall(r"(?:Calling |\\?\")((?:GET|HEAD|POST|PUT|DELETE) [^ \"\\]+)", text)


@pytest.fixture(scope="module")
def busybox_cache(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("busybox")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Dockerd]:
    """A Docker daemon that speaks TLS too, and writes down what it is asked."""
    with Dockerd(tls=True, options=["--debug"]) as running:
        yield running


@pytest.fixture(scope="module")
def docker(daemon: Dockerd) -> Engine:
    return Engine("docker-daemon", daemon.host, daemon, daemon.directory / "dockerd.err")


@pytest.fixture(scope="module")
def served(podman: Podman) -> Iterator[Engine]:
    """Podman with its API running."""
    with podman.service() as host:
        yield Engine("containers-storage", host, podman, podman.directory / "service.err")


@pytest.fixture(scope="module")
def on_demand(podman: Podman) -> Engine:
    """Podman with no API running: it has to be started."""
    return Engine("containers-storage", None, podman, None)


@pytest.fixture(params=["docker", "served", "on_demand"])
def engine(request: pytest.FixtureRequest, module: ModuleRunner) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    module.environment.update(found.environment())
    return found


def stored_layers(registry: Registry, repository: str, manifest: Mapping[str, Any]) -> list[str]:
    """The digests of what is in the layers, unpacked."""
    found = []
    for layer in manifest["layers"]:
        status, unused, body = registry.request("GET", f"/v2/{repository}/blobs/{layer['digest']}")
        assert status == 200
        found.append(images.sha256(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body))
    return found


@pytest.mark.parametrize("kind", [OCI, DOCKER])
def test_in_and_running_and_out_again(
    engine: Engine, kind: str, registry: Registry, repository: str, module: ModuleRunner, skopeo: Skopeo,
    busybox_cache: pathlib.Path, tmp_path: pathlib.Path,
) -> None:  # fmt: skip
    content = runnable(busybox_cache, kind=kind, greeting=f"hello {repository}")
    image = amd64(content)
    images.push(registry, repository, content, ["1"])
    source = f"{registry.host}/{repository}:1"
    name = f"example.com/{repository}:1"
    inwards = {"src": source, "dest": engine.location(name), "src_plain_http": True, **engine.at("dest_")}

    mark = engine.mark()
    foretold = facts(module("image_copy", check=True, **inwards))
    assert engine.writes(mark) == [] and engine.id_of(name) is None
    result = facts(module("image_copy", **inwards))
    assert result == foretold
    assert engine.is_unheard or any("/load" in one for one in engine.writes(mark))
    # Of the index the engine's platform alone, and its ID.
    assert result["changed"] and result["digest"] == image.config.digest and result["digest_before"] is None
    assert result["bytes_transferred"] == sum(len(blob.data) for blob in image.blobs())
    assert engine.id_of(name) == image.config.digest
    assert engine.tool.inspect(name)["RootFS"]["Layers"] == diff_ids(image)
    assert engine.run(name) == f"hello {repository}"
    if engine.transport == "containers-storage":
        assert engine.tool.inspect(name)["Digest"] == image.digest

    mark, reads = engine.mark(), registry.mark()
    again = facts(module("image_copy", **inwards))
    assert not again["changed"] and again["digest"] == again["digest_before"] == image.config.digest
    assert engine.writes(mark) == []
    assert [one for one in registry.requests_since(reads) if "/blobs/" in one.path] == [], describe(registry.requests_since(reads))

    back = f"{repository}-back"
    outwards = {"src": engine.location(name), "dest": f"{registry.host}/{back}:1", "dest_plain_http": True, **engine.at("src_")}
    mark = registry.mark()
    foretold = facts(module("image_copy", check=True, **outwards))
    assert registry.writes_since(mark) == []
    result = facts(module("image_copy", **outwards))
    assert result == foretold and result["changed"]
    manifest = skopeo.manifest(f"docker://{registry.host}/{back}:1")
    assert manifest["config"]["digest"] == image.config.digest
    assert stored_layers(registry, back, manifest) == diff_ids(image)
    mark = registry.mark()
    assert not ok(module("image_copy", **outwards))["changed"]
    assert registry.writes_since(mark) == []

    path = tmp_path / "layout"
    ok(module("image_copy", src=engine.location(image.config.digest), dest=f"oci:{path}:x", **engine.at("src_")))
    held = ok(module("image_inspect", name=f"oci:{path}:x"))["images"][0]
    assert held["config_digest"] == image.config.digest and held["diff_ids"] == diff_ids(image)
    engine.tool.run("image", "rm", "--force", name)


def test_images_over_one_base_send_it_once(
    engine: Engine, registry: Registry, repository: str, module: ModuleRunner, busybox_cache: pathlib.Path
) -> None:
    names, contents = [], []
    for number in range(3):
        content = runnable(busybox_cache, ["amd64"], greeting=f"number {number} {repository}")
        images.push(registry, f"{repository}-{number}", content, ["1"])
        names.append(f"example.com/{repository}-{number}:1")
        contents.append(amd64(content))
    rows = [{"src": f"{registry.host}/{repository}-{number}:1", "dest": engine.location(name)} for number, name in enumerate(names)]
    mark = registry.mark()
    result = ok(module("image_copy", images=rows, src_plain_http=True, **engine.at("dest_")))
    assert [one["digest"] for one in result["images"]] == [content.config.digest for content in contents]
    base = contents[0].layers[0].digest
    assert len([one for one in registry.requests_since(mark) if one.path.endswith(base)]) == 1
    for number, (name, content) in enumerate(zip(names, contents)):
        assert engine.run(name) == f"number {number} {repository}"
        if engine.transport == "containers-storage":
            assert engine.tool.inspect(name)["Digest"] == content.digest
    engine.tool.run("image", "rm", "--force", *names)


def test_a_base_that_went_away_meanwhile_is_sent_after_all(
    docker: Engine, registry: Registry, repository: str, module: ModuleRunner, busybox_cache: pathlib.Path
) -> None:
    # The same layers in the other order: the daemon has none of them where it needs them.
    layers = [images.layer({f"file-{number}": repository.encode()}) for number in range(2)]
    contents = [images.image("linux/amd64", list(order), kind=OCI) for order in (layers, layers[::-1], layers)]
    names = [f"example.com/{repository}-{number}:1" for number in range(3)]
    for number, content in enumerate(contents):
        images.push(registry, f"{repository}-{number}", content, ["1"])
    rows = [{"src": f"{registry.host}/{repository}-{number}:1", "dest": docker.location(name)} for number, name in enumerate(names)]
    ok(module("image_copy", images=rows, src_plain_http=True, **docker.at("dest_")))
    assert [docker.id_of(name) for name in names] == [content.config.digest for content in contents]
    docker.tool.run("image", "rm", "--force", *names)


def test_one_more_name_for_an_image_that_is_there(
    engine: Engine, registry: Registry, repository: str, module: ModuleRunner, busybox_cache: pathlib.Path
) -> None:
    content = runnable(busybox_cache, ["amd64"], greeting=repository)
    images.push(registry, repository, content, ["1"])
    names = [f"example.com/{repository}:{tag}" for tag in ("1", "stable")]
    marks = []
    for name in names:
        marks.append(engine.mark())
        options = {"src": f"{registry.host}/{repository}:1", "dest": engine.location(name), "src_plain_http": True}
        assert ok(module("image_copy", **options, **engine.at("dest_")))["changed"]
    assert engine.id_of(names[0]) == engine.id_of(names[1]) == amd64(content).config.digest
    assert not [one for one in engine.writes(marks[1]) if "/load" in one]
    engine.tool.run("image", "rm", "--force", *names)


def test_a_name_goes_from_one_image_to_another(
    engine: Engine, registry: Registry, repository: str, module: ModuleRunner, busybox_cache: pathlib.Path
) -> None:
    name = f"example.com/{repository}:1"
    before = None
    for greeting in ("first", "second"):
        content = amd64(runnable(busybox_cache, ["amd64"], greeting=f"{greeting} {repository}"))
        images.push(registry, repository, content, ["1"])
        options = {"src": f"{registry.host}/{repository}:1", "dest": engine.location(name), "src_plain_http": True}
        result = ok(module("image_copy", **options, **engine.at("dest_")))
        assert result["digest_before"] == before and result["digest"] == content.config.digest
        assert engine.run(name) == f"{greeting} {repository}"
        before = content.config.digest
    engine.tool.run("image", "rm", "--force", name)


def test_what_an_engine_built_goes_anywhere(
    engine: Engine, registry: Registry, repository: str, module: ModuleRunner, skopeo: Skopeo,
    busybox_cache: pathlib.Path, tmp_path: pathlib.Path,
) -> None:  # fmt: skip
    tar = tmp_path / "root.tar"
    with tarfile.open(tar, "w") as file:
        file.add(__file__, "etc/file")
    name = f"example.com/{repository}:1"
    engine.tool.run("import", "--change", "LABEL made=here", str(tar), name)
    options = {"src": engine.location(name), "dest": f"{registry.host}/{repository}:1", "dest_plain_http": True}
    mark = engine.mark()
    assert ok(module("image_copy", **options, **engine.at("src_")))["changed"]
    assert engine.exports(mark) or engine.is_unheard
    manifest = skopeo.manifest(f"docker://{registry.host}/{repository}:1")
    assert manifest["config"]["digest"] == engine.id_of(name)
    assert stored_layers(registry, repository, manifest) == engine.tool.inspect(name)["RootFS"]["Layers"]
    # Uncompressed as engines keep them; compressed on their way where that is asked for.
    small = {**options, "dest": f"{registry.host}/{repository}:small", "compression": "gzip", **engine.at("src_")}
    assert ok(module("image_copy", **small))["changed"] and not ok(module("image_copy", **small))["changed"]
    # Nothing is exported to find that out.
    mark = engine.mark()
    for again in ({**options, **engine.at("src_")}, small):
        assert not ok(module("image_copy", **again))["changed"]
    assert not engine.exports(mark)
    packed = skopeo.manifest(f"docker://{registry.host}/{repository}:small")
    assert packed["config"]["digest"] == engine.id_of(name)
    assert all(layer["mediaType"].endswith("gzip") for layer in packed["layers"])
    assert stored_layers(registry, repository, packed) == stored_layers(registry, repository, manifest)
    target = tmp_path / "copied"
    skopeo.copy(f"docker://{registry.host}/{repository}:1", f"dir:{target}")
    found = ok(module("image_inspect", name=engine.location(name), list_tags=True, **engine.at()))["images"][0]
    assert found["labels"] == {"made": "here"} and found["tags"] == [name]
    engine.tool.run("image", "rm", "--force", name)


def test_saved_from_an_engine_and_loaded_into_one(
    engine: Engine, registry: Registry, repository: str, module: ModuleRunner, busybox_cache: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:  # fmt: skip
    names = [f"example.com/{repository}-{number}:1" for number in range(2)]
    contents = [amd64(runnable(busybox_cache, ["amd64"], greeting=f"{number} {repository}")) for number in range(2)]
    made = images.write_layout(tmp_path / "made", {str(number): content for number, content in enumerate(contents)})
    rows = [{"src": f"oci:{made}:{number}", "dest": engine.location(name)} for number, name in enumerate(names)]
    ok(module("image_copy", images=rows, **engine.at("dest_")))
    archive = tmp_path / "saved.tar"
    saving = {"state": "saved", "path": str(archive), "images": [engine.location(name) for name in names], **engine.at()}
    assert ok(module("image_save_load", **saving))["changed"]
    assert not ok(module("image_save_load", **saving))["changed"]
    engine.tool.run("image", "rm", "--force", *names)

    loading = {"state": "loaded", "path": str(archive), "dest": f"{engine.transport}:", **engine.at()}
    foretold = facts(module("image_save_load", check=True, **loading))
    assert [engine.id_of(name) for name in names] == [None, None]
    assert facts(module("image_save_load", **loading)) == foretold
    assert [engine.id_of(name) for name in names] == [content.config.digest for content in contents]
    mark = engine.mark()
    assert not ok(module("image_save_load", **loading))["changed"]
    assert engine.writes(mark) == []
    for number, name in enumerate(names):
        assert engine.run(name) == f"{number} {repository}"
    other = f"example.com/{repository}-other:7"
    ok(module("image_save_load", **{**loading, "images": [names[1]], "dest": engine.location(other)}))
    assert engine.id_of(other) == contents[1].config.digest
    assert "alone keeps the name of each" in sentence(module("image_save_load", **{**loading, "dest": engine.location(other)}))
    engine.tool.run("image", "rm", "--force", *names, other)


def test_what_is_not_there_and_what_cannot_be(engine: Engine, registry: Registry, repository: str, module: ModuleRunner) -> None:
    def copy(src: str, dest: str, **options: Any) -> str:
        more = {**engine.at("src_"), **engine.at("dest_"), "src_plain_http": True, **options}
        return sentence(module("image_copy", src=src, dest=dest, **more))

    here = engine.location
    images.push(registry, repository, images.sample(["linux/s390x", "linux/ppc64le"]), ["foreign"])
    foreign = f"{registry.host}/{repository}:foreign"
    assert f"has no image example.com/{repository}:none" in copy(here(f"example.com/{repository}:none"), "oci:/nowhere:x")
    assert f"has no image {ABSENT}" in copy(here(ABSENT), "oci:/nowhere:x")
    assert "a name and a tag, not a digest" in copy(foreign, here(ABSENT))
    assert "a name and a tag, not a digest" in copy(foreign, here(f"app@{ABSENT}"))
    assert "has no image for linux/amd64; it has linux/ppc64le, linux/s390x" in copy(foreign, here("app:1"))
    assert "holds images alone" in copy(foreign, here("app:1"), referrers=True)
    assert "one platform" in copy(foreign, here("app:1"), platforms=["linux/s390x", "linux/ppc64le"])
    name = here(f"example.com/{repository}:none")
    assert ok(module("image_inspect", name=[name], **engine.at()))["missing"] == [name]


def test_another_platform_when_it_is_named(docker: Engine, registry: Registry, repository: str, module: ModuleRunner) -> None:
    content = images.sample(["linux/amd64", "linux/s390x"])
    assert isinstance(content, Index)
    images.push(registry, repository, content, ["1"])
    name = f"example.com/{repository}:1"
    options = {"src": f"{registry.host}/{repository}:1", "dest": docker.location(name), "src_plain_http": True}
    ok(module("image_copy", **options, platforms=["linux/s390x"], **docker.at("dest_")))
    assert docker.id_of(name) == content.images[1].config.digest
    assert docker.tool.inspect(name)["Architecture"] == "s390x"
    docker.tool.run("image", "rm", "--force", name)


def test_a_short_name_is_one_of_docker_hub(
    served: Engine, podman: Podman, module: ModuleRunner, busybox_cache: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    image = amd64(runnable(busybox_cache, ["amd64"], greeting="local"))
    made = images.write_layout(tmp_path / "made", {"1": image})
    ok(module("image_copy", src=f"oci:{made}:1", dest="containers-storage:localhost/trap:1", **served.at("dest_")))
    said = sentence(module("image_copy", src="containers-storage:trap:1", dest=f"oci:{tmp_path}/out:x", **served.at("src_")))
    assert "has no image docker.io/library/trap:1; it has localhost/trap:1, which is another one" in said
    # And what is written under the short name does not touch the other.
    assert ok(module("image_copy", src=f"oci:{made}:1", dest="containers-storage:trap:1", **served.at("dest_")))["changed"]
    assert served.id_of("docker.io/library/trap:1") == served.id_of("localhost/trap:1") == image.config.digest
    podman.run("image", "rm", "--force", "docker.io/library/trap:1", "localhost/trap:1")


def test_docker_shows_short_names(docker: Engine, module: ModuleRunner, tmp_path: pathlib.Path) -> None:
    made = images.write_layout(tmp_path / "made", {"1": amd64(images.sample(["linux/amd64"]))})
    for unused in range(2):
        result = ok(module("image_copy", src=f"oci:{made}:1", dest="docker-daemon:short", **docker.at("dest_")))
    assert not result["changed"]
    assert docker.tool.run("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "short") == "short:latest"
    docker.tool.run("image", "rm", "--force", "short")


def test_tcp_with_tls(daemon: Dockerd, module: ModuleRunner, tmp_path: pathlib.Path) -> None:
    made = images.write_layout(tmp_path / "made", {"1": amd64(images.sample(["linux/amd64"]))})
    folder = daemon.certificates
    files = {
        "dest_ca_path": str(folder / "ca.pem"),
        "dest_client_cert": str(folder / "cert.pem"),
        "dest_client_key": str(folder / "key.pem"),
    }

    def copy(host: str | None, **options: str | bool) -> Result:
        more = {"dest_daemon_host": host} if host else {}
        return module("image_copy", src=f"oci:{made}:1", dest="docker-daemon:over/tls:1", **more, **options)

    assert ok(copy(f"tcp://{daemon.tls_host}", **files))["changed"]
    assert not ok(copy(f"https://{daemon.tls_host}", **files))["changed"]
    # As docker has it: the environment.
    module.environment.update(DOCKER_HOST=f"tcp://{daemon.tls_host}", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(folder))
    assert not ok(copy(None))["changed"]
    module.environment.clear()
    assert "is not trusted" in sentence(copy(f"https://{daemon.tls_host}"))
    ca_alone = {"dest_ca_path": files["dest_ca_path"]}
    assert "'client_cert' and 'client_key'" in sentence(copy(f"https://{daemon.tls_host}", **ca_alone))
    assert "'client_cert' and 'client_key'" in sentence(copy(f"https://{daemon.tls_host}", dest_validate_certs=False))
    assert "speaks TLS on this port" in sentence(copy(f"http://{daemon.tls_host}"))
    gone = {**files, "dest_ca_path": str(folder / "gone.pem")}
    assert "gone.pem does not exist" in sentence(copy(f"https://{daemon.tls_host}", **gone))
    daemon.run("image", "rm", "over/tls:1")


def test_hosts_that_lead_nowhere(module: ModuleRunner, daemon: Dockerd, tmp_path: pathlib.Path) -> None:
    def inspect(name: str, host: str | None) -> str:
        more = {"daemon_host": host} if host else {}
        return sentence(module("image_inspect", name=name, timeout=5, **more))

    port = process.free_port()
    assert "there is no socket" in inspect("docker-daemon:a:1", f"unix://{tmp_path}/none.sock")
    assert "nothing listens at" in inspect("docker-daemon:a:1", f"tcp://127.0.0.1:{port}")
    assert "is written unix://" in inspect("docker-daemon:a:1", "/run/docker.sock")
    said = inspect("docker-daemon:a:1", "tcp://user:secret@127.0.0.1:1")
    assert "is written unix://" in said and "secret" not in said
    assert "not reached over ssh" in inspect("containers-storage:a:1", "ssh://root@127.0.0.1")
    assert "podman, which is not installed" in _without_podman(module)
    # A server that is no engine at all.
    with Registry() as other:
        assert "is this its API?" in inspect("docker-daemon:a:1", f"tcp://{other.host}")


def _without_podman(module: ModuleRunner) -> str:
    module.environment["PATH"] = "/nonexistent"
    try:
        return sentence(module("image_inspect", name="containers-storage:a:1"))
    finally:
        del module.environment["PATH"]


def test_over_ssh(daemon: Dockerd, module: ModuleRunner, tmp_path: pathlib.Path) -> None:
    # In place of the network: what docker runs at the other end runs here.
    tools = tmp_path / "tools"
    tools.mkdir()
    ssh = tools / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexec docker --host {daemon.host} system dial-stdio\n')
    ssh.chmod(0o755)
    module.environment["PATH"] = f"{tools}:{os.environ['PATH']}"
    image = amd64(images.sample(["linux/amd64"]))
    made = images.write_layout(tmp_path / "made", {"1": image})
    options = {"src": f"oci:{made}:1", "dest": "docker-daemon:over/ssh:1", "dest_daemon_host": "ssh://someone@example.com"}
    assert ok(module("image_copy", **options))["changed"]
    assert not ok(module("image_copy", **options))["changed"]
    back = {"src": "docker-daemon:over/ssh:1", "dest": f"oci:{tmp_path}/out:1", "src_daemon_host": "ssh://someone@example.com"}
    assert ok(module("image_copy", **back))["changed"]
    assert (tmp_path / "asked").read_text().startswith("-l someone")
    daemon.run("image", "rm", "over/ssh:1")


class Slow:
    """A copy that takes its time, in a process of its own: a layer that does not compress, and a limit."""

    def __init__(self, module: ModuleRunner, source: str, dest: str, options: Mapping[str, Any]) -> None:
        limits = {"src_plain_http": True, "bandwidth_limit": "400K", "timeout": 10}
        self.process = module.start("image_copy", src=source, dest=dest, **limits, **options)

    def end(self, seconds: float = 15) -> str:
        return self.process.communicate(timeout=seconds)[0]


@pytest.fixture
def large(registry: Registry, repository: str) -> Callable[[], str]:
    """The name of an image that takes about ten seconds at the limit."""

    def make() -> str:
        content = images.image("linux/amd64", [images.noise_layer(4_000_000, seed=7)], kind=OCI)
        images.push(registry, repository, content, ["large"])
        return f"{registry.host}/{repository}:large"

    return make


def test_a_daemon_that_dies_has_what_it_had(
    large: Callable[[], str], repository: str, module: ModuleRunner, tmp_path: pathlib.Path
) -> None:
    name = f"example.com/{repository}:1"
    old = amd64(images.sample(["linux/amd64"]))
    made = images.write_layout(tmp_path / "made", {"1": old})
    folder = pathlib.Path("/tmp") / f"longshore-kill-{os.getpid()}"
    try:
        with Dockerd(folder) as victim:
            at = {"dest_daemon_host": victim.host}
            ok(module("image_copy", src=f"oci:{made}:1", dest=f"docker-daemon:{name}", **at))
            slow = Slow(module, large(), f"docker-daemon:{name}", at)
            time.sleep(4)
            assert slow.process.poll() is None
            victim.kill()
            output = slow.end()
            assert '"failed": true' in output and "Traceback" not in output and victim.host in output, output
            process.wait_until(lambda: _ended(victim.pid), "the daemon")
        # Its containerd may be a zombie that nobody waits for: the next daemon would take it for alive.
        process.run(["rm", "-rf", str(folder / "exec"), str(folder / "dockerd.pid"), str(folder / "docker.sock")])
        with Dockerd(folder) as again:
            assert again.inspect(name)["Id"] == old.config.digest
            assert len(again.run("image", "ls", "--quiet", "--no-trunc").split()) == 1
    finally:
        process.run(["rm", "-rf", str(folder)])


def _ended(pid: int) -> bool:
    status = pathlib.Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_task_that_is_stopped_leaves_nothing(
    engine: Engine, large: Callable[[], str], repository: str, module: ModuleRunner, tmp_path: pathlib.Path
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    module.environment["TMPDIR"] = str(spool)
    name = f"example.com/{repository}:1"
    slow = Slow(module, large(), engine.location(name), engine.at("dest_"))
    time.sleep(4)
    assert slow.process.poll() is None
    started = time.monotonic()
    slow.process.send_signal(signal.SIGTERM)
    output = slow.end()
    assert time.monotonic() - started < 6
    assert "stop" in output and '"failed": true' in output and "Traceback" not in output, output
    # What the engine makes of the half is its own affair; a name it must not get.
    time.sleep(1)
    assert engine.id_of(name) is None
    assert list(spool.iterdir()) == []
    assert _services(module.home) == []


def _services(home: pathlib.Path) -> list[str]:
    """The command lines of podman services that were started for a module with this home."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            own = words and b"podman" in words[0] and f"HOME={home}".encode() in (entry / "environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if own:
            found.append(b" ".join(words).decode())
    return found


def test_podman_is_started_for_the_task_and_ends_with_it(on_demand: Engine, module: ModuleRunner, tmp_path: pathlib.Path) -> None:
    module.environment.update(on_demand.environment())
    image = amd64(images.sample(["linux/amd64"]))
    made = images.write_layout(tmp_path / "made", {"1": image})
    dest = "containers-storage:example.com/started/for:1"
    started = time.monotonic()
    # Through Ansible itself, whose connection must not be held open by what was started.
    assert module.ansible("image_copy", src=f"oci:{made}:1", dest=dest)["changed"]
    assert time.monotonic() - started < 30
    assert _services(module.home) == []
    assert not list(module.home.rglob("podman.sock"))
    on_demand.tool.run("image", "rm", "--force", "example.com/started/for:1")
