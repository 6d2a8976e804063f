# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the role registry for a registry that somebody runs by hand."""

from __future__ import annotations

DOCUMENTATION = r"""
name: registry_migration
short_description: Work out the variables of the role registry for a registry that runs by hand
version_added: 1.0.0
author:
  - The longshore.oci authors (@longshore)
description:
  - Reads the configuration of a CNCF distribution registry as the registry itself does, with what the environment lays over it, and
    says which variables the role P(longshore.oci.registry#role) takes to run the same.
  - Keys that the registry passes over are named. What the role cannot run is named together with the variable that decides it.
  - The role P(longshore.oci.registry_migrate#role) uses it.
options:
  _input:
    description:
      - What was found. C(kind) is V(package) or V(container), C(config) the text of the configuration.
      - Optional are C(environment), C(series) (V(2.8) or V(3)) and C(htpasswd), the text of the file of users.
      - "For a container further C(image), C(mounts) (path inside to path on the host), C(anonymous_volumes), C(ports) (port
        inside to a list of address and port on the host), C(host_network), and C(extracted), the directory for files that
        are on no mount."
    type: dict
    required: true
seealso:
  - plugin: longshore.oci.registry_config
    plugin_type: filter
"""

EXAMPLES = r"""
---
- name: See what the role would be given for a configuration
  vars:
    found:
      kind: package
      config: |
        version: 0.1
        storage:
          filesystem:
            rootdirectory: /var/lib/docker-registry
          delete:
            enabled: true
        http:
          addr: :5000
  ansible.builtin.debug:
    msg: "{{ (found | longshore.oci.registry_migration).shown }}"
"""

RETURN = r"""
_value:
  description: What becomes of it.
  type: dict
  contains:
    variables:
      description: Variables of the role, secrets among them.
      type: dict
    shown:
      description: The same, with nothing secret in them.
      type: dict
    warnings:
      description: What is lost or worth a look, in sentences.
      type: list
      elements: str
    blockers:
      description: What has to be decided first, in sentences, each with the variable of the role that decides it.
      type: dict
    extract:
      description: Files that have to be copied out of the container, with their place on the host.
      type: dict
    htpasswd:
      description: The path of the file of users as the registry has it; empty without.
      type: str
    storage:
      description: The storage on the host; empty if it is not in a file system.
      type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError

from ..module_utils.model.errors import OciError
from ..module_utils.operations.registry_migration import Source, plan


def _parse(text: str) -> Any:
    return yaml.safe_load(text)


def registry_migration(found: Any) -> dict[str, Any]:
    """The variables for what was ``found``. Raises AnsibleFilterError."""
    if not isinstance(found, Mapping) or "config" not in found:
        raise AnsibleFilterError("registry_migration takes keys and values, with the text of a configuration as config")
    try:
        config = _parse(str(found["config"]))
        if not isinstance(config, Mapping):
            raise AnsibleFilterError("the configuration of the registry is no mapping")
        source = Source(
            kind=str(found.get("kind", "package")),
            config=config,
            environment={str(key): str(value) for key, value in (found.get("environment") or {}).items()},
            mounts=dict(found.get("mounts") or {}),
            anonymous_volumes=list(found.get("anonymous_volumes") or []),
            ports={str(key): [(str(one[0]), int(one[1])) for one in row] for key, row in (found.get("ports") or {}).items()},
            host_network=bool(found.get("host_network")),
            image=str(found.get("image") or ""),
            htpasswd=found.get("htpasswd"),
            extracted=str(found.get("extracted") or ""),
            series=str(found.get("series") or "2.8"),
        )
        made = plan(source, _parse)
    except yaml.YAMLError as exc:
        # The text around the error may hold a secret.
        place = getattr(exc, "problem_mark", None)
        where = f" at line {place.line + 1}" if place is not None else ""
        raise AnsibleFilterError(f"the configuration of the registry, or its environment, is no YAML{where}") from None
    except OciError as exc:
        raise AnsibleFilterError(exc.message) from None
    return {
        "variables": made.variables,
        "shown": made.shown(),
        "warnings": made.warnings,
        "blockers": made.blockers,
        "extract": made.extract,
        "htpasswd": made.htpasswd,
        "storage": made.storage,
    }


class FilterModule:
    """The filter ``longshore.oci.registry_migration``."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"registry_migration": registry_migration}
