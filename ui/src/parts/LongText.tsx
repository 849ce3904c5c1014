import { useState } from "react";
import { t } from "../texts";

/** Characters that are shown at once. */
const AT_ONCE = 20_000;

/** A text as it stands, with its line breaks; of a long one the beginning, until all of it is asked for. */
export function LongText({ text, label }: { readonly text: string; readonly label: string }) {
  const [isWhole, setWhole] = useState(false);
  const isCut = !isWhole && text.length > AT_ONCE;
  return (
    <div className="long-text">
      {/* whoever uses a keyboard must be able to scroll it */}
      <pre tabIndex={0} role="region" aria-label={label}>
        {isCut ? text.slice(0, AT_ONCE) : text}
      </pre>
      {isCut && (
        <p className="dim">
          {t.packet.cut(text.length - AT_ONCE)}{" "}
          <button type="button" className="link" onClick={() => setWhole(true)}>
            {t.packet.wholeText}
          </button>
        </p>
      )}
    </div>
  );
}
