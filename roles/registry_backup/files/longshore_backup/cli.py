# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program: create, restore, verify, list and recover."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from . import record, report
from .create import Create
from .destination import Destination
from .errors import BackupFailed, Interrupted
from .interlude import Interlude
from .locks import held
from .record import Record
from .restore import Restore
from .verify import verify

GOOD, FAILED, FAULTS = 0, 1, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; prints the result as one JSON object and returns the exit status: 0, 1 (failed), 2 (usage) or 3 (faults)."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    destination = Destination(options.destination)
    instance = ""
    try:
        found = record.read(options.record)
        instance = found.name
        result = _VERBS[options.verb](options, found, destination)
        status = FAULTS if result.get("fault_count") else GOOD
    except (BackupFailed, KeyboardInterrupt) as exc:
        result, status = {"msg": str(exc) or "interrupted"}, FAILED
    except OSError as exc:
        result, status = {"msg": f"{exc.strerror}: {exc.filename or options.destination}"}, FAILED
    result["failed"] = status != GOOD
    if status == FAULTS:
        result["msg"] = f"{result['fault_count']} faults in {result['path']}, the first: {result['faults'][0]}"
    if options.verb == "create" and not options.check:
        try:
            if options.report:
                report.document(options.report, result)
            if options.textfile and instance:
                report.textfile(options.textfile, instance, destination, status == GOOD)
        except (OSError, BackupFailed) as exc:
            result.setdefault("warnings", []).append(f"the report cannot be written: {exc}")
    json.dump(result, sys.stdout, sort_keys=True)
    sys.stdout.write("\n")
    if result["failed"]:
        sys.stderr.write(f"{result['msg']}\n")
    return status


def _interrupt(*unused: object) -> None:
    raise Interrupted("asked to end; what was copied is used by the next run")


def _create(options: argparse.Namespace, found: Record, destination: Destination) -> dict[str, Any]:
    verb = Create(
        found,
        destination,
        Interlude(options.state),
        keep=options.keep,
        wait=options.wait,
        readonly=options.readonly,
        config_only=options.config_only,
        further=[*options.further, *filter(os.path.isdir, [options.authority or ""])],
    )
    return verb.plan() if options.check else verb.run()


def _restore(options: argparse.Namespace, found: Record, destination: Destination) -> dict[str, Any]:
    verb = Restore(
        found,
        destination,
        Interlude(options.state),
        destination.resolve(options.backup),
        wait=options.wait,
        stop=options.stop,
        config=options.config,
        keep_old=options.keep_old,
    )
    return verb.plan() if options.check else verb.run()


def _verify(options: argparse.Namespace, unused: Record, destination: Destination) -> dict[str, Any]:
    name = destination.resolve(options.backup)
    with held(destination.lock, destination.path, options.wait, shared=True):
        return verify(destination, name, options.checksum)


def _list(unused: argparse.Namespace, dummy: Record, destination: Destination) -> dict[str, Any]:
    names = ("finished", "repositories", "tags", "blobs", "bytes", "config_only")
    rows = []
    for name in destination.names():
        summary = destination.summary(name)
        rows.append({"backup": name, **{key: summary[key] for key in names if key in summary}})
    return {"changed": False, "path": destination.path, "backups": rows}


def _recover(options: argparse.Namespace, found: Record, unused: Destination) -> dict[str, Any]:
    interlude = Interlude(options.state)
    if interlude.read() is None:
        return {"changed": False, "done": []}
    with held(found.lock, f"the storage of instance {found.name}", options.wait):
        done = interlude.recover()
    return {"changed": bool(done), "done": done}


_VERBS = {"create": _create, "restore": _restore, "verify": _verify, "list": _list, "recover": _recover}


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--record", required=True, help="instance.json of the instance")
    common.add_argument("--destination", required=True, help="the directory of its backups")
    common.add_argument("--state", required=True, help="where to note what has to be put right after a crash")
    common.add_argument("--wait", type=float, default=0.0, help="seconds to wait for a lock")
    common.add_argument("--check", action="store_true", help="say what would be done, and do nothing")
    parser = argparse.ArgumentParser(prog="longshore_backup", description="Backups of a container registry.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    create = verbs.add_parser("create", parents=[common], help="make a backup")
    create.add_argument("--keep", type=int, default=7, help="complete backups to keep; 0 keeps all")
    create.add_argument("--readonly", action="store_true", help="refuse pushes while tags and links are copied")
    create.add_argument("--config-only", action="store_true", help="configuration, users and certificates alone")
    create.add_argument("--further", action="append", default=[], help="another file or directory to keep")
    create.add_argument("--authority", help="the directory of the own authority, kept if it is there")
    create.add_argument("--report", help="a file for the result")
    create.add_argument("--textfile", help="a file for node_exporter")
    restore = verbs.add_parser("restore", parents=[common], help="put a backup back")
    restore.add_argument("--backup", default="latest", help="its name, or latest")
    restore.add_argument("--stop", action="store_true", help="stop the registry for it, and start it again")
    restore.add_argument("--config", action="store_true", help="users, certificates and secrets as well")
    restore.add_argument("--keep-old", action="store_true", help="keep what was there before")
    check = verbs.add_parser("verify", parents=[common], help="walk every tag of a backup")
    check.add_argument("--backup", default="latest", help="its name, or latest")
    check.add_argument("--checksum", action="store_true", help="read every byte as well")
    verbs.add_parser("list", parents=[common], help="the complete backups")
    verbs.add_parser("recover", parents=[common], help="put right what a crash has left")
    return parser
