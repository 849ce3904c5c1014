/** Who looks, and what they may do. */

import { get } from "./http";

export type Scope = "ingest" | "read" | "edit" | "admin";

export interface Session {
  /** The name of the token; empty on a node that asks for none. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Graphs that the token is for; none: all. */
  readonly graphs: readonly string[];
  readonly ends: string | null;
  readonly idle_s: number | null;
  readonly csrf: string | null;
}

export const signedIn = (): Promise<Session> => get<Session>("session");

export const may = (session: Session, scope: Scope): boolean => session.scopes.includes(scope);
