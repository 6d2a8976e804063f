# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate authority for tests, and the certificates that it signs. Made with the openssl command."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from .process import run

LOOPBACK = ("DNS:localhost", "IP:127.0.0.1", "IP:127.0.0.2")
_DAYS = "30"
_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class KeyPair(NamedTuple):
    """Files of a PEM certificate and of its unencrypted PEM key."""

    certificate: pathlib.Path
    key: pathlib.Path


class Authority:
    """A certificate authority in ``directory``: ``ca.crt`` is what clients are to trust."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self.pair = KeyPair(directory / "ca.crt", directory / "ca.key")
        # fmt: off
        run([
            "openssl", "req", "-x509", *_EC, "-days", _DAYS, "-subj", "/CN=longshore test authority",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-keyout", str(self.pair.key), "-out", str(self.pair.certificate),
        ])
        # fmt: on

    @property
    def certificate(self) -> pathlib.Path:
        """The authority's own certificate."""
        return self.pair.certificate

    def server(self, name: str = "server", alternatives: Sequence[str] = LOOPBACK) -> KeyPair:
        """A server's certificate for ``alternatives`` (``DNS:...`` and ``IP:...``), ``NAME.crt`` with its key."""
        return self._issue(name, f"subjectAltName={','.join(alternatives)}\nextendedKeyUsage=serverAuth\n")

    def client(self, name: str) -> KeyPair:
        """A client's certificate whose common name is ``name``."""
        return self._issue(name, "extendedKeyUsage=clientAuth\n")

    def _issue(self, name: str, extensions: str) -> KeyPair:
        pair = KeyPair(self._directory / f"{name}.crt", self._directory / f"{name}.key")
        request, config = self._directory / f"{name}.csr", self._directory / f"{name}.ext"
        config.write_text(f"basicConstraints=critical,CA:false\n{extensions}", encoding="utf-8")
        run(["openssl", "req", *_EC, "-subj", f"/CN={name}", "-keyout", str(pair.key), "-out", str(request)])
        # fmt: off
        run([
            "openssl", "x509", "-req", "-in", str(request), "-days", _DAYS, "-extfile", str(config), "-out",
            str(pair.certificate), "-CA", str(self.pair.certificate), "-CAkey", str(self.pair.key), "-CAcreateserial",
        ])
        # fmt: on
        return pair


def signing_pair(directory: pathlib.Path, name: str) -> KeyPair:
    """An RSA key and its self-signed certificate, to sign tokens with."""
    pair = KeyPair(directory / f"{name}.crt", directory / f"{name}.key")
    # fmt: off
    run([
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", _DAYS, "-subj", f"/CN={name}",
        "-keyout", str(pair.key), "-out", str(pair.certificate),
    ])
    # fmt: on
    return pair
