"""Prints the bill of materials of this environment as CycloneDX 1.6: what an image is made of, with licences.

Run while an image is built; the result stays in it as /app/sbom.cdx.json.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions

Component = dict[str, object]
# a long field is the text of a licence, not its name
LONGEST_NAME = 80


def licence_of(distribution: Distribution) -> str:
    """The licence as the package names it: expression, classifier or free field; ``unknown`` if in none."""
    metadata = distribution.metadata.json
    if expression := metadata.get("license_expression"):
        return str(expression)
    classifiers = [str(c) for c in metadata.get("classifier", []) if str(c).startswith("License :: ")]
    named = [c.rsplit(" :: ", 1)[-1] for c in classifiers if not c.endswith("OSI Approved")]
    if named:
        return " AND ".join(named)
    free = str(metadata.get("license", "")).strip()
    return free if free and len(free) <= LONGEST_NAME and "\n" not in free else "unknown"


def python_packages() -> Iterator[Component]:
    """One component per installed distribution."""
    for distribution in distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        yield {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{distribution.version}",
            "purl": f"pkg:pypi/{name}@{distribution.version}",
            "name": name,
            "version": distribution.version,
            "licenses": [{"license": {"name": licence_of(distribution)}}],
        }


def system_packages() -> Iterator[Component]:
    """One component per Debian package, where there are any; their licences lie in /usr/share/doc."""
    if shutil.which("dpkg-query") is None:
        return
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}\n"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        name, version, architecture = line.split()
        reference = f"pkg:deb/debian/{name}@{version}?arch={architecture}"
        yield {
            "type": "library",
            "bom-ref": reference,
            "purl": reference,
            "name": name,
            "version": version,
        }


def bill(name: str) -> dict[str, object]:
    """The whole document; ``name`` is what the environment is for."""
    components = [*python_packages(), *system_packages()]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name, "bom-ref": name}},
        "components": sorted(components, key=lambda component: str(component["bom-ref"])),
    }


if __name__ == "__main__":
    json.dump(bill(sys.argv[1]), sys.stdout, indent=1)
