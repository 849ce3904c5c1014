/** All graphs of the node at a glance. */

import { Empty } from "../../parts/Empty";
import { Problem } from "../../parts/Problem";
import { useFetched } from "../../parts/useFetched";
import { address } from "../../router";
import { t } from "../../texts";

interface Listed {
  readonly name: string;
  readonly state: string;
}

export function Graphs() {
  const { value, error, again } = useFetched<readonly Listed[]>("graphs", 5000);
  if (error !== undefined && value === undefined) return <Problem error={error} onRetry={again} />;
  if (value === undefined) return <p className="empty">{t.parts.loading}</p>;
  return (
    <div className="page">
      <h1>{t.graphs.title}</h1>
      {value.length === 0 ? (
        <Empty title={t.graphs.title} />
      ) : (
        <ul className="card">
          {value.map((graph) => (
            <li key={graph.name}>
              <a href={address(["graphs", graph.name])}>{graph.name}</a> {graph.state}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
