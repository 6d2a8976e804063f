# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user may set about the wire: one immutable object a registry end."""

from __future__ import annotations

from dataclasses import dataclass, field

#: The collection's version, as the User-Agent shows it.
VERSION = "1.0.0"
USER_AGENT = f"longshore.oci/{VERSION}"

#: Seconds a connection may take to come about, however long ``timeout`` is.
CONNECT_TIMEOUT = 30.0


@dataclass(frozen=True)
class Settings:
    """The options of one end. ``repr`` shows no secret."""

    #: Speak HTTP. Never chosen by the client itself (S17).
    plain_http: bool = False
    validate_certs: bool = True
    #: A file or a directory of PEM certificates, trusted beside the system's.
    ca_path: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    #: A directory in the form of ``certs.d``: ``*.crt`` authorities, ``*.cert`` with ``*.key`` for the client.
    cert_dir: str | None = None
    #: URL of a proxy (http, https, socks5, socks5h, socks4); None asks the environment; '' means none.
    proxy: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    #: A registry bearer token, sent as it is.
    token: str | None = field(default=None, repr=False)
    auth_file: str | None = None
    #: Seconds without a byte before a transfer counts as stalled.
    timeout: float = 60.0
    #: How often a request that failed for a passing reason is sent again.
    retries: int = 5
    #: The longest wait in seconds a registry may ask for before we give up instead.
    max_retry_after: float = 120.0
    #: What is done when a registry allows no more pulls: wait, stop or ignore.
    rate_limit: str = "stop"
    #: Requests at the same time; so many idle connections are kept.
    parallel: int = 16
    #: Hosts that may see this registry's credentials as a token realm.
    trusted_realms: tuple[str, ...] = ()
    #: strict, tls or any (section 3.2, 4).
    realm_policy: str = "tls"
