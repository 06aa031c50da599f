/** How the element looks. A host changes it with `--chat-*` variables, `::part()` and addStyles(). */

const LIGHT = `
  --_bg: var(--chat-background, #fff);
  --_panel: var(--chat-panel, #f7f8fa);
  --_text: var(--chat-text, #1b1f27);
  --_quiet: var(--chat-quiet, #5c6470);
  --_line: var(--chat-line, #e4e7ec);
  --_accent: var(--chat-accent, #3a55c9);
  --_on-accent: var(--chat-on-accent, #fff);
  --_bubble: var(--chat-bubble, #f0f2f5);
  --_mine: var(--chat-bubble-mine, #e3e9ff);
  --_code: rgb(20 30 60 / 7%);
  --_hover: rgb(20 30 60 / 6%);
  --_glow: rgb(250 200 60 / 35%);
  --_bad: #b3261e;
  --_bad-bg: #fdecea;
  --_warn-bg: #fff4d6;
  --_warn: #6b4a00;
  --_good-bg: #e3f5ea;
  --_good: #14602f;
  --_shadow: 0 4px 16px rgb(20 30 60 / 14%), 0 1px 3px rgb(20 30 60 / 12%);
  --_face-bg: 45% 90%;
  --_face: 55% 28%;
  color-scheme: light;
`;
const DARK = `
  --_bg: var(--chat-background, #14171d);
  --_panel: var(--chat-panel, #1a1e26);
  --_text: var(--chat-text, #e7eaf0);
  --_quiet: var(--chat-quiet, #a2abba);
  --_line: var(--chat-line, #2b313c);
  --_accent: var(--chat-accent, #9db2ff);
  --_on-accent: var(--chat-on-accent, #10162e);
  --_bubble: var(--chat-bubble, #232833);
  --_mine: var(--chat-bubble-mine, #2b3766);
  --_code: rgb(255 255 255 / 9%);
  --_hover: rgb(255 255 255 / 8%);
  --_glow: rgb(250 200 60 / 25%);
  --_bad: #ffb4ab;
  --_bad-bg: #43201e;
  --_warn-bg: #3d3114;
  --_warn: #f6d98b;
  --_good-bg: #17382a;
  --_good: #9be3b5;
  --_shadow: 0 4px 16px rgb(0 0 0 / 50%), 0 1px 3px rgb(0 0 0 / 50%);
  --_face-bg: 28% 27%;
  --_face: 60% 86%;
  color-scheme: dark;
`;

const FRAME = `
  :host { display: block; height: 32rem; contain: content; }
  :host([hidden]), [hidden] { display: none !important; }
  *, ::before, ::after { box-sizing: border-box; }
  .room {
    --_hit: 2rem;
    container-type: inline-size;
    position: relative; display: flex; flex-direction: column; height: 100%; min-height: 0;
    background: var(--_bg); color: var(--_text);
    font: 400 var(--chat-font-size, 0.9375rem)/1.5 var(--chat-font, system-ui, -apple-system, "Segoe UI", Roboto, "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans", sans-serif);
    -webkit-text-size-adjust: 100%;
  }
  button, textarea { font: inherit; color: inherit; }
  button { cursor: pointer; background: none; border: 0; padding: 0; touch-action: manipulation; }
  :focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px; }
  h2, p, ul, dl, dd, blockquote, pre { margin: 0; padding: 0; list-style: none; }
  .icon { width: 1.25em; height: 1.25em; flex: none; fill: none; stroke: currentColor; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; }
  .quiet { color: var(--_quiet); }
  .icon-button { display: inline-grid; place-items: center; min-width: var(--_hit); height: var(--_hit); padding: 0 .3rem; border-radius: .5rem; color: var(--_quiet); }
  .icon-button:hover, .people-button:hover { background: var(--_hover); color: var(--_text); }
  .link { color: inherit; font-weight: 600; text-decoration: underline; text-underline-offset: 2px; padding: .1rem .25rem; border-radius: .25rem; }
  .avatar { display: grid; place-items: center; flex: none; width: 2rem; height: 2rem; border-radius: 50%; font-size: .75rem; font-weight: 600; user-select: none; }
  .avatar:not(:empty) { background: hsl(var(--hue) var(--_face-bg)); color: hsl(var(--hue) var(--_face)); }

  header { display: flex; align-items: center; gap: .5rem; flex: none; min-height: 3.25rem; padding: .25rem .75rem .25rem 1.25rem; border-bottom: 1px solid var(--_line); }
  header h2 { flex: 1; min-width: 0; font-size: 1.0625rem; font-weight: 650; letter-spacing: -.01em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  ::slotted([slot="header"]) { flex: 1; min-width: 0; }
  .tools { display: flex; align-items: center; gap: .25rem; margin-inline-start: auto; }
  .people-button { display: inline-flex; align-items: center; gap: .375rem; height: var(--_hit); padding: 0 .6rem; border-radius: .5rem; color: var(--_quiet); font-variant-numeric: tabular-nums; }
  .middle { display: flex; flex: 1; min-height: 0; position: relative; }
  .column { display: flex; flex-direction: column; flex: 1; min-width: 0; min-height: 0; }
  .main { position: relative; flex: 1; min-height: 0; }

  .banner { display: flex; flex-wrap: wrap; align-items: center; justify-content: center; gap: .15rem .5rem; flex: none; padding: .4rem 1rem; font-size: .875em; background: var(--_warn-bg); color: var(--_warn); animation: down .2s ease-out; }
  .banner[data-kind="closed"] { background: var(--_bad-bg); color: var(--_bad); }
  .banner[data-kind="back"] { background: var(--_good-bg); color: var(--_good); }
  .seconds { font-variant-numeric: tabular-nums; }
  .seconds:empty { display: none; }

  aside { width: 15rem; flex: none; overflow-y: auto; padding: .75rem; background: var(--_panel); border-inline-start: 1px solid var(--_line); }
  .aside-head { display: flex; align-items: center; justify-content: space-between; padding-inline-start: .5rem; margin-bottom: .25rem; }
  .aside-head h2 { font-size: .875em; font-weight: 650; }
  aside li { display: flex; align-items: center; gap: .6rem; padding: .3rem .5rem; }
  aside bdi { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }

  .pane { position: absolute; inset: 0; display: flex; flex-direction: column; align-items: center; justify-content: center; gap: .25rem; padding: 2rem; text-align: center; color: var(--_quiet); pointer-events: none; }
  .pane-icon { display: grid; place-items: center; width: 3.5rem; height: 3.5rem; margin-bottom: .5rem; border-radius: 50%; background: var(--_bubble); }
  .pane-icon .icon { width: 1.625rem; height: 1.625rem; }
  .pane-title { font-size: 1.0625rem; font-weight: 600; color: var(--_text); }
  .ghosts { position: absolute; inset: auto 0 0; padding: 1rem 1.25rem; max-width: 52rem; margin: auto; }
  .ghost { display: flex; gap: .6rem; margin-top: 1rem; animation: breathe 1.6s ease-in-out infinite alternate; }
  .ghost i { width: 2rem; height: 2rem; border-radius: 50%; background: var(--_bubble); }
  .ghost b { width: 45%; height: 2.75rem; border-radius: 1rem; background: var(--_bubble); }
  .ghost:nth-child(2n) b { width: 62%; }
  .ghost:nth-child(3n) b { width: 30%; }

  dialog { color: var(--_text); background: var(--_bg); border: 1px solid var(--_line); border-radius: .9rem; box-shadow: var(--_shadow); padding: 1rem; width: min(24rem, 90vw); }
  dialog::backdrop { background: rgb(10 12 20 / 40%); }
  dl { display: grid; grid-template-columns: auto 1fr; gap: .5rem 1rem; padding: .5rem; align-items: baseline; }
  kbd { font: 500 .8125em/1 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; padding: .2rem .4rem; border: 1px solid var(--_line); border-bottom-width: 2px; border-radius: .35rem; background: var(--_panel); white-space: nowrap; }
  .spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`;

const MESSAGES = `
  .timeline { position: absolute; inset: 0; display: flex; flex-direction: column; }
  /* The element keeps the reader's place itself, in every browser the same way. */
  .view { flex: 1; min-height: 0; overflow-y: auto; overflow-x: hidden; overscroll-behavior: contain; overflow-anchor: none; padding: .5rem 0; }
  .top, .rows { flex: none; width: 100%; max-width: 52rem; margin-inline: auto; }
  .rows { position: relative; padding: 0 1.25rem; }
  /* A short conversation stands at the bottom, where one writes. */
  .view { display: flex; flex-direction: column; }
  .top { margin-top: auto; }
  .beginning { padding: 1.5rem 1.25rem .25rem; text-align: center; font-size: .8125em; color: var(--_quiet); }
  .spinner { height: 2.25rem; display: grid; place-items: center; }
  .spinner.on::after { content: ""; width: 1.125rem; height: 1.125rem; border: 2px solid var(--_line); border-top-color: var(--_accent); border-radius: 50%; animation: turn .8s linear infinite; }
  .day, .unread { display: flex; align-items: center; gap: .75rem; margin: 1.25rem 0 .5rem; font-size: .75em; font-weight: 600; color: var(--_quiet); }
  .day::before, .day::after, .unread::before, .unread::after { content: ""; flex: 1; height: 1px; background: var(--_line); }
  .unread { color: var(--_bad); }
  .unread::before, .unread::after { background: currentColor; opacity: .45; }

  .row { position: relative; display: flex; gap: .6rem; padding: 1px 0; border-radius: .75rem; scroll-margin: 1rem; }
  .row.head { margin-top: .75rem; }
  .row:focus-visible { outline-offset: 3px; }
  .row > .avatar { margin-top: 1.45rem; }
  .row:not(.head) > .avatar { margin: 0; height: 0; }
  .row.mine { flex-direction: row-reverse; }
  .row.mine > .avatar { display: none; }
  .content { display: flex; flex-direction: column; align-items: flex-start; min-width: 0; max-width: min(85%, 40rem); }
  .mine > .content { align-items: flex-end; }
  .meta { display: flex; align-items: baseline; gap: .5rem; padding: 0 .25rem .15rem; font-size: .8125em; max-width: 100%; }
  .name { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  time { color: var(--_quiet); font-size: .9230em; white-space: nowrap; font-variant-numeric: tabular-nums; }
  .bubble { max-width: 100%; padding: .4rem .8rem; border-radius: 1.05rem; background: var(--_bubble); }
  .mine .bubble { background: var(--_mine); }
  .head:not(.mine) .bubble { border-start-start-radius: .3rem; }
  .head.mine .bubble { border-start-end-radius: .3rem; }
  .pending .bubble { opacity: .72; }
  .failed .bubble { background: var(--_bad-bg); }
  .gone .bubble { background: none; border: 1px dashed var(--_line); }
  .gone .text { font-size: .875em; }
  .text { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; overflow: hidden; }
  .text.big { font-size: 2.25em; line-height: 1.25; }
  .bubble:has(> .big:only-child) { background: none; padding: 0 .25rem; }
  .edited { font-size: .75em; color: var(--_quiet); white-space: nowrap; }
  .text a { color: var(--_accent); text-underline-offset: 2px; }
  .text code { font: .875em/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--_code); border-radius: .3rem; padding: .1em .3em; }
  .text pre { margin: .25rem 0; padding: .6rem .75rem; border-radius: .5rem; background: var(--_code); overflow-x: auto; white-space: pre; overflow-wrap: normal; }
  .text pre code { background: none; padding: 0; }
  .text blockquote { padding-inline-start: .7rem; border-inline-start: 3px solid var(--_line); color: var(--_quiet); margin: .15rem 0; }
  .mention { color: var(--_accent); font-weight: 600; border-radius: .25rem; }
  .mention.me { background: var(--_glow); color: inherit; padding: 0 .15rem; }
  .quote { display: block; width: 100%; margin: .1rem 0 .35rem; padding: .15rem .6rem; border-inline-start: 3px solid var(--_accent); border-radius: .3rem; background: var(--_code); text-align: start; font-size: .875em; line-height: 1.4; }
  .quote .name { display: block; font-size: .9286em; }
  .excerpt { display: block; color: var(--_quiet); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .reactions { display: flex; flex-wrap: wrap; gap: .25rem; margin-top: .25rem; }
  .reaction { display: inline-flex; align-items: center; gap: .3rem; height: 1.625rem; padding: 0 .5rem; border: 1px solid var(--_line); border-radius: 1rem; background: var(--_bg); font-size: .8125em; }
  .reaction[aria-pressed="true"] { border-color: var(--_accent); background: var(--_mine); }
  .count { font-variant-numeric: tabular-nums; }
  .state { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem; padding: .15rem .25rem 0; font-size: .75em; color: var(--_quiet); }
  .mine .state { justify-content: flex-end; }
  .state.bad { color: var(--_bad); font-size: .8125em; }
  .pending:has(+ .pending) .state span { display: none; }
  /* "Sending" is worth a word only when it takes a while. */
  .pending .state { animation: appear .2s .6s both; }

  /* A place of no size behind the bubble, so that the actions stand at its corner. */
  .place { position: relative; flex: none; width: 0; height: 0; margin-inline-start: -.6rem; }
  .head > .place { margin-top: 1.3rem; }
  .actions { position: absolute; z-index: 2; inset-block-start: -1rem; inset-inline-start: -1.25rem; display: flex; width: max-content; align-items: center; padding: .15rem; border: 1px solid var(--_line); border-radius: .7rem; background: var(--_bg); box-shadow: var(--_shadow); }
  .mine > .place { margin-inline: 0 -.6rem; }
  .mine .actions { inset-inline: auto -1.25rem; }
  .bar, .own, .quick { display: inline-flex; align-items: center; }
  .sure { color: var(--_on-accent); background: var(--_bad); }
  .sure:hover { color: var(--_on-accent); background: var(--_bad); }
  .sure .icon { display: none; }
  .sure::after { content: attr(data-ask); padding: 0 .35rem; font-size: .8125em; font-weight: 600; white-space: nowrap; }

  .jump { position: absolute; inset-block-end: .75rem; inset-inline-end: 1.25rem; display: inline-flex; align-items: center; justify-content: center; gap: .4rem; min-width: 2.5rem; height: 2.5rem; padding: 0 .65rem; border: 1px solid var(--_line); border-radius: 1.25rem; background: var(--_bg); box-shadow: var(--_shadow); font-size: .875em; font-weight: 600; animation: up .18s ease-out; }
  .jump.count { background: var(--_accent); border-color: transparent; color: var(--_on-accent); padding: 0 .65rem 0 .9rem; font-variant-numeric: tabular-nums; }
  .jump span:empty { display: none; }
  .enter > .content, .enter > .avatar { animation: up .18s ease-out; }
`;

const WRITING = `
  .typing { display: flex; align-items: center; gap: .45rem; flex: none; width: 100%; max-width: 52rem; height: 1.5rem; margin: 0 auto; padding: 0 1.25rem; font-size: .8125em; color: var(--_quiet); opacity: 0; transition: opacity .15s; overflow: hidden; white-space: nowrap; }
  .typing.on { opacity: 1; }
  .dots { display: inline-flex; gap: .2rem; }
  .dots i { width: .3rem; height: .3rem; border-radius: 50%; background: currentColor; }
  .typing.on .dots i { animation: breathe .6s ease-in-out infinite alternate; }
  .typing.on .dots i:nth-child(2) { animation-delay: .2s; }
  .typing.on .dots i:nth-child(3) { animation-delay: .4s; }
  .composer { position: relative; flex: none; width: 100%; max-width: 52rem; margin: 0 auto; padding: 0 1.25rem max(.9rem, env(safe-area-inset-bottom)); }
  .line { display: flex; align-items: flex-end; gap: .5rem; }
  .field { position: relative; flex: 1; min-width: 0; }
  textarea { display: block; width: 100%; min-height: 2.75rem; max-height: 10rem; resize: none; padding: .6rem .95rem; line-height: 1.5rem; border: 1px solid var(--_line); border-radius: 1.375rem; background: var(--_panel); overflow-y: auto; }
  textarea::placeholder { color: var(--_quiet); opacity: 1; }
  textarea:focus { outline: 2px solid var(--_accent); outline-offset: -1px; background: var(--_bg); }
  .send { display: grid; place-items: center; flex: none; width: 2.75rem; height: 2.75rem; border-radius: 50%; background: var(--_accent); color: var(--_on-accent); transition: background .15s, color .15s; }
  .send:disabled { background: var(--_bubble); color: var(--_quiet); cursor: default; }
  .left { position: absolute; inset-block-end: 100%; inset-inline-end: .75rem; font-size: .75em; color: var(--_quiet); background: var(--_bg); padding: 0 .35rem; }
  .left.bad, .notice { color: var(--_bad); }
  .notice:not(:empty) { padding: .4rem .8rem; margin-bottom: .5rem; border-radius: .6rem; background: var(--_bad-bg); font-size: .875em; }
  .context { display: flex; align-items: center; gap: .6rem; margin-bottom: .4rem; padding: .35rem .35rem .35rem .75rem; border-radius: .75rem; background: var(--_panel); border: 1px solid var(--_line); font-size: .875em; line-height: 1.35; color: var(--_accent); }
  .context > div { flex: 1; min-width: 0; }
  .choices { position: absolute; z-index: 3; inset-block-end: calc(100% - .25rem); inset-inline: 1.25rem; max-width: 20rem; padding: .3rem; border: 1px solid var(--_line); border-radius: .75rem; background: var(--_bg); box-shadow: var(--_shadow); }
  .choices li { display: flex; align-items: center; gap: .6rem; min-height: 2.25rem; padding: .2rem .5rem; border-radius: .5rem; cursor: pointer; }
  .choices li[aria-selected="true"] { background: var(--_mine); }
  .choices .avatar { width: 1.5rem; height: 1.5rem; font-size: .625rem; }

  @container (max-width: 40rem) {
    header { padding: .25rem .5rem .25rem 1rem; }
    .rows, .composer, .typing { padding-inline: .75rem; }
    .content { max-width: 84%; }
    aside { position: absolute; inset: 0; z-index: 4; width: 100%; border: 0; }
    .jump { inset-inline-end: .75rem; }
  }
  @media (pointer: coarse) {
    .room { --_hit: 2.75rem; font-size: var(--chat-font-size, 1rem); }
    .help-button { display: none; }
    .actions { inset-block-start: -2.25rem; }
    .reaction { height: 2.25rem; min-width: 2.75rem; }
    .state .link { min-height: 2.75rem; padding-inline: .6rem; }
    .jump { min-width: 2.75rem; height: 2.75rem; }
  }
  @keyframes up { from { opacity: 0; transform: translateY(.4rem); } }
  @keyframes down { from { opacity: 0; transform: translateY(-.4rem); } }
  @keyframes appear { from { opacity: 0; } }
  @keyframes breathe { from { opacity: .35; } }
  @keyframes turn { to { transform: rotate(1turn); } }
  @media (prefers-reduced-motion: reduce) {
    *, ::before, ::after { animation: none !important; transition: none !important; }
  }
  @media (forced-colors: active) {
    .bubble, .send, .jump, .reaction { border: 1px solid; }
  }
`;

/** @type {CSSStyleSheet | undefined} */
let made;

/** One sheet for all elements of the page; constructed, so that `style-src 'self'` allows it. */
export function sheet() {
  if (!made) {
    made = new CSSStyleSheet();
    made.replaceSync(`:host { ${LIGHT} } :host([theme="dark"]) { ${DARK} } @media (prefers-color-scheme: dark) { :host(:not([theme="light"])) { ${DARK} } } ${FRAME} ${MESSAGES} ${WRITING}`);
  }
  return made;
}
