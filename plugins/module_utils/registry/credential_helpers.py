# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that keep credentials (``docker-credential-NAME``), asked through the ``docker`` package's store."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable
from typing import Any

from ..model.errors import InvalidInput, MissingRequirement, OciError
from ..model.text import shown

#: Seconds that a helper may take: some ask a cloud for a token first.
TIMEOUT = 60.0

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def ask(helper: str, server: str, source: str, timeout: float = TIMEOUT) -> tuple[str, str] | None:
    """Username and secret that ``docker-credential-<helper>`` has for ``server``; None if it has none.

    ``source`` names the helper in messages. Raises InvalidInput for a name that could be a path (R1.69),
    MissingRequirement without the ``docker`` package, OciError when the program is missing, fails or takes longer
    than ``timeout`` seconds.
    """
    try:
        answer = _call(helper, source, timeout, lambda store: store.get(server))
        if answer is None:
            return None
        username, secret = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError):
        # Its output holds a secret, so no part of it is shown.
        raise OciError(f"{source} gave an answer that is no credential") from None
    if not isinstance(username, str) or not isinstance(secret, str):
        raise OciError(f"{source} gave an answer that is no credential")
    return username, secret


def keep(helper: str, server: str, username: str, secret: str, source: str, timeout: float = TIMEOUT) -> None:
    """Have the helper keep ``username`` and ``secret`` for ``server``. Raises as `ask`."""
    _call(helper, source, timeout, lambda store: store.store(server, username, secret), secret)


def forget(helper: str, server: str, source: str, timeout: float = TIMEOUT) -> None:
    """Have the helper forget what it has for ``server``, if anything. Raises as `ask`."""
    _call(helper, source, timeout, lambda store: store.erase(server))


def _call(helper: str, source: str, timeout: float, use: Callable[[Any], Any], secret: str = "") -> Any:
    """What ``use`` makes of the helper's store; None if it has no such credentials. ``secret`` is not to be shown."""
    if not isinstance(helper, str) or _NAME.fullmatch(helper) is None:
        raise InvalidInput(f"{source} has no valid name: letters, digits, '.', '_' and '-'")
    try:
        from docker.credentials import Store
        from docker.credentials.errors import CredentialsNotFound, InitializationError, StoreError
    except ImportError:
        raise MissingRequirement(
            f"{source} can only be asked with the Python package docker, which is not installed"
        ) from None

    missing = OciError(f"{source} cannot be asked: there is no program docker-credential-{helper} in the PATH")
    try:
        with warnings.catch_warnings():
            # Its warning that the program is missing is our error.
            warnings.simplefilter("ignore")
            store: Any = Store(helper)
    except InitializationError:
        raise missing from None
    if store.exe is None:
        raise missing
    try:
        return _within(timeout, use, store)
    except CredentialsNotFound:
        return None
    except StoreError as exc:
        words = str(exc).replace(secret, "...") if secret else str(exc)
        raise OciError(f"{source} failed: {shown(words, 200)}") from None
    except _TooLong:
        raise OciError(f"{source} gave no answer in {timeout:.0f} seconds") from None
    except OSError as exc:
        raise OciError(f"{source} cannot be started: {exc.strerror}") from None


class _TooLong(Exception):
    """The time was up."""


def _within(timeout: float, use: Callable[[Any], Any], store: Any) -> Any:
    """What ``use(store)`` gives or raises. The package waits for ever, so it is left waiting in a thread."""
    answers: list[Any] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            answers.append(use(store))
        except Exception as exc:
            errors.append(exc)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout)
    if errors:
        raise errors[0]
    if not answers:
        raise _TooLong
    return answers[0]
