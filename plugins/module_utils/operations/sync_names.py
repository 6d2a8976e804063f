# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the images of a source repository go: the name of each at a destination."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from ..model.digest import Digest
from ..model.errors import InvalidDigest, InvalidInput, OciError
from ..model.location import DOCKER, URLS, Location
from ..model.reference import Reference, check_tag
from ..model.text import redact, sanitise
from ..transports import table

#: Destinations that hold many images in one file, which appears as a whole.
ARCHIVES = ("oci-archive", "docker-archive", *sorted(URLS))
LAYOUT, DIRECTORY = "oci", "dir"
_FIELDS = ("host", "repository", "namespace", "name", "tag")
_FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class From:
    """A repository as its source knows it."""

    #: '' where that is unknown, as for an image whose name in an archive is a tag alone.
    host: str
    path: str
    #: What of ``path`` is kept below a destination.
    below: str
    #: The user named this one repository, or one image.
    single: bool


@dataclass(frozen=True)
class Naming:
    """How names are made. ``rename`` is a template, '' for none."""

    rename: str = ""
    #: Keep host and path of the source.
    scoped: bool = False
    #: Appended to each tag.
    suffix: str = ""

    def __post_init__(self) -> None:
        if self.rename and self.scoped:
            raise InvalidInput("give rename or scoped, not both: {host}/{repository} in rename is what scoped does")
        for field in _FIELD.findall(self.rename):
            if field not in _FIELDS:
                raise InvalidInput(f"rename: there is no {{{sanitise(field, 40)}}}; there are {', '.join(_FIELDS)}")
        if "{tag}" in self._repository:
            raise InvalidInput("rename: {tag} stands behind ':', after the name of the repository")

    @property
    def _repository(self) -> str:
        return _split(self.rename)[0]

    def repository(self, source: From, port: str) -> str:
        """The part of the name that belongs below a destination. ``port``: what stands for ':' in a host."""
        host = source.host.replace(":", port)
        if self.scoped:
            return "/".join(filter(None, (host, source.path)))
        if not self.rename:
            return source.below
        namespace, unused, name = source.path.rpartition("/")
        fields = {"host": host, "repository": source.path, "namespace": namespace, "name": name}
        rendered = _FIELD.sub(lambda match: fields[match.group(1)], self._repository)
        # An empty field leaves no empty component.
        return "/".join(filter(None, rendered.split("/")))

    def tag(self, tag: str) -> str:
        """The tag at the destination."""
        template = _split(self.rename)[1] or "{tag}"
        return template.replace("{tag}", tag) + self.suffix


def _split(template: str) -> tuple[str, str]:
    cut = template.rfind(":")
    return (template, "") if cut < 0 or "/" in template[cut:] else (template[:cut], template[cut + 1 :])


class Dest:
    """A destination as the user wrote it. Raises InvalidInput for what holds no many images, or names one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_namespace = text.endswith("/")
        try:
            if self.is_namespace and not _has_scheme(text):
                # As a repository there would be read.
                reference = Reference.parse(f"{text.partition('://')[2] or text}x")
                self.location = Location(DOCKER, f"{reference.host}/{reference.repository[:-1]}".rstrip("/"))
            else:
                self.location = table.parse(text)
                self._check()
        except OciError as exc:
            raise exc.about(f"dest {redact(sanitise(text))}") from None
        self.transport = self.location.transport

    def _check(self) -> None:
        location = self.location
        if location.transport == DOCKER:
            reference = location.reference()
            if reference.tag or reference.digest:
                raise InvalidInput("names one image: give a repository, or a namespace that ends in '/'")
            self.location = Location(DOCKER, reference.name)
        elif location.transport in (LAYOUT, *ARCHIVES):
            unused, name, number = location.path_and_rest()
            if name or number is not None:
                raise InvalidInput("names one image: give the path alone, each image has a name of its own there")
        elif location.transport != DIRECTORY:
            raise InvalidInput(f"{location.transport}: is no place for a mirror; image_copy copies there")

    @property
    def is_archive(self) -> bool:
        """Whether it is one file, which appears as a whole."""
        return self.transport in ARCHIVES

    @property
    def shown(self) -> str:
        """As results show it."""
        return redact(self.text)

    def repository(self, source: From, naming: Naming) -> str:
        """The repository at the destination, with its host; of other places the part of the name that tells repositories
        apart. Workers share a mirror by it. Raises InvalidInput."""
        if self.transport == DIRECTORY:
            below = naming.repository(source, ":")
            return os.path.join(self.location.details, *below.split("/"))
        if self.transport != DOCKER:
            if naming.rename:
                return naming.repository(source, ":")
            return "/".join(filter(None, (source.host, source.path)))
        base = self.location.details
        if source.single and not (self.is_namespace or naming.rename or naming.scoped):
            return base
        below = naming.repository(source, "_")
        if not below:
            if self.is_namespace:
                raise InvalidInput(f"an image without a repository in its name goes to a repository, not to {self.shown}")
            return base
        return Reference.parse(f"{base}/{below}").name

    def place(self, repository: str, naming: Naming, name: str) -> Location:
        """Where the image ``name`` (tag, digest, or both) of a source goes, in what `repository` gave. Raises InvalidInput."""
        tag, digest = tag_and_digest(name)
        if tag:
            tag = check_tag(naming.tag(tag))
        if self.transport == DIRECTORY:
            return Location(DIRECTORY, f"{repository}:{tag}" if tag else f"{repository}@{digest}")
        if self.transport == DOCKER:
            return Location(DOCKER, f"{repository}:{tag}" if tag else f"{repository}@{digest}")
        if not repository:
            return self.location.named(tag or digest)
        return self.location.named(f"{repository}:{tag}" if tag else f"{repository}@{digest}")


def _has_scheme(text: str) -> bool:
    scheme, colon, rest = text.partition(":")
    return bool(colon) and scheme != DOCKER and (scheme in (LAYOUT, DIRECTORY) or scheme in ARCHIVES) and not rest[:1].isdigit()


def check_name(text: str) -> str:
    """``text`` if it is a tag, a digest or ``TAG@DIGEST``. Raises InvalidReference."""
    tag, at, digest = text.partition("@")
    if at or ":" in text:
        try:
            Digest.parse(digest if at else text)
        except InvalidDigest as exc:
            raise InvalidInput(f"tags: {exc.message}") from None
    if at or ":" not in text:
        check_tag(tag)
    return text


def tag_and_digest(name: str) -> tuple[str, str]:
    """Tag and digest of a name that `check_name` has passed, '' for what it does not have."""
    tag, at, digest = name.partition("@")
    return (tag, digest) if at else ("", name) if ":" in name else (name, "")
