# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An object at ``s3://bucket/key``, through boto3: ranged reads, and an upload in parts.

Endpoint, region and credentials are what boto3 finds by itself (``AWS_ENDPOINT_URL``, ``AWS_PROFILE``, instance roles).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..model.errors import Cancelled, InvalidInput, MissingRequirement, NetworkError, OciError, StorageError, TlsError
from ..model.text import sanitise, shown
from ..registry.settings import CONNECT_TIMEOUT
from ..registry.web import Web
from ..registry.web_errors import error
from .remote import Answer, Body, Remote, changed
from .s3_upload import Upload

_MISSING = "s3:// needs the Python library boto3 on the host that runs the task: install it, or use a presigned https:// URL"


class S3Object(Remote):
    """The object ``url``; ``web`` has the options for TLS, proxy and waits, and counts."""

    def __init__(self, url: str, web: Web) -> None:
        bucket, unused, key = url[len("s3://") :].partition("/")
        if not bucket or not key:
            raise InvalidInput(f"'{sanitise(url, 200)}' is no S3 object: expected s3://bucket/key")
        self.name = sanitise(url, 1000)
        self.retries = web.settings.retries
        self._where = {"Bucket": bucket, "Key": key}
        self._web = web
        self._lock = threading.Lock()
        self._made: Any = None

    def fetch(self, start: int, end: int, version: str = "") -> Answer | None:
        wanted = {**self._where, "Range": f"bytes={start}-{end - 1}", **({"IfMatch": version} if version else {})}
        found = self._call("GET", lambda client: client.get_object(**wanted), (404, "NoSuchKey"), (412, ""), (416, ""))
        if isinstance(found, int):
            if version or start:
                raise changed(self.name)
            return None
        content_range = str(found.get("ContentRange") or "")
        total = content_range.rpartition("/")[2]
        stream = _Stream(found["Body"], self)
        if not total.isdigit() or not content_range.startswith(f"bytes {start}-"):
            stream.close()
            raise StorageError(f"{self.name} answers with another range than it was asked for")
        return Answer(stream, True, int(total), str(found.get("ETag") or ""))

    def store(self, body: Body) -> None:
        Upload(self._call, self._where, self._web).run(body)

    def warn(self, text: str) -> None:
        self._web.meter.warn(text)

    def received(self, count: int) -> None:
        """``count`` bytes have come. Raises Cancelled."""
        self._web.meter.received(count)
        if self._web.bandwidth is not None:
            self._web.bandwidth.take(count, self._web.stop)
        if self._web.stop.is_set():
            raise Cancelled("the task was told to stop")

    def _call(self, method: str, ask: Callable[[Any], Any], *expected: tuple[int, str]) -> Any:
        """What ``ask`` gives, told the client; the status if it is refused with one of ``expected``, each a status and
        the code that has to come with it, '' for any. ``method`` is that of the request. Raises OciError."""
        if self._web.stop.is_set() and method != "DELETE":
            raise Cancelled("the task was told to stop")
        client = self._client()
        self._web.meter.asked(method != "GET")
        from botocore.exceptions import ClientError

        try:
            return ask(client)
        except ClientError as exc:
            status = int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
            said = exc.response.get("Error", {})
            code = shown(said.get("Code") or "", 100)
            if any(status == one and code in (needed or code,) for one, needed in expected):
                return status
            code = "" if code == str(status) else code
            raise error(method, self.name, status, code or None, shown(said.get("Message") or "", 300)) from None
        except OciError:
            raise
        except Exception as exc:
            raise explained(exc, self.name) from None

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def _make(self) -> Any:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise MissingRequirement(_MISSING) from None
        settings = self._web.settings
        options: dict[str, Any] = {
            "connect_timeout": min(CONNECT_TIMEOUT, settings.timeout),
            "read_timeout": settings.timeout,
            "retries": {"max_attempts": settings.retries + 1, "mode": "standard"},
        }
        if settings.proxy is not None:
            options["proxies"] = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else {}
        try:
            return boto3.session.Session().client(
                "s3", config=Config(**options), verify=None if settings.validate_certs else False
            )
        except Exception as exc:
            raise explained(exc, self.name) from None


def explained(exc: Exception, name: str) -> OciError:
    """``exc``, raised by boto3 over the object ``name``, for the user."""
    from botocore import exceptions

    words = shown(str(exc), 300)
    if isinstance(exc, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
        return InvalidInput(f"{name}: boto3 finds no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
    if isinstance(exc, exceptions.SSLError):
        return TlsError(f"{name}: TLS failed: {words}; AWS_CA_BUNDLE names the authorities that boto3 trusts")
    if isinstance(exc, (exceptions.HTTPClientError, exceptions.ConnectionError)):
        return NetworkError(f"{name}: {words}")
    if isinstance(exc, exceptions.BotoCoreError):
        return InvalidInput(f"{name}: {words}")
    # What is read of a body breaks in the words of urllib3, or of the socket.
    return NetworkError(f"{name}: the connection broke: {words or type(exc).__name__}")


class _Stream:
    """The body of an answer, with its errors as ours."""

    def __init__(self, body: Any, owner: S3Object) -> None:
        self._body = body
        self._owner = owner

    def read(self, size: int, /) -> bytes:
        try:
            data: bytes = self._body.read(size)
        except Exception as exc:
            raise explained(exc, self._owner.name) from None
        self._owner.received(len(data))
        return data

    def close(self) -> None:
        self._body.close()
