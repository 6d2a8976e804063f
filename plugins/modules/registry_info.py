#!/usr/bin/python
# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_info
short_description: Find out about a container registry without changing anything in it
version_added: 1.0.0
author:
  - longshore.oci authors (@longshore)
description:
  - Says whether a registry answers and how fast, how it wants its users to log in, and whether the credentials at hand
    work there. If asked to, it lists the repositories, adds up their sizes with each blob counted once, and finds out
    what the registry can do.
  - Each option says what is sent for it. Nothing in the registry changes, but for the trace that O(probe_uploads) leaves.
  - Of Docker Hub it tells the pull limit and what is left of it, by a request that counts as no pull.
  - Fails where no registry answers. What a registry keeps to itself is null, and a warning where the reason is known.
extends_documentation_fragment:
  - longshore.oci.registry
  - longshore.oci.wire
  - longshore.oci.attributes
attributes:
  check_mode:
    support: full
    details:
      - Sends nothing but C(GET), C(HEAD) and C(OPTIONS) then, so that C(features.delete), C(features.tag_delete) and
        C(features.uploads) are null unless the registry is read-only.
  diff_mode:
    support: N/A
    details:
      - This module changes nothing.
  idempotent:
    support: full
    details:
      - This module changes nothing.
options:
  registry:
    description:
      - The registry, as V(host[:port]) the way image names begin with it.
      - Without further options, C(GET /v2/) is sent, once without credentials and once with them.
    type: str
    required: true
    aliases: [name]
  catalog:
    description:
      - Return the names of all repositories, from C(GET /v2/_catalog). Many registries show them to administrators only,
        and some to nobody.
    type: bool
    default: false
  sizes:
    description:
      - Return the sizes of repositories and of all of them together. What several images share counts once.
      - Sends a C(GET) for each list of tags, a C(HEAD) for each tag and a C(GET) for each manifest. Layers are not read.
      - Only what tags reach is counted. What a registry has not collected as garbage yet takes space as well.
    type: bool
    default: false
  repositories:
    description:
      - The repositories whose sizes are wanted, instead of all in the catalogue. O(features) are tried on the first.
    type: list
    elements: str
  features:
    description:
      - Find out what the registry can do.
      - Sends C(GET) for its catalogue, referrers API, extensions (C(/v2/_oci/ext/discover)) and Harbor's version
        (C(/api/v2.0/systeminfo)), and C(OPTIONS) for a manifest.
      - Sends C(DELETE) for a digest and for a tag that are made up from 32 and 16 random bytes, so that they do not
        exist. What the registry answers tells whether it deletes. Not sent in check mode.
    type: bool
    default: false
  probe_uploads:
    description:
      - Find out whether something can be pushed with the credentials at hand. C(POST) begins an upload, and C(DELETE)
        cancels it. Nothing that can be pulled comes of it. Not sent in check mode.
      - This leaves a trace. Distribution 2.8 keeps some hundred bytes of a cancelled upload in its storage, and creates the
        directory of the repository if it does not have it.
      - Tells a pull-through cache from a registry, too, which O(features) alone does not.
    type: bool
    default: false
seealso:
  - module: longshore.oci.image_tags
  - module: longshore.oci.registry_user
"""

EXAMPLES = r"""
---
- name: See whether the registry is up and lets us in
  longshore.oci.registry_info:
    registry: registry.example.com
  register: private

- name: Stop if it does not
  ansible.builtin.assert:
    that: private.login.accepted

- name: The five largest repositories
  longshore.oci.registry_info:
    registry: registry.example.com
    sizes: true
  register: usage

- name: Show them
  ansible.builtin.debug:
    msg: "{{ (usage.sizes | sort(attribute='size', reverse=true))[:5] }}"

- name: Do not clean up where nothing can be deleted
  longshore.oci.registry_info:
    registry: registry.example.com
    features: true
  register: abilities
  failed_when: not abilities.features.delete

- name: How many pulls are left at Docker Hub
  longshore.oci.registry_info:
    registry: docker.io
  register: hub

- name: Show it
  ansible.builtin.debug:
    msg: "{{ hub.rate_limit.remaining | default('unlimited') }}"
"""

RETURN = r"""
registry:
  description: The registry.
  returned: success
  type: str
  sample: registry.example.com
url:
  description: Where its API is.
  returned: success
  type: str
  sample: https://registry.example.com
ping:
  description: How it answered C(GET /v2/) without credentials.
  returned: success
  type: dict
  contains:
    status:
      description: Status of the answer, V(200) or V(401) as a rule.
      type: int
      returned: success
    seconds:
      description: How long it took, with the time to connect.
      type: float
      returned: success
  sample:
    status: 401
    seconds: 0.021
api_version:
  description: The header C(Docker-Distribution-Api-Version), or null.
  returned: success
  type: str
  sample: registry/2.0
server:
  description: The header C(Server), which often is that of a proxy in front, or null.
  returned: success
  type: str
  sample: nginx
software:
  description:
    - C(name) and C(version) of the registry where it tells them. GitLab does so at once, zot and Harbor if O(features) is
      true. Otherwise null.
  returned: success
  type: dict
  sample:
    name: harbor
    version: v2.11.0
auth:
  description: How users log in.
  returned: success
  type: dict
  contains:
    kind:
      description: V(none), V(basic), V(bearer) (tokens), or what else it asks for.
      type: str
      returned: success
    realm:
      description: What it calls itself, or the address of its token server, or null.
      type: str
      returned: success
    service:
      description: The name that its token server knows it by, or null.
      type: str
      returned: success
  sample:
    kind: basic
    realm: Registry
    service: null
login:
  description: What became of the credentials for the registry. Null if there are none.
  returned: success
  type: dict
  contains:
    source:
      description: Where they come from.
      type: str
      returned: success
    accepted:
      description: Whether the registry accepts them, or null where it asks nobody who they are.
      type: bool
      returned: success
    message:
      description: Why they were not accepted.
      type: str
      returned: success
  sample:
    source: username and password as given
    accepted: true
    message: ""
repositories:
  description: The names of all repositories, or null where the registry does not list them.
  returned: when O(catalog) is true
  type: list
  elements: str
  sample: [team/app, team/worker]
sizes:
  description: The sizes of the repositories, or null where these cannot be listed.
  returned: when O(sizes) is true
  type: list
  elements: dict
  contains:
    repository:
      description: The repository.
      type: str
      returned: success
    tags:
      description: How many tags it has.
      type: int
      returned: success
    manifests:
      description: How many manifests and indexes these reach.
      type: int
      returned: success
    size:
      description: Bytes of these and of all their blobs, each counted once.
      type: int
      returned: success
    complete:
      description: Whether all could be read. If not, the rest is not counted, and a warning says what.
      type: bool
      returned: success
  sample:
    - repository: team/app
      tags: 12
      manifests: 36
      size: 734003200
      complete: true
total_size:
  description: Bytes of all these repositories together, what they share counted once.
  returned: when O(sizes) is true
  type: int
  sample: 912680550
missing:
  description: Those of O(repositories) that do not exist.
  returned: when O(sizes) is true
  type: list
  elements: str
features:
  description: What the registry can do. Null stands for what it does not tell.
  returned: when O(features) or O(probe_uploads) is true
  type: dict
  contains:
    catalog:
      description: Whether it lists its repositories to us.
      type: bool
      returned: success
    referrers:
      description: Whether it has the referrers API. Without it, signatures and the like are found by tags.
      type: bool
      returned: success
    delete:
      description: Whether manifests can be deleted with the credentials at hand.
      type: bool
      returned: success
    tag_delete:
      description: Whether a tag can be removed by itself.
      type: bool
      returned: success
    read_only:
      description: Whether nobody can push now. A pull-through cache is only told with O(probe_uploads).
      type: bool
      returned: success
    uploads:
      description: Whether a push can begin with the credentials at hand. See O(probe_uploads).
      type: bool
      returned: success
    extensions:
      description: Extensions of the API that it tells of.
      type: list
      elements: str
      returned: success
  sample:
    catalog: true
    referrers: false
    delete: true
    tag_delete: false
    read_only: false
    uploads: null
    extensions: []
requests:
  description: How many requests were sent.
  returned: always
  type: int
  sample: 2
rate_limit:
  description:
    - What the registry said of its pull limit, such as Docker Hub does. C(limit) and C(remaining) are numbers of pulls in
      a C(window) of seconds, C(source) is the address or account that they are counted for.
  returned: when a registry tells it
  type: dict
  sample:
    limit: 100
    remaining: 76
    window: 21600
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.support.argspec import one_end
from ..module_utils.support.clients import Task
from ..module_utils.support.run import run


def registry_info(task: Task) -> dict[str, Any]:
    """Look at the registry that the parameters name."""
    from ..module_utils.operations import registry_info as operation

    params = task.params
    host = operation.host_of(params["registry"] or "")
    wish = operation.Wish(
        catalog=params["catalog"],
        sizes=params["sizes"],
        repositories=operation.repositories_of(params["repositories"] or (), host),
        features=params["features"],
        probe_uploads=params["probe_uploads"],
        act=not task.check_mode,
    )
    found = operation.look(task.registries().client(host), wish, task.parallel, task.stop, task.warn)
    return {"changed": False, **found}


def main() -> None:
    module = AnsibleModule(
        argument_spec=one_end(
            registry={"type": "str", "required": True, "aliases": ["name"]},
            catalog={"type": "bool", "default": False},
            sizes={"type": "bool", "default": False},
            repositories={"type": "list", "elements": "str"},
            features={"type": "bool", "default": False},
            probe_uploads={"type": "bool", "default": False},
        ),
        supports_check_mode=True,
    )
    run(module, registry_info)


if __name__ == "__main__":
    main()
