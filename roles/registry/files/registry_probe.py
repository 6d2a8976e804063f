# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a registry whether it answers, and say why not.

Usage: python3 registry_probe.py RECORD [--seconds N] [--logs COMMAND...]

RECORD is the instance.json of the registry. Exits 0 once GET /v2/ is answered with 200 or 401, over TLS with a certificate that
its clients would accept. Otherwise prints what is wrong and the end of what COMMAND prints, and exits 1.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import re
import socket
import ssl
import subprocess
import sys
import time

ANSWERS = (200, 401)
BINARY = re.compile(r"!!binary ([A-Za-z0-9+/=]+)")


class Named(http.client.HTTPSConnection):
    """A connection to one address that asks for the certificate of another name."""

    def __init__(self, address: str, port: int, name: str, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(name, port, context=context, timeout=timeout)
        self.address = address
        self.tls = context

    def connect(self) -> None:
        plain = socket.create_connection((self.address, self.port), self.timeout)
        self.sock = self.tls.wrap_socket(plain, server_hostname=self.host)


def ask(probe: dict[str, object]) -> str:
    """What is wrong with the registry; '' if nothing is."""
    address, port = str(probe["host"]), int(str(probe["port"]))
    connection: http.client.HTTPConnection
    if probe["tls"]:
        context = ssl.create_default_context(cafile=probe["ca"] or None)
        connection = Named(address, port, str(probe["server_name"]), context, 10)
    else:
        connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request("GET", "/v2/")
        status = connection.getresponse().status
    except ssl.SSLError as exc:
        # It is there, and wants a certificate of ours, which is for its clients to have.
        return "" if "CERTIFICATE_REQUIRED" in str(exc) else f"TLS: {exc}"
    except (OSError, http.client.HTTPException) as exc:
        return f"{type(exc).__name__}: {exc}"
    finally:
        connection.close()
    return "" if status in ANSWERS else f"GET /v2/ is answered with {status}"


def last_words(command: list[str], secrets: list[str]) -> str:
    """The end of the registry's log, without its secrets."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60)
    lines = done.stdout.decode(errors="replace").splitlines(True)
    # A registry that starts logs the headers of its notifications, which hold tokens.
    text = "".join(line for line in lines if "configuring endpoint" not in line)
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "...")
    return text[-4000:]


def values(path: str) -> list[str]:
    """The values of the variables in a file of NAME=VALUE lines, and what stands in them in base64."""
    try:
        with open(path, encoding="utf-8") as lines:
            found = [line.rstrip("\n").partition("=")[2] for line in lines]
    except FileNotFoundError:
        return []
    found += [base64.b64decode(text).decode(errors="replace") for text in BINARY.findall("\n".join(found))]
    return [value for value in found if len(value) > 3]


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask a registry whether it answers.")
    parser.add_argument("record")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--logs", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    with open(options.record, encoding="utf-8") as file:
        record = json.load(file)
    end = time.monotonic() + options.seconds
    while True:
        wrong = ask(record["probe"])
        if not wrong:
            return 0
        if time.monotonic() > end:
            break
        time.sleep(0.2)
    probe = record["probe"]
    sys.stderr.write(f"the registry does not answer at {probe['host']}:{probe['port']}: {wrong}\n")
    if options.logs:
        sys.stderr.write("the last lines of its log:\n" + last_words(options.logs, values(record["environment_file"])))
    return 1


if __name__ == "__main__":
    sys.exit(main())
