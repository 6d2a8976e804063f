# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to go so that a tag or a digest does, and what has to stay: worked out from reads alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model.digest import Digest
from ..model.errors import OciError
from ..model.media_types import INDEXES
from .survey import Contents, Survey, attached_to

#: What a removed manifest was: named by a tag or a digest, a child of a removed index, something that referred to one.
MANIFEST, CHILD, REFERRER = "manifest", "child", "referrer"


class Refused(OciError):
    """What was asked for would break something else, and ``force`` was not given. Nothing has been deleted."""


@dataclass(frozen=True)
class Options:
    """How far a deletion goes."""

    #: Delete a digest although tags, indexes or referrers need it.
    force: bool = False
    #: Delete what refers to a manifest (signatures, attestations, SBOMs) together with it.
    referrers: bool = False
    #: Remove a tag alone by way of a placeholder where the registry cannot do it otherwise.
    untag: bool = False
    #: Read every manifest that stays, to know how many bytes only the deleted ones held.
    count_bytes: bool = True


@dataclass
class Removal:
    """One manifest that goes, and every tag that goes with it."""

    digest: Digest
    what: str
    tags: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """What becomes of one repository."""

    survey: Survey
    #: Tags that go alone, each with its digest and the reason why that stays.
    tags_alone: dict[str, tuple[Digest, str]] = field(default_factory=dict)
    #: Manifests that go, in the order in which they do: indexes before what they list.
    removals: list[Removal] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    bytes_held: int | None = None

    @property
    def count(self) -> int:
        """How many tags and named manifests go: what ``max_delete`` limits."""
        named = [one for one in self.removals if one.what == MANIFEST]
        return len(self.tags_alone) + sum(max(1, len(one.tags)) for one in named)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be done."""
        return not self.tags_alone and not self.removals

    def stages(self) -> list[list[Removal]]:
        """The manifests that may go at the same time, in the order of the stages.

        Indexes go before what they list, and a fallback tag before the referrers it lists, so that nobody updates it.
        """
        ranks = [(MANIFEST, None), (CHILD, None), (REFERRER, True), (REFERRER, False)]
        return [
            [one for one in self.removals if one.what == what and (tagged is None or bool(one.tags) is tagged)]
            for what, tagged in ranks
        ]

    def deleted(self) -> list[dict[str, Any]]:
        """What goes, as the module returns it."""
        alone = [self.entry("tag", digest, [tag]) for tag, (digest, unused) in self.tags_alone.items()]
        return alone + [self.entry(one.what, one.digest, one.tags) for one in self.removals]

    def entry(self, what: str, digest: Digest, tags: Sequence[str]) -> dict[str, Any]:
        """How the result tells of one thing that goes."""
        return {"what": what, "repository": self.survey.name, "digest": str(digest), "tags": list(tags)}

    def keep(self, name: str, why: str) -> None:
        """Note that ``name`` (a tag or a digest) stays."""
        self.kept.append({"name": named(self.survey.name, name), "why": why})


def named(repository: str, target: str) -> str:
    """The reference for a tag or digest of ``repository``."""
    return f"{repository}{'@' if ':' in target else ':'}{target}"


def plan_deletion(
    survey: Survey, targets: Mapping[str, Digest | None], options: Options, kept: Mapping[str, str] | None = None
) -> Plan:
    """What has to go so that ``targets`` (tags or digests) do, and what has to stay.

    A digest beside a tag is a condition: the tag goes only while it stands for it. ``kept``: tags that a policy
    lets stay, with the reason. Raises Refused for a digest that something else needs.
    """
    plan = Plan(survey)
    for tag, why in (kept or {}).items():
        plan.keep(tag, why)
    heads = survey.heads(targets)
    tags: dict[str, Digest] = {}
    digests: list[Digest] = []
    for target, condition in targets.items():
        head = heads.get(target)
        if head is None:
            plan.missing.append(named(survey.name, target))
        elif ":" in target:
            digests.append(head.digest)
        elif condition is not None and condition != head.digest:
            plan.keep(target, f"it stands for {head.digest} now, not for {condition}")
        else:
            tags[target] = head.digest
    if tags or digests:
        _Planner(plan, tags, digests, options).fill()
    return plan


class _Planner:
    """Works out which manifests nothing else needs. Everything it knows comes from the tags of the repository."""

    def __init__(self, plan: Plan, tags: Mapping[str, Digest], digests: Iterable[Digest], options: Options) -> None:
        self._plan = plan
        self._survey = plan.survey
        self._going = tags
        self._explicit = set(digests)
        self._options = options
        self._heads = self._survey.heads([*self._survey.tags(), *tags])
        #: Every digest that has tags, with them.
        self._named: dict[Digest, set[str]] = {}
        for tag, head in self._heads.items():
            self._named.setdefault(head.digest, set()).add(tag)
        #: Tags that belong to another manifest, by that: signatures and the like.
        self._attached: dict[Digest, list[str]] = {}
        for tag in self._heads:
            subject = attached_to(tag)
            if subject is not None:
                self._attached.setdefault(subject, []).append(tag)
        #: Manifests that go.
        self._gone: dict[Digest, Removal] = {}
        #: Manifests that lose their tags and stay all the same.
        self._staying: set[Digest] = set()

    def fill(self) -> None:
        """Fill in the plan."""
        for digest in dict.fromkeys([*self._going.values(), *self._explicit]):
            self._candidate(digest)
        if self._options.referrers:
            self._add_referrers(list(self._gone))
        while True:
            blocked = self._blocked(self._gone)
            if not blocked:
                break
            for digest, why in blocked.items():
                self._let_stay(digest, why)
        self._add_children()
        order = {MANIFEST: 0, CHILD: 1, REFERRER: 2}
        self._plan.removals = sorted(self._gone.values(), key=lambda one: order[one.what])
        if self._options.count_bytes and self._gone:
            self._plan.bytes_held = self._count()

    def _candidate(self, digest: Digest) -> None:
        every = self._named.get(digest, set())
        going = sorted(tag for tag in every if self._going.get(tag) == digest)
        others = sorted(every - set(going))
        if digest in self._explicit:
            if others and not self._options.force:
                raise Refused(self._refusal(digest, f"{_tags(others)} it"))
            self._gone[digest] = Removal(digest, MANIFEST, going + others)
        elif others:
            for tag in going:
                self._plan.tags_alone[tag] = (digest, f"{_tags(others)} it too")
        else:
            self._gone[digest] = Removal(digest, MANIFEST, going)

    def _blocked(self, wanted: Iterable[Digest]) -> dict[Digest, str]:
        """Those of ``wanted`` that something which stays needs, with what that is."""
        wanted = [digest for digest in wanted if not (self._options.force and digest in self._explicit)]
        if not wanted:
            return {}
        parents = self._parents()
        referrers = self._survey.referrers(wanted)
        blocked = {}
        for digest in wanted:
            if digest in parents:
                blocked[digest] = f"the index {parents[digest]} lists it"
                continue
            names = [str(one.digest) for one in referrers[digest] if one.digest not in self._gone]
            names += [tag for tag in self._attached.get(digest, []) if self._heads[tag].digest not in self._gone]
            if names:
                blocked[digest] = f"{_few(names)} refers to it (referrers deletes such things too)"
        return blocked

    def _parents(self) -> dict[Digest, str]:
        """What the indexes that stay list, each with the name of its index."""
        found: dict[Digest, str] = {}
        roots: dict[Digest, str] = {}
        for digest, tags in self._named.items():
            # A fallback tag lists what refers to its subject: it does not need it in the way of an image index.
            ordinary = [tag for tag in tags if attached_to(tag) is None]
            if digest not in self._gone and ordinary and self._is_index(digest):
                roots[digest] = ordinary[0]
        roots.update((digest, str(digest)) for digest in self._staying)
        closure = self._survey.closure(roots)
        for root, name in roots.items():
            for child in _below(root, closure):
                found.setdefault(child, name)
        return found

    def _is_index(self, digest: Digest) -> bool:
        # Asked for already, by a tag or by the digest itself.
        name = next(iter(self._named.get(digest, ())), str(digest))
        return self._survey.heads([name])[name].media_type in INDEXES

    def _let_stay(self, digest: Digest, why: str) -> None:
        removal = self._gone.pop(digest)
        if digest in self._explicit:
            raise Refused(self._refusal(digest, why))
        self._staying.add(digest)
        if removal.what == MANIFEST:
            for tag in removal.tags:
                self._plan.tags_alone[tag] = (digest, why)
        else:
            self._plan.keep(str(digest), why)

    def _refusal(self, digest: Digest, why: str) -> str:
        return f"{named(self._survey.name, str(digest))} is not deleted: {why}. Set force to true to delete it all the same"

    def _add_referrers(self, subjects: list[Digest]) -> None:
        """What refers to ``subjects``, and to that in turn, goes with them, unless a tag of its own names it."""
        while subjects:
            found = self._survey.referrers(subjects)
            new = []
            for subject in subjects:
                attached = self._attached.get(subject, [])
                for digest in [*(one.digest for one in found[subject]), *(self._heads[tag].digest for tag in attached)]:
                    tags = self._named.get(digest, set())
                    if digest not in self._gone and all(tag in attached for tag in tags):
                        self._gone[digest] = Removal(digest, REFERRER, sorted(tags))
                        new.append(digest)
            subjects = new

    def _add_children(self) -> None:
        """What the removed indexes list goes too, where no tag and no index that stays needs it: nothing could reach it."""
        indexes = [digest for digest, one in self._gone.items() if one.what == MANIFEST and self._is_index(digest)]
        closure = self._survey.closure(indexes)
        below = dict.fromkeys(child for digest in indexes for child in _below(digest, closure))
        children = [digest for digest in below if digest in closure and digest not in self._gone]
        children = [digest for digest in children if digest not in self._named and digest not in self._staying]
        self._gone.update((digest, Removal(digest, CHILD)) for digest in children)
        if self._options.referrers:
            self._add_referrers(children)
        blocked = self._blocked(children)
        while blocked:
            for digest, why in blocked.items():
                self._let_stay(digest, why)
            blocked = self._blocked([digest for digest in children if digest in self._gone])

    def _count(self) -> int:
        """Bytes of the manifests and blobs that nothing which stays in this repository has."""
        staying = [digest for digest in self._named if digest not in self._gone]
        kept = self._survey.closure([*staying, *self._staying])
        gone = self._survey.manifests(self._gone)
        held = {blob for one in kept.values() for blob, unused in one.blobs}
        blobs = {blob: size for one in gone.values() for blob, size in one.blobs if blob not in held}
        return sum(blobs.values()) + sum(one.size for one in gone.values())


def _below(root: Digest, closure: Mapping[Digest, Contents]) -> list[Digest]:
    """Every digest that an index lists, directly or through another."""
    found: dict[Digest, None] = {}
    left = [root]
    while left:
        contents = closure.get(left.pop())
        new = [child for child in (contents.children if contents else ()) if child not in found]
        found.update(dict.fromkeys(new))
        left += new
    return list(found)


def _tags(names: Sequence[str]) -> str:
    return f"the tag {names[0]} stands for" if len(names) == 1 else f"the tags {_few(names)} stand for"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
