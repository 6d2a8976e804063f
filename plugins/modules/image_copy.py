#!/usr/bin/python
# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy container images from place to place."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_copy
short_description: Copy container images between registries, layouts, archives and container engines
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
  - longshore.oci.progress
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
      - V(https://HOST/PATH[#NAME]), V(http://HOST/PATH[#NAME]) and V(s3://BUCKET/KEY[#NAME]) are images in an archive at a
        URL; see O(longshore.oci.image_save_load#module:path).
      - V(tarball:PATH[:PATH...]) makes an image of the tar of a root file system, as C(docker import) does, or of several,
        the lowest layer first. They may be compressed with gzip or zstd, and stay as they are. O(config) says what the
        image runs. The same tars with the same O(config) always give the same digest.
      - V(docker-daemon:NAME[:TAG]) is an image of a Docker daemon and V(containers-storage:NAME[:TAG]) one of podman. An ID
        (V(sha256:...)) may stand in place of the name. The image is exported to a temporary file, in E(TMPDIR) or
        V(/var/tmp), and its layers are not compressed.
      - An image with a tag and a digest is fetched by its digest.
      - Either O(src) and O(dest) or O(images) is required.
    type: str
  dest:
    description:
      - Where to copy it, in the same syntax. V(latest) is the tag when none is given.
      - An archive that exists keeps the other images that it holds.
      - A Docker daemon or podman holds one platform of an image, its own unless O(platforms) names another one. The digest
        in the result is then the ID that the engine knows the image by.
    type: str
  config:
    description:
      - What the image says of itself when O(src) is V(tarball:PATH[:PATH...]), which has nothing to say but files.
    type: dict
    suboptions: &config
      entrypoint:
        description:
          - The program that the image runs, as a list.
          - Text is a command for the shell of the image, as in a Dockerfile.
        type: raw
      cmd:
        description: Arguments of the entrypoint, or the program to run where there is none. Written as the entrypoint.
        type: raw
      env:
        description: Environment variables and their values.
        type: dict
      labels:
        description: Labels and their values.
        type: dict
      working_dir:
        description: The directory that the program starts in.
        type: str
      user:
        description: User and optionally group that the program runs as, by name or number, such as V(app) or V(1000:1000).
        type: str
      exposed_ports:
        description: Ports that the program listens on, such as V(80), V(53/udp) or V(8000-8010/tcp).
        type: list
        elements: str
      volumes:
        description: Directories whose content is not part of the image when it runs.
        type: list
        elements: str
      stop_signal:
        description: The signal that asks the program to end, such as V(SIGINT).
        type: str
      platform:
        description:
          - The platform that the files are for, such as V(linux/arm64). Give it where the digest shall not depend on the
            host that the task runs on.
          - Without it Linux and the architecture of the host the task runs on.
        type: str
      created:
        description:
          - When the image was made, such as V(2026-01-31T12:00:00Z).
          - Without it V(1970-01-01T00:00:00Z), so that the digest depends on the content alone.
        type: str
      author:
        description: Who made the image.
        type: str
      comment:
        description: What the history of the image says of each layer.
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
      config:
        description: As O(config), for this image.
        type: dict
        suboptions: *config
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
  format:
    description:
      - Write manifests and indexes in the media types of this format. Configs and layers keep their bytes, so that the
        ID of an image stays the same; manifests and indexes get other digests. Without it everything is written as it
        is at the source.
      - V(docker) has no field for annotations and other things that OCI knows; they are left out, and so are
        attestations, which are listed in RV(images[].left_out). It has no layers compressed with zstd, and only
        images. What cannot be had in it fails.
      - Not together with O(referrers), nor where images go to a container engine.
    type: str
    choices: [oci, docker]
  compression:
    description:
      - Compress layers in this way. A layer that is compressed so already keeps its bytes, whatever its level is. The
        others are decompressed, compared with the digest that the image's config tells of their content, and
        compressed anew.
      - V(zstd) needs the Python library C(zstandard), and an image in OCI's format.
      - Each layer lies on the disk while it is on its way, in E(TMPDIR) or C(/var/tmp).
      - A later run recognises what an earlier one wrote by everything that compressing does not change, and writes
        nothing. Where it finds no such thing check mode cannot tell the digest, nor how many bytes a layer will have.
    type: str
    choices: [gzip, zstd, none]
  compression_level:
    description:
      - How hard to compress, V(1) to V(9) for V(gzip), by default 6, and V(1) to V(22) for V(zstd), by default 3.
      - It says nothing of layers that need not be compressed anew.
    type: int
  src_daemon_host:
    description:
      - Where the API of the container engine of O(src) is, for V(docker-daemon:NAME) and V(containers-storage:NAME), as
        V(unix:///run/docker.sock), V(tcp://HOST:PORT), V(https://HOST:PORT) or V(ssh://USER@HOST).
      - V(https://) is TLS with O(src_ca_path), O(src_client_cert), O(src_client_key) and O(src_validate_certs). V(tcp://) is
        TLS on port 2376, or if one of the files is given; V(http://) never is.
      - Without it E(DOCKER_HOST), E(DOCKER_TLS_VERIFY) and E(DOCKER_CERT_PATH) are used for docker and E(CONTAINER_HOST) for
        podman, and then the usual sockets. Podman's API is started for the task where it is not running.
    type: str
  dest_daemon_host:
    description:
      - Where the API of the container engine of O(dest) is, for V(docker-daemon:NAME) and V(containers-storage:NAME), as
        V(unix:///run/docker.sock), V(tcp://HOST:PORT), V(https://HOST:PORT) or V(ssh://USER@HOST).
      - V(https://) is TLS with O(dest_ca_path), O(dest_client_cert), O(dest_client_key) and O(dest_validate_certs). V(tcp://) is
        TLS on port 2376, or if one of the files is given; V(http://) never is.
      - Without it E(DOCKER_HOST), E(DOCKER_TLS_VERIFY) and E(DOCKER_CERT_PATH) are used for docker and E(CONTAINER_HOST) for
        podman, and then the usual sockets. Podman's API is started for the task where it is not running.
    type: str
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

- name: Copy an image with its layers compressed with zstd, in OCI's format
  longshore.oci.image_copy:
    src: docker.io/library/nginx:1.27
    dest: registry.example.com/fast/nginx:1.27
    format: oci
    compression: zstd
    compression_level: 9

- name: Put an image into an OCI layout on disk
  longshore.oci.image_copy:
    src: registry.example.com/team/app:1.0
    dest: oci:/srv/images:app-1.0

- name: Give an image to the Docker daemon of this host, without docker pull and its credentials
  longshore.oci.image_copy:
    src: registry.example.com/team/app:1.4
    dest: docker-daemon:registry.example.com/team/app:1.4
    src_username: robot
    src_password: "{{ registry_password }}"

- name: Make an image of a root file system
  longshore.oci.image_copy:
    src: tarball:/srv/build/rootfs.tar.gz
    dest: registry.example.com/team/base:1.0
    config:
      cmd: [/bin/sh]
      env:
        PATH: /usr/bin:/bin
      labels:
        org.opencontainers.image.title: base
      platform: linux/amd64
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
      description:
        - The digest that the destination stands for now.
        - Null in check mode where layers are to be compressed anew (O(compression)), because it is not known before.
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
    left_out:
      description: With O(format=docker), the digests of the attestations that were left out, if there are any.
      type: list
      elements: str
    error:
      description: Why it failed.
      type: str
digest:
  description: The digest of the image as it is at the destination, when there is one image.
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

from ..module_utils.support.argspec import engine, progress, two_ends
from ..module_utils.support.module import Module
from ..module_utils.support.run import run
from ..module_utils.support.transfers import copy_verb


def main() -> None:
    """Run the module."""
    config = {
        "entrypoint": {"type": "raw"},
        "cmd": {"type": "raw"},
        "env": {"type": "dict"},
        "labels": {"type": "dict"},
        "working_dir": {"type": "str"},
        "user": {"type": "str"},
        "exposed_ports": {"type": "list", "elements": "str"},
        "volumes": {"type": "list", "elements": "str"},
        "stop_signal": {"type": "str"},
        "platform": {"type": "str"},
        "created": {"type": "str"},
        "author": {"type": "str"},
        "comment": {"type": "str"},
    }
    image = {
        "src": {"type": "str", "required": True},
        "dest": {"type": "str", "required": True},
        "additional_tags": {"type": "list", "elements": "str"},
        "platforms": {"type": "list", "elements": "str"},
        "config": {"type": "dict", "options": config},
    }
    spec = two_ends(
        src={"type": "str"},
        dest={"type": "str"},
        config={"type": "dict", "options": config},
        images={"type": "list", "elements": "dict", "options": image},
        additional_tags={"type": "list", "elements": "str", "default": []},
        platforms={"type": "list", "elements": "str", "default": ["all"]},
        index={"type": "str", "choices": ["strip", "sparse"], "default": "strip"},
        referrers={"type": "bool", "default": False},
        format={"type": "str", "choices": ["oci", "docker"]},
        compression={"type": "str", "choices": ["gzip", "zstd", "none"]},
        compression_level={"type": "int"},
        **engine("src_"),
        **engine("dest_"),
        **progress(),
    )
    module = Module(
        spec,
        supports_check_mode=True,
        mutually_exclusive=[("src", "images"), ("dest", "images")],
        required_one_of=[("src", "images")],
        required_together=[("src", "dest")],
    )
    run(module, copy_verb)


if __name__ == "__main__":
    main()
