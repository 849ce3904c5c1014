import { Problem } from "../../parts/Problem";
import { ago, moment } from "../../parts/times";
import { useFetched } from "../../parts/useFetched";
import { address } from "../../router";
import { t } from "../../texts";
import { useChanges, useHeld } from "./held";
import { countOf, type Criteria, finds, type Group, type Letter, listAddress, nameOf } from "./letters";

const PAGE = 50;

/** Where each page of a search begins, as far as they were looked at. */
const beginnings = new Map<string, (string | undefined)[]>();

interface Page {
  readonly deadletters: readonly Letter[];
  readonly next: string | null;
}

/** The dead letters of a search, a page at a time. */
export function LetterList({ criteria, groups, page }: { readonly criteria: Criteria; readonly groups: readonly Group[]; readonly page: number }) {
  const key = JSON.stringify(criteria);
  const begins = beginnings.get(key) ?? [undefined];
  // a page that nobody has come to yet is not known where it begins
  const at = Math.min(page, begins.length);
  const { value, error, again } = useFetched<Page>(listAddress(criteria, { limit: PAGE, after: begins[at - 1] }));
  const held = useHeld();
  useChanges(again);
  if (value?.next) beginnings.set(key, [...begins.slice(0, at), value.next]);

  if (value === undefined) return error === undefined ? <p className="empty">{t.parts.loading}</p> : <Problem error={error} onRetry={again} />;
  const first = (at - 1) * PAGE + 1;
  const to = (next: number) => address(["repair"], { ...criteria, page: next > 1 ? String(next) : undefined });
  return (
    <section className="stack" aria-label={t.repair.list}>
      <ul className="letters">
        {value.deadletters.map((letter) => (
          <li key={letter.id} className={held.some((each) => each.id === letter.id || (each.about && finds(each.about, letter))) ? "held" : ""}>
            <a href={address(["repair", letter.id])}>
              <strong>{nameOf(letter, t.repair.documentAt, t.repair.wholeDelivery)}</strong>
              <span className="error">{letter.error}</span>
              <span className="dim">
                {letter.graph}, {letter.filter ? t.repair.inFilter(letter.filter) : t.repair.beforeFilters}
                {letter.failures !== undefined && ` (${t.repair.failures(letter.failures)})`}
              </span>
              <time className="dim" dateTime={letter.time} title={moment(letter.time)}>
                {ago(letter.time)}
              </time>
            </a>
          </li>
        ))}
      </ul>
      <nav className="row spread pages" aria-label={t.repair.list}>
        {at > 1 ? <a href={to(at - 1)}>← {t.repair.newer}</a> : <span />}
        <span className="dim">{t.repair.page(Math.min(first, countOf(groups)), first + value.deadletters.length - 1, Math.max(countOf(groups), first + value.deadletters.length - 1))}</span>
        {value.next !== null && first + PAGE - 1 < countOf(groups) ? <a href={to(at + 1)}>{t.repair.older} →</a> : <span />}
      </nav>
    </section>
  );
}
