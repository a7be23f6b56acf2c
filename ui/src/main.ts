import "./lib/locale";
import "./app.css";
import { mount } from "svelte";
import { settings } from "./lib/settings.svelte";
import App from "./App.svelte";

settings.apply();
const target = document.getElementById("app");
if (target) mount(App, { target });
