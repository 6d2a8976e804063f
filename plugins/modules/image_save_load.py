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
    were, unless O(format) or O(compression) ask for another form.
  - The archive is written once, to a temporary file beside O(path) that replaces it when it is complete. Whatever
    breaks before, the file at O(path) is what it was.
extends_documentation_fragment:
  - longshore.oci.attributes
  - longshore.oci.registry
  - longshore.oci.wire
  - longshore.oci.progress
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
      - It may be an V(https://) or V(http://) URL, such as a presigned one of an object storage, or V(s3://BUCKET/KEY), for
        which C(boto3) has to be installed. The archive is then sent while it is read, and nothing of it touches the disk of
        the host the task runs on; or it is read where it is, only the parts that are needed. Registry credentials never go
        there. The query of a URL, which may be its signature, is not shown and not logged.
      - A URL that may be written but not read, as one that is signed for PUT, does not tell what it holds. Every run writes
        it anew then, reports a change, and says so in a warning.
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
      - V(docker-daemon:) or V(containers-storage:) loads into the Docker daemon or into podman, each image under its own
        name. A name after it is for one image.
      - Required with O(state=loaded).
    type: str
  append:
    description:
      - With O(state=saved), keep images that the archive holds beside O(images). Otherwise it holds exactly O(images)
        afterwards.
      - An OCI image layout always keeps what it holds. At a URL O(append) is refused.
    type: bool
    default: false
  since:
    description:
      - With O(state=saved), make a delta, an archive without the blobs that these have already. Each entry is an earlier
        archive, by its path or URL, an OCI image layout (V(oci:) in front of its path), or the index file of an earlier
        archive, which is all that has to be kept of it.
      - An earlier delta counts with what it holds and with what its images need of those before it.
      - Manifests and configs are in a delta all the same. Only images that it holds whole can be loaded by other tools.
      - With O(state=loaded) a delta is recognised. What it leaves out has to be below O(dest), in the repository of the
        image or in one that an image of the earlier archives was loaded into; it is mounted from there. If something is
        missing the task fails before anything is written.
      - An archive that was made since others is written anew, as is one that holds whole images. With O(append) that is
        refused.
    type: list
    elements: str
    default: []
  index_file:
    description:
      - With O(state=saved), a file that gets the index of what is at O(path), for O(since) when the archive itself has
        been sent away.
      - It is the JSON file C(images.json) that each archive holds. It lists the images with names, digests, sizes and
        platforms, the blobs, and for a delta what that was made against.
    type: path
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
  format:
    description:
      - With O(state=saved). Write manifests and indexes in the media types of this format. Configs and layers keep
        their bytes, so that the ID of an image stays the same; manifests and indexes get other digests. Without it
        everything is written as it is at the source.
      - V(docker) has no field for annotations and other things that OCI knows; they are left out, and so are
        attestations, which are listed in RV(images[].left_out). It has no layers compressed with zstd, and only
        images. What cannot be had in it fails.
      - Not together with O(referrers).
    type: str
    choices: [oci, docker]
  compression:
    description:
      - With O(state=saved). Compress layers in this way. A layer that is compressed so already keeps its bytes,
        whatever its level is. The others are decompressed, compared with the digest that the image's config tells of
        their content, and compressed anew.
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

- name: Save this month's images without what last month's archive holds
  longshore.oci.image_save_load:
    state: saved
    path: /srv/transfer/march.tar
    since: [/srv/transfer/release-7.tar]
    index_file: /srv/transfer/march.json
    images:
      - registry.example.com/team/app:1.4
      - registry.example.com/team/worker:7.0

- name: Save an image for engines that know nothing of OCI, its layers not compressed
  longshore.oci.image_save_load:
    state: saved
    path: /srv/transfer/app-plain.tar
    images: [registry.example.com/team/app:7.0]
    format: docker
    compression: none

- name: Save them to an object storage, through a presigned URL
  longshore.oci.image_save_load:
    state: saved
    path: "{{ upload_url }}"  # such as https://storage.example.com/images/release-7.tar?X-Amz-Signature=...
    images:
      - registry.example.com/team/app:7.0
      - registry.example.com/team/worker:7.0

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
index_file:
  description: The index file, as given.
  returned: when O(index_file) was given
  type: str
  sample: /srv/transfer/march.json
missing_blobs:
  description: The first hundred blobs that a delta leaves out and that are not at the destination.
  returned: when that is why the task failed
  type: list
  elements: dict
  contains:
    digest:
      description: The blob.
      type: str
    size:
      description: Its bytes.
      type: int
    images:
      description: The images that need it.
      type: list
      elements: str
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
      description:
        - Its digest in the place it went to.
        - Null in check mode where layers are to be compressed anew (O(compression)), because it is not known before.
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
    left_out:
      description: With O(format=docker), the digests of the attestations that were left out, if there are any.
      type: list
      elements: str
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

from ..module_utils.support.argspec import engine, one_end, progress
from ..module_utils.support.module import Module
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
        since={"type": "list", "elements": "str", "default": []},
        index_file={"type": "path"},
        platforms={"type": "list", "elements": "str", "default": ["all"]},
        referrers={"type": "bool", "default": False},
        format={"type": "str", "choices": ["oci", "docker"]},
        compression={"type": "str", "choices": ["gzip", "zstd", "none"]},
        compression_level={"type": "int"},
        **engine(),
        **progress(),
    )
    module = Module(
        spec,
        supports_check_mode=True,
        required_if=[("state", "saved", ("images",)), ("state", "loaded", ("dest",))],
    )
    run(module, save_load_verb)


if __name__ == "__main__":
    main()
