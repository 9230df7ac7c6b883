"""balance: what it costs that a cluster's host chooses a member for each frame, how evenly, and what breaks when
members and anchors come and go.  Beside nftables with a hash over the same members.

README.md says how each figure is taken.
"""
import json
import os
import statistics
import subprocess
import sys
import time

from harness import ROOT, Failure, Samples, in_turn, machine, must, pin_directory, run_json, say, scratch, tidy
from harness import run as run_program
from switches import Nothing, Ours, Switch, Unfit

sys.path.insert(0, os.path.join(ROOT, "tests", "lab"))

ROUNDS = 5
FACE, ADDRESS = "0a:be:00:00:00:01", "10.9.0.100"
FLOWS = 1_000_000
FRAMES, BURSTS = 100_000, 3
FLOOR, PLAIN = "floor", "vmac, no balancing"
COST = "CPU a frame net of the floor, 64 B, "
TABLE = "rows made anew, "
DECISION = "decision alone, "
BROKEN = "flows of members that live, broken: "
KILLED = "flows of the killed member, broken"
SHARE = "most loaded of 32 equal members / their mean"
GONE, TAKEN = "a member's host is gone: until its rows are others'", "an anchor's host is gone: until the switch hears another"


def ours(count):
    return f"vmac, {count} members" if count > 1 else "vmac, 1 member"


def theirs(count):
    return f"nftables, {count} members" if count > 1 else "nftables, 1 member"


# --- the systems ----------------------------------------------------------------------------------------


class Members(Switch):
    """near [g0] -- [g1] host [d0 … dN] -- [e0 … eN] far: each e is a member, and drops what it gets."""

    def __init__(self, stack, tools, directory, name, count):
        self.count = count
        super().__init__(stack, tools, directory, name)

    def receivers(self):
        return [f"e{i}" for i in range(self.count)]


class OursDirector(Members, Ours):
    def make_links(self):
        if not self.tools.has_daemon:
            raise Unfit("vmacd is not built")
        from harness import Vmacd
        self.vmacd = Vmacd(self.tools, self.directory, netns=self.host, plane=True)
        self.vmacd.instance += f"-{self.name}"
        self.stack.callback(self.vmacd.remove)
        self.vmacd.start()
        self.vmacd.ask("POST", "/v1/segments", {"name": "bench"})
        self.vmacd.ask("POST", "/v1/pools", {"name": "bench", "segment": "bench"})
        # No address is bound to the client: its flows have a million.
        self.near_mac = self.vmacd.ask("POST", "/v1/ports", {
            "name": "g1", "kind": "veth", "segment": "bench", "ifname": "g1", "netns": self.near.path,
            "peer_ifname": "g0", "allocate": {"pool": "bench"}})["vmac"]
        self.macs = [self.add_port("veth", f"d{i}", f"10.9.2.{i + 1}" if i < 200 else f"10.9.3.{i - 199}",
                                   netns=self.far.path, peer_ifname=f"e{i}") for i in range(self.count)]
        self.far_mac = self.macs[0]
        self.vmacd.ask("POST", "/v1/clusters", {
            "name": "bench", "segment": "bench", "faces": [FACE], "addresses": [ADDRESS], "check": {"type": "none"},
            "members": [{"member": mac} for mac in self.macs]})
        self.near.ip("link", "set", "g0", "up")
        deadline = time.monotonic() + 20
        while any(m["live"] != "up" for m in self.members()):
            if time.monotonic() > deadline:
                raise Failure(f"members of {self.name} do not come up: {self.members()[:2]}")
            time.sleep(0.1)

    def members(self):
        return self.vmacd.ask("GET", "/v1/clusters/bench")["members"]

    @staticmethod
    def introduce(netns, link, ip, mac):
        """The frames are made whole; nobody asks for addresses."""


class Nftables(Members):
    """A netdev ingress chain: hash of source address and port, the member's address and link by maps."""

    def make_links(self):
        self.host.ip("link", "add", "g1", "type", "veth", "peer", "name", "g0", "address", self.near_mac, "netns",
                     self.near.name)
        self.host.ip("link", "set", "g1", "up")
        self.near.ip("link", "set", "g0", "up")
        macs = []
        for i in range(self.count):
            mac = f"72:00:00:00:01:{i:02x}"
            self.host.ip("link", "add", f"d{i}", "type", "veth", "peer", "name", f"e{i}", "address", mac, "netns",
                         self.far.name)
            self.host.ip("link", "set", f"d{i}", "up")
            self.far.ip("link", "set", f"e{i}", "up")
            macs.append(mac)
        pick = f"jhash ip saddr . udp sport mod {self.count}" if self.count > 1 else "jhash ip saddr . udp sport mod 2"
        names = list(enumerate(macs)) if self.count > 1 else [(0, macs[0]), (1, macs[0])]
        to_mac = ", ".join(f"{i} : {mac}" for i, mac in names)
        to_link = ", ".join(f'{i} : "d{min(i, self.count - 1)}"' for i, _ in names)
        rules = f"""table netdev lb {{
            chain in {{
                type filter hook ingress device g1 priority 0;
                ether daddr {FACE} ip daddr {ADDRESS} ether daddr set {pick} map {{ {to_mac} }} fwd to {pick} map {{ {to_link} }}
            }}
        }}"""
        done = subprocess.run(self.host.inside("nft", "-f", "-"), input=rules, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise Unfit(f"nft: {done.stderr.strip().splitlines()[0] if done.stderr.strip() else 'refused'}")

    @staticmethod
    def introduce(netns, link, ip, mac):
        """The frames are made whole."""


# --- part 1: what a frame costs -------------------------------------------------------------------------


class Cost:
    def __init__(self, stack, tools, samples, quick):
        self.stack, self.tools, self.samples = stack, tools, samples
        self.cpu = max(os.sched_getaffinity(0))
        self.systems, self.sent = {}, {}
        self.frames = FRAMES // 2 if quick else FRAMES

    def build(self, counts):
        directory = scratch(self.stack)
        makes = [(FLOOR, lambda *a: Nothing(*a))]
        makes += [(ours(n), lambda *a, n=n: OursDirector(*a, n)) for n in counts]
        makes += [(theirs(n), lambda *a, n=n: Nftables(*a, n)) for n in counts]
        for index, (name, make) in enumerate(makes):
            say(f"balance: setting up {name}")
            try:
                switch = make(self.stack, self.tools, directory, f"l{index}")
            except Unfit as why:
                say(f"balance: no {name}: {why}")
                for flows in (1, FLOWS):
                    self.samples.skip(self.case(flows), name, "ns/frame", f"skipped: {why}")
                continue
            switch.pins = pin_directory(self.stack, f"l{index}")
            switch.receive_like_a_nic()
            switch.counts = []
            links = switch.receivers() if hasattr(switch, "receivers") else [switch.sink()[1]]
            netns = switch.far if hasattr(switch, "receivers") else switch.sink()[0]
            for link in links:
                pins = pin_directory(self.stack, f"l{index}/{link}")
                netns.run(self.tools.frames, "sink", link, pins)
                switch.counts.append(f"{pins}/sink_count")
            self.systems[name] = switch
        # Plain forwarding is the same host, links and guards, and the member addressed by itself.
        if ours(1) in self.systems:
            self.systems[PLAIN] = self.systems[ours(1)]

    @staticmethod
    def case(flows):
        return COST + ("one flow" if flows == 1 else f"{flows:,} flows")

    def send(self, name, flows, frames):
        switch = self.systems[name]
        to = switch.far_mac if name in (PLAIN, FLOOR) else FACE
        first = self.sent.get((name, flows), 0)
        self.sent[(name, flows)] = first + frames
        # One sink's count is enough to settle on; what all got is summed by the caller where it matters.
        return run_json(*switch.near.inside(
            self.tools.frames, "send", "--out", "g0", "--count", switch.counts[0], "--src", switch.near_mac, "--dst", to,
            "--sip", "10.8.0.1", "--dip", ADDRESS, "--size", "60", "--frames", str(frames), "--cpu", str(self.cpu),
            *(("--flows", str(flows), "--first", str(first)) if flows > 1 else ())))

    def warm(self):
        """All flows are known before one is measured."""
        for name in self.systems:
            if name != FLOOR:
                self.send(name, FLOWS, 2 * FLOWS)

    def round(self, index):
        names = in_turn(list(self.systems), index)
        for flows in (1, FLOWS):
            least = {}
            for burst in range(BURSTS):
                for name in in_turn(names, burst):
                    done = self.send(name, flows, self.frames)
                    cost = (done["busy_ns"] + done["softirqd_ns"]) / done["sent"]
                    least[name] = min(least.get(name, float("inf")), cost)
            for name in names:
                if name != FLOOR:
                    self.samples.add(self.case(flows), name, least[name] - least[FLOOR], "ns/frame")


# --- part 2: the decision alone, and rows ---------------------------------------------------------------


def measure_programs(tools, samples, rounds):
    """The programs run by themselves (BPF_PROG_RUN) and the tables built: tools of the tests and of the bench."""
    cost = os.path.join(tools.build, "tests", "bpf", "bpf_cluster_cost")
    if not os.path.exists(cost):
        run_program("ninja", "-C", tools.build, "tests/bpf/bpf_cluster_cost")
    for index in range(rounds):
        say(f"balance: programs, round {index + 1} of {rounds}")
        for line in run_program(cost, "--json").splitlines():
            entry = json.loads(line)
            samples.add(DECISION + entry["case"], entry["system"], entry["ns"], "ns/frame")
        for line in run_program(tools.tables).splitlines():
            entry = json.loads(line)
            samples.add(TABLE + entry["case"], entry["system"], entry["ms"], "ms")
            if "share" in entry:
                samples.add(SHARE, entry["system"], entry["share"], "ratio")


# --- part 3: what breaks --------------------------------------------------------------------------------


def measure_changes(samples, index, count):
    """Members and an anchor come and go under `count` connections, each octet checked (tests/lab/clusters.py)."""
    import lab
    from clusters import PORT, V4, Farm
    from moving import Sources
    with lab.Lab() as place:
        farm = Farm(place)
        farm.spread(8)
        farm.cluster("--check", "tcp", "--check-port", PORT, "--check-interval", "500ms", "--check-timeout", "400ms",
                     addresses=(V4,))
        farm.wait_live("up")
        anchor = farm.wait_anchor()
        load = farm.load("tcp", V4, count)
        before = load.wait_connected()
        load.settle(1)

        def broken(what, but=()):
            nonlocal before
            status = load.settle(2)
            lost = sum(m["broken"] - before["members"].get(name, {"broken": 0})["broken"]
                       for name, m in status["members"].items() if name not in but)
            samples.add(BROKEN + what, "vmac", lost, "")
            before = status
            return status

        ninth = farm.member("kvm1", "ninth")
        farm.host("kvm1").vmac("cluster", "member", "add", "web", ninth.mac)
        farm.wait_live({"ninth": "up"})
        broken("a member joined")
        farm.host("kvm1").vmac("cluster", "member", "drain", "web", farm.members["m3"].mac)
        broken("a member drains")
        farm.members["m1"].die()
        farm.wait_live({"m1": "down"})
        status = broken("a member was killed", but=("m1",))
        samples.add(KILLED, "vmac", status["members"]["m1"]["broken"], "")
        farm.host("kvm1").vmac("cluster", "member", "remove", "web", farm.members["m1"].mac)
        broken("the killed member was removed", but=("m1",))

        face = farm.show()["faces"][0]["address"]
        other = next(name for name in farm.fleet.hosts if name != anchor)
        dead = [m.name for m in farm.members.values() if m.host.name == anchor]
        sources = Sources(farm.fleet.switch, list(farm.fleet.hosts), face)
        host = farm.host(anchor)
        began = time.time()
        host.ns.run("ip", "link", "set", "eth0", "down")
        host.kill()
        while not all(state in ("absent", "drained", "failed") for name, state in farm.live(host=other).items()
                      if name in dead):
            if time.time() - began > 10:
                raise Failure("the other host does not notice")
            time.sleep(0.01)
        samples.add(GONE, "vmac", (time.time() - began) * 1000, "ms")
        farm.wait_anchor(but=(anchor,))
        time.sleep(0.5)
        moved = next((at for at, port in sources.end() if port == other), None)
        samples.add(TAKEN, "vmac", moved and (moved - began) * 1000, "ms")
        broken("an anchor's host was killed", but=(*dead, "m1"))
        load.end()


# --- the whole ------------------------------------------------------------------------------------------


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def musts(samples):
    found = []
    plain = "plain forwarding"
    for count in (1, 32, 1000):
        for flows in ("one flow", "1,000,000 flows"):
            case = DECISION + flows
            more = [a - b for a, b in zip(samples.of(case, f"{count} members"), samples.of(case, plain))]
            found.append(must(f"decision, {count} members, {flows}: more than plain forwarding, ns", 100, median(more),
                              at_most=True))
    for what in ("a member joined", "a member drains", "a member was killed", "the killed member was removed",
                 "an anchor's host was killed"):
        values = samples.of(BROKEN + what, "vmac")
        found.append(must(BROKEN + what + " (most)", 0, max(values) if values else None, at_most=True))
    shares = samples.of(SHARE, "rendezvous")
    found.append(must(SHARE + " (rendezvous, median of keys)", 1.05, median(shares), at_most=True))
    found.append(must(TAKEN + ", ms (most)", 1000, max([v for v in samples.of(TAKEN, "vmac") if v] or [None]),
                      at_most=True))
    for flows in (1, FLOWS):
        pairs = samples.ratios(Cost.case(flows), ours(32), theirs(32))
        found.append(must(f"whole path, 32 members, {'one flow' if flows == 1 else f'{flows:,} flows'}: CPU / nftables'", 1,
                          median(pairs), at_most=True))
    return found


def run(tools, rounds, quick):
    os.environ["VMAC_BUILD"] = tools.build
    import lab
    if lab.missing():
        raise Failure(lab.missing())
    samples = Samples()
    measure_programs(tools, samples, rounds)
    with tidy() as stack:
        cost = Cost(stack, tools, samples, quick)
        cost.build((1, 32))
        cost.warm()
        for index in range(rounds):
            say(f"balance: whole path, round {index + 1} of {rounds}")
            cost.round(index)
    for index in range(1 if quick else min(rounds, 3)):
        say(f"balance: changes, round {index + 1}")
        measure_changes(samples, index, 1000 if quick else 5000)
    return {"bench": "balance", "machine": machine(), "rows": samples.rows(), "musts": musts(samples)}

