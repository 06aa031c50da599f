/**
 * A message's text as DOM nodes: links, mentions and a small part of Markdown
 * (**bold**, *italic*, ~~struck~~, `code`, fenced code, > quotes). Nothing in a
 * text can become anything else.
 */
/** A line of a text, for a quote: without what it quotes itself and without marks. @param {string} text */
export declare function excerpt(text: string): string;
/**
 * @param {string} text
 * @param {{names?: Iterable<string>, me?: string}} [people] names that `@` may mention, and the own one
 * @returns {DocumentFragment}
 */
export declare function renderText(text: string, { names, me }?: {
    names?: Iterable<string>;
    me?: string;
}): DocumentFragment;
