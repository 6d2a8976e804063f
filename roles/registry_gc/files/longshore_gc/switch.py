# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances of a storage made read-only, proved to be so, and brought back."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from . import cache, durable, private
from .control import Controls
from .errors import CollectError, NotReadOnly, NotRestored, Refused
from .log import say
from .probe import ANSWERS, REPOSITORY, Endpoint, Witness
from .record import Instance
from .settings import STOP, Settings
from .state import Touched

_TRIES = 3
_PAUSE_SECONDS = 2.0


class Switched(NamedTuple):
    """An instance, how it was found, and whether it is stopped rather than read-only meanwhile."""

    instance: Instance
    touched: Touched
    stopped: bool


class Switch:
    """Switches the writable instances of one storage.

    Args:
        instances: Those that write. Read-only twins may go on.
        settings: The user and the mode.
        controls: How to start and stop them.
        announce: See `private.Announce`.
    """

    def __init__(self, instances: list[Instance], settings: Settings, controls: Controls, announce: private.Announce) -> None:
        self._settings = settings
        self._controls = controls
        self._announce = announce
        self._witnesses: dict[str, Witness] = {}
        self.switched = [self._look(one) for one in instances]
        #: How each instance was proved read-only.
        self.proofs: dict[str, str] = {}

    def endpoint(self, instance: Instance) -> Endpoint:
        """An instance, with the user if it is the one that the user is of: peers may have others."""
        if instance.source.resolve() != self._settings.record.resolve():
            return Endpoint(instance.probe)
        return Endpoint(instance.probe, self._settings.username or None, self._settings.password)

    def enter(self, twins: list[Instance]) -> None:
        """Make them read-only, or stop them; `NotReadOnly` unless that is proved of each, and of ``twins`` as well."""
        for one in self.switched:
            if one.touched.running:
                with contextlib.suppress(OSError):
                    self._witnesses[one.instance.name] = Witness(self.endpoint(one.instance))
        for one in self.switched:
            say(f"{one.instance.name}: {'stopped' if one.stopped else 'read-only'} from now on")
            durable.link(one.instance.config, one.instance.readonly_config.name)
            if one.stopped and one.touched.running:
                self._controls.stop(one.instance)
            elif one.touched.running:
                self._controls.restart(one.instance)
        for one in self.switched:
            self.proofs[one.instance.name] = self._prove(one)
            say(f"{one.instance.name}: proved: {self.proofs[one.instance.name]}")
        for twin in twins:
            if self._controls.active(twin) and self.endpoint(twin).begin_upload(REPOSITORY) == 202:
                raise NotReadOnly(f"{twin.name} is declared read-only, but takes uploads: restart it")

    def close(self) -> None:
        """Let go of the connections."""
        for witness in self._witnesses.values():
            witness.close()

    def _look(self, instance: Instance) -> Switched:
        self._controls.of(instance)
        if not instance.config.is_symlink():
            raise Refused(
                f"{instance.config} is no symbolic link to readwrite.yml or readonly.yml: run the role longshore.oci.registry again"
            )
        for path in (instance.readwrite, instance.readonly_config):
            if not path.is_file():
                raise Refused(f"{path} does not exist: run the role longshore.oci.registry again")
        running = self._controls.active(instance)
        if running is None:
            running = not self.endpoint(instance).refuses_connections()
        touched = Touched(str(instance.source), os.readlink(instance.config), running)
        # A proxy stores what it is asked for, read-only or not.
        return Switched(instance, touched, self._settings.mode == STOP or instance.proxy or not running)

    def _prove(self, one: Switched) -> str:
        instance, endpoint = one.instance, self.endpoint(one.instance)
        if one.stopped:
            end = time.monotonic() + self._settings.start_timeout_seconds
            while not endpoint.refuses_connections():
                if time.monotonic() > end:
                    raise NotReadOnly(f"{instance.name} was stopped, but {endpoint} still listens: stop whatever that is")
                time.sleep(0.1)
            return "it is stopped: connections are refused"
        try:
            endpoint.wait(self._settings.start_timeout_seconds)
        except CollectError as error:
            raise NotReadOnly(f"{instance.name} does not come back with its read-only configuration: {error}") from error
        witness = self._witnesses.get(instance.name)
        if witness is None or not witness.gone():
            raise NotReadOnly(f"{instance.name} was restarted, but the process that served before may still run")
        status = endpoint.begin_upload(REPOSITORY)
        if status == 405:
            return "an upload was refused with 405"
        if status == 401 and not endpoint.authenticates:
            return self._prove_privately(instance)
        if status == 401:
            raise NotReadOnly(f"{instance.name} does not accept the user {self._settings.username}: set registry_gc_username and "
                              "registry_gc_password to a user of the registry")
        raise NotReadOnly(f"{instance.name} was made read-only, but answers the beginning of an upload with {status}")

    def _prove_privately(self, instance: Instance) -> str:
        """Without a user every upload is answered with 401, read-only or not: then two things stand for one.

        The process that served before has gone, and whichever serves now has read ``config``, which is the read-only
        configuration; and that configuration, without its users on 127.0.0.1, refuses an upload.
        """
        seconds = self._settings.start_timeout_seconds
        with private.serving(instance, self._announce, delete=False, seconds=seconds) as trial:
            status = trial.begin_upload(REPOSITORY)
        if status != 405:
            raise NotReadOnly(f"{instance.readonly_config} does not make a registry read-only: it answers an upload with {status}")
        if os.readlink(instance.config) != instance.readonly_config.name:
            raise NotReadOnly(f"{instance.config} was changed meanwhile: somebody does not respect {instance.lock}")
        return "restarted with a configuration with which a private registry refused an upload with 405 (no user to try itself)"


def bring_back(
    switched: list[tuple[Instance, Touched]], controls: Controls, seconds: float, flush: bool, apart: list[Instance]
) -> int:
    """Restore every instance as it was found; the number of cache keys dropped.

    All instances are tried, each several times, before `NotRestored` says which failed. With ``flush`` nothing runs
    while the keys are dropped, so that no process puts one back. ``apart`` are read-only twins, which are restarted for
    the sake of their caches.
    """
    errors: list[str] = []
    running = [instance for instance, touched in switched if touched.running]
    redis = flush and bool(cache.in_redis([*running, *apart]))
    for instance, touched in switched:
        _attempt(errors, instance.name, partial(durable.link, instance.config, touched.target))
    keys = 0
    if redis:
        for instance in running:
            try:
                controls.stop(instance)
            except CollectError as error:
                say(f"{error}; it is started all the same")
        try:
            keys = cache.flush([*running, *apart])
        except CollectError as error:
            errors.append(
                f"{error}. Drop the keys blobs::* and repository::* there, or what is pushed again cannot be pulled"
            )
    for instance in running:
        act = controls.start if redis else controls.restart
        _attempt(errors, instance.name, partial(_begin, act, instance, seconds))
    for instance in apart:
        _attempt(errors, instance.name, partial(controls.restart, instance))
    if errors:
        raise NotRestored("; ".join(errors))
    return keys


def _begin(act: Callable[[Instance], None], instance: Instance, seconds: float) -> None:
    act(instance)
    Endpoint(instance.probe).wait(seconds)


def _attempt(errors: list[str], name: str, act: Callable[[], None]) -> None:
    last = ""
    for number in range(_TRIES):
        if number:
            time.sleep(_PAUSE_SECONDS)
        try:
            act()
            return
        except (CollectError, OSError) as error:
            last = f"{name}: {error}"
            say(f"{last} (try {number + 1} of {_TRIES})")
    errors.append(last)


def prove_back(switch: Switch, one: Switched, repository: str) -> str:
    """That an instance is as it was found: it answers, and takes uploads if it did; `NotRestored` if not."""
    if not one.touched.running:
        return "it was not running, and is not"
    endpoint = switch.endpoint(one.instance)
    readonly = one.instance.proxy or one.touched.target == one.instance.readonly_config.name
    status = endpoint.begin_upload(repository, one.instance.root)
    if status == 202 and not readonly:
        return "an upload was accepted with 202, and ended"
    if status == 405 and readonly:
        return "it refuses uploads, as before"
    if status == 401 and not endpoint.authenticates and endpoint.request("GET", "/v2/").status in ANSWERS:
        return "it answers 401, and has read the configuration that it had before (no user to try an upload)"
    raise NotRestored(f"{one.instance.name} is back, but answers the beginning of an upload with {status}")
