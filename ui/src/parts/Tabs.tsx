import { useId, useRef, type ReactNode } from "react";

export interface Tab {
  readonly id: string;
  readonly name: string;
  readonly content: () => ReactNode;
}

/** Several views of one thing, one at a time; arrows, Home and End choose. */
export function Tabs({ label, tabs, chosen, onChoose }: { readonly label: string; readonly tabs: readonly Tab[]; readonly chosen: string; readonly onChoose: (id: string) => void }) {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const at = Math.max(
    tabs.findIndex((tab) => tab.id === chosen),
    0,
  );
  return (
    <div className="tab-view">
      <div
        role="tablist"
        aria-label={label}
        ref={list}
        onKeyDown={(event) => {
          const next = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
          const tab = next === undefined ? undefined : tabs[next % tabs.length];
          if (!tab) return;
          event.preventDefault();
          onChoose(tab.id);
          list.current?.querySelectorAll<HTMLElement>('[role="tab"]')[tabs.indexOf(tab)]?.focus();
        }}
      >
        {tabs.map((tab, position) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`${id}-${tab.id}`}
            aria-selected={position === at}
            aria-controls={`${id}-panel`}
            tabIndex={position === at ? 0 : -1}
            onClick={() => onChoose(tab.id)}
          >
            {tab.name}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${tabs[at]?.id}`}>
        {tabs[at]?.content()}
      </div>
    </div>
  );
}
