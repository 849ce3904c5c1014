/** Posting a document: what type a text is of, and the same as a line for a shell. */

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The media type that a text is likely of. */
export function typeOfText(text: string): string {
  const start = text.trimStart();
  if (/^[[{]/.test(start)) {
    if (isJson(start)) return "application/json";
    const lines = start.split("\n").filter((line) => line.trim());
    if (lines.length > 1 && lines.every(isJson)) return "application/x-ndjson";
  }
  if (/^<\?xml/i.test(start)) return "application/xml";
  if (/^<(!doctype html|[a-z][a-z0-9]*[\s>])/i.test(start)) return "text/html";
  return "text/plain";
}

export interface Posted {
  readonly url: string;
  readonly type: string;
  readonly id: string;
  /** A text, or the name of a file. */
  readonly body: { readonly text: string } | { readonly file: string };
  /** The node asks for a token. */
  readonly needsToken: boolean;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** The heads that say what is posted; ids and names of files may be of any letters. */
export function headsOf({ id, body }: Pick<Posted, "id" | "body">): Readonly<Record<string, string>> {
  return {
    ...(id ? { "Pypes-Id": encodeURIComponent(id) } : {}),
    ...("file" in body ? { "Content-Disposition": `attachment; filename*=UTF-8''${encodeURIComponent(body.file).replaceAll("'", "%27")}` } : {}),
  };
}

/** A line for a shell that posts the same. */
export function curlOf(posted: Posted): string {
  const { url, type, body, needsToken } = posted;
  const heads = Object.entries({ "Content-Type": type, ...headsOf(posted) }).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  // a text may begin with @, which --data takes for the name of a file
  const data = "file" in body ? `--data-binary ${quoted(`@${body.file}`)}` : `--data-raw ${quoted(body.text)}`;
  return ["curl", ...(needsToken ? ['-H "Authorization: Bearer $PYPES_TOKEN"'] : []), ...heads, data, quoted(url)].join(" ");
}
