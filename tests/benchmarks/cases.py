# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cases, and for each of them the command of each side."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

from .case import Case, Context
from .machine import CommandError
from .sync_cases import SYNC_CASES

__all__ = ("CASES", "Case", "Context", "command")

WORKERS = 32


def _copy_arguments(context: Context) -> dict[str, Any]:
    return {
        "images": [{"src": source, "dest": destination} for source, destination in context.pairs()],
        "src_plain_http": True,
        "dest_plain_http": True,
    }


def _skopeo_copy(context: Context) -> str:
    return f"{shlex.quote(context.machine.skopeo)} copy --all --src-tls-verify=false --dest-tls-verify=false"


def _copy_skopeo(context: Context, side: str) -> str:
    pairs = context.scratch / "pairs"
    pairs.write_text("".join(f"{source} {destination}\n" for source, destination in context.pairs()), encoding="utf-8")
    return (
        "while read -r source destination; do\n"
        f'  {_skopeo_copy(context)} "docker://$source" "docker://$destination" </dev/null\n'
        f"done <{shlex.quote(str(pairs))}\n"
    )


def _save_arguments(context: Context) -> dict[str, Any]:
    return {
        "state": "saved",
        "images": [source for source, dummy in context.pairs()],
        "path": str(context.archive),
        "plain_http": True,
    }


def _save_skopeo(context: Context, side: str) -> str:
    source = context.pairs()[0][0]
    kind, suffix = ("oci-archive", ":1") if side == "skopeo-oci" else ("docker-archive", f":{context.images[0].name}")
    target = shlex.quote(f"{kind}:{context.archive}{suffix}")
    return f"{shlex.quote(context.machine.skopeo)} copy --src-tls-verify=false docker://{source} {target}\n"


def _upload_arguments(context: Context) -> dict[str, Any]:
    return {**_save_arguments(context), "path": f"http://{context.sink}/image.tar"}


def _upload_curl(context: Context, side: str) -> str:
    """What curl sends is made here, before the clock starts: a file of the layers, as large as the archive but for headers."""
    curl = shutil.which("curl")
    if curl is None:
        raise CommandError("curl is not installed, and case f is measured beside it")
    file = context.scratch / "upload"
    with open(file, "wb") as whole:
        for blob in context.images[0].blobs:
            with open(context.origin.blob_path(blob.digest), "rb") as part:
                shutil.copyfileobj(part, whole, 1 << 20)
    return f"{shlex.quote(curl)} -sSf -T {shlex.quote(str(file))} http://{context.sink}/image.tar\n"


def _convert_arguments(context: Context) -> dict[str, Any]:
    return {**_copy_arguments(context), "format": "oci", "compression": "zstd"}


def _convert_skopeo(context: Context, side: str) -> str:
    (source, destination), *unused = context.pairs()
    return f"{_skopeo_copy(context)} --format oci --dest-compress-format zstd docker://{source} docker://{destination}\n"


def _list_arguments(context: Context) -> dict[str, Any]:
    return {"repository": f"{context.source}/{context.images[0].repository}", "state": "query", "plain_http": True}


def _list_skopeo(context: Context, side: str) -> str:
    return f"{shlex.quote(context.machine.skopeo)} list-tags --tls-verify=false docker://{context.source}/{context.images[0].repository}\n"


def _point_arguments(context: Context) -> dict[str, Any]:
    return {
        "repository": f"{context.destination}/{context.images[0].repository}",
        "state": "present",
        "tags": context.points,
        "source": context.images[0].digest,
        "plain_http": True,
    }


def _point_skopeo(context: Context, side: str) -> str:
    image = context.images[0]
    repository = f"docker://{context.destination}/{image.repository}"
    return (
        f"for tag in {' '.join(context.points)}; do\n"
        f"  {_skopeo_copy(context)} {repository}@{image.digest} {repository}:$tag </dev/null\n"
        "done\n"
    )


PLAIN = ("skopeo", "module", "playbook")
CASES = (
    Case(
        "a",
        "one image of 4 large layers, cold",
        "large",
        "nothing",
        PLAIN,
        True,
        "image_copy",
        _copy_arguments,
        _copy_skopeo,
    ),
    Case(
        "d",
        "saving that image to an archive",
        "large",
        "unused",
        (*PLAIN, "skopeo-oci"),
        True,
        "image_save_load",
        _save_arguments,
        _save_skopeo,
    ),
    Case(
        "f",
        "saving that image to a URL",
        "large",
        "unused",
        ("curl", "module", "playbook"),
        True,
        "image_save_load",
        _upload_arguments,
        _upload_curl,
    ),
    Case(
        "g",
        "one layer of text from gzip to zstd",
        "text",
        "nothing",
        PLAIN,
        True,
        "image_copy",
        _convert_arguments,
        _convert_skopeo,
    ),
    Case(
        "b",
        "many images over shared bases, cold",
        "fleet",
        "nothing",
        (*PLAIN, "floor", "floor-read"),
        True,
        "image_copy",
        _copy_arguments,
        _copy_skopeo,
    ),
    Case(
        "c",
        "the same again, nothing to do",
        "fleet",
        "everything",
        PLAIN,
        False,
        "image_copy",
        _copy_arguments,
        _copy_skopeo,
    ),
    Case(
        "e-list",
        "listing the tags of a repository",
        "tags",
        "unused",
        PLAIN,
        False,
        "image_tags",
        _list_arguments,
        _list_skopeo,
    ),
    Case(
        "e-tag",
        "pointing tags at one digest",
        "tags",
        "one image",
        PLAIN,
        True,
        "image_tags",
        _point_arguments,
        _point_skopeo,
    ),
    *SYNC_CASES,
)


def command(case: Case, side: str, context: Context) -> tuple[list[str], dict[str, str]]:
    """The command of a side and the environment it runs in; what it reads is written to ``context.scratch`` before."""
    machine = context.machine
    if side.startswith("skopeo") or side == "curl":
        script = context.scratch / f"{side}.sh"
        script.write_text("set -eu\n" + case.skopeo(context, side), encoding="utf-8")
        return ["/bin/sh", str(script)], machine.environment
    if side.startswith("floor"):
        return _floor(context, side)
    arguments = case.arguments(context)
    if context.parallel:
        arguments["parallel"] = context.parallel
    if side == "module":
        return _module(case, context, arguments)
    return _playbook(case, context, arguments)


def _module(case: Case, context: Context, arguments: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """The module's own process as Ansible starts it on a target: its arguments in JSON, nothing compiled beforehand."""
    file = context.scratch / "arguments.json"
    internal = {
        "_ansible_check_mode": False,
        "_ansible_diff": False,
        "_ansible_no_log": False,
        "_ansible_debug": False,
        "_ansible_verbosity": 0,
        "_ansible_module_name": f"longshore.oci.{case.module}",
        "_ansible_remote_tmp": str(context.scratch),
        "_ansible_keep_remote_files": False,
        "_ansible_selinux_special_fs": [],
        "_ansible_shell_executable": "/bin/sh",
    }
    file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {**arguments, **internal}}), encoding="utf-8")
    machine = context.machine
    name = f"ansible_collections.longshore.oci.plugins.modules.{case.module}"
    environment = {**machine.environment, "PYTHONPATH": str(machine.collections), "PYTHONDONTWRITEBYTECODE": "1"}
    return [machine.python, "-m", name, str(file)], environment


def _playbook(case: Case, context: Context, arguments: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """JSON is YAML, so the playbook is written as JSON."""
    file = context.scratch / "play.yml"
    play = {
        "name": "Benchmark",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": context.machine.python},
        "tasks": [{"name": case.title, f"longshore.oci.{case.module}": arguments}],
    }
    file.write_text(json.dumps([play], indent=1), encoding="utf-8")
    return [str(context.machine.bin / "ansible-playbook"), "-i", "localhost,", str(file)], context.machine.environment


def _floor(context: Context, side: str) -> tuple[list[str], dict[str, str]]:
    digests = {blob.digest for image in context.images for blob in image.blobs}
    plan = context.scratch / "plan.json"
    plan.write_text(
        json.dumps(
            {
                "address": context.destination,
                "source": context.source if side == "floor-read" else "",
                "workers": WORKERS,
                "files": {digest: str(context.origin.blob_path(digest)) for digest in digests},
                "images": [
                    {
                        "repository": image.repository,
                        "tag": image.tag,
                        "manifest": image.manifest,
                        "blobs": [{"digest": blob.digest} for blob in image.blobs],
                    }
                    for image in context.images
                ],
            }
        ),
        encoding="utf-8",
    )
    script = str(Path(__file__).with_name("floor.py"))
    return [context.machine.python, script, str(plan), str(context.scratch / "floor.json")], context.machine.environment
