# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries that the role runs on a machine, as clients meet them."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any

from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.machine import Machine

Answer = tuple[int, Mapping[str, str], bytes]
IMAGE = "localhost/registry:2.8"
# The package's binary with the libraries that it needs, as the image of the registry has it.
_MAKE_IMAGE = """
mkdir -p /root/image/bin /root/deb && cd /root/deb
binary=/usr/bin/docker-registry
[ -x $binary ] || { apt-get -q download docker-registry; dpkg -x docker-registry_*.deb .; binary=/root/deb$binary; }
cp $binary /root/image/bin/registry
for library in $(ldd $binary | grep -o '/[^ ]*'); do cp --parents -L $library /root/image; done
tar -C /root/image -c . | ENGINE import --change 'ENTRYPOINT ["/bin/registry"]' - IMAGE
"""


def make_image(machine: Machine, engine: str) -> None:
    """Give ``engine`` on a machine the image IMAGE, of the registry that its distribution packages."""
    machine.shell(_MAKE_IMAGE.replace("ENGINE", engine).replace("IMAGE", IMAGE))


class Instance:
    """One instance on ``machine``, called ``name``, by what its record says. Clients trust its authority and nobody else's."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine = machine
        self.name = name
        self.directory = f"/etc/longshore/registry/{name}"
        self.service = f"longshore-registry-{name}.service"

    @property
    def record(self) -> dict[str, Any]:
        """Its instance.json."""
        record: dict[str, Any] = json.loads(self.machine.read(f"{self.directory}/instance.json"))
        return record

    def request(
        self, method: str, path: str, user: str = "", body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request over TLS as ``user`` (``NAME:PASSWORD``; nobody by default)."""
        probe = self.record["probe"]
        context = ssl.create_default_context(cadata=self.machine.read(f"{self.directory}/tls/ca.crt"))
        connection = http.client.HTTPSConnection(self.machine.address, probe["port"], context=context, timeout=60)
        sent = dict(headers or {})
        if user:
            sent["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        try:
            connection.request(method, path, body or None, sent)
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def status(self, user: str = "", path: str = "/v2/", method: str = "GET") -> int:
        """What it answers."""
        return self.request(method, path, user)[0]

    def answers(self) -> bool:
        """Whether it answers at all."""
        try:
            return self.status() in (200, 401)
        except OSError:
            return False

    def push(self, repository: str, tag: str, user: str = "") -> images.Image:
        """Push an image of its own for each tag."""
        made = images.sample(("linux/amd64",), seed=sum(map(ord, tag)))
        assert isinstance(made, images.Image)
        for blob in made.blobs():
            status, headers, dummy = self.request("POST", f"/v2/{repository}/blobs/uploads/", user)
            assert status == 202, status
            place = headers["location"].partition(f":{self.record['probe']['port']}")[2] or headers["location"]
            place += ("&" if "?" in place else "?") + f"digest={blob.digest}"
            kind = {"Content-Type": "application/octet-stream"}
            assert self.request("PUT", place, user, blob.data, kind)[0] == 201
        kind = {"Content-Type": made.top.media_type}
        assert self.request("PUT", f"/v2/{repository}/manifests/{tag}", user, made.top.data, kind)[0] == 201
        return made

    def pull(self, repository: str, made: images.Image, user: str = "") -> None:
        """Fetch everything of an image and compare it."""
        for blob in made.blobs():
            status, dummy, data = self.request("GET", f"/v2/{repository}/blobs/{blob.digest}", user)
            assert (status, data) == (200, blob.data)
        accept = {"Accept": made.top.media_type}
        status, dummy, data = self.request("GET", f"/v2/{repository}/manifests/{made.digest}", user, headers=accept)
        assert (status, data) == (200, made.top.data)

    @property
    def pid(self) -> str:
        """The number of its process, which is another after a restart."""
        return self.machine.run(["systemctl", "show", "--property=MainPID", "--value", self.service]).stdout.strip()

    def files(self) -> str:
        """Checksums, times, owners and modes of all files and links of it. A directory's time tells of what came and went."""
        script = 'cd "$1"; find . ! -type d -printf "%p %l %T@ %u %g %m\\n" | sort; find . -type f -exec sha256sum {} + | sort'
        return self.machine.run(["sh", "-euc", script, "sh", self.directory]).stdout
