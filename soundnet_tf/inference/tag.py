"""The most probable classes of each head: of a clip, of each time step, and of sound as it comes in."""

import contextlib
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import labels
from soundnet_tf.audio import SILENCE_DBFS
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference.embedding import Embedding
from soundnet_tf.inference.files import SoundFile, Tally, listen, tell
from soundnet_tf.spec import Head

if TYPE_CHECKING:
    from soundnet_tf.inference.embed import Embedder
    from soundnet_tf.inference.listening import Heard


class Tag(NamedTuple):
    """What a head says of a sound: a class and how probable it is."""

    head: str
    name: str
    probability: float


SILENCE = 'silence'
"""In place of a class, for a sound in which there is nothing to name."""

Step = tuple[float | None, list[Tag]]
"""The centre of a time step in seconds, None for the mean of a whole clip; and its tags."""

Heads = Mapping[str, Sequence[str]]
"""The class names of each head."""


def top(head: str, names: Sequence[str], probabilities: NDArray[np.float32], count: int) -> list[Tag]:
    """The `count` most probable classes, or all where there are fewer, of `[classes]`; equal ones in their order."""
    if count < 1:
        raise SoundNetError(f'top is a number of classes, at least 1, not {count}')
    best = np.argsort(-probabilities, kind='stable')[:count]
    return [Tag(head, names[int(index)], float(probabilities[index])) for index in best]


def silence(heads: Iterable[str]) -> list[Tag]:
    """What stands for the classes of each head where a sound is silence."""
    return [Tag(head, SILENCE, 1.0) for head in heads]


def over_time(head: Head, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a head says of a whole clip, `[classes]`, by what it says of its steps, `[time, classes]`.

    The mean of the probabilities, or of the logits, as `head.clip_mean` says. Logits are known from probabilities up to
    what all classes have in common, which a softmax does not see.
    """
    return answer(head, evidence(head, probabilities).mean(axis=0))


def evidence(head: Head, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is averaged over time, `[time, classes]`."""
    if head.clip_mean == 'probabilities':
        return probabilities
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))


def answer(head: Head, mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probabilities, `[classes]`, that the mean of the evidence comes to."""
    if head.clip_mean == 'probabilities':
        return mean
    odds = np.exp(mean - mean.max())
    return odds / odds.sum()


def sure(tags: Sequence[Tag], sure_from: Mapping[str, float]) -> dict[str, bool]:
    """Whether the best tag of each head is as probable as it must be, for heads of which `sure_from` tells that.

    1 is for a head that is never sure, whatever a softmax rounds to.
    """
    best: dict[str, float] = {}
    for tag in tags:
        best[tag.head] = max(tag.probability, best.get(tag.head, 0.0))
    return {head: sure_from[head] <= value and sure_from[head] < 1 for head, value in best.items() if head in sure_from}


def of_steps(heads: Heads, heard: Mapping[str, Embedding], count: int) -> list[Step]:
    """The best classes of each time step, in the order of time; heads of one geometry share their steps."""
    steps: dict[float, list[Tag]] = {}
    for head in heads:
        for time, probabilities in zip(heard[head].times, heard[head].values, strict=True):
            steps.setdefault(float(time), []).extend(top(head, heads[head], probabilities, count))
    return [(time, steps[time]) for time in sorted(steps)]


def tag_files(
    embedder: 'Embedder', files: Sequence[SoundFile], format: str = 'text', count: int = 5, per: str = 'clip'
) -> Tally:
    """Print the tags of each file as 'text', 'json' (a line for each file) or 'csv' (a line for each tag).

    `per` is 'clip' or 'step'. A bad sound is told and counted, see `files.listen`. Raises SoundNetError where the net
    has no heads.
    """
    heads = {head: embedder.labels[head] for head in embedder.heads()}
    form = _FORMS[format](embedder.sure_from)
    tally = Tally()

    def done(file: SoundFile, heard: 'Heard | None') -> None:
        if heard is None:
            return
        first = next(iter(heard.values()))
        if format != 'json':
            _tell_filled(file.path, embedder, first)
        facts = {'path': file.path, 'seconds': first.seconds, 'tiled': first.tiled, 'padded': first.padded}
        facts[SILENCE] = first.silent
        steps = of_steps(heads, heard, count) if per == 'step' else [(None, embedder.tags_in(heard, count))]
        tell(form(facts, steps), aloud=True)

    listen(embedder, files, list(heads), done, tally, len(files))
    return tally


def tag_live(
    embedder: 'Embedder', pieces: Iterator[NDArray[Any]], sample_rate: int, name: str, format: str, count: int
) -> float:
    """Print the tags of each time step as soon as it is settled; return the seconds of sound that came.

    `pieces` are `[n, channels]`, as they come in. Raises ShortClip where the sound ends before a first step.
    """
    heads = {head: embedder.labels[head] for head in embedder.heads()}
    form = _FORMS[format](embedder.sure_from)
    streams = embedder.streams(list(heads), sample_rate, name)

    def show(heard: Mapping[str, Embedding]) -> None:
        for step in of_steps(heads, heard, count):
            tell(form({'path': name, 'seconds': streams.seconds, SILENCE: streams.silent}, [step]), aloud=True)

    # Ctrl-C, whenever it comes, ends the sound.
    with contextlib.suppress(KeyboardInterrupt):
        for piece in pieces:
            show(streams.push(piece))
    rest = streams.finish()
    _tell_filled(name, embedder, next(iter(rest.values())))
    show(rest)
    return streams.seconds


def _tell_filled(name: str, embedder: 'Embedder', heard: Embedding) -> None:
    if heard.tiled or heard.padded:
        what = 'tiled' if heard.tiled else 'padded with silence'
        tell(f'{name} is {heard.seconds:.2f} s, too short for the heads of {embedder.spec.name}: it was {what}')


def _is_file(facts: Mapping[str, Any]) -> bool:
    """Whether all of a file is told at once; of live sound each step is told as it comes."""
    return 'tiled' in facts


class _Text:
    """For people: the file's name, and below it a line per tag in columns.

    Of a head that is not sure, one more line says so before them. `sure_from` is as in `Embedder`, in all forms.
    Of silence one line says so in place of tags.
    """

    def __init__(self, sure_from: Mapping[str, float]) -> None:
        self._sure_from = sure_from

    def __call__(self, facts: Mapping[str, Any], steps: Sequence[Step]) -> str:
        lines = [facts['path']] if _is_file(facts) else []
        for time, tags in steps:
            lines += [] if time is None else [f' {time:9.2f} s']
            lines += [_SILENT] if facts.get(SILENCE) else _columns(tags, sure(tags, self._sure_from))
        return '\n'.join(lines)


_SILENT = f'  {SILENCE} (below {SILENCE_DBFS:.0f} dBFS)'


def _columns(tags: Sequence[Tag], surely: Mapping[str, bool]) -> Iterator[str]:
    width = max(len(tag.head) for tag in tags)
    told: set[str] = set()
    for tag in tags:
        head = '' if tag.head in told else tag.head
        if head and not surely.get(head, True):
            yield f'  {head:{width}}  not sure (best guess {labels.short(tag.head, tag.name)})'
            head = ''
        yield f'  {head:{width}}  {tag.probability:6.1%}  {labels.short(tag.head, tag.name)}'
        told.add(tag.head)


class _Json:
    """A line of JSON: by head a list of names and probabilities, the most probable first; a list of such by steps.

    `sure` says by head whether it is, for heads that know; `silence` whether there was anything to name.
    """

    def __init__(self, sure_from: Mapping[str, float]) -> None:
        self._sure_from = sure_from

    def __call__(self, facts: Mapping[str, Any], steps: Sequence[Step]) -> str:
        shown: list[dict[str, Any]] = []
        for time, tags in steps:
            known = {'sure': surely} if (surely := sure(tags, self._sure_from)) else {}
            shown.append(({} if time is None else {'time': time}) | {'tags': _by_head(tags)} | known)
        several = _is_file(facts) and steps[0][0] is not None
        return json.dumps({**facts, **({'steps': shown} if several else shown[0])})


def _by_head(tags: Sequence[Tag]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for tag in tags:
        found.setdefault(tag.head, []).append({'name': tag.name, 'probability': round(tag.probability, 6)})
    return found


class _Csv:
    """A line for each tag, after one that names the columns; no time where the tags are of the whole clip.

    `sure` is yes or no of the head's answer, empty where the head cannot tell; `silence` is yes or no of the sound.
    """

    def __init__(self, sure_from: Mapping[str, float]) -> None:
        self._sure_from = sure_from
        self._header: list[tuple[str, ...]] = [('path', 'time', 'head', 'rank', 'name', 'probability', 'sure', SILENCE)]

    def __call__(self, facts: Mapping[str, Any], steps: Sequence[Step]) -> str:
        lines: list[tuple[Any, ...]] = list(self._header)
        self._header = []
        silent = 'yes' if facts.get(SILENCE) else 'no'
        for time, tags in steps:
            ranks: dict[str, int] = {}
            surely = {head: 'yes' if yes else 'no' for head, yes in sure(tags, self._sure_from).items()}
            for tag in tags:
                ranks[tag.head] = ranks.get(tag.head, 0) + 1
                shown = '' if time is None else round(time, 3)
                told = (ranks[tag.head], tag.name, round(tag.probability, 6), surely.get(tag.head, ''), silent)
                lines.append((facts['path'], shown, tag.head, *told))
        text = io.StringIO()
        csv.writer(text, lineterminator='\n').writerows(lines)
        return text.getvalue().removesuffix('\n')


_FORMS: dict[str, Callable[[Mapping[str, float]], Callable[[Mapping[str, Any], Sequence[Step]], str]]] = {
    'text': _Text,
    'json': _Json,
    'csv': _Csv,
}
