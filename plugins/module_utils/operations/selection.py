# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entries of an index are meant by a list of platforms."""

from __future__ import annotations

from collections.abc import Sequence

from ..model.descriptor import Descriptor
from ..model.errors import InvalidInput
from ..model.manifest import ATTESTS, Index
from ..model.platform import Platform


def choose(index: Index, wanted: Sequence[Platform]) -> tuple[Descriptor, ...]:
    """The entries for ``wanted``, in the index's order; attestations follow the image they attest.

    Raises InvalidInput, naming what there is, when one of ``wanted`` has no entry.
    """
    for wish in wanted:
        if not any(entry.platform and wish.accepts(entry.platform) for entry in index.manifests):
            offered = sorted(
                {str(entry.platform) for entry in index.manifests if entry.platform and not entry.platform.is_unknown}
            )
            raise InvalidInput(f"has no image for {wish}; it has {', '.join(offered) or 'no entry with a platform'}")
    kept = {
        entry.digest
        for entry in index.manifests
        if entry.platform and any(wish.accepts(entry.platform) for wish in wanted)
    }
    attested = {str(digest) for digest in kept}
    return tuple(
        entry for entry in index.manifests if entry.digest in kept or entry.annotations.get(ATTESTS) in attested
    )


def for_one(index: Index, wanted: Platform) -> Descriptor:
    """The one entry that ``wanted`` would run. Raises InvalidInput, naming what there is."""
    best = wanted.best([entry.platform for entry in index.manifests])
    if best is None:
        return choose(index, (wanted,))[0]
    return index.manifests[best]
