/** Resolves when `count` connections have ended in order, counted from this call. */
export function allEnded(stage, count) {
  return new Promise((resolve) => {
    let left = count;
    function ended() {
      if (--left > 0) return;
      stage.off('closed', ended);
      resolve();
    }
    stage.on('closed', ended);
  });
}
