# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proof that the delay proxy delays, and does not throttle: measured against a server of this process, directly and
through the proxy.
"""

from __future__ import annotations

import socket
import statistics
import threading
import time

from .registry import Delay

BLOCK = bytes(1 << 20)
MEGABYTES = 512


def measure(round_trip: float) -> dict[str, float]:
    """``round_trip`` in milliseconds. Latencies are medians in milliseconds, throughput is in MB/s."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve, args=(listener,), daemon=True).start()
    direct = f"127.0.0.1:{listener.getsockname()[1]}"
    delay = Delay(direct, round_trip)
    try:
        return {
            "round_trip_ms": _round_trip(delay.address),
            "first_answer_on_a_new_connection_ms": _first_answer(delay.address),
            "throughput_mb_s": _throughput(delay.address),
            "direct_round_trip_ms": _round_trip(direct),
            "direct_throughput_mb_s": _throughput(direct),
        }
    finally:
        delay.stop()
        listener.close()


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            client = listener.accept()[0]
        except OSError:
            return  # closed: the measurement is over
        threading.Thread(target=_answer, args=(client,), daemon=True).start()


def _answer(client: socket.socket) -> None:
    """Answer each byte of a conversation that begins with ``e``; count those of one that begins with ``s``."""
    with client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        echo = client.recv(1) == b"e"
        buffer, total = bytearray(1 << 20), 0
        while True:
            count = client.recv_into(buffer)
            if not count:
                break
            total += count
            if echo:
                client.sendall(buffer[:count])
        if not echo:
            client.sendall(b"%d" % total)


def _connect(address: str) -> socket.socket:
    host, port = address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _round_trip(address: str) -> float:
    samples = []
    with _connect(address) as connection:
        connection.sendall(b"e")
        time.sleep(0.1)
        for dummy in range(30):
            started = time.perf_counter()
            connection.sendall(b"x")
            connection.recv(1)
            samples.append((time.perf_counter() - started) * 1000)
    return round(statistics.median(samples), 2)


def _first_answer(address: str) -> float:
    samples = []
    for dummy in range(10):
        started = time.perf_counter()
        with _connect(address) as connection:
            connection.sendall(b"ex")
            connection.recv(1)
        samples.append((time.perf_counter() - started) * 1000)
    return round(statistics.median(samples), 2)


def _throughput(address: str) -> float:
    with _connect(address) as connection:
        started = time.perf_counter()
        connection.sendall(b"s")
        for dummy in range(MEGABYTES):
            connection.sendall(BLOCK)
        connection.shutdown(socket.SHUT_WR)
        total = int(connection.recv(100))
        return round(total / (time.perf_counter() - started) / 1e6, 0)
