// The page: it takes sound from the microphone or a file, gives it to the worker, and shows what comes back.
'use strict';

const SPAN_S = 20; // seconds that the pictures show
const PIECE_S = 5; // seconds of a file that the worker gets at a time
const TOP = 5, LINES = 8;
const $ = (selector) => document.querySelector(selector);
let worker, net;
let action = 0; // counts what a person began: the microphone, or a file; only the latest is gone on with
let stopMicrophone = () => {};
let shown = null; // what is known of the current sound

function status(text) {
  if ($('#status').textContent !== text) $('#status').textContent = text;
}

// Loading

async function load() {
  if (window.location.protocol === 'file:') {
    return status('This page needs a server. In its folder: python3 -m http.server, then open http://127.0.0.1:8000');
  }
  if ('serviceWorker' in navigator) navigator.serviceWorker.register('offline.js').catch(() => {});
  net = await (await fetch('net.json')).json();
  document.title = `What ${net.name} hears`;
  $('#name').textContent = net.name;
  $('#window').textContent = (net.samples / net.sample_rate).toFixed(0);
  const thresholds = net.heads.map((head) => head.threshold).filter((threshold) => threshold !== null);
  $('#trust').textContent = thresholds.length
    ? `It is sure from ${percent(Math.min(...thresholds))} on; below, its best guess is often wrong.`
    : 'It learned from pictures and guesses what one would show: take its answers as hints, not as names of sounds.';
  for (const head of net.heads) {
    const card = document.createElement('article');
    card.className = 'head';
    card.id = `head-${head.name}`;
    card.innerHTML = '<h2></h2><p class="best"></p><ol></ol>';
    card.querySelector('h2').textContent = head.title;
    $('#heads').append(card);
    const canvas = document.createElement('canvas');
    canvas.id = `timeline-${head.name}`;
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', `Probabilities over time: ${head.title}`);
    $('#timelines').append(canvas);
  }
  worker = new Worker('listen.js');
  worker.onmessage = ({ data }) => received(data);
  worker.onerror = (event) => status(`The net cannot be run: ${event.message || 'this browser is too old'}`);
  worker.postMessage({ net });
}

function received(data) {
  if (data.error) {
    status(`The net cannot be run: ${data.error}`);
  } else if (data.ready) {
    $('#microphone').disabled = $('#file').disabled = false;
    status('Ready: press Listen, or open or drop a sound file.');
  } else if (shown && data.id === shown.id) {
    if (data.columns) shown.columns.push(...data.columns);
    if (data.answer) answered(data);
    if (data.ended && !shown.live) {
      const found = shown.answers.length ? summary(shown.answers) : 'no sound in it';
      status(`${shown.name}: ${data.seconds.toFixed(2)} s, ${found}`);
      document.body.dataset.done = shown.id;
    }
    changed();
  }
}

// Sound

// Ends what is going on, and clears the page for something new; returns its number.
function start() {
  action += 1;
  stopMicrophone();
  shown = null;
  delete document.body.dataset.done;
  $('#player').hidden = $('#scroll').hidden = true;
  $('#player').pause();
  for (const head of net.heads) show(head, null);
  changed();
  return action;
}

function begin(id, rate, facts) {
  shown = { id, columns: [], answers: [], milliseconds: [], ...facts };
  worker.postMessage({ id, start: rate, live: facts.live });
  changed();
}

async function listen() {
  const mine = start();
  if (!navigator.mediaDevices) {
    return status('Browsers give pages the microphone on https and on 127.0.0.1 only. Open this page there.');
  }
  pressed(true);
  stopMicrophone = () => {
    stopMicrophone = () => {};
    pressed(false);
  };
  status('Asking for the microphone…');
  let stream, context;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      // As it is: what makes calls clear removes sounds that are no speech.
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
    context = new AudioContext();
    await context.audioWorklet.addModule('microphone.js');
  } catch (error) {
    if (stream) stream.getTracks().forEach((track) => track.stop());
    if (mine !== action) return;
    stopMicrophone();
    return status({
      NotAllowedError: 'The microphone is not allowed. Allow it for this page in the browser, then press Listen again.',
      NotFoundError: 'There is no microphone. Connect one, or open a file.',
    }[error.name] || `The microphone cannot be used: ${error.message}`);
  }
  const end = () => {
    stream.getTracks().forEach((track) => track.stop());
    context.close();
  };
  if (mine !== action) return end();
  const node = new AudioWorkletNode(context, 'microphone');
  begin(mine, context.sampleRate, { live: true });
  node.port.onmessage = ({ data }) => worker.postMessage({ id: mine, piece: data }, [data.buffer]);
  // It outputs silence, but only what is connected runs.
  context.createMediaStreamSource(stream).connect(node).connect(context.destination);
  status('Listening…');
  stopMicrophone = () => {
    stopMicrophone = () => {};
    end();
    pressed(false);
  };
}

function pressed(on) {
  $('#microphone').setAttribute('aria-pressed', String(on));
  $('#microphone').textContent = on ? 'Stop' : 'Listen';
}

async function open(file, ...others) {
  const mine = start();
  if (!file.size) return status(`${file.name} is empty.`);
  status(`${file.name}: decoding…`);
  let sound = null;
  try {
    // At a rate that most files have: the browser resamples the others to it.
    sound = await new OfflineAudioContext(1, 1, 44100).decodeAudioData(await file.arrayBuffer());
  } catch (error) {
    // Said below, if it is still of interest.
  }
  if (mine !== action) return;
  if (!sound) return status(`${file.name}: no sound that this browser can decode. Convert it to wav, mp3 or ogg.`);
  const channels = Array.from({ length: sound.numberOfChannels }, (_, index) => sound.getChannelData(index));
  // The first one, as in Python, but where it is silent and another is not.
  const samples = channels.find((channel) => channel.some((sample) => Math.abs(sample) > 1e-4)) || channels[0];
  if (!samples.every(Number.isFinite)) return status(`${file.name}: has NaN or infinite samples. Export it again.`);
  const notes = [];
  if (samples !== channels[0]) notes.push('its first channel is silent; another is heard');
  if (others.length) notes.push(`the first of ${others.length + 1} files; drop one at a time`);
  const name = notes.length ? `${file.name} (${notes.join('; ')})` : file.name;
  begin(mine, sound.sampleRate, { live: false, name, seconds: sound.duration });
  const player = $('#player');
  URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(file);
  player.hidden = false;
  const size = PIECE_S * sound.sampleRate;
  for (let at = 0; at < samples.length; at += size) worker.postMessage({ id: mine, piece: samples.slice(at, at + size) });
  worker.postMessage({ id: mine, end: true });
}

// Answers

function answered({ answer, milliseconds }) {
  shown.answers.push(answer);
  if (milliseconds !== null) {
    shown.milliseconds.push(milliseconds);
    const mean = shown.milliseconds.reduce((a, b) => a + b) / shown.milliseconds.length;
    $('#speed').textContent = `An answer takes ${mean.toFixed(0)} ms here, resampling and pictures apart.`;
  }
  if (shown.live || shown.answers.length === 1) for (const head of net.heads) show(head, answer);
  // Screen readers say this where it changes.
  status(shown.live ? `Listening: ${summary([answer])}` : `${shown.name}: ${percent(answer.end / shown.seconds, 0)} heard`);
}

function percent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)}%`;
}

function label(head, index) {
  return head.labels[index].replaceAll('_', ' ');
}

// A threshold of 1 is that of a head which is never confident.
function confident(head, probability) {
  return head.threshold === null || (head.threshold < 1 && probability >= head.threshold);
}

function show(head, answer) {
  const card = $(`#head-${head.name}`);
  const best = card.querySelector('.best'), list = card.querySelector('ol');
  const probabilities = answer && answer.heads && answer.heads[head.name];
  list.replaceChildren();
  card.classList.toggle('unsure', false);
  if (!probabilities) {
    best.textContent = answer ? 'silence' : '';
    return;
  }
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a]);
  const first = label(head, order[0]), highest = probabilities[order[0]];
  card.classList.toggle('unsure', head.threshold === null || !confident(head, highest));
  best.textContent = head.threshold === null ? `perhaps ${first}` : confident(head, highest) ? first : `not sure (${first}?)`;
  for (const index of order.slice(0, TOP)) {
    const item = document.createElement('li');
    item.innerHTML = '<span></span><meter min="0" aria-hidden="true"></meter><span></span>';
    item.children[0].textContent = item.children[0].title = label(head, index);
    // Hints are a few percent each.
    item.children[1].max = head.threshold === null ? highest : 1;
    item.children[1].value = probabilities[index];
    item.children[2].textContent = percent(probabilities[index]);
    list.append(item);
  }
}

// How often each name was the answer.
function summary(answers) {
  const counts = new Map();
  for (const { heads } of answers) {
    const names = heads ? net.heads.map((head) => {
      const best = Math.max(...heads[head.name]);
      return confident(head, best) ? label(head, heads[head.name].indexOf(best)) : 'not sure';
    }) : ['silence'];
    for (const name of names) counts.set(name, (counts.get(name) || 0) + 1);
  }
  const ranked = [...counts].sort((a, b) => b[1] - a[1]), most = ranked.slice(0, 3), rest = ranked.length - most.length;
  if (answers.length === 1) return most.map(([name]) => name).join(', ');
  const named = most.map(([name, count]) => `${name} (${count})`).join(', ');
  return `${answers.length} answers: ${named}${rest ? ` and ${rest} other${rest > 1 ? 's' : ''}` : ''}`;
}

// Pictures

let pending = false;
function changed() {
  if (!pending) requestAnimationFrame(draw);
  pending = true;
}

function prepared(canvas, height) {
  const scale = window.devicePixelRatio || 1, width = canvas.clientWidth;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext('2d');
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return [pen, width];
}

function draw() {
  pending = false;
  const columns = shown ? shown.columns : [], column = 1024 / net.sample_rate;
  const range = $('#scroll input'), latest = Math.max(0, columns.length * column - SPAN_S);
  const following = $('#scroll').hidden || (shown.live && Number(range.value) >= Number(range.max) - 1e-6);
  range.max = latest;
  if (following) range.value = shown && shown.live ? latest : 0;
  $('#scroll').hidden = latest === 0;
  const from = Number(range.value);
  $('#scroll output').textContent = `${from.toFixed(0)} to ${(from + SPAN_S).toFixed(0)} s`;

  const [pen, width] = prepared($('#spectrogram'), 160);
  const count = Math.ceil(SPAN_S / column), first = Math.round(from / column);
  const visible = columns.slice(first, first + count);
  if (visible.length) {
    const rows = visible[0].length, picture = new ImageData(visible.length, rows);
    visible.forEach((values, x) => values.forEach((value, row) => {
      picture.data.set(COLOURS[value], 4 * ((rows - 1 - row) * visible.length + x));
    }));
    const scratch = new OffscreenCanvas(visible.length, rows);
    scratch.getContext('2d').putImageData(picture, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(scratch, 0, 0, width * visible.length / count, 160);
  }
  axes(pen, width, from);
  const player = $('#player');
  if (!player.hidden) {
    pen.fillStyle = '#fff';
    pen.fillRect((player.currentTime - from) * width / SPAN_S, 0, 2, 160);
    if (!player.paused) changed();
  }
  for (const head of net.heads) timeline(head, from);
}

// Frequencies at the left, as `Spectrogram` spaces them, and seconds below.
function axes(pen, width, from) {
  Object.assign(pen, { font: '11px system-ui, sans-serif', textBaseline: 'middle', shadowColor: '#000', shadowBlur: 4 });
  pen.fillStyle = '#fff';
  for (const [hertz, name] of [[100, '100 Hz'], [1000, '1 kHz'], [5000, '5 kHz']]) {
    const y = 160 * (1 - Math.log(hertz / 50) / Math.log(11025 / 50));
    pen.fillRect(0, y, 4, 1);
    pen.fillText(name, 6, y);
  }
  for (let second = 5 * Math.floor(from / 5 + 1); second < from + SPAN_S; second += 5) {
    const x = (second - from) * width / SPAN_S;
    pen.fillRect(x, 154, 1, 6);
    pen.fillText(`${second} s`, x + 3, 153);
  }
  pen.shadowBlur = 0;
}

// From black by violet and orange to pale yellow: as bright as it is loud.
const COLOURS = Array.from({ length: 256 }, (_, value) => {
  const stops = [[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]];
  const at = value / 255 * (stops.length - 1), index = Math.min(Math.floor(at), stops.length - 2);
  return [...stops[index].map((low, channel) => low + (stops[index + 1][channel] - low) * (at - index)), 255];
});

// The classes that were most probable in what is shown, a line each; a cell ends where its window does.
function timeline(head, from) {
  const answers = shown ? shown.answers.filter(({ heads, end }) => heads && end > from && end <= from + SPAN_S + 1) : [];
  const highest = new Map();
  for (const { heads } of answers) {
    heads[head.name].forEach((probability, index) => {
      if (probability > 0.02) highest.set(index, Math.max(probability, highest.get(index) || 0));
    });
  }
  const lines = [...highest].sort((a, b) => b[1] - a[1]).slice(0, LINES);
  const canvas = $(`#timeline-${head.name}`), hop = net.hop / net.sample_rate;
  const [pen, width] = prepared(canvas, 22 * Math.max(1, lines.length) + 4);
  const words = getComputedStyle(document.body), cells = getComputedStyle(canvas);
  pen.font = '13px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  lines.forEach(([index], line) => {
    pen.fillStyle = cells.color;
    for (const { heads, start, end } of answers) {
      // The first cell is about all of its window, a later one about what its hop brought.
      const begins = start === 0 && !shown.live ? 0 : end - hop;
      pen.globalAlpha = heads[head.name][index] / lines[0][1];
      pen.fillRect((begins - from) * width / SPAN_S, 22 * line + 3, (end - begins) * width / SPAN_S + 0.5, 20);
    }
    const name = label(head, index);
    pen.globalAlpha = 0.85;
    pen.fillStyle = cells.backgroundColor;
    pen.fillRect(2, 22 * line + 4, pen.measureText(name).width + 8, 18);
    pen.globalAlpha = 1;
    pen.fillStyle = words.color;
    pen.fillText(name, 6, 22 * line + 13);
  });
}

// What a person does

$('#microphone').onclick = () => {
  if ($('#microphone').getAttribute('aria-pressed') === 'false') return listen();
  action += 1;
  stopMicrophone();
  return status('Stopped.');
};
$('#file').onchange = ({ target }) => {
  if (target.files[0]) open(target.files[0]);
  target.value = '';
};
$('#scroll input').oninput = changed;
$('#player').onplay = changed;
$('#player').ontimeupdate = ({ target }) => {
  if (!shown || shown.live) return;
  // The answer for what is being heard: the last window that ended before.
  const told = shown.answers.filter(({ end }) => end <= target.currentTime + 0.1).at(-1) || shown.answers[0];
  if (told) for (const head of net.heads) show(head, told);
  const range = $('#scroll input');
  if (target.currentTime > Number(range.value) + SPAN_S) range.value = target.currentTime - 1;
  changed();
};
window.onresize = () => net && changed();
document.body.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add('over');
};
document.body.ondragleave = () => document.body.classList.remove('over');
document.body.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove('over');
  const files = event.dataTransfer.files;
  if (files.length && !$('#file').disabled) open(...files);
};

load().catch((error) => status(`The page cannot be loaded: ${error.message}. Is its server running?`));
