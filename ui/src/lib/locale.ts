// Imported before everything else. Under LANG=C WebKitGTK says that the language is "C", and Intl throws at it.
export const locale: string = (() => {
  try {
    return new Intl.NumberFormat(navigator.language).resolvedOptions().locale;
  } catch {
    return "en-US";
  }
})();
