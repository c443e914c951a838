import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Answer, refusal } from './answer.js';
import type { AdminLimits } from './limits.js';

/** Reads bodies, bounded each and all together. */
export class BodyReader {
  readonly #limits: AdminLimits;
  #reading = 0;

  constructor(limits: AdminLimits) {
    this.#limits = limits;
  }

  /**
   * The bytes of a JSON body; an answer that refuses it; null when the client went away.
   *
   * @param response is told to go on where the client asked before sending
   */
  async read(request: IncomingMessage, response: ServerResponse): Promise<Buffer | Answer | null> {
    const refused = this.#refuse(request);
    if (refused !== null) return refused;
    this.#reading++;
    try {
      if (request.headers.expect !== undefined) response.writeContinue();
      return await this.#collect(request);
    } finally {
      this.#reading--;
    }
  }

  #refuse(request: IncomingMessage): Answer | null {
    if (!isJson(request.headersDistinct['content-type'] ?? [])) {
      return refusal(415, 'wrong_content_type', 'the body has to be application/json in UTF-8');
    }
    if (request.headers['content-encoding'] !== undefined) {
      return refusal(415, 'wrong_content_encoding', 'the body has to come as it is, not compressed');
    }
    if (Number(request.headers['content-length'] ?? 0) > this.#limits.bodyBytes) return this.#tooLarge();
    if (this.#reading >= this.#limits.bodies) {
      return refusal(503, 'busy', 'too many bodies are being read; try again', { 'Retry-After': '1' });
    }
    return null;
  }

  #collect(request: IncomingMessage): Promise<Buffer | Answer | null> {
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      const take = (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > this.#limits.bodyBytes) {
          request.off('data', take);
          request.pause();
          resolve(this.#tooLarge());
        } else {
          chunks.push(chunk);
        }
      };
      request.on('data', take);
      request.once('end', () => resolve(Buffer.concat(chunks)));
      // Also after the end, when it changes nothing any more.
      request.once('close', () => resolve(null));
    });
  }

  #tooLarge(): Answer {
    const { bodyBytes } = this.#limits;
    return refusal(413, 'body_too_large', `a body has at most ${bodyBytes} bytes`);
  }
}

function isJson(headers: readonly string[]): boolean {
  return headers.length === 1 && /^application\/json *(; *charset="?utf-8"? *)?$/i.test(headers[0]);
}
