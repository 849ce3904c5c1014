/** A number as it is shown, and the word of one or of several behind it. */
export const of = (count: number | string, one: string, many: string): string => `${count} ${String(count) === "1" ? one : many}`;
