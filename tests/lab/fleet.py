"""Hosts that share a registry: vmacd on each, a real etcd, a switch between them."""
import contextlib
import os
import pathlib
import signal
import threading
import time

import etcd
import lab
import moving

KEY = "00112233445566778899aabbccddeeff"


class VmacHost:
    """A host of the fleet: its NIC eth0 is on the switch, eth1 leads to the registry."""

    def __init__(self, fleet, name, number, cluster_key=KEY, opens=None, **more):
        self.fleet, self.name, self.number = fleet, name, number
        self.address = f"10.9.0.{number}"
        self.ns = fleet.switch.plug(name, self.address)
        fleet.etcd.attach(self.ns, "eth1", 10 + number)
        secret = fleet.place.directory / f"cluster-{name}.key"
        secret.write_text(cluster_key + "\n")
        secret.chmod(0o600)
        self.key_file = secret
        self.opens, self.more = opens, more
        self.daemon = fleet.place.daemon(self.ns, name, config=self.config(), start=False)
        self.watchers = {}

    def config(self):
        endpoints = ", ".join(f'"{one}"' for one in self.fleet.etcd.endpoints())
        lines = ["host:", f"  name: {self.name}", f"  address: {self.address}", f"  cluster_key_file: {self.key_file}",
                 *([f"  opens: {self.opens}"] if self.opens else []), "registry:", "  shared:", f"    endpoints: [{endpoints}]"]
        lines += [f"    {key}: {value}" for key, value in self.more.items()]
        return "\n".join(lines) + "\n"

    def start(self, join=True):
        self.daemon.config = self.config()
        self.daemon.start()
        if join:
            self.wait_joined()
        return self

    def wait_joined(self, seconds=20):
        lab.wait_for(f"{self.name} has joined", lambda: self.fleet_status().get("joined"), seconds)

    def restart(self, join=True):
        self.kill(signal.SIGTERM)
        return self.start(join)

    def vmac(self, *arguments, **options):
        return self.daemon.vmac(*arguments, **options)

    def vmacj(self, *arguments):
        return self.daemon.vmacj(*arguments)

    # What is asked again and again is asked by the API: a command each time would keep the processor from the hosts.

    def get(self, path):
        return self.call("GET", path)

    def fleet_status(self):
        return self.get("/v1/status")["fleet"]

    def move(self, mac):
        """How the move of an address stands here; None = it has none."""
        return self.vmacj("mac", "show", mac, "--segment", "lan").get("move")

    def moves(self):
        return {item["address"]: item for item in self.get("/v1/moves")["items"]}

    def state(self, mac):
        return self.moves().get(mac, {}).get("state", "none")

    def epoch(self, mac):
        return self.vmacj("mac", "show", mac, "--segment", "lan")["epoch"]

    def gate(self, mac):
        """Of its port here; "none" = there is none."""
        move = self.moves().get(mac)
        if move:
            return move["gate"]
        return "open" if any(port["vmac"] == mac for port in self.vmacj("port", "list")["items"]) else "none"

    def wait(self, mac, state, seconds=10):
        try:
            return lab.wait_for(f"{self.name}: {mac} is {state}", lambda: self.state(mac) == state, seconds, 0.02)
        except lab.LabError as problem:
            raise lab.LabError(f"{problem}; it is {self.moves().get(mac)}") from None

    # --- what moving.Vm asks of a host

    def prepare(self, vm, incoming):
        name = f"{vm.name}-{vm.numbers}"
        if not vm.mac:
            ips = [word for ip in vm.ips for word in ("--ip", ip)]
            vm.mac = self.vmacj("port", "add", name, "--kind", "tap", "--segment", "lan", *ips)["vmac"]
            return name
        if incoming and self.fleet.prepare:
            self.vmac("mac", "prepare", vm.mac, "--segment", "lan")
            self.wait(vm.mac, "ready")
        self.vmac("port", "add", name, "--kind", "tap", "--segment", "lan", "--mac", vm.mac)
        return name

    def leaving(self, vm, incarnation):
        """What a watcher of QEMU's events does."""
        if not self.fleet.watch:
            return
        def hint(verb):
            api = self.daemon.api()
            with contextlib.suppress(lab.ApiError, OSError):
                api.call("POST", f"/v1/vmacs/lan/{vm.mac}/{verb}", {})
                if verb == "stop":
                    incarnation.known = time.time()  # from here on what comes for it is sent after it
            api.close()
        incarnation.qmp.on("STOP", lambda _: hint("stop"))
        incarnation.qmp.on("RESUME", lambda _: hint("resume"))

    def retire(self, vm, tap):
        with contextlib.suppress(lab.LabError):
            self.vmac("port", "delete", tap)

    def kill(self, number=signal.SIGKILL):
        self.daemon.kill(number)

    # --- what bad input is told by

    def call(self, method, path, **body):
        """The API's answer; lab.ApiError for a refusal."""
        api = self.daemon.api()
        try:
            return api.call(method, path, body if method != "GET" and method != "DELETE" else None)
        finally:
            api.close()

    def refused(self, code, method, path, **body):
        """The error that a call ends with, which must be of that code."""
        try:
            answer = self.call(method, path, **body)
        except lab.ApiError as error:
            assert error.code == code, error
            return error
        raise AssertionError(f"{self.name}: {method} {path} was not refused: {answer}")

    def said(self, text):
        return text in self.daemon.log.read_text(errors="replace")

    def wait_said(self, text, seconds=10):
        lab.wait_for(f"{self.name} says: {text}", lambda: self.said(text), seconds)

    def clock(self, seconds):
        """From its next start on its time of day is another; spans stay what they are."""
        argv = type(self.daemon).argv
        self.daemon.argv = lambda *more: ["env", f"LD_PRELOAD={lab.binary('clock.so')}", f"CLOCK_SHIFT={seconds}",
                                          *argv(self.daemon, *more)]

    def cut(self):
        """Off from the registry, and from nothing else."""
        self.ns.run("ip", "link", "set", "eth1", "down")

    def heal(self):
        self.ns.run("ip", "link", "set", "eth1", "up")

    def addresses(self):
        """What it holds by its own registry: address -> epoch."""
        return {item["address"]: item["epoch"] for item in self.vmacj("mac", "list", "--limit", 10000)["items"]
                if item["state"] in ("reserved", "bound")}


class Station:
    """A guest that is a namespace.  It may stand on several hosts at once, as a copy of itself would."""

    def __init__(self, fleet, name, address, bind=False):
        self.fleet, self.name, self.address, self.mac, self.bind = fleet, name, address, None, bind
        self.bodies = {}

    def stand(self, host, prepared=False, speak=True):
        """Another body of it, on a host; the first one gets its address allocated."""
        body = self.fleet.place.netns(f"{self.name}-{host.name}-{len(self.fleet.place.namespaces)}")
        # Not one frame of its own accord: whoever speaks is running.
        body.sh("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")
        mac = ["--mac", self.mac] if self.mac else ["--ip", self.address] if self.bind else []
        host.vmac("port", "add", self.name, "--kind", "veth", "--netns", body.path, "--segment", "lan", *mac)
        self.mac = self.mac or host.daemon.port(self.name)["vmac"]
        self.bodies[host.name] = body
        body.sh(f"ip addr add {self.address}/24 dev eth0; ip link set eth0 up")
        host.daemon.wait_port(self.name)
        if speak:
            self.speak(host)
        return self

    def leave(self, host):
        host.vmac("port", "delete", self.name)
        del self.bodies[host.name]

    def frame(self, destination=b"\xff" * 6, source=None):
        """A RARP announcement."""
        mac = octets(source or self.mac)
        return destination + mac + bytes.fromhex("80350001080006040003") + mac + bytes(4) + mac + bytes(4) + bytes(18)

    def speak(self, host, times=1, frame=None):
        with self.bodies[host.name].packet_socket("eth0", 0) as wire:
            for _ in range(times):
                wire.send(frame or self.frame())

    def stream(self, host, pps=1000, port=7000):
        """Numbered datagrams from the client on the wire; .stop() returns how many were lost."""
        body = self.bodies[host.name]
        body.sh(f"ip neigh replace {self.fleet.switch.client} lladdr {self.fleet.switch.far.link_address('eth0')} dev eth0")
        self.fleet.switch.far.sh(f"ip neigh replace {self.address} lladdr {self.mac} dev eth0")
        return lab.UdpStream(self.fleet.switch.far, body, self.address, port, pps)


def octets(mac):
    return bytes.fromhex(mac.replace(":", ""))


def at_once(*functions):
    """Runs them together; what each returned or raised."""
    results = [None] * len(functions)
    barrier = threading.Barrier(len(functions))

    def run(i):
        barrier.wait()
        try:
            results[i] = functions[i]()
        except Exception as problem:
            results[i] = problem

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Fleet:
    """hosts: names; each gets 10.9.0.N, N from 1.  prepare: moves are prepared; watch: QEMU's stop is told;
    vlan: the segment's."""

    def __init__(self, place, *names, members=1, switch=None, prepare=True, watch=True, vlan=0, registry=None, pool=(),
                 **more):
        self.place, self.prepare, self.watch, self.vlan, self.more = place, prepare, watch, vlan, more
        self.switch = switch or moving.Switch(place)
        self.etcd = registry or etcd.Etcd(place, members=members)
        self.hosts = {name: VmacHost(self, name, number, **more) for number, name in enumerate(names, 1)}
        first = True
        for host in self.hosts.values():
            host.start()
            host.vmac("segment", "add", "lan", "--uplink", "eth0", *(["--vlan", vlan] if vlan else []))
            if first:
                host.vmac("pool", "add", "p", "--segment", "lan", *pool)
                first = False

    def __getitem__(self, name):
        return self.hosts[name]

    def holders(self, mac):
        """Which hosts' gates are open for an address."""
        return [host.name for host in self.hosts.values() if host.gate(mac) == "open"]

    def wait_sole_holder(self, mac, name):
        """Who has lost it hears of that a moment later; what its gate lets out until then, Gates sees."""
        lab.wait_for(f"{name}'s gate alone is open", lambda: self.holders(mac) == [name], every=0.01)

    def add(self, name):
        """Another host joins."""
        host = self.hosts[name] = VmacHost(self, name, len(self.hosts) + 1, **self.more)
        host.start()
        host.vmac("segment", "add", "lan", "--uplink", "eth0")
        return host

    def station(self, host, name="g1", address="10.9.0.50", bind=False):
        return Station(self, name, address, bind).stand(self[host])

    def tool(self, *arguments):
        """The registry tool on the shared registry."""
        tool = pathlib.Path(lab.binary("registry-tool"))
        module = tool.parent.parent / "store" / "libvmac_etcd.so"
        endpoints = [word for one in self.etcd.endpoints() for word in ("--endpoint", one)]
        return self.etcd.hub.run("env", f"VMAC_ETCD_MODULE={module}", tool, "--config", os.devnull, *endpoints, *arguments,
                                 check=False)

    def check(self, seconds=10):
        """Nothing is doubled: by what every host's own registry says, and by what they share."""
        held = {}
        for host in self.hosts.values():
            for address in host.addresses():
                held.setdefault(address, []).append(host.name)
        doubled = {address: names for address, names in held.items() if len(names) > 1}
        assert not doubled, doubled
        done = None

        def sound():
            nonlocal done
            done = self.tool("check")
            return done.returncode == 0

        try:
            lab.wait_for("the shared registry is sound", sound, seconds, 0.2)
        except lab.LabError:
            raise AssertionError(f"registry check: {done.stdout}{done.stderr}") from None
        return held


class Gates:
    """Watches all hosts' gates of an address while something happens; two that are open for longer than a planned
    move's switch-over are `.doubled`."""

    def __init__(self, fleet, mac, patience=1.0):
        self.fleet, self.mac, self.patience, self.doubled, self.epochs = fleet, mac, patience, [], []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _look(self, host):
        api = lab.Api(host.daemon.socket, 2)
        try:
            return next((m for m in api.get("/v1/moves")["items"] if m["address"] == self.mac), {})
        except (OSError, lab.ApiError, lab.http.client.HTTPException):
            return {}
        finally:
            api.close()

    def _watch(self):
        since = None
        while not self.ending.wait(0.05):
            seen = {host.name: self._look(host) for host in list(self.fleet.hosts.values())}
            open_ = [name for name, move in seen.items() if move.get("gate") == "open"]
            if len(open_) < 2:
                since = None
            elif since is None:
                since = time.monotonic()
            elif time.monotonic() - since > self.patience:
                self.doubled.append(open_)

    def __enter__(self):
        self.sources = moving.Sources(self.fleet.switch, [*self.fleet.hosts, "far"], self.mac)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()
        self.ports = [port for _, port in self.sources.end()]
