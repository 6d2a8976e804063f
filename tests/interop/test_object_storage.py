# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives in object storages: presigned URLs and s3:// against moto, skopeo as the reader, faults against a small server."""

from __future__ import annotations

import hashlib
import json
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.longshore.oci.tests.servers import images, results
from ansible_collections.longshore.oci.tests.servers.certificates import Authority
from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner
from ansible_collections.longshore.oci.tests.servers.registry import Registry
from ansible_collections.longshore.oci.tests.servers.results import Result, ok
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo
from ansible_collections.longshore.oci.tests.servers.storage import Moto, Storage, answering, cut_after, usual

MEMORY = 80 * 1000 * 1000


def sentence(result: Result) -> str:
    """The message of a failure that a user can cause: one line, no traceback, no signature."""
    message = results.sentence(result, 600)
    assert "Signature=" not in message
    return message


class Release:
    """Two images in a registry, and the options that save them."""

    def __init__(self, registry: Registry, repository: str, layer_size: int = 4096) -> None:
        self.contents = {
            f"{registry.host}/{repository}/app:1": images.sample(layer_size=layer_size, seed=1),
            f"{registry.host}/{repository}/tool:2": images.sample(["linux/amd64"], layer_size=layer_size, seed=2),
        }
        for name, content in self.contents.items():
            place, unused, tag = name.partition("/")[2].rpartition(":")
            images.push(registry, place, content, [tag])
        self.options = {"state": "saved", "images": list(self.contents), "plain_http": True}

    @property
    def digests(self) -> list[str]:
        return [content.digest for content in self.contents.values()]


@pytest.fixture
def release(registry: Registry, repository: str) -> Release:
    return Release(registry, repository)


@pytest.fixture
def storage() -> Iterator[Storage]:
    with Storage() as running:
        yield running


@pytest.fixture
def bucket(moto: Moto, repository: str) -> str:
    """A bucket of the test's own."""
    name = "test-" + hashlib.sha256(repository.encode()).hexdigest()[:12]
    moto.client().create_bucket(Bucket=name)
    return name


def signed(moto: Moto, verb: str, bucket: str, key: str) -> str:
    """A presigned URL for an operation of boto3's."""
    url: str = moto.client().generate_presigned_url(verb, {"Bucket": bucket, "Key": key})
    assert "X-Amz-Signature=" in url
    return url


def test_there_and_back_through_presigned_urls(
    module: ModuleRunner, release: Release, moto: Moto, bucket: str, second_registry: Registry, skopeo: Skopeo,
    tmp_path: pathlib.Path,
) -> None:  # fmt: skip
    path = signed(moto, "put_object", bucket, "release.tar")
    planned = ok(module("image_save_load", check=True, path=path, **release.options))
    assert planned["changed"] and "Contents" not in moto.client().list_objects_v2(Bucket=bucket)
    saved = ok(module("image_save_load", path=path, **release.options))
    assert saved["changed"] and [image["digest"] for image in saved["images"]] == release.digests
    assert {key: planned[key] for key in ("images", "bytes_transferred", "blobs")} == {
        key: saved[key] for key in ("images", "bytes_transferred", "blobs")
    }
    assert saved["path"] == path.partition("?")[0] + "?..."
    # Everybody else reads the object, downloaded.
    reading = signed(moto, "get_object", bucket, "release.tar")
    with urllib.request.urlopen(reading) as answer:
        (tmp_path / "got.tar").write_bytes(answer.read())
    for name, content in release.contents.items():
        skopeo.copy(f"oci-archive:{tmp_path}/got.tar:{name}", f"oci:{tmp_path}/out:app")
        assert skopeo.digest(f"oci:{tmp_path}/out:app") == content.digest
        skopeo.inspect(f"docker-archive:{tmp_path}/got.tar:{name}", None, "--config")
    # And it is loaded from where it is.
    load = {"state": "loaded", "path": reading, "dest": f"{second_registry.host}/{bucket}", "plain_http": True}
    loaded = ok(module("image_save_load", **load))
    assert loaded["changed"] and [image["digest"] for image in loaded["images"]] == release.digests
    for name, content in release.contents.items():
        there = f"docker://{second_registry.host}/{bucket}/{name.partition('/')[2]}"
        assert skopeo.digest(there) == content.digest
    mark = second_registry.mark()
    assert not ok(module("image_save_load", **load))["changed"]
    assert {one.method for one in second_registry.requests_since(mark)} <= {"GET", "HEAD"}


def test_s3_there_and_back(
    module: ModuleRunner, release: Release, moto: Moto, bucket: str, second_registry: Registry, skopeo: Skopeo
) -> None:
    module.environment |= moto.environment
    path = f"s3://{bucket}/dir/release.tar"
    saved = ok(module("image_save_load", path=path, **release.options))
    assert saved["changed"] and saved["path"] == path
    before = moto.client().head_object(Bucket=bucket, Key="dir/release.tar")
    time.sleep(1.1)
    for check in (False, True):
        assert not ok(module("image_save_load", check=check, path=path, **release.options))["changed"]
    after = moto.client().head_object(Bucket=bucket, Key="dir/release.tar")
    assert (before["ETag"], before["LastModified"]) == (after["ETag"], after["LastModified"])
    names = list(release.contents)
    found = ok(module("image_inspect", name=[f"{path}#{names[0]}", f"s3://{bucket}/none.tar#x"], list_tags=True))
    assert found["images"][0]["digest"] == release.digests[0] and found["images"][0]["tags"] == sorted(names)
    assert found["missing"] == [f"s3://{bucket}/none.tar#x"]
    assert ok(module("image_tags", repository=path))["tags"] == sorted(names)
    target = f"{second_registry.host}/{bucket}/one:1"
    copied = ok(module("image_copy", src=f"{path}#{names[1]}", dest=target, dest_plain_http=True))
    assert copied["changed"] and skopeo.digest(f"docker://{target}") == release.digests[1]
    # One more image, beside those that are there.
    more = f"{path}#more:1"
    assert ok(module("image_copy", src=target, dest=more, src_plain_http=True))["changed"]
    assert not ok(module("image_copy", src=target, dest=more, src_plain_http=True))["changed"]
    assert ok(module("image_tags", repository=path))["total"] == 3
    # Saved again, the archive holds what was named, and nothing else.
    again = ok(module("image_save_load", path=path, diff=True, **release.options))
    assert again["changed"] and again["diff"]["before"] == {"more:1": release.digests[1]}


def test_s3_in_parts(module: ModuleRunner, registry: Registry, repository: str, moto: Moto, bucket: str) -> None:
    module.environment |= moto.environment
    release = Release(registry, repository, layer_size=9_000_000)
    path = f"s3://{bucket}/large.tar"
    assert ok(module("image_save_load", path=path, **release.options))["changed"]
    assert moto.client().head_object(Bucket=bucket, Key="large.tar")["ETag"].strip('"').rpartition("-")[2] > "1"
    found = ok(module("image_inspect", name=[f"{path}#{name}" for name in release.contents]))
    assert [image["digest"] for image in found["images"]] == release.digests
    # A layer goes wrong: what was begun is aborted, and what was there stays.
    other = Release(registry, f"{repository}/other", layer_size=9_000_001)
    content = images.sample(["linux/amd64"], layer_size=9_000_001, seed=2)
    assert isinstance(content, images.Image)
    spoil(registry, content.layers[-1].digest)
    message = sentence(module("image_save_load", path=path, **other.options))
    assert content.layers[-1].digest in message and "digest mismatch" in message, message
    assert "Uploads" not in moto.client().list_multipart_uploads(Bucket=bucket)
    found = ok(module("image_inspect", name=[f"{path}#{name}" for name in release.contents]))
    assert [image["digest"] for image in found["images"]] == release.digests


def spoil(registry: Registry, digest: str) -> None:
    """Change the last byte of a blob that ``registry`` stores."""
    algorithm, unused, encoded = digest.partition(":")
    path = registry.storage / "docker" / "registry" / "v2" / "blobs" / algorithm / encoded[:2] / encoded / "data"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def test_s3_without_boto3_and_without_credentials(
    module: ModuleRunner, release: Release, moto: Moto, bucket: str, tmp_path: pathlib.Path
) -> None:
    path = f"s3://{bucket}/a.tar"
    module.environment |= {**moto.environment, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    assert "boto3 finds no credentials" in sentence(module("image_save_load", path=path, **release.options))
    module.environment |= moto.environment
    message = sentence(module("image_save_load", path="s3://no-such-bucket-of-ours/a.tar", **release.options))
    assert "NoSuchBucket" in message
    assert "s3://bucket/key" in sentence(module("image_save_load", path="s3://only-a-bucket", **release.options))
    (tmp_path / "boto3.py").write_text("raise ImportError('no boto3')\n")
    module.environment["PYTHONPATH"] = f"{tmp_path}:{module.whole_environment()['PYTHONPATH']}"
    assert "boto3" in sentence(module("image_save_load", path=path, **release.options))


def test_one_put_of_exactly_the_announced_length(module: ModuleRunner, release: Release, storage: Storage) -> None:
    path = storage.url("/dir/a.tar", "sig=abcdefghijklmnop")
    assert ok(module("image_save_load", path=path, **release.options))["changed"]
    (put,) = storage.asked("PUT")
    assert put.path == "/dir/a.tar" and put.query == "sig=abcdefghijklmnop"
    assert put.headers["content-length"] == str(len(storage.objects["/dir/a.tar"]))
    assert "transfer-encoding" not in put.headers and "authorization" not in put.headers
    assert not ok(module("image_save_load", path=path, **release.options))["changed"]
    assert len(storage.asked("PUT")) == 1


def test_registry_credentials_do_not_go_to_a_url(
    module: ModuleRunner, registry_tls: Registry, storage: Storage, repository: str
) -> None:
    from ansible_collections.longshore.oci.tests.interop.accounts import PASSWORD, USER

    layout = images.write_layout(module.home / "layout", {"1": images.sample()})
    tls = {"username": USER, "password": PASSWORD, "ca_path": str(registry_tls.ca)}
    name = f"{registry_tls.host}/{repository}:1"
    ok(module("image_copy", src=f"oci:{layout}:1", dest=name, **{f"dest_{key}": value for key, value in tls.items()}))
    path = storage.url("/a.tar")
    assert ok(module("image_save_load", state="saved", path=path, images=[name], **tls))["changed"]
    there = {"state": "loaded", "path": path, "dest": f"{registry_tls.host}/{repository}/back"}
    assert ok(module("image_save_load", **there, **tls))["changed"]
    assert storage.log and not [one for one in storage.log if "authorization" in one.headers]


@pytest.mark.parametrize(
    "faults",
    [[answering(503)], [cut_after(2000)], [cut_after(0)], [answering(500), cut_after(10), answering(429)]],
    ids=["busy", "cut", "reset", "all"],
)
def test_what_passes_is_survived(
    faults: list[Any], module: ModuleRunner, release: Release, storage: Storage, tmp_path: pathlib.Path
) -> None:
    storage.faults["PUT"] = list(faults)
    saved = ok(module("image_save_load", path=storage.url("/a.tar"), **release.options))
    assert saved["changed"] and len(storage.asked("PUT")) == len(faults) + 1
    # Reading: broken off here and there.
    storage.faults["GET"] = [usual, *faults, usual, *faults]
    found = ok(module("image_inspect", name=[f"{storage.url('/a.tar')}#{name}" for name in release.contents]))
    assert [image["digest"] for image in found["images"]] == release.digests


def test_what_does_not_pass_leaves_what_was_there(module: ModuleRunner, release: Release, storage: Storage) -> None:
    path = storage.url("/a.tar", "Signature=abcdefghijklmnop")
    ok(module("image_save_load", path=path, **release.options))
    before = storage.objects["/a.tar"]
    less = {**release.options, "images": release.options["images"][:1], "retries": 1}
    for status, words in ((403, "meant for PUT"), (413, "raise its limit"), (507, "storage is full"), (411, "Content-Length")):
        said = "<Error><Code>Denied</Code><Message>No</Message><StringToSign>abcdefghijklmnop</StringToSign></Error>"
        storage.faults["PUT"] = [answering(status, said)]
        message = sentence(module("image_save_load", path=path, **less))
        assert f"HTTP {status}" in message and words in message, message
    storage.faults["PUT"] = [cut_after(1000)] * 5
    assert "tried 2 times" in sentence(module("image_save_load", path=path, **less))
    assert storage.objects["/a.tar"] == before
    storage.faults["PUT"] = []
    assert ok(module("image_save_load", path=path, **less))["changed"]


def test_a_url_that_may_only_be_written(module: ModuleRunner, release: Release) -> None:
    with Storage(write_only=True) as storage:
        for times in (1, 2):
            saved = ok(module("image_save_load", path=storage.url("/a.tar"), **release.options))
            assert saved["changed"] and len(storage.asked("PUT")) == times
            assert "every run writes it anew" in saved["warnings"][0]
        assert ok(module("image_save_load", check=True, path=storage.url("/a.tar"), **release.options))["changed"]
        assert len(storage.asked("PUT")) == 2
        message = sentence(module("image_inspect", name=storage.url("/a.tar") + "#x"))
        assert "HTTP 403" in message and "meant for reading" in message


def test_append_and_something_else_at_the_url(module: ModuleRunner, release: Release, storage: Storage) -> None:
    path = storage.url("/a.tar", "sig=abcdefghijklmnop")
    message = sentence(module("image_save_load", path=path, append=True, **release.options))
    assert "append" in message and "abcdefghijklmnop" not in message
    storage.objects["/a.tar"] = b"precious" * 100
    assert "no image archive" in sentence(module("image_save_load", path=path, **release.options))
    assert storage.asked("PUT") == [] and storage.objects["/a.tar"].startswith(b"precious")


@pytest.mark.parametrize("tool", ["gzip", "bzip2", "xz", "zstd", None])
def test_loading_what_cannot_be_read_in_place(
    tool: str | None, module: ModuleRunner, release: Release, second_registry: Registry, repository: str, tmp_path: pathlib.Path
) -> None:
    with Storage(ranges=tool is not None) as storage:
        path = storage.url("/a.tar")
        ok(module("image_save_load", path=path, **release.options))
        if tool:
            packed = subprocess.run([tool, "--stdout"], input=storage.objects["/a.tar"], check=True, capture_output=True)
            storage.objects["/a.tar"] = packed.stdout
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        module.environment["TMPDIR"] = str(temporary)
        options = {"state": "loaded", "path": path, "dest": f"{second_registry.host}/{repository}", "plain_http": True}
        loaded = ok(module("image_save_load", **options))
        assert [image["digest"] for image in loaded["images"]] == release.digests
        assert list(temporary.iterdir()) == []
        assert not ok(module("image_save_load", **options))["changed"]


def test_a_change_while_it_is_loaded(
    module: ModuleRunner, registry: Registry, second_registry: Registry, repository: str, storage: Storage
) -> None:
    release = Release(registry, repository, layer_size=500_000)
    path = storage.url("/a.tar")
    ok(module("image_save_load", path=path, **release.options))

    def change(asked: object, handler: object) -> bool:
        storage.objects["/a.tar"] = storage.objects["/a.tar"] + bytes(1024)
        return False

    storage.faults["GET"] = [usual, usual, change]
    options = {"state": "loaded", "path": path, "dest": f"{second_registry.host}/{repository}", "plain_http": True, "parallel": 1}
    message = sentence(module("image_save_load", **options))
    assert "was changed while it was read" in message, message
    assert ok(module("image_save_load", **options))["changed"]


def test_redirects(module: ModuleRunner, release: Release, storage: Storage) -> None:
    with Storage() as second:
        there = {"Location": second.url("/b.tar", "Signature=abcdefghijklmnop")}
        storage.faults["PUT"] = [answering(307, "", there)]
        ok(module("image_save_load", path=storage.url("/a.tar"), **release.options))
        assert "/b.tar" in second.objects and not storage.objects
        storage.faults["GET"] = [answering(302, "", there)] * 20
        found = ok(module("image_inspect", name=[f"{storage.url('/a.tar')}#{name}" for name in release.contents]))
        assert [image["digest"] for image in found["images"]] == release.digests


def test_tls(module: ModuleRunner, release: Release, tmp_path: pathlib.Path) -> None:
    authority = Authority(tmp_path)
    with Storage(tls=authority.server()) as storage:
        message = sentence(module("image_save_load", path=storage.url("/a.tar"), retries=0, **release.options))
        assert "not trusted" in message and "ca_path" in message
        options = {**release.options, "path": storage.url("/a.tar"), "ca_path": str(authority.certificate)}
        assert ok(module("image_save_load", **options))["changed"]
        assert not ok(module("image_save_load", **options))["changed"]


def test_a_delta_in_a_storage(
    module: ModuleRunner, release: Release, storage: Storage, second_registry: Registry, repository: str, tmp_path: pathlib.Path
) -> None:
    first, second = storage.url("/1.tar", "sig=abcdefghijklmnop"), storage.url("/2.tar", "sig=abcdefghijklmnop")
    index = str(tmp_path / "1.json")
    ok(module("image_save_load", path=str(tmp_path / "1.tar"), index_file=index, **release.options))
    ok(module("image_save_load", path=first, **release.options))
    options = {**release.options, "path": second, "since": [index]}
    assert ok(module("image_save_load", **options))["changed"]
    assert not ok(module("image_save_load", **options))["changed"]
    assert len(storage.objects["/2.tar"]) < len(storage.objects["/1.tar"])
    target = {"state": "loaded", "dest": f"{second_registry.host}/{repository}", "plain_http": True}
    lacking = module("image_save_load", path=second, **target)
    assert "missing_blobs" in lacking and "abcdefghijklmnop" not in sentence(lacking)
    ok(module("image_save_load", path=first, **target))
    assert not ok(module("image_save_load", path=second, **target))["changed"]


def test_layers_compressed_anew(module: ModuleRunner, release: Release, storage: Storage) -> None:
    options = {**release.options, "path": storage.url("/a.tar"), "compression": "zstd"}
    saved = ok(module("image_save_load", **options))
    assert saved["changed"] and [image["digest"] for image in saved["images"]] != release.digests
    found = ok(module("image_inspect", name=[f"{storage.url('/a.tar')}#{name}" for name in release.contents]))
    assert [image["digest"] for image in found["images"]] == [image["digest"] for image in saved["images"]]
    assert all(layer["media_type"].endswith("+zstd") for image in found["images"] for layer in image["layers"])
    assert not ok(module("image_save_load", **options))["changed"]
    assert len(storage.asked("PUT")) == 1


def test_an_index_file_beside_what_may_only_be_written(module: ModuleRunner, release: Release, tmp_path: pathlib.Path) -> None:
    index = tmp_path / "index.json"
    with Storage(write_only=True) as storage:
        ok(module("image_save_load", path=storage.url("/a.tar"), index_file=str(index), **release.options))
        assert all(digest in index.read_text() for digest in release.digests)


class Large:
    """An image with one large layer, and a storage that keeps nothing of what it gets."""

    SIZE = 300_000_000

    def __init__(self, registry: Registry, repository: str) -> None:
        data = bytes(self.SIZE)
        layer = images.Layer(data, images.sha256(data), False)
        content = images.image("linux/amd64", [layer])
        images.push(registry, repository, content, ["1"])
        self.name = f"{registry.host}/{repository}:1"


@pytest.fixture
def large(registry: Registry, repository: str) -> Large:
    return Large(registry, repository)


def peak(module: ModuleRunner, **options: Any) -> int:
    """Bytes of memory that saving takes at most."""
    script = (
        "import json, resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdin=sys.stdin, capture_output=True, text=True)\n"
        "usage = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps([usage.ru_maxrss * 1024, done.stdout]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *module.command("image_save_load")],
        input=module.arguments(**options),
        env=module.whole_environment(),
        cwd=module.home,
        capture_output=True,
        text=True,
        check=True,
    )
    size, text = json.loads(done.stdout)
    ok(json.loads(text.strip().splitlines()[-1]))
    return int(size)


def test_memory_and_disk_do_not_grow_with_the_image(module: ModuleRunner, large: Large, tmp_path: pathlib.Path) -> None:
    module.environment["TMPDIR"] = "/nowhere"
    options = {"state": "saved", "images": [large.name], "plain_http": True}
    with Storage(keep=False) as storage:
        assert peak(module, path=storage.url("/a.tar"), **options) < MEMORY
        assert storage.digests["/a.tar"][0] > large.SIZE


def test_told_to_stop_in_the_middle(module: ModuleRunner, large: Large) -> None:
    with Storage(keep=False) as storage:
        options = {"state": "saved", "images": [large.name], "plain_http": True, "bandwidth_limit": "20M"}
        running = subprocess.Popen(
            module.command("image_save_load"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=module.whole_environment(),
            cwd=module.home,
            text=True,
        )
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write(module.arguments(path=storage.url("/a.tar"), **options))
        running.stdin.close()
        end = time.monotonic() + 30
        while not storage.asked("PUT") and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.5)
        running.send_signal(signal.SIGTERM)
        result = json.loads(running.stdout.read().strip().splitlines()[-1])
        running.stdout.close()
        running.wait(10)
        assert "stop" in sentence(result) and "/a.tar" not in storage.digests
