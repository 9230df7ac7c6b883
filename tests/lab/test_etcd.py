"""The client of etcd (src/store/etcd*.c) against real members, whatever befalls them.  etcd-drive is the client as
a process: tests/unit/store/etcd_drive.c says what it understands."""
import base64
import collections
import contextlib
import json
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest

import etcd as etcdlib
import lab as lablib

pytestmark = pytest.mark.skipif(bool(etcdlib.missing()), reason=etcdlib.missing() or "-")
PREFIX = "/vmac-t/"


def program(name):
    """A program of tests/unit/store."""
    return str(pathlib.Path(lablib.binary("libvmac_etcd.so")).parents[2] / "tests" / "unit" / "store" / name)


class Drive:
    """One client.  `keys` is the world as it was told: {key: (revision, value)}."""

    def __init__(self, e, *options, endpoints=None, ns=None):
        self.argv = [program("etcd-drive"), ",".join(endpoints or e.endpoints()), *options]
        self.process = (ns or e.hub).start(*self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.keys, self.done, self.lines, self.completes, self.stale = {}, {}, [], [], []
        self.reached, self.reaches, self.closed, self.tellings = None, [], None, collections.Counter()
        self.newest = collections.Counter()
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self._hear(line.rstrip("\n"))
                self.changed.notify_all()

    def _hear(self, line):
        kind, _, rest = line.partition(" ")
        if kind == "told":
            key, revision, value = rest.split(" ", 2)
            if int(revision) < self.newest[key]:
                self.stale.append(line)
            self.newest[key] = int(revision)
            self.tellings[key, int(revision)] += 1
            self.keys[key] = int(revision), value
        elif kind == "gone":
            self.keys.pop(rest, None)
        elif kind == "complete":
            self.completes.append(int(rest))
        elif kind == "done":
            name, outcome, revision, *text = rest.split(" ", 3)
            assert name not in self.done, f"answered twice: {line}"
            self.done[name] = outcome, int(revision), "".join(text)
        elif kind == "reach":
            self.reached = rest == "ok"
            self.reaches.append(rest)
        else:
            self.lines.append(line)

    def say(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def wait(self, what, condition, seconds=15):
        with self.changed:
            if not self.changed.wait_for(condition, seconds):
                raise lablib.LabError(f"not within {seconds} s: {what}; reaches {self.reaches[-3:]}, "
                                      f"done {list(self.done.items())[-3:]}, lines {self.lines[-3:]}")
        return self

    def ready(self, count=1, seconds=15):
        return self.wait("complete", lambda: len(self.completes) >= count, seconds)

    def answer(self, name, seconds=15):
        self.wait(f"answer to {name}", lambda: name in self.done, seconds)
        return self.done[name]

    def put(self, name, key, revision, value, seconds=15, leased=False):
        self.say("lput" if leased else "put", name, key, revision, value)
        return self.answer(name, seconds)

    def facts(self):
        before = len(self.lines)
        self.say("facts")
        self.wait("facts", lambda: any(line.startswith("facts") for line in self.lines[before:]))
        line = [l for l in self.lines[before:] if l.startswith("facts")][-1]
        return dict(re.findall(r"(\w+)=(\S*)", line)) | {"error": line.partition(" error=")[2]}

    def memory_kib(self):
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.pid()}/status").read_text())[1])

    def pid(self):
        return self.process.pid

    def close(self):
        """How long the close took."""
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.say("close")
            self.process.wait(15)
        self.thread.join()
        line = next((l for l in self.lines if l.startswith("closed")), None)
        return float(line.split()[1]) if line else None


@pytest.fixture
def made():
    with lablib.Lab() as lab:
        yield lab


@pytest.fixture
def one(made):
    return etcdlib.Etcd(made)


@pytest.fixture
def three(made):
    return etcdlib.Etcd(made, members=3)


def content(e, prefix=PREFIX):
    """{key: (revision, value)} as etcdctl sees it."""
    answer = e.json("get", "--prefix", prefix)
    return {base64.b64decode(kv["key"]).decode().removeprefix(PREFIX):
            (kv["mod_revision"], base64.b64decode(kv.get("value", "")).decode()) for kv in answer.get("kvs", ())}


def agree(e, *drives, seconds=15):
    """All were told exactly what is in etcd, and nothing older after something newer."""
    wanted = content(e, PREFIX + "r/")
    for drive in drives:
        drive.wait("what etcd has was told", lambda d=drive: d.keys == wanted, seconds)
        assert not drive.stale


# --- ordinary days ---

def test_follows_and_swaps(one):
    a, b = Drive(one), Drive(one)
    for drive in (a, b):
        drive.ready()
        assert drive.reached
    outcome, revision, _ = a.put("1", "r/host/a", 0, "first")
    assert outcome == "DONE" and a.keys["r/host/a"] == (revision, "first"), "told before it was done"
    b.wait("told to others", lambda: b.keys.get("r/host/a") == (revision, "first"))
    assert b.put("2", "r/host/a", 0, "mine")[0] == "LOST"
    assert b.put("3", "r/host/a", revision, "second")[0] == "DONE"
    assert a.put("4", "r/host/a", revision, "late")[0] == "LOST"
    assert a.keys["r/host/a"][1] == "second", "the loser is told what there is"
    last = a.keys["r/host/a"][0]
    assert a.put("5", "r/host/a", last, "=")[0] == "DONE"
    assert a.put("6", "r/host/a", last, "-")[0] == "DONE" and "r/host/a" not in a.keys
    # Images are not told, and read by name.
    assert a.put("7", "i/image/p/1", 0, "pixels")[0] == "DONE"
    b.say("read", "8", "i/image/p/1")
    assert b.answer("8")[::2] == ("READ", "pixels")
    b.say("read", "9", "i/image/p/2")
    assert b.answer("9")[1] == 0
    agree(one, a, b)
    assert "i/image/p/1" not in b.keys
    # What was before, and what etcdctl or another prefix does.
    one.ctl("put", "/vmac-t0", "behind the prefix")
    one.ctl("put", PREFIX + "r/host/c", "by hand")
    b.wait("told", lambda: "r/host/c" in b.keys)
    agree(one, a, b)
    assert max(a.tellings.values()) <= 2 and max(b.tellings.values()) <= 2


def test_sixteen_race_and_lose_nothing(three):
    drives = [Drive(three, "quiet=0", endpoints=[three.endpoints()[i % 3]]) for i in range(16)]
    for drive in drives:
        drive.ready()
    for i, drive in enumerate(drives):
        drive.say("race", f"r{i}", 20, "r/counter")
    lost = 0
    for i, drive in enumerate(drives):
        outcome, _, text = drive.answer(f"r{i}", 60)
        assert outcome == "DONE", text
        lost += int(text.split("=")[1])
    assert content(three)["r/counter"][1].split()[0] == str(16 * 20)
    assert lost > 0, "they did not race"
    agree(three, *drives)


def test_large_read(one):
    """50,000 records: pages at one revision, time and memory."""
    writer = Drive(one, "mode=2", "quiet=1")
    writer.say("alloc", "fill", 50_000 - 50_000 % 64 + 64, "r/vmac/lan/", 8, 64)
    assert "refused=0" in writer.answer("fill", 60)[2]
    empty = Drive(one, "quiet=1", "prefix=/nothing/")
    empty.ready()
    before = empty.memory_kib()
    reader = Drive(one, "quiet=1")
    reader.ready(seconds=60)
    facts = reader.facts()
    per_key = (reader.memory_kib() - before) * 1024 / 50_048
    print(f"read of 50,048 keys: {facts['read_ms']} ms, {per_key:.0f} octets a key kept")
    assert facts["told"] == facts["keys"] == "50048"
    assert float(facts["read_ms"]) < 15_000 and per_key < 200
    # Who asks for it again is told everything again: something may have found no memory there.
    reader.say("reconcile")
    reader.ready(2, 60)
    assert reader.facts()["told"] == str(2 * 50048)


def test_records(one):
    """The registry of records, through the module as vmacd loads it: every function of store/shared.h."""
    done = one.hub.run("env", f"VMAC_ETCD_MODULE={lablib.binary('libvmac_etcd.so')}", program("etcd-records"),
                       one.endpoints()[0], check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# --- watches that fail ---

def test_compaction_and_deletions_while_away(made, one):
    drive = Drive(one)
    drive.ready()
    for i in range(20):
        one.ctl("put", f"{PREFIX}r/k{i}", "v")
    agree(one, drive)
    # Frozen, the client sees nothing; its watch is of a revision that is no more when it comes back.
    drive.process.send_signal(19)
    one.kill(0)
    one.start(0)
    one.ctl("del", PREFIX + "r/k1")
    one.ctl("put", PREFIX + "r/k2", "other")
    one.ctl("put", PREFIX + "r/new", "new")
    one.compact()
    drive.process.send_signal(18)
    agree(one, drive)
    assert "r/k1" not in drive.keys and drive.keys["r/k2"][1] == "other"


def test_restored_registry_is_told(one):
    """Revisions that begin anew (data lost, or restored from a copy)."""
    drive = Drive(one, "timeout=500")
    drive.ready()
    for i in range(5):
        drive.put(f"p{i}", f"r/k{i}", 0, "old")
    one.kill(0)
    subprocess.run(["rm", "-rf", f"{one.data}/m0"], check=True)
    one.start(0)
    one.ctl("put", PREFIX + "r/k1", "new")
    drive.wait("the new world", lambda: {k: v[1] for k, v in drive.keys.items()} == {"r/k1": "new"}, 20)


def test_silent_minority(three):
    """A member that lost the others says so to a watch with hasleader; the client goes to another."""
    drive = Drive(three)
    drive.ready()
    three.cut(0)
    lablib.wait_for("the others go on", lambda: three.healthy(1))
    three.ctl("put", PREFIX + "r/k", "v", endpoints=[1])
    drive.wait("told through another member", lambda: "r/k" in drive.keys, 10)
    assert drive.facts()["endpoint"] != three.endpoints()[0]
    three.heal(0)
    agree(three, drive)


def test_minority_is_no_truth(three):
    """A member that lost the others answers a serializable read with what it has, and nothing else: no client of it is
    told that old world, or that a write was done."""
    before = Drive(three, "timeout=1000", endpoints=[three.endpoints()[0]])
    before.ready()
    assert before.put("1", "r/k", 0, "old")[0] == "DONE"
    three.cut(0)
    lablib.wait_for("the others go on", lambda: three.healthy(1))
    three.ctl("put", PREFIX + "r/k", "new", endpoints=[1])
    body = {"key": base64.b64encode((PREFIX + "r/k").encode()).decode(), "serializable": True}
    stale = json.loads(three.hub.run("curl", "-sS", "-d", json.dumps(body), three.endpoints()[0] + "/v3/kv/range").stdout)
    assert base64.b64decode(stale["kvs"][0]["value"]) == b"old", "etcd would tell it"
    late = Drive(three, "timeout=1000", endpoints=[three.endpoints()[0]])
    outcome, _, text = before.put("2", "r/k2", 0, "v", seconds=20)
    assert outcome == "UNREACHABLE", text
    before.wait("told so", lambda: before.reached is False)
    late.wait("told so", lambda: late.reached is False)
    assert not late.completes and not late.keys
    three.heal(0)
    late.ready()
    agree(three, before, late)
    # Nobody was told, so it may have been done: but once at most, and then as it was asked for.
    assert content(three).get("r/k2", (0, "v"))[1] == "v"


def test_lease_outlives_its_time_when_the_leader_dies(three):
    """Whose holder is gone lives on with a new leader, from the beginning: nobody is told an end before it is there."""
    follower = (three.leader() + 1) % 3
    other = Drive(three, endpoints=[three.endpoints()[follower]])
    gone = Drive(three, "lease=6000", endpoints=[three.endpoints()[follower]])
    assert gone.put("1", "r/alive/a", 0, "me", leased=True)[0] == "DONE"
    other.wait("it lives", lambda: "r/alive/a" in other.keys)
    gone.process.send_signal(9)
    began = time.monotonic()
    time.sleep(4)
    three.kill(three.leader())
    # A write of the gap is done, once, within the client's patience.
    assert other.put("w", "r/w", 0, "v", seconds=12)[0] == "DONE"
    other.wait("its end", lambda: "r/alive/a" not in other.keys, 30)
    took = time.monotonic() - began
    there = {base64.b64decode(kv["key"]).decode() for kv in
             three.json("get", "--prefix", PREFIX, endpoints=[follower]).get("kvs", ())}
    assert PREFIX + "r/alive/a" not in there and PREFIX + "r/w" in there
    assert took > 8, f"{took:.1f} s: a lease of 6 s was to live for longer here"


def watchers(e):
    """How many streams etcd itself counts."""
    text = e.hub.run("curl", "-sS", e.endpoints()[0] + "/metrics").stdout
    return int(float(re.search(r"^etcd_debugging_mvcc_watcher_total (\S+)", text, re.M)[1]))


def connections(e, drive):
    shown = e.hub.run("ss", "-tnpH", "state", "established").stdout
    return sum(f"pid={drive.pid()}," in line for line in shown.splitlines())


def test_one_watch_and_no_more(one):
    """The gateway takes one request a stream, and ends a watch with its connection: none is left behind."""
    assert watchers(one) == 0
    a, b = Drive(one), Drive(one)
    for d in (a, b):
        d.ready()
    lablib.wait_for("one each", lambda: watchers(one) == 2)
    for round in range(3):
        a.say("reconcile")
        a.ready(round + 2)
        one.ctl("put", PREFIX + "r/k", str(round))
        one.compact()
    agree(one, a, b)
    assert a.put("1", "r/alive/a", 0, "me", leased=True)[0] == "DONE"
    a.say("many", "m", 500, "r/m", "v")
    a.wait("all answered", lambda: sum(n.startswith("m.") for n in a.done) == 500)
    time.sleep(4)  # keepalives go by connections that are there
    lablib.wait_for("one each", lambda: watchers(one) == 2)
    assert connections(one, a) <= 17, "16 requests and the watch"
    a.close()
    lablib.wait_for("one is left", lambda: watchers(one) == 1)
    b.process.send_signal(9)
    lablib.wait_for("none is left", lambda: watchers(one) == 0)


def test_watch_in_fragments(one):
    """More than 1.5 MiB of changes at once comes in several messages: all of it is told, by one watch."""
    drive = Drive(one, "quiet=1")
    drive.ready()
    raw = one.directory / "raw"
    body = {"create_request": {"key": base64.b64encode((PREFIX + "r/").encode()).decode(),
                               "range_end": base64.b64encode((PREFIX + "r0").encode()).decode(), "fragment": True}}
    with open(raw, "wb") as file:
        curl = one.hub.start("curl", "-sSN", "-d", json.dumps(body), one.endpoints()[0] + "/v3/watch", stdout=file)
    try:
        count = 40_000
        config = []
        for n in range(0, count, 100):
            text = json.dumps({"success": [{"request_put": {
                "key": base64.b64encode(f"{PREFIX}r/fragments/of/a/large/answer/{i}".encode()).decode(), "value": "dg=="}}
                for i in range(n, n + 100)]})
            (one.directory / f"part{n}").write_text(text)
            config.append(f"url = {one.endpoints()[0]}/v3/kv/txn\ndata-binary = @{one.directory}/part{n}\noutput = /dev/null")
        (one.directory / "curlrc").write_text("\nnext\n".join(config))
        one.hub.run("curl", "-sS", "-K", one.directory / "curlrc")
        lablib.wait_for("all were told", lambda: drive.facts()["told"] == str(count), 40, 0.2)
        one.ctl("del", "--prefix", PREFIX + "r/")
        lablib.wait_for("all were told as gone", lambda: drive.facts()["gone"] == str(count), 40, 0.2)
        # Else the test is too small.
        lablib.wait_for("etcd has sent it in parts", lambda: b'"fragment":true' in raw.read_bytes(), 20, 0.2)
    finally:
        curl.terminate()
        curl.wait(10)
    assert drive.facts()["keys"] == "0" and len(drive.completes) == 1, "the watch broke"


def test_large_values(one):
    """Values of a megabyte each, more than one answer may have, while the client stands still and after."""
    drive = Drive(one)
    drive.ready()
    wanted = {}
    drive.process.send_signal(19)
    for i in range(6):
        value = chr(97 + i) * (1 << 20)
        file = one.directory / f"value{i}"
        file.write_text(value)
        one.hub.sh(f"ETCDCTL_API=3 etcdctl --endpoints={one.endpoints()[0]} put {PREFIX}r/big{i} <{file}")
        wanted[f"r/big{i}"] = value
    drive.process.send_signal(18)
    drive.wait("all were told", lambda: {k: v for k, (_, v) in drive.keys.items()} == wanted, 30)
    late = Drive(one)
    late.ready()
    assert {k: v for k, (_, v) in late.keys.items()} == wanted
    assert len(drive.completes) == 1


def test_twenty_thousand_keys_of_one_lease(one):
    lease = one.ctl("lease", "grant", "1000").stdout.split()[1]
    drive = Drive(one, "quiet=1")
    drive.ready()
    file = one.directory / "txn"
    bodies = []
    for n in range(0, 20_000, 100):
        bodies.append(json.dumps({"success": [{"request_put": {
            "key": base64.b64encode(f"{PREFIX}r/l/{i}".encode()).decode(), "value": "dg==",
            "lease": str(int(lease, 16))}} for i in range(n, n + 100)]}))
    config = "\nnext\n".join(f"url = {one.endpoints()[0]}/v3/kv/txn\ndata-binary = @{file}{i}\noutput = /dev/null"
                             for i, _ in enumerate(bodies))
    for i, body in enumerate(bodies):
        pathlib.Path(f"{file}{i}").write_text(body)
    (one.directory / "curlrc").write_text(config)
    one.hub.run("curl", "-sS", "-K", one.directory / "curlrc")
    lablib.wait_for("all were told", lambda: drive.facts()["told"] == "20000", 30, 0.2)
    one.ctl("lease", "revoke", lease)
    lablib.wait_for("all were told as gone", lambda: drive.facts()["gone"] == "20000", 30, 0.2)
    assert drive.facts()["keys"] == "0" and len(drive.completes) == 1, "the watch broke"


# --- members that fail ---

def check_answers(e, drive, prefix, value, count):
    """None of `count` creations was answered wrongly."""
    there = content(e)
    outcomes = collections.Counter()
    for i in range(count):
        outcome, revision, text = drive.done[f"{prefix}.{i}"]
        outcomes[outcome] += 1
        found = there.get(f"r/{prefix}{i}")
        if outcome == "DONE":
            assert found == (revision, f"{value}-{i}"), f"{i}: answered DONE, and there is {found}"
        else:
            assert outcome == "UNREACHABLE", f"{i}: {outcome} {text}, and nobody else wrote"
    return outcomes


def test_leader_killed_among_500(three):
    drive = Drive(three, "timeout=1000")
    drive.ready()
    leader = three.leader()
    drive.say("many", "m", 500, "r/m", "v")
    drive.wait("some are done", lambda: len(drive.done) >= 100)
    three.kill(leader)
    drive.wait("all are answered", lambda: len(drive.done) == 500, 30)
    outcomes = check_answers(three, drive, "m", "v", 500)
    three.start(leader)
    assert outcomes["DONE"] == 500, outcomes
    agree(three, drive)


def test_frozen_member(three):
    """Its kernel acknowledges and it says nothing: what it was asked may be done later."""
    drive = Drive(three, "timeout=700")
    drive.ready()
    drive.say("many", "f", 300, "r/f", "v")
    drive.wait("some are done", lambda: len(drive.done) >= 30)
    three.freeze(0)
    drive.wait("all are answered", lambda: len(drive.done) == 300, 30)
    assert check_answers(three, drive, "f", "v", 300)["DONE"] == 300
    three.thaw(0)
    time.sleep(0.5)
    check_answers(three, drive, "f", "v", 300)
    agree(three, drive)


class Liar(threading.Thread):
    """Stands before an etcd; passes requests on, and loses the first `lose` answers to transactions."""

    def __init__(self, ns, target, lose):
        super().__init__(daemon=True)
        self.ns, self.target, self.lose, self.lost = ns, target, lose, 0
        self.listener = ns.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.bind((f"{etcdlib.CLIENT}.254", 0))
        self.listener.listen(32)
        self.url = "http://%s:%d" % self.listener.getsockname()
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        server = self.ns.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.connect(self.target)
        lose = False
        ends = [client, server]

        def back():
            with contextlib.suppress(OSError):
                while data := server.recv(65536):
                    if lose:
                        break
                    client.sendall(data)
            for end in ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        threading.Thread(target=back, daemon=True).start()
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if b"POST /v3/kv/txn" in data and self.lost < self.lose:
                    self.lost += 1
                    lose = True
                server.sendall(data)


def test_lost_answers_are_known_again(one):
    liar = Liar(one.hub, (one.members[0].client, 2379), 40)
    drive = Drive(one, "timeout=1000", endpoints=[liar.url])
    drive.ready()
    drive.say("many", "l", 200, "r/l", "v")
    drive.wait("all are answered", lambda: len(drive.done) == 200, 30)
    assert check_answers(one, drive, "l", "v", 200)["DONE"] == 200
    assert liar.lost == 40
    # A deletion, and one that somebody else won while our answer was lost.
    revision = drive.keys["r/l0"][0]
    liar.lose = 41
    assert drive.put("d", "r/l0", revision, "-")[0] == "DONE"
    assert drive.put("again", "r/l1", revision, "x")[0] == "LOST"
    agree(one, drive)


def test_first_of_three_is_dead(three):
    three.kill(0)
    drive = Drive(three)
    drive.ready()
    assert drive.put("1", "r/k", 0, "v")[0] == "DONE"
    # One that hangs: nobody answers its address.
    hanging = Drive(three, "timeout=500", endpoints=["http://10.98.0.77:2379", three.endpoints()[1]])
    hanging.ready()
    assert hanging.put("1", "r/k2", 0, "v")[0] == "DONE"


def test_nobody_is_there(one):
    url = "http://10.98.0.1:9"
    drive = Drive(one, "timeout=300", endpoints=[url])
    drive.wait("told so", lambda: drive.reached is False)
    assert url in drive.reaches[0] and "daemon" not in drive.reaches[0]
    outcome, _, text = drive.put("1", "r/k", 0, "v")
    assert outcome == "UNREACHABLE" and url in text
    one.kill(0)
    back = Drive(one, "timeout=300")
    back.wait("told so", lambda: back.reached is False)
    one.start(0)
    back.ready()
    assert back.reached and back.put("1", "r/k", 0, "v")[0] == "DONE"


@pytest.mark.parametrize("how", ["freeze", "away", "silent name"])
def test_close_while_it_hangs(one, how):
    endpoints = {"freeze": one.endpoints(), "away": ["http://10.98.0.77:2379"],
                 "silent name": ["http://etcd.invalid:2379"]}[how]
    drive = Drive(one, endpoints=endpoints)
    if how == "freeze":
        drive.ready()
        assert drive.put("1", "r/alive", 0, "v", leased=True)[0] == "DONE"
        one.freeze(0)
    drive.say("many", "c", 50, "r/c", "v")
    time.sleep(0.2)
    took = drive.close()
    one.thaw(0)
    assert took < 1, f"{took} s"
    assert sum(name.startswith("c.") for name in drive.done) == 50
    assert {drive.done[f"c.{i}"][0] for i in range(50)} == {"UNREACHABLE"}


# --- leases ---

def test_lease_lives_dies_and_is_put_anew(one):
    drive = Drive(one, "lease=2000")
    other = Drive(one)
    assert drive.put("1", "r/alive/a", 0, "me", leased=True)[0] == "DONE"
    time.sleep(4)
    assert content(one)["r/alive/a"][1] == "me", "it is kept alive"
    lease = one.ctl("lease", "list").stdout.split()[-1]
    one.ctl("lease", "revoke", lease)
    other.wait("put anew", lambda: other.keys.get("r/alive/a", (0, ""))[1] == "me" and
               other.keys["r/alive/a"][0] > drive.done["1"][1])
    # A host that stood still for longer than its lease.
    drive.process.send_signal(19)
    other.wait("it is not alive", lambda: "r/alive/a" not in other.keys, 20)
    drive.process.send_signal(18)
    other.wait("alive again", lambda: "r/alive/a" in other.keys)
    # The end takes it along at once.
    drive.close()
    other.wait("gone", lambda: "r/alive/a" not in other.keys, 1)


# --- no space ---

def test_no_space_and_recovery(made):
    e = etcdlib.Etcd(made, options=["--quota-backend-bytes", str(16 << 20)])
    drive = Drive(e)
    drive.ready()
    first = drive.put("1", "r/k", 0, "v")
    assert drive.put("0", "r/alive", 0, "me", leased=True)[0] == "DONE"
    e.fill()
    outcome, _, text = drive.put("2", "r/k", first[1], "w")
    assert outcome == "REFUSED" and "space exceeded" in text and "alarm disarm" in text
    other = Drive(e)
    outcome, _, text = other.put("3", "r/alive/b", 0, "v", leased=True)
    assert outcome == "REFUSED" and "space exceeded" in text
    other.ready()
    assert other.keys["r/k"][1] == "v", "reading goes on"
    assert drive.put("4", "r/k", first[1], "-")[0] == "DONE", "deleting goes on"
    e.make_space()
    assert drive.put("5", "r/k", 0, "again")[0] == "DONE"
    assert other.put("6", "r/alive/b", 0, "v", leased=True)[0] == "DONE"


# --- who may ---

def test_users_and_passwords(made):
    e = etcdlib.Etcd(made, options=["--auth-token-ttl", "2"])
    password = e.directory / "password"
    password.write_text(etcdlib.PASSWORD + "\n")
    anybody = Drive(e)
    drive = Drive(e, "user=root", f"password={password}")
    for d in (anybody, drive):
        d.ready()
    # Turned on under a running fleet.
    e.auth(True)
    assert drive.put("1", "r/k", 0, "v")[0] == "DONE"
    outcome, _, text = anybody.put("1", "r/k2", 0, "v")
    assert outcome == "REFUSED" and "user name is empty" in text and "password_file" in text
    # Tokens that have run out.
    time.sleep(2.5)
    assert drive.put("t", "r/t", 0, "v")[0] == "DONE"
    # A wrong password, made right in the file.
    wrong = e.directory / "wrong"
    wrong.write_text("sesame")
    late = Drive(e, "user=root", f"password={wrong}")
    late.wait("told so", lambda: late.reached is False)
    assert "invalid user ID or password" in late.reaches[-1] and "sesame" not in " ".join(late.reaches)
    assert late.put("1", "r/w", 0, "v")[0] == "REFUSED"
    assert "sesame" not in " ".join(pathlib.Path(f"/proc/{late.pid()}/cmdline").read_text().split("\0"))
    wrong.write_text(etcdlib.PASSWORD)
    late.ready()
    assert late.put("2", "r/w", 0, "v")[0] == "DONE"
    # Somebody who may not.
    e.ctl("user", "add", "joe:joe")
    joes = e.directory / "joe"
    joes.write_text("joe")
    joe = Drive(e, "user=joe", f"password={joes}")
    joe.wait("told so", lambda: joe.reached is False)
    assert "permission denied" in joe.reaches[-1]
    e.ctl("del", PREFIX + "r/k")
    drive.wait("followed all the time", lambda: "r/k" not in drive.keys)
    # Off again.
    e.auth(False)
    assert anybody.put("2", "r/k2", 0, "v")[0] == "DONE"
    assert drive.put("2", "r/k3", 0, "v")[0] == "DONE"
    agree(e, anybody, drive)


def unasked(e, path, body):
    """The HTTP status of a request that bears no token."""
    return e.hub.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-d", json.dumps(body),
                     e.endpoints()[0] + path).stdout.strip()


def test_users_are_noticed_by_who_only_listens(made):
    """Auth is turned on under a client that writes nothing: its watch goes on, and so does its lease."""
    e = etcdlib.Etcd(made)
    password = e.directory / "password"
    password.write_text(etcdlib.PASSWORD + "\n")
    anybody = Drive(e, "lease=3000", "reconcile=600000")
    known = Drive(e, "lease=3000", "reconcile=600000", "user=root", f"password={password}")
    for i, d in enumerate((anybody, known)):
        d.ready()
        assert d.put("1", f"r/alive/{i}", 0, "me", leased=True)[0] == "DONE"
    e.auth(True)
    anybody.wait("told so", lambda: anybody.reached is False, 8)
    assert "user name is empty" in anybody.reaches[-1] and "password_file" in anybody.facts()["error"] + anybody.reaches[-1]
    e.ctl("put", PREFIX + "r/k", "v")
    known.wait("goes on", lambda: "r/k" in known.keys)
    time.sleep(6)
    assert known.reached and "not" not in known.reaches, known.reaches
    e.auth(False)
    anybody.wait("told so", lambda: anybody.reached is True, 8)
    agree(e, anybody, known)


def test_what_etcd_does_for_anybody_is_no_service(made):
    """With users, etcd 3.4 grants and keeps leases for whoever asks.  A client without a token is not served by that."""
    e = etcdlib.Etcd(made, auth=True)
    assert unasked(e, "/v3/lease/grant", {"TTL": "60"}) == "200" and unasked(e, "/v3/maintenance/status", {}) == "200"
    assert unasked(e, "/v3/kv/range", {"key": "YQ=="}) == "400"
    d = Drive(e, "lease=2000")
    d.wait("told so", lambda: d.reached is False)
    outcome, _, text = d.put("1", "r/alive/a", 0, "me", leased=True)
    assert outcome == "REFUSED" and "user name is empty" in text
    time.sleep(3)
    assert d.reaches.count("ok") == 0 and not d.completes, d.reaches
    assert "r/alive/a" not in content(e)


def test_tls(made):
    e = etcdlib.Etcd(made, tls=True)
    good = [f"ca={e.tls['ca']}", f"cert={e.tls['cert']}", f"key={e.tls['key']}"]
    drive = Drive(e, *good)
    drive.ready()
    assert drive.put("1", "r/k", 0, "v")[0] == "DONE"
    other = etcdlib.Authority(e.directory, "other")
    old, old_key = e.tls["authority"].issue("old", expired=True)
    foreign, foreign_key = other.issue("foreign")
    cases = {
        "wrong CA": [f"ca={other.ca}", *good[1:]],
        "no certificate": good[:1],
        "certificate of another": [good[0], f"cert={foreign}", f"key={foreign_key}"],
        "expired": [good[0], f"cert={old}", f"key={old_key}"],
    }
    for case, options in cases.items():
        d = Drive(e, "timeout=200", *options)
        d.wait(f"{case}: told so", lambda d=d: d.reached is False)
        assert "certificate" in d.reaches[0], (case, d.reaches[0])  # in what was said, or in the hint
        assert d.put("1", "r/x", 0, "v")[0] == "UNREACHABLE", case
        d.close()
    assert "r/x" not in content(e)
    # With a common name and users, the gateway refuses everything.
    named, named_key = e.tls["authority"].issue("named", subject="/CN=kvm1")
    password = e.directory / "password"
    password.write_text(etcdlib.PASSWORD)
    e.auth(True)
    d = Drive(e, "user=root", f"password={password}", good[0], f"cert={named}", f"key={named_key}")
    d.wait("told so", lambda: d.reached is False)
    assert "common name" in d.reaches[0]


def test_bad_configuration(one):
    for options, words in (((["http://10.98.0.1:2379/path"],), "endpoints"), ((["ftp://10.98.0.1"],), "endpoints"),
                           ((["http://root:secret@10.98.0.1:2379"],), "endpoints")):
        d = Drive(one, endpoints=options[0])
        d.thread.join(5)
        assert d.lines[0].startswith("failed bad_config") and words in d.lines[0]
    for option in ("ca=/nonexistent", "password=/nonexistent", "cert=/nonexistent", "prefix=x"):
        d = Drive(one, option)
        d.thread.join(5)
        assert d.lines[0].startswith("failed bad_config")
