# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""R1.47-R1.49, S9."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import ContentError, RefusedTarget
from ansible_collections.longshore.oci.plugins.module_utils.registry import links
from ansible_collections.longshore.oci.plugins.module_utils.registry.links import Pages, next_link
from ansible_collections.longshore.oci.tests.unit.registry.fake_session import Answer


@pytest.mark.parametrize(
    ("value", "target"),
    [
        (None, None),
        ("", None),
        ('</v2/a?n=1&last=x>; rel="next"', "/v2/a?n=1&last=x"),
        ("</v2/a?n=1>; rel=next", "/v2/a?n=1"),
        ('<https://h/v2/a?n=1>;rel="next"', "https://h/v2/a?n=1"),
        ('<a>; rel="prev", <b>; rel="next"', "b"),
        ('<a>; rel="prev",<b>;title="x, <c>; rel=\\"next\\"";rel=NEXT', "b"),
        ('<a,b;c>; rel="first next last"', "a,b;c"),
        ('<a>; rel="nextish"', None),
        ('<a>; rel="prev"; rel="next"', None),
        ('<a>; REL="next"', "a"),
        ("<a>", None),
        ('a; rel="next"', None),
        ('<a; rel="next"', None),
        ("<a> rel=next, <b>; rel=next", "b"),
        ('<a>; anchor; rel="next"', "a"),
        (",, <a>; rel=next", "a"),
    ],
)
def test_next_link(value: str | None, target: str | None) -> None:
    assert next_link(value) == target


def page(link: str | None = None, body: bytes = b"{}") -> Answer:
    answer = Answer(200, body, **({"link": link} if link is not None else {}))
    answer.read_whole()
    return answer


@pytest.mark.parametrize(
    "link",
    [
        "/v2/a/tags/list?last=x&n=2",
        "https://registry.test/v2/a/tags/list?last=x&n=2",
        # A registry behind a proxy that has lost its own name (Harbor), another repository's path (Artifactory, Nexus).
        "http://internal:8080/v2/a/tags/list?last=x&n=2",
        "http://169.254.169.254/latest?last=x&n=2",
        "/repository/docker/v2/a/tags/list?last=x&n=2",
        "?last=x&n=2",
    ],
)
def test_only_the_cursor_of_a_link_counts(link: str) -> None:
    pages = Pages("/v2/a/tags/list", "n=1000", "tags")
    assert pages.target == "/v2/a/tags/list?n=1000"
    assert pages.follow(page(f'<{link}>; rel="next"'), True)
    assert pages.target == "/v2/a/tags/list?last=x&n=2"


def test_the_cursor_is_not_touched() -> None:
    pages = Pages("/v2/a/tags/list", "n=1000", "tags")
    assert pages.follow(page('</v2/a/tags/list?last=a%2Fb%2bc%3D&e=~%7E>; rel="next"'), True)
    assert pages.target == "/v2/a/tags/list?last=a%2Fb%2bc%3D&e=~%7E"


@pytest.mark.parametrize("link", ["/v2/b/tags/list", "/v2/a/tags/list?", "/x?a b", "/x?ä", "/x?" + "a" * 9000])
def test_a_link_that_leads_nowhere_is_an_error(link: str) -> None:
    pages = Pages("/v2/a/tags/list", "n=1000", "tags of a")
    with pytest.raises(RefusedTarget, match="tags of a"):
        pages.follow(page(f'<{link}>; rel="next"'), True)


def test_lists_end() -> None:
    pages = Pages("/p", "n=1000", "tags")
    assert not pages.follow(page(), True)
    assert not pages.circular
    assert pages.follow(page("</p?x=1>; rel=next"), True)
    # Nothing new: the registry may go on like that for ever.
    assert not pages.follow(page("</p?x=2>; rel=next"), False)
    assert pages.circular


def test_circles_end() -> None:
    pages = Pages("/p", "n=1000", "tags")
    assert pages.follow(page("</p?x=1>; rel=next"), True)
    assert not pages.follow(page("</p?n=1000>; rel=next"), True)
    assert pages.circular


def test_endless_lists_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MAX_PAGES", 3)
    pages = Pages("/p", "", "tags")
    assert pages.target == "/p"
    assert pages.follow(page("</p?x=1>; rel=next"), True)
    assert pages.follow(page("</p?x=2>; rel=next"), True)
    with pytest.raises(ContentError):
        pages.follow(page("</p?x=3>; rel=next"), True)
    monkeypatch.setattr(links, "MAX_BYTES", 100)
    pages = Pages("/p", "", "tags")
    assert pages.follow(page("</p?x=1>; rel=next", b"x" * 60), True)
    with pytest.raises(ContentError):
        pages.follow(page("</p?x=2>; rel=next", b"x" * 60), True)


def test_a_page_nobody_offered_is_tried_once() -> None:
    pages = Pages("/p", "n=2", "tags")
    assert pages.after(2, "a/b c")
    assert pages.target == "/p?n=2&last=a%2Fb%20c"
    assert not pages.after(2, "a/b c")
