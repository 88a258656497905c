// Passes what the microphone hears on to the page, in pieces of 2,048 samples.
class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Float32Array(2048);
    this.filled = 0;
  }

  process([channels]) {
    const block = channels[0];
    if (!block) return true;
    this.piece.set(block, this.filled);
    this.filled += block.length;
    if (this.filled === this.piece.length) {
      this.port.postMessage(this.piece, [this.piece.buffer]);
      this.piece = new Float32Array(2048);
      this.filled = 0;
    }
    return true;
  }
}
registerProcessor('microphone', Microphone);
