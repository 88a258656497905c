"""Chromium for the tests of pages, and what every page must satisfy."""

import contextlib
import os
import shutil

import pytest

CHROMIUM = shutil.which('chromium')
MARKS = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason='needs a browser: apt-get install chromium'),
]


@contextlib.contextmanager
def launched(*arguments):
    """A browser; a sound card is not needed."""
    driver = pytest.importorskip('playwright.sync_api', reason="needs playwright: pip install 'playwright'")
    # No sandbox where the tests run as root, as containers do.
    options = ['--disable-gpu', '--mute-audio', *(['--no-sandbox'] if os.geteuid() == 0 else []), *arguments]
    with driver.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


SIDEWAYS = 'document.documentElement.scrollWidth - innerWidth'
"""Pixels that the page is wider than the window: none."""

OUTSIDE = """[...document.querySelectorAll('main *:not(svg *)')]
  .filter((e) => !e.closest('.wide, .hidden, .name, .caption'))
  .filter((e) => {
    const { width, left, right } = e.getBoundingClientRect();
    return width && (right > innerWidth + 1 || left < -1);
  })
  .map((e) => e.outerHTML.slice(0, 80))"""
"""Elements beside the window: none."""

UNREADABLE = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const light = (colours) => {
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  // What lies behind an element, from back to front.
  const ground = (e) => (e ? [...ground(e.parentElement), getComputedStyle(e).backgroundColor] : []);
  const found = [];
  for (const e of document.querySelectorAll('body *:not(script, noscript, svg *)')) {
    const words = [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!words || !e.checkVisibility() || e.closest('.tick, .picture, :disabled')) continue;
    const behind = ground(e);
    const [x, y] = [light([...behind, getComputedStyle(e).color]), light(behind)].sort((a, b) => b - a);
    const ratio = (x + 0.05) / (y + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${e.outerHTML.slice(0, 100)}`);
  }
  return found;
}"""
"""Words whose contrast is below 4.5 to 1, which the guidelines for accessible pages ask (WCAG 2.2, 1.4.3): none."""
