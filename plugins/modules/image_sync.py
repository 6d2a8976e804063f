#!/usr/bin/python
# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirror repositories of container images."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_sync
short_description: Mirror repositories of container images into registries, layouts and archives
version_added: 1.0.0
author:
  - The longshore.oci authors (@longshore)
description:
  - Brings the images of many repositories to their mirrors, all of them at once, and moves only what is not there yet.
    An image that is as it should be costs one C(HEAD) at each end.
  - What is copied are the very bytes of the source. A blob that several images hold moves once; a tag moves last, after
    everything it needs has arrived.
  - Everything is listed, told apart and counted before anything is written. Two sources for one destination, or more
    tags to prune than O(max_delete) allows, fail then.
  - An image or a repository that fails leaves the others alone, unless O(on_error) says otherwise. The task fails at its
    end, and its result has every image.
extends_documentation_fragment:
  - longshore.oci.attributes
  - longshore.oci.two_ends
  - longshore.oci.wire
  - longshore.oci.progress
attributes:
  check_mode:
    support: full
    details:
      - Both ends are asked and their digests compared. The result tells every image that would be copied and every tag
        that would be pruned. Nothing is written.
      - Whether a registry can remove tags at all shows only when it is asked to.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  mappings:
    description:
      - What to mirror.
      - Either this or O(skopeo_yaml) is required.
    type: list
    elements: dict
    suboptions:
      src:
        description:
          - A repository, such as V(docker.io/library/nginx). With a tag or a digest it is that image alone.
          - A namespace, which ends in V(/), such as V(registry.example.com/team/), or a whole registry,
            V(registry.example.com/). Their repositories are those that the registry's catalogue lists.
          - V(oci:PATH), V(oci-archive:PATH) and V(docker-archive:PATH) are the images of a layout or an archive, by their
            names there. So are V(https://HOST/PATH), V(http://HOST/PATH) and V(s3://BUCKET/KEY), an archive at a URL.
          - V(dir:PATH) is a directory with one image, or a tree of such directories, each called V(repository:tag), as
            C(skopeo sync) makes them.
        type: str
        required: true
      dest:
        description:
          - As O(dest), for this mapping.
        type: list
        elements: str
      tags:
        description:
          - Which images of each repository. Without it all tags.
          - Tags that belong to a digest, as those of signatures (C(sha256-...)), are no images of their own; O(referrers)
            brings them along.
        type: dict
        suboptions:
          names:
            description:
              - Tags, digests, and V(TAG@DIGEST), which pins a tag to one digest. They are taken whatever the other options
                say, and it is a failure if one is not there. With nothing else, the tags are not even listed.
            type: list
            elements: str
          glob:
            description:
              - Patterns as a shell knows them, such as V(1.27*). Only tags that one of them, or of
                O(mappings[].tags.include), matches.
            type: list
            elements: str
          include:
            description: Regular expressions. Only tags that one of them, or of O(mappings[].tags.glob), matches as a whole.
            type: list
            elements: str
          exclude:
            description: Regular expressions. No tag that one of them matches as a whole.
            type: list
            elements: str
          semver:
            description: Only versions in this range, such as V(>=1.20 <2), V(^1.2) or V(1.x || 2.1).
            type: str
          prereleases:
            description:
              - Whether O(mappings[].tags.semver) takes versions with a suffix too, such as V(1.2.3-rc.1) and V(1.2.3-alpine).
            type: bool
            default: false
          newest:
            description: Of the tags that pass, only so many of the newest.
            type: int
          newest_by:
            description:
              - What makes a tag one of the newest. Tags that are no version do not count as V(version).
              - V(created) is the date of the image, which has to be read for every tag that passes the other options.
            type: str
            choices: [version, created]
            default: version
          newer_than:
            description:
              - Only images that were made within this time, a number and one of C(s), C(m), C(h), C(d) and C(w), such as
                V(90d).
            type: str
          older_than:
            description: Only images that were made longer ago than this, such as V(3d). Images without a date are taken by neither.
            type: str
          immutable:
            description: A tag that exists at the destination stays as it is, and the source is not asked for it.
            type: bool
            default: false
      repositories:
        description:
          - Which repositories of a namespace, a registry, a layout or an archive. Their paths below the namespace are compared.
        type: dict
        suboptions:
          include:
            description: Regular expressions of which one has to match the whole path.
            type: list
            elements: str
          exclude:
            description: Regular expressions of which none may match the whole path.
            type: list
            elements: str
      rename:
        description:
          - A template for the name below O(dest), of V({host}), V({repository}) (the whole path), V({namespace}) and V({name}) (all
            but the last part of it, and that), and optionally V(:) and a tag with V({tag}).
          - In V({host}) a port follows after V(_), because a repository's name cannot hold V(:).
        type: str
      scoped:
        description: As O(scoped), for this mapping.
        type: bool
      suffix:
        description: As O(suffix), for this mapping.
        type: str
      platforms:
        description: As O(platforms), for this mapping.
        type: list
        elements: str
      index:
        description: As O(index), for this mapping.
        type: str
        choices: [strip, sparse]
      referrers:
        description: As O(referrers), for this mapping.
        type: bool
      prune:
        description: As O(prune), for this mapping.
        type: bool
      keep:
        description: As O(keep), for this mapping.
        type: list
        elements: str
  skopeo_yaml:
    description:
      - A YAML file of C(skopeo sync), by its path on the host that runs the task, or its content, as text or as a mapping.
        It means what it means to skopeo, with O(dest) as the destination, C(images), C(images-by-tag-regex),
        C(images-by-semver), C(credentials), C(tls-verify) and C(cert-dir) included.
      - Unlike skopeo this copies every platform, unless O(platforms) is V(local), fails where a repository cannot be listed,
        and refuses two images that would get one name.
      - Passwords in it are masked wherever they would appear.
      - Needs PyYAML on the host that runs the task.
    type: raw
  dest:
    description:
      - Where images go, one place or several. Each image is read once for all of them.
      - A repository, such as V(registry.example.com/mirror/nginx), or a namespace, which ends in V(/). A source with many
        repositories keeps their paths below it, a single repository the last part of its name.
      - V(oci:PATH), V(oci-archive:PATH) and V(docker-archive:PATH) are a layout or an archive, in which images have their whole
        names, V(docker.io/library/nginx:1.27). What is there already stays, unless O(prune) is set.
      - V(dir:PATH) is a tree of directories, one for each image, as C(skopeo sync) makes it.
    type: list
    elements: str
  scoped:
    description: Keep the whole name of the source, its host included, below O(dest).
    type: bool
    default: false
  suffix:
    description: What to append to every tag, such as V(-mirror).
    type: str
  platforms:
    description:
      - V(all) copies a multi-platform image as it is, byte for byte.
      - Otherwise the platforms to copy, such as V(linux/amd64), or V(local) for the one of the host the task runs on.
    type: list
    elements: str
    default: [all]
  index:
    description:
      - What becomes of the index of a multi-platform image of which only some O(platforms) are copied. V(strip) writes a new
        one that lists only those, V(sparse) keeps it as it is.
    type: str
    choices: [strip, sparse]
    default: strip
  referrers:
    description: Copy signatures, attestations and SBOMs along with each image.
    type: bool
    default: false
  prune:
    description:
      - Remove the tags at the destination that are not, or no longer, among those to mirror. Tags alone are removed, never a
        manifest, and tags of signatures (C(sha256-...)) are left to the images that they belong to.
      - A repository is pruned after all images that go there are there, and not at all if one of them failed, if a source could
        not be listed, or if nothing of a source is wanted. A warning says so.
      - Of layouts and archives the names of such images go.
    type: bool
    default: false
  keep:
    description: Regular expressions. Tags of which one matches the whole are never pruned.
    type: list
    elements: str
    default: []
  max_delete:
    description: If more tags than this would be pruned, the task fails and nothing is copied or pruned.
    type: int
  untag:
    description:
      - How to prune in a registry that cannot remove tags, such as distribution before 3.0. If this is true, the tag is pointed
        at a placeholder manifest, and that is deleted. If it is false, the tag stays and the task fails.
    type: bool
    default: false
  on_error:
    description:
      - V(continue) goes on with the other images. V(stop) begins no further one, and prunes nothing.
      - Either way the task fails, and what was copied by then stays. An archive changes only if all of its images are there.
    type: str
    choices: [continue, stop]
    default: continue
  shard_index:
    description:
      - The number of this worker, from 0, of O(shard_count) that share the mirror. A repository belongs to one of them, by a hash
        of its name at the destination, with all its tags. With one worker more few repositories change hands.
    type: int
    default: 0
  shard_count:
    description: How many workers there are.
    type: int
    default: 1
  since:
    description:
      - Earlier archives, layouts or index files whose blobs the archive O(dest) can do without, so that it holds only what is new.
        See O(longshore.oci.image_save_load#module:since).
    type: list
    elements: str
    default: []
  index_file:
    description: A file for the index of the archive O(dest), small enough to be kept, which a later O(since) can name.
    type: path
  parallel:
    description:
      - How many requests run at once to each registry, from 1 to 256. A mirror is many small questions, so that it asks more
        of them at once than other modules do.
    type: int
    default: 32
seealso:
  - module: longshore.oci.image_copy
  - module: longshore.oci.image_save_load
  - module: longshore.oci.registry_delete
"""

EXAMPLES = r"""
---
- name: Mirror two repositories, the newest versions of one and a range of the other
  longshore.oci.image_sync:
    mappings:
      - src: docker.io/library/nginx
        tags:
          semver: ">=1.20"
          newest: 5
      - src: quay.io/prometheus/prometheus
        tags:
          glob: [v3.*]
          exclude: [.*-rc.*]
    dest: registry.example.com/mirror/

- name: Mirror all of a team, and remove what the team has removed
  longshore.oci.image_sync:
    mappings:
      - src: registry.example.com/team/
        repositories:
          exclude: [scratch/.*]
        dest: registry.airgap.example/team/
        prune: true
        keep: [latest, release-.*]
    untag: true
    max_delete: 20

- name: Take a file of skopeo sync as it is
  longshore.oci.image_sync:
    skopeo_yaml: /etc/longshore/sync.yml
    dest: registry.example.com/mirror
    scoped: true

- name: Two platforms, pinned, to two registries from one pull
  longshore.oci.image_sync:
    mappings:
      - src: registry.example.com/team/app
        tags:
          names:
            - 1.0@sha256:0d5fc3a4a1bb1c0c3bbc3ad0e0a5c9b1f8e6d7c2b3a4958677f6e5d4c3b2a190
            - latest
        dest:
          - registry.example.com/pinned/app
          - registry.airgap.example/pinned/app
        platforms: [linux/amd64, linux/arm64]

- name: Only what is new since the last transfer, for a site without a network
  longshore.oci.image_sync:
    mappings:
      - src: registry.example.com/team/
      - src: docker.io/library/postgres
    dest: oci-archive:/srv/transfer/week-32.tar
    index_file: /srv/transfer/week-32.json

- name: The share of one of several hosts, at most 50 requests a second
  longshore.oci.image_sync:
    mappings:
      - src: docker.io/library/alpine
      - src: docker.io/library/busybox
      - src: docker.io/library/nginx
      - src: docker.io/library/postgres
    dest: registry.example.com/shared/
    shard_index: "{{ shard_index | default(0) }}"
    shard_count: "{{ shard_count | default(1) }}"
    max_requests_per_second: 50
    rate_limit: wait
"""

RETURN = r"""
images:
  description: What became of every image, of every tag that was pruned, and of what could not be listed.
  returned: always
  type: list
  elements: dict
  contains:
    src:
      description: The image at the source; null for a tag that was pruned.
      type: str
      sample: docker.io/library/nginx:1.27
    dest:
      description: The image at the destination.
      type: str
      sample: registry.example.com/mirror/nginx:1.27
    state:
      description:
        - V(copied), V(unchanged), V(pruned), V(failed), or V(skipped) for what was left alone because something else
          failed. In check mode what it would be.
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
    bytes:
      description: Bytes of blobs that moved for this image. A blob that several images hold counts for the first.
      type: int
    mounts:
      description: How many of its blobs were mounted from another repository of the destination.
      type: int
    requests:
      description: How many HTTP requests were sent for this image.
      type: int
    seconds:
      description: Seconds from the first request for it to the last, in which others were worked on as well.
      type: float
    referrers:
      description: With O(referrers), how many manifests about the image came along.
      type: int
    error:
      description: Why it failed.
      type: str
counts:
  description: How many entries of RV(images) have each state.
  returned: always
  type: dict
  sample: {copied: 12, unchanged: 188, pruned: 0, skipped: 0, failed: 0}
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
index_file:
  description: The index file, as given.
  returned: when O(index_file) is set
  type: str
requests:
  description: How many HTTP requests the task sent, to both ends.
  returned: always
  type: int
  sample: 414
rate_limit:
  description: What a registry said of its rate limit, and how many seconds the task V(waited) for it.
  returned: when a registry said it
  type: dict
"""

from ..module_utils.support.argspec import progress, two_ends
from ..module_utils.support.run import run
from ..module_utils.support.skopeo_module import SkopeoModule
from ..module_utils.support.sync import sync_verb


def main() -> None:
    """Run the module."""
    texts = {"type": "list", "elements": "str"}
    tags = {
        "names": texts,
        "glob": texts,
        "include": texts,
        "exclude": texts,
        "semver": {"type": "str"},
        "prereleases": {"type": "bool", "default": False},
        "newest": {"type": "int"},
        "newest_by": {"type": "str", "choices": ["version", "created"], "default": "version"},
        "newer_than": {"type": "str"},
        "older_than": {"type": "str"},
        "immutable": {"type": "bool", "default": False},
    }
    mapping = {
        "src": {"type": "str", "required": True},
        "dest": texts,
        "tags": {"type": "dict", "options": tags},
        "repositories": {"type": "dict", "options": {"include": texts, "exclude": texts}},
        "rename": {"type": "str"},
        "scoped": {"type": "bool"},
        "suffix": {"type": "str"},
        "platforms": texts,
        "index": {"type": "str", "choices": ["strip", "sparse"]},
        "referrers": {"type": "bool"},
        "prune": {"type": "bool"},
        "keep": texts,
    }
    spec = two_ends(
        mappings={"type": "list", "elements": "dict", "options": mapping},
        skopeo_yaml={"type": "raw"},
        dest=texts,
        scoped={"type": "bool", "default": False},
        suffix={"type": "str"},
        platforms={"type": "list", "elements": "str", "default": ["all"]},
        index={"type": "str", "choices": ["strip", "sparse"], "default": "strip"},
        referrers={"type": "bool", "default": False},
        prune={"type": "bool", "default": False},
        keep={"type": "list", "elements": "str", "default": []},
        max_delete={"type": "int"},
        untag={"type": "bool", "default": False},
        on_error={"type": "str", "choices": ["continue", "stop"], "default": "continue"},
        shard_index={"type": "int", "default": 0},
        shard_count={"type": "int", "default": 1},
        since={"type": "list", "elements": "str", "default": []},
        index_file={"type": "path"},
        **progress(),
    )
    spec["parallel"]["default"] = 32
    module = SkopeoModule(
        spec,
        supports_check_mode=True,
        mutually_exclusive=[("mappings", "skopeo_yaml")],
        required_one_of=[("mappings", "skopeo_yaml")],
    )
    run(module, sync_verb)


if __name__ == "__main__":
    main()
