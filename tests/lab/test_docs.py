"""What the guides print is what a newcomer types: every command of their blocks is run as it stands, on hosts that are
namespaces with the links' names of the text.  A line that a lab cannot run is listed here, with the reason; a new one is
run."""
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

import etcd as etcdlib
import lab
from fleet import Fleet, VmacHost
from moving import Switch

pytestmark = pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "-")

PROGRAMS = ("vmac", "sudo", "ip", "openssl", "etcdctl", "install", "systemctl", "qemu-system-x86_64", "tcpdump", "sqlite3")
PROMPT = re.compile(r"(\w+)([#$]) (.*)")
MAC = "0a:51:22:00:00:07"


def blocks(page):
    text = (lab.ROOT / page).read_text()
    if text.startswith(".Dd"):
        return re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", text, re.M | re.S)
    return [re.sub(r"^ {3}", "", found, flags=re.M) if indent else found
            for indent, found in re.findall(r"^( *)```\n(.*?)^ *```$", text, re.M | re.S)]


def commands(page):
    """(host or None, command): a continued line is one."""
    for block in blocks(page):
        lines = [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]
        for line in lines:
            prompted = PROMPT.fullmatch(line)
            if prompted:
                yield prompted[1], prompted[3]
            elif lines[0].split()[0] in PROGRAMS:
                yield None, line


class Walk:
    """Types a page's commands at its hosts.  words: what a name of the text is here, such as a namespace's."""

    def __init__(self, place, hosts, words=(), beyond=()):
        self.place, self.hosts, self.words, self.beyond = place, hosts, dict(words), list(beyond)
        self.met, self.said = set(), []
        self.bin = {name: self._programs(name, daemon) for name, (_, daemon) in hosts.items()}

    def _programs(self, name, daemon):
        """A PATH with vmac, which finds this host's daemon, and sudo, which has nothing to do."""
        directory = self.place.directory / f"bin-{name}"
        directory.mkdir()
        for program, text in (("vmac", f'exec env VMAC_SOCKET={daemon.socket} {lab.binary("vmac")} "$@"'),
                              ("sudo", 'exec "$@"')):
            (directory / program).write_text(f"#!/bin/sh\n{text}\n")
            (directory / program).chmod(0o755)
        return directory

    def skipped(self, line):
        for prefix in self.beyond:
            if line.startswith(prefix):
                self.met.add(prefix)
                return True
        return False

    def type(self, host, line):
        ns, _ = self.hosts[host]
        for word, here in self.words.items():
            line = line.replace(word, str(here))
        done = ns.run("bash", "-c", line, check=False, cwd=self.place.directory,
                      env={**os.environ, "PATH": f"{self.bin[host]}:{os.environ['PATH']}"})
        self.said.append((host, line, done.stdout))
        assert done.returncode == 0, f"{host}# {line}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def page(self, page, first, before=None):
        """before: what else happens, by the beginning of the command that it comes before."""
        before = dict(before or {})
        for host, line in commands(page):
            for begin in [b for b in before if line.startswith(b)]:
                before.pop(begin)()
            if not self.skipped(line):
                self.type(host or first, line)
        assert not before, f"{page} has no more: {list(before)}"
        assert self.met == set(self.beyond), f"{page} has no more: {set(self.beyond) - self.met}"

    def output(self, begin):
        return next(out for _, line, out in self.said if line.startswith(begin))


@pytest.fixture(name="place")
def _place():
    with lab.Lab() as made:
        yield made


@pytest.fixture(name="host")
def _host(place):
    """One with a NIC, and a container web1; the client on its LAN is place.far."""
    switch = Switch(place, "192.0.2.200")
    ns = switch.plug("host", "192.0.2.2")
    place.far = switch.far
    place.containers = {name: place.netns(name) for name in ("web1", "web2")}
    return ns, place.daemon(ns)


def containers(place):
    words = {}
    for name, ns in place.containers.items():
        words |= {f"ip netns exec {name} ": f"nsenter --net={ns.path} ", f"--netns {name} ": f"--netns {ns.path} ",
                  f"ip -n {name} ": f"ip -n {ns.name} "}
    return words


def test_the_readme(place, host):
    walk = Walk(place, {"host": host}, containers(place),
                beyond=("sudo meson", "sudo vmacd", "qemu-system", "sudo ip netns add", "sudo ./run", "vmac decode",
                        "vmac import", "sudo vmac mac prepare", "sudo vmac port add web1 --kind tap", "vmac mac moves",
                        "vmac host list"))
    def member():
        walk.type("host", "vmac port add web2 --kind tap --ip 192.0.2.8")
        walk.type("host", "ip link set web2 up")
    walk.page("README.md", "host", {"sudo vmac cluster add": member})
    assert "IPv4" in walk.output("vmac classify")


def serve(place):
    for ns in place.containers.values():
        ns.start("busybox", "httpd", "-f", "-p", "80", "-h", place.directory)


@pytest.mark.skipif(not shutil.which("busybox"), reason="no busybox (Debian: busybox-static)")
def test_the_guide_to_clusters(place, host):
    walk = Walk(place, {"host": host}, containers(place) | {"dev eth0": "dev eth0"})
    walk.type("host", "vmac segment add lan --uplink eth0 && vmac pool add lan --segment lan")

    def guests():
        for name in ("win1", "win2"):
            walk.type("host", f"vmac port add {name} --kind tap --segment lan")

    walk.page("docs/clusters.md", "host", {"vmac cluster add web ": lambda: serve(place), "vmac cluster add nlb ": guests})
    assert "192.0.2.10" in walk.output("vmac cluster show web")
    lab.wait_for("both members accept", lambda: [
        (member["live"], member.get("detail")) for member in host[1].vmacj("cluster", "show", "web")["members"]
    ] == [("up", "accepts")] * 2)
    got = place.far.run("busybox", "wget", "-q", "-O", "-", "http://192.0.2.10/nothing", check=False)
    assert "404" in got.stderr, "one of the members answers"


@pytest.mark.skipif(not shutil.which("sqlite3"), reason="no sqlite3 (Debian: sqlite3)")
def test_the_manual_pages_and_the_registrys(place, host):
    _, daemon = host
    db1 = place.netns("db1")
    walk = Walk(place, {"host": host}, {
        "--netns db1": f"--netns {db1.path}", "libvirt-qemu": "nobody",  # who need not be installed
        "jq -r .vmac": "python3 -c 'import json, sys; print(json.load(sys.stdin)[\"vmac\"])'",
        " registry.db ": f" {daemon.state}/registry.db "})
    walk.page("docs/man/vmac.1", "host")
    assert walk.output("vmac --json port show").strip() == daemon.port("web1")["vmac"]
    assert len(walk.output("vmac mac add").split()) == 1000
    walk.page("docs/registry.md", "host")
    assert "load test" in walk.output(f"sqlite3 -readonly -header {daemon.state}/registry.db \"SELECT * FROM changes")
    check_config(place, blocks("docs/man/vmacd.yaml.5")[0])


KEEPALIVED = """vrrp_instance gw {
    interface eth0
    virtual_router_id 7
    priority 150
    virtual_ipaddress {
        192.0.2.1/24
    }
}
"""


def test_the_guide_to_routers(place):
    switch = Switch(place, "192.0.2.200")
    hosts = {}
    for name, address in (("host1", "192.0.2.2"), ("host2", "192.0.2.3")):
        ns = switch.plug(name, address)
        place.link(ns, "eth1", switch.ns, f"{name}-b")
        hosts[name] = ns, place.daemon(ns, name)
    (place.directory / "keepalived.conf").write_text(KEEPALIVED)
    walk = Walk(place, hosts, {"/etc/keepalived/": f"{place.directory}/"},
                beyond=("tcpdump", "vmac decode"))  # a capture of 20 frames takes 20 s
    one, two = hosts["host1"][1], hosts["host2"][1]

    def elected():
        lab.wait_for("host1 is active", lambda: one.vmacj("router", "show", "gw")["live"]["state"] == "active")
        lab.wait_for("host2 is backup", lambda: two.vmacj("router", "show", "gw")["live"]["state"] == "backup")

    walk.page("docs/routers.md", "host1", {
        "vmac router show gw ": elected,
        **{f"vmac router add {next_}": lambda: one.vmac("router", "delete", "gw")
           for next_ in ("gw --protocol vrrp3 --interface eth0 --group 7  ", "fw")}})
    shown = [re.sub(" +", " ", out) for _, line, out in walk.said if line.startswith("vmac router show gw")]
    assert "state: active" in shown[0] and "state: backup" in shown[1]
    assert re.search("active: 192.0.2.2 with priority 150", shown[1]), shown[1]
    routers = (place.directory / "routers.yaml").read_text()
    assert "192.0.2.1/24" in routers
    for text in [routers, *(block for block in blocks("docs/routers.md") if block.startswith("routers:"))]:
        check_config(place, text)


def check_config(place, text):
    """vmacd takes it as its configuration."""
    path = place.directory / "printed.yaml"
    path.write_text(text)
    done = subprocess.run([lab.binary("vmacd"), "--check", "--config", path], text=True, capture_output=True,
                          timeout=30, check=False)
    assert done.returncode == 0, done.stderr


class Pair(Fleet):
    """kvm1 and kvm2 of the guide, whose NICs are eth0 and eno1, without a segment yet."""

    def __init__(self, place):
        self.place, self.switch, self.etcd = place, Switch(place), etcdlib.Etcd(place)
        self.hosts = {name: VmacHost(self, name, number) for number, name in enumerate(("kvm1", "kvm2"), 1)}
        two = self["kvm2"].ns
        two.sh("ip link set eth0 down; ip link set eth0 name eno1; ip link set eno1 up")
        for host in self.hosts.values():
            host.start()


def rows(text):
    return [line.split() for line in text.splitlines()]


@pytest.mark.skipif(bool(etcdlib.missing()), reason=etcdlib.missing() or "-")
def test_the_guide_to_many_hosts(place):
    pair = Pair(place)
    one, two = pair["kvm1"], pair["kvm2"]
    # Users, libvirt and QEMU have tests of their own (test_etcd.py, test_hooks.py, test_move.py).
    walk = Walk(place, {name: (host.ns, host.daemon) for name, host in pair.hosts.items()},
                {"10.0.0.11": one.address, "10.0.0.12": two.address},
                beyond=("etcdctl", "install", "systemctl", "qemu-system", "(qemu)", "vmac hook qmp"))

    def guest():
        walk.type("kvm1", f"vmac mac add --adopt {MAC} --segment lan --name web1 && vmac port add web1 --kind tap --mac {MAC}")

    def migrated():
        """The guest's first frame at kvm2, and the end of its port at kvm1."""
        walk.type("kvm2", f"vmac mac activate {MAC}")
        two.wait(MAC, "held")

    def died():
        """Orderly, so that its heartbeat ends at once and not with its lease."""
        two.wait(MAC, "held")
        two.kill(signal.SIGTERM)
        lab.wait_for("kvm2's heartbeat has ended", lambda: [
            host["alive"] for host in one.vmacj("host", "list")["items"] if host["name"] == "kvm2"] == [False])

    def joined():
        lab.wait_for("both have their blocks", lambda: rows(one.vmac("host", "list")) == printed)

    printed = next(rows("\n".join(block.splitlines()[-3:])) for block in blocks("docs/hosts.md") if "\nHOST " in block)
    printed = [[walk.words.get(word, word) for word in row] for row in printed]
    walk.page("docs/hosts.md", "kvm1", {"vmac host list": joined, "vmac mac prepare": guest, "vmac mac moves": migrated,
                                        "vmac host dead": died})
    assert rows(walk.output("vmac host list")) == printed, "the table is the one of the guide"
    assert one.daemon.port("web1")["vmac"] == MAC
    one.cut()
    sample = next(block for block in blocks("docs/hosts.md") if "NOT REACHABLE" in block).split(": http")[0]
    sample = " ".join(re.sub(r"since .*", "since", sample).split())
    lab.wait_for("status says that the registry is away", lambda: sample in " ".join(one.vmac("status").split()))
    yaml = next(block for block in blocks("docs/hosts.md") if block.startswith("host:"))
    secret = place.directory / "secret"
    secret.write_text("00112233445566778899aabbccddeeff\n")
    secret.chmod(0o600)
    check_config(place, re.sub(r"/etc/vmac/[a-z.]+(key|password)", str(secret), yaml))
