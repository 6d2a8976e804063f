# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""image_sync between real registries, layouts, archives and directories."""

from __future__ import annotations

import collections
import json
import os

import pytest

from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.registry import Registry, describe
from ansible_collections.longshore.oci.tests.servers.results import ok
from ansible_collections.longshore.oci.tests.servers.skopeo import layout

PLAIN = {"src_plain_http": True, "dest_plain_http": True}


def states(result):
    return {image["dest"].partition("/")[2]: image["state"] for image in result["images"]}


def facts(result):
    """What check mode has to tell as well."""
    costs = ("requests", "seconds")
    rows = [{key: value for key, value in image.items() if key not in costs} for image in result["images"]]
    return {"images": rows, **{key: result[key] for key in ("changed", "counts", "bytes_transferred", "blobs", "diff")}}


@pytest.fixture
def team(registry, repository):
    """Two repositories of a namespace in the first registry: the namespace, and the digests by repository and tag."""
    digests = {}
    for name, tags in (("app", ["1.0", "1.2", "1.10", "2.0-rc.1", "latest"]), ("tools/cli", ["0.9"])):
        for number, tag in enumerate(tags):
            content = images.sample(["linux/amd64", "linux/arm64"], layer_size=64, seed=len(digests) + number)
            images.push(registry, f"{repository}/{name}", content, [tag])
            digests[f"{name}:{tag}"] = content.digest
    return f"{registry.host}/{repository}", digests


def test_a_namespace_is_mirrored_foretold_and_then_costs_one_head_for_each_side(
    module, registry, second_registry, skopeo, repository, team
):
    namespace, digests = team
    options = {"mappings": [{"src": f"{namespace}/"}], "dest": [f"{second_registry.host}/{repository}/"], **PLAIN}
    mark = second_registry.mark()
    would = ok(module("image_sync", check=True, diff=True, **options))
    assert not second_registry.writes_since(mark)
    did = ok(module("image_sync", diff=True, **options))
    assert facts(would) == facts(did)
    assert states(did) == {f"{repository}/{name}": "copied" for name in digests}
    assert did["counts"]["copied"] == 6 and did["bytes_transferred"] == sum(image["bytes"] for image in did["images"])
    assert all(image["requests"] > 0 and image["seconds"] > 0 for image in did["images"])
    for name, digest in digests.items():
        assert skopeo.digest(f"docker://{second_registry.host}/{repository}/{name}") == digest
    marks = registry.mark(), second_registry.mark()
    again = ok(module("image_sync", **options))
    assert not again["changed"] and again["counts"]["unchanged"] == 6
    source, destination = (
        collections.Counter(entry.method for entry in one.requests_since(since))
        for one, since in zip((registry, second_registry), marks)
    )
    assert destination == {"HEAD": 6}
    # The catalogue may take more than one page in a registry that many tests share.
    assert source["HEAD"] == 6 and set(source) == {"HEAD", "GET"} and again["requests"] == sum(source.values()) + 6


@pytest.mark.parametrize(
    ("tags", "chosen"),
    [
        ({"names": ["1.0"]}, ["1.0"]),
        ({"glob": ["1.*"], "exclude": [".*0"]}, ["1.2"]),
        ({"include": [r"1\..*|latest"]}, ["1.0", "1.2", "1.10", "latest"]),
        ({"semver": "^1.1"}, ["1.2", "1.10"]),
        ({"semver": "*", "prereleases": True}, ["1.0", "1.2", "1.10", "2.0-rc.1"]),
        ({"newest": 2}, ["1.10", "2.0-rc.1"]),
        ({"semver": ">=1", "newest": 2, "names": ["latest"]}, ["latest", "1.2", "1.10"]),
    ],
)
def test_which_tags(module, second_registry, repository, team, tags, chosen):
    namespace = team[0]
    mapping = {"src": f"{namespace}/app", "dest": f"{second_registry.host}/{repository}", "tags": tags}
    result = ok(module("image_sync", check=True, mappings=[mapping], **PLAIN))
    assert sorted(states(result)) == sorted(f"{repository}:{tag}" for tag in chosen)


def test_names_alone_are_not_even_listed(module, registry, second_registry, repository, team):
    namespace, digests = team
    pinned = f"1.2@{digests['app:1.2']}"
    mapping = {"src": f"{namespace}/app", "dest": f"{second_registry.host}/{repository}"}
    mapping["tags"] = {"names": ["1.0", pinned, digests["app:latest"]]}
    mark = registry.mark()
    result = ok(module("image_sync", mappings=[mapping], **PLAIN))
    assert not [entry for entry in registry.requests_since(mark) if "/tags/" in entry.target]
    assert states(result) == {
        f"{repository}:1.0": "copied",
        f"{repository}:1.2": "copied",
        f"{repository}@{digests['app:latest']}": "copied",
    }
    mapping["tags"] = {"names": [f"1.0@{digests['app:1.2']}"], "immutable": True}
    mark = registry.mark()
    assert not ok(module("image_sync", mappings=[mapping], **PLAIN))["changed"]
    assert not registry.requests_since(mark), "a tag that exists and may not change needs no look at its source"
    mapping["tags"] = {"names": ["1.0", "nowhere"]}
    failed = module("image_sync", mappings=[mapping], **PLAIN)
    assert failed["failed"] and failed["counts"]["failed"] == failed["counts"]["unchanged"] == 1
    assert "nowhere" in failed["msg"]


def test_names_at_the_destination(module, second_registry, repository, team):
    namespace = team[0]
    host, unused, path = namespace.partition("/")
    base = f"{second_registry.host}/{repository}"
    tags = {"names": ["1.0"]}
    mappings = [
        {"src": f"{namespace}/app", "dest": f"{base}/", "tags": tags},
        {"src": f"{namespace}/app", "dest": base, "tags": tags, "scoped": True, "suffix": "-x"},
        {"src": f"{namespace}/app", "dest": base, "tags": tags, "rename": "{namespace}/our-{name}:v{tag}"},
    ]
    result = ok(module("image_sync", check=True, mappings=mappings, **PLAIN))
    assert sorted(states(result)) == sorted(
        [
            f"{repository}/app:1.0",
            f"{repository}/{host.replace(':', '_')}/{path}/app:1.0-x",
            f"{repository}/{path}/our-app:v1.0",
        ]
    )


def test_two_sources_for_one_name_are_refused_before_anything_moves(module, registry, second_registry, repository, team):
    namespace = team[0]
    images.push(registry, f"{repository}/other/app", images.sample(seed=77), ["1.0"])
    mappings = [{"src": f"{namespace}/app"}, {"src": f"{namespace}/other/app"}]
    mark = second_registry.mark()
    failed = module("image_sync", mappings=mappings, dest=[f"{second_registry.host}/{repository}/"], **PLAIN)
    assert failed["failed"] and "two images for one destination" in failed["msg"]
    assert not second_registry.writes_since(mark)


def test_what_cannot_be_listed_fails_by_itself_and_the_rest_is_mirrored(module, second_registry, skopeo, repository, team):
    namespace, digests = team
    mappings = [
        {"src": f"{namespace}/nowhere", "dest": f"{second_registry.host}/{repository}/nowhere", "prune": True},
        {"src": f"{namespace}/tools/cli", "dest": f"{second_registry.host}/{repository}/cli"},
    ]
    failed = module("image_sync", mappings=mappings, **PLAIN)
    assert failed["failed"] and "nowhere" in failed["msg"] and failed["counts"] == {
        "copied": 1, "unchanged": 0, "pruned": 0, "skipped": 0, "failed": 1,
    }
    assert failed["images"][1]["state"] == "failed" and "NAME_UNKNOWN" in failed["images"][1]["error"]
    assert skopeo.digest(f"docker://{second_registry.host}/{repository}/cli:0.9") == digests["tools/cli:0.9"]
    mappings[1]["dest"] = f"{second_registry.host}/{repository}/second"
    mark = second_registry.mark()
    stopped = module("image_sync", mappings=mappings, on_error="stop", **PLAIN)
    assert stopped["failed"] and stopped["counts"]["failed"] == 1 and not second_registry.writes_since(mark)


def test_several_destinations_take_one_pull(module, registry, second_registry, skopeo, repository, team, tmp_path):
    namespace, digests = team
    with Registry() as third:
        dests = [f"{second_registry.host}/{repository}/", f"{third.host}/copy/", f"oci:{tmp_path}/layout"]
        mark = registry.mark()
        result = ok(module("image_sync", mappings=[{"src": f"{namespace}/app", "dest": dests}], **PLAIN))
        asked = collections.Counter((one.method, one.target) for one in registry.requests_since(mark) if one.method == "GET")
        blobs = [target for method, target in asked if "/blobs/" in target]
        assert len(blobs) == 5 * 5 and set(asked.values()) == {1}, asked.most_common(3)
        assert result["counts"]["copied"] == 15
        for name in ("app:1.0", "app:1.10"):
            assert skopeo.digest(f"docker://{third.host}/copy/{name}") == digests[name]
            assert skopeo.digest(f"docker://{second_registry.host}/{repository}/{name}") == digests[name]
            assert skopeo.digest(layout(tmp_path / "layout", f"{namespace}/{name}")) == digests[name]


def test_pruning_removes_tags_alone_and_is_foretold(module, second_registry, skopeo, repository, team):
    namespace, digests = team
    dest = f"{second_registry.host}/{repository}"
    mapping = {"src": f"{namespace}/app", "dest": dest}
    ok(module("image_sync", mappings=[mapping], **PLAIN))
    # A tag of our own on a child of an index that stays, and a signature's.
    child = skopeo.manifest(f"docker://{dest}:1.2")["manifests"][0]
    raw = skopeo.raw(f"docker://{dest}@{child['digest']}")
    signature = f"{digests['app:1.2'].replace(':', '-')}.sig"
    for tag in ("child", "kept-1", signature):
        fields = {"Content-Type": child["mediaType"]}
        assert second_registry.request("PUT", f"/v2/{repository}/manifests/{tag}", raw, fields)[0] == 201
    wanted = {**mapping, "tags": {"names": ["1.2"]}, "prune": True, "keep": ["kept-.*"]}
    options = {"mappings": [wanted], "untag": True, **PLAIN}
    refused = module("image_sync", max_delete=4, **options)
    assert refused["failed"] and refused["would_delete"] == 5 and "max_delete" in refused["msg"]
    mark = second_registry.mark()
    would = ok(module("image_sync", check=True, diff=True, **options))
    assert not second_registry.writes_since(mark)
    did = ok(module("image_sync", diff=True, max_delete=5, **options))
    assert facts(would) == facts(did)
    gone = ["1.0", "1.10", "2.0-rc.1", "child", "latest"]
    assert states(did) == {f"{repository}:1.2": "unchanged", **{f"{repository}:{tag}": "pruned" for tag in gone}}
    assert did["diff"]["before"][f"{dest}:1.0"] == digests["app:1.0"] and did["diff"]["after"][f"{dest}:1.0"] is None
    assert sorted(skopeo.tags(f"docker://{dest}")) == sorted(["1.2", "kept-1", signature])
    # Whole, with the child whose tag went.
    assert skopeo.raw(f"docker://{dest}@{child['digest']}") == raw
    assert skopeo.digest(f"docker://{dest}@{digests['app:1.0']}") == digests["app:1.0"], "manifests are not pruned"
    assert not ok(module("image_sync", **options))["changed"]


def test_nothing_is_pruned_where_something_is_not_known(module, second_registry, skopeo, repository, team):
    namespace = team[0]
    dest = f"{second_registry.host}/{repository}"
    ok(module("image_sync", mappings=[{"src": f"{namespace}/app", "dest": dest}], **PLAIN))
    before = sorted(skopeo.tags(f"docker://{dest}"))
    for mapping in (
        {"src": f"{namespace}/app", "tags": {"glob": ["none-*"]}},
        {"src": f"{namespace}/nowhere"},
        {"src": f"{namespace}/app", "tags": {"names": ["1.0", "nowhere"]}},
    ):
        result = module("image_sync", mappings=[{**mapping, "dest": dest, "prune": True}], untag=True, **PLAIN)
        assert result["counts"]["pruned"] == 0
        assert sorted(skopeo.tags(f"docker://{dest}")) == before
    assert "is not pruned" in str(module("image_sync", mappings=[{
        "src": f"{namespace}/app", "tags": {"glob": ["none-*"]}, "dest": dest, "prune": True,
    }], **PLAIN)["warnings"])


def test_the_shares_of_all_workers_make_the_whole(module, second_registry, repository, team):
    namespace, digests = team
    options = {"mappings": [{"src": f"{namespace}/"}], "dest": [f"{second_registry.host}/{repository}/"], **PLAIN}
    shares = [states(ok(module("image_sync", check=True, shard_index=one, shard_count=3, **options))) for one in range(3)]
    assert sum(map(len, shares)) == len(digests)
    assert {name for share in shares for name in share} == {f"{repository}/{name}" for name in digests}
    assert "shard_index" in module("image_sync", shard_index=3, shard_count=3, **options)["msg"]


def test_archives_grow_by_what_is_new_and_go_on_into_a_registry(
    module, registry, second_registry, skopeo, repository, team, tmp_path
):
    namespace, digests = team
    first, second, index = (str(tmp_path / name) for name in ("first.tar", "second.tar", "first.json"))
    mapping = {"src": f"{namespace}/"}
    options = {"mappings": [mapping], "dest": [f"oci-archive:{first}"], "index_file": index, **PLAIN}
    did = ok(module("image_sync", **options))
    assert did["counts"]["copied"] == 6 and os.path.getsize(index) < os.path.getsize(first)
    assert not ok(module("image_sync", **options))["changed"]
    ok(module("image_sync", mappings=[{"src": f"oci-archive:{first}"}], dest=[f"{second_registry.host}/{repository}/"], **PLAIN))
    new = images.sample(["linux/amd64"], layer_size=64, seed=99)
    images.push(registry, f"{repository}/app", new, ["3.0"])
    delta = ok(module("image_sync", mappings=[mapping], dest=[f"oci-archive:{second}"], since=[index], **PLAIN))
    assert delta["counts"]["copied"] == 7 and delta["blobs"]["copied"] == 12 + 3, "the configs of all, the layers of one"
    ok(module("image_sync", mappings=[{"src": f"oci-archive:{second}"}], dest=[f"{second_registry.host}/{repository}/"], **PLAIN))
    base = f"{second_registry.host}/{repository}/{repository}"
    for name, digest in {**digests, "app:3.0": new.digest}.items():
        assert skopeo.digest(f"docker://{base}/{name}") == digest
    # A layout that is pruned by what its source yields.
    held = {"src": f"{namespace}/app", "dest": f"oci:{tmp_path}/layout"}
    ok(module("image_sync", mappings=[held], **PLAIN))
    held |= {"tags": {"newest": 1}, "prune": True}
    pruned = ok(module("image_sync", mappings=[held], **PLAIN))
    assert pruned["counts"]["pruned"] == 5 and pruned["counts"]["unchanged"] == 1
    assert not ok(module("image_sync", mappings=[held], **PLAIN))["changed"]


def test_an_archive_of_which_an_image_cannot_be_had_stays_what_it_was(module, repository, team, tmp_path):
    namespace = team[0]
    path = tmp_path / "mirror.tar"
    mapping = {"src": f"{namespace}/app", "dest": f"oci-archive:{path}", "tags": {"names": ["1.0"]}}
    ok(module("image_sync", mappings=[mapping], **PLAIN))
    before = path.read_bytes()
    mapping["tags"] = {"names": ["1.0", "1.2", "nowhere"]}
    failed = module("image_sync", mappings=[mapping], **PLAIN)
    assert failed["failed"] and failed["counts"]["failed"] == 1 and failed["counts"]["copied"] == 0
    assert failed["counts"]["skipped"] == 1 and not failed["changed"]
    assert path.read_bytes() == before and not list(tmp_path.glob("*.part*"))


def test_trees_of_directories_as_skopeo_makes_them(module, second_registry, skopeo, repository, team, tmp_path):
    namespace, digests = team
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    mapping = {"src": f"{namespace}/tools/cli", "dest": f"dir:{ours}", "scoped": True}
    ok(module("image_sync", mappings=[mapping], **PLAIN))
    assert not ok(module("image_sync", mappings=[mapping], **PLAIN))["changed"]
    options = ["--all", "--scoped", "--src-tls-verify=false", "--src", "docker", "--dest", "dir"]
    skopeo.run("sync", *options, f"{namespace}/tools/cli", str(theirs))
    found = [sorted(str(one.relative_to(tree)) for one in tree.rglob("manifest.json")) for tree in (ours, theirs)]
    assert found[0] == found[1] == [f"{namespace}/tools/cli:0.9/manifest.json"]
    # And theirs into a registry.
    dest = f"{second_registry.host}/{repository}/"
    result = ok(module("image_sync", mappings=[{"src": f"dir:{theirs}", "dest": dest}], **PLAIN))
    assert list(states(result)) == [f"{repository}/{repository}/tools/cli:0.9"]
    assert result["images"][0]["digest"] == digests["tools/cli:0.9"]


def test_images_that_share_children_and_tags_of_children_do_not_trip_the_registry(module, registry, second_registry, repository):
    # Distribution 2.8 answers 400 when an index is written while one of its children is.
    content = images.sample(["linux/amd64", "linux/arm64", "linux/arm/v7"], layer_size=64, seed=5)
    images.push(registry, repository, content, [f"{number}.0" for number in range(12)])
    top = json.loads(content.top.data)
    for number, entry in enumerate(top["manifests"]):
        raw = next(one.data for one in content.manifests() if one.digest == entry["digest"])
        for again in range(6):
            fields = {"Content-Type": entry["mediaType"]}
            target = f"/v2/{repository}/manifests/child-{number}-{again}"
            assert registry.request("PUT", target, raw, fields)[0] == 201
    for number in range(4):
        dest = f"{second_registry.host}/{repository}/{number}"
        mark = second_registry.mark()
        result = ok(module("image_sync", mappings=[{"src": f"{registry.host}/{repository}", "dest": dest}], **PLAIN))
        assert result["counts"]["copied"] == 30
        bad = [one for one in second_registry.requests_since(mark) if one.method == "PUT" and one.status >= 400]
        assert not bad, describe(bad)


def test_stopping_at_the_first_failure_leaves_the_rest_alone(module, registry, second_registry, repository):
    broken = images.sample(["linux/amd64"], layer_size=64, seed=1)
    images.push(registry, repository, broken, ["0.1"])
    for number in range(40):
        images.push(registry, repository, images.sample(["linux/amd64"], layer_size=64, seed=100 + number), [f"1.{number}"])
    lost = next(one.digest for one in broken.blobs())
    path = registry.storage / "docker/registry/v2/blobs/sha256" / lost[7:9] / lost[7:] / "data"
    path.unlink()
    options = {"mappings": [{"src": f"{registry.host}/{repository}", "dest": f"{second_registry.host}/{repository}"}], **PLAIN}
    stopped = module("image_sync", on_error="stop", parallel=1, **options)
    assert stopped["failed"] and stopped["counts"]["failed"] == 1 and stopped["counts"]["skipped"] > 0
    assert "on_error: stop" in next(one["error"] for one in stopped["images"] if one["state"] == "skipped")
    went_on = module("image_sync", **options)
    assert went_on["counts"]["failed"] == 1 and went_on["counts"]["skipped"] == 0
    assert went_on["counts"]["copied"] + went_on["counts"]["unchanged"] == 40


def test_a_limit_of_requests_a_second_holds_for_both_ends_together(module, registry, repository, team):
    namespace = team[0]
    options = {"mappings": [{"src": f"{namespace}/app", "dest": f"{registry.host}/{repository}/copy"}], **PLAIN}
    ok(module("image_sync", **options))
    mark = registry.mark()
    result = ok(module("image_sync", max_requests_per_second=8, **options))
    assert len(registry.requests_since(mark)) == result["requests"] == 11
    assert max(image["seconds"] for image in result["images"]) >= 9 / 8 * 0.9
