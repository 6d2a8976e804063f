# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries as people run them by hand, on a machine."""

from __future__ import annotations

from ansible_collections.longshore.oci.tests.servers.machine import Machine

# Of the package's program, since there is no registry to pull it from: configured and called as Docker's own image is.
_IMAGE = """
rm -rf /opt/image
mkdir -p /opt/image/bin /opt/image/etc/docker/registry
cp /usr/bin/docker-registry /opt/image/bin/registry
for file in $(ldd /usr/bin/docker-registry | grep -o '/[^ ]*'); do cp --parents --dereference "$file" /opt/image; done
cat >/opt/image/etc/docker/registry/config.yml <<END
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
END
tar -C /opt/image -c . | docker import --change 'ENTRYPOINT ["registry"]' \
    --change 'CMD ["serve", "/etc/docker/registry/config.yml"]' \
    --change 'VOLUME ["/var/lib/registry"]' --change 'ENV PATH=/bin' - registry:2
"""
_CERTIFICATE = """
mkdir -p /srv/certs
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=old -addext subjectAltName=DNS:old \
    -keyout /srv/certs/registry.key -out /srv/certs/registry.crt 2>/dev/null
"""


def install(machine: Machine, *packages: str) -> None:
    """Have packages, without the services that would start with them."""
    machine.shell("printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d")
    machine.run(["apt-get", "install", "--yes", *packages])
    machine.run(["rm", "/usr/sbin/policy-rc.d"])


def image(machine: Machine) -> None:
    """Docker, and the image ``registry:2`` on it."""
    install(machine, "docker.io", "docker-registry", "apache2-utils")
    machine.run(["systemctl", "start", "docker.service"])
    machine.shell(_IMAGE)


def certificate(machine: Machine) -> str:
    """A certificate for ``old`` in /srv/certs, which is returned."""
    machine.shell(_CERTIFICATE)
    return machine.read("/srv/certs/registry.crt")


def container(machine: Machine, user: str, password: str) -> None:
    """``docker run``, as a tutorial has it, with a volume, users and a certificate."""
    machine.run(["mkdir", "-p", "/srv/auth"])
    machine.shell(f"htpasswd -nbB -C 4 '{user}' '{password}' >/srv/auth/htpasswd; echo 'old:$apr1$x$y' >>/srv/auth/htpasswd")
    settings = {
        "REGISTRY_AUTH": "htpasswd",
        "REGISTRY_AUTH_HTPASSWD_REALM": "Ours",
        "REGISTRY_AUTH_HTPASSWD_PATH": "/auth/htpasswd",
        "REGISTRY_HTTP_TLS_CERTIFICATE": "/certs/registry.crt",
        "REGISTRY_HTTP_TLS_KEY": "/certs/registry.key",
        "REGISTRY_HTTP_SECRET": "secret-of-the-old-one",
        "REGISTRY_STORAGE_DELETE_ENABLED": "true",
    }
    options = [f"--env={name}={value}" for name, value in settings.items()]
    volumes = ["--volume=images:/var/lib/registry", "--volume=/srv/auth:/auth:ro", "--volume=/srv/certs:/certs:ro"]
    run = ["docker", "run", "--detach", "--name=registry", "--restart=always", "--publish=5000:5000"]
    machine.run([*run, *volumes, *options, "registry:2"])


#: /etc/docker/registry/config.yml of the package, edited as people do.
EDITED = """version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /srv/registry
  delete:
    enabled: true
http:
  addr: :5001
  secret: secret-of-the-old-one
  headers:
    X-Content-Type-Options: [nosniff]
  tls:
    certificate: /srv/certs/registry.crt
    key: /srv/certs/registry.key
    certifcates: /misspelt
auth:
  htpasswd:
    realm: Ours
    path: /etc/docker/registry/htpasswd
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
"""


def package(machine: Machine, user: str, password: str) -> None:
    """The package, with that configuration."""
    install(machine, "docker-registry", "apache2-utils")
    machine.write("/etc/docker/registry/config.yml", EDITED)
    machine.shell(f"htpasswd -nbB -C 4 '{user}' '{password}' >/etc/docker/registry/htpasswd")
    machine.shell("mkdir -p /srv/registry; chown docker-registry: /srv/registry; chgrp docker-registry /srv/certs/registry.key")
    machine.shell("chmod 0640 /srv/certs/registry.key; systemctl enable --now docker-registry.service")
