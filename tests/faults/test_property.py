# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens on the way: a copy, a save, a load, a sync or a login ends with the very same content, or in one clear
sentence and with everything as it was.

Each example is a seed, of which a schedule of faults follows for every request, and how many of the requests meet one.
In the checks the examples are the same each time; LONGSHORE_EXAMPLES=500 tries so many others. An example that fails is
printed with its seed, and is played again by that seed: repositories have its name.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import VerifyingReader
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import Index, Manifest
from ansible_collections.longshore.oci.plugins.module_utils.transports import table
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.faults.running import InProcess
from ansible_collections.longshore.oci.tests.faults.server import FaultRegistry, Kind, Log
from ansible_collections.longshore.oci.tests.faults.server.faults import Fault
from ansible_collections.longshore.oci.tests.faults.server.rules import on
from ansible_collections.longshore.oci.tests.faults.server.schedule import MENU, PASSING
from ansible_collections.longshore.oci.tests.faults.server.storage import digest_of
from ansible_collections.longshore.oci.tests.servers import images

EXAMPLES = int(os.environ.get("LONGSHORE_EXAMPLES") or 12)
NEW = images.sample(("linux/amd64", "linux/arm64/v8"), layers=3, layer_size=30_000, seed=1)
OLD = images.sample(("linux/amd64", "linux/arm64/v8"), layers=2, layer_size=30_000, seed=2)
OTHER = images.sample(("linux/amd64",), layers=2, layer_size=2_000, seed=3)
USER, PASSWORD = "user", "secret-of-the-user"
# What the registry did although its answer told something else, or nothing.
UNTOLD = ("answer lost", "done, yet")

many = settings(
    max_examples=EXAMPLES,
    derandomize="LONGSHORE_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
seeds = st.integers(0, 2**32)
# From a fault now and then to hardly anything that works; and whether what comes may be a lie.
rates = st.sampled_from([0.02, 0.1, 0.2, 0.35, 0.6, 0.9])
menus = st.sampled_from(["passing", "lying"])
# How often the same request meets a fault one after the other: as often as it is tried again, or more.
rows = st.sampled_from([1, 3, 12])


class Stage:
    """Two repositories of the fault registry, one to read and one to write, under names that follow from the seed."""

    def __init__(self, server: FaultRegistry, seed: int) -> None:
        self.server = server
        self.source, self.dest = f"property/{seed}/source", f"property/{seed}/dest"
        for name in (self.source, self.dest):
            repository = server.storage[name]
            for held in (repository.blobs, repository.manifests, repository.tags, repository.uploads):
                held.clear()
        server.storage.put(self.source, NEW, ("1",))
        server.storage.put(self.source, OTHER, ("2",))
        server.storage.put(self.dest, OLD, ("1", "keep"))
        self.before = dict(server.storage[self.dest].tags)
        self._mark = len(server.log)

    @property
    def log(self) -> Log:
        return self.server.log.since(self._mark)

    def whole(self, name: str, tag: str) -> str:
        return f"{self.server.host}/{name}:{tag}"

    def assert_holds(self, tag: str, content: images.Pushable) -> None:
        """``tag`` of the destination is ``content`` to the last byte."""
        repository = self.server.storage[self.dest]
        assert repository.tags.get(tag) == content.digest
        for manifest in content.manifests():
            assert repository.manifests[manifest.digest].data == manifest.data
        for blob in content.blobs():
            assert repository.blobs[blob.digest] == blob.data

    def assert_sound(self) -> None:
        """Everything that a tag of the destination leads to is there and is what it is called."""
        repository = self.server.storage[self.dest]
        assert all(digest_of(data) == digest for digest, data in repository.blobs.items())
        for digest in repository.tags.values():
            missing = [repository.manifests[digest]]
            while missing:
                manifest = missing.pop()
                assert repository.missing(manifest) == []
                missing += [repository.manifests[one["digest"]] for one in json.loads(manifest.data).get("manifests") or []]

    def assert_ended_well(self, result: dict[str, Any], wanted: dict[str, images.Pushable]) -> None:
        """Success with all of ``wanted`` (contents by tag), or a clean failure."""
        self.assert_sound()
        tags = self.server.storage[self.dest].tags
        if not result.get("failed"):
            for tag, content in wanted.items():
                self.assert_holds(tag, content)
            assert tags == {**self.before, **{tag: content.digest for tag, content in wanted.items()}}
            return
        assert_one_sentence(result)
        for tag in {*tags, *self.before}:
            if tags.get(tag) == self.before.get(tag):
                continue
            # New and whole, and no answer had said so, or the task has several images, of which another one failed.
            assert tag in wanted and tags[tag] == wanted[tag].digest
            put = [one for one in self.log.of(self.dest, Kind.PUT_MANIFEST) if one.reference == tag]
            untold = any(fault.startswith(UNTOLD) for one in put for fault in one.faults)
            assert untold or len(wanted) > 1, "a tag was moved by a task that failed"


def assert_one_sentence(result: dict[str, Any]) -> None:
    """A failure that a user can read."""
    message = result["msg"]
    assert message.strip() and "\n" not in message and len(message) < 2000, message
    assert "unexpected" not in message and "Traceback" not in message, message
    assert "exception" not in result, result["exception"]


@contextlib.contextmanager
def playing(server: FaultRegistry, seed: int, rate: float, most: int, menu: str) -> Iterator[None]:
    """A schedule of faults; what of it was met is told if the example fails."""
    with server.schedule(seed, rate, most, MENU if menu == "lying" else PASSING) as schedule:
        try:
            yield
        finally:
            note(f"seed {seed}, rate {rate}, at most {most} in a row, {menu}: {len(schedule.met)} faults")
            for met in schedule.met:
                note(f"  {met.method} {met.path}: {met.fault.name}")


@pytest.fixture
def auth_file(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """An auth file that no task but a login may touch."""
    path = tmp_path / "auth.json"
    path.write_text('{"auths": {"registry.example": {"auth": "dTpw"}}}', encoding="utf-8")
    before = path.read_bytes(), path.stat().st_mtime_ns
    yield path
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@given(seed=seeds, rate=rates, most=rows, menu=menus)
@many
def test_a_copy(
    faulty: FaultRegistry, module: InProcess, auth_file: pathlib.Path, seed: int, rate: float, most: int, menu: str
) -> None:
    stage = Stage(faulty, seed)
    with playing(faulty, seed, rate, most, menu):
        result = module(
            "image_copy",
            src=stage.whole(stage.source, "1"),
            dest=stage.whole(stage.dest, "1"),
            src_plain_http=True,
            dest_plain_http=True,
            auth_file=str(auth_file),
            timeout=5,
        )
    stage.assert_ended_well(result, {"1": NEW})


def read_whole(location: str) -> str:
    """Read an image to its last byte, verified; its digest."""
    places = Places()
    source = table.open_source(table.parse(location), places)
    try:
        top = source.manifest()
        manifests = [source.manifest(one.digest) for one in top.manifests] if isinstance(top, Index) else [top]
        for manifest in manifests:
            assert isinstance(manifest, Manifest)
            for blob in manifest.blobs():
                assert sum(map(len, VerifyingReader(source.open_blob(blob), blob.digest, blob.size))) == blob.size
        return str(top.digest)
    finally:
        source.close()
        places.close()


@pytest.mark.parametrize("append", [False, True], ids=["replace", "append"])
@given(seed=seeds, rate=rates, most=rows, menu=menus)
@many
def test_a_save(
    faulty: FaultRegistry, module: InProcess, auth_file: pathlib.Path, append: bool, seed: int, rate: float, most: int, menu: str
) -> None:
    stage = Stage(faulty, seed)
    options = {"state": "saved", "plain_http": True, "auth_file": str(auth_file), "timeout": 5}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "a.tar")
        first = module("image_save_load", path=str(path), images=[stage.whole(stage.dest, "1")], **options)
        assert not first.get("failed"), first
        before = path.read_bytes()
        name = stage.whole(stage.source, "1")
        with playing(faulty, seed, rate, most, menu):
            result = module("image_save_load", path=str(path), images=[name], append=append, **options)
        # No temporary file is left, however it ended.
        assert os.listdir(folder) == ["a.tar"]
        if result.get("failed"):
            assert_one_sentence(result)
            assert path.read_bytes() == before
        else:
            assert read_whole(f"oci-archive:{path}:{name}") == NEW.digest
            if append:
                assert read_whole(f"oci-archive:{path}:{stage.whole(stage.dest, '1')}") == OLD.digest
        assert dict(faulty.storage[stage.dest].tags) == stage.before


@given(seed=seeds, rate=rates, most=rows)
@many
def test_a_load(
    faulty: FaultRegistry, module: InProcess, auth_file: pathlib.Path, archive: pathlib.Path, seed: int, rate: float, most: int
) -> None:
    stage = Stage(faulty, seed)
    before = archive.read_bytes()
    with playing(faulty, seed, rate, most, "passing"):
        result = module(
            "image_save_load",
            state="loaded",
            path=str(archive),
            dest=f"{faulty.host}/property/{seed}",
            plain_http=True,
            auth_file=str(auth_file),
            timeout=5,
        )
    stage.assert_ended_well(result, {"1": NEW})
    assert archive.read_bytes() == before


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An archive of one image, called dest:1."""
    folder = tmp_path_factory.mktemp("archive")
    name = "registry.example/dest:1"
    layout = images.write_layout(folder / "layout", {name: NEW})
    result = InProcess()("image_copy", src=f"oci:{layout}:{name}", dest=f"oci-archive:{folder}/a.tar:{name}")
    assert not result.get("failed"), result
    return folder / "a.tar"


@given(seed=seeds, rate=rates, most=rows, menu=menus)
@many
def test_a_sync(
    faulty: FaultRegistry, module: InProcess, auth_file: pathlib.Path, seed: int, rate: float, most: int, menu: str
) -> None:
    stage = Stage(faulty, seed)
    mappings = [{"src": f"{faulty.host}/{stage.source}", "dest": [f"{faulty.host}/{stage.dest}"]}]
    with playing(faulty, seed, rate, most, menu):
        result = module(
            "image_sync", mappings=mappings, src_plain_http=True, dest_plain_http=True, auth_file=str(auth_file), timeout=5
        )
    stage.assert_ended_well(result, {"1": NEW, "2": OTHER})


# -- a login ---------------------------------------------------------------------------------------------------------------


class Dice:
    """Faults of /v2/, which has no repository that a schedule could know."""

    def __init__(self) -> None:
        self._random = random.Random()
        self._rate = 0.0
        self.met: list[str] = []

    def throw(self, seed: int, rate: float) -> None:
        """From now on these."""
        self._random, self._rate, self.met = random.Random(seed), rate, []

    def play(self, exchange: Any) -> None:
        if self._random.random() >= self._rate:
            exchange.give(exchange.usual())
            return
        fault = self._random.choice(PASSING[Kind.GET_MANIFEST])
        self.met.append(fault.name)
        fault.play(exchange)


@pytest.fixture(scope="module")
def gate() -> Iterator[tuple[FaultRegistry, Dice]]:
    """A registry whose door is what fails."""
    dice = Dice()
    with FaultRegistry(base=[on(Kind.BASE, Fault("dice", dice.play))]) as running:
        yield running, dice


@given(seed=seeds, rate=rates, state=st.sampled_from(["present", "absent"]))
@many
def test_a_login(gate: tuple[FaultRegistry, Dice], module: InProcess, seed: int, rate: float, state: str) -> None:
    server, dice = gate
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "auth.json")
        path.write_text(json.dumps({"auths": {server.host: {"auth": "b2xkOm9sZA=="}, "other.example": {"auth": "dTpw"}}}))
        before = path.read_bytes()
        dice.throw(seed, rate)
        options = {"registry": server.host, "auth_file": str(path), "plain_http": True, "timeout": 5}
        login = {"username": USER, "password": PASSWORD} if state == "present" else {}
        result = module("registry_login", state=state, **options, **login)
        note(f"seed {seed}: {dice.met}")
        assert os.listdir(folder) == ["auth.json"]
        if result.get("failed"):
            assert_one_sentence(result)
            assert path.read_bytes() == before
            return
        held = json.loads(path.read_bytes())["auths"]
        assert held["other.example"] == {"auth": "dTpw"}
        assert (server.host in held) == (state == "present")


def test_the_faults_are_met_and_both_ends_happen(faulty: FaultRegistry, module: InProcess) -> None:
    """What the examples could not do without: with few faults tasks succeed, with very many they fail."""

    def ended(seed: int, rate: float) -> tuple[bool, int]:
        stage = Stage(faulty, seed)
        with faulty.schedule(seed, rate, most=10) as schedule:
            source, dest = stage.whole(stage.source, "1"), stage.whole(stage.dest, "1")
            result = module("image_copy", src=source, dest=dest, src_plain_http=True, dest_plain_http=True, timeout=5)
        return not result.get("failed"), len(schedule.met)

    few = [ended(seed, 0.05) for seed in range(6)]
    assert any(succeeded and met for succeeded, met in few), few
    assert not any(succeeded for succeeded, unused in [ended(seed, 0.98) for seed in range(2)])


