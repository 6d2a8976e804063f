# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a list that is one worker's."""

from __future__ import annotations

DOCUMENTATION = r"""
name: shard
short_description: Take one worker's share of a list of images
version_added: 1.0.0
author:
  - The longshore.oci authors (@longshore)
description:
  - Returns those entries of a list that belong to one of several workers. All workers together get every entry once, in the
    order of the list, and none needs to know of the others but how many there are.
  - Which worker an entry belongs to follows from its repository at the destination alone, so that all tags of a repository,
    which share layers, come to one worker. With one worker more, few repositories change hands. It is the worker that
    P(longshore.oci.image_sync#module) gives a repository to.
  - P(longshore.oci.image_sync#module) shares by itself, with O(longshore.oci.image_sync#module:shard_index). This filter is for
    other tasks, such as P(longshore.oci.image_copy#module) with a list.
positional: index, count
options:
  _input:
    description:
      - Images or repositories. Each is text, or a mapping with C(dest), C(src), or both, as
        O(longshore.oci.image_copy#module:images) and O(longshore.oci.image_sync#module:mappings) have them.
      - Of a mapping C(dest) decides, the first one of several; without one C(src) does.
      - A namespace, a layout and an archive belong to one worker with all that they hold.
    type: list
    elements: raw
    required: true
  index:
    description: The number of the worker, from 0.
    type: int
    required: true
  count:
    description: How many workers there are.
    type: int
    required: true
seealso:
  - module: longshore.oci.image_sync
"""

EXAMPLES = r"""
---
- name: Each of three workers copies its share of a list
  longshore.oci.image_copy:
    images: "{{ images | longshore.oci.shard(worker, 3) }}"
  loop: [0, 1, 2]
  loop_control:
    loop_var: worker
  when: images | longshore.oci.shard(worker, 3) | length > 0
  vars:
    images:
      - src: docker.io/library/nginx:1.27
        dest: registry.example.com/parted/nginx:1.27
      - src: docker.io/library/alpine:3.21
        dest: registry.example.com/parted/alpine:3.21
      - src: docker.io/library/busybox:1.36
        dest: registry.example.com/parted/busybox:1.36
"""

RETURN = r"""
_value:
  description: The entries of this worker, in their order.
  type: list
  elements: raw
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.model.errors import OciError
from ..module_utils.operations.shard_key import repository_of
from ..module_utils.operations.sharding import check_shard, shard_of


def shard(entries: Any, index: Any, count: Any) -> list[Any]:
    """The entries of the worker ``index`` of ``count``. Raises AnsibleFilterError."""
    if isinstance(entries, (str, bytes)) or not hasattr(entries, "__iter__"):
        raise AnsibleFilterError(f"shard takes a list, not {type(entries).__name__}")
    try:
        # A variable that is given on the command line or in a survey is text.
        number, workers = int(index), int(count)
    except (TypeError, ValueError):
        raise AnsibleFilterError(f"shard takes a worker's number and how many there are, not {index!r} and {count!r}") from None
    try:
        check_shard(number, workers)
        return [entry for entry in entries if shard_of(repository_of(entry), workers) == number]
    except OciError as exc:
        raise AnsibleFilterError(exc.message) from None


class FilterModule:
    """The filter ``longshore.oci.shard``."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"shard": shard}
