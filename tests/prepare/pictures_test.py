"""Frames found by jumps are those that decoding everything gives."""

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soundnet_tf.prepare import pictures
from soundnet_tf.prepare.pictures import Pictures
from tests.prepare import made


def test_unit_middles():
    assert pictures.unit_middles(20, 5) == (2.5, 7.5, 12.5, 17.5)
    assert pictures.unit_middles(7.4, 5) == (2.5,)
    assert pictures.unit_middles(7.5, 5) == (2.5, 6.25)
    assert pictures.unit_middles(0.3, 5) == (0.15,)


FPS = 10


def numbered(path, frames, codec, **options):
    """Every frame shows its own number in bars of black and white."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=FPS, options={k: str(v) for k, v in options.items()})
        stream.width, stream.height, stream.pix_fmt = 96, 32, 'yuv420p'
        for index in range(frames):
            bars = np.repeat([255 * (index >> bit & 1) for bit in range(12)], 8).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.broadcast_to(bars[None, :, None], (32, 96, 3)).copy(), format='rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def number(frame):
    return sum(1 << bit for bit in range(12) if frame[:, 8 * bit + 2 : 8 * bit + 6].mean() > 127)


def decoded(path):
    """How many frames are decoded until the times are served."""
    count = []
    plain = Pictures._step

    def step(self):
        count.append(1)
        plain(self)

    return count, step


@st.composite
def wanted(draw):
    # Between frames, not on the instant where one follows another.
    gaps = draw(st.lists(st.integers(0, 9000), min_size=1, max_size=6))
    return [(ms + 0.5) / 1000 for ms in np.cumsum(gaps).tolist()]


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    made_already = {}

    def make(name, codec, **options):
        key = (name, codec, *options.items())
        if key not in made_already:
            made_already[key] = numbered(tmp_path_factory.mktemp('film') / name, 300, codec, **options)
        return made_already[key]

    return make


@pytest.mark.parametrize(
    ('name', 'codec', 'options'),
    [
        ('a.mp4', 'libx264', {'g': 25, 'bf': 3}),
        ('open.mp4', 'libx264', {'g': 30, 'bf': 3, 'x264-params': 'open-gop=1:b-pyramid=normal:ref=5'}),
        ('one_keyframe.mp4', 'libx264', {'g': 1000, 'bf': 2, 'x264-params': 'scenecut=0:b-adapt=0'}),
        ('a.mkv', 'libx264', {'g': 20}),
        ('a.webm', 'libvpx-vp9', {'g': 40, 'deadline': 'realtime', 'cpu-used': 8}),
        ('a.avi', 'mpeg4', {'g': 12}),
        ('b.avi', 'libx264', {'g': 12, 'bf': 2}),
        ('a.ts', 'libx264', {'g': 15, 'bf': 2}),
        ('a.mpg', 'mpeg2video', {'g': 15, 'bf': 2}),
    ],
)
@given(times=wanted())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_seeking_gives_the_same_frames_as_decoding_everything(film, name, codec, options, times):
    path = str(film(name, codec, **options))
    plain = Pictures(path, 32)
    plain._may_jump = False
    expected = [number(frame) for frame in plain.at(times)]
    assert [number(frame) for frame in Pictures(path, 32).at(times)] == expected
    if name.endswith('mp4'):
        assert expected == [min(int(time * FPS), 299) for time in times]


def test_few_other_frames_are_decoded(film, monkeypatch):
    times = [2.5, 7.5, 12.5, 17.5, 22.5, 27.5]
    count, step = decoded(film)
    monkeypatch.setattr(Pictures, '_step', step)
    path = str(film('a.mp4', 'libx264', g=25, bf=3))
    Pictures(path, 32).at(times)
    assert len(count) < 120, 'of 276 up to the last time'
    count.clear()
    path = str(film('one_keyframe.mp4', 'libx264', g=1000, bf=2, **{'x264-params': 'scenecut=0:b-adapt=0'}))
    Pictures(path, 32).at(times)
    assert len(count) < 230, 'frames that no other is made from are left out'


def test_a_wrong_index(film, monkeypatch):
    """It says that a keyframe lies ahead; the jump leads beyond the time that is wanted."""
    path = str(film('a.mp4', 'libx264', g=25, bf=3))
    asked = Pictures(path, 32)
    asked.at([0])
    container, real = asked._container, type(asked._container)

    class Lying:
        def __getattr__(self, name):
            return getattr(container, name)

        def seek(self, stamp, **options):
            real.seek(container, stamp + 10 * 12_800, **options)

    asked._container = Lying()
    assert number(asked.at([7.5])[0]) == 75


def test_a_damaged_packet_has_no_frame(film, tmp_path):
    path = film('all_keyframes.mp4', 'libx264', g=1)
    with av.open(str(path)) as container:
        packet = list(container.demux(video=0))[25]
        data = bytearray(path.read_bytes())
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    (tmp_path / 'damaged.mp4').write_bytes(data)
    frames = Pictures(str(tmp_path / 'damaged.mp4'), 32).at([2.45, 2.55, 2.65, 29.95])
    assert [number(frame) for frame in frames] == [24, 24, 26, 299]


def test_times_of_a_clip_far_into_a_video(tmp_path):
    path = made.video(tmp_path / 'a.mp4', 0, 24, codec='libx264', size=(96, 64))
    frames = Pictures(str(path), 32)
    assert [made.colour_of(frame) for frame in frames.at([2.5, 7.5])] == [0, 1]
    assert [made.colour_of(frame) for frame in frames.at([12.5, 17.5])] == [2, 3]
    assert [made.colour_of(frame) for frame in frames.at([22.5, 99.0])] == [0, 0]
    frames.close()


def test_a_stream_that_appears_midway_does_not_end_the_pictures(tmp_path):
    path = made.video(tmp_path / 'a.ts', 0, 6, codec='mpeg2video', fps=25)
    other = {'mpegts_start_pid': '512', 'mpegts_pmt_start_pid': '4352'}
    made.video(tmp_path / 'b.ts', 6, 0, options=other)
    path.write_bytes(path.read_bytes() + (tmp_path / 'b.ts').read_bytes())
    assert [made.colour_of(frame) for frame in Pictures(str(path), 32).at([2.5, 99.0])] == [0, 1]
