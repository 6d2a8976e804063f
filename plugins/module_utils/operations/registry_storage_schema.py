# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage drivers of the CNCF distribution registry, and the parameters of each."""

from __future__ import annotations

from .schema import Leaf, ListOf, MappingOf, Section

OLD, NEW = "2.8", "3"
_S3_LOG_LEVELS = (
    "off",
    "debug",
    "debugwithsigning",
    "debugwithhttpbody",
    "debugwithrequestretries",
    "debugwithrequesterrors",
    "debugwitheventstreambody",
)

TEXT, BOOL, INT = Leaf(), Leaf("bool"), Leaf("int")


def only(series: str, kind: str = "text", choices: tuple[str, ...] = ()) -> Leaf:
    """A plain value that one series alone knows."""
    return Leaf(kind, choices, series)


#: The storage drivers, each with its parameters. Builds may lack some: the trial start tells.
DRIVERS: dict[str, Section] = {
    "filesystem": Section({"rootdirectory": TEXT, "maxthreads": INT}),
    "inmemory": Section({}, bare=True),
    "s3": Section(
        {
            **dict.fromkeys(
                ("accesskey", "secretkey", "sessiontoken", "region", "regionendpoint", "bucket", "keyid", "rootdirectory"), TEXT
            ),
            **dict.fromkeys(("storageclass", "objectacl", "useragent"), TEXT),
            **dict.fromkeys(("encrypt", "secure", "skipverify", "v4auth"), BOOL),
            **dict.fromkeys(
                ("chunksize", "multipartcopychunksize", "multipartcopymaxconcurrency", "multipartcopythresholdsize"), INT
            ),
            **dict.fromkeys(("forcepathstyle", "accelerate", "usedualstack", "usefipsendpoint"), only(NEW, "bool")),
            "loglevel": only(NEW, choices=_S3_LOG_LEVELS),
        },
        ("bucket", "region"),
    ),
    "azure": Section(
        {
            **dict.fromkeys(("accountname", "accountkey", "container", "realm", "rootdirectory", "serviceurl"), TEXT),
            "credentials": Section(dict.fromkeys(("type", "clientid", "tenantid", "secret"), TEXT), series=NEW),
            "max_retries": only(NEW, "int"),
            "retry_delay": only(NEW, "duration"),
        },
        ("accountname", "container"),
    ),
    "gcs": Section(
        {**dict.fromkeys(("bucket", "keyfile", "rootdirectory"), TEXT), "credentials": MappingOf(TEXT), "chunksize": INT,
         "maxconcurrency": INT},
        ("bucket",),
    ),
    "swift": Section(
        {
            **dict.fromkeys(
                ("authurl", "username", "password", "region", "container", "tenant", "tenantid", "tenantdomain",
                 "tenantdomainid", "domain", "domainid", "trustid", "prefix", "rootdirectory", "secretkey", "accesskey",
                 "endpointtype", "tempurlcontainerkey"),
                TEXT,
            ),
            **{"insecureskipverify": BOOL, "chunksize": INT, "authversion": INT, "tempurlmethods": ListOf(TEXT)},
        },
        ("authurl", "container"),
        series=OLD,
    ),
    "oss": Section(
        {
            **dict.fromkeys(
                ("accesskeyid", "accesskeysecret", "region", "endpoint", "bucket", "encryptionkeyid", "rootdirectory"), TEXT
            ),
            **{"internal": BOOL, "encrypt": BOOL, "secure": BOOL, "chunksize": INT},
        },
        ("bucket", "region"),
        series=OLD,
    ),
}  # fmt: skip
