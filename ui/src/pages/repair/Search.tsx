import { X } from "lucide-react";
import { useId, useMemo, useRef } from "react";
import { useCommands } from "../../commands/commands";
import { Button } from "../../parts/Button";
import { address, go } from "../../router";
import { t } from "../../texts";
import { CRITERIA, type Criteria, type Criterion } from "./letters";

const AGES: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** A criterion as the node takes it: an age such as 5m is a time. */
function given(name: Criterion, text: string): string {
  const age = name === "since" ? /^(\d+)\s*([smhd])$/.exec(text) : null;
  return age ? new Date(Date.now() - 1000 * Number(age[1]) * (AGES[age[2] ?? ""] ?? 1)).toISOString() : text;
}

/** The criteria that dead letters are looked for by, and a form for them. */
export function Search({ criteria }: { readonly criteria: Criteria }) {
  const id = useId();
  const details = useRef<HTMLDetailsElement>(null);
  useCommands(
    useMemo(
      () => [
        {
          id: "narrow",
          name: t.repair.commandNarrow,
          keys: "/",
          run: () => {
            if (!details.current) return;
            details.current.open = true;
            details.current.querySelector("input")?.focus();
          },
        },
      ],
      [],
    ),
  );
  const active = CRITERIA.filter((name) => criteria[name] !== undefined);
  return (
    <section className="stack" aria-label={t.repair.criteria}>
      {active.length > 0 && (
        <ul className="criteria">
          {active.map((name) => (
            <li key={name} className="chip">
              {t.repair.criterion[name]}: <strong>{criteria[name]}</strong>
              <a
                href={address(["repair"], { ...criteria, [name]: undefined })}
                aria-label={t.repair.without(t.repair.criterion[name])}
                title={t.repair.without(t.repair.criterion[name])}
              >
                <X size={14} aria-hidden />
              </a>
            </li>
          ))}
          <li>
            <a href={address(["repair"])}>{t.repair.showAll}</a>
          </li>
        </ul>
      )}
      {/* another search has another form */}
      <details ref={details} className="card search" key={JSON.stringify(criteria)}>
        <summary>{t.repair.criteria}</summary>
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            const values = new FormData(event.currentTarget);
            go(address(["repair"], Object.fromEntries(CRITERIA.map((name) => [name, given(name, String(values.get(name) ?? "").trim()) || undefined]))));
          }}
        >
          <p className="dim">{t.repair.criteriaHelp}</p>
          <div className="fields">
            {CRITERIA.map((name) => (
              <div className="field" key={name}>
                <label htmlFor={`${id}-${name}`}>{t.repair.criterion[name]}</label>
                <input type="text" id={`${id}-${name}`} name={name} defaultValue={criteria[name] ?? ""} aria-describedby={name === "since" ? `${id}-help` : undefined} />
                {name === "since" && (
                  <span className="help" id={`${id}-help`}>
                    {t.repair.sinceHelp}
                  </span>
                )}
              </div>
            ))}
          </div>
          <div>
            <Button type="submit" kind="primary">
              {t.repair.search}
            </Button>
          </div>
        </form>
      </details>
    </section>
  );
}
