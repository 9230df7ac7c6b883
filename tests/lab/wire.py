"""A LAN for routers: a switch that sees every frame, routers and hosts on it, captures, and tshark as the judge."""
import contextlib
import re
import socket
import struct
import subprocess
import threading
import time

import lab

VRRP4, VRRP6 = "00:00:5e:00:01:", "00:00:5e:00:02:"


class Lan:
    """Namespaces on one bridge: NAME is at 10.9.0.N/24 and 2001:db8:9::N/64 on its eth0."""

    def __init__(self, place, *names):
        self.place, self.nodes, self.numbers = place, {}, {}
        self.switch = place.netns("switch")
        self.switch.sh("ip link add br0 type bridge mcast_snooping 0; ip link set br0 up")
        for number, name in enumerate(names, 1):
            node = place.netns(name)
            place.link(node, "eth0", self.switch, name)
            self.switch.run("ip", "link", "set", name, "master", "br0")
            node.sh(f"ip addr add 10.9.0.{number}/24 dev eth0;"
                    f"ip -6 addr add 2001:db8:9::{number}/64 dev eth0 nodad;"
                    "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
            self.nodes[name], self.numbers[name] = node, number
        for name in names:
            lab.wait_for(f"{name} has its link-local address", lambda n=name: self.link_local(n), 10)

    def __getitem__(self, name):
        return self.nodes[name]

    def address(self, name, family=4):
        return f"10.9.0.{self.numbers[name]}" if family == 4 else f"2001:db8:9::{self.numbers[name]}"

    def link_local(self, name):
        found = re.search(r"inet6 (fe80::\S+)/64 scope link(?! tentative)",
                          self.nodes[name].run("ip", "-6", "addr", "show", "dev", "eth0").stdout)
        return found and found.group(1)

    def mac(self, name):
        return self.nodes[name].link_address("eth0")

    def cut(self, name):
        self.switch.run("ip", "link", "set", name, "down")

    def mend(self, name):
        self.switch.run("ip", "link", "set", name, "up")

    def part(self, name):
        """The link stays up, but nobody is behind it."""
        self.switch.run("ip", "link", "set", name, "nomaster")

    def join(self, name):
        self.switch.run("ip", "link", "set", name, "master", "br0")

    def port_of(self, mac):
        """Behind which port the switch has seen the address last; None = not at all."""
        for line in self.switch.run("bridge", "fdb", "show", "br", "br0").stdout.splitlines():
            if line.startswith(mac + " ") and "permanent" not in line:
                return line.split(" dev ")[1].split()[0]
        return None

    def neighbour(self, name, address):
        """What a host has cached for an address; None = nothing that is valid."""
        for line in self.nodes[name].run("ip", "neigh", "show", address, "dev", "eth0").stdout.splitlines():
            found = re.search(r"lladdr (\S+)", line)
            if found:
                return found.group(1)
        return None

    @contextlib.contextmanager
    def captured(self, port=None):
        """Every frame on the bridge (or that came in from one port), as a Capture that ends with the block."""
        capture = Capture(self, port)
        try:
            yield capture
        finally:
            capture.stop()


class Capture:
    """Frames as they come: (when, octets).  With a file of them for tshark."""

    def __init__(self, lan, port):
        self.lan, self.frames = lan, []
        self.sockets = []
        for name in [port] if port else lan.nodes:
            raw = lan.switch.packet_socket(name, incoming=True)
            raw.settimeout(0.1)
            self.sockets.append(raw)
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._read, args=(raw,), daemon=True) for raw in self.sockets]
        for thread in self.threads:
            thread.start()

    def _read(self, raw):
        while not self.stopping.is_set():
            try:
                self.frames.append((time.time(), raw.recv(4096)))
            except TimeoutError:
                pass
            except OSError:
                time.sleep(0.02)  # the port is down for a while

    def stop(self):
        if not self.stopping.is_set():
            self.stopping.set()
            for thread in self.threads:
                thread.join()
            for raw in self.sockets:
                raw.close()
            self.frames.sort(key=lambda frame: frame[0])

    def from_mac(self, mac):
        octets = bytes.fromhex(mac.replace(":", ""))
        return [frame for _, frame in self.frames if frame[6:12] == octets]

    def save(self, path):
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
            for when, frame in self.frames:
                file.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(frame), len(frame)) + frame)
        return path


# One checksum of VRRPv3 over IPv4 has two readings (RFC 5798 as deployed, RFC 9568), of which tshark knows one.
_PREFERENCES = ("-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE")


def judge(path, selection):
    """What tshark holds against the frames: lines of text, none if they are all well."""
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), *_PREFERENCES, "-Y",
         f"({selection}) && (_ws.malformed || _ws.expert.severity >= 0x00600000 || _ws.unreassembled)",
         "-T", "fields", "-e", "frame.number", "-e", "_ws.col.Protocol", "-e", "_ws.col.Info", "-e", "_ws.expert.message"],
        capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise lab.LabError(f"tshark: {done.stderr.strip()}")
    return done.stdout.splitlines()


class Service:
    """Numbered datagrams to a virtual address at a rate, and who of the routers got them, and when."""

    def __init__(self, lan, client, routers, address, pps=1000, port=7100):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.address, self.port, self.gap = address, port, 1 / pps
        self.arrivals, self.sent, self.sent_at = [], 0, []
        self.stopping = threading.Event()
        self.out = lan[client].socket(family, socket.SOCK_DGRAM)
        self.receivers = []
        for name in routers:
            into = lan[name].socket(family, socket.SOCK_DGRAM)
            into.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
            into.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
            into.settimeout(0.2)
            self.receivers.append((name, into))
        self.threads = [threading.Thread(target=self._send, daemon=True)]
        self.threads += [threading.Thread(target=self._receive, args=receiver, daemon=True)
                         for receiver in self.receivers]
        for thread in self.threads:
            thread.start()

    def _send(self):
        following = time.monotonic()
        while not self.stopping.is_set():
            try:
                self.out.sendto(self.sent.to_bytes(8, "big"), (self.address, self.port))
            except OSError:
                pass
            self.sent += 1
            self.sent_at.append(time.time())
            following += self.gap
            time.sleep(max(0, following - time.monotonic()))

    def lost_at(self):
        """When those were sent that never arrived; after stop()."""
        arrived = {number for number, _, _ in self.arrivals}
        return [self.sent_at[number] for number in range(min(arrived, default=0), self.sent) if number not in arrived]

    def _receive(self, name, into):
        quiet_since = None
        while quiet_since is None or time.monotonic() - quiet_since < 0.4:
            try:
                number = int.from_bytes(into.recv(64)[:8], "big")
            except (TimeoutError, OSError):
                if self.stopping.is_set() and quiet_since is None:
                    quiet_since = time.monotonic()
                continue
            self.arrivals.append((number, time.monotonic(), name))

    def at(self):
        """Which router got the last one, if that was just now."""
        last = self.arrivals[-1:]
        return last[0][2] if last and time.monotonic() - last[0][1] < 0.1 else None

    def stop(self):
        """Ends it; (numbers that never arrived from the first that did on, numbers that came twice)."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        for sock in [self.out, *(into for _, into in self.receivers)]:
            sock.close()
        numbers = [number for number, _, _ in self.arrivals]
        if not numbers:
            return self.sent, 0
        return self.sent - min(numbers) - len(set(numbers)), len(numbers) - len(set(numbers))
