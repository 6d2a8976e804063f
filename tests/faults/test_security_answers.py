# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows S8, S18 and S23: answers that are too large, that are no answers, or that are meant to deceive a reader."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ansible_collections.longshore.oci.tests.faults.bent import bent
from ansible_collections.longshore.oci.tests.faults.places import PASSWORD, USER
from ansible_collections.longshore.oci.tests.faults.server import FaultRegistry, Kind, Scenario, on
from ansible_collections.longshore.oci.tests.faults.server.faults import page, refused, with_body
from ansible_collections.longshore.oci.tests.servers import images

IMAGE = images.image("linux/amd64", [images.noise_layer(20_000, seed=1)])
OTHER = images.image("linux/amd64", [images.noise_layer(1000, seed=3)])
LOGIN = {"src_username": USER, "src_password": PASSWORD}
MIB = 1024 * 1024
#: Runs a module in a process whose most memory is told after its result.
LAUNCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=False)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak(process, verb, **options):
    """The result of a module, and the most memory it had, in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *process.command(verb)],
        input=process.arguments(**options),
        env=process.whole_environment(),
        cwd=process.home,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result, memory = done.stdout.strip().splitlines()[-2:]
    return json.loads(result), int(memory) * 1024


TOO_LARGE = {
    "hugeman": "sent 67108864 bytes where at most",
    "infman": "bytes that are sensible",
    "infmanchunks": "bytes that are sensible",
    "inferror": "(HTTP 403",
    "infheader": "an answer that is not valid HTTP",
}


@pytest.mark.parametrize("scenario, sentence", TOO_LARGE.items())
def test_s08_an_answer_without_measure_is_given_up(faults, scenario, sentence):
    """A manifest has 8 MiB at most, a token and an error one (CVE-2020-1702)."""
    outcome = faults.pull(scenario, IMAGE, OTHER, retries=0)
    outcome.failed(sentence)
    assert all(one.sent < 32 * MIB for one in outcome.log)


@pytest.mark.parametrize("scenario", ["tokenlong", "tokenendless"])
def test_s08_nor_is_a_tokens(faults, scenario):
    outcome = faults.pull(scenario, IMAGE, OTHER, retries=0, **LOGIN)
    outcome.failed("sensible")
    assert not len(outcome.log.kind(Kind.GET_BLOB))


def test_s08_memory_is_not_taken_for_what_is_promised(process, faulty):
    """A config of 10 bytes that says it has exabytes, and a manifest without end."""

    def change(document):
        document["config"]["size"] = 2**52

    names = [f"{faulty.host}/{faulty.put('none', bent(IMAGE, change))}:1", f"{faulty.host}/{faulty.put('infman', IMAGE)}:1"]
    for name in names:
        result, memory = peak(process, "image_inspect", name=[name], plain_http=True, config=True)
        assert result["failed"], result
        assert memory < 100 * MIB, memory


HOSTILE = "first\r\nsecond \x1b[31mred\u202e {{ lookup('pipe', 'id') }} "
UNSEEMLY = [chr(one) for one in (*range(32), *range(0x7F, 0xA0), 0x202E, 0x2066)]


@pytest.mark.parametrize("size", [0, 40_000, MIB])
def test_s18_words_of_a_server_are_shown_on_one_line(module, faulty, size):
    scenario = Scenario("hostilewords", (on(Kind.GET_MANIFEST, refused(403, "DENIED", HOSTILE + "x" * size)),))
    repository = faulty.repository(faulty.add(scenario))
    result = module("image_inspect", name=[f"{faulty.host}/{repository}:1"], plain_http=True)
    assert result["failed"] and "(HTTP 403" in result["msg"], result["msg"]
    # Of a megabyte only the beginning is read, which is no JSON any more: it is shown as it is.
    assert "first second  [31mred  {{ lookup('pipe', 'id') }}" in result["msg"] or size == MIB
    assert len(result["msg"]) < 1000 and not [one for one in UNSEEMLY if one in result["msg"]]


def test_s18_annotations_and_labels_are_data(module, faulty):
    def change(document):
        document["annotations"] = {"note": HOSTILE}

    content = bent(images.image("linux/amd64", [images.noise_layer(1000, seed=1)], labels={"note": HOSTILE}), change)
    repository = faulty.put("none", content)
    result = module("image_inspect", name=[f"{faulty.host}/{repository}:1"], plain_http=True, config=True)
    assert not result.get("failed"), result
    text = json.dumps(result, ensure_ascii=False)
    # As data they are what they are, escaped by JSON; what would be a template is plain text of a module's result, which
    # Ansible does not evaluate.
    assert not [one for one in UNSEEMLY if one in text]


def test_s18_signed_urls_are_shown_without_what_signs_them(faults):
    scenario = Scenario(
        "signedurls",
        (
            on(
                Kind.GET_BLOB,
                refused(
                    302,
                    headers={
                        "Location": "{other}/storage/{repository}/blobs/{reference}?X-Amz-Signature=0123456789abcdef&sig=fedcba"
                    },
                ),
            ),
            on(Kind.STORAGE, refused(403, body=b"<Error><Code>AccessDenied</Code></Error>")),
        ),
    )
    outcome = faults.pull(scenario, IMAGE, OTHER)
    outcome.failed("(HTTP 403", status_code=403)
    assert "0123456789abcdef" not in str(outcome.result) and "fedcba" not in str(outcome.result)
    assert outcome.result["url"].endswith("?...")


def test_s18_secrets_in_a_servers_words_are_masked(faults):
    scenario = Scenario("echo", (on(Kind.GET_MANIFEST, refused(403, "DENIED", f"user {USER} password {PASSWORD}")),))
    outcome = faults.pull(scenario, IMAGE, OTHER, **LOGIN)
    outcome.failed("DENIED")
    assert PASSWORD not in str({key: value for key, value in outcome.result.items() if key != "invocation"})


def test_s23_a_page_at_v2_is_no_registry(module):
    """As a wall against robots answers."""
    with FaultRegistry(base=[on(Kind.BASE, page())]) as faulty:
        result = module("registry_info", registry=faulty.host, plain_http=True)
        assert result["failed"] and f"{faulty.host} is not a registry" in result["msg"], result
        assert "with an HTML page; check host and port" in result["msg"]


@pytest.mark.parametrize("scenario", ["pagemanifest", "pageblob", "tokenpage"])
def test_s23_a_page_in_place_of_content_is_no_content(faults, scenario):
    outcome = faults.pull(scenario, IMAGE, OTHER, **(LOGIN if scenario == "tokenpage" else {}))
    outcome.failed("")
    words = {
        "pagemanifest": "is not JSON but a web page",
        "pageblob": "its descriptor promises",
        "tokenpage": "is not JSON but a web page",
    }
    assert words[scenario] in outcome.message


def test_s23_a_page_of_an_error_is_not_quoted(faults):
    scenario = Scenario("errorpage", (on(Kind.GET_MANIFEST, page(b"<html><script>alert(1)</script>" + b"x" * 500_000, 403)),))
    outcome = faults.pull(scenario, IMAGE, OTHER)
    outcome.failed("an HTML page, which no registry sends", status_code=403)
    assert "script" not in str(outcome.result) and len(outcome.message) < 500


def test_s23_a_list_that_is_a_page_is_told(module, faulty):
    scenario = Scenario("pagetags", (on(Kind.TAGS, with_body(b"<html>")),))
    repository = faulty.put(faulty.add(scenario), IMAGE)
    result = module("image_tags", repository=f"{faulty.host}/{repository}", plain_http=True)
    assert result["failed"] and "is not JSON but a web page" in result["msg"], result
