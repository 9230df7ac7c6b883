"""vmac router against a server that notes what it is asked and answers what the test says."""
import json
import os
import socketserver
import subprocess
import threading
from http.server import BaseHTTPRequestHandler

import pytest

VMAC = os.environ['VMAC']

ROUTER = {
    'name': 'gw', 'protocol': 'vrrp3', 'enabled': True, 'priority': 100, 'interval': '1s',
    'hold': None, 'learn': False, 'preempt': True, 'preempt_delay': '10s', 'boot_hold': '0',
    'accept': False, 'also_v2': False, 'checksum': 'auto', 'garp': 'request', 'announce_count': 3,
    'announce_refresh': '0', 'linger': 'auto', 'notify': '', 'note': 'uplink', 'from_file': True,
    'auth': {'type': 'hmac', 'mode': 'enforce', 'keys': [{'id': 1}, {'id': 2}]},
    'sets': [
        {'interface': 'eth0', 'group': 7, 'addresses': ['10.0.0.1/24', '10.0.0.3/32'], 'family': 4,
         'mac': '00:00:5e:00:01:07', 'device': 'vr1.0', 'source': '', 'peers': ['10.0.0.9']},
        {'interface': 'eth0', 'group': 7, 'addresses': ['fe80::1/64'], 'family': 6,
         'mac': '00:00:5e:00:02:07', 'device': 'vr1.1', 'source': '', 'peers': []}],
    'tracks': [{'kind': 'ping', 'target': '10.0.0.9', 'weight': -50, 'interval': '1s',
                'timeout': '500ms', 'rise': 1, 'fall': 3},
               {'kind': 'interface', 'target': 'eth1', 'weight': 0, 'rise': 1, 'fall': 3}],
    'live': {
        'state': 'backup', 'reason': 'a higher priority is heard', 'since': '2026-01-02T03:04:05.6Z',
        'priority': 50, 'embodied': False, 'lease_ms': 0, 'active': '10.0.0.2',
        'active_priority': 150, 'standby': '', 'interval': '500ms', 'hold': '1s609ms',
        'timers_learned': True, 'checksum': 'plain',
        'counters': {'sent': 1234, 'received': 5, 'announced': 0, 'transitions': 2, 'late': 0,
                     'late_ns_most': 7000000, 'verdicts': {'accepted': 5, 'ttl': 3, 'own': 0}},
        'sets': [{'ifindex': 5, 'device': 'vr1.0', 'mac': '00:00:5e:00:01:07',
                  'source': '10.0.0.8', 'stopped_out': 4, 'stopped_in': 0},
                 {'ifindex': 6, 'device': 'vr1.1', 'mac': '00:00:5e:00:02:07', 'source': 'fe80::8',
                  'stopped_out': 0, 'stopped_in': 0, 'trouble': {'code': 'no_interface', 'hint': 'plug it',
                                               'message': 'eth0 has no carrier'}}],
        'tracks': [{'kind': 'ping', 'target': '10.0.0.9', 'up': False, 'known': True, 'runs': 9,
                    'failures': 4, 'detail': 'no answer'},
                   {'kind': 'interface', 'target': 'eth1', 'up': True, 'known': True, 'runs': 1,
                    'failures': 0, 'detail': ''}]}}


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def vmac(tmp_path):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def serve(self):
            body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
            call.asked.append((self.command, self.path, json.loads(body) if body else None))
            status, answer = call.answer
            text = json.dumps(answer).encode() if answer is not None else b''
            self.send_response(status)
            self.send_header('Content-Length', str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = serve

        def log_message(self, *_):
            pass

        def address_string(self):
            return ''

    path = str(tmp_path / 's')
    server = Server(path, Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def call(*args, answer=(200, None), stdin=''):
        call.answer = answer
        call.asked = []
        p = subprocess.run([VMAC, *args], capture_output=True, text=True, input=stdin, timeout=30,
                           env={'VMAC_SOCKET': path})
        return p.returncode, p.stdout, p.stderr

    call.asked = []
    yield call
    server.shutdown()
    server.server_close()


ADD = ['router', 'add', 'gw', '--protocol', 'vrrp3']
ETH0 = ['--interface', 'eth0', '--group', '7', '--address', '10.0.0.1/24']


def body(vmac, *args, **kwargs):
    status, _, err = vmac(*args, answer=(201, ROUTER), **kwargs)
    assert status == 0, err
    return vmac.asked[0][2]


def test_add(vmac):
    status, out, err = vmac(*ADD, *ETH0, answer=(201, ROUTER))
    assert (status, err) == (0, '')
    assert out == 'router gw added: 00:00:5e:00:01:07 00:00:5e:00:02:07\n'
    assert vmac.asked == [('POST', '/v1/routers', {
        'name': 'gw', 'protocol': 'vrrp3',
        'sets': [{'interface': 'eth0', 'group': 7, 'addresses': ['10.0.0.1/24']}]})]


def test_both_families_are_two_sets(vmac):
    b = body(vmac, *ADD, '--interface', 'eth0', '--group', '7', '--address', 'fe80::1/64',
             '--address', '10.0.0.1/24,2001:db8::1/64', '--source', 'fe80::9', '--peer',
             '10.0.0.9', '--peer', '10.0.0.8')
    assert b['sets'] == [
        {'interface': 'eth0', 'group': 7, 'addresses': ['10.0.0.1/24'],
         'peers': ['10.0.0.9', '10.0.0.8']},
        {'interface': 'eth0', 'group': 7, 'addresses': ['fe80::1/64', '2001:db8::1/64'],
         'source': 'fe80::9'}]


def test_sets(vmac):
    b = body(vmac, *ADD, *ETH0, '--mac', '02:00:00:00:00:01', '--device', 'v0', '--set',
             'eth1:8:10.1.0.1/24,fe80::2/64', '--set', 'eth2.5:9:10.2.0.1/24')
    assert b['sets'] == [
        {'interface': 'eth0', 'group': 7, 'addresses': ['10.0.0.1/24'], 'mac': '02:00:00:00:00:01',
         'device': 'v0'},
        {'interface': 'eth1', 'group': 8, 'addresses': ['10.1.0.1/24']},
        {'interface': 'eth1', 'group': 8, 'addresses': ['fe80::2/64']},
        {'interface': 'eth2.5', 'group': 9, 'addresses': ['10.2.0.1/24']}]


def test_every_option(vmac):
    b = body(vmac, *ADD, *ETH0, '--priority', '150', '--interval', '250ms', '--hold', '3s',
             '--learn', '--no-preempt', '--preempt-delay', '5s', '--boot-hold', '1m', '--accept',
             '--also-v2', '--checksum', 'plain', '--garp', 'both', '--announce-count', '5',
             '--announce-refresh', '1m', '--linger', '0', '--auth', 'hmac', '--auth-mode',
             'permissive', '--key', '7:new', '--key', 'old:1', '--notify', '/etc/n', '--note', 'x',
             '--disabled', '--reason', 'why')
    del b['sets']
    assert b == {
        'name': 'gw', 'protocol': 'vrrp3', 'priority': 150, 'interval': '250ms', 'hold': '3s',
        'learn': True, 'preempt': False, 'preempt_delay': '5s', 'boot_hold': '1m', 'accept': True,
        'also_v2': True, 'checksum': 'plain', 'garp': 'both', 'announce_count': 5,
        'announce_refresh': '1m', 'linger': '0', 'notify': '/etc/n', 'note': 'x', 'enabled': False,
        'reason': 'why',
        'auth': {'type': 'hmac', 'mode': 'permissive',
                 'keys': [{'id': 7, 'secret': 'new'}, {'id': 2, 'secret': 'old:1'}]}}


def test_hold_by_itself_is_null(vmac):
    assert body(vmac, *ADD, *ETH0, '--hold', 'auto')['hold'] is None


def test_key_file(vmac, tmp_path):
    f = tmp_path / 'keys'
    f.write_text('9:a b\r\n\n#no comment\n')
    f.chmod(0o600)
    keys = [{'id': 9, 'secret': 'a b'}, {'id': 2, 'secret': '#no comment'}]
    assert body(vmac, *ADD, *ETH0, '--key-file', str(f))['auth'] == {'keys': keys}
    assert body(vmac, *ADD, *ETH0, '--key-file', '-', stdin='x')['auth'] == {
        'keys': [{'id': 1, 'secret': 'x'}]}
    f.chmod(0o644)
    _, _, err = vmac(*ADD, *ETH0, '--key-file', str(f), answer=(201, ROUTER))
    assert 'may be read by others' in err and 'a b' not in err
    f.write_text('\n')
    assert vmac(*ADD, *ETH0, '--key-file', str(f))[0] == 2
    f.write_text('x' * 2000)
    status, _, err = vmac(*ADD, *ETH0, '--key-file', str(f))
    assert status == 2 and 'too long' in err and 'xxx' not in err


def test_tracks(vmac):
    b = body(vmac, *ADD, *ETH0, '--track', 'ping:fe80::1%eth0,weight=-50,rise=2,fall=4',
             '--track', 'http:http://a/?x=1,2,interval=2s,timeout=1s', '--track', 'interface:eth1',
             '--track', 'script:/bin/x --a=b,c')
    assert b['tracks'] == [
        {'kind': 'ping', 'target': 'fe80::1%eth0', 'weight': -50, 'rise': 2, 'fall': 4},
        {'kind': 'http', 'target': 'http://a/?x=1,2', 'interval': '2s', 'timeout': '1s'},
        {'kind': 'interface', 'target': 'eth1'},
        {'kind': 'script', 'target': '/bin/x --a=b,c'}]


MISUSE = {
    'router add gw': '--protocol is missing',
    'router add gw --protocol vrrp3': '--interface is missing',
    'router add gw --protocol vrrp3 --interface e': '--group is missing',
    'router add gw --protocol vrrp3 --interface e --group x --address 1.1.1.1': 'is no number',
    'router add gw --protocol vrrp3 --interface e --group 7': '--address is missing',
    'router add gw --protocol vrrp3 --group 7': '--group goes with --interface',
    'router add gw --protocol vrrp3 --set e:7:1.1.1.1 --peer 2.2.2.2': 'goes with --interface',
    'router add gw --protocol vrrp3 --set e:7': 'is not INTERFACE:GROUP:ADDRESS',
    'router add gw --protocol vrrp3 --set e:x:1.1.1.1': 'the group is no number',
    'router add gw --protocol vrrp3 --set e:7:1.1.1.1,': 'an address is empty',
    'router add gw --protocol vrrp3 --interface e --group 7 --address 1.1.1.1 --peer fe80::1':
        'of another family',
    'router add gw --protocol vrrp3 --interface e --group 7 --address 1.1.1.1,fe80::1 '
    '--mac 02:00:00:00:00:01': 'two sets',
    'router add gw --protocol vrrp3 --set e:7:1.1.1.1 --accept --no-accept': 'do not go together',
    'router add gw --protocol vrrp3 --set e:7:1.1.1.1 --track ping': 'is not KIND:TARGET',
    'router add gw --protocol vrrp3 --set e:7:1.1.1.1 --key 7:': 'is empty',
    'router add gw --protocol vrrp3 --set e:7:1.1.1.1 --key-file /nonexistent': 'No such file',
    'router set gw': 'there is nothing to change',
    'router set gw --reason x': 'there is nothing to change',
    'router set gw --enable --disable': 'do not go together',
    'router set gw --track ping:1.1.1.1 --no-tracks': 'do not go together',
    'router history gw --limit 0': 'is no number of lines',
    'router lst': 'did you mean list?',
}


@pytest.mark.parametrize('line', MISUSE)
def test_misuse(vmac, line):
    status, out, err = vmac(*line.split())
    assert status == 2 and out == '' and MISUSE[line] in err
    assert 'hint: ' in err and vmac.asked == []


def test_set(vmac):
    assert vmac('router', 'set', 'gw', '--priority', '50', '--no-learn', '--disable',
                answer=(200, ROUTER)) == (0, 'router gw changed\n', '')
    assert vmac.asked == [('PATCH', '/v1/routers/gw',
                           {'priority': 50, 'learn': False, 'enabled': False})]
    vmac('router', 'set', 'gw', '--no-tracks', '--no-also-v2', '--enable', answer=(200, ROUTER))
    assert vmac.asked[0][2] == {'tracks': [], 'also_v2': False, 'enabled': True}
    vmac('router', 'set', 'gw', '--set', 'eth0:7:10.0.0.1/24', answer=(200, ROUTER))
    assert vmac.asked[0][2] == {
        'sets': [{'interface': 'eth0', 'group': 7, 'addresses': ['10.0.0.1/24']}]}


def test_a_key_keeps_its_secret(vmac):
    vmac('router', 'set', 'gw', '--key', '2:new', '--key', '1:', answer=(200, ROUTER))
    assert vmac.asked[0][2] == {'auth': {'keys': [{'id': 2, 'secret': 'new'}, {'id': 1}]}}


def test_delete(vmac):
    assert vmac('router', 'delete', 'a b', '--reason', 'x', answer=(204, None)) == (
        0, 'router a b deleted\n', '')
    assert vmac.asked == [('DELETE', '/v1/routers/a%20b?reason=x', None)]


def test_errors_have_their_status(vmac):
    error = {'error': {'code': 'not_found', 'message': 'there is no router gw', 'hint': 'list'}}
    for args in (['show'], ['set', '--priority', '1'], ['delete'], ['history']):
        status, out, err = vmac('router', args[0], 'gw', *args[1:], answer=(404, error))
        assert (status, out) == (3, '')
        assert err == 'vmac: there is no router gw\nhint: list\n'


SHOWN = '''\
name:            gw
protocol:        vrrp3
state:           backup
since:           2026-01-02T03:04:05.6Z
reason:          a higher priority is heard
active:          10.0.0.2 with priority 150
priority:        100, by tracking 50
interval:        500ms (learned)
hold:            1s609ms
preempt:         yes, after 10s
accept:          no
checksum:        auto (now plain)
authentication:  hmac, enforce, keys 1, 2
set:             eth0 group 7
  vMAC:          00:00:5e:00:01:07 on vr1.0
  addresses:     10.0.0.1/24 10.0.0.3/32
  sends from:    10.0.0.8
  peers:         10.0.0.9
  stopped out:   4 frames
set:             eth0 group 7
  vMAC:          00:00:5e:00:02:07 on vr1.1
  addresses:     fe80::1/64
  sends from:    fe80::8
trouble:         eth0 has no carrier (no_interface)
hint:            plug it
track ping:      10.0.0.9 is down, weight -50: no answer
track interface: eth1 is up, weight 0
sent:            1,234
received:        5
transitions:     2
latest:          7 ms behind its time
heard accepted:  5
heard ttl:       3
note:            uplink
from:            the configuration file, which is where it is changed
'''


def test_show(vmac):
    status, out, err = vmac('router', 'show', 'gw', answer=(200, ROUTER))
    assert (status, err) == (0, '')
    assert [' '.join(line.split()) for line in out.splitlines()] == \
        [' '.join(line.split()) for line in SHOWN.splitlines()]
    assert vmac.asked == [('GET', '/v1/routers/gw', None)]


def test_show_active_and_without_live(vmac):
    live = {**ROUTER['live'], 'state': 'active', 'embodied': True, 'lease_ms': 2900}
    out = vmac('router', 'show', 'gw', answer=(200, {**ROUTER, 'live': live}))[1]
    assert 'here (lease of 2900 ms left)' in out
    status, out, _ = vmac('router', 'show', 'gw', answer=(200, {
        **ROUTER, 'live': None, 'enabled': False}))
    assert status == 0 and 'state:' not in out and 'enabled:' in out and 'not known yet' in out


def test_list(vmac):
    page = {'items': [ROUTER], 'more': False}
    status, out, err = vmac('router', 'list', answer=(200, page))
    assert (status, err) == (0, '')
    heading, row = out.splitlines()
    assert heading.split() == ['NAME', 'PROTOCOL', 'INTERFACE', 'GROUP', 'STATE', 'SINCE',
                               'PRIORITY', 'ACTIVE', 'ADDRESSES']
    assert vmac.asked == [('GET', '/v1/routers', None)]
    assert row.split() == ['gw', 'vrrp3', 'eth0', '7', 'backup', '2026-01-02T03:04:05.6Z', '50',
                           'of', '100', '10.0.0.2', '10.0.0.1/24', '10.0.0.3/32', 'fe80::1/64']
    status, out, _ = vmac('--json', 'router', 'list', answer=(200, page))
    assert json.loads(out) == page


def test_history(vmac):
    page = {'items': [
        {'seq': 2, 'at': '2026-01-02T03:04:05.000Z', 'from': 'backup', 'to': 'active',
         'reason': 'silence', 'detail': '10.0.0.2 was heard 3.6s ago', 'priority': 100},
        {'seq': 1, 'at': '2026-01-02T03:04:01.000Z', 'from': '', 'to': 'backup', 'reason': 'start',
         'detail': '', 'priority': 100}], 'more': False}
    status, out, err = vmac('router', 'history', 'gw', '--limit', '2', answer=(200, page))
    assert (status, err) == (0, '')
    assert 'backup -> active' in out and '- -> backup' in out and '3.6s ago' in out
    assert vmac.asked == [('GET', '/v1/routers/gw/history', None)]
    assert len(vmac('router', 'history', 'gw', '--limit', '1', answer=(200, page))[1].splitlines()) == 2
