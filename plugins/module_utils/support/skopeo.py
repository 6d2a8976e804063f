# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option skopeo_yaml: a file of ``skopeo sync``, by its path or as it is, each registry with options of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping as Dictionary
from dataclasses import replace
from typing import Any

from ..model.errors import InvalidInput, NetworkError, RegistryError
from ..operations import sync_skopeo
from ..operations.sync_mapping import Mapping
from ..operations.sync_names import Naming
from ..operations.sync_skopeo import Section
from ..operations.tag_filter import patterns
from ..registry.settings import Settings
from ..transports import files, table
from ..transports.places import Places
from .clients import Task, settings_of
from .results import spellings
from .skopeo_text import document_of, is_inline
from .transfers import wish_of

#: Largest file, in bytes.
_LIMIT = 16 * 1024 * 1024


def mappings_of(task: Task, opened: list[Places]) -> list[Mapping]:
    """The file as mappings. What reads a registry with options of its own is added to ``opened``, for the caller to close."""
    params = task.params
    if not params["dest"]:
        raise InvalidInput("skopeo_yaml says where images come from: dest says where they go")
    document = _read(params["skopeo_yaml"])
    task.secrets.update(spelling for secret in sync_skopeo.secrets(document) for spelling in spellings(None, secret))
    found = []
    for number, section in enumerate(sync_skopeo.sections(document, task.warn)):
        task.secrets.update(spellings(section.username, section.password) if section.password else ())
        places = Places(task.registries_with(f"skopeo {number}", _settings(task, section)))
        opened.append(places)
        for repository, choice in section.images:
            found.append(
                Mapping(
                    repository,
                    tuple(_namespace(text) for text in params["dest"]),
                    choice,
                    Naming("", params["scoped"], params["suffix"] or ""),
                    wish_of(params),
                    prune=params["prune"],
                    keep=patterns("keep", params["keep"]),
                    places=places,
                )
            )
    if not found:
        raise InvalidInput("skopeo_yaml names no image")
    return found


def _namespace(dest: str) -> str:
    # To skopeo a destination is always what comes before the names of the images.
    location = None if dest.endswith("/") else table.parse(dest)
    return f"{dest}/" if location is not None and location.transport == "docker" else dest


def _read(given: Any) -> Any:
    if isinstance(given, Dictionary):
        return given
    if not isinstance(given, str):
        raise InvalidInput("skopeo_yaml is the path of a file, or what such a file holds")
    if is_inline(given):
        return document_of(given)
    path = os.path.expanduser(given)
    return document_of(files.read_file(path, _LIMIT, path).decode("utf-8", "replace"))


def _settings(task: Task, section: Section) -> Settings:
    settings = settings_of(task.params, "src")
    if section.password:
        settings = replace(settings, username=section.username, password=section.password, token=None)
    if section.cert_dir:
        settings = replace(settings, cert_dir=os.path.expanduser(section.cert_dir))
    if section.tls_verify is not None:
        settings = replace(settings, validate_certs=section.tls_verify)
    if section.tls_verify is False and not settings.plain_http:
        settings = _with_scheme(task, section.registry.partition("/")[0], settings)
    return settings


def _with_scheme(task: Task, host: str, settings: Settings) -> Settings:
    """``tls-verify: false`` means to skopeo that the registry may speak HTTP, too: HTTPS is tried first."""
    for plain in (False, True):
        tried = replace(settings, plain_http=plain, retries=0)
        registries = task.registries_with(f"probe {host} {plain}", tried)
        try:
            registries.client(host).session.ping()
        except (NetworkError, RegistryError):
            continue
        finally:
            registries.close()
        return replace(settings, plain_http=plain)
    # Nothing answers: the images say so when they are asked for.
    return settings
