# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real AnsibleModule in this process, on every ansible-core: what it prints and how it ends."""

from __future__ import annotations

import contextlib
import json

import pytest
from ansible.module_utils import basic

from ansible_collections.longshore.oci.plugins.module_utils.support.argspec import one_end
from ansible_collections.longshore.oci.plugins.module_utils.support.run import run

ARGUMENTS = {"_ansible_remote_tmp": "/tmp", "_ansible_keep_remote_files": False}


@contextlib.contextmanager
def arguments(values):
    """Give ``values`` to the next AnsibleModule."""
    try:
        from ansible.module_utils.testing import patch_module_args
    except ImportError:
        # ansible-core 2.16
        saved = basic._ANSIBLE_ARGS
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": {**ARGUMENTS, **values}}).encode()
        try:
            yield
        finally:
            basic._ANSIBLE_ARGS = saved
    else:
        with patch_module_args({**ARGUMENTS, **values}):
            yield


def make(spec, **values):
    """An AnsibleModule with these arguments."""
    with arguments(values):
        return basic.AnsibleModule(spec, supports_check_mode=True)


def outcome(capsys, verb, spec=None, **values):
    """(result, everything printed) of `run` with ``verb``."""
    with arguments(values):
        module = basic.AnsibleModule(spec or one_end(), supports_check_mode=True)
        with pytest.raises(SystemExit):
            run(module, verb)
    printed = capsys.readouterr()
    return json.loads(printed.out.strip().splitlines()[-1]), printed.out + printed.err
