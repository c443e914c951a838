import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Take a minute or so, most of it waiting: at the end one of them would keep the other worker waiting, too. */
const long = /\/(75-demo-cli|78-page|90-models|90-sim-mutants|93-soak-detectors|98-faults)\.test\.ts$/;

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => long.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

/** Node loads what is compiled as it is. */
const compiled = new RegExp(`^${import.meta.dirname.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}/dist/`);

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    server: { deps: { external: [compiled] } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    sequence: { sequencer: LongFirst },
  },
});
