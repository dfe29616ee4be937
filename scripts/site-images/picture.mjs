/**
 * One picture: its title, what is to be seen (for those who cannot see it), and its shading
 * function (u, v) → colour.
 */
export const picture = (title, alt, shade) => ({ title, alt, shade })
