import dataclasses
import os

import av
import numpy as np
import pytest

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import MissingTool
from soundnet_tf.prepare import media, pictures, sound
from tests.prepare import made


@dataclasses.dataclass
class Taken:
    waveform: np.ndarray
    frames: tuple
    frame_times: tuple


def take(path, clip_s=20.0, every=5.0, side=32, **options):
    """The first clip of a video."""
    with media.reading(str(path)):
        waveform = next(sound.waveforms(str(path), round(clip_s * SAMPLE_RATE), **options))
        times = pictures.unit_middles(len(waveform) / SAMPLE_RATE, every)
        return Taken(waveform, pictures.Pictures(str(path), side).at(times), times)


def colours(taken):
    return [made.colour_of(frame) for frame in taken.frames]


def heard(taken, expected, tolerance=4):
    """The sound is where it belongs, within so many samples, and itself."""
    late, alike = made.shift(taken.waveform, expected)
    assert abs(late) <= tolerance
    assert alike > 0.98


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        ('a.mp4', {}),
        ('h264.mp4', {'codec': 'libx264'}),
        ('mono_48k.mkv', {'rate': 48_000, 'layout': 'mono'}),
        ('surround.mp4', {'layout': '5.1', 'rate': 48_000}),
        ('pcm.mov', {'sound_codec': 'pcm_s16le'}),
        # B-frames in AVI: frames whose times have to be found out.
        ('b_frames.avi', {'codec': 'libx264', 'sound_codec': 'mp3'}),
        ('vp9.webm', {'codec': 'libvpx-vp9', 'sound_codec': 'libopus', 'rate': 48_000}),
    ],
)
def test_sound_and_frames(tmp_path, name, options):
    taken = take(made.video(tmp_path / name, 18, **options))
    assert taken.frame_times == pytest.approx((2.5, 7.5, 12.5, 16.5), abs=0.1)
    assert colours(taken) == [0, 1, 2, 3]
    assert {frame.shape for frame in taken.frames} == {(32, 43, 3)}
    assert {frame.dtype for frame in taken.frames} == {np.dtype(np.uint8)}
    assert taken.waveform.dtype == np.float32
    assert len(taken.waveform) == pytest.approx(18 * SAMPLE_RATE, abs=1500)
    # LAME's delay is not told by an AVI.
    heard(taken, made.sound(18, SAMPLE_RATE), 1200 if name.endswith('avi') else 4)


def test_the_first_seconds_of_a_long_video(tmp_path):
    taken = take(made.video(tmp_path / 'a.mp4', 12), clip_s=7.0, every=2.0)
    assert len(taken.waveform) == 7 * SAMPLE_RATE
    assert taken.frame_times == (1.0, 3.0, 5.0, 6.5)
    assert colours(taken) == [0, 0, 1, 1]


def test_a_stream_that_does_not_begin_at_zero(tmp_path):
    path = made.video(tmp_path / 'a.ts', 11, codec='libx264', start_s=100.0)
    with av.open(str(path)) as container:
        assert container.start_time > 99e6
    taken = take(path)
    assert colours(taken) == [0, 1]
    # The picture begins up to an AAC frame after the sound.
    heard(taken, made.sound(11, SAMPLE_RATE), 1100)


def test_sound_that_begins_after_the_picture(tmp_path):
    taken = take(made.video(tmp_path / 'a.mkv', 6, picture_s=8, sound_at_s=2.0))
    assert len(taken.waveform) == pytest.approx(8 * SAMPLE_RATE, abs=1500)
    heard(taken, np.pad(made.sound(6, SAMPLE_RATE), (2 * SAMPLE_RATE, 0)), 30)
    assert not taken.waveform[:SAMPLE_RATE].any()
    assert colours(taken) == [0, 1]


def test_a_picture_that_ends_before_the_sound(tmp_path):
    taken = take(made.video(tmp_path / 'a.mp4', 15, picture_s=6))
    assert colours(taken) == [0, 1, 1]


def test_frames_at_uneven_times(tmp_path):
    """Only the frames at 0, 4.75 and 10 s are there: each stays on screen until the next."""
    taken = take(made.video(tmp_path / 'a.mkv', 14, skip=set(range(14 * 4)) - {0, 19, 20, 40}))
    assert taken.frame_times == pytest.approx((2.5, 7.5, 12.0), abs=0.05)
    assert colours(taken) == [0, 1, 2]


@pytest.mark.parametrize('size', [(48, 64), (50, 34), (640, 96), (16, 16)])
def test_sizes(tmp_path, size):
    (frame,) = take(made.video(tmp_path / 'a.mkv', 2, size=size), side=30).frames
    assert min(frame.shape[:2]) == 30
    assert frame.shape[1] / frame.shape[0] == pytest.approx(size[0] / size[1], rel=0.05)


def test_a_rotated_video_is_upright(tmp_path):
    wide = np.zeros([48, 64, 3], np.uint8)
    wide[:24] = made.COLOURS[0]
    path = tmp_path / 'a.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=4)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        track = container.add_stream('aac', rate=44_100, layout='mono')
        for _ in range(8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(wide)))
        container.mux(stream.encode(None))
        frame = av.AudioFrame.from_ndarray(made.sound(2)[None], format='fltp', layout='mono')
        frame.sample_rate = 44_100
        container.mux(track.encode(frame) + track.encode(None))
    data = path.read_bytes()
    # The matrix of the first track's header: a quarter turn clockwise, as telephones write it.
    at = data.index(b'tkhd') + 4 + 40
    matrix = [0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30]
    path.write_bytes(data[:at] + b''.join(n.to_bytes(4, 'big', signed=True) for n in matrix) + data[at + 36 :])
    (frame,) = take(path).frames
    assert frame.shape == (43, 32, 3)
    assert made.colour_of(frame[:, 20:]) == 0
    assert frame[:, :12].mean() < 20


def test_no_frames(tmp_path):
    taken = take(made.video(tmp_path / 'a.mp4', 11, picture_s=0), side=0)
    assert taken.frames == ()
    assert taken.frame_times == pytest.approx((2.5, 7.5), abs=0.01)


def test_which_channel(tmp_path):
    wave = np.stack([made.sound(2), np.zeros(2 * 44_100, np.float32)])
    path = made.video(tmp_path / 'a.mov', wave=wave, sound_codec='pcm_s16le', seconds=2)
    first, mean = take(path), take(path, channel='mean')
    np.testing.assert_allclose(mean.waveform, first.waveform / 2, atol=1e-4)


def test_files_whose_names_look_like_addresses(tmp_path, monkeypatch):
    made.video(tmp_path / '12:30 größe 猫.mp4', 2)
    monkeypatch.chdir(tmp_path)
    assert len(take('12:30 größe 猫.mp4').frames) == 1


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        (lambda path: None, 'missing: No such file or directory'),
        (lambda path: path.mkdir(), 'unreadable: Is a directory'),
        (lambda path: path.touch(), 'damaged: the file is empty'),
        (
            lambda path: path.write_text('dear sir\n' * 50),
            "not a sound file, it begins with the text 'dear",
        ),
        (
            lambda path: path.write_text('ffconcat version 1.0\nfile b.mp4\n'),
            '^refused: a list of other files, not a sound file. Pass those files themselves$',
        ),
        (
            lambda path: path.write_bytes(made.video(path, 8).read_bytes()[: path.stat().st_size // 2]),
            r'damaged: FFmpeg cannot open it \(Invalid data',
        ),
        (lambda path: made.video(path, 0, 3), 'no sound track'),
        (lambda path: made.video(path, 3, 0), 'no picture'),
        (
            lambda path: made.video(path, 2, 99, sound_at_s=70, format='matroska', fps=1),
            r'time stamps jump ahead.*\(70\.',
        ),
        (lambda path: made.video(path, 2, size=(640, 16)), 'no picture: frames of 640 by 16 pixels'),
    ],
)
def test_unusable(tmp_path, make, words):
    make(tmp_path / 'a.mp4')
    with pytest.raises(media.Unusable, match=words):
        take(tmp_path / 'a.mp4', clip_s=6)


def test_a_cover_is_not_a_picture(tmp_path):
    cover = av.CodecContext.create('png', 'w')
    cover.width, cover.height, cover.pix_fmt = 32, 32, 'rgb24'
    (packet,) = cover.encode(av.VideoFrame.from_ndarray(made.picture(0, 1, (32, 32))))
    path = tmp_path / 'song.mp3'
    with av.open(str(path), 'w') as container:
        track = container.add_stream('libmp3lame', rate=44_100, layout='mono')
        frame = av.AudioFrame.from_ndarray(made.sound(2)[None], format='fltp', layout='mono')
        frame.sample_rate = 44_100
        container.mux(track.encode(frame) + track.encode(None))
    # An ID3 tag with the cover.
    body = b'\0image/png\0\3\0' + bytes(packet)
    apic = b'APIC' + len(body).to_bytes(4, 'big') + b'\0\0' + body
    size = bytes(len(apic) >> shift & 127 for shift in (21, 14, 7, 0))
    path.write_bytes(b'ID3\3\0\0' + size + apic + path.read_bytes())
    with av.open(str(path)) as container:
        assert container.streams.video
    with pytest.raises(media.Unusable, match=r'no picture: only sound and a cover\. Use the video'):
        take(path)


def test_read_side_by_side_with_messages_of_damaged_pictures(tmp_path):
    """FFmpeg's messages once waited for the interpreter's lock, and the interpreter for FFmpeg."""
    from concurrent.futures import ThreadPoolExecutor

    data = bytearray(made.video(tmp_path / 'a.mkv', 8, codec='libx264', size=(320, 240)).read_bytes())
    for at in range(len(data) // 3, len(data), 997):
        data[at] ^= 255
    (tmp_path / 'b.mkv').write_bytes(data)

    def attempt(_):
        try:
            return len(take(tmp_path / 'b.mkv').frames)
        except media.Unusable as error:
            return error.reason

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(attempt, range(24)))) == 1


def test_missing_tool(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'av', None)
    with pytest.raises(MissingTool, match="reading videos needs av, which is not installed: pip install 'av'"):
        take(tmp_path / 'a.mp4')


def test_no_permission(tmp_path):
    if os.geteuid() == 0:
        pytest.skip('the superuser may read everything')
    made.video(tmp_path / 'a.mp4', 2).chmod(0)
    with pytest.raises(media.Unusable, match='unreadable: Permission denied'):
        take(tmp_path / 'a.mp4')
