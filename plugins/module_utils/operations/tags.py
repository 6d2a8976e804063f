# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the tags of a repository, point them at what is already there, or remove them alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..model.digest import Digest
from ..model.errors import InvalidInput, InvalidReference, NotFound, RegistryError
from ..model.location import DOCKER
from ..model.reference import Reference, check_tag
from ..transports import table
from .concurrently import each
from .survey import Contents, Survey
from .tag_filter import TagFilter, ordered
from .untag import remove_tags

_NEVER = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Query:
    """Which tags are listed, in which order, and how much of each."""

    wanted: TagFilter = field(default_factory=TagFilter)
    #: ``name``, ``version``, ``created`` or ``none`` (as the registry lists them).
    sort: str = "name"
    descending: bool = False
    limit: int | None = None
    details: bool = False


@dataclass
class Change:
    """What becomes of tags: digests before and after, None for a tag that does not exist."""

    before: dict[str, str | None] = field(default_factory=dict)
    after: dict[str, str | None] = field(default_factory=dict)

    @property
    def tags(self) -> list[str]:
        """The tags that change."""
        return [tag for tag, digest in self.after.items() if self.before.get(tag) != digest]


def query(survey: Survey, wish: Query) -> tuple[list[str], list[dict[str, Any]], int]:
    """The tags wanted, their details if wanted, and how many tags the repository has."""
    every = survey.tags()
    tags = ordered((tag for tag in every if wish.wanted.matches(tag)), wish.sort)
    if wish.sort == "created":
        dates = created(survey, tags)
        # Those of unknown age first, as if they were the oldest.
        tags = sorted(tags, key=lambda tag: dates.get(tag) or _NEVER)
    if wish.descending:
        tags.reverse()
    if wish.limit is not None:
        tags = tags[: wish.limit]
    return tags, _details(survey, tags) if wish.details else [], len(every)


def listing(survey: Survey, wish: Query) -> dict[str, Any]:
    """`query` as fields of a module's result."""
    tags, details, total = query(survey, wish)
    return {"tags": tags, "total": total, **({"details": details} if wish.details else {})}


def created(survey: Survey, tags: Sequence[str]) -> dict[str, datetime | None]:
    """When the image behind each tag was made; each digest is looked at once."""
    heads = survey.heads(tags)
    dates = survey.created(head.digest for head in heads.values())
    return {tag: dates[heads[tag].digest] for tag in tags if tag in heads}


def _details(survey: Survey, tags: Sequence[str]) -> list[dict[str, Any]]:
    heads = survey.heads(tags)
    digests = [head.digest for head in heads.values()]
    dates = survey.created(digests)
    platforms = survey.platforms(digests)
    closure = survey.closure(digests)
    sizes = {digest: _stored(digest, closure) for digest in dict.fromkeys(digests)}
    return [
        {
            "tag": tag,
            "digest": str(heads[tag].digest),
            "media_type": heads[tag].media_type,
            "size": sizes[heads[tag].digest],
            "created": _iso(dates[heads[tag].digest]),
            "platforms": platforms.get(heads[tag].digest, []),
        }
        for tag in tags
        # One that has gone since the tags were listed.
        if tag in heads
    ]


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None


def _stored(digest: Digest, closure: dict[Digest, Contents]) -> int:
    """Bytes of all blobs of an image or of all platforms of an index, each once."""
    blobs: dict[Digest, int] = {}
    left, seen = [digest], {digest}
    while left:
        contents = closure.get(left.pop())
        if contents is not None:
            blobs.update(contents.blobs)
            new = [child for child in contents.children if child not in seen]
            seen.update(new)
            left += new
    return sum(blobs.values())


def repository_of(text: str) -> Reference:
    """The repository written as ``text``. Raises InvalidInput when it has a tag or a digest."""
    reference = table.parse(text)
    if reference.transport != DOCKER:
        raise InvalidInput(f"{reference} is no repository of a registry")
    repository = reference.reference()
    if repository.tag or repository.digest:
        raise InvalidInput(f"repository {text} has a tag or a digest: give the repository alone, {repository.name}")
    return repository


def source_of(text: str, repository: Reference) -> str:
    """The tag or digest that ``text`` means in ``repository``: ``stable``, ``sha256:...``, or a whole reference to it.

    Raises InvalidInput for a reference to another repository: its blobs would have to move.
    """
    if "/" not in text:
        try:
            return str(Digest.parse(text)) if ":" in text else check_tag(text)
        except InvalidReference as exc:
            raise InvalidInput(f"source: {exc.message}") from None
    reference = Reference.parse(text)
    if reference.name != repository.name:
        raise InvalidInput(f"source {text} is not in {repository.name}: tags are set within one repository; use image_copy")
    return reference.target


def plan_present(survey: Survey, tags: Sequence[str], source: str) -> tuple[Digest, Change]:
    """The digest of ``source`` and what each tag stands for now and then. Raises NotFound when there is no source."""
    heads = survey.heads([source, *tags])
    if source not in heads:
        joint = "@" if ":" in source else ":"
        raise NotFound(f"source {survey.name}{joint}{source} does not exist", 404)
    digest = heads[source].digest
    change = Change()
    for tag in tags:
        change.before[tag] = str(heads[tag].digest) if tag in heads else None
        change.after[tag] = str(digest)
    return digest, change


def set_tags(survey: Survey, change: Change, digest: Digest) -> None:
    """Carry out `plan_present`: the manifest is sent once for each tag that differs, and no blob at all."""
    tags = change.tags
    if not tags:
        return
    manifest = survey.client.get_manifest(survey.repository, str(digest))
    each(lambda tag: survey.client.put_manifest(survey.repository, manifest, tag), tags, survey.parallel, survey.stop)


def plan_absent(survey: Survey, tags: Sequence[str]) -> Change:
    """What each tag that goes stands for now."""
    heads = survey.heads(tags)
    return Change({tag: str(heads[tag].digest) if tag in heads else None for tag in tags}, dict.fromkeys(tags))


def clear_tags(survey: Survey, change: Change, untag: bool) -> None:
    """Carry out `plan_absent`. Raises RegistryError where tags cannot be removed alone, naming the ways out."""
    refused = remove_tags(survey, change.tags, untag)
    if refused:
        first = next(iter(refused.values()))
        raise RegistryError(
            f"{first.message}. Set untag to true to remove tags by way of a placeholder manifest, or use registry_delete"
            " to delete the manifest where no other tag needs it",
            first.status_code,
            first.error_code,
            refused=list(refused),
        )
