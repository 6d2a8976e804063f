#!/usr/bin/python
# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Save container images to an archive and load them from one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_save_load
short_description: Save container images to an archive, and load them from one
version_added: 1.0.0
author:
  - The longshore.oci authors (@longshore)
description:
  - Saves images, whole with all their platforms, to one archive that C(docker load), C(podman load), C(skopeo) (as
    C(oci-archive) and as C(docker-archive)) and this collection read; loads the images of an archive into a registry.
  - Layers go into the archive as they are, neither decompressed nor compressed again, so that digests stay what they
    were.
  - The archive is written once, to a temporary file beside O(path) that replaces it when it is complete. Whatever
    breaks before, the file at O(path) is what it was.
extends_documentation_fragment:
  - longshore.oci.attributes
  - longshore.oci.registry
  - longshore.oci.wire
attributes:
  check_mode:
    support: full
    details:
      - The registry is asked and the archive read, and their digests are compared. Nothing is written.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(saved) saves O(images) to O(path).
      - V(loaded) loads the images of O(path) to O(dest).
    type: str
    choices: [saved, loaded]
    required: true
  path:
    description:
      - The archive. In front of it may stand V(oci-archive:) or V(docker-archive:), which write the same file, or V(oci:)
        for an OCI image layout in a directory.
      - It must not hold a colon, which separates a path from the name of an image in what other tools read.
    type: str
    required: true
  images:
    description:
      - With O(state=saved) the images to save, such as V(registry.example.com/app:1.0). Each is named in the archive as
        it is named here.
      - With O(state=loaded) the images to load, by their names in the archive, or by their tags where these are
        unique. Without it all of them are loaded.
    type: list
    elements: str
    default: []
  dest:
    description:
      - Where to load to. A registry with an optional path in it, such as V(registry.example.com/mirror); each image keeps
        its repository and its tag below it.
      - For an archive with one image whose name has no repository, a reference of its own.
      - Required with O(state=loaded).
    type: str
  append:
    description:
      - With O(state=saved), keep images that the archive holds beside O(images). Otherwise it holds exactly O(images)
        afterwards.
      - An OCI image layout always keeps what it holds.
    type: bool
    default: false
  platforms:
    description:
      - V(all) saves or loads a multi-platform image as it is, byte for byte.
      - Otherwise the platforms wanted, such as V(linux/amd64) or V(linux/arm/v7), or V(local) for the one of the host the
        task runs on. A new index that lists only those is written, with a digest of its own.
    type: list
    elements: str
    default: [all]
  referrers:
    description:
      - Take what refers to the images along, such as signatures, attestations and SBOMs, also those that cosign keeps
        under tags of their own.
    type: bool
    default: false
seealso:
  - module: longshore.oci.image_copy
"""

EXAMPLES = r"""
---
- name: Save three images to one archive for the air-gapped site
  longshore.oci.image_save_load:
    state: saved
    path: /srv/transfer/release-7.tar
    images:
      - registry.example.com/team/app:7.0
      - registry.example.com/team/worker:7.0
      - docker.io/library/postgres:17

- name: Load everything it holds into the registry over there
  longshore.oci.image_save_load:
    state: loaded
    path: /srv/transfer/release-7.tar
    dest: registry.airgap.example/mirror
    username: robot
    password: "{{ registry_password }}"

- name: Save one platform of an image
  longshore.oci.image_save_load:
    state: saved
    path: /srv/transfer/app-arm64.tar
    images: [registry.example.com/team/app:7.0]
    platforms: [linux/arm64]
"""

RETURN = r"""
path:
  description: The archive, as given.
  returned: success
  type: str
  sample: /srv/transfer/release-7.tar
images:
  description: What became of each image.
  returned: always
  type: list
  elements: dict
  contains:
    src:
      description: Where it came from.
      type: str
      sample: registry.example.com/team/app:7.0
    dest:
      description: Where it went, its name in the archive or its reference in the registry.
      type: str
      sample: registry.example.com/team/app:7.0
    state:
      description: V(copied), V(unchanged) or V(failed). In check mode what it would be.
      type: str
      sample: copied
    changed:
      description: Whether this image is new or another one at its destination.
      type: bool
    digest:
      description: Its digest.
      type: str
      sample: sha256:0d5fc3a4a1bb1c0c3bbc3ad0e0a5c9b1f8e6d7c2b3a4958677f6e5d4c3b2a190
    digest_before:
      description: The digest its name stood for before; null if it did not exist.
      type: str
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
  description: How many HTTP requests the task sent.
  returned: always
  type: int
  sample: 14
rate_limit:
  description: What a registry said of its rate limit.
  returned: when a registry said it
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.support.argspec import one_end
from ..module_utils.support.run import run
from ..module_utils.support.transfers import save_load_verb


def main() -> None:
    """Run the module."""
    spec = one_end(
        state={"type": "str", "choices": ["saved", "loaded"], "required": True},
        path={"type": "str", "required": True},
        images={"type": "list", "elements": "str", "default": []},
        dest={"type": "str"},
        append={"type": "bool", "default": False},
        platforms={"type": "list", "elements": "str", "default": ["all"]},
        referrers={"type": "bool", "default": False},
    )
    module = AnsibleModule(
        spec,
        supports_check_mode=True,
        required_if=[("state", "saved", ("images",)), ("state", "loaded", ("dest",))],
    )
    run(module, save_load_verb)


if __name__ == "__main__":
    main()
