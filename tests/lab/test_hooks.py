"""Hypervisors' own hooks, for real: virsh migrate --live between two libvirtd with our hook, and bare QEMUs that
`vmac hook qmp` watches.  How the hooks behave with every call and every fault: tests/unit/cli/test_hook.py."""
import contextlib
import os
import subprocess
import time


import etcd
import lab
import moving
import pytest
import virt
from fleet import Fleet

MISSING = lab.missing() or etcd.missing()
pytestmark = [pytest.mark.skipif(bool(MISSING), reason=MISSING), pytest.mark.timeout(240)]

GUEST_ADDRESS = "10.9.0.50"


def hook_of(host):
    return f"#!/bin/sh\nexec {lab.binary('vmac')} --socket {host.daemon.socket} hook libvirt -- \"$@\"\n"


class Site:
    """Two hosts with vmacd, etcd and libvirtd each; and the lines of `virsh event`."""

    def __init__(self, place):
        self.place, self.fleet = place, Fleet(place, "kvm1", "kvm2")
        self.libvirt = {name: virt.Libvirt(place, host.ns, name, {"vmac": hook_of(host)})
                        for name, host in self.fleet.hosts.items()}
        for name, host in self.fleet.hosts.items():
            inside = f"nsenter -t {self.libvirt[name].process.pid} -m -n virsh -c qemu:///system event " \
                     "--event lifecycle --loop --timestamp"
            with open(place.directory / f"events-{name}", "wb") as out:
                place.start("sh", "-c", f"{inside} | exec {lab.binary('vmac')} --socket {host.daemon.socket} "
                            "hook libvirt-events", stdout=out, stderr=out)
        self.mac = self.fleet["kvm1"].vmac("mac", "add", "--segment", "lan").strip()

    def __getitem__(self, name):
        return self.fleet[name]

    def told(self, name):
        return (self.place.directory / f"events-{name}").read_text()

    def ports(self, name):
        return [port["name"] for port in self[name].vmacj("port", "list")["items"]]

    def say(self, name):
        """The guest speaks: it may be asked from the wire."""
        return lab.wait_for(f"g1 answers from {name}", lambda: self.fleet.switch.far.ping(GUEST_ADDRESS, count=1), 30, 0.2)

    def end(self):
        for one in self.libvirt.values():
            one.end()


@contextlib.contextmanager
def a_site():
    problem = virt.missing()
    if problem:
        pytest.skip(problem)
    with lab.Lab() as place:
        try:
            site = Site(place)
        except virt.Unable as why:
            pytest.skip(str(why))
        try:
            yield site
        finally:
            site.end()


def a_guest(site):
    image = moving_image()
    site.libvirt["kvm1"].create("g1", site.mac, "tapg1", image)
    console = lab._console().Console(site.libvirt["kvm1"].console("g1"), 90)
    status, output = console.run(f"ip addr add {GUEST_ADDRESS}/24 dev eth0; ip link set eth0 up", 60)
    assert status == 0, output
    console.close()
    site.say("kvm1")


def moving_image():
    made = subprocess.run([lab.GUEST / "prepare"], text=True, capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"no guest: {made.stderr.strip()}")
    return made.stdout.strip()


def test_virsh_migrates_there_and_back():
    with a_site() as site:
        a_guest(site)
        assert site.ports("kvm1") == ["tapg1"] and site["kvm1"].vmacj("mac", "show", site.mac)["note"] == "libvirt g1"
        for here, there, number in (("kvm1", "kvm2", 2), ("kvm2", "kvm1", 1)):
            status, said, _ = site.libvirt[here].migrate("g1", site.libvirt[there], f"10.9.0.{number}")
            assert status == 0, said
            site[there].wait(site.mac, "held")
            site.say(there)
            site.fleet.wait_sole_holder(site.mac, there)
            assert site.ports(there) == ["tapg1"] and site.ports(here) == []
            assert f"{site.mac}: stop, libvirt g1" in site.told(here)
        site.libvirt["kvm1"].virsh("destroy", "g1")
        lab.wait_for("the tap is gone", lambda: site.ports("kvm1") == [])
        shown = site["kvm1"].vmacj("mac", "show", site.mac)
        assert shown["state"] == "reserved" and shown["note"] == ""


def test_a_migration_that_is_given_up_changes_nothing():
    with a_site() as site:
        a_guest(site)
        site.libvirt["kvm1"].virsh("migrate-setspeed", "g1", "1")
        with site.place.start("nsenter", "-t", str(site.libvirt["kvm1"].process.pid), "-m", "-n", "sh", "-c",
                              "sleep 2; virsh -c qemu:///system domjobabort g1"):
            status, said, _ = site.libvirt["kvm1"].migrate("g1", site.libvirt["kvm2"], "10.9.0.2", "--bandwidth", "1")
        assert status != 0 and "abort" in said, said
        lab.wait_for("the other tap is gone", lambda: site.ports("kvm2") == [])
        site["kvm1"].wait(site.mac, "held")
        site.fleet.wait_sole_holder(site.mac, "kvm1")
        site.say("kvm1")


def test_virsh_says_why_a_move_is_refused():
    with a_site() as site:
        a_guest(site)
        for number in range(len(site.fleet.etcd.members)):
            site.fleet.etcd.kill(number)
        lab.wait_for("the registry is gone", lambda: not site["kvm2"].fleet_status()["reachable"], 30)
        status, said, _ = site.libvirt["kvm1"].migrate("g1", site.libvirt["kvm2"], "10.9.0.2")
        assert status != 0 and f"preparing the move of {site.mac}" in said, said
        assert site.fleet.holders(site.mac) in (["kvm1"], [])
        site.say("kvm1")

def test_bare_qemu_with_a_watcher():
    with lab.Lab() as place:
        fleet = Fleet(place, "kvm1", "kvm2", watch=False)
        watched = {}
        for name, host in fleet.hosts.items():
            directory = place.directory / f"watch-{name}"
            directory.mkdir()
            watched[name] = open(place.directory / f"watcher-{name}", "wb")
            place.start(lab.binary("vmac"), "--socket", host.daemon.socket, "hook", "qmp", "--dir", directory,
                        stdout=watched[name], stderr=watched[name])
        mac = fleet["kvm1"].vmac("mac", "add", "--segment", "lan").strip()
        image = moving_image()
        path = place.directory / "migrate.sock"

        def boot(name, incoming):
            fleet[name].vmac("port", "add", f"tap{name}", "--kind", "tap", "--segment", "lan", "--mac", mac)
            directory = place.directory / f"vm-{name}"
            directory.mkdir()
            argv = [lab.GUEST / "boot", image, directory, "g1", "--memory", "96", *incoming, "--nic",
                    f"virtio-net-pci,tap{name},{mac}"]
            # A second monitor, as people write it; boot hands its own arguments to QEMU at the end.
            script = 'b=$1; shift; sed "s|-qmp |-qmp unix:$WATCH,server=on,wait=off -qmp |" "$b" > "$WATCH.boot"; ' \
                     'exec bash "$WATCH.boot" "$@"'
            with open(directory / "qemu.log", "ab") as log:
                process = fleet[name].ns.start("bash", "-c", script, "boot", *map(str, argv), stdout=log, stderr=log,
                                               env={**os.environ, "WATCH": str(place.directory / f"watch-{name}" / "g1")})
            qmp = moving.Qmp(directory / "qmp")
            qmp.execute("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
            lab.wait_for("it is watched", lambda: "watched, 1 NICs" in told(name))
            return process, qmp, directory

        def told(name):
            return (place.directory / f"watcher-{name}").read_text()

        first, qmp, directory = boot("kvm1", [])
        console = lab._console().Console(str(directory / "console"), 90)
        assert console.run(f"ip addr add {GUEST_ADDRESS}/24 dev eth0; ip link set eth0 up", 60)[0] == 0
        console.close()
        fleet["kvm2"].vmac("mac", "prepare", mac, "--segment", "lan")
        fleet["kvm2"].wait(mac, "ready")
        second, there, _ = boot("kvm2", ["--incoming", f"unix:{path}"])
        qmp.execute("migrate", uri=f"unix:{path}")
        assert there.at("RESUME", seconds=60)
        fleet["kvm2"].wait(mac, "held")
        fleet.wait_sole_holder(mac, "kvm2")
        assert "stop" in told("kvm1") and "migration completed" in told("kvm1") and "resume" in told("kvm2")
        lab.wait_for("the guest answers", lambda: fleet.switch.far.ping(GUEST_ADDRESS, count=1), 20, 0.2)
        # QEMU goes, and with it its monitor: the watcher waits for the next.
        qmp.execute("quit", seconds=2)
        first.wait(10)
        time.sleep(0.2)
        there.execute("stop")
        lab.wait_for("the watcher goes on", lambda: told("kvm2").count("stop") == 1)
        there.execute("quit", seconds=2)
        second.wait(10)
        for one in watched.values():
            one.close()
