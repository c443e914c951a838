import { LevelIndex } from '../diagnosis/levels.js';
import { counter, counterBy, derived, gauge, histogram, type MetricFamily, other } from './family.js';

/** What diagnosis looks at and costs, and where its directives come from. */
export const diagnosisFamilies: readonly MetricFamily[] = [
  derived(['diagnosisLevel'], ({ diagnosisLevel }) => LevelIndex[diagnosisLevel], {
    name: 'ackgate_diagnosis_level',
    help: 'Highest level of diagnosis in force anywhere: 0 off, 1 shape, 2 timing, 3 capture.',
  }),
  counter('shapeRecords', {
    name: 'ackgate_shape_records_total',
    unit: 'records',
    help: 'Records looked at with level shape or above.',
  }),
  counterBy(
    'outcome',
    { held: 'shapeHeld', bypassed: 'shapeBypassed', discarded: 'shapeDiscarded' },
    {
      name: 'ackgate_shape_outcomes_total',
      unit: 'records',
      help: 'Records looked at with level shape or above that were held, passed the gate by, or were discarded.',
    },
  ),
  histogram(
    [
      ['64', 'shapeUpTo64'],
      ['256', 'shapeUpTo256'],
      ['1024', 'shapeUpTo1024'],
      ['4096', 'shapeUpTo4096'],
      ['+Inf', 'shapeLarger'],
    ],
    'shapeBytes',
    {
      name: 'ackgate_shape_body_bytes',
      unit: 'bytes',
      help: 'Size of the bodies of records looked at with level shape or above.',
    },
  ),
  counter('timedRecords', {
    name: 'ackgate_timed_records_total',
    unit: 'records',
    help: 'Records whose times were taken, by level timing or above.',
  }),
  counter('samplesDropped', {
    name: 'ackgate_timing_samples_dropped_total',
    help: 'Times that were not taken because too many were under way.',
  }),
  counter('capturedRecords', {
    name: 'ackgate_captured_records_total',
    unit: 'records',
    help: 'Records taken down in the capture ring.',
  }),
  counter('captureErrors', {
    name: 'ackgate_capture_errors_total',
    help: 'Records whose body was not taken down because the redactor failed.',
  }),
  gauge('directivesRevision', {
    name: 'ackgate_directives_applied_revision',
    help: 'Revision of the set of directives that the stage goes by; 0: none.',
  }),
  other(({ directives }) => directives?.set?.revision, {
    name: 'ackgate_directives_revision',
    help: 'Revision of the set in the store that is followed.',
  }),
  other(({ directives }) => directives?.set?.active, {
    name: 'ackgate_directives_active',
    unit: 'directives',
    help: 'Directives in that set that have not expired.',
  }),
  other(({ directives }) => directives?.set && directives.set.ageMs / 1000, {
    name: 'ackgate_directives_age_seconds',
    unit: 'seconds',
    help: 'How long ago that set was known to be the latest.',
  }),
  other(({ directives }) => directives && Number(directives.updateFailed), {
    name: 'ackgate_directives_update_failed',
    help: '1 when the last update of that store failed.',
  }),
];
