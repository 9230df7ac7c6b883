"""A guest that moves between hosts while it talks: QEMU's live migration, its traffic, and what the switch sees.

          switch br0 ─┬─ kvm1 ── eth0 of a host ── the guest's tap, and a container that talks to it
                      ├─ kvm2 ── eth0 of another ── …
                      └─ far ── eth0 of a client on the wire

Used by the tests and by the benchmark; what a host is (vmacd, or a plain Linux bridge) its caller says."""
import collections
import contextlib
import json
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import threading
import time

import lab

GUEST_MEMORY = 96
UDP_PORT, TCP_PORT = 7000, 7001


class QmpError(Exception):
    """QEMU refused, or is gone."""


class Qmp:
    """A QEMU's control socket.  Events are kept with the time QEMU gave them, in seconds."""

    def __init__(self, path, seconds=20):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

        def connected():
            try:
                self.socket.connect(str(path))
                return True
            except OSError:
                return False

        lab.wait_for(f"QEMU listens on {path}", connected, seconds)
        self.events, self.since, self.answers, self.gone = [], 0, [], False
        self.changed = threading.Condition()
        self.handlers = collections.defaultdict(list)
        threading.Thread(target=self._read, daemon=True).start()
        self.execute("qmp_capabilities")

    def _read(self):
        with contextlib.suppress(OSError, ValueError):
            for line in self.socket.makefile("rb"):
                said = json.loads(line)
                name = said.get("event")
                with self.changed:
                    if name:
                        at = said["timestamp"]["seconds"] + said["timestamp"]["microseconds"] / 1e6
                        self.events.append((at, name, said.get("data", {})))
                    elif "return" in said or "error" in said:
                        self.answers.append(said)
                    self.changed.notify_all()
                for handler in self.handlers.get(name, ()):
                    handler(said.get("data", {}))
        with self.changed:
            self.gone = True
            self.changed.notify_all()

    def execute(self, command, seconds=20, **arguments):
        with self.changed:
            self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
            if not self.changed.wait_for(lambda: self.answers or self.gone, seconds) or not self.answers:
                raise QmpError(f"{command}: no answer")
            said = self.answers.pop(0)
        if "error" in said:
            raise QmpError(f"{command}: {said['error'].get('desc')}")
        return said["return"]

    def mark(self):
        """From here on only what comes now is looked at."""
        self.since = len(self.events)

    def at(self, name, where=lambda data: True, seconds=0):
        """When an event (of these data) happened first since the mark; None = not yet."""
        def first():
            return next((at for at, event, data in self.events[self.since:] if event == name and where(data)), None)

        with self.changed:
            self.changed.wait_for(lambda: first() is not None or self.gone, seconds)
            return first()

    def on(self, name, handler):
        """Calls a function, on the reader's thread, when that event comes."""
        self.handlers[name].append(handler)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Incarnation:
    """One QEMU process of a guest, on one host."""

    def __init__(self, vm, host, number, incoming=None):
        self.host, self.number, self.known = host, number, None
        self.taps = [host.prepare(nic, incoming is not None) for nic in vm.nics]
        self.directory = vm.lab.directory / f"vm-{vm.name}-{number}"
        self.boot(vm, incoming)

    def boot(self, vm, incoming=None):
        self.directory.mkdir()
        argv = [lab.GUEST / "boot", vm.image, self.directory, vm.name, "--memory", GUEST_MEMORY]
        if incoming:
            argv += ["--incoming", incoming]
        for tap, nic in zip(self.taps, vm.nics):
            argv += ["--nic", f"virtio-net-pci,{tap},{nic.mac}"]
        with open(self.directory / "qemu.log", "ab") as log:
            self.process = self.host.ns.start(*argv, stdout=log, stderr=log)
        self.qmp = Qmp(self.directory / "qmp")
        self.qmp.execute("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
        if not vm.announces:
            self.qmp.execute("migrate-set-parameters", **{"announce-rounds": 0})

    def end(self, vm, kill=False):
        if self.process.poll() is None:
            if kill:
                self.process.kill()
            else:
                with contextlib.suppress(QmpError, OSError):
                    self.qmp.execute("quit", seconds=2)
            try:
                self.process.wait(5)
            except Exception:
                self.process.kill()
                self.process.wait()
        self.qmp.close()
        for tap, nic in zip(self.taps, vm.nics):
            self.host.retire(nic, tap)


class Nic:
    """One of a guest's, as hosts see it.  mac: None = what the first host gives it."""

    def __init__(self, vm, name, mac):
        self.vm, self.name, self.mac = vm, name, mac

    @property
    def numbers(self):
        return self.vm.numbers

    @property
    def ips(self):
        return self.vm.ips if self.vm.nics[0] is self else ()


class Vm:
    """A guest that can be moved.  ips: bound to its first NIC; announces: QEMU speaks for it when it has arrived."""

    def __init__(self, place, name, mac, address, host, nics=1, ips=(), announces=True):
        made = subprocess.run([lab.GUEST / "prepare"], text=True, capture_output=True, check=False)
        if made.returncode != 0:
            raise lab.LabError(f"no guest: {made.stderr.strip()}")
        self.lab, self.name, self.address, self.ips, self.announces = place, name, address, ips, announces
        self.nics = [Nic(self, name if i == 0 else f"{name}{'abcd'[i]}", mac if i == 0 else None) for i in range(nics)]
        self.image = made.stdout.strip()
        self.numbers = 0
        self.here = self._incarnate(host)
        self.console = None
        self.configure()

    def configure(self):
        self.run(f"ip addr add {self.address}/24 dev eth0; ip link set eth0 up;"
                 "echo 0 > /proc/sys/net/ipv4/tcp_slow_start_after_idle")

    def _incarnate(self, host, incoming=None):
        self.numbers += 1
        return Incarnation(self, host, self.numbers, incoming)

    @property
    def mac(self):
        return self.nics[0].mac

    @property
    def host(self):
        return self.here.host

    def run(self, command, timeout=60):
        if self.console is None:
            self.console = lab._console().Console(str(self.here.directory / "console"), 90)
        status, output = self.console.run(command, timeout)
        if status != 0:
            raise lab.LabError(f"{self.name}: {command}: exit {status}: {output.strip()}")
        return output

    def hang_up(self):
        if self.console:
            self.console.close()
            self.console = None

    def begin(self, host, downtime_ms=300, bandwidth=1 << 30):
        """Starts a migration to another host; returns the incarnation that waits there."""
        path = self.lab.directory / f"{self.name}-{self.numbers + 1}.sock"
        self.hang_up()
        there = self._incarnate(host, f"unix:{path}")
        self.here.qmp.execute("migrate-set-parameters", **{"downtime-limit": downtime_ms, "max-bandwidth": bandwidth})
        self.here.qmp.mark()
        for nic in self.nics:
            self.here.host.leaving(nic, self.here)
        self.here.qmp.execute("migrate", uri=f"unix:{path}")
        return there

    def complete(self, there, seconds=60, retire=True):
        """Waits for the end; the guest is then there.  Returns what it took.  retire: what is left of it here goes at once."""
        if self.here.qmp.at("MIGRATION", lambda d: d["status"] in ("completed", "failed", "cancelled"), seconds) is None:
            raise lab.LabError(f"{self.name}: no end of the migration: {self.here.qmp.events[-3:]}")
        told = self.here.qmp.execute("query-migrate")
        if told["status"] != "completed":
            raise lab.LabError(f"{self.name}: the migration is {told['status']}")
        resumed = there.qmp.at("RESUME", seconds=10)
        stopped = self.here.qmp.at("STOP")
        old, self.here = self.here, there
        if retire:
            old.end(self)
        return {"old": old, "known": old.known, "stop": stopped, "resume": resumed, "pause": resumed - stopped, "total_ms": told["total-time"]}

    def move(self, host, retire=True, held=None, **options):
        """held: called when the guest stands still and its state is all at the other host, but for the last; it goes on then."""
        capability = {"capability": "pause-before-switchover", "state": held is not None}
        self.here.qmp.execute("migrate-set-capabilities", capabilities=[capability])
        there = self.begin(host, **options)
        if held:
            if not self.here.qmp.at("MIGRATION", lambda d: d["status"] == "pre-switchover", 30):
                raise lab.LabError(f"{self.name}: not yet before the switch-over: {self.here.qmp.events[-3:]}")
            held()
            self.here.qmp.execute("migrate-continue", state="pre-switchover")
        return self.complete(there, retire=retire)

    def boot_again(self, host):
        """After its death, on that host, from the start."""
        self.hang_up()
        self.here = self._incarnate(host)
        self.configure()

    def end(self):
        self.hang_up()
        self.here.end(self, kill=True)


class Talk:
    """Datagrams both ways at a rate between a client and the guest, and one TCP stream out of it."""

    def __init__(self, vm, ns, own, port=UDP_PORT, pps=1000, tcp=True):
        self.vm, self.own, self.port, self.pps = vm, own, port, pps
        self.udp = ns.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
        self.udp.bind((own, port))
        self.arrived, self.sent, self.twice, self.seen, self.sent_at = [], 0, 0, set(), []
        self.octets, self.stream_error, self.stream_gap = 0, None, 0.0
        self.ending = threading.Event()
        self.tcp = None
        if tcp:
            self.listener = ns.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((own, port + 1))
            self.listener.listen(1)
            vm.run(f"talk tcp {own} {port + 1} >/tmp/tcp.{port} 2>&1 &")
            self.listener.settimeout(20)
            self.tcp = self.listener.accept()[0]
        vm.run(f"talk udp {own} {port} {pps} >/tmp/udp.{port} 2>&1 & echo $! >/tmp/pid.{port}")
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self._send, self._receive, self._stream)]
        for thread in self.threads:
            thread.start()

    def _send(self):
        following = time.monotonic()
        while not self.ending.is_set():
            with contextlib.suppress(OSError):
                self.udp.sendto(struct.pack(">Q", self.sent), (self.vm.address, self.port))
                self.sent_at.append(time.time())
                self.sent += 1
            following += 1 / self.pps
            left = following - time.monotonic()
            if left > 0:
                time.sleep(left)

    def _receive(self):
        self.udp.settimeout(0.2)
        while not self.ending.is_set():
            try:
                data = self.udp.recv(64)
            except (TimeoutError, OSError):
                continue
            number = struct.unpack(">Q", data)[0]
            if number in self.seen:
                self.twice += 1
            else:
                self.seen.add(number)
                self.arrived.append((time.time(), number))

    def _stream(self):
        """Reads the guest's stream: 64-bit numbers, one after the other."""
        if not self.tcp:
            return
        self.tcp.settimeout(0.2)
        following, rest, last = 0, b"", time.monotonic()
        while not self.ending.is_set():
            try:
                data = self.tcp.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError as problem:
                self.stream_error = str(problem)
                return
            if not data:
                self.stream_error = "the guest closed"
                return
            now = time.monotonic()
            self.stream_gap, last = max(self.stream_gap, now - last), now
            self.octets += len(data)
            rest += data
            whole = len(rest) // 8 * 8
            numbers = struct.unpack(f">{whole // 8}Q", rest[:whole])
            if numbers and (numbers[0] != following or numbers[-1] != following + len(numbers) - 1):
                self.stream_error = f"{numbers[0]} where {following} was due"
                return
            following, rest = following + len(numbers), rest[whole:]

    def gaps(self):
        """(seconds, when it ended) of each silence of more than 20 ms, the longest first."""
        times = [at for at, _ in self.arrived]
        return sorted(((b - a, b) for a, b in zip(times, times[1:]) if b - a > 0.02), reverse=True)

    def end(self, settle=0.5):
        """Stops both sides; what was sent, lost and doubled each way."""
        self.vm.run(f"kill $(cat /tmp/pid.{self.port}); sleep 0.3")
        time.sleep(settle)
        # The client went on a little longer than the guest listened: count to the last that it heard.
        text = self.vm.run(f"cat /tmp/udp.{self.port}")
        missing = [int(number) for number in re.search(r"missing:([\d,]*)", text)[1].split(",") if number]
        said = dict(re.findall(r"(\w+) (\d+)", text))
        said = {name: int(value) for name, value in said.items()}
        self.ending.set()
        for thread in self.threads:
            thread.join()
        if self.tcp:
            self.tcp.close()
            self.listener.close()
        self.udp.close()
        # From the first that it heard, too: the client may have begun sooner than the guest.
        to_guest = said["last"] + 1 - said["first"]
        return {
            "to_guest": {"sent": to_guest, "lost": to_guest - said["got"], "twice": said["twice"],
                         "lost_at": [self.sent_at[number] for number in missing]},
            "from_guest": {"sent": said["sent"], "lost": said["sent"] - len(self.seen), "twice": self.twice},
            "blackout": (self.gaps() or [(0, 0)])[0][0],
            "octets": self.octets, "stream_error": self.stream_error, "stream_gap": self.stream_gap,
        }


def datagram(source, mac, source_ip, ip, port, data):
    """A frame with a UDP datagram in it, from and to the same port."""
    body = struct.pack(">HHHH", port, port, 8 + len(data), 0) + data
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64, 17, 0, socket.inet_aton(source_ip), socket.inet_aton(ip))
    head = head[:10] + struct.pack(">H", lab._checksum(head)) + head[12:]
    return bytes.fromhex(mac.replace(":", "")) + source + b"\x08\0" + head + body


def save(path, kept):
    """(when, port, frame)… as a file for tshark."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for when, _, frame in kept:
            file.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(frame), len(frame)) + frame)
    return path


class Sources:
    """Who sources an address: watches the switch's ports, frame by frame, and keeps each change of port.  `vlans`: the
    tags that its frames bore; `kept`: (when, port, frame with its tag) of those that are neither UDP nor TCP over IPv4."""

    def __init__(self, switch, ports, mac):
        self.mac = bytes.fromhex(mac.replace(":", ""))
        self.sockets = {switch.ns.packet_socket(port, incoming=True): port for port in ports}
        self.heard, self.vlans, self.kept = [], set(), []
        for one in self.sockets:
            one.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: the kernel takes tags out of frames
            one.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS: when it came, not when we had the time to look
            one.setblocking(False)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    @staticmethod
    def _tag(ancillary):
        """The tag's four octets, b"" = none; struct tpacket_auxdata."""
        for level, _, data in ancillary:
            if level != 263:
                continue
            status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", data[:20])
            if status & 0x10:
                return struct.pack(">HH", tpid if status & 0x40 else 0x8100, tci)
        return b""

    @staticmethod
    def _time(ancillary):
        """When the kernel had it; struct timespec."""
        seconds, ns = next(struct.unpack("qq", data[:16]) for level, _, data in ancillary if level == socket.SOL_SOCKET)
        return seconds + ns / 1e9

    def _watch(self):
        while not self.ending.is_set():
            ready, _, _ = select.select(list(self.sockets), [], [], 0.1)
            for one in ready:
                # Nothing more, or a port that is being taken away.
                with contextlib.suppress(OSError):
                    while True:
                        data, ancillary, _, _ = one.recvmsg(256, 128)
                        if data[6:12] == self.mac:
                            self._heard(self._time(ancillary), self.sockets[one], data, self._tag(ancillary))

    def _heard(self, at, port, data, tag):
        self.heard.append((at, port))
        self.vlans.add(int.from_bytes(tag[2:], "big") & 0xfff if tag else 0)
        if data[12:14] != b"\x08\x00" or data[23] not in (6, 17):
            self.kept.append((at, port, data[:12] + tag + data[12:]))

    @property
    def changes(self):
        """(when, port) of each.  In the order of time: two ports' sockets are read one after the other."""
        heard = sorted(self.heard)
        return [one for before, one in zip([(0, None), *heard], heard) if one[1] != before[1]]

    def end(self):
        self.ending.set()
        self.thread.join()
        for one in self.sockets:
            one.close()
        return self.changes


class FdbMoves:
    """How often the switch itself moved an address: what `bridge monitor fdb` says."""

    def __init__(self, switch, mac):
        self.process = switch.ns.start("bridge", "monitor", "fdb", stdout=subprocess.PIPE, text=True)
        self.mac, self.ports = mac, []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            found = re.match(rf"{self.mac} dev (\S+)", line)
            if found and (not self.ports or self.ports[-1] != found[1]):
                self.ports.append(found[1])

    def end(self):
        self.process.kill()
        self.process.wait()
        return self.ports


class OvsMoves:
    """The same of Open vSwitch: where the address is, is asked for now and then; .moves are counted by the switch itself."""

    def __init__(self, switch, mac):
        self.switch, self.mac, self.ports, self.moves = switch, mac, [], 0
        self.before = self._count()
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._poll, daemon=True)
        self.thread.start()

    def _count(self):
        return int(re.search(r"port moved MAC entries\s*:\s*(\d+)", self.switch.control("fdb/stats-show", "br0"))[1])

    def _poll(self):
        names = self.switch.numbers()
        while not self.ending.wait(0.1):
            found = re.search(rf"^\s*(\d+)\s+\d+\s+{self.mac}", self.switch.control("fdb/show", "br0"), re.M)
            if found and (not self.ports or self.ports[-1] != names[found[1]]):
                self.ports.append(names[found[1]])

    def end(self):
        self.ending.set()
        self.thread.join()
        self.moves = self._count() - self.before
        return self.ports


class BridgeHost:
    """What people have today: the NIC and the taps in one Linux bridge."""

    def __init__(self, switch, name, address):
        self.name, self.ns = name, switch.plug(name, None)
        self.ns.sh(f"ip link add br0 type bridge forward_delay 0 mcast_snooping 0; ip link set br0 up;"
                   f"ip link set eth0 master br0; ip addr add {address}/24 dev br0")

    def prepare(self, vm, incoming):
        tap = f"t{vm.numbers}"
        self.ns.sh(f"ip tuntap add {tap} mode tap vnet_hdr; ip link set {tap} master br0 up")
        return tap

    def leaving(self, vm, incarnation):
        """Nothing is to be done, and nothing can be."""

    def retire(self, vm, tap):
        self.ns.run("ip", "link", "del", tap, check=False)


class Switch:
    """A Linux bridge in a namespace of its own, and a client on it."""

    def __init__(self, place, client="10.9.0.200"):
        self.place = place
        self.ns = place.netns("switch")
        self.ns.sh("ip link add br0 type bridge mcast_snooping 0 forward_delay 0; ip link set br0 up")
        self.client = client
        self.far = self.plug("far", client)

    def plug(self, name, address):
        """A node at a port that has its name."""
        node = self.place.netns(name)
        self.place.link(node, "eth0", self.ns, name)
        self.connect(node, name)
        if address:
            node.sh(f"ip addr add {address}/24 dev eth0")
        return node

    def connect(self, node, name):
        self.ns.run("ip", "link", "set", name, "master", "br0")

    def fdb(self, mac):
        return FdbMoves(self, mac)


class OvsSwitch(Switch):
    """Open vSwitch with its userspace datapath.  vlan: the client's; hosts get their frames with the tag."""

    SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"

    @classmethod
    def missing(cls):
        """What this machine lacks, as a sentence; "" = nothing."""
        here = shutil.which("ovs-vswitchd") and shutil.which("ethtool") and os.path.exists(cls.SCHEMA)
        return "" if here else "no Open vSwitch (Debian: openvswitch-switch, ethtool)"

    def __init__(self, place, client="10.9.0.200", vlan=0):
        self.place, self.client, self.vlan = place, client, vlan
        self.ns = place.netns("switch")
        self.directory = place.directory / "ovs"
        self.directory.mkdir()
        self.environment = {**os.environ, **{f"OVS_{name}DIR": str(self.directory) for name in ("RUN", "LOG", "DB", "SYSCONF")}}
        database = self.directory / "conf.db"
        subprocess.run(["ovsdb-tool", "create", database, self.SCHEMA], check=True, env=self.environment)
        quiet = {"env": self.environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.ns.start("ovsdb-server", database, f"--remote=punix:{self.directory}/db.sock",
                      f"--unixctl={self.directory}/ovsdb.ctl", "--log-file=/dev/null", **quiet)
        lab.wait_for("ovsdb-server", (self.directory / "db.sock").exists)
        self.vsctl("--no-wait", "init")
        self.ns.start("ovs-vswitchd", f"unix:{self.directory}/db.sock", "--disable-system",
                      f"--unixctl={self.directory}/vswitchd.ctl", "--log-file=/dev/null", **quiet)
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail-mode=standalone")
        self.far = self.plug("far", client)

    def vsctl(self, *arguments):
        done = subprocess.run(["ovs-vsctl", f"--db=unix:{self.directory}/db.sock", "--timeout=15", *arguments],
                              env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise lab.LabError(f"ovs-vsctl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def control(self, *arguments):
        return subprocess.run(["ovs-appctl", "-t", f"{self.directory}/vswitchd.ctl", *arguments], env=self.environment,
                              capture_output=True, text=True, check=True).stdout

    def connect(self, node, name):
        # It takes frames by packet sockets and passes them on as they are: checksums must be in them.
        node.run("ethtool", "-K", "eth0", "tx", "off")
        self.vsctl("add-port", "br0", name, *([f"tag={self.vlan}"] if self.vlan and name == "far" else []))

    def numbers(self):
        """{number: name} of its ports."""
        return {self.vsctl("get", "interface", name, "ofport").strip(): name
                for name in self.vsctl("list-ports", "br0").split()}

    def fdb(self, mac):
        return OvsMoves(self, mac)

    def wait_counted(self):
        """Returns when it has counted all frames that came before.  It learns from a frame of a known flow only then, up to
        half a second later, and an address that has moved meanwhile moves back for a moment."""
        for _ in range(2):  # the first may have been under way
            self.control("revalidator/wait")
