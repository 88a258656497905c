"""One Embedder shared by threads, copied, pickled, and cloned by scikit-learn."""

import copy
import http.client
import os
import pickle
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from soundnet_tf import errors
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.inference import Embedder, load
from soundnet_tf.inference.engines import KerasEngine, stored
from soundnet_tf.testing import noise, tone

CLIPS = [tone(1, 200), tone(1.5, 3000), noise(2), tone(3, 800)]


@pytest.fixture(params=['litert', 'stored', 'keras'])
def embedder(request, quick_folder, plain_folder, net):
    made = {
        'litert': lambda: load(quick_folder),
        'stored': lambda: Embedder(stored(plain_folder)),
        'keras': lambda: Embedder(KerasEngine(net)),
    }
    return made[request.param]()


def close(given, wanted):
    np.testing.assert_allclose(given, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


def names(tags):
    return [tag.name for tag in tags]


def test_each_thread_has_its_own_numbers(embedder):
    wanted = [embedder.embed(clip, SAMPLE_RATE).values for clip in CLIPS]
    with ThreadPoolExecutor(8) as pool:
        given = pool.map(lambda i: embedder.embed(CLIPS[i % 4], SAMPLE_RATE).values, range(48))
        for index, values in enumerate(given):
            close(values, wanted[index % 4])


def test_threads_may_be_the_first_to_use_it(embedder):
    start, given = threading.Barrier(4), {}

    def work(index):
        start.wait()
        given[index] = embedder.embed(CLIPS[index], SAMPLE_RATE, 'conv3').values
        given[index, 'tags'] = embedder.tag(CLIPS[index], SAMPLE_RATE, top=1)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, clip in enumerate(CLIPS):
        close(given[index], embedder.embed(clip, SAMPLE_RATE, 'conv3').values)
        assert [tag.name for tag in given[index, 'tags']] == [
            tag.name for tag in embedder.tag(clip, SAMPLE_RATE, top=1)
        ]


def test_copies_share_the_net(embedder):
    for twin in (copy.copy(embedder), copy.deepcopy(embedder)):
        assert twin.listener._engine is embedder.listener._engine
        close(twin.embed(CLIPS[0], SAMPLE_RATE).values, embedder.embed(CLIPS[0], SAMPLE_RATE).values)


def test_a_pickle_is_the_same_embedder(embedder, tmp_path, monkeypatch):
    data = pickle.dumps(embedder)
    monkeypatch.chdir(tmp_path)  # relative paths must have been made absolute
    twin = pickle.loads(data)
    close(twin.embed(CLIPS[0], SAMPLE_RATE).values, embedder.embed(CLIPS[0], SAMPLE_RATE).values)
    assert [tag.name for tag in twin.tag(noise(11), SAMPLE_RATE)] == [
        t.name for t in embedder.tag(noise(11), SAMPLE_RATE)
    ]


@pytest.mark.parametrize('sample_rate', [SAMPLE_RATE, 44_100])
@pytest.mark.parametrize('twin', [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_stream_is_never_copied(plain_folder, twin, sample_rate):
    stream = Embedder(stored(plain_folder)).stream(sample_rate=sample_rate)
    for opened in (stream, stream._streams):
        with pytest.raises(TypeError, match=r'^a stream cannot be copied or pickled\. Open another one'):
            twin(opened)


def test_scikit_learn_clones_an_embedder(embedder):
    base = pytest.importorskip('sklearn.base')
    from soundnet_tf.inference.sklearn import SoundNetTransformer

    assert base.clone(embedder) is embedder
    step = base.clone(SoundNetTransformer(embedder))
    close(step.transform(CLIPS[:1])[0], embedder.embed(CLIPS[0], SAMPLE_RATE).mean())


def forked(function):
    """What a forked child says: that it succeeded, or its error."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            function()
            said = 'right'
        except BaseException as error:
            said = f'{type(error).__name__}: {error}'
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='no forks')
def test_forked_children_run_litert_and_refuse_tensorflow(quick_folder, plain_folder, net):
    """TensorFlow would hang there: it was used in this process."""
    light, whole = load(quick_folder), Embedder(stored(plain_folder))
    opened = whole.stream()
    opened.push(CLIPS[0])
    wanted = light.embed(CLIPS[0], SAMPLE_RATE).values
    assert forked(lambda: close(light.embed(CLIPS[0], SAMPLE_RATE).values, wanted)) == 'right'
    words = (
        'SoundNetError: TensorFlow: it was used before this process was forked, and would hang. '
        "Start processes with multiprocessing.get_context('spawn'), or use TensorFlow only after the fork"
    )
    uses = [
        lambda: light.embed(CLIPS[0], SAMPLE_RATE, 'conv2'),
        lambda: whole.embed(CLIPS[0], SAMPLE_RATE),
        lambda: whole.stream(),
        lambda: opened.push(CLIPS[0]),
        lambda: opened.finish(),
        lambda: Embedder(KerasEngine(net)).embed(CLIPS[0], SAMPLE_RATE),
        lambda: net(noise(11)[None]),
        lambda: net.predict(noise(11)[None], verbose=0),
    ]
    assert [forked(use) for use in uses] == [words] * len(uses)


def test_errors_come_back_from_other_processes():
    for error in (errors.MissingTool('av', 'reading videos', 'video'), errors.ShortClip('x'), errors.BadAudio('y')):
        twin = pickle.loads(pickle.dumps(error))
        assert (type(twin), str(twin)) == (type(error), str(error))


class Serve(BaseHTTPRequestHandler):
    """Waveforms, float32, to the numbers of one layer."""

    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        waveform = np.frombuffer(self.rfile.read(int(self.headers['Content-Length'])), np.float32)
        body = self.server.embedder.embed(waveform, SAMPLE_RATE).values.tobytes()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def test_a_web_server_shares_an_embedder(quick_folder):
    embedder = load(quick_folder)
    sounds = [noise(0.3 + index / 9, seed=index) for index in range(20)]
    wanted = [embedder.embed(sound, SAMPLE_RATE).values for sound in sounds]
    server = ThreadingHTTPServer(('127.0.0.1', 0), Serve)
    server.embedder = embedder
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def ask(first):
        connection = http.client.HTTPConnection(*server.server_address)
        for index in range(first, 500, 8):
            connection.request('POST', '/', sounds[index % 20].tobytes())
            given = np.frombuffer(connection.getresponse().read(), np.float32)
            close(given.reshape(wanted[index % 20].shape), wanted[index % 20])
        connection.close()
        return len(range(first, 500, 8))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 500
    server.shutdown()
    server.server_close()


def test_stderr_stays_where_it_was(quick_folder):
    """Several threads silence LiteRT's announcement at once, while another writes; then C may write again."""
    code = """
import ctypes, itertools, os, sys, threading
import numpy as np
import soundnet_tf
start, done, library = threading.Barrier(5), threading.Event(), ctypes.CDLL(None)
embedders = [soundnet_tf.load(sys.argv[1]) for _ in range(4)]
def work(embedder):
    start.wait()
    embedder.embed(np.zeros(22050, np.float32), 22050)
    embedder.tag(np.zeros(22050, np.float32), 22050)
def write():
    start.wait()
    for number in itertools.count():
        os.write(2, b'%d,' % number)
        if done.wait(0.001):
            print(number, flush=True)
            return
threads = [threading.Thread(target=work, args=(embedder,)) for embedder in embedders]
threads.append(threading.Thread(target=write))
[thread.start() for thread in threads]
[thread.join() for thread in threads[:-1]]
done.set()
threads[-1].join()
library.perror(b'C')
"""
    command = [sys.executable, '-c', code, str(quick_folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert not done.returncode, done.stderr[-2000:]
    *numbers, rest = done.stderr.split(',')
    assert numbers == [str(number) for number in range(int(done.stdout) + 1)]
    assert rest.startswith('C: ')
    assert len(numbers) > 3


def test_a_fork_has_its_own_stderr():
    """Also one that begins while another thread is silent."""
    code = """
import ctypes, os
from soundnet_tf.nets import native
library = ctypes.CDLL(None)
with native.quiet():
    library.perror(b'silent')
    if not os.fork():
        library.perror(b'child')
        os._exit(0)
    os.wait()
    with native.quiet():
        pass
    library.perror(b'silent')
library.perror(b'parent')
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert re.findall(r'^\w+', done.stderr, re.MULTILINE) == ['child', 'parent']
