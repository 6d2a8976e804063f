# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags: listed as wanted, set without a needless write, removed without taking others along."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput, NotFound, RegistryError
from ansible_collections.longshore.oci.plugins.module_utils.operations import tags
from ansible_collections.longshore.oci.plugins.module_utils.operations.tag_filter import TagFilter
from ansible_collections.longshore.oci.tests.unit.operations.repository import Client

ABSENT = Digest.of(b"nothing")


def listed(client, **wish):
    return tags.query(client.survey(), tags.Query(**wish))[0]


@pytest.fixture
def releases():
    client = Client()
    client.image("1.10.0", "latest", created="2026-03-01T00:00:00Z", layers=[b"c"])
    client.image("1.9.0", created="2026-02-01T00:00:00Z", layers=[b"b"])
    client.image("1.9.0-rc.1", created="2026-04-01T00:00:00Z", layers=[b"a"])
    client.image("epoch", created="1970-01-01T00:00:00Z", layers=[b"d"])
    return client


def test_orders(releases):
    assert listed(releases, sort="none") == ["1.10.0", "latest", "1.9.0", "1.9.0-rc.1", "epoch"]
    assert listed(releases) == ["1.9.0", "1.9.0-rc.1", "1.10.0", "epoch", "latest"]
    assert listed(releases, sort="version") == ["epoch", "latest", "1.9.0-rc.1", "1.9.0", "1.10.0"]
    assert {entry[0] for entry in releases.log} == {"tags"}
    assert listed(releases, sort="created")[0] == "epoch"
    assert listed(releases, sort="created")[-1] == "1.9.0-rc.1"


def test_filters_limit_and_direction(releases):
    wanted = TagFilter.of(include=["1.*", "latest"], exclude=[".*-rc.*"])
    assert listed(releases, wanted=wanted, sort="version", descending=True, limit=2) == ["1.10.0", "1.9.0"]
    assert listed(releases, wanted=TagFilter.of(include=["1"])) == [], "a pattern has to match the whole tag"
    assert listed(releases, wanted=TagFilter.of(semver="~1.9")) == ["1.9.0"]
    assert listed(releases, limit=0) == []


def test_a_broken_pattern_is_named():
    with pytest.raises(InvalidInput, match=r"exclude: '\(' is no regular expression"):
        TagFilter.of(exclude=["("])


def test_details_ask_for_each_digest_once(releases):
    shared = releases.image("both", layers=[b"x" * 10, b"y" * 5], created=None)
    releases.index(shared, tags=["multi"])
    found, details, total = tags.query(releases.survey(), tags.Query(sort="none", details=True))
    assert total == len(found) == 7
    by_tag = {one["tag"]: one for one in details}
    assert by_tag["latest"] == {**by_tag["1.10.0"], "tag": "latest"}
    assert by_tag["latest"]["created"] == "2026-03-01T00:00:00+00:00"
    assert by_tag["multi"]["size"] == by_tag["both"]["size"] == shared.config.size + 15
    assert by_tag["multi"]["created"] is None
    assert len([entry for entry in releases.log if entry[0] == "get"]) == len(releases.manifests)


def test_a_repository_that_does_not_exist_has_no_tags():
    assert tags.query(Client().survey(), tags.Query()) == ([], [], 0)


def test_setting_writes_only_what_differs_and_then_nothing():
    client = Client()
    manifest = client.image("build", "stable", layers=[b"new"])
    old = client.image("1.0", layers=[b"old"])
    survey = client.survey()
    digest, change = tags.plan_present(survey, ["stable", "1.0", "1"], "build")
    assert client.writes() == []
    assert change.before == {"stable": str(digest), "1.0": str(old.digest), "1": None}
    assert change.tags == ["1.0", "1"]
    tags.set_tags(survey, change, digest)
    assert sorted(client.writes()) == [("PUT", "1"), ("PUT", "1.0")]
    assert {client.names[tag] for tag in ("build", "stable", "1.0", "1")} == {manifest.digest}

    client.log.clear()
    survey = client.survey()
    digest, change = tags.plan_present(survey, ["stable", "1.0", "1"], str(manifest.digest))
    tags.set_tags(survey, change, digest)
    assert {entry[0] for entry in client.log} == {"head"}
    assert len(client.log) == 4


@pytest.mark.parametrize("source", ["nothing", str(ABSENT)])
def test_a_source_that_is_not_there(source):
    client = Client()
    client.image("build")
    with pytest.raises(NotFound, match=f"source registry.example/team/app[:@]{source} does not exist"):
        tags.plan_present(client.survey(), ["stable"], source)


def test_sources_in_words():
    repository = tags.repository_of("registry.example/team/app")
    assert tags.source_of("stable", repository) == "stable"
    assert tags.source_of(str(ABSENT), repository) == str(ABSENT)
    assert tags.source_of("registry.example/team/app:stable", repository) == "stable"
    with pytest.raises(InvalidInput, match="use image_copy"):
        tags.source_of("registry.example/team/other:stable", repository)
    with pytest.raises(InvalidInput, match="source: invalid tag"):
        tags.source_of("no tag", repository)


@pytest.mark.parametrize("text", ["registry.example/team/app:1", f"registry.example/app@{ABSENT}", "oci:/srv/x"])
def test_what_is_no_repository(text):
    with pytest.raises(InvalidInput):
        tags.repository_of(text)


def test_removing_leaves_the_manifest_and_its_other_tags():
    client = Client()
    manifest = client.image("a", "b", "c")
    survey = client.survey()
    change = tags.plan_absent(survey, ["a", "b", "gone"])
    assert client.writes() == []
    assert change.before == {"a": str(manifest.digest), "b": str(manifest.digest), "gone": None}
    assert change.tags == ["a", "b"]
    tags.clear_tags(survey, change, untag=False)
    assert client.names == {"c": manifest.digest}
    assert manifest.digest in client.manifests

    client.log.clear()
    survey = client.survey()
    change = tags.plan_absent(survey, ["a", "b"])
    tags.clear_tags(survey, change, untag=False)
    assert {entry[0] for entry in client.log} == {"head"}


def test_a_registry_that_cannot_remove_tags():
    client = Client("unsupported")
    client.image("a", "b")
    client.image("c", "d", layers=[b"other"])
    survey = client.survey()
    change = tags.plan_absent(survey, ["a", "c", "d"])
    with pytest.raises(RegistryError, match=r"cannot remove a tag alone.*untag.*registry_delete") as caught:
        tags.clear_tags(survey, change, untag=False)
    assert caught.value.facts["refused"] == ["a", "c", "d"]
    assert caught.value.status_code == 400
    assert set(client.names) == {"a", "b", "c", "d"}
    assert [entry[0] for entry in client.log].count("DELETE") == 1, "what was refused once is not asked for again"
    tags.clear_tags(survey, change, untag=True)
    assert set(client.names) == {"b"}


def test_a_registry_that_takes_other_tags_along_has_them_put_back():
    client = Client("manifest")
    manifest = client.image("a", "b", "c")
    other = client.image("d", layers=[b"other"])
    survey = client.survey()
    with pytest.raises(RegistryError, match="they have been put back") as caught:
        tags.clear_tags(survey, tags.plan_absent(survey, ["a", "d"]), untag=False)
    assert caught.value.facts["restored"] == ["b", "c"]
    assert client.names == {"b": manifest.digest, "c": manifest.digest, "d": other.digest}


def test_a_registry_that_drops_untagged_manifests_is_no_failure():
    client = Client("last")
    client.image("a", layers=[b"a"])
    kept = client.image("b", layers=[b"b"])
    survey = client.survey()
    tags.clear_tags(survey, tags.plan_absent(survey, ["a"]), untag=False)
    assert client.names == {"b": kept.digest}
