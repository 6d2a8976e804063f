# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AnsibleModule for modules that move images: what is secret in a signed URL is known before anything is shown or logged.

An option that may be a URL is no secret as a whole, so ``no_log`` is not for it; but Ansible writes every other option to the
system's log, and into the result as ``invocation``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from ansible.module_utils.basic import AnsibleModule

from .lifeline import OPTION

_URL = re.compile(r"https?://([^/?#\s]*)[^?#\s]*(?:\?([^#\s]*))?")
#: Shorter queries and values are no signatures, and masking them would mask half of every result.
_SHORTEST_QUERY = 8
_SHORTEST_VALUE = 16


class Module(AnsibleModule):  # type: ignore[misc]
    """An AnsibleModule that masks queries and user information of URLs in its options, and takes an order for progress."""

    #: The directory that the action plugin on the controller looks into; '' where there is none.
    lifeline = ""

    def _load_params(self) -> None:
        # The first thing that happens to options; what is found here counts for whatever comes after.
        super()._load_params()
        self.lifeline = str(self.params.pop(OPTION, None) or "")
        self.no_log_values.update(secrets_of(self.params))


def secrets_of(options: Any) -> set[str]:
    """What must not be shown of the URLs in ``options``, values of any kind: their queries, each long value in these, and
    user information."""
    found: set[str] = set()
    for text in _texts(options):
        for host, query in _URL.findall(text):
            if len(query) >= _SHORTEST_QUERY:
                found.add(query)
            values = [part.partition("=")[2] for part in query.split("&")]
            signatures = [value for value in values if len(value) >= _SHORTEST_VALUE]
            for value in (*signatures, host.rpartition("@")[0].partition(":")[2]):
                found |= {value, unquote(value)}
    return found - {""}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)
