# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives when the disk is full or the process is killed: the file that was there stays as it was."""

from __future__ import annotations

import io
import os
import pathlib
import random
import resource
import signal
import subprocess
import sys
import time

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest, VerifyingReader
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import StorageError
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import Manifest
from ansible_collections.longshore.oci.plugins.module_utils.transports import files, table
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.transports import images

# Writes an image with a layer of 24 MiB into the archive again and again, under another name each time.
WRITER = """
import io, os, sys
from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.transports import table
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.transports import images
number = 0
data = os.urandom(1 << 20) * 24
image = images.image("killed", layers=[images.descriptor(data, "application/vnd.oci.image.layer.v1.tar")])
image.blobs[Digest.of(data)] = data
while True:
    number += 1
    destination, name = table.open_destination(table.parse(f"oci-archive:{sys.argv[1]}:app:{number}"), Places())
    image.store(destination, name)
    if len(sys.argv) > 2:
        destination.commit(keep=())
    else:
        destination.abort()
    if number == 1:
        print("ready", flush=True)
"""


def run(*arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    return process


def large(size: int) -> images.Image:
    data = os.urandom(size)
    image = images.image("large", layers=[images.descriptor(data, "application/vnd.oci.image.layer.v1.tar")])
    image.blobs[Digest.of(data)] = data
    return image


def save(path: pathlib.Path, image: images.Image, name: str = "app:1") -> None:
    destination, found = table.open_destination(table.parse(f"oci-archive:{path}:{name}"), Places())
    try:
        image.store(destination, found)
        destination.commit()
    finally:
        destination.abort()


def assert_whole(path: pathlib.Path, name: str) -> None:
    """Read and verify an image to its end."""
    source = table.open_source(table.parse(f"oci-archive:{path}:{name}"), Places())
    manifest = source.manifest()
    assert isinstance(manifest, Manifest)
    for one in (manifest.config, *manifest.layers):
        assert sum(map(len, VerifyingReader(source.open_blob(one), one.digest, one.size))) == one.size
    source.close()


def test_a_killed_process_leaves_the_old_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    save(path, images.image("good"))
    before = path.read_bytes()
    chance = random.Random(7)
    leftovers = 0
    for unused in range(10):
        process = run(str(path))
        time.sleep(chance.uniform(0, 0.12))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        assert path.read_bytes() == before
        assert all(name == "a.tar" or name.startswith(files.PREFIX) for name in os.listdir(tmp_path))
        leftovers = len(os.listdir(tmp_path)) - 1
    # They are not ours to remove before a day has passed; the next run after that does it.
    for name in os.listdir(tmp_path):
        if name.startswith(files.PREFIX):
            os.utime(tmp_path / name, (1, 1))
    save(path, images.image("next"), "app:2")
    assert os.listdir(tmp_path) == ["a.tar"]
    assert leftovers, "no process was killed while it wrote"


def test_a_process_killed_while_it_commits_leaves_a_whole_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    save(path, images.image("good"))
    chance = random.Random(11)
    for unused in range(5):
        process = run(str(path), "commit")
        time.sleep(chance.uniform(0.02, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        assert_whole(path, "@0")


@pytest.fixture
def small_limit() -> object:
    """No file may get longer than 1 MiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_limit")
def test_a_file_that_cannot_grow(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    save(path, images.image("good"))
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"cannot write .*a\.tar: the file is larger than"):
        save(path, large(3 * 1024 * 1024), "app:2")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.tar"]
    new = tmp_path / "new.tar"
    with pytest.raises(StorageError):
        save(new, large(3 * 1024 * 1024))
    assert os.listdir(tmp_path) == ["a.tar"]


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> object:
    """A file system of 2 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(small_disk: pathlib.Path) -> None:
    path = small_disk / "a.tar"
    save(path, images.image("good"))
    before = path.read_bytes()
    destination, name = table.open_destination(table.parse(f"oci-archive:{path}:app:2"), Places())
    with pytest.raises(StorageError, match="not enough space"):
        destination.expect(4 * 1024 * 1024)
    with pytest.raises(StorageError, match="no space is left"):
        save(path, large(4 * 1024 * 1024), "app:2")
    assert path.read_bytes() == before
    assert os.listdir(small_disk) == ["a.tar"]
    # What fits is written, what has to be copied from the old file as well is too much.
    save(path, large(900 * 1024), "app:2")
    with pytest.raises(StorageError, match="not enough space"):
        save(path, large(900 * 1024), "app:3")
    assert os.listdir(small_disk) == ["a.tar"]
    assert_whole(path, "app:2")


def test_a_directory_without_permission(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = os.open

    def refuse(name: object, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied")
        return old(name, flags, *mode)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StorageError, match=r"cannot write .*a\.tar: permission denied"):
        save(tmp_path / "a.tar", images.image("x"))


def test_what_a_source_raises_comes_through(tmp_path: pathlib.Path) -> None:
    class Stop(Exception):
        pass

    def broken() -> io.BytesIO:
        raise Stop

    destination, unused = table.open_destination(table.parse(f"oci-archive:{tmp_path}/a.tar:app:1"), Places())
    with pytest.raises(Stop):
        destination.write_blob(Descriptor("x", Digest.of(b"x"), 1), broken)
    destination.abort()
    assert os.listdir(tmp_path) == []
