"""The systems that `balance` compares: each takes what comes from g1 for the face to one of the members."""
import contextlib
import os
import subprocess
import time

from harness import Failure, Netns, Vmacd
from switches import Switch, Unfit

FACE = "0a:be:00:00:00:01"
ADDRESS4, ADDRESS6 = "10.9.0.100", "fd00:9::100"
CLIENTS4, CLIENTS6 = "10.8.0.1", "fd00:8::1"


class Balancer(Switch):
    """near [g0] -- [g1] host [d0 … dN] -- [e0 … eN] far: each e is a member, and drops what it gets."""

    def __init__(self, stack, tools, directory, name, count):  # not Switch's: there is more than one far end
        self.stack, self.tools, self.name, self.count = stack, tools, name, count
        self.directory = os.path.join(directory, name)
        os.mkdir(self.directory)
        self.near, self.host, self.far = (Netns(stack, f"{name}-{part}") for part in "ghs")
        self.host.ip("link", "add", "g1", "type", "veth", "peer", "name", "g0", "address", self.near_mac, "netns",
                     self.near.name)
        self.host.ip("link", "set", "g1", "up")
        self.near.ip("link", "set", "g0", "up")
        self.make_links()

    def receivers(self):
        return [f"e{i}" for i in range(self.count)]

    learns = 0  # so many frames it takes of a flow until it is known for good

    def forget(self):
        """All flows that it knows."""

    def held(self):
        """How many flows it knows."""
        return 0


class Director(Balancer):
    """The real daemon: a segment with g1 as its uplink, every member's port here, and one port that is no member's, to
    which frames are simply forwarded."""

    learns = 3

    def make_links(self):
        if not self.tools.has_daemon:
            raise Unfit("vmacd is not built")
        self.vmacd = Vmacd(self.tools, self.directory, netns=self.host, plane=True)
        self.vmacd.instance += f"-{self.name}"
        self.stack.callback(self.vmacd.remove)
        self.vmacd.start()
        self.vmacd.ask("POST", "/v1/segments", {"name": "bench", "uplink": "g1"})
        self.vmacd.ask("POST", "/v1/pools", {"name": "bench", "segment": "bench"})
        self.macs = [self.add_port(f"d{i}", f"e{i}") for i in range(self.count)]
        self.plain_mac = self.add_port("plain", "eplain")
        self.forget()

    def add_port(self, ifname, peer):
        return self.vmacd.ask("POST", "/v1/ports", {
            "name": ifname, "kind": "veth", "segment": "bench", "ifname": ifname, "netns": self.far.path,
            "peer_ifname": peer, "allocate": {"pool": "bench"}})["vmac"]

    def receivers(self):
        return [*super().receivers(), "eplain"]

    def cluster(self):
        return self.vmacd.ask("GET", "/v1/clusters/bench")

    def forget(self):
        """By another cluster in its place: what is no cluster's has no flows."""
        with contextlib.suppress(Failure):
            self.vmacd.ask("DELETE", "/v1/clusters/bench")
        self.vmacd.ask("POST", "/v1/clusters", {
            "name": "bench", "segment": "bench", "faces": [FACE], "addresses": [ADDRESS4, ADDRESS6],
            "check": {"type": "none"}, "members": [{"member": mac} for mac in self.macs]})
        deadline = time.monotonic() + 60
        while not self.serves():
            if time.monotonic() > deadline:
                raise Failure(f"the cluster of {self.name} does not come up: {self.cluster()}")
            time.sleep(0.1)

    def serves(self):
        now = self.cluster()
        return (all(face["here"] for face in now["faces"]) and all(m["live"] == "up" for m in now["members"])
                and now["live"]["rows_unassigned"] == 0)

    def held(self):
        return sum(member["flows"] for member in self.cluster()["members"])

    def program_times(self):
        """{program: (nanoseconds, runs)}, as the kernel counts them with kernel.bpf_stats_enabled."""
        found, directory = {}, f"/proc/{self.vmacd.process.pid}/fdinfo"
        for name in os.listdir(directory):
            with contextlib.suppress(OSError), open(os.path.join(directory, name), encoding="ascii") as file:
                facts = dict(line.split(":", 1) for line in file.read().splitlines() if ":" in line)
                if "run_cnt" in facts:
                    found[int(facts["prog_id"])] = int(facts["run_time_ns"]), int(facts["run_cnt"])
        return found


def member_mac(i):
    return f"72:00:00:00:01:{i:02x}"


class Nft(Balancer):
    def make_links(self):
        for i in range(self.count):
            self.host.ip("link", "add", f"d{i}", "type", "veth", "peer", "name", f"e{i}", "address", member_mac(i), "netns",
                         self.far.name)
            self.host.ip("link", "set", f"d{i}", "up")
            self.far.ip("link", "set", f"e{i}", "up")
        done = subprocess.run(self.host.inside("nft", "-f", "-"), input=self.rules(), text=True, capture_output=True,
                              check=False)
        if done.returncode != 0:
            raise Unfit(f"nft: {done.stderr.strip().splitlines()[0] if done.stderr.strip() else 'refused'}")

    def pick(self, tuple_of):
        """A hash over one is refused; then both rows are the one member's."""
        return f"jhash {tuple_of} mod {max(self.count, 2)}"

    def turns(self):
        return [(i, min(i, self.count - 1)) for i in range(max(self.count, 2))]


class NftForward(Nft):
    """By netdev ingress: the hash of the tuple is the member, whose address is written, and out.  Nothing is remembered:
    whoever changes the members moves flows."""

    def rules(self):
        members = "".join(f"chain m{i} {{ ether daddr set {member_mac(i)} fwd to d{i}; }}\n" for i in range(self.count))
        verdicts = ", ".join(f"{turn} : goto m{i}" for turn, i in self.turns())
        return f"""table netdev lb {{
            {members}
            chain in {{
                type filter hook ingress device g1 priority 0;
                ether daddr {FACE} ip daddr {ADDRESS4} ip protocol udp {
                    self.pick("ip saddr . ip daddr . udp sport . udp dport")} vmap {{ {verdicts} }}
                ether daddr {FACE} ip daddr {ADDRESS4} ip protocol tcp {
                    self.pick("ip saddr . ip daddr . tcp sport . tcp dport")} vmap {{ {verdicts} }}
                ether daddr {FACE} ip6 daddr {ADDRESS6} ip6 nexthdr udp {
                    self.pick("ip6 saddr . ip6 daddr . udp sport . udp dport")} vmap {{ {verdicts} }}
                ether daddr {FACE} ip6 daddr {ADDRESS6} ip6 nexthdr tcp {
                    self.pick("ip6 saddr . ip6 daddr . tcp sport . tcp dport")} vmap {{ {verdicts} }}
            }}
        }}"""


@contextlib.contextmanager
def kernel_setting(name, value):
    """For all namespaces; as it was, after that."""
    path = f"/proc/sys/{name}"
    with open(path, encoding="ascii") as file:
        before = file.read()
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(str(value))
        yield
    finally:
        with open(path, "w", encoding="ascii") as file:
            file.write(before)


class NftDnat(Nft):
    """By routing: dnat to the member that the hash of a flow's first packet says, and conntrack remembers it.  The answers
    must come back this way, which is not measured."""

    learns = 1

    def make_links(self):
        self.stack.enter_context(kernel_setting("net/netfilter/nf_conntrack_max", 4 << 20))
        self.stack.enter_context(kernel_setting("net/netfilter/nf_conntrack_buckets", 1 << 20))
        super().make_links()
        for name, value in (("ipv4.ip_forward", 1), ("ipv4.conf.all.rp_filter", 0), ("ipv4.conf.g1.rp_filter", 0),
                            ("netfilter.nf_conntrack_checksum", 0), ("netfilter.nf_conntrack_udp_timeout", 3600),
                            ("netfilter.nf_conntrack_tcp_timeout_syn_sent", 5)):
            self.host.sysctl("net." + name, value)
        self.host.ip("link", "set", "g1", "address", FACE)
        self.host.ip("address", "add", "10.9.0.1/24", "dev", "g1")
        self.host.ip("route", "add", "10.8.0.0/16", "dev", "g1")
        for i in range(self.count):
            self.host.ip("route", "add", f"10.9.2.{i + 1}/32", "dev", f"d{i}")
            self.introduce(self.host, f"d{i}", f"10.9.2.{i + 1}", member_mac(i))

    def held(self):
        return int(self.host.run("cat", "/proc/sys/net/netfilter/nf_conntrack_count"))

    def rules(self):
        members = ", ".join(f"{turn} : 10.9.2.{i + 1}" for turn, i in self.turns())
        return f"""table ip lb {{
            chain pre {{
                type nat hook prerouting priority dstnat;
                ip daddr {ADDRESS4} ip protocol udp dnat to {
                    self.pick("ip saddr . ip daddr . udp sport . udp dport")} map {{ {members} }}
                ip daddr {ADDRESS4} ip protocol tcp dnat to {
                    self.pick("ip saddr . ip daddr . tcp sport . tcp dport")} map {{ {members} }}
            }}
        }}"""
