# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials, TLS, proxy and patience of lookups that meet a registry."""

from __future__ import annotations


class ModuleDocFragment:
    """Credentials, TLS, proxy and patience of lookups that meet a registry."""

    DOCUMENTATION = r"""
---
options:
  username:
    description:
      - User name for the registry. It goes together with O(password).
      - Without any credentials an entry of the auth file is used, and without one the registry is asked
        anonymously.
    type: str
    vars:
      - name: longshore_username
    env:
      - name: LONGSHORE_USERNAME
  password:
    description:
      - Password, or whatever the registry takes for one, such as an access token that belongs to O(username).
    type: str
    vars:
      - name: longshore_password
    env:
      - name: LONGSHORE_PASSWORD
  token:
    description:
      - Bearer token that the registry accepts as it is. It excludes O(username).
    type: str
    vars:
      - name: longshore_token
    env:
      - name: LONGSHORE_TOKEN
  auth_file:
    description:
      - Auth file of podman or docker (V(auth.json), V(config.json)) with credentials for the registry, or with
        the name of a credential helper that has them. The entry with the longest matching path wins.
      - If this is not given, the files that podman and docker use are searched in their order,
        E(REGISTRY_AUTH_FILE) first.
    type: path
    vars:
      - name: longshore_auth_file
  validate_certs:
    description:
      - Whether the certificate of the registry is verified.
    type: bool
    default: true
    vars:
      - name: longshore_validate_certs
  ca_path:
    description:
      - File with certificates of authorities to trust for the registry, in PEM form, or a directory of such
        files.
      - Without it those of the system are trusted.
    type: path
    vars:
      - name: longshore_ca_path
  client_cert:
    description:
      - Client certificate to show to the registry, in PEM form. It may hold the key as well.
    type: path
    vars:
      - name: longshore_client_cert
  client_key:
    description:
      - Private key of O(client_cert), in PEM form.
    type: path
    vars:
      - name: longshore_client_key
  cert_dir:
    description:
      - Directory with V(*.crt) (authorities), V(*.cert) and V(*.key) (client certificate) for the registry, as
        those in V(/etc/containers/certs.d) and V(/etc/docker/certs.d).
    type: path
    vars:
      - name: longshore_cert_dir
  plain_http:
    description:
      - Speak HTTP to the registry instead of HTTPS. HTTPS never falls back to HTTP by itself.
    type: bool
    default: false
    vars:
      - name: longshore_plain_http
  proxy:
    description:
      - Proxy to reach the registry through, such as V(http://proxy.example.com:3128) or
        V(socks5h://proxy.example.com:1080).
      - Without it the usual environment variables E(HTTPS_PROXY), E(HTTP_PROXY) and E(NO_PROXY) are used.
    type: str
    vars:
      - name: longshore_proxy
  trusted_realms:
    description:
      - Hosts (V(host) or V(host:port)) of token servers that may see the credentials.
      - Needed only where the registry sends its clients to a token server at another host, and that cannot be known
        to be the right one, as with O(plain_http=true) or where it names several.
    type: list
    elements: str
    default: []
    vars:
      - name: longshore_trusted_realms
  timeout:
    description:
      - Seconds without a single byte after which a request is given up.
    type: float
    default: 60
  retries:
    description:
      - How often a request is tried again after a failure that may pass, such as a broken connection or an
        overloaded registry.
    type: int
    default: 5
  max_retry_after:
    description:
      - Longest wait in seconds that a registry may ask for (C(Retry-After)) before the lookup fails and says so.
    type: int
    default: 120
requirements:
  - python >= 3.9
notes:
  - Runs on the controller, with the network, the files and the Python libraries that are there.
  - Secrets never show up in results, warnings or messages of the lookup. Give them through the environment, an auth
    file or vaulted variables.
  - An option that is the empty string counts as not given, so that a template may come out empty.
"""
