# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The floor of a cold copy: the requests it cannot do without, at the destination alone, with every byte already in
memory.

For each distinct blob a POST and a PUT, for every further image that holds it one POST that mounts it, for each image
the PUT of its manifest; 32 threads over one urllib3 pool, nothing hashed, nothing asked. No copy that keeps to the
protocol can be quicker than this by more than its luck. ``floor.py PLAN RESULT``: the clock starts when the plan and
the bytes are in memory.

With a source in the plan nothing is in memory: each manifest and each distinct blob is read from there first, which a
copy cannot do without either, and which costs a registry on the same cores as much as it costs anybody.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import urllib3


class Sender:
    """``plan``: the destination's address, the images, and for each digest the file that holds its bytes; or ``source``,
    the address of the registry that has them.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self.workers: int = plan["workers"]
        self.images: list[dict[str, Any]] = plan["images"]
        self.pool = self.connections(plan["address"])
        self.source = self.connections(plan["source"]) if plan["source"] else None
        files = {} if self.source else plan["files"]
        self.bodies = {digest: Path(path).read_bytes() for digest, path in files.items()}
        self.sizes = {digest: Path(path).stat().st_size for digest, path in plan["files"].items()}

    def connections(self, address: str) -> urllib3.HTTPConnectionPool:
        host, port = address.rsplit(":", 1)
        return urllib3.HTTPConnectionPool(host, int(port), maxsize=self.workers, block=True, retries=False)

    def read(self, url: str, kind: str = "*/*") -> bytes:
        assert self.source is not None
        response = self.source.urlopen("GET", url, headers={"Accept": kind}, redirect=False, retries=False)
        if response.status != 200:
            raise SystemExit(f"GET {url}: {response.status} {response.data[:300]!r}")
        return response.data

    def send(
        self, method: str, url: str, expect: int, body: bytes = b"", kind: str = "application/octet-stream"
    ) -> str:
        headers = {"Content-Type": kind} if body else {}
        response = self.pool.urlopen(method, url, body=body or None, headers=headers, redirect=False, retries=False)
        if response.status != expect:
            raise SystemExit(f"{method} {url}: {response.status} {response.data[:300]!r}")
        return str(response.headers.get("Location", ""))

    def upload(self, repository: str, digest: str) -> None:
        body = self.read(f"/v2/{repository}/blobs/{digest}") if self.source else self.bodies[digest]
        where = self.send("POST", f"/v2/{repository}/blobs/uploads/", 202)
        joint = "&" if "?" in where else "?"
        self.send("PUT", f"{where}{joint}digest={digest}", 201, body)

    def mount(self, repository: str, digest: str, origin: str, uploaded: Future[None]) -> None:
        uploaded.result()
        self.send("POST", f"/v2/{repository}/blobs/uploads/?mount={digest}&from={origin}", 201)

    def manifest(self, image: dict[str, Any], parts: list[Future[None]]) -> None:
        for part in parts:
            part.result()
        url, kind = f"/v2/{image['repository']}/manifests/{image['tag']}", json.loads(image["manifest"])["mediaType"]
        self.send("PUT", url, 201, self.read(url, kind) if self.source else image["manifest"].encode(), kind)

    def run(self) -> None:
        """Uploads first, the largest of them first, then mounts, then manifests: what a task waits for was begun
        before it.
        """
        first: dict[str, str] = {}
        mounts = []
        for image in self.images:
            for blob in image["blobs"]:
                if blob["digest"] in first:
                    mounts.append((image["repository"], blob["digest"]))
                else:
                    first[blob["digest"]] = image["repository"]
        with ThreadPoolExecutor(self.workers) as executor:
            held: dict[tuple[str, str], Future[None]] = {}
            for digest in sorted(first, key=lambda each: -self.sizes[each]):
                held[first[digest], digest] = executor.submit(self.upload, first[digest], digest)
            for repository, digest in mounts:
                origin = first[digest]
                held[repository, digest] = executor.submit(self.mount, repository, digest, origin, held[origin, digest])
            last = [
                executor.submit(
                    self.manifest, image, [held[image["repository"], blob["digest"]] for blob in image["blobs"]]
                )
                for image in self.images
            ]
            for each in last:
                each.result()


def main() -> None:
    sender = Sender(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.monotonic()
    sender.run()
    seconds = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    Path(sys.argv[2]).write_text(json.dumps({"seconds": seconds, "cpu_seconds": cpu}), encoding="utf-8")


if __name__ == "__main__":
    main()
