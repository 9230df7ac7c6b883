"""Every route over a real socket; every answer held against docs/openapi.yaml."""
import os

import jsonschema
import yaml

with open(os.environ['OPENAPI'], encoding='utf-8') as f:
    TEXT = f.read()
DOC = yaml.safe_load(TEXT)


def nullable(node):
    """OpenAPI 3.0's word for it, in JSON Schema's."""
    if isinstance(node, dict):
        if node.get('nullable') is True:
            node['type'] = [node['type'], 'null']
        node = list(node.values())
    if isinstance(node, list):
        for n in node:
            nullable(n)


nullable(DOC)


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
    assert p['counters']['redirected'] == 7
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
    assert yaml.safe_load(a.body) == yaml.safe_load(TEXT)


def test_registry_failure_is_told(daemon):
    a = check(daemon.call('POST', '/v1/vmacs', {'reason': 'disk full'}), 'Refusal', 507)
    assert a['error'] == {'code': 'registry_full', 'message': 'the disk is full',
                          'hint': 'make room'}


GROUP = {'interface': 'eth0', 'group': 7, 'addresses': ['10.0.0.1/24']}


def test_routers(bare):
    r = check(bare.call('POST', '/v1/routers', {
        'name': 'gw', 'protocol': 'vrrp3', 'sets': [GROUP], 'note': 'n',
        'auth': {'type': 'hmac', 'keys': [{'id': 4, 'secret': 'hunter2'}]},
        'tracks': [{'kind': 'ping', 'target': '10.0.0.9', 'weight': -50}]}), 'Router', 201)
    assert (r['priority'], r['interval'], r['hold'], r['preempt']) == (100, '1s', None, True)
    assert r['sets'][0]['mac'] == '00:00:5e:00:01:07' and r['sets'][0]['family'] == 4
    assert r['sets'][0]['device'] == 'vr1.0' and r['sets'][0]['peers'] == []
    assert r['auth'] == {'type': 'hmac', 'mode': 'enforce', 'keys': [{'id': 4}]}
    assert r['tracks'][0] == {'kind': 'ping', 'target': '10.0.0.9', 'weight': -50,
                              'interval': '1s', 'timeout': '500ms', 'rise': 1, 'fall': 3}
    assert r['linger'] == 'auto' and r['from_file'] is False and 'live' not in r
    assert [i['name'] for i in check(bare.call('GET', '/v1/routers'), 'RouterList')['items']] \
        == ['gw']
    for path in ('/v1/routers', '/v1/routers/gw', '/metrics', '/v1/history'):
        assert b'hunter2' not in bare.call('GET', path).body
    assert bare.call('DELETE', '/v1/routers/gw?reason=done').status == 204
    check(bare.call('GET', '/v1/routers/gw'), 'Refusal', 404)
    check(bare.call('DELETE', '/v1/routers/gw'), 'Refusal', 404)


def test_clusters(bare):
    member = '0a:00:00:00:00:01'
    c = check(bare.call('POST', '/v1/clusters', {
        'name': 'web', 'addresses': ['192.0.2.10', '2001:db8::10'], 'members': [{'member': member, 'weight': 2}],
        'rules': [{'match': 'tcp/80', 'action': 'balanced'}, {'match': 'any', 'action': 'dropped'}],
        'check': {'type': 'http', 'port': 80, 'path': '/health', 'interval': '1s'}}), 'Cluster', 201)
    assert c['mode'] == 'director' and c['faces'][0]['here'] and c['members'][0]['weight'] == 2
    assert c['check'] == {'type': 'http', 'port': 80, 'path': '/health', 'interval': '1s', 'timeout': '1s', 'rise': 2,
                          'fall': 3}
    assert [r['match'] for r in c['rules']] == ['tcp/80', 'any']
    assert [i['name'] for i in check(bare.call('GET', '/v1/clusters'), 'ClusterList')['items']] == ['web']
    assert b'vmac_cluster_member_rows{cluster="web"' in bare.call('GET', '/metrics').body
    other = '0a:00:00:00:00:02'
    c = check(bare.call('POST', '/v1/clusters/web/members', {'member': other}), 'Cluster')
    assert [m['id'] for m in c['members']] == [1, 2]
    c = check(bare.call('PATCH', f'/v1/clusters/web/members/{other}', {'state': 'draining', 'within': '10m'}), 'Cluster')
    assert c['members'][1]['state'] == 'draining' and c['members'][1]['within'] == '10m'
    for wrong in ({}, {'state': 'draining', 'weight': 1}, {'within': '1m'}, {'state': 'asleep'}, {'weight': 1001}):
        check(bare.call('PATCH', f'/v1/clusters/web/members/{other}', wrong), 'Refusal', 400)
    assert bare.call('DELETE', f'/v1/clusters/web/members/{member}?reason=old').status == 204
    check(bare.call('DELETE', '/v1/clusters/web/members/nobody'), 'Refusal', 404)
    assert bare.call('DELETE', '/v1/clusters/web').status == 204
    check(bare.call('GET', '/v1/clusters/web'), 'Refusal', 404)


def test_clusters_change_by_field(bare):
    members = [{'member': f'0a:00:00:00:00:0{n}'} for n in (1, 2, 3)]
    before = check(bare.call('POST', '/v1/clusters', {'name': 'c', 'addresses': ['192.0.2.10'], 'members': members,
                                                      'note': 'kept'}), 'Cluster', 201)
    c = check(bare.call('PATCH', '/v1/clusters/c', {'affinity': 'network', 'check': {'fall': 5}}), 'Cluster')
    assert c['affinity'] == 'network' and c['check'] == {**before['check'], 'fall': 5} and c['note'] == 'kept'
    # Another kind of check does not keep what it could not ask.
    check(bare.call('PATCH', '/v1/clusters/c', {'check': {'type': 'http', 'port': 80, 'path': '/well'}}), 'Cluster')
    c = check(bare.call('PATCH', '/v1/clusters/c', {'check': {'type': 'arp'}}), 'Cluster')
    assert c['check'] == {**before['check'], 'fall': 5}
    check(bare.call('PATCH', '/v1/clusters/c', {'check': {'type': 'arp', 'port': 80}}), 'Refusal', 400)
    # Who stays keeps its id, who comes gets one that nobody had.
    c = check(bare.call('PATCH', '/v1/clusters/c', {'members': [members[2], {'member': '0a:00:00:00:00:09'}]}), 'Cluster')
    assert {m['address'][-1]: m['id'] for m in c['members']} == {'3': 3, '9': 4}
    e = check(bare.call('PATCH', '/v1/clusters/c', {'members': [members[0], members[0]]}), 'Refusal', 409)
    assert 'twice' in e['error']['message']
    for wrong in ({'rules': [{'match': 'tcp/99999', 'action': 'dropped'}]}, {'rules': [{'match': 'tcp/80'}]},
                  {'addresses': ['192.0.2.999']}, {'table': 'random'}, {'mode': 'carry'}, {'check': {'type': 'ping'}}):
        check(bare.call('PATCH', '/v1/clusters/c', wrong), 'Refusal', 400)
    check(bare.call('PATCH', '/v1/clusters/c', {'members': [{'member': 'nobody'}]}), 'Refusal', 404)


def test_routers_change_by_field(bare):
    bare.call('POST', '/v1/routers', {
        'name': 'gw', 'protocol': 'hsrp2', 'interval': '250ms', 'sets': [GROUP],
        'auth': {'type': 'md5', 'keys': [{'id': 1, 'secret': 'old'}]}})
    before = check(bare.call('GET', '/v1/routers/gw'), 'Router')
    assert before['hold'] is None  # it follows the interval
    r = check(bare.call('PATCH', '/v1/routers/gw', {'priority': 150, 'hold': '1s'}), 'Router')
    assert {k for k in r if r[k] != before[k]} == {'priority', 'hold'}
    # A second key; the first keeps its secret, which is nowhere to be read.
    r = check(bare.call('PATCH', '/v1/routers/gw', {
        'auth': {'keys': [{'id': 2, 'secret': 'new'}, {'id': 1}]}}), 'Router')
    assert r['auth']['keys'] == [{'id': 2}, {'id': 1}] and r['auth']['type'] == 'md5'
    e = check(bare.call('PATCH', '/v1/routers/gw', {'auth': {'keys': [{'id': 9}]}}), 'Refusal', 400)
    assert e['error']['message'].startswith('auth.keys[0].secret')
    # What is shown can be given back.
    own = {k: v for k, v in r.items() if k not in ('from_file', 'created', 'changed')}
    same = check(bare.call('PATCH', '/v1/routers/gw', own), 'Router')
    assert {k: v for k, v in same.items() if k != 'changed'} == \
        {k: v for k, v in r.items() if k != 'changed'}
    r = check(bare.call('PATCH', '/v1/routers/gw', {'hold': None}), 'Router')
    assert r['hold'] is None
    check(bare.call('PATCH', '/v1/routers/none', {'priority': 1}), 'Refusal', 404)


def test_routers_live(bare):
    bare.call('POST', '/v1/routers', {
        'name': 'active', 'protocol': 'vrrp3', 'sets': [GROUP],
        'tracks': [{'kind': 'interface', 'target': 'eth1'}]})
    live = check(bare.call('GET', '/v1/routers/active'), 'Router')['live']
    assert live['state'] == 'active' and live['lease_ms'] == 2500
    assert live['counters']['verdicts']['auth_failed'] == 1
    assert live['sets'][0]['device'] == 'vr1.0' and live['tracks'][0]['up'] is True
    items = check(bare.call('GET', '/v1/routers/active/history'), 'TransitionList')['items']
    assert items[0]['to'] == 'active' and items[0]['detail'] == 'peer 10.0.0.2'
    check(bare.call('GET', '/v1/routers/none/history'), 'Refusal', 404)
    metrics = bare.call('GET', '/metrics').body.decode()
    for line in ('vmac_router_state{router="active",state="active"} 1',
                 'vmac_router_state{router="active",state="backup"} 0',
                 'vmac_router_since_seconds{router="active",reason="silence"} 1790000000.000',
                 'vmac_router_priority{router="active"} 110',
                 'vmac_router_transitions_total{router="active"} 2',
                 'vmac_router_advertisements_sent_total{router="active"} 12',
                 'vmac_router_refused_total{router="active",verdict="auth_failed"} 1',
                 'vmac_election_frames_refused_total{interface="eth9",verdict="checksum"} 4',
                 'vmac_routers_active 1'):
        assert line + '\n' in metrics, line


def test_routers_refused(bare):
    def refusal(part, code, status=400, **change):
        body = {'name': 'gw', 'protocol': 'vrrp3', 'sets': [GROUP], **change}
        e = check(bare.call('POST', '/v1/routers', {k: v for k, v in body.items() if v != ()}),
                  'Refusal', status)['error']
        assert e['code'] == code and part in e['message'], e

    refusal('sets: missing', 'missing_field', sets=())
    refusal('sets[0].interface: missing', 'missing_field', sets=[{'group': 7}])
    refusal('sets[0]: expected an object', 'wrong_type', sets=[7])
    refusal('sets: expected an array of objects', 'wrong_type', sets={})
    refusal('sets: at most 16', 'bad_value', sets=[GROUP] * 17)
    refusal('sets[0].addresses: at most 255', 'bad_value',
            sets=[{**GROUP, 'addresses': ['10.0.0.1'] * 256}])
    refusal('sets[0].addresses[0]', 'bad_address', sets=[{**GROUP, 'addresses': ['x']}])
    refusal('sets[0].colour: no such field', 'unknown_field', sets=[{**GROUP, 'colour': 1}])
    refusal('sets[0].group', 'bad_value', sets=[{**GROUP, 'group': 256}])
    refusal('protocol', 'bad_value', protocol='vrrp4')
    refusal('priority: 256', 'bad_value', priority=256)
    refusal('interval', 'bad_value', interval='15ms')
    refusal('interval', 'wrong_type', interval=1)
    refusal('preempt: expected', 'wrong_type', preempt=None)
    refusal('tracks[0].weight', 'bad_value', tracks=[{'kind': 'file', 'weight': -255}])
    refusal('tracks[0].weight: expected an integer', 'wrong_type',
            tracks=[{'kind': 'file', 'weight': '1'}])
    refusal('tracks[0].target', 'missing_field', tracks=[{'kind': 'file'}])
    refusal('tracks[0].interval', 'bad_value', tracks=[{'kind': 'file', 'interval': '0'}])
    refusal('auth.keys', 'missing_field', auth={'type': 'hmac'})
    refusal('auth.keys[0].secret', 'bad_value', auth={'type': 'hmac', 'keys': [{'id': 1}]})
    refusal('auth.type: expected', 'wrong_type', auth={'type': None})


def test_a_secret_is_never_quoted(bare):
    for secret in ('hunter2' * 20, 'hunter2\n', 'hunter2-too-long-for-text'):
        for protocol, kind in (('vrrp2', 'text'), ('vrrp3', 'hmac'), ('carp', 'hmac')):
            answer = bare.call('POST', '/v1/routers', {
                'name': 'gw', 'protocol': protocol, 'sets': [GROUP],
                'auth': {'type': kind, 'keys': [{'secret': secret}]}})
            if answer.status == 201:
                bare.call('DELETE', '/v1/routers/gw')
            assert b'hunter2' not in answer.body


def test_a_router_s_programs_are_for_root(bare):
    answer = bare.call('POST', '/v1/routers', {
        'name': 'gw', 'protocol': 'vrrp3', 'sets': [GROUP], 'notify': '/etc/vmac/notify'})
    assert answer.status == (201 if os.getuid() == 0 else 403)


MAC = '0a:22:33:00:00:07'


def test_hosts(daemon):
    items = check(daemon.call('GET', '/v1/hosts'), 'HostList')['items']
    assert [(h['name'], h['self'], h['alive']) for h in items] == [
        ('kvm1', True, True), ('kvm2', False, True), ('kvm3', False, False)]
    h = check(daemon.call('PATCH', '/v1/hosts/kvm2', {'state': 'draining', 'reason': 'x'}), 'Host')
    assert h['state'] == 'draining'
    assert check(daemon.call('DELETE', '/v1/hosts/kvm3'), 'Refusal', 409)
    h = check(daemon.call('PATCH', '/v1/hosts/kvm3', {'state': 'dead', 'fenced_by': 'ipmi, jane'}),
              'Host')
    assert (h['state'], h['fenced_by']) == ('dead', 'ipmi, jane')
    assert daemon.call('DELETE', '/v1/hosts/kvm3?reason=gone').status == 204
    check(daemon.call('GET', '/v1/hosts/kvm3'), 'Refusal', 404)
    check(daemon.call('DELETE', '/v1/hosts/kvm3'), 'Refusal', 404)


def test_moves(daemon):
    assert check(daemon.call('GET', '/v1/moves'), 'MoveList')['items'] == []
    states = {}
    for verb in ('prepare', 'activate', 'stop', 'resume', 'thaw', 'move', 'abort'):
        m = check(daemon.call('POST', f'/v1/vmacs/lan/{MAC}/{verb}'), 'Move')
        states[verb] = m['state']
        assert m['address'] == MAC and ('expires' in m) == (m['to'] != '')
    assert states == {'prepare': 'ready', 'activate': 'live', 'stop': 'paused', 'resume': 'held',
                      'thaw': 'held', 'move': 'held', 'abort': 'none'}
    items = check(daemon.call('GET', '/v1/moves'), 'MoveList')['items']
    assert [i['address'] for i in items] == [MAC]
    m = check(daemon.call('POST', f'/v1/vmacs/-/{MAC}/prepare', {'lifetime': '30m'}), 'Move')
    assert m['to'] == 'kvm1' and m['holder'] == 'kvm2'
    assert check(daemon.call('POST', '/v1/vmacs/-/02:00:00:00:00:01/prepare'), 'Refusal',
                 404)['error']['code'] == 'not_found'
    check(daemon.call('POST', f'/v1/vmacs/-/{MAC}/move', {'force': True}), 'Refusal', 403)
    v = check(daemon.call('POST', '/v1/vmacs', {'address': MAC, 'name': 'web1'}), 'Vmac', 201)
    assert check(daemon.call('GET', '/v1/vmacs/-/web1'), 'Vmac')['move']['state'] == 'ready'
    assert 'move' not in check(daemon.call('POST', '/v1/vmacs', {}), 'Vmac', 201)
    assert check(daemon.call('POST', '/v1/vmacs/-/web1/stop'), 'Move')['address'] == v['address']


def test_alone(tmp_path):
    from daemon import Daemon
    d = Daemon(tmp_path / 's', 'alone')
    assert check(d.call('GET', '/v1/hosts'), 'HostList')['items'] == []
    assert check(d.call('GET', '/v1/status'), 'Status')['fleet'] == {'shared': False}
    for call in (('GET', '/v1/hosts/kvm1'), ('POST', f'/v1/vmacs/-/{MAC}/prepare'),
                 ('DELETE', '/v1/hosts/kvm1'), ('PATCH', '/v1/hosts/kvm1', {'state': 'active'})):
        assert check(d.call(*call), 'Refusal', 409)['error']['code'] == 'wrong_state'
    assert b'vmac_shared' not in d.call('GET', '/metrics').body
    d.stop()


def test_cut_off(tmp_path):
    from daemon import Daemon
    d = Daemon(tmp_path / 's', 'cut')
    f = check(d.call('GET', '/v1/status'), 'Status')['fleet']
    assert (f['reachable'], f['since'], f['available']) == (False, '12m', 411)
    assert f['trouble']['code'] == 'registry_unreachable'
    assert check(d.call('POST', f'/v1/vmacs/-/{MAC}/prepare'), 'Refusal',
                 503)['error']['code'] == 'registry_unreachable'
    text = d.call('GET', '/metrics').body.decode()
    assert 'vmac_shared_reachable 0\n' in text and 'vmac_shared_since_seconds 720.5\n' in text
    d.stop()


def test_fleet(daemon):
    f = check(daemon.call('GET', '/v1/status'), 'Status')['fleet']
    assert f['shared'] and f['reachable'] and f['name'] == 'kvm1' and 'trouble' not in f
    p = check(daemon.call('GET', '/v1/pools/p'), 'Pool')
    assert (p['blocks'], p['block_size']) == (2, 256)
    check(daemon.call('POST', f'/v1/vmacs/-/{MAC}/prepare'), 'Move')
    text = daemon.call('GET', '/metrics').body.decode()
    assert f'vmac_strangers_total{{segment="lan",address="{MAC}"}} 3\n' in text
    assert f'vmac_wire_looked_total{{segment="lan",address="{MAC}",as="clone"}} 2\n' in text
    assert 'vmac_claims_heard_total{tag="none"} 5\n' in text and 'vmac_hosts 3\n' in text
