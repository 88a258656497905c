"""Videos with labels: a list, sound and vision features, average precision, and a map."""

import csv
import xml.etree.ElementTree

import keras
import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from sklearn.svm import LinearSVC

from soundnet_tf.demo import eye, world
from soundnet_tf.demo.stage import Scene
from soundnet_tf.errors import SoundNetError, UnknownLayer
from soundnet_tf.evaluation.embedders.mfcc import Mfcc
from soundnet_tf.multimodal import picture, precision, video_features, videos
from soundnet_tf.multimodal.videos import Video, Videos


@pytest.fixture(scope='module')
def listed(tmp_path_factory):
    """Two kinds in two folds, a video each, and one with both."""
    top = tmp_path_factory.mktemp('videos')
    rows = []
    for index, (kind, other, fold) in enumerate(
        [('siren', None, 1), ('rain', None, 1), ('siren', 'rain', 2), ('rain', None, 2), ('siren', None, 2)]
    ):
        scene = Scene(f'v{index}', kind, other, 100 + index)
        world.write_video(scene, top / f'{scene.id}.mp4', seconds=6.0)
        rows.append([f'{scene.id}.mp4', ';'.join(filter(None, (kind, other))), fold])
    with (top / 'list.csv').open('w', newline='') as file:
        csv.writer(file).writerows([['path', 'labels', 'fold'], *rows])
    return top / 'list.csv'


def test_a_list(listed):
    found = videos.load(listed)
    assert (found.name, found.classes, found.folds) == ('list', ('rain', 'siren'), (1, 2))
    assert found.truth.tolist() == [[False, True], [True, False], [True, True], [True, False], [False, True]]
    assert found.fold_of().tolist() == [1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('path,labels,fold\nv0.mp4,a,1\nv1.mp4,a,1\n', 'at least 2 folds needed, got 1'),
        ('path,labels,fold\nv0.mp4,a,1\nv1.mp4,b,2\n', "all of 'a' are in fold 1"),
        ('path,labels,fold\nv0.mp4,a,1\nv0.mp4,a,2\n', r'v0\.mp4 is listed twice\. List each video once'),
        ('path,labels,fold\nv0.mp4,a,1\nv1.mp4,a,2\n', "all videos outside fold 1 have the label 'a'"),
        ('path,labels,fold\nv9.mp4,a,1\n', r'line 2: no such file: .*v9\.mp4'),
        ('path,labels,fold\nv0.mp4,a,one\n', "line 2: fold must be a whole number, got 'one'"),
    ],
)
def test_list_errors_are_reported(listed, text, words):
    wrong = listed.with_name('wrong.csv')
    wrong.write_text(text)
    with pytest.raises(SoundNetError, match=words):
        videos.load(wrong)


def test_each_video_has_sound_and_vision_features(listed, tmp_path):
    found, net = videos.load(listed), eye.build()
    net.save(tmp_path / 'eye.keras')
    sight = video_features.VisionModel(str(tmp_path / 'eye.keras'), eye.PENULTIMATE)
    heard, seen = video_features.embed(found, Mfcc(), sight)
    assert (heard.shape, seen.shape) == ((5, 80), (5, 128))
    # The layer before the names, in inference, is the input of dropout and so its output: the default is the same.
    np.testing.assert_array_equal(
        video_features.VisionModel(str(tmp_path / 'eye.keras')).embed(_frames()), sight.embed(_frames())
    )
    # By hand: the network up to there, on each frame.
    part = keras.Model(net.input, net.get_layer(eye.PENULTIMATE).output)
    own = np.mean([np.asarray(part(frame[None].astype(np.float32)))[0] for frame in _frames()], axis=0)
    np.testing.assert_allclose(sight.embed(_frames()), own, rtol=1e-4, atol=1e-5)
    with pytest.raises(UnknownLayer, match=r"no layer 'fc2'; its last layers are "):
        video_features.VisionModel(str(tmp_path / 'eye.keras'), 'fc2')
    keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalMaxPooling2D()]).save(tmp_path / 'any.keras')
    with pytest.raises(SoundNetError, match=r'any\.keras: input shape must be .*, got \(None, None, None, 3\)'):
        video_features.VisionModel(str(tmp_path / 'any.keras'))
    with pytest.raises(SoundNetError, match='no such file'):
        video_features.VisionModel('nowhere.keras')


def _frames():
    return world.labelled_frames(3, 0)[0]


def test_a_video_without_sound_is_reported(listed, tmp_path):
    bad = tmp_path / 'bad.mp4'
    bad.write_text('dear sir')
    net = tmp_path / 'eye.keras'
    eye.build().save(net)
    one = Videos('x', ('a', 'b'), (Video(str(bad), ('a',), 1),))
    with pytest.raises(SoundNetError, match=r'bad\.mp4: damaged.*Fix it, or remove it from the list'):
        video_features.embed(one, Mfcc(), video_features.VisionModel(str(net)))


@pytest.fixture(scope='module')
def many():
    """120 videos of 3 classes that may come together; each sense tells of two of them."""
    rng = np.random.default_rng(0)
    truth = rng.random([120, 3]) < 0.4
    made = Videos(
        'many', ('a', 'b', 'c'),
        tuple(Video(f'{k}', tuple(np.array(['a', 'b', 'c'])[row]), k % 4 + 1) for k, row in enumerate(truth)),
    )  # fmt: skip
    sound, vision = (rng.normal(size=[120, 10]).astype(np.float32) for _ in range(2))
    sound[:, :2] += 2.5 * truth[:, :2]
    vision[:, :2] += 2.5 * truth[:, 1:]
    return made, {'sound': sound, 'vision': vision}


def test_sound_and_vision_together_are_better_than_either(many):
    made, vectors = many
    sound, vision, both = (
        precision.precision(made, vectors, names) for names in (['sound'], ['vision'], ['sound', 'vision'])
    )
    assert both.mean > max(sound.mean, vision.mean) > 0.5
    assert sound.values[2] < sound.values[0]
    assert vision.values[0] < vision.values[2]
    assert both.to_dict()['average_precision']['b'] == both.values[1]


def test_precision_matches_svms_that_were_not_trained_on_the_fold(many):
    made, vectors = many
    found = precision.precision(made, vectors, ['sound'])
    by_hand = []
    for fold in made.folds:
        learn = made.fold_of() != fold
        own = vectors['sound'].astype(float)
        own = (own - own[learn].mean(axis=0)) / own[learn].std(axis=0) * np.sqrt(100 / own.shape[1])
        machine = LinearSVC(C=0.01, dual='auto', random_state=0, max_iter=10_000).fit(own[learn], made.truth[learn, 0])
        by_hand.append(average_precision_score(made.truth[~learn, 0], machine.decision_function(own[~learn])))
    assert found.values[0] == pytest.approx(np.mean(by_hand), rel=1e-6)
    # Average precision by its own words: the mean precision at each video that is of the class.
    scores, about = np.array([0.9, 0.8, 0.7, 0.1]), np.array([1, 0, 1, 0])
    assert average_precision_score(about, scores) == pytest.approx((1 / 1 + 2 / 3) / 2)


def test_maps_side_by_side():
    places = np.random.default_rng(0).uniform(size=[60, 2]).astype(np.float32)
    drawn = xml.etree.ElementTree.fromstring(picture.draw({'heard & seen': places}, ['<a>', 'b'] * 30))
    circles = drawn.findall('{http://www.w3.org/2000/svg}circle')
    assert len(circles) == 60 + 2
    assert len({circle.get('fill') for circle in circles}) == 2
