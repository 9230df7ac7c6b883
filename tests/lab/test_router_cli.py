"""The command line as a new user meets it, with a daemon and other people's routers on the wire."""
import os

import pytest

import lab
import peers
import routers
import wire
from routers import V4

pytestmark = pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "-")
BASE = ("router", "add", "x", "--protocol", "vrrp3", "--interface", "eth0", "--group", "9", "--address", "10.9.0.9/24")

# What is given besides BASE, and what the message must name.
WRONG = [
    (["--priority", "256"], "priority"), (["--priority", "0"], "priority"), (["--priority", "high"], "priority"),
    (["--interval", "1ms"], "interval"), (["--interval", "soon"], "interval"), (["--hold", "3s"], "hold"),
    (["--learn"], "learn"), (["--checksum", "odd"], "checksum"), (["--garp", "loud"], "garp"),
    (["--announce-count", "0"], "announce"), (["--announce-refresh", "-1s"], "announce"), (["--linger", "2h"], "linger"),
    (["--preempt-delay", "2h"], "preempt"), (["--boot-hold", "x"], "boot"), (["--peer", "nobody"], "nobody"),
    (["--source", "300.1.1.1"], "300.1.1.1"), (["--mac", "zz"], "mac"), (["--mac", "01:00:5e:00:00:01"], "mac"),
    (["--auth", "rot13"], "rot13"), (["--auth", "text", "--key", "a"], "text"), (["--auth", "hmac"], "key"),
    (["--auth-mode", "lax"], "lax"), (["--key-file", "/nonexistent/k"], "/nonexistent/k"),
    (["--track", "mood:good"], "mood"), (["--track", "ping:somewhere"], "no IP address"),
    (["--track", "interface:eth1,weight=300"], "weight"), (["--track", "file:/x,rise=0"], "rise"),
    (["--notify", "relative"], "notify"), (["--set", "eth0:9"], "eth0:9"), (["--address", "10.9.0.9/33"], "10.9.0.9/33"),
    (["--device", "a-name-that-is-too-long"], "device"), (["--nonsense"], "nonsense"),
    (["--preempt", "--no-preempt"], "preempt"),
]


@pytest.fixture(name="twins", scope="module")
def _twins():
    with lab.Lab() as place:
        yield routers.Twins(place)


def test_what_is_wrong_is_said_precisely(twins):
    bad = []
    for options, word in WRONG:
        done = twins.r1.daemon.vmac_raw(*BASE, *options)
        if done.returncode != 2 or word not in done.stderr or done.stdout or len(done.stderr.splitlines()) > 3:
            bad.append((options, done.returncode, done.stderr))
            twins.r1.daemon.vmac_raw("router", "delete", "x")
    assert not bad, "\n".join(map(str, bad))
    assert not twins.r1.daemon.vmacj("router", "list")["items"]


def test_a_routers_life(twins):
    host = twins.r1
    host.add("--interval", "100ms", "--address", f"{V4}/24")
    assert "gw" in host.vmac("router", "add", "gw", "--protocol", "vrrp3", "--interface", "eth0", "--group", "8",
                             "--address", "10.9.0.8/24", status=4)
    assert "7" in host.vmac("router", "add", "gw2", "--protocol", "vrrp3", "--interface", "eth0", "--group", "7",
                            "--address", "10.9.0.8/24", status=4)
    host.wait("active")
    shown = host.vmac("router", "show", "gw")
    assert "active" in shown and "00:00:5e:00:01:07" in shown and V4 in shown
    assert "silence" in host.vmac("router", "history", "gw")
    host.vmac("router", "delete", "gw")
    lab.wait_for("nothing is left", lambda: not host.devices(), 10)
    for verb in ("show", "history", "delete"):
        assert "gw" in host.vmac("router", verb, "gw", status=3)
    # A link that is not there: the router is there, and says so.
    host.add("--address", f"{V4}/24", interface="eth9")
    assert "eth9" in host.vmac("router", "show", "gw")
    assert host.state() == "initialize"
    host.vmac("router", "delete", "gw")


def test_without_privileges(twins):
    done = twins.r1.ns.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", lab.binary("vmac"), "--socket",
                           twins.r1.daemon.socket, *BASE, check=False)
    assert done.returncode != 0 and "not allowed" in done.stderr, done.stderr


@pytest.mark.skipif(bool(peers.missing("keepalived")), reason="no keepalived")
def test_decode_and_import_of_a_running_keepalived(tmp_path):
    """What it says on the wire is accepted; its configuration runs in vmacd and elects with the original."""
    with lab.Lab() as place:
        twins = routers.Twins(place)
        theirs = peers.Keepalived(twins.lan["r2"], peers.keepalived_instance("GW", "eth0", 7, 100, f"{V4}/24", interval=0.2))
        lab.wait_for("keepalived is active", lambda: theirs.state("GW") == "MASTER", 10)
        done = twins.r1.daemon.vmac_raw("import", "keepalived", theirs.config)
        assert done.returncode in (0, 9), done.stderr
        file = tmp_path / "vmacd.yaml"
        file.write_text(done.stdout)
        twins.r1.stop()
        config = twins.r1.daemon = place.daemon(twins.lan["r1"], "imported", "--config", str(file))
        name = config.vmacj("router", "list")["items"][0]["name"]
        twins.r1.wait("backup", name=name)
        with twins.lan.captured() as seen:
            heard = twins.r1.live(name)["counters"]["received"]
            lab.wait_for("keepalived is heard", lambda: twins.r1.live(name)["counters"]["received"] > heard + 5)
            file.write_text(done.stdout.replace("priority: 100", "priority: 120"))
            config.process.send_signal(1)
            twins.r1.wait("active", name=name)
            lab.wait_for("keepalived gives in", lambda: theirs.state("GW") == "BACKUP", 5)
            sent = twins.r1.live(name)["counters"]["sent"]
            lab.wait_for("ours advertises", lambda: twins.r1.live(name)["counters"]["sent"] > sent + 5)
        capture = seen.save(tmp_path / "x.pcap")
        told = config.vmac("decode", capture)
        verdicts = twins.r1.live(name)["counters"]["verdicts"]
        assert set(verdicts) == {"accepted"}, verdicts
        assert "accepted" in told and "10.9.0.1" in told and "10.9.0.2" in told
        assert not [w for w in ("checksum:", "malformed", "truncated") if w in told], told
