# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The config of an image that is made of layers."""

from __future__ import annotations

import json

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types
from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.longshore.oci.plugins.module_utils.model.new_image import NewImage, manifest_of
from ansible_collections.longshore.oci.plugins.module_utils.model.platform import Platform

ONE, TWO = Digest.of(b"one"), Digest.of(b"two")
AMD64 = {"platform": "linux/amd64"}


def made(**wish):
    return json.loads(NewImage.of({**AMD64, **wish}).config([ONE]))


def test_the_bytes_of_the_plainest_config():
    assert NewImage.of(AMD64).config([ONE]) == (
        b'{"created":"1970-01-01T00:00:00Z","architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers",'
        b'"diff_ids":["sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"]},'
        b'"history":[{"created":"1970-01-01T00:00:00Z","comment":"imported from a tarball"}]}'
    )


def test_everything_that_a_user_can_say():
    found = made(
        entrypoint=["/bin/app", "-v"],
        cmd=["serve", 8080],
        env={"PATH": "/bin", "EMPTY": "", "PORT": 8080},
        labels={"b": "2", "a": "1"},
        working_dir="/srv",
        user="1000:1000",
        exposed_ports=["80", "53/udp", "8000-8001/tcp"],
        volumes=["/data"],
        stop_signal="SIGINT",
        platform="linux/arm/v7",
        created="2026-01-31T12:00:00+02:00",
        author="Jo",
        comment="by hand",
    )
    assert found["config"] == {
        "User": "1000:1000",
        "ExposedPorts": {"53/udp": {}, "80/tcp": {}, "8000/tcp": {}, "8001/tcp": {}},
        "Env": ["EMPTY=", "PATH=/bin", "PORT=8080"],
        "Entrypoint": ["/bin/app", "-v"],
        "Cmd": ["serve", "8080"],
        "Volumes": {"/data": {}},
        "WorkingDir": "/srv",
        "Labels": {"a": "1", "b": "2"},
        "StopSignal": "SIGINT",
    }
    assert (found["os"], found["architecture"], found["variant"]) == ("linux", "arm", "v7")
    assert found["created"] == "2026-01-31T10:00:00Z" and found["author"] == "Jo"
    assert found["history"] == [{"created": "2026-01-31T10:00:00Z", "author": "Jo", "comment": "by hand"}]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("echo $HOME", ["/bin/sh", "-c", "echo $HOME"]),
        ('["/bin/app", "-v"]', ["/bin/app", "-v"]),
        ("[ -e /x ] && y", ["/bin/sh", "-c", "[ -e /x ] && y"]),
        ("[1, 2]", ["/bin/sh", "-c", "[1, 2]"]),
        (["a"], ["a"]),
    ],
)
def test_commands_are_read_as_in_a_dockerfile(written, meant):
    assert made(cmd=written)["config"]["Cmd"] == made(entrypoint=written)["config"]["Entrypoint"] == meant


def test_what_is_not_given_is_not_there():
    nothing = dict.fromkeys(["entrypoint", "cmd", "env", "labels", "user", "author", "created", "volumes", "stop_signal"])
    assert made(**nothing, working_dir="") == made()


def test_neither_order_nor_spelling_changes_the_bytes():
    one = NewImage.of({**AMD64, "env": {"a": "1", "b": "2"}, "volumes": ["/x", "/y"], "exposed_ports": ["1", "2"]})
    two = NewImage.of(
        {"platform": "linux/x86_64", "env": {"b": "2", "a": "1"}, "volumes": ["/y", "/x"], "exposed_ports": ["2/tcp", "1/tcp"]}
    )
    assert one.config([ONE]) == two.config([ONE])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("2026-01-31", "2026-01-31T00:00:00Z"),
        ("2026-01-31 12:00:00", "2026-01-31T12:00:00Z"),
        ("2026-01-31T12:00:00+00:00", "2026-01-31T12:00:00Z"),
        ("2026-01-31T12:00:00.5-01:30", "2026-01-31T13:30:00.500000Z"),
    ],
)
def test_times_are_written_in_utc(written, meant):
    assert made(created=written)["created"] == meant


def test_the_platform_is_that_of_the_machine_unless_given():
    found = json.loads(NewImage.of({}).config([]))
    assert Platform.from_json(found) == Platform.local()


def test_layers_have_a_history_each():
    found = json.loads(NewImage.of(AMD64).config([ONE, TWO]))
    assert found["rootfs"]["diff_ids"] == [str(ONE), str(TWO)] and len(found["history"]) == 2


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"env": {"A": True}}, "config.env has the value True, which is no text: put it in quotes"),
        ({"labels": {"a": 1.1}}, "config.labels has the value 1.1"),
        ({"env": {"A": None}}, "config.env has the value None"),
        ({"env": {"A=B": "x"}}, "config.env has the impossible name 'A=B'"),
        ({"env": {"": "x"}}, "config.env has the impossible name ''"),
        ({"env": {"A": "x\0y"}}, "config.env must be text without NUL"),
        ({"env": {"A": "\ud800"}}, "config.env is not valid UTF-8"),
        ({"env": ["A=B"]}, "config.env must be a dictionary"),
        ({"cmd": {"a": 1}}, "config.cmd must be a list or text"),
        ({"entrypoint": [["a"]]}, "config.entrypoint has the value ['a']"),
        ({"working_dir": "srv"}, "config.working_dir has 'srv': expected a path"),
        ({"volumes": ["data"]}, "config.volumes has 'data'"),
        ({"exposed_ports": ["http"]}, "config.exposed_ports has 'http'"),
        ({"exposed_ports": ["0"]}, "config.exposed_ports has '0'"),
        ({"exposed_ports": ["70000"]}, "config.exposed_ports has '70000'"),
        ({"exposed_ports": ["9-8"]}, "config.exposed_ports has '9-8'"),
        ({"exposed_ports": ["1-60000"]}, "more than 1000 ports"),
        ({"stop_signal": "stop now"}, "config.stop_signal is 'stop now'"),
        ({"platform": "amd64"}, "invalid platform 'amd64'"),
        ({"created": "yesterday"}, "config.created is 'yesterday'"),
        ({"created": "2026-13-01"}, "config.created is '2026-13-01'"),
        ({"created": "0001-01-01T00:00:00+10:00"}, "config.created is"),
        ({"user": "a\0b"}, "config.user must be text"),
    ],
)
def test_what_cannot_be_meant_is_refused(wish, words):
    with pytest.raises(InvalidInput) as caught:
        NewImage.of({**AMD64, **wish})
    assert words in caught.value.message


def test_the_bytes_of_a_manifest():
    layer = Descriptor(media_types.OCI_LAYER_GZIP, ONE, 3)
    manifest = manifest_of(b"{}", [layer])
    assert manifest.raw == (
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",'
        b'"config":{"mediaType":"application/vnd.oci.image.config.v1+json",'
        b'"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},'
        b'"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",'
        b'"digest":"sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed","size":3}]}'
    )
    assert manifest.is_image
