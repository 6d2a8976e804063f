# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials, TLS and proxy of modules that meet one registry."""

from __future__ import annotations


class ModuleDocFragment:
    """Credentials, TLS and proxy of modules that meet one registry."""

    DOCUMENTATION = r"""
---
options:
  username:
    description:
      - User name for the registry. It goes together with O(password).
      - If this is not given, the environment variable E(LONGSHORE_USERNAME) is used.
      - Without any credentials an entry of the auth file is used, and without one the registry is asked
        anonymously.
    type: str
  password:
    description:
      - Password, or whatever the registry takes for one, such as an access token that belongs to O(username).
      - If this is not given, the environment variable E(LONGSHORE_PASSWORD) is used. Prefer that, or an auth
        file, on the command line; C(ansible -m ... -a) shows its arguments.
    type: str
  token:
    description:
      - Bearer token that the registry accepts as it is. It excludes O(username).
      - If this is not given, the environment variable E(LONGSHORE_TOKEN) is used.
    type: str
  auth_file:
    description:
      - Auth file of podman or docker (V(auth.json), V(config.json)) with credentials for the registry, or with
        the name of a credential helper that has them. The entry with the longest matching path wins.
      - If this is not given, the files that podman and docker use are searched in their order,
        E(REGISTRY_AUTH_FILE) first.
    type: path
  validate_certs:
    description:
      - Whether the certificate of the registry is verified.
    type: bool
    default: true
  ca_path:
    description:
      - File with certificates of authorities to trust for the registry, in PEM form, or a directory of such
        files.
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
      - Directory with V(*.crt) (authorities), V(*.cert) and V(*.key) (client certificate) for the registry, as
        those in V(/etc/containers/certs.d) and V(/etc/docker/certs.d).
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
      - Needed only where the registry sends its clients to a token server at another host, and that cannot be known
        to be the right one, as with O(plain_http=true) or where it names several.
    type: list
    elements: str
    default: []
attributes:
  action_group:
    membership:
      - longshore.oci.registry
      - longshore.oci.one_registry
requirements:
  - python >= 3.9
notes:
  - Secrets never show up in results, warnings or messages. Give them through the environment, an auth file or
    vaulted variables rather than on a command line.
  - Ansible itself shows what C(environment) of a task holds when it runs with C(-vvv). Set the variables for the whole
    run instead, as an AWX credential type does.
  - An option that is the empty string counts as not given, so that a template may come out empty.
  - Needs Python 3.9 or newer on the host the task runs on. No container engine is needed.
"""
