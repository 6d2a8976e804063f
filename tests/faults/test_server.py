# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry that plays faults: where it plays none it is one, and what it plays is what it is told to."""

from __future__ import annotations

import http.client
import json
import ssl

import pytest

from ansible_collections.longshore.oci.tests.faults.places import PASSWORD, USER
from ansible_collections.longshore.oci.tests.faults.server import HEADER, FaultRegistry, Kind, on
from ansible_collections.longshore.oci.tests.faults.server.faults import refused
from ansible_collections.longshore.oci.tests.faults.server.registry import HOME
from ansible_collections.longshore.oci.tests.faults.server.registry import OTHER as OTHER_HOME
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo

CONTENT = images.sample(seed=9)
IMAGE = images.image("linux/amd64", [images.noise_layer(20_000, seed=1)])


CHALLENGES = {"none": "", "login": 'Bearer realm="{home}/token",service="faulty"', "basic": 'Basic realm="faulty"'}


@pytest.mark.parametrize("scenario", CHALLENGES)
def test_the_reference_client_pulls_and_pushes(scenario):
    """Another client's word for it that it speaks as a registry does. skopeo takes its challenge from /v2/."""
    challenge = refused(401, "UNAUTHORIZED", headers={"WWW-Authenticate": CHALLENGES[scenario]})
    with FaultRegistry(base=[on(Kind.BASE, challenge)] if CHALLENGES[scenario] else ()) as faulty:
        source, dest = faulty.put(scenario, CONTENT), faulty.repository(scenario)
        credentials = f"{USER}:{PASSWORD}" if CHALLENGES[scenario] else None
        Skopeo().copy(
            f"docker://{faulty.host}/{source}:1",
            f"docker://{faulty.host}/{dest}:1",
            source_credentials=credentials,
            destination_credentials=credentials,
        )
        assert faulty.storage[dest].tags == {"1": CONTENT.digest}
        log = faulty.log.of(dest)
        assert len(log.writes) and all(one.status in (200, 201, 202, 204, 404) for one in log), str(log)


def get(host, target, headers=None, context=None):
    """One GET: status, headers, body."""
    kind = http.client.HTTPConnection if context is None else http.client.HTTPSConnection
    connection = kind(host, timeout=10, **({} if context is None else {"context": context}))
    try:
        connection.request("GET", target, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_it_is_there_at_four_origins(faulty):
    repository = faulty.put("none", IMAGE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(str(faulty.ca))
    for address in (HOME, OTHER_HOME):
        for tls in (False, True):
            origin = faulty.origin(address, tls)
            host = origin.partition("://")[2]
            status, unused, body = get(host, f"/v2/{repository}/manifests/1", context=context if tls else None)
            assert (status, body) == (200, IMAGE.manifest.data)
            assert faulty.log.of(repository)[-1].origin == origin
    with FaultRegistry(tls=True) as secure:
        assert secure.origin().startswith("https://") and secure.host == secure.origin(HOME, True).partition("://")[2]


def test_a_header_chooses_a_scenario(faulty):
    repository = faulty.put("none", IMAGE)
    target = f"/v2/{repository}/manifests/1"
    assert get(faulty.host, target)[0] == 200
    assert get(faulty.host, target, {HEADER: "lasting451"})[0] == 451
    assert faulty.log.of(repository)[-1].faults == ["451 DENIED"]


def test_the_log_keeps_no_secret(faulty):
    repository = faulty.put("none", IMAGE)
    get(faulty.host, f"/v2/{repository}/manifests/1", {"Authorization": "Bearer of-a-secret", "X-Other": "shown"})
    entry = faulty.log.of(repository)[-1]
    assert entry.scheme == "bearer" and entry.credential and entry.headers["x-other"] == "shown"
    assert "of-a-secret" not in repr(entry)


def test_tags_come_in_pages(faulty):
    repository = faulty.put("none", IMAGE, [f"t{number}" for number in range(5)])
    status, headers, body = get(faulty.host, f"/v2/{repository}/tags/list?n=2")
    assert (status, json.loads(body)["tags"]) == (200, ["t0", "t1"])
    assert headers["Link"] == f'</v2/{repository}/tags/list?n=2&last=t1>; rel="next"'


def met(seed, module):
    """What a copy meets on a server of its own under a schedule, and whether it succeeded."""
    with FaultRegistry() as faulty:
        faulty.storage.put("team/source", CONTENT)
        with faulty.schedule(seed, rate=0.3) as schedule:
            options = {"src_plain_http": True, "dest_plain_http": True, "parallel": 4, "retries": 8}
            result = module("image_copy", src=f"{faulty.host}/team/source:1", dest=f"{faulty.host}/team/dest:1", **options)
        first = {(one.method, one.path.partition("/uploads/")[0]): one.fault.name for one in reversed(schedule.met)}
        if not result.get("failed"):
            assert faulty.storage["team/dest"].tags == {"1": CONTENT.digest}
        else:
            assert "unexpected" not in result["msg"] and not faulty.storage["team/dest"].tags, result
        return first


def test_a_seed_gives_the_same_faults_again(module):
    """A request meets first what it met first before, whatever the order in which requests came."""
    one, two = met(7, module), met(7, module)
    assert one and {key: fault for key, fault in one.items() if key in two and two[key] != fault} == {}
    assert met(8, module) != one


def test_nothing_is_played_once_a_schedule_is_over(faulty):
    repository = faulty.put("none", IMAGE)
    with faulty.schedule(seed=1, rate=1.0, most=1_000):
        pass
    assert get(faulty.host, f"/v2/{repository}/manifests/1")[0] == 200
    assert faulty.log.of(repository, Kind.GET_MANIFEST)[-1].faults == []
