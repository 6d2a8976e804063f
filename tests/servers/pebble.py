# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pebble on a machine: an ACME server for tests, by the package of that name. The machine trusts it and what it signs."""

from __future__ import annotations

import json
import pathlib
import tempfile

from .certificates import Authority
from .machine import Machine
from .process import ServerFailed, wait_until

_DIRECTORY = "/etc/pebble"
_UNIT = "pebble-for-tests"
_CERTIFICATE, _KEY = f"{_DIRECTORY}/pebble.crt", f"{_DIRECTORY}/pebble.key"
_TRUSTED = "/usr/local/share/ca-certificates"
_CONFIG = {
    "pebble": {
        "listenAddress": "0.0.0.0:14000",
        "managementListenAddress": "127.0.0.1:15000",
        "certificate": _CERTIFICATE,
        "privateKey": _KEY,
        # As authorities do: where it asks for the answers to challenges.
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
    }
}
# Once it has asked for an answer it never asks again, as authorities do not for weeks; by default it tosses a coin.
_ENVIRONMENT = ("PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=100")


class Pebble:
    """Pebble on a machine of Debian, until that ends.

    ``directory_url``: of its ACME directory, for clients on the machine. ``root``: the certificate of its authority, as PEM,
    which is another each time.
    """

    directory_url = "https://localhost:14000/dir"

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        machine.run(["apt-get", "install", "--yes", "pebble", "ca-certificates"])
        with tempfile.TemporaryDirectory() as name:
            authority = Authority(pathlib.Path(name))
            pair = authority.server("pebble")
            machine.write(_CERTIFICATE, pair.certificate.read_text("ascii"))
            machine.write(_KEY, pair.key.read_text("ascii"), "0600")
            self._trust("pebble", authority.certificate.read_text("ascii"))
        machine.write(f"{_DIRECTORY}/config.json", json.dumps(_CONFIG))
        environment = [f"--setenv={variable}" for variable in _ENVIRONMENT]
        machine.run(["systemd-run", f"--unit={_UNIT}", *environment, "/usr/bin/pebble", "-config", f"{_DIRECTORY}/config.json"])
        try:
            wait_until(self._answers, "Pebble")
        except ServerFailed as failure:
            raise ServerFailed(f"{failure}: {machine.journal(_UNIT)}") from failure
        self.root = self._get("https://localhost:15000/roots/0")
        self._trust("pebble-root", self.root)

    def asked(self) -> list[str]:
        """The lines of its log that tell of an answer that it asked a client for."""
        return [line for line in self._machine.journal(_UNIT).splitlines() if "/.well-known/acme-challenge/" in line]

    def _trust(self, name: str, certificate: str) -> None:
        self._machine.write(f"{_TRUSTED}/{name}.crt", certificate)
        self._machine.run(["update-ca-certificates"])

    def _get(self, url: str, check: bool = True) -> str:
        fetch = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=30).read().decode())"
        return self._machine.run(["python3", "-c", fetch, url], check=check).stdout

    def _answers(self) -> bool:
        return bool(self._get(self.directory_url, check=False))
