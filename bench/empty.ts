/** What Node and tsx cost by themselves. */
export {};
