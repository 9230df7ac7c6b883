"""The registry tool: a host's own registry and the shared one, looked at, exported, filled and copied.  What needs
a shared registry runs against a real etcd in namespaces of its own."""
import contextlib
import json
import pathlib
import re
import stat
import subprocess
import time

import pytest

import etcd as etcdlib
import lab as lablib

needs_etcd = pytest.mark.skipif(bool(etcdlib.missing()), reason=etcdlib.missing() or "-")
PREFIX = "/vmac-t/"
A, B = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"


def module():
    tool = pathlib.Path(lablib.binary("registry-tool"))
    return str(tool.parent.parent / "store" / "libvmac_etcd.so")


@contextlib.contextmanager
def daemon(directory):
    """vmacd without a data plane, on the registry in `directory`; gives a function that runs vmac."""
    socket, config = directory / "sock", directory / "vmacd.yaml"
    config.write_text("{}\n")
    process = subprocess.Popen([lablib.binary("vmacd"), "--no-plane", "--config", config, "--state-dir", directory,
                                "--socket", socket], stderr=subprocess.PIPE, text=True)

    def vmac(*arguments):
        done = subprocess.run([lablib.binary("vmac"), *arguments, "--socket", socket], capture_output=True, text=True,
                              timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        deadline = time.monotonic() + 10
        while not socket.exists():
            assert process.poll() is None and time.monotonic() < deadline, "vmacd does not start"
            time.sleep(0.02)
        yield vmac
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()


def tool(*arguments, state=None, e=None, expect=0):
    argv = [lablib.binary("registry-tool"), "--config", "/dev/null"]
    argv += ["--state-dir", str(state)] if state else []
    for endpoint in e.endpoints() if e else []:
        argv += ["--endpoint", endpoint]
    argv += ["--prefix", PREFIX] if e else []
    argv += list(map(str, arguments))
    if e:
        done = e.hub.run("env", f"VMAC_ETCD_MODULE={module()}", *argv, check=False)
    else:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert expect is None or done.returncode == expect, (done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


@pytest.fixture
def host(tmp_path):
    """A state directory with something of everything."""
    state = tmp_path / "host"
    state.mkdir()
    with daemon(state) as vmac:
        vmac("segment", "add", "lan")
        vmac("segment", "add", "dmz")
        vmac("pool", "add", "p", "--segment", "lan", "--range", "12:00:00:00:00:00..12:00:00:00:ff:ff")
        for i in range(20):
            vmac("mac", "add", "--segment", "lan", "--name", f"n{i}", "--owner", f"vm {i}", "--ip", f"192.0.2.{i + 1}")
        vmac("mac", "release", "n19", "--segment", "lan")
        vmac("mac", "add", "--segment", "lan", "--address", "12:00:00:00:12:34", "--name", "pinned")
        vmac("mac", "add", "--segment", "dmz", "--address", "06:00:00:00:00:01", "--name", "outside", "--note", "ä")
    return state


@pytest.fixture
def e():
    with lablib.Lab() as made:
        yield etcdlib.Etcd(made)


def empty(tmp_path, name):
    directory = tmp_path / name
    directory.mkdir()
    return directory


# --- a host's own ---

def test_export_and_import_lose_nothing(host, tmp_path):
    first, second, other = tmp_path / "first.json", tmp_path / "second.json", empty(tmp_path, "other")
    tool("export", first, state=host)
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    document = json.loads(first.read_text())
    assert document["registry"] == "own" and "keep this file" in document["secrets"]
    assert [s["name"] for s in document["segments"]] == ["lan", "dmz"]
    assert len(document["vmacs"]) == 22
    assert len(document["pools"][0]["key"]) == 32
    tool("import", first, state=other)
    tool("export", second, state=other)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_text() == tool("export", state=other), "standard output has the same"
    # And vmacd takes it.
    with daemon(other) as vmac:
        shown = json.loads(vmac("mac", "list", "--json"))
        assert "outside" in json.dumps(shown) and "192.0.2.7" in json.dumps(shown)
        assert "import" in vmac("mac", "history", "pinned", "--segment", "lan")


def test_import_wants_an_empty_registry_and_a_true_document(host, tmp_path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    tool("export", good, state=host)
    assert "not empty" in tool("import", good, state=host, expect=4)
    document = json.loads(good.read_text())

    def refused(change, word, code=2):
        spoilt = json.loads(json.dumps(document))
        change(spoilt)
        bad.write_text(json.dumps(spoilt))
        state = empty(tmp_path, f"s{time.monotonic_ns()}")
        assert word in tool("import", bad, state=state, expect=code)
        assert json.loads(tool("export", state=state))["vmacs"] == [], "nothing is half-imported"

    refused(lambda d: d["vmacs"][3].pop("epoch"), "'epoch' is missing")
    refused(lambda d: d["vmacs"][3].update(state="here"), "'state'")
    refused(lambda d: d["vmacs"][3].update(address="12:00"), "'address'")
    refused(lambda d: d["vmacs"][3].update(segment=9), "segment that is not there", 8)
    refused(lambda d: d["vmacs"][3].update(address=d["vmacs"][4]["address"]), "there twice", 8)
    refused(lambda d: d["pools"][0].update(key="00"), "'key'")
    refused(lambda d: d["pools"][0].update(id=0), "'id'")
    refused(lambda d: d.pop("routers"), "'routers' is missing")
    refused(lambda d: d.update(format=2), "format", 8)
    refused(lambda d: d.update(registry="shared"), "own registry")
    bad.write_text("{")
    assert "JSON" in tool("import", bad, state=empty(tmp_path, "x"), expect=2)
    tool("import", tmp_path / "nowhere", state=empty(tmp_path, "y"), expect=3)


def test_clusters_go_with_the_rest(host, tmp_path):
    path, again = tmp_path / "export.json", tmp_path / "again.json"
    tool("export", path, state=host)
    document = json.loads(path.read_text())
    assert document["clusters"] == []
    _, value = cluster(faces=["0a:00:00:00:00:01", "0a:00:00:00:00:02"])
    value.pop("segment")
    document["clusters"] = [{**value, "id": 3, "segment_id": document["segments"][0]["id"], "created": 9}]
    path.write_text(json.dumps(document))
    other = empty(tmp_path, "other")
    tool("import", path, state=other)
    tool("export", again, state=other)
    assert json.loads(again.read_text()) == document

    def refused(word, code=2, **change):
        path.write_text(json.dumps({**document, "clusters": [{**document["clusters"][0], **change}]}))
        assert word in tool("import", path, state=empty(tmp_path, f"s{time.monotonic_ns()}"), expect=code)

    refused("'id' or 'segment_id'", id=0)
    refused("'id' or 'segment_id'", segment_id="x")
    refused("segment that is not there", 8, segment_id=9)
    refused("1. of 'clusters': 'rise'", rise=0)
    refused("'members'", members=7)
    twice = [document["clusters"][0], {**document["clusters"][0], "id": 4, "name": "other"}]
    path.write_text(json.dumps({**document, "clusters": twice}))
    assert "face of another" in tool("import", path, state=empty(tmp_path, "twice"), expect=8)
    # An export from before there were clusters.
    document.pop("clusters")
    path.write_text(json.dumps(document))
    tool("import", path, state=empty(tmp_path, "older"))


def test_it_keeps_off_a_registry_in_use(host):
    with daemon(host):
        assert "stop vmacd" in tool("export", state=host, expect=4)


def test_wrong_usage():
    for arguments in ((), ("look",), ("copy",), ("copy", "--to", "moon"), ("import",), ("check",), ("--what",),
                      ("export", "a", "b"), ("export", "--shared")):
        assert "hint" in tool(*arguments, expect=2)
    assert "usage:" in tool("--help")


# --- check, on an export: what each finding needs ---

def records(*pairs):
    return {"format": 1, "registry": "shared",
            "records": [{"key": key, "revision": 5, "value": value} for key, value in pairs]}


def meta():
    return "meta", {"format": 1, "cluster": A}


def a_host(uuid=A, number=1, name="kvm1", **more):
    return f"host/{uuid}", {"uuid": uuid, "number": number, "state": "active", "name": name, "address": "",
                            "tunnel_port": 14789, "version": "1", "incarnation": 1, "fenced_by": "", **more}


def segment(name="lan", number=1):
    return f"segment/{name}", {"name": name, "vlan": 0, "number": number}


def pool(name="p", block_size=256, ranges=("12:00:00:00:00:00..12:00:00:00:ff:ff",), **more):
    return f"pool/{name}", {"name": name, "segment": "lan", "ranges": list(ranges), "excludes": [],
                            "key": "00112233445566778899aabbccddeeff", "quarantine_ms": 0, "limit": 0,
                            "block_size": block_size, **more}


def block(number=0, host=A, name="p"):
    return f"block/{name}/{number:016x}", {"pool": name, "number": number, "host": host, "request": ""}


def vmac(address="12:00:00:00:00:01", **more):
    return f"vmac/lan/{address}", {"segment": "lan", "address": address, "state": "held", "kind": "station",
                                   "origin": "pinned", "epoch": 1, "holder": A, "to": "", "move": "", "request": "",
                                   "lifetime_ms": 0, "quarantine_ms": 0, "pool": "", "name": "", "owner": "",
                                   "tenant": "", "note": "", "ips": [], "ttl_ms": 0, **more}


def held(address, state="reserved", epoch=1):
    return {"address": address, "state": state, "kind": "station", "origin": "allocated", "epoch": epoch,
            "created": 0, "changed": 0}


def image(number=0, host=A, name="p", vmacs=()):
    return f"image/{name}/{number:016x}", {"pool": name, "segment": "lan", "number": number, "host": host,
                                           "vmacs": list(vmacs)}


def ask(host=A, **more):
    return "ask/lan/12:00:00:00:00:01", {"segment": "lan", "address": "12:00:00:00:00:01", "why": "claim",
                                         "host": host, "move": "", "lifetime_ms": 1000, "refused": "", **more}


def cluster(name="web", segment="lan", faces=("0a:00:00:00:00:01",), addresses=("10.0.0.100",),
            members=("12:00:00:00:00:01",), **more):
    return f"cluster/{name}", {"name": name, "mode": "director", "table": "maglev", "affinity": "single", "nat": True,
                               "key": "00112233445566778899aabbccddeeff", "check": "arp", "check_port": 0,
                               "check_interval_ms": 2000, "check_timeout_ms": 1000, "check_path": "", "rise": 2,
                               "fall": 3, "note": "", "generation": 7, "changed": 5, "segment": segment,
                               "faces": list(faces), "addresses": list(addresses),
                               "rules": [{"action": "priority", "match": "tcp/80"}],
                               "members": [{"id": i + 1, "address": m, "weight": 10, "priority": 1, "state": "active"}
                                           for i, m in enumerate(members)], **more}


GOOD = [meta(), a_host(), segment(), pool(), block(), vmac()]
FINDINGS = {
    "nothing says of which cluster": [a_host()],
    "has the number 1, and so has": [*GOOD, a_host(B, 1, "kvm2")],
    "another host's too": [*GOOD, a_host(B, 2, "kvm1")],
    "nobody vouches": [meta(), a_host(state="dead")],
    "and so has segment": [*GOOD, segment("dmz", 1)],
    "its segment lan is not there": [meta(), a_host(), pool()],
    "blocks have 128 numbers": [meta(), a_host(), segment(), pool(block_size=128)],
    "overlap those of pool p": [*GOOD, pool("q", 1, ["12:00:00:00:00:10..12:00:00:00:00:1f"])],
    "its pool is not there; repair: delete": [*GOOD, block(0, A, "r")],
    "behind the end of its pool": [*GOOD, block(256)],
    "and has nothing in it; repair: delete": [*GOOD, block(1, B)],
    "and has vMACs in it; repair: an operator": [*GOOD, block(1, B), image(1, B, vmacs=[held("12:00:00:00:77:77")])],
    "its holder bbbb": [*GOOD, vmac("12:00:00:00:00:02", holder=B)],
    "moves to (none)": [*GOOD, vmac("12:00:00:00:00:02", state="moving", lifetime_ms=5)],
    "reservation lives for": [*GOOD, vmac("12:00:00:00:00:02", state="moving", to=A)],
    "and yet reserved": [*GOOD, vmac("12:00:00:00:00:02", to=A)],
    "a group address": [*GOOD, vmac("13:00:00:00:00:02")],
    "its pool nowhere is not there": [*GOOD, vmac("12:00:00:00:00:02", pool="nowhere")],
    "who is not known; repair: delete": [*GOOD, ask(B)],
    "whoever asks has it already; repair: delete": [*GOOD, ask()],
    "longer than any may": [*GOOD, a_host(B, 2, "kvm2"), ask(B, lifetime_ms=86400001)],
    "orphaned; repair: delete": [*GOOD, ("identity/p/eA", {"pool": "p", "identity": "x", "host": A, "request": "",
                                                            "address": "12:00:00:00:00:09"})],
    "is not of its pool": [*GOOD, image(vmacs=[held("16:00:00:00:00:09")])],
    "nobody has its block": [*GOOD, image(9)],
    "and the block is kvm1's": [*GOOD, a_host(B, 2, "kvm2"), image(host=B)],
    "not of this one": [*GOOD, block(1), block(2), *(image(n, vmacs=[held(f"12:00:00:00:00:{n + 16:02x}")])
                                                     for n in range(3))],
    "stands in image/": [*GOOD, block(1), image(0, vmacs=[held("12:00:00:00:00:44")]),
                         image(1, vmacs=[held("12:00:00:00:00:44")])],
    "is held by kvm2 here at epoch 7": [*GOOD, a_host(B, 2, "kvm2"), block(1, B),
                                        image(1, B, vmacs=[held("12:00:00:00:00:01", epoch=7)])],
    "is away at epoch 7": [*GOOD, image(0, vmacs=[held("12:00:00:00:00:01", "away", 7)])],
    "its segment dmz is not there": [*GOOD, cluster(segment="dmz")],
    "its face 0a:00:00:00:00:01 is cluster a's too": [*GOOD, cluster("a", addresses=["10.0.0.1"]), cluster("b")],
    "its address 10.0.0.100 is cluster a's too": [*GOOD, cluster("a", faces=["0a:00:00:00:00:02"]), cluster("b")],
    "its face 12:00:00:00:00:01 is a station's vMAC": [*GOOD, cluster(faces=["12:00:00:00:00:01"], members=[])],
    "nobody has its member 12:00:00:00:00:09": [*GOOD, cluster(members=["12:00:00:00:00:09"])],
    "its member 12:00:00:00:00:01 is in segment lan": [*GOOD, segment("dmz", 2), cluster(segment="dmz")],
    "is no station but a cluster's vMAC": [*GOOD, vmac("0a:00:00:00:00:01", kind="cluster"),
                                           vmac("12:00:00:00:00:02", kind="cluster"),
                                           cluster(members=["12:00:00:00:00:02"])],
    "face, and no cluster has it": [*GOOD, vmac("0a:00:00:00:00:02", kind="cluster"), cluster()],
    "a host that is not known; repair: delete": [*GOOD, (f"alive/{B}", {"host": B, "incarnation": 1})],
}


@pytest.mark.parametrize("what", FINDINGS)
def test_check_finds(what, tmp_path):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(records(*FINDINGS[what])))
    assert what in tool("check", "--from", path, expect=8)


def test_check_finds_nothing_where_nothing_is(tmp_path):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(records(*GOOD)))
    assert tool("check", "--from", path) == "6 records, 0 findings\n"
    # A member of an image; a face whose anchor was forgotten.
    path.write_text(json.dumps(records(*GOOD, image(vmacs=[held("12:00:00:00:00:44")]), cluster(
        members=["12:00:00:00:00:01", "12:00:00:00:00:44"]), vmac("0a:00:00:00:00:01", kind="cluster", holder=B))))
    out = tool("check", "--from", path, expect=None)
    assert "cluster" not in out and "0a:00" not in out, out
    path.write_text(json.dumps(records()))
    assert tool("check", "--from", path) == "0 records, 0 findings\n"


def test_the_documented_examples_are_what_is_written(tmp_path):
    text = (lablib.ROOT / "docs" / "registry.md").read_text()
    examples = re.findall(r"^```\n([a-z]+(?:/\S*)?)\n(\{.*\})\n```$", text, re.M)
    assert {key.split("/")[0] for key, _ in examples} == {"meta", "host", "alive", "segment", "pool", "block", "vmac",
                                                           "identity", "ask", "cluster", "image"}
    path = tmp_path / "export.json"
    path.write_text(json.dumps(records(*((key, json.loads(value)) for key, value in examples))))
    written = json.loads(tool("export", "--shared", "--from", path))["records"]
    assert {r["key"]: json.dumps(r["value"], separators=(",", ":")) for r in written} == dict(examples)


# --- with an etcd ---

@needs_etcd
def test_copy_there_and_back(host, e, tmp_path):
    out = tool("copy", "--to", "shared", "--host", "kvm1", state=host, e=e)
    assert "records written" in out
    assert "0 findings" in tool("check", e=e)
    document = json.loads(tool("export", "--shared", e=e))
    kinds = [r["key"].split("/")[0] for r in document["records"]]
    assert kinds.count("segment") == 2 and kinds.count("pool") == 1 and kinds.count("host") == 1
    assert kinds.count("vmac") == 2, "what was pinned has a record of its own"
    shown = {v["address"] for r in document["records"] if r["key"].startswith("image/") for v in r["value"]["vmacs"]}
    assert len(shown) == 21 and "12:00:00:00:12:34" in shown
    # Again: all is there, nothing is written.
    assert tool("copy", "--to", "shared", "--host", "kvm1", state=host, e=e).startswith("0 records")
    # A new disk.
    back = empty(tmp_path, "back")
    assert "2 segments, 1 pools, 22 vMACs" in tool("copy", "--to", "own", "--host", "kvm1", state=back, e=e)
    with daemon(back) as vmac_of:
        listed = vmac_of("mac", "list")
        assert "outside" in listed and "n7" in listed and "192.0.2.8" in listed
    assert "no host" in tool("copy", "--to", "own", "--host", "kvm9", state=empty(tmp_path, "nobody"), e=e, expect=3)


@needs_etcd
def test_contradictions_are_listed_and_nothing_is_written(host, e, tmp_path):
    other = empty(tmp_path, "other")
    with daemon(other) as vmac_of:
        vmac_of("segment", "add", "lan")
        vmac_of("pool", "add", "p", "--segment", "lan", "--range", "16:00:00:00:00:00..16:00:00:00:ff:ff")
        vmac_of("mac", "add", "--segment", "lan", "--address", "12:00:00:00:12:34")
    tool("copy", "--to", "shared", "--host", "kvm2", state=other, e=e)
    before = e.revision()
    out = tool("copy", "--to", "shared", "--host", "kvm2", state=host, e=e, expect=4)
    assert "pool/p: the pool is another one" in out
    assert "vmac/lan/12:00:00:00:12:34: another host holds it" in out
    assert "name is another host's" in out
    assert e.revision() == before


@needs_etcd
def test_export_import_and_repair(host, e, tmp_path):
    tool("copy", "--to", "shared", "--host", "kvm1", state=host, e=e)
    path = tmp_path / "shared.json"
    tool("export", "--shared", path, e=e)
    assert "already" in tool("import", "--shared", path, e=e, expect=4)
    e.ctl("del", "--prefix", PREFIX)
    tool("import", "--shared", path, e=e)
    again = json.loads(tool("export", "--shared", e=e))
    assert [(r["key"], r["value"]) for r in again["records"]] == \
           [(r["key"], r["value"]) for r in json.loads(path.read_text())["records"]]
    # What nobody has any more goes; what somebody has to decide stays.
    key, value = ask(B)
    e.ctl("put", PREFIX + "r/" + key, json.dumps(value))
    key, value = a_host(B, 1, "kvm2")
    e.ctl("put", PREFIX + "r/" + key, json.dumps(value))
    key, value = block(77, "cccccccc-0000-4000-8000-000000000003")
    e.ctl("put", PREFIX + "r/" + key, json.dumps(value))
    out = tool("check", e=e, expect=8)
    assert "2 findings" in out and "repaired" not in out
    out = tool("check", "--repair", e=e, expect=8)
    assert "2 findings, 1 repaired" in out
    out = tool("check", e=e, expect=8)
    assert "1 findings" in out and "number 1" in out


def asks(count):
    return [(f"ask/lan/12:00:00:00:{n >> 8:02x}:{n & 255:02x}",
             {**ask()[1], "address": f"12:00:00:00:{n >> 8:02x}:{n & 255:02x}"}) for n in range(count)]


@needs_etcd
def test_an_import_that_ends_in_between(host, e, tmp_path):
    """Killed under way: hosts and tools keep off, check says so, and the same file completes it."""
    path = tmp_path / "shared.json"
    path.write_text(json.dumps(records(*GOOD, *asks(20_000))))
    argv = [lablib.binary("registry-tool"), "--config", "/dev/null", "--prefix", PREFIX, "--endpoint", e.endpoints()[0],
            "import", "--shared", str(path)]
    process = e.hub.start("env", f"VMAC_ETCD_MODULE={module()}", *argv)
    count = lambda: e.json("get", "--prefix", PREFIX, "--keys-only", "--limit=1").get("count", 0)
    lablib.wait_for("a part is there", lambda: count() > 500, every=0.005)
    process.kill()
    process.wait(10)
    part = count()
    assert 500 < part < 20_006, "it was killed too late"
    found = json.loads(e.ctl("get", PREFIX + "r/meta", "--print-value-only").stdout)
    assert found["importing"] == 1
    assert "an import was begun and has not ended" in tool("check", e=e, expect=8)
    assert "repaired" in tool("check", "--repair", e=e, expect=8) and count() == part, "nothing that is there is lost"
    assert "has not ended" in tool("copy", "--to", "shared", "--host", "kvm9", state=host, e=e, expect=4)
    half = tmp_path / "half.json"
    tool("export", "--shared", half, e=e)
    assert "had not ended" in tool("import", "--shared", half, e=e, expect=2)
    # Another file is not what was begun.
    other = tmp_path / "other.json"
    other.write_text(json.dumps(records(*GOOD)))
    assert "are not of this file" in tool("import", "--shared", other, e=e, expect=4)
    changed = tmp_path / "changed.json"
    changed.write_text(path.read_text().replace('"why": "claim"', '"why": "prepare"'))
    assert "is another one in the file" in tool("import", "--shared", changed, e=e, expect=4)
    assert count() == part
    tool("import", "--shared", path, e=e)
    assert count() == 20_006
    assert "importing" not in json.loads(e.ctl("get", PREFIX + "r/meta", "--print-value-only").stdout)
    assert "already" in tool("import", "--shared", path, e=e, expect=4)


@needs_etcd
def test_an_import_that_finds_no_space(tmp_path):
    with lablib.Lab() as made:
        e = etcdlib.Etcd(made, options=["--quota-backend-bytes", str(16 << 20)])
        e.fill()
        path = tmp_path / "shared.json"
        path.write_text(json.dumps(records(*GOOD)))
        assert "space exceeded" in tool("import", "--shared", path, e=e, expect=8)
        e.make_space()
        tool("import", "--shared", path, e=e)
        assert "0 findings" in tool("check", e=e)


@needs_etcd
def test_an_import_wants_to_know_the_cluster(e, tmp_path):
    path = tmp_path / "shared.json"
    path.write_text(json.dumps(records(*GOOD[1:])))
    assert "no record 'meta'" in tool("import", "--shared", path, e=e, expect=2)
    assert e.json("get", "--prefix", PREFIX, "--keys-only", "--limit=1").get("count", 0) == 0


@needs_etcd
def test_the_configuration_says_where(host, e, tmp_path):
    config = tmp_path / "vmacd.yaml"
    config.write_text(f"state_dir: {host}\nhost:\n  name: kvm7\n  address: 10.0.0.7\nregistry:\n  shared:\n"
                      f"    endpoints: {json.dumps(e.endpoints())}\n    prefix: {PREFIX}\n")

    def run(*arguments):
        return e.hub.run("env", f"VMAC_ETCD_MODULE={module()}", lablib.binary("registry-tool"), "--config", config,
                         *arguments).stdout
    assert "for host kvm7" in run("copy", "--to", "shared")
    assert "0 findings" in run("check")
    shown = [r["value"] for r in json.loads(run("export", "--shared"))["records"] if r["key"].startswith("host/")]
    assert (shown[0]["name"], shown[0]["address"], shown[0]["tunnel_port"]) == ("kvm7", "10.0.0.7", 14789)


@needs_etcd
def test_out_of_reach(e):
    e.stop()
    assert "vmac registry: " in tool("check", e=e, expect=6)
