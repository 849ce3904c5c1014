import { Component, type ReactNode } from "react";
import { t } from "../texts";
import { Problem } from "./Problem";

/** A page that fails takes nothing with it: the frame stays, says what went wrong, and leads elsewhere. */
export class Boundary extends Component<{ readonly children: ReactNode }, { readonly error?: unknown }> {
  override state: { readonly error?: unknown } = {};

  static getDerivedStateFromError(error: unknown) {
    return { error: error ?? t.parts.broken };
  }

  override render(): ReactNode {
    if (this.state.error === undefined) return this.props.children;
    return (
      <div className="page">
        <h1>{t.parts.broken}</h1>
        <Problem error={this.state.error} onRetry={() => this.setState({ error: undefined })} />
      </div>
    );
  }
}
