"""What each departure from the paper's training gives on a dataset, by how often held-out clips agree with the teacher.

    python benchmarks/knobs.py [records, by default demo-run/records/learned] [steps]

A thin 5-layer net, half of the steps of the demo; two seeds. What each costs: train_step.py.
"""

import csv
import dataclasses
import os
import statistics
import sys
import tempfile

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

from soundnet_tf import config
from soundnet_tf.config import Experiment, Training
from soundnet_tf.training import trainer

PLAIN = Experiment('knobs', '', 'soundnet5', 0.25, Training(batch=16, clip_s=10.0, held_out=2, validate_every=25))
KNOBS = [
    [],
    ['loss=l2'],
    ['reduction=torch'],
    ['pairing=time'],
    ['temperature=2'],
    ['clip_norm=1'],
    ['schedule=cosine', 'warmup_steps=20'],
    ['ema=0.95'],
    ['gain_db=6'],
    ['clip_s=5', 'crop=true'],
    ['precision=bfloat16'],
]


def agreement(records, settings, seed):
    """With the teacher, on held-out clips: at the last step, and at the best."""
    training_ = dataclasses.replace(PLAIN.training, seed=seed)
    experiment = config.override(dataclasses.replace(PLAIN, training=training_), settings)
    with tempfile.TemporaryDirectory() as run:
        trainer.train(records, experiment, f'{run}/run')
        with open(f'{run}/run/validation.csv', newline='') as file:
            rows = list(csv.DictReader(file))
    (head,) = [key for key in rows[0] if key.startswith('top1/')]
    best = min(rows, key=lambda row: float(row['loss']))
    return float(rows[-1][head]), float(best[head])


def main():
    records = sys.argv[1] if len(sys.argv) > 1 else 'demo-run/records/learned'
    steps = sys.argv[2] if len(sys.argv) > 2 else '200'
    print('| | agreement at the last step | of the best kept |\n|---|---|---|')
    for settings in KNOBS:
        found = [agreement(records, [*settings, f'steps={steps}'], seed) for seed in (0, 1)]
        last, best = (statistics.mean(values) for values in zip(*found, strict=True))
        print(f'| {" ".join(settings) or "as the paper"} | {last:.1%} | {best:.1%} |', flush=True)


if __name__ == '__main__':
    main()
