"""What nobody should send: a precise code, nothing changed, the connection still good."""
import json
import socket

import pytest

from daemon import request

POST = {
    # path, body, code, words of the message
    'no json': ('/v1/vmacs', b'{"name":', 'bad_json', 'line 1, column'),
    'two lines': ('/v1/vmacs', b'{\n "name": "a",\n}', 'bad_json', 'line 3'),
    'no utf-8': ('/v1/vmacs', b'{"name":"\xff"}', 'bad_json', 'decode'),
    'nul': ('/v1/vmacs', b'{"name":"a\\u0000b"}', 'bad_json', ''),
    'twice': ('/v1/vmacs', b'{"name":"a","name":"b"}', 'bad_json', 'duplicate'),
    'deep': ('/v1/vmacs', b'[' * 100000, 'bad_json', ''),
    'array': ('/v1/vmacs', [], 'wrong_type', 'expected an object, found an array'),
    'scalar': ('/v1/vmacs', b'7', 'bad_json', ''),
    'trailing': ('/v1/vmacs', b'{} x', 'bad_json', ''),
    'unknown': ('/v1/vmacs', {'nme': 1}, 'unknown_field', 'nme'),
    'unknown inside': ('/v1/ports', {'name': 'x', 'kind': 'tap', 'allocate': {'x': 1}},
                       'unknown_field', 'allocate.x'),
    'missing': ('/v1/ports', {'kind': 'tap'}, 'missing_field', 'name'),
    'missing all': ('/v1/segments', {}, 'missing_field', 'name'),
    'missing body': ('/v1/segments', None, 'missing_field', 'name'),
    'integer for text': ('/v1/vmacs', {'pool': 3}, 'wrong_type',
                         'pool: expected a string, found an integer'),
    'null': ('/v1/vmacs', {'pool': None}, 'wrong_type', 'found null'),
    'text for integer': ('/v1/vmacs/batch', {'count': '3'}, 'wrong_type', 'found a string'),
    'fraction': ('/v1/vmacs/batch', {'count': 1.5}, 'wrong_type', 'fraction'),
    'negative': ('/v1/vmacs/batch', {'count': -1}, 'wrong_type', 'negative'),
    'huge': ('/v1/vmacs/batch', b'{"count":99999999999999999999}', 'bad_json', ''),
    'zero': ('/v1/vmacs/batch', {'count': 0}, 'bad_value', '1 … 100000'),
    'too many': ('/v1/vmacs/batch', {'count': 100001}, 'bad_value', '1 … 100000'),
    'list': ('/v1/vmacs', {'ips': '192.0.2.1'}, 'wrong_type', 'array'),
    'list item': ('/v1/vmacs', {'ips': ['192.0.2.1', 7]}, 'wrong_type', 'ips[1]'),
    'bad ip': ('/v1/vmacs', {'ips': ['192.0.2.256']}, 'bad_value', 'ips[0]'),
    'nine ips': ('/v1/vmacs', {'ips': ['192.0.2.1'] * 9}, 'bad_value', 'at most 8'),
    'control': ('/v1/vmacs', {'name': 'a\nb'}, 'bad_name', 'name'),
    'control in owner': ('/v1/vmacs', {'owner': 'a\x1b[2J'}, 'bad_value', 'owner'),
    'control in reason': ('/v1/vmacs', {'reason': 'a\tb'}, 'bad_value', 'reason'),
    'long name': ('/v1/segments', {'name': 'a' * 64}, 'bad_name', 'name'),
    'empty name': ('/v1/segments', {'name': ''}, 'bad_name', 'name'),
    'name is a mac': ('/v1/vmacs', {'name': '0a:22:33:00:00:01'}, 'bad_name', 'name'),
    'long owner': ('/v1/vmacs', {'owner': 'a' * 128}, 'bad_value', 'owner'),
    'bad mac': ('/v1/vmacs', {'address': '0a:22:33:00:00:0g'}, 'bad_address', 'position 17'),
    'group mac': ('/v1/vmacs', {'address': '01:00:5e:00:00:01'}, 'group_address', ''),
    'both': ('/v1/vmacs', {'address': '0a:22:33:00:00:01', 'stable': 'x'}, 'bad_value',
             'only one'),
    'bad range': ('/v1/pools', {'name': 'x', 'ranges': ['0a:22:33:00:00:02..0a:22:33:00:00:01']},
                  'bad_range', 'ranges[0]'),
    'crossing range': ('/v1/pools', {'name': 'x', 'ranges': [
        '0a:00:00:00:00:00..0b:00:00:00:00:00']}, 'bad_range', 'ranges[0]'),
    'bad key': ('/v1/pools', {'name': 'x', 'key': '00'}, 'bad_value', '32 hex'),
    'bad duration': ('/v1/vmacs', {'ttl': '4 hours'}, 'bad_value', 'ttl'),
    'bad kind': ('/v1/ports', {'name': 'x', 'kind': 'bridge'}, 'bad_value', 'kind'),
    'bad allow': ('/v1/ports', {'name': 'x', 'kind': 'tap', 'allow': ['all']}, 'bad_value',
                  'allow[0]'),
    'relative netns': ('/v1/ports', {'name': 'x', 'kind': 'veth', 'netns': 'x'}, 'bad_value',
                       'netns'),
    'bad ifname': ('/v1/ports', {'name': 'x', 'kind': 'tap', 'ifname': 'a/b'}, 'bad_name',
                   'ifname'),
    'vlan': ('/v1/segments', {'name': 'x', 'vlan': 4095}, 'bad_value', 'vlan'),
    'vmac and allocate': ('/v1/ports', {'name': 'x', 'kind': 'tap', 'vmac': 'y', 'allocate': {}},
                          'bad_value', 'only one'),
    'prepare, unknown': ('/v1/vmacs/-/0a:22:33:00:00:01/prepare', {'force': True}, 'unknown_field',
                         'force'),
    'prepare, lifetime': ('/v1/vmacs/-/0a:22:33:00:00:01/prepare', {'lifetime': '-1h'}, 'bad_value',
                          'lifetime'),
    'prepare, number': ('/v1/vmacs/-/0a:22:33:00:00:01/prepare', {'lifetime': 3}, 'wrong_type',
                        'found an integer'),
    'prepare, long': ('/v1/vmacs/-/0a:22:33:00:00:01/prepare', {'lifetime': '25h'}, 'bad_value',
                      'lifetime'),
    'move, force': ('/v1/vmacs/-/0a:22:33:00:00:01/move', {'force': 'yes'}, 'wrong_type',
                    'found a string'),
    'stop, lifetime': ('/v1/vmacs/-/0a:22:33:00:00:01/stop', {'lifetime': '1h'}, 'unknown_field',
                       'lifetime'),
    'stop, control': ('/v1/vmacs/-/0a:22:33:00:00:01/stop', {'reason': 'a\x07'}, 'bad_value',
                      'reason'),
    'name in use': ('/v1/segments', {'name': 'lan'}, 'name_in_use', 'lan'),
}


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    from daemon import Daemon
    d = Daemon(tmp_path_factory.mktemp('d') / 's')
    d.fill()
    yield d
    d.stop()


@pytest.mark.parametrize('case', POST)
def test_body(shared, case):
    path, body, code, words = POST[case]
    c = shared.connect()
    before = shared.call('GET', '/v1/status').json
    a = c.call('POST', path, body)
    assert a.code == code and words in a.json['error']['message'], a.body
    assert a.status == {'name_in_use': 409}.get(code, 400)
    after = c.call('GET', '/v1/status').json
    assert after['vmacs'] == before['vmacs'] and after['pools'] == before['pools']
    assert after['api']['refusals_by_code'][code] == \
        before['api']['refusals_by_code'].get(code, 0) + 1
    c.close()


PATCH = {
    'no state': ({}, 400, 'missing_field', 'state'),
    'state': ({'state': 'asleep'}, 400, 'bad_value', 'asleep'),
    'long state': ({'state': 'a' * 17}, 400, 'bad_value', 'state'),
    'voucher': ({'state': 'dead', 'fenced_by': 'a' * 128}, 400, 'bad_value', 'fenced_by'),
    'nobody vouches': ({'state': 'dead'}, 400, 'missing_field', 'fenced_by'),
    'it lives': ({'state': 'dead', 'fenced_by': 'me'}, 409, 'wrong_state', 'lives'),
    'unknown': ({'state': 'active', 'number': 2}, 400, 'unknown_field', 'number'),
}


@pytest.mark.parametrize('case', PATCH)
def test_host(shared, case):
    body, status, code, words = PATCH[case]
    a = shared.call('PATCH', '/v1/hosts/kvm2', body)
    assert (a.status, a.code) == (status, code) and words in a.json['error']['message'], a.body
    assert shared.call('GET', '/v1/hosts/kvm2').json['state'] == 'active'


def test_unknown_field_lists_what_there_is(shared):
    a = shared.call('POST', '/v1/segments', {'nme': 'x'})
    assert a.json['error']['hint'] == 'known here: name, uplink, vlan, reason'


QUERY = {
    '/v1/vmacs?x=1': ('unknown_field', 'x'),
    '/v1/vmacs?limit=0': ('bad_value', 'limit'),
    '/v1/vmacs?limit=10001': ('bad_value', 'limit'),
    '/v1/vmacs?limit=-1': ('wrong_type', 'limit'),
    '/v1/vmacs?limit=': ('wrong_type', 'limit'),
    '/v1/vmacs?limit=1&limit=2': ('bad_value', 'twice'),
    '/v1/vmacs?state=free': ('bad_value', 'state'),
    '/v1/vmacs?after=zz': ('bad_value', 'cursor'),
    '/v1/vmacs?owner=%0a': ('bad_value', 'owner'),
    '/v1/vmacs?owner=a%00b': ('bad_value', 'NUL'),
    '/v1/vmacs?owner=%zz': ('bad_value', 'hex'),
    '/v1/vmacs?owner=%4': ('bad_value', 'hex'),
    '/v1/vmacs?owner=' + 'a' * 3000: ('too_large', 'owner'),
    '/v1/vmacs?segment=nope': ('not_found', 'nope'),
    '/v1/pools/p?key=1': ('wrong_type', 'key'),
    '/v1/history?since=yesterday': ('bad_value', 'since'),
    '/v1/segments/a%00b': ('bad_value', 'NUL'),
    '/v1/segments/' + 'a' * 500: ('too_large', 'path'),
    '/v1/segments/nope': ('not_found', 'nope'),
    '/v1/hosts/nope': ('not_found', 'nope'),
    '/v1/hosts/a%00b': ('bad_value', 'NUL'),
    '/v1/moves?limit=1': ('unknown_field', 'limit'),
    '/v1/hosts/kvm1/drain': ('no_such_route', ''),
    '/v1/nope': ('no_such_route', '/v1/nope'),
    '/v1/segments/': ('no_such_route', '/v1/segments/'),
    '/v1/segments/a/b': ('no_such_route', ''),
    '/v1//segments': ('no_such_route', ''),
    '/': ('no_such_route', ''),
}


@pytest.mark.parametrize('path', QUERY, ids=[q[:40] for q in QUERY])
def test_query(shared, path):
    code, words = QUERY[path]
    a = shared.call('GET', path)
    assert a.code == code and words in a.json['error']['message'], a.body


def test_escapes_are_read(shared):
    assert shared.call('GET', '/v1/segments/%6c%61n').json['name'] == 'lan'
    assert shared.call('GET', '/v1/vmacs?owner=a+b%2Bc%20%C3%A9').json['items'] == []


def test_methods(shared):
    a = shared.call('PUT', '/v1/vmacs', {})
    assert (a.status, a.code, a.headers['allow']) == (405, 'method_not_allowed', 'GET, POST')
    a = shared.call('OPTIONS', '/v1/pools/p')
    assert (a.status, a.headers['allow']) == (204, 'GET, PATCH, DELETE')
    get, head = shared.call('GET', '/v1/segments'), shared.call('HEAD', '/v1/segments')
    assert head.status == 200 and head.headers['content-length'] == get.headers['content-length']
    assert shared.call('GET', '/v1/segments', {'x': 1}).code == 'bad_value'
    assert shared.call('DELETE', '/v1/pools/p', {'reason': 'x'}).code == 'bad_value'


def test_body_of_just_the_limit(shared):
    body = b'{"note":"' + b'a' * (1024 * 1024 - 11) + b'"}'
    assert len(body) == 1024 * 1024
    assert shared.call('POST', '/v1/vmacs', body).code == 'bad_value'


def test_body_too_large(shared):
    c = shared.connect()
    a = c.call('POST', '/v1/vmacs', b'{' + b' ' * (1024 * 1024))
    assert (a.status, a.code) == (413, 'too_large')
    assert c.call('GET', '/v1/segments').status == 200  # read to its end: the connection is good
    c.close()


def test_body_far_too_large_is_refused_before_it_is_sent(shared):
    c = shared.connect()
    c.send(b'POST /v1/vmacs HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{')
    a = c.read()
    assert (a.status, a.code) == (413, 'too_large')
    assert c.file.read() == b''  # and closed
    c.close()


def test_chunks_without_end(shared):
    c = shared.connect()
    c.send(b'POST /v1/vmacs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
    chunk = b'10000\r\n' + b' ' * 65536 + b'\r\n'
    with pytest.raises(OSError):
        for _ in range(1000):
            c.send(chunk)
    c.close()
    assert shared.call('GET', '/v1/segments').status == 200


def test_chunked_body(shared):
    c = shared.connect()
    c.send(b'POST /v1/vmacs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
           b'8\r\n{"name":\r\n3\r\n7} \r\n0\r\n\r\n')
    assert c.read().code == 'wrong_type'
    c.close()


@pytest.mark.parametrize('data', [
    b'\x00\x01\x02\r\n\r\n', b'GET\r\n\r\n', b'GET / HTTP/9.9\r\n\r\n',
    b'GET / HTTP/1.1\r\n' + b'X: ' + b'a' * 100000 + b'\r\n\r\n',
    b'GET /' + b'a' * 100000 + b' HTTP/1.1\r\n\r\n',
    b'POST /v1/vmacs HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n',
    b'POST /v1/vmacs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
])
def test_no_http(shared, data):
    c = shared.connect()
    try:
        c.send(data)
        c.sock.shutdown(socket.SHUT_WR)
        c.file.read()
    except OSError:
        pass
    c.close()
    assert shared.call('GET', '/v1/segments').status == 200


def test_half_a_request(shared):
    data = request('POST', '/v1/vmacs', {'name': 'half'})
    for n in range(0, len(data), 7):
        c = shared.connect()
        c.send(data[:n])
        c.close()
    assert 'half' not in json.dumps(shared.call('GET', '/v1/vmacs').json)
