# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a registry, made whole and checked."""

from __future__ import annotations

DOCUMENTATION = r"""
name: registry_config
short_description: Make and check the configuration of a registry
version_added: 1.0.0
author:
  - The longshore.oci authors (@longshore)
description:
  - Makes a whole configuration for the CNCF distribution registry from the settings of the role P(longshore.oci.registry#role),
    called as its variables are without C(registry_) in front.
  - Fails for keys that the registry does not know, which it would pass over, for values of the wrong kind, and for what the
    chosen series of the registry does not know. The message names each key.
  - Secrets are not in the configuration but in variables of the environment beside it.
options:
  _input:
    description:
      - The settings. Those that are left out have the role's defaults. Besides the role's variables there are V(listen) (the
        address to listen on), V(htpasswd), V(certificate) and V(key) (paths), and V(metrics_listen).
    type: dict
    required: true
  series:
    description: The series of the registry.
    type: str
    choices: ["2.8", "3"]
    default: "2.8"
"""

EXAMPLES = r"""
---
- name: See what a registry with this configuration would be started with
  vars:
    settings:
      listen: 127.0.0.1:5000
      htpasswd: /etc/registry/auth/htpasswd
      storage:
        path: /srv/registry
      config_extra:
        catalog:
          maxentries: 5000
  ansible.builtin.debug:
    msg: "{{ (settings | longshore.oci.registry_config(series='3')).config }}"
"""

RETURN = r"""
_value:
  description: What the registry is to be started with.
  type: dict
  contains:
    config:
      description: The configuration.
      type: dict
    readonly:
      description: The same, but that the registry refuses all writes.
      type: dict
    environment:
      description: Variables of the environment that the registry needs besides. They hold secrets.
      type: dict
    storage_identity:
      description: What names the storage. It is the same for all registries that share one.
      type: str
      sample: filesystem:/srv/registry
    has_secrets:
      description: Whether O(_input) put something into the configuration that looks like a secret, by V(config_extra).
      type: bool
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.model.errors import OciError
from ..module_utils.operations.registry_config import render


def registry_config(settings: Any, series: str = "2.8") -> dict[str, Any]:
    """The configuration that ``settings`` describe, for a registry of ``series``. Raises AnsibleFilterError."""
    if not isinstance(settings, Mapping):
        raise AnsibleFilterError(f"registry_config takes keys and values, not {type(settings).__name__}")
    try:
        rendered = render(settings, str(series))
    except OciError as exc:
        raise AnsibleFilterError(exc.message) from None
    return {
        "config": rendered.config,
        "readonly": rendered.readonly,
        "environment": rendered.environment,
        "storage_identity": rendered.storage_identity,
        "has_secrets": rendered.has_secrets,
    }


class FilterModule:
    """The filter ``longshore.oci.registry_config``."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"registry_config": registry_config}
