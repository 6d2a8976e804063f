# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy of a URL (section 4.3)."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.longshore.oci.plugins.module_utils.registry.destination import Origin
from ansible_collections.longshore.oci.plugins.module_utils.registry.proxies import (
    excepted,
    proxy_for,
    without_credentials,
)

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        ("https://r.example/", {}, None),
        ("https://r.example/", {"https_proxy": PROXY}, PROXY),
        ("https://r.example/", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://r.example/", {"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, PROXY),
        ("https://r.example/", {"https_proxy": "", "HTTPS_PROXY": PROXY}, None),
        ("https://r.example/", {"http_proxy": PROXY}, None),
        ("http://r.example/", {"http_proxy": PROXY}, PROXY),
        ("http://r.example/", {"HTTP_PROXY": PROXY}, PROXY),
        ("http://r.example/", {"all_proxy": PROXY}, PROXY),
        ("http://r.example/", {"ALL_PROXY": "socks5h://proxy:1080"}, "socks5h://proxy:1080"),
        ("http://r.example/", {"http_proxy": PROXY, "all_proxy": "http://other:1"}, PROXY),
        ("https://r.example/", {"https_proxy": "proxy.example:3128"}, PROXY),
        ("https://r.example/", {"https_proxy": PROXY, "no_proxy": "r.example"}, None),
        ("https://r.example/", {"https_proxy": PROXY, "NO_PROXY": "r.example"}, None),
        ("https://r.example/", {"https_proxy": PROXY, "no_proxy": "", "NO_PROXY": "r.example"}, PROXY),
    ],
)
def test_4_3_environment(url: str, environ: dict[str, str], expected: str | None) -> None:
    assert proxy_for(url, None, environ) == expected


def test_4_3_http_proxy_of_a_cgi_request_is_not_ours() -> None:
    environ = {"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}
    assert proxy_for("http://r.example/", None, environ) is None
    assert proxy_for("http://r.example/", None, {**environ, "http_proxy": PROXY}) == PROXY
    assert proxy_for("https://r.example/", None, {"HTTPS_PROXY": PROXY, "REQUEST_METHOD": "GET"}) == PROXY


def test_4_3_the_given_proxy_overrides_the_environment() -> None:
    environ = {"https_proxy": "http://other:1", "no_proxy": "*"}
    assert proxy_for("https://r.example/", PROXY, environ) == PROXY
    assert proxy_for("https://r.example/", "", environ) is None


@pytest.mark.parametrize(
    ("url", "no_proxy", "expected"),
    [
        ("https://example.com/", "example.com", True),
        ("https://EXAMPLE.com/", "Example.COM", True),
        ("https://a.b.example.com/", "example.com", True),
        ("https://notexample.com/", "example.com", False),
        ("https://example.com.evil.net/", "example.com", False),
        ("https://a.example.com/", ".example.com", True),
        ("https://example.com/", ".example.com", True),
        ("https://a.example.com/", "*.example.com", True),
        ("https://notexample.com/", ".example.com", False),
        ("https://example.com/", "*", True),
        ("https://example.com/", "a, b  example.com,,c", True),
        ("https://example.com/", "", False),
        ("https://example.com/", ",. ,", False),
        ("https://example.com:5000/", "example.com:5000", True),
        ("https://example.com/", "example.com:5000", False),
        ("https://example.com/", "example.com:443", True),
        ("https://10.1.2.3/", "10.0.0.0/8", True),
        ("https://11.1.2.3/", "10.0.0.0/8", False),
        ("https://10.1.2.3/", "10.1.2.3", True),
        ("https://10.1.2.3:5000/", "10.1.2.3:5000", True),
        ("https://10.1.2.3/", "2.3", True),
        ("https://example.com/", "10.0.0.0/8", False),
        ("https://[::1]:5000/", "::1", True),
        ("https://[::1]:5000/", "[::1]", True),
        ("https://[::1]:5000/", "[::1]:5000", True),
        ("https://[::1]:5000/", "[::1]:5001", False),
        ("https://[fd00::5]/", "fd00::/8", True),
        ("https://[fd00::5]/", "[fd00::]/8", True),
        ("https://[fd00::5]/", "fe80::/10", False),
        ("https://[0:0:0:0:0:0:0:1]/", "::1", True),
        ("https://10.1.2.3/", "10.0.0.0/99", False),
    ],
)
def test_4_3_no_proxy(url: str, no_proxy: str, expected: bool) -> None:
    assert excepted(Origin.of(url), no_proxy) is expected


@pytest.mark.parametrize(
    "proxy", ["ftp://u:hunter2@p:1", "http://u:hunter2@", "http://u:hunter2@p:99999", "http://u:hunter2@p q:1"]
)
def test_4_3_a_wrong_proxy_is_refused_without_showing_its_password(proxy: str) -> None:
    for explicit, environ in ((proxy, {}), (None, {"https_proxy": proxy})):
        with pytest.raises(InvalidInput) as caught:
            proxy_for("https://r.example/", explicit, environ)
        assert "proxy" in caught.value.message
        assert "hunter2" not in caught.value.message


def test_4_3_credentials_of_a_proxy_are_not_shown() -> None:
    assert without_credentials("http://u:hunter2@p:1") == "http://p:1"
    assert without_credentials("socks5://u:hun@ter2@p:1") == "socks5://p:1"
    assert without_credentials("p:1") == "p:1"
