import { X } from "lucide-react";
import { useId } from "react";
import { Button } from "../../parts/Button";
import { address, go } from "../../router";
import { t } from "../../texts";
import { CRITERIA, type Criteria } from "./letters";

/** The criteria that dead letters are looked for by, and a form for them. */
export function Search({ criteria }: { readonly criteria: Criteria }) {
  const id = useId();
  const given = CRITERIA.filter((name) => criteria[name] !== undefined);
  return (
    <section className="stack" aria-label={t.repair.criteria}>
      {given.length > 0 && (
        <ul className="criteria">
          {given.map((name) => (
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
      <details className="card search" key={JSON.stringify(criteria)}>
        <summary>{t.repair.criteria}</summary>
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            const values = new FormData(event.currentTarget);
            go(address(["repair"], Object.fromEntries(CRITERIA.map((name) => [name, String(values.get(name) ?? "").trim() || undefined]))));
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
