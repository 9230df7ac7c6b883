"""What Linux does behind a router's back, and must not: one test a trap."""
import contextlib
import os
import pathlib
import re
import signal
import time

import pytest

import lab
import routers
from routers import DUAL, LL6, MAC4, MAC6, V4, V6

pytestmark = pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "-")
FAST = ("--interval", "100ms")


@pytest.fixture(name="twins")
def _twins():
    with lab.Lab() as place:
        yield routers.Twins(place)


def known_as(twins, name="c1"):
    """What a host has learned for the virtual addresses."""
    return {address: mac for address in (V4, V6, LL6) if (mac := twins.lan.neighbour(name, address))}


def test_nobody_learns_the_physical_address_for_the_virtual_one(twins):
    """Every way in which hosts and the active router can exchange ARP or neighbour discovery."""
    twins.both("--accept", *FAST, *DUAL)
    twins.r2.wait("backup")
    client, right = twins.lan["c1"], {V4: MAC4, V6: MAC6, LL6: MAC6}

    def meet(active):
        ns = twins.lan[active.name]
        client.sh("ip neigh flush all; ip -6 neigh flush all")
        # The client asks.
        assert client.ping(V4, 1) and client.ping(V6, 1) and client.ping(f"{LL6}%eth0", 1)
        assert known_as(twins) == right
        # The router asks, from its own and from the virtual addresses, of a host that knows it and of one that does not.
        for flush in (True, False):
            ns.sh("ip neigh flush all; ip -6 neigh flush all")
            if flush:
                client.sh("ip neigh flush all; ip -6 neigh flush all")
            for family, source, target in ((2, V4, "10.9.0.3"), (2, "", "10.9.0.3"), (10, V6, "2001:db8:9::3"),
                                           (10, "", "2001:db8:9::3")):
                with ns.socket(family, 2) as out:
                    if source:
                        out.bind((source, 0))
                    out.sendto(b"x", (target, 9))
                # Its neighbour is resolved, so the exchange has happened.
                lab.wait_for(f"{active.name} knows {target}", lambda t=target: re.search(
                    r"lladdr \S+", ns.run("ip", "neigh", "show", t).stdout), 5)
            wrong = {a: m for a, m in known_as(twins).items() if m != right[a]}
            assert not wrong, wrong

    meet(twins.r1)
    twins.r1.stop()
    twins.r2.wait("active")
    meet(twins.r2)
    twins.r1.start()
    twins.r1.wait("active")
    twins.r2.wait("backup")
    meet(twins.r1)
    # Nor does the router answer for it on its own link, or for its own address with the vMAC.
    assert client.ping(twins.lan.address("r1"), 1)
    assert twins.lan.neighbour("c1", twins.lan.address("r1")) == twins.lan.mac("r1")


def test_a_backup_is_silent(twins):
    """Also while its link flaps and while somebody gives its device addresses by hand."""
    twins.both(*FAST, *DUAL)
    twins.r2.wait("backup")
    names = twins.r2.devices()
    assert len(names) == 2
    before = sum(s["stopped_out"] for s in twins.r2.live()["sets"])
    with twins.lan.captured("r2") as seen:
        for n in range(3):
            ns = twins.lan["r2"]
            for device in names:
                ns.sh(f"ip link set {device} down; ip link set {device} up;"
                      f"ip addr add 10.9.0.{200 + n}/32 dev {device};"
                      f"ip -6 addr add 2001:db8:9::{n + 1:x}00/128 dev {device}")
            with ns.packet_socket(names[0], 0) as raw, contextlib.suppress(OSError):
                raw.send(bytes.fromhex("ffffffffffff" + MAC4.replace(":", "") + "0806") + bytes(46))
            time.sleep(1)
            twins.lan.cut("r2")
            twins.r2.wait("initialize")
            twins.lan.mend("r2")
            twins.r2.wait("backup")
        time.sleep(1)
    assert not seen.from_mac(MAC4) and not seen.from_mac(MAC6)
    assert sum(s["stopped_out"] for s in twins.r2.live()["sets"]) > before, "nothing was tried, so nothing was shown"
    assert twins.lan.port_of(MAC4) == "r1"


def test_few_descriptors_a_link(twins):
    host = twins.r1

    def count():
        return len(os.listdir(f"/proc/{host.daemon.process.pid}/fd"))

    host.vmac("status")
    before = count()
    for n in range(1, 21):
        host.add("--interval", "1s", "--address", f"10.9.0.{100 + n}/24", "--address", f"fe80::9:{n}/64", name=f"g{n}",
                 group=n)
    host.wait("active", name="g20")
    # Connections of the API come and go.
    assert lab.wait_for("4 a link at most", lambda: count() - before <= 4, 5)
    assert count() > before


# --- what others do to it -----------------------------------------------------------------------------------

def test_what_administrators_do_to_the_link(twins):
    """Its link is renamed, gets another address, loses the device; an address is taken away by hand."""
    host = twins.r1
    twins.both("--accept", *FAST, "--address", f"{V4}/24")
    twins.r2.wait("backup")
    ns = host.ns
    # The link's own address, from which it advertises, changes.
    ns.sh("sysctl -qw net.ipv4.conf.eth0.promote_secondaries=1;"
          "ip addr add 10.9.0.31/24 dev eth0; ip addr del 10.9.0.1/24 dev eth0")
    lab.wait_for("it advertises from the other", lambda: host.live()["sets"][0].get("source") == "10.9.0.31", 5)
    lab.wait_for("its peer hears that", lambda: twins.r2.live().get("active") == "10.9.0.31", 5)
    assert twins.actives() == ["r1"]
    device, = host.devices()
    # The virtual address is deleted by hand: it is put back, and said so.
    ns.run("ip", "addr", "del", f"{V4}/24", "dev", device)
    lab.wait_for("the address is back", lambda: host.has(V4), 5)
    assert f"deleted {V4} from {device}" in host.daemon.log.read_text()
    # The device that carries the vMAC is deleted by hand: it is made again.
    ns.run("ip", "link", "del", device)
    lab.wait_for("the device is back", host.devices, 15)
    lab.wait_for("somebody serves", lambda: twins.lan["c1"].ping(V4, 1, timeout=0.5), 15)
    lab.wait_for("there is one", lambda: len(twins.actives()) == 1, 10)


def test_its_link_goes_and_comes_back(twins):
    host = twins.r1

    def tuned(link):
        return host.ns.sh(f"cd /proc/sys/net/ipv4/conf/{link}; cat arp_ignore arp_announce arp_filter").stdout.split()

    twins.both("--accept", *FAST, "--address", f"{V4}/24")
    twins.r2.wait("backup")
    host.ns.run("ip", "link", "del", "eth0")
    host.wait("initialize")
    twins.r2.wait("active")
    assert host.reasons()[-1] == "fault" and host.live()["sets"][0]["trouble"]
    twins.place.link(host.ns, "eth0", twins.lan.switch, "r1")
    twins.lan.switch.run("ip", "link", "set", "r1", "master", "br0")
    host.ns.sh("ip addr add 10.9.0.1/24 dev eth0")
    host.wait("active", 15)
    twins.r2.wait("backup")
    # Renamed: it is not there under that name, and what was changed on it is put back under the new one.
    assert tuned("eth0") == ["1", "2", "0"]
    host.ns.sh("ip link set eth0 down; ip link set eth0 name lan0; ip link set lan0 up")
    twins.r2.wait("active")
    host.wait("initialize")
    lab.wait_for("nothing of it is left", lambda: not host.has(V4) and not host.devices(), 5)
    lab.wait_for("its tunables are put back", lambda: tuned("lan0") == ["0", "0", "0"], 5)
    host.ns.sh("ip link set lan0 down; ip link set lan0 name eth0; ip link set eth0 up")
    host.wait("active", 15)


def test_a_hung_daemon_is_silent_and_fences_itself(twins):
    twins.both("--accept", "--interval", "200ms", *DUAL)
    twins.r2.wait("backup")
    twins.r1.set("--no-preempt")
    with twins.lan.captured("r1") as seen:
        twins.r1.daemon.process.send_signal(signal.SIGSTOP)
        stopped = time.time()
        try:
            twins.r2.wait("active", 5)
            took = time.time()
            lab.wait_for("the client reaches r2", lambda: twins.lan["c1"].ping(V4, 1) and
                         twins.lan["c1"].ping(V6, 1), 5)
            assert twins.lan.port_of(MAC4) == "r2"
            time.sleep(2 * 0.72)
        finally:
            twins.r1.daemon.process.send_signal(signal.SIGCONT)
        twins.r1.wait("backup")
    octets = [bytes.fromhex(m.replace(":", "")) for m in (MAC4, MAC6)]
    after = [frame for when, frame in seen.frames if when > took and frame[6:12] in octets]
    assert not after, "two hosts with one vMAC"
    assert took - stopped < 0.2 * (3 + 156 / 256) + 1
    assert "late" in twins.r1.reasons() and twins.actives() == ["r2"]


# --- tracking and being told --------------------------------------------------------------------------------

def test_tracks_of_every_kind(twins, tmp_path):
    """Down and up again; fault where the weight is zero."""
    import http.server
    import threading
    host = twins.r1
    script = pathlib.Path("/var/lib") / f"vmac-t-track-{os.getpid()}"
    flag, wanted = tmp_path / "flag", tmp_path / "wanted"
    script.write_text(f"#!/bin/sh\ntest -e {flag}\n")
    script.chmod(0o755)
    for file in (flag, wanted):
        file.touch()
    ns = host.ns
    ns.sh("ip link add side type veth peer name side2; ip link set side up; ip link set side2 up;"
          "ip route add 198.51.100.0/24 dev side; ip link set lo up")

    class Web(http.server.BaseHTTPRequestHandler):
        status = 200

        def do_GET(self):  # noqa: N802
            self.send_response(Web.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    web = http.server.HTTPServer(("127.0.0.1", 0), Web, bind_and_activate=False)
    web.socket.close()
    web.socket = ns.socket(2, 1)
    web.socket.bind(("127.0.0.1", 8099))
    web.socket.listen(5)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    quick = "interval=200ms,timeout=100ms,rise=1,fall=1"
    tracks = [("interface:side", "side down", lambda up: ns.run("ip", "link", "set", "side2", "up" if up else "down")),
              ("route:203.0.113.0/24,interval=200ms", "route", lambda up: ns.run(
                  "ip", "route", "add" if up else "del", "203.0.113.0/24", "via", "10.9.0.3")),
              (f"script:{script},{quick}", "script", lambda up: flag.touch() if up else flag.unlink()),
              (f"file:{wanted},interval=200ms", "file", lambda up: wanted.touch() if up else wanted.unlink()),
              (f"http:http://127.0.0.1:8099/,{quick}", "http", lambda up: setattr(Web, "status", 200 if up else 503)),
              (f"ping:10.9.0.3,{quick}", "ping", lambda up: (twins.lan.mend if up else twins.lan.cut)("c1")),
              ("router:other", "router", lambda up: host.set("--enable" if up else "--disable", name="other"))]
    try:
        ns.run("ip", "route", "add", "203.0.113.0/24", "via", "10.9.0.3")
        host.add("--priority", 200, *FAST, "--address", "10.9.0.101/24", name="other", group=8)
        host.wait("active", name="other")
        options = []
        for number, (track, _, _) in enumerate(tracks):
            options += ["--track", f"{track},weight=-{number + 10}"]
        host.add("--priority", 200, *FAST, "--address", f"{V4}/24", *options)
        host.wait("active")
        try:
            lab.wait_for("all are up", lambda: all(t["up"] and t["known"] for t in host.live()["tracks"]), 5)
        except lab.LabError as problem:
            raise lab.LabError(f"{problem}: {host.live()['tracks']}") from None
        for number, (_, what, turn) in enumerate(tracks):
            turn(False)
            lab.wait_for(f"{what} counts", lambda n=number: host.live()["priority"] == 200 - n - 10, 5)
            turn(True)
            lab.wait_for(f"{what} counts again", lambda: host.live()["priority"] == 200, 8)
        assert host.reasons() == ["started", "silence"] or len(host.history()) == 2, host.history()
        host.set("--track", f"file:{wanted},interval=200ms")
        wanted.unlink()
        host.wait("initialize")
        assert host.history()[-1]["reason"] == "fault" and str(wanted) in host.history()[-1]["detail"]
        wanted.touch()
        host.wait("active")
    finally:
        script.unlink()
        web.shutdown()


def test_the_notified_program_is_told_in_order_and_holds_nobody_up(twins):
    host = twins.r1
    program = pathlib.Path("/var/lib") / f"vmac-t-notify-{os.getpid()}"
    told = program.with_suffix(".told")
    program.write_text(f'#!/bin/sh\necho "$@" "$VMAC_REASON" >>{told}\nsleep 0.7\n')
    program.chmod(0o755)
    try:
        host.add("--priority", 150, *FAST, "--address", f"{V4}/24", "--notify", program)
        host.wait("active")
        for _ in range(2):
            host.set("--disable")
            host.wait("initialize")
            host.set("--enable")
            host.wait("active")
        before = host.live()["counters"]["sent"]
        begin = time.monotonic()
        time.sleep(1)
        # However long it takes to ask: what was sent between the first answer and the second question is in the difference.
        end = time.monotonic()
        assert host.live()["counters"]["sent"] - before >= (end - begin) / 0.1 - 1
        expected = [f"router gw {line['from']} {line['to']} {line['reason']} {line['priority']} {line['reason']}"
                    for line in host.history()]
        lab.wait_for(f"all are told: {expected}", lambda: told.exists() and told.read_text().splitlines() == expected, 15)
        assert host.live()["counters"]["late"] == 0
        program.chmod(0o777)
        before = len(told.read_text())
        host.set("--disable")
        host.wait("initialize")
        lab.wait_for("it says why it does not run that", lambda: str(program) in host.daemon.log.read_text(), 5)
        assert len(told.read_text()) == before
    finally:
        program.unlink()
        told.unlink(missing_ok=True)
