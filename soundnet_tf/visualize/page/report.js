'use strict';
// The page of the report: draws what the element #data holds. No framework, no network.
const data = JSON.parse(document.getElementById('data').textContent);
const $ = (selector) => document.querySelector(selector);

// ---- Elements. Text is always set as text, so a file may be called anything.
const SVG = 'http://www.w3.org/2000/svg';
const filled = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children);
  return element;
};
const el = (tag, attributes = {}, ...children) => filled(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => filled(document.createElementNS(SVG, tag), attributes, children);
const drawing = (width, height, ...children) => svg('svg', {
  viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true',
}, ...children);
const line = (points, attributes = {}) => svg('path', {
  class: 'stroke', d: points.map(([x, y], i) => `${i ? 'L' : 'M'}${x.toFixed(2)} ${y.toFixed(2)}`).join(''), ...attributes,
});
const count = (n, what) => `${n.toLocaleString('en')} ${what}${n === 1 ? '' : what.endsWith('s') ? 'es' : 's'}`;
const seconds = (exact, s = Math.max(0, exact)) => (s > 0 && s < 0.1 ? `${Math.max(1, Math.round(1000 * s))} ms` : s < 1 ? `${s.toFixed(2)} s` : `${s.toFixed(s < 60 ? 1 : 0)} s`);
const frequency = (hz) => (hz < 1000 ? `${Math.round(hz)} Hz` : `${(hz / 1000).toFixed(hz < 9950 ? 1 : 0)} kHz`);
const percent = (p) => `${Math.round(100 * p)}%`;
const probability = (p) => (p >= 0.0995 ? percent(p) : p >= 0.0001 ? `${(100 * p).toPrecision(2)}%` : '<0.01%');
// Draws again and again while `draw` says so, once a frame however often it is called.
const looped = (draw) => {
  let frame = 0;
  const turn = () => { cancelAnimationFrame(frame); if (draw()) frame = requestAnimationFrame(turn); };
  return turn;
};
const say = (text) => { $('#said').textContent = text; };

// ---- One sound at a time: excerpts and points share a player, which the timeline's silences and is silenced by.
const audio = new Audio();
window.player = audio;
let playing = null; // {excerpt, elements}
const timeline = $('#timeline audio');
function stop() {
  audio.pause();
  for (const element of playing ? playing.elements() : []) mark(element, false);
  playing = null;
}
function mark(element, on) {
  element.classList.toggle('playing', on);
  if (element.matches('button, [role=button]')) element.setAttribute('aria-pressed', on);
}
function play(excerpt, name, elements) {
  const again = playing && playing.excerpt === excerpt && playing.elements()[0] === elements()[0];
  stop();
  if (again) return;
  timeline.pause();
  playing = { excerpt, elements };
  elements().forEach((element) => mark(element, true));
  audio.src = `sounds/${excerpt}.mp3`;
  audio.play().then(() => say(`Playing ${name}`), (error) => {
    if (error.name === 'AbortError') return; // another one was asked for meanwhile
    say(`${name} cannot be played: ${error.message}`);
    stop();
  });
  follow();
}
const follow = looped(() => {
  const at = audio.currentTime / (audio.duration || Infinity);
  for (const element of playing ? playing.elements() : []) element.style.setProperty('--at', at);
  return playing;
});
audio.addEventListener('ended', stop);
timeline.addEventListener('play', stop);

// ---- Choices as radio buttons.
function choice(fieldset, options, chosen, change) {
  for (const option of options) {
    const input = el('input', { type: 'radio', name: fieldset.id, value: option, onchange: () => change(option) });
    input.checked = option === chosen;
    fieldset.append(el('label', {}, input, option));
  }
  fieldset.hidden = options.length < 2;
}

// ---- Waveforms.
function outlined(hex) {
  const columns = hex.length / 4;
  const byte = (at) => 255 - parseInt(hex.slice(at, at + 2), 16);
  const low = []; const high = [];
  for (let i = 0; i < columns; i += 1) { low.push(byte(4 * i)); high.push(byte(4 * i + 2)); }
  const peak = Math.max(4, ...high.map((y) => Math.abs(127.5 - y)), ...low.map((y) => Math.abs(127.5 - y)));
  const y = (value) => (50 + (value - 127.5) / peak * 48).toFixed(1);
  const there = high.map((v, i) => `${i ? 'L' : 'M'}${i} ${y(v)}`).join('');
  const back = low.map((v, i) => `L${i} ${y(v)}`).reverse().join('');
  return drawing(columns - 1, 100, svg('path', {
    class: 'body', d: `${there}${back}Z`, stroke: 'var(--hue)', 'vector-effect': 'non-scaling-stroke', 'stroke-width': 0.7,
  }));
}
const ticks = () => data.axis.ticks.map(({ hz, height }) => el('span', {
  class: 'tick', style: `bottom:${100 * height}%`, 'aria-hidden': 'true',
}, hz < 1000 ? `${hz}` : `${hz / 1000}k`));

// ---- The first filters.
function drawFilters({ layer, ms, hz, items }) {
  const section = $('#filters');
  section.querySelector('.note').textContent = `The ${count(items.length, 'filter')} of ${layer}, sorted by centre frequency. `
    + `Above each: its waveform, ${ms.toFixed(1)} ms, brought to one height. Below: its spectrum from 0 to `
    + `${frequency(hz.at(-1))}, from 40 dB below its peak to its peak; the dashed line is the centre frequency.`;
  section.querySelector('.filters').append(...items.map((item) => {
    const steps = item.wave.length - 1;
    const wave = item.wave.map((v, i) => [100 * i / steps, 50 - 46 * v]);
    const spectrum = item.levels.map((db, i) => [100 * i / (hz.length - 1), -Math.max(-40, db) * 2.5]);
    const centre = 100 * item.centre / hz.at(-1);
    return el('figure', {},
      el('figcaption', {}, el('b', {}, frequency(item.centre)), el('span', {}, `filter ${item.unit}`)),
      drawing(100, 100, line([[0, 50], [100, 50]], { class: 'grid' }), line(wave)),
      el('div', { class: 'axis' }, el('span', {}, '0'), el('span', {}, `${ms.toFixed(1)} ms`)),
      drawing(100, 100,
        line([[centre, 0], [centre, 100]], { 'stroke-dasharray': '3 3', style: 'stroke:var(--mark);stroke-width:1' }),
        line([[0, 100], [100, 100]], { class: 'grid' }), line(spectrum)),
      el('div', { class: 'axis' }, el('span', {}, '0'), el('span', {}, frequency(hz.at(-1)))));
  }));
}

// ---- Units and their excerpts.
const narrow = matchMedia('(max-width: 40rem)');
const PAGE = narrow.matches ? 4 : 8;
let layer = null; let shown = PAGE;
function tile(best, name) {
  const clip = data.clips[best.clip]; const excerpt = data.excerpts[best.excerpt];
  const span = `${excerpt.start.toFixed(2)} to ${excerpt.end.toFixed(2)} s`;
  const button = el('button', {
    type: 'button', 'aria-pressed': 'false',
    'aria-label': `Play ${clip.name}, ${span}, ${layer.head ? 'probability' : 'activation'} ${best.value}`,
    onclick: () => play(best.excerpt, clip.name, () => [button]),
  },
  el('span', { class: 'picture' },
    el('img', { src: `pictures/${best.excerpt}.png`, alt: '', loading: 'lazy', width: 256, height: 96 }),
    ...ticks(), el('i', { class: 'head' })),
  outlined(excerpt.outline));
  const length = clip.seconds < excerpt.end - 0.01 ? `${clip.seconds.toFixed(1)} s, ${data.short === 'pad' ? 'then silence' : 'repeated'}` : span;
  return el('div', { class: 'tile' }, button, el('div', { class: 'caption' },
    el('b', { title: clip.name }, clip.label ? `${clip.label} · ${clip.name.split('/').at(-1)}` : clip.name),
    el('span', { class: 'numbers' }, el('span', {}, length), el('span', { title: name },
      layer.head ? probability(best.value) : best.value.toPrecision(3)))));
}
function about(unit) {
  const labels = unit.best.map(({ clip }) => data.clips[clip].label).filter(Boolean);
  const often = labels.toSorted((a, b) => labels.filter((l) => l === b).length - labels.filter((l) => l === a).length)[0];
  const share = labels.filter((label) => label === often).length;
  return share > 1 ? [el('p', {}, `${share} of ${unit.best.length}: ${often}`)] : [];
}
function drawUnits() {
  const wanted = layer.head ? $('#search input').value.trim().toLowerCase() : '';
  const units = layer.units.filter((unit) => !wanted || unit.name.toLowerCase().includes(wanted));
  $('#search').hidden = !layer.head;
  const named = layer.names.filter((name) => name.toLowerCase().includes(wanted)).length;
  const unshown = named > units.length ? `, ${units.length || 'none'} of them among the ${layer.units.length} shown here `
    + `(--units=${layer.total} shows all but silent and near-duplicate ones)` : '';
  $('#found').textContent = wanted ? `${named ? count(named, 'class') : 'No class'} named “${wanted}”${unshown}` : '';
  $('#units .note').textContent = `${layer.head ? 'Classes' : 'Units'} of ${layer.name}, the most selective first `
    + `(${layer.units.length === layer.total ? 'all' : layer.units.length} of ${layer.total}), each with the sounds that excite it `
    + `most. An excerpt is what the ${layer.head ? 'class' : 'unit'} sees: ${seconds(layer.field)}${layer.shown > layer.field ? `, with what lies around it, ${seconds(layer.shown)} in all` : ''}. Pictures: time to the `
    + `right, frequency in Hz upwards (mel scale), lighter is louder over ${data.axis.range_db} dB; below, the waveform. `
    + `Under them: where in the file, and ${layer.head ? 'how probable' : 'the activation'}. Selectivity: near 1 where few `
    + `sounds excite it, and strongly for ${layer.name}; 0 where all do alike, or none does. Below it, what most of these sounds are.`;
  $('#list').replaceChildren(...units.slice(0, shown).map((unit) => el('article', { class: 'unit' },
    el('div', {},
      el('h3', {}, unit.short ?? `Unit ${unit.unit}`),
      el('p', {}, `selectivity ${unit.selectivity.toFixed(2)}`,
        el('div', { class: 'meter', 'aria-hidden': 'true' }, el('i', { style: `width:${100 * unit.selectivity}%` }))),
      ...about(unit)),
    el('div', { class: 'tiles' }, ...unit.best.map((best) => tile(best, unit.short ?? `unit ${unit.unit}`))))));
  if (!units.length && !wanted) $('#list').append(el('p', {}, 'No sound excites any unit.'));
  $('#more').hidden = units.length <= shown;
  $('#more').textContent = `Show more (${units.length - shown} left)`;
}
function startUnits() {
  const choose = (name) => {
    stop();
    layer = data.layers.find((one) => one.name === name);
    shown = PAGE;
    drawUnits();
  };
  choice($('#layers'), data.layers.map((one) => one.name), data.layers[0].name, choose);
  $('#search input').addEventListener('input', () => { stop(); shown = PAGE; drawUnits(); });
  $('#more').addEventListener('click', () => {
    stop();
    const before = shown;
    shown += 2 * PAGE;
    drawUnits();
    $(`#list .unit:nth-child(${before + 1}) button`)?.focus();
  });
  choose(data.layers[0].name);
}

// ---- The map.
// Neighbours differ in lightness too.
const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#d55e00', '#56b4e9'];
const SHAPES = [
  'M6 0A6 6 0 1 1 -6 0A6 6 0 1 1 6 0Z', 'M-5.3 -5.3H5.3V5.3H-5.3Z', 'M0 -7L6.5 5H-6.5Z', 'M0 -7.5L7 0L0 7.5L-7 0Z',
  'M-2.2 -6.5H2.2V-2.2H6.5V2.2H2.2V6.5H-2.2V2.2H-6.5V-2.2H-2.2Z',
];
const CATEGORIES = 24; // rarer ones are "other"
const map = { view: null, colour: null, off: new Set(), categories: [] };
const PREDICTED = 'predicted ';  // before a head's name
const category = (clip) => (map.colour === 'label' ? clip.label ?? 'no label' : clip.top_classes[map.colour.slice(PREDICTED.length)][0]);
const look = (name) => {
  const at = map.categories.findIndex(([other]) => other === name);
  return at < 0 ? { fill: 'var(--soft)', d: SHAPES[0] } : { fill: COLOURS[at % 6], d: SHAPES[at % 5] };
};
const shownAs = (clip) => (map.categories.some(([name]) => name === category(clip)) ? category(clip) : 'other');
function described(clip) {
  const predicted = Object.entries(clip.top_classes).map(([head, [name, p]]) => `${head}: ${name} ${probability(p)}`);
  return [clip.label ? `about ${clip.label}` : '', ...predicted].filter(Boolean).join('; ');
}
function points(at) { return [...document.querySelectorAll(`.point[data-at="${at}"]`)]; }
function point(at) {
  const { clip: number, excerpt } = data.maps.clips[at]; const clip = data.clips[number];
  $('#pointed').replaceChildren(el('img', { src: `pictures/${excerpt}.png`, alt: '', width: 256, height: 96 }),
    el('b', {}, clip.name), el('br'), `${described(clip)}; ${seconds(clip.seconds)}`);
  for (const other of document.querySelectorAll('.point.same')) other.classList.remove('same');
  points(at).forEach((one) => one.classList.add('same'));
}
function playPoint(at) {
  const { clip, excerpt } = data.maps.clips[at];
  point(at);
  play(excerpt, data.clips[clip].name, () => points(at));
}
function panel(view) {
  const alone = data.maps.views.every((one) => one.kind === 'sound');
  const [width, height, edge] = narrow.matches ? [360, 400, 10] : alone ? [900, 600, 16] : [560, 480, 14];
  const found = view.xy.flatMap((xy, at) => {
    const { clip: number, there } = data.maps.clips[at]; const clip = data.clips[number];
    if (!xy || !there || map.off.has(shownAs(clip))) return [];
    const [x, y] = [edge + xy[0] * (width - 2 * edge), edge + xy[1] * (height - 2 * edge)];
    return [{ at, x, y, clip }];
  });
  const elements = new Map(found.map(({ at, x, y, clip }) => [at, svg('g', {
    class: 'point', role: 'button', tabindex: -1, 'data-at': at, 'aria-pressed': 'false',
    transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`, 'aria-label': `Play ${clip.name}, ${described(clip)}`,
    onpointerenter: () => point(at), onfocus: (event) => { stopAt(event.currentTarget); point(at); },
  }, svg('path', look(shownAs(clip))))]));
  // The point nearest to a click or a finger, which is wider than a point.
  const click = (event) => {
    // A screen reader's click says which point, and not where.
    const meant = event.target.closest('.point');
    if (meant && !event.detail) return playPoint(Number(meant.dataset.at));
    const box = event.currentTarget.getBoundingClientRect(); const scale = width / box.width;
    const far = ({ x, y }) => Math.hypot(x - (event.clientX - box.left) * scale, y - (event.clientY - box.top) * scale);
    const next = found.reduce((a, b) => (far(b) < far(a) ? b : a), found[0]);
    if (next && far(next) < 22 * scale) playPoint(next.at);
  };
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const go = (next) => elements.get(next.at).focus();
  // Wherever the focus came from, one point is where the Tab key goes.
  const stopAt = (element) => {
    for (const other of elements.values()) other.setAttribute('tabindex', -1);
    element.setAttribute('tabindex', 0);
  };
  // One stop of the Tab key for all points; arrows go to the nearest point that way, Page Up and Down reach every one.
  const key = (event) => {
    const target = event.target.closest('.point');
    if (!target) return;
    const from = found.find(({ at }) => at === Number(target.dataset.at));
    if (event.key === 'Enter' || event.key === ' ') playPoint(from.at);
    else if (event.key === 'Home' || event.key === 'End' || event.key.startsWith('Page')) {
      const at = found.indexOf(from);
      const to = { Home: 0, End: found.length - 1, PageUp: Math.max(0, at - 1), PageDown: Math.min(found.length - 1, at + 1) };
      go(found[to[event.key]]);
    } else if (steps[event.key]) {
      const [dx, dy] = steps[event.key];
      const far = ({ x, y }) => {
        const along = (x - from.x) * dx + (y - from.y) * dy; const aside = Math.abs((x - from.x) * dy) + Math.abs((y - from.y) * dx);
        return along > 0 ? along + 2 * aside : Infinity;
      };
      const next = found.reduce((a, b) => (far(b) < far(a) ? b : a), from);
      if (far(next) === Infinity) return event.preventDefault();
      go(next);
    } else return;
    event.preventDefault();
  };
  const first = found.length && elements.get(found[0].at);
  if (first) first.setAttribute('tabindex', 0);
  return el('figure', { class: 'panel' },
    el('figcaption', {}, view.kind === 'vision' ? `As vision sees them (${count(found.length, 'clip')})`
      : `As ${view.name} hears them (${count(found.length, 'clip')})`),
    svg('svg', {
      viewBox: `0 0 ${width} ${height}`, role: 'group', onkeydown: key, onclick: click,
      'aria-label': `Map of clips: ${view.name}. Arrow keys and Page Down go from clip to clip, Enter plays.`,
    }, ...elements.values()));
}
function drawMap() {
  stop();
  const views = data.maps.views.filter((view) => view.name === map.view || view.kind === 'vision');
  $('#map .panels').replaceChildren(...views.map(panel));
}
function drawLegend() {
  const counts = new Map();
  for (const { clip } of data.maps.clips) counts.set(category(data.clips[clip]), (counts.get(category(data.clips[clip])) ?? 0) + 1);
  const sorted = [...counts].sort(([a, m], [b, n]) => n - m || a.localeCompare(b));
  map.categories = sorted.slice(0, CATEGORIES);
  map.off.clear();
  const rest = sorted.slice(CATEGORIES).reduce((sum, [, n]) => sum + n, 0);
  const entries = [...map.categories, ...(rest ? [['other', rest]] : [])];
  const buttons = entries.map(([name, n]) => el('button', {
    type: 'button', 'aria-pressed': 'true', onclick: (event) => {
      if (!map.off.delete(name)) map.off.add(name);
      event.currentTarget.setAttribute('aria-pressed', !map.off.has(name));
      drawMap();
    },
  }, svg('svg', { viewBox: '-8 -8 16 16', 'aria-hidden': 'true' }, svg('path', look(name))), name, el('small', {}, n)));
  const all = (on) => el('button', { type: 'button', onclick: () => {
    map.off = new Set(on ? [] : entries.map(([name]) => name));
    buttons.forEach((button) => button.setAttribute('aria-pressed', on));
    drawMap();
  } }, on ? 'Show all' : 'Hide all');
  $('#map .legend').replaceChildren(...buttons, all(true), all(false));
}
function startMap() {
  const sounds = data.maps.views.filter((view) => view.kind === 'sound').map((view) => view.name);
  const clips = data.maps.clips.map(({ clip }) => data.clips[clip]);
  const colours = [...(clips.some((clip) => clip.label) ? ['label'] : []),
    ...Object.keys(data.net.heads).map((head) => `${PREDICTED}${head}`)];
  if (!colours.length) { colours.push('label'); }
  $('#map .note').textContent = 'Clips that lie close together are alike to the layer (t-SNE of its mean over time; '
    + 'distances between far groups say little). A click plays the loudest 3 s of a clip (of a long file the middle); the legend shows and hides.';
  [map.view] = sounds.slice(-1);
  [map.colour] = colours;
  choice($('#views'), sounds, map.view, (name) => { map.view = name; drawMap(); });
  choice($('#colours'), colours, map.colour, (name) => { map.colour = name; drawLegend(); drawMap(); });
  drawLegend();
  drawMap();
  narrow.addEventListener('change', drawMap);
}

// ---- One sound over time.
function startTimeline(given) {
  const at = (time) => 100 * Math.min(1, Math.max(0, time / given.seconds));
  const seek = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    timeline.currentTime = given.seconds * (event.clientX - box.left) / box.width;
  };
  const plot = (kind, ...children) => el('div', { class: `plot ${kind}`, onclick: seek }, ...children, el('i', { class: 'head' }));
  const filled = data.short === 'pad' ? 'followed by silence' : 'repeated';
  const repeated = given.own_seconds < given.seconds - 0.01 ? ` It is ${seconds(given.own_seconds)} long, and ${filled} as the heads need more.` : '';
  const part = given.whole ? '' : ` The first ${seconds(given.seconds)} of it.`;
  const pace = ({ hop, field }) => `every ${seconds(hop)}, each from ${seconds(field)} of sound around its middle`;
  const paces = [...new Set(given.heads.map(pace))];
  const said = paces.length === 1 ? `the ${given.heads.length === 1 ? 'head gives' : 'heads give'} probabilities ${paces[0]}`
    : given.heads.map((head) => `${head.name} gives probabilities ${pace(head)}`).join('; ');
  $('#timeline .note').textContent = `${given.name}: ${said}.${part}${repeated} A click goes to that moment. `
    + 'The fuller a cell’s colour, the more probable; without a number it is below 5%, or too narrow for one.';
  timeline.src = 'timeline.mp3';
  timeline.setAttribute('aria-label', `Sound of ${given.name}`);
  const every = [1, 2, 5, 10, 20, 30, 60].find((step) => given.seconds / step <= 8) ?? 60;
  const marks = Array.from({ length: Math.floor(given.seconds / every) + 1 }, (_, i) => i * every);
  const axis = el('div', { class: 'plot', style: 'height:1.2rem;cursor:default' }, ...marks.map((time) => el('span', {
    style: `position:absolute;left:${at(time)}%;font-size:.72rem;color:var(--soft);white-space:nowrap;`
      + `${at(time) > 93 ? 'transform:translateX(-100%)' : time ? 'transform:translateX(-50%)' : ''}`,
  }, `${time} s`)));
  const spoken = (row, head) => {
    const most = Math.max(...row.values);
    return el('span', { class: 'hidden' }, `up to ${probability(most)}, at ${seconds(head.times[row.values.indexOf(most)])}`);
  };
  const name = (text) => el('div', { class: 'name', title: text }, text);
  $('#timeline .lines').append(
    name('waveform'), plot('', outlined(given.outline)),
    name('spectrogram, Hz'), plot('', el('img', { src: 'timeline.png', alt: `Spectrogram of ${given.name}` }), ...ticks()),
    name(''), axis,
    ...given.heads.flatMap((head) => [
      el('div', { class: 'title' }, `${head.name}: the most probable classes`),
      ...head.rows.flatMap((row) => [name(row.name), spoken(row, head), plot('cells', ...row.values.map((p, i) => {
        const [from, to] = [at(head.times[i] - head.hop / 2), at(head.times[i] + head.hop / 2)];
        return el('span', {
          class: 'cell', style: `left:${from}%;width:${to - from}%;--p:${p}`,
          title: `${row.name} ${percent(p)} at ${seconds(head.times[i])}`,
        }, el('b', {}, p >= 0.05 ? percent(p) : ''));
      }))]),
    ]));
  const heads = [...document.querySelectorAll('#timeline .head')];
  const tell = looped(() => {
    const share = timeline.currentTime / given.seconds;
    heads.forEach((head) => head.style.setProperty('--at', Math.min(1, share)));
    $('#now').textContent = `${timeline.currentTime.toFixed(1)} s: ` + given.heads.map((head) => {
      const near = head.times.reduce((a, time, i) => (Math.abs(time - timeline.currentTime)
        < Math.abs(head.times[a] - timeline.currentTime) ? i : a), 0);
      return `${head.name} says ${head.top[near][0]} (${probability(head.top[near][1])})`;
    }).join('; ');
    return !timeline.paused;
  });
  for (const event of ['play', 'seeked', 'timeupdate']) timeline.addEventListener(event, tell);
  tell();
}

// ---- Curves.
const DASHES = ['', '6 4', '2 3', '8 3 2 3'];
function chart({ name, counter, lines }) {
  const xs = lines.flatMap((one) => one.x); const ys = lines.flatMap((one) => one.y);
  const share = ['accuracy', 'top1', 'top5'].includes(name);
  const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  const [y0, y1] = share ? [0, 1] : [Math.min(0, ...ys), Math.max(...ys) || 1];
  const at = (x, y) => [100 * (x - x0) / (x1 - x0 || 1), 100 - 100 * (y - y0) / (y1 - y0 || 1)];
  const written = (y) => (share ? percent(y) : Number(y.toPrecision(3)));
  const drawn = lines.map((one, i) => ({
    ...one, style: `stroke:${i ? COLOURS[i % 6] : 'var(--hue)'}`, 'stroke-dasharray': DASHES[i % 4],
  }));
  // A single point would be invisible.
  const dashed = (points) => (points.length > 1 ? points : [-1, 1].map((aside) => [points[0][0] + aside, points[0][1]]));
  const stroke = ({ style, 'stroke-dasharray': dash }, points) => line(points, { style, 'stroke-dasharray': dash });
  const summary = lines.map((one) => `${one.name} from ${written(one.y[0])} to ${written(one.y.at(-1))}`).join(', ');
  return el('figure', { class: 'chart', role: 'img', 'aria-label': `${name} over ${counter}s: ${summary}` },
    el('figcaption', {}, el('b', {}, name.replaceAll('_', ' ')), ...drawn.map((one) => el('span', { class: 'key' },
      drawing(16, 6, stroke(one, [[0, 3], [16, 3]])), `${one.name} → ${written(one.y.at(-1))}`))),
    el('div', { class: 'axis y' }, ...[1, 0.5, 0].map((s) => el('span', {}, written(y0 + s * (y1 - y0))))),
    drawing(100, 100, ...[0, 50, 100].map((y) => line([[0, y], [100, y]], { class: 'grid' })),
      ...drawn.map((one) => stroke(one, dashed(one.x.map((x, i) => at(x, one.y[i])))))),
    el('div', { class: 'axis x' }, ...[0, 0.5, 1].map((s) => el('span', {}, `${s === 1 ? `${counter} ` : ''}${Math.round(x0 + s * (x1 - x0)).toLocaleString('en')}`))));
}

// ---- Confusion matrices.
const MAX_CLASSES = 100;
// Of very many classes nobody sees the cells, and a browser takes minutes to draw them.
function mistakes({ name, classes, counts, accuracy }) {
  const found = counts.flatMap((row, i) => row.map((n, j) => ({ n, i, j })).filter(({ n, j }) => n && i !== j));
  if (!found.length) return el('div', { class: 'wide' }, el('h3', {}, `${name ? `${name}: ` : ''}no mistake in ${classes.length} classes`));
  const total = counts.flat().reduce((a, b) => a + b, 0);
  return el('div', { class: 'wide' },
    el('h3', {}, `${name ? `${name}: ` : ''}${percent(accuracy)} of ${count(total, 'clip')} named rightly`),
    el('p', {}, `Of ${classes.length} classes only the most frequent mistakes:`),
    el('ol', {}, ...found.sort((a, b) => b.n - a.n).slice(0, 50).map(({ n, i, j }) => el('li', {}, `${classes[i]} named ${classes[j]}: ${n}`))));
}
function matrix({ name, classes, counts, accuracy }) {
  const total = counts.flat().reduce((a, b) => a + b, 0);
  return el('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': `Confusion matrix ${name}` }, el('table', {},
    el('caption', {}, `${name ? `${name}: ` : ''}${percent(accuracy)} of ${count(total, 'clip')} named rightly`),
    el('thead', {}, el('tr', {}, el('td', { class: 'corner' }, 'it is ↓  named →'), ...classes.map((one) => el('th', { scope: 'col' }, el('span', {}, one))))),
    el('tbody', {}, ...counts.map((row, i) => {
      const sum = row.reduce((a, b) => a + b, 0) || 1;
      return el('tr', {}, el('th', { scope: 'row', title: classes[i] }, classes[i]), ...row.map((n, j) => el('td', {
        class: i === j && 'right', style: `--p:${(n / sum).toFixed(3)}`,
        title: `${classes[i]} named ${classes[j]}: ${n}`,
      }, n || '')));
    }))));
}

function drawConfusions() {
  const few = (one) => one.classes.length <= MAX_CLASSES;
  $('#confusion .note').hidden = !data.confusions.some(few);
  $('#confusion .matrices').append(...data.confusions.map((one) => (few(one) ? matrix : mistakes)(one)));
}

// ---- All of it.
const { net } = data;
const long = net.seconds < 60 ? seconds(net.seconds) : net.seconds < 3600 ? count(Math.round(net.seconds / 60), 'minute') : `${(net.seconds / 3600).toFixed(1)} hours`;
const failed = Object.entries(data.failed).map(([why, n]) => `${n} ${why}`);
$('#facts').textContent = `${count(net.sounds, 'sound')}, ${long} in all${failed.length ? ` (left out: ${failed.join(', ')})` : ''}. `
  + `Layers ${net.layers.join(', ')}${Object.keys(net.heads).length ? `; heads ${Object.entries(net.heads).map(([head, n]) => `${head} (${n} classes)`).join(', ')}` : ''}.`;
if (data.lost.length) {
  $('#facts').after(el('details', {}, el('summary', {}, `${count(data.lost.length, 'sound')} left out`),
    el('ul', {}, ...data.lost.map((name) => el('li', {}, name)))));
}
$('#written').textContent = `Written ${data.written} by soundnet-visualize.`;
$('#theme').addEventListener('click', () => {
  const dark = getComputedStyle(document.body).backgroundColor === 'rgb(20, 24, 30)';
  document.documentElement.style.colorScheme = dark ? 'light' : 'dark';
});
const sections = [
  ['filters', data.filters.items.length, () => drawFilters(data.filters)],
  ['units', data.layers.length, startUnits],
  ['map', data.maps.views.length, startMap],
  ['timeline', data.timeline, () => startTimeline(data.timeline)],
  ['learning', data.curves.length, () => $('#learning .charts').append(...data.curves.map(chart))],
  ['confusion', data.confusions.length, drawConfusions],
];
for (const [id, there, draw] of sections) {
  if (!there) continue;
  $(`#${id}`).hidden = false;
  $('#parts').append(el('a', { href: `#${id}` }, $(`#${id}-title`).textContent));
  draw();
}
