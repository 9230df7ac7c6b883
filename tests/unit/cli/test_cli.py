"""The vmac program, driven as people and scripts drive it, against the fake daemon."""
import json
import os
import re
import signal
import subprocess
import sys
import time
import unicodedata

import pytest

sys.path.insert(0, os.environ['API_TESTS'])
from daemon import Daemon  # noqa: E402

VMAC = os.environ['VMAC']
DATE = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z')


class Result:
    def __init__(self, p):
        self.status, self.out, self.err = p.returncode, p.stdout, p.stderr

    def __iter__(self):
        return iter((self.status, self.out, self.err))


def run(*args, socket='/nonexistent', stdin='', env=None):
    return Result(subprocess.run([VMAC, *args], capture_output=True, text=True, input=stdin,
                                 timeout=30, env={'VMAC_SOCKET': str(socket), **(env or {})}))


@pytest.fixture
def vmac(tmp_path):
    d = Daemon(tmp_path / 's')

    def call(*args, **kwargs):
        return run(*args, socket=d.path, **kwargs)

    call.daemon = d
    yield call
    d.stop()


@pytest.fixture
def lan(vmac):
    assert vmac('segment', 'add', 'lan', '--uplink', 'eth9').status == 0
    assert vmac('pool', 'add', 'p', '--segment', 'lan', '--range',
                '0a:22:33:00:00:00/24').status == 0
    return vmac


# --- help and misuse ------------------------------------------------------------------------------

VERBS = {
    'segment': ['add', 'list', 'show', 'delete'],
    'pool': ['add', 'list', 'show', 'set', 'delete'],
    'mac': ['add', 'list', 'show', 'set', 'renew', 'release', 'history', 'prepare', 'activate',
            'abort', 'stop', 'resume', 'move', 'thaw', 'moves'],
    'port': ['add', 'list', 'show', 'set', 'open', 'close', 'delete'],
    'router': ['add', 'list', 'show', 'set', 'delete', 'history'], 'import': ['keepalived'],
    'cluster': ['add', 'list', 'show', 'set', 'delete', 'member add', 'member weight', 'member priority', 'member drain',
                'member fail', 'member activate', 'member remove'],
    'host': ['list', 'show', 'drain', 'undrain', 'dead', 'forget'],
    'registry': ['check', 'export', 'import', 'copy'], 'hook': ['libvirt', 'libvirt-events', 'qmp'],
    'history': [], 'status': [], 'watch': [], 'classify': [], 'decode': [],
}
WRITES = {'add', 'set', 'renew', 'release', 'open', 'close', 'delete', 'prepare', 'activate', 'abort',
          'stop', 'resume', 'move', 'thaw', 'drain', 'undrain', 'dead', 'forget', 'member add', 'member weight', 'member priority', 'member drain',
          'member fail', 'member activate', 'member remove'}


def test_help_of_all():
    status, out, err = run('--help')
    assert status == 0 and err == ''
    assert all(f'\n  {noun} ' in out for noun in VERBS)
    assert run('-h').out == out
    assert run('--version').out.startswith('vmac ')


@pytest.mark.parametrize('noun', VERBS)
def test_help_teaches(noun):
    status, out, err = run(noun, '--help')
    assert status == 0 and err == '' and f'Usage: vmac {noun}' in out
    for verb in VERBS[noun]:
        assert f'\n  {verb}' in out
        status, text, err = run(noun, *verb.split(), '--help')
        assert status == 0 and err == '' and f'Usage: vmac {noun} {verb}' in text
        assert re.search(r'Examples:\n  (virsh .* \| )?vmac ', text)
        assert ('--reason TEXT' in text) == (verb in WRITES)
    if not VERBS[noun]:
        assert 'Examples:\n  ' in out
    assert all(len(line) <= 110 for line in out.splitlines())


@pytest.mark.parametrize('noun,verb', [(n, v) for n in VERBS for v in VERBS[n] or ['']])
def test_examples_parse(noun, verb):
    """An example that --help shows is understood: it fails only because nobody answers."""
    import shlex
    text = run(noun, *verb.split(), '--help').out.split('Examples:\n')[1]
    for line in text.splitlines():
        words = shlex.split(line.split('|')[0 if line.strip().startswith('vmac') else -1],
                            comments=True)
        assert words[0] == 'vmac'
        if 'classify' in words:
            assert run(*words[1:]).status == 0
        elif '--user' in words or noun in ('import', 'decode', 'registry', 'hook'):
            continue  # a user, or a file, that this machine may not have
        else:
            status, _, err = run(*words[1:])
            assert status == 6, (line, err)


MISUSE = {
    '': 'what shall be done',
    'prot list': 'did you mean port?',
    'segmnet': 'did you mean segment?',
    'xyzzy': 'vmac --help lists them',
    'mac shwo web1': 'did you mean show?',
    'mac': 'what shall be done with it',
    'segment add': 'NAME is missing',
    'segment add a b': 'b: one argument too many',
    'segment add a --uplnk x': 'did you mean --uplink?',
    'segment add a --uplink': '--uplink needs IFNAME',
    'segment add a --uplink x --uplink y': 'given twice',
    'segment add a --vlan x': 'is no number',
    'segment add a --json=1': 'takes no argument',
    'segment list --reason x': 'no such option',
    'segment list -x': 'no such option',
    'mac add --count 3 --name x': 'do not go together',
    'mac add --name-prefix x': 'goes with --count',
    'mac set x --ip 192.0.2.1 --no-ips': 'do not go together',
    'mac list --limit 0': 'is no number',
    'port add x': '--kind is missing',
    'port add x --kind tap --mac y --owner z': 'for a new one',
    'port add x --kind tap --user no-such-user-here': 'there is no user',
    'port add x --kind tap --group no-such-group-here': 'there is no group',
    'history --since yesterday': 'is no duration',
    'watch --count 0': 'is not in',
    'host dead kvm3': '--fenced-by: say who vouches',
    'mac prepare x --force': 'no such option',
    'hook libvirt g1 migrate': 'GUEST OPERATION SUB-OPERATION [EXTRA] is missing',
    'hook libvirt g1 prepare begin - --user no-such-user-here': 'there is no user',
    'hook qmp': 'which? name sockets',
    'registry import': 'FILE is missing',
    'registry chek': 'did you mean check?',
}


@pytest.mark.parametrize('line', MISUSE)
def test_misuse(line):
    status, out, err = run(*line.split())
    assert status == 2 and out == ''
    first, second = err.splitlines()
    assert first.startswith('vmac: ') and second.startswith('hint: ')
    assert MISUSE[line] in err


# --- the daemon's answers -------------------------------------------------------------------------


def test_nobody_answers():
    status, out, err = run('status', socket='/nonexistent/vmacd.sock')
    assert status == 6 and out == ''
    assert 'cannot reach vmacd at /nonexistent/vmacd.sock' in err
    assert 'hint: is vmacd running?' in err
    assert run('status', '--socket', 'x' * 200).status == 2


def test_exit_statuses(lan):
    assert lan('segment', 'show', 'nope').status == 3
    assert lan('segment', 'add', 'lan').status == 4
    assert lan('mac', 'add', '--address', '01:00:5e:00:00:01').status == 2
    assert lan('mac', 'add', '--reason', 'disk full').status == 8
    status, out, err = lan('segment', 'delete', 'nope')
    assert (status, out, err) == (3, '', 'vmac: no such segment: nope\nhint: see the list\n')


def test_streams_have_a_limit(lan):
    streams = [lan.daemon.connect() for _ in range(64)]
    for c in streams:
        c.send(b'GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n')
        c.sock.recv(10)
    status, _, err = lan('watch', '--seconds', '5')
    assert status == 5 and 'event streams' in err
    for c in streams:
        c.close()


def test_mac(lan):
    status, out, err = lan('mac', 'add', '--name', 'web1', '--owner', 'Zoë', '--ip', '192.0.2.1',
                           '--ip=2001:db8::1', '--ttl', '1h', '--reason', 'why not')
    assert (status, out, err) == (0, '0a:22:33:00:00:00\n', '')
    assert lan('mac', 'add', '--count', '2').out == '0a:22:33:00:00:01\n0a:22:33:00:00:02\n'
    shown = lan('mac', 'show', 'web1').out
    assert 'owner:    Zoë\n' in shown and 'ips:      192.0.2.1 2001:db8::1\n' in shown
    assert lan('mac', 'set', 'web1', '--no-ips', '--note', 'x').out == '0a:22:33:00:00:00 changed\n'
    v = json.loads(lan('--json', 'mac', 'show', 'web1').out)
    assert v['ips'] == [] and v['note'] == 'x' and v['owner'] == 'Zoë'
    assert 'renewed until' in lan('mac', 'renew', 'web1').out
    assert 'in quarantine until' in lan('mac', 'delete', '0A-22-33-00-00-00', '0a2233000001').out
    states = [i['state'] for i in json.loads(lan('mac', 'list', '--json').out)['items']]
    assert states == ['quarantined', 'quarantined', 'reserved']
    assert lan('mac', 'history', '0A22.3300.0001').out.count('\n') == 6
    assert lan('mac', 'add', '--quiet').out == ''


def test_list_follows_the_pages(lan):
    lan('mac', 'add', '--count', '2500')
    lines = lan('mac', 'list').out.splitlines()
    assert len(lines) == 2501 and len(set(lines)) == 2501
    assert len(lan('mac', 'list', '--limit', '1200').out.splitlines()) == 1201
    assert len(lan('mac', 'list', '--limit', '7').out.splitlines()) == 8
    assert len(lan('history', '--limit', '3').out.splitlines()) == 4
    page = json.loads(lan('--json', 'mac', 'list', '--limit', '5').out)
    assert len(page['items']) == 5 and page['more']


def test_json_is_the_api_s(lan):
    lan('port', 'add', 't0', '--kind', 'tap')
    for args, path in ((['segment', 'list'], '/v1/segments'), (['pool', 'list'], '/v1/pools'),
                       (['pool', 'show', 'p', '--key'], '/v1/pools/p?key=true'),
                       (['port', 'show', 't0'], '/v1/ports/t0'),
                       (['history', '--limit', '2'], '/v1/history?limit=2')):
        assert lan('--json', *args).out.encode() == lan.daemon.call('GET', path).body


def test_port(lan):
    out = lan('port', 'add', 'v0', '--kind', 'veth', '--netns', 'web', '--owner', 'o', '--ip',
              '192.0.2.1', '--allow', 'any-ip,dhcp-server', '--mtu', '1400', '--closed').out
    assert out == 'port v0 added: 0a:22:33:00:00:00 on v0, active\n'
    p = json.loads(lan('--json', 'port', 'show', 'v0').out)
    assert p['peer_netns'] == '/run/netns/web' and p['gate'] == 'closed' and p['mtu'] == 1400
    assert p['allow'] == ['dhcp-server', 'any-ip']
    assert lan('port', 'open', 'v0').out == 'port v0 opened\n'
    lan('port', 'set', 'v0', '--allow', '', '--flood-pps', '0')
    p = json.loads(lan('--json', 'port', 'show', 'v0').out)
    assert (p['gate'], p['allow'], p['flood_pps']) == ('open', [], 0)
    lan('port', 'set', 'v0', '--router', '00:00:5e:00:01:07', '--router', '00:00:5e:00:02:07')
    p = json.loads(lan('--json', 'port', 'show', 'v0').out)
    assert p['routers'] == ['00:00:5e:00:01:07', '00:00:5e:00:02:07']
    assert '00:00:5e:00:02:07: nobody has it' in lan('port', 'show', 'v0').out
    lan('port', 'set', 'v0', '--no-routers')
    assert json.loads(lan('--json', 'port', 'show', 'v0').out)['routers'] == []
    lan('port', 'add', 't0', '--kind', 'tap', '--user', 'root', '--group', '7', '--netns', '/a/b')
    p = json.loads(lan('--json', 'port', 'show', 't0').out)
    assert (p['owner_uid'], p['owner_gid']) == (0, 7)
    shown = lan('port', 'show', 'v0').out
    assert 'dropped: spoofed_mac      7\n' in shown and 'last seen:  3s ago\n' in shown
    assert lan('port', 'delete', 'v0', '--release', '--reason', 'x y&z').out == 'port v0 deleted\n'


GOLDEN = '''\
NAME  UPLINK      VLAN  POOLS  VMACS  PORTS  RECEPTION  TROUBLE
lan   eth9           -      0      0      0  filter     -
x-2   (internal)     -      0      0      0  filter     -
bad   absent0       20      0      0      0  none       there is no interface absent0
'''

GOLDEN_STATUS = '''\
SEGMENT  UPLINK  RECEPTION  VMACS  PORTS  STATE
lan      eth9    filter         0      0  ok

POOL  SEGMENT  USED  QUARANTINED   AVAILABLE   FULL
p     lan         0            0  16,777,216  0.0 %

PORT  SEGMENT  VMAC  KIND  IFNAME  PHASE  GATE  STATE

ROUTER  PROTOCOL  ROLE  REASON  STATE

CLUSTER  SEGMENT  ADDRESSES  UP  STATE
'''


def test_tables(vmac):
    vmac('segment', 'add', 'lan', '--uplink', 'eth9')
    vmac('segment', 'add', 'x-2')
    vmac('segment', 'add', 'bad', '--uplink', 'absent0', '--vlan', '20')
    assert vmac('segment', 'list').out == GOLDEN


def column(line, word):
    """Where a word stands on a terminal."""
    before = line[:line.index(word)]
    return sum(2 if unicodedata.east_asian_width(c) in 'WF' else 1 for c in before)


def test_tables_align_what_is_wide(lan):
    lan('mac', 'add', '--name', 'a', '--owner', '数据中心', '--ip', '192.0.2.1')
    lan('mac', 'add', '--name', 'bb', '--owner', 'Zoë', '--ip', '192.0.2.2')
    lines = lan('mac', 'list').out.splitlines()
    assert len({column(*lw) for lw in zip(lines, ('OWNER', '数据中心', 'Zoë'))}) == 1
    assert len({column(*lw) for lw in zip(lines, ('IPS', '192.0.2.1', '192.0.2.2'))}) == 1


def test_status(lan):
    out = lan('status').out
    assert out.endswith(GOLDEN_STATUS)
    assert 'registry:         fake at memory, healthy\n' in out
    assert 'shared registry:  etcd at http://10.0.0.9:2379, reachable for 3h\n' in out
    assert 'this host:        kvm1, active; 3 hosts, 2 alive\n' in out
    assert 'blocks:           2 here, of 6; 411 addresses are free in them\n' in out


def test_status_of_one_that_is_alone(tmp_path):
    d = Daemon(tmp_path / 's', 'alone')
    out = run('status', socket=d.path).out
    assert 'registry:    fake at memory, healthy\n' in out and 'shared' not in out
    d.stop()


def test_status_of_one_that_is_cut_off(tmp_path):
    d = Daemon(tmp_path / 's', 'cut')
    assert 'shared registry:  NOT REACHABLE since 12m: http://10.0.0.9:2379: connection refused; ' \
        '411 addresses are left\n' in run('status', socket=d.path).out
    status, _, err = run('mac', 'prepare', MAC, socket=d.path)
    assert status == 6 and 'no answer' in err
    d.stop()


# --- hosts, and what moves between them -----------------------------------------------------------

MAC = '0a:22:33:00:00:07'

HOSTS = '''\
HOST              STATE   ALIVE  TUNNEL    BLOCKS  MOVED  VERSION
kvm1 (this one)   active  yes    10.0.0.1       2      1  @
kvm2              active  yes    10.0.0.1       2      1  @
kvm3              active  NO     -              2      1  @
'''


def says(out, key, value):
    return re.search(rf'(?m)^{re.escape(key)}: +{re.escape(value)}$', out)


def test_hosts(lan):
    version = run('--version').out.split()[1]
    assert lan('host', 'list').out.split() == HOSTS.replace('@', version).split()
    out = lan('host', 'show').out
    assert says(out, 'name', 'kvm1 (this host)') and says(out, 'joined', '3 times')
    assert lan('host', 'drain', 'kvm2', '--reason', 'x').out == 'host kvm2 takes no new vMAC\n'
    assert says(lan('host', 'show', 'kvm2').out, 'state', 'draining')
    assert lan('host', 'undrain', 'kvm2').out == 'host kvm2 takes vMACs again\n'
    assert lan('host', 'forget', 'kvm3').status == 4
    assert lan('host', 'dead', 'kvm2', '--fenced-by', 'me').status == 4
    assert lan('host', 'dead', 'kvm3', '--fenced-by', 'ipmi, jane').out == \
        'host kvm3 is dead: its vMACs may be taken over\n'
    assert says(lan('host', 'show', 'kvm3').out, 'vouched dead by', 'ipmi, jane')
    assert lan('host', 'forget', 'kvm3').out == 'host kvm3 goes off the list when what it had was in quarantine\n'
    assert lan('host', 'show', 'kvm3').status == 3


def test_a_host_that_is_alone(tmp_path):
    d = Daemon(tmp_path / 's', 'alone')
    status, out, err = run('host', 'show', socket=d.path)
    assert (status, out) == (4, '') and 'shares no registry' in err
    assert run('host', 'list', socket=d.path).out.count('\n') == 1
    d.stop()


def test_moves(lan):
    assert lan('mac', 'prepare', MAC, '--segment', 'lan', '--lifetime', '30m').out == \
        f'{MAC} is ready: a state of the fake engine\n'
    assert lan('mac', 'add', '--address', MAC, '--name', 'web1').status == 0
    shown = lan('mac', 'show', 'web1').out
    for key, value in (('move', 'ready, gate tunnel-in, for 2s'), ('held by', 'kvm2'),
                       ('because', 'the holder reserved it for this host'),
                       ('reserved for', 'kvm1'), ('until in', '2h'),
                       ('used by others', '3 frames on the wire, the last 5s ago'),
                       ('on the wire', 'clone: ARP of 192.0.2.9, which the port here may not use'),
                       ('frames', '3 frames in 1m5s, the last 5s ago; looked at: 0 move, 0 loop, 2 clone, 1 unknown')):
        assert says(shown, key, value)
    for verb, state in (('activate', 'live'), ('stop', 'paused'), ('resume', 'held'),
                        ('thaw', 'held'), ('move', 'held'), ('abort', 'none')):
        assert lan('mac', verb, 'web1').out.startswith(f'{MAC} is {state}: ')
    line = lan('mac', 'moves').out.splitlines()[1].split()
    assert line[:3] == [MAC, 'lan', 'none'] and 'kvm2' in line and 'clone' in line
    assert json.loads(lan('--json', 'mac', 'moves').out)['items'][0]['epoch'] == 3
    status, _, err = lan('mac', 'move', 'web1', '--force')
    assert status == 7 and 'its holder lives' in err
    assert lan('mac', 'prepare', '02:00:00:00:00:01').status == 3
    assert lan('mac', 'prepare', 'web1', '--lifetime', '25h').status == 2


def test_pool_blocks(lan):
    assert 'blocks:       2 of this host\'s, 256 addresses each\n' in lan('pool', 'show', 'p').out


def test_watch_moves(lan):
    p = watch(lan, '--count', '1')
    lan('mac', 'prepare', MAC, '--reason', 'soon')
    out, _ = p.communicate(timeout=20)
    assert re.fullmatch(DATE.pattern + rf'  move     {MAC}  transition by uid {os.getuid()}: '
                        r'- -> ready \(soon\)\n', out)


# --- registry -------------------------------------------------------------------------------------

def test_registry_runs_its_tool(tmp_path):
    tool = tmp_path / 'tool'
    tool.write_text('#!/bin/sh\nfor a; do echo "<$a>"; done\necho no >&2\nexit 8\n')
    tool.chmod(0o755)
    env = {'VMAC_REGISTRY_TOOL': str(tool)}
    status, out, err = run('registry', 'check', '--repair', '--endpoint', 'http://a b:1',
                           '--endpoint=http://c', '--user', '', env=env)
    assert (status, err) == (8, 'no\n')
    assert out.splitlines() == ['<check>', '<--repair>', '<--endpoint>', '<http://a b:1>',
                                '<--endpoint>', '<http://c>', '<--user>', '<>', '<-->']
    assert run('registry', 'export', '--shared', '--', '-x', env=env).out.splitlines() == [
        '<export>', '<--shared>', '<-->', '<-x>']
    assert run('registry', 'copy', '--to', 'own', '--uplink', 'lan=eth0', env=env).status == 8
    status, out, err = run('registry', 'check', env={'VMAC_REGISTRY_TOOL': '/nonexistent'})
    assert (status, out) == (1, '') and 'cannot run /nonexistent' in err


# --- watch ----------------------------------------------------------------------------------------


def watch(lan, *args):
    p = subprocess.Popen([VMAC, 'watch', *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, env={'VMAC_SOCKET': lan.daemon.path})
    deadline = time.monotonic() + 10
    while lan.daemon.call('GET', '/v1/status').json['api']['subscribers'] == 0:
        assert time.monotonic() < deadline
    return p


def test_watch(lan):
    p = watch(lan, '--count', '2')
    lan('mac', 'add', '--name', 'a', '--reason', 'because')
    lan('mac', 'add', '--name', 'b')
    out, err = p.communicate(timeout=20)
    assert p.returncode == 0 and err == ''
    first, second = out.splitlines()
    assert re.fullmatch(DATE.pattern + rf'  vmac     a  allocate by uid {os.getuid()} '
                        r'\(because\)', first)
    assert '  vmac     b  allocate' in second


def test_watch_json(lan):
    p = watch(lan, '--json', '--count', '1')
    lan('mac', 'add', '--name', 'a')
    assert json.loads(p.communicate(timeout=20)[0])['subject'] == 'a'


def test_watch_ends_with_time(lan):
    start = time.monotonic()
    assert lan('watch', '--seconds', '1').status == 0
    assert 0.9 < time.monotonic() - start < 10


def test_watch_ends_with_the_daemon(tmp_path):
    d = Daemon(tmp_path / 's')

    class Lan:
        daemon = d

    p = watch(Lan)
    d.process.send_signal(signal.SIGTERM)
    _, err = p.communicate(timeout=20)
    assert p.returncode == 6 and 'vmacd ended the stream' in err
    d.stop()


# --- classify -------------------------------------------------------------------------------------

CSV = '''Registry,Assignment,Organization Name,Organization Address
MA-L,001B21,Intel Corporate,"Lot 8
Kulim"
MA-L,70B3D5,IEEE Registration Authority,x
'''


@pytest.fixture
def ieee(tmp_path):
    (tmp_path / 'oui.csv').write_text(CSV)
    (tmp_path / 'oui36.csv').write_text(
        'Registry,Assignment,Organization Name,Organization Address\r\n'
        'MA-S,70B3D5123,"Small, ""quoted"" GmbH",x\r\n')
    return str(tmp_path)


def test_classify(ieee):
    status, out, err = run('classify', '--ieee-data', ieee, '00:00:5e:00:01:0a', '001B.2100.0001',
                           '70-B3-D5-12-30-00', 'd2:00:00:00:00:01', 'ff:ff:ff:ff:ff:ff')
    assert status == 0 and err == ''
    lines = out.splitlines()
    assert lines[0].split('  ')[0] == 'ADDRESS'
    assert 'VRRP VRID 10' in lines[1] and 'universal' in lines[1]
    assert 'Intel Corporate' in lines[2]
    assert 'Small, "quoted" GmbH' in lines[3]
    assert 'local AAI' in lines[4]
    assert 'broadcast' in lines[5]


def test_classify_json_and_stdin(ieee):
    status, out, _ = run('classify', '--json', '--ieee-data', ieee, '-', '02:42:ac:11:00:02',
                         stdin='00:1b:21:00:00:01\r\n\n01:00:5e:00:00:01')
    a, b, c = map(json.loads, out.splitlines())
    assert status == 0
    assert a == {'address': '00:1b:21:00:00:01', 'kind': 'unicast', 'group': False, 'local': False,
                 'slap': None, 'well_known': None, 'vendor': 'Intel Corporate'}
    assert b['kind'] == 'multicast' and b['group']
    assert c['slap'] == 'AAI' and c['well_known']['protocol'] == 'Docker'


def test_classify_says_what_is_wrong(ieee, tmp_path):
    status, out, err = run('classify', '--ieee-data', ieee, 'zz', '00:1b:21:00:00:01\x1b[2J',
                           '00:1b:21:00:00:01')
    assert status == 2 and out.count('\n') == 2
    assert '"zz" is no MAC address: ' in err and 'position 1' in err and '\x1b' not in err
    status, out, err = run('classify', '--ieee-data', '/nonexistent', '00:1b:21:00:00:01')
    assert status == 0 and 'the vendors are not known here' in err and out.count('\n') == 2


def test_full_disk_is_no_success():
    with open('/dev/full', 'w') as full:
        p = subprocess.run([VMAC, '--help'], stdout=full, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 1 and 'standard output' in p.stderr
