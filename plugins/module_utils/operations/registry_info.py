# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to know about a registry without changing anything in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..model.errors import AccessDenied, ContentError, InvalidInput, InvalidReference, NotFound, RateLimited, RegistryError
from ..model.reference import DOCKER_HUB, Reference, api_host, check_repository
from ..model.text import sanitise, shown
from ..registry.challenge import parse_challenges
from ..registry.probes import Finding, Probes
from . import registry_sizes

if TYPE_CHECKING:
    import threading

    from ..registry.client import RegistryClient
    from ..registry.response import Response
    from ..registry.session import Session

#: Docker's own repository for this question: a HEAD of it tells the limit and counts as no pull (R1.75).
_RATE_LIMIT = ("ratelimitpreview/test", "latest")
#: Asked about where no repository is known. Nobody has it, and most answers do not depend on that.
_NOBODYS = "longshore/probe"

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Wish:
    """What is wanted beyond a greeting. ``repositories`` () means all. ``act``: also ask what is no GET, HEAD or OPTIONS."""

    catalog: bool = False
    sizes: bool = False
    repositories: Sequence[str] = field(default=())
    features: bool = False
    probe_uploads: bool = False
    act: bool = True


def host_of(text: str) -> str:
    """The registry in ``text``, ``host[:port]`` as image names begin. Raises InvalidInput."""
    name = text.rstrip("/")
    try:
        host = Reference.parse(f"{name}/x").host
    except InvalidReference:
        host = ""
    hub = host == DOCKER_HUB
    if not host or "/" in name or (hub and api_host(name) != api_host(DOCKER_HUB)):
        raise InvalidInput(
            f"invalid registry '{sanitise(text, 140)}': a host with its domain or port, as image names begin with it,"
            " such as registry.example.com or localhost:5000"
        )
    return host


def repositories_of(names: Sequence[str], host: str) -> list[str]:
    """The paths of ``names``, each once, with or without the host in front. Raises InvalidReference."""
    paths = []
    for name in names:
        path = name[len(host) + 1 :] if name.startswith(f"{host}/") else name
        if host == DOCKER_HUB and "/" not in path:
            path = f"library/{path}"
        paths.append(check_repository(path))
    return list(dict.fromkeys(paths))


def look(
    client: RegistryClient, wish: Wish, parallel: int, stop: threading.Event | None = None, warn: Warn | None = None
) -> dict[str, Any]:
    """What the registry says of itself, as plain values. Raises OciError where none answers."""
    tell = warn or _keep_quiet
    session = client.session
    started = time.monotonic()
    greeting = session.greeting()
    seconds = time.monotonic() - started
    auth = _auth(greeting)
    found: dict[str, Any] = {
        "registry": client.host,
        "url": session.base,
        "ping": {"status": greeting.status, "seconds": round(seconds, 3)},
        "api_version": _header(greeting, "docker-distribution-api-version"),
        "server": _header(greeting, "server"),
        "software": _software(greeting),
        "auth": auth,
        "login": _login(session, auth["kind"]),
    }
    if api_host(client.host) == api_host(DOCKER_HUB):
        _ask_rate_limit(client, tell)
    names: list[str] | None = list(wish.repositories) or None
    if wish.catalog or (wish.sizes and names is None):
        listed = _catalog(client, tell)
        if wish.catalog:
            found["repositories"] = listed
        names = names or listed
    if wish.sizes:
        found.update(_sizes(client, wish, names, parallel, stop, tell))
    if wish.features or wish.probe_uploads:
        found["features"] = _features(session, wish, names, found, tell)
    return found


def _keep_quiet(text: str) -> None:
    """For a caller that wants no warnings."""


def _header(response: Response, name: str) -> str | None:
    value = response.headers.get(name)
    return shown(value, 120) if value is not None else None


def _software(greeting: Response) -> dict[str, str] | None:
    version = _header(greeting, "gitlab-container-registry-version")
    return {"name": "gitlab", "version": version} if version else None


def _auth(greeting: Response) -> dict[str, str | None]:
    # The kind that would be used: of several, Bearer comes before Basic (R1.60).
    auth: dict[str, str | None] = {"kind": "none", "realm": None, "service": None}
    if greeting.status == 200:
        return auth
    try:
        challenges = parse_challenges(greeting.headers.get_all("www-authenticate"))
    except ContentError:
        challenges = []
    kinds = {challenge.scheme: challenge.params for challenge in reversed(challenges)}
    kind = next((name for name in ("bearer", "basic", *kinds) if name in kinds), "unknown")
    params = kinds.get(kind, {})
    auth.update({name: shown(params[name], 300) for name in ("realm", "service") if name in params})
    return {**auth, "kind": shown(kind, 40)}


def _login(session: Session, kind: str | None) -> dict[str, Any] | None:
    source = session.credentials_source()
    if source is None:
        return None
    if kind == "none":
        # Nobody looks at them, so that nobody knows.
        return {"source": source, "accepted": None, "message": f"{session.host} asks nobody who they are"}
    try:
        session.request("GET", "/v2/", what=f"registry {session.host}")
    except AccessDenied as exc:
        return {"source": source, "accepted": False, "message": exc.message}
    return {"source": source, "accepted": True, "message": ""}


def _ask_rate_limit(client: RegistryClient, tell: Warn) -> None:
    # The session keeps what the answer says of the limit.
    try:
        client.head_manifest(*_RATE_LIMIT)
    except (AccessDenied, NotFound, RateLimited) as exc:
        tell(f"the pull limit cannot be told: {exc.message}")


def _catalog(client: RegistryClient, tell: Warn) -> list[str] | None:
    try:
        return client.catalog()
    except RegistryError as exc:
        tell(f"the repositories of {client.host} cannot be listed: {exc.message}")
        return None


def _sizes(
    client: RegistryClient,
    wish: Wish,
    names: list[str] | None,
    parallel: int,
    stop: threading.Event | None,
    tell: Warn,
) -> dict[str, Any]:
    if names is None:
        return {"sizes": None, "total_size": None, "missing": []}
    sizes = registry_sizes.measure(client, names, parallel, stop, tell)
    rows = [one.result for one in sizes.repositories]
    # A catalogue may name repositories that have no tags any more, which is nobody's mistake.
    return {"sizes": rows, "total_size": sizes.total, "missing": sizes.missing if wish.repositories else []}


def _features(
    session: Session, wish: Wish, names: list[str] | None, found: dict[str, Any], tell: Warn
) -> dict[str, bool | list[str] | None]:
    probes = Probes(session)
    findings: dict[str, Finding] = {}
    extensions: list[str] = []
    repository = names[0] if names else None
    if "repositories" in found:
        findings["catalog"] = Finding(found["repositories"] is not None)
    else:
        findings["catalog"], first = probes.repository()
        repository = repository or _valid(first)
    repository = repository or _NOBODYS
    findings["read_only"] = probes.read_only(repository)
    if wish.features:
        findings["referrers"] = probes.referrers(repository)
        found["software"], extensions = _known_software(probes, found["software"])
        findings.update(_deletions(probes, repository, findings["read_only"], wish.act))
    if wish.probe_uploads and wish.act:
        upload = probes.uploads(repository)
        findings["uploads"] = upload.possible
        if upload.read_only.value is not None:
            findings["read_only"] = upload.read_only
        if not upload.clean:
            tell(f"{session.host} kept the upload to {repository} that was begun to see whether it can; it expires by itself")
    for name, finding in findings.items():
        if finding.value is None and finding.why:
            tell(f"{session.host} does not tell about {name}: {finding.why}")
    values: dict[str, bool | list[str] | None] = dict.fromkeys(("referrers", "delete", "tag_delete", "uploads"))
    return {**values, **{name: finding.value for name, finding in findings.items()}, "extensions": extensions}


def _deletions(probes: Probes, repository: str, read_only: Finding, act: bool) -> dict[str, Finding]:
    if read_only.value:
        return {"delete": Finding(False), "tag_delete": Finding(False)}
    if not act:
        return {}
    return {"delete": probes.deletes_manifests(repository), "tag_delete": probes.deletes_tags(repository)}


def _valid(name: str | None) -> str | None:
    try:
        return check_repository(name) if name else None
    except InvalidReference:
        return None


def _known_software(probes: Probes, known: dict[str, str] | None) -> tuple[dict[str, str] | None, list[str]]:
    # zot tells its extensions (distribution-spec, extensions), Harbor its version where it shows it to everybody.
    rows = (probes.document("/v2/_oci/ext/discover") or {}).get("extensions")
    names = [one.get("name") for one in rows if isinstance(one, dict)] if isinstance(rows, list) else []
    extensions = [shown(name, 80) for name in names[:32] if isinstance(name, str)]
    if known is None and "_zot" in extensions:
        known = {"name": "zot", "version": ""}
    if known is None:
        version = (probes.document("/api/v2.0/systeminfo") or {}).get("harbor_version")
        if isinstance(version, str):
            known = {"name": "harbor", "version": shown(version, 80)}
    return known, extensions
