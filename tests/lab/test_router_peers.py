"""Elections with other people's routers on one wire, in both roles, under traffic to the virtual address."""
import signal
import time

import pytest

import lab
import peers
import wire

pytestmark = pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "-")


def needs(*names):
    return pytest.mark.skipif(bool(peers.missing(*names)), reason=peers.missing(*names) or "-")


V4, V6 = "10.9.0.100", "2001:db8:9::100"
GROUP = 7

# What runs on both sides of each election with keepalived: our options, and its configuration.
DIALECTS = {
    "v3": dict(ours=["--protocol", "vrrp3", "--interval", "200ms"], theirs=dict(interval=0.2)),
    "v3-slow": dict(ours=["--protocol", "vrrp3"], theirs={}),
    "v2": dict(ours=["--protocol", "vrrp2"], theirs=dict(version=2)),
    "v2-text": dict(ours=["--protocol", "vrrp2", "--auth", "text", "--key", "lab12345"],
                    theirs=dict(version=2, more="    authentication {\n        auth_type PASS\n"
                                                "        auth_pass lab12345\n    }")),
    "v3-no-vmac": dict(ours=["--protocol", "vrrp3", "--interval", "200ms"], theirs=dict(interval=0.2, vmac=False)),
    "v3-ipv6": dict(ours=["--protocol", "vrrp3", "--interval", "200ms"], theirs=dict(interval=0.2), family=6),
    "v3-unicast": dict(ours=["--protocol", "vrrp3", "--interval", "200ms", "--peer", "10.9.0.2"],
                       theirs=dict(interval=0.2, more="    unicast_src_ip 10.9.0.2\n    unicast_peer {\n"
                                                      "        10.9.0.1\n    }")),
}


class Pair:
    """Ours is r1, the peer is r2, the client is c1."""

    def __init__(self, place, dialect):
        self.dialect = DIALECTS[dialect]
        self.family = self.dialect.get("family", 4)
        self.address = V4 if self.family == 4 else V6
        self.mac = (wire.VRRP4 if self.family == 4 else wire.VRRP6) + f"{GROUP:02x}"
        self.lan = wire.Lan(place, "r1", "r2", "c1")
        self.interval = self.dialect["theirs"].get("interval", 1)
        self.daemon = place.daemon(self.lan["r1"], "ours", start=False)

    def addresses(self):
        return [f"{V4}/24"] if self.family == 4 else ["fe80::9:100/64", f"{V6}/64"]

    def start_ours(self, priority):
        self.daemon.start()
        if not self.daemon.vmacj("router", "list")["items"]:
            addresses = [word for a in self.addresses() for word in ("--address", a)]
            self.daemon.vmac("router", "add", "gw", "--interface", "eth0", "--group", GROUP, "--accept",
                             "--priority", priority, *addresses, *self.dialect["ours"])

    def start_theirs(self, priority):
        addresses = [a.split("/")[0] + "/" + a.split("/")[1] for a in self.addresses()]
        self.theirs = peers.Keepalived(self.lan["r2"], peers.keepalived_instance(
            "GW", "eth0", GROUP, priority, *addresses, **self.dialect["theirs"]))

    def state(self):
        return self.daemon.vmacj("router", "show", "gw")["live"]["state"]

    def history(self):
        return self.daemon.vmacj("router", "history", "gw")["items"]

    def wait_ours(self, state, seconds=None):
        lab.wait_for(f"ours is {state}", lambda: self.state() == state, seconds or 6 * self.interval + 5)

    def wait_theirs(self, state, seconds=None):
        lab.wait_for(f"keepalived is {state}: {self.theirs.said()[-300:]}",
                     lambda: self.theirs.state("GW") == state, seconds or 6 * self.interval + 5)

    def service(self):
        return wire.Service(self.lan, "c1", ("r1", "r2"), self.address)

    def down_interval(self, priority):
        return (3 + (256 - priority) / 256) * self.interval


@pytest.fixture(name="pair", params=DIALECTS)
def _pair(request):
    with lab.Lab() as place:
        yield Pair(place, request.param)


def priority_of(frame):
    """Of a VRRP advertisement; else None."""
    at = {b"\x08\x00": (23, 36), b"\x86\xdd": (20, 56)}.get(frame[12:14])
    return frame[at[1]] if at and frame[at[0]] == 112 else None


@needs("keepalived", "tshark")
def test_we_are_active_hand_over_preempt_and_die(pair, tmp_path):
    with pair.lan.captured() as seen:
        pair.start_ours(150)
        pair.wait_ours("active")
        pair.start_theirs(100)
        time.sleep(3 * pair.interval)
        assert pair.theirs.state("GW") == "BACKUP" and pair.state() == "active"

        # Stopped: we serve until keepalived is heard.  It advertises before it has the address, and what comes to it
        # in between is lost there, as long as it takes; test_router_pair.py says what is lost where both sides are ours.
        service = pair.service()
        lab.wait_for("the service is at r1", lambda: service.at() == "r1")
        told = time.time()
        pair.daemon.kill(signal.SIGTERM, 20)
        pair.wait_theirs("MASTER")
        lab.wait_for("the service is at r2", lambda: service.at() == "r2", 10)
        missing, twice = service.stop()
        heard = min(when for when, frame in list(seen.frames) if when > told and priority_of(frame))
        before = [at for at in service.lost_at() if at < heard - 0.1]  # who captures may be late by that
        print(f"graceful stop: {missing} of {service.sent} lost at 1 kpps, {len(before)} before keepalived was heard")
        assert not before and twice == 0, (missing, before, told, heard)

        # Back again: we preempt without losing anything.
        service = pair.service()
        lab.wait_for("the service is at r2", lambda: service.at() == "r2")
        pair.start_ours(150)
        pair.wait_ours("active")
        pair.wait_theirs("BACKUP")
        lab.wait_for("the service is at r1", lambda: service.at() == "r1", 10)
        missing, twice = service.stop()
        # keepalived, outranked, may report a multicast group with the vMAC as it leaves, and the switch believes it
        # until our second announcement, 50 ms later.  Twice would be its doing, too: its backup forwards.
        assert missing <= 120, f"preemption lost {missing} of {service.sent} at 1 kpps"

        # Killed: what we held is silent by itself, and keepalived takes over when its timer says so.
        service = pair.service()
        lab.wait_for("the service is at r1", lambda: service.at() == "r1")
        pair.daemon.kill(signal.SIGKILL)
        killed = time.time()
        pair.wait_theirs("MASTER")
        lab.wait_for("the service is at r2", lambda: service.at() == "r2", 10)
        missing, _ = service.stop()
        heard = min(when for when, frame in list(seen.frames) if when > killed and priority_of(frame) == 100)
        print(f"killed: {missing} of {service.sent} lost at 1 kpps, keepalived heard after {heard - killed:.1f} s")
        assert heard - killed < pair.down_interval(100) + 1.5
    # Unicast goes by the kernel's routes, and so from the link's own address.
    sender = pair.lan.mac("r1") if "--peer" in pair.dialect["ours"] else pair.mac
    assert [f for f in seen.from_mac(sender) if f[12:14] in (b"\x08\x00", b"\x86\xdd")]
    against = wire.judge(seen.save(tmp_path / "all.pcap"),
                         f"vrrp && (ip.src == 10.9.0.1 || ipv6.src == {pair.lan.link_local('r1')})")
    assert not against, against


@needs("keepalived")
def test_we_are_backup_and_take_over(pair):
    pair.start_theirs(200)
    pair.wait_theirs("MASTER")
    with pair.lan.captured("r1") as seen:
        pair.start_ours(100)
        pair.wait_ours("backup")
        time.sleep(4 * pair.interval + 2)
        assert pair.state() == "backup" and pair.theirs.state("GW") == "MASTER"
    assert not seen.from_mac(pair.mac), "a backup sent with the vMAC"

    # It dies with its host.
    service = pair.service()
    lab.wait_for("the service is at r2", lambda: service.at() == "r2")
    pair.lan.cut("r2")
    pair.theirs.kill()
    pair.wait_ours("active")
    lab.wait_for("the service is at r1", lambda: service.at() == "r1", 10)
    missing, twice = service.stop()
    assert twice == 0
    assert missing < (pair.down_interval(100) + 1.5) * 1000
    assert pair.history()[0]["reason"] == "silence"


@needs("keepalived")
@pytest.mark.parametrize("pair", ["v3", "v2", "v3-ipv6"], indirect=True)
def test_keepalived_hands_over_to_us_and_preempts_us(pair):
    pair.start_ours(100)
    pair.wait_ours("active")
    pair.start_theirs(200)
    pair.wait_theirs("MASTER")
    pair.wait_ours("backup")
    pair.theirs.stop()
    pair.wait_ours("active", 3 * pair.interval + 3)
    said = pair.history()
    assert [line["reason"] for line in said[:3]] == ["peer_left", "outranked", "silence"]


@needs("keepalived")
@pytest.mark.parametrize("pair", ["v3"], indirect=True)
def test_two_actives_heal_and_the_survivor_announces_again(pair):
    pair.start_ours(150)
    pair.wait_ours("active")
    pair.lan.part("r2")
    pair.start_theirs(100)
    pair.wait_theirs("MASTER")
    # Whoever is heard first after the wire is whole again decides whether there was a contention for us.
    for _ in range(10):
        time.sleep(0.9 * pair.interval)  # it has just advertised, and would always be the second
        with pair.lan.captured("r1") as seen:
            pair.lan.join("r2")
            pair.wait_theirs("BACKUP")
            time.sleep(3 * pair.interval)
        assert pair.state() == "active" and pair.lan.port_of(pair.mac) == "r1"
        if "contention_won" in pair.daemon.log.read_text():
            break
        pair.lan.part("r2")
        pair.wait_theirs("MASTER")
    else:
        pytest.fail("ten times no contention")
    told = [f for f in seen.from_mac(pair.mac) if f[12:14] == b"\x08\x06" and f[28:32] == f[38:42]]
    assert told, "nobody was told where the address is now"


# --- FRR ----------------------------------------------------------------------------------------------------

@needs("frr")
@pytest.mark.parametrize("version, address", [(3, f"{V4}/24"), (2, f"{V4}/24"), (3, f"{V6}/64")])
def test_with_frr(version, address):
    family = 6 if ":" in address else 4
    ours = ["--address", "fe80::9:100/64"] if family == 6 else []
    with lab.Lab() as place:
        lan = wire.Lan(place, "r1", "r2", "c1")
        frr = peers.Frr(lan["r2"], "eth0", GROUP, 100, *ours[1:], address, version=version)
        lab.wait_for("FRR is active", lambda: frr.state(family) == "Master", 15)
        daemon = place.daemon(lan["r1"], "ours")
        daemon.vmac("router", "add", "gw", "--protocol", f"vrrp{version}", "--interface", "eth0", "--group", GROUP,
                    "--accept", "--priority", 90, *ours, "--address", address)

        def state():
            return daemon.vmacj("router", "show", "gw")["live"]["state"]

        lab.wait_for("ours is backup", lambda: state() == "backup")
        time.sleep(4)
        assert state() == "backup" and frr.state(family) == "Master"

        def follows(where, act, most):
            """What a change of roles costs of 1,000 datagrams a second to the virtual address."""
            service = wire.Service(lan, "c1", ("r1", "r2"), address.split("/")[0])
            lab.wait_for("the service is at the other", lambda: service.at() in {"r1", "r2"} - {where})
            act()
            lab.wait_for(f"the service is at {where}", lambda: service.at() == where, 15)
            missing, twice = service.stop()
            assert missing <= most and twice == 0, f"to {where}: {missing} of {service.sent} lost, {twice} twice"

        def preempt():
            daemon.vmac("router", "set", "gw", "--priority", 150)
            lab.wait_for("ours preempts", lambda: state() == "active", 10)
            lab.wait_for("FRR gives in", lambda: frr.state(family) == "Backup", 5)

        def hand_over():
            daemon.vmac("router", "set", "gw", "--disable")
            lab.wait_for("FRR takes over", lambda: frr.state(family) == "Master", 5)

        follows("r1", preempt, 100)
        follows("r2", hand_over, 100)
        daemon.vmac("router", "set", "gw", "--priority", 50)
        daemon.vmac("router", "set", "gw", "--enable")
        lab.wait_for("ours is backup again", lambda: state() == "backup")

        def die():
            lan.cut("r2")
            frr.kill()
            lab.wait_for("ours takes over", lambda: state() == "active", 10)

        follows("r1", die, 5500)  # 3 + (256 - 50) / 256 s, and what it takes to be learned


# --- ucarp --------------------------------------------------------------------------------------------------

@needs("ucarp")
def test_with_ucarp():
    with lab.Lab() as place:
        lan = wire.Lan(place, "r1", "r2", "c1")
        ucarp = peers.Ucarp(lan["r2"], "eth0", 42, 50, lan.address("r2"), "10.9.0.142/24", "love")
        lab.wait_for("ucarp is active", lambda: ucarp.state() == "MASTER", 15)
        daemon = place.daemon(lan["r1"], "ours")

        def state():
            return daemon.vmacj("router", "show", "gw")["live"]["state"]

        # Another password: each believes to be alone, and ours says why.
        daemon.vmac("router", "add", "gw", "--protocol", "carp", "--interface", "eth0", "--group", 42, "--auth", "hmac",
                    "--key", "hate", "--priority", 155, "--address", "10.9.0.142/24")
        lab.wait_for("ours hears nobody it believes", lambda: state() == "active", 15)
        refused = daemon.vmacj("router", "show", "gw")["live"]["counters"]["verdicts"]
        assert refused["auth_failed"] > 0
        daemon.vmac("router", "delete", "gw")

        daemon.vmac("router", "add", "gw", "--protocol", "carp", "--interface", "eth0", "--group", 42, "--auth", "hmac",
                    "--key", "love", "--priority", 155, "--address", "10.9.0.142/24")
        lab.wait_for("ours is backup", lambda: state() == "backup", 15)
        time.sleep(5)
        assert state() == "backup" and ucarp.state() == "MASTER"
        # Three intervals of 1 s and our skew, 100/256 s, from its last advertisement on.
        service = wire.Service(lan, "c1", ("r1", "r2"), "10.9.0.142")
        lab.wait_for("the service is at r2", lambda: service.at() == "r2")
        lan.cut("r2")
        lab.wait_for("ours takes over", lambda: state() == "active", 15)
        lab.wait_for("the service is at r1", lambda: service.at() == "r1", 10)
        missing, twice = service.stop()
        assert missing < 5500 and twice == 0, f"{missing} of {service.sent} lost, {twice} twice"
        lan.mend("r2")
        lab.wait_for("one of them gives in", lambda: (state() == "active") != (ucarp.state() == "MASTER"), 20)
