"""The model card, written from model.json: intended use, accuracy, confusions, calibration and untested conditions."""

import collections
import dataclasses
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.evaluation.bootstrap import Interval
from soundnet_tf.evaluation.text_tables import confusion_table
from soundnet_tf.experiments.results import format_mean_std
from soundnet_tf.shipping.calibration import NEVER
from soundnet_tf.spec import NetSpec

NAME = 'MODEL_CARD.md'

MAX_CONFUSIONS = 6
"""Confusions that are listed one by one."""

Facts = Mapping[str, Any]


def write(spec: NetSpec, classes: Sequence[str], facts: Facts) -> str:
    """The card in Markdown."""
    parts = [
        _overview(spec, classes, facts),
        _accuracy(facts),
        _confusions(classes, facts),
        _calibration(facts),
        _robustness(facts),
        _untested(facts),
        _training_data(facts),
    ]
    return '\n\n'.join(part.strip() for part in parts if part) + '\n'


def _paragraph(text: str) -> str:
    return textwrap.fill(' '.join(text.split()), 118, break_long_words=False, break_on_hyphens=False)


def _overview(spec: NetSpec, classes: Sequence[str], facts: Facts) -> str:
    (head,) = spec.heads
    min_s = geometry.min_samples(spec, head.name) / SAMPLE_RATE
    hop = geometry.hop(spec, head.name) / SAMPLE_RATE
    what = f"""Classifies sounds into {len(classes)} classes: {', '.join(classes)}. The trunk of {spec.name} with a head
        {head.name} of {head.classes} classes and kernel size {head.kernel}. Input: mono audio at 22,050 Hz. Output:
        class probabilities every {hop:.2f} s; the prediction for a whole clip is the softmax of its mean logits. The
        minimum clip length is {min_s:.2f} s. Weights in {facts['weights_dtype']}, licensed under {facts['licence']}."""
    use = f"""Intended use: trying out the package, a first guess at environmental sounds, features
        ({spec.feature_layer}) for other tasks. Do not use it where a wrong prediction can harm somebody. It knows only
        these {len(classes)} classes."""
    return f"""# {facts['name']}

{_paragraph(what)}

{_paragraph(use)}

    soundnet-tag --model={facts['name']} sound.ogg
    soundnet-embed --model={facts['name']} --out=embeddings sound.ogg"""


def _accuracy(facts: Facts) -> str:
    accuracy, halves = facts['measured']['accuracy'], facts['measured']['halves']
    folds = sorted({row['fold'] for row in accuracy['rows']})
    by_fold = [[row['accuracy'] for row in accuracy['rows'] if row['fold'] == fold] for fold in folds]
    cells = [f'fold {fold}: {100 * sum(own) / len(own):.1f}' for fold, own in zip(folds, by_fold, strict=True)]
    mean, seeds = format_mean_std(accuracy['mean'], accuracy['deviation_over_seeds']), accuracy['seeds']
    over = f'with {seeds} seeds (mean and standard deviation over seeds' if seeds > 1 else 'with one seed (the mean'
    cross_validation = f"""Accuracy on held-out clips: **{mean} %**, from cross-validation that leaves one fold out,
        {over}; {', '.join(cells)}{_interval(accuracy)}). The net in this folder was trained on all folds with the same
        recipe, so no clip of the data set is left to test it on."""
    by_dtype = f"""The nets of the first seed have an accuracy of {100 * halves['float16']:.1f} % with float16 weights
        and {100 * halves['float32']:.1f} % with float32 weights ({halves['clips']} clips; the same prediction for
        {100 * halves['same_answer']:.1f} %)."""
    paragraphs = [cross_validation, _at_speeds(facts), by_dtype]
    return '\n\n'.join(['## Accuracy', *(_paragraph(text) for text in paragraphs if text)])


def _at_speeds(facts: Facts) -> str:
    own = facts['measured'].get('accuracy_at_speeds')
    if own is None:
        return ''
    speeds, mean = _listed(facts['speeds']), format_mean_std(own['mean'], own['deviation_over_seeds'])
    return f"""That is in one pass, as in streams, exports, visualizations and `soundnet-live`. `soundnet-tag` and
        `Embedder.tag` take the mean over the speeds {speeds}, which takes {len(facts['speeds'])} passes: **{mean} %**
        on the same clips{_interval(own)}."""


def _listed(speeds: Sequence[float]) -> str:
    *others, last = (f'{speed:g}' for speed in speeds)
    return f'{", ".join(others)} and {last}' if others else last


def _interval(accuracy: Facts) -> str:
    own = accuracy.get('interval')
    if not own:
        return ''
    interval = Interval(**{field.name: own[field.name] for field in dataclasses.fields(Interval)})
    return f'; {interval.about()}: {interval.text()}'


def _confusions(classes: Sequence[str], facts: Facts) -> str:
    confusion = facts['measured']['confusion']
    wrong = [
        (count / sum(row), classes[truth], classes[answer])
        for truth, row in enumerate(confusion)
        for answer, count in enumerate(row)
        if answer != truth and count
    ]
    worst = sorted(wrong, reverse=True)[:MAX_CONFUSIONS]
    listed = '\n'.join(f'- {share:.0%} of {truth}: classified as {answer}' for share, truth, answer in worst)
    over = ', all seeds' if facts['measured']['accuracy']['seeds'] > 1 else ''
    return f"""## Confusions

{listed or '- none on the held-out clips'}

All predictions on held-out clips{over}:

```
{confusion_table(classes, confusion)}
```"""


def _ood_part(own: Facts) -> str:
    share = own.get('ood_confident')
    return '' if share is None else f', and on {100 * share:.1f} % of the out-of-distribution sounds'


def _calibration(facts: Facts) -> str:
    own = facts['measured']['calibration']
    (threshold,) = facts['confidence_threshold'].values()
    temperature = f"""The logits are divided by a temperature of {own['temperature']:.3f}, which is folded into the
        weights of the head, so all formats of the net return the same probabilities. The expected calibration error on
        held-out folds changes from {100 * own['error_before']:.1f} % to {100 * own['error_after']:.1f} %, the loss from
        {own['loss_before']:.3f} to {own['loss_after']:.3f} nats (the temperature for each fold is fitted on the
        others)."""
    if own['temperature'] == 1:
        temperature = f"""The expected calibration error on held-out folds is {100 * own['error_before']:.1f} %, the
            loss {own['loss_before']:.3f} nats. A temperature, fitted on the other folds, does not lower the error, and
            is not used."""
    once = ' in one pass' if 'accuracy_at_speeds' in facts['measured'] else ''
    confident = f"""Below a confidence of **{threshold:.3f}** `soundnet-tag` prints "not sure". The threshold is
        {own['rule']}. With the threshold for each fold fitted on the others, the net is confident on
        {100 * own['confident']:.1f} % of the held-out clips, with an accuracy of
        {_percent(own['accuracy_when_confident'])} on these and {_percent(own['accuracy_when_not_confident'])} on the
        others{_ood_part(own)}. The threshold was fitted on whole clips{once}: for single time
        steps it is only a rough guide."""
    if threshold >= NEVER:
        confident = f'`soundnet-tag` always prints "not sure": no threshold meets the rule ({own["rule"]}).'
    return f'## Calibration\n\n{_paragraph(temperature)}\n\n{_paragraph(confident)}'


def _robustness(facts: Facts) -> str:
    measured = facts['measured']
    ood = [measured['out_of_distribution']] if 'out_of_distribution' in measured else []
    corrupted = [[t['kind'], _percent(t['right']), *_confidence_cells(t)] for t in measured['corrupted']]
    unknown = [
        [t['kind'], t['sounds'], *_confidence_cells(t), _top_predictions(t)] for t in [*measured['synthetic'], *ood]
    ]
    once = ' All in one pass.' if 'accuracy_at_speeds' in measured else ''
    about = f"""Sounds of none of its classes: every class is wrong, and "not sure" is the correct output. The synthetic
        sounds are generated by `soundnet_tf.shipping.probes`; some resemble a class.{once}"""
    return f"""## Corrupted and unknown sounds

Corrupted held-out clips, with the nets of the first seed (the threshold is the one fitted on all folds). Normalize
quiet audio to full scale first:

{_table([['clip', 'accuracy', 'not sure', 'mean confidence'], *corrupted])}

{_paragraph(about)}

{_table([['sound', 'number', 'not sure', 'mean confidence', 'top predictions'], *unknown])}"""


def _confidence_cells(trial: Facts) -> list[str]:
    return [_percent(trial['not_sure']), f'{trial["confidence"]:.2f}']


def _table(rows: Sequence[Sequence[object]]) -> str:
    head, *rest = [f'| {" | ".join(map(str, row))} |' for row in rows]
    return '\n'.join([head, '|---' * len(rows[0]) + '|', *rest])


def _untested(facts: Facts) -> str:
    real = '' if 'out_of_distribution' in facts['measured'] else 'Real sounds of other classes.'
    conditions = f"""{real} Recordings unlike those of the data set, which have a single close source and were cut by
        hand to a few seconds. Several of its classes at once, distant or reverberant sources, hours of audio from one
        place, microphones of phones and wearables, and animals, engines and people that are not in the data set."""
    return f'## Untested conditions\n\n{_paragraph(conditions)}'


def _training_data(facts: Facts) -> str:
    credits, recipe = facts['data']['attribution'], facts['origin']['recipe']
    authors = 'No list of the authors was found with the data.'
    if addresses := facts['data']['addresses']:
        authors = f'The authors of the clips are credited at {", ".join(addresses)}'
    if credits:
        licences = collections.Counter(line.rpartition('[')[2].rstrip(']') for line in credits)
        counts = ', '.join(f'{count} {licence}' for licence, count in licences.most_common())
        authors = f"""`model.json` lists the {len(credits)} clips, their authors and licences ({counts}) under
            `data.attribution`. URLs of the data set and its licences: {', '.join(addresses)}"""
    settings = ', '.join(f'{name} {value}' for name, value in recipe.items())
    return f"""## Training data

{_paragraph(f'{facts["data"]["about"]}. {_tested_only(facts)} {authors}')}

{_paragraph(f'Recipe: {settings}.')}"""


def _tested_only(facts: Facts) -> str:
    count = len(facts['data'].get('test_only', ()))
    return f'{count} clips were only tested on: `data.test_only` in `model.json` lists them.' if count else ''


def _percent(share: float | None) -> str:
    return '-' if share is None else f'{100 * share:.0f} %'


def _top_predictions(trial: Facts) -> str:
    return ', '.join(f'{name} {count}' for name, count in trial['said'])
