"""The documents say what is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIAGRAM = (ROOT / "docs/component-diagram.mmd").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
BOXES = re.findall(r"^\| ([^|]+) \| [^|]+ \| `([^`]+)` \|$", ARCHITECTURE, re.MULTILINE)
# The diagram's boxes by their node names.
NODES = {
    "Movies": "Movies database",
    "Users": "Users database",
    "Billing": "Billing database",
    "AdminPanel": "AdminPanel",
    "UserAPI": "UserAPI",
    "UserService": "UserService",
    "Cache": "Cache",
    "PayAPI": "PayAPI",
    "PayService": "PayService",
    "BillingAPI": "BillingAPI",
    "BillingService": "BillingService",
    "Scheduler": "Scheduler",
    "Queue1": "Queue 1",
    "Queue2": "Queue 2",
}
PEOPLE = {"Admin", "Client"}


def test_every_box_of_the_diagram_has_a_path() -> None:
    nodes = set(re.findall(r'^ {4}(\w+)\["', DIAGRAM, re.MULTILINE))
    assert nodes - PEOPLE == set(NODES)
    assert {NODES[node] for node in nodes - PEOPLE} <= {box for box, _ in BOXES}


@pytest.mark.parametrize(("box", "path"), BOXES)
def test_path_of_a_box_exists_and_is_tracked(box: str, path: str) -> None:
    tracked = subprocess.run(["git", "ls-files", path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert tracked.stdout.strip(), f"{box}: nothing tracked at {path}"


def test_every_arrow_of_the_diagram_is_in_the_documents_picture() -> None:
    """Arrows of the original, by their ends, are solid arrows of ours."""
    original = set(re.findall(r"^ {4,8}(\w+)\s*<?-*-+(?:\"[^\"]*\"-*)?-*>\s*(\w+)", DIAGRAM, re.MULTILINE))
    drawn = re.findall(r"^ {4}(\w+) <?--(?: .*? --)?> (\w+)$", ARCHITECTURE, re.MULTILINE)
    ours = set(drawn) | {(end, start) for start, end in drawn}
    assert len(original) == 17
    assert {arrow for arrow in original if arrow not in ours} == set()


def test_top_level_is_as_the_user_fixed_it() -> None:
    folders = "user_api pay_api billing_api admin_panel scheduler shared deploy tests"
    fixed = f"{folders} docker-compose.yml Makefile README.md"
    for name in fixed.split():
        assert (ROOT / name).exists(), name


def test_decisions_are_numbered_once_and_name_what_enforces_them() -> None:
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert numbers == list(range(1, len(pages) + 1))
    for page in pages:
        lines = page.read_text(encoding="utf-8").strip().splitlines()
        assert lines[0].startswith(f"# {int(page.name[:4])}. "), page.name
        assert lines[-1].startswith("Enforced by: "), page.name
