#!/usr/bin/python
# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_tags
short_description: List, set and remove tags in a container registry without moving a layer
version_added: 1.0.0
author:
  - longshore.oci authors (@longshore)
description:
  - Lists the tags of a repository, points tags at what is already in it, or removes tags and nothing else.
  - Works on images, on indexes for many platforms, and on any other artifact alike. No container engine is needed.
extends_documentation_fragment:
  - longshore.oci.registry
  - longshore.oci.wire
  - longshore.oci.attributes
attributes:
  check_mode:
    support: full
    details:
      - Whether a registry can remove tags or delete manifests at all shows only when it is asked to.
  diff_mode:
    support: full
    details:
      - Shows the digest of each tag before and after.
  idempotent:
    support: full
options:
  repository:
    description:
      - The repository, as V([registry/]repository), without tag and digest.
      - If O(state=query), also an archive or an OCI image layout, such as V(oci-archive:/srv/images/app.tar) or
        V(oci:/srv/images/layout), or the URL of an archive. Its image names are listed. Filters see the whole name,
        versions what follows its last colon.
    type: str
    required: true
    aliases: [name]
  state:
    description:
      - V(query) lists tags and changes nothing.
      - V(present) makes sure that all of O(tags) stand for O(source).
      - V(absent) makes sure that none of O(tags) exists. Manifests stay, and so do all other tags. To delete
        images use M(longshore.oci.registry_delete).
    type: str
    choices: [query, present, absent]
    default: query
  tags:
    description:
      - The tags to set or remove. Required unless O(state=query).
    type: list
    elements: str
  source:
    description:
      - What the tags are to stand for, as a tag or a digest of the same repository. Required if O(state=present).
    type: str
  include:
    description:
      - Regular expressions. Only tags of which one matches the whole are listed.
      - Used if O(state=query).
    type: list
    elements: str
  exclude:
    description:
      - Regular expressions. Tags of which one matches the whole are not listed.
      - Used if O(state=query).
    type: list
    elements: str
  semver:
    description:
      - Only tags that are versions within this range are listed, with or without a leading C(v). Such as V(^1.2),
        V(~1.4.2), V(>=1.2 <2), V(1.x), V(1.2 - 1.4), or alternatives separated by V(||).
      - Tags such as V(1.2.3-alpine) are prereleases by the rules of semantic versions; see O(prereleases).
      - Used if O(state=query).
    type: str
  prereleases:
    description:
      - Whether O(semver) matches versions with a suffix too. Without this they only match if the range names a
        prerelease of the same version.
    type: bool
    default: false
  sort:
    description:
      - The order of the list. V(name) and V(version) take numbers by their value, so that 1.9 comes before 1.10.
      - V(version) puts tags that are no versions first, and a prerelease before its release.
      - V(created) is by the date of the image, which costs requests for every tag.
      - V(none) is the order of the registry.
      - Used if O(state=query).
    type: str
    choices: [name, version, created, none]
    default: name
  order:
    description:
      - Whether the smallest, oldest comes first or last. Used if O(state=query).
    type: str
    choices: [ascending, descending]
    default: ascending
  limit:
    description:
      - List at most so many tags, after filtering and sorting. Used if O(state=query).
    type: int
  details:
    description:
      - Return digest, size and date of each tag listed as well. This costs one request for each tag and two or
        more for each digest.
      - Used if O(state=query).
    type: bool
    default: false
  untag:
    description:
      - How O(state=absent) goes about a registry that cannot remove tags, such as distribution before 3.0. If
        this is true, the tag is pointed at a placeholder manifest, and that is deleted. If it is false, the
        task fails there.
      - The registry must allow deletion of manifests.
    type: bool
    default: false
seealso:
  - module: longshore.oci.image_copy
  - module: longshore.oci.registry_delete
"""

EXAMPLES = r"""
---
- name: List the tags of a repository
  longshore.oci.image_tags:
    repository: registry.example.com/team/app
  register: all

- name: The newest five releases of version 1, newest first
  longshore.oci.image_tags:
    repository: registry.example.com/team/app
    semver: ^1.0
    sort: version
    order: descending
    limit: 5
    details: true

- name: What an archive holds, with sizes, dates and platforms
  longshore.oci.image_tags:
    repository: oci-archive:/srv/images/app.tar
    details: true

- name: Promote a build, for all platforms and without moving anything
  longshore.oci.image_tags:
    repository: registry.example.com/team/app
    state: present
    source: build-1734
    tags: ["1.4.2", "1.4", stable]

- name: Take back a tag, and leave the image and its other tags alone
  longshore.oci.image_tags:
    repository: registry.example.com/team/app
    state: absent
    tags: [stable]
    untag: true  # for registries that cannot remove tags, such as distribution before 3.0
"""

RETURN = r"""
repository:
  description: The repository, in full, or the archive or layout as given.
  returned: success
  type: str
  sample: registry.example.com/team/app
tags:
  description: The tags listed, or those that were to be set or removed.
  returned: success
  type: list
  elements: str
  sample: ["1.4.1", "1.4.2"]
total:
  description: How many tags the repository has.
  returned: if O(state=query)
  type: int
details:
  description: What each tag listed stands for.
  returned: when O(details) is true
  type: list
  elements: dict
  contains:
    tag:
      description: The tag.
      type: str
      returned: success
    digest:
      description: Digest of what it stands for.
      type: str
      returned: success
    media_type:
      description: Its media type.
      type: str
      returned: success
    size:
      description: Compressed bytes of all platforms, what they share counted once.
      type: int
      returned: success
    created:
      description: When the newest of its images was made, or null if they do not say.
      type: str
      returned: success
    platforms:
      description: The platforms it is for.
      type: list
      elements: str
      returned: success
      sample: [linux/amd64, linux/arm64]
digest:
  description: Digest that the tags stand for.
  returned: if O(state=present)
  type: str
  sample: sha256:56fb1b8b0eb5f4ba4cb0d8a8ee19a6fbdf1d3b9ecbd9f7ee1d92d0e3ecd93b0f
changes:
  description: Digest before and after of each tag that was changed, null where there is no such tag.
  returned: unless O(state=query)
  type: list
  elements: dict
  sample:
    - tag: stable
      before: null
      after: sha256:56fb1b8b0eb5f4ba4cb0d8a8ee19a6fbdf1d3b9ecbd9f7ee1d92d0e3ecd93b0f
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

from ..module_utils.support.argspec import one_end
from ..module_utils.support.clients import Task
from ..module_utils.support.module import Module
from ..module_utils.support.run import run


def image_tags(task: Task) -> dict[str, Any]:
    """List, set or remove the tags that the parameters name."""
    from ..module_utils.model.reference import check_tag
    from ..module_utils.operations import held_names
    from ..module_utils.operations import tags as operation
    from ..module_utils.operations.survey import open_survey
    from ..module_utils.operations.tag_filter import TagFilter

    params = task.params
    place = held_names.place_of(params["repository"])
    if params["state"] == "query":
        wish = operation.Query(
            TagFilter.of(params["include"], params["exclude"], params["semver"], params["prereleases"]),
            params["sort"],
            params["order"] == "descending",
            params["limit"],
            params["details"],
        )
        if place is not None:
            registries = task.registries() if place.is_url else None
            names = held_names.query(place, wish, registries, task.parallel, task.stop)
            return {"changed": False, **names}
        repository = operation.repository_of(params["repository"])
        survey = open_survey(task.registries(), repository, task.parallel, task.stop)
        return {"changed": False, "repository": repository.name, **operation.listing(survey, wish)}

    if place is not None:
        raise held_names.read_only(place, params["state"])
    repository = operation.repository_of(params["repository"])
    result: dict[str, Any] = {"repository": repository.name}
    tags = [check_tag(tag) for tag in dict.fromkeys(params["tags"])]
    survey = open_survey(task.registries(push=True), repository, task.parallel, task.stop)
    if params["state"] == "present":
        source = operation.source_of(params["source"], repository)
        digest, change = operation.plan_present(survey, tags, source)
        result["digest"] = digest
        if not task.check_mode:
            operation.set_tags(survey, change, digest)
    else:
        change = operation.plan_absent(survey, tags)
        if not task.check_mode:
            operation.clear_tags(survey, change, params["untag"])
    return {
        **result,
        "changed": bool(change.tags),
        "tags": tags,
        "changes": [{"tag": tag, "before": change.before[tag], "after": change.after[tag]} for tag in change.tags],
        "diff": {
            "before": {"repository": repository.name, "tags": change.before},
            "after": {"repository": repository.name, "tags": change.after},
        },
    }


def main() -> None:
    module = Module(
        argument_spec=one_end(
            repository={"type": "str", "required": True, "aliases": ["name"]},
            state={"type": "str", "choices": ["query", "present", "absent"], "default": "query"},
            tags={"type": "list", "elements": "str"},
            source={"type": "str"},
            include={"type": "list", "elements": "str"},
            exclude={"type": "list", "elements": "str"},
            semver={"type": "str"},
            prereleases={"type": "bool", "default": False},
            sort={"type": "str", "choices": ["name", "version", "created", "none"], "default": "name"},
            order={"type": "str", "choices": ["ascending", "descending"], "default": "ascending"},
            limit={"type": "int"},
            details={"type": "bool", "default": False},
            untag={"type": "bool", "default": False},
        ),
        required_if=[("state", "present", ["tags", "source"]), ("state", "absent", ["tags"])],
        supports_check_mode=True,
    )
    run(module, image_tags)


if __name__ == "__main__":
    main()
