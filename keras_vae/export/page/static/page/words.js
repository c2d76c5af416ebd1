// Small things that all sections use.

export const element = (id) => document.getElementById(id);

// Shows why something failed; the page goes on.
export async function report(promise) {
  const told = element("told");
  try {
    await promise;
    told.classList.remove("wrong");
  } catch (error) {
    told.textContent = error.message;
    told.classList.add("wrong");
  }
}

// Returns a function that runs `work`, once more if it is called meanwhile, and never twice at once.
export function latest(work) {
  let running = null;
  let again = false;
  return () => {
    again = running !== null;
    running ??= (async () => {
      try {
        do {
          again = false;
          await work();
        } while (again);
      } finally {
        running = null;
      }
    })();
    return running;
  };
}
