# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry's configuration: made of settings, checked key by key, with its secrets kept out of it."""

from __future__ import annotations

import base64

import pytest
import yaml

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.longshore.oci.plugins.module_utils.operations import registry_environment as environment
from ansible_collections.longshore.oci.plugins.module_utils.operations.registry_config import merged, render
from ansible_collections.longshore.oci.plugins.module_utils.operations.registry_schema import problems

BASE = {
    "listen": ":5000",
    "htpasswd": "/etc/r/auth/htpasswd",
    "certificate": "/etc/r/tls/registry.crt",
    "key": "/etc/r/tls/registry.key",
    "storage": {"path": "/srv/r"},
}
S3 = {"driver": "s3", "bucket": "images", "region": "eu", "regionendpoint": "http://minio:9000"}


def made(series="2.8", **settings):
    return render({**BASE, **settings}, series)


def refused(series="2.8", **settings):
    with pytest.raises(InvalidInput) as caught:
        made(series, **settings)
    return caught.value.message


def extra(path, value):
    """config_extra with ``value`` at a dotted path."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def test_the_whole_of_a_plain_registry():
    assert made().config == {
        "version": 0.1,
        "log": {"level": "info", "formatter": "text", "accesslog": {"disabled": False}},
        "storage": {
            "filesystem": {"rootdirectory": "/srv/r"},
            "delete": {"enabled": True},
            "redirect": {"disable": False},
            "cache": {"blobdescriptor": "inmemory"},
            "maintenance": {
                "uploadpurging": {"enabled": True, "age": "24h", "interval": "24h", "dryrun": False},
                "readonly": {"enabled": False},
            },
        },
        "auth": {"htpasswd": {"realm": "registry", "path": "/etc/r/auth/htpasswd"}},
        "http": {
            "addr": ":5000",
            "relativeurls": False,
            "draintimeout": "60s",
            "headers": {},
            "tls": {"certificate": "/etc/r/tls/registry.crt", "key": "/etc/r/tls/registry.key", "minimumtls": "tls1.2"},
        },
        "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
    }
    assert made().environment == {}
    assert made().storage_identity == "filesystem:/srv/r"


@pytest.mark.parametrize("series", ["2.8", "3"])
def test_the_second_configuration_differs_in_one_thing(series):
    rendered = made(series)
    maintenance = rendered.readonly["storage"]["maintenance"]
    assert maintenance["readonly"] == {"enabled": True}
    maintenance["readonly"] = {"enabled": False}
    assert rendered.readonly == rendered.config


def test_a_twin_leaves_the_uploads_of_others_alone():
    assert made(readonly=True).config["storage"]["maintenance"]["uploadpurging"]["enabled"] is False
    rendered = made(upload_purging={"age": "12h"})
    assert rendered.config["storage"]["maintenance"]["uploadpurging"] == {
        "enabled": True, "age": "12h", "interval": "24h", "dryrun": False,
    }  # fmt: skip


def test_what_a_survey_answers_is_read_as_what_is_meant():
    config = made(delete="false", redirect="no", metrics="True", metrics_listen="127.0.0.1:9001", access_log="off").config
    assert config["storage"]["delete"] == {"enabled": False} and config["storage"]["redirect"] == {"disable": True}
    assert config["http"]["debug"] == {"addr": "127.0.0.1:9001", "prometheus": {"enabled": True, "path": "/metrics"}}
    assert config["log"]["accesslog"] == {"disabled": True}
    assert "registry_delete takes true or false" in refused(delete="perhaps")
    assert "registry_headers takes keys and values" in refused(headers="X: y")
    assert "registry_notifications takes a list" in refused(notifications={"url": "http://x"})
    assert "registry_log_level takes text" in refused(log_level=["info"])


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("http.tls.certifcate", "/x", "http.tls.certifcate is no key of the registry's configuration. Do you mean certificate?"),
        ("htp", {}, "htp is no key of the registry's configuration. Do you mean http?"),
        ("storage.delete.enabled", "true", "storage.delete.enabled takes true or false, unquoted, not text"),
        ("storage.redirect.disable", "true", "storage.redirect.disable takes true or false, unquoted, not text"),
        ("storage.maintenance.readonly.enabled", "true", "storage.maintenance.readonly.enabled takes true or false"),
        ("storage.maintenance.uploadpurging.interval", None, "storage.maintenance.uploadpurging.interval is missing"),
        ("storage.cache.blobdescriptor", "memory", "storage.cache.blobdescriptor is one of inmemory, redis, not 'memory'"),
        ("storage.s3", {"bucket": "b", "region": "r"}, "storage takes exactly one driver, and filesystem, s3 is given"),
        ("storage.filesystem", None, "storage takes exactly one driver, and none is given"),
        ("http.draintimeout", 60, "http.draintimeout takes a duration such as 30s, 10m or 24h, not a number"),
        ("http.draintimeout", "60", "http.draintimeout takes a duration"),
        ("http.headers", {"X": "y"}, "http.headers.X takes a list, not text"),
        ("http.tls.key", None, "http.tls.certificate and http.tls.key go together"),
        ("http.tls.letsencrypt", {"cachefile": "/x"}, "http.tls.letsencrypt and http.tls.certificate exclude each other"),
        ("http.tls.minimumtls", "1.2", "http.tls.minimumtls is one of tls1.0, tls1.1, tls1.2, tls1.3, not '1.2'"),
        ("http.addr", 5000, "http.addr takes text, not a number"),
        ("log.level", "trace", "log.level is one of error, warn, info, debug, not 'trace'"),
        ("log", [], "log takes keys and values, not a list"),
        ("catalog.maxentries", True, "catalog.maxentries takes a whole number, not the boolean true"),
        ("auth.token", {"realm": "r", "service": "s", "issuer": "i"}, "auth takes exactly one of htpasswd, token"),
        ("storage.cache.blobdescriptor", "redis", "redis.addr is missing: storage.cache uses redis"),
        ("notifications.endpoints", [{"url": "http://x"}], "notifications.endpoints[0].name is missing"),
        ("notifications.endpoints", [{"name": "n", "url": "u", "retries": 3}], "notifications.endpoints[0].retries is no key"),
        ("proxy.username", "u", "proxy.remoteurl is missing"),
        ("health.storagedriver.threshold", "3", "health.storagedriver.threshold takes a whole number, not text"),
        ("log.fields", {1: "x"}, "log.fields takes text as its keys"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("series", ["2.8", "3"])
def test_what_is_wrong_is_named(series, path, value, message):
    message = message.replace("redis.addr ", "redis.addrs ") if series == "3" else message
    assert message in refused(series, config_extra=extra(path, value))


@pytest.mark.parametrize(
    ("path", "value", "series"),
    [
        ("storage.tag.concurrencylimit", 8, "3"),
        ("storage.cache.blobdescriptorsize", 1000, "3"),
        ("http.h2c.enabled", True, "3"),
        ("http.tls.clientauth", "require-any-client-cert", "3"),
        ("log.reportcaller", True, "3"),
        ("redis.addrs", ["x:1"], "3"),
        ("tags.maxtags", 100, "3"),
        ("validation.manifests.indexes.platforms", "none", "3"),
        ("redis.addr", "x:1", "2.8"),
        ("redis.pool.maxidle", 2, "2.8"),
        ("reporting.newrelic.name", "x", "2.8"),
        ("compatibility.schema1.enabled", True, "2.8"),
    ],
)
def test_what_one_series_alone_knows(path, value, series):
    made(series, config_extra=extra(path, value))
    other = "3" if series == "2.8" else "2.8"
    assert f"is known to series {series} only, and this registry is of series {other}" in refused(
        other, config_extra=extra(path, value)
    )


def test_old_protocols_are_for_the_old_series():
    made("2.8", tls_minimum="tls1.1")
    assert "http.tls.minimumtls is tls1.2 or tls1.3 in series 3, not tls1.1" in refused("3", tls_minimum="tls1.1")


def test_drivers_that_series_3_has_no_more():
    swift = {"driver": "swift", "authurl": "http://x", "container": "c"}
    made("2.8", storage=swift)
    assert "storage.swift is known to series 2.8 only" in refused("3", storage=swift)
    assert "storage.floppy is no key" in refused(storage={"driver": "floppy"})


def test_everything_that_is_wrong_is_named_at_once():
    message = refused(config_extra={"logg": {}, "http": {"adr": ":1", "relativeurls": "no"}})
    assert [word in message for word in ("logg", "http.adr", "http.relativeurls")] == [True] * 3


def test_values_that_are_wrong_are_not_shown():
    assert "hunter2" not in refused(config_extra={"redis": {"password": ["hunter2"], "pass": "hunter2"}})


def test_path_style_stays_what_it_was_over_an_upgrade():
    assert "forcepathstyle" not in made("2.8", storage=S3).config["storage"]["s3"]
    assert made("3", storage=S3).config["storage"]["s3"]["forcepathstyle"] is True
    assert made("3", storage={**S3, "forcepathstyle": False}).config["storage"]["s3"]["forcepathstyle"] is False
    made("2.8", storage={**S3, "forcepathstyle": True})
    assert "registry_storage.forcepathstyle" in refused("2.8", storage={**S3, "forcepathstyle": False})
    aws = {"driver": "s3", "bucket": "images", "region": "eu"}
    assert made("3", storage=aws).config["storage"]["s3"] == {"bucket": "images", "region": "eu"}
    assert "storage.s3.region is missing" in refused(storage={"driver": "s3", "bucket": "b"})


def test_names_of_storages():
    assert made(storage=S3).storage_identity == "s3:images/@http://minio:9000"
    assert made(storage={**S3, "rootdirectory": "/team/"}).storage_identity == "s3:images/team@http://minio:9000"
    assert made(storage={**S3, "accesskey": "AK", "secretkey": "SK"}).storage_identity == made(storage=S3).storage_identity


def test_redis_as_each_series_has_it():
    redis = {"address": "127.0.0.1:6379", "db": 2, "password": "hunter2"}
    old, new = (made(series, cache="redis", redis=redis) for series in ("2.8", "3"))
    assert old.config["redis"] == {"db": 2, "addr": "127.0.0.1:6379"}
    assert new.config["redis"] == {"db": 2, "addrs": ["127.0.0.1:6379"]}
    assert old.environment == new.environment == {"REGISTRY_REDIS_PASSWORD": "hunter2"}
    assert made("3", redis={**redis, "tls": True}).config["redis"]["tls"] == {"enabled": True}
    assert "redis.tls is known to series 3 only" in refused("2.8", redis={**redis, "tls": True})
    assert "registry_cache is one of inmemory, redis, none" in refused(cache="disk")
    assert "cache" not in made(cache="none").config["storage"]


def test_no_secret_is_in_the_configuration():
    rendered = made(
        storage={**S3, "accesskey": "AKIA1", "secretkey": "wJal/K7+b"},
        proxy={"url": "https://hub.example.com", "username": "robot", "password": "pass word"},
        notifications=[{"name": "n", "url": "http://x/", "headers": {"Authorization": ["Bearer it's"]}}],
    )
    text = str([rendered.config, rendered.readonly])
    assert not [word for word in ("AKIA1", "wJal", "pass word", "robot", "Bearer") if word in text]
    assert rendered.environment["REGISTRY_STORAGE_S3_SECRETKEY"] == "wJal/K7+b"
    assert rendered.config["proxy"] == {"remoteurl": "https://hub.example.com"}
    assert rendered.config["notifications"] == {"endpoints": [{"name": "n", "url": "http://x/"}]}
    assert yaml.safe_load(rendered.environment["REGISTRY_NOTIFICATIONS"]) == {
        "endpoints": [{"name": "n", "url": "http://x/", "headers": {"Authorization": ["Bearer it's"]}}]
    }
    assert "hunter" not in repr(made(redis={"address": "x:1", "password": "hunter"}))
    assert not rendered.has_secrets
    assert made(config_extra={"http": {"secret": "x"}}).has_secrets
    assert made(config_extra={"health": {"http": [{"uri": "http://x", "headers": {"A": ["b"]}}]}}).has_secrets


def test_headers_of_notifications_are_checked_as_well():
    wrong = [{"name": "n", "url": "http://x/", "headers": {"Authorization": "Bearer x"}}]
    assert "notifications.endpoints[0].headers.Authorization takes a list" in refused(notifications=wrong)


@pytest.mark.parametrize(
    "value", ["hunter2", "0123", "1e3", "true", "null", "~", "a b", " a", "a'b", 'a"b', "a\\b", "#a", "ä", "{a", "5"]
)
def test_text_in_the_environment_is_the_same_text_to_every_reader(value):
    written = environment.text(value)
    assert not set(written) & set("\\\n\"'") and written.strip() == written
    read = yaml.safe_load(written)
    assert (read if isinstance(read, str) else read.decode()) == value


def test_trees_in_the_environment():
    tree = {"a": ["x", "it's", 5, True, None, {"b": []}], "c: d": "{e}"}
    assert yaml.safe_load(environment.tree(tree)) == tree
    assert "\\" not in environment.tree({"a": "b\\c"})
    assert base64.b64encode(b"b\\c").decode() in environment.tree({"a": "b\\c"})


def test_laying_one_over_the_other():
    base = {"a": {"b": 1, "c": [1]}, "d": 2}
    laid = merged(base, {"a": {"c": [2], "e": 3}, "d": None, "f": {"g": None}})
    assert laid == {"a": {"b": 1, "c": [2], "e": 3}, "f": {"g": None}}
    assert base == {"a": {"b": 1, "c": [1]}, "d": 2}


def test_the_storage_in_memory_may_be_left_bare():
    assert problems({"version": 0.1, "storage": {"inmemory": None}}, "2.8") == []


def test_an_unknown_series():
    assert "series is one of 2.8, 3, not '4'" in refused("4")
