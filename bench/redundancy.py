"""What the benchmarks of redundant routers share: two routers and a wire, and the daemons that run on them."""
import contextlib
import errno
import json
import os
import signal
import socket
import struct
import subprocess
import time

from harness import Failure, Netns, Vmacd, run

GROUPS_A_LINK = 250



class Group:
    """One virtual router: a group number on a link, with one address."""

    def __init__(self, number, link, priority, interval):
        self.name, self.link = f"g{link}x{number}", f"eth{link}"
        self.number, self.priority, self.interval = number, priority, interval
        self.address = f"10.{100 + link}.1.{number}"
        self.mac = bytes([0, 0, 0x5e, 0, 1, number])


def groups(count, priority, interval):
    return [Group(i % GROUPS_A_LINK + 1, i // GROUPS_A_LINK, priority, interval) for i in range(count)]


def down_interval(priority, interval):
    """RFC 9568 section 6.1, for the router that waits."""
    return 3 * interval + (256 - priority) / 256 * interval


def cpu_seconds(pids):
    """Time on a CPU of all threads, to the nanosecond: the ticks of /proc/PID/stat miss what is short."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="utf-8") as file:
                total += int(file.read().split()[0])
    return total / 1e9


def resident(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/statm", encoding="utf-8") as file:
            total += int(file.read().split()[1])
    return total * os.sysconf("SC_PAGE_SIZE")


def descriptors(pids):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def wait_until(what, condition, seconds=20, every=0.02):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(every)


class Wire:
    """Routers and a client on one or more links, each link a bridge of its own in the switch's namespace."""

    def __init__(self, stack, name, routers, links=1):
        self.switch = Netns(stack, f"{name}-s")
        self.routers, self.links = {}, links
        for number, router in enumerate(routers):
            netns = Netns(stack, f"{name}-{router}")
            netns.sysctl("net.ipv4.ip_forward", 1)
            self.routers[router] = netns
            for link in range(links):
                if number == 0:
                    self.switch.ip("link", "add", f"br{link}", "type", "bridge", "mcast_snooping", "0")
                    self.switch.ip("link", "set", f"br{link}", "up")
                port = self.port(router, link)
                self.switch.ip("link", "add", port, "type", "veth", "peer", "name", f"eth{link}",
                               "netns", netns.name)
                self.switch.ip("link", "set", port, "master", f"br{link}", "up")
                netns.ip("addr", "add", f"10.{100 + link}.0.{number + 2}/16", "dev", f"eth{link}")
                netns.ip("link", "set", f"eth{link}", "up")

    @staticmethod
    def port(router, link):
        return f"{router}{link}"

    def cut(self, router):
        """The router's host is gone: nothing from it reaches anybody."""
        for link in range(self.links):
            self.switch.ip("link", "set", self.port(router, link), "down")

    def mend(self, router):
        for link in range(self.links):
            self.switch.ip("link", "set", self.port(router, link), "up")

    def leftovers(self, router):
        """Macvlan devices that a daemon left behind."""
        shown = json.loads(self.routers[router].ip("-d", "-j", "link", "show", "type", "macvlan") or "[]")
        return len([link for link in shown if link])


def inside(netns, make):
    """Calls make() in a thread that is in the namespace: a socket made there stays there."""
    import ctypes
    import threading
    libc, made = ctypes.CDLL(None, use_errno=True), []

    def work():
        with open(netns.path, "rb") as handle:
            if libc.setns(handle.fileno(), 0x40000000) == 0:
                made.append(make())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if not made:
        raise Failure(f"cannot enter {netns.name}")
    return made[0]


class Capture:
    """Frames on one port of the switch, with the kernel's time stamps (seconds of the wall clock)."""

    def __init__(self, netns, ifname):
        def make():
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            raw.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
            raw.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
            raw.setsockopt(263, 23, 1)		  # PACKET_IGNORE_OUTGOING
            raw.bind((ifname, 3))
            raw.setblocking(False)
            return raw
        self.socket = inside(netns, make)

    def frames(self):
        """All that waits: (time, frame)."""
        while True:
            try:
                frame, ancillary, _, _ = self.socket.recvmsg(256, 64)
            except BlockingIOError:
                return
            except OSError as problem:
                if problem.errno == errno.ENETDOWN:  # said once, when the link is cut; what waits still comes
                    continue
                raise
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
            yield seconds + nanoseconds / 1e9, frame

    def close(self):
        self.socket.close()


def is_announcement(frame):
    """A gratuitous ARP."""
    return frame[12:14] == b"\x08\x06" and frame[28:32] == frame[38:42]


def is_advertisement(frame):
    return frame[12:14] == b"\x08\x00" and frame[23] == 112


# --- daemons ------------------------------------------------------------------------------------------------


class Keepalived:
    """keepalived with vMACs (macvlan), one gratuitous ARP a takeover: what vrrp_min_garp would give."""

    system = "keepalived"

    def __init__(self, tools, directory, netns, members):
        self.netns, self.members = netns, members
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.process = None

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self):
        text = ["global_defs {", "  router_id bench", "  vrrp_garp_master_repeat 1", "  vrrp_garp_master_delay 0",
                "}"]
        for g in self.members:
            text += [f"vrrp_instance {g.name} {{", "  state BACKUP", f"  interface {g.link}", "  version 3",
                     f"  use_vmac v{g.link[3:]}x{g.number}", f"  virtual_router_id {g.number}",
                     f"  priority {g.priority}", f"  advert_int {g.interval:g}", "  accept",
                     f"  virtual_ipaddress {{ {g.address}/16 }}", "}"]
        with open(self.path("conf"), "w", encoding="utf-8") as file:
            file.write("\n".join(text) + "\n")

    def start(self):
        self.write()
        with open(self.path("log"), "ab") as log:
            self.process = subprocess.Popen(
                self.netns.inside("keepalived", "--dont-fork", "--vrrp", "--log-console", "--use-file",
                                  self.path("conf"), "--pid", self.path("pid"), "--vrrp_pid", self.path("vrrp.pid")),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def pids(self):
        done = run("pgrep", "-P", str(self.process.pid), check=False)
        return [self.process.pid, *(int(pid) for pid in done.split())]

    def kill(self):
        for pid in reversed(self.pids()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def clean(self):
        """Takes away what a kill left: a dead host has none of it."""
        self.netns.run("sh", "-c", "ip -o link show type macvlan | sed 's/^[0-9]*: \\([^@:]*\\).*/link set \\1 group 77/'"
                       " | ip -batch -; ip link del group 77 2>/dev/null; true")

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def reload(self, members):
        self.members = members
        self.write()
        self.process.send_signal(signal.SIGHUP)


class Vmac:
    """vmacd, its routers from the configuration file."""

    system = "vmac"

    def __init__(self, tools, directory, netns, members):
        os.makedirs(directory, exist_ok=True)
        self.members, self.netns = members, netns
        self.daemon = Vmacd(tools, directory, netns, plane=True)
        self.daemon.instance += "-" + os.path.basename(directory)
        self.config = os.path.join(directory, "vmacd.yaml")
        plain = self.daemon.argv
        self.daemon.argv = lambda *more: plain("--config", self.config, *more)

    def write(self):
        text = ["routers:"]
        for g in self.members:
            text += [f"  - name: {g.name}", "    protocol: vrrp3", f"    priority: {g.priority}",
                     f"    interval: {round(g.interval * 1000)}ms", "    accept: true", "    announce_count: 1",
                     f"    sets: [{{interface: {g.link}, group: {g.number}, addresses: [{g.address}/16]}}]"]
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("\n".join(text) + "\n")

    @property
    def process(self):
        return self.daemon.process

    def start(self):
        self.write()
        self.daemon.start()

    def pids(self):
        return [self.daemon.process.pid]

    def kill(self):
        self.daemon.process.kill()
        self.daemon.process.wait()
        self.daemon.process = None

    def clean(self):
        self.daemon.remove()
        Keepalived.clean(self)

    def stop(self):
        if self.daemon.process is None:
            return
        self.daemon.process.terminate()
        self.daemon.process.wait(60)
        self.daemon.process = None

    def reload(self, members):
        self.members = members
        self.write()
        self.daemon.process.send_signal(signal.SIGHUP)


SYSTEMS = (Keepalived, Vmac)


def on_the_wire(capture, members, seconds):
    """Waits until each group has been advertised once."""
    missing = {g.mac for g in members}

    def seen():
        for _, frame in capture.frames():
            if is_advertisement(frame):
                missing.discard(frame[6:12])
        return not missing

    wait_until(f"{len(members)} groups are advertised", seen, seconds)
