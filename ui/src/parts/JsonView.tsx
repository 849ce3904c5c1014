import { type Exact, write } from "../model/exact";
import { LongText } from "./LongText";

/** A value as JSON, indented. */
export function JsonView({ value, label }: { readonly value: Exact; readonly label: string }) {
  return <LongText text={write(value, 2)} label={label} />;
}
