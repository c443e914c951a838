import { beforeEach, describe, expect, test } from 'vitest';
import { DirectivesWriter } from '#ackgate/diagnosis/shared-directives.js';
import { sendBufferBytes } from '#ackgate/egress/sender.js';
import { createMemory, directivesOffset, Word } from '#ackgate/shared/memory.js';
import { checkOptions } from '#ackgate/stage/options.js';
import { ResponseStage } from '#ackgate/stage/response-stage.js';
import { seatPrimary } from '#ackgate/stage/seat-primary.js';
import { StageView } from '#ackgate/stage/stage-view.js';
import { ScriptedSender } from './support/scripted-sender.js';

const none = { revision: 0, directives: [] };

/** A stage whose sleep is a call of `asleep`, and the other threads' view of it. */
function create() {
  const { limits, policy } = checkOptions({ connections: 2, policy: 'local', heartbeatIntervalMs: 0 });
  const memory = createMemory({ connections: 2, ringCapacity: 16, maxPayload: 64 });
  seatPrimary(memory, undefined);
  const arena = new Uint8Array(2 * sendBufferBytes);
  const sender = new ScriptedSender(2, arena, new Int32Array(memory.buffer, Word.fence * 4, 1));
  const rig = {
    wakes: 0,
    directives: new DirectivesWriter(memory.buffer, directivesOffset),
    sleeps: 0,
    asleep: () => {},
    view: new StageView(
      memory,
      () => {
        rig.wakes++;
      },
      () => 1,
    ),
    stage: new ResponseStage({
      memory,
      sender,
      arena,
      clock: () => 1,
      unixMs: () => 1,
      policy,
      limits,
      ringBell: () => {},
    }),
    publish(wireSeq: number) {
      const record = { connectionId: 1, wireSeq, payload: new Uint8Array(4) };
      expect(rig.view.producer.tryPublish(record)).toBe('ok');
    },
    /** A round, then a sleep with `happening` in it. Returns how often that woke the stage. */
    sleepThrough(happening: () => void) {
      rig.stage.doWork(1);
      rig.wakes = 0;
      rig.asleep = happening;
      rig.stage.park();
      return rig.wakes;
    },
  };
  sender.park = () => {
    rig.sleeps++;
    rig.asleep();
  };
  return rig;
}

let rig: ReturnType<typeof create>;
beforeEach(() => {
  rig = create();
});

test('a record wakes the stage, once, and further ones find it awake', () => {
  const happening = () => [1, 2, 3].forEach(rig.publish);
  expect(rig.sleepThrough(happening)).toBe(1);
});

describe('behind a record that the gate holds', () => {
  beforeEach(() => rig.publish(1));

  test('a further one is no reason to wake', () => {
    expect(rig.sleepThrough(() => rig.publish(2))).toBe(0);
    expect(rig.sleeps).toBe(1);
  });

  test('the cursor is, also after records that were none', () => {
    const happening = () => {
      rig.publish(2);
      rig.view.cursors.primary.advance(1);
      rig.publish(3);
    };
    expect(rig.sleepThrough(happening)).toBe(1);
    rig.stage.doWork(1);
    expect(rig.stage.recordsIn).toBe(1);
  });

  test('so is everything else that wakes', () => {
    expect(rig.sleepThrough(() => rig.view.waker.wake())).toBe(1);
  });

  test('with timings on every record is: it is stamped when it is seen', () => {
    rig.directives.write(none, {}, 'timing');
    expect(rig.sleepThrough(() => rig.publish(2))).toBe(1);
  });

  test('a record to be timed that comes between the round and the sleep is seen first, also behind one that is held', () => {
    rig.directives.write(none, {}, 'timing');
    rig.stage.doWork(1);
    expect(rig.stage.gate.closed).toBe(true);
    rig.publish(2);
    rig.stage.park();
    expect(rig.sleeps).toBe(0);
    expect(rig.sleepThrough(() => {})).toBe(0);
    expect(rig.sleeps).toBe(1);
  });

  test('timings that are switched on behind the last round keep the stage from sleeping without them', () => {
    rig.stage.doWork(1);
    rig.directives.write(none, {}, 'timing');
    rig.stage.park();
    expect(rig.sleeps).toBe(0);
    expect(rig.sleepThrough(() => rig.publish(2))).toBe(1);
  });

  test('once it has gone a record wakes again', () => {
    rig.stage.doWork(1);
    rig.view.cursors.primary.advance(1);
    expect(rig.sleepThrough(() => rig.publish(2))).toBe(1);
  });
});
