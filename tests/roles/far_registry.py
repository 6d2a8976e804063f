# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry on a machine, as a client of it sees it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import ssl
from collections.abc import Mapping

from ansible_collections.longshore.oci.tests.servers.process import wait_until

ACCEPT = {
    "Accept": ", ".join(
        f"application/vnd.{kind}"
        for kind in (
            "oci.image.index.v1+json",
            "oci.image.manifest.v1+json",
            "docker.distribution.manifest.list.v2+json",
            "docker.distribution.manifest.v2+json",
        )
    )
}


class FarRegistry:
    """Requests to ``address``, which is trusted by ``ca`` (PEM; plain HTTP without), for one user or for nobody."""

    def __init__(self, address: str, port: int = 5000, *, ca: str = "", user: str = "", password: str = "") -> None:
        self.address, self.port = address, port
        self.url = f"{'https' if ca else 'http'}://{address}:{port}"
        self._context = ssl.create_default_context(cadata=ca) if ca else None
        if self._context is not None:
            # The address of a machine is not known before it runs.
            self._context.check_hostname = False
        self._login = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}" if user else ""

    def request(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One exchange: the status, the header fields in lower case, the body."""
        connection: http.client.HTTPConnection
        if self._context is not None:
            connection = http.client.HTTPSConnection(self.address, self.port, timeout=60, context=self._context)
        else:
            connection = http.client.HTTPConnection(self.address, self.port, timeout=60)
        try:
            login = {"Authorization": self._login} if self._login else {}
            connection.request(method, target, body=body, headers={**login, **(headers or {})})
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    def status(self, method: str = "GET", target: str = "/v2/") -> int:
        """The status of an answer; 0 if there is none."""
        try:
            return self.request(method, target)[0]
        except (OSError, http.client.HTTPException):
            return 0

    def wait(self, status: int = 200) -> None:
        """Wait until it answers so."""
        wait_until(lambda: self.status() == status, self.url, 120)

    def tags(self) -> dict[str, list[str]]:
        """Every repository and its tags."""
        names = json.loads(self.request("GET", "/v2/_catalog?n=1000")[2])["repositories"]
        lists = {name: json.loads(self.request("GET", f"/v2/{name}/tags/list")[2]) for name in names}
        return {name: sorted(row.get("tags") or []) for name, row in lists.items()}

    def pull(self, repository: str, reference: str) -> None:
        """Fetch everything below a reference, and compare every byte with its digest. Raises AssertionError."""
        status, fields, data = self.request("GET", f"/v2/{repository}/manifests/{reference}", headers=ACCEPT)
        assert status == 200, f"{repository}:{reference} {status} {data[:200]!r}"
        assert fields["docker-content-digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
        document = json.loads(data)
        for child in document.get("manifests", []):
            self.pull(repository, child["digest"])
        for one in [document["config"], *document["layers"]] if "config" in document else []:
            status, fields, blob = self.request("GET", f"/v2/{repository}/blobs/{one['digest']}")
            assert (status, len(blob)) == (200, one["size"]), f"{repository}:{reference} {one['digest']} {status}"
            assert f"sha256:{hashlib.sha256(blob).hexdigest()}" == one["digest"]

    def pull_everything(self) -> int:
        """`pull` every tag; returns how many there are."""
        found = [(name, tag) for name, row in self.tags().items() for tag in row]
        for name, tag in found:
            self.pull(name, tag)
        return len(found)
