# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run one command and write down what it cost: ``measure.py RESULT STDOUT STDERR LIMIT COMMAND...``.

A program of its own, and a small one, because Linux counts the memory of the process that forked towards the peak of
the process it became: the figure's floor is what this file needs (about 10 MB), not what the benchmark needs. CPU
seconds and peak memory are those of the command and of every descendant it waited for; of the peaks, the largest.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time


def main() -> None:
    result, out, err, limit, command = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), sys.argv[5:]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [os.open("/dev/null", os.O_RDONLY), os.open(out, flags, 0o600), os.open(err, flags, 0o600)]
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            for number, each in enumerate(files):
                os.dup2(each, number)
            os.execvp(command[0], command)
        finally:
            os._exit(127)

    stopped: list[int] = []

    def stop(number: int, frame: object) -> None:
        stopped.append(number)
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it ended by itself in the same moment

    for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    status, usage = os.wait4(child, 0)[1:]
    seconds = time.monotonic() - started
    signal.setitimer(signal.ITIMER_REAL, 0)
    with open(result, "w") as handle:
        json.dump(
            {
                "seconds": seconds,
                "cpu_seconds": usage.ru_utime + usage.ru_stime,
                "peak_bytes": usage.ru_maxrss * 1024,
                "returncode": os.waitstatus_to_exitcode(status),
                "timed_out": signal.SIGALRM in stopped,
            },
            handle,
        )


if __name__ == "__main__":
    main()
