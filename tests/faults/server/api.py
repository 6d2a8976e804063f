# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Distribution API as it should be: what a fault registry does where nothing is played."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from .answer import Answer, document, error
from .kinds import Kind
from .storage import Repository, Storage, Stored, digest_of

if TYPE_CHECKING:
    from .exchange import Exchange

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_PART = re.compile(r"(\d+)-(\d+)")
_DIGEST = re.compile(r"sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})")
_INDEX = "application/vnd.oci.image.index.v1+json"
_OCTETS = "application/octet-stream"


class Api:
    """Answers requests from a `Storage`."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def answer(self, exchange: Exchange) -> Answer:
        """Carry out a request. What changes something is done when this returns."""
        kind = exchange.kind
        if kind is Kind.BASE:
            return document({})
        if kind is Kind.CATALOG:
            return document({"repositories": self._storage.names()})
        if kind is Kind.OTHER:
            exchange.body()
            return Answer(404)
        repository = self._storage[exchange.repository]
        if kind in (Kind.HEAD_MANIFEST, Kind.GET_MANIFEST):
            return self._manifest(exchange, repository)
        if kind in (Kind.HEAD_BLOB, Kind.GET_BLOB, Kind.STORAGE):
            return self._blob(exchange, repository)
        if kind is Kind.TAGS:
            return self._tags(exchange, repository)
        if kind is Kind.REFERRERS:
            rows = repository.referrers(exchange.reference)
            index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": rows}
            return Answer(200, json.dumps(index).encode(), {"Content-Type": _INDEX})
        body = exchange.body()
        if body is None:
            # Cut short: what came is kept where a registry can go on from, and nobody is there to be answered.
            self._keep_part(exchange, repository)
            return error(400, "SIZE_INVALID", "the body ended early")
        with self._storage.lock:
            return self._write(exchange, repository, body)

    def _manifest(self, exchange: Exchange, repository: Repository) -> Answer:
        found = repository.find(exchange.reference)
        if found is None:
            code = "MANIFEST_UNKNOWN" if self._storage.known(exchange.repository) else "NAME_UNKNOWN"
            return error(404, code)
        digest = found.digest
        if exchange.reference.startswith("sha512:"):
            digest = exchange.reference
        headers = {"Content-Type": found.media_type, "Docker-Content-Digest": digest, "ETag": f'"{digest}"'}
        return Answer(200, found.data, headers)

    def _blob(self, exchange: Exchange, repository: Repository) -> Answer:
        data = repository.blobs.get(exchange.reference)
        if data is None:
            return error(404, "BLOB_UNKNOWN")
        headers = {"Content-Type": _OCTETS, "Docker-Content-Digest": exchange.reference, "Accept-Ranges": "bytes"}
        headers["ETag"] = f'"{exchange.reference}"'
        match = _RANGE.fullmatch(exchange.headers.get("range", ""))
        if match is None:
            return Answer(200, data, headers)
        start, end = int(match[1]), min(int(match[2] or len(data) - 1), len(data) - 1)
        if start > end:
            return Answer(416, b"", {**headers, "Content-Range": f"bytes */{len(data)}"})
        return Answer(206, data[start : end + 1], {**headers, "Content-Range": f"bytes {start}-{end}/{len(data)}"})

    def _tags(self, exchange: Exchange, repository: Repository) -> Answer:
        if not self._storage.known(exchange.repository):
            return error(404, "NAME_UNKNOWN")
        tags, query = sorted(repository.tags), exchange.query
        last = query.get("last", "")
        left = [tag for tag in tags if tag > last]
        count = int(query.get("n", len(left)) or 0)
        headers = {}
        if len(left) > count > 0:
            left = left[:count]
            headers["Link"] = f'</v2/{exchange.repository}/tags/list?n={count}&last={left[-1]}>; rel="next"'
        return document({"name": exchange.repository, "tags": left}, headers=headers)

    def _write(self, exchange: Exchange, repository: Repository, body: bytes) -> Answer:
        kind = exchange.kind
        if kind is Kind.PUT_MANIFEST:
            return self._put_manifest(exchange, repository, body)
        if kind is Kind.POST_UPLOAD:
            return self._post(exchange, repository)
        if kind is Kind.DELETE_MANIFEST:
            return self._delete_manifest(exchange.reference, repository)
        if kind is Kind.DELETE_BLOB:
            return Answer(202) if repository.blobs.pop(exchange.reference, None) is not None else error(404, "BLOB_UNKNOWN")
        upload = repository.uploads.get(exchange.reference)
        if upload is None:
            return error(404, "BLOB_UPLOAD_UNKNOWN")
        if kind is Kind.DELETE_UPLOAD:
            del repository.uploads[exchange.reference]
            return Answer(204)
        if kind is Kind.GET_UPLOAD:
            return Answer(204, b"", self._progress(exchange.repository, exchange.reference, upload))
        part = _PART.fullmatch(exchange.headers.get("content-range", ""))
        if part is not None and int(part[1]) != len(upload):
            return Answer(416, b"", self._progress(exchange.repository, exchange.reference, upload))
        upload += body
        if kind is Kind.PATCH_UPLOAD:
            return Answer(202, b"", self._progress(exchange.repository, exchange.reference, upload))
        return self._complete(exchange, repository, bytes(upload))

    def _complete(self, exchange: Exchange, repository: Repository, data: bytes) -> Answer:
        del repository.uploads[exchange.reference]
        wanted = exchange.query.get("digest", "")
        if _DIGEST.fullmatch(wanted) is None or digest_of(data, wanted.partition(":")[0]) != wanted:
            return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        repository.blobs[wanted] = data
        place = f"/v2/{exchange.repository}/blobs/{wanted}"
        return Answer(201, b"", {"Location": place, "Docker-Content-Digest": wanted})

    def _post(self, exchange: Exchange, repository: Repository) -> Answer:
        digest, origin = exchange.query.get("mount", ""), exchange.query.get("from", "")
        data = self._storage[origin].blobs.get(digest) if origin else None
        if data is not None:
            repository.blobs[digest] = data
            place = f"/v2/{exchange.repository}/blobs/{digest}"
            return Answer(201, b"", {"Location": place, "Docker-Content-Digest": digest})
        name = self._storage.begin(exchange.repository)
        return Answer(202, b"", self._progress(exchange.repository, name, bytearray()))

    def _put_manifest(self, exchange: Exchange, repository: Repository, body: bytes) -> Answer:
        manifest = Stored(exchange.headers.get("content-type", ""), body)
        tag = "" if ":" in exchange.reference else exchange.reference
        if not tag and exchange.reference != digest_of(body, exchange.reference.partition(":")[0]):
            return error(400, "DIGEST_INVALID")
        missing = repository.missing(manifest)
        if missing:
            return error(400, "MANIFEST_BLOB_UNKNOWN", f"blob unknown to registry: {missing[0]}")
        digest = repository.keep(manifest, tag)
        headers = {"Location": f"/v2/{exchange.repository}/manifests/{digest}", "Docker-Content-Digest": digest}
        subject = json.loads(body).get("subject")
        if subject:
            headers["OCI-Subject"] = subject["digest"]
        return Answer(201, b"", headers)

    @staticmethod
    def _delete_manifest(reference: str, repository: Repository) -> Answer:
        if reference in repository.tags:
            del repository.tags[reference]
            return Answer(202)
        if repository.manifests.pop(reference, None) is None:
            return error(404, "MANIFEST_UNKNOWN")
        repository.tags = {tag: digest for tag, digest in repository.tags.items() if digest != reference}
        return Answer(202)

    def _keep_part(self, exchange: Exchange, repository: Repository) -> None:
        if exchange.kind in (Kind.PATCH_UPLOAD, Kind.PUT_UPLOAD):
            with self._storage.lock:
                upload = repository.uploads.get(exchange.reference)
                if upload is not None:
                    upload += exchange.arrived

    @staticmethod
    def _progress(repository: str, name: str, upload: bytearray) -> dict[str, str]:
        place = f"/v2/{repository}/blobs/uploads/{name}?_state={len(upload)}"
        return {"Location": place, "Range": f"0-{max(0, len(upload) - 1)}", "Docker-Upload-UUID": name}


def queried(target: str) -> dict[str, str]:
    """The query of a target, the last of equal names."""
    return {name: values[-1] for name, values in parse_qs(target.partition("?")[2], keep_blank_values=True).items()}
