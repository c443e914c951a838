import { argument } from '../shared/checks.js';
import { nodeLines } from '../shared/memory.js';
import { type CursorFrame, checkCursorFrame, type IngestResult, type NodeStatus } from './cursor-frame.js';
import { type CursorContext, checkRoom, highestIssued } from './cursors.js';

/** Where a node's line is, as long as the line's tenancy is still that. */
interface Seat {
  readonly line: number;
  readonly tenancy: number;
  /** '' for a node without one. */
  readonly zone: string;
}

/** Names that are gone may stay among the seats until there are so many. */
const seatsMax = 2 * nodeLines;

/** Takes cursor frames to the lines of their nodes. */
export class FrameIntake {
  readonly #context: CursorContext;
  readonly #seats = new Map<string, Seat>();

  constructor(context: CursorContext) {
    this.#context = context;
  }

  ingest(value: CursorFrame): IngestResult {
    const frame = checkCursorFrame(value);
    const { frames, clock, wake } = this.#context;
    const receipt = {
      nowNs: clock(),
      issued: highestIssued(this.#context),
      checkRoom: () => checkRoom(this.#context),
    };
    for (;;) {
      const { line, tenancy } = this.#seat(frame);
      const result = frames.take(line, tenancy, frame, receipt);
      if (result === null) {
        // Retired meanwhile: under its name it is a new node.
        this.#seats.delete(frame.node);
        continue;
      }
      if (frames.moved) wake();
      return result;
    }
  }

  nodes(): NodeStatus[] {
    const { lines, frames, names, clock } = this.#context;
    const nowNs = clock();
    return names
      .list()
      .filter(({ line }) => line !== 0)
      .map(({ line, name, zone }) => {
        const { active: connected, inMemory, persisted } = lines.read(line);
        const frame = frames.read(line);
        const heardNs = frame?.heardNs ?? 0;
        return {
          name,
          zone: zone === '' ? null : zone,
          connected,
          inMemory: Math.max(inMemory, persisted),
          persisted,
          epoch: frame?.known ? frame.epoch : null,
          silentMs: heardNs === 0 ? null : Math.max(0, nowNs - heardNs) / 1e6,
        };
      });
  }

  #seat({ node, zone }: CursorFrame): Seat {
    const seat = this.#seats.get(node);
    if (seat !== undefined && (zone === undefined || zone === seat.zone)) return seat;
    return this.#lookUp(node, zone);
  }

  /** By the names themselves, which takes their lock. */
  #lookUp(node: string, zone: string | undefined): Seat {
    const { lines, frames, names } = this.#context;
    let found: Seat | null = null;
    const line = names.findOrAdd(
      node,
      zone,
      (added, zoneId) => lines.assign(added, zoneId),
      (at) => {
        found = { line: at, tenancy: frames.tenancy(at), zone: names.zone(at) };
      },
    );
    if (line === 0) throw argument('frame.node', `another name than "${node}", which is the primary's`);
    if (this.#seats.size >= seatsMax) this.#seats.clear();
    const seat = found as unknown as Seat;
    this.#seats.set(node, seat);
    return seat;
  }
}
