/** How the element looks. A host changes it with `--chat-*` variables, `::part()` and addStyles(). */
/** One sheet for all elements of the page; constructed, so that `style-src 'self'` allows it. */
export declare function sheet(): CSSStyleSheet;
