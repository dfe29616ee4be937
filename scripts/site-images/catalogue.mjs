/**
 * The gallery: 48 pictures in twelve groups of four, in the order of the page. The file name is the
 * title in lower case.
 */
import { airPictures } from './pictures-air.mjs'
import { dunePictures } from './pictures-dunes.mjs'
import { stormPictures } from './pictures-storm.mjs'

/** Every picture: file name, title, alt text and its shading function. */
export const catalogue = [...dunePictures, ...airPictures, ...stormPictures].map((entry, i) => ({
  file: `${String(i + 1).padStart(2, '0')}-${entry.title.toLowerCase().replaceAll(' ', '-')}.png`,
  ...entry,
}))
