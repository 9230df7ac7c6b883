"""failover: how long a service behind one virtual router is gone when the active router dies, stops, is
outranked or is reloaded; and how many packets are lost."""
import os
import subprocess
import sys
import time

from harness import Failure, Netns, Samples, in_turn, machine, must, say, scratch, spread, tidy
from redundancy import SYSTEMS, Wire, groups, wait_until

INTERVALS = {"1 s": 1.0, "0.1 s": 0.1, "0.01 s": 0.01}
EVENTS = ("kill -9, host gone", "SIGTERM", "preempt", "reload")
PPS = 1000

# Sends numbered datagrams to the virtual address, and counts them where they arrive: processes of their own, so
# that none waits for another.
SENDER = """
import socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
gap, following, n = 1 / float(sys.argv[3]), time.monotonic(), 0
while True:
    try:
        out.sendto(n.to_bytes(8, "big") + bytes(56), (sys.argv[1], int(sys.argv[2])))
    except OSError:
        pass
    n += 1
    following += gap
    time.sleep(max(0, following - time.monotonic()))
"""
RECEIVER = """
import socket, sys, time
into = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
into.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
into.bind(("0.0.0.0", int(sys.argv[1])))
log = open(sys.argv[2], "w", buffering=1)
while True:
    number = int.from_bytes(into.recv(256)[:8], "big")
    log.write(f"{number} {time.monotonic():.6f}\\n")
"""


class Scene:
    """A client and two routers on one LAN; the service is at the virtual address, on whichever router has it.

    Not traffic through the routers: keepalived's backup also forwards what is sent to the vMAC (RFC 9568 section
    6.4.2 forbids it), so with a flooding bridge its gap would not show."""

    def __init__(self, stack, directory, name):
        self.wire = Wire(stack, name, ("a", "b"))
        self.client = Netns(stack, f"{name}-c")
        self.wire.switch.ip("link", "add", "h0", "type", "veth", "peer", "name", "eth0", "netns", self.client.name)
        self.wire.switch.ip("link", "set", "h0", "master", "br0", "up")
        self.client.ip("addr", "add", "10.100.0.9/16", "dev", "eth0")
        self.client.ip("link", "set", "eth0", "up")
        self.logs = [os.path.join(directory, f"arrivals-{router}") for router in self.wire.routers]
        for log in self.logs:
            with open(log, "w", encoding="utf-8"):
                pass
        commands = [netns.inside(sys.executable, "-c", RECEIVER, "7000", log)
                    for netns, log in zip(self.wire.routers.values(), self.logs)]
        commands.append(self.client.inside(sys.executable, "-c", SENDER, "10.100.1.1", "7000", str(PPS)))
        for command in commands:
            process = subprocess.Popen(command)
            stack.callback(process.wait)
            stack.callback(process.kill)

    def arrivals(self):
        """(number, when) in the order of arrival, wherever it was."""
        found = []
        for log in self.logs:
            with open(log, encoding="utf-8") as file:
                for line in file:
                    words = line.split()
                    if len(words) == 2 and line.endswith("\n"):
                        found.append((int(words[0]), float(words[1])))
        return sorted(found, key=lambda arrival: arrival[1])

    def flows(self):
        """Whether datagrams arrived in the last 100 ms."""
        recent = self.arrivals()[-1:]
        return bool(recent) and time.monotonic() - recent[0][1] < 0.15

    def during(self, act, seconds):
        """Does it; (the longest gap between arrivals in seconds, datagrams lost) around it."""
        time.sleep(0.3)
        begun = time.monotonic()
        act()
        time.sleep(seconds)
        wait_until("traffic flows again", self.flows, 20)
        time.sleep(0.2)
        seen = [(n, at) for n, at in self.arrivals() if at > begun - 0.2]
        if len(seen) < 2:
            raise Failure("no traffic at all")
        gap = max(later[1] - sooner[1] for sooner, later in zip(seen, seen[1:]))
        numbers = {n for n, _ in seen}
        return gap, max(numbers) - min(numbers) + 1 - len(numbers)


def rounds_of(stack, tools, directory, system, interval):
    """event -> (gap, lost)"""
    os.makedirs(directory)
    scene = Scene(stack, directory, system.system[:1])
    made = {}
    for name, priority in (("a", 200), ("b", 100)):
        made[name] = system(tools, os.path.join(directory, name), scene.wire.routers[name],
                            groups(1, priority, interval))
        stack.callback(made[name].clean)
        stack.callback(made[name].stop)
    a, b = made["a"], made["b"]
    a.start()
    wait_until("traffic flows", scene.flows, 20)
    b.start()
    settle = 4 * interval + 1.5
    time.sleep(settle)
    found = {"reload": scene.during(lambda: a.reload(groups(1, 201, interval)), settle)}
    found["SIGTERM"] = scene.during(a.stop, settle)
    found["preempt"] = scene.during(a.start, settle + 1)

    def die():
        a.kill()
        scene.wire.cut("a")
        a.clean()
    found["kill -9, host gone"] = scene.during(die, settle)
    return found


def run(tools, rounds, quick):
    samples = Samples()
    with tidy() as outer:
        directory = scratch(outer)
        for index in range(rounds):
            for name, interval in INTERVALS.items():
                for system in in_turn(list(SYSTEMS), index):
                    say(f"failover: round {index + 1} of {rounds}, {name}, {system.system}")
                    with tidy() as stack:
                        found = rounds_of(stack, tools, os.path.join(directory, f"{index}-{interval}-{system.system}"),
                                          system, interval)
                    for event, (gap, lost) in found.items():
                        samples.add(f"gap, {event}, adverts {name}", system.system, gap * 1e3, "ms")
                        samples.add(f"lost, {event}, adverts {name}", system.system, lost, "datagrams")
    return {"bench": "failover", "machine": machine(), "rows": samples.rows(), "musts": musts(samples)}


def musts(samples):
    found = []
    for event in EVENTS[:2]:
        for name in INTERVALS:
            ratios = samples.ratios(f"gap, {event}, adverts {name}", "vmac", "keepalived")
            found.append(must(f"{event}, adverts {name}: gap / keepalived's", 1.0,
                              spread(ratios)[0] if ratios else None, at_most=True))
    for event in ("SIGTERM", "preempt", "reload"):
        lost = [n for name in INTERVALS for n in samples.of(f"lost, {event}, adverts {name}", "vmac")]
        found.append(must(f"{event}: datagrams lost at 1 kpps (the worst of all rounds)", 0,
                          max(lost) if lost else None, at_most=True))
    return found
