# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows 40 to 44 of the fault matrix: clocks, names, addresses, idle connections, proxies."""

from __future__ import annotations

import socket
import time

import pytest

from ansible_collections.longshore.oci.tests.faults.places import PASSWORD, USER
from ansible_collections.longshore.oci.tests.faults.server import FaultRegistry, Kind
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.process import free_port
from ansible_collections.longshore.oci.tests.servers.wire import DOWN, UP, Fault, Wire
from ansible_collections.longshore.oci.tests.unit.registry.authority import Authority

IMAGE = images.image("linux/amd64", [images.noise_layer(20_000, seed=1)])
LARGE = images.image("linux/amd64", [images.noise_layer(1_000_000, seed=5)])
OTHER = images.image("linux/amd64", [images.noise_layer(1000, seed=3)])
LOGIN = {"src_username": USER, "src_password": PASSWORD}
LOOKUP = socket.getaddrinfo


@pytest.mark.parametrize("scenario", ["tokenskewed", "tokenearly"])
def test_f4_2_40_a_token_servers_clock_does_not_matter(copies, scenario):
    """skopeo and regclient believe issued_at, and take every token of a server that is late for expired."""
    outcome = copies.pull(scenario, IMAGE, **LOGIN)
    outcome.succeeded()
    if copies.place.played:
        assert len(outcome.log.kind(Kind.TOKEN)) == 1


@pytest.mark.parametrize(
    "validity, sentence",
    [({"start": 1, "end": 3}, "is not valid yet; check the clock"), ({"start": -3, "end": -1}, "has expired; renew it")],
)
def test_f4_2_40_a_certificate_out_of_its_time_is_told_with_ours(module, tmp_path, validity, sentence):
    authority = Authority(tmp_path)
    with FaultRegistry(tls=True, context=authority.server(**validity)) as faulty:
        name = f"{faulty.host}/{faulty.put('none', IMAGE)}:1"
        hours = [time.strftime("%Y-%m-%d %H:", time.gmtime(time.time() + later)) for later in (0, 60)]
        result = module("image_inspect", name=[name], ca_path=str(authority.path))
        assert result["failed"] and sentence in result["msg"], result["msg"]
        # The time by which that was judged, as far as a test can know it.
        assert any(hour in result["msg"] for hour in hours) and "UTC" in result["msg"], result["msg"]
        assert result["attempts"] == 1 and not len(faulty.log)


def lookups(monkeypatch, host, *answers):
    """Look-ups of ``host`` are answered in turn: an errno, or what the last one would be."""
    left = list(answers)

    def lookup(name, *arguments, **options):
        if name != host:
            return LOOKUP(name, *arguments, **options)
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, int):
            raise socket.gaierror(answer, "no")
        return answer

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return left


def found(*places):
    """What a look-up gives: (family, address, port) of each place."""
    return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address, port in places]


def test_f4_2_41_an_unknown_host_is_told_at_once(module, monkeypatch):
    lookups(monkeypatch, "registry.example", socket.EAI_NONAME)
    result = module("image_inspect", name=["registry.example/app:1"])
    assert result["failed"] and "registry registry.example: no such host; check the spelling" in result["msg"], result
    assert result["attempts"] == 1


def test_f4_2_41_a_name_server_that_is_down_is_asked_again(faults, monkeypatch):
    server = faults.place.server
    here = found((socket.AF_INET, "127.0.0.1", server.port()))
    left = lookups(monkeypatch, "registry.example", socket.EAI_AGAIN, socket.EAI_AGAIN, here)
    repository = server.put("none", IMAGE)
    monkeypatch.setattr(faults.place, "host", f"registry.example:{server.port()}")
    outcome = faults.pull("none", IMAGE)
    outcome.succeeded()
    assert left == [here] and repository


def test_f4_2_41_a_name_server_that_stays_down_is_told(module, monkeypatch):
    lookups(monkeypatch, "registry.example", socket.EAI_AGAIN)
    result = module("image_inspect", name=["registry.example/app:1"], retries=2)
    assert result["failed"] and "the name server gave no answer" in result["msg"] and result["attempts"] == 3


def test_f4_2_42_a_refused_connection_is_tried_again_and_told(module):
    result = module("image_inspect", name=[f"127.0.0.1:{free_port()}/app:1"], plain_http=True)
    assert result["failed"] and "refused the connection; check the port" in result["msg"], result
    assert result["attempts"] == 6


def test_f4_2_42_a_registry_that_comes_up_meanwhile_is_found(module, monkeypatch, faulty):
    repository = faulty.put("none", IMAGE)
    nobody = found((socket.AF_INET, "127.0.0.1", free_port()))
    here = found((socket.AF_INET, "127.0.0.1", faulty.port()))
    lookups(monkeypatch, "registry.example", nobody, nobody, here)
    result = module("image_inspect", name=[f"registry.example:{faulty.port()}/{repository}:1"], plain_http=True)
    assert not result.get("failed"), result
    assert result["images"][0]["digest"] == IMAGE.digest


def test_f4_2_42_every_address_of_a_registry_is_tried(module, monkeypatch, faulty):
    """The first one cannot be reached, the second refuses, the third answers."""
    repository = faulty.put("none", IMAGE)
    places = found(
        (socket.AF_INET6, "2001:db8::1", 1),
        (socket.AF_INET, "127.0.0.1", free_port()),
        (socket.AF_INET, "127.0.0.1", faulty.port()),
    )
    lookups(monkeypatch, "registry.example", places)
    began = time.monotonic()
    result = module("image_inspect", name=[f"registry.example:{faulty.port()}/{repository}:1"], plain_http=True, timeout=2)
    assert not result.get("failed"), result
    assert time.monotonic() - began < 20


def test_f4_2_43_connections_closed_when_idle_are_replaced(copies):
    """Both ways: every answer is the last one of its connection, and no header has said so."""
    copies.pull("hungup", IMAGE).succeeded()
    copies.push("hungup", IMAGE).succeeded()


def test_f4_2_43_a_line_that_breaks_below_http_is_got_over(module, real):
    """The real registry, behind a line that is reset within a header, within a body, and in the middle of an upload."""
    source, dest = real.repository("line"), real.repository("line")
    real.put(source, LARGE, ["1"])
    faults = [Fault(DOWN, 60), Fault(DOWN, 300_000), Fault(DOWN, 0)]
    ups = [Fault(UP, 30), Fault(UP, 400_000)]
    with Wire(real.server.port, faults) as down, Wire(real.server.port, ups) as up:
        options = {"src": f"{down.host}/{source}:1", "dest": f"{up.host}/{dest}:1"}
        result = module("image_copy", src_plain_http=True, dest_plain_http=True, **options)
        assert down.met == faults and up.met == ups
    assert not result.get("failed"), result
    assert real.tags(dest) == {"1": LARGE.digest}


@pytest.fixture
def proxy(monkeypatch, faulty):
    """A proxy that the environment names; the registry behind it has a name that nobody else knows."""
    monkeypatch.setenv("http_proxy", f"http://someone:proxy-password@{faulty.host}")
    return faulty


def test_f4_2_44_the_environments_proxy_is_used(module, proxy):
    repository = proxy.put("realmrelative", IMAGE)
    name = f"registry.invalid:5000/{repository}:1"
    result = module("image_inspect", name=[name], plain_http=True, username=USER, password=PASSWORD)
    assert not result.get("failed"), result
    asked = proxy.log.of(repository)
    assert len(asked.kind(Kind.TOKEN)) == 1
    assert all(one.proxied and "proxy-authorization" in one.headers for one in asked)


def test_f4_2_44_no_proxy_is_heeded(module, proxy, monkeypatch):
    repository = proxy.put("none", IMAGE)
    for exception in ("127.0.0.1", "127.0.0.0/8", f"127.0.0.1:{proxy.port()}", "*"):
        monkeypatch.setenv("no_proxy", exception)
        mark = len(proxy.log)
        result = module("image_inspect", name=[f"{proxy.host}/{repository}:1"], plain_http=True)
        assert not result.get("failed"), result
        assert not any(one.proxied or "proxy-authorization" in one.headers for one in proxy.log.since(mark))


def test_f4_2_44_an_option_goes_before_the_environment(module, faulty, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    repository = faulty.put("none", IMAGE)
    name = f"registry.invalid:5000/{repository}:1"
    result = module("image_inspect", name=[name], plain_http=True, proxy=f"http://{faulty.host}")
    assert not result.get("failed"), result
    assert all(one.proxied for one in faulty.log.of(repository))


def test_f4_2_44_a_proxy_that_does_not_answer_is_told_as_the_proxy(module, monkeypatch):
    port = free_port()
    monkeypatch.setenv("http_proxy", f"http://someone:proxy-password@127.0.0.1:{port}")
    result = module("image_inspect", name=["registry.invalid/app:1"], plain_http=True, retries=0)
    assert result["failed"] and f"the proxy http://127.0.0.1:{port} cannot be reached" in result["msg"], result
    assert "proxy-password" not in str(result)


def test_f4_2_44_a_proxy_that_wants_a_password_is_told_as_the_proxy(module, proxy):
    repository = proxy.put("proxydenied", IMAGE)
    result = module("image_inspect", name=[f"registry.invalid:5000/{repository}:1"], plain_http=True)
    assert result["failed"] and "the proxy wants a user and a password" in result["msg"], result
    assert result["status_code"] == 407 and result["attempts"] == 1


def test_f4_2_44_socks_without_its_library_is_told(module):
    result = module("image_inspect", name=["registry.invalid/app:1"], proxy="socks5://127.0.0.1:1080")
    assert result["failed"] and "needs the Python library PySocks" in result["msg"], result
