"""registry: the shared registry in etcd, by blocks, beside one key an address as others do it with etcd."""
import base64
import contextlib
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

from harness import ROOT, Failure, Samples, in_turn, machine, must, run as run_program, say, scratch, spread, tidy

sys.path.insert(0, os.path.join(ROOT, "tests", "lab"))
import etcd as etcdlib  # noqa: E402
import lab as lablib  # noqa: E402

ROUNDS = 6  # each with an etcd of one member and with one of three; a million is given out to them in turn

CLIENTS = (1, 16, 64)
BLOCK = 256
ADDRESSES = 1_000_000
BLOCKS = -(-ADDRESSES // BLOCK)
KEYS = (32_000, 64_000, 128_000)
PREFIX = "/vmac-t/"

CLAIMS = "claims of a key a second (compare-and-swap)"
GIVEN = "addresses a second that hosts may give out"
READ = "full read of 1,000,000 addresses"
READ_KEYS = "full read of {:,} keys"
KEPT = "resident after that"
ANEW = "the same, read anew"
VMAC, PLAIN = "vmac, blocks of 256", "a key an address"

# With vmacd itself, whose own registry is on a disk.
DAEMON = "vmacd"
ANSWERED = "addresses a second that vmacd gives out, each durable"
JOINS = "a host joins where 1,000,000 addresses are given out: until it knows all"
WHOLE = "its resident memory then"
ALONE = "addresses that a host gives out without etcd until one fails"
ALONE_LASTS = "the same, at one a second: how long"


def program(tools):
    return os.path.join(tools.build, "tests", "unit", "store", "etcd-drive")


class Drive:
    """The client of vmacd as a process: tests/unit/store/etcd_drive.c."""

    def __init__(self, e, tools, *options):
        self.process = e.hub.start(program(tools), ",".join(e.endpoints()), "quiet=1", *options,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, words, begin):
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        return self.until(begin)

    def until(self, begin):
        for line in self.process.stdout:
            if line.startswith(begin):
                return line
        raise Failure(f"etcd-drive ended before it said '{begin}'")

    def resident(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) / 1024

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)


def claims(e, tools, clients, count, prefix):
    """One client, so many transactions of one key under way; claims a second.  A daemon has 16 connections, so
    64 are 4 daemons."""
    daemons = -(-clients // 16)
    drives = [Drive(e, tools, "mode=2") for _ in range(daemons)]
    for drive in drives:
        drive.ask("facts", "facts")  # it has started
    lines, threads = [], []
    for i, drive in enumerate(drives):
        threads.append(threading.Thread(target=lambda d=drive, i=i: lines.append(
            d.ask(f"alloc a {count // daemons} r/{prefix}{i}- {min(clients, 16)} 1", "done a"))))
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - begun
    for drive in drives:
        drive.end()
    if any("lost=0 unreachable=0 refused=0" not in line for line in lines):
        raise Failure(f"claims were not done: {lines}")
    return count / took


class Plain:
    """What one writes with etcd's gateway and an HTTP library: one key an address, create if absent."""

    def __init__(self, e):
        self.e, self.address = e, (e.members[0].client, 2379)

    def connection(self):
        made = http.client.HTTPConnection(*self.address)
        made.sock = self.e.hub.socket()
        made.sock.connect(self.address)
        made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def post(self, connection, path, body):
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())

    def create(self, connection, key):
        key = base64.b64encode((PREFIX + key).encode()).decode()
        answer = self.post(connection, "/v3/kv/txn", {
            "compare": [{"key": key, "target": "CREATE", "result": "EQUAL", "create_revision": "0"}],
            "success": [{"request_put": {"key": key, "value": "e30="}}]})
        if not answer.get("succeeded"):
            raise Failure(f"not created: {answer}")

    def claims(self, clients, count, prefix):
        def work(number):
            with contextlib.closing(self.connection()) as connection:
                for i in range(count // clients):
                    self.create(connection, f"{prefix}{number}-{i}")
        threads = [threading.Thread(target=work, args=(i,)) for i in range(clients)]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return count / (time.monotonic() - begun)


def fill(e, tools, prefix, count):
    drive = Drive(e, tools, "mode=2")
    line = drive.ask(f"alloc f {count} {prefix} 16 64", "done f")
    if "lost=0 unreachable=0 refused=0" not in line:
        raise Failure(f"filling: {line}")
    drive.end()


def full_read(e, tools, prefix):
    """(seconds, MiB, seconds of reading anew) of a daemon that begins to follow what is below the prefix."""
    drive = Drive(e, tools, f"prefix={prefix}", "timeout=10000")
    drive.until("complete")
    first = re.search(r"read_ms=([\d.]+)", drive.ask("facts", "facts"))[1]
    kept = drive.resident()
    drive.ask("reconcile", "complete")
    again = re.search(r"read_ms=([\d.]+)", drive.ask("facts", "facts"))[1]
    drive.end()
    return float(first) / 1000, kept, float(again) / 1000


def an_etcd(made, count):
    e = etcdlib.Etcd(made, members=count, options=["--quota-backend-bytes", str(4 << 30)])
    return e, f"{count} member{'s' if count > 1 else ''}"


def with_clients(samples, made, tools, index, count_of_members, quick):
    e, members = an_etcd(made, count_of_members)
    count = 640 if quick else 3200
    plain = Plain(e)
    for clients in CLIENTS:
        for system in in_turn([VMAC, PLAIN], index):
            say(f"registry: {members}, {clients} clients, {system}")
            n = count // 4 if clients == 1 else count
            name = f"claims-{clients}-{'b' if system == VMAC else 'p'}-"
            rate = claims(e, tools, clients, n, name) if system == VMAC else plain.claims(clients, n, name)
            samples.add(f"{CLAIMS}, {clients} under way, {members}", system, rate, "1/s")
            samples.add(f"{GIVEN}, {clients} under way, {members}", system,
                        rate * (BLOCK if system == VMAC else 1), "1/s")
    if len(e.members) > 1:
        return
    # 1,000,000 addresses as blocks; as keys only some of them: etcd counts all that is left for every page that it gives,
    # so the time grows with the square of their number (more than five minutes for a million).
    fill(e, tools, "r/block/", BLOCKS - BLOCKS % 64 + 64)
    e.ctl("del", "--prefix", PREFIX + "r/claims")
    found = full_read(e, tools, PREFIX)
    for what, value, unit in zip((READ, KEPT, ANEW), found, ("s", "MiB", "s")):
        samples.add(what, VMAC, value, unit)
    e.ctl("del", "--prefix", PREFIX)
    there = 0
    for keys in KEYS[:1] if quick else KEYS:
        fill(e, tools, f"r/mac{keys}/", keys - there)
        there = keys
        found = full_read(e, tools, PREFIX)
        samples.add(READ_KEYS.format(keys), PLAIN, found[0], "s")
    for what, value, unit in zip((READ, KEPT, ANEW), found, ("s", "MiB", "s")):
        samples.add(what, PLAIN, value, unit)
        samples.note(what, PLAIN, f"of {there:,} keys only")


class Host:
    """vmacd without a data plane, in the namespace from which etcd is reached; its registry on a real disk."""

    def __init__(self, made, e, directory, name):
        endpoints = ", ".join(f'"{one}"' for one in e.endpoints())
        self.daemon = made.daemon(e.hub, name, "--no-plane", start=False, config=(
            f"host:\n  name: {name}\nregistry:\n  shared:\n    endpoints: [{endpoints}]\n"))
        self.daemon.state = directory / name
        self.api = None

    def begin(self):
        """Returns how long it took from exec until it had joined and knew all."""
        begun = time.monotonic()
        self.daemon.start(60)
        self.api = self.daemon.api(60)
        while not (self.fleet()["joined"] and self.fleet()["complete"]):
            if time.monotonic() > begun + 60:
                raise Failure(f"{self.daemon.instance} does not join: {self.fleet()}")
            time.sleep(0.005)
        return time.monotonic() - begun

    def fleet(self):
        return self.api.get("/v1/status")["fleet"]

    def resident(self):
        with open(f"/proc/{self.daemon.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) / 1024

    def load(self, tools, connections, limit, path, body):
        return json.loads(run_program(tools.load, str(self.daemon.socket), str(connections), limit, path, json.dumps(body)))


def fill_by_hosts(host, tools, quick):
    """Gives out what is to be there; whole blocks at a time, as many as may be."""
    wanted, given = 64_000 if quick else ADDRESSES, 0
    deadline = time.monotonic() + 120
    while given < wanted and time.monotonic() < deadline:
        with contextlib.suppress(lablib.ApiError):
            host.api.post("/v1/vmacs/batch", pool="p", count=BLOCK)
            given += BLOCK
            continue
        time.sleep(0.002)  # the next block is being claimed
    return given


def with_hosts(samples, made, tools, count_of_members, quick, directory, whole):
    e, members = an_etcd(made, count_of_members)
    say(f"registry: {members}, vmacd itself")
    first = Host(made, e, directory, "kvm1")
    first.begin()
    first.api.post("/v1/segments", name="lan")
    first.api.post("/v1/pools", name="p", segment="lan")
    for connections in (1, 64):
        done = first.load(tools, connections, "0.5s" if quick else "2s", "/v1/vmacs", {"pool": "p"})
        if done["refusals"]:
            raise Failure(f"vmacd refused: {done['refusal'][:300]}")
        samples.add(f"{ANSWERED}, {connections} in flight, {members}", DAEMON, done["answers"] / done["seconds"], "1/s")
    if not whole:
        return
    given = fill_by_hosts(first, tools, quick)
    note = "" if given >= ADDRESSES else f"{given:,} addresses"
    joins = Host(made, e, directory, "kvm2")
    samples.add(f"{JOINS}, {members}", DAEMON, joins.begin(), "s")
    samples.add(WHOLE, DAEMON, joins.resident(), "MiB")
    if note:
        samples.note(f"{JOINS}, {members}", DAEMON, note)
    # It has its first block and the spare one, like a host that has been there for long.
    joins.api.post("/v1/segments", name="lan")
    joins.api.post("/v1/vmacs", pool="p")
    lablib.wait_for("a spare block", lambda: joins.fleet()["available"] >= BLOCK, 10)
    e.stop()
    alone = 0
    with contextlib.suppress(lablib.ApiError):
        while True:
            joins.api.post("/v1/vmacs", pool="p")
            alone += 1
    samples.add(ALONE, DAEMON, alone, "")
    samples.add(ALONE_LASTS, DAEMON, alone, "s")


def run(tools, rounds, quick):
    if etcdlib.missing():
        raise Failure(etcdlib.missing())
    run_program("ninja", "-C", tools.build, "tests/unit/store/etcd-drive")
    os.environ["VMAC_BUILD"] = tools.build
    samples = Samples()
    for index in range(rounds):
        for count in in_turn([1, 3], index):
            say(f"registry: round {index + 1} of {rounds}")
            with tidy() as stack:
                with_clients(samples, stack.enter_context(lablib.Lab()), tools, index, count, quick)
            with tidy() as stack:
                made = stack.enter_context(lablib.Lab())
                directory = pathlib.Path(scratch(stack)) / f"registry-{index}-{count}"
                directory.mkdir()
                with_hosts(samples, made, tools, count, quick, directory, quick or (count == 1) == (index % 2 == 0))
    return {"bench": "registry", "machine": machine(), "rows": samples.rows(), "musts": musts(samples)}


def musts(samples):
    found = []
    for members in ("1 member", "3 members"):
        for clients in CLIENTS:
            ratios = samples.ratios(f"{GIVEN}, {clients} under way, {members}", VMAC, PLAIN)
            found.append(must(f"addresses a second, {clients} under way, {members} / a key an address", 100,
                              spread(ratios)[0] if ratios else None))
    reads = samples.of(READ, VMAC)
    found.append(must("full read of 1,000,000 addresses, s", 1.0, spread(reads)[0] if reads else None, at_most=True))
    return found
