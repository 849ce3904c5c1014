import type { ButtonHTMLAttributes, ReactNode, Ref } from "react";
import { notify } from "./Notices";

export interface ButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "disabled"> {
  readonly kind?: "primary" | "danger" | "plain" | undefined;
  /** Why it cannot be used now. It stays where it is, can be reached by keyboard, and tells the reason when it is used. */
  readonly refused?: string | undefined;
  readonly icon?: ReactNode;
  /** Its name, if it shows an icon only. */
  readonly name?: string | undefined;
  readonly ref?: Ref<HTMLButtonElement>;
}

export function Button({ kind, refused, icon, name, children, onClick, className = "", title, ...others }: ButtonProps) {
  const isIcon = children === undefined;
  return (
    <button
      type="button"
      {...others}
      className={`button ${kind ?? ""} ${isIcon ? "icon" : ""} ${className}`}
      aria-label={name ?? others["aria-label"]}
      title={refused ?? title ?? name}
      aria-disabled={refused !== undefined || undefined}
      onClick={(event) => {
        if (refused === undefined) return onClick?.(event);
        event.preventDefault();
        notify({ text: refused });
      }}
    >
      {icon}
      {children}
    </button>
  );
}
