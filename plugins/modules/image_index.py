#!/usr/bin/python
# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make multi-platform images out of single ones, and edit them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_index
short_description: Make multi-platform images out of existing ones and edit them
version_added: 1.0.0
author:
  - The longshore.oci authors (@longshore)
description:
  - Makes an index (a manifest list, a multi-platform image) out of images that exist, adds entries to one and removes
    some, and sets what it says of them. It does what C(docker manifest create), C(annotate) and C(push) and
    C(docker buildx imagetools create) do, in one step and without a container engine.
  - Images that lie in another repository or registry are copied beside the index first. Within one registry their
    layers are mounted, so that none moves. The tag moves last.
  - The index that O(name) stood for before stays in the registry under its digest. Images that are removed from an
    index stay as well.
extends_documentation_fragment:
  - longshore.oci.attributes
  - longshore.oci.two_ends
  - longshore.oci.wire
attributes:
  check_mode:
    support: full
    details:
      - Everything is read and the digest of the index computed. Nothing is written.
  diff_mode:
    support: full
    details:
      - Shows digest, annotations and entries before and after.
  idempotent:
    support: full
options:
  name:
    description:
      - The index, as V([docker://]REGISTRY/REPOSITORY[:TAG]), V(oci:PATH[:NAME]) or any other location that can hold one.
      - It needs no credentials but the ones of O(dest_username), O(dest_password) and so on.
    type: str
    required: true
  manifests:
    description:
      - What the index is to consist of, in this order. Other entries go, unless O(append) is true.
      - Without this the entries stay as they are, but for O(remove).
      - Two images for the same platform are refused.
    type: list
    elements: dict
    suboptions:
      src:
        description:
          - An image, in the syntax of O(name), or the digest of one that lies where the index is.
          - Of a multi-platform image the entries are taken over as they are, attestations included.
          - An image at the registry of O(name) is read with the C(dest_) options, others with the C(src_) options.
        type: str
        required: true
      platform:
        description:
          - What the image runs on, such as V(linux/arm/v7). Without this the config of the image says it.
        type: str
      platforms:
        description:
          - Of a multi-platform image, the platforms to take over. Attestations follow the image they attest.
        type: list
        elements: str
        default: [all]
      annotations:
        description:
          - Annotations of the entry, added to those that it has in the index it is taken from.
        type: dict
  append:
    description:
      - Keep the entries that the index has. One of O(manifests) takes the place of the entry for the same platform, and
        of an entry for the same image.
      - A single image that O(name) stands for becomes the first entry.
    type: bool
    default: false
  remove:
    description:
      - Entries to take out of the index, each by its platform (V(linux/386)) or its digest. Their attestations go along.
      - V(linux/arm) means all variants. What is not there already is passed over.
      - With O(manifests) it needs O(append=true), and comes before what is added.
    type: list
    elements: str
  annotations:
    description:
      - Annotations of the index itself. With O(manifests) and without O(append) it gets these and no other; otherwise it
        keeps those it has, and a value of null removes one.
    type: dict
  format:
    description:
      - V(oci) makes an OCI image index, V(docker) a Docker manifest list, which takes images of Docker's media types
        alone and has no annotations.
      - Without this an index that is edited keeps its format where that is possible, and a new one is a Docker manifest
        list if all images in it are Docker's.
    type: str
    choices: [oci, docker]
  src_daemon_host:
    description:
      - The container engine that images in O(manifests) with V(docker-daemon:) or V(containers-storage:) come from, such as
        V(unix:///run/docker.sock). See the option of the same name of M(longshore.oci.image_copy).
    type: str
seealso:
  - module: longshore.oci.image_copy
  - module: longshore.oci.image_inspect
  - module: longshore.oci.registry_delete
"""

EXAMPLES = r"""
---
- name: Make one image out of those that were built for each platform
  longshore.oci.image_index:
    name: registry.example.com/team/worker:8.0
    manifests:
      - src: registry.example.com/team/worker:8.0-amd64
      - src: registry.example.com/team/worker:8.0-arm64
    annotations:
      org.opencontainers.image.version: "8.0"
    dest_username: robot
    dest_password: "{{ registry_password }}"

- name: Add a platform from another registry, or replace it
  longshore.oci.image_index:
    name: registry.example.com/team/worker:8.0
    append: true
    manifests:
      - src: docker.io/library/alpine:3.21
        platforms: [linux/arm/v7]
    dest_username: robot
    dest_password: "{{ registry_password }}"

- name: Take platforms out that nobody runs
  longshore.oci.image_index:
    name: registry.example.com/team/app:1.4
    remove: [linux/arm/v7]
    dest_username: robot
    dest_password: "{{ registry_password }}"
"""

RETURN = r"""
name:
  description: The index, in full.
  returned: success
  type: str
  sample: registry.example.com/team/worker:8.0
digest:
  description: Digest of the index.
  returned: success
  type: str
  sample: sha256:0d5fc3a4a1bb1c0c3bbc3ad0e0a5c9b1f8e6d7c2b3a4958677f6e5d4c3b2a190
digest_before:
  description: Digest of what O(name) stood for before; null if it did not exist.
  returned: success
  type: str
media_type:
  description: Media type of the index.
  returned: success
  type: str
  sample: application/vnd.oci.image.index.v1+json
annotations:
  description: Annotations of the index.
  returned: success
  type: dict
manifests:
  description: The entries of the index, in their order.
  returned: success
  type: list
  elements: dict
  contains:
    digest:
      description: Digest of the manifest.
      type: str
    media_type:
      description: Its media type.
      type: str
    size:
      description: Bytes of the manifest.
      type: int
    platform:
      description: What the image runs on; null if the entry does not say.
      type: str
      sample: linux/arm64
    annotations:
      description: Annotations of the entry.
      type: dict
bytes_transferred:
  description: Bytes of blobs that moved.
  returned: always
  type: int
  sample: 0
blobs:
  description: How many blobs were copied, mounted from another repository, and there already.
  returned: always
  type: dict
  sample: {copied: 0, mounted: 4, existing: 0}
requests:
  description: How many HTTP requests the task sent, to all registries.
  returned: always
  type: int
  sample: 14
rate_limit:
  description: What a registry said of its rate limit.
  returned: when a registry said it
  type: dict
"""

from ..module_utils.support.argspec import engine, two_ends
from ..module_utils.support.indexes import image_index_verb
from ..module_utils.support.module import Module
from ..module_utils.support.run import run


def main() -> None:
    """Run the module."""
    member = {
        "src": {"type": "str", "required": True},
        "platform": {"type": "str"},
        "platforms": {"type": "list", "elements": "str", "default": ["all"]},
        "annotations": {"type": "dict"},
    }
    spec = two_ends(
        name={"type": "str", "required": True},
        manifests={"type": "list", "elements": "dict", "options": member},
        append={"type": "bool", "default": False},
        remove={"type": "list", "elements": "str"},
        annotations={"type": "dict"},
        format={"type": "str", "choices": ["oci", "docker"]},
        **engine("src_"),
    )
    module = Module(
        spec,
        supports_check_mode=True,
        required_one_of=[("manifests", "remove", "annotations", "format")],
    )
    run(module, image_index_verb)


if __name__ == "__main__":
    main()
