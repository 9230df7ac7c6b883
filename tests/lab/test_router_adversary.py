"""Somebody on the LAN who means ill: what he sends is counted by its reason and moves nothing."""
import re
import socket
import struct

import pytest

import lab
import routers
from routers import DUAL, MAC4, V4

pytestmark = pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "-")
FAST = ("--interval", "100ms")


def total(data):
    return lab._checksum(data)


def ip4(payload, protocol=112, source="10.9.0.3", target="224.0.0.18", ttl=255):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0xc0, 20 + len(payload), 1, 0, ttl, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    return head[:10] + struct.pack("!H", total(head)) + head[12:] + payload


def ethernet(packet, mac=MAC4):
    return bytes.fromhex("01005e000012" + mac.replace(":", "") + "0800") + packet


def advert(priority=254, version=3, kind=1, group=7, interval=10, addresses=(V4,), checksum=None, source="10.9.0.3"):
    body = struct.pack("!BBBBHH", version << 4 | kind, group, priority, len(addresses),
                       interval if version == 3 else interval, 0)
    body += b"".join(map(socket.inet_aton, addresses))
    pseudo = socket.inet_aton(source) + socket.inet_aton("224.0.0.18") + struct.pack("!BBH", 0, 112, len(body))
    if checksum is None:
        checksum = total(pseudo + body)
    return body[:6] + struct.pack("!H", checksum) + body[8:]


class Stage:
    """Both routers, and the adversary at c1."""

    def __init__(self, place, *options):
        self.twins = routers.Twins(place)
        for host, priority in ((self.twins.r1, 150), (self.twins.r2, 100)):
            host.add("--priority", priority, "--accept", *FAST, *options, *DUAL)
        self.twins.r1.wait("active")
        self.twins.r2.wait("backup")
        self.raw = self.twins.lan["c1"].packet_socket("eth0", 0)
        self.before = self.histories()

    def histories(self):
        return self.twins.r1.history(), self.twins.r2.history()

    def verdicts(self, host):
        """By name: of the router and of the links together."""
        counted = {}
        api = host.daemon.api()
        for name, number in re.findall(r'^vmac_(?:router|election)_\w*refused_total\{.*?(?:verdict|reason)="(\w+)"\} (\d+)$',
                                       api.get("/metrics"), re.M):
            counted[name] = counted.get(name, 0) + int(number)
        api.close()
        return counted

    def refused(self, name, *frames):
        """Sends them; both routers count them under that name."""
        hosts = (self.twins.r1, self.twins.r2)
        before = [self.verdicts(host).get(name, 0) for host in hosts]
        for frame in frames:
            self.raw.send(frame)
        for host, was in zip(hosts, before):
            lab.wait_for(f"{host.name} counts {len(frames)} {name}: {was}, {self.verdicts(host)}",
                         lambda h=host, w=was: self.verdicts(h).get(name, 0) >= w + len(frames), 5)

    def unmoved(self):
        assert self.histories() == self.before
        assert self.twins.lan["c1"].ping(V4, 1) == 1


@pytest.fixture(name="place")
def _place():
    with lab.Lab() as place:
        yield place


def test_forged_without_a_key_and_replayed(place):
    stage = Stage(place, "--auth", "hmac", "--key", "1:secret")
    lan = stage.twins.lan
    stage.refused("auth_missing", *[ethernet(ip4(advert()))] * 5, ethernet(ip4(advert(priority=0))))
    with lan.captured("r1") as seen:
        sent = stage.twins.r1.live()["counters"]["sent"]
        lab.wait_for("it advertises", lambda: stage.twins.r1.live()["counters"]["sent"] > sent + 14)  # of two sets
    mine = [f for f in seen.from_mac(MAC4) if f[12:14] == b"\x08\x00" and f[23] == 112]
    before = stage.verdicts(stage.twins.r2).get("replayed", 0)
    for frame in mine[:3]:
        stage.raw.send(frame)
    lab.wait_for("replays are known as such", lambda: stage.verdicts(stage.twins.r2).get("replayed", 0) >= before + 3, 5)
    broken = bytearray(mine[-1])
    broken[-1] ^= 1

    def doubted():
        counted = stage.verdicts(stage.twins.r2)
        return counted.get("auth_failed", 0) + counted.get("replayed", 0)

    before = doubted()
    stage.raw.send(bytes(broken))
    lab.wait_for("it was altered, or is old", lambda: doubted() > before, 5)
    stage.unmoved()


def test_what_is_wrong_is_counted_by_its_reason(place):
    stage = Stage(place)
    good = advert()
    stage.refused("ttl", ethernet(ip4(good, ttl=254)))
    stage.refused("checksum", ethernet(ip4(advert(checksum=0x1234))))
    stage.refused("type", ethernet(ip4(advert(kind=2))))
    stage.refused("version", ethernet(ip4(advert(version=4))))
    stage.refused("no_address", ethernet(ip4(advert(addresses=()))))
    stage.refused("no_group", ethernet(ip4(advert(group=99))))
    for length in range(len(good)):
        stage.raw.send(ethernet(ip4(good[:length])))
        stage.raw.send(ethernet(ip4(good)[:20 + length]))
    stage.raw.send(ethernet(ip4(good + bytes(1200))))
    stage.raw.send(ethernet(ip4(advert(addresses=[V4] * 255)[:1000])))
    lab.wait_for("what was cut is counted", lambda: sum(
        stage.verdicts(stage.twins.r2).get(name, 0) for name in ("truncated", "length", "malformed")) >= len(good), 5)
    stage.unmoved()


def test_another_cluster_and_our_own_frames(place):
    """Lesser advertisements of the same group with other addresses, and our own ones reflected, move nobody."""
    stage = Stage(place)
    for _ in range(5):
        stage.raw.send(ethernet(ip4(advert(priority=50, addresses=("10.9.0.200",)))))
    with stage.twins.lan.captured("r1") as seen:
        sent = stage.twins.r1.live()["counters"]["sent"]
        lab.wait_for("it advertises", lambda: stage.twins.r1.live()["counters"]["sent"] > sent + 14)  # of two sets
    before = stage.verdicts(stage.twins.r1).get("own", 0)
    for frame in [f for f in seen.from_mac(MAC4) if f[12:14] == b"\x08\x00" and f[23] == 112][:5]:
        stage.raw.send(frame)
    lab.wait_for("r1 knows its own", lambda: stage.verdicts(stage.twins.r1).get("own", 0) >= before + 5, 5)
    lab.wait_for("the vMAC is behind r1", lambda: stage.twins.lan.port_of(MAC4) == "r1")
    stage.unmoved()
