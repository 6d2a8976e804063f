# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""image_copy over lines that break, stall and are shared: nothing is fetched twice, nothing wrong arrives, the limit holds."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import io
import json
import subprocess
import sys
import threading

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import NetworkError
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter
from ansible_collections.longshore.oci.plugins.module_utils.registry.session import Session
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import Settings
from ansible_collections.longshore.oci.plugins.module_utils.registry.upload_session import UploadSession
from ansible_collections.longshore.oci.plugins.module_utils.registry.upload_source import UploadSource
from ansible_collections.longshore.oci.tests.interop.accounts import PASSWORD, USER
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.registry import describe
from ansible_collections.longshore.oci.tests.servers.results import ok
from ansible_collections.longshore.oci.tests.servers.wire import CLOSE, DOWN, STALL, UP, Fault, Wire

PLAIN = {"src_plain_http": True, "dest_plain_http": True}
MB = 1_000_000
SIZE = 8 * MB
#: What may be on its way, in sockets' buffers, when a line breaks: that much is lost with it.
BUFFERED = 1 * MB


def pushed(registry, repository, size=SIZE, seed=1):
    """An image with one large layer: its digest, the layer's digest."""
    layer = images.noise_layer(size, seed=seed)
    content = images.image("linux/amd64", [layer])
    images.push(registry, repository, content, ["1"])
    return content.digest, images.sha256(layer.data)


FAULTS = {
    "once": [Fault(DOWN, 3 * MB)],
    "closed": [Fault(DOWN, 3 * MB, CLOSE)],
    "repeatedly": [Fault(DOWN, 2 * MB), Fault(DOWN, 2 * MB), Fault(DOWN, 2 * MB)],
    "on resume": [Fault(DOWN, 3 * MB), Fault(DOWN, 0), Fault(DOWN, 100), Fault(DOWN, 1 * MB)],
    "stalled": [Fault(DOWN, 3 * MB, STALL)],
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
def test_a_broken_download_goes_on_where_it_stopped(module, registry, second_registry, skopeo, repository, faults):
    digest, layer = pushed(registry, repository)
    dest = f"{second_registry.host}/{repository}:1"
    mark = registry.mark()
    with Wire(registry.port, faults) as wire:
        result = ok(module("image_copy", src=f"{wire.host}/{repository}:1", dest=dest, timeout=5, **PLAIN))
        assert wire.met == faults
        assert wire.bytes(DOWN) < SIZE + len(faults) * BUFFERED
    assert result["changed"] and skopeo.digest(f"docker://{dest}") == digest
    gets = [one for one in registry.requests_since(mark) if one.method == "GET" and layer in one.target]
    assert {one.status for one in gets[1:]} == {206}, describe(gets)
    assert not ok(module("image_copy", src=f"{registry.host}/{repository}:1", dest=dest, **PLAIN))["changed"]


def methods(requests, repository):
    """The methods of the requests that bring blobs up, in order."""
    return [one.method for one in requests if f"{repository}/blobs/uploads/" in one.target]


def test_a_broken_upload_goes_on_in_parts(module, registry, second_registry, skopeo, repository):
    """distribution 2.8 forgets an upload that breaks off within a request: another begins, whose parts are shorter than
    what got through."""
    size = 24 * MB
    digest, layer = pushed(registry, repository, size)
    mark, source_mark = second_registry.mark(), registry.mark()
    with Wire(second_registry.port, [Fault(UP, 13 * MB)]) as wire:
        dest = f"{wire.host}/{repository}:1"
        ok(module("image_copy", src=f"{registry.host}/{repository}:1", dest=dest, **PLAIN))
        assert len(wire.met) == 1
    requests = second_registry.requests_since(mark)
    assert skopeo.digest(f"docker://{second_registry.host}/{repository}:1") == digest
    assert "PATCH" in methods(requests, repository), describe(requests)
    assert [one.status for one in requests if one.method == "GET" and "/uploads/" in one.target] == [404]
    reads = [one for one in registry.requests_since(source_mark) if one.method == "GET" and layer in one.target]
    assert len(reads) == 2, describe(reads)


def test_a_line_that_ends_every_connection_after_a_while(module, registry, second_registry, skopeo, repository):
    """No request as long as the blob ever gets through; parts do, each over a connection of its own."""
    digest, unused = pushed(registry, repository, 40 * MB)
    with Wire(second_registry.port, every=Fault(UP, 12 * MB)) as wire:
        dest = f"{wire.host}/{repository}:1"
        ok(module("image_copy", src=f"{registry.host}/{repository}:1", dest=dest, **PLAIN))
        assert len(wire.met) == 1
        # One try that broke, and then every byte once.
        assert wire.bytes(UP) < (12 + 40) * MB + BUFFERED
    assert skopeo.digest(f"docker://{second_registry.host}/{repository}:1") == digest


@pytest.mark.parametrize("every", [Fault(UP, 100_000), Fault(UP, 3 * MB, CLOSE)])
def test_an_upload_that_never_gets_through_is_given_up(module, registry, second_registry, skopeo, repository, every):
    pushed(registry, repository)
    mark = second_registry.mark()
    with Wire(second_registry.port, every=every) as wire:
        result = module("image_copy", src=f"{registry.host}/{repository}:1", dest=f"{wire.host}/{repository}:1", **PLAIN)
    assert result["failed"] and "upload of blob" in result["msg"], result
    requests = second_registry.requests_since(mark)
    assert not [one for one in requests if "/manifests/" in one.target and one.writes]
    assert methods(requests, repository).count("POST") <= 2 * 3


def test_what_distribution_2_8_can_resume(second_registry, repository):
    """Measured, because the ladder rests on it: an upload that broke off between two parts goes on, within a part it is
    lost."""
    data = images.noise(9 * MB, seed=7)
    descriptor = Descriptor("application/octet-stream", Digest.of(data), len(data))
    with Wire(second_registry.port) as wire:
        session = Session(wire.host, Settings(plain_http=True), Meter())
        source = UploadSource(descriptor, lambda: io.BytesIO(data))

        def begun():
            answer = session.request("POST", f"/v2/{repository}/blobs/uploads/", body=b"", accept_status=(202,))
            upload = UploadSession(session, repository, "upload", answer)
            upload.append(source.part(0, 4 * MB))
            return upload

        upload = begun()
        assert upload.ask(4 * MB + 1) and upload.offset == 4 * MB
        upload.append(source.part(4 * MB, 5 * MB))
        assert upload.complete(descriptor.digest, b"").status == 201
        upload = begun()
        wire.faults.append(Fault(UP, 2 * MB))
        with pytest.raises(NetworkError):
            upload.append(source.part(4 * MB, 5 * MB))
        assert upload.offset == 4 * MB
        assert not upload.ask(source.reached)
    source.close()


class BodyLimit(http.server.BaseHTTPRequestHandler):
    """A reverse proxy that refuses longer bodies than ``server.limit`` with 413, as web servers do: at the headers."""

    protocol_version = "HTTP/1.1"

    def handle_one(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.server.seen.append((self.command, length))
        if length > self.server.limit:
            self.send_response(413)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            return
        body = self.rfile.read(length)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("date", "server", "connection"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

    def log_message(self, *unused):
        """Nobody reads it."""


@contextlib.contextmanager
def body_limit(upstream, limit):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), BodyLimit)
    server.upstream, server.limit, server.seen = upstream, limit, []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server, f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("limit", [5 * MB, 1024 * 1024])
def test_a_proxy_that_limits_bodies_gets_shorter_ones(module, registry, second_registry, skopeo, repository, limit):
    layers = [images.noise_layer(12 * MB, seed=1), images.noise_layer(7 * MB, seed=2)]
    content = images.image("linux/amd64", layers)
    images.push(registry, repository, content, ["1"])
    options = {"src": f"{registry.host}/{repository}:1", "parallel": 1, **PLAIN}
    with body_limit(second_registry.port, limit) as (proxy, host):
        ok(module("image_copy", dest=f"{host}/{repository}:1", **options))
        refused = [length for unused, length in proxy.seen if length > limit]
        # What the first blob has taught is known to the second.
        assert sorted(refused, reverse=True) == refused and len(refused) < 6
        assert {length for unused, length in proxy.seen if length <= limit} & {4 * 1024 * 1024, 1024 * 1024}
        mark = len(proxy.seen)
        assert not ok(module("image_copy", dest=f"{host}/{repository}:1", **options))["changed"]
        assert {method for method, unused in proxy.seen[mark:]} == {"HEAD"}
    assert skopeo.digest(f"docker://{second_registry.host}/{repository}:1") == content.digest


def test_a_limit_too_low_for_any_part_is_told(module, registry, second_registry, repository):
    pushed(registry, repository, 3 * MB)
    with body_limit(second_registry.port, 500_000) as (unused, host):
        result = module("image_copy", src=f"{registry.host}/{repository}:1", dest=f"{host}/{repository}:1", **PLAIN)
    assert result["failed"] and result["status_code"] == 413
    assert "limits the size of request bodies" in result["msg"] and "even parts of 1.0 MB" in result["msg"]


def windows(*wires):
    """Bytes that passed all wires, for each second since the first of them."""
    passed = sorted(event for wire in wires for event in wire.passed)
    counts = [0] * (int(passed[-1][0] - passed[0][0]) + 1)
    for moment, unused, count in passed:
        counts[int(moment - passed[0][0])] += count
    return counts, passed[-1][0] - passed[0][0]


def test_bandwidth_limit_holds_for_the_whole_task(module, registry, registry_tls, skopeo, repository):
    """In and out together, over all connections, TLS and its handshakes included, as a proxy on the line counts it."""
    limit = 4 * MB
    content = images.image("linux/amd64", [images.noise_layer(4 * MB, seed=number) for number in range(6)])
    images.push(registry, repository, content, ["1"])
    with Wire(registry.port) as down, Wire(registry_tls.port) as up:
        options = {"src": f"{down.host}/{repository}:1", "src_plain_http": True, "dest_ca_path": str(registry_tls.ca)}
        options |= {"dest_username": USER, "dest_password": PASSWORD}
        ok(module("image_copy", dest=f"{up.host}/{repository}:1", bandwidth_limit=limit, parallel=8, **options))
        counts, took = windows(down, up)
    assert took > 10 and sum(counts) > 48 * MB
    # Over ten seconds it is within five per cent; at the beginning the system lets in what fits its receive windows.
    assert sum(counts[:10]) < 1.05 * 10 * limit, counts
    assert max(counts) < 1.5 * limit, counts
    assert sum(counts) > 0.9 * limit * took, counts


def test_bandwidth_limit_counts_what_small_blobs_cost(module, registry, second_registry, repository):
    limit = 300_000
    content = images.image("linux/amd64", [images.noise_layer(1000, seed=number) for number in range(200)])
    images.push(registry, repository, content, ["1"])
    with Wire(registry.port) as down, Wire(second_registry.port) as up:
        options = {"src": f"{down.host}/{repository}:1", "dest": f"{up.host}/{repository}:1"}
        ok(module("image_copy", bandwidth_limit=limit, parallel=8, **options, **PLAIN))
        counts, took = windows(down, up)
    # Most of it is headers.
    assert sum(counts) > 2 * 2 * 200 * 1000
    assert sum(counts) < 1.05 * limit * took + 0.25 * limit, (counts, took)


# A process begins with the size of the one it comes from, which should be a small one then.
LAUNCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=False)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak(module, **options):
    """Run image_copy; its result, and the most memory it had, in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *module.command("image_copy")],
        input=module.arguments(**options),
        env=module.whole_environment(),
        cwd=module.home,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result, memory = done.stdout.strip().splitlines()
    return json.loads(result), int(memory) * 1024


def test_memory_does_not_grow_with_a_blob_that_breaks_off(module, registry, second_registry, repository):
    used = []
    for size in (16 * MB, 128 * MB):
        content = images.image("linux/amd64", [images.layer({"data": bytes(size)}, compressed=False)])
        images.push(registry, f"{repository}/{size}", content, ["1"])
        faults = [Fault(DOWN, size // 3)], [Fault(UP, size * 2 // 3)]
        with Wire(registry.port, faults[0]) as down, Wire(second_registry.port, faults[1]) as up:
            name = f"{repository}/{size}:1"
            result, memory = peak(module, src=f"{down.host}/{name}", dest=f"{up.host}/{name}", **PLAIN)
            assert ok(result)["changed"] and down.met and up.met
        used.append(memory)
    assert used[1] < 80 * MB and used[1] - used[0] < 8 * MB, used
