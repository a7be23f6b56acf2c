export default { compilerOptions: { runes: true, warningFilter: (w) => w.code !== "state_referenced_locally" } };
