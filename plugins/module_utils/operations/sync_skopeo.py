# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The YAML files of ``skopeo sync`` (skopeo-sync(1), "YAML file content"), with the meaning that skopeo gives them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..model.errors import InvalidInput, OciError
from ..model.reference import Reference
from ..model.text import sanitise
from . import go_regexp
from .masterminds import Constraints
from .sync_mapping import TagChoice
from .sync_names import check_name

_TRUE, _FALSE = ("y", "yes", "true", "on"), ("n", "no", "false", "off")
_IMAGES, _REGEX, _SEMVER = "images", "images-by-tag-regex", "images-by-semver"
_KEYS = (_IMAGES, _REGEX, _SEMVER, "credentials", "tls-verify", "cert-dir")


@dataclass(frozen=True)
class Section:
    """One registry of the file. ``repr`` shows no secret."""

    registry: str
    #: Each repository with what is wanted of it, in the order of the file.
    images: tuple[tuple[str, TagChoice], ...]
    username: str = ""
    password: str = field(default="", repr=False)
    #: None: as the task says.
    tls_verify: bool | None = None
    cert_dir: str = ""


def sections(document: Any, warn: Callable[[str], None]) -> list[Section]:
    """The registries in ``document``, whose scalars are texts. Raises InvalidInput."""
    if not isinstance(document, Mapping) or not document:
        raise InvalidInput("skopeo_yaml has no registries: its keys are registries, each with images below")
    return [_section(str(registry), _mapping(content, str(registry)), warn) for registry, content in document.items()]


def secrets(document: Any) -> Iterator[str]:
    """Every password in ``document``, whatever else is wrong with it."""
    for content in document.values() if isinstance(document, Mapping) else ():
        credentials = content.get("credentials") if isinstance(content, Mapping) else None
        password = credentials.get("password") if isinstance(credentials, Mapping) else None
        if password:
            yield str(password)


def _section(registry: str, content: Mapping[str, Any], warn: Callable[[str], None]) -> Section:
    unknown = [sanitise(key, 60) for key in content if key not in _KEYS]
    if unknown:
        warn(f"skopeo_yaml: {sanitise(registry, 140)} has keys that mean nothing to skopeo: {', '.join(unknown)}")
    images: list[tuple[str, TagChoice]] = []
    for name, wanted in _mapping(content.get(_IMAGES), registry, _IMAGES).items():
        images.append((_repository(registry, name), _named(registry, name, wanted)))
    for name, pattern in _mapping(content.get(_REGEX), registry, _REGEX).items():
        search = _about(registry, name, go_regexp.compiled, _text(registry, name, pattern)).search
        images.append((_repository(registry, name), TagChoice(wanted=_found(search), attached=True)))
    for name, constraint in _mapping(content.get(_SEMVER), registry, _SEMVER).items():
        check = _about(registry, name, Constraints, _text(registry, name, constraint)).check
        images.append((_repository(registry, name), TagChoice(wanted=check, attached=True)))
    credentials = _mapping(content.get("credentials"), registry, "credentials")
    return Section(
        registry,
        tuple(images),
        str(credentials.get("username") or ""),
        str(credentials.get("password") or ""),
        _bool(registry, content.get("tls-verify")),
        str(content.get("cert-dir") or ""),
    )


def _found(search: Callable[[str], re.Match[str] | None]) -> Callable[[str], bool]:
    return lambda tag: search(tag) is not None


def _repository(registry: str, name: str) -> str:
    reference: Reference = _about(registry, name, Reference.parse, f"{registry}/{name}")
    return reference.name


def _named(registry: str, name: str, wanted: Any) -> TagChoice:
    if wanted in (None, "", []):
        # No tag stands for all of them.
        return TagChoice(wanted=lambda tag: True, attached=True)
    if not isinstance(wanted, list):
        raise InvalidInput(
            f"skopeo_yaml: {sanitise(registry, 140)}: {sanitise(name, 140)} in {_IMAGES} needs a list of tags and digests"
        )
    names = [_text(registry, name, one) for one in wanted]
    return TagChoice(tuple(dict.fromkeys(_about(registry, name, check_name, one) for one in names)))


def _about(registry: str, name: str, read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except OciError as exc:
        raise InvalidInput(f"skopeo_yaml: {sanitise(registry, 140)}: {sanitise(name, 140)}: {exc.message}") from None


def _mapping(value: Any, registry: str, key: str = "") -> Mapping[str, Any]:
    if value in (None, "", {}):
        return {}
    if not isinstance(value, Mapping):
        raise InvalidInput(f"skopeo_yaml: {key + ' of ' if key else ''}{sanitise(registry, 140)} has to be a mapping")
    return value


def _text(registry: str, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidInput(
            f"skopeo_yaml: {sanitise(registry, 140)}: {sanitise(name, 140)}: {sanitise(value, 60)} is no text; put it in"
            " quotation marks, or give the file by its path"
        )
    return value


def _bool(registry: str, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    text = str(value).lower()
    if text not in (*_TRUE, *_FALSE):
        raise InvalidInput(
            f"skopeo_yaml: {sanitise(registry, 140)}: tls-verify is true or false, not {sanitise(value, 60)}"
        )
    return text in _TRUE
