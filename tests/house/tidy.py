#!/usr/bin/python3
"""The rules of the house that a machine can see.

usage: tidy.py ROOT [--ratchet]

--ratchet prints what ratchet.py would have to be now, instead of the findings."""

import re
import sys

import ratchet
import tree

COLUMNS_MAX = 100
FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 100

# What to call instead.
BANNED = {
    "strcpy": "snprintf or memcpy with a length",
    "strcat": "snprintf",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "gets": "fgets",
    "strtok": "strtok_r, or a cursor",
    "atoi": "strtoul and a check of its end",
    "rand": "randomness that is handed in",
    "srand": "randomness that is handed in",
    "random": "randomness that is handed in",
    "system": "posix_spawn, or the library that does it",
}

# In two halves, so that this file is not its own finding.
_MARKS = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
_PLACES = re.compile(r"(?<![\w.$}~*-])/(?:wo" r"rk|tmp" r"/w)(?:/|\b(?![\w-]))|"
                     r"\b(?:[\w-]+\.)*(?:pypi\.o" r"rg|pythonhosted\.o" r"rg|npmjs\.(?:o" r"rg|com)|"
                     r"crates\.i" r"o|proxy\.golang\.o" r"rg|(?:deb|security)\.debian\.o" r"rg|"
                     r"archive\.ubuntu\.c" r"om|docker\.i" r"o|ghcr\.i" r"o|quay\.i" r"o)\b")
_CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")


def long_lines(text):
    """Numbers and widths of the lines that are too long.  A table between "clang-format off" and
    "clang-format on" has rows instead of lines."""
    table = False
    for number, line in enumerate(text.split("\n"), 1):
        if "clang-format off" in line:
            table = True
        if "clang-format on" in line:
            table = False
        width = len(line.expandtabs(8))
        if width > COLUMNS_MAX and not table:
            yield number, width


def functions(text):
    """(name, line, length) of each function: kernel style has its braces in the first column."""
    lines = tree.code(text).split("\n")
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            head = start - 1
            while head > 1 and lines[head - 2].strip() and lines[head - 2][-1] not in ";}":
                head -= 1
            names = re.findall(r"(\w+)\s*\(", " ".join(lines[head - 1:start - 1]))
            names = [n for n in names if n not in ("__attribute__", "SEC", "format")]
            yield (names[0] if names else "?"), start, number - start + 1
            start = None


def banned_calls(text):
    plain = tree.code(text)
    for match in _CALL.finditer(plain):
        yield match.group(1), tree.line_of(plain, match.start())


def head_comment(text):
    """Whether a header begins with at least one sentence on what it is."""
    match = re.match(r"/\*+\s*(.*?)\*/", text, re.DOTALL)
    return bool(match and re.match(r".*?\w+\W+\w+.*?[.:;](\s|$)", match.group(1), re.DOTALL))


class Tally:
    """Findings, those that the ratchet forgives, and what the ratchet could be."""

    def __init__(self):
        self.findings = []
        self.long_lines, self.long_files, self.long_functions, self.banned = {}, {}, {}, {}

    def add(self, path, line, what):
        self.findings.append(f"{path}:{line}: {what}")


def _check_c(path, text, tally):
    lines = list(long_lines(text))
    if lines:
        tally.long_lines[path] = len(lines)
        if len(lines) > ratchet.LONG_LINES.get(path, 0):
            for number, width in lines:
                tally.add(path, number, f"{width} columns; at most {COLUMNS_MAX} (tabs count 8)")
    count = text.count("\n")
    if count > FILE_LINES_MAX:
        tally.long_files[path] = count
        if count > ratchet.LONG_FILES.get(path, 0):
            tally.add(path, count, f"{count} lines; at most {FILE_LINES_MAX}: one file, one purpose")
    for name, line, length in functions(text):
        if length <= FUNCTION_LINES_MAX:
            continue
        key = f"{path}:{name}"
        tally.long_functions[key] = length
        if length > ratchet.LONG_FUNCTIONS.get(key, 0):
            tally.add(path, line, f"{name}() has {length} lines; at most {FUNCTION_LINES_MAX}")
    calls = {}
    for name, line in banned_calls(text):
        calls.setdefault(f"{path}:{name}", []).append((line, name))
    for key, places in calls.items():
        tally.banned[key] = len(places)
        if len(places) > ratchet.BANNED_CALLS.get(key, (0, ""))[0]:
            for line, name in places:
                tally.add(path, line, f"{name}() is banned: use {BANNED[name]}")
    if path.endswith(".h") and path.startswith(("src/", "include/", "bpf/")) and not head_comment(text):
        tally.add(path, 1, "a header begins with a comment that says in a sentence what it is")


def _check_text(path, text, tally):
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            tally.add(path, number, "blanks at the end of the line")
        mark = _MARKS.search(line)
        if mark:
            tally.add(path, number, f"{mark.group(0)}: finish it, or open an issue")
        place = _PLACES.search(line)
        if place:
            tally.add(path, number, f"{place.group(0)} is a place of one machine or of a registry")
    if text and not text.endswith("\n"):
        tally.add(path, text.count("\n") + 1, "no newline at the end")


def survey(root):
    tally = Tally()
    for path in tree.files(root):
        text = tree.read(root, path)
        if text is None:
            continue
        _check_text(path, text, tally)
        if path.endswith((".c", ".h")):
            _check_c(path, text, tally)
    return tally


def check(root):
    return survey(root).findings


def _print_table(name, rows):
    print(f"{name} = {{")
    for key in sorted(rows):
        print(f'    "{key}": {rows[key]},')
    print("}")


def main():
    if len(sys.argv) == 3 and sys.argv[2] == "--ratchet":
        tally = survey(sys.argv[1])
        _print_table("LONG_LINES", tally.long_lines)
        _print_table("LONG_FILES", tally.long_files)
        _print_table("LONG_FUNCTIONS", tally.long_functions)
        _print_table("BANNED_CALLS", {key: (count, ratchet.BANNED_CALLS.get(key, (0, "why?"))[1])
                                      for key, count in tally.banned.items()})
        return
    tree.main("tidy", check)


if __name__ == "__main__":
    main()
