# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``tarball:``: root file systems become images that registries, skopeo, docker and podman take, and that run."""

from __future__ import annotations

import gzip
import json
import pathlib
import subprocess
import sys

import pytest
import zstandard

from ansible_collections.longshore.oci.tests.servers import images, runnable
from ansible_collections.longshore.oci.tests.servers.registry import describe
from ansible_collections.longshore.oci.tests.servers.results import ok

PLAIN = {"dest_plain_http": True}
APPLETS = ("cat", "echo", "env", "ls", "pwd", "sh")


@pytest.fixture(scope="module")
def busybox_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("busybox")


@pytest.fixture
def rootfs(tmp_path, busybox_cache):
    """A plain tar of busybox and a greeting."""
    tools = {"bin/busybox": runnable.busybox("amd64", busybox_cache), "etc/greeting": b"hello from a tar\n"}
    made = images.layer(tools, links={f"bin/{name}": "busybox" for name in APPLETS}, compressed=False)
    path = tmp_path / "rootfs.tar"
    path.write_bytes(made.data)
    return path


CONFIG = {
    "cmd": ["/bin/cat", "/etc/greeting"],
    "env": {"PATH": "/bin", "WHO": "longshore"},
    "labels": {"org.opencontainers.image.title": "greeting"},
    "working_dir": "/etc",
    "exposed_ports": ["8080"],
    "platform": "linux/amd64",
}


def packed(path, how):
    if how == "plain":
        return path
    target = path.with_name(f"{path.name}.{how}")
    if how == "gzip":
        target.write_bytes(gzip.compress(path.read_bytes()))
    else:
        target.write_bytes(zstandard.ZstdCompressor().compress(path.read_bytes()))
    return target


@pytest.mark.parametrize("how", ["plain", "gzip", "zstd"])
def test_to_a_registry_and_nothing_the_second_time(module, second_registry, skopeo, repository, rootfs, how):
    path = packed(rootfs, how)
    dest = f"{second_registry.host}/{repository}:1.0"
    options = {"src": f"tarball:{path}", "dest": dest, "config": CONFIG, **PLAIN}
    mark = second_registry.mark()
    would = ok(module("image_copy", check=True, diff=True, **options))
    assert not second_registry.writes_since(mark)
    did = ok(module("image_copy", diff=True, **options))
    for fact in ("changed", "digest", "digest_before", "bytes_transferred", "blobs", "diff"):
        assert would[fact] == did[fact], fact
    assert did["changed"] and did["digest"] == skopeo.digest(f"docker://{dest}")
    found = skopeo.manifest(f"docker://{dest}")
    assert [(one["digest"], one["size"]) for one in found["layers"]] == [
        (images.sha256(path.read_bytes()), path.stat().st_size)
    ]
    config = skopeo.inspect(f"docker://{dest}", None, "--config")
    assert config["rootfs"]["diff_ids"] == [images.sha256(rootfs.read_bytes())]
    assert config["config"]["Cmd"] == CONFIG["cmd"] and config["config"]["WorkingDir"] == "/etc"
    mark = second_registry.mark()
    again = ok(module("image_copy", **options))
    assert not again["changed"] and again["requests"] == 1
    assert not second_registry.writes_since(mark), describe(second_registry.writes_since(mark))


def test_another_config_is_a_change_that_moves_no_layer(module, second_registry, repository, rootfs):
    options = {"src": f"tarball:{rootfs}", "dest": f"{second_registry.host}/{repository}:1.0", **PLAIN}
    first = ok(module("image_copy", config=CONFIG, **options))
    second = ok(module("image_copy", config={**CONFIG, "user": "1000"}, **options))
    assert second["changed"] and second["digest"] != first["digest"] == second["digest_before"]
    assert second["blobs"]["existing"] == 1 and second["bytes_transferred"] < 2000


def test_it_runs_in_docker_and_podman(module, dockerd, podman, rootfs, tmp_path, repository):
    name = f"localhost/{repository}:1"
    for scheme, how in (("oci-archive", "gzip"), ("docker-archive", "plain")):
        archive = tmp_path / f"{scheme}.tar"
        options = {"src": f"tarball:{packed(rootfs, how)}", "dest": f"{scheme}:{archive}:{name}", "config": CONFIG}
        ok(module("image_copy", **options))
        assert not ok(module("image_copy", **options))["changed"]
        for engine in (dockerd, podman):
            engine.run("load", "--input", str(archive))
            assert engine.run_container(name) == "hello from a tar"
            assert engine.run_container(name, "/bin/pwd") == "/etc"
            assert "WHO=longshore" in engine.run_container(name, "/bin/env").splitlines()
            assert engine.inspect(name)["Config"]["Labels"] == CONFIG["labels"]


def test_straight_into_an_engine(module, dockerd, rootfs, repository):
    name = f"localhost/{repository}:1"
    options = {"src": f"tarball:{packed(rootfs, 'gzip')}", "dest": f"docker-daemon:{name}", "config": CONFIG}
    options["dest_daemon_host"] = dockerd.host
    assert ok(module("image_copy", **options))["changed"]
    assert dockerd.run_container(name) == "hello from a tar"
    assert not ok(module("image_copy", **options))["changed"]


def test_converted_on_the_way(module, skopeo, rootfs, tmp_path):
    dest = f"dir:{tmp_path}/converted"
    options = {"src": f"tarball:{rootfs}", "dest": dest, "config": CONFIG, "format": "docker", "compression": "gzip"}
    assert ok(module("image_copy", **options))["changed"]
    assert not ok(module("image_copy", **options))["changed"]
    found = skopeo.manifest(dest)
    assert [one["mediaType"] for one in found["layers"]] == [images.MEDIA_TYPES[images.DOCKER]["layer.gzip"]]
    assert skopeo.inspect(dest, None, "--config")["rootfs"]["diff_ids"] == [images.sha256(rootfs.read_bytes())]


def test_a_second_tar_lies_over_the_first(module, podman, rootfs, tmp_path, repository):
    (tmp_path / "upper.tar").write_bytes(images.layer({"etc/greeting": b"from above\n"}, compressed=False).data)
    archive, name = tmp_path / "two.tar", f"localhost/{repository}:2"
    src = f"tarball:{packed(rootfs, 'zstd')}:{tmp_path}/upper.tar"
    ok(module("image_copy", src=src, dest=f"oci-archive:{archive}:{name}", config={**CONFIG, "cmd": "cat greeting"}))
    podman.run("load", "--input", str(archive))
    # Text is for the shell of the image.
    assert podman.run_container(name) == "from above"


def test_what_docker_import_makes_of_it(module, dockerd, rootfs, tmp_path, repository):
    name = f"localhost/{repository}"
    changes = ["CMD cat /etc/greeting", 'ENTRYPOINT ["/bin/sh"]', "ENV A=1", "EXPOSE 80", "WORKDIR /bin", "VOLUME /data"]
    changes += ["USER 1:2", "LABEL b=2"]
    arguments = [argument for change in changes for argument in ("--change", change)]
    dockerd.run("import", *arguments, str(rootfs), f"{name}:theirs")
    config = {
        "cmd": "cat /etc/greeting",
        "entrypoint": ["/bin/sh"],
        "env": {"A": 1},
        "exposed_ports": [80],
        "working_dir": "/bin",
        "volumes": ["/data"],
        "user": "1:2",
        "labels": {"b": 2},
        "platform": "linux/amd64",
    }
    archive = f"docker-archive:{tmp_path}/ours.tar:{name}:ours"
    ok(module("image_copy", src=f"tarball:{rootfs}", dest=archive, config=config))
    dockerd.run("load", "--input", f"{tmp_path}/ours.tar")
    ours, theirs = dockerd.inspect(f"{name}:ours"), dockerd.inspect(f"{name}:theirs")
    assert ours["RootFS"] == theirs["RootFS"] and ours["Os"] == theirs["Os"]
    keys = ("Cmd", "Entrypoint", "Env", "ExposedPorts", "WorkingDir", "Volumes", "User", "Labels")
    for key in keys:
        assert ours["Config"][key] == theirs["Config"][key], key


def test_skopeo_makes_the_same_layers(module, skopeo, rootfs, tmp_path):
    path = packed(rootfs, "gzip")
    skopeo.copy(f"tarball:{path}", f"oci:{tmp_path}/theirs:1", all_platforms=False)
    ok(module("image_copy", src=f"tarball:{path}", dest=f"oci:{tmp_path}/ours:1"))
    ours, theirs = (skopeo.manifest(f"oci:{tmp_path}/{name}:1") for name in ("ours", "theirs"))
    assert ours["layers"] == theirs["layers"]
    configs = [skopeo.inspect(f"oci:{tmp_path}/{name}:1", None, "--config") for name in ("ours", "theirs")]
    assert configs[0]["rootfs"] == configs[1]["rootfs"]
    assert all(configs[0][key] == configs[1][key] for key in ("os", "architecture"))


def test_many_in_one_task_and_the_same_tar_twice(module, second_registry, repository, rootfs):
    base = f"{second_registry.host}/{repository}"
    entries = [
        {"src": f"tarball:{rootfs}", "dest": f"{base}:{user}", "config": {**CONFIG, "user": user}} for user in ("1", "2", "3")
    ]
    result = ok(module("image_copy", images=entries, **PLAIN))
    assert len({image["digest"] for image in result["images"]}) == 3 and result["blobs"]["copied"] == 4
    assert not ok(module("image_copy", images=entries, **PLAIN))["changed"]
    clash = [entries[0], {**entries[1], "dest": entries[0]["dest"]}]
    refused = module("image_copy", images=clash, **PLAIN)
    assert refused["failed"] and "two images for one destination" in refused["msg"]


def test_image_inspect_tells_what_it_would_be(module, second_registry, repository, rootfs, tmp_path):
    found = ok(module("image_inspect", name=[f"tarball:{rootfs}", f"tarball:{tmp_path}/nothing.tar"]))
    dest = f"{second_registry.host}/{repository}:1"
    assert found["images"][0]["digest"] == ok(module("image_copy", src=f"tarball:{rootfs}", dest=dest, **PLAIN))["digest"]
    assert found["images"][0]["created"] == "1970-01-01T00:00:00Z"
    assert found["missing"] == [f"tarball:{tmp_path}/nothing.tar"]


def test_what_is_refused(module, rootfs, tmp_path):
    layout = f"oci:{tmp_path}/layout:1"
    result = module("image_save_load", state="saved", path=f"{tmp_path}/a.tar", images=[f"tarball:{rootfs}"])
    assert "has no name to save it under: use image_copy" in result["msg"]
    result = module("image_copy", src=layout, dest=f"tarball:{tmp_path}/b.tar")
    assert "tarball: is read alone" in result["msg"]
    result = module("image_copy", src="registry.example.com/app:1", dest=layout, config={"user": "1"})
    assert "config goes with a source that is no image yet" in result["msg"]
    result = module("image_copy", images=[{"src": f"tarball:{rootfs}", "dest": layout}], config={"user": "1"})
    assert "with images each entry has its own" in result["msg"]
    result = module("image_copy", src=f"tarball:{rootfs}", dest=layout, config={"env": {"A": True}})
    assert f"tarball:{rootfs} to {layout}: config.env has the value True" in result["msg"]
    rootfs.write_bytes(rootfs.read_bytes()[:100_000])
    result = module("image_copy", src=f"tarball:{rootfs}", dest=layout)
    assert f"the tar {rootfs}: it is cut short" in result["msg"]
    assert not (tmp_path / "layout").exists()


def test_through_ansible_as_yaml_has_it(module, tmp_path, rootfs):
    # YAML reads a time as such, and Ansible writes it in another way.
    play = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [
                {
                    "longshore.oci.image_copy": {
                        "src": f"tarball:{rootfs}",
                        "dest": f"oci:{tmp_path}/layout:1",
                        "config": {"cmd": ["/bin/sh"], "env": {"PORT": 8080}, "created": "@TIME@"},
                    }
                }
            ],
        }
    ]
    playbook = tmp_path / "play.json"
    text = json.dumps(play)
    playbook.write_text(text.replace('"@TIME@"', "2026-01-31T12:00:00+01:00"))
    command = [str(pathlib.Path(sys.executable).with_name("ansible-playbook")), str(playbook)]
    done = subprocess.run(command, env=module.whole_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = ok(module("image_inspect", name=f"oci:{tmp_path}/layout:1"))["images"][0]
    assert found["created"] == "2026-01-31T11:00:00Z" and found["env"] == ["PORT=8080"]
