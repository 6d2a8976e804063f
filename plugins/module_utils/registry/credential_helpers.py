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
        answer = _within(timeout, store.get, server)
        username, secret = answer["Username"], answer["Secret"]
    except CredentialsNotFound:
        return None
    except StoreError as exc:
        raise OciError(f"{source} failed: {shown(exc, 200)}") from None
    except _TooLong:
        raise OciError(f"{source} gave no answer in {timeout:.0f} seconds") from None
    except OSError as exc:
        raise OciError(f"{source} cannot be started: {exc.strerror}") from None
    except (ValueError, KeyError, TypeError):
        # Its output holds a secret, so no part of it is shown.
        raise OciError(f"{source} gave an answer that is no credential") from None
    if not isinstance(username, str) or not isinstance(secret, str):
        raise OciError(f"{source} gave an answer that is no credential")
    return username, secret


class _TooLong(Exception):
    """The time was up."""


def _within(timeout: float, ask_store: Callable[[str], Any], server: str) -> Any:
    """What ``ask_store(server)`` gives or raises. The package waits for ever, so it is left waiting in a thread."""
    answers: list[Any] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            answers.append(ask_store(server))
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
