"""What vmacd says when the machine, the disk or the operator is not as it should be: a code, a sentence, a hint,
and nothing half done."""
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile

import pytest

import lab

pytestmark = pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "-")


@pytest.fixture(name="place")
def _place():
    with lab.Lab() as made:
        yield made


def refused(argv, status, *words):
    """Runs vmacd, which must end by itself with this status and say these words and a hint."""
    done = subprocess.run(argv, text=True, capture_output=True, timeout=30, check=False)
    assert done.returncode == status, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    return done.stderr


def registry_of(daemon):
    argv = daemon.argv()
    return pathlib.Path(argv[argv.index("--state-dir") + 1]) / "registry.db"


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("errno, status, words", [
    ("ENOSYS", 8, ("no BPF system call", "CONFIG_BPF_SYSCALL")),
    ("EPERM", 7, ("does not let us load BPF programs", "CAP_BPF")),
])
def test_a_kernel_without_bpf_is_named(place, errno, status, words):
    daemon = place.daemon(place.netns("host"), start=False)
    argv = ["strace", "-f", "-o", "/dev/null", "-e", "trace=bpf", "-e", f"inject=bpf:error={errno}",
            *daemon.argv()]
    assert "hint:" in refused(argv, status, *words)
    assert not (lab.BPFFS / daemon.instance).exists()


def test_without_privileges_it_says_so(place):
    daemon = place.daemon(place.netns("host"), start=False)
    readable = tempfile.mkdtemp(prefix="vmac-t-bin-")
    try:
        os.chmod(readable, 0o755)
        program = shutil.copy(lab.binary("vmacd"), readable)
        done = subprocess.run([program, *daemon.argv()[1:]], text=True, capture_output=True, user=65534,
                              group=65534, extra_groups=[], timeout=30, check=False)
    finally:
        shutil.rmtree(readable)
    assert done.returncode == 7, done.stderr
    assert "hint:" in done.stderr


@pytest.mark.parametrize("options, words", [
    (["--bogus"], "bogus"),
    (["--backend", "oracle"], "oracle"),
    (["--instance", "../x"], "instance"),
    (["--log-level", "loud"], "loud"),
    (["--config", "/nonexistent.yaml"], "/nonexistent.yaml"),
    (["stray"], "stray"),
])
def test_wrong_options_are_refused(options, words):
    done = subprocess.run([lab.binary("vmacd"), *options], text=True, capture_output=True, timeout=30, check=False)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr


def test_check_prints_what_reads_back(tmp_path):
    first = subprocess.run([lab.binary("vmacd"), "--check", "--instance", "x"], text=True, capture_output=True,
                           timeout=30, check=True).stdout
    again = tmp_path / "again.yaml"
    again.write_text(first)
    second = subprocess.run([lab.binary("vmacd"), "--check", "--config", str(again)], text=True,
                            capture_output=True, timeout=30, check=True).stdout
    assert first == second and "instance: x" in first


def test_a_damaged_registry_is_refused_and_left_alone(place):
    host = place.netns("host")
    daemon = place.daemon(host, "vmacd", "--no-plane")
    daemon.vmac("segment", "add", "lan")
    assert daemon.kill(signal.SIGTERM) == 0
    registry = registry_of(daemon)
    damaged = b"not a registry at all".ljust(registry.stat().st_size, b"\xa5")
    registry.write_bytes(damaged)
    assert "hint:" in refused(host.argv(*daemon.argv()), 8, "registry")
    assert registry.read_bytes() == damaged


@pytest.mark.parametrize("harm", [
    "INSERT INTO vmac SELECT id + 100, key, status, pool, port, epoch, created, NULL, owner, more FROM vmac",
    "INSERT INTO vmac SELECT id + 100, key + 1, status, pool, port, epoch, created, name, owner, more FROM vmac",
    "UPDATE vmac SET pool = 77",
    "UPDATE vmac SET port = 5",
    "UPDATE vmac SET key = key + (7 << 48)",
    "UPDATE pool SET segment = 9",
    "DELETE FROM segment",
    "UPDATE segment SET net = 4096",
    "INSERT INTO segment SELECT id + 1, name, uplink, vlan, epoch_floor, created, net + 1 FROM segment",
])
def test_records_that_contradict_each_other_are_not_served(place, harm):
    host = place.netns("host")
    daemon = place.daemon(host, "vmacd", "--no-plane")
    daemon.vmac("segment", "add", "lan")
    daemon.vmac("pool", "add", "p", "--segment", "lan")
    daemon.vmac("mac", "add", "--name", "x")
    assert daemon.kill(signal.SIGTERM) == 0
    registry = sqlite3.connect(registry_of(daemon))
    assert registry.execute(harm).rowcount == 1
    registry.commit()
    registry.close()
    assert "hint:" in refused(host.argv(*daemon.argv()), 8, "damaged")


def test_segments_and_pools_of_the_configuration_are_made_once(place, tmp_path):
    host = place.netns("host")
    config = tmp_path / "vmacd.yaml"
    config.write_text("segments: [{name: lan}]\npools: [{name: p, segment: lan, limit: 5}]\n")
    daemon = place.daemon(host, "vmacd", "--no-plane", "--config", str(config))
    for _ in range(2):
        assert [p["limit"] for p in daemon.vmacj("pool", "list")["items"]] == [5]
        daemon.vmac("mac", "add")
        daemon.kill(signal.SIGTERM)
        daemon.start()
    assert daemon.vmacj("pool", "show", "p")["used"] == 2
    assert "already" not in daemon.tail()


@pytest.fixture(name="small_disk")
def _small_disk():
    with lab.small_disk() as directory:
        yield directory


def test_a_full_disk_refuses_and_recovers(place, small_disk):
    """Nothing is half-applied: what was refused does not exist, what was answered does, also after a restart."""
    state = small_disk / "state"
    daemon = place.daemon(place.netns("host"), "vmacd", "--no-plane", "--state-dir", str(state))
    daemon.vmac("segment", "add", "lan")
    daemon.vmac("pool", "add", "p", "--segment", "lan")
    ballast = lab.fill(small_disk)
    held = 0
    api = daemon.api()
    with pytest.raises(lab.ApiError) as refusal:
        while held < 1_000_000:
            held += len(api.post("/v1/vmacs/batch", pool="p", count=10_000)["addresses"])
    api.close()
    assert refusal.value.code == "registry_full", refusal.value
    assert daemon.vmacj("pool", "show", "p")["used"] == held
    assert daemon.vmacj("status")["registry"]["healthy"] is False
    ballast.unlink()
    daemon.vmac("mac", "add")
    assert daemon.vmacj("status")["registry"]["healthy"] is True
    daemon.restart()
    assert daemon.vmacj("pool", "show", "p")["used"] == held + 1


def test_a_read_only_disk_is_named(place, small_disk):
    state = small_disk / "state"
    daemon = place.daemon(place.netns("host"), "vmacd", "--no-plane", "--state-dir", str(state))
    daemon.vmac("segment", "add", "lan")
    daemon.kill(signal.SIGTERM)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert "hint:" in refused(daemon.argv(), 8, "Read-only")
