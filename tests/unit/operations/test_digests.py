# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What names stand for."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput, InvalidReference, NotFound, OciError
from ansible_collections.longshore.oci.plugins.module_utils.model.platform import Platform
from ansible_collections.longshore.oci.plugins.module_utils.operations.digests import digests
from ansible_collections.longshore.oci.plugins.module_utils.transports import table
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.transports import images

ARM = Platform.parse("linux/arm64")


class Source:
    """An image in memory that counts what is asked of it."""

    def __init__(self, name, image):
        self.name, self._image = name, image
        self.asked = []

    def resolve(self):
        self.asked.append("resolve")
        return self._image.digest

    def manifest(self, digest=None):
        self.asked.append("manifest")
        return self._image.manifest

    def open_blob(self, descriptor, offset=0):
        import io

        self.asked.append("blob")
        return io.BytesIO(self._image.blobs[descriptor.digest])

    def close(self):
        return


@pytest.fixture
def sources(monkeypatch):
    """A place of the test's own, for the names put into it."""
    held = {}

    def open_source(location, places, config=None):
        if location.details not in held:
            raise NotFound("no such tag")
        return held[location.details]

    monkeypatch.setattr(table, "open_source", open_source)
    return held


def put(sources, name, image):
    sources[name] = Source(name, image)
    return sources[name]


def test_one_question_for_each_name_in_their_order(sources):
    one, two = images.image("one"), images.two_platforms("two")
    found = [put(sources, "quay.io/a:1", one), put(sources, "b", two)]
    assert digests(["b", "docker://quay.io/a:1"], Places(), parallel=4) == [str(two.digest), str(one.digest)]
    assert [source.asked for source in found] == [["resolve"], ["resolve"]]


def test_the_digest_of_a_platform(sources):
    index = images.two_platforms()
    source = put(sources, "quay.io/app:1", index)
    assert digests(["quay.io/app:1"], Places(), ARM) == [str(index.children[1].digest)]
    assert source.asked == ["manifest"]


def test_an_image_of_one_platform(sources):
    image = images.image("one", "arm64")
    put(sources, "quay.io/app:1", image)
    assert digests(["quay.io/app:1"], Places(), ARM) == [str(image.digest)]
    with pytest.raises(InvalidInput, match="quay.io/app:1: it is no image for linux/s390x; it is for linux/arm64 alone"):
        digests(["quay.io/app:1"], Places(), Platform.parse("linux/s390x"))


def test_an_index_without_the_platform(sources):
    put(sources, "quay.io/app:1", images.two_platforms())
    with pytest.raises(InvalidInput, match="quay.io/app:1: has no image for linux/s390x; it has linux/amd64, linux/arm64"):
        digests(["quay.io/app:1"], Places(), Platform.parse("linux/s390x"))


def test_an_artifact_has_no_platform(sources):
    put(sources, "quay.io/app:1", images.artifact(images.image()))
    with pytest.raises(OciError, match="quay.io/app:1: it is an artifact"):
        digests(["quay.io/app:1"], Places(), ARM)


@pytest.mark.parametrize(
    ("name", "pinned"),
    [
        ("nginx", "docker.io/library/nginx:latest@{}"),
        ("docker://quay.io/a/b:1", "quay.io/a/b:1@{}"),
        ("quay.io/a/b@sha256:" + "a" * 64, "quay.io/a/b@{}"),
    ],
)
def test_a_pinned_name(sources, name, pinned):
    image = images.image()
    put(sources, name.removeprefix("docker://"), image)
    assert digests([name], Places(), pinned=True) == [pinned.format(image.digest)]


def test_what_cannot_be_meant_costs_no_question(sources):
    source = put(sources, "quay.io/app:1", images.image())
    with pytest.raises(InvalidReference):
        digests(["quay.io/app:1", "B"], Places())
    with pytest.raises(InvalidInput, match="oci:/srv/images:app cannot be pinned"):
        digests(["quay.io/app:1", "oci:/srv/images:app"], Places(), pinned=True)
    assert source.asked == []


def test_a_failure_names_the_image(sources):
    put(sources, "quay.io/app:1", images.image())
    with pytest.raises(NotFound, match="quay.io/b:1: no such tag"):
        digests(["quay.io/app:1", "quay.io/b:1"], Places(), parallel=2)
