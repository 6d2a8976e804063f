# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository in memory behind the methods of RegistryClient, with the habits of different registries."""

from __future__ import annotations

import json
import threading

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import NotFound, TagDeleteUnsupported
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import (
    descriptor_of,
    parse_manifest,
    serialise,
)
from ansible_collections.longshore.oci.plugins.module_utils.operations.survey import Survey

REPOSITORY = "team/app"


class Client:
    """One repository. ``log`` has every request as (verb, target).

    ``tag_delete``: ``alone`` (as distribution 3 does it), ``unsupported`` (2.8.2), ``manifest`` (all tags of the
    manifest go too), ``last`` (a manifest goes with its last tag).
    """

    host = "registry.example"

    def __init__(self, tag_delete="alone"):
        self.tag_delete = tag_delete
        self.manifests = {}
        self.blobs = {}
        self.names = {}
        self.log = []
        self.lock = threading.Lock()

    # Filling it, which is not logged.

    def image(self, *tags, layers=(b"layer",), created="2026-01-01T00:00:00Z", subject=None, architecture="amd64"):
        """Store an image and return its manifest."""
        config = {"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}}
        raw = json.dumps({**config, "created": created} if created else config).encode()
        document = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": self._blob(raw, media_types.OCI_CONFIG),
            "layers": [self._blob(one, media_types.OCI_LAYER_GZIP) for one in layers],
        }
        if subject is not None:
            document["subject"] = descriptor_of(subject).to_json()
        return self._store(document, tags)

    def index(self, *children, tags=()):
        """Store an index of these manifests and return it."""
        manifests = [
            {**descriptor_of(one).to_json(), "platform": {"os": "linux", "architecture": f"arch{number}"}}
            for number, one in enumerate(children)
        ]
        return self._store({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": manifests}, tags)

    def _blob(self, data, media_type):
        self.blobs[Digest.of(data)] = data
        return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}

    def _store(self, document, tags):
        manifest = parse_manifest(serialise(document))
        self.manifests[manifest.digest] = manifest
        self.names.update((tag, manifest.digest) for tag in tags)
        return manifest

    # What RegistryClient offers.

    def tags(self, repository):
        self._note("tags", repository)
        if not self.manifests:
            raise NotFound("NAME_UNKNOWN", 404, "NAME_UNKNOWN")
        return list(self.names)

    def head_manifest(self, repository, target):
        self._note("head", str(target))
        manifest = self._find(str(target))
        return descriptor_of(manifest) if manifest else None

    def get_manifest(self, repository, target):
        self._note("get", str(target))
        manifest = self._find(str(target))
        if manifest is None:
            raise NotFound("MANIFEST_UNKNOWN", 404, "MANIFEST_UNKNOWN")
        return manifest

    def get_blob(self, repository, descriptor, limit):
        self._note("blob", str(descriptor.digest))
        return self.blobs[descriptor.digest]

    def referrers(self, repository, digest):
        self._note("referrers", str(digest))
        found = [one for one in self.manifests.values() if one.subject and one.subject.digest == digest]
        return [descriptor_of(one) for one in found]

    def put_manifest(self, repository, manifest, tag):
        self._note("PUT", tag or str(manifest.digest))
        self.manifests[manifest.digest] = manifest
        if tag:
            self.names[tag] = manifest.digest

    def delete_tag(self, repository, tag):
        self._note("DELETE", tag)
        if self.tag_delete == "unsupported":
            raise TagDeleteUnsupported("the registry cannot remove a tag alone", 400, "DIGEST_INVALID")
        digest = self.names.pop(tag, None)
        if digest is None:
            return False
        if self.tag_delete == "manifest" or (self.tag_delete == "last" and digest not in self.names.values()):
            self._drop(digest)
        return True

    def untag(self, repository, tag):
        self._note("UNTAG", tag)
        return self.names.pop(tag, None) is not None

    def delete_manifest(self, repository, digest):
        self._note("DELETE", str(digest))
        self._drop(digest)

    def _drop(self, digest):
        del self.manifests[digest]
        self.names = {tag: one for tag, one in self.names.items() if one != digest}

    def _find(self, target):
        digest = Digest.parse(target) if ":" in target else self.names.get(target)
        return self.manifests.get(digest)

    def _note(self, verb, target):
        with self.lock:
            self.log.append((verb, target))

    # What tests ask.

    def writes(self):
        return [entry for entry in self.log if entry[0].isupper()]

    def survey(self, parallel=4):
        """A new survey: what an earlier one remembers is out of date."""
        return Survey(self, REPOSITORY, parallel)
