# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request is about: the ends of the Distribution API, and what this server has beside it."""

from __future__ import annotations

import enum
import re
from typing import NamedTuple
from urllib.parse import parse_qs


class Kind(enum.Enum):
    """The ends of the API (distribution-spec, "Endpoints"), and some of our own."""

    BASE = "base"
    HEAD_MANIFEST = "head manifest"
    GET_MANIFEST = "get manifest"
    PUT_MANIFEST = "put manifest"
    DELETE_MANIFEST = "delete manifest"
    HEAD_BLOB = "head blob"
    GET_BLOB = "get blob"
    DELETE_BLOB = "delete blob"
    POST_UPLOAD = "post upload"
    PATCH_UPLOAD = "patch upload"
    PUT_UPLOAD = "put upload"
    GET_UPLOAD = "get upload"
    DELETE_UPLOAD = "delete upload"
    TAGS = "tags"
    REFERRERS = "referrers"
    CATALOG = "catalog"
    #: ``/token``: what a challenge sends clients to.
    TOKEN = "token"
    #: ``/storage/<repository>/blobs/<digest>``: where a registry redirects those who want a blob.
    STORAGE = "storage"
    OTHER = "other"


#: What reads an image, and what writes one.
READS = frozenset((Kind.HEAD_MANIFEST, Kind.GET_MANIFEST, Kind.HEAD_BLOB, Kind.GET_BLOB))
UPLOADS = frozenset((Kind.POST_UPLOAD, Kind.PATCH_UPLOAD, Kind.PUT_UPLOAD))
WRITES = frozenset((*UPLOADS, Kind.PUT_MANIFEST))

_PATH = re.compile(
    r"/(?P<root>v2|storage)/(?P<repository>.+?)/"
    r"(?P<part>manifests|blobs/uploads|blobs|tags/list|referrers)(?:/(?P<reference>[^/]*))?"
)
_UPLOADS = {"POST": Kind.POST_UPLOAD, "PATCH": Kind.PATCH_UPLOAD, "PUT": Kind.PUT_UPLOAD}
_UPLOADS |= {"GET": Kind.GET_UPLOAD, "DELETE": Kind.DELETE_UPLOAD}
_MANIFESTS = {"HEAD": Kind.HEAD_MANIFEST, "GET": Kind.GET_MANIFEST}
_MANIFESTS |= {"PUT": Kind.PUT_MANIFEST, "DELETE": Kind.DELETE_MANIFEST}
_BLOBS = {"HEAD": Kind.HEAD_BLOB, "GET": Kind.GET_BLOB, "DELETE": Kind.DELETE_BLOB}


class Meant(NamedTuple):
    """What a request means. ``reference`` is a tag, a digest or an upload's name."""

    kind: Kind
    repository: str = ""
    reference: str = ""


def meaning(method: str, target: str) -> Meant:
    """What ``method target`` asks for."""
    path, unused, query = target.partition("?")
    if path in ("/v2", "/v2/"):
        return Meant(Kind.BASE)
    if path == "/v2/_catalog":
        return Meant(Kind.CATALOG)
    if path == "/token":
        return Meant(Kind.TOKEN, _scoped(query))
    match = _PATH.fullmatch(path)
    if match is None:
        return Meant(Kind.OTHER)
    repository, part, reference = match["repository"], match["part"], match["reference"] or ""
    if match["root"] == "storage":
        return Meant(Kind.STORAGE, repository, reference)
    if part == "blobs/uploads":
        return Meant(_UPLOADS.get(method, Kind.OTHER), repository, reference)
    if part == "manifests":
        return Meant(_MANIFESTS.get(method, Kind.OTHER), repository, reference)
    if part == "blobs":
        return Meant(_BLOBS.get(method, Kind.OTHER), repository, reference)
    return Meant(Kind.TAGS if part == "tags/list" else Kind.REFERRERS, repository, reference)


def _scoped(query: str) -> str:
    """The repository of the first scope in a token request's ``query``."""
    for scope in parse_qs(query).get("scope", []):
        for one in scope.split():
            kind, unused, rest = one.partition(":")
            if kind == "repository":
                return rest.rpartition(":")[0]
    return ""
