# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that modules share, each written once; the doc fragments describe the same ones in the same words."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import env_fallback

#: Secrets of one end: what is masked wherever it appears.
SECRETS = ("password", "token")
_ENVIRONMENT = "LONGSHORE_"

Spec = dict[str, dict[str, Any]]


def environment_name(option: str) -> str:
    """The variable that stands in for a credential option: ``src_password`` is ``LONGSHORE_SRC_PASSWORD``."""
    return _ENVIRONMENT + option.upper()


def wire() -> Spec:
    """How the task speaks to every registry it meets."""
    return {
        "timeout": {"type": "float", "default": 60.0},
        "retries": {"type": "int", "default": 5},
        "max_retry_after": {"type": "int", "default": 120},
        "bandwidth_limit": {"type": "bytes"},
        "parallel": {"type": "int", "default": 16},
        "max_requests_per_second": {"type": "float"},
        "rate_limit": {"type": "str", "choices": ["wait", "stop", "ignore"], "default": "stop"},
    }


def _auth_file() -> dict[str, Any]:
    # A path, no secret: what is in the file never reaches a result.
    return {"type": "path", "no_log": False}


def _end(prefix: str) -> Spec:
    def credential(name: str, secret: bool) -> dict[str, Any]:
        option = prefix + name
        return {"type": "str", "no_log": secret, "fallback": (env_fallback, [environment_name(option)])}

    return {
        f"{prefix}username": credential("username", False),
        f"{prefix}password": credential("password", True),
        f"{prefix}token": credential("token", True),
        f"{prefix}auth_file": _auth_file(),
        f"{prefix}validate_certs": {"type": "bool", "default": True},
        f"{prefix}ca_path": {"type": "path"},
        f"{prefix}client_cert": {"type": "path"},
        f"{prefix}client_key": {"type": "path", "no_log": False},
        f"{prefix}cert_dir": {"type": "path"},
        f"{prefix}plain_http": {"type": "bool", "default": False},
        f"{prefix}proxy": {"type": "str"},
        f"{prefix}trusted_realms": {"type": "list", "elements": "str", "default": []},
    }


def engine(prefix: str = "") -> Spec:
    """Where the container engine of one end is."""
    return {f"{prefix}daemon_host": {"type": "str"}}


def one_end(**options: dict[str, Any]) -> Spec:
    """The argument spec of a module that meets one registry: its own ``options`` and the shared ones."""
    return {**options, **_end(""), **wire()}


def two_ends(**options: dict[str, Any]) -> Spec:
    """The argument spec of a module with a source and a destination: the unprefixed credentials do not exist there."""
    return {**options, "auth_file": _auth_file(), **_end("src_"), **_end("dest_"), **wire()}
