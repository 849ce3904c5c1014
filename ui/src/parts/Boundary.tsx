import { Component, type ReactNode } from "react";
import { address } from "../router";
import { t } from "../texts";
import { Problem } from "./Problem";

interface BoundaryProps {
  readonly children: ReactNode;
  /** More that can be done about it; it is given what tries again. */
  readonly offer?: (again: () => void) => ReactNode;
}

/** A page that fails takes nothing with it: the frame stays, says what went wrong, and leads elsewhere. */
export class Boundary extends Component<BoundaryProps, { readonly error?: unknown }> {
  override state: { readonly error?: unknown } = {};

  static getDerivedStateFromError(error: unknown) {
    return { error: error ?? t.parts.broken };
  }

  #again = (): void => this.setState({ error: undefined });

  override render(): ReactNode {
    if (this.state.error === undefined) return this.props.children;
    return (
      <div className="page">
        <h1>{t.parts.broken}</h1>
        <Problem error={this.state.error} onRetry={this.#again} />
        <p className="row">
          <a className="button" href={address(["graphs"])}>
            {t.parts.home}
          </a>
          {this.props.offer?.(this.#again)}
        </p>
      </div>
    );
  }
}
