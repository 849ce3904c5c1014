import { X } from "lucide-react";
import { useEffect, useId, useRef, type ReactNode } from "react";
import { t } from "../texts";
import { Button } from "./Button";

export interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
  /** Buttons at its foot. */
  readonly actions?: ReactNode;
  readonly className?: string;
}

const FIELDS = ["input", "select", "textarea"].map((field) => `${field}:not([hidden], :disabled)`).join();

/**
 * A modal dialog, there while it is rendered. The focus is on its first field at once, as the one who opened it is about to type;
 * Escape closes it, and the focus goes back to where it was.
 */
export function Dialog({ title, onClose, children, actions, className = "" }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const before = document.activeElement;
    ref.current?.showModal();
    ref.current?.querySelector<HTMLElement>(FIELDS)?.focus();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={ref}
      className={className}
      aria-labelledby={heading}
      onCancel={(event) => {
        // somebody who chooses no file after all cancels that only
        if (event.target !== ref.current) return;
        event.preventDefault();
        onClose();
      }}
    >
      <div className="dialog">
        <header className="row spread">
          <h2 id={heading}>{title}</h2>
          <Button kind="plain" name={t.parts.close} icon={<X size={16} aria-hidden />} onClick={onClose} />
        </header>
        {children}
        {actions && <footer>{actions}</footer>}
      </div>
    </dialog>
  );
}
