# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Podman's API started for a task, by programs that stand in for podman."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import Cancelled, MissingRequirement, OciError
from ansible_collections.longshore.oci.plugins.module_utils.support import podman_service
from ansible_collections.longshore.oci.plugins.module_utils.support.argspec import one_end
from ansible_collections.longshore.oci.plugins.module_utils.support.podman_service import PodmanService
from ansible_collections.longshore.oci.tests.unit.support.running import make

SERVE = """
import os, socket, sys
path = sys.argv[-1][len("unix://"):]
open(os.environ["NOTES"], "a").write(f"{os.getpid()} {' '.join(sys.argv[1:4])} {sys.stdin.read().strip()!r}\\n")
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
while True:
    server.accept()[0].close()
"""


@pytest.fixture
def podman(tmp_path, monkeypatch):
    """Puts a program in podman's place; returns where it makes its notes."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))

    def put(script):
        program = tmp_path / "podman"
        program.write_text(f"#!{sys.executable}\n{script}")
        program.chmod(0o755)
        return tmp_path / "notes"

    return put


@pytest.fixture
def service():
    stop = threading.Event()
    found = PodmanService(make(one_end()), stop)
    found.stop = stop
    yield found
    found.close()


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_runs_for_the_task_and_no_longer(podman, service):
    notes = podman(SERVE)
    url = service.url()
    assert service.url() == url
    path = url[len("unix://") :]
    folder = os.path.dirname(path)
    assert os.stat(folder).st_mode & 0o777 == 0o700
    words = notes.read_text().split()
    # Once, and its standard input is not ours.
    assert words[1:] == ["system", "service", f"--time={podman_service.INACTIVITY}", "''"]
    assert is_alive(int(words[0]))
    service.close()
    service.close()
    assert not is_alive(int(words[0])) and not os.path.exists(folder)


def test_it_is_started_again_when_it_ended_by_itself(podman, service):
    notes = podman(SERVE)
    first = service.url()
    os.kill(int(notes.read_text().split()[0]), 15)
    end = time.monotonic() + 5
    while service._thread.is_alive():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert service.url() == first
    assert len(notes.read_text().splitlines()) == 2


def test_one_that_does_not_start(podman, service):
    podman("import sys\nsys.exit('Error: no subuid ranges found\\nfor user')")
    with pytest.raises(OciError, match="podman cannot start its API: Error: no subuid ranges found for user"):
        service.url()


def test_one_that_never_answers(podman, service, monkeypatch):
    podman("import time\ntime.sleep(60)")
    monkeypatch.setattr(podman_service, "START", 0.5)
    with pytest.raises(OciError, match="did not start its API"):
        service.url()
    started = time.monotonic()
    service.close()
    assert time.monotonic() - started < 5


def test_a_stopped_task_does_not_wait(podman, service):
    podman("import time\ntime.sleep(60)")
    threading.Timer(0.3, service.stop.set).start()
    with pytest.raises(Cancelled):
        service.url()


def test_one_that_does_not_want_to_end(podman, service, monkeypatch):
    notes = podman("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVE)
    monkeypatch.setattr(podman_service, "END", 0.5)
    service.url()
    pid = int(notes.read_text().split()[0])
    service.close()
    assert not is_alive(pid)


def test_no_podman(service, monkeypatch, tmp_path):
    monkeypatch.setattr(service._module, "get_bin_path", lambda name: None)
    with pytest.raises(MissingRequirement, match="podman, which is not installed"):
        service.url()


def test_a_long_path_is_not_used(tmp_path):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    found = podman_service._short_directory(str(deep))
    assert len(found) < 90 and os.stat(found).st_mode & 0o777 == 0o700
    os.rmdir(found)
