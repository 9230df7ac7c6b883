#!/usr/bin/python3
"""Holds every #include in src/ and include/, and every link line of a room, against the table of rooms.

usage: include_graph.py ROOT"""

import os
import re

import rooms
import tree

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)
_LINKED = re.compile(r"\b([a-z]+)_(?:dep|lib)\b")


def includes(text):
    """(line, path, whether in quotes) of each #include."""
    text = tree.code(text, keep_strings=True)
    for match in _INCLUDE.finditer(text):
        yield tree.line_of(text, match.start()), match.group(2), match.group(1) == '"'


def room_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def _installed_allowed(room, header):
    owner = rooms.INSTALLED.get(header)
    if owner is None:
        return False
    uses = rooms.MAY_USE[room]
    return owner == room or owner in uses or (owner == "mac" and "include/vmac" in uses)


def _judge(root, room, header, quoted):
    """Why the room may not include this header, or None."""
    if header.startswith("vmac/"):
        if quoted:
            return f"write <{header}>: it is an installed header"
        if not _installed_allowed(room, header):
            return f"room {room} may not include <{header}>"
        return None
    if not quoted:
        return None
    if header in rooms.GENERATED:
        owner = rooms.GENERATED[header]
        return None if owner == room else f"{header} belongs to room {owner}"
    if header.startswith("bpf/"):
        contract, owner = rooms.KERNEL_CONTRACT
        if header == contract and room == owner:
            return None
        return f"only {contract} of bpf/, and only by room {owner}"
    other = header.split("/")[0]
    if "/" not in header or other not in rooms.MAY_USE:
        return f'"{header}" is not of the form "room/header.h"'
    if not os.path.isfile(os.path.join(root, "src", header)):
        return f'there is no src/{header}'
    if other == room:
        return None
    if other not in rooms.MAY_USE[room]:
        return f"room {room} may not include room {other}"
    contract = rooms.CONTRACT.get(other, (header,))
    if header not in contract:
        return f"of room {other} only {', '.join(contract)} is for others, not {header}"
    return None


def check_includes(root):
    findings = []
    for path in tree.files(root, (".c", ".h")):
        room = room_of(path)
        installed = path.startswith("include/")
        if not room and not installed:
            continue
        if room and room not in rooms.MAY_USE:
            findings.append(f"{path}: src/{room} is no room of the table in tests/house/rooms.py")
            continue
        for line, header, quoted in includes(tree.read(root, path)):
            why = None
            if installed:
                if quoted or (header.startswith("vmac/") and header not in rooms.INSTALLED):
                    why = "an installed header includes only <vmac/…> and the C library"
            else:
                why = _judge(root, room, header, quoted)
            if why:
                findings.append(f"{path}:{line}: {why}")
    return findings


def check_installed(root):
    """Each header in include/ has a row that says whose it is."""
    return [f"{path}: rooms.INSTALLED does not say which room stands behind it"
            for path in tree.files(os.path.join(root, "include"), (".h",))
            if path not in rooms.INSTALLED]


def header_graph(root):
    """header -> the project's headers that it includes; paths as they are in the tree."""
    graph = {}
    headers = set(p for p in tree.files(root, (".h",)) if p.startswith(("src/", "include/", "bpf/")))
    for path in headers:
        graph[path] = []
        for _, header, _ in includes(tree.read(root, path)):
            for place in ("src/", "include/", "", os.path.dirname(path) + "/"):
                if place + header in headers:
                    graph[path].append(place + header)
                    break
    return graph


def check_cycles(graph):
    """One finding for each way back that a walk from every header meets."""
    findings, done = [], set()

    def walk(path, trail):
        if path in trail:
            circle = trail[trail.index(path):] + [path]
            findings.append("headers include each other: " + " -> ".join(circle))
            return
        if path in done:
            return
        for other in graph[path]:
            walk(other, trail + [path])
        done.add(path)

    for path in sorted(graph):
        walk(path, [])
    return findings


def may_link(room):
    allowed = set(rooms.MAY_USE[room])
    if "include/vmac" in allowed:  # what installed headers promise is in their rooms
        allowed |= set(rooms.INSTALLED.values()) - {room}
    return {other for other in allowed if (room, other) not in rooms.HEADER_ONLY}


def check_links(root):
    findings = []
    for room in rooms.MAY_USE:
        path = f"src/{room}/meson.build"
        if not os.path.isfile(os.path.join(root, path)):
            continue
        text = re.sub(r"#[^\n]*", "", tree.read(root, path))
        for match in _LINKED.finditer(text):
            other = match.group(1)
            if other in rooms.MAY_USE and other != room and other not in may_link(room):
                findings.append(f"{path}:{tree.line_of(text, match.start())}: "
                                f"room {room} may not link room {other}")
    return findings


def check_document(root):
    """The rooms in the document's table are those of ours."""
    path = "docs/architecture.md"
    if not os.path.isfile(os.path.join(root, path)):
        return [f"{path}: is missing"]
    told = {}
    for row in re.finditer(r"^\| ([a-z, ]+) \| ([^|\n]+) \|$", tree.read(root, path), re.MULTILINE):
        for room in row.group(1).split(", "):
            told[room] = row.group(2)
    findings = [f"{path}: room {room} has no row in the table of who may include what"
                for room in rooms.MAY_USE if room not in told]
    for room, text in told.items():
        if room not in rooms.MAY_USE:
            continue
        text = re.sub(r"\([^)]*\)", "", text).split(";")[0]  # behind it: asides
        if re.search(r"\b(all|every)", text):
            continue
        words = set(re.findall(r"[a-z]+(?=[,; /.]|$)", text.replace("include/vmac", "")))
        for other in rooms.MAY_USE[room]:
            if other != "include/vmac" and other not in words:
                findings.append(f"{path}: room {room} may include {other}, but its row does not say so")
        for other in (words & set(rooms.MAY_USE)) - set(rooms.MAY_USE[room]) - {room}:
            findings.append(f"{path}: room {room} may not include {other}, but its row says so")
    return findings


def check(root):
    return (check_includes(root) + check_installed(root) + check_cycles(header_graph(root)) +
            check_links(root) + check_document(root))


if __name__ == "__main__":
    tree.main("include graph", check)
