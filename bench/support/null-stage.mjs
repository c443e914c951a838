// The whole stage without a kernel: its sender takes every byte at once. What is left is what the stage itself costs.
import { DirectivesWriter } from '../../dist/diagnosis/shared-directives.js';
import {
  RequestWord,
  ResultWord,
  requestWords,
  resultWords,
  SenderOp,
  sendBufferBytes,
  senderStateWords,
} from '../../dist/egress/sender.js';
import { monotonicNow } from '../../dist/shared/clock.js';
import { silentLogger } from '../../dist/shared/logger.js';
import { createMemory, directivesOffset } from '../../dist/shared/memory.js';
import { ControlWriter } from '../../dist/stage/control.js';
import { checkOptions } from '../../dist/stage/options.js';
import { ResponseStage } from '../../dist/stage/response-stage.js';
import { seatPrimary } from '../../dist/stage/seat-primary.js';
import { StageView } from '../../dist/stage/stage-view.js';

/** Takes every send in full, and answers it in the same call. */
export class NullSender {
  backend = 'simulated';
  features = [];
  state = new Int32Array(senderStateWords);
  /** Bytes taken so far: in an array, because beyond 2^31 a field would cost an object. */
  bytes = new Float64Array(1);

  constructor(slots) {
    this.requests = new Uint32Array(2 * slots * requestWords);
    this.results = new Int32Array(2 * slots * resultWords);
  }

  open() {
    return 0;
  }

  flush(count) {
    const { requests, results } = this;
    let bytes = 0;
    for (let i = 0, from = 0, to = 0; i < count; i++, from += requestWords, to += resultWords) {
      const value = requests[from + RequestWord.length];
      results[to + ResultWord.op] = SenderOp.send;
      results[to + ResultWord.slot] = requests[from + RequestWord.slot];
      results[to + ResultWord.generation] = requests[from + RequestWord.generation];
      results[to + ResultWord.value] = value;
      bytes += value;
    }
    this.bytes[0] += bytes;
    return count;
  }

  reap() {
    return 0;
  }

  close() {}

  queuedBytes() {
    return 0;
  }

  releasePages() {}

  park() {}

  destroy() {
    return 0;
  }
}

/** A running stage over a null sender, with the connections 1 … `connections` attached. */
export function createNullStage({ connections, policy = 'local', encoder = null, options = {} }) {
  const checked = checkOptions({ connections, policy, ...options });
  const memory = createMemory({
    connections,
    ringCapacity: checked.ring.capacity,
    maxPayload: checked.ring.maxPayload,
  });
  seatPrimary(memory, undefined);
  const view = new StageView(memory, () => {}, monotonicNow);
  const sender = new NullSender(connections);
  const stage = new ResponseStage({
    unixMs: Date.now,
    memory,
    sender,
    // Shared, as the real one is: copying into shared memory is another path of the engine.
    arena: new Uint8Array(new SharedArrayBuffer(connections * sendBufferBytes)),
    clock: monotonicNow,
    policy: checked.policy,
    limits: checked.limits,
    ringBell: () => {},
    logger: silentLogger,
    encoder,
  });
  const control = new ControlWriter(memory, () => view.waker.wake());
  for (let slot = 0; slot < connections; slot++) {
    control.attach(slot + 1, slot, slot);
    stage.doWork(monotonicNow());
  }
  const directives = new DirectivesWriter(memory.buffer, directivesOffset);
  return { stage, sender, producer: view.producer, cursors: view.cursors, directives };
}

/**
 * Rounds of `frames` records for each of `connections`, published outside of the measured time: those of one connection
 * in a row, or, `inTurn`, one of each connection, then the next of each; with request ids when `identified`. `round` is a `publish` and a `take`, and returns
 * the nanoseconds that the stage took for the records.
 */
export function createNullRounds(options = {}) {
  const { connections = 256, frames = 4, payloadBytes = 64, encoder = null, inTurn = false } = options;
  const { identified = false } = options;
  const { stage, sender, producer, cursors, directives } = createNullStage({ connections, encoder });
  const records = connections * frames;
  const payload = new Uint8Array(payloadBytes).fill(3);
  const { bytes } = producer;
  // Beyond 2^31, where a number that is passed or stored the wrong way costs an object; so it is kept in an array.
  const last = new Float64Array([2 ** 40]);

  function publish() {
    let sequence = last[0];
    for (let i = 0; i < records; i++) {
      const at = producer.claim(payloadBytes);
      if (at < 0) throw new Error('the ring is full');
      bytes.set(payload, at);
      if (identified) producer.identify(i + 1);
      producer.publish((inTurn ? i % connections : Math.floor(i / frames)) + 1, ++sequence);
    }
    cursors.primary.advance(sequence);
    last[0] = sequence;
  }

  function take() {
    const before = stage.recordsIn;
    stage.doWork(monotonicNow());
    if (stage.recordsIn - before !== records) throw new Error('the stage left records in the ring');
  }

  return {
    records,
    stage,
    directives,
    publish,
    take,
    round() {
      publish();
      const startMs = performance.now();
      take();
      return (performance.now() - startMs) * 1e6;
    },
    /** Throws unless every byte has reached the sender. */
    check() {
      const { bytesAppended, bytesSent, recordsDiscarded } = stage.egress.counters;
      if (recordsDiscarded > 0 || bytesAppended !== bytesSent || bytesSent !== sender.bytes[0]) {
        throw new Error('records were lost');
      }
    },
  };
}
