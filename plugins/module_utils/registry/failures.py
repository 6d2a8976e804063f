# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong with a connection, in one sentence that names the host and the way out."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
import time

from ..model.errors import NetworkError, TlsError
from ..model.text import shown

# What OpenSSL says to an answer that is no TLS at all.
_NO_TLS = frozenset(
    ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
)

# OpenSSL's verify codes (X509_V_ERR_*).
_NOT_YET_VALID = 9
_EXPIRED = 10
_HOSTNAME = (62, 64)

_PERMANENT_LOOKUPS = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME), socket.EAI_FAIL)


def network_error(exc: BaseException, name: str, when: str = "") -> NetworkError:
    """``exc``, raised by a socket or by http.client in talking to ``name`` (``registry host:port``), for the user."""
    if isinstance(exc, NetworkError):
        return exc
    when = f" {when}" if when else ""
    if isinstance(exc, ssl.SSLError):
        return _tls_error(exc, name, when)
    if isinstance(exc, socket.gaierror):
        if exc.errno in _PERMANENT_LOOKUPS:
            return NetworkError(f"{name}: no such host; check the spelling and the name server", transient=False)
        return NetworkError(f"{name}: the name server gave no answer; try again later")
    if isinstance(exc, UnicodeError):
        return NetworkError(f"{name}: no such host; the name is not valid", transient=False)
    if isinstance(exc, socket.timeout):
        return NetworkError(f"{name} did not answer in time{when}; 'timeout' sets how long to wait")
    if isinstance(exc, ConnectionRefusedError):
        return NetworkError(f"{name} refused the connection; check the port, and that the registry is running")
    if isinstance(exc, http.client.RemoteDisconnected):
        return NetworkError(f"{name} closed the connection without an answer{when}")
    if isinstance(exc, ConnectionError):
        return NetworkError(f"{name} closed the connection{when} ({exc.strerror or 'reset'})")
    if isinstance(exc, http.client.IncompleteRead):
        return NetworkError(f"{name} closed the connection in the middle of its answer{when}")
    if isinstance(exc, http.client.BadStatusLine):
        return _no_http(str(exc.args[0]) if exc.args else "", name)
    if isinstance(exc, (http.client.HTTPException, ValueError)):
        return NetworkError(f"{name} sent an answer that is not valid HTTP ({shown(exc, 120)})")
    if isinstance(exc, OSError) and exc.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return NetworkError(f"{name} cannot be reached from here ({exc.strerror}); a proxy may be needed")
    reason = (exc.strerror if isinstance(exc, OSError) else None) or exc
    return NetworkError(f"{name} cannot be reached{when}: {shown(reason, 160)}")


def _no_http(line: str, name: str) -> NetworkError:
    # A TLS server answers plain HTTP with an alert record: 0x15 0x03 ...
    raw = line.strip("'\"")
    if raw.startswith("\x15\x03") or raw.startswith("\\x15\\x03"):
        return plain_to_tls(name)
    return NetworkError(f"{name} does not speak HTTP on this port", transient=False)


def plain_to_tls(name: str) -> NetworkError:
    """Plain HTTP was sent where TLS is spoken."""
    return NetworkError(f"{name} speaks HTTPS, not plain HTTP, on this port; leave out 'plain_http'", transient=False)


def _tls_error(exc: ssl.SSLError, name: str, when: str) -> NetworkError:
    reason = exc.reason or ""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return TlsError(_verification(exc, name))
    if reason in _NO_TLS:
        return TlsError(f"{name} does not speak TLS on this port; for a plain HTTP registry set 'plain_http: true'")
    if isinstance(exc, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return NetworkError(f"{name} closed the TLS connection{when or ' without an answer'}")
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason or "BAD_CERTIFICATE" in reason:
        words = "wants a client certificate that it knows"
        return TlsError(f"{name} {words} ({shown(reason, 80)}); set 'client_cert' and 'client_key'")
    if "UNKNOWN_CA" in reason or "CERTIFICATE_UNKNOWN" in reason or "CERTIFICATE_EXPIRED" in reason:
        words = "refused our client certificate"
        return TlsError(f"{name} {words} ({shown(reason, 80)}); check 'client_cert' and 'client_key'")
    if "UNSUPPORTED_PROTOCOL" in reason or "PROTOCOL_VERSION" in reason:
        return TlsError(f"{name} speaks only TLS versions older than 1.2, which are not safe any more")
    return TlsError(f"{name}: TLS failed{when}: {shown(reason or exc, 160)}")


def _verification(exc: ssl.SSLCertVerificationError, name: str) -> str:
    code = getattr(exc, "verify_code", 0)
    detail = shown(getattr(exc, "verify_message", "") or exc, 200)
    if code in _HOSTNAME:
        return f"the certificate of {name} is for another name ({detail}); use a name that it has"
    # Python does not give us a certificate that it has refused: the other moment is the certificate's to tell.
    ours = f"this machine's clock says {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC"
    if code == _EXPIRED:
        return f"the certificate of {name} has expired; renew it, or check the clock: {ours}"
    if code == _NOT_YET_VALID:
        return f"the certificate of {name} is not valid yet; check the clock of the registry and ours: {ours}"
    return f"the certificate of {name} is not trusted ({detail}); give the authority that signed it in 'ca_path'"
