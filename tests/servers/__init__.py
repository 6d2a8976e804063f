# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers and real images for tests, the demo and the benchmarks.

Plain Python on the standard library and Debian's command line tools; no Ansible. Everything listens on loopback, on
free ports, lives in a directory that the caller gives or that is removed at the end, and is stopped on leaving its
``with`` block:

* `registry.Registry`: Debian's docker-registry (distribution 2.8), plain or TLS, open, with htpasswd or with tokens;
* `tokens.TokenServer`: the token server that such a registry sends its clients to;
* `engines.Dockerd` and `engines.Podman`: a Docker daemon and a podman storage of their own;
* `images`: small images made of bytes, the same bytes every time; `runnable`: one that starts;
* `machines.Machines`: whole systems with systemd, reached by Ansible, each with an address of its own;
* `skopeo.Skopeo`: the reference client, to compare with.

``python -m tests.servers start|stop`` runs them in the background, for playbooks and shell scripts.
"""
