/** A wire: what passes on it just now, and the packets themselves. */

import { Pause, Play } from "lucide-react";
import { useEffect, useState } from "react";
import { get, path, query } from "../../../api/http";
import type { Wire } from "../../../model/graph";
import { own } from "../../../model/json";
import { Button } from "../../../parts/Button";
import { brief, count, rate, share } from "../../../parts/numbers";
import { Problem } from "../../../parts/Problem";
import { language, t } from "../../../texts";
import { levelOf, tapOf } from "./counters";
import { Facts, Part, Side } from "./Side";
import { type Watching, useSnapshot } from "./watching";

interface Tapped {
  readonly time: string;
  readonly missed: number;
  readonly packet: { readonly fields: Readonly<Record<string, unknown>>; readonly meta: Readonly<Record<string, unknown>> };
}

interface Seen extends Tapped {
  readonly number: number;
}

/** So many packets are kept, the newest first. */
const KEPT = 20;
const AGAIN_MS = 1000;
const BRIEF = 80;
const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium" });

export interface WirePanelProps {
  readonly graph: string;
  readonly wire: Wire;
  /** The wire that runs, of which packets are shown. */
  readonly tapped: Wire;
  readonly watching: Watching;
  readonly onClose: () => void;
}

export function WirePanel({ graph, wire, tapped, watching, onClose }: WirePanelProps) {
  return (
    <Side title={`${wire[0]} → ${wire[1]}`} onClose={onClose}>
      <Part title={t.watch.now}>
        <Now wire={wire} watching={watching} />
      </Part>
      <Tap key={tapOf(tapped)} graph={graph} tap={tapOf(tapped)} />
    </Side>
  );
}

function Now({ wire, watching }: { readonly wire: Wire; readonly watching: Watching }) {
  const now = own(useSnapshot(watching).counters.wires, tapOf(wire)) ?? {};
  const { packets = 0, depth = 0, bound, parked } = now;
  const level = levelOf(now);
  return (
    <>
      <Facts
        facts={[
          [t.watch.packets, rate(packets)],
          [t.watch.waits, bound === undefined ? count(depth) : t.watch.of(count(depth), count(bound))],
          [t.watch.senderWaits, parked ? share(parked) : undefined],
        ]}
      />
      {level !== "" && bound !== undefined && <p className={level === "bad" ? "problem" : "warning"}>{t.watch.nearBound(share(depth / bound))}</p>}
    </>
  );
}

function Tap({ graph, tap }: { readonly graph: string; readonly tap: string }) {
  const [isHeld, setHeld] = useState(false);
  const [seen, setSeen] = useState<readonly Seen[]>([]);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    if (isHeld) return undefined;
    const address = `${path("graphs", graph, "taps")}${query({ wire: tap })}`;
    let source: EventSource | undefined;
    let timer = 0;
    let isLeft = false;
    let number = 0;
    const open = () => {
      if (document.hidden) return void (timer = window.setTimeout(open, AGAIN_MS));
      source = new EventSource(address);
      source.onopen = () => setError(undefined);
      source.addEventListener("packet", (event) => {
        const packet = { ...(JSON.parse((event as MessageEvent<string>).data) as Tapped), number: number++ };
        setSeen((before) => [packet, ...before].slice(0, KEPT));
      });
      const again = () => {
        source?.close();
        if (!isLeft) timer = window.setTimeout(open, AGAIN_MS);
      };
      source.addEventListener("end", again);
      source.onerror = () => {
        again();
        // a stream does not say why it is refused
        get(`${address}&n=1&wait=0`, { isUnasked: true }).catch((why: unknown) => isLeft || setError(why));
      };
    };
    open();
    return () => {
      isLeft = true;
      clearTimeout(timer);
      source?.close();
    };
  }, [graph, tap, isHeld]);
  return (
    <Part title={t.watch.lastPackets}>
      <Button icon={isHeld ? <Play size={16} aria-hidden /> : <Pause size={16} aria-hidden />} aria-pressed={isHeld} onClick={() => setHeld(!isHeld)}>
        {isHeld ? t.watch.goOn : t.watch.hold}
      </Button>
      {error !== undefined && <Problem error={error} />}
      {seen.length === 0 && error === undefined && <p className="dim">{t.watch.nonePasses}</p>}
      <ol className="packets" aria-label={t.watch.lastPackets}>
        {seen.map((each) => (
          <li key={each.number}>
            <Packet tapped={each} />
          </li>
        ))}
      </ol>
    </Part>
  );
}

/** A packet in a line; opened, all of it. */
function Packet({ tapped: { time, missed, packet } }: { readonly tapped: Tapped }) {
  const inBrief = Object.entries(packet.fields)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" · ");
  return (
    <details>
      <summary>
        <time dateTime={time}>{clock.format(new Date(time))}</time> {inBrief.slice(0, BRIEF) || t.watch.noFields}
        {missed > 0 && <span className="chip">{t.watch.missed(brief(missed))}</span>}
      </summary>
      <Values title={t.watch.fields} values={packet.fields} />
      <Values title={t.watch.meta} values={packet.meta} />
    </details>
  );
}

function Values({ title, values }: { readonly title: string; readonly values: Readonly<Record<string, unknown>> }) {
  return (
    <>
      <h4>{title}</h4>
      <Facts facts={Object.entries(values).map(([name, value]) => [name, <code key={name}>{typeof value === "string" ? value : JSON.stringify(value, null, 1)}</code>])} />
    </>
  );
}
