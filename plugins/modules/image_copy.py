#!/usr/bin/python
# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy container images from place to place."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_copy
short_description: Copy container images between registries, layouts and archives
version_added: 1.0.0
author:
  - The longshore.oci authors (@longshore)
description:
  - Copies images straight from place to place, with no container engine in between. What is copied are the very bytes
    of the source, so that every digest stays what it was.
  - Many images in one task share connections, tokens and blobs. A blob that several of them hold moves once; the
    others mount it where the registry can.
  - What the destination has already does not move, and a destination that is as wanted is not written to at all.
  - A tag moves last, after everything it needs has arrived. Whatever breaks before, it is what it was.
extends_documentation_fragment:
  - longshore.oci.attributes
  - longshore.oci.two_ends
  - longshore.oci.wire
attributes:
  check_mode:
    support: full
    details:
      - Both ends are asked and their digests compared. Nothing is written.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  src:
    description:
      - The image to copy, in the syntax that skopeo uses.
      - V(registry.example.com/app:1.0) or V(docker://registry.example.com/app:1.0) is an image in a registry,
        V(oci:PATH[:NAME]) one in an OCI image layout, V(oci-archive:PATH[:NAME]) and V(docker-archive:PATH[:NAME])
        one in an archive, V(dir:PATH) one in a directory.
      - An image with a tag and a digest is fetched by its digest.
      - Either O(src) and O(dest) or O(images) is required.
    type: str
  dest:
    description:
      - Where to copy it, in the same syntax. V(latest) is the tag when none is given.
      - An archive that exists keeps the other images that it holds.
    type: str
  images:
    description:
      - Images to copy in this one task.
    type: list
    elements: dict
    suboptions:
      src:
        description: As O(src).
        type: str
        required: true
      dest:
        description: As O(dest).
        type: str
        required: true
      additional_tags:
        description: As O(additional_tags), for this image.
        type: list
        elements: str
      platforms:
        description: As O(platforms), for this image.
        type: list
        elements: str
  additional_tags:
    description:
      - More tags that shall point at the image, in the repository of O(dest).
    type: list
    elements: str
    default: []
  platforms:
    description:
      - V(all) copies a multi-platform image as it is, byte for byte.
      - Otherwise the platforms to copy, such as V(linux/amd64) or V(linux/arm/v7), or V(local) for the one of the host
        the task runs on. Attestations follow the platform they attest. O(index) says what becomes of the index.
    type: list
    elements: str
    default: [all]
  index:
    description:
      - What becomes of the index of a multi-platform image of which only some O(platforms) are copied.
      - V(strip) writes a new index that lists only those, with a digest of its own.
      - V(sparse) keeps the index as it is, though it names images that are not there. Not every registry accepts that.
    type: str
    choices: [strip, sparse]
    default: strip
  referrers:
    description:
      - Copy what refers to the image, or to one of its platforms, as well, such as signatures, attestations and SBOMs.
        They are found through the registry's referrers API or its fallback tag, and under the tags C(.sig), C(.att) and
        C(.sbom) that cosign makes of a digest.
      - A place that holds one image, V(dir:PATH), takes no tags beside it.
    type: bool
    default: false
seealso:
  - module: longshore.oci.image_inspect
  - module: longshore.oci.image_save_load
"""

EXAMPLES = r"""
---
- name: Copy one image from registry to registry
  longshore.oci.image_copy:
    src: docker.io/library/busybox:1.36
    dest: registry.example.com/mirror/busybox:1.36

- name: Copy many images in one task, with credentials for each end
  longshore.oci.image_copy:
    images:
      - src: docker.io/library/nginx:1.27
        dest: registry.example.com/mirror/nginx:1.27
        additional_tags: [stable]
      - src: quay.io/prometheus/prometheus:v3.1.0
        dest: registry.example.com/mirror/prometheus:v3.1.0
    dest_username: robot
    dest_password: "{{ registry_password }}"

- name: Copy two platforms of an image
  longshore.oci.image_copy:
    src: docker.io/library/alpine:3.21
    dest: registry.example.com/mirror/alpine:3.21
    platforms: [linux/amd64, linux/arm64]

- name: Promote what was tested, without moving a layer
  longshore.oci.image_copy:
    src: registry.example.com/team/app@sha256:0d5fc3a4a1bb1c0c3bbc3ad0e0a5c9b1f8e6d7c2b3a4958677f6e5d4c3b2a190
    dest: registry.example.com/team/app:production

- name: Put an image into an OCI layout on disk
  longshore.oci.image_copy:
    src: registry.example.com/team/app:1.0
    dest: oci:/srv/images:app-1.0
"""

RETURN = r"""
images:
  description: What became of each image, in the order they were given.
  returned: always
  type: list
  elements: dict
  contains:
    src:
      description: The source, as given.
      type: str
      sample: docker.io/library/busybox:1.36
    dest:
      description: The destination, as given.
      type: str
      sample: registry.example.com/mirror/busybox:1.36
    state:
      description: V(copied), V(unchanged) or V(failed). In check mode what it would be.
      type: str
      sample: copied
    changed:
      description: Whether the destination changed.
      type: bool
    digest:
      description: The digest that the destination stands for now.
      type: str
      sample: sha256:0d5fc3a4a1bb1c0c3bbc3ad0e0a5c9b1f8e6d7c2b3a4958677f6e5d4c3b2a190
    digest_before:
      description: The digest it stood for before; null if it did not exist.
      type: str
    names:
      description: For an image with O(additional_tags), every tag with the digest it stood for before.
      type: dict
    bytes_transferred:
      description: Bytes of blobs that moved for this image. A blob that several images hold counts for the first.
      type: int
    blobs:
      description: The blobs that this image asked for first, by what was done.
      type: dict
    referrers:
      description: With O(referrers), how many manifests about the image came along.
      type: int
    error:
      description: Why it failed.
      type: str
digest:
  description: The digest of the image, when there is one image.
  returned: when one image was copied
  type: str
  sample: sha256:0d5fc3a4a1bb1c0c3bbc3ad0e0a5c9b1f8e6d7c2b3a4958677f6e5d4c3b2a190
digest_before:
  description: The digest the destination stood for before, when there is one image.
  returned: when one image was copied
  type: str
bytes_transferred:
  description: Bytes of blobs that moved.
  returned: always
  type: int
  sample: 31536000
blobs:
  description: How many blobs were copied, mounted from another repository, and there already.
  returned: always
  type: dict
  sample: {copied: 3, mounted: 1, existing: 0}
requests:
  description: How many HTTP requests the task sent, to both ends.
  returned: always
  type: int
  sample: 14
rate_limit:
  description: What a registry said of its rate limit.
  returned: when a registry said it
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.support.argspec import two_ends
from ..module_utils.support.run import run
from ..module_utils.support.transfers import copy_verb


def main() -> None:
    """Run the module."""
    image = {
        "src": {"type": "str", "required": True},
        "dest": {"type": "str", "required": True},
        "additional_tags": {"type": "list", "elements": "str"},
        "platforms": {"type": "list", "elements": "str"},
    }
    spec = two_ends(
        src={"type": "str"},
        dest={"type": "str"},
        images={"type": "list", "elements": "dict", "options": image},
        additional_tags={"type": "list", "elements": "str", "default": []},
        platforms={"type": "list", "elements": "str", "default": ["all"]},
        index={"type": "str", "choices": ["strip", "sparse"], "default": "strip"},
        referrers={"type": "bool", "default": False},
    )
    module = AnsibleModule(
        spec,
        supports_check_mode=True,
        mutually_exclusive=[("src", "images"), ("dest", "images")],
        required_one_of=[("src", "images")],
        required_together=[("src", "dest")],
    )
    run(module, copy_verb)


if __name__ == "__main__":
    main()
