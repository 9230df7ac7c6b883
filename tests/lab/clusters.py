"""Clusters: members that serve, clients that hold thousands of flows, and a watch on the switch."""
import contextlib
import json
import subprocess
import threading
import time

import lab
from fleet import Fleet, octets

PORT = 7000
V4, V6 = "10.9.0.100", "fd00:9::100"
OUTSIDE4, OUTSIDE6 = "192.0.2.100", "2001:db8:100::1"


class Member:
    """A container with a station's vMAC; the virtual addresses are on its lo, and that is all it knows of them."""

    def __init__(self, farm, name, host, number, where="lo", addresses=(V4, V6), four=True):
        """four: it has an IPv4 address of its own."""
        self.farm, self.name, self.host = farm, name, host
        self.ip4, self.ip6 = f"10.9.{number // 250}.{number % 250}" if four else None, f"fd00:9::{number}"
        self.ns = farm.fleet.place.netns(name)
        host.vmac("port", "add", name, "--kind", "veth", "--netns", self.ns.path, "--segment", "lan",
                  *(word for ip in (self.ip4, self.ip6) if ip for word in ("--ip", ip)))
        self.mac = host.daemon.port(name)["vmac"]
        self.ns.sh(f"ip -6 addr add {self.ip6}/64 dev eth0; ip link set eth0 up; ip -6 route add default dev eth0")
        if four:
            self.ns.sh(f"ip addr add {self.ip4}/24 dev eth0; ip route add default dev eth0")
        for address in addresses:
            length = 128 if ":" in address else 32
            self.ns.run("ip", "addr", "add", f"{address}/{length}", "dev", where)
        host.daemon.wait_port(name)
        self.servers = []
        self.serve()

    def serve(self):
        server = self.ns.start(lab.binary("flows"), "serve", self.name, PORT, stdout=subprocess.PIPE, text=True)
        if server.stdout.readline().strip() != "ready":
            raise lab.LabError(f"{self.name} does not serve")
        self.servers.append(server)

    def die(self):
        """The whole guest, at once: nothing of it answers any more."""
        for server in self.servers:
            server.kill()
            server.wait()
        self.ns.run("ip", "link", "set", "eth0", "down")


class Load:
    """`flows hold` in a client."""

    def __init__(self, client, kind, address, count, rate=2000, port=PORT, source=None):
        more = [source] if source else []
        self.process = client.start(lab.binary("flows"), "hold", kind, address, port, count, rate, *more,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.count, self.kind = count, kind
        self.asking = threading.Lock()

    def status(self):
        with self.asking:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        if not line:
            raise lab.LabError(f"flows ended with {self.process.wait()}")
        return json.loads(line)

    def wait_connected(self, seconds=60):
        def connected():
            status = self.status()
            return status if status["connected"] + status["failed"] >= self.count else None
        status = lab.wait_for(f"{self.count} flows", connected, seconds, 0.3)
        assert status["failed"] == 0, status
        return status

    def settle(self, rounds=2):
        """Long enough for a message on each flow, `rounds` times."""
        time.sleep(2.2 * rounds + 0.5)
        return self.status()

    def end(self):
        status = self.status()
        self.process.stdin.close()
        self.process.wait(10)
        return status


class Flooded:
    """Watches a node of the LAN that has nothing to do with the cluster: what of the faces' frames reaches it?  Frames
    for others (unicast, by the switch's ignorance) are .frames."""

    def __init__(self, node, *macs, link="eth0"):
        self.macs = {octets(mac) for mac in macs}
        node.run("ip", "link", "set", link, "promisc", "on")
        self.socket = node.packet_socket(link, incoming=True)
        self.socket.settimeout(0.1)
        self.frames = []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while not self.ending.is_set():
            with contextlib.suppress(OSError):
                frame = self.socket.recv(128)
                if frame[:6] in self.macs:
                    self.frames.append(frame)

    def end(self):
        self.ending.set()
        self.thread.join()
        self.socket.close()
        return self.frames


class Farm:
    """Two hosts (or more) that share a registry, members on them, one cluster."""

    def __init__(self, place, *hosts, switch=None, etcd_members=1, **options):
        self.fleet = Fleet(place, *(hosts or ("kvm1", "kvm2")), switch=switch, members=etcd_members, **options)
        self.place, self.members, self.numbers = place, {}, 20
        self.client = self.fleet.switch.far
        self.client.run("ip", "-6", "addr", "add", "fd00:9::200/64", "dev", "eth0")
        for host in self.fleet.hosts.values():
            host.ns.run("ip", "-6", "addr", "add", f"fd00:9::{host.number}/64", "dev", "eth0")
        self.other = self.fleet.switch.plug("other", "10.9.0.222")

    def host(self, name):
        return self.fleet[name]

    def member(self, host, name=None, **options):
        self.numbers += 1
        name = name or f"m{self.numbers - 20}"
        self.members[name] = Member(self, name, self.fleet[host], self.numbers, **options)
        return self.members[name]

    def spread(self, count, **options):
        """So many members, over the hosts in turn."""
        names = list(self.fleet.hosts)
        return [self.member(names[i % len(names)], **options) for i in range(count)]

    def cluster(self, *options, name="web", addresses=(V4, V6), members=None, host=None):
        host = self.fleet[host or next(iter(self.fleet.hosts))]
        words = [word for address in addresses for word in ("--address", address)]
        words += [word for member in (self.members.values() if members is None else members)
                  for word in ("--member", member.mac)]
        host.vmac("cluster", "add", name, "--segment", "lan", *words, *options)
        return self.show(name)

    def show(self, name="web", host=None):
        return self.fleet[host or next(iter(self.fleet.hosts))].get(f"/v1/clusters/{name}")

    def live(self, name="web", host=None, shown=None):
        """member's name -> its state as a host sees it."""
        macs = {member.mac: member.name for member in self.members.values()}
        return {macs.get(m["address"], m["address"]): m["live"] for m in (shown or self.show(name, host))["members"]}

    def wait_live(self, states, name="web", seconds=15):
        """On all hosts; states: member's name -> state, or one for all.  Who is up has rows, too, where it is to have some, on
        hosts that have a member."""
        for host in self.fleet.hosts.values():
            if host.daemon.process.poll() is not None:
                continue
            def so(host=host):
                shown = self.show(name, host.name)
                live = self.live(name, shown=shown)
                wanted = states if isinstance(states, dict) else {member: states for member in live}
                if not live or any(live.get(member) != state for member, state in wanted.items()):
                    return False
                if shown["mode"] == "carry" or host.name not in (m["host"] for m in shown["members"]):
                    return True
                serve = (m for m in shown["members"] if m["live"] == "up" and m["state"] == "active" and m["weight"])
                return all(m["rows"] for m in serve)
            try:
                lab.wait_for(f"{host.name}: members are {states}", so, seconds, 0.1)
            except lab.LabError as problem:
                raise lab.LabError(f"{problem}; they are {self.live(name, host.name)}") from None

    def anchors(self, name="web"):
        """Which hosts say of themselves that they have a face, by the face's address."""
        found = {}
        for host in self.fleet.hosts.values():
            if host.daemon.process.poll() is not None:
                continue
            for face in self.show(name, host.name)["faces"]:
                if face["here"]:
                    found.setdefault(face["address"], []).append(host.name)
        return found

    def wait_anchor(self, name="web", but=(), seconds=10):
        """The one host that has the first face."""
        def one():
            anchors = self.anchors(name)
            first = self.show(name, next(h.name for h in self.fleet.hosts.values()
                                         if h.daemon.process.poll() is None))["faces"][0]["address"]
            here = anchors.get(first, [])
            return here[0] if len(here) == 1 and here[0] not in but else None
        return lab.wait_for("one anchor", one, seconds, 0.02)

    def load(self, kind="tcp", address=V4, count=1000, **options):
        return Load(self.client, kind, address, count, **options)
