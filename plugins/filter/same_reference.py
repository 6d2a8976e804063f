# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether two image references stand for one image."""

from __future__ import annotations

DOCUMENTATION = r"""
name: same_reference
short_description: Compare two image references
version_added: 1.0.0
author:
  - The longshore.oci authors (@longshore)
description:
  - Returns whether two references stand for the same image of the same repository, however they are written. V(nginx) and
    V(docker.io/library/nginx:latest) do.
  - A reference with a digest stands for that digest, whatever its tag. So two with one digest are the same, and one with a
    digest is not the same as one without.
  - Fails for what is no reference, and says why. Nothing is asked of a registry. Use P(longshore.oci.digest#lookup) to learn
    whether two tags stand for one image now.
positional: other
options:
  _input:
    description: The one reference.
    type: str
    required: true
  other:
    description: The other reference.
    type: str
    required: true
seealso:
  - plugin: longshore.oci.normalise_reference
    plugin_type: filter
  - plugin: longshore.oci.digest
    plugin_type: lookup
"""

EXAMPLES = r"""
---
- name: Make sure that a service runs the image it should
  ansible.builtin.assert:
    that: running | longshore.oci.same_reference(wanted)
  vars:
    running: registry.example.com/team/app
    wanted: registry.example.com/team/app:latest
"""

RETURN = r"""
_value:
  description: Whether both stand for the same image.
  type: bool
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.model.errors import OciError
from ..module_utils.model.reference import Reference


def same_reference(text: Any, other: Any) -> bool:
    """Whether the references ``text`` and ``other`` stand for one image. Raises AnsibleFilterError."""
    for one in (text, other):
        if not isinstance(one, str):
            raise AnsibleFilterError(f"same_reference takes text, not {type(one).__name__}")
    try:
        return Reference.parse(text).is_same_image(Reference.parse(other))
    except OciError as exc:
        raise AnsibleFilterError(exc.message) from None


class FilterModule:
    """The filter ``longshore.oci.same_reference``."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"same_reference": same_reference}
