# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a registry may send us (section 3.2; S4, S5, S6, S9)."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput, NetworkError, RefusedTarget
from ansible_collections.longshore.oci.plugins.module_utils.registry.destination import (
    Origin,
    check_address,
    check_target,
    may_send_credentials,
    same_origin,
    upgraded,
)
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import Settings

NAMES = {
    "public.example": ["93.184.216.34", "2606:2800:220:1::1"],
    "cdn.example": ["93.184.216.99"],
    "harbor.corp": ["10.0.0.5"],
    "minio.corp": ["10.0.0.6"],
    "split.corp": ["93.184.216.34", "10.0.0.9"],
    "loop.example": ["127.0.0.1"],
    "meta.example": ["169.254.169.254"],
    "half.example": ["93.184.216.34", "169.254.169.254"],
    "mapped.example": ["::ffff:10.0.0.7"],
    "link.example": ["fe80::1%eth0"],
}


def resolve(host: str, port: int, **more: Any) -> list[tuple[Any, ...]]:
    if host not in NAMES:
        raise socket.gaierror(socket.EAI_NONAME, "unknown name")
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in NAMES[host]]


def check(registry: str, url: str, **more: Any) -> Origin:
    return check_target(Origin.of(registry), url, **{"kind": "redirect", "resolve": resolve, **more})


@pytest.mark.parametrize(
    ("url", "expected", "written"),
    [
        ("https://Example.COM/x?y", ("https", "example.com", 443), "https://example.com"),
        ("HTTP://example.com:80", ("http", "example.com", 80), "http://example.com"),
        ("http://example.com:443/", ("http", "example.com", 443), "http://example.com:443"),
        ("https://[2001:DB8:0::1]:5000/", ("https", "2001:db8::1", 5000), "https://[2001:db8::1]:5000"),
        ("https://example.com./", ("https", "example.com", 443), "https://example.com"),
        ("http://my_registry:5000", ("http", "my_registry", 5000), "http://my_registry:5000"),
        ("http://127.0.0.1:5000", ("http", "127.0.0.1", 5000), "http://127.0.0.1:5000"),
    ],
)
def test_origin(url: str, expected: tuple[str, str, int], written: str) -> None:
    assert Origin.of(url) == expected
    assert Origin.of(url).url == written


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.com/",
        "/token",
        "//example.com/",
        "",
        "https://",
        "https:///x",
        "https://u:p@h/",
        "https://u@h/",
        "https://h:0/",
        "https://h:65536/",
        "https://h:x/",
        "https://h:-1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.256/",
        "https://1.2.3.4.5/",
        "https://127\u30020\u30020\u30021/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://b\u00fccher.example/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://[1.2.3.4]/",
        "https://[v1.x]/",
        "https://a..b/",
        "https://-a.example/",
        "https://a b/",
        "https://a%2eb/",
        "https://good.example\\@evil.example/",
        "https://a\r\nHost: b/",
        "https://h/" + "a" * 8192,
    ],
)
def test_3_2_1_what_is_no_plain_url_is_refused(url: str) -> None:
    with pytest.raises(RefusedTarget):
        Origin.of(url)
    with pytest.raises(RefusedTarget, match="a realm that is not allowed"):
        check("http://public.example", url, kind="realm", allow=("h", "evil.example", "127.0.0.1"))


def test_3_2_1_https_never_becomes_http() -> None:
    for target in ("http://public.example/", "http://cdn.example/", "http://public.example:443/"):
        with pytest.raises(RefusedTarget, match="plain HTTP"):
            check("https://public.example", target, allow=("public.example", "cdn.example"))
    assert check("http://public.example", "http://cdn.example/") == ("http", "cdn.example", 80)
    assert check("http://public.example", "https://cdn.example/") == ("https", "cdn.example", 443)


@pytest.mark.parametrize(
    ("registry", "url"),
    [
        ("https://gitlab.example:5050", "https://gitlab.example/jwt/auth"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001/x"),
        ("https://[fd00::1]:5000", "https://[fd00:0::1]/x"),
        ("https://PUBLIC.example", "https://public.example./x"),
        ("http://169.254.1.1:5000", "http://169.254.1.1:5001/"),
    ],
)
def test_3_2_2_the_same_host_is_allowed_on_any_port_and_not_looked_up(registry: str, url: str) -> None:
    def never(*unused: Any, **unused_too: Any) -> list[tuple[Any, ...]]:
        raise AssertionError("looked up")

    assert check(registry, url, resolve=never) == Origin.of(url)


@pytest.mark.parametrize(
    ("registry", "url"),
    [
        ("https://public.example", "https://cdn.example/x"),
        ("https://harbor.corp", "https://minio.corp/x"),
        ("https://harbor.corp", "https://cdn.example/x"),
        ("https://harbor.corp", "https://192.168.1.1/x"),
        ("https://harbor.corp", "https://mapped.example/x"),
        ("https://split.corp", "https://minio.corp/x"),
        ("https://10.0.0.1:5000", "https://10.0.0.2/x"),
        ("https://[fd00::1]", "https://[fd00::2]/x"),
        ("http://127.0.0.1:5000", "http://127.0.0.2:6000/x"),
        ("http://localhost:5000", "http://127.0.0.1:6000/x"),
        ("http://localhost:5000", "http://[::1]:6000/x"),
        ("http://loop.example:5000", "http://localhost/x"),
        ("http://127.0.0.1:5000", "http://minio.corp/x"),
    ],
)
def test_3_2_3_allowed_relative_to_the_registry(registry: str, url: str) -> None:
    assert check(registry, url) == Origin.of(url)


@pytest.mark.parametrize(
    ("registry", "url", "why"),
    [
        ("https://public.example", "https://minio.corp/", "private"),
        ("https://public.example", "https://192.168.1.1/", "private"),
        ("https://public.example", "https://100.64.0.1/", "private"),
        ("https://public.example", "https://[fd00::2]/", "private"),
        ("https://public.example", "https://mapped.example/", "private"),
        ("https://public.example", "https://split.corp/", "private"),
        ("https://public.example", "https://[64:ff9b::a00:1]/", "private"),
        ("https://public.example", "https://[2002:a00:1::1]/", "private"),
        ("https://unknown.example", "https://minio.corp/", "private"),
        ("https://public.example", "https://127.0.0.1:9999/", "this machine"),
        ("https://public.example", "https://localhost/", "this machine"),
        ("https://public.example", "https://x.localhost/", "this machine"),
        ("https://public.example", "https://loop.example/", "this machine"),
        ("https://public.example", "https://[::1]/", "this machine"),
        ("https://public.example", "https://[::ffff:127.0.0.1]/", "this machine"),
        ("https://public.example", "https://[::7f00:1]/", "this machine"),
        ("https://harbor.corp", "https://localhost/", "this machine"),
        ("https://public.example", "https://169.254.169.254/", "metadata"),
        ("https://harbor.corp", "https://169.254.169.254/", "metadata"),
        ("http://127.0.0.1:5000", "http://169.254.169.254/latest/", "metadata"),
        ("https://harbor.corp", "https://meta.example/", "metadata"),
        ("https://harbor.corp", "https://half.example/", "metadata"),
        ("https://harbor.corp", "https://link.example/", "link-local"),
        ("https://harbor.corp", "https://[fe80::1]/", "link-local"),
        ("https://harbor.corp", "https://[fd00:ec2::254]/", "metadata"),
        ("https://harbor.corp", "https://168.63.129.16/", "metadata"),
        ("https://harbor.corp", "https://100.100.100.200/", "metadata"),
        ("http://127.0.0.1:5000", "http://0.0.0.0:9999/", "reserved"),
        ("http://127.0.0.1:5000", "http://[::]/", "reserved"),
        ("https://harbor.corp", "https://224.0.0.1/", "multicast"),
        ("https://harbor.corp", "https://255.255.255.255/", "reserved"),
        ("https://harbor.corp", "https://[::ffff:169.254.169.254]/", "metadata"),
    ],
)
def test_3_2_3_refused_relative_to_the_registry(registry: str, url: str, why: str) -> None:
    with pytest.raises(RefusedTarget, match=why):
        check(registry, url)


def test_3_2_3_the_allow_list_lets_a_private_host_through_but_no_plain_http() -> None:
    for entry in ("minio.corp", "MINIO.corp", "minio.corp:443"):
        assert check("https://public.example", "https://minio.corp/", allow=(entry,)).host == "minio.corp"
    for entry in ("minio.corp:444", "corp", "xminio.corp"):
        with pytest.raises(RefusedTarget):
            check("https://public.example", "https://minio.corp/", allow=(entry,))
    assert check("https://public.example", "https://[fd00::2]:1/", allow=("[fd00::2]:1",)).port == 1
    with pytest.raises(RefusedTarget):
        check("https://public.example", "http://minio.corp/", allow=("minio.corp",))


def test_3_2_3_behind_a_proxy_only_written_addresses_are_checked() -> None:
    def never(*unused: Any, **unused_too: Any) -> list[tuple[Any, ...]]:
        raise AssertionError("looked up")

    assert check("https://public.example", "https://meta.example/", proxied=True, resolve=never).host == "meta.example"
    for url in ("https://169.254.169.254/", "https://10.0.0.1/", "https://localhost/"):
        with pytest.raises(RefusedTarget):
            check("https://public.example", url, proxied=True, resolve=never)
    assert check("https://10.0.0.1", "https://10.0.0.2/", proxied=True, resolve=never).host == "10.0.0.2"


def test_a_target_without_address_is_a_network_error_that_says_whether_to_ask_again() -> None:
    with pytest.raises(NetworkError, match=r"no address found for nowhere\.example") as caught:
        check("https://public.example", "https://nowhere.example/")
    assert caught.value.transient is False

    def busy(*unused: Any, **unused_too: Any) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    with pytest.raises(NetworkError) as caught:
        check("https://public.example", "https://cdn.example/", resolve=busy)
    assert caught.value.transient is True


def test_3_2_3_the_address_of_the_connection_is_checked_again() -> None:
    registry, target = Origin.of("https://public.example"), Origin.of("https://cdn.example")
    check_address(registry, target, "93.184.216.99", resolve=resolve)
    for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "fe80::1%eth0", "::ffff:10.0.0.1"):
        with pytest.raises(RefusedTarget):
            check_address(registry, target, address, resolve=resolve)
    check_address(registry, target, "10.0.0.1", allow=("cdn.example",), resolve=resolve)
    check_address(registry, registry, "10.0.0.1", resolve=resolve)


def test_s9_a_link_stays_at_the_registry() -> None:
    assert check("https://public.example", "https://public.example/v2/x", kind="link").host == "public.example"
    for url in ("https://cdn.example/v2/x", "https://public.example:444/v2/x"):
        with pytest.raises(RefusedTarget, match="link"):
            check("https://public.example", url, kind="link")


def test_s6_same_origin_is_scheme_host_and_port() -> None:
    assert same_origin("https://A.example/x", "https://a.example:443/y")
    assert same_origin(Origin.of("https://a.example"), "https://a.example")
    for other in ("http://a.example:443/", "https://a.example:444/", "https://b.example/", "https://a.example.evil/"):
        assert not same_origin("https://a.example/", other)


@pytest.mark.parametrize(
    ("registry", "url", "expected"),
    [
        ("https://h.corp", "http://h.corp/v2/x?_state=a%2Fb", "https://h.corp/v2/x?_state=a%2Fb"),
        ("https://h.corp:8443", "http://h.corp:8443/v2/", "https://h.corp:8443/v2/"),
        ("https://h.corp:8443", "http://H.corp/v2/", "https://h.corp:8443/v2/"),
        ("https://h.corp", "HTTP://h.corp:80?x", "https://h.corp?x"),
        ("https://h.corp", "http://h.corp:8080/", "http://h.corp:8080/"),
        ("https://h.corp", "http://other.corp/", "http://other.corp/"),
        ("http://h.corp", "http://h.corp/", "http://h.corp/"),
        ("https://h.corp", "https://h.corp/x", "https://h.corp/x"),
    ],
)
def test_harbor_behind_a_tls_proxy_is_upgraded(registry: str, url: str, expected: str) -> None:
    assert upgraded(Origin.of(registry), url) == expected


def may(registry: str, realm: str, first: str | None = None, **options: Any) -> bool:
    seen = Origin.of(first) if first else None
    return may_send_credentials(Origin.of(registry), Origin.of(realm), Settings(**options), seen)


@pytest.mark.parametrize("policy", ["tls", "strict", "any"])
def test_3_2_4_own_host_table_and_list_may_see_credentials_under_each_policy(policy: str) -> None:
    assert may("https://gitlab.corp:5050", "https://gitlab.corp/jwt", realm_policy=policy)
    assert may("http://h.corp:5000", "http://h.corp:5001", realm_policy=policy)
    assert may("https://registry-1.docker.io", "https://auth.docker.io", realm_policy=policy)
    assert may("https://registry.gitlab.com", "https://gitlab.com", realm_policy=policy)
    assert may("https://h.corp", "https://sso.corp", realm_policy=policy, trusted_realms=("sso.corp",))
    assert may("http://h.corp", "http://sso.corp", realm_policy=policy, trusted_realms=("sso.corp",))


def test_3_2_4_policy_tls_trusts_the_first_realm_named_over_verified_tls() -> None:
    assert may("https://h.corp", "https://sso.corp")
    assert may("https://h.corp", "https://sso.corp", first="https://sso.corp")
    assert not may("https://h.corp", "https://evil.example", first="https://sso.corp")
    assert not may("https://h.corp", "https://sso.corp:444", first="https://sso.corp")
    assert not may("https://h.corp", "https://sso.corp", validate_certs=False)
    assert not may("http://h.corp", "https://sso.corp")
    assert not may("http://127.0.0.1:5000", "http://127.0.0.2:5001")


def test_3_2_4_policy_strict_and_any() -> None:
    assert not may("https://h.corp", "https://sso.corp", realm_policy="strict")
    assert not may("https://evil.example", "https://auth.docker.io", realm_policy="strict")
    assert may("https://h.corp", "https://sso.corp", realm_policy="any", validate_certs=False)
    assert may("http://h.corp", "http://sso.corp", realm_policy="any")
    assert not may("https://h.corp", "http://h.corp", realm_policy="any")
    with pytest.raises(InvalidInput, match="realm_policy"):
        may("https://h.corp", "https://sso.corp", realm_policy="lax")
