"""Clusters where the segment is another: with a tag, without IPv4, and with very many members."""
import json
import socket
import time

import etcd
import lab
import pytest
from clusters import PORT, V4, V6, Farm, Flooded
from moving import OvsSwitch, Sources

MISSING = lab.missing() or etcd.missing()
pytestmark = [pytest.mark.skipif(bool(MISSING), reason=MISSING), pytest.mark.timeout(240)]

ARP = ("--check", "arp", "--check-interval", "500ms", "--check-timeout", "400ms")


def unbroken(status, but=()):
    for name, member in status["members"].items():
        if name not in but:
            assert member["broken"] == 0 and member["moved_away"] == 0, (name, status)
    assert status["wrong"] == 0 and status["failed"] == 0, status


@pytest.mark.skipif(bool(OvsSwitch.missing()), reason=OvsSwitch.missing() or "-")
def test_a_segment_with_a_tag():
    """Open vSwitch, the client without a tag, the hosts with: heartbeats, announcements and what is balanced bear it; a
    member that is added, one that dies, and the anchor's end are as elsewhere; nothing is flooded."""
    with lab.Lab() as place:
        farm = Farm(place, switch=OvsSwitch(place, vlan=20), vlan=20)
        farm.spread(2)
        # That switch loses frames when it gets no time.
        face = farm.cluster(*ARP, "--fall", 6)["faces"][0]["address"]
        farm.wait_live("up")
        anchor = farm.wait_anchor()
        sources = Sources(farm.fleet.switch, list(farm.fleet.hosts), face)
        beats = {host.name: Sources(farm.fleet.switch, [host.name], host.ns.link_address("eth0"))
                 for host in farm.fleet.hosts.values()}
        flooded = Flooded(farm.other, face, *(member.mac for member in farm.members.values()))
        # Slowly: the switch's sockets hold some 50 frames.
        loads = [farm.load("tcp", V4, 60, rate=60), farm.load("udp", V6, 60, rate=60)]
        for load in loads:
            assert set(load.wait_connected()["members"]) == set(farm.members)
        third = farm.member(anchor, "third")
        farm.host(anchor).vmac("cluster", "member", "add", "web", third.mac)
        farm.wait_live({"third": "up"})
        time.sleep(2.5)
        unbroken(loads[0].status())
        # Without a device of the VLAN nobody can ask by TCP: that is said, and changes nothing for the members.
        farm.host(anchor).vmac("cluster", "set", "web", "--check", "tcp", "--check-port", PORT)
        shown = lab.wait_for("it says what it lacks", lambda: (lambda s: s if s.get("trouble") else None)(farm.show(host=anchor)))
        assert shown["trouble"]["code"] == "no_such_interface" and "eth0.20" in shown["trouble"]["message"], shown["trouble"]
        assert "eth0.20" in farm.host(anchor).vmac("cluster", "show", "web")
        farm.wait_live("up")
        farm.host(anchor).vmac("cluster", "set", "web", *ARP)
        farm.members["m1"].die()
        farm.wait_live({"m1": "down"})
        # It lives; who has its flows is the anchor's alone to remember, and that may have changed for want of heartbeats.
        datagrams = loads.pop().settle(1)
        assert datagrams["wrong"] == datagrams["failed"] == 0 and datagrams["messages"] > 100, datagrams
        farm.host(anchor).kill()
        other = farm.wait_anchor(but=(anchor,))
        time.sleep(4.5)
        unbroken(loads.pop().end(), but=("m1",))
        assert [port for _, port in sources.end()][-1] == other
        assert sources.vlans == {20}, sources.vlans
        heartbeats = {name: {frame[16:18] for _, _, frame in beat.kept if frame[12:14] == b"\x81\0"}
                      for name, beat in beats.items() if beat.end()}
        assert all(b"\x88\xb5" in types for types in heartbeats.values()), heartbeats
        assert all(20 in beat.vlans for beat in beats.values())
        assert len(flooded.end()) < 20, len(flooded.frames)


def test_without_ipv4():
    """No virtual IPv4 address, none in the members: health and answers are neighbour discovery's, and all is as with it."""
    with lab.Lab() as place:
        farm = Farm(place)
        farm.spread(4, addresses=(V6,), four=False)
        face = farm.cluster(*ARP, addresses=(V6,))["faces"][0]["address"]
        farm.wait_live("up")
        anchor = farm.wait_anchor()
        # By what a check said, not for want of one.
        for member in farm.members.values():
            shown = next(m for m in farm.show(host=member.host.name)["members"] if m["address"] == member.mac)
            assert shown["health"] == "up" and shown["detail"] == "answers", shown
        farm.client.run("ip", "addr", "flush", "dev", "eth0", "scope", "global")
        farm.client.run("ip", "-6", "addr", "replace", "fd00:9::200/64", "dev", "eth0")
        load = farm.load("tcp", V6, 300, rate=150)
        assert set(load.wait_connected()["members"]) == set(farm.members)
        known = json.loads(farm.client.run("ip", "-j", "-6", "neigh", "show", V6).stdout)
        assert [entry["lladdr"] for entry in known] == [face]
        counters = farm.show(host=anchor)["live"]["counters"]
        assert counters["answered_nd"] > 0 and counters["answered_arp"] == 0, counters
        datagrams = farm.load("udp", V6, 100)
        datagrams.wait_connected()
        # By its answers alone: the link stays.
        mute = farm.members["m3"]
        mute.ns.sh("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1")
        farm.wait_live({"m3": "down"})
        time.sleep(2.2)
        unbroken(datagrams.end(), but=("m3",))
        farm.host(anchor).kill()
        farm.wait_anchor(but=(anchor,))
        time.sleep(3)
        unbroken(load.end(), but=("m3",))


# --- many members --------------------------------------------------------------------------------------

def resident(host):
    """MiB of a vmacd."""
    for line in open(f"/proc/{host.daemon.process.pid}/status", encoding="ascii"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise lab.LabError("no VmRSS")


def timed(what, done, most):
    began = time.monotonic()
    result = done()
    took = time.monotonic() - began
    print(f"{what}: {took * 1000:.0f} ms")
    assert took < most, (what, took)
    return result


def test_a_thousand_members():
    """Registered, but for two without a port: the record, what it costs, what is shown of it, and that the two serve."""
    with lab.Lab() as place:
        farm = Farm(place)
        farm.spread(2)
        one, two = farm.host("kvm1"), farm.host("kvm2")
        macs = one.call("POST", "/v1/vmacs/batch", segment="lan", count=998)["addresses"]
        before = {name: resident(host) for name, host in farm.fleet.hosts.items()}
        members = [{"member": mac} for mac in macs + [member.mac for member in farm.members.values()]]
        timed("add", lambda: one.call("POST", "/v1/clusters", name="web", segment="lan", addresses=[V4, V6], members=members,
                                      check={"type": "tcp", "port": PORT, "interval": "1s", "timeout": "500ms"}), 5)
        timed("the other host has it", lambda: lab.wait_for("it is there", lambda: len(farm.show(host="kvm2")["members"]) == 1000), 5)
        farm.wait_live({"m1": "up", "m2": "up"})
        anchor = farm.wait_anchor()
        shown = timed("show", lambda: farm.show(host=anchor), 1)
        rows = {member["address"]: member["rows"] for member in shown["members"]}
        assert sum(rows.values()) == shown["live"]["rows"] == 65536
        assert {mac for mac, count in rows.items() if count} == {member.mac for member in farm.members.values()}
        assert {member["live"] for member in shown["members"]} == {"up", "absent"}
        assert len(timed("show, for people", lambda: two.vmac("cluster", "show", "web"), 1).splitlines()) > 1000
        load = farm.load("tcp", V4, 500)
        assert set(load.wait_connected()["members"]) == set(farm.members)
        timed("weight", lambda: two.vmac("cluster", "member", "weight", "web", macs[0], 7), 2)
        timed("remove", lambda: one.vmac("cluster", "member", "remove", "web", macs[1]), 2)
        timed("add one", lambda: two.vmac("cluster", "member", "add", "web", macs[1]), 2)
        status = load.settle(1)
        unbroken(status)
        load.end()
        # The limit is a limit.
        more = one.call("POST", "/v1/vmacs/batch", segment="lan", count=25)["addresses"]
        for mac in more[:-1]:
            one.call("POST", "/v1/clusters/web/members", member=mac)
        assert "1024" in str(one.refused("limit_reached", "POST", "/v1/clusters/web/members", member=more[-1]))
        grown = {name: round(resident(host) - before[name], 1) for name, host in farm.fleet.hosts.items()}
        print(f"vmacd grew by {grown} MiB")
        assert max(grown.values()) < 40, grown
        # It is durable, and as quick to come back.
        two.daemon.kill()
        timed("start", two.start, 10)
        farm.wait_live({"m1": "up", "m2": "up"})
        assert len(farm.show(host="kvm2")["members"]) == 1024
        timed("delete", lambda: one.vmac("cluster", "delete", "web"), 3)
        farm.fleet.check()


@pytest.mark.soak
def test_a_hundred_members_that_serve():
    """Fifty containers on each host: everyone gets its share, a death and a drain move nothing else."""
    with lab.Lab() as place:
        farm = Farm(place)
        farm.spread(100)
        farm.host("kvm1").call("POST", "/v1/clusters", name="web", segment="lan", addresses=[V4, V6],
                               members=[{"member": member.mac} for member in farm.members.values()],
                               check={"type": "tcp", "port": PORT})
        farm.wait_anchor()
        # By what a check said of each, not for want of one.
        lab.wait_for("all were checked", lambda: sum(m["health"] == "up" for host in farm.fleet.hosts
                                                     for m in farm.show(host=host)["members"]) == 100, 30, 0.5)
        farm.wait_live("up")
        rows = [member["rows"] for member in farm.show()["members"]]
        assert max(rows) < 1.1 * 65536 / 100, rows
        load = farm.load("tcp", V4, 5000)
        met = load.wait_connected(120)["members"]
        assert len(met) == 100 and max(m["open"] for m in met.values()) < 100, met
        farm.host("kvm1").vmac("cluster", "member", "drain", "web", farm.members["m10"].mac)
        farm.members["m20"].die()
        farm.wait_live({"m20": "down", "m10": "draining"})
        unbroken(load.settle(3), but=("m20",))
        load.end()
