# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove tags and nothing else: the manifest and its other tags stay, and that is looked at, not hoped for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..model.digest import Digest
from ..model.errors import NotFound, RegistryError, TagDeleteUnsupported
from ..model.manifest import AnyManifest
from .concurrently import each
from .survey import Survey


def remove_tags(
    survey: Survey, tags: Iterable[str], untag: bool, needed: Callable[[Digest], bool] | None = None
) -> dict[str, TagDeleteUnsupported]:
    """Remove ``tags``; where the registry cannot do that (R1.52), by a placeholder manifest if ``untag`` says so.

    Returns the tags that could not be removed, each with the registry's refusal. Raises RegistryError if the registry
    took other tags along, after they were put back. ``needed``: whether a manifest that went with its last tag has to be
    put back, without the tag, because something else needs it.
    """
    heads = survey.heads(tags)
    remover = _Remover(survey, set(heads), untag, needed)
    left = [(tag, head.digest) for tag, head in heads.items()]
    # One after the other until one manifest was seen to outlive its tag; what held for it holds for the others.
    while left and not remover.proven:
        remover.prove(*left.pop(0))
    # Placeholders one after the other: distribution 2.8 looks through all tags when it deletes a digest, and trips over one
    # that is written meanwhile.
    parallel = 1 if remover.by_placeholder else survey.parallel
    each(remover.remove, [tag for tag, unused in left], parallel, survey.stop)
    return {tag: remover.refused[tag] for tag in heads if tag in remover.refused}


class _Remover:
    def __init__(self, survey: Survey, asked: set[str], untag: bool, needed: Callable[[Digest], bool] | None) -> None:
        self._survey = survey
        self._asked = asked
        self._untag = untag
        self._needed = needed
        #: The registry is known to leave manifests alone, or to refuse.
        self.proven = False
        self.refused: dict[str, TagDeleteUnsupported] = {}
        self._refusal: TagDeleteUnsupported | None = None

    @property
    def by_placeholder(self) -> bool:
        """Whether the registry refuses to remove a tag, and placeholders do it."""
        return self._untag and self._refusal is not None

    def remove(self, tag: str) -> None:
        """Remove one tag, or note why that cannot be."""
        client, repository = self._survey.client, self._survey.repository
        if self._refusal is None:
            try:
                client.delete_tag(repository, tag)
                return
            except TagDeleteUnsupported as exc:
                # What one tag is refused for holds for the next: no need to ask again.
                self._refusal = exc
        if self._untag:
            client.untag(repository, tag)
        else:
            self.refused[tag] = self._refusal

    def prove(self, tag: str, digest: Digest) -> None:
        """Remove one tag and look whether its manifest is still there."""
        client, repository = self._survey.client, self._survey.repository
        before = set(self._survey.tags())
        original = client.get_manifest(repository, digest)
        self.remove(tag)
        if self._refusal is not None or client.head_manifest(repository, digest) is not None:
            self.proven = True
        else:
            self._restore(digest, original, before)

    def _restore(self, digest: Digest, original: AnyManifest, before: set[str]) -> None:
        client, repository = self._survey.client, self._survey.repository
        # Some registries drop a manifest with its last tag. It is a loss only if tags went that nobody asked for.
        try:
            after = set(client.tags(repository))
        except NotFound:
            after = set()
        lost = sorted(before - after - self._asked)
        if not lost:
            if self._needed is not None and self._needed(digest):
                client.put_manifest(repository, original, None)
            return
        for tag in lost:
            client.put_manifest(repository, original, tag)
        raise RegistryError(
            f"{self._survey.name}: the registry deleted {digest} when asked to remove a tag, and with it the tags"
            f" {', '.join(lost[:5])}; they have been put back. It cannot remove tags alone",
            restored=lost,
        )
