"""A real guest that moves between two hosts, live, while it talks: what arrives, what the switch sees, and what is
left when something dies in the middle."""
import contextlib
import os
import signal
import time

import etcd
import lab
import moving
import pytest
from fleet import Fleet

MISSING = lab.missing() or etcd.missing()
pytestmark = [pytest.mark.skipif(bool(MISSING), reason=MISSING), pytest.mark.timeout(180)]

# How often a guest goes back and forth: VMAC_MOVES=100 for the soak.
MOVES = int(os.environ.get("VMAC_MOVES", "6"))


@contextlib.contextmanager
def a_site(*names, vm=True, **options):
    with lab.Lab() as place:
        site = Fleet(place, *(names or ("kvm1", "kvm2")), **options)
        site.vm = moving.Vm(place, "g1", None, "10.9.0.50", site["kvm1"]) if vm else None
        try:
            yield site
        finally:
            if site.vm:
                site.vm.end()


@contextlib.contextmanager
def talking(site, settle=1.0, tcp=True, pps=1000):
    """Traffic before, during and after; .result and .sources when it is over."""
    vm = site.vm
    site.sources = moving.Sources(site.switch, [*site.hosts, "far"], vm.mac)
    site.fdb = site.switch.fdb(vm.mac)
    talk = moving.Talk(vm, site.switch.far, site.switch.client, tcp=tcp, pps=pps)
    time.sleep(1.0)
    site.talk = talk
    yield talk
    time.sleep(settle)
    site.result = talk.end()
    site.changes = [port for _, port in site.sources.end()]
    site.fdb_ports = site.fdb.end()


# Datagrams, at one a millisecond, that may come between the guest's last instruction at the source and the moment at
# which its host has heard of it: they wait in a tap that nobody will read again.
HINT_TAKES = 25


def assert_settled(site, holder, epoch=None):
    """One host holds it and says so; the others know."""
    site[holder].wait(site.vm.mac, "held")
    assert site.holders(site.vm.mac) == [holder]
    shown = {name: host.vmacj("mac", "show", site.vm.mac, "--segment", "lan") for name, host in site.hosts.items()
             if host.state(site.vm.mac) != "none"}
    assert shown[holder]["state"] == "bound"
    if epoch is not None:
        assert shown[holder]["epoch"] == epoch
    for name, one in shown.items():
        if name != holder:
            assert one["move"]["holder"] == holder, one


def test_a_prepared_move_loses_nothing_and_the_switch_sees_one_move():
    with a_site() as site:
        before = site["kvm1"].vmacj("mac", "show", site.vm.mac, "--segment", "lan")["epoch"]
        with talking(site):
            site.vm.move(site["kvm2"])
        assert site.changes == ["kvm1", "kvm2"]
        assert site.fdb_ports.count("kvm2") == 1 and site.fdb_ports[-1] == "kvm2"
        assert site.result["to_guest"]["lost"] <= HINT_TAKES, site.result
        assert site.result["from_guest"]["lost"] == 0, site.result
        assert site.result["to_guest"]["twice"] == site.result["from_guest"]["twice"] == 0, site.result
        assert site.result["stream_error"] is None and site.result["octets"] > 1 << 20
        assert_settled(site, "kvm2", before + 1)


def test_back_and_forth():
    with a_site() as site:
        epoch = site["kvm1"].vmacj("mac", "show", site.vm.mac, "--segment", "lan")["epoch"]
        with talking(site):
            for number in range(MOVES):
                there = site["kvm2" if number % 2 == 0 else "kvm1"]
                site.vm.move(there)
                there.wait(site.vm.mac, "held")
        assert site.changes == ["kvm1" if n % 2 == 0 else "kvm2" for n in range(MOVES + 1)]
        assert site.result["to_guest"]["lost"] <= MOVES * HINT_TAKES, site.result
        assert site.result["from_guest"]["lost"] == 0, site.result
        assert site.result["to_guest"]["twice"] == site.result["from_guest"]["twice"] == 0, site.result
        assert site.result["stream_error"] is None
        assert_settled(site, "kvm1" if MOVES % 2 == 0 else "kvm2", epoch + MOVES)


def test_a_cancelled_migration_changes_nothing():
    with a_site() as site:
        with talking(site):
            there = site.vm.begin(site["kvm2"], bandwidth=1 << 20)
            time.sleep(0.5)
            site.vm.here.qmp.execute("migrate_cancel")
            there.end(site.vm, kill=True)
            site["kvm2"].vmac("mac", "abort", site.vm.mac, "--segment", "lan")
            site["kvm1"].wait(site.vm.mac, "held")
        assert site.changes == ["kvm1"]
        assert site.result["to_guest"]["lost"] == site.result["from_guest"]["lost"] == 0, site.result
        assert_settled(site, "kvm1")
        # And it still can be moved.
        site.vm.move(site["kvm2"])
        assert_settled(site, "kvm2")


def test_the_destination_dies_in_the_middle():
    with a_site() as site:
        with talking(site):
            there = site.vm.begin(site["kvm2"], bandwidth=1 << 20)
            time.sleep(0.5)
            there.end(site.vm, kill=True)
            lab.wait_for("QEMU gives up", lambda: site.vm.here.qmp.execute("query-migrate")["status"] == "failed")
            site["kvm2"].vmac("mac", "abort", site.vm.mac, "--segment", "lan")
        assert site.changes == ["kvm1"]
        assert site.result["from_guest"]["lost"] == 0, site.result
        assert_settled(site, "kvm1")


@pytest.mark.parametrize("side", ["kvm1", "kvm2"])
def test_vmacd_is_killed_in_the_middle(side):
    """The data plane finishes what was prepared; the daemon records it when it is back."""
    with a_site() as site:
        with talking(site):
            there = site.vm.begin(site["kvm2"], bandwidth=32 << 20)
            site[side].kill()
            site.vm.complete(there)
            time.sleep(1)
            site[side].start()
        assert site.changes == ["kvm1", "kvm2"]
        assert site.result["from_guest"]["lost"] == 0, site.result
        assert site.result["stream_error"] is None
        assert_settled(site, "kvm2")


def test_the_registry_leader_is_killed_in_the_middle():
    with a_site(members=3) as site:
        with talking(site):
            there = site.vm.begin(site["kvm2"], bandwidth=32 << 20)
            site.etcd.kill(site.etcd.leader())
            site.vm.complete(there)
            site["kvm2"].wait(site.vm.mac, "held", 20)
        assert site.changes == ["kvm1", "kvm2"]
        assert site.result["to_guest"]["twice"] == site.result["from_guest"]["twice"] == 0
        assert site.result["from_guest"]["lost"] == 0, site.result
        assert_settled(site, "kvm2")


def test_the_registry_is_gone_from_before_the_switch_over():
    """A prepared move ends without it, and is recorded when it is back."""
    with a_site() as site:
        with talking(site):
            there = site.vm.begin(site["kvm2"], bandwidth=32 << 20)
            site.etcd.freeze(0)
            site.vm.complete(there)
            site["kvm2"].wait(site.vm.mac, "live")
            site.etcd.thaw(0)
            site["kvm2"].wait(site.vm.mac, "held", 20)
        assert site.changes == ["kvm1", "kvm2"]
        assert site.result["from_guest"]["lost"] == 0, site.result
        assert_settled(site, "kvm2")


def test_the_guest_resumes_at_the_source():
    """The destination announced, then failed: the source takes it back."""
    with a_site() as site:
        there = site.vm.begin(site["kvm2"])
        assert there.qmp.at("RESUME", seconds=30)
        site["kvm2"].wait(site.vm.mac, "held")
        there.qmp.execute("stop")
        there.end(site.vm, kill=True)
        # What a management layer does after a failure behind the switch-over.
        site.vm.here.qmp.execute("cont")
        site["kvm1"].wait(site.vm.mac, "held", 20)
        assert_settled(site, "kvm1")
        assert site.switch.far.ping(site.vm.address) == 3


def test_without_hints_a_move_works_once_the_source_is_gone():
    with a_site(prepare=False, watch=False) as site:
        with talking(site, settle=3):
            site.vm.move(site["kvm2"])
        assert site.changes == ["kvm1", "kvm2"]
        assert_settled(site, "kvm2")


def test_two_copies_never_speak_both():
    """A clone started elsewhere stays closed, is told of, and the first goes on."""
    with a_site(prepare=False) as site:
        with talking(site):
            site["kvm2"].vmac("port", "add", "clone", "--kind", "tap", "--segment", "lan", "--mac", site.vm.mac)
            clone = moving.Incarnation.__new__(moving.Incarnation)
            twin = moving.Vm.__new__(moving.Vm)
            twin.__dict__.update(site.vm.__dict__, name="g2", numbers=1, console=None)
            clone.__dict__.update(host=site["kvm2"], number=1, taps=["clone"], directory=site.place.directory / "clone")
            clone.boot(twin)
            twin.here = clone
            twin.run("ip addr add 10.9.0.51/24 dev eth0; ip link set eth0 up; arping -c 3 -U -I eth0 10.9.0.51 || true")
            twin.hang_up()
            time.sleep(1)
        assert site.changes == ["kvm1"]
        assert site.result["from_guest"]["lost"] == site.result["to_guest"]["lost"] == 0, site.result
        assert site["kvm2"].state(site.vm.mac) == "asked"
        assert site["kvm2"].moves()[site.vm.mac]["reason"] in ("refused", "two_guests")
        clone.end(twin, kill=True)


def test_forged_announcements_move_nothing():
    with a_site() as site:
        mac = bytes.fromhex(site.vm.mac.replace(":", ""))
        rarp = (b"\xff" * 6 + mac + bytes.fromhex("80350001080006040003") + mac + bytes(4) + mac + bytes(4) + bytes(18))
        tagged = rarp[:42] + b"vM" + (1 << 40).to_bytes(6, "big") + b"\x00\x02" + b"\x5a" * 8
        with talking(site):
            with site.switch.far.packet_socket("eth0") as wire:
                for _ in range(50):
                    wire.send(rarp)
                    wire.send(tagged)
                    time.sleep(0.005)
            move = lab.wait_for("strangers are counted", lambda: (lambda m: m if m["strangers"] >= 50 else None)(
                site["kvm1"].moves().get(site.vm.mac, {"strangers": 0})))
        assert move["state"] == "held" and move["gate"] == "open"
        # The switch believed the forger, as switches do, until the guest spoke again: it was its own port that moved.
        assert set(site.changes) == {"kvm1", "far"}
        status = site["kvm1"].fleet_status()
        assert status["claims_forged"] >= 1 and status["claims_untagged"] >= 1
        assert_settled(site, "kvm1")


def test_a_stopped_daemon_is_no_obstacle():
    """SIGTERM and a start on both sides between two moves: nothing is forgotten."""
    with a_site() as site:
        site.vm.move(site["kvm2"])
        site["kvm2"].wait(site.vm.mac, "held")
        for host in site.hosts.values():
            assert host.daemon.kill(signal.SIGTERM) == 0
            host.start()
        assert_settled(site, "kvm2")
        with talking(site):
            site.vm.move(site["kvm1"])
        assert site.changes == ["kvm2", "kvm1"]
        assert site.result["from_guest"]["lost"] == 0, site.result
        assert_settled(site, "kvm1")
