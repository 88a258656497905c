// What is done to samples, without a page and without a net: resampling, levels, spectra.

function joined(first, second) {
  const both = new Float32Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

// Resamples sound that arrives in pieces, without a shift in time: a sinc in a Kaiser window, flat up to 0.913 of the
// lower rate's half and 100 dB down above it, which is how soxr's HQ, the resampler of soundnet_tf, is described.
class Resampler {
  constructor(from, to) {
    const divisor = (a, b) => (b ? divisor(b, a % b) : a);
    const common = divisor(from, to);
    Object.assign(this, { from: from / common, to: to / common });
    const half = Math.min(from, to) / 2;
    const [cutoff, width] = [0.9565 * half / from, 0.087 * half / from]; // in cycles per input sample
    this.reach = from === to ? 0 : Math.ceil((100 - 7.95) / 14.36 / width / 2);
    this.taps = Array.from({ length: this.to }, (_, phase) => this.filter(phase / this.to, cutoff));
    Object.assign(this, { dropped: -this.reach, given: 0, taken: 0 });
    this.samples = new Float32Array(this.reach);
  }

  filter(shift, cutoff) {
    if (!this.reach) return Float64Array.of(1);
    const bessel = (x) => {
      let [sum, term] = [1, 1];
      for (let k = 1; term > 1e-12 * sum; k++) sum += term *= (x / 2 / k) ** 2;
      return sum;
    };
    const beta = 0.1102 * (100 - 8.7);
    const taps = Float64Array.from({ length: 2 * this.reach + 1 }, (_, index) => {
      const t = index - this.reach - shift;
      const x = 2 * cutoff * t;
      const sinc = x ? Math.sin(Math.PI * x) / (Math.PI * x) : 1;
      const inside = Math.max(0, 1 - (t / (this.reach + 1)) ** 2);
      return 2 * cutoff * sinc * bessel(beta * Math.sqrt(inside)) / bessel(beta);
    });
    const sum = taps.reduce((a, b) => a + b);
    return taps.map((tap) => tap / sum);
  }

  // The samples that these ones complete; with `last`, all that remain.
  push(piece, last = false) {
    this.samples = joined(this.samples, piece);
    this.taken += piece.length;
    let until = Math.floor((this.taken - 1 - this.reach) * this.to / this.from) + 1;
    if (last) {
      this.samples = joined(this.samples, new Float32Array(this.reach + 1));
      until = Math.round(this.taken * this.to / this.from);
    }
    const output = new Float32Array(Math.max(0, until - this.given));
    for (let at = 0; at < output.length; at++) {
      const position = (this.given + at) * this.from;
      const taps = this.taps[position % this.to];
      const start = Math.floor(position / this.to) - this.reach - this.dropped;
      let sum = 0;
      for (let k = 0; k < taps.length; k++) sum += taps[k] * this.samples[start + k];
      output[at] = sum;
    }
    this.given += output.length;
    const unused = Math.floor(this.given * this.from / this.to) - this.reach - this.dropped;
    this.samples = this.samples.slice(Math.max(0, unused));
    this.dropped += Math.max(0, unused);
    return output;
  }
}

// The level of the loudest second, in dB below full scale.
function loudestSecond(samples, rate) {
  let loudest = 0;
  for (let start = 0; start < samples.length; start += rate) {
    const second = samples.subarray(start, start + rate);
    loudest = Math.max(loudest, second.reduce((sum, value) => sum + value * value, 0) / second.length);
  }
  return 10 * Math.log10(loudest);
}

// Columns of a spectrogram, of sound that arrives in pieces: `rows` bands from 50 Hz to 11 kHz, from low to high,
// evenly spaced by their pitch, each 0 to 255 for -90 to -10 dB.
class Spectrogram {
  constructor(rate, rows) {
    this.size = 1024;
    this.rest = new Float32Array(0);
    this.window = Float64Array.from({ length: this.size }, (_, n) => 0.5 - 0.5 * Math.cos(2 * Math.PI * n / this.size));
    this.edges = Array.from({ length: rows + 1 }, (_, row) => 50 * (11025 / 50) ** (row / rows) * this.size / rate);
  }

  push(piece) {
    const samples = joined(this.rest, piece), columns = [];
    let start = 0;
    for (; start + this.size <= samples.length; start += this.size) columns.push(this.column(samples.subarray(start)));
    this.rest = samples.slice(start);
    return columns;
  }

  column(samples) {
    const [real, imaginary] = [new Float64Array(this.size), new Float64Array(this.size)];
    for (let n = 0; n < this.size; n++) real[n] = samples[n] * this.window[n];
    fourier(real, imaginary);
    return Uint8Array.from(this.edges.slice(1), (edge, row) => {
      let power = 0;
      for (let bin = Math.round(this.edges[row]); bin <= Math.min(Math.round(edge), this.size / 2); bin++) {
        power = Math.max(power, real[bin] ** 2 + imaginary[bin] ** 2);
      }
      const decibels = 10 * Math.log10(power / (this.size / 4) ** 2 + 1e-12);
      return Math.max(0, Math.min(255, Math.round((decibels + 90) * 255 / 80)));
    });
  }
}

// The fast Fourier transform in place; the length is a power of two.
function fourier(real, imaginary) {
  const size = real.length;
  for (let from = 0, to = 0; from < size; from++) {
    if (from < to) {
      [real[from], real[to]] = [real[to], real[from]];
      [imaginary[from], imaginary[to]] = [imaginary[to], imaginary[from]];
    }
    let bit = size >> 1;
    for (; to & bit; bit >>= 1) to ^= bit;
    to |= bit;
  }
  for (let half = 1; half < size; half *= 2) {
    for (let k = 0; k < half; k++) {
      const [cos, sin] = [Math.cos(Math.PI * k / half), -Math.sin(Math.PI * k / half)];
      for (let a = k; a < size; a += 2 * half) {
        const b = a + half;
        const [r, i] = [real[b] * cos - imaginary[b] * sin, real[b] * sin + imaginary[b] * cos];
        [real[b], imaginary[b]] = [real[a] - r, imaginary[a] - i];
        real[a] += r;
        imaginary[a] += i;
      }
    }
  }
}
