# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry's configuration made from the settings of the role: one whole document, checked, and its secrets beside it."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..model.errors import InvalidInput
from . import registry_environment as environment
from .registry_schema import SERIES, drivers_of, problems
from .registry_storage_schema import NEW, OLD
from .settings import Settings

#: Parameters of storage drivers that are secrets, or come in a pair with one.
_STORAGE_SECRETS = (
    "accesskey", "secretkey", "sessiontoken", "accountkey", "accesskeyid", "accesskeysecret", "password", "tempurlcontainerkey",
)  # fmt: skip
_SECRET_WORDS = ("secret", "password", "accountkey", "secretkey", "accesskeysecret", "private_key", "apikey", "licensekey")


@dataclass(frozen=True)
class Rendered:
    """What a registry of one series is started with."""

    #: The configuration, writable.
    config: dict[str, Any]
    #: The same, but that it refuses writes.
    readonly: dict[str, Any]
    #: Variables of the environment, ready to be written down; secrets.
    environment: dict[str, str] = field(repr=False)
    #: What names the storage: the same for all registries that share it.
    storage_identity: str
    #: Whether the user's own additions brought a secret into the configuration.
    has_secrets: bool


def render(given: Mapping[str, Any], series: str) -> Rendered:
    """The configuration for a registry of ``series`` (2.8 or 3). ``given``: the role's variables without their prefix.

    Raises InvalidInput that names every key that is unknown, misspelt, of the wrong kind, or unknown to the series.
    """
    if series not in SERIES:
        raise InvalidInput(f"series is one of {', '.join(SERIES)}, not '{series}'")
    settings = Settings(given, "registry_")
    secrets: dict[str, str] = {}
    config: dict[str, Any] = {
        "version": 0.1,
        "log": _log(settings),
        "storage": _storage(settings, series, secrets),
        **_auth(settings),
        "http": _http(settings),
        **_redis(settings, series, secrets),
        **_proxy(settings, series, secrets),
        **_notifications(settings),
        "health": {"storagedriver": {"enabled": settings.flag("health", True), "interval": "10s", "threshold": 3}},
    }
    config = merged(config, settings.mapping("config_extra"))
    wrong = problems(config, series)
    if wrong:
        raise InvalidInput("; ".join(wrong))
    _set_aside_headers(config, secrets)
    readonly = copy.deepcopy(config)
    readonly["storage"].setdefault("maintenance", {})["readonly"] = {"enabled": True}
    return Rendered(config, readonly, secrets, _identity(config), _holds_secret(settings.mapping("config_extra")))


def merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """``extra`` laid over ``base``: mappings key by key, anything else replaced; null takes a key out."""
    result = dict(base)
    for key, value in extra.items():
        below = result.get(key)
        if value is None and key in result:
            del result[key]
        elif isinstance(value, Mapping) and isinstance(below, Mapping):
            result[key] = merged(below, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _log(settings: Settings) -> dict[str, Any]:
    return {
        "level": settings.text("log_level", "info"),
        "formatter": settings.text("log_format", "text"),
        "accesslog": {"disabled": not settings.flag("access_log", True)},
    }


def _storage(settings: Settings, series: str, secrets: dict[str, str]) -> dict[str, Any]:
    given = dict(settings.mapping("storage"))
    driver = str(given.pop("driver", "filesystem"))
    if driver == "filesystem" and "path" in given:
        given["rootdirectory"] = given.pop("path")
    if driver == "s3" and given.get("regionendpoint"):
        _path_style(given, series)
    for key in _STORAGE_SECRETS:
        if given.get(key) is not None:
            secrets[f"REGISTRY_STORAGE_{driver.upper()}_{key.upper()}"] = environment.text(str(given.pop(key)))
    cache = settings.text("cache", "inmemory")
    if cache not in ("inmemory", "redis", "none"):
        raise InvalidInput(f"registry_cache is one of inmemory, redis, none, not '{cache}'")
    purging = settings.mapping("upload_purging")
    return {
        driver: given,
        "delete": {"enabled": settings.flag("delete", True)},
        "redirect": {"disable": not settings.flag("redirect", True)},
        **({"cache": {"blobdescriptor": cache}} if cache != "none" else {}),
        "maintenance": {
            # All four have to be there, and a twin that only reads leaves the uploads of others alone.
            "uploadpurging": {
                **{"enabled": not settings.flag("readonly", False), "age": "24h", "interval": "24h", "dryrun": False},
                **purging,
            },
            "readonly": {"enabled": False},
        },
    }


def _path_style(parameters: dict[str, Any], series: str) -> None:
    """Series 2.8 puts the bucket into the path wherever an endpoint is given; series 3 only if it is told."""
    if series == NEW:
        parameters.setdefault("forcepathstyle", True)
    elif parameters.pop("forcepathstyle", True) is not True:
        raise InvalidInput(f"registry_storage.forcepathstyle: series {OLD} knows no other than true with a regionendpoint")


def _auth(settings: Settings) -> dict[str, Any]:
    if settings.flag("anonymous", False):
        return {}
    return {"auth": {"htpasswd": {"realm": settings.text("realm", "registry"), "path": settings.text("htpasswd", "")}}}


def _http(settings: Settings) -> dict[str, Any]:
    http: dict[str, Any] = {
        "addr": settings.text("listen", ":5000"),
        "relativeurls": settings.flag("relative_urls", False),
        "draintimeout": settings.text("drain_timeout", "60s"),
        "headers": settings.mapping("headers"),
    }
    if settings.text("external_url", ""):
        http["host"] = settings.text("external_url", "")
    if settings.text("certificate", ""):
        http["tls"] = {
            "certificate": settings.text("certificate", ""),
            "key": settings.text("key", ""),
            "minimumtls": settings.text("tls_minimum", "tls1.2"),
        }
    if settings.flag("metrics", False):
        http["debug"] = {"addr": settings.text("metrics_listen", "127.0.0.1:5001")}
        http["debug"]["prometheus"] = {"enabled": True, "path": "/metrics"}
    return http


def _redis(settings: Settings, series: str, secrets: dict[str, str]) -> dict[str, Any]:
    given = dict(settings.mapping("redis"))
    if not given:
        return {}
    address, tls = given.pop("address", None), given.pop("tls", None)
    if address is not None:
        given.update({"addr": address} if series == OLD else {"addrs": [address]})
    if tls:
        given["tls"] = {"enabled": True}
    if given.get("password") is not None:
        secrets["REGISTRY_REDIS_PASSWORD"] = environment.text(str(given.pop("password")))
    return {"redis": given}


def _proxy(settings: Settings, series: str, secrets: dict[str, str]) -> dict[str, Any]:
    given = dict(settings.mapping("proxy"))
    if not given:
        return {}
    if "url" in given:
        given["remoteurl"] = given.pop("url")
    for key in ("username", "password"):
        if given.get(key) is not None:
            secrets[f"REGISTRY_PROXY_{key.upper()}"] = environment.text(str(given.pop(key)))
    return {"proxy": given}


def _notifications(settings: Settings) -> dict[str, Any]:
    endpoints = settings.sequence("notifications")
    return {"notifications": {"endpoints": endpoints}} if endpoints else {}


def _set_aside_headers(config: dict[str, Any], secrets: dict[str, str]) -> None:
    """Headers of notifications are where tokens are. Series 2.8 takes no single element of a list from the environment."""
    section = config.get("notifications") or {}
    if any(one.get("headers") for one in section.get("endpoints", [])):
        secrets["REGISTRY_NOTIFICATIONS"] = environment.tree(section)
        bare = [{key: value for key, value in one.items() if key != "headers"} for one in section["endpoints"]]
        config["notifications"] = {**section, "endpoints": bare}


def _identity(config: Mapping[str, Any]) -> str:
    """``filesystem:/path`` or ``s3:bucket/root@endpoint``; other drivers with all that is no secret."""
    driver = drivers_of(config)[0]
    parameters = config["storage"][driver] or {}
    if driver == "filesystem":
        return f"filesystem:{parameters.get('rootdirectory', '')}"
    if driver == "s3":
        root, endpoint = parameters.get("rootdirectory", ""), parameters.get("regionendpoint", "")
        return f"s3:{parameters['bucket']}/{root.strip('/')}@{endpoint}"
    return f"{driver}:{json.dumps(parameters, sort_keys=True)}"


def _holds_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(
            (str(key).lower() in _SECRET_WORDS or str(key).lower() == "headers") and inner or _holds_secret(inner)
            for key, inner in value.items()
        )
    return isinstance(value, list) and any(_holds_secret(inner) for inner in value)
