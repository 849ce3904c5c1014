/** Packets that somebody is about to change, and what they were before each change that was saved: kept while the page is there. */

import { same } from "../../model/exact";
import { formOf, type PacketParts } from "../../model/packet";
import { letterAt, putPacket, type WholeLetter } from "./letters";

const drafts = new Map<string, PacketParts>();
const former = new Map<string, PacketParts[]>();

export const draftOf = (id: string): PacketParts | undefined => drafts.get(id);

export function keepDraft(id: string, packet: PacketParts | undefined): void {
  if (packet) drafts.set(id, packet);
  else drafts.delete(id);
}

export const canUndo = (id: string): boolean => (former.get(id)?.length ?? 0) > 0;

export const isSame = (one: PacketParts, other: PacketParts): boolean => same(formOf(one), formOf(other));

/** Somebody else has saved the packet since it was read. */
export class Conflict extends Error {
  constructor(readonly theirs: WholeLetter) {
    super();
  }
}

/** Save a packet in place of the one that was `seen`. Throws {@link Conflict}, or what the node says. */
export async function save(id: string, seen: PacketParts, packet: PacketParts): Promise<WholeLetter> {
  const now = await letterAt(id);
  if (now.packet && !isSame(now.packet, seen)) throw new Conflict(now);
  const saved = await putPacket(id, packet);
  former.set(id, [...(former.get(id) ?? []), seen]);
  drafts.delete(id);
  return saved;
}

/** Put back the packet from before the last edit; returns the letter, and names of metadata that were added and stay. */
export async function undo(id: string): Promise<{ readonly letter: WholeLetter; readonly stays: readonly string[] }> {
  const before = former.get(id)?.at(-1);
  if (!before) return { letter: await letterAt(id), stays: [] };
  const letter = await putPacket(id, before);
  former.set(id, (former.get(id) ?? []).slice(0, -1));
  drafts.delete(id);
  return { letter, stays: [...(letter.packet?.meta.keys() ?? [])].filter((name) => !before.meta.has(name)) };
}
