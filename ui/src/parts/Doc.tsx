import { Fragment } from "react";

/** What a component says of itself: its words between double backticks are code, its paragraphs are apart by empty lines. */
export function Doc({ text, isBrief = false }: { readonly text: string; readonly isBrief?: boolean }) {
  const paragraphs = text.split(/\n\s*\n/);
  return (
    <>
      {(isBrief ? paragraphs.slice(0, 1) : paragraphs).map((paragraph, at) => (
        <p key={at}>
          {paragraph.split(/``(.+?)``/s).map((part, position) => (
            <Fragment key={position}>{position % 2 ? <code>{part}</code> : part}</Fragment>
          ))}
        </p>
      ))}
    </>
  );
}
