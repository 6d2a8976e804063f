# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries that a test plays a fault in, or the same without the fault in the real one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ansible_collections.longshore.oci.tests.faults.server import FaultRegistry, Log, Scenario
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.registry import Registry

USER, PASSWORD = "user", "secret-of-the-user"
_numbers = itertools.count(1)
_ACCEPT = ", ".join(kinds[part] for kinds in images.MEDIA_TYPES.values() for part in ("index", "manifest"))


class Place(Protocol):
    """Where a test's image comes from or goes to."""

    #: Whether faults are played there. Where they are not, everything succeeds.
    played: bool
    host: str

    def repository(self, scenario: str) -> str:
        """A repository of its own, in which the scenario is played where any is."""

    def put(self, repository: str, content: images.Pushable, tags: Sequence[str]) -> None:
        """Store an image."""

    def tags(self, repository: str) -> dict[str, str]:
        """What each tag points at."""

    def has(self, repository: str, digest: str) -> bool:
        """Whether a blob is there."""


class Played:
    """The fault registry."""

    played = True

    def __init__(self, server: FaultRegistry) -> None:
        self.server = server
        self.host = server.host

    def repository(self, scenario: str) -> str:
        return self.server.repository(scenario)

    def put(self, repository: str, content: images.Pushable, tags: Sequence[str]) -> None:
        self.server.storage.put(repository, content, tuple(tags))

    def tags(self, repository: str) -> dict[str, str]:
        return dict(self.server.storage[repository].tags)

    def has(self, repository: str, digest: str) -> bool:
        return digest in self.server.storage[repository].blobs

    def log(self, repository: str) -> Log:
        return self.server.log.of(repository)


class Real:
    """distribution, where nothing goes wrong."""

    played = False

    def __init__(self, server: Registry) -> None:
        self.server = server
        self.host = server.host

    def repository(self, scenario: str) -> str:
        return f"test/{scenario or 'none'}/{next(_numbers)}"

    def put(self, repository: str, content: images.Pushable, tags: Sequence[str]) -> None:
        images.push(self.server, repository, content, list(tags))

    def tags(self, repository: str) -> dict[str, str]:
        # Distribution 2.8 has no answer for a repository without tags.
        found = self.server.request("GET", f"/v2/{repository}/tags/list")
        tags = json.loads(found[2]).get("tags") or []
        return {tag: self._digest(repository, tag) for tag in tags}

    def has(self, repository: str, digest: str) -> bool:
        return self.server.request("HEAD", f"/v2/{repository}/blobs/{digest}")[0] == 200

    def _digest(self, repository: str, tag: str) -> str:
        answer = self.server.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers={"Accept": _ACCEPT})
        return answer[1]["docker-content-digest"]


@dataclass
class Outcome:
    """What a module made of a copy from or to a place. ``before``: the tags that the destination had."""

    result: dict[str, Any]
    content: images.Pushable
    place: Any
    dest: Place
    #: The repository in which the scenario was played, and the one that is written to.
    scene: str
    repository: str
    before: dict[str, str]

    @property
    def message(self) -> str:
        """The sentence that the user reads."""
        return str(self.result.get("msg", ""))

    @property
    def log(self) -> Log:
        """What the fault registry was asked of the scene."""
        return self.place.log(self.scene) if self.place.played else Log()

    def succeeded(self) -> None:
        """Everything arrived, and the tag says so."""
        assert not self.result.get("failed"), self.result
        assert self.result["changed"] and self.result["digest"] == self.content.digest
        assert self.dest.tags(self.repository) == {**self.before, "1": self.content.digest}
        for blob in self.content.blobs():
            assert self.dest.has(self.repository, blob.digest)

    def failed(self, *sentences: str, **facts: Any) -> None:
        """A clean failure: these words in its message, these facts beside it, and no tag of the destination touched.

        Where no fault was played, success.
        """
        if not self.place.played:
            self.succeeded()
            return
        assert self.result.get("failed"), self.result
        for sentence in sentences:
            assert sentence in self.message, self.message
        assert "exception" not in self.result and "Traceback" not in self.message, self.result
        for name, value in facts.items():
            assert self.result.get(name) == value, self.result
        assert self.dest.tags(self.repository) == self.before


class Copies:
    """Copies of images from a scenario (`pull`) and into one (`push`), over image_copy."""

    def __init__(self, module: Callable[..., dict[str, Any]], place: Any, real: Real) -> None:
        self._module = module
        self.place = place
        self._real = real

    def pull(
        self,
        scenario: str | Scenario,
        content: images.Pushable,
        previous: images.Pushable | None = None,
        sound: images.Pushable | None = None,
        **options: Any,
    ) -> Outcome:
        """Copy an image that the place has into the real registry.

        ``previous``: what the tag names there before. ``sound``: what is copied in place of ``content`` where no faults are
        played, because it is itself the fault.
        """
        content = content if self.place.played or sound is None else sound
        scene = self.place.repository(self._name(scenario))
        self.place.put(scene, content, ["1"])
        return self.copy(self.place, scene, self._real, self._real.repository("pulled"), content, previous, scene, options)

    def push(
        self,
        scenario: str | Scenario,
        content: images.Pushable,
        previous: images.Pushable | None = None,
        **options: Any,
    ) -> Outcome:
        """Copy an image that the real registry has into the place."""
        source = self._real.repository("pushed")
        self._real.put(source, content, ["1"])
        scene = self.place.repository(self._name(scenario))
        return self.copy(self._real, source, self.place, scene, content, previous, scene, options)

    def copy(
        self,
        source: Any,
        origin: str,
        dest: Any,
        repository: str,
        content: images.Pushable,
        previous: images.Pushable | None,
        scene: str,
        options: dict[str, Any],
    ) -> Outcome:
        """Copy tag 1 of ``origin`` at ``source`` to tag 1 of ``repository`` at ``dest``."""
        if previous is not None:
            dest.put(repository, previous, ["1"])
        before = dest.tags(repository) if previous is not None else {}
        given = {"src_plain_http": True, "dest_plain_http": True, "timeout": 5, **options}
        result = self._module("image_copy", src=f"{source.host}/{origin}:1", dest=f"{dest.host}/{repository}:1", **given)
        return Outcome(result, content, self.place, dest, scene, repository, before)

    def _name(self, scenario: str | Scenario) -> str:
        if isinstance(scenario, str):
            return scenario
        if self.place.played:
            self.place.server.add(scenario)
        return scenario.name
