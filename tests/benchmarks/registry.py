# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A docker-registry process of the benchmark's own, and what its access log says it was asked.

Plain HTTP on loopback, filesystem storage, the blob descriptor cache that Debian's and the official image's
configuration switch on.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

CONFIG = """\
version: 0.1
log:
  level: error
storage:
  filesystem:
    rootdirectory: {storage}
  delete:
    enabled: true
  cache:
    blobdescriptor: inmemory
http:
  addr: 127.0.0.1:{port}
  secret: benchmark
"""
LINE = re.compile(r'"(?P<method>[A-Z]+) (?P<path>\S+) HTTP/[0-9.]+" (?P<status>\d{3}) (?P<size>\d+)')
# Where there is setpriv (Debian has it), a registry does not outlive a benchmark that was killed.
LEASH = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
WRITES = frozenset(("POST", "PUT", "PATCH", "DELETE"))


class RegistryError(Exception):
    """A registry or a proxy did not start, or did not answer as it must."""


@dataclass(frozen=True)
class Traffic:
    """What one side asked of one registry: the number of requests, of those that write, and the body bytes it was
    sent in answer.
    """

    requests: int
    writes: int
    bytes_out: int
    methods: dict[str, int]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _link_blob(source: str, target: str) -> None:
    if source.endswith("/data"):
        os.link(source, target)
    else:
        shutil.copyfile(source, target)


class Registry:
    """``directory`` holds the storage, the configuration and the logs; ``start`` and ``stop`` may alternate."""

    def __init__(self, binary: str, directory: Path) -> None:
        self.binary = binary
        self.directory = directory
        self.storage = directory / "storage"
        self.log = directory / "access.log"
        self.address = ""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start on a port not used before: clients that remember registries (skopeo's blob cache does) then meet a
        new one.
        """
        self.storage.mkdir(parents=True, exist_ok=True)
        for dummy in range(5):
            port = free_port()
            config = self.directory / "config.yml"
            config.write_text(CONFIG.format(storage=self.storage, port=port), encoding="utf-8")
            with open(self.log, "wb") as out, open(self.directory / "error.log", "wb") as err:
                self.process = subprocess.Popen(
                    [*LEASH, self.binary, "serve", str(config)],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                    env={"PATH": os.environ.get("PATH", ""), "OTEL_TRACES_EXPORTER": "none"},
                )
            self.address = f"127.0.0.1:{port}"
            if self._answers():
                return
            self.stop()
        raise RegistryError(
            f"docker-registry did not start: {(self.directory / 'error.log').read_text(errors='replace')[-2000:]}"
        )

    def _answers(self) -> bool:
        assert self.process is not None
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            connection = http.client.HTTPConnection(self.address, timeout=5)
            try:
                connection.request("GET", "/v2/")
                if connection.getresponse().status == 200:
                    return True
            except OSError:
                time.sleep(0.02)
            finally:
                connection.close()
        return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def renew(self, like: Registry | None = None) -> None:
        """Begin again with nothing in it, or with everything ``like`` holds (blobs as hard links: nothing ever
        changes one).
        """
        self.stop()
        shutil.rmtree(self.storage, ignore_errors=True)
        if like is not None:
            shutil.copytree(like.storage, self.storage, copy_function=_link_blob)
        os.sync()
        self.start()

    def blob_path(self, digest: str) -> Path:
        algorithm, encoded = digest.split(":")
        return self.storage / "docker/registry/v2/blobs" / algorithm / encoded[:2] / encoded / "data"

    def stored_bytes(self) -> int:
        """The size of all blobs and manifests, each counted once."""
        blobs = self.storage / "docker/registry/v2/blobs"
        return sum(path.stat().st_size for path in blobs.glob("*/*/*/data"))

    def warm(self) -> None:
        """Read every blob once, so that all sides find them in the page cache."""
        for path in (self.storage / "docker/registry/v2/blobs").glob("*/*/*/data"):
            with open(path, "rb", buffering=0) as handle:
                while handle.read(1 << 20):
                    pass

    def mark(self) -> int:
        """Where the access log ends now; to be given to ``traffic``."""
        return self.log.stat().st_size

    def traffic(self, mark: int) -> Traffic:
        """What was asked since ``mark``. A request is logged when its answer is sent, so this waits until the log is
        still.
        """
        size = -1
        while size != self.mark():
            size = self.mark()
            time.sleep(0.05)
        with open(self.log, "rb") as handle:
            handle.seek(mark)
            lines = handle.read().decode("utf-8", "replace").splitlines()
        found = [match for match in map(LINE.search, lines) if match]
        methods: dict[str, int] = {}
        for match in found:
            methods[match["method"]] = methods.get(match["method"], 0) + 1
        return Traffic(
            requests=len(found),
            writes=sum(count for method, count in methods.items() if method in WRITES),
            # The log gives a HEAD the size its answer would have had.
            bytes_out=sum(int(match["size"]) for match in found if match["method"] != "HEAD"),
            methods=methods,
        )


class Sink:
    """A running ``sink.py`` that keeps its one object in the file ``target``."""

    def __init__(self, target: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("sink.py")), str(target)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RegistryError("the object storage did not start")
        self.address = f"127.0.0.1:{int(line)}"

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


class Delay:
    """A running ``proxy.py`` in front of ``upstream``; ``round_trip`` in milliseconds."""

    def __init__(self, upstream: str, round_trip: float) -> None:
        host, port = upstream.rsplit(":", 1)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("proxy.py")), host, port, str(round_trip)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RegistryError("the delay proxy did not start")
        self.address = f"127.0.0.1:{int(line)}"

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()
