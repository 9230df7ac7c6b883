"""forward: what a frame costs from one veth to another, and bulk TCP, through us and through others.

Every system has its own three namespaces   g0 -- g1 [switch] d1 -- d0   all up at once and idle until their
turn.  README.md says how the cost is taken and what the floor is.
"""
import os
import time

from harness import Failure, Samples, in_turn, machine, must, pin_directory, run_json, say, scratch, \
    spread, tidy
from switches import Bare, Bridge, Nothing, OpenVSwitch, Ours, Unfit

SIZES = {"64 B": 60, "1,518 B": 1514}  # on the wire with the FCS: what the kernel sees is 4 less
FLOOR, BARE, DEAD_END = "floor", "bare tc redirect", "bare tc redirect, link down"
BRIDGE, BRIDGE_PLAIN = "Linux bridge, tuned", "Linux bridge, as it comes"
OVS, OURS = "Open vSwitch, userspace", "vmac"

BURSTS = 5
QUICK_FRAMES_UNTIL, QUICK_TCP_UNTIL = 15, 30  # seconds: of 50, with the tidying up
SEARCH_LOW, SEARCH_HIGH, SEARCH_STEPS = 20_000, 1_600_000, 6
CPU_NET = "CPU net of the floor, "
CPU_GROSS = "CPU, "
CPU_DECISION = "CPU net of the floor and of the second link, "
RATE = "lossless rate, "
TCP_VETH, TCP_TAP = "bulk TCP, veth", "bulk TCP, tap"
TICKS = "busy by /proc/stat, over what we counted"
CASES = [what + size for what in (CPU_NET, CPU_GROSS, RATE) for size in SIZES] + [
    TCP_VETH, TCP_TAP] + [CPU_DECISION + size for size in SIZES] + [TICKS]


def all_systems():
    return [(FLOOR, Nothing), (BARE, Bare), (DEAD_END, Bare), (BRIDGE, Bridge),
            (BRIDGE_PLAIN, lambda *a: Bridge(*a, tuned=False)), (OURS, Ours), (OVS, OpenVSwitch)]


class Forward:
    def __init__(self, stack, tools, rounds, quick):
        self.stack, self.tools, self.rounds = stack, tools, rounds
        self.frames = 60_000 if quick else 100_000
        self.trial_seconds = 0.05 if quick else 0.2
        self.started, self.quick = time.monotonic(), quick
        self.samples = Samples()
        self.cpu = max(os.sched_getaffinity(0))
        self.switches = {}
        self.ticks = {}

    # --- making them ---------------------------------------------------------------------------------

    def build(self):
        directory = scratch(self.stack)
        for index, (name, make) in enumerate(all_systems()):
            say(f"forward: setting up {name}")
            try:
                switch = make(self.stack, self.tools, directory, f"b{index}")
            except Unfit as why:
                self.skip(name, str(why))
                continue
            switch.pins = pin_directory(self.stack, f"b{index}")
            switch.receive_like_a_nic()
            sink_netns, sink_link = switch.sink()
            sink_netns.run(self.tools.frames, "sink", sink_link, switch.pins)
            switch.bind(self.tools)
            self.switches[name] = switch
        if DEAD_END in self.switches:
            self.switches[DEAD_END].far.ip("link", "set", "d0", "down")

    def skip(self, name, why):
        say(f"forward: no {name}: {why}")
        for size in SIZES:
            for case, unit in ((CPU_NET, "ns/frame"), (RATE, "Mpps")):
                self.samples.skip(case + size, name, unit, "skipped: " + why)

    # --- one sample ------------------------------------------------------------------------------------

    def send(self, name, size, frames, pps=0):
        switch = self.switches[name]
        return run_json(*switch.near.inside(
            self.tools.frames, "send", "--out", "g0", "--count", f"{switch.pins}/sink_count",
            "--src", switch.near_mac, "--dst", switch.far_mac, "--sip", switch.near_ip,
            "--dip", switch.far_ip, "--size", str(size), "--frames", str(int(frames)),
            "--pps", str(int(pps)), "--cpu", str(self.cpu), "--peer-pid", str(switch.pid)))

    def run_to_completion(self, names, size_name):
        """A round: some short bursts of each in turn, of which the least counts, since what other processes
        and other guests of this machine's host take away is never the switch's doing."""
        least, lost = {}, {}
        for burst in range(BURSTS):
            for name in in_turn(names, burst):
                done = self.send(name, SIZES[size_name], self.frames)
                busy = done["busy_ns"] + done["softirqd_ns"]
                least[name] = min(least.get(name, float("inf")), busy / done["sent"])
                lost[name] = lost.get(name, 0) + done["sent"] - done["received"]
                ticks = self.ticks.setdefault(name, [0, 0])
                ticks[0] += done["stat_ns"] + done["steal_ns"]
                ticks[1] += busy
        for name in names:
            self.samples.add(CPU_GROSS + size_name, name, least[name], "ns/frame")
            if name == DEAD_END:
                continue
            if lost[name]:
                self.samples.note(RATE + size_name, name, f"lost {lost[name]} frames in a round")
            rate = None if lost[name] else 1e3 / least[name]
            self.samples.add(RATE + size_name, name, rate, "Mpps")

    def search(self, name, size_name):
        """For what queues between threads: the highest rate without a loss, and the cost at that rate."""
        size, low, high, best = SIZES[size_name], SEARCH_LOW, SEARCH_HIGH, None
        for _ in range(SEARCH_STEPS):
            rate = (low * high) ** 0.5
            done = self.send(name, size, max(rate * self.trial_seconds, 1_000), rate)
            if done["received"] == done["sent"]:
                low, best = rate, done
            else:
                high = rate
        if not best:
            self.samples.note(RATE + size_name, name, f"lost frames even at {low:,.0f}/s")
        self.samples.add(RATE + size_name, name, best and low / 1e6, "Mpps")
        cost = best and self.paced_cost(best)
        floor = best and self.paced_cost(self.send(FLOOR, size, best["sent"], low))
        self.samples.add(CPU_GROSS + size_name, name, cost, "ns/frame")
        self.samples.add(CPU_NET + size_name, name, best and cost - floor, "ns/frame")

    @staticmethod
    def paced_cost(done):
        return (done["busy_ns"] + done["softirqd_ns"] + done["peer_ns"]) / done["sent"]

    # --- rounds ----------------------------------------------------------------------------------------

    def is_late(self, seconds):
        """A quick run on a busy machine makes fewer rounds, rather than last longer."""
        return self.quick and time.monotonic() - self.started > seconds

    def measure_frames(self):
        for index in range(self.rounds):
            if index and self.is_late(QUICK_FRAMES_UNTIL):
                break
            say(f"forward: frames, round {index + 1} of {self.rounds}")
            names = in_turn(list(self.switches), index)
            for size_name in SIZES:
                self.run_to_completion([name for name in names if not self.switches[name].queues],
                                       size_name)
                for name in names:
                    if self.switches[name].queues:
                        self.search(name, size_name)
                self.subtract(size_name)

    def subtract(self, size_name):
        """Net figures of this round, from this round's own floor."""
        def last(name):
            return self.samples.of(CPU_GROSS + size_name, name)[-1]

        link = last(BARE) - last(DEAD_END)
        for name, switch in self.switches.items():
            if switch.queues or name in (FLOOR, DEAD_END):
                continue
            net = last(name) - last(FLOOR)
            self.samples.add(CPU_NET + size_name, name, net, "ns/frame")
            self.samples.add(CPU_DECISION + size_name, name, net - link, "ns/frame")

    def measure_tcp(self):
        for switch in self.switches.values():
            switch.release()
        rivals = [name for name in (BARE, BRIDGE, OURS) if name in self.switches]
        flows = {(TCP_VETH, name): self.switches[name].veth_flow(self.stack)
                 for name in rivals}
        flows.update({(TCP_TAP, name): self.switches[name].tap_flow(self.stack, self.tools)
                      for name in rivals if name != BARE})
        for index in range(min(self.rounds, 2) if self.quick else self.rounds):
            if index and self.is_late(QUICK_TCP_UNTIL):
                break
            say(f"forward: bulk TCP, round {index + 1}")
            best, turns = {}, in_turn(list(flows.items()), index)
            for (case, name), flow in turns if self.quick else turns + turns[::-1]:
                best[(case, name)] = max(best.get((case, name), 0), flow.gigabits())
            for (case, name), rate in best.items():
                self.samples.add(case, name, rate, "Gbit/s")

    def cross_check(self):
        for name, (ticks, counted) in self.ticks.items():
            self.samples.add(TICKS, name, ticks / counted, "ratio")

    # --- verdict ---------------------------------------------------------------------------------------

    def musts(self):
        def middle(case, over, under):
            ratios = self.samples.ratios(case, over, under)
            return spread(ratios)[0] if ratios else None

        musts = []
        for size in SIZES:
            musts.append(must(f"{size}: CPU a frame net of the floor, over the tuned bridge's, at most",
                              0.8, middle(CPU_NET + size, OURS, BRIDGE), at_most=True))
            musts.append(must(f"{size}: CPU a frame net of the floor, over the bare redirect's, at most",
                              1.35, middle(CPU_NET + size, OURS, BARE), at_most=True))
        for case in (TCP_VETH, TCP_TAP):
            musts.append(must(f"{case}: rate over the tuned bridge's, at least", 1.0,
                              middle(case, OURS, BRIDGE)))
        return musts


def run(tools, rounds, quick):
    if os.geteuid() != 0:
        raise Failure("forward makes network namespaces and loads programs: run it as root")
    with tidy() as stack:
        forward = Forward(stack, tools, rounds, quick)
        forward.build()
        forward.measure_frames()
        forward.measure_tcp()
        forward.cross_check()
        rows = forward.samples.rows()
        rows.sort(key=lambda row: CASES.index(row["case"]))
    return {"bench": "forward", "machine": machine(), "rows": rows, "musts": forward.musts()}
