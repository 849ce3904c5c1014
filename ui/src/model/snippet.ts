/** Pieces of texts that were found, and addresses that a document names. */

export interface Piece {
  readonly text: string;
  /** One of the words that were looked for. */
  readonly isFound: boolean;
}

const FOUND = /\[([^[\]]*)\]/g;

/** The pieces of a snippet, in which what was found stands in brackets. */
export function piecesOf(snippet: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const found of snippet.matchAll(FOUND)) {
    if (found.index > at) pieces.push({ text: snippet.slice(at, found.index), isFound: false });
    pieces.push({ text: found[1] ?? "", isFound: true });
    at = found.index + found[0].length;
  }
  if (at < snippet.length) pieces.push({ text: snippet.slice(at), isFound: false });
  return pieces;
}

/** The address if it leads to a page of the web: documents name whatever they like, scripts too. */
export function webAddress(text: string): string | undefined {
  try {
    const { protocol, href } = new URL(text);
    return protocol === "http:" || protocol === "https:" ? href : undefined;
  } catch {
    return undefined;
  }
}
