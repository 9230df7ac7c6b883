"""Guests as redundant routers: two keepalived in namespaces behind our ports elect, a third guest uses them."""
import shutil
import signal

import pytest

import lab
import peers
import wire

pytestmark = pytest.mark.skipif(bool(lab.missing()) or not shutil.which("keepalived"),
                                reason=lab.missing() or "no keepalived")

ROUTER = "00:00:5e:00:01:07"
CONF = """
global_defs {{ vrrp_garp_master_refresh 0 }}
vrrp_instance one {{
    interface eth0
    virtual_router_id 7
    priority {priority}
    advert_int 1
    use_vmac
    version 3
    state BACKUP
    virtual_ipaddress {{ 192.0.2.1/24 }}
}}
"""


def keepalived(place, ns, name, priority):
    conf = place.directory / f"{name}.conf"
    conf.write_text(CONF.format(priority=priority))
    return ns.start("keepalived", "-n", "-l", "-P", "-f", conf, "-p", place.directory / f"{name}.pid",
                    "-r", place.directory / f"{name}.vrrp", stdout=open(place.directory / f"{name}.log", "wb"),
                    stderr=-2)


@pytest.fixture(name="routers")
def _routers():
    with lab.Lab() as place:
        daemon = place.daemon(place.netns("host"))
        daemon.vmac("segment", "add", "inside")
        daemon.vmac("pool", "add", "p", "--segment", "inside")
        spaces = {}
        for number, name in enumerate(("r1", "r2", "c")):
            spaces[name] = place.netns(name)
            allowed = ["--router", ROUTER] if name != "c" else []
            daemon.vmac("port", "add", name, "--kind", "veth", "--netns", spaces[name].path, *allowed)
            spaces[name].run("ip", "addr", "add", f"192.0.2.{11 + number}/24", "dev", "eth0")
            # Linux answers for every address of its own on every link, if it is not told otherwise.
            spaces[name].sh("echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore;"
                            "echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce")
        yield place, daemon, spaces


def holder(daemon, port="r1"):
    claim, = daemon.port(port)["claims"]
    return claim.get("port", claim["holder"])


def reaches(spaces):
    return spaces["c"].ping("192.0.2.1", count=1, timeout=1)


def test_two_keepalived_elect_and_the_ports_follow(routers):
    place, daemon, spaces = routers
    assert holder(daemon) == "nobody"
    first = keepalived(place, spaces["r1"], "one", 150)
    lab.wait_for("r1 has the vMAC", lambda: holder(daemon) == "r1", 15)
    keepalived(place, spaces["r2"], "two", 100)
    lab.wait_for("the client reaches the address", lambda: reaches(spaces), 10)
    learned = spaces["c"].run("ip", "neigh", "show", "192.0.2.1").stdout
    assert ROUTER in learned
    assert f"{ROUTER}: port r1 has it" in daemon.vmac("port", "show", "r2")
    # Killed without a word: the other one advertises, and the ports follow that frame.
    first.send_signal(signal.SIGKILL)
    spaces["r1"].run("ip", "link", "set", "eth0", "down")
    lab.wait_for("r2 has the vMAC", lambda: holder(daemon) == "r2", 15)
    lab.wait_for("the client reaches the address again", lambda: reaches(spaces), 5)
    assert ROUTER in spaces["c"].run("ip", "neigh", "show", "192.0.2.1").stdout


def test_what_is_allowed_is_kept_and_checked(routers):
    _, daemon, _ = routers
    said = daemon.vmac("port", "set", "c", "--router", "02:00:00:00:00:01", status=2)
    assert "no virtual router's address" in said
    daemon.vmac("port", "set", "c", "--router", ROUTER, "--router", ROUTER, status=2)
    daemon.vmac("port", "set", "c", "--router", "00:00:0c:9f:f0:01", "--router", ROUTER)
    assert daemon.port("c")["routers"] == ["00:00:0c:9f:f0:01", ROUTER]
    daemon.kill()
    daemon.start()
    assert daemon.wait_port("c")["routers"] == ["00:00:0c:9f:f0:01", ROUTER]
    daemon.vmac("port", "set", "c", "--no-routers")
    assert daemon.port("c")["routers"] == [] and "claims" not in daemon.port("c")
    assert f"routers=00:00:0c:9f:f0:01,{ROUTER}" in daemon.vmac("--json", "history")


def test_a_forged_advertisement_moves_nothing(routers):
    place, daemon, spaces = routers
    keepalived(place, spaces["r1"], "one", 150)
    lab.wait_for("r1 has the vMAC", lambda: holder(daemon) == "r1", 15)
    keepalived(place, spaces["c"], "evil", 254)
    lab.wait_for("its frames are dropped", lambda: daemon.drops("c").get("spoofed_mac", 0) >= 3, 15)
    assert holder(daemon) == "r1"


# --- from outside -------------------------------------------------------------------------------------------

VIP, ADVERT = "10.9.0.100", 0.2


class Outside:
    """The same two guests, now on a wire: a client behind the switch sends to the virtual address, 1,000 times a second."""

    def __init__(self, place):
        self.lan = wire.Lan(place, "host", "c1")
        self.daemon = place.daemon(self.lan["host"])
        self.daemon.vmac("segment", "add", "lan", "--uplink", "eth0")
        self.daemon.vmac("pool", "add", "p", "--segment", "lan")
        self.spaces, self.routers = {"c1": self.lan["c1"]}, {}
        for number, name in enumerate(("r1", "r2")):
            ns = self.spaces[name] = place.netns(name)
            self.daemon.vmac("port", "add", name, "--kind", "veth", "--netns", ns.path, "--router", ROUTER)
            ns.sh(f"ip link set eth0 up; ip addr add 10.9.0.{11 + number}/24 dev eth0;"
                  "echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore; echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce")
            self.routers[name] = peers.Keepalived(ns, peers.keepalived_instance(
                "one", "eth0", 7, 150 - 50 * number, f"{VIP}/24", interval=ADVERT))
            self.daemon.wait_port(name)
            self.wait(name if name == "r1" else "r1")

    def wait(self, name):
        lab.wait_for(f"{name} has the vMAC", lambda: holder(self.daemon) == name, 15, 0.02)

    def served_by(self, service, name):
        lab.wait_for(f"{name} gets what the client sends", lambda: service.at() == name, 10, 0.02)
        # Whoever of the guests it is: for the wire, the vMAC is where the host is, and nowhere else.
        assert self.lan.port_of(ROUTER) == "host"
        assert self.lan.neighbour("c1", VIP) == ROUTER

    def through(self, change, before, after):
        """Traffic while `change` makes another guest the router: how many of the datagrams got lost."""
        service = wire.Service(self.spaces, "c1", ("r1", "r2"), VIP)
        self.served_by(service, before)
        change()
        self.wait(after)
        self.served_by(service, after)
        lost, twice = service.stop()
        assert twice == 0
        order = [name for _, at, name in sorted(service.arrivals, key=lambda arrival: arrival[1])]
        assert [a for a, b in zip(order, order[1:]) if a != b] == [before], "it went back and forth"
        return lost


def test_a_client_on_the_wire_follows_the_guests():
    with lab.Lab() as place:
        site = Outside(place)
        first = site.routers["r1"]
        skew, down = ADVERT * 156 / 256, ADVERT * (3 + 156 / 256)
        lost = {"stopped": site.through(first.stop, "r1", "r2")}
        lost["back"] = site.through(first.start, "r2", "r1")

        def die():
            # Its address would go on answering: that is another failure than a guest that is gone.
            site.spaces["r1"].run("ip", "link", "set", "eth0", "down")
            first.kill()

        lost["died"] = site.through(die, "r1", "r2")
        print(f"lost of 1,000 a second: {lost}")
        # keepalived takes its address away before its peer has waited for the skew time; the rest is the machine's.
        assert lost["stopped"] <= 1000 * skew + 150
        assert lost["back"] <= 50
        assert lost["died"] <= 1000 * down + 200
