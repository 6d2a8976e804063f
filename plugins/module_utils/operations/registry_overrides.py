# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry's configuration as the registry sees it: with what variables of the environment lay over it.

``REGISTRY_HTTP_TLS_KEY=/key`` is ``http.tls.key: /key``. Names are split at ``_`` and their values are YAML; they are applied
sorted by name, so a section comes before what is in it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from .schema import Section

_PREFIX = "REGISTRY_"
#: Names that are not of the configuration: its place, and what Kubernetes adds for a service that is called registry.
_OTHERS = ("REGISTRY_CONFIGURATION_PATH", "REGISTRY_PORT", "REGISTRY_SERVICE", "REGISTRY_SERVICE_HOST", "REGISTRY_SERVICE_PORT")
#: Below these the registry of both series does not apply single values: it keeps what the file says, or does not start.
_DEAF = ("storage", "maintenance")


def effective(
    config: Mapping[str, Any], environment: Mapping[str, str], parse: Callable[[str], Any], known: Section
) -> tuple[dict[str, Any], list[str]]:
    """The configuration with the overrides of the environment, and a sentence for each that has no effect.

    ``parse`` reads YAML; ``known`` are the keys of the configuration. No value is shown.
    """
    result = copy.deepcopy(dict(config))
    warnings = []
    for name in sorted(environment):
        if not name.startswith(_PREFIX) or name.startswith(_OTHERS):
            continue
        parts = name[len(_PREFIX) :].lower().split("_")
        if parts[0] not in known.keys or "" in parts:
            warnings.append(f"{name} in the environment is no key of the configuration, and is left out")
        elif tuple(parts[:2]) == _DEAF and len(parts) > 3:
            warnings.append(f"{name} in the environment has no effect on a registry, and is left out")
        elif any(part.isdigit() for part in parts):
            warnings.append(f"{name} in the environment is an element of a list, and is not taken over: see to it yourself")
        else:
            _set(result, parts, _sectioned(parts, parse(environment[name])))
    return result, warnings


def _sectioned(parts: list[str], value: Any) -> Any:
    """``REGISTRY_STORAGE=filesystem`` and ``REGISTRY_AUTH=htpasswd`` name a section that has no keys yet."""
    if len(parts) == 1 and parts[0] in ("storage", "auth") and isinstance(value, str):
        return {} if value == "none" else {value: {}}
    return value


def _set(target: dict[str, Any], parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        below = target.get(part)
        if not isinstance(below, dict):
            # cache.blobdescriptor and others are plain values until something is put below them.
            below = {below: {}} if isinstance(below, str) else {}
            target[part] = below
        target = below
    existing = target.get(parts[-1])
    if isinstance(existing, dict) and isinstance(value, dict):
        existing.update(value)
    else:
        target[parts[-1]] = value
