# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and stop servers in the background, and make images, from a shell or a playbook.

    python -m tests.servers start --state FILE '[{"kind": "registry", "tls": true}]'
    python -m tests.servers stop --state FILE
    python -m tests.servers layout DIRECTORY --tag 1.0 --tag 1.1 [--platform linux/amd64] [--kind docker]
    python -m tests.servers runnable DIRECTORY --tag 1.0 --cache DIRECTORY

``start`` prints the state, ``layout`` and ``runnable`` the digest of each tag, as JSON.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from typing import Any

from . import background, images
from .process import ServerFailed
from .runnable import runnable


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="servers", description="Servers and images for tests.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("start", "keep"):
        row = verbs.add_parser(verb, help="start servers" if verb == "start" else "start servers and stay with them")
        row.add_argument("--state", type=pathlib.Path, required=True)
        row.add_argument("specification", type=json.loads)
    row = verbs.add_parser("stop", help="stop servers")
    row.add_argument("--state", type=pathlib.Path, required=True)
    for verb in ("layout", "runnable"):
        row = verbs.add_parser(verb, help="write an OCI layout")
        row.add_argument("directory", type=pathlib.Path)
        row.add_argument("--tag", action="append", required=True)
        row.add_argument("--kind", choices=(images.OCI, images.DOCKER), default=images.OCI)
        if verb == "layout":
            row.add_argument("--platform", action="append")
            row.add_argument("--layers", type=int, default=2)
            row.add_argument("--layer-size", type=int, default=4096)
            row.add_argument("--seed", type=int, default=0)
        else:
            row.add_argument("--cache", type=pathlib.Path, required=True)
            row.add_argument("--architecture", action="append")
    return parser


def main() -> int:
    arguments = _parser().parse_args()
    answer: Any = None
    try:
        if arguments.verb == "start":
            answer = background.start(arguments.specification, arguments.state)
        elif arguments.verb == "keep":
            background.keep(arguments.specification, arguments.state)
        elif arguments.verb == "stop":
            background.stop(arguments.state)
        elif arguments.verb == "layout":
            answer = images.make_layout(
                arguments.directory,
                arguments.platform or ("linux/amd64", "linux/arm64/v8"),
                tags=arguments.tag,
                kind=arguments.kind,
                layers=arguments.layers,
                layer_size=arguments.layer_size,
                seed=arguments.seed,
            )
        else:
            content = runnable(arguments.cache, arguments.architecture or ("amd64", "arm64"), kind=arguments.kind)
            images.write_layout(arguments.directory, dict.fromkeys(arguments.tag, content))
            answer = dict.fromkeys(arguments.tag, content.digest)
    except ServerFailed as error:
        print(error, file=sys.stderr)
        return 1
    if answer is not None:
        print(json.dumps(answer, indent=2))
    return 0


sys.exit(main())
