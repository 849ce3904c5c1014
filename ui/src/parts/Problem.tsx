import { ApiError } from "../api/http";
import { t } from "../texts";
import { Button } from "./Button";

/** The message of something that went wrong, for people. */
export function messageOf(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  if (error.status === 0) return t.parts.away;
  if (error.status === 401) return t.parts.over;
  return error.message;
}

/** What went wrong: where, why, and a way to try again. */
export function Problem({ error, onRetry }: { readonly error: unknown; readonly onRetry?: () => void }) {
  const faults = error instanceof ApiError ? error.faults : [];
  return (
    <div className="problem" role="alert">
      <p>{messageOf(error)}</p>
      {faults.length > 0 && (
        <ul>
          {faults.map((fault, position) => (
            <li key={position}>
              {fault.where && <code>{fault.where}</code>} {fault.message}
            </li>
          ))}
        </ul>
      )}
      {onRetry && <Button onClick={onRetry}>{t.parts.retry}</Button>}
    </div>
  );
}
