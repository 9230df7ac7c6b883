"""What of `balance` a frame costs on its whole path: real frames from the wire to members' links, and the same through
nftables."""
import os

from balancers import ADDRESS4, ADDRESS6, CLIENTS4, CLIENTS6, FACE, Director, NftDnat, NftForward, kernel_setting
from harness import in_turn, pin_directory, run_json, say, scratch, tidy
from switches import Nothing, Unfit

MANY = 1_000_000
FLOOR, PLAIN = "floor", "vmac, plain forwarding"
OURS = {1: "vmac, director, 1 member", 32: "vmac, director, 32 members"}
HASH, DNAT = "nftables, hash and fwd, 32 members", "nftables, dnat and conntrack, 32 members"
NET = "CPU a frame net of the floor, "
MORE = "CPU a frame more than plain forwarding, "
OWN = "the program's own clock on these frames, more than plain forwarding, "
OVER = "CPU a frame net of the floor, vmac over nftables' hash and fwd, "
KNOWN = "flows known, "
LINE = "one line of 8 MiB of memory, read at random, beside: "

BURSTS, FRAMES = 5, 50_000
AT_ONCE = 250_000  # of flows that begin: their later frames come before those of the next ones
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


class Path:
    def __init__(self, stack, tools, samples, quick):
        self.stack, self.tools, self.samples = stack, tools, samples
        self.cpu = max(os.sched_getaffinity(0))
        self.systems, self.sent, self.lost = {}, {}, {}
        self.bursts, self.cases = (2, CASES[::2]) if quick else (BURSTS, CASES)

    def build(self):
        directory = scratch(self.stack)
        makes = [(FLOOR, Nothing)]
        makes += [(OURS[count], lambda *a, n=count: Director(*a, n)) for count in OURS]
        makes += [(HASH, lambda *a: NftForward(*a, 32)), (DNAT, lambda *a: NftDnat(*a, 32))]
        for index, (name, make) in enumerate(makes):
            say(f"balance: setting up {name}")
            try:
                switch = make(self.stack, self.tools, directory, f"l{index}")
            except Unfit as why:
                say(f"balance: no {name}: {why}")
                for case in self.cases:
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

    def balancers(self, case):
        return [name for name in self.systems if name not in (FLOOR, PLAIN, *case.without)]

    # --- frames ----------------------------------------------------------------------------------------

    def send(self, case, name, frames, begin=False, first=None):
        """The result, or None where frames were lost: what is dropped costs less."""
        switch = self.systems[name]
        if first is None:
            first = self.sent.get((case, name), 0)
            self.sent[(case, name)] = first + frames
        done = run_json(*switch.near.inside(
            self.tools.frames, "send", "--out", "g0", "--count", f"{switch.pins}/sink_count", "--src", switch.near_mac,
            "--dst", switch.plain_mac if name == PLAIN else FACE, "--frames", str(frames), "--cpu", str(self.cpu),
            *case.options(begin), *(("--flows", str(case.flows), "--first", str(first)) if case.flows > 1 else ())))
        return done if done["received"] >= done["sent"] else None

    def prepare(self, case):
        """Nothing of an earlier case is known; all of this one's flows are, unless they shall be new."""
        for name in self.balancers(case):
            self.systems[name].forget()
            if case.new:
                continue
            for first in range(0, case.flows, AT_ONCE):
                for turn in range(self.systems[name].learns):
                    self.send(case, name, max(min(case.flows, AT_ONCE), 64), turn == 0, first)

    def keep_known(self, case):
        """What is idle for 30 s is forgotten, of UDP."""
        for name in self.balancers(case):
            if case.flows == MANY and self.systems[name].learns:
                self.send(case, name, MANY, first=0)
                self.samples.add(KNOWN + case.name, name, self.systems[name].held(), "flows")

    # --- rounds ----------------------------------------------------------------------------------------

    def round(self, case, index):
        names, least = in_turn([*self.balancers(case), FLOOR, PLAIN], index), {}
        if case.flows == MANY:
            self.samples.add(LINE + case.name, "this machine", run_json(self.tools.lines)["line_ns"], "ns/line")
        self.keep_known(case)
        for burst in range(self.bursts):
            for name in in_turn(names, burst):
                if done := self.send(case, name, FRAMES):
                    cost = (done["busy_ns"] + done["softirqd_ns"]) / done["sent"]
                    least[name] = min(least.get(name, float("inf")), cost)
                else:
                    self.lost[(case, name)] = self.lost.get((case, name), 0) + 1
        for name in names:
            if name != FLOOR:
                self.add(NET + case.name, name, least.get(name), least.get(FLOOR))
            if (case, name) in self.lost:
                self.samples.note(NET + case.name, name, f"{self.lost[(case, name)]} bursts left out: frames were lost")
        for name in OURS.values():
            self.add(MORE + case.name, name, least.get(name), least.get(PLAIN))
        self.own_clock(case)

    def add(self, case, name, value, less):
        if name in self.systems:
            self.samples.add(case, name, None if value is None or less is None else value - less, "ns/frame")

    def own_clock(self, case):
        """By the kernel's clock around each run of a program, of which the cost is in both."""
        least = {}
        with kernel_setting("kernel/bpf_stats_enabled", 1):
            for burst in range(self.bursts):
                for name in in_turn([n for n in (PLAIN, *OURS.values()) if n in self.systems], burst):
                    before = self.systems[name].program_times()
                    done = self.send(case, name, FRAMES // 2)
                    after = self.systems[name].program_times()
                    # The one that saw each frame.
                    ns, runs = max(((ns - before.get(number, (0, 0))[0], runs - before.get(number, (0, 0))[1])
                                    for number, (ns, runs) in after.items()), key=lambda one: one[1])
                    if done and runs:
                        least[name] = min(least.get(name, float("inf")), ns / runs)
        for name in OURS.values():
            self.add(OWN + case.name, name, least.get(name), least.get(PLAIN))

    def measure(self, rounds):
        for case in self.cases:
            say(f"balance: {case.name}")
            self.prepare(case)
            for index in range(rounds):
                self.round(case, index)
            for ratio in self.samples.ratios(NET + case.name, OURS[32], HASH):
                self.samples.add(OVER + case.name, OURS[32], ratio, "ratio")


def measure_path(tools, samples, rounds, quick):
    with tidy() as stack:
        path = Path(stack, tools, samples, quick)
        path.build()
        path.measure(rounds)
