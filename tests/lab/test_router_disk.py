"""A disk that is full, under elections: what cannot be made durable is refused, and nothing moves."""
import pytest

import lab
import routers
import wire
from routers import DUAL, V4, V6

pytestmark = pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "-")
FAST = ("--interval", "100ms")


class Stage:
    """Two routers; what r1 knows is on the small disk."""

    def __init__(self, place, disk):
        self.place, self.lan = place, wire.Lan(place, "r1", "r2", "c1")
        self.r1 = routers.Host(self.lan, "r1", "--state-dir", str(disk / "state"))
        self.r2 = routers.Host(self.lan, "r2")
        for host, priority in ((self.r1, 150), (self.r2, 100)):
            host.add("--priority", priority, "--accept", *FAST, *DUAL)
            host.wait("active" if host is self.r1 else "backup")

    def service(self, address, port):
        return wire.Service(self.lan, "c1", ("r1", "r2"), address, port=port)

    def names(self):
        return [router["name"] for router in self.r1.daemon.vmacj("router", "list")["items"]]


def refused(daemon, *words):
    said = daemon.vmac("router", *words, status=8)
    assert "disk is full" in said and "hint: make room" in said, said


def test_a_full_disk_refuses_and_no_election_moves(tmp_path):
    with lab.small_disk() as disk, lab.Lab() as place:
        stage = Stage(place, disk)
        r1, daemon = stage.r1, stage.r1.daemon
        with routers.served(stage, [V4, V6], "r1") as served:
            ballast = lab.fill(disk)
            # There is room in files that are there already, for some.
            added = 0
            while daemon.vmac_raw("router", "add", f"x{added}", "--protocol", "vrrp3", "--interface", "eth0", "--group",
                                  added + 20, "--address", f"10.9.0.{added + 120}/24", "--interval", "1s").returncode == 0:
                added += 1
                assert added < 100, "the disk does not get full"
            settled = stage.names()
            assert settled == ["gw", *(f"x{n}" for n in range(added))]
            devices = lab.wait_for("all have their devices", lambda: (lambda d: d if len(d) == added + 2 else None)(r1.devices()))
            before = r1.show(), r1.history(), stage.r2.history()
            refused(daemon, "add", "late", "--protocol", "vrrp3", "--interface", "eth0", "--group", 200,
                    "--address", "10.9.0.200/24")
            refused(daemon, "set", "gw", "--priority", 50)
            refused(daemon, "set", "gw", "--interface", "eth0", "--group", 7, "--address", f"{V4}/24")
            refused(daemon, "delete", "gw")
            with pytest.raises(lab.ApiError) as refusal:
                daemon.api().call("DELETE", "/v1/routers/gw")
            assert (refusal.value.status, refusal.value.code) == (507, "registry_full")
            assert daemon.vmacj("status")["registry"]["healthy"] is False
            # Nothing of it happened, neither in the registry nor on the wire.
            sent = r1.live()["counters"]["sent"]
            lab.wait_for("it advertises on", lambda: r1.live()["counters"]["sent"] >= sent + 10, 5)
            assert stage.names() == settled and sorted(r1.devices()) == sorted(devices)
            now = r1.show(), r1.history(), stage.r2.history()
            for shown in (before[0], now[0]):
                del shown["live"]
            assert now == before
            served.nothing_lost()
        ballast.unlink()
        r1.add("--address", "10.9.0.200/24", name="late", group=200)
        r1.set("--priority", 160)
        assert daemon.vmacj("status")["registry"]["healthy"] is True
        lab.wait_for("its peer hears the new priority", lambda: stage.r2.live().get("active_priority") == 160, 5)
        r1.wait("active", name="late")
        daemon.restart()
        assert stage.names() == sorted([*settled, "late"]) and r1.show()["priority"] == 160
        r1.wait("active")
