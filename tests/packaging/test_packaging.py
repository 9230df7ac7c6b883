"""What is installed besides the programs: the unit, the manual pages, the completions."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
PACKAGING = TOP / "packaging"
PAGES = sorted((TOP / "docs" / "man").iterdir())

LISTS = {
    "segment": '{"items": [{"name": "lan", "uplink": "eth0"}, {"name": "internal"}], "more": false}',
    "pool": '{"items":[{"name":"lan-pool","segment":"lan"}]}',
    "host": '{"items":[{"name":"kvm1"},{"name":"kvm2"}],"more":false}',
    "router": '{"items":[{"name":"gw","sets":[{"interface":"eth0"}]}]}',
    "port": '{\n  "items": [\n    {\n      "name" : "web1"\n    }\n  ]\n}',
    "mac": '{"items":[{"address":"12:34:00:00:00:01","name":"web1-mac","owner":"vm:web1"},'
           '{"address":"12:34:00:00:00:02","name":""}]}',
}


def need(program):
    if not shutil.which(program):
        pytest.skip(f"needs {program}")


# --- the unit -----------------------------------------------------------------------------------


def made_unit(tmp_path, name):
    text = (PACKAGING / f"{name}.service.in").read_text()
    path = tmp_path / f"{name}.service"
    # systemd-analyze wants a program that exists.
    path.write_text(text.replace("@SBINDIR@/vmacd", "/bin/true").replace("@BINDIR@", "/usr/bin"))
    return path


@pytest.fixture
def unit(tmp_path):
    return made_unit(tmp_path, "vmacd")


@pytest.fixture(params=["vmacd", "vmac-libvirt-events"])
def any_unit(tmp_path, request):
    # Found where libvirt's own unit is not installed: Debian has it in a package of its own.
    (tmp_path / "libvirtd.service").write_text("[Service]\nExecStart=/bin/true\n")
    return made_unit(tmp_path, request.param)


def test_unit_is_understood(any_unit):
    need("systemd-analyze")
    unit = any_unit
    r = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert r.returncode == 0 and r.stderr.strip() == ""


def test_unit_is_hardened(any_unit):
    need("systemd-analyze")
    unit = any_unit
    r = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=30", "--no-pager",
                        unit], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout[-300:]


def test_unit_allows_what_vmacd_does(unit):
    """The two system calls without which no port can be made are not filtered away."""
    need("systemd-analyze")
    lines = re.findall(r"^SystemCallFilter=(~?)(.*)$", unit.read_text(), re.M)

    def expand(words):
        names = set()
        for word in words.split():
            if word.startswith("@"):
                out = subprocess.run(["systemd-analyze", "syscall-filter", word], capture_output=True,
                                     text=True, check=True).stdout
                names |= expand(" ".join(l.strip() for l in out.splitlines()[1:]
                                         if l.strip() and not l.strip().startswith("#")))
            else:
                names.add(word)
        return names

    allowed = set()
    for minus, words in lines:
        allowed = allowed - expand(words) if minus else allowed | expand(words)
    for name in ("bpf", "setns", "clone", "clone3", "ioctl", "sendmsg", "recvmsg", "epoll_wait", "chown",
                 "fdatasync", "fcntl", "pwrite64", "prlimit64", "getrandom", "rt_sigprocmask",
                 "timerfd_create", "signalfd4", "eventfd2", "accept4", "statfs", "fstatfs"):
        assert name in allowed, name
    for name in ("mount", "unshare", "ptrace", "setuid", "init_module", "process_vm_readv", "reboot"):
        assert name not in allowed, name


def test_libvirt_hook_passes_all_on(tmp_path):
    """Even a guest that is named like an option."""
    (tmp_path / "vmac").write_text('#!/bin/sh\nfor a; do printf "<%s>" "$a"; done; cat; exit 7\n')
    (tmp_path / "vmac").chmod(0o755)
    r = subprocess.run([PACKAGING / "libvirt/qemu.d/vmac", "--json", "prepare", "begin", "-"], input="<domain/>",
                       capture_output=True, text=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert r.returncode == 7 and r.stdout == "<hook><libvirt><--><--json><prepare><begin><-><domain/>"


# --- the manual ---------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_page_has_no_fault(page):
    need("mandoc")
    r = subprocess.run(["mandoc", "-Tlint", "-Wwarning", page], capture_output=True, text=True)
    assert r.stdout == ""


def test_every_page_is_installed():
    text = (PACKAGING / "meson.build").read_text()
    assert len(PAGES) == 4
    for page in PAGES:
        assert f"'../docs/man/{page.name}'" in text


def test_every_public_function_has_its_page():
    page = (TOP / "docs" / "man" / "libvmac.3").read_text()
    for header in sorted((TOP / "include" / "vmac").glob("*.h")):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        assert f".In vmac/{header.name}" in page
        for name in re.findall(r"\b(vmac_\w+)\([^)]*\)\s*[;{]", text):
            assert re.search(rf"\.F[no] {name}( |$)", page, re.M), name


# --- the example --------------------------------------------------------------------------------


def uncommented(text):
    """Explanations are "# Words", keys that are commented out "#key:" or "#  key:"."""
    return re.sub(r"^( {4,8})#(\w+:)", r"\1\2", re.sub(r"^#(?! \S)", "", text, flags=re.M), flags=re.M)


def test_example_shows_every_key():
    text = (PACKAGING / "vmacd.yaml").read_text()
    page = (TOP / "docs" / "man" / "vmacd.yaml.5").read_text()
    assert yaml.safe_load(text) is None
    config = yaml.safe_load(uncommented(text))
    first, second = config["routers"]
    keys = [set(config), set(config["socket"]), set(config["registry"]), set(config["segments"][0]),
            set(config["pools"][0]), set(first), set(second), set(first["sets"][0]),
            set(config["registry"]["shared"]), set(config["host"])]
    explained = [name for line in re.findall(r"^\.It Cm (.*)", page, re.M) for name in re.findall(r"\w+", line.split(" Pq")[0])
                 if name not in ("default", "Li")]
    assert set().union(*keys) == set(explained)


def test_example_is_a_configuration(tmp_path):
    vmacd = pathlib.Path(os.environ.get("VMAC_BUILD", TOP / "build")) / "src" / "daemon" / "vmacd"
    if not vmacd.exists():
        pytest.skip("needs vmacd, built (VMAC_BUILD)")
    text = (PACKAGING / "vmacd.yaml").read_text()
    for name, body in (("as-installed", text), ("uncommented", uncommented(text))):
        path = tmp_path / name
        path.write_text(body)
        r = subprocess.run([vmacd, "--check", "--config", path], capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
        assert yaml.safe_load(r.stdout)["state_dir"] == "/var/lib/vmac"


# --- completion ---------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    """A PATH with a vmac that knows a few names."""
    fake = tmp_path / "vmac"
    cases = "\n".join(f"'{noun}') echo '{text}' ;;" for noun, text in LISTS.items())
    fake.write_text('#!/bin/sh\nwhile [ "$1" != --json ]; do shift; done\n'
                    f'[ "$3" = list ] || exit 2\ncase $2 in\n{cases}\nesac\n')
    fake.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def bash(path, line):
    """What bash offers at the end of the line."""
    script = f"""
        source {PACKAGING}/completion/vmac.bash
        COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}
        read -ra COMP_WORDS <<<"$COMP_LINE"; [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _vmac; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    r = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True,
                       env={"PATH": path})
    assert r.returncode == 0 and r.stderr == "", r.stderr
    return set(r.stdout.split())


@pytest.mark.parametrize("line, offered", [
    ("vmac ", {"segment", "pool", "mac", "port", "router", "cluster", "history", "status", "watch",
               "classify", "decode", "import", "host", "registry", "hook"}),
    ("vmac p", {"pool", "port"}),
    ("vmac --j", {"--json"}),
    ("vmac --json segment ", {"add", "list", "show", "delete"}),
    ("vmac segment show ", {"lan", "internal"}),
    ("vmac segment show l", {"lan"}),
    ("vmac --socket /x/y pool delete ", {"lan-pool"}),
    ("vmac port delete ", {"web1"}),
    ("vmac port delete web1 --rel", {"--release"}),
    ("vmac port add x --kind ", {"tap", "veth", "netdev"}),
    ("vmac port add x --kind tap --segment i", {"internal"}),
    ("vmac port set web1 --allow r", {"router-advert"}),
    ("vmac mac show w", {"web1-mac"}),
    # bash replaces what stands behind the last colon
    ("vmac mac show 12:34:00:00:00:0", {"01", "02"}),
    ("vmac mac release web1-mac 12:34:00:00:00:01", {"01"}),
    ("vmac mac list --state q", {"quarantined"}),
    ("vmac pool show lan-pool --k", {"--key"}),
    ("vmac pool show --key l", {"lan-pool"}),
    ("vmac pool add p --key ", set()),
    ("vmac mac add --name ", set()),
    ("vmac classify ", set()),
    ("vmac router ", {"add", "list", "show", "set", "delete", "history"}),
    ("vmac router show ", {"gw"}),
    ("vmac router add x --protocol h", {"hsrp1", "hsrp2"}),
    ("vmac router add x --group ", set()),
    ("vmac router set gw --en", {"--enable"}),
    ("vmac router add x --auth-mode p", {"permissive"}),
    ("vmac import ", {"keepalived"}),
    ("vmac decode --a", {"--address", "--all"}),
    ("vmac host ", {"list", "show", "drain", "undrain", "dead", "forget"}),
    ("vmac host drain ", {"kvm1", "kvm2"}),
    ("vmac host dead kvm1 --f", {"--fenced-by"}),
    ("vmac host dead kvm1 --fenced-by ", set()),
    ("vmac mac mo", {"move", "moves"}),
    ("vmac mac prepare w", {"web1-mac"}),
    ("vmac mac prepare web1-mac --l", {"--lifetime"}),
    ("vmac mac list --state a", {"away"}),
    ("vmac registry ", {"check", "export", "import", "copy"}),
    ("vmac registry copy --to ", {"shared", "own"}),
    ("vmac registry check --user ", set()),
    ("vmac cluster me", {"member"}),
        ("vmac cluster member ", {"add", "weight", "priority", "drain", "fail", "activate", "remove"}),
        ("vmac cluster member drain --wi", {"--within"}),
        ("vmac cluster add web --mode d", {"director", "distributed"}),
        ("vmac cluster set web --check h", {"http", "https"}),
        ("vmac hook l", {"libvirt", "libvirt-events"}),
])
def test_bash_completes(path, line, offered):
    assert bash(path, line) == offered


def test_bash_survives_a_daemon_that_is_not_there(tmp_path):
    fake = tmp_path / "vmac"
    fake.write_text("#!/bin/sh\necho 'vmac: cannot reach the daemon' >&2\nexit 6\n")
    fake.chmod(0o755)
    assert bash(f"{tmp_path}:{os.environ['PATH']}", "vmac port show ") == set()


def zsh(path, line):
    """What zsh offers: a real zsh on a terminal of its own, asked by the tab key."""
    script = f"""
        zmodload zsh/zpty
        zpty z zsh -f -i
        zpty -w z "PS1= ; unsetopt zle_bracketed_paste 2>/dev/null; stty cols 200"
        zpty -w z "fpath=({PACKAGING}/completion \\$fpath); autoload -Uz compinit; compinit -u -D"
        zpty -w z "zstyle ':completion:*' list-prompt ''; LISTMAX=0; setopt no_auto_menu no_list_beep"
        zpty -w z "print REA''DY"
        zpty -r z out '*READY*'
        zpty -n -w z {line!r}$'\\t\\t'
        sleep 1
        while zpty -rt z out; do print -r -- "$out"; done
        zpty -d z
    """
    r = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, timeout=30,
                       env={"PATH": path, "HOME": "/nonexistent", "TERM": "dumb"})
    return r.stdout


@pytest.mark.parametrize("line, offered, not_offered", [
    ("vmac segment ", {"add", "list", "show", "delete"}, {"renew"}),
    ("vmac segment show ", {"lan", "internal"}, {"web1"}),
    ("vmac port delete ", {"web1"}, {"lan"}),
    ("vmac mac show ", {"web1-mac", "12:34:00:00:00:01"}, {"internal"}),
    ("vmac port add x --kind ", {"tap", "veth", "netdev"}, {"web1"}),
    ("vmac router show ", {"gw"}, {"web1"}),
    ("vmac host drain ", {"kvm1", "kvm2"}, {"web1"}),
    ("vmac registry ", {"check", "export", "import", "copy"}, {"lan"}),
    ("vmac router add x --auth-mode ", {"receive-only", "permissive", "enforce"}, {"gw"}),
])
def test_zsh_completes(path, line, offered, not_offered):
    need("zsh")
    out = zsh(path, line).replace("\\:", ":")
    for word in offered:
        assert word in out, out
    for word in not_offered:
        assert word not in out, out
