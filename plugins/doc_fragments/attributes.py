# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module does in check mode, diff mode and when run again."""

from __future__ import annotations


class ModuleDocFragment:
    """What a module does in check mode, diff mode and when run again."""

    DOCUMENTATION = r"""
---
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying anything.
  diff_mode:
    description: Returns details on what has changed (or would change in C(check_mode)), when in diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no
        change.
      - This assumes that the registry has not been changed in between by someone else.
  platform:
    description: Target operating systems the module can run on.
    support: full
    platforms: posix
  action_group:
    description:
      - Use C(group/longshore.oci.registry) in C(module_defaults) to set defaults for all modules, such as C(auth_file) or
        C(parallel).
      - Use C(group/longshore.oci.one_registry) for the options that only modules with one registry have, such as
        C(username) or C(ca_path). Modules with two ends have them as C(src_...) and C(dest_...) and are not in it.
    support: full
"""

    READ_ONLY = r"""
---
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module only reads.
  diff_mode:
    support: N/A
    details:
      - This module only reads.
  idempotent:
    support: full
    details:
      - This module only reads.
"""
