# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The seam for plugins that run on the controller and meet a registry: they have options, but no module around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from ..model.errors import MissingRequirement, OciError
from ..model.text import sanitise, shown
from .argspec import one_end, wire
from .clients import Task
from .module import secrets_of
from .results import scrubbed

#: What is said of one registry: options that a plugin may also find in variables, as ``longshore_NAME``.
END = tuple(name for name in one_end() if name not in wire())


class _Options:
    """What `Task` needs of a module."""

    check_mode = False

    def __init__(self, params: dict[str, Any], names: Iterable[str]) -> None:
        self.params = params
        self.no_log_values = secrets_of([list(names), params])

    def get_bin_path(self, *unused: Any, **unused_too: Any) -> NoReturn:
        """Raises MissingRequirement: a plugin starts no programs."""
        raise MissingRequirement("podman's API is not running, and a plugin does not start it: start podman.socket first")


def ask(
    options: Mapping[str, Any], names: Iterable[str], verb: Callable[[Task], Any]
) -> tuple[Any, str, list[str]]:
    """What ``verb`` returns, the sentence that says why it failed ('' if it did not), and warnings; none has a secret.

    ``options`` are those of one end (argspec.one_end); what is missing has its default. ``names`` are what
    the user asks about. Nothing is raised, so that no exception with a secret hangs on what the plugin raises for it.
    """
    defaults = {name: spec.get("default") for name, spec in one_end().items()}
    task = Task(_Options({**defaults, **options}, names))
    answer, failure = None, ""
    try:
        task.check()
        answer = verb(task)
    except OciError as exc:
        library = exc.facts.get("library")
        failure = f"{exc.message}: install the Python library {library}" if library else exc.message
    except ImportError as exc:
        library = (exc.name or str(exc)).partition(".")[0]
        failure = f"the Python library {library} is missing on the controller: install it for the Python that runs Ansible"
    except Exception as exc:
        failure = f"unexpected {type(exc).__name__}: {shown(exc)} (a fault of this collection: please report it)"
    finally:
        task.close()
    secrets = task.secrets
    return answer, scrubbed(sanitise(failure, 4000), secrets), [scrubbed(sanitise(one), secrets) for one in task.warnings()]
