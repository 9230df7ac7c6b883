#!/usr/bin/python3
"""Holds what the pure rooms want from outside against a short list: nothing that allocates, reads a clock,
or speaks to the kernel.

usage: pure_symbols.py ROOM=ARCHIVE …"""

import re
import subprocess
import sys

import rooms
import tree

# Each with a word why it is pure.
ALLOWED = {
    "memcpy": "octets",
    "memmove": "octets",
    "memset": "octets",
    "memcmp": "octets",
    "bcmp": "octets: clang's word for a memcmp() that asks for equality only",
    "memchr": "octets: clang's word for a strchr() in a constant",
    "strlen": "text",
    "strcmp": "text",
    "strncmp": "text",
    "strchr": "text",
    "snprintf": "text into our buffer",
    "vsnprintf": "text into our buffer",
    "strtoul": "text to number",
    "strtoull": "text to number",
    "__errno_location": "what strtoul says",
    "qsort": "order",
    "bsearch": "order",
    "inet_pton": "text to address",
    "inet_ntop": "address to text",
    "nettle_md5_init": "a digest in our memory",
    "nettle_md5_update": "a digest in our memory",
    "nettle_md5_digest": "a digest in our memory",
    "nettle_hmac_sha1_set_key": "a digest in our memory",
    "nettle_hmac_sha1_update": "a digest in our memory",
    "nettle_hmac_sha1_digest": "a digest in our memory",
    "nettle_hmac_sha256_set_key": "a digest in our memory",
    "nettle_hmac_sha256_update": "a digest in our memory",
    "nettle_hmac_sha256_digest": "a digest in our memory",
    "crypto_shorthash_siphash24": "a digest in our memory",
    "nettle_memeql_sec": "comparison in constant time",
    "__stack_chk_fail": "the compiler's guard",
    "__assert_fail": "a bug of ours",
    "_GLOBAL_OFFSET_TABLE_": "the linker's",
}

# What a build for finding bugs adds to every function.
_INSTRUMENTATION = re.compile(r"__(asan|ubsan|tsan|msan|sanitizer|sancov|gcov|llvm)_")


def _plain(symbol):
    """The name in the source: without a version, a fortified or a newer form."""
    symbol = symbol.split("@")[0]
    match = re.fullmatch(r"__(\w+)_chk", symbol) or re.fullmatch(r"__isoc\d+_(\w+)", symbol)
    return match.group(1) if match else symbol


def symbols(archive):
    """(defined, wanted from outside) of an archive."""
    out = subprocess.run(["nm", "--format=posix", archive], check=True, capture_output=True,
                         text=True).stdout
    defined, wanted = set(), set()
    for line in out.splitlines():
        fields = line.split()
        if len(fields) < 2 or line.endswith(":"):
            continue
        if fields[1] in "Uwv":
            wanted.add(fields[0])
        elif fields[1].isupper():
            defined.add(fields[0])
    return defined, wanted - defined


def check(archives):
    """archives: room -> path."""
    findings = []
    seen = {room: symbols(path) for room, path in archives.items()}
    for room, (defined, wanted) in seen.items():
        if not defined:
            findings.append(f"{archives[room]}: defines nothing: is it the archive of room {room}?")
        for symbol in sorted(wanted):
            if _plain(symbol) in ALLOWED or _INSTRUMENTATION.match(symbol):
                continue
            owners = [r for r in seen if symbol in seen[r][0]]
            if not owners:
                findings.append(f"room {room} wants {symbol}, which is not on the list of pure_symbols.py")
            elif not set(owners) & set(rooms.MAY_USE[room]):
                findings.append(f"room {room} wants {symbol} of room {owners[0]}, which it may not use")
    return findings


def main():
    archives = dict(arg.split("=", 1) for arg in sys.argv[1:])
    if not archives or set(archives) - set(rooms.PURE):
        sys.exit(f"usage: {sys.argv[0]} ROOM=ARCHIVE …, rooms: {', '.join(rooms.PURE)}")
    sys.exit(tree.tell("pure symbols", check(archives)))


if __name__ == "__main__":
    main()
