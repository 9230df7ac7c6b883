"""Clusters that cannot work as they are, and what happens to them from outside: each is refused with a reason, or counted
with one; `vmac cluster show` says what is the matter; and when that is over, all is well again."""
import contextlib
import socket
import time

import etcd
import lab
import pytest
from clusters import PORT, V4, V6, Farm
from fleet import octets
from moving import Sources

MISSING = lab.missing() or etcd.missing()
pytestmark = [pytest.mark.skipif(bool(MISSING), reason=MISSING), pytest.mark.timeout(180),
              pytest.mark.xdist_group("cluster_bad")]

CHECK = ("--check", "tcp", "--check-port", PORT, "--check-interval", "500ms", "--check-timeout", "400ms")


@pytest.fixture(scope="module")
def farm():
    """Two hosts with two members each; every test finds the cluster `web` of all of them well, and leaves it so."""
    with lab.Lab() as place:
        farm = Farm(place)
        farm.spread(4)
        farm.cluster(*CHECK)
        farm.wait_live("up")
        farm.wait_anchor()
        yield farm


@pytest.fixture(autouse=True)
def well(farm):
    farm.wait_live("up")
    farm.anchor = farm.wait_anchor()
    farm.kvm1 = farm.host("kvm1")
    yield
    farm.wait_live("up", seconds=20)
    farm.wait_anchor()
    assert connect(farm, V4) and connect(farm, V6)


def connect(farm, address, seconds=2):
    """Who serves a new connection; "" = nobody."""
    with farm.client.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        with contextlib.suppress(OSError):
            connection.connect((address, PORT))
            return connection.recv(16).rstrip(b"\0").decode()
    return ""


def refused(farm, code, method, path, **body):
    """On either host alike; the error of the first."""
    errors = [host.refused(code, method, path, **body) for host in farm.fleet.hosts.values()]
    for error in errors:
        assert error.hint or code in ("bad_value", "in_use", "address_in_use", "bad_address"), error
    return str(errors[0])


def clusters(host):
    return [cluster["name"] for cluster in host.call("GET", "/v1/clusters")["items"]]


def counter(farm, name, cluster="web"):
    """Of all hosts."""
    return sum(farm.show(cluster, host)["live"]["counters"].get(name, 0) for host in farm.fleet.hosts)


def unbroken(status, but=()):
    for name, member in status["members"].items():
        if name not in but:
            assert member["broken"] == 0 and member["moved_away"] == 0, (name, status)
    assert status["wrong"] == 0 and status["failed"] == 0, status


# --- members -------------------------------------------------------------------------------------------

def test_nobody_is_to_serve(farm):
    """All drain, then all weigh nothing: what is served is served on, what is new is dropped and counted."""
    load = farm.load("tcp", V4, 100)
    load.wait_connected()
    for way, back in ((("drain",), ("activate",)), (("weight", 0), ("weight", 1))):
        for member in farm.members.values():
            farm.kvm1.vmac("cluster", "member", way[0], "web", member.mac, *way[1:])
        shown = lab.wait_for("no row has a member", lambda: (lambda s: s if s["live"]["rows_unassigned"] == s["live"]["rows"]
                             else None)(farm.show(host=farm.anchor)))
        assert not shown["live"]["fail_open"], "that nobody is to serve is what was asked for"
        before = counter(farm, "no_member")
        assert connect(farm, V4, 1) == "" and counter(farm, "no_member") > before
        text = farm.host(farm.anchor).vmac("cluster", "show", "web")
        assert "rows of nobody" in text, text
        unbroken(load.settle(1))
        for member in farm.members.values():
            farm.kvm1.vmac("cluster", "member", back[0], "web", member.mac, *back[1:])
        farm.wait_live("up")
        lab.wait_for("all is served", lambda: connect(farm, V4, 1), 5)
    unbroken(load.end())


def test_one_weighs_nothing(farm):
    load = farm.load("udp", V6, 200)
    load.wait_connected()
    farm.kvm1.vmac("cluster", "member", "weight", "web", farm.members["m1"].mac, 0)
    time.sleep(0.5)
    more = farm.load("udp", V6, 200)
    assert set(more.wait_connected()["members"]) == set(farm.members) - {"m1"}
    more.end()
    unbroken(load.settle(1))
    load.end()
    farm.kvm1.vmac("cluster", "member", "weight", "web", farm.members["m1"].mac, 1)


def test_a_cluster_without_members(farm):
    """Nobody is its anchor, and it says so; the first member makes it serve, the last one that goes ends that."""
    farm.cluster("--check", "none", name="empty", addresses=("10.9.0.101",), members=[])
    shown = farm.show("empty")
    assert shown["members"] == [] and not shown["faces"][0]["anchor"] and not shown["faces"][0]["here"], shown
    assert "nowhere" in farm.kvm1.vmac("cluster", "show", "empty")
    assert farm.client.ping("10.9.0.101", 1, timeout=0.5) == 0
    one = farm.members["m2"]
    one.ns.run("ip", "addr", "add", "10.9.0.101/32", "dev", "lo")
    farm.kvm1.vmac("cluster", "member", "add", "empty", one.mac)
    farm.wait_live({"m2": "up"}, name="empty")
    lab.wait_for("it serves", lambda: connect(farm, "10.9.0.101", 1) == "m2", 5)
    farm.kvm1.vmac("cluster", "member", "remove", "empty", one.mac)
    lab.wait_for("it serves no more", lambda: connect(farm, "10.9.0.101", 0.5) == "", 5)
    lab.wait_for("nobody is its anchor", lambda: "nowhere" in farm.kvm1.vmac("cluster", "show", "empty"), 5)
    farm.kvm1.vmac("cluster", "delete", "empty")
    one.ns.run("ip", "addr", "del", "10.9.0.101/32", "dev", "lo")


def test_members_that_cannot_be(farm):
    one = farm.members["m1"].mac
    for host in farm.fleet.hosts.values():
        host.vmac("segment", "add", "dmz")
    farm.kvm1.vmac("pool", "add", "q", "--segment", "dmz")
    alien = farm.kvm1.vmacj("mac", "add", "--segment", "dmz")["address"]
    said = str(farm.kvm1.refused("conflict", "POST", "/v1/clusters/web/members", member=alien))
    assert alien in said and "dmz" in said, said
    nobody = "02:00:00:00:00:99"
    assert nobody in refused(farm, "not_found", "POST", "/v1/clusters/web/members", member=nobody)
    assert one in refused(farm, "in_use", "POST", "/v1/clusters/web/members", member=one)
    face = farm.show()["faces"][0]["address"]
    assert face in refused(farm, "bad_address", "POST", "/v1/clusters/web/members", member=face)
    said = refused(farm, "in_use", "POST", "/v1/clusters", name="twice", segment="lan", addresses=["10.9.0.102"],
                   members=[{"member": one}, {"member": one}])
    assert one in said
    farm.kvm1.vmac("mac", "release", alien, "--segment", "dmz")
    # A member's address is kept while it is one.
    said = str(farm.kvm1.refused("in_use", "DELETE", f"/v1/vmacs/lan/{one}"))
    farm.kvm1.refused("in_use", "DELETE", "/v1/ports/m1?release=true")
    assert len(farm.show()["members"]) == 4


def test_who_follows_a_member_is_not_taken_for_it(farm):
    """A member of one host goes, one of the other has its number next: what was known of the first is forgotten."""
    first, last = farm.members["m1"], farm.members["m4"]
    for member in (last, first):
        farm.kvm1.vmac("cluster", "member", "remove", "web", member.mac)
    number = min({1, 2, 3, 4} - {m["id"] for m in farm.show()["members"]})
    farm.kvm1.vmac("cluster", "member", "add", "web", last.mac)
    farm.wait_live({"m4": "up"})
    for host in farm.fleet.hosts:
        shown = next(m for m in farm.show(host=host)["members"] if m["address"] == last.mac)
        assert shown["id"] == number and shown["host"] == "kvm2", (host, shown)
    last.ns.run("ip", "link", "set", "eth0", "down")
    farm.wait_live({"m4": "down"}, seconds=5)
    last.ns.sh("ip link set eth0 up; ip route add default dev eth0; ip -6 addr replace {0}/64 dev eth0;"
               "ip -6 route add default dev eth0".format(last.ip6))
    farm.kvm1.vmac("cluster", "member", "add", "web", first.mac)


def test_a_members_port_goes(farm):
    """Its flows are lost, no others; its vMAC is a member still, and serves again behind another port."""
    load = farm.load("tcp", V4, 200)
    load.wait_connected()
    one = farm.members["m1"]
    farm.kvm1.vmac("port", "delete", "m1")
    farm.wait_live({"m1": "absent"}, seconds=3)
    unbroken(load.settle(2), but=("m1",))
    load.end()
    said = str(farm.kvm1.refused("in_use", "DELETE", f"/v1/vmacs/lan/{one.mac}"))
    assert "web" in said, said
    farm.kvm1.vmac("port", "add", "m1", "--kind", "veth", "--netns", one.ns.path, "--segment", "lan", "--mac", one.mac)
    one.ns.sh(f"ip addr add {one.ip4}/24 dev eth0; ip -6 addr add {one.ip6}/64 dev eth0; ip link set eth0 up;"
              "ip route add default dev eth0; ip -6 route add default dev eth0")
    farm.wait_live("up")
    more = farm.load("tcp", V4, 100)
    assert set(more.wait_connected()["members"]) == set(farm.members)
    more.end()


# --- addresses -----------------------------------------------------------------------------------------

def test_addresses_that_are_taken(farm):
    """By a node on the wire, which answers ARP or ND; by another cluster; by a vMAC."""
    node = farm.other.link_address("eth0")
    farm.other.run("ip", "-6", "addr", "add", "fd00:9::222/64", "dev", "eth0")
    for address in ("10.9.0.222", "fd00:9::222"):
        said = refused(farm, "address_in_use", "POST", "/v1/clusters", name="taken", segment="lan", addresses=[address])
        assert address in said and node in said, said
        farm.kvm1.refused("address_in_use", "PATCH", "/v1/clusters/web", addresses=[V4, V6, address])
    said = refused(farm, "address_in_use", "POST", "/v1/clusters", name="taken", segment="lan", addresses=["10.9.0.103", V6])
    assert "web" in said and V6 in said, said
    bound = farm.members["m1"].ip4
    said = str(farm.kvm1.refused("address_in_use", "POST", "/v1/clusters", name="taken", segment="lan", addresses=[bound]))
    assert bound in said and farm.members["m1"].mac in said, said
    assert "taken" not in clusters(farm.kvm1)
    # Nothing of what was refused is kept: the address is to be had once it is free.
    farm.other.run("ip", "addr", "del", "10.9.0.222/24", "dev", "eth0")
    farm.cluster("--check", "none", name="taken", addresses=("10.9.0.222",), members=[])
    farm.kvm1.vmac("cluster", "delete", "taken")


def test_somebody_else_uses_the_face(farm):
    """On the wire, with its address as the source: an alarm, a counter, and the anchor takes the switch's port back."""
    face = farm.show()["faces"][0]["address"]
    anchor = farm.host(farm.anchor)
    load = farm.load("tcp", V4, 100)
    load.wait_connected()
    sources = Sources(farm.fleet.switch, [*farm.fleet.hosts, "other"], face)
    arp = octets("ff:ff:ff:ff:ff:ff") + octets(face) + bytes.fromhex("0806000108000604000" "1")
    arp += octets(face) + socket.inet_aton("10.9.0.250") + bytes(6) + socket.inet_aton("10.9.0.250") + bytes(18)
    with farm.other.packet_socket("eth0", 0) as wire:
        for _ in range(5):
            wire.send(arp)
            time.sleep(0.02)
    anchor.wait_said("somebody else uses the address on the wire")
    unbroken(load.settle(2))
    load.end()
    changes = [port for _, port in sources.end()]
    assert "other" in changes and changes[-1] == farm.anchor, changes


# --- under load ----------------------------------------------------------------------------------------

def test_a_cluster_is_deleted_under_load(farm):
    """It ends at once everywhere and leaves nothing behind; the other one notices nothing; made again it serves again."""
    for member in farm.members.values():
        member.ns.run("ip", "addr", "add", "10.9.0.104/32", "dev", "lo")
    options = "--check", "arp", "--check-interval", "500ms", "--check-timeout", "400ms"
    old = farm.cluster(*options, name="gone", addresses=("10.9.0.104",))
    farm.wait_live("up", name="gone")
    farm.wait_anchor("gone")
    here, there = farm.load("tcp", V4, 100), farm.load("udp", "10.9.0.104", 100)
    for load in (here, there):
        load.wait_connected()
    farm.host("kvm2").vmac("cluster", "delete", "gone")
    for host in farm.fleet.hosts.values():
        lab.wait_for("it is gone", lambda host=host: "gone" not in clusters(host))
    farm.client.run("ip", "neigh", "flush", "all")
    assert connect(farm, "10.9.0.104", 0.5) == ""
    unbroken(here.settle(1))
    lost = there.status()["lost"]
    assert lost > 0
    new = farm.cluster(*options, name="gone", addresses=("10.9.0.104",))
    assert {f["address"] for f in new["faces"]}.isdisjoint({f["address"] for f in old["faces"]})
    farm.wait_live("up", name="gone")
    lab.wait_for("it serves again", lambda: connect(farm, "10.9.0.104", 1), 5)
    there.end()
    unbroken(here.end())
    farm.kvm1.vmac("cluster", "delete", "gone")
    farm.fleet.check()


@pytest.mark.parametrize("how", [pytest.param("renamed", marks=pytest.mark.soak), "removed"])
def test_an_uplink_goes_under_load(farm, how):
    """Of the anchor: the other host has the face, its members serve on; the host says what it lacks; all comes back."""
    anchor, other = farm.host(farm.anchor), next(host for host in farm.fleet.hosts.values() if host.name != farm.anchor)
    load = farm.load("tcp", V4, 200)
    load.wait_connected()
    mine = [member.name for member in farm.members.values() if member.host is anchor]
    nic = anchor.ns.link_address("eth0")
    if how == "renamed":
        anchor.ns.sh("ip link set eth0 down; ip link set eth0 name gone0; ip link set gone0 up")
    else:
        anchor.ns.run("ip", "link", "del", "eth0")
    assert farm.wait_anchor(but=(anchor.name,)) == other.name
    lab.wait_for("its members are gone", lambda: all(farm.live(host=other.name)[name] == "absent" for name in mine), 5)
    segment = next(s for s in anchor.call("GET", "/v1/segments")["items"] if s["name"] == "lan")
    assert segment["trouble"]["code"] == "no_such_interface" and not segment["uplink_present"], segment
    shown = farm.show(host=anchor.name)
    assert not shown["faces"][0]["here"], shown
    more = farm.load("tcp", V4, 100)
    assert set(more.wait_connected()["members"]) == set(farm.members) - set(mine)
    unbroken(more.end())
    unbroken(load.settle(1), but=mine)
    if how == "renamed":
        anchor.ns.sh("ip link set gone0 down; ip link set gone0 name eth0; ip link set eth0 up")
    else:
        farm.place.link(anchor.ns, "eth0", farm.fleet.switch.ns, anchor.name)
        anchor.ns.run("ip", "link", "set", "eth0", "address", nic)
        farm.fleet.switch.connect(anchor.ns, anchor.name)
    anchor.ns.sh(f"ip addr replace {anchor.address}/24 dev eth0; ip -6 addr replace fd00:9::{anchor.number}/64 dev eth0")
    farm.wait_live("up", seconds=20)
    unbroken(load.settle(1), but=mine)
    load.end()
    lab.wait_for("all members serve", lambda: {connect(farm, V4) for _ in range(16)} == set(farm.members), 10)


def test_the_uplink_has_another_address(farm):
    """The members have the host's old one in their neighbour tables, for half a minute and more; their checks go on."""
    host, other = farm.kvm1, farm.host("kvm2")
    mine = [member for member in farm.members.values() if member.host is host]
    old, new = host.ns.link_address("eth0"), "52:54:00:76:00:99"
    try:
        for address in (new, old):
            host.ns.run("ip", "link", "set", "eth0", "address", address)
            deadline = time.monotonic() + 4
            while time.monotonic() < deadline:
                for member in mine:
                    assert farm.live(host=host.name)[member.name] == "up" == farm.live(host=other.name)[member.name]
                time.sleep(0.1)
            for member in mine:
                known = member.ns.run("ip", "neigh", "show", host.address).stdout
                assert address in known, known
    finally:
        host.ns.run("ip", "link", "set", "eth0", "address", old)
