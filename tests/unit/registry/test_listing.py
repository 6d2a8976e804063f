# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""R1.47-R1.50."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    AccessDenied,
    ContentError,
    InvalidManifest,
    NotFound,
)
from ansible_collections.longshore.oci.plugins.module_utils.registry import listing as module
from ansible_collections.longshore.oci.plugins.module_utils.registry.listing import Listing
from ansible_collections.longshore.oci.tests.unit.registry.fake_session import Answer, FakeSession, Step, errors

FIRST = "GET /v2/a/b/tags/list?n=1000"


def listing(*script: Step, push: bool = False) -> tuple[Listing, FakeSession]:
    session = FakeSession(*script)
    return Listing(session, push), session


def tags(*names: Any, link: str = "") -> Answer:
    more = {"link": link} if link else {}
    return Answer(200, {"name": "a/b", "tags": list(names)}, **more)


def test_tags_are_as_the_registry_lists_them_each_once() -> None:
    lists, session = listing((FIRST, tags("b", "a", "b", "c")))
    assert lists.tags("a/b") == ["b", "a", "c"]
    (call,) = session.calls
    assert call.headers == {"Accept": "application/json"}
    assert call.scopes == ("repository:a/b:pull",)


def test_pages() -> None:
    lists, session = listing(
        (FIRST, tags("a", link='</v2/a/b/tags/list?n=1000&last=a>; rel="next"')),
        ("GET /v2/a/b/tags/list?n=1000&last=a", tags("b")),
    )
    assert lists.tags("a/b") == ["a", "b"]
    assert session.done
    assert not session.meter.warnings


@pytest.mark.parametrize("body", [{"name": "a/b", "tags": None}, {"name": "a/b"}, {"tags": []}])
def test_no_tags(body: Any) -> None:
    lists, session = listing((FIRST, Answer(200, body)))
    assert lists.tags("a/b") == []


def test_invalid_names_are_left_out_with_a_warning() -> None:
    lists, session = listing((FIRST, tags("ok", None, "../../etc", "x\x1b[31m", "sha256:" + "0" * 64, 7, ["a"], "ö")))
    assert lists.tags("a/b") == ["ok"]
    (warning,) = session.meter.warnings
    assert "7 invalid names" in warning and "../../etc" in warning
    assert "\x1b" not in warning


def test_a_loop_of_links_ends_with_a_warning() -> None:
    """S9: linkloop"""
    link = "</v2/a/b/tags/list?n=1000>; rel=next"
    lists, session = listing((FIRST, tags("a", link=link)))
    assert lists.tags("a/b") == ["a"]
    assert "circle" in session.meter.warnings[0]
    lists, session = listing(
        (FIRST, tags("a", link="</v2/a/b/tags/list?x=1>; rel=next")),
        ("GET /v2/a/b/tags/list?x=1", tags("a", link="</v2/a/b/tags/list?x=2>; rel=next")),
    )
    assert lists.tags("a/b") == ["a"]
    assert session.done


def test_a_last_page_that_is_empty_is_no_circle() -> None:
    lists, session = listing((FIRST, tags("a", link="</v2/a/b/tags/list?x=1>; rel=next")), ("GET /v2/a/b/tags/list?x=1", tags()))
    assert lists.tags("a/b") == ["a"]
    assert not session.meter.warnings


def test_a_full_page_without_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """R1.48: one more page is tried, and believed only if it brings something new."""
    monkeypatch.setattr(module, "PAGE", 2)
    first, second = "GET /v2/a/b/tags/list?n=2", "GET /v2/a/b/tags/list?n=2&last=b"
    lists, session = listing((first, tags("a", "b")), (second, tags("a", "b")))
    assert lists.tags("a/b") == ["a", "b"]
    assert session.done
    lists, session = listing((first, tags("a", "b")), (second, tags("c")))
    assert lists.tags("a/b") == ["a", "b", "c"]
    lists, session = listing((first, tags("a", "b", "c")))
    assert lists.tags("a/b") == ["a", "b", "c"]


def test_ten_thousand_tags_in_one_page() -> None:
    names = [f"v1.{number}.0" for number in range(10_000)]
    lists, session = listing((FIRST, tags(*names)))
    assert lists.tags("a/b") == names
    assert len(session.calls) == 1


def test_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 3)
    lists, session = listing((FIRST, tags("a", "b", "c", "d")))
    with pytest.raises(ContentError):
        lists.tags("a/b")


def test_unknown_repository() -> None:
    lists, session = listing((FIRST, Answer(404, errors("NAME_UNKNOWN", "repository name not known to registry"))))
    with pytest.raises(NotFound, match="tags of registry.test/a/b: repository name not known"):
        lists.tags("a/b")


@pytest.mark.parametrize("body", [b"<html></html>", b"[]", b'{"tags":[],"tags":["a"]}', b'{"tags":{}}', b'{"tags":"a"}'])
def test_other_answers(body: bytes) -> None:
    lists, session = listing((FIRST, Answer(200, body)))
    with pytest.raises(ContentError):
        lists.tags("a/b")
    assert issubclass(InvalidManifest, ContentError)


def test_catalog() -> None:
    body = {"repositories": ["b", "a/c", "UPPER", "../x", None]}
    lists, session = listing(("GET /v2/_catalog?n=1000", Answer(200, body)))
    assert lists.catalog() == ["b", "a/c"]
    assert session.calls[0].scopes == ("registry:catalog:*",)
    assert "3 invalid names" in session.meter.warnings[0]


def test_no_catalog() -> None:
    lists, session = listing(("GET /v2/_catalog?n=1000", Answer(401, errors("UNAUTHORIZED"))))
    with pytest.raises(AccessDenied, match="many registries have no catalogue"):
        lists.catalog()


PROBE = "GET /v2/a/b/tags/list?n=1"


@pytest.mark.parametrize(
    ("answer", "unknown"),
    [
        (Answer(404, errors("NAME_UNKNOWN")), True),
        (Answer(404, errors("NOT_FOUND")), False),
        (Answer(404, b"404 page not found"), False),
        (Answer(401, errors("UNAUTHORIZED")), False),
        (tags(), False),
        (tags("a"), False),
    ],
)
def test_is_unknown_asks_once(answer: Answer, unknown: bool) -> None:
    lists, session = listing((PROBE, answer), push=True)
    assert lists.is_unknown("a/b") is unknown
    assert lists.is_unknown("a/b") is unknown
    assert len(session.calls) == 1
    assert session.calls[0].scopes == ("repository:a/b:pull,push",)


def test_is_unknown_no_longer_once_something_was_written() -> None:
    lists, session = listing((PROBE, Answer(404, errors("NAME_UNKNOWN"))))
    assert lists.is_unknown("a/b")
    lists.written("a/b")
    assert not lists.is_unknown("a/b")


def test_is_unknown_does_not_read_a_long_list() -> None:
    """distribution 2.8 ignores n"""
    lists, session = listing((PROBE, tags(*[f"tag-{number}" for number in range(100_000)])))
    assert not lists.is_unknown("a/b")
    assert session.answers[0].closed
    assert session.answers[0]._position <= 64 * 1024
