"""Servers on this machine that stand for the web: one of files, with faults to order, and one like Flickr's."""

import contextlib
import dataclasses
import http.server
import json
import os
import re
import threading
import time
import urllib.parse
from unittest import mock


@dataclasses.dataclass(frozen=True)
class Fault:
    """How one answer differs from a good one."""

    status: int = 0
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = b'sorry'
    reason: str | None = None  # in the first line of the answer
    drop_after: int | None = None  # bytes of the body, then the connection is cut
    stall_after: int | None = None  # bytes of the body, then nothing more comes
    slow_s: float = 0.0  # between pieces of the body
    ignore_range: bool = False
    ignore_if_range: bool = False
    more: int = 0  # by which Content-Length says too much
    chunked: bool = False
    hang_up: bool = False  # without a word
    bare: bool = False  # neither length nor chunks: the end of the connection is the end of the file


GOOD = Fault()


@dataclasses.dataclass
class File:
    body: bytes
    etag: str | None = '"one"'
    modified: str | None = None
    kind: str = 'video/mp4'
    faults: list = dataclasses.field(default_factory=list)  # of the next answers, one each
    always: Fault = GOOD  # of the answers after those

    def next_fault(self):
        return self.faults.pop(0) if self.faults else self.always


@dataclasses.dataclass
class Asked:
    path: str
    headers: dict
    at: float
    sent: int = 0


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100  # who does not fit in waits for a second

    def __init__(self, handler):
        super().__init__(('127.0.0.1', 0), handler)
        self.files, self.asked = {}, []
        self.closing = threading.Event()
        self.url = f'http://127.0.0.1:{self.server_port}'

    def sent(self):
        """Bytes of bodies since the last call."""
        total, self.asked[:] = sum(asked.sent for asked in self.asked), []
        return total

    def handle_error(self, request, client_address):
        pass  # clients that go away in the middle are what is tested

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.shutdown()
        self.server_close()


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True  # 40 ms for each answer

    def log_message(self, *_):
        pass

    def answer(self, status, headers, body, reason=None):
        self.send_response(status, reason)
        for name, value in ({'Content-Length': len(body)} | headers).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)


class FileHandler(Quiet):
    def do_GET(self):
        asked = Asked(self.path, dict(self.headers), time.monotonic())
        self.server.asked.append(asked)
        file = self.server.files.get(self.path)
        if file is None:
            return self.answer(404, {}, b'')
        fault = file.next_fault()
        if fault.hang_up:
            self.close_connection = True
            return None
        if fault.status:
            return self.answer(fault.status, fault.headers, fault.body)
        return self.send(file, fault, asked)

    def send(self, file, fault, asked):
        total, start = len(file.body), self.start(file, fault)
        whose = {'ETag': file.etag, 'Last-Modified': file.modified}
        if start >= total > 0:
            return self.answer(416, {'Content-Range': f'bytes */{total}'}, b'')
        self.send_response(206 if start else 200)
        lengths = {'Content-Length': total - start + fault.more}
        if fault.chunked:
            lengths = {'Transfer-Encoding': 'chunked'}
        elif fault.bare:
            lengths = {'Connection': 'close'}
        if start:
            lengths['Content-Range'] = f'bytes {start}-{total - 1}/{total}'
        for name, value in ({'Content-Type': file.kind} | whose | lengths | fault.headers).items():
            if value is not None:
                self.send_header(name, str(value))
        self.end_headers()
        self.body(file.body[start:], fault, asked)

    def start(self, file, fault):
        """The first byte to send."""
        found = re.fullmatch(r'bytes=(\d+)-', self.headers.get('Range', ''))
        if not found or fault.ignore_range:
            return 0
        same = self.headers.get('If-Range') in (None, file.etag, file.modified)
        return int(found[1]) if same or fault.ignore_if_range else 0

    def body(self, body, fault, asked):
        ends = [end for end in (fault.drop_after, fault.stall_after) if end is not None]
        body = body[: ends[0]] if ends else body
        piece = 1000 if fault.slow_s else 1 << 16
        for at in range(0, len(body), piece):
            part = body[at : at + piece]
            asked.sent += len(part)
            self.wfile.write(b'%x\r\n%s\r\n' % (len(part), part) if fault.chunked else part)
            self.wfile.flush()
            time.sleep(fault.slow_s)
        if fault.stall_after is not None:
            self.server.closing.wait(30)
        if ends or fault.more or fault.bare:
            self.close_connection = True
        elif fault.chunked:
            self.wfile.write(b'0\r\n\r\n')


@contextlib.contextmanager
def files():
    """A server whose `files` are yours to fill: path -> File."""
    # A proxy that the machine may have has no business here.
    with mock.patch.dict(os.environ, NO_PROXY='127.0.0.1'), Server(FileHandler) as server:
        yield server


LICENCES = {
    0: ('All Rights Reserved', ''),
    2: ('Attribution-NonCommercial License', 'https://creativecommons.org/licenses/by-nc/2.0/'),
    4: ('Attribution License', 'https://creativecommons.org/licenses/by/2.0/'),
    5: ('Attribution-ShareAlike License', 'https://creativecommons.org/licenses/by-sa/2.0/'),
    7: ('No known copyright restrictions', 'https://www.flickr.com/commons/usage/'),
    8: ('United States Government Work', 'http://www.usa.gov/copyright.shtml'),
    9: ('Public Domain Dedication (CC0)', 'https://creativecommons.org/publicdomain/zero/1.0/'),
    10: ('Public Domain Mark', 'https://creativecommons.org/publicdomain/mark/1.0/'),
    11: ('CC BY 4.0', 'https://creativecommons.org/licenses/by/4.0/'),
}


@dataclasses.dataclass
class Upload:
    """A video on the made Flickr."""

    id: str
    words: str
    uploaded: int = 1_300_000_000
    licence: int = 4
    sizes: tuple = (('Site MP4', 640, 360), ('HD MP4', 1280, 720))
    title: str = 'a title'
    may_download: int = 1


class Flickr(Quiet):
    """What of Flickr's interface is used here; the server's `uploads`, `most` and `faults` make it up."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length'])).decode()
        asked = dict(urllib.parse.parse_qsl(body))
        self.server.asked.append(asked | {'address': self.path})
        time.sleep(self.server.slow_s)
        if self.server.faults:
            fault = self.server.faults.pop(0)
            if fault is not None:
                return self.answer(fault.status or 200, fault.headers, fault.body, fault.reason)
        if asked['api_key'] != 'secret-key':
            said = {'stat': 'fail', 'code': 100, 'message': 'Invalid API Key (Key has invalid format)'}
        else:
            said = getattr(self, asked['method'].rpartition('.')[2])(asked)
        self.answer(200, {'Content-Type': 'application/json'}, json.dumps({'stat': 'ok'} | said).encode())

    def getInfo(self, asked):
        table = [{'id': id, 'name': name, 'url': url} for id, (name, url) in LICENCES.items()]
        return {'licenses': {'license': table}}

    def search(self, asked):
        if not re.search(r'\w', asked['text']):
            return {'stat': 'fail', 'code': 3, 'message': 'Parameterless searches have been disabled'}
        first, last = int(asked.get('min_upload_date', 0)), int(asked.get('max_upload_date', 2**40))
        found = [
            upload
            for upload in self.server.uploads
            if asked['text'] in upload.words.split()
            and first <= upload.uploaded <= last
            and (self.server.forgets_licences or str(upload.licence) in asked['license'].split(','))
        ]
        size, page = int(asked['per_page']), int(asked['page'])
        # Behind the most that it gives, Flickr repeats itself.
        start = min((page - 1) * size, max(self.server.most - size, 0))
        photos = [
            {
                'id': upload.id,
                'owner': f'{upload.id}@N00',
                'ownername': 'Ann\nOther',
                'title': upload.title,
                'license': str(upload.licence),
                'tags': upload.words,
                'media': 'video',
            }
            for upload in found[start : start + size]
        ]
        return {'photos': {'page': page, 'pages': -(-len(found) // size), 'total': str(len(found)), 'photo': photos}}

    def getSizes(self, asked):
        upload = next((upload for upload in self.server.uploads if upload.id == asked['photo_id']), None)
        if upload is None:
            return {'stat': 'fail', 'code': 1, 'message': 'Photo not found'}
        picture = {'label': 'Square', 'width': 75, 'height': 75, 'source': 'https://f/x.jpg', 'media': 'photo'}
        player = {'label': 'Video Player', 'width': '640', 'height': '360', 'source': 'https://f/x', 'media': 'video'}
        films = [
            {
                'label': label,
                'width': width and str(width),
                'height': height,
                'source': f'https://f/{upload.id}/play/{label.partition(" ")[0].lower()}/',
                'media': 'video',
            }
            for label, width, height in upload.sizes
        ]
        return {'sizes': {'candownload': upload.may_download, 'size': [picture, player, *films]}}


@contextlib.contextmanager
def flickr():
    """A server whose `uploads` are yours to fill; `most` results of a query are served, `faults` come first."""
    with mock.patch.dict(os.environ, NO_PROXY='127.0.0.1'), Server(Flickr) as server:
        server.uploads, server.faults, server.most = [], [], 4000
        server.forgets_licences, server.slow_s = False, 0
        yield server
