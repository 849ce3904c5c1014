import { type ExactObject, typed } from "../model/exact";
import { changes, type PacketParts } from "../model/packet";
import { t } from "../texts";
import { ValueDiff } from "./DiffView";

/** Characters of a value that are shown here; all of it is in its JSON. */
const SHOWN = 2_000;

function Values({ title, values, before, none }: { readonly title: string; readonly values: ExactObject; readonly before: ExactObject | undefined; readonly none: string }) {
  const all = changes(before ?? values, values);
  return (
    <section className="packet-part">
      <h3>{title}</h3>
      {all.length === 0 ? (
        <p className="dim">{none}</p>
      ) : (
        <table aria-label={title}>
          <tbody>
            {all.map(({ name, kind, before: was, after: is }) => (
              <tr key={name} className={kind}>
                <th scope="row">{name}</th>
                <td>{kind === "same" ? shown(is === undefined ? "" : typed(is)) : <ValueDiff before={was} after={is} />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

const shown = (text: string): string => (text.length > SHOWN ? `${text.slice(0, SHOWN)} ${t.packet.cut(text.length - SHOWN)}` : text);

/** A packet to look at: its fields and its metadata; with `before`, what differs from that packet is marked. */
export function PacketView({ packet, before }: { readonly packet: PacketParts; readonly before?: PacketParts | undefined }) {
  return (
    <div className="packet">
      <Values title={t.packet.fields} values={packet.fields} before={before?.fields} none={t.packet.noFields} />
      <Values title={t.packet.meta} values={packet.meta} before={before?.meta} none={t.packet.noMeta} />
    </div>
  );
}
