"""What every benchmark needs: samples by round, statistics, tables, tools, namespaces, a vmacd.

A round measures every system once; the next round does so in the opposite order.  Whatever drifts on the
machine meanwhile hits all systems alike, and a comparison is made inside a round before the median is taken
over the rounds.
"""
import contextlib
import datetime
import http.client
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BPFFS = "/sys/fs/bpf"
LOAD_BEFORE = os.getloadavg()[0]  # what else the machine does: figures of a busy one say so


class Failure(Exception):
    """The benchmark cannot run; the text is for a person."""


def say(text):
    print(text, file=sys.stderr, flush=True)


# --- samples and statistics -----------------------------------------------------------------------------


def spread(values):
    """(median, first quartile, third quartile)"""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, low, high


class Samples:
    """Values by (case, system), one a round; None where a round gave none."""

    def __init__(self):
        self.values = {}
        self.units = {}
        self.notes = {}

    def add(self, case, system, value, unit):
        self.values.setdefault((case, system), []).append(value)
        self.units[(case, system)] = unit

    def skip(self, case, system, unit, why):
        self.values.setdefault((case, system), [])
        self.units[(case, system)] = unit
        self.notes[(case, system)] = why

    def note(self, case, system, why):
        self.notes[(case, system)] = why

    def of(self, case, system):
        return self.values.get((case, system), [])

    def ratios(self, case, over, under):
        pairs = zip(self.of(case, over), self.of(case, under))
        return [a / b for a, b in pairs if a is not None and b]

    def rows(self):
        rows = []
        for (case, system), values in self.values.items():
            values = [v for v in values if v is not None]
            middle, low, high = spread(values) if values else (None, None, None)
            row = {"case": case, "system": system, "value": rounded(middle), "low": rounded(low),
                   "high": rounded(high), "unit": self.units[(case, system)]}
            if (case, system) in self.notes:
                row["note"] = self.notes[(case, system)]
            rows.append(row)
        return rows


def rounded(value):
    return None if value is None else float(f"{value:.4g}") if abs(value) < 1000 else round(value)


def must(what, limit, figure, at_most=False):
    holds = None if figure is None else figure <= limit if at_most else figure >= limit
    return {"what": what, "limit": limit, "figure": rounded(figure), "holds": holds}


def in_turn(systems, index):
    """A/B, then B/A: neither always goes first."""
    return systems if index % 2 == 0 else list(reversed(systems))


# --- tables ---------------------------------------------------------------------------------------------


def human(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def verdict(entry):
    return {None: "not measured", True: "holds", False: "MISSED"}[entry["holds"]]


def row_cells(row):
    return [row["case"], row["system"], human(row["value"]),
            f"{human(row['low'])} … {human(row['high'])}" if row["value"] is not None else "",
            row["unit"], row.get("note", "")]


def must_cells(entry):
    return [entry["what"], human(entry["limit"]), human(entry["figure"]), verdict(entry)]


ROW_HEADINGS = ["case", "system", "median", "quartiles", "unit", "note"]
MUST_HEADINGS = ["must", "limit", "figure", ""]


def aligned(headings, lines):
    widths = [max(len(line[i]) for line in [headings, *lines]) for i in range(len(headings))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                     for line in [headings, *lines])


def draw_table(result):
    return "\n".join([
        f"{result['bench']}: {result['machine']}", "",
        aligned(ROW_HEADINGS, [row_cells(row) for row in result["rows"]]), "",
        aligned(MUST_HEADINGS, [must_cells(entry) for entry in result["musts"]])])


def markdown_table(headings, lines):
    table = ["| " + " | ".join(line) + " |" for line in [headings, *lines]]
    table.insert(1, "|" + "---|" * len(headings))
    return "\n".join(table)


def draw_markdown(result):
    return "\n".join([
        f"## {result['bench']}", "", result["machine"] + ".", "",
        *([result["text"], ""] if "text" in result else []),
        markdown_table(MUST_HEADINGS, [must_cells(entry) for entry in result["musts"]]), "",
        markdown_table(ROW_HEADINGS, [row_cells(row) for row in result["rows"]]), ""])


# --- the machine ----------------------------------------------------------------------------------------


def first_match(path, key):
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""


def machine():
    memory = int(first_match("/proc/meminfo", "MemTotal").split()[0]) / (1 << 20)
    cpus = os.cpu_count()
    virtual = " virtual" if "hypervisor" in first_match("/proc/cpuinfo", "flags").split() else ""
    return (f"{datetime.date.today()}, {cpus}{virtual} CPUs "
            f"({first_match('/proc/cpuinfo', 'model name')}), {memory:.0f} GiB, "
            f"{platform.system()} {platform.release()}, load average {LOAD_BEFORE:.1f} before it began")


def run(*argv, check=True, quiet=False, **options):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **options)
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    if quiet and done.returncode != 0:
        return None
    return done.stdout


def run_json(*argv, **options):
    return json.loads(run(*argv, **options))


class Tools:
    """The programs that we built, and where they are."""

    def __init__(self, build, needs_daemon):
        self.build = os.path.abspath(build or os.path.join(ROOT, "build"))
        if not os.path.isdir(self.build):
            run("meson", "setup", self.build, ROOT)
        run("ninja", "-C", self.build, "bench-tools")
        self.vmacd = os.path.join(self.build, "src", "daemon", "vmacd")
        if needs_daemon and os.path.isdir(os.path.join(ROOT, "src", "daemon")):
            run("ninja", "-C", self.build, "src/daemon/vmacd", "src/errand/http-probe")
        self.has_daemon = os.path.exists(self.vmacd)

    def __getattr__(self, name):
        path = os.path.join(self.build, "bench", "bench-" + name)
        if not os.path.exists(path):
            raise Failure(f"bench-{name} was not built: clang, bpftool and libbpf-dev are needed")
        return path


def scratch(stack, parent="/var/tmp"):
    """A directory on a real disk that goes away with the stack."""
    path = os.path.join(parent, f"vmac-bench-{os.getpid()}")
    os.mkdir(path, 0o700)
    stack.callback(shutil.rmtree, path, ignore_errors=True)
    return path


def stop_process(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


# --- network namespaces ---------------------------------------------------------------------------------


class Netns:
    """A network namespace with loopback up and IPv6 silent; deleted with the stack."""

    def __init__(self, stack, name):
        self.name = f"vmac-t-{os.getpid()}-{name}"
        self.path = f"/run/netns/{self.name}"
        run("ip", "netns", "add", self.name)
        stack.callback(run, "ip", "netns", "del", self.name, check=False)
        self.ip("link", "set", "lo", "up")
        self.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        self.sysctl("net.ipv6.conf.default.disable_ipv6", 1)

    def inside(self, *argv):
        # Not `ip netns exec`: that gives a fresh /sys without our bpffs.
        return ("nsenter", f"--net={self.path}", *argv)

    def run(self, *argv, **options):
        return run(*self.inside(*argv), **options)

    def ip(self, *argv, **options):
        return run("ip", "-n", self.name, *argv, **options)

    def sysctl(self, name, value):
        self.run("sysctl", "-qw", f"{name}={value}")


def pin_directory(stack, name):
    """A directory below the bpffs; what is pinned there is let go with the stack."""
    if not os.path.ismount(BPFFS):
        run("mount", "-t", "bpf", "bpf", BPFFS)
    top = os.path.join(BPFFS, f"vmac-bench-{os.getpid()}")
    path = os.path.join(top, name)
    if not os.path.isdir(top):
        os.mkdir(top)
        stack.callback(remove_pins, top)
    os.mkdir(path)
    stack.callback(remove_pins, path)
    return path


def remove_pins(path):
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(path):
            full = os.path.join(path, name)
            remove_pins(full) if os.path.isdir(full) else os.unlink(full)
        os.rmdir(path)


# --- vmacd ----------------------------------------------------------------------------------------------


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("vmac", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Vmacd:
    """A daemon of our own: instance, state and socket are this benchmark's."""

    def __init__(self, tools, directory, netns=None, plane=False):
        self.tools, self.netns, self.plane = tools, netns, plane
        self.instance = f"bench-{os.getpid()}"
        self.state = os.path.join(directory, "state")
        self.socket = os.path.join(directory, "vmacd.sock")
        self.log_path = os.path.join(directory, "vmacd.log")
        self.process = None
        os.makedirs(self.state, exist_ok=True)

    def argv(self, *more):
        argv = (self.tools.vmacd, "--instance", self.instance, "--state-dir", self.state,
                "--socket", self.socket, "--log-level", "warning",
                *(() if self.plane else ("--no-plane",)), *more)
        return self.netns.inside(*argv) if self.netns else argv

    def start(self, wait=True):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.argv(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        deadline = time.monotonic() + 20
        while True:
            try:
                return self.ask("GET", "/v1/status")
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"vmacd does not answer: {self.log_tail()}")
            time.sleep(0.02)

    def log_tail(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return " / ".join(file.read().splitlines()[-4:])

    def ask(self, method, path, body=None):
        connection = UnixConnection(self.socket)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            reply = connection.getresponse()
            text = reply.read()
        if reply.status >= 300:
            raise Failure(f"vmacd: {method} {path}: {reply.status} {text.decode()[:300]}")
        return json.loads(text) if text else None

    def resident_bytes(self):
        return int(first_match(f"/proc/{self.process.pid}/status", "VmRSS").split()[0]) * 1024

    def stop(self):
        if self.process:
            stop_process(self.process)
            self.process = None

    def remove(self):
        self.stop()
        if self.plane:
            run(*self.argv("--purge"), check=False, timeout=20)


def block_interrupts():
    """While tidying up, a second Ctrl-C must not leave half of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@contextlib.contextmanager
def tidy():
    """An exit stack that is unwound whatever happens."""
    stack = contextlib.ExitStack()
    try:
        yield stack
    finally:
        previous = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        block_interrupts()
        stack.close()
        signal.signal(signal.SIGINT, previous[0])
        signal.signal(signal.SIGTERM, previous[1])
