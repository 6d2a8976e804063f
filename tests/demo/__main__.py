# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the demo and say in plain words what happened."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import Any

from servers import images
from servers.process import ServerFailed, free_port
from servers.registry import Registry
from servers.runnable import runnable

from . import registries

HERE = pathlib.Path(__file__).resolve().parent
PASSWORD = "a demo password, shown nowhere"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="script/demo",
        description="Copy, inspect, tag, save, load and delete images with longshore.oci, twice, on real registries.",
    )
    parser.add_argument(
        "--image",
        action="append",
        metavar="REFERENCE",
        help="copy this image of yours instead of those the demo makes, such as docker.io/library/alpine:3; repeatable",
    )
    parser.add_argument(
        "--to",
        metavar="REGISTRY/PATH",
        help="copy into this registry of yours instead of one that the demo starts; repositories below it are created",
    )
    parser.add_argument("--auth-file", help="auth file with credentials for them (default: podman's and docker's)")
    parser.add_argument("--username", help="user name for --to; the password is taken from LONGSHORE_PASSWORD or asked for")
    parser.add_argument("--ca-path", help="certificate authority of --to")
    parser.add_argument("--plain-http", action="store_true", help="--to speaks HTTP")
    parser.add_argument("--image-ca-path", help="certificate authority of the registries of --image")
    parser.add_argument("--image-plain-http", action="store_true", help="the registries of --image speak HTTP")
    parser.add_argument("--keep", action="store_true", help="keep the archive that the demo saves")
    parser.add_argument("--work", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    return parser


def _say(text: str) -> None:
    print(f"\n==> {text}", flush=True)


def _playbook(name: str, variables: dict[str, Any], environment: dict[str, str], recap_only: bool = False) -> dict[str, int]:
    """Run a playbook, show what it prints, and return its recap: ok, changed, failed.

    ``recap_only``: show the recap alone, unless it fails.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json") as extra:
        # Variables go through a file: an argument would be readable in the list of processes.
        json.dump({**variables, "ansible_python_interpreter": sys.executable}, extra)
        extra.flush()
        command = ["ansible-playbook", "-i", "localhost,", "-c", "local", "-e", f"@{extra.name}", str(HERE / name)]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        recap: dict[str, int] = {}
        if process.stdout is None:
            raise ServerFailed("no output from ansible-playbook")
        held: list[str] = []
        for line in process.stdout:
            is_recap = line.startswith("localhost") and "changed=" in line
            if is_recap or not recap_only:
                print(f"    {line}", end="", flush=True)
            else:
                held.append(f"    {line}")
            if is_recap:
                recap = {key: int(value) for key, value in (word.split("=") for word in line.split() if "=" in word)}
        if process.wait():
            print("".join(held), end="", flush=True)
            raise ServerFailed(f"the playbook {name} failed; its output is above")
    return recap


def _made_images(cache: pathlib.Path, layout: pathlib.Path) -> None:
    """Fill an OCI layout with multi-platform images: busybox out of Debian's packages, or, where those cannot be had,
    images that hold a file."""
    tags = ("1.0", "1.1", "outdated")
    if shutil.which("apt-get") and shutil.which("dpkg-deb"):
        made = {tag: runnable(cache, greeting=f"hello from version {tag}") for tag in tags}
    else:
        made = {tag: images.sample(seed=seed) for seed, tag in enumerate(tags)}
    images.write_layout(layout, {f"busybox:{tag}": image for tag, image in made.items()})


def _run(arguments: argparse.Namespace) -> int:
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "False"}
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="longshore-demo-")))
        own: list[Registry] = []
        made: dict[str, Any] = {}
        names = [name for name, given in (("source", arguments.image), ("destination", arguments.to)) if not given]
        if names:
            kind = registries.available()
            made = registries.variables(kind, directory, {name: free_port() for name in names}, PASSWORD)
            _say("The role registry makes configuration, certificates and users of the registries.")
            _playbook("registries.yml", made, environment, recap_only=True)
            for name in names:
                own.append(stack.enter_context(registries.Instance(kind, directory, name)))
                _say(f"The {name} registry runs at {own[-1].url} ({kind}), with TLS and a password.")
        source = None if arguments.image else own[0]
        destination = None if arguments.to else own[-1]
        to = arguments.to or f"{destination.host}/mirror"
        end = _end(arguments, destination)
        layout = directory / "images"
        _say("Making multi-platform images (linux/amd64 and linux/arm64) and pushing them, straight out of an OCI layout.")
        _made_images(arguments.work / "busybox", layout)
        doomed = f"{to}/demo-busybox:outdated"
        _prepare([(layout, "busybox:outdated", doomed)], end, environment)
        if source is not None:
            wanted = [f"{source.host}/library/busybox:{tag}" for tag in ("1.0", "1.1")]
            pushed = [(layout, image.rpartition("/")[2], image) for image in wanted]
            _prepare(pushed, _end(arguments, source), environment)
        else:
            wanted = arguments.image
        variables = {f"demo_{key}": value for key, value in end.items()}
        variables.update(
            demo_images=[{"src": image, "dest": f"{to}/{_last(image)}"} for image in wanted],
            demo_repository=f"{to}/{_last(wanted[0])}".rpartition(":")[0],
            demo_loaded=f"{to}/loaded",
            demo_doomed=doomed,
            demo_archive=str((arguments.work if arguments.keep else directory) / "demo.tar"),
            demo_src_ca=str(source.ca) if source else arguments.image_ca_path,
            demo_src_plain_http=source is None and arguments.image_plain_http,
            demo_src_username="demo" if source else None,
            demo_src_password=PASSWORD if source else None,
        )
        _say("First run: copy, inspect, tag, save, load, delete.")
        first = _playbook("demo.yml", variables, environment)
        marks = [registry.mark() for registry in own]
        _say("Second run of the same playbook: everything is as it should be, so nothing may change.")
        second = _playbook("demo.yml", variables, environment)
        if made:
            _say("Second run of the role: nothing may change there either.")
            second["changed"] += _playbook("registries.yml", made, environment, recap_only=True)["changed"]
        writes = [write for registry, mark in zip(own, marks) for write in registry.writes_since(mark)]
        _say(f"First run: changed={first['changed']}. Second run: changed={second['changed']}.")
        if own:
            print(f"    The registries' access logs of the second run hold {len(writes)} write requests.")
        if arguments.keep:
            print(f"    The archive is {variables['demo_archive']}.")
        failed = second["changed"] != 0 or bool(writes) or first["changed"] == 0
    _say("The demo failed: see above." if failed else "Done. Nothing is left running.")
    return int(failed)


def _end(arguments: argparse.Namespace, registry: Registry | None) -> dict[str, Any]:
    """How to reach a registry: one of the demo's, or the user's own."""
    if registry is not None:
        ca, username, password = str(registry.ca), "demo", PASSWORD
        return {"ca": ca, "username": username, "password": password, "auth_file": arguments.auth_file, "plain_http": False}
    password = None
    if arguments.username:
        password = os.environ.get("LONGSHORE_PASSWORD") or getpass.getpass(f"password of {arguments.username}: ")
        os.environ["LONGSHORE_PASSWORD"] = password
    return {
        "ca": arguments.ca_path,
        "username": arguments.username,
        "password": password,
        "auth_file": arguments.auth_file,
        "plain_http": arguments.plain_http,
    }


def _prepare(copies: list[tuple[pathlib.Path, str, str]], end: dict[str, Any], environment: dict[str, str]) -> None:
    listed = [{"src": f"oci:{layout}:{name}", "dest": dest} for layout, name, dest in copies]
    _playbook("prepare.yml", {"prepare_images": listed, **{f"prepare_{key}": value for key, value in end.items()}}, environment)


def _last(image: str) -> str:
    """The last part of an image's name with its tag: ``busybox:1.0`` of ``docker.io/library/busybox:1.0@sha256:...``."""
    last = image.partition("@")[0].rpartition("/")[2]
    return last if ":" in last else f"{last}:latest"


def main() -> int:
    arguments = _parser().parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    try:
        return _run(arguments)
    except ServerFailed as error:
        print(f"script/demo: {error}", file=sys.stderr)
        return 1


sys.exit(main())
