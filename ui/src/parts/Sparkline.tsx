/** A line of values over time, the newest at the right; it says in words what it shows. */
export function Sparkline({ values, label, isBad = false }: { readonly values: readonly number[]; readonly label: string; readonly isBad?: boolean }) {
  const most = Math.max(...values, 1e-9);
  const last = Math.max(values.length - 1, 1);
  const points = values.map((value, at) => `${((at / last) * 96).toFixed(1)},${(22 - (value / most) * 20).toFixed(1)}`);
  return (
    <svg className={`sparkline ${isBad ? "bad" : ""}`} viewBox="0 0 96 24" preserveAspectRatio="none" role="img" aria-label={label}>
      {points.length > 1 && <path d={`M${points.join("L")}`} />}
    </svg>
  );
}
