"""Only vmac_* leaves libvmac, and all that the headers declare is there."""
import os
import re
import subprocess
from pathlib import Path


def exported():
    out = subprocess.run(['nm', '-D', '--defined-only', os.environ['LIBVMAC']], check=True,
                         capture_output=True, text=True).stdout
    return {line.split()[2].split('@')[0] for line in out.splitlines()}


def test_only_ours():
    assert {n for n in exported() if not n.startswith(('vmac_', 'VMAC_'))} == set()


def test_all_that_is_declared():
    declared = set()
    for header in Path(os.environ['HEADERS']).glob('*.h'):
        text = re.sub(r'/\*.*?\*/', '', header.read_text(), flags=re.S)
        text = re.sub(r'static inline .*?\n}', '', text, flags=re.S)
        declared |= set(re.findall(r'^[a-z][^;{}()]*?\b(vmac_\w+)\(', text, flags=re.M))
    assert len(declared) > 15
    assert declared - exported() == set()
