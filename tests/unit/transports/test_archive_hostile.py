# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives made to harm: those that take long or much memory, and those that want to be unpacked (S8, S10, S13, S14)."""

from __future__ import annotations

import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import ArchiveError, OciError
from ansible_collections.longshore.oci.plugins.module_utils.transports import archive_content, tar_headers
from ansible_collections.longshore.oci.plugins.module_utils.transports.archive_content import Content, content_in
from ansible_collections.longshore.oci.plugins.module_utils.transports.tar_reader import Tar

# What a machine that is busy with other things may take. What is tested took minutes to hours, or all memory.
SECONDS = 90
MIB = 1024 * 1024


class Packer:
    """A tar made member by member."""

    def __init__(self) -> None:
        self.data = bytearray()

    def add(self, name: str, content: bytes) -> None:
        padding = bytes(tar_headers.padded(len(content)) - len(content))
        self.data += tar_headers.encode(name, len(content)) + content + padding

    def blob(self, content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        """Add a blob; gives its descriptor."""
        digest = Digest.of(content)
        self.add(f"blobs/sha256/{digest.hex}", content)
        return {"mediaType": media_type, "digest": str(digest), "size": len(content), **more}

    def opened(self) -> Content:
        handle = os.memfd_create("archive")
        os.write(handle, bytes(self.data) + tar_headers.END)
        content = content_in(handle, "the archive")
        assert content is not None
        return content


def index_of(entries: list[dict[str, Any]]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}).encode()


def in_time(call: Callable[[], object]) -> object:
    begun = time.monotonic()
    try:
        return call()
    finally:
        assert time.monotonic() - begun < SECONDS


def peak(code: str, *arguments: str) -> int:
    """The bytes by which a process of its own grows while it runs ``code``, which ends the set-up with ``ready()``."""
    head = """
import os, resource, sys
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import OciError
from ansible_collections.longshore.oci.plugins.module_utils.transports import tar_headers
from ansible_collections.longshore.oci.plugins.module_utils.transports.archive_content import open_content
from ansible_collections.longshore.oci.plugins.module_utils.transports.tar_reader import Tar
def now(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = now()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", f"{head}{code}\nprint(now() - before)", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS * 2, check=True)
    return int(done.stdout)


# -- time ------------------------------------------------------------------------------------------------------------------


def test_s14_many_records_in_one_extended_header(tmp_path: pathlib.Path) -> None:
    # Each was cut off the front of the rest: 200,000 copies of a MiB.
    records = b"5 a=\n" * 200_000
    path = tmp_path / "a.tar"
    plain = tarfile.TarInfo("PaxHeaders/x")
    plain.type, plain.size = tarfile.XHDTYPE, len(records)
    head = plain.tobuf(tarfile.USTAR_FORMAT)
    part = head + records + bytes(-len(records) % 512) + tar_headers.encode("a.json", 0)
    path.write_bytes(part * 8 + tar_headers.END)
    in_time(lambda: Tar(os.open(path, os.O_RDONLY), "the archive").close())


def test_s8_thousands_of_entries_that_name_one_large_config() -> None:
    packer = Packer()
    packer.add("c.json", b'{"rootfs": {"type": "layers", "diff_ids": []}, "a": "' + b"x" * (8 * MIB - 200) + b'"}')
    packer.add("manifest.json", json.dumps([{"Config": "c.json", "RepoTags": [f"a:{n}"]} for n in range(9_999)]).encode())
    content = packer.opened()
    assert len(in_time(content.names)) == 9_999
    content.close()


def test_s8_thousands_of_names_told_thousands_of_times() -> None:
    packer = Packer()
    packer.add("c.json", b'{"rootfs": {"type": "layers", "diff_ids": []}}')
    names = [f"a:{n}" for n in range(9_000)]
    entries = [{"Config": "c.json", "RepoTags": names}, *[{"Config": "c.json", "RepoTags": ["b"]}] * 9_000]
    packer.add("manifest.json", json.dumps(entries).encode())
    content = in_time(packer.opened)
    assert isinstance(content, Content) and len(content.names()) == 9_001
    content.close()


@pytest.fixture(params=["one platform", "many platforms"])
def nested(request: pytest.FixtureRequest) -> Content:
    """Indexes of indexes of indexes that each list the next one 8,000 times: 500 billion images in 4 MB."""
    packer = Packer()
    config = packer.blob(b'{"os": "linux", "architecture": "amd64"}', media_types.OCI_CONFIG)
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": config, "layers": []}
    entry = packer.blob(json.dumps(document).encode(), media_types.OCI_MANIFEST)
    for unused in range(3):
        rows = [entry] * 8_000
        if request.param == "many platforms":
            rows = [{**entry, "platform": {"os": "linux", "architecture": f"a{number}"}} for number in range(8_000)]
        entry = packer.blob(index_of(rows), media_types.OCI_INDEX)
    packer.add("index.json", index_of([entry]))
    return packer.opened()


def test_s8_indexes_that_list_one_image_billions_of_times(nested: Content) -> None:
    digest = nested.index().manifests[0].digest
    assert in_time(lambda: nested.holds(digest)) is True
    listed = nested.image_list() if in_time(nested.image_list) else None
    assert listed is not None
    # Each platform of the one image once.
    assert len(listed.images[0].platforms) in (1, 8_000)
    assert len(listed.blobs) == 1
    nested.close()


# -- memory ----------------------------------------------------------------------------------------------------------------


def test_s8_long_names_are_not_kept(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as out:
        for number in range(200):
            entry = tarfile.TarInfo(f"{number}" + "x" * (MIB - 100))
            if number % 2:
                entry.type, entry.linkname, entry.name = tarfile.SYMTYPE, entry.name, f"{number}"
            out.addfile(entry)
        entry = tarfile.TarInfo("manifest.json")
        entry.size = 2
        out.addfile(entry, io.BytesIO(b"[]"))
    code = "tar = Tar(os.open(sys.argv[1], os.O_RDONLY), 'archive')\nassert tar.read('manifest.json', 9) == b'[]'"
    assert peak(code, str(path)) < 64 * MIB


def test_s13_the_list_of_as_many_members_as_may_be(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    with open(path, "wb") as file:
        for number in range(100_000):
            file.write(tar_headers.encode(f"blobs/sha256/{number:064x}", 0))
    grown = peak("tar = Tar(os.open(sys.argv[1], os.O_RDONLY), 'archive')", str(path))
    # Five times as many are allowed.
    assert grown * 5 < 200 * MIB


def test_s8_a_declared_size_is_no_memory(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    with open(path, "wb") as file:
        file.write(tar_headers.encode("manifest.json", 2 * 1024**4))
        file.truncate(3 * 1024**4)
    code = """
try:
    open_content(sys.argv[1], "archive")
except OciError as exc:
    assert "more than" in exc.message, exc.message
else:
    raise SystemExit("it was read")
"""
    assert peak(code, str(path)) < 32 * MIB


@pytest.mark.parametrize("tool", ["gzip", "bzip2", "xz", "zstd"])
def test_s10_a_bomb_takes_no_memory_and_leaves_no_file(tmp_path: pathlib.Path, tool: str) -> None:
    data = bytes(96 * MIB)
    if tool == "zstd":
        import zstandard

        packed = zstandard.ZstdCompressor(level=3).compress(data)
    else:
        import bz2
        import gzip
        import lzma

        packed = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}[tool](data)
    # What the densest form makes of it is refused; gzip ends just above 1000 to 1.
    path, place = tmp_path / "bomb", tmp_path / "place"
    path.write_bytes(packed)
    place.mkdir()
    code = """
try:
    open_content(sys.argv[1], "archive", sys.argv[2])
except OciError as exc:
    assert "times its size" in exc.message or "no tar archive" in exc.message or "no image archive" in exc.message, exc.message
else:
    raise SystemExit("it was read")
assert os.listdir(sys.argv[2]) == []
"""
    assert peak(code, str(path), str(place)) < 64 * MIB


# -- nothing is extracted --------------------------------------------------------------------------------------------------

# Everything by which a process makes, changes or removes something in the file system.
EVENTS = ("open", "os.mkdir", "os.symlink", "os.link", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "shutil.")
WATCHED: list[tuple[str, tuple[Any, ...]]] = []
WATCHING = threading.Event()


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if WATCHING.is_set() and event.startswith(EVENTS):
        WATCHED.append((event, arguments))


# There is no way to take one away.
sys.addaudithook(_hook)


def writes(call: Callable[[], object]) -> list[tuple[str, tuple[Any, ...]]]:
    """What ``call`` opens for writing, makes or removes. Our errors are no matter."""
    WATCHED.clear()
    WATCHING.set()
    try:
        call()
    except OciError:
        pass
    finally:
        WATCHING.clear()
    # An open is for reading if its flags say no more.
    return [one for one in WATCHED if one[0] != "open" or one[1][2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)]


PATHS = [
    "../outside/x",
    "../../outside/x",
    "a/../../outside/x",
    "./../outside/x",
    "OUTSIDE/x",
    "blobs/sha256/../../../outside/x",
    "d/x",
]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", PATHS)
def test_s13_nothing_is_extracted(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str, form: int) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "x").write_bytes(b"precious")
    monkeypatch.chdir(inside)
    layer = b"a layer"
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer))]}}).encode()
    member = name.replace("OUTSIDE", str(outside))
    saved = [{"Config": "c.json", "RepoTags": ["app:1"], "Layers": [member]}]
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as out:
        link = tarfile.TarInfo("d")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        out.addfile(link)
        for path, content in (("c.json", config), ("manifest.json", json.dumps(saved).encode()), (member, layer)):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o6777
            out.addfile(entry, io.BytesIO(content))

    def read() -> None:
        content = archive_content.open_content(str(tmp_path / "a.tar"), "the archive")
        assert content is not None
        try:
            manifest = content.manifest(content.select("app:1", None))
            for blob in manifest.layers:  # type: ignore[union-attr]
                # The bytes are those of the archive, wherever the name leads.
                assert content.tar.stream(content.blob(blob)).read(100) == layer
        finally:
            content.close()

    assert writes(read) == []
    assert (outside / "x").read_bytes() == b"precious"
    assert os.listdir(inside) == [] and os.listdir(outside) == ["x"]


def test_what_is_written_would_be_seen(tmp_path: pathlib.Path) -> None:
    def write() -> None:
        (tmp_path / "x").write_bytes(b"1")
        (tmp_path / "d").mkdir()
        (tmp_path / "x").unlink()

    # Python 3.9 tells of one opening twice.
    assert list(dict.fromkeys(event for event, unused in writes(write))) == ["open", "os.mkdir", "os.remove"]


def test_no_code_of_ours_can_extract() -> None:
    """No file below plugins/ uses a library that could."""
    plugins = pathlib.Path(archive_content.__file__).parents[2]
    sources = list(plugins.rglob("*.py"))
    assert len(sources) > 100
    for source in sources:
        text = source.read_text(encoding="utf-8")
        for word in ("tarfile", "zipfile", "unpack_archive", "extractall", "make_archive"):
            assert word not in text, f"{source} has {word}"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("name", ["manifest.json", "c.json", "layer.tar"])
def test_s13_a_link_in_the_place_of_any_file_leads_nowhere_outside(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: bytes
) -> None:
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    layer = b"a layer"
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer))]}}).encode()
    saved = json.dumps([{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["layer.tar"]}]).encode()
    files = {"manifest.json": saved, "c.json": config, "layer.tar": layer}
    for target in ("../outside", str(tmp_path / "outside"), "outside"):
        for place in (tmp_path / "outside", tmp_path / "inside" / "outside"):
            # What would be found if the link were followed is just what is wanted.
            place.write_bytes(files[name])
        with tarfile.open(tmp_path / "a.tar", "w") as out:
            for path, content in files.items():
                entry = tarfile.TarInfo(path)
                if path == name:
                    entry.type, entry.linkname = kind, target
                else:
                    entry.size = len(content)
                out.addfile(entry, io.BytesIO(content))
        with pytest.raises(ArchiveError, match="link|forbidden name"):
            content = archive_content.open_content(str(tmp_path / "a.tar"), "the archive")
            assert content is not None
            content.select("app:1", None)
