# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role registry_trust: a machine with registries, and one whose docker, podman, containerd and system come to trust them.

The tests of the client go through its life one after the other.
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.longshore.oci.tests.servers.certificates import Authority
from ansible_collections.longshore.oci.tests.servers.machine import Machine
from ansible_collections.longshore.oci.tests.servers.machines import Machines
from ansible_collections.longshore.oci.tests.servers.playbooks import PlaybookResult
from ansible_collections.longshore.oci.tests.servers.registry import htpasswd

USER, PASSWORD = "robot", "example-of-a-password"
HOST = "server"
#: One that asks who is there, and one that is open, with the same images: nobody gives a password to a mirror.
GUARDED, OPEN = 5000, 5001
NAME, MIRROR = f"{HOST}:{GUARDED}", f"{HOST}:{OPEN}"
PLACES = "/etc/docker /etc/containers /etc/containerd /usr/local/share/ca-certificates /etc/ssl/certs"
#: What somebody had there before.
DAEMON_JSON = '{\n    "log-opts": {\n        "max-size": "10m"\n    },\n    "registry-mirrors": ["https://server:5999"]\n}\n'
UNIT = """[Service]
ExecStart=/usr/bin/docker-registry serve /etc/test/{port}.yml
[Install]
WantedBy=multi-user.target
"""
REFUSED = "certificate signed by unknown authority"
NOBODY = "no basic auth credentials|authentication required|401 Unauthorized|authorization failed"


class World:
    """The two machines, and the files of certificates on this side."""

    def __init__(self, machines: Machines, server: Machine, client: Machine, directory: pathlib.Path) -> None:
        self.machines, self.server, self.client = machines, server, client
        self.inventory = machines.inventory({"registries": [server], "registry_clients": [client]})
        self.authorities = []
        for name in ("first", "second"):
            (directory / name).mkdir()
            self.authorities.append(Authority(directory / name))
        self.first, self.second = (str(one.certificate) for one in self.authorities)

    def serve(self, authority: Authority, *, client_ca: pathlib.Path | None = None) -> None:
        """Have the registries show a certificate of an authority."""
        pair = authority.server("server", [f"DNS:{HOST}", f"IP:{self.server.address}"])
        self.server.write("/etc/test/server.crt", pair.certificate.read_text())
        self.server.write("/etc/test/server.key", pair.key.read_text())
        for port in (GUARDED, OPEN):
            tls: dict[str, Any] = {"certificate": "/etc/test/server.crt", "key": "/etc/test/server.key"}
            config: dict[str, Any] = {
                "version": "0.1",
                "storage": {"filesystem": {"rootdirectory": "/srv/images"}},
                "http": {"addr": f":{port}", "tls": tls},
            }
            if port == GUARDED:
                config["auth"] = {"htpasswd": {"realm": "test", "path": "/etc/test/htpasswd"}}
                if client_ca is not None:
                    self.server.write("/etc/test/clients.crt", client_ca.read_text())
                    tls["clientcas"] = ["/etc/test/clients.crt"]
            self.server.write(f"/etc/test/{port}.yml", json.dumps(config))
            self.server.run(["systemctl", "restart", f"registry-{port}"])
        self.server.shell("for port in 5000 5001; do until ss -ltn | grep -q \":$port \"; do sleep 0.1; done; done")

    def trust(self, *, check: bool = False, diff: bool = False, **variables: Any) -> PlaybookResult:
        """Run the playbook for the client; each variable without its ``registry_trust_``."""
        given = {f"registry_trust_{key}": value for key, value in {"host": HOST, "port": GUARDED, **variables}.items()}
        return self.machines.playbook("longshore.oci.registry_trust", self.inventory, given, check=check, diff=diff)

    def changes(self, **variables: Any) -> PlaybookResult:
        """Run it in check mode, for real, and once more: what was told came, and then there is nothing to do."""
        told = self.trust(check=True, diff=True, **variables).passed()
        done = self.trust(**variables).passed()
        # The command that updates the store does not run in check mode.
        came = [name for name in done.changed_tasks() if "Update the system's store" not in name]
        assert told.changed_tasks() == came
        assert self.trust(**variables).passed().changed == 0
        return done

    def files(self) -> str:
        """Every file that clients read about registries, with what is in it."""
        find = f"find {PLACES} \\( -type f -o -type l \\) -print0 | sort -z | xargs -0 sha256sum"
        return self.client.shell(find).stdout


def in_docker(action: str, name: str = NAME) -> list[str]:
    return ["docker", action, f"{name}/team/app:docker"]


def in_podman(action: str, name: str = NAME) -> list[str]:
    return ["podman", action, f"{name}/team/app:podman"]


def in_containerd(action: str, *user: str) -> list[str]:
    return ["ctr", "image", action, "--hosts-dir", "/etc/containerd/certs.d", *user, f"{NAME}/team/app:containerd"]


LOGIN = ("--user", f"{USER}:{PASSWORD}")


@pytest.fixture(scope="module")
def world(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with machines.start("bookworm", HOST) as server, machines.start("bookworm", "client") as client:
        server.run(["apt-get", "install", "--yes", "docker-registry"])
        server.run(["systemctl", "disable", "--now", "docker-registry"])
        server.write("/etc/test/htpasswd", htpasswd({USER: PASSWORD}))
        for port in (GUARDED, OPEN):
            server.write(f"/etc/systemd/system/registry-{port}.service", UNIT.format(port=port))
        server.run(["systemctl", "daemon-reload"])
        client.run(["apt-get", "install", "--yes", "docker.io", "podman", "skopeo", "containerd", "curl", "busybox-static"])
        client.write("/etc/docker/daemon.json", DAEMON_JSON)
        client.run(["systemctl", "reload", "docker"])
        for engine in ("docker", "podman"):
            client.shell(f"tar -cC / bin/busybox | {engine} import - {NAME}/team/app:{engine}")
        client.shell(f"docker tag {NAME}/team/app:docker {NAME}/team/app:containerd")
        client.shell(f"docker save {NAME}/team/app:containerd | ctr image import -")
        made = World(machines, server, client, tmp_path_factory.mktemp("authorities"))
        made.serve(made.authorities[0])
        yield made


def refused(machine: Machine, command: list[str], why: str) -> None:
    """A command fails, and says why."""
    done = machine.run(command, check=False)
    assert done.returncode != 0 and re.search(why, done.stdout + done.stderr), f"{command}: {done}"


def reaches(machine: Machine, port: int = GUARDED) -> str:
    """The status that a program sees that trusts what the system trusts; 000 if it does not trust the registry."""
    command = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", f"https://{HOST}:{port}/v2/"]
    return machine.run(command, check=False).stdout


def test_refused_before_and_without_a_user_pushed_and_pulled_after(world: World) -> None:
    client = world.client
    for command in (in_docker("push"), in_podman("push"), in_containerd("push", *LOGIN)):
        refused(client, command, REFUSED)
    refused(client, ["skopeo", "list-tags", f"docker://{NAME}/team/app"], REFUSED)
    assert reaches(client) == "000"
    before = client.run(["systemctl", "show", "--property", "MainPID", "docker"]).stdout

    done = world.changes(ca=[world.first])
    assert "Restart containerd for its settings about registries" in done.changed_tasks()
    assert client.run(["systemctl", "show", "--property", "MainPID", "docker"]).stdout == before, "docker was restarted"
    assert 'config_path = "/etc/containerd/certs.d"' in client.run(["containerd", "config", "dump"]).stdout

    for command in (in_docker("push"), in_podman("push"), in_containerd("push")):
        refused(client, command, NOBODY)
    for engine in ("docker", "podman"):
        client.run([engine, "login", "--username", USER, "--password-stdin", NAME], stdin=PASSWORD)
    for command in (in_docker("push"), in_podman("push"), in_containerd("push", *LOGIN)):
        client.run(command)
    client.shell(f"docker rmi {NAME}/team/app:docker; podman rmi {NAME}/team/app:podman; ctr image rm {NAME}/team/app:containerd")
    for command in (in_docker("pull"), in_podman("pull"), in_containerd("pull", *LOGIN)):
        client.run(command)
    assert "docker" in client.run(["skopeo", "list-tags", f"docker://{NAME}/team/app"]).stdout
    assert reaches(client) == "401"


def pulls(world: World) -> None:
    """Every client pulls, and so does a program that goes by the system's authorities."""
    for command in (in_docker("pull"), in_podman("pull"), in_containerd("pull", *LOGIN)):
        world.client.run(command)


def test_the_authority_changes_with_both_trusted_meanwhile(world: World) -> None:
    first, second = world.authorities
    # One as a text, one as a file.
    world.changes(ca=[first.certificate.read_text(), world.second])
    pulls(world)
    world.serve(second)
    pulls(world)
    assert reaches(world.client) == "401"

    world.changes(ca=[world.second])
    pulls(world)
    assert reaches(world.client) == "401"
    world.serve(first)
    for command in (in_docker("pull"), in_podman("pull"), in_containerd("pull", *LOGIN)):
        refused(world.client, command, REFUSED)
    assert reaches(world.client) == "000"
    world.serve(second)
