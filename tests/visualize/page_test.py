"""The page in a real browser, from disk, without a network: it plays, filters, fits, and is usable by keyboard.

Screenshots are kept in the folder that SOUNDNET_SCREENSHOTS names, else in pytest's temporary folder.
"""

import json
import os
import pathlib
import re
import shutil

import pytest

from soundnet_tf import geometry
from soundnet_tf.spec import SAMPLE_RATE, SOUNDNET8
from soundnet_tf.visualize.page import embedded as page_json
from tests import browsers
from tests.visualize.conftest import NASTY, PLACES

pytestmark = browsers.MARKS

SECTIONS = ('filters', 'units', 'map', 'timeline', 'learning', 'confusion')


@pytest.fixture(scope='module')
def browser():
    with browsers.launched() as browser:
        yield browser


@pytest.fixture
def opened(browser, written):
    """A function that opens the report; at the end nothing may have gone wrong, and nothing been fetched."""
    wrong, pages = [], []

    def open_page(width=1440, scheme='light', report=written, **options):
        page = browser.new_page(viewport={'width': width, 'height': 900}, color_scheme=scheme, **options)
        page.on('console', lambda message: wrong.append(message.text) if message.type != 'log' else None)
        page.on('pageerror', lambda error: wrong.append(str(error)))
        page.on('requestfailed', lambda request: wrong.append(request.url))
        page.on('request', lambda r: None if r.url.startswith(('file:', 'data:')) else wrong.append(r.url))
        page.on('dialog', lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.goto((report / 'index.html').as_uri())
        # Slowly, so that a busy machine sees it play.
        page.evaluate('player.defaultPlaybackRate = 0.25')
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    # A sound that is stopped while it is being loaded is no failure.
    assert [what for what in wrong if not what.endswith('.mp3')] == []


def playing(page):
    """Waits until the shared player plays; gives the file's name."""
    page.wait_for_function('!player.paused && player.currentTime > 0.02')
    return page.evaluate('player.currentSrc.split("/").at(-1)')


@pytest.fixture(scope='module')
def screenshots(tmp_path_factory):
    folder = pathlib.Path(os.environ.get('SOUNDNET_SCREENSHOTS') or tmp_path_factory.mktemp('screenshots'))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize(('width', 'scheme'), [(390, 'light'), (390, 'dark'), (1440, 'light'), (1440, 'dark')])
def test_the_layout(opened, screenshots, width, scheme):
    page = opened(width, scheme)
    for section in SECTIONS:
        page.locator(f'#{section}').scroll_into_view_if_needed()
        page.locator(f'#{section}').screenshot(path=screenshots / f'{section}-{width}-{scheme}.png')
    page.evaluate('scrollTo({top: 0, behavior: "instant"})')
    page.screenshot(path=screenshots / f'page-{width}-{scheme}.png')
    assert page.evaluate(browsers.SIDEWAYS) == 0
    broken = 'img => img.complete && !img.naturalWidth'
    assert page.evaluate(f'[...document.images].filter({broken}).map(img => img.src)') == []
    assert page.evaluate(browsers.OUTSIDE) == []
    light = page.evaluate('getComputedStyle(document.body).backgroundColor') == 'rgb(251, 250, 247)'
    assert light == (scheme == 'light')
    tiles = page.evaluate("getComputedStyle(document.querySelector('.tiles')).gridTemplateColumns.split(' ').length")
    assert tiles == 2 if width == 390 else tiles > 4


def test_words_are_readable(opened):
    """Contrast of at least 4.5 to 1 for text, as the guidelines for accessible pages ask (WCAG 2.2, 1.4.3)."""
    for scheme in ('light', 'dark'):
        assert opened(1440, scheme).evaluate(browsers.UNREADABLE) == []


def test_a_click_plays_and_another_stops(opened):
    page = opened()
    first, second = page.locator('.tile button').nth(0), page.locator('.tile button').nth(1)
    first.click()
    assert playing(page).endswith('.mp3')
    assert first.get_attribute('aria-pressed') == 'true'
    assert page.locator('#said').inner_text().startswith('Playing 0')
    second.click()
    playing(page)
    assert first.get_attribute('aria-pressed') == 'false'
    assert page.locator('.playing').count() == 1
    second.click()
    assert page.evaluate('player.paused')
    page.evaluate('player.defaultPlaybackRate = 4')
    first.click()
    page.wait_for_function("!document.querySelector('.playing')")  # it ends by itself


def test_layers_search_and_more(opened):
    page = opened()
    page.get_by_text('conv7', exact=True).first.click()
    assert page.locator('.unit').count() == 8
    page.get_by_role('button', name='Show more').click()
    assert page.locator('.unit').count() == 12
    assert page.evaluate("document.activeElement.closest('.unit') === document.querySelectorAll('.unit')[8]")
    assert not page.locator('#search').is_visible()
    page.get_by_text('places', exact=True).first.click()
    assert sorted(page.locator('.unit h3').all_inner_texts()) == sorted(PLACES)
    page.get_by_role('searchbox', name='Class').fill('KITCH')
    assert page.locator('.unit h3').all_inner_texts() == ['<b>kitchen</b>']
    assert page.locator('#found').inner_text() == '1 class named “kitch”'
    page.get_by_role('searchbox', name='Class').fill('volcano')
    assert page.locator('#found').inner_text() == 'No class named “volcano”'


def test_a_class_is_shown_by_its_first_synonym_and_found_by_all(opened):
    page = opened()
    page.get_by_text('imagenet', exact=True).first.click()
    units = page.evaluate("data.layers.find((layer) => layer.name === 'imagenet').units")
    unit = next(unit for unit in units if ', ' in unit['name'])
    first, *others = unit['name'].split(', ')
    page.get_by_role('searchbox', name='Class').fill(others[-1])
    shown = page.locator('.unit h3').all_inner_texts()
    assert first in shown
    assert not [name for name in shown if ', ' in name]
    assert page.locator('.tile .numbers span[title]').first.get_attribute('title') in shown


def test_names_are_shown_as_they_are(opened):
    page = opened()
    assert page.locator('main img:not([src^="pictures/"]):not([src="timeline.png"])').count() == 0
    page.get_by_text('places', exact=True).first.click()
    shown = page.locator('.caption b').all_inner_texts()
    assert any(NASTY in name for name in shown)
    assert page.locator('#confusion th', has_text='<i>noises</i>').count() == 4


def test_points_play_and_the_legend_filters(opened):
    page = opened()
    panels = page.locator('.panel')
    assert panels.count() == 2, 'sound and vision side by side'
    assert panels.nth(0).locator('.point').count() == panels.nth(1).locator('.point').count() == 12
    point = panels.nth(1).locator('.point').nth(0)
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.click(box['x'] + box['width'] / 2, box['y'] + box['height'] / 2)
    assert 'loudest' in playing(page)
    assert page.locator('.point.playing').count() == 2, 'the clip is marked in both'
    assert 'about ' in page.locator('#pointed').inner_text()
    tones = page.locator('.legend button', has_text='tones')
    tones.click()
    assert tones.get_attribute('aria-pressed') == 'false'
    assert panels.nth(0).locator('.point').count() == panels.nth(1).locator('.point').count() == 6
    page.get_by_role('button', name='Hide all').click()
    assert page.locator('.point').count() == 0
    page.get_by_role('button', name='Show all').click()
    assert page.locator('.point').count() == 24
    page.locator('#views').get_by_text('conv5', exact=True).click()
    assert 'conv5' in panels.nth(0).inner_text()
    page.get_by_text('predicted places').click()
    names = {text.rsplit('\n')[0].strip() for text in page.locator('.legend button:has(svg)').all_inner_texts()}
    assert names
    assert all(any(name.startswith(place) for place in PLACES) for name in names)


def test_a_tap_plays_the_nearest_point(opened):
    page = opened(390, has_touch=True)
    page.locator('.point').nth(0).scroll_into_view_if_needed()
    box = page.locator('.point').nth(0).bounding_box()
    page.touchscreen.tap(box['x'] + box['width'] / 2 + 6, box['y'] + box['height'] / 2 + 6)
    assert 'loudest' in playing(page)


def test_by_keyboard_alone(opened):
    page = opened()
    reached = []
    for _ in range(200):
        page.keyboard.press('Tab')
        reached.append(page.evaluate("document.activeElement.closest('section')?.id ?? document.activeElement.tagName"))
        outline = page.evaluate("""() => { const e = document.activeElement;
            const seen = e.matches('.choice input') ? e.parentElement : e.matches('.point') ? e.firstElementChild : e;
            const s = getComputedStyle(seen); return s.outlineStyle !== 'none' || parseFloat(s.strokeWidth) >= 3; }""")
        assert outline or reached[-1] in ('timeline', 'BODY'), 'the focus is seen'
        if reached[-1] == 'confusion':
            break
    assert [*dict.fromkeys(r for r in reached if r in SECTIONS)] == ['units', 'map', 'timeline', 'confusion']
    assert reached.count('map') < 20, 'the points are one stop'
    point = page.locator('.point[tabindex="0"]').first
    point.focus()
    been = {point.get_attribute('data-at')}
    for key in ('ArrowRight', 'ArrowDown', 'ArrowLeft', 'ArrowUp'):
        page.keyboard.press(key)
        been.add(page.evaluate("document.activeElement.closest('.point').dataset.at"))
    assert len(been) > 2
    page.keyboard.press('Enter')
    assert 'loudest' in playing(page)
    assert page.evaluate('document.activeElement.classList.contains("playing")')


def test_the_mouse_leaves_one_stop_of_the_tab_key(opened):
    page = opened()
    panel = page.locator('#map .panel').first
    for at in (1, 3, 5):
        panel.locator('.point').nth(at).click()
        page.keyboard.press('PageUp')
    assert panel.locator('.point[tabindex="0"]').count() == 1


def test_unusual_reports(opened, written, tmp_path):
    """Very many classes, curves of one point, a clip that silence follows, files that are left out, little sound."""
    report = tmp_path / 'report'
    shutil.copytree(written, report)
    text = (report / 'index.html').read_text()
    begin = text.index('id="data">') + len('id="data">')
    end = text.index('</script>', begin)
    data = json.loads(text[begin:end])
    counts = [[3 * (i == j) for j in range(150)] for i in range(150)]
    counts[7][8] = 2
    classes = [f'kind {i}' for i in range(150)]
    data['confusions'] = [{'name': 'test', 'classes': classes, 'counts': counts, 'accuracy': 450 / 452}]
    data['curves'] = [{'name': 'loss', 'counter': 'epoch', 'lines': [{'name': 'validation', 'x': [1], 'y': [0.5]}]}]
    data['short'], data['timeline']['own_seconds'] = 'pad', 3.0
    data['net']['seconds'] = 2.0
    data['layers'][0] |= {'field': 0.003, 'shown': 0.2}
    (report / 'index.html').write_text(text[:begin] + page_json(data) + text[end:])
    page = opened(report=report)
    confusion = page.locator('#confusion')
    assert confusion.locator('td').count() == 0
    assert confusion.locator('li').all_inner_texts() == ['kind 7 named kind 8: 2']
    assert not confusion.locator('.note').is_visible()
    assert page.evaluate("document.querySelector('#learning svg:not(.key svg) path:not(.grid)').getTotalLength()") > 1
    assert 'It is 3.0 s long, and followed by silence' in page.locator('#timeline .note').inner_text()
    assert '12 sounds, 2.0 s in all' in page.locator('#facts').inner_text()
    assert (
        'what the unit sees: 3 ms, with what lies around it, 0.20 s in all' in page.locator('#units .note').inner_text()
    )
    page.locator('header summary').click()
    assert page.locator('header li').all_inner_texts() == ['002 - noises/bad.wav']


def test_for_screen_readers(opened):
    page = opened()
    wants = 'button, input, audio, nav, [role=button], [role=img], [role=region], [role=group]'
    nameless = f"""[...document.querySelectorAll('{wants}')]
        .filter(e => !(e.ariaLabel || e.labels?.length || e.textContent.trim())).map(e => e.outerHTML.slice(0, 80))"""
    assert page.evaluate(nameless) == []
    label = page.locator('.tile button').first.get_attribute('aria-label')
    assert re.fullmatch(r'Play 00\d - .*, \d+\.\d\d to \d+\.\d\d s, activation [\d.]+', label)
    assert page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(h => +h.tagName[1])")[:2] == [1, 2]
    assert page.locator('.chart').first.get_attribute('aria-label').startswith('loss over steps: places from')


def test_the_timeline_plays_in_step(opened):
    page = opened()
    assert 'long.wav' in page.locator('#timeline .note').inner_text()
    page.locator('.tile button').first.click()
    playing(page)
    page.evaluate("document.querySelector('#timeline audio').play()")
    page.wait_for_function("document.querySelector('#timeline audio').currentTime > 0.3")
    assert page.evaluate('player.paused'), 'one sound at a time'
    page.evaluate("document.querySelector('#timeline audio').pause()")
    plot = page.locator('.plot').nth(1)
    box = plot.bounding_box()
    plot.click(position={'x': box['width'] / 2, 'y': 20})
    page.wait_for_function("Math.abs(document.querySelector('#timeline audio').currentTime - 32.5) < 0.5")
    page.wait_for_function(
        "Math.abs(document.querySelector('.plot .head').style.getPropertyValue('--at') - 0.5) < 0.01"
    )
    assert re.match(r'32\.\d s: .* says .* \(\d+%\)', page.locator('#now').inner_text())
    assert 'up to ' in page.locator('#timeline .lines .hidden').first.text_content()
    cells = page.locator('.cells').first.locator('.cell')
    assert cells.count() == geometry.frames(SOUNDNET8, 'conv8', 65 * SAMPLE_RATE)


def test_the_timeline_draws_once_a_frame(opened):
    """However many time events come: each once started another loop."""
    page = opened()
    page.evaluate("""() => { const ask = requestAnimationFrame; window.asked = 0;
        window.requestAnimationFrame = (draw) => { window.asked += 1; return ask(draw); };
        window.frames = (n) => new Promise((done) => {
          const turn = () => { n -= 1; if (n) ask(turn); else done(window.asked); }; ask(turn); }); }""")
    page.evaluate("document.querySelector('#timeline audio').play()")
    page.wait_for_function("document.querySelector('#timeline audio').currentTime > 0.1")
    page.evaluate("""() => { for (let i = 0; i < 20; i += 1)
        document.querySelector('#timeline audio').dispatchEvent(new Event('timeupdate')); window.asked = 0; }""")
    # One for each frame, and one more for each `timeupdate` of the sound itself, of which there are four a second.
    assert page.evaluate('frames(20)') < 20 + 15


def test_a_click_without_a_place_plays_its_point(opened):
    page = opened()
    page.locator('.point').nth(3).dispatch_event('click')
    assert 'loudest' in playing(page)
    assert 'playing' in page.locator('.point').nth(3).get_attribute('class')
    page.locator('.point[tabindex="0"]').first.focus()
    been = set()
    for _ in range(12):
        been.add(page.evaluate("document.activeElement.closest('.point').dataset.at"))
        page.keyboard.press('PageDown')
    assert len(been) == 12, 'every point is reached'


def test_light_and_dark_by_the_button(opened):
    page = opened(1440, 'dark')
    ground = 'getComputedStyle(document.body).backgroundColor'
    before = page.evaluate(ground)
    page.get_by_role('button', name='Light or dark').click()
    assert page.evaluate(ground) == 'rgb(251, 250, 247)'
    page.get_by_role('button', name='Light or dark').click()
    assert page.evaluate(ground) == before
