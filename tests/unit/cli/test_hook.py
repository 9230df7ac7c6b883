"""What hypervisors call: libvirt's hook with calls that libvirt 9 made, its events, and QEMU's monitors."""
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.environ['API_TESTS'])
from daemon import Daemon  # noqa: E402

VMAC = os.environ['VMAC']
OURS, FOREIGN = '0a:22:33:00:00:07', '52:54:00:00:00:01'

# As libvirt gives it to its hooks, but for what does not concern them.
DOMAIN = '''<domain type='qemu' id='1'>
  <name>g1</name>
  <uuid>63f4a1d5-dd90-46b0-853b-0dd74bdc9e98</uuid>
  <metadata><a:interface xmlns:a="urn:a"><mac address='0a:22:33:00:00:66'/></a:interface></metadata>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='pci' index='0' model='pci-root'/>
    %s
    <hostdev><source><interface><mac address='0a:22:33:00:00:67'/></interface></source></hostdev>
  </devices>
</domain>
'''
NIC = '''<interface type='%s'>
      <mac address='%s'/>
      <target dev='%s'%s/>
      <model type='virtio'/><driver name='vhost' queues='4'/>
      <backenddomain><mac address='0a:22:33:00:00:68'/></backenddomain>
    </interface>'''


def nic(mac=OURS, dev='tapg1', kind='ethernet', managed=" managed='no'"):
    return NIC % (kind, mac, dev, managed)


def domain(*nics):
    return DOMAIN % ''.join(nics or (nic(),))


@pytest.fixture
def daemon(tmp_path):
    d = Daemon(tmp_path / 's')
    d.fill()
    yield d
    d.stop()


def run(d, *args, stdin='', seconds=20):
    p = subprocess.run([VMAC, 'hook', *args], input=stdin, capture_output=True, text=True, timeout=seconds,
                       env={'VMAC_SOCKET': d if isinstance(d, str) else d.path}, check=False)
    return p.returncode, p.stdout, p.stderr


def hook(d, *call, xml=None, options=()):
    status, out, err = run(d, 'libvirt', *options, '--', 'g1', *call, '-', stdin=xml or domain())
    assert out == ''  # anything else would be a new XML
    return status, err


def items(d, what):
    return d.call('GET', f'/v1/{what}').json['items']


def moves(d):
    return {m['address']: m['state'] for m in items(d, 'moves')}


def test_an_incoming_migration(daemon):
    assert hook(daemon, 'migrate', 'begin', xml=domain(nic(), nic(FOREIGN, 'tapg2'))) == (0, '')
    assert moves(daemon) == {OURS: 'ready'} and items(daemon, 'ports') == []
    assert hook(daemon, 'prepare', 'begin') == (0, '')
    port, = items(daemon, 'ports')
    assert (port['name'], port['vmac'], port['kind'], port['queues']) == ('tapg1', OURS, 'tap', 4)
    assert daemon.call('GET', f'/v1/vmacs/-/{OURS}').json['note'] == 'libvirt g1'
    assert hook(daemon, 'start', 'begin') == (0, '')
    # Before the guest's memory comes: it must not be taken for the cut-over.
    assert hook(daemon, 'started', 'begin') == (0, '')
    assert moves(daemon) == {OURS: 'ready'}
    assert run(daemon, 'libvirt-events', stdin=EVENTS['arrived'])[0] == 0
    assert moves(daemon) == {OURS: 'held'}


def test_a_migration_that_fails_here(daemon):
    for call in (('migrate', 'begin'), ('prepare', 'begin'), ('start', 'begin'), ('started', 'begin'),
                 ('stopped', 'end')):
        assert hook(daemon, *call) == (0, '')
    assert moves(daemon) == {OURS: 'ready'}
    assert hook(daemon, 'release', 'end') == (0, '')
    assert moves(daemon) == {OURS: 'none'} and items(daemon, 'ports') == []
    assert daemon.call('GET', f'/v1/vmacs/-/{OURS}').json['note'] == ''


def test_a_guest_that_starts_and_ends_here(daemon):
    daemon.call('POST', '/v1/vmacs', {'address': OURS, 'note': 'the shop'})
    assert hook(daemon, 'prepare', 'begin', options=('--user', '0', '--group', '0')) == (0, '')
    port, = items(daemon, 'ports')
    assert (port['owner_uid'], port['owner_gid']) == (0, 0)
    note = f'/v1/vmacs/-/{OURS}'
    assert daemon.call('GET', note).json['note'] == 'the shop; libvirt g1'
    assert hook(daemon, 'prepare', 'begin')[0] == 0  # libvirtd again: nothing twice
    assert hook(daemon, 'release', 'end') == (0, '')


def test_the_note_stays_what_it_was(daemon):
    daemon.call('POST', '/v1/vmacs', {'address': OURS, 'note': 'the shop'})
    hook(daemon, 'prepare', 'begin')
    hook(daemon, 'release', 'end')
    assert items(daemon, 'ports') == []
    assert daemon.call('GET', f'/v1/vmacs/-/{OURS}').json['note'] == 'the shop'


def test_hints_only_where_it_is_held(daemon):
    daemon.call('POST', '/v1/vmacs', {'address': OURS})
    hook(daemon, 'started', 'begin')
    assert moves(daemon) == {}
    for verb, after in (('thaw', 'held'), ('activate', 'live'), ('prepare', 'ready')):
        daemon.call('POST', f'/v1/vmacs/-/{OURS}/{verb}')
        hook(daemon, 'stopped', 'end')
        assert moves(daemon) == {OURS: 'paused' if after == 'held' else after}
    daemon.call('POST', f'/v1/vmacs/-/{OURS}/stop')
    hook(daemon, 'started', 'begin')
    assert moves(daemon) == {OURS: 'held'}


def test_taps_that_are_none_of_ours(daemon):
    daemon.call('POST', '/v1/vmacs', {'address': OURS})
    for xml in (domain(nic(FOREIGN)), domain(nic(managed='')), domain(nic(kind='bridge')), domain(nic(dev='')),
                domain(nic(dev='much-too-long-for-linux')), domain(nic(mac='nonsense'))):
        assert hook(daemon, 'prepare', 'begin', xml=xml) == (0, '')
        assert hook(daemon, 'release', 'end', xml=xml) == (0, '')
    assert items(daemon, 'ports') == []


def test_a_tap_that_somebody_made_stays(daemon):
    daemon.call('POST', '/v1/vmacs', {'address': OURS, 'note': 'libvirt g1'})  # of an earlier host
    daemon.call('POST', '/v1/ports', {'name': 'tapg1', 'kind': 'tap', 'vmac': OURS})
    assert hook(daemon, 'prepare', 'begin') == (0, '')
    assert hook(daemon, 'release', 'end') == (0, '')
    assert [p['name'] for p in items(daemon, 'ports')] == ['tapg1']
    status, err = hook(daemon, 'prepare', 'begin', xml=domain(nic('0a:22:33:00:00:08')))
    assert status == 1 and f'port tapg1 is there, and carries {OURS}' in err


def test_all_or_none(daemon):
    daemon.call('POST', '/v1/vmacs', {'address': OURS})
    daemon.call('POST', '/v1/vmacs', {'address': '0a:22:33:00:00:08'})
    daemon.call('POST', '/v1/ports', {'name': 'other', 'kind': 'tap'})
    status, err = hook(daemon, 'prepare', 'begin', xml=domain(nic(), nic('0a:22:33:00:00:08', 'other')))
    assert status == 1 and 'port other is there' in err
    assert [p['name'] for p in items(daemon, 'ports')] == ['other']


def test_what_is_here_needs_no_preparing(daemon):
    daemon.call('POST', '/v1/vmacs', {'address': OURS})
    assert hook(daemon, 'migrate', 'begin') == (0, '')
    assert moves(daemon) == {}


def test_other_calls(daemon):
    for call in (('start', 'begin'), ('reconnect', 'begin'), ('attach', 'begin'), ('restore', 'begin'),
                 ('migrate', 'end'), ('later', 'versions')):
        assert hook(daemon, *call, xml='no xml, and nobody looks') == (0, '')


def test_a_host_that_is_alone(tmp_path):
    d = Daemon(tmp_path / 's', 'alone')
    d.fill()
    d.call('POST', '/v1/vmacs', {'address': OURS})
    for call in (('migrate', 'begin'), ('prepare', 'begin'), ('started', 'begin'), ('stopped', 'end')):
        assert hook(d, *call) == (0, '')
    assert len(items(d, 'ports')) == 1
    assert hook(d, 'release', 'end') == (0, '')
    assert items(d, 'ports') == []
    d.stop()


def test_cut_off_from_the_registry(tmp_path):
    d = Daemon(tmp_path / 's', 'cut')
    d.fill()
    status, err = hook(d, 'migrate', 'begin')
    assert status == 1 and f'vmac: preparing the move of {OURS}: no answer' in err
    # But other people's guests go on moving.
    assert hook(d, 'migrate', 'begin', xml=domain(nic(FOREIGN))) == (0, '')
    d.stop()


def test_nobody_answers():
    status, err = hook('/nonexistent', 'prepare', 'begin')
    assert status == 1 and 'cannot reach vmacd' in err


def test_a_daemon_that_hangs(tmp_path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(tmp_path / 's'))
    s.listen()
    began = time.monotonic()
    status, err = hook(str(tmp_path / 's'), 'migrate', 'begin')
    assert status == 1 and 'asking vmacd: no answer in 5 s' in err
    assert 4.5 < time.monotonic() - began < 7
    s.close()


BOMB = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">' + ''.join(
    f'<!ENTITY a{i} "{("&a%s;" % (i - 1 if i > 1 else "")) * 10}">' for i in range(1, 12)) + ']><domain>&a11;</domain>'
BAD_XML = {
    'none': ('', 'is no XML'),
    'no xml': ('hello', 'is no XML: line 1'),
    'cut': (domain()[:400], 'is no XML: line '),
    'bomb': (BOMB, 'document type'),
    'outside': ('<!DOCTYPE d SYSTEM "file:///etc/passwd"><domain/>', 'document type'),
    'deep': ('<a>' * 100, 'nested too deep'),
    'long': ('<domain>' + ' ' * (4 << 20) + '</domain>', 'longer than'),
    'nics': (domain(*[nic()] * 65), 'more than 64 interfaces'),
    'nul': ('<domain>\0</domain>', 'is no XML'),
}


@pytest.mark.parametrize('case', BAD_XML)
def test_bad_xml(daemon, case):
    xml, words = BAD_XML[case]
    p = subprocess.run([VMAC, 'hook', 'libvirt', 'g1', 'prepare', 'begin', '-'], input=xml, capture_output=True,
                       text=True, env={'VMAC_SOCKET': daemon.path}, timeout=20, check=False)
    assert p.returncode == 1 and p.stdout == '' and words in p.stderr
    assert items(daemon, 'ports') == []


# --- events ---------------------------------------------------------------------------------------

AT = '2026-11-23 01:36:59.787+0000: '
EVENTS = {
    'arrived': f"{AT}event 'lifecycle' for domain 'g1': Started Migrated\n"
               f"{AT}event 'lifecycle' for domain 'g1': Resumed Migrated\n",
    'left': f"{AT}event 'migration-iteration' for domain 'g1': iteration: '2'\n"
            f"{AT}event 'lifecycle' for domain 'g1': Suspended Migrated\n"
            f"{AT}event 'job-completed' for domain 'g1':\n\toperation: 5\n\ttime_elapsed: 1348\n",
    'paused': f"{AT}event 'lifecycle' for domain 'g1': Suspended Paused\n",
    'resumed': f"{AT}event 'lifecycle' for domain 'g1': Resumed Unpaused\n",
}


@pytest.fixture
def guest(daemon):
    daemon.call('POST', '/v1/vmacs', {'address': OURS})
    hook(daemon, 'prepare', 'begin')
    daemon.call('POST', f'/v1/vmacs/-/{OURS}/thaw')
    return daemon


@pytest.mark.parametrize('what,state', [('left', 'paused'), ('paused', 'paused'), ('resumed', 'held')])
def test_events(guest, what, state):
    status, out, err = run(guest, 'libvirt-events', stdin=EVENTS[what])
    assert (status, err) == (0, '') and out.count('\n') == 1 and moves(guest) == {OURS: state}


@pytest.mark.parametrize('lines', [
    EVENTS['left'].replace("'g1'", "'g11'"), EVENTS['left'].replace("'g1'", "'g'"),
    f"{AT}event 'lifecycle' for domain 'g1': Suspended I/O Error\n",
    f"{AT}event 'lifecycle' for domain 'g1': Started Booted\n",
    f"{AT}event 'lifecycle' for domain 'g1': Suspended Migrated",  # cut
    f"{AT}event 'lifecycle' for domain 'g1' Suspended Migrated\n",
    f"{AT}event 'lifecycle' for domain 'x': Suspended Migrated': g1\n",
    'x' * 4096 + f"{AT}event 'lifecycle' for domain 'g1': Suspended Migrated\n", '\0\n\n\xff\n',
    "error: Disconnected from qemu:///system due to end of file\n"],
    ids=['another', 'shorter', 'disk', 'started', 'cut', 'mark', 'of another', 'long', 'noise', 'end'])
def test_events_that_say_nothing(guest, lines):
    assert run(guest, 'libvirt-events', stdin=lines)[:2] == (0, '')
    assert moves(guest) == {OURS: 'held'}


def test_a_guest_with_an_odd_name(daemon):
    daemon.call('POST', '/v1/vmacs', {'address': OURS})
    name = "it's 'x': y"
    xml = domain()
    assert run(daemon, 'libvirt', '--', name, 'prepare', 'begin', '-', stdin=xml)[0] == 0
    run(daemon, 'libvirt-events', stdin=EVENTS['left'].replace('g1', name))
    assert moves(daemon) == {OURS: 'paused'}
    assert run(daemon, 'libvirt', '--', name, 'release', 'end', '-', stdin=xml)[0] == 0
    assert items(daemon, 'ports') == []


# --- QEMU's monitors ------------------------------------------------------------------------------


class Monitor:
    """A QEMU's second monitor."""

    GREETING = {'QMP': {'version': {'qemu': {'micro': 22, 'minor': 2, 'major': 7}}, 'capabilities': ['oob']}}

    def __init__(self, path, macs=(OURS,), greeting=None):
        self.path, self.macs = str(path), macs
        self.greeting = self.GREETING if greeting is None else greeting
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.settimeout(10)
        self.peer, self.asked = None, []

    def accept(self):
        self.peer = self.listener.accept()[0]
        self.peer.settimeout(10)
        if isinstance(self.greeting, bytes):
            self.peer.sendall(self.greeting)
            return
        self.say(self.greeting)
        file = self.peer.makefile('rb')
        for _ in range(3):
            asked = json.loads(file.readline())
            self.asked.append(asked['execute'])
            answer = {'return': {}}
            if asked['execute'] == 'query-rx-filter':
                answer['return'] = [{'name': f'net{i}', 'main-mac': mac, 'multicast-table': ['01:00:5e:00:00:01']}
                                    for i, mac in enumerate(self.macs)]
            if 'id' in asked:
                answer['id'] = asked['id']
            self.say(answer)

    def say(self, what):
        self.peer.sendall(json.dumps(what).encode() + b'\r\n')

    def event(self, event, **data):
        self.say({'timestamp': {'seconds': 1, 'microseconds': 2}, 'event': event, 'data': data})

    def close(self):
        if self.peer:
            self.peer.close()
        self.listener.close()
        os.unlink(self.path)


class Watcher:
    def __init__(self, d, *args):
        self.process = subprocess.Popen([VMAC, 'hook', 'qmp', *map(str, args)], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env={'VMAC_SOCKET': d.path})

    def expect(self, words, seconds=10):
        """The next line that it prints."""
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        assert ready, words
        line = self.process.stdout.readline()
        assert words in line, line

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def qmp(daemon, tmp_path):
    daemon.call('POST', '/v1/vmacs', {'address': OURS})
    made = []

    def make(what, *args):
        made.append(what(*args))
        return made[-1]

    make.path = tmp_path / 'qmp'
    make.daemon = daemon
    yield make
    for thing in made:
        thing.close()


def test_qmp(qmp):
    m = qmp(Monitor, qmp.path, (FOREIGN, OURS))
    w = qmp(Watcher, qmp.daemon, qmp.path)
    m.accept()
    w.expect('watched, 2 NICs')
    assert m.asked == ['qmp_capabilities', 'migrate-set-capabilities', 'query-rx-filter']
    m.event('MIGRATION', status='active')
    w.expect('migration active')
    m.event('STOP')
    w.expect('stop')
    assert moves(qmp.daemon) == {OURS: 'paused'}
    m.event('NIC_RX_FILTER_CHANGED', name='net0')
    m.event('RESUME')
    w.expect('resume')
    assert moves(qmp.daemon) == {OURS: 'held'}
    m.event('SHUTDOWN', guest=True)
    w.expect('stop')
    assert moves(qmp.daemon) == {OURS: 'paused'}


def test_qmp_is_quick(qmp):
    m = qmp(Monitor, qmp.path)
    w = qmp(Watcher, qmp.daemon, qmp.path)
    m.accept()
    w.expect('watched')
    took = []
    for i in range(20):
        began = time.monotonic()
        m.event('RESUME' if i % 2 else 'STOP')
        w.expect('resume' if i % 2 else 'stop')
        took.append(time.monotonic() - began)
    assert sorted(took)[10] < 0.05  # milliseconds, but the machine may be busy


def test_qmp_comes_back(qmp):
    m = qmp(Monitor, qmp.path)
    w = qmp(Watcher, qmp.daemon, qmp.path)
    m.accept()
    w.expect('watched')
    m.peer.close()
    m.accept()
    w.expect('watched')
    m.event('STOP')
    w.expect('stop')


def test_qmp_waits_for_one_that_is_named(qmp):
    w = qmp(Watcher, qmp.daemon, qmp.path)
    time.sleep(0.3)
    m = qmp(Monitor, qmp.path)
    m.accept()
    w.expect('watched')


def test_qmp_of_a_directory(qmp, tmp_path):
    watched = tmp_path / 'd'
    watched.mkdir()
    (watched / 'no-socket').write_text('x')
    first = qmp(Monitor, watched / 'a')
    w = qmp(Watcher, qmp.daemon, '--dir', watched)
    first.accept()
    w.expect('a: watched')
    second = qmp(Monitor, watched / 'b')
    second.accept()
    w.expect('b: watched')
    second.event('STOP')
    w.expect('b: stop')


@pytest.mark.parametrize('greeting', [b'220 mail ready\r\n', b'x' * 300000 + b'\n', b'[' * 5000 + b'\r\n', b'7\r\n'],
                         ids=['mail', 'long', 'deep', 'number'])
def test_no_qmp(qmp, greeting):
    m = qmp(Monitor, qmp.path, (), greeting)
    w = qmp(Watcher, qmp.daemon, qmp.path)
    accepted = threading.Thread(target=m.accept)
    accepted.start()
    w.expect('no QMP')
    accepted.join()
    m.greeting = Monitor.GREETING
    m.accept()
    w.expect('watched, 0 NICs')
    assert w.process.poll() is None


def test_qmp_when_vmacd_goes(qmp, tmp_path):
    d = Daemon(tmp_path / 'other')
    m = qmp(Monitor, qmp.path)
    w = qmp(Watcher, d, qmp.path)
    m.accept()
    w.expect('watched')
    d.stop()
    m.event('STOP')
    w.expect('stop')
    assert 'cannot reach vmacd' in w.process.stderr.readline()
    assert w.process.poll() is None
