# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deleting: nothing else goes with it, and the plan says everything before the first write."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput, RegistryError
from ansible_collections.longshore.oci.plugins.module_utils.operations import delete
from ansible_collections.longshore.oci.plugins.module_utils.operations.deletion_plan import (
    Options,
    Refused,
    plan_deletion,
)
from ansible_collections.longshore.oci.tests.unit.operations.repository import Client

NAME = "registry.example/team/app"
ABSENT = Digest.of(b"nothing")


def plan(client, *targets, **options):
    targets = {str(target): None for target in targets}
    made = plan_deletion(client.survey(), targets, Options(**options))
    assert client.writes() == []
    return made


def gone(made):
    return {(one["what"], one["digest"], tuple(one["tags"])) for one in made.deleted()}


def do(client, *targets, **options):
    made = plan(client, *targets, **options)
    delete.carry_out(made, Options(**options))
    client.log.clear()
    return made


def test_the_last_tag_takes_its_manifest_so_that_space_comes_back():
    client = Client("unsupported")
    image = client.image("a", layers=[b"own"])
    client.image("b", layers=[b"other"])
    made = do(client, "a")
    assert gone(made) == {("manifest", str(image.digest), ("a",))}
    assert set(client.names) == {"b"}
    assert image.digest not in client.manifests


def test_all_tags_of_a_manifest_together_take_it():
    client = Client("unsupported")
    image = client.image("a", "b")
    assert gone(do(client, "b", "a")) == {("manifest", str(image.digest), ("a", "b"))}
    assert client.manifests == {}


def test_a_tag_never_takes_another_tag():
    client = Client()
    image = client.image("a", "b")
    made = do(client, "a")
    assert gone(made) == {("tag", str(image.digest), ("a",))}
    assert client.names == {"b": image.digest}
    assert image.digest in client.manifests


def test_where_tags_cannot_go_alone_the_rest_is_done_and_the_task_fails():
    client = Client("unsupported")
    client.image("a", "b")
    other = client.image("c", layers=[b"other"])
    made = plan(client, "a", "c")
    with pytest.raises(RegistryError, match=r"manifest has to stay: the tag b stands for it too.*Set untag") as caught:
        delete.carry_out(made, Options())
    assert set(client.names) == {"a", "b"}
    assert [one["digest"] for one in caught.value.facts["deleted"]] == [str(other.digest)]
    assert caught.value.facts["changed"] is True
    client.log.clear()
    do(client, "a", untag=True)
    assert set(client.names) == {"b"}


def test_what_is_missing_costs_one_request_and_changes_nothing():
    client = Client()
    client.image("a")
    made = plan(client, "b", ABSENT)
    assert made.is_empty
    assert made.missing == [f"{NAME}:b", f"{NAME}@{ABSENT}"]
    assert [entry[0] for entry in client.log] == ["head", "head"]


def test_a_tag_with_a_digest_goes_only_while_it_stands_for_it():
    client = Client()
    image = client.image("a")
    made = plan_deletion(client.survey(), {"a": ABSENT}, Options())
    assert made.is_empty
    assert str(ABSENT) in made.kept[0]["why"]
    assert not plan_deletion(client.survey(), {"a": image.digest}, Options()).is_empty


def test_a_digest_with_tags_is_refused_unless_forced():
    client = Client()
    image = client.image("a", "b")
    with pytest.raises(Refused, match=r"the tags a, b stand for it\. Set force"):
        plan(client, image.digest)
    assert gone(plan(client, image.digest, force=True)) == {("manifest", str(image.digest), ("a", "b"))}
    assert gone(plan(client, image.digest, "a", "b")) == {("manifest", str(image.digest), ("a", "b"))}


def test_a_child_of_an_index_is_refused_unless_forced():
    client = Client()
    child = client.image()
    client.index(child, tags=["multi"])
    with pytest.raises(Refused, match="the index multi lists it"):
        plan(client, child.digest)
    assert gone(plan(client, child.digest, force=True)) == {("manifest", str(child.digest), ())}


def test_a_tag_of_a_child_goes_alone():
    client = Client()
    child = client.image("amd64")
    client.index(child, tags=["multi"])
    assert gone(do(client, "amd64")) == {("tag", str(child.digest), ("amd64",))}
    assert child.digest in client.manifests


def test_an_index_takes_the_children_that_nothing_else_needs():
    client = Client()
    own, shared, tagged = client.image(layers=[b"own"]), client.image(layers=[b"s"]), client.image("t", layers=[b"t"])
    top = client.index(own, shared, tagged, tags=["a"])
    client.index(shared, tags=["b"])
    made = plan(client, "a")
    assert [(one.what, one.digest) for one in made.removals] == [("manifest", top.digest), ("child", own.digest)]
    delete.carry_out(made, Options())
    assert [entry[1] for entry in client.writes()] == [str(top.digest), str(own.digest)]
    assert set(client.manifests) == {shared.digest, tagged.digest, client.names["b"]}


def test_an_index_and_its_child_in_one_task():
    client = Client()
    child = client.image("child")
    client.index(child, tags=["multi"])
    do(client, "multi", "child")
    assert client.manifests == {}


def test_nested_indexes_keep_their_grandchildren():
    client = Client()
    leaf = client.image("leaf")
    client.index(client.index(leaf), tags=["outer"])
    assert gone(plan(client, "leaf")) == {("tag", str(leaf.digest), ("leaf",))}
    do(client, "outer")
    assert set(client.manifests) == {leaf.digest}


def test_what_something_refers_to_stays_and_its_tag_goes_alone():
    client = Client()
    image = client.image("a")
    client.image(subject=image, layers=[b"signature"])
    assert gone(plan(client, "a")) == {("tag", str(image.digest), ("a",))}
    client.log.clear()
    del client.names["a"]
    with pytest.raises(Refused, match="refers to it"):
        plan(client, image.digest)
    assert len(gone(plan(client, image.digest, force=True))) == 1


def test_referrers_go_along_when_asked_and_what_refers_to_them_too():
    client = Client("unsupported")
    image = client.image("a")
    signature = client.image(subject=image, layers=[b"signature"])
    of_signature = client.image(subject=signature, layers=[b"2"])
    cosign = client.image(f"sha256-{image.digest.hex}.sig", layers=[b"3"])
    other = client.image("b", layers=[b"4"])
    made = do(client, "a", referrers=True)
    assert {one.digest for one in made.removals} == {one.digest for one in (image, signature, of_signature, cosign)}
    assert set(client.manifests) == {other.digest}


def test_a_referrer_with_a_tag_of_its_own_stays():
    client = Client()
    image = client.image("a")
    client.image("sbom", subject=image, layers=[b"sbom"])
    made = plan(client, "a", referrers=True)
    assert gone(made) == {("tag", str(image.digest), ("a",))}


def test_a_signed_child_stays_and_is_named():
    client = Client()
    child = client.image()
    client.image(subject=child, layers=[b"signature"])
    top = client.index(child, tags=["multi"])
    made = plan(client, "multi")
    assert [one.digest for one in made.removals] == [top.digest]
    assert [one["name"] for one in made.kept] == [f"{NAME}@{child.digest}"]


def test_bytes_that_only_they_held():
    client = Client()
    gone_image = client.image("a", layers=[b"shared", b"own layer"])
    client.image("b", layers=[b"shared", b"x"])
    made = plan(client, "a")
    assert made.bytes_held == len(b"own layer") + gone_image.size, "the config is the same in both"
    client.log.clear()
    assert plan(client, "a", count_bytes=False).bytes_held is None
    assert not [entry for entry in client.log if entry[0] == "get"]


def test_max_delete_counts_tags_and_named_digests():
    client = Client()
    client.image("a", "b")
    child = client.image(layers=[b"child"])
    client.index(child, tags=["c"])
    made = plan(client, "a", "b", "c")
    assert made.count == 3
    delete.check_count([made], 3)
    delete.check_count([made], None)
    with pytest.raises(Refused, match="3 tags and digests would be deleted, more than max_delete allows"):
        delete.check_count([made], 2)


def test_the_result_tells_the_plan():
    client = Client()
    image = client.image("a")
    made = plan(client, "a", "x")
    result = delete.summary([made])
    assert result["changed"] is True
    assert result["missing"] == [f"{NAME}:x"]
    assert result["diff"] == {"before": {"images": [f"{NAME}:a"]}, "after": {"images": []}}
    assert result["deleted"][0]["digest"] == str(image.digest)
    assert delete.summary([plan(client, "x")])["changed"] is False


def test_targets_in_words():
    digest = Digest.of(b"x")
    found = delete.targets_of(["r.example/a:1", f"docker://r.example/a@{digest}", f"r.example/b:2@{digest}"])
    assert {key.name: value for key, value in found.items()} == {
        "r.example/a": {"1": None, str(digest): None},
        "r.example/b": {"2": digest},
    }


@pytest.mark.parametrize(
    ("name", "words"), [("r.example/a", "neither a tag nor a digest"), ("oci:/srv/a:1", "not in a registry")]
)
def test_what_cannot_be_deleted(name, words):
    with pytest.raises(InvalidInput, match=words):
        delete.targets_of([name])
