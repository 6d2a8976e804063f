# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new archive lists in index.json and manifest.json, out of what the old one listed and what was written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from ..model import media_types
from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.manifest import AnyManifest, Index, Manifest
from . import archive_names, docker_manifest, layout_index
from .docker_manifest import SavedImage

#: The manifest that a descriptor names, None if it is neither written nor in the old archive, or is no manifest.
Find = Callable[[Descriptor], "AnyManifest | None"]
_DEPTH = 3


def merged(
    scheme: str,
    old: Sequence[Descriptor],
    named: Mapping[str, Descriptor],
    listed: Iterable[Descriptor],
    keep: Collection[str] | None,
    find: Find,
) -> list[Descriptor]:
    """The entries of the new index.json.

    Of ``old`` those stay whose name is in ``keep`` (all if that is None) and was not written anew, with what refers
    to them; then come ``named`` in the order of their names, then ``listed``, the referrers written. Entries that
    say the same as before are the old ones, so that no change is seen to be none.
    """
    by_whole = {docker_manifest.full_name(name): name for name in named if docker_manifest.full_name(name)}
    taken = {one.digest for one in named.values()}
    entries: list[Descriptor] = []
    referrers: list[Descriptor] = []
    settled: set[str] = set()
    for entry in old:
        short, whole = entry.annotations.get(layout_index.REF_NAME, ""), archive_names.whole(entry)
        own = archive_names.name_of(scheme, entry)
        if not own and not layout_index.is_image(entry):
            referrers.append(entry)
            continue
        name = by_whole.get(whole, short)
        if name in named:
            if named[name].digest == entry.digest and name not in settled:
                settled.add(name)
                entries.append(entry)
                continue
            if not whole or name in by_whole.values():
                continue
            # A lone tag goes to another image; the whole reference is still this one's.
            entry = entry.annotated({layout_index.REF_NAME: None})
        elif not own and entry.digest in taken:
            continue
        if keep is None or own in keep or short in keep:
            entries.append(entry)
    for name in sorted(named):
        if name not in settled:
            entries.append(named[name].annotated(archive_names.as_annotations(name)))
    return _with_referrers(entries, referrers, listed, keep is None, find)


def _with_referrers(
    entries: list[Descriptor], old: list[Descriptor], written: Iterable[Descriptor], all_of_them: bool, find: Find
) -> list[Descriptor]:
    if all_of_them:
        kept = old
    else:
        reachable: set[Digest] = set()
        for entry in entries:
            _reach(entry, reachable, find)
        kept = []
        waiting = old
        # A referrer may have referrers of its own, listed before it.
        while True:
            rest = [entry for entry in waiting if _subject(entry, find) not in reachable]
            if len(rest) == len(waiting):
                break
            for entry in waiting:
                if _subject(entry, find) in reachable:
                    kept.append(entry)
                    _reach(entry, reachable, find)
            waiting = rest
    present = {entry.digest for entry in (*entries, *kept)}
    new = {entry.digest: entry for entry in written if entry.digest not in present}
    return [*entries, *kept, *(new[digest] for digest in sorted(new, key=str))]


def _reach(entry: Descriptor, found: set[Digest], find: Find, depth: int = 0) -> None:
    if entry.digest in found or depth > _DEPTH:
        return
    found.add(entry.digest)
    manifest = find(entry)
    if isinstance(manifest, Index):
        for child in manifest.manifests:
            _reach(child, found, find, depth + 1)


def _subject(entry: Descriptor, find: Find) -> Digest | None:
    manifest = find(entry)
    return manifest.subject.digest if manifest is not None and manifest.subject is not None else None


def saved_images(entries: Iterable[Descriptor], find: Find, holds: Callable[[Digest], bool]) -> list[SavedImage]:
    """The entries of manifest.json: each image once, with all its names; of an index one platform.

    Artifacts and images of which a layer is not in the archive (``holds``) have none: no docker could load them.
    """
    found: dict[Digest, tuple[SavedImage, dict[str, None]]] = {}
    given: set[str] = set()
    for entry in entries:
        image = _image(find(entry), find) if layout_index.is_image(entry) else None
        if image is None or not all(holds(blob.digest) for blob in (image.config, *image.layers)):
            continue
        if image.digest not in found:
            layers = tuple(layout_index.blob_name(layer.digest) for layer in image.layers)
            found[image.digest] = SavedImage(layout_index.blob_name(image.config.digest), layers), {}
        name = archive_names.whole(entry)
        if name and name not in given:
            given.add(name)
            found[image.digest][1][name] = None
    return [SavedImage(image.config, image.layers, tuple(names)) for image, names in found.values()]


def _image(manifest: AnyManifest | None, find: Find, depth: int = 0) -> Manifest | None:
    if manifest is None or isinstance(manifest, Manifest):
        return manifest if manifest is not None and _can_be_loaded(manifest) else None
    offers = [entry for entry in manifest.manifests if layout_index.is_image(entry)]
    for entry in sorted(offers, key=_rank):
        image = _image(find(entry), find, depth + 1) if depth < _DEPTH else None
        if image is not None:
            return image
    return None


def _can_be_loaded(manifest: Manifest) -> bool:
    # cosign's signatures have the config of an image, and layers that are none.
    return manifest.is_image and all(media_types.compression(layer.media_type) for layer in manifest.layers)


def _rank(entry: Descriptor) -> int:
    # What most machines run comes first; sorting keeps the order of the index otherwise.
    if entry.platform is None or entry.platform.os != "linux":
        return 2
    return 0 if entry.platform.architecture == "amd64" else 1
