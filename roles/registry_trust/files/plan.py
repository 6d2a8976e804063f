# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what has to change on a host so that its clients trust a registry, or no longer do. Changes nothing.

Reads a JSON object from standard input (tasks/plan.yml has its fields) and writes the plan to standard output:

* ``problems``: sentences; with any of them nothing is to be done;
* ``clients``, ``running``: the clients that are meant, the services that run;
* ``directories``: those to make;
* ``write``: files to write, each with ``kind``, ``path``, ``mode``, ``content`` (not that of a key) and ``backup``, which is
  true where somebody else's file would be lost;
* ``remove``: files to take away, each with ``kind`` and ``path``; ``empty``: directories that nothing is left in;
* ``stored``: whether the system's bundle holds all authorities;
* ``restart``: services that go on by the system's authorities of their start, and have to go by those of now.

Kinds: ``client``, ``key``, ``mirror``, ``daemon``, ``containerd``, ``system``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from typing import Any

ROLE = "longshore.oci.registry_trust"
PATH = os.pathsep.join(["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/opt/bin"])
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
# Services, each with its program and the client that it is. docker works by way of containerd: it comes after it.
SERVICES = {"containerd": ("containerd", "containerd"), "docker": ("dockerd", "docker"), "crio": ("crio", "podman")}
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)\Z")
UPSTREAM = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?\Z")
# What containerd calls its plugin for images, by the version of its configuration.
PLUGINS = {1: "cri", 2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.images"}
WAS_EMPTY, ADDED = f"# was empty before {ROLE}", f"# added by {ROLE}"


def read(path: str) -> str:
    """The text of a file, empty if there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""


def names(directory: str) -> list[str]:
    """What is in a directory, which need not be there."""
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []


def runs(service: str) -> bool:
    """Whether a service runs, by systemd or OpenRC."""
    command = ["rc-service", "--quiet", service, "status"]
    if os.path.isdir("/run/systemd/system"):
        command = ["systemctl", "is-active", "--quiet", service]
    if shutil.which(command[0], path=PATH) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False, env={**os.environ, "PATH": PATH}).returncode == 0


def started(program: str) -> float:
    """When the newest process of a program on this host started, in seconds since 1970; 0 if there is none."""
    boot = re.search(r"(?m)^btime (\d+)", read("/proc/stat"))
    found = [0.0]
    for number in names("/proc"):
        try:
            # Those in containers are not this host's.
            if number.isdigit() and os.stat(f"/proc/{number}/ns/pid").st_ino == os.stat("/proc/self/ns/pid").st_ino:
                head, dummy, rest = read(f"/proc/{number}/stat").rpartition(")")
                if boot and head.partition("(")[2] == program:
                    found.append(int(boot[1]) + int(rest.split()[19]) / os.sysconf("SC_CLK_TCK"))
        except (OSError, IndexError):
            continue  # it has ended meanwhile
    return max(found)


def in_bundle(authority: str, bundle: str) -> bool:
    """Whether a bundle holds a certificate, however its lines are broken."""
    held = {"".join(found.split()) for found in CERTIFICATE.findall(bundle)}
    return all("".join(found.split()) in held for found in CERTIFICATE.findall(authority))


def short_name(authority: str) -> str:
    """A name for a certificate that no other has."""
    return hashlib.sha256("".join(authority.split()).encode()).hexdigest()[:12]


def is_wrong(asked: dict[str, Any]) -> list[str]:
    """What is wrong with the names that were given."""
    found = []
    if not HOST.match(asked["host"]):
        found.append(f"registry_trust_host is {asked['host']}: write a host name or an address, with no port, path or https://")
    if not 0 < int(asked["port"]) < 65536:
        found.append(f"registry_trust_port is {asked['port']}: write a number from 1 to 65535")
    for name in asked["mirror_of"]:
        if not UPSTREAM.match(name):
            found.append(f"registry_trust_mirror_of has {name}: write a host alone, such as docker.io")
    return found


def cannot_be_read(authorities: list[str]) -> list[str]:
    """What is wrong with authorities."""
    found = []
    for number, authority in enumerate(authorities, start=1):
        try:
            ssl.create_default_context(cadata=authority)
        except (ssl.SSLError, ValueError) as failure:
            found.append(f"certificate {number} of registry_trust_ca cannot be read: {failure}")
    return found


def do_not_fit(certificate: str, key: str) -> list[str]:
    """What is wrong with a client's certificate and key."""
    if not certificate and not key:
        return []
    if not certificate or not key:
        return ["registry_trust_client_certificate and registry_trust_client_key go together: one is missing"]
    paths = []
    for name, text in (("certificate", certificate), ("key", key)):
        # A file in memory: a key that is only looked at is on no disk.
        number = os.memfd_create(name)
        os.write(number, text.encode())
        paths.append(f"/proc/self/fd/{number}")
    try:
        # Without a password given, a key that has one would be asked for on a terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(paths[0], paths[1], password="-")
    except (ssl.SSLError, ValueError) as failure:
        return [f"registry_trust_client_certificate and registry_trust_client_key do not fit: {failure}"]
    return []


def without_block(text: str, mark: str) -> str:
    """A text without the block that a mark names."""
    before, begin, rest = text.partition(f"# BEGIN {mark}\n")
    return before + rest.partition(f"# END {mark}\n")[2] if begin else text


def with_block(text: str, mark: str, content: str) -> str:
    """A text with that block at its end, or where it is already."""
    block = f"# BEGIN {mark}\n{content}# END {mark}\n"
    before, begin, rest = text.partition(f"# BEGIN {mark}\n")
    if begin:
        return before + block + rest.partition(f"# END {mark}\n")[2]
    return text + ("\n" if text and not text.endswith("\n") else "") + block


class ContainerdConfig:
    """containerd's configuration, as far as it says where the files about registries are."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.splitlines()
        top = re.split(r"(?m)^[ \t]*\[", text, maxsplit=1)[0]
        version = re.search(r"(?m)^[ \t]*version[ \t]*=[ \t]*(\d+)", top)
        content = [line for line in self.lines if line.strip() and not line.lstrip().startswith("#")]
        self.has_content = bool(content)
        # Without a version it is the first, and without anything at all it is what is written there.
        self.version = int(version[1]) if version else 1 if content else 2
        self.plugin = PLUGINS.get(self.version, PLUGINS[3])
        disabled = re.search(r"(?m)^[ \t]*disabled_plugins[ \t]*=[ \t]*\[([^\]]*)\]", top)
        off = {word.strip(" \t\n\"'") for word in disabled[1].split(",")} if disabled else set()
        self.has_cri = not off & {"cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"}
        table = rf"[ \t]*\[[ \t]*plugins[ \t]*\.[ \t]*[\"']?{re.escape(self.plugin)}[\"']?[ \t]*\.[ \t]*registry[ \t]*"
        header = re.compile(table + r"\][ \t]*(#.*)?$")
        self.header = next((place for place, line in enumerate(self.lines) if header.match(line)), None)
        # containerd does not start its plugin when these stand beside config_path.
        old = re.compile(table + r"\.[ \t]*(mirrors[ \t]*\.|configs[ \t]*\..*\.[ \t]*tls[ \t]*\])")
        self.is_old = any(map(old.match, self.lines))
        self.place, self.path = None, ""
        for place in range(len(self.lines) if self.header is None else self.header + 1, len(self.lines)):
            if self.lines[place].lstrip().startswith("["):
                break
            found = re.match(r"[ \t]*config_path[ \t]*=[ \t]*[\"']([^\"']*)[\"']", self.lines[place])
            if found:
                self.place, self.path = place, found[1]

    def with_path(self, directory: str) -> str:
        """The text that names a directory, if it named none."""
        if self.path:
            return self.text
        line, lines = f'  config_path = "{directory}"', list(self.lines)
        if self.place is not None:
            lines[self.place] = f"{line} {WAS_EMPTY}"
        elif self.header is not None:
            lines.insert(self.header + 1, f"{line} {ADDED}")
        else:
            head = "" if self.has_content else f"version = {self.version}\n\n"
            name = self.plugin if self.version == 1 else f'"{self.plugin}"'
            return with_block(self.text, ROLE, f"{head}[plugins.{name}.registry]\n{line}\n")
        return "\n".join(lines) + "\n"

    def without_path(self) -> str:
        """The text as it was before `with_path`."""
        lines = [
            '  config_path = ""' if line.endswith(WAS_EMPTY) else line for line in self.lines if not line.endswith(ADDED)
        ]
        return without_block("\n".join(lines) + "\n" if lines else "", ROLE)


class Plan:
    """What has to change, gathered step by step."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.asked = asked
        self.present = asked["state"] == "present"
        self.mark = f"{ROLE} {asked['name']}"
        self.authorities = asked["authorities"] if self.present else []
        self.wanted: list[dict[str, Any]] = []
        self.removed: list[dict[str, Any]] = []
        self.problems = is_wrong(asked) + cannot_be_read(asked["authorities"])
        self.problems += do_not_fit(asked["client_certificate"], asked["client_key"])
        self.clients = self._clients()
        config = ContainerdConfig(read(asked["containerd_config"]))
        hosts = next((path for path in config.path.split(":") if path), asked["hosts_directory"])
        self.own = {
            "docker": f"{asked['docker_directory']}/{asked['name']}",
            "podman": f"{asked['podman_directory']}/{asked['name']}",
            "containerd": f"{hosts}/{asked['name']}",
        }
        for client, directory in self.own.items():
            if client in self.clients:
                self._certificates(directory)
        self._containerd(config, hosts)
        self._podman()
        self._docker()
        self._system()
        self._leftovers()

    def _clients(self) -> list[str]:
        """The clients that are meant: none when everything shall go."""
        asked = self.asked["clients"]
        if not self.present:
            return []
        found = [name for name in asked if name != "auto"]
        if "auto" in asked:
            tools = {**self.asked["programs"], "system": [self.asked["update_program"]]}
            found += [name for name, programs in tools.items() if any(shutil.which(one, path=PATH) for one in programs)]
        elif "system" in asked and shutil.which(self.asked["update_program"], path=PATH) is None:
            self.problems.append(f"the system's store cannot be updated: {self.asked['update_program']} is not installed")
        return sorted(set(found))

    def want(self, kind: str, path: str, content: str, mode: str = "0644", whole: bool = True) -> None:
        """Have a file. ``whole``: it is the role's from the first line to the last."""
        text = f"# {self.mark}\n{content}" if whole else content
        self.wanted.append({"kind": kind, "path": path, "content": text, "mode": mode, "whole": whole})

    def is_ours(self, path: str) -> bool:
        """Whether a file is of this role and for this registry."""
        return read(path).startswith(f"# {self.mark}\n")

    def _certificates(self, directory: str) -> None:
        if self.authorities:
            self.want("client", f"{directory}/ca.crt", "\n".join(self.authorities) + "\n")
        if self.asked["client_certificate"]:
            self.want("client", f"{directory}/client.cert", self.asked["client_certificate"].strip() + "\n")
            self.want("key", f"{directory}/client.key", self.asked["client_key"].strip() + "\n", mode="0600")

    def _containerd(self, config: ContainerdConfig, hosts: str) -> None:
        url, own = f"https://{self.asked['name']}", self.own["containerd"]
        trust = [f'  ca = "{own}/ca.crt"'] if self.authorities else []
        if self.asked["client_certificate"]:
            trust.append(f'  client = [["{own}/client.cert", "{own}/client.key"]]')
        table = f'[host."{url}"]\n  capabilities = [{{}}]\n' + "".join(f"{line}\n" for line in trust)
        here = "containerd" in self.clients
        if here:
            self.want("client", f"{own}/hosts.toml", f'server = "{url}"\n\n' + table.format('"pull", "resolve", "push"'))
        mirrored = {f"{hosts}/{name}/hosts.toml" for name in self.asked["mirror_of"]} if here else set()
        for path in sorted({f"{hosts}/{name}/hosts.toml" for name in names(hosts)} | mirrored):
            text = read(path)
            if path in mirrored:
                self.want("client", path, with_block(text, self.mark, table.format('"pull", "resolve"')), whole=False)
            else:
                self._edit("client", path, text, without_block(text, self.mark))
        # Other registries of the role need what it told containerd.
        texts = [without_block(read(f"{hosts}/{name}/hosts.toml"), self.mark) for name in names(hosts) if f"{hosts}/{name}" != own]
        # Without containerd there, the file would be in the way of the package that brings it.
        if here and config.has_cri and shutil.which("containerd", path=PATH):
            if config.is_old:
                self.problems.append(
                    f"{self.asked['containerd_config']} names registries in the old way (registry.mirrors, registry.configs), which"
                    " containerd does not take together with config_path: move them to hosts.toml files first, or leave containerd"
                    " out of registry_trust_clients"
                )
            self.want("containerd", self.asked["containerd_config"], config.with_path(hosts), whole=False)
        elif not here and not any(f"{ROLE} " in text for text in texts):
            self._edit("containerd", self.asked["containerd_config"], config.text, config.without_path())

    def _podman(self) -> None:
        if "podman" in self.clients and self.asked["mirror_of"]:
            tables = [
                f'[[registry]]\nprefix = "{name}"\nlocation = "{name}"\n\n[[registry.mirror]]\nlocation = "{self.asked["name"]}"\n'
                for name in self.asked["mirror_of"]
            ]
            self.want("mirror", self.asked["registries_conf"], "\n".join(tables))
        elif self.is_ours(self.asked["registries_conf"]):
            self.removed.append({"kind": "mirror", "path": self.asked["registries_conf"]})

    def _docker(self) -> None:
        path, url = self.asked["daemon_json"], f"https://{self.asked['name']}"
        # JSON has no place for a mark: a note beside the certificates says whose the mirror is.
        note = f"{self.own['docker']}/mirror"
        text = read(path)
        try:
            settings = json.loads(text) if text.strip() else {}
            mirrors = list(settings.get("registry-mirrors", []))
        except (ValueError, AttributeError, TypeError) as failure:
            self.problems.append(f"{path} is not what docker reads: {failure}")
            return
        has = url in [one.rstrip("/") for one in mirrors]
        if "docker" in self.clients and "docker.io" in self.asked["mirror_of"]:
            if not has or self.is_ours(note):
                self.want("client", note, f"# This registry is among the mirrors in {path} by the role's doing.\n")
            mirrors += [] if has else [url]
        elif has and self.is_ours(note):
            mirrors = [one for one in mirrors if one.rstrip("/") != url]
        else:
            return
        if mirrors == settings.get("registry-mirrors", []):
            return
        settings["registry-mirrors"] = mirrors
        if not mirrors:
            del settings["registry-mirrors"]
        indent = re.search(r'\n([ \t]+)"', text)
        new = json.dumps(settings, indent=indent[1] if indent else 2, ensure_ascii=False) + "\n"
        self._edit("daemon", path, text, new if settings else "")

    def _system(self) -> None:
        directory, start = self.asked["store_directory"], f"longshore-{self.asked['slug']}-"
        for authority in self.authorities if "system" in self.clients else []:
            # Debian's and Alpine's tools want one certificate a file.
            self.want("system", f"{directory}/{start}{short_name(authority)}.crt", authority + "\n")
        wanted = {one["path"] for one in self.wanted}
        for path in (f"{directory}/{name}" for name in names(directory) if name.startswith(start)):
            if path not in wanted and self.is_ours(path):
                self.removed.append({"kind": "system", "path": path})

    def _edit(self, kind: str, path: str, old: str, new: str) -> None:
        """Have a new text in a file that is not the role's alone; without any text in it the file goes."""
        if new.strip():
            if new != old:
                self.want(kind, path, new, whole=False)
        elif old.strip():
            self.removed.append({"kind": kind, "path": path})

    def _leftovers(self) -> None:
        wanted = {one["path"] for one in self.wanted}
        for path in (f"{directory}/{name}" for directory in self.own.values() for name in names(directory)):
            if path not in wanted and path not in {one["path"] for one in self.removed} and self.is_ours(path):
                self.removed.append({"kind": "key" if path.endswith(".key") else "client", "path": path})

    def has_to_restart(self, service: str, write: list[dict[str, Any]]) -> bool:
        """Whether a service that reads the system's authorities at its start alone would go by the wrong ones."""
        program, client = SERVICES[service]
        if client not in self.clients and any(one["kind"] == "system" for one in write):
            return True  # it has no other way to the authority
        gone = [one["path"] for one in self.removed if one["kind"] == "system"]
        return any(os.stat(path).st_mtime < started(program) for path in gone)

    def answer(self) -> dict[str, Any]:
        """The plan, of what differs from what is there alone."""
        write = [one for one in self.wanted if differs(one)]
        paths = {one["path"] for one in self.wanted}
        gone = {one["path"] for one in self.removed}
        emptied = {os.path.dirname(one["path"]) for one in self.removed if one["kind"] in ("client", "key")}
        occupied = {one for one in emptied if any(f"{one}/{name}" not in gone for name in names(one))}
        bundle = read(self.asked["bundle"])
        running = [name for name in SERVICES if runs(name)]
        return {
            "problems": self.problems,
            "clients": self.clients,
            "running": running,
            "restart": [name for name in running if self.has_to_restart(name, write)],
            "directories": sorted({os.path.dirname(path) for path in paths if not os.path.isdir(os.path.dirname(path))}),
            "write": [
                {
                    "kind": one["kind"],
                    "path": one["path"],
                    "content": "" if one["kind"] == "key" else one["content"],
                    "backup": one["whole"] and bool(read(one["path"])) and not self.is_ours(one["path"]),
                    **owner_and_mode(one),
                }
                for one in write
            ],
            "remove": self.removed,
            "empty": sorted(emptied - {os.path.dirname(path) for path in paths} - occupied),
            "stored": "system" not in self.clients or all(in_bundle(one, bundle) for one in self.authorities),
        }


def owner_and_mode(wanted: dict[str, Any]) -> dict[str, str]:
    """Whose a file shall be and who may do what with it. One that is not the role's alone stays as it is."""
    if wanted["whole"] or not os.path.exists(wanted["path"]):
        return {"owner": "0", "group": "0", "mode": wanted["mode"]}
    state = os.stat(wanted["path"])
    return {"owner": str(state.st_uid), "group": str(state.st_gid), "mode": f"{state.st_mode & 0o7777:04o}"}


def differs(wanted: dict[str, Any]) -> bool:
    """Whether a file has other content than it shall have, or is another's than it shall be."""
    if read(wanted["path"]) != wanted["content"]:
        return True
    state, shall = os.stat(wanted["path"]), owner_and_mode(wanted)
    return (str(state.st_uid), str(state.st_gid), state.st_mode & 0o7777) != (shall["owner"], shall["group"], int(shall["mode"], 8))


if __name__ == "__main__":
    print(json.dumps(Plan(json.load(sys.stdin)).answer()))
