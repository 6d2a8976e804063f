# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line."""

from __future__ import annotations

import argparse
import pathlib
import sys
import traceback
from collections.abc import Sequence

from . import errors, record, repair, report, run, settings, signals
from .errors import CollectError, Interrupted
from .log import say
from .report import Report
from .settings import Settings


def main(arguments: Sequence[str]) -> int:
    """Carry out one command; the exit code (see `errors`). Standard output gets the report as JSON, and nothing else."""
    parser = argparse.ArgumentParser(prog="registry_gc.py", description="Collect the garbage of a registry.")
    commands = parser.add_subparsers(dest="command", required=True)
    collect = commands.add_parser("collect", help="collect now")
    collect.add_argument("--dry-run", action="store_true", help="only say what would go")
    mend = commands.add_parser("repair", help="bring back a registry that a killed run has left read-only")
    for one in (collect, mend):
        one.add_argument("--settings", required=True, type=pathlib.Path, help="the settings that the role has written")
    options = parser.parse_args(arguments)
    try:
        loaded = settings.load(options.settings)
        if options.command == "repair":
            return _repair(loaded)
        return _collect(loaded, options.dry_run)
    except CollectError as error:
        say(str(error))
        return error.code


def _collect(loaded: Settings, dry_run: bool) -> int:
    name = record.load(loaded.record).name
    result = Report(name, dry_run, last_success=report.last_success(loaded, name))
    try:
        with signals.obeyed():
            if dry_run:
                run.rehearse(loaded, result)
            else:
                run.collect(loaded, result)
    except CollectError as error:
        result.failed, result.exit_code, result.msg = True, error.code, str(error)
    except Interrupted as error:
        result.failed, result.exit_code = True, errors.INTERRUPTED
        result.msg = f"stopped by {error}"
        _repair_quietly(loaded, result)
    except Exception as error:  # a report is owed whatever happens
        say(traceback.format_exc())
        result.failed, result.exit_code, result.msg = True, errors.FAILED, f"{type(error).__name__}: {error}"
        _repair_quietly(loaded, result)
    result.end()
    if not dry_run:
        try:
            report.keep(loaded, result)
        except OSError as error:
            result.warn(f"the report or the metrics cannot be written: {error}")
    sys.stdout.write(result.json() + "\n")
    say(result.msg)
    return result.exit_code


def _repair(loaded: Settings) -> int:
    if not repair.repair(loaded):
        say("nothing to repair")
    return errors.OK


def _repair_quietly(loaded: Settings, result: Report) -> None:
    """If the run could not undo what it did, do so now. Its own failure is what is reported; this adds to it."""
    try:
        repair.repair(loaded)
    except CollectError as error:
        result.exit_code = error.code
        result.msg += f"; and the registry could not be brought back: {error}"
