# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tags a policy lets go: what is not known to be old stays."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.longshore.oci.plugins.module_utils.operations.retention import (
    Candidate,
    Policy,
    choose,
    expired,
    parse_age,
)
from ansible_collections.longshore.oci.plugins.module_utils.operations.survey import parse_date
from ansible_collections.longshore.oci.plugins.module_utils.operations.tag_filter import TagFilter, patterns
from ansible_collections.longshore.oci.tests.unit.operations.repository import Client

NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)


def days(**ages):
    return [Candidate(tag, None if age is None else NOW - timedelta(days=age)) for tag, age in ages.items()]


def test_the_newest_stay():
    gone, kept = choose(days(a=3, b=1, c=2), Policy(keep_last=2), NOW)
    assert gone == ["a"]
    assert kept == {"b": "it is one of the newest 2", "c": "it is one of the newest 2"}


@pytest.mark.parametrize(("count", "gone"), [(0, ["a", "c", "b"]), (3, []), (9, [])])
def test_bounds_of_keep_last(count, gone):
    assert choose(days(a=3, b=1, c=2), Policy(keep_last=count), NOW)[0] == gone


def test_the_young_stay_and_the_edge_is_young():
    gone, kept = choose(days(a=31, b=30, c=1), Policy(older_than=timedelta(days=30)), NOW)
    assert gone == ["a"]
    assert "2026-05-02" in kept["b"]


def test_both_have_to_let_it_go():
    policy = Policy(keep_last=1, older_than=timedelta(days=10))
    assert choose(days(a=40, b=20, c=5), policy, NOW)[0] == ["a", "b"]
    assert choose(days(a=40, b=20), policy, NOW)[0] == ["a"]


def test_what_keep_names_stays_and_does_not_count():
    policy = Policy(keep_last=1, keep=patterns("keep", ["stable|v.*"]))
    gone, kept = choose(days(stable=1, v1=2, a=4, b=3), policy, NOW)
    assert gone == ["a"]
    assert kept["stable"] == kept["v1"] == "keep names it"


def test_unknown_age_stays():
    gone, kept = choose(days(a=None, b=50), Policy(older_than=timedelta(days=1)), NOW)
    assert gone == ["b"]
    assert "unknown" in kept["a"]


def test_by_version_needs_no_dates():
    policy = Policy(keep_last=2, newest_by="version")
    assert not policy.needs_dates
    gone, kept = choose([Candidate(tag) for tag in ("1.10.0", "1.9.0", "1.2.0", "nightly")], policy, NOW)
    assert gone == ["1.2.0"]
    assert "no version" in kept["nightly"]


def test_without_a_reason_to_stay_everything_goes():
    assert choose(days(a=1, b=None), Policy(), NOW) == (["a", "b"], {})


@pytest.mark.parametrize(("text", "seconds"), [("30d", 2592000), ("2w", 1209600), ("12h", 43200), ("90m", 5400), ("5 s", 5)])
def test_age(text, seconds):
    assert parse_age(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["30", "d", "1y", "-1d", "1.5d", "1d2h", ""])
def test_what_is_no_age(text):
    with pytest.raises(InvalidInput, match="invalid age"):
        parse_age(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=timezone.utc)),
        ("2026-01-01T02:00:00.123456789+02:00", datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=timezone.utc)),
        ("1970-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("2026-13-01T00:00:00Z", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_dates_of_configs(text, expected):
    assert parse_date(text) == expected


def test_expired_looks_at_each_digest_once_and_leaves_signatures_alone():
    client = Client()
    old = client.image("a", "b", created="2025-01-01T00:00:00Z", layers=[b"old"])
    client.image("c", created="2026-05-31T00:00:00Z", layers=[b"new"])
    client.image(f"sha256-{old.digest.hex}.sig", created="2025-01-01T00:00:00Z", layers=[b"signature"])
    gone, kept = expired(client.survey(), TagFilter(), Policy(older_than=timedelta(days=30)), NOW)
    assert gone == ["a", "b"]
    assert list(kept) == ["c"]
    assert [entry[0] for entry in client.log].count("get") == 2


def test_expired_takes_the_newest_child_of_an_index():
    client = Client()
    children = [client.image(created=f"2026-0{month}-01T00:00:00Z", architecture=f"a{month}") for month in (1, 5)]
    client.index(*children, tags=["multi"])
    assert expired(client.survey(), TagFilter(), Policy(older_than=timedelta(days=60)), NOW)[0] == []


def test_expired_without_dates_reads_only_the_list():
    client = Client()
    client.image("1.0.0", "1.1.0")
    gone, dummy = expired(client.survey(), TagFilter(), Policy(keep_last=1, newest_by="version"), NOW)
    assert gone == ["1.0.0"]
    assert [entry[0] for entry in client.log] == ["tags"]
