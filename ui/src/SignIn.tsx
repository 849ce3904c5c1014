/** The form that asks for a token. The place where one wants to go stays in the address meanwhile. */

import { type FormEvent, useEffect, useRef, useState } from "react";
import { ApiError, ask } from "./api/http";
import { Button } from "./parts/Button";
import { messageOf } from "./parts/Problem";
import { t } from "./texts";

export function SignIn({ onDone }: { readonly onDone: () => void }) {
  const [why, setWhy] = useState<string | null>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const signIn = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const body = new URLSearchParams({ token: String(new FormData(event.currentTarget).get("token")) }).toString();
    ask("POST", "session", { body, type: "application/x-www-form-urlencoded" }).then(onDone, (error: unknown) =>
      setWhy(error instanceof ApiError && error.status === 401 ? t.signIn.wrong : messageOf(error)),
    );
  };
  return (
    <main className="sign-in">
      <h1>Pypes</h1>
      <p>{t.signIn.why}</p>
      {why !== null && (
        <p className="problem" role="alert">
          {why}
        </p>
      )}
      <form className="stack" onSubmit={signIn}>
        <label htmlFor="token">{t.signIn.token}</label>
        <input id="token" name="token" type="password" autoComplete="current-password" required ref={field} />
        <Button type="submit" kind="primary">
          {t.signIn.signIn}
        </Button>
      </form>
    </main>
  );
}
