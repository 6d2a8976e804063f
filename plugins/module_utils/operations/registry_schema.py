# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a configuration of the CNCF distribution registry: those that series 2.8 reads and those that series 3 does.

The registry itself passes over keys that it does not know: a slip in ``http.tls.certificate`` gives plain HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .registry_storage_schema import BOOL, DRIVERS, INT, NEW, OLD, TEXT, only
from .schema import Leaf, ListOf, MappingOf, Section

SERIES = (OLD, NEW)

DURATION, ANY = Leaf("duration"), Leaf("any")
_HEADERS = MappingOf(ListOf(TEXT))


_STORAGE = Section(
    {
        **DRIVERS,
        "delete": Section({"enabled": BOOL}),
        "redirect": Section({"disable": BOOL}),
        "cache": Section(
            {
                "blobdescriptor": Leaf(choices=("inmemory", "redis")),
                "layerinfo": Leaf(choices=("inmemory", "redis")),
                "blobdescriptorsize": only(NEW, "int"),
            }
        ),
        "maintenance": Section(
            {
                # Given in part, it makes the registry panic.
                "uploadpurging": Section(
                    {"enabled": BOOL, "age": DURATION, "interval": DURATION, "dryrun": BOOL},
                    ("enabled", "age", "interval", "dryrun"),
                ),
                "readonly": Section({"enabled": BOOL}),
            }
        ),
        "tag": Section({"concurrencylimit": INT}, series=NEW),
    }
)

_AUTH = Section(
    {
        "htpasswd": Section({"realm": TEXT, "path": TEXT}, ("realm", "path")),
        "token": Section(
            {
                **dict.fromkeys(("realm", "service", "issuer", "rootcertbundle"), TEXT),
                "autoredirect": BOOL,
                "autoredirectpath": only(NEW),
                "jwks": only(NEW),
                "signingalgorithms": ListOf(TEXT, series=NEW),
            },
            ("realm", "service", "issuer"),
        ),
        "silly": Section({"realm": TEXT, "service": TEXT}, ("realm", "service")),
    }
)

_TLS = Section(
    {
        **{"certificate": TEXT, "key": TEXT, "clientcas": ListOf(TEXT), "ciphersuites": ListOf(TEXT)},
        "minimumtls": Leaf(choices=("tls1.0", "tls1.1", "tls1.2", "tls1.3")),
        "clientauth": only(
            NEW,
            choices=(
                *("request-client-cert", "require-any-client-cert"),
                *("verify-client-cert-if-given", "require-and-verify-client-cert"),
            ),
        ),
        "letsencrypt": Section({"cachefile": TEXT, "email": TEXT, "hosts": ListOf(TEXT), "directoryurl": only(NEW)}),
    }
)

_REDIS_OLD = {"addr": only(OLD), "pool": Section({"maxidle": INT, "maxactive": INT, "idletimeout": DURATION}, series=OLD)}
_REDIS_NEW = {
    "addrs": ListOf(TEXT, series=NEW),
    **dict.fromkeys(("username", "clientname", "sentinelusername", "sentinelpassword", "mastername", "identitysuffix"), only(NEW)),
    **dict.fromkeys(
        ("protocol", "maxretries", "poolsize", "minidleconns", "maxidleconns", "maxactiveconns", "maxredirects"), only(NEW, "int")
    ),
    **dict.fromkeys(
        ("minretrybackoff", "maxretrybackoff", "pooltimeout", "connmaxidletime", "connmaxlifetime"), only(NEW, "duration")
    ),
    **dict.fromkeys(
        ("contexttimeoutenabled", "poolfifo", "readonly", "routebylatency", "routerandomly", "disableidentity", "unstableresp3"),
        only(NEW, "bool"),
    ),
    "tls": Section({"enabled": BOOL, "certificate": TEXT, "key": TEXT, "clientcas": ListOf(TEXT)}, series=NEW),
}

_CHECK = {"interval": DURATION, "threshold": INT}
_MIDDLEWARE = ListOf(Section({"name": TEXT, "disabled": BOOL, "options": MappingOf(ANY)}, ("name",)))
_LEVELS = ("error", "warn", "info", "debug")

SCHEMA = Section(
    {
        "version": ANY,
        "log": Section(
            {
                "accesslog": Section({"disabled": BOOL}),
                "level": Leaf(choices=_LEVELS),
                "formatter": Leaf(choices=("text", "json", "logstash")),
                "fields": MappingOf(ANY),
                "hooks": ListOf(
                    Section(
                        {
                            **{"disabled": BOOL, "type": TEXT, "levels": ListOf(TEXT)},
                            "options": Section(
                                {
                                    "smtp": Section({"addr": TEXT, "username": TEXT, "password": TEXT, "insecure": BOOL}),
                                    **{"from": TEXT, "to": ListOf(TEXT)},
                                }
                            ),
                        }
                    )
                ),
                "reportcaller": only(NEW, "bool"),
            }
        ),
        "loglevel": Leaf(choices=_LEVELS),
        "storage": _STORAGE,
        "auth": _AUTH,
        "middleware": Section(dict.fromkeys(("registry", "repository", "storage"), _MIDDLEWARE)),
        "reporting": Section(
            {
                "bugsnag": Section({"apikey": TEXT, "releasestage": TEXT, "endpoint": TEXT}),
                "newrelic": Section({"licensekey": TEXT, "name": TEXT, "verbose": BOOL}),
            },
            series=OLD,
        ),
        "http": Section(
            {
                **dict.fromkeys(("addr", "host", "prefix", "secret"), TEXT),
                "net": Leaf(choices=("tcp", "unix")),
                "relativeurls": BOOL,
                "draintimeout": DURATION,
                "tls": _TLS,
                "headers": _HEADERS,
                "debug": Section({"addr": TEXT, "prometheus": Section({"enabled": BOOL, "path": TEXT})}),
                "http2": Section({"disabled": BOOL}),
                "h2c": Section({"enabled": BOOL}, series=NEW),
            }
        ),
        "notifications": Section(
            {
                "events": Section({"includereferences": BOOL}),
                "endpoints": ListOf(
                    Section(
                        {
                            **{"name": TEXT, "disabled": BOOL, "url": TEXT, "headers": _HEADERS, "timeout": DURATION},
                            **{"threshold": INT, "backoff": DURATION, "ignoredmediatypes": ListOf(TEXT)},
                            "ignore": Section({"mediatypes": ListOf(TEXT), "actions": ListOf(TEXT)}),
                        },
                        ("name", "url"),
                    )
                ),
            }
        ),
        "redis": Section(
            {
                **{"password": TEXT, "db": INT, "dialtimeout": DURATION, "readtimeout": DURATION, "writetimeout": DURATION},
                **_REDIS_OLD,
                **_REDIS_NEW,
            }
        ),
        "health": Section(
            {
                "storagedriver": Section({"enabled": BOOL, **_CHECK}),
                "file": ListOf(Section({"file": TEXT, **_CHECK}, ("file",))),
                "http": ListOf(
                    Section({"uri": TEXT, "headers": _HEADERS, "statuscode": INT, "timeout": DURATION, **_CHECK}, ("uri",))
                ),
                "tcp": ListOf(Section({"addr": TEXT, "timeout": DURATION, **_CHECK}, ("addr",))),
            }
        ),
        "proxy": Section(
            {
                **dict.fromkeys(("remoteurl", "username", "password"), TEXT),
                "ttl": only(NEW, "duration"),
                "cachewritetimeout": only(NEW, "duration"),
                "exec": Section({"command": TEXT, "lifetime": DURATION}, ("command",), series=NEW),
            },
            ("remoteurl",),
        ),
        "compatibility": Section({"schema1": Section({"signingkeyfile": TEXT, "enabled": BOOL})}, series=OLD),
        "validation": Section(
            {
                **{"enabled": BOOL, "disabled": BOOL},
                "manifests": Section(
                    {
                        "urls": Section({"allow": ListOf(TEXT), "deny": ListOf(TEXT)}),
                        "indexes": Section(
                            {
                                "platforms": Leaf(choices=("all", "none", "list", "All", "None", "List")),
                                "platformlist": ListOf(Section({"architecture": TEXT, "os": TEXT}, ("architecture", "os"))),
                            },
                            series=NEW,
                        ),
                    }
                ),
            }
        ),
        "policy": Section({"repository": Section({"classes": ListOf(TEXT)})}),
        "catalog": Section({"maxentries": INT}),
        "tags": Section({"maxtags": INT}, series=NEW),
    }
)


def problems(config: Any, series: str) -> list[str]:
    """Everything that is wrong with a whole configuration for a registry of ``series``, a sentence each."""
    found = list(SCHEMA.problems(config, "", series))
    # What belongs together is looked at once the parts are what they should be.
    return found or list(_contradictions(config, series))


def drivers_of(config: Mapping[str, Any]) -> list[str]:
    """The storage drivers that a configuration names."""
    return [key for key in config.get("storage") or {} if key in DRIVERS]


def _contradictions(config: Mapping[str, Any], series: str) -> Iterator[str]:
    named = drivers_of(config)
    if len(named) != 1:
        yield f"storage takes exactly one driver, and {', '.join(named) if named else 'none'} is given"
    if len(config.get("auth") or {}) > 1:
        yield f"auth takes exactly one of {', '.join(config['auth'])}"
    token = (config.get("auth") or {}).get("token")
    if token and not token.get("rootcertbundle") and not token.get("jwks"):
        yield "auth.token.rootcertbundle is missing: the registry checks tokens with it"
    tls = (config.get("http") or {}).get("tls") or {}
    if bool(tls.get("certificate")) != bool(tls.get("key")):
        yield "http.tls.certificate and http.tls.key go together: with one alone the registry speaks plain HTTP, or does not start"
    if tls.get("certificate") and tls.get("letsencrypt"):
        yield "http.tls.letsencrypt and http.tls.certificate exclude each other"
    if series == NEW and tls.get("minimumtls") in ("tls1.0", "tls1.1"):
        yield f"http.tls.minimumtls is tls1.2 or tls1.3 in series {NEW}, not {tls['minimumtls']}"
    cache = (config.get("storage") or {}).get("cache") or {}
    if "redis" in cache.values():
        key = "addr" if series == OLD else "addrs"
        if not (config.get("redis") or {}).get(key):
            yield f"redis.{key} is missing: storage.cache uses redis"
