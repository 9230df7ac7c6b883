"""takeover: many groups change hands at once; how much later than the protocol's timer is the last one served?"""
import os
import time

from harness import Samples, in_turn, machine, must, say, scratch, spread, tidy
from redundancy import SYSTEMS, Capture, Wire, down_interval, groups, is_advertisement, is_announcement, on_the_wire

COUNT = 250
BEYOND = "beyond the timer, last of 250"
INTERVALS = {"1 s": 1.0, "0.1 s": 0.1, "0.01 s": 0.01}


def takeover(stack, tools, directory, system, interval):
    """Seconds between the moment at which the last group was due and its announcement; the other hosts take an
    address for served when its gratuitous ARP comes, which both daemons send when the address is there."""
    wire = Wire(stack, system.system[:1], ("a", "b"))
    active = system(tools, os.path.join(directory, "a"), wire.routers["a"], groups(COUNT, 200, interval))
    backup = system(tools, os.path.join(directory, "b"), wire.routers["b"], groups(COUNT, 100, interval))
    watch = {name: Capture(wire.switch, wire.port(name, 0)) for name in ("a", "b")}
    for daemon in (active, backup):
        stack.callback(daemon.clean)
        stack.callback(daemon.stop)
    active.start()
    on_the_wire(watch["a"], active.members, 30)
    backup.start()
    time.sleep(2 + 4 * interval)
    list(watch["a"].frames()), list(watch["b"].frames())
    time.sleep(max(2 * interval, 0.5))
    active.kill()
    wire.cut("a")
    last = {}
    for when, frame in watch["a"].frames():
        if is_advertisement(frame):
            last[frame[6:12]] = when
    time.sleep(4 * interval + 3)
    served = {}
    for when, frame in watch["b"].frames():
        if is_announcement(frame):
            served.setdefault(frame[6:12], when)
    due = {mac: when + down_interval(100, interval) for mac, when in last.items()}
    missing = [g.name for g in backup.members if g.mac not in served]
    backup.stop()
    if missing:
        return None, f"{len(missing)} groups were never announced"
    # From the moment at which the last timer ran out to the last announcement; and the worst of single groups.
    return max(served[mac] - due[mac] for mac in due), ""


def run(tools, rounds, quick):
    samples = Samples()
    with tidy() as outer:
        directory = scratch(outer)
        for index in range(rounds):
            for name, interval in INTERVALS.items():
                for system in in_turn(list(SYSTEMS), index):
                    say(f"takeover: round {index + 1} of {rounds}, {name}, {system.system}")
                    with tidy() as stack:
                        beyond, why = takeover(stack, tools, os.path.join(directory, f"{index}-{interval}-{system.system}"),
                                               system, interval)
                    case = f"{BEYOND}, adverts {name}"
                    samples.add(case, system.system, beyond and beyond * 1e3, "ms")
                    if why:
                        samples.note(case, system.system, why)
    figures = [v for name in INTERVALS for v in samples.of(f"{BEYOND}, adverts {name}", "vmac") if v is not None]
    return {"bench": "takeover", "machine": machine(), "rows": samples.rows(),
            "musts": [must("250 groups at once: ms beyond the timer (median of all)", 20,
                           spread(figures)[0] if figures else None, at_most=True)]}
