"""Whatever ends a router: what it made in the kernel and in files is gone, but for what is to stay."""
import json
import re
import sys

import pytest

import lab
import routers
import wire
from routers import DUAL

pytestmark = pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "-")

# Programs that are attached to a link directly (tcx) and not as filters of tc, which is how newer kernels have it.
TCX = """
import ctypes, json, os, platform, socket
number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
libc, found = ctypes.CDLL(None, use_errno=True), {}
for index, name in socket.if_nameindex():
    for side, kind in (("ingress", 46), ("egress", 47)):
        ids, ask = (ctypes.c_uint32 * 64)(), (ctypes.c_uint32 * 16)()
        ask[0], ask[1], ask[6] = index, kind, 64
        ctypes.cast(ctypes.byref(ask, 16), ctypes.POINTER(ctypes.c_uint64))[0] = ctypes.addressof(ids)
        if libc.syscall(number, 16, ask, ctypes.sizeof(ask)) == 0 and ask[6]:
            found[f"{name} {side}"] = ask[6]
print(json.dumps(found))
"""


def traces(host):
    """What may be left: by kind, in the words of whoever shows it."""
    ns, pins = host.ns, lab.BPFFS / host.daemon.instance
    shown = {kind: ns.run(*command.split(), check=False).stdout for kind, command in {
        "links": "ip -d -o link", "addresses": "ip -o addr", "groups": "ip maddr", "qdiscs": "tc qdisc",
        "entries of NICs": "bridge fdb", "rules": "ip rule", "routes": "ip route show table all",
        "routes of IPv6": "ip -6 route show table all", "firewall": "nft list ruleset"}.items()}
    # Each start loads the programs anew and puts them in the place of the others: their numbers say nothing.
    shown["filters"] = re.sub(r":\[\d+\]| id \d+", "", ns.sh("for link in $(ip -o link | cut -d: -f2 | cut -d@ -f1); do for side in ingress egress; do "
                             "tc filter show dev $link $side 2>/dev/null || true; done; done").stdout)
    shown["programs"] = json.loads(ns.run(sys.executable, "-c", TCX).stdout)
    shown["tunables"] = set(ns.sh("cd /proc/sys/net; grep -s . ipv4/conf/*/* ipv6/conf/*/* ipv4/neigh/*/* ipv6/neigh/*/* "
                                  "ipv4/ip_forward core/* || true").stdout.splitlines())
    shown["pins"] = {str(path.relative_to(pins)) for path in pins.rglob("*")} if pins.exists() else None
    shown["files"] = {path.name for path in host.daemon.state.rglob("*")}
    journal = host.daemon.state / "tunables"
    shown["owed"] = journal.read_text().splitlines()[1:] if journal.exists() else []
    return shown


def differences(before, after):
    """What is not as it was, kind by kind: only what differs."""
    found = {}
    for kind, was in before.items():
        now = after[kind]
        if now != was:
            both = [set(x.splitlines() if isinstance(x, str) else x or ()) for x in (was, now)]
            found[kind] = {"gone": sorted(both[0] - both[1]), "new": sorted(both[1] - both[0])}
    return found


# Below the instance's directory of pins: what a data plane is, of which there is one however many routers there are.
MAPS = {"claims", "clock_word", "cluster_confs", "cluster_counts", "cluster_ips", "cluster_member_counts",
        "cluster_members", "cluster_rows", "clusters", "counters", "drops", "events", "fdb", "fdb_near",
        "flows", "gates", "heads", "index_far", "index_near", "member_links", "members", "nat_jobs", "nat_parts",
        "police", "port_clusters", "router_counts", "router_ips", "router_maybe", "router_slots", "routers",
        "rows", "tunnel", "tunnel_nets", "tunnel_peers", "tunnel_vnis", "uplink_macs"}
PLANE = {"links", "maps7", *(f"maps7/{name}" for name in MAPS)}


@pytest.mark.parametrize("end", ["stop", "delete", "kill-start-stop", "kill-purge"])
def test_nothing_is_left_behind(end):
    with lab.Lab() as place:
        lan = wire.Lan(place, "r1", "c1")
        host = routers.Host(lan, "r1")
        if end != "kill-purge":  # which is for everything
            host.vmac("segment", "add", "lan", "--uplink", "eth0")
            host.vmac("pool", "add", "p", "--segment", "lan")
            host.vmac("port", "add", "p1", "--kind", "veth", "--netns", lan["c1"].path, "--peer-ifname", "p1")
            host.daemon.wait_port("p1")
        running = traces(host)
        host.stop()
        stopped = traces(host)
        # Without any router: a station's port goes on forwarding, so all that does it stays.
        assert not differences({**running, "files": 0}, {**stopped, "files": 0})
        assert stopped["pins"] >= PLANE
        ports = stopped["pins"] - PLANE
        assert all(pin.startswith("links/") for pin in ports) and bool(ports) == (end != "kill-purge"), ports

        host.start()
        host.add("--accept", "--interval", "100ms", *DUAL)
        host.wait("active")
        during = traces(host)
        changed = differences(running, during)
        # All of these are a router's, so finding them again as they were says something.
        assert set(changed) >= {"links", "addresses", "groups", "entries of NICs", "routes", "tunables", "pins", "owed"}, changed
        assert len(changed["pins"]["new"]) == 2 and {"programs", "filters"} & set(changed)
        if end == "stop":
            host.stop()
        elif end == "delete":
            host.vmac("router", "delete", "gw")
            try:
                lab.wait_for("it is gone", lambda: not differences({**running, "files": 0}, {**traces(host), "files": 0}), 10, 0.2)
            except lab.LabError as problem:
                raise lab.LabError(f"{problem}: {differences(running, traces(host))}") from None
            host.stop()
        elif end == "kill-start-stop":
            host.kill()
            assert host.devices() and traces(host)["owed"] == during["owed"]
            host.start()
            host.wait("active")
            host.stop()
        else:
            host.kill()
            assert host.devices()
            host.ns.run(*host.daemon.argv("--purge"))
            assert traces(host)["pins"] is None
            stopped["pins"] = None
            stopped["files"] |= {"registry.db-wal", "registry.db-shm"}  # SQLite's, which it takes up at its next start
        after = traces(host)
        assert not differences(stopped, after)
        assert after["owed"] == [] and after["files"] >= {"lock", "registry.db", "tunables"}
