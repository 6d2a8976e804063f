# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the parameters of a task to the things that speak to registries: settings, sessions, meter, bandwidth."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ..model.errors import InvalidInput
from ..registry.bandwidth import Bandwidth
from ..registry.meter import Meter
from ..registry.pace import Paces
from ..registry.settings import Settings
from .argspec import SECRETS, environment_name
from .results import spellings

if TYPE_CHECKING:
    from ..registry.pool import Registries
    from ..transports.engine_settings import EngineSettings
    from .podman_service import PodmanService

#: The ends a module can have: '' where there is one alone.
ENDS = ("", "src", "dest")
_CREDENTIALS = ("username", *SECRETS)
_MOST_PARALLEL = 256
_SLOWEST, _FASTEST = 0.01, 100_000


class Task:
    """One run of one module: its parameters ('' counts as not given) and what its transfers share."""

    def __init__(self, module: AnsibleModule) -> None:
        self.params: dict[str, Any] = {key: None if value == "" else value for key, value in module.params.items()}
        self.check_mode: bool = bool(module.check_mode)
        self.meter = Meter()
        #: Set when the task is told to stop; sessions and the engine look at it.
        self.stop = threading.Event()
        self._warnings: list[str] = []
        self._registries: dict[str, Registries] = {}
        self._bandwidth: Bandwidth | None = None
        self._paces: Paces | None = None
        self._module = module
        self._podman: PodmanService | None = None
        self._starting = threading.Lock()
        #: Whether the module meets registries; its options then are those of `argspec.one_end` or `argspec.two_ends`.
        self._wired = "parallel" in self.params
        if self._wired:
            self._from_environment()
        #: Every text that must not appear in what leaves the module.
        self.secrets: set[str] = set(module.no_log_values) | self._secrets()

    def check(self, new_auth_file: bool = False) -> None:
        """Raise InvalidInput for options whose values cannot be meant; asked before anything else is done.

        ``new_auth_file``: the file of auth_file need not be there yet.
        """
        params = self.params
        if not self._wired:
            return
        if not 1 <= params["parallel"] <= _MOST_PARALLEL:
            raise InvalidInput(f"parallel must be 1 to {_MOST_PARALLEL}, not {params['parallel']}")
        if not 0 < params["timeout"] <= 86400:
            raise InvalidInput(f"timeout must be more than 0 and at most 86400 seconds, not {params['timeout']}")
        for name in ("retries", "max_retry_after"):
            if params[name] < 0:
                raise InvalidInput(f"{name} must not be negative: {params[name]}")
        if params["bandwidth_limit"] is not None and params["bandwidth_limit"] < 1024:
            raise InvalidInput("bandwidth_limit must be at least 1024 bytes a second; leave it out for no limit")
        rate = params["max_requests_per_second"]
        if rate is not None and not _SLOWEST <= rate <= _FASTEST:
            raise InvalidInput(f"max_requests_per_second must be {_SLOWEST} to {_FASTEST}, not {rate}; leave it out for no limit")
        for end in ENDS:
            if _option(end, "validate_certs") in params:
                settings = settings_of(params, end)
                # Found out now: credentials are looked for only when a registry asks for some.
                if settings.auth_file and not new_auth_file and not os.path.exists(settings.auth_file):
                    raise InvalidInput(f"auth_file {settings.auth_file} does not exist on the host that runs this task")

    @property
    def parallel(self) -> int:
        """How many requests at once, to each host."""
        return int(self.params["parallel"])

    @property
    def bandwidth(self) -> Bandwidth:
        """The limit that all transfers of the task share."""
        if self._bandwidth is None:
            self._bandwidth = Bandwidth(self.params["bandwidth_limit"])
        return self._bandwidth

    @property
    def paces(self) -> Paces:
        """The requests a second that all ends of the task share, for each host."""
        if self._paces is None:
            self._paces = Paces(self.params["max_requests_per_second"])
        return self._paces

    def registries(self, end: str = "", push: bool = False) -> Registries:
        """The registries of one end ('', ``src`` or ``dest``): one object for the whole task, closed with it.

        ``push``: what is read there is going to be written too, so that one token may be asked to allow both.
        """
        if end not in self._registries:
            # Late: what needs the HTTP library is imported where a missing one becomes a message.
            from ..registry.pool import Registries

            settings = settings_of(self.params, end)
            self._registries[end] = Registries(settings, self.meter, self.bandwidth, self.stop, push, self.paces)
        return self._registries[end]

    def registries_with(self, name: str, settings: Settings) -> Registries:
        """Registries to read from with ``settings`` of their own, called ``name``, which is no name of an end."""
        from ..registry.pool import Registries

        if name not in self._registries:
            self._registries[name] = Registries(settings, self.meter, self.bandwidth, self.stop, False, self.paces)
        return self._registries[name]

    def engine(self, end: str = "") -> EngineSettings:
        """The container engine of one end ('', ``src`` or ``dest``). Nothing is asked or started yet."""
        from ..transports.engine_settings import EngineSettings

        params = self.params
        return EngineSettings(
            host=params.get(_option(end, "daemon_host")),
            validate_certs=params.get(_option(end, "validate_certs")) is not False,
            ca_path=params.get(_option(end, "ca_path")),
            client_cert=params.get(_option(end, "client_cert")),
            client_key=params.get(_option(end, "client_key")),
            timeout=params["timeout"],
            stop=self.stop,
            start_podman=self._start_podman,
        )

    def _start_podman(self) -> str:
        from .podman_service import PodmanService

        with self._starting:
            if self._podman is None:
                self._podman = PodmanService(self._module, self.stop)
        return self._podman.url()

    def warn(self, text: str) -> None:
        """Show a warning with the result, once."""
        if text not in self._warnings:
            self._warnings.append(text)

    def warnings(self) -> list[str]:
        """Our warnings and those that registries sent (R1.73)."""
        return [*self._warnings, *self.meter.warnings]

    def facts(self) -> dict[str, Any]:
        """What every result carries of the wire: ``requests``, and ``rate_limit`` where a registry told it (R1.75)."""
        if not self._wired:
            return {}
        facts: dict[str, Any] = {"requests": self.meter.requests}
        if self.meter.rate_limit:
            facts["rate_limit"] = dict(self.meter.rate_limit)
        return facts

    def close(self) -> None:
        """Let go of connections, and end what was started for the task. May be called twice."""
        if self._podman is not None:
            self._podman.close()
        while self._registries:
            self._registries.popitem()[1].close()

    def _from_environment(self) -> None:
        # Ansible's own fallback fills in options that are absent; a template that came out empty is absent to us too.
        for end in ENDS:
            for name in _CREDENTIALS:
                option = _option(end, name)
                if option in self.params and self.params[option] is None:
                    self.params[option] = os.environ.get(environment_name(option)) or None

    def _secrets(self) -> set[str]:
        found: set[str] = set()
        for end in ENDS:
            username = self.params.get(_option(end, "username"))
            for name in SECRETS:
                secret = self.params.get(_option(end, name))
                if secret:
                    found |= spellings(username, secret)
            found |= _proxy_secret(self.params.get(_option(end, "proxy")))
        return found


def settings_of(params: Mapping[str, Any], end: str = "") -> Settings:
    """The settings of one end. Raises InvalidInput for credentials that cannot be sent (R1.68)."""

    def option(name: str) -> Any:
        return params.get(_option(end, name))

    username, password, token = (option(name) for name in _CREDENTIALS)
    # A password may have lines: that of _json_key is a JSON document.
    for name, value, refused in zip(_CREDENTIALS, (username, password, token), ("\r\n\0", "\0", "\r\n\0")):
        if value and any(character in value for character in refused):
            raise InvalidInput(f"{_option(end, name)} must not hold line breaks or NUL characters")
    if username and ":" in username:
        raise InvalidInput(f"{_option(end, 'username')} must not hold ':' (RFC 7617); a password may")
    if username and not password:
        raise InvalidInput(f"{_option(end, 'username')} is given without {_option(end, 'password')}")
    if password and not username:
        raise InvalidInput(f"{_option(end, 'password')} is given without {_option(end, 'username')}")
    if token and username:
        raise InvalidInput(f"give {_option(end, 'token')} or {_option(end, 'username')}, not both")
    if option("client_key") and not option("client_cert"):
        raise InvalidInput(f"{_option(end, 'client_key')} is given without {_option(end, 'client_cert')}")
    return Settings(
        plain_http=bool(option("plain_http")),
        validate_certs=option("validate_certs") is not False,
        ca_path=option("ca_path"),
        client_cert=option("client_cert"),
        client_key=option("client_key"),
        cert_dir=option("cert_dir"),
        proxy=option("proxy"),
        trusted_realms=tuple(option("trusted_realms") or ()),
        username=username,
        password=password,
        token=token,
        auth_file=option("auth_file") or params.get("auth_file"),
        timeout=params["timeout"],
        retries=params["retries"],
        max_retry_after=params["max_retry_after"],
        parallel=params["parallel"],
        rate_limit=params["rate_limit"],
    )


def _option(end: str, name: str) -> str:
    return f"{end}_{name}" if end else name


def _proxy_secret(proxy: str | None) -> set[str]:
    # http://user:password@proxy:3128: only the password is one.
    if not proxy or "@" not in proxy:
        return set()
    userinfo = proxy.rpartition("@")[0].rpartition("/")[2]
    username, unused, password = userinfo.partition(":")
    return spellings(username, password) if password else set()
