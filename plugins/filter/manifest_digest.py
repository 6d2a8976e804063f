# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest of a manifest at hand."""

from __future__ import annotations

DOCUMENTATION = r"""
name: manifest_digest
short_description: Compute the digest of a manifest
version_added: 1.0.0
author:
  - The longshore.oci authors (@longshore)
description:
  - Returns the digest of the manifest or index whose text is given, as C(skopeo manifest-digest) does.
  - A digest is that of the very bytes. Text that was parsed and written again, or lost its last line break, has another
    one. Read a file with P(ansible.builtin.file#lookup) and C(rstrip=false).
  - Fails for what is no manifest and no index, such as the path of a file.
options:
  _input:
    description: The manifest, as text or bytes.
    type: raw
    required: true
  algorithm:
    description: The algorithm of the digest.
    type: str
    choices: [sha256, sha384, sha512]
    default: sha256
seealso:
  - module: longshore.oci.image_inspect
  - plugin: longshore.oci.digest
    plugin_type: lookup
"""

EXAMPLES = r"""
---
- name: Read a manifest
  longshore.oci.image_inspect:
    name: docker.io/library/nginx:1.27
    raw: true
  register: found

- name: Show its digest
  ansible.builtin.debug:
    msg: "{{ found.images[0].raw | longshore.oci.manifest_digest }}"
"""

RETURN = r"""
_value:
  description: The digest.
  type: str
  sample: sha256:0d5fc3a4a1bb1c0c3bbc3ad0e0a5c9b1f8e6d7c2b3a4958677f6e5d4c3b2a190
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.model.digest import ALGORITHMS, Digest
from ..module_utils.model.errors import OciError
from ..module_utils.model.manifest import parse_manifest


def manifest_digest(manifest: Any, algorithm: str = "sha256") -> str:
    """The digest of the bytes of ``manifest``. Raises AnsibleFilterError."""
    if algorithm not in ALGORITHMS:
        raise AnsibleFilterError(f"algorithm must be one of {', '.join(ALGORITHMS)}, not '{algorithm}'")
    if isinstance(manifest, str):
        # As Ansible decodes what is not UTF-8.
        raw = manifest.encode("utf-8", "surrogateescape")
    elif isinstance(manifest, bytes):
        raw = manifest
    else:
        raise AnsibleFilterError(
            f"manifest_digest takes the text of a manifest, not {type(manifest).__name__}: what was parsed has lost its bytes"
        )
    try:
        parse_manifest(raw)
    except OciError as exc:
        raise AnsibleFilterError(exc.message) from None
    return str(Digest.of(raw, algorithm))


class FilterModule:
    """The filter ``longshore.oci.manifest_digest``."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"manifest_digest": manifest_digest}
