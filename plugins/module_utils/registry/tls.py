# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS contexts: what is trusted and who we say we are. Built once for a set of options, used by every connection."""

from __future__ import annotations

import functools
import os
import ssl
from pathlib import Path

from ..model.errors import InvalidInput
from .settings import Settings

# As the reference clients do, take any certificate the user names as an anchor, not only self-signed ones.
# The name exists since Python 3.10, the flag in every OpenSSL we meet.
_PARTIAL_CHAIN = ssl.VerifyFlags(getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0x80000))


def registry_context(settings: Settings, host: str) -> ssl.SSLContext:
    """The context for the registry ``host`` (``name[:port]``) itself, client certificate included.

    Raises InvalidInput naming the file that cannot be read or used.
    """
    return _context(settings.validate_certs, settings.ca_path, *_files(settings, host))


def other_context(settings: Settings, host: str) -> ssl.SSLContext:
    """The context for the hosts the registry sends us to and for proxies: same trust, but no client certificate."""
    return _context(settings.validate_certs, settings.ca_path, _files(settings, host)[0], ())


def _files(settings: Settings, host: str) -> tuple[tuple[str, ...], tuple[tuple[str, str | None], ...]]:
    # Authorities and client certificates with their keys.
    authorities: list[str] = []
    pairs: list[tuple[str, str | None]] = []
    if settings.cert_dir:
        folder = Path(settings.cert_dir)
        if (folder / host).is_dir():
            folder = folder / host
        try:
            entries = sorted(folder.iterdir())
        except OSError as exc:
            raise InvalidInput(f"cert_dir '{folder}' cannot be read: {exc.strerror}") from None
        authorities = [str(entry) for entry in entries if entry.suffix == ".crt"]
        for entry in entries:
            if entry.suffix == ".cert":
                key = entry.with_suffix(".key")
                if not key.is_file():
                    raise InvalidInput(f"cert_dir: '{entry}' has no key: '{key}' is missing")
                pairs.append((str(entry), str(key)))
    if settings.client_cert:
        pairs = [(settings.client_cert, settings.client_key)]
    elif settings.client_key:
        raise InvalidInput("client_key is given without client_cert")
    return tuple(authorities), tuple(pairs)


@functools.lru_cache(maxsize=64)
def _context(
    validate: bool,
    ca_path: str | None,
    authorities: tuple[str, ...],
    pairs: tuple[tuple[str, str | None], ...],
) -> ssl.SSLContext:
    # Not ssl.create_default_context: since Python 3.13 it refuses the slightly irregular certificates that private
    # authorities are full of, and the same playbook would work on one host and fail on the next.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if validate:
        context.verify_flags |= _PARTIAL_CHAIN
        _trust_system(context)
        for path in (ca_path, *authorities):
            if path:
                _trust(context, path)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for certificate, key in pairs:
        _identify(context, certificate, key)
    return context


def _trust_system(context: ssl.SSLContext) -> None:
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    paths = ssl.get_default_verify_paths()
    if paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())) or context.cert_store_stats()["x509_ca"]:
        return
    try:
        from requests.utils import DEFAULT_CA_BUNDLE_PATH  # the one store that may be there all the same
    except ImportError:
        return
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)


def _trust(context: ssl.SSLContext, path: str) -> None:
    # OpenSSL reads a directory only by hashed names; users have directories of plain PEM files.
    place = Path(path)
    try:
        if not place.is_dir():
            context.load_verify_locations(path)
            return
        found = False
        for entry in sorted(place.iterdir()):
            if entry.suffix in (".crt", ".pem", ".cer") and entry.is_file():
                context.load_verify_locations(str(entry))
                found = True
        if not found:
            context.load_verify_locations(capath=path)
    except ssl.SSLError:
        raise InvalidInput(f"ca_path '{path}' holds no certificate in PEM form") from None
    except OSError as exc:
        raise InvalidInput(f"ca_path '{path}' cannot be read: {os.strerror(exc.errno or 0)}") from None


def _no_passphrase() -> str:
    # Without this OpenSSL would ask on the terminal, and the task would hang.
    raise InvalidInput("the client key is protected by a passphrase, which is not supported: give a key without one")


def _identify(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except ssl.SSLError as exc:
        reason = "do not belong together" if exc.reason == "KEY_VALUES_MISMATCH" else "are not both in PEM form"
        raise InvalidInput(f"client_cert '{certificate}' and client_key '{key or certificate}' {reason}") from None
    except OSError as exc:
        reason = os.strerror(exc.errno or 0)
        raise InvalidInput(f"client_cert '{certificate}' or client_key '{key or certificate}': {reason}") from None
