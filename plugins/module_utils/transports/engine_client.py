# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few requests to a container engine's API (Docker Engine API; podman speaks it as well) that images need."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, TypeVar
from urllib.parse import quote

from ..model.digest import CHUNK, Digest
from ..model.errors import Cancelled, InvalidDigest, NetworkError, OciError
from ..model.platform import Platform
from ..model.text import shown
from . import engine_address, files
from .engine_address import Address
from .engine_failures import failure, refusal
from .engine_session import open_session
from .engine_settings import WORDS, EngineSettings

_T = TypeVar("_T")
#: Largest answer that is read as JSON, in bytes: what an engine says of tens of thousands of images.
_ANSWER = 64 * 1024 * 1024
#: How often a long request looks whether it is to end, in seconds.
_LOOK = 0.2


class Progress:
    """What a long request has moved so far, in bytes: told by the thread that does it, read by the one that waits."""

    def __init__(self) -> None:
        self.moved = 0
        #: Set by the one that waits no longer.
        self.given_up = threading.Event()


class EngineClient:
    """One engine. Thread-safe. Every method raises OciError in one sentence: NetworkError where it cannot be reached."""

    def __init__(self, transport: str, settings: EngineSettings, environment: Mapping[str, str] | None = None) -> None:
        self.transport = transport
        #: How messages call it.
        self.name = WORDS[transport]
        self._settings = settings
        self._environment = os.environ if environment is None else environment
        self._lock = threading.Lock()
        self._sessions: dict[tuple[Address, bool], Any] = {}
        #: One export at a time: an engine writes it to its disk first.
        self._exporting = threading.Lock()

    def inspect(self, image: str) -> dict[str, Any] | None:
        """What the engine says of an image, by reference or ID; None if it has no such image."""
        answer = self._ask("GET", f"/images/{quote(image, safe='/:@')}/json", f"inspect {image}", missing=True)
        return answer if isinstance(answer, dict) else None

    def images(self) -> list[dict[str, Any]]:
        """Every image, with its names in ``RepoTags``."""
        answer = self._ask("GET", "/images/json", "list its images")
        return [one for one in answer if isinstance(one, dict)] if isinstance(answer, list) else []

    def tag(self, image_id: Digest, repository: str, tag: str) -> None:
        """Let ``repository:tag`` stand for an image that is there."""
        path = f"/images/{image_id}/tag?repo={quote(repository, safe='')}&tag={quote(tag, safe='')}"
        self._ask("POST", path, f"tag {image_id} as {repository}:{tag}")

    def platform(self) -> Platform:
        """What it runs."""
        version = self._ask("GET", "/version", "tell its version")
        system, architecture = (_text(version, key) for key in ("Os", "Arch"))
        if architecture == "arm":
            # Of 32-bit ARM there are several, which only the kernel's name tells apart.
            architecture = _text(self._ask("GET", "/info", "tell its platform"), "Architecture") or architecture
        if not system or not architecture:
            raise OciError(f"{self.name} does not tell its platform: name one in 'platforms'")
        return Platform.of(system, architecture)

    def export(self, image: str, target: IO[bytes]) -> None:
        """Write the archive of an image (``docker save``) to ``target``."""

        def work(session: Any, url: str, progress: Progress) -> None:
            what = f"export {image}"
            with session.get(f"{url}/images/{quote(image, safe='/:@')}/get", stream=True) as answer:
                self._check(answer, what)
                for data in answer.iter_content(CHUNK):
                    if progress.given_up.is_set():
                        return
                    with files.explained("write", "the temporary file for an image"):
                        target.write(data)
                    progress.moved += len(data)
                with files.explained("write", "the temporary file for an image"):
                    target.flush()

        with self._exporting:
            self._patiently(work)

    def load(self, chunks: Iterable[bytes], what: str) -> None:
        """Send an archive (``docker load``). The engine has taken it in when this returns."""

        def work(session: Any, url: str, progress: Progress) -> None:
            headers = {"Content-Type": "application/x-tar"}
            body = _counted(chunks, progress)
            with session.post(f"{url}/images/load?quiet=1", data=body, headers=headers, stream=True) as answer:
                self._check(answer, f"load {what}")
                for line in _lines(answer):
                    # Once it has begun to answer, an engine tells of an error only here.
                    message = _error(line)
                    if message is not None:
                        raise refusal(answer.status_code, message, self.transport, f"load {what}")

        self._patiently(work)

    def close(self) -> None:
        """Let go of connections; the next request opens new ones."""
        with self._lock:
            sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            session.close()

    def _ask(self, method: str, path: str, what: str, missing: bool = False) -> Any:
        status, data = self._request(method, path)
        message = _error(data)
        if missing and status == 404 and message is not None:
            return None
        if status >= 400 and (status != 404 or message is not None):
            raise self._refusal(status, data, what)
        try:
            return json.loads(data) if data.strip() else None
        except ValueError:
            raise OciError(f"{self.name} cannot {what}: its answer is no JSON; is this its API?") from None

    def _request(self, method: str, path: str) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        address, session = self._session(long=False)

        def ask() -> tuple[int, bytes]:
            with session.request(method, session.base_url + path, stream=True, timeout=self._settings.timeout) as answer:
                return answer.status_code, _body(answer, _ANSWER)

        try:
            # Through ssh nothing else watches the time.
            return _within(self._settings.timeout, ask) if address.url.startswith("ssh://") else ask()
        except Exception as exc:
            raise failure(exc, self.transport, address.url) from None

    def _check(self, answer: Any, what: str) -> None:
        if answer.status_code >= 400:
            raise self._refusal(answer.status_code, _body(answer, _ANSWER), what)

    def _refusal(self, status: int, data: bytes, what: str) -> OciError:
        return refusal(status, _error(data) or shown(data, 300), self.transport, what)

    def _session(self, long: bool) -> tuple[Address, Any]:
        """Where the engine is now, and a session with it; a ``long`` one waits for ever."""
        with self._lock:
            address = engine_address.find(self.transport, self._settings, self._environment)
            key = (address, long)
            if key not in self._sessions:
                try:
                    timeout = None if long else self._settings.timeout
                    self._sessions[key] = open_session(address, self.transport, timeout)
                except Exception as exc:
                    raise failure(exc, self.transport, address.url) from None
            return address, self._sessions[key]

    def _patiently(self, work: Callable[[Any, str, Progress], None]) -> None:
        """Do ``work`` in a thread of its own and wait for it as long as the engine is alive.

        An engine may be busy for minutes without a byte: then it is asked whether it is still there. Raises Cancelled
        when the task is stopped, and leaves the thread behind: its connection ends with the process at the latest.
        """
        address, session = self._session(long=True)
        progress = Progress()
        errors: list[BaseException] = []
        done = threading.Event()

        def run() -> None:
            try:
                work(session, session.base_url, progress)
            except BaseException as exc:
                errors.append(exc)
            finally:
                done.set()

        threading.Thread(target=run, name="longshore-engine", daemon=True).start()
        try:
            self._wait(done, progress)
        finally:
            progress.given_up.set()
        if errors:
            raise failure(errors[0], self.transport, address.url) from None

    def _wait(self, done: threading.Event, progress: Progress) -> None:
        moved, since = 0, time.monotonic()
        while not done.wait(_LOOK):
            if self._settings.stop.is_set():
                progress.given_up.set()
                done.wait(2.0)
                raise Cancelled("stopped before the end")
            if progress.moved != moved:
                moved, since = progress.moved, time.monotonic()
            elif time.monotonic() - since > self._settings.timeout:
                self._ask_whether_alive(done)
                since = time.monotonic()

    def _ask_whether_alive(self, done: threading.Event) -> None:
        try:
            alive = self._request("GET", "/_ping")[0] < 500
        except OciError:
            if not done.is_set():
                raise
            return
        if not alive and not done.is_set():
            raise NetworkError(f"{self.name} does not answer any more")


def image_id(inspected: Mapping[str, Any], what: str) -> Digest:
    """The ID of an inspected image. Podman leaves out the algorithm in places. Raises OciError."""
    text = _text(inspected, "Id")
    try:
        return Digest.parse(text if ":" in text else f"sha256:{text}")
    except InvalidDigest:
        raise OciError(f"{what} has no ID that is a digest: '{shown(text, 100)}'") from None


def _within(seconds: float, work: Callable[[], _T]) -> _T:
    """What ``work`` gives or raises; it is left behind in a thread when the time is up. Raises TimeoutError."""
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as exc:
            errors.append(exc)

    thread = threading.Thread(target=run, name="longshore-engine", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError("timed out")
    return results[0]


def _counted(chunks: Iterable[bytes], progress: Progress) -> Iterator[bytes]:
    for data in chunks:
        if progress.given_up.is_set():
            # Raised, not ended: the engine must not take what came so far for the whole.
            raise Cancelled("stopped before the end")
        if data:
            yield data
            progress.moved += len(data)


def _text(document: Any, key: str) -> str:
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, str) else ""


def _body(answer: Any, limit: int) -> bytes:
    data = bytearray()
    for piece in answer.iter_content(CHUNK):
        data += piece
        if len(data) > limit:
            raise OciError(f"an engine's answer has more than the {limit} bytes allowed")
    return bytes(data)


def _lines(answer: Any) -> Iterator[bytes]:
    for line in answer.iter_lines(CHUNK):
        if line.strip():
            yield line


def _error(data: bytes) -> str | None:
    """The engine's words in an error document; None if ``data`` is none."""
    try:
        document = json.loads(data)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    detail = document.get("errorDetail")
    for value in (detail.get("message") if isinstance(detail, dict) else None, document.get("error"), document.get("message")):
        if isinstance(value, str) and value:
            return value
    return None
