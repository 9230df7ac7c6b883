"""vmac cluster, driven as people and scripts drive it, against the fake daemon."""
import json
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.environ['API_TESTS'])
from daemon import Daemon  # noqa: E402

M1, M2, M3 = (f'0a:00:00:00:00:0{n}' for n in (1, 2, 3))


@pytest.fixture
def vmac(tmp_path):
    d = Daemon(tmp_path / 's')

    def call(*args, status=0):
        p = subprocess.run([os.environ['VMAC'], '--socket', d.path, *args], capture_output=True, text=True, timeout=30,
                           stdin=subprocess.DEVNULL)
        assert p.returncode == status, (args, p.stdout, p.stderr)
        return p.stdout if status == 0 else p.stderr

    call.json = lambda *args: json.loads(call('--json', *args))
    yield call
    d.stop()


def add(vmac, *more):
    return vmac('cluster', 'add', 'web', '--address', '192.0.2.10', '--member', M1, '--member', f'{M2},weight=3,priority=9',
                *more)


def test_a_life(vmac):
    assert add(vmac) == 'cluster web added: 0a:5e:00:00:00:01\n'
    shown = vmac('cluster', 'show', 'web')
    for words in ('0a:5e:00:00:00:01 here at epoch 4 (lease of 550 ms left)', 'rendezvous, affinity none',
                  'arp every 2s, 1s to answer, rise 2, fall 3', '50.0 %', M1, M2):
        assert words in shown, shown
    listed = vmac('cluster', 'list').splitlines()
    assert listed[1].split() == ['web', 'lan', 'director', '192.0.2.10', '0a:5e:00:00:00:01', 'here', '2', 'of', '2']
    assert vmac('cluster', 'member', 'add', 'web', M3, '--weight', '5') == f'{M3} is a member of web\n'
    assert vmac('cluster', 'member', 'weight', 'web', M3, '7') == f'{M3} has another weight\n'
    assert vmac('cluster', 'member', 'priority', 'web', M3, '8') == f'{M3} has another priority\n'
    vmac('cluster', 'member', 'drain', 'web', M1, M2, '--within', '10m', '--reason', 'upgrade')
    members = {m['address']: m for m in vmac.json('cluster', 'show', 'web')['members']}
    assert (members[M3]['weight'], members[M3]['priority']) == (7, 8)
    assert [members[m]['state'] for m in (M1, M2, M3)] == ['draining', 'draining', 'active']
    assert members[M1]['within'] == '10m' and members[M2]['weight'] == 3
    vmac('cluster', 'member', 'activate', 'web', M1)
    vmac('cluster', 'member', 'fail', 'web', M2)
    vmac('cluster', 'member', 'remove', 'web', M3)
    members = {m['address']: m for m in vmac.json('cluster', 'show', 'web')['members']}
    assert set(members) == {M1, M2} and members[M2]['state'] == 'failed'
    assert vmac('cluster', 'delete', 'web') == 'cluster web deleted\n'
    assert 'web' in vmac('cluster', 'show', 'web', status=3)


def test_as_many_members_as_there_can_be(vmac):
    members = [word for n in range(1025) for word in ('--member', f'0a:00:00:00:{n >> 8:02x}:{n & 255:02x}')]
    assert '1024' in vmac('cluster', 'add', 'web', '--address', '192.0.2.10', *members, status=2)
    vmac('cluster', 'add', 'web', '--address', '192.0.2.10', *members[:-2])
    assert len(vmac.json('cluster', 'show', 'web')['members']) == 1024


def test_a_lease_without_an_end(vmac):
    vmac('cluster', 'add', 'alone', '--address', '192.0.2.10', '--member', M1)
    assert 'lease_ms' not in vmac.json('cluster', 'show', 'alone')['faces'][0]
    shown = vmac('cluster', 'show', 'alone')
    assert '0a:5e:00:00:00:01 here at epoch 4\n' in shown and 'lease' not in shown


def test_who_claims_an_address(vmac):
    vmac('cluster', 'add', 'claimed', '--address', '192.0.2.10', '--member', M1)
    claimant = vmac.json('cluster', 'show', 'claimed')['live']['claimant']
    assert (claimant['address'], claimant['ip'], claimant['count']) == ('52:54:00:00:00:66', '192.0.2.10', 60)
    assert claimant['since'] < claimant['last']
    assert '52:54:00:00:00:66 says on the wire that 192.0.2.10 is its own' in vmac('cluster', 'show', 'claimed')


def test_what_is_said_is_asked(vmac):
    add(vmac, '--mode', 'director', '--mac', '0a:77:00:00:00:01', '--mac', '0a:77:00:00:00:02', '--rule', 'tcp/443=balanced',
        '--rule', 'any=dropped', '--affinity', 'network', '--table', 'maglev', '--check', 'http', '--check-port', '80',
        '--check-path', '/up', '--check-interval', '500ms', '--check-timeout', '400ms', '--rise', '1', '--fall', '4',
        '--note', 'ours')
    c = vmac.json('cluster', 'show', 'web')
    assert [f['address'] for f in c['faces']] == ['0a:77:00:00:00:01', '0a:77:00:00:00:02']
    assert c['rules'] == [{'match': 'tcp/443', 'action': 'balanced'}, {'match': 'any', 'action': 'dropped'}]
    assert c['check'] == {'type': 'http', 'port': 80, 'path': '/up', 'interval': '500ms', 'timeout': '400ms', 'rise': 1,
                          'fall': 4}
    assert (c['affinity'], c['table'], c['note'], c['nat']) == ('network', 'maglev', 'ours', False)
    vmac('cluster', 'set', 'web', '--nat', '--no-rules', '--address', '192.0.2.11', '--address', '2001:db8::1')
    c = vmac.json('cluster', 'show', 'web')
    assert c['nat'] and c['rules'] == [] and c['addresses'] == ['192.0.2.11', '2001:db8::1'] and c['note'] == 'ours'
    assert 'rewritten at the members' in vmac('cluster', 'show', 'web')


def test_guests_that_balance_by_themselves(vmac):
    vmac('cluster', 'add', 'nlb', '--mode', 'carry', '--mac', '02:bf:c0:00:02:0a', '--member', M1)
    shown = vmac('cluster', 'show', 'nlb')
    assert '02:bf:c0:00:02:0a, to every member' in shown and 'check:' not in shown and 'table:' not in shown
    assert shown.splitlines()[-1].split()[3] == '-', shown
    assert vmac('cluster', 'list').splitlines()[1].split()[-1] == '1'
    status = vmac('status')
    assert status.split('CLUSTER')[1].splitlines()[1].split() == ['nlb', 'lan', '-', '1', 'ok']


@pytest.mark.parametrize('args, status, words', [
    (['set', 'web'], 2, 'nothing to change'),
    (['set', 'web', '--nat', '--no-nat'], 2, 'do not go together'),
    (['add', 'two', '--rule', 'tcp/80'], 2, 'is not MATCH=ACTION'),
    (['add', 'two', '--rule', 'tcp/80=never'], 2, 'known: balanced, priority, dropped'),
    (['add', 'two', '--member', f'{M1},wieght=2'], 2, 'weight=N or priority=N'),
    (['add', 'two', '--member', ''], 2, 'says nobody'),
    (['add', 'two', '--mode', 'magic'], 2, 'director, distributed, carry'),
    (['add', 'two', '--faces', '0'], 2, '0 is not in 1 … 8'),
    (['add', 'two', '--faces', '2', '--mac', M3], 2, 'faces: goes without allocate and pool'),
    (['add', 'two', '--pool', 'p', '--mac', M3], 2, 'faces: goes without allocate and pool'),
    (['member', 'weight', 'web', M1, 'much'], 2, 'is no weight'),
    (['member', 'drain', 'web'], 2, 'is missing'),
    (['member', 'remvoe', 'web', M1], 2, 'did you mean member remove?'),
    (['member'], 2, 'cluster member: what shall be done with it?'),
    (['member', 'drain', 'web', M3], 3, M3),
    (['show', 'nobody'], 3, 'nobody'),
])
def test_refusals(vmac, args, status, words):
    add(vmac)
    assert words in vmac('cluster', *args, status=status)


def test_help_of_two_words(vmac):
    out = vmac('cluster', 'member', 'drain', '--help')
    assert out.startswith('Usage: vmac cluster member drain CLUSTER MEMBER... [OPTION]...') and '--within' in out
