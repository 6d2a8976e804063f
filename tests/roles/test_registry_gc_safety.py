# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The garbage collection killed at each step, beside pushes, and with registries that are more than one open process."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.operations import registry_environment
from ansible_collections.longshore.oci.tests.roles.collector import Collector, delete, pullable, stored, writable
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.managed import GID, UID, ManagedRegistry
from ansible_collections.longshore.oci.tests.servers.process import (
    ServerFailed,
    run,
    wait_until,
)
from ansible_collections.longshore.oci.tests.servers.redis_server import RedisServer
from ansible_collections.longshore.oci.tests.servers.storage import Moto

KEPT = images.sample(seed=1)
GONE = images.sample(["linux/amd64"], seed=2)


def fill(registry: ManagedRegistry, authorization: str | None = None) -> None:
    """An image that is tagged, and blobs that nothing names."""
    images.push(registry, "team/app", KEPT, ["1"], authorization=authorization)
    for blob in GONE.blobs():
        images.push_blob(registry, "team/gone", blob.data, authorization=authorization)


def well(registry: ManagedRegistry) -> bool:
    return pullable(registry, "team/app", KEPT, "1") and writable(registry)


def stop_at(step: str, registry: ManagedRegistry, collector: Collector, act: Any) -> None:
    """Let the running collector come to ``step``, hold it there, ``act``, and let everything go on."""
    hold = {"read-only": "restart", "look": "restart", "untagged": "serve", "sweep": "sweep", "bring back": "sweep"}[step]
    registry.wait_held(hold)
    if step in ("look", "bring back"):
        following = {"look": "dry-run", "bring back": "restart"}[step]
        with registry.held(following):
            registry.release(hold)
            registry.wait_held(following)
            assert collector.step == step
            act()
        return
    assert collector.step == step
    act()
    registry.release(hold)


@pytest.mark.parametrize("step", ["read-only", "look", "untagged", "sweep", "bring back"])
def test_killed_at_a_step_and_repaired(place: pathlib.Path, step: str) -> None:
    with ManagedRegistry(place) as registry:
        fill(registry)
        images.push(registry, "team/app", GONE, [])
        collector = Collector(registry, untagged=True, untagged_age_hours=0)
        hold = {"read-only": "restart", "look": "restart", "untagged": "serve"}.get(step, "sweep")
        with registry.held(hold), collector.running() as process:
            stop_at(step, registry, collector, process.kill)
        assert len(collector.pending) == 1
        assert "bringing the registry back" in collector.repair()
        assert not collector.pending and well(registry)
        assert "nothing to repair" in collector.repair()
        report = collector.collect()
        assert stored(registry, GONE) == 0 and not report["repaired"] and well(registry)


def test_the_next_run_repairs_too_and_one_of_another_instance_as_well(place: pathlib.Path) -> None:
    with ManagedRegistry(place) as registry, ManagedRegistry(place, "other", storage=registry.storage) as other:
        fill(registry)
        with registry.held("sweep"), Collector(registry).running() as process:
            stop_at("sweep", registry, Collector(registry), process.kill)
        assert (registry.link, other.link) == ("readonly.yml", "readonly.yml")
        report = Collector(other).collect()
        assert report["repaired"] and well(registry) and well(other)


@pytest.mark.parametrize("step", ["read-only", "sweep"])
def test_asked_to_stop_it_brings_the_registry_back(place: pathlib.Path, step: str) -> None:
    with ManagedRegistry(place) as registry:
        fill(registry)
        collector = Collector(registry)
        hold = {"read-only": "restart"}.get(step, step)
        with registry.held(hold), collector.running() as process:
            stop_at(step, registry, collector, process.terminate)
            output = process.communicate(timeout=60)[0]
        report = json.loads(output)
        assert process.returncode == 8 and report["msg"] == f"stopped by signal {int(signal.SIGTERM)}"
        assert not collector.pending and well(registry)


def test_killed_at_any_time(place: pathlib.Path) -> None:
    with ManagedRegistry(place) as registry:
        fill(registry)
        collector = Collector(registry, uploads_age_hours=0)
        seen = set()
        for number in range(7):
            images.push_blob(registry, "team/gone", images.noise(64, number))
            for unused in range(5):
                registry.request("POST", "/v2/team/gone/blobs/uploads/", b"")
            with collector.running() as process:
                # Into the read-only part, however long the look before it takes on this machine.
                while not collector.pending and process.poll() is None:
                    time.sleep(0.001)
                time.sleep(number * 0.07)
                process.kill()
                process.wait()
            seen.add(collector.step)
            collector.repair()
            assert well(registry), seen
        assert len(seen) > 1, seen
        collector.collect()
        assert stored(registry, GONE) == 0 and well(registry)


def test_while_the_collector_of_a_killed_run_works_nothing_becomes_writable(place: pathlib.Path) -> None:
    with ManagedRegistry(place) as registry:
        fill(registry)
        collector = Collector(registry)
        # An engine's client, which lives on when the program is killed, as it would leave its container behind.
        record = json.loads(registry.record.read_bytes())
        registry.record.write_text(json.dumps({**record, "deployment": "container"}))
        with registry.held("sweep"), collector.running() as process:
            registry.wait_held("sweep")
            process.kill()
            process.wait()
            command = [sys.executable, *collector.command("repair")]
            with subprocess.Popen(command, stderr=subprocess.DEVNULL) as repairing:
                time.sleep(1)
                assert repairing.poll() is None and registry.link == "readonly.yml"
                registry.release("sweep")
                assert repairing.wait(60) == 0
        assert well(registry)


def test_rows_16_and_4_what_was_answered_with_201_is_there(place: pathlib.Path) -> None:
    config = {"storage": {"cache": {"blobdescriptor": "inmemory"}}}
    with ManagedRegistry(place, config=config, record={"cache": {"kind": "inmemory"}}) as registry:
        fill(registry)
        taken: list[tuple[str, images.Pushable]] = []
        refused: list[str] = []
        ends = threading.Event()

        def pusher(number: int) -> None:
            count = 0
            while not ends.is_set():
                count += 1
                app = images.sample(["linux/amd64"], layers=3, seed=1000 * number + count)
                try:
                    images.push(registry, f"push/{number}", app, [str(count)])
                except (ServerFailed, OSError, http.client.HTTPException) as error:
                    refused.append(str(error))
                    time.sleep(0.01)
                else:
                    taken.append((f"push/{number}", app))

        threads = [threading.Thread(target=pusher, args=(number,)) for number in (1, 2, 3)]
        for thread in threads:
            thread.start()
        try:
            swept = 0
            for number in range(4):
                with contextlib.suppress(ServerFailed, OSError, http.client.HTTPException):
                    images.push_blob(registry, "team/gone", images.noise(64, number))
                swept += Collector(registry).collect()["blobs"]
        finally:
            ends.set()
            for thread in threads:
                thread.join()
        assert swept >= 1 and len(taken) > 10 and any("405" in one for one in refused), (swept, len(taken), refused[:5])
        assert [name for name, app in taken if not pullable(registry, name, app)] == []
        assert well(registry)


def test_a_tag_put_while_the_collector_marks_is_refused(place: pathlib.Path) -> None:
    with ManagedRegistry(place) as registry:
        fill(registry)
        collector = Collector(registry)
        with registry.held("restart"), collector.running() as process:

            def push() -> None:
                with pytest.raises(ServerFailed, match="405"):
                    images.push(registry, "team/app", images.sample(seed=7), ["7"])

            stop_at("look", registry, collector, push)
            assert process.wait(60) == 0
        assert well(registry)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_with_users_and_tls(place: pathlib.Path) -> None:
    with ManagedRegistry(place, tls=True, users={"gc": "secret"}) as registry:
        fill(registry, basic("gc", "secret"))
        wrong = Collector(registry, username="gc", password="wrong").collect(code=5)
        assert "does not accept the user gc" in wrong["msg"] and stored(registry, GONE) == 3
        assert registry.link == "readwrite.yml"
        report = Collector(registry, username="gc", password="secret").collect()
        assert report["read_only_proofs"] == {"main": "an upload was refused with 405"}
        assert report["back_proofs"] == {"main": "an upload was accepted with 202, and ended"}
        assert stored(registry, GONE) == 0 and "secret" not in json.dumps(report)


def test_without_a_user_the_configuration_is_tried_on_a_private_registry(place: pathlib.Path) -> None:
    with ManagedRegistry(place, tls=True, users={"gc": "secret"}) as registry:
        fill(registry, basic("gc", "secret"))
        report = Collector(registry).collect()
        assert "with which a private registry refused an upload with 405" in report["read_only_proofs"]["main"]
        assert "it answers 401" in report["back_proofs"]["main"] and stored(registry, GONE) == 0
        # It asks nobody in, and it knows when the configuration does not do what its name says.
        images.push_blob(registry, "team/gone", b"garbage", authorization=basic("gc", "secret"))
        (registry.directory / "readonly.yml").write_bytes((registry.directory / "readwrite.yml").read_bytes())
        assert "does not make a registry read-only" in Collector(registry).collect(code=5)["msg"]
        assert registry.blob_path(images.sha256(b"garbage")).exists() and registry.link == "readwrite.yml"


def test_a_registry_that_takes_uploads_all_the_same_is_left_alone(place: pathlib.Path) -> None:
    with ManagedRegistry(place) as registry:
        fill(registry)
        (registry.directory / "readonly.yml").write_bytes((registry.directory / "readwrite.yml").read_bytes())
        report = Collector(registry).collect(code=5)
        assert "answers the beginning of an upload with 202" in report["msg"] and not report["changed"]
        assert stored(registry, GONE) == 3 and well(registry)


def test_a_service_that_was_not_restarted_is_noticed(place: pathlib.Path) -> None:
    with ManagedRegistry(place) as registry:
        fill(registry)
        record = json.loads(registry.record.read_bytes())
        record["control"]["restart"] = ["/bin/true"]
        registry.record.write_text(json.dumps(record))
        assert "the process that served before may still run" in Collector(registry).collect(code=5)["msg"]
        assert stored(registry, GONE) == 3 and well(registry)


def test_a_registry_that_cannot_be_started_again_is_said_and_repaired_later(place: pathlib.Path) -> None:
    with ManagedRegistry(place) as registry:
        fill(registry)
        collector = Collector(registry, start_timeout_seconds=2)
        good = (registry.directory / "readwrite.yml").read_bytes()
        with registry.held("sweep"), collector.running() as process:
            registry.wait_held("sweep")
            (registry.directory / "readwrite.yml").write_text("no configuration")
            registry.release("sweep")
            report = json.loads(process.communicate(timeout=120)[0])
        assert process.returncode == 7 and "main: the registry at" in report["msg"] and len(collector.pending) == 1
        (registry.directory / "readwrite.yml").write_bytes(good)
        collector.repair()
        assert well(registry)


def test_stopped_instead_of_read_only(place: pathlib.Path) -> None:
    with ManagedRegistry(place) as registry:
        fill(registry)
        collector = Collector(registry, mode="stop")
        with registry.held("sweep"), collector.running() as process:
            registry.wait_held("sweep")
            assert not registry.alive
            registry.release("sweep")
            report = json.loads(process.communicate(timeout=60)[0])
        assert report["read_only_proofs"] == {"main": "it is stopped: connections are refused"}
        assert stored(registry, GONE) == 0 and well(registry)


def test_a_registry_that_was_stopped_stays_so(place: pathlib.Path) -> None:
    with ManagedRegistry(place) as registry:
        fill(registry)
        registry.control("stop")
        report = Collector(registry).collect()
        assert report["blobs"] == 3 and report["back_proofs"] == {"main": "it was not running, and is not"}
        assert not registry.alive and registry.link == "readwrite.yml"


def test_a_proxy_is_stopped_as_it_writes_when_it_is_read(place: pathlib.Path) -> None:
    with ManagedRegistry(place / "up") as upstream:
        app = images.sample(["linux/amd64"], seed=3)
        images.push(upstream, "team/app", app, ["1"])
        with ManagedRegistry(place, config={"proxy": {"remoteurl": upstream.url}}) as registry:
            assert pullable(registry, "team/app", app, "1")
            wait_until(lambda: stored(registry, app) == 4, "the proxy's copy")
            garbage = registry.blob_path(images.sha256(b"garbage"))
            garbage.parent.mkdir(parents=True)
            garbage.write_bytes(b"garbage")
            for path in (garbage.parents[1], garbage.parent, garbage):
                shutil.chown(path, UID, GID)
            report = Collector(registry).collect()
            assert report["blobs"] == 1 and "it is stopped" in report["read_only_proofs"]["main"]
            assert report["back_proofs"] == {"main": "it refuses uploads, as before"}
            assert pullable(registry, "team/app", app, "1")


def test_peers_are_read_only_too_and_twins_go_on(place: pathlib.Path) -> None:
    config = {"storage": {"cache": {"blobdescriptor": "inmemory"}}}
    cache = {"cache": {"kind": "inmemory"}}
    with ManagedRegistry(place) as registry:
        shared = {"storage": registry.storage, "config": config, "record": cache}
        with ManagedRegistry(place, "peer", **shared) as peer, ManagedRegistry(place, "twin", readonly=True, **shared) as twin:
            fill(registry)
            pid, collector = twin.pid, Collector(registry)
            with registry.held("sweep"), collector.running() as process:
                registry.wait_held("sweep")
                assert peer.request("POST", "/v2/team/app/blobs/uploads/", b"")[0] == 405
                assert pullable(twin, "team/app", KEPT, "1") and twin.pid == pid
                registry.release("sweep")
                report = json.loads(process.communicate(timeout=60)[0])
            assert sorted(report["read_only_proofs"]) == ["main", "peer"] == sorted(report["back_proofs"])
            # What the twin remembers of blobs that went is forgotten.
            assert twin.pid != pid and twin.link == "readonly.yml" and pullable(twin, "team/app", KEPT, "1")
            assert well(registry) and well(peer)


def test_a_peer_with_users_of_its_own(place: pathlib.Path) -> None:
    with ManagedRegistry(place, users={"gc": "secret"}) as registry:
        with ManagedRegistry(place, "peer", storage=registry.storage, users={"other": "another"}) as peer:
            fill(registry, basic("gc", "secret"))
            report = Collector(registry, username="gc", password="secret").collect()
            assert report["read_only_proofs"]["main"] == "an upload was refused with 405"
            assert "with which a private registry refused" in report["read_only_proofs"]["peer"]
            assert peer.link == "readwrite.yml" and stored(registry, GONE) == 0


def test_row_13_a_cache_in_redis_is_dropped(place: pathlib.Path) -> None:
    # YAML would take it for a comment: it stands in the environment as the role registry writes it.
    password = "# ünsafe: 'x'"
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(RedisServer(place, password))
        cli = redis.client
        config = {
            "storage": {"cache": {"blobdescriptor": "redis"}},
            "redis": {"addr": redis.address, "password": password, "db": 2},
        }
        cache = {"kind": "redis", "address": redis.address, "db": 2}
        registry = stack.enter_context(ManagedRegistry(place, config=config, record={"cache": cache}))
        refused = Collector(registry)
        fill(registry)
        images.push(registry, "team/gone", GONE, ["1"])
        delete(registry, "team/gone", GONE.digest)
        run([*cli, "-n", "2", "SET", "of-somebody-else", "1"])
        assert "NOAUTH" in refused.collect(code=1)["msg"] and stored(registry, GONE) == 4
        with (registry.directory / "secrets.env").open("a") as stream:
            stream.write(f"REGISTRY_REDIS_PASSWORD={registry_environment.text(password)}\n")
        report = Collector(registry).collect()
        assert report["cache_keys"] > 0 and stored(registry, GONE) == 0
        assert run([*cli, "-n", "2", "GET", "of-somebody-else"]).strip() == b"1"
        images.push(registry, "team/gone", GONE, ["1"])
        assert pullable(registry, "team/gone", GONE, "1")


def test_without_a_service_manager_it_has_to_be_told_how(place: pathlib.Path) -> None:
    with ManagedRegistry(place, record={"deployment": "files", "control": None}) as registry:
        fill(registry)
        pid = registry.pid
        for options in ((), ("--dry-run",)):
            assert "set registry_gc_stop_command" in Collector(registry).collect(*options, code=2)["msg"]
        assert registry.pid == pid
        control = str(registry.directory / "control")
        report = Collector(registry, stop_command=[control, "stop"], start_command=[control, "start"]).collect()
        assert report["blobs"] == 3 and well(registry)


_ENGINE = """#!/bin/sh
# A container engine: `run --name N --env K=V ... IMAGE ARGUMENTS` runs the registry, which outlives this client; `rm --force N`.
set -eu
cd {directory}
if [ "$1" = rm ]; then kill "$(cat "$3.pid")"; exit; fi
shift
name=one-off
while :; do
    case $1 in
    --name) name=$2 ;;
    --env) export "${{2?}}" ;;
    *) break ;;
    esac
    shift 2
done
shift
setsid setpriv --reuid {uid} --regid {gid} --clear-groups docker-registry "$@" &
echo $! >"$name.pid"
: >flags/started
wait $!
"""


def alive(pid: pathlib.Path) -> bool:
    """Whether the process whose number is in a file runs. One that has ended and that nobody has waited for has no command line."""
    try:
        return bool(pathlib.Path("/proc", pid.read_text().strip(), "cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_private_registry_in_a_container_is_removed_by_the_repair(place: pathlib.Path) -> None:
    with ManagedRegistry(place) as registry:
        engine = registry.directory / "engine"
        engine.write_text(_ENGINE.format(directory=registry.directory, uid=UID, gid=GID))
        engine.chmod(0o755)
        record = json.loads(registry.record.read_bytes())
        words = [str(engine), "run", "IMAGE"]
        registry.record.write_text(json.dumps({**record, "deployment": "container", "command": words, "serve": words}))
        fill(registry)
        images.push(registry, "team/app", GONE, [])
        collector = Collector(registry, untagged=True, untagged_age_hours=0)
        with collector.running() as process:
            while not list(registry.directory.glob("longshore-gc-*.pid")):
                assert process.poll() is None
                time.sleep(0.001)
            process.kill()
            process.wait()
        (left,) = registry.directory.glob("longshore-gc-*.pid")
        assert collector.step == "untagged"
        collector.repair()
        wait_until(lambda: not alive(left), "the end of the private registry")
        left.unlink()
        report = collector.collect()
        assert stored(registry, GONE) == 0 and report["manifests"] <= 1 and well(registry)
        assert not any(alive(left) for left in registry.directory.glob("longshore-gc-*.pid"))


_THIRD = '''"""What distribution 3.1.1 prints and does, with 2.8 inside: layer links go, no _layers is an error."""
import json, pathlib, re, shutil, subprocess, sys

dry = "--dry-run" in sys.argv
root = json.load(open(sys.argv[-1]))["storage"]["filesystem"]["rootdirectory"]
repositories = pathlib.Path(root, "docker/registry/v2/repositories")
for manifests in repositories.rglob("_manifests"):
    if not (manifests.parent / "_layers").is_dir():
        sys.exit(f"failed to garbage collect: failed to mark: Path not found: {manifests.parent}/_layers")
done = subprocess.run(["docker-registry", *sys.argv[1:]], stdout=subprocess.PIPE, text=True)
sys.stdout.write(done.stdout)
marked = set(re.findall(r"marking (?:manifest|blob) (\\S+)", done.stdout))
for link in sorted(repositories.rglob("_layers/*/*/link")):
    digest = f"{link.parts[-3]}:{link.parts[-2]}"
    if digest not in marked:
        name = link.parents[3].relative_to(repositories)
        print(f"{name}: layer link eligible for deletion: {digest}")
        if not dry:
            shutil.rmtree(link.parent)
sys.exit(done.returncode)
'''


def test_on_3_the_layer_links_go_and_row_22_is_mended(place: pathlib.Path) -> None:
    (place / "third.py").write_text(_THIRD)
    with ManagedRegistry(place, series="3", collector=["/usr/bin/python3", str(place / "third.py")]) as registry:
        fill(registry)
        empty = {"schemaVersion": 2, "mediaType": images.MEDIA_TYPES["oci"]["index"], "manifests": []}
        target, kind = "/v2/team/empty/manifests/1", {"Content-Type": str(empty["mediaType"])}
        assert registry.request("PUT", target, images.to_json(empty), kind)[0] == 201
        layers = registry.repository_directory("team/empty") / "_layers"
        assert not layers.exists()
        report = Collector(registry).collect()
        assert report["blobs"] == report["layer_links"] == 3 and any("has to be made first" in one for one in report["warnings"])
        assert layers.is_dir() and layers.stat().st_uid == 65534
        assert registry.request("GET", target, headers={"Accept": str(empty["mediaType"])})[0] == 200
        assert not Collector(registry).collect()["changed"] and well(registry)
        link = registry.repository_directory("team/app") / "_layers" / KEPT.images[0].layers[0].digest.replace(":", "/") / "link"
        link.write_bytes(b"")
        assert f"{link} is empty" in Collector(registry).collect(code=3)["msg"]


_OVERLOOKS = '''"""A collector that overlooks the repository team/app."""
import json, pathlib, subprocess, sys

root = pathlib.Path(json.load(open(sys.argv[-1]))["storage"]["filesystem"]["rootdirectory"], "docker/registry/v2/repositories")
root = root / "team"
(root / "app").rename(root.parent / "_hidden")
done = subprocess.run(["docker-registry", *sys.argv[1:]])
(root.parent / "_hidden").rename(root / "app")
sys.exit(done.returncode)
'''


def test_a_collector_that_overlooks_something_does_not_get_to_delete(place: pathlib.Path) -> None:
    (place / "overlooks.py").write_text(_OVERLOOKS)
    with ManagedRegistry(place, collector=["/usr/bin/python3", str(place / "overlooks.py")]) as registry:
        fill(registry)
        report = Collector(registry).collect(code=3)
        assert "that manifests of team/app need" in report["msg"] and not report["changed"]
        assert not (registry.flags / "swept").exists() and stored(registry, GONE) == 3 and well(registry)


def test_in_s3_through_the_registry_itself(place: pathlib.Path) -> None:
    with Moto() as moto:
        moto.client().create_bucket(Bucket="images")
        s3 = {"bucket": "images", "region": "us-east-1", "regionendpoint": moto.url, "rootdirectory": "/registry"}
        secrets = {
            "REGISTRY_STORAGE_S3_ACCESSKEY": moto.environment["AWS_ACCESS_KEY_ID"],
            "REGISTRY_STORAGE_S3_SECRETKEY": moto.environment["AWS_SECRET_ACCESS_KEY"],
        }
        with ManagedRegistry(place, s3=s3, secrets=secrets, users={"gc": "secret"}) as registry:
            word = basic("gc", "secret")
            assert Collector(registry).collect()["msg"] == "the registry is empty"
            images.push(registry, "team/app", KEPT, ["1"], authorization=word)
            images.push(registry, "team/app", GONE, [], authorization=word)
            user = {"username": "gc", "password": "secret", "untagged": True}
            said = Collector(registry, **user, untagged_age_hours=0).collect("--dry-run")
            assert said["untagged"] == [f"team/app@{GONE.digest}"] and said["blobs"] == 4
            # Nobody tells when it came, so it has to be seen for a while.
            aged = Collector(registry, **user, untagged_age_hours=1)
            assert not aged.collect()["changed"]
            (sightings,) = aged.state.glob("*.seen.json")
            assert list(json.loads(sightings.read_bytes())) == [f"team/app@{GONE.digest}"]
            assert not aged.collect()["changed"]
            sightings.write_text(json.dumps({f"team/app@{GONE.digest}": time.time() - 3601}))
            report = aged.collect()
            size = sum(len(blob.data) for blob in (*GONE.blobs(), *GONE.manifests()))
            assert report["bytes_freed"] == said["bytes_promised"] <= size and report["tags_verified"] == 1
            assert report["blobs"] == 4 and any("not in the file system" in one for one in report["warnings"])
            objects = [one["Key"] for one in moto.client().list_objects_v2(Bucket="images")["Contents"]]
            left = {key.split("/")[-2] for key in objects if "/blobs/sha256/" in key}
            assert left == {blob.digest.split(":")[1] for blob in (*KEPT.blobs(), *KEPT.manifests())}
            assert not Collector(registry, **user, untagged_age_hours=0).collect()["changed"]
