# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials, TLS and proxy of modules with a source and a destination."""

from __future__ import annotations


class ModuleDocFragment:
    """Credentials, TLS and proxy of modules with a source and a destination."""

    DOCUMENTATION = r"""
---
options:
  auth_file:
    description:
      - Auth file of podman or docker (V(auth.json), V(config.json)) for both ends, or with the name of a
        credential helper. The entry with the longest matching path wins.
      - O(src_auth_file) and O(dest_auth_file) come before it.
      - If this is not given, the files that podman and docker use are searched in their order,
        E(REGISTRY_AUTH_FILE) first.
    type: path
  src_username:
    description:
      - User name for the source registry. It goes together with O(src_password).
      - If this is not given, the environment variable E(LONGSHORE_SRC_USERNAME) is used.
      - Without any credentials an entry of the auth file is used, and without one the registry is asked
        anonymously.
    type: str
  src_password:
    description:
      - Password, or whatever the source registry takes for one, such as an access token that belongs to
        O(src_username).
      - If this is not given, the environment variable E(LONGSHORE_SRC_PASSWORD) is used. Prefer that, or an
        auth file, on the command line; C(ansible -m ... -a) shows its arguments.
    type: str
  src_token:
    description:
      - Bearer token that the source registry accepts as it is. It excludes O(src_username).
      - If this is not given, the environment variable E(LONGSHORE_SRC_TOKEN) is used.
    type: str
  src_auth_file:
    description:
      - Auth file of podman or docker (V(auth.json), V(config.json)) with credentials for the source registry,
        or with the name of a credential helper that has them. The entry with the longest matching path wins.
      - If this is not given, O(auth_file) is used, and then the files named there.
    type: path
  src_validate_certs:
    description:
      - Whether the certificate of the source registry is verified.
    type: bool
    default: true
  src_ca_path:
    description:
      - File with certificates of authorities to trust for the source registry, in PEM form, or a directory of
        such files.
      - Without it those of the system are trusted.
    type: path
  src_client_cert:
    description:
      - Client certificate to show to the source registry, in PEM form. It may hold the key as well.
    type: path
  src_client_key:
    description:
      - Private key of O(src_client_cert), in PEM form.
    type: path
  src_cert_dir:
    description:
      - Directory with V(*.crt) (authorities), V(*.cert) and V(*.key) (client certificate) for the source
        registry, as those in V(/etc/containers/certs.d) and V(/etc/docker/certs.d).
    type: path
  src_plain_http:
    description:
      - Speak HTTP to the source registry instead of HTTPS. HTTPS never falls back to HTTP by itself.
    type: bool
    default: false
  src_proxy:
    description:
      - Proxy to reach the source registry through, such as V(http://proxy.example.com:3128) or
        V(socks5h://proxy.example.com:1080).
      - Without it the usual environment variables E(HTTPS_PROXY), E(HTTP_PROXY) and E(NO_PROXY) are used.
    type: str
  src_trusted_realms:
    description:
      - Hosts (V(host) or V(host:port)) of token servers that may see the credentials.
      - Needed only where the source registry sends its clients to a token server at another host, and that cannot
        be known to be the right one, as with O(src_plain_http=true) or where it names several.
    type: list
    elements: str
    default: []
  dest_username:
    description:
      - User name for the destination registry. It goes together with O(dest_password).
      - If this is not given, the environment variable E(LONGSHORE_DEST_USERNAME) is used.
      - Without any credentials an entry of the auth file is used, and without one the registry is asked
        anonymously.
    type: str
  dest_password:
    description:
      - Password, or whatever the destination registry takes for one, such as an access token that belongs to
        O(dest_username).
      - If this is not given, the environment variable E(LONGSHORE_DEST_PASSWORD) is used. Prefer that, or an
        auth file, on the command line; C(ansible -m ... -a) shows its arguments.
    type: str
  dest_token:
    description:
      - Bearer token that the destination registry accepts as it is. It excludes O(dest_username).
      - If this is not given, the environment variable E(LONGSHORE_DEST_TOKEN) is used.
    type: str
  dest_auth_file:
    description:
      - Auth file of podman or docker (V(auth.json), V(config.json)) with credentials for the destination
        registry, or with the name of a credential helper that has them. The entry with the longest matching
        path wins.
      - If this is not given, O(auth_file) is used, and then the files named there.
    type: path
  dest_validate_certs:
    description:
      - Whether the certificate of the destination registry is verified.
    type: bool
    default: true
  dest_ca_path:
    description:
      - File with certificates of authorities to trust for the destination registry, in PEM form, or a directory
        of such files.
      - Without it those of the system are trusted.
    type: path
  dest_client_cert:
    description:
      - Client certificate to show to the destination registry, in PEM form. It may hold the key as well.
    type: path
  dest_client_key:
    description:
      - Private key of O(dest_client_cert), in PEM form.
    type: path
  dest_cert_dir:
    description:
      - Directory with V(*.crt) (authorities), V(*.cert) and V(*.key) (client certificate) for the destination
        registry, as those in V(/etc/containers/certs.d) and V(/etc/docker/certs.d).
    type: path
  dest_plain_http:
    description:
      - Speak HTTP to the destination registry instead of HTTPS. HTTPS never falls back to HTTP by itself.
    type: bool
    default: false
  dest_proxy:
    description:
      - Proxy to reach the destination registry through, such as V(http://proxy.example.com:3128) or
        V(socks5h://proxy.example.com:1080).
      - Without it the usual environment variables E(HTTPS_PROXY), E(HTTP_PROXY) and E(NO_PROXY) are used.
    type: str
  dest_trusted_realms:
    description:
      - Hosts (V(host) or V(host:port)) of token servers that may see the credentials.
      - Needed only where the destination registry sends its clients to a token server at another host, and that cannot
        be known to be the right one, as with O(dest_plain_http=true) or where it names several.
    type: list
    elements: str
    default: []
attributes:
  action_group:
    membership:
      - longshore.oci.registry
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
