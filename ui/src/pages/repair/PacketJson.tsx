import { useId, useState } from "react";
import { isObjectOf, NotJson, read, write } from "../../model/exact";
import { formOf, type PacketParts, partsOf } from "../../model/packet";
import { t } from "../../texts";
import { faultOf } from "./ValueInput";

const PARTS = ["fields", "meta", "field_meta"];

function parsed(text: string): PacketParts | string {
  try {
    const value = read(text);
    const isPacket = isObjectOf(value) && [...value].every(([name, part]) => PARTS.includes(name) && isObjectOf(part));
    return isPacket ? partsOf(value) : t.packet.notPacket;
  } catch (error) {
    if (error instanceof NotJson) return faultOf(error);
    throw error;
  }
}

export interface PacketJsonProps {
  readonly packet: PacketParts;
  /** What somebody has typed before, that is no packet. */
  readonly begun: string | undefined;
  readonly isFixed: boolean;
  /** Another packet; undefined while the text is none. */
  readonly onChange: (packet: PacketParts | undefined, text: string) => void;
}

/** The packet as a text that can be changed. */
export function PacketJson({ packet, begun, isFixed, onChange }: PacketJsonProps) {
  const [text, setText] = useState(() => begun ?? write(formOf(packet), 2));
  const help = useId();
  const found = parsed(text);
  const wrong = typeof found === "string" ? found : undefined;
  return (
    <div className="field packet-json">
      <textarea
        className="mono"
        aria-label={t.packet.json}
        aria-invalid={wrong !== undefined || undefined}
        aria-describedby={wrong === undefined ? undefined : help}
        spellCheck={false}
        readOnly={isFixed}
        rows={Math.min(Math.max(text.split("\n").length + 1, 8), 28)}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          const next = parsed(event.target.value);
          onChange(typeof next === "string" ? undefined : next, event.target.value);
        }}
      />
      {wrong !== undefined && (
        <p className="wrong" id={help}>
          {wrong}
        </p>
      )}
    </div>
  );
}
