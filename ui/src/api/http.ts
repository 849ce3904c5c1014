/** Requests to the node that served this page; all addresses are relative to it, so it may stand behind any path of a proxy. */

/** What is wrong with one thing of a request, as in the `errors` of a problem. */
export interface Fault {
  readonly where: string;
  readonly message: string;
  readonly code?: string;
}

/** An answer that is not what was asked for (RFC 9457), or none at all: then the status is 0. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly faults: readonly Fault[] = [],
    /** The whole body of the answer, for those that carry more, such as the draft that stands in the way. */
    readonly body: unknown = undefined,
    readonly headers: Headers = new Headers(),
  ) {
    super(message);
  }
}

export interface Sent {
  /** Sent as JSON, unless it is text or bytes. */
  readonly body?: unknown;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** The page asks by itself, nobody has done anything: no session goes on by it. */
  readonly isUnasked?: boolean;
  /** It is sent although the page is left at this moment. */
  readonly isLast?: boolean;
  /** The answer is wanted as the text that it is: numbers in it lose no digits. */
  readonly asText?: boolean;
}

export interface Answer<T> {
  readonly status: number;
  readonly body: T;
  readonly headers: Headers;
}

let csrf: string | null = null;
let ended: () => void = () => {};

/** Tell what is sent with all that changes something, and who is to know when the session is over. */
export function configure(token: string | null, onEnded: () => void): void {
  csrf = token;
  ended = onEnded;
}

/** An address of the node; each part is escaped. */
export function path(...parts: readonly string[]): string {
  return parts.map(encodeURIComponent).join("/");
}

/** A query with all values that are given. */
export function query(values: Readonly<Record<string, string | number | boolean | undefined | null>>): string {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== undefined && value !== null && value !== "") found.set(name, String(value));
  const text = found.toString();
  return text && `?${text}`;
}

/** Ask the node. Throws {@link ApiError} for every answer from 400 on, and if there is none. */
export async function ask<T>(method: string, address: string, sent: Sent = {}): Promise<Answer<T>> {
  const headers = new Headers({ accept: "application/json", ...sent.headers });
  if (csrf !== null && method !== "GET") headers.set("x-csrf-token", csrf);
  if (sent.isUnasked) headers.set("pypes-again", "1");
  const init: RequestInit = { method, headers };
  if (sent.signal) init.signal = sent.signal;
  if (sent.isLast) init.keepalive = true;
  if (sent.body !== undefined) {
    const isRaw = typeof sent.body === "string" || sent.body instanceof Blob || sent.body instanceof ArrayBuffer;
    init.body = isRaw ? (sent.body as BodyInit) : JSON.stringify(sent.body);
    headers.set("content-type", sent.type ?? "application/json");
  }
  let response: Response;
  try {
    response = await fetch(address, init);
  } catch (error) {
    if (sent.signal?.aborted) throw error;
    throw new ApiError(0, "node.away", "");
  }
  const text = await response.text();
  const isJson = (response.headers.get("content-type") ?? "").includes("json");
  const body: unknown = isJson && text && !(sent.asText && response.ok) ? JSON.parse(text) : text;
  if (response.status < 400) return { status: response.status, body: body as T, headers: response.headers };
  if (response.status === 401) ended();
  const problem = (isJson ? body : {}) as { code?: string; detail?: string; title?: string; errors?: Fault[] };
  throw new ApiError(
    response.status,
    problem.code ?? "",
    problem.detail ?? problem.title ?? response.statusText,
    problem.errors ?? [],
    body,
    response.headers,
  );
}

export const get = async <T>(address: string, sent: Sent = {}): Promise<T> => (await ask<T>("GET", address, sent)).body;
