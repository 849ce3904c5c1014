/** In the place of d3-color: what moves on the canvas changes its place and size, and never its colour. */

function none(): null {
  return null;
}

export { none as color, none as cubehelix, none as hcl, none as hsl, none as lab, none as rgb };
