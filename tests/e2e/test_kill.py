"""The registry under SIGKILL: whatever was answered is true afterwards, and nothing is given twice.

Many clients allocate, pin and release while vmacd is killed at a random point, again and again.  Every request
carries an owner of its own, so that whatever the registry holds afterwards can be traced to one request.
An answered request must have happened; one whose answer never came may have happened, once, or not at all."""
import collections
import http.client
import os
import random
import signal
import sqlite3
import threading
import time

import lab as lablib
import pytest

KILLS = int(os.environ.get("VMAC_KILLS", "200"))
CLIENTS = 8
SEGMENT = "s"


class Ledger:
    """What the clients asked and were told."""

    def __init__(self):
        self.lock = threading.Lock()
        self.owner_of = {}                            # address -> the request that was told it
        self.asked = set()                            # owners of all requests
        self.unanswered = set()                       # owners of those whose answer never came
        self.releasing, self.released = set(), set()  # addresses: asked; told "done"
        self.touched = set()                          # addresses since the last check
        self.faults = []
        self.counts = collections.Counter()

    def ask(self, owner):
        with self.lock:
            self.asked.add(owner)
            self.unanswered.add(owner)

    def told(self, owner, addresses):
        with self.lock:
            self.unanswered.discard(owner)
            for address in addresses:
                if address in self.owner_of:
                    self.faults.append(f"{address} given twice: to {self.owner_of[address]}, then to {owner}")
                self.owner_of[address] = owner
                self.touched.add(address)

    def refused(self, owner):
        with self.lock:
            self.unanswered.discard(owner)
            self.asked.discard(owner)

    def ask_release(self, address):
        with self.lock:
            self.releasing.add(address)
            self.touched.add(address)

    def told_release(self, address):
        with self.lock:
            self.released.add(address)


class Client(threading.Thread):
    """One client of one life of the daemon; ends when its connection does."""

    def __init__(self, daemon, ledger, number, generation, seed, stop):
        super().__init__(daemon=True)
        self.api, self.ledger, self.stop = daemon.api(timeout=20), ledger, stop
        self.random = random.Random(seed)
        self.prefix, self.count = f"g{generation}c{number}", 0
        self.mine = []

    def owner(self):
        self.count += 1
        return f"{self.prefix}n{self.count}"

    def take(self, path, **body):
        owner = self.owner()
        self.ledger.ask(owner)
        try:
            answer = self.api.post(path, owner=owner, pool="p", **body)
        except lablib.ApiError as problem:
            self.ledger.refused(owner)
            return problem.code
        addresses = answer["addresses"] if "addresses" in answer else [answer["address"]]
        self.ledger.told(owner, addresses)
        self.mine += addresses
        return None

    def step(self):
        choice = self.random.random()
        if choice < 0.5:
            fault = self.take("/v1/vmacs", name=f"{self.prefix}name{self.count}")
            kind = "allocated"
        elif choice < 0.6:
            # All clients draw from the same few, so that they meet.
            fault = self.take("/v1/vmacs", address=f"06:77:ff:{self.random.randrange(256):02x}:"
                                                   f"{self.random.randrange(256):02x}:01")
            kind = "pinned"
            if fault == "address_in_use" or fault == "in_quarantine" or fault == "quarantined":
                fault = None
        elif choice < 0.7:
            fault = self.take("/v1/vmacs/batch", count=self.random.randrange(1, 20))
            kind = "batch"
        elif self.mine:
            address = self.mine.pop(self.random.randrange(len(self.mine)))
            self.ledger.ask_release(address)
            self.api.call("DELETE", f"/v1/vmacs/{SEGMENT}/{address}")
            self.ledger.told_release(address)
            fault, kind = None, "released"
        else:
            return
        self.ledger.counts[kind] += 1
        if fault:
            self.ledger.faults.append(f"{kind} refused: {fault}")

    def run(self):
        try:
            while not self.stop.is_set():
                self.step()
        except (OSError, http.client.HTTPException, lablib.ApiError) as problem:
            if isinstance(problem, lablib.ApiError):
                self.ledger.faults.append(f"refused: {problem}")
        finally:
            self.api.close()


def check_one(ledger, address, record):
    """The faults of one address that a client was told of."""
    owner = ledger.owner_of[address]
    if record is None:
        if address not in ledger.releasing:
            yield f"{address}, answered to {owner}, is lost"
        return
    state = record["state"]
    if address in ledger.released and state != "quarantined":
        yield f"{address} was released and is {state}"
    if address not in ledger.releasing and state != "reserved":
        yield f"{address}, held by {owner}, is {state}"
    if state == "reserved" and record["owner"] != owner:
        yield f"{address}, answered to {owner}, is held by {record['owner']}"


def check_touched(daemon, ledger):
    """Asks for every address that was in play in the last life."""
    api = daemon.api()
    for address in ledger.touched & set(ledger.owner_of):
        try:
            record = api.get(f"/v1/vmacs/{SEGMENT}/{address}")
        except lablib.ApiError as problem:
            assert problem.status == 404, problem
            record = None
        ledger.faults += check_one(ledger, address, record)
    ledger.touched.clear()
    api.close()


def check_all(daemon, ledger):
    """The whole registry: every answered address in it, and nothing in it that nobody asked for."""
    api, records, path = daemon.api(), {}, f"/v1/vmacs?segment={SEGMENT}&limit=10000"
    following = path
    while following:
        answer = api.get(following)
        for record in answer["items"]:
            if record["address"] in records:
                ledger.faults.append(f"{record['address']} is listed twice")
            records[record["address"]] = record
        following = f"{path}&after={answer['next']}" if answer["more"] else None
    api.close()
    for address in ledger.owner_of:
        ledger.faults += check_one(ledger, address, records.get(address))
    for address, record in records.items():
        if record["state"] == "reserved" and address not in ledger.owner_of and record["owner"] not in ledger.unanswered:
            ledger.faults.append(f"{address} is held for {record['owner']}, and no open request asked for it")
    return len(records)


def test_no_answer_is_lost_and_nothing_is_given_twice():
    seed = int(os.environ.get("VMAC_SEED", time.time_ns() % 1_000_000))
    print(f"VMAC_SEED={seed}")
    dice = random.Random(seed)
    ledger = Ledger()
    with lablib.Lab() as lab:
        daemon = lab.daemon(None, "registry", "--backend", "sqlite", "--no-plane")
        daemon.vmac("segment", "add", SEGMENT)
        daemon.vmac("pool", "add", "p", "--segment", SEGMENT, "--range", "06:77:00:00:00:00..06:77:ff:ff:ff:ff",
                    "--quarantine", "24h")
        for generation in range(KILLS):
            stop = threading.Event()
            clients = [Client(daemon, ledger, number, generation, dice.random(), stop) for number in range(CLIENTS)]
            for client in clients:
                client.start()
            time.sleep(dice.uniform(0, 0.2))
            daemon.kill(signal.SIGKILL)
            stop.set()
            for client in clients:
                client.join(30)
                assert not client.is_alive(), "a client hangs"
            # One time in five the next one dies too, while it starts.
            if dice.random() < 0.2:
                with open(daemon.log, "ab") as log:
                    process = lab.start(*daemon.argv(), stdout=log, stderr=log)
                time.sleep(dice.uniform(0, 0.05))
                process.kill()
                process.wait()
            daemon.start()
            check_touched(daemon, ledger)
            if generation % 25 == 24:
                check_all(daemon, ledger)
            assert not ledger.faults, (f"after {generation + 1} kills (VMAC_SEED={seed}): {len(ledger.faults)} faults: "
                                       + "; ".join(ledger.faults[:5]))
        held = check_all(daemon, ledger)
        assert not ledger.faults, f"(VMAC_SEED={seed}) " + "; ".join(ledger.faults[:5])
        daemon.kill(signal.SIGTERM)
        for file in daemon.state.glob("*.db"):
            with sqlite3.connect(file) as database:
                assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        # The load was real: it met the kills with requests in flight, and none of the kinds was idle.
        assert min(ledger.counts[kind] for kind in ("allocated", "pinned", "batch", "released")) >= KILLS // 10
        assert KILLS < 20 or ledger.unanswered
        print(f"{KILLS} kills, {dict(ledger.counts)}, {len(ledger.unanswered)} unanswered, {held} records")
