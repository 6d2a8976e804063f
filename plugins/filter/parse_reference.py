# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of an image reference."""

from __future__ import annotations

DOCUMENTATION = r"""
name: parse_reference
short_description: Take an image reference apart
version_added: 1.0.0
author:
  - The longshore.oci authors (@longshore)
description:
  - Reads a reference such as V(nginx:1.27) or V(registry.example.com:5000/team/app:1.0@sha256:...) as docker and podman do,
    and returns its parts, with the registry and the repository always named.
  - Fails for what is no reference, and says why. Nothing is asked of a registry.
options:
  _input:
    description: The reference.
    type: str
    required: true
seealso:
  - plugin: longshore.oci.normalise_reference
    plugin_type: filter
  - plugin: longshore.oci.same_reference
    plugin_type: filter
"""

EXAMPLES = r"""
---
- name: Mirror an image under its own name
  vars:
    image: docker.io/library/nginx:1.27
    parsed: "{{ image | longshore.oci.parse_reference }}"
  longshore.oci.image_copy:
    src: "{{ image }}"
    dest: "registry.example.com/mirror/{{ parsed.repository }}:{{ parsed.tag }}"
    dest_username: robot
    dest_password: "{{ registry_password }}"
"""

RETURN = r"""
_value:
  description: The parts.
  type: dict
  contains:
    registry:
      description: The host of the registry, with its port if it has one.
      type: str
      sample: docker.io
    repository:
      description: The repository within the registry.
      type: str
      sample: library/nginx
    name:
      description: Registry and repository.
      type: str
      sample: docker.io/library/nginx
    tag:
      description: The tag; null if there is none.
      type: str
      sample: "1.27"
    digest:
      description: The digest; null if there is none.
      type: str
    familiar:
      description: The whole reference in the short form that docker shows.
      type: str
      sample: nginx:1.27
    normalised:
      description: The whole reference with nothing left out, as P(longshore.oci.normalise_reference#filter) gives it.
      type: str
      sample: docker.io/library/nginx:1.27
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.model.errors import OciError
from ..module_utils.model.reference import Reference


def parse_reference(text: Any) -> dict[str, Any]:
    """The parts of the reference ``text``. Raises AnsibleFilterError."""
    if not isinstance(text, str):
        raise AnsibleFilterError(f"parse_reference takes text, not {type(text).__name__}")
    try:
        reference = Reference.parse(text)
    except OciError as exc:
        raise AnsibleFilterError(exc.message) from None
    return {
        "registry": reference.host,
        "repository": reference.repository,
        "name": reference.name,
        "tag": reference.tag,
        "digest": str(reference.digest) if reference.digest else None,
        "familiar": reference.familiar,
        "normalised": str(reference.with_default_tag()),
    }


class FilterModule:
    """The filter ``longshore.oci.parse_reference``."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"parse_reference": parse_reference}
