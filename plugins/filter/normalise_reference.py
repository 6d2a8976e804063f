# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One spelling for every way to write an image reference."""

from __future__ import annotations

DOCUMENTATION = r"""
name: normalise_reference
short_description: Write an image reference with nothing left out
version_added: 1.0.0
author:
  - The longshore.oci authors (@longshore)
description:
  - Returns the reference with its registry, its whole repository and its tag, so that V(nginx) becomes
    V(docker.io/library/nginx:latest), as docker reads it.
  - Fails for what is no reference, and says why. Nothing is asked of a registry.
options:
  _input:
    description: The reference.
    type: str
    required: true
  default_tag:
    description: Whether V(latest) is added where there is neither tag nor digest.
    type: bool
    default: true
seealso:
  - plugin: longshore.oci.parse_reference
    plugin_type: filter
  - plugin: longshore.oci.same_reference
    plugin_type: filter
"""

EXAMPLES = r"""
---
- name: List images without those that are only written in another way
  ansible.builtin.debug:
    msg: "{{ images | map('longshore.oci.normalise_reference') | unique }}"
  vars:
    images: [nginx, 'docker.io/nginx:latest', 'registry.example.com/team/app:1.0']
"""

RETURN = r"""
_value:
  description: The reference with nothing left out.
  type: str
  sample: docker.io/library/nginx:latest
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.model.errors import OciError
from ..module_utils.model.reference import Reference


def normalise_reference(text: Any, default_tag: bool = True) -> str:
    """The reference ``text`` in full. Raises AnsibleFilterError."""
    if not isinstance(text, str):
        raise AnsibleFilterError(f"normalise_reference takes text, not {type(text).__name__}")
    try:
        reference = Reference.parse(text)
    except OciError as exc:
        raise AnsibleFilterError(exc.message) from None
    return str(reference.with_default_tag() if default_tag else reference)


class FilterModule:
    """The filter ``longshore.oci.normalise_reference``."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"normalise_reference": normalise_reference}
