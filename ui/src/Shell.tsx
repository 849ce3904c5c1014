/** The frame of all pages: where one is, where one can go, who one is, and whether the node answers. */

import { Command as CommandIcon, MoreHorizontal } from "lucide-react";
import { Suspense, useEffect, useMemo, useState } from "react";
import { watchLine, type Line } from "./api/events";
import { ApiError, ask } from "./api/http";
import { handleKeys, useCommands, type Command } from "./commands/commands";
import { Palette } from "./commands/Palette";
import { Boundary } from "./parts/Boundary";
import { Button } from "./parts/Button";
import { Menu, type Item } from "./parts/Menu";
import { Notices, notify } from "./parts/Notices";
import { messageOf } from "./parts/Problem";
import { PAGES, pageAt } from "./pages";
import { address, go, usePlace } from "./router";
import { useSession } from "./session";
import { language, speak, t } from "./texts";
import { paint, type Theme } from "./theme";

const LINES: Readonly<Record<Exclude<Line, "idle">, { kind: string; text: string }>> = {
  open: { kind: "ok", text: t.shell.live },
  connecting: { kind: "off", text: t.shell.connecting },
  away: { kind: "bad", text: t.shell.away },
};
const THEMES: readonly (readonly [Theme, string])[] = [
  ["system", t.shell.system],
  ["light", t.shell.light],
  ["dark", t.shell.dark],
];
const SPOKEN = language === "de" ? (["en", "English"] as const) : (["de", "Deutsch"] as const);

function signOut(): void {
  ask("POST", "session/end", { body: "", type: "application/x-www-form-urlencoded" })
    // the answer leads to the page, which asks for a token by now
    .catch((error: unknown) => {
      if (!(error instanceof ApiError && error.status === 401)) throw error;
    })
    .then(() => location.reload())
    .catch((error: unknown) => notify({ text: messageOf(error), kind: "bad" }));
}

function LineState() {
  const [line, setLine] = useState<Line>("idle");
  useEffect(() => watchLine(setLine), []);
  if (line === "idle") return null;
  return (
    <span className={`state ${LINES[line].kind}`} role="status">
      <span className={line === "away" ? "" : "wide"}>{LINES[line].text}</span>
    </span>
  );
}

export function Shell() {
  const place = usePlace();
  const session = useSession();
  const [isPaletteOpen, setPaletteOpen] = useState(false);
  const page = pageAt(place);

  useEffect(() => {
    addEventListener("keydown", handleKeys);
    return () => removeEventListener("keydown", handleKeys);
  }, []);
  useEffect(() => {
    document.title = `${page.title(place)} · Pypes`;
  }, [page, place]);

  const commands = useMemo<readonly Command[]>(
    () => [
      { id: "commands", name: t.commands.title, keys: "Mod+K", run: () => setPaletteOpen(true) },
      ...PAGES.map((each) => ({ id: `go-${each.name}`, name: t.commands.goTo(each.label), run: () => go(address([each.name])) })),
      ...THEMES.map(([name, label]) => ({ id: `theme-${name}`, name: t.commands.theme(label), run: () => paint(name) })),
      { id: "speak", name: t.commands.speak(SPOKEN[1]), run: () => speak(SPOKEN[0]) },
      ...(session.csrf === null ? [] : [{ id: "sign-out", name: t.shell.signOut, run: signOut }]),
    ],
    [session.csrf],
  );
  useCommands(commands);

  const items: Item[] = [
    ...THEMES.map(([name, label]) => ({ name: t.commands.theme(label), run: () => paint(name) })),
    { name: t.commands.speak(SPOKEN[1]), run: () => speak(SPOKEN[0]) },
    { name: t.shell.plain, href: "plain" },
    { name: t.shell.interface, href: "openapi.json" },
    ...(session.csrf === null ? [] : [{ name: t.shell.signOut, run: signOut }]),
  ];

  return (
    <div className="shell">
      <a className="skip" href="#content" onClick={(event) => (event.preventDefault(), document.getElementById("content")?.focus())}>
        {t.shell.skip}
      </a>
      <header className="bar">
        <a className="brand" href={address(["graphs"])}>
          pypes
        </a>
        <nav aria-label={t.shell.pages}>
          {PAGES.map((each) => (
            <a key={each.name} href={address([each.name])} aria-current={each === page ? "page" : undefined}>
              {each.label}
            </a>
          ))}
        </nav>
        <div className="end">
          <LineState />
          <Button kind="plain" name={`${t.shell.commands} (Ctrl-K)`} icon={<CommandIcon size={16} aria-hidden />} onClick={() => setPaletteOpen(true)} />
          <Menu name={session.name ? t.shell.signedInAs(session.name, session.scopes.join(", ")) : t.shell.menu} icon={<MoreHorizontal size={16} aria-hidden />} items={items} />
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        <Boundary key={place.parts.slice(0, 2).join("/")}>
          <Suspense fallback={<p className="empty">{t.parts.loading}</p>}>
            <page.View place={place} />
          </Suspense>
        </Boundary>
      </main>
      <Notices />
      {isPaletteOpen && <Palette onClose={() => setPaletteOpen(false)} />}
    </div>
  );
}
