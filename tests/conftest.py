"""One home for all processes of a run, where the original net is converted once; the order of the files; `pure`."""

import os
import pathlib

import pytest

# Files of half a minute and more, the longest first: two processes that take one file after the other end together.
LONG = (
    'demo/journey_test.py',
    'export/hub_test.py',
    'finetune/fit_test.py',
    'bin/experiment_test.py',
    'training/trainer_test.py',
    'prepare/local_test.py',
    'training/workers_test.py',
    'shipping/ship_test.py',
    'nets/original_test.py',
    'docs_test.py',
    'export/exporter_test.py',
    'stories/esc10_test.py',
    'stories/real_videos_test.py',
    'experiments_test.py',
    'bin/train_test.py',
    'inference/write_test.py',
    'visualize/report_test.py',
)

# Words, files, addresses and tables, without TensorFlow, Keras and arrays: one environment says what both would say.
PURE = (
    'bin/cli_test.py',
    'bin/collect_test.py',
    'config_test.py',
    'prepare/manifest_test.py',
    'prepare/pace_test.py',
    'prepare/web/flickr_test.py',
    'prepare/web/videos_test.py',
    'recipes_test.py',
    'spec_test.py',
    'storage/readers_test.py',
    'storage/storage_test.py',
    'teachers/options_test.py',
    'web/words_test.py',
)


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    here = pathlib.Path(__file__).parent
    assert not [name for name in (*LONG, *PURE) if not (here / name).exists()]
    place = {here / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path, len(LONG)))
    pure = {here / name for name in PURE}
    for item in items:
        if item.path in pure:
            item.add_marker('pure')


@pytest.fixture(scope='session', autouse=True)
def original_home(tmp_path_factory, request):
    base = tmp_path_factory.getbasetemp()
    # Under pytest-xdist each process has a folder of its own in that of the run.
    folder = (base.parent if hasattr(request.config, 'workerinput') else base) / 'home'
    os.environ['SOUNDNET_HOME'] = str(folder)
    return folder
