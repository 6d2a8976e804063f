# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upload to S3 in parts, of which nothing is left if it fails: the object appears whole, with the last request."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ..model.digest import CHUNK
from ..model.errors import Cancelled, InvalidInput, OciError, SizeMismatch
from ..model.streams import BlobStream
from ..registry.web import Web
from .remote import Body

#: Bytes of a part, as long as 10,000 parts, S3's limit, are enough for all.
PART = 8 * 1024 * 1024
_PARTS = 10_000
_LARGEST = 5 * 1024**4
#: Parts that are on their way at once; as many are in memory, and the one that is being filled.
_AT_ONCE = 2

#: Calls boto3 (`S3Object._call`): the method of the request, what to do with the client, statuses to be given back.
Call = Callable[..., Any]


class Upload:
    """Puts one object in its place. ``where`` is its bucket and key."""

    def __init__(self, call: Call, where: dict[str, str], web: Web) -> None:
        self._call = call
        self._where = where
        self._web = web

    def run(self, body: Body) -> None:
        """Send ``body``. Raises OciError; what was begun is then aborted."""
        if body.length > _LARGEST:
            raise InvalidInput(f"an object of S3 has at most 5 TiB, this archive would have {body.length} bytes")
        stream = body.open()
        try:
            if body.length <= PART:
                data = self._filled(stream, body.length)
                self._call("PUT", lambda client: client.put_object(**self._where, Body=data))
                self._web.meter.sent(len(data))
            else:
                self._in_parts(stream, body.length)
        finally:
            stream.close()

    def _in_parts(self, stream: BlobStream, length: int) -> None:
        begun = self._call("POST", lambda client: client.create_multipart_upload(**self._where))
        upload = {**self._where, "UploadId": begun["UploadId"]}
        size = max(PART, -(-length // _PARTS))
        try:
            parts = self._send_all(stream, length, size, upload)
            whole = {"Parts": parts}
            self._call("POST", lambda client: client.complete_multipart_upload(**upload, MultipartUpload=whole))
        except BaseException as exc:
            self._give_up(upload, exc)
            raise

    def _send_all(self, stream: BlobStream, length: int, size: int, upload: dict[str, Any]) -> list[dict[str, Any]]:
        sent: list[Future[dict[str, Any]]] = []
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for number, start in enumerate(range(0, length, size), 1):
                data = self._filled(stream, min(size, length - start))
                if len(sent) >= _AT_ONCE:
                    # Waits, and raises what went wrong: no more than so many are in memory.
                    sent[-_AT_ONCE].result()
                sent.append(pool.submit(self._send, data, number, upload))
                del data
        return [one.result() for one in sent]

    def _send(self, data: bytes, number: int, upload: dict[str, Any]) -> dict[str, Any]:
        answer = self._call("PUT", lambda client: client.upload_part(**upload, PartNumber=number, Body=data))
        self._web.meter.sent(len(data))
        # A checksum that boto3 has added to a part has to be named again at the end.
        sums = {key: value for key, value in answer.items() if key.startswith("Checksum") and key != "ChecksumType"}
        return {"PartNumber": number, "ETag": answer["ETag"], **sums}

    def _filled(self, stream: BlobStream, size: int) -> bytes:
        pieces = []
        left = size
        while left:
            if self._web.stop.is_set():
                raise Cancelled("the task was told to stop")
            data = stream.read(min(CHUNK, left))
            if not data:
                raise SizeMismatch(f"the archive ended {left} bytes before the end of a part")
            if self._web.bandwidth is not None:
                self._web.bandwidth.take(len(data), self._web.stop)
            pieces.append(data)
            left -= len(data)
        return b"".join(pieces)

    def _give_up(self, upload: dict[str, Any], why: BaseException) -> None:
        try:
            self._call("DELETE", lambda client: client.abort_multipart_upload(**upload))
        except OciError as exc:
            if isinstance(why, OciError):
                # Parts that are left cost money until someone removes them.
                why.message += f"; the upload begun could not be aborted either: {exc.message}"
                why.args = (why.message,)
