"""Fail-static: forwarding goes on as last told, whatever becomes of vmacd; and vmacd finds its way back."""
import signal
import subprocess
import threading
import time

import lab as lablib
import place
import pytest


class Traffic:
    """Numbered datagrams over every kind of path that does not need a guest's help, and echoes from a guest."""

    def __init__(self, site):
        ct, fix = site.address("ct", 4), place.FIX4
        pairs = ((site.ct, site.client, place.CLIENT4), (site.client, site.ct, ct), (site.host, site.ct, ct),
                 (site.ct, site.host, place.HOST4), (site.ct, site.fix, fix), (site.client, site.fix, fix))
        for sender, _, address in pairs:
            assert sender.ping(address) == 3
        self.streams = {f"{sender.name.rsplit('-', 1)[1]}-{receiver.name.rsplit('-', 1)[1]}":
                        lablib.UdpStream(sender, receiver, address, 7000 + number, pps=500)
                        for number, (sender, receiver, address) in enumerate(pairs)}

    def stop(self):
        """{path: lost} of paths that lost something."""
        lost = {name: stream.stop() for name, stream in self.streams.items()}
        for stream in self.streams.values():
            assert stream.sent > 100 and not stream.refused
        return {name: number for name, number in lost.items() if number}


def test_nothing_is_lost_when_vmacd_is_killed_and_started_again(site):
    daemon = site.daemon
    before = {name: daemon.port(name) for name in ("g1", "g2", "ct", "fix")}
    held = daemon.vmacj("mac", "list")["items"]
    traffic = Traffic(site)
    echoes = []
    guest = threading.Thread(target=lambda: echoes.append(site.g1.ping(place.CLIENT4, count=100, interval=0.05)))
    guest.start()
    time.sleep(0.5)
    for _ in range(3):
        daemon.kill(signal.SIGKILL)
        time.sleep(0.5)
        daemon.start()
        time.sleep(0.3)
    guest.join()
    assert traffic.stop() == {}
    assert echoes == [100]
    # All is adopted: same links, same vMACs, counters go on.
    for name, was in before.items():
        now = daemon.wait_port(name)
        assert (now["ifindex"], now["vmac"], now["gate"]) == (was["ifindex"], was["vmac"], was["gate"])
        assert now["counters"]["rx_frames"] >= was["counters"]["rx_frames"] > 0
    assert daemon.vmacj("mac", "list")["items"] == held


def test_nothing_is_lost_while_vmacd_is_stopped(site):
    traffic = Traffic(site)
    time.sleep(0.3)
    assert site.daemon.kill(signal.SIGTERM) == 0
    time.sleep(1)
    # The guards stand as well.
    assert site.ct.ping(place.CLIENT4) == 3
    site.daemon.start()
    time.sleep(0.3)
    assert traffic.stop() == {}


def test_a_second_daemon_on_the_same_state_is_refused(site):
    daemon = site.daemon
    argv = daemon.argv()
    argv[argv.index("--socket") + 1] += "-2"
    done = subprocess.run(site.host.argv(*argv), text=True, capture_output=True, timeout=20, check=False)
    assert done.returncode == 4, done.stderr
    assert "hint:" in done.stderr
    # Nor with a state of its own but the same data plane.
    argv = daemon.argv()
    argv[argv.index("--socket") + 1] += "-3"
    argv[argv.index("--state-dir") + 1] += "-3"
    done = subprocess.run(site.host.argv(*argv), text=True, capture_output=True, timeout=20, check=False)
    assert done.returncode == 4, done.stderr
    assert daemon.instance in done.stderr
    assert daemon.wait_port("ct")
    assert site.ct.ping(place.CLIENT4) == 3


def test_a_deleted_tap_comes_back(site):
    """Somebody deletes a port's link behind our back: the port is made again, with the same vMAC."""
    port = site.add_port("lost", "tap")
    site.host.run("ip", "link", "del", port["ifname"])
    again = lablib.wait_for("the tap is there again and served",
                            lambda: (lambda p: p if p["phase"] == "active" and p["ifindex"] != port["ifindex"] else None)
                            (site.daemon.port("lost")), 15)
    assert again["vmac"] == port["vmac"]
    site.daemon.vmac("port", "delete", "lost", "--release")


def test_a_netdev_that_goes_and_comes_is_served_again(site):
    other = site.lab.netns("gone")
    site.lab.link(site.host, "gone0", other, "eth0")
    port = site.add_port("gone", "netdev", "--ifname", "gone0")
    for _ in range(2):
        other.sh(f"ip link set eth0 address {port['vmac']}; ip link set eth0 up; ip addr replace 192.0.2.71/24 dev eth0")
        other.ping(place.CLIENT4, count=1)
        assert other.ping(place.CLIENT4) == 3
        site.host.run("ip", "link", "del", "gone0")
        site.daemon.wait_port("gone", "waiting")
        site.lab.link(site.host, "gone0", other, "eth0")
        site.daemon.wait_port("gone", "active")
    site.daemon.vmac("port", "delete", "gone", "--release")
    site.host.run("ip", "link", "del", "gone0")


def test_links_deleted_while_vmacd_is_dead_are_made_again(site):
    port = site.add_port("dead", "tap")
    site.daemon.kill(signal.SIGKILL)
    site.host.run("ip", "link", "del", port["ifname"])
    site.daemon.start()
    again = site.daemon.wait_port("dead", "active", 15)
    assert again["vmac"] == port["vmac"]
    site.daemon.vmac("port", "delete", "dead", "--release")


def test_a_port_whose_program_is_gone_says_nothing(site):
    """Closed by default: without our program a port's frames reach neither the wire nor the host's own stack."""
    other, pins = site.lab.netns("bare"), lablib.BPFFS / site.daemon.instance / "links"
    others = set(pins.glob("port*"))
    site.add_port("bare", "veth", "--netns", other.path, "--peer-ifname", "eth0")
    other.sh("ip link set eth0 up; ip addr add 192.0.2.72/24 dev eth0")
    other.ping(place.CLIENT4, count=1)
    assert other.ping(place.CLIENT4) == 3
    site.daemon.kill(signal.SIGKILL)
    links = sorted(set(pins.glob("port*")) - others)
    if not links:
        site.daemon.start()
        site.daemon.vmac("port", "delete", "bare", "--release")
        pytest.skip("the kernel has no tcx links (Linux 6.6); filters go only with their device")
    links[0].unlink()
    time.sleep(0.3)  # the kernel takes the program off a little later
    assert other.ping(place.CLIENT4, count=3, timeout=0.5) == 0
    assert other.ping(place.HOST4, count=3, timeout=0.5) == 0
    site.daemon.start()
    site.daemon.wait_port("bare")
    other.ping(place.CLIENT4, count=1)
    assert other.ping(place.CLIENT4) == 3
    site.daemon.vmac("port", "delete", "bare", "--release")
