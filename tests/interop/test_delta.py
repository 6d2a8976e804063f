# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Month by month: archives that hold only what is new, into a registry that has the rest."""

from __future__ import annotations

import http.server
import json
import pathlib
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from ansible_collections.longshore.oci.tests.servers import images, process, results
from ansible_collections.longshore.oci.tests.servers.engines import Dockerd, Podman
from ansible_collections.longshore.oci.tests.servers.images import Index, Pushable
from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner
from ansible_collections.longshore.oci.tests.servers.registry import Registry, describe
from ansible_collections.longshore.oci.tests.servers.results import Result, ok
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo

#: What nearly all images are built on, and what each adds to it, in bytes.
LARGE, SMALL = 300_000, 4_000
PLATFORMS = ("linux/amd64", "linux/arm64/v8")
sentence = partial(results.sentence, longest=700)


def app(seed: int) -> Index:
    """An index of two platforms: one large layer for each, the same for every seed, and a small one of its own."""
    made = []
    for number, platform in enumerate(PLATFORMS):
        layers = [images.noise_layer(LARGE, 9000 + number), images.noise_layer(SMALL, seed * 10 + number)]
        made.append(images.image(platform, layers, config={"Cmd": ["/app", str(seed)]}))
    return images.index(made)


MONTHS: list[dict[str, Pushable]] = [
    {"team/app:1": app(1), "team/worker:1": app(2), "base:1": app(3)},
    {"team/app:2": app(4), "team/worker:1": app(2), "team/added:1": app(5)},
    {"team/app:3": app(6), "team/added:2": app(7)},
]


class Year:
    """The archives of some months, and what to save and load them with."""

    def __init__(self, folder: pathlib.Path, registry: Registry) -> None:
        self.folder = folder
        self.host = f"{registry.host}/delta"
        self.module = ModuleRunner(folder)

    def path(self, name: str) -> pathlib.Path:
        return self.folder / name

    def names(self, month: int) -> list[str]:
        return [f"{self.host}/{name}" for name in MONTHS[month]]

    def save(self, name: str, month: int, check: bool = False, **more: Any) -> Result:
        options = {"state": "saved", "path": str(self.path(name)), "images": self.names(month), "plain_http": True}
        return self.module("image_save_load", check=check, **{**options, **more})

    def load(self, name: str, dest: str, check: bool = False, **more: Any) -> Result:
        options = {"state": "loaded", "path": str(self.path(name)), "dest": dest, "plain_http": True}
        return self.module("image_save_load", check=check, **{**options, **more})

    def members(self, name: str) -> dict[str, int]:
        with tarfile.open(self.path(name)) as tar:
            return {member.name: member.size for member in tar}


@pytest.fixture(scope="module")
def year(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Year:
    """January whole, with its index; February since January; March since February."""
    for month in MONTHS:
        for name, content in month.items():
            repository, dummy, tag = name.rpartition(":")
            images.push(registry, f"delta/{repository}", content, [tag])
    made = Year(tmp_path_factory.mktemp("year"), registry)
    ok(made.save("january.tar", 0, index_file=str(made.path("january.json"))))
    ok(made.save("february.tar", 1, since=[str(made.path("january.tar"))], index_file=str(made.path("february.json"))))
    ok(made.save("march.tar", 2, since=[str(made.path("february.json"))]))
    return made


@pytest.fixture
def far() -> Iterator[Registry]:
    """The registry at the other site, which holds nothing yet."""
    with Registry() as running:
        yield running


def check_digests(skopeo: Skopeo, dest: str, *months: int) -> None:
    for month in months:
        for name, content in MONTHS[month].items():
            assert skopeo.digest(f"docker://{dest}/delta/{name}") == content.digest


def test_a_delta_is_small_and_the_index_is_enough(year: Year) -> None:
    january, february, march = (year.path(f"{name}.tar").stat().st_size for name in ("january", "february", "march"))
    assert january > 2 * LARGE and february < LARGE / 2 and march < LARGE / 2
    assert year.path("january.json").stat().st_size < 10_000
    since_the_index = ok(year.save("same.tar", 1, since=[str(year.path("january.json"))]))
    assert year.members("same.tar") == year.members("february.tar")
    # Worker is as it was; of the others the small layer, the config and the manifest of each platform are new.
    own = [blob for name in ("team/app:2", "team/added:1") for blob in MONTHS[1][name].blobs()]
    configs = [one.config for one in MONTHS[1]["team/worker:1"].images]  # type: ignore[union-attr]
    new = {blob.digest: len(blob.data) for blob in [*own, *configs] if len(blob.data) < LARGE}
    assert since_the_index["bytes_transferred"] == sum(new.values())
    assert since_the_index["blobs"] == {"copied": len(new), "mounted": 0, "existing": 4}
    year.path("same.tar").unlink()


def test_saving_it_again_changes_nothing(year: Year, registry: Registry) -> None:
    path = year.path("february.tar")
    options = {"since": [str(year.path("january.tar"))], "index_file": str(year.path("february.json"))}
    before = (path.stat().st_ino, path.stat().st_mtime_ns, year.path("february.json").stat().st_ino)
    mark = registry.mark()
    for check in (True, False):
        assert not ok(year.save("february.tar", 1, check=check, **options))["changed"]
    assert not any("/blobs/" in request.path for request in registry.requests_since(mark))
    assert (path.stat().st_ino, path.stat().st_mtime_ns, year.path("february.json").stat().st_ino) == before
    # Made against something else it is something else.
    assert ok(year.save("february.tar", 1, check=True))["changed"]


def test_what_the_index_says(year: Year) -> None:
    index = json.loads(year.path("february.json").read_text())
    with tarfile.open(year.path("february.tar")) as tar:
        file = tar.extractfile("images.json")
        assert file is not None and json.load(file) == index
    found = {image["names"][0]: image for image in index["images"]}
    for name, content in MONTHS[1].items():
        image = found[f"{year.host}/{name}"]
        assert image["digest"] == content.digest
        assert image["size"] == sum(len(blob.data) for blob in content.blobs())
        assert [row["platform"] for row in image["platforms"]] == ["linux/amd64", "linux/arm64"]
    members = year.members("february.tar")
    assert {f"blobs/sha256/{one['digest'].split(':')[1]}" for one in index["blobs"]} < set(members)
    assert {names for image in index["since"]["images"] for names in image["names"]} == set(year.names(0))
    assert not any(f"blobs/sha256/{one['digest'].split(':')[1]}" in members for one in index["since"]["blobs"])


def test_month_by_month(year: Year, far: Registry, skopeo: Skopeo) -> None:
    dest = f"{far.host}/mirror"
    assert ok(year.load("january.tar", dest))["blobs"]["copied"] > 0
    for number, name in ((1, "february.tar"), (2, "march.tar")):
        mark = far.mark()
        would = ok(year.load(name, dest, check=True))
        assert not far.writes_since(mark), describe(far.writes_since(mark))
        result = ok(year.load(name, dest))
        assert {**would, "requests": 0} == {**result, "requests": 0}
        check_digests(skopeo, dest, number)
        assert result["bytes_transferred"] < LARGE / 2
        if number == 1:
            # A repository that was not there in January gets what January's images have.
            added = next(image for image in result["images"] if "added" in image["dest"])
            assert added["blobs"]["mounted"] == 2
        mark = far.mark()
        again = ok(year.load(name, dest))
        assert not again["changed"] and again["requests"] <= len(MONTHS[number]) + 1
        assert not far.writes_since(mark), describe(far.writes_since(mark))
    for name, content in MONTHS[1].items():
        skopeo.copy(f"docker://{dest}/delta/{name}", f"oci:{year.path('copied')}:{name.replace('/', '-').replace(':', '-')}")
        assert content.digest in year.path("copied").joinpath("index.json").read_text()


@pytest.mark.parametrize("check", [True, False])
def test_nothing_moves_if_something_is_missing(year: Year, far: Registry, check: bool) -> None:
    dest = f"{far.host}/mirror"
    result = year.load("february.tar", dest, check=check)
    message = sentence(result)
    missing = result["missing_blobs"]
    assert message.startswith(f"nothing was loaded: {year.path('february.tar')} is a delta, and {len(missing)} blobs (")
    assert "3 of its images" in message and missing[0]["digest"] in message
    assert f"of {year.host}/team/" in message and f"the one with {year.host}/" in message and message.endswith(" and 2 more")
    # Both large layers, and the small ones of the image that has not changed.
    expected = {layer.digest for one in MONTHS[1]["team/worker:1"].images for layer in one.layers}  # type: ignore[union-attr]
    assert {one["digest"] for one in missing} == expected
    assert {image for one in missing for image in one["images"]} == set(year.names(1))
    assert not far.writes_since()


def test_a_month_that_was_left_out(year: Year, far: Registry, skopeo: Skopeo) -> None:
    dest = f"{far.host}/mirror"
    ok(year.load("january.tar", dest))
    # March relies on nothing that only February brought: the large layers came in January.
    ok(year.load("march.tar", dest))
    check_digests(skopeo, dest, 0, 2)


def test_one_image_and_one_platform_of_a_delta(year: Year, far: Registry, skopeo: Skopeo) -> None:
    dest = f"{far.host}/mirror"
    ok(year.load("january.tar", dest, images=[f"{year.host}/base:1"]))
    result = ok(year.load("february.tar", dest, images=[f"{year.host}/team/added:1"], platforms=["linux/arm64"]))
    assert result["blobs"] == {"copied": 2, "mounted": 1, "existing": 0}
    manifest = skopeo.manifest(f"docker://{dest}/delta/team/added:1")
    assert len(manifest["manifests"]) == 1


def test_image_copy_reads_a_delta(year: Year, far: Registry, tmp_path: pathlib.Path, skopeo: Skopeo) -> None:
    name = f"{year.host}/team/app:2"
    src = f"oci-archive:{year.path('february.tar')}:{name}"
    options = {"src": src, "dest": f"{far.host}/delta/team/app:2", "dest_plain_http": True}
    assert "can be found neither there nor at" in sentence(year.module("image_copy", check=True, **options))
    assert "can be found neither there nor at" in sentence(year.module("image_copy", **options))
    assert not far.writes_since()
    ok(year.load("january.tar", far.host))
    ok(year.module("image_copy", **options))
    assert skopeo.digest(f"docker://{far.host}/delta/team/app:2") == MONTHS[1]["team/app:2"].digest
    refused = year.module("image_copy", src=name, dest=f"oci-archive:{year.path('february.tar')}:new:1", src_plain_http=True)
    assert "is a delta" in sentence(refused)


def test_others_load_whole_images_and_pass_over_the_index(
    year: Year, dockerd: Dockerd, podman: Podman, skopeo: Skopeo, second_registry: Registry, repository: str
) -> None:
    name = year.names(0)[0]
    path = str(year.path("january.tar"))
    content = MONTHS[0]["team/app:1"]
    assert isinstance(content, Index)
    assert f"Loaded image: {name}" in dockerd.run("load", "--input", path)
    assert dockerd.inspect(name)["Id"] == content.images[0].config.digest
    podman.run("load", "--input", path)
    assert f"sha256:{podman.inspect(name)['Id']}" == content.images[0].config.digest
    assert skopeo.inspect(f"docker-archive:{path}:{name}")["Architecture"] == "amd64"
    target = f"docker://{second_registry.host}/{repository}:1"
    skopeo.copy(f"oci-archive:{path}:{name}", target)
    assert skopeo.digest(target) == content.digest
    dockerd.run("image", "rm", *year.names(0))
    podman.run("image", "rm", "--all", "--force")


def test_an_engine_has_no_blobs_to_offer(year: Year, dockerd: Dockerd) -> None:
    message = sentence(year.load("february.tar", "docker-daemon:", daemon_host=dockerd.host))
    assert "nothing was loaded" in message and "into a registry" in message


def test_a_base_from_elsewhere(year: Year, skopeo: Skopeo, tmp_path: pathlib.Path) -> None:
    # What skopeo wrote has no index file, and a layout is as good as an archive.
    name = year.names(0)[0]
    skopeo.copy(f"docker://{name}", f"oci-archive:{tmp_path}/theirs.tar:1")
    skopeo.copy(f"docker://{name}", f"oci:{tmp_path}/layout:1")
    sizes = []
    for since in (f"oci-archive:{tmp_path}/theirs.tar", f"oci:{tmp_path}/layout"):
        result = ok(year.save("other.tar", 1, since=[since]))
        sizes.append(result["bytes_transferred"])
    assert sizes[0] < LARGE / 2
    year.path("other.tar").unlink()


def test_a_delta_of_converted_images(year: Year, far: Registry, skopeo: Skopeo) -> None:
    options = {"format": "oci", "compression": "none"}
    ok(year.save("plain-1.tar", 0, **options))
    ok(year.save("plain-2.tar", 1, since=[str(year.path("plain-1.tar"))], **options))
    assert year.path("plain-2.tar").stat().st_size < LARGE / 2
    assert not ok(year.save("plain-2.tar", 1, since=[str(year.path("plain-1.tar"))], **options))["changed"]
    ok(year.load("plain-1.tar", far.host))
    ok(year.load("plain-2.tar", far.host))
    skopeo.copy(f"docker://{far.host}/delta/team/app:2", f"oci:{year.path('plain')}:app")
    for name in ("plain-1.tar", "plain-2.tar"):
        year.path(name).unlink()


def test_a_killed_delta_leaves_what_was_there(year: Year, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "february.tar"
    path.write_bytes(year.path("january.tar").read_bytes())
    before = path.read_bytes()
    options = {
        "state": "saved",
        "path": str(path),
        "images": year.names(1),
        "since": [str(year.path("january.tar"))],
        "index_file": str(tmp_path / "index.json"),
        "plain_http": True,
        # So slow that it cannot be done before it is killed.
        "bandwidth_limit": 1024,
    }
    child = subprocess.Popen(
        year.module.command("image_save_load"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=year.module.whole_environment(),
        cwd=year.module.home,
    )
    assert child.stdin is not None
    child.stdin.write(year.module.arguments(**options).encode())
    child.stdin.close()
    process.wait_until(lambda: any(one.name.startswith(".") for one in tmp_path.iterdir()), "a temporary file", 60)
    time.sleep(0.2)
    assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert path.read_bytes() == before and not (tmp_path / "index.json").exists()
    ok(year.module("image_save_load", **{**options, "bandwidth_limit": None}))
    assert year.path("february.tar").stat().st_size == path.stat().st_size


def test_names_in_archives_and_layouts(year: Year, skopeo: Skopeo, tmp_path: pathlib.Path) -> None:
    path = f"oci-archive:{year.path('january.tar')}"
    listed = ok(year.module("image_tags", repository=path))
    assert listed["repository"] == path and not listed["changed"]
    assert listed["tags"] == sorted(year.names(0)) and listed["total"] == 3 and listed["requests"] == 0
    options = {"include": [".*/team/.*"], "sort": "created", "order": "descending", "details": True}
    for place in (path, f"docker-archive:{year.path('january.tar')}"):
        details = ok(year.module("image_tags", repository=place, **options))["details"]
        assert {one["tag"]: one["digest"] for one in details} == {
            f"{year.host}/{name}": content.digest for name, content in MONTHS[0].items() if name.startswith("team/")
        }
    for one in details:
        content = MONTHS[0][one["tag"].removeprefix(f"{year.host}/")]
        assert one["size"] == sum(len(blob.data) for blob in content.blobs())
        assert one["created"] == "2026-01-01T00:00:00+00:00"
        assert one["platforms"] == ["linux/amd64", "linux/arm64"]
        assert one["media_type"].endswith("image.index.v1+json")
    # A delta tells all of it too: manifests and configs are in it.
    found = ok(year.module("image_tags", repository=f"oci-archive:{year.path('march.tar')}", details=True, semver=">=3"))
    assert [one["tag"] for one in found["details"]] == [f"{year.host}/team/app:3"]
    images.make_layout(tmp_path / "layout", ["linux/arm64/v8"], tags=["1.10", "1.9", "latest"])
    found = ok(year.module("image_tags", repository=f"oci:{tmp_path}/layout", sort="version", details=True))
    assert found["tags"] == ["latest", "1.9", "1.10"]
    assert [one["platforms"] for one in found["details"]] == [["linux/arm64"]] * 3
    skopeo.copy(f"docker://{year.names(0)[0]}", f"oci-archive:{tmp_path}/unnamed.tar")
    found = ok(year.module("image_tags", repository=f"oci-archive:{tmp_path}/unnamed.tar", details=True))
    assert [(one["tag"], one["digest"]) for one in found["details"]] == [("@0", MONTHS[0]["team/app:1"].digest)]


def test_the_platforms_of_a_registrys_images(year: Year) -> None:
    details = ok(year.module("image_tags", repository=f"{year.host}/team/app", details=True, plain_http=True))["details"]
    assert [one["platforms"] for one in details] == [["linux/amd64", "linux/arm64"]] * 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"repository": "oci-archive:{}/january.tar", "state": "absent", "tags": ["1"]}, "goes with a repository of a registry"),
        (
            {"repository": "oci:{}/layout", "state": "present", "tags": ["1"], "source": "2"},
            "goes with a repository of a registry",
        ),
        ({"repository": "oci-archive:{}/january.tar:app:1"}, "names one image"),
        ({"repository": "oci-archive:{}/january.tar:@0"}, "names one image"),
        ({"repository": "dir:{}"}, "has no tags"),
        ({"repository": "oci-archive:{}/no.tar"}, "does not exist"),
        ({"repository": "oci:{}/no"}, "no such directory"),
        ({"repository": "oci-archive:{}/january.json"}, "january.json"),
    ],
)
def test_what_has_no_names(year: Year, options: dict[str, Any], words: str) -> None:
    options["repository"] = options["repository"].format(year.folder)
    assert words in sentence(year.module("image_tags", **options))


def test_inspect_says_which_images_there_are(year: Year) -> None:
    path = f"oci-archive:{year.path('january.tar')}"
    message = sentence(year.module("image_inspect", name=path))
    assert "holds 3 images: say which one" in message and all(name in message for name in year.names(0))
    named = ok(year.module("image_inspect", name=f"{path}:{year.names(0)[1]}", list_tags=True, platform="linux/arm64"))
    (image,) = named["images"]
    assert image["digest"] == MONTHS[0]["team/worker:1"].digest and image["architecture"] == "arm64"
    assert sorted(image["tags"]) == sorted(year.names(0))
    # Of a delta, too, and although it lacks the layers.
    found = ok(year.module("image_inspect", name=f"oci-archive:{year.path('february.tar')}:{year.names(1)[0]}", config=True))
    assert found["images"][0]["config"]["config"]["Cmd"] == ["/app", "4"]


@pytest.mark.parametrize("options", [{"since": ["/srv/a.tar"]}, {"index_file": "/srv/a.json"}])
def test_loading_takes_neither(year: Year, far: Registry, options: dict[str, Any]) -> None:
    assert "go with state=saved" in sentence(year.load("january.tar", far.host, **options))


class Storage:
    """Files behind HTTP, taken and given as a storage does; ``log`` has the methods it was asked with."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.log: list[str] = []
        storage = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments, directory=str(folder))

            def do_GET(self) -> None:
                data = folder.joinpath(self.path.partition("?")[0].lstrip("/"))
                if not data.exists():
                    self.send_error(404)
                    return
                whole = data.read_bytes()
                first, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")
                part = whole[int(first) : int(last or len(whole)) + 1]
                self.send_response(206 if "Range" in self.headers else 200)
                self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(whole)}")
                self.send_header("Content-Length", str(len(part)))
                self.send_header("ETag", f'"{images.sha256(whole)}"')
                self.end_headers()
                self.wfile.write(part)

            def do_PUT(self) -> None:
                storage.log.append("PUT")
                data = self.rfile.read(int(self.headers["Content-Length"]))
                folder.joinpath(self.path.partition("?")[0].lstrip("/")).write_bytes(data)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *unused: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self) -> Storage:
        self.thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def test_deltas_at_a_url(year: Year, far: Registry, tmp_path: pathlib.Path, skopeo: Skopeo) -> None:
    query = "?X-Amz-Signature=0123456789abcdef0123456789abcdef"
    with Storage(tmp_path) as storage:
        index = tmp_path / "index.json"
        first, second = (f"{storage.url}/{name}.tar{query}" for name in ("one", "two"))
        ok(year.save("", 0, path=first))
        result = ok(year.save("", 1, path=second, since=[first], index_file=str(index)))
        assert (tmp_path / "two.tar").stat().st_size < LARGE / 2 and query.partition("=")[2] not in json.dumps(result)
        with tarfile.open(tmp_path / "two.tar") as tar:
            file = tar.extractfile("images.json")
            assert file is not None and file.read() == index.read_bytes()
        assert not ok(year.save("", 1, path=second, since=[first], index_file=str(index)))["changed"]
        assert storage.log == ["PUT", "PUT"]
        refused = sentence(year.save("", 1, path=f"{storage.url}/one.tar?another=signature", since=[first]))
        assert "itself" in refused and "signature" not in refused.lower()
        dest = f"{far.host}/mirror"
        assert "nothing was loaded" in sentence(year.load("", dest, path=second))
        ok(year.load("", dest, path=first))
        ok(year.load("", dest, path=second))
    check_digests(skopeo, dest, 0, 1)
