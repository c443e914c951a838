import type { Mutant, MutantForm } from './catalogue.js';

const supervisor = 'supervisor/supervisor.js';
const session = 'supervisor/session.js';
const awaiter = 'supervisor/push-awaiter.js';
const pushes = 'supervisor/pushes.js';

/** One form of a defect: an edit of one file, looked for in the supervisor's world. */
const form = (file: string, find: string, replace: string): MutantForm => ({
  world: 'supervisor',
  patches: [{ file, find, replace }],
});

const mutant = (id: string, title: string, ...forms: MutantForm[]): Mutant => ({
  id,
  title,
  part: 'TypeScript',
  forms,
});

const toldServices = 'this.#services.goodbye(session, end);';

/** Life cycles of connections, pushes and their replies, shutdown. */
export const supervisorMutants: readonly Mutant[] = [
  mutant('V01', 'services are told of an end before the record is removed', {
    world: 'supervisor',
    patches: [
      {
        file: supervisor,
        find: 'this.#records.delete(id); session.cancelBroken();',
        replace: 'session.cancelBroken();',
      },
      { file: supervisor, find: toldServices, replace: `${toldServices} this.#records.delete(id);` },
    ],
  }),
  mutant('V02', 'services are told of an end while pushes still wait for replies', {
    world: 'supervisor',
    patches: [
      {
        file: supervisor,
        find: 'for (const slot of [...session.pushes.values()]) slot.disconnect();',
        replace: '',
      },
      {
        file: supervisor,
        find: toldServices,
        replace: `${toldServices} for (const slot of [...session.pushes.values()]) slot.disconnect();`,
      },
    ],
  }),
  mutant(
    'V03',
    'a client is sent a disconnect frame twice: by the notice before a shutdown, and at its end',
    form(supervisor, 'session.told = true; this.#stage.notify', 'this.#stage.notify'),
    form(supervisor, 'if (reason === null || session.told)', 'if (reason === null)'),
  ),
  mutant(
    'V04',
    'a permit comes back when the record is removed, with answers still on their way',
    form(
      supervisor,
      'this.#records.delete(id); session.cancelBroken();',
      'this.#records.delete(id); this.#attached.delete(id); this.#permits.delete(id); session.cancelBroken();',
    ),
  ),
  mutant(
    'V05',
    'a push that could not be handed over keeps its slot',
    form(pushes, 'slot.cancel(); throw error;', 'throw error;'),
  ),
  mutant(
    'V06',
    'an exit between looking and waiting is lost',
    form('supervisor/generation.js', 'for (const wake of [...this.#waiting]) wake();', ''),
    form(
      supervisor,
      'await this.#changes.wait(seen, leftMs);',
      'await new Promise((next) => this.#timers.after(0.1, next)); await this.#changes.wait(this.#changes.value, leftMs);',
    ),
  ),
  mutant('V07', 'a reply is taken from any connection', {
    world: 'supervisor',
    patches: [
      {
        file: pushes,
        find: 'session.pushes.set(slot.correlationId, slot);',
        replace:
          'session.pushes.set(slot.correlationId, slot); (this.all ??= new Map()).set(slot.correlationId, slot);',
      },
      {
        file: pushes,
        find: 'session.pushes.get(correlationId)?.reply(payload) === true',
        replace: 'this.all?.get(correlationId)?.reply(payload) === true',
      },
    ],
  }),
  mutant(
    'V08',
    'a connection that has ended its stream leaves before its requests were answered',
    form(supervisor, 'if (session.isIdle) this.#depart(session);', 'this.#depart(session);'),
  ),
  mutant(
    'V09',
    'a reply is delivered twice',
    form(awaiter, 'this.#reply = null; return reply;', 'return reply;'),
  ),
  mutant(
    'V10',
    'the end of a connection leaves its pushes waiting',
    form(
      supervisor,
      'for (const slot of [...session.pushes.values()]) slot.disconnect();',
      'for (const slot of [...session.pushes.values()].slice(1)) slot.disconnect();',
    ),
  ),
  mutant(
    'V11',
    'one client that floods keeps everybody from their turn',
    form(session, 'if (this.#taken === framesPerTurn)', 'if (false)'),
  ),
  mutant(
    'V12',
    'a shutdown ends at the first stage that fails',
    form('supervisor/shutdown.js', 'failures.push({ stage, error });', 'throw error;'),
  ),
  mutant(
    'V13',
    'a drain waits for sockets: idle connections are left open',
    form(supervisor, "else if (this.#draining) this.#finish(session, 'shutdown');", ''),
  ),
  mutant(
    'V14',
    'requests of a connection that has crashed are handed over all the same',
    form(
      supervisor,
      "session.stopRequests(); if (!this.#remove(session, { outcome: 'crashed'",
      "if (!this.#remove(session, { outcome: 'crashed'",
    ),
  ),
  mutant(
    'V15',
    'an end is lost when the control ring is full',
    form(
      'supervisor/urgent.js',
      "if (this.#waiting.length === 0 && call() !== 'full') return;",
      'call(); return;',
    ),
  ),
  mutant(
    'V16',
    'a push times out although its reply, or its end, is there',
    form(
      awaiter,
      'await this.#changes.wait(seen, leftMs);',
      'await this.#changes.wait(seen, leftMs); throw new PushTimeout(timeoutMs);',
    ),
  ),
  mutant(
    'V17',
    'a deadline that passes wakes nobody',
    form(awaiter, 'this.#timers.after(Math.max(0, leftMs), call, { background: true })', '() => {}'),
  ),
];
