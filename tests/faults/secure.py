# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault registry over TLS, with credentials."""

from __future__ import annotations

import base64

from ansible_collections.longshore.oci.tests.faults.places import PASSWORD, USER
from ansible_collections.longshore.oci.tests.faults.server.log import fingerprint
from ansible_collections.longshore.oci.tests.servers import images

IMAGE = images.image("linux/amd64", [images.noise_layer(20_000, seed=1)])
SRC = {"src_username": USER, "src_password": PASSWORD}
DEST = {"dest_username": USER, "dest_password": PASSWORD}
#: How the log calls the password.
BASIC = fingerprint("Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())


class Secure:
    """image_inspect and image_copy against the TLS origin of the fault registry."""

    def __init__(self, module, faulty):
        self._module = module
        self.faulty = faulty
        self.host = faulty.origin(tls=True).partition("://")[2]
        self.log = faulty.log

    def inspect(self, repository, **options):
        given = {"ca_path": str(self.faulty.ca), "username": USER, "password": PASSWORD, **options}
        return self._module("image_inspect", name=[f"{self.host}/{repository}:1"], **given)

    def push(self, real, scenario, **options):
        """Push an image into a new repository of a scenario: the result, and the repository."""
        source, scene = real.repository("secure"), self.faulty.repository(scenario)
        real.put(source, IMAGE, ["1"])
        given = {"src_plain_http": True, "dest_ca_path": str(self.faulty.ca), **DEST, **options}
        return self._module("image_copy", src=f"{real.host}/{source}:1", dest=f"{self.host}/{scene}:1", **given), scene

    def pull(self, scenario, folder, **options):
        """Copy an image of a scenario into a layout: the result, and the repository."""
        scene = self.faulty.put(scenario, IMAGE)
        given = {"src_ca_path": str(self.faulty.ca), **SRC, **options}
        return self._module("image_copy", src=f"{self.host}/{scene}:1", dest=f"oci:{folder}/layout:1", **given), scene


def basic_at(log, repository):
    """The origins that have seen the password."""
    return {one.origin for one in log.of(repository) if one.credential == BASIC}
