import type { StageMemory } from '../../shared/memory.js';
import type { StageView } from '../../stage/stage-view.js';
import type { FaultBox } from '../faults.js';
import type { ClusterModel } from '../model/cluster-model.js';
import type { Records } from '../model/ledger.js';
import type { Random } from '../random.js';
import type { Scenario } from '../scenario.js';
import type { Timeline } from '../timeline.js';
import type { Trace } from '../trace.js';

/** What everybody in a world shares. */
export interface WorldParts {
  readonly scenario: Scenario;
  readonly random: Random;
  readonly timeline: Timeline;
  readonly faults: FaultBox;
  readonly trace: Trace;
  readonly memory: StageMemory;
  /** The shipped ends of the stage's memory, for the threads around it. */
  readonly view: StageView;
  readonly model: ClusterModel;
  readonly records: Records;
}
