"""./run as a person calls it.  The lab itself is unattended and takes its own namespaces."""
import os
import pathlib
import shutil
import subprocess
import tempfile

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


@pytest.fixture(name="as_nobody")
def _as_nobody():
    """Runs a copy of ./run without privileges: the checkout itself may be root's alone to read."""
    with tempfile.TemporaryDirectory(prefix="vmac-t-run-") as directory:
        os.chmod(directory, 0o755)
        copy = shutil.copy(RUN, directory)
        yield lambda *arguments: subprocess.run([copy, *arguments], text=True, capture_output=True, timeout=30,
                                                stdin=subprocess.DEVNULL, check=False, cwd="/", user=65534,
                                                group=65534, extra_groups=[])


def test_help_needs_no_root(as_nobody):
    done = as_nobody("--help")
    assert done.returncode == 0 and "--once" in done.stdout


def test_without_root_it_says_so(as_nobody):
    done = as_nobody()
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
