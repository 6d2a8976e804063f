# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AnsibleModule for image_sync: what is secret in its option skopeo_yaml is known before anything is shown or logged."""

from __future__ import annotations

from ..model.errors import OciError
from .module import Module
from .results import spellings
from .skopeo_text import document_of, is_inline


class SkopeoModule(Module):
    """A module with the option skopeo_yaml, whose passwords are known before Ansible shows or logs its options."""

    def _load_params(self) -> None:
        super()._load_params()
        given = self.params.get("skopeo_yaml")
        if not given or (isinstance(given, str) and not is_inline(given)):
            return
        # Late: most mirrors are given as mappings.
        from ..operations.sync_skopeo import secrets

        try:
            document = document_of(given) if isinstance(given, str) else given
        except OciError:
            # What cannot be read cannot be told from a secret.
            self.no_log_values.add(given)
            return
        for secret in secrets(document):
            self.no_log_values.update(spellings(None, secret))
