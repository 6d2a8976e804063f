# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a registry that somebody runs by hand to the variables of the role ``registry``: what is taken over, and what cannot be."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .registry_overrides import effective
from .registry_schema import SCHEMA, drivers_of, problems
from .schema import ListOf, Node, Section

_BCRYPT = re.compile(r"\$2[abxy]\$[0-9]{2}\$[./A-Za-z0-9]{53}")
_PURGING = {"enabled": True, "age": "168h", "interval": "24h", "dryrun": False}
_HEADERS = {"X-Content-Type-Options": ["nosniff"]}
_HIDDEN = "(taken over, not shown)"
_SECRETS = ("registry_http_secret",)
_SECRET_PARTS = ("accesskey", "secretkey", "sessiontoken", "accountkey", "password", "headers", "hash")


@dataclass
class Source:
    """A registry that runs by hand, as it was found.

    Attributes:
        kind: ``container`` or ``package``.
        config: Its configuration file, parsed.
        environment: The variables of its environment.
        mounts: For a container: path inside to path on the host.
        anonymous_volumes: Those paths on the host that go when the container is removed with its volumes.
        ports: For a container: the port inside to address and port on the host.
        host_network: Whether a container uses the host's network.
        image: A container's image.
        htpasswd: The content of its file of users; None if it was not read.
        extracted: Where files of a container that are on no mount are put.
        series: 2.8 or 3.
    """

    kind: str
    config: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    mounts: Mapping[str, str] = field(default_factory=dict)
    anonymous_volumes: Sequence[str] = ()
    ports: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)
    host_network: bool = False
    image: str = ""
    htpasswd: str | None = field(default=None, repr=False)
    extracted: str = ""
    series: str = "2.8"

    def on_host(self, path: str) -> str | None:
        """Where a path of the registry is on the host; None if it is inside a container only."""
        if self.kind == "package":
            return path
        for inside in sorted(self.mounts, key=len, reverse=True):
            if path == inside or path.startswith(inside.rstrip("/") + "/"):
                return self.mounts[inside] + path[len(inside.rstrip("/")) :]
        return None


@dataclass
class Plan:
    """What becomes of it."""

    #: For the role registry; secrets among them.
    variables: dict[str, Any] = field(default_factory=dict, repr=False)
    #: What is lost or worth a look, in sentences.
    warnings: list[str] = field(default_factory=list)
    #: What has to be decided first, in sentences, each with the variable of the role that decides it.
    blockers: dict[str, str] = field(default_factory=dict)
    #: Files of a container that are on no mount: path inside to path on the host.
    extract: dict[str, str] = field(default_factory=dict)
    #: The path of the file of users as the registry has it, '' without.
    htpasswd: str = ""
    #: The storage on the host, '' if it is not in a file system.
    storage: str = ""

    def shown(self) -> dict[str, Any]:
        """The variables with nothing secret in them."""
        return {name: _HIDDEN if name in _SECRETS and value else _hidden(value) for name, value in self.variables.items()}


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _HIDDEN if str(key).lower() in _SECRET_PARTS else _hidden(inner) for key, inner in value.items()}
    return [_hidden(inner) for inner in value] if isinstance(value, list) else value


def plan(source: Source, parse: Callable[[str], Any]) -> Plan:
    """Work out the variables. ``parse`` reads YAML. Nothing is asked of anybody."""
    made = Plan()
    config, made.warnings = effective(source.config, source.environment, parse, SCHEMA)
    config = _known(SCHEMA, config, "", source.series, made.warnings)
    for text in problems(config, source.series):
        made.blockers[f"The configuration cannot be taken over: {text}"] = "registry_config_extra"
    _PartByPart(source, made, config).all()
    return made


def _known(node: Node, value: Any, path: str, series: str, warnings: list[str]) -> Any:
    """``value`` without the keys that the registry passes over; each is named."""
    if isinstance(node, ListOf) and isinstance(value, list):
        return [_known(node.element, inner, f"{path}[]", series, warnings) for inner in value]
    if not isinstance(node, Section) or not isinstance(value, Mapping):
        return value
    kept = {}
    for key, inner in value.items():
        place = f"{path}.{key}" if path else str(key)
        below = node.keys.get(key) if isinstance(key, str) else None
        if below is None or below.series not in ("", series):
            warnings.append(f"{place} is nothing that a registry of series {series} reads; it had no effect, and is left out")
        else:
            kept[key] = _known(below, inner, place, series, warnings)
    return kept


class _PartByPart:
    """Takes what the role has variables for out of a configuration; what is left is laid over as it is."""

    def __init__(self, source: Source, made: Plan, config: Mapping[str, Any]) -> None:
        self.source, self.plan = source, made
        self.rest: dict[str, Any] = copy.deepcopy(dict(config))
        self.variables = made.variables

    def all(self) -> None:
        self.take("version", None)
        self.deployment()
        self.storage()
        self.http()
        self.users()
        self.others()
        self.variables["registry_config_extra"] = _without_empty(self.rest)

    def take(self, path: str, default: Any) -> Any:
        """Take a value out of what is left."""
        section = self.rest
        *above, key = path.split(".")
        for part in above:
            below = section.get(part)
            if not isinstance(below, dict):
                return default
            section = below
        value = section.pop(key, None)
        return default if value is None else value

    def _stop(self, text: str, variable: str) -> None:
        self.plan.blockers[text] = variable

    def flag(self, path: str, default: bool) -> bool:
        """A boolean; the registry takes text for false."""
        value = self.take(path, default)
        if not isinstance(value, bool):
            self.plan.warnings.append(f"{path} is text and no boolean, which a registry takes for false; it stays false")
            return False
        return value

    def deployment(self) -> None:
        self.variables["registry_deployment"] = self.source.kind
        if self.source.kind == "container":
            self.variables["registry_container_image"] = self.source.image
            self.variables["registry_container_network"] = "host" if self.source.host_network else "bridge"

    def storage(self) -> None:
        drivers = drivers_of(self.rest)
        driver = drivers[0] if len(drivers) == 1 else "filesystem"
        parameters = dict(self.take(f"storage.{driver}", {}) or {})
        if driver == "filesystem":
            inside = str(parameters.pop("rootdirectory", "/var/lib/registry"))
            place = self.source.on_host(inside)
            self.plan.storage = place or ""
            parameters["path"] = place or inside
            if place is None:
                self._stop(
                    f"The images are in {inside} of the container, which is on no volume and goes with the container. Copy them "
                    "out (docker cp) and name the copy",
                    "registry_storage",
                )
            elif any(place == one or place.startswith(one + "/") for one in self.source.anonymous_volumes):
                self.plan.warnings.append(
                    f"{place} is a volume without a name: 'docker rm -v' of the old container, or 'docker volume prune' once it is "
                    "removed, would remove the images. Keep the old container, or move the storage before"
                )
        self.variables["registry_storage"] = {"driver": driver, **parameters}
        self.variables["registry_delete"] = self.flag("storage.delete.enabled", False)
        self.variables["registry_redirect"] = not self.flag("storage.redirect.disable", False)
        purging = self.take("storage.maintenance.uploadpurging", {}) or {}
        self.variables["registry_upload_purging"] = {**_PURGING, **purging}
        self.variables["registry_readonly"] = self.flag("storage.maintenance.readonly.enabled", False)
        cache = self.take("storage.cache.blobdescriptor", None) or self.take("storage.cache.layerinfo", "none")
        self.variables["registry_cache"] = cache
        redis = dict(self.take("redis", {}))
        address = redis.pop("addr", None) or next(iter(redis.pop("addrs", [])), None)
        self.variables["registry_redis"] = {**({"address": address} if address else {}), **redis}

    def http(self) -> None:
        address, port = self._listens(str(self.take("http.addr", ":5000")))
        self.variables["registry_bind_address"] = address
        self.variables["registry_port"] = port
        self.variables["registry_external_url"] = self.take("http.host", "")
        self.variables["registry_relative_urls"] = self.flag("http.relativeurls", False)
        self.variables["registry_http_secret"] = str(self.take("http.secret", ""))
        self.variables["registry_headers"] = self.take("http.headers", _HEADERS)
        self.variables["registry_drain_timeout"] = str(self.take("http.draintimeout", "") or "60s")
        self._debug()
        tls = dict(self.take("http.tls", {}))
        pair = [str(tls.pop("certificate", "") or ""), str(tls.pop("key", "") or "")]
        self.variables["registry_tls"] = "files" if all(pair) else "none"
        self.variables["registry_tls_minimum"] = str(tls.pop("minimumtls", "") or "tls1.2")
        self.variables["registry_tls_remote_files"] = all(pair)
        for name, path in zip(("certificate", "key"), pair):
            self.variables[f"registry_tls_{name}_file"] = self._file(path) if all(pair) else ""
        if "letsencrypt" in tls:
            tls.pop("letsencrypt")
            self._stop("The registry fetches its certificate itself (http.tls.letsencrypt): the role is to do it", "registry_tls")
        elif not all(pair):
            self.plan.warnings.append(
                "the registry speaks plain HTTP, and goes on doing so. With registry_tls=own_ca in registry_migrate_variables it "
                "gets a certificate, which clients then have to trust"
            )
        if tls.get("clientcas"):
            tls["clientcas"] = [self._file(str(path)) for path in tls["clientcas"]]
        if tls:
            self.rest.setdefault("http", {})["tls"] = tls

    def _debug(self) -> None:
        debug = dict(self.take("http.debug", {}))
        address = str(debug.get("addr", ""))
        prometheus = debug.get("prometheus") or {}
        metrics = bool(address and prometheus.get("enabled") is True)
        self.variables["registry_metrics"] = metrics
        if metrics:
            self.variables["registry_metrics_port"] = int(address.rpartition(":")[2])
            self.plan.warnings.append("metrics are served on loopback alone from now on: whoever reaches them needs no password")
        elif address:
            self.plan.warnings.append(f"the debug server at {address} is left out: it is open to whoever reaches it")

    def _listens(self, address: str) -> tuple[str, int]:
        host, dummy, text = address.rpartition(":")
        port = int(text) if text.isdigit() else 5000
        if self.source.kind == "package" or self.source.host_network:
            return host.strip("[]"), port
        published = self.source.ports.get(str(port), [])
        if not published:
            self._stop(f"The container publishes port {port} nowhere, so where clients reach it is not known", "registry_port")
            return "", port
        hosts = {one[0] for one in published} - {"", "0.0.0.0", "::"}
        if len({one[1] for one in published}) > 1:
            self.plan.warnings.append(f"the container publishes port {port} several times; {published[0][1]} is kept")
        return (sorted(hosts)[0] if len(hosts) == 1 else ""), published[0][1]

    def _file(self, path: str) -> str:
        """Where a file that the registry reads is on the host; one on no mount is to be copied out of the container."""
        place = self.source.on_host(path)
        if place is not None:
            return place
        target = f"{self.source.extracted}/{path.strip('/').replace('/', '_')}"
        self.plan.extract[path] = target
        return target

    def users(self) -> None:
        auth = self.take("auth", {})
        self.variables["registry_anonymous"] = not auth
        self.variables["registry_users"] = []
        self.variables["registry_realm"] = "registry"
        if not auth:
            self.plan.warnings.append("everybody may push and delete, with no password, and goes on doing so (registry_anonymous)")
        elif "htpasswd" in auth:
            self.variables["registry_realm"] = str(auth["htpasswd"].get("realm") or "registry")
            self.plan.htpasswd = str(auth["htpasswd"].get("path") or "")
            self._htpasswd()
        else:
            self.variables["registry_anonymous"] = True
            self._stop(
                f"The registry asks for passwords by auth.{next(iter(auth))}, which is not taken over. Name users for htpasswd "
                "with registry_anonymous=false, or give auth in registry_config_extra with registry_anonymous=true",
                "registry_anonymous",
            )

    def _htpasswd(self) -> None:
        if self.source.htpasswd is None:
            self._stop(f"The file of users {self.plan.htpasswd} cannot be read, so nobody can log in today", "registry_users")
            return
        users: dict[str, str] = {}
        for line in self.source.htpasswd.splitlines():
            name, colon, made = line.strip().partition(":")
            if not colon or name.startswith("#"):
                continue
            if _BCRYPT.fullmatch(made):
                users[name] = made
            else:
                self.plan.warnings.append(f"the user {name} cannot log in today (the registry takes bcrypt alone), and is left out")
        self.variables["registry_users"] = [{"name": name, "hash": made} for name, made in users.items()]

    def others(self) -> None:
        self.variables["registry_log_level"] = str(self.take("log.level", None) or self.take("loglevel", "info"))
        self.variables["registry_log_format"] = str(self.take("log.formatter", "text"))
        self.variables["registry_access_log"] = not self.flag("log.accesslog.disabled", False)
        self.variables["registry_health"] = self.flag("health.storagedriver.enabled", False)
        for key in ("interval", "threshold"):
            if not self.variables["registry_health"]:
                self.take(f"health.storagedriver.{key}", None)
        self.variables["registry_notifications"] = self.take("notifications.endpoints", [])
        proxy = dict(self.take("proxy", {}))
        if proxy:
            proxy = {"url" if key == "remoteurl" else key: value for key, value in proxy.items()}
        self.variables["registry_proxy"] = proxy
        if self.take("reporting", None):
            self.plan.warnings.append("reporting is left out")


def _without_empty(value: dict[str, Any]) -> dict[str, Any]:
    """Sections that nothing is left in are of no use."""
    kept = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            inner = _without_empty(inner)
        if inner not in ({}, None):
            kept[key] = inner
    return kept
