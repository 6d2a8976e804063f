# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories to mirror as the hosts of an inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: mirror_list
short_description: The repositories of a mirror list as hosts
version_added: 1.0.0
author:
  - The longshore.oci authors (@longshore)
description:
  - Makes a host of each repository that is to be mirrored, so that forks, C(serial), C(--limit) and the job slices of AWX work
    on images as they do on machines, and every repository has a result of its own.
  - The file is called C(mirror_list.yml), or something that ends in C(.mirror_list.yml); C(.yaml) will do.
  - A host is called as its repository at the destination, with V(+) for V(/) and V(:), which mean something in patterns and
    paths, such as C(registry.example.com+mirror+nginx).
  - Its tasks run where C(ansible-playbook) runs. It has its mapping as the variable C(image_mirror_mappings), so that the role
    P(longshore.oci.image_mirror#role) mirrors that repository; and C(mirror_src) and C(mirror_dest).
  - The hosts of one source registry are in the group C(from_HOST), those of one destination in C(to_HOST), with V(_) for
    what a group's name cannot hold, such as C(from_docker_io).
  - No registry is asked. A namespace or a whole registry as the source is one host.
extends_documentation_fragment:
  - constructed
options:
  plugin:
    description: The name of this plugin, always V(longshore.oci.mirror_list).
    type: str
    required: true
    choices: [longshore.oci.mirror_list]
  mappings:
    description: What to mirror, as O(longshore.oci.image_sync#module:mappings) has it.
    type: list
    elements: dict
    default: []
  files:
    description:
      - YAML files of which each holds such a list, alone or as C(mappings). A relative path starts at the directory of the
        inventory file.
    type: list
    elements: path
    default: []
  dest:
    description: Where images go whose mapping does not say, as O(longshore.oci.image_sync#module:dest) has it.
    type: list
    elements: str
    default: []
seealso:
  - module: longshore.oci.image_sync
  - plugin: longshore.oci.shard
    plugin_type: filter
"""

EXAMPLES = r"""
---
# mirror_list.yml
plugin: longshore.oci.mirror_list
dest: [registry.example.com/mirror/]
mappings:
  - src: docker.io/library/nginx
    tags:
      semver: '>=1.20'
      newest: 5
  - src: quay.io/prometheus/prometheus
    tags:
      glob: [v3.*]
# One more list, and a group for what is large.
files: [team.yml]
groups:
  large: mirror_src in ['docker.io/library/nginx']
"""

import os
import re
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable

try:
    from ansible.template import trust_as_template
except ImportError:
    # Before ansible-core 2.19 every text of an inventory is a template.
    trust_as_template = str

from ..module_utils.model.errors import OciError
from ..module_utils.operations.shard_key import repository_of

_SUFFIXES = ("mirror_list.yml", "mirror_list.yaml")
_HOST_OF = re.compile(r"(?:docker://)?([^/@]+)")
_NOT_IN_GROUPS = re.compile(r"[^A-Za-z0-9_]")
#: What each host needs to be the machine that runs the play, as Ansible's own localhost has it.
_HERE = {"ansible_connection": "local", "ansible_python_interpreter": trust_as_template("{{ ansible_playbook_python }}")}


class InventoryModule(BaseInventoryPlugin, Constructable):  # type: ignore[misc]
    """See the documentation above."""

    NAME = "longshore.oci.mirror_list"

    def verify_file(self, path: str) -> bool:
        """Whether the file is meant for this plugin."""
        name = os.path.basename(path)
        ours = any(name == suffix or name.endswith(f".{suffix}") for suffix in _SUFFIXES)
        return ours and bool(super().verify_file(path))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill ``inventory`` from the file at ``path``. Raises AnsibleParserError."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        rows = list(self.get_option("mappings") or [])
        for file in self.get_option("files") or []:
            rows += self._listed(file if os.path.isabs(file) else os.path.join(os.path.dirname(path), file))
        for number, row in enumerate(rows, 1):
            try:
                self._add(self._whole(row))
            except OciError as exc:
                raise AnsibleParserError(f"{path}, mapping {number}: {exc.message}") from None

    def _listed(self, path: str) -> list[Any]:
        found = self.loader.load_from_file(path, cache="none")
        if isinstance(found, Mapping):
            found = found.get("mappings")
        if not isinstance(found, list):
            raise AnsibleParserError(f"{path} holds no list of mappings")
        return found

    def _whole(self, row: Any) -> dict[str, Any]:
        if not isinstance(row, Mapping) or not isinstance(row.get("src"), str):
            raise AnsibleParserError(f"a mapping has a src, such as docker.io/library/nginx: {row!r}")
        mapping = dict(row)
        if not mapping.get("dest"):
            mapping["dest"] = list(self.get_option("dest") or [])
        elif isinstance(mapping["dest"], str):
            mapping["dest"] = [mapping["dest"]]
        if not mapping["dest"]:
            raise AnsibleParserError(f"{row['src']} has no dest, and there is none for all mappings")
        return mapping

    def _add(self, mapping: dict[str, Any]) -> None:
        repository = repository_of(mapping)
        name = re.sub("[/:]", "+", repository)
        variables = {
            **_HERE,
            "image_mirror_mappings": [mapping],
            # It is not to be shared with the other hosts: they have repositories of their own.
            "image_mirror_shard_index": 0,
            "image_mirror_shard_count": 1,
            "mirror_src": mapping["src"],
            "mirror_dest": repository,
        }
        if self.inventory.get_host(name) is not None:
            self._join(name, mapping)
            return
        self.inventory.add_host(name)
        for key, value in variables.items():
            self.inventory.set_variable(name, key, value)
        for prefix, text in (("from", repository_of(mapping["src"])), ("to", repository)):
            group = f"{prefix}_{_NOT_IN_GROUPS.sub('_', _host(text))}"
            self.inventory.add_group(group)
            self.inventory.add_child(group, name)
        strict = self.get_option("strict")
        known = self.inventory.get_host(name).get_vars()
        self._set_composite_vars(self.get_option("compose"), known, name, strict=strict)
        known = self.inventory.get_host(name).get_vars()
        self._add_host_to_composed_groups(self.get_option("groups"), known, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), known, name, strict=strict)

    def _join(self, name: str, mapping: dict[str, Any]) -> None:
        """Two mappings may fill one repository, with tags that differ: one host does both."""
        before = self.inventory.get_host(name).get_vars()
        self.inventory.set_variable(name, "image_mirror_mappings", [*before["image_mirror_mappings"], mapping])


def _host(repository: str) -> str:
    """The registry of a repository; of a place that is none the kind of place."""
    found = _HOST_OF.match(repository)
    text = found.group(1) if found else repository
    scheme, colon, rest = text.partition(":")
    return text if rest[:1].isdigit() or not colon else scheme
