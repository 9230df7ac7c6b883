"""The lab: network namespaces, links, vmacd, vmac and real guests, made for one test and gone after it.

    with Lab() as lab:
        host, lan = lab.netns("host"), lab.netns("lan")
        lab.link(host, "eth0", lan, "port1")
        daemon = lab.daemon(host)
        daemon.vmac("segment", "add", "lan", "--uplink", "eth0")

Everything has the prefix vmac-t-lab<pid>-<n>, so that two runs never meet and the next run can sweep what
a killed one left.  Processes die with the test that started them.  Nothing here touches the namespace
that the test runs in: no link, address or route of the machine changes."""
import atexit
import contextlib
import ctypes
import hashlib
import http.client
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUEST = ROOT / "tests" / "e2e" / "guest"
RUNTIME = pathlib.Path("/run/vmac-t")
BPFFS = pathlib.Path("/sys/fs/bpf/vmac")
PREFIX = "vmac-t-lab"

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1


class LabError(Exception):
    """The lab itself, or what a test asked of it, went wrong."""


def wait_for(what, condition, seconds=10, every=0.05):
    """Returns the first true value of condition(); raises when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"not within {seconds} s: {what}")
        time.sleep(every)


def binary(name):
    """A program that the build made, in VMAC_BUILD or where ./check and people build."""
    builds = [os.environ["VMAC_BUILD"]] if "VMAC_BUILD" in os.environ else [ROOT / "build-check", ROOT / "build"]
    for build in map(pathlib.Path, builds):
        for candidate in [*sorted(build.glob(f"src/*/{name}")), build / "tests" / "lab" / name]:
            if os.access(candidate, os.X_OK) and candidate.is_file():
                return str(candidate)
    raise LabError(f"no {name} in {' or '.join(map(str, builds))}; build first")


def missing():
    """What this machine lacks for the lab, as a sentence; "" = nothing."""
    if os.geteuid() != 0:
        return "needs root"
    if not os.path.exists("/dev/net/tun"):
        return "the kernel has no TUN/TAP (/dev/net/tun)"
    if "bpf" not in pathlib.Path("/proc/filesystems").read_text():
        return "the kernel has no BPF file system (CONFIG_BPF_SYSCALL)"
    return ""


def _start_time(pid):
    """What tells a process from a later one of the same number; None = there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return None


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Netns:
    """A network namespace; everything that runs in it keeps the mounts of the test (BPF pins are seen)."""

    def __init__(self, lab, name):
        self.lab, self.name, self.path = lab, name, f"/run/netns/{name}"

    def argv(self, *command):
        return ["nsenter", f"--net={self.path}", *map(str, command)]

    def run(self, *command, check=True, timeout=60, **options):
        """Runs a command; returns CompletedProcess with text of both streams."""
        done = subprocess.run(self.argv(*command), capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, check=False, **options)
        if check and done.returncode != 0:
            raise LabError(f"{self.name}: {' '.join(map(str, command))}: exit {done.returncode}: "
                           f"{done.stderr.strip() or done.stdout.strip()}")
        return done

    def sh(self, script, **options):
        return self.run("sh", "-euc", script, **options)

    def start(self, *command, **options):
        return self.lab.start(*self.argv(*command), **options)

    def socket(self, *arguments):
        """A socket that lives in this namespace although the test does not."""
        made = []

        def make():
            with open(self.path, "rb") as handle:
                if _libc.setns(handle.fileno(), _CLONE_NEWNET) != 0:
                    made.append(OSError(ctypes.get_errno(), "setns"))
                    return
            try:
                made.append(socket.socket(*arguments))
            except OSError as problem:
                made.append(problem)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def packet_socket(self, ifname, protocol=3, incoming=False):
        """A raw socket on one link.  protocol 3 = every frame, both ways; 0 = for sending only."""
        raw = self.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        raw.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE: a burst must not get lost here
        if incoming:
            raw.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING
        raw.bind((ifname, protocol))
        return raw

    def link_address(self, ifname):
        return json.loads(self.run("ip", "-j", "link", "show", "dev", ifname).stdout)[0]["address"]

    def addresses(self, ifname, family):
        """Global addresses of a link that may be used."""
        shown = json.loads(self.run("ip", "-j", f"-{family}", "addr", "show", "dev", ifname).stdout)
        return [a["local"] for link in shown for a in link.get("addr_info", ())
                if a["scope"] == "global" and not a.get("tentative")]

    def ping(self, address, count=3, interval=0.05, timeout=2):
        """How many of `count` echo requests were answered."""
        return ping(self, address, count, interval, timeout)

    def pids(self):
        return [int(pid) for pid in subprocess.run(["ip", "netns", "pids", self.name], text=True,
                                                   capture_output=True, check=False).stdout.split()]


def _checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ping(ns, address, count=3, interval=0.05, timeout=2):
    """Echo requests over a raw socket; no ping program has to be installed."""
    six = ":" in address
    if six:
        sock = ns.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    else:
        sock = ns.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    mark = (os.getpid() ^ id(sock)) & 0xffff
    answered = set()
    with sock:
        deadline = time.monotonic() + (count - 1) * interval + timeout
        following = time.monotonic()
        sent = 0
        while len(answered) < count and time.monotonic() < deadline:
            if sent < count and time.monotonic() >= following:
                head = bytes([128 if six else 8, 0])
                tail = mark.to_bytes(2, "big") + sent.to_bytes(2, "big") + b"vmac" * 8
                # The kernel sums ICMPv6 itself.
                total = 0 if six else _checksum(head + b"\0\0" + tail)
                with contextlib.suppress(OSError):  # no route yet, no neighbour: no answer
                    sock.sendto(head + total.to_bytes(2, "big") + tail, (address, 0))
                sent += 1
                following += interval
            sock.settimeout(max(0.001, min(deadline, following if sent < count else deadline) - time.monotonic()))
            try:
                data = sock.recv(2048)
            except (TimeoutError, OSError):
                continue
            if not six:
                data = data[(data[0] & 15) * 4:]
            if data[0] == (129 if six else 0) and int.from_bytes(data[4:6], "big") == mark:
                answered.add(int.from_bytes(data[6:8], "big"))
    return len(answered)


class ApiError(Exception):
    """The daemon answered with an error."""

    def __init__(self, status, body):
        self.status, self.body = status, body
        error = body.get("error", {}) if isinstance(body, dict) else {}
        self.code, self.hint = error.get("code", ""), error.get("hint", "")
        super().__init__(f"{status} {self.code}: {error.get('message', body)}")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=30):
        super().__init__("vmacd", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Api:
    """A client of vmacd's socket; keeps its connection."""

    def __init__(self, path, timeout=30):
        self.path, self.timeout, self.connection = path, timeout, None

    def call(self, method, path, body=None):
        """The decoded answer; ApiError for a refusal, OSError or HTTPException for a broken connection."""
        if self.connection is None:
            self.connection = UnixConnection(self.path, self.timeout)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            self.connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = self.connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        try:
            answer = json.loads(text) if text else None
        except ValueError:
            answer = text.decode(errors="replace")
        if response.status >= 400:
            raise ApiError(response.status, answer)
        return answer

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, **body):
        return self.call("POST", path, body)

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Daemon:
    """vmacd in a namespace (or, without one, for the registry alone), and vmac talking to it."""

    def __init__(self, lab, ns, name, *options, config=None):
        self.lab, self.ns = lab, ns
        self.config = config
        self.instance = f"{lab.name.removeprefix('vmac-')}-{name}"
        self.directory = lab.directory / name
        self.directory.mkdir()
        self.state = self.directory / "state"
        self.socket = self.directory / "sock"
        self.log = self.directory / "vmacd.log"
        self.options = options
        self.process = None
        lab.instances.append(self)

    def argv(self, *more):
        config = os.devnull
        if self.config is not None:
            config = self.directory / "vmacd.yaml"
            config.write_text(self.config)
        return [binary("vmacd"), "--config", str(config), "--instance", self.instance, "--state-dir", str(self.state),
                "--socket", str(self.socket), *self.options, *more]

    def start(self, seconds=20):
        """Starts it and waits until it answers."""
        argv = self.argv()
        if self.ns:
            argv = self.ns.argv(*argv)
        with open(self.log, "ab") as log:
            # What is installed is found by its place; what is only built must be named.
            self.process = self.lab.start(*argv, stdout=log, stderr=log,
                                          env={**os.environ, "VMAC_HTTP_PROBE": binary("http-probe"),
                                               "VMAC_ETCD_MODULE": binary("libvmac_etcd.so")})

        def answers():
            if self.process.poll() is not None:
                raise LabError(f"vmacd ended with {self.process.returncode}: {self.tail()}")
            api = Api(self.socket, timeout=5)
            try:
                return api.get("/v1/status")
            except (OSError, http.client.HTTPException):
                return None
            finally:
                api.close()

        wait_for("vmacd answers", answers, seconds, 0.02)
        return self

    def tail(self, lines=5):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def kill(self, number=signal.SIGKILL, seconds=10):
        """Ends it by a signal; its ports go on forwarding."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def restart(self):
        if self.process.poll() is None:
            self.kill(signal.SIGTERM)
        return self.start()

    def purge(self):
        """Takes away what it left in the kernel."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if "--no-plane" in self.options or not (BPFFS / self.instance).exists():
            return
        argv = self.argv("--purge")
        subprocess.run(self.ns.argv(*argv) if self.ns else argv, capture_output=True, timeout=30, check=False)
        shutil.rmtree(BPFFS / self.instance, ignore_errors=True)

    def api(self, timeout=30):
        return Api(self.socket, timeout)

    def vmac(self, *arguments, status=0):
        """Runs vmac; returns what it printed.  The status must be the one expected (None = any)."""
        done = self.vmac_raw(*arguments)
        if status is not None and done.returncode != status:
            raise LabError(f"vmac {' '.join(map(str, arguments))}: exit {done.returncode}, not {status}: "
                           f"{done.stderr.strip()}")
        return done.stdout if done.returncode == 0 else done.stderr

    def vmac_raw(self, *arguments):
        # The socket is a file: the client may be in any namespace, --netns names are looked up by path.
        return subprocess.run([binary("vmac"), "--socket", str(self.socket), *map(str, arguments)], text=True,
                              capture_output=True, timeout=60, stdin=subprocess.DEVNULL, check=False)

    def vmacj(self, *arguments):
        return json.loads(self.vmac("--json", *arguments))

    def port(self, name):
        api = self.api()
        try:
            return api.get(f"/v1/ports/{name}")
        finally:
            api.close()

    def drops(self, name):
        """The port's drops by reason; reasons that never happened may be absent."""
        return dict(self.port(name)["counters"].get("drops", {}))

    def wait_port(self, name, phase="active", seconds=10):
        return wait_for(f"port {name} is {phase}",
                        lambda: (lambda port: port if port["phase"] == phase else None)(self.port(name)), seconds)


class Guest:
    """A real QEMU guest on tap ports; run() executes in it."""

    def __init__(self, lab, ns, name, nics):
        if not shutil.which("qemu-system-x86_64"):
            raise LabError("qemu-system-x86_64 is not installed")
        prepared = subprocess.run([GUEST / "prepare"], text=True, capture_output=True, check=False)
        if prepared.returncode != 0:
            raise LabError(f"no guest: {prepared.stderr.strip()}")
        self.lab, self.ns, self.name, self.nics = lab, ns, name, nics
        self.image = prepared.stdout.strip()
        self.directory = lab.directory / f"guest-{name}"
        self.directory.mkdir()
        self.console = None
        self.lock = threading.Lock()
        self.process = None
        self.start()

    def start(self):
        """Boots; returns at once, the first run() waits."""
        argv = [GUEST / "boot", self.image, self.directory, self.name]
        for nic in self.nics:
            argv += ["--nic", ",".join(map(str, nic))]
        with open(self.directory / "qemu.log", "ab") as log:
            self.process = self.ns.start(*argv, stdout=log, stderr=log)

    def run(self, command, timeout=60, check=True):
        with self.lock:
            if self.console is None:
                self.console = _console().Console(str(self.directory / "console"), 60)
            status, output = self.console.run(command, timeout)
        if check and status != 0:
            raise LabError(f"guest {self.name}: {command}: exit {status}: {output.strip()}")
        return output

    def addresses(self, ifname, family):
        shown = self.run(f"ip -{family} addr show dev {ifname} scope global")
        return [found[1] for found in re.finditer(r"inet6? ([^/ ]+)/\S+(?!.*tentative)", shown)]

    def ping(self, address, count=3, interval=0.1, timeout=2):
        program = "ping6" if ":" in address else "ping"
        shown = self.run(f"{program} -c {count} -i {interval} -W {timeout} {address}", check=False,
                         timeout=count * interval + timeout + 10)
        found = re.search(r"(\d+) packets received", shown)
        return int(found[1]) if found else 0

    def stop(self):
        if self.console:
            self.console.close()
            self.console = None
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _console():
    """The console tool as a module."""
    if "vmac_console" not in sys.modules:
        import importlib.machinery
        import importlib.util
        loader = importlib.machinery.SourceFileLoader("vmac_console", str(GUEST / "console"))
        spec = importlib.util.spec_from_loader("vmac_console", loader)
        module = importlib.util.module_from_spec(spec)
        dont_write, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        loader.exec_module(module)
        sys.dont_write_bytecode = dont_write
        sys.modules["vmac_console"] = module
    return sys.modules["vmac_console"]


@contextlib.contextmanager
def small_disk(size="12m"):
    """A file system of its own, which can be filled."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="vmac-t-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "vmac-t", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)
        directory.rmdir()


def fill(disk):
    """Leaves not one block free; returns the file to delete when there is to be room again."""
    ballast = disk / "ballast"
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


class Lab:
    """Owns all it made; close() takes everything back, in the order in which nothing is left over."""

    _numbers = itertools.count(1)

    def __init__(self):
        lacks = missing()
        if lacks:
            raise LabError(lacks)
        sweep()
        self.name = f"{PREFIX}{os.getpid()}-{next(Lab._numbers)}"
        self.directory = RUNTIME / self.name
        self.directory.mkdir(parents=True)
        (self.directory / "owner").write_text(f"{os.getpid()} {_start_time(os.getpid())}")
        self.namespaces, self.processes, self.instances, self.guests = [], [], [], []
        self.closed = False
        atexit.register(self.close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def start(self, *command, **options):
        """Starts a process that ends with the lab, and with the test however that ends."""
        if threading.current_thread() is not threading.main_thread():
            raise LabError("start processes from the main thread: they die with the thread that made them")
        options.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(list(map(str, command)), preexec_fn=_die_with_parent, **options)
        self.processes.append(process)
        return process

    def netns(self, role):
        ns = Netns(self, f"{self.name}-{role}")
        subprocess.run(["ip", "netns", "add", ns.name], check=True)
        self.namespaces.append(ns)
        # No duplicate detection: nobody else is here, and it costs every test seconds.
        ns.sh("ip link set lo up; echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad;"
              "echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad")
        return ns

    def link(self, a, a_name, b, b_name, up=True):
        """A cable (veth) between two namespaces."""
        a.run("ip", "link", "add", a_name, "type", "veth", "peer", "name", b_name, "netns", b.name)
        if up:
            a.run("ip", "link", "set", a_name, "up")
            b.run("ip", "link", "set", b_name, "up")

    def daemon(self, ns, name="vmacd", *options, start=True, config=None):
        daemon = Daemon(self, ns, name, *options, config=config)
        return daemon.start() if start else daemon

    def guest(self, ns, name, *nics):
        """Boots a guest; nics: (model, tap, mac[, queues])."""
        guest = Guest(self, ns, name, nics)
        self.guests.append(guest)
        return guest

    def close(self):
        if self.closed:
            return
        self.closed = True
        atexit.unregister(self.close)
        for guest in self.guests:
            guest.stop()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        # An instance whose vmacd still ran would refuse this.
        for daemon in self.instances:
            with contextlib.suppress(LabError, subprocess.SubprocessError):
                daemon.purge()
        for ns in self.namespaces:
            subprocess.run(["ip", "netns", "del", ns.name], check=False, capture_output=True)
        if not os.environ.get("VMAC_LAB_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)


def sweep():
    """Takes away what test runs left that were killed; what lives is not touched."""
    for directory in RUNTIME.glob(f"{PREFIX}*"):
        try:
            pid, started = (directory / "owner").read_text().split()
        except (OSError, ValueError):
            continue
        if _start_time(pid) == started:
            continue
        for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else ():
            if name.startswith(directory.name + "-"):
                subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        for pins in BPFFS.glob(f"{directory.name.removeprefix('vmac-')}-*"):
            shutil.rmtree(pins, ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)


# --- traffic -------------------------------------------------------------------------------------------

class Sums:
    """Takes TCP connections on a port, reads each to its end and answers with the MD5 sum."""

    def __init__(self, ns, port, family=socket.AF_INET6):
        self.listener = ns.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
        self.listener.listen(8)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    @staticmethod
    def _answer(connection):
        with connection, contextlib.suppress(OSError):
            total = hashlib.md5()
            while data := connection.recv(1 << 20):
                total.update(data)
            connection.sendall((total.hexdigest() + "\n").encode())

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def send_blob(ns, address, port, blob, timeout=60):
    """Sends to a server of sums (Sums, or a guest's); returns the sum that came back."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with ns.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        sock.connect((address, port))
        sock.sendall(blob)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while data := sock.recv(4096):
            answer += data
    return answer.decode().split()[0] if answer else ""


def fetch_sum(ns, address, port, file, timeout=60):
    """The MD5 sum of a file that a web server gives."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with ns.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        sock.connect((address, port))
        sock.sendall(f"GET /{file} HTTP/1.0\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            data = sock.recv(65536)
            if not data:
                raise LabError(f"no answer from the web server: {head!r}")
            head += data
        head, rest = head.split(b"\r\n\r\n", 1)
        if b" 200 " not in head.split(b"\r\n")[0] + b" ":
            raise LabError(f"the web server refused: {head!r}")
        total = hashlib.md5(rest)
        while data := sock.recv(1 << 20):
            total.update(data)
    return total.hexdigest()


class UdpStream:
    """Numbered datagrams at a rate from one namespace to a bound address in another; what is lost shows."""

    def __init__(self, sender, receiver, address, port=7000, pps=1000):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.address, self.port, self.gap = address, port, 1 / pps
        self.out, self.into = sender.socket(family, socket.SOCK_DGRAM), receiver.socket(family, socket.SOCK_DGRAM)
        self.into.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
        self.into.bind((address, port))
        self.into.settimeout(0.2)
        self.sent, self.refused, self.got, self.twice = 0, 0, set(), 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._send, daemon=True),
                        threading.Thread(target=self._receive, daemon=True)]
        for thread in self.threads:
            thread.start()

    def _send(self):
        following = time.monotonic()
        while not self.stopping.is_set():
            try:
                self.out.sendto(self.sent.to_bytes(8, "big") + bytes(56), (self.address, self.port))
                self.sent += 1
            except OSError:
                self.refused += 1
            following += self.gap
            time.sleep(max(0, following - time.monotonic()))

    def _receive(self):
        quiet_since = None
        while quiet_since is None or time.monotonic() - quiet_since < 0.5:
            try:
                number = int.from_bytes(self.into.recv(2048)[:8], "big")
            except (TimeoutError, OSError):
                if self.stopping.is_set() and quiet_since is None:
                    quiet_since = time.monotonic()
                continue
            if number in self.got:
                self.twice += 1
            self.got.add(number)

    def stop(self):
        """Ends the stream; returns how many were lost."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        self.out.close()
        self.into.close()
        return self.sent - len(self.got)
