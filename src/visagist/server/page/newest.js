// A step that runs one at a time: calls that come meanwhile are one call after it, so that only the newest settings count.
// `after` is called when none is waiting, `fail` with what went wrong.

export function newest(step, fail, after) {
  let waits = false;
  let runs = false;
  return async () => {
    waits = true;
    if (runs) return;
    runs = true;
    try {
      while (waits) {
        waits = false;
        await step();
      }
    } catch (error) {
      fail(error);
    } finally {
      runs = false;
      after();
    }
  };
}
