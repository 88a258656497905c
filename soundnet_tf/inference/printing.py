"""Tags as people and programs read them: text, JSON or CSV, of files and of live sound."""

import contextlib
import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from soundnet_tf import labels, storage
from soundnet_tf.inference.embed import Embedder
from soundnet_tf.inference.embedding import Embedding, Embeddings
from soundnet_tf.inference.files import SoundFile, Tally, echo, listen
from soundnet_tf.inference.speeds import AS_IT_IS, MAX_S
from soundnet_tf.inference.tags import SILENCE, SILENCE_TEXT, Tag, confident_heads, silence, top_classes

Step = tuple[float | None, list[Tag]]
"""The centre of a time step in seconds, None for the mean of a whole clip; and its tags."""

Labels = Mapping[str, Sequence[str]]
"""The class names of each head."""


def tag_files(
    embedder: Embedder,
    files: Sequence[SoundFile],
    format: str = 'text',
    count: int = 5,
    per: str = 'clip',
    out: str | None = None,
) -> Tally:
    """Print the tags of each file as 'text', 'json' (a line for each file) or 'csv' (a line for each tag), or to `out`.

    `per` is 'clip' or 'step'. A bad file is reported and counted, see `files.listen`. Raises SoundNetError where the
    net has no heads, and where `out` is one of the files.
    """
    listener = embedder.tagger if per == 'clip' else embedder.listener
    heads = {head: embedder.labels[head] for head in listener.heads()}
    form = _FORMS[format](embedder.confidence_threshold)
    if out is not None:
        storage.refuse_input(out, (file.path for file in files))
    tally = Tally()

    def done(file: SoundFile, embeddings: Embeddings | None) -> None:
        if embeddings is None:
            return
        first = next(iter(embeddings.values()))
        if format != 'json':
            _report_filled(file.path, embedder, first)
            if per == 'clip' and embedder.tagger.speeds != AS_IT_IS and first.seconds > MAX_S:
                echo(f'{file.path}: is longer than {MAX_S:g} s, so its tags are of its own speed alone')
        facts = {'path': file.path, 'seconds': first.seconds, 'tiled': first.tiled, 'padded': first.padded}
        facts[SILENCE] = first.silent
        if per == 'step':
            steps = tags_of_steps(heads, embeddings, count)
        else:
            steps = [(None, embedder.tags_of(embeddings, count))]
        write(form(facts, steps))

    with _opened(out) as write:
        listen(listener, files, list(heads), done, tally, len(files))
    return tally


def tag_live(
    embedder: Embedder,
    pieces: Iterator[NDArray[Any]],
    sample_rate: int,
    name: str,
    format: str,
    count: int,
    out: str | None = None,
) -> float:
    """Print the tags of each time step as soon as it is final; return the seconds of sound that came.

    `pieces` are `[n, channels]`, as they come in. Raises ShortClip where the sound ends before a first step.
    """
    heads = {head: embedder.labels[head] for head in embedder.listener.heads()}
    form = _FORMS[format](embedder.confidence_threshold)
    streams = embedder.listener.open_stream(list(heads), sample_rate, name)

    def show(embeddings: Mapping[str, Embedding]) -> None:
        for time, tags in tags_of_steps(heads, embeddings, count):
            facts = {'path': name, 'seconds': streams.seconds, SILENCE: streams.silent}
            write(form(facts, [(time, silence(_heads_of(tags)) if streams.silent else tags)]))

    with _opened(out) as write:
        # Ctrl-C, whenever it comes, ends the sound.
        with contextlib.suppress(KeyboardInterrupt):
            for piece in pieces:
                show(streams.push(piece))
        rest = streams.finish()
        _report_filled(name, embedder, next(iter(rest.values())))
        show(rest)
    return streams.seconds


def tags_of_steps(heads: Labels, embeddings: Mapping[str, Embedding], count: int) -> list[Step]:
    """The best classes of each time step, in the order of time; heads of one geometry share their steps."""
    steps: dict[float, list[Tag]] = {}
    for head in heads:
        own = embeddings[head]
        for time, probabilities in zip(own.times, own.values, strict=True):
            tags = silence([head]) if own.silent else top_classes(head, heads[head], probabilities, count)
            steps.setdefault(float(time), []).extend(tags)
    return [(time, steps[time]) for time in sorted(steps)]


@contextlib.contextmanager
def _opened(out: str | None) -> Iterator[Callable[[str], None]]:
    """What writes a line or block: to stdout, or to a file that appears at the end."""
    if out is None:
        yield lambda text: echo(text, to_stdout=True)
        return
    with storage.whole_file(out) as file:

        def write(text: str) -> None:
            file.write(f'{text}\n'.encode(errors='surrogateescape'))

        yield write


def _report_filled(name: str, embedder: Embedder, embedding: Embedding) -> None:
    if embedding.tiled or embedding.padded:
        what = 'repeated' if embedding.tiled else 'padded with silence'
        net = embedder.facts.get('name', embedder.spec.name)
        echo(f'{name}: {embedding.seconds:.2f} s is too short for the heads of {net}, so it was {what}')


def _heads_of(tags: Sequence[Tag]) -> list[str]:
    return list(dict.fromkeys(tag.head for tag in tags))


def _is_file(facts: Mapping[str, Any]) -> bool:
    """Whether the facts are of a whole file; live sound is printed step by step."""
    return 'tiled' in facts


class _Text:
    """For people: the file's name, and below it a line per tag in columns; of live sound a line per step and head.

    For a head that is not confident, one more line before its tags says so, or a word. Silence takes one line.
    """

    def __init__(self, thresholds: Mapping[str, float]) -> None:
        self._thresholds = thresholds

    def __call__(self, facts: Mapping[str, Any], steps: Sequence[Step]) -> str:
        if not _is_file(facts):
            return '\n'.join(line for time, tags in steps for line in self._live(facts, _at(time), tags))
        lines = [facts['path']]
        for time, tags in steps:
            lines += [] if time is None else [f' {_at(time)}']
            lines += [SILENCE_TEXT] if facts.get(SILENCE) else _columns(tags, confident_heads(tags, self._thresholds))
        return '\n'.join(lines)

    def _live(self, facts: Mapping[str, Any], time: str, tags: Sequence[Tag]) -> Iterator[str]:
        if facts.get(SILENCE):
            yield f'{time}{SILENCE_TEXT}'
            return
        confident, width = confident_heads(tags, self._thresholds), max(len(tag.head) for tag in tags)
        for head in _heads_of(tags):
            names = [f'{labels.short(head, tag.name)} {tag.probability:.1%}' for tag in tags if tag.head == head]
            unsure = '' if confident.get(head, True) else 'not sure: '
            yield f'{time}  {head:{width}}  {unsure}{", ".join(names)}'
            time = ' ' * len(time)


def _at(time: float | None) -> str:
    # The centre of a first step may be in the padding before the sound.
    return f'{max(time or 0.0, 0.0):9.2f} s'


def _columns(tags: Sequence[Tag], confident: Mapping[str, bool]) -> Iterator[str]:
    width = max(len(tag.head) for tag in tags)
    shown: set[str] = set()
    for tag in tags:
        head = '' if tag.head in shown else tag.head
        if head and not confident.get(head, True):
            yield f'  {head:{width}}  not sure (best guess {labels.short(tag.head, tag.name)})'
            head = ''
        yield f'  {head:{width}}  {tag.probability:6.1%}  {labels.short(tag.head, tag.name)}'
        shown.add(tag.head)


class _Json:
    """A line of JSON: by head a list of names and probabilities, the most probable first; a list of such by steps.

    `confident` says by head whether it is, for heads with a threshold; `silence` whether the sound is silent.
    """

    def __init__(self, thresholds: Mapping[str, float]) -> None:
        self._thresholds = thresholds

    def __call__(self, facts: Mapping[str, Any], steps: Sequence[Step]) -> str:
        shown: list[dict[str, Any]] = []
        for time, tags in steps:
            confident = {} if facts.get(SILENCE) else confident_heads(tags, self._thresholds)
            own = {'confident': confident} if confident else {}
            shown.append(({} if time is None else {'time': time}) | {'tags': _by_head(tags)} | own)
        several = _is_file(facts) and steps[0][0] is not None
        return json.dumps({**facts, **({'steps': shown} if several else shown[0])})


def _by_head(tags: Sequence[Tag]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for tag in tags:
        found.setdefault(tag.head, []).append({'name': tag.name, 'probability': round(tag.probability, 6)})
    return found


class _Csv:
    """A line for each tag, after a header; no time where the tags are of the whole clip.

    `confident` is yes or no, empty for heads without a threshold; `silence` is yes or no.
    """

    def __init__(self, thresholds: Mapping[str, float]) -> None:
        self._thresholds = thresholds
        columns = ('path', 'time', 'head', 'rank', 'name', 'probability', 'confident', SILENCE)
        self._header: list[tuple[str, ...]] = [columns]

    def __call__(self, facts: Mapping[str, Any], steps: Sequence[Step]) -> str:
        lines: list[tuple[Any, ...]] = list(self._header)
        self._header = []
        silent = 'yes' if facts.get(SILENCE) else 'no'
        for time, tags in steps:
            ranks: dict[str, int] = {}
            known = {} if facts.get(SILENCE) else confident_heads(tags, self._thresholds)
            confident = {head: 'yes' if yes else 'no' for head, yes in known.items()}
            for tag in tags:
                ranks[tag.head] = ranks.get(tag.head, 0) + 1
                shown = '' if time is None else round(time, 3)
                values = (ranks[tag.head], tag.name, round(tag.probability, 6), confident.get(tag.head, ''), silent)
                lines.append((facts['path'], shown, tag.head, *values))
        text = io.StringIO()
        csv.writer(text, lineterminator='\n').writerows(lines)
        return text.getvalue().removesuffix('\n')


_FORMS: dict[str, Callable[[Mapping[str, float]], Callable[[Mapping[str, Any], Sequence[Step]], str]]] = {
    'text': _Text,
    'json': _Json,
    'csv': _Csv,
}
