# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A TCP proxy that makes its upstream look a given round trip away, and does nothing else to the traffic.

Every byte leaves half a round trip after it came in, in both directions. Chunks wait in a queue with the time they
are due, so any number of them are under way at once and throughput is not limited by the delay. The kernel answers a
client's ``connect`` at once, where a real one takes a round trip: the first bytes of a connection are therefore held
back until that round trip has passed.

Run as a program: ``proxy.py HOST PORT ROUND_TRIP_MS``. It prints the port it listens on (loopback) and ends when its
standard input does, so that it cannot outlive the benchmark.
"""

from __future__ import annotations

import heapq
import select
import socket
import sys
import time
from collections import deque

CHUNK = 256 * 1024
SMALL = 32 * 1024
# Far above what 10 ms of loopback can hold, so that only a stalled receiver ever meets it.
QUEUE_LIMIT = 64 * 1024 * 1024


class Direction:
    """Bytes on their way from one socket to the other."""

    def __init__(self, source: socket.socket, sink: socket.socket, earliest: float) -> None:
        self.source = source
        self.sink = sink
        self.earliest = earliest
        self.queue: deque[tuple[float, memoryview | None, bytearray | None]] = deque()
        self.queued = 0
        self.read_done = False
        self.write_done = False
        self.blocked = False
        self.scheduled = False
        self.closed = False
        self.opposite: Direction = self


class Proxy:
    """One listening socket, one upstream, one thread."""

    def __init__(self, upstream: tuple[str, int], round_trip: float) -> None:
        self.upstream = upstream
        self.round_trip = round_trip
        self.one_way = round_trip / 2
        # First of all, so that its number is small enough for select(), which, unlike epoll, waits for less than a
        # millisecond.
        self.epoll = select.epoll()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.setblocking(False)
        self.port: int = self.listener.getsockname()[1]
        self.reading: dict[int, Direction] = {}
        self.due: list[tuple[float, int, Direction]] = []
        self.serial = 0
        self.spare: list[bytearray] = []
        self.epoll.register(self.listener.fileno(), select.EPOLLIN)

    def run(self, until_closed: int) -> None:
        """Serve until the file descriptor ``until_closed`` reaches its end."""
        self.epoll.register(until_closed, select.EPOLLIN | select.EPOLLHUP)
        while True:
            wait = max(0.0, self.due[0][0] - time.monotonic()) if self.due else None
            select.select([self.epoll.fileno()], [], [], wait)
            for number, events in self.epoll.poll(0):
                if number == until_closed:
                    return
                if number == self.listener.fileno():
                    self.accept()
                elif number in self.reading:
                    self.ready(self.reading[number], events)
            now = time.monotonic()
            while self.due and self.due[0][0] <= now:
                direction = heapq.heappop(self.due)[2]
                direction.scheduled = False
                if not direction.closed:
                    self.write(direction)

    def accept(self) -> None:
        while True:
            try:
                client = self.listener.accept()[0]
            except BlockingIOError:
                return
            try:
                server = socket.create_connection(self.upstream, timeout=5)
            except OSError:
                client.close()
                continue
            for each in (client, server):
                each.setblocking(False)
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            upwards = Direction(client, server, time.monotonic() + self.round_trip)
            downwards = Direction(server, client, 0.0)
            upwards.opposite, downwards.opposite = downwards, upwards
            for direction in (upwards, downwards):
                self.reading[direction.source.fileno()] = direction
                self.epoll.register(direction.source.fileno(), select.EPOLLIN)

    def ready(self, direction: Direction, events: int) -> None:
        """Handle what epoll said of ``direction.source``, which is the sink of the opposite direction."""
        if events & select.EPOLLERR:
            self.close(direction)
            return
        if events & select.EPOLLOUT:
            direction.opposite.blocked = False
            self.write(direction.opposite)
        if direction.closed:
            return
        if events & (select.EPOLLIN | select.EPOLLHUP):
            if direction.read_done:
                # A hang-up after the last byte would be reported for ever; a write that fails will end the connection.
                self.epoll.unregister(direction.source.fileno())
                del self.reading[direction.source.fileno()]
            else:
                self.read(direction)
        self.watch(direction)

    def watch(self, direction: Direction) -> None:
        """Ask epoll for what ``direction.source`` is of use for now: reading for this direction, writing for the
        opposite.
        """
        number = direction.source.fileno()
        if direction.closed or number not in self.reading:
            return
        wanted = 0
        if not direction.read_done and direction.queued < QUEUE_LIMIT:
            wanted |= select.EPOLLIN
        if direction.opposite.blocked:
            wanted |= select.EPOLLOUT
        self.epoll.modify(number, wanted)

    def read(self, direction: Direction) -> None:
        for dummy in range(8):
            buffer = self.spare.pop() if self.spare else bytearray(CHUNK)
            try:
                count = direction.source.recv_into(buffer)
            except BlockingIOError:
                self.spare.append(buffer)
                return
            except OSError:
                self.close(direction)
                return
            due = max(time.monotonic(), direction.earliest) + self.one_way
            if count == 0:
                self.spare.append(buffer)
                direction.read_done = True
                direction.queue.append((due, None, None))
            elif count < SMALL:
                direction.queue.append((due, memoryview(bytes(memoryview(buffer)[:count])), None))
                self.spare.append(buffer)
            else:
                direction.queue.append((due, memoryview(buffer)[:count], buffer))
            direction.queued += count
            self.schedule(direction)
            if direction.read_done or direction.queued >= QUEUE_LIMIT or count < CHUNK:
                return

    def schedule(self, direction: Direction) -> None:
        if direction.queue and not direction.scheduled and not direction.blocked:
            self.serial += 1
            heapq.heappush(self.due, (direction.queue[0][0], self.serial, direction))
            direction.scheduled = True

    def write(self, direction: Direction) -> None:
        now = time.monotonic()
        full = direction.queued >= QUEUE_LIMIT
        while direction.queue and direction.queue[0][0] <= now and not direction.blocked:
            due, view, buffer = direction.queue[0]
            try:
                if view is None:
                    direction.queue.popleft()
                    direction.sink.shutdown(socket.SHUT_WR)
                    direction.write_done = True
                    continue
                count = direction.sink.send(view)
            except BlockingIOError:
                direction.blocked = True
                self.watch(direction.opposite)
                break
            except OSError:
                self.close(direction)
                return
            direction.queued -= count
            if count < len(view):
                direction.queue[0] = (due, view[count:], buffer)
                continue
            direction.queue.popleft()
            if buffer is not None and len(self.spare) < 256:
                self.spare.append(buffer)
        if direction.write_done and direction.opposite.write_done:
            self.close(direction)
            return
        self.schedule(direction)
        if full:
            self.watch(direction)

    def close(self, direction: Direction) -> None:
        for each in (direction, direction.opposite):
            if not each.closed:
                each.closed = True
                each.queue.clear()
                if self.reading.pop(each.source.fileno(), None) is not None:
                    self.epoll.unregister(each.source.fileno())
                each.source.close()


def main() -> None:
    host, port, round_trip = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) / 1000
    proxy = Proxy((host, port), round_trip)
    print(proxy.port, flush=True)
    proxy.run(sys.stdin.fileno())


if __name__ == "__main__":
    main()
