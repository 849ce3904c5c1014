import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";
import { Button } from "../../../parts/Button";
import { t } from "../../../texts";

/** What is selected, beside the canvas; on a narrow screen below it. */
export function Side({ title, icon, onClose, children }: { readonly title: ReactNode; readonly icon?: ReactNode; readonly onClose: () => void; readonly children: ReactNode }) {
  const heading = useId();
  return (
    <aside className="watch-side" aria-labelledby={heading} onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <header>
        {icon}
        <h2 id={heading}>{title}</h2>
        <Button kind="plain" name={t.parts.close} icon={<X size={16} aria-hidden />} onClick={onClose} />
      </header>
      <Scrolled>{children}</Scrolled>
    </aside>
  );
}

/** What may be longer than its place can be scrolled by keyboard. */
function Scrolled({ children }: { readonly children: ReactNode }) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (ref.current) ref.current.scrollTop = 0;
  }, []);
  return (
    <div className="side-body" ref={ref} tabIndex={0} role="region" aria-label={t.watch.details}>
      {children}
    </div>
  );
}

/** A part of it under a heading of its own. */
export function Part({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <section className="side-part">
      <h3>{title}</h3>
      {children}
    </section>
  );
}

/** Names and values; a value that is undefined is left out. */
export function Facts({ facts }: { readonly facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="side-facts">
      {facts
        .filter(([, value]) => value !== undefined && value !== "")
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
