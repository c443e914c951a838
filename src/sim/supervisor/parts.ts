import type { FaultBox } from '../faults.js';
import type { Random } from '../random.js';
import type { Timeline } from '../timeline.js';
import type { Trace } from '../trace.js';
import type { Answers } from './answers.js';
import type { ControlThread } from './control-thread.js';
import type { Broken } from './invariants.js';
import type { Push } from './peer.js';
import type { SupervisorScenario } from './scenario.js';

/** What everybody in the supervisor's world shares. */
export interface SupervisedParts {
  readonly scenario: SupervisorScenario;
  readonly random: Random;
  readonly timeline: Timeline;
  readonly thread: ControlThread;
  readonly faults: FaultBox;
  readonly trace: Trace;
  readonly answers: Answers;
  /** Every push that was handed over. */
  readonly pushes: Push[];
  /** Until somebody does the next thing by himself. A drain is long: less happens in it. */
  readonly gapNs: () => number;
  readonly broken: Broken;
}
