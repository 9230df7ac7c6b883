#!/usr/bin/python3
"""Which face a client is to use, from the words of src/balance/table.h alone: prints the numbers that
test_table.c holds the code against."""

import ipaddress

MASK = (1 << 64) - 1


def mix(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def face(key, client, count):
    octets = client.packed.ljust(16, b"\0")
    k0, k1 = (int.from_bytes(key[i:i + 8], "little") for i in (0, 8))
    a0, a1 = (int.from_bytes(octets[i:i + 8], "little") for i in (0, 8))
    s = mix(mix(k0 ^ a0) ^ k1 ^ a1)
    return max(range(count), key=lambda i: mix(s + (i + 1) * 0x9E3779B97F4A7C15 & MASK))


def main():
    for first in ("192.0.2.1", "2001:db8::99"):
        start = ipaddress.ip_address(first)
        print(", ".join(str(face(bytes(range(16)), start + i, 8)) for i in range(16)))


if __name__ == "__main__":
    main()
