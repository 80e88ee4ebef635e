/** These bytes are no pose body of format 1, or this pose cannot be said in one. */
export class PoseError extends Error {
  /** @override */
  name = "PoseError";
}
