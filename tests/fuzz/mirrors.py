# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of skopeo sync: YAML, registries, Go's patterns and ranges of versions, as far as which tags they choose."""

from __future__ import annotations

import json

from ansible_collections.longshore.oci.plugins.module_utils.operations import go_regexp, sync_skopeo
from ansible_collections.longshore.oci.plugins.module_utils.operations.masterminds import Constraints
from ansible_collections.longshore.oci.plugins.module_utils.support import skopeo_text
from ansible_collections.longshore.oci.tests.fuzz.oracle import check_message, expect, tried

# Short: a pattern may take as long as its author likes, and that is nobody else.
TAGS = ("1.2.3", "v1.0.0-rc.1", "latest", "1.2", "10", "a_b", "1.2.3-4+5", "\u0661")
_TELLING = 8


def check(data: bytes) -> None:
    """``data`` is the file, in JSON, which is YAML; or, where it is not, YAML, a pattern and a range."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        _choices(text)
        tried(skopeo_text.document_of, text)
        return
    said: list[str] = []
    found = tried(sync_skopeo.sections, document, said.append)
    secrets = [one for one in sync_skopeo.secrets(document) if len(one) >= _TELLING]
    for message in said:
        check_message(message)
    for section in found or ():
        shown = repr(section)
        expect(not any(one in shown for one in secrets if text.count(one) == 1), "a section shows no secret")
        for repository, choice in section.images:
            expect("/" in repository, "a repository is a whole name")
            for tag in TAGS:
                if choice.wanted is not None:
                    expect(choice.wanted(tag) in (True, False), "a tag is chosen or not")


def _choices(text: str) -> None:
    pattern = tried(go_regexp.compiled, text[:64])
    constraint = tried(Constraints, text[:64])
    for tag in TAGS:
        if pattern is not None:
            pattern.search(tag)
        if constraint is not None:
            expect(constraint.check(tag) in (True, False), "a version is in a range or not")
