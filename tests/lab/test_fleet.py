"""Hosts that share a registry, and what goes wrong between them: two that want the same, one that wakes after a week,
a registry that is old, full, locked, foreign or gone, and frames that lie.  Each ends with a precise word to the
operator, no address doubled, and nobody else's traffic harmed."""
import contextlib
import json
import pathlib
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import etcd
import lab
import pytest
from fleet import Fleet, Gates, VmacHost, at_once, octets

MISSING = lab.missing() or etcd.missing()
pytestmark = [pytest.mark.skipif(bool(MISSING), reason=MISSING), pytest.mark.timeout(120)]


@contextlib.contextmanager
def a_fleet(*names, **options):
    with lab.Lab() as place:
        if "registry" in options:
            options["registry"] = options["registry"](place)
        yield Fleet(place, *(names or ("kvm1", "kvm2")), **options)


def vouch(fleet, host, by):
    """Says that a host is dead, as soon as its lease allows."""
    def said():
        try:
            fleet[by].call("PATCH", f"/v1/hosts/{host}", state="dead", fenced_by="switch port down, a test")
            return True
        except lab.ApiError as error:
            assert error.code == "wrong_state" and "is alive" in str(error), error
            return False

    lab.wait_for(f"{host} may be declared dead", said, 20, 0.2)
    lab.wait_for(f"{host} is dead", lambda: fleet[by].call("GET", f"/v1/hosts/{host}")["state"] == "dead")


def take(fleet, mac, to, *options):
    if fleet[to].state(mac) != "held":
        # It may have asked by itself meanwhile, for its guest spoke.
        fleet[to].vmac("mac", "move", mac, "--segment", "lan", *options, status=None)
    fleet[to].wait(mac, "held")


# --- two that want the same ------------------------------------------------------------------------------

def test_two_hosts_claim_one_vm_at_once():
    with a_fleet("kvm1", "kvm2", "kvm3") as fleet:
        vm = fleet.station("kvm1")
        epoch = fleet["kvm1"].epoch(vm.mac)
        vm.leave(fleet["kvm1"])
        with Gates(fleet, vm.mac) as gates:
            for name in ("kvm2", "kvm3"):
                vm.stand(fleet[name], speak=False)
            at_once(*(lambda name=name: fleet[name].call("POST", f"/v1/vmacs/lan/{vm.mac}/move") for name in ("kvm2", "kvm3")))
            winner = lab.wait_for("one of them has it", lambda: (fleet.holders(vm.mac) + [None])[0])
            loser = {"kvm2": "kvm3", "kvm3": "kvm2"}[winner]
            for _ in range(5):
                for name in (winner, loser):
                    vm.speak(fleet[name])
                time.sleep(0.2)
            lab.wait_for("the other waits", lambda: fleet[loser].state(vm.mac) in ("asked", "fenced"))
        assert not gates.doubled
        fleet.wait_sole_holder(vm.mac, winner)
        assert set(gates.ports) == {winner}
        # Everybody agrees on who, and on an epoch that grew.
        assert {host.moves()[vm.mac]["holder"] for name, host in fleet.hosts.items() if name != "kvm1"} == {winner}
        assert fleet[winner].moves()[vm.mac]["epoch"] > epoch
        assert fleet[loser].daemon.drops("g1").get("gate_closed", 0) >= 5, fleet[loser].daemon.drops("g1")
        fleet.check()


def test_two_hosts_pin_one_address_at_once():
    with a_fleet() as fleet:
        for number in range(5):
            address = f"12:55:00:00:00:{number:02x}"
            results = dict(zip(fleet.hosts, at_once(*(
                lambda host=host: host.call("POST", "/v1/vmacs", segment="lan", address=address)
                for host in fleet.hosts.values()))))
            won = [name for name, result in results.items() if not isinstance(result, Exception)]
            assert len(won) == 1, results
            error = next(result for result in results.values() if isinstance(result, Exception))
            assert error.code == "address_in_use" and f"host {won[0]} " in str(error), error
            assert "mac move" in error.hint
        fleet.check()


def test_one_identity_on_two_hosts():
    with a_fleet() as fleet:
        at = {name: at_once(*(lambda host=host: host.call("POST", "/v1/vmacs", segment="lan", stable=f"uuid-{n}")
                              for host in fleet.hosts.values()))
              for n, name in enumerate("abc")}
        for results in at.values():
            assert sum(not isinstance(result, Exception) for result in results) == 1, results
            error = next(result for result in results if isinstance(result, Exception))
            assert error.code == "address_in_use" and re.search(
                "host kvm[12] has (it|an address for this identity)", str(error)), error
        held = fleet.check()
        assert len(held) == 3


# --- hosts that were away -----------------------------------------------------------------------------------

def test_an_old_host_wakes_after_a_week():
    """Declared dead, taken from by force, then it runs on where it stopped."""
    with a_fleet(lease="5s") as fleet:
        vm = fleet.station("kvm1")
        other = fleet.station("kvm2", "g2", "10.9.0.52")
        fleet["kvm1"].daemon.process.send_signal(signal.SIGSTOP)
        # Its lease runs out, which alone allows nothing.
        error = fleet["kvm2"].refused("forbidden", "POST", f"/v1/vmacs/lan/{vm.mac}/move", force=True)
        assert "nobody vouched" in str(error) and "--fenced-by" in error.hint
        stream = other.stream(fleet["kvm2"])
        vouch(fleet, "kvm1", "kvm2")
        vm.stand(fleet["kvm2"], speak=False)
        take(fleet, vm.mac, "kvm2", "--force")
        epoch = fleet["kvm2"].moves()[vm.mac]["epoch"]
        with Gates(fleet, vm.mac, patience=3) as gates:
            vm.speak(fleet["kvm2"])
            time.sleep(0.2)
            fleet["kvm1"].daemon.process.send_signal(signal.SIGCONT)
            woke = time.time()
            deadline = time.monotonic() + 4
            while time.monotonic() < deadline:
                vm.speak(fleet["kvm1"])
                time.sleep(0.005)
            vm.speak(fleet["kvm2"])
            time.sleep(0.2)
            late = [at for at, port in gates.sources.changes if port == "kvm1"]
        assert stream.stop() == 0
        # What came before the daemon knew may have passed; then never again.
        assert not late or max(late) - woke < 1.5, (woke, gates.sources.changes)
        assert gates.ports[-1] == "kvm2"
        fleet.wait_sole_holder(vm.mac, "kvm2")
        assert fleet["kvm1"].moves()[vm.mac]["state"] in ("fenced", "asked")
        assert fleet["kvm2"].moves()[vm.mac]["epoch"] >= epoch
        fleet["kvm1"].wait_said("was declared dead (switch port down, a test), but it lives")
        fleet["kvm1"].wait_joined()
        assert fleet["kvm1"].fleet_status()["alarms"] >= 1
        fleet.check()


def test_a_dead_host_is_forgotten_and_comes_back():
    with a_fleet("kvm1", "kvm2", "kvm3", lease="5s", pool=("--quarantine", "15s")) as fleet:
        vm = fleet.station("kvm1")
        others = [fleet["kvm1"].vmacj("mac", "add", "--name", f"n{n}")["address"] for n in range(3)]
        error = fleet["kvm2"].refused("missing_field", "PATCH", "/v1/hosts/kvm1", state="dead")
        assert "--fenced-by" in error.hint
        assert "is alive" in str(fleet["kvm2"].refused("wrong_state", "DELETE", "/v1/hosts/kvm1"))
        assert "is alive" in str(fleet["kvm2"].refused("wrong_state", "PATCH", "/v1/hosts/kvm1", state="dead", fenced_by="me"))
        fleet["kvm1"].kill()
        vouch(fleet, "kvm1", "kvm2")
        vm.stand(fleet["kvm2"], speak=False)
        take(fleet, vm.mac, "kvm2", "--force")
        fleet["kvm2"].vmac("host", "forget", "kvm1")
        began = time.monotonic()

        def listed(name):
            return "kvm1" in [host["name"] for host in fleet[name].vmacj("host", "list")["items"]]

        # What it had is not given to anybody meanwhile; it rests as long as the pool says.
        taken = {fleet[name].vmacj("mac", "add", "--name", f"x{n}")["address"] for name in ("kvm2", "kvm3") for n in range(20)}
        assert not taken & {vm.mac, *others}
        assert listed("kvm3")
        lab.wait_for("it is off every list", lambda: not listed("kvm2") and not listed("kvm3"), 30)
        assert time.monotonic() - began >= 14
        fleet["kvm3"].refused("not_found", "GET", "/v1/hosts/kvm1")
        with Gates(fleet, vm.mac, patience=2) as gates:
            fleet["kvm1"].start()
            time.sleep(0.5)
            for _ in range(20):
                vm.speak(fleet["kvm1"])
                time.sleep(0.02)
        assert "kvm1" not in gates.ports
        fleet.wait_sole_holder(vm.mac, "kvm2")
        assert len(fleet["kvm3"].vmacj("host", "list")["items"]) == 3
        assert fleet["kvm1"].vmacj("mac", "add", "--name", "again")["address"] not in taken
        fleet.check()


# --- a registry that is not as it was --------------------------------------------------------------------------

def test_a_registry_restored_from_an_older_backup():
    with a_fleet() as fleet:
        vm = fleet.station("kvm1")
        backup = fleet.place.directory / "backup.db"
        fleet.etcd.ctl("snapshot", "save", str(backup))
        # What the backup does not know: a move, and addresses.
        vm.leave(fleet["kvm1"])
        vm.stand(fleet["kvm2"], speak=False)
        take(fleet, vm.mac, "kvm2")
        known = {host.vmacj("mac", "add", "--name", f"n{n}")["address"] for n in range(100) for host in fleet.hosts.values()}
        pinned = fleet["kvm2"].vmacj("mac", "add", "--address", "12:55:00:00:00:01")["address"]
        epoch = fleet["kvm2"].moves()[vm.mac]["epoch"]
        fleet.etcd.restore(backup)
        with Gates(fleet, vm.mac, patience=2) as gates:
            fleet["kvm2"].wait_said("it was restored", 30)
            for _ in range(10):
                vm.speak(fleet["kvm2"])
                time.sleep(0.05)
            lab.wait_for("kvm2's claim stands again",
                         lambda: fleet["kvm1"].moves().get(vm.mac, {}).get("holder", "kvm2") == "kvm2", 20)
        assert not gates.doubled and set(gates.ports) <= {"kvm2"}
        fleet.wait_sole_holder(vm.mac, "kvm2")
        assert fleet["kvm2"].moves()[vm.mac]["epoch"] >= epoch
        assert fleet["kvm2"].fleet_status()["alarms"] >= 1
        new = {host.vmacj("mac", "add", "--name", f"m{n}")["address"] for n in range(100) for host in fleet.hosts.values()}
        assert len(new) == 200 and not new & (known | {vm.mac, pinned})
        error = fleet["kvm1"].refused("address_in_use", "POST", "/v1/vmacs", segment="lan", address=pinned)
        assert "host kvm2" in str(error)
        fleet.check(30)


def test_a_full_registry():
    with a_fleet(registry=lambda place: etcd.Etcd(place, options=["--quota-backend-bytes", str(6 << 20)]), pool=(
            "--range", "12:00:00:00:00:00..12:00:00:00:03:ff")) as fleet:
        vm = fleet.station("kvm1")
        fleet.etcd.fill()
        stream = vm.stream(fleet["kvm1"])
        error = fleet["kvm1"].refused("registry_full", "POST", "/v1/vmacs", segment="lan", address="12:55:00:00:00:01")
        assert "defrag" in error.hint and "alarm disarm" in error.hint
        # From its blocks a host goes on.
        fleet["kvm2"].vmac("mac", "add", "--name", "own")
        fleet["kvm2"].wait_said("refuses what it is told")
        assert fleet["kvm2"].fleet_status()["trouble"]["code"] == "registry_full"
        error = fleet["kvm2"].refused("registry_full", "POST", f"/v1/vmacs/lan/{vm.mac}/prepare")
        assert "defrag" in error.hint
        fleet.wait_sole_holder(vm.mac, "kvm1")
        fleet.etcd.make_space()

        def prepared():
            try:
                fleet["kvm2"].call("POST", f"/v1/vmacs/lan/{vm.mac}/prepare")
                return True
            except lab.ApiError:
                return False

        # What is owed is tried again every 30 s.
        lab.wait_for("moves work again", prepared, 45, 0.5)
        fleet["kvm2"].wait(vm.mac, "ready", 20)
        fleet["kvm1"].vmac("mac", "add", "--address", "12:55:00:00:00:01")
        assert stream.stop() == 0
        fleet.check(20)


def test_a_watch_that_was_compacted():
    """What was deleted while a host was cut off is seen although nobody can tell of it any more."""
    with a_fleet("kvm1", "kvm2", "kvm3") as fleet:
        vm = fleet.station("kvm1")
        pinned = fleet["kvm1"].vmacj("mac", "add", "--address", "12:55:00:00:00:01", "--name", "pin")["address"]
        lab.wait_for("kvm3 knows", lambda: fleet["kvm3"].fleet_status()["records"] == fleet["kvm1"].fleet_status()["records"])
        fleet["kvm3"].cut()
        vm.leave(fleet["kvm1"])
        vm.stand(fleet["kvm2"])
        take(fleet, vm.mac, "kvm2")
        fleet["kvm2"].vmac("segment", "add", "dmz")
        fleet["kvm2"].vmac("segment", "delete", "dmz")
        fleet.etcd.compact()
        lab.wait_for("kvm3 knows that it is cut off", lambda: not fleet["kvm3"].fleet_status()["reachable"], 20)
        trouble = fleet["kvm3"].fleet_status()["trouble"]
        assert trouble["code"] == "registry_unreachable", trouble
        fleet["kvm3"].heal()
        lab.wait_for("kvm3 is back", lambda: fleet["kvm3"].fleet_status()["reachable"], 20)
        lab.wait_for("kvm3 has read all anew", lambda: fleet["kvm3"].fleet_status()["revision"] >= fleet["kvm2"].fleet_status()["revision"], 20)
        error = fleet["kvm3"].refused("address_in_use", "POST", "/v1/vmacs", segment="lan", address=pinned)
        assert "host kvm1" in str(error)
        vm.leave(fleet["kvm2"])
        vm.stand(fleet["kvm3"])
        take(fleet, vm.mac, "kvm3")
        fleet.wait_sole_holder(vm.mac, "kvm3")
        fleet.check()


def test_auth_turned_on_under_a_running_fleet():
    """etcd goes on telling those who watch: it is found by the next that is written or read."""
    with a_fleet(reconcile="10s") as fleet:
        vm = fleet.station("kvm1")
        stream = vm.stream(fleet["kvm1"])
        fleet.etcd.auth(True)
        for host in fleet.hosts.values():
            error = lab.wait_for("it says what is wrong", lambda: host.fleet_status().get("trouble"), 30)
            assert error["code"] == "forbidden" and "user" in error["message"] + error["hint"], error
        for host in fleet.hosts.values():
            host.vmac("mac", "add", "--name", "own")
        error = fleet["kvm2"].refused("registry_unreachable", "POST", f"/v1/vmacs/lan/{vm.mac}/prepare")
        assert "asks for a user" in str(error)
        password = fleet.place.directory / "password"
        password.write_text(etcd.PASSWORD + "\n")
        password.chmod(0o600)
        for host in fleet.hosts.values():
            host.more.update(user="root", password_file=password)
            host.restart()
        assert stream.stop() == 0
        fleet["kvm2"].vmac("mac", "prepare", vm.mac, "--segment", "lan")
        fleet["kvm2"].wait(vm.mac, "ready")
        assert etcd.PASSWORD not in fleet["kvm1"].daemon.log.read_text()


def test_the_registry_of_another_cluster():
    with a_fleet("kvm1") as fleet:
        vm = fleet.station("kvm1")
        cluster = fleet["kvm1"].fleet_status()["cluster"]
        # Somebody else's, whose hosts have other uuids, behind the same address.
        fleet["kvm1"].kill(signal.SIGTERM)
        fleet.etcd.stop()
        fleet.etcd.wipe()
        fleet.etcd.start()
        other = fleet.add("kvm2")
        other.vmac("pool", "add", "q", "--segment", "lan")
        assert other.fleet_status()["cluster"] != cluster
        fleet["kvm1"].start(join=False)
        stream = vm.stream(fleet["kvm1"])
        trouble = lab.wait_for("it says what is wrong", lambda: fleet["kvm1"].fleet_status().get("trouble"))
        assert trouble["code"] == "wrong_state" and cluster in trouble["message"], trouble
        assert "endpoints" in trouble["hint"]
        time.sleep(1)
        assert not fleet["kvm1"].fleet_status()["joined"]
        assert [host["name"] for host in other.vmacj("host", "list")["items"]] == ["kvm2"]
        fleet["kvm1"].vmac("mac", "add", "--name", "own")
        error = fleet["kvm1"].refused("wrong_state", "POST", "/v1/vmacs", segment="lan", address="12:55:00:00:00:01")
        assert "takes no part" in str(error)
        assert fleet["kvm1"].gate(vm.mac) == "open"
        assert stream.stop() == 0


# --- the registry as the manual has it --------------------------------------------------------------------------

MANUAL = pathlib.Path(lab.__file__).resolve().parents[2] / "docs" / "hosts.md"


def commands(first):
    """The code block of the manual that begins with this word: its lines, without comments."""
    blocks = re.findall(r"^```\n(.*?)^```$", MANUAL.read_text(), re.M | re.S)
    block = next(b for b in blocks if b.startswith(first))
    return [part.strip() for line in block.splitlines() for part in line.partition("#")[0].split("&&") if part.strip()]


def test_tls_and_users_as_the_manual_says():
    """Its commands are run, its configuration is taken; a guest moves; no secret is where it can be read."""
    with lab.Lab() as place:
        there = place.directory / "tls"
        there.mkdir()
        for line in commands("openssl req"):
            subprocess.run(line, shell=True, check=True, cwd=there, capture_output=True)
        registry = etcd.Etcd(place, tls=etcd.Authority(there, "etcd-ca", (there / "etcd-ca.pem", there / "ca.key")))
        assert registry.endpoints()[0].startswith("https://")
        secret = "correct horse"
        for line in commands("etcdctl role add"):
            words = line.split()[1:]
            if words[:2] == ["user", "add"]:  # asks, as the manual says
                password = secret if words[2] == "vmac" else etcd.PASSWORD
                words = ["user", "add", f"{words[2]}:{password}"]
            registry.ctl(*words)
        registry.authorized = True
        password = there / "etcd.password"
        password.write_text(secret + "\n")
        password.chmod(0o600)
        wanted = {"ca": "etcd-ca.pem", "cert": "etcd-client.pem", "key": "etcd-client.key", "password_file": "etcd.password"}
        for option, name in wanted.items():
            assert f"    {option}: /etc/vmac/{name}" in MANUAL.read_text()
        fleet = Fleet(place, "kvm1", "kvm2", registry=registry, user="vmac",
                      **{option: there / name for option, name in wanted.items()})
        vm = fleet.station("kvm1")
        fleet["kvm2"].vmac("mac", "prepare", vm.mac, "--segment", "lan")
        vm.stand(fleet["kvm2"], speak=False)
        fleet["kvm2"].wait(vm.mac, "ready")
        vm.speak(fleet["kvm2"])
        fleet["kvm2"].wait(vm.mac, "held")
        fleet.wait_sole_holder(vm.mac, "kvm2")
        for host in fleet.hosts.values():
            text = host.daemon.log.read_text() + json.dumps(host.fleet_status())
            assert secret not in text and secret not in pathlib.Path(f"/proc/{host.daemon.process.pid}/cmdline").read_text()
        # The user of the manual may do what is below the prefix, and nothing else.
        registry.ctl("put", "/other", "theirs")
        denied = registry.ctl(f"--user=vmac:{secret}", "get", "/other", user=False, check=False)
        assert denied.returncode != 0 and "permission denied" in denied.stderr
        # A host without a certificate is told what is wrong.
        bare = VmacHost(fleet, "kvm3", 3, ca=there / "etcd-ca.pem", user="vmac", password_file=password)
        bare.start(join=False)
        trouble = lab.wait_for("kvm3 says why", lambda: (bare.fleet_status().get("trouble") or {}).get("message"))
        assert "certificate" in trouble + bare.fleet_status()["trouble"]["hint"], trouble


# --- frames that lie --------------------------------------------------------------------------------------------

def test_a_wrong_cluster_key():
    """It is known as soon as the host joins; and its announcements prove nothing, not even with the registry out of reach,
    which then decides."""
    with a_fleet() as fleet:
        vm = fleet.station("kvm1")
        right = fleet["kvm2"].key_file.read_text()
        fleet["kvm2"].key_file.write_text("ff" * 16 + "\n")
        fleet["kvm2"].restart()
        fleet["kvm1"].wait_said("host kvm2 has another cluster key than this one")
        error = fleet["kvm2"].refused("forbidden", "POST", f"/v1/vmacs/lan/{vm.mac}/prepare")
        assert "host kvm1, which has it, has another cluster key" in str(error)
        assert "ff" * 8 not in fleet.etcd.ctl("get", "--prefix", "/vmac/v1/").stdout
        # The right one again; then it is changed with nobody in reach.
        fleet["kvm2"].key_file.write_text(right)
        fleet["kvm2"].restart()
        fleet["kvm2"].vmac("mac", "prepare", vm.mac, "--segment", "lan")
        fleet["kvm2"].wait(vm.mac, "ready")
        vm.stand(fleet["kvm2"], speak=False)
        epoch = fleet["kvm1"].epoch(vm.mac)
        fleet.etcd.freeze(0)
        fleet["kvm2"].key_file.write_text("ff" * 16 + "\n")
        fleet["kvm2"].restart(join=False)
        fleet["kvm2"].wait(vm.mac, "ready")
        vm.speak(fleet["kvm2"])
        fleet["kvm2"].wait(vm.mac, "live")
        lab.wait_for("kvm1 hears announcements that are not of its key",
                     lambda: fleet["kvm1"].fleet_status()["claims_forged"] > 0)
        fleet["kvm1"].wait_said("a tag that is not of this cluster's key")
        assert fleet["kvm1"].state(vm.mac) == "offered" and fleet["kvm1"].gate(vm.mac) == "open"
        assert fleet["kvm1"].fleet_status()["claims_valid"] == 0
        fleet.etcd.thaw(0)
        fleet["kvm2"].wait(vm.mac, "held", 20)
        fleet.wait_sole_holder(vm.mac, "kvm2")
        assert fleet["kvm1"].state(vm.mac) in ("handed", "fenced")
        assert fleet["kvm2"].epoch(vm.mac) > epoch
        fleet.check()


class Forger:
    """Announcements with somebody's address, from the LAN."""

    def __init__(self, fleet, frames, pps=1000):
        self.wire, self.frames, self.gap, self.sent = fleet.switch.far.packet_socket("eth0", 0), frames, 1 / pps, 0
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._send)
        self.thread.start()

    def _send(self):
        following = time.monotonic()
        while not self.ending.is_set():
            self.wire.send(self.frames[self.sent % len(self.frames)])
            self.sent += 1
            following += self.gap
            time.sleep(max(0, following - time.monotonic()))

    def stop(self):
        self.ending.set()
        self.thread.join()
        # The data plane tells once a second at most: of the last with this one.
        time.sleep(1.1)
        self.wire.send(self.frames[0])
        self.sent += 1
        self.wire.close()
        return self.sent


@pytest.mark.parametrize("prepared", [False, True])
def test_forged_announcements(prepared):
    with a_fleet() as fleet:
        vm = fleet.station("kvm1")
        bystander = fleet.station("kvm1", "g2", "10.9.0.52")
        epoch = fleet["kvm1"].epoch(vm.mac)
        if prepared:
            fleet["kvm2"].vmac("mac", "prepare", vm.mac, "--segment", "lan")
            vm.stand(fleet["kvm2"], speak=False)
            fleet["kvm2"].wait(vm.mac, "ready")
            fleet["kvm1"].wait(vm.mac, "offered")
        before = fleet["kvm1"].moves().get(vm.mac, {}).get("strangers", 0)
        stream = bystander.stream(fleet["kvm1"])
        tagged = vm.frame()[:42] + b"vM" + (1 << 40).to_bytes(6, "big") + b"\x00\x02" + b"\x5a" * 8
        forger = Forger(fleet, [vm.frame(), tagged])
        time.sleep(3)
        sent = forger.stop()
        assert stream.stop() == 0
        assert sent > 1500
        shown = lab.wait_for("all are counted", lambda: (lambda m: m if m["strangers"] - before >= sent else None)(
            fleet["kvm1"].moves()[vm.mac]))
        assert shown["strangers"] - before == sent
        assert shown["state"] == ("offered" if prepared else "held") and shown["gate"] == "open"
        assert shown["epoch"] == epoch
        assert "stranger_last" in shown
        metrics = fleet["kvm1"].call("GET", "/metrics")
        assert f'vmac_strangers_total{{segment="lan",address="{vm.mac}"}} {shown["strangers"]}\n' in metrics
        status = fleet["kvm1"].fleet_status()
        assert status["claims_forged"] + status["claims_untagged"] >= sent and status["claims_valid"] == 0
        assert status["claims_forged"] >= 1 and status["claims_untagged"] >= 1
        assert fleet["kvm1"].said("somebody else uses the address on the wire")
        assert f"{shown['strangers']} frames on the wire" in fleet["kvm1"].vmac("mac", "show", vm.mac)
        fleet.wait_sole_holder(vm.mac, "kvm1")
        if prepared:
            assert fleet["kvm2"].moves()[vm.mac]["gate"] == "tunnel-in"
        fleet.check()


def arp_of(mac, address):
    inside = octets(mac) + bytes(int(part) for part in address.split("."))
    return b"\xff" * 6 + octets(mac) + bytes.fromhex("08060001080006040001") + inside + bytes(6) + inside[6:] + bytes(18)


def test_who_else_uses_an_address():
    """A clone with its own address, one that begins in silence, a loop and a move: each is told from the others."""
    def wire_of(host, mac, **want):
        def seen():
            wire = fleet[host].moves().get(mac, {}).get("wire", {})
            return wire if all(wire.get(key) == value for key, value in want.items()) else None
        try:
            return lab.wait_for(f"{host} sees {want}", seen, 5, 0.05)
        except lab.LabError as problem:
            raise AssertionError(f"{problem}: {fleet[host].moves().get(mac)}") from None

    with a_fleet() as fleet, fleet.switch.far.packet_socket("eth0", 3) as wire:
        vm = fleet.station("kvm1", bind=True)
        quiet = fleet.station("kvm1", "g2", "10.9.0.52")
        # Of which nobody can tell.
        wire.send(vm.frame())
        assert "soon after the guest here spoke" in wire_of("kvm1", vm.mac, unknown=1)["because"]
        time.sleep(1.1)
        wire.send(arp_of(vm.mac, "10.9.0.99"))
        seen = wire_of("kvm1", vm.mac, clone=1)
        assert seen["as"] == "clone" and "ARP of 10.9.0.99, which the port here may not use" in seen["because"]
        fleet["kvm1"].wait_said("somebody else uses the address on the wire (clone: ARP of 10.9.0.99")
        time.sleep(1.1)
        wire.send(arp_of(vm.mac, "10.9.0.50"))
        seen = wire_of("kvm1", vm.mac, frames=3)
        assert (seen["as"], seen["unknown"]) == ("clone", 2)
        time.sleep(5)
        wire.send(quiet.frame())
        seen = wire_of("kvm1", quiet.mac, clone=1)
        assert "began when nothing had left here" in seen["because"]
        shown = fleet["kvm1"].vmac("mac", "show", vm.mac)
        assert "clone: ARP of 10.9.0.99" in shown and "looked at: 0 move, 0 loop, 1 clone, 2 unknown" in shown
        # A move: the tag names the host.
        fleet["kvm2"].vmac("mac", "prepare", vm.mac, "--segment", "lan")
        vm.stand(fleet["kvm2"], speak=False)
        fleet["kvm2"].wait(vm.mac, "ready")
        vm.speak(fleet["kvm2"])
        fleet["kvm2"].wait(vm.mac, "held")
        assert "host kvm2 " in wire_of("kvm1", vm.mac, **{"as": "move"})["because"]
        # What kvm2 announced comes back to it.
        while True:
            frame = wire.recv(2048)
            if frame[6:12] == octets(vm.mac) and frame[12:14] == b"\x80\x35" and frame[42:44] == b"vM":
                break
        assert "wire" not in fleet["kvm2"].moves()[vm.mac]
        wire.send(frame)
        seen = wire_of("kvm2", vm.mac, loop=1)
        assert seen["as"] == "loop" and "own announcement of epoch" in seen["because"]
        fleet["kvm2"].wait_said("the network has a loop")
        assert fleet["kvm2"].moves()[vm.mac]["strangers"] == 0
        metrics = fleet["kvm2"].call("GET", "/metrics")
        assert f'vmac_wire_looked_total{{segment="lan",address="{vm.mac}",as="loop"}} 1\n' in metrics
        fleet.check()


def test_a_guest_that_announces_its_neighbour():
    """Its neighbour is reserved for this host, and the guest has a port here: nothing opens."""
    with a_fleet() as fleet:
        vm = fleet.station("kvm1")
        fleet["kvm2"].vmac("mac", "prepare", vm.mac, "--segment", "lan")
        vm.stand(fleet["kvm2"], speak=False)
        fleet["kvm2"].wait(vm.mac, "ready")
        liar = fleet.station("kvm2", "liar", "10.9.0.53")
        ours, theirs = octets(liar.mac), octets(vm.mac)
        arp = lambda source, inside: (b"\xff" * 6 + source + bytes.fromhex("08060001080006040001") + inside + bytes([10, 9, 0, 50])
                                      + bytes(6) + bytes([10, 9, 0, 50]) + bytes(18))
        before = fleet["kvm1"].moves()[vm.mac]
        with Gates(fleet, vm.mac) as gates:
            for frame in (vm.frame(), arp(theirs, theirs)):
                liar.speak(fleet["kvm2"], 10, frame)
            rarp = liar.frame()
            inside = rarp[:22] + theirs + rarp[28:32] + theirs + rarp[38:]
            liar.speak(fleet["kvm2"], 10, inside)
            liar.speak(fleet["kvm2"], 10, arp(ours, theirs))
            time.sleep(1)
        drops = fleet["kvm2"].daemon.drops("liar")
        assert drops.get("spoofed_mac", 0) >= 20 and drops.get("spoofed_arp", 0) >= 20, drops
        assert gates.ports == [] and not gates.doubled
        after = fleet["kvm1"].moves()[vm.mac]
        assert (after["state"], after["epoch"], after["strangers"]) == ("offered", before["epoch"], before["strangers"])
        assert fleet["kvm2"].state(vm.mac) == "ready"


# --- moves that end otherwise ----------------------------------------------------------------------------------

def test_a_prepare_that_nobody_finishes():
    with a_fleet() as fleet:
        vm = fleet.station("kvm1")
        epoch = fleet["kvm1"].epoch(vm.mac)
        fleet["kvm2"].vmac("mac", "prepare", vm.mac, "--segment", "lan", "--lifetime", "3s")
        fleet["kvm2"].wait(vm.mac, "ready")
        fleet["kvm1"].wait(vm.mac, "offered")
        assert fleet["kvm1"].moves()[vm.mac]["to"] == "kvm2" and "expires" in fleet["kvm1"].moves()[vm.mac]
        fleet["kvm1"].wait(vm.mac, "held")
        lab.wait_for("kvm2 gave it up", lambda: fleet["kvm2"].state(vm.mac) == "none")
        assert fleet["kvm1"].said("nobody used the reservation in its lifetime") or fleet["kvm2"].said(
            "nobody used the reservation in its lifetime")
        fleet.wait_sole_holder(vm.mac, "kvm1")
        assert fleet["kvm1"].epoch(vm.mac) == epoch
        # Anew, and to its end.
        fleet["kvm2"].vmac("mac", "prepare", vm.mac, "--segment", "lan")
        fleet["kvm2"].wait(vm.mac, "ready")
        vm.stand(fleet["kvm2"])
        fleet["kvm2"].wait(vm.mac, "held")
        fleet.wait_sole_holder(vm.mac, "kvm2")
        error = fleet["kvm2"].refused("bad_value", "POST", f"/v1/vmacs/lan/{vm.mac}/prepare", lifetime="25h")
        assert "24h" in error.hint
        fleet.check()


def test_a_guest_that_moves_too_often_is_frozen():
    with a_fleet() as fleet:
        vm = fleet.station("kvm1")
        here, there = "kvm1", "kvm2"
        for _ in range(8):
            vm.leave(fleet[here])
            vm.stand(fleet[there])
            fleet[there].vmac("mac", "move", vm.mac, "--segment", "lan", status=None)
            state = lab.wait_for("it is there, or stays", lambda: fleet[there].state(vm.mac) in ("held", "frozen")
                                 and fleet[there].state(vm.mac), 5)
            if state == "frozen":
                break
            here, there = there, here
        assert fleet[there].wait(vm.mac, "frozen")
        assert fleet[there].said("five unplanned moves in 180 s")
        assert fleet[there].fleet_status()["alarms"] >= 1
        # Frozen: it serves, and stays.
        fleet.wait_sole_holder(vm.mac, there)
        vm.leave(fleet[there])
        vm.stand(fleet[here])
        lab.wait_for("it is refused", lambda: fleet[here].moves()[vm.mac]["reason"] == "refused")
        fleet[there].vmac("mac", "thaw", vm.mac, "--segment", "lan")
        take(fleet, vm.mac, here)
        fleet.wait_sole_holder(vm.mac, here)
        error = fleet[here].refused("wrong_state", "POST", f"/v1/vmacs/lan/{vm.mac}/thaw")
        assert "frozen" in error.hint
        fleet.check()


# --- alone for a while ------------------------------------------------------------------------------------------

def test_the_registry_is_gone_for_a_while():
    """1,024 addresses in 64 blocks of 16: two a host, until it is back."""
    with a_fleet(pool=("--range", "12:00:00:00:00:00..12:00:00:00:03:ff")) as fleet:
        vm = fleet.station("kvm1")
        lab.wait_for("both have blocks", lambda: all(h.fleet_status()["blocks_ours"] >= 2 for h in fleet.hosts.values()))
        stream = vm.stream(fleet["kvm1"])
        began = time.monotonic()
        fleet.etcd.kill(0)
        for host in fleet.hosts.values():
            lab.wait_for("it knows", lambda: not host.fleet_status()["reachable"], 15)
            status = host.fleet_status()
            assert status["trouble"]["code"] == "registry_unreachable" and "10.98.0.1" in status["trouble"]["message"]
            assert status["available"] > 0 and status["joined"]
            text = host.vmac("status")
            assert str(status["available"]) in text and "NOT REACHABLE since" in text, text
        given = {}
        for host in fleet.hosts.values():
            left = host.fleet_status()["available"]
            for number in range(left):
                given.setdefault(host.call("POST", "/v1/vmacs", segment="lan", name=f"a{number}")["address"], []).append(host.name)
            error = host.refused("pool_exhausted", "POST", "/v1/vmacs", segment="lan")
            assert "out of reach since" in str(error) and "bring the shared registry back" in error.hint, error
            error = host.refused("registry_unreachable", "POST", "/v1/vmacs", segment="lan", address="12:55:00:00:00:01")
            assert "out of reach" in str(error)
            host.refused("registry_unreachable", "POST", "/v1/pools", name="other", segment="lan")
        fleet["kvm2"].refused("registry_unreachable", "POST", f"/v1/vmacs/lan/{vm.mac}/prepare")
        assert all(len(names) == 1 for names in given.values())
        time.sleep(max(0, 10 - (time.monotonic() - began)))
        since = fleet["kvm1"].fleet_status()["since"]
        assert re.match(r"([6-9]|1\d|2\d)s", since), since
        fleet.etcd.start()
        for host in fleet.hosts.values():
            lab.wait_for("it is back", lambda: host.fleet_status()["reachable"], 20)
            host.call("POST", "/v1/vmacs", segment="lan", name="after")
        assert stream.stop() == 0
        assert len(fleet.check(20)) == len(given) + 3


def test_hosts_drain_and_join():
    with a_fleet() as fleet:
        vm = fleet.station("kvm1")
        stream = vm.stream(fleet["kvm1"])
        fleet["kvm1"].vmac("host", "drain", "kvm2")
        lab.wait_for("kvm2 drains", lambda: fleet["kvm2"].fleet_status()["state"] == "draining")
        error = fleet["kvm2"].refused("wrong_state", "POST", "/v1/vmacs", segment="lan")
        assert "draining" in str(error) and "undrain" in error.hint
        error = fleet["kvm2"].refused("wrong_state", "POST", f"/v1/vmacs/lan/{vm.mac}/prepare")
        assert "undrain" in error.hint
        listed = {host["name"]: host for host in fleet["kvm1"].vmacj("host", "list")["items"]}
        assert listed["kvm2"]["state"] == "draining" and listed["kvm2"]["alive"] and listed["kvm1"]["self"]
        assert "draining" in fleet["kvm1"].vmac("host", "show", "kvm2")
        # A third comes while that is so.
        third = fleet.add("kvm3")
        third.vmac("mac", "add", "--name", "x")
        assert len(third.vmacj("host", "list")["items"]) == 3
        assert {h["number"] for h in third.vmacj("host", "list")["items"]} == {
            h["number"] for h in fleet["kvm1"].vmacj("host", "list")["items"]}
        fleet["kvm2"].vmac("host", "undrain", "kvm2")
        lab.wait_for("kvm2 is active", lambda: fleet["kvm2"].fleet_status()["state"] == "active")
        fleet["kvm2"].vmac("mac", "add", "--name", "y")
        assert "no host kvm9" in str(third.refused("not_found", "PATCH", "/v1/hosts/kvm9", state="draining"))
        assert "this one" in str(third.refused("wrong_state", "DELETE", "/v1/hosts/kvm3"))
        assert stream.stop() == 0
        fleet.check()


def test_the_disk_of_a_host_is_lost():
    """What the shared registry knows of it makes it the host that it was: it joins under its name, holds what it held,
    and gives nothing of that out again."""
    with a_fleet() as fleet:
        one, state = fleet["kvm1"], fleet["kvm1"].daemon.state
        vm = fleet.station("kvm1", bind=True)
        one.vmac("mac", "add", "--adopt", "0e:00:00:00:00:09", "--segment", "lan", "--name", "chosen")
        given = one.vmac("mac", "add", "--count", 400).split()
        held, number = one.addresses(), one.vmacj("host", "show")["number"]
        lab.wait_for("all is told of", lambda: sum(
            len(r["value"]["vmacs"]) for r in json.loads(fleet.tool("export", "--shared").stdout)["records"]
            if r["key"].startswith("image/")) >= len(held) - 1)
        one.kill(signal.SIGKILL)
        shutil.rmtree(state)
        state.mkdir(mode=0o700)
        # Not into what a vmacd made that was started on the new disk.
        one.start(join=False)
        assert "kvm1" in one.vmac("status") and not one.fleet_status()["joined"]
        one.kill(signal.SIGTERM)
        again = ("copy", "--to", "own", "--host", "kvm1", "--state-dir", state, "--uplink", "lan=eth0")
        done = fleet.tool(*again)
        assert done.returncode == 4 and "another host" in done.stderr, done.stderr
        shutil.rmtree(state)
        state.mkdir(mode=0o700)
        done = fleet.tool(*again)
        assert done.returncode == 0, done.stderr
        one.start()
        assert one.vmacj("host", "show")["number"] == number
        assert one.addresses() == held, "each with its epoch"
        one.vmac("port", "add", "again", "--kind", "tap", "--segment", "lan", "--mac", vm.mac)
        assert one.gate(vm.mac) == "open"
        assert not set(one.vmac("mac", "add", "--count", 400).split()) & set(given)
        take(fleet, "0e:00:00:00:00:09", "kvm2")
        fleet.check()


def test_daemons_that_are_killed_at_any_moment():
    chance = random.Random(4)
    with a_fleet(pool=("--range", "12:00:00:00:00:00..12:00:00:00:03:ff")) as fleet:
        vm = fleet.station("kvm1")
        given, at = {}, "kvm1"
        with Gates(fleet, vm.mac, patience=5) as gates:
            for number in range(20):
                victim = chance.choice(list(fleet.hosts))
                to = chance.choice(list(fleet.hosts))
                if number % 4 == 3 and to != at:
                    vm.leave(fleet[at])
                    vm.stand(fleet[to])
                    deed = lambda: fleet[to].call("POST", f"/v1/vmacs/lan/{vm.mac}/move")
                    victim, at = chance.choice([at, to]), to
                else:
                    deed = lambda: fleet[to].call("POST", "/v1/vmacs", segment="lan", name=f"n{number}")["address"]
                pause = chance.uniform(0, 0.03)
                result = at_once(deed, lambda: (time.sleep(pause), fleet[victim].kill()))[0]
                if isinstance(result, str):
                    assert result not in given, (result, given)
                    given[result] = to
                fleet[victim].start()
            vm.speak(fleet[at])
            fleet[at].vmac("mac", "move", vm.mac, "--segment", "lan", status=None)
            fleet[at].wait(vm.mac, "held", 20)
        assert not gates.doubled
        held = fleet.check(20)
        assert set(given) <= set(held), "an address that was given is lost"
        assert held[vm.mac] == [at]
        fleet.wait_sole_holder(vm.mac, at)


def test_clocks_that_are_hours_apart():
    """No time of day of one host is compared with another's."""
    with a_fleet() as fleet:
        vm = fleet.station("kvm1")
        for host, shift in (("kvm1", -30 * 3600), ("kvm2", 50 * 3600)):
            fleet[host].kill(signal.SIGTERM)
            fleet[host].clock(shift)
            fleet[host].start()
        times = [host.vmacj("mac", "add", "--name", f"at-{name}")["created"] for name, host in fleet.hosts.items()]
        assert times[0][:10] < time.strftime("%Y-%m-%d", time.gmtime()) < times[1][:10], times
        with Gates(fleet, vm.mac) as gates:
            fleet["kvm2"].vmac("mac", "prepare", vm.mac, "--segment", "lan", "--lifetime", "1h")
            fleet["kvm2"].wait(vm.mac, "ready")
            vm.stand(fleet["kvm2"])
            fleet["kvm2"].wait(vm.mac, "held")
            fleet["kvm2"].vmac("mac", "add", "--name", "x")
            # Back, a lifetime counts from when it is seen.
            vm.leave(fleet["kvm1"])
            fleet["kvm1"].vmac("mac", "prepare", vm.mac, "--segment", "lan", "--lifetime", "4s")
            fleet["kvm1"].wait(vm.mac, "ready")
            time.sleep(2)
            assert fleet["kvm1"].state(vm.mac) == "ready"
            lab.wait_for("it ends", lambda: fleet["kvm1"].state(vm.mac) == "none", 5)
            fleet["kvm2"].wait(vm.mac, "held")
        assert not gates.doubled
        fleet.wait_sole_holder(vm.mac, "kvm2")
        assert all(host["alive"] for host in fleet["kvm1"].vmacj("host", "list")["items"])
        fleet.check()
