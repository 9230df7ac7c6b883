"""libvirtd on several hosts of one machine: each in its network namespace, and in mounts of its own so that no two
share a file, a socket or the machine's own libvirt."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import time

import lab

PLACES = (("etc", "/etc/libvirt"), ("lib", "/var/lib/libvirt"), ("run", "/run/libvirt"), ("log", "/var/log/libvirt"),
          ("cache", "/var/cache/libvirt"))

# No confinement and no cgroups: it is the network that is looked at, and the test may run in a container.
QEMU_CONF = """user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
stdio_handler = "file"
"""
LIBVIRTD_CONF = 'listen_tls = 0\nlisten_tcp = 0\nauth_unix_rw = "none"\nunix_sock_group = "root"\n'


# Debian makes them with a package that also makes libvirt a service of the machine; libvirtd does not begin without.
ACCOUNTS = (("passwd", "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin\n"),
            ("group", "libvirt-qemu:x:64055:\n"))


def missing():
    """What the machine lacks, as a sentence; "" = nothing."""
    for program, package in (("libvirtd", "libvirt-daemon"), ("virsh", "libvirt-clients")):
        if not shutil.which(program):
            return f"{program} is not installed ({package})"
    if not any(os.path.exists(f"{directory}/libvirt_driver_qemu.so")
               for directory in ("/usr/lib/x86_64-linux-gnu/libvirt/connection-driver",
                                 "/usr/lib/aarch64-linux-gnu/libvirt/connection-driver")):
        return "libvirt's QEMU driver is not installed (libvirt-daemon-driver-qemu)"
    return ""


class Unable(Exception):
    """libvirtd itself does not run on this machine (in a root without udev and D-Bus, say)."""


class Libvirt:
    """One libvirtd.  hooks: {name below hooks/qemu.d: text of an executable}; read by libvirtd at its start."""

    def __init__(self, place, ns, name, hooks=None):
        self.place, self.ns, self.name = place, ns, name
        self.directory = place.directory / f"libvirt-{name}"
        for sub, _ in PLACES:
            (self.directory / sub).mkdir(parents=True)
        (self.directory / "etc" / "qemu.conf").write_text(QEMU_CONF)
        (self.directory / "etc" / "libvirtd.conf").write_text(
            LIBVIRTD_CONF + f'log_outputs = "1:file:{self.directory}/log/libvirtd.log"\nlog_filters = "4:util 3:qemu"\n')
        (self.directory / "etc" / "hooks" / "qemu.d").mkdir(parents=True)
        for hook, text in (hooks or {}).items():
            path = self.directory / "etc" / "hooks" / "qemu.d" / hook
            path.write_text(text)
            path.chmod(0o755)
        script = "mount --make-rprivate /;" + "".join(
            f"mkdir -p {target}; mount --bind {self.directory}/{sub} {target};" for sub, target in PLACES)
        for file, line in ACCOUNTS:
            known = (pathlib.Path("/etc") / file).read_text()
            if "libvirt-qemu:" not in known:
                (self.directory / file).write_text(known + line)
                script += f"mount --bind {self.directory}/{file} /etc/{file};"
        with open(self.directory / "log" / "out", "wb") as out:
            self.process = place.start("unshare", "-m", *ns.argv(
                "sh", "-euc", f"{script} exec libvirtd --pid-file {self.directory}/pid"), stdout=out, stderr=out)
        try:
            lab.wait_for(f"libvirtd of {name} answers", self._answers, 30, 0.2)
        except lab.LabError as problem:
            said = self.raw("version").stderr.strip() if self.process.poll() is None else ""
            raise Unable(f"{problem}; {said or 'it says nothing'}") from None

    def _answers(self):
        if self.process.poll() is not None:
            raise lab.LabError(f"libvirtd: {(self.directory / 'log' / 'out').read_text()}")
        return self.raw("version").returncode == 0

    def raw(self, *arguments, seconds=60):
        return subprocess.run(["nsenter", "-t", str(self.process.pid), "-m", "-n", "virsh", "-c", "qemu:///system",
                               *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=seconds, check=False)

    def virsh(self, *arguments, seconds=60):
        done = self.raw(*arguments, seconds=seconds)
        if done.returncode != 0:
            raise lab.LabError(f"{self.name}: virsh {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    @property
    def uri(self):
        """Whereby another libvirtd on this machine reaches it."""
        return f"qemu+unix:///system?socket={self.directory}/run/libvirt-sock"

    def create(self, name, mac, tap, image, memory=96):
        """Starts a guest on a tap that is there already (managed='no': it is not libvirt's to make)."""
        xml = self.directory / f"{name}.xml"
        xml.write_text(f"""<domain type='qemu'><name>{name}</name><memory unit='MiB'>{memory}</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type><kernel>{image}/vmlinuz</kernel><initrd>{image}/initramfs</initrd>
<cmdline>console=ttyS0 quiet panic=-1 vmac.name={name}</cmdline></os>
<cpu mode='custom' match='exact'><model>qemu64</model></cpu>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<interface type='ethernet'><mac address='{mac}'/><target dev='{tap}' managed='no'/><model type='virtio'/></interface>
<serial type='file'><source path='{self.place.directory}/{name}.log'/></serial>
<serial type='unix'><source mode='bind' path='{self.directory}/{name}.console'/></serial>
</devices></domain>""")
        self.virsh("create", xml)

    def console(self, name):
        return str(self.directory / f"{name}.console")

    def migrate(self, name, there, address, *options, seconds=60):
        """virsh migrate --live; returns (status, what it said, seconds it took)."""
        # Each side has its own end of the guest's console.
        xml = there.directory / f"{name}.xml"
        xml.write_text(self.virsh("dumpxml", "--migratable", name).replace(self.console(name), there.console(name)))
        began = time.monotonic()
        done = self.raw("migrate", "--live", "--xml", xml, *options, name, there.uri, f"tcp://{address}:49152", seconds=seconds)
        return done.returncode, done.stderr + done.stdout, time.monotonic() - began

    def running(self):
        return self.virsh("list", "--name").split()

    def end(self):
        """Takes the guests along: they are libvirtd's children no more, once it is gone."""
        with contextlib.suppress(lab.LabError, subprocess.SubprocessError):
            for name in self.running():
                self.raw("destroy", name)
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
