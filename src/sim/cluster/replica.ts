import type { Distribution } from '../distributions.js';
import type { Random } from '../random.js';
import type { Timeline } from '../timeline.js';
import { SimulatedJournal } from './journal.js';

export interface SimulatedReplicaParts {
  timeline: Timeline;
  random: Random;
  /** One way each. */
  toReplica: Distribution;
  toPrimary: Distribution;
  sync: Distribution;
  /** As for a journal. */
  handover?: Distribution;
  /** From its journal having synced to the acknowledgement of that being sent (default: no time). */
  notice?: Distribution;
  /** Acknowledgements are sent this long after the first thing that they tell (0: at once), so that one tells more. */
  ackDelayNs?: number;
  /** An acknowledgement has reached the primary. */
  onAck?: (inMemory: number, persisted: number) => void;
  /** It has something new to tell, and somebody else brings that to the primary, in place of an acknowledgement. */
  tell?: () => void;
}

/**
 * A replica behind a network: what the primary sends arrives in order, is accepted into memory, and then synced to a
 * journal of its own; both are told to the primary. Its state outlives its connection, its memory does not outlive it.
 */
export class SimulatedReplica {
  connected = false;
  inMemory = 0;
  readonly #parts: SimulatedReplicaParts;
  readonly #journal: SimulatedJournal;
  /** Messages of an earlier connection are lost. */
  #connection = 0;
  #arrivalNs = 0;
  #ackArrivalNs = 0;
  #ackPending = false;

  constructor(parts: SimulatedReplicaParts) {
    this.#parts = parts;
    const { timeline, random, sync, handover } = parts;
    this.#journal = new SimulatedJournal({
      timeline,
      random,
      sync,
      ...(handover && { handover }),
      onPersisted: () => this.#tellPersisted(),
    });
  }

  /** Highest sequence on its disk. */
  get persisted(): number {
    return this.#journal.persisted;
  }

  /** The primary sends everything up to `seq`. */
  send(seq: number): void {
    if (!this.connected) return;
    const { timeline, random, toReplica } = this.#parts;
    const connection = this.#connection;
    this.#arrivalNs = Math.max(this.#arrivalNs, timeline.nowNs + Math.round(toReplica.sampleNs(random)));
    timeline.at(this.#arrivalNs, () => {
      if (connection !== this.#connection || seq <= this.inMemory) return;
      this.inMemory = seq;
      this.#journal.append(seq);
      this.#tell();
    });
  }

  /** Links up; from here on it hears what is sent. */
  connect(): void {
    this.#connection++;
    this.connected = true;
    this.#arrivalNs = this.#parts.timeline.nowNs;
    this.#ackArrivalNs = this.#parts.timeline.nowNs;
    this.#ackPending = false;
    this.inMemory = Math.max(this.inMemory, this.persisted);
  }

  /** The link is gone, with everything on its way. */
  disconnect(): void {
    this.#connection++;
    this.connected = false;
  }

  /** Comes up again with this on disk and nothing else: less than before, or a tail of another history. */
  restart(persisted: number): void {
    this.disconnect();
    this.inMemory = persisted;
    this.#journal.restart(persisted);
  }

  stall(ns: number): void {
    this.#journal.stall(ns);
  }

  #tellPersisted(): void {
    const { timeline, random, notice } = this.#parts;
    if (notice === undefined) this.#tell();
    else timeline.after(Math.round(notice.sampleNs(random)), () => this.#tell());
  }

  #tell(): void {
    if (!this.connected || this.#ackPending) return;
    const { timeline, ackDelayNs = 0 } = this.#parts;
    const connection = this.#connection;
    const send = () => {
      if (connection !== this.#connection) return;
      this.#ackPending = false;
      const { tell } = this.#parts;
      if (tell === undefined) this.#sendAck(connection);
      else tell();
    };
    if (ackDelayNs === 0) {
      send();
      return;
    }
    this.#ackPending = true;
    timeline.after(ackDelayNs, send);
  }

  #sendAck(connection: number): void {
    const { timeline, random, toPrimary, onAck } = this.#parts;
    const { inMemory, persisted } = this;
    this.#ackArrivalNs = Math.max(
      this.#ackArrivalNs,
      timeline.nowNs + Math.round(toPrimary.sampleNs(random)),
    );
    timeline.at(this.#ackArrivalNs, () => {
      if (connection === this.#connection) onAck?.(inMemory, persisted);
    });
  }
}
