"""allocate: durable allocations a second through the real vmacd and its socket, beside the bare disk."""
import json
import os
import time

from harness import Failure, Samples, Vmacd, in_turn, machine, must, run_json, say, scratch, spread, \
    tidy

POOL = {"name": "bench", "segment": "bench",
        "ranges": ["72:00:00:00:00:00..72:ff:ff:ff:ff:ff"]}
BATCH = 10_000
BATCHES_IN_FLIGHT = 4
MILLION = 1_000_000
DISK_PATTERNS = {"append-64": "append 64 B", "append-4096": "append 4 KiB",
                 "overwrite-4096": "overwrite 4 KiB"}
DISK = "write and fdatasync"
RATE = "allocations/s"


def load(tools, vmacd, connections, limit, path, body):
    answer = run_json(tools.load, vmacd.socket, str(connections), limit, path, json.dumps(body))
    if answer["refusals"] or not answer["answers"]:
        raise Failure(f"vmacd refused {path}: {answer['refusal'][:400]}")
    return answer


def new_daemon(stack, tools, directory, name):
    path = os.path.join(directory, name)
    os.mkdir(path)
    vmacd = Vmacd(tools, path)
    vmacd.instance += "-" + name
    stack.callback(vmacd.remove)
    vmacd.start()
    vmacd.ask("POST", "/v1/segments", {"name": "bench"})
    vmacd.ask("POST", "/v1/pools", POOL)
    return vmacd


def check_used(vmacd, answered):
    """Every answer is an address of its own that the registry holds, or the figures mean nothing."""
    used = vmacd.ask("GET", "/v1/pools/bench")["used"]
    if used != answered:
        raise Failure(f"{answered} allocations were answered, but the pool has {used} in use")


# --- one by one, and many in flight -----------------------------------------------------------------------


class Rates:
    """The systems of the first part: each is a name and a way to take one sample."""

    def __init__(self, tools, samples, directory, vmacd, seconds):
        self.tools, self.samples, self.vmacd = tools, samples, vmacd
        self.directory, self.seconds = directory, seconds
        self.answered = 0
        self.systems = [lambda p=p: self.disk(p) for p in DISK_PATTERNS]
        self.systems.insert(1, lambda: self.clients(1, "one by one"))
        self.systems.append(lambda: self.clients(64, "64 in flight"))

    def disk(self, pattern):
        done = run_json(self.tools.disk, self.directory, pattern, str(self.seconds))
        self.samples.add("one by one", f"{DISK}, {DISK_PATTERNS[pattern]}",
                         done["turns"] / done["seconds"], "turns/s")

    def clients(self, connections, case):
        done = load(self.tools, self.vmacd, connections, f"{self.seconds}s", "/v1/vmacs",
                    {"pool": "bench"})
        self.answered += done["answers"]
        self.samples.add(case, "vmacd", done["answers"] / done["seconds"], RATE)
        self.samples.add(f"{case}: latency p50", "vmacd", done["p50_us"], "µs")
        self.samples.add(f"{case}: latency p99", "vmacd", done["p99_us"], "µs")


def measure_rates(stack, tools, samples, directory, rounds, quick):
    vmacd = new_daemon(stack, tools, directory, "rates")
    rates = Rates(tools, samples, directory, vmacd, 0.3 if quick else 1)
    for index in range(rounds):
        say(f"allocate: one by one and 64 in flight, round {index + 1} of {rounds}")
        for sample in in_turn(rates.systems, index):
            sample()
    check_used(vmacd, rates.answered)
    vmacd.stop()


# --- batches, and what a million of them cost -------------------------------------------------------------


def measure_batches(stack, tools, samples, directory, rounds):
    vmacd = new_daemon(stack, tools, directory, "million")
    empty = restart(tools, vmacd)
    answered = 1  # restart() asks for one
    batches = -(-MILLION // BATCH // rounds)
    for index in range(rounds):
        say(f"allocate: batches, round {index + 1} of {rounds}")
        done = load(tools, vmacd, BATCHES_IN_FLIGHT, str(batches), "/v1/vmacs/batch",
                    {"pool": "bench", "count": BATCH})
        answered += done["answers"] * BATCH
        samples.add(f"batches of {BATCH:,}, {BATCHES_IN_FLIGHT} in flight", "vmacd",
                    done["answers"] * BATCH / done["seconds"], RATE)
    check_used(vmacd, answered)
    return vmacd, answered, empty["resident"]


def restart(tools, vmacd):
    """Stops and starts the daemon; returns how long it was from exec to the first allocation answered."""
    vmacd.stop()
    started = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    vmacd.start(wait=False)
    first = load(tools, vmacd, 1, "first", "/v1/vmacs", {"pool": "bench"})
    return {"seconds": (first["last_ns"] - started) / 1e9, "resident": vmacd.resident_bytes()}


def measure_start(tools, samples, vmacd, entries, empty_bytes, rounds):
    for index in range(rounds):
        say(f"allocate: start-up with {entries:,} records, round {index + 1} of {rounds}")
        started = restart(tools, vmacd)
        entries += 1
        samples.add("start-up with 1 M records, to the first answered allocation", "vmacd",
                    started["seconds"], "s")
        samples.add("memory a live entry", "vmacd",
                    (started["resident"] - empty_bytes) / entries, "B")
    samples.add("registry on the disk, a live entry", "vmacd",
                sum(entry.stat().st_size for entry in os.scandir(vmacd.state)) / entries, "B")
    check_used(vmacd, entries)
    vmacd.stop()


# --- all --------------------------------------------------------------------------------------------------


def middle(values):
    return spread(values)[0] if values else None


def musts(samples, batch_case):
    disk = f"{DISK}, {DISK_PATTERNS['append-64']}"
    pairs = zip(samples.of("one by one", "vmacd"), samples.of("one by one", disk))
    ratio = middle([a / b for a, b in pairs])
    start = middle(samples.of("start-up with 1 M records, to the first answered allocation", "vmacd"))
    return [
        must("one by one, as a share of the disk's own 64 B append and fdatasync, at least", 0.6,
             ratio),
        must("64 in flight, allocations/s, at least", 20_000,
             middle(samples.of("64 in flight", "vmacd"))),
        must("batches, allocations/s, at least", 250_000, middle(samples.of(batch_case, "vmacd"))),
        must("start-up with 1 M records, seconds, at most", 0.5, start, at_most=True),
    ]


def run(tools, rounds, quick):
    if not tools.has_daemon:
        raise Failure("vmacd is not built")
    samples = Samples()
    with tidy() as stack:
        directory = scratch(stack)
        measure_rates(stack, tools, samples, directory, rounds, quick)
        vmacd, entries, empty_bytes = measure_batches(stack, tools, samples, directory, rounds)
        measure_start(tools, samples, vmacd, entries, empty_bytes, rounds)
    return {"bench": "allocate", "machine": machine(), "rows": samples.rows(),
            "musts": musts(samples, f"batches of {BATCH:,}, {BATCHES_IN_FLIGHT} in flight")}
