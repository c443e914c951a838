import { type CapturePlace, captureRingBytes } from '../diagnosis/capture-ring.js';
import { sharedDirectivesBytes } from '../diagnosis/shared-directives.js';
import { AckgateError } from '../errors.js';
import { checkRingSize, type RingHandle, ringBytes, ringBytesMax, ringHandle } from '../ring/layout.js';

/**
 * The one block of memory that all threads of a stage share, in bytes:
 *
 *        0  header        16 × i32   magic, version, sizes: what an opener checks
 *      128  control words   one line each, see `Word`
 *     1280  cursors       `nodeLines` lines of 128, see gate/cursors.ts
 *           node names    `nodeLines` × 128, see gate/cursors.ts
 *           status        `statusBytes`, see stage/status.ts
 *           directives    the set in force, see diagnosis/shared-directives.ts
 *           output ring   responses, engine → stage
 *           control ring  attach, disconnect, push …, control thread → stage
 *           event ring    dropped, closed, log lines, stage → control thread
 *           capture ring  records that were taken down, see diagnosis/capture-ring.ts
 *
 * Everything starts on a multiple of 128, so that no line has two writers.
 */
export interface StageMemory {
  readonly version: number;
  readonly buffer: SharedArrayBuffer;
  readonly connections: number;
  readonly output: RingHandle;
  readonly control: RingHandle;
  readonly events: RingHandle;
  readonly capture: CapturePlace;
}

/** Changes whenever a shared byte changes its place or meaning. */
export const memoryVersion = 4;
const memoryMagic = 0x41434b47; // "ACKG"

/** Lines for nodes that have a name; at most `MAX_CLUSTER_SIZE` of them are connected at once. Line 0: the primary. */
export const nodeLines = 64;
/** One more line, for the highest sequence that the journal has issued. */
export const issuedLine = nodeLines;

const line = 128;
const headerBytes = line;

/** Control words: each is alone on its line. Values are offsets in 32-bit words from the start of the block. */
export const Word = {
  /** `Parked`. */
  parked: wordOfLine(0),
  /** `StageState`. */
  state: wordOfLine(1),
  /** Non-zero: nothing may be submitted any more. Set once, by whoever fences. */
  fence: wordOfLine(2),
  /** 1: end at once, without draining; set when the process is on its way out. */
  abandon: wordOfLine(3),
  /** 1: records are stamped when the engine has finished them, for some are timed. Written by the stage. */
  stamps: wordOfLine(4),
  /** 1: events wait and the control thread has been told. */
  doorbell: wordOfLine(5),
  /** Lock over the node names; the value is 1 while one is being added. */
  namesLock: wordOfLine(6),
  /** Node lines in use so far, the primary included. */
  nodeCount: wordOfLine(7),
  /** Zone ids given out so far. */
  zoneIds: wordOfLine(8),
} as const;

/** Whether the stage sleeps in the kernel, or is about to, and who has to wake it. */
export const Parked = {
  awake: 0,
  /** For any reason. */
  forAnything: 1,
  /** While its gate is closed a further record, which waits behind the first, is none. */
  unlessRecord: 2,
} as const;

const wordLines = 9; // one for each word above

function wordOfLine(index: number): number {
  return (headerBytes + index * line) / 4;
}

export const cursorsOffset = headerBytes + wordLines * line;
export const namesOffset = cursorsOffset + (nodeLines + 1) * line;
export const statusOffset = namesOffset + nodeLines * line;
export const statusBytes = 32 * line;
export const directivesOffset = statusOffset + statusBytes;
const ringsOffset = Math.ceil((directivesOffset + sharedDirectivesBytes) / line) * line;

/** Header words. */
const Header = {
  magic: 0,
  version: 1,
  connections: 2,
  ringCapacity: 3,
  maxPayload: 4,
  wakeFd: 5,
  captureRecords: 6,
  captureBytes: 7,
} as const;

export interface MemorySizes {
  connections: number;
  ringCapacity: number;
  maxPayload: number;
  /** Records that the capture ring holds, and bytes of each body (default 256, 512). */
  captureRecords?: number;
  captureBytes?: number;
}

/** Log lines and other events that may be dropped share the event ring with one place per connection. */
export const noticeSlots = 1024;

export const captureDefaults = { records: 256, bytes: 512 } as const;

export function createMemory(sizes: MemorySizes): StageMemory {
  checkRingSize(sizes.ringCapacity, sizes.maxPayload);
  const { output, control, events, capture, end } = placeRings(sizes);
  const buffer = new SharedArrayBuffer(end);
  const header = new Int32Array(buffer, 0, headerBytes / 4);
  header[Header.magic] = memoryMagic;
  header[Header.version] = memoryVersion;
  header[Header.connections] = sizes.connections;
  header[Header.ringCapacity] = sizes.ringCapacity;
  header[Header.maxPayload] = sizes.maxPayload;
  header[Header.wakeFd] = -1;
  header[Header.captureRecords] = capture.records;
  header[Header.captureBytes] = capture.bodyBytes;
  const handle = ({ at, capacity, maxPayload }: RingPlace) => ringHandle(buffer, at, capacity, maxPayload);
  return {
    version: memoryVersion,
    buffer,
    connections: sizes.connections,
    output: handle(output),
    control: handle(control),
    events: handle(events),
    capture,
  };
}

/** The descriptor that wakes the stage, -1: none yet. It is kept with what it wakes, so that a handle can't mix them. */
export function wakeFdOf(memory: StageMemory): number {
  return new Int32Array(memory.buffer)[Header.wakeFd];
}

export function setWakeFd(memory: StageMemory, wakeFd: number): void {
  new Int32Array(memory.buffer)[Header.wakeFd] = wakeFd;
}

/**
 * Throws unless the block was laid out by this version, and the handles of its rings say what the block says: reading
 * it in any other way would corrupt it.
 */
export function checkMemory(memory: StageMemory): void {
  if (typeof memory !== 'object' || memory === null || !(memory.buffer instanceof SharedArrayBuffer)) {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'handle must come from stage.share()');
  }
  const header =
    memory.buffer.byteLength >= headerBytes ? new Int32Array(memory.buffer, 0, headerBytes / 4) : null;
  if (
    memory.version !== memoryVersion ||
    header?.[Header.magic] !== memoryMagic ||
    header[Header.version] !== memoryVersion
  ) {
    throw new AckgateError(
      'ERR_ACKGATE_HANDLE_VERSION',
      `handle has memory layout ${String(memory.version)}, this copy of ackgate reads ${memoryVersion}`,
    );
  }
  const places = placeRings({
    connections: header[Header.connections],
    ringCapacity: header[Header.ringCapacity],
    maxPayload: header[Header.maxPayload],
    captureRecords: header[Header.captureRecords],
    captureBytes: header[Header.captureBytes],
  });
  const stands = (handle: RingHandle | undefined, place: RingPlace) =>
    handle?.buffer === memory.buffer &&
    handle.byteOffset === place.at &&
    handle.capacity === place.capacity &&
    handle.maxPayload === place.maxPayload;
  const { output, control, events, capture } = memory;
  const { at, records, bodyBytes } = places.capture;
  if (
    !stands(output, places.output) ||
    !stands(control, places.control) ||
    !stands(events, places.events) ||
    capture?.at !== at ||
    capture.records !== records ||
    capture.bodyBytes !== bodyBytes
  ) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      'handle does not describe the memory that it names; pass it on as stage.share() made it',
    );
  }
}

interface RingPlace {
  at: number;
  capacity: number;
  maxPayload: number;
}

function placeRings(sizes: MemorySizes) {
  const output = ringSize(sizes.ringCapacity, sizes.maxPayload);
  const control = controlRingSize(sizes);
  const events = ringSize(nextPowerOfTwo(sizes.connections + noticeSlots), 448);
  const controlAt = ringsOffset + output.bytes;
  const eventsAt = controlAt + control.bytes;
  const { captureRecords = captureDefaults.records, captureBytes = captureDefaults.bytes } = sizes;
  const capture = { at: eventsAt + events.bytes, records: captureRecords, bodyBytes: captureBytes };
  return {
    output: { at: ringsOffset, ...output },
    control: { at: controlAt, ...control },
    events: { at: eventsAt, ...events },
    capture,
    end: capture.at + captureRingBytes(capture),
  };
}

/** An attach and a disconnect of every connection find room, as far as a ring can be that large. */
function controlRingSize({ connections, maxPayload }: MemorySizes) {
  const bodyMax = Math.max(448, maxPayload);
  let capacity = Math.max(1024, nextPowerOfTwo(2 * connections));
  while (ringBytes(capacity, bodyMax) > ringBytesMax) capacity /= 2;
  return ringSize(capacity, bodyMax);
}

function ringSize(capacity: number, maxPayload: number) {
  return { capacity, maxPayload, bytes: ringBytes(capacity, maxPayload) };
}

function nextPowerOfTwo(n: number): number {
  return 2 ** Math.ceil(Math.log2(n));
}
