"""Other people's routers on the same wire: keepalived, FRR's vrrpd and ucarp, each in a namespace of the lab."""
import os
import shutil
import signal
import time

import lab

_FRR = "/usr/lib/frr"


def missing(*names):
    """What of these programs the machine lacks, as a sentence; "" = nothing."""
    where = {"keepalived": shutil.which("keepalived"), "frr": shutil.which("vtysh") and os.path.exists(f"{_FRR}/vrrpd"),
             "ucarp": shutil.which("ucarp"), "tshark": shutil.which("tshark")}
    lacks = [name for name in names if not where[name]]
    return f"not installed: {', '.join(lacks)}" if lacks else ""


class _Peer:
    def __init__(self, ns, what):
        self.ns = ns
        self.directory = ns.lab.directory / f"{what}-{ns.name.rsplit('-', 1)[-1]}"
        self.directory.mkdir(exist_ok=True)
        self.log = self.directory / "log"
        self.process = None

    def said(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self, number=signal.SIGTERM, seconds=15):
        self.process.send_signal(number)
        return self.process.wait(seconds)


class Keepalived(_Peer):
    """keepalived with vrrp_instances: one text each, as its configuration writes them."""

    def __init__(self, ns, config, start=True):
        super().__init__(ns, "keepalived")
        self.config = self.directory / "keepalived.conf"
        self.write(config)
        if start:
            self.start()

    def write(self, config):
        self.config.write_text("global_defs {\n    router_id lab\n    vrrp_garp_master_repeat 1\n"
                               "    script_user root\n}\n" + config)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = self.ns.start("keepalived", "--dont-fork", "--vrrp", "--log-console", "--log-detail",
                                         "--use-file", self.config, "--pid", self.directory / "pid",
                                         "--vrrp_pid", self.directory / "vrrp.pid", stdout=log, stderr=log)
        lab.wait_for("keepalived has begun", lambda: "Entering" in self.said() or self.process.poll() is not None, 10)
        if self.process.poll() is not None:
            raise lab.LabError(f"keepalived ended: {self.said()[-600:]}")

    def state(self, instance):
        """MASTER, BACKUP or FAULT, as it said last; "" = nothing yet."""
        found = ""
        for line in self.said().splitlines():
            if f"({instance}) Entering " in line:
                found = line.split("Entering ")[1].split()[0]
        return found

    def kill(self):
        """Both of its processes, at once."""
        for name in ("vrrp.pid", "pid"):
            path = self.directory / name
            if path.exists():
                try:
                    os.kill(int(path.read_text()), signal.SIGKILL)
                except (ProcessLookupError, ValueError):
                    pass
        self.process.kill()
        self.process.wait()


def keepalived_instance(name, interface, group, priority, *addresses, version=3, interval=1, vmac=True, more=""):
    """The text of one vrrp_instance."""
    lines = [f"vrrp_instance {name} {{", "    state BACKUP", f"    interface {interface}",
             f"    virtual_router_id {group}", f"    priority {priority}", f"    advert_int {interval}",
             f"    version {version}", "    accept"]
    if vmac:
        lines.append(f"    use_vmac vk{group}")
    lines += [more, "    virtual_ipaddress {", *(f"        {a}" for a in addresses), "    }", "}", ""]
    return "\n".join(lines)


class Frr(_Peer):
    """FRR's zebra and vrrpd; the device that carries the vMAC is made here, as its manual asks."""

    def __init__(self, ns, interface, group, priority, *addresses, version=3, interval_ms=1000):
        super().__init__(ns, "frr")
        shutil.chown(self.directory, "frr", "frr")
        os.chmod(self.directory, 0o755)
        os.chmod(self.directory.parent, 0o755)
        self.interface, self.group = interface, group
        families = {6 if ":" in a else 4 for a in addresses}
        for family in families:
            device = f"vf{family}-{group}"
            ns.sh(f"ip link add {device} link {interface} type macvlan mode bridge;"
                  f"ip link set {device} address 00:00:5e:00:0{1 if family == 4 else 2}:{group:02x};"
                  f"ip link set {device} addrgenmode {'random' if family == 6 else 'none'};")
            for address in addresses:
                if (":" in address) == (family == 6):
                    ns.run("ip", "addr", "add", address, "dev", device, *(["nodad"] if family == 6 else []))
            ns.run("ip", "link", "set", device, "up")
        config = self.directory / "frr.conf"
        config.write_text("\n".join(
            [f"interface {interface}", f" vrrp {group} version {version}", f" vrrp {group} priority {priority}",
             f" vrrp {group} advertisement-interval {interval_ms}"] +
            [f" vrrp {group} {'ipv6' if ':' in a else 'ip'} {a.split('/')[0]}" for a in addresses] + ["exit", ""]))
        self.processes = []
        common = ("--vty_socket", self.directory, "-z", self.directory / "zserv.api", "-u", "frr", "-g", "frr",
                  "--log", f"file:{self.log}", "--log-level", "debug")
        with open(self.directory / "console", "ab") as console:
            for name, more in (("zebra", ()), ("vrrpd", ("-f", config))):
                self.processes.append(ns.start(f"{_FRR}/{name}", *common, "-i", self.directory / f"{name}.pid", *more,
                                               stdout=console, stderr=console))
                lab.wait_for(f"{name} listens", (self.directory / f"{name}.vty").exists, 10)
        self.process = self.processes[-1]

    def vtysh(self, command):
        return self.ns.run("vtysh", "--vty_socket", self.directory, "-c", command, check=False).stdout

    def state(self, family=4):
        """Master, Backup or Initialize; "" = not known yet."""
        import json
        try:
            shown = json.loads(self.vtysh("show vrrp json"))
        except ValueError:
            return ""
        for router in shown:
            if router.get("vrid") == self.group:
                return router.get(f"v{family}", {}).get("status", "")
        return ""

    def kill(self):
        for process in self.processes:
            process.kill()
            process.wait()


class Ucarp(_Peer):
    """ucarp: the lower skew wins."""

    def __init__(self, ns, interface, group, skew, source, address, password, base=1):
        super().__init__(ns, "ucarp")
        for name, verb in (("up", "add"), ("down", "del")):
            script = self.directory / name
            script.write_text(f"#!/bin/sh\nip addr {verb} {address} dev {interface}\n")
            script.chmod(0o755)
        with open(self.log, "ab") as log:
            self.process = ns.start("ucarp", "-i", interface, "-s", source, "-v", str(group), "-p", password,
                                    "-a", address.split("/")[0], "-u", self.directory / "up", "-d",
                                    self.directory / "down", "-b", str(base), "-k", str(skew), "-z",
                                    stdout=log, stderr=log)
        time.sleep(0.1)
        if self.process.poll() is not None:
            raise lab.LabError(f"ucarp ended: {self.said()[-600:]}")

    def state(self):
        found = ""
        for line in self.said().splitlines():
            if "Switching to state: " in line:
                found = line.split("Switching to state: ")[1].split()[0]
        return found
