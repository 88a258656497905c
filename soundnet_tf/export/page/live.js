// The page: it takes sound from the microphone or a file, gives it to the worker, and shows what comes back.
'use strict';

const SPAN_S = 20; // seconds that the pictures show
const TOP = 5, LINES = 8;
const $ = (selector) => document.querySelector(selector);
const worker = new Worker('listen.js');
let net, id = 0, context, stopMicrophone;
let shown; // what is known of the current sound: {columns, answers, seconds, live}

function status(text) {
  $('#status').textContent = text;
}

// Loading

async function load() {
  if ('serviceWorker' in navigator) navigator.serviceWorker.register('offline.js').catch(() => {});
  net = await (await fetch('net.json')).json();
  document.title = `What ${net.name} hears`;
  $('#name').textContent = net.name;
  $('#window').textContent = (net.samples / net.sample_rate).toFixed(0);
  $('#trust').textContent = net.heads.some((head) => head.threshold !== null)
    ? 'Below its confidence threshold the net is “not sure”: its best guess is often wrong then.'
    : 'This net has no confidence threshold: take its answers as hints.';
  for (const head of net.heads) {
    const card = document.createElement('article');
    card.className = 'head';
    card.id = `head-${head.name}`;
    card.innerHTML = '<h2></h2><p class="best"></p><ol></ol>';
    card.querySelector('h2').textContent = head.name;
    $('#heads').append(card);
    const canvas = document.createElement('canvas');
    canvas.id = `timeline-${head.name}`;
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', `Probabilities of ${head.name} over time`);
    $('#timelines').append(canvas);
  }
  worker.postMessage({ net });
}

worker.onmessage = ({ data }) => {
  if (data.error) {
    status(`The net cannot be run: ${data.error}`);
  } else if (data.ready) {
    $('#microphone').disabled = $('#file').disabled = false;
    status('Ready: press Listen, or open or drop a sound file.');
  } else if (data.id === id) {
    if (data.columns) shown.columns.push(...data.columns);
    if (data.answer) answered(data);
    if (data.ended && !shown.live) {
      status(shown.answers.length ? `${data.seconds.toFixed(2)} s, ${summary(shown.answers)}` : 'The file has no sound in it.');
      document.body.dataset.done = id;
    }
    changed();
  }
};
worker.onerror = (event) => status(`The net cannot be run: ${event.message || 'this browser is too old'}`);

// Sound

function begin(rate, live) {
  id += 1;
  shown = { columns: [], answers: [], live, milliseconds: [] };
  $('#scroll').hidden = true;
  worker.postMessage({ id, start: rate, live });
  for (const head of net.heads) show(head, null);
  changed();
}

async function listen() {
  if (stopMicrophone) {
    stopMicrophone();
    return status('Stopped.');
  }
  if (!navigator.mediaDevices) {
    return status('Browsers give pages the microphone on https and on 127.0.0.1 only. Open this page there.');
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      // As it is: what makes calls clear removes sounds that are no speech.
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch (error) {
    return status({
      NotAllowedError: 'The microphone is not allowed. Allow it for this page in the browser, then press Listen again.',
      NotFoundError: 'There is no microphone. Connect one, or open a file.',
    }[error.name] || `The microphone cannot be used: ${error.message}`);
  }
  $('#player').hidden = true;
  $('#player').pause();
  context = new AudioContext();
  await context.audioWorklet.addModule('microphone.js');
  const source = context.createMediaStreamSource(stream);
  const node = new AudioWorkletNode(context, 'microphone');
  begin(context.sampleRate, true);
  const mine = id;
  node.port.onmessage = ({ data }) => worker.postMessage({ id: mine, piece: data }, [data.buffer]);
  source.connect(node).connect(context.destination); // it outputs silence, but only what is connected runs
  $('#microphone').setAttribute('aria-pressed', 'true');
  $('#microphone').textContent = 'Stop';
  status('Listening…');
  stopMicrophone = () => {
    stopMicrophone = null;
    stream.getTracks().forEach((track) => track.stop());
    context.close();
    worker.postMessage({ id: mine, end: true });
    $('#microphone').setAttribute('aria-pressed', 'false');
    $('#microphone').textContent = 'Listen';
  };
}

async function open(file) {
  if (stopMicrophone) stopMicrophone();
  delete document.body.dataset.done;
  status(`Decoding ${file.name}…`);
  const data = await file.arrayBuffer();
  let sound;
  try {
    // At a rate that most files have: the browser resamples the others to it.
    sound = await new OfflineAudioContext(1, 1, 44100).decodeAudioData(data);
  } catch (error) {
    return status(`${file.name}: this browser cannot decode it. Convert it to wav, mp3 or ogg.`);
  }
  begin(sound.sampleRate, false);
  status(`${file.name}: ${sound.duration.toFixed(2)} s`);
  const player = $('#player');
  URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(file);
  player.hidden = false;
  const samples = sound.getChannelData(0);
  for (let at = 0; at < samples.length; at += 5 * sound.sampleRate) {
    worker.postMessage({ id, piece: samples.slice(at, at + 5 * sound.sampleRate) });
  }
  worker.postMessage({ id, end: true });
}

// Answers

function answered({ answer, milliseconds }) {
  shown.answers.push(answer);
  shown.milliseconds.push(milliseconds);
  const mean = shown.milliseconds.reduce((a, b) => a + b) / shown.milliseconds.length;
  $('#speed').textContent = `An answer takes ${mean.toFixed(0)} ms here, resampling and pictures apart.`;
  if (shown.live || shown.answers.length === 1) for (const head of net.heads) show(head, answer);
  // Said by screen readers where it changes.
  const heard = shown.live ? `Listening: ${summary([answer])}` : '';
  if (heard && heard !== $('#status').textContent) status(heard);
}

function show(head, answer) {
  const card = $(`#head-${head.name}`);
  const best = card.querySelector('.best'), list = card.querySelector('ol');
  const probabilities = answer && answer.heads && answer.heads[head.name];
  card.classList.remove('unsure');
  list.replaceChildren();
  if (!probabilities) {
    best.textContent = answer ? 'silence' : '';
    return;
  }
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a]);
  const unsure = !confident(head, probabilities[order[0]]);
  card.classList.toggle('unsure', unsure);
  best.textContent = unsure ? `not sure (perhaps ${head.labels[order[0]]})` : head.labels[order[0]];
  for (const index of order.slice(0, TOP)) {
    const item = document.createElement('li');
    item.innerHTML = '<span></span><meter min="0" max="1" aria-hidden="true"></meter><span></span>';
    item.children[0].textContent = item.children[0].title = head.labels[index];
    item.children[1].value = probabilities[index];
    item.children[2].textContent = `${(100 * probabilities[index]).toFixed(1)}%`;
    list.append(item);
  }
}

// A threshold of 1 is that of a head which is never confident.
function confident(head, probability) {
  return head.threshold === null || (head.threshold < 1 && probability >= head.threshold);
}

// How often each name was the answer.
function summary(answers) {
  const counts = new Map();
  for (const { heads } of answers) {
    for (const head of net.heads) {
      let name = 'silence';
      if (heads) {
        const best = Math.max(...heads[head.name]);
        name = confident(head, best) ? head.labels[heads[head.name].indexOf(best)] : 'not sure';
      }
      counts.set(name, (counts.get(name) || 0) + 1);
    }
  }
  const most = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 3);
  if (answers.length === 1) return most.map(([name]) => name).join(', ');
  return `${answers.length} answers: ${most.map(([name, count]) => `${name} (${count})`).join(', ')}`;
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
  if (!shown) return;
  const column = 1024 / net.sample_rate, seconds = shown.columns.length * column;
  const range = $('#scroll input');
  const latest = Math.max(0, seconds - SPAN_S);
  const following = $('#scroll').hidden || shown.live && Number(range.value) >= Number(range.max) - 1e-6;
  range.max = latest;
  if (following) range.value = shown.live ? latest : 0;
  $('#scroll').hidden = latest === 0;
  const from = Number(range.value);
  $('#scroll output').textContent = from.toFixed(1);

  const [pen, width] = prepared($('#spectrogram'), 160);
  const first = Math.round(from / column), count = Math.ceil(SPAN_S / column);
  const columns = shown.columns.slice(first, first + count);
  if (columns.length) {
    const rows = columns[0].length, picture = new ImageData(columns.length, rows);
    columns.forEach((values, x) => values.forEach((value, row) => {
      picture.data.set(COLOURS[value], 4 * ((rows - 1 - row) * columns.length + x));
    }));
    const scratch = new OffscreenCanvas(columns.length, rows);
    scratch.getContext('2d').putImageData(picture, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(scratch, 0, 0, width * columns.length / count, 160);
  }
  const player = $('#player');
  if (!player.hidden) {
    pen.fillStyle = '#fff';
    pen.fillRect((player.currentTime - from) * width / SPAN_S, 0, 2, 160);
    if (!player.paused) changed();
  }
  for (const head of net.heads) timeline(head, from);
}

// From black by violet and orange to pale yellow: as bright as it is loud.
const COLOURS = Array.from({ length: 256 }, (_, value) => {
  const stops = [[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]];
  const at = value / 255 * (stops.length - 1), index = Math.min(Math.floor(at), stops.length - 2);
  return [...stops[index].map((low, channel) => low + (stops[index + 1][channel] - low) * (at - index)), 255];
});

// The classes that were most probable in what is shown, a line each; a cell ends where its window does.
function timeline(head, from) {
  const answers = shown.answers.filter(({ heads, end }) => heads && end > from && end <= from + SPAN_S + 1);
  const highest = new Map();
  for (const { heads } of answers) {
    heads[head.name].forEach((probability, index) => {
      if (probability > 0.02) highest.set(index, Math.max(probability, highest.get(index) || 0));
    });
  }
  const classes = [...highest].sort((a, b) => b[1] - a[1]).slice(0, LINES).map(([index]) => index);
  const canvas = $(`#timeline-${head.name}`), hop = net.hop / net.sample_rate;
  const [pen, width] = prepared(canvas, 22 * Math.max(1, classes.length) + 4);
  const words = getComputedStyle(document.body), cells = getComputedStyle(canvas);
  pen.font = '13px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  classes.forEach((index, line) => {
    pen.fillStyle = cells.color;
    for (const { heads, start, end } of answers) {
      // The first cell is about all of its window, a later one about what its hop brought.
      const begin = start === 0 && !shown.live ? 0 : end - hop;
      pen.globalAlpha = heads[head.name][index];
      pen.fillRect((begin - from) * width / SPAN_S, 22 * line + 3, (end - begin) * width / SPAN_S + 0.5, 20);
    }
    pen.globalAlpha = 1;
    pen.lineWidth = 3;
    pen.strokeStyle = words.backgroundColor;
    pen.fillStyle = words.color;
    pen.strokeText(head.labels[index], 6, 22 * line + 13);
    pen.fillText(head.labels[index], 6, 22 * line + 13);
  });
}

// What a person does

$('#microphone').onclick = listen;
$('#file').onchange = ({ target }) => {
  if (target.files[0]) open(target.files[0]);
  target.value = '';
};
$('#scroll input').oninput = changed;
$('#player').onplay = changed;
$('#player').ontimeupdate = ({ target }) => {
  if (!shown || shown.live) return;
  // The answer for what is being heard: the last window that began before.
  const told = shown.answers.filter(({ end }) => end <= target.currentTime + 0.1).at(-1) || shown.answers[0];
  if (told) for (const head of net.heads) show(head, told);
  const range = $('#scroll input');
  if (target.currentTime > Number(range.value) + SPAN_S) range.value = target.currentTime - 1;
  changed();
};
window.onresize = changed;
document.body.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add('over');
};
document.body.ondragleave = () => document.body.classList.remove('over');
document.body.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove('over');
  const [file] = event.dataTransfer.files;
  if (file && !$('#file').disabled) open(file);
};

load().catch((error) => status(`The page cannot be loaded: ${error.message}. Is its server running?`));
