# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What refers to what in an index.json, be it in a directory or in an archive (distribution-spec, "Listing Referrers")."""

from __future__ import annotations

from collections.abc import Callable

from ..model import media_types
from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import NotFound
from ..model.manifest import AnyManifest, Index, Manifest, descriptor_of
from . import layout_index


def referrer_descriptor(manifest: AnyManifest) -> Descriptor:
    """The descriptor under which a manifest with a subject is listed."""
    artifact_type = manifest.artifact_type
    if not artifact_type and isinstance(manifest, Manifest):
        artifact_type = manifest.config.media_type
    return descriptor_of(manifest, artifact_type=artifact_type, annotations=manifest.annotations)


def by_subject(index: Index, read: Callable[[Descriptor], AnyManifest]) -> dict[Digest, list[Descriptor]]:
    """The referrers among the entries of ``index`` by the digest of their subject; ``read`` gives an entry's manifest.

    The lists that fallback tags name (``sha256-<hex>``, "Referrers Tag Schema") are looked into as well.
    """
    found: dict[Digest, dict[Digest, Descriptor]] = {}
    for entry in {entry.digest: entry for entry in index.manifests}.values():
        if entry.media_type not in media_types.MANIFESTS:
            continue
        try:
            manifest = read(entry)
        except NotFound:
            # Listed and not there, as in a sparse layout: it refers to nothing that could be copied.
            continue
        if manifest.subject is not None:
            found.setdefault(manifest.subject.digest, {}).setdefault(manifest.digest, referrer_descriptor(manifest))
        algorithm, dash, encoded = entry.annotations.get(layout_index.REF_NAME, "").partition("-")
        tagged = layout_index.as_digest(f"{algorithm}:{encoded}") if dash else None
        if tagged is not None and isinstance(manifest, Index):
            for referrer in manifest.manifests:
                found.setdefault(tagged, {}).setdefault(referrer.digest, referrer)
    return {subject: list(ones.values()) for subject, ones in found.items()}
