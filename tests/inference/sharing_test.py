"""One Embedder in many hands: threads, copies, pickles, scikit-learn's clones."""

import copy
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.inference import Embedder, load
from soundnet_tf.inference.engine import KerasEngine, stored
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


def test_scikit_learn_clones_an_embedder(embedder):
    base = pytest.importorskip('sklearn.base')
    from soundnet_tf.inference.sklearn import SoundNetTransformer

    step = base.clone(SoundNetTransformer(embedder))
    close(step.transform(CLIPS[:1])[0], embedder.embed(CLIPS[0], SAMPLE_RATE).mean())


def test_stderr_stays_where_it_was(quick_folder):
    """Several threads may silence LiteRT's announcement at once, by redirecting stderr: it always comes back."""
    code = """
import os, sys, threading
import numpy as np
import soundnet_tf
before, start = os.readlink('/proc/self/fd/2'), threading.Barrier(4)
embedders = [soundnet_tf.load(sys.argv[1]) for _ in range(4)]
def work(embedder):
    start.wait()
    embedder.embed(np.zeros(22050, np.float32), 22050)
    embedder.tag(np.zeros(22050, np.float32), 22050)
threads = [threading.Thread(target=work, args=(embedder,)) for embedder in embedders]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert os.readlink('/proc/self/fd/2') == before, os.readlink('/proc/self/fd/2')
"""
    command = [sys.executable, '-c', code, str(quick_folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert not done.returncode, done.stderr[-2000:]
