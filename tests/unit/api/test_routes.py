"""Every route over a real socket; every answer held against docs/openapi.yaml."""
import os

import jsonschema
import yaml

DOC = yaml.safe_load(open(os.environ['OPENAPI'], encoding='utf-8'))


def check(answer, schema, status=200):
    assert answer.status == status, answer.body
    assert answer.headers['content-type'] == 'application/json'
    jsonschema.validate(answer.json, {'$ref': f'#/components/schemas/{schema}',
                                      'components': DOC['components']})
    return answer.json


def test_segments(bare):
    s = check(bare.call('POST', '/v1/segments', {'name': 'lan', 'uplink': 'eth9', 'vlan': 7}),
              'Segment', 201)
    assert (s['name'], s['uplink'], s['vlan']) == ('lan', 'eth9', 7)
    bare.call('POST', '/v1/segments', {'name': 'b', 'uplink': 'absent0'})
    items = check(bare.call('GET', '/v1/segments'), 'SegmentList')['items']
    assert [i['name'] for i in items] == ['lan', 'b']
    b = check(bare.call('GET', '/v1/segments/b'), 'Segment')
    assert b['trouble']['code'] == 'no_such_interface'
    assert bare.call('DELETE', '/v1/segments/b?reason=done').status == 204
    check(bare.call('GET', '/v1/segments/b'), 'Refusal', 404)


def test_pools(daemon):
    p = check(daemon.call('GET', '/v1/pools/p'), 'Pool')
    assert p['ranges'] == ['0a:22:33:00:00:00..0a:22:33:ff:ff:ff'] and 'key' not in p
    assert p['quarantine'] == '4h' and p['size'] == 1 << 24
    key = '000102030405060708090a0b0c0d0e0f'
    p = check(daemon.call('POST', '/v1/pools', {
        'name': 'q', 'segment': 'lan', 'ranges': ['0e:00:00:00:00:00..0e:00:00:00:00:0f'],
        'excludes': ['0e:00:00:00:00:01'], 'key': key, 'quarantine': '90s', 'limit': 3}), 'Pool',
        201)
    assert 'key' not in p and p['limit'] == 3 and p['quarantine'] == '1m30s'
    assert check(daemon.call('GET', '/v1/pools/q?key=true'), 'Pool')['key'] == key
    p = check(daemon.call('PATCH', '/v1/pools/q', {'quarantine': '0', 'limit': 0}), 'Pool')
    assert p['limit'] == 0 and p['quarantine'] == '0'
    items = check(daemon.call('GET', '/v1/pools?segment=lan'), 'PoolList')['items']
    assert [i['name'] for i in items] == ['p', 'q']
    assert check(daemon.call('GET', '/v1/pools?segment=x'), 'PoolList')['items'] == []
    assert daemon.call('DELETE', '/v1/pools/q').status == 204


def test_vmacs(daemon):
    v = check(daemon.call('POST', '/v1/vmacs', {
        'name': 'web1', 'owner': 'Zoë "x" \\ y', 'tenant': 't', 'note': 'n', 'ttl': '1h',
        'ips': ['192.0.2.1', '2001:DB8::1']}), 'Vmac', 201)
    assert v['owner'] == 'Zoë "x" \\ y' and v['ips'] == ['192.0.2.1', '2001:db8::1']
    assert v['state'] == 'reserved' and v['origin'] == 'allocated' and 'until' in v
    for which in ('web1', v['address'], v['address'].upper().replace(':', '-')):
        for segment in ('lan', '-'):
            same = check(daemon.call('GET', f'/v1/vmacs/{segment}/{which}'), 'Vmac')
            assert same['address'] == v['address']
    pinned = check(daemon.call('POST', '/v1/vmacs', {'address': '0A22.3300.9999'}), 'Vmac', 201)
    assert pinned['address'] == '0a:22:33:00:99:99' and pinned['origin'] == 'pinned'
    adopted = check(daemon.call('POST', '/v1/vmacs', {'adopt': '525400123456'}), 'Vmac', 201)
    assert adopted['origin'] == 'adopted'
    v = check(daemon.call('PATCH', '/v1/vmacs/-/web1', {'note': 'm', 'ips': []}), 'Vmac')
    assert (v['note'], v['ips'], v['tenant']) == ('m', [], 't')
    check(daemon.call('POST', '/v1/vmacs/-/web1/renew'), 'Vmac')
    check(daemon.call('POST', '/v1/vmacs/-/web1/renew', {'reason': 'again'}), 'Vmac')
    refused = check(daemon.call('POST', f"/v1/vmacs/-/{pinned['address']}/renew"), 'Refusal', 409)
    assert refused['error']['code'] == 'wrong_state'
    v = check(daemon.call('DELETE', '/v1/vmacs/lan/web1'), 'Vmac')
    assert v['state'] == 'quarantined'


def test_vmac_pages(daemon):
    many = check(daemon.call('POST', '/v1/vmacs/batch', {'count': 25, 'owner': 'o'}), 'Addresses',
                 201)['addresses']
    assert len(set(many)) == 25
    seen, after = [], ''
    while True:
        page = check(daemon.call('GET', f'/v1/vmacs?limit=10{after}'), 'VmacList')
        seen += [i['address'] for i in page['items']]
        assert page['more'] == ('next' in page)
        if not page['more']:
            break
        after = '&after=' + page['next']
    assert seen == many
    assert check(daemon.call('GET', '/v1/vmacs?state=bound'), 'VmacList')['items'] == []
    assert len(check(daemon.call('GET', '/v1/vmacs?owner=o&limit=3&kind=station&origin=allocated'),
                     'VmacList')['items']) == 3


def test_ports(daemon):
    p = check(daemon.call('POST', '/v1/ports', {
        'name': 't0', 'kind': 'tap', 'allocate': {'owner': 'o', 'stable': 'id'}, 'owner_uid': 7,
        'owner_gid': 8, 'queues': 4, 'mtu': 9000, 'allow': ['any-ip', 'router-advert'],
        'flood_pps': 5, 'closed': True}), 'Port', 201)
    assert (p['owner_uid'], p['owner_gid'], p['queues'], p['mtu']) == (7, 8, 4, 9000)
    assert p['allow'] == ['router-advert', 'any-ip'] and p['gate'] == 'closed'
    assert p['counters']['drops'] == {'spoofed_mac': 7}
    daemon.call('POST', '/v1/vmacs', {'name': 'web1', 'address': '0a:22:33:00:99:99'})
    p = check(daemon.call('POST', '/v1/ports', {
        'name': 'v0', 'kind': 'veth', 'vmac': 'web1', 'netns': '/run/netns/x',
        'peer_ifname': 'eth7'}), 'Port', 201)
    assert p['vmac'] == '0a:22:33:00:99:99' and p['peer_ifname'] == 'eth7'
    p = check(daemon.call('PATCH', '/v1/ports/t0', {'gate': 'open', 'allow': [], 'flood_pps': 0}),
              'Port')
    assert (p['gate'], p['allow'], p['flood_pps']) == ('open', [], 0)
    assert p['routers'] == [] and 'claims' not in p
    p = check(daemon.call('PATCH', '/v1/ports/t0', {'routers': ['00-00-5e-00-01-07']}), 'Port')
    assert p['routers'] == ['00:00:5e:00:01:07']
    assert p['claims'] == [{'mac': '00:00:5e:00:01:07', 'holder': 'nobody'}]
    p = check(daemon.call('PATCH', '/v1/ports/t0', {'flood_pps': 1}), 'Port')
    assert p['routers'] == ['00:00:5e:00:01:07']
    too_many = [f'00:00:5e:00:01:{i:02x}' for i in range(1, 10)]
    assert daemon.call('PATCH', '/v1/ports/t0', {'routers': too_many}).status == 400
    assert check(daemon.call('PATCH', '/v1/ports/t0', {'routers': []}), 'Port')['routers'] == []
    assert len(check(daemon.call('GET', '/v1/ports'), 'PortList')['items']) == 2
    check(daemon.call('GET', '/v1/ports/t0'), 'Port')
    assert daemon.call('DELETE', '/v1/ports/t0').status == 204
    assert daemon.call('DELETE', '/v1/ports/v0?release=true&reason=x').status == 204
    refused = check(daemon.call('POST', '/v1/ports', {'name': 'n', 'kind': 'netdev',
                                                      'ifname': 'absent0'}), 'Refusal', 409)
    assert refused['error']['code'] == 'no_such_interface'


def test_history(daemon):
    page = check(daemon.call('GET', '/v1/history?limit=2'), 'HistoryList')
    assert [i['seq'] for i in page['items']] == [5, 4] and page['more'] and page['next'] == '4'
    page = check(daemon.call('GET', '/v1/history?limit=3&before=4&since=2026-01-01T00:00:00Z'),
                 'HistoryList')
    assert [i['seq'] for i in page['items']] == [3, 2, 1] and not page['more']


def test_status_and_description(daemon):
    s = check(daemon.call('GET', '/v1/status'), 'Status')
    assert s['segments'] == 1 and s['registry']['healthy']
    a = daemon.call('GET', '/v1/openapi.yaml')
    assert a.headers['content-type'] == 'application/yaml'
    assert yaml.safe_load(a.body) == DOC


def test_registry_failure_is_told(daemon):
    a = check(daemon.call('POST', '/v1/vmacs', {'reason': 'disk full'}), 'Refusal', 507)
    assert a['error'] == {'code': 'registry_full', 'message': 'the disk is full',
                          'hint': 'make room'}
