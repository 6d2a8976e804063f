# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a YAML file of ``skopeo sync``."""

from __future__ import annotations

from typing import Any

from ..model.errors import InvalidInput, MissingRequirement


def is_inline(text: str) -> bool:
    """Whether ``text`` is the content of a file, and not its path."""
    return "\n" in text or ": " in text or text.lstrip()[:1] == "{"


def document_of(text: str) -> Any:
    """What a file holds. Raises InvalidInput for what is no YAML, MissingRequirement."""
    try:
        import yaml
    except ImportError:
        raise MissingRequirement("skopeo_yaml needs PyYAML", library="PyYAML") from None

    # Every scalar is the text that it was written as: a tag 1.10 is no number.
    resolvers = {
        letter: [one for one in found if one[0] in ("tag:yaml.org,2002:merge", "tag:yaml.org,2002:null")]
        for letter, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    loader = type("Texts", (yaml.SafeLoader,), {"yaml_implicit_resolvers": resolvers})
    try:
        return yaml.load(text, loader)
    # What makes values of explicit tags and of escapes raises what Python raises.
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as exc:
        mark = getattr(exc, "problem_mark", None)
        # Not the words of the error: they may quote a password.
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise InvalidInput(f"skopeo_yaml is no YAML{where}") from None
