"""Connections: kept, pipelined, lost in the middle; the event stream; the socket itself."""
import json
import os
import re
import socket
import subprocess
import time

from daemon import Daemon, request


def metrics(daemon):
    """A strict reader of the text format: every sample belongs to the metric announced last."""
    text = daemon.call('GET', '/metrics').body.decode()
    samples, name, typed = {}, None, set()
    for line in text.splitlines():
        if not line:
            continue
        if m := re.fullmatch(r'# HELP (\w+) .+', line):
            name = m[1]
            assert name not in typed, f'{name} announced twice'
        elif m := re.fullmatch(r'# TYPE (\w+) (counter|gauge)', line):
            assert m[1] == name
            assert (m[2] == 'counter') == name.endswith('_total'), name
            typed.add(name)
        else:
            m = re.fullmatch(r'(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (\S+)', line)
            assert m and m[1] == name and name in typed, line
            labels = frozenset(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m[2] or ''))
            assert (name, labels) not in samples, line
            samples[name, labels] = float(m[3])
    return samples


def value(samples, name, **labels):
    return samples[name, frozenset(labels.items())]


def test_metrics(daemon):
    daemon.call('POST', '/v1/ports', {'name': 't0', 'kind': 'tap'})
    daemon.call('POST', '/v1/segments', {'name': 'lan'})
    daemon.call('GET', '/nope')
    s = metrics(daemon)
    assert value(s, 'vmac_port_rx_frames_total', port='t0', segment='lan') == 100
    assert value(s, 'vmac_port_drops_total', port='t0', segment='lan', reason='spoofed_mac') == 7
    assert value(s, 'vmac_port_redirected_total', port='t0', segment='lan') == 7
    assert value(s, 'vmac_port_phase', port='t0', segment='lan', phase='active') == 1
    assert value(s, 'vmac_uplink_tx_octets_total', uplink='eth9') == 3200
    assert value(s, 'vmac_pool_size', pool='p', segment='lan') == 1 << 24
    assert value(s, 'vmac_refusals_total', code='name_in_use') == 1
    assert value(s, 'vmac_api_refusals_total', code='no_such_route') == 1
    assert value(s, 'vmac_api_requests_total', status='201') == 3
    assert value(s, 'vmac_registry_commit_seconds_last') == 0.0015
    assert value(s, 'vmac_build_info', version=daemon.call('GET', '/v1/status').json['version'])


def test_kept_connection(daemon):
    c = daemon.connect()
    addresses = {c.call('POST', '/v1/vmacs', {}).json['address'] for _ in range(200)}
    assert len(addresses) == 200
    assert value(metrics(daemon), 'vmac_api_connections') == 2
    c.close()


def test_pipelined(daemon):
    c = daemon.connect()
    c.send(b''.join(request('POST', '/v1/vmacs', {'name': f'n{i}'}) for i in range(50)))
    assert [c.read().json['name'] for _ in range(50)] == [f'n{i}' for i in range(50)]
    c.close()


def test_caller_is_known(daemon):
    stream = daemon.connect()
    stream.send(request('GET', '/v1/events'))
    read_until(stream, b'retry')
    daemon.call('POST', '/v1/vmacs', {'name': 'a', 'reason': 'because'})
    data = json.loads(re.search(rb'data: (.*)\n', read_until(stream, b'"to"'))[1])
    assert data['actor'] == f'uid {os.getuid()}' and data['reason'] == 'because'
    stream.close()


def test_client_gone_before_its_answer(daemon):
    for i in range(5):
        c = daemon.connect()
        c.send(request('POST', '/v1/vmacs', {'name': f'gone{i}', 'reason': 'slow'}))
        time.sleep(0.05)  # or it is gone before the command is read
        if i % 2:
            c.sock.shutdown(socket.SHUT_RDWR)
        c.close()
    # The command was carried out all the same; a view waits for it.
    names = [v['name'] for v in daemon.call('GET', '/v1/vmacs').json['items']]
    assert names == [f'gone{i}' for i in range(5)]


def test_view_waits_for_what_is_not_durable_yet(daemon):
    c = daemon.connect()
    c.send(request('POST', '/v1/vmacs', {'name': 'late', 'reason': 'slow'}))
    time.sleep(0.05)
    start = time.monotonic()
    assert len(daemon.call('GET', '/v1/vmacs').json['items']) == 1
    assert time.monotonic() - start > 0.1
    assert c.read().status == 201
    c.close()


def test_stop_with_commands_in_flight(tmp_path):
    d = Daemon(tmp_path / 's')
    d.fill()
    connections = [d.connect() for _ in range(8)]
    for i, c in enumerate(connections):
        c.send(request('GET', '/v1/events') if i % 3 == 0 else
               request('GET', '/v1/vmacs') if i % 3 == 1 else
               request('POST', '/v1/vmacs', {'reason': 'slow'}))
    time.sleep(0.1)
    d.stop()
    for c in connections:
        c.close()


# --- events ---------------------------------------------------------------------------------------


def read_until(c, what, seconds=5):
    data, c_end = b'', time.monotonic() + seconds
    while what not in data:
        assert time.monotonic() < c_end, data
        data += c.sock.recv(65536)
    return data


def test_events(daemon):
    c = daemon.connect()
    c.send(request('GET', '/v1/events'))
    assert b'text/event-stream' in read_until(c, b'retry')
    for name in ('a', 'b'):
        daemon.call('POST', '/v1/vmacs', {'name': name})
    data = read_until(c, b'"subject":"b"')
    ids = re.findall(rb'id: (\S+)\n', data)
    assert len(ids) == 2 and data.count(b'event: vmac\n') == 2
    c.close()
    # Back again: what came behind the first id, once.
    daemon.call('POST', '/v1/vmacs', {'name': 'c'})
    c = daemon.connect()
    c.send(request('GET', '/v1/events', headers=f'Last-Event-ID: {ids[0].decode()}\r\n'))
    data = read_until(c, b'"subject":"c"')
    assert b'"subject":"a"' not in data and data.count(b'"subject":"b"') == 1
    assert b'event: lost' not in data
    c.close()


def test_events_of_an_unknown_id(daemon):
    for last in ('1-2', 'x', '', '99999999999999999999999-1'):
        c = daemon.connect()
        c.send(request('GET', '/v1/events', headers=f'Last-Event-ID: {last}\r\n'))
        assert b'event: lost\ndata: {"count":null}' in read_until(c, b'null}')
        c.close()


def test_events_of_a_slow_reader(daemon):
    slow, quick = daemon.connect(), daemon.connect()
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.send(request('GET', '/v1/events'))
    read_until(slow, b'retry')
    for _ in range(10000):
        quick.call('POST', '/v1/vmacs', {})
    lost, told, data = 0, 0, b''
    while lost + told < 10000:
        data += slow.sock.recv(1 << 20)
        lost = sum(map(int, re.findall(rb'event: lost\ndata: {"count":(\d+)}', data)))
        told = len(re.findall(rb'event: vmac\n', data))
    assert lost > 0 and lost + told == 10000
    assert value(metrics(daemon), 'vmac_events_lost_total') == lost
    slow.close()
    quick.close()


def test_too_many_event_streams(daemon):
    streams = [daemon.connect() for _ in range(64)]
    for c in streams:
        c.send(request('GET', '/v1/events'))
        read_until(c, b'retry')
    a = daemon.call('GET', '/v1/events')
    assert (a.status, a.code) == (409, 'limit_reached')
    for c in streams:
        c.close()


# --- the socket -----------------------------------------------------------------------------------


def start_in_vain(path):
    p = subprocess.run([os.environ['FAKE_DAEMON'], str(path)], capture_output=True, text=True,
                       timeout=20)
    return p.returncode, p.stderr


def test_socket_mode(bare):
    assert os.stat(bare.path).st_mode & 0o777 == 0o660


def test_second_daemon(bare):
    code, said = start_in_vain(bare.path)
    assert code == 4 and 'already_running' in said
    assert bare.call('GET', '/v1/segments').status == 200


def test_stale_socket_is_replaced(tmp_path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(tmp_path / 's'))
    s.close()
    d = Daemon(tmp_path / 's')
    assert d.call('GET', '/v1/segments').status == 200
    d.stop()


def test_socket_that_cannot_be(tmp_path):
    (tmp_path / 'f').write_text('mine')
    code, said = start_in_vain(tmp_path / 'f')
    assert code == 4 and 'in_use' in said and (tmp_path / 'f').read_text() == 'mine'
    assert start_in_vain(tmp_path / 'no' / 's')[0] == 3
    code, said = start_in_vain(tmp_path / ('x' * 120))
    assert code == 2 and 'at most 107' in said
