#!/usr/bin/python
# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_user
short_description: Manage the users of a container registry in its htpasswd file
version_added: 1.0.0
author:
  - longshore.oci authors (@longshore)
description:
  - Adds users to the htpasswd file of a registry (CNCF distribution, and others that read such files), changes their
    passwords and removes them. Passwords are hashed with bcrypt, the only kind that registries take.
  - Knows by comparing with the hash whether a password is the one it should be, so that a second run changes nothing.
  - The registry notices at its next request, without a restart. A user who was removed is refused at once.
  - Comments, blank lines, other users and the order of lines stay. The file is replaced whole or not at all. Tasks that
    change it at the same time take turns.
extends_documentation_fragment:
  - ansible.builtin.files
  - longshore.oci.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the names of the users that change. Neither passwords nor hashes are shown.
  idempotent:
    support: full
  action_group:
    description:
      - The module meets no registry and is in none of the groups of this collection.
    support: none
    membership: []
options:
  path:
    description:
      - The htpasswd file. A symbolic link is followed, and stays. The directory has to exist.
      - A new file can be read by nobody but its owner unless O(mode) says otherwise. The registry has to be able to read
        it, so set O(owner), O(group) or O(mode) as well. A file that is there keeps its owner, group and mode.
      - A registry in a container needs the directory mounted and not the file alone. Of a file it would go on reading the
        old one, and removed users could still log in.
    type: path
    required: true
  name:
    description:
      - The user. One of O(name) and O(users) is required.
    type: str
  password:
    description:
      - The password of O(name), at most 72 bytes long, since bcrypt takes no more.
    type: str
  hash:
    description:
      - A bcrypt hash of the password of O(name) that was made elsewhere (V($2y$...), V($2b$...), V($2a$...) or
        V($2x$...)). The entry is this hash, as it is.
      - One of O(password) and O(hash) is required if O(state=present).
    type: str
  state:
    description:
      - Whether the user O(name) can log in.
    type: str
    choices: [present, absent]
    default: present
  users:
    description:
      - Many users in one task, instead of O(name).
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - The user.
        type: str
        required: true
      password:
        description:
          - The password.
        type: str
      hash:
        description:
          - A bcrypt hash of the password that was made elsewhere.
        type: str
      state:
        description:
          - Whether the user can log in.
        type: str
        choices: [present, absent]
        default: present
  purge:
    description:
      - Remove all users that O(users) does not list.
    type: bool
    default: false
  rounds:
    description:
      - Cost of the hashes, from 4 to 16. Each step doubles it. A registry pays it at every single request, which is about
        60 ms at 10 and 0.8 s at 14.
      - An entry whose hash has another cost is hashed anew if its O(password) is given.
    type: int
    default: 10
  create:
    description:
      - Create the file if it does not exist. If this is false, the task fails then.
    type: bool
    default: true
requirements:
  - python >= 3.9
  - bcrypt, where a password is given
notes:
  - The file is never written in place, so O(unsafe_writes) has no effect.
  - Passwords and hashes never show up in results, warnings or messages. Keep them in vaulted variables.
  - Every user of an htpasswd file may push and delete. Registries know no rights there.
  - A line that is no entry makes a registry refuse everybody. The task fails then and names the line.
seealso:
  - module: longshore.oci.registry_info
"""

EXAMPLES = r"""
---
- name: Let a user in
  longshore.oci.registry_user:
    path: /srv/registry/htpasswd
    name: ci
    password: "{{ registry_password }}"
    mode: "0640"

- name: Keep exactly these users
  longshore.oci.registry_user:
    path: /srv/registry/htpasswd
    users:
      - name: deploy
        password: "{{ registry_password }}"
      - name: backup
        hash: "{{ registry_backup_hash }}"  # as `htpasswd -nB -C 10 backup` prints it, after the colon
    purge: true

- name: Lock a user out, at once
  longshore.oci.registry_user:
    path: /srv/registry/htpasswd
    name: deploy
    state: absent
"""

RETURN = r"""
path:
  description: Where the file is, links followed.
  returned: success
  type: str
  sample: /srv/registry/htpasswd
users:
  description: All users that the file has afterwards, managed or not.
  returned: success
  type: list
  elements: str
  sample: [deploy, backup]
changes:
  description: The users that were changed.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The user.
      type: str
      returned: success
    change:
      description: V(added), V(changed) or V(removed).
      type: str
      returned: success
    reason:
      description:
        - V(new), V(password), V(rounds) (the hash had another cost), V(duplicates) (there was more than one line for the
          user), V(absent) or V(unlisted) (see O(purge)).
      type: str
      returned: success
  sample:
    - name: deploy
      change: added
      reason: new
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.support.clients import Task
from ..module_utils.support.file_attributes import FileAttributes
from ..module_utils.support.run import run


def registry_user(task: Task, module: AnsibleModule) -> dict[str, Any]:
    """Have the users that the parameters name in the file, and the file as it should be."""
    from ..module_utils.model.errors import InvalidInput
    from ..module_utils.operations import htpasswd_file
    from ..module_utils.operations.htpasswd import User

    params = task.params
    if not params["path"]:
        raise InvalidInput("path is empty: it names the htpasswd file")
    listed = params["users"]
    if listed is None:
        if params["purge"]:
            raise InvalidInput("purge goes with users: it removes all that are not listed there")
        listed = [params]
    elif params["state"] != "present" or params["password"] or params["hash"]:
        raise InvalidInput("state, password and hash go with name; in users each user has its own")
    users = [User(one["name"] or "", one["state"] == "present", one["password"], one["hash"] or None) for one in listed]
    wish = htpasswd_file.Wish(params["path"], users, params["purge"], params["rounds"], params["create"])
    attributes = FileAttributes(module, htpasswd_file.real_path(params["path"]))

    outcome = htpasswd_file.manage(wish, task.check_mode, attributes, task.stop, task.warn)
    diff = {
        when: {"path": outcome.path, "users": users, **attributes.diff.get(when, {})}
        for when, users in (("before", outcome.before), ("after", outcome.after))
    }
    return {
        "changed": outcome.changed,
        "path": outcome.path,
        "users": outcome.names,
        "changes": outcome.result,
        "diff": diff,
    }


def main() -> None:
    user = {
        "password": {"type": "str", "no_log": True},
        "hash": {"type": "str", "no_log": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "name": {"type": "str"},
            **user,
            "users": {"type": "list", "elements": "dict", "options": {"name": {"type": "str", "required": True}, **user}},
            "purge": {"type": "bool", "default": False},
            "rounds": {"type": "int", "default": 10},
            "create": {"type": "bool", "default": True},
        },
        mutually_exclusive=[("name", "users")],
        required_one_of=[("name", "users")],
        add_file_common_args=True,
        supports_check_mode=True,
    )
    run(module, lambda task: registry_user(task, module))


if __name__ == "__main__":
    main()
