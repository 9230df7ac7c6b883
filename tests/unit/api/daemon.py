"""The fake daemon and a client that speaks HTTP by hand, so that tests can be rude."""
import json
import os
import socket
import subprocess


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json['error']['code']


class Connection:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(path)
        self.file = self.sock.makefile('rb')

    def send(self, data):
        self.sock.sendall(data)

    def read(self, head=False):
        status = int(self.file.readline().split()[1])
        headers = {}
        while (line := self.file.readline().strip()):
            key, value = line.decode().split(':', 1)
            headers[key.lower()] = value.strip()
        length = 0 if head or status == 204 else int(headers.get('content-length', 0))
        return Answer(status, headers, self.file.read(length))

    def call(self, method, path, body=None, headers=''):
        self.send(request(method, path, body, headers))
        return self.read(method == 'HEAD')

    def close(self):
        self.file.close()
        self.sock.close()


def request(method, path, body=None, headers=''):
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    length = f'Content-Length: {len(body)}\r\n' if body is not None else ''
    return f'{method} {path} HTTP/1.1\r\nHost: vmacd\r\n{length}{headers}\r\n'.encode() + \
        (body or b'')


class Daemon:
    def __init__(self, path, *among):
        """among: 'alone', or 'cut' from the shared registry; else one of three hosts."""
        self.path = str(path)
        self.process = subprocess.Popen([os.environ['FAKE_DAEMON'], self.path, *among],
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == 'ready\n'

    def connect(self):
        return Connection(self.path)

    def call(self, *args, **kwargs):
        c = self.connect()
        try:
            return c.call(*args, **kwargs)
        finally:
            c.close()

    def fill(self):
        """A segment, a pool."""
        assert self.call('POST', '/v1/segments', {'name': 'lan', 'uplink': 'eth9'}).status == 201
        assert self.call('POST', '/v1/pools', {'name': 'p', 'segment': 'lan', 'ranges': [
            '0a:22:33:00:00:00/24']}).status == 201

    def stop(self):
        """It must end by itself, cleanly: the sanitizers speak in its exit status."""
        self.process.terminate()
        assert self.process.wait(20) == 0
        assert not os.path.exists(self.path)
