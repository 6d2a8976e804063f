# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Platforms: parse, normalise, match (image-spec image-index.md)."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.longshore.oci.plugins.module_utils.model.platform import Platform


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v2", "linux/amd64/v2"),
        ("linux/x86_64", "linux/amd64"),
        ("Linux/AMD64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/v9", "linux/arm64/v9"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/arm", "linux/arm"),
        ("linux/i386", "linux/386"),
        ("linux/ppc64el", "linux/ppc64le"),
        ("macos/arm64", "darwin/arm64"),
        ("windows/amd64:10.0.17763.1", "windows/amd64:10.0.17763.1"),
    ],
)
def test_normalised(text: str, written: str) -> None:
    assert str(Platform.parse(text)) == written
    assert str(Platform.parse(written)) == written
    assert Platform.from_json(Platform.parse(text).to_json()) == Platform.parse(text)


@pytest.mark.parametrize(
    "text", ["", "linux", "linux/", "/amd64", "linux/amd64/v1/x", "linux//v1", "a b/c", "linux/amd64\n", "linux/\u00e4"]
)
def test_invalid(text: str) -> None:
    with pytest.raises(InvalidInput, match="os/architecture"):
        Platform.parse(text)


def test_local_is_a_linux_platform_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert str(Platform.parse("local")) == "linux/arm64"
    monkeypatch.setattr("platform.machine", lambda: "armv6l")
    assert str(Platform.local()) == "linux/arm/v6"


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "linux/amd64",
        {},
        {"os": "linux"},
        {"architecture": "amd64"},
        {"os": 1, "architecture": "amd64"},
        {"os": "", "architecture": "x"},
    ],
)
def test_r1_20_what_names_no_platform(value: Any) -> None:
    assert Platform.from_json(value) is None


def test_of_a_descriptor() -> None:
    value = {"os": "windows", "architecture": "amd64", "os.version": "10.0.1", "os.features": ["win32k"]}
    assert str(Platform.from_json(value)) == "windows/amd64:10.0.1"


@pytest.mark.parametrize(
    ("wish", "offer", "accepted"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "linux/amd64/v3", True),
        ("linux/amd64/v3", "linux/amd64", False),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64", "linux/arm", False),
        ("linux/arm", "linux/arm/v6", True),
        ("linux/arm/v7", "linux/arm/v6", False),
        ("linux/arm/v7", "linux/arm", True),
        ("linux/arm/v6", "linux/arm", False),
        ("linux/amd64", "windows/amd64", False),
        ("windows/amd64", "windows/amd64:10.0.1", True),
        ("windows/amd64:10.0.1", "windows/amd64:10.0.1", True),
        ("windows/amd64:10.0.1", "windows/amd64:10.0.2", False),
    ],
)
def test_accepts(wish: str, offer: str, accepted: bool) -> None:
    assert Platform.parse(wish).accepts(Platform.parse(offer)) is accepted


@pytest.mark.parametrize(
    ("wish", "offers", "best"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], 1),
        ("linux/amd64", ["linux/arm64", "windows/amd64"], None),
        ("linux/amd64", [], None),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], 2),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], 1),
        ("linux/arm/v6", ["linux/arm/v7", "linux/arm/v5"], 1),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/arm", ["linux/arm/v6", "linux/arm/v7", "linux/arm/v8"], 1),
        ("linux/arm", ["linux/arm/v6"], 0),
        ("linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], 1),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], 1),
        ("linux/amd64", ["linux/amd64/v3", "linux/amd64"], 1),
        ("linux/amd64", ["linux/amd64", "linux/amd64"], 0),
        ("windows/amd64:10.0.2", ["windows/amd64:10.0.1", "windows/amd64:10.0.2"], 1),
        ("windows/amd64", ["windows/amd64:10.0.1", "windows/amd64:10.0.2"], 0),
        ("windows/amd64:10.0.3", ["windows/amd64:10.0.1"], None),
    ],
)
def test_best(wish: str, offers: list[str], best: int | None) -> None:
    parsed: list[Platform | None] = [Platform.parse(offer) for offer in offers]
    assert Platform.parse(wish).best(parsed) == best
    shifted = Platform.parse(wish).best([None, *parsed])
    assert shifted == (None if best is None else best + 1)


def test_attestations_run_nowhere() -> None:
    assert Platform.of("unknown", "unknown").is_unknown
    assert not Platform.of("linux", "unknown").is_unknown
    assert Platform.parse("linux/amd64").best([Platform.of("unknown", "unknown")]) is None
