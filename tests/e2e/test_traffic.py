"""What the newcomer came for: real guests and containers share one NIC, and everybody reaches everybody."""
import ipaddress
import struct
import time

import pytest
import place
from place import octets

PLACES = ("client", "host", "ct", "fix", "g1", "g2")

PART = 16 << 20  # octets; enough to see what frames look like

# Both ways of every kind of path: wire and guest, guest and guest, container and guest, host and guest.
BULK = (("g1", "client", 4), ("client", "g1", 4), ("g2", "client", 6), ("client", "g2", 6),
        ("g1", "g2", 4), ("g2", "g1", 6), ("ct", "g1", 6), ("g1", "ct", 4), ("ct", "g2", 4), ("g2", "ct", 4),
        ("host", "g1", 4), ("g1", "host", 6), ("host", "g2", 6), ("g2", "host", 4),
        ("ct", "client", 4), ("client", "ct", 6), ("ct", "host", 6), ("host", "ct", 4), ("fix", "client", 4), ("client", "fix", 6))


@pytest.mark.parametrize("port", ["g1", "g2", "ct"])
def test_dhcp_leases_carry_the_vmac(site, port):
    vmac, address = site.daemon.port(port)["vmac"], site.address(port, 4)
    leases = {line.split()[1]: line.split()[2] for line in site.leases.read_text().splitlines() if line[0].isdigit()}
    assert leases.get(vmac) == address


@pytest.mark.parametrize("port", ["g1", "g2", "ct"])
def test_slaac_makes_the_address_of_the_vmac(site, port):
    mac = octets(site.daemon.port(port)["vmac"])
    identifier = bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]
    assert ipaddress.IPv6Address(site.address(port, 6)).packed == bytes.fromhex("20010db800000000") + identifier


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("source", PLACES)
def test_everybody_reaches_everybody(site, source, family):
    reached = {}
    for target in PLACES:
        if target != source:
            address = site.address(target, family)
            # The first one may be lost while neighbours are found out; those after it may not.
            site.places[source].ping(address, count=1)
            reached[target] = site.places[source].ping(address, count=3)
    assert reached == {target: 3 for target in PLACES if target != source}


@pytest.mark.parametrize("source,target,family", BULK, ids=[f"{a}-to-{b}-ipv{f}" for a, b, f in BULK])
def test_tcp_carries_100_mb_unharmed(site, source, target, family):
    sent, arrived = site.places[source].give(site.places[target], family, place.BLOB)
    assert sent == arrived


@pytest.mark.parametrize("source", ["g1", "g2", "ct"])
def test_gso_frames_reach_the_wire_whole(site, source):
    """With offloads on, one 64 kB segment crosses as one frame; else every path would pay 40 times."""
    mac = octets(site.daemon.port(source)["vmac"])
    capture = place.Capture(site.client, "eth0", keep=lambda frame: frame[6:12] == mac)
    site.places[source].give(site.places["client"], 4, PART)
    capture.stop()
    assert capture.longest > 4000


@pytest.mark.parametrize("target", ["g1", "g2"])
def test_gso_frames_reach_the_tap_whole(site, target):
    """From the wire and from the host, into the guest."""
    port = site.daemon.port(target)
    for source in ("client", "host"):
        capture = place.Capture(site.host, port["ifname"], incoming=False,
                                keep=lambda frame: frame[:6] == octets(port["vmac"]))
        site.places[source].give(site.places[target], 4, PART)
        capture.stop()
        assert capture.longest > 4000, f"from {source}"


def test_counters_tell_what_happened(site):
    before = site.daemon.port("ct")["counters"]
    assert site.ct.ping(place.CLIENT4, count=10) == 10
    after = site.daemon.port("ct")["counters"]
    for counter in ("rx_frames", "tx_frames"):
        # Ten each way, and at most a few of neighbour discovery and the like.
        assert 10 <= after[counter] - before[counter] <= 20


def test_broadcast_reaches_everybody_once(site):
    """One frame to all: every port of the segment, the host and the wire get exactly one copy, the sender none."""
    mark = b"vmac broadcast %d" % time.time_ns()
    frame = b"\xff" * 6 + octets(site.daemon.port("ct")["vmac"]) + b"\x88\xb5" + mark.ljust(60, b"\0")

    def keep(seen):
        return mark in seen

    captures = {"client": place.Capture(site.client, "eth0", keep=keep),
                "fix": place.Capture(site.fix, "eth0", keep=keep),
                "g1": place.Capture(site.host, site.daemon.port("g1")["ifname"], incoming=False, keep=keep),
                "g2": place.Capture(site.host, site.daemon.port("g2")["ifname"], incoming=False, keep=keep),
                "sender": place.Capture(site.ct, "eth0", keep=keep)}
    with site.ct.packet_socket("eth0", 0) as sender:
        sender.send(frame)
    seen = {name: len(capture.stop()) for name, capture in captures.items()}
    assert seen == {"client": 1, "fix": 1, "g1": 1, "g2": 1, "sender": 0}


def test_unknown_unicast_goes_to_the_wire_and_to_no_port(site):
    mark = b"vmac unknown %d" % time.time_ns()
    frame = b"\x06\x66\x66\x00\x00\x01" + octets(site.daemon.port("ct")["vmac"]) + b"\x88\xb5" + mark.ljust(60, b"\0")

    def keep(seen):
        return mark in seen

    captures = {"wire": place.Capture(site.lan, "to-host", keep=keep),
                "fix": place.Capture(site.fix, "eth0", keep=keep),
                "g1": place.Capture(site.host, site.daemon.port("g1")["ifname"], incoming=False, keep=keep)}
    with site.ct.packet_socket("eth0", 0) as sender:
        sender.send(frame)
    assert {name: len(capture.stop()) for name, capture in captures.items()} == {"wire": 1, "fix": 0, "g1": 0}


def test_the_uplink_keeps_its_name_and_address(site):
    assert site.host.addresses("eth0", 4) == [place.HOST4]
    assert "bridge" not in site.host.run("ip", "-d", "link", "show").stdout


@pytest.fixture(scope="module")
def blue(site):
    """Segment "blue" on VLAN 7 of the uplink, with one container; its neighbour on the LAN is a guest (its kernel
    has 802.1Q, whatever this machine's has) that speaks tagged and untagged."""
    daemon, ns = site.daemon, site.lab.netns("blue")
    daemon.vmac("segment", "add", "blue", "--uplink", "eth0", "--vlan", 7)
    daemon.vmac("pool", "add", "blue", "--segment", "blue")
    site.add_port("blue", "veth", "--netns", ns.path, "--peer-ifname", "eth0", pool="blue")
    ns.sh("ip link set eth0 up; ip addr add 198.51.100.4/24 dev eth0; ip addr add 2001:db8:7::4/64 dev eth0 nodad")
    site.lan.sh("ip tuntap add trunk mode tap vnet_hdr; ip link set trunk master br0 up")
    trunk = site.lab.guest(site.lan, "trunk", ("virtio-net-pci", "trunk", "52:54:00:00:00:07"))
    trunk.run("ip link set eth0 up; ip link add link eth0 name eth0.7 type vlan id 7; ip link set eth0.7 up;"
              "ip addr add 198.51.100.3/24 dev eth0.7; ip addr add 2001:db8:7::3/64 dev eth0.7;"
              "ip addr add 192.0.2.7/24 dev eth0")
    yield ns, place.NsPlace("blue", ns), place.GuestPlace("trunk", trunk, "eth0.7")
    trunk.stop()
    daemon.vmac("port", "delete", "blue", "--release")


def test_a_vlan_segment_reaches_its_vlan(site, blue):
    ns, _, trunk = blue
    for address in ("198.51.100.3", "2001:db8:7::3"):
        ns.ping(address, count=1)
        assert ns.ping(address) == 3
    for address in ("198.51.100.4", "2001:db8:7::4"):
        assert trunk.ping(address) == 3
    # Nor is the untagged segment harmed.
    site.ct.ping("192.0.2.7", count=1)
    assert site.ct.ping("192.0.2.7") == 3


def test_a_vlan_segment_carries_bulk_both_ways(site, blue):
    _, inside, trunk = blue
    for source, target, family in ((inside, trunk, 4), (trunk, inside, 6)):
        sent, arrived = source.give(target, family, place.BLOB)
        assert sent == arrived


def test_frames_of_a_vlan_segment_are_tagged_on_the_wire(site, blue):
    """Untagged at the port, 802.1Q with the segment's number behind the uplink."""
    ns, _, _ = blue
    mark = b"vmac tagged %d" % time.time_ns()
    capture = site.lan.packet_socket("to-host", incoming=True)
    capture.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: the kernel keeps the tag beside the frame
    capture.settimeout(3)
    with ns.packet_socket("eth0", 0) as sender:
        sender.send(b"\xff" * 6 + octets(site.daemon.port("blue")["vmac"]) + b"\x88\xb5" + mark.ljust(60, b"\0"))
    while True:
        data, auxiliary, _, _ = capture.recvmsg(2048, 256)
        if mark in data:
            break
    capture.close()
    tags = [struct.unpack_from("=IIIHHHH", value)[5] & 0xfff for level, kind, value in auxiliary if (level, kind) == (263, 8)]
    assert tags == [7]


def test_a_vlan_segment_is_a_network_of_its_own(site, blue):
    ns, _, trunk = blue
    site.ct.run("ip", "addr", "add", "198.51.100.10/24", "dev", "eth0")
    try:
        assert ns.ping("198.51.100.10", count=2, timeout=0.5) == 0
        assert site.ct.ping("198.51.100.4", count=2, timeout=0.5) == 0
        # From the wire, too: the same address asked for without a tag is not there.
        trunk.guest.run("ip addr del 198.51.100.3/24 dev eth0.7; ip addr add 198.51.100.3/24 dev eth0")
        try:
            assert trunk.ping("198.51.100.4") == 0
        finally:
            trunk.guest.run("ip addr del 198.51.100.3/24 dev eth0; ip addr add 198.51.100.3/24 dev eth0.7")
    finally:
        site.ct.run("ip", "addr", "del", "198.51.100.10/24", "dev", "eth0")


def test_the_host_reaches_a_vlan_segment_by_its_own_vlan_device(site, blue):
    ns, _, _ = blue
    if site.host.run("ip", "link", "add", "link", "eth0", "name", "eth0.7", "type", "vlan", "id", "7", check=False).returncode:
        pytest.skip("the kernel has no 802.1Q devices (CONFIG_VLAN_8021Q)")
    site.host.sh("ip link set eth0.7 up; ip addr add 198.51.100.2/24 dev eth0.7")
    try:
        site.host.ping("198.51.100.4", count=1)
        assert site.host.ping("198.51.100.4") == 3
        assert ns.ping("198.51.100.2") == 3
    finally:
        site.host.run("ip", "link", "del", "eth0.7")


def test_a_netdev_port_is_used_and_left_alone(site):
    """A link that somebody else made: it carries the vMAC while it is a port, and stays when it is not."""
    other = site.lab.netns("nd")
    site.lab.link(site.host, "nd0", other, "eth0")
    port = site.add_port("nd", "netdev", "--ifname", "nd0")
    other.sh(f"ip link set eth0 address {port['vmac']}; ip addr add 192.0.2.70/24 dev eth0")
    for target in ("client", "g1", "host"):
        other.ping(site.address(target, 4), count=1)
        assert other.ping(site.address(target, 4)) == 3
    site.daemon.vmac("port", "delete", "nd", "--release")
    assert site.host.run("ip", "link", "show", "dev", "nd0").returncode == 0
    assert other.ping(place.CLIENT4, count=2, timeout=0.5) == 0
    site.host.run("ip", "link", "del", "nd0")
