"""The model card: what a net is for, what it mishears and where it was never tried, from what model.json tells."""

import collections
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.evaluation.text_tables import confusion_table
from soundnet_tf.shipping.calibration import NEVER
from soundnet_tf.shipping.rows import format_mean_std
from soundnet_tf.spec import NetSpec

NAME = 'MODEL_CARD.md'

MISHEARD = 6
"""Confusions that are told one by one."""

Facts = Mapping[str, Any]


def write(spec: NetSpec, classes: Sequence[str], facts: Facts) -> str:
    """The card in Markdown."""
    parts = [
        _what(spec, classes, facts),
        _worth(facts),
        _misheard(classes, facts),
        _sure(facts),
        _tried(facts),
        _not_tried(facts),
        _learned_from(facts),
    ]
    return '\n\n'.join(part.strip() for part in parts if part) + '\n'


def _paragraph(text: str) -> str:
    return textwrap.fill(' '.join(text.split()), 118, break_long_words=False, break_on_hyphens=False)


def _what(spec: NetSpec, classes: Sequence[str], facts: Facts) -> str:
    (head,) = spec.heads
    least = geometry.min_samples(spec, head.name) / SAMPLE_RATE
    hop = geometry.hop(spec, head.name) / SAMPLE_RATE
    what = f"""Names {len(classes)} kinds of sounds: {', '.join(classes)}. The trunk of {spec.name} with a head
        {head.name} of {head.classes} classes, kernel {head.kernel}: from mono sound at 22,050 Hz to probabilities
        each {hop:.2f} s; a whole clip's answer is the softmax of its mean logits. The shortest clip has {least:.2f} s.
        Weights in {facts['weights_dtype']}, under {facts['licence']}."""
    use = f"""For: trying the package out, a first guess at environmental sound, features ({spec.feature_layer}) to
        build on. Not for: anything that harms somebody when it is wrong. It knows no other sounds than these
        {len(classes)} kinds."""
    return f"""# {facts['name']}

{_paragraph(what)}

{_paragraph(use)}

    soundnet-tag --model={facts['name']} sound.ogg
    soundnet-embed --model={facts['name']} --out=embeddings sound.ogg"""


def _worth(facts: Facts) -> str:
    accuracy, halves = facts['measured']['accuracy'], facts['measured']['halves']
    folds = sorted({row['fold'] for row in accuracy['rows']})
    by_fold = [[row['accuracy'] for row in accuracy['rows'] if row['fold'] == fold] for fold in folds]
    cells = [f'fold {fold}: {100 * sum(own) / len(own):.1f}' for fold, own in zip(folds, by_fold, strict=True)]
    mean, seeds = format_mean_std(accuracy['mean'], accuracy['deviation_over_seeds']), accuracy['seeds']
    over = f'with {seeds} seeds (mean and deviation over seeds' if seeds > 1 else 'with one seed (the mean'
    right = f"""Of clips that it had not met, **{mean} %** were named rightly: each fold was left out in turn, {over};
        {', '.join(cells)}). The net in this folder learned from all folds by the same recipe, so no clip of the data is
        left to measure it on."""
    in_halves = f"""In float16 the nets of the first seed name {100 * halves['float16']:.1f} % rightly, in float32
        {100 * halves['float32']:.1f} % ({halves['clips']} clips; the same answer to
        {100 * halves['same_answer']:.1f} %)."""
    return f'## How often it is right\n\n{_paragraph(right)}\n\n{_paragraph(in_halves)}'


def _misheard(classes: Sequence[str], facts: Facts) -> str:
    confusion = facts['measured']['confusion']
    wrong = [
        (count / sum(row), classes[truth], classes[answer])
        for truth, row in enumerate(confusion)
        for answer, count in enumerate(row)
        if answer != truth and count
    ]
    worst = sorted(wrong, reverse=True)[:MISHEARD]
    told_worst = '\n'.join(f'- {share:.0%} of {truth}: heard as {answer}' for share, truth, answer in worst)
    over = ', of all seeds' if facts['measured']['accuracy']['seeds'] > 1 else ''
    return f"""## What it mishears

{told_worst or '- nothing, on the clips left out'}

All answers to left-out clips{over}:

```
{confusion_table(classes, confusion)}
```"""


def _sure(facts: Facts) -> str:
    own = facts['measured']['calibration']
    (threshold,) = facts['confidence_threshold'].values()
    warm = f"""Its logits are divided by {own['temperature']:.3f}, which is worked into its head: all forms of the net
        say the same. The expected calibration error on left-out folds goes from {100 * own['error_before']:.1f} % to
        {100 * own['error_after']:.1f} %, the loss from {own['loss_before']:.3f} to {own['loss_after']:.3f} nats (the
        temperature for each fold taken from the others)."""
    sure = f"""Below a confidence of **{threshold:.3f}** `soundnet-tag` says that it is not sure. That is {own['rule']}.
        With the value for each fold taken from the others it is sure of {100 * own['confident']:.1f} % of the left-out
        clips, and {_percent(own['accuracy_when_confident'])} of these answers are right; of the others
        {_percent(own['accuracy_when_not_confident'])}. It was fitted on whole clips: of single time steps it is a rough
        guide."""
    if threshold >= NEVER:
        sure = f'`soundnet-tag` always says that it is not sure: there is not {own["rule"]}.'
    return f'## How sure it is\n\n{_paragraph(warm)}\n\n{_paragraph(sure)}'


def _tried(facts: Facts) -> str:
    tried = facts['measured']
    none = [*tried['made'], *([tried['others']] if 'others' in tried else [])]
    worse = [[t['kind'], _percent(t['right']), *_surely(t)] for t in tried['worse']]
    made = [[t['kind'], t['sounds'], *_surely(t), _said(t)] for t in none]
    about = """Sounds of none of its classes: whatever it names is wrong, and "not sure" is the right answer. The made
        ones are synthesised by `soundnet_tf.shipping.probes`; some resemble a class."""
    return f"""## What it says to other sounds

Left-out clips, made worse, by the nets of the first seed (the threshold is that of all folds). Bring quiet sound to
full scale first:

{_table([['the clip', 'right', 'not sure', 'mean confidence'], *worse])}

{_paragraph(about)}

{_table([['sound', 'tried', 'not sure', 'mean confidence', 'best guesses'], *made])}"""


def _surely(trial: Facts) -> list[str]:
    return [_percent(trial['not_sure']), f'{trial["confidence"]:.2f}']


def _table(rows: Sequence[Sequence[object]]) -> str:
    head, *rest = [f'| {" | ".join(map(str, row))} |' for row in rows]
    return '\n'.join([head, '|---' * len(rows[0]) + '|', *rest])


def _not_tried(facts: Facts) -> str:
    real = '' if 'others' in facts['measured'] else 'Real sounds of other classes.'
    where = f"""{real} Recordings of another kind than its data: there one source is close by, cut to a few seconds that
        somebody chose. Several of its classes at once, far or reverberant sources, hours of sound from one place,
        microphones of phones and wearables, other animals, engines and people of its classes than were recorded."""
    return f'## Where it was never tried\n\n{_paragraph(where)}'


def _learned_from(facts: Facts) -> str:
    credits, recipe = facts['data']['attribution'], facts['origin']['recipe']
    whose = 'No list of its authors was found beside it.'
    if credits:
        licences = collections.Counter(line.rpartition('[')[2].rstrip(']') for line in credits)
        counts = ', '.join(f'{count} {licence}' for licence, count in licences.most_common())
        whose = f"""`model.json` names the {len(credits)} clips, their authors and licences ({counts}) under `data`,
            `attribution`. Addresses of the data and of its licence, as told there:
            {', '.join(facts['data']['addresses'])}"""
    how = ', '.join(f'{name} {value}' for name, value in recipe.items())
    return f"""## Learned from

{_paragraph(f'{facts["data"]["about"]}. {whose}')}

{_paragraph(f'Recipe: {how}.')}"""


def _percent(share: float | None) -> str:
    return '-' if share is None else f'{100 * share:.0f} %'


def _said(trial: Facts) -> str:
    return ', '.join(f'{name} {count}' for name, count in trial['said'])
