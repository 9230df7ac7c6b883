"""The site that the end-to-end tests share: one host, two real guests, two containers, a LAN with a client.

     lan ── br0 ─┬─ to-host ── eth0 of host ═ uplink of segment "lan"   ports: g1 (tap, virtio-net, 2 queues)
      dnsmasq    └─ to-client ── eth0 of client                                g2 (tap, vmxnet3)
                                                                               ct (veth, any IP)
                                                                               fix (veth, two bound IPs)"""
import hashlib
import os
import subprocess
import threading
import time

import lab as lablib

BLOB = 100 << 20
SUM_PORT, WEB_PORT = 5001, 8080
LAN4, LAN6 = "192.0.2.1", "2001:db8::1"
HOST4, CLIENT4 = "192.0.2.2", "192.0.2.3"
FIX4, FIX6 = "192.0.2.60", "2001:db8::60"


class NsPlace:
    """A host, client or container: a namespace with one NIC."""

    def __init__(self, name, ns, nic="eth0"):
        self.name, self.ns, self.nic = name, ns, nic
        self.sums = None

    def address(self, family):
        return lablib.wait_for(f"{self.name} has an IPv{family} address", lambda: self.ns.addresses(self.nic, family))[0]

    def ping(self, address, count=3):
        return self.ns.ping(address, count)

    def serve(self):
        self.sums = self.sums or lablib.Sums(self.ns, SUM_PORT)

    def take(self, address, file):
        """The sum of a file that a guest's web server gives."""
        return lablib.fetch_sum(self.ns, address, WEB_PORT, file)

    def give(self, target, family, octets_):
        """Sends to the target; (sum of what was sent, sum of what arrived)."""
        target.serve()
        blob = memoryview(the_blob())[:octets_]
        return hashlib.md5(blob).hexdigest(), lablib.send_blob(self.ns, target.address(family), SUM_PORT, blob)


class GuestPlace:
    """A virtual machine with one NIC.  It gives by its web server (which uses sendfile, so that an emulated CPU
    is not kept busy copying), and takes by a server that answers with the sum."""

    def __init__(self, name, guest, nic="eth0"):
        self.name, self.guest, self.nic = name, guest, nic
        self.serving, self.sums = False, {}

    def address(self, family):
        return lablib.wait_for(f"{self.name} has an IPv{family} address",
                               lambda: self.guest.addresses(self.nic, family))[0]

    def ping(self, address, count=3):
        return self.guest.ping(address, count)

    def serve(self):
        if not self.serving:
            self.guest.run(f"nc -ll -p {SUM_PORT} -e md5sum & mkdir -p /tmp/web; httpd -p {WEB_PORT} -h /tmp/web")
            self.serving = True

    def take(self, address, file):
        address = f"[{address}]" if ":" in address else address
        return self.guest.run(f"wget -q -O - http://{address}:{WEB_PORT}/{file} | md5sum", timeout=90).split()[0]

    def give(self, target, family, octets_):
        self.serve()
        file = f"blob{octets_}"
        if file not in self.sums:
            self.sums[file] = self.guest.run(f"head -c {octets_} /dev/urandom >/tmp/web/{file}; md5sum </tmp/web/{file}").split()[0]
        return self.sums[file], target.take(self.address(family), file)


_blob = []


def the_blob():
    if not _blob:
        _blob.append(os.urandom(BLOB))
    return _blob[0]


class Site:
    def __init__(self):
        self.lab = lablib.Lab()
        try:
            self._make()
        except BaseException:
            self.lab.close()
            raise

    def _make(self):
        lab = self.lab
        self.lan, self.host, self.client = lab.netns("lan"), lab.netns("host"), lab.netns("client")
        self.ct, self.fix = lab.netns("ct"), lab.netns("fix")
        self.lan.sh("ip link add br0 type bridge mcast_snooping 0; ip link set br0 up;"
                    f"ip addr add {LAN4}/24 dev br0; ip addr add {LAN6}/64 dev br0 nodad")
        for ns, name in ((self.host, "to-host"), (self.client, "to-client")):
            lab.link(ns, "eth0", self.lan, name)
            self.lan.run("ip", "link", "set", name, "master", "br0")
        self.host.run("ip", "addr", "add", f"{HOST4}/24", "dev", "eth0")
        self.client.run("ip", "addr", "add", f"{CLIENT4}/24", "dev", "eth0")
        # Its addresses are the bound ones and no others.
        self.fix.sh("echo 0 >/proc/sys/net/ipv6/conf/default/accept_ra")
        self.leases = lab.directory / "leases"
        with open(lab.directory / "dnsmasq.log", "wb") as log:
            self.lan.start("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--no-resolv", "--no-hosts",
                           "--user=root", "--interface=br0", "--bind-interfaces", "--dhcp-authoritative", "--no-ping", "--pid-file=",
                           f"--dhcp-leasefile={self.leases}", "--dhcp-range=192.0.2.100,192.0.2.199,1h",
                           "--enable-ra", "--dhcp-range=2001:db8::,ra-only,64", stdout=log, stderr=log)

        self.daemon = daemon = lab.daemon(self.host)
        daemon.vmac("segment", "add", "lan", "--uplink", "eth0")
        daemon.vmac("pool", "add", "pool", "--segment", "lan")
        self.add_port("g1", "tap", "--queues", 2)
        self.add_port("g2", "tap")
        self.add_port("ct", "veth", "--netns", self.ct.path, "--peer-ifname", "eth0")
        self.add_port("fix", "veth", "--netns", self.fix.path, "--peer-ifname", "eth0", "--ip", FIX4, "--ip", FIX6)
        one, two = daemon.port("g1"), daemon.port("g2")
        self.g1 = lab.guest(self.host, "g1", ("virtio-net-pci", one["ifname"], one["vmac"], 2))
        self.g2 = lab.guest(self.host, "g2", ("vmxnet3", two["ifname"], two["vmac"]))
        for ns in (self.ct, self.fix):
            ns.run("ip", "link", "set", "eth0", "up")
        self.fix.sh(f"ip addr add {FIX4}/24 dev eth0; ip addr add {FIX6}/64 dev eth0 nodad")
        # Addresses from the LAN's own server, asked for in the ordinary way.
        self.ct.run("busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-t", 10, "-T", 1, "-s", lablib.GUEST / "udhcpc.script")
        for guest in (self.g1, self.g2):
            guest.run("ip link set eth0 up; udhcpc -i eth0 -n -q -t 10 -T 1")
        self.places = {"client": NsPlace("client", self.client), "host": NsPlace("host", self.host),
                       "ct": NsPlace("ct", self.ct), "fix": NsPlace("fix", self.fix),
                       "g1": GuestPlace("g1", self.g1), "g2": GuestPlace("g2", self.g2)}
        self.known = {}

    def add_port(self, name, kind, *options, pool="pool"):
        self.daemon.vmac("port", "add", name, "--kind", kind, "--pool", pool, "--owner", f"test-{name}", *options)
        return self.daemon.wait_port(name)

    def address(self, place, family):
        key = place, family
        if key not in self.known:
            self.known[key] = self.places[place].address(family)
        return self.known[key]

    def drops(self, port):
        return self.daemon.drops(port)

    def close(self):
        self.lab.close()


class Capture:
    """Frames that come in (or pass) on a link, kept as bytes."""

    def __init__(self, ns, link, incoming=True, keep=lambda frame: True):
        self.socket = ns.packet_socket(link, incoming=incoming)
        self.socket.settimeout(0.2)
        self.keep, self.frames, self.longest = keep, [], 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            try:
                frame = self.socket.recv(65700)
            except TimeoutError:
                if self.stopping.is_set():
                    return
                continue
            except OSError:
                return
            if self.keep(frame):
                self.longest = max(self.longest, len(frame))
                if len(self.frames) < 100_000:
                    self.frames.append(frame[:2048])

    def stop(self, settle=0.3):
        """Waits until nothing more can be under way; returns the frames."""
        time.sleep(settle)
        self.stopping.set()
        self.thread.join()
        self.socket.close()
        return self.frames


def octets(mac):
    return bytes.fromhex(mac.replace(":", ""))


def tcpdump(ns, link, file, *words):
    """A capture into a file; returns the running process once it listens."""
    process = ns.start("tcpdump", "-i", link, "-w", file, "-U", "--immediate-mode", *words, stderr=subprocess.PIPE)
    while b"listening" not in process.stderr.readline():
        if process.poll() is not None:
            raise lablib.LabError("tcpdump did not start")
    return process
