# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names at the destination, and which tags are chosen."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput, OciError
from ansible_collections.longshore.oci.plugins.module_utils.operations.sync_mapping import CREATED, TagChoice, either, globs
from ansible_collections.longshore.oci.plugins.module_utils.operations.sync_names import (
    Dest,
    From,
    Naming,
    check_name,
    tag_and_digest,
)
from ansible_collections.longshore.oci.plugins.module_utils.operations.sync_tags import chosen
from ansible_collections.longshore.oci.plugins.module_utils.operations.tag_filter import TagFilter

ONE = From("registry.example.com:5000", "team/tools/cli", "cli", True)
MANY = From("registry.example.com", "team/tools/cli", "tools/cli", False)
DIGEST = "sha256:" + "a" * 64
NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)


def name(dest, source, naming=None, tag="1.0"):
    place, naming = Dest(dest), naming or Naming()
    return str(place.place(place.repository(source, naming), naming, tag))


@pytest.mark.parametrize(
    ("dest", "source", "naming", "expected"),
    [
        ("r.example/mirror/cli", ONE, Naming(), "docker://r.example/mirror/cli:1.0"),
        ("r.example/mirror/", ONE, Naming(), "docker://r.example/mirror/cli:1.0"),
        ("docker://r.example/mirror/", ONE, Naming(), "docker://r.example/mirror/cli:1.0"),
        ("r.example/", MANY, Naming(), "docker://r.example/tools/cli:1.0"),
        ("r.example:5000/", MANY, Naming(), "docker://r.example:5000/tools/cli:1.0"),
        ("r.example/mirror", MANY, Naming(), "docker://r.example/mirror/tools/cli:1.0"),
        ("r.example/m", ONE, Naming(scoped=True), "docker://r.example/m/registry.example.com_5000/team/tools/cli:1.0"),
        ("r.example/m", MANY, Naming(suffix="-x"), "docker://r.example/m/tools/cli:1.0-x"),
        ("r.example/m", ONE, Naming("{namespace}/our-{name}"), "docker://r.example/m/team/tools/our-cli:1.0"),
        ("r.example/m", ONE, Naming("{repository}:v{tag}", suffix="-x"), "docker://r.example/m/team/tools/cli:v1.0-x"),
        ("oci:/srv/layout", ONE, Naming(), "oci:/srv/layout:registry.example.com:5000/team/tools/cli:1.0"),
        ("oci-archive:/srv/a.tar", MANY, Naming("{name}"), "oci-archive:/srv/a.tar:cli:1.0"),
        ("oci:/srv/layout", From("", "", "", True), Naming(), "oci:/srv/layout:1.0"),
        ("https://storage.example/a.tar", MANY, Naming("{name}"), "https://storage.example/a.tar#cli:1.0"),
        ("dir:/srv/tree", ONE, Naming(), "dir:/srv/tree/cli:1.0"),
        ("dir:/srv/tree/", ONE, Naming(scoped=True), "dir:/srv/tree/registry.example.com:5000/team/tools/cli:1.0"),
    ],
)
def test_names_at_the_destination(dest, source, naming, expected):
    assert name(dest, source, naming) == expected


def test_a_digest_is_a_name_as_well():
    assert name("r.example/m/", ONE, tag=DIGEST) == f"docker://r.example/m/cli@{DIGEST}"
    assert name("r.example/m/", ONE, tag=f"1.0@{DIGEST}") == "docker://r.example/m/cli:1.0"
    assert tag_and_digest(f"1.0@{DIGEST}") == ("1.0", DIGEST) and tag_and_digest(DIGEST) == ("", DIGEST)


@pytest.mark.parametrize(
    "text", ["r.example/app:1.0", f"r.example/app@{DIGEST}", "oci:/srv/layout:name", "docker-daemon:x", "a b/"]
)
def test_what_is_no_place_for_a_mirror(text):
    with pytest.raises(OciError, match="dest"):
        Dest(text)


@pytest.mark.parametrize("template", ["{nothing}", "{tag}/x", "{repository}/{tag}:1"])
def test_templates_that_cannot_be_meant(template):
    with pytest.raises(InvalidInput, match="rename"):
        Naming(template)
    with pytest.raises(InvalidInput, match="both"):
        Naming("{name}", scoped=True)


@pytest.mark.parametrize("text", ["a/b", "sha256:abc", "1.0@sha256:abc", "@" + DIGEST, ""])
def test_names_that_are_none(text):
    with pytest.raises(InvalidInput):
        check_name(text)


TAGS = ["1.9", "1.10", "2.0", "latest", "1.10-alpine", f"sha256-{'b' * 64}.sig", "edge"]
#: Days old.
AGES = {"1.9": 90, "1.10": 30, "2.0": 1, "latest": 1, "1.10-alpine": 29, "edge": None}


def dates(tags):
    return {tag: None if AGES[tag] is None else NOW - timedelta(days=AGES[tag]) for tag in tags}


def every(tag):
    return True


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (TagChoice(wanted=every), ["1.9", "1.10", "1.10-alpine", "2.0", "edge", "latest"]),
        (TagChoice(wanted=every, newest=2), ["1.10", "2.0"]),
        (TagChoice(wanted=every, newest=9), ["1.9", "1.10-alpine", "1.10", "2.0"]),
        (TagChoice(wanted=every, newest=2, newest_by=CREATED), ["latest", "2.0"]),
        (TagChoice(wanted=every, newest=3, newest_by=CREATED), ["1.10-alpine", "latest", "2.0"]),
        (TagChoice(wanted=every, newer_than=timedelta(days=30)), ["1.10", "1.10-alpine", "2.0", "latest"]),
        (TagChoice(wanted=every, older_than=timedelta(days=7), newest=1), ["1.10"]),
        (TagChoice(wanted=either(globs(["1.*"]), TagFilter.of(None, [".*-alpine"]))), ["1.9", "1.10"]),
        (TagChoice(wanted=either(globs(["e*"]), TagFilter.of(["l.*"]))), ["edge", "latest"]),
        (TagChoice(wanted=either((), TagFilter.of(semver="^1"))), ["1.9", "1.10"]),
        (TagChoice(wanted=lambda tag: "sig" in tag, attached=True), [f"sha256-{'b' * 64}.sig"]),
    ],
)
def test_which_tags_are_chosen(choice, expected):
    assert chosen(TAGS, choice, dates, NOW) == expected


def test_dates_are_read_of_what_passes_everything_else_only():
    asked = []

    def ask(tags):
        asked.extend(tags)
        return dates(tags)

    wanted = either(globs(["1.*"]), TagFilter())
    assert chosen(TAGS, TagChoice(wanted=wanted, newest=1, newest_by=CREATED), ask, NOW) == ["1.10-alpine"]
    assert asked == ["1.9", "1.10", "1.10-alpine"]
    asked.clear()
    chosen(TAGS, TagChoice(wanted=wanted, newest=1), ask, NOW)
    assert not asked
