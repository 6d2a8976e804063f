#!/usr/bin/python
# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_inspect
short_description: Look at container images in registries and archives without pulling them
version_added: 1.0.0
author:
  - longshore.oci authors (@longshore)
description:
  - Reads the manifest, the index and the configuration of images, straight from where they are. Layers are
    never moved, and no container engine is needed.
  - Takes any number of names, looks at them at once, and says which of them do not exist.
extends_documentation_fragment:
  - longshore.oci.registry
  - longshore.oci.wire
  - longshore.oci.attributes
  - longshore.oci.attributes.read_only
options:
  name:
    description:
      - The images to look at, one or a list, as V([registry/]repository[:tag][@digest]). The tag is V(latest)
        if none is given.
      - Images elsewhere are written with their transport, as for C(skopeo), such as V(oci:/srv/layout:name),
        V(oci-archive:/srv/image.tar), V(docker-archive:/srv/image.tar:name) or V(dir:/srv/image).
      - V(https://host/path#name) and V(s3://bucket/key#name) are images in an archive at a URL, of which only the parts that
        are needed are read.
      - V(docker-daemon:name:tag) and V(containers-storage:name:tag) are images of docker and podman. They are exported to be
        looked at, so that their digests are those that a copy would have.
    type: list
    elements: str
    required: true
    aliases: [image, src]
  platform:
    description:
      - Which image of an index the fields that differ from platform to platform speak of, as
        V(os/architecture[/variant]), or V(local) for that of the host the task runs on.
      - If this is not given, the image for the host's platform is taken, and if there is none, the first of the
        index.
      - If this is given and an image does not have it, the task fails and says what there is.
    type: str
  platform_sizes:
    description:
      - Read the manifest of every platform of an index, so that each entry of C(platforms) has its C(size).
        This costs one request for each platform, which Docker Hub counts as pulls.
    type: bool
    default: false
  raw:
    description:
      - Return the manifest or index as it is as well.
    type: bool
    default: false
  config:
    description:
      - Return the whole configuration document of the image as well.
    type: bool
    default: false
  list_tags:
    description:
      - Return all tags of the repository as well. Where the registry lets nobody list them, this is a warning
        and no failure.
    type: bool
    default: false
  daemon_host:
    description:
      - Where the API of the container engine is, for V(docker-daemon:NAME) and V(containers-storage:NAME), as
        V(unix:///run/docker.sock), V(tcp://HOST:PORT), V(https://HOST:PORT) or V(ssh://USER@HOST).
      - V(https://) is TLS with O(ca_path), O(client_cert), O(client_key) and O(validate_certs). V(tcp://) is
        TLS on port 2376, or if one of the files is given; V(http://) never is.
      - Without it E(DOCKER_HOST), E(DOCKER_TLS_VERIFY) and E(DOCKER_CERT_PATH) are used for docker and E(CONTAINER_HOST) for
        podman, and then the usual sockets. Podman's API is started for the task where it is not running.
    type: str
seealso:
  - module: longshore.oci.image_tags
  - module: longshore.oci.image_copy
"""

EXAMPLES = r"""
---
- name: Look at an image
  longshore.oci.image_inspect:
    name: registry.example.com/team/app:1.4
  register: app

- name: Stop unless it is for this platform
  ansible.builtin.assert:
    that: app.images[0].platforms | selectattr('platform', 'equalto', 'linux/arm64') | length > 0

- name: Find out which of these images the registry does not have
  longshore.oci.image_inspect:
    name:
      - registry.example.com/team/app:1.4
      - registry.example.com/team/worker:1.4
  register: release

- name: Say which
  ansible.builtin.debug:
    msg: "Not there yet: {{ release.missing | join(', ') }}"
  when: release.missing | length > 0

- name: Labels of the image for 32-bit ARM, from an archive
  longshore.oci.image_inspect:
    name: oci-archive:/srv/images/app.tar
    platform: linux/arm/v7
"""

RETURN = r"""
images:
  description: One entry for each name that exists, in the order of O(name).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name as it was given.
      type: str
      returned: success
      sample: registry.example.com/team/app:1.4
    location:
      description: The name in full.
      type: str
      returned: success
      sample: registry.example.com/team/app:1.4
    repository:
      description: The repository, without tag and digest.
      type: str
      returned: for images in registries
      sample: registry.example.com/team/app
    tag:
      description: The tag, if the name has one.
      type: str
      returned: for images in registries
      sample: "1.4"
    digest:
      description: Digest of what the name stands for, an index if it is one.
      type: str
      returned: success
      sample: sha256:56fb1b8b0eb5f4ba4cb0d8a8ee19a6fbdf1d3b9ecbd9f7ee1d92d0e3ecd93b0f
    media_type:
      description: Its media type.
      type: str
      returned: success
      sample: application/vnd.oci.image.index.v1+json
    is_index:
      description: Whether it is an index or manifest list.
      type: bool
      returned: success
    artifact_type:
      description: What it is if it is no image, otherwise empty.
      type: str
      returned: success
    annotations:
      description: Annotations of what the name stands for.
      type: dict
      returned: success
    subject:
      description: Digest of the manifest it refers to, as a signature does.
      type: str
      returned: success
    platforms:
      description: All platforms there are.
      type: list
      elements: dict
      returned: success
      contains:
        platform:
          description: The platform, normalised, as V(os/architecture[/variant]).
          type: str
          returned: success
          sample: linux/arm64
        os:
          description: Its operating system.
          type: str
          returned: success
        architecture:
          description: Its architecture.
          type: str
          returned: success
        variant:
          description: Its variant as the image says it, or the empty string.
          type: str
          returned: success
        os_version:
          description: Version of the operating system, for Windows images.
          type: str
          returned: success
        digest:
          description: Digest of the manifest for this platform.
          type: str
          returned: success
        media_type:
          description: Media type of that manifest.
          type: str
          returned: success
        size:
          description: Compressed bytes of this platform, or null where that was not read (see O(platform_sizes)).
          type: int
          returned: success
    attestations:
      description: Build attestations that the index lists, with the digest of what each of them is about.
      type: list
      elements: dict
      returned: success
    manifest_digest:
      description: Digest of the manifest that the following fields come from.
      type: str
      returned: unless it is an index without images
    platform:
      description: The platform that the following fields are for.
      type: str
      returned: for images
      sample: linux/amd64
    os:
      description: Its operating system.
      type: str
      returned: for images
    architecture:
      description: Its architecture.
      type: str
      returned: for images
    variant:
      description: Its variant as the image says it, or the empty string.
      type: str
      returned: for images
    size:
      description: Bytes that pulling this platform moves at most, which is the configuration and all layers as stored.
      type: int
      returned: unless it is an index without images
      sample: 2156389
    config_digest:
      description: Digest of the configuration, which engines call the image ID.
      type: str
      returned: unless it is an index without images
    layers:
      description: The layers from the base upwards, each with C(digest), C(size), C(media_type) and C(annotations).
      type: list
      elements: dict
      returned: unless it is an index without images
    image_annotations:
      description: Annotations of the manifest for this platform.
      type: dict
      returned: unless it is an index without images
    created:
      description: When the image was made, as it says itself.
      type: str
      returned: for images
      sample: "2026-09-01T12:00:00Z"
    author:
      description: Who made it, as it says itself.
      type: str
      returned: for images
    docker_version:
      description: Version of the Docker that made it, for old images.
      type: str
      returned: for images
    labels:
      description: Labels of the image.
      type: dict
      returned: for images
    env:
      description: Environment variables it sets.
      type: list
      elements: str
      returned: for images
    history:
      description: How the layers came to be.
      type: list
      elements: dict
      returned: for images
    diff_ids:
      description: Digests of the uncompressed layers.
      type: list
      elements: str
      returned: for images
    tags:
      description: All tags of the repository.
      type: list
      elements: str
      returned: when O(list_tags) is true
    raw:
      description: The manifest or index, byte for byte.
      type: str
      returned: when O(raw) is true
    config:
      description: The configuration document.
      type: dict
      returned: when O(config) is true
missing:
  description: The names that do not exist.
  returned: success
  type: list
  elements: str
requests:
  description: How many requests were sent.
  returned: always
  type: int
  sample: 4
rate_limit:
  description: What the registry said of its pull limit, such as Docker Hub does.
  returned: when a registry tells it
  type: dict
"""

from typing import Any

from ..module_utils.support.argspec import engine, one_end
from ..module_utils.support.clients import Task
from ..module_utils.support.module import Module
from ..module_utils.support.results import Verbatim
from ..module_utils.support.run import run


def inspect(task: Task) -> dict[str, Any]:
    """Look at the images that the parameters name."""
    from ..module_utils.model.platform import Platform
    from ..module_utils.operations import inspect as operation
    from ..module_utils.transports.places import Places

    params = task.params
    wish = operation.Wish(
        platform=Platform.parse(params["platform"]) if params["platform"] else None,
        raw=params["raw"],
        config=params["config"],
        list_tags=params["list_tags"],
        platform_sizes=params["platform_sizes"],
    )
    places = Places(task.registries())
    places.source_engine = task.engine()
    try:
        found = operation.inspect(params["name"], places, wish, task.parallel, task.stop)
    finally:
        places.close()
    for warning in found.warnings:
        task.warn(warning)
    for image in found.images:
        if "raw" in image:
            image["raw"] = Verbatim(image["raw"].decode("utf-8"))
    return {"changed": False, "images": found.images, "missing": found.missing}


def main() -> None:
    module = Module(
        argument_spec=one_end(
            name={"type": "list", "elements": "str", "required": True, "aliases": ["image", "src"]},
            platform={"type": "str"},
            platform_sizes={"type": "bool", "default": False},
            raw={"type": "bool", "default": False},
            config={"type": "bool", "default": False},
            list_tags={"type": "bool", "default": False},
            **engine(),
        ),
        supports_check_mode=True,
    )
    run(module, inspect)


if __name__ == "__main__":
    main()
