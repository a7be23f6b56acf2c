// What the officer chose about the looks of the window; kept by the page, because nothing else needs it.
type Theme = "dark" | "light";

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A page without storage forgets; nothing else depends on it.
  }
}

class Settings {
  theme = $state<Theme>((read("theme") as Theme | null) ?? "dark");
  detailWidth = $state(Number(read("detail-width")) || 480);

  apply(): void {
    document.documentElement.dataset.theme = this.theme;
  }

  toggleTheme(): void {
    this.theme = this.theme === "dark" ? "light" : "dark";
    keep("theme", this.theme);
    this.apply();
  }

  setDetailWidth(width: number): void {
    this.detailWidth = Math.round(Math.min(820, Math.max(380, width)));
    keep("detail-width", String(this.detailWidth));
  }
}

export const settings = new Settings();
