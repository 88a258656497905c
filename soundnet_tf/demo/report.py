"""The demo's report, as one HTML file and as text for the terminal."""

import base64
import dataclasses
import html
import pathlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage
from soundnet_tf.audio import encoding
from soundnet_tf.demo import shipped
from soundnet_tf.demo.ear import Predictions
from soundnet_tf.demo.stage import KINDS
from soundnet_tf.prepare.manifest import Video
from soundnet_tf.prepare.pace import Clock
from soundnet_tf.prepare.stages import Settings, read

SHOWN = 12
"""Number of held-out videos on the page."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The results of the demo, all measured on held-out videos."""

    eye_right: float
    agreement: float
    ear_right: float
    svm_trained: float
    svm_untrained: float
    chance: float
    net: pathlib.Path
    report: pathlib.Path
    hears: pathlib.Path
    """The page that visualizes the units of the ear."""
    shipped: list[shipped.Prediction]
    """Predictions of a released net, trained on ten classes of real sounds, for a video of each kind."""
    original: list[str]
    """Predictions of the original net for real clips."""


@dataclasses.dataclass(frozen=True)
class Story:
    """The contents of the report."""

    outcome: Outcome
    test: Predictions
    folder: pathlib.Path
    videos: int
    shuffled: bool
    seconds: dict[str, float]
    prefix: str
    """Path prefix of the commands if they are not on PATH."""
    command: str
    said: str


def text(story: Story) -> str:
    """The report in a terminal."""
    outcome, took = story.outcome, sum(story.seconds.values())
    bars = '\n'.join(f'  {label:<46} {_bar(value)} {value:6.1%}' for label, value in _measures(outcome))
    return f"""
Results on {len(story.test.ids)} held-out videos, seen or heard by neither eye nor ear in training

{bars}

{_moral(story)}

Predictions of a released net, trained on ten classes of real sounds and never on these videos

{_by_shipped(story)}

Predictions of the original net, trained on two million real videos, for the real clips of this package

{_indented(_by_original(story))}

Try the ear yourself:

  $ {story.command}
{_indented(story.said)}

The page with pictures and sounds:   {outcome.report}
What its units respond to:           {outcome.hears}
The net, to embed and tag with:      {outcome.net}
This took {took:.0f} s.

With your own videos, and teachers trained on real images (any TFLite file or Keras model):

{_indented(_next(story))}
"""


def _moral(story: Story) -> str:
    outcome = story.outcome
    if story.shuffled:
        return (
            f'This was the control experiment: the ear heard {story.videos} videos with the sound of other videos,\n'
            'so there was nothing to learn, and its accuracy should be at chance level.'
        )
    moral = (
        f'The ear was trained without labels. It heard {story.videos} videos and learned to agree with an\n'
        'eye that watched them.'
    )
    if outcome.svm_trained > outcome.svm_untrained:
        moral += (
            ' A linear SVM on its features classifies the kinds better than on those of\n'
            'the same net before training: this is the purpose of SoundNet.'
        )
    return moral


def _by_shipped(story: Story) -> str:
    return '\n'.join(f'  {one.kind:<8} {one.probability:6.1%}  {one}' for one in story.outcome.shipped)


def _by_original(story: Story) -> str:
    return '\n'.join(story.outcome.original)


def _measures(outcome: Outcome) -> list[tuple[str, float]]:
    return [
        ('accuracy of the eye', outcome.eye_right),
        ('agreement of ear and eye', outcome.agreement),
        ('accuracy of the ear', outcome.ear_right),
        ("accuracy of a linear SVM on the ear's features", outcome.svm_trained),
        ('the same with the untrained ear', outcome.svm_untrained),
        ('chance', outcome.chance),
    ]


def _bar(value: float, width: int = 24) -> str:
    filled = round(value * width)
    return '█' * filled + '░' * (width - filled)


def _indented(lines: str) -> str:
    return '\n'.join(f'  {line}' for line in lines.splitlines())


def write_html(story: Story, path: pathlib.Path) -> None:
    """Write one self-contained file: results, confusion matrix, and held-out videos with sound."""
    measures = ''.join(
        f'<div class="measure"><span>{html.escape(label)}</span>'
        f'<span class="bar"><i style="width:{value:.1%}"></i></span><b>{value:.1%}</b></div>'
        for label, value in _measures(story.outcome)
    )
    steps = ''.join(f'<li>{html.escape(step)} <small>{took:.0f} s</small></li>' for step, took in story.seconds.items())
    clips = ''.join(_clip(story, row) for row in _chosen(story.test))
    page = f"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>An ear that learned from an eye</title><style>{STYLE}</style>
<main><h1>An ear that learned from an eye</h1>
<p>The videos are synthetic and show {len(KINDS)} kinds of objects that can be seen and heard. An eye learned to
classify them from pictures. Then an ear, a SoundNet, heard the sound of videos while the eye watched.</p>
<p>{html.escape(_moral(story))}</p>
<h2>Results</h2><p>Measured on {len(story.test.ids)} held-out videos.</p>{measures}
<h2>Examples</h2><p>Held-out videos: the picture that the eye saw, the sound that the ear heard, and the prediction
of each. The ear gets only the sound; where it is wrong, the border is orange.</p>
<div class="clips">{clips}</div>
<p><a href="{html.escape(str(story.outcome.hears.relative_to(story.folder)))}">What its units respond to</a>:
filters, units with the sounds that activate them most, and maps of the videos.</p>
<h2>Confusion matrix of the ear</h2><p>Rows are true kinds, columns are predictions.</p>
{_confusion(story.test.confusion)}
<h2>Steps</h2><ol>{steps}</ol>
<h2>Predictions of a released net</h2><p>It was trained on ten classes of real sounds, never on these videos.</p>
<pre>{html.escape(_by_shipped(story))}</pre>
<h2>Predictions of the original net</h2><p>It was trained on two million real videos. For the real clips of this
package it predicts, scenes first:</p><pre>{html.escape(_by_original(story))}</pre>
<h2>Try the ear yourself</h2><pre>$ {html.escape(story.command)}
{html.escape(story.said)}</pre>
<h2>With your own videos</h2><pre>{html.escape(_next(story))}</pre></main></html>
"""
    storage.write_text(path, page)


def _chosen(test: Predictions) -> list[int]:
    """One video of each kind, then videos that the ear gets wrong."""
    first = {kind: int(np.flatnonzero(test.kinds == kind)[0]) for kind in np.unique(test.kinds)}
    wrong = np.flatnonzero(
        (test.ear.argmax(-1) != test.kinds) & ~np.isin(np.arange(len(test.kinds)), [*first.values()])
    )
    return [*first.values(), *(int(row) for row in wrong)][:SHOWN]


def _clip(story: Story, row: int) -> str:
    test = story.test
    path = story.folder / 'videos' / 'held_out' / test.ids[row]
    video, settings = Video(test.ids[row], str(path)), Settings(clip_s=10, frame_every_s=10)
    clip: Any = next(read(video, video.path, settings, 192, Clock()))
    sound = base64.b64encode(clip.audio).decode()
    picture = base64.b64encode(encoding.png(clip.frames[0])).decode()
    eye, ear = (_top_kinds(values[row]) for values in (test.eye, test.ear))
    about = KINDS[test.kinds[row]]
    verdict = 'right' if test.ear[row].argmax() == test.kinds[row] else 'wrong'
    return (
        f'<figure class="{verdict}"><img src="data:image/png;base64,{picture}" alt="A frame of a video of: {about}">'
        f'<audio controls preload="none" aria-label="Sound of a video of: {about}" '
        f'src="data:audio/mpeg;base64,{sound}"></audio>'
        f'<figcaption>truth: <b>{about}</b><br>eye: {eye}<br>ear: {ear}</figcaption></figure>'
    )


def _top_kinds(probabilities: NDArray[np.float32]) -> str:
    best = np.argsort(probabilities)[::-1][:2]
    return ', '.join(f'{KINDS[kind]} {probabilities[kind]:.0%}' for kind in best if probabilities[kind] >= 0.01)


def _confusion(counts: NDArray[np.int64]) -> str:
    head = ''.join(f'<th scope="col"><span>{kind}</span></th>' for kind in KINDS)
    rows = []
    for kind, row in zip(KINDS, counts, strict=True):
        share = row / max(1, row.sum())
        cells = ''.join(
            f'<td style="--share:{value:.2f}">{count or ""}</td>' for value, count in zip(share, row, strict=True)
        )
        rows.append(f'<tr><th scope="row">{kind}</th>{cells}</tr>')
    return f'<div class="wide"><table><tr><td></td>{head}</tr>{"".join(rows)}</table></div>'


def _next(story: Story) -> str:
    return NEXT.replace('soundnet-', f'{story.prefix}soundnet-')


NEXT = """soundnet-prepare VIDEOS/ --out=records/ --teacher=imagenet=keras:VGG16,weights=vgg16.h5
soundnet-train --records=records/ --out=runs/mine --steps=100000
soundnet-embed --model=runs/mine/net --out=embeddings/ SOUNDS/"""

STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--paper:#fbfaf7;--line:#d8d4ca;--hue:#0072b2;--off:#d55e00}
@media(prefers-color-scheme:dark){:root{--ink:#e8e6e1;--paper:#15191f;--line:#3a414b;--hue:#56b4e9;--off:#e69f00}}
body{margin:0;background:var(--paper);color:var(--ink);font:17px/1.55 system-ui,sans-serif}
main{max-width:60rem;margin:auto;padding:1.5rem 1rem 4rem}
h1{font-size:2rem;line-height:1.2}h2{margin-top:2.5rem}
.measure{display:grid;grid-template-columns:minmax(10rem,22rem) 1fr 4rem;gap:.8rem;align-items:center;margin:.35rem 0}
@media(max-width:36rem){.measure{grid-template-columns:1fr 4rem}.measure span:first-child{grid-column:1/-1}}
.bar{background:var(--line);height:.9rem;border-radius:.45rem;overflow:hidden}
.bar i{display:block;height:100%;background:var(--hue)}
.clips{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:1rem}
figure{margin:0;border:1px solid var(--line);border-top:.3rem solid var(--hue);border-radius:.4rem;padding:.6rem}
figure.wrong{border-top-color:var(--off)}
figure img,figure audio{width:100%;display:block;margin-bottom:.4rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem}
th{font-weight:500;text-align:right;padding:.2rem .5rem}th span{writing-mode:vertical-rl}
table td{width:2.1rem;height:2.1rem;text-align:center;border:1px solid var(--line);
background:color-mix(in srgb,var(--hue) calc(var(--share,0)*70%),transparent)}
pre{border:1px solid var(--line);border-radius:.4rem;padding:.8rem;overflow-x:auto;font-size:.85rem}
small{opacity:.7}
"""
