# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image that is made here out of layers: its config as a user writes it, and the documents (image-spec config.md).

The same layers and the same wishes always give the same bytes: nothing depends on the time, nor on the order of what has
no order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from . import media_types
from .descriptor import Descriptor
from .digest import Digest
from .errors import InvalidInput
from .manifest import Manifest, parse_manifest, serialise
from .platform import Platform
from .text import sanitise

EPOCH = "1970-01-01T00:00:00Z"
_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?", re.ASCII)
_SIGNAL = re.compile(r"(?:SIG)?[A-Z][A-Z0-9]{1,9}(?:[+-][0-9]{1,2})?|[0-9]{1,2}", re.ASCII)
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,6}))?(Z|[+-][0-9]{2}:[0-9]{2})?)?", re.ASCII
)
_MOST_PORTS = 1000


@dataclass(frozen=True)
class NewImage:
    """What an image shall say of itself beside its layers. Checked and normalised by `of`."""

    platform: Platform = field(default_factory=Platform.local)
    created: str = EPOCH
    author: str = ""
    comment: str = ""
    #: The ``config`` object, in the words of the specification.
    run: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, wish: Mapping[str, Any]) -> NewImage:
        """The image that the option ``config`` describes; what is None there was not given. Raises InvalidInput."""
        given = {key: value for key, value in wish.items() if value not in (None, "")}
        run: dict[str, Any] = {
            "User": given.get("user"),
            "ExposedPorts": {port: {} for port in sorted(_ports(given.get("exposed_ports") or ()))},
            "Env": [f"{key}={value}" for key, value in sorted(_pairs("env", given.get("env") or {}).items())],
            "Entrypoint": _command("entrypoint", given.get("entrypoint")),
            "Cmd": _command("cmd", given.get("cmd")),
            "Volumes": {_path("volumes", path): {} for path in sorted(given.get("volumes") or ())},
            "WorkingDir": _path("working_dir", given["working_dir"]) if "working_dir" in given else None,
            "Labels": dict(sorted(_pairs("labels", given.get("labels") or {}).items())),
            "StopSignal": _signal(given["stop_signal"]) if "stop_signal" in given else None,
        }
        for key in ("user", "author", "comment"):
            _text(key, given.get(key, ""))
        return cls(
            Platform.parse(given["platform"]) if "platform" in given else Platform.local(),
            _time(given["created"]) if "created" in given else EPOCH,
            given.get("author", ""),
            given.get("comment", ""),
            {key: value for key, value in run.items() if value},
        )

    def config(self, diff_ids: Sequence[Digest]) -> bytes:
        """The bytes of the config of the image with these layers, the lowest first."""
        history = {"created": self.created, "author": self.author, "comment": self.comment or "imported from a tarball"}
        platform = self.platform.to_json()
        document = {
            "created": self.created,
            "author": self.author,
            **platform,
            "config": dict(self.run),
            "rootfs": {"type": "layers", "diff_ids": [str(one) for one in diff_ids]},
            "history": [{key: value for key, value in history.items() if value}] * len(diff_ids),
        }
        return serialise({key: value for key, value in document.items() if value or key == "config"})


def manifest_of(config: bytes, layers: Sequence[Descriptor]) -> Manifest:
    """The manifest of an image (image-spec manifest.md)."""
    described = Descriptor(media_types.OCI_CONFIG, Digest.of(config), len(config))
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": described.to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    manifest = parse_manifest(serialise(document))
    if not isinstance(manifest, Manifest):
        raise InvalidInput("an image without a config")
    return manifest


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise InvalidInput(f"config.{name} must be text without NUL characters, and not {sanitise(repr(value), 80)}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput(f"config.{name} is not valid UTF-8") from None
    return value


def _command(name: str, value: Any) -> list[str] | None:
    """A list as it is. Text as a Dockerfile has it: a JSON list, or else a command for the shell of the image."""
    if value is None:
        return None
    if isinstance(value, str):
        parsed = _json_list(value)
        value = parsed if parsed is not None else ["/bin/sh", "-c", value]
    if not isinstance(value, (list, tuple)):
        raise InvalidInput(f"config.{name} must be a list or text, and not {sanitise(repr(value), 80)}")
    return [_text(name, _plain(name, one)) for one in value]


def _json_list(text: str) -> list[str] | None:
    if not text.lstrip().startswith("["):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, list) and all(isinstance(one, str) for one in value) else None


def _plain(name: str, value: Any) -> str:
    # YAML turns yes, 1.10 and dates into what no longer tells how they were written.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise InvalidInput(f"config.{name} has the value {sanitise(repr(value), 80)}, which is no text: put it in quotes")
    return value


def _pairs(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InvalidInput(f"config.{name} must be a dictionary, and not {sanitise(repr(value), 80)}")
    found = {}
    for key, one in value.items():
        _text(name, key)
        if not key or (name == "env" and "=" in key):
            raise InvalidInput(f"config.{name} has the impossible name '{sanitise(key, 80)}'")
        found[key] = _text(name, _plain(name, one))
    return found


def _ports(values: Sequence[Any]) -> set[str]:
    found: set[str] = set()
    for value in values:
        match = _PORT.fullmatch(str(value))
        first = int(match.group(1)) if match else 0
        last = int(match.group(2) or first) if match else 0
        if match is None or not 1 <= first <= last <= 65535:
            raise InvalidInput(
                f"config.exposed_ports has '{sanitise(value, 80)}': expected a port such as 80, 53/udp or 8000-8010/tcp"
            )
        if last - first >= _MOST_PORTS:
            raise InvalidInput(f"config.exposed_ports has '{sanitise(value, 80)}': more than {_MOST_PORTS} ports")
        found |= {f"{port}/{match.group(3) or 'tcp'}" for port in range(first, last + 1)}
    return found


def _path(name: str, value: Any) -> str:
    if not _text(name, value).startswith("/"):
        raise InvalidInput(f"config.{name} has '{sanitise(value, 80)}': expected a path that starts with '/'")
    return str(value)


def _signal(value: str) -> str:
    if _SIGNAL.fullmatch(value) is None:
        raise InvalidInput(f"config.stop_signal is '{sanitise(value, 80)}': expected a signal such as SIGTERM or 15")
    return value


def _time(value: str) -> str:
    """RFC 3339 in UTC, however YAML and Ansible have passed a time on: without a zone it is in UTC."""
    match = _TIME.fullmatch(value)
    try:
        if match is None:
            raise ValueError(value)
        day, clock, fraction, zone = match.groups()
        exact = f"{day}T{clock or '00:00:00'}.{(fraction or '').ljust(6, '0')}"
        found = datetime.fromisoformat(exact + (zone if zone and zone != "Z" else "+00:00")).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"config.created is '{sanitise(value, 80)}': expected a time such as 2026-01-31T12:00:00Z"
        ) from None
    return found.replace(tzinfo=None).isoformat() + "Z"
