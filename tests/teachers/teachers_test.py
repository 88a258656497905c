import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import keras
import numpy as np
import pytest
import tensorflow as tf

from soundnet_tf import teachers
from soundnet_tf.errors import SoundNetError
from soundnet_tf.teachers import Teacher, View, centre, network_teacher, networks, tidy

SIZE, CLASSES = 16, 5


def network(activation='softmax', classes=CLASSES, batch=None):
    """A net that takes 0..255; its weights are the same each time."""
    inputs = keras.Input([SIZE, SIZE, 3], batch_size=batch)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(6, 3, strides=2, activation='relu', name='conv')(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    net = keras.Model(inputs, keras.layers.Dense(classes, activation=activation)(x))
    rng = np.random.default_rng(0)
    net.set_weights([rng.normal(0, 1.5, weight.shape) for weight in net.get_weights()])
    return net


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """One network in every form it can be given in."""
    home = tmp_path_factory.mktemp('teachers')
    net = network()
    net.save(home / 'net.keras')
    net.export(home / 'saved', verbose=False)
    (home / 'net.tflite').write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(home / 'saved')).convert())
    for kind in (tf.uint8, tf.int8):
        converter = tf.lite.TFLiteConverter.from_saved_model(str(home / 'saved'))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [np.random.default_rng(i).uniform(0, 255, [1, SIZE, SIZE, 3]).astype(np.float32)] for i in range(20)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = kind
        (home / f'{kind.name}.tflite').write_bytes(converter.convert())
    network('linear').save(home / 'logits.keras')
    network(batch=1).export(home / 'single', verbose=False)
    (home / 'single.tflite').write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(home / 'single')).convert())
    network(classes=365).save(home / 'scenes.keras')
    (home / 'five.txt').write_text('a\nb\nc\nd\ne\n')
    (home / 'four.txt').write_text('\ufeffb\r\nc\r\nd\r\ne\r\n')
    (home / 'background.txt').write_text('background\nb\nc\nd\ne\n')
    (home / 'scenes.txt').write_text('\n'.join(f'scene {i}' for i in range(365)))
    (home / 'latin.txt').write_bytes('größe\n'.encode('latin-1'))
    (home / 'text.tflite').write_text('dear sir')
    (home / 'text.keras').write_text('dear sir')
    return home


@pytest.fixture
def inside(home, monkeypatch):
    monkeypatch.chdir(home)
    return home


@pytest.fixture(scope='module')
def frames():
    """Three videos of 2, 0 and 3 frames of 18 by 25 pixels."""
    rng = np.random.default_rng(1)
    tints = [[rng.integers(20, 236, 3) for _ in range(count)] for count in (2, 0, 3)]
    return [[(tint + rng.integers(-20, 20, [18, 25, 3])).astype(np.uint8) for tint in video] for video in tints]


def look(teacher, frames):
    return teacher.look([View(id, tuple(video)) for id, video in zip('abc', frames, strict=True)])


@pytest.mark.parametrize(
    ('where', 'tolerance'),
    [
        ('net.tflite', 1e-5),
        ('saved', 1e-5),
        ('single', 1e-5),
        ('single.tflite', 1e-5),
        ('uint8.tflite', 0.06),
        ('int8.tflite', 0.06),
    ],
)
def test_one_network_in_all_forms_says_the_same(inside, frames, where, tolerance):
    plain, twin = teachers.parse('net=net.keras'), teachers.parse(f'net={where}')
    expected, values = look(plain, frames), look(twin, frames)
    assert [rows.shape for rows in values] == [(2, CLASSES), (0, CLASSES), (3, CLASSES)]
    for one, other in zip(expected, values, strict=True):
        np.testing.assert_allclose(other, one, atol=tolerance)
        assert other.dtype == np.float32
    assert np.ptp(np.concatenate(expected), axis=0).max() > 0.01, 'frames that look alike prove nothing'
    assert twin.kind == plain.kind == 'probabilities'
    assert twin.side == plain.side == 18
    assert twin.labels == tuple(f'class {index}' for index in range(CLASSES))


def test_frames_go_through_as_they_are(inside, frames):
    """Cropped to the middle, in RGB, 0..255."""
    direct = network()(np.stack([frame[1:17, 4:20] for frame in frames[0]]).astype(np.float32))
    np.testing.assert_allclose(look(teachers.parse('net=net.keras'), frames)[0], direct, atol=1e-5)


def test_together_as_one_by_one(inside, frames):
    teacher = teachers.parse('net=net.tflite')
    together = look(teacher, frames)[2]
    for frame, row in zip(frames[2], together, strict=True):
        np.testing.assert_allclose(teacher.look([View('c', (frame,))])[0][0], row, atol=1e-5)


def test_a_file_that_would_mix_pictures_up_gets_them_singly():
    """Frozen to a batch of one by a reshape: more pictures at once come out as one row."""

    class Frozen:
        def __init__(self, path):
            pass

        def __call__(self, pictures):
            return np.zeros([1, 5 * len(pictures)], np.float32)

    pictures = np.zeros([2, SIZE, SIZE, 3], np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, '_Lite', Frozen)
        assert not networks._takes_batches('', pictures, lambda pictures: np.zeros([2, 5], np.float32))


def test_logits_and_probabilities_are_distinguished(inside, frames):
    logits = teachers.parse('net=logits.keras')
    assert logits.kind == 'logits'
    rows, probabilities = look(logits, frames)[0], look(teachers.parse('net=net.keras'), frames)[0]
    np.testing.assert_allclose(tf.nn.softmax(rows), probabilities, atol=1e-5)
    assert teachers.parse('net=net.keras,kind=logits').kind == 'logits'
    quiet = network_teacher('many', lambda frames: np.zeros([len(frames), 1001], np.float32), SIZE)
    assert quiet.kind == 'probabilities', 'a quantised network may round all its classes to zero'


def test_background_is_dropped(inside, frames):
    whole = look(teachers.parse('net=net.keras,labels=five.txt'), frames)[0]
    for options in ('labels=background.txt', 'labels=four.txt,drop=0', 'labels=five.txt,drop=0'):
        teacher = teachers.parse(f'net=net.keras,{options}')
        assert teacher.labels == ('b', 'c', 'd', 'e')
        rest = look(teacher, frames)[0]
        np.testing.assert_allclose(rest, whole[:, 1:] / whole[:, 1:].sum(axis=1, keepdims=True), atol=1e-6)
    last = teachers.parse('net=net.keras,labels=five.txt,drop=4')
    assert last.labels == ('a', 'b', 'c', 'd')
    logits = teachers.parse('net=logits.keras,labels=background.txt')
    np.testing.assert_allclose(
        look(logits, frames)[0], look(teachers.parse('net=logits.keras'), frames)[0][:, 1:], rtol=1e-6
    )


def test_labels_for_each_class_of_the_teacher(inside, frames):
    teacher = teachers.parse('places=scenes.keras,labels=scenes.txt')
    assert teacher.labels[364] == 'scene 364'
    assert look(teacher, frames)[0].shape == (2, 365)
    shipped = network_teacher('places', lambda frames: np.full([len(frames), 401], 1 / 401, np.float32), SIZE)
    assert len(shipped.labels) == 401
    assert not shipped.labels[0].startswith('class')


@pytest.mark.parametrize(
    ('scale', 'expected'), [('0..1', [200, 100, 50]), ('-1..1', None), ('caffe', None), ('0..255', None)]
)
def test_scales(scale, expected):
    pixel = np.array([[[[200, 100, 50]]]], np.float32)
    wanted = {
        '0..255': [200, 100, 50],
        '0..1': [200 / 255, 100 / 255, 50 / 255],
        '-1..1': [200 / 127.5 - 1, 100 / 127.5 - 1, 50 / 127.5 - 1],
        'caffe': [50 - 103.939, 100 - 116.779, 200 - 123.68],
    }[scale]
    np.testing.assert_allclose(networks.SCALES[scale](pixel)[0, 0, 0], wanted, rtol=1e-5)


def test_a_quantised_network_with_a_specified_scale(inside, frames):
    """0..255 said aloud goes through the file's own quantisation: the same but for rounding."""
    default, specified = teachers.parse('net=uint8.tflite'), teachers.parse('net=uint8.tflite,scale=0..255')
    np.testing.assert_allclose(look(default, frames)[0], look(specified, frames)[0], atol=0.02)


def test_the_crop(inside):
    teacher = teachers.parse('net=net.keras,crop=0.5')
    assert teacher.side == 32
    assert teachers.parse('net=net.keras,crop=1').side == 16


def test_centre():
    frame = np.zeros([20, 30, 3], np.uint8)
    frame[6:14, 11:19] = 255
    assert centre(frame, 20, 4).min() == 255
    assert centre(frame, 20, 20).shape == (20, 20, 3)
    # A smaller teacher beside a larger one gets the same view, made smaller.
    small = centre(frame, 10, 4)
    assert small.shape == (4, 4, 3)
    assert small[1:3, 1:3].min() > 200
    assert small[0, 0].max() < 200
    assert not centre(frame, 10, 10)[[0, -1]].any()
    for shape in ([7, 301, 3], [1, 1, 3], [301, 7, 3]):
        assert centre(np.full(shape, 9, np.uint8), 18, 16) == pytest.approx(np.full([16, 16, 3], 9))


def test_tidy():
    values = np.array([[0.5, 0.25, 0.3], [0, 0, 0]], np.float32)
    np.testing.assert_allclose(tidy(values, 'probabilities', 0), [[5 / 11, 6 / 11], [0.5, 0.5]], rtol=1e-6)
    np.testing.assert_array_equal(tidy(values, 'logits', 2), values[:, :2])


def test_nan_from_a_teacher_fails_one_video(frames):
    def run(pictures):
        values = np.full([len(pictures), 2], 0.5, np.float32)
        values[1:2] = np.nan if len(pictures) == 5 else 0.5
        return values

    values = look(network_teacher('net', run, SIZE), frames)
    assert values[0] == 'the teacher returned NaN'
    assert values[2].shape == (3, 2)


def test_no_frames_at_all():
    teacher = network_teacher('net', lambda pictures: np.full([len(pictures), 2], 0.5, np.float32), SIZE)
    assert teacher.look([View('a')]) == ['no frames']


def test_the_source_identifies_the_network(inside, tmp_path):
    source = teachers.parse('net=net.keras,labels=five.txt').source
    assert source.startswith('net.keras (sha256 ')
    assert teachers.parse(f'net={inside}/net.keras').source == source
    assert teachers.parse('net=net.keras,crop=0.5').source == f'{source}, crop 0.5'
    (tmp_path / 'net.keras').write_bytes((inside / 'logits.keras').read_bytes())
    assert teachers.parse(f'net={tmp_path}/net.keras').source != source
    assert teachers.parse('net=saved').source.startswith('saved (sha256 ')


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('net.tflite', "teacher 'net.tflite': invalid. Use NAME=WHERE, such as imagenet=mobilenet.tflite"),
        ('=net.tflite', 'Use NAME=WHERE'),
        ('my-net=net.tflite', 'Use NAME=WHERE'),
        ('net=', 'Use NAME=WHERE'),
        ('net=/dev/null', '^teacher net: /dev/null is a device. Use a file or a folder$'),
        ('net=nowhere.tflite', 'teacher net: no such file or folder nowhere.tflite'),
        ('net=net.keras,lables=x', "teacher net: invalid option 'lables=x' of net.keras. Use labels=..., scale="),
        ('net=net.keras,labels', "invalid option 'labels'"),
        ('net=net.keras,weights=x', "invalid option 'weights=x' of net.keras"),
        ('net=keras:VGG16,scale=0..1', "invalid option 'scale=0..1' of keras:VGG16"),
        ('net=net.keras,kind=odds', "invalid kind 'odds'. Use probabilities or logits"),
        ('net=net.keras,scale=255', r"invalid scale '255'. Use 0\.\.255, 0\.\.1, -1\.\.1, caffe"),
        ('net=net.keras,crop=2', "invalid crop '2'. Use a number from 0.1 to 1"),
        ('net=net.keras,crop=half', "invalid crop 'half'. Use a number from 0.1 to 1"),
        ('net=net.keras,drop=5', "invalid drop '5'. Use a number from 0 to 4"),
        ('net=net.keras,labels=none.txt', r'none.txt: cannot be read \(No such file or directory\)\. Use labels=FILE'),
        ('net=net.keras,labels=latin.txt', r'latin.txt: cannot be read \(not text in UTF-8: byte 2 is 0xf6\)'),
        ('net=net.keras,labels=four.txt', 'has 5 classes, but four.txt has 4 names. Use drop=0 to drop the first'),
        ('net=net.keras,labels=scenes.txt', 'has 5 classes, but scenes.txt has 365 names. Use a file with one name'),
        ('net=text.tflite', 'teacher net: text.tflite cannot be used'),
        ('net=text.keras', 'teacher net: text.keras cannot be used'),
        ('net=keras:Vgg', "keras.applications has no 'Vgg'. Use VGG16, as in the paper"),
        ('net=keras:vgg16', "keras.applications has no 'vgg16'"),
        ('net=keras:MobileNetV3Small,weights=none.h5', 'no file none.h5 with the weights of MobileNetV3Small'),
        ('net=empty', 'empty has neither a SavedModel nor posteriors ID.npy'),
    ],
)  # fmt: skip
def test_mistakes_are_reported(inside, text, words):
    (inside / 'empty').mkdir(exist_ok=True)
    with pytest.raises(SoundNetError, match=words) as caught:
        teachers.parse(text)
    assert '\n' not in str(caught.value)


def test_networks_of_other_shapes(inside):
    for name, shape, outputs in (('wide', [16, 32, 3], 2), ('grey', [16, 16, 1], 2), ('free', [None, None, 3], 2)):
        inputs = keras.Input(shape)
        x = keras.layers.GlobalAveragePooling2D()(inputs)
        keras.Model(inputs, keras.layers.Dense(outputs)(x)).save(inside / f'{name}.keras')
        with pytest.raises(SoundNetError, match=rf'{name}.keras cannot be used \(its input is .*, not \[n, size, size'):
            teachers.parse(f'net={name}.keras')
    inputs = keras.Input([16, 16, 3])
    keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs)).save(inside / 'map.keras')
    with pytest.raises(SoundNetError, match=r'returns \[1, 14, 14, 2\] for a frame, not \[1, classes\]'):
        teachers.parse('net=map.keras')
    keras.Model(inputs, [inputs, inputs]).save(inside / 'two.keras')
    with pytest.raises(SoundNetError, match=r'two.keras cannot be used \(it has several inputs or outputs'):
        teachers.parse('net=two.keras')


def test_a_keras_application(tmp_path, frames, monkeypatch):
    """With weights from a local file, and its own preprocessing. Small, under the name of a real one."""

    def small(weights, classes):
        net = network(classes=classes)
        net.load_weights(weights)
        return net

    small.__module__ = keras.applications.MobileNetV2.__module__
    monkeypatch.setattr(keras.applications, 'MobileNetV2', small)
    network().save_weights(tmp_path / 'm.weights.h5')
    (tmp_path / 'five.txt').write_text('a\nb\nc\nd\ne\n')
    teacher = teachers.parse(f'net=keras:MobileNetV2,weights={tmp_path}/m.weights.h5,labels={tmp_path}/five.txt')
    assert teacher.labels == ('a', 'b', 'c', 'd', 'e')
    assert teacher.source.startswith('keras:MobileNetV2, weights m.weights.h5 (sha256 ')
    pictures = np.stack([frame[1:17, 4:20] for frame in frames[0]]).astype(np.float32)
    np.testing.assert_allclose(look(teacher, frames)[0], network()(pictures / 127.5 - 1), atol=1e-5)


@pytest.mark.slow
def test_a_real_keras_application(tmp_path, frames):
    keras.utils.set_random_seed(0)
    net = keras.applications.MobileNetV3Small(weights=None, classes=7)
    net.save_weights(tmp_path / 'm.weights.h5')
    (tmp_path / 'seven.txt').write_text('\n'.join('abcdefg'))
    teacher = teachers.parse(f'net=keras:MobileNetV3Small,weights={tmp_path}/m.weights.h5,labels={tmp_path}/seven.txt')
    assert (teacher.side, teacher.kind, len(teacher.labels)) == (256, 'probabilities', 7)
    values = look(teacher, frames)[2]
    pictures = np.stack([centre(frame, 256, 224) for frame in frames[2]])
    np.testing.assert_allclose(values, net.predict_on_batch(pictures), atol=1e-5)


def test_all_teachers_keep_the_protocol(inside, tmp_path):
    def name_of(teacher: Teacher) -> str:
        return teacher.name

    assert name_of(teachers.parse('net=net.keras')) == 'net'
    np.save(tmp_path / 'a.npy', np.full([1, 3], 1 / 3))
    assert name_of(teachers.parse(f'places={tmp_path}')) == 'places'
