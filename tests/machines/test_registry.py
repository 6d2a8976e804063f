# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role registry on a machine of Debian 12: from nothing to two instances, and what becomes of them.

One machine goes through it all, so the tests stand in the order in which that happens, and most look at a run of the role from
more than one side: a run takes long.
"""

from __future__ import annotations

import base64
import http.client
import json
import pathlib
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from ansible_collections.longshore.oci.tests.roles.instances import IMAGE, Instance, make_image
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.machine import Machine
from ansible_collections.longshore.oci.tests.servers.machines import Machines
from ansible_collections.longshore.oci.tests.servers.pebble import Pebble
from ansible_collections.longshore.oci.tests.servers.playbooks import PlaybookResult
from ansible_collections.longshore.oci.tests.servers.process import run, wait_until

CI, READER = "ci:first pass:word", "reader:read only"
TOKEN = "Bearer it's \\ \"mine\""
SECRETS = ("first pass:word", "it's", "other-one")


class Site(NamedTuple):
    """The machine, what runs on it, and the way to change it."""

    machines: Machines
    machine: Machine
    main: Instance
    twin: Instance
    variables: dict[str, dict[str, Any]]

    @property
    def container(self) -> dict[str, Any]:
        """The variables that run the first instance with Docker, as the user that its storage belongs to."""
        record = self.main.record
        return {
            **{"registry_deployment": "container", "registry_container_image": IMAGE},
            **{"registry_container_uid": record["uid"], "registry_container_gid": record["gid"]},
        }

    def play(self, *names: str, check: bool = False, options: tuple[str, ...] = (), **changes: Any) -> PlaybookResult:
        """Run the role for instances, one after another in one play; ``changes`` are further variables of all of them."""
        task = {"name": "Run the registry", "ansible.builtin.include_role": {"name": "longshore.oci.registry"}}
        tasks = [{**task, "vars": {**self.variables[name], **changes}, "tags": ["always"]} for name in names]
        play = [{"hosts": "registry", "gather_facts": False, "tasks": tasks}]
        inventory = self.machines.inventory({"registry": [self.machine]})
        done = self.machines.playbook(play, inventory, check=check, diff=True, options=options)
        assert not [secret for secret in SECRETS if secret in done.text], "a secret is shown"
        return done


def names(done: PlaybookResult) -> list[str]:
    """The role's tasks and handlers that changed something."""
    return [name.rpartition(" : ")[2] for name in done.changed_tasks()]


def hashed(pair: str) -> str:
    name, dummy, password = pair.partition(":")
    return run(["htpasswd", "-niB", "-C", "4", name], stdin=password.encode()).decode().strip().partition(":")[2]


@pytest.fixture(scope="module")
def site(machines: Machines) -> Iterator[Site]:
    with machines.start("bookworm", "server") as machine:
        common = {"registry_host": "server", "registry_tls_names": [machine.address], "registry_log_format": "json"}
        main = {
            **common,
            "registry_name": "main",
            "registry_users": [
                {"name": "ci", "password": CI.partition(":")[2]},
                {"name": "reader", "hash": hashed(READER)},
            ],
            "registry_metrics": True,
            "registry_notifications": [
                {"name": "audit", "url": "http://127.0.0.1:1/", "timeout": "1s", "headers": {"Authorization": [TOKEN]}}
            ],
        }
        twin = {
            **common,
            "registry_name": "twin",
            "registry_port": 443,
            "registry_readonly": True,
            "registry_anonymous": True,
            "registry_storage": {"path": "/var/lib/longshore/registry/main"},
        }
        yield Site(machines, machine, Instance(machine, "main"), Instance(machine, "twin"), {"main": main, "twin": twin})


def test_check_mode_on_a_machine_that_has_nothing(site: Site) -> None:
    done = site.play("main", check=True).passed()
    assert "registry : Say what would be made" in " ".join(done.changed_tasks())
    assert "realm: registry" in done.text and TOKEN not in done.text
    assert not site.machine.exists("/etc/longshore") and not site.machine.exists("/usr/bin/docker-registry")


def test_two_instances_in_one_play_and_nothing_the_second_time(site: Site) -> None:
    site.play("main", "twin").passed()
    assert site.play("main", "twin").passed().changed_tasks() == []


def test_they_serve_hardened_and_the_package_s_own_service_is_out_of_the_way(site: Site) -> None:
    machine = site.machine
    for instance in (site.main, site.twin):
        shown = machine.run(["systemd-analyze", "security", "--no-pager", instance.service]).stdout
        found = re.search(r"exposure level for .*: ([0-9.]+)", shown)
        assert found and float(found[1]) <= 1.5, found
    assert machine.run(["systemctl", "is-enabled", "docker-registry"], check=False).stdout.strip() == "masked"
    listening = machine.run(["ss", "--no-header", "-ltn"]).stdout
    assert re.search(r"127\.0\.0\.1:5001 ", listening) and len(re.findall(r":5001 ", listening)) == 1
    fetch = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:5001/metrics').read().decode())"
    assert "registry_http_" in machine.run(["python3", "-c", fetch]).stdout
    environment = machine.run(["cat", f"/proc/{site.main.pid}/environ"]).stdout.split("\0")
    told = next(line for line in environment if line.startswith("REGISTRY_NOTIFICATIONS="))
    assert "!!binary" in told and "OTEL_TRACES_EXPORTER=none" in environment
    modes = machine.run(["stat", "--format=%a %U %G %n", "/etc/longshore/ca/ca.key", "/etc/longshore/ca", f"{site.main.directory}",
                         f"{site.main.directory}/secrets.env", f"{site.main.directory}/auth/htpasswd"]).stdout  # fmt: skip
    assert [line.rpartition(" ")[0] for line in modes.splitlines()] == [
        "600 root root", "700 root root", "750 root docker-registry", "600 root root", "640 root docker-registry",
    ]  # fmt: skip


def test_the_twin_reads_what_the_first_one_is_given(site: Site) -> None:
    assert [site.main.status(user) for user in ("", CI, READER, "ci:wrong")] == [401, 200, 200, 401]
    pushed = site.main.push("team/app", "1", CI)
    site.main.pull("team/app", pushed, READER)
    site.twin.pull("team/app", pushed)
    assert site.twin.status("", "/v2/team/app/blobs/uploads/", "POST") == 405
    assert site.twin.status("", f"/v2/team/app/manifests/{pushed.digest}", "DELETE") == 405
    main, twin = site.main.record, site.twin.record
    assert main["lock"] == twin["lock"] and main["url"] == "https://server:5000" and twin["readonly"]
    assert main["control"]["active"] == ["systemctl", "is-active", "--quiet", "longshore-registry-main.service"]
    assert main["probe"] == {
        "host": "127.0.0.1", "port": 5000, "tls": True, "server_name": "server", "ca": "/etc/longshore/registry/main/tls/ca.crt",
    }  # fmt: skip


def test_users_change_at_once_and_without_a_restart(site: Site) -> None:
    pid = site.main.pid
    site.variables["main"]["registry_users"] = [{"name": "ci", "password": "other-one"}, {"name": "reader", "state": "absent"}]
    done = site.play("main", options=("--tags", "registry_users")).passed()
    assert names(done) == ["Manage the users"]
    assert [site.main.status(user) for user in (CI, READER, "ci:other-one")] == [401, 401, 200]
    assert site.main.pid == pid


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"http": {"tls": {"certifcate": "/x"}}, "storage": {"tag": {"concurrencylimit": 8}}},
            ["http.tls.certifcate is no key of the registry's configuration.", "storage.tag is known to series 3 only"],
        ),
        ({"http": {"tls": {"clientcas": ["/nowhere/ca.crt"]}}}, ["/nowhere/ca.crt"]),
    ],
    ids=["what its schema refuses", "what the registry itself refuses"],
)
def test_a_wrong_value_fails_the_play_and_touches_nothing(site: Site, changes: dict[str, Any], said: list[str]) -> None:
    pid, files = site.main.pid, site.main.files()
    done = site.play("main", registry_config_extra=changes)
    assert done.failed and not [words for words in said if words not in " ".join(done.text.split())]
    assert (site.main.pid, site.main.files()) == (pid, files)
    assert site.main.status("ci:other-one") == 200


def test_a_certificate_that_is_about_to_end_is_replaced_while_a_transfer_runs(site: Site) -> None:
    before, pid = site.main.machine.run(["cat", f"{site.main.directory}/tls/registry.crt"]).stdout, site.main.pid
    checked = site.play("main", check=True, registry_tls_renew_before=500).passed()
    assert names(checked) == ["Say that a certificate would be made", "Restart the registry"]
    upload = threading.Thread(target=slow_upload, args=(site.main, statuses := []))
    upload.start()
    done = site.play("main", registry_tls_renew_before=500).passed()
    upload.join(120)
    assert statuses == [202]
    assert names(done).count("Restart the registry") == 1
    assert site.main.machine.read(f"{site.main.directory}/tls/registry.crt") != before and site.main.pid != pid
    assert site.main.status("ci:other-one") == 200


def slow_upload(instance: Instance, statuses: list[int]) -> None:
    """Send an upload until the registry is told to stop, and a little longer."""
    user = "ci:other-one"
    place = instance.request("POST", "/v2/team/slow/blobs/uploads/", user)[1]["location"].partition(":5000")[2]
    context = ssl.create_default_context(cadata=instance.machine.read(f"{instance.directory}/tls/ca.crt"))
    connection = http.client.HTTPSConnection(instance.machine.address, 5000, context=context, timeout=300)
    pid = instance.pid

    def pieces() -> Iterator[bytes]:
        end = time.monotonic() + 240
        while time.monotonic() < end:
            yield b"x" * 1000
            time.sleep(0.3)
            state = instance.machine.run(["systemctl", "is-active", instance.service], check=False).stdout.strip()
            if state == "deactivating" or instance.pid != pid:
                time.sleep(1)
                yield b"end"
                return

    headers = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode(), "Transfer-Encoding": "chunked"}
    try:
        connection.request("PATCH", place, pieces(), headers, encode_chunked=True)
        statuses.append(connection.getresponse().status)
    finally:
        connection.close()


def test_while_the_storage_is_locked_the_configuration_stays_read_only(site: Site) -> None:
    """As while garbage is collected: a run of the role leaves the registry read-only. The next one makes it writable; see below."""
    lock = site.main.record["lock"]
    script = (
        f"exec 9>>{lock}; flock 9; cd {site.main.directory}; ln -sfn readonly.yml config.yml;"
        f" systemctl restart {site.main.service}; touch /run/locked; while [ -e /run/locked ]; do sleep 0.1; done"
    )
    holder = subprocess.Popen(site.machines._daemon.command("exec", "server", "sh", "-c", script))
    try:
        while not site.machine.exists("/run/locked"):
            time.sleep(0.1)
        # Nor does it see anything else to change, after a renewed certificate.
        assert site.play("main").passed().changed_tasks() == []
        assert site.main.status("ci:other-one", "/v2/a/blobs/uploads/", "POST") == 405
    finally:
        site.machine.run(["rm", "/run/locked"])
        holder.wait(60)


def test_a_storage_that_is_not_mounted_is_neither_filled_nor_served(site: Site) -> None:
    storage = "/var/lib/longshore/registry/main"
    services = f"{site.main.service} {site.twin.service}"
    site.machine.shell(f"systemctl stop {services}; mv {storage} {storage}.away; mkdir {storage}")
    try:
        assert site.machine.run(["systemctl", "start", site.main.service], check=False).returncode
        done = site.play("main")
        assert done.failed and "If a file system is to be mounted there, mount it" in " ".join(done.text.split())
        assert site.machine.run(["ls", "-A", storage]).stdout == ""
    finally:
        site.machine.shell(f"rmdir {storage}; mv {storage}.away {storage}; systemctl start {services}")


def test_up_to_series_3_and_back_into_a_container(site: Site, tmp_path: pathlib.Path) -> None:
    """A stand-in says that it is 3.1.1 and runs 2.8: what the role asks, writes and refuses is seen, not what 3 does."""
    binary = tmp_path / "registry"
    version = "registry github.com/distribution/distribution/v3 v3.1.1"
    binary.write_text(f'#!/bin/sh\n[ "$1" = --version ] && {{ echo "{version}"; exit; }}\nexec docker-registry "$@"\n')
    checksum = images.sha256(binary.read_bytes())
    newer = {"registry_deployment": "binary", "registry_binary_file": str(binary), "registry_binary_checksum": checksum,
             "registry_version": "3.1.1"}  # fmt: skip
    wrong = site.play("main", **{**newer, "registry_tls_minimum": "tls1.1"})
    assert wrong.failed and "http.tls.minimumtls is tls1.2 or tls1.3 in series 3, not tls1.1" in " ".join(wrong.text.split())
    assert site.main.record["series"] == "2.8"
    up = site.play("main", **newer).passed()
    assert "This goes from series 2.8 to 3" in " ".join(up.text.split())
    assert (site.main.record["series"], site.main.record["registry_version"]) == ("3", "3.1.1")
    # Nobody holds the lock any more.
    assert "Point the registry at its configuration, unless it is read-only for the while" in names(up)
    pushed = site.main.push("team/kept", "1", "ci:other-one")

    site.machine.run(["apt-get", "install", "--yes", "docker.io"])
    make_image(site.machine, "docker")
    # What the modules for Docker need is not there yet.
    checked = names(site.play("main", check=True, **site.container).passed())
    assert "Stop the service of the earlier deployment" in checked and "Say that the container would be run" in checked
    down = site.play("main", **site.container).passed()
    assert "Stop the service of the earlier deployment" in names(down)
    assert (site.main.record["series"], site.main.record["deployment"]) == ("2.8", "container")
    site.main.pull("team/kept", pushed, "ci:other-one")
    assert site.main.status() == 401


def test_the_container_may_do_nothing_but_serve(site: Site) -> None:
    shown = json.loads(site.machine.run(["docker", "inspect", "longshore-registry-main"]).stdout)[0]
    host, record = shown["HostConfig"], site.main.record
    assert (host["ReadonlyRootfs"], host["CapDrop"], shown["Config"]["User"]) == (True, ["ALL"], f"{record['uid']}:{record['gid']}")
    assert host["SecurityOpt"] == ["no-new-privileges"] and host["LogConfig"]["Config"]["max-size"] == "10m"
    for command in ([*record["command"], "garbage-collect", "--dry-run", record["config"]], record["control"]["active"]):
        site.machine.run(command)


def test_another_setting_makes_another_container(site: Site) -> None:
    """One that it would not start with does not, nor does none."""
    identity = ["docker", "inspect", "--format={{.Id}} {{.State.StartedAt}}", "longshore-registry-main"]
    before = site.machine.run(identity).stdout
    assert site.play("main", **site.container).passed().changed_tasks() == []
    wrong = site.play("main", **site.container, registry_config_extra={"http": {"tls": {"clientcas": ["/nowhere.crt"]}}})
    assert wrong.failed and "/nowhere.crt" in wrong.text
    assert site.machine.run(identity).stdout == before
    assert "Run the container" in names(site.play("main", **site.container, registry_log_level="warn").passed())
    assert site.machine.run(identity).stdout.split()[0] != before.split()[0]


def test_container_and_service_outlive_a_reboot(site: Site) -> None:
    site.machine.reboot()
    assert site.machine.failed_units() == []
    wait_until(lambda: site.main.answers() and site.twin.answers(), "the registries", 120)
    assert (site.main.status("ci:other-one"), site.twin.status()) == (200, 200)
    assert site.machine.run(["systemctl", "is-active", "docker-registry"], check=False).stdout.strip() == "inactive"


def test_from_the_container_back_to_the_package(site: Site) -> None:
    pushed = site.main.push("team/kept", "2", "ci:other-one")
    assert "Remove the container of the earlier deployment, once its transfers have ended" in names(site.play("main").passed())
    assert site.machine.run(["docker", "ps", "--all", "--quiet"]).stdout == ""
    site.main.pull("team/kept", pushed, "ci:other-one")
    site.twin.pull("team/kept", pushed)


def test_a_registry_that_does_not_answer_is_told_with_its_last_words(site: Site) -> None:
    squatter = subprocess.Popen(site.machines._daemon.command("exec", "server", "python3", "-m", "http.server", "5999"))
    try:
        done = site.play("main", registry_port=5999, registry_start_timeout=3)
        said = " ".join(done.text.split())
        assert done.failed and "the registry does not answer at 127.0.0.1:5999" in said and "address already in use" in said
    finally:
        site.machine.run(["pkill", "-f", "http.server 5999"])
        squatter.wait(60)
    assert json.loads(site.machine.read(f"{site.main.directory}/instance.json"))["probe"]["port"] == 5999


def test_a_certificate_of_an_acme_authority(site: Site) -> None:
    """The authority is one that the host's system trusts, and asks at port 80, where the role answers by itself."""
    pebble = Pebble(site.machine)
    acme = Instance(site.machine, "acme")
    site.variables["acme"] = {
        **{"registry_name": "acme", "registry_host": "server", "registry_port": 5443, "registry_anonymous": True},
        **{"registry_tls": "acme", "registry_tls_acme_directory": pebble.directory_url, "registry_tls_acme_terms_agreed": True},
    }
    site.play("acme").passed()
    assert len(pebble.asked()) >= 1
    first = site.machine.read(f"{acme.directory}/tls/registry.crt")
    assert first.count("BEGIN CERTIFICATE") == 2 and acme.record["probe"]["ca"] is None
    assert served(acme, pebble.root) == der(first)
    assert site.play("acme").passed().changed_tasks() == []
    assert ":80 " not in site.machine.run(["ss", "--no-header", "-ltn"]).stdout
    assert site.machine.shell("ls -d /tmp/longshore-acme-* 2>&1 || true").stdout.startswith("ls: cannot access")

    # The authority remembers the answer and asks for none. The renewed certificate is verified with the authority that is given.
    asked = len(pebble.asked())
    renewed = {"registry_tls_renew_before": 4000, "registry_tls_ca": pebble.root}
    done = site.play("acme", options=("--tags", "registry_tls"), **renewed).passed()
    assert [name for name in done.changed_tasks() if "Restart" in name] == ["longshore.oci.registry : Restart the registry"]
    assert len(pebble.asked()) == asked
    second = site.machine.read(f"{acme.directory}/tls/registry.crt")
    assert der(second) != der(first) and served(acme, pebble.root) == der(second)


def der(chain: str) -> bytes:
    """The first certificate of a chain, as DER."""
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(chain.partition(end)[0] + end)


def served(instance: Instance, root: str) -> bytes:
    """The certificate that an instance shows to clients that call it by the name of its machine and trust ``root`` alone."""
    context = ssl.create_default_context(cadata=root)
    address = (instance.machine.address, instance.record["probe"]["port"])
    with socket.create_connection(address, 60) as plain, context.wrap_socket(plain, server_hostname="server") as connection:
        shown = connection.getpeercert(binary_form=True)
        assert shown is not None
        return shown
