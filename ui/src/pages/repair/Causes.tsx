import { Sparkline } from "../../parts/Sparkline";
import { ago, moment } from "../../parts/times";
import { address } from "../../router";
import { t } from "../../texts";
import { useHeld } from "./held";
import { criteriaOfGroup, finds, type Group } from "./letters";

/** Dead letters counted by graph, filter and code, most first. */
export function Causes({ groups }: { readonly groups: readonly Group[] }) {
  const held = useHeld();
  return (
    <section className="stack" aria-label={t.repair.causes}>
      <h2>{t.repair.causes}</h2>
      <ul className="causes">
        {groups.map((group) => {
          const criteria = criteriaOfGroup(group);
          const where = group.filter ? t.repair.inFilter(group.filter) : t.repair.beforeFilters;
          const isHeld = held.some((each) => each.about && finds(each.about, group));
          const recent = (group.history ?? []).reduce((sum, count) => sum + count, 0);
          return (
            <li key={`${group.graph} ${group.filter} ${group.code}`} className={isHeld ? "held" : ""}>
              <a className="cause" href={address(["repair"], criteria)}>
                <strong>{group.code}</strong>
                <span className="dim">
                  {group.graph}, {where}
                </span>
              </a>
              <span className="count">
                {t.repair.matching(group.count)}
                {group.failures > group.count && <span className="dim"> ({t.repair.failures(group.failures)})</span>}
                {isHeld && <span className="chip warn">{t.repair.deleting}</span>}
              </span>
              {group.history && <Sparkline isBad values={group.history} label={t.repair.history(group.graph, where, recent)} />}
              <time className="dim" dateTime={group.latest} title={moment(group.latest)}>
                {ago(group.latest)}
              </time>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
