# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places in memory that count what is asked of them and can be told to fail: for the engine's rules alone."""

from __future__ import annotations

import io
import json
import threading
from collections import Counter

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types
from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest, VerifyingReader
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import NotFound
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import descriptor_of, parse_manifest, serialise
from ansible_collections.longshore.oci.plugins.module_utils.transports.base import (
    Capabilities,
    ImageDestination,
    ImageSource,
)


def image(layers, os="linux", architecture="amd64", **more):
    """(manifest, {digest: bytes}) of an image of these layers."""
    config = json.dumps({"os": os, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    blobs = {Digest.of(one): one for one in [config, *layers]}

    def described(data, media_type):
        return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}

    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": described(config, media_types.OCI_CONFIG),
        "layers": [described(one, media_types.OCI_LAYER_GZIP) for one in layers],
        **more,
    }
    return parse_manifest(serialise(document)), blobs


def index(*entries):
    """An index of (manifest, platform or None, annotations) entries."""
    manifests = []
    for manifest, platform, notes in entries:
        entry = descriptor_of(manifest).to_json()
        if platform:
            os, architecture = platform.split("/")[:2]
            entry["platform"] = {"os": os, "architecture": architecture}
        if notes:
            entry["annotations"] = notes
        manifests.append(entry)
    return parse_manifest(serialise({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": manifests}))


class Source(ImageSource):
    """An image in memory. ``broken`` are digests whose blobs come out with a wrong byte."""

    def __init__(self, name, root, manifests, blobs, mount_host="", mount_repository="", broken=(), referrers=None):
        self.name = name
        self.root = root
        self.manifests = {one.digest: one for one in [root, *manifests]}
        self.blobs = blobs
        self.mount_host = mount_host
        self.mount_repository = mount_repository
        self.broken = set(broken)
        self.opened = Counter()
        self._referrers = referrers or {}

    def resolve(self):
        return self.root.digest

    def manifest(self, digest=None):
        try:
            return self.manifests[digest or self.root.digest]
        except KeyError:
            raise NotFound(f"no manifest {digest}", 404) from None

    def open_blob(self, descriptor, offset=0):
        self.opened[descriptor.digest] += 1
        data = self.blobs[descriptor.digest]
        if descriptor.digest in self.broken:
            data = b"x" + data[1:]
        return io.BytesIO(data[offset:])

    def tags(self):
        return []

    def referrers(self, digest):
        return self._referrers.get(digest, [])


class Host:
    """A registry's worth of repositories; ``fails`` maps (verb, name or digest) to errors to raise, once each."""

    def __init__(self, name="dest.example", mounts=True):
        self.name = name
        self.mounts = mounts
        self.repositories = {}
        self.log = []
        self.fails = {}
        self.lock = threading.Lock()

    def repository(self, name):
        return self.repositories.setdefault(name, Destination(self, name))

    def note(self, *entry):
        with self.lock:
            self.log.append(entry)
            error = self.fails.pop(entry, None) or self.fails.pop(entry[:1], None)
        if error:
            raise error

    def verbs(self):
        return Counter(entry[0] for entry in self.log)

    def writes(self):
        return [entry for entry in self.log if entry[0] in ("blob", "mount", "manifest", "name")]


class Destination(ImageDestination):
    def __init__(self, host, name):
        self.host = host
        self.name = name
        self.capabilities = Capabilities(mounts=host.mounts)
        self.mount_host = host.name if host.mounts else ""
        self.mount_repository = name
        self.names = {}
        self.manifests = {}
        self.blobs = {}

    def resolve(self, name):
        self.host.note("resolve", name)
        return self.names.get(name)

    def is_empty(self):
        return not self.manifests and not self.blobs

    def has_manifest(self, digest):
        self.host.note("has_manifest", digest)
        return digest in self.manifests

    def manifest(self, digest):
        self.host.note("get", digest)
        return self.manifests.get(digest)

    def has_blob(self, descriptor):
        self.host.note("has_blob", descriptor.digest)
        return descriptor.digest in self.blobs

    def mount_blob(self, descriptor, repository, open_blob):
        self.host.note("mount", descriptor.digest)
        found = self.host.repositories.get(repository)
        if found is None or descriptor.digest not in found.blobs:
            self.write_blob(descriptor, open_blob)
            return False
        self.blobs[descriptor.digest] = found.blobs[descriptor.digest]
        return True

    def write_blob(self, descriptor, open_blob):
        self.host.note("blob", descriptor.digest)
        stream = open_blob()
        self.blobs[descriptor.digest] = b"".join(VerifyingReader(stream, descriptor.digest, descriptor.size))
        stream.close()

    def write_manifest(self, manifest, name):
        self.host.note("manifest", manifest.digest)
        children = getattr(manifest, "manifests", ())
        blobs = [] if children else manifest.blobs()
        missing = [one for one in blobs if one.digest not in self.blobs]
        if missing:
            raise RuntimeError(f"manifest before its blobs: {missing}")
        self.manifests[manifest.digest] = manifest
        if name:
            self.host.note("name", name)
            self.names[name] = manifest.digest


def described(manifest, **more):
    return Descriptor(manifest.media_type, manifest.digest, manifest.size, **more)
