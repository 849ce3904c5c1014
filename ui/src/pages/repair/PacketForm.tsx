import { Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import type { Exact } from "../../model/exact";
import { isBinary, isHidden, type PacketParts, withField, withMeta, withoutField } from "../../model/packet";
import { Button } from "../../parts/Button";
import { notify } from "../../parts/Notices";
import { t } from "../../texts";
import { ValueInput } from "./ValueInput";

export interface PacketFormProps {
  readonly packet: PacketParts;
  /** Names of fields and metadata in which something stands that is no value. */
  readonly wrong: ReadonlySet<string>;
  readonly refused: string | undefined;
  readonly onChange: (packet: PacketParts, wrong: ReadonlySet<string>) => void;
}

/** The fields and metadata of a packet, each in an input of its kind. */
export function PacketForm({ packet, wrong, refused, onChange }: PacketFormProps) {
  const [added, setAdded] = useState("");
  const isTaken = packet.fields.has(added);

  const take = (key: string, value: Exact | undefined, next: (value: Exact) => PacketParts) => {
    const others = new Set(wrong);
    if (value === undefined) others.add(key);
    else others.delete(key);
    onChange(value === undefined ? packet : next(value), others);
  };
  const remove = (name: string) => {
    const others = new Set(wrong);
    others.delete(`fields.${name}`);
    const before = packet;
    if (isHidden(packet.fields.get(name))) notify({ text: t.packet.removeHidden, kind: "bad", action: { name: t.parts.undo, run: () => onChange(before, others) } });
    onChange(withoutField(packet, name), others);
  };
  const add = () => {
    if (!added || isTaken) return;
    onChange(withField(packet, added, ""), wrong);
    setAdded("");
  };

  return (
    <div className="packet-form">
      <section>
        <h3>{t.packet.fields}</h3>
        {packet.fields.size === 0 && <p className="dim">{t.packet.noFields}</p>}
        {[...packet.fields].map(([name, value]) => (
          <div className="packet-row" key={name}>
            <div className="name">{name}</div>
            <ValueInput
              name={name}
              value={value}
              isBinary={isBinary(packet, name)}
              isHidden={isHidden(value)}
              isFixed={refused !== undefined}
              onChange={(next) => take(`fields.${name}`, next, (given) => withField(packet, name, given))}
            />
            <Button kind="plain" name={t.packet.remove(name)} refused={refused} icon={<Trash2 size={16} aria-hidden />} onClick={() => remove(name)} />
          </div>
        ))}
        <form
          className="row add"
          onSubmit={(event) => {
            event.preventDefault();
            add();
          }}
        >
          <input
            type="text"
            aria-label={t.packet.newField}
            placeholder={t.packet.newField}
            readOnly={refused !== undefined}
            aria-invalid={isTaken || undefined}
            value={added}
            onChange={(event) => setAdded(event.target.value)}
          />
          <Button type="submit" refused={refused ?? (isTaken ? t.packet.hasField : undefined)} icon={<Plus size={16} aria-hidden />}>
            {t.packet.addField}
          </Button>
        </form>
      </section>
      <details open={[...wrong].some((each) => each.startsWith("meta.")) || undefined}>
        <summary>
          {t.packet.meta} ({packet.meta.size})
        </summary>
        <p className="dim">{t.packet.metaHelp}</p>
        {packet.meta.size === 0 && <p className="dim">{t.packet.noMeta}</p>}
        {[...packet.meta].map(([name, value]) => (
          <div className="packet-row" key={name}>
            <div className="name">{name}</div>
            <ValueInput
              name={name}
              value={value}
              isBinary={false}
              isHidden={isHidden(value)}
              isFixed={refused !== undefined}
              onChange={(next) => take(`meta.${name}`, next, (given) => withMeta(packet, name, given))}
            />
          </div>
        ))}
      </details>
    </div>
  );
}
