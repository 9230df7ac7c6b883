"""balance: what it costs that a cluster's host chooses a member for each frame, how evenly, and what breaks when
members and anchors come and go.  Beside nftables with a hash over the same members.

README.md says how each figure is taken.
"""
import json
import os
import sys
import time

from balancers import ADDRESS4, ADDRESS6, CLIENTS4, CLIENTS6, FACE, Director, NftDnat, NftForward, kernel_setting
from harness import ROOT, Failure, Samples, in_turn, machine, must, pin_directory, run_json, say, scratch, spread, tidy
from harness import run as run_program
from switches import Nothing, Unfit

sys.path.insert(0, os.path.join(ROOT, "tests", "lab"))

ROUNDS = 5
MANY = 1_000_000
MORE_MOST = 100  # ns that a director's frame may cost more than one that is simply forwarded

PROGRAM = "the program alone, over plain forwarding: "
TIMES = "the program alone, times plain forwarding: "
HELD = "flows held of 1,000,000: "
UNKNOWN = "frames of flows that are not held: "
TABLE = "rows made anew, "
SHARE, SHARE_MOST = "most loaded of 32 equal members / their mean", "the same, the worst of 21 keys"
BROKEN = "flows of members that live, broken: "
KILLED = "flows of the killed member, broken"
GONE, TAKEN = "a member's host is gone: until its rows are others'", "an anchor's host is gone: until the switch hears another"


# --- part 1: the program alone, and rows ----------------------------------------------------------------


def members_of(count):
    return f"{count:,} member{'s' if count > 1 else ''}"


def measure_programs(tools, samples, rounds, quick):
    """tests/bpf/cost_cluster.c: BPF_PROG_RUN of the program, repeated."""
    cost = os.path.join(tools.build, "tests", "bpf", "bpf_cost_cluster")
    run_program("ninja", "-C", tools.build, "tests/bpf/bpf_cost_cluster")
    turns = "51" if quick else "201"
    for index in range(rounds):
        say(f"balance: the program alone, round {index + 1} of {rounds}")
        for line in run_program(cost, "--json", "--turns", turns, *(("--members", "32") if quick else ())).splitlines():
            entry = json.loads(line)
            many = entry["flows"] == MANY
            case = entry["case"].replace("known flows", f"{MANY:,} known flows") + (
                ", member elsewhere" if entry["where"] == "elsewhere" else "")
            system = f"vmac, {members_of(entry['members'])}"
            samples.add(PROGRAM + case, system, entry["more_ns"], "ns/frame")
            samples.add(TIMES + case, system, entry["ratio"], "ratio")
            if many:
                samples.add(HELD + entry["case"], system, entry["held"], "flows")
                samples.add(UNKNOWN + entry["case"], system, 100 * entry["unknown"], "%")


def measure_tables(tools, samples, rounds):
    for index in range(rounds):
        say(f"balance: tables, round {index + 1} of {rounds}")
        for line in run_program(tools.tables).splitlines():
            entry = json.loads(line)
            samples.add(TABLE + entry["case"], entry["system"], entry["ms"], "ms")
            if "share" in entry:
                samples.add(SHARE, entry["system"], entry["share"], "ratio")
                samples.add(SHARE_MOST, entry["system"], entry["share_most"], "ratio")


# --- part 2: the whole path -----------------------------------------------------------------------------

FLOOR, PLAIN = "floor", "vmac, plain forwarding"
OURS = {count: f"vmac, director, {members_of(count)}" for count in (1, 32)}
FORWARD = {count: f"nftables, hash and fwd, {members_of(count)}" for count in (1, 32)}
DNAT = f"nftables, dnat and conntrack, {members_of(32)}"
NET = "CPU a frame net of the floor, "
MORE = "CPU a frame more than plain forwarding, "
OWN = "the program's own time on these frames, more than plain forwarding, "
OVER = "CPU a frame net of the floor, over nftables' (hash and fwd), "

BURSTS, FRAMES = 3, 100_000
SYN, ACK = "0x02", "0x10"


class Frames:
    """A case: what is sent."""

    def __init__(self, name, ip6=False, tcp=False, flows=1, new=False, without=()):
        self.name, self.ip6, self.tcp, self.flows, self.new, self.without = name, ip6, tcp, flows, new, without

    def options(self, begin):
        more = ["--sip", CLIENTS6 if self.ip6 else CLIENTS4, "--dip", ADDRESS6 if self.ip6 else ADDRESS4,
                "--size", "74" if self.ip6 else "60", "--rewritten"]
        return more + (["--tcp", SYN if begin or self.new else ACK] if self.tcp else [])


# Of TCP, conntrack takes for a flow only what is answered.
CASES = (
    Frames("UDP, IPv4, one flow"),
    Frames("TCP, IPv6, one flow", ip6=True, tcp=True, without=(DNAT,)),
    Frames(f"UDP, IPv4, {MANY:,} known flows", flows=MANY),
    Frames(f"TCP, IPv6, {MANY:,} known flows", ip6=True, tcp=True, flows=MANY, without=(DNAT,)),
    Frames("SYN, IPv4, each a new flow", tcp=True, flows=1 << 31, new=True))


class Cost:
    def __init__(self, stack, tools, samples, quick):
        self.stack, self.tools, self.samples = stack, tools, samples
        self.cpu = max(os.sched_getaffinity(0))
        self.systems, self.sent, self.lost = {}, {}, {}
        self.frames, self.bursts = (FRAMES // 2, 2) if quick else (FRAMES, BURSTS)

    def build(self):
        directory = scratch(self.stack)
        makes = [(FLOOR, Nothing)]
        makes += [(OURS[count], lambda *a, n=count: Director(*a, n)) for count in OURS]
        makes += [(FORWARD[count], lambda *a, n=count: NftForward(*a, n)) for count in FORWARD]
        makes += [(DNAT, lambda *a: NftDnat(*a, 32))]
        for index, (name, make) in enumerate(makes):
            say(f"balance: setting up {name}")
            try:
                switch = make(self.stack, self.tools, directory, f"l{index}")
            except Unfit as why:
                say(f"balance: no {name}: {why}")
                for case in CASES:
                    self.samples.skip(NET + case.name, name, "ns/frame", f"skipped: {why}")
                continue
            switch.pins = pin_directory(self.stack, f"l{index}")
            switch.receive_like_a_nic()
            netns, links = (switch.far, switch.receivers()) if name != FLOOR else (switch.host, ["g1"])
            netns.run(self.tools.frames, "sink", links[0], switch.pins, *links[1:])
            self.systems[name] = switch
        # The same host, links and guards; to a port that is no member's.
        if OURS[32] in self.systems:
            self.systems[PLAIN] = self.systems[OURS[32]]

    def names(self, case):
        return [name for name in self.systems if name not in case.without]

    def send(self, case, name, frames, begin=False):
        switch = self.systems[name]
        to = switch.plain_mac if name == PLAIN else FACE
        first = self.sent.get((case, name), 0)
        self.sent[(case, name)] = first + frames
        done = run_json(*switch.near.inside(
            self.tools.frames, "send", "--out", "g0", "--count", f"{switch.pins}/sink_count", "--src", switch.near_mac,
            "--dst", to, "--frames", str(frames), "--cpu", str(self.cpu), *case.options(begin),
            *(("--flows", str(case.flows), "--first", str(first)) if case.flows > 1 else ())))
        lost = done["sent"] - done["received"]
        if lost:
            self.lost[(case, name)] = self.lost.get((case, name), 0) + lost
        return done

    def prepare(self, case):
        """Nothing of an earlier case is known; all of this one's flows are, unless they shall be new."""
        for name in self.names(case):
            if name not in (FLOOR, PLAIN):
                self.systems[name].forget()
                for begin in () if case.new else (True, False, False):
                    self.send(case, name, max(case.flows, 64), begin)

    def keep_known(self, case):
        """What is idle for 30 s is forgotten, of UDP."""
        for name in self.names(case):
            if case.flows == MANY and name not in (FLOOR, PLAIN):
                self.send(case, name, MANY)
                held = self.systems[name].held()
                if held is not None:
                    self.samples.add("of these flows are known, " + case.name, name, held, "flows")

    def round(self, case, index):
        names, least = in_turn(self.names(case), index), {}
        self.keep_known(case)
        for burst in range(self.bursts):
            for name in in_turn(names, burst):
                done = self.send(case, name, self.frames)
                cost = (done["busy_ns"] + done["softirqd_ns"]) / done["sent"]
                least[name] = min(least.get(name, float("inf")), cost)
        for name in names:
            if name != FLOOR:
                self.samples.add(NET + case.name, name, least[name] - least[FLOOR], "ns/frame")
        for name in OURS.values():
            if name in least:
                self.samples.add(MORE + case.name, name, least[name] - least[PLAIN], "ns/frame")
        self.own_times(case)
        for name in names:
            if (case, name) in self.lost:
                self.samples.note(NET + case.name, name, f"{self.lost[(case, name)]:,} frames lost")

    def own_times(self, case):
        """By the kernel's own clock around each run of a program, of which the cost is in both."""
        least = {}
        with kernel_setting("kernel/bpf_stats_enabled", 1):
            for burst in range(self.bursts):
                for name in in_turn([n for n in (PLAIN, *OURS.values()) if n in self.systems], burst):
                    before = self.systems[name].program_times()
                    self.send(case, name, self.frames // 2)
                    after = self.systems[name].program_times()
                    ran = [(ns - before.get(number, (0, 0))[0], runs - before.get(number, (0, 0))[1])
                           for number, (ns, runs) in after.items()]
                    # The one that sees each frame; others see what the daemon says meanwhile.
                    ns, runs = max(ran, key=lambda one: one[1])
                    least[name] = min(least.get(name, float("inf")), ns / runs)
        for name in OURS.values():
            if name in least:
                self.samples.add(OWN + case.name, name, least[name] - least[PLAIN], "ns/frame")

    def measure(self, rounds):
        for case in CASES:
            say(f"balance: {case.name}")
            self.prepare(case)
            for index in range(rounds):
                self.round(case, index)
            for count, name in OURS.items():
                for ratio in self.samples.ratios(NET + case.name, name, FORWARD[count]):
                    self.samples.add(OVER + case.name, name, ratio, "ratio")


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


def middle(values):
    values = [v for v in values if v is not None]
    return spread(values)[0] if values else None


def cost_musts(samples):
    found = []
    for case, system in sorted(samples.values):
        for what in (PROGRAM, MORE, OWN):
            if case.startswith(what):
                found.append(must(f"{case}, {system.removeprefix('vmac, ').removeprefix('director, ')}, ns, at most",
                                  MORE_MOST, middle(samples.of(case, system)), at_most=True))
    return found


def musts(samples):
    found = cost_musts(samples)
    for what in ("a member joined", "a member drains", "a member was killed", "the killed member was removed",
                 "an anchor's host was killed"):
        values = samples.of(BROKEN + what, "vmac")
        found.append(must(BROKEN + what + " (most)", 0, max(values) if values else None, at_most=True))
    shares = samples.of(SHARE, "rendezvous")
    found.append(must(SHARE + " (rendezvous, median of keys)", 1.05, middle(shares), at_most=True))
    found.append(must(TAKEN + ", ms (most)", 1000, max([v for v in samples.of(TAKEN, "vmac") if v] or [None]),
                      at_most=True))
    return found


def measure_path(tools, samples, rounds, quick):
    with tidy() as stack:
        cost = Cost(stack, tools, samples, quick)
        cost.build()
        cost.measure(rounds)


def run(tools, rounds, quick):
    if os.geteuid() != 0:
        raise Failure("balance makes network namespaces and loads programs: run it as root")
    os.environ["VMAC_BUILD"] = tools.build
    import lab
    if lab.missing():
        raise Failure(lab.missing())
    samples = Samples()
    measure_programs(tools, samples, min(rounds, 3), quick)
    measure_tables(tools, samples, min(rounds, 3))
    measure_path(tools, samples, rounds, quick)
    for index in range(1 if quick else min(rounds, 3)):
        say(f"balance: changes, round {index + 1}")
        measure_changes(samples, index, 1000 if quick else 5000)
    return {"bench": "balance", "machine": machine(), "rows": samples.rows(), "musts": musts(samples)}
