"""Two vmacd against each other on one wire, in every protocol, with traffic to (and through) the virtual address."""
import shutil
import signal
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


@pytest.fixture(name="twins")
def _twins(place):
    return routers.Twins(place)


FAST = ("--interval", "100ms")


def test_what_goes_through_is_not_lost_and_the_address_itself_is_closed(place):
    """Accept_Mode false: ARP and neighbour discovery are answered, nothing else is; transit is the router's task."""
    twins = routers.Twins(place, inner=True)
    twins.both(*FAST, *DUAL)
    client = twins.lan["c1"]
    lab.wait_for("both sides are reached through r1", lambda: client.ping("10.8.0.3", 1, timeout=1) and
                 client.ping("2001:db8:8::3", 1, timeout=1) or True, 1)
    assert client.ping(V4, 2, timeout=0.5) == 0 and client.ping(V6, 2, timeout=0.5) == 0
    assert twins.lan.neighbour("c1", V4) == MAC4 and twins.lan.neighbour("c1", V6) == MAC6
    through = [lab.UdpStream(client, twins.inner["h1"], address, port)
               for address, port in (("10.8.0.3", 7200), ("2001:db8:8::3", 7201))]
    for stream in through:
        lab.wait_for("it goes through", lambda s=stream: len(s.got) > 100)
    twins.r1.stop()
    twins.r2.wait("active")
    marks = [stream.sent for stream in through]
    for stream, mark in zip(through, marks):
        lab.wait_for("it goes through r2", lambda s=stream, m=mark: s.got and max(s.got) > m + 100)
    twins.r1.start()
    twins.r1.wait("active")
    marks = [stream.sent for stream in through]
    for stream, mark in zip(through, marks):
        lab.wait_for("it goes through r1 again", lambda s=stream, m=mark: max(s.got) > m + 100)
    lost = [stream.stop() - min(stream.got) for stream in through]
    assert lost == [0, 0] and not any(stream.twice for stream in through)
    assert client.ping(V4, 1, timeout=0.3) == 0 and client.ping(V6, 1, timeout=0.3) == 0


def test_delays_hold_and_an_owner_has_none(twins):
    """Boot hold, preempt delay, and priority 255, which waits for nobody."""
    twins.r2.add("--priority", 100, *FAST, "--address", f"{V4}/24")
    twins.r2.wait("active")
    twins.r1.add("--priority", 150, *FAST, "--preempt-delay", "1s", "--boot-hold", "1500ms", "--address", f"{V4}/24")
    twins.r1.wait("active")
    begun, became = (line["at"] for line in (twins.r1.history()[0], twins.r1.history()[-1]))
    assert 0.9 <= seconds(became) - seconds(begun) <= 2.0

    twins.r1.stop()
    twins.r2.wait("active")
    at = time.monotonic()
    twins.r1.start()
    twins.r2.kill()
    twins.r1.wait("active")
    assert 1.3 <= time.monotonic() - at <= 5, "nobody is declared dead before the boot hold is over"
    twins.r2.start()
    twins.r2.wait("backup")
    assert twins.actives() == ["r1"]

    twins.r2.set("--priority", 255)
    twins.r2.wait("active")
    twins.r1.wait("backup")
    assert "owner" in twins.r2.reasons() or twins.r2.live()["priority"] == 255
    twins.r1.set("--no-preempt")
    twins.r2.stop()
    twins.r1.wait("active")
    twins.r2.start()
    at = time.monotonic()
    twins.r2.wait("active")
    assert time.monotonic() - at < 1.4
    twins.r1.wait("backup")


def seconds(stamp):
    import datetime
    return datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def test_preemption_off_leaves_the_lesser_one_in_peace(twins):
    twins.r2.add("--priority", 100, *FAST, "--no-preempt", "--address", f"{V4}/24")
    twins.r2.wait("active")
    twins.r1.add("--priority", 200, *FAST, "--no-preempt", "--address", f"{V4}/24")
    twins.r1.wait("backup")
    sent = twins.r2.live()["counters"]["sent"]
    lab.wait_for("ten more advertisements", lambda: twins.r2.live()["counters"]["sent"] > sent + 10)
    assert twins.actives() == ["r2"]
    twins.r2.kill()
    twins.r1.wait("active")


def test_both_sides_of_a_firewall_move_together(place):
    twins = routers.Twins(place, inner=True)
    sets = ["--set", f"eth0:7:{V4}/24", "--set", "eth1:8:10.8.0.100/24"]
    for host, priority in ((twins.r1, 150), (twins.r2, 100)):
        host.add("--priority", priority, *FAST, *sets, interface=None)
    twins.r1.wait("active")
    twins.r2.wait("backup")
    inside = "00:00:5e:00:01:08"

    def sides():
        return twins.lan.port_of(MAC4), twins.inner.port_of(inside)

    lab.wait_for("r1 has both sides", lambda: sides() == ("r1", "r1"))
    for side in (twins.lan, twins.inner):
        side.cut("r1")
        twins.r2.wait("active")
        twins.r1.wait("initialize")
        lab.wait_for("r2 has both sides", lambda: sides() == ("r2", "r2"))
        assert twins.r1.reasons()[-1] == "fault" and not twins.r1.has(V4) and not twins.r1.has("10.8.0.100")
        side.mend("r1")
        twins.r1.wait("active")
        twins.r2.wait("backup")
        lab.wait_for("r1 has both sides again", lambda: sides() == ("r1", "r1"))


def test_many_addresses_by_unicast_and_new_keys_without_a_transition(place, tmp_path):
    twins = routers.Twins(place)
    several = [word for n in range(20) for word in ("--address", f"10.9.0.{100 + n}/24")]
    keys = {}
    for number, text in (("old", "1:grandfather"), ("new", "2:grandchild")):
        keys[number] = tmp_path / number
        keys[number].write_text(text + "\n")
        keys[number].chmod(0o600)
    for host, other, priority in ((twins.r1, "r2", 150), (twins.r2, "r1", 100)):
        host.add("--priority", priority, "--accept", *FAST, "--peer", twins.lan.address(other), "--auth", "hmac",
                 "--key-file", keys["old"], *several)
    twins.r1.wait("active")
    twins.r2.wait("backup")
    client = twins.lan["c1"]
    for n in range(20):
        assert client.ping(f"10.9.0.{100 + n}", 1), f"10.9.0.{100 + n}"
        assert twins.lan.neighbour("c1", f"10.9.0.{100 + n}") == MAC4
    before = twins.r1.history(), twins.r2.history()
    with routers.served(twins, [V4, "10.9.0.119"], "r1") as rolled, twins.lan.captured() as seen:
        for step in (["--key", "1:", "--key-file", keys["new"]], ["--key-file", keys["new"], "--key-file", keys["old"]],
                     ["--key-file", keys["new"]]):
            for host in (twins.r1, twins.r2):
                host.set(*step)
                heard = twins.r2.live()["counters"]["verdicts"].get("accepted", 0)
                lab.wait_for("five more are believed", lambda h=heard:
                             twins.r2.live()["counters"]["verdicts"]["accepted"] >= h + 5)
        rolled.nothing_lost()
    assert (twins.r1.history(), twins.r2.history()) == before
    refused = twins.r2.live()["counters"]["verdicts"]
    assert set(refused) <= {"accepted"} or not any(refused[name] for name in refused if name != "accepted"), refused
    sent = [frame for frame in seen.from_mac(twins.lan.mac("r1")) if frame[23:24] == b"\x70"]
    assert len(sent) >= 20 and all(frame[30:34] == bytes([10, 9, 0, 2]) for frame in sent), "multicast although unicast was asked for"
    # With the key that is gone, nobody is heard.
    twins.r1.set("--key-file", keys["old"])
    twins.r2.wait("active")
    assert twins.r2.live()["counters"]["verdicts"]["auth_key"] > 0


def test_two_versions_while_a_network_changes_over(twins):
    twins.r1.add("--priority", 150, "--also-v2", "--interval", "1s", "--address", f"{V4}/24")
    twins.r1.wait("active")
    twins.r2.add("--priority", 100, "--address", f"{V4}/24", protocol="vrrp2")
    twins.r2.wait("backup")
    lab.wait_for("three are heard", lambda: twins.r2.live()["counters"]["verdicts"].get("accepted", 0) >= 3)
    assert twins.actives() == ["r1"]
    assert twins.r2.live()["counters"]["verdicts"].get("other_protocol", 0) >= 3
    twins.r2.set("--priority", 200)
    twins.r2.wait("active")
    twins.r1.wait("backup")


# --- reload -----------------------------------------------------------------------------------------------

FILE = """
routers:
  - name: gw
    protocol: vrrp3
    priority: {priority}
    interval: 200ms
    accept: true
    sets:
      - interface: eth0
        group: 7
        addresses: ["10.9.0.100/24"]
      - interface: eth0
        group: 7
        addresses: ["fe80::9:100/64", "2001:db8:9::100/64"]
"""


PLAIN = """
  - name: {name}
    protocol: vrrp3
    interval: 100ms
    sets:
      - interface: eth0
        group: {group}
        addresses: ["10.9.0.{group}/24"]
"""


def test_reload_changes_what_changed_and_nothing_else(twins, tmp_path):
    file = tmp_path / "vmacd.yaml"
    file.write_text(FILE.format(priority=150))
    twins.r1.daemon.kill(signal.SIGTERM, 20)
    config = twins.place.daemon(twins.lan["r1"], "filed", "--config", str(file))
    twins.r1.daemon = config
    twins.r1.wait("active")
    twins.r2.add("--priority", 100, "--interval", "200ms", "--accept", *DUAL)
    twins.r2.wait("backup")
    lab.wait_for("all is announced", lambda: twins.r1.live()["counters"]["announced"] >= 9, 10)
    assert twins.r1.live()["counters"]["announced"] == 9

    def reload(text):
        file.write_text(text)
        said = config.log.read_text().count("configuration: ")
        config.process.send_signal(signal.SIGHUP)
        lab.wait_for("it has read the file again", lambda: config.log.read_text().count("configuration: ") > said, 5)

    with routers.watched(twins.lan["r1"]) as changes, twins.lan.captured("r1") as seen:
        writes = routers.NetlinkWrites(twins.lan["r1"], config.process) if shutil.which("strace") else None
        reload(FILE.format(priority=150))
        sent = twins.r1.live()["counters"]["sent"]
        lab.wait_for("five more advertisements", lambda: twins.r1.live()["counters"]["sent"] >= sent + 10)
        asked = writes.end() if writes else []
    assert not changes.lines() and not asked, (changes.lines(), asked)
    other = [frame for frame in seen.from_mac(MAC4) + seen.from_mac(MAC6)
             if not (frame[12:14] == b"\x08\x00" and frame[23] == 112) and
             not (frame[12:14] == b"\x86\xdd" and frame[20] in (112, 0))]  # 0: the kernel's own MLD reports
    assert not other, [frame.hex() for frame in other]

    before = twins.r1.history(), twins.r2.history()
    with routers.served(twins, [V4, V6], "r1") as served:
        reload(FILE.format(priority=140))
        lab.wait_for("the new priority is known", lambda: twins.r2.live().get("active_priority") == 140)
        reload(FILE.format(priority=999))
        assert "999" in config.tail(10) or "priority" in config.tail(10), config.tail(10)
        reload("routers: [")
        sent = twins.r1.live()["counters"]["sent"]
        lab.wait_for("five more advertisements", lambda: twins.r1.live()["counters"]["sent"] >= sent + 10)
        served.nothing_lost()
    assert twins.r1.live()["priority"] == 140
    assert (twins.r1.history(), twins.r2.history()) == before
    writes = routers.NetlinkWrites(twins.lan["r1"], config.process) if shutil.which("strace") else None
    reload("")
    lab.wait_for("the router is gone", lambda: not twins.r1.daemon.vmacj("router", "list")["items"], 10)
    twins.r2.wait("active")
    lab.wait_for("its devices are gone", lambda: not twins.r1.devices(), 5)
    assert not writes or writes.end(), "what takes a router away was not seen"

    # Two that swap their groups, at once and each with its own name still.
    def swap(one, two):
        reload("routers:" + "".join(PLAIN.format(name=name, group=group) for name, group in (("one", one), ("two", two))))
        for name, group in (("one", one), ("two", two)):
            try:
                lab.wait_for(f"{name} has group {group}",
                             lambda: twins.r1.show(name)["sets"][0]["group"] == group and
                             twins.r1.state(name) == "active", 10)
            except lab.LabError as problem:
                raise lab.LabError(f"{problem}: {twins.r1.show(name)}, {config.tail(20)}") from None
            assert twins.r1.live(name)["sets"][0]["mac"] == f"00:00:5e:00:01:{group:02x}"

    swap(11, 12)
    swap(12, 11)


# --- HSRP -------------------------------------------------------------------------------------------------

def test_hsrp_learns_coups_and_resigns(twins):
    quick = ["--interval", "200ms", "--hold", "700ms"]
    twins.r1.add("--priority", 150, *quick, "--address", f"{V4}/24", protocol="hsrp2", group=9)
    twins.r1.wait("active")
    assert [line["to"] for line in twins.r1.history()] == ["listen", "speak", "standby", "active"]
    twins.r2.add("--priority", 100, "--learn", protocol="hsrp2", group=9)
    twins.r2.wait("standby", 15)
    states = [line["to"] for line in twins.r2.history()]
    assert states[0] == "learn" and states[-3:] == ["listen", "speak", "standby"], states
    live = twins.r2.live()
    assert live["learned"] == V4 and live["timers_learned"], live
    assert live["interval"] == "200ms" and live["hold"] == "700ms", live
    lab.wait_for("r1 knows who is standby", lambda: twins.r1.live().get("standby") == twins.lan.address("r2"), 5)

    # Somebody better who may preempt takes it by a coup.
    twins.r2.set("--priority", 200, "--preempt")
    twins.r2.wait("active")
    assert twins.r1.reasons()[-2:] == ["coup", "no_standby"] or "coup" in twins.r1.reasons(), twins.r1.reasons()
    twins.r1.wait("standby", 15)
    twins.r2.set("--disable")
    twins.r1.wait("active")
    assert twins.r1.reasons()[-1] == "peer_left"
    assert twins.lan["c1"].ping(V4, 1) == 1
    assert twins.lan.neighbour("c1", V4) == "00:00:0c:9f:f0:09"
