# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror that many hosts share, run as AWX runs it: a host that dies, one that joins, slices, images as hosts."""

from __future__ import annotations

import base64
import json
import pathlib
import re
import sys
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.operations.sharding import shard_of
from ansible_collections.longshore.oci.tests.interop.accounts import PASSWORD, USER
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.awx import Awx, Job
from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner
from ansible_collections.longshore.oci.tests.servers.namespaces import Hosts
from ansible_collections.longshore.oci.tests.servers.process import free_port, wait_until
from ansible_collections.longshore.oci.tests.servers.registry import Registry

MIRROR = "longshore.oci.mirror"
TASK = "Mirror the share of this host"
COUNT = 24
HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


@pytest.fixture
def awx(tmp_path: pathlib.Path, module: ModuleRunner) -> Awx:
    """Runs jobs."""
    return Awx(tmp_path, module)


@pytest.fixture(scope="module")
def source() -> Iterator[tuple[Registry, list[str]]]:
    """A registry that every address of this machine reaches, and its repositories."""
    port = free_port()
    with Registry(port=port, config={"http": {"addr": f"0.0.0.0:{port}"}}) as running:
        names = [f"lib/app{number:02d}" for number in range(COUNT)]
        for number, name in enumerate(names):
            images.push(running, name, images.image("linux/amd64", [images.noise_layer(400_000, seed=number)]), ["1.0", "2.0"])
        yield running, names


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """Three hosts with networks of their own."""
    with Hosts(3) as running:
        yield running


def plain(**variables: Any) -> dict[str, Any]:
    return {"image_mirror_src_plain_http": True, "image_mirror_dest_plain_http": True, **variables}


def inventory(*names: str, **variables: dict[str, Any]) -> dict[str, Any]:
    return {"all": {"hosts": {name: {**HERE, **variables.get(name, {})} for name in names}}}


def shares(job: Job) -> dict[str, set[str]]:
    """The images that each host of a job has had to do with."""
    return {host: {image["dest"] for image in result["images"]} for host, result in job.results(TASK).items()}


def assert_whole(job: Job, expected: set[str]) -> None:
    """Every image was somebody's, and nobody's twice."""
    assert job.status == "successful", job.output
    every = [image for share in shares(job).values() for image in share]
    assert len(every) == len(set(every)) and set(every) == expected


def test_a_host_dies_half_way_and_the_next_run_completes(
    awx: Awx, hosts: Hosts, source: tuple[Registry, list[str]], tmp_path: pathlib.Path
) -> None:
    registry, names = source
    port = free_port()
    with Registry(port=port, config={"http": {"addr": f"0.0.0.0:{port}"}}) as target:
        base = f"{hosts.address}:{port}/mirror"
        expected = {f"{base}/{name.rpartition('/')[2]}:{tag}" for name in names for tag in ("1.0", "2.0")}
        rows = {
            f"mirror{number + 1}": {**HERE, "ansible_python_interpreter": str(hosts.interpreter(number, tmp_path))}
            for number in range(3)
        }
        variables = plain(
            mirror_repositories="\n".join(f"{hosts.address}:{registry.port}/{name}" for name in names),
            image_mirror_dest=f"{base}/",
        )
        # Slow enough to be cut off half-way, and soon at its end then. The others may take as long as a busy machine takes.
        slow = {"image_mirror_bandwidth_limit": "300k", "image_mirror_timeout": 5, "image_mirror_retries": 0}
        share = {name for name in expected if shard_of(name.rpartition(":")[0], 3) == 1}
        victim = {name.rpartition(":")[0].partition("/")[2] for name in share}
        assert 3 < len(victim) < COUNT - 3

        running = awx.start(MIRROR, {"all": {"hosts": {**rows, "mirror2": {**rows["mirror2"], **slow}}}}, variables)

        def begun() -> bool:
            log = target.access_log.read_text(errors="replace")
            return any(re.search(rf'"PUT /v2/{name}/blobs/[^"]*" 201', log) for name in victim)

        wait_until(begun, "the first blob of the second host", 120)
        hosts.cut(1)
        job = running.wait()
        assert job.status == "failed"
        results = job.results(TASK)
        assert results["mirror2"]["failed"] and results["mirror2"]["counts"]["failed"] > 0
        states = {host: result["failed"] for host, result in job.stats["image_mirror"].items()}
        assert states == {"mirror1": False, "mirror2": True, "mirror3": False}
        assert job.stats["image_mirror"]["mirror2"]["failures"]
        # The others did their own and no more.
        for host in ("mirror1", "mirror3"):
            assert {image["state"] for image in results[host]["images"]} == {"copied"}
        assert not (shares(job)["mirror1"] | shares(job)["mirror3"]) & share

        hosts.join(1)
        mark = target.mark()
        again = awx.run(MIRROR, {"all": {"hosts": rows}}, variables)
        assert_whole(again, expected)
        changed = {host: result["changed"] for host, result in again.results(TASK).items()}
        assert changed == {"mirror1": False, "mirror2": True, "mirror3": False}
        assert all(any(name in one.target for name in victim) for one in target.writes_since(mark))
        mark = target.mark()
        third = awx.run(MIRROR, {"all": {"hosts": rows}}, variables)
        assert_whole(third, expected)
        assert not target.writes_since(mark)


def test_a_host_that_joins_takes_its_part_and_moves_nothing_else(
    awx: Awx, source: tuple[Registry, list[str]], second_registry: Registry, repository: str
) -> None:
    registry, names = source
    base = f"{second_registry.host}/{repository}"
    expected = {f"{base}/{name.rpartition('/')[2]}:{tag}" for name in names for tag in ("1.0", "2.0")}
    mirrors = [f"mirror{number}" for number in range(8, 12)]
    variables = plain(
        mirror_repositories="\n".join(f"{registry.host}/{name}" for name in names),
        image_mirror_dest=f"{base}/", image_mirror_total_requests_per_second=400,
    )
    before = awx.run(MIRROR, inventory(*mirrors[:3]), variables, "--cmdline=--check")
    # In whatever order the inventory has them: mirror11 comes after mirror8.
    after = awx.run(MIRROR, inventory(*reversed(mirrors)), variables, "--cmdline=--check")
    for job in (before, after):
        assert_whole(job, expected)
    old, new = shares(before), shares(after)
    moved = set.union(*(old[host] - new[host] for host in old))
    assert moved == new["mirror11"] and len(moved) < COUNT
    assert all(new[host] <= old[host] for host in old)
    # Nothing was written, and that is what was said.
    assert all(result["changed"] for result in before.results(TASK).values())
    assert second_registry.request("GET", f"/v2/{repository}/app00/tags/list")[0] == 404


def test_slices_of_a_job_share_by_the_variables_of_their_hosts(
    awx: Awx, source: tuple[Registry, list[str]], second_registry: Registry, repository: str
) -> None:
    registry, names = source
    base = f"{second_registry.host}/{repository}"
    mirrors = [f"mirror{number}" for number in range(4)]
    given: dict[str, dict[str, Any]] = {
        name: {"image_mirror_shard_index": index, "image_mirror_shard_count": 4} for index, name in enumerate(mirrors)
    }
    mappings = [{"src": f"{registry.host}/{name}", "tags": {"names": ["1.0"]}} for name in names]
    variables = plain(image_mirror_mappings=mappings, image_mirror_dest=[f"{base}/"])
    # Each slice has its own hosts in its inventory, and does not know that there are more.
    jobs = [awx.run(MIRROR, inventory(*mirrors[start::2], **given), variables) for start in range(2)]
    every = [image for job in jobs for share in shares(job).values() for image in share]
    assert sorted(every) == sorted(f"{base}/{name.rpartition('/')[2]}:1.0" for name in names)
    assert [job.status for job in jobs] == ["successful"] * 2
    half = {"mirror0": {"image_mirror_shard_index": 0}}
    refused = awx.run(MIRROR, inventory("mirror0", **half), variables)
    assert refused.status == "failed" and "go together" in refused.output


def test_repositories_are_hosts(
    awx: Awx, source: tuple[Registry, list[str]], second_registry: Registry, repository: str, tmp_path: pathlib.Path
) -> None:
    registry, names = source
    path = tmp_path / "nightly.mirror_list.yml"
    (tmp_path / "more.yml").write_text(json.dumps([{"src": f"{registry.host}/{name}"} for name in names[3:6]]))
    path.write_text(
        json.dumps(
            {
                "plugin": "longshore.oci.mirror_list",
                "dest": [f"{second_registry.host}/{repository}/"],
                "mappings": [{"src": f"{registry.host}/{name}", "tags": {"names": ["2.0"]}} for name in names[:3]],
                "files": ["more.yml"],
            }
        )
    )
    prefix = f"{second_registry.host}/{repository}".replace("/", "+").replace(":", "+")
    one = awx.run(MIRROR, path, plain(), "--limit", f"{prefix}+app00")
    assert shares(one) == {f"{prefix}+app00": {f"{second_registry.host}/{repository}/app00:2.0"}}
    every = awx.run(MIRROR, path, plain(mirror_hosts="to_127_0_0_1*"), "--forks", "3")
    assert every.status == "successful", every.output
    found = shares(every)
    assert set(found) == {f"{prefix}+app0{number}" for number in range(6)}
    assert found[f"{prefix}+app05"] == {f"{second_registry.host}/{repository}/app05:{tag}" for tag in ("1.0", "2.0")}
    changed = {host for host, result in every.results(TASK).items() if result["changed"]}
    assert changed == set(found) - {f"{prefix}+app00"}


def test_as_awx_runs_it_with_a_survey_and_a_credential(
    awx: Awx, source: tuple[Registry, list[str]], registry_tls: Registry, repository: str, tmp_path: pathlib.Path
) -> None:
    registry, names = source
    listed = tmp_path / "list.yml"
    listed.write_text(json.dumps({"mappings": [{"src": f"{registry.host}/{name}"} for name in names[:4]]}))
    survey = {
        "mirror_list": str(listed), "mirror_repositories": "", "mirror_newest": "",
        "image_mirror_dest": f"{registry_tls.host}/{repository}/", "image_mirror_prune": "false",
        "image_mirror_src_plain_http": "true", "image_mirror_dest_ca_path": str(registry_tls.ca),
        "image_mirror_bandwidth_limit": "350k",
    }
    credential = {"LONGSHORE_DEST_USERNAME": USER, "LONGSHORE_DEST_PASSWORD": PASSWORD}
    job = awx.run(MIRROR, inventory("mirror1"), survey, environment=credential)
    assert job.status == "successful", job.output
    assert job.results(TASK)["mirror1"]["counts"]["copied"] == 8
    summary = job.stats["image_mirror"]["mirror1"]
    assert (summary["share"], summary["shares"], summary["counts"]["copied"]) == (0, 1, 8)
    lines = [event for event in job.verbose() if event["stdout"].startswith("[mirror1] ")]
    assert any(re.search(r"\d of 8 images, .* of .*, .*/s", event["stdout"]) for event in lines), job.output
    # They belong to the task, and come before its end.
    (end,) = [event for event in job.events if event["event"] == "runner_on_ok" and event["event_data"]["task"] == TASK]
    for event in lines:
        assert event["parent_uuid"] == end["parent_uuid"] and event["counter"] < end["counter"]

    wrong_one = {**credential, "LONGSHORE_DEST_PASSWORD": f"{PASSWORD}-wrong"}
    wrong = awx.run(MIRROR, inventory("mirror1"), survey, environment=wrong_one)
    assert wrong.status == "failed" and "401" in json.dumps(wrong.results(TASK))
    assert wrong.stats["image_mirror"]["mirror1"]["failed"]
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode().rstrip("=")
    seen = 0
    for left in (job, wrong):
        for path in left.artifacts.rglob("*"):
            # Not ansible-runner's own note of the environment that it was given, which AWX masks.
            if path.is_file() and path.name != "command":
                seen += 1
                text = path.read_text("utf-8", "replace")
                for form in (PASSWORD, json.dumps(PASSWORD)[1:-1], urllib.parse.quote(PASSWORD, safe=""), basic):
                    assert form not in text, path
    assert seen > 20
