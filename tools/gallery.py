"""The gallery of the site: what units of the original net respond to, on clips that may be shown.

python -m tools.gallery site/gallery

The clips are those of ESC-10 under CC0 and CC BY, if $SOUNDNET_DATA has a folder esc10, with a page of their credits;
else the five that are included.
"""

import html
import os
import pathlib
import sys

from soundnet_tf import clips, inference, storage
from soundnet_tf.inference import files
from soundnet_tf.nets import lookup
from soundnet_tf.shipping import attribution
from soundnet_tf.visualize import report
from soundnet_tf.visualize.wanted import Wanted

MAY_BE_SHOWN = '[CC0]', '[CC-BY]'

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Credits of the gallery</title>
<style>:root {{ color-scheme: light dark }} body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 50rem;
  margin: auto; padding: 1rem; overflow-wrap: anywhere }}</style>
<h1>Credits of the gallery</h1>
<p>The clips, by file name. CC0: in the public domain. CC-BY: Creative Commons Attribution. The gallery plays excerpts
of them, as mono MP3.</p>
<ul>
{rows}
</ul>
"""


def chosen() -> tuple[list[files.SoundFile], list[str]]:
    """The sounds, and a line of credit for each."""
    data = pathlib.Path(os.environ.get('SOUNDNET_DATA') or 'no data', 'esc10')
    if not data.is_dir():
        folder = clips.path(clips.names()[0]).parent
        return files.find([str(folder)]), (folder / 'CREDITS.md').read_text(encoding='utf-8').splitlines()
    sounds = files.find([str(data)])
    credits = attribution.of(data, [sound.path for sound in sounds])['attribution']
    both = [(sound, credit) for sound, credit in zip(sounds, credits, strict=True) if credit.endswith(MAY_BE_SHOWN)]
    return [sound for sound, _ in both], [credit for _, credit in both]


def write(out: pathlib.Path) -> files.Tally:
    """Write `out/report` and `out/credits.html`."""
    sounds, credits = chosen()
    net = lookup.find('soundnet8')
    tally = report.write(inference.load(net), net, sounds, out / 'report', Wanted())
    rows = '\n'.join(f'<li>{html.escape(credit)}</li>' for credit in credits)
    with storage.whole_file(out / 'credits.html') as file:
        file.write(_PAGE.format(rows=rows).encode())
    return tally


if __name__ == '__main__':
    print(f'{sys.argv[1]}: {write(pathlib.Path(sys.argv[1]))}')
