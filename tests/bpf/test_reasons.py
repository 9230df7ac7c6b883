"""docs/dataplane.md against bpf/: the reasons of drops, every one with the same words, and in a test; the maps."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = (ROOT / "bpf/shared.h").read_text()
REASONS = re.findall(r'X\(([A-Z0-9_]+), "([a-z0-9_]+)", "([^"]+)"\)', SHARED)

# Cannot be made to happen from outside: the kernel is out of memory for a tag of four octets.
UNTESTABLE = {"NO_MEMORY"}


def test_the_list_was_found():
    assert len(REASONS) > 20


def test_documented_in_order_with_the_same_words():
    doc = (ROOT / "docs/dataplane.md").read_text()
    table = re.findall(r"^\| `([a-z0-9_]+)` \| (.+) \|$", doc.split("## Reasons of drops")[1].split("\n## ")[0], re.M)
    assert table == [(name, meaning) for _, name, meaning in REASONS]


def test_each_is_tested():
    tests = "".join(p.read_text() for p in (ROOT / "tests/bpf").glob("test_*.c"))
    missing = {c for c, _, _ in REASONS if f"DROP_{c}" not in tests}
    assert missing == UNTESTABLE


def test_each_is_given():
    code = "".join(p.read_text() for p in (ROOT / "bpf").glob("*") if p.name != "shared.h")
    assert not {c for c, _, _ in REASONS if f"DROP_{c}" not in code}


def test_the_maps_are_those_of_the_page():
    maps = set(re.findall(r"^} (\w+) SEC\(\"\.maps\"\)", (ROOT / "bpf/maps.h").read_text(), re.M))
    page = (ROOT / "docs/dataplane.md").read_text().split("## What the kernel keeps")[1].split("\n## ")[0]
    told = {name for row in re.findall(r"^\| (`.+?) \|", page, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert maps and told == maps
    schema = re.search(r"#define VMAC_SCHEMA (\d+)", SHARED)[1]
    assert f"`maps{schema}/` ({schema} is the schema" in page
