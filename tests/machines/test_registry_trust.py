# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role registry_trust: a machine with registries, and one whose docker, podman, containerd and system come to trust them.

The tests of the client go through its life one after the other, with the plays of the role's README.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from ansible_collections.longshore.oci.tests.servers.certificates import Authority
from ansible_collections.longshore.oci.tests.servers.machine import Machine
from ansible_collections.longshore.oci.tests.servers.machines import Machines
from ansible_collections.longshore.oci.tests.servers.playbooks import PlaybookResult
from ansible_collections.longshore.oci.tests.servers.registry import htpasswd

ROLE = pathlib.Path(os.path.abspath(__file__)).parents[2] / "roles" / "registry_trust"
USER, PASSWORD = "robot", "example-of-a-password"
HOST = "server"
#: One that asks who is there, and one that is open, with the same images: nobody gives a password to a mirror.
GUARDED, OPEN = 5000, 5001
NAME, MIRROR = f"{HOST}:{GUARDED}", f"{HOST}:{OPEN}"
PLACES = "/etc/docker /etc/containers /etc/containerd /usr/local/share/ca-certificates /etc/ssl/certs"
#: What somebody had there before.
SETTINGS = {"log-opts": {"max-size": "10m"}, "registry-mirrors": [f"https://{HOST}:5999"]}
DAEMON_JSON = json.dumps(SETTINGS, indent=4) + "\n"
UNIT = """[Service]
ExecStart=/usr/bin/docker-registry serve /etc/test/{port}.yml
[Install]
WantedBy=multi-user.target
"""
UPDATE = "Update the system's store of authorities"
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
        pair = self.authorities[0].client("robot")
        self.key = pair.key.read_text()
        self.examples = {
            "files/ca-2026.pem": self.first,
            "files/ca-2027.pem": self.second,
            "files/client.crt": str(pair.certificate),
            "files/client.key": str(pair.key),
        }
        blocks = re.findall(r"^```yaml\n(.*?)^```", (ROLE / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
        self.plays = {play["name"]: play for block in blocks for play in yaml.safe_load(block)}
        self.unread = set(self.plays)
        self.before = self.files()

    def serve(self, authority: Authority, *, client_ca: pathlib.Path | None = None) -> None:
        """Have the registries show a certificate of an authority."""
        # Where the role registry has the authority.
        self.server.write("/etc/longshore/registry/main/tls/ca.crt", authority.certificate.read_text())
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

    def readme(self, title: str) -> list[dict[str, Any]]:
        """The play of the README with a title, with this test's names and files."""
        self.unread.discard(title)
        text = json.dumps([self.plays[title]]).replace("registry.example.com", HOST)
        for name, path in self.examples.items():
            text = text.replace(name, path)
        made: list[dict[str, Any]] = json.loads(text)
        return made

    def run(self, plays: str | list[dict[str, Any]], check: bool = False, **variables: Any) -> PlaybookResult:
        """Run plays for the client; each variable without its ``registry_trust_``."""
        given = {f"registry_trust_{key}": value for key, value in variables.items()}
        return self.machines.playbook(plays, self.inventory, {**given, "registry_password": PASSWORD}, check=check, diff=check)

    def trust(self, **variables: Any) -> PlaybookResult:
        """Run the playbook, which has to pass."""
        return self.run("longshore.oci.registry_trust", host=HOST, **variables).passed()

    def changes(self, plays: list[dict[str, Any]]) -> tuple[PlaybookResult, PlaybookResult]:
        """Run plays in check mode, for real, and once more: what was told came, and then there is nothing to do.

        Returns what was told and what came.
        """
        told = self.run(plays, check=True).passed()
        done = self.run(plays).passed()
        # The command that updates the store does not run in check mode.
        assert told.changed_tasks() == [name for name in done.changed_tasks() if not name.endswith(UPDATE)]
        assert done.changed > 0 and self.run(plays).passed().changed == 0
        return told, done

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


def docker_pid(world: World) -> str:
    return world.client.run(["systemctl", "show", "--property", "MainPID", "docker"]).stdout


def pulls(world: World) -> None:
    """Every client pulls, and so does a program that goes by the system's authorities."""
    for command in (in_docker("pull"), in_podman("pull"), in_containerd("pull", *LOGIN)):
        world.client.run(command)


def is_refused(world: World, why: str) -> None:
    """No client pulls, for a reason."""
    for command in (in_docker("pull"), in_podman("pull"), in_containerd("pull", *LOGIN)):
        refused(world.client, command, why)


def test_refused_before_and_without_a_user_pushed_and_pulled_after(world: World) -> None:
    client = world.client
    for command in (in_docker("push"), in_podman("push"), in_containerd("push", *LOGIN)):
        refused(client, command, REFUSED)
    refused(client, ["skopeo", "list-tags", f"docker://{NAME}/team/app"], REFUSED)
    assert reaches(client) == "000"
    before = docker_pid(world)

    dummy, done = world.changes(world.readme("Trust the registry"))
    assert any(name.endswith("Restart containerd for its settings about registries") for name in done.changed_tasks())
    assert docker_pid(world) == before, "docker was restarted"
    assert 'config_path = "/etc/containerd/certs.d"' in client.run(["containerd", "config", "dump"]).stdout

    for command in (in_docker("push"), in_podman("push"), in_containerd("push")):
        refused(client, command, NOBODY)
    assert world.run(world.readme("Log in")).passed().changed == 1
    for command in (in_docker("push"), in_podman("push"), in_containerd("push", *LOGIN)):
        client.run(command)
    client.shell(f"docker rmi {NAME}/team/app:docker; podman rmi {NAME}/team/app:podman; ctr image rm {NAME}/team/app:containerd")
    pulls(world)
    assert "docker" in client.run(["skopeo", "list-tags", f"docker://{NAME}/team/app"]).stdout
    assert reaches(client) == "401"


def test_the_authority_changes_with_both_trusted_meanwhile(world: World) -> None:
    first, second = world.authorities
    assert world.run(world.readme("Trust the old authority and the new one")).passed().changed > 0
    pulls(world)
    world.serve(second)
    pulls(world)
    assert reaches(world.client) == "401"

    # Given as a text.
    assert world.trust(ca=[second.certificate.read_text()]).changed > 0
    pulls(world)
    assert reaches(world.client) == "401"
    world.serve(first)
    is_refused(world, REFUSED)
    assert reaches(world.client) == "000"
    world.serve(second)


def test_an_update_of_the_store_that_was_cut_off_is_made_up_for(world: World) -> None:
    keep = "cd /usr/local/share/ca-certificates && mv longshore-* /tmp && {} && mv /tmp/longshore-* ."
    world.client.shell(keep.format("update-ca-certificates --fresh"))
    assert reaches(world.client) == "000"
    done = world.trust(ca=[world.second]).changed_tasks()
    assert [name.partition(" : ")[2] for name in done] == ["Notice authorities that the system has not taken up yet", UPDATE]
    assert reaches(world.client) == "401"


def test_clients_pull_from_a_mirror(world: World) -> None:
    client = world.client
    client.shell(f"docker tag {NAME}/team/app:docker {NAME}/library/greeting:1 && docker push {NAME}/library/greeting:1")
    pull = ["ctr", "image", "pull", "--hosts-dir", "/etc/containerd/certs.d", "docker.io/library/greeting:1"]
    before = docker_pid(world)

    dummy, done = world.changes(world.readme("Pull from Docker Hub by way of the cache"))
    assert any(name.endswith("Have docker read its mirrors") for name in done.changed_tasks())
    assert docker_pid(world) == before, "docker was restarted"
    mirrors = [*SETTINGS["registry-mirrors"], f"https://{MIRROR}"]
    assert json.loads(client.read("/etc/docker/daemon.json")) == {**SETTINGS, "registry-mirrors": mirrors}
    for command in (["docker", "pull", "greeting:1"], ["podman", "pull", "docker.io/library/greeting:1"], pull):
        client.run(command)
    # Both registries are trusted, each by files of its own.
    pulls(world)

    assert world.trust(port=OPEN, ca=[world.second]).changed > 0
    assert client.read("/etc/docker/daemon.json") == DAEMON_JSON
    assert not client.exists("/etc/containerd/certs.d/docker.io")
    assert not client.shell("ls /etc/containers/registries.conf.d | grep longshore || true").stdout
    assert reaches(client, OPEN) == "200"
    assert world.trust(port=OPEN, state="absent").changed > 0


def test_clients_show_a_certificate(world: World) -> None:
    first, second = world.authorities
    world.serve(second, client_ca=first.certificate)
    is_refused(world, "tls|TLS|certificate")
    plays = world.readme("Show the registry a certificate")
    told, done = world.run(plays, check=True).passed(), world.run(plays).passed()
    assert told.changed_tasks() == done.changed_tasks()
    pulls(world)
    secrets = [line for line in world.key.splitlines() if "-----" not in line]
    assert not [line for line in secrets if line in told.text + done.text]
    modes = world.client.shell("stat -c '%a %U' /etc/docker/certs.d/*/client.key /etc/containers/certs.d/*/client.key").stdout
    assert modes.splitlines() == 2 * ["600 root"]
    assert world.trust(ca=[world.second]).changed > 0
    is_refused(world, "tls|TLS|certificate")
    world.serve(second)
    pulls(world)


def test_docker_is_restarted_when_it_goes_by_the_system_alone(world: World) -> None:
    # Nothing of its own is left, and what the daemon read at its start is from before the change.
    before = docker_pid(world)
    assert world.trust(ca=[world.first, world.second], clients=["system"]).changed > 0
    assert docker_pid(world) != before
    for path in ("/etc/docker", "/etc/containers", "/etc/containerd"):
        assert not world.client.exists(f"{path}/certs.d/{NAME}")
    pulls(world)


def test_what_is_wrong_is_told_before_anything_changes(world: World) -> None:
    certificate = world.authorities[0].certificate.read_text()
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"host": f"https://{HOST}"}, "registry_trust_host is https://"),
        ({"ca": []}, "registry_trust_ca or registry_trust_ca_from"),
        ({"ca": [world.key]}, "each has to name a certificate"),
        ({"ca": [certificate.replace("MII", "MIX", 1)]}, "certificate 1 of registry_trust_ca cannot be read"),
        ({"client_certificate": certificate}, "one is missing"),
        ({"client_certificate": certificate, "client_key": world.key}, "do not fit"),
        ({"mirror_of": ["https://docker.io"]}, "registry_trust_mirror_of has https://docker.io"),
    ]
    before = world.files()
    tasks = []
    for variables, message in wrong:
        given = {f"registry_trust_{key}": value for key, value in {"host": HOST, "ca": [certificate], **variables}.items()}
        include = {"name": "Trust", "ansible.builtin.include_role": {"name": "longshore.oci.registry_trust"}, "vars": given}
        wanted = "message in ansible_failed_result.msg"
        right = {"name": "Compare", "ansible.builtin.assert": {"that": wanted}, "vars": {"message": message}}
        count = {"name": "Count", "ansible.builtin.set_fact": {"refusals": "{{ refusals | default(0) | int + 1 }}"}}
        tasks.append({"name": f"Refuse: {message}", "block": [include], "rescue": [right, count]})
    tasks.append({"name": "All", "ansible.builtin.assert": {"that": f"refusals | int == {len(wrong)}"}})
    result = world.run([{"name": "Refuse", "hosts": "registry_clients", "become": True, "tasks": tasks}]).passed()
    assert result.changed == 0 and world.files() == before
    secrets = [line for line in world.key.splitlines() if "-----" not in line]
    assert not [line for line in secrets if line in result.text]


def test_nothing_is_left_afterwards(world: World) -> None:
    world.trust(ca=[world.second])
    dummy, done = world.changes(world.readme("Trust the registry no longer"))
    assert any(name.endswith(UPDATE) for name in done.changed_tasks())
    # docker was started when the authority was in the system's store, by the test before.
    assert any(name.endswith("Restart engines for the system's authorities") for name in done.changed_tasks())
    assert world.files() == world.before
    is_refused(world, REFUSED)
    assert reaches(world.client) == "000"
    assert world.unread == set(), "plays of the README that no test ran"
