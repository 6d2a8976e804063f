# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image configuration: what an image runs, on which platform, out of which layers (image-spec config.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import strict_json
from .digest import Digest
from .errors import InvalidDigest, InvalidManifest
from .platform import Platform

#: Largest config we read, in bytes (R1.18).
CONFIG_LIMIT = 8 * 1024 * 1024


@dataclass(frozen=True)
class ImageConfig:
    """A parsed config. ``document`` is the whole of it, for those who want every field."""

    platform: Platform | None
    created: str
    docker_version: str
    author: str
    labels: dict[str, str]
    env: list[str]
    diff_ids: tuple[Digest, ...]
    history: list[dict[str, Any]]
    document: dict[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, raw: bytes, what: str = "image config") -> ImageConfig:
        """The config in ``raw``. Raises InvalidManifest."""
        document = strict_json.load_object(raw, what)
        run = document.get("config")
        run = run if isinstance(run, dict) else {}
        rootfs = document.get("rootfs")
        diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        try:
            parsed = tuple(Digest.parse(one) for one in (diff_ids or [])) if isinstance(diff_ids or [], list) else ()
        except InvalidDigest as exc:
            raise InvalidManifest(f"diff_ids of {what}: {exc.message}") from None
        labels, env, history = run.get("Labels"), run.get("Env"), document.get("history")
        return cls(
            Platform.from_json(document),
            _text(document.get("created")),
            _text(document.get("docker_version")),
            _text(document.get("author")),
            {key: _text(value) for key, value in labels.items()} if isinstance(labels, dict) else {},
            [_text(one) for one in env] if isinstance(env, list) else [],
            parsed,
            [one for one in history if isinstance(one, dict)] if isinstance(history, list) else [],
            document,
        )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
