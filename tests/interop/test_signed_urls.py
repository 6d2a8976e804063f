# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What signs a URL stays where it was put, though the option that holds it is shown: in no output, result or log."""

from __future__ import annotations

import json
import pathlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.longshore.oci.tests.interop.test_secrets import BIN_DIRECTORIES, MODES, found_in, run
from ansible_collections.longshore.oci.tests.servers import images, process
from ansible_collections.longshore.oci.tests.servers.modules import NAMESPACE, ModuleRunner
from ansible_collections.longshore.oci.tests.servers.registry import Registry
from ansible_collections.longshore.oci.tests.servers.storage import Asked, Storage

SIGNATURE = "5f1c%2Fmarked%2Bsignature-2f0cb81e5a9d44d7"
CREDENTIAL = "MARKEDCREDENTIAL%2F20260101%2Fus-east-1%2Fs3%2Faws4_request"
QUERY = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={CREDENTIAL}&X-Amz-Expires=3600&X-Amz-Signature={SIGNATURE}"


@pytest.fixture(scope="module", params=BIN_DIRECTORIES.split(":"))
def playbook_command(request: pytest.FixtureRequest) -> str:
    """``ansible-playbook`` of each ansible-core that is tried."""
    return str(pathlib.Path(request.param) / "ansible-playbook")


@pytest.fixture
def storage() -> Iterator[Storage]:
    with Storage() as running:
        yield running


def echoing(asked: Asked, handler: Any) -> bool:
    """A refusal that says back all that it was asked."""
    words = f"{asked.path}?{asked.query} from http://127.0.0.1{asked.path}?{asked.query} with {asked.query[-42:]}"
    handler.refuse(403, f"<Error><Code>Denied</Code><Message>{words}</Message></Error>", {"Warning": f'299 - "{words}"'})
    return True


def tasks(url: str, layout: pathlib.Path, registry: Registry, repository: str) -> list[tuple[bool, dict[str, Any]]]:
    """Whether each fails, and the task."""
    saved = {"state": "saved", "images": [f"oci:{layout}:one:1"]}
    target = {"dest": f"{registry.host}/{repository}:1", "dest_plain_http": True}
    closed = f"http://127.0.0.1:{process.free_port()}/a.tar?{QUERY}"
    return [
        (False, {"image_save_load": {**saved, "path": "{{ signed }}"}}),
        (False, {"image_save_load": {**saved, "path": "{{ signed }}"}}),
        (False, {"image_inspect": {"name": ["{{ signed }}#one:1", "{{ signed }}#none", f"{url}/none.tar?{QUERY}#x"]}}),
        (False, {"image_tags": {"repository": "{{ signed }}", "details": True}}),
        (False, {"image_copy": {"src": "{{ signed }}#one:1", **target}}),
        (False, {"image_copy": {"images": [{"src": f"oci:{layout}:one:1", "dest": f"{url}/b.tar?{QUERY}#b:1"}]}}),
        (True, {"image_save_load": {**saved, "path": f"{url}/refused.tar?{QUERY}", "retries": 0}}),
        (True, {"image_save_load": {"state": "loaded", "path": f"{url}/refused.tar?{QUERY}", "dest": "127.0.0.1:9/x"}}),
        (True, {"image_copy": {"src": f"{url}/refused.tar?{QUERY}#x", **target}}),
        (True, {"image_save_load": {**saved, "path": closed, "retries": 0}}),
        (True, {"image_save_load": {**saved, "path": "{{ signed }}", "append": True}}),
        (True, {"image_save_load": {**saved, "path": "{{ signed }}#fragment"}}),
        (True, {"image_save_load": {**saved, "path": "{{ signed }}", "no_such_option": 1}}),
        (True, {"image_inspect": {"name": "{{ signed }}#one:1", "parallel": 0}}),
        (True, {"image_tags": {"repository": "{{ signed }}", "state": "absent", "tags": ["x"]}}),
    ]


@pytest.mark.parametrize("mode", ["verbose", "all"])
def test_playbook(
    mode: str, playbook_command: str, module: ModuleRunner, storage: Storage, registry: Registry, repository: str,
    tmp_path: pathlib.Path,
) -> None:  # fmt: skip
    layout = images.write_layout(tmp_path / "layout", {"one:1": images.sample()})
    url = f"http://{storage.host}"
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "variables.json").write_text(
        json.dumps({"signed": f"{url}/a.tar?{QUERY}", "ansible_python_interpreter": sys.executable})
    )
    storage.always["/refused.tar"] = echoing
    cases = tasks(url, layout, registry, repository)
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [
            {f"{NAMESPACE}.{name}": options, "register": f"result_{number}", "ignore_errors": True}
            for number, (unused, task) in enumerate(cases)
            for name, options in task.items()
        ],
    }
    together = "[" + ", ".join(f"result_{number}" for number in range(len(cases))) + "]"
    results = tmp_path / "results.json"
    copy = {"content": "{{ " + together + " | to_json }}", "dest": str(results), "mode": "0600"}
    play["tasks"] += [{"ansible.builtin.copy": copy, "check_mode": False}]  # type: ignore[operator]
    playbook = hidden / "playbook.yml"
    playbook.write_text(json.dumps([play]))
    command = [playbook_command, "--inventory", "localhost,", "--extra-vars", f"@{hidden}/variables.json", *MODES[mode]]
    stage = types.SimpleNamespace(directory=tmp_path, secrets=[SIGNATURE, CREDENTIAL], registries=(registry,))
    ran = run(module, stage, [*command, str(playbook)])  # type: ignore[arg-type]
    assert ran.status == 0, ran.shown[-3000:]
    assert found_in(ran.shown, stage.secrets) == []
    text = results.read_text()
    assert found_in(text, stage.secrets) == []
    checking = "--check" in MODES[mode]
    for (fails, task), result in zip(cases, json.loads(text)):
        # In check mode nothing was written that could be read, and nothing was refused.
        if not checking:
            assert bool(result.get("failed")) == fails, f"{task}: {result.get('msg')}"
    # It did arrive where it was meant to, and was said back.
    assert any(asked.query == QUERY for asked in storage.log)
    assert "HTTP 403" in text
