// Sections of bench/62-isolation.mjs: one server, its healthy clients, and patients who may fall ill.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Peer, reference } from './reference.mjs';
import { isPatient } from './ward.mjs';

/** For a server to catch up after a section, on a machine that has other things to do. */
const patienceMs = 10_000;

/** What each position of `clients` is to get of `total` frames that go to them in turn. */
const due = (total, clients, position) => Math.max(0, Math.ceil((total - position) / clients));

/**
 * One server under load.
 *
 * @param {object} setting
 * @param {string[]} setting.argv the server's program
 * @param {boolean} setting.stays whether it takes new patients (`admit`, `dismiss`), or is started anew for each section
 * @param {number} setting.clients all of them
 * @param {number} setting.patients those of them that may fall ill
 * @param {{ rate: number, perTick: number, bytes: number }} setting.pace
 * @param {number} setting.warmUpSeconds before each section
 * @param {number} setting.seconds of a section
 * @param {string} setting.folder for what is measured
 */
export class Ward {
  #setting;
  #sick;
  #healthyPositions;
  #server = null;
  #port = 0;
  #healthy = null;
  #patients = null;

  constructor(setting) {
    const { clients, patients } = setting;
    this.#setting = setting;
    this.#sick = Array.from({ length: clients }, (_, position) => isPatient(position, clients, patients));
    this.#healthyPositions = [...this.#sick.keys()].filter((position) => !this.#sick[position]);
  }

  async close() {
    await Promise.all([this.#server?.close(), this.#healthy?.close(), this.#patients?.close()]);
    this.#server = null;
    this.#healthy = null;
    this.#patients = null;
  }

  /**
   * Everybody is well while the load warms up; then the patients do `illness.command`, and the healthy are measured
   * until they have all, or `graceMs` after the last frame was due.
   *
   * @returns {Promise<{ latenessNs: Float64Array, undelivered: number, answer: object | null }>} sorted; `answer` is the
   *   server's, null when it stood still until the end
   */
  async section(illness, graceMs = patienceMs) {
    const { argv, stays } = this.#setting;
    if (this.#server === null) {
      this.#server = new Peer(argv);
      ({ port: this.#port } = await this.#server.answer());
      this.#healthy = new Peer([reference('patients'), String(this.#port)]);
      this.#patients = new Peer([reference('patients'), String(this.#port)]);
      await this.#connectAll(illness);
    } else {
      this.#patients = new Peer([reference('patients'), String(this.#port)]);
      await this.#connect(this.#patients, this.#setting.patients, illness);
    }
    await (stays ? this.#server.ask('admit') : this.#server.answer());
    await this.#load(this.#setting.warmUpSeconds, patienceMs, '-');
    if (illness.command !== null) await this.#patients.ask(illness.command);
    const { seconds, folder } = this.#setting;
    const result = await this.#load(seconds, graceMs, join(folder, 'lateness'));
    if (stays) {
      await this.#server.ask('dismiss');
      await this.#patients.close();
      this.#patients = null;
    } else {
      await this.close();
    }
    return result;
  }

  /** In the order of the positions: the server accepts in that order. */
  async #connectAll(illness) {
    const { clients } = this.#setting;
    for (let from = 0; from < clients; ) {
      let to = from + 1;
      while (to < clients && this.#sick[to] === this.#sick[from]) to++;
      if (this.#sick[from]) await this.#connect(this.#patients, to - from, illness);
      else await this.#connect(this.#healthy, to - from, { receiveBytes: 0, segmentBytes: 0 });
      from = to;
    }
  }

  #connect(peer, count, { receiveBytes, segmentBytes }) {
    return peer.ask(`connect ${count} ${receiveBytes} ${segmentBytes}`);
  }

  async #load(seconds, graceMs, file) {
    const { clients, pace, stays } = this.#setting;
    const { rate, perTick, bytes } = pace;
    const tickNs = (perTick * 1e9) / rate;
    const total = Math.floor((seconds * 1e9) / tickNs) * perTick;
    const expected = this.#healthyPositions.reduce((sum, at) => sum + due(total, clients, at), 0);
    await this.#healthy.ask('record');
    const answered = this.#server.ask(`paced ${rate} ${perTick} ${seconds} ${bytes}`);
    answered.catch(() => {}); // It is waited for below, or killed.
    const got = await this.#healthy.ask(`collect ${expected} ${seconds * 1000 + graceMs} ${file}`);
    const undelivered = expected - got.frames;
    // Who stands still never answers.
    const answer = undelivered > 0 && !stays ? null : await answered;
    if (file === '-') {
      if (undelivered > 0) throw new Error(`${undelivered} frames did not come although nobody was ill`);
      return null;
    }
    const lateness = new Float64Array(expected);
    const raw = readFileSync(file);
    lateness.set(new Uint32Array(raw.buffer, raw.byteOffset, got.frames));
    let at = got.frames;
    for (const [client, position] of this.#healthyPositions.entries()) {
      for (let turn = got.perClient[client]; turn < due(total, clients, position); turn++) {
        const tick = Math.floor((turn * clients + position) / perTick);
        lateness[at++] = got.nowNs - (got.firstStampNs + tick * tickNs);
      }
    }
    return { latenessNs: lateness.sort(), undelivered, answer };
  }
}
