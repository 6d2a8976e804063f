# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Point a registry's configuration at the one that it is to have, unless somebody holds the lock of its storage.

Usage: python3 registry_link.py LINK TARGET LOCK [--check]

Whoever collects garbage has the registry read-only meanwhile, and holds the lock; then the link stays as it is. Prints
``changed``, ``unchanged`` or ``held``.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import sys
import tempfile


def replace(link: str, target: str) -> None:
    """Make LINK a link to TARGET in one step, and have that on the disk."""
    directory = os.path.dirname(link)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".link-") as draft:
        os.symlink(target, os.path.join(draft, "link"))
        os.replace(os.path.join(draft, "link"), link)
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def main() -> int:
    parser = argparse.ArgumentParser(description="Point a registry's configuration at the one that it is to have.")
    for name in ("link", "target", "lock"):
        parser.add_argument(name)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    there = os.readlink(options.link) if os.path.islink(options.link) else None
    if there == options.target:
        print("unchanged")
        return 0
    with contextlib.ExitStack() as stack:
        if not options.check or os.path.exists(options.lock):
            lock = stack.enter_context(open(options.lock, "a", encoding="utf-8"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # Where no link is yet there is nothing that is read-only either.
                if there is not None:
                    print("held")
                    return 0
        if not options.check:
            replace(options.link, options.target)
    print("changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
