// The worker: it turns sound into samples of the net's rate, and runs the net, so that the page stays quick.
//
// Messages in: {net} once; for each sound {id, start: its rate, live}, {id, piece} any number of times, and {id, end}.
// Messages out: {ready}, {columns}, {answer}, {ended}, {error}, each of a sound with its id.
'use strict';
importScripts('sound.js', 'litert/litert.js');

const ROWS = 96;
let net, model, sound, wanted, queue = Promise.resolve(), pieces = [];

self.onmessage = ({ data }) => {
  if (data.start) {
    wanted = data.id;
    pieces = [];
  }
  if (data.piece && data.id === wanted) pieces.push(data.piece);
  // One after the other, since the net answers by promises.
  queue = queue.then(() => data.net || data.id === wanted ? handle(data) : null).catch((error) => {
    postMessage({ error: String(error.message || error) });
  });
};

async function handle(data) {
  if (data.net) {
    net = data.net;
    self.Module = {
      locateFile: (name) => `litert/${name}`,
      printErr: (line) => /^(INFO|WARNING)/.test(line) || console.error(line),
    };
    const { warn } = console;
    console.warn = () => {}; // that there is no GPU, where there is none: none is used
    await litert.loadLiteRt('litert/litert_wasm_compat_internal.js');
    console.warn = warn;
    model = await litert.loadAndCompile('model.tflite', { accelerator: 'wasm' });
    await probabilities(new Float32Array(net.samples)); // the first run is the slowest
    postMessage({ ready: true });
  } else if (data.start) {
    sound = {
      id: data.id,
      live: data.live,
      resampler: new Resampler(data.start, net.sample_rate),
      spectrogram: new Spectrogram(net.sample_rate, ROWS),
      heard: new Float32Array(0), // of a live sound, the last window
      before: 0, // samples heard before those
      due: data.live ? net.hop : net.samples,
      answers: 0,
    };
  } else if (data.piece) {
    // All that has come meanwhile, so that a net that is slower than a live sound does not fall behind.
    for (const piece of pieces.splice(0, sound.live ? Infinity : 1)) hear(sound.resampler.push(piece));
    await judge();
  } else if (data.end) {
    hear(sound.resampler.push(new Float32Array(0), true));
    await judge();
    // Too short for the net: repeated. What remains after the last window is shorter than a hop, and not judged.
    if (!sound.live && !sound.answers && sound.heard.length) await answer(sound.heard, sound.heard.length);
    postMessage({ ended: true, id: sound.id, seconds: (sound.before + sound.heard.length) / net.sample_rate });
  }
}

function hear(samples) {
  const columns = sound.spectrogram.push(samples);
  if (columns.length) postMessage({ columns, id: sound.id });
  sound.heard = joined(sound.heard, samples);
}

// Answer for the windows that are due: of a live sound the latest, of a file each.
async function judge() {
  const total = sound.before + sound.heard.length;
  if (sound.live && total >= sound.due) {
    await answer(sound.heard.subarray(-net.samples), total);
    sound.due = total + net.hop;
  }
  for (; !sound.live && sound.due <= total; sound.due += net.hop) {
    const end = sound.due - sound.before;
    await answer(sound.heard.subarray(end - net.samples, end), sound.due);
    await new Promise((resolve) => setTimeout(resolve)); // so that a message can come
    if (sound.id !== wanted) return;
  }
  const unused = Math.max(0, sound.heard.length - net.samples);
  sound.heard = sound.heard.slice(unused);
  sound.before += unused;
}

async function answer(samples, end) {
  const started = performance.now();
  const window = Float32Array.from({ length: net.samples }, (_, n) => samples[n % samples.length]);
  const silent = loudestSecond(samples, net.sample_rate) < net.silence_dbfs;
  const heads = silent ? null : await probabilities(window);
  sound.answers++;
  postMessage({
    answer: { heads, start: (end - samples.length) / net.sample_rate, end: end / net.sample_rate },
    id: sound.id,
    milliseconds: silent ? null : performance.now() - started,
  });
}

// {head: [classes] float32}
async function probabilities(window) {
  const input = new litert.Tensor(window, [1, net.samples]);
  const outputs = await model.run({ waveform: input });
  input.delete();
  const heads = {};
  for (const head of net.heads) {
    const output = outputs[`${head.name}_clip`];
    heads[head.name] = Float32Array.from(output.toTypedArray());
  }
  for (const output of Object.values(outputs)) output.delete();
  return heads;
}
