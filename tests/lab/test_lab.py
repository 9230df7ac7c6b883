"""The lab keeps its own promises: nothing of it stays behind, not even after SIGKILL."""
import os
import pathlib
import signal
import subprocess
import sys
import time

import lab as lablib
import pytest

pytestmark = pytest.mark.skipif(lablib.missing() != "", reason=lablib.missing())


def namespaces():
    return set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set()


def test_it_leaves_nothing_behind():
    with lablib.Lab() as lab:
        a, b = lab.netns("a"), lab.netns("b")
        lab.link(a, "eth0", b, "eth0")
        process = a.start("sleep", "1000")
        mine = {a.name, b.name}
        assert mine <= namespaces()
    assert process.poll() is not None
    assert not mine & namespaces()
    assert not lab.directory.exists()


def test_the_next_run_sweeps_after_a_killed_one():
    code = ("import sys, time; sys.path.insert(0, sys.argv[1]); import lab\n"
            "l = lab.Lab(); n = l.netns('a'); p = n.start('sleep', '1000'); print(n.name, p.pid, flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code, str(pathlib.Path(lablib.__file__).parent)], text=True,
                          stdout=subprocess.PIPE) as other:
        name, pid = other.stdout.readline().split()
        lablib.sweep()
        assert name in namespaces(), "what lives must not be swept"
        os.kill(other.pid, signal.SIGKILL)
    lablib.wait_for("its process dies with it", lambda: not os.path.exists(f"/proc/{pid}"), 5)
    lablib.sweep()
    assert name not in namespaces()


def test_streams_count_what_is_lost():
    with lablib.Lab() as lab:
        a, b = lab.netns("a"), lab.netns("b")
        lab.link(a, "eth0", b, "eth0")
        a.run("ip", "addr", "add", "192.0.2.1/24", "dev", "eth0")
        b.run("ip", "addr", "add", "192.0.2.2/24", "dev", "eth0")
        assert a.ping("192.0.2.2") == 3
        assert a.ping("192.0.2.9", count=1, timeout=0.2) == 0
        stream = lablib.UdpStream(a, b, "192.0.2.2")
        time.sleep(0.3)
        b.run("ip", "link", "set", "eth0", "down")
        time.sleep(0.2)
        b.run("ip", "link", "set", "eth0", "up")
        time.sleep(0.3)
        lost = stream.stop()
        assert 0 < lost < stream.sent
        assert not stream.twice
