# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a token must allow for which request (distribution's token scopes; R1.67, S22: never more than is needed)."""

from __future__ import annotations

CATALOG = "registry:catalog:*"


def reading(repository: str, push: bool = False) -> str:
    """The scope of a read. At a destination (``push``) it is that of the writes to come, so that one token serves all."""
    return writing(repository) if push else f"repository:{repository}:pull"


def writing(repository: str) -> str:
    """The scope of an upload or a manifest."""
    return f"repository:{repository}:pull,push"


def deleting(repository: str) -> str:
    """The scope of a deletion (R1.51)."""
    return f"repository:{repository}:pull,push,delete"


def everything(repository: str) -> str:
    """What some token servers want for a deletion, because they cannot read ``delete`` (R1.51)."""
    return f"repository:{repository}:*"
