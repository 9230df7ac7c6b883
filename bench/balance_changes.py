"""What of `balance` happens among hosts: members and anchors come and go under connections of which every octet is checked
(tests/lab/clusters.py); flows that ask every 20 ms, and new ones all the time, tell how long nobody answered."""
import contextlib
import os
import resource
import select
import signal
import socket
import sys
import threading
import time

from harness import ROOT, Failure

sys.path.insert(0, os.path.join(ROOT, "tests", "lab"))

BROKEN = "flows of members that live, broken: "
OWN = "flows of that member, broken: "
MOVED = "until the switch hears another host, "
SILENT = "flows of members that live hear nothing, "
NEW = "new flows: until all are answered, "
AGAIN = "known flows of members that are gone: until another answers, "
MEMBERS, FLOWS = 8, 5000
JOINED, DRAINS, KILLED, REMOVED_DEAD, REMOVED = (
    "a member joined", "a member drains", "a member was killed", "the killed member was removed",
    "a member that serves was removed")
DAEMON, HOST = "the anchor's vmacd was killed", "the anchor's host was killed"
DAEMON_LATE = DAEMON + " after all that"
DISTRIBUTED = "distributed, a host was killed"
DISTRIBUTED_FACE = "03:00:5e:10:00:01"

ASK_EVERY, ASKING = 0.02, 128  # seconds, flows
# A port for each, below those that the kernel gives out: one that comes again is no new flow.
PORTS_FROM, PORTS = 10000, 20000
KEPT_FOR = 15  # seconds: after that, flows of members that are gone are another's


class Asking:
    """Flows of UDP that each ask all the time: who answers, and the longest time without an answer.  And a new flow
    with each turn, which asks once."""

    def __init__(self, client, address, port):
        resource.setrlimit(resource.RLIMIT_NOFILE, (16384, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        self.client, self.to, self.opened = client, (address, port), 0
        self.flows, self.fresh, self.ending = {}, {}, threading.Event()
        self.poll = select.epoll()
        for _ in range(ASKING):
            one = self._open()
            self.flows[one.fileno()] = {"socket": one, "who": None, "at": None, "gap": 0.0}
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _open(self):
        one = self.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setblocking(False)
        one.bind(("0.0.0.0", PORTS_FROM + self.opened % PORTS))
        self.opened += 1
        one.connect(self.to)
        self.poll.register(one, select.EPOLLIN)
        return one

    def _run(self):
        due = time.monotonic()
        while not self.ending.is_set():
            for flow in self.flows.values():
                with contextlib.suppress(OSError):
                    flow["socket"].send(b"x" * 64)
            one = self._open()
            self.fresh[one.fileno()] = one, time.monotonic()
            with contextlib.suppress(OSError):
                one.send(b"x" * 64)
            due += ASK_EVERY
            while (left := due - time.monotonic()) > 0:
                self._hear(self.poll.poll(left))
            due = max(due, time.monotonic() - ASK_EVERY)

    def _hear(self, ready):
        for number, _ in ready:
            if number in self.fresh:
                one, _ = self.fresh.pop(number)
                self.poll.unregister(one)
                one.close()
            # Not of one that is closed but, for a moment, open in a child.
            if not (flow := self.flows.get(number)):
                continue
            with contextlib.suppress(OSError):
                while True:
                    who = flow["socket"].recv(128)[:16].rstrip(b"\0").decode()
                    now = time.monotonic()
                    flow["gap"] = max(flow["gap"], now - flow["at"] if flow["at"] else 0.0)
                    flow["at"], flow["who"] = now, who

    def settle(self, seconds=10):
        """All are answered; from now on gaps count."""
        deadline = time.monotonic() + seconds
        while any(flow["who"] is None for flow in self.flows.values()):
            if time.monotonic() > deadline:
                raise Failure("not all flows are answered")
            time.sleep(0.05)
        time.sleep(0.5)
        for flow in self.flows.values():
            flow["before"], flow["gap"] = flow["who"], 0.0
        self.began = time.monotonic()

    def gap(self, members):
        """The longest of the flows that these had, in ms; None: there was none."""
        if not self.thread.is_alive():
            raise Failure("the flows that ask have ended")
        gaps = [flow["gap"] for flow in self.flows.values() if flow["before"] in members]
        return max(gaps) * 1000 if gaps else None

    def new_unanswered(self):
        """When the last new flow began that was never answered, in ms; 0: all were."""
        begun = [at for _, at in list(self.fresh.values()) if self.began < at < time.monotonic() - 0.5]
        return (max(begun) - self.began) * 1000 if begun else 0.0

    def wait_away(self, gone):
        """Until others answer all flows."""
        deadline = time.monotonic() + KEPT_FOR
        while any(flow["who"] in gone for flow in self.flows.values()):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def end(self):
        self.ending.set()
        self.thread.join()
        for one in [*(flow["socket"] for flow in self.flows.values()), *(one for one, _ in self.fresh.values())]:
            one.close()
        self.poll.close()


class Held:
    """Connections that are held while something happens, and what of them broke by it."""

    def __init__(self, farm, samples, quick):
        from clusters import V4
        self.samples, self.load = samples, farm.load("tcp", V4, FLOWS // 10 if quick else FLOWS)
        self.load.wait_connected()
        self.before = self.load.settle(1)

    def broken(self, what, gone=(), by=()):
        """`gone`: members that are no more; `by`: those that went just now."""
        status = self.load.settle(1)  # each of them is asked once, and a reset comes at once
        count = {name: member["broken"] - self.before["members"].get(name, {"broken": 0})["broken"]
                 for name, member in status["members"].items()}
        others = {name: n for name, n in count.items() if name not in (*gone, *by)}
        self.samples.add(BROKEN + what, "vmac", sum(others.values()), "flows")
        if any(others.values()):
            self.samples.note(BROKEN + what, "vmac", ", ".join(f"{name}: {n}" for name, n in others.items() if n))
        if by:
            self.samples.add(OWN + what, "vmac", sum(count.get(name, 0) for name in by), "flows")
        if status["wrong"]:
            raise Failure(f"{what}: {status['wrong']} answers were wrong")
        self.before = status


def sample_gaps(farm, samples, asking, what, gone):
    """After something has happened to members that are gone, or to none."""
    time.sleep(2)
    samples.add(SILENT + what, "vmac", asking.gap([name for name in farm.members if name not in gone]), "ms")
    samples.add(NEW + what, "vmac", asking.new_unanswered(), "ms")
    if gone:
        samples.add(AGAIN + what, "vmac", asking.gap(gone) if asking.wait_away(gone) else None, "ms")


def end_of_an_anchor(farm, samples, asking, what, host_too):
    """Kills the anchor's vmacd, or its host; returns the host, and the members that are gone."""
    from moving import Sources
    anchor, face = farm.wait_anchor(), farm.show()["faces"][0]["address"]
    other = next(name for name in farm.fleet.hosts if name != anchor)
    gone = [m.name for m in farm.members.values() if m.host.name == anchor] if host_too else []
    sources = Sources(farm.fleet.switch, list(farm.fleet.hosts), face)
    host = farm.host(anchor)
    asking.settle()
    began = time.time()
    host.kill(signal.SIGKILL)
    if host_too:
        host.ns.run("ip", "link", "set", "eth0", "down")
    farm.wait_anchor(but=(anchor,))
    sample_gaps(farm, samples, asking, what, gone)
    moved = next((at for at, port in sources.end() if port == other), None)
    samples.add(MOVED + what, "vmac", moved and (moved - began) * 1000, "ms")
    return anchor, gone


def missing(tools):
    """What of it is not here; None: nothing."""
    os.environ["VMAC_BUILD"] = tools.build
    import etcd
    import lab
    return lab.missing() or etcd.missing()


def a_farm(place, *options, members=MEMBERS):
    from clusters import PORT, V4, Farm
    farm = Farm(place)
    farm.spread(members)
    farm.cluster("--check", "tcp", "--check-port", PORT, "--check-interval", "500ms", "--check-timeout", "400ms", *options,
                 addresses=(V4,))
    farm.wait_live("up", seconds=30)
    return farm


def kill_a_daemon(farm, samples, asking, held, what, gone=()):
    anchor, _ = end_of_an_anchor(farm, samples, asking, what, False)
    farm.host(anchor).start()  # or else its members count as gone after a while
    held.broken(what, gone=gone)
    farm.wait_live({name: "up" for name, member in farm.members.items() if name not in gone and not member.drains})


def measure_director(samples, quick):
    import lab
    from clusters import PORT, V4
    with lab.Lab() as place:
        farm = a_farm(place)
        farm.wait_anchor()
        held, asking = Held(farm, samples, quick), Asking(farm.client, V4, PORT)
        for member in farm.members.values():
            member.drains = False
        kill_a_daemon(farm, samples, asking, held, DAEMON)

        # All at the anchor's host: when it goes, nobody else has seen their flows.
        host = farm.host(farm.wait_anchor())
        drained, killed, removed, *_ = [m for m in farm.members.values() if m.host is host]
        added = farm.member(host.name, "added")
        added.drains = False
        host.vmac("cluster", "member", "add", "web", added.mac)
        farm.wait_live({"added": "up"})
        held.broken(JOINED)
        host.vmac("cluster", "member", "drain", "web", drained.mac)
        drained.drains = True
        held.broken(DRAINS)
        killed.die()
        farm.wait_live({killed.name: "down"})
        held.broken(KILLED, by=(killed.name,))
        host.vmac("cluster", "member", "remove", "web", killed.mac)
        held.broken(REMOVED_DEAD, gone=(killed.name,))
        host.vmac("cluster", "member", "remove", "web", removed.mac)
        away = (killed.name, removed.name)
        held.broken(REMOVED, gone=(killed.name,), by=(removed.name,))

        kill_a_daemon(farm, samples, asking, held, DAEMON_LATE, away)
        time.sleep(1)
        _, gone = end_of_an_anchor(farm, samples, asking, HOST, True)
        held.broken(HOST, gone=(*away, *gone))
        asking.end()
        held.load.end()


def measure_distributed(samples):
    import lab
    from clusters import PORT, V4
    with lab.Lab() as place:
        farm = a_farm(place, "--mode", "distributed", "--mac", DISTRIBUTED_FACE)
        farm.client.run("ip", "neigh", "replace", V4, "lladdr", DISTRIBUTED_FACE, "dev", "eth0")
        asking = Asking(farm.client, V4, PORT)
        asking.settle()
        host = farm.host("kvm2")
        gone = [m.name for m in farm.members.values() if m.host is host]
        host.kill(signal.SIGKILL)
        host.ns.run("ip", "link", "set", "eth0", "down")
        sample_gaps(farm, samples, asking, DISTRIBUTED, gone)
        asking.end()
