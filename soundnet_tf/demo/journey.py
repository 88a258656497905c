"""The demo: generate videos, train an eye on pictures, train an ear on the eye's predictions, and evaluate the ear.

It uses the same records, training loop and saved net as a user's own videos. Steps that an earlier run finished are
skipped.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

from soundnet_tf import storage, teachers
from soundnet_tf.config import Experiment, Training
from soundnet_tf.demo import ear, eye, portrait, report, shipped, world
from soundnet_tf.demo.report import Outcome
from soundnet_tf.demo.stage import KINDS, Scene, scenes
from soundnet_tf.errors import SoundNetError
from soundnet_tf.export import tflite
from soundnet_tf.nets import model, saved
from soundnet_tf.prepare import local, manifest, stages
from soundnet_tf.training import trainer

SECONDS = 10.0
"""Length of each video: two frames, and two steps of the 5-layer net's head."""

HEAD = 'eye'
STORY = 'story.json'


@dataclasses.dataclass(frozen=True)
class Scale:
    """Size of the data and of the training; the default takes under six minutes on two cores."""

    videos: int = 600
    held_out: int = 160
    pictures: int = 3000
    epochs: int = 10
    steps: int = 400
    batch: int = 16
    width: float = 0.25
    learning_rate: float = 1e-3
    seed: int = 0
    shuffled: bool = False
    """Control experiment: train on pictures paired with the sound of another video, so there is nothing to learn."""


def run(out: str, scale: Scale | None = None) -> Outcome:
    """Run all steps in the folder `out` and write a report there."""
    scale, folder = scale or Scale(), pathlib.Path(out)
    ear.require()
    clock = _Clock()
    _agree(folder, scale)
    learned, held_out = scenes(scale.videos, 2 * scale.seed + 1), scenes(scale.held_out, 2 * scale.seed + 2)
    with clock('generate videos: picture and sound show the same kind of object'):
        sounds = _others(learned) if scale.shuffled else learned
        world.write_world(folder / 'videos' / 'learned', learned, SECONDS, sounds)
        world.write_world(folder / 'videos' / 'held_out', held_out, SECONDS)
    with clock('train the eye on labelled pictures, without any sound'):
        if not (folder / 'eye.keras').exists():
            pictures, kinds = world.labelled_frames(scale.pictures, 2 * scale.seed + 3)
            right = eye.learn(folder / 'eye.keras', pictures, kinds, scale.epochs, scale.seed)
            print(f'accuracy on held-out pictures: {right:.0%}')
    with clock('write records: the sound, and the predictions of the eye for the frames'):
        storage.write_text(folder / 'kinds.txt', '\n'.join(KINDS) + '\n')
        seeing = teachers.parse(f'{HEAD}={folder / "eye.keras"},labels={folder / "kinds.txt"},crop=1')
        settings = stages.Settings(clip_s=SECONDS)
        for part in ('learned', 'held_out'):
            videos = manifest.videos([str(folder / 'videos' / part)])
            print(local.run(videos, [seeing], folder / 'records' / part, settings))
    with clock('train the ear on the predictions of the eye: it hears the sound and never sees a label'):
        config = Training(
            steps=scale.steps,
            batch=scale.batch,
            clip_s=SECONDS,
            learning_rate=scale.learning_rate,
            seed=scale.seed,
        )
        experiment = Experiment('demo', 'an ear learns from an eye', 'soundnet5', scale.width, config)
        net_folder = trainer.train(folder / 'records' / 'learned', experiment, folder / 'run').net
        if not (net_folder / saved.TFLITE).exists():
            tflite.add_tflite(net_folder)
    with clock('evaluate the ear on held-out videos'):
        net = saved.load_net(net_folder)
        train, test = _listen(net, folder, learned, held_out)
        untrained = _listen(model.build(net.spec), folder, learned, held_out)
    with clock('visualize the ear: its filters, its units, a map of the videos'):
        hears = portrait.draw(folder, net_folder, folder / 'run', test, held_out)
    with clock('tag the videos with a released net, which was trained on real sounds only'):
        by_shipped = shipped.listen(folder / 'videos' / 'held_out', held_out)
    with clock('tag real clips with the original net, which was trained on two million videos'):
        by_original = shipped.original()
    outcome = Outcome(
        eye_right=test.eye_right,
        agreement=test.agreement,
        ear_right=test.ear_right,
        svm_trained=ear.svm_accuracy(train, test),
        svm_untrained=ear.svm_accuracy(*untrained),
        chance=1 / len(KINDS),
        net=net_folder,
        report=folder / 'report.html',
        hears=hears,
        shipped=by_shipped,
        original=by_original,
    )
    prefix = _prefix()
    command, said = _tag(prefix, net_folder, folder / 'videos' / 'held_out' / f'{_clear(test)}')
    about = report.Story(outcome, test, folder, len(learned), scale.shuffled, clock.seconds, prefix, command, said)
    report.write_html(about, outcome.report)
    print(report.text(about))
    return outcome


class _Clock:
    """Prints each step as it starts and records how long it takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        print(f'\n{len(self.seconds) + 1}. {step[0].upper()}{step[1:]}', flush=True)
        began = time.perf_counter()
        yield
        self.seconds[step] = time.perf_counter() - began


def _listen(
    net: model.SoundNet, folder: pathlib.Path, learned: list[Scene], held_out: list[Scene]
) -> tuple[ear.Predictions, ear.Predictions]:
    records = folder / 'records'
    return (
        ear.listen(net, records / 'learned', learned, SECONDS),
        ear.listen(net, records / 'held_out', held_out, SECONDS),
    )


def _others(learned: list[Scene]) -> list[Scene]:
    """A random other scene for each scene, so its sound carries no information about the picture."""
    order = np.random.default_rng(0).permutation(len(learned))
    partner = dict(zip(order, np.roll(order, 1), strict=True))
    return [learned[partner[index]] for index in range(len(learned))]


def _clear(test: ear.Predictions) -> str:
    """The held-out video with the ear's highest confidence where eye and ear agree; any if there is none."""
    confidence = test.ear.max(-1) * (test.ear.argmax(-1) == test.eye.argmax(-1))
    return test.ids[int(confidence.argmax())]


def _prefix() -> str:
    if shutil.which('soundnet-tag'):
        return ''
    return f'{os.path.relpath(pathlib.Path(sys.executable).parent)}/'


def _tag(prefix: str, net: pathlib.Path, clip: pathlib.Path) -> tuple[str, str]:
    """The command that a user would type, and its output."""
    arguments = [f'--model={net}', '--top=3', str(clip)]
    done = subprocess.run([sys.executable, '-m', 'soundnet_tf.bin.tag', *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SoundNetError(f'{clip}: soundnet-tag failed: {done.stderr.strip()}')
    return f'{prefix}soundnet-tag {" ".join(arguments)}', done.stdout.rstrip()


def _agree(folder: pathlib.Path, scale: Scale) -> None:
    """Start a new folder, or resume a demo with the same settings and reuse its finished steps."""
    storage.begin(folder / STORY, dataclasses.asdict(scale))
