# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The garbage collection against a real registry: nothing that is tagged is lost, and it always comes back read-write.

Rows are those of the table of measured outcomes that the procedure was made for.
"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Iterator

import pytest

from ansible_collections.longshore.oci.tests.roles.collector import ACCEPT, Collector, delete, pullable, stored, writable
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.managed import ManagedRegistry
from ansible_collections.longshore.oci.tests.servers.process import run


@pytest.fixture
def registry(place: pathlib.Path) -> Iterator[ManagedRegistry]:
    """A registry without a cache."""
    with ManagedRegistry(place) as running:
        yield running


def nested(inner: images.Index, name: str) -> images.Index:
    row = {**inner.document.descriptor, "annotations": {"name": name}}
    document = {"schemaVersion": 2, "mediaType": images.MEDIA_TYPES["oci"]["index"], "manifests": [row]}
    return images.Index(images.Blob(images.MEDIA_TYPES["oci"]["index"], images.to_json(document)), ())


def put(registry: ManagedRegistry, repository: str, manifest: images.Blob, reference: str | None = None) -> None:
    target = f"/v2/{repository}/manifests/{reference or manifest.digest}"
    assert registry.request("PUT", target, manifest.data, {"Content-Type": manifest.media_type})[0] == 201


def test_what_nothing_names_goes_and_the_rest_stays(registry: ManagedRegistry) -> None:
    gone, kept = images.sample(["linux/amd64"], seed=1), images.sample(seed=2)
    images.push(registry, "team/gone", gone)
    images.push(registry, "team/kept", kept, ["1"])
    delete(registry, "team/gone", gone.digest)
    size = sum(registry.blob_path(blob.digest).stat().st_size for blob in (*gone.blobs(), *gone.manifests()))
    report = Collector(registry).collect()
    assert report["changed"] and report["blobs"] == 4
    assert report["bytes_promised"] == report["bytes_freed"] == size
    assert report["read_only_proofs"] == {"main": "an upload was refused with 405"}
    assert report["back_proofs"] == {"main": "an upload was accepted with 202, and ended"}
    assert 0 < report["read_only_seconds"] <= report["duration_seconds"] and report["tags_verified"] == 1
    assert stored(registry, gone) == 0 and pullable(registry, "team/kept", kept, "1") and writable(registry)


def test_a_second_run_restarts_nothing(registry: ManagedRegistry) -> None:
    images.push(registry, "team/app", images.sample(), ["1"])
    pid = registry.pid
    report = Collector(registry).collect()
    assert not report["changed"] and report["msg"] == "nothing to collect" and report["read_only_seconds"] == 0
    assert registry.pid == pid


def test_a_dry_run_says_what_goes_and_changes_nothing(registry: ManagedRegistry) -> None:
    gone = images.sample(["linux/amd64"], seed=1)
    images.push(registry, "team/gone", gone)
    images.push(registry, "team/gone", images.sample(["linux/amd64"], seed=2), ["kept"])
    delete(registry, "team/gone", gone.digest)
    images.push(registry, "team/gone", images.sample(["linux/amd64"], seed=3), [])
    collector = Collector(registry, untagged=True, untagged_age_hours=0, uploads_age_hours=0)
    before = {path: path.lstat().st_mtime_ns for path in (*registry.storage.rglob("*"), *registry.directory.glob("*.yml"))}
    pid = registry.pid
    said = collector.collect("--dry-run")
    after = {path: path.lstat().st_mtime_ns for path in (*registry.storage.rglob("*"), *registry.directory.glob("*.yml"))}
    assert before == after and registry.pid == pid and not collector.state.exists()
    assert said["changed"] and said["dry_run"] and any("takes pushes" in line for line in said["warnings"])
    did = collector.collect()
    for field in ("blobs", "manifests", "untagged", "bytes_promised", "blobs_marked"):
        assert said[field] == did[field], field
    assert did["bytes_freed"] == said["bytes_promised"] and said["blobs"] == 8
    again = collector.collect("--dry-run")
    assert not again["changed"], again


def test_row_3_a_tagged_index_survives_the_removal_of_untagged_manifests(registry: ManagedRegistry) -> None:
    both, inner = images.sample(seed=1), images.sample(seed=2)
    outer = nested(inner, "outer")
    untagged = images.sample(["linux/amd64"], seed=3)
    images.push(registry, "team/app", both, ["1"])
    images.push(registry, "team/app", inner, [])
    put(registry, "team/app", outer.document, "nested")
    images.push(registry, "team/app", untagged, [])
    report = Collector(registry, untagged=True, untagged_age_hours=0).collect()
    assert report["untagged"] == [f"team/app@{untagged.digest}"] and report["manifests"] == 1
    assert stored(registry, untagged) == 0
    assert pullable(registry, "team/app", both, "1") and pullable(registry, "team/app", inner)
    assert pullable(registry, "team/app", outer, "nested")


def test_an_untagged_index_goes_with_its_children_and_shared_layers_stay(registry: ManagedRegistry) -> None:
    first, second = images.sample(seed=1), images.sample(seed=1, layers=3)
    images.push(registry, "team/app", first, ["1"])
    images.push(registry, "team/app", second, ["1"])
    report = Collector(registry, untagged=True, untagged_age_hours=0).collect()
    assert report["manifests"] == 3 and pullable(registry, "team/app", second, "1")
    assert registry.request("GET", f"/v2/team/app/manifests/{first.digest}", headers=ACCEPT)[0] == 404


def test_untagged_manifests_stay_unless_asked_for_and_while_they_are_young(registry: ManagedRegistry) -> None:
    untagged = images.sample(seed=1)
    images.push(registry, "team/app", images.sample(["linux/amd64"], seed=2), ["1"])
    images.push(registry, "team/app", untagged, [])
    assert not Collector(registry).collect()["changed"]
    assert not Collector(registry, untagged=True, untagged_age_hours=1).collect()["changed"]
    # The children are old, as from an earlier push; the index that names them is young, so they stay.
    for child in untagged.manifests():
        if child is not untagged.top:
            link = registry.repository_directory("team/app") / f"_manifests/revisions/{child.digest.replace(':', '/')}/link"
            os.utime(link, (1, 1))
    assert not Collector(registry, untagged=True, untagged_age_hours=1).collect()["changed"]
    assert pullable(registry, "team/app", untagged)


def test_referrers_and_cosign_tags_survive(registry: ManagedRegistry) -> None:
    app = images.sample(seed=1)
    images.push(registry, "team/app", app, ["1"])
    by_subject = images.image("linux/amd64", [images.noise_layer(64, 5)], subject=app.top, artifact_type="application/x.sbom")
    by_index = images.image("linux/amd64", [images.noise_layer(64, 6)], subject=app.top, artifact_type="application/x.sig")
    images.push(registry, "team/app", by_subject, [])
    images.push(registry, "team/app", by_index, [])
    encoded = app.digest.split(":")[1]
    put(registry, "team/app", images.index([by_index]).document, f"sha256-{encoded}")
    cosign = {}
    for number, ending in enumerate(("sig", "att", "sbom")):
        cosign[ending] = images.image("linux/amd64", [images.noise_layer(64, 10 + number)])
        images.push(registry, "team/app", cosign[ending], [f"sha256-{encoded}.{ending}"])
    orphan = images.image(
        "linux/amd64", [images.noise_layer(64, 7)], subject=images.sample(seed=9).top, artifact_type="application/x.sig"
    )
    images.push(registry, "team/app", orphan, [])
    report = Collector(registry, untagged=True, untagged_age_hours=0).collect()
    assert report["untagged"] == [f"team/app@{orphan.digest}"]
    for kept in (app, by_subject, by_index, *cosign.values()):
        assert pullable(registry, "team/app", kept)


def test_row_10_an_index_in_two_repositories_of_which_one_lost_a_child(registry: ManagedRegistry) -> None:
    both = images.sample(seed=1)
    images.push(registry, "dev/app", both, ["1"])
    images.push(registry, "prod/app", both, ["1"])
    delete(registry, "dev/app", both.images[1].digest)
    images.push(registry, "dev/app", images.sample(["linux/amd64"], seed=2), [])
    report = Collector(registry, untagged=True, untagged_age_hours=0).collect()
    assert report["manifests"] == 1 and report["tags_incomplete_before"] == []
    assert pullable(registry, "prod/app", both, "1")


@pytest.mark.parametrize("row", [11, 15])
def test_rows_11_and_15_what_is_pushed_again_can_be_pulled(place: pathlib.Path, row: int) -> None:
    config = {"storage": {"cache": {"blobdescriptor": "inmemory"}}}
    with ManagedRegistry(place, config=config, record={"cache": {"kind": "inmemory"}}) as registry:
        app = images.sample(["linux/amd64"], seed=1)
        images.push(registry, "team/other", images.sample(["linux/amd64"], seed=2))
        if row == 11:
            images.push(registry, "team/app", app, ["1"])
            assert pullable(registry, "team/app", app, "1")
            delete(registry, "team/app", app.digest)
        else:
            for blob in app.blobs():
                images.push_blob(registry, "team/app", blob.data)
        assert Collector(registry).collect()["changed"] and stored(registry, app) == 0
        if row == 15:
            # The client that had uploaded its layers goes on, and is told.
            target, kind = f"/v2/team/app/manifests/{app.digest}", {"Content-Type": app.top.media_type}
            assert registry.request("PUT", target, app.top.data, kind)[0] == 400
        images.push(registry, "team/app", app, ["1"])
        assert pullable(registry, "team/app", app, "1")


def test_row_17_deletions_wait_for_the_lock(registry: ManagedRegistry) -> None:
    images.push(registry, "team/app", images.sample(seed=1), ["1"])
    kept = images.sample(seed=1, layers=3)
    images.push(registry, "team/app", kept, ["2"])
    garbage = images.sample(["linux/amd64"], seed=5)
    images.push(registry, "team/garbage", garbage)
    delete(registry, "team/garbage", garbage.digest)
    collector = Collector(registry)
    with registry.held("sweep"), collector.running() as process:
        registry.wait_held("sweep")
        # Retention deletes and puts again meanwhile: it is refused, and so takes nothing away under the collector.
        assert registry.request("DELETE", f"/v2/team/app/manifests/{kept.digest}")[0] == 405
        put_again = registry.request("PUT", "/v2/team/app/manifests/2", kept.top.data, {"Content-Type": kept.top.media_type})
        assert put_again[0] == 405
        # Whoever uses the lock is told at once.
        assert "is held by somebody else" in Collector(registry).collect(code=75)["msg"]
        assert "is held by somebody else" in Collector(registry).collect("--dry-run", code=75)["msg"]
        registry.release("sweep")
        assert process.wait(60) == 0
    assert pullable(registry, "team/app", kept, "2")


def test_row_20_a_disk_that_abandoned_uploads_have_filled(place: pathlib.Path) -> None:
    disk = place / "disk"
    disk.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)])
    try:
        with ManagedRegistry(disk) as registry:
            kept = images.sample(["linux/amd64"], seed=1)
            images.push(registry, "team/app", kept, ["1"])
            collector = Collector(registry, uploads_age_hours=0)
            begun = registry.request("POST", "/v2/team/app/blobs/uploads/", b"")
            data = pathlib.Path(registry.repository_directory("team/app"), "_uploads", begun[1]["docker-upload-uuid"], "data")
            with pytest.raises(OSError), data.open("ab") as stream:
                while True:
                    stream.write(images.noise(1 << 16, 1))
                    stream.flush()
            with pytest.raises(Exception, match="500"):
                images.push_blob(registry, "team/app", b"x" * 5000)
            report = collector.collect()
            assert report["uploads"] >= 1 and report["upload_bytes"] > 6 << 20
            assert pullable(registry, "team/app", kept, "1") and writable(registry)
    finally:
        run(["umount", str(disk)])


def test_uploads_that_go_on_stay(registry: ManagedRegistry) -> None:
    images.push(registry, "team/app", images.sample(["linux/amd64"], seed=1), ["1"])
    uploads = registry.repository_directory("team/app") / "_uploads"
    young, old = (registry.request("POST", "/v2/team/app/blobs/uploads/", b"")[1] for unused in range(2))
    directory = uploads / old["docker-upload-uuid"]
    (directory / "data").write_bytes(b"x" * 1000)
    for path in (*directory.rglob("*"), directory):
        os.utime(path, (1, 1))
    report = Collector(registry, uploads_age_hours=1).collect()
    assert report["uploads"] == 1 and report["upload_bytes"] >= 1000
    assert [path.name for path in uploads.iterdir()] == [young["docker-upload-uuid"]]
    # The one that goes on ends well.
    place = young["location"].replace(registry.url, "")
    assert registry.request("PUT", f"{place}&digest={images.sha256(b'late')}", b"late")[0] == 201


def test_row_21_a_registry_that_holds_nothing_is_no_error(registry: ManagedRegistry) -> None:
    for option in ((), ("--dry-run",)):
        report = Collector(registry).collect(*option)
        assert not report["changed"] and report["msg"] == "the registry is empty"
    # Nor is one in which an upload was begun, and nothing more.
    assert registry.request("POST", "/v2/team/app/blobs/uploads/", b"")[0] == 202
    for option in ((), ("--dry-run",)):
        assert Collector(registry).collect(*option)["msg"] == "the registry is empty"
    (registry.storage / ".longshore-storage").unlink()
    assert "mount the storage" in Collector(registry).collect(code=3)["msg"]


def test_row_22_a_repository_without_layers(registry: ManagedRegistry) -> None:
    app, garbage = images.sample(["linux/amd64"], seed=1), images.sample(["linux/amd64"], seed=2)
    images.push(registry, "team/app", app, ["1"])
    images.push(registry, "team/garbage", garbage)
    delete(registry, "team/garbage", garbage.digest)
    layers = registry.repository_directory("team/app") / "_layers"
    layers.rename(layers.with_name("moved"))
    pid = registry.pid
    report = Collector(registry).collect(code=3)
    assert "has _manifests, but no _layers" in report["msg"] and not report["changed"]
    assert stored(registry, app) == 4 and stored(registry, garbage) == 4 and registry.pid == pid


def test_rows_24_and_26_a_damaged_storage_is_left_alone(registry: ManagedRegistry) -> None:
    images.push_blob(registry, "team/app", b"garbage")
    names = ("link", "empty", "missing", "garbled", "tag")
    damaged = {name: images.sample(["linux/amd64"], seed=seed) for seed, name in enumerate(names)}
    for name, app in damaged.items():
        images.push(registry, f"team/{name}", app, ["1"])
    manifests = {name: registry.blob_path(app.digest) for name, app in damaged.items()}
    revision = registry.repository_directory("team/link") / "_manifests/revisions" / damaged["link"].digest.replace(":", "/")
    (revision / "link").write_bytes(b"")
    manifests["empty"].write_bytes(b"")
    manifests["missing"].unlink()
    manifests["garbled"].write_bytes(b"[1]")
    (registry.repository_directory("team/tag") / "_manifests/tags/1/current/link").write_bytes(b"")
    (registry.repository_directory("UPPER") / "_layers").mkdir(parents=True)
    pid = registry.pid
    said = Collector(registry).collect(code=3)["msg"]
    for expected in (
        f"{revision / 'link'} is empty (power loss or a full disk)",
        f"{manifests['empty']} is empty (power loss or a full disk)",
        f"team/missing@{damaged['missing'].digest} is listed in",
        f"team/garbled@{damaged['garbled'].digest} is no manifest",
        "_manifests/tags/1/current/link is empty",
        f"{registry.repository_directory('UPPER')} is no repository, as its name is not valid",
    ):
        assert expected in said, said
    assert registry.blob_path(images.sha256(b"garbage")).exists() and registry.pid == pid


def test_guard_rails(registry: ManagedRegistry) -> None:
    gone = images.sample(["linux/amd64"], seed=1)
    images.push(registry, "team/app", gone, [])
    images.push(registry, "team/app", images.sample(["linux/amd64"], seed=2), ["1"])
    images.push_blob(registry, "team/app", b"garbage" * 100)
    common = {"untagged": True, "untagged_age_hours": 0}
    pid = registry.pid
    for rail, said in (
        ({"max_manifests": 0}, "1 manifests (registry_gc_max_manifests is 0)"),
        ({"max_bytes": 1000}, "(registry_gc_max_bytes is 1000)"),
        ({"max_percent": 10}, "% of the registry (registry_gc_max_percent is 10)"),
    ):
        report = Collector(registry, **common, **rail).collect(code=4)
        assert said in report["msg"] and not report["changed"]
        assert said in Collector(registry, **common, **rail).collect("--dry-run", code=4)["msg"]
    assert stored(registry, gone) == 4 and registry.pid == pid
    assert Collector(registry, **common, max_manifests=1, max_bytes=100000, max_percent=90).collect()["changed"]


def test_the_report_and_the_metrics_are_kept(registry: ManagedRegistry, place: pathlib.Path) -> None:
    images.push_blob(registry, "team/app", b"garbage")
    images.push(registry, "team/app", images.sample(["linux/amd64"], seed=2), ["1"])
    collector = Collector(registry, textfile=str(place / "gc.prom"))
    report = collector.collect()
    assert json.loads((collector.state / "main.report.json").read_bytes()) == report
    lines = (place / "gc.prom").read_text().splitlines()
    assert 'longshore_registry_gc_bytes_freed{instance="main"} 7' in lines
    assert 'longshore_registry_gc_last_exit_code{instance="main"} 0' in lines
    assert (place / "gc.prom").stat().st_mode & 0o777 == 0o644
    (registry.storage / ".longshore-storage").unlink()
    failed = Collector(registry, textfile=str(place / "gc.prom")).collect(code=3)
    lines = (place / "gc.prom").read_text().splitlines()
    assert 'longshore_registry_gc_last_exit_code{instance="main"} 3' in lines
    assert f'longshore_registry_gc_last_success_timestamp_seconds{{instance="main"}} {report["last_success"]}' in lines
    assert failed["last_success"] == report["last_success"]
