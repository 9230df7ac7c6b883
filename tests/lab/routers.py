"""Hosts that run vmacd as redundant routers on one LAN, and what a test wants to know of them."""
import contextlib
import pathlib
import re
import signal
import time

import lab
import wire

V4, V6, LL6 = "10.9.0.100", "2001:db8:9::100", "fe80::9:100"
MAC4, MAC6 = "00:00:5e:00:01:07", "00:00:5e:00:02:07"
DUAL = ("--address", f"{V4}/24", "--address", f"{LL6}/64", "--address", f"{V6}/64")


class Host:
    """One vmacd with (mostly) one router, "gw"."""

    def __init__(self, lan, name, *options):
        self.lan, self.name, self.ns = lan, name, lan[name]
        self.daemon = lan.place.daemon(self.ns, f"d-{name}", *options)

    def vmac(self, *arguments, **options):
        return self.daemon.vmac(*arguments, **options)

    def add(self, *options, name="gw", protocol="vrrp3", interface="eth0", group=7):
        where = ["--interface", interface, "--group", group] if interface else []
        self.vmac("router", "add", name, "--protocol", protocol, *where, *options)

    def set(self, *options, name="gw"):
        self.vmac("router", "set", name, *options)

    def show(self, name="gw"):
        return self.daemon.vmacj("router", "show", name)

    def live(self, name="gw"):
        return self.show(name)["live"]

    def state(self, name="gw"):
        return self.live(name)["state"]

    def history(self, name="gw"):
        """Transitions, the oldest first."""
        return self.daemon.vmacj("router", "history", name)["items"][::-1]

    def reasons(self, name="gw"):
        return [line["reason"] for line in self.history(name)]

    def wait(self, state, seconds=10, name="gw"):
        try:
            lab.wait_for(f"{self.name} is {state}", lambda: self.state(name) == state, seconds, 0.02)
        except lab.LabError as problem:
            raise lab.LabError(f"{problem}; {self.live(name)}; {self.history(name)}") from None

    def stop(self, seconds=20):
        assert self.daemon.kill(signal.SIGTERM, seconds) == 0, self.daemon.tail()

    def kill(self):
        self.daemon.kill(signal.SIGKILL)

    def start(self):
        self.daemon.start()

    def devices(self):
        """Links that carry vMACs."""
        return re.findall(r"^\d+: ([^:@]+)@", self.ns.run("ip", "-o", "link", "show", "type", "macvlan").stdout, re.M)

    def has(self, address):
        return f" {address}/" in self.ns.run("ip", "-o", "addr").stdout

    def log_lines(self):
        return self.daemon.log.read_text(errors="replace").count("\n")


class Twins:
    """Two of them, r1 and r2, a client c1, and perhaps a network inside with a host h1 behind both."""

    def __init__(self, place, more=(), inner=False):
        self.place = place
        self.lan = wire.Lan(place, "r1", "r2", "c1", *more)
        self.inner = None
        if inner:
            self.inner = wire.Lan.__new__(wire.Lan)
            self._make_inner(place)
        self.r1, self.r2 = Host(self.lan, "r1"), Host(self.lan, "r2")

    def _make_inner(self, place):
        inner = self.inner
        inner.place, inner.nodes, inner.numbers = place, {}, {}
        inner.switch = place.netns("inner")
        inner.switch.sh("ip link add br0 type bridge mcast_snooping 0; ip link set br0 up")
        for number, name in enumerate(("r1", "r2", "h1"), 1):
            node = self.lan.nodes.get(name) or place.netns(name)
            link = "eth1" if name in self.lan.nodes else "eth0"
            place.link(node, link, inner.switch, name)
            inner.switch.run("ip", "link", "set", name, "master", "br0")
            node.sh(f"ip addr add 10.8.0.{number}/24 dev {link};"
                    f"ip -6 addr add 2001:db8:8::{number}/64 dev {link} nodad")
            inner.nodes[name], inner.numbers[name] = node, number
        self.lan["c1"].sh(f"ip route add 10.8.0.0/24 via {V4}; ip -6 route add 2001:db8:8::/64 via {V6}")

    def both(self, *options, first=150, second=100, **named):
        """The same router on both; r1 is active when this is done."""
        self.r1.add("--priority", first, *options, **named)
        self.r1.wait("active")
        self.r2.add("--priority", second, *options, **named)

    def service(self, address=V4, port=7100):
        return wire.Service(self.lan, "c1", ("r1", "r2"), address, port=port)

    def actives(self, name="gw"):
        return [host.name for host in (self.r1, self.r2) if host.state(name) == "active"]


@contextlib.contextmanager
def served(twins, addresses, at):
    """Datagrams at 1 kpps to each address; within, the first router has them.  After: `lost` and `twice`."""
    services = [twins.service(address, 7100 + n) for n, address in enumerate(addresses)]
    for service in services:
        lab.wait_for(f"{service.address} is served by {at}", lambda s=service: s.at() == at, 10, 0.02)
    result = Served(services)
    try:
        yield result
    finally:
        result.stop()


class Served:
    def __init__(self, services):
        self.services, self.lost, self.twice = services, None, None

    def wait_at(self, router, seconds=10):
        for service in self.services:
            lab.wait_for(f"{service.address} is served by {router}", lambda s=service: s.at() == router, seconds, 0.02)

    def stop(self):
        if self.lost is None:
            sums = [service.stop() for service in self.services]
            self.lost, self.twice = [s[0] for s in sums], [s[1] for s in sums]
        return self

    def nothing_lost(self):
        self.stop()
        assert not any(self.lost) and not any(self.twice), f"lost {self.lost}, twice {self.twice} at 1 kpps"


class NetlinkWrites:
    """What a process asks the kernel to make, change or take away by netlink, one line a message.  strace knows what a
    socket is in its own namespace only."""

    def __init__(self, ns, process):
        self.path = ns.lab.directory / f"strace-{time.monotonic_ns()}"
        self.tracer = ns.start("strace", "-f", "-qq", "-yy", "-e", "trace=sendto,sendmsg,sendmmsg", "-o", self.path,
                               "-p", process.pid)
        lab.wait_for("strace is at all threads", lambda: all(
            "TracerPid:\t0\n" not in (task / "status").read_text()
            for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir()), 5)

    def end(self):
        self.tracer.terminate()
        self.tracer.wait()
        text = self.path.read_text()
        assert "send" in text, "nothing at all was seen"
        return [line for line in text.splitlines() if re.search(r"RTM_(NEW|DEL|SET)|NLMSG_ERROR", line)]


class watched:
    """Every change that the kernel tells of in a namespace (links, addresses, routes, rules, neighbours, filters,
    tunables) and that is no neighbour's own doing."""

    def __init__(self, ns):
        self.ns, self.path = ns, ns.lab.directory / f"monitor-{time.monotonic_ns()}"

    def __enter__(self):
        with open(self.path, "wb") as out:
            self.processes = [self.ns.start("ip", "monitor", "link", "address", "route", "rule", "netconf", "nexthop",
                                            stdout=out, stderr=out),
                              self.ns.start("tc", "monitor", stdout=out, stderr=out)]
        # Both listen as soon as they see a change that we make.
        self.ns.sh("ip link add mark type veth peer name kram")
        lab.wait_for("the monitors listen", self._marked, 5)
        self.ns.sh("ip link del mark")
        lab.wait_for("the mark is gone", lambda: "Deleted" in self.path.read_text(), 5)
        self.begun = len(self.path.read_text())
        return self

    def _marked(self):
        if "mark" in self.path.read_text():
            return True
        self.ns.sh("ip link set mark mtu $(( $(cat /sys/class/net/mark/mtu) + 1 ))", check=False)
        return False

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
            process.wait()

    def lines(self):
        return [line for line in self.path.read_text()[self.begun:].splitlines() if line.strip()]
