"""The systems that `forward` compares: each connects g1 and d1 in a namespace of its own, as well as it can."""
import contextlib
import json
import os
import shutil
import subprocess
import time

from harness import Failure, Netns, Vmacd, run, stop_process

NEAR_IP, FAR_IP = "10.9.0.1", "10.9.0.2"
NEAR_TAP_IP, FAR_TAP_IP = "10.9.1.1", "10.9.1.2"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class Unfit(Exception):
    """This system is not here, or not able; the text says why."""


def wait_for(condition, what, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds} s for {what}")
        time.sleep(0.02)


class Switch:
    """near [g0] -- [g1] host [d1] -- [d0] far, connected by nobody yet."""

    queues = False  # hands frames to another thread, so that it can lose them
    pid = 0         # a process whose CPU time counts as the switch's
    pins = None
    near_mac, far_mac = "72:00:00:00:00:01", "72:00:00:00:00:02"
    near_tap_mac, far_tap_mac = "72:00:00:00:00:11", "72:00:00:00:00:12"
    near_ip, far_ip = NEAR_IP, FAR_IP

    def __init__(self, stack, tools, directory, name):
        self.stack, self.tools, self.name = stack, tools, name
        self.directory = os.path.join(directory, name)
        os.mkdir(self.directory)
        self.near, self.host, self.far = (Netns(stack, f"{name}-{part}") for part in "ghs")
        self.make_links()
        self.near.ip("address", "add", f"{self.near_ip}/24", "dev", "g0")
        self.far.ip("address", "add", f"{self.far_ip}/24", "dev", "d0")
        self.introduce(self.near, "g0", self.far_ip, self.far_mac)
        self.introduce(self.far, "d0", self.near_ip, self.near_mac)

    @staticmethod
    def introduce(netns, link, ip, mac):
        netns.ip("neigh", "replace", ip, "lladdr", mac, "dev", link, "nud", "permanent")

    def make_links(self):
        for outer, inner, netns, mac in (("g1", "g0", self.near, self.near_mac),
                                         ("d1", "d0", self.far, self.far_mac)):
            self.host.ip("link", "add", outer, "type", "veth", "peer", "name", inner, "address",
                         mac, "netns", netns.name)
            self.host.ip("link", "set", outer, "up")
            netns.ip("link", "set", inner, "up")

    def receive_like_a_nic(self):
        # XDP frames enter a veth only where a NAPI takes them.
        self.host.run("ethtool", "-K", "g1", "gro", "on")

    def sink(self):
        return self.far, "d0"

    def bind(self, tools):
        """Connects what could not be connected before the sink was there."""

    def release(self):
        """Takes the sink away and puts g1 back as it was: TCP comes next."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.pins, "sink_link"))
        netns, link = self.sink()
        netns.run("tc", "qdisc", "del", "dev", link, "clsact", check=False)
        self.host.run("ethtool", "-K", "g1", "gro", "off")

    # --- TCP -------------------------------------------------------------------------------------------

    def veth_flow(self, stack):
        return Flow(stack, self.near, self.far, self.far_ip)

    def add_taps(self):
        raise NotImplementedError

    def tap_flow(self, stack, tools):
        self.add_taps()
        ends = []
        for part, tap, mac, ip in (("u", "t1", self.near_tap_mac, NEAR_TAP_IP),
                                   ("v", "t2", self.far_tap_mac, FAR_TAP_IP)):
            guest = Netns(stack, f"{self.name}-{part}")
            start_pump(stack, tools, self.host, tap, guest)
            guest.ip("link", "set", "eth0", "address", mac)
            guest.ip("link", "set", "eth0", "up")
            guest.ip("address", "add", f"{ip}/24", "dev", "eth0")
            ends.append(guest)
        self.introduce(ends[0], "eth0", FAR_TAP_IP, self.far_tap_mac)
        self.introduce(ends[1], "eth0", NEAR_TAP_IP, self.near_tap_mac)
        return Flow(stack, ends[0], ends[1], FAR_TAP_IP)


def start_pump(stack, tools, host, tap, guest):
    pump = subprocess.Popen([tools.pump, host.path, tap, guest.path, "eth0"], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    stack.callback(stop_process, pump)
    if pump.stdout.readline().strip() != "ready":
        raise Failure(f"the pump at {tap} did not start")


class Flow:
    """An iperf3 server at the far end, for a second of TCP at a time from the near one."""

    def __init__(self, stack, near, far, ip):
        if not shutil.which("iperf3"):
            raise Failure("iperf3 is not installed")
        self.near, self.ip = near, ip
        server = subprocess.Popen(far.inside("taskset", "-c", "0", "iperf3", "-s"),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(stop_process, server)
        wait_for(lambda: ":5201" in far.run("ss", "-ltn"), "the iperf3 server")

    def gigabits(self):
        text = self.near.run("taskset", "-c", str(min(1, os.cpu_count() - 1)), "iperf3", "-J",
                             "-t", "1", "-P", "1", "-c", self.ip, check=False)
        report = json.loads(text)
        if "error" in report:
            raise Failure(f"iperf3: {report['error']}")
        return report["end"]["sum_received"]["bits_per_second"] / 1e9


# --- the systems --------------------------------------------------------------------------------------------


class Nothing(Switch):
    """The floor: generator and receiver back to back; g1 itself is the sink."""

    def sink(self):
        return self.host, "g1"


class Bare(Switch):
    """A tc program that redirects without a look."""

    def bind(self, tools):
        self.host.run(tools.frames, "redirect", "g1", "d1", self.pins)
        self.host.run(tools.frames, "redirect", "d1", "g1", self.pins)


class Bridge(Switch):
    def __init__(self, *args, tuned=True):
        super().__init__(*args)
        self.tuned = tuned
        self.host.ip("link", "add", "br0", "type", "bridge", *(
            ("mcast_snooping", "0", "stp_state", "0") if tuned else ()))
        if tuned:
            for table in ("iptables", "ip6tables", "arptables"):
                # No such file = no br_netfilter = nothing to turn off.
                self.host.run("sysctl", "-qw", f"net.bridge.bridge-nf-call-{table}=0", check=False)
        self.add_member("g1", self.near_mac)
        self.add_member("d1", self.far_mac)
        self.host.ip("link", "set", "br0", "up")

    def add_member(self, link, mac):
        self.host.ip("link", "set", link, "master", "br0")
        if self.tuned:
            run("bridge", "-n", self.host.name, "link", "set", "dev", link, "learning", "off",
                "flood", "off")
        run("bridge", "-n", self.host.name, "fdb", "replace", mac, "dev", link, "master", "static")

    def add_taps(self):
        for tap, mac in (("t1", self.near_tap_mac), ("t2", self.far_tap_mac)):
            self.host.ip("tuntap", "add", "dev", tap, "mode", "tap", "vnet_hdr")
            self.host.ip("link", "set", tap, "up")
            self.add_member(tap, mac)


class Ours(Switch):
    """The real daemon and its data plane, every guard on: MAC and, as the ports have addresses, IP."""

    def make_links(self):
        if not self.tools.has_daemon:
            raise Unfit("vmacd is not built")
        self.vmacd = Vmacd(self.tools, self.directory, netns=self.host, plane=True)
        self.stack.callback(self.vmacd.remove)
        self.vmacd.start()
        self.vmacd.ask("POST", "/v1/segments", {"name": "bench"})
        self.vmacd.ask("POST", "/v1/pools", {"name": "bench", "segment": "bench"})
        self.near_mac = self.add_port("veth", "g1", self.near_ip, netns=self.near.path,
                                      peer_ifname="g0")
        self.far_mac = self.add_port("veth", "d1", self.far_ip, netns=self.far.path,
                                     peer_ifname="d0")

    def add_port(self, kind, ifname, ip, **more):
        port = self.vmacd.ask("POST", "/v1/ports", {
            "name": ifname, "kind": kind, "segment": "bench", "ifname": ifname,
            "allocate": {"pool": "bench", "ips": [ip]}, **more})
        return port["vmac"]

    def add_taps(self):
        self.near_tap_mac = self.add_port("tap", "t1", NEAR_TAP_IP)
        self.far_tap_mac = self.add_port("tap", "t2", FAR_TAP_IP)


@contextlib.contextmanager
def large_socket_buffers():
    """For sockets opened meanwhile.  The default holds 50 frames: Open vSwitch would lose most at any rate."""
    path = "/proc/sys/net/core/rmem_default"
    with open(path, encoding="ascii") as file:
        before = file.read()
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(str(8 << 20))
        yield
    finally:
        with open(path, "w", encoding="ascii") as file:
            file.write(before)


class OpenVSwitch(Switch):
    """The userspace datapath over AF_PACKET, as Debian builds it, with a flow for each direction; on the CPU
    that the generator does not use."""

    queues = True

    def __init__(self, *args):
        for program in ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl"):
            if not shutil.which(program):
                raise Unfit("openvswitch-switch is not installed")
        super().__init__(*args)
        self.environment = dict(os.environ, OVS_RUNDIR=self.directory, OVS_LOGDIR=self.directory,
                                OVS_DBDIR=self.directory, OVS_SYSCONFDIR=self.directory)
        self.database = f"unix:{self.directory}/db.sock"
        self.start_daemons()
        with large_socket_buffers():
            self.configure()

    def spawn(self, *argv):
        process = subprocess.Popen(self.host.inside(*argv), env=self.environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.stack.callback(stop_process, process)
        return process

    def start_daemons(self):
        path = os.path.join(self.directory, "conf.db")
        run("ovsdb-tool", "create", path, SCHEMA)
        self.spawn("ovsdb-server", path, f"--remote=p{self.database}",
                   f"--unixctl={self.directory}/ovsdb.ctl", "--log-file=/dev/null")
        wait_for(lambda: os.path.exists(f"{self.directory}/db.sock"), "ovsdb-server")
        self.vsctl("--no-wait", "init")
        # nsenter and taskset replace themselves by the daemon: one pid.
        self.pid = self.spawn("taskset", "-c", str(min(os.sched_getaffinity(0))),
                              "ovs-vswitchd", self.database, "--disable-system",
                              f"--unixctl={self.directory}/vswitchd.ctl",
                              "--log-file=/dev/null").pid

    def vsctl(self, *argv):
        run("ovs-vsctl", f"--db={self.database}", "--timeout=15", *argv, env=self.environment)

    def configure(self):
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
                   "fail-mode=secure", "--", "add-port", "br0", "g1", "--", "set", "interface", "g1",
                   "ofport_request=1", "--", "add-port", "br0", "d1", "--", "set", "interface", "d1",
                   "ofport_request=2")
        for mac, port in ((self.far_mac, 2), (self.near_mac, 1)):
            run("ovs-ofctl", "add-flow", f"unix:{self.directory}/br0.mgmt",
                f"dl_dst={mac},actions=output:{port}", env=self.environment)
