"""An etcd of one or three members in namespaces of their own, for tests of the shared registry.

    with lab.Lab() as made:
        e = etcd.Etcd(made, members=3)
        e.ctl("put", "key", "value")
        e.hub.run(...)                      # whatever runs in e.hub reaches e.endpoints()
        e.attach(host, "eth1", 11)          # or a host of the test: gets 10.98.0.11
        e.kill(e.leader()); e.start(0); e.cut(1); e.heal(1)

        hub ── clients (bridge, 10.98.0.254) ── client of each member (10.98.0.1 …)
            └─ peers   (bridge)              ── peer   of each member (10.99.0.1 …)

What members say to each other and what clients say to them go through different links, so that either can be cut
by itself.  Elections are ten times as fast as etcd's defaults, for the tests' sake."""
import contextlib
import json
import pathlib
import shutil
import signal
import subprocess
import time

import lab as lablib

MEMORY = pathlib.Path("/dev/shm")
CLIENT, PEER = "10.98.0", "10.99.0"
PASSWORD = "open sesame"  # of user "root", when auth=True; anything but a word without blanks


def missing():
    """What this machine lacks, as a sentence; "" = nothing."""
    for program, package in (("etcd", "etcd-server"), ("etcdctl", "etcd-client"), ("openssl", "openssl")):
        if not shutil.which(program):
            return f"no {program} (Debian: {package})"
    return lablib.missing()


class Authority:
    """A certification authority of one test."""

    def __init__(self, directory, name, made=None):
        """made: (certificate, key) of one that is there already."""
        self.directory, self.name = directory, name
        self.ca, self.ca_key = made or (directory / f"{name}.pem", directory / f"{name}.key")
        if made:
            return
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                      "-subj", f"/CN={name}", "-keyout", self.ca_key, "-out", self.ca)

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=self.directory)

    def issue(self, name, addresses=(), subject="/O=vmac test", expired=False):
        """(certificate, key); etcd's gateway refuses a client whose certificate has a common name."""
        cert, key, request = (self.directory / f"{self.name}-{name}.{kind}" for kind in ("pem", "key", "csr"))
        extensions = self.directory / f"{self.name}-{name}.ext"
        extensions.write_text("extendedKeyUsage=serverAuth,clientAuth\n" + (
            "subjectAltName=" + ",".join(f"IP:{a}" for a in addresses) + "\n" if addresses else ""))
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                      "-keyout", key, "-out", request)
        # A negative number of days ends before it begins.
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial",
                      "-days", "-1" if expired else "2", "-extfile", extensions, "-out", cert)
        return cert, key


class Member:
    def __init__(self, number, ns, directory):
        self.number, self.ns, self.directory = number, ns, directory
        self.name, self.client, self.peer = f"m{number}", f"{CLIENT}.{number + 1}", f"{PEER}.{number + 1}"
        self.process, self.log = None, directory / f"{self.name}.log"


class Etcd:
    """members: 1 or 3.  tls: client certificates are asked for; an Authority: of that one.  auth: user root with PASSWORD."""

    def __init__(self, made, members=1, tls=False, auth=False, options=(), start=True):
        self.lab, self.scheme, self.options = made, "https" if tls else "http", list(options)
        self.directory = made.directory / "etcd"
        self.directory.mkdir()
        # In memory: nothing here measures a disk.  What a killed test left goes with the next one.
        for left in MEMORY.glob(f"{lablib.PREFIX}*-etcd"):
            if not (lablib.RUNTIME / left.name.removesuffix("-etcd")).exists():
                shutil.rmtree(left, ignore_errors=True)
        self.data = MEMORY / f"{made.directory.name}-etcd"
        self.data.mkdir()
        self.hub = made.netns("hub")
        self.hub.sh("ip link add clients type bridge; ip link add peers type bridge; ip link set clients up;"
                    f"ip link set peers up; ip addr add {CLIENT}.254/24 dev clients")
        self.members = [self._member(i) for i in range(members)]
        self.tls = self._tls(tls if isinstance(tls, Authority) else Authority(self.directory, "ca")) if tls else {}
        self.authorized = False
        close = made.close

        def close_all():
            with contextlib.suppress(lablib.LabError):
                self.stop()
            shutil.rmtree(self.data, ignore_errors=True)
            close()
        made.close = close_all
        if start:
            self.start()
            if auth:
                self.auth(True)

    def _member(self, number):
        ns = self.lab.netns(f"m{number}")
        member = Member(number, ns, self.directory)
        for kind, bridge, address in (("client", "clients", member.client), ("peer", "peers", member.peer)):
            self.lab.link(ns, kind, self.hub, f"{kind}{number}")
            self.hub.run("ip", "link", "set", f"{kind}{number}", "master", bridge)
            ns.run("ip", "addr", "add", f"{address}/24", "dev", kind)
        ns.run("ip", "link", "set", "lo", "up")
        return member

    def _tls(self, authority):
        server, key = authority.issue("server", [m.client for m in self.members])
        cert, cert_key = authority.issue("client")
        return {"authority": authority, "ca": authority.ca, "server": server, "server_key": key, "cert": cert,
                "key": cert_key}

    # --- members ---

    def _argv(self, m):
        tls = ["--cert-file", self.tls["server"], "--key-file", self.tls["server_key"], "--client-cert-auth",
               "--trusted-ca-file", self.tls["ca"]] if self.tls else []
        return ["etcd", "--name", m.name, "--data-dir", f"{self.data}/{m.name}",
                "--listen-client-urls", f"{self.scheme}://{m.client}:2379",
                "--advertise-client-urls", f"{self.scheme}://{m.client}:2379",
                "--listen-peer-urls", f"http://{m.peer}:2380", "--initial-advertise-peer-urls", f"http://{m.peer}:2380",
                "--initial-cluster", ",".join(f"{o.name}=http://{o.peer}:2380" for o in self.members),
                "--heartbeat-interval", "20", "--election-timeout", "200", "--log-level", "warn", *tls, *self.options]

    def start(self, number=None, seconds=20):
        """Starts one member, or all; waits until they serve."""
        chosen = self.members if number is None else [self.members[number]]
        for m in chosen:
            if m.process is None or m.process.poll() is not None:
                with open(m.log, "ab") as log:
                    m.process = m.ns.start(*self._argv(m), stdout=log, stderr=log)
        for m in chosen:
            lablib.wait_for(f"etcd {m.name} serves; see {m.log}", lambda m=m: self.healthy(m.number), seconds)
        return self

    def healthy(self, number):
        return self.ctl("endpoint", "health", "--command-timeout=1s", endpoints=[number], check=False).returncode == 0

    def kill(self, number, how=signal.SIGKILL):
        m = self.members[number]
        if m.process and m.process.poll() is None:
            m.process.send_signal(signal.SIGCONT)
            m.process.send_signal(how)
            m.process.wait(20)

    def freeze(self, number):
        """It answers nothing more, and its kernel goes on acknowledging."""
        self.members[number].process.send_signal(signal.SIGSTOP)

    def thaw(self, number):
        self.members[number].process.send_signal(signal.SIGCONT)

    def stop(self, number=None):
        for i in range(len(self.members)) if number is None else [number]:
            self.kill(i)

    def wipe(self):
        """Nothing of it is left: what starts then is another one.  Stop it first."""
        for m in self.members:
            shutil.rmtree(f"{self.data}/{m.name}", ignore_errors=True)

    def restore(self, backup):
        """As it was at `etcdctl snapshot save`; its revisions, too."""
        self.stop()
        self.wipe()
        for m in self.members:
            self.hub.run("env", "ETCDCTL_API=3", "etcdctl", "snapshot", "restore", str(backup), "--name", m.name,
                         "--data-dir", f"{self.data}/{m.name}", "--initial-advertise-peer-urls", f"http://{m.peer}:2380",
                         "--initial-cluster", ",".join(f"{o.name}=http://{o.peer}:2380" for o in self.members))
        self.start()

    def cut(self, number, link="peer"):
        """link "peer": its clients reach it, the other members do not; "client": the reverse."""
        self.hub.run("ip", "link", "set", f"{link}{number}", "nomaster")

    def heal(self, number, link="peer"):
        self.hub.run("ip", "link", "set", f"{link}{number}", "master", f"{link}s")

    def attach(self, ns, ifname, host_number):
        """Gives a namespace a link to the clients' network: 10.98.0.HOST_NUMBER."""
        self.lab.link(ns, ifname, self.hub, f"to-{host_number}")
        self.hub.run("ip", "link", "set", f"to-{host_number}", "master", "clients")
        ns.run("ip", "addr", "add", f"{CLIENT}.{host_number}/24", "dev", ifname)

    # --- as a client ---

    def endpoints(self):
        return [f"{self.scheme}://{m.client}:2379" for m in self.members]

    def ctl(self, *arguments, endpoints=None, check=True, timeout=60, user=True):
        """etcdctl's CompletedProcess; endpoints: numbers of members, None = all."""
        urls = [self.endpoints()[i] for i in (range(len(self.members)) if endpoints is None else endpoints)]
        tls = ["--cacert", self.tls["ca"], "--cert", self.tls["cert"], "--key", self.tls["key"]] if self.tls else []
        name = [f"--user=root:{PASSWORD}"] if user and self.authorized else []
        return self.hub.run("env", "ETCDCTL_API=3", "etcdctl", f"--endpoints={','.join(urls)}", *tls, *name, *arguments,
                            check=check, timeout=timeout)

    def json(self, *arguments, **options):
        return json.loads(self.ctl(*arguments, "-w", "json", **options).stdout)

    def status(self, number):
        return self.json("endpoint", "status", endpoints=[number])[0]["Status"]

    def revision(self):
        return self.status(0)["header"]["revision"]

    def leader(self):
        """The number of the member that leads; None = none of them does."""
        for i, m in enumerate(self.members):
            if m.process.poll() is None:
                with contextlib.suppress(lablib.LabError):
                    status = self.status(i)
                    if status["leader"] == status["header"]["member_id"]:
                        return i
        return None

    def compact(self, revision=None):
        self.ctl("compaction", "--physical", revision or self.revision())

    def auth(self, on):
        if on:
            self.ctl("user", "add", f"root:{PASSWORD}", check=False)
            self.ctl("user", "grant-role", "root", "root", check=False)
            self.ctl("auth", "enable")
            self.authorized = True
        else:
            self.ctl("auth", "disable")
            self.authorized = False

    def fill(self, key="filler", size=1 << 20):
        """Writes until there is no space (start it with a small --quota-backend-bytes)."""
        value = self.directory / "filler"
        value.write_text("x" * size)
        for _ in range(1000):
            done = self.hub.run("sh", "-c", " ".join(
                ["ETCDCTL_API=3 etcdctl", f"--endpoints={self.endpoints()[0]}", "put", key, "<", str(value)]), check=False)
            if done.returncode != 0:
                if "space exceeded" not in done.stderr:
                    raise lablib.LabError(f"filling etcd: {done.stderr}")
                return
        raise lablib.LabError("etcd took all; give it a small --quota-backend-bytes")

    def make_space(self, key="filler"):
        """What an operator does about it: delete, compact, defragment, lift the alarm."""
        self.ctl("del", key)
        self.compact()
        for i in range(len(self.members)):
            self.ctl("defrag", endpoints=[i])
        self.ctl("alarm", "disarm")
        deadline = time.monotonic() + 5
        while self.ctl("alarm", "list").stdout.strip() and time.monotonic() < deadline:
            time.sleep(0.05)
