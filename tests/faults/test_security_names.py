# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows S19 to S21: names in archives, layouts and options, and files of ours."""

from __future__ import annotations

import json
import os
import pathlib
import re
import stat
import subprocess

import pytest

from ansible_collections.longshore.oci.tests.faults import tars
from ansible_collections.longshore.oci.tests.faults.bent import bent
from ansible_collections.longshore.oci.tests.servers import images

IMAGE = images.image("linux/amd64", [images.noise_layer(20_000, seed=1)])
VECTORS = pathlib.Path(__file__).parents[1] / "unit" / "vectors" / "reference.json"
OURS = re.compile(
    r"[0-9a-f]{64}\.json|[0-9a-f]{64}(/layer\.tar|\.tar(\.gz)?)?|blobs(/sha(256|512)(/[0-9a-f]{64,128})?)?"
    r"|manifest\.json|index\.json|oci-layout|repositories|images\.json"
)


def hostile_names(document):
    document["annotations"] = {
        "org.opencontainers.image.ref.name": "../../../etc/cron.d/x",
        "org.opencontainers.image.title": "/etc/passwd",
        "io.containerd.image.name": "..",
    }


@pytest.mark.parametrize("scheme", ["docker-archive", "oci-archive"])
def test_s19_names_in_our_archives_are_ours(module, faulty, tmp_path, scheme):
    name = f"{faulty.host}/{faulty.put('none', bent(IMAGE, hostile_names))}:1"
    path = tmp_path / "images.tar"
    options = {"path": f"{scheme}:{path}", "images": [name], "plain_http": True}
    result = module("image_save_load", state="saved", **options)
    assert not result.get("failed"), result
    assert [one for one in tars.names(path) if OURS.fullmatch(one) is None] == []


def test_s19_names_in_our_layouts_are_ours(module, faulty, tmp_path):
    name = f"{faulty.host}/{faulty.put('none', bent(IMAGE, hostile_names))}:1"
    for dest in (f"oci:{tmp_path}/layout:a/../../b", f"dir:{tmp_path}/dir"):
        result = module("image_copy", src=name, dest=dest, src_plain_http=True)
        assert not result.get("failed") or "invalid" in result["msg"], result
    files = {str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*") if one.is_file()}
    assert {one.split("/")[0] for one in files} <= {"layout", "dir", "home"}
    assert not [one for one in files if "cron" in one or "passwd" in one]


def refused_references():
    rows = json.loads(VECTORS.read_text(encoding="utf-8"))
    rows = rows["vectors"] if isinstance(rows, dict) else rows
    return [row["in"] for row in rows if not row["ok"]]


def test_s20_what_is_no_reference_reaches_nobody(module, faulty, monkeypatch):
    """Each of them by itself, through the module; nobody is asked for anything, and no program is run."""

    def run(*unused, **unused_too):
        raise AssertionError("a program is run")

    monkeypatch.setattr(subprocess.Popen, "__init__", run)
    texts = [text for text in refused_references() if "://" not in text and text.strip()]
    assert len(texts) > 80
    mark = len(faulty.log)
    for text in texts:
        result = module("image_inspect", name=[f"{faulty.host}/{text}"], plain_http=True)
        if result.get("failed"):
            assert "\n" not in result["msg"] and "unexpected" not in result["msg"], (text, result)
        for one in faulty.log.since(mark):
            assert re.fullmatch(r"/v2/[a-z0-9._/-]+/(manifests/[\w.:-]+|tags/list)(\?[\w=&]+)?", one.target), (text, one)


@pytest.mark.parametrize("text", ["a$(id)", "a`id`", "a;id", "a|id", "-rf", "../../etc/passwd", "%s%n", "{{ 7*7 }}", "a b"])
def test_s20_shells_and_formats_see_nothing_of_them(module, tmp_path, text):
    result = module("image_copy", src=text, dest=f"oci:{tmp_path}/layout:1", src_plain_http=True)
    assert result["failed"] and "invalid" in result["msg"], result
    assert not (tmp_path / "layout").exists()


def test_s21_a_link_at_the_destination_is_replaced_not_followed(module, faulty, tmp_path):
    name = f"{faulty.host}/{faulty.put('none', IMAGE)}:1"
    victim, path = tmp_path / "victim", tmp_path / "images.tar"
    victim.write_bytes(b"precious")
    path.symlink_to(victim)
    result = module("image_copy", src=name, dest=f"docker-archive:{path}:app:1", src_plain_http=True)
    assert victim.read_bytes() == b"precious", result
    assert result.get("failed") or not path.is_symlink()


def test_s21_what_is_under_way_is_nobody_elses(module, faulty, tmp_path, monkeypatch):
    """The temporary file: beside its destination, not to be guessed, mode 0600, and gone after any failure."""
    seen = []
    opened = os.open

    def watched(path, flags, mode=0o777, **more):
        handle = opened(path, flags, mode, **more)
        if ".longshore-" in str(path) and flags & os.O_CREAT:
            seen.append((str(path), flags, stat.S_IMODE(os.fstat(handle).st_mode)))
        return handle

    monkeypatch.setattr(os, "open", watched)
    folder = tmp_path / "archives"
    folder.mkdir()
    options = {"src_plain_http": True, "retries": 0, "timeout": 5}
    for scenario, fails in (("none", False), ("trunc", True), ("wrongblob", True)):
        name = f"{faulty.host}/{faulty.put(scenario, IMAGE)}:1"
        result = module("image_copy", src=name, dest=f"docker-archive:{folder}/{scenario}.tar:app:1", **options)
        assert bool(result.get("failed")) is fails, result
    assert sorted(one.name for one in folder.iterdir()) == ["none.tar"]
    assert stat.S_IMODE((folder / "none.tar").stat().st_mode) == 0o644
    assert len({path for path, unused, dummy in seen}) >= 3
    for path, flags, mode in seen:
        assert os.path.dirname(path) == str(folder) and re.fullmatch(r"\.longshore-[0-9a-f]{16}", os.path.basename(path))
        assert flags & os.O_EXCL and flags & os.O_NOFOLLOW and mode == 0o600


def test_s21_credentials_stay_at_their_end(module, faulty, tmp_path):
    """An archive is written to disk; nothing of who fetched it is in it."""
    name = f"{faulty.host}/{faulty.put('login', IMAGE)}:1"
    path = tmp_path / "images.tar"
    options = {"src_plain_http": True, "src_username": "user", "src_password": "secret-of-the-user"}
    result = module("image_copy", src=name, dest=f"docker-archive:{path}:app:1", **options)
    assert not result.get("failed"), result
    assert b"secret-of-the-user" not in path.read_bytes()
