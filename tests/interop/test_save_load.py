# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""image_save_load with docker, podman and skopeo at the other end, and with everything that can break a save."""

from __future__ import annotations

import gzip
import json
import pathlib
import resource
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.longshore.oci.tests.servers import images, process
from ansible_collections.longshore.oci.tests.servers.engines import Dockerd, Podman
from ansible_collections.longshore.oci.tests.servers.images import DOCKER, OCI, Image, Index, Pushable
from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner
from ansible_collections.longshore.oci.tests.servers.registry import Registry, describe
from ansible_collections.longshore.oci.tests.servers.results import Result, ok, sentence
from ansible_collections.longshore.oci.tests.servers.runnable import runnable
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo


def amd64(content: Pushable) -> Image:
    """What an engine on this machine takes of an image."""
    return content.images[0] if isinstance(content, Index) else content


def diff_ids(image: Image) -> list[str]:
    found: list[str] = image.config.json["rootfs"]["diff_ids"]
    return found


def leftovers(folder: pathlib.Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir() if one.name.startswith("."))


class Stored:
    """Images in the first registry, by their whole names, and what a save of all of them left."""

    def __init__(self, path: pathlib.Path, contents: dict[str, Pushable], saved: Result) -> None:
        self.path = path
        self.contents = contents
        self.saved = saved


@pytest.fixture(scope="module")
def busybox_cache(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Where Debian's busybox is kept."""
    return tmp_path_factory.mktemp("busybox")


@pytest.fixture(scope="module")
def stored(
    registry: Registry, busybox_cache: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> Stored:
    """Images that start, of both kinds of media types, all of them over the same busybox layers, in one archive."""
    host = f"{registry.host}/saved"
    contents = {
        f"{host}/both:oci": runnable(busybox_cache, kind=OCI, greeting="several platforms, oci"),
        f"{host}/both:docker": runnable(busybox_cache, kind=DOCKER, greeting="several platforms, docker"),
        f"{host}/single:oci": runnable(busybox_cache, ["amd64"], kind=OCI, greeting="one platform, oci"),
        f"{host}/single:docker": runnable(busybox_cache, ["amd64"], kind=DOCKER, greeting="one platform, docker"),
    }
    for name, content in contents.items():
        repository, dummy, tag = name.partition("/")[2].rpartition(":")
        images.push(registry, repository, content, [tag])
    folder = tmp_path_factory.mktemp("stored")
    options = {"state": "saved", "path": str(folder / "images.tar"), "images": list(contents), "plain_http": True}
    return Stored(folder / "images.tar", contents, ok(ModuleRunner(folder)("image_save_load", **options)))


def in_registry(registry: Registry, skopeo: Skopeo, name: str) -> tuple[str, list[str]]:
    """The config's digest and the digests of the layers' content (after decompression) of a single image."""
    manifest = skopeo.manifest(f"docker://{name}")
    repository = name.partition("/")[2].rpartition(":")[0]
    found = []
    for layer in manifest["layers"]:
        status, unused, body = registry.request("GET", f"/v2/{repository}/blobs/{layer['digest']}")
        assert status == 200
        found.append(images.sha256(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body))
    return manifest["config"]["digest"], found


def test_the_archive_holds_every_blob_once_and_as_it_was(stored: Stored) -> None:
    expected = {}
    for content in stored.contents.values():
        expected |= {blob.digest.split(":")[1]: blob.data for blob in (*content.blobs(), *content.manifests())}
    with tarfile.open(stored.path) as tar:
        names = [member.name for member in tar if member.isfile()]
        assert len(names) == len(set(names))
        held = {name.rpartition("/")[2]: name for name in names if name.startswith("blobs/sha256/")}
        assert set(held) == set(expected)
        for digest, data in expected.items():
            file = tar.extractfile(held[digest])
            assert file is not None and file.read() == data
    assert [image["digest"] for image in stored.saved["images"]] == [one.digest for one in stored.contents.values()]


def test_docker_loads_and_runs_it(stored: Stored, dockerd: Dockerd) -> None:
    said = dockerd.run("load", "--input", str(stored.path))
    for name, content in stored.contents.items():
        assert f"Loaded image: {name}" in said
        facts = dockerd.inspect(name)
        assert facts["Id"] == amd64(content).config.digest
        assert facts["RootFS"]["Layers"] == diff_ids(amd64(content))
        assert dockerd.run_container(name) == _greeting(name)
    dockerd.run("image", "rm", *stored.contents)


def test_podman_loads_and_runs_it(stored: Stored, podman: Podman) -> None:
    podman.run("load", "--input", str(stored.path))
    for name, content in stored.contents.items():
        facts = podman.inspect(name)
        assert f"sha256:{facts['Id']}" == amd64(content).config.digest
        assert facts["RootFS"]["Layers"] == diff_ids(amd64(content))
        assert podman.run_container(name) == _greeting(name)
    podman.run("image", "rm", "--force", *stored.contents)


def _greeting(name: str) -> str:
    return f"{'several platforms' if 'both' in name else 'one platform'}, {name.rpartition(':')[2]}"


def test_skopeo_reads_it_in_both_forms(
    stored: Stored, skopeo: Skopeo, second_registry: Registry, repository: str
) -> None:
    assert json.loads(skopeo.run("list-tags", f"docker-archive:{stored.path}"))["Tags"] == sorted(stored.contents)
    for name, content in stored.contents.items():
        found = f"docker-archive:{stored.path}:{name}"
        assert skopeo.inspect(found, None, "--config", "--raw") == amd64(content).config.json
        assert skopeo.inspect(found)["Layers"] == diff_ids(amd64(content))
        if name.endswith(":docker"):
            # skopeo looks for OCI's media types alone in a layout.
            continue
        target = f"docker://{second_registry.host}/{repository}:1"
        skopeo.copy(f"oci-archive:{stored.path}:{name}", target)
        assert skopeo.digest(target) == content.digest


def test_it_is_no_larger_than_skopeos(stored: Stored, module: ModuleRunner, skopeo: Skopeo, tmp_path: pathlib.Path) -> None:
    name = next(name for name in stored.contents if name.endswith("single:oci"))
    ok(module("image_save_load", state="saved", path=str(tmp_path / "ours.tar"), images=[name], plain_http=True))
    skopeo.copy(f"docker://{name}", f"docker-archive:{tmp_path}/theirs.tar:{name}", all_platforms=False)
    ours, theirs = ((tmp_path / file).stat().st_size for file in ("ours.tar", "theirs.tar"))
    compressed = sum(len(layer.data) for layer in amd64(stored.contents[name]).layers)
    assert ours <= theirs
    # All that comes on top of the layers as they are: manifests, config, headers.
    assert ours - compressed < 16384


def test_what_we_save_we_load_and_nothing_is_left_to_do(
    stored: Stored, module: ModuleRunner, second_registry: Registry, skopeo: Skopeo, repository: str
) -> None:
    before = stored.path.stat()
    again = ok(
        module("image_save_load", state="saved", path=str(stored.path), images=list(stored.contents), plain_http=True)
    )
    assert not again["changed"]
    assert (stored.path.stat().st_ino, stored.path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    dest = f"{second_registry.host}/{repository}"
    options = {"state": "loaded", "path": str(stored.path), "dest": dest, "plain_http": True}
    result = ok(module("image_save_load", **options))
    for name, content in stored.contents.items():
        assert skopeo.digest(f"docker://{dest}/{name.partition('/')[2]}") == content.digest
    # The busybox layers are shared: they move once, and are mounted elsewhere.
    sizes = {blob.digest: len(blob.data) for content in stored.contents.values() for blob in content.blobs()}
    assert result["bytes_transferred"] == sum(sizes.values())
    assert result["blobs"]["mounted"] > 0
    mark = second_registry.mark()
    assert not ok(module("image_save_load", **options))["changed"]
    assert not second_registry.writes_since(mark), describe(second_registry.writes_since(mark))


def test_saving_what_is_there_keeps_it_without_append(stored: Stored, module: ModuleRunner, tmp_path: pathlib.Path) -> None:
    first, second, *rest = stored.contents
    path = tmp_path / "images.tar"
    options = {"state": "saved", "path": str(path), "plain_http": True}
    ok(module("image_save_load", images=[first, second], **options))
    # One image stays, one goes, one comes.
    result = ok(module("image_save_load", diff=True, images=[second, rest[0]], **options))
    assert result["diff"]["before"] == {first: stored.contents[first].digest, rest[0]: None}
    assert [image["state"] for image in result["images"]] == ["unchanged", "copied"]
    with tarfile.open(path) as tar:
        file = tar.extractfile("index.json")
        assert file is not None
        listed = {entry["digest"] for entry in json.load(file)["manifests"]}
        held = {member.name for member in tar}
    assert listed == {stored.contents[second].digest, stored.contents[rest[0]].digest}
    assert f"blobs/sha256/{stored.contents[first].digest.split(':')[1]}" not in held


@pytest.fixture(params=[OCI, DOCKER])
def single(request: pytest.FixtureRequest, stored: Stored) -> tuple[str, Image]:
    """The name and the content of an image of one platform."""
    name = next(name for name in stored.contents if name.endswith(f"single:{request.param}"))
    return name, amd64(stored.contents[name])


def _by_docker(path: pathlib.Path, name: str, form: str, request: pytest.FixtureRequest) -> None:
    dockerd: Dockerd = request.getfixturevalue("dockerd")
    dockerd.run("pull", "--quiet", name)
    dockerd.run("save", "--output", str(path), name)
    dockerd.run("image", "rm", name)


def _by_podman(path: pathlib.Path, name: str, form: str, request: pytest.FixtureRequest) -> None:
    podman: Podman = request.getfixturevalue("podman")
    podman.run("pull", "--quiet", "--tls-verify=false", name)
    podman.run("save", "--quiet", "--format", form, "--output", str(path), name)
    podman.run("image", "rm", "--force", name)


def _by_skopeo(path: pathlib.Path, name: str, form: str, request: pytest.FixtureRequest) -> None:
    skopeo: Skopeo = request.getfixturevalue("skopeo")
    skopeo.copy(f"docker://{name}", f"{form}:{path}:{name}", all_platforms=False)


@pytest.mark.parametrize(
    ("save", "form"),
    [
        (_by_docker, "docker-archive"),
        (_by_podman, "docker-archive"),
        (_by_podman, "oci-archive"),
        (_by_skopeo, "docker-archive"),
        (_by_skopeo, "oci-archive"),
    ],
)
def test_what_others_save_is_loaded(
    save: Callable[[pathlib.Path, str, str, pytest.FixtureRequest], None],
    form: str,
    single: tuple[str, Image],
    module: ModuleRunner,
    second_registry: Registry,
    skopeo: Skopeo,
    repository: str,
    tmp_path: pathlib.Path,
    request: pytest.FixtureRequest,
) -> None:
    name, content = single
    path = tmp_path / "theirs.tar"
    save(path, name, form, request)
    dest = f"{second_registry.host}/{repository}"
    target = f"{dest}/{name.partition('/')[2]}"
    options = {"state": "loaded", "path": str(path), "dest": dest, "plain_http": True}
    would = ok(module("image_save_load", check=True, **options))
    result = ok(module("image_save_load", **options))
    assert [image["dest"] for image in result["images"]] == [target]
    assert result["images"] == would["images"]
    config, layers = in_registry(second_registry, skopeo, target)
    assert layers == diff_ids(content)
    told = skopeo.inspect(f"docker://{target}", None, "--config")
    assert told["rootfs"]["diff_ids"] == diff_ids(content)
    assert told["config"]["Cmd"] == content.config.json["config"]["Cmd"]
    if form == "docker-archive" or (save is _by_skopeo and name.endswith(":oci")):
        # In OCI's form podman writes every config anew, and skopeo those of Docker's media types.
        assert config == content.config.digest
    if form == "oci-archive" and save is _by_skopeo and name.endswith(":oci"):
        assert skopeo.digest(f"docker://{target}") == content.digest
    mark = second_registry.mark()
    assert not ok(module("image_save_load", **options))["changed"]
    assert not second_registry.writes_since(mark), describe(second_registry.writes_since(mark))


def _half(path: pathlib.Path, stored: Stored) -> None:
    data = stored.path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _flipped(path: pathlib.Path, stored: Stored) -> None:
    data = bytearray(stored.path.read_bytes())
    place = data.find(amd64(next(iter(stored.contents.values()))).layers[0].data[:64])
    assert place > 0
    data[place + 1000] ^= 1
    path.write_bytes(data)


# What is at the path, and what the message has to say beside the path.
NO_ARCHIVES: dict[str, tuple[Callable[[pathlib.Path, Stored], Any], str]] = {
    "text": (lambda path, stored: path.write_text("no archive at all\n" * 100), "archive"),
    "empty": (lambda path, stored: path.write_bytes(b""), "empty"),
    "gzip": (lambda path, stored: path.write_bytes(gzip.compress(b"no archive at all")), "archive"),
    "broken-gzip": (lambda path, stored: path.write_bytes(gzip.compress(bytes(100000))[:50]), ""),
    "directory": (lambda path, stored: path.mkdir(), "is no file"),
    "nothing": (lambda path, stored: None, "does not exist"),
    "half": (_half, ""),
    "flipped": (_flipped, "sha256:"),
}


@pytest.mark.parametrize("what", NO_ARCHIVES)
def test_what_is_no_archive_is_refused(
    what: str, stored: Stored, module: ModuleRunner, second_registry: Registry, repository: str, tmp_path: pathlib.Path
) -> None:
    make, words = NO_ARCHIVES[what]
    path = tmp_path / "broken.tar"
    make(path, stored)
    dest = f"{second_registry.host}/{repository}"
    result = module("image_save_load", state="loaded", path=str(path), dest=dest, plain_http=True, retries=0)
    message = sentence(result)
    assert str(path) in message and words in message, message
    # A blob that breaks is found while it moves; no image becomes visible that misses one.
    mark_free = second_registry.request("GET", f"/v2/{repository}/saved/both/tags/list")
    assert "oci" not in str(json.loads(mark_free[2]).get("tags")), message


def waiting(module: ModuleRunner, name: str) -> subprocess.Popen[str]:
    """A module's process that waits for its arguments."""
    return subprocess.Popen(
        module.command(name),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=module.whole_environment(),
        text=True,
    )


def tell(running: subprocess.Popen[str], arguments: str) -> None:
    """Give such a process its arguments."""
    assert running.stdin is not None
    running.stdin.write(arguments)
    running.stdin.close()
    running.stdin = None


def answer(running: subprocess.Popen[str]) -> Result:
    """Wait for the result of such a process."""
    output = running.communicate(timeout=60)[0]
    result: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return result


class Slow:
    """An archive of one image, another image of 2 MiB to save over it, and a save that takes two seconds."""

    def __init__(self, module: ModuleRunner, registry: Registry, repository: str, folder: pathlib.Path) -> None:
        self.module = module
        self.folder = folder / "archives"
        self.folder.mkdir()
        self.path = self.folder / "images.tar"
        self.name = f"{registry.host}/{repository}:large"
        images.push(registry, repository, images.sample(["linux/amd64"]), ["small"])
        self.large = images.image("linux/amd64", [images.noise_layer(1 << 20, seed) for seed in (1, 2)])
        images.push(registry, repository, self.large, ["large"])
        ok(module("image_save_load", images=[f"{registry.host}/{repository}:small"], **self.options))
        self.before = self.path.read_bytes()

    @property
    def options(self) -> dict[str, Any]:
        return {"state": "saved", "path": str(self.path), "plain_http": True, "retries": 0}

    def begin(self, **options: Any) -> subprocess.Popen[str]:
        """Start to save the large image, at 1 MiB a second."""
        text = self.module.arguments(**self.options, images=[self.name], bandwidth_limit="1M", **options)
        running = waiting(self.module, "image_save_load")
        tell(running, text)
        return running

    def wait_for_bytes(self, size: int) -> None:
        """Wait until the temporary file has so many bytes on the disk."""

        def there() -> bool:
            found = [one.stat().st_blocks * 512 for one in self.folder.glob(".longshore-*")]
            return bool(found) and max(found) >= size

        process.wait_until(there, "the temporary file", 20)


@pytest.fixture
def slow(module: ModuleRunner, registry: Registry, repository: str, tmp_path: pathlib.Path) -> Slow:
    """See `Slow`."""
    return Slow(module, registry, repository, tmp_path)


@pytest.mark.parametrize("percent", [0, 20, 40, 60, 80])
def test_killed_in_the_middle_the_old_archive_is_what_it_was(slow: Slow, percent: int) -> None:
    running = slow.begin()
    slow.wait_for_bytes(percent * (2 << 20) // 100)
    running.kill()
    assert running.wait(10) == -signal.SIGKILL
    assert slow.path.read_bytes() == slow.before
    # What the dead one left does not stand in the way.
    assert ok(slow.module("image_save_load", images=[slow.name], **slow.options))["changed"]
    with tarfile.open(slow.path) as tar:
        assert f"blobs/sha256/{slow.large.digest.split(':')[1]}" in tar.getnames()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_leaves_nothing_behind(slow: Slow, number: signal.Signals) -> None:
    running = slow.begin()
    slow.wait_for_bytes(400_000)
    begun = time.monotonic()
    running.send_signal(number)
    assert "stopped" in sentence(answer(running))
    assert time.monotonic() - begun < 5
    assert slow.path.read_bytes() == slow.before
    assert leftovers(slow.folder) == []


def test_a_file_that_may_not_grow_leaves_the_old_archive(slow: Slow) -> None:
    done = subprocess.run(
        slow.module.command("image_save_load"),
        input=slow.module.arguments(**slow.options, images=[slow.name]),
        env=slow.module.whole_environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    message = sentence(json.loads(done.stdout.strip().splitlines()[-1]))
    assert str(slow.path) in message and "larger than" in message
    assert slow.path.read_bytes() == slow.before
    assert leftovers(slow.folder) == []


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    process.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)])
    try:
        yield place
    finally:
        process.run(["umount", str(place)])


def test_a_full_disk_is_known_before_the_first_byte(slow: Slow, registry: Registry, small_disk: pathlib.Path) -> None:
    path = small_disk / "images.tar"
    path.write_bytes(slow.before)
    mark = registry.mark()
    message = sentence(slow.module("image_save_load", **{**slow.options, "path": str(path)}, images=[slow.name]))
    assert "not enough space" in message and str(small_disk) in message and "1.0 MB free" in message, message
    assert not [one for one in registry.requests_since(mark) if "/blobs/" in one.path]
    assert path.read_bytes() == slow.before
    assert leftovers(small_disk) == []


def test_a_disk_that_fills_up_meanwhile_leaves_the_old_archive(slow: Slow, small_disk: pathlib.Path) -> None:
    # Enough for the compressed layers at first; another one takes it while they come.
    process.run(["mount", "-o", "remount,size=3m", str(small_disk)])
    path = small_disk / "images.tar"
    path.write_bytes(slow.before)
    slow.path, slow.folder = path, small_disk
    running = slow.begin()
    slow.wait_for_bytes(200_000)
    other = small_disk / "other"
    with pytest.raises(OSError, match="No space left"), other.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    message = sentence(answer(running))
    assert "no space is left" in message and str(path) in message, message
    assert path.read_bytes() == slow.before
    assert leftovers(small_disk) == []


def test_six_tasks_save_into_one_layout(
    module: ModuleRunner, registry: Registry, skopeo: Skopeo, repository: str, tmp_path: pathlib.Path
) -> None:
    place = tmp_path / "layout"
    expected, running = {}, []
    for number in range(6):
        content = images.sample(seed=number)
        images.push(registry, repository, content, [str(number)])
        name = f"{registry.host}/{repository}:{number}"
        if number % 2:
            verb, stored_as = "image_copy", f"copy-{number}"
            options: dict[str, Any] = {"src": name, "dest": f"oci:{place}:{stored_as}", "src_plain_http": True}
        else:
            verb, stored_as = "image_save_load", name
            options = {"state": "saved", "path": f"oci:{place}", "images": [name], "plain_http": True}
        expected[stored_as] = content.digest
        running.append((waiting(module, verb), module.arguments(**options)))
    # All of them have started before the first one is told what to do.
    for child, text in running:
        tell(child, text)
    for child, unused in running:
        assert ok(answer(child))["changed"]
    for name, digest in expected.items():
        assert skopeo.digest(f"oci:{place}:{name}") == digest
    # And a seventh, which has to keep what is there.
    again = ok(
        module("image_save_load", state="saved", path=f"oci:{place}", images=[f"{registry.host}/{repository}:0"], plain_http=True)
    )
    assert not again["changed"]
    assert len(json.loads((place / "index.json").read_bytes())["manifests"]) == 6
