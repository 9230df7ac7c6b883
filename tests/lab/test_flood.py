"""Garbage at 100,000 frames a second on every port and protocol of the elections: nothing moves, all of it is counted.

Not beside other tests: the machine is to be the flood's and the routers' alone."""
import json
import os
import pathlib
import re
import subprocess
import time
import typing

import pytest

import lab
import routers
from routers import V4

pytestmark = [pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "-"), pytest.mark.alone]
RATE, SECONDS = 100_000, 10
OURS = ("vrrp", "carp", "hsrp", "vrrp6", "hsrp6")
ENOUGH = 0.9 * RATE


def cpu_seconds(process):
    """User and system time of a process so far."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def dropped_by_the_machine(lan):
    """Frames that the kernel dropped on their way because a processor's backlog was full, or a link did not take them.
    (A link with macvlans on it counts a copy that one of them did not get as dropped, so those of the routers say nothing.)"""
    lines = pathlib.Path("/proc/net/softnet_stat").read_text().splitlines()
    dropped = sum(int(line.split()[1], 16) for line in lines)
    for ns in (lan.switch, lan["a1"], lan["c1"]):
        for link in json.loads(ns.run("ip", "-j", "-s", "link").stdout):
            dropped += sum(link["stats64"][way]["dropped"] for way in ("rx", "tx"))
    return dropped


class Counted(typing.NamedTuple):
    overflowed: int
    verdicts: dict  # of frames that were refused


def counted(host):
    """Of links and routers together."""
    api = host.daemon.api()
    text = api.get("/metrics")
    api.close()
    verdicts = {}
    for name, number in re.findall(r'^vmac_(?:router|election_frames)_refused_total\{.*?(?:verdict|reason)="(\w+)"\} (\d+)$',
                                   text, re.M):
        verdicts[name] = verdicts.get(name, 0) + int(number)
    overflowed = re.findall(r"^vmac_election_frames_overflowed_total\{.*\} (\d+)$", text, re.M)
    assert overflowed
    return Counted(sum(map(int, overflowed)), verdicts)


def flood(twins, seconds, kinds, meanwhile):
    """The adversary at a1 sends, and meanwhile() is called now and then: his report."""
    dropped = dropped_by_the_machine(twins.lan)
    process = twins.lan["a1"].start(lab.binary("flood"), "eth0", RATE, seconds, *kinds, stdout=subprocess.PIPE)
    while process.poll() is None:
        meanwhile()
        time.sleep(0.2)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    report = json.loads(out)
    report["dropped"] = dropped_by_the_machine(twins.lan) - dropped
    return report


def lost_at(twins, seconds, kinds, meanwhile):
    """Of 1,000 datagrams a second to the virtual address: how many a flood costs; and its report."""
    with routers.served(twins, [V4], "r1") as served:
        report = flood(twins, seconds, kinds, meanwhile)
        served.wait_at("r1")
    served.stop()
    assert served.twice == [0]
    return served.lost[0], report


@pytest.fixture(name="place")
def _place():
    with lab.Lab() as place:
        yield place


def test_a_flood_of_garbage(place):
    twins = routers.Twins(place, more=("a1",))
    hosts = (twins.r1, twins.r2)
    # Every protocol listens, so that nothing is thrown away before it is looked at.
    groups = {"gw": ("vrrp3", 7, f"{V4}/24"), "six": ("vrrp3", 7, "fe80::9:100/64"),
              "hsrp": ("hsrp2", 9, "10.9.0.101/24"), "hsrp6": ("hsrp2", 9, "fe80::9:101/64")}
    for host, priority in zip(hosts, (150, 100)):
        for name, (protocol, group, address) in groups.items():
            host.add("--priority", priority, "--preempt", "--accept", "--interval", "200ms", "--address", address,
                     name=name, protocol=protocol, group=group)
    for name, (protocol, _, _) in groups.items():
        twins.r1.wait("active", name=name)
        twins.r2.wait("standby" if protocol == "hsrp2" else "backup", name=name)

    def histories():
        return [[host.history(name) for name in groups] for host in hosts]

    settled, slowest, apis = histories(), [0.0], [host.daemon.api() for host in hosts]

    def ask():
        for api in apis:
            at = time.monotonic()
            assert api.get("/v1/routers/gw")["live"]["state"]
            slowest[0] = max(slowest[0], time.monotonic() - at)

    # What this machine loses of the traffic while it carries as many frames that are nobody's.
    by_machine, control = lost_at(twins, 3, ("other", "other6"), lambda: None)
    print(f"control: {control}; {by_machine} datagrams lost")

    before, lines = [counted(host) for host in hosts], [host.log_lines() for host in hosts]
    cpu = [cpu_seconds(host.daemon.process) for host in hosts]
    lost, report = lost_at(twins, SECONDS, OURS, ask)
    cpu = [(cpu_seconds(host.daemon.process) - was) / report["seconds"] for host, was in zip(hosts, cpu)]
    after = [counted(host) for host in hosts]
    print(f"flood: {report}; {lost} datagrams lost; vmacd took {', '.join(f'{100 * share:.0f} %' for share in cpu)} of a "
          f"processor; the slowest answer took {slowest[0]:.3f} s; {after}")

    assert histories() == settled, "an election moved"
    assert twins.actives() == ["r1"]
    assert lost <= max(by_machine, report["dropped"])
    assert slowest[0] < 1, f"the API took {slowest[0]:.2f} s"
    for host, was, now, share, line in zip(hosts, before, after, cpu, lines):
        refused = {verdict: n - was.verdicts.get(verdict, 0) for verdict, n in now.verdicts.items()}
        overflowed = now.overflowed - was.overflowed
        assert report["sent"] - report["dropped"] <= sum(refused.values()) + overflowed <= report["sent"], (
            report, sum(refused.values()), overflowed)
        assert set(refused) >= {"version", "truncated", "malformed", "checksum", "type"}, refused
        assert all(host.live(name)["counters"]["late"] == 0 for name in groups)
        assert host.log_lines() - line <= 20
        # Each frame waking it up took three quarters of a processor for the half of that rate.
        assert share < 0.5, f"vmacd took {100 * share:.0f} % of a processor"
    for api in apis:
        api.close()
    assert twins.lan["c1"].ping(V4, 1) == 1
    # All of that holds at any rate; but it is this one that is promised.
    if report["rate"] < ENOUGH:
        pytest.skip(f"all is well, but this machine is too slow: it sends {report['rate']:.0f} of {RATE} frames a second")
