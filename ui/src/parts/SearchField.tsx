import { type RefObject, useEffect } from "react";

export interface SearchFieldProps {
  readonly input: RefObject<HTMLInputElement | null>;
  readonly label: string;
  /** What is sought now: as long as it is nothing, the focus is here. */
  readonly sought: string;
  readonly maxLength?: number;
}

/** The field of a page that searches; its form sends it as `q`. */
export function SearchField({ input, label, sought, maxLength }: SearchFieldProps) {
  useEffect(() => {
    if (!sought) input.current?.focus();
  }, [input, sought]);
  return <input ref={input} type="search" name="q" maxLength={maxLength} aria-label={label} placeholder={label} defaultValue={sought} />;
}
