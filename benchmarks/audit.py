# SPDX-License-Identifier: Apache-2.0
"""Whether anything that is installed here has a known vulnerability, as pip-audit finds it.

    .venv/bin/python benchmarks/audit.py

Asks the package index (PyPI's JSON) for each installed package by name and version; nothing else
leaves the machine. A mirror that only hands out packages answers none of it, and pip-audit then
says "No known vulnerabilities found": so what was not answered is counted, and no answer is no
all-clear. Ends with code 0: asked and clean, 1: something is vulnerable, 3: could not be asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

LEAST_ANSWERED = 0.9
"""Of the packages; a few are on no public index, such as CPU builds of torch."""

_COMMAND = ("--local", "--skip-editable", "--progress-spinner", "off", "--format", "json")


def verdict(dependencies: Sequence[dict[str, Any]]) -> tuple[int, list[str]]:
    """The exit code, and what is said, for what pip-audit reports of each package."""
    # The checkout itself is on no index, and is passed over by its own reason.
    asked = [one for one in dependencies if "editable" not in one.get("skip_reason", "")]
    unanswered = [one["name"] for one in asked if "skip_reason" in one]
    answered = len(asked) - len(unanswered)
    lines = [
        f"{one['name']} {one['version']}: {found['id']}, mended in "
        f"{', '.join(found.get('fix_versions', [])) or 'no version yet'}"
        for one in asked
        for found in one.get("vulns", [])
    ]
    lines.append(f"{answered} of {len(asked)} packages could be asked for")
    if unanswered and answered:
        lines.append(f"not known to the index: {', '.join(unanswered)}")
    if len(lines) > 1 and "mended in" in lines[0]:
        return 1, lines
    if not asked or answered < LEAST_ANSWERED * len(asked):
        return 3, [
            *lines,
            "NOT CHECKED: this is no all-clear. Run it where the package index answers.",
        ]
    return 0, [*lines, "no known vulnerability"]


def main() -> int:
    """Ask, and say what was found."""
    command = [sys.executable, "-m", "pip_audit", *_COMMAND]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        print(f"NOT CHECKED: pip-audit could not ask ({said[0][:300]})")
        return 3
    code, lines = verdict(dependencies)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
