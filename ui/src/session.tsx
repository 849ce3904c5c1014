/** Who looks, for all parts of the page. */

import { createContext, useContext } from "react";
import { may, type Scope, type Session } from "./api/session";
import { t } from "./texts";

export const SessionContext = createContext<Session>({ name: "", scopes: [], graphs: [], ends: null, idle_s: null, csrf: null });

export const useSession = (): Session => useContext(SessionContext);

/** Why whoever looks may not do what needs this scope, or undefined if they may. Give it to a Button as `refused`. */
export function useRefusal(scope: Scope): string | undefined {
  return may(useSession(), scope) ? undefined : t.parts.needs(scope);
}
