"""The life of a port on a real kernel: what a refusal, a deletion and the end of a lifetime leave behind."""
import http.client
import json
import os
import random
import threading
import time

import pytest

import lab

pytestmark = pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "-")


@pytest.fixture(name="daemon")
def _daemon():
    with lab.Lab() as place:
        daemon = place.daemon(place.netns("host"))
        daemon.vmac("segment", "add", "inside")
        daemon.vmac("pool", "add", "p", "--segment", "inside", "--quarantine", "1h")
        yield daemon


def has_link(daemon, ifname):
    return daemon.ns.run("ip", "link", "show", ifname, check=False).returncode == 0


@pytest.mark.parametrize("arguments, code", [
    (("--kind", "veth", "--netns", "nowhere"), 3),
    (("--kind", "netdev", "--ifname", "nothing0"), 3),
    (("--kind", "netdev", "--ifname", "taken"), 4),
    (("--kind", "tap", "--ifname", "taken"), 4),
    (("--kind", "tap", "--ifname", "far-too-long-for-a-link"), 2),
    (("--kind", "tap", "--queues", "257"), 2),
    (("--kind", "veth",), 2),
])
def test_a_refused_port_leaves_nothing(daemon, arguments, code):
    daemon.vmac("port", "add", "first", "--kind", "tap", "--ifname", "taken")
    before = daemon.vmacj("status")
    said = daemon.vmac("port", "add", "p1", *arguments, status=code)
    assert said.startswith("vmac: ")
    after = daemon.vmacj("status")
    for what in ("vmacs", "quarantined", "ports"):
        assert after[what] == before[what], what
    assert not has_link(daemon, "p1")


def test_the_end_of_a_lifetime_takes_the_port_along(daemon):
    daemon.vmac("port", "add", "brief", "--kind", "tap", "--ttl", "2s")
    held = daemon.port("brief")["vmac"]
    daemon.vmac("mac", "renew", "brief")
    assert has_link(daemon, "brief")
    lab.wait_for("the port is gone", lambda: not daemon.vmacj("port", "list")["items"])
    assert not has_link(daemon, "brief")
    assert daemon.vmacj("mac", "show", held)["state"] == "quarantined"
    assert "lifetime" in daemon.vmac("history", held)


@pytest.mark.parametrize("release, state", [((), "reserved"), (("--release",), "quarantined")])
def test_a_deleted_port_gives_its_address_back(daemon, release, state):
    daemon.vmac("port", "add", "p1", "--kind", "tap")
    held = daemon.port("p1")["vmac"]
    epoch = daemon.vmacj("mac", "show", held)["epoch"]
    daemon.vmac("mac", "release", held, status=4)
    daemon.vmac("port", "delete", "p1", *release)
    assert not has_link(daemon, "p1")
    shown = daemon.vmacj("mac", "show", held)
    assert shown["state"] == state and shown["epoch"] >= epoch


def test_one_station_is_embodied_by_one_port(daemon):
    daemon.vmac("mac", "add", "--name", "x")
    daemon.vmac("port", "add", "a", "--kind", "tap", "--mac", "x")
    daemon.vmac("port", "add", "b", "--kind", "tap", "--mac", "x", status=4)
    daemon.vmac("port", "delete", "a")
    daemon.vmac("port", "add", "b", "--kind", "tap", "--mac", "x")
    assert daemon.vmacj("mac", "show", "x")["port"] == "b"


def test_a_veth_comes_back_with_its_namespace(daemon):
    place = daemon.lab
    container = place.netns("ct")
    daemon.vmac("port", "add", "c1", "--kind", "veth", "--netns", container.path)
    daemon.ns.run("ip", "link", "delete", "c1")
    daemon.wait_port("c1")
    assert container.link_address("eth0") == daemon.port("c1")["vmac"]


def churn(socket, stop, number):
    """Adds and deletes ports until the daemon is gone."""
    api = lab.Api(socket)
    while not stop.is_set():
        for method, path, body in (("POST", "/v1/ports", {"name": f"k{number}", "kind": "tap"}),
                                   ("DELETE", f"/v1/ports/k{number}?release=true", None)):
            try:
                api.call(method, path, body)
            except lab.ApiError:
                pass
            except (OSError, http.client.HTTPException):
                return


def test_killed_in_the_middle_no_link_is_left_without_a_record(daemon):
    """Whatever moment the daemon dies at, after the next start there is a link for each port, and no other."""
    chance = random.Random(os.getpid())
    for _ in range(10):
        stop = threading.Event()
        workers = [threading.Thread(target=churn, args=(daemon.socket, stop, n)) for n in range(3)]
        for worker in workers:
            worker.start()
        time.sleep(chance.uniform(0.05, 0.4))
        daemon.kill()
        stop.set()
        for worker in workers:
            worker.join(10)
            assert not worker.is_alive()
        daemon.start()
        ports = {port["ifname"]: port for port in daemon.vmacj("port", "list")["items"]}
        links = {link["ifname"] for link in json.loads(daemon.ns.run("ip", "-j", "link").stdout)} - {"lo"}
        assert links == set(ports), (links, set(ports))
        assert all(port["phase"] == "active" for port in ports.values())
        bound = daemon.vmacj("mac", "list", "--state", "bound")["items"]
        assert {vmac["port"] for vmac in bound} == {port["name"] for port in ports.values()}
