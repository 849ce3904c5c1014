import { t } from "../../texts";
import type { Document, Receipt } from "./receipts";

const KINDS = { queued: "off", processing: "off", done: "ok", failed: "bad" } as const;
const OUTCOMES = { published: "ok", dropped: "off", failed: "bad", pending: "off" } as const;

/** Where a delivery is. */
export function StateOf({ receipt }: { readonly receipt: Pick<Receipt, "state"> & Partial<Pick<Receipt, "accepted" | "failed">> }) {
  const isAll = receipt.state === "failed" && receipt.accepted !== undefined && receipt.accepted === receipt.failed;
  return <span className={`state ${KINDS[receipt.state]}`}>{isAll ? t.follow.allFailed : t.follow.states[receipt.state]}</span>;
}

/** Where a document ended, in words. */
export function endOf(document: Document): string {
  if (document.outcome === "published") return t.follow.publishedBy(document.publishers.join(", "));
  if (document.outcome === "dropped") return document.filter === null ? t.follow.droppedUnknown : t.follow.droppedBy(document.filter);
  if (document.outcome === "failed") return t.follow.failedIn(document.filter ?? "");
  return t.follow.onItsWay;
}

/** Where a document ended. */
export function EndOf({ document }: { readonly document: Document }) {
  return <span className={`state ${OUTCOMES[document.outcome]}`}>{endOf(document)}</span>;
}
