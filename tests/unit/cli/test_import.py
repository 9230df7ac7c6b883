"""vmac import keepalived: what is carried, what is said of the rest, and what is no configuration."""
import glob
import json
import os
import subprocess

import pytest
import yaml

VMAC, VMACD = os.environ['VMAC'], os.environ['VMACD']
SAMPLES = sorted(glob.glob('/usr/share/doc/keepalived/samples/keepalived.conf.*'))


def run(path, *args, stdin=''):
    p = subprocess.run([VMAC, 'import', 'keepalived', str(path), *args], capture_output=True,
                       text=True, input=stdin, timeout=30, env={})
    return p.returncode, p.stdout, p.stderr


@pytest.fixture
def convert(tmp_path):
    def call(text, *args):
        path = tmp_path / 'k.conf'
        path.write_text(text)
        status, out, err = run(path, *args)
        routers = yaml.safe_load(out)['routers'] if status in (0, 9) else None
        if routers is not None:
            assert json.loads(run(path, *args, '--json')[1]) == routers
        notes = [line.replace(f'{path}:', '') for line in err.splitlines()]
        return status, routers, notes

    call.path = tmp_path
    return call


def instance(name='VI', interface='eth0', vrid=7, more='', addresses='10.0.0.1/24'):
    return f'''vrrp_instance {name} {{
    interface {interface}
    virtual_router_id {vrid}
    use_vmac
    {more}
    virtual_ipaddress {{
        {addresses}
    }}
}}
'''


def router(name='VI', protocol='vrrp2', sets=None, **more):
    return {'name': name, 'protocol': protocol, 'accept': True, 'sets': sets or [
        {'interface': 'eth0', 'group': 7, 'addresses': ['10.0.0.1/24']}], **more}


def test_least(convert):
    assert convert(instance()) == (0, [router()], [])


def test_classic(convert):
    """The one of every tutorial: a password, a state, no vMAC."""
    status, routers, notes = convert('''! Configuration File for keepalived
global_defs {
   notification_email { a@example.com }
   router_id LVS_DEVEL
}
vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 150   # wins
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass "12 # 45!"
    }
    virtual_ipaddress {
        192.0.2.16
        192.0.2.17/24 brd 192.0.2.255 dev eth0 scope global
    }
}
''')
    assert status == 0 and routers == [router(
        'VI_1', priority=150, interval='1s',
        auth={'type': 'text', 'mode': 'enforce', 'keys': [{'id': 1, 'secret': '12 # 45!'}]},
        sets=[{'interface': 'eth0', 'group': 51, 'addresses': ['192.0.2.16/32', '192.0.2.17/24']}])]
    assert len(notes) == 1 and notes[0].startswith('6: note: ') and 'no use_vmac' in notes[0]


def test_password_is_cut(convert):
    auth = 'authentication {\nauth_type PASS\nauth_pass 123456789\n}'
    status, routers, notes = convert(instance(more=auth))
    assert status == 0 and routers[0]['auth']['keys'][0]['secret'] == '12345678'
    assert '5: note: the password counts with its first 8 octets' in notes[0]
    status, routers, notes = convert(instance(more=auth.replace('PASS', 'AH')))
    assert status == 9 and 'auth' not in routers[0] and notes[0].startswith('5: lost: ')
    status, routers, notes = convert(instance(more='version 3\n' + auth))
    assert status == 0 and 'auth' not in routers[0] and 'no authentication' in notes[0]


def test_version3_and_globals(convert):
    status, routers, notes = convert('''global_defs {
    vrrp_version 3
    vrrp_startup_delay 5.5
    vrrp_garp_master_repeat 2
    vrrp_garp_master_refresh 60
}
''' + instance(more='advert_int 0.25\nno_accept\nnopreempt\nstate BACKUP\npreempt_delay 30'))
    assert (status, notes) == (0, [])
    assert routers == [router(protocol='vrrp3', interval='250ms', accept=False, preempt=False,
                              preempt_delay='30s', boot_hold='5s500ms', announce_count=2,
                              announce_refresh='1m')]


def test_strict_does_not_accept(convert):
    assert convert('global_defs {\nvrrp_strict\n}\n' + instance())[1][0]['accept'] is False
    assert convert(instance(more='strict_mode on'))[1][0]['accept'] is False
    assert convert('global_defs {\nvrrp_strict\n}\n' + instance(more='accept'))[1] == [router()]


def test_version2_counts_in_seconds(convert):
    status, routers, notes = convert(instance(more='advert_int 1.5'))
    assert (status, routers) == (0, [router(interval='2s')])
    assert 'whole seconds: advert_int becomes 2s' in notes[0]


def test_nopreempt_of_a_master_never_counted(convert):
    status, routers, notes = convert(instance(more='state MASTER\nnopreempt'))
    assert (status, routers) == (0, [router()]) and 'nopreempt did not count' in notes[0]


def test_vmac_names(convert):
    text = instance(more='use_vmac vrrp.7 02:00:00:00:00:07')
    assert convert(text) == (0, [router(sets=[
        {'interface': 'eth0', 'group': 7, 'addresses': ['10.0.0.1/24'],
         'mac': '02:00:00:00:00:07', 'device': 'vrrp.7'}])], [])


def test_ipv6(convert):
    status, routers, notes = convert(instance(addresses='2001:db8::1/64\n fe80::1/64'))
    assert (status, notes) == (0, []) and routers == [router(protocol='vrrp3', sets=[
        {'interface': 'eth0', 'group': 7, 'addresses': ['fe80::1/64', '2001:db8::1/64']}])]
    status, routers, notes = convert(instance(addresses='2001:db8::1/64'))
    assert routers[0]['sets'][0]['addresses'][0] == 'fe80::200:5eff:fe00:207/64'
    assert status == 0 and 'fe80::200:5eff:fe00:207/64 was added' in notes[0]


def test_excluded_of_the_other_family(convert):
    status, routers, notes = convert(instance(
        more='virtual_ipaddress_excluded {\n fe80::1/64\n 10.0.0.9/24\n}'))
    assert status == 0 and routers == [router(
        protocol='vrrp3', also_v2=True, sets=[
            {'interface': 'eth0', 'group': 7, 'addresses': ['10.0.0.9/24', '10.0.0.1/24']},
            {'interface': 'eth0', 'group': 7, 'addresses': ['fe80::1/64']}])]
    assert 'must be moved together' in notes[0] and 'VRRPv3' in notes[1]


def test_unicast(convert):
    assert convert(instance(more='''unicast_src_ip 10.0.0.2
    unicast_peer {
        10.0.0.3
        10.0.0.4
    }''')) == (0, [router(sets=[
        {'interface': 'eth0', 'group': 7, 'addresses': ['10.0.0.1/24'], 'source': '10.0.0.2',
         'peers': ['10.0.0.3', '10.0.0.4']}])], [])


def test_tracks(convert):
    status, routers, notes = convert('''
vrrp_script check {
    script "/usr/bin/curl -fs http://127.0.0.1/"
    interval 2.5
    weight -20
    rise 2
    fall 3
    user nobody
}
vrrp_script slow { script /bin/true
    interval 1
    timeout 9 }
''' + instance(more='''track_script {
        check weight -30
        slow
        missing
    }
    track_interface {
        eth1
        eth2 weight 20
    }
    track_process {
        p
    }'''))
    assert routers == [router(tracks=[
        {'kind': 'script', 'target': '/usr/bin/curl -fs http://127.0.0.1/', 'interval': '2s500ms',
         'weight': -30, 'rise': 2, 'fall': 3, 'timeout': '2s500ms'},
        {'kind': 'script', 'target': '/bin/true', 'interval': '1s', 'timeout': '1s', 'rise': 1,
         'fall': 1},
        {'kind': 'interface', 'target': 'eth1'},
        {'kind': 'interface', 'target': 'eth2', 'weight': 20}])]
    assert status == 9
    assert [n.split(': ')[1] for n in notes] == ['lost', 'note', 'lost', 'lost']
    assert 'not as nobody' in notes[0] and 'cut to its interval' in notes[1]
    assert 'no vrrp_script missing' in notes[2] and 'tracking of p ' in notes[3]


def test_sync_group(convert):
    status, routers, notes = convert('''
vrrp_sync_group FW {
    group {
        outside
        inside
    }
    track_interface {
        eth2
    }
    notify /etc/keepalived/notify
    notify_master "/bin/x y"
}
''' + instance('outside', 'eth0', 7, 'priority 150') + instance(
        'inside', 'eth1', 8, 'priority 140', '10.1.0.1/24') + instance('alone', 'eth3', 9))
    assert status == 9 and routers == [
        router('FW', priority=150, sets=[
            {'interface': 'eth0', 'group': 7, 'addresses': ['10.0.0.1/24']},
            {'interface': 'eth1', 'group': 8, 'addresses': ['10.1.0.1/24']}],
            tracks=[{'kind': 'interface', 'target': 'eth2'}], notify='/etc/keepalived/notify'),
        router('alone', sets=[{'interface': 'eth3', 'group': 9, 'addresses': ['10.0.0.1/24']}])]
    assert 'its priority is another' in notes[0] and 'with other arguments' in notes[1]
    assert 'notify_master is not carried over' in notes[2] and len(notes) == 3


def test_sync_group_of_both_families(convert):
    status, routers, notes = convert(
        'vrrp_sync_group G {\ngroup {\na\nb\n}\n}\n' + instance('a') +
        instance('b', addresses='fe80::1/64'))
    assert status == 0 and routers[0]['protocol'] == 'vrrp3' and routers[0]['also_v2'] is True
    assert len(routers) == 1 and 'VRRPv2 besides' in notes[0]


def test_definitions_and_conditions(convert):
    text = '''$IF=eth0
$VIPS=\\
10.0.0.1/24\\
10.0.0.2/24
vrrp_instance VI_${IF}
{
    interface $IF
@lb1  priority 150
@^lb1 priority 100
    virtual_router_id \\
        7   ; # no end of line
    use_vmac
    virtual_ipaddress {
        $VIPS
    }
}
'''.replace('   ; #', '   #')
    sets = [{'interface': 'eth0', 'group': 7, 'addresses': ['10.0.0.1/24', '10.0.0.2/24']}]
    assert convert(text) == (0, [router('VI_eth0', priority=100, sets=sets)], [])
    assert convert(text, '--host', 'lb1')[1][0]['priority'] == 150


def test_include(convert):
    (convert.path / 'd').mkdir()
    (convert.path / 'd' / 'a.conf').write_text('include more/*.inc\n' + instance('A'))
    (convert.path / 'd' / 'b.conf').write_text('\n' + instance('B', vrid='x'))
    (convert.path / 'd' / 'more').mkdir()
    (convert.path / 'd' / 'more' / 'z.inc').write_text(instance('Z', 'eth9'))
    status, routers, notes = convert('include d/*.conf\ninclude nothing/*\n')
    assert status == 9 and [r['name'] for r in routers] == ['Z', 'A']
    assert 'there is no such file' in notes[0] and '/d/b.conf:2: lost: ' in notes[1]
    (convert.path / 'loop').write_text('include loop\n')
    status, _, notes = convert('include loop\n')
    assert status == 2 and 'files in files' in notes[0]


def test_names(convert):
    status, routers, notes = convert(
        instance('"a b"') + instance('a-b', 'eth1') + instance('-x', 'eth2'))
    assert status == 0 and [r['name'] for r in routers] == ['a-b', 'a-b-2', 'r-x']
    assert len(notes) == 3


def test_notes_of_what_is_left_out_are_nobody_s(convert):
    """They must not stand as comments at the router that happens to come next."""
    path = convert.path / 'k.conf'
    path.write_text('vrrp_sync_group G {\ngroup {\na\n}\n}\n' + instance('a', vrid=300) +
                    instance('b'))
    out = run(path)[1]
    assert out.index('# lost: left out') < out.index('routers:')


def test_what_is_not_ours_is_said_once(convert):
    status, routers, notes = convert('virtual_server 1.1.1.1 80 {\n}\n' * 3 + instance())
    assert (status, routers, len(notes)) == (9, [router()], 1)
    assert notes[0].startswith('1: lost: virtual_server is not carried over')


def test_what_vmacd_refuses_is_said_now(convert):
    status, routers, notes = convert(instance(interface='much-too-long-a-name'))
    assert status == 9 and '1: lost: vmacd will refuse router VI: ' in notes[0]
    status, _, notes = convert(instance(addresses='10.0.0.1\n10.0.0.1'))
    assert status == 9 and 'will refuse router VI' in notes[0]


@pytest.mark.parametrize('line,what', [
    ('priority 300', 'priority 300 is not in 1 ... 255'), ('advert_int x', 'no number of seconds'),
    ('priority', 'priority has no value'), ('xyzzy 1', 'xyzzy is not carried over'),
    ('version 4', 'no version 4'), ('virtual_routes {\n}', 'virtual_routes is not carried over'),
    ('unicast_peer {\nx\n}', '"x" is no IP address'),
    ('unicast_peer {\nfe80::1\n}', 'of another family')])
def test_lost(convert, line, what):
    status, routers, notes = convert(instance(more=line))
    assert status == 9 and ' lost: ' in notes[0] and what in notes[0]
    assert routers == [router()]


@pytest.mark.parametrize('text,line,what', [
    ('a {\n b\n', 1, 'the block "a" is not closed'), ('a\n}\n', 2, 'a closing brace'),
    ('{ }', 1, 'a block that nothing stands before'), ('x "y\n', 1, 'a quotation is not closed'),
    ('\n~SEQ(x, 1, 3) = y\n', 2, 'write the lines out'), ('a\nb\0c', 2, 'this is no text'),
    ('a {\n' * 20, 17, 'blocks in each other'), ('x' * 9000, 1, 'longer than'),
    ('$A=$A x\n$A\n', 2, 'definitions in definitions'), ('include a b', 1, 'one file'),
    ('w ' * 300, 1, 'words')])
def test_malformed(convert, text, line, what):
    status, routers, notes = convert(text)
    assert status == 2 and routers is None
    assert notes[0].startswith('vmac: ' + f'{line}: ') and what in notes[0]


def test_no_file(tmp_path):
    status, out, err = run(tmp_path / 'x')
    assert status == 3 and out == '' and 'No such file' in err
    status, _, err = run(tmp_path)
    assert status != 0 and 'directory' in err


def test_from_standard_input():
    status, out, err = run('-', stdin=instance())
    assert (status, err) == (0, '') and yaml.safe_load(out)['routers'] == [router()]


def test_terminals_are_safe(convert):
    path = convert.path / 'k.conf'
    path.write_text('\x1b[2J\n' + instance('"\x1b]0;x"', more='\x1b[1m x'))
    _, out, err = run(path)
    assert '\x1b' not in out + err


def test_secrets_are_quoted(convert):
    for secret in ('yes', 'a: b', '12', "it's", '- x', 'ü', '{a}', '*a'):
        text = instance(more=f'authentication {{\nauth_type PASS\nauth_pass "{secret}"\n}}')
        assert convert(text)[1][0]['auth']['keys'] == [{'id': 1, 'secret': secret}]


@pytest.mark.parametrize('path', SAMPLES or [None], ids=os.path.basename if SAMPLES else None)
def test_samples(path):
    """keepalived's own, where they are installed: all that is in them is carried or said."""
    if path is None:
        pytest.skip('keepalived is not installed')
    status, out, err = run(path)
    assert status in (0, 9) and (status == 9) == (': lost: ' in err)
    text = open(path).read()
    for r in yaml.safe_load(out)['routers']:
        for s in r['sets']:
            assert all(a.split('/')[0] in text for a in s['addresses'])


def takes(tmp_path, text):
    """Whether vmacd takes it as its configuration."""
    path = tmp_path / 'vmacd.yaml'
    path.write_text(text)
    p = subprocess.run([VMACD, '--check', '--config', str(path)], capture_output=True, text=True,
                       timeout=30)
    assert p.returncode in (0, 2), p.stderr
    return p.returncode == 0


@pytest.mark.parametrize('path', SAMPLES or [None], ids=os.path.basename if SAMPLES else None)
def test_vmacd_agrees(tmp_path, path):
    """What is printed without a complaint is a configuration, and what is complained of is none."""
    if path is None:
        pytest.skip('keepalived is not installed')
    _, out, err = run(path)
    assert takes(tmp_path, out) == ('will refuse' not in err)


def test_vmacd_takes_all_members(tmp_path):
    text = ('global_defs {\nvrrp_startup_delay 2.5\nvrrp_garp_master_refresh 60\n}\n'
            'vrrp_script s {\nscript "/bin/true a"\ninterval 2\n}\n'
            'vrrp_sync_group G {\ngroup {\na\nb\n}\nnotify /bin/n\n}\n')
    text += instance('a', more="""nopreempt
        preempt_delay 3
        garp_master_repeat 2
        use_vmac v.7 02:00:00:00:00:07
        unicast_src_ip 10.0.0.2
        unicast_peer {
            10.0.0.3
        }
        authentication {
            auth_type PASS
            auth_pass "a: #b"
        }
        track_script {
            s weight -5
        }
        track_interface {
            eth2
        }""") + instance('b', vrid=8, addresses='fe80::1/64')
    status, out, err = run('-', stdin=text)
    assert 'will refuse' not in err and takes(tmp_path, out), err
