"""A page that plays sounds and the clips that were found for them."""

import html
import os
import pathlib
from collections.abc import Mapping, Sequence
from importlib import resources

from soundnet_tf import storage
from soundnet_tf.audio import SAMPLE_RATE, decoding, encoding
from soundnet_tf.errors import BadAudio
from soundnet_tf.inference.search import Found

LONGEST = 10 * SAMPLE_RATE
"""Samples of a sound on the page."""

PAGE, SOUNDS = 'index.html', 'sounds'


def write(folder: str | os.PathLike[str], found: Sequence[Found]) -> list[str]:
    """Write the page and its sounds, as MP3 of at most 10 s, into a new folder; returns a line for each missing sound.

    Raises SoundNetError if the folder has anything else in it.
    """
    paths = dict.fromkeys(path for one in found for path in (one.query, *(match.path for match in one.matches)))
    with storage.whole_folder(folder) as draft:
        (draft / SOUNDS).mkdir()
        names, missing = dict[str, str](), list[str]()
        for path in paths:
            try:
                waveform = decoding.read(path)[:LONGEST]
            except BadAudio as error:
                missing.append(str(error))
                continue
            names[path] = f'{SOUNDS}/{len(names)}.mp3'
            storage.write_bytes(draft / names[path], encoding.mp3(waveform))
        style = resources.files('soundnet_tf.visualize').joinpath('page', 'found.css').read_text(encoding='utf-8')
        body = '\n'.join(_section(one, names) for one in found)
        text = _PAGE.format(style=style, body=body)
        (draft / PAGE).write_text(text, encoding='utf-8', errors='backslashreplace')
    return missing


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Found by sound</title>
<style>
{style}</style>
<h1>Found by sound</h1>
{body}
"""


def _section(one: Found, names: Mapping[str, str]) -> str:
    rows = '\n'.join(
        f'<li><span>{match.similarity:.3f}</span> {_player(match.path, names)}</li>' for match in one.matches
    )
    return f'<section>\n<h2>{_player(one.query, names)}</h2>\n<ol>\n{rows}\n</ol>\n</section>'


def _player(path: str, names: Mapping[str, str]) -> str:
    name = html.escape(path)
    if path not in names:
        return f'<b>{name}</b> (not there any more)'
    sound = f'<audio controls preload="none" src="{names[path]}" aria-label="{name}"></audio>'
    short = html.escape('/'.join(pathlib.PurePath(path).parts[-2:]))  # the folder often is the class
    return f'<b title="{name}">{short}</b> {sound}'
