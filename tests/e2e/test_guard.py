"""What a guest must not say is dropped where it says it, and counted by its reason."""
import ipaddress
import time

import place
import pytest
from place import FIX4, FIX6, octets

scapy = pytest.importorskip("scapy.all", reason="python3-scapy is not installed")

COUNT = 20
ALIEN = "06:66:00:00:00:01"


def say(site, name, frames):
    """Sends raw frames out of a container; returns the port's new drops by reason, and what the client saw."""
    before = site.drops(name)
    capture = place.Capture(site.lan, "to-host", keep=lambda frame: b"vmac-guard-test" in frame)
    with getattr(site, name).packet_socket("eth0", 0) as sender:
        for frame in frames:
            sender.send(bytes(frame).ljust(60, b"\0"))
    seen = capture.stop()
    after = site.drops(name)
    return {reason: number - before.get(reason, 0) for reason, number in after.items() if number != before.get(reason, 0)}, seen


def guard_cases(site):
    """(name, port, frame, reason): each frame is wrong in exactly one way."""
    from scapy.all import ARP, BOOTP, DHCP, ICMP, ICMPv6ND_NA, ICMPv6ND_RA, ICMPv6NDOptDstLLAddr, IP, UDP, Ether, IPv6, Raw
    mark = Raw(b"vmac-guard-test")
    client = site.client.link_address("eth0")
    ct, fix = site.daemon.port("ct")["vmac"], site.daemon.port("fix")["vmac"]
    return {
        "spoofed_mac": ("ct", Ether(src=ALIEN, dst=client) / IP(src="192.0.2.50", dst="192.0.2.3") / UDP() / mark),
        "spoofed_mac broadcast": ("ct", Ether(src=ALIEN, dst="ff:ff:ff:ff:ff:ff", type=0x88b5) / mark),
        "spoofed_mac of another port": ("ct", Ether(src=fix, dst=client) / IP(src=FIX4, dst="192.0.2.3") / UDP() / mark),
        "spoofed_ip": ("fix", Ether(src=fix, dst=client) / IP(src="192.0.2.61", dst="192.0.2.3") / ICMP() / mark),
        "spoofed_ip v6": ("fix", Ether(src=fix, dst=client) / IPv6(src="2001:db8::61", dst="2001:db8::1") / UDP() / mark),
        "spoofed_arp address": ("fix", Ether(src=fix, dst="ff:ff:ff:ff:ff:ff") /
                                ARP(op=2, hwsrc=fix, psrc="192.0.2.1", hwdst=client, pdst="192.0.2.3") / mark),
        "spoofed_arp hardware": ("ct", Ether(src=ct, dst="ff:ff:ff:ff:ff:ff") /
                                 ARP(op=2, hwsrc=ALIEN, psrc="192.0.2.1", hwdst=client, pdst="192.0.2.3") / mark),
        "spoofed_nd": ("fix", Ether(src=fix, dst="33:33:00:00:00:01") / IPv6(src=FIX6, dst="ff02::1", hlim=255) /
                       ICMPv6ND_NA(tgt="2001:db8::1", R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=fix) / mark),
        "dhcp_server": ("ct", Ether(src=ct, dst="ff:ff:ff:ff:ff:ff") / IP(src="192.0.2.99", dst="255.255.255.255") /
                        UDP(sport=67, dport=68) / BOOTP(op=2) / DHCP(options=[("message-type", "offer"), "end"]) / mark),
        "router_advert": ("ct", Ether(src=ct, dst="33:33:00:00:00:01") / IPv6(src=link_local(ct), dst="ff02::1", hlim=255) /
                          ICMPv6ND_RA() / mark),
        "l2_control": ("ct", Ether(src=ct, dst="01:80:c2:00:00:00", type=0x88b5) / mark),
        "vlan_tag": ("ct", Ether(src=ct, dst=client) / scapy.Dot1Q(vlan=5) / IP(src="192.0.2.50", dst="192.0.2.3") / UDP() / mark),
    }


def link_local(mac):
    mac = octets(mac)
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]))


CASES = ("spoofed_mac", "spoofed_mac broadcast", "spoofed_mac of another port", "spoofed_ip", "spoofed_ip v6",
         "spoofed_arp address", "spoofed_arp hardware", "spoofed_nd", "dhcp_server", "router_advert", "l2_control", "vlan_tag")


@pytest.mark.parametrize("case", CASES)
def test_what_is_forged_is_dropped_and_counted(site, case):
    port, frame = guard_cases(site)[case]
    reason = case.split()[0]
    drops, seen = say(site, port, [frame] * COUNT)
    assert drops.get(reason) == COUNT, drops
    assert not seen


def test_what_is_honest_passes(site):
    """The same frames, told truly: the guard is not simply closed."""
    from scapy.all import IP, UDP, Ether, IPv6, Raw
    mark, client = Raw(b"vmac-guard-test"), site.client.link_address("eth0")
    fix = site.daemon.port("fix")["vmac"]
    honest = [Ether(src=fix, dst=client) / IP(src=FIX4, dst="192.0.2.3") / UDP() / mark,
              Ether(src=fix, dst=client) / IPv6(src=FIX6, dst="2001:db8::1") / UDP() / mark,
              Ether(src=fix, dst=client, type=0x88b5) / mark]
    drops, seen = say(site, "fix", honest * COUNT)
    assert len(seen) == len(honest) * COUNT
    assert not drops


def test_a_guest_that_changes_its_mac_is_off_the_net_and_back(site):
    """No forged frame here but the guest's own stack: it takes another MAC, and says nothing any more."""
    vmac = site.daemon.port("g2")["vmac"]
    before = site.drops("g2").get("spoofed_mac", 0)
    capture = place.Capture(site.lan, "to-host", keep=lambda frame: frame[6:12] == octets(ALIEN))
    address = site.address("g2", 4)
    site.g2.run(f"ip link set eth0 down; ip link set eth0 address {ALIEN}; ip link set eth0 up")
    try:
        assert site.g2.ping(place.CLIENT4, count=3, timeout=1) == 0
    finally:
        site.g2.run(f"ip link set eth0 down; ip link set eth0 address {vmac}; ip link set eth0 up")
    assert not capture.stop()
    assert site.drops("g2")["spoofed_mac"] > before
    assert address in site.g2.addresses("eth0", 4)
    site.g2.ping(place.CLIENT4, count=1)
    assert site.g2.ping(place.CLIENT4, count=3) == 3


def test_a_closed_gate_closes_both_ways_and_counts(site):
    site.daemon.vmac("port", "close", "fix")
    try:
        before = site.drops("fix").get("gate_closed", 0)
        assert site.fix.ping(place.CLIENT4, count=3, timeout=0.5) == 0
        assert site.client.ping(FIX4, count=3, timeout=0.5) == 0
        assert site.drops("fix")["gate_closed"] >= before + 3
    finally:
        site.daemon.vmac("port", "open", "fix")
    assert site.fix.ping(place.CLIENT4) == 3


def test_a_flood_is_cut_to_its_rate(site):
    from scapy.all import Ether, Raw
    site.daemon.vmac("port", "set", "ct", "--flood-pps", 100)
    try:
        frame = Ether(src=site.daemon.port("ct")["vmac"], dst="ff:ff:ff:ff:ff:ff", type=0x88b5) / Raw(b"vmac-guard-test")
        began = time.monotonic()
        drops, seen = say(site, "ct", [frame] * 3000)
        assert drops["flood_limit"] + len(seen) == 3000
        # A burst is granted; then it is 100 a second.
        assert len(seen) <= 100 * (time.monotonic() - began + 2)
    finally:
        site.daemon.vmac("port", "set", "ct", "--flood-pps", 10000)
