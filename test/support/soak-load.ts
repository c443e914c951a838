import type { SoakConfig } from '#ackgate/soak/config.js';
import { Load } from '#ackgate/soak/load/load.js';
import type { LossCounts } from '#ackgate/soak/samples.js';
import { ManualClock } from './soak-clock.js';
import { ScriptedDriver, soakConfig } from './soak-driver.js';

/** A load with a scripted server and a clock of its own, connected. */
export class LoadRig {
  readonly clock = new ManualClock();
  readonly driver: ScriptedDriver;
  readonly load: Load;
  readonly stop = new AbortController();
  running: Promise<void> = Promise.resolve();

  private constructor(overrides: Partial<SoakConfig>, seed: number, driver: ScriptedDriver) {
    this.driver = driver;
    const config = soakConfig(overrides);
    const { clock } = this;
    this.load = new Load({ driver, host: '127.0.0.1', port: 1, config, clock, seed });
  }

  static async connected(
    overrides: Partial<SoakConfig> = {},
    { seed = 1, driver = new ScriptedDriver() } = {},
  ): Promise<LoadRig> {
    const rig = new LoadRig(overrides, seed, driver);
    await rig.clock.until(rig.load.connect(rig.stop.signal), 1000);
    return rig;
  }

  /** Begins the open loop. */
  start(): this {
    this.running = this.load.run(this.stop.signal);
    return this;
  }

  /** Ends the open loop, and leaves. */
  async finish(): Promise<LossCounts> {
    this.stop.abort();
    await this.clock.until(this.running, 1000);
    await this.clock.until(this.load.finish(new AbortController().signal), 60_000);
    return this.load.losses();
  }
}

/** Those of the counts that say what became of a request that was due. */
export const settledOf = (counts: Omit<LossCounts, 'examples'>): number =>
  counts.expected + counts.unexpected + counts.timedOut + counts.lost + counts.unsent + counts.abandoned;
