/** All in German: fetched by those who read it. */

export { de } from "./de";
export { modelDe } from "./model.de";
