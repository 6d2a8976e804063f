# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the benchmark needs of the machine, and how it gets it: the two programs, a virtual environment, the
collection built and installed.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODULES = ("image_copy", "image_save_load", "image_sync", "image_tags")
REGISTRY_PACKAGE = "docker-registry"


class CommandError(Exception):
    """A command beside the measured ones failed; the message holds its last words."""


class SetUpError(Exception):
    """Something is missing that the benchmark cannot get by itself; the message says what to do."""


def run(command: Sequence[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command and return what it printed; raise CommandError if it fails."""
    done = subprocess.run(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CommandError(f"{' '.join(command)} failed ({done.returncode}):\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


@dataclass(frozen=True)
class Machine:
    """Where everything is. ``environment`` is what every measured process gets: no proxies, no auth files, no locale
    surprises.
    """

    work: Path
    skopeo: str
    registry: str
    python: str
    bin: Path
    collections: Path
    environment: dict[str, str]


def prepare(root: Path, work: Path, skopeo: bool, ours: bool) -> Machine:
    """Install what is missing. ``skopeo`` and ``ours``: whether that side takes part."""
    work.mkdir(parents=True, exist_ok=True)
    home = work / "home"
    home.mkdir(exist_ok=True)
    (home / "ansible.cfg").write_text("", encoding="utf-8")
    environment = {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(work / "collections"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
        "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
    }
    venv = work / "venv"
    machine = Machine(
        work=work,
        skopeo=_skopeo() if skopeo else "",
        registry=_registry(work),
        python=str(venv / "bin/python"),
        bin=venv / "bin",
        collections=work / "collections",
        environment=environment,
    )
    _venv(venv)
    if ours:
        _collection(root, machine)
    return machine


def _apt(*arguments: str, cwd: Path | None = None) -> None:
    if shutil.which("apt-get") is None:
        raise SetUpError(
            "no apt-get here: install skopeo, docker-registry (Docker's registry, on PATH) and python3's venv yourself"
        )
    run(["apt-get", "-q", *arguments], cwd=cwd, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def _install(package: str) -> None:
    if os.geteuid() != 0:
        raise SetUpError(f"{package} is missing: install it (apt-get install {package}), or run this as root")
    print(f"installing {package}", file=sys.stderr)
    _apt("update")
    _apt("install", "-y", "--no-install-recommends", package)


def _skopeo() -> str:
    if shutil.which("skopeo") is None:
        _install("skopeo")
    return shutil.which("skopeo") or "/usr/bin/skopeo"


def _registry(work: Path) -> str:
    """The registry is only unpacked, not installed: the package would start a service."""
    unpacked = work / "opt/usr/bin/docker-registry"
    found = shutil.which("docker-registry")
    if found or unpacked.exists():
        return found or str(unpacked)
    print("fetching docker-registry", file=sys.stderr)
    package = work / "package"
    shutil.rmtree(package, ignore_errors=True)
    package.mkdir()
    if os.geteuid() == 0:
        _apt("update")
        package.chmod(0o777)
    _apt("download", REGISTRY_PACKAGE, cwd=package)
    run(["dpkg-deb", "-x", str(next(package.glob("*.deb"))), str(work / "opt")])
    shutil.rmtree(package)
    return str(unpacked)


def _venv(venv: Path) -> None:
    probe = [str(venv / "bin/python"), "-c", "import ansible, requests, urllib3, zstandard"]
    if (venv / "bin/python").exists() and subprocess.run(probe, check=False, capture_output=True).returncode == 0:
        return
    if subprocess.run([sys.executable, "-c", "import ensurepip"], check=False, capture_output=True).returncode:
        _install("python3-venv")
    print("creating the virtual environment", file=sys.stderr)
    run([sys.executable, "-m", "venv", "--clear", str(venv)])
    run([str(venv / "bin/pip"), "install", "-q", "--disable-pip-version-check", "ansible-core", "requests", "zstandard"])


def _collection(root: Path, machine: Machine) -> None:
    """Build from a copy of the tree that holds what the collection is, so that nothing lying about slows the build or
    gets in.
    """
    tree, dist = machine.work / "tree", machine.work / "dist"
    for directory in (tree, dist, machine.collections):
        shutil.rmtree(directory, ignore_errors=True)

    def unwanted(directory: str, names: list[str]) -> Iterable[str]:
        top = Path(directory) == root
        return [
            name
            for name in names
            if name == "__pycache__"
            or top
            and (name.startswith(".") or name in ("tests", "collections") or name.endswith(".tar.gz"))
        ]

    shutil.copytree(root, tree, ignore=unwanted)
    galaxy = str(machine.bin / "ansible-galaxy")
    run([galaxy, "collection", "build", "--output-path", str(dist)], cwd=tree, env=machine.environment)
    run(
        [
            galaxy,
            "collection",
            "install",
            "--force",
            "--no-deps",
            "-p",
            str(machine.collections),
            str(next(dist.glob("*.tar.gz"))),
        ],
        cwd=dist,
        env=machine.environment,
    )
    shutil.rmtree(tree)
    modules = machine.collections / "ansible_collections/longshore/oci/plugins/modules"
    missing = [name for name in MODULES if not (modules / f"{name}.py").exists()]
    if missing:
        raise SetUpError(f"the collection has no module {', '.join(missing)}; --only skopeo,floor measures without it")


def facts(machine: Machine) -> dict[str, Any]:
    """What a reader needs to know to judge the figures."""
    probe = (
        "import json, platform, ansible.release, requests, urllib3; print(json.dumps({"
        "'python': platform.python_version(), 'ansible-core': ansible.release.__version__, "
        "'requests': requests.__version__, 'urllib3': urllib3.__version__}))"
    )
    found: dict[str, Any] = {
        "system": _release(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "processor": _first("/proc/cpuinfo", "model name"),
        "memory": _first("/proc/meminfo", "MemTotal"),
        "load": round(os.getloadavg()[0], 2),
        "registry": run([machine.registry, "--version"]).strip(),
    }
    if machine.skopeo:
        found["skopeo"] = run([machine.skopeo, "--version"]).strip()
    found.update(json.loads(run([machine.python, "-c", probe])))
    manifest = machine.collections / "ansible_collections/longshore/oci/MANIFEST.json"
    if manifest.exists():
        found["collection"] = json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"]
    return found


def _release() -> str:
    path = Path("/etc/os-release")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next(
        (line.split("=", 1)[1].strip('"') for line in lines if line.startswith("PRETTY_NAME=")), platform.system()
    )


def _first(path: str, name: str) -> str:
    lines = Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "unknown")
