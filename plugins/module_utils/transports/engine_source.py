# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading an image out of a container engine: its archive is exported to a nameless file, and read as any other."""

from __future__ import annotations

import os
import threading
from typing import Any

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import ContentError, InvalidDigest, InvalidReference, NotFound
from ..model.manifest import AnyManifest, Manifest
from ..model.reference import Reference
from ..model.streams import BlobStream
from ..model.text import sanitise
from . import spool
from .archive_content import Content, content_in
from .base import ImageSource
from .engine_client import EngineClient, image_id


class EngineSource(ImageSource):
    """The image that ``wanted`` stands for, a reference or, as a Digest, an ID.

    ``name`` is how messages name it, ``temporary`` the directory for the export, None for the system's.
    """

    def __init__(self, client: EngineClient, wanted: Reference | Digest, name: str, temporary: str | None = None) -> None:
        self.name = name
        self._client = client
        self._wanted = wanted
        self._temporary = temporary
        self._lock = threading.RLock()
        self._inspected: dict[str, Any] | None = None
        self._content: Content | None = None

    def resolve(self) -> Digest:
        """As the interface says. Docker's containerd store tells it; otherwise the image has to be exported."""
        descriptor = self._inspect().get("Descriptor")
        if self._content is None and isinstance(descriptor, dict):
            try:
                return Digest.parse(descriptor.get("digest"))
            except InvalidDigest as exc:
                raise ContentError(f"{self._client.name} describes {self.name} wrongly: {exc.message}") from None
        return self._exported().select("", None)

    def image_id(self) -> Digest | None:
        return image_id(self._inspect(), self.name) if self._content is None else None

    def manifest(self, digest: Digest | None = None) -> AnyManifest:
        content = self._exported()
        return content.manifest(digest or content.select("", None))

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> BlobStream:
        content = self._exported()
        return content.tar.stream(content.blob(descriptor), offset)

    def tags(self) -> list[str]:
        """The names of the images of this repository, or of the image if its ID was given, as the engine shows them."""
        if isinstance(self._wanted, Digest):
            return _strings(self._inspect().get("RepoTags"))
        names = [name for image in self._client.images() for name in _strings(image.get("RepoTags"))]
        return [name for name in names if _repository(name) == self._wanted.name]

    def referrers(self, digest: Digest) -> list[Descriptor]:
        return self._exported().referrers(digest)

    def close(self) -> None:
        with self._lock:
            content, self._content = self._content, None
            if content is not None:
                content.close()
        self._client.close()

    def _inspect(self) -> dict[str, Any]:
        with self._lock:
            if self._inspected is None:
                self._inspected = self._client.inspect(str(self._wanted))
            if self._inspected is None:
                raise NotFound(f"{self._client.name} has no image {sanitise(self._wanted, 200)}{self._local()}")
            return self._inspected

    def _local(self) -> str:
        # What podman builds is called localhost/NAME, and a short name is one of Docker Hub.
        wanted = self._wanted
        if isinstance(wanted, Digest) or wanted.tag is None or not wanted.name.startswith("docker.io/library/"):
            return ""
        local = f"localhost/{wanted.name.rpartition('/')[2]}:{wanted.tag}"
        return f"; it has {local}, which is another one" if self._client.inspect(local) is not None else ""

    def _exported(self) -> Content:
        with self._lock:
            if self._content is None:
                self._content = self._export()
            return self._content

    def _export(self) -> Content:
        inspected = self._inspect()
        own_id = image_id(inspected, self.name)
        size = inspected.get("Size")
        with spool.nameless(self._temporary, size if isinstance(size, int) and size > 0 else 0) as target:
            # By its ID: the name may go to another image meanwhile.
            self._client.export(str(own_id), target)
            handle = os.dup(target.fileno())
        content = content_in(handle, self.name, self._temporary)
        if content is None:
            raise ContentError(f"{self._client.name} exported nothing for {self.name}")
        try:
            digest = content.select("", None)
            root = content.manifest(digest)
            if own_id not in (digest, root.config.digest if isinstance(root, Manifest) else None):
                raise ContentError(f"{self._client.name} exported another image than {self.name}, which is {own_id}")
        except BaseException:
            content.close()
            raise
        return content


def _strings(value: Any) -> list[str]:
    return [sanitise(one, 300) for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _repository(name: str) -> str:
    try:
        return Reference.parse(name).name
    except InvalidReference:
        # <none>:<none>
        return ""
