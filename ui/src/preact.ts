/** The sources are written for React; what Preact does otherwise, and somebody would notice, is as React has it. */

import { options } from "preact";
import "preact/compat";

// effects come with what is drawn, not a frame after it: the next key may be for what they set up
options.requestAnimationFrame = queueMicrotask;

/** Elements know these by small letters only: wires are reached by Tab, and names are not looked up in a dictionary. */
const SMALL: Readonly<Record<string, string>> = { g: "tabIndex", input: "spellCheck", textarea: "spellCheck" };
const made = options.vnode;
options.vnode = (node) => {
  made?.(node);
  const name = typeof node.type === "string" ? SMALL[node.type] : undefined;
  const props = node.props as Record<string, unknown>;
  if (name !== undefined && name in props) [props[name.toLowerCase()], props[name]] = [props[name], undefined];
};
