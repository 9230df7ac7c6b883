"""Hosts that share a registry: vmacd on each, a real etcd, a switch between them."""
import contextlib
import signal
import time

import etcd
import lab
import moving

KEY = "00112233445566778899aabbccddeeff"


class VmacHost:
    """A host of the fleet: its NIC eth0 is on the switch, eth1 leads to the registry."""

    def __init__(self, fleet, name, number, key=KEY, opens=None, **more):
        self.fleet, self.name, self.number = fleet, name, number
        self.address = f"10.9.0.{number}"
        self.ns = fleet.switch.plug(name, self.address)
        fleet.etcd.attach(self.ns, "eth1", 10 + number)
        secret = fleet.place.directory / f"cluster-{name}.key"
        secret.write_text(key + "\n")
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

    def start(self):
        self.daemon.start()
        lab.wait_for(f"{self.name} has joined", lambda: self.fleet_status().get("joined"), 20)
        return self

    def vmac(self, *arguments, **options):
        return self.daemon.vmac(*arguments, **options)

    def vmacj(self, *arguments):
        return self.daemon.vmacj(*arguments)

    def fleet_status(self):
        return self.vmacj("status")["fleet"]

    def move(self, mac):
        """How the move of an address stands here; None = it has none."""
        return self.vmacj("mac", "show", mac, "--segment", "lan").get("move")

    def moves(self):
        return {item["address"]: item for item in self.vmacj("mac", "moves")["items"]}

    def state(self, mac):
        return self.moves().get(mac, {}).get("state", "none")

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


class Fleet:
    """hosts: names; each gets 10.9.0.N, N from 1.  prepare: moves are prepared; watch: QEMU's stop is told;
    vlan: the segment's."""

    def __init__(self, place, *names, members=1, switch=None, prepare=True, watch=True, vlan=0, **more):
        self.place, self.prepare, self.watch = place, prepare, watch
        self.switch = switch or moving.Switch(place)
        self.etcd = etcd.Etcd(place, members=members)
        self.hosts = {name: VmacHost(self, name, number, **more) for number, name in enumerate(names, 1)}
        first = True
        for host in self.hosts.values():
            host.start()
            host.vmac("segment", "add", "lan", "--uplink", "eth0", *(["--vlan", vlan] if vlan else []))
            if first:
                host.vmac("pool", "add", "p", "--segment", "lan")
                first = False

    def __getitem__(self, name):
        return self.hosts[name]

    def holders(self, mac):
        """Which hosts' gates are open for an address: at most one, ever."""
        return [host.name for host in self.hosts.values()
                if host.moves().get(mac, {}).get("gate", "none") == "open"]
