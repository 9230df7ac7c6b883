"""What the checks share: the files of the tree, C without its comments, and how findings are told."""

import os
import re
import sys

# Samples for the fuzzers are bytes, whatever they look like.
RAW = ("tests/fuzz/corpus",)


def files(root, suffixes=None):
    """Paths below root, relative to it; nothing that git or a build keeps there."""
    found = []
    for folder, folders, names in os.walk(root):
        here = os.path.relpath(folder, root)
        # A build folder, wherever it is and whatever it is called; never the tree itself.
        if here != "." and ("build.ninja" in names or "meson-private" in folders):
            folders[:] = []
            continue
        folders[:] = sorted(f for f in folders
                            if f not in (".git", "__pycache__", ".pytest_cache", ".cache")
                            and not (here == "." and f.startswith("build")))
        for name in sorted(set(names) - {".git"}):  # a file where the tree is one of several
            path = os.path.normpath(os.path.join(here, name))
            if path.startswith(RAW) or os.path.islink(os.path.join(root, path)):
                continue
            if suffixes is None or path.endswith(suffixes):
                found.append(path)
    return found


def read(root, path):
    """The text of a file, or None when it is not text."""
    with open(os.path.join(root, path), "rb") as f:
        data = f.read()
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def code(text, keep_strings=False):
    """C with its comments (and what is in its strings) blanked out, line for line."""
    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token if keep_strings else token[0] * 2
        return "\n" * token.count("\n") or " "
    return _TOKEN.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def tell(what, findings):
    """Prints the findings; the exit status."""
    for finding in findings:
        print(finding)
    print(f"{what}: {len(findings)} findings" if findings else f"{what}: all is well")
    return 1 if findings else 0


def main(what, check):
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} ROOT")
    sys.exit(tell(what, check(sys.argv[1])))
