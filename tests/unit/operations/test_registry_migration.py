# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read out of the configuration and the environment of a registry that runs by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.operations.registry_config import render
from ansible_collections.longshore.oci.plugins.module_utils.operations.registry_migration import Plan, Source, plan
from ansible_collections.longshore.oci.plugins.module_utils.operations.registry_overrides import effective
from ansible_collections.longshore.oci.plugins.module_utils.operations.registry_schema import SCHEMA

HASH = "$2y$05$" + "k" * 53

#: As Debian's package has it.
DEBIAN: dict[str, Any] = {
    "version": 0.1,
    "log": {"fields": {"service": "registry"}},
    "storage": {
        "cache": {"blobdescriptor": "inmemory"},
        "filesystem": {"rootdirectory": "/var/lib/docker-registry"},
        "delete": {"enabled": True},
    },
    "http": {"addr": ":5000", "headers": {"X-Content-Type-Options": ["nosniff"]}},
    "auth": {"htpasswd": {"realm": "basic-realm", "path": "/etc/docker/registry"}},
    "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
}


def parse(text: str) -> Any:
    """YAML, as far as these tests need it: JSON, or text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def package(**changes: Any) -> Source:
    return Source("package", {**DEBIAN, **changes}, htpasswd=f"alice:{HASH}\n")


def container(environment: dict[str, str] | None = None, **given: Any) -> Source:
    defaults: dict[str, Any] = {
        "config": {key: value for key, value in DEBIAN.items() if key != "auth"},
        "mounts": {"/var/lib/docker-registry": "/srv/images", "/certs": "/etc/ssl/registry"},
        "ports": {"5000": [("0.0.0.0", 443), ("::", 443)]},
        "image": "registry:2",
        "extracted": "/extracted",
    }
    return Source("container", environment=environment or {}, **{**defaults, **given})


def rendered(made: Plan, series: str = "2.8") -> dict[str, Any]:
    """The configuration that the role makes of the variables."""
    given = {name[len("registry_") :]: value for name, value in made.variables.items()}
    return render({**given, "htpasswd": "/users", "listen": "", "certificate": "", "key": ""}, series).config


@pytest.mark.parametrize(
    ("environment", "changed"),
    [
        ({"REGISTRY_HTTP_SECRET": "abc"}, {"http": {"secret": "abc", "addr": ":1"}}),
        ({"REGISTRY_STORAGE_DELETE_ENABLED": "true"}, {"storage": {"filesystem": {}, "delete": {"enabled": True}}}),
        ({"REGISTRY_STORAGE": "s3", "REGISTRY_STORAGE_S3_BUCKET": "b"}, {"storage": {"filesystem": {}, "s3": {"bucket": "b"}}}),
        ({"REGISTRY_AUTH_HTPASSWD_PATH": "/x", "REGISTRY_AUTH": "htpasswd"}, {"auth": {"htpasswd": {"path": "/x"}}}),
        ({"REGISTRY_AUTH": "none"}, {"auth": {}}),
        ({"REGISTRY_HTTP_HEADERS": '{"A": ["b"]}'}, {"http": {"addr": ":1", "headers": {"A": ["b"]}}}),
        ({"REGISTRY_PORT": "tcp://10.0.0.1", "REGISTRY_SERVICE_HOST": "10.0.0.1", "PATH": "/bin"}, {}),
    ],
)
def test_what_the_environment_lays_over(environment: dict[str, str], changed: dict[str, Any]) -> None:
    config = {"version": 0.1, "storage": {"filesystem": {}}, "http": {"addr": ":1"}}
    before = json.dumps(config)
    assert effective(config, environment, parse, SCHEMA) == ({**config, **changed}, [])
    assert json.dumps(config) == before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("REGISTRY_NONSENSE", "no key of the configuration"),
        ("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "has no effect on a registry"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL", "an element of a list"),
    ],
)
def test_what_of_the_environment_is_told(name: str, words: str) -> None:
    made, warnings = effective({"version": 0.1}, {name: "of-no-concern"}, parse, SCHEMA)
    assert made == {"version": 0.1}
    assert len(warnings) == 1 and name in warnings[0] and words in warnings[0]
    assert "of-no-concern" not in warnings[0]


def test_debians_default() -> None:
    made = plan(package(), parse)
    assert made.blockers == {}
    assert made.htpasswd == "/etc/docker/registry"
    variables = made.variables
    assert variables["registry_deployment"] == "package"
    assert variables["registry_storage"] == {"driver": "filesystem", "path": "/var/lib/docker-registry"}
    assert (variables["registry_port"], variables["registry_bind_address"]) == (5000, "")
    assert variables["registry_users"] == [{"name": "alice", "hash": HASH}]
    assert variables["registry_upload_purging"] == {"enabled": True, "age": "168h", "interval": "24h", "dryrun": False}
    assert (variables["registry_tls"], variables["registry_anonymous"]) == ("none", False)
    assert variables["registry_config_extra"]["log"] == {"fields": {"service": "registry"}}
    assert any("plain HTTP" in one for one in made.warnings)
    config = rendered(made)
    assert config["log"]["fields"] == {"service": "registry"}
    assert config["storage"]["cache"] == {"blobdescriptor": "inmemory"}
    assert config["auth"]["htpasswd"]["realm"] == "basic-realm"


def test_nobody_could_log_in() -> None:
    source = package()
    source.htpasswd = None
    assert list(plan(source, parse).blockers.values()) == ["registry_users"]


def test_a_container_with_everything_in_its_environment() -> None:
    environment = {
        "REGISTRY_AUTH": "htpasswd",
        "REGISTRY_AUTH_HTPASSWD_PATH": "/auth/htpasswd",
        "REGISTRY_AUTH_HTPASSWD_REALM": "Ours",
        "REGISTRY_HTTP_TLS_CERTIFICATE": "/certs/a.crt",
        "REGISTRY_HTTP_TLS_KEY": "/baked/a.key",
        "REGISTRY_HTTP_SECRET": "hidden-1",
    }
    lines = f"alice:{HASH}\n# a comment\nbob:$apr1$old\n\nalice:{HASH[:-1]}l\n"
    made = plan(container(environment, htpasswd=lines), parse)
    assert made.blockers == {}
    variables = made.variables
    assert variables["registry_container_image"] == "registry:2"
    assert (variables["registry_port"], variables["registry_container_network"]) == (443, "bridge")
    assert variables["registry_storage"]["path"] == made.storage == "/srv/images"
    assert variables["registry_tls_certificate_file"] == "/etc/ssl/registry/a.crt"
    assert variables["registry_tls_key_file"] == "/extracted/baked_a.key"
    assert made.extract == {"/baked/a.key": "/extracted/baked_a.key"}
    assert variables["registry_tls_remote_files"] and variables["registry_tls"] == "files"
    assert variables["registry_users"] == [{"name": "alice", "hash": HASH[:-1] + "l"}], "the last one of a name counts"
    assert [one for one in made.warnings if "bob" in one and "bcrypt" in one]
    assert variables["registry_http_secret"] == "hidden-1"
    assert "hidden-1" not in str(made.shown()) and HASH[:20] not in str(made.shown())
    assert "hidden-1" not in repr(made)


def test_places_that_are_on_no_volume() -> None:
    made = plan(container(mounts={}), parse)
    assert list(made.blockers.values()) == ["registry_storage"]
    made = plan(container(anonymous_volumes=["/srv/images"]), parse)
    assert made.blockers == {} and any("without a name" in one for one in made.warnings)
    # The longest mount counts.
    mounts = {"/var/lib": "/a", "/var/lib/docker-registry": "/b"}
    assert plan(container(mounts=mounts), parse).storage == "/b"


@pytest.mark.parametrize(
    ("given", "port", "address"),
    [
        ({"ports": {"5000": [("127.0.0.1", 8080)]}}, 8080, "127.0.0.1"),
        ({"ports": {}, "host_network": True}, 5000, ""),
        ({"ports": {"5000": [("", 80), ("", 81)]}}, 80, ""),
    ],
)
def test_ports(given: dict[str, Any], port: int, address: str) -> None:
    made = plan(container(**given), parse)
    assert (made.variables["registry_port"], made.variables["registry_bind_address"]) == (port, address)


def test_a_container_that_publishes_nothing() -> None:
    assert list(plan(container(ports={}), parse).blockers.values()) == ["registry_port"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"http": {"addr": ":5000", "tls": {"certifcate": "/x"}}}, "http.tls.certifcate is nothing"),
        ({"tags": {"maxtags": 5}}, "tags is nothing that a registry of series 2.8 reads"),
        ({"http": {"addr": ":5000", "debug": {"addr": ":5001"}}}, "the debug server at :5001 is left out"),
        (
            {"http": {"addr": ":5000", "debug": {"addr": ":5001", "prometheus": {"enabled": True}}}},
            "metrics are served on loopback alone",
        ),
        ({"auth": {}}, "everybody may push and delete"),
    ],
)
def test_what_is_warned_of(changes: dict[str, Any], words: str) -> None:
    made = plan(package(**changes), parse)
    assert any(words in one for one in made.warnings), made.warnings
    rendered(made)


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"auth": {"token": {"realm": "r", "service": "s", "issuer": "i", "rootcertbundle": "/b"}}}, "registry_anonymous"),
        ({"http": {"addr": ":443", "tls": {"letsencrypt": {"cachefile": "/c", "email": "e"}}}}, "registry_tls"),
        ({"storage": {"filesystem": {}, "inmemory": {}}}, "registry_config_extra"),
    ],
)
def test_what_has_to_be_decided_first(changes: dict[str, Any], variable: str) -> None:
    assert variable in plan(package(**changes), parse).blockers.values()


def test_text_for_a_boolean() -> None:
    made = plan(package(storage={"filesystem": {}, "delete": {"enabled": "true"}}), parse)
    assert made.variables["registry_delete"] is False
    assert any("takes for false" in one for one in made.warnings)


def test_a_bucket_a_cache_and_a_proxy() -> None:
    source = package(
        storage={
            "s3": {"bucket": "b", "region": "r", "accesskey": "hidden-1", "secretkey": "hidden-2"},
            "redirect": {"disable": True},
        },
        redis={"addr": "127.0.0.1:6379", "password": "hidden-3"},
        proxy={"remoteurl": "https://docker.io", "username": "u", "password": "hidden-4"},
        notifications={"endpoints": [{"name": "n", "url": "http://u", "headers": {"Authorization": ["hidden-5"]}}]},
        catalog={"maxentries": 5},
    )
    made = plan(source, parse)
    variables = made.variables
    assert variables["registry_storage"]["bucket"] == "b" and made.storage == ""
    assert variables["registry_redirect"] is False
    assert variables["registry_redis"] == {"address": "127.0.0.1:6379", "password": "hidden-3"}
    assert variables["registry_proxy"]["url"] == "https://docker.io"
    assert variables["registry_config_extra"]["catalog"] == {"maxentries": 5}
    assert "hidden" not in str(made.shown())
    config = rendered(made)
    assert config["proxy"]["remoteurl"] == "https://docker.io" and config["catalog"] == {"maxentries": 5}
