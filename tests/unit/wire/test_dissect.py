"""What our encoders write, read by programs that are not ours: tshark with every checksum on, and scapy."""
import collections
import hashlib
import hmac
import ipaddress
import os
import re
import shutil
import subprocess

import pytest

WRITE_FRAMES = os.environ["WRITE_FRAMES"]

# Why tshark may complain of a frame, by its words.
JUSTIFIED = {
    # It knows one VRRPv3 checksum over IPv4, that with the pseudo-header; RFC 9568's own is without.
    "vrrp3_plain": ["Bad checksum"],
    # It does not know the trailer, and takes it into IPv4's checksum, which does not cover it.
    "vrrp3_hmac": ["Bad checksum"],
    # The tag stands where other RARPs have padding.
    "claim": ["Didn't find padding of zeros, and an undecoded trailer exists"],
    # Cisco sends HSRPv2 with a TTL of 1.
    "hsrp2_hello": ['"Time To Live" != 255'],
    "hsrp2_coup": ['"Time To Live" != 255'],
    "hsrp2_resign": ['"Time To Live" != 255'],
    "hsrp2_md5": ['"Time To Live" != 255'],
    "hsrp2_advertise": ['"Time To Live" != 255'],
}

CHECKSUMS_ON = [f"-o{name}.check_checksum:TRUE" for name in ("ip", "udp")]


@pytest.fixture(name="capture", scope="module")
def _capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("dissect") / "frames.pcap"
    names = subprocess.run([WRITE_FRAMES, path], check=True, capture_output=True, text=True).stdout
    return path, names.split()


def raw_frames(path):
    """The frames of a capture file, by its format alone."""
    data = path.read_bytes()[24:]
    frames = []
    while data:
        length = int.from_bytes(data[8:12], "little")
        frames.append(data[16:16 + length])
        data = data[16 + length:]
    return frames


def tshark(path, *arguments):
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    return subprocess.run(["tshark", "-r", path, *CHECKSUMS_ON, *arguments], check=True,
                          capture_output=True, text=True).stdout


def fields(path, *wanted, arguments=()):
    """One dictionary a frame."""
    wanted = ("frame.number", *wanted)
    out = tshark(path, "-Tfields", "-Eseparator=/t", *[f"-e{w}" for w in wanted], *arguments)
    return [dict(zip(wanted, line.split("\t"))) for line in out.splitlines()]


def complaints(path, names, *arguments):
    found = collections.defaultdict(list)
    frame = None
    for line in tshark(path, "-V", *arguments).splitlines():
        head = re.match(r"Frame (\d+):", line)
        if head:
            frame = names[int(head.group(1)) - 1]
        if "Expert Info" in line or "Malformed" in line or "[Expert" in line:
            found[frame].append(line.strip())
    return found


def test_tshark_finds_nothing_wrong(capture):
    path, names = capture
    for name, lines in complaints(path, names).items():
        for line in lines:
            assert any(why in line for why in JUSTIFIED.get(name, [])), (name, line)


def test_tshark_sees_the_other_dialect_of_vrrp3(capture):
    """With its preference turned, the frame that it called wrong is right, and the other way round."""
    path, names = capture
    found = complaints(path, names, "-ovrrp.v3_checksum_as_in_v2:TRUE")
    assert "vrrp3_plain" not in found
    assert any("Bad checksum" in line for line in found["vrrp3_pseudo"])


def test_tshark_reads_carp(capture):
    path, names = capture
    number = names.index("carp") + 1
    rows = fields(path, "carp.vhid", "carp.advskew", "carp.adver_int", "carp.authlen", "carp.counter",
                  "carp.checksum.status", arguments=("-dip.proto==112,carp",))
    row = rows[number - 1]
    assert (row["carp.vhid"], row["carp.advskew"], row["carp.adver_int"]) == ("42", "100", "1")
    assert row["carp.authlen"] == "7"
    assert int(row["carp.counter"]) == 0x0123456789abcdef
    assert row["carp.checksum.status"] == "1"


def test_tshark_reads_what_we_meant(capture):
    path, names = capture
    rows = fields(path, "vrrp.virt_rtr_id", "vrrp.prio", "vrrp.addr_count", "vrrp.ip_addr", "vrrp.ipv6_addr",
                  "hsrp.opcode", "hsrp.state", "hsrp.group", "hsrp.priority", "hsrp2.opcode", "hsrp2.state",
                  "hsrp2.group", "hsrp2.priority", "hsrp2.hellotime", "hsrp2.virt_ip",
                  "hsrp2.virt_ip_v6", "hsrp2.md5_key_id", "arp.opcode", "arp.src.proto_ipv4",
                  "arp.dst.hw_mac", "icmpv6.nd.na.target_address", "icmpv6.nd.na.flag.o", "igmp.type",
                  "igmp.max_resp", "igmp.version", "icmpv6.type", "icmpv6.mld.maximum_response_code")
    by_name = dict(zip(names, rows))
    for name in (n for n in names if n.startswith("vrrp")):
        row = by_name[name]
        assert (row["vrrp.virt_rtr_id"], row["vrrp.prio"]) == ("7", "200"), name
        addresses = row["vrrp.ip_addr"] or row["vrrp.ipv6_addr"]
        assert len(addresses.split(",")) == int(row["vrrp.addr_count"]), name
    for name, opcode in (("hello", 0), ("coup", 1), ("resign", 2)):
        assert by_name["hsrp1_" + name]["hsrp.opcode"] == str(opcode)
        assert by_name["hsrp1_" + name]["hsrp.group"] == "9"
        assert by_name["hsrp2_" + name]["hsrp2.opcode"] == str(opcode)
        assert by_name["hsrp2_" + name]["hsrp2.group"] == "9"
        assert by_name["hsrp2_" + name]["hsrp2.hellotime"] == "3000"
    assert by_name["hsrp1_hello"]["hsrp.state"] == "16"
    assert by_name["hsrp2_hello"]["hsrp2.state"] == "6"
    assert by_name["hsrp2_md5"]["hsrp2.md5_key_id"] == "7"
    assert by_name["hsrp2_ipv6"]["hsrp2.virt_ip_v6"] == "fe80::64"
    assert by_name["garp_request"]["arp.opcode"] == "1"
    assert by_name["garp_reply"]["arp.opcode"] == "2"
    for name in ("rarp", "claim"):
        assert by_name[name]["arp.opcode"] == "3"
    for name in ("garp_request", "garp_reply"):
        assert by_name[name]["arp.src.proto_ipv4"] == "10.9.0.100"
        assert by_name[name]["arp.dst.hw_mac"] == "00:00:5e:00:01:07"
    assert by_name["na"]["icmpv6.nd.na.target_address"] == "2001:db8::64"
    assert by_name["na"]["icmpv6.nd.na.flag.o"] in ("1", "True")
    query = by_name["igmp_query"]
    assert (query["igmp.type"], query["igmp.version"], query["igmp.max_resp"]) == ("0x11", "3", "5")
    assert by_name["mld_query"]["icmpv6.type"] == "130"
    assert by_name["mld_query"]["icmpv6.mld.maximum_response_code"] == "500"


def test_scapy_computes_the_same_octets(capture):
    scapy = pytest.importorskip("scapy.all")
    vrrp = pytest.importorskip("scapy.layers.vrrp")
    path, names = capture
    frames = dict(zip(names, scapy.rdpcap(str(path))))
    for name in ("vrrp2_plain", "vrrp2_text", "vrrp3_pseudo", "vrrp3_ipv6"):
        ours = frames[name]
        layer = vrrp.VRRP if name.startswith("vrrp2") else vrrp.VRRPv3
        right = ours[layer].chksum
        again = scapy.Ether(bytes(ours))
        if again.haslayer(scapy.IP):
            del again[scapy.IP].chksum
            del again[scapy.IP].len
        del again[layer].chksum
        again = scapy.Ether(bytes(again))
        assert again[layer].chksum == right, name
        assert bytes(again) == bytes(ours), name
    for name in names:
        ours = frames[name]
        again = ours.copy()
        for layer in (scapy.IP, scapy.UDP, scapy.ICMPv6ND_NA):
            if again.haslayer(layer):
                field = "cksum" if layer is scapy.ICMPv6ND_NA else "chksum"
                delattr(again[layer], field)
        if again.haslayer(vrrp.VRRP) or again.haslayer(vrrp.VRRPv3):
            continue  # above, as far as scapy knows them
        assert bytes(again) == bytes(ours), name


def test_digests_are_what_python_computes(capture):
    """Keyed MD5 and the HMACs over the very octets of the frames, by hashlib."""
    path, names = capture
    frames = dict(zip(names, raw_frames(path)))
    key = b"secret"
    fill = b"\x80" + bytes(55 - len(key)) + (8 * len(key)).to_bytes(8, "little")

    def keyed_md5(data):
        return hashlib.md5(key + fill + data + key).digest()

    payload = frames["vrrp2_md5"][34:34 + 54]
    covered = payload[:6] + bytes(2) + payload[8:24]
    assert payload[-16:] == keyed_md5(covered)
    for name, at in (("hsrp1_md5", 42), ("hsrp2_md5", 42), ("hsrp2_ipv6_md5", 62)):
        payload = frames[name][at:]
        assert payload[-16:] == keyed_md5(payload[:-16] + bytes(16)), name
    for name, at, family, source in (
            ("vrrp3_hmac", 34, 4, ipaddress.ip_address("10.9.0.1").packed),
            ("vrrp3_hmac_ipv6", 54, 6, ipaddress.ip_address("fe80::1").packed)):
        payload = frames[name][at:]
        message, trailer = payload[:-28], payload[-28:]
        data = bytes([family, 3, 7, 0]) + source.ljust(16, b"\0") + message[:6] + bytes(2) + message[8:]
        right = hmac.new(key, data + trailer[:12] + bytes(16), hashlib.sha256).digest()[:16]
        assert trailer[12:] == right, name
    payload = frames["carp"][34:70]
    vips = bytes([10, 9, 0, 100, 10, 9, 0, 101])
    right = hmac.new(key.ljust(20, b"\0"), bytes([2, 1, 42]) + vips + payload[8:16], hashlib.sha1).digest()
    assert payload[16:] == right
