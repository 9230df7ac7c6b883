"""balance: what it costs that a cluster's host chooses a member for each frame, how evenly, and what breaks when members
and anchors come and go; beside nftables with a hash over the same members.

The whole path is balance_path.py's, hosts are balance_changes.py's.  README.md says how each figure is taken.
"""
import json
import os

import balance_changes as changes
import balance_path as path
from harness import Failure, Samples, machine, must, run as run_program, run_json, say, spread

ROUNDS = 5
ROUNDS_LONG = 3  # of what varies little, or takes long

MORE_MOST = 100  # ns that a director's frame may cost more than one that is simply forwarded
SHARE_MOST = 1.05
TAKEN_MOST = 1000  # ms

ALONE = "the program alone, more than plain forwarding: "
TIMES = "the program alone, times plain forwarding: "
HELD = "of 1,000,000 flows the table holds, "
UNKNOWN = "frames then of flows that it does not hold, "
TABLE = "rows made anew, "
SHARE, SHARE_WORST = "most loaded of 32 equal members / their mean", "the same, the worst of 21 keys"


TEXT = """*The program alone* is what the data plane does with a frame, repeated without links and in warm caches; the *whole path* is
from the wire to a member's link, with all of the kernel between. *More than plain forwarding*: than the same frame for a port that
is no member's. The flow table has 1,048,576 places in lines of eight, so of 1,000,000 flows it cannot hold all: how many it did, and how
many of the frames were of others (whose search is in the figure), stands beside it. *One line of 8 MiB of memory* is what a million flows
in no order cost at least, wherever they are kept: as much memory as the table's, read at random in user space, with half a microsecond of other
work between two reads. nftables' *hash and fwd* remembers no flow, so it moves
them when members change; its *dnat* with conntrack remembers them, routes, and needs the answers to come back the same way.

The death of an anchor's whole host ends the flows of its members: whoever follows waits 10 s, since its vmacd may be dead alone, and then others answer
them. New flows do not wait."""


def measure_program(tools, samples, rounds, quick):
    """tests/bpf/cost_cluster.c: the program repeated by BPF_PROG_RUN."""
    cost = os.path.join(tools.build, "tests", "bpf", "bpf_cost_cluster")
    run_program("ninja", "-C", tools.build, "tests/bpf/bpf_cost_cluster")
    options = ("--turns", "51", "--members", "32") if quick else ("--turns", "201")
    for index in range(rounds):
        say(f"balance: the program alone, round {index + 1} of {rounds}")
        samples.add(path.LINE + "the program alone", "this machine", run_json(tools.lines)["line_ns"], "ns/line")
        for line in run_program(cost, "--json", *options).splitlines():
            entry = json.loads(line)
            case = entry["case"].replace("known flows", f"{path.MANY:,} known flows")
            if entry["where"] != "here":
                case += ", the member elsewhere"
            system = f"vmac, {entry['members']:,} member{'s' if entry['members'] > 1 else ''}"
            samples.add(ALONE + case, system, entry["more_ns"], "ns/frame")
            samples.add(TIMES + case, system, entry["ratio"], "ratio")
            if entry["flows"] == path.MANY:
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
                samples.add(SHARE_WORST, entry["system"], entry["share_most"], "ratio")


# --- verdict --------------------------------------------------------------------------------------------


def most(values):
    """The worst; None where a round gave none."""
    return max(values) if values and None not in values else None


def cost_musts(samples):
    """Of what is new with each frame there is no must: that is a flood."""
    for case, system in samples.values:
        if case.startswith((ALONE, path.MORE)) and not case.endswith("each a new flow"):
            values = [v for v in samples.of(case, system) if v is not None]
            yield must(f"{case}, {system.removeprefix('vmac, ')}, ns", MORE_MOST, spread(values)[0] if values else None,
                       at_most=True)


def musts(samples):
    found = list(cost_musts(samples))
    shares = samples.of(SHARE, "rendezvous")
    found.append(must(f"{SHARE}, rendezvous", SHARE_MOST, spread(shares)[0] if shares else None, at_most=True))
    for what in (changes.DAEMON, changes.JOINED, changes.DRAINS, changes.KILLED, changes.REMOVED_DEAD, changes.REMOVED,
                 changes.DAEMON_LATE, changes.HOST):
        figure = most(samples.of(changes.BROKEN + what, "vmac"))
        found.append(must(f"{changes.BROKEN}{what} (most)", 0, figure, at_most=True))
    for case in (changes.MOVED + changes.DAEMON, changes.MOVED + changes.DAEMON_LATE, changes.MOVED + changes.HOST,
                 changes.NEW + changes.HOST, changes.NEW + changes.DISTRIBUTED, changes.AGAIN + changes.DISTRIBUTED):
        found.append(must(case + ", ms (most)", TAKEN_MOST, most(samples.of(case, "vmac")), at_most=True))
    return found


def run(tools, rounds, quick):
    if os.geteuid() != 0:
        raise Failure("balance makes network namespaces and loads programs: run it as root")
    missing = changes.missing(tools)
    if missing:
        raise Failure(missing)
    samples = Samples()
    long = min(rounds, ROUNDS_LONG)
    measure_program(tools, samples, long, quick)
    measure_tables(tools, samples, long)
    path.measure_path(tools, samples, rounds, quick)
    for index in range(long):
        say(f"balance: members and anchors come and go, round {index + 1} of {long}")
        changes.measure_director(samples, quick)
        changes.measure_distributed(samples)
    return {"bench": "balance", "machine": machine(), "text": TEXT, "rows": samples.rows(), "musts": musts(samples)}
