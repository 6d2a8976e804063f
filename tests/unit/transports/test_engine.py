# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container engines that answer strangely, late or not at all."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    Cancelled,
    ContentError,
    DigestMismatch,
    InvalidInput,
    MissingRequirement,
    NetworkError,
    NotFound,
    OciError,
    StorageError,
)
from ansible_collections.longshore.oci.plugins.module_utils.model.platform import Platform
from ansible_collections.longshore.oci.plugins.module_utils.transports import spool, table
from ansible_collections.longshore.oci.plugins.module_utils.transports.engine_client import EngineClient
from ansible_collections.longshore.oci.plugins.module_utils.transports.engine_destination import EngineDestination
from ansible_collections.longshore.oci.plugins.module_utils.transports.engine_settings import EngineSettings
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.transports import images
from ansible_collections.longshore.oci.tests.unit.transports.fake_engine import FakeEngine

NAME = "example.com/app:1"


@pytest.fixture
def engine():
    with FakeEngine() as running:
        yield running


def places(engine, **settings):
    found = Places(None, None)
    found.source_engine = found.destination_engine = EngineSettings(host=engine.url, **settings)
    return found


def destination(engine, name=NAME, **settings):
    return table.open_destination(table.parse(f"docker-daemon:{name}"), places(engine, **settings))[0]


def source(engine, name=NAME, **settings):
    return table.open_source(table.parse(f"docker-daemon:{name}"), places(engine, **settings))


def write(place, image, name=NAME, blobs=None):
    for digest, data in (image.blobs if blobs is None else blobs).items():
        descriptor = next(one for one in image.manifest.blobs() if one.digest == digest)
        place.write_blob(descriptor, lambda data=data: io.BytesIO(data))
    place.write_manifest(image.manifest, name)


def id_of(image):
    return image.manifest.config.digest


def test_an_image_arrives_whole_in_both_forms(engine):
    image = images.image("one")
    place = destination(engine)
    write(place, image)
    assert engine.asked == []
    place.commit()
    held = engine.loaded[0]
    assert json.loads(held["manifest.json"])[0]["RepoTags"] == [NAME]
    entry = json.loads(held["index.json"])["manifests"][0]
    assert entry["digest"] == str(image.manifest.digest)
    assert set(entry["annotations"].values()) == {NAME}
    assert held[f"blobs/sha256/{image.manifest.digest.hex}"] == image.manifest.raw
    for digest, data in image.blobs.items():
        assert held[f"blobs/sha256/{digest.hex}"] == data
    assert list(held)[:3] == ["oci-layout", "index.json", "manifest.json"]
    assert place.resolve(NAME) == id_of(image)


def test_a_name_that_stands_for_something_like_it_does_not_count(engine):
    image = images.image("one")
    # As podman's short names do.
    engine.images[NAME] = {"Id": str(id_of(image)), "RepoTags": ["localhost/app:1", "<none>:<none>", None]}
    assert destination(engine).resolve(NAME) is None
    engine.images[NAME]["RepoTags"].append(NAME)
    assert destination(engine).resolve(NAME) == id_of(image)


def test_an_id_without_an_algorithm_and_one_that_is_none(engine):
    image = images.image("one")
    engine.images[NAME] = {"Id": id_of(image).hex, "RepoTags": [NAME]}
    assert destination(engine).resolve(NAME) == id_of(image)
    engine.images[NAME]["Id"] = "latest"
    with pytest.raises(OciError, match="no ID that is a digest: 'latest'"):
        destination(engine).resolve(NAME)


def test_one_more_name_needs_no_load(engine):
    image = images.image("one")
    engine.images[str(id_of(image))] = {"Id": str(id_of(image)), "RepoTags": ["other:1"]}
    place = destination(engine)
    assert place.has_manifest(id_of(image))
    place.write_manifest(image.manifest, NAME)
    place.commit()
    assert [one.partition("?")[0] for one in engine.writes()] == [f"POST /images/{id_of(image)}/tag"]


def test_layers_below_are_sent_once(engine):
    first = images.image("one")
    place = destination(engine)
    write(place, first)
    # The same image in another configuration: the same layer under another ID.
    second = images.image("one", "arm64")
    assert second.manifest.layers[0].digest == first.manifest.layers[0].digest and id_of(second) != id_of(first)
    write(place, second, "example.com/app:2")
    place.commit()
    layer = f"blobs/sha256/{first.manifest.layers[0].digest.hex}"
    assert layer in engine.loaded[0] and layer not in engine.loaded[1]


def test_an_engine_that_misses_a_layer_gets_it(engine):
    first, second = images.image("one"), images.image("one", "arm64")
    layer = f"blobs/sha256/{first.manifest.layers[0].digest.hex}"
    place = destination(engine)
    write(place, first)
    write(place, second, "example.com/app:2")
    answers = iter([None, (500, b'{"message": "open blobs: no such file"}'), None])

    def on_load(handler):
        answer = next(answers)
        if answer is None:
            return False
        handler.body()
        handler.answer(*answer)
        return True

    engine.on_load = on_load
    place.commit()
    assert [layer in members for members in engine.loaded] == [True, True]
    assert place.resolve("example.com/app:2") == id_of(second)


def test_a_wrong_layer_never_becomes_an_image(engine):
    image = images.image("one")
    place = destination(engine)
    layer = image.manifest.layers[0]
    wrong = bytes([image.blobs[layer.digest][0] ^ 1]) + image.blobs[layer.digest][1:]
    write(place, image, blobs={**image.blobs, layer.digest: wrong})
    with pytest.raises(DigestMismatch):
        place.commit()
    wait_for(lambda: engine.cut == 1)
    assert engine.loaded == [] and engine.images == {}


def test_a_blob_that_did_not_arrive(engine):
    image = images.image("one")
    place = destination(engine)
    place.write_manifest(image.manifest, NAME)
    with pytest.raises(ContentError, match="did not arrive"):
        place.commit()
    assert engine.writes() == []


def test_nothing_is_sent_after_an_abort(engine):
    place = destination(engine)
    write(place, images.image("one"))
    place.abort()
    place.commit()
    assert engine.asked == []


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((200, b'{"errorDetail":{"message":"no space left on device"},"error":"x"}\r\n'), StorageError, "no space is left"),
        ((200, b'{"status":"Loading"}\r\n{"error":"invalid tar header"}\r\n'), OciError, "cannot load .* invalid tar header"),
        ((500, b'{"message":"payload does not match"}'), OciError, "payload does not match"),
        ((403, b'{"message":"denied by a plugin"}'), OciError, "does not allow to load"),
        ((502, b"<html>Bad\r\nGateway</html>"), OciError, "cannot load .*Bad Gateway"),
    ],
)
def test_what_an_engine_says_of_a_load(engine, answer, error, words):
    engine.scripted["/images/load"] = answer
    place = destination(engine)
    write(place, images.image("one"))
    with pytest.raises(error, match=words) as caught:
        place.commit()
    assert "\n" not in caught.value.message and "\r" not in caught.value.message


def test_an_answer_before_all_was_sent(engine):
    image = images.image("one")

    def on_load(handler):
        handler.close_connection = True
        handler.answer(500, b'{"message":"no space left on device"}')
        return True

    engine.on_load = on_load
    place = destination(engine)
    write(place, image)
    # Old releases of requests do not read an answer that comes before they have sent all.
    with pytest.raises((StorageError, NetworkError), match="no space is left where it keeps its images|closed the connection"):
        place.commit()


def test_an_engine_that_says_it_is_done_and_is_not(engine):
    engine.take = engine.loaded.append
    place = destination(engine)
    write(place, images.image("one"))
    with pytest.raises(OciError, match="has loaded .* but holds nothing under that name"):
        place.commit()


def test_a_connection_that_breaks_in_the_middle(engine):
    def on_load(handler):
        handler.rfile.readline()
        handler.close_connection = True
        handler.connection.close()
        return True

    engine.on_load = on_load
    place = destination(engine)
    write(place, images.image("one"))
    with pytest.raises(NetworkError, match="closed the connection"):
        place.commit()


def wait_for(ready, seconds=20):
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_busy_engine_is_waited_for_as_long_as_it_is_alive(engine):
    engine.hold.clear()
    place = destination(engine, timeout=0.3)
    write(place, images.image("one"))

    def answer_in_the_end():
        # Not after some time: on a busy machine nobody may have asked by then.
        end = time.monotonic() + 60
        while engine.asked.count("GET /_ping") < 2 and time.monotonic() < end:
            time.sleep(0.05)
        engine.hold.set()

    threading.Thread(target=answer_in_the_end, daemon=True).start()
    started = time.monotonic()
    place.commit()
    assert time.monotonic() - started > 0.5
    assert engine.asked.count("GET /_ping") >= 2 and len(engine.loaded) == 1


def test_a_dead_engine_is_not_waited_for(engine):
    engine.hold.clear()
    place = destination(engine, timeout=0.3)
    write(place, images.image("one"))
    threading.Timer(0.5, lambda: setattr(engine, "alive", False)).start()
    started = time.monotonic()
    with pytest.raises(NetworkError):
        place.commit()
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("exporting", [False, True])
def test_a_stopped_task_waits_no_longer(engine, exporting):
    stop = threading.Event()
    engine.hold.clear()
    image = images.image("one")
    threading.Timer(0.5, stop.set).start()
    started = time.monotonic()
    if exporting:
        engine.images[NAME] = {"Id": str(id_of(image)), "RepoTags": [NAME]}
        with pytest.raises(Cancelled):
            source(engine, stop=stop).manifest()
    else:
        place = destination(engine, stop=stop)
        write(place, image)
        with pytest.raises(Cancelled):
            place.commit()
    assert time.monotonic() - started < 20


def test_a_stopped_task_ends_its_stream_without_an_end(engine):
    stop = threading.Event()
    image = images.image("one")
    layer = image.manifest.layers[0]

    class Slow(io.BytesIO):
        def read(self, size=-1, /):
            stop.set()
            time.sleep(0.5)
            return super().read(1)

    place = destination(engine, stop=stop)
    write(place, image, blobs={id_of(image): image.blobs[id_of(image)]})
    place.write_blob(layer, lambda: Slow(image.blobs[layer.digest]))
    with pytest.raises(Cancelled):
        place.commit()
    wait_for(lambda: engine.cut == 1)
    assert engine.loaded == []


@pytest.mark.parametrize(
    ("version", "info", "platform"),
    [
        ({"Os": "linux", "Arch": "amd64"}, {}, "linux/amd64"),
        ({"Os": "linux", "Arch": "arm"}, {"Architecture": "armv6l"}, "linux/arm/v6"),
        ({"Os": "windows", "Arch": "amd64"}, {}, "windows/amd64"),
    ],
)
def test_platforms(engine, version, info, platform):
    engine.version, engine.info = version, info
    place = destination(engine)
    assert place.platform() == Platform.parse(platform)
    assert place.platform() == Platform.parse(platform)
    assert engine.asked.count("GET /version") == 1


def test_an_engine_without_a_platform(engine):
    engine.version = {}
    with pytest.raises(OciError, match="does not tell its platform"):
        destination(engine).platform()


def test_what_is_no_engine(engine):
    engine.scripted[f"/images/{NAME}/json"] = (200, b"<html>hello</html>")
    with pytest.raises(OciError, match="is this its API"):
        destination(engine).resolve(NAME)


def test_tls_where_plain_http_is_spoken(engine):
    text = b"Client sent an HTTP request to an HTTPS server.\n"
    engine.scripted[f"/images/{NAME}/json"] = (400, text)
    with pytest.raises(OciError, match="speaks TLS on this port"):
        destination(engine).resolve(NAME)


def saved(image, *names):
    """What ``docker save`` writes of an image, in the form of its version 25 and later."""
    loaded, own_id = [], str(id_of(image))

    class Client(EngineClient):
        def load(self, chunks, what):
            loaded.append(b"".join(chunks))

        def inspect(self, image):
            return {"Id": own_id, "RepoTags": [NAME]} if loaded else None

    place = EngineDestination(Client("docker-daemon", EngineSettings()))
    write(place, image)
    place.commit()
    return loaded[0]


def test_an_image_comes_out_as_it_went_in(engine):
    image = images.image("one")
    engine.images[NAME] = {"Id": str(id_of(image)), "RepoTags": [NAME], "Size": 5}
    engine.images[str(id_of(image))] = engine.images[NAME]
    engine.archive = saved(image)
    found = source(engine)
    assert found.resolve() == image.manifest.digest
    assert found.manifest().raw == image.manifest.raw
    assert images.read_all(found) >= set(image.blobs)
    assert found.referrers(image.manifest.digest) == []
    # By its ID, once.
    assert [one for one in engine.asked if "/get" in one] == [f"GET /images/{id_of(image)}/get"]
    assert source(engine, str(id_of(image))).manifest().digest == image.manifest.digest
    found.close()
    found.close()


def test_a_store_that_knows_the_manifest_need_not_export_it(engine):
    image = images.image("one")
    engine.images[NAME] = {
        "Id": str(image.manifest.digest), "RepoTags": [NAME], "Descriptor": {"digest": str(image.manifest.digest)}
    }  # fmt: skip
    found = source(engine)
    assert found.resolve() == image.manifest.digest
    assert not [one for one in engine.asked if "/get" in one]
    engine.archive = saved(image)
    assert found.manifest().digest == found.resolve()
    engine.images[NAME]["Descriptor"]["digest"] = "sha256:12"
    with pytest.raises(ContentError, match="describes .* wrongly"):
        source(engine).resolve()


def test_another_image_than_the_one_asked_for(engine):
    image, other = images.image("one"), images.image("other")
    engine.images[NAME] = {"Id": str(id_of(other)), "RepoTags": [NAME]}
    engine.archive = saved(image)
    with pytest.raises(ContentError, match="exported another image"):
        source(engine).manifest()


def test_an_export_of_nothing_and_of_something_else(engine):
    engine.images[NAME] = {"Id": "sha256:" + "1" * 64, "RepoTags": [NAME]}
    with pytest.raises(ContentError, match="exported nothing"):
        source(engine).manifest()
    engine.archive = b"not a tar" * 100
    with pytest.raises(ContentError):
        source(engine).manifest()


def test_a_disk_that_is_too_small_is_known_before(engine):
    engine.images[NAME] = {"Id": "sha256:" + "1" * 64, "RepoTags": [NAME], "Size": 1 << 60}
    with pytest.raises(StorageError, match="not enough space"):
        source(engine).manifest()
    assert not [one for one in engine.asked if "/get" in one]


def test_names(engine):
    for name in ("app:1", "example.com/app:1", "example.com/app:2", "example.com/other:1"):
        engine.images[name] = {"Id": "sha256:" + "1" * 64, "RepoTags": [name, "<none>:<none>"]}
    engine.images["sha256:" + "1" * 64] = {"Id": "sha256:" + "1" * 64, "RepoTags": None}
    assert source(engine, "example.com/app").tags() == ["example.com/app:1", "example.com/app:2"]
    assert source(engine, "app").tags() == ["app:1"]
    assert source(engine, "sha256:" + "1" * 64).tags() == []
    with pytest.raises(NotFound, match="has no image docker.io/library/app:1$"):
        source(engine, "app:1").manifest()


def test_a_missing_library(engine, monkeypatch):
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(MissingRequirement, match="Python package docker"):
        destination(engine).resolve(NAME)


@pytest.mark.parametrize("text", ["docker-daemon:App:1", "docker-daemon:a:b:c", "containers-storage:[vfs@/a+/b]c:1"])
def test_names_that_are_none(engine, text):
    with pytest.raises(InvalidInput):
        table.open_source(table.parse(text), places(engine))


def test_what_an_engine_cannot_hold(engine):
    place = destination(engine)
    with pytest.raises(InvalidInput, match="one platform"):
        place.write_manifest(images.two_platforms().manifest, NAME)
    with pytest.raises(InvalidInput, match="no image"):
        place.write_manifest(images.artifact(images.image()).manifest, NAME)
    assert not place.capabilities.indexes and place.capabilities.image_ids
    assert not place.has_blob(images.image().manifest.config)


def test_where_large_things_go(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert spool.directory() == str(tmp_path)
    assert spool.directory("/given") == "/given"
    monkeypatch.delenv("TMPDIR")
    assert spool.directory() == "/var/tmp"
    with spool.nameless(str(tmp_path)) as file:
        file.write(b"x")
        assert os.listdir(tmp_path) == []
