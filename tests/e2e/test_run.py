"""./run as a person calls it.  The lab itself is unattended and takes its own namespaces."""
import os
import pathlib
import subprocess

import lab as lablib
import pytest

RUN = str(lablib.ROOT / "run")
NAMESPACES = ("vmac-host", "vmac-lan", "vmac-client", "vmac-container")


def run(*arguments, timeout=300, **options):
    return subprocess.run([RUN, *arguments], text=True, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL,
                          check=False, **options)


@pytest.mark.parametrize("arguments", [("--bad",), ("--once", "--stop"), ("--uplink",), ("--yes",), ("--in", "mars", "true"),
                                       ("once",), ("--once", "--uplink", "eth9")])
def test_wrong_arguments_are_refused_in_a_sentence(arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("run: ")


def test_help_needs_no_root():
    done = run("--help", preexec_fn=lambda: os.setuid(65534))
    assert done.returncode == 0 and "--once" in done.stdout


def test_without_root_it_says_so():
    done = run(preexec_fn=lambda: os.setuid(65534))
    assert done.returncode == 7 and "root" in done.stderr


def left_over():
    found = [name for name in NAMESPACES if os.path.exists(f"/run/netns/{name}")]
    return found + [str(path) for path in (pathlib.Path("/run/vmac-lab"), *lablib.BPFFS.glob("lab-*")) if path.exists()]


@pytest.mark.skipif(lablib.missing() != "", reason=lablib.missing())
def test_once_reaches_everybody_and_leaves_nothing():
    if os.path.exists("/run/vmac-lab/ready"):
        pytest.skip("a lab of ./run is up on this machine")
    done = run("--once")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "everybody reached everybody" in done.stdout
    assert not left_over()
    again = run("--stop")
    assert again.returncode == 0
