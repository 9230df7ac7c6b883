"""Two routers that both claim to own the addresses (priority 255), which RFC 9568 does not foresee and erratum 8298 does:
the one with the lower address behaves as 254 for as long as it hears the other."""
import time

import pytest

import lab
import peers
import routers
from routers import MAC4, V4

pytestmark = pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "-")
OWNER = ("--priority", 255, "--accept", "--interval", "200ms", "--address", f"{V4}/24")


def steps(host):
    return [(line["to"], line["reason"]) for line in host.history()]


def conflicts(host):
    """Advertisements of another owner, as the metrics have them."""
    api = host.daemon.api()
    lines = [line for line in api.get("/metrics").splitlines()
             if line.startswith("vmac_router_refused_total") and '"owner_conflict"' in line]
    api.close()
    return sum(int(line.rsplit(" ", 1)[1]) for line in lines)


def settled(twins, *hosts, intervals=15):
    """For so long nothing moves, hardly anything is logged, and nobody advertises more than he has to; returns how many
    advertisements each host sent, and how many conflicts it counted."""
    before = [(steps(host), host.log_lines(), host.live()["counters"]["sent"], conflicts(host)) for host in hosts]
    at = time.monotonic()
    time.sleep(intervals * 0.2)
    result = []
    for host, (was, lines, sent, met) in zip(hosts, before):
        passed = (time.monotonic() - at) / 0.2
        assert steps(host) == was and host.log_lines() - lines <= 1
        result.append((host.live()["counters"]["sent"] - sent, conflicts(host) - met))
        # Once an interval, and once for each of the other's while they contend.
        assert result[-1][0] <= 2 * passed + 4, result
    return result


@pytest.fixture(name="twins")
def _twins():
    with lab.Lab() as place:
        yield routers.Twins(place)


def test_two_owners_settle_by_address(twins):
    low, high = twins.r1, twins.r2
    low.add(*OWNER)
    low.wait("active")
    assert steps(low) == [("active", "owner")]
    high.add(*OWNER)
    low.wait("backup")
    assert steps(low) == [("active", "owner"), ("backup", "owner_conflict")]
    assert steps(high) == [("active", "owner")]
    assert low.live()["priority"] == 254 and high.live()["priority"] == 255
    (silent, heard), (sent, _) = settled(twins, low, high)
    assert silent == 0 and heard >= 10 and sent >= 10
    # It is said wherever one may look.
    assert "active -> backup (owner_conflict" in low.daemon.log.read_text()
    assert "owner_conflict" in low.vmac("router", "show", "gw") and conflicts(low) >= 10
    lab.wait_for("one port has the vMAC", lambda: twins.lan.port_of(MAC4) == "r2", 5)
    assert twins.lan["c1"].ping(V4, 1) == 1
    # The other goes without a word: back to what it was told to be; and yields again, once, when that returns.
    high.kill()
    low.wait("active")
    assert steps(low)[-1] == ("active", "owner_returns") and low.live()["priority"] == 255
    high.start()
    low.wait("backup")
    settled(twins, low, high, intervals=8)
    assert [reason for _, reason in steps(low)] == ["owner", "owner_conflict", "owner_returns", "owner_conflict"]
    assert twins.actives() == ["r2"]
    # Who is corrected by hand is a backup like any other.
    low.set("--priority", 100)
    settled(twins, low, high, intervals=5)
    assert low.live()["priority"] == 100 and twins.actives() == ["r2"]


@pytest.mark.skipif(bool(peers.missing("keepalived")), reason=peers.missing("keepalived") or "-")
def test_keepalived_owns_them_too(twins):
    """It does as the erratum says: whoever has the higher address stays, whichever of us that is and who was first."""
    low, high = twins.r1, twins.r2
    text = peers.keepalived_instance("them", "eth0", 7, 255, f"{V4}/24", interval=0.2)
    text = text.replace("state BACKUP", "state MASTER")  # else it waits like a backup although it owns them
    low.add(*OWNER)
    low.wait("active")
    them = peers.Keepalived(twins.lan["r2"], text)
    lab.wait_for("keepalived is master", lambda: them.state("them") == "MASTER", 10)
    low.wait("backup")
    assert steps(low) == [("active", "owner"), ("backup", "owner_conflict")]
    (silent, heard), = settled(twins, low)
    assert silent == 0 and heard >= 10
    assert them.state("them") == "MASTER" and twins.lan["c1"].ping(V4, 1) == 1
    lab.wait_for("one port has the vMAC", lambda: twins.lan.port_of(MAC4) == "r2", 5)
    them.stop()
    low.wait("active")
    assert low.live()["priority"] == 255
    low.vmac("router", "delete", "gw")
    lab.wait_for("its device is gone", lambda: not low.devices(), 10)

    them = peers.Keepalived(twins.lan["r1"], text)
    lab.wait_for("keepalived is master", lambda: them.state("them") == "MASTER", 10)
    high.add(*OWNER)
    high.wait("active")
    lab.wait_for("keepalived yields", lambda: them.state("them") == "BACKUP", 10)
    assert "both configured as address owner" in them.said()
    (sent, _), = settled(twins, high)
    assert sent >= 10 and steps(high) == [("active", "owner")]
    assert them.state("them") == "BACKUP" and twins.lan["c1"].ping(V4, 1) == 1
    lab.wait_for("one port has the vMAC", lambda: twins.lan.port_of(MAC4) == "r2", 5)
