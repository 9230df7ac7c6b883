"""A real capture, and worse, replayed into a port: nothing crashes, and every frame is accounted for."""
import random
import re
import shutil
import time

import lab as lablib
import place
import pytest

scapy = pytest.importorskip("scapy.all", reason="python3-scapy is not installed")
pytestmark = pytest.mark.skipif(not shutil.which("tcpreplay"), reason="tcpreplay is not installed")

# Reasons counted at a port for frames that others sent *to* it.
NOT_THE_SENDERS = {"copy_failed"}


def recorded(site):
    """A session between a container and the client, as tcpdump wrote it: TCP, UDP, ping, ARP, both directions."""
    file = site.lab.directory / "session.pcap"
    dump = place.tcpdump(site.ct, "eth0", file)
    site.ct.sh("ip neigh flush dev eth0")
    site.places["client"].serve()
    site.ct.ping(place.CLIENT4, count=5)
    site.ct.ping(place.LAN6, count=5)
    lablib.send_blob(site.ct, place.CLIENT4, place.SUM_PORT, b"x" * 200_000)
    stream = lablib.UdpStream(site.ct, site.client, place.CLIENT4, 7100, pps=200)
    time.sleep(0.5)
    stream.stop()
    dump.terminate()
    dump.wait()
    return [bytes(packet) for packet in scapy.rdpcap(str(file)) if len(packet) <= 1514]


def crafted(vmac, client, seed):
    """Every way of being odd that a frame of at most 1,514 octets can be, and 500 of pure chance."""
    from scapy.all import (ARP, ICMP, IP, LLC, SNAP, STP, TCP, UDP, Dot1AD, Dot1Q, Dot3, Ether, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                           IPv6ExtHdrHopByHop, ICMPv6ND_NS, Raw)
    dice = random.Random(seed)
    own, four, six = Ether(src=vmac, dst=client), IP(src="192.0.2.80", dst="192.0.2.3"), IPv6(src="2001:db8::80", dst="2001:db8::3")
    frames = [own / four / UDP() / Raw(b"x" * size) for size in (0, 1, 100, 1472)]
    frames += [own / four / TCP(flags=flags) for flags in ("S", "SA", "F", "R", "FPU", "")]
    frames += [own / fragment for fragment in scapy.fragment(four / UDP() / Raw(b"y" * 4000), fragsize=1400)]
    frames += [own / fragment for fragment in scapy.fragment6(six / IPv6ExtHdrFragment() / UDP() / Raw(b"z" * 4000), 1400)]
    headers = six
    for _ in range(40):
        headers = headers / IPv6ExtHdrDestOpt()
    frames += [own / headers / UDP(), own / six / IPv6ExtHdrHopByHop() / ICMPv6ND_NS(tgt="2001:db8::3")]
    frames += [own / Dot1Q(vlan=9) / four, own / Dot1AD(vlan=9) / Dot1Q(vlan=8) / four, own / Dot1Q(vlan=0) / four]
    frames += [Ether(src=vmac, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=vmac, psrc="192.0.2.80", pdst="192.0.2.3"),
               Ether(src=vmac, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc="06:66:00:00:00:02", psrc="192.0.2.1", pdst="192.0.2.3"),
               Ether(src="06:66:00:00:00:02", dst=client) / four / ICMP(), Ether(src="ff:ff:ff:ff:ff:ff", dst=client) / four,
               Ether(src=vmac, dst=vmac) / four, Ether(src=vmac, dst="33:33:00:00:00:fb") / six / UDP(),
               Ether(src=vmac, dst="01:80:c2:00:00:0e", type=0x88cc) / Raw(b"\0" * 40),
               Dot3(src=vmac, dst="01:80:c2:00:00:00") / LLC() / STP(), Dot3(src=vmac, dst=client) / LLC() / SNAP(code=0x800) / four,
               own / Raw(b""), own / IP(src="192.0.2.80", dst="192.0.2.3", ihl=15, len=20) / Raw(b"w" * 10), own / IPv6(plen=9999)]
    frames = [bytes(frame) for frame in frames]
    frames += [whole[:cut] for whole in frames[:30] for cut in (15, 20, 33, 41, 53) if cut < len(whole)]
    for _ in range(500):
        body = dice.randbytes(dice.randrange(2, 1500))
        head = dice.choice((dice.randbytes(12), bytes(own)[:12]))
        if dice.random() < 0.5:
            body = dice.choice((b"\x08\x00", b"\x08\x06", b"\x86\xdd", b"\x81\x00")) + body[2:]
        frames.append(head + body)
    return [frame for frame in frames if 15 <= len(frame) <= 1514]


def test_every_replayed_frame_is_delivered_or_dropped_for_a_reason(site):
    play = site.lab.netns("play")
    # A port with nothing behind it that would speak by itself.
    play.sh("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")
    port = site.add_port("play", "veth", "--netns", play.path, "--peer-ifname", "eth0", "--flood-pps", "0")
    play.sh("ip link set eth0 arp off; ip link set eth0 up")
    own, ct = place.octets(port["vmac"]), place.octets(site.daemon.port("ct")["vmac"])
    # The session is replayed as another's (forged) and as our own.
    session = recorded(site)
    assert len(session) > 100
    frames = session + [frame[:6] + own + frame[12:] if frame[6:12] == ct else frame for frame in session]
    frames += crafted(port["vmac"], site.client.link_address("eth0"), seed=20)
    # What goes to another port of this host does not pass the wire, where this test counts: not part of it.
    local = {place.octets(site.daemon.port(name)["vmac"]) for name in ("g1", "g2", "ct", "fix")}
    local.add(place.octets(site.host.link_address("eth0")))
    frames = [frame for frame in frames if frame[:6] not in local]
    file = site.lab.directory / "replay.pcap"
    writer = scapy.RawPcapWriter(str(file), linktype=1)
    for frame in frames:
        writer.write(frame)
    writer.close()

    # A tag that is cut short is thrown away by the kernel itself (skb_vlan_untag), before any program sees it.
    unseen = sum(frame[12:14] in (b"\x81\x00", b"\x88\xa8") and len(frame) < 20 for frame in frames)
    before = site.daemon.port("play")["counters"]
    wire = place.Capture(site.lan, "to-host", keep=lambda frame: frame[6:12] == own)
    said = play.run("tcpreplay", "--pps=5000", "-i", "eth0", file).stdout
    sent = int(re.search(r"Successful packets:\s+(\d+)", said)[1])
    delivered = len(wire.stop(settle=1))
    after = site.daemon.port("play")["counters"]
    drops = {reason: number - before["drops"].get(reason, 0) for reason, number in after["drops"].items()
             if reason not in NOT_THE_SENDERS and number != before["drops"].get(reason, 0)}
    print(f"{sent} sent, {delivered} delivered, dropped: {drops}")
    assert sent == len(frames)
    assert after["rx_frames"] - before["rx_frames"] == sent - unseen
    assert delivered + sum(drops.values()) == sent - unseen
    assert delivered > 100 and len(drops) >= 6
    # All still lives.
    assert site.g1.ping(place.CLIENT4) == 3
    site.daemon.vmac("port", "delete", "play", "--release")
