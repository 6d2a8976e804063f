# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role registry without a service manager: what it makes is run here, with a storage in S3, a cache in redis, and as a
cache of that registry."""

from __future__ import annotations

import base64
import json
import pathlib
import sys
from typing import Any

from ansible_collections.longshore.oci.tests.interop.watching import found_in
from ansible_collections.longshore.oci.tests.roles.collector import pullable
from ansible_collections.longshore.oci.tests.roles.here import Here
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.playbooks import PlaybookResult
from ansible_collections.longshore.oci.tests.servers.process import Child, free_port, run, wait_until
from ansible_collections.longshore.oci.tests.servers.redis_server import RedisServer
from ansible_collections.longshore.oci.tests.servers.registry import Registry
from ansible_collections.longshore.oci.tests.servers.storage import Moto

IMAGE = images.sample(seed=1)
USER, PASSWORD, REDIS_PASSWORD = "ci", "pass: word", "# of 'redis'"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class Host(Here):
    """This host, where the role makes everything but the service."""

    def __init__(self, place: pathlib.Path) -> None:
        variables = {
            "registry_deployment": "files",
            "registry_requirements": False,
            "registry_binary_path": "/usr/bin/docker-registry",
            "registry_host": "127.0.0.1",
            "registry_bind_address": "127.0.0.1",
            "registry_tls": "none",
            "registry_config_directory": str(place / "etc"),
            "registry_data_directory": str(place / "data"),
            "registry_lock_directory": str(place),
            "registry_program_directory": str(place / "bin"),
        }
        super().__init__(place, sys.executable, variables)

    def play(self, *instances: dict[str, Any], check: bool = False) -> PlaybookResult:
        """The role for each of ``instances``, which are its variables, in one play."""
        role = {"name": "Run the registry", "ansible.builtin.include_role": {"name": "longshore.oci.registry"}}
        play = {"hosts": "registry", "gather_facts": False, "tasks": [{**role, "vars": one} for one in instances]}
        # Everything that Ansible would tell to whoever asks for it.
        return self.run([play], self.inventory, check=check, diff=True, options=["-vvv"]).passed()


class Made(Registry):
    """An instance that the role has made, run as its record says."""

    def __init__(self, place: pathlib.Path, name: str) -> None:
        super().__init__()
        self._record = json.loads((place / "etc" / name / "instance.json").read_text())
        self.directory, self.port = place, self._record["probe"]["port"]

    def __enter__(self) -> Made:
        secrets = pathlib.Path(self._record["environment_file"]).read_text().splitlines()
        environment = dict(line.split("=", 1) for line in secrets)
        self._child = Child([*self._record["serve"], "serve", self._record["config"]], self.directory, "made", environment)
        self._child.wait_ready(self._listens)
        return self

    def __exit__(self, *unused: object) -> None:
        self._stop()


def test_in_s3_with_redis_and_a_cache_of_it(place: pathlib.Path) -> None:
    here, ports = Host(place), [free_port() for unused in range(3)]
    with Moto() as moto, RedisServer(place, REDIS_PASSWORD) as redis:
        s3, key = moto.client(), moto.environment["AWS_SECRET_ACCESS_KEY"]
        s3.create_bucket(Bucket="images")
        main: dict[str, Any] = {
            "registry_name": "main",
            "registry_port": ports[0],
            "registry_users": [{"name": USER, "password": PASSWORD}],
            "registry_storage": {
                "driver": "s3", "bucket": "images", "region": "us-east-1", "regionendpoint": moto.url, "rootdirectory": "/kept",
                "accesskey": moto.environment["AWS_ACCESS_KEY_ID"], "secretkey": key,
            },
            # Clients here do not follow.
            "registry_redirect": False,
            "registry_cache": "redis",
            "registry_redis": {"address": redis.address, "password": REDIS_PASSWORD, "db": 3},
        }  # fmt: skip
        twin = {
            **{key: main[key] for key in ("registry_storage", "registry_redirect", "registry_cache", "registry_redis")},
            **{"registry_name": "twin", "registry_port": ports[1], "registry_readonly": True, "registry_anonymous": True},
        }
        checked = here.play(main, twin, check=True)
        assert checked.changed and not (place / "etc").exists()
        first = here.play(main, twin)
        assert first.changed and here.play(main, twin).changed == 0
        with Made(place, "main") as registry, Made(place, "twin") as open_to_all:
            images.push(registry, "team/app", IMAGE, ["1"], authorization=BASIC)
            stored = [one["Key"] for one in s3.list_objects_v2(Bucket="images")["Contents"]]
            assert any(one.startswith("kept/docker/registry/v2/repositories/team/app/_manifests/tags/1/") for one in stored)
            assert all(any(blob.digest.partition(":")[2] in one for one in stored) for blob in IMAGE.blobs())
            assert b"blobs::sha256:" in run([*redis.client, "-n", "3", "keys", "*"])
            assert registry.request("GET", "/v2/")[0] == 401
            # Series 2.8 logs in to another registry by a token alone.
            cache: dict[str, Any] = {
                **{"registry_name": "cache", "registry_port": ports[2], "registry_anonymous": True},
                "registry_proxy": {"url": open_to_all.url},
            }
            second = here.play(cache)
            assert here.play(cache).changed == 0
            with Made(place, "cache") as through:
                for one in (open_to_all, through):
                    assert pullable(one, "team/app", IMAGE, "1")
                    assert one.request("POST", "/v2/team/app/blobs/uploads/")[0] == 405
                # What came through it becomes its own, in its own time.
                names = {blob.digest.partition(":")[2] for blob in IMAGE.blobs()}
                kept = place / "data" / "cache"
                wait_until(lambda: names <= {path.parent.name for path in kept.rglob("data")}, "the blobs in the cache", 60)
        shown = checked.text + first.text + second.text
        secrets = (PASSWORD, REDIS_PASSWORD, key)
        # In the environment of the service they stand in base64.
        assert found_in(shown, [*secrets, *(base64.b64encode(one.encode()).decode() for one in secrets)]) == []
