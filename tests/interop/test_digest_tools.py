# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup and the filters, templated by Ansible: against a registry, and against skopeo."""

from __future__ import annotations

import base64
import json
import pathlib
import subprocess
import sys

import pytest

from ansible_collections.longshore.oci.tests.interop.accounts import PASSWORD, USER
from ansible_collections.longshore.oci.tests.servers import images

AUTHORIZATION = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@pytest.fixture
def template(module, tmp_path):
    """Evaluates an expression with ansible-playbook: its value, or the output of the play if that fails."""

    def evaluate(expression, **variables):
        report = tmp_path / "report.json"
        report.unlink(missing_ok=True)
        copy = {"content": "{{ {'value': value} | to_json }}", "dest": str(report), "mode": "0600"}
        task = {"ansible.builtin.copy": copy, "vars": {"value": "{{ " + expression + " }}"}}
        play = [{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": [task]}]
        playbook = tmp_path / "play.json"
        playbook.write_text(json.dumps(play))
        command = [str(pathlib.Path(sys.executable).with_name("ansible-playbook")), "-vvv", str(playbook)]
        done = subprocess.run(command, env=module.whole_environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            return None, done.stdout + done.stderr
        return json.loads(report.read_text())["value"], done.stdout + done.stderr

    return evaluate


def lookup(*terms, **options):
    arguments = [repr(str(term)) for term in terms] + [f"{name}={value!r}" for name, value in options.items()]
    return f"query('longshore.oci.digest', {', '.join(arguments)})"


def test_a_digest_costs_one_head(template, registry, repository):
    content = images.sample()
    images.push(registry, repository, content, ["1.0"])
    name = f"{registry.host}/{repository}:1.0"
    mark = registry.mark()
    value, unused = template(lookup(name, plain_http=True))
    assert value == [content.digest]
    assert [one.method for one in registry.requests_since(mark)] == ["HEAD"]
    value, unused = template(lookup(name, name, plain_http=True, pinned=True))
    assert value == [f"{name}@{content.digest}"] * 2


def test_the_digest_of_one_platform(template, registry, repository):
    content = images.sample(["linux/amd64", "linux/arm64"])
    images.push(registry, repository, content, ["1.0"])
    name = f"{registry.host}/{repository}:1.0"
    value, unused = template(lookup(name, plain_http=True, platform="linux/arm64", pinned=True))
    assert value == [f"{name}@{content.images[1].digest}"]
    value, output = template(lookup(name, plain_http=True, platform="linux/s390x"))
    assert value is None and "has no image for linux/s390x; it has linux/amd64, linux/arm64" in output


def test_options_from_variables_and_the_environment(template, module, registry_tls, repository):
    content = images.sample()
    digest = images.push(registry_tls, repository, content, ["1"], authorization=AUTHORIZATION)
    name = f"{registry_tls.host}/{repository}:1"
    # As inventories have them: templates of other variables.
    variables = {
        "account": USER,
        "secret": PASSWORD,
        "place": str(registry_tls.ca),
        "longshore_username": "{{ account }}",
        "longshore_password": "{{ secret }}",
        "longshore_ca_path": "{{ place }}",
        "longshore_validate_certs": "{{ true }}",
    }
    assert template(lookup(name), **variables)[0] == [digest]
    module.environment |= {"LONGSHORE_USERNAME": USER, "LONGSHORE_PASSWORD": PASSWORD}
    assert template(lookup(name, ca_path=str(registry_tls.ca)))[0] == [digest]
    # What is given comes before both.
    value, output = template(lookup(name, password="wrong-one"), **variables)
    assert value is None and "rejected the credentials" in output


def test_no_failure_shows_a_secret(template, registry_tls, repository):
    name = f"{registry_tls.host}/{repository}:1"
    for options in ({}, {"validate_certs": False}, {"ca_path": str(registry_tls.ca), "platform": "linux/amd64"}):
        login = {"longshore_username": "somebody", "longshore_password": "{{ 'hunter' ~ 2 }}"}
        value, output = template(lookup(name, **options), **login)
        assert value is None and name in output
        assert "hunter2" not in output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"validate_certs": "ture"}, "validate_certs must be true or false, not 'ture'"),
        ({"username": "robot"}, "username is given without password"),
        ({"timeout": 0}, "timeout must be more than 0"),
        ({"platform": "arm"}, "invalid platform 'arm'"),
    ],
)
def test_options_that_cannot_be_meant(template, options, words):
    value, output = template(lookup("registry.example.com/app:1", **options))
    assert value is None and words in output


def test_an_empty_option_is_not_given(template, registry, repository):
    digest = images.push(registry, repository, images.sample(), ["1"])
    options = {"plain_http": True, "validate_certs": "", "username": "", "platform": "", "pinned": ""}
    assert template(lookup(f"{registry.host}/{repository}:1", **options))[0] == [digest]


def test_what_is_not_there(template, registry, repository):
    name = f"{registry.host}/{repository}:1"
    value, output = template(lookup(name, plain_http=True))
    assert value is None and name in output and "404" in output
    assert template("lookup('longshore.oci.digest', '" + name + "', plain_http=true, errors='ignore') or 'none'")[0] == "none"


def test_places_that_are_no_registry(template, module, registry, repository, tmp_path):
    digest = images.push(registry, repository, images.sample(), ["1"])
    archive = f"oci-archive:{tmp_path}/a.tar:app"
    made = module("image_copy", src=f"{registry.host}/{repository}:1", dest=archive, src_plain_http=True)
    assert not made.get("failed"), made
    assert template(lookup(archive))[0] == [digest]
    value, output = template(lookup(archive, pinned=True))
    assert value is None and "only images in a registry have a name with a digest" in output


def test_the_filters(template):
    digest = "sha256:" + "a" * 64
    for expression, expected in (
        ("('nginx' | longshore.oci.parse_reference).repository", "library/nginx"),
        ("'nginx' | longshore.oci.normalise_reference", "docker.io/library/nginx:latest"),
        ("'nginx' | longshore.oci.normalise_reference(default_tag=false)", "docker.io/library/nginx"),
        ("'nginx' | longshore.oci.same_reference('docker.io/nginx:latest')", True),
        (f"['a', 'b:1', 'c@{digest}'] | map('longshore.oci.parse_reference') | map(attribute='tag') | list", [None, "1", None]),
    ):
        assert template(expression)[0] == expected, expression
    value, output = template("'Nginx' | longshore.oci.normalise_reference")
    assert value is None and "must be lower case" in output


def test_the_digest_of_a_file_is_skopeos(template, skopeo, tmp_path):
    manifest = tmp_path / "manifest.json"
    plain = images.sample().top.data
    for raw in (plain, json.dumps(json.loads(plain), indent=3).encode() + b"\n"):
        manifest.write_bytes(raw)
        theirs = skopeo.run("manifest-digest", str(manifest)).decode().strip()
        read = f"lookup('ansible.builtin.file', '{manifest}', rstrip=false)"
        assert template(f"{read} | longshore.oci.manifest_digest")[0] == theirs
        slurped = f"(lookup('ansible.builtin.pipe', 'base64 -w0 {manifest}') | b64decode)"
        assert template(f"{slurped} | longshore.oci.manifest_digest")[0] == theirs
    assert template(f"{read} | longshore.oci.manifest_digest(algorithm='sha512')")[0].startswith("sha512:")
    value, output = template(f"'{manifest}' | longshore.oci.manifest_digest")
    assert value is None and "manifest_digest" in output
