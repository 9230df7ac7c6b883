"""vmac decode on captures made by our own encoders, and by scapy, which knows nothing of them."""
import json
import os
import subprocess

import pytest
import scapy.all as scapy
from scapy.layers.hsrp import HSRP
from scapy.layers.vrrp import VRRP, VRRPv3

VMAC, MAKE_PCAP = os.environ['VMAC'], os.environ['MAKE_PCAP']

START = 1750000000


def run(*args, stdin=None):
    p = subprocess.run([VMAC, 'decode', *map(str, args)], capture_output=True, input=stdin,
                       timeout=30, env={})
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def objects(*args, status=0):
    got, out, err = run('--json', *args)
    assert got == status, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert list(lines[-1]) == ['summary']
    return lines[:-1], lines[-1]['summary']


@pytest.fixture(scope='module')
def own(tmp_path_factory):
    path = tmp_path_factory.mktemp('pcap') / 'own.pcap'
    subprocess.run([MAKE_PCAP, str(path)], check=True)
    return path


@pytest.fixture
def capture(tmp_path):
    def write(*frames, **kwargs):
        path = tmp_path / 'c.pcap'
        packets = []
        for at, frame in frames:
            frame.time = START + at
            packets.append(frame)
        scapy.wrpcap(str(path), packets, **kwargs)
        return path

    return write


def vrrp3(host, at=0.0, priority=100, group=7, addresses=('10.0.0.1',), adv=100, ttl=255, vlan=None):
    ether = scapy.Ether(src='00:00:5e:00:01:07', dst='01:00:5e:00:00:12')
    if vlan:
        ether /= scapy.Dot1Q(vlan=vlan)
    return at, ether / scapy.IP(src=f'10.0.0.{host}', dst='224.0.0.18', ttl=ttl, proto=112) / VRRPv3(
        vrid=group, priority=priority, adv=adv, addrlist=list(addresses))


def warnings(summary, group=0):
    return ' | '.join(summary['groups'][group]['warnings'])


# --- one frame ------------------------------------------------------------------------------------


def test_own_frames(own):
    frames, summary = objects('--key', '5:s3cret', '--key', 'cisco', '--key', '0:s3cret',
                              '--address', '10.0.0.1', own)
    by = {(f.get('protocol'), f.get('group')): f for f in frames}
    assert by['VRRPv2', 8]['auth'] == {'type': 'md5', 'key': 5}
    assert by['HSRPv1', 3]['auth'] == {'type': 'text', 'text': 'cisco'}
    assert by['HSRPv2', 300]['hold_ms'] == 10000 and by['HSRPv2', 300]['interval_ms'] == 3000
    assert by['HSRPv2', 300]['vmac'] == '00:00:0c:9f:f1:2c'
    assert (by['CARP', 9]['priority'], by['CARP', 9]['counter']) == (155, 77)
    for key in (('VRRPv2', 8), ('HSRPv1', 3), ('HSRPv2', 300), ('CARP', 9)):
        assert by[key]['verdict'] == 'accepted' and by[key]['verified'] == 'by a key', key
    assert by['VRRPv3', 7]['verdict'] in ('auth_missing', 'ttl')
    assert summary['verdicts'] == {'accepted': 4, 'auth_missing': 5, 'ttl': 1}


def test_wrong_keys(own):
    frames, _ = objects('--key', '5:wrong', '--address', '10.0.0.1', own)
    by = {f.get('protocol'): f for f in frames}
    assert by['VRRPv2']['verdict'] == by['CARP']['verdict'] == 'auth_failed'
    assert by['HSRPv2']['verdict'] == 'auth_key' and by['HSRPv1']['verdict'] == 'auth_failed'
    frames, _ = objects('--key', 's3cret', own)
    carp = [f for f in frames if f.get('protocol') == 'CARP'][0]
    assert carp['verdict'] == 'auth_failed' and '--address' in carp['why']


def test_keys_from_a_file(own, tmp_path):
    """The same verdicts as by --key, in any mixture, and no secret in a message."""
    keys = tmp_path / 'keys'
    keys.write_text('5:s3cret\n\ncisco\r\n0:s3cret')
    keys.chmod(0o600)
    expected = run('--key', '5:s3cret', '--key', 'cisco', '--key', '0:s3cret', '--address', '10.0.0.1', own)
    assert run('--key-file', keys, '--address', '10.0.0.1', own) == expected
    assert run('--key-file', '-', '--address', '10.0.0.1', own, stdin=keys.read_bytes()) == expected
    keys.write_text('cisco\n0:s3cret\n')
    assert run('--key-file', keys, '--key', '5:s3cret', '--address', '10.0.0.1', own) == expected
    keys.chmod(0o644)
    status, _, err = run('--key-file', keys, own)
    assert status == 0 and 'may be read by others' in err and 's3cret' not in err
    keys.chmod(0o600)
    for text, what in (('\n', 'has no key'), ('5:\n', '1 to 64 octets'), ('99999999999:s3cret\n', 'too great'),
                       ('s3cret' * 11, '1 to 64 octets'), ('s3cret' * 200, 'too long'), ('s3cret\n' * 65, 'more than 64')):
        keys.write_text(text)
        status, out, err = run('--key-file', keys, own)
        assert status == 2 and what in err and not out and 's3cret' not in err, (text, err)
    assert 'No such file' in run('--key-file', tmp_path / 'none', own)[2]
    assert 'not both' in run('--key-file', '-', '-', stdin=b'x')[2]


def test_without_keys_nothing_is_asked(own):
    frames, summary = objects(own)
    assert summary['verdicts'] == {'accepted': 9, 'ttl': 1}
    assert not any('verified' in f for f in frames)


def test_announcements(own):
    frames, summary = objects(own)
    told = [(f['protocol'], f.get('address'), f['is_at'], f['router'])
            for f in frames if 'is_at' in f]
    mac = '00:00:5e:00:01:07'
    assert told == [('ARP announcement', '10.0.0.1', mac, 'VRRP VRID 7'),
                    ('ND announcement', 'fe80::1', mac, 'VRRP VRID 7'),
                    ('RARP', None, mac, 'VRRP VRID 7')]
    assert summary['others'] == 4


def test_others_are_listed_on_demand(own):
    assert len(objects(own, '--all')[0]) == len(objects(own)[0]) + 1
    assert ': no frame of an election protocol\n' in run(own, '--all')[1]


def test_scapy_s_vrrp(capture):
    frames, summary = objects(capture(vrrp3(2), vrrp3(3, 1, vlan=12)))
    f = frames[0]
    assert (f['frame'], f['time']) == (1, '2025-06-15T15:06:40.000000Z')
    assert (f['from'], f['to'], f['ttl']) == ('10.0.0.2', '224.0.0.18', 255)
    assert (f['protocol'], f['group'], f['priority'], f['state']) == ('VRRPv3', 7, 100, 'active')
    assert f['interval_ms'] == 1000 and f['addresses'] == ['10.0.0.1']
    assert f['vmac'] == '00:00:5e:00:01:07' and f['sent_by_vmac'] is True
    assert f['verdict'] == 'accepted' and frames[1]['vlan'] == 12
    assert len(summary['groups']) == 2  # the same number on another VLAN is another group


def test_scapy_s_vrrp2_with_a_password(capture):
    v2 = (0, scapy.Ether(src='02:00:00:00:00:02', dst='01:00:5e:00:00:12') /
          scapy.IP(src='10.0.0.2', dst='224.0.0.18', ttl=255, proto=112) /
          VRRP(vrid=9, priority=100, authtype=1, addrlist=['10.0.0.1'], auth1=0x70617373,
               auth2=0x776f7264))
    path = capture(v2)
    assert objects(path)[0][0]['auth'] == {'type': 'text', 'text': 'password'}
    assert objects(path, '--key', 'password')[0][0]['verdict'] == 'accepted'
    assert objects(path, '--key', 'passwor')[0][0]['verdict'] == 'auth_failed'


def test_scapy_s_hsrp(capture):
    h = (0, scapy.Ether(src='02:00:00:00:00:02', dst='01:00:5e:00:00:02') /
         scapy.IP(src='10.0.0.2', dst='224.0.0.2', ttl=1) / scapy.UDP(sport=1985, dport=1985) /
         HSRP(group=5, state=8, priority=120, hellotime=3, holdtime=10, virtualIP='10.0.0.1'))
    f = objects(capture(h))[0][0]
    assert (f['protocol'], f['group'], f['state'], f['operation']) == (
        'HSRPv1', 5, 'standby', 'hello')


def test_offloaded_checksums(capture):
    h = scapy.Ether(src='02:00:00:00:00:02', dst='01:00:5e:00:00:02') / \
        scapy.IP(src='10.0.0.2', dst='224.0.0.2') / scapy.UDP(sport=1985, dport=1985, chksum=0x1234)
    path = capture((0, h / HSRP(group=5, state=16, virtualIP='10.0.0.1')))
    assert objects(path)[0][0]['verdict'] == 'checksum'
    assert objects('--offloaded', path)[0][0]['verdict'] == 'accepted'


@pytest.mark.parametrize('change,verdict', [
    (dict(ttl=64), 'ttl'), (dict(addresses=()), 'no_address'), (dict(adv=0), 'interval_zero')])
def test_refused(capture, change, verdict):
    path = capture(vrrp3(2, **change))
    f = objects(path)[0][0]
    assert f['verdict'] == verdict and f['meaning']
    out = run(path)[1]
    assert f'\n    refused, {verdict}: ' in out


def test_a_cut_frame_says_so(capture, tmp_path):
    path = capture(vrrp3(2))
    data = bytearray(path.read_bytes())
    short = tmp_path / 'short.pcap'
    size = int.from_bytes(data[32:36], 'little')
    data[32:36] = (size - 6).to_bytes(4, 'little')
    short.write_bytes(data[:-6])
    status, out, _ = run(short)
    assert status == 0 and 'refused, truncated' in out
    assert f'the capture kept {size - 6} of {size} octets' in out


# --- all of them ----------------------------------------------------------------------------------


def test_who_was_active_when(own):
    _, summary = objects(own)
    group = summary['groups'][0]
    assert (group['protocol'], group['group'], group['family']) == ('VRRP', 7, 4)
    assert [(c['time'][17:], c['active'], c['resigned']) for c in group['changes']] == [
        ('40.000000Z', '10.0.0.2', False), ('41.200000Z', '10.0.0.3', False),
        ('43.000000Z', None, True)]
    assert [(s['from'], s['frames'], s['priorities']) for s in group['speakers']] == [
        ('10.0.0.2', 2, [100]), ('10.0.0.3', 3, [150])]
    assert group['warnings'] == []


def test_two_actives(capture):
    frames = [vrrp3(2 + i % 2, i * 0.5) for i in range(8)]
    _, summary = objects(capture(*frames))
    assert '10.0.0.2 and 10.0.0.3 were both active at 2025-06-15T15:06:41.000000Z (6 times)' in \
        warnings(summary)


def test_a_change_of_hands_is_no_contention(capture):
    frames = [vrrp3(2, 0), vrrp3(2, 1), vrrp3(3, 1.1, 150), vrrp3(3, 2.1, 150), vrrp3(2, 9)]
    assert warnings(objects(capture(*frames))[1]) == ''


def test_differing_intervals(capture):
    _, summary = objects(capture(vrrp3(2), vrrp3(3, 5, adv=50)))
    assert 'differing intervals, 1000 ms and 500 ms' in warnings(summary)


def test_collision_of_clusters(capture):
    _, summary = objects(capture(vrrp3(2), vrrp3(3, 5, addresses=('10.9.0.1',))))
    assert 'two clusters use this number' in warnings(summary)
    _, summary = objects(capture(vrrp3(2), vrrp3(3, 5, addresses=('10.0.0.1', '10.9.0.1'))))
    assert 'are for different addresses' in warnings(summary)


def checksum(data):
    n = sum(int.from_bytes(data[i:i + 2], 'big') for i in range(0, len(data), 2))
    while n >> 16:
        n = (n & 0xffff) + (n >> 16)
    return ~n & 0xffff


def test_checksum_dialects(capture):
    message = bytes([0x31, 7, 100, 1, 0, 100, 0, 0, 10, 0, 0, 1])
    message = message[:6] + checksum(message).to_bytes(2, 'big') + message[8:]
    plain = (5, scapy.Ether(src='00:00:5e:00:01:07', dst='01:00:5e:00:00:12') /
             scapy.IP(src='10.0.0.3', dst='224.0.0.18', ttl=255, proto=112) / scapy.Raw(message))
    frames, summary = objects(capture(vrrp3(2), plain))
    assert [f['checksum'] for f in frames] == ['pseudo-header', 'plain']
    assert 'compute VRRPv3\'s checksum differently' in warnings(summary)


def test_for_people(own):
    status, out, err = run(own)
    assert (status, err) == (0, '')
    assert '#1  15:06:40.000000  10.0.0.2 > 224.0.0.18  VRRPv3 group 7 active, priority 100, ' \
           'every 1s, for 10.0.0.1, vMAC 00:00:5e:00:01:07 (not its sender), checksum ' \
           'pseudo-header: accepted\n' in out
    assert '10 frames of election protocols, 4 others\n' in out
    assert 'came through a router, or are forged' in out
    assert '\nVRRP group 7, IPv4\n  10.0.0.2: 2 frames, priority 100, every 1000 ms' in out
    assert '  2025-06-15T15:06:43.000000Z  the active one resigns\n' in out
    assert run('--quiet', own) == (0, '', '')


def test_standard_input(own):
    data = own.read_bytes()
    assert run('-', stdin=data)[1] == run(own)[1]


# --- files that are none --------------------------------------------------------------------------


def test_no_capture(tmp_path):
    path = tmp_path / 'x'
    status, out, err = run(path)
    assert (status, out) == (2, '') and err.startswith(f'vmac: {path}: No such file')
    path.write_bytes(b'')
    assert run(path)[0] == 2
    path.write_bytes(os.urandom(4) + b'garbage' * 100)
    status, out, err = run(path)
    assert (status, out) == (2, '') and err.startswith(f'vmac: {path}: ') and 'hint: ' in err


def test_a_capture_that_ends_early(own, tmp_path):
    data = own.read_bytes()
    path = tmp_path / 'x'
    for cut in range(24, len(data), 17):
        path.write_bytes(data[:cut])
        status, out, err = run('--json', path)
        assert status in (0, 2)
        assert (status == 2) == (': after frame ' in err)
        assert 'summary' in out.splitlines()[-1]
    path.write_bytes(data[:60])
    assert ': after frame 0: truncated dump file' in run(path)[2]


def test_another_link_type(capture):
    path = capture((0, scapy.Raw(b'x' * 40)), linktype=113)
    status, out, err = run(path)
    assert (status, out) == (2, '')
    assert 'link type LINUX_SLL (113), not Ethernet' in err and 'tcpdump -i eth0' in err


def test_garbage_frames_end_nothing(capture):
    import random
    r = random.Random(5)
    frames = []
    for i in range(400):
        data = bytearray(bytes(vrrp3(2)[1]))
        for _ in range(r.randrange(1, 6)):
            data[r.randrange(len(data))] = r.randrange(256)
        frames.append((i, scapy.Raw(bytes(data[:r.randrange(len(data) + 1)]))))
    got, summary = objects('--key', 'x', capture(*frames, linktype=1))
    assert summary['frames'] + summary['others'] == 400
    assert sum(summary['verdicts'].values()) == summary['frames']


def test_misuse(own):
    for args, what in ((['--key', '5:'], 'secret has 1 to 64'), (['--address', '1.1.1.1'],
                       'goes with --key'), (['--key', 'x', '--address', 'y'], 'is no IP address'),
                       (['--key', '99999999999:x'], 'too great')):
        status, out, err = run(own, *args)
        assert status == 2 and out == '' and what in err


def test_a_move_between_hosts_is_told(capture):
    mac = bytes.fromhex('f25b7a102030')
    frame = (b'\xff' * 6 + mac + bytes.fromhex('80350001080006040003') + mac + bytes(4) + mac + bytes(4)
             + b'vM' + (6).to_bytes(6, 'big') + (2).to_bytes(2, 'big') + bytes(8))
    path = capture((0.0, scapy.Ether(frame)))
    told = objects(path)[0][0]
    assert (told['claim'], told['host'], told['epoch'], told['is_at']) == (
        'claim of host 2 at epoch 6; tag not checked', 2, 6, 'f2:5b:7a:10:20:30')
    assert '(claim of host 2 at epoch 6; tag not checked)' in run(path)[1]
