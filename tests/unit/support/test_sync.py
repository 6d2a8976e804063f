# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of image_sync to mappings, and what is secret among them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from ansible.module_utils import basic

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput, OciError
from ansible_collections.longshore.oci.plugins.module_utils.support.skopeo_module import SkopeoModule
from ansible_collections.longshore.oci.plugins.module_utils.support.skopeo_text import document_of, is_inline
from ansible_collections.longshore.oci.plugins.module_utils.support.sync import mapping_of
from ansible_collections.longshore.oci.tests.unit.support.running import arguments

TASK = {
    "dest": ["registry.example.com/mirror/"],
    "scoped": False,
    "suffix": None,
    "platforms": ["all"],
    "index": "strip",
    "referrers": False,
    "prune": False,
    "keep": [],
}
SECRET = "a-secret-of-somebody"
YAML = f"r.example:\n  images: {{app: [1.10]}}\n  credentials: {{username: me, password: {SECRET}}}\n"


def mapping(tags=None, task=None, **entry):
    return mapping_of({"src": "docker.io/library/nginx", "tags": tags, **entry}, {**TASK, **(task or {})})


def test_what_a_mapping_does_not_say_the_task_says():
    whole = mapping(task={"prune": True, "keep": ["v.*"], "referrers": True, "suffix": "-x"})
    assert whole.dests == ("registry.example.com/mirror/",) and whole.prune and whole.wish.referrers
    assert whole.naming.suffix == "-x" and whole.keep[0].fullmatch("v1")
    own = mapping(task={"prune": True}, prune=False, dest=["a.example/x", "a.example/x"], platforms=["linux/arm64"], suffix="")
    assert own.dests == ("a.example/x",) and not own.prune and str(own.wish.platforms[0]) == "linux/arm64"
    with pytest.raises(InvalidInput, match="has no dest"):
        mapping(task={"dest": None})


def test_names_alone_ask_for_no_list():
    assert mapping({"names": ["1.0"], "prereleases": False, "newest_by": "version", "immutable": True}).choice.wanted is None
    assert mapping({"names": ["1.0"], "newest": 2}).choice.wanted is not None
    everything = mapping({}).choice
    assert everything.wanted("any") and not everything.needs_dates and everything.newest is None
    aged = mapping({"glob": ["1*"], "newer_than": "90d", "exclude": ["1.2"]}).choice
    assert aged.newer_than == timedelta(days=90) and aged.needs_dates
    assert aged.wanted("1.1") and not aged.wanted("1.2") and not aged.wanted("2.1")


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"newest": 0}, "newest"),
        ({"names": ["a/b"]}, "invalid tag"),
        ({"semver": "nothing"}, "version range"),
        ({"include": ["("]}, "include"),
        ({"newer_than": "soon"}, "age"),
    ],
)
def test_choices_that_cannot_be_meant(tags, words):
    with pytest.raises(OciError, match=words):
        mapping(tags)


def test_scalars_of_skopeos_file_are_texts():
    document = document_of("a: &x {images: {app: [1.10, on, 0x1, 2026-01-01]}, tls-verify: no}\nb:\n  <<: *x\n  cert-dir: ~\n")
    assert document["a"]["images"]["app"] == ["1.10", "on", "0x1", "2026-01-01"] and document["a"]["tls-verify"] == "no"
    assert document["b"]["images"] == document["a"]["images"] and document["b"]["cert-dir"] is None
    with pytest.raises(InvalidInput, match="at line 2") as caught:
        document_of(f"a: 1\n b: {SECRET}: x\n")
    assert SECRET not in caught.value.message
    assert is_inline(YAML) and is_inline("{}") and not is_inline("/etc/longshore/sync.yml")


@pytest.mark.parametrize(
    "text", ['a: "\\U00110000"', "a: !!int 0x", 'a: !!int ""', "a: !!bool x", "a: !!timestamp x", "a: !!timestamp 2001-13-01", "["]
)
def test_what_yaml_itself_does_not_catch_is_no_yaml_either(text):
    with pytest.raises(InvalidInput, match="skopeo_yaml is no YAML"):
        document_of(text)


@pytest.mark.parametrize("given", [YAML, json.loads(json.dumps(document_of(YAML))), YAML + "]"])
def test_passwords_in_skopeos_file_are_masked_before_anything_is_logged(monkeypatch, capsys, given):
    logged = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, text, log_args=None: logged.append(f"{text} {log_args}"))
    with arguments({"skopeo_yaml": given}), pytest.raises(SystemExit):
        SkopeoModule({"skopeo_yaml": {"type": "raw"}}).exit_json(seen=f"it was {SECRET}")
    printed = capsys.readouterr().out
    assert logged and "it was" in printed
    if not isinstance(given, str) or not given.endswith("]"):
        # What cannot be read is masked as a whole, so that it cannot be told what of it is a secret.
        assert SECRET not in printed
    assert all(SECRET not in line for line in logged)
