"""What the images are made of: every pinned package is in the bill, and none forbids what we do with it."""

from __future__ import annotations

import re
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from deploy.docker.materials import bill, licence_of, python_packages
from deploy.local.state import ROOT

SERVICES = ("user_api", "pay_api", "billing_api", "admin_panel", "scheduler")
# whoever ships a program with one of these ships it under that licence; the Lesser GPL is no such one
COPYLEFT = re.compile(r"\bA?GPL|Affero|(?<!Lesser )General Public License \(", re.IGNORECASE)
PIN = re.compile(r"^([a-z0-9][a-z0-9-]*)==(\S+?)(?: ; (.+?))? *\\?$", re.MULTILINE)


def pinned(service: str) -> dict[str, str]:
    """Package -> version of a lock; those for other machines (``; marker``) are left out."""
    text = (ROOT / f"requirements/{service}.txt").read_text()
    return {name: version for name, version, marker in PIN.findall(text) if not marker}


@pytest.mark.parametrize("service", SERVICES)
def test_every_package_of_a_service_is_in_the_bill_under_a_licence_that_fits(service: str) -> None:
    known = {str(item["name"]): item for item in python_packages()}
    packages = pinned(service)
    assert len(packages) > 30
    for name, version in packages.items():
        assert known[name]["version"] == version
        licence = known[name]["licenses"][0]["license"]["name"]  # type: ignore[index]
        assert licence != "unknown", name
        assert not COPYLEFT.search(licence), f"{name}: {licence}"


def test_a_licence_that_does_not_fit_is_seen() -> None:
    for text in ("GPL-3.0-or-later", "AGPL-3.0", "GNU Affero", "GNU General Public License (GPL)"):
        assert COPYLEFT.search(text), text
    for text in ("LGPL-3.0", "GNU Library or Lesser General Public License (LGPL)", "MPL-2.0"):
        assert not COPYLEFT.search(text), text


def test_the_bill_is_cyclonedx_with_an_address_for_each_component() -> None:
    made = bill("cinema-billing/pay_api")
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    components = made["components"]
    assert isinstance(components, list)
    references = [item["bom-ref"] for item in components]
    assert len(references) == len(set(references))
    assert all(re.fullmatch(r"pkg:(pypi|deb)/\S+@\S+", item["purl"]) for item in components)


def test_a_licence_s_text_is_not_taken_for_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "odd-1.0.dist-info"
    folder.mkdir()
    text = "Permission is hereby granted " * 5
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: odd\nVersion: 1.0\nLicense: {text}\n")
    assert licence_of(PathDistribution(folder)) == "unknown"
