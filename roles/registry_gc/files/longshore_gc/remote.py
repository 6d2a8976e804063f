# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage elsewhere, such as S3, read through a private registry and the collector's dry run."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator

from .catalogue import Repository
from .errors import CollectError, Refused
from .manifests import References, parse
from .probe import Answer, Endpoint

_ACCEPT = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
#: How many requests the sizes of what goes may cost.
_SIZE_REQUESTS = 5000


class Remote:
    """`Catalogue` through the API of ``endpoint``.

    Args:
        endpoint: A private registry.
        revisions: Each repository's manifests, as the collector enumerates them: the API names tagged ones only.
        first_seen: When each manifest was first seen without anything that reaches it: the API does not say when it came.
        now: The time, for those that are seen for the first time.
    """

    def __init__(self, endpoint: Endpoint, revisions: dict[str, list[str]], first_seen: dict[str, float], now: float) -> None:
        self._endpoint = endpoint
        self._revisions = revisions
        self._first_seen = first_seen
        self._now = now
        self._parsed: dict[tuple[str, str], References | None] = {}

    def repositories(self) -> list[Repository]:
        """All repositories that the collector knows."""
        return [
            Repository(name, self._tags(name), {digest: self._first_seen.get(f"{name}@{digest}", self._now) for digest in digests})
            for name, digests in self._revisions.items()
        ]

    def manifest(self, repository: str, digest: str) -> References | None:
        """What a manifest names."""
        key = (repository, digest)
        if key not in self._parsed:
            answer = self._endpoint.request("GET", f"/v2/{repository}/manifests/{digest}", {"Accept": _ACCEPT})
            if answer.status == 404:
                self._parsed[key] = None
            else:
                _expect(answer, 200, f"GET {repository}@{digest}")
                try:
                    self._parsed[key] = parse(answer.body)
                except ValueError as error:
                    raise Refused(f"{repository}@{digest} is no manifest ({error}): push that image again, or delete it") from error
        return self._parsed[key]

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a blob can be pulled from a repository."""
        return self._endpoint.request("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200

    def sizes(self, digests: set[str]) -> dict[str, int]:
        """Sizes of those that some repository still has a link to, within a limit of requests."""
        found: dict[str, int] = {}
        left = _SIZE_REQUESTS
        for digest in sorted(digests):
            for repository in self._revisions:
                if left == 0:
                    return found
                left -= 1
                answer = self._endpoint.request("HEAD", f"/v2/{repository}/blobs/{digest}")
                if answer.status == 200:
                    found[digest] = int(answer.headers["content-length"])
                    break
        return found

    def total_bytes(self) -> None:
        """No request tells."""
        return None

    def _tags(self, repository: str) -> dict[str, str] | None:
        names = list(self._tag_names(repository))
        found: dict[str, str] = {}
        for name in names:
            answer = self._endpoint.request("HEAD", f"/v2/{repository}/manifests/{name}", {"Accept": _ACCEPT})
            if answer.status != 404:
                _expect(answer, 200, f"HEAD {repository}:{name}")
                found[name] = answer.headers["docker-content-digest"]
        # Tags that are there and lead nowhere are a place for tags, too.
        return found if names else None

    def _tag_names(self, repository: str) -> Iterator[str]:
        target: str | None = f"/v2/{repository}/tags/list"
        while target:
            answer = self._endpoint.request("GET", target)
            if answer.status == 404:
                return
            _expect(answer, 200, f"GET {target}")
            yield from json.loads(answer.body).get("tags") or ()
            target = _next(answer)


def _next(answer: Answer) -> str | None:
    link = answer.headers.get("link", "")
    if 'rel="next"' not in link:
        return None
    place = urllib.parse.urlsplit(link[link.index("<") + 1 : link.index(">")])
    return f"{place.path}?{place.query}"


def _expect(answer: Answer, status: int, what: str) -> None:
    if answer.status != status:
        raise CollectError(f"{what} through the private registry: {answer.status} {answer.body[:300].decode(errors='replace')}")
