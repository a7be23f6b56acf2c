// What the whole window knows: the console's state, the overview, and that something changed.
import { type ConsoleView, type Host, type OverviewView, sentence } from "../host/host";
import { tauri } from "../host/tauri";

export type Room = "watch" | "incidents" | "feeds" | "oncall" | "silences" | "channels" | "numbers" | "privacy" | "reports" | "audit";

class App {
  host: Host = tauri;
  console = $state.raw<ConsoleView>({ state: "starting" });
  overview = $state.raw<OverviewView | null>(null);
  room = $state<Room>("watch");
  /** Counts up when events, incidents or the state of things may look different. */
  events = $state(0);
  incidents = $state(0);
  health = $state(0);
  quitAsked = $state(false);
  /** The incident that is open in its room. */
  selected = $state<string | null>(null);
  trouble = $state<string | null>(null);
  now = $state(Date.now());
  setupDone = $state(false);
  /** What is open in the privacy room. */
  privacy = $state.raw<{ tab: string; number: number | null }>({ tab: "requests", number: null });

  async start(): Promise<void> {
    setInterval(() => (this.now = Date.now()), 1000);
    await this.follow();
  }

  /** Asks until the engine runs or says why it does not. */
  async follow(): Promise<void> {
    for (;;) {
      this.console = await this.host.console();
      if (this.console.state !== "starting") break;
      await new Promise((r) => setTimeout(r, 100));
    }
    if (this.console.state === "running") await this.run();
  }

  private async run(): Promise<void> {
    await this.host.watchTicks((t) => {
      this.events = t.events;
      if (t.incidents !== this.incidents || t.health !== this.health) void this.refresh();
      this.incidents = t.incidents;
      this.health = t.health;
      if (t.quit_asked) this.quitAsked = true;
    });
    await this.refresh();
  }

  private refreshing = false;
  private again = false;

  /** One refresh at a time, and one more if something changed meanwhile. */
  async refresh(): Promise<void> {
    if (this.refreshing) {
      this.again = true;
      return;
    }
    this.refreshing = true;
    try {
      do {
        this.again = false;
        this.overview = await this.host.overview();
        this.trouble = null;
      } while (this.again);
    } catch (e) {
      this.trouble = sentence(e);
    } finally {
      this.refreshing = false;
    }
  }

  /** Runs an action and says what went wrong, if anything did. */
  async act<T>(f: () => Promise<T>): Promise<T | null> {
    try {
      const result = await f();
      this.trouble = null;
      return result;
    } catch (e) {
      this.trouble = sentence(e);
      return null;
    }
  }

  openPrivacy(tab: string, number: number | null): void {
    this.privacy = { tab, number };
    this.room = "privacy";
  }

  open(id: string): void {
    this.selected = id;
    this.room = "incidents";
  }
}

export const app = new App();
