# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest that an image's name stands for now."""

from __future__ import annotations

DOCUMENTATION = r"""
name: digest
short_description: Look up the digest that the name of an image stands for
version_added: 1.0.0
author:
  - The longshore.oci authors (@longshore)
description:
  - Asks the registry which digest a tag stands for now, so that a playbook can pin it. Nothing is downloaded. One C(HEAD)
    request for each name is all where O(platform) is not given.
  - Templates are evaluated anew wherever they are used. Keep what was looked up with M(ansible.builtin.set_fact) where a
    play must use the same digest throughout.
extends_documentation_fragment:
  - longshore.oci.lookup
options:
  _terms:
    description:
      - Names of images, such as V(registry.example.com/app:1.0), or of images elsewhere in the syntax of
        O(longshore.oci.image_copy#module:src), such as V(oci:PATH:NAME). V(latest) is the tag when none is given.
    type: list
    elements: str
    required: true
  pinned:
    description:
      - Return the whole name with the digest behind its tag, as V(registry.example.com/app:1.0@sha256:...).
      - Every module of this collection, podman and docker take such a name, and fetch by its digest.
    type: bool
    default: false
  platform:
    description:
      - Platform such as V(linux/arm64), or V(local) for that of the controller. The digest is then that of the image for
        it, where the name stands for an index of several.
    type: str
seealso:
  - module: longshore.oci.image_inspect
  - module: longshore.oci.image_tags
"""

EXAMPLES = r"""
---
- name: Show the digest of a tag
  ansible.builtin.debug:
    msg: "{{ lookup('longshore.oci.digest', 'docker.io/library/nginx:1.27') }}"

- name: Pin an image once for the whole play
  ansible.builtin.set_fact:
    app_image: "{{ lookup('longshore.oci.digest', 'registry.example.com/team/app:1.4', pinned=true) }}"
  vars:
    longshore_username: robot
    longshore_password: "{{ registry_password }}"

- name: Copy exactly what was pinned
  longshore.oci.image_copy:
    src: "{{ app_image }}"
    dest: registry.example.com/team/app:production
    src_username: robot
    src_password: "{{ registry_password }}"
    dest_username: robot
    dest_password: "{{ registry_password }}"

- name: Compare two platforms of an image
  ansible.builtin.debug:
    msg:
      - "{{ lookup('longshore.oci.digest', 'docker.io/library/alpine:3.21', platform='linux/amd64') }}"
      - "{{ lookup('longshore.oci.digest', 'docker.io/library/alpine:3.21', platform='linux/arm64') }}"

- name: Ask for several, with credentials from an auth file
  ansible.builtin.debug:
    msg: "{{ query('longshore.oci.digest', *images, auth_file='/etc/longshore/auth.json') }}"
  vars:
    images:
      - registry.example.com/team/app:1.0
      - registry.example.com/team/worker:7.0
"""

RETURN = r"""
_raw:
  description: A digest, or with O(pinned) a name with its digest, for each name that was given.
  type: list
  elements: str
  sample: [sha256:0d5fc3a4a1bb1c0c3bbc3ad0e0a5c9b1f8e6d7c2b3a4958677f6e5d4c3b2a190]
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ..module_utils.support.clients import Task
from ..module_utils.support.plugins import END, ask

display = Display()


class LookupModule(LookupBase):
    """The lookup ``longshore.oci.digest``."""

    def run(self, terms: list[Any], variables: Any = None, **kwargs: Any) -> list[str]:
        """A digest for each of ``terms``. Raises AnsibleLookupError."""
        self.set_options(var_options=None, direct=self._given(variables or {}, kwargs))
        names = self._flatten(terms)

        def verb(task: Task) -> list[str]:
            from ..module_utils.model.errors import InvalidInput
            from ..module_utils.model.platform import Platform
            from ..module_utils.operations.digests import digests
            from ..module_utils.transports.places import Places

            if not all(isinstance(name, str) and name for name in names):
                raise InvalidInput("the lookup takes names of images as text, and none of them empty")
            params = task.params
            platform = Platform.parse(params["platform"]) if params["platform"] else None
            places = Places(task.registries())
            places.source_engine = task.engine()
            try:
                return digests(names, places, platform, params["pinned"], task.parallel, task.stop)
            finally:
                places.close()

        options = {name: value for name, value in self.get_options().items() if name != "_terms"}
        answer, failure, warnings = ask(options, names, verb)
        for warning in warnings:
            display.warning(warning)
        if failure:
            raise AnsibleLookupError(failure)
        found: list[str] = answer
        return found

    def _given(self, variables: Any, options: dict[str, Any]) -> dict[str, Any]:
        """The options that were given, those in variables too, which Ansible hands over as they were written."""
        named = {name: f"longshore_{name}" for name in END}
        found = {name: self._templar.template(variables[one]) for name, one in named.items() if one in variables}
        given = {name: value for name, value in {**found, **options}.items() if value not in (None, "")}
        for name in ("validate_certs", "plain_http", "pinned"):
            try:
                given[name] = boolean(given.get(name, name == "validate_certs"))
            except TypeError:
                # Ansible would take a slip of the pen for false.
                raise AnsibleLookupError(f"{name} must be true or false, not '{given[name]}'") from None
        return given
