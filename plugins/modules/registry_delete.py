#!/usr/bin/python
# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_delete
short_description: Delete images from a container registry, by name or by age, and nothing else with them
version_added: 1.0.0
author:
  - longshore.oci authors (@longshore)
description:
  - Deletes tags and manifests by name, or applies a retention policy to all tags of a repository.
  - Deleting a tag never takes another tag with it. If nothing else needs its manifest, the manifest is deleted,
    so that the registry's garbage collection can free the space. Otherwise the tag alone is removed.
  - What an index lists is deleted together with the index, unless a tag or another index needs it.
  - A digest that tags still stand for, that an index lists, or that something refers to is not deleted, unless
    O(force) says so.
  - First everything is read, then it is decided, then it is deleted. In check mode the same result is returned
    and nothing is deleted.
  - A manifest that no tag leads to can only be deleted by its digest, since registries do not list such manifests.
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
      - Shows the tags and digests that go.
  idempotent:
    support: full
options:
  name:
    description:
      - What to delete, one or a list, as V([registry/]repository:tag) or V([registry/]repository@digest). There
        is no default tag.
      - With tag and digest, V(repository:tag@digest), the tag is deleted only if it stands for that digest.
      - Names that do not exist are no failure.
    type: list
    elements: str
    aliases: [image]
  repository:
    description:
      - A repository, as V([registry/]repository), whose tags are to be deleted by O(include), O(exclude),
        O(semver), O(keep_last), O(older_than) and O(keep). At least one of them other than O(exclude) and
        O(keep) has to be given.
      - Tags of signatures and the like (V(sha256-...)) are never chosen by themselves; see O(referrers).
    type: str
  include:
    description:
      - Regular expressions. Only tags of which one matches the whole are looked at.
    type: list
    elements: str
  exclude:
    description:
      - Regular expressions. Tags of which one matches the whole are not looked at, and do not count for
        O(keep_last).
    type: list
    elements: str
  semver:
    description:
      - Only tags that are versions within this range are looked at, such as V(<2), V(^1.2) or V(1.x || 2.1).
    type: str
  prereleases:
    description:
      - Whether O(semver) matches versions with a suffix too, such as V(1.2.3-rc.1) and V(1.2.3-alpine).
    type: bool
    default: false
  keep_last:
    description:
      - How many of the newest tags stay.
    type: int
  newest_by:
    description:
      - What makes a tag one of the newest for O(keep_last), the date of its image or its version.
      - Tags whose image has no date, or a meaningless one such as reproducible builds have, always stay if the
        date matters; and so do tags that are no version if the version matters.
    type: str
    choices: [created, version]
    default: created
  older_than:
    description:
      - Only tags whose image was made longer ago than this are deleted, as a number and one of C(s), C(m),
        C(h), C(d) and C(w), such as V(30d).
      - Together with O(keep_last) a tag has to be old and not one of the newest to be deleted.
    type: str
  keep:
    description:
      - Regular expressions. Tags of which one matches the whole stay, and do not count for O(keep_last).
    type: list
    elements: str
  max_delete:
    description:
      - If more tags and digests than this would be deleted, the task fails and nothing is deleted.
    type: int
  force:
    description:
      - Delete the digests in O(name) even if tags stand for them (these go as well), an index lists them, or
        something refers to them.
      - Tags in O(name) are treated as without it.
    type: bool
    default: false
  referrers:
    description:
      - Delete what refers to a manifest (signatures, attestations, SBOMs) together with the manifest.
      - If this is false, a manifest that something refers to stays, and its tag alone is removed.
    type: bool
    default: false
  untag:
    description:
      - How to go about a tag that has to go alone in a registry that cannot remove tags, such as distribution
        before 3.0. If this is true, the tag is pointed at a placeholder manifest, and that is deleted. If it is
        false, the tag stays and the task fails after everything else is deleted.
    type: bool
    default: false
  count_bytes:
    description:
      - Work out how many bytes only the deleted manifests held. This reads every manifest that stays in the
        repository, once. Switch it off for repositories with many thousands of images.
    type: bool
    default: true
seealso:
  - module: longshore.oci.image_tags
"""

EXAMPLES = r"""
---
- name: Delete one image
  longshore.oci.registry_delete:
    name: registry.example.com/team/app:1.3.0

- name: Keep the newest ten builds, whatever is younger than a month, and the releases
  longshore.oci.registry_delete:
    repository: registry.example.com/team/app
    keep_last: 10
    older_than: 30d
    keep:
      - latest
      - v?[0-9]+\.[0-9]+\.[0-9]+
    max_delete: 200

- name: See what would go
  longshore.oci.registry_delete:
    repository: registry.example.com/team/app
    include: ["pr-.*"]
  check_mode: true
  register: plan

- name: Delete a digest together with the tags that stand for it and its signatures
  longshore.oci.registry_delete:
    name: registry.example.com/team/app@sha256:56fb1b8b0eb5f4ba4cb0d8a8ee19a6fbdf1d3b9ecbd9f7ee1d92d0e3ecd93b0f
    force: true
    referrers: true
"""

RETURN = r"""
deleted:
  description: What was deleted, or would be in check mode.
  returned: success, and as far as it came on failure
  type: list
  elements: dict
  contains:
    what:
      description:
        - V(tag) is a tag that went alone, V(manifest) a manifest with all its tags, V(child) a manifest that a
          deleted index listed, V(referrer) something that referred to a deleted manifest.
      type: str
      returned: success
    repository:
      description: The repository it was in.
      type: str
      returned: success
    digest:
      description: Its digest. That of a V(tag) still exists.
      type: str
      returned: success
    tags:
      description: The tags that went with it.
      type: list
      elements: str
      returned: success
kept:
  description: What was looked at and stays.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      returned: success
    why:
      description: The reason.
      type: str
      returned: success
missing:
  description: The names that do not exist.
  returned: success
  type: list
  elements: str
bytes:
  description:
    - Bytes of manifests, configurations and layers that only the deleted manifests held within their
      repositories. A registry frees them when it collects garbage, unless other repositories hold them too.
  returned: when O(count_bytes) is true
  type: int
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

from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.support.argspec import one_end
from ..module_utils.support.clients import Task
from ..module_utils.support.run import run

if TYPE_CHECKING:
    from ..module_utils.operations.deletion_plan import Options, Plan


def registry_delete(task: Task) -> dict[str, Any]:
    """Delete what the parameters name or let go."""
    from ..module_utils.operations import delete
    from ..module_utils.operations.deletion_plan import Options

    params = task.params
    options = Options(params["force"], params["referrers"], params["untag"], params["count_bytes"])
    plans = by_policy(task, options) if params["repository"] else by_name(task, options)
    delete.check_count(plans, params["max_delete"])
    result = delete.summary(plans)
    if not params["count_bytes"]:
        del result["bytes"]
    if not task.check_mode:
        delete.carry_out_all(plans, options)
    return result


def by_name(task: Task, options: Options) -> list[Plan]:
    """What has to go so that the named images do."""
    from ..module_utils.operations.delete import targets_of
    from ..module_utils.operations.deletion_plan import plan_deletion
    from ..module_utils.operations.survey import open_survey

    plans = []
    for repository, targets in targets_of(task.params["name"]).items():
        survey = open_survey(task.registries(), repository, task.parallel, task.stop)
        plans.append(plan_deletion(survey, targets, options))
    return plans


def by_policy(task: Task, options: Options) -> list[Plan]:
    """What has to go so that the policy holds in the repository."""
    from ..module_utils.model.errors import InvalidInput
    from ..module_utils.operations import retention
    from ..module_utils.operations.deletion_plan import plan_deletion
    from ..module_utils.operations.survey import open_survey
    from ..module_utils.operations.tag_filter import TagFilter, patterns
    from ..module_utils.operations.tags import repository_of

    params = task.params
    if not params["include"] and not params["semver"] and params["keep_last"] is None and not params["older_than"]:
        raise InvalidInput(
            "repository needs at least one of include, semver, keep_last and older_than;"
            " to delete every tag, say so with include: ['.*']"
        )
    if params["keep_last"] is not None and params["keep_last"] < 0:
        raise InvalidInput(f"keep_last must not be negative: {params['keep_last']}")
    wanted = TagFilter.of(params["include"], params["exclude"], params["semver"], params["prereleases"])
    policy = retention.Policy(
        params["keep_last"],
        params["newest_by"],
        retention.parse_age(params["older_than"]) if params["older_than"] else None,
        patterns("keep", params["keep"]),
    )
    survey = open_survey(task.registries(), repository_of(params["repository"]), task.parallel, task.stop)
    tags, kept = retention.expired(survey, wanted, policy)
    return [plan_deletion(survey, dict.fromkeys(tags), options, kept)]


def main() -> None:
    module = AnsibleModule(
        argument_spec=one_end(
            name={"type": "list", "elements": "str", "aliases": ["image"]},
            repository={"type": "str"},
            include={"type": "list", "elements": "str"},
            exclude={"type": "list", "elements": "str"},
            semver={"type": "str"},
            prereleases={"type": "bool", "default": False},
            keep_last={"type": "int"},
            newest_by={"type": "str", "choices": ["created", "version"], "default": "created"},
            older_than={"type": "str"},
            keep={"type": "list", "elements": "str"},
            max_delete={"type": "int"},
            force={"type": "bool", "default": False},
            referrers={"type": "bool", "default": False},
            untag={"type": "bool", "default": False},
            count_bytes={"type": "bool", "default": True},
        ),
        mutually_exclusive=[("name", "repository")],
        required_one_of=[("name", "repository")],
        supports_check_mode=True,
    )
    run(module, registry_delete)


if __name__ == "__main__":
    main()
