"""The ledger's names exist, every row of every table has a test of its name, HSRP's table is RFC
2281's letter by letter, and docs/protocols/ is what the generator makes."""

import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(Path(__file__).parent))

import requirements as ledger  # noqa: E402

PRINT_TABLES = os.environ["PRINT_TABLES"]
TESTS = {p: "".join(f.read_text() for f in sorted(Path(__file__).parent.glob(f"test_{p}*.c")))
         for p in ("vrrp", "hsrp", "carp")}


def generator():
    loader = importlib.machinery.SourceFileLoader("generate",
                                                  str(ROOT / "docs/protocols/generate"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("generate", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


GENERATE = generator()
TABLES = GENERATE.read_tables(PRINT_TABLES)


def everything():
    return ledger.RFC9568 + ledger.RFC2281 + ledger.OURS


def test_every_requirement_is_there_once():
    ids = [x.id for x in everything()]
    assert len(ids) == len(set(ids))


def test_every_place_exists():
    for x in everything():
        for place in x.places:
            file, _, name = place.partition(":")
            assert name and (ROOT / file).is_file(), (x.id, place)
            assert re.search(rf"\b{re.escape(name)}\b", (ROOT / file).read_text()), (x.id, place)


def test_every_test_exists_and_runs():
    for x in everything():
        assert x.tests or x.note, f"{x.id} has neither test nor reason"
        for test in x.tests:
            file, _, name = test.partition(":")
            text = (ROOT / file).read_text()
            assert len(re.findall(rf"\b{name}\b", text)) >= 2, (x.id, test)


def row_test(row):
    m = re.fullmatch(r"RFC 2281 5\.7 ([a-l])(\d)(, and ours)?", row.source)
    if m:
        state = {"initialize": "initial"}.get(row.state, row.state)
        return f"rfc2281_{m[1]}_{state}"
    return f"row_{row.state}_{row.occurrence.lower()}"


def test_every_row_has_a_test_of_its_name():
    for row in TABLES.rows:
        name = row_test(row)
        assert f"cmocka_unit_test({name})" in TESTS[row.protocol], (row.protocol, name)


def test_hsrps_table_is_the_standards():
    found = {}
    for row in TABLES.rows:
        m = re.match(r"RFC 2281 5\.7 ([a-l])(\d)", row.source)
        if not m or row.protocol != "hsrp":
            continue
        letters = "".join(a if a.isupper() else "H" if a == "resign" else ""
                          for a in row.actions.split(", "))
        to = row.next
        column = int(m[2])
        assert ledger.RFC2281_STATES[column] == row.state
        # Leaving is Initial, put off.  A link that is gone carries no Resign.
        if to == "leaving":
            to = "initialize"
        if row.occurrence == "CUT":
            letters += "H"
        number = next(n for n, s in ledger.RFC2281_STATES.items() if s == to)
        cell = letters if to == row.state else f"{letters}/{number}"
        found.setdefault(m[1], {}).setdefault(column, set()).add(cell)
    wanted = {e: {c: set(cells(text)) for c, text in columns.items()}
              for e, columns in ledger.RFC2281_TABLE.items()}
    assert found == wanted


def cells(text):
    if text == "AB/2|3":
        return ["AB/2", "AB/3"]
    return text.split("|")


def test_pages_are_what_the_generator_makes():
    for name, page in GENERATE.pages(TABLES).items():
        assert (ROOT / "docs/protocols" / name).read_text() == page, \
            f"docs/protocols/{name}: run docs/protocols/generate"


def test_a_wrong_program_is_refused():
    run = subprocess.run([ROOT / "docs/protocols/generate", "/bin/true"], capture_output=True)
    assert run.returncode != 0
