"""Members that are real guests: a QEMU's beside containers, which is migrated live while it serves; and web servers in all
of them, under the requests of many connections while one of them stops."""
import contextlib
import re
import shutil
import subprocess
import threading
import time

import etcd
import lab
import moving
import pytest
from clusters import PORT, V4, V6, Farm, Flooded
from moving import Sources

MISSING = lab.missing() or etcd.missing() or next(
    (f"no {name} (Debian: {package})" for name, package in (("nginx", "nginx-light"), ("wrk", "wrk")) if not shutil.which(name)), "")
pytestmark = [pytest.mark.skipif(bool(MISSING), reason=MISSING), pytest.mark.timeout(240),
              pytest.mark.xdist_group("cluster_guests")]

BLOB = b"vmac\n" * 13107  # what `yes vmac | head -c 65535` says


class GuestMember:
    """A QEMU guest on a host of the farm: the virtual addresses on its lo, and the same servers in it as in the containers."""

    def __init__(self, farm, name, host):
        farm.numbers += 1
        self.name = name
        self.vm = moving.Vm(farm.place, name, None, f"10.9.0.{farm.numbers}", farm.host(host))
        self.vm.run(f"ip addr add fd00:9::{farm.numbers}/64 dev eth0; ip addr add {V4}/32 dev lo; ip addr add {V6}/128 dev lo;"
                    f"ulimit -n 65536; flows serve {name} {PORT} >/tmp/flows 2>&1 &")
        self.vm.run(f"mkdir /tmp/web; cd /tmp/web; echo {name} >who; echo well >health; yes vmac | head -c {len(BLOB)} >blob;"
                    "httpd -p 80 -h /tmp/web")
        farm.members[name] = self

    @property
    def mac(self):
        return self.vm.mac

    @property
    def host(self):
        return self.vm.host


class Nginx:
    """In a container.  .stop() ends it as its service manager would: it closes what it has."""

    CONFIG = """daemon off; master_process off; user root; pid {0}/pid; error_log {0}/error.log;
events {{ worker_connections 4096; }}
http {{
	access_log off; client_body_temp_path {0}/a; proxy_temp_path {0}/b; fastcgi_temp_path {0}/c; uwsgi_temp_path {0}/d;
	scgi_temp_path {0}/e;
	ssl_certificate {0}/cert; ssl_certificate_key {0}/key;
	server {{ listen 80 backlog=1024; listen [::]:80 backlog=1024; listen 443 ssl; listen [::]:443 ssl; root {0}/web; }}
}}
"""

    def __init__(self, member):
        self.member, self.directory = member, member.farm.place.directory / f"nginx-{member.name}"
        self.web = self.directory / "web"
        self.web.mkdir(parents=True)
        (self.directory / "conf").write_text(self.CONFIG.format(self.directory))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", "-subj", "/CN=nobody.example", "-keyout", self.directory / "key",
                        "-out", self.directory / "cert"], check=True, capture_output=True)
        (self.web / "who").write_text(f"{member.name}\n")
        (self.web / "blob").write_bytes(BLOB)
        self.health = self.web / "health"
        self.health.write_text("well\n")
        self.start()

    def start(self):
        self.process = self.member.ns.start("nginx", "-e", self.directory / "error.log", "-c", self.directory / "conf")
        lab.wait_for("nginx serves", (self.directory / "pid").exists)

    def stop(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture(scope="module")
def farm():
    """A guest and a container on the first host, a container on the other; every one of them serves flows and the web."""
    with lab.Lab() as place:
        farm = Farm(place)
        farm.guest = GuestMember(farm, "g1", "kvm1")
        try:
            farm.nginx = {member.name: Nginx(member) for member in farm.spread(2)}
            farm.cluster("--check", "http", "--check-port", 80, "--check-path", "/health", "--check-interval", "1s",
                         "--check-timeout", "1s", "--fall", 6)
            farm.wait_live("up", seconds=30)
            farm.anchor = farm.wait_anchor()
            yield farm
        finally:
            farm.guest.vm.end()


def move(guest, host, pause=0):
    """Moves it.  pause: so many seconds at least it stands still, as a large and busy guest would."""
    return guest.vm.move(host, held=(lambda: time.sleep(pause)) if pause else None)


def unbroken(status):
    assert status["broken"] == status["wrong"] == status["failed"] == status["moved"] == 0, status


# --- migration -------------------------------------------------------------------------------------------

def test_a_member_that_migrates_keeps_its_flows(farm):
    """There and back, so that once it leaves its anchor's host and once it comes there, and once it stands still for long:
    no flow breaks or goes to another member, its new host delivers, the switch sees one move each, and nobody gets a frame
    that is not his."""
    guest, face, anchor = farm.guest, farm.show()["faces"][0]["address"], farm.anchor
    # As slowly as they will speak from then on, so that some speak at any moment.
    loads = farm.load("tcp", V4, 300, rate=150), farm.load("udp", V6, 150, rate=75)
    for load in loads:
        began = load.wait_connected()
        assert set(began["members"]) == set(farm.members), began
    flooded = Flooded(farm.other, face, *(member.mac for member in farm.members.values()))
    sources, faces = (Sources(farm.fleet.switch, [*farm.fleet.hosts, "far", "other"], mac) for mac in (guest.mac, face))
    time.sleep(2.5)
    mine = [load.status()["members"]["g1"]["open"] for load in loads]
    for target, pause in (("kvm2", 0), ("kvm1", 1.5)):
        began = time.monotonic()
        took = move(guest, farm.host(target), pause)
        assert took["pause"] > pause
        time.sleep(4.5)
        for load, count in zip(loads, mine):
            status = load.status()
            unbroken(status)
            assert status["members"]["g1"]["open"] == count, status
            print(f"to {target}, anchor {anchor}: pause {took['pause'] * 1000:.0f} ms, slowest answer "
                  f"{status['slowest_ms']:.0f} ms, {status['lost']} datagrams lost, {time.monotonic() - began:.1f} s")
        farm.wait_live("up")
        shown = {name: next(m for m in farm.show(host=name)["members"] if m["address"] == guest.mac)
                 for name in farm.fleet.hosts}
        assert {m["host"] for m in shown.values()} == {target}, shown
        assert shown[target]["port"] and shown[anchor]["flows"] > 0, shown
        # New flows come to it there.
        more = farm.load("tcp", V6, 60)
        assert more.wait_connected()["members"]["g1"]["open"] > 5
        more.end()
    assert [port for _, port in sources.end()] == ["kvm1", "kvm2", "kvm1"]
    assert {port for _, port in faces.end()} <= {anchor}
    for load in loads:
        status = load.end()
        unbroken(status)
        # Those that it answered after more than a second, and what waited in a tap that nobody reads any more.
        assert status["lost"] <= mine[1] + 30, status
    assert len(flooded.end()) < 20, len(flooded.frames)


@pytest.mark.soak
def test_a_member_migrates_among_ten_thousand_flows(farm):
    """Of which it has one in thirty; there and back, and none breaks, its own or others'."""
    farm.client.sh("sysctl -qw net.ipv4.ip_local_port_range='1024 65535'")
    for name in farm.nginx:
        farm.host("kvm1").vmac("cluster", "member", "weight", "web", farm.members[name].mac, 15)
    time.sleep(2)
    load = farm.load("tcp", V4, 10000, rate=2500)
    mine = load.wait_connected(60)["members"]["g1"]["open"]
    assert 200 < mine < 500, mine
    for target in ("kvm2", "kvm1"):
        took = move(farm.guest, farm.host(target))
        status = load.settle(2)
        unbroken(status)
        assert status["open"] == 10000 and status["members"]["g1"]["open"] == mine, status
        print(f"to {target}: pause {took['pause'] * 1000:.0f} ms, slowest answer {status['slowest_ms']:.0f} ms")
    unbroken(load.end())
    for name in farm.nginx:
        farm.host("kvm1").vmac("cluster", "member", "weight", "web", farm.members[name].mac, 1)


# --- the web ---------------------------------------------------------------------------------------------

def fetch(client, address, path, seconds=10):
    """What a server gives, whole; each time by a connection of its own."""
    with contextlib.closing(client.socket(*((10, 1) if ":" in address else (2, 1)))) as connection:
        connection.settimeout(seconds)
        connection.connect((address, 80))
        connection.sendall(f"GET /{path} HTTP/1.0\r\nHost: web\r\n\r\n".encode())
        text = b""
        while data := connection.recv(65536):
            text += data
    head, _, body = text.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


class Readers:
    """Fetch the blob again and again, and look at every octet of it."""

    def __init__(self, client, count=4):
        self.client, self.whole, self.wrong, self.failed = client, 0, [], []
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._read, args=(V6 if i % 2 else V4,)) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def _read(self, address):
        while not self.ending.is_set():
            try:
                status, body = fetch(self.client, address, "blob")
            except OSError as problem:
                self.failed.append(problem)
                continue
            if (status, body) == (200, BLOB):
                self.whole += 1
            else:
                self.wrong.append((status, len(body)))

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()
        return self


def wrk(client, address, path, connections, seconds):
    """Begins `wrk`; the function that waits for its end returns (requests, errors by kind)."""
    host = f"[{address}]" if ":" in address else address
    process = client.start("wrk", "-t", 1, "-c", connections, "-d", f"{seconds}s", "--timeout", "10s", f"http://{host}/{path}",
                           stdout=subprocess.PIPE, text=True)

    def end():
        said = process.communicate(timeout=seconds + 30)[0]
        errors = dict.fromkeys(("connect", "read", "write", "timeout"), 0)
        errors.update({kind: int(count) for kind, count in re.findall(r"(connect|read|write|timeout) (\d+)", said)})
        found = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
        errors["status"] = int(found[1]) if found else 0
        return int(re.search(r"(\d+) requests in", said)[1]), errors
    return end


def who(farm, count=40):
    """Which members the next connections meet."""
    try:
        return {fetch(farm.client, V4 if i % 2 else V6, "who")[1].decode().strip() for i in range(count)}
    except OSError as problem:
        logs = [f"{host.name}: {line}" for host in farm.fleet.hosts.values() for line in host.daemon.tail(12).splitlines()]
        raise AssertionError(f"{problem}; {farm.live()}; {logs}") from problem


def state(farm, name):
    """(live, what its check said) of a member, by its own host."""
    member = farm.members[name]
    return next((m["live"], m["detail"]) for m in farm.show(host=member.host.name)["members"] if m["address"] == member.mac)


def health(farm):
    """What the hosts' logs say that checks made of the members, so far."""
    return {f"{host.name}: {line}" for host in farm.fleet.hosts.values() for line in host.daemon.log.read_text().splitlines()
            if "health of" in line}


def test_web_servers_under_load(farm):
    """nginx and a guest's web server: many connections at once, every octet is right, each member is met."""
    before = health(farm)
    readers = Readers(farm.client)
    four, six = wrk(farm.client, V4, "who", 200, 4), wrk(farm.client, V6, "blob", 20, 4)
    results = [four(), six()]
    readers.end()
    print(f"wrk: {results}; {readers.whole} blobs whole")
    for requests, errors in results:
        assert requests > 100 and set(errors.values()) == {0}, (results, health(farm) - before)
    assert readers.whole > 10 and not readers.wrong and not readers.failed, (readers.whole, readers.wrong, readers.failed)
    assert who(farm) == set(farm.members)


def test_a_web_server_stops(farm):
    """By its check's status, and by its end: it gets nothing more, the others serve on, and it comes back."""
    name, nginx = next(iter(farm.nginx.items()))
    # It says itself that it is not well, and serves on.
    nginx.health.unlink()
    farm.wait_live({name: "down"})
    assert "404" in state(farm, name)[1], state(farm, name)
    assert who(farm) == set(farm.members) - {name}
    nginx.health.write_text("well\n")
    farm.wait_live("up")
    assert name in who(farm)
    # It ends under load: what it had is lost, and nothing else.
    ended = wrk(farm.client, V4, "who", 100, 6)
    time.sleep(1)
    nginx.stop()
    farm.wait_live({name: "down"})
    assert "connect" in state(farm, name)[1], state(farm, name)
    readers = Readers(farm.client, 2)
    print(f"wrk: {ended()}")
    time.sleep(1)
    readers.end()
    assert readers.whole and not readers.wrong and not readers.failed, (readers.whole, readers.wrong, readers.failed)
    assert who(farm) == set(farm.members) - {name}
    nginx.start()
    farm.wait_live("up")
    assert name in who(farm)


def test_health_by_tls():
    """A request by TLS, whatever name the certificate bears; a server that speaks none is not well."""
    with lab.Lab() as place:
        farm = Farm(place)
        nginx = {member.name: Nginx(member) for member in farm.spread(2)}
        farm.cluster("--check", "https", "--check-port", 443, "--check-path", "/health", "--check-interval", "1s",
                     "--check-timeout", "1s")
        farm.wait_live("up")
        name = next(iter(nginx))
        nginx[name].health.unlink()
        farm.wait_live({name: "down"})
        assert "404" in state(farm, name)[1], state(farm, name)
        nginx[name].health.write_text("well\n")
        farm.wait_live("up")
        farm.host("kvm1").vmac("cluster", "set", "web", "--check-port", 80)
        farm.wait_live("down")
        assert "SSL" in state(farm, name)[1], state(farm, name)
