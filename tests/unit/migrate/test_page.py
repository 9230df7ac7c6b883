"""docs/protocols/migration.md is what the generator makes of the table that runs, and the table is
sound."""

import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PRINT_TABLE = os.environ["PRINT_TABLE"]


def generator():
    loader = importlib.machinery.SourceFileLoader("generate",
                                                  str(ROOT / "docs/protocols/generate"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("generate", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


GENERATE = generator()
TABLE = GENERATE.read_migration(PRINT_TABLE)


def test_page_is_what_the_generator_makes():
    assert (ROOT / "docs/protocols/migration.md").read_text() == GENERATE.migration_page(TABLE), \
        "docs/protocols/migration.md: run docs/protocols/generate"


def test_no_two_rows_are_of_one_case():
    cases = [(row[0], row[1]) for row in TABLE["row"]]
    assert len(cases) == len(set(cases))


def test_every_state_is_entered_and_left():
    states = {state[0] for state in TABLE["state"]}
    assert {row[0] for row in TABLE["row"]} == states
    entered = {to for row in TABLE["row"] for to in row[4].split(" or ")}
    assert entered == states


def test_every_action_and_reason_is_used():
    used = {a for row in TABLE["row"] for a in row[3].split(", ")}
    assert used - {"do_nothing"} == {a[0] for a in TABLE["action"]}
    told = {row[5] for row in TABLE["row"] if row[5]}
    assert told == {r[0] for r in TABLE["reason"]}


def test_a_wrong_program_is_refused():
    run = subprocess.run([ROOT / "docs/protocols/generate", "/bin/true", "/bin/true"],
                         capture_output=True)
    assert run.returncode != 0
