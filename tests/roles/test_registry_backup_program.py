# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup program and a real registry: what is restored can be pulled, every tag, whatever happened meanwhile."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.operations import registry_environment
from ansible_collections.longshore.oci.tests.roles.backup_service import Instance, Program
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.process import run, wait_until
from ansible_collections.longshore.oci.tests.servers.redis_server import RedisServer


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, dict[str, list[str]]]:
    """A storage with a few images of every shape, and its tags."""
    directory = tmp_path_factory.mktemp("stored")
    with Instance(directory).running() as registry:
        fill(registry)
        return registry.storage, registry.tags()


def fill(registry: Any) -> None:
    for number in range(3):
        images.push(registry, "team/app", images.sample(seed=number), [f"1.{number}", "latest"])
    images.push(registry, "team/app/worker", images.sample(["linux/amd64"], kind=images.DOCKER, seed=7), ["7"])
    images.push(registry, "alone", images.sample(["linux/amd64"], seed=8), ["8"])
    images.push(registry, "alone", images.sample(["linux/amd64"], seed=9), [])


@pytest.fixture
def instance(stored: tuple[pathlib.Path, dict[str, list[str]]], tmp_path: pathlib.Path) -> Iterator[Instance]:
    """An instance with a copy of that storage, not running."""
    shutil.copytree(stored[0], tmp_path / "storage")
    made = Instance(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def program(instance: Instance, tmp_path: pathlib.Path) -> Program:
    """The program for it."""
    return Program(tmp_path, instance)


def blob_path(storage: pathlib.Path, digest: str) -> pathlib.Path:
    return storage / "docker/registry/v2/blobs/sha256" / digest[7:9] / digest[7:] / "data"


def a_layer(storage: pathlib.Path, seed: int = 8) -> pathlib.Path:
    """The bytes of a layer of alone:8 (or what else has that seed)."""
    sample = images.sample(["linux/amd64"], seed=seed)
    return blob_path(storage, sample.layers[0].digest)


def elsewhere(tmp_path: pathlib.Path, program: Program) -> tuple[Instance, Program]:
    """Another host: an instance with nothing in it, and the same backups."""
    other = Instance(tmp_path / "elsewhere")
    there = Program(tmp_path / "elsewhere", other)
    there.backups = program.backups
    return other, there


def test_there_and_back(
    instance: Instance, program: Program, tmp_path: pathlib.Path, stored: tuple[pathlib.Path, dict[str, list[str]]]
) -> None:
    with instance.running():
        done = program.good("create")
    assert done["changed"] and done["tags"] == 6 and done["repositories"] == 3
    assert done["copied"]["blobs"] == done["blobs"] > 20
    assert (done["broken_in_registry"], done["damaged_in_registry"], done["warnings"]) == ({}, [], [])
    assert program.complete() == [done["backup"]]
    assert program.backups.stat().st_mode & 0o777 == 0o700
    found = program.good("verify", "--checksum")
    assert (found["tags"], found["fault_count"], found["blobs"]) == (6, 0, done["blobs"])
    assert json.loads(program.report.read_text())["backup"] == done["backup"]
    metrics = program.textfile.read_text()
    assert 'longshore_registry_backup_last_run_success{instance="main"} 1\n' in metrics
    assert f'longshore_registry_backup_size_bytes{{instance="main"}} {done["bytes"]}\n' in metrics
    other, there = elsewhere(tmp_path, program)
    restored = there.good("restore")
    assert (restored["tags"], restored["blobs"]) == (6, done["blobs"])
    with other.running():
        assert other.tags() == stored[1]
        assert other.pull_everything() == 6
        untagged = images.sample(["linux/amd64"], seed=9)
        other.pull("alone", untagged.digest)
        images.push(other, "alone", images.sample(["linux/amd64"], seed=20), ["new"])
        # Nothing is shared with the backup.
        assert program.good("verify", "--checksum")["fault_count"] == 0
    assert [one.name for one in other.storage.iterdir() if one.name != "docker"] == [".longshore-storage"]


def test_the_second_one_is_of_links(instance: Instance, program: Program) -> None:
    first = program.good("create")
    with instance.running():
        images.push(instance, "team/new", images.sample(["linux/amd64"], seed=30), ["1"])
    assert program.good("create", "--check")["copied"]["blobs"] == 4
    assert program.complete() == [first["backup"]]
    second = program.good("create")
    assert second["copied"]["blobs"] == 4
    assert second["linked"]["blobs"] == first["blobs"]
    assert second["tags"] == first["tags"] + 1
    places = [program.backups / one["backup"] / "storage" for one in (first, second)]
    one, both = a_layer(places[0]), a_layer(places[1])
    assert one.samefile(both) and one.stat().st_nlink == 2
    link = "docker/registry/v2/repositories/alone/_manifests/tags/8/current/link"
    assert (places[0] / link).samefile(places[1] / link)
    # What is linked is not written to: a tag that moves has a file of its own in the next backup.
    with instance.running():
        images.push(instance, "alone", images.sample(["linux/amd64"], seed=31), ["8"])
    third = program.good("create")
    assert not (places[0] / link).samefile(program.backups / third["backup"] / "storage" / link)
    for name in program.complete():
        assert program.good("verify", "--checksum", "--backup", name)["fault_count"] == 0


def test_only_so_many_are_kept(program: Program) -> None:
    names = [program.good("create", "--keep", "2")["backup"] for dummy in range(2)]
    assert program.good("create", "--keep", "2", "--check")["removed"] == names[:1]
    third = program.good("create", "--keep", "2")
    assert third["removed"] == names[:1]
    assert program.complete() == [names[1], third["backup"]]
    assert program.leftovers() == []
    assert [row["backup"] for row in program.good("list")["backups"]] == program.complete()
    for name in program.complete():
        assert program.good("verify", "--checksum", "--backup", name)["fault_count"] == 0


# What pushes an image, moves a tag to it and adds another tag, before each pass over the storage.
BETWEEN = """
    import subprocess, sys
    from longshore_backup import snapshot
    def before(name, number):
        true = getattr(snapshot.Snapshot, name)
        def pushing(self):
            subprocess.run([{python!r}, {script!r}, str(number)], check=True)
            return true(self)
        setattr(snapshot.Snapshot, name, pushing)
    for number, name in enumerate(("copy_tags", "copy_links", "copy_blobs", "settle")):
        before(name, number)
"""
# The passes of a copy that goes the way the bytes go, with nothing settled.
WRONG_WAY = """
    class Wrong(snapshot.Snapshot):
        def copy_tags(self):
            super().copy_blobs()
        def copy_blobs(self):
            super().copy_tags()
    snapshot.Snapshot._again = lambda self, repository, tag: "left as it is"
    from longshore_backup import create
    create.Snapshot = Wrong
"""


def pushing(instance: Instance, directory: pathlib.Path) -> str:
    """A program that pushes the image of the number it gets."""
    script = directory / "push.py"
    script.write_text(
        f"""import sys
sys.path.insert(0, {str(pathlib.Path(images.__file__).parents[5])!r})
from ansible_collections.longshore.oci.tests.roles.far_registry import FarRegistry
from ansible_collections.longshore.oci.tests.servers import images
number = int(sys.argv[1])
images.push(FarRegistry("127.0.0.1", {instance.port}), "team/app", images.sample(seed=50 + number), ["latest", f"new-{{number}}"])
"""
    )
    return str(script)


def test_what_is_pushed_between_the_passes(instance: Instance, program: Program, tmp_path: pathlib.Path) -> None:
    patch = BETWEEN.format(python=sys.executable, script=pushing(instance, tmp_path))
    with instance.running():
        done = program.good("create", patch=patch)
        assert done["broken_in_registry"] == {}
        assert done["tags"] == 7, "what is pushed before the tags are read is in, and nothing later"
    assert program.good("verify", "--checksum")["fault_count"] == 0
    other, there = elsewhere(tmp_path, program)
    there.good("restore")
    with other.running():
        assert other.pull_everything() == 7


def test_the_other_order_breaks_tags(instance: Instance, program: Program, tmp_path: pathlib.Path) -> None:
    patch = BETWEEN.format(python=sys.executable, script=pushing(instance, tmp_path))
    with instance.running():
        broken = program.good("create", patch=patch + WRONG_WAY)["broken_in_registry"]
        # What is told of such a copy is what a registry finds that serves it.
        assert set(broken) >= {"team/app:latest"}
    other, there = elsewhere(tmp_path, program)
    there.good("restore")
    with other.running():
        for name in broken:
            with pytest.raises(AssertionError):
                other.pull(*name.split(":"))


class Load:
    """Pushes new images, moves tags and deletes images all the while."""

    def __init__(self, instance: Instance, deletes: bool) -> None:
        self.instance, self.deletes = instance, deletes
        self.pushed = 0
        self.errors: list[str] = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(3)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: self.pushed > 6 or bool(self.errors), "the load")
        return self

    def __exit__(self, *unused: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _work(self, worker: int) -> None:
        try:
            number = 0
            while not self._end.is_set():
                number += 1
                sample = images.sample(layer_size=512, seed=1000 * (worker + 1) + number)
                repository = f"load/{worker}-{number % 7}"
                images.push(self.instance, repository, sample, [f"{number}", "latest"])
                self.pushed += 1
                if self.deletes and number % 3 == 0:
                    self.instance.request("DELETE", f"/v2/{repository}/manifests/{sample.digest}")
        except Exception as exc:
            self.errors.append(repr(exc))


@pytest.mark.parametrize("deletes", [False, True])
def test_a_backup_under_load(instance: Instance, program: Program, tmp_path: pathlib.Path, deletes: bool) -> None:
    with instance.running():
        with Load(instance, deletes) as load:
            before = load.pushed
            for dummy in range(4):
                done = program.good("create")
                # A deletion of the registry's own is not in one step: what is reported is broken there, not in the copy.
                assert deletes or done["broken_in_registry"] == {}
                assert done["damaged_in_registry"] == []
            during = load.pushed - before
        assert load.errors == []
    assert during > 10, "the load has to go on while it is copied"
    for name in program.complete():
        assert program.good("verify", "--checksum", "--backup", name)["fault_count"] == 0
    other, there = elsewhere(tmp_path, program)
    restored = there.good("restore")
    with other.running():
        found = sum(map(len, other.tags().values()))
        assert found == restored["tags"] > 12
        if not done["broken_in_registry"]:
            assert other.pull_everything() == found


def test_read_only_while_tags_are_copied(instance: Instance, program: Program, tmp_path: pathlib.Path) -> None:
    twin = Instance(tmp_path, "twin", storage=instance.storage, readonly=True)
    peer = Instance(tmp_path, "peer", storage=instance.storage)
    ask = f"""
        from longshore_backup import record, service, snapshot
        def asking(name):
            true = getattr(snapshot.Snapshot, name)
            def call(self):
                found = [record.read(path) for path in {[str(instance.record), str(peer.record)]!r}]
                rows = [service.request(one, "POST", "/v2/x/blobs/uploads/") for one in found]
                with open({str(tmp_path / "answers")!r}, "a") as file:
                    print(name, *rows, file=file)
                return true(self)
            setattr(snapshot.Snapshot, name, call)
        for name in ("copy_tags", "copy_links", "copy_blobs"):
            asking(name)
        """
    with instance.running(), twin.running(), peer.running():
        done = program.good("create", "--readonly", patch=ask)
        assert instance.request("POST", "/v2/x/blobs/uploads/", b"")[0] == 202
        assert peer.request("POST", "/v2/x/blobs/uploads/", b"")[0] == 202
    answers = (tmp_path / "answers").read_text().splitlines()
    assert answers == ["copy_tags 405 405", "copy_links 405 405", "copy_blobs 202 202"]
    assert 0 < done["readonly_seconds"] < 60
    assert "restart" not in twin.calls.read_text()
    assert not program.state.exists()
    assert os.readlink(instance.home / "config.yml") == "readwrite.yml"


STEPS = [
    ("configuration.save", 1),
    ("snapshot.Snapshot.copy_links", 1),
    ("copier.Copier.blob", 9),
    ("snapshot.Snapshot.settle", 1),
    ("files.sync_file_system", 1),
    ("os.rename", 1),
    ("destination.Destination.retire", 1),
]


@pytest.mark.parametrize(("at", "call"), STEPS)
def test_killed_at_every_step(instance: Instance, program: Program, at: str, call: int) -> None:
    first = program.good("create")
    with instance.running():
        images.push(instance, "team/new", images.sample(["linux/amd64"], seed=30), ["1"])
    if at == "os.rename":
        # The rename that gives the backup its name, whatever else is renamed before.
        patch = """
            import os
            true = os.rename
            def rename(source, target):
                if source.endswith(".partial") and not target.endswith(".removing"):
                    os.kill(os.getpid(), 9)
                true(source, target)
            os.rename = rename
            """
        assert program.run("create", "--keep", "1", patch=patch)[0] == -9
    else:
        program.killed("create", "--keep", "1", at=at, call=call)
    named = at == "destination.Destination.retire"
    assert len(program.complete()) == 1 + named
    assert program.leftovers() == [] if named else all(".partial" in one for one in program.leftovers())
    for name in program.complete():
        assert program.good("verify", "--checksum", "--backup", name)["fault_count"] == 0
    last = program.good("create", "--keep", "1")
    assert last["tags"] == first["tags"] + 1
    if at in ("snapshot.Snapshot.settle", "files.sync_file_system", "os.rename"):
        assert last["copied"]["blobs"] == 0, "what was copied is used"
    assert program.complete() == [last["backup"]]
    assert program.leftovers() == []
    assert program.good("verify", "--checksum")["fault_count"] == 0


def test_what_a_crash_of_the_machine_left_half_is_not_trusted(program: Program) -> None:
    program.killed("create", at="snapshot.Snapshot.settle")
    (partial,) = program.leftovers()
    damage(a_layer(program.backups / partial / "storage"))
    done = program.good("create")
    assert done["copied"]["blobs"] == 1
    assert program.good("verify", "--checksum")["fault_count"] == 0


def test_asked_to_end(instance: Instance, program: Program) -> None:
    patch = """
        import os, signal
        from longshore_backup import snapshot
        true = snapshot.Snapshot.copy_links
        def ending(self):
            os.kill(os.getpid(), signal.SIGTERM)
            true(self)
        snapshot.Snapshot.copy_links = ending
        """
    with instance.running():
        assert "asked to end" in program.bad("create", "--readonly", patch=patch)
        assert instance.request("POST", "/v2/x/blobs/uploads/", b"")[0] == 202
    assert program.complete() == []
    assert 'last_run_success{instance="main"} 0' in program.textfile.read_text()


def test_killed_while_read_only(instance: Instance, program: Program) -> None:
    with instance.running():
        program.killed("create", "--readonly", at="snapshot.Snapshot.copy_links")
        assert instance.request("POST", "/v2/x/blobs/uploads/", b"")[0] == 405
        assert program.good("recover")["done"] == ["instance main takes uploads again"]
        assert instance.request("POST", "/v2/x/blobs/uploads/", b"")[0] == 202
        assert program.good("recover")["changed"] is False
        program.killed("create", "--readonly", at="snapshot.Snapshot.copy_links")
        # Nobody recovered it: the next run does.
        program.good("create")
        assert instance.request("POST", "/v2/x/blobs/uploads/", b"")[0] == 202


def damage(path: pathlib.Path) -> None:
    """Change one byte."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_damage_is_found(instance: Instance, program: Program) -> None:
    name = program.good("create")["backup"]
    storage = program.backups / name / "storage"
    layer = a_layer(storage)
    data = layer.read_bytes()

    def found(*options: str) -> list[str]:
        status, result = program.run("verify", *options)
        assert status == 3 and result["fault_count"] == len(result["faults"]), result
        assert result["msg"].endswith(result["faults"][0])
        return [str(one) for one in result["faults"]]

    damage(layer)
    assert program.good("verify")["fault_count"] == 0, "the size alone does not tell"
    assert found("--checksum") == [f"the blob sha256:{layer.parent.name} is damaged"]
    layer.write_bytes(data[:-1])
    assert any(f"sha256:{layer.parent.name} has {len(data) - 1} bytes and not {len(data)}" in one for one in found())
    layer.unlink()
    assert any(f"sha256:{layer.parent.name} is missing" in one for one in found())
    layer.write_bytes(data)
    links = storage / "docker/registry/v2/repositories"
    manifests = sorted((links / "team/app/_manifests/revisions/sha256").iterdir())
    kept = (manifests[0] / "link").read_bytes()
    (manifests[0] / "link").write_bytes(b"")
    assert any("does not belong to the repository" in one for one in found())
    (manifests[0] / "link").write_bytes(kept)
    shutil.move(links / "alone/_manifests/tags/8", program.backups.parent / "tag")
    assert found() == ["there are 5 tags and not 6"]
    shutil.move(program.backups.parent / "tag", links / "alone/_manifests/tags/8")
    damage(program.backups / name / "configuration/instance/auth/htpasswd")
    assert found() == [f"the copy of {instance.home}/auth/htpasswd is missing or damaged"]
    damage(program.backups / name / "configuration/instance/auth/htpasswd")
    assert program.good("verify", "--checksum")["fault_count"] == 0
    damage(layer)
    # And nothing damaged is put into place.
    assert "is damaged, so nothing is replaced" in program.bad("restore")
    layer.unlink()
    assert "nothing is replaced" in program.bad("restore")
    with instance.running():
        assert instance.pull_everything() == 6


def test_what_is_broken_in_the_registry_is_told(instance: Instance, program: Program) -> None:
    whole = program.good("create")
    a_layer(instance.storage).unlink()
    damaged = a_layer(instance.storage, seed=9)
    damage(damaged)
    shutil.rmtree(program.backups)
    done = program.good("create")
    assert list(done["broken_in_registry"]) == ["alone:8"]
    assert done["damaged_in_registry"] == [f"sha256:{damaged.parent.name}"]
    assert done["blobs"] == whole["blobs"] - 2
    assert len(done["warnings"]) == 2
    assert program.good("verify", "--checksum")["fault_count"] == 0
    assert 'longshore_registry_backup_broken_tags{instance="main"} 1' in program.textfile.read_text()


def test_a_restore_takes_the_place_of_what_is_there(instance: Instance, program: Program) -> None:
    first = program.good("create")
    with instance.running():
        images.push(instance, "later", images.sample(["linux/amd64"], seed=40), ["1"])
        assert "instance main runs" in program.bad("restore", "--check")
        assert "instance main runs" in program.bad("restore")
        planned = program.good("restore", "--check", "--stop")
        assert planned["replaces"] == f"{instance.storage}/docker"
        assert "later" in instance.tags()
        done = program.good("restore", "--stop", "--keep-old", "--backup", first["backup"])
        assert instance.calls.read_text().split().count("stop") == 1
        assert "later" not in instance.tags(), "and it runs again"
        assert instance.pull_everything() == 6
        assert 0 < done["stopped_seconds"] < done["seconds"] + 1
    kept = pathlib.Path(done["kept"])
    assert (kept / "registry/v2/repositories/later").exists()
    again = program.good("restore")
    assert "kept" not in again
    assert kept.exists() and not [one for one in instance.storage.iterdir() if "restore" in one.name]


def test_a_registry_that_does_not_start_with_it(instance: Instance, program: Program) -> None:
    program.good("create")
    with instance.running():
        images.push(instance, "later", images.sample(["linux/amd64"], seed=40), ["1"])
        # It fails to start once, as by a storage that it cannot read, and starts again after everything was put back.
        text = pathlib.Path(instance.control).read_text()
        once = f"[ ! -e {instance.directory}/broken ] || {{ rm {instance.directory}/broken; exit 1; }}"
        pathlib.Path(instance.control).write_text(text.replace(f"[ ! -e {instance.directory}/broken ] || exit 1", once))
        (instance.directory / "broken").touch()
        assert "control start ended with 1" in program.bad("restore", "--stop")
        assert "later" in instance.tags()
        assert instance.pull_everything() == 7
        program.good("restore", "--stop")
        assert "later" not in instance.tags()


@pytest.mark.parametrize(
    ("at", "call", "state"),
    [
        ("files.copy", 9, "old"),
        ("restore.verify_storage", 1, "old"),
        ("restore._swap", 1, "old"),
        ("files.exchange", 1, "old"),
        ("cache.forget_blobs", 1, "new"),
        ("files.remove_tree", 3, "new"),
    ],
)
def test_a_restore_killed_at_every_step(instance: Instance, program: Program, at: str, call: int, state: str) -> None:
    program.good("create")
    with instance.running():
        images.push(instance, "later", images.sample(["linux/amd64"], seed=40), ["1"])
        program.killed("restore", "--stop", at=at, call=call)
        program.good("recover")
        assert instance.status() == 200
        assert ("later" in instance.tags()) is (state == "old")
        instance.pull_everything()
        program.good("restore", "--stop")
        assert "later" not in instance.tags()
        assert instance.pull_everything() == 6


def test_two_restores_in_one_second_keep_both_of_what_was_there(instance: Instance, program: Program) -> None:
    program.good("create")
    now = "import time\ntime.strftime = lambda *given: '2026-01-01T000000Z'\n"
    kept = [program.good("restore", "--stop", "--keep-old", patch=now)["kept"] for number in range(2)]
    assert len(set(kept)) == 2 and all(pathlib.Path(one, "registry/v2/repositories").is_dir() for one in kept)


def test_where_directories_cannot_change_places(instance: Instance, program: Program) -> None:
    program.good("create")
    with instance.running():
        images.push(instance, "later", images.sample(["linux/amd64"], seed=40), ["1"])
        patch = """
            import os
            from longshore_backup import files
            files.exchange = lambda first, second: False
            true = os.rename
            def rename(source, target):
                true(source, target)
                if target.endswith("-before-" + target.rpartition("-before-")[2]) and source.endswith("storage/docker"):
                    os.kill(os.getpid(), 9)
            os.rename = rename
            """
        assert program.run("restore", "--stop", patch=patch)[0] == -9
        assert not (instance.storage / "docker").exists()
        assert len(program.good("recover")["done"]) == 2
        assert "later" in instance.tags()
        patch = "from longshore_backup import files\nfiles.exchange = lambda first, second: False\n"
        program.good("restore", "--stop", patch=patch)
        assert instance.pull_everything() == 6


def test_users_and_certificates_come_back(instance: Instance, program: Program, tmp_path: pathlib.Path) -> None:
    further = tmp_path / "authority"
    further.mkdir()
    (further / "ca.key").write_text("of the authority\n")
    pair = instance.home / "tls/pairs/1/registry.crt"
    pair.parent.mkdir(parents=True)
    pair.write_text("of the pair\n")
    (instance.home / "tls/registry.crt").symlink_to("pairs/1/registry.crt")
    instance.home.chmod(0o750)
    name = program.good("create", "--further", str(further))["backup"]
    copy = program.backups / name / "configuration"
    assert (copy / f"further{further}" / "ca.key").read_text() == "of the authority\n"
    assert os.readlink(copy / "instance/config.yml") == "readwrite.yml"
    htpasswd, secrets = instance.home / "auth/htpasswd", instance.home / "secrets.env"
    before = {path: path.read_bytes() for path in (htpasswd, secrets, pair)}
    shutil.rmtree(pair.parent)
    (instance.home / "tls/later.crt").write_text("later\n")
    htpasswd.write_text("mallory:x\n")
    secrets.unlink()
    rendered = (instance.home / "readwrite.yml").read_bytes() + b"\n"
    (instance.home / "readwrite.yml").write_bytes(rendered)
    planned = program.good("restore", "--config", "--check")["configuration"]
    assert sorted(planned) == sorted(map(str, before))
    assert htpasswd.read_text() == "mallory:x\n"
    assert program.good("restore")["configuration"] == []
    assert htpasswd.read_text() == "mallory:x\n", "only when it is asked for"
    done = program.good("restore", "--config")
    assert {path: path.read_bytes() for path in before} == before
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o777 for path in (pair.parent, pair.parent.parent, htpasswd.parent)} == {0o750}
    assert (instance.home / "tls/registry.crt").read_text() == "of the pair\n"
    assert not (instance.home / "tls/later.crt").exists()
    assert (instance.home / "readwrite.yml").read_bytes() == rendered
    assert (pathlib.Path(done["kept_configuration"]) / "auth/htpasswd").read_text() == "mallory:x\n"
    assert json.loads(instance.record.read_text()) == instance.document
    assert program.good("restore", "--config")["configuration"] == []
    assert before[secrets].decode().partition("=")[2].strip() not in json.dumps(done)


def test_nothing_is_done_beside_garbage_collection(instance: Instance, program: Program) -> None:
    name = program.good("create")["backup"]
    with open(instance.document["lock"], "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is in use by another process" in program.bad("create")
        assert "is in use by another process" in program.bad("restore")
        assert program.good("verify")["fault_count"] == 0
        waiting = subprocess.Popen(program.command("create", "--wait", "60"), stdout=subprocess.PIPE, text=True)
        time.sleep(0.7)
        assert waiting.poll() is None
    assert waiting.wait(60) == 0
    waiting.communicate()
    assert program.complete()[0] == name and len(program.complete()) == 2


def test_a_full_disk(instance: Instance, program: Program, tmp_path: pathlib.Path) -> None:
    program.backups.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", str(program.backups)])
    try:
        first = program.good("create")
        with instance.running():
            images.push(instance, "big", images.image("linux/amd64", [images.noise_layer(32 * 1024 * 1024, 1)]), ["1"])
        assert "no space left" in program.bad("create"), "seen beforehand"
        late = "from longshore_backup import copier\ncopier.Copier.needed = lambda self: (0, 0)\n"
        patch = f"{late}from longshore_backup import create\ncreate._SPARE = 0\n"
        assert "no space left" in program.bad("create", patch=patch), "met on the way"
        assert (program.complete(), program.leftovers()) == ([first["backup"]], [])
        assert program.good("verify", "--checksum")["fault_count"] == 0
        assert 'last_run_success{instance="main"} 0' in program.textfile.read_text()
    finally:
        run(["umount", str(program.backups)])


def test_a_file_system_without_hard_links(program: Program) -> None:
    program.good("create")
    patch = """
        import errno, os
        def link(*unused, **dummy):
            raise OSError(errno.EPERM, "not here")
        os.link = link
        """
    done = program.good("create", patch=patch)
    assert done["copied"]["blobs"] == done["blobs"]
    assert "cannot hold the same file twice" in done["warnings"][0]
    assert program.good("verify", "--checksum")["fault_count"] == 0


def test_what_is_not_backed_up_is_said(instance: Instance, program: Program) -> None:
    instance.write(storage={"driver": "s3", "bucket": "images", "region": "eu-1"}, sentinel=None)
    message = program.bad("create")
    assert "bucket images" in message and "versioning" in message and "replication" in message
    assert program.complete() == []
    done = program.good("create", "--config-only")
    assert program.good("verify")["fault_count"] == 0
    assert not (program.backups / done["backup"] / "storage").exists()
    (instance.home / "auth/htpasswd").write_text("")
    assert "holds no images" in program.bad("restore")
    assert program.good("restore", "--config")["configuration"] == [f"{instance.home}/auth/htpasswd"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("sentinel", "is not mounted"),
        ("storage", "is not there"),
        ("version", "of version 2"),
        ("record", "run the role registry"),
        ("nonsense", "cannot be read as a record"),
        ("further", "is to be part of the backup, and is not there"),
    ],
)
def test_what_is_refused(instance: Instance, program: Program, change: str, words: str) -> None:
    options = []
    if change == "sentinel":
        (instance.storage / ".longshore-storage").unlink()
    elif change == "storage":
        instance.write(sentinel=None, storage={"driver": "filesystem", "path": f"{instance.storage}/nowhere"})
    elif change == "version":
        instance.write(version=2)
    elif change == "record":
        instance.record.unlink()
    elif change == "nonsense":
        instance.record.write_text('{"version": 1}')
    else:
        options = ["--further", f"{instance.storage}/nowhere"]
    message = program.bad("create", *options)
    assert words in message and "Traceback" not in message
    assert program.complete() == []


def test_an_empty_registry(tmp_path: pathlib.Path) -> None:
    instance = Instance(tmp_path)
    program = Program(tmp_path, instance)
    assert "holds no complete backup" in program.bad("restore")
    done = program.good("create")
    assert (done["tags"], done["blobs"], done["repositories"]) == (0, 0, 0)
    assert program.good("verify", "--checksum")["fault_count"] == 0
    program.good("restore")
    with instance.running():
        images.push(instance, "first", images.sample(["linux/amd64"]), ["1"])
        assert instance.pull_everything() == 1
    assert "has no complete backup nothing" in program.bad("restore", "--backup", "nothing")


def test_what_redis_remembers_is_forgotten(instance: Instance, program: Program, tmp_path: pathlib.Path) -> None:
    password = "# öf: 'redis'"
    # YAML would take it for a comment: it stands in the environment as the role registry writes it.
    (instance.home / "secrets.env").write_text(f"REGISTRY_REDIS_PASSWORD={registry_environment.text(password)}\n")
    with RedisServer(tmp_path, password) as redis:
        instance.write(cache={"kind": "redis", "address": redis.address, "db": 2})
        client = [*redis.client, "-n", "2"]
        for number in range(1500):
            key = f"repository::a::blobs::{number}" if number % 2 else f"blobs::sha256:{number}"
            (tmp_path / "keys").open("a").write(f"SET {key} 1\n")
        (tmp_path / "keys").open("a").write("SET somebody-else 1\n")
        run(client, stdin=(tmp_path / "keys").read_bytes())
        program.good("create")
        program.good("restore")
        assert run([*client, "keys", "*"]).decode().split() == ["somebody-else"]
    assert "cannot be emptied" in program.bad("restore")
