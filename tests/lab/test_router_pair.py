"""Two vmacd against each other on one wire, in every protocol, with traffic to (and through) the virtual address."""
import time

import pytest

import lab
import routers
from routers import DUAL, LL6, MAC4, MAC6, V4, V6

pytestmark = pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "-")

# protocol: (options, group, addresses under traffic, seconds after which r2 with priority 100 takes over, vMACs)
PROTOCOLS = {
    "vrrp3": (["--protocol", "vrrp3", "--interval", "200ms", *DUAL], 7, [V4, V6], 0.2 * (3 + 156 / 256), [MAC4, MAC6]),
    "vrrp2": (["--protocol", "vrrp2", "--address", f"{V4}/24"], 7, [V4], 3 + 156 / 256, [MAC4]),
    "hsrp1": (["--protocol", "hsrp1", "--interval", "1s", "--hold", "3s", "--preempt", "--address", f"{V4}/24"], 7,
              [V4], 3, ["00:00:0c:07:ac:07"]),
    "hsrp2": (["--protocol", "hsrp2", "--interval", "200ms", "--hold", "700ms", "--preempt", "--address", f"{V4}/24"],
              0x123, [V4], 0.7, ["00:00:0c:9f:f1:23"]),
    "hsrp2-ipv6": (["--protocol", "hsrp2", "--interval", "200ms", "--hold", "700ms", "--preempt", "--address",
                    f"{LL6}/64"], 7, [LL6], 0.7, ["00:05:73:a0:00:07"]),
    "carp": (["--protocol", "carp", "--preempt", "--auth", "hmac", "--key", "love", "--address", f"{V4}/24"], 42, [V4],
             3 * (1 + 155 / 256), ["00:00:5e:00:01:2a"]),
}


@pytest.fixture(name="place")
def _place():
    with lab.Lab() as place:
        yield place


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_elect_stop_preempt_and_die(place, protocol):
    options, group, addresses, down, macs = PROTOCOLS[protocol]
    addresses = [f"{a}%eth0" if a == LL6 else a for a in addresses]
    twins = routers.Twins(place)
    twins.r1.add("--priority", 150, "--accept", *options[2:], protocol=options[1], group=group)
    twins.r2.add("--priority", 100, "--accept", *options[2:], protocol=options[1], group=group)
    twins.r1.wait("active", 15)
    waits = "standby" if protocol.startswith("hsrp") else "backup"
    twins.r2.wait(waits, 15)
    for mac in macs:
        lab.wait_for(f"{mac} is behind r1", lambda m=mac: twins.lan.port_of(m) == "r1")

    with routers.served(twins, addresses, "r1") as stop:
        twins.r1.stop()
        twins.r2.wait("active")
        stop.wait_at("r2")
        stop.nothing_lost()
    assert twins.r2.reasons()[-1] == "peer_left"

    with routers.served(twins, addresses, "r2") as preempt:
        twins.r1.start()
        twins.r1.wait("active", 20)
        twins.r2.wait(waits if waits == "backup" else "standby", 15)
        preempt.wait_at("r1")
        preempt.nothing_lost()

    with routers.served(twins, addresses, "r1") as dead:
        twins.r1.kill()
        twins.r2.wait("active", down + 5)
        dead.wait_at("r2")
        dead.stop()
    assert twins.r2.reasons()[-1] == "silence"
    assert max(dead.lost) <= (down + 0.3) * 1000, f"{dead.lost} at 1 kpps, down interval {down}"
    assert not any(dead.twice)
