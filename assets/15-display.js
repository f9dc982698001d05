/* How this browser shows things: chosen on the Settings page, kept in localStorage, applied before the first paint. */
(function () {
  "use strict";
  const DOPE = window.DOPE, fmt = DOPE.fmt, STORE = "dope.display", FORMAT = "dope-display", VERSION = 1, MAX_FILE = 16384;
  /* The first of each is the default. */
  const CHOICES = { zone: ["utc", "local"], numbers: ["thin", "comma", "plain"], colours: ["blue-orange", "green-red", "red-green"], density: ["normal", "compact"], motion: ["system", "still"], rate: ["all", "5", "2", "1"] };
  const GROUPS = { thin: fmt.THIN, comma: ",", plain: "" };
  const COLOURS = {   // what pays and what costs: bright, half-way to the dark middle of the matrix, and as text on that
    "blue-orange": { pos: [77, 163, 255], posDark: [27, 78, 134], posLight: [169, 210, 255], neg: [255, 159, 69], negDark: [122, 67, 18], negLight: [255, 196, 138] },
    "green-red": { pos: [62, 207, 142], posDark: [21, 95, 66], posLight: [165, 235, 203], neg: [255, 122, 112], negDark: [120, 44, 40], negLight: [255, 193, 188] },
    "red-green": { pos: [255, 122, 112], posDark: [120, 44, 40], posLight: [255, 193, 188], neg: [62, 207, 142], negDark: [21, 95, 66], negLight: [165, 235, 203] },
  };
  const usual = () => Object.fromEntries(Object.entries(CHOICES).map(([name, all]) => [name, all[0]]));
  const hex = (rgb) => "#" + rgb.map((c) => c.toString(16).padStart(2, "0")).join("");
  let now = usual();

  /* {name: value} that can all be used, or an Error that says what cannot. */
  function checked(values) {
    if (typeof values !== "object" || values === null || Array.isArray(values)) throw new Error("there are no settings in it");
    const out = {};
    for (const [name, value] of Object.entries(values)) {
      if (!Object.hasOwn(CHOICES, name)) throw new Error(`“${name.slice(0, 40)}” is no setting of this page`);
      if (!CHOICES[name].includes(value)) throw new Error(`${name} cannot be ${(JSON.stringify(value) || "nothing").slice(0, 40)}: one of ${CHOICES[name].join(", ")}`);
      out[name] = value;
    }
    return out;
  }
  function apply() {
    const root = document.documentElement, palette = COLOURS[now.colours];
    fmt.zone.local = now.zone === "local";
    fmt.style.group = GROUPS[now.numbers];
    Object.assign(root.dataset, { colours: now.colours, density: now.density, motion: now.motion });
    for (const end of ["pos", "neg"]) for (const [tail, tone] of [["", ""], ["d", "Dark"], ["l", "Light"]]) root.style.setProperty(`--${end}${tail}`, hex(palette[end + tone]));
    DOPE.pace(now.rate === "all" ? 0 : 1000 / Number(now.rate));
    if (DOPE.text) DOPE.text("clock-zone", fmt.zoneName());
    for (const section of Object.keys(DOPE.state)) DOPE.touch(section);
    ["display", "second", "view", "page"].forEach((section) => DOPE.touch(section));
  }
  function keep() {
    try { localStorage.setItem(STORE, JSON.stringify(now)); } catch (error) { /* private mode: until the page is left */ }
  }
  DOPE.display = {
    CHOICES,
    get: (name) => now[name],
    palette: () => COLOURS[now.colours],
    hex,
    set: (changes) => { now = Object.assign({}, now, checked(changes)); keep(); apply(); },
    reset: () => { now = usual(); keep(); apply(); },
    text: () => JSON.stringify({ format: FORMAT, version: VERSION, display: now }, null, 1) + "\n",
    /* All of a file or nothing of it; throws an Error in words. */
    read: (text) => {
      if (text.length > MAX_FILE) throw new Error("it is too long for a file of settings");
      let file = null;
      try { file = JSON.parse(text); } catch (error) { throw new Error("it is no JSON"); }
      if (typeof file !== "object" || file === null || file.format !== FORMAT) throw new Error("it is no file of settings of this program");
      if (file.version !== VERSION) throw new Error(`it is of version ${(JSON.stringify(file.version) || "none").slice(0, 20)}, this page reads version ${VERSION}`);
      DOPE.display.set(Object.assign(usual(), checked(file.display)));
    },
  };
  try { now = Object.assign(usual(), checked(JSON.parse(localStorage.getItem(STORE) || "{}"))); } catch (error) { now = usual(); }
  apply();
})();
