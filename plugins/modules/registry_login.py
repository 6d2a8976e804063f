#!/usr/bin/python
# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log in to a registry, for docker, podman and everything that reads their files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_login
short_description: Log in to a registry and out, without a container engine
version_added: 1.0.0
author:
  - The longshore.oci authors (@longshore)
description:
  - Checks a user name and a password with a registry and writes them where docker, podman, skopeo and the other modules of
    this collection look for them, as C(docker login) and C(podman login) do. No container engine is needed.
  - The file is replaced as a whole or not at all, and is readable by its owner alone. Entries of other registries and
    other settings in it stay.
  - Where the file names a credential helper for the registry (C(credHelpers)) or for all (C(credsStore)), the helper keeps
    the password and the file does not hold it.
extends_documentation_fragment:
  - longshore.oci.attributes
  - longshore.oci.wire
attributes:
  check_mode:
    support: full
    details:
      - The credentials are checked with the registry, and a credential helper is asked what it has. Nothing is written.
  diff_mode:
    support: full
    details:
      - Shows which registries have entries and the user name, before and after. Passwords are not shown.
  idempotent:
    support: full
  action_group:
    membership:
      - longshore.oci.registry
      - longshore.oci.one_registry
options:
  registry:
    description:
      - The registry, as V(HOST[:PORT]), such as V(registry.example.com) or V(docker.io).
      - With a path behind it, such as V(registry.example.com/team), the credentials are for the repositories below that
        alone. podman, skopeo and this collection know such entries, docker does not.
    type: str
    required: true
  state:
    description:
      - V(present) checks the credentials and makes sure that they are kept.
      - V(absent) makes sure that the file and its credential helper have none for the registry. The registry is not asked.
    type: str
    choices: [present, absent]
    default: present
  username:
    description:
      - User name. Required if O(state=present), together with O(password).
      - If this is not given, the environment variable E(LONGSHORE_USERNAME) is used.
    type: str
  password:
    description:
      - Password, or whatever the registry takes for one, such as an access token.
      - If this is not given, the environment variable E(LONGSHORE_PASSWORD) is used. Prefer that on the command line;
        C(ansible -m ... -a) shows its arguments.
    type: str
  auth_file:
    description:
      - The file to write. A symbolic link is followed and stays, unless it was set by another user than the owner of what
        it leads to.
      - If this is not given, it is the file that E(REGISTRY_AUTH_FILE) names, else V(config.json) in the directory
        E(DOCKER_CONFIG), else V(~/.docker/config.json). That one is read by docker, podman, skopeo and others, and outlasts
        a restart, which the file that C(podman login) writes does not.
      - For podman alone, use V(~/.config/containers/auth.json).
    type: path
  verify:
    description:
      - Whether the credentials are checked with the registry before they are written. If it refuses them, the task fails and
        the file is left as it was.
      - Set this to V(false) where the registry cannot be reached yet.
    type: bool
    default: true
  validate_certs:
    description:
      - Whether the certificate of the registry is verified.
    type: bool
    default: true
  ca_path:
    description:
      - File with certificates of authorities to trust for the registry, in PEM form, or a directory of such files.
      - Without it those of the system are trusted.
    type: path
  client_cert:
    description:
      - Client certificate to show to the registry, in PEM form. It may hold the key as well.
    type: path
  client_key:
    description:
      - Private key of O(client_cert), in PEM form.
    type: path
  cert_dir:
    description:
      - Directory with V(*.crt) (authorities), V(*.cert) and V(*.key) (client certificate) for the registry, as those in
        V(/etc/containers/certs.d) and V(/etc/docker/certs.d).
    type: path
  plain_http:
    description:
      - Speak HTTP to the registry instead of HTTPS. HTTPS never falls back to HTTP by itself.
    type: bool
    default: false
  proxy:
    description:
      - Proxy to reach the registry through, such as V(http://proxy.example.com:3128) or
        V(socks5h://proxy.example.com:1080).
      - Without it the usual environment variables E(HTTPS_PROXY), E(HTTP_PROXY) and E(NO_PROXY) are used.
    type: str
  trusted_realms:
    description:
      - Hosts (V(host) or V(host:port)) of token servers that may see the credentials.
      - Needed only where the registry sends its clients to a token server at another host, and that cannot be known to be the
        right one, as with O(plain_http=true) or where it names several.
    type: list
    elements: str
    default: []
requirements:
  - python >= 3.9
  - docker (Python package), where the file names a credential helper
notes:
  - Without a credential helper the password is in the file as docker and podman put it there, encoded in base64 and not
    encrypted.
  - Other modules of this collection need no login; they take O(username) and O(password) themselves.
  - An option that is the empty string counts as not given, so that a template may come out empty.
seealso:
  - module: longshore.oci.image_copy
  - module: longshore.oci.image_tags
"""

EXAMPLES = r"""
---
- name: Log in, for docker, podman and this collection
  longshore.oci.registry_login:
    registry: registry.example.com
    username: robot
    password: "{{ registry_password }}"

- name: Log in for the repositories of one team, for podman alone
  longshore.oci.registry_login:
    registry: registry.example.com/team
    username: robot
    password: "{{ registry_password }}"
    auth_file: ~/.config/containers/auth.json

- name: Log out
  longshore.oci.registry_login:
    registry: registry.example.com
    state: absent
"""

RETURN = r"""
registry:
  description: What the credentials are for.
  returned: success
  type: str
  sample: registry.example.com
auth_file:
  description: The file that was looked at, and written if need be.
  returned: success
  type: str
  sample: /root/.docker/config.json
username:
  description: The user name.
  returned: if O(state=present)
  type: str
  sample: robot
verified:
  description:
    - Whether the registry was asked and has accepted the credentials.
    - It is false as well for a registry that asks nobody who they are; a warning says so.
  returned: if O(state=present)
  type: bool
helper:
  description: The credential helper that keeps the credentials; null if the file itself does.
  returned: success
  type: str
  sample: secretservice
requests:
  description: How many HTTP requests the task sent.
  returned: always
  type: int
  sample: 2
rate_limit:
  description: What the registry said of its rate limit.
  returned: when the registry said it
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.support.argspec import one_end
from ..module_utils.support.logins import login_verb
from ..module_utils.support.run import run


def main() -> None:
    """Run the module."""
    spec = one_end(
        registry={"type": "str", "required": True},
        state={"type": "str", "choices": ["present", "absent"], "default": "present"},
        verify={"type": "bool", "default": True},
    )
    # A bearer token is nothing that an auth file could hold for long.
    del spec["token"]
    module = AnsibleModule(spec, supports_check_mode=True)
    run(module, login_verb, new_auth_file=True)


if __name__ == "__main__":
    main()
