/** Follow: what became of the documents of a receipt, or of the one with an id or the name of a file. */

import { useEffect, useMemo, useRef, useState } from "react";
import { ApiError, get, path } from "../../api/http";
import { useCommands } from "../../commands/commands";
import { Button } from "../../parts/Button";
import { Problem } from "../../parts/Problem";
import { SearchField } from "../../parts/SearchField";
import { address, go, type Place } from "../../router";
import { t } from "../../texts";
import { Delivery } from "./Delivery";
import { Latest } from "./Latest";
import { isReceipt, type Receipt, receiptOfLetter } from "./receipts";
import { Whereabouts } from "./Whereabouts";
import "../../style/packet.css";
import "../../style/follow.css";

export function Follow({ place }: { readonly place: Place }) {
  const sought = place.params.get("q") ?? "";
  const index = place.params.get("index");
  const input = useRef<HTMLInputElement>(null);
  useCommands(useMemo(() => [{ id: "follow", name: t.follow.focus, keys: "/", run: () => input.current?.select() }], []));
  return (
    <div className="page follow">
      <header className="stack">
        <h1>{t.shell.follow}</h1>
        <p className="dim">{t.follow.intro}</p>
        <form
          key={sought}
          className="row"
          role="search"
          onSubmit={(event) => {
            event.preventDefault();
            const q = String(new FormData(event.currentTarget).get("q") ?? "").trim();
            go(address(["follow"], { q: q || undefined }));
          }}
        >
          <SearchField input={input} label={t.follow.what} sought={sought} />
          <Button type="submit" kind="primary">
            {t.follow.find}
          </Button>
        </form>
      </header>
      {sought ? <Sought key={`${sought} ${index}`} q={sought} index={index === null ? undefined : Number(index)} /> : <Latest />}
    </div>
  );
}

/** The delivery of a receipt if the text is one, else the documents that it is an id or file name of. */
function Sought({ q, index }: { readonly q: string; readonly index: number | undefined }) {
  const letter = receiptOfLetter(q);
  const receipt = letter ?? (isReceipt(q) ? q : undefined);
  const [first, setFirst] = useState<Receipt | "unknown">();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    if (receipt === undefined) return undefined;
    const stop = new AbortController();
    get<Receipt>(path("receipts", receipt), { signal: stop.signal })
      .then(setFirst)
      // ids of documents may look like receipts
      .catch((problem: unknown) => !stop.signal.aborted && (problem instanceof ApiError && problem.code === "receipt.not_found" ? setFirst("unknown") : setError(problem)));
    return () => stop.abort();
  }, [receipt]);

  if (error instanceof ApiError && error.status === 410) return <p className="warning">{t.follow.forgotten}</p>;
  if (error !== undefined) return <Problem error={error} />;
  if (receipt === undefined || first === "unknown") return <Whereabouts q={q} />;
  if (!first) return <p className="empty">{t.parts.loading}</p>;
  return (
    <>
      {letter !== undefined && (
        <p>
          {t.follow.isLetter} <a href={address(["repair", q])}>{t.follow.openLetter}</a>
        </p>
      )}
      <Delivery first={first} index={index} />
    </>
  );
}
