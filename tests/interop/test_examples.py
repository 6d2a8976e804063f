# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example of the documentation is run: those of the modules, of the README and of the guides.

They are run as they are written, with other names alone: each host is a registry over TLS that is started for the
document, each path is below a temporary directory, each digest is that of an image that is there. A task that writes has
to change something, and nothing when it is run once more.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.certificates import Authority
from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner
from ansible_collections.longshore.oci.tests.servers.registry import Registry
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo, layout
from ansible_collections.longshore.oci.tests.servers.storage import Storage

ROOT = pathlib.Path(os.path.abspath(__file__)).parents[2]
ROBOT, PASSWORD = "robot", "example-of-a-password"
#: The variables that examples take for granted.
VARIABLES = {
    "registry_password": PASSWORD,
    "upload_url": "https://storage.example.com/images/release-7.tar?X-Amz-Signature=1b2a190f8e6d7c2b3a495867",
    "download_url": "https://storage.example.com/images/release-7.tar?X-Amz-Signature=77f6e5d4c3b2a19004b1c8e2",
    "s3_access_key": "testing",
    "s3_secret_key": "testing-of-a-secret",
    # Of a password that nobody needs.
    "registry_backup_hash": "$2y$04$" + "k" * 53,
}

#: Each host that examples name: whether it asks who is there, and the tags of each image in its repositories.
HOSTS: dict[str, tuple[bool, dict[str, list[list[str]]]]] = {
    "docker.io": (
        False,
        {
            "library/alpine": [["3.21"]],
            "library/busybox": [["1.36"]],
            "library/nginx": [["1.27"]],
            "library/postgres": [["17"]],
        },
    ),
    "quay.io": (False, {"prometheus/prometheus": [["v3.1.0"]]}),
    "registry.example.com": (
        True,
        {
            "team/app": [
                *(["1.0"], ["1.3.0"], ["1.4", "latest"], ["7.0"], ["build-1734"], ["pr-99"]),
                *([f"nightly-{number}"] for number in range(10)),
            ],
            "team/worker": [["7.0"], ["8.0-amd64"], ["8.0-arm64"]],
        },
    ),
    "registry.airgap.example": (True, {}),
}
#: The digests in examples, and whose they are: in the repository team/app of registry.example.com.
DIGESTS = {
    "sha256:0d5fc3a4a1bb1c0c3bbc3ad0e0a5c9b1f8e6d7c2b3a4958677f6e5d4c3b2a190": "1.0",
    "sha256:56fb1b8b0eb5f4ba4cb0d8a8ee19a6fbdf1d3b9ecbd9f7ee1d92d0e3ecd93b0f": "1.4",
}
#: The directories in examples.
PATHS = ("/srv/", "/etc/longshore/")
PLATFORMS = ("linux/amd64", "linux/arm64/v8", "linux/arm/v7")

MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
#: Guides about roles, which need machines: tests/roles and tests/machines look after their examples.
OF_ROLES = ("backup_and_garbage", "migrating_a_registry", "running_a_registry")
GUIDES = sorted(path.stem for path in (ROOT / "docs" / "docsite" / "rst").glob("*.rst") if path.stem not in OF_ROLES)
#: Lookups and filters, as ``lookup/digest``.
PLUGINS = sorted(f"{kind}/{path.stem}" for kind in ("lookup", "filter") for path in (ROOT / "plugins" / kind).glob("*.py"))
#: Roles whose examples need no machine of their own, as ``role/image_mirror``.
ROLES = ["role/image_mirror"]
DOCUMENTS = [*MODULES, *PLUGINS, *ROLES, "README", *GUIDES]

Task = dict[str, Any]


def blocks(document: str) -> list[str]:
    """The YAML of a document: a plugin's EXAMPLES, or the code blocks of the README or a guide."""
    if document in (*MODULES, *PLUGINS):
        name = document.replace("/", ".") if document in PLUGINS else f"modules.{document}"
        module = importlib.import_module(f"ansible_collections.longshore.oci.plugins.{name}")
        return [str(module.EXAMPLES)]
    if document == "README" or document in ROLES:
        path = ROOT / "README.md" if document == "README" else ROOT / document.replace("role/", "roles/") / "README.md"
        return re.findall(r"^```yaml\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    text = (ROOT / "docs" / "docsite" / "rst" / f"{document}.rst").read_text("utf-8")
    found = re.findall(r"^\.\. code-block:: yaml\n\n((?:(?:    .*)?\n)+)", text, re.MULTILINE)
    assert len(found) == len(re.findall(r"code-block:: *yaml", text)), "a block is written in another way"
    return [textwrap.dedent(block) for block in found]


def is_playbook(block: str) -> bool:
    """Whether a block is of plays or tasks, and not the text of a credential type."""
    return isinstance(yaml.safe_load(block), list)


def has_examples(document: str) -> bool:
    return any(map(is_playbook, blocks(document)))


class World:
    """Registries in place of the hosts, a directory in place of ``/``, and ansible-playbook between them."""

    def __init__(self, root: pathlib.Path, registries: Mapping[str, Registry], digests: Mapping[str, str]) -> None:
        self.runner = ModuleRunner(root)
        self.root = root
        self.names = {host: registry.host for host, registry in registries.items()}
        self.names |= {digest: digests[tag] for digest, tag in DIGESTS.items()}
        self.names |= {path: f"{root}{path}" for path in PATHS}
        for path in (*PATHS, "/srv/transfer", "/srv/registry"):
            (root / path.strip("/")).mkdir(parents=True, exist_ok=True)
        authorities = root / "etc" / "longshore" / "ca.pem"
        authorities.write_text("".join(one.ca.read_text() for one in registries.values()))
        self.authorities = authorities
        # In place of the system's authorities.
        self.runner.environment["SSL_CERT_FILE"] = str(authorities)
        auth = base64.b64encode(f"{ROBOT}:{PASSWORD}".encode()).decode()
        entries = {one.host: {"auth": auth} for one in registries.values() if one.users}
        self.auth_file = root / "etc" / "longshore" / "auth.json"
        self.auth_file.write_text(json.dumps({"auths": entries}))

    def log_in(self) -> None:
        """Have credentials where podman keeps them, as an example takes for granted that names none."""
        usual = self.runner.home / ".config" / "containers"
        usual.mkdir(parents=True)
        shutil.copy(self.auth_file, usual)

    @contextlib.contextmanager
    def storage(self) -> Iterator[None]:
        """The object storage whose URLs are in `VARIABLES`."""
        place = self.root / "storage"
        place.mkdir()
        authority = Authority(place)
        with self.authorities.open("a") as file:
            file.write(authority.certificate.read_text())
        with Storage(tls=authority.server()) as running:
            self.names["storage.example.com"] = running.host
            yield

    def rewrite(self, text: str) -> str:
        for name, ours in self.names.items():
            text = text.replace(name, ours)
        return text

    def play(self, plays: list[Task]) -> subprocess.CompletedProcess[str]:
        """Run ``plays`` with ansible-playbook, names rewritten."""
        playbook = self.root / "playbook.yml"
        playbook.write_text(self.rewrite(yaml.safe_dump(plays, sort_keys=False, allow_unicode=True)), encoding="utf-8")
        variables = self.root / "variables.json"
        variables.write_text(self.rewrite(json.dumps(VARIABLES)))
        command = [str(pathlib.Path(sys.executable).with_name("ansible-playbook")), str(playbook), "-e", f"@{variables}"]
        environment = {**self.runner.whole_environment(), "ANSIBLE_STDOUT_CALLBACK": "default"}
        return subprocess.run(
            command, env=environment, cwd=self.root, capture_output=True, text=True, timeout=600, check=False
        )


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, pathlib.Path], dict[str, str]]:
    """The storage of each host's registry, and the digests of the tags of team/app."""
    storages, digests = {}, {}
    seed = 0
    for host, (unused, repositories) in HOSTS.items():
        storages[host] = tmp_path_factory.mktemp("host") / "storage"
        storages[host].mkdir()
        with Registry(storage=storages[host]) as registry:
            for repository, groups in repositories.items():
                for tags in groups:
                    seed += 1
                    # A tag that ends in one is that of an image for one platform alone.
                    platforms = [one for one in PLATFORMS if tags[0].endswith(f"-{one.split('/')[1]}")] or PLATFORMS
                    digest = images.push(registry, repository, images.sample(platforms, layer_size=64, seed=seed), tags)
                    if repository == "team/app":
                        digests |= dict.fromkeys(tags, digest)
    return storages, digests


@pytest.fixture
def world(
    stored: tuple[dict[str, pathlib.Path], dict[str, str]], tmp_path: pathlib.Path
) -> Iterator[World]:
    """A new world for each document: what one deletes is there for the next."""
    storages, digests = stored
    with contextlib.ExitStack() as stack:
        registries = {}
        for host, (asks, unused) in HOSTS.items():
            storage = tmp_path / host
            shutil.copytree(storages[host], storage)
            users = {ROBOT: PASSWORD} if asks else None
            registries[host] = stack.enter_context(Registry(storage=storage, tls=True, users=users))
        yield World(tmp_path, registries, digests)


def module_of(task: Task) -> tuple[str, Task]:
    """The module of this collection that a task calls, and its options; '' for what is not ours."""
    for key, options in task.items():
        if key.startswith("longshore.oci."):
            return key.rpartition(".")[2], options
    return "", {}


def writes(task: Task) -> bool:
    """Whether a task is there to change something."""
    name, options = module_of(task)
    if name == "image_tags":
        return options.get("state", "query") != "query"
    return name in (
        "image_copy", "image_index", "image_save_load", "image_sync", "registry_delete", "registry_login", "registry_user",
    )


def twice(tasks: list[Task]) -> Iterator[Task]:
    """Each task, held to what it promises; after one that writes the same once more."""
    for task in tasks:
        if not writes(task):
            yield task
            continue
        result = task.get("register", "first")
        yield {**task, "register": result, "failed_when": f"{result} is failed or {result} is not changed"}
        if not task.get("check_mode"):
            name = f"{task['name']}, once more"
            yield {**task, "name": name, "register": "again", "failed_when": "again is failed or again is changed"}


def plays_of(document: str) -> list[Task]:
    plays: list[Task] = []
    for block in filter(is_playbook, blocks(document)):
        rows = yaml.safe_load(block)
        found = rows if "hosts" in rows[0] else [{"name": document, "hosts": "localhost", "tasks": rows}]
        plays += [{"gather_facts": False, **play, "tasks": list(twice(play["tasks"]))} for play in found]
    return plays


@pytest.mark.parametrize("document", list(filter(has_examples, DOCUMENTS)))
def test_the_examples_run(
    world: World, skopeo: Skopeo, document: str, request: pytest.FixtureRequest
) -> None:
    text = "".join(blocks(document))
    world.log_in()
    if "docker-daemon:" in text:
        world.runner.environment["DOCKER_HOST"] = request.getfixturevalue("dockerd").host
    if "containers-storage:" in text:
        world.runner.environment.update(request.getfixturevalue("podman").environment)
    archive = "/srv/images/app.tar"
    if f"oci-archive:{archive}" in text:
        # As somebody else has left it there.
        path = pathlib.Path(world.rewrite(archive))
        path.parent.mkdir()
        made = images.write_layout(world.root / "made", {"app": images.sample(PLATFORMS)})
        skopeo.copy(layout(made, "app"), f"oci-archive:{path}:app")
    rootfs = "/srv/build/rootfs.tar.gz"
    if f"tarball:{rootfs}" in text:
        path = pathlib.Path(world.rewrite(rootfs))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(images.noise_layer(1000, seed=1).data)
    if "/etc/longshore/sync.yml" in text:
        wanted = {
            "docker.io": {"images": {"library/busybox": []}},
            "quay.io": {"images-by-tag-regex": {"prometheus/prometheus": "^v3"}},
        }
        pathlib.Path(world.rewrite("/etc/longshore/sync.yml")).write_text(world.rewrite(yaml.safe_dump(wanted)))
    with contextlib.ExitStack() as stack:
        if "load_url }}" in text:
            stack.enter_context(world.storage())
        if "s3://" in text and document in GUIDES:
            moto = request.getfixturevalue("moto")
            moto.client().create_bucket(Bucket="images")
            world.runner.environment["AWS_ENDPOINT_URL"] = moto.url
        done = world.play(plays_of(document))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr


def test_every_document_has_examples() -> None:
    # Those without: a list, so that a block which is not recognised is noticed.
    assert [document for document in DOCUMENTS if not has_examples(document)] == ["faults", "limits"]


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_link_into_the_tree_leads_somewhere(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    for path in re.findall(r"https://github\.com/longshore/oci/(?:blob|tree)/main/([^)\s>]+)", text):
        assert (ROOT / path).exists(), path


def credential_types(document: str) -> tuple[list[Any], list[Any]]:
    """The inputs and the injectors of the AWX credential types in a document."""
    rows = [yaml.safe_load(block) for block in blocks(document) if not is_playbook(block)]
    assert all(set(row) in ({"fields", "required"}, {"env"}) for row in rows)
    return [row for row in rows if "fields" in row], [row["env"] for row in rows if "env" in row]


def test_the_awx_credential_types_work(world: World) -> None:
    inputs, injectors = credential_types("authentication")
    assert [field["id"] for field in inputs[0]["fields"]] == inputs[0]["required"] == ["username", "password"]
    assert credential_types("README") == (inputs, injectors[:1])
    values = {"username": ROBOT, "password": PASSWORD}
    for environment in injectors:
        for name, template in environment.items():
            field = re.fullmatch(r"\{\{ (\w+) \}\}", template)
            assert field is not None, template
            world.runner.environment[name] = values[field.group(1)]
    ours = "registry.example.com/team"
    tasks = [
        {"longshore.oci.image_copy": {"src": f"{ours}/app:1.0", "dest": f"{ours}/copy:1.0"}},
        {"longshore.oci.image_tags": {"repository": f"{ours}/copy", "state": "present", "source": "1.0", "tags": ["1"]}},
    ]
    done = world.play([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_a_group_for_modules_that_meet_one_registry(world: World) -> None:
    ours = "registry.example.com/team/app"
    login = {"username": ROBOT, "password": PASSWORD}
    archive = {"state": "saved", "path": "/srv/transfer/app.tar", "images": [f"{ours}:1.0"]}
    tasks = [
        {"longshore.oci.image_inspect": {"name": f"{ours}:1.0"}},
        {"longshore.oci.image_info": {"name": f"{ours}:1.0"}},
        {"longshore.oci.image_tags": {"repository": ours}},
        {"longshore.oci.image_save_load": archive},
        {"longshore.oci.registry_delete": {"name": f"{ours}:7.0"}},
        {"longshore.oci.registry_login": {"registry": "registry.example.com"}},
        {"longshore.oci.registry_info": {"registry": "registry.example.com", "catalog": True}},
        {"longshore.oci.image_copy": {"src": "docker.io/library/alpine:3.21", "dest": "oci:/srv/alpine:3.21"}},
    ]
    play = {"hosts": "localhost", "gather_facts": False, "tasks": tasks}
    done = world.play([{**play, "module_defaults": {"group/longshore.oci.one_registry": login}}])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    # The other group has image_copy as well, whose ends have names of their own.
    refused = world.play([{**play, "module_defaults": {"group/longshore.oci.registry": login}, "tasks": tasks[-1:]}])
    assert refused.returncode != 0 and "Unsupported parameters" in refused.stdout, refused.stdout
    assert PASSWORD not in refused.stdout + refused.stderr
