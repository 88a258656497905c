"""The included clips: whole, small, and with their credits."""

import re
import subprocess
import sys

import pytest

import soundnet_tf
from soundnet_tf import clips
from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.errors import SoundNetError

CREDITS = clips.path('rooster').with_name('CREDITS.md').read_text(encoding='utf-8')


def test_names():
    assert clips.names() == ('dog_bark', 'helicopter', 'rooster', 'sea_waves', 'sneeze')
    assert soundnet_tf.clips is clips


@pytest.mark.parametrize('name', clips.names())
def test_each_is_five_seconds_of_sound(name):
    waveform = decoding.read(clips.path(name))
    assert len(waveform) / SAMPLE_RATE == pytest.approx(5, abs=0.01)
    assert abs(waveform).max() > 0.1


@pytest.mark.parametrize('name', clips.names())
def test_each_is_credited_as_public_domain(name):
    (row,) = (line for line in CREDITS.splitlines() if line.startswith(f'| {name}.ogg |'))
    _, file, recording, author, freesound, licence = (cell.strip() for cell in row.strip('|').split('|'))
    assert recording
    assert author
    assert licence == 'CC0'
    (number,) = re.findall(r'\[(\d+)\]', freesound)
    assert re.fullmatch(rf'\d{{3}} - [\w ]+/\d-{number}-[A-Z]\.ogg', file)


def test_credits_list_no_other_clip():
    assert sorted(re.findall(r'^\| (\w+)\.ogg', CREDITS, re.MULTILINE)) == list(clips.names())


def test_all_together_are_small():
    assert sum(clips.path(name).stat().st_size for name in clips.names()) <= 300_000


def test_an_unknown_name_lists_the_names():
    with pytest.raises(
        SoundNetError, match=r"^'cow': no included clip has this name. Use one of dog_bark, .*, sneeze$"
    ):
        clips.path('cow')


def test_importing_loads_neither_numpy_nor_tensorflow():
    code = """
import sys
from soundnet_tf import clips
clips.path('rooster')
heavy = {'tensorflow', 'keras', 'numpy'} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, '-c', code], check=True)


@pytest.mark.parametrize(
    ('clip', 'name'),
    [
        ('dog_bark', 'Dog bark'),
        ('helicopter', 'Helicopter'),
        ('rooster', 'Rooster'),
        ('sea_waves', 'Sea waves'),
        ('sneeze', 'Person sneeze'),
    ],
)
def test_a_net_of_ours_names_them(clip, name):
    """It learned from them, so this says that the files are right, not that the net is good."""
    embedder = soundnet_tf.load('soundnet8-esc10', short='tile')
    assert embedder.tag_file(clips.path(clip), top=1)[0].name == name
