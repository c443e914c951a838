// A supervised server, clients that stay, and clients that come and go, each in a process of its own.
import { fileURLToPath } from 'node:url';
import { Peer } from './reference.mjs';

const serverProgram = fileURLToPath(new URL('../senders/churn-server.mjs', import.meta.url));
const clientsProgram = fileURLToPath(new URL('./churn-clients.mjs', import.meta.url));

/** @param {number} staying how many clients stay, asking and getting answers throughout each section */
export async function openChurn(staying) {
  const server = new Peer([serverProgram], { nodeArgs: ['--expose-gc'] });
  const peers = [server];
  const close = () => Promise.all(peers.map((peer) => peer.close()));
  try {
    const { port } = await server.answer();
    const startClients = () => {
      peers.push(new Peer([clientsProgram, String(port)]));
      return peers.at(-1);
    };
    const stayers = startClients();
    const churners = startClients();
    await stayers.ask(`connect ${staying}`);
    /** What those that stay have seen while `during` ran. */
    const section = async (during) => {
      await stayers.ask('begin');
      const result = await during();
      return { ...(await stayers.ask('end')), result };
    };
    return {
      /** What the server holds once only those that stay are left. */
      measure: () => server.ask(`measure ${staying}`),
      quiet: (ms) => section(() => new Promise((resolve) => setTimeout(resolve, ms))),
      churn: (count, atOnce, seed) => section(() => churners.ask(`churn ${count} ${atOnce} ${seed}`)),
      stop: () => server.ask('stop'),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What the server must hold again exactly, by name. */
export const balances = ['fds', 'slots', 'active', 'permits', 'pendingPushes', 'handling'];
