"""scale: what hundreds and thousands of active groups cost, and how long it takes to end them."""
import os
import resource
import time

from harness import Failure, Samples, in_turn, machine, must, say, scratch, spread, tidy
from redundancy import GROUPS_A_LINK, SYSTEMS, Capture, Wire, cpu_seconds, descriptors, down_interval, groups, \
    on_the_wire, resident

CASES = [(count, interval) for count in (250, 1000, 4000) for interval in (1.0, 0.1)]
ROUNDS = 3  # some four minutes each
WATCHED_S, QUICK_S = 6, 2
SETTLE_MAX = 5
CPU, MEMORY, FDS, STOP, LEFT = "CPU of a core", "resident", "descriptors a link", "stop", "devices left behind"
READY = "start until all are active, less the protocol's own wait"


def label(what, count, interval):
    return f"{what}, {count} groups, adverts {interval:g} s"


def advertised(capture, seconds):
    """Advertisements a second on the first link: both must do the same work."""
    list(capture.frames())
    begun = time.monotonic()
    count = 0
    while time.monotonic() - begun < seconds:
        time.sleep(0.05)
        count += sum(1 for _ in capture.frames())
    return count / (time.monotonic() - begun)


def settle(system, capture, links, expected, interval):
    """Waits until what a start takes is over; on a busy machine it takes keepalived a while."""
    for _ in range(SETTLE_MAX):
        rate = advertised(capture, max(2 * interval, 1)) * links
        if 0.8 < rate / expected < 1.2:
            return
    raise Failure(f"{system.system}: {rate:.0f} advertisements a second, not {expected:.0f}")


def one(stack, tools, directory, system, count, interval, watched=WATCHED_S):
    links = -(-count // GROUPS_A_LINK)
    wire = Wire(stack, system.system[:1], ("a",), links)
    members = groups(count, 200, interval)
    daemon = system(tools, directory, wire.routers["a"], members)
    stack.callback(daemon.clean)
    stack.callback(daemon.stop)
    captures = [Capture(wire.switch, wire.port("a", link)) for link in range(links)]
    begun = time.monotonic()
    daemon.start()
    for link, capture in enumerate(captures):
        on_the_wire(capture, members[link * GROUPS_A_LINK:(link + 1) * GROUPS_A_LINK], 120)
    ready = time.monotonic() - begun
    for capture in captures[1:]:
        capture.close()
    capture = captures[0]
    time.sleep(3 * interval + 1)
    settle(system, capture, links, count / interval, interval)
    capture.close()
    pids = daemon.pids()
    begun, before = time.monotonic(), cpu_seconds(pids)
    time.sleep(watched)
    found = {READY: (ready - down_interval(200, interval), "s"), CPU: ((cpu_seconds(pids) - before) / (time.monotonic() - begun) * 100, "%"),
             MEMORY: (resident(pids) / (1 << 20), "MiB"), FDS: (descriptors(pids) / links, "")}
    begun = time.monotonic()
    daemon.stop()
    found[STOP] = ((time.monotonic() - begun), "s")
    found[LEFT] = (wire.leftovers("a"), "")
    return found


def run(tools, rounds, quick):
    # keepalived needs two sockets a group.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    samples = Samples()
    with tidy() as outer:
        directory = scratch(outer)
        for index in range(rounds):
            for count, interval in CASES[:2] if quick else CASES:
                for system in in_turn(list(SYSTEMS), index):
                    say(f"scale: round {index + 1} of {rounds}, {count} groups, {interval:g} s, {system.system}")
                    with tidy() as stack:
                        path = os.path.join(directory, f"{index}-{count}-{interval * 1000:.0f}-{system.system[0]}")
                        found = one(stack, tools, path, system, count, interval, QUICK_S if quick else WATCHED_S)
                    for what, (value, unit) in found.items():
                        samples.add(label(what, count, interval), system.system, value, unit)
    compare(samples)
    return {"bench": "scale", "machine": machine(), "rows": samples.rows(), "musts": musts(samples)}


def compare(samples):
    """vmac's figure over keepalived's, of each round."""
    for count, interval in CASES:
        for what in (READY, CPU, MEMORY, STOP):
            case = label(what, count, interval)
            for ratio in samples.ratios(case, "vmac", "keepalived"):
                samples.add(case, "vmac / keepalived", ratio, "")


def linger(interval):
    """How long a stopped router serves on when nobody takes over: src/fhrp/vrrp.c."""
    return 255 / 256 * interval + 0.01


def musts(samples):
    found = []
    for what, limit in ((CPU, 0.5), (MEMORY, 1.0)):
        for count, interval in CASES:
            ratios = samples.ratios(label(what, count, interval), "vmac", "keepalived")
            found.append(must(f"{label(what, count, interval)} / keepalived's", limit,
                              spread(ratios)[0] if ratios else None, at_most=True))
    few, many = (samples.of(label(FDS, count, 1.0), "vmac") for count in (250, 4000))
    links = 4000 // GROUPS_A_LINK
    more = (many[0] * links - few[0]) / (links - 1) if few and many else None
    found.append(must("descriptors that each link adds", 4, more, at_most=True))
    left = [v for count, interval in CASES for v in samples.of(label(LEFT, count, interval), "vmac")]
    found.append(must("devices left behind", 0, max(left) if left else None, at_most=True))
    for interval in (1.0, 0.1):
        stops = samples.of(label(STOP, 1000, interval), "vmac")
        found.append(must(f"stop with 1,000 groups, adverts {interval:g} s, less the wait for a successor, s", 0.3,
                          spread(stops)[0] - linger(interval) if stops else None, at_most=True))
    return found
