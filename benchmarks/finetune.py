"""Learning from labels: training crops a second by what is done to them, and clips judged a second.

python benchmarks/finetune.py
"""

import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable

import numpy as np

from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.datasets import DataSet, LabelledClip
from soundnet_tf.experiments.recipes import RECIPES
from soundnet_tf.finetune import loudness, step, student, waveforms
from soundnet_tf.finetune.augment import Crops
from soundnet_tf.nets import precisions
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8
from soundnet_tf.testing import noise

CLIPS, SECONDS, TURNS = 96, 5, 9
SCRATCH = RECIPES['from_scratch']
PLAIN = dataclasses.replace(SCRATCH, stretch=1.0, filter_db=0.0)
FORMS = {
    'from_scratch': SCRATCH,
    'the same in bfloat16': dataclasses.replace(SCRATCH, precision='bfloat16'),
    'mixed': dataclasses.replace(SCRATCH, mix=True),
    'without stretching and filters': PLAIN,
    'frozen': dataclasses.replace(PLAIN, freeze='all'),
}
try:
    precisions.require('bfloat16', ['bfloat16'])
except SoundNetError as error:
    print(error)
    del FORMS['the same in bfloat16']


def made():
    classes = tuple('abcdefghij')
    dataset = DataSet('made', classes, tuple(LabelledClip(str(k), classes[k % 10]) for k in range(CLIPS)))
    waveform = noise(SECONDS)
    samples = np.tile(waveforms.to_int16(waveform), CLIPS)
    ends = [len(waveform) * (k + 1) for k in range(CLIPS)]
    return dataset, waveforms.Sounds(samples, ends, [loudness.powers(waveform)] * CLIPS)


def rates(works):
    """Items a second of each (work, items), by the median of turns that they take: so all meet the same noise."""
    for work, _ in works:
        work()
    took = [[] for _ in works]
    for _ in range(TURNS):
        for (work, _), own in zip(works, took, strict=True):
            began = time.perf_counter()
            work()
            own.append(time.perf_counter() - began)
    return [items / statistics.median(own) for (_, items), own in zip(works, took, strict=True)]


def learner(recipe, spec, dataset, clips):
    """One more step of learning each time it is called."""
    crops = Crops(recipe, clips, range(CLIPS), dataset.targets, 10, 0)
    state = step.make_state(student.build(spec, dataset, None), recipe)
    run = step.make_step(state, recipe, crops, 0)
    batches = (batch for epoch in itertools.count() for batch in crops.epoch(epoch))

    def learn():
        run(next(batches), 1e-3)
        state.sums.numpy()

    return learn


def main():
    dataset, clips = made()
    names = [*FORMS, 'judged, whole']
    print(f'| net | {" | ".join(names)} |\n|---|{"---|" * len(names)}')
    for base in (SOUNDNET8, SOUNDNET5):
        spec = student.spec_for(base, dataset, SCRATCH)
        works: list[tuple[Callable[[], object], int]] = [
            (learner(recipe, spec, dataset, clips), recipe.batch) for recipe in FORMS.values()
        ]
        state = step.make_state(student.build(spec, dataset, None), SCRATCH)
        judge = student.Scorer(state.net)
        works.append((lambda judge=judge: judge.scores(clips, range(CLIPS)), CLIPS))
        print(f'| {base.name} | {" | ".join(f"{rate:.0f}" for rate in rates(works))} |', flush=True)
    print(f'\nCrops of {SCRATCH.crop_s:g} s in batches of {SCRATCH.batch}; clips of {SECONDS} s; all a second.')


if __name__ == '__main__':
    main()
