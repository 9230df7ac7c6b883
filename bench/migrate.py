"""migrate: a real guest goes from host to host, live, while it talks: how long is it off the network, what is lost,
and how often does the switch move its address?  vmac beside a Linux bridge with QEMU's announcement."""
import os
import statistics
import sys
import time

from harness import ROOT, Failure, Samples, in_turn, machine, must, say

sys.path.insert(0, os.path.join(ROOT, "tests", "lab"))

PAUSE = "the guest's own pause (QMP)"
SWITCH_OVER = "address at its new port of the switch, after the guest stood still: beyond the pause"
SILENCE = "the client hears nothing of the guest: beyond the pause"
HINT = "the guest's stop is known, and what comes is sent after it: after the stop"
TO_GUEST = "datagrams to the guest that never arrived, of 1,000 a second"
LATE = "of these, sent when the stop was known already"
FROM_GUEST = "datagrams from the guest that never arrived"
TWICE = "datagrams that arrived twice"
MOVES = "moves of the address that the switch saw"
STREAM = "longest silence of a TCP stream from the guest: beyond the pause"


VMAC, UNTOLD, BRIDGE = "vmac", "vmac, the stop not told", "bridge"


class Site:
    """One kind of hosts, two of them, and a guest on the first."""

    def __init__(self, place, system):
        import fleet
        import moving
        self.moving, self.place = moving, place
        self.fleet = None
        if system == VMAC:
            self.fleet = site = fleet.Fleet(place, "kvm1", "kvm2", members=3)
            self.switch, self.hosts = site.switch, list(site.hosts.values())
        else:
            self.switch = moving.Switch(place)
            self.hosts = [moving.BridgeHost(self.switch, f"kvm{n}", f"10.9.0.{n}") for n in (1, 2)]
        mac = None if system == VMAC else "0a:11:22:33:44:55"
        self.vm = moving.Vm(place, "g1", mac, "10.9.0.50", self.hosts[0])
        self.turn = 0

    def measure(self, samples, system):
        vm, moving = self.vm, self.moving
        if self.fleet:
            self.fleet.watch = system == VMAC
        there = self.hosts[1] if vm.host is self.hosts[0] else self.hosts[0]
        self.turn += 1
        sources = moving.Sources(self.switch, [host.name for host in self.hosts], vm.mac)
        fdb = self.switch.fdb(vm.mac)
        talk = moving.Talk(vm, self.switch.far, self.switch.client, port=7000 + 10 * self.turn)
        time.sleep(1.5)
        before = len(fdb.ports)
        took = vm.move(there)
        time.sleep(2)
        result, changes, fdb_ports = talk.end(), sources.end(), fdb.end()
        if result["stream_error"]:
            raise Failure(f"{system}: the stream broke: {result['stream_error']}")
        arrived = next((at for at, port in changes if port == there.name), None)
        pause = took["pause"] * 1000
        samples.add(PAUSE, system, pause, "ms")
        if arrived:
            samples.add(SWITCH_OVER, system, (arrived - took["stop"]) * 1000 - pause, "ms")
        samples.add(SILENCE, system, result["blackout"] * 1000 - pause, "ms")
        samples.add(STREAM, system, result["stream_gap"] * 1000 - pause, "ms")
        lost = result["to_guest"]
        samples.add(TO_GUEST, system, lost["lost"], "")
        if took["known"]:
            samples.add(HINT, system, (took["known"] - took["stop"]) * 1000, "ms")
            samples.add(LATE, system, sum(took["known"] < at < took["resume"] + 0.5 for at in lost["lost_at"]), "")
        samples.add(FROM_GUEST, system, result["from_guest"]["lost"], "")
        samples.add(TWICE, system, result["to_guest"]["twice"] + result["from_guest"]["twice"], "")
        samples.add(MOVES, system, len(fdb_ports) - before if fdb_ports else 0, "")
        # Switches that count moves see at most one in so long.
        time.sleep(1)


def run(tools, rounds, quick):
    os.environ["VMAC_BUILD"] = tools.build
    import lab
    lacks = lab.missing()
    if lacks:
        raise Failure(lacks)
    samples, systems = Samples(), [VMAC, UNTOLD, BRIDGE]
    with lab.Lab() as ours, lab.Lab() as theirs:
        sites = {VMAC: Site(ours, VMAC), BRIDGE: Site(theirs, BRIDGE)}
        try:
            for index in range(rounds):
                for system in in_turn(systems, index):
                    say(f"migrate: round {index + 1} of {rounds}, {system}")
                    sites[BRIDGE if system == BRIDGE else VMAC].measure(samples, system)
        finally:
            for site in sites.values():
                site.vm.end()
    return {
        "bench": "migrate", "machine": machine(), "rows": samples.rows(),
        "musts": [
            must("switch-over beyond the guest's pause, ms (median)", 5, statistics.median(samples.of(SWITCH_OVER, VMAC)),
                 at_most=True),
            must("the same, later than with the bridge, ms (median)", 0.5,
                 statistics.median(a - b for a, b in zip(samples.of(SWITCH_OVER, VMAC), samples.of(SWITCH_OVER, BRIDGE))),
                 at_most=True),
            must("the client's silence beyond the guest's pause / with the bridge (of the medians)", 1,
                 statistics.median(samples.of(SILENCE, VMAC)) / statistics.median(samples.of(SILENCE, BRIDGE)),
                 at_most=True),
            must("moves of the address that the switch saw (most)", 1, max(samples.of(MOVES, VMAC)), at_most=True),
            must("datagrams that arrived twice (most)", 0, max(samples.of(TWICE, VMAC)), at_most=True),
            must("datagrams lost that were sent when the guest's stop was known already (most)", 0,
                 max(samples.of(LATE, VMAC)), at_most=True),
        ],
    }
